//! Where a datagram came from and where one goes to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The two ends of the way a datagram takes, and its ECN mark.
///
/// Opaque and `Copy`: the endpoint fills it in, a caller without an endpoint builds it with [`Path::new`].
/// The local address matters on a host with several: an answer leaves from where the question arrived.
///
/// Five aligned words, because every received record carries one: with the standard library's addresses, which are
/// longer and of odd size, moving it about cost as much as the replay window.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    remote: [u64; 2],
    local: [u64; 2],
    scope_id: u32,
    port: u16,
    kind: Kind,
    ecn: Option<Ecn>,
}

/// The families of both addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    remote: Family,
    local: Option<Family>,
}

/// How the sixteen bytes of an address are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Family {
    /// An IPv4 address, mapped.
    V4,
    /// An IPv6 address.
    V6,
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
    ///
    /// The flow label of an IPv6 address is not kept: it belongs to a datagram, not to a way.
    pub const fn new(remote: SocketAddr) -> Self {
        let scope_id = match remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        };
        let (words, family) = pack(remote.ip());
        Self {
            remote: words,
            local: [0; 2],
            scope_id,
            port: remote.port(),
            kind: Kind {
                remote: family,
                local: None,
            },
            ecn: None,
        }
    }

    /// The same path, leaving from (or having arrived at) the local address `local`.
    #[must_use]
    pub const fn with_local(mut self, local: IpAddr) -> Self {
        let (words, family) = pack(local);
        self.local = words;
        self.kind.local = Some(family);
        self
    }

    /// The same path with an ECN mark.
    #[must_use]
    pub const fn with_ecn(mut self, ecn: Option<Ecn>) -> Self {
        self.ecn = ecn;
        self
    }

    /// The peer's address and port.
    pub fn remote(&self) -> SocketAddr {
        match unpack(self.remote, self.kind.remote) {
            IpAddr::V4(ip) => (ip, self.port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, 0, self.scope_id).into(),
        }
    }

    /// The local address, where it is known.
    pub fn local(&self) -> Option<IpAddr> {
        self.kind.local.map(|family| unpack(self.local, family))
    }

    /// The ECN mark of the datagram that came this way, if the system told it.
    pub const fn ecn(&self) -> Option<Ecn> {
        self.ecn
    }
}

const fn pack(ip: IpAddr) -> ([u64; 2], Family) {
    let (bits, family) = match ip {
        IpAddr::V4(ip) => (ip.to_ipv6_mapped().to_bits(), Family::V4),
        IpAddr::V6(ip) => (ip.to_bits(), Family::V6),
    };
    ([(bits >> 64) as u64, bits as u64], family)
}

fn unpack(words: [u64; 2], family: Family) -> IpAddr {
    let [high, low] = words.map(u128::from);
    match family {
        // The last four of the sixteen bytes.
        Family::V4 => Ipv4Addr::from_bits((low & 0xffff_ffff) as u32).into(),
        Family::V6 => Ipv6Addr::from_bits(high << 64 | low).into(),
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local() {
            Some(local) => write!(f, "{} (from {local})", self.remote()),
            None => write!(f, "{}", self.remote()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_come_out_as_they_went_in() {
        for (remote, local) in [
            ("192.0.2.1:4433", "198.51.100.7"),
            ("[2001:db8::1]:5684", "fe80::2"),
            ("[::ffff:192.0.2.1]:1", "::ffff:10.0.0.1"),
            ("[fe80::1%7]:65535", "::1"),
        ] {
            let (remote, local): (SocketAddr, IpAddr) =
                (remote.parse().unwrap(), local.parse().unwrap());
            let path = Path::new(remote);
            assert_eq!(
                (path.remote(), path.local(), path.ecn()),
                (remote, None, None)
            );
            let path = path.with_local(local).with_ecn(Some(Ecn::Ce));
            assert_eq!(
                (path.remote(), path.local(), path.ecn()),
                (remote, Some(local), Some(Ecn::Ce))
            );
        }
    }

    #[test]
    fn a_path_is_five_words() {
        assert!(size_of::<Path>() <= 48);
        assert_eq!(align_of::<Path>(), 8);
    }
}
