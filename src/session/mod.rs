//! Sessions: what a handshake leaves behind so that a later one needs no key exchange
//! (RFC 5246 §7.3, RFC 5077).
//!
//! ```text
//!  client:  Established ─► ClientSessionStore ─► the next ClientHello
//!
//!  server:  Established ─► ServerSessionStore, by session ID ─┐
//!           Established ─► Tickets::seal ─► the client        ├─► found ─► checked ─► resumed
//!                          the client ─► Tickets::open ───────┘
//! ```
//!
//! A session is bound to protocol, version, cipher suite, extended_master_secret, server name,
//! application protocol and the peer's identity. The engine compares them all; a session that does
//! not fit is a full handshake, never an error.

mod encoding;
mod memory;
mod ticket;

pub use memory::{MemoryClientSessions, MemoryServerSessions};
pub use ticket::Tickets;

use crate::crypto::suite::Suite;
use crate::error::{ConfigError, InvalidMessage};
use crate::identity::{Identity, Reply};
use crate::protocol::{
    CipherSuite, MaxFragmentLength, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::secrets::schedule12::MasterSecret;
use crate::secrets::schedule13::Secret;
use pki_types::UnixTime;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest life of a session, in seconds (RFC 5246 §F.1.4 suggests a day).
pub(crate) const MAX_LIFETIME: u32 = 24 * 60 * 60;

/// How far in the future the creation of a session may lie, in seconds: the clocks of a fleet
/// differ, and a clock may be set back a little.
const CLOCK_TOLERANCE: u64 = 60;

/// A session that can be resumed. It is cheap to clone.
///
/// It holds the secret that protects the data of its connection and of every resumption.
#[derive(Clone)]
pub struct Session(pub(crate) Resumable);

/// What is kept of a connection, which depends on its version.
#[derive(Clone)]
pub(crate) enum Resumable {
    /// A session of TLS 1.2 or DTLS 1.2.
    V12(Arc<Session12>),
    /// A ticket of TLS 1.3 or DTLS 1.3. A client uses it once (RFC 8446 §C.4).
    V13(Arc<Session13>),
}

impl Session {
    /// The session as bytes, with its secret: keep them as you would keep a private key.
    ///
    /// The form begins with its own version number; [`Session::from_bytes`] of a later release
    /// reads it, or returns an error.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        match &self.0 {
            Resumable::V12(session) => encoding::encode_12(session),
            Resumable::V13(session) => encoding::encode_13(session),
        }
    }

    /// Reads what [`Session::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`InvalidMessage`] if the bytes are something else, of an unknown form, or name a cipher
    /// suite that does not exist here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        encoding::decode(bytes)
    }

    /// What the handshake that made the session has agreed on.
    pub(crate) fn agreed(&self) -> &Agreed {
        match &self.0 {
            Resumable::V12(session) => &session.agreed,
            Resumable::V13(session) => &session.agreed,
        }
    }

    /// The version that the session belongs to.
    pub fn version(&self) -> ProtocolVersion {
        self.agreed().version
    }

    /// The cipher suite of the session, which every resumption keeps (RFC 5246 §7.4.1.3).
    pub fn cipher_suite(&self) -> CipherSuite {
        self.agreed().suite.id
    }

    /// Who the peer was when the session was made.
    pub fn peer_identity(&self) -> Option<&Identity> {
        self.agreed().peer_identity.as_ref()
    }

    /// Whether the session has expired at `date`, or was created later than that.
    pub fn is_expired(&self, date: UnixTime) -> bool {
        match &self.0 {
            Resumable::V12(session) => !session.is_fresh(date),
            Resumable::V13(session) => !session.is_fresh(date),
        }
    }

    /// Whether a client may offer the session only once, as at 1.3, so that an observer cannot tell
    /// that two connections are the same client's (RFC 8446 §C.4).
    pub fn is_single_use(&self) -> bool {
        matches!(self.0, Resumable::V13(_))
    }
}

/// Shows what the session is, never its secret.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Resumable::V12(session) => session.fmt(f),
            Resumable::V13(session) => session.fmt(f),
        }
    }
}

impl From<Arc<Session12>> for Session {
    fn from(session: Arc<Session12>) -> Self {
        Self(Resumable::V12(session))
    }
}

