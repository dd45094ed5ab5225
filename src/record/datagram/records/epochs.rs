//! The epochs that can be read and written at this moment.
//!
//! ```text
//!  reading:  previous (for a while) │ current │ next, armed while a handshake runs
//!            at 1.3 also that of the handshake (for a while)
//!  writing:  those that a retained flight needs │ current
//! ```

use super::dormant::{Dormant, DormantWriting};
use super::replay::ReplayWindow;
use crate::protocol::{
    AgreedLimits, ConnectionId, ContentType, Epoch, ProtocolVersion, RecordNumber,
};
use crate::record::RESERVED;
use crate::record::protection::{Opener, Sealer};
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

/// One epoch that can be read.
pub(super) struct ReadEpoch {
    pub(super) epoch: Epoch,
    /// What opens its records.
    pub(super) protection: Reading,
}

/// How an epoch is read.
pub(super) enum Reading {
    /// Without protection: nothing in it proves anything, and a stranger could move a window, so
    /// there is none.
    Plaintext,
    /// With keys.
    Protected(Box<Protected>),
    /// With keys that were put away.
    Dormant(Box<Dormant>),
}

/// The keys of an epoch with what must be remembered for them.
pub(super) struct Protected {
    pub(super) opener: Opener,
    pub(super) window: ReplayWindow,
    /// Records that failed to authenticate (RFC 9325 §4.4).
    pub(super) forgeries: u64,
    /// Records in a row that did not open, of those whose number is not sent in full.
    pub(super) misses: u32,
}

/// The epochs that can be read, in rising order; at least one, and at most four.
pub(super) struct ReadEpochs {
    /// Nearly every record is in it.
    pub(super) newest: ReadEpoch,
    pub(super) older: Box<[ReadEpoch]>,
}

impl Protected {
    pub(super) fn new(protection: &RecordProtection) -> Self {
        Self {
            opener: Opener::new(protection),
            window: ReplayWindow::default(),
            forgeries: 0,
            misses: 0,
        }
    }
}

impl Reading {
    /// Whether something has been read under its keys.
    fn was_read(&self) -> bool {
        self.next() > 0
    }
}

impl ReadEpoch {
    const PLAINTEXT: Self = Self {
        epoch: Epoch::PLAINTEXT,
        protection: Reading::Plaintext,
    };

    const fn is_protected(&self) -> bool {
        !matches!(self.protection, Reading::Plaintext)
    }

    #[inline]
    const fn ends_in(&self, bits: u8) -> bool {
        self.epoch.low_bits() == bits && self.is_protected()
    }
}

