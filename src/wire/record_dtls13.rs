//! The unified header of a protected DTLS 1.3 record (RFC 9147 §4).
//!
//! ```text
//!   7 6 5 4 3 2 1 0
//!  +-+-+-+-+-+-+-+-+
//!  |0 0 1 C S L E E|   C: connection ID, S: 16-bit number, L: length,
//!  +-+-+-+-+-+-+-+-+   EE: the low bits of the epoch
//!  | connection ID, if C is set
//!  | 8 or 16 bits of the number, masked (RFC 9147 §4.2.3)
//!  | length (16), if L is set; else the record reaches to the end of its datagram
//! ```

use crate::protocol::RecordNumber;

/// The length, in bytes, of the header that is sent: with 16 bits of the number and with a length.
pub(crate) const SENT_HEADER_LEN: usize = 5;

/// The bits that every unified header begins with.
const FIXED: u8 = 0b0010_0000;
const FIXED_MASK: u8 = 0b1110_0000;
const CONNECTION_ID: u8 = 0b0001_0000;
const LONG_NUMBER: u8 = 0b0000_1000;
const LENGTH: u8 = 0b0000_0100;
const EPOCH: u8 = 0b0000_0011;

/// A decoded header whose number is still masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UnifiedHeader {
    /// The two low bits of the epoch.
    pub(crate) epoch_bits: u8,
    /// How long the connection ID is that follows the first byte; 0 if there is none.
    pub(crate) id_len: usize,
    /// How many bytes of the number follow: 1 or 2.
    pub(crate) number_len: usize,
    /// The length of the header.
    pub(crate) header_len: usize,
    /// How many bytes follow it.
    pub(crate) length: usize,
}

/// Whether a datagram, or the rest of one, begins with a protected record of version 1.3
/// (RFC 9147 §4.1).
#[inline]
pub(crate) fn is_unified(bytes: &[u8]) -> bool {
    bytes
        .first()
        .is_some_and(|first| first & FIXED_MASK == FIXED)
}

/// Where a record has its connection ID.
pub(crate) const CONNECTION_ID_AT: usize = 1;

/// Whether a record that begins with a unified header carries a connection ID.
#[inline]
pub(crate) fn has_connection_id(bytes: &[u8]) -> bool {
    bytes
        .first()
        .is_some_and(|first| first & CONNECTION_ID != 0)
}

impl UnifiedHeader {
    /// Decodes the header at the start of `bytes`, the rest of a datagram, with a connection ID of
    /// `id_len` bytes. `None` if it makes no sense.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], id_len: usize) -> Option<Self> {
        let first = *bytes.first()?;
        if first & FIXED_MASK != FIXED || (first & CONNECTION_ID != 0) != (id_len > 0) {
            return None;
        }
        let number_len = if first & LONG_NUMBER == 0 { 1 } else { 2 };
        let number_end = CONNECTION_ID_AT + id_len + number_len;
        let rest = bytes.get(number_end..)?;
        let (header_len, length) = if first & LENGTH == 0 {
            (number_end, rest.len())
        } else {
            let length = u16::from_be_bytes(*rest.first_chunk()?);
            (number_end + 2, usize::from(length))
        };
        (header_len + length <= bytes.len()).then_some(Self {
            epoch_bits: first & EPOCH,
            id_len,
            number_len,
            header_len,
            length,
        })
    }
}

/// Appends the same header with a connection ID.
#[inline]
pub(crate) fn put_identified(number: RecordNumber, id: &[u8], length: u16, out: &mut Vec<u8>) {
    let [first, rest @ ..] = encode(number, length);
    out.push(first | CONNECTION_ID);
    out.extend_from_slice(id);
    out.extend_from_slice(&rest);
}

/// The header of an outgoing record, with its number not yet masked.
#[inline]
pub(crate) const fn encode(number: RecordNumber, length: u16) -> [u8; SENT_HEADER_LEN] {
    let first = FIXED | LONG_NUMBER | LENGTH | number.epoch.low_bits();
    let [.., n0, n1] = number.sequence.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    [first, n0, n1, l0, l1]
}

/// The number nearest to `expected` that ends in the `bits` low bits `low` (RFC 9147 §4.2.2).
#[inline]
pub(crate) const fn reconstruct(expected: u64, low: u64, bits: u32) -> u64 {
    let span = 1_u64 << bits;
    let candidate = (expected & !(span - 1)) | low;
    let half = span / 2;
    if candidate + half < expected && candidate + span <= RecordNumber::LIMIT_48 {
        candidate + span
    } else if candidate > expected + half && candidate >= span {
        candidate - span
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Epoch;

    #[test]
    fn what_is_sent_is_understood() {
        let number = RecordNumber {
            epoch: Epoch::new(7),
            sequence: 0x0001_2345,
        };
        let mut bytes = encode(number, 20).to_vec();
        assert_eq!(bytes, [0b0010_1111, 0x23, 0x45, 0, 20]);
        bytes.extend([0; 20]);
        let header = UnifiedHeader::decode(&bytes, 0).unwrap();
        assert_eq!((header.epoch_bits, header.number_len), (3, 2));
        assert_eq!((header.header_len, header.length), (SENT_HEADER_LEN, 20));
    }

    /// RFC 9147 §4: short number and no length, as the last record of a datagram may be.
    #[test]
    fn the_minimal_header_reaches_to_the_end_of_the_datagram() {
        let header = UnifiedHeader::decode(&[0b0010_0010, 9, 1, 2, 3], 0).unwrap();
        assert_eq!((header.epoch_bits, header.number_len), (2, 1));
        assert_eq!((header.header_len, header.length), (2, 3));
    }

    #[test]
    fn headers_that_are_cut_or_lie_are_refused() {
        for bytes in [
            &[][..],
            &[0b0010_1100],
            &[0b0010_1100, 0, 0],
            &[0b0010_1100, 0, 0, 0, 1],
            &[0b0011_1100, 0, 0, 0, 0],
            &[0b0100_1100, 0, 0, 0, 0],
            &[22, 0xfe, 0xfd, 0, 0],
        ] {
            assert_eq!(UnifiedHeader::decode(bytes, 0), None, "{bytes:?}");
        }
    }

    /// RFC 9147 §4.2.2: the number closest to the one that is expected.
    #[test]
    fn r9147_07_numbers_are_rebuilt_next_to_the_expected_one() {
        for sequence in [0_u64, 1, 127, 255, 256, 65_535, 65_536, 1 << 40] {
            for distance in [-100_i64, -1, 0, 1, 100] {
                let Some(expected) = sequence.checked_add_signed(distance) else {
                    continue;
                };
                for bits in [8, 16] {
                    let low = sequence & ((1 << bits) - 1);
                    assert_eq!(reconstruct(expected, low, bits), sequence);
                }
            }
        }
        // Nothing lies below zero or above the last number.
        assert_eq!(reconstruct(0, 0xffff, 16), 0xffff);
        assert_eq!(
            reconstruct(RecordNumber::LIMIT_48, 0, 16),
            RecordNumber::LIMIT_48 & !0xffff
        );
    }
}
