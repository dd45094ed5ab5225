//! Who has begun a handshake lately: what one address can cause with hellos that show good
//! cookies.
//!
//! A cookie proves that its owner receives at an address, and everybody who reads the path can show
//! it again. So a cookie begins one handshake, none begins one any more when a later one of its
//! address did, and an address begins few of them in a row. A client that starts again shows a
//! cookie that was issued after those it has shown before: it is not slowed down by any of that.

use super::association::Origin;
use super::cookie_keys::{LIFE, SKEW};
use crate::config::Issued;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many handshakes an address can begin in a row: an honest client that starts again is never
/// the third.
const IN_A_ROW: u32 = 4;

/// How often an address can begin one in the long run. A client that comes too soon repeats its
/// hello after about as long.
const PAUSE: Duration = Duration::from_secs(1);

/// How many addresses are remembered at most, a third of a kilobyte each. Beyond that the one that
/// is known for the longest time is forgotten: each cookie of it that was captured can start one
/// more handshake.
const MAX_ADDRESSES: usize = 1 << 16;

/// How long an address is remembered: a cookie from a clock that is ahead is good for that much
/// longer.
const MEMORY: Duration = LIFE.saturating_add(SKEW);

/// The newest cookie of each address, for as long as an older one could be shown.
#[derive(Default)]
pub(super) struct Attempts {
    by_address: HashMap<SocketAddr, Latest>,
    /// Each address once, in the order in which they are looked at to be forgotten.
    order: VecDeque<(Instant, SocketAddr)>,
    /// When all of them can be forgotten.
    until: Option<Instant>,
}

struct Latest {
    issued: Issued,
    /// The random of the hello that showed it.
    origin: Origin,
    /// The handshake that it has begun came to nothing, and its client has not been heard since its
    /// hello: it may not know.
    died: bool,
    /// When all that was begun in a row is forgiven.
    forgiven: Instant,
    /// When this is forgotten.
    until: Instant,
}

/// What a proven hello of an unknown random is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// A new beginning.
    New,
    /// One that has begun a handshake before, or is older than one that has.
    Replayed,
    /// One too many in a row.
    TooSoon,
}

impl Attempts {
    /// Whether a hello whose cookie was issued then may begin a handshake. One that has may begin
    /// another if that came to nothing: an honest client whose attempt was given up here in the
    /// middle repeats its hello, and knows no other cookie.
    pub(super) fn judge(
        &self,
        now: Instant,
        remote: SocketAddr,
        issued: Issued,
        origin: Origin,
    ) -> Verdict {
        let known = self.by_address.get(&remote);
        let Some(latest) = known.filter(|latest| latest.until > now) else {
            return Verdict::New;
        };
        let again = latest.died && issued == latest.issued && origin == latest.origin;
        if issued <= latest.issued && !again {
            Verdict::Replayed
        } else if latest.forgiven > now + PAUSE * (IN_A_ROW - 1) {
            Verdict::TooSoon
        } else {
            Verdict::New
        }
    }

