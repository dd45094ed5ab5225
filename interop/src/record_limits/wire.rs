//! How much data the captured records have.
//!
//! ```text
//!  TLS        type, version, length, fragment
//!  DTLS 1.2   type, version, epoch, number, length, fragment
//!  DTLS 1.3   001CSLEE, number (16 bits if S, or else 8), length if L, fragment     RFC 9147 §4
//! ```

use super::Version;
use crate::failure::{Failure, Outcome};
use crate::peer::Transport;

/// One record of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether it was encrypted.
    pub(super) protected: bool,
    /// Its data in bytes; at version 1.3 the type within counts, which AES-128-GCM leaves no room
    /// to hide.
    pub(super) data: usize,
}

/// The records of a stream, whose protected ones are those after the ChangeCipherSpec at version
/// 1.2, and look like data at 1.3.
pub(super) fn of_stream(mut stream: &[u8], version: Version) -> Outcome<Vec<Seen>> {
    let mut all = Vec::new();
    let mut changed = false;
    // The last one may still be on its way.
    while let Some((header, rest)) = stream.split_at_checked(STREAM_HEADER) {
        let length = number(header, STREAM_HEADER - 2)?;
        let Some((_, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let protected = match version {
            Version::V12 => changed,
            Version::V13 => header[0] == APPLICATION_DATA,
        };
        changed |= header[0] == CHANGE_CIPHER_SPEC;
        all.push(seen(protected, length, version)?);
        stream = rest;
    }
    Ok(all)
}

/// The records of a datagram.
pub(super) fn of_datagram(mut datagram: &[u8], version: Version) -> Outcome<Vec<Seen>> {
    let mut all = Vec::new();
    while let Some(&first) = datagram.first() {
        let unified = first & UNIFIED_MASK == UNIFIED;
        let header = match (unified, first & UNIFIED_NUMBER, first & UNIFIED_LENGTH) {
            (false, ..) => DATAGRAM_HEADER,
            (true, 0, 0) => 2,
            (true, _, 0) => 3,
            (true, 0, _) => 4,
            (true, ..) => 5,
        };
        let length = match unified && first & UNIFIED_LENGTH == 0 {
            true => datagram.len().saturating_sub(header),
            false => number(datagram, header - 2)?,
        };
        let protected = unified || number(datagram, EPOCH)? > 0;
        all.push(seen(protected, length, version)?);
        datagram = datagram.get(header + length..).ok_or_else(cut)?;
    }
    Ok(all)
}

fn seen(protected: bool, length: usize, version: Version) -> Outcome<Seen> {
    let added = match (protected, version) {
        (false, _) => 0,
        (true, Version::V12) => EXPLICIT_NONCE + TAG,
        (true, Version::V13) => TAG,
    };
    let data = length.checked_sub(added).ok_or_else(cut)?;
    Ok(Seen { protected, data })
}

/// What [`of_stream`] and [`of_datagram`] read of a transport.
pub(super) fn read(
    transport: Transport,
    version: Version,
    pieces: &[Vec<u8>],
) -> Outcome<Vec<Seen>> {
    match transport {
        Transport::Tls => of_stream(&pieces.concat(), version),
        Transport::Dtls => {
            let all: Outcome<Vec<_>> = pieces.iter().map(|it| of_datagram(it, version)).collect();
            Ok(all?.concat())
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Outcome<usize> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(usize::from(u16::from_be_bytes([high, low]))),
        _ => Err(cut()),
    }
}

fn cut() -> Failure {
    Failure::new("a capture ends within a record")
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const APPLICATION_DATA: u8 = 23;

const STREAM_HEADER: usize = 5;
const DATAGRAM_HEADER: usize = 13;
const EPOCH: usize = 3;

/// Of AES-128-GCM (RFC 5288 §3).
const EXPLICIT_NONCE: usize = 8;
const TAG: usize = 16;

const UNIFIED_MASK: u8 = 0b1110_0000;
const UNIFIED: u8 = 0b0010_0000;
const UNIFIED_NUMBER: u8 = 0b0000_1000;
const UNIFIED_LENGTH: u8 = 0b0000_0100;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(header: &[u8], length: u16) -> Vec<u8> {
        let body = vec![7; usize::from(length)];
        [header, &length.to_be_bytes(), &body].concat()
    }

    fn found(records: Outcome<Vec<Seen>>) -> Vec<(bool, usize)> {
        let records = records.expect("records").into_iter();
        records.map(|it| (it.protected, it.data)).collect()
    }

    #[test]
    fn a_stream_of_version_1_2_is_protected_after_its_change() {
        let records = [(22, 80), (20, 1), (22, 40), (23, 324)];
        let stream = records.map(|(kind, length)| record(&[kind, 3, 3], length));
        let read = found(of_stream(&stream.concat(), Version::V12));
        assert_eq!(read, [(false, 80), (false, 1), (true, 16), (true, 300)]);
        let cut = stream.concat();
        assert_eq!(
            found(of_stream(&cut[..cut.len() - 1], Version::V12)).len(),
            3
        );
    }

    #[test]
    fn a_stream_of_version_1_3_is_protected_where_it_looks_like_data() {
        let records = [(22, 80), (20, 1), (23, 217)];
        let stream = records.map(|(kind, length)| record(&[kind, 3, 3], length));
        let read = found(of_stream(&stream.concat(), Version::V13));
        assert_eq!(read, [(false, 80), (false, 1), (true, 201)]);
    }

    #[test]
    fn datagrams_are_read_in_every_form() {
        let plain = record(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1], 90);
        let protected = record(&[22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1], 64);
        let read = found(of_datagram(&[plain, protected].concat(), Version::V12));
        assert_eq!(read, [(false, 90), (true, 40)]);
        let long = record(&[0x2e, 9, 9], 33);
        let rest = [&[0x22, 9][..], &[7; 20]].concat();
        let read = found(of_datagram(&[long, rest].concat(), Version::V13));
        assert_eq!(read, [(true, 17), (true, 4)]);
        assert!(of_datagram(&[0x2e, 9, 9, 0, 20, 7], Version::V13).is_err());
    }
}
