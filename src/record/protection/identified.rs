//! Datagram records with a connection ID.
//!
//! ```text
//!  version 1.2 (RFC 9146 §4)
//!  header (13), with the ID before the length ‖ explicit nonce (8, GCM and CCM)
//!                   ‖ ciphertext of contents, type and zeros ‖ tag
//!  additional data: ff⁸ ‖ 25 ‖ length of the ID ‖ 25 ‖ version ‖ number ‖ ID ‖ plaintext length
//!                                                                         RFC 9146 §5.3
//!
//!  version 1.3: the ID is a part of the header                            RFC 9147 §4
//! ```

use super::{Form, NotOpened, Opener, Parts12, Sealer, TYPE_LEN, find_type, mask_number};
use crate::protocol::{ContentType, MAX_CONNECTION_ID_LEN, ProtocolVersion, RecordNumber};
use crate::wire::{record_dtls, record_dtls13};
use std::ops::Range;

/// How many bytes of additional data a record with a connection ID has beside that.
const IDENTIFIED_AAD_LEN: usize = 23;

/// The longest connection ID of which the additional data is made without ado.
const USUAL_ID_LEN: usize = 20;

/// Calls `use_it` with the additional data of a 1.2 record that carries the connection ID `id`.
#[inline]
fn with_additional_data<T>(
    number: [u8; 8],
    version: ProtocolVersion,
    id: &[u8],
    inner_len: u16,
    use_it: impl FnOnce(&[u8]) -> T,
) -> T {
    // Most are short, and what is not needed of a buffer must be cleared all the same.
    let (mut short, mut long);
    let aad: &mut [u8] = if id.len() <= USUAL_ID_LEN {
        short = [0; IDENTIFIED_AAD_LEN + USUAL_ID_LEN];
        &mut short
    } else {
        long = [0; IDENTIFIED_AAD_LEN + MAX_CONNECTION_ID_LEN];
        &mut long
    };
    let cid = ContentType::TLS12_CID.0;
    let id_len = id.len().min(MAX_CONNECTION_ID_LEN);
    aad[..8].fill(0xff);
    aad[8..11].copy_from_slice(&[cid, id_len as u8, cid]);
    aad[11..13].copy_from_slice(&version.to_bytes());
    aad[13..21].copy_from_slice(&number);
    aad[21..21 + id_len].copy_from_slice(&id[..id_len]);
    aad[21 + id_len..23 + id_len].copy_from_slice(&inner_len.to_be_bytes());
    use_it(&aad[..IDENTIFIED_AAD_LEN + id_len])
}

impl Sealer {
    /// Appends one datagram record with the connection ID `id`, which is not empty.
    pub(crate) fn seal_identified(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        version: ProtocolVersion,
        id: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        match &self.keys.form {
            Form::V12 => self.seal_identified_12(number, content_type, version, id, payload, out),
            Form::V13 { mask } => {
                let start = out.len();
                let overhead = self.datagram_overhead(id.len());
                out.reserve(overhead + payload.len() + self.padding(payload.len()));
                record_dtls13::put_identified(number, id, self.fragment_len(payload), out);
                let contents = out.len();
                self.append_inner(content_type, payload, out);
                let nonce = self.keys.nonce(number.sequence.to_be_bytes());
                let (before, contents) = out.split_at_mut(contents);
                let tag = self.keys.key.seal(nonce, &before[start..], contents);
                out.extend_from_slice(tag.as_ref());
                if let (Some(mask), Some(record)) = (mask.as_deref(), out.get_mut(start..)) {
                    let header = record_dtls13::SENT_HEADER_LEN + id.len();
                    mask_number(mask, record, id.len(), header);
                }
            }
        }
    }

    /// RFC 9146 §4: the type stands behind the contents, and from outside the record is a
    /// tls12_cid.
    fn seal_identified_12(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        version: ProtocolVersion,
        id: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let number = number.to_bytes_12();
        let inner = payload.len() + TYPE_LEN;
        let length = u16::try_from(inner + self.expansion()).unwrap_or(u16::MAX);
        out.reserve(self.datagram_overhead(id.len()) + payload.len());
        out.push(ContentType::TLS12_CID.0);
        out.extend_from_slice(&version.to_bytes());
        out.extend_from_slice(&number);
        out.extend_from_slice(id);
        out.extend_from_slice(&length.to_be_bytes());
        if self.keys.has_explicit_nonce() {
            out.extend_from_slice(&number);
        }
        let start = out.len();
        out.extend_from_slice(payload);
        out.push(content_type.0);
        let nonce = self.keys.nonce(number);
        let inner = u16::try_from(inner).unwrap_or(u16::MAX);
        let tag = with_additional_data(number, version, id, inner, |aad| {
            self.keys.key.seal(nonce, aad, &mut out[start..])
        });
        out.extend_from_slice(tag.as_ref());
    }
}

impl Opener {
    /// Opens a 1.2 record in place that carries a connection ID and has `header_len` bytes of
    /// header; returns where in it the contents are, and of which type (RFC 9146 §4).
    ///
    /// # Errors
    ///
    /// [`NotOpened`]; the contents of `record` are then lost.
    pub(crate) fn open_identified_12(
        &self,
        header: &record_dtls::RecordHeader,
        header_len: usize,
        record: &mut [u8],
    ) -> Result<(Range<usize>, ContentType), NotOpened> {
        let number = header.number.to_bytes_12();
        let (before, fragment) = record.split_at_mut(header_len);
        let id = before
            .get(record_dtls::CONNECTION_ID_AT..header_len - 2)
            .unwrap_or_default();
        let Parts12 {
            nonce,
            ciphertext,
            start,
            length,
        } = self.keys.parts_12(number, fragment)?;
        with_additional_data(number, header.version, id, length, |aad| {
            self.keys.key.open(nonce, aad, ciphertext).map(|_| ())
        })
        .map_err(|_| NotOpened::Forged)?;
        let length = usize::from(length);
        if length > usize::from(self.keys.most) {
            return Err(self.overlong(length));
        }
        let (range, content_type) = find_type(ciphertext.get(..length).unwrap_or_default())?;
        let start = header_len + start;
        Ok((start..start + range.end, content_type))
    }
}
