//! The system's generator.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Fills `out` with unpredictable bytes; `None` if the system gives none.
pub(crate) fn fill(out: &mut [u8]) -> Option<()> {
    SystemRandom::new().fill(out).ok()
}
