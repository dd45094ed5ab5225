//! The way of a datagram upwards: records, epochs, fragments.

use super::continuous::Continuous;
use super::early::EarlyRecord;
use super::epochs::{Protected, Reading};
use super::{Datagram, Progress};
use crate::protocol::{ContentType, Epoch, HandshakeType, Path, ProtocolVersion, RecordNumber};
use crate::record::{Discard, Fault, Inbound, Received, protection, read_alert};
use crate::wire::handshake::InboundMessage;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use crate::wire::record_dtls13::{UnifiedHeader, is_unified};
use crate::wire::record_tls::{MAX_FRAGMENT_LEN, MAX_PLAINTEXT_LEN};
use bytes::{Buf as _, BytesMut};
use std::ops::Range;
use std::time::Instant;

/// The next thing that came: a message that is complete, then a record that had to wait for its keys, then
/// whatever is left of the datagram.
#[inline]
pub(super) fn next(layer: &mut Datagram, now: Instant) -> Result<Option<Inbound>, Fault> {
    if layer.surplus {
        return Err(Fault::UnexpectedMessage(HandshakeType::FINISHED));
    }
    loop {
        if !layer.holding
            && let Some(message) = layer.pop_message()
        {
            return Ok(Some(Inbound::Handshake(message)));
        }
        if let Some(id) = layer.continuous().and_then(Continuous::pop_delivered) {
            return Ok(Some(Inbound::FlightDelivered(id)));
        }
        let outcome = if let Some(EarlyRecord { bytes, path, .. }) = layer.take_early() {
            let length = bytes.len();
            match Header::decode(&bytes, layer.reads_13()) {
                Some((header, _)) => layer.handle_record(now, header, bytes, path, length),
                None => Ok(None),
            }
        } else {
            let Some((header, record)) = layer.split_record() else {
                if layer.acks.is_urgent() && layer.is_13() {
                    layer.tell_acks();
                }
                return Ok(None);
            };
            layer.handle_record(now, header, record, layer.input_path, layer.input_len)
        };
        if !matches!(outcome, Ok(None)) {
            return outcome;
        }
    }
}

/// The header of a record, of whichever version.
enum Header {
    /// Of version 1.2, or without protection.
    Plain(RecordHeader),
    /// Protected, of version 1.3.
    Unified(UnifiedHeader),
}

impl Header {
    /// Decodes the header at the start of `bytes`, the rest of a datagram, and says how long the whole record is. `None` if
    /// it makes no sense, or reaches beyond the datagram.
    #[inline]
    fn decode(bytes: &[u8], reads_13: bool) -> Option<(Self, usize)> {
        if reads_13 && is_unified(bytes) {
            let header = UnifiedHeader::decode(bytes)?;
            return Some((Self::Unified(header), header.header_len + header.length));
        }
        let header = RecordHeader::decode(bytes)?;
        let length = HEADER_LEN + usize::from(header.length);
        (length <= bytes.len()).then_some((Self::Plain(header), length))
    }
}

/// A record that was opened.
pub(super) struct Opened {
    pub(super) number: RecordNumber,
    pub(super) content_type: ContentType,
    /// Where in the record its contents are.
    pub(super) contents: Range<usize>,
}

impl Datagram {
    /// Whether there are keys to read anything.
    pub(crate) fn has_read_keys(&self) -> bool {
        self.read.any_protected()
    }

    /// Whether a server's peer has gone on since its hello: at 1.2 it has brought the keys, at 1.3, where they are made
    /// before it has said anything else, something under them has authenticated.
    pub(crate) fn peer_has_advanced(&self, resuming: bool) -> bool {
        if self.is_13() || resuming {
            self.read.any_was_read()
        } else {
            self.has_read_keys()
        }
    }

    /// Whether there are keys to read `epoch`.
    pub(crate) fn can_read(&self, epoch: Epoch) -> bool {
        self.read.contains(epoch)
    }

