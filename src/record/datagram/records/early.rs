//! Records of the next epoch that overtook the messages which bring its keys (RFC 6347 §4.1,
//! RFC 9147 §4.2.1).

use crate::protocol::{Epoch, Path};
use bytes::BytesMut;
use std::collections::VecDeque;

/// How many records are kept. A flight that overtakes another has fewer.
const MAX_RECORDS: usize = 8;

/// How many bytes they may have together: eight datagrams of an Ethernet.
const MAX_BYTES: usize = MAX_RECORDS * 1500;

/// A whole record, in memory of its own so that it pins no datagram.
pub(super) struct EarlyRecord {
    /// The epoch that it belongs to, as its header has it.
    epoch: Epoch,
    pub(super) bytes: BytesMut,
    pub(super) path: Path,
}

/// An epoch whose keys are being agreed on, with the records of it that wait. Nothing in them has
/// authenticated, so they are few and small (B1).
pub(super) struct EarlyRecords {
    pub(super) awaited: Epoch,
    records: VecDeque<EarlyRecord>,
}

impl EarlyRecords {
    /// Nothing waits for this epoch.
    pub(super) const fn of(awaited: Epoch) -> Self {
        Self {
            awaited,
            records: VecDeque::new(),
        }
    }

    /// Keeps a copy; `false` if there is no room.
    pub(super) fn keep(&mut self, epoch: Epoch, bytes: &[u8], path: Path) -> bool {
        if self.records.len() >= MAX_RECORDS || self.cost() + bytes.len() > MAX_BYTES {
            return false;
        }
        self.records.push_back(EarlyRecord {
            epoch,
            bytes: BytesMut::from(bytes),
            path,
        });
        true
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// How much memory the records take, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len()).sum()
    }

    /// Takes the first record of `epoch`, whose keys are here now.
    pub(super) fn take(&mut self, epoch: Epoch) -> Option<EarlyRecord> {
        let place = self.records.iter().position(|it| it.epoch == epoch)?;
        self.records.remove(place)
    }

    /// Takes the record that has waited longest.
    pub(super) fn take_first(&mut self) -> Option<EarlyRecord> {
        self.records.pop_front()
    }

    /// Drops everything but the records of `epoch`; whether there are any.
    pub(super) fn keep_only(&mut self, epoch: Epoch) -> bool {
        self.records.retain(|record| record.epoch == epoch);
        !self.records.is_empty()
    }
}
