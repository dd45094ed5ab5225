//! The keys of cookies, and their dates.
//!
//! ```text
//!  secret ──HMAC──► key of five minutes ──HMAC──► half a MAC over date and contents
//! ```
//!
//! Which key a cookie is made with follows from its date, and the date from the clock. So whoever
//! has the secret proves the cookies of everybody who has it.

use crate::config::{Clock, Issued};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::HmacKey;
use crate::secrets::fleet::{FleetSecret, Purpose};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The length of a date: microseconds, for nine years.
pub(super) const DATE_LEN: usize = 6;

/// The length of half a MAC, in bytes.
pub(super) const MAC_LEN: usize = 16;

/// How long a cookie is good. A client that gets no answer to its hello repeats it for as long as
/// its handshake may take, two minutes by default here and at most elsewhere; what is shown later
/// was kept by another.
pub(super) const LIFE: Duration = Duration::from_secs(150);

/// How long a key makes cookies. No cookie ends with its key, which the cookie's date names: how
/// long one is good is [`LIFE`] alone.
const GENERATION: Duration = Duration::from_secs(300);

/// How far ahead of this clock the clock of another member of the fleet may be.
pub(super) const SKEW: Duration = Duration::from_secs(10);

/// How far the date may be ahead of what was counted on from an earlier one before it is believed.
const TOLERANCE: Duration = Duration::from_secs(5);

/// How many keys are kept: that of now, and the one before or after it.
const MAX_KEYS: usize = 2;

/// Dates cookies, and makes their MACs.
pub(super) struct Mint {
    secret: FleetSecret,
    /// The keys that were used last, with the number of their generation.
    recent: VecDeque<(u64, HmacKey)>,
    /// A moment, and its date in microseconds of Unix time.
    known: (Instant, u64),
    /// The date of the newest cookie that was made here, or proved here and made by another.
    newest: Issued,
}

impl Mint {
    pub(super) fn new(now: Instant, secret: FleetSecret, clock: &dyn Clock) -> Self {
        Self {
            secret,
            recent: VecDeque::new(),
            known: (now, unix_micros(clock)),
            newest: Issued(0),
        }
    }

    /// Makes and proves cookies with another secret from now on.
    pub(super) fn set_secret(&mut self, secret: FleetSecret) {
        if self.secret != secret {
            self.secret = secret;
            self.recent.clear();
        }
    }

    /// The date, in microseconds of Unix time.
    ///
    /// It is counted by the clock of the timers, which stands still and jumps less often. The
    /// clock that tells dates is followed where it is far ahead, after a suspension or when a wrong
    /// one was set right. It is not followed backwards: dates of cookies must grow.
    fn date(&mut self, now: Instant, clock: &dyn Clock) -> u64 {
        let (then, date) = self.known;
        let counted = date + micros(now.saturating_duration_since(then));
        let told = unix_micros(clock);
        if told > counted + micros(TOLERANCE) {
            self.known = (now, told);
            return told;
        }
        counted
    }

    /// The date of a cookie that is issued now: later than that of any before, also within one tick
    /// of the clock.
    pub(super) fn issue(&mut self, now: Instant, clock: &dyn Clock) -> Issued {
        self.newest = Issued(self.date(now, clock).max(self.newest.0 + 1));
        self.newest
    }

    /// When a cookie that shows these octets was issued, by its own account; `None` if that is too
    /// long ago, or to come.
    pub(super) fn read_date(
        &mut self,
        now: Instant,
        clock: &dyn Clock,
        octets: [u8; DATE_LEN],
    ) -> Option<Issued> {
        let date = self.date(now, clock);
        let latest = self.newest.0.max(date + micros(SKEW));
        let issued = Issued::from_bytes(octets, Issued(latest));
        (date.saturating_sub(issued.0) <= micros(LIFE)).then_some(issued)
    }

    /// A cookie of that date has proved to be good. What is issued from now on is newer, also where
    /// the clock that dated it is ahead: a client that starts again shows a newer one.
    pub(super) fn proved(&mut self, issued: Issued) {
        self.newest = self.newest.max(issued);
    }

    /// Half a MAC over `parts`, under the key of that date.
    pub(super) fn tag(&mut self, issued: Issued, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        let generation = issued.0 / micros(GENERATION);
        let known = self.recent.iter().position(|(it, _)| *it == generation);
        let place = known.unwrap_or_else(|| {
            if self.recent.len() >= MAX_KEYS {
                self.recent.pop_front();
            }
            self.recent.push_back((generation, self.derive(generation)));
            self.recent.len() - 1
        });
        let mut tag = [0; MAC_LEN];
        tag.copy_from_slice(&self.recent[place].1.sign(parts.iter().copied()).as_ref()[..MAC_LEN]);
        tag
    }

