//! When a flight is sent again (RFC 6347 §4.2.4.1).

use crate::config::DatagramPolicy;
use crate::wire::client_hello::RANDOM_LEN;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The timer of one flight that was sent and is sent again at its deadline.
///
/// Every flight starts with the initial timeout again, as in BoringSSL and OpenSSL; RFC 6347
/// §4.2.4.1 would rather keep a doubled one until an exchange succeeds without loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timer {
    deadline: Instant,
    /// How long after the last transmission that is, without the part that is drawn.
    timeout: Duration,
    /// How often the flight was sent again already.
    retransmissions: u32,
}

/// What spaces the retransmissions of one association.
pub(super) struct Pace {
    /// Shared with the configuration.
    policy: Arc<DatagramPolicy>,
    /// The first timeout; that of the policy unless this association has its own.
    initial: Duration,
    jitter: Jitter,
}

/// How much longer than its timeout each wait is: a different part of it every time, so that
/// clients that were turned away together do not come back together. Each association has a
/// sequence of its own (xorshift); nothing secret depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter(u32);

impl Jitter {
    /// The sequence of the client whose hello has this random value. Its end differs from client to
    /// client, which is all that is wanted (its beginning may be the time, RFC 5246 §7.4.1.2), and
    /// the system is not asked for more.
    pub(crate) const fn of_hello(random: &[u8; RANDOM_LEN]) -> Self {
        let [.., a, b, c, d] = *random;
        Self::seeded(u32::from_ne_bytes([a, b, c, d]))
    }

    /// The sequence that begins here.
    pub(in super::super) const fn seeded(seed: u32) -> Self {
        // Zero is the one state that it never leaves.
        Self(seed | 1)
    }

    fn of(&mut self, timeout: Duration, percent: u8) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        let part = f64::from(self.0) / f64::from(u32::MAX) * f64::from(percent) / 100.0;
        timeout.mul_f64(part)
    }
}

impl Pace {
    /// The pace that the policy sets.
    pub(super) fn new(policy: Arc<DatagramPolicy>, jitter: Jitter) -> Self {
        Self {
            initial: policy.initial_timeout,
            policy,
            jitter,
        }
    }

    /// The policy of the association.
    #[inline]
    pub(super) fn policy(&self) -> &DatagramPolicy {
        &self.policy
    }

    /// The first timeout.
    pub(super) const fn initial(&self) -> Duration {
        self.initial
    }

    /// Goes on with another first timeout.
    pub(super) const fn set_initial(&mut self, timeout: Duration) {
        self.initial = timeout;
    }

    /// How long after a transmission a peer that repeats itself is answered by the same again, at
    /// the earliest.
    pub(super) fn repeat_after(&self) -> Duration {
        self.policy
            .conformance
            .repeat_last_flight_after
            .unwrap_or(self.initial / 4)
    }

    /// How long a wait of `timeout` is.
    fn wait(&mut self, timeout: Duration) -> Duration {
        timeout + self.jitter.of(timeout, self.policy.timer_jitter)
    }
}

/// What a timer that has fired says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fired {
    /// Nothing is due.
    NotYet,
    /// The flight must be sent again; the timer waits already.
    Retransmit {
        /// Which retransmission this is, counted from 1.
        attempt: u32,
    },
    /// The limit is reached.
    GaveUp,
}

impl Timer {
    /// A timer for a flight that is sent for the first time.
    pub(super) fn start(now: Instant, pace: &mut Pace) -> Self {
        let timeout = pace.initial;
        Self {
            deadline: now + pace.wait(timeout),
            timeout,
            retransmissions: 0,
        }
    }

    /// Waits as long as it did once more, because part of the flight has just been sent again for
    /// another reason.
    pub(super) fn rewind(&mut self, now: Instant) {
        self.deadline = now + self.timeout;
    }

    /// Goes on with another first timeout: the start of the wait stays, and how often it was
    /// doubled.
    pub(super) fn rescale(&mut self, pace: &Pace) {
        let doubled = 1_u32.checked_shl(self.retransmissions).unwrap_or(u32::MAX);
        let timeout = pace.initial.saturating_mul(doubled);
        let timeout = timeout.min(pace.policy.max_timeout);
        self.deadline = self.deadline - self.timeout + timeout;
        self.timeout = timeout;
    }

