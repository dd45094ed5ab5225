//! The only place that reads the monotonic clock.

use std::time::Instant;

/// The present.
#[expect(
    clippy::disallowed_methods,
    reason = "net/ is the only floor that reads the clock"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
