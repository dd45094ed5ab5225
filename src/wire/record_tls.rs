//! The header of a TLS record (RFC 5246 §6.2.1).
//!
//! ```text
//!  0        1        2        3        4        5
//! +--------+--------+--------+--------+--------+---
//! |  type  |     version     |     length      | fragment …
//! +--------+--------+--------+--------+--------+---
//! ```

use crate::protocol::{ContentType, ProtocolVersion};

/// The length of the header, in bytes.
pub(crate) const HEADER_LEN: usize = 5;

/// The most that a record may protect: 2^14 bytes (RFC 5246 §6.2.1).
pub(crate) const MAX_PLAINTEXT_LEN: usize = 1 << 14;

/// The most that a fragment may hold: the plaintext and 2,048 bytes of expansion (RFC 5246 §6.2.3).
pub(crate) const MAX_FRAGMENT_LEN: usize = MAX_PLAINTEXT_LEN + 2048;

/// The same at version 1.3: contents, padding and tag may add 256 bytes (RFC 8446 §5.2).
pub(crate) const MAX_FRAGMENT_LEN_13: usize = MAX_PLAINTEXT_LEN + 256;

/// A decoded record header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordHeader {
    /// What the fragment holds.
    pub(crate) content_type: ContentType,
    /// The version that the record claims.
    pub(crate) version: ProtocolVersion,
    /// How many bytes follow the header.
    pub(crate) length: u16,
}

impl RecordHeader {
    /// Decodes the header at the start of `bytes`; `None` if they are too short for one.
    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let &[kind, v0, v1, l0, l1] = bytes.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            content_type: ContentType(kind),
            version: ProtocolVersion(u16::from_be_bytes([v0, v1])),
            length: u16::from_be_bytes([l0, l1]),
        })
    }

    /// The bytes of the header.
    #[inline]
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let [v0, v1] = self.version.to_bytes();
        let [l0, l1] = self.length.to_be_bytes();
        [self.content_type.0, v0, v1, l0, l1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen at the start of a ClientHello of OpenSSL 3.0: type 22, version 0301, length 0x130.
    #[test]
    fn a_header_round_trips() {
        let bytes = [22, 3, 1, 1, 0x30];
        let header = RecordHeader::decode(&bytes).unwrap();
        assert_eq!(header.content_type, ContentType::HANDSHAKE);
        assert_eq!(header.version, ProtocolVersion::TLS10);
        assert_eq!(header.length, 0x130);
        assert_eq!(header.encode(), bytes);
        for cut in 0..bytes.len() {
            assert_eq!(RecordHeader::decode(&bytes[..cut]), None);
        }
    }
}
