//! Fair shares of what is scarce: one host with many ports must not keep out everybody else.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Who shares a fate with an address: its host, or the smallest network that is given out (RFC
/// 6177).
#[derive(Clone, Copy, PartialEq, Eq)]
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
    places: impl Iterator<Item = (T, SocketAddr, Instant)> + Clone,
    total: usize,
    newcomer: SocketAddr,
) -> Option<T> {
    // Two by two those go that differ: whoever has more than half is left over. It is asked for
    // each newcomer while there is no room, so nothing is counted for everybody.
    let (mut most, mut lead) = (None, 0_usize);
    for (_, remote, _) in places.clone() {
        let neighbourhood = Some(Neighbourhood::of(remote));
        if lead == 0 {
            most = neighbourhood;
        }
        if most == neighbourhood {
            lead += 1;
        } else {
            lead -= 1;
        }
    }
    let newcomer = Neighbourhood::of(newcomer);
    let (mut count, mut own, mut oldest) = (0, 0, None);
    for (place, remote, since) in places {
        let neighbourhood = Neighbourhood::of(remote);
        own += usize::from(neighbourhood == newcomer);
        if most == Some(neighbourhood) {
            count += 1;
            if oldest.is_none_or(|(_, earliest)| since < earliest) {
                oldest = Some((place, since));
            }
        }
    }
    let (place, _) = oldest?;
    (count > total / 2 && count > own + 1).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The place that goes where each of these hosts holds one, the oldest last.
    fn goes(hosts: &[u8], newcomer: u8) -> Option<usize> {
        let now = crate::test_now() + Duration::from_secs(60);
        let address = |host| SocketAddr::from(([192, 0, 2, host], 7));
        let places = hosts.iter().enumerate();
        let age = |place| Duration::from_secs(u64::try_from(place).unwrap());
        let places = places.map(|(place, &host)| (place, address(host), now - age(place)));
        beyond_its_share(places, hosts.len(), address(newcomer))
    }

    #[test]
    fn the_oldest_goes_of_the_host_that_has_more_than_half() {
        for (hosts, newcomer, gone) in [
            (&[][..], 1, None),
            (&[1, 2, 1, 2], 3, None),
            (&[1, 1, 1, 2, 3, 2], 3, None),
            (&[1, 2, 1, 3, 1, 2, 1], 3, Some(6)),
            (&[2, 3, 1, 1, 1], 3, Some(4)),
            (&[1, 1, 1, 2, 3], 3, Some(2)),
            (&[1, 1, 1, 2, 2], 2, None),
            (&[1, 1, 1], 1, None),
            (&[1], 2, None),
        ] {
            assert_eq!(goes(hosts, newcomer), gone, "{hosts:?} {newcomer}");
        }
    }
}
