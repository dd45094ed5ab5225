//! Sealing and opening records.
//!
//! ```text
//!  header (13 or 5) ‖ explicit nonce (8, GCM only) ‖ ciphertext ‖ tag (16)     version 1.2, RFC 5288 §3
//!  nonce, GCM:      fixed IV (4) ‖ explicit nonce (8)
//!  nonce, ChaCha20: fixed IV (12) ⊕ (0⁴ ‖ number)                              RFC 7905 §2
//!  additional data: number ‖ type ‖ version ‖ plaintext length                RFC 5246 §6.2.3.3
//!  number:          epoch ‖ sequence over datagrams (RFC 6347 §4.1.2.1), the sequence over a stream
//! ```

use crate::crypto::aead::{AeadAlgorithm, AeadKey, NONCE_LEN, TAG_LEN};
use crate::protocol::{ContentType, ProtocolVersion, RecordNumber};
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;
use crate::wire::{record_dtls, record_tls};
use std::ops::Range;

/// The record cannot be opened. Anybody can cause that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotOpened {
    /// It has no room for nonce and tag.
    TooShort,
    /// It does not authenticate.
    Forged,
}

/// Keys and nonce base of one direction of one epoch, expanded.
struct Keys {
    algorithm: AeadAlgorithm,
    key: AeadKey,
    iv: [u8; NONCE_LEN],
}

impl Keys {
    fn new(protection: &RecordProtection) -> Self {
        let keys = &protection.keys;
        Self {
            algorithm: keys.aead,
            key: AeadKey::new(keys.aead, keys.key()),
            iv: *keys.iv(),
        }
    }

    /// The nonce of the record whose eight bytes `number` are its explicit nonce or, without one, its number.
    #[inline]
    fn nonce(&self, number: [u8; 8]) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        // GCM's IV is four bytes and eight zeros, so one exclusive-or serves both constructions.
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(number) {
            *byte ^= number;
        }
        nonce
    }
}

/// The most that any suite makes a fragment longer than what it protects: an explicit nonce and a tag.
pub(crate) const MAX_EXPANSION: usize = 8 + TAG_LEN;

/// The length of the additional data of a 1.2 record, in bytes.
const AAD_LEN: usize = 13;

/// The additional data of a 1.2 record.
#[inline]
fn additional_data(
    number: [u8; 8],
    content_type: ContentType,
    version: ProtocolVersion,
    plaintext_len: u16,
) -> [u8; AAD_LEN] {
    let mut aad = [0; AAD_LEN];
    aad[..8].copy_from_slice(&number);
    aad[8] = content_type.0;
    aad[9..11].copy_from_slice(&version.to_bytes());
    aad[11..].copy_from_slice(&plaintext_len.to_be_bytes());
    aad
}

/// Protects outgoing records of one epoch.
pub(crate) struct Sealer {
    keys: Keys,
}

impl Sealer {
    /// A sealer with these keys.
    pub(crate) fn new(protection: &RecordProtection) -> Self {
        Self {
            keys: Keys::new(protection),
        }
    }

    /// How many bytes a fragment is longer than what it protects.
    pub(crate) const fn expansion(&self) -> usize {
        self.keys.algorithm.explicit_nonce_len_12() + TAG_LEN
    }

    /// How many records may be sealed.
    pub(crate) const fn limit(&self) -> u64 {
        self.keys.algorithm.confidentiality_limit()
    }

    /// Appends one datagram record to `out`. `payload` is at most 2^14 bytes long; `number` was never used before.
    #[inline]
    pub(crate) fn seal_12(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let header = record_dtls::RecordHeader {
            content_type,
            version,
            number,
            length: self.fragment_len(payload),
        };
        // RFC 9325 §7.2.1: the explicit nonce is epoch ‖ sequence, so it cannot repeat under one key.
        let number = number.to_bytes_12();
        self.append(
            &header.encode(),
            number,
            content_type,
            version,
            payload,
            out,
        );
    }

    /// Appends one stream record to `out`. `payload` is at most 2^14 bytes long; `sequence` was never used before.
    #[inline]
    pub(crate) fn seal_stream_12(
        &self,
        sequence: u64,
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let header = record_tls::RecordHeader {
            content_type,
            version,
            length: self.fragment_len(payload),
        };
        let number = sequence.to_be_bytes();
        self.append(
            &header.encode(),
            number,
            content_type,
            version,
            payload,
            out,
        );
    }

    #[inline]
    fn fragment_len(&self, payload: &[u8]) -> u16 {
        debug_assert!(payload.len() <= MAX_PLAINTEXT_LEN);
        u16::try_from(payload.len() + self.expansion()).unwrap_or(u16::MAX)
    }

    #[inline]
    fn append(
        &self,
        header: &[u8],
        number: [u8; 8],
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let explicit = self.keys.algorithm.explicit_nonce_len_12();
        out.reserve(header.len() + self.expansion() + payload.len());
        out.extend_from_slice(header);
        out.extend_from_slice(&number[..explicit]);
        let start = out.len();
        out.extend_from_slice(payload);
        let aad = additional_data(number, content_type, version, length);
        let tag = self
            .keys
            .key
            .seal(self.keys.nonce(number), &aad, &mut out[start..]);
        out.extend_from_slice(&tag);
    }
}

/// Opens incoming records of one epoch.
pub(crate) struct Opener {
    keys: Keys,
}

impl Opener {
    /// An opener with these keys.
    pub(crate) fn new(protection: &RecordProtection) -> Self {
        Self {
            keys: Keys::new(protection),
        }
    }

