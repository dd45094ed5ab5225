//! When an association was not used for a while, so that it can give memory back.

use super::delivery::TWICE_MSL;
use std::time::{Duration, Instant};

/// For how long nothing is read or written before keys are put away. It costs a microsecond or two
/// to make them ready again, so that peers that only show each minute that they are there cost
/// little.
const PATIENCE: Duration = Duration::from_secs(30);

/// A look at the use of an association every now and then: data that passes costs nothing.
#[derive(Default)]
pub(super) struct Unused {
    /// When the next look is. It stays what it was while the keys are dormant, and so lies in the
    /// past when they are ready again: then the first look is at once.
    look: Option<Instant>,
    /// How many records had come and gone at the last look.
    used: u64,
}

impl Unused {
    /// New keys are in force.
    pub(super) fn established(&mut self, now: Instant) {
        self.look = Some(now + TWICE_MSL);
    }

    /// When to look next.
    #[inline]
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.look
    }

    /// Looks, if it is time: whether no record has come or gone since the last look, of `used` in
    /// all.
    pub(super) fn look(&mut self, now: Instant, used: u64) -> bool {
        if self.look.is_none_or(|look| now < look) {
            return false;
        }
        self.look = Some(now + PATIENCE);
        std::mem::replace(&mut self.used, used) == used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_says_nothing_between_two_looks_is_unused() {
        let start = crate::test_now();
        let mut unused = Unused::default();
        assert!(!unused.look(start, 1), "there are no keys");
        unused.established(start);
        let mut looks = Vec::new();
        for (seconds, used) in [(239, 5), (240, 5), (269, 5), (270, 6), (300, 6), (330, 6)] {
            looks.push(unused.look(start + Duration::from_secs(seconds), used));
        }
        assert_eq!(looks, [false, false, false, false, true, true]);
        // Long after that something is said: the look that was due then is made at once.
        let later = start + Duration::from_secs(9999);
        assert!(unused.deadline() < Some(later));
        assert!(!unused.look(later, 7));
        assert_eq!(unused.deadline(), Some(later + PATIENCE));
    }
}
