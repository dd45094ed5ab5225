//! The way of a datagram upwards: records, epochs, fragments.

use super::continuous::Continuous;
use super::early::EarlyRecord;
use super::epochs::{Protected, Reading};
use super::{Datagram, Progress};
use crate::protocol::{
    ContentType, Epoch, HandshakeType, MessageSeq, Path, ProtocolVersion, RecordNumber, Side,
};
use crate::record::datagram::reassembly::Reassembly;
use crate::record::{Discard, Fault, Inbound, Received, protection, read_alert};
use crate::wire::codec::Reader;
use crate::wire::handshake::{FragmentHeader, InboundMessage};
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
    loop {
        if let Some(message) = layer.pop_message() {
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
            return Err(self.keep_early(header, bytes, path));
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
        let Protected {
            opener,
            window,
            forgeries,
        } = protected.as_mut();
        // RFC 6347 §4.1.2.6: asked before, moved after authentication.
        if !window.admits(number.sequence) {
            return Err(Discard::Replay.into());
        }
        let range = match opener.open_12(header, &mut bytes[HEADER_LEN..]) {
            Ok(range) => range,
            // Nothing was tried against the key.
            Err(protection::NotOpened::TooShort) => return Err(Discard::Unauthenticated.into()),
            Err(_) => {
                *forgeries += 1;
                // RFC 9325 §4.4: beyond the limit a forgery becomes likely, so the key must not go on.
                if *forgeries > opener.integrity_limit() {
                    return Err(NotOpened::TooManyForgeries);
                }
                return Err(Discard::Unauthenticated.into());
            }
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
            self.stats.discard(Discard::UnexpectedContentType);
            return Ok(None);
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
                if number.epoch == Epoch::PLAINTEXT || !self.is_13() {
                    // Anybody can send this, and nothing that a handshake needs would be lost with it.
                    self.stats.discard(Discard::PlaintextAck);
                } else {
                    self.take_ack(now, &contents)?;
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
        if self
            .retained
            .as_ref()
            .is_some_and(|retained| retained.epoch == epoch)
        {
            // The peer writes in the new epoch, so it has seen the Finished that the final flight carries.
            self.drop_retained();
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

    /// Enters every fragment of a handshake record; a header that makes no sense ends the record.
    #[cold]
    fn fragments(
        &mut self,
        now: Instant,
        number: RecordNumber,
        contents: &[u8],
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(contents);
        let mut whole = !reader.is_empty();
        while !reader.is_empty() {
            let fragment = FragmentHeader::decode(&mut reader).and_then(|header| {
                let length = usize::try_from(header.fragment_length).unwrap_or(usize::MAX);
                reader.bytes(length, "fragment").map(|data| (header, data))
            });
            let Ok((header, data)) = fragment else {
                return self.count_or_fail(number.epoch, Discard::BadFragment, Fault::BadFragment);
            };
            if let Err(cause) = self.fragment(now, number, &header, data) {
                match cause {
                    // Under keys nobody else can have sent it, and the handshake cannot go on without it.
                    Discard::MessageTooLong if number.epoch != Epoch::PLAINTEXT => {
                        return Err(Fault::MessageTooLong);
                    }
                    Discard::MessageTooLong => {
                        self.count_or_fail(number.epoch, cause, Fault::MessageTooLong)?;
                    }
                    Discard::ConflictingFragment => {
                        self.count_or_fail(number.epoch, cause, Fault::ConflictingFragment)?;
                    }
                    _ => self.stats.discard(cause),
                }
                whole &= cause == Discard::OldMessage;
            }
        }
        if whole {
            self.note_record(now, number);
        }
        Ok(())
    }

    /// Decides by (epoch, type) which handshake a fragment belongs to: with n the epoch in which the Finished of
    /// H travels, epoch n − 1 is H, Finished in epoch n is H, and anything else in epoch n is the handshake behind H.
    fn fragment(
        &mut self,
        now: Instant,
        number: RecordNumber,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), Discard> {
        let epoch = number.epoch;
        let finished = header.typ == HandshakeType::FINISHED;
        let max_message = self.policy.max_message;
        match &mut self.progress {
            Progress::Continuous(_) => self.fragment_13(epoch, header, data),
            Progress::Handshaking {
                current,
                slots,
                following,
                ..
            } => {
                if epoch == *current {
                    self.fragment_in_force(now, epoch, header, data)
                } else if epoch < *current {
                    Err(Discard::OldMessage)
                } else if epoch.follows(*current) && finished {
                    slots.insert(epoch, header, data)
                } else if epoch.follows(*current) && starts_handshake(self.side, header) {
                    add_following(following, max_message, epoch, header, data)
                } else {
                    Err(Discard::UnexpectedMessage)
                }
            }
            Progress::Established {
                epoch: established,
                following,
            } => {
                if epoch != *established {
                    Err(Discard::OldMessage)
                } else if finished {
                    self.repeat_final_flight(now);
                    Err(Discard::OldMessage)
                } else if starts_handshake(self.side, header) {
                    let outcome = add_following(following, max_message, epoch, header, data);
                    // The peer goes on under the new keys, so it has seen the final flight that brought them.
                    self.drop_retained();
                    outcome
                } else {
                    Err(Discard::UnexpectedMessage)
                }
            }
        }
    }

    /// A fragment in the epoch in which the running handshake travels.
    fn fragment_in_force(
        &mut self,
        now: Instant,
        epoch: Epoch,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), Discard> {
        if header.typ == HandshakeType::FINISHED {
            if epoch == Epoch::PLAINTEXT {
                return Err(Discard::UnexpectedMessage);
            }
            // The Finished before this handshake's: its sender has missed the answer.
            self.repeat_final_flight(now);
            return Err(Discard::OldMessage);
        }
        if header.typ == HandshakeType::HELLO_REQUEST && self.side == Side::Client {
            // RFC 5246 §7.4.1.1: ignored, and not counted either, whenever it comes (E7, E14).
            return Err(Discard::UnexpectedMessage);
        }
        if self.read.newest().is_some_and(|newest| newest > epoch) {
            // The engine arms the next epoch when only Finished is missing: this is a repetition, or somebody else's.
            return Err(Discard::OldMessage);
        }
        let Progress::Handshaking {
            slots, flexible, ..
        } = &mut self.progress
        else {
            return Err(Discard::UnexpectedMessage);
        };
        if *flexible && header.seq == SECOND && is_first_answer(header.typ) {
            slots.start_at(SECOND);
            *flexible = false;
        }
        slots.insert(epoch, header, data)
    }
}

/// What begins a handshake that the peer wants: a HelloRequest at a client, a ClientHello at a server, each the
/// first message of its handshake (RFC 6347 §4.2.2).
fn starts_handshake(side: Side, header: &FragmentHeader) -> bool {
    let typ = match side {
        Side::Client => HandshakeType::HELLO_REQUEST,
        Side::Server => HandshakeType::CLIENT_HELLO,
    };
    header.typ == typ && header.seq == MessageSeq::FIRST
}

/// Adds to the slot for that message: one, because nothing else can come before it was answered. What is in it
/// was protected, so a fragment that contradicts it is of another attempt, and the latest one counts: a part of an attempt
/// that was given up must not stand in the way for ever.
fn add_following(
    slot: &mut Option<Box<Reassembly>>,
    max_message: usize,
    epoch: Epoch,
    header: &FragmentHeader,
    data: &[u8],
) -> Result<(), Discard> {
    let begin = || Box::new(Reassembly::new(MessageSeq::FIRST, 1, max_message));
    match slot.get_or_insert_with(begin).insert(epoch, header, data) {
        Err(Discard::ConflictingFragment) => slot.insert(begin()).insert(epoch, header, data),
        outcome => outcome,
    }
}

/// The number of a server's answer behind a HelloRequest (RFC 6347 §4.2.2).
const SECOND: MessageSeq = MessageSeq(1);

/// What can answer a ClientHello.
fn is_first_answer(typ: HandshakeType) -> bool {
    [
        HandshakeType::SERVER_HELLO,
        HandshakeType::HELLO_VERIFY_REQUEST,
    ]
    .contains(&typ)
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

/// What can be told from a header alone.
#[inline]
fn check_header(header: &RecordHeader) -> Result<(), NotOpened> {
    let known = matches!(
        header.content_type,
        ContentType::APPLICATION_DATA
            | ContentType::HANDSHAKE
            | ContentType::ALERT
            | ContentType::CHANGE_CIPHER_SPEC
            | ContentType::ACK
    );
    if !known {
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
