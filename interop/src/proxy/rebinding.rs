//! The ports by which the server knows the client: a NAT between them may forget one and choose
//! another at any time, and neither end is told.
//!
//! ```text
//!   client --- front | back 1 --- server      before
//!   client --- front | back 2 --- server      after: what the server goes on sending to back 1
//!                    | back 1 ---             reaches the client still, or no more
//! ```

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Proxy, STOP_POLL, lock};
use crate::failure::Outcome;

/// What becomes of datagrams that the server sends to the port that the client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldPort {
    /// They are forwarded: the NAT has two mappings for a while.
    Forwards,
    /// They are dropped in silence: the NAT has forgotten its mapping.
    Drops,
}

/// All sockets that talk, or have talked, to the server.
#[derive(Debug)]
pub(super) struct Backs {
    server: SocketAddr,
    current: Arc<Back>,
    due: Option<Due>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) socket: UdpSocket,
    pub(super) port: u16,
    open: AtomicBool,
}

/// A rebinding that is to come.
#[derive(Debug)]
struct Due {
    /// How many more datagrams go from the present port.
    after: usize,
    old: OldPort,
}

impl Proxy {
    /// Talks to the server from another port from now on, which is returned.
    ///
    /// # Errors
    ///
    /// When no socket can be created.
    pub fn rebind(&self, old: OldPort) -> Outcome<u16> {
        let back = lock(&self.shared.backs).rebind(old)?;
        self.shared.listen(&back);
        Ok(back.port)
    }

    /// Talks to the server from another port as soon as `count` more datagrams of the client have
    /// come.
    pub fn rebind_after(&self, count: usize, old: OldPort) {
        lock(&self.shared.backs).due = Some(Due { after: count, old });
    }

    /// The port by which the server knows the client.
    #[must_use]
    pub fn port(&self) -> u16 {
        lock(&self.shared.backs).current().port
    }
}

impl Backs {
    pub(super) fn new(server: SocketAddr) -> Outcome<Self> {
        Ok(Self {
            server,
            current: Back::connect(server)?,
            due: None,
        })
    }

    pub(super) fn current(&self) -> Arc<Back> {
        Arc::clone(&self.current)
    }

    /// The socket for the next datagram to the server, and whether that one is new.
    pub(super) fn next(&mut self) -> (Arc<Back>, bool) {
        let Some(due) = &mut self.due else {
            return (self.current(), false);
        };
        if due.after > 0 {
            due.after -= 1;
            return (self.current(), false);
        }
        let old = due.old;
        match self.rebind(old) {
            Ok(back) => (back, true),
            // The case notices that nothing has changed.
            Err(failure) => {
                println!("the proxy keeps its port: {failure}");
                (self.current(), false)
            }
        }
    }

    pub(super) fn redirect(&mut self, server: SocketAddr) -> Outcome<()> {
        self.server = server;
        Ok(self.current.socket.connect(server)?)
    }

    fn rebind(&mut self, old: OldPort) -> Outcome<Arc<Back>> {
        let left = std::mem::replace(&mut self.current, Back::connect(self.server)?);
        left.open.store(old == OldPort::Forwards, Ordering::Relaxed);
        self.due = None;
        Ok(self.current())
    }
}

