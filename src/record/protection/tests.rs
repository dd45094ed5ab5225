//! Records of both versions, opened again, altered, cut and too long.

use super::*;
use crate::protocol::Epoch;
use crate::secrets::traffic::TrafficKeys;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};

fn pair(aead: AeadAlgorithm) -> (Sealer, Opener) {
    let iv = vec![3; aead.fixed_iv_len_12()];
    let protection = RecordProtection::v12(TrafficKeys::new(aead, &vec![5; aead.key_len()], &iv));
    (Sealer::new(&protection), Opener::new(&protection))
}

/// Those that work here.
fn algorithms() -> impl Iterator<Item = AeadAlgorithm> {
    let all = AeadAlgorithm::ALL.into_iter();
    all.filter(|aead| aead.is_supported())
}

#[test]
fn records_of_every_algorithm_open_again_and_only_unaltered() {
    for aead in algorithms() {
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

/// RFC 8446 §5.4: contents, type and padding together are at most 2^14 + 1 bytes. No sealer makes
/// more, so the parts do.
#[test]
fn padding_that_makes_a_record_too_long_is_a_fault() {
    let aead = AeadAlgorithm::Aes128Gcm;
    let keys = TrafficKeys::new(aead, &[5; 16], &[3; NONCE_LEN]);
    let protection = RecordProtection::v13(keys, None);
    let (sealer, opener) = (Sealer::new(&protection), Opener::new(&protection));
    let open = |length: usize| {
        let header = record_tls::RecordHeader {
            content_type: ContentType::APPLICATION_DATA,
            version: ProtocolVersion::TLS12,
            length: u16::try_from(length + aead.tag_len()).unwrap(),
        };
        let mut inner = vec![0; length - 1];
        inner[..5].copy_from_slice(b"data\x17");
        let mut record = Vec::new();
        // What the sealer takes for the type is the last byte of padding.
        sealer.append_13(&header.encode(), 0, ContentType(0), &inner, &mut record);
        opener.open_stream(0, &header, &mut record[record_tls::HEADER_LEN..])
    };
    let data = Ok((0..4, ContentType::APPLICATION_DATA));
    assert_eq!(open(MAX_PLAINTEXT_LEN + 1), data);
    assert_eq!(open(MAX_PLAINTEXT_LEN + 2), Err(NotOpened::Overlong));
}

/// A7: every length from nothing to beyond nonce and tag.
#[test]
fn short_fragments_are_not_opened_and_do_not_panic() {
    for aead in algorithms() {
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

/// Q6, RFC 9147 §4.2.3: with a tag of eight bytes, contents below seven bytes are padded, over
/// datagrams alone; what a peer does not pad is not opened, although it authenticates.
#[cfg(feature = "ccm")]
#[test]
fn q6_short_ciphertexts_are_padded_and_not_opened() {
    let aead = AeadAlgorithm::Aes128Ccm8;
    let keys = || TrafficKeys::new(aead, &[5; 16], &[3; NONCE_LEN]);
    let datagrams = RecordProtection::v13(keys(), Some([9; 32].into()));
    let (padding, opener) = (Sealer::new(&datagrams), Opener::new(&datagrams));
    let plain = Sealer::new(&RecordProtection::v13(keys(), None));
    let number = RecordNumber {
        epoch: Epoch::HANDSHAKE_13,
        sequence: 9,
    };
    let version = ProtocolVersion::DTLS13;
    for length in 0..20 {
        let data = vec![1; length];
        let mut record = Vec::new();
        padding.seal_datagram(number, ContentType::ACK, version, &data, &mut record);
        assert_eq!(record.len(), 5 + (length + 9).max(16), "{length}");
        let header = record_dtls13::UnifiedHeader::decode(&record, 0).unwrap();
        assert_eq!(opener.unmask(&header, &mut record), Ok(9));
        let expected = Ok((5..5 + length, ContentType::ACK));
        assert_eq!(opener.open_datagram_13(&header, 9, &mut record), expected);
    }
    for length in 0..7 {
        let (data, mut record) = (vec![1; length], Vec::new());
        let header = record_dtls13::encode(number, plain.fragment_len(&data));
        plain.append_13(&header, 9, ContentType::ACK, &data, &mut record);
        assert_eq!(record.len(), 5 + length + 9);
        let header = record_dtls13::UnifiedHeader::decode(&record, 0).unwrap();
        let unmasked = opener.unmask(&header, &mut record);
        assert_eq!(unmasked, Err(NotOpened::TooShort));
        let expected = Ok((5..5 + length, ContentType::ACK));
        assert_eq!(opener.open_datagram_13(&header, 9, &mut record), expected);
    }
}
