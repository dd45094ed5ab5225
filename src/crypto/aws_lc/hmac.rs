//! Keyed hashes.

use crate::crypto::algorithm::HashAlgorithm;
use aws_lc_rs::hmac;

/// An expanded key.
#[derive(Clone)]
pub(crate) struct Key(hmac::Key);

/// The output of HMAC, as long as a digest.
#[derive(Clone, Copy)]
pub(crate) struct Tag(hmac::Tag);

impl AsRef<[u8]> for Tag {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

pub(super) const fn algorithm(hash: HashAlgorithm) -> hmac::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
    }
}

impl Key {
    pub(crate) fn new(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(hmac::Key::new(algorithm(hash), secret))
    }

    pub(crate) fn sign<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        Tag(context.sign())
    }
}
