//! Tickets: a session that the client keeps, sealed by keys that only the server has (RFC 5077 §4).
//!
//! ```text
//!  key name (16) ‖ nonce (12) ‖ AES-256-GCM(session) ‖ tag (16)          additional data: key name
//! ```
//!
//! A key seals for one lifetime and opens for one more; then it is dropped, and with it every
//! ticket that it sealed.

use super::{Session, lock};
use crate::crypto::aead::{AeadAlgorithm, AeadKey, NONCE_LEN};
use crate::crypto::random::{SecureRandom, SystemRandom};
use crate::error::{ConfigError, Error};
use pki_types::UnixTime;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroize::Zeroizing;

const NAME_LEN: usize = 16;

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
/// restart invalidates every ticket, which costs a full handshake each.
pub struct Tickets {
    keys: Mutex<VecDeque<TicketKey>>,
    lifetime: Duration,
    random: Arc<dyn SecureRandom>,
}

struct TicketKey {
    name: [u8; NAME_LEN],
    key: AeadKey,
    /// When it was made, in seconds of Unix time.
    made: u64,
    sealed: u64,
}

impl TicketKey {
    fn new(random: &dyn SecureRandom, now: UnixTime) -> Result<Self, Error> {
        let mut name = [0; NAME_LEN];
        let mut key = Zeroizing::new([0; AEAD.key_len()]);
        random.fill(&mut name)?;
        random.fill(&mut *key)?;
        Ok(Self {
            name,
            key: AeadKey::new(AEAD, &*key),
            made: now.as_secs(),
            sealed: 0,
        })
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
        let mut keys = lock(&self.keys);
        self.rotate(&mut keys, now).ok()?;
        let key = keys.front_mut()?;
        key.sealed += 1;
        let length = NAME_LEN + NONCE_LEN + state.len() + AEAD.tag_len();
        let mut ticket = Vec::with_capacity(length);
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(&state);
        let sealed = &mut ticket[NAME_LEN + NONCE_LEN..];
        let tag = key.key.seal(nonce, &key.name, sealed);
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    /// Opens a ticket; `None` for anything that no key of this server has sealed, or too long ago.
    pub(crate) fn open(&self, ticket: &[u8], now: UnixTime) -> Option<Session> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let length = sealed.len().checked_sub(AEAD.tag_len())?;
        let mut state = Zeroizing::new(sealed.to_vec());
        let mut keys = lock(&self.keys);
        self.forget(&mut keys, now);
        let key = keys.iter().find(|key| key.name == *name)?;
        key.key.open(*nonce, name, &mut state).ok()?;
        drop(keys);
        Session::from_bytes(&state[..length]).ok()
    }

    /// Makes sure that the first key may seal.
    fn rotate(&self, keys: &mut VecDeque<TicketKey>, now: UnixTime) -> Result<(), Error> {
        self.forget(keys, now);
        let fit =
            |key: &TicketKey| key.age(now) < self.lifetime.as_secs() && key.sealed < MAX_SEALED;
        if !keys.front().is_some_and(fit) {
            keys.push_front(TicketKey::new(&*self.random, now)?);
            keys.truncate(MAX_KEYS);
        }
        Ok(())
    }

    /// Drops the keys whose last ticket has expired.
    fn forget(&self, keys: &mut VecDeque<TicketKey>, now: UnixTime) {
        let limit = 2 * self.lifetime.as_secs();
        // A clock that went back by more than a key's whole life says nothing about it.
        keys.retain(|key| now.as_secs().saturating_sub(key.made) < limit);
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

    const HOUR: u64 = 3600;

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
}
