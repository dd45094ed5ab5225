//! Deadlines. The only place in this crate that reads the clock.

use std::time::{Duration, Instant};

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    end: Instant,
}

impl Deadline {
    /// The moment that lies `limit` ahead of now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        let started = now();
        Self {
            started,
            end: started + limit,
        }
    }

    /// The earlier one of this deadline and `limit` from now.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        let inner = Self::after(limit);
        Self {
            started: inner.started,
            end: inner.end.min(self.end),
        }
    }

    /// The time left, zero once the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.end.saturating_duration_since(now())
    }

    /// Whether no time is left.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The time since this deadline was set.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        now().duration_since(self.started)
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the library core is clock-free; a test of real processes is not"
)]
fn now() -> Instant {
    Instant::now()
}