    /// Whether there are keys to read an epoch of version 1.3 that ends in these bits.
    pub(crate) fn can_read_13(&self, bits: u8) -> bool {
        self.is_13() && self.read.newest_ending_in(bits).is_some()
    }

    /// Whether protected records can have the form of version 1.3.
    #[inline]
    fn reads_13(&self) -> bool {
        self.is_13() || self.undecided
    }

    #[inline]
    fn pop_message(&mut self) -> Option<InboundMessage> {
        match &mut self.progress {
            Progress::Established {
                following: None, ..
            } => None,
            Progress::Handshaking {
                slots, flexible, ..
            } => {
                let message = slots.pop()?;
                *flexible = false;
                Some(message)
            }
            Progress::Continuous(continuous) => continuous.slots.pop(),
            Progress::Established { following, .. } => {
                let message = following.as_mut()?.pop()?;
                *following = None;
                Some(message)
            }
        }
    }

    /// A record that waited for its keys, when they are here.
    #[inline]
    fn take_early(&mut self) -> Option<EarlyRecord> {
        if self.early.is_empty() {
            None
        } else if self
            .preview
            .as_mut()
            .is_some_and(|it| it.looks_at_another())
        {
            self.early.take_first()
        } else {
            self.early.take(self.read.newest()?)
        }
    }

    /// Cuts the next record from the datagram. After a header that makes no sense nothing in the datagram can
    /// be trusted to be a header (RFC 6347 §4.1.1).
    #[inline]
    fn split_record(&mut self) -> Option<(Header, BytesMut)> {
        if self.input.is_empty() {
            return None;
        }
        match Header::decode(&self.input, self.reads_13()) {
            Some((header, length)) if length == self.input.len() => {
                Some((header, std::mem::take(&mut self.input)))
            }
            Some((header, length)) => Some((header, self.input.split_to(length))),
            None => {
                self.stats.discard(Discard::BadRecord);
                self.input = BytesMut::new();
                None
            }
        }
    }

    /// Opens a record and hands up what is in it. `bytes` is header and fragment.
    #[inline]
    fn handle_record(
        &mut self,
        now: Instant,
        header: Header,
        mut bytes: BytesMut,
        path: Path,
        pinned: usize,
    ) -> Result<Option<Inbound>, Fault> {
        let opened = match &header {
            Header::Plain(header) => self.open(header, &mut bytes, path),
            Header::Unified(header) => self.open_unified(header, &mut bytes, path),
        };
        match opened {
            Ok(Opened {
                number,
                content_type,
                contents,
            }) => {
                self.stats.records_received += 1;
                bytes.truncate(contents.end);
                bytes.advance(contents.start);
                self.dispatch(now, number, content_type, bytes, path, pinned)
            }
            Err(NotOpened::Discard(cause @ Discard::UnknownContentType)) => {
                // Only records in the clear show their type, whatever epoch they claim.
                self.count_or_fail(Epoch::PLAINTEXT, cause, Fault::UnknownContentType)?;
                Ok(None)
            }
            Err(NotOpened::Discard(cause)) => {
                self.stats.discard(cause);
                Ok(None)
            }
            Err(NotOpened::Kept) => Ok(None),
            Err(NotOpened::TooManyForgeries) => Err(Fault::TooManyForgeries),
            Err(NotOpened::NoContentType) => Err(Fault::NoContentType),
            Err(NotOpened::Overlong) => Err(Fault::RecordOverflow),
        }
    }

