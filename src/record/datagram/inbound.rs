//! The way upwards: what becomes of a record that was opened, or was not.

use super::records::{NotOpened, Opened, Record, id_in};
use super::{Datagram, Discard, Fault, Inbound};
use crate::protocol::{ContentType, Epoch, Path, RecordNumber};
use crate::record::{Elsewhere, Received, read_alert};
use bytes::{Buf as _, Bytes, BytesMut};
use std::ops::Range;
use std::time::Instant;

/// The next thing that came: a message that is complete, then a record that had to wait for its
/// keys, then whatever is left of the datagram.
#[inline]
pub(super) fn next(layer: &mut Datagram, now: Instant) -> Result<Option<Inbound>, Fault> {
    loop {
        if let Some(inbound) = layer.delivery.next()? {
            return Ok(Some(inbound));
        }
        let Some(record) = layer.records.next() else {
            let (delivery, mut means) = layer.split();
            delivery.datagram_is_through(&mut means);
            return Ok(None);
        };
        match layer.dispatch(now, record) {
            Ok(None) => {}
            outcome => return outcome,
        }
    }
}

/// Which data lies open in a datagram, and where.
pub(crate) struct DataRecord {
    pub(crate) number: RecordNumber,
    contents: Range<usize>,
    id_len: u8,
}

impl DataRecord {
    /// Cuts the data out of its datagram, which came by `path`.
    #[inline]
    pub(crate) fn cut(self, path: Path, mut datagram: BytesMut) -> Received {
        let pinned = datagram.len();
        let carried = id_in(&datagram, self.id_len);
        datagram.truncate(self.contents.end);
        // A `Bytes` moves its start with less ado than a `BytesMut`.
        let mut data = datagram.freeze();
        data.advance(self.contents.start);
        Received {
            data,
            epoch: self.number.epoch,
            path,
            carried,
            sequence: self.number.sequence,
            pinned,
        }
    }
}

impl Datagram {
    /// Takes a datagram as [`Datagram::receive`] does, where nothing else waits to be looked at. If
    /// it is one record of data, as nearly every one is, that is opened at once, in place, and
    /// `datagram` stays with the caller.
    ///
    /// # Errors
    ///
    /// A [`Fault`], which ends the connection.
    #[inline]
    pub(crate) fn receive_data(
        &mut self,
        path: &Path,
        datagram: &mut BytesMut,
    ) -> Result<Option<DataRecord>, Fault> {
        let Opened {
            number,
            content_type,
            contents,
            id_len,
        } = match self.records.open_single(datagram) {
            Ok(opened) => opened,
            Err(why) => return self.receive_closed(path, std::mem::take(datagram), why),
        };
        // Put together again only where it is needed, so that it lies in registers here.
        if content_type != ContentType::APPLICATION_DATA || contents.is_empty() {
            let opened = Opened {
                number,
                content_type,
                contents,
                id_len,
            };
            self.receive_opened(path, std::mem::take(datagram), &opened);
            return Ok(None);
        }
        self.authenticated(path, number, datagram.len());
        self.delivery.data_came(number.epoch, &mut self.records);
        Ok(Some(DataRecord {
            number,
            contents,
            id_len,
        }))
    }

    /// Takes a datagram that is one record, which is open and not just data.
    #[cold]
    fn receive_opened(&mut self, path: &Path, datagram: BytesMut, opened: &Opened) {
        self.receive(*path, datagram);
        self.records.note_opened(opened);
    }

    /// Takes a datagram that may be anything, or one whose only record is not opened.
    #[cold]
    fn receive_closed(
        &mut self,
        path: &Path,
        datagram: BytesMut,
        why: NotOpened,
    ) -> Result<Option<DataRecord>, Fault> {
        self.receive(*path, datagram);
        if let NotOpened::NoKeys = why {
            return Ok(None);
        }
        self.records.skip();
        self.not_opened(why).map(|()| None)
    }

    /// A record under keys has come from the peer, of so many bytes.
    #[inline]
    fn authenticated(&mut self, path: &Path, number: RecordNumber, bytes: usize) {
        self.stats.records_received += 1;
        if path.is_same_way(&self.outgoing.path()) {
            self.outgoing.peer_is_proved();
        } else {
            self.heard_elsewhere(*path, number, bytes);
        }
    }

    /// The peer was heard where it was not known to be. Without a connection ID an address is all
    /// that says whose a record is, and nobody moves.
    #[cold]
    fn heard_elsewhere(&mut self, path: Path, number: RecordNumber, bytes: usize) {
        if !self.records.is_identified() {
            self.outgoing.peer_is_proved();
            return;
        }
        let newest = self.records.is_newest(number);
        match &mut self.elsewhere {
            // Several records of one datagram.
            Some(known) if known.path.is_same_way(&path) => {
                known.bytes += bytes;
                known.newest |= newest;
            }
            known => {
                *known = Some(Box::new(Elsewhere {
                    path,
                    bytes,
                    answered: 0,
                    newest,
                }));
            }
        }
    }