impl From<Arc<Session13>> for Session {
    fn from(session: Arc<Session13>) -> Self {
        Self(Resumable::V13(session))
    }
}

/// What a handshake has agreed on and found out, at either version.
#[derive(Clone)]
pub(crate) struct Agreed {
    pub(crate) version: ProtocolVersion,
    /// At 1.2, what limits the records of a session for as long as it is resumed (RFC 6066 §4).
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    pub(crate) suite: &'static Suite,
    pub(crate) alpn: Option<Vec<u8>>,
    /// The DNS name that the client asked for.
    pub(crate) server_name: Option<Box<str>>,
    /// Who the peer of this end is.
    pub(crate) peer_identity: Option<Identity>,
    /// What the peer has proved that with.
    pub(crate) peer_scheme: Option<SignatureScheme>,
    /// When the peer last proved who it is, in seconds of Unix time. A resumption does not make
    /// that younger.
    pub(crate) created: u64,
}

impl Agreed {
    /// What `created` is: the time of the handshake, or that of the session whose ticket it has
    /// taken.
    pub(crate) fn created(psk: Option<&Session13>, started: UnixTime) -> u64 {
        psk.map_or(started.as_secs(), |psk| psk.agreed.created)
    }
}

/// The group of a key exchange, if there was one, in two bytes: every association holds one.
#[derive(Clone, Copy)]
pub(crate) struct Exchanged(NamedGroup);

impl Exchanged {
    /// What no group has for a number.
    const NOTHING: NamedGroup = NamedGroup(0);

    /// The group.
    pub(crate) fn group(self) -> Option<NamedGroup> {
        (self.0 != Self::NOTHING).then_some(self.0)
    }
}

impl From<Option<NamedGroup>> for Exchanged {
    fn from(group: Option<NamedGroup>) -> Self {
        Self(group.unwrap_or(Self::NOTHING))
    }
}

/// A session of version 1.2, in force or stored.
pub(crate) struct Session12 {
    pub(crate) agreed: Agreed,
    /// Whether keys were exchanged, and in which group.
    pub(crate) exchanged: Exchanged,
    pub(crate) master_secret: MasterSecret,
    /// Whether the master secret is bound to the handshake (RFC 7627). Without it a session is not
    /// resumed, unless the policy allows that.
    pub(crate) extended_master_secret: bool,
    /// How long the session may be resumed, in seconds.
    pub(crate) lifetime: u32,
    /// The name under which the server keeps the session; empty for none.
    pub(crate) id: Box<[u8]>,
    /// What a client presents instead; empty for none.
    pub(crate) ticket: Box<[u8]>,
}

impl Session12 {
    /// Whether the session is valid now: not created in the future, and not expired.
    pub(crate) fn is_fresh(&self, date: UnixTime) -> bool {
        let date = date.as_secs();
        let created = self.agreed.created;
        date + CLOCK_TOLERANCE >= created && date.saturating_sub(created) < u64::from(self.lifetime)
    }

    /// How much longer the session may be resumed, in seconds.
    pub(crate) fn remaining(&self, date: UnixTime) -> u32 {
        let age = date.as_secs().saturating_sub(self.agreed.created);
        self.lifetime
            .saturating_sub(u32::try_from(age).unwrap_or(u32::MAX))
    }

    /// Whether a client can ask for this session again, by ID or by ticket.
    pub(crate) fn has_name(&self) -> bool {
        !(self.id.is_empty() && self.ticket.is_empty())
    }
}

impl fmt::Debug for Session12 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session12")
            .field("version", &self.agreed.version)
            .field("suite", &self.agreed.suite.id)
            .field("server_name", &self.agreed.server_name)
            .field("peer_identity", &self.agreed.peer_identity)
            .field("created", &self.agreed.created)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// A ticket of version 1.3 with its key (RFC 8446 §4.6.1).
pub(crate) struct Session13 {
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) psk: Secret,
    /// When the ticket was issued or came, in seconds of Unix time.
    pub(crate) issued: u64,
    /// How long the ticket is good for after that, in seconds.
    pub(crate) lifetime: u32,
    /// What a client adds to the ticket's age.
    pub(crate) age_add: u32,
    /// What a client presents; empty inside the ticket itself.
    pub(crate) ticket: Vec<u8>,
}

