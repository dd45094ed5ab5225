//! No ML-KEM: neither the provider has any nor is there a crate for it.

use super::algorithm::SharedSecret;
use crate::error::Error;
use std::convert::Infallible;

/// Whether there is any.
pub(crate) const AVAILABLE: bool = false;

/// There is none.
pub(crate) struct DecapsulationKey(Infallible);

impl DecapsulationKey {
    pub(crate) fn generate() -> Option<Self> {
        None
    }

    pub(crate) fn encapsulation_key(&self) -> Option<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) fn decapsulate(self, _ciphertext: &[u8]) -> Option<SharedSecret> {
        match self.0 {}
    }
}

pub(crate) fn encapsulate(_key: &[u8]) -> Result<(Vec<u8>, SharedSecret), Error> {
    Err(Error::KeyExchangeFailed)
}
