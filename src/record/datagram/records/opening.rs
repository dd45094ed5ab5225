//! From a datagram to the contents of its records.

use super::early::EarlyRecord;
use super::epochs::{Protected, Reading};
use super::{Form, Input, Records};
use crate::protocol::{CarriedId, ContentType, Epoch, Path, ProtocolVersion, RecordNumber};
use crate::record::{Discard, Fault};
use crate::wire::record_datagram::{BadHeader, DatagramHeader};
use crate::wire::record_dtls::{CONNECTION_ID_AT, HEADER_LEN, RecordHeader};
use crate::wire::record_dtls13;
use crate::wire::record_tls::MAX_FRAGMENT_LEN;
use bytes::{Buf as _, BytesMut};
use std::ops::Range;

/// A record that came, opened or not.
///
/// What came of it stands beside its bytes, not around them: a `Result` of all this would be taken
/// apart and moved at each step, once for every datagram.
pub(in super::super) struct Record {
    /// What it is, or why it was not opened.
    pub(in super::super) opened: Result<Opened, NotOpened>,
    /// Its contents, if it was opened.
    pub(in super::super) bytes: BytesMut,
    /// The connection ID in its header, if it was opened and has one.
    pub(in super::super) carried: CarriedId,
    /// The way it came.
    pub(in super::super) path: Path,
    /// How long it was as it came, with its header.
    pub(in super::super) len: usize,
    /// How many bytes of the caller's buffer it pins.
    pub(in super::super) pinned: usize,
}

/// Why a record was not opened.
pub(in super::super) enum NotOpened {
    /// It is noise.
    Discard(Discard),
    /// Its keys are not here, and it waits for them.
    NoKeys,
    /// The association cannot go on.
    Fault(Fault),
}

impl From<Discard> for NotOpened {
    fn from(cause: Discard) -> Self {
        Self::Discard(cause)
    }
}

impl From<Fault> for NotOpened {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Where in a record its contents are, and what they are.
pub(in super::super) struct Opened {
    pub(in super::super) number: RecordNumber,
    pub(in super::super) content_type: ContentType,
    pub(in super::super) contents: Range<usize>,
    /// How long the connection ID is that its header has; 0 if there is none.
    pub(in super::super) id_len: u8,
}

impl Opened {
    /// The connection ID in the header of a record that was opened, and is whole.
    #[inline]
    pub(in super::super) fn id_in(&self, record: &[u8]) -> CarriedId {
        id_in(record, self.id_len)
    }
}

/// The connection ID of so many bytes in the header of a record.
#[inline]
pub(in super::super) fn id_in(record: &[u8], id_len: u8) -> CarriedId {
    if id_len == 0 {
        return CarriedId::NONE;
    }
    let at = match record_dtls13::is_unified(record) {
        true => record_dtls13::CONNECTION_ID_AT,
        false => CONNECTION_ID_AT,
    };
    let id = record.get(at..at + usize::from(id_len));
    id.map_or(CarriedId::NONE, CarriedId::new)
}

impl Records {
    /// Takes a datagram; what is in it comes out of [`Records::next`].
    #[inline]
    pub(in super::super) fn receive(&mut self, path: Path, datagram: BytesMut) {
        let input = Input {
            len: datagram.len(),
            bytes: datagram,
            path,
            taken: RecordNumber::NONE,
            opened: None,
        };
        match &mut self.input {
            Some(last) => **last = input,
            None => self.input = Some(Box::new(input)),
        }
    }

    /// The header at the start of `bytes`, and how long its record is.
    #[inline]
    fn decode(&self, bytes: &[u8]) -> Result<(DatagramHeader, usize), BadHeader> {
        DatagramHeader::decode(bytes, self.form != Form::Full, |at| {
            self.ids.as_ref()?.length(at)
        })
    }

