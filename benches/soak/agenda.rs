//! What is to happen when, by chance that repeats with its seed.

#[path = "../../tests/common/dice.rs"]
mod dice;

pub use dice::Dice;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

impl Dice {
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
