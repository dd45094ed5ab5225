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
}

/// How much an idle connection holds. Handshakes and short messages fit.
const MIN_SIZE: usize = 4 << 10;

/// The most that is read at once, and the size of an allocation: three records of the largest size.
const MAX_SIZE: usize = 1 << 16;

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            filled: BytesMut::new(),
            free: BytesMut::new(),
            size: MIN_SIZE,
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

    /// Reads once, as much as there is room for. Returns the number of bytes; 0 is the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// As `source.read`.
    pub(super) fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        if self.free.len() < self.size / 4 {
            self.make_room();
        }
        let length = source.read(&mut self.free)?;
        if length == self.free.len() {
            // More is waiting than expected: the peer sends in bulk.
            self.size = (4 * self.size).min(MAX_SIZE);
        }
        let received = self.free.split_to(length);
        self.filled.unsplit(received);
        Ok(length)
    }

    fn make_room(&mut self) {
        let kept = self.filled.len();
        // While there is a single handle, the allocation is moved or replaced together with its
        // contents.
        self.filled.unsplit(std::mem::take(&mut self.free));
        self.filled.truncate(kept);
        let length = self.size.max(kept + MIN_SIZE);
        self.filled.reserve(length - kept);
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
            let length = intake.read_from(&mut source).unwrap();
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
