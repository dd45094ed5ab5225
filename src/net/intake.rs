//! Memory for what a stream delivers: records are opened in place.

use bytes::BytesMut;
use std::io::{self, Read};

/// Bytes that were received and not taken yet, with room for more after them.
///
/// ```text
///   one allocation:  | handed up, as slices │ filled │ free, zeroed |
/// ```
///
/// The two handles are adjacent, so that a record that came in pieces is contiguous without being
/// copied. When the room is used up and nothing that was handed up is still alive, the allocation
/// is used again.
pub(super) struct Intake {
    filled: BytesMut,
    free: BytesMut,
    size: usize,
    /// The room ended in the middle of what the peer sent at once.
    cut: bool,
}

/// How much an idle connection holds. Handshakes and short messages fit.
const MIN_SIZE: usize = 4 << 10;

/// The most that is read at once, and the size of an allocation: four records that are full of
/// data, with what surrounds it, so that 64 KiB that were sent at once are received by one call.
const MAX_SIZE: usize = 68 << 10;

/// What one call has received.
pub(super) struct Arrived {
    /// The number of bytes; 0 is the end of the stream.
    pub(super) length: usize,
    /// Whether the socket had no more than that at the moment.
    pub(super) is_all: bool,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            filled: BytesMut::new(),
            free: BytesMut::new(),
            size: MIN_SIZE,
            cut: false,
        }
    }

    /// What was received. The caller takes complete records from it and leaves the rest.
    pub(super) const fn filled(&mut self) -> &mut BytesMut {
        &mut self.filled
    }

    /// The size of the allocation that the next read will need, if something that was handed up is
    /// still alive; `None` if there is room.
    pub(super) fn runs_out(&self) -> Option<usize> {
        (self.free.len() < self.size / 4).then_some(self.size)
    }

    /// Begins at the front again if the room has lately been too small: what a peer sends at once
    /// would otherwise be cut at the same place each time. Call it when nothing that was handed up
    /// is alive.
    pub(super) fn start_over(&mut self) {
        if self.cut && self.filled.is_empty() {
            self.make_room();
        }
    }

    /// Reads once, as much as there is room for.
    ///
    /// # Errors
    ///
    /// As `source.read`.
    pub(super) fn read_from(&mut self, source: &mut impl Read) -> io::Result<Arrived> {
        if self.free.len() < self.size / 4 {
            self.make_room();
        }
        let length = source.read(&mut self.free)?;
        let is_all = length < self.free.len();
        if !is_all {
            // More is waiting than expected: the peer sends in bulk.
            self.size = (4 * self.size).min(MAX_SIZE);
            self.cut = true;
        }
        let received = self.free.split_to(length);
        self.filled.unsplit(received);
        Ok(Arrived { length, is_all })
    }

    fn make_room(&mut self) {
        let kept = self.filled.len();
        self.cut &= kept > 0;
        // While there is a single handle, the allocation is moved or replaced together with its
        // contents.
        self.filled.unsplit(std::mem::take(&mut self.free));
        self.filled.truncate(kept);
        let length = self.size.max(kept + MIN_SIZE);
        if !self.filled.try_reclaim(length - kept) {
            // Not by `reserve`, which makes more room than was asked for.
            let filled = std::mem::replace(&mut self.filled, BytesMut::with_capacity(length));
            self.filled.extend_from_slice(&filled);
        }
        self.filled.resize(length, 0);
        self.free = self.filled.split_off(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `total` bytes in calls of at most `piece`, takes them in records of `record` bytes,
    /// and keeps none of them.
    fn pass(intake: &mut Intake, total: usize, piece: usize, record: usize) {
        let bytes: Vec<u8> = (0..total).map(|i| (i / 3) as u8).collect();
        let mut left = &bytes[..];
        let mut taken = Vec::new();
        while !left.is_empty() {
            let mut source = &left[..left.len().min(piece)];
            let Arrived { length, .. } = intake.read_from(&mut source).unwrap();
            left = &left[length..];
            while intake.filled().len() >= record {
                taken.extend_from_slice(&intake.filled().split_to(record));
            }
        }
        assert_eq!(taken, bytes[..total - total % record]);
        intake.filled().clear();
    }

    #[test]
    fn bytes_come_out_as_they_went_in_however_they_are_cut() {
        for (piece, record) in [(1, 7), (1000, 999), (20_000, 16_413), (usize::MAX, 5)] {
            pass(&mut Intake::new(), 200_000, piece, record);
        }
    }

    #[test]
    fn memory_is_used_again_when_nothing_that_lies_in_it_is_alive() {
        let mut intake = Intake::new();
        pass(&mut intake, 1 << 20, usize::MAX, 16_413);
        assert_eq!(intake.size, MAX_SIZE);
        intake.make_room();
        let place = intake.free.as_ptr();
        for _ in 0..10 {
            pass(&mut intake, 1 << 18, usize::MAX, 16_413);
            intake.make_room();
            assert_eq!(intake.free.as_ptr(), place);
        }
        intake.read_from(&mut &[7; 100][..]).unwrap();
        let alive = intake.filled().split();
        intake.make_room();
        assert_ne!(intake.free.as_ptr(), place);
        assert_eq!(alive[..], [7; 100]);
    }

    /// A burst that fits is read by one call, wherever the one before has ended.
    #[test]
    fn bursts_are_not_cut_time_and_again() {
        let burst = vec![7; 4 * 16_413];
        let mut intake = Intake::new();
        let mut calls = 0;
        for i in 0..20 {
            let mut source = &burst[..];
            while !source.is_empty() {
                intake.start_over();
                intake.read_from(&mut source).unwrap();
                calls += usize::from(i >= 10);
                while intake.filled().len() >= 16_413 {
                    let _taken = intake.filled().split_to(16_413);
                }
            }
        }
        assert_eq!(calls, 10);
    }

    #[test]
    fn a_connection_with_short_messages_stays_small() {
        let mut intake = Intake::new();
        for _ in 0..1000 {
            pass(&mut intake, 300, usize::MAX, 300);
        }
        assert_eq!(intake.size, MIN_SIZE);
        assert!(intake.free.len() <= MIN_SIZE);
    }
}
