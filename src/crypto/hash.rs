//! Hash functions.

pub(crate) use super::algorithm::HashAlgorithm;
use super::provider::hash;
pub(crate) use super::provider::hash::Digest;

impl HashAlgorithm {
    /// Whether the provider has it.
    pub(super) fn is_supported(self) -> bool {
        hash::ALGORITHMS.contains(&self)
    }

    /// The digest of `data`.
    pub(crate) fn digest(self, data: &[u8]) -> Digest {
        hash::digest(self, data)
    }

    /// A running hash.
    pub(crate) fn start(self) -> RunningHash {
        RunningHash(hash::Running::new(self))
    }
}

/// A running hash; cloning it takes a snapshot.
#[derive(Clone)]
pub(crate) struct RunningHash(hash::Running);

impl RunningHash {
    /// Adds `data`.
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of everything added so far; the context goes on.
    pub(crate) fn snapshot(&self) -> Digest {
        self.0.snapshot()
    }
}
