//! What this end is sending (RFC 6347 §4.2.4).
//!
//! ```text
//!         a message              its end
//!   Idle ───────────► Building ────┬──────────────► Awaiting ───┐
//!    ▲                 ▲           ├─ of a request ► Requesting ┤
//!    │                 │           └─ nobody answers ► Idle     │
//!    │                 └─────────── the next message ◄──────────┤
//!    └───────────────────────────── the answer ◄────────────────┘
//!
//!   Held: any of these, while this end makes up its mind
//! ```
//!
//! A flight that nobody answers is kept by whoever may need it again: `V12` keeps a final one for a
//! peer that has missed it, `V13` those that wait for their acknowledgements.

use super::Means;
use super::flight::Flight;
use super::timer::{Fired, Pace, Timer};
use crate::protocol::{Epoch, Side};
use std::time::{Duration, Instant};

/// The one flight that is under construction, or that the peer is to answer.
#[derive(Default)]
pub(super) enum Sending {
    /// There is none.
    #[default]
    Idle,
    /// It takes shape. Nothing of it has left, except a request that leads it.
    Building(Box<Flight>),
    /// It is out, and the peer's next flight is the answer.
    Awaiting(Box<Out>),
    /// It is a request so far, or a hello that was asked for once more: whatever is sent next
    /// belongs to the same flight.
    Requesting(Box<Out>),
    /// This end has not made up its mind: the peer's messages wait, and the timer stands still.
    Held(Box<Self>),
}

/// A flight that is out.
pub(super) struct Out {
    pub(super) flight: Flight,
    /// `None` if it is not sent again by itself: the peer has all of it, or repetition is left to
    /// the peer.
    pub(super) timer: Option<Timer>,
}

impl Out {
    /// Sends what the peer has just shown to miss, and what there is room for now.
    pub(super) fn go_on(&mut self, now: Instant, means: &mut Means<'_>) {
        if let Some(timer) = &mut self.timer {
            timer.rewind(now);
        }
        self.flight.go_on(means);
    }
}

impl Sending {
    /// What is sent, held or not.
    const fn under_way(&self) -> &Self {
        match self {
            Self::Held(held) => held,
            free => free,
        }
    }

    const fn under_way_mut(&mut self) -> &mut Self {
        match self {
            Self::Held(held) => held,
            free => free,
        }
    }

    /// Adds to the flight to which the next message belongs. RFC 6347 §4.2.4: the engine goes on,
    /// so what was out is answered.
    pub(super) fn build(&mut self, side: Side, push: impl FnOnce(&mut Flight)) {
        let under_way = self.under_way_mut();
        let mut flight = match std::mem::take(under_way) {
            Self::Building(flight) => flight,
            Self::Requesting(mut out) => {
                if side == Side::Client {
                    out.flight.has_left();
                }
                Box::new(out.flight)
            }
            _ => Box::default(),
        };
        push(&mut flight);
        *under_way = Self::Building(flight);
    }

    /// Takes the flight that is under construction.
    pub(super) fn finish(&mut self) -> Option<Box<Flight>> {
        let under_way = self.under_way_mut();
        match std::mem::take(under_way) {
            Self::Building(flight) => Some(flight),
            other => {
                *under_way = other;
                None
            }
        }
    }

    /// The flight is out; `timer` says when it is sent again.
    pub(super) fn wait(&mut self, flight: Flight, timer: Timer, request: bool) {
        let timer = Some(timer);
        let out = Box::new(Out { flight, timer });
        *self.under_way_mut() = match request {
            true => Self::Requesting(out),
            false => Self::Awaiting(out),
        };
    }

    /// The peer has answered what was out.
    pub(super) fn answered(&mut self) {
        if self.out().is_some() {
            self.drop_flight();
        }
    }

    /// Drops whatever flight there is.
    pub(super) fn drop_flight(&mut self) {
        *self.under_way_mut() = Self::Idle;
    }

    /// The flight that is out.
    pub(super) const fn out(&mut self) -> Option<&mut Out> {
        match self.under_way_mut() {
            Self::Awaiting(out) | Self::Requesting(out) => Some(out),
            _ => None,
        }
    }

    /// This end takes its time.
    pub(super) fn hold(&mut self) {
        if !self.is_held() {
            *self = Self::Held(Box::new(std::mem::take(self)));
        }
    }

    /// This end has made up its mind, and what is out waits from now on.
    pub(super) fn release(&mut self, now: Instant) {
        if let Self::Held(held) = self {
            let held = std::mem::take(&mut **held);
            *self = held;
        }
        self.rewind(now);
    }

    /// Whether this end takes its time.
    #[inline]
    pub(super) const fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Whether some part of a flight is in this epoch.
    pub(super) fn uses(&self, epoch: Epoch) -> bool {
        match self.under_way() {
            Self::Building(flight) => flight.uses(epoch),
            Self::Awaiting(out) | Self::Requesting(out) => out.flight.uses(epoch),
            _ => false,
        }
    }

    const fn timer(&self) -> Option<&Timer> {
        match self.under_way() {
            Self::Awaiting(out) | Self::Requesting(out) => out.timer.as_ref(),
            _ => None,
        }
    }

