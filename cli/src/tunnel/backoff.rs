//! How long to wait before the next attempt to reach the server.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// The pause before the first attempt after a failure, at most.
const FIRST: Duration = Duration::from_millis(500);

/// Exponential back-off with jitter: each pause is between half of its limit and the limit, so that
/// the flows of a server that has restarted do not all come at once, and the limit doubles with
/// each failure in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Never waits longer than `max`.
    pub(super) const fn new(max: Duration) -> Self {
        Self { max, failures: 0 }
    }

    /// The pause after another failure.
    pub(super) fn pause(&mut self) -> Duration {
        self.pause_at(fraction())
    }

    fn pause_at(&mut self, fraction: f64) -> Duration {
        let limit = FIRST
            .saturating_mul(1 << self.failures.min(20))
            .min(self.max);
        self.failures = self.failures.saturating_add(1);
        limit.mul_f64(0.5 + fraction / 2.0)
    }

    /// An attempt has succeeded.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Something between 0 and 1 that differs from call to call and from process to process. It need
/// not be unpredictable.
fn fraction() -> f64 {
    let drawn = RandomState::new().build_hasher().finish();
    let bits = u32::try_from(drawn >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_again_after_a_success() {
        let max = Duration::from_secs(3);
        let mut backoff = Backoff::new(max);
        for milliseconds in [500, 1000, 2000, 3000, 3000] {
            assert_eq!(backoff.pause_at(1.0), Duration::from_millis(milliseconds));
        }
        backoff.reset();
        assert_eq!(backoff.pause_at(0.0), FIRST / 2);
        for _ in 0..100 {
            assert!((max / 2..=max).contains(&backoff.pause()) || backoff.failures < 5);
        }
    }

    #[test]
    fn two_flows_do_not_wait_equally_long() {
        let mut pauses: Vec<_> = (0..100).map(|_| Backoff::new(FIRST).pause()).collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 50, "{}", pauses.len());
    }
}
