//! The keys of one direction of one epoch.

use crate::crypto::aead::{AeadAlgorithm, NONCE_LEN};
use crate::protocol::Epoch;
use zeroize::Zeroizing;

/// Key and nonce base of one direction. They are kept as bytes because expanded keys cannot be read
/// back.
#[derive(Clone)]
pub(crate) struct TrafficKeys {
    /// What they are for.
    pub(crate) aead: AeadAlgorithm,
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; NONCE_LEN]>,
}

impl TrafficKeys {
    /// Keys from slices of the key block, with the lengths of the algorithm; a shorter IV is padded
    /// with zeros at its end.
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

    /// The fixed part of the nonce, or the mask with which the nonce is made (exclusive or).
    pub(crate) fn iv(&self) -> &[u8; NONCE_LEN] {
        &self.iv
    }
}

/// Everything that shapes the records of one direction of one epoch.
#[derive(Clone)]
#[non_exhaustive]
pub(crate) struct RecordProtection {
    /// The keys.
    pub(crate) keys: TrafficKeys,
    /// The version's form of a record.
    pub(crate) form: RecordForm,
}

/// What both directions of an association are protected with.
pub(crate) struct Protections {
    /// What the peer writes with, and in which epoch.
    pub(crate) read: (Epoch, RecordProtection),
    /// What this end writes with, and in which epoch.
    pub(crate) write: (Epoch, RecordProtection),
}

/// How records of one direction of one epoch look.
#[derive(Clone)]
pub(crate) enum RecordForm {
    /// Version 1.2: type and number are visible.
    V12,
    /// Version 1.3: the type is encrypted.
    V13 {
        /// Over datagrams, the key that encrypts record numbers (RFC 9147 §4.2.3).
        number_key: Option<Zeroizing<[u8; 32]>>,
    },
}

impl RecordProtection {
    /// Protection by `keys`, with records as in version 1.2.
    pub(crate) const fn v12(keys: TrafficKeys) -> Self {
        Self {
            keys,
            form: RecordForm::V12,
        }
    }

    /// Protection by `keys`, with records as in version 1.3.
    pub(crate) const fn v13(keys: TrafficKeys, number_key: Option<Zeroizing<[u8; 32]>>) -> Self {
        Self {
            keys,
            form: RecordForm::V13 { number_key },
        }
    }
}
