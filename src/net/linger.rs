//! The wait behind the last alert of a stream.
//!
//! RFC 1122 §4.2.2.13: a host that closes a connection with unread data in it may reset it, and the
//! peer's system then drops what the peer has not read yet. So this end writes the alert and ends
//! its own direction, reads and drops what still comes, and closes when the peer has ended too; for
//! a bounded time and a bounded amount, because nobody has to.
//!
//! ```text
//!              begin            flushed                       the peer has ended, or
//!   ─► Idle ──────────► Flushing ──────────► Waiting ──────── the time, or the amount ─► Over
//!                          └─────── the time, or the amount, each by itself ──────────────▲
//! ```

use std::time::{Duration, Instant};

/// How long the alert may take into the socket, and then how long the peer is waited for: a round
/// trip of a bad network, and the time to read an alert.
const TIME: Duration = Duration::from_secs(2);

/// How much of what the peer still sends is read in each of the two, in bytes.
const AMOUNT: usize = 1 << 20;

/// Whether, and how much longer, the peer is waited for.
#[derive(Clone, Copy, Default, Debug)]
pub(super) enum Linger {
    /// There is no alert to wait for.
    #[default]
    Idle,
    /// An alert is sealed; it, or what was said before it, is not in the socket yet.
    Flushing(Bound),
    /// This end has said everything, and ended its direction.
    Waiting(Bound),
    /// It was long enough.
    Over,
}

/// What is left of the patience.
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

    /// Looks how far it is: whether this end has said everything, and whether the peer has ended
    /// too.
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

    /// So much came and was dropped.
    pub(super) fn dropped(&mut self, length: usize) {
        if let Self::Flushing(bound) | Self::Waiting(bound) = self {
            bound.left = bound.left.saturating_sub(length);
        }
    }

    /// Whether the peer is waited for.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Flushing(_) | Self::Waiting(_))
    }

    /// When it is long enough.
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
        // What came before everything was said does not count behind it.
        let mut linger = Linger::default();
        linger.begin(now);
        linger.dropped(AMOUNT - 1);
        linger.look(now, true, false);
        linger.dropped(AMOUNT - 1);
        linger.look(now, true, false);
        assert!(linger.is_waiting());
    }
}
