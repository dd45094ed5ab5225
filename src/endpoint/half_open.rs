//! Server associations whose first handshake is not done, and which of them goes when there is no
//! room.
//!
//! An attacker with real addresses can begin as many as it likes, and a burst of honest clients
//! looks the same for a moment. What tells them apart is time: the honest ones are done within a
//! round trip or two, or after a loss when something was sent again. So nothing goes that is
//! younger than that, and what has come further has longer.

use super::association::{Association, Table};
use super::id::AssociationId;
use super::shares::beyond_its_share;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many first timeouts an association has before it can go: after one its flight, or the
/// client's, was sent again, and in another one that is answered.
const GRACE: u32 = 2;

/// How many it has when the client has gone on: after seven of them its last flight was sent four
/// times.
const LONGER_GRACE: u32 = 8;

/// How many places of associations that are no longer half-open may stay in the order.
const SPARE_PLACES: usize = 16;

/// The half-open associations of an endpoint, oldest first; some may have finished or gone since.
///
/// It alone changes the mark that an association bears while it is one of them.
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
    pub(super) fn enter(&mut self, now: Instant, id: AssociationId, table: &mut Table) {
        let Some(association) = table.get_mut(id) else {
            return;
        };
        association.half_open = true;
        self.count += 1;
        self.begun.push_back(Place { id, since: now });
        // Those that have finished or gone leave their places only here, so that finishing costs
        // nothing.
        if self.begun.len() + self.advanced.len() > 2 * self.count + SPARE_PLACES {
            for order in [&mut self.begun, &mut self.advanced] {
                order.retain(|place| half_open(table, place.id).is_some());
                order.shrink_to(SPARE_PLACES);
            }
        }
    }

    /// An association has finished or goes; nothing happens if it is not, or no longer, one of
    /// them.
    #[inline]
    pub(super) const fn leave(&mut self, association: &mut Association) {
        if association.half_open {
            association.half_open = false;
            self.count -= 1;
        }
    }

    /// The one that goes first for a newcomer, if any has had its time, or a neighbourhood has more
    /// than its share; `timeout` is the first retransmission timeout.
    pub(super) fn evictable(
        &mut self,
        now: Instant,
        timeout: Duration,
        newcomer: SocketAddr,
        table: &Table,
    ) -> Option<AssociationId> {
        self.overdue(now, timeout, table)
            .or_else(|| self.beyond_its_share(newcomer, table))
    }

    fn overdue(&mut self, now: Instant, timeout: Duration, table: &Table) -> Option<AssociationId> {
        for _ in 0..self.begun.len() {
            let Some(place) = self.begun.front().copied() else {
                break;
            };
            match half_open(table, place.id) {
                Some(it) if it.connection.has_advanced() => self.advanced.push_back(place),
                // What this end takes its time for is no fault of the client's, whose time begins
                // with the answer.
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
            if half_open(table, place.id).is_none() {
                self.advanced.pop_front();
                continue;
            }
            return (now >= place.since + timeout * LONGER_GRACE).then_some(place.id);
        }
        None
    }

    fn beyond_its_share(&self, newcomer: SocketAddr, table: &Table) -> Option<AssociationId> {
        let places = self.begun.iter().chain(&self.advanced);
        let places = places.filter_map(|place| {
            let association = half_open(table, place.id)?;
            let counts = !association.connection.awaits_answer();
            counts.then(|| (place.id, association.remote(), place.since))
        });
        beyond_its_share(places, self.count, newcomer)
    }
}

/// The association, if it is half-open.
fn half_open(table: &Table, id: AssociationId) -> Option<&Association> {
    table.get(id).filter(|it| it.half_open)
}
