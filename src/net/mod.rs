//! Sockets: the endpoint over a real UDP socket in a mio loop.
//!
//! The only floor that reads the clock.

mod batch;
mod clock;
mod udp;

pub use udp::{UdpEndpoint, UdpEvent};
