//! The records of one association: which epochs can be read and written, with which keys, and which
//! records have come already.
//!
//! ```text
//!   receive ─► header ─► epoch ─► replay? ─► open ─► window ─► Record
//!                          └─ no keys yet: early, until they are here
//!
//!   contents ─► seal, with the next number of its epoch ─► a datagram
//! ```
//!
//! Nothing changes before a record has authenticated, except in the plaintext epoch, where nothing
//! can. This object knows what a record looks like, connection IDs included, and neither the
//! version nor what is said in it. Exporting a live association is what is here, as numbers: the
//! keys and windows of each epoch.

mod dormant;
mod early;
mod epochs;
mod forgeries;
mod identified;
mod opening;
mod preview;
mod replay;
mod unified;

pub(super) use opening::{NotOpened, Opened, Record, id_in};

use crate::protocol::{AgreedLimits, ConnectionId, ContentType, Epoch, Path, RecordNumber};
use crate::record::protection::{MAX_EXPANSION_12, MAX_EXPANSION_13};
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_datagram::DatagramHeader;
use crate::wire::record_dtls::HEADER_LEN;
use crate::wire::record_dtls13::SENT_HEADER_LEN;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;
use bytes::BytesMut;
use early::EarlyRecords;
use epochs::{Protected, ReadEpochs, WriteEpoch, WriteEpochs};
use identified::Identification;
use preview::Preview;

/// Epochs, keys, windows, and the datagram that is being taken apart.
pub(super) struct Records {
    read: ReadEpochs,
    write: WriteEpochs,
    form: Form,
    /// The datagram that came last, if it was not a single record of data, as nearly every one is.
    input: Option<Box<Input>>,
    /// While keys are being agreed on.
    early: Option<Box<EarlyRecords>>,
    /// The epoch that the peer writes in, as far as is known.
    in_force: Epoch,
    /// The keys of the next epoch, while only a fatal alert is read under them.
    preview: Option<Box<Preview>>,
    /// The epoch whose key has seen half of the forgeries that it may.
    attacked: Option<Box<Epoch>>,
    /// What was agreed on about the length of records, for the epochs that come next.
    limits: AgreedLimits,
    /// Whether the records that are written since a handshake hold more or less than before it.
    resized: bool,
    /// Connection IDs, where there are any.
    ids: Option<Box<Identification>>,
}

/// A datagram that is being taken apart.
struct Input {
    /// What is left of it.
    bytes: BytesMut,
    path: Path,
    /// Its whole length.
    len: usize,
    /// The newest record that was opened of it; of plaintext if none was under keys.
    taken: RecordNumber,
    /// What is left is the contents of that record, of this type.
    opened: Option<ContentType>,
}

/// What protected records look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// The hellos have not settled it yet.
    Unsettled,
    /// With type and number in the header (RFC 6347 §4.1).
    Full,
    /// With a unified header, the type inside and the number hidden (RFC 9147 §4).
    Unified,
}

/// The keys of the epoch after this one are being agreed on.
fn early_after(epoch: Epoch) -> Option<Box<EarlyRecords>> {
    let awaited = epoch.next(Epoch::LIMIT_12)?;
    Some(Box::new(EarlyRecords::of(awaited)))
}

impl Records {
    /// Only plaintext, which is written from `first_sequence` on.
    pub(super) fn new(first_sequence: u64) -> Self {
        Self {
            read: ReadEpochs::plaintext(),
            write: WriteEpochs::plaintext(first_sequence),
            form: Form::Unsettled,
            input: None,
            early: early_after(Epoch::PLAINTEXT),
            in_force: Epoch::PLAINTEXT,
            preview: None,
            attacked: None,
            limits: AgreedLimits::None,
            resized: false,
            ids: None,
        }
    }

    /// Begins again as if nothing had been agreed on; no number is used twice.
    pub(super) fn begin_afresh(&mut self) {
        self.read = ReadEpochs::plaintext();
        self.write.begin_afresh();
        self.form = Form::Unsettled;
        self.early = early_after(Epoch::PLAINTEXT);
        self.preview = None;
        self.in_force = Epoch::PLAINTEXT;
        self.ids = None;
    }

    /// From here on protected records have this form.
    pub(super) fn settle(&mut self, form: Form) {
        if self.form == Form::Unsettled && form == Form::Unified {
            self.await_epoch(Epoch::HANDSHAKE_13);
        }
        self.form = form;
        self.write.settle();
    }

    // Epochs come and go.

