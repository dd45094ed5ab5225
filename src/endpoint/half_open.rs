//! Server associations whose first handshake is not done, and which of them goes when there is no room.
//!
//! An attacker with real addresses can begin as many as it likes, and a burst of honest clients looks the same for a
//! moment. What tells them apart is time: the honest ones are done within a round trip or two, or after a loss when
//! something was sent again. So nothing goes that is younger than that, and what has come further has longer.

use super::AssociationId;
use super::association::{Association, Table};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How many first timeouts an association has before it can go: after one its flight, or the client's, was sent again,
/// and in another one that is answered.
const GRACE: u32 = 2;

/// How many it has when the client has gone on: after seven of them its last flight was sent four times.
const LONGER_GRACE: u32 = 8;

/// How many places of associations that are no longer half-open may stay in the order.
const SPARE_PLACES: usize = 16;

/// The half-open associations of an endpoint, oldest first; some may have finished or gone since.
#[derive(Default)]
pub(super) struct HalfOpen {
    count: usize,
    /// Those of which nothing but a hello was seen when they were looked at last.
    begun: VecDeque<Place>,
    /// Those whose client has gone on.
    advanced: VecDeque<Place>,
}

/// Where an association stands in the order.
#[derive(Clone, Copy)]
struct Place {
    id: AssociationId,
    since: Instant,
}

impl HalfOpen {
    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// One more, which has begun now.
    pub(super) fn enter(&mut self, now: Instant, id: AssociationId, table: &Table) {
        self.count += 1;
        self.begun.push_back(Place { id, since: now });
        // Those that have finished or gone leave their places only here, so that finishing costs nothing.
        if self.begun.len() + self.advanced.len() > 2 * self.count + SPARE_PLACES {
            for order in [&mut self.begun, &mut self.advanced] {
                order.retain(|place| is_half_open(table, place.id));
                order.shrink_to(SPARE_PLACES);
            }
        }
    }

    /// One of them has finished or gone.
    pub(super) const fn leave(&mut self) {
        self.count -= 1;
    }

    /// The one that goes first, if any has had its time; `timeout` is the first retransmission timeout.
    pub(super) fn evictable(
        &mut self,
        now: Instant,
        timeout: Duration,
        table: &Table,
    ) -> Option<AssociationId> {
        for _ in 0..self.begun.len() {
            let Some(place) = self.begun.front().copied() else {
                break;
            };
            let association = table.get(place.id).filter(|it| it.half_open);
            match association {
                Some(it) if it.connection.has_advanced() => self.advanced.push_back(place),
                // What this end takes its time for is no fault of the client's, whose time begins with the answer.
                Some(it) if it.connection.awaits_answer() => self.begun.push_back(Place {
                    since: now,
                    ..place
                }),
                Some(_) if now < place.since + timeout * GRACE => break,
                Some(_) => return Some(place.id),
                None => {}
            }
            self.begun.pop_front();
        }
        while let Some(place) = self.advanced.front().copied() {
            if !is_half_open(table, place.id) {
                self.advanced.pop_front();
                continue;
            }
            return (now >= place.since + timeout * LONGER_GRACE).then_some(place.id);
        }
        None
    }
}

/// Who shares a fate with an address: its host, or the smallest network that is given out (RFC 6177).
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

impl HalfOpen {
    /// The oldest association of the neighbourhood that has most of them, if that is more than half of all, and more than
    /// the newcomer's has: one host with many ports must not keep out everybody else.
    pub(super) fn beyond_its_share(
        &self,
        newcomer: SocketAddr,
        table: &Table,
    ) -> Option<AssociationId> {
        let mut counts: HashMap<Neighbourhood, (usize, Place)> = HashMap::new();
        for &place in self.begun.iter().chain(&self.advanced) {
            let counts_for = |it: &&Association| it.half_open && !it.connection.awaits_answer();
            let Some(association) = table.get(place.id).filter(counts_for) else {
                continue;
            };
            let (count, oldest) = counts
                .entry(Neighbourhood::of(association.remote))
                .or_insert((0, place));
            *count += 1;
            if place.since < oldest.since {
                *oldest = place;
            }
        }
        let own = counts
            .get(&Neighbourhood::of(newcomer))
            .map_or(0, |it| it.0);
        let (count, oldest) = counts.into_values().max_by_key(|(count, _)| *count)?;
        (count > self.count / 2 && count > own + 1).then_some(oldest.id)
    }
}

fn is_half_open(table: &Table, id: AssociationId) -> bool {
    table.get(id).is_some_and(|it| it.half_open)
}