    /// Checks and opens a record in place; returns where in `bytes` its contents are.
    #[inline]
    fn open(
        &mut self,
        header: &RecordHeader,
        bytes: &mut BytesMut,
        path: Path,
    ) -> Result<Opened, NotOpened> {
        let number = header.number;
        check_header(header)?;
        let Some(read) = self.read.find(number.epoch) else {
            return match self.preview_12(header, bytes) {
                Some(alert) => Ok(alert),
                None => Err(self.keep_early(header, bytes, path)),
            };
        };
        let Reading::Protected(protected) = &mut read.protection else {
            let contents = HEADER_LEN..bytes.len();
            return if contents.len() > MAX_PLAINTEXT_LEN {
                Err(Discard::OverlongRecord.into())
            } else {
                Ok(Opened {
                    number,
                    content_type: header.content_type,
                    contents,
                })
            };
        };
        if protected.opener.is_13() {
            return Err(Discard::BadVersion.into());
        }
        let Protected { opener, window, .. } = protected.as_mut();
        // RFC 6347 §4.1.2.6: asked before, moved after authentication.
        if !window.admits(number.sequence) {
            return Err(Discard::Replay.into());
        }
        let range = match opener.open_12(header, &mut bytes[HEADER_LEN..]) {
            Ok(range) => range,
            // Nothing was tried against the key.
            Err(protection::NotOpened::TooShort) => return Err(Discard::Unauthenticated.into()),
            Err(_) => return Err(self.count_forgery(number.epoch)),
        };
        window.record(number.sequence);
        // Whoever has the keys has seen what was sent to it.
        self.unproven = None;
        if range.len() > MAX_PLAINTEXT_LEN {
            return Err(NotOpened::Overlong);
        }
        Ok(Opened {
            number,
            content_type: header.content_type,
            contents: HEADER_LEN + range.start..HEADER_LEN + range.end,
        })
    }

    /// A record without keys: one of the next epoch is kept while a handshake runs.
    #[cold]
    fn keep_early(&mut self, header: &RecordHeader, bytes: &[u8], path: Path) -> NotOpened {
        let newest = self.read.newest().unwrap_or(Epoch::PLAINTEXT);
        let epoch = header.number.epoch;
        if epoch <= newest {
            return Discard::OldEpoch.into();
        }
        let handshaking = matches!(self.progress, Progress::Handshaking { .. });
        if handshaking && epoch.follows(newest) && self.early.keep(epoch, bytes, path) {
            NotOpened::Kept
        } else {
            Discard::FutureEpoch.into()
        }
    }

    /// Sorts the contents of a record.
    #[inline]
    fn dispatch(
        &mut self,
        now: Instant,
        number: RecordNumber,
        content_type: ContentType,
        contents: BytesMut,
        path: Path,
        pinned: usize,
    ) -> Result<Option<Inbound>, Fault> {
        if self.is_13()
            && number.epoch != Epoch::PLAINTEXT
            && !Self::has_place_13(number, content_type)
        {
            // RFC 8446 §5: under keys nobody else can have sent it.
            return Err(match content_type {
                ContentType::APPLICATION_DATA => Fault::UnexpectedData,
                ContentType::CHANGE_CIPHER_SPEC => Fault::UnexpectedChangeCipherSpec,
                _ => Fault::UnknownContentType,
            });
        }
        Ok(match content_type {
            ContentType::APPLICATION_DATA if number.epoch == Epoch::PLAINTEXT => {
                self.count_or_fail(number.epoch, Discard::PlaintextData, Fault::UnexpectedData)?;
                None
            }
            ContentType::APPLICATION_DATA => self.data(number, contents, path, pinned),
            ContentType::HANDSHAKE => {
                self.fragments(now, number, &contents)?;
                None
            }
            ContentType::ALERT => self.alert(number, &contents)?,
            ContentType::ACK => {
                let plaintext = number.epoch == Epoch::PLAINTEXT;
                if !self.is_13() || plaintext && !self.trusts_plaintext_acks() {
                    // Anybody can send this, and nothing that a handshake needs would be lost with it.
                    self.stats.discard(Discard::PlaintextAck);
                } else {
                    self.take_ack(now, number.epoch, &contents)?;
                }
                None
            }
            ContentType::CHANGE_CIPHER_SPEC if contents[..] != [1] => {
                let fault = Fault::UnexpectedChangeCipherSpec;
                self.count_or_fail(number.epoch, Discard::ChangeCipherSpec, fault)?;
                None
            }
            // D1: a ChangeCipherSpec, at whatever moment, says nothing that the epochs do not say.
            _ => {
                self.stats.discard(Discard::ChangeCipherSpec);
                None
            }
        })
    }

