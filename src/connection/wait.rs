//! How long a handshake waits for the peer.

use std::time::{Duration, Instant};

/// The part of the deadline after which a peer that has said nothing to a renegotiation is not
/// waited for any more. A first handshake has nothing to fall back to, and so waits for all of it.
const PATIENCE_PART: u32 = 4;

/// A wait for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wait {
    /// When the handshake, or the request for one, began.
    since: Instant,
    /// When it has taken too long; `None` for never.
    until: Option<Instant>,
}

impl Wait {
    /// A wait for the whole of `limit`.
    pub(super) fn new(now: Instant, limit: Option<Duration>) -> Self {
        Self {
            since: now,
            until: limit.and_then(|limit| now.checked_add(limit)),
        }
    }

    /// The wait of a renegotiation, which goes on for as long as the peer takes part, but not
    /// beyond `limit`; `silent` is whether the peer has said nothing so far.
    pub(super) fn extend(&mut self, now: Instant, limit: Option<Duration>, silent: bool) {
        let whole = limit.and_then(|limit| self.since.checked_add(limit));
        // A peer that has said something may have switched its keys in the meantime, and would be
        // lost if it were given up in haste.
        let patience = limit.filter(|_| silent).map(|limit| limit / PATIENCE_PART);
        let silence = patience.and_then(|patience| now.checked_add(patience));
        self.until = [whole, silence].into_iter().flatten().min();
    }

    /// The wait begins anew: the peer has spoken after all.
    pub(super) const fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// Nothing is waited for any more.
    pub(super) const fn give_up(&mut self) {
        self.until = None;
    }

    /// How long it has lasted.
    pub(super) fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// When it is over.
    #[inline]
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Whether it is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_now;

    /// A renegotiation waits for a silent peer for a quarter of the deadline, and again after each
    /// word of it, but never for more than all of it.
    #[test]
    fn a_wait_grows_with_each_message_up_to_the_deadline() {
        let (start, limit) = (test_now(), Duration::from_secs(120));
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut wait = Wait::new(start, Some(limit));
        assert_eq!(wait.deadline(), Some(after(120)));
        wait.extend(start, Some(limit), true);
        assert_eq!(wait.deadline(), Some(after(30)));
        wait.extend(after(20), Some(limit), true);
        assert_eq!(wait.deadline(), Some(after(50)));
        wait.extend(after(100), Some(limit), true);
        assert_eq!(wait.deadline(), Some(after(120)));
        wait.extend(after(25), Some(limit), false);
        assert_eq!(wait.deadline(), Some(after(120)));
        assert!(wait.is_over(after(120)) && !wait.is_over(after(119)));
    }

    #[test]
    fn without_a_deadline_nothing_is_ever_over() {
        let mut wait = Wait::new(test_now(), None);
        wait.extend(test_now(), None, true);
        assert_eq!(wait.deadline(), None);
        assert!(!wait.is_over(test_now() + Duration::from_secs(1 << 20)));
    }
}
