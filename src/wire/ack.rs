//! ACK (RFC 9147 §7).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::{Epoch, RecordNumber};

/// The length of one record number, in bytes.
pub(crate) const NUMBER_LEN: usize = 16;

/// Reads the numbers of the records that the peer has taken.
pub(crate) fn decode(contents: &[u8]) -> Result<Vec<RecordNumber>, InvalidMessage> {
    let mut reader = Reader::new(contents);
    let mut list = Reader::new(reader.vec16("record_numbers")?);
    reader.finish("ACK")?;
    let mut numbers = Vec::new();
    while !list.is_empty() {
        numbers.push(RecordNumber {
            epoch: Epoch::new(list.u64("epoch")?),
            sequence: list.u64("sequence_number")?,
        });
    }
    Ok(numbers)
}

/// The contents of an ACK for `numbers`, which are in rising order.
pub(crate) fn encode(numbers: &[RecordNumber]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + NUMBER_LEN * numbers.len());
    out.put_vec(2, |out| {
        for number in numbers {
            out.put_u64(number.epoch.number());
            out.put_u64(number.sequence);
        }
    });
    out
}
