//! The numbers in the headers of 1.3 datagram records, hidden by masks that are made from the
//! ciphertext (RFC 9147 §4.2.3).

use super::{Form, NotOpened, Opener};
use crate::crypto::mask::{MaskKey, SAMPLE_LEN};
use crate::wire::record_dtls13;

/// Hides the number of a record that is sent, which has a connection ID of `id_len` bytes and
/// `header_len` bytes of header (RFC 9147 §4.2.3).
#[inline]
pub(super) fn mask_number(mask: &MaskKey, record: &mut [u8], id_len: usize, header_len: usize) {
    let sample = record
        .get(header_len..)
        .and_then(|ciphertext| ciphertext.first_chunk());
    if let Some(sample) = sample {
        apply_mask(mask.mask(sample), record, id_len, 2);
    }
}

#[inline]
fn apply_mask(mask: [u8; 2], record: &mut [u8], id_len: usize, number_len: usize) {
    let start = record_dtls13::CONNECTION_ID_AT + id_len;
    let number = record
        .get_mut(start..start + number_len)
        .unwrap_or_default();
    for (byte, mask) in number.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

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
}
