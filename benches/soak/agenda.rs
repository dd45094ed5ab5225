//! What is to happen when, by chance that repeats with its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Numbers that look random and repeat with their seed (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in this share of all cases, 0 to 1.
    pub fn is(&mut self, share: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= share && share > 0.0
    }

    /// A time between nothing and twice `mean`.
    pub fn time(&mut self, mean: Duration) -> Duration {
        let nanoseconds = u64::try_from(2 * mean.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanoseconds.max(1)))
    }
}

/// What one of the crowd does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Task {
    Connect,
    /// Asks a question, to which the other end answers with an echo.
    Ask,
    /// Wants new keys.
    Rekey,
}

/// All that is to happen.
#[derive(Default)]
pub struct Agenda(BinaryHeap<Reverse<(Instant, u32, Task)>>);

impl Agenda {
    pub fn add(&mut self, at: Instant, member: u32, task: Task) {
        self.0.push(Reverse((at, member, task)));
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Instant> {
        self.0.peek().map(|&Reverse((at, ..))| at)
    }

    /// Takes a thing that is due.
    pub fn take(&mut self, now: Instant) -> Option<(u32, Task)> {
        self.next().filter(|&at| at <= now)?;
        let Reverse((_, member, task)) = self.0.pop()?;
        Some((member, task))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0 = BinaryHeap::new();
    }
}
