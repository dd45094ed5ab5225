//! AES-CCM by the crates of RustCrypto, in constant time: no provider has it, so it serves with
//! each.
//!
//! The nonce has 12 bytes, so the length of a message has 3 (RFC 5116 §5.3, RFC 6655 §6.1).

use super::algorithm::{AeadAlgorithm, NONCE_LEN, OpenFailed};
use aes::Aes128Enc;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U8, U12, U16};

/// What there is.
pub(super) const ALGORITHMS: &[AeadAlgorithm] =
    &[AeadAlgorithm::Aes128Ccm, AeadAlgorithm::Aes128Ccm8];

/// An expanded key. It is overwritten when it is dropped.
pub(super) enum Key {
    Long(ccm::Ccm<Aes128Enc, U16, U12>),
    Short(ccm::Ccm<Aes128Enc, U8, U12>),
}

/// What authenticates a ciphertext: [`AeadAlgorithm::tag_len`] bytes.
pub(super) enum Tag {
    Long([u8; 16]),
    Short([u8; 8]),
}

impl AsRef<[u8]> for Tag {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Long(tag) => tag,
            Self::Short(tag) => tag,
        }
    }
}

impl Key {
    /// `None` if `key` does not have the length that the algorithm wants, or it is not in
    /// [`ALGORITHMS`].
    pub(super) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Option<Self> {
        match algorithm {
            AeadAlgorithm::Aes128Ccm => ccm::Ccm::new_from_slice(key).map(Self::Long).ok(),
            AeadAlgorithm::Aes128Ccm8 => ccm::Ccm::new_from_slice(key).map(Self::Short).ok(),
            AeadAlgorithm::Aes128Gcm
            | AeadAlgorithm::Aes256Gcm
            | AeadAlgorithm::ChaCha20Poly1305 => None,
        }
    }

    /// Encrypts `data` in place; `None` if it is too long.
    pub(super) fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Option<Tag> {
        let nonce = nonce.into();
        match self {
            Self::Long(key) => {
                let tag = key.encrypt_inout_detached(&nonce, aad, data.into()).ok()?;
                Some(Tag::Long(tag.into()))
            }
            Self::Short(key) => {
                let tag = key.encrypt_inout_detached(&nonce, aad, data.into()).ok()?;
                Some(Tag::Short(tag.into()))
            }
        }
    }

