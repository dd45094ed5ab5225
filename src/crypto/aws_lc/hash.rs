//! Hash functions.

use crate::crypto::algorithm::HashAlgorithm;
use aws_lc_rs::digest;

/// What there is.
pub(crate) const ALGORITHMS: &[HashAlgorithm] = &[HashAlgorithm::Sha256, HashAlgorithm::Sha384];

/// The output of a hash function: [`HashAlgorithm::len`] bytes.
#[derive(Clone, Copy)]
pub(crate) struct Digest(digest::Digest);

impl AsRef<[u8]> for Digest {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

/// A running hash.
#[derive(Clone)]
pub(crate) struct Running(digest::Context);

const fn algorithm(hash: HashAlgorithm) -> &'static digest::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
    }
}

/// The digest of `data`.
pub(crate) fn digest(hash: HashAlgorithm, data: &[u8]) -> Digest {
    Digest(digest::digest(algorithm(hash), data))
}

impl Running {
    pub(crate) fn new(hash: HashAlgorithm) -> Self {
        Self(digest::Context::new(algorithm(hash)))
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(crate) fn snapshot(&self) -> Digest {
        Digest(self.0.clone().finish())
    }
}
