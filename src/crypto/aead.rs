//! Authenticated encryption in place.

pub(crate) use super::algorithm::{AeadAlgorithm, NONCE_LEN, OpenFailed};
#[cfg(feature = "ccm")]
use super::ccm;
use super::provider::aead;

/// An expanded key for one direction.
pub(crate) struct AeadKey(Key);

/// By whom it is.
#[cfg_attr(
    feature = "ccm",
    expect(
        clippy::large_enum_variant,
        reason = "the provider's is the one that is used most, and has no pointer to follow"
    )
)]
enum Key {
    Provider(aead::Key),
    #[cfg(feature = "ccm")]
    Ccm(Box<ccm::Key>),
}

/// What authenticates a ciphertext: [`AeadAlgorithm::tag_len`] bytes.
pub(crate) struct Tag(MadeBy);

enum MadeBy {
    Provider(aead::Tag),
    #[cfg(feature = "ccm")]
    Ccm(ccm::Tag),
}

impl AsRef<[u8]> for Tag {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            MadeBy::Provider(tag) => tag.as_ref(),
            #[cfg(feature = "ccm")]
            MadeBy::Ccm(tag) => tag.as_ref(),
        }
    }
}

impl AeadAlgorithm {
    /// Whether somebody here has it.
    pub(crate) fn is_supported(self) -> bool {
        #[cfg(feature = "ccm")]
        if ccm::ALGORITHMS.contains(&self) {
            return true;
        }
        aead::ALGORITHMS.contains(&self)
    }
}

impl Key {
    fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Option<Self> {
        #[cfg(feature = "ccm")]
        if ccm::ALGORITHMS.contains(&algorithm) {
            return ccm::Key::new(algorithm, key).map(|key| Self::Ccm(Box::new(key)));
        }
        aead::Key::new(algorithm, key).map(Self::Provider)
    }
}

impl AeadKey {
    /// Expands `key`, which is exactly [`AeadAlgorithm::key_len`] bytes long.
    ///
    /// # Panics
    ///
    /// If the length is another one: it comes from the key schedule, never from a peer.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Self {
        let key = Key::new(algorithm, key);
        Self(key.expect("the key schedule cuts keys to the length of the algorithm"))
    }

    /// Encrypts `data` in place and returns the tag.
    ///
    /// # Panics
    ///
    /// If `data` is longer than the algorithm allows, 16 MiB at least: records and tickets are
    /// below 2^16 bytes.
    #[inline]
    pub(crate) fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Tag {
        let tag = match &self.0 {
            Key::Provider(key) => key.seal(nonce, aad, data).map(MadeBy::Provider),
            #[cfg(feature = "ccm")]
            Key::Ccm(key) => key.seal(nonce, aad, data).map(MadeBy::Ccm),
        };
        tag.map(Tag)
            .expect("a record is far shorter than the limit of the algorithm")
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
        match &self.0 {
            Key::Provider(key) => key.open(nonce, aad, data),
            #[cfg(feature = "ccm")]
            Key::Ccm(key) => key.open(nonce, aad, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_a_flipped_bit_does_not() {
        let all = AeadAlgorithm::ALL;
        for algorithm in all.into_iter().filter(|it| it.is_supported()) {
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
