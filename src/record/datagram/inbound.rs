//! The way of a datagram upwards: records, epochs, fragments.

use super::early::EarlyRecord;
use super::epochs::{Protected, Reading};
use super::{Datagram, Progress};
use crate::protocol::{
    ContentType, Epoch, HandshakeType, MessageSeq, Path, ProtocolVersion, RecordNumber, Side,
};
use crate::record::datagram::reassembly::Reassembly;
use crate::record::{Discard, Fault, Inbound, Received, protection};
use crate::wire::alert;
use crate::wire::codec::Reader;
use crate::wire::handshake::{FragmentHeader, InboundMessage};
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
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
        let outcome = if let Some(EarlyRecord {
            header,
            bytes,
            path,
        }) = layer.take_early()
        {
            let length = bytes.len();
            layer.handle_record(now, header, bytes, path, length)
        } else {
            let Some((header, record)) = layer.split_record() else {
                return Ok(None);
            };
            layer.handle_record(now, header, record, layer.input_path, layer.input_len)
        };
        if !matches!(outcome, Ok(None)) {
            return outcome;
        }
    }
}

impl Datagram {
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
    fn split_record(&mut self) -> Option<(RecordHeader, BytesMut)> {
        if self.input.is_empty() {
            return None;
        }
        let header = RecordHeader::decode(&self.input);
        let length = header.map(|header| HEADER_LEN + usize::from(header.length));
        match (header, length) {
            (Some(header), Some(length)) if length == self.input.len() => {
                Some((header, std::mem::take(&mut self.input)))
            }
            (Some(header), Some(length)) if length < self.input.len() => {
                Some((header, self.input.split_to(length)))
            }
            _ => {
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
        header: RecordHeader,
        mut bytes: BytesMut,
        path: Path,
        pinned: usize,
    ) -> Result<Option<Inbound>, Fault> {
        match self.open(&header, &mut bytes, path) {
            Ok(contents) => {
                self.stats.records_received += 1;
                bytes.truncate(contents.end);
                bytes.advance(contents.start);
                Ok(self.dispatch(now, &header, bytes, path, pinned))
            }
            Err(NotOpened::Discard(cause)) => {
                self.stats.discard(cause);
                Ok(None)
            }
            Err(NotOpened::Kept) => Ok(None),
            Err(NotOpened::TooManyForgeries) => Err(Fault::TooManyForgeries),
        }
    }

    /// Checks and opens a record in place; returns where in `bytes` its contents are.
    #[inline]
    fn open(
        &mut self,
        header: &RecordHeader,
        bytes: &mut BytesMut,
        path: Path,
    ) -> Result<Range<usize>, NotOpened> {
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
                Ok(contents)
            };
        };
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
            Err(protection::NotOpened::Forged) => {
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
            return Err(Discard::OverlongRecord.into());
        }
        Ok(HEADER_LEN + range.start..HEADER_LEN + range.end)
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
        if handshaking && epoch.follows(newest) && self.early.keep(*header, bytes, path) {
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
        header: &RecordHeader,
        contents: BytesMut,
        path: Path,
        pinned: usize,
    ) -> Option<Inbound> {
        let epoch = header.number.epoch;
        match header.content_type {
            ContentType::APPLICATION_DATA => self.data(header.number, contents, path, pinned),
            ContentType::HANDSHAKE => {
                self.fragments(now, epoch, &contents);
                None
            }
            ContentType::ALERT => self.alert(header.number, &contents),
            // D1: a ChangeCipherSpec, at whatever moment, says nothing that the epochs do not say.
            _ => {
                self.stats.discard(Discard::ChangeCipherSpec);
                None
            }
        }
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
        if epoch == Epoch::PLAINTEXT {
            self.stats.discard(Discard::PlaintextData);
            return None;
        }
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
    fn alert(&mut self, number: RecordNumber, contents: &[u8]) -> Option<Inbound> {
        let epoch = number.epoch;
        let Some(alert) = alert::decode(contents) else {
            self.stats.discard(Discard::MalformedAlert);
            return None;
        };
        if epoch == Epoch::PLAINTEXT && self.read.any_protected() {
            self.stats.discard(Discard::PlaintextAlert);
            if alert.is_fatal() {
                self.disbelieved_alert = Some(alert);
            }
            return None;
        }
        Some(Inbound::Alert { alert, number })
    }

    /// Enters every fragment of a handshake record; a header that makes no sense ends the record.
    #[cold]
    fn fragments(&mut self, now: Instant, epoch: Epoch, contents: &[u8]) {
        let mut reader = Reader::new(contents);
        while !reader.is_empty() {
            let fragment = FragmentHeader::decode(&mut reader).and_then(|header| {
                let length = usize::try_from(header.fragment_length).unwrap_or(usize::MAX);
                reader.bytes(length, "fragment").map(|data| (header, data))
            });
            let Ok((header, data)) = fragment else {
                self.stats.discard(Discard::BadFragment);
                return;
            };
            if let Err(cause) = self.fragment(now, epoch, &header, data) {
                self.stats.discard(cause);
            }
        }
    }

    /// Decides by (epoch, type) which handshake a fragment belongs to: with n the epoch in which the Finished of
    /// H travels, epoch n − 1 is H, Finished in epoch n is H, and anything else in epoch n is the handshake behind H.
    fn fragment(
        &mut self,
        now: Instant,
        epoch: Epoch,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), Discard> {
        let finished = header.typ == HandshakeType::FINISHED;
        let max_message = self.policy.max_message;
        match &mut self.progress {
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
enum NotOpened {
    /// It is noise.
    Discard(Discard),
    /// It waits for its keys.
    Kept,
    /// The key has seen too many forgeries.
    TooManyForgeries,
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
