//! The replay window of one epoch (RFC 6347 §4.1.2.6).

/// How many record numbers behind the highest one are told apart.
const WIDTH: u64 = 64;

/// Which record numbers were seen. Asked before a record is opened, moved only after it has authenticated.
#[derive(Default, Debug)]
pub(crate) struct ReplayWindow {
    /// One more than the highest number seen; 0 if there was none.
    next: u64,
    /// Bit i is set if number `next − 1 − i` was seen.
    seen: u64,
}

impl ReplayWindow {
    /// Whether `sequence` is neither seen nor behind the window.
    #[inline]
    pub(crate) const fn admits(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return true;
        }
        let behind = self.next - 1 - sequence;
        behind < WIDTH && self.seen & (1 << behind) == 0
    }

    /// One more than the highest number seen.
    #[inline]
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Enters `sequence`, whose record has authenticated and which the window admits.
    #[inline]
    pub(crate) const fn record(&mut self, sequence: u64) {
        if sequence >= self.next {
            let ahead = sequence - self.next + 1;
            self.seen = if ahead < WIDTH {
                self.seen << ahead | 1
            } else {
                1
            };
            self.next = sequence + 1;
        } else {
            let behind = self.next - 1 - sequence;
            if behind < WIDTH {
                self.seen |= 1 << behind;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4: each number is admitted once, down to 63 behind the highest.
    #[test]
    fn replays_at_every_distance_are_refused() {
        for distance in [0_u64, 1, 62, 63, 64, 65, 10_000] {
            let mut window = ReplayWindow::default();
            let old = 20_000;
            assert!(window.admits(old));
            window.record(old);
            if distance > 0 {
                window.record(old + distance);
            }
            assert!(!window.admits(old), "distance {distance}");
            assert!(!window.admits(old + distance), "distance {distance}");
        }
    }

    #[test]
    fn late_records_are_admitted_once_inside_the_window_and_never_behind_it() {
        let mut window = ReplayWindow::default();
        window.record(100);
        assert!(window.admits(37) && !window.admits(36));
        window.record(37);
        assert!(!window.admits(37));
        window.record(1 << 40);
        assert!(!window.admits(99));
    }

    #[test]
    fn failed_authentication_does_not_advance_the_window() {
        let mut window = ReplayWindow::default();
        window.record(5);
        // Asking about the largest number of all leaves everything as it was.
        assert!(window.admits((1 << 48) - 1));
        assert!(window.admits(6) && window.admits(4) && !window.admits(5));
    }
}
