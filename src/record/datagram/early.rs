//! Records of the next epoch that overtook the messages which bring its keys (RFC 6347 §4.1, RFC 9147 §4.2.1).

use crate::protocol::{Epoch, Path};
use bytes::BytesMut;
use std::collections::VecDeque;

/// How many records are kept. A flight that overtakes another has fewer.
pub(super) const MAX_RECORDS: usize = 8;

/// How many bytes they may have together: eight datagrams of an Ethernet.
const MAX_BYTES: usize = MAX_RECORDS * 1500;

/// A whole record, in memory of its own so that it pins no datagram.
pub(super) struct EarlyRecord {
    /// The epoch that it belongs to, as its header has it.
    pub(super) epoch: Epoch,
    pub(super) bytes: BytesMut,
    pub(super) path: Path,
}

/// The records that wait. Nothing in them has authenticated, so they are few and small (B1).
#[derive(Default)]
pub(super) struct EarlyRecords {
    records: VecDeque<EarlyRecord>,
}

impl EarlyRecords {
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

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How much memory the records take, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len()).sum()
    }

    /// Takes the first record of `epoch`, whose keys are here now.
    pub(super) fn take(&mut self, epoch: Epoch) -> Option<EarlyRecord> {
        let place = self.records.iter().position(|it| it.epoch == epoch)?;
        let record = self.records.remove(place);
        if self.records.is_empty() {
            self.clear();
        }
        record
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Takes the record that has waited longest.
    pub(super) fn take_first(&mut self) -> Option<EarlyRecord> {
        self.records.pop_front()
    }

    /// Drops everything but the records of `epoch`.
    pub(super) fn keep_only(&mut self, epoch: Epoch) {
        self.records.retain(|record| record.epoch == epoch);
        if self.records.is_empty() {
            self.clear();
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.records = VecDeque::new();
    }
}
