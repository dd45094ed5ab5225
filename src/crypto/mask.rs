//! Masks that hide record numbers (RFC 9147 §4.2.3).

use super::aead::AeadAlgorithm;
pub(crate) use super::algorithm::SAMPLE_LEN;
use super::provider::mask;

/// The key of one direction of one epoch.
pub(crate) struct MaskKey(mask::Key);

impl MaskKey {
    /// Expands `key`, which is as long as a key of `algorithm`.
    ///
    /// # Panics
    ///
    /// If the length is another one: it comes from the key schedule, never from a peer.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Self {
        let key = mask::Key::new(algorithm, key);
        Self(key.expect("the key schedule cuts keys to the length of the algorithm"))
    }

    /// The first bytes of the block that `input` is encrypted to.
    #[inline]
    pub(crate) fn block(&self, input: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        self.0.mask(input)
    }

    /// The first two bytes of the mask for a record whose ciphertext begins with `sample`.
    #[inline]
    pub(crate) fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 2] {
        let [a, b, ..] = self.0.mask(sample);
        [a, b]
    }
}
