//! What this end owes its peer: acknowledgements of handshake records (RFC 9147 §7.1).
//!
//! ```text
//!  a record of the handshake arrives ──► entered ──┬─ out of order, for the first time in a flight ──► told at once
//!                                                  ├─ as many more as half a burst ──────────────────► told at once
//!                                                  ├─ the rest of the flight is missing ─────────────► told after a while
//!                                                  ├─ nothing answers it: final flight, ticket, … ───► told at once
//!                                                  └─ this end's next flight ────────────────────────► says it all
//! ```

use crate::protocol::{Epoch, RecordNumber};
use crate::wire::ack::NUMBER_LEN;
use std::time::{Duration, Instant};

/// How many records are remembered: more than a flight of 60 kB has in datagrams of 1,200 bytes. Of more the oldest are
/// forgotten, and sent again in vain.
const MAX_NUMBERS: usize = 64;

/// How many records the peer is told of while the rest of its flight is missing: half of what it sends before it hears
/// anything (RFC 9147 §5.8.3), so that it goes on although the last ones of a burst were lost.
const MAX_UNTOLD: usize = 5;

/// The handshake records that have come and that the peer has not been told of.
#[derive(Default)]
pub(super) struct Acks {
    numbers: Vec<RecordNumber>,
    /// How many were entered since the peer was told last.
    untold: usize,
    /// When the peer is told, if nothing else happens.
    due: Option<Instant>,
    /// The peer is told as soon as the datagram is through.
    urgent: bool,
    /// A disruption of this flight was told already: what arrives behind it is not worth a message each.
    disrupted: bool,
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
        self.due.get_or_insert(now + patience);
    }

    /// Goes on with another patience.
    pub(super) fn rescale(&mut self, before: Duration, after: Duration) {
        if let Some(due) = &mut self.due {
            *due = *due - before + after;
        }
    }

    /// So much has come of a flight that its sender may wait for a word before it goes on.
    pub(super) const fn tell_progress(&mut self) {
        self.urgent |= self.untold >= MAX_UNTOLD;
    }

    /// Something is missing in the middle of a flight.
    pub(super) const fn tell_disruption(&mut self) {
        self.urgent |= !self.disrupted;
        self.disrupted = true;
    }

    /// Tells the peer as soon as the datagram is through.
    pub(super) const fn tell_at_once(&mut self) {
        self.urgent = true;
    }

    /// When the peer is told.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the peer is told now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Whether the peer is told when the datagram is through.
    pub(super) const fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// The numbers to tell, in rising order and at most as many as `room` bytes hold, the newest if not all fit.
    pub(super) fn tell(&mut self, room: usize) -> &[RecordNumber] {
        self.due = None;
        self.urgent = false;
        self.untold = 0;
        let count = (room / NUMBER_LEN).min(self.numbers.len());
        &self.numbers[self.numbers.len() - count..]
    }

    /// Forgets everything: the next flight of this end says it, or the peer has been told for good.
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
