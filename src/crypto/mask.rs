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

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of FIPS 197, appendix C.1. With CCM the mask is one block of AES, as with GCM,
    /// whatever the length of the tag (RFC 9147 §4.2.3).
    #[test]
    fn n57_09_the_mask_of_every_aes_suite_is_a_block() {
        let key: [u8; 16] = std::array::from_fn(|index| index as u8);
        let sample = std::array::from_fn(|index| index as u8 * 0x11);
        for algorithm in [
            AeadAlgorithm::Aes128Gcm,
            AeadAlgorithm::Aes128Ccm,
            AeadAlgorithm::Aes128Ccm8,
        ] {
            let key = MaskKey::new(algorithm, &key);
            assert_eq!(key.block(&sample), [0x69, 0xc4, 0xe0, 0xd8, 0x6a]);
            assert_eq!(key.mask(&sample), [0x69, 0xc4]);
        }
    }
}
