//! Extract and expand (RFC 5869).

use super::hash::HashAlgorithm;
use super::provider::hkdf;

/// What is extracted with.
pub(crate) struct Salt(hkdf::Salt);

impl Salt {
    /// A salt of any length.
    pub(crate) fn new(hash: HashAlgorithm, salt: &[u8]) -> Self {
        Self(hkdf::Salt::new(hash, salt))
    }

    /// `HKDF-Extract(self, secret)`.
    pub(crate) fn extract(&self, secret: &[u8]) -> Prk {
        Prk(self.0.extract(secret))
    }
}

/// A pseudorandom key: what extraction makes and expansion reads.
#[derive(Clone)]
pub(crate) struct Prk(hkdf::Prk);

impl Prk {
    /// A secret that is as good as an extracted one: it was expanded from one.
    pub(crate) fn from_secret(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(hkdf::Prk::from_secret(hash, secret))
    }

    /// Fills `out` with `HKDF-Expand(self, info, out.len())`, where the info is the concatenation
    /// of `info`.
    ///
    /// # Panics
    ///
    /// Beyond 255 digests of output; the key schedule asks for two at most, and the exporter
    /// checks.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        let filled = self.0.expand(info, out);
        filled.expect("the caller stays below 255 digests");
    }
}

/// The most that one expansion gives, in bytes.
pub(crate) const fn max_output(hash: HashAlgorithm) -> usize {
    255 * hash.len()
}