    /// Opens a datagram in place that is a single record, of data as far as its header tells.
    /// Anything else counts as a record without keys: nothing was touched.
    #[inline]
    pub(in super::super) fn open_single(
        &mut self,
        datagram: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        match self.decode(datagram) {
            Ok((_, length)) if length != datagram.len() => Err(NotOpened::NoKeys),
            Ok((DatagramHeader::Full(header), _)) if is_protected_data(&header) => {
                self.open_full(&header, datagram)
            }
            Ok((DatagramHeader::Unified(header), _)) => self.open_unified(header, datagram),
            Ok((DatagramHeader::Identified(header, header_len), _)) => {
                self.open_identified(&header, header_len, datagram)
            }
            _ => Err(NotOpened::NoKeys),
        }
    }

    /// Skips what is left of the datagram that came last.
    #[cold]
    pub(in super::super) fn skip(&mut self) {
        if let Some(input) = &mut self.input {
            input.bytes = BytesMut::new();
            input.opened = None;
        }
    }

    /// The datagram that came last is a single record, and open already.
    #[cold]
    pub(in super::super) fn note_opened(&mut self, opened: &Opened) {
        if let Some(input) = &mut self.input {
            input.bytes.truncate(opened.contents.end);
            input.bytes.advance(opened.contents.start);
            input.taken = opened.number;
            input.opened = Some(opened.content_type);
        }
    }

    /// The newest record that was opened under keys of the datagram that came last.
    #[inline]
    pub(in super::super) fn taken(&self) -> Option<RecordNumber> {
        let taken = self.input.as_ref()?.taken;
        (taken.epoch != Epoch::PLAINTEXT).then_some(taken)
    }

    /// The next record: one that had to wait for its keys, or what is left of the datagram. Only a
    /// fault says that there is none after it.
    #[inline]
    pub(in super::super) fn next(&mut self) -> Option<Record> {
        if let Some(EarlyRecord { bytes, path, .. }) = self.take_early() {
            let length = bytes.len();
            // It has come earlier, and perhaps another way: it is none of this datagram.
            return Some(match self.decode(&bytes) {
                Ok((header, _)) => self.open(header, bytes, path, length),
                Err(why) => bad_record(why, path),
            });
        }
        let input = self.input.as_mut()?;
        if input.opened.is_some() {
            return input.take_opened();
        }
        if input.bytes.is_empty() {
            return None;
        }
        let (path, len) = (input.path, input.len);
        let decoded = DatagramHeader::decode(&input.bytes, self.form != Form::Full, |at| {
            self.ids.as_ref()?.length(at)
        });
        let (header, length) = match decoded {
            Ok(decoded) => decoded,
            // After a header that makes no sense nothing in the datagram can be trusted to be a
            // header (RFC 6347 §4.1.1); after the connection ID of another association the rest is
            // dropped (RFC 9147 §4).
            Err(why) => {
                self.skip();
                return Some(bad_record(why, path));
            }
        };
        let bytes = if length == input.bytes.len() {
            std::mem::take(&mut input.bytes)
        } else {
            input.bytes.split_to(length)
        };
        let record = self.open(header, bytes, path, len);
        if let (Ok(opened), Some(input)) = (&record.opened, &mut self.input) {
            input.taken = input.taken.max(opened.number);
        }
        Some(record)
    }

    /// A record that waited for its keys, when they are here.
    #[inline]
    fn take_early(&mut self) -> Option<EarlyRecord> {
        match self.early {
            Some(_) => self.take_kept(),
            None => None,
        }
    }

    #[cold]
    fn take_kept(&mut self) -> Option<EarlyRecord> {
        let early = self.early.as_mut()?;
        let preview = self.preview.as_mut();
        if preview.is_some_and(|it| it.looks_at_another()) {
            return early.take_first();
        }
        let newest = self.read.newest();
        let record = early.take(newest);
        if early.awaited == newest && record.is_none() {
            self.early = None;
        }
        record
    }