    /// Decrypts `data`, a ciphertext and its tag, in place.
    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<(), OpenFailed> {
        let nonce = nonce.into();
        let opened = match self {
            Self::Long(key) => {
                let (data, tag) = data.split_last_chunk_mut::<16>().ok_or(OpenFailed)?;
                key.decrypt_inout_detached(&nonce, aad, data.into(), &(*tag).into())
            }
            Self::Short(key) => {
                let (data, tag) = data.split_last_chunk_mut::<8>().ok_or(OpenFailed)?;
                key.decrypt_inout_detached(&nonce, aad, data.into(), &(*tag).into())
            }
        };
        opened.map_err(|_| OpenFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::HashAlgorithm;

    const KEY: [u8; 16] = *b"@ABCDEFGHIJKLMNO";

    fn key(algorithm: AeadAlgorithm) -> Key {
        Key::new(algorithm, &KEY).unwrap()
    }

    /// Ciphertext and tag.
    fn sealed(key: &Key, nonce: [u8; NONCE_LEN], aad: &[u8], data: &[u8]) -> Vec<u8> {
        let mut out = data.to_vec();
        let tag = key.seal(nonce, aad, &mut out).unwrap();
        out.extend_from_slice(tag.as_ref());
        out
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Nonce, additional data and payload, the same as OpenSSL was given.
    fn case(payload_len: usize, aad_len: usize) -> ([u8; NONCE_LEN], Vec<u8>, Vec<u8>) {
        let nonce =
            std::array::from_fn(|index| (payload_len * 7 + aad_len * 13 + index * 29) as u8);
        let aad = (0..aad_len).map(|index| (index * 3 + aad_len) as u8);
        let payload = (0..payload_len).map(|index| (index * 5 + payload_len) as u8);
        (nonce, aad.collect(), payload.collect())
    }

    /// Q3: the third example of NIST SP 800-38C, whose nonce has 12 bytes and whose tag 8; OpenSSL
    /// 3.0 gives the same and, with 16 bytes of tag, the other. A length or a nonce that is cut
    /// without a word passes every round trip, and not this.
    #[test]
    fn q3_n57_02_the_example_of_nist_with_a_nonce_of_twelve_bytes() {
        let (nonce, aad): ([u8; NONCE_LEN], [u8; 20]) = (
            std::array::from_fn(|index| 0x10 + index as u8),
            std::array::from_fn(|index| index as u8),
        );
        let data: [u8; 24] = std::array::from_fn(|index| 0x20 + index as u8);
        let ciphertext = "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5";
        for (algorithm, tag) in [
            (AeadAlgorithm::Aes128Ccm8, "484392fbc1b09951"),
            (AeadAlgorithm::Aes128Ccm, "c87ae488918de93f17dd3e4934347f44"),
        ] {
            let sealed = sealed(&key(algorithm), nonce, &aad, &data);
            assert_eq!(hex(&sealed), format!("{ciphertext}{tag}"));
        }
    }

    /// Payloads of 0 to 64 bytes with 5 to 280 bytes of additional data, as much as a connection ID
    /// of 255 bytes makes of it, and two payloads whose lengths fill all three bytes: one digest
    /// over what OpenSSL 3.0 makes of them. Q4: each opens again, also those that are shorter than
    /// their additional data.
    #[test]
    fn q4_n57_08_what_openssl_makes_of_every_length() {
        for (algorithm, expected) in [
            (
                AeadAlgorithm::Aes128Ccm,
                "35890cca77a029b28090e6dac9a4cd83ba8dbfeefe07ca7c53aff8ba0bb6a7f3",
            ),
            (
                AeadAlgorithm::Aes128Ccm8,
                "d8a00a2989d0a7f1e3abc7ec9a8fd3f12205a80593e5c525befd648c2da57a4c",
            ),
        ] {
            let key = key(algorithm);
            let mut running = HashAlgorithm::Sha256.start();
            for payload_len in (0..=64).chain([16_384, 70_000]) {
                let aad_lens = if payload_len > 64 { 13..14 } else { 5..281 };
                for aad_len in aad_lens {
                    let (nonce, aad, payload) = case(payload_len, aad_len);
                    let mut sealed = sealed(&key, nonce, &aad, &payload);
                    assert_eq!(sealed.len(), payload_len + algorithm.tag_len());
                    running.update(&sealed);
                    assert_eq!(key.open(nonce, &aad, &mut sealed), Ok(()));
                    assert!(sealed.starts_with(&payload));
                }
            }
            assert_eq!(hex(running.snapshot().as_ref()), expected, "{algorithm:?}");
        }
    }

    /// Each byte of nonce, key, additional data and payload counts: a change of any gives another
    /// output, and what was sealed with one does not open with the other.
    #[test]
    fn q3_nonces_that_differ_in_any_one_byte_give_different_output() {
        for algorithm in ALGORITHMS {
            let key = key(*algorithm);
            let (nonce, aad, payload) = case(20, 21);
            let first = sealed(&key, nonce, &aad, &payload);
            for index in 0..NONCE_LEN {
                let mut other = nonce;
                other[index] ^= 1;
                let second = sealed(&key, other, &aad, &payload);
                assert_ne!(first[..20], second[..20], "{algorithm:?} {index}");
                assert_ne!(first[20..], second[20..], "{algorithm:?} {index}");
                let opened = key.open(other, &aad, &mut first.clone());
                assert_eq!(opened, Err(OpenFailed));
            }
            for index in 0..aad.len() {
                let mut other = aad.clone();
                other[index] ^= 0x80;
                let opened = key.open(nonce, &other, &mut first.clone());
                assert_eq!(opened, Err(OpenFailed));
            }
        }
    }

    /// Q1: whatever is shorter or longer than the tag of the algorithm does not open, and neither
    /// does the right one with a bit turned; what did not authenticate cannot be read either.
    #[test]
    fn q1_n57_08_no_tag_of_another_length_opens() {
        for algorithm in ALGORITHMS {
            let key = key(*algorithm);
            let (nonce, aad, payload) = case(32, 13);
            let whole = sealed(&key, nonce, &aad, &payload);
            for length in 0..whole.len() {
                let opened = key.open(nonce, &aad, &mut whole[..length].to_vec());
                assert_eq!(opened, Err(OpenFailed), "{algorithm:?} {length}");
            }
            for longer in 1..=16 {
                let mut longer = [&whole[..], &vec![0; longer]].concat();
                assert_eq!(key.open(nonce, &aad, &mut longer), Err(OpenFailed));
            }
            for bit in 0..8 * whole.len() {
                let mut forged = whole.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open(nonce, &aad, &mut forged), Err(OpenFailed));
                let same = forged.iter().zip(&payload).filter(|(a, b)| a == b);
                assert!(same.count() < 8, "{algorithm:?} {bit}");
            }
        }
        // The long tag, cut, is not the short one.
        let (nonce, aad, payload) = case(32, 13);
        let long = sealed(&key(AeadAlgorithm::Aes128Ccm), nonce, &aad, &payload);
        let short = &mut long[..40].to_vec();
        let opened = key(AeadAlgorithm::Aes128Ccm8).open(nonce, &aad, short);
        assert_eq!(opened, Err(OpenFailed));
    }

    #[test]
    fn keys_of_other_lengths_and_algorithms_are_none() {
        for length in (0..16).chain(17..40) {
            for algorithm in ALGORITHMS {
                assert!(Key::new(*algorithm, &vec![1; length]).is_none());
            }
        }
        assert!(Key::new(AeadAlgorithm::Aes128Gcm, &KEY).is_none());
    }
}
