//! Which records of a flight are on their way (RFC 9147 §5.8.3, §7.2).
//!
//! ```text
//!  sealed ──► on its way ─┬─ named by an acknowledgement ───────► arrived: room for two more
//!                         ├─ one that left later is named ───────► lost
//!                         └─ the timer fires ────────────────────► lost
//! ```

use crate::protocol::{Epoch, RecordNumber};
use std::collections::VecDeque;
use std::ops::Range;

/// How many records are on their way at a time before the peer has said anything, and after a loss
/// (RFC 9147 §5.8.3).
pub(super) const MAX_BURST: usize = 10;

/// How many more there can be when acknowledgements come in: together 64, which one system call can
/// send and the receive buffer of a socket holds everywhere.
const MAX_GROWTH: usize = 54;

/// How many records of a flight are remembered. What an older one carried is sent again even if it
/// is acknowledged.
const MAX_SENT: usize = 256;

/// A part of a message: which one of its flight, and which bytes of it.
pub(super) type Part = (usize, Range<usize>);

/// A record that was sent.
pub(super) struct Sent {
    pub(super) number: RecordNumber,
    pub(super) parts: Vec<Part>,
    /// The peer has named neither this one nor any that left later.
    on_its_way: bool,
}

impl Sent {
    pub(super) const fn new(number: RecordNumber, parts: Vec<Part>) -> Self {
        Self {
            number,
            parts,
            on_its_way: true,
        }
    }
}

/// The records of one flight, in the order in which they left.
#[derive(Default)]
pub(super) struct SentRecords {
    records: VecDeque<Sent>,
    /// By how much more than a burst may be on its way.
    growth: usize,
}

impl SentRecords {
    /// Notes records that leave.
    pub(super) fn extend(&mut self, sent: Vec<Sent>) {
        self.records.extend(sent);
        let forgotten = self.records.len().saturating_sub(MAX_SENT);
        self.records.drain(..forgotten);
    }

    /// The parts of messages that are on their way.
    pub(super) fn on_their_way(&self) -> impl Iterator<Item = &Part> {
        let on_their_way = self.records.iter().filter(|it| it.on_its_way);
        on_their_way.flat_map(|it| &it.parts)
    }

    /// How many more records may leave.
    pub(super) fn room(&self) -> usize {
        let on_their_way = self.records.iter().filter(|it| it.on_its_way).count();
        (MAX_BURST + self.growth).saturating_sub(on_their_way)
    }

    /// Takes everything that was sent for lost.
    pub(super) fn lose_all(&mut self) {
        for sent in &mut self.records {
            sent.on_its_way = false;
        }
        self.growth = 0;
    }

    /// Everything of an epoch has arrived.
    pub(super) fn arrived_in(&mut self, epoch: Epoch) {
        for sent in &mut self.records {
            sent.on_its_way &= sent.number.epoch != epoch;
        }
    }

    /// Takes what the peer names; `arrived` is called with each part in it.
    pub(super) fn acknowledge(&mut self, numbers: &[RecordNumber], mut arrived: impl FnMut(&Part)) {
        let mut last = 0;
        for (place, sent) in self.records.iter_mut().enumerate() {
            if !numbers.contains(&sent.number) {
                continue;
            }
            last = place;
            sent.parts.iter().for_each(&mut arrived);
            if std::mem::replace(&mut sent.on_its_way, false) {
                self.growth = (self.growth + 1).min(MAX_GROWTH);
            }
        }
        for sent in self.records.iter_mut().take(last) {
            if std::mem::replace(&mut sent.on_its_way, false) {
                // The path, or the peer, does not take that much at a time.
                self.growth = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(sequence: u64) -> RecordNumber {
        let epoch = Epoch::HANDSHAKE_13;
        RecordNumber { epoch, sequence }
    }

    fn sent(numbers: Range<u64>) -> Vec<Sent> {
        let part = |it: u64| (0, it as usize..it as usize + 1);
        numbers
            .map(|it| Sent::new(number(it), vec![part(it)]))
            .collect()
    }

    /// RFC 9147 §5.8.3: more leaves when something has arrived, and after a loss no more than at
    /// the beginning.
    #[test]
    fn acknowledgements_make_room_and_losses_take_it_away() {
        let mut records = SentRecords::default();
        records.extend(sent(0..10));
        assert_eq!(records.room(), 0);
        records.acknowledge(&[number(0), number(1), number(2)], |_| {});
        assert_eq!(records.room(), 6);
        records.extend(sent(10..16));
        // Number 3 did not come, but number 4, which left later.
        records.acknowledge(&[number(4)], |_| {});
        assert_eq!(records.on_their_way().count(), 11);
        assert_eq!(records.room(), 0);
        records.lose_all();
        assert_eq!((records.on_their_way().count(), records.room()), (0, 10));
    }

    #[test]
    fn what_is_on_its_way_has_a_limit_however_much_arrives() {
        let mut records = SentRecords::default();
        for first in (0..1000).step_by(10) {
            records.extend(sent(first..first + 10));
            let numbers: Vec<_> = (first..first + 10).map(number).collect();
            records.acknowledge(&numbers, |_| {});
        }
        assert_eq!(records.room(), MAX_BURST + MAX_GROWTH);
        assert_eq!(records.records.len(), MAX_SENT);
    }
}
