//! The one place that reads the monotonic clock.

use std::time::Instant;

/// The present.
#[expect(clippy::disallowed_methods, reason = "net/ is where time comes in")]
pub(super) fn now() -> Instant {
    Instant::now()
}