impl Back {
    /// A socket with a port of its own: those that were left stay bound, so that none is given out
    /// twice, and that the server is not told by ICMP that nobody listens there.
    fn connect(server: SocketAddr) -> Outcome<Arc<Self>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(STOP_POLL))?;
        Ok(Arc::new(Self {
            port: socket.local_addr()?.port(),
            socket,
            open: AtomicBool::new(true),
        }))
    }

    /// Whether what comes here is forwarded to the client.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::loss::{Direction, Loss, Verdict};
    use crate::proxy::Captured;

    /// A client and a server without any protocol, and the proxy between them.
    struct Ends {
        client: UdpSocket,
        server: UdpSocket,
        proxy: Proxy,
    }

    impl Ends {
        fn new() -> Self {
            let socket = || {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                let wait = Some(Duration::from_secs(5));
                socket.set_read_timeout(wait).expect("a timeout");
                socket
            };
            let (client, server) = (socket(), socket());
            let address = server.local_addr().expect("an address");
            let proxy = Proxy::start(address, Loss::NONE).expect("a proxy");
            client.connect(proxy.address()).expect("a route");
            Self {
                client,
                server,
                proxy,
            }
        }

        /// The client sends; the address from which the server sees it come is returned.
        fn up(&self, data: &[u8]) -> SocketAddr {
            self.client.send(data).expect("sent");
            let mut buffer = [0; 100];
            let (length, source) = self.server.recv_from(&mut buffer).expect("at the server");
            assert_eq!(&buffer[..length], data);
            source
        }

        fn down(&self, data: &[u8], to: SocketAddr) {
            self.server.send_to(data, to).expect("sent");
        }

        fn next_at_the_client(&self) -> Vec<u8> {
            let mut buffer = [0; 100];
            let length = self.client.recv(&mut buffer).expect("at the client");
            buffer[..length].to_owned()
        }
    }

    #[test]
    fn the_server_sees_a_new_port_and_answers_it() {
        let ends = Ends::new();
        let first = ends.up(b"one");
        assert_eq!(first.port(), ends.proxy.port());
        let port = ends.proxy.rebind(OldPort::Drops).expect("a port");
        let second = ends.up(b"two");
        assert_ne!(first.port(), port);
        assert_eq!(second.port(), port);
        assert_eq!(ends.proxy.port(), port);
        ends.down(b"answer", second);
        assert_eq!(ends.next_at_the_client(), b"answer");
    }

    #[test]
    fn an_old_port_forwards_or_drops() {
        for old in [OldPort::Forwards, OldPort::Drops] {
            let ends = Ends::new();
            let first = ends.up(b"one");
            ends.proxy.rebind(old).expect("a port");
            let second = ends.up(b"two");
            ends.down(b"late", first);
            let arrived = |captured: &Captured| captured.direction == Direction::ToClient;
            let deadline = crate::clock::Deadline::after(Duration::from_secs(5));
            let waited = ends.proxy.wait_for_count(Direction::ToClient, 1, deadline);
            waited.expect("it comes to the proxy");
            ends.down(b"fresh", second);
            let (wanted, verdict): (&[u8], _) = match old {
                OldPort::Forwards => (b"late", Verdict::Pass),
                OldPort::Drops => (b"fresh", Verdict::Drop),
            };
            assert_eq!(ends.next_at_the_client(), wanted, "{old:?}");
            let late = ends.proxy.captured().into_iter().find(arrived);
            let late = late.expect("a captured datagram");
            assert_eq!((late.verdict, late.port), (verdict, first.port()));
        }
    }

    #[test]
    fn a_port_that_was_left_twice_is_left_once() {
        let ends = Ends::new();
        let first = ends.up(b"one");
        ends.proxy.rebind(OldPort::Forwards).expect("a port");
        ends.up(b"two");
        ends.proxy.rebind(OldPort::Drops).expect("a port");
        ends.up(b"three");
        ends.down(b"late", first);
        assert_eq!(ends.next_at_the_client(), b"late");
    }

    #[test]
    fn a_rebinding_comes_after_as_many_datagrams_as_were_said() {
        let ends = Ends::new();
        ends.up(b"before");
        ends.proxy.rebind_after(2, OldPort::Drops);
        let ports = [b"0", b"1", b"2", b"3"].map(|data| ends.up(data).port());
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[1], ports[2]);
        assert_eq!(ports[2], ports[3]);
        let fresh = SocketAddr::from(([127, 0, 0, 1], ports[3]));
        ends.down(b"answer", fresh);
        assert_eq!(ends.next_at_the_client(), b"answer");
        let captured: Vec<u16> = ends.proxy.captured().iter().map(|it| it.port).collect();
        assert_eq!(captured[1..5], ports);
    }

    #[test]
    fn what_the_test_injects_goes_from_the_new_port() {
        let ends = Ends::new();
        ends.up(b"one");
        let port = ends.proxy.rebind(OldPort::Drops).expect("a port");
        let injected = ends.proxy.inject(Direction::ToServer, b"forged");
        injected.expect("sent");
        let (_, source) = ends.server.recv_from(&mut [0; 100]).expect("at the server");
        assert_eq!(source.port(), port);
    }
}
