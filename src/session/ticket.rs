//! Tickets: a session that the client keeps, sealed by keys that only the server has (RFC 5077 §4).
//!
//! ```text
//!  key name (16) ‖ nonce (12) ‖ AES-256-GCM(session) ‖ tag (16)          additional data: key name
//! ```
//!
//! A key of one server's own is random. It seals for one lifetime and opens for one more; then it
//! is dropped, and with it every ticket that it sealed.
//!
//! A key of a fleet is derived from the secret of the fleet and the key's own name, by whoever gets
//! such a ticket. The name tells the hour in which the key seals, and it has a random part for each
//! member, so that no two of them ever seal under the same key: each alone answers for its nonces.
//!
//! ```text
//!  key name of a fleet:  hours since 1970 (4) ‖ random (12)
//! ```

use super::{CLOCK_TOLERANCE, Session, lock};
use crate::crypto::aead::{AeadAlgorithm, AeadKey, NONCE_LEN};
use crate::crypto::random::{SecureRandom, SystemRandom};
use crate::error::{ConfigError, Error};
use crate::secrets::fleet::{FleetSecret, Purpose};
use pki_types::UnixTime;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroize::Zeroizing;

const NAME_LEN: usize = 16;

/// The length of the part of a fleet's key name that tells the hour.
const HOUR_LEN: usize = 4;

/// How long a key of a fleet seals, in seconds.
const HOUR: u64 = 60 * 60;

/// What seals them.
const AEAD: AeadAlgorithm = AeadAlgorithm::Aes256Gcm;

/// Longer tickets are not issued, because some servers and networks refuse a ClientHello of that
/// size.
const MAX_TICKET_LEN: usize = 1 << 13;

/// How many tickets one key seals: a random nonce of 96 bits may repeat with probability 2^-32 then
/// (RFC 5116 §3.2, NIST SP 800-38D §8.3).
const MAX_SEALED: u64 = 1 << 32;

/// How many keys are kept at most. An honest clock needs three; one that keeps going back would
/// make a key each time.
const MAX_KEYS: usize = 16;

/// Seals and opens tickets, with keys that it makes, changes and forgets by itself.
///
/// Several configurations of one process can share it. Keys are never written anywhere, so a
/// restart invalidates every ticket, which costs a full handshake each. Servers that are to open
/// each other's tickets, or those from before a restart, share a secret instead:
/// [`ServerConfigBuilder::fleet`](crate::server::ServerConfigBuilder::fleet).
pub struct Tickets {
    /// The keys that were made here, the one that seals in front.
    keys: Mutex<VecDeque<TicketKey>>,
    lifetime: Duration,
    random: Arc<dyn SecureRandom>,
    /// What keys are derived from that others have too.
    fleet: Option<FleetSecret>,
}

struct TicketKey {
    name: [u8; NAME_LEN],
    key: Arc<AeadKey>,
    /// When it began to seal, in seconds of Unix time.
    made: u64,
    sealed: u64,
}

impl TicketKey {
    /// A key that nobody else has.
    fn new(random: &dyn SecureRandom, now: UnixTime) -> Result<Self, Error> {
        let mut name = [0; NAME_LEN];
        let mut key = Zeroizing::new([0; AEAD.key_len()]);
        random.fill(&mut name)?;
        random.fill(&mut *key)?;
        Ok(Self::with(name, &key[..], now.as_secs()))
    }

    /// A key that only this member seals with, and that the others of its fleet can derive.
    fn of_member(
        random: &dyn SecureRandom,
        fleet: &FleetSecret,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let mut name = [0; NAME_LEN];
        let hour = u32::try_from(now.as_secs() / HOUR).unwrap_or(u32::MAX);
        let (date, rest) = name.split_at_mut(HOUR_LEN);
        date.copy_from_slice(&hour.to_be_bytes());
        random.fill(rest)?;
        Ok(Self::derived(fleet, name))
    }

    /// The key of a fleet that has this name.
    fn derived(fleet: &FleetSecret, name: [u8; NAME_LEN]) -> Self {
        let key = fleet.derive(Purpose::Tickets, &name);
        Self::with(name, &key[..], Self::date_of(&name))
    }

