//! ML-KEM-768 (FIPS 203) of RustCrypto, for a provider that has none. The randomness is the
//! provider's.

use super::algorithm::SharedSecret;
use super::provider::random;
use crate::error::{Error, PeerMisbehaved};
use ml_kem::{B32, EncapsulationKey, KeyExport as _, MlKem768, Seed};
use zeroize::{Zeroize as _, Zeroizing};

/// Whether there is any.
pub(crate) const AVAILABLE: bool = true;

/// An ephemeral decapsulation key.
pub(crate) struct DecapsulationKey(ml_kem::DecapsulationKey<MlKem768>);

impl DecapsulationKey {
    /// `None` if there is no randomness.
    pub(crate) fn generate() -> Option<Self> {
        let mut seed = Seed::default();
        random::fill(&mut seed)?;
        let key = ml_kem::DecapsulationKey::from_seed(seed);
        seed.zeroize();
        Some(Self(key))
    }

    /// The public half, in the form that is sent.
    pub(crate) fn encapsulation_key(&self) -> Option<Vec<u8>> {
        Some(self.0.encapsulation_key().to_bytes().to_vec())
    }

    /// The secret that `ciphertext` hides; one that nobody else knows if it hides none for this
    /// key (FIPS 203 §6.3). `None` if it has another length.
    pub(crate) fn decapsulate(self, ciphertext: &[u8]) -> Option<SharedSecret> {
        use ml_kem::Decapsulate as _;
        let mut secret = self.0.decapsulate_slice(ciphertext).ok()?;
        let copy = Zeroizing::new(secret.to_vec());
        secret.zeroize();
        Some(copy)
    }
}

/// A ciphertext for the holder of `encapsulation_key`, which is a peer's, and the secret in it.
pub(crate) fn encapsulate(encapsulation_key: &[u8]) -> Result<(Vec<u8>, SharedSecret), Error> {
    let key = encapsulation_key.try_into().ok();
    // FIPS 203 §7.2: the coefficients are checked here.
    let key = key.and_then(|key| EncapsulationKey::<MlKem768>::new(key).ok());
    let key = key.ok_or(PeerMisbehaved::InvalidKeyShare)?;
    let mut message = Zeroizing::new(B32::default());
    random::fill(&mut message[..]).ok_or(Error::RandomFailed)?;
    let (ciphertext, mut secret) = key.encapsulate_deterministic(&message);
    let copy = Zeroizing::new(secret.to_vec());
    secret.zeroize();
    Ok((ciphertext.to_vec(), copy))
}
