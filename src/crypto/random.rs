//! Randomness, as a value that a configuration holds.

use super::provider::random;
use crate::error::Error;
use std::fmt;

/// A source of unpredictable bytes: hello randoms, session IDs and cookie keys come from here.
///
/// Key shares, ECDSA and RSA-PSS signatures do not: the provider draws theirs from the system by
/// itself, so a seeded source does not make the bytes of a handshake repeatable.
pub trait SecureRandom: Send + Sync + fmt::Debug {
    /// Fills `out`.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`] if the source is not available; the association that asked ends.
    fn fill(&self, out: &mut [u8]) -> Result<(), Error>;
}

/// The system's generator.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        random::fill(out).ok_or(Error::RandomFailed)
    }
}
