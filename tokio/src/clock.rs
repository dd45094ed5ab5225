//! The monotonic clock of the system, which tokio's timers follow too.

use std::time::Instant;

/// The present.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clock is read"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
