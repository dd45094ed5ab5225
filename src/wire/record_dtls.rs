//! The header of a DTLS 1.2 record (RFC 6347 §4.1).
//!
//! ```text
//!  0        1        2        3                 11       13
//! +--------+--------+--------+--------+--- … --+--------+--------+---
//! |  type  |     version     |  epoch ‖ sequence (64) |  length     | fragment …
//! +--------+--------+--------+--------+--- … --+--------+--------+---
//! ```

use crate::protocol::{ContentType, Epoch, ProtocolVersion, RecordNumber};

/// The length of the header, in bytes.
pub(crate) const HEADER_LEN: usize = 13;

/// Where a record of type tls12_cid has its connection ID, which stands before the length
/// (RFC 9146 §4).
pub(crate) const CONNECTION_ID_AT: usize = HEADER_LEN - 2;

/// A decoded record header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordHeader {
    /// What the fragment holds.
    pub(crate) content_type: ContentType,
    /// The version that the record claims.
    pub(crate) version: ProtocolVersion,
    /// Epoch and sequence.
    pub(crate) number: RecordNumber,
    /// How many bytes follow the header.
    pub(crate) length: u16,
}

impl RecordHeader {
    /// Decodes the header at the start of `bytes`; `None` if they are too short for one.
    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let [kind, v0, v1, number @ .., l0, l1] = *header;
        let number = u64::from_be_bytes(number);
        Some(Self {
            content_type: ContentType(kind),
            version: ProtocolVersion(u16::from_be_bytes([v0, v1])),
            number: RecordNumber {
                epoch: Epoch::new(number >> 48),
                sequence: number & RecordNumber::LIMIT_48,
            },
            length: u16::from_be_bytes([l0, l1]),
        })
    }

    /// Decodes the header at the start of `bytes`, which has a connection ID of `id_len` bytes
    /// before the length (RFC 9146 §4); `None` if they are too short for one.
    #[inline]
    pub(crate) fn decode_identified(bytes: &[u8], id_len: usize) -> Option<Self> {
        let length = bytes.get(CONNECTION_ID_AT + id_len..)?.first_chunk()?;
        let before = Self::decode(bytes)?;
        Some(Self {
            length: u16::from_be_bytes(*length),
            ..before
        })
    }

    /// The bytes of the header.
    #[inline]
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = self.content_type.0;
        out[1..3].copy_from_slice(&self.version.to_bytes());
        out[3..11].copy_from_slice(&self.number.to_bytes_12());
        out[11..].copy_from_slice(&self.length.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen in records of OpenSSL 3.0: type 22, version feff, epoch 0, sequence 1, length 0x35.
    #[test]
    fn a_header_round_trips() {
        let bytes = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x35];
        let header = RecordHeader::decode(&bytes).unwrap();
        assert_eq!(header.content_type, ContentType::HANDSHAKE);
        assert_eq!(header.version, ProtocolVersion::DTLS10);
        assert_eq!(
            header.number,
            RecordNumber {
                epoch: Epoch::new(0),
                sequence: 1
            }
        );
        assert_eq!(header.encode(), bytes);
        for cut in 0..bytes.len() {
            assert_eq!(RecordHeader::decode(&bytes[..cut]), None);
        }
    }
}
