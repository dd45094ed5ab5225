//! Randomness, as a value that a configuration holds.

use crate::error::Error;
use ring::rand::SecureRandom as _;
use std::fmt;

/// A source of unpredictable bytes: hello randoms, session IDs and cookie keys come from here.
///
/// Key shares and ECDSA signatures do not: `ring` takes their randomness from the system by itself, so a
/// seeded source makes a run repeatable only with X25519-free traces in mind.
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
        ring::rand::SystemRandom::new()
            .fill(out)
            .map_err(|_| Error::RandomFailed)
    }
}