impl ReadEpochs {
    /// Only plaintext.
    pub(super) fn plaintext() -> Self {
        Self {
            newest: ReadEpoch::PLAINTEXT,
            older: Box::default(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &ReadEpoch> {
        self.older.iter().chain([&self.newest])
    }

    /// The epoch, if it can be read.
    #[inline]
    pub(super) fn find(&mut self, epoch: Epoch) -> Option<&mut ReadEpoch> {
        if self.newest.epoch == epoch {
            return Some(&mut self.newest);
        }
        self.older.iter_mut().find(|known| known.epoch == epoch)
    }

    /// The newest protected epoch whose number ends in these two bits, and whether it is the only
    /// one (RFC 9147 §4.2.2).
    #[inline]
    pub(super) fn newest_ending_in(&self, bits: u8) -> Option<(Epoch, bool)> {
        let mut older = self.older.iter().rev().filter(|it| it.ends_in(bits));
        let newest = match self.newest.ends_in(bits) {
            true => self.newest.epoch,
            false => older.next()?.epoch,
        };
        Some((newest, older.next().is_none()))
    }

    /// The protected epochs whose numbers end in these two bits, the newest first.
    pub(super) fn ending_in(&self, bits: u8) -> Vec<Epoch> {
        let ending = self.iter().filter(|it| it.ends_in(bits));
        let mut ending: Vec<_> = ending.map(|it| it.epoch).collect();
        ending.reverse();
        ending
    }

    /// Whether something has been read in the newest epoch.
    pub(super) fn newest_was_read(&self) -> bool {
        !self.newest.is_protected() || self.newest.protection.was_read()
    }

    /// Whether the epoch can be read.
    pub(super) fn contains(&self, epoch: Epoch) -> bool {
        self.iter().any(|known| known.epoch == epoch)
    }

    /// The oldest epoch that can be read.
    pub(super) fn oldest(&self) -> Epoch {
        self.older.first().unwrap_or(&self.newest).epoch
    }

    /// Whether no record has a higher number than this one, which was read (RFC 9146 §6).
    pub(super) fn is_newest(&self, number: RecordNumber) -> bool {
        self.iter().all(|it| {
            let next = it.protection.next();
            it.epoch < number.epoch
                || next == 0
                || it.epoch == number.epoch && next == number.sequence + 1
        })
    }

    /// The newest epoch that can be read.
    pub(super) const fn newest(&self) -> Epoch {
        self.newest.epoch
    }

    /// Whether any epoch with keys can be read.
    pub(super) fn any_protected(&self) -> bool {
        self.iter().any(ReadEpoch::is_protected)
    }

    /// Whether something under keys has authenticated.
    pub(super) fn any_was_read(&self) -> bool {
        self.iter().any(|it| it.protection.was_read())
    }

    /// Adds the next epoch.
    pub(super) fn install(&mut self, epoch: Epoch, protected: Protected) {
        let newest = ReadEpoch {
            epoch,
            protection: Reading::Protected(Box::new(protected)),
        };
        let before = std::mem::replace(&mut self.newest, newest);
        let mut older = std::mem::take(&mut self.older).into_vec();
        older.push(before);
        self.older = older.into();
    }

    /// All records that are protected may be so long, of version 1.3.
    pub(super) fn limit(&mut self, limits: AgreedLimits) {
        for epoch in std::iter::once(&mut self.newest).chain(&mut self.older) {
            if let Reading::Protected(protected) = &mut epoch.protection {
                protected.opener.limit_records(limits, false);
            }
        }
    }

    /// Drops every epoch but those that `needed` names; the one in force is always among them.
    pub(super) fn retain(&mut self, needed: impl Fn(Epoch) -> bool) {
        let mut kept = std::mem::take(&mut self.older).into_vec();
        kept.push(std::mem::replace(&mut self.newest, ReadEpoch::PLAINTEXT));
        kept.retain(|known| needed(known.epoch));
        if let Some(newest) = kept.pop() {
            self.newest = newest;
        }
        self.older = kept.into();
    }
}

/// One epoch that can be written: its keys and its next sequence number belong together for ever.
pub(in super::super) struct WriteEpoch {
    pub(super) epoch: Epoch,
    pub(super) protection: Writing,
    /// What its records carry; empty for nothing.
    id: Box<[u8]>,
    next_sequence: u64,
    limit: u64,
}

/// How an epoch is written.
pub(super) enum Writing {
    /// Without protection; the version is what headers say. The number is the most contents of a
    /// record, in bytes.
    Plaintext(ProtocolVersion, u16),
    /// With keys.
    Protected(Box<Sealer>),
    /// With keys that were put away: whoever asks for the epoch gets it with keys that are ready.
    Dormant(Box<DormantWriting>),
}

/// The most contents of a record without protection (RFC 5246 §6.2.1).
const MAX_UNPROTECTED: u16 = MAX_PLAINTEXT_LEN as u16;

/// What the headers of protected records say, of whichever version (RFC 9147 §4).
const SEALED_VERSION: ProtocolVersion = ProtocolVersion::DTLS12;

impl WriteEpoch {
    fn plaintext(next_sequence: u64) -> Self {
        Self {
            epoch: Epoch::PLAINTEXT,
            id: Box::default(),
            // RFC 6347 §4.1: what OpenSSL and others put there before the version is known; peers
            // take both.
            protection: Writing::Plaintext(ProtocolVersion::DTLS10, MAX_UNPROTECTED),
            next_sequence,
            limit: RecordNumber::LIMIT_48,
        }
    }

    /// How long a record is with so many bytes of contents.
    #[inline]
    pub(in super::super) fn record_len(&self, contents_len: usize) -> usize {
        let padding = match &self.protection {
            Writing::Protected(sealer) => sealer.padding(contents_len),
            Writing::Plaintext(..) | Writing::Dormant(_) => 0,
        };
        self.overhead() + contents_len + padding
    }

    /// How many bytes longer than its contents a record is, without the padding of the shortest.
    #[inline]
    pub(in super::super) fn overhead(&self) -> usize {
        match &self.protection {
            Writing::Protected(sealer) => sealer.datagram_overhead(self.id.len()),
            Writing::Plaintext(..) | Writing::Dormant(_) => HEADER_LEN,
        }
    }

    /// The most contents of a record, in bytes (RFC 5246 §6.2.1, RFC 8449 §4). At 1.2 the type
    /// counts where it is inside (RFC 9146 §5).
    #[inline]
    pub(in super::super) fn max_contents(&self) -> usize {
        usize::from(match &self.protection {
            Writing::Protected(sealer) => sealer.max_contents(),
            Writing::Plaintext(_, most) => *most,
            Writing::Dormant(dormant) => dormant.max_contents,
        })
    }

    /// Whether records are protected.
    #[inline]
    pub(in super::super) const fn is_protected(&self) -> bool {
        !matches!(self.protection, Writing::Plaintext(..))
    }

    /// Appends one record to `out` with the next number, which is returned; nothing when the
    /// sequence or the key is used up (RFC 6347 §4.1, RFC 9325 §4.4).
    #[inline]
    pub(in super::super) fn append(
        &mut self,
        content_type: ContentType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<RecordNumber> {
        let number = self.next_number()?;
        match &self.protection {
            Writing::Protected(sealer) if self.id.is_empty() => {
                sealer.seal_datagram(number, content_type, SEALED_VERSION, payload, out);
            }
            Writing::Protected(sealer) => {
                let id = &self.id;
                sealer.seal_identified(number, content_type, SEALED_VERSION, id, payload, out);
            }
            &Writing::Plaintext(version, _) => {
                let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
                let header = RecordHeader {
                    content_type,
                    version,
                    number,
                    length,
                };
                out.extend_from_slice(&header.encode());
                out.extend_from_slice(payload);
            }
            Writing::Dormant(_) => return None,
        }
        Some(number)
    }

    /// Takes the next record number.
    #[inline]
    const fn next_number(&mut self) -> Option<RecordNumber> {
        if self.next_sequence >= self.limit {
            return None;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Some(RecordNumber {
            epoch: self.epoch,
            sequence,
        })
    }

    /// How many more records can be written.
    #[inline]
    pub(in super::super) const fn remaining(&self) -> u64 {
        self.limit - self.next_sequence
    }

    /// Whether no record is left for data.
    #[inline]
    pub(in super::super) const fn is_used_up(&self) -> bool {
        self.remaining() <= RESERVED
    }

    /// Whether no record is left but the last one, which is kept for the alert that ends the
    /// association.
    pub(in super::super) const fn is_at_its_end(&self) -> bool {
        self.remaining() <= 1
    }

    /// As if the key could protect only so many more records. The next one has the number that it
    /// would have had, so that the peer can tell it.
    #[cfg(test)]
    pub(in super::super) const fn use_up(&mut self, remaining: u64) {
        self.limit = self.next_sequence + remaining;
    }
}

/// The epochs that can be written, in rising order.
pub(in super::super) struct WriteEpochs {
    pub(super) current: WriteEpoch,
    older: Box<[WriteEpoch]>,
    /// The next number of the plaintext epoch, once that is dropped.
    next_plaintext: u64,
}

impl WriteEpochs {
    /// Only plaintext, from `first_sequence` on.
    pub(super) fn plaintext(first_sequence: u64) -> Self {
        Self {
            current: WriteEpoch::plaintext(first_sequence),
            older: Box::default(),
            next_plaintext: first_sequence,
        }
    }

    /// Only plaintext, with numbers that were not used yet.
    pub(super) fn begin_afresh(&mut self) {
        let plaintext = self.find(Epoch::PLAINTEXT).map(|it| it.next_sequence);
        *self = Self::plaintext(plaintext.unwrap_or(self.next_plaintext));
    }

    /// The hellos are through. RFC 9147 §4: plaintext records of 1.3 look like those of 1.2.
    pub(super) fn settle(&mut self) {
        if let Some(plaintext) = self.find(Epoch::PLAINTEXT) {
            plaintext.protection = Writing::Plaintext(ProtocolVersion::DTLS12, MAX_UNPROTECTED);
        }
    }

    /// The epoch in which new records go out.
    #[inline]
    pub(in super::super) fn current(&mut self) -> &mut WriteEpoch {
        self.current.wake();
        &mut self.current
    }

    /// How many records the current epoch has sent.
    #[inline]
    pub(in super::super) const fn written(&self) -> u64 {
        self.current.next_sequence
    }

    /// The number of the epoch in which new records go out.
    pub(in super::super) const fn current_epoch(&self) -> Epoch {
        self.current.epoch
    }

    /// The epoch, if it can still be written. One that is over may have been dormant at its end,
    /// and what is repeated or was not sealed yet needs its keys all the same.
    pub(in super::super) fn find(&mut self, epoch: Epoch) -> Option<&mut WriteEpoch> {
        let mut known = std::iter::once(&mut self.current).chain(&mut self.older);
        let found = known.find(|known| known.epoch == epoch)?;
        found.wake();
        Some(found)
    }

    /// The epoch, or the current one if it can no longer be written.
    pub(in super::super) fn find_or_current(&mut self, epoch: Epoch) -> &mut WriteEpoch {
        let older = self.older.iter_mut().find(|known| known.epoch == epoch);
        let found = older.unwrap_or(&mut self.current);
        found.wake();
        found
    }

    /// Whether a record with this number can have been sent. Of epochs that are over this is no
    /// longer known, and taken for true.
    pub(in super::super) fn may_have_sent(&self, number: RecordNumber) -> bool {
        let mut known = self.older.iter().chain([&self.current]);
        match known.find(|it| it.epoch == number.epoch) {
            Some(known) => number.sequence < known.next_sequence,
            None => number.epoch < self.current_epoch(),
        }
    }

    /// The connection ID that records of the current epoch carry; empty for none.
    #[inline]
    pub(super) const fn current_id(&self) -> &[u8] {
        &self.current.id
    }

    /// From here on every protected record carries this.
    pub(super) fn use_id(&mut self, id: &ConnectionId) {
        for epoch in std::iter::once(&mut self.current).chain(&mut self.older) {
            if epoch.is_protected() {
                epoch.id = id.as_bytes().into();
            }
        }
    }

    /// All records that are protected may be so long, of version 1.3.
    pub(super) fn limit(&mut self, limits: AgreedLimits) {
        for epoch in std::iter::once(&mut self.current).chain(&mut self.older) {
            if let Writing::Protected(sealer) = &mut epoch.protection {
                sealer.limit_records(limits, false);
            }
        }
    }

    /// No record without protection has more contents than this from here on.
    pub(super) fn limit_unprotected(&mut self, most: u16) {
        for epoch in std::iter::once(&mut self.current).chain(&mut self.older) {
            if let Writing::Plaintext(_, max) = &mut epoch.protection {
                *max = (*max).min(most);
            }
        }
    }

    /// No record has more contents than this from here on, whatever its epoch (RFC 6066 §4).
    pub(super) fn limit_at_once(&mut self, most: u16) {
        for epoch in std::iter::once(&mut self.current).chain(&mut self.older) {
            match &mut epoch.protection {
                Writing::Protected(sealer) => sealer.limit_contents(most),
                Writing::Plaintext(_, max) => *max = (*max).min(most),
                Writing::Dormant(dormant) => {
                    dormant.max_contents = dormant.max_contents.min(most);
                }
            }
        }
    }

    /// Adds the next epoch, whose records carry `id` and are as long as was agreed, and makes it
    /// current.
    pub(super) fn install(
        &mut self,
        epoch: Epoch,
        protection: &RecordProtection,
        id: &ConnectionId,
        limits: AgreedLimits,
    ) {
        let mut sealer = Sealer::new(protection);
        sealer.limit_records(limits, !id.is_empty());
        let limit = sealer.limit().min(RecordNumber::LIMIT_48);
        let next = WriteEpoch {
            epoch,
            protection: Writing::Protected(Box::new(sealer)),
            id: id.as_bytes().into(),
            next_sequence: 0,
            limit,
        };
        let before = std::mem::replace(&mut self.current, next);
        let mut older = std::mem::take(&mut self.older).into_vec();
        older.push(before);
        self.older = older.into();
    }

    /// Drops every epoch but the current one and those that `needed` names.
    pub(in super::super) fn retain(&mut self, needed: impl Fn(Epoch) -> bool) {
        if let Some(plaintext) = self.find(Epoch::PLAINTEXT) {
            self.next_plaintext = plaintext.next_sequence;
        }
        let mut older = std::mem::take(&mut self.older).into_vec();
        older.retain(|known| needed(known.epoch));
        self.older = older.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::AeadAlgorithm;
    use crate::secrets::traffic::TrafficKeys;

    fn protection(aead: AeadAlgorithm) -> RecordProtection {
        RecordProtection::v12(TrafficKeys::new(aead, &vec![1; aead.key_len()], &[]))
    }

    /// B9: the last sequence number is used and never passed, whatever the key would allow.
    #[test]
    fn r9147_06_a_sequence_ends_instead_of_wrapping() {
        let mut epochs = WriteEpochs::plaintext(RecordNumber::LIMIT_48 - 1);
        let current = epochs.current();
        assert_eq!(
            current.next_number().unwrap().sequence,
            RecordNumber::LIMIT_48 - 1
        );
        assert_eq!(current.next_number(), None);

        epochs.install(
            Epoch::new(1),
            &protection(AeadAlgorithm::ChaCha20Poly1305),
            &ConnectionId::empty(),
            AgreedLimits::None,
        );
        let current = epochs.current();
        current.next_sequence = RecordNumber::LIMIT_48 - 1;
        assert!(current.next_number().is_some());
        assert_eq!(current.next_number(), None);
    }

    /// RFC 9147 §4.5.3: a CCM key protects 2^23 records, whatever its tag.
    #[cfg(feature = "ccm")]
    #[test]
    fn n57_05_a_ccm_key_ends_at_its_confidentiality_limit() {
        for aead in [AeadAlgorithm::Aes128Ccm, AeadAlgorithm::Aes128Ccm8] {
            let mut epochs = WriteEpochs::plaintext(0);
            epochs.install(
                Epoch::new(1),
                &protection(aead),
                &ConnectionId::empty(),
                AgreedLimits::None,
            );
            let current = epochs.current();
            current.next_sequence = (1 << 23) - 1;
            assert!(current.next_number().is_some());
            assert_eq!(current.next_number(), None);
        }
    }

    /// RFC 9325 §4.4: a GCM key protects 2^24.5 records.
    #[test]
    fn a_gcm_key_ends_at_its_confidentiality_limit() {
        let mut epochs = WriteEpochs::plaintext(0);
        epochs.install(
            Epoch::new(1),
            &protection(AeadAlgorithm::Aes128Gcm),
            &ConnectionId::empty(),
            AgreedLimits::None,
        );
        let current = epochs.current();
        current.next_sequence = 23_726_565;
        assert!(current.next_number().is_some());
        assert_eq!(current.next_number(), None);
    }

    #[test]
    fn a_write_epoch_lives_as_long_as_a_flight_needs_it() {
        let mut epochs = WriteEpochs::plaintext(0);
        epochs.install(
            Epoch::new(1),
            &protection(AeadAlgorithm::Aes128Gcm),
            &ConnectionId::empty(),
            AgreedLimits::None,
        );
        epochs.retain(|epoch| epoch == Epoch::PLAINTEXT);
        assert!(epochs.find(Epoch::PLAINTEXT).is_some());
        epochs.retain(|_| false);
        assert!(epochs.find(Epoch::PLAINTEXT).is_none());
        assert_eq!(epochs.current_epoch(), Epoch::new(1));
    }

    #[test]
    fn beginning_afresh_uses_no_number_twice() {
        for dropped in [false, true] {
            let mut epochs = WriteEpochs::plaintext(5);
            let used = epochs.current().next_number().unwrap();
            epochs.install(
                Epoch::new(1),
                &protection(AeadAlgorithm::Aes128Gcm),
                &ConnectionId::empty(),
                AgreedLimits::None,
            );
            epochs.retain(|epoch| !dropped && epoch == Epoch::PLAINTEXT);
            epochs.begin_afresh();
            let next = epochs.current().next_number().unwrap();
            assert_eq!((used.sequence, next.sequence), (5, 6));
        }
    }
}
