//! The wait behind the last alert of a stream.
//!
//! RFC 1122 §4.2.2.13: a host that closes a connection with unread data in it may reset it, and the peer's system then drops what the
//! peer has not read yet. So this end ends its own direction, reads and drops what still comes, and closes when the peer has ended
//! too; for a bounded time and a bounded amount, because nobody has to.

use std::time::{Duration, Instant};

/// How long the peer is waited for: a round trip of a bad network, and the time to read an alert.
const TIME: Duration = Duration::from_secs(2);

/// How much of what it still sends is read, in bytes.
const AMOUNT: usize = 1 << 20;

/// Whether, and how much longer, the peer is waited for.
#[derive(Clone, Copy, Default, Debug)]
pub(super) enum Linger {
    /// There is no alert to wait for.
    #[default]
    Idle,
    /// An alert is out.
    Waiting {
        until: Instant,
        /// How many more bytes are read.
        left: usize,
    },
    /// It was long enough.
    Over,
}

impl Linger {
    /// An alert is out. A second time changes nothing.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Self::Idle = self {
            *self = Self::Waiting {
                until: now + TIME,
                left: AMOUNT,
            };
        }
    }

    /// The peer has ended, or nothing can come any more.
    pub(super) const fn end(&mut self) {
        *self = Self::Over;
    }

    /// So much came and was dropped.
    pub(super) fn dropped(&mut self, length: usize) {
        if let Self::Waiting { left, .. } = self {
            *left = left.saturating_sub(length);
        }
    }

    /// Looks whether it was long enough.
    pub(super) fn look(&mut self, now: Instant) {
        if let Self::Waiting { until, left } = *self
            && (until <= now || left == 0)
        {
            *self = Self::Over;
        }
    }

    /// Whether the peer is waited for.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    /// When it is long enough.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Waiting { until, .. } => Some(*until),
            _ => None,
        }
    }
}
