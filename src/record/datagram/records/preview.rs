//! The keys of an epoch whose time has not come, for the one thing that cannot wait: a fatal alert.
//!
//! A peer that gives up after it has switched its keys says so under the new ones, while this end
//! may still miss a message from before the switch, which nobody repeats any more. Everything else
//! in that epoch waits for its time.

use super::Records;
use super::epochs::Protected;
use super::opening::Opened;
use crate::protocol::{ContentType, Epoch};
use crate::record::read_alert;
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_datagram::DatagramHeader;

/// Keys under which only fatal alerts are read.
pub(super) struct Preview {
    epoch: Epoch,
    protection: RecordProtection,
    /// Made when the first record comes that may be one, which is rare.
    keys: Option<Protected>,
    /// How many of the records that wait for their keys have not been tried with these.
    unseen: usize,
}

impl Preview {
    pub(super) fn new(epoch: Epoch, protection: RecordProtection, waiting: usize) -> Box<Self> {
        Box::new(Self {
            epoch,
            protection,
            keys: None,
            unseen: waiting,
        })
    }

    fn open(&mut self, header: &DatagramHeader, record: &mut [u8]) -> Option<Opened> {
        let may_be_alert = match header {
            DatagramHeader::Full(it) => {
                it.number.epoch == self.epoch && it.content_type == ContentType::ALERT
            }
            // What it is stands inside.
            DatagramHeader::Identified(it, _) => it.number.epoch == self.epoch,
            DatagramHeader::Unified(it) => it.epoch_bits == self.epoch.low_bits(),
        };
        if !may_be_alert {
            return None;
        }
        let new = || Protected::new(&self.protection);
        let keys = self.keys.get_or_insert_with(new);
        let opened = match header {
            DatagramHeader::Full(it) => keys.open_full(it, record),
            DatagramHeader::Identified(it, length) => keys.open_identified(it, *length, record),
            DatagramHeader::Unified(it) => keys.open_unified(self.epoch, it, record),
        };
        opened
            .ok()
            .filter(|it| it.content_type == ContentType::ALERT)
    }

    /// Whether another record that waits is to be tried. Each is tried once.
    pub(super) const fn looks_at_another(&mut self) -> bool {
        let more = self.unseen > 0;
        self.unseen = self.unseen.saturating_sub(1);
        more
    }
}

impl Records {
    /// A record whose epoch cannot be read yet, if it is a fatal alert.
    pub(super) fn preview(&mut self, header: &DatagramHeader, record: &mut [u8]) -> Option<Opened> {
        let preview = self.preview.as_mut()?;
        let mut copy = record.to_vec();
        let opened = preview.open(header, &mut copy)?;
        let is_unified = matches!(header, DatagramHeader::Unified(_));
        let alert = copy.get(opened.contents.clone())?;
        let (_, fatal) = read_alert(alert, is_unified).ok()?;
        fatal.then(|| {
            record.copy_from_slice(&copy);
            opened
        })
    }
}
