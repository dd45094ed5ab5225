//! A UDP proxy between one client and one server, on loopback addresses.
//!
//! ```text
//!   client  <--->  front socket | proxy | back socket  <--->  server
//! ```
//!
//! It forwards, drops by [`Loss`], records every datagram with its verdict, can hold one direction
//! back for a while, and can send datagrams of the test's own making to either side, as if the
//! other side had sent them. Order is kept.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss, Verdict, Verdicts};

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// A datagram that came to the proxy, or that the test injected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The direction in which it went.
    pub direction: Direction,
    /// The origin of the datagram.
    pub origin: Origin,
    /// What happened to it.
    pub verdict: Verdict,
    /// The time since the proxy's start.
    pub at: Duration,
    /// The whole datagram.
    pub bytes: Vec<u8>,
}

/// Datagrams of one direction that wait to be forwarded.
#[derive(Debug)]
struct Held {
    direction: Direction,
    datagrams: Vec<Vec<u8>>,
}

/// Where a captured datagram came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// One of the two peers.
    Peer,
    /// [`Proxy::inject`].
    Injected,
}

#[derive(Debug)]
struct Shared {
    front: UdpSocket,
    back: UdpSocket,
    client: Mutex<Option<SocketAddr>>,
    captured: Mutex<Vec<Captured>>,
    held: Mutex<Option<Held>>,
    stop: AtomicBool,
    stopwatch: Deadline,
}

