//! A relay of TCP connections that keeps what passes, as [`crate::proxy`] does with datagrams.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::failure::Outcome;
use crate::loss::Direction;

/// A running relay before one server. Dropping it takes no more connections.
#[derive(Debug)]
pub(super) struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    to_server: Mutex<Vec<u8>>,
    to_client: Mutex<Vec<u8>>,
    stop: AtomicBool,
}

impl Tap {
    pub(super) fn start(server: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let relaying = Arc::clone(&shared);
        thread::spawn(move || {
            while !relaying.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => relay(&client, server, &relaying),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(LOOK_AGAIN)
                    }
                    Err(_) => return,
                }
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// All bytes of a direction so far.
    pub(super) fn captured(&self, direction: Direction) -> Vec<u8> {
        self.shared.of(direction).clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn of(&self, direction: Direction) -> MutexGuard<'_, Vec<u8>> {
        let bytes = match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        };
        bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins the two until either end closes its half. A connection that fails ends here, which the
/// programs notice.
fn relay(client: &TcpStream, server: SocketAddr, shared: &Arc<Shared>) {
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    let _ways = client.set_nonblocking(false);
    for (from, to, direction) in [
        (client, &server, Direction::ToServer),
        (&server, client, Direction::ToClient),
    ] {
        let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 14];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                shared.of(direction).extend_from_slice(&buffer[..length]);
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            let _gone = to.shutdown(Shutdown::Write);
        });
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(2);
