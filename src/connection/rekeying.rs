//! What an association remembers about the replacement of its keys, beyond the single attempt.

use super::RenegotiationRefusal;
use crate::config::RekeyPolicy;
use crate::handshake::client::OfferedHello;
use std::time::{Duration, Instant};

/// How long automatic rekeying waits after the peer has refused or has not answered. Each further
/// attempt in a row without an answer doubles the wait.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How many attempts in a row may go unanswered, and one more, before a peer is taken for one that
/// does not renegotiate: an hour of asking. A handshake that completes begins the count anew.
const MAX_UNANSWERED: u32 = 6;

/// What outlives the attempts at a renegotiation: what the keys in force have been used for, how
/// the peer has taken to earlier attempts, and how long ago that was.
pub(super) struct Rekeying {
    usage: Usage,
    /// When the last handshake was begun or completed, for the limit on those that clients begin.
    last_handshake: Instant,
    /// The next handshake resumes nothing: this server wants to see a certificate in it.
    pub(super) wants_full: bool,
    /// On few associations there is anything.
    setbacks: Option<Box<Setbacks>>,
}

/// Attempts that came to nothing.
#[derive(Default)]
struct Setbacks {
    /// A client's hello of this epoch that led to nothing, and whether a copy of it may still be on
    /// its way. The server may take one all the same, and then only the same hello fits its answer.
    earlier: Option<(Box<OfferedHello>, bool)>,
    /// When the peer has refused, or not answered, last, since the keys in force came.
    refused: Option<Instant>,
    /// How many attempts in a row the peer has not answered.
    unanswered: u32,
    /// When the peer was told no_renegotiation last; over a stream, while that waits to be sent.
    last_refusal: Option<Instant>,
}

/// What the keys in force have been used for, and the limits of that.
struct Usage {
    bytes: u64,
    sent: u64,
    received: u64,
    max_bytes: u64,
    /// Keys are replaced before a key has protected as many records as it may.
    max_records: u64,
    until: Option<Instant>,
}

impl Usage {
    const NONE: Self = Self {
        bytes: 0,
        sent: 0,
        received: 0,
        max_bytes: u64::MAX,
        max_records: u64::MAX,
        until: None,
    };

    #[inline]
    fn is_due(&self, now: Instant) -> bool {
        self.bytes > self.max_bytes
            || self.is_used_up()
            || self.until.is_some_and(|until| now >= until)
    }

    #[inline]
    fn is_used_up(&self) -> bool {
        self.sent.max(self.received) > self.max_records
    }
}

