//! Masks that hide record numbers (RFC 9147 §4.2.3).

use super::aead::AeadAlgorithm;
use ring::aead::quic;

/// How many bytes of ciphertext a mask is computed from.
pub(crate) const SAMPLE_LEN: usize = 16;

/// The key of one direction of one epoch.
pub(crate) struct MaskKey(quic::HeaderProtectionKey);

impl MaskKey {
    /// Expands `key`, which is as long as a key of `algorithm`.
    ///
    /// # Panics
    ///
    /// If the length is another one: it comes from the key schedule, never from a peer.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Self {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm => &quic::AES_128,
            AeadAlgorithm::Aes256Gcm => &quic::AES_256,
            AeadAlgorithm::ChaCha20Poly1305 => &quic::CHACHA20,
        };
        Self(
            quic::HeaderProtectionKey::new(algorithm, key)
                .expect("the key schedule cuts keys to the length of the algorithm"),
        )
    }

    /// The first two bytes of the mask for a record whose ciphertext begins with `sample`.
    #[inline]
    pub(crate) fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 2] {
        // The sample has the only length that there is.
        let [a, b, ..] = self.0.new_mask(sample).unwrap_or_default();
        [a, b]
    }
}