impl Proxy {
    /// Starts a proxy before `server`.
    ///
    /// # Errors
    ///
    /// When no sockets can be created.
    pub fn start(server: SocketAddr, loss: Loss) -> Outcome<Self> {
        let front = UdpSocket::bind("127.0.0.1:0")?;
        let back = UdpSocket::bind("127.0.0.1:0")?;
        back.connect(server)?;
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(STOP_POLL))?;
        }
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            front,
            back,
            client: Mutex::new(None),
            captured: Mutex::new(Vec::new()),
            held: Mutex::new(None),
            stop: AtomicBool::new(false),
            stopwatch: Deadline::after(Duration::ZERO),
        });
        let threads = [Direction::ToServer, Direction::ToClient]
            .map(|direction| {
                let shared = Arc::clone(&shared);
                let verdicts = loss.verdicts(direction);
                thread::spawn(move || shared.forward(direction, verdicts))
            })
            .into();
        Ok(Self {
            shared,
            address,
            threads,
        })
    }

    /// The address to which a client connects instead of the server's.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards to another server from now on, from the same address: what a balancer does that
    /// keeps a client's address and has another number of servers than before.
    ///
    /// # Errors
    ///
    /// When the socket refuses.
    pub fn redirect(&self, server: SocketAddr) -> Outcome<()> {
        Ok(self.shared.back.connect(server)?)
    }

    /// Sends `datagram` to the server or to the client, from the address that it knows as its peer.
    ///
    /// # Errors
    ///
    /// When no client has been seen yet, or the socket refuses.
    pub fn inject(&self, direction: Direction, datagram: &[u8]) -> Outcome<()> {
        self.shared.send(direction, datagram)?;
        self.shared
            .record(direction, Origin::Injected, Verdict::Pass, datagram);
        Ok(())
    }

    /// Holds what goes in `direction` until [`Proxy::release`].
    pub fn hold(&self, direction: Direction) {
        *lock(&self.shared.held) = Some(Held {
            direction,
            datagrams: Vec::new(),
        });
    }

    /// Forwards what was held, in order, and stops holding.
    pub fn release(&self) {
        // Under the lock, so that nothing that comes in the meantime overtakes.
        let mut held = lock(&self.shared.held);
        if let Some(held) = held.take() {
            for datagram in held.datagrams {
                // The receiver may have ended; the case notices that in other ways.
                let _ = self.shared.send(held.direction, &datagram);
            }
        }
    }

    /// Waits until `count` datagrams are held.
    ///
    /// # Errors
    ///
    /// When they are not before `deadline`.
    pub fn wait_for_held(&self, count: usize, deadline: Deadline) -> Outcome<()> {
        self.wait_until(&format!("{count} held datagrams"), deadline, || {
            let held = lock(&self.shared.held);
            held.as_ref().map_or(0, |held| held.datagrams.len()) >= count
        })
    }

    /// How many datagrams have come for `direction`.
    #[must_use]
    pub fn count(&self, direction: Direction) -> usize {
        let captured = lock(&self.shared.captured);
        captured
            .iter()
            .filter(|captured| captured.direction == direction)
            .count()
    }

    /// Waits until `count` datagrams have come for `direction`.
    ///
    /// # Errors
    ///
    /// When they have not before `deadline`.
    pub fn wait_for_count(
        &self,
        direction: Direction,
        count: usize,
        deadline: Deadline,
    ) -> Outcome<()> {
        self.wait_until(&format!("{count} datagrams {direction}"), deadline, || {
            self.count(direction) >= count
        })
    }

    fn wait_until(
        &self,
        wanted: &str,
        deadline: Deadline,
        reached: impl Fn() -> bool,
    ) -> Outcome<()> {
        while !reached() {
            if deadline.has_passed() {
                let failure = Failure::new(format!("the proxy has not seen {wanted}"));
                return Err(failure.with_evidence(self.evidence()));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// All datagrams so far, in the order in which the proxy saw them.
    #[must_use]
    pub fn captured(&self) -> Vec<Captured> {
        lock(&self.shared.captured).clone()
    }

    /// The verdicts so far, one letter for each datagram: `.` passed, `X` dropped, `i` injected.
    #[must_use]
    pub fn decisions(&self) -> String {
        let mut text = String::new();
        for direction in [Direction::ToServer, Direction::ToClient] {
            let letters: String = lock(&self.shared.captured)
                .iter()
                .filter(|captured| captured.direction == direction)
                .map(Captured::letter)
                .collect();
            let _ = write!(text, "{direction} {letters} ");
        }
        text.trim_end().to_owned()
    }

    /// One line for each datagram with the header of its first record, for a failure report.
    #[must_use]
    pub fn evidence(&self) -> String {
        let mut text = String::from("--- proxy\n");
        for captured in lock(&self.shared.captured).iter() {
            let head: String = captured
                .bytes
                .iter()
                .take(EVIDENCE_BYTES)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let _ = writeln!(
                text,
                "    {:8.3} s {} {} {:4} bytes {head}",
                captured.at.as_secs_f32(),
                captured.direction,
                captured.letter(),
                captured.bytes.len()
            );
        }
        text
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of the thread has been printed already, and the case fails without it.
            let _ = thread.join();
        }
    }
}

impl Captured {
    fn letter(&self) -> char {
        match (self.origin, self.verdict) {
            (Origin::Injected, _) => 'i',
            (Origin::Peer, Verdict::Pass) => '.',
            (Origin::Peer, Verdict::Drop) => 'X',
        }
    }
}

impl Shared {
    /// Forwards one direction until the proxy stops.
    fn forward(&self, direction: Direction, mut verdicts: Verdicts) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            let Some(length) = self.receive(direction, &mut buffer) else {
                continue;
            };
            let datagram = &buffer[..length];
            let verdict = verdicts.next().unwrap_or(Verdict::Pass);
            self.record(direction, Origin::Peer, verdict, datagram);
            if verdict == Verdict::Pass && !self.keep(direction, datagram) {
                // The receiver may have ended; the case notices that in other ways.
                let _ = self.send(direction, datagram);
            }
        }
    }

    fn receive(&self, direction: Direction, buffer: &mut [u8]) -> Option<usize> {
        let received = match direction {
            Direction::ToServer => self.front.recv_from(buffer).map(|(length, source)| {
                *lock(&self.client) = Some(source);
                length
            }),
            Direction::ToClient => self.back.recv(buffer),
        };
        match received {
            Ok(length) => Some(length),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            // ECONNREFUSED from a peer that has ended, for example: pause, instead of asking again
            // at full speed.
            Err(_) => {
                thread::sleep(STOP_POLL);
                None
            }
        }
    }

    fn send(&self, direction: Direction, datagram: &[u8]) -> Outcome<()> {
        match direction {
            Direction::ToServer => self.back.send(datagram)?,
            Direction::ToClient => {
                let client = lock(&self.client)
                    .ok_or_else(|| Failure::new("the proxy has not seen a client yet"))?;
                self.front.send_to(datagram, client)?
            }
        };
        Ok(())
    }

    /// Whether the datagram is held.
    fn keep(&self, direction: Direction, datagram: &[u8]) -> bool {
        let mut held = lock(&self.held);
        let Some(held) = held.as_mut().filter(|held| held.direction == direction) else {
            return false;
        };
        held.datagrams.push(datagram.to_owned());
        true
    }

    fn record(&self, direction: Direction, origin: Origin, verdict: Verdict, datagram: &[u8]) {
        lock(&self.captured).push(Captured {
            direction,
            origin,
            verdict,
            at: self.stopwatch.elapsed(),
            bytes: datagram.to_owned(),
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the proxy's threads may outlive it.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The interval at which the proxy checks whether what a test waits for has come.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;

/// How much of a datagram a failure report shows: a record header and a handshake header.
const EVIDENCE_BYTES: usize = 25;
