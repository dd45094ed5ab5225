//! Opening protected records of version 1.3: which epoch, which number, which keys (RFC 9147
//! §4.2.2, §4.2.3).

use super::Records;
use super::epochs::Protected;
use super::opening::{NotOpened, Opened};
use crate::protocol::{ContentType, Epoch, RecordNumber};
use crate::record::{Discard, Fault};
use crate::wire::record_dtls13::{CONNECTION_ID_AT, UnifiedHeader, reconstruct};
use crate::wire::record_tls::MAX_FRAGMENT_LEN_13;

impl Records {
    /// Opens a record with a unified header in place.
    #[inline]
    pub(super) fn open_unified(
        &mut self,
        header: UnifiedHeader,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        if header.id_len == 0 && self.expects_id(Epoch::HANDSHAKE_13) {
            // RFC 9147 §4: once it is agreed on, it is in all records.
            return Err(Discard::MissingConnectionId.into());
        }
        let opened = match self.read.newest_ending_in(header.epoch_bits) {
            Some((epoch, true)) => self.open_in(epoch, &header, record),
            Some((_, false)) => self.open_by_trial(header, record),
            None => Err(NotOpened::NoKeys),
        };
        if header.id_len > 0
            && let Ok(opened) = &opened
        {
            let id = record.get(CONNECTION_ID_AT..CONNECTION_ID_AT + header.id_len);
            self.heard_id(opened.number, id.unwrap_or_default());
        }
        opened
    }

    /// Two epochs end in the same bits, one of them long over: each is tried, the older ones on
    /// what a failure has not destroyed.
    #[cold]
    fn open_by_trial(
        &mut self,
        header: UnifiedHeader,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        let mut first = None;
        for epoch in self.read.ending_in(header.epoch_bits) {
            let mut copy = record.to_vec();
            match self.open_in(epoch, &header, &mut copy) {
                Ok(opened) => {
                    record.copy_from_slice(&copy);
                    return Ok(opened);
                }
                // Most likely it is of the newest epoch, and what stood against it there is what
                // counts.
                Err(NotOpened::Discard(why)) => first = first.or(Some(why)),
                Err(fault) => return Err(fault),
            }
        }
        Err(first.unwrap_or(Discard::Unauthenticated).into())
    }

    #[inline]
    fn open_in(
        &mut self,
        epoch: Epoch,
        header: &UnifiedHeader,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        self.open_with(epoch, record, |protected, record| {
            protected.open_unified(epoch, header, record)
        })
    }
}

impl Protected {
    /// Opens a record with a unified header in place.
    #[inline]
    pub(super) fn open_unified(
        &mut self,
        epoch: Epoch,
        header: &UnifiedHeader,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        // RFC 8446 §5.2: whatever is in it, so it is not tried.
        if header.length > MAX_FRAGMENT_LEN_13 {
            return Err(Discard::OverlongRecord.into());
        }
        let unmasked = self.opener.unmask(header, record);
        let low = unmasked.map_err(|_| Discard::Unauthenticated)?;
        let bits = if header.number_len == 1 { 8 } else { 16 };
        let sequence = reconstruct(self.window.next(), low, bits);
        if self.misses < GAP {
            self.open_as(epoch, header, sequence, record)
        } else {
            self.open_behind_gap(epoch, header, (sequence, bits), record)
        }
    }

    /// Opens a record as one with this number.
    #[inline]
    fn open_as(
        &mut self,
        epoch: Epoch,
        header: &UnifiedHeader,
        sequence: u64,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        // One that opens begins the count again.
        self.misses = self.misses.checked_add(1).unwrap_or(GAP);
        // RFC 9147 §4.5.1: asked before, moved after authentication.
        if !self.window.admits(sequence) {
            return Err(Discard::Replay.into());
        }
        let opened = self.opener.open_datagram_13(header, sequence, record);
        let (contents, content_type) = match opened {
            Ok(opened) => opened,
            Err(why) => return Err(self.not_opened(why)),
        };
        self.window.record(sequence);
        self.misses = 0;
        check_place(epoch, content_type)?;
        Ok(Opened {
            number: RecordNumber { epoch, sequence },
            content_type,
            contents,
            id_len: u8::try_from(header.id_len).unwrap_or(u8::MAX),
        })
    }

    /// Opens a record after many that did not open. They may be noise, so the nearest number is
    /// tried first, as always, and noise costs no honest record. But they may also be what comes
    /// after a gap of more numbers than the header can tell apart: then the nearest number of each
    /// is wrong, and without a look further ahead the association would never hear its peer again.
    #[cold]
    fn open_behind_gap(
        &mut self,
        epoch: Epoch,
        header: &UnifiedHeader,
        (sequence, bits): (u64, u32),
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        let turn = self.misses - GAP;
        let further = spans_ahead(turn / TRIAL_EVERY) << bits;
        let beyond = sequence.saturating_add(further);
        if !turn.is_multiple_of(TRIAL_EVERY) || beyond > RecordNumber::LIMIT_48 {
            return self.open_as(epoch, header, sequence, record);
        }
        // A failure destroys what it was tried on.
        let copy = record.to_vec();
        match self.open_as(epoch, header, sequence, record) {
            Err(NotOpened::Discard(_)) => {}
            outcome => return outcome,
        }
        let misses = self.misses;
        record.copy_from_slice(&copy);
        let outcome = self.open_as(epoch, header, beyond, record);
        // It was one record.
        self.misses = self.misses.min(misses);
        outcome
    }
}

/// After how many records in a row that do not open one may be far ahead of the last that did.
/// Fewer are usual behind a short outage, or where a few are repeated.
const GAP: u32 = 64;

/// Which of the records behind that many is tried with a number further ahead: noise costs a
/// quarter more than before.
const TRIAL_EVERY: u32 = 4;

/// How many spans of numbers that a header tells apart are looked ahead at first: half a million
/// records, an outage of more than a second at the rate of a fast core.
const NEAR: u64 = 8;

/// How many such spans the `turn`th trial looks ahead: from 1 to 8, then from 1 to 16, and so on,
/// each time twice as far. So no outage is too long, and what noise has spoilt comes again.
fn spans_ahead(turn: u32) -> u64 {
    let turn = u64::from(turn) + NEAR;
    turn - (1 << turn.ilog2()) + 1
}

/// Whether a record of this type can be under the keys of an epoch (RFC 9147 §4.1). RFC 8446 §5:
/// that it is there is the peer's own fault, as nobody else has the keys.
#[inline]
fn check_place(epoch: Epoch, content_type: ContentType) -> Result<(), Fault> {
    match content_type {
        ContentType::APPLICATION_DATA if epoch >= Epoch::APPLICATION_13 => Ok(()),
        other => check_place_of_other(other),
    }
}

fn check_place_of_other(content_type: ContentType) -> Result<(), Fault> {
    match content_type {
        ContentType::ALERT
        | ContentType::HANDSHAKE
        | ContentType::ACK
        | ContentType::RETURN_ROUTABILITY_CHECK => Ok(()),
        ContentType::APPLICATION_DATA => Err(Fault::UnexpectedData),
        ContentType::CHANGE_CIPHER_SPEC => Err(Fault::UnexpectedChangeCipherSpec),
        _ => Err(Fault::UnknownContentType),
    }
}
