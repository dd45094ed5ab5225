//! When each flow wants to be looked at.

use std::collections::BTreeSet;
use std::time::Instant;

/// A deadline for each flow. One may be earlier than anything is due: deadlines move on with every
/// datagram, and are looked up again when they are reached.
#[derive(Default, Debug)]
pub(super) struct Timers {
    set: BTreeSet<(Instant, usize)>,
    of: Vec<Option<Instant>>,
}

impl Timers {
    /// Looks at this flow at `at`, or earlier.
    pub(super) fn arm(&mut self, flow: usize, at: Instant) {
        if self.of.len() <= flow {
            self.of.resize(flow + 1, None);
        }
        let Some(entry) = self.of.get_mut(flow) else {
            return;
        };
        if entry.is_some_and(|before| before <= at) {
            return;
        }
        if let Some(before) = entry.replace(at) {
            self.set.remove(&(before, flow));
        }
        self.set.insert((at, flow));
    }

    /// Forgets a flow.
    pub(super) fn disarm(&mut self, flow: usize) {
        if let Some(before) = self.of.get_mut(flow).and_then(Option::take) {
            self.set.remove(&(before, flow));
        }
    }

    /// The next flow whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        let &(at, flow) = self.set.first()?;
        (at <= now).then(|| {
            self.disarm(flow);
            flow
        })
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.set.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_deadline_is_only_brought_forward() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::default();
        timers.arm(3, now + 2 * second);
        timers.arm(3, now + 3 * second);
        timers.arm(1, now + 4 * second);
        timers.arm(1, now + second);
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.pop(now + 2 * second), Some(1));
        assert_eq!(timers.pop(now + 2 * second), Some(3));
        assert_eq!((timers.pop(now + 9 * second), timers.next()), (None, None));
        timers.arm(1, now);
        timers.disarm(1);
        assert_eq!(timers.pop(now), None);
    }
}
