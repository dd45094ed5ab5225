//! The header of a record in a datagram, of whichever version: what the endpoint routes by, and
//! what the record layer opens by.

use super::record_dtls::{HEADER_LEN, RecordHeader};
use super::record_dtls13::{UnifiedHeader, is_unified};

/// How a datagram, or the rest of one, begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DatagramHeader {
    /// With type and number: of version 1.2, or without protection.
    Full(RecordHeader),
    /// Protected, with both hidden: of version 1.3.
    Unified(UnifiedHeader),
}

impl DatagramHeader {
    /// Decodes the header at the start of `bytes`, and says how long the whole record is. `None` if
    /// it makes no sense, or the record reaches beyond the datagram. `unified` says whether
    /// there can be records of version 1.3.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], unified: bool) -> Option<(Self, usize)> {
        if unified && is_unified(bytes) {
            let header = UnifiedHeader::decode(bytes)?;
            return Some((Self::Unified(header), header.header_len + header.length));
        }
        let header = RecordHeader::decode(bytes)?;
        let length = HEADER_LEN + usize::from(header.length);
        (length <= bytes.len()).then_some((Self::Full(header), length))
    }
}