    /// Keys of the next epoch are being agreed on. What has waited for the keys in force and was
    /// not read yet goes on waiting.
    pub(super) fn await_next(&mut self) {
        let next = early_after(self.in_force);
        match (&mut self.early, next) {
            (Some(early), Some(next)) => early.awaited = next.awaited,
            (early, next) => *early = next,
        }
    }

    const fn await_epoch(&mut self, epoch: Epoch) {
        if let Some(early) = &mut self.early {
            early.awaited = epoch;
        }
    }

    /// Makes `epoch` readable.
    pub(super) fn install_read(&mut self, epoch: Epoch, protection: &RecordProtection) {
        self.preview = None;
        let mut protected = Protected::new(protection);
        protected
            .opener
            .limit_records(self.limits, self.expects_id(epoch));
        self.read.install(epoch, protected);
        if self.form == Form::Unified {
            self.in_force = epoch;
            if epoch == Epoch::HANDSHAKE_13 {
                self.await_epoch(Epoch::APPLICATION_13);
            }
        }
    }

    /// Makes `epoch` writable, with records that carry `id`, and current.
    pub(super) fn install_write(
        &mut self,
        epoch: Epoch,
        protection: &RecordProtection,
        id: &ConnectionId,
    ) {
        let before = &self.write.current;
        let before = before.is_protected().then(|| before.max_contents());
        self.write.install(epoch, protection, id, self.limits);
        self.resized = before.is_some_and(|it| it != self.max_contents());
    }

    /// So long may records be: those of the epochs that come next; of 1.3 all that are protected;
    /// at once, where that was agreed. Whether data that is under way obeys already.
    pub(super) fn limit(&mut self, limits: AgreedLimits) -> bool {
        self.limits = limits;
        if self.form == Form::Unified {
            // These come with the first handshake, before there is any data.
            self.read.limit(limits);
            self.write.limit(limits);
        } else if let Some(most) = limits.at_once() {
            let before = self.max_contents();
            self.write.limit_at_once(most);
            return self.write.current.is_protected() && self.max_contents() != before;
        } else {
            // RFC 8449 §4 leaves these alone, but clients of GnuTLS 3.7 drop what is longer.
            self.write.limit_unprotected(limits.write());
        }
        false
    }

    /// Whether the records that are written now hold less than a datagram could carry in any case.
    pub(super) fn is_limited(&self) -> bool {
        let inside = usize::from(!self.write.current_id().is_empty());
        self.max_contents() < MAX_PLAINTEXT_LEN - inside
    }

    /// The most contents of a record that is taken now, in bytes.
    pub(super) fn max_received(&self) -> usize {
        let newest = &self.read.newest;
        let inside = self.form == Form::Unified || self.expects_id(newest.epoch);
        match newest.protection.most() {
            Some(most) => usize::from(most - u16::from(inside)),
            None => self.max_unprotected(),
        }
    }

    /// The most contents of a record without protection that is taken, in bytes.
    fn max_unprotected(&self) -> usize {
        let at_once = self.limits.at_once().filter(|_| self.form == Form::Full);
        at_once.map_or(MAX_PLAINTEXT_LEN, usize::from)
    }

    /// Reads fatal alerts, and nothing else, in `epoch`, whose time has not come.
    pub(super) fn install_preview(&mut self, epoch: Epoch, protection: RecordProtection) {
        let waiting = self.early.as_ref().map_or(0, |it| it.len());
        self.preview = Some(Preview::new(epoch, protection, waiting));
    }

    /// `epoch` is over; it can still be read for a while.
    pub(super) fn retire(&mut self, epoch: Epoch) {
        match self.form {
            // RFC 9147 §4.2.1, §5.8.1, §8: that of the handshake as well.
            Form::Unified => self
                .read
                .retain(|known| known >= epoch || known == Epoch::HANDSHAKE_13),
            // What is older than the epoch that ends now has had its time. B6: once keys exist,
            // nothing that is unprotected means anything.
            _ => self
                .read
                .retain(|known| known >= epoch && known > Epoch::PLAINTEXT),
        }
        self.forget_old_ids();
    }

    /// What came late has come by now (E21).
    pub(super) fn end_retention(&mut self) {
        let in_force = self.in_force;
        if self.form == Form::Unified && !self.read.newest_was_read() {
            // RFC 9147 §8: the peer goes on under the epoch before the newest until it knows that
            // its KeyUpdate has arrived.
            self.read
                .retain(|known| known == in_force || in_force.follows(known));
        } else {
            self.read.retain(|known| known >= in_force);
        }
        self.forget_old_ids();
    }