impl Session13 {
    /// Whether the ticket is valid now: not issued in the future, not expired, and the peer's proof
    /// of who it is not too old.
    pub(crate) fn is_fresh(&self, date: UnixTime) -> bool {
        let date = date.as_secs();
        date + CLOCK_TOLERANCE >= self.issued
            && date.saturating_sub(self.issued) < u64::from(self.lifetime)
            && date.saturating_sub(self.agreed.created) < u64::from(MAX_LIFETIME)
    }

    /// How much older the ticket is by the client's account than by its issuer's, in seconds.
    pub(crate) fn age_skew(&self, obfuscated: u32, date: UnixTime) -> i32 {
        let told = i64::from(obfuscated.wrapping_sub(self.age_add) / 1000);
        let known = date.as_secs().saturating_sub(self.issued);
        let skew = told - i64::try_from(known).unwrap_or(i64::MAX);
        i32::try_from(skew).unwrap_or(if skew < 0 { i32::MIN } else { i32::MAX })
    }

    /// The ticket's age as a client tells it: in milliseconds, hidden from everybody but the issuer
    /// (RFC 8446 §4.2.11.1).
    pub(crate) fn obfuscated_age(&self, date: UnixTime) -> u32 {
        let seconds = date.as_secs().saturating_sub(self.issued);
        let age = seconds.wrapping_mul(1000) as u32;
        age.wrapping_add(self.age_add)
    }
}

impl fmt::Debug for Session13 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session13")
            .field("version", &self.agreed.version)
            .field("suite", &self.agreed.suite.id)
            .field("server_name", &self.agreed.server_name)
            .field("peer_identity", &self.agreed.peer_identity)
            .field("issued", &self.issued)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// What a client's session belongs to: no other server, protocol or configuration sees it (F4).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionKey {
    pub(crate) protocol: &'static str,
    pub(crate) server: String,
    pub(crate) configuration: u64,
}

impl SessionKey {
    /// `TLS` or `DTLS`.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The name or address that the server had to prove to be.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A number that no other configuration of this process has, so that sessions made under one
    /// verifier and one credential are not offered under others.
    pub fn configuration(&self) -> u64 {
        self.configuration
    }
}

/// Where a client keeps sessions. Called in the middle of handshakes, so it must not block.
pub trait ClientSessionStore: Send + Sync + fmt::Debug {
    /// Keeps a session, and forgets an earlier one of the same key. Of sessions that are
    /// [used once](Session::is_single_use) several may be kept.
    fn put(&self, key: &SessionKey, session: Session, date: UnixTime);
    /// A session to offer, if there is one. One that is [used once](Session::is_single_use) is not
    /// given again.
    fn get(&self, key: &SessionKey, date: UnixTime) -> Option<Session>;
    /// Forgets every session of the key: a connection under one has failed (RFC 5246 §7.2.2).
    fn remove(&self, key: &SessionKey);
}

/// Where a server keeps sessions, by session ID. Called in the middle of handshakes, so it must not
/// block: what takes long is done later, and a look-up may be answered later.
pub trait ServerSessionStore: Send + Sync + fmt::Debug {
    /// Keeps a session under an ID of 32 random bytes.
    fn put(&self, id: &[u8], session: Session, date: UnixTime);
    /// The session with this ID, which may be any 1 to 32 bytes that a stranger makes up. A store
    /// that has to ask another system returns what it knows at once, for example nothing.
    fn get(&self, id: &[u8], date: UnixTime) -> Option<Session>;
    /// The same for a store that has to ask another system, and answers later; by default it
    /// answers at once, as [`ServerSessionStore::get`] does. A session that is not found, or that
    /// expires meanwhile, costs a full handshake, and so does a `found` that is dropped.
    ///
    /// Only clients whose address is proved are looked up in this way. An endpoint that spares
    /// resumptions the cookie ([`ResumptionCookies`](crate::endpoint::ResumptionCookies)) asks
    /// [`ServerSessionStore::get`] about the others.
    fn get_later(&self, id: &[u8], date: UnixTime, found: Reply<Option<Session>>) {
        found.send(self.get(id, date));
    }
    /// Forgets the session: a connection under it has failed (RFC 5246 §7.2.2).
    fn remove(&self, id: &[u8]);
}

/// How many tickets of one ClientHello a server looks at.
const MAX_TICKETS_TRIED: usize = 4;