    fn derive(&self, generation: u64) -> HmacKey {
        let number = generation.to_be_bytes();
        let key = self.secret.derive(Purpose::Cookies, &number);
        HmacKey::new(HashAlgorithm::Sha256, &key[..])
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn unix_micros(clock: &dyn Clock) -> u64 {
    clock.unix_now().as_secs().saturating_mul(1_000_000)
}

impl Issued {
    /// The octets of the date that a cookie shows.
    pub(super) fn to_bytes(self) -> [u8; DATE_LEN] {
        let mut out = [0; DATE_LEN];
        out.copy_from_slice(&self.0.to_be_bytes()[size_of::<u64>() - DATE_LEN..]);
        out
    }

    /// The newest date with these low octets that is not after `latest`: nine years apart they look
    /// the same.
    fn from_bytes(bytes: [u8; DATE_LEN], latest: Self) -> Self {
        const PERIOD: u64 = 1 << (8 * DATE_LEN);
        let mut whole = [0; size_of::<u64>()];
        whole[size_of::<u64>() - DATE_LEN..].copy_from_slice(&bytes);
        let date = latest.0 - latest.0 % PERIOD + u64::from_be_bytes(whole);
        Self(if date > latest.0 {
            date.saturating_sub(PERIOD)
        } else {
            date
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki_types::UnixTime;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Debug)]
    struct Told(AtomicU64);

    impl Clock for Told {
        fn unix_now(&self) -> UnixTime {
            UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed)))
        }
    }

    const START: u64 = 1_800_000_000;

    fn told() -> Told {
        Told(AtomicU64::new(START))
    }

    fn mint(clock: &Told, now: Instant) -> Mint {
        Mint::new(now, FleetSecret::from_bytes([7; FleetSecret::LEN]), clock)
    }

    /// A date comes back from its octets, whatever the year.
    #[test]
    fn a_date_comes_back_from_its_octets() {
        for latest in [1 << 20, (1 << 48) - 1, 1 << 48, (1 << 48) + 5, 7 << 48] {
            for age in [0, 1, 150_000_000] {
                let issued = Issued(u64::saturating_sub(latest, age));
                let back = Issued::from_bytes(issued.to_bytes(), Issued(latest));
                assert_eq!(back, issued, "{latest} {age}");
            }
        }
    }

    #[test]
    fn dates_of_cookies_grow_also_while_the_clock_stands_or_goes_back() {
        let (now, clock) = (crate::test_now(), told());
        let mut mint = mint(&clock, now);
        let mut dates: Vec<_> = (0..100).map(|_| mint.issue(now, &clock)).collect();
        clock.0.store(START - 1000, Ordering::Relaxed);
        dates.push(mint.issue(now + Duration::from_secs(1), &clock));
        assert!(dates.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn a_clock_that_is_set_right_is_followed() {
        let (now, clock) = (crate::test_now(), told());
        clock.0.store(0, Ordering::Relaxed);
        let mut late = mint(&clock, now);
        clock.0.store(START, Ordering::Relaxed);
        let issued = mint(&clock, now).issue(now, &clock);
        let read = late.read_date(now, &clock, issued.to_bytes());
        assert_eq!(read, Some(issued));
    }

    /// A clock that is set back is not followed, because dates of cookies must grow.
    #[test]
    fn a_clock_that_was_ahead_is_so_until_the_member_is_started_again() {
        let (now, clock) = (crate::test_now(), told());
        let mut other = mint(&clock, now);
        clock.0.store(START + 60, Ordering::Relaxed);
        let mut ahead = mint(&clock, now);
        clock.0.store(START, Ordering::Relaxed);
        for (mint, fits) in [(&mut ahead, false), (&mut mint(&clock, now), true)] {
            let issued = mint.issue(now, &clock);
            let read = other.read_date(now, &clock, issued.to_bytes());
            assert_eq!(read.is_some(), fits);
        }
    }

    /// A member whose clock is a little ahead is believed, and one that is far ahead is not.
    #[test]
    fn a_date_to_come_is_none() {
        let (now, clock) = (crate::test_now(), told());
        let mut mint = mint(&clock, now);
        let date = mint.date(now, &clock);
        for (ahead, fits) in [(SKEW, true), (2 * SKEW, false)] {
            let issued = Issued(date + micros(ahead));
            let read = mint.read_date(now, &clock, issued.to_bytes());
            assert_eq!(read.is_some(), fits, "{ahead:?}");
        }
    }

    #[test]
    fn the_key_changes_with_the_date_and_two_are_kept() {
        let (now, clock) = (crate::test_now(), told());
        let mut mint = mint(&clock, now);
        let first = Issued(START * 1_000_000 / micros(GENERATION) * micros(GENERATION));
        let tags: Vec<_> = [0, 1, micros(GENERATION) - 1, micros(GENERATION)]
            .map(|later| mint.tag(Issued(first.0 + later), &[b"contents"]))
            .into();
        assert!(tags[..3].iter().all(|tag| *tag == tags[0]));
        assert_ne!(tags[0], tags[3]);
        mint.tag(Issued(first.0 + 5 * micros(GENERATION)), &[]);
        assert_eq!(mint.recent.len(), MAX_KEYS);
    }
}
