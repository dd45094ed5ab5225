//! Sealed datagrams that wait for the caller.

use std::collections::VecDeque;

/// The most datagrams in one batch: Linux cuts at most 64 segments from one send (UDP_SEGMENT).
const MAX_SEGMENTS: usize = 64;

/// The most bytes in one batch: what one send can carry over IPv4.
const MAX_BATCH: usize = 65_507;

/// Datagrams in the order in which they were sealed, gathered into batches that one system call can send.
#[derive(Default)]
pub(super) struct Outgoing {
    batches: VecDeque<Batch>,
    /// An empty buffer that keeps its allocation.
    spare: Vec<u8>,
    queued: usize,
}

/// Datagrams of one size, but for the last, which may be shorter.
struct Batch {
    bytes: Vec<u8>,
    segment: usize,
    count: usize,
}

impl Batch {
    fn admits(&self, length: usize) -> bool {
        self.count < MAX_SEGMENTS
            && length <= self.segment
            && self.bytes.len() == self.count * self.segment
            && self.bytes.len() + length <= MAX_BATCH
    }
}

/// What was handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    /// How many bytes were appended to the caller's buffer.
    pub(super) len: usize,
    /// The size of each datagram but the last, if there are several.
    pub(super) segment_size: Option<usize>,
}

impl Outgoing {
    /// The buffer to whose end exactly `length` bytes, one datagram, are about to be appended.
    #[inline]
    pub(super) fn begin(&mut self, length: usize) -> &mut Vec<u8> {
        self.queued += length;
        if !self
            .batches
            .back()
            .is_some_and(|batch| batch.admits(length))
        {
            let bytes = std::mem::take(&mut self.spare);
            self.batches.push_back(Batch {
                bytes,
                segment: length,
                count: 0,
            });
        }
        let last = self.batches.len() - 1;
        let batch = &mut self.batches[last];
        batch.count += 1;
        &mut batch.bytes
    }

    /// How many bytes wait.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Appends the first batch to `out`, at most `max_datagrams` (at least one) of it. An empty `out` is swapped
    /// for the batch, so nothing is copied; its allocation is used for the next one.
    pub(super) fn take(&mut self, max_datagrams: usize, out: &mut Vec<u8>) -> Option<Taken> {
        let batch = self.batches.front_mut()?;
        let max = max_datagrams.max(1);
        let (len, count, segment) = if batch.count <= max {
            (batch.bytes.len(), batch.count, batch.segment)
        } else {
            (max * batch.segment, max, batch.segment)
        };
        if count < batch.count {
            out.extend_from_slice(&batch.bytes[..len]);
            batch.bytes.drain(..len);
            batch.count -= count;
        } else if let Some(mut batch) = self.batches.pop_front() {
            if out.is_empty() {
                std::mem::swap(out, &mut batch.bytes);
            } else {
                out.extend_from_slice(&batch.bytes);
            }
            if self.spare.capacity() == 0 {
                self.spare = batch.bytes;
                self.spare.clear();
            }
        }
        self.queued -= len;
        Some(Taken {
            len,
            segment_size: (count > 1).then_some(segment),
        })
    }

    /// Drops the datagrams that are longer than `limit` bytes.
    pub(super) fn drop_larger(&mut self, limit: usize) {
        let queued = &mut self.queued;
        self.batches.retain_mut(|batch| {
            if batch.segment <= limit {
                return true;
            }
            let before = batch.bytes.len();
            // Only the last may be shorter than the others.
            let full = (batch.count - 1) * batch.segment;
            batch.bytes.drain(..full);
            batch.count = 1;
            batch.segment = batch.bytes.len();
            let fits = batch.segment <= limit;
            *queued -= if fits { full } else { before };
            fits
        });
    }

    /// Gives back allocations that an idle association does not need.
    pub(super) fn release(&mut self) {
        if self.batches.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outgoing: &mut Outgoing, datagram: &[u8]) {
        outgoing.begin(datagram.len()).extend_from_slice(datagram);
    }

    #[test]
    fn equal_datagrams_leave_as_one_batch_that_a_shorter_one_ends() {
        let mut outgoing = Outgoing::default();
        for datagram in [&b"aaa"[..], b"bbb", b"c", b"ddd"] {
            push(&mut outgoing, datagram);
        }
        let mut out = Vec::new();
        assert_eq!(
            outgoing.take(64, &mut out),
            Some(Taken {
                len: 7,
                segment_size: Some(3)
            })
        );
        assert_eq!(out, b"aaabbbc");
        out.clear();
        assert_eq!(
            outgoing.take(64, &mut out),
            Some(Taken {
                len: 3,
                segment_size: None
            })
        );
        assert_eq!((out.as_slice(), outgoing.queued()), (&b"ddd"[..], 0));
        assert_eq!(outgoing.take(64, &mut out), None);
    }

    #[test]
    fn a_caller_that_wants_one_datagram_gets_one() {
        let mut outgoing = Outgoing::default();
        for datagram in [b"aa", b"bb", b"cc"] {
            push(&mut outgoing, datagram);
        }
        for expected in [b"aa", b"bb", b"cc"] {
            let mut out = Vec::new();
            assert_eq!(
                outgoing.take(1, &mut out),
                Some(Taken {
                    len: 2,
                    segment_size: None
                })
            );
            assert_eq!(out, expected);
        }
        assert!(outgoing.is_empty());
    }

    #[test]
    fn datagrams_that_have_become_too_large_are_dropped_and_no_others() {
        let mut outgoing = Outgoing::default();
        for datagram in [&b"aaaa"[..], b"bbbb", b"c", b"dddd", b"eee", b"ff"] {
            push(&mut outgoing, datagram);
        }
        outgoing.drop_larger(3);
        assert_eq!(outgoing.queued(), 6);
        let mut out = Vec::new();
        while outgoing.take(1, &mut out).is_some() {}
        assert_eq!(out, b"ceeeff");
        assert_eq!(outgoing.queued(), 0);
    }

    #[test]
    fn a_batch_ends_at_sixty_four_datagrams() {
        let mut outgoing = Outgoing::default();
        for _ in 0..MAX_SEGMENTS + 1 {
            push(&mut outgoing, b"x");
        }
        let mut out = Vec::new();
        assert_eq!(outgoing.take(100, &mut out).unwrap().len, MAX_SEGMENTS);
        assert_eq!(outgoing.take(100, &mut out).unwrap().len, 1);
    }
}
