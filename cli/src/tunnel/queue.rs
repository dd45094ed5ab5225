//! Datagrams that wait for a handshake: bounded for each flow, and for all flows together.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a datagram takes beside its bytes, so that many small ones are bounded too.
const OVERHEAD: usize = 64;

/// How long a datagram is worth anything to who has sent it. Most programs over UDP have asked
/// again by then, or have given up.
const SHELF_LIFE: Duration = Duration::from_secs(10);

/// How much may wait, and how much of that is taken.
#[derive(Debug)]
pub(super) struct Budget {
    per_flow: usize,
    total: usize,
    /// Bytes of all queues together.
    used: usize,
    /// Datagrams in all queues together.
    waiting: usize,
}

impl Budget {
    /// At most `per_flow` bytes in one queue, and `total` in all of them.
    pub(super) const fn new(per_flow: usize, total: usize) -> Self {
        Self {
            per_flow,
            total,
            used: 0,
            waiting: 0,
        }
    }

    /// How many bytes wait, with what each datagram takes beside its own.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// How many datagrams wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }
}

/// The datagrams of one flow.
#[derive(Default, Debug)]
pub(super) struct Queue {
    datagrams: VecDeque<(Instant, Box<[u8]>)>,
    bytes: usize,
}

impl Queue {
    /// Adds a datagram, if there is room. The newest goes where there is none: it is the one that
    /// will be asked for again last.
    pub(super) fn push(&mut self, now: Instant, budget: &mut Budget, datagram: &[u8]) -> bool {
        let cost = datagram.len() + OVERHEAD;
        let fits = self.bytes + cost <= budget.per_flow && budget.used + cost <= budget.total;
        if fits {
            self.datagrams.push_back((now, datagram.into()));
            self.bytes += cost;
            budget.used += cost;
            budget.waiting += 1;
        }
        fits
    }

    /// The oldest datagram; `Err` if it has waited for too long to be sent.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        budget: &mut Budget,
    ) -> Option<Result<Box<[u8]>, ()>> {
        let (since, datagram) = self.datagrams.pop_front()?;
        let cost = datagram.len() + OVERHEAD;
        self.bytes -= cost;
        budget.used -= cost;
        budget.waiting -= 1;
        let is_fresh = now.saturating_duration_since(since) <= SHELF_LIFE;
        Some(is_fresh.then_some(datagram).ok_or(()))
    }

    /// Drops everything. Returns how many datagrams that were.
    pub(super) fn clear(&mut self, budget: &mut Budget) -> u64 {
        let dropped = self.datagrams.len();
        budget.used -= self.bytes;
        budget.waiting -= dropped;
        *self = Self::default();
        u64::try_from(dropped).unwrap_or(u64::MAX)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_for_one_flow_and_for_all() {
        let now = Instant::now();
        let cost = 36 + OVERHEAD;
        let mut budget = Budget::new(2 * cost, 3 * cost);
        let (mut one, mut other) = (Queue::default(), Queue::default());
        assert!(one.push(now, &mut budget, &[0; 36]) && one.push(now, &mut budget, &[0; 36]));
        assert!(!one.push(now, &mut budget, &[]), "one flow");
        assert!(other.push(now, &mut budget, &[0; 36]));
        assert!(!other.push(now, &mut budget, &[]), "all flows");
        assert!(one.pop(now, &mut budget).unwrap().is_ok());
        assert!(other.push(now, &mut budget, &[0; 36]));
        assert_eq!((one.clear(&mut budget), other.clear(&mut budget)), (1, 2));
        assert_eq!((budget.used(), budget.waiting()), (0, 0));
    }

    #[test]
    fn what_has_waited_for_too_long_is_not_sent() {
        let now = Instant::now();
        let mut budget = Budget::new(1000, 1000);
        let mut queue = Queue::default();
        queue.push(now, &mut budget, b"old");
        queue.push(now + Duration::from_secs(1), &mut budget, b"new");
        let later = now + SHELF_LIFE + Duration::from_millis(1);
        assert_eq!(queue.pop(later, &mut budget), Some(Err(())));
        assert_eq!(queue.pop(later, &mut budget), Some(Ok(b"new"[..].into())));
        assert!(queue.is_empty());
    }
}
