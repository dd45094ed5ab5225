//! Sealing and opening records.
//!
//! ```text
//!  version 1.2 (RFC 5288 §3)
//!  header (13 or 5) ‖ explicit nonce (8, GCM and CCM) ‖ ciphertext ‖ tag (16, CCM_8: 8)
//!  nonce, GCM, CCM: fixed IV (4) ‖ explicit nonce (8)                    RFC 6655 §3
//!  nonce, ChaCha20: fixed IV (12) ⊕ (0⁴ ‖ number)                        RFC 7905 §2
//!  additional data: number ‖ type ‖ version ‖ plaintext length           RFC 5246 §6.2.3.3
//!  number:          over datagrams, epoch ‖ sequence                     RFC 6347 §4.1.2.1
//!                   over a stream, the sequence                          RFC 5246 §6.1
//!
//!  version 1.3 (RFC 8446 §5.2)
//!  header (5) ‖ ciphertext of contents, type and zeros ‖ tag
//!  nonce:           IV (12) ⊕ (0⁴ ‖ sequence)                            RFC 8446 §5.3
//!  additional data: the header, over datagrams with the number unmasked  RFC 9147 §4
//! ```
//!
//! Datagram records with a connection ID are sealed and opened in `identified`, those of 1.3 opened
//! in `unified`.

mod identified;
mod limits;
mod unified;

use crate::crypto::aead::{AeadAlgorithm, AeadKey, NONCE_LEN};
use crate::crypto::mask::{MaskKey, SAMPLE_LEN};
use crate::protocol::{AgreedLimits, ContentType, ProtocolVersion, RecordNumber};
use crate::secrets::traffic::{RecordForm, RecordProtection};
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;
use crate::wire::{record_dtls, record_dtls13, record_tls};
use std::ops::Range;

/// Why a record cannot be opened. Anybody can cause the first two; the others only the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotOpened {
    /// It has no room for nonce and tag.
    TooShort,
    /// It does not authenticate.
    Forged,
    /// It authenticates, and is nothing but padding (RFC 8446 §5.4).
    NoContentType,
    /// It authenticates, and is longer with its padding than a record may be (RFC 8446 §5.4).
    Overlong,
    /// It authenticates, and is longer than was agreed (RFC 8449 §4, RFC 6066 §4).
    BeyondLimit,
}

/// What the records of an epoch look like, with what that form needs beside the key.
enum Form {
    V12,
    V13 {
        /// Over datagrams, what hides the record numbers. Boxed, because it is large and streams
        /// have none.
        mask: Option<Box<MaskKey>>,
    },
}

/// Keys and nonce base of one direction of one epoch, expanded.
struct Keys {
    algorithm: AeadAlgorithm,
    key: AeadKey,
    iv: [u8; NONCE_LEN],
    form: Form,
    /// The most of a record, in bytes: of one that is written its contents, of one that is read
    /// everything that is encrypted.
    most: u16,
}

impl Keys {
    fn new(protection: &RecordProtection) -> Self {
        let keys = &protection.keys;
        let form = match &protection.form {
            RecordForm::V12 => Form::V12,
            RecordForm::V13 { number_key } => Form::V13 {
                mask: number_key
                    .as_ref()
                    .map(|key| Box::new(MaskKey::new(keys.aead, &key[..keys.aead.key_len()]))),
            },
        };
        Self {
            algorithm: keys.aead,
            key: AeadKey::new(keys.aead, keys.key()),
            iv: *keys.iv(),
            most: form.most(),
            form,
        }
    }

    /// How many bytes of a 1.2 fragment are its explicit nonce.
    const fn explicit_nonce_len(&self) -> usize {
        self.algorithm.explicit_nonce_len_12()
    }

    /// Whether a 1.2 fragment begins with its nonce, which is the number of its record.
    #[inline]
    const fn has_explicit_nonce(&self) -> bool {
        self.explicit_nonce_len() > 0
    }

    /// How many bytes of a fragment are its tag.
    const fn tag_len(&self) -> usize {
        self.algorithm.tag_len()
    }

    /// The nonce of the record whose eight bytes `number` are its explicit nonce or, without one,
    /// its number.
    #[inline]
    fn nonce(&self, number: [u8; 8]) -> [u8; NONCE_LEN] {
        // GCM's IV is four bytes and eight zeros, so one exclusive-or serves both constructions. It
        // is done and stored by eight bytes and four, as the nonce is read: a processor has to wait
        // where a read spans two writes that it has not completed.
        let [a, b, c, d, e, f, g, h, last @ ..] = self.iv;
        let [n0, n1, n2, n3, low @ ..] = number;
        let first = u64::from_ne_bytes([a, b, c, d, e, f, g, h])
            ^ u64::from_ne_bytes([0, 0, 0, 0, n0, n1, n2, n3]);
        let last = u32::from_ne_bytes(last) ^ u32::from_ne_bytes(low);
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&first.to_ne_bytes());
        nonce[8..].copy_from_slice(&last.to_ne_bytes());
        nonce
    }
}

