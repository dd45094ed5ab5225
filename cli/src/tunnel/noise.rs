//! Event lines about what others do, of which there may be as many as they like.

use crate::report::Line;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many lines of one kind are written in each [`WINDOW`]: enough to see what happens, and no
/// more than a log can bear for a day.
const PER_WINDOW: u32 = 20;

/// For how long they are counted together.
const WINDOW: Duration = Duration::from_secs(10);

/// Limits the lines of each kind.
#[derive(Default, Debug)]
pub(super) struct Noise {
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug)]
struct Kind {
    /// When the window has begun that is counted.
    since: Instant,
    written: u32,
    /// How many were left out since the last that was written.
    left_out: u64,
}

impl Noise {
    /// An event line of this kind, if there were not too many of them lately. The next one
    /// that is written tells how many were left out.
    pub(super) fn line(&mut self, now: Instant, kind: &'static str) -> Option<Line> {
        let left_out = self.take(now, kind)?;
        let line = Line::new(kind);
        Some(match left_out {
            0 => line,
            count => line.field("left_out", count),
        })
    }

    /// How many of this kind were left out; `None` if this one is too.
    pub(super) fn take(&mut self, now: Instant, kind: &'static str) -> Option<u64> {
        let entry = self.kinds.entry(kind).or_insert(Kind {
            since: now,
            written: 0,
            left_out: 0,
        });
        if now.saturating_duration_since(entry.since) >= WINDOW {
            entry.since = now;
            entry.written = 0;
        }
        if entry.written == PER_WINDOW {
            entry.left_out += 1;
            return None;
        }
        entry.written += 1;
        Some(std::mem::take(&mut entry.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_is_counted_and_no_other_is_kept_back() {
        let now = Instant::now();
        let mut noise = Noise::default();
        for _ in 0..PER_WINDOW {
            assert_eq!(noise.take(now, "a"), Some(0));
        }
        assert_eq!(noise.take(now, "a"), None);
        assert_eq!(noise.take(now, "a"), None);
        assert_eq!(noise.take(now, "b"), Some(0));
        assert_eq!(noise.take(now + WINDOW, "a"), Some(2));
    }
}
