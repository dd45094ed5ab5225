//! Stores in memory, which are bounded and forget expired sessions.

use super::{ClientSessionStore, ServerSessionStore, Session, SessionKey, lock};
use crate::wire::client_hello::MAX_SESSION_ID_LEN;
use pki_types::UnixTime;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::Mutex;

/// Sessions by some key, with the order in which they came.
struct Bounded<K> {
    capacity: usize,
    sessions: HashMap<K, (u64, Session)>,
    /// The keys by the number of their arrival: the oldest one goes first.
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K: Clone + Eq + Hash> Bounded<K> {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            sessions: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }

    fn put(&mut self, key: K, session: Session, now: UnixTime) {
        self.remove(&key);
        while let Some((_, oldest)) = self.order.first_key_value() {
            let expired = self
                .sessions
                .get(oldest)
                .is_none_or(|(_, session)| session.is_expired(now));
            if !expired && self.sessions.len() < self.capacity {
                break;
            }
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
        let number = self.next;
        self.next += 1;
        self.order.insert(number, key.clone());
        self.sessions.insert(key, (number, session));
    }

    fn get(&mut self, key: &K, now: UnixTime) -> Option<Session> {
        let (_, session) = self.sessions.get(key)?;
        if session.is_expired(now) {
            self.remove(key);
            return None;
        }
        Some(session.clone())
    }

    fn remove(&mut self, key: &K) {
        if let Some((number, _)) = self.sessions.remove(key) {
            self.order.remove(&number);
        }
    }
}

/// What a client keeps of one server: the tickets of 1.3 beside a session of 1.2.
#[derive(Default)]
struct OfServer {
    reusable: Option<Session>,
    /// The newest last.
    single_use: VecDeque<Session>,
    /// When the last one came: the server whose last session is oldest goes first.
    last: u64,
}

/// How many tickets of one server are kept.
const MAX_SINGLE_USE: usize = 4;

impl OfServer {
    fn put(&mut self, session: Session) {
        if !session.is_single_use() {
            self.reusable = Some(session);
            return;
        }
        if self.single_use.len() >= MAX_SINGLE_USE {
            self.single_use.pop_front();
        }
        self.single_use.push_back(session);
    }

    /// The newest ticket, which is not given again, or else the session.
    fn take(&mut self, now: UnixTime) -> Option<Session> {
        self.forget_expired(now);
        self.single_use.pop_back().or_else(|| self.reusable.clone())
    }

    fn forget_expired(&mut self, now: UnixTime) {
        self.single_use.retain(|session| !session.is_expired(now));
        self.reusable.take_if(|session| session.is_expired(now));
    }

    fn is_empty(&self) -> bool {
        self.reusable.is_none() && self.single_use.is_empty()
    }
}

/// Servers, in the order of their last sessions.
#[derive(Default)]
struct ClientSessions {
    servers: HashMap<SessionKey, OfServer>,
    order: BTreeMap<u64, SessionKey>,
    next: u64,
}

impl ClientSessions {
    fn put(&mut self, key: &SessionKey, session: Session, capacity: usize, now: UnixTime) {
        let mut known = self.remove(key).unwrap_or_default();
        while let Some((_, oldest)) = self.order.first_key_value() {
            let oldest = oldest.clone();
            if let Some(server) = self.servers.get_mut(&oldest) {
                server.forget_expired(now);
            }
            let empty = self.servers.get(&oldest).is_none_or(OfServer::is_empty);
            if !empty && self.servers.len() < capacity {
                break;
            }
            self.remove(&oldest);
        }
        known.put(session);
        known.last = self.next;
        self.next += 1;
        self.order.insert(known.last, key.clone());
        self.servers.insert(key.clone(), known);
    }

    fn take(&mut self, key: &SessionKey, now: UnixTime) -> Option<Session> {
        let server = self.servers.get_mut(key)?;
        let session = server.take(now);
        if server.is_empty() {
            self.remove(key);
        }
        session
    }

