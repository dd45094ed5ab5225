//! DTLS 1.2 records and handshake headers, as far as captures need them.

use crate::failure::{Failure, Outcome};

/// One record of a captured datagram.
///
/// ```text
///  0      1        3      5                 11       13
/// +------+--------+------+-----------------+--------+----------
/// | type | version| epoch| sequence number | length | fragment
/// +------+--------+------+-----------------+--------+----------
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The content type.
    pub content_type: u8,
    /// The version of the header, `0xfefd` for DTLS 1.2.
    pub version: u16,
    /// Counts the changes of keys.
    pub epoch: u16,
    /// Counts the records of the epoch, 48 bits.
    pub sequence: u64,
    /// What follows the header.
    pub fragment: &'a [u8],
}

/// The header of a handshake message's fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeHeader {
    /// The message's type.
    pub message_type: u8,
    /// The number of the message in its handshake.
    pub message_seq: u16,
    /// Where in the message this fragment begins, in bytes.
    pub fragment_offset: u32,
}

impl Record<'_> {
    /// Epoch and sequence number in one, as the explicit nonce has them.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from(self.epoch) << 48 | self.sequence
    }

    /// The handshake messages that begin in this record, if it is a plaintext handshake record.
    #[must_use]
    pub fn handshake_headers(&self) -> Vec<HandshakeHeader> {
        let mut headers = Vec::new();
        if self.content_type != HANDSHAKE || self.epoch != 0 {
            return headers;
        }
        let mut rest = self.fragment;
        while let Some((header, body)) = rest.split_at_checked(HANDSHAKE_HEADER_LENGTH) {
            headers.push(HandshakeHeader {
                message_type: header[0],
                message_seq: u16::from_be_bytes([header[4], header[5]]),
                fragment_offset: number(&header[6..9]) as u32,
            });
            let length = number(&header[9..12]) as usize;
            rest = body.get(length..).unwrap_or_default();
        }
        headers
    }
}

/// Splits a datagram into its records.
///
/// # Errors
///
/// When bytes are left over that are not a record.
pub fn records(mut datagram: &[u8]) -> Outcome<Vec<Record<'_>>> {
    let mut records = Vec::new();
    while !datagram.is_empty() {
        let (header, rest) = datagram
            .split_at_checked(HEADER_LENGTH)
            .ok_or_else(|| Failure::new("a datagram ends within a record header"))?;
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (fragment, rest) = rest
            .split_at_checked(length)
            .ok_or_else(|| Failure::new("a datagram ends within a record"))?;
        records.push(Record {
            content_type: header[0],
            version: u16::from_be_bytes([header[1], header[2]]),
            epoch: u16::from_be_bytes([header[3], header[4]]),
            sequence: number(&header[5..11]),
            fragment,
        });
        datagram = rest;
    }
    Ok(records)
}

/// Makes a record that does not authenticate.
#[must_use]
pub fn forge(content_type: u8, epoch: u16, sequence: u64, fragment: &[u8]) -> Vec<u8> {
    let mut record = vec![content_type];
    record.extend(VERSION_1_2.to_be_bytes());
    record.extend(epoch.to_be_bytes());
    record.extend(&sequence.to_be_bytes()[2..]);
    let length = u16::try_from(fragment.len()).expect("a record is shorter than 64 KiB");
    record.extend(length.to_be_bytes());
    record.extend(fragment);
    record
}

fn number(big_endian: &[u8]) -> u64 {
    big_endian
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The version of DTLS 1.2 on the wire.
pub const VERSION_1_2: u16 = 0xfefd;

/// The content type of handshake records.
pub const HANDSHAKE: u8 = 22;

/// The content type of application data.
pub const APPLICATION_DATA: u8 = 23;

/// The message type ClientHello.
pub const CLIENT_HELLO: u8 = 1;

/// The message type ServerHello.
pub const SERVER_HELLO: u8 = 2;

/// The message type HelloVerifyRequest.
pub const HELLO_VERIFY_REQUEST: u8 = 3;

const HEADER_LENGTH: usize = 13;

const HANDSHAKE_HEADER_LENGTH: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_records_are_read_again() {
        let mut datagram = forge(APPLICATION_DATA, 1, 0x0102_0304_0506, &[7; 3]);
        datagram.extend(forge(HANDSHAKE, 0, 2, &[0; 12]));
        let [first, second] = records(&datagram).expect("two records")[..] else {
            panic!("not two records");
        };
        assert_eq!(first.number(), 0x0001_0102_0304_0506);
        assert_eq!(first.fragment, [7; 3]);
        assert_eq!(second.handshake_headers().len(), 1);
    }

    #[test]
    fn half_a_record_is_refused() {
        let datagram = forge(APPLICATION_DATA, 1, 1, &[0; 8]);
        for length in 1..datagram.len() {
            assert!(records(&datagram[..length]).is_err());
        }
    }
}