/// How many bytes of a fragment of version 1.3 are the type of its contents.
const TYPE_LEN: usize = 1;

/// How many bytes longer than its contents a fragment of version 1.2 is at most, in any suite: an
/// explicit nonce and a tag.
pub(crate) const MAX_EXPANSION_12: usize = {
    let (mut most, mut rest) = (0, AeadAlgorithm::ALL.as_slice());
    while let [aead, others @ ..] = rest {
        let explicit = aead.explicit_nonce_len_12();
        assert!(
            explicit == 0 || explicit == 8,
            "the explicit nonce is the number"
        );
        let expansion = explicit + aead.tag_len();
        most = if expansion > most { expansion } else { most };
        rest = others;
    }
    most
};

/// The same of a fragment of version 1.3: the type of its contents and a tag. The padding of short
/// contents does not count: those that fill a record need none.
pub(crate) const MAX_EXPANSION_13: usize = {
    let (mut most, mut rest) = (0, AeadAlgorithm::ALL.as_slice());
    while let [aead, others @ ..] = rest {
        let expansion = TYPE_LEN + aead.tag_len();
        most = if expansion > most { expansion } else { most };
        rest = others;
    }
    most
};

/// The length of the additional data of a 1.2 record, in bytes.
const AAD_LEN: usize = 13;

/// The additional data of a 1.2 record.
#[inline]
fn additional_data(
    number: [u8; 8],
    content_type: ContentType,
    version: ProtocolVersion,
    plaintext_len: u16,
) -> [u8; AAD_LEN] {
    let mut aad = [0; AAD_LEN];
    aad[..8].copy_from_slice(&number);
    aad[8] = content_type.0;
    aad[9..11].copy_from_slice(&version.to_bytes());
    aad[11..].copy_from_slice(&plaintext_len.to_be_bytes());
    aad
}

/// Protects outgoing records of one epoch.
pub(crate) struct Sealer {
    keys: Keys,
}

impl Sealer {
    /// A sealer with these keys.
    pub(crate) fn new(protection: &RecordProtection) -> Self {
        let mut sealer = Self {
            keys: Keys::new(protection),
        };
        sealer.limit_records(AgreedLimits::None, false);
        sealer
    }

    /// How many bytes longer than its contents a fragment is, without padding.
    pub(crate) const fn expansion(&self) -> usize {
        match self.keys.form {
            Form::V12 => self.keys.explicit_nonce_len() + self.keys.tag_len(),
            Form::V13 { .. } => TYPE_LEN + self.keys.tag_len(),
        }
    }

    /// How many zeros follow contents of this length and their type. RFC 9147 §4.2.3: over
    /// datagrams the ciphertext is long enough for the mask of the number to be made from it, which
    /// with a tag of 16 bytes it always is.
    #[inline]
    pub(crate) const fn padding(&self, contents_len: usize) -> usize {
        match &self.keys.form {
            Form::V13 { mask: Some(_) } => {
                SAMPLE_LEN.saturating_sub(contents_len + self.expansion())
            }
            Form::V13 { mask: None } | Form::V12 => 0,
        }
    }

    /// How many bytes longer than its contents a datagram record is, with a connection ID of
    /// `id_len` bytes and without padding.
    #[inline]
    pub(crate) const fn datagram_overhead(&self, id_len: usize) -> usize {
        let header_len = match self.keys.form {
            Form::V12 if id_len > 0 => record_dtls::HEADER_LEN + TYPE_LEN,
            Form::V12 => record_dtls::HEADER_LEN,
            Form::V13 { .. } => record_dtls13::SENT_HEADER_LEN,
        };
        header_len + id_len + self.expansion()
    }

    /// How many records may be sealed.
    pub(crate) const fn limit(&self) -> u64 {
        self.keys.algorithm.confidentiality_limit()
    }

    /// Appends one datagram record to `out`. `payload` is at most 2^14 bytes long; `number` was
    /// never used before.
    #[inline]
    pub(crate) fn seal_datagram(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        match &self.keys.form {
            Form::V12 => self.seal_12(number, content_type, version, payload, out),
            Form::V13 { mask } => self.seal_13(mask.as_deref(), number, content_type, payload, out),
        }
    }

