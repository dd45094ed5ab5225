//! Authenticated encryption in place.

pub(crate) use super::algorithm::{AeadAlgorithm, NONCE_LEN, OpenFailed};
use super::provider::aead;
pub(crate) use super::provider::aead::Tag;

/// An expanded key for one direction.
pub(crate) struct AeadKey(aead::Key);

impl AeadAlgorithm {
    /// Whether the provider has it.
    pub(super) fn is_supported(self) -> bool {
        aead::ALGORITHMS.contains(&self)
    }
}

impl AeadKey {
    /// Expands `key`, which is exactly [`AeadAlgorithm::key_len`] bytes long.
    ///
    /// # Panics
    ///
    /// If the length is another one: it comes from the key schedule, never from a peer.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Self {
        let key = aead::Key::new(algorithm, key);
        Self(key.expect("the key schedule cuts keys to the length of the algorithm"))
    }

    /// Encrypts `data` in place and returns the tag.
    ///
    /// # Panics
    ///
    /// If `data` is longer than the algorithm allows, 64 GiB at least: records and tickets are
    /// below 2^16 bytes.
    #[inline]
    pub(crate) fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Tag {
        let tag = self.0.seal(nonce, aad, data);
        tag.expect("a record is far shorter than the limit of the algorithm")
    }

    /// Decrypts `data`, ciphertext with its tag, in place; the plaintext is everything but the tag,
    /// the last [`AeadAlgorithm::tag_len`] bytes.
    ///
    /// # Errors
    ///
    /// [`OpenFailed`] if it does not authenticate; the contents of `data` are then lost.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<(), OpenFailed> {
        self.0.open(nonce, aad, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_a_flipped_bit_does_not() {
        for algorithm in AeadAlgorithm::ALL {
            let key = AeadKey::new(algorithm, &vec![7; algorithm.key_len()]);
            let mut data = b"hello".to_vec();
            let tag = key.seal([1; NONCE_LEN], b"aad", &mut data);
            assert_eq!(tag.as_ref().len(), algorithm.tag_len());
            data.extend_from_slice(tag.as_ref());
            let mut forged = data.clone();
            forged[0] ^= 1;
            assert_eq!(
                key.open([1; NONCE_LEN], b"aad", &mut forged),
                Err(OpenFailed)
            );
            assert_eq!(key.open([1; NONCE_LEN], b"aad", &mut data), Ok(()));
            assert_eq!(&data[..5], b"hello");
        }
    }
}
