//! Where a record carries a connection ID.
//!
//! ```text
//!  1.2   type 25, version, epoch, number, ID, length, ...          RFC 9146 §4
//!  1.3   001CSLEE, ID if C, number (16 bits if S, or else 8), length if L, ...    RFC 9147 §4
//! ```

use std::ops::Range;

use super::ends::Identity;
use crate::failure::{Failure, Outcome};

/// A protected record, as far as its header says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// Empty if there is none.
    pub(super) id: Identity,
    /// At version 1.3 the header has two bits of it: the handshake's is 2, and there are at most
    /// two key updates.
    pub(super) epoch: u16,
}

/// The protected records of a datagram. The receiver's connection IDs have `length` bytes.
pub(super) fn carried(datagram: &[u8], length: usize) -> Outcome<Vec<Carried>> {
    let mut all = Vec::new();
    let mut rest = datagram;
    while let Some(&first) = rest.first() {
        let (record, whole) = if first & UNIFIED_MASK == UNIFIED {
            unified(rest, first, length)?
        } else {
            classic(rest, first, length)?
        };
        all.extend(record);
        rest = bytes(rest, whole..rest.len())?;
    }
    Ok(all)
}

fn classic(record: &[u8], first: u8, length: usize) -> Outcome<(Option<Carried>, usize)> {
    let end = HEADER_BEFORE_ID + if first == WITH_ID { length } else { 0 };
    let epoch = number(record, EPOCH)?;
    let carried = Carried {
        id: bytes(record, HEADER_BEFORE_ID..end)?.to_owned(),
        epoch,
    };
    let whole = end + 2 + usize::from(number(record, end)?);
    Ok(((first == WITH_ID || epoch > 0).then_some(carried), whole))
}

fn unified(record: &[u8], first: u8, length: usize) -> Outcome<(Option<Carried>, usize)> {
    let id = 1..1 + if first & UNIFIED_ID == 0 { 0 } else { length };
    let body = id.end + if first & UNIFIED_NUMBER == 0 { 1 } else { 2 };
    let whole = match first & UNIFIED_LENGTH {
        0 => record.len(),
        _ => body + 2 + usize::from(number(record, body)?),
    };
    let bits = u16::from(first & UNIFIED_EPOCH);
    let carried = Carried {
        id: bytes(record, id)?.to_owned(),
        epoch: if bits < 2 { bits + 4 } else { bits },
    };
    Ok((Some(carried), whole))
}

fn number(record: &[u8], at: usize) -> Outcome<u16> {
    let bytes = bytes(record, at..at + 2)?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn bytes(record: &[u8], range: Range<usize>) -> Outcome<&[u8]> {
    let cut = || Failure::new(format!("it ends within a record: {record:02x?}"));
    record.get(range).ok_or_else(cut)
}

/// The content type of RFC 9146, `tls12_cid`.
const WITH_ID: u8 = 25;

/// Where the epoch is.
const EPOCH: usize = 3;

/// Type, version, epoch and number.
const HEADER_BEFORE_ID: usize = 11;

const UNIFIED_MASK: u8 = 0b1110_0000;
const UNIFIED: u8 = 0b0010_0000;
const UNIFIED_ID: u8 = 0b0001_0000;
const UNIFIED_NUMBER: u8 = 0b0000_1000;
const UNIFIED_LENGTH: u8 = 0b0000_0100;
const UNIFIED_EPOCH: u8 = 0b0000_0011;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datagram: &[u8]) -> Vec<(Identity, u16)> {
        let records = carried(datagram, 2).expect("records").into_iter();
        records.map(|record| (record.id, record.epoch)).collect()
    }

    /// What wolfSSL sends as the last flight of a client: ChangeCipherSpec in the clear, Finished
    /// with the connection ID.
    #[test]
    fn only_protected_records_have_connection_ids() {
        let mut datagram = vec![20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 1];
        datagram.extend([
            25, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0xa1, 0xa2, 0, 3, 7, 7, 7,
        ]);
        assert_eq!(read(&datagram), [(vec![0xa1, 0xa2], 1)]);
    }

    #[test]
    fn a_protected_record_without_an_id_is_told_from_a_plain_one() {
        let protected = [23, 254, 253, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 7, 7];
        assert_eq!(read(&protected), [(vec![], 2)]);
        let plain = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 7, 7];
        assert_eq!(read(&plain), []);
    }

    #[test]
    fn all_forms_of_the_unified_header_are_read() {
        let two = [
            0x3f, 0xb1, 0xb2, 9, 9, 0, 1, 7, 0x38, 0xb1, 0xb2, 9, 9, 7, 7,
        ];
        let id = vec![0xb1, 0xb2];
        assert_eq!(read(&two), [(id.clone(), 3), (id, 4)]);
        assert_eq!(read(&[0x26, 9, 0, 1, 7]), [(vec![], 2)]);
    }

    #[test]
    fn what_ends_within_a_record_is_refused() {
        let cut = [25, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0xa1, 0xa2, 0, 3, 7, 7];
        for datagram in [&cut[..], &cut[..5], &[0x3f, 0xb1], &[0x3b, 0xb1]] {
            assert!(carried(datagram, 2).is_err(), "{datagram:02x?}");
        }
    }
}
