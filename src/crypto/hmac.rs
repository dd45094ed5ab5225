//! Keyed hashes.

use super::hash::HashAlgorithm;
use super::provider::hmac;
pub(crate) use super::provider::hmac::Tag;

/// A key for HMAC, expanded.
#[derive(Clone)]
pub(crate) struct HmacKey(hmac::Key);

impl HmacKey {
    /// A key from `secret`, of any length.
    pub(crate) fn new(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(hmac::Key::new(hash, secret))
    }

    /// The tag of the concatenation of `parts`.
    pub(crate) fn sign<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Tag {
        self.0.sign(parts)
    }
}
