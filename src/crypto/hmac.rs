//! Keyed hashes.

use super::hash::HashAlgorithm;
use ring::hmac;

/// A key for HMAC, expanded.
#[derive(Clone)]
pub(crate) struct HmacKey(hmac::Key);

/// The output of HMAC.
#[derive(Clone, Copy)]
pub(crate) struct Tag(hmac::Tag);

impl HmacKey {
    /// A key from `secret`, of any length.
    pub(crate) fn new(hash: HashAlgorithm, secret: &[u8]) -> Self {
        let algorithm = match hash {
            HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
        };
        Self(hmac::Key::new(algorithm, secret))
    }

    /// The tag of the concatenation of `parts`.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        Tag(context.sign())
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}