    /// How many failures to open are tolerable.
    pub(crate) const fn integrity_limit(&self) -> u64 {
        self.keys.algorithm.integrity_limit()
    }

    /// Opens `fragment`, what follows the header of a datagram record, in place; returns where in it the plaintext is.
    ///
    /// # Errors
    ///
    /// [`NotOpened`]; the contents of `fragment` are then lost.
    #[inline]
    pub(crate) fn open_12(
        &self,
        header: &record_dtls::RecordHeader,
        fragment: &mut [u8],
    ) -> Result<Range<usize>, NotOpened> {
        let number = header.number.to_bytes_12();
        self.open(number, header.content_type, header.version, fragment)
    }

    /// Opens `fragment`, what follows the header of the stream record `sequence`, as [`Opener::open_12`].
    ///
    /// # Errors
    ///
    /// [`NotOpened`]; the contents of `fragment` are then lost.
    #[inline]
    pub(crate) fn open_stream_12(
        &self,
        sequence: u64,
        header: &record_tls::RecordHeader,
        fragment: &mut [u8],
    ) -> Result<Range<usize>, NotOpened> {
        let number = sequence.to_be_bytes();
        self.open(number, header.content_type, header.version, fragment)
    }

    #[inline]
    fn open(
        &self,
        number: [u8; 8],
        content_type: ContentType,
        version: ProtocolVersion,
        fragment: &mut [u8],
    ) -> Result<Range<usize>, NotOpened> {
        let explicit = self.keys.algorithm.explicit_nonce_len_12();
        // A7: a fragment that is shorter than nonce and tag is noise like any other.
        let length = fragment
            .len()
            .checked_sub(explicit + TAG_LEN)
            .ok_or(NotOpened::TooShort)?;
        let plaintext_len = u16::try_from(length).map_err(|_| NotOpened::TooShort)?;
        let (nonce, ciphertext) = fragment.split_at_mut(explicit);
        let nonce = self
            .keys
            .nonce(<[u8; 8]>::try_from(&*nonce).unwrap_or(number));
        let aad = additional_data(number, content_type, version, plaintext_len);
        self.keys
            .key
            .open(nonce, &aad, ciphertext)
            .map_err(|_| NotOpened::Forged)?;
        Ok(explicit..explicit + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Epoch;
    use crate::secrets::traffic::TrafficKeys;
    use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};

    fn pair(aead: AeadAlgorithm) -> (Sealer, Opener) {
        let iv = vec![3; aead.fixed_iv_len_12()];
        let protection =
            RecordProtection::new(TrafficKeys::new(aead, &vec![5; aead.key_len()], &iv));
        (Sealer::new(&protection), Opener::new(&protection))
    }

    #[test]
    fn records_of_every_algorithm_open_again_and_only_unaltered() {
        for aead in [
            AeadAlgorithm::Aes128Gcm,
            AeadAlgorithm::Aes256Gcm,
            AeadAlgorithm::ChaCha20Poly1305,
        ] {
            let (sealer, opener) = pair(aead);
            let number = RecordNumber {
                epoch: Epoch::new(1),
                sequence: 9,
            };
            let mut wire = Vec::new();
            sealer.seal_12(
                number,
                ContentType::APPLICATION_DATA,
                ProtocolVersion::DTLS12,
                b"data",
                &mut wire,
            );
            assert_eq!(wire.len(), HEADER_LEN + sealer.expansion() + 4);
            let header = RecordHeader::decode(&wire).unwrap();
            assert_eq!(usize::from(header.length), wire.len() - HEADER_LEN);
            let mut fragment = wire[HEADER_LEN..].to_vec();
            let range = opener.open_12(&header, &mut fragment).unwrap();
            assert_eq!(&fragment[range], b"data");
            for bit in 0..8 * (wire.len() - HEADER_LEN) {
                let mut fragment = wire[HEADER_LEN..].to_vec();
                fragment[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(
                    opener.open_12(&header, &mut fragment),
                    Err(NotOpened::Forged)
                );
            }
            let other = RecordHeader {
                content_type: ContentType::HANDSHAKE,
                ..header
            };
            assert_eq!(
                opener.open_12(&other, &mut wire[HEADER_LEN..].to_vec()),
                Err(NotOpened::Forged)
            );
        }
    }

    /// A7: every length from nothing to beyond nonce and tag.
    #[test]
    fn short_fragments_are_not_opened_and_do_not_panic() {
        for aead in [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::ChaCha20Poly1305] {
            let (_, opener) = pair(aead);
            for length in 0..40 {
                let header = RecordHeader {
                    content_type: ContentType::APPLICATION_DATA,
                    version: ProtocolVersion::DTLS12,
                    number: RecordNumber {
                        epoch: Epoch::new(1),
                        sequence: 0,
                    },
                    length,
                };
                let mut fragment = vec![0; length.into()];
                assert!(opener.open_12(&header, &mut fragment).is_err());
            }
        }
    }

    /// H1: the explicit nonce is epoch and sequence.
    #[test]
    fn the_explicit_nonce_is_epoch_and_sequence() {
        let (sealer, _) = pair(AeadAlgorithm::Aes128Gcm);
        let number = RecordNumber {
            epoch: Epoch::new(7),
            sequence: 0x0102_0304_0506,
        };
        let mut wire = Vec::new();
        sealer.seal_12(
            number,
            ContentType::APPLICATION_DATA,
            ProtocolVersion::DTLS12,
            b"",
            &mut wire,
        );
        assert_eq!(wire[HEADER_LEN..HEADER_LEN + 8], number.to_bytes_12());
    }
}
