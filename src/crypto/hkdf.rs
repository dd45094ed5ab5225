//! Extract and expand (RFC 5869).

use super::hash::HashAlgorithm;
use super::provider::hkdf;

/// A pseudorandom key: what extraction makes and expansion reads.
#[derive(Clone)]
pub(crate) struct Prk(hkdf::Prk);

impl Prk {
    /// `HKDF-Extract(salt, secret)`.
    pub(crate) fn extract(hash: HashAlgorithm, salt: &[u8], secret: &[u8]) -> Self {
        Self(hkdf::Prk::extract(hash, salt, secret))
    }

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
