//! Extract and expand (RFC 5869).

use crate::crypto::algorithm::HashAlgorithm;
use aws_lc_rs::{hkdf, hmac};

/// What is extracted with.
pub(crate) struct Salt {
    hash: HashAlgorithm,
    key: hmac::Key,
}

/// A pseudorandom key.
#[derive(Clone)]
pub(crate) struct Prk(hkdf::Prk);

/// The length of an output, in the form that `aws-lc-rs` wants.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

const fn algorithm(hash: HashAlgorithm) -> hkdf::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => hkdf::HKDF_SHA256,
        HashAlgorithm::Sha384 => hkdf::HKDF_SHA384,
    }
}

impl Salt {
    pub(crate) fn new(hash: HashAlgorithm, salt: &[u8]) -> Self {
        let key = hmac::Key::new(super::hmac::algorithm(hash), salt);
        Self { hash, key }
    }

    /// RFC 5869 §2.2: to extract is one HMAC. `hkdf::Salt` would keep the secret, and extract again
    /// for each expansion.
    pub(crate) fn extract(&self, secret: &[u8]) -> Prk {
        Prk::from_secret(self.hash, hmac::sign(&self.key, secret).as_ref())
    }
}

impl Prk {
    pub(crate) fn from_secret(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(hkdf::Prk::new_less_safe(algorithm(hash), secret))
    }

    /// Fills `out`; `None` if that is more than 255 digests.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Option<()> {
        let okm = self.0.expand(info, Length(out.len())).ok()?;
        okm.fill(out).ok()
    }
}