    /// Opens a record in place. `bytes` is header and fragment.
    #[inline]
    fn open(
        &mut self,
        header: DatagramHeader,
        mut bytes: BytesMut,
        path: Path,
        pinned: usize,
    ) -> Record {
        let len = bytes.len();
        let mut opened = match header {
            DatagramHeader::Full(header) => self.open_full(&header, &mut bytes),
            DatagramHeader::Identified(header, header_len) => {
                self.open_identified(&header, header_len, &mut bytes)
            }
            DatagramHeader::Unified(header) => self.open_unified(header, &mut bytes),
        };
        if let Err(NotOpened::NoKeys) = opened {
            opened = self.without_keys(header, &mut bytes, path);
        }
        let mut carried = CarriedId::NONE;
        if let Ok(opened) = &opened {
            carried = opened.id_in(&bytes);
            bytes.truncate(opened.contents.end);
            bytes.advance(opened.contents.start);
        }
        Record {
            opened,
            bytes,
            carried,
            path,
            len,
            pinned,
        }
    }

    /// Checks and opens a record with a full header in place.
    #[inline]
    fn open_full(&mut self, header: &RecordHeader, record: &mut [u8]) -> Result<Opened, NotOpened> {
        let epoch = header.number.epoch;
        check_header(header)?;
        if let Some(Reading::Plaintext) = self.read.find(epoch).map(|it| &it.protection) {
            if record.len() - HEADER_LEN > self.max_unprotected() {
                return Err(Discard::OverlongRecord.into());
            }
            return Ok(Opened {
                number: header.number,
                content_type: header.content_type,
                contents: HEADER_LEN..record.len(),
                id_len: 0,
            });
        }
        if self.expects_id(epoch) && epoch != Epoch::PLAINTEXT {
            // RFC 9146 §3: also where the connection ID was cut out, and the type replaced.
            return Err(Discard::MissingConnectionId.into());
        }
        self.open_with(epoch, record, |protected, record| {
            protected.open_full(header, record)
        })
    }

    /// Whether records of `epoch` carry a connection ID.
    #[inline]
    pub(super) fn expects_id(&self, epoch: Epoch) -> bool {
        match &self.ids {
            Some(ids) => ids.is_expected(epoch),
            None => false,
        }
    }

    /// Checks and opens a record of version 1.2 in place that carries a connection ID.
    fn open_identified(
        &mut self,
        header: &RecordHeader,
        header_len: usize,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        let epoch = header.number.epoch;
        if header.version != ProtocolVersion::DTLS12 || self.form == Form::Unified {
            return Err(Discard::BadVersion.into());
        }
        if usize::from(header.length) > MAX_FRAGMENT_LEN {
            return Err(Discard::OverlongRecord.into());
        }
        let id = record.get(CONNECTION_ID_AT..header_len - 2);
        let id = id.unwrap_or_default();
        let ids = self.ids.as_ref();
        // RFC 9146 §3: what is not protected never has one.
        if epoch == Epoch::PLAINTEXT || !ids.is_some_and(|it| it.admits(self.form, epoch, id)) {
            return Err(Discard::UnknownConnectionId.into());
        }
        self.open_with(epoch, record, |protected, record| {
            protected.open_identified(header, header_len, record)
        })
    }

    /// Opens a record of `epoch` in place.
    #[inline]
    pub(super) fn open_with(
        &mut self,
        epoch: Epoch,
        record: &mut [u8],
        open: impl FnOnce(&mut Protected, &mut [u8]) -> Result<Opened, NotOpened>,
    ) -> Result<Opened, NotOpened> {
        let opened = match self.read.find(epoch).map(|it| &mut it.protection) {
            Some(Reading::Protected(protected)) => open(protected, record),
            Some(dormant @ Reading::Dormant(_)) => dormant.open_dormant(|it| open(it, record)),
            Some(Reading::Plaintext) | None => return Err(NotOpened::NoKeys),
        };
        match opened {
            Err(NotOpened::Discard(Discard::Unauthenticated)) => Err(self.weigh_forgeries(epoch)),
            outcome => outcome,
        }
    }

