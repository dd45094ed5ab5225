//! Between our end, which has one socket, and a pipeline, which sends from one and receives at
//! another.
//!
//! ```text
//!   pipeline  --->  near socket | switch | far socket  <--->  our end
//!             <---              |        |
//!                        what is no DTLS goes elsewhere (RFC 7983)
//! ```

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sealgram_interop::failure::Outcome;

/// A running switch. Dropping it stops it.
pub(super) struct Switch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    near: u16,
    far: SocketAddr,
}

struct Shared {
    near: UdpSocket,
    far: UdpSocket,
    /// Where the pipeline receives.
    pipeline: SocketAddr,
    /// Where our end is, as soon as it is known.
    end: Mutex<Option<SocketAddr>>,
    /// Where the rest goes; 0 for nowhere.
    others: AtomicU16,
    stop: AtomicBool,
}

impl Switch {
    /// Before a pipeline that receives on `port`, and `end` unless that connects to the switch.
    pub(super) fn start(port: u16, end: Option<SocketAddr>) -> Outcome<Self> {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(STOP_POLL))?;
        }
        let (near_port, far_address) = (near.local_addr()?.port(), far.local_addr()?);
        let shared = Arc::new(Shared {
            near,
            far,
            pipeline: (Ipv4Addr::LOCALHOST, port).into(),
            end: Mutex::new(end),
            others: AtomicU16::new(0),
            stop: AtomicBool::new(false),
        });
        let (one, other) = (shared.clone(), shared.clone());
        let threads = vec![
            thread::spawn(move || one.to_end()),
            thread::spawn(move || other.to_pipeline()),
        ];
        Ok(Self {
            shared,
            threads,
            near: near_port,
            far: far_address,
        })
    }

    /// Where the pipeline sends to.
    pub(super) fn near(&self) -> u16 {
        self.near
    }

    /// Where our end sends to.
    pub(super) fn far(&self) -> SocketAddr {
        self.far
    }

    /// From now on what is no DTLS goes to this port.
    pub(super) fn others_to(&self, port: u16) {
        self.shared.others.store(port, Ordering::Relaxed);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It fails only if the thread has panicked, which has been printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A datagram that cannot be passed on is a datagram that was lost.
    fn to_end(&self) {
        self.each(&self.near, |datagram, _| {
            let is_dtls = datagram.first().is_some_and(|first| DTLS.contains(first));
            let others = self.others.load(Ordering::Relaxed);
            match *self.end.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(end) if is_dtls => _ = self.far.send_to(datagram, end),
                _ if !is_dtls && others != 0 => {
                    _ = self.far.send_to(datagram, (Ipv4Addr::LOCALHOST, others));
                }
                _ => {}
            }
        });
    }

    fn to_pipeline(&self) {
        self.each(&self.far, |datagram, from| {
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
            _ = self.near.send_to(datagram, self.pipeline);
        });
    }

    fn each(&self, socket: &UdpSocket, pass: impl Fn(&[u8], SocketAddr)) {
        let mut buffer = [0; 65_536];
        while !self.stop.load(Ordering::Relaxed) {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => pass(&buffer[..length], from),
                // The wait is over, or an earlier datagram has found nobody.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {}
            }
        }
    }
}

/// The first bytes of records of DTLS (RFC 7983 §7).
const DTLS: std::ops::RangeInclusive<u8> = 20..=63;

/// How often it is looked whether to stop.
const STOP_POLL: Duration = Duration::from_millis(50);
