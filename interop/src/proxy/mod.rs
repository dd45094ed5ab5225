//! A UDP proxy between one client and one server, on loopback addresses.
//!
//! ```text
//!   client  <--->  front socket | proxy | back socket  <--->  server
//! ```
//!
//! It forwards, drops by [`Loss`], records every datagram with its verdict, can hold one direction
//! back for a while, and can send datagrams of the test's own making to either side, as if the
//! other side had sent them. Order is kept. It can change the port by which the server knows the
//! client, as a NAT does ([`Proxy::rebind`]).

mod rebinding;

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss, Verdict, Verdicts};
pub use rebinding::OldPort;
use rebinding::{Back, Backs};

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
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
    /// The port by which the server knew the client when it came.
    pub port: u16,
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
    backs: Mutex<Backs>,
    client: Mutex<Option<SocketAddr>>,
    to_server: Mutex<Verdicts>,
    to_client: Mutex<Verdicts>,
    captured: Mutex<Vec<Captured>>,
    held: Mutex<Option<Held>>,
    /// One for the client's datagrams, one for each port that the server has seen.
    threads: Mutex<Vec<JoinHandle<()>>>,
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
        front.set_read_timeout(Some(STOP_POLL))?;
        let address = front.local_addr()?;
        let backs = Backs::new(server)?;
        let back = backs.current();
        let shared = Arc::new(Shared {
            front,
            backs: Mutex::new(backs),
            client: Mutex::new(None),
            to_server: Mutex::new(loss.verdicts(Direction::ToServer)),
            to_client: Mutex::new(loss.verdicts(Direction::ToClient)),
            captured: Mutex::new(Vec::new()),
            held: Mutex::new(None),
            threads: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            stopwatch: Deadline::after(Duration::ZERO),
        });
        shared.start(Shared::forward_to_server);
        shared.listen(&back);
        Ok(Self { shared, address })
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
        lock(&self.shared.backs).redirect(server)
    }

    /// Sends `datagram` to the server or to the client, from the address that it knows as its peer.
    ///
    /// # Errors
    ///
    /// When no client has been seen yet, or the socket refuses.
    pub fn inject(&self, direction: Direction, datagram: &[u8]) -> Outcome<()> {
        let back = lock(&self.shared.backs).current();
        self.shared.send(direction, &back, datagram)?;
        let came = (Origin::Injected, Verdict::Pass);
        self.shared.record(direction, back.port, came, datagram);
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
            let back = lock(&self.shared.backs).current();
            for datagram in held.datagrams {
                // The receiver may have ended; the case notices that in other ways.
                let _ = self.shared.send(held.direction, &back, &datagram);
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
                "    {:8.3} s {} by {} {} {:4} bytes {head}",
                captured.at.as_secs_f32(),
                captured.direction,
                captured.port,
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
        // One of them may have started another; the lock must be free for that.
        while let Some(thread) = { lock(&self.shared.threads).pop() } {
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
    fn start(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let shared = Arc::clone(self);
        lock(&self.threads).push(thread::spawn(move || work(&shared)));
    }

    /// Forwards what comes to this port of the server's side until the proxy stops.
    fn listen(self: &Arc<Self>, back: &Arc<Back>) {
        let back = Arc::clone(back);
        self.start(move |shared| shared.forward_to_client(&back));
    }

    fn forward_to_server(self: &Arc<Self>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            let received = received(self.front.recv_from(&mut buffer));
            let Some((length, source)) = received else {
                continue;
            };
            *lock(&self.client) = Some(source);
            let (back, is_new) = lock(&self.backs).next();
            if is_new {
                self.listen(&back);
            }
            let verdict = lock(&self.to_server).next().unwrap_or(Verdict::Pass);
            self.forward(Direction::ToServer, &back, verdict, &buffer[..length]);
        }
    }

    fn forward_to_client(&self, back: &Back) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            let Some(length) = received(back.socket.recv(&mut buffer)) else {
                continue;
            };
            let verdict = match back.is_open() {
                true => lock(&self.to_client).next().unwrap_or(Verdict::Pass),
                false => Verdict::Drop,
            };
            self.forward(Direction::ToClient, back, verdict, &buffer[..length]);
        }
    }

    fn forward(&self, direction: Direction, back: &Back, verdict: Verdict, datagram: &[u8]) {
        self.record(direction, back.port, (Origin::Peer, verdict), datagram);
        if verdict == Verdict::Pass && !self.keep(direction, datagram) {
            // The receiver may have ended; the case notices that in other ways.
            let _ = self.send(direction, back, datagram);
        }
    }

    fn send(&self, direction: Direction, back: &Back, datagram: &[u8]) -> Outcome<()> {
        match direction {
            Direction::ToServer => back.socket.send(datagram)?,
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

    fn record(
        &self,
        direction: Direction,
        port: u16,
        (origin, verdict): (Origin, Verdict),
        datagram: &[u8],
    ) {
        lock(&self.captured).push(Captured {
            direction,
            origin,
            verdict,
            port,
            at: self.stopwatch.elapsed(),
            bytes: datagram.to_owned(),
        });
    }
}

/// What a socket has received; `None` if it is to be asked again.
fn received<T>(outcome: io::Result<T>) -> Option<T> {
    match outcome {
        Ok(received) => Some(received),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        // ECONNREFUSED from a peer that has ended, for example: pause, instead of asking again at
        // full speed.
        Err(_) => {
            thread::sleep(STOP_POLL);
            None
        }
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