    /// A record without keys: a fatal alert may be read all the same, and one of the epoch whose
    /// keys are being agreed on is kept.
    #[cold]
    fn without_keys(
        &mut self,
        header: DatagramHeader,
        record: &mut [u8],
        path: Path,
    ) -> Result<Opened, NotOpened> {
        if let Some(alert) = self.preview(&header, record) {
            return Ok(alert);
        }
        let awaited = self.early.as_ref().map(|it| it.awaited);
        let (is_old, epoch) = match (header, self.form) {
            (DatagramHeader::Full(it) | DatagramHeader::Identified(it, _), form) => {
                let epoch = it.number.epoch;
                let is_awaited = awaited == Some(epoch) && form != Form::Unified;
                let is_old = epoch <= self.read.newest();
                (is_old, is_awaited.then_some(epoch))
            }
            // RFC 9147 §8: a key update is acknowledged before its keys are used, so that after the
            // handshake no epoch is awaited.
            (DatagramHeader::Unified(it), form) => {
                let awaited = match form {
                    Form::Unified => awaited,
                    _ => awaited.and(Some(Epoch::HANDSHAKE_13)),
                };
                let epoch = awaited.filter(|awaited| awaited.low_bits() == it.epoch_bits);
                (awaited.is_none(), epoch)
            }
        };
        if is_old {
            return Err(Discard::OldEpoch.into());
        }
        let place = epoch.zip(self.early.as_mut());
        let kept = place.is_some_and(|(epoch, early)| early.keep(epoch, record, path));
        Err(match kept {
            true => NotOpened::NoKeys,
            false => Discard::FutureEpoch.into(),
        })
    }
}

impl Input {
    /// The record that was open when it was given.
    #[cold]
    fn take_opened(&mut self) -> Option<Record> {
        let content_type = self.opened.take()?;
        let bytes = std::mem::take(&mut self.bytes);
        Some(Record {
            opened: Ok(Opened {
                number: self.taken,
                content_type,
                contents: 0..bytes.len(),
                id_len: 0,
            }),
            bytes,
            carried: CarriedId::NONE,
            path: self.path,
            len: self.len,
            pinned: self.len,
        })
    }
}

/// Something whose header cannot be read.
#[cold]
fn bad_record(why: BadHeader, path: Path) -> Record {
    let cause = match why {
        BadHeader::Malformed => Discard::BadRecord,
        BadHeader::UnknownConnectionId => Discard::UnknownConnectionId,
    };
    Record {
        opened: Err(cause.into()),
        bytes: BytesMut::new(),
        carried: CarriedId::NONE,
        path,
        len: 0,
        pinned: 0,
    }
}

impl Protected {
    /// Opens a record with a full header in place.
    #[inline]
    pub(super) fn open_full(
        &mut self,
        header: &RecordHeader,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        let number = header.number;
        if self.opener.is_13() {
            return Err(Discard::BadVersion.into());
        }
        // RFC 6347 §4.1.2.6: asked before, moved after authentication.
        if !self.window.admits(number.sequence) {
            return Err(Discard::Replay.into());
        }
        let fragment = record.get_mut(HEADER_LEN..).unwrap_or_default();
        let range = match self.opener.open_12(header, fragment) {
            Ok(range) => range,
            Err(why) => return Err(self.not_opened(why)),
        };
        self.window.record(number.sequence);
        Ok(Opened {
            number,
            content_type: header.content_type,
            contents: HEADER_LEN + range.start..HEADER_LEN + range.end,
            id_len: 0,
        })
    }

    /// Opens a record in place whose connection ID is this association's.
    pub(super) fn open_identified(
        &mut self,
        header: &RecordHeader,
        header_len: usize,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        let number = header.number;
        if !self.window.admits(number.sequence) {
            return Err(Discard::Replay.into());
        }
        let opened = self.opener.open_identified_12(header, header_len, record);
        let (contents, content_type) = match opened {
            Ok(opened) => opened,
            Err(why) => return Err(self.not_opened(why)),
        };
        self.window.record(number.sequence);
        Ok(Opened {
            number,
            content_type,
            contents,
            id_len: u8::try_from(header_len - HEADER_LEN).unwrap_or(u8::MAX),
        })
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
            | ContentType::RETURN_ROUTABILITY_CHECK
    )
}

/// Whether a header announces data under keys.
#[inline]
fn is_protected_data(header: &RecordHeader) -> bool {
    header.content_type == ContentType::APPLICATION_DATA && header.number.epoch > Epoch::PLAINTEXT
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