    /// RFC 9147 §4, §4.2.3: the mask is made from the ciphertext.
    #[inline]
    fn seal_13(
        &self,
        mask: Option<&MaskKey>,
        number: RecordNumber,
        content_type: ContentType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let header = record_dtls13::encode(number, self.fragment_len(payload));
        let start = out.len();
        self.append_13(&header, number.sequence, content_type, payload, out);
        if let (Some(mask), Some(record)) = (mask, out.get_mut(start..)) {
            mask_number(mask, record, 0, record_dtls13::SENT_HEADER_LEN);
        }
    }

    /// Appends `header` and, sealed, `payload` with its type and its padding (RFC 8446 §5.2).
    #[inline]
    fn append_13<const HEADER: usize>(
        &self,
        header: &[u8; HEADER],
        sequence: u64,
        content_type: ContentType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        out.reserve(header.len() + self.expansion() + payload.len() + self.padding(payload.len()));
        out.extend_from_slice(header);
        let nonce = self.keys.nonce(sequence.to_be_bytes());
        let start = out.len();
        self.append_inner(content_type, payload, out);
        let tag = self.keys.key.seal(nonce, header, &mut out[start..]);
        out.extend_from_slice(tag.as_ref());
    }

    /// Appends `payload`, its type and its padding (RFC 8446 §5.2).
    #[inline]
    fn append_inner(&self, content_type: ContentType, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
        out.push(content_type.0);
        let padding = self.padding(payload.len());
        if padding > 0 {
            out.resize(out.len() + padding, 0);
        }
    }

    #[inline]
    fn seal_12(
        &self,
        number: RecordNumber,
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let header = record_dtls::RecordHeader {
            content_type,
            version,
            number,
            length: self.fragment_len(payload),
        };
        // RFC 9325 §7.2.1: the explicit nonce is epoch ‖ sequence, so it cannot repeat under one
        // key.
        let number = number.to_bytes_12();
        self.append(
            &header.encode(),
            number,
            content_type,
            version,
            payload,
            out,
        );
    }

    /// Appends a record of version 1.3 whose visible type is `outside`, which is data unless a test
    /// wants otherwise.
    pub(crate) fn seal_stream_13(
        &self,
        sequence: u64,
        outside: ContentType,
        content_type: ContentType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let header = record_tls::RecordHeader {
            content_type: outside,
            version: ProtocolVersion::TLS12,
            length: self.fragment_len(payload),
        };
        self.append_13(&header.encode(), sequence, content_type, payload, out);
    }

    /// Appends one stream record to `out`. `payload` is at most 2^14 bytes long; `sequence` was
    /// never used before.
    #[inline]
    pub(crate) fn seal_stream(
        &self,
        sequence: u64,
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        if let Form::V13 { .. } = self.keys.form {
            // RFC 8446 §5.2: from outside, every record is data of version 1.2.
            let outside = ContentType::APPLICATION_DATA;
            self.seal_stream_13(sequence, outside, content_type, payload, out);
            return;
        }
        let header = record_tls::RecordHeader {
            content_type,
            version,
            length: self.fragment_len(payload),
        };
        let number = sequence.to_be_bytes();
        self.append(
            &header.encode(),
            number,
            content_type,
            version,
            payload,
            out,
        );
    }

    #[inline]
    fn fragment_len(&self, payload: &[u8]) -> u16 {
        debug_assert!(payload.len() <= MAX_PLAINTEXT_LEN);
        let length = payload.len() + self.padding(payload.len()) + self.expansion();
        u16::try_from(length).unwrap_or(u16::MAX)
    }

    #[inline]
    fn append<const HEADER: usize>(
        &self,
        header: &[u8; HEADER],
        number: [u8; 8],
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        out.reserve(header.len() + self.expansion() + payload.len());
        out.extend_from_slice(header);
        if self.keys.has_explicit_nonce() {
            out.extend_from_slice(&number);
        }
        let start = out.len();
        let aad = additional_data(number, content_type, version, length);
        let nonce = self.keys.nonce(number);
        out.extend_from_slice(payload);
        let tag = self.keys.key.seal(nonce, &aad, &mut out[start..]);
        out.extend_from_slice(tag.as_ref());
    }
}