    /// A handshake is done, and `epoch` in force. Whether records hold more or less than after the
    /// one before.
    pub(super) fn established(&mut self, epoch: Epoch) -> bool {
        if self.form != Form::Unified {
            self.in_force = epoch;
        }
        self.ids_established();
        // After the Finished that has just been taken from there, data of the same epoch may wait.
        self.early.take_if(|it| !it.keep_only(epoch));
        std::mem::take(&mut self.resized)
    }

    /// The handshake comes to nothing: the epoch in force goes on.
    pub(super) fn abandon(&mut self) {
        let in_force = self.in_force;
        self.read.retain(|known| known <= in_force);
        self.ids_abandoned();
        self.forget_waiting();
    }

    /// Nothing is read any more.
    pub(super) fn shut_down(&mut self) {
        self.skip();
        self.forget_waiting();
    }

    fn forget_waiting(&mut self) {
        self.early = None;
        self.preview = None;
    }

    // What can be read.

    /// The epoch that the peer writes in, as far as is known.
    pub(super) const fn in_force(&self) -> Epoch {
        self.in_force
    }

    /// Whether there are keys to read anything.
    pub(super) fn has_read_keys(&self) -> bool {
        self.read.any_protected()
    }

    /// Whether something under keys has authenticated.
    pub(super) fn has_authenticated(&self) -> bool {
        self.read.any_was_read()
    }

    /// Whether there are keys for the epoch after the one in force.
    pub(super) fn is_armed(&self) -> bool {
        self.read.newest() > self.in_force
    }

    /// Whether there are keys to read a record with this header.
    pub(super) fn can_read(&self, header: &DatagramHeader) -> bool {
        match header {
            DatagramHeader::Full(header) | DatagramHeader::Identified(header, _) => {
                self.read.contains(header.number.epoch)
            }
            DatagramHeader::Unified(header) => {
                let epoch = self.read.newest_ending_in(header.epoch_bits);
                self.form == Form::Unified && epoch.is_some()
            }
        }
    }

    /// Whether the records of `epoch` have unified headers.
    pub(super) fn is_unified(&self, epoch: Epoch) -> bool {
        self.form == Form::Unified && epoch != Epoch::PLAINTEXT
    }

    /// The epoch whose key has seen half of the forgeries that it may (RFC 9147 §4.5.3).
    #[inline]
    pub(super) fn attacked(&self) -> Option<Epoch> {
        self.attacked.as_deref().copied()
    }

    /// How many bytes wait for their keys.
    pub(super) fn buffered(&self) -> usize {
        self.early.as_ref().map_or(0, |it| it.cost())
    }

    // What is written.

    /// The epochs that can be written.
    #[inline]
    pub(super) const fn writing(&mut self) -> &mut WriteEpochs {
        &mut self.write
    }

    /// The newest epoch of which it is known that the peer can read it. At 1.2 that is not the
    /// current one while this end has sent its Finished and has not had the peer's: what the peer
    /// needs to make the keys may still be under way, or have gone to where it is not any more.
    pub(super) fn readable_writing(&mut self) -> &mut WriteEpoch {
        let agreed = match self.form {
            Form::Full if self.in_force != Epoch::PLAINTEXT => self.in_force,
            _ => self.write.current_epoch(),
        };
        self.write.find_or_current(agreed)
    }

    /// How many records the current one of them has sent.
    #[inline]
    pub(super) const fn written(&self) -> u64 {
        self.write.written()
    }

    /// Whether no more data can be sealed under the current one of them.
    pub(super) const fn is_used_up(&self) -> bool {
        self.write.current.is_used_up()
    }

    /// The most data in a record that is written now.
    #[inline]
    pub(super) fn max_contents(&self) -> usize {
        self.write.current.max_contents()
    }

    /// The most that a record is longer than its data, whatever the suite: a renegotiation may
    /// change that, and data that waits for the new keys must still fit.
    #[inline]
    pub(super) fn max_overhead(&self) -> usize {
        let id_len = self.write.current_id().len();
        match self.form {
            Form::Unified => SENT_HEADER_LEN + id_len + MAX_EXPANSION_13,
            _ if id_len > 0 => HEADER_LEN + id_len + 1 + MAX_EXPANSION_12,
            _ => HEADER_LEN + MAX_EXPANSION_12,
        }
    }
}
