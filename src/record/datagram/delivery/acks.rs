//! What this end owes its peer: acknowledgements of handshake records (RFC 9147 §7.1).
//!
//! ```text
//!  a handshake record arrives
//!   └─► entered ─┬─ the first one out of order in a flight ──► told at once
//!                ├─ as many more as half a burst ────────────► told at once
//!                ├─ the rest of the flight is missing ───────► told after a while
//!                ├─ no flight answers it (tickets, …) ───────► told at once
//!                └─ this end's next flight leaves ───────────► need not be told
//! ```

use crate::protocol::{Epoch, RecordNumber};
use crate::wire::ack::NUMBER_LEN;
use std::time::{Duration, Instant};

/// How many records are remembered: more than a flight of 60 kB has in datagrams of 1,200 bytes. If
/// there are more, the oldest are forgotten, and the peer sends them again in vain.
const MAX_NUMBERS: usize = 64;

/// How many records the peer is told of while the rest of its flight is missing: half of what it
/// sends before it hears anything (RFC 9147 §5.8.3), so that it goes on even if the last records of
/// a burst are lost.
const MAX_UNTOLD: usize = 5;

/// The handshake records that have come and that the peer has not been told of.
#[derive(Default)]
pub(super) struct Acks {
    numbers: Vec<RecordNumber>,
    /// How many were entered since the peer was told last.
    untold: usize,
    due: Due,
    /// A gap in this flight was told already: what arrives after it is not worth a message each.
    disrupted: bool,
}

/// When the peer is told, if no flight of this end says it all before.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Due {
    /// That is not planned.
    #[default]
    Never,
    /// At this moment.
    At(Instant),
    /// As soon as the datagram is through.
    AtOnce,
}

impl Acks {
    /// Enters a record whose contents were taken, kept, or known already.
    pub(super) fn enter(&mut self, number: RecordNumber) {
        let Err(place) = self.numbers.binary_search(&number) else {
            return;
        };
        self.numbers.insert(place, number);
        self.untold += 1;
        if self.numbers.len() > MAX_NUMBERS {
            self.numbers.remove(0);
        }
    }

    /// Forgets what came without protection: anybody may have sent it.
    pub(super) fn forget_plaintext(&mut self) {
        self.numbers
            .retain(|number| number.epoch > Epoch::PLAINTEXT);
    }

    /// Tells the peer after `patience`, unless that is planned already.
    pub(super) fn tell_after(&mut self, now: Instant, patience: Duration) {
        if self.due == Due::Never {
            self.due = Due::At(now + patience);
        }
    }

    /// Changes the patience, and what is planned with it.
    pub(super) fn rescale(&mut self, before: Duration, after: Duration) {
        if let Due::At(due) = &mut self.due {
            *due = *due - before + after;
        }
    }

    /// So much of a flight may have come that its sender waits for an acknowledgement before it
    /// goes on.
    pub(super) const fn tell_progress(&mut self) {
        if self.untold >= MAX_UNTOLD {
            self.tell_at_once();
        }
    }

    /// Something is missing in the middle of a flight.
    pub(super) const fn tell_disruption(&mut self) {
        if !self.disrupted {
            self.tell_at_once();
        }
        self.disrupted = true;
    }

    /// Tells the peer as soon as the datagram is through.
    pub(super) const fn tell_at_once(&mut self) {
        self.due = Due::AtOnce;
    }

    /// When the peer is told.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.due {
            Due::At(due) => Some(due),
            _ => None,
        }
    }

    /// Whether the peer is told now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|due| due <= now)
    }

    /// Whether the peer is told when the datagram is through.
    #[inline]
    pub(super) const fn is_urgent(&self) -> bool {
        matches!(self.due, Due::AtOnce)
    }

    /// The numbers to tell, in rising order and at most as many as `room` bytes hold, the newest if
    /// not all fit.
    pub(super) fn tell(&mut self, room: usize) -> &[RecordNumber] {
        self.due = Due::Never;
        self.untold = 0;
        let count = (room / NUMBER_LEN).min(self.numbers.len());
        &self.numbers[self.numbers.len() - count..]
    }

    /// Gives back what no number needs.
    pub(super) fn release(&mut self) {
        self.numbers.shrink_to_fit();
    }

    /// Forgets everything: this end's next flight acknowledges it, or the peer has been told for
    /// good.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(sequence: u64) -> RecordNumber {
        RecordNumber {
            epoch: Epoch::HANDSHAKE_13,
            sequence,
        }
    }

    /// RFC 9147 §7: in rising order, each once; the newest if there is not room for all.
    #[test]
    fn r9147_37_numbers_are_told_in_rising_order_and_once() {
        let mut acks = Acks::default();
        for sequence in [3, 1, 2, 3] {
            acks.enter(number(sequence));
        }
        assert_eq!(acks.tell(1000), [number(1), number(2), number(3)]);
        assert_eq!(acks.tell(2 * NUMBER_LEN + 1), [number(2), number(3)]);
        for sequence in 0..1000 {
            acks.enter(number(sequence));
        }
        assert_eq!(acks.tell(usize::MAX).len(), MAX_NUMBERS);
    }

    #[test]
    fn only_the_first_disruption_of_a_flight_is_urgent() {
        let mut acks = Acks::default();
        acks.enter(number(1));
        acks.tell_disruption();
        assert!(acks.is_urgent());
        acks.tell(1000);
        acks.tell_disruption();
        assert!(!acks.is_urgent());
        acks.clear();
        acks.tell_disruption();
        assert!(acks.is_urgent());
    }
}
