//! Opening protected records of version 1.3: which epoch, which number, which keys (RFC 9147
//! §4.2.2, §4.2.3).

use super::Records;
use super::epochs::{Protected, Reading};
use super::opening::{NotOpened, Opened};
use crate::protocol::{ContentType, Epoch, RecordNumber};
use crate::record::{Discard, Fault};
use crate::wire::record_dtls13::{UnifiedHeader, reconstruct};
use crate::wire::record_tls::MAX_FRAGMENT_LEN_13;

impl Records {
    /// Opens a record with a unified header in place.
    #[inline]
    pub(super) fn open_unified(
        &mut self,
        header: UnifiedHeader,
        record: &mut [u8],
    ) -> Result<Opened, NotOpened> {
        match self.read.newest_ending_in(header.epoch_bits) {
            Some((epoch, true)) => self.open_in(epoch, &header, record),
            Some((_, false)) => self.open_by_trial(header, record),
            None => Err(NotOpened::NoKeys),
        }
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
        let opened = match self.read.find(epoch).map(|it| &mut it.protection) {
            Some(Reading::Protected(protected)) => protected.open_unified(epoch, header, record),
            Some(dormant @ Reading::Dormant(_)) => {
                dormant.open_dormant(|it| it.open_unified(epoch, header, record))
            }
            _ => return Err(NotOpened::NoKeys),
        };
        match opened {
            Err(NotOpened::Discard(Discard::Unauthenticated)) => Err(self.weigh_forgeries(epoch)),
            outcome => outcome,
        }
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
        check_place(epoch, content_type)?;
        Ok(Opened {
            number: RecordNumber { epoch, sequence },
            content_type,
            contents,
        })
    }
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
        ContentType::ALERT | ContentType::HANDSHAKE | ContentType::ACK => Ok(()),
        ContentType::APPLICATION_DATA => Err(Fault::UnexpectedData),
        ContentType::CHANGE_CIPHER_SPEC => Err(Fault::UnexpectedChangeCipherSpec),
        _ => Err(Fault::UnknownContentType),
    }
}
