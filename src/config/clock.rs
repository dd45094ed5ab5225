//! Wall-clock time, for the validity of certificates. Timers never use it.

use pki_types::UnixTime;
use std::fmt;

/// Tells the date.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn unix_now(&self) -> UnixTime;
}

/// The system's clock.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_now(&self) -> UnixTime {
        UnixTime::now()
    }
}
