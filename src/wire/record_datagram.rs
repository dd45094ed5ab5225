//! The header of a record in a datagram, of whichever version: what the endpoint routes by, and
//! what the record layer opens by.

use super::record_dtls::{self, HEADER_LEN, RecordHeader};
use super::record_dtls13::{self, UnifiedHeader, is_unified};
use crate::protocol::ContentType;

/// How a datagram, or the rest of one, begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DatagramHeader {
    /// With type and number: of version 1.2, or without protection.
    Full(RecordHeader),
    /// Protected, of version 1.2, with a connection ID; the type is inside (RFC 9146 §4).
    Identified(RecordHeader, usize),
    /// Protected, with type and number hidden: of version 1.3.
    Unified(UnifiedHeader),
}

/// Why a header cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadHeader {
    /// It makes no sense, or the record reaches beyond the datagram.
    Malformed,
    /// It carries a connection ID that was not given to this peer, so that nobody knows how long
    /// that is.
    UnknownConnectionId,
}

impl DatagramHeader {
    /// Decodes the header at the start of `bytes`, and says how long the whole record is. `unified`
    /// says whether there can be records of version 1.3; `id_len` says how long the connection ID
    /// is with which these bytes begin, if it is known.
    #[inline]
    pub(crate) fn decode(
        bytes: &[u8],
        unified: bool,
        id_len: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Result<(Self, usize), BadHeader> {
        let measure = |at: usize| {
            let rest = bytes.get(at..).unwrap_or_default();
            id_len(rest).ok_or(BadHeader::UnknownConnectionId)
        };
        if unified && is_unified(bytes) {
            let id_len = match record_dtls13::has_connection_id(bytes) {
                false => 0,
                true => measure(record_dtls13::CONNECTION_ID_AT)?,
            };
            let header = UnifiedHeader::decode(bytes, id_len).ok_or(BadHeader::Malformed)?;
            return Ok((Self::Unified(header), header.header_len + header.length));
        }
        if has_connection_id_12(bytes) {
            let id_len = measure(record_dtls::CONNECTION_ID_AT)?;
            let header = RecordHeader::decode_identified(bytes, id_len);
            let header = header.ok_or(BadHeader::Malformed)?;
            let header_len = HEADER_LEN + id_len;
            let length = header_len + usize::from(header.length);
            let whole = length <= bytes.len();
            return whole
                .then_some((Self::Identified(header, header_len), length))
                .ok_or(BadHeader::Malformed);
        }
        let header = RecordHeader::decode(bytes).ok_or(BadHeader::Malformed)?;
        let length = HEADER_LEN + usize::from(header.length);
        let whole = length <= bytes.len();
        whole
            .then_some((Self::Full(header), length))
            .ok_or(BadHeader::Malformed)
    }

    /// The same where no record carries a connection ID.
    #[inline]
    pub(crate) fn decode_anonymous(bytes: &[u8], unified: bool) -> Option<(Self, usize)> {
        Self::decode(bytes, unified, |_| None).ok()
    }
}

#[inline]
fn has_connection_id_12(bytes: &[u8]) -> bool {
    bytes.first() == Some(&ContentType::TLS12_CID.0)
}

/// Where the connection ID begins, if the first record of a datagram carries one, with everything
/// that comes after it: only who has given it knows where it ends.
#[inline]
pub(crate) fn connection_id_at(datagram: &[u8]) -> Option<&[u8]> {
    let at = if has_connection_id_12(datagram) {
        record_dtls::CONNECTION_ID_AT
    } else if is_unified(datagram) && record_dtls13::has_connection_id(datagram) {
        record_dtls13::CONNECTION_ID_AT
    } else {
        return None;
    };
    Some(datagram.get(at..).unwrap_or_default())
}

/// The same of the first record that carries one, if those before it have none.
pub(crate) fn later_connection_id_at(datagram: &[u8]) -> Option<&[u8]> {
    let mut rest = datagram;
    loop {
        if let Some(at) = connection_id_at(rest) {
            return Some(at);
        }
        let (_, length) = DatagramHeader::decode_anonymous(rest, true)?;
        rest = rest.get(length..).filter(|rest| !rest.is_empty())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// J19: whatever is cut off, nothing is read beyond the datagram, and nothing that is cut is
    /// taken for a record.
    #[test]
    fn j19_cut_headers_with_a_connection_id_are_no_records() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        let known = |at: &[u8]| at.starts_with(&id).then_some(id.len());
        let mut of_12 = vec![25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 7];
        of_12.extend(id);
        of_12.extend([0, 3, 9, 9, 9]);
        let mut of_13 = vec![0b0011_1101];
        of_13.extend(id);
        of_13.extend([0, 7, 0, 3, 9, 9, 9]);
        for whole in [of_12, of_13] {
            let decoded = DatagramHeader::decode(&whole, true, known);
            assert_eq!(decoded.map(|(_, length)| length), Ok(whole.len()));
            for cut in 0..whole.len() {
                let cut = &whole[..cut];
                assert!(DatagramHeader::decode(cut, true, known).is_err(), "{cut:?}");
                let _at = connection_id_at(cut);
            }
        }
    }
}
