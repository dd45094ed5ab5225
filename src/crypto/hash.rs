//! Hash functions.

use ring::digest;

/// A hash function of a cipher suite or of a certificate fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl HashAlgorithm {
    const fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
        }
    }

    /// The length of a digest, in bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The digest of `data`.
    pub(crate) fn digest(self, data: &[u8]) -> Digest {
        Digest(digest::digest(self.ring(), data))
    }

    /// A running hash.
    pub(crate) fn start(self) -> HashContext {
        HashContext(digest::Context::new(self.ring()))
    }
}

/// A running hash; cloning it takes a snapshot.
#[derive(Clone)]
pub(crate) struct HashContext(digest::Context);

impl HashContext {
    /// Adds `data`.
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of everything added so far; the context goes on.
    pub(crate) fn snapshot(&self) -> Digest {
        Digest(self.0.clone().finish())
    }
}

/// The output of a hash function.
#[derive(Clone, Copy)]
pub(crate) struct Digest(digest::Digest);

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}
