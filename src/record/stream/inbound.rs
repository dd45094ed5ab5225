//! From bytes to messages and data: the inbound half of a stream.

use super::Stream;
use crate::protocol::{CarriedId, ContentType, Epoch, Path, ProtocolVersion, RecordNumber};
use crate::record::protection::{MAX_EXPANSION_13, NotOpened, Opener};
use crate::record::{Discard, Fault, Inbound, Received, read_alert};
use crate::wire::record_tls::{
    HEADER_LEN, MAX_FRAGMENT_LEN, MAX_FRAGMENT_LEN_13, MAX_PLAINTEXT_LEN, RecordHeader,
};
use bytes::{Buf as _, BytesMut};

/// How many empty data records in a row are tolerated: legal as padding against CBC attacks, which
/// do not exist here.
const MAX_EMPTY_RECORDS: u8 = 32;

/// How many bytes protection may add to what it encrypts (RFC 5246 §6.2.3).
const MAX_ADDED: usize = MAX_FRAGMENT_LEN - MAX_PLAINTEXT_LEN;

/// The same at version 1.3, where the type is encrypted as well (RFC 8446 §5.2).
const MAX_ADDED_13: usize = MAX_FRAGMENT_LEN_13 - MAX_PLAINTEXT_LEN - 1;

/// The next thing that came: a message that is complete, then whatever is in the next record.
#[inline]
pub(super) fn next(layer: &mut Stream, input: &mut BytesMut) -> Result<Option<Inbound>, Fault> {
    loop {
        if layer.message_ahead {
            return Err(Fault::MessageAcrossKeys);
        }
        if !layer.deframer.is_empty()
            && let Some(message) = layer.deframer.pop(layer.read.epoch)?
        {
            return Ok(Some(Inbound::Handshake(message)));
        }
        let Some(header) = layer.complete_record(input)? else {
            return Ok(None);
        };
        match layer.handle_record(&header, input) {
            Ok(None) => {}
            outcome => return outcome,
        }
    }
}

impl From<NotOpened> for Fault {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::TooShort | NotOpened::Forged => Self::BadRecordMac,
            NotOpened::NoContentType => Self::NoContentType,
            NotOpened::Overlong | NotOpened::BeyondLimit => Self::RecordOverflow,
        }
    }
}

impl Stream {
    /// The header of the record at the start of `input`, if all of that record is here.
    #[inline]
    fn complete_record(&self, input: &[u8]) -> Result<Option<RecordHeader>, Fault> {
        let Some(header) = RecordHeader::decode(input) else {
            return Ok(None);
        };
        self.check_header(&header)?;
        let is_complete = input.len() >= HEADER_LEN + usize::from(header.length);
        Ok(is_complete.then_some(header))
    }

    /// What can be told from a header alone, before its record is here.
    #[inline]
    fn check_header(&self, header: &RecordHeader) -> Result<(), Fault> {
        let known = matches!(
            header.content_type,
            ContentType::APPLICATION_DATA
                | ContentType::HANDSHAKE
                | ContentType::ALERT
                | ContentType::CHANGE_CIPHER_SPEC
        );
        if !known {
            return Err(Fault::UnknownContentType);
        }
        // RFC 5246 §E.1: any minor version before the ServerHello.
        let strict = self.policy.conformance.check_record_version && self.read.opener.is_some();
        let version_fits = match self.decided {
            None if strict => header.version == ProtocolVersion::TLS12,
            Some(version) => header.version == version,
            None => header.version.0 >> 8 == ProtocolVersion::TLS12.0 >> 8,
        };
        if !version_fits {
            return Err(Fault::RecordVersion);
        }
        // RFC 6066 §4: what is too long is not even waited for.
        let max = match &self.read.opener {
            Some(opener) if opener.is_13() => usize::from(opener.most()) + MAX_ADDED_13,
            Some(opener) => usize::from(opener.most()) + MAX_ADDED,
            None if self.skippable.is_some() => MAX_FRAGMENT_LEN_13,
            None => usize::from(self.max_unprotected),
        };
        if usize::from(header.length) > max {
            return Err(Fault::RecordOverflow);
        }
        Ok(())
    }

