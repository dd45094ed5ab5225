//! Extract and expand (RFC 5869).

use super::hash::HashAlgorithm;
use ring::hkdf;

/// A pseudorandom key: what extraction makes and expansion reads.
#[derive(Clone)]
pub(crate) struct Prk(hkdf::Prk);

/// The length of an output, in the form that `ring` wants.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

const fn ring(hash: HashAlgorithm) -> hkdf::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => hkdf::HKDF_SHA256,
        HashAlgorithm::Sha384 => hkdf::HKDF_SHA384,
    }
}

impl Prk {
    /// `HKDF-Extract(salt, secret)`.
    pub(crate) fn extract(hash: HashAlgorithm, salt: &[u8], secret: &[u8]) -> Self {
        Self(hkdf::Salt::new(ring(hash), salt).extract(secret))
    }

    /// A secret that is as good as an extracted one: it was expanded from one.
    pub(crate) fn from_secret(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(hkdf::Prk::new_less_safe(ring(hash), secret))
    }

    /// Fills `out` with `HKDF-Expand(self, info, out.len())`, where the info is the concatenation of `info`.
    ///
    /// # Panics
    ///
    /// Beyond 255 digests of output; the key schedule asks for two at most, and the exporter checks.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        self.0
            .expand(info, Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .expect("the caller stays below 255 digests");
    }
}

/// The most that one expansion gives, in bytes.
pub(crate) const fn max_output(hash: HashAlgorithm) -> usize {
    255 * hash.len()
}
