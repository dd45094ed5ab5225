//! Authenticated encryption in place.

use ring::aead;

/// An AEAD algorithm, with the sizes that shape a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AeadAlgorithm {
    /// AES-128-GCM (RFC 5288).
    Aes128Gcm,
    /// AES-256-GCM (RFC 5288).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 7905).
    ChaCha20Poly1305,
}

/// The length of every nonce, in bytes.
pub(crate) const NONCE_LEN: usize = 12;

impl AeadAlgorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The length of a key, in bytes.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// The length of a tag, in bytes.
    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 16,
        }
    }

    /// How many bytes of the nonce come from the key block at 1.2 (RFC 5288 §3, RFC 7905 §2).
    pub(crate) const fn fixed_iv_len_12(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 4,
            Self::ChaCha20Poly1305 => NONCE_LEN,
        }
    }

    /// How many bytes of the nonce each 1.2 record carries.
    pub(crate) const fn explicit_nonce_len_12(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 8,
            Self::ChaCha20Poly1305 => 0,
        }
    }

    /// How many records one key may protect: 2^24.5 for GCM (RFC 9325 §4.4). ChaCha20 has no reachable limit.
    pub(crate) const fn confidentiality_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 23_726_566,
            Self::ChaCha20Poly1305 => u64::MAX,
        }
    }

    /// How many forgeries one key may see at 1.3: 2^36 (RFC 9147 §4.5.3).
    pub(crate) const INTEGRITY_LIMIT_13: u64 = 1 << 36;

    /// How many forgeries one key may see at 1.2: 2^28 for GCM (RFC 9325 §4.4), 2^36 for ChaCha20 (RFC 9147 §4.5.3).
    pub(crate) const fn integrity_limit_12(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 28,
            Self::ChaCha20Poly1305 => 1 << 36,
        }
    }

    const fn ring(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

/// An expanded key for one direction.
pub(crate) struct AeadKey {
    key: aead::LessSafeKey,
}

/// What authenticates a ciphertext: [`AeadAlgorithm::tag_len`] bytes.
pub(crate) struct Tag(aead::Tag);

impl AsRef<[u8]> for Tag {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

/// The bytes did not authenticate. Nothing else is known, on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OpenFailed;

impl AeadKey {
    /// Expands `key`, which is exactly [`AeadAlgorithm::key_len`] bytes long.
    ///
    /// # Panics
    ///
    /// If the length is another one: it comes from the key schedule, never from a peer.
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Self {
        let unbound = aead::UnboundKey::new(algorithm.ring(), key)
            .expect("the key schedule cuts keys to the length of the algorithm");
        Self {
            key: aead::LessSafeKey::new(unbound),
        }
    }

    /// Encrypts `data` in place and returns the tag.
    ///
    /// # Panics
    ///
    /// If `data` is longer than the algorithm allows, 64 GiB at least: records and tickets are below 2^16 bytes.
    #[inline]
    pub(crate) fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Tag {
        let tag = self
            .key
            .seal_in_place_separate_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(aad),
                data,
            )
            .expect("a record is far shorter than the limit of the algorithm");
        Tag(tag)
    }

    /// Decrypts `data`, ciphertext with its tag, in place; the plaintext is everything but the tag.
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
        self.key
            .open_in_place(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(aad),
                data,
            )
            .map(|_| ())
            .map_err(|_| OpenFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_a_flipped_bit_does_not() {
        for algorithm in [
            AeadAlgorithm::Aes128Gcm,
            AeadAlgorithm::Aes256Gcm,
            AeadAlgorithm::ChaCha20Poly1305,
        ] {
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
