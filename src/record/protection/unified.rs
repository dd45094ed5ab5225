//! Opening 1.3 datagram records: their number is hidden by a mask that is made from the ciphertext
//! (RFC 9147 §4.2.3), and the header with the number in the clear is authenticated (§4).

use super::{Form, NotOpened, Opener, apply_mask};
use crate::crypto::mask::SAMPLE_LEN;
use crate::protocol::ContentType;
use crate::wire::record_dtls13;
use std::ops::Range;

impl Opener {
    /// Removes the mask from the number of a 1.3 datagram record, and returns those low bits of the
    /// number that the header has. A second call puts the mask on again.
    ///
    /// # Errors
    ///
    /// `TooShort` if the ciphertext has less than 16 bytes (RFC 9147 §4.2.3).
    #[inline]
    pub(crate) fn unmask(
        &self,
        header: &record_dtls13::UnifiedHeader,
        record: &mut [u8],
    ) -> Result<u64, NotOpened> {
        if header.length < SAMPLE_LEN {
            return Err(NotOpened::TooShort);
        }
        if let Form::V13 { mask: Some(mask) } = &self.keys.form {
            let sample = record
                .get(header.header_len..)
                .and_then(|rest| rest.first_chunk())
                .ok_or(NotOpened::TooShort)?;
            apply_mask(mask.mask(sample), record, header.id_len, header.number_len);
        }
        let start = record_dtls13::CONNECTION_ID_AT + header.id_len;
        let number = record.get(start..start + header.number_len);
        let number = number.unwrap_or_default();
        Ok(number
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Opens a whole 1.3 datagram record in place, whose number is unmasked and known to be
    /// `sequence`; returns where in it the contents are, and of which type.
    ///
    /// # Errors
    ///
    /// [`NotOpened`]; the contents of `record` are then lost.
    #[inline]
    pub(crate) fn open_datagram_13(
        &self,
        header: &record_dtls13::UnifiedHeader,
        sequence: u64,
        record: &mut [u8],
    ) -> Result<(Range<usize>, ContentType), NotOpened> {
        let (aad, fragment) = record.split_at_mut(header.header_len);
        let (range, content_type) = self.open_inner(aad, sequence, fragment)?;
        let contents = header.header_len + range.start..header.header_len + range.end;
        Ok((contents, content_type))
    }
}
