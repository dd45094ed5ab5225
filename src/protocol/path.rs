//! Where a datagram came from and where one goes to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The two ends of the way a datagram takes, and its ECN mark.
///
/// Opaque and `Copy`: the endpoint fills it in, a caller without an endpoint builds it with [`Path::new`].
/// The local address matters on a host with several: an answer leaves from where the question arrived.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    remote: SocketAddr,
    local: Option<IpAddr>,
    ecn: Option<Ecn>,
}

/// An explicit congestion notification mark (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ecn {
    /// ECN-capable transport, codepoint 1.
    Ect1,
    /// ECN-capable transport, codepoint 0.
    Ect0,
    /// Congestion experienced.
    Ce,
}

impl Path {
    /// The path to `remote`, from whichever local address the system picks.
    pub const fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            local: None,
            ecn: None,
        }
    }

    /// The same path, leaving from (or having arrived at) the local address `local`.
    #[must_use]
    pub const fn with_local(mut self, local: IpAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// The same path with an ECN mark.
    #[must_use]
    pub const fn with_ecn(mut self, ecn: Option<Ecn>) -> Self {
        self.ecn = ecn;
        self
    }

    /// The peer's address and port.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The local address, where it is known.
    pub const fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// The ECN mark of the datagram that came this way, if the system told it.
    pub const fn ecn(&self) -> Option<Ecn> {
        self.ecn
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(local) => write!(f, "{} (from {local})", self.remote),
            None => write!(f, "{}", self.remote),
        }
    }
}