    /// When the flight is sent again.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Awaiting(out) | Self::Requesting(out) => out.timer.map(|it| it.deadline()),
            _ => None,
        }
    }

    /// Whether the flight has waited for its answer as long as it does before it is sent again.
    pub(super) fn is_unanswered(&self, now: Instant, pace: &Pace) -> bool {
        self.timer().is_some_and(|timer| timer.is_due(now, pace))
    }

    /// How often the flight was sent again.
    pub(super) fn retransmissions(&self) -> u32 {
        self.timer().map_or(0, Timer::retransmissions)
    }

    /// How long the rest of a flight of the peer is waited for before the part that is here is
    /// acknowledged: a quarter of the retransmission timer (RFC 9147 §7.1), or of the first one
    /// where none runs.
    pub(super) fn patience(&self, pace: &Pace) -> Duration {
        self.timer().map_or(pace.initial(), Timer::timeout) / 4
    }

    /// Goes on with another first timeout.
    pub(super) fn rescale(&mut self, pace: &Pace) {
        if let Some(timer) = self.out().and_then(|out| out.timer.as_mut()) {
            timer.rescale(pace);
        }
    }

    /// Waits as long as it did once more.
    pub(super) fn rewind(&mut self, now: Instant) {
        if let Some(timer) = self.out().and_then(|out| out.timer.as_mut()) {
            timer.rewind(now);
        }
    }

    /// Nothing is sent again by itself any more.
    pub(super) fn stop_timer(&mut self) {
        if let Some(out) = self.out() {
            out.timer = None;
        }
    }

    /// Looks whether the timer is due.
    pub(super) fn fire(&mut self, now: Instant, pace: &mut Pace) -> Fired {
        match self {
            Self::Awaiting(out) | Self::Requesting(out) => match &mut out.timer {
                Some(timer) => timer.fire(now, pace),
                None => Fired::NotYet,
            },
            _ => Fired::NotYet,
        }
    }

    /// Sends the flight that is out again.
    pub(super) fn repeat(&mut self, means: &mut Means<'_>, acknowledged: bool) {
        let out = match self.under_way_mut() {
            Self::Awaiting(out) => {
                // The client has begun, but perhaps by itself, and then it waits for the number of
                // the HelloRequest.
                out.flight.withdraw_request();
                out
            }
            Self::Requesting(out) => out,
            _ => return,
        };
        out.flight.transmit(means, acknowledged);
        means.stats.flight_retransmitted();
    }

    /// Sends the flight that is out from its beginning if it was cut into datagrams of more than
    /// `limit` bytes.
    pub(super) fn start_over_within(
        &mut self,
        limit: usize,
        means: &mut Means<'_>,
        acknowledged: bool,
    ) {
        if let Some(out) = self.out()
            && out.flight.start_over_within(limit)
        {
            out.flight.transmit(means, acknowledged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::outgoing::Outgoing;
    use super::super::super::records::Records;
    use super::super::sent::MAX_BURST;
    use super::*;
    use crate::config::DatagramPolicy;
    use crate::protocol::{HandshakeType, MessageSeq, Path};
    use crate::record::Stats;
    use std::sync::Arc;

    fn push(sending: &mut Sending, side: Side, seq: u16, typ: HandshakeType) {
        sending.build(side, |flight| {
            flight.push_message(Epoch::PLAINTEXT, MessageSeq(seq), typ, Vec::new());
        });
    }

    /// Sends what is under construction; how many records leave.
    fn transmit(flight: &mut Flight) -> u64 {
        let mut stats = Stats::default();
        flight.transmit(
            &mut Means {
                records: &mut Records::new(0),
                outgoing: &mut Outgoing::new(Path::UNSPECIFIED, 1200, usize::MAX),
                stats: &mut stats,
                burst: MAX_BURST,
            },
            false,
        );
        stats.records_sent()
    }

    fn pace() -> Pace {
        let policy = DatagramPolicy::default().timer_jitter(0).unwrap();
        Pace::new(Arc::new(policy), super::super::Jitter::seeded(1))
    }

    /// RFC 6347 §4.2.2: a HelloRequest stays the first message of the flight that answers the hello
    /// which it has brought about. A client's first hello has left already when it is repeated.
    #[test]
    fn a_request_leads_the_next_flight_and_an_answered_flight_does_not() {
        let (now, mut pace) = (crate::test_now(), pace());
        for (side, request, records) in [
            (Side::Server, true, 2),
            (Side::Client, true, 1),
            (Side::Server, false, 1),
        ] {
            let mut sending = Sending::Idle;
            push(&mut sending, side, 0, HandshakeType::HELLO_REQUEST);
            let mut flight = sending.finish().unwrap();
            assert_eq!(transmit(&mut flight), 1);
            sending.wait(*flight, Timer::start(now, &mut pace), request);
            push(&mut sending, side, 1, HandshakeType::SERVER_HELLO);
            assert_eq!(sending.deadline(), None, "it is not out any more");
            assert_eq!(
                transmit(&mut sending.finish().unwrap()),
                records,
                "{side:?}"
            );
        }
    }

    #[test]
    fn a_held_flight_waits_anew_when_this_end_has_made_up_its_mind() {
        let (now, mut pace) = (crate::test_now(), pace());
        let mut sending = Sending::Idle;
        push(&mut sending, Side::Client, 0, HandshakeType::CLIENT_HELLO);
        let flight = sending.finish().unwrap();
        sending.wait(*flight, Timer::start(now, &mut pace), false);
        sending.hold();
        sending.hold();
        let later = now + Duration::from_secs(5);
        assert_eq!(sending.deadline(), None);
        assert_eq!(sending.fire(later, &mut pace), Fired::NotYet);
        // What is out can be answered meanwhile, and what is built goes on being built.
        assert!(sending.out().is_some() && sending.finish().is_none());
        sending.release(later);
        assert_eq!(sending.deadline(), Some(later + pace.initial()));
        sending.hold();
        sending.answered();
        push(&mut sending, Side::Client, 1, HandshakeType::FINISHED);
        assert!(sending.is_held() && sending.finish().is_some());
    }
}