impl Rekeying {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            usage: Usage::NONE,
            last_handshake: now,
            wants_full: false,
            setbacks: None,
        }
    }

    /// A handshake runs. It costs the same whether or not it is completed.
    pub(super) const fn started(&mut self, now: Instant) {
        self.last_handshake = now;
    }

    /// The hello to repeat instead of a new one. One whose only copy was refused does not stand in
    /// for a hello of the other kind.
    pub(super) fn take_earlier(&mut self, offers_session: bool) -> Option<Box<OfferedHello>> {
        let (hello, lingers) = self.setbacks.as_mut()?.earlier.take()?;
        (lingers || hello.offers_session() == offers_session).then_some(hello)
    }

    /// New keys are in force, each good for `limit` records.
    pub(super) fn committed(&mut self, now: Instant, policy: &RekeyPolicy, limit: u64) {
        self.wants_full = false;
        self.last_handshake = now;
        let last_refusal = self.last_refusal();
        self.setbacks = last_refusal.map(|_| {
            Box::new(Setbacks {
                last_refusal,
                ..Setbacks::default()
            })
        });
        self.usage = Usage {
            max_bytes: policy.bytes.unwrap_or(u64::MAX),
            // An eighth of the key is left for the handshake, for its retransmissions, and for a
            // peer that refuses.
            max_records: limit - limit / 8,
            until: policy
                .interval
                .and_then(|interval| now.checked_add(interval)),
            ..Usage::NONE
        };
    }

    /// The keys of one direction were replaced by a key update. Bytes and time are counted from
    /// this end's own.
    pub(super) fn updated(&mut self, now: Instant, policy: &RekeyPolicy, own: bool) {
        if !own {
            self.usage.received = 0;
            return;
        }
        self.usage.sent = 0;
        self.usage.bytes = 0;
        self.usage.until = policy
            .interval
            .and_then(|interval| now.checked_add(interval));
    }

    /// Everything that waited on a stream has left, a refusal too.
    pub(super) fn all_left(&mut self) {
        if let Some(setbacks) = &mut self.setbacks {
            setbacks.last_refusal = None;
        }
    }

    /// When the peer was told no_renegotiation last; over a stream, while that waits to be sent.
    pub(super) fn last_refusal(&self) -> Option<Instant> {
        self.setbacks.as_ref()?.last_refusal
    }

    /// The peer is told no_renegotiation.
    pub(super) fn refuses(&mut self, now: Instant) {
        self.setbacks.get_or_insert_default().last_refusal = Some(now);
    }

    /// An attempt has come to nothing. Its client has said `hello`; `sent_again` is whether that
    /// has left more than once.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        reason: RenegotiationRefusal,
        hello: Option<Box<OfferedHello>>,
        sent_again: bool,
    ) {
        let lingers = sent_again || reason == RenegotiationRefusal::Unanswered;
        let setbacks = self.setbacks.get_or_insert_default();
        setbacks.earlier = hello.map(|hello| (hello, lingers));
        setbacks.refused = Some(now);
        if reason != RenegotiationRefusal::Unanswered {
            setbacks.unanswered = 0;
            return;
        }
        setbacks.unanswered += 1;
        if setbacks.unanswered > MAX_UNANSWERED {
            // Nothing but the limits of the algorithm is looked at any more.
            self.usage.max_bytes = u64::MAX;
            self.usage.until = None;
        }
    }

    /// Nothing is begun any more.
    pub(super) fn forget_hello(&mut self) {
        if let Some(setbacks) = &mut self.setbacks {
            setbacks.earlier = None;
        }
    }

    /// Counts data of this end, whose key has protected `records` by now. Whether the keys should
    /// be replaced.
    #[inline]
    pub(super) fn count_sent(&mut self, now: Instant, bytes: usize, records: u64) -> bool {
        self.usage.sent = records;
        self.usage.bytes += bytes as u64;
        self.usage.is_due(now)
    }

    /// Counts data of the peer, in the record `sequence` of its key: also what was lost has used
    /// the key. Whether the keys should be replaced.
    #[inline]
    pub(super) fn count_received(&mut self, now: Instant, bytes: usize, sequence: u64) -> bool {
        self.usage.received = self.usage.received.max(sequence);
        self.usage.bytes += bytes as u64;
        self.usage.is_due(now)
    }

    /// Whether a key has protected nearly as many records as it may.
    pub(super) fn is_used_up(&self) -> bool {
        self.usage.is_used_up()
    }

    /// Whether automatic rekeying waits, because the peer has refused, or is silent; `pressing` is
    /// whether a limit comes near that nothing can waive.
    pub(super) fn is_paused(&self, now: Instant, pressing: bool) -> bool {
        let Some(setbacks) = &self.setbacks else {
            return false;
        };
        let Some(refused) = setbacks.refused else {
            return false;
        };
        let pause = match setbacks.unanswered {
            0 | 1 => Some(RETRY_AFTER),
            _ if pressing => Some(RETRY_AFTER),
            many if many > MAX_UNANSWERED => None,
            many => RETRY_AFTER.checked_mul(1 << (many - 1)),
        };
        pause.is_none_or(|pause| now.saturating_duration_since(refused) < pause)
    }

    /// Whether the last handshake is at least `interval` ago.
    pub(super) fn has_rested(&self, now: Instant, interval: Duration) -> bool {
        self.since_handshake(now) >= interval
    }

    /// How long ago the last handshake was begun or completed.
    pub(super) fn since_handshake(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_handshake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::AeadAlgorithm;
    use crate::test_now;

    fn fresh(limit: u64) -> Rekeying {
        let mut rekeying = Rekeying::new(test_now());
        rekeying.committed(test_now(), &RekeyPolicy::default(), limit);
        rekeying
    }

    /// RFC 9325 §4.4: an eighth before the limit of either key, without any policy.
    #[test]
    fn r8446_08_r9147_17_keys_are_replaced_before_either_has_protected_all_it_may() {
        let now = test_now();
        let mut rekeying = fresh(800);
        assert!(!rekeying.count_sent(now, 1, 700));
        assert!(rekeying.count_sent(now, 1, 701));
        // Of the peer's key the number of the record tells, whatever was lost before it.
        let mut rekeying = fresh(800);
        assert!(!rekeying.count_received(now, 1, 700));
        assert!(rekeying.count_received(now, 1, 701));
        // Records of one direction say nothing about the key of the other.
        let mut rekeying = fresh(800);
        for sequence in 0..700 {
            let sent = rekeying.count_sent(now, 1, sequence);
            assert!(!sent && !rekeying.count_received(now, 1, sequence));
        }
    }

    #[test]
    fn every_algorithm_leaves_room_for_a_handshake_after_its_limit() {
        for aead in AeadAlgorithm::ALL {
            let limit = aead.confidentiality_limit();
            let usage = fresh(limit).usage;
            assert!(usage.max_records < limit && limit - usage.max_records > 1_000_000);
        }
    }

    /// Each attempt in a row that a peer does not answer doubles the wait, and in the end it is
    /// left alone, until a limit that nothing can waive comes near.
    #[test]
    fn a_peer_that_never_answers_is_asked_ever_more_seldom() {
        let (start, policy) = (test_now(), RekeyPolicy::default());
        let mut rekeying = fresh(800);
        for minutes in [1, 2, 4, 8, 16, 32] {
            rekeying.refused(start, RenegotiationRefusal::Unanswered, None, false);
            let pause = Duration::from_secs(60 * minutes);
            let almost = start + pause - Duration::from_millis(1);
            assert!(rekeying.is_paused(almost, false), "{minutes}");
            assert!(!rekeying.is_paused(start + pause, false));
            assert!(!rekeying.is_paused(start + RETRY_AFTER, true));
        }
        rekeying.refused(start, RenegotiationRefusal::Unanswered, None, false);
        let year = start + Duration::from_secs(365 * 86_400);
        assert!(rekeying.is_paused(year, false));
        assert!(!rekeying.is_paused(year, true));
        // A refusal and a completed handshake are answers.
        rekeying.refused(start, RenegotiationRefusal::NoRenegotiation, None, false);
        assert!(!rekeying.is_paused(start + RETRY_AFTER, false));
        rekeying.committed(start, &policy, 800);
        assert!(!rekeying.is_paused(start, false));
    }

    /// New keys have protected nothing yet.
    #[test]
    fn counting_begins_again_with_new_keys() {
        let (now, limit) = (test_now(), 8);
        let mut rekeying = fresh(limit);
        assert!(rekeying.count_sent(now, 1, limit));
        rekeying.committed(now, &RekeyPolicy::default(), limit);
        assert!(!rekeying.count_sent(now, 1, 1));
    }
}
