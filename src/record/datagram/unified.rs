//! Opening protected records of version 1.3: which epoch, which number, which keys (RFC 9147 §4.2.2, §4.2.3).

use super::Datagram;
use super::epochs::{Protected, Reading};
use super::inbound::{NotOpened, Opened};
use crate::protocol::{ContentType, Epoch, Path, RecordNumber};
use crate::record::{Discard, protection};
use crate::wire::record_dtls13::{UnifiedHeader, reconstruct};
use crate::wire::record_tls::MAX_FRAGMENT_LEN_13;
use bytes::BytesMut;

impl Datagram {
    /// Opens a record in place.
    #[inline]
    pub(super) fn open_unified(
        &mut self,
        header: &UnifiedHeader,
        record: &mut BytesMut,
        path: Path,
    ) -> Result<Opened, NotOpened> {
        match self.read.newest_ending_in(header.epoch_bits) {
            Some((epoch, true)) => self.open_in(epoch, header, record),
            Some((_, false)) => self.open_by_trial(header, record),
            None => match self.preview_13(header, record) {
                Some(alert) => Ok(alert),
                None => Err(self.keep_early_13(header, record, path)),
            },
        }
    }

    /// Two epochs end in the same bits, one of them long over: each is tried, the older ones on what a failure has not
    /// destroyed.
    #[cold]
    fn open_by_trial(
        &mut self,
        header: &UnifiedHeader,
        record: &mut BytesMut,
    ) -> Result<Opened, NotOpened> {
        let mut first = None;
        for epoch in self.read.ending_in(header.epoch_bits) {
            let mut copy = BytesMut::from(&record[..]);
            match self.open_in(epoch, header, &mut copy) {
                Ok(opened) => {
                    *record = copy;
                    return Ok(opened);
                }
                // Most likely it is of the newest epoch, and what stood against it there is what counts.
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
        // RFC 8446 §5.2: whatever is in it, so it is not tried.
        if header.length > MAX_FRAGMENT_LEN_13 {
            return Err(Discard::OverlongRecord.into());
        }
        let Some(Reading::Protected(protected)) =
            self.read.find(epoch).map(|it| &mut it.protection)
        else {
            return Err(Discard::FutureEpoch.into());
        };
        let Protected { opener, window, .. } = protected.as_mut();
        let low = opener
            .unmask(header, record)
            .map_err(|_| Discard::Unauthenticated)?;
        let bits = if header.number_len == 1 { 8 } else { 16 };
        let sequence = reconstruct(window.next(), low, bits);
        // RFC 9147 §4.5.1: asked before, moved after authentication.
        if !window.admits(sequence) {
            return Err(Discard::Replay.into());
        }
        let (contents, content_type) = match opener.open_datagram_13(header, sequence, record) {
            Ok(opened) => opened,
            Err(protection::NotOpened::TooShort) => return Err(Discard::Unauthenticated.into()),
            Err(protection::NotOpened::NoContentType) => return Err(NotOpened::NoContentType),
            Err(protection::NotOpened::Overlong) => return Err(NotOpened::Overlong),
            Err(protection::NotOpened::Forged) => return Err(self.count_forgery(epoch)),
        };
        window.record(sequence);
        // Whoever has the keys has seen what was sent to it.
        self.unproven = None;
        Ok(Opened {
            number: RecordNumber { epoch, sequence },
            content_type,
            contents,
        })
    }

    /// A record without keys: those of the next epoch may be on their way.
    #[cold]
    fn keep_early_13(&mut self, header: &UnifiedHeader, record: &[u8], path: Path) -> NotOpened {
        let next = match self.read.newest() {
            Some(Epoch::PLAINTEXT) => Epoch::HANDSHAKE_13,
            Some(Epoch::HANDSHAKE_13) => Epoch::APPLICATION_13,
            // RFC 9147 §8: a key update is acknowledged before its keys are used.
            _ => return Discard::OldEpoch.into(),
        };
        if next.low_bits() == header.epoch_bits && self.early.keep(next, record, path) {
            NotOpened::Kept
        } else {
            Discard::FutureEpoch.into()
        }
    }

    /// Whether a record of this type can be under the keys of an epoch (RFC 9147 §4.1).
    pub(super) fn has_place_13(number: RecordNumber, content_type: ContentType) -> bool {
        match content_type {
            ContentType::ALERT | ContentType::HANDSHAKE | ContentType::ACK => true,
            ContentType::APPLICATION_DATA => number.epoch >= Epoch::APPLICATION_13,
            _ => false,
        }
    }
}
