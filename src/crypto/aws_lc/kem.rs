//! ML-KEM-768 (FIPS 203). `aws-lc-rs` draws the randomness by itself.

use crate::crypto::algorithm::SharedSecret;
use crate::error::{Error, PeerMisbehaved};
use aws_lc_rs::kem::{self, AlgorithmId, ML_KEM_768};
use zeroize::Zeroizing;

/// Whether there is any.
pub(crate) const AVAILABLE: bool = true;

/// An ephemeral decapsulation key.
pub(crate) struct DecapsulationKey(kem::DecapsulationKey<AlgorithmId>);

impl DecapsulationKey {
    /// `None` if there is no randomness.
    pub(crate) fn generate() -> Option<Self> {
        kem::DecapsulationKey::generate(&ML_KEM_768).map(Self).ok()
    }

    /// The public half, in the form that is sent.
    pub(crate) fn encapsulation_key(&self) -> Option<Vec<u8>> {
        let key = self.0.encapsulation_key().ok()?;
        Some(key.key_bytes().ok()?.as_ref().to_vec())
    }

    /// The secret that `ciphertext` hides; one that nobody else knows if it hides none for this
    /// key (FIPS 203 §6.3). `None` if it has another length.
    pub(crate) fn decapsulate(self, ciphertext: &[u8]) -> Option<SharedSecret> {
        let secret = self.0.decapsulate(ciphertext.into()).ok()?;
        Some(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

/// A ciphertext for the holder of `encapsulation_key`, which is a peer's, and the secret in it.
pub(crate) fn encapsulate(encapsulation_key: &[u8]) -> Result<(Vec<u8>, SharedSecret), Error> {
    let key = kem::EncapsulationKey::new(&ML_KEM_768, encapsulation_key);
    let key = key.map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
    // FIPS 203 §7.2: the coefficients are checked here (AWS-LC's `mlk_kem_check_pk`).
    let encapsulated = key.encapsulate();
    let (ciphertext, secret) = encapsulated.map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
    let secret = Zeroizing::new(secret.as_ref().to_vec());
    Ok((ciphertext.as_ref().to_vec(), secret))
}
