//! Extract and expand (RFC 5869).

use crate::crypto::algorithm::HashAlgorithm;
use ring::hkdf;

/// A pseudorandom key.
#[derive(Clone)]
pub(crate) struct Prk(hkdf::Prk);

/// The length of an output, in the form that `ring` wants.
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

impl Prk {
    pub(crate) fn extract(hash: HashAlgorithm, salt: &[u8], secret: &[u8]) -> Self {
        Self(hkdf::Salt::new(algorithm(hash), salt).extract(secret))
    }

    pub(crate) fn from_secret(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(hkdf::Prk::new_less_safe(algorithm(hash), secret))
    }

    /// Fills `out`; `None` if that is more than 255 digests.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Option<()> {
        let okm = self.0.expand(info, Length(out.len())).ok()?;
        okm.fill(out).ok()
    }
}