    /// When the key of a fleet that has this name begins to seal.
    fn date_of(name: &[u8; NAME_LEN]) -> u64 {
        let mut hour = [0; HOUR_LEN];
        hour.copy_from_slice(&name[..HOUR_LEN]);
        u64::from(u32::from_be_bytes(hour)) * HOUR
    }

    fn with(name: [u8; NAME_LEN], key: &[u8], made: u64) -> Self {
        Self {
            name,
            key: Arc::new(AeadKey::new(AEAD, key)),
            made,
            sealed: 0,
        }
    }

    /// How old the key is, in seconds. A clock that went back makes it old, so that it is changed.
    fn age(&self, now: UnixTime) -> u64 {
        now.as_secs().checked_sub(self.made).unwrap_or(u64::MAX)
    }
}

impl Tickets {
    /// Tickets that are good for `lifetime`: a minute to a day. Randomness comes from the system.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn new(lifetime: Duration) -> Result<Self, ConfigError> {
        Self::with_random(lifetime, Arc::new(SystemRandom))
    }

    /// The same with another source of randomness.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn with_random(
        lifetime: Duration,
        random: Arc<dyn SecureRandom>,
    ) -> Result<Self, ConfigError> {
        super::check_lifetime(lifetime)?;
        Ok(Self {
            keys: Mutex::default(),
            lifetime,
            random,
            fleet: None,
        })
    }

    /// The same with keys that the other members of a fleet have too.
    pub(crate) fn of_fleet(
        lifetime: Duration,
        random: Arc<dyn SecureRandom>,
        secret: FleetSecret,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            fleet: Some(secret),
            ..Self::with_random(lifetime, random)?
        })
    }

    /// How long a ticket is good for.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Seals a session; `None` if there is no randomness or the ticket would be too long.
    pub(crate) fn seal(&self, session: &Session, now: UnixTime) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let state = session.to_bytes();
        if state.len() > MAX_TICKET_LEN {
            return None;
        }
        let (name, key) = self.sealing_key(now)?;
        let length = NAME_LEN + NONCE_LEN + state.len() + AEAD.tag_len();
        let mut ticket = Vec::with_capacity(length);
        ticket.extend_from_slice(&name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(&state);
        let sealed = &mut ticket[NAME_LEN + NONCE_LEN..];
        let tag = key.seal(nonce, &name, sealed);
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    /// Opens a ticket; `None` for anything that no key of this server, or of its fleet, has sealed,
    /// or too long ago.
    pub(crate) fn open(&self, ticket: &[u8], now: UnixTime) -> Option<Session> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let length = sealed.len().checked_sub(AEAD.tag_len())?;
        let key = self.opening_key(name, now)?;
        let mut state = Zeroizing::new(sealed.to_vec());
        key.open(*nonce, name, &mut state).ok()?;
        Session::from_bytes(&state[..length]).ok()
    }

    /// Whether a ticket bears the name of a key that this server, or its fleet, may have sealed it
    /// with.
    pub(crate) fn may_have_sealed(&self, ticket: &[u8], now: UnixTime) -> bool {
        let Some(name) = ticket.first_chunk::<NAME_LEN>() else {
            return false;
        };
        let known = lock(&self.keys).iter().any(|key| key.name == *name);
        known || self.fleet.is_some() && self.is_of_fleet(name, now)
    }

    /// The key that seals now, for one more ticket, and its name. Threads that share it wait for
    /// each other only here.
    fn sealing_key(&self, now: UnixTime) -> Option<([u8; NAME_LEN], Arc<AeadKey>)> {
        let mut keys = lock(&self.keys);
        self.forget(&mut keys, now);
        let fit = |key: &TicketKey| key.age(now) < self.span() && key.sealed < MAX_SEALED;
        if !keys.front().is_some_and(fit) {
            let random = &*self.random;
            let made = match &self.fleet {
                Some(secret) => TicketKey::of_member(random, secret, now),
                None => TicketKey::new(random, now),
            };
            keys.push_front(made.ok()?);
            keys.truncate(MAX_KEYS);
        }
        let key = keys.front_mut()?;
        key.sealed += 1;
        Some((key.name, key.key.clone()))
    }

    fn opening_key(&self, name: &[u8; NAME_LEN], now: UnixTime) -> Option<Arc<AeadKey>> {
        let mut keys = lock(&self.keys);
        self.forget(&mut keys, now);
        if let Some(key) = keys.iter().find(|key| key.name == *name) {
            return Some(key.key.clone());
        }
        drop(keys);
        let secret = self.fleet.as_ref()?;
        // To derive a key costs less than to keep those of a large fleet.
        self.is_of_fleet(name, now)
            .then(|| TicketKey::derived(secret, *name).key)
    }

    /// Whether a key of a fleet with this name may have sealed a ticket that is still good.
    fn is_of_fleet(&self, name: &[u8; NAME_LEN], now: UnixTime) -> bool {
        let made = TicketKey::date_of(name);
        made <= now.as_secs() + CLOCK_TOLERANCE && self.may_open(made, now)
    }

    /// How long a key seals, in seconds.
    fn span(&self) -> u64 {
        match self.fleet {
            Some(_) => HOUR,
            None => self.lifetime.as_secs(),
        }
    }

    /// Drops the keys whose last ticket has expired.
    fn forget(&self, keys: &mut VecDeque<TicketKey>, now: UnixTime) {
        keys.retain(|key| self.may_open(key.made, now));
    }

    /// Whether some ticket may be good still of a key that began to seal then.
    fn may_open(&self, made: u64, now: UnixTime) -> bool {
        // A clock that went back by more than a key's whole life says nothing about it.
        now.as_secs().saturating_sub(made) < self.span() + self.lifetime.as_secs()
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::test_session;

    /// Each step back makes a key, because the one before seems to come from the future.
    #[test]
    fn a_clock_that_keeps_going_back_does_not_fill_the_memory() {
        let tickets = Tickets::new(Duration::from_secs(HOUR)).unwrap();
        let mut newest = Vec::new();
        for step in 0..100 {
            newest = tickets.seal(&session(0), at(1_000_000 - step)).unwrap();
            assert!(lock(&tickets.keys).len() <= MAX_KEYS);
        }
        assert_eq!(lock(&tickets.keys).len(), MAX_KEYS);
        assert!(tickets.open(&newest, at(1_000_000)).is_some());
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn session(created: u64) -> Session {
        let mut session = test_session();
        session.agreed.created = created;
        Session::from(Arc::new(session))
    }

    fn tickets() -> Tickets {
        Tickets::new(Duration::from_secs(HOUR)).unwrap()
    }

    #[test]
    fn a_ticket_opens_at_the_server_that_sealed_it() {
        let tickets = tickets();
        let ticket = tickets.seal(&session(1000), at(1000)).unwrap();
        let opened = tickets.open(&ticket, at(1001)).unwrap();
        assert_eq!(*opened.to_bytes(), *session(1000).to_bytes());
    }

    /// F1 (GnuTLS CVE-2020-13777): two servers that have just started have different keys.
    #[test]
    fn a_ticket_of_another_server_does_not_open() {
        let ticket = tickets().seal(&session(1000), at(1000)).unwrap();
        assert!(tickets().open(&ticket, at(1000)).is_none());
        let other = tickets();
        other.seal(&session(1000), at(1000)).unwrap();
        assert!(other.open(&ticket, at(1000)).is_none());
    }

    #[test]
    fn an_altered_or_cut_ticket_does_not_open() {
        let tickets = tickets();
        let ticket = tickets.seal(&session(1000), at(1000)).unwrap();
        for index in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[index] ^= 0x40;
            assert!(tickets.open(&altered, at(1000)).is_none(), "{index}");
            assert!(tickets.open(&ticket[..index], at(1000)).is_none());
        }
    }

    /// A ticket outlives the change of keys, and ends with its own key.
    #[test]
    fn keys_change_after_a_lifetime_and_are_forgotten_after_two() {
        let tickets = tickets();
        let first = tickets.seal(&session(0), at(0)).unwrap();
        let late = tickets.seal(&session(HOUR - 1), at(HOUR - 1)).unwrap();
        assert_eq!(first[..NAME_LEN], late[..NAME_LEN]);
        let next = tickets.seal(&session(HOUR), at(HOUR)).unwrap();
        assert_ne!(first[..NAME_LEN], next[..NAME_LEN]);
        assert!(tickets.open(&late, at(2 * HOUR - 1)).is_some());
        assert!(tickets.open(&late, at(2 * HOUR)).is_none());
        assert_eq!(lock(&tickets.keys).len(), 1);
    }

    /// F15: a clock that is set back an hour, and one that jumps eight days ahead.
    #[test]
    fn a_clock_that_jumps_does_no_harm() {
        let tickets = tickets();
        let ticket = tickets.seal(&session(10 * HOUR), at(10 * HOUR)).unwrap();
        assert!(tickets.open(&ticket, at(9 * HOUR)).is_some());
        let back = tickets.seal(&session(9 * HOUR), at(9 * HOUR)).unwrap();
        assert_ne!(ticket[..NAME_LEN], back[..NAME_LEN], "the key is changed");
        assert!(tickets.open(&back, at(9 * HOUR)).is_some());
        assert!(tickets.open(&ticket, at(10 * HOUR + 8 * 86_400)).is_none());
        assert!(lock(&tickets.keys).len() <= 2);
    }

    fn member(secret: &FleetSecret) -> Tickets {
        let lifetime = Duration::from_secs(2 * HOUR);
        Tickets::of_fleet(lifetime, Arc::new(SystemRandom), secret.clone()).unwrap()
    }

    /// Each member seals under keys of its own, because their nonces are random, and opens those of
    /// the others. One that was started again is another member.
    #[test]
    fn members_of_a_fleet_open_each_others_tickets() {
        let secret = FleetSecret::generate().unwrap();
        let (one, other) = (member(&secret), member(&secret));
        let exported = member(&FleetSecret::from_bytes(*secret.as_bytes()));
        let stranger = member(&FleetSecret::generate().unwrap());
        let ticket = one.seal(&session(10 * HOUR), at(10 * HOUR)).unwrap();
        for fellow in [&one, &other, &exported] {
            let opened = fellow.open(&ticket, at(10 * HOUR + 1)).unwrap();
            assert_eq!(*opened.to_bytes(), *session(10 * HOUR).to_bytes());
        }
        for other in [&stranger, &tickets()] {
            assert!(other.open(&ticket, at(10 * HOUR + 1)).is_none());
        }
        let reply = other.seal(&session(10 * HOUR), at(10 * HOUR)).unwrap();
        assert_ne!(ticket[..NAME_LEN], reply[..NAME_LEN]);
        for index in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[index] ^= 0x40;
            assert!(other.open(&altered, at(10 * HOUR)).is_none(), "{index}");
        }
    }

    /// The wall clock alone says which keys are in use. A member may be a little ahead.
    #[test]
    fn keys_of_a_fleet_change_with_the_hour_and_open_for_a_lifetime_more() {
        let secret = FleetSecret::generate().unwrap();
        let (one, other) = (member(&secret), member(&secret));
        let late = 11 * HOUR - 1;
        let first = one.seal(&session(10 * HOUR), at(10 * HOUR)).unwrap();
        let last = one.seal(&session(late), at(late)).unwrap();
        let next = one.seal(&session(late + 1), at(late + 1)).unwrap();
        assert_eq!(first[..NAME_LEN], last[..NAME_LEN]);
        assert_ne!(last[..NAME_LEN], next[..NAME_LEN]);
        for tickets in [&one, &other] {
            assert!(tickets.open(&last, at(13 * HOUR - 1)).is_some());
            assert!(tickets.open(&last, at(13 * HOUR)).is_none());
        }
        for (clock, opens) in [(CLOCK_TOLERANCE, true), (CLOCK_TOLERANCE + 1, false)] {
            let opened = other.open(&next, at(11 * HOUR - clock));
            assert_eq!(opened.is_some(), opens, "{clock}");
        }
    }

    /// Whoever makes up names costs a derivation each, and nothing is kept of it.
    #[test]
    fn names_that_strangers_make_up_take_no_memory() {
        let secret = FleetSecret::generate().unwrap();
        let one = member(&secret);
        for number in 0..1000_u64 {
            let mut name = [0; NAME_LEN];
            name[..HOUR_LEN].copy_from_slice(&10_u32.to_be_bytes());
            name[HOUR_LEN..HOUR_LEN + 8].copy_from_slice(&number.to_be_bytes());
            let forged = [&name[..], &[0; 60]].concat();
            assert!(one.open(&forged, at(10 * HOUR)).is_none());
        }
        assert!(lock(&one.keys).is_empty());
    }
}