    /// How long after the last transmission the flight is sent again.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the timer fires.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it is as good as due.
    pub(super) fn is_due(&self, now: Instant, pace: &Pace) -> bool {
        self.deadline <= now + pace.policy.conformance.timer_slack
    }

    /// How often the flight was sent again.
    pub(super) const fn retransmissions(&self) -> u32 {
        self.retransmissions
    }

    /// Looks whether the timer is due, and if so doubles it, up to the maximum, and starts it
    /// again.
    pub(super) fn fire(&mut self, now: Instant, pace: &mut Pace) -> Fired {
        if !self.is_due(now, pace) {
            return Fired::NotYet;
        }
        let limit = pace.policy.max_retransmissions;
        if limit.is_some_and(|limit| self.retransmissions >= limit) {
            return Fired::GaveUp;
        }
        self.timeout = (self.timeout * 2).min(pace.policy.max_timeout);
        self.deadline = now + pace.wait(self.timeout);
        self.retransmissions += 1;
        Fired::Retransmit {
            attempt: self.retransmissions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits that are exactly as long as their timeouts.
    fn exact(max_retransmissions: Option<u32>) -> Pace {
        let policy = DatagramPolicy::default().timer_jitter(0).unwrap();
        let policy = policy.max_retransmissions(max_retransmissions);
        Pace::new(Arc::new(policy), Jitter::seeded(1))
    }

    #[test]
    fn a_wait_is_up_to_a_quarter_longer_than_its_timeout_and_never_shorter() {
        let (now, policy) = (crate::test_now(), Arc::new(DatagramPolicy::default()));
        let pace = |seed: u32| Pace::new(policy.clone(), Jitter::seeded(seed * 7919));
        let waits: Vec<_> = (0..1000)
            .map(|seed| Timer::start(now, &mut pace(seed)))
            .map(|timer| timer.deadline() - now)
            .collect();
        let second = Duration::from_secs(1);
        assert!(
            waits
                .iter()
                .all(|wait| (second..=second * 5 / 4).contains(wait))
        );
        let late = waits.iter().filter(|&&wait| wait > second * 9 / 8).count();
        assert!((400..600).contains(&late), "{late} of 1000");
    }

    #[test]
    fn r9147_30_the_timeout_doubles_from_one_second_to_sixty() {
        let mut pace = exact(None);
        let mut at = crate::test_now();
        let mut timer = Timer::start(at, &mut pace);
        for (attempt, seconds) in [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
            at += Duration::from_secs(seconds);
            assert_eq!(timer.deadline(), at);
            let early = at - Duration::from_millis(1);
            assert_eq!(timer.fire(early, &mut pace), Fired::NotYet);
            let attempt = attempt as u32 + 1;
            assert_eq!(timer.fire(at, &mut pace), Fired::Retransmit { attempt });
        }
    }

    /// I3, I4: a timer that fires late, even by years, waits for a deadline that lies ahead.
    #[test]
    fn after_firing_the_deadline_lies_ahead() {
        let mut pace = exact(None);
        let start = crate::test_now();
        for days in [0, 50, 500] {
            let mut timer = Timer::start(start, &mut pace);
            let late = start + Duration::from_secs(days * 86_400 + 1);
            assert_eq!(
                timer.fire(late, &mut pace),
                Fired::Retransmit { attempt: 1 }
            );
            assert!(timer.deadline() > late);
        }
    }

    /// C15.
    #[test]
    fn the_limit_on_retransmissions_is_kept() {
        let mut pace = exact(Some(2));
        let mut timer = Timer::start(crate::test_now(), &mut pace);
        for _ in 0..2 {
            let at = timer.deadline();
            assert!(matches!(
                timer.fire(at, &mut pace),
                Fired::Retransmit { .. }
            ));
        }
        assert_eq!(timer.fire(timer.deadline(), &mut pace), Fired::GaveUp);
    }
}
