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

    /// The digest of nothing, which the key schedule of 1.3 asks for again and again.
    pub(crate) const fn digest_of_nothing(self) -> &'static [u8] {
        match self {
            Self::Sha256 => SHA256_OF_NOTHING,
            Self::Sha384 => SHA384_OF_NOTHING,
        }
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

const SHA256_OF_NOTHING: &[u8] = &[
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

const SHA384_OF_NOTHING: &[u8] = &[
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_what_the_provider_makes_of_it() {
        for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha384] {
            assert_eq!(hash.digest_of_nothing(), hash.digest(b"").as_ref());
        }
    }
}
