//! A relay for one TCP connection that keeps what it passes on.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sealgram_interop::failure::Outcome;
use sealgram_interop::loss::Direction;

/// A running relay. It ends with the connection.
pub(super) struct Tap {
    address: SocketAddr,
    parts: Arc<Mutex<Parts>>,
}

/// What has passed, in order.
pub(super) type Parts = Vec<(Direction, Vec<u8>)>;

impl Tap {
    /// A relay before `server`.
    pub(super) fn start(server: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let parts = Arc::new(Mutex::new(Vec::new()));
        let kept = parts.clone();
        thread::spawn(move || {
            // Whoever waits at either end notices when there is no connection.
            let Ok((client, _)) = listener.accept() else {
                return;
            };
            let Ok(server) = TcpStream::connect(server) else {
                return;
            };
            if let (Ok(from_client), Ok(to_client)) = (client.try_clone(), client.try_clone()) {
                let (to_server, from_server) = (server.try_clone(), server);
                let other = kept.clone();
                if let Ok(to_server) = to_server {
                    thread::spawn(move || {
                        pass(from_client, to_server, Direction::ToServer, &other)
                    });
                }
                pass(from_server, to_client, Direction::ToClient, &kept);
            }
        });
        Ok(Self { address, parts })
    }

    /// Where the client connects.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has passed so far.
    pub(super) fn parts(&self) -> Parts {
        let parts = self.parts.lock();
        parts.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, direction: Direction, parts: &Mutex<Parts>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let part = (direction, buffer[..length].to_vec());
        let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(part);
        drop(parts);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