    #[inline]
    fn data(
        &mut self,
        number: RecordNumber,
        contents: BytesMut,
        path: Path,
        pinned: usize,
    ) -> Option<Inbound> {
        let epoch = number.epoch;
        if let Some(retained) = &mut self.retained
            && retained.epoch == epoch
        {
            // That alone is no proof that the peer has seen the Finished which the final flight carries: clients of Botan 2
            // write as soon as they have sent their own. So the flight is kept for as long as RFC 6347 §4.2.4 wants it, and
            // longer only where the peer says nothing.
            retained.heard = true;
            if self.retention.is_none() {
                self.drop_retained();
            }
        }
        if contents.is_empty() {
            self.stats.discard(Discard::EmptyData);
            return None;
        }
        let sequence = number.sequence;
        Some(Inbound::ApplicationData(Received {
            data: contents.freeze(),
            epoch,
            path,
            sequence,
            pinned,
        }))
    }

    #[cold]
    fn alert(&mut self, number: RecordNumber, contents: &[u8]) -> Result<Option<Inbound>, Fault> {
        let epoch = number.epoch;
        let is_13 = self.is_13() && epoch != Epoch::PLAINTEXT;
        let (alert, error) = match read_alert(contents, is_13) {
            Ok(alert) => alert,
            // Under keys nobody else can have sent it.
            Err(fault) if epoch != Epoch::PLAINTEXT => return Err(fault),
            Err(fault) => {
                self.count_or_fail(epoch, Discard::MalformedAlert, fault)?;
                return Ok(None);
            }
        };
        if epoch == Epoch::PLAINTEXT && self.read.any_protected() {
            self.stats.discard(Discard::PlaintextAlert);
            if error {
                self.disbelieved_alert = Some(alert);
            }
            return Ok(None);
        }
        Ok(Some(Inbound::Alert {
            alert,
            error,
            number,
        }))
    }
}

/// Why a record was not opened.
pub(super) enum NotOpened {
    /// It is noise.
    Discard(Discard),
    /// It waits for its keys.
    Kept,
    /// The key has seen too many forgeries.
    TooManyForgeries,
    /// It authenticates, and is nothing but padding.
    NoContentType,
    /// It authenticates, and is longer than a record may be.
    Overlong,
}

impl From<Discard> for NotOpened {
    fn from(cause: Discard) -> Self {
        Self::Discard(cause)
    }
}

/// Whether records of this type exist, of whichever version.
fn is_known(content_type: ContentType) -> bool {
    matches!(
        content_type,
        ContentType::APPLICATION_DATA
            | ContentType::HANDSHAKE
            | ContentType::ALERT
            | ContentType::CHANGE_CIPHER_SPEC
            | ContentType::ACK
    )
}

/// What can be told from a header alone.
#[inline]
fn check_header(header: &RecordHeader) -> Result<(), NotOpened> {
    if !is_known(header.content_type) {
        return Err(Discard::UnknownContentType.into());
    }
    // RFC 6347 §4.1: 1.2 everywhere; 1.0 is what several peers write before the ServerHello.
    let version_fits = header.version == ProtocolVersion::DTLS12
        || header.version == ProtocolVersion::DTLS10 && header.number.epoch == Epoch::PLAINTEXT;
    if !version_fits {
        return Err(Discard::BadVersion.into());
    }
    if usize::from(header.length) > MAX_FRAGMENT_LEN {
        return Err(Discard::OverlongRecord.into());
    }
    Ok(())
}
