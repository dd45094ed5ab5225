//! The canonical form in which addresses are compared.
//!
//! One node can be written in several ways: an IPv6 socket shows an IPv4 peer as `::ffff:a.b.c.d`
//! (RFC 4291 §2.5.5.2), the system names the interface of a link-local address although the
//! application did not (RFC 4007 §6), and a flow label belongs to a datagram, not to a node
//! (RFC 6437 §2). Every [`Path`](super::Path) is made from the canonical form, so a lookup by the
//! address of a path is right by construction. Only a socket needs another form, and makes it when
//! it sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The same address in its canonical form: IPv4 as IPv4, no flow label, and a scope only if the
/// address has no meaning without one.
pub(crate) const fn canonical(address: SocketAddr) -> SocketAddr {
    let SocketAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.ip().to_ipv4_mapped() {
        return SocketAddr::new(IpAddr::V4(v4), v6.port());
    }
    let scope_id = if is_scoped(v6.ip()) { v6.scope_id() } else { 0 };
    SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope_id))
}

/// Whether an address is unique within its zone only (RFC 4007 §5).
const fn is_scoped(ip: &Ipv6Addr) -> bool {
    ip.is_unicast_link_local()
}

/// The same address without its scope; `None` if it has none.
pub(crate) const fn unscoped(address: SocketAddr) -> Option<SocketAddr> {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let bare = SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0);
            Some(SocketAddr::V6(bare))
        }
        _ => None,
    }
}

/// Whether the address should name a scope and does not.
pub(crate) const fn lacks_scope(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V6(v6) => v6.scope_id() == 0 && is_scoped(v6.ip()),
        SocketAddr::V4(_) => false,
    }
}

/// Where a datagram for `address` arrives, and where answers come from. As on Linux, what is sent
/// to the unspecified address stays on this host: it goes to the sender's own address if that is a
/// specific one, and to the loopback address otherwise.
pub(crate) fn destination(address: SocketAddr, local: Option<IpAddr>) -> SocketAddr {
    let address = canonical(address);
    if !address.ip().is_unspecified() {
        return address;
    }
    let own = local
        .map(|local| local.to_canonical())
        .filter(|local| !local.is_unspecified() && local.is_ipv4() == address.is_ipv4());
    let loopback = || match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(own.unwrap_or_else(loopback), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_spelling_has_one_canonical_form() {
        for (spelt, form) in [
            ("192.0.2.1:5", "192.0.2.1:5"),
            ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("[2001:db8::1%4]:5", "[2001:db8::1]:5"),
            ("[fe80::1%4]:5", "[fe80::1%4]:5"),
            ("[fe80::1]:5", "[fe80::1]:5"),
            // RFC 4291 §2.5.5.1: an IPv4-compatible address is not an IPv4 address.
            ("[::192.0.2.1]:5", "[::192.0.2.1]:5"),
        ] {
            assert_eq!(canonical(parse(spelt)), parse(form), "{spelt}");
            assert_eq!(canonical(parse(form)), parse(form), "{form}");
        }
        let labelled = SocketAddrV6::new("2001:db8::1".parse().unwrap(), 5, 9, 0);
        assert_eq!(canonical(labelled.into()), parse("[2001:db8::1]:5"));
    }

    #[test]
    fn what_is_sent_to_the_unspecified_address_stays_on_this_host() {
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        for (asked, local, there) in [
            ("0.0.0.0:5", None, "127.0.0.1:5"),
            ("0.0.0.0:5", ip("0.0.0.0"), "127.0.0.1:5"),
            ("0.0.0.0:5", ip("192.0.2.9"), "192.0.2.9:5"),
            ("0.0.0.0:5", ip("::ffff:192.0.2.9"), "192.0.2.9:5"),
            ("0.0.0.0:5", ip("::1"), "127.0.0.1:5"),
            ("[::ffff:0.0.0.0]:5", ip("::"), "127.0.0.1:5"),
            ("[::]:5", ip("::"), "[::1]:5"),
            ("[::]:5", ip("2001:db8::9"), "[2001:db8::9]:5"),
            ("192.0.2.1:5", ip("192.0.2.9"), "192.0.2.1:5"),
        ] {
            assert_eq!(destination(parse(asked), local), parse(there), "{asked}");
        }
    }
}
