//! The way upwards: what becomes of a record that was opened, or was not.

use super::records::{NotOpened, Record};
use super::{Datagram, Discard, Fault, Inbound};
use crate::protocol::{ContentType, Epoch, RecordNumber};
use crate::record::{Received, read_alert};
use std::time::Instant;

/// The next thing that came: a message that is complete, then a record that had to wait for its
/// keys, then whatever is left of the datagram.
#[inline]
pub(super) fn next(layer: &mut Datagram, now: Instant) -> Result<Option<Inbound>, Fault> {
    loop {
        if let Some(inbound) = layer.delivery.next()? {
            return Ok(Some(inbound));
        }
        match layer.records.next() {
            Ok(Some(record)) => {
                if let Some(inbound) = layer.dispatch(now, record)? {
                    return Ok(Some(inbound));
                }
            }
            Ok(None) => {
                let (delivery, mut means) = layer.split();
                delivery.datagram_is_through(&mut means);
                return Ok(None);
            }
            Err(why) => layer.not_opened(why)?,
        }
    }
}

impl Datagram {
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
        self.stats.records_received += 1;
        if record.number.epoch != Epoch::PLAINTEXT {
            self.outgoing.peer_is_proved();
            if record.content_type == ContentType::APPLICATION_DATA {
                return Ok(self.data(record));
            }
        }
        self.dispatch_other(now, &record)
    }

    #[inline]
    fn data(&mut self, record: Record) -> Option<Inbound> {
        let RecordNumber { epoch, sequence } = record.number;
        self.delivery.data_came(epoch, &mut self.records);
        if record.contents.is_empty() {
            self.stats.discard(Discard::EmptyData);
            return None;
        }
        Some(Inbound::ApplicationData(Received {
            data: record.contents.freeze(),
            epoch,
            path: record.path,
            sequence,
            pinned: record.pinned,
        }))
    }

    /// Sorts what is not data that anybody may send.
    #[cold]
    fn dispatch_other(&mut self, now: Instant, record: &Record) -> Result<Option<Inbound>, Fault> {
        let (number, contents) = (record.number, &record.contents[..]);
        let epoch = number.epoch;
        let (delivery, mut means) = self.split();
        match record.content_type {
            ContentType::ALERT => return self.alert(number, contents),
            ContentType::HANDSHAKE => delivery.take_record(now, number, contents, &mut means)?,
            ContentType::ACK => delivery.take_ack(now, epoch, contents, &mut means)?,
            ContentType::APPLICATION_DATA => {
                self.count_or_fail(epoch, Discard::PlaintextData, Fault::UnexpectedData)?;
            }
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
