//! The keys of one direction of one epoch.

use crate::crypto::aead::{AeadAlgorithm, NONCE_LEN};
use zeroize::Zeroizing;

/// Key and nonce base of one direction. Ours to keep, because expanded keys cannot be read back.
pub(crate) struct TrafficKeys {
    /// What they are for.
    pub(crate) aead: AeadAlgorithm,
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; NONCE_LEN]>,
}

impl TrafficKeys {
    /// Keys from slices of the key block, as long as the algorithm says; a shorter IV is padded with zeros at its end.
    pub(crate) fn new(aead: AeadAlgorithm, key: &[u8], iv: &[u8]) -> Self {
        let mut keys = Self {
            aead,
            key: Zeroizing::default(),
            iv: Zeroizing::default(),
        };
        keys.key[..key.len()].copy_from_slice(key);
        keys.iv[..iv.len()].copy_from_slice(iv);
        keys
    }

    /// The key.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key[..self.aead.key_len()]
    }

    /// The fixed part of the nonce, or what a nonce is exclusive-ored with.
    pub(crate) fn iv(&self) -> &[u8; NONCE_LEN] {
        &self.iv
    }
}

/// Everything that shapes the records of one direction of one epoch.
#[non_exhaustive]
pub(crate) struct RecordProtection {
    /// The keys.
    pub(crate) keys: TrafficKeys,
}

impl RecordProtection {
    /// Protection by `keys`, with records of the usual form.
    pub(crate) const fn new(keys: TrafficKeys) -> Self {
        Self { keys }
    }
}
