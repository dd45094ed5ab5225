//! Masks that hide record numbers: what `aws-lc-rs` offers for the headers of QUIC packets.

use crate::crypto::algorithm::{AeadAlgorithm, SAMPLE_LEN};
use aws_lc_rs::aead::quic;

/// An expanded key.
pub(crate) struct Key(quic::HeaderProtectionKey);

impl Key {
    /// `None` if `key` does not have the length that the algorithm wants.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Option<Self> {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm | AeadAlgorithm::Aes128Ccm | AeadAlgorithm::Aes128Ccm8 => {
                &quic::AES_128
            }
            AeadAlgorithm::Aes256Gcm => &quic::AES_256,
            AeadAlgorithm::ChaCha20Poly1305 => &quic::CHACHA20,
        };
        let key = quic::HeaderProtectionKey::new(algorithm, key);
        key.map(Self).ok()
    }

    /// The first bytes of the mask.
    #[inline]
    pub(crate) fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        // The sample has the only length that there is.
        self.0.new_mask(sample).unwrap_or_default()
    }
}
