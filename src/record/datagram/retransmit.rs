//! The retransmission timer (RFC 6347 §4.2.4.1).

use crate::config::DatagramPolicy;
use crate::wire::client_hello::RANDOM_LEN;
use std::time::{Duration, Instant};

/// Waiting for an answer and its deadline are one value.
///
/// Every flight starts with the initial timeout again, as BoringSSL and OpenSSL do; RFC 6347 §4.2.4.1 would
/// rather keep a doubled one until an exchange succeeds without loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// No flight waits for an answer.
    Idle,
    /// A flight was sent and is sent again at `deadline`.
    Waiting {
        /// When.
        deadline: Instant,
        /// How long after the last transmission that is.
        timeout: Duration,
        /// How often the flight was sent again already.
        retransmissions: u32,
    },
}

/// How much longer than its timeout each wait is: a different part of it every time, so that clients that were turned away
/// together do not come back together. A sequence of its own for each association (xorshift); nothing secret depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter(u32);

impl Jitter {
    /// The sequence of the client whose hello has this random value. Its end differs from client to client, which is all that
    /// is wanted (its beginning may be the time, RFC 5246 §7.4.1.2), and the system is not asked for more.
    pub(crate) const fn of_hello(random: &[u8; RANDOM_LEN]) -> Self {
        let [.., a, b, c, d] = *random;
        Self::seeded(u32::from_ne_bytes([a, b, c, d]))
    }

    /// The sequence that begins here.
    pub(super) const fn seeded(seed: u32) -> Self {
        // Zero is the one state that it never leaves.
        Self(seed | 1)
    }

    fn of(&mut self, timeout: Duration, policy: &DatagramPolicy) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        let part = f64::from(self.0) / f64::from(u32::MAX) * f64::from(policy.timer_jitter) / 100.0;
        timeout.mul_f64(part)
    }
}

/// What a timer that has fired says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fired {
    /// Nothing is due.
    NotYet,
    /// The flight must be sent again; the timer waits already.
    Retransmit {
        /// The how-manieth time this is, from 1.
        attempt: u32,
    },
    /// The limit is reached.
    GaveUp,
}

impl Timer {
    /// A timer for a flight that is sent for the first time.
    pub(super) fn start(now: Instant, policy: &DatagramPolicy, jitter: &mut Jitter) -> Self {
        let timeout = policy.initial_timeout;
        Self::Waiting {
            deadline: now + timeout + jitter.of(timeout, policy),
            timeout,
            retransmissions: 0,
        }
    }

    /// Waits as long as it did once more, because part of the flight has just been sent again for another reason.
    pub(super) fn rewind(&mut self, now: Instant) {
        if let Self::Waiting {
            deadline, timeout, ..
        } = self
        {
            *deadline = now + *timeout;
        }
    }

    /// Goes on under a policy with another first timeout: the start of the wait stays, and how often it was doubled.
    pub(super) fn rescale(&mut self, policy: &DatagramPolicy) {
        if let Self::Waiting {
            deadline,
            timeout,
            retransmissions,
        } = self
        {
            let doubled = 1_u32.checked_shl(*retransmissions).unwrap_or(u32::MAX);
            let rescaled = policy.initial_timeout.saturating_mul(doubled);
            let rescaled = rescaled.min(policy.max_timeout);
            *deadline = *deadline - *timeout + rescaled;
            *timeout = rescaled;
        }
    }

    /// How long the rest of a flight is waited for before the part that is here is acknowledged: a quarter of the retransmission
    /// timer (RFC 9147 §7.1), or of the first one where none runs.
    pub(super) fn patience(&self, policy: &DatagramPolicy) -> Duration {
        match self {
            Self::Idle => policy.initial_timeout / 4,
            Self::Waiting { timeout, .. } => *timeout / 4,
        }
    }

    /// When the timer fires.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Waiting { deadline, .. } => Some(*deadline),
        }
    }

    /// How often the flight was sent again.
    pub(super) const fn retransmissions(&self) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Waiting {
                retransmissions, ..
            } => *retransmissions,
        }
    }

    /// Looks whether the timer is due, and if so doubles it, up to the maximum, and starts it again.
    pub(super) fn fire(
        &mut self,
        now: Instant,
        policy: &DatagramPolicy,
        jitter: &mut Jitter,
    ) -> Fired {
        let Self::Waiting {
            deadline,
            timeout,
            retransmissions,
        } = self
        else {
            return Fired::NotYet;
        };
        if now + policy.conformance.timer_slack < *deadline {
            return Fired::NotYet;
        }
        if policy
            .max_retransmissions
            .is_some_and(|limit| *retransmissions >= limit)
        {
            return Fired::GaveUp;
        }
        *timeout = (*timeout * 2).min(policy.max_timeout);
        *deadline = now + *timeout + jitter.of(*timeout, policy);
        *retransmissions += 1;
        Fired::Retransmit {
            attempt: *retransmissions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact() -> DatagramPolicy {
        DatagramPolicy::default().timer_jitter(0).unwrap()
    }

    #[test]
    fn a_wait_is_up_to_a_quarter_longer_than_its_timeout_and_never_shorter() {
        let (now, policy) = (crate::test_now(), DatagramPolicy::default());
        let waits: Vec<_> = (0..1000)
            .map(|seed| Timer::start(now, &policy, &mut Jitter::seeded(seed * 7919)))
            .map(|timer| timer.deadline().unwrap() - now)
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
        let policy = exact();
        let start = crate::test_now();
        let mut timer = Timer::start(start, &policy, &mut Jitter::seeded(1));
        let mut at = start;
        for (attempt, seconds) in [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
            at += Duration::from_secs(seconds);
            assert_eq!(timer.deadline(), Some(at));
            assert_eq!(
                timer.fire(
                    at - Duration::from_millis(1),
                    &policy,
                    &mut Jitter::seeded(1)
                ),
                Fired::NotYet
            );
            assert_eq!(
                timer.fire(at, &policy, &mut Jitter::seeded(1)),
                Fired::Retransmit {
                    attempt: attempt as u32 + 1
                }
            );
        }
    }

    /// I3, I4: a timer that fires late, even by years, waits for a deadline that lies ahead.
    #[test]
    fn after_firing_the_deadline_lies_ahead() {
        let policy = exact();
        let start = crate::test_now();
        for days in [0, 50, 500] {
            let mut timer = Timer::start(start, &policy, &mut Jitter::seeded(1));
            let late = start + Duration::from_secs(days * 86_400 + 1);
            assert_eq!(
                timer.fire(late, &policy, &mut Jitter::seeded(1)),
                Fired::Retransmit { attempt: 1 }
            );
            assert!(timer.deadline().unwrap() > late);
        }
    }

    /// C15.
    #[test]
    fn the_limit_on_retransmissions_is_kept() {
        let policy = exact().max_retransmissions(Some(2));
        let mut at = crate::test_now();
        let mut timer = Timer::start(at, &policy, &mut Jitter::seeded(1));
        for _ in 0..2 {
            at = timer.deadline().unwrap();
            assert!(matches!(
                timer.fire(at, &policy, &mut Jitter::seeded(1)),
                Fired::Retransmit { .. }
            ));
        }
        at = timer.deadline().unwrap();
        assert_eq!(
            timer.fire(at, &policy, &mut Jitter::seeded(1)),
            Fired::GaveUp
        );
    }
}