    /// Counts a record that was not opened.
    #[cold]
    fn not_opened(&mut self, why: NotOpened) -> Result<(), Fault> {
        match why {
            NotOpened::NoKeys => Ok(()),
            NotOpened::Fault(fault) => Err(fault),
            NotOpened::Discard(cause @ Discard::UnknownContentType) => {
                // Only records in the clear show their type, whatever epoch they claim.
                self.count_or_fail(Epoch::PLAINTEXT, cause, Fault::UnknownContentType)
            }
            NotOpened::Discard(cause) => {
                self.stats.discard(cause);
                Ok(())
            }
        }
    }

    /// Sorts the contents of a record.
    #[inline]
    fn dispatch(&mut self, now: Instant, record: Record) -> Result<Option<Inbound>, Fault> {
        let (number, content_type) = match record.opened {
            Ok(ref opened) => (opened.number, opened.content_type),
            Err(why) => return self.not_opened(why).map(|()| None),
        };
        if number.epoch == Epoch::PLAINTEXT {
            self.stats.records_received += 1;
            return self.dispatch_other(now, number, content_type, &record);
        }
        self.authenticated(&record.path, number, record.len);
        if content_type != ContentType::APPLICATION_DATA {
            return self.dispatch_other(now, number, content_type, &record);
        }
        let RecordNumber { epoch, sequence } = number;
        self.delivery.data_came(epoch, &mut self.records);
        if record.bytes.is_empty() {
            self.stats.discard(Discard::EmptyData);
            return Ok(None);
        }
        Ok(Some(Inbound::ApplicationData(Received {
            data: record.bytes.freeze(),
            epoch,
            path: record.path,
            carried: record.carried,
            sequence,
            pinned: record.pinned,
        })))
    }

    /// Sorts what is not data that anybody may send.
    #[cold]
    fn dispatch_other(
        &mut self,
        now: Instant,
        number: RecordNumber,
        content_type: ContentType,
        record: &Record,
    ) -> Result<Option<Inbound>, Fault> {
        let (epoch, contents) = (number.epoch, &record.bytes[..]);
        let (delivery, mut means) = self.split();
        match content_type {
            ContentType::ALERT => return self.alert(number, contents),
            ContentType::HANDSHAKE => delivery.take_record(now, number, contents, &mut means)?,
            ContentType::ACK => delivery.take_ack(now, epoch, contents, &mut means)?,
            ContentType::APPLICATION_DATA => {
                self.count_or_fail(epoch, Discard::PlaintextData, Fault::UnexpectedData)?;
            }
            // RFC 9853 §4: protected, or nothing.
            ContentType::RETURN_ROUTABILITY_CHECK if epoch != Epoch::PLAINTEXT => {
                return Ok(Some(Inbound::PathMessage {
                    path: record.path,
                    contents: Bytes::copy_from_slice(contents),
                }));
            }
            ContentType::RETURN_ROUTABILITY_CHECK => self.stats.discard(Discard::PathCheck),
            ContentType::CHANGE_CIPHER_SPEC if contents != [1] => {
                let fault = Fault::UnexpectedChangeCipherSpec;
                self.count_or_fail(epoch, Discard::ChangeCipherSpec, fault)?;
            }
            // D1: a ChangeCipherSpec, at whatever moment, says nothing that the epochs do not say.
            _ => self.stats.discard(Discard::ChangeCipherSpec),
        }
        Ok(None)
    }

    fn alert(&mut self, number: RecordNumber, contents: &[u8]) -> Result<Option<Inbound>, Fault> {
        let epoch = number.epoch;
        let (alert, error) = match read_alert(contents, self.records.is_unified(epoch)) {
            Ok(alert) => alert,
            // Under keys nobody else can have sent it.
            Err(fault) if epoch != Epoch::PLAINTEXT => return Err(fault),
            Err(fault) => {
                self.count_or_fail(epoch, Discard::MalformedAlert, fault)?;
                return Ok(None);
            }
        };
        if epoch == Epoch::PLAINTEXT && self.records.has_read_keys() {
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

    /// Counts something that is of no use, or takes it for this fault of the peer.
    fn count_or_fail(&mut self, epoch: Epoch, cause: Discard, fault: Fault) -> Result<(), Fault> {
        let (delivery, mut means) = self.split();
        delivery.count_or_fail(epoch, cause, fault, &mut means)
    }
}
