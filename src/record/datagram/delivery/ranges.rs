//! The bytes of one message as they arrive: in any order, overlapping, in pieces of any size.

/// Received ranges of a message, sorted, disjoint and never adjacent, with their bytes.
#[derive(Default, Debug)]
pub(crate) struct Ranges {
    chunks: Vec<Chunk>,
    /// The sum of the chunks' lengths.
    bytes: usize,
}

#[derive(Debug)]
struct Chunk {
    start: usize,
    bytes: Vec<u8>,
}

impl Chunk {
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

/// Why a range was not added.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum NotAdded {
    /// It repeats bytes that are here already, but with other values.
    Conflict,
    /// It would leave more gaps than an honest order does.
    TooManyGaps,
}

/// How many chunks a message may be in at a time: enough for a hello in the worst order, and few
/// enough that a search through them costs nothing.
const MAX_CHUNKS: usize = 256;

/// What a chunk costs beside its bytes.
const CHUNK_OVERHEAD: usize = size_of::<Chunk>();

impl Ranges {
    /// How much memory the ranges take, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.bytes + self.chunks.len() * CHUNK_OVERHEAD
    }

    /// The most that adding `length` bytes can cost.
    pub(crate) const fn cost_of(length: usize) -> usize {
        length + CHUNK_OVERHEAD
    }

    /// Whether the ranges are one that covers everything up to `length`.
    pub(crate) fn covers(&self, length: usize) -> bool {
        match self.chunks.as_slice() {
            [] => length == 0,
            [chunk] => chunk.start == 0 && chunk.bytes.len() == length,
            _ => false,
        }
    }

    /// How many bytes there are from the beginning without a gap.
    pub(crate) fn contiguous(&self) -> usize {
        match self.chunks.first() {
            Some(chunk) if chunk.start == 0 => chunk.bytes.len(),
            _ => 0,
        }
    }

    /// The bytes, if the ranges are one.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.chunks
            .pop()
            .map(|chunk| chunk.bytes)
            .unwrap_or_default()
    }

    /// Adds `data` at `start`. Bytes that are here already stay as they are (RFC 9147 §5.5).
    ///
    /// # Errors
    ///
    /// [`NotAdded`]; everything is as it was.
    pub(crate) fn insert(&mut self, start: usize, data: &[u8]) -> Result<(), NotAdded> {
        let end = start + data.len();
        // The first chunk that touches or follows the new range, and the first that begins after
        // its end.
        let first = self.chunks.partition_point(|chunk| chunk.end() < start);
        let last = self.chunks.partition_point(|chunk| chunk.start <= end);
        if self.chunks[first..last]
            .iter()
            .any(|chunk| differs(chunk, start, data))
        {
            return Err(NotAdded::Conflict);
        }
        let Some(head) = self.chunks.get(first).filter(|_| first < last) else {
            if self.chunks.len() >= MAX_CHUNKS {
                return Err(NotAdded::TooManyGaps);
            }
            self.bytes += data.len();
            self.chunks.insert(
                first,
                Chunk {
                    start,
                    bytes: data.to_vec(),
                },
            );
            return Ok(());
        };
        // The usual case, pieces in order: the chunk before the new range grows.
        if last - first == 1 && head.start <= start {
            let have = head.end();
            if let Some(head) = self.chunks.get_mut(first).filter(|_| have < end) {
                self.bytes += end - have;
                head.bytes.extend_from_slice(&data[have - start..]);
            }
            return Ok(());
        }
        let merged_start = head.start.min(start);
        let merged_end = self.chunks[last - 1].end().max(end);
        let mut bytes = vec![0; merged_end - merged_start];
        bytes[start - merged_start..end - merged_start].copy_from_slice(data);
        self.bytes += bytes.len();
        for chunk in self.chunks.drain(first..last) {
            self.bytes -= chunk.bytes.len();
            let at = chunk.start - merged_start;
            bytes[at..at + chunk.bytes.len()].copy_from_slice(&chunk.bytes);
        }
        self.chunks.insert(
            first,
            Chunk {
                start: merged_start,
                bytes,
            },
        );
        Ok(())
    }
}

/// Whether `chunk` and `data` at `start` overlap with different bytes.
fn differs(chunk: &Chunk, start: usize, data: &[u8]) -> bool {
    let from = chunk.start.max(start);
    let to = chunk.end().min(start + data.len());
    from < to && chunk.bytes[from - chunk.start..to - chunk.start] != data[from - start..to - start]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A5, A19: any order, any overlap, any duplication gives back the message.
        #[test]
        fn any_covering_set_of_ranges_gives_back_the_message(
            message in proptest::collection::vec(any::<u8>(), 1..200),
            cuts in proptest::collection::vec(any::<[prop::sample::Index; 2]>(), 0..80),
        ) {
            let mut ranges = Ranges::default();
            for [a, b] in cuts {
                let (a, b) = (a.index(message.len()), b.index(message.len()));
                let (a, b) = (a.min(b), a.max(b) + 1);
                prop_assert_eq!(ranges.insert(a, &message[a..b]), Ok(()));
            }
            let chunks = &ranges.chunks;
            let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
            prop_assert_eq!(ranges.bytes, bytes);
            prop_assert!(chunks.windows(2).all(|pair| pair[0].end() < pair[1].start));
            ranges.insert(0, &message).unwrap();
            prop_assert!(ranges.covers(message.len()));
            prop_assert_eq!(ranges.into_bytes(), message);
        }
    }

    /// A11: the first copy of a byte wins, and a contradicting range adds nothing.
    #[test]
    fn a_range_that_contradicts_an_earlier_one_adds_nothing() {
        let mut ranges = Ranges::default();
        ranges.insert(2, b"cd").unwrap();
        assert_eq!(ranges.insert(0, b"abX"), Err(NotAdded::Conflict));
        assert_eq!(ranges.insert(3, b"de"), Ok(()));
        assert_eq!(ranges.insert(0, b"ab"), Ok(()));
        assert!(ranges.covers(5));
        assert_eq!(ranges.into_bytes(), b"abcde");
    }

    /// C13: pieces with gaps between them cost time as well as memory, so there are only so many.
    #[test]
    fn gaps_without_end_are_refused() {
        let mut ranges = Ranges::default();
        for chunk in 0..MAX_CHUNKS {
            assert_eq!(ranges.insert(2 * chunk, b"x"), Ok(()));
        }
        assert_eq!(
            ranges.insert(2 * MAX_CHUNKS, b"x"),
            Err(NotAdded::TooManyGaps)
        );
        assert_eq!(ranges.insert(1, b"x"), Ok(()));
        assert_eq!(ranges.insert(2 * MAX_CHUNKS, b"x"), Ok(()));
    }

    #[test]
    fn an_empty_message_is_covered_by_nothing() {
        assert!(Ranges::default().covers(0));
        assert!(!Ranges::default().covers(1));
    }
}
