//! Where a datagram comes from, and where one goes.

use super::address::{self, canonical};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The two addresses of a datagram, and its ECN mark.
///
/// Opaque and `Copy`: the endpoint fills it in; a caller without an endpoint builds it with
/// [`Path::new`]. The local address matters on a host with several: an answer leaves from the
/// address at which the question arrived.
///
/// Addresses are kept in one form, whatever socket they come from, so that one peer has one path:
/// an IPv4-mapped address (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is the IPv4 address, and a scope
/// stays only with a link-local address (RFC 4007). An IPv6 socket needs the mapped form again to
/// send to IPv4: `Ipv4Addr::to_ipv6_mapped`.
///
/// Every received record carries one, so it is five aligned words, any bit pattern of which is
/// valid. With the standard library's addresses, which are longer and of odd size, moving it cost
/// as much as the replay window; and around an enum the compiler would use spare values for tags
/// and move the rest piece by piece.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    remote: [u64; 2],
    local: [u64; 2],
    scope_id: u32,
    port: u16,
    /// [`REMOTE_V6`], [`LOCAL_KNOWN`], [`LOCAL_V6`].
    kind: u8,
    /// 0 for none, else the codepoint of RFC 3168 §5.
    ecn: u8,
}

/// An IPv6 address, or an IPv4 one in its mapped form, with its scope and its port.
const REMOTE_LEN: usize = 16 + 4 + 2;

/// The remote address is an IPv6 one.
const REMOTE_V6: u8 = 1;
/// There is a local address.
const LOCAL_KNOWN: u8 = 2;
/// The local address is an IPv6 one.
const LOCAL_V6: u8 = 4;

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
    /// No path: `0.0.0.0:0`. Data from a byte stream has it, because only the stream knows its
    /// addresses.
    pub const UNSPECIFIED: Self =
        Self::new(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)));

    /// The path to `remote`, from the local address that the system picks.
    ///
    /// The flow label of an IPv6 address is not kept: it belongs to a datagram, not to a path.
    pub const fn new(remote: SocketAddr) -> Self {
        let remote = canonical(remote);
        let scope_id = match remote {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(address) => address.scope_id(),
        };
        Self {
            remote: pack(remote.ip()),
            local: [0; 2],
            scope_id,
            port: remote.port(),
            kind: if remote.is_ipv6() { REMOTE_V6 } else { 0 },
            ecn: 0,
        }
    }

    /// The same path, leaving from (or having arrived at) the local address `local`.
    #[must_use]
    pub const fn with_local(mut self, local: IpAddr) -> Self {
        let local = local.to_canonical();
        self.local = pack(local);
        let family = if local.is_ipv6() { LOCAL_V6 } else { 0 };
        self.kind = self.kind & REMOTE_V6 | LOCAL_KNOWN | family;
        self
    }

    /// The same path, leaving from the local address that the system picks.
    pub(crate) const fn without_local(mut self) -> Self {
        self.local = [0; 2];
        self.kind &= REMOTE_V6;
        self
    }

    /// The same path with an ECN mark.
    #[must_use]
    pub const fn with_ecn(mut self, ecn: Option<Ecn>) -> Self {
        self.ecn = match ecn {
            None => 0,
            Some(Ecn::Ect1) => 1,
            Some(Ecn::Ect0) => 2,
            Some(Ecn::Ce) => 3,
        };
        self
    }

    /// The same path with the address at which its datagrams really arrive, if its remote address
    /// is the unspecified one.
    pub(crate) fn to_destination(mut self) -> Self {
        let remote = address::destination(self.remote(), self.local());
        self.remote = pack(remote.ip());
        self
    }

    /// The peer's address, scope and port as bytes, for a MAC over them.
    pub(crate) fn remote_bytes(&self) -> [u8; REMOTE_LEN] {
        let mut out = [0; REMOTE_LEN];
        out[..8].copy_from_slice(&self.remote[0].to_be_bytes());
        out[8..16].copy_from_slice(&self.remote[1].to_be_bytes());
        out[16..20].copy_from_slice(&self.scope_id.to_be_bytes());
        out[20..].copy_from_slice(&self.port.to_be_bytes());
        out
    }

    /// Whether datagrams by this path come from where those by the other one come from, and go
    /// there. The local address may be told of one and not of the other.
    #[inline]
    pub(crate) fn is_same_way(&self, other: &Self) -> bool {
        let remote = |it: &Self| (it.remote, it.scope_id, it.port, it.kind & REMOTE_V6);
        remote(self) == remote(other)
    }

    /// The peer's address and port, in the form that all paths have: see [`Path`].
    pub fn remote(&self) -> SocketAddr {
        match unpack(self.remote, self.kind & REMOTE_V6 != 0) {
            IpAddr::V4(ip) => (ip, self.port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, 0, self.scope_id).into(),
        }
    }

    /// The local address, if it is known.
    pub fn local(&self) -> Option<IpAddr> {
        let known = self.kind & LOCAL_KNOWN != 0;
        known.then(|| unpack(self.local, self.kind & LOCAL_V6 != 0))
    }

    /// The ECN mark of the datagram that came by this path, if the system reported it.
    pub const fn ecn(&self) -> Option<Ecn> {
        match self.ecn {
            1 => Some(Ecn::Ect1),
            2 => Some(Ecn::Ect0),
            3 => Some(Ecn::Ce),
            _ => None,
        }
    }
}

const fn pack(ip: IpAddr) -> [u64; 2] {
    let bits = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

fn unpack(words: [u64; 2], is_v6: bool) -> IpAddr {
    let [high, low] = words.map(u128::from);
    let ip = Ipv6Addr::from_bits(high << 64 | low);
    if is_v6 {
        ip.into()
    } else {
        // An IPv4 address is the last four of the sixteen bytes.
        Ipv4Addr::from_bits((low & 0xffff_ffff) as u32).into()
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
    fn an_ipv4_mapped_address_is_one_of_ipv4() {
        let mapped = Path::new("[::ffff:192.0.2.1]:1".parse().unwrap());
        assert_eq!(mapped, Path::new(([192, 0, 2, 1], 1).into()));
        let local = mapped.with_local("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(local.local(), "10.0.0.1".parse().ok());
    }

    #[test]
    fn a_path_is_five_words() {
        assert_eq!((size_of::<Path>(), align_of::<Path>()), (40, 8));
    }
}