    /// Remembers that it has begun one.
    pub(super) fn note(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        issued: Issued,
        origin: Origin,
    ) {
        self.forget(now);
        let until = now + MEMORY;
        self.until = Some(until);
        if let Some(latest) = self.by_address.get_mut(&remote) {
            *latest = Latest {
                issued,
                origin,
                died: false,
                forgiven: latest.forgiven.max(now) + PAUSE,
                until,
            };
            return;
        }
        if self.by_address.len() >= MAX_ADDRESSES
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.by_address.remove(&oldest);
        }
        let latest = Latest {
            issued,
            origin,
            died: false,
            forgiven: now + PAUSE,
            until,
        };
        self.by_address.insert(remote, latest);
        self.order.push_back((until, remote));
    }

    /// The handshake that a hello of this random has begun came to nothing before its client was
    /// heard again.
    pub(super) fn died(&mut self, remote: SocketAddr, origin: Origin) {
        if let Some(latest) = self.by_address.get_mut(&remote) {
            latest.died |= latest.origin == origin;
        }
    }

    /// When nothing of this is of use any more.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Forgets those whose cookies are all too old.
    pub(super) fn forget(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            *self = Self::default();
            return;
        }
        while let Some(&(until, remote)) = self.order.front()
            && until <= now
        {
            self.order.pop_front();
            let latest = self.by_address.get(&remote);
            match latest
                .map(|latest| latest.until)
                .filter(|&until| until > now)
            {
                // It has begun another one since.
                Some(later) => self.order.push_back((later, remote)),
                None => {
                    self.by_address.remove(&remote);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::of(&[7; 32])
    }

    fn remote(host: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from(host), 7).into()
    }

    #[test]
    fn a_cookie_begins_one_handshake_and_none_after_a_newer_one() {
        let (now, mut attempts) = (crate::test_now(), Attempts::default());
        assert_eq!(
            attempts.judge(now, remote(1), Issued(5), origin()),
            Verdict::New
        );
        attempts.note(now, remote(1), Issued(5), origin());
        for old in [0, 4, 5] {
            let verdict = attempts.judge(now, remote(1), Issued(old), origin());
            assert_eq!(verdict, Verdict::Replayed);
        }
        assert_eq!(
            attempts.judge(now, remote(1), Issued(6), origin()),
            Verdict::New
        );
        assert_eq!(
            attempts.judge(now, remote(2), Issued(1), origin()),
            Verdict::New
        );
    }

    #[test]
    fn an_address_begins_four_in_a_row_and_one_a_second() {
        let (mut now, mut attempts) = (crate::test_now(), Attempts::default());
        let mut begun = 0;
        for step in 0..100 {
            if attempts.judge(now, remote(1), Issued(step + 1), origin()) == Verdict::New {
                attempts.note(now, remote(1), Issued(step + 1), origin());
                begun += 1;
            }
            now += Duration::from_millis(100);
        }
        assert_eq!(begun, IN_A_ROW + 9);
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_time() {
        let (now, mut attempts) = (crate::test_now(), Attempts::default());
        let count = u32::try_from(MAX_ADDRESSES).unwrap() + 100;
        for host in 0..count {
            attempts.note(now, remote(host), Issued(1), origin());
        }
        assert_eq!(attempts.by_address.len(), MAX_ADDRESSES);
        assert_eq!(attempts.order.len(), MAX_ADDRESSES);
        let later = now + MEMORY / 2;
        attempts.note(later, remote(count - 1), Issued(2), origin());
        attempts.note(now + MEMORY, remote(0), Issued(2), origin());
        assert_eq!((attempts.by_address.len(), attempts.order.len()), (2, 2));
        attempts.forget(attempts.deadline().unwrap());
        assert_eq!(
            (attempts.by_address.capacity(), attempts.deadline()),
            (0, None)
        );
    }

    #[test]
    fn a_cookie_whose_handshake_came_to_nothing_begins_another() {
        let (now, mut attempts) = (crate::test_now(), Attempts::default());
        attempts.note(now, remote(1), Issued(5), origin());
        attempts.died(remote(1), Origin::of(&[8; 32]));
        assert_eq!(
            attempts.judge(now, remote(1), Issued(5), origin()),
            Verdict::Replayed
        );
        attempts.died(remote(1), origin());
        assert_eq!(
            attempts.judge(now, remote(1), Issued(4), origin()),
            Verdict::Replayed
        );
        let other = Origin::of(&[8; 32]);
        assert_eq!(
            attempts.judge(now, remote(1), Issued(5), other),
            Verdict::Replayed
        );
        for _ in 0..IN_A_ROW - 1 {
            assert_eq!(
                attempts.judge(now, remote(1), Issued(5), origin()),
                Verdict::New
            );
            attempts.note(now, remote(1), Issued(5), origin());
            attempts.died(remote(1), origin());
        }
        assert_eq!(
            attempts.judge(now, remote(1), Issued(5), origin()),
            Verdict::TooSoon
        );
    }
}