/// Hides the number of a record that is sent, which has a connection ID of `id_len` bytes and
/// `header_len` bytes of header (RFC 9147 §4.2.3).
#[inline]
fn mask_number(mask: &MaskKey, record: &mut [u8], id_len: usize, header_len: usize) {
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

/// Opens incoming records of one epoch.
pub(crate) struct Opener {
    keys: Keys,
}

impl Opener {
    /// An opener with these keys.
    pub(crate) fn new(protection: &RecordProtection) -> Self {
        Self {
            keys: Keys::new(protection),
        }
    }

    /// How many failures to open are tolerable.
    pub(crate) const fn integrity_limit(&self) -> u64 {
        match self.keys.form {
            Form::V12 => self.keys.algorithm.integrity_limit_12(),
            Form::V13 { .. } => self.keys.algorithm.integrity_limit_13(),
        }
    }

    /// Opens `fragment`, which is what follows the header of a datagram record, in place; returns
    /// where in it the contents are.
    ///
    /// # Errors
    ///
    /// [`NotOpened`]; the contents of `fragment` are then lost.
    #[inline]
    pub(crate) fn open_12(
        &self,
        header: &record_dtls::RecordHeader,
        fragment: &mut [u8],
    ) -> Result<Range<usize>, NotOpened> {
        let number = header.number.to_bytes_12();
        self.open(number, header.content_type, header.version, fragment)
    }

    /// Opens `fragment`, which is what follows the header of the stream record `sequence`, in
    /// place; returns where in it the contents are, and of which type.
    ///
    /// # Errors
    ///
    /// [`NotOpened`]; the contents of `fragment` are then lost.
    #[inline]
    pub(crate) fn open_stream(
        &self,
        sequence: u64,
        header: &record_tls::RecordHeader,
        fragment: &mut [u8],
    ) -> Result<(Range<usize>, ContentType), NotOpened> {
        if let Form::V13 { .. } = self.keys.form {
            return self.open_inner(&header.encode(), sequence, fragment);
        }
        let number = sequence.to_be_bytes();
        let range = self.open(number, header.content_type, header.version, fragment)?;
        Ok((range, header.content_type))
    }

    /// Whether the records have the form of version 1.3.
    #[inline]
    pub(crate) const fn is_13(&self) -> bool {
        matches!(self.keys.form, Form::V13 { .. })
    }

    /// Opens a 1.3 fragment and finds its type, which follows the contents (RFC 8446 §5.2, §5.4).
    #[inline]
    fn open_inner(
        &self,
        header: &[u8],
        sequence: u64,
        fragment: &mut [u8],
    ) -> Result<(Range<usize>, ContentType), NotOpened> {
        let length = fragment
            .len()
            .checked_sub(self.keys.tag_len())
            .ok_or(NotOpened::TooShort)?;
        let nonce = self.keys.nonce(sequence.to_be_bytes());
        self.keys
            .key
            .open(nonce, header, fragment)
            .map_err(|_| NotOpened::Forged)?;
        if length > usize::from(self.keys.most) {
            return Err(self.overlong(length));
        }
        find_type(fragment.get(..length).unwrap_or_default())
    }

    #[inline]
    fn open(
        &self,
        number: [u8; 8],
        content_type: ContentType,
        version: ProtocolVersion,
        fragment: &mut [u8],
    ) -> Result<Range<usize>, NotOpened> {
        let Parts12 {
            nonce,
            ciphertext,
            start,
            length,
        } = self.keys.parts_12(number, fragment)?;
        let aad = additional_data(number, content_type, version, length);
        self.keys
            .key
            .open(nonce, &aad, ciphertext)
            .map_err(|_| NotOpened::Forged)?;
        if length > self.keys.most {
            return Err(self.overlong(length.into()));
        }
        Ok(start..start + usize::from(length))
    }
}

/// The parts of a 1.2 fragment.
struct Parts12<'a> {
    nonce: [u8; NONCE_LEN],
    /// With its tag.
    ciphertext: &'a mut [u8],
    /// Where in the fragment it begins.
    start: usize,
    /// The length of the plaintext.
    length: u16,
}

impl Keys {
    /// Takes a 1.2 fragment apart, of the record with this number.
    #[inline]
    fn parts_12<'a>(
        &self,
        number: [u8; 8],
        fragment: &'a mut [u8],
    ) -> Result<Parts12<'a>, NotOpened> {
        let start = self.explicit_nonce_len();
        // A7: a fragment that is shorter than nonce and tag is noise, like any other that does not
        // open.
        let length = fragment
            .len()
            .checked_sub(start + self.tag_len())
            .ok_or(NotOpened::TooShort)?;
        let length = u16::try_from(length).map_err(|_| NotOpened::TooShort)?;
        let (nonce, ciphertext) = fragment.split_at_mut(start);
        let nonce = self.nonce(<[u8; 8]>::try_from(&*nonce).unwrap_or(number));
        Ok(Parts12 {
            nonce,
            ciphertext,
            start,
            length,
        })
    }
}

/// Where the contents end that are followed by their type and by zeros, and which type that is
/// (RFC 8446 §5.4, RFC 9146 §4).
#[inline]
fn find_type(inner: &[u8]) -> Result<(Range<usize>, ContentType), NotOpened> {
    let end = inner
        .iter()
        .rposition(|&byte| byte != 0)
        .ok_or(NotOpened::NoContentType)?;
    Ok((0..end, ContentType(inner[end])))
}

#[cfg(test)]
mod tests;
