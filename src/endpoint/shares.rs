//! Fair shares of what is scarce: one host with many ports must not keep out everybody else.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Who shares a fate with an address: its host, or the smallest network that is given out (RFC
/// 6177).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Neighbourhood(u128);

impl Neighbourhood {
    const IPV6_MASK: u128 = !(u64::MAX as u128);

    fn of(address: SocketAddr) -> Self {
        Self(match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits() & Self::IPV6_MASK,
        })
    }
}

/// The oldest place of the neighbourhood that holds most of them, if that is more than half of
/// `total`, and more than the newcomer's has.
pub(super) fn beyond_its_share<T: Copy>(
    places: impl Iterator<Item = (T, SocketAddr, Instant)>,
    total: usize,
    newcomer: SocketAddr,
) -> Option<T> {
    let mut counts: HashMap<Neighbourhood, (usize, Instant, T)> = HashMap::new();
    for (place, remote, since) in places {
        let (count, earliest, oldest) = counts
            .entry(Neighbourhood::of(remote))
            .or_insert((0, since, place));
        *count += 1;
        if since < *earliest {
            (*earliest, *oldest) = (since, place);
        }
    }
    let own = counts
        .get(&Neighbourhood::of(newcomer))
        .map_or(0, |it| it.0);
    let (count, _, oldest) = counts.into_values().max_by_key(|(count, ..)| *count)?;
    (count > total / 2 && count > own + 1).then_some(oldest)
}
