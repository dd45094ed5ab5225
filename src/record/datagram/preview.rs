//! The keys of an epoch whose time has not come, for the one thing that cannot wait: a fatal alert.
//!
//! A peer that has switched its keys and then gives up says so under the new ones, while this end may still miss a message
//! that comes before the switch, and that nobody repeats any more. Everything else in that epoch waits for its time.

use super::Datagram;
use super::inbound::Opened;
use crate::protocol::{ContentType, Epoch, RecordNumber};
use crate::record::protection::Opener;
use crate::record::read_alert;
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use crate::wire::record_dtls13::{UnifiedHeader, reconstruct};
use bytes::BytesMut;

/// Keys under which only fatal alerts are read.
pub(super) struct Preview {
    epoch: Epoch,
    protection: RecordProtection,
    /// Made when the first record comes that may be one: hardly ever.
    opener: Option<Opener>,
    /// How many records that have waited for their keys were not looked at with these.
    unseen: usize,
}

impl Preview {
    pub(super) fn new(epoch: Epoch, protection: RecordProtection, waiting: usize) -> Box<Self> {
        Box::new(Self {
            epoch,
            protection,
            opener: None,
            unseen: waiting,
        })
    }

    fn opener(&mut self) -> &Opener {
        self.opener
            .get_or_insert_with(|| Opener::new(&self.protection))
    }

    /// Whether a record that waits is still to be looked at. Each counts once.
    pub(super) const fn looks_at_another(&mut self) -> bool {
        let more = self.unseen > 0;
        self.unseen = self.unseen.saturating_sub(1);
        more
    }
}

impl Datagram {
    /// A record of version 1.2 whose epoch cannot be read yet, if it is a fatal alert.
    #[cold]
    pub(super) fn preview_12(
        &mut self,
        header: &RecordHeader,
        record: &mut BytesMut,
    ) -> Option<Opened> {
        let preview = self.preview.as_mut()?;
        if preview.epoch != header.number.epoch || header.content_type != ContentType::ALERT {
            return None;
        }
        let mut copy = BytesMut::from(&record[..]);
        let contents = copy.get_mut(HEADER_LEN..)?;
        let range = preview.opener().open_12(header, contents).ok()?;
        let (_, fatal) = read_alert(contents.get(range.clone())?, false).ok()?;
        let contents = HEADER_LEN + range.start..HEADER_LEN + range.end;
        fatal.then(|| {
            *record = copy;
            Opened {
                number: header.number,
                content_type: header.content_type,
                contents,
            }
        })
    }

    /// A record of version 1.3 whose epoch cannot be read yet, if it is a fatal alert.
    #[cold]
    pub(super) fn preview_13(
        &mut self,
        header: &UnifiedHeader,
        record: &mut BytesMut,
    ) -> Option<Opened> {
        let preview = self.preview.as_mut()?;
        let epoch = preview.epoch;
        if epoch.low_bits() != header.epoch_bits {
            return None;
        }
        let opener = preview.opener();
        let mut copy = BytesMut::from(&record[..]);
        let low = opener.unmask(header, &mut copy).ok()?;
        let bits = if header.number_len == 1 { 8 } else { 16 };
        // Nothing of this epoch was read, so its numbers are still small.
        let sequence = reconstruct(0, low, bits);
        let opened = opener.open_datagram_13(header, sequence, &mut copy);
        let (contents, content_type) = opened.ok()?;
        if content_type != ContentType::ALERT {
            return None;
        }
        let (_, fatal) = read_alert(copy.get(contents.clone())?, true).ok()?;
        fatal.then(|| {
            *record = copy;
            Opened {
                number: RecordNumber { epoch, sequence },
                content_type,
                contents,
            }
        })
    }
}
