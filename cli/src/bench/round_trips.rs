//! Messages that the server sends back, one at a time for each peer.

use super::handshakes::no_times;
use super::load::nanoseconds;
use super::phase::{Peer, Work};
use super::protocol::Data;
use super::traffic::Dial;
use crate::event_loop::Step;
use crate::problem::Problem;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Round trips of all peers.
pub(super) struct RoundTrips<E: Dial> {
    size: u16,
    trips: BTreeMap<E::Id, Trip>,
    next_sweep: Instant,
    /// How long each took, in nanoseconds.
    pub(super) times: Histogram<u64>,
    /// How many messages did not come back in time.
    pub(super) lost: u64,
}

/// The message of one peer that is on its way.
struct Trip {
    data: Data,
    began: Instant,
}

/// After what time a message is taken for lost. If it comes later it is not counted.
const LOST: Duration = Duration::from_secs(1);

/// How often lost messages are looked for.
const SWEEP: Duration = Duration::from_millis(50);

impl<E: Dial> RoundTrips<E> {
    /// Of messages of `size` bytes.
    pub(super) fn new(size: u16) -> Result<Self, Problem> {
        Ok(Self {
            size,
            trips: BTreeMap::new(),
            next_sweep: Instant::now(),
            times: no_times()?,
            lost: 0,
        })
    }
}

impl Trip {
    fn begin<E: Dial>(&mut self, now: Instant, endpoint: &mut E, id: E::Id) {
        self.began = now;
        // What cannot be sent is lost, and a later attempt follows.
        let _lost = endpoint.send_data(id, &mut self.data, 1);
    }

    /// Whether the last message that was sent has this number.
    const fn awaits(&self, sequence: u64) -> bool {
        self.data.sent() == sequence.saturating_add(1)
    }
}

impl<E: Dial> Work<E> for RoundTrips<E> {
    fn data(&mut self, endpoint: &mut E, peer: &mut Peer<E::Id>, sequence: u64) {
        let now = Instant::now();
        let awaited = self.trips.get_mut(&peer.id);
        if let Some(trip) = awaited.filter(|trip| trip.awaits(sequence)) {
            self.times.saturating_record(nanoseconds(now - trip.began));
            trip.begin(now, endpoint, peer.id);
        }
    }

    fn advance(
        &mut self,
        now: Instant,
        endpoint: &mut E,
        peers: &mut BTreeMap<E::Id, Peer<E::Id>>,
    ) -> Result<Step, Problem> {
        if now < self.next_sweep {
            return Ok(Step::Wait(Some(self.next_sweep)));
        }
        self.next_sweep = now + SWEEP;
        for &id in peers.keys() {
            let size = self.size;
            let trip = self.trips.entry(id).or_insert_with(|| Trip {
                data: Data::new(size, E::STREAM),
                began: now - LOST,
            });
            if now >= trip.began + LOST {
                self.lost += u64::from(trip.data.sent() > 0);
                trip.begin(now, endpoint, id);
            }
        }
        Ok(Step::Again)
    }
}
