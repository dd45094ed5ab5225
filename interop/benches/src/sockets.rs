//! UDP sockets on the loopback interface, with the same buffers for every stack.

use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

/// The buffers of every socket, in bytes.
const BUFFER: usize = 16 << 20;

/// How long a receiver that waits in a receive call waits at most, so that it sees the end.
pub const PATIENCE: Duration = Duration::from_millis(20);

/// Gives a socket the buffers that all have. Without privileges the system grants less, to all.
pub fn enlarge(socket: &impl AsFd) {
    let forced = setsockopt(socket, sockopt::RcvBufForce, &BUFFER)
        .and_then(|()| setsockopt(socket, sockopt::SndBufForce, &BUFFER));
    if forced.is_err() {
        let socket = SockRef::from(socket);
        // What is granted is the same for every stack.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
    }
}

/// A socket on a free port.
pub fn bound() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    enlarge(&socket);
    socket
}

/// A socket that talks to `remote` alone.
pub fn connected(remote: SocketAddr) -> UdpSocket {
    let socket = bound();
    socket.connect(remote).expect("loopback reaches loopback");
    socket
}

/// A sender and a receiver that are connected to each other, whose receive calls wait no longer
/// than [`PATIENCE`].
pub fn pair() -> (UdpSocket, UdpSocket) {
    let (one, other) = (bound(), bound());
    for (from, to) in [(&one, &other), (&other, &one)] {
        from.connect(address(to))
            .expect("loopback reaches loopback");
        let patience = Some(PATIENCE);
        from.set_read_timeout(patience).expect("a time above zero");
    }
    (one, other)
}

/// The address that a socket is bound to.
pub fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("a bound socket")
}

/// Lets the process open enough sockets for a thousand peers at both ends.
pub fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Rows that need more say so when they fail.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
