//! The replay window of one epoch (RFC 6347 §4.1.2.6).

/// How many record numbers below the highest one are told apart. RFC 6347 recommends 64; paths with
/// several queues, and segmentation offload, reorder more than that.
const WIDTH: u64 = 256;
const WORDS: usize = 4;

/// Which record numbers were seen. Asked before a record is opened, moved only after it has
/// authenticated.
#[derive(Default, Debug)]
pub(crate) struct ReplayWindow {
    /// One more than the highest number seen; 0 if there was none.
    next: u64,
    /// Bit i of word w is set if number `next − 1 − (64w + i)` was seen.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Whether `sequence` is neither seen nor below the window.
    #[inline]
    pub(crate) fn admits(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return true;
        }
        let (word, bit) = place(self.next - 1 - sequence);
        self.seen.get(word).is_some_and(|seen| seen & bit == 0)
    }

    /// One more than the highest number seen.
    #[inline]
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Enters `sequence`, whose record has authenticated and which the window admits.
    #[inline]
    pub(crate) fn record(&mut self, sequence: u64) {
        if sequence >= self.next {
            match sequence - self.next {
                0 => self.shift_by_one(),
                skipped => self.shift(skipped + 1),
            }
            self.next = sequence + 1;
            self.seen[0] |= 1;
            return;
        }
        let (word, bit) = place(self.next - 1 - sequence);
        if let Some(seen) = self.seen.get_mut(word) {
            *seen |= bit;
        }
    }

    /// Moves everything one number away from the highest: nearly every record is the one after the
    /// last.
    #[inline]
    fn shift_by_one(&mut self) {
        let [a, b, c, d] = self.seen;
        self.seen = [a << 1, b << 1 | a >> 63, c << 1 | b >> 63, d << 1 | c >> 63];
    }

    /// Moves everything so far away from the highest number.
    fn shift(&mut self, ahead: u64) {
        if ahead >= WIDTH {
            self.seen = [0; WORDS];
            return;
        }
        let words = usize::try_from(ahead / 64).unwrap_or(WORDS);
        let bits = ahead % 64;
        for word in (0..WORDS).rev() {
            let at = |index: usize| self.seen.get(index).copied().unwrap_or_default();
            let from = word.checked_sub(words);
            let below = from.and_then(|from| from.checked_sub(1)).map_or(0, at);
            let moved = from.map_or(0, at) << bits;
            // A shift by 64 would be one too far: with no bits to move nothing comes from the word
            // below.
            self.seen[word] = moved | below.checked_shr(64 - bits as u32).unwrap_or(0);
        }
    }
}

/// The word and the bit for a number so far below the highest one.
#[inline]
fn place(below: u64) -> (usize, u64) {
    let word = usize::try_from(below / 64).unwrap_or(WORDS);
    (word, 1 << (below % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4: each number is admitted once, down to 255 below the highest.
    #[test]
    fn replays_at_every_distance_are_refused() {
        for distance in [
            0_u64, 1, 62, 63, 64, 65, 127, 128, 254, 255, 256, 257, 10_000,
        ] {
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
    fn late_records_are_admitted_once_inside_the_window_and_never_below_it() {
        let mut window = ReplayWindow::default();
        window.record(1000);
        assert!(window.admits(745) && !window.admits(744));
        window.record(745);
        assert!(!window.admits(745));
        window.record(1 << 40);
        assert!(!window.admits(999));
    }

    /// Against the plain meaning of a window, for steps forwards and backwards of every length up
    /// to its width and beyond.
    #[test]
    fn the_window_is_the_set_of_the_newest_numbers() {
        let mut window = ReplayWindow::default();
        let (mut seen, mut state) = (std::collections::BTreeSet::new(), 1_u64);
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let step = state >> 55;
            let highest = seen.last().copied().unwrap_or(300);
            let sequence =
                (highest + (step & 0xff)).saturating_sub(if step & 0x100 == 0 { 255 } else { 0 });
            let fresh = sequence + WIDTH > highest && !seen.contains(&sequence);
            assert_eq!(window.admits(sequence), fresh || seen.is_empty());
            if window.admits(sequence) {
                window.record(sequence);
                seen.insert(sequence);
            }
        }
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
