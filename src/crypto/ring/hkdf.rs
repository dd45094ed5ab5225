//! Extract and expand (RFC 5869).

use crate::crypto::algorithm::HashAlgorithm;
use ring::hkdf;

/// What is extracted with.
pub(crate) struct Salt(hkdf::Salt);

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

impl Salt {
    pub(crate) fn new(hash: HashAlgorithm, salt: &[u8]) -> Self {
        Self(hkdf::Salt::new(algorithm(hash), salt))
    }

    pub(crate) fn extract(&self, secret: &[u8]) -> Prk {
        Prk(self.0.extract(secret))
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