    /// Takes a record from the start of `input`, where it is complete, opens it in place and hands
    /// up what is in it.
    #[inline]
    fn handle_record(
        &mut self,
        header: &RecordHeader,
        input: &mut BytesMut,
    ) -> Result<Option<Inbound>, Fault> {
        let length = HEADER_LEN + usize::from(header.length);
        let sequence = self.read.sequence;
        let (contents, content_type) = match &self.read.opener {
            Some(opener) => {
                let dressed = header.content_type == ContentType::APPLICATION_DATA;
                if opener.is_13() && self.may_be_plaintext(header.content_type) {
                    return self.unprotected(header, &input.split_to(length)[HEADER_LEN..]);
                }
                // In place, and before the record is cut off: that way its handle is made once, and
                // moved nowhere.
                let fragment = &mut input[HEADER_LEN..length];
                let opened = opener.open_stream(sequence, header, fragment);
                let closed = matches!(opened, Err(NotOpened::Forged | NotOpened::TooShort));
                if closed && dressed && self.skippable.is_some() {
                    input.advance(length);
                    return self.skip(length);
                }
                let (range, content_type) = opened?;
                // RFC 8446 §5.2: under the keys of 1.3 the outer type of every record is that of
                // data. A record of another type that does not authenticate either counts as
                // forged.
                if opener.is_13() && !dressed {
                    return Err(Fault::UnknownContentType);
                }
                (
                    HEADER_LEN + range.start..HEADER_LEN + range.end,
                    content_type,
                )
            }
            // After a HelloRetryRequest, until there is another hello.
            None if self.skippable.is_some()
                && header.content_type == ContentType::APPLICATION_DATA =>
            {
                input.advance(length);
                return self.skip(length);
            }
            None => (HEADER_LEN..length, header.content_type),
        };
        // A ChangeCipherSpec for middleboxes may come before early data.
        if self.read.opener.is_some() || content_type == ContentType::HANDSHAKE {
            self.skippable = None;
        }
        // RFC 5246 §6.1: sequence numbers never wrap; no connection lives that long.
        self.read.sequence = sequence.wrapping_add(1);
        self.stats.records_received += 1;
        let mut record = input.split_to(length);
        record.truncate(contents.end);
        record.advance(contents.start);
        // RFC 8446 §5: protected, under the keys of 1.3, ChangeCipherSpec is a fault.
        let plain = header.content_type == content_type;
        match content_type {
            ContentType::APPLICATION_DATA => self.data(sequence, record, length),
            ContentType::CHANGE_CIPHER_SPEC if plain => self.change_cipher_spec(&record),
            _ => self.control(sequence, content_type, &record),
        }
    }

    /// What is in a record of handshake messages or alerts.
    #[cold]
    fn control(
        &mut self,
        sequence: u64,
        content_type: ContentType,
        contents: &[u8],
    ) -> Result<Option<Inbound>, Fault> {
        match content_type {
            // RFC 5246 §6.2.1, RFC 8446 §5.4: only records of data may be empty.
            ContentType::HANDSHAKE | ContentType::ALERT if contents.is_empty() => {
                Err(Fault::EmptyRecord)
            }
            ContentType::HANDSHAKE => {
                self.empty_records = 0;
                self.deframer.push(contents);
                Ok(None)
            }
            ContentType::ALERT => {
                let is_13 = self.read.opener.as_deref().is_some_and(Opener::is_13);
                let (alert, error) = read_alert(contents, is_13)?;
                let epoch = self.read.epoch;
                let number = RecordNumber { epoch, sequence };
                Ok(Some(Inbound::Alert {
                    alert,
                    error,
                    number,
                }))
            }
            _ => Err(Fault::UnknownContentType),
        }
    }

