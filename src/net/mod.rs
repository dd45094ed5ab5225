//! Sockets: the endpoint over a real UDP socket, and a connection over a TCP stream, in a mio loop.
//!
//! The only floor that reads the clock.

mod batch;
mod clock;
mod departure;
mod group;
mod intake;
mod linger;
mod outlet;
mod tcp;
mod udp;
mod waker;

/// The event loop that both are made for.
pub use mio;
pub use tcp::TlsStream;
pub use udp::{UdpEndpoint, Unreachable};