/// How a server resumes.
#[derive(Clone, Debug)]
pub(crate) struct ServerSessions {
    pub(crate) tickets: Option<Arc<Tickets>>,
    pub(crate) cache: Option<Arc<dyn ServerSessionStore>>,
    pub(crate) lifetime: Duration,
    /// How many tickets a handshake of version 1.3 is followed by.
    pub(crate) tickets_per_handshake: u8,
}

impl ServerSessions {
    /// The session that a ClientHello asks for, if it is known at once. A ticket goes before an ID,
    /// which is then only an echo (RFC 5077 §3.4).
    pub(crate) fn find(&self, id: &[u8], ticket: &[u8], date: UnixTime) -> Option<Session> {
        let session = if ticket.is_empty() {
            let cache = self.cache.as_ref().filter(|_| !id.is_empty())?;
            cache.get(id, date)?
        } else {
            self.tickets.as_ref()?.open(ticket, date)?
        };
        (!session.is_expired(date)).then_some(session)
    }

    /// The same, from a store that may answer later. It may have expired.
    pub(crate) fn find_later(
        &self,
        id: &[u8],
        ticket: &[u8],
        date: UnixTime,
        found: Reply<Option<Session>>,
    ) {
        match &self.cache {
            Some(cache) if ticket.is_empty() && !id.is_empty() => cache.get_later(id, date, found),
            _ => found.send(self.find(id, ticket, date)),
        }
    }

    /// The first of the tickets of version 1.3 that can be opened and is not too old. Only a few
    /// are tried, because each costs a decryption.
    pub(crate) fn find_13(
        &self,
        tickets: &[Vec<u8>],
        date: UnixTime,
    ) -> Option<(usize, Arc<Session13>)> {
        let keys = self.tickets.as_ref()?;
        let mut tried = tickets.iter().take(MAX_TICKETS_TRIED).enumerate();
        tried.find_map(|(index, ticket)| match keys.open(ticket, date)? {
            Session(Resumable::V13(session)) if session.is_fresh(date) => Some((index, session)),
            _ => None,
        })
    }

    /// Whether this server resumes at all.
    pub(crate) fn any(&self) -> bool {
        self.tickets.is_some() || self.cache.is_some()
    }

    /// How long a new session may be resumed, in seconds.
    pub(crate) fn lifetime(&self) -> u32 {
        u32::try_from(self.lifetime.as_secs()).unwrap_or(MAX_LIFETIME)
    }
}

/// Checks that a session may live that long: a minute to a day.
pub(crate) fn check_lifetime(lifetime: Duration) -> Result<(), ConfigError> {
    let max = MAX_LIFETIME.into();
    if (60..=max).contains(&lifetime.as_secs()) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        what: "session lifetime in seconds",
        min: 60,
        max,
    })
}

/// A thread that panicked while it held the lock has left the data consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
fn test_session() -> Session12 {
    let suite = crate::crypto::suite::first_12();
    let chain = vec![vec![1, 2, 3].into(), vec![4, 5].into()];
    Session12 {
        agreed: Agreed {
            version: ProtocolVersion::DTLS12,
            max_fragment_length: Some(MaxFragmentLength::Bytes4096),
            suite,
            alpn: Some(b"coap".to_vec()),
            server_name: Some("server.test".into()),
            peer_identity: Some(Identity::Certificate(chain.into())),
            peer_scheme: Some(SignatureScheme::ED25519),
            created: 1000,
        },
        exchanged: Some(NamedGroup::X25519).into(),
        master_secret: MasterSecret::from_bytes(suite.hash, [9; 48]),
        extended_master_secret: true,
        lifetime: 3600,
        id: Box::new([7; 32]),
        ticket: Box::from(*b"a ticket"),
    }
}

/// A session of version 1.3 for unit tests.
#[cfg(test)]
pub(crate) fn test_session_13() -> Session13 {
    let suite = crate::crypto::suite::supported()
        .find(|suite| suite.is_13())
        .unwrap();
    let session = test_session();
    Session13 {
        agreed: Arc::new(Agreed {
            version: ProtocolVersion::DTLS13,
            suite,
            ..session.agreed
        }),
        psk: Secret::from_bytes(&vec![8; suite.hash.len()]).unwrap(),
        issued: 1001,
        lifetime: 3600,
        age_add: 0x0102_0304,
        ticket: session.ticket.into(),
    }
}