    fn remove(&mut self, key: &SessionKey) -> Option<OfServer> {
        let server = self.servers.remove(key)?;
        self.order.remove(&server.last);
        Some(server)
    }
}

/// A client's sessions in memory, by server, protocol and configuration: for each key a session of
/// 1.2 and the last four tickets of 1.3.
pub struct MemoryClientSessions {
    sessions: Mutex<ClientSessions>,
    capacity: usize,
}

impl MemoryClientSessions {
    /// Keeps sessions with at most `capacity` servers, at least one; the one whose last session is
    /// oldest goes first.
    pub fn new(capacity: usize) -> Self {
        Self {
            sessions: Mutex::default(),
            capacity: capacity.max(1),
        }
    }

    /// How many servers there are sessions with.
    pub fn len(&self) -> usize {
        lock(&self.sessions).servers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ClientSessionStore for MemoryClientSessions {
    fn put(&self, key: &SessionKey, session: Session, now: UnixTime) {
        lock(&self.sessions).put(key, session, self.capacity, now);
    }

    fn get(&self, key: &SessionKey, now: UnixTime) -> Option<Session> {
        lock(&self.sessions).take(key, now)
    }

    fn remove(&self, key: &SessionKey) {
        lock(&self.sessions).remove(key);
    }
}

impl fmt::Debug for MemoryClientSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryClientSessions({})", self.len())
    }
}

/// A server's sessions in memory, by session ID.
pub struct MemoryServerSessions(Mutex<Bounded<SessionId>>);

/// A session ID, padded with zeros: in place, because there are many of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SessionId {
    bytes: [u8; MAX_SESSION_ID_LEN],
    length: u8,
}

impl SessionId {
    /// `None` if it is too long to be one.
    fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_SESSION_ID_LEN];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        let length = u8::try_from(id.len()).ok()?;
        Some(Self { bytes, length })
    }
}

impl MemoryServerSessions {
    /// Keeps at most `capacity` sessions, at least one; the oldest goes first.
    pub fn new(capacity: usize) -> Self {
        Self(Mutex::new(Bounded::new(capacity)))
    }

    /// How many sessions are kept.
    pub fn len(&self) -> usize {
        lock(&self.0).sessions.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ServerSessionStore for MemoryServerSessions {
    fn put(&self, id: &[u8], session: Session, now: UnixTime) {
        if let Some(id) = SessionId::new(id) {
            lock(&self.0).put(id, session, now);
        }
    }

    fn get(&self, id: &[u8], now: UnixTime) -> Option<Session> {
        lock(&self.0).get(&SessionId::new(id)?, now)
    }

    fn remove(&self, id: &[u8]) {
        if let Some(id) = SessionId::new(id) {
            lock(&self.0).remove(&id);
        }
    }
}

impl fmt::Debug for MemoryServerSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryServerSessions({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::test_session;
    use std::sync::Arc;
    use std::time::Duration;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn session() -> Session {
        Session::from(Arc::new(test_session()))
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let store = MemoryServerSessions::new(3);
        for id in 0..5_u8 {
            store.put(&[id], session(), at(1000));
        }
        assert_eq!(store.len(), 3);
        let kept: Vec<u8> = (0..5)
            .filter(|&id| store.get(&[id], at(1000)).is_some())
            .collect();
        assert_eq!(kept, [2, 3, 4]);
    }

    #[test]
    fn what_is_put_again_is_young_again_and_takes_no_second_place() {
        let store = MemoryServerSessions::new(2);
        for id in [1, 2, 1, 3_u8] {
            store.put(&[id], session(), at(1000));
        }
        assert_eq!(store.len(), 2);
        assert!(store.get(&[1], at(1000)).is_some());
        assert!(store.get(&[2], at(1000)).is_none());
        let inner = lock(&store.0);
        assert_eq!(inner.order.len(), 2);
    }

    /// F15: time that has passed, and time that went backwards.
    #[test]
    fn what_has_expired_is_gone() {
        let store = MemoryServerSessions::new(10);
        store.put(&[1], session(), at(1000));
        store.put(&[2], session(), at(1000));
        assert!(store.get(&[1], at(1000 + 3599)).is_some());
        assert!(store.get(&[1], at(1000 + 3600)).is_none());
        assert_eq!(store.len(), 1);
        store.put(&[3], session(), at(1000 + 8 * 86_400));
        assert_eq!(store.len(), 1, "the expired one made room");
        assert!(store.get(&[3], at(900)).is_none(), "born in the future");
    }
}
