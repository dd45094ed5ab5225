//! Authenticated encryption in place.

use crate::crypto::algorithm::{AeadAlgorithm, NONCE_LEN, OpenFailed};
use aws_lc_rs::aead;

/// What there is.
pub(crate) const ALGORITHMS: &[AeadAlgorithm] = &[
    AeadAlgorithm::Aes128Gcm,
    AeadAlgorithm::Aes256Gcm,
    AeadAlgorithm::ChaCha20Poly1305,
];

/// An expanded key.
pub(crate) struct Key(aead::LessSafeKey);

/// What authenticates a ciphertext: [`AeadAlgorithm::tag_len`] bytes.
pub(crate) struct Tag(aead::Tag);

impl AsRef<[u8]> for Tag {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl Key {
    /// `None` if `key` does not have the length that the algorithm wants.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Option<Self> {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm => &aead::AES_128_GCM,
            AeadAlgorithm::Aes256Gcm => &aead::AES_256_GCM,
            AeadAlgorithm::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
            AeadAlgorithm::Aes128Ccm | AeadAlgorithm::Aes128Ccm8 => return None,
        };
        let unbound = aead::UnboundKey::new(algorithm, key).ok()?;
        Some(Self(aead::LessSafeKey::new(unbound)))
    }

    /// Encrypts `data` in place; `None` if it is too long.
    #[inline]
    pub(crate) fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Option<Tag> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let aad = aead::Aad::from(aad);
        let tag = self.0.seal_in_place_separate_tag(nonce, aad, data);
        tag.map(Tag).ok()
    }

    /// Decrypts `data`, a ciphertext and its tag, in place.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<(), OpenFailed> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place(nonce, aead::Aad::from(aad), data);
        opened.map(|_| ()).map_err(|_| OpenFailed)
    }
}
