//! The simulated clock: it advances only when the runner says so.

use sealgram::config::Clock;
use sealgram::pki_types::UnixTime;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number of nanoseconds since an arbitrary beginning.
#[derive(Debug)]
pub(crate) struct SimulatedClock {
    origin: Instant,
    elapsed: AtomicU64,
}

/// The wall clock at the beginning: within the validity of the runner's certificates, which nothing
/// checks.
const BEGINNING: Duration = Duration::from_secs(1_780_000_000);

impl SimulatedClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the origin of simulated time; nothing waits for it"
    )]
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            elapsed: AtomicU64::new(0),
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed.load(Ordering::Relaxed))
    }

    /// The present, for timers.
    pub(crate) fn now(&self) -> Instant {
        self.origin + self.elapsed()
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, nanoseconds: u64) {
        self.elapsed.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// The date, for sessions.
impl Clock for SimulatedClock {
    fn unix_now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(BEGINNING + self.elapsed())
    }
}
