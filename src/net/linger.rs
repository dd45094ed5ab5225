//! The wait after the last alert of a stream.
//!
//! RFC 1122 §4.2.2.13: a host that closes a connection with unread data in it may reset it, and the
//! peer's system then drops what the peer has not read yet. So this end writes the alert and ends
//! its own direction, reads and drops what still comes, and closes when the peer has ended its
//! direction too. Time and amount are bounded, because the peer may never do so.
//!
//! ```text
//!              begin            flushed                       the peer has ended, or
//!   ─► Idle ──────────► Flushing ──────────► Waiting ──────── the time, or the amount ─► Over
//!                          └─────── the time, or the amount, each alone ──────────────────▲
//! ```

use std::time::{Duration, Instant};

/// How long the alert may take to get into the socket, and then how long this end waits for the
/// peer: a round trip of a bad network, and the time to read an alert.
const TIME: Duration = Duration::from_secs(2);

/// How much of what the peer still sends is read in each of the two waits, in bytes.
const AMOUNT: usize = 1 << 20;

/// Whether this end waits for the peer, and how much longer.
#[derive(Clone, Copy, Default, Debug)]
pub(super) enum Linger {
    /// There is no alert to wait for.
    #[default]
    Idle,
    /// An alert is sealed, but it, or what was written before it, is not yet in the socket.
    Flushing(Bound),
    /// This end has sent everything, and ended its direction.
    Waiting(Bound),
    /// The wait is over.
    Over,
}

/// What is left of the time and the amount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    until: Instant,
    /// How many more bytes are read.
    left: usize,
}

impl Bound {
    fn new(now: Instant) -> Self {
        Self {
            until: now + TIME,
            left: AMOUNT,
        }
    }
}

impl Linger {
    /// An alert is sealed. A second time changes nothing.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Self::Idle = self {
            *self = Self::Flushing(Bound::new(now));
        }
    }

    /// Updates the state: `output_ended` is whether this end has sent everything, `input_ended`
    /// whether the peer has ended its direction.
    pub(super) fn look(&mut self, now: Instant, output_ended: bool, input_ended: bool) {
        if let Self::Flushing(_) = self
            && output_ended
        {
            *self = Self::Waiting(Bound::new(now));
        }
        let enough = match *self {
            Self::Flushing(bound) => bound.until <= now || bound.left == 0,
            Self::Waiting(bound) => input_ended || bound.until <= now || bound.left == 0,
            Self::Idle | Self::Over => false,
        };
        if enough {
            *self = Self::Over;
        }
    }

    /// Counts bytes that came and were dropped.
    pub(super) fn dropped(&mut self, length: usize) {
        if let Self::Flushing(bound) | Self::Waiting(bound) = self {
            bound.left = bound.left.saturating_sub(length);
        }
    }

    /// Whether this end still waits for the peer.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Flushing(_) | Self::Waiting(_))
    }

    /// When the wait ends at the latest.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Flushing(bound) | Self::Waiting(bound) => Some(bound.until),
            Self::Idle | Self::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    #[test]
    fn the_wait_begins_when_everything_was_said() {
        let (mut linger, now) = (Linger::default(), clock::now());
        linger.look(now, false, true);
        assert!(!linger.is_waiting());
        linger.begin(now);
        // A peer that sends nothing more may still be reading.
        linger.look(now, false, true);
        assert_eq!(linger.deadline(), Some(now + TIME));
        let flushed = now + TIME / 2;
        linger.look(flushed, true, false);
        assert_eq!(linger.deadline(), Some(flushed + TIME));
        linger.look(now + TIME, true, false);
        assert!(linger.is_waiting());
        linger.look(now + TIME, true, true);
        assert!(!linger.is_waiting());
        linger.begin(now + TIME);
        assert!(!linger.is_waiting(), "once");
    }

    #[test]
    fn a_peer_that_reads_nothing_is_waited_for_as_long() {
        let (mut linger, now) = (Linger::default(), clock::now());
        linger.begin(now);
        linger.look(now + TIME, false, false);
        assert!(!linger.is_waiting());
        let mut linger = Linger::default();
        linger.begin(now);
        linger.dropped(AMOUNT);
        linger.look(now, false, false);
        assert!(!linger.is_waiting());
        // What came before everything was sent does not count after it.
        let mut linger = Linger::default();
        linger.begin(now);
        linger.dropped(AMOUNT - 1);
        linger.look(now, true, false);
        linger.dropped(AMOUNT - 1);
        linger.look(now, true, false);
        assert!(linger.is_waiting());
    }
}
