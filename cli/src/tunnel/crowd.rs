//! How many flows there may be, and who goes for a newcomer.

use std::time::{Duration, Instant};

/// The limit on flows.
#[derive(Debug)]
pub(super) struct Crowd {
    max: usize,
    /// How long a flow must have been idle to go for a newcomer. One that is in use stays, whoever
    /// comes: otherwise a flood of newcomers would end all others.
    evictable: Duration,
    /// There is no flow to evict before this moment, so a flood of newcomers need not be answered
    /// by looking at every flow each time.
    none_before: Option<Instant>,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Newcomer {
    /// There is room.
    Admit,
    /// This flow goes.
    InPlaceOf(usize),
    /// Every flow is in use.
    Refuse,
}

impl Crowd {
    /// At most `max` flows, of which one goes that was idle for `evictable`.
    pub(super) const fn new(max: usize, evictable: Duration) -> Self {
        Self {
            max,
            evictable,
            none_before: None,
        }
    }

    /// Decides about a newcomer, where there are so many flows, each of which was last in use at
    /// its moment.
    pub(super) fn newcomer(
        &mut self,
        now: Instant,
        count: usize,
        flows: impl Iterator<Item = (usize, Instant)>,
    ) -> Newcomer {
        if count < self.max {
            return Newcomer::Admit;
        }
        if self.none_before.is_some_and(|moment| now < moment) {
            return Newcomer::Refuse;
        }
        let Some((flow, since)) = flows.min_by_key(|&(_, since)| since) else {
            return Newcomer::Refuse;
        };
        if now.saturating_duration_since(since) >= self.evictable {
            return Newcomer::InPlaceOf(flow);
        }
        self.none_before = Some(since + self.evictable);
        Newcomer::Refuse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVICTABLE: Duration = Duration::from_secs(10);

    #[test]
    fn the_flow_that_was_idle_longest_goes_and_none_that_is_in_use() {
        let now = Instant::now();
        let mut crowd = Crowd::new(2, EVICTABLE);
        let flows = [(5, now + EVICTABLE / 2), (7, now)];
        let mut ask = |after, count| crowd.newcomer(now + after, count, flows.into_iter());
        assert_eq!(ask(Duration::ZERO, 1), Newcomer::Admit);
        assert_eq!(ask(Duration::ZERO, 2), Newcomer::Refuse);
        assert_eq!(ask(EVICTABLE, 2), Newcomer::InPlaceOf(7));
        assert_eq!(
            ask(EVICTABLE - Duration::from_millis(1), 2),
            Newcomer::Refuse
        );
        assert_eq!(
            ask(EVICTABLE - Duration::from_millis(1), 2),
            Newcomer::Refuse
        );
    }
}