    /// RFC 8446 §4.2.10: early data that is not taken is passed over, up to a limit on the bytes of
    /// data; each record counts for at least one. `length` is that of a whole record; padding
    /// cannot be told from data.
    #[cold]
    fn skip(&mut self, length: usize) -> Result<Option<Inbound>, Fault> {
        let counted = if self.policy.conformance.count_early_records_whole {
            length
        } else {
            length.saturating_sub(HEADER_LEN + MAX_EXPANSION_13).max(1)
        };
        let left = self.skippable.and_then(|left| left.checked_sub(counted));
        self.skippable = Some(left.ok_or(Fault::TooMuchEarlyData)?);
        self.stats.discard(Discard::EarlyData);
        Ok(None)
    }

    #[inline]
    fn data(
        &mut self,
        sequence: u64,
        contents: BytesMut,
        pinned: usize,
    ) -> Result<Option<Inbound>, Fault> {
        let epoch = self.read.epoch;
        // RFC 5246 §6.2.1: data may come between messages of a handshake, never inside one, nor
        // between the change of keys and Finished. RFC 8446 §2: nor under the keys of the
        // handshake, not even without a byte in it.
        let is_13 = self.read.opener.as_deref().is_some_and(Opener::is_13);
        let shaking_hands = epoch == Epoch::PLAINTEXT || is_13 && epoch < Epoch::APPLICATION_13;
        if shaking_hands || self.unfinished || !self.deframer.is_empty() {
            return Err(Fault::UnexpectedData);
        }
        if contents.is_empty() {
            self.stats.discard(Discard::EmptyData);
            self.empty_records += 1;
            return if self.empty_records > MAX_EMPTY_RECORDS {
                Err(Fault::EmptyRecord)
            } else {
                Ok(None)
            };
        }
        self.empty_records = 0;
        Ok(Some(Inbound::ApplicationData(Received {
            data: contents.freeze(),
            epoch,
            path: Path::UNSPECIFIED,
            carried: CarriedId::NONE,
            sequence,
            pinned,
        })))
    }

    /// Whether a record of this type may come without protection although there are keys of version
    /// 1.3: a ChangeCipherSpec, and the alert of a client that cannot go on after the ServerHello
    /// and has no keys to say so.
    fn may_be_plaintext(&self, content_type: ContentType) -> bool {
        match content_type {
            ContentType::CHANGE_CIPHER_SPEC => true,
            ContentType::ALERT => self.read.epoch == Epoch::HANDSHAKE_13 && self.read.sequence == 0,
            _ => false,
        }
    }

    /// A record that may come without protection, and does.
    #[cold]
    fn unprotected(
        &mut self,
        header: &RecordHeader,
        contents: &[u8],
    ) -> Result<Option<Inbound>, Fault> {
        if header.content_type == ContentType::CHANGE_CIPHER_SPEC {
            return self.change_cipher_spec(contents);
        }
        let (alert, error) = read_alert(contents, true)?;
        let number = RecordNumber {
            epoch: Epoch::PLAINTEXT,
            sequence: 0,
        };
        Ok(Some(Inbound::Alert {
            alert,
            error,
            number,
        }))
    }

    /// RFC 5246 §7.1: switches to the keys that were armed. D1: without them, or inside a message,
    /// it is a fault.
    fn change_cipher_spec(&mut self, contents: &[u8]) -> Result<Option<Inbound>, Fault> {
        if contents != [1] || !self.deframer.is_empty() {
            return Err(Fault::UnexpectedChangeCipherSpec);
        }
        if self.drops_change_cipher_spec {
            // RFC 8446 §5: it makes the handshake look like 1.2 to middleboxes and means nothing.
            // An honest peer sends one, not a flood.
            self.stats.discard(Discard::ChangeCipherSpec);
            self.empty_records += 1;
            return if self.empty_records > MAX_EMPTY_RECORDS {
                Err(Fault::EmptyRecord)
            } else {
                Ok(None)
            };
        }
        let armed = self.armed.take().ok_or(Fault::UnexpectedChangeCipherSpec)?;
        self.read = *armed;
        self.unfinished = true;
        Ok(None)
    }
}
