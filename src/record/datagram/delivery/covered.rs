//! Which bytes of a message the peer has (RFC 9147 §7.2).

use std::ops::Range;

/// Ranges, sorted, disjoint and never adjacent.
#[derive(Clone, Default, Debug)]
pub(super) struct Covered {
    ranges: Vec<Range<usize>>,
}

impl Covered {
    /// Adds a range; whether anything in it is new. An empty one stands for an empty message.
    pub(super) fn add(&mut self, range: Range<usize>) -> bool {
        let known = self
            .ranges
            .iter()
            .any(|it| it.start <= range.start && range.end <= it.end);
        if known {
            return false;
        }
        let first = self.ranges.partition_point(|it| it.end < range.start);
        let last = self.ranges.partition_point(|it| it.start <= range.end);
        let touched = self.ranges.get(first..last).unwrap_or_default();
        let start = touched
            .first()
            .map_or(range.start, |it| it.start.min(range.start));
        let end = touched.last().map_or(range.end, |it| it.end.max(range.end));
        self.ranges.splice(first..last, std::iter::once(start..end));
        true
    }

    /// Adds what another one covers.
    pub(super) fn add_all(&mut self, other: &Self) {
        for range in &other.ranges {
            self.add(range.clone());
        }
    }

    /// How many ranges there are.
    pub(super) fn pieces(&self) -> usize {
        self.ranges.len()
    }

    /// How many bytes are covered.
    pub(super) fn total(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Whether a message of `length` bytes is covered.
    pub(super) fn covers(&self, length: usize) -> bool {
        self.ranges.first() == Some(&(0..length))
    }

    /// What of a message of `length` bytes is not covered; an empty range if that is an empty
    /// message.
    pub(super) fn gaps(&self, length: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let starts = [0].into_iter().chain(self.ranges.iter().map(|it| it.end));
        let ends = self.ranges.iter().map(|it| it.start).chain([length]);
        let empty = length == 0 && self.ranges.is_empty();
        starts
            .zip(ends)
            .map(|(start, end)| start..end)
            .filter(move |gap| empty || !gap.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_leave_their_gaps() {
        let mut covered = Covered::default();
        assert!(covered.gaps(10).eq(std::iter::once(0..10)));
        assert!(covered.add(2..4) && covered.add(6..8));
        assert!(!covered.add(2..3) && !covered.add(6..8));
        assert_eq!(covered.gaps(10).collect::<Vec<_>>(), [0..2, 4..6, 8..10]);
        assert!(covered.add(3..7));
        assert_eq!(covered.gaps(10).collect::<Vec<_>>(), [0..2, 8..10]);
        assert!(covered.add(0..2) && covered.add(8..10));
        assert!(covered.covers(10) && covered.gaps(10).next().is_none());
    }

    #[test]
    fn an_empty_message_has_one_empty_gap_until_it_is_covered() {
        let mut covered = Covered::default();
        assert!(covered.gaps(0).eq(std::iter::once(0..0)));
        assert!(!covered.covers(0) && covered.add(0..0));
        assert!(covered.covers(0) && covered.gaps(0).next().is_none());
    }
}
