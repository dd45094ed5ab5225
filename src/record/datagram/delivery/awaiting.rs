//! Flights of version 1.3 that nothing but an acknowledgement ends (RFC 9147 §5.8.4, §7): a
//! client's last one, tickets, key updates. Each has a timer of its own.

use super::Means;
use super::flight::Flight;
use super::timer::{Fired, Pace, Timer};
use crate::protocol::{Epoch, FlightId, RecordNumber, Unacknowledged};
use std::time::{Duration, Instant};

/// How often a flight that the peer can do without is sent again if the policy sets no limit: for
/// about a minute.
const MAX_VAIN_TRIES: u32 = 5;

/// One flight on its way.
struct Awaiting {
    id: FlightId,
    flight: Flight,
    timer: Timer,
    fate: Unacknowledged,
}

/// The flights that wait to be acknowledged.
#[derive(Default)]
pub(super) struct AwaitingFlights {
    flights: Vec<Awaiting>,
}

/// What the timers say.
#[derive(Default)]
pub(super) struct Expired {
    /// A flight that cannot be done without was never acknowledged.
    pub(super) gave_up: bool,
    /// The flights to send again.
    pub(super) due: Vec<FlightId>,
    /// How often a flight that cannot be done without is sent again with this time; 0 if none is
    /// sent again.
    pub(super) attempt: u32,
}

impl Awaiting {
    fn repeat(&mut self, means: &mut Means<'_>) {
        self.flight.transmit(means, true);
        means.stats.flight_retransmitted();
    }
}

impl AwaitingFlights {
    /// Adds a flight that was sent for the first time.
    pub(super) fn push(
        &mut self,
        id: FlightId,
        flight: Flight,
        fate: Unacknowledged,
        timer: Timer,
    ) {
        self.flights.push(Awaiting {
            id,
            flight,
            timer,
            fate,
        });
    }

    /// Whether some flight has a part in this epoch.
    pub(super) fn uses(&self, epoch: Epoch) -> bool {
        self.flights.iter().any(|it| it.flight.uses(epoch))
    }

    /// When the first timer fires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flights.iter().map(|it| it.timer.deadline()).min()
    }

    /// How often the flight was sent again that was most often.
    pub(super) fn retransmissions(&self) -> u32 {
        let counts = self.flights.iter().map(|it| it.timer.retransmissions());
        counts.max().unwrap_or_default()
    }

    /// Notes what the peer has. The flights that it has as a whole are returned and no longer kept;
    /// those of which it has a new part are named in `advanced`.
    pub(super) fn acknowledge(
        &mut self,
        numbers: &[RecordNumber],
        advanced: &mut Vec<FlightId>,
    ) -> Vec<FlightId> {
        let mut delivered = Vec::new();
        self.flights.retain_mut(|it| {
            let news = it.flight.acknowledge(numbers);
            let done = it.flight.is_delivered();
            if done {
                delivered.push(it.id);
            } else if news {
                advanced.push(it.id);
            }
            !done
        });
        if self.flights.is_empty() {
            self.flights = Vec::new();
        }
        delivered
    }

    /// Goes on with another first timeout.
    pub(super) fn rescale(&mut self, pace: &Pace) {
        for awaiting in &mut self.flights {
            awaiting.timer.rescale(pace);
        }
    }

    /// Looks which timers are due, and starts them again.
    pub(super) fn fire(&mut self, now: Instant, pace: &mut Pace) -> Expired {
        let tries = pace.policy().max_retransmissions.unwrap_or(MAX_VAIN_TRIES);
        let mut expired = Expired::default();
        self.flights
            .retain_mut(|it| match it.timer.fire(now, pace) {
                Fired::NotYet => true,
                Fired::Retransmit { attempt } => {
                    let vain = it.fate == Unacknowledged::Forgets && attempt > tries;
                    if it.fate == Unacknowledged::Fails {
                        expired.attempt = attempt;
                    }
                    if !vain {
                        expired.due.push(it.id);
                    }
                    !vain
                }
                Fired::GaveUp => match it.fate {
                    Unacknowledged::Fails => {
                        expired.gave_up = true;
                        true
                    }
                    Unacknowledged::Forgets => false,
                    Unacknowledged::Persists => {
                        it.timer = Timer::start(now, pace);
                        expired.due.push(it.id);
                        true
                    }
                },
            });
        expired
    }

    /// Sends again those flights that were cut into datagrams of more than `limit` bytes.
    pub(super) fn start_over_within(&mut self, limit: usize, means: &mut Means<'_>) {
        for it in &mut self.flights {
            if it.flight.start_over_within(limit) {
                it.repeat(means);
            }
        }
    }

    /// Sends the flights with these names again.
    pub(super) fn repeat(&mut self, ids: &[FlightId], means: &mut Means<'_>) {
        for it in self.named(ids) {
            it.repeat(means);
        }
    }

    /// Sends what the peer has just shown to miss of the flights with these names.
    pub(super) fn go_on(&mut self, now: Instant, ids: &[FlightId], means: &mut Means<'_>) {
        for it in self.named(ids) {
            it.timer.rewind(now);
            it.flight.go_on(means);
        }
    }

    fn named(&mut self, ids: &[FlightId]) -> impl Iterator<Item = &mut Awaiting> {
        self.flights.iter_mut().filter(|it| ids.contains(&it.id))
    }

    /// The peer has said that it misses something: which flights are worth sending again, each not
    /// more often than `pause` allows.
    pub(super) fn missed(&mut self, now: Instant, pause: Duration) -> Vec<FlightId> {
        let missed = |it: &mut Awaiting| it.flight.is_missed(now, pause).then_some(it.id);
        self.flights.iter_mut().filter_map(missed).collect()
    }

    /// Drops them all.
    pub(super) fn clear(&mut self) {
        self.flights = Vec::new();
    }
}
