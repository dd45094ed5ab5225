//! Resumption at version 1.2 by session ID and by ticket, over both transports (RFC 5246 §7.3,
//! RFC 5077, RFC 7627 §5.3).

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::transport::{BOTH, Duo, SIDES, Transport, complete};
use sealgram::config::{Algorithms, Clock, Versions};
use sealgram::endpoint::{EndpointPolicy, ResumptionCookies};
use sealgram::identity::{CertifiedKey, Credential, SignHandshake, SigningKey};
use sealgram::pki_types::UnixTime;
use sealgram::session::{MemoryServerSessions, ServerSessionStore, Session, Tickets};
use sealgram::sim::{Direction, Pair};
use sealgram::{CipherSuite, Error, HandshakeKind, Reply, ServerConfig, Side, SignatureScheme};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a client names the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Id,
    Ticket,
}

const WAYS: [By; 2] = [By::Id, By::Ticket];

fn ends(by: By) -> Ends {
    let mut ends = Ends::new().mutual().resuming();
    ends.client = ends.client.tickets(by == By::Ticket);
    ends
}

fn kind(duo: &Duo) -> HandshakeKind {
    let [client, server] = SIDES.map(|side| {
        [HandshakeKind::Full, HandshakeKind::Resumed]
            .into_iter()
            .find(|&kind| duo.events(side).contains(&complete(kind, false)))
            .unwrap()
    });
    assert_eq!(client, server);
    client
}

/// A second connection resumes, shows the same identities, and has secrets of its own; so does a
/// third.
#[test]
fn the_second_connection_resumes_with_the_same_identities() {
    for transport in BOTH {
        for by in WAYS {
            let configs = ends(by).build();
            let first = Duo::connected(transport, &configs);
            assert_eq!(kind(&first), HandshakeKind::Full);
            let mut keys = vec![first.exported(Side::Client)];
            for _ in 0..3 {
                let mut next = Duo::connected(transport, &configs);
                assert_eq!(kind(&next), HandshakeKind::Resumed, "{transport:?} {by:?}");
                next.assert_agreed(1);
                for side in SIDES {
                    assert!(next.identity(side).is_some());
                    assert_eq!(next.identity(side), first.identity(side));
                }
                keys.push(next.exported(Side::Client));
            }
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), 4, "each connection has a secret of its own");
        }
    }
}

/// The two protocols share a configuration, but no session.
#[test]
fn a_session_of_one_transport_is_not_offered_on_the_other() {
    let configs = ends(By::Ticket).build();
    for transport in BOTH {
        assert_eq!(
            kind(&Duo::connected(transport, &configs)),
            HandshakeKind::Full
        );
    }
}

/// A server that has forgotten a session, or never issued it, does a full handshake.
#[test]
fn a_session_that_the_server_does_not_know_is_a_full_handshake() {
    for transport in BOTH {
        for by in WAYS {
            let pki = ends(by);
            let store = Arc::new(MemoryServerSessions::new(10));
            let tickets = Tickets::new(Duration::from_secs(3600)).unwrap();
            let server = pki.server.clone();
            let other = server
                .session_store(Some(store))
                .tickets(Some(Arc::new(tickets)))
                .build()
                .unwrap();
            let mut configs = pki.build();
            Duo::connected(transport, &configs);
            configs.server = Arc::new(other);
            let mut duo = Duo::connected(transport, &configs);
            assert_eq!(kind(&duo), HandshakeKind::Full, "{transport:?} {by:?}");
            duo.assert_agreed(1);
        }
    }
}

/// A client keeps its session outside the process and puts it back under an equal configuration.
#[test]
fn an_exported_session_resumes_after_it_was_imported() {
    for transport in BOTH {
        for by in WAYS {
            let ends = ends(by);
            let fresh = ends.client.clone();
            let mut configs = ends.build();
            let duo = Duo::connected(transport, &configs);
            assert!(duo.session(Side::Server).is_none());
            let exported = duo.session(Side::Client).unwrap().to_bytes();

            let store = sealgram::session::MemoryClientSessions::new(4);
            let config = fresh.session_store(Some(Arc::new(store))).build().unwrap();
            let session = Session::from_bytes(&exported).unwrap();
            config.import_session(&server_name(), session).unwrap();
            configs.client = Arc::new(config);
            let mut duo = Duo::connected(transport, &configs);
            assert_eq!(kind(&duo), HandshakeKind::Resumed, "{transport:?} {by:?}");
            duo.assert_agreed(1);
        }
    }
}

fn connect(configs: &Configs, policy: EndpointPolicy) -> Pair {
    let mut pair = Pair::with_policy(configs.server.clone(), policy, start(), 1).unwrap();
    pair.record();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    pair
}

fn sparing() -> EndpointPolicy {
    EndpointPolicy::default().resumption_cookies(ResumptionCookies::Spare)
}

/// RFC 6347 §4.2.1: a server may do without the cookie when a session is resumed, and only then.
#[test]
fn a_resumption_can_be_spared_the_cookie() {
    for by in WAYS {
        let configs = ends(by).build();
        let verify_requests = |pair: &Pair| pair.server.stats().hello_verify_requests;
        assert_eq!(verify_requests(&connect(&configs, sparing())), 1);
        let mut spared = connect(&configs, sparing());
        assert_eq!(verify_requests(&spared), 0, "{by:?}");
        assert_eq!(spared.server.stats().cookies_spared, 1);
        assert!(spared.exchange(10));
        let default = connect(&configs, EndpointPolicy::default());
        assert_eq!(verify_requests(&default), 1, "{by:?}");
    }
}

/// C1: without a cookie an address is sent three times what came from it, whatever the timers say.
#[test]
fn a_hello_without_cookie_from_a_forged_address_is_not_amplified() {
    for by in WAYS {
        let configs = ends(by).build();
        connect(&configs, sparing());
        let recorded = connect(&configs, sparing()).seen.unwrap();
        let hello = recorded
            .iter()
            .find(|seen| seen.direction == Direction::ToServer)
            .unwrap();
        let mut victim = Pair::with_policy(configs.server.clone(), sparing(), start(), 2).unwrap();
        victim.record();
        for hellos in 1..4 {
            victim.deliver_to_server(&hello.datagram);
            victim.run_for(Duration::from_secs(20));
            let answers = victim.seen.as_ref().unwrap();
            let sent: usize = answers.iter().map(|seen| seen.datagram.len()).sum();
            assert!(sent > 0, "{by:?}");
            assert!(
                sent <= 3 * hellos * hello.datagram.len(),
                "{by:?}: {sent} bytes for {hellos} hellos"
            );
        }
    }
}

/// Loss does not end a resumption without cookie: a client that has something to say is answered.
#[test]
fn a_spared_resumption_survives_loss() {
    let configs = ends(By::Ticket).build();
    connect(&configs, sparing());
    for seed in 0..200 {
        let mut pair = Pair::with_policy(configs.server.clone(), sparing(), start(), seed).unwrap();
        pair.set_conditions(&sealgram::sim::Conditions {
            loss: 0.15,
            ..Default::default()
        });
        pair.connect(configs.client.clone(), server_name()).unwrap();
        while !pair.is_connected() && pair.now - pair.start < Duration::from_secs(119) {
            pair.run_for(Duration::from_secs(1));
            if let Some(id) = pair.client_id() {
                pair.client
                    .association(pair.now, id)
                    .unwrap()
                    .send(b"are you there?")
                    .unwrap();
            }
        }
        assert!(pair.is_connected(), "seed {seed}: {:?}", pair.client_events);
    }
}

/// The client side of a ticket that the store has dropped in between: nothing but a full handshake.
#[test]
fn a_client_without_store_neither_asks_for_tickets_nor_keeps_ids() {
    let ends = Ends::new();
    let configs = ends.build();
    for _ in 0..2 {
        let duo = Duo::connected(Transport::Tls, &configs);
        assert_eq!(kind(&duo), HandshakeKind::Full);
    }
}

/// C1: a client that resumes by ID and asks for a ticket says little, and would be told much.
#[test]
fn a_resumption_that_asks_for_a_large_ticket_is_not_spared_the_cookie() {
    let ends = ends(By::Id);
    let asking = ends.client.clone().tickets(true);
    let mut configs = ends.build();
    let first = Duo::connected(Transport::Dtls, &configs);
    let session = first.session(Side::Client).unwrap();
    let store = sealgram::session::MemoryClientSessions::new(4);
    let config = asking.session_store(Some(Arc::new(store))).build().unwrap();
    config.import_session(&server_name(), session).unwrap();
    configs.client = Arc::new(config);
    let mut pair = Pair::with_policy(configs.server.clone(), sparing(), start(), 3).unwrap();
    pair.record();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    let bytes = |direction| -> usize {
        let seen = pair.seen.as_ref().unwrap().iter();
        let from = |seen: &&sealgram::sim::Seen| seen.direction == direction;
        seen.filter(from)
            .take(1)
            .map(|seen| seen.datagram.len())
            .sum()
    };
    let (hello, answer) = (bytes(Direction::ToServer), bytes(Direction::ToClient));
    assert!(answer <= 3 * hello, "{answer} bytes for {hello}");
    assert_eq!(pair.server.stats().cookies_spared, 0);
}

/// F4: a session that was put under the name of another server is not offered there: whoever has
/// its secret would be taken for that server.
#[test]
fn a_session_is_not_offered_under_another_name() {
    let ends = ends(By::Ticket);
    let fresh = ends.client.clone();
    let configs = ends.build();
    let session = Duo::connected(Transport::Tls, &configs)
        .session(Side::Client)
        .unwrap();
    let store = sealgram::session::MemoryClientSessions::new(4);
    let config = fresh.session_store(Some(Arc::new(store))).build().unwrap();
    let other = "other.test".try_into().unwrap();
    config.import_session(&other, session).unwrap();
    let config = Arc::new(config);
    let hello = |name| {
        let mut client = sealgram::TlsConnection::connect(start(), config.clone(), name).unwrap();
        let mut out = Vec::new();
        client.poll_transmit(start(), &mut out).unwrap();
        out.len()
    };
    let (named, other) = (hello(server_name()), hello(other));
    // Neither hello has a ticket or a session ID in it; only the names differ, by a byte.
    assert!(named.abs_diff(other) < 4, "{named} and {other} bytes");
}

/// A look-up that waits for its answer, with the time at which it was made.
type LookUp = (Vec<u8>, UnixTime, Reply<Option<Session>>);

/// A store that knows nothing at once, and answers when it is told to.
#[derive(Debug)]
struct SlowStore {
    inner: MemoryServerSessions,
    asked: Mutex<Vec<LookUp>>,
}

impl SlowStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryServerSessions::new(10),
            asked: Mutex::default(),
        })
    }

    /// Answers what was asked, with what was true then. How much that was.
    fn answer(&self) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let count = asked.len();
        for (id, now, found) in asked {
            found.send(self.inner.get(&id, now));
        }
        count
    }
}

impl ServerSessionStore for SlowStore {
    fn put(&self, id: &[u8], session: Session, now: UnixTime) {
        self.inner.put(id, session, now);
    }

    fn get(&self, _: &[u8], _: UnixTime) -> Option<Session> {
        None
    }

    fn get_later(&self, id: &[u8], now: UnixTime, found: Reply<Option<Session>>) {
        self.asked.lock().unwrap().push((id.to_vec(), now, found));
    }

    fn remove(&self, id: &[u8]) {
        self.inner.remove(id);
    }
}

/// Ends that have connected once, with a server whose store is slow.
fn with_slow_store(transport: Transport, ends: Ends) -> (Configs, Arc<SlowStore>) {
    let store = SlowStore::new();
    let mut ends = ends;
    ends.server = ends.server.session_store(Some(store.clone()));
    let configs = ends.build();
    let first = Duo::connected(transport, &configs);
    assert_eq!(kind(&first), HandshakeKind::Full);
    assert_eq!(store.answer(), 0, "the client has named nothing");
    (configs, store)
}

/// The handshake waits for the store, and resumes what it finds. Whoever looks again sees nothing
/// new.
#[test]
fn a_session_may_be_found_later() {
    for transport in BOTH {
        let (configs, store) = with_slow_store(transport, ends(By::Id));
        let mut duo = Duo::connecting(transport, &configs);
        duo.settle();
        assert!(duo.events(Side::Server).is_empty());
        assert_eq!(store.answer(), 1, "{transport:?}");
        duo.handle_answers(Side::Server);
        duo.settle();
        assert_eq!(kind(&duo), HandshakeKind::Resumed, "{transport:?}");
        let seen = SIDES.map(|side| duo.events(side));
        duo.handle_answers(Side::Server);
        duo.settle();
        assert_eq!(SIDES.map(|side| duo.events(side)), seen);
        assert_eq!(store.answer(), 0, "one question a handshake");
        duo.assert_agreed(1);
    }
}

/// A store that fails has lost a session, not a client.
#[test]
fn a_look_up_that_is_dropped_is_a_full_handshake() {
    for transport in BOTH {
        let (configs, store) = with_slow_store(transport, ends(By::Id));
        let mut duo = Duo::connecting(transport, &configs);
        duo.settle();
        store.asked.lock().unwrap().clear();
        duo.handle_answers(Side::Server);
        duo.settle();
        assert_eq!(kind(&duo), HandshakeKind::Full, "{transport:?}");
        duo.assert_agreed(1);
    }
}

/// The deadline of the handshake runs on, and an answer after it is lost.
#[test]
fn a_look_up_that_is_never_answered_ends_at_the_deadline() {
    for transport in BOTH {
        let (configs, store) = with_slow_store(transport, ends(By::Id));
        let mut duo = Duo::connecting(transport, &configs);
        let deadline = match transport {
            Transport::Dtls => 120,
            Transport::Tls => 10,
        };
        duo.run_for(Duration::from_secs(deadline - 1));
        assert_eq!(duo.error(Side::Server), None);
        duo.run_for(Duration::from_secs(2));
        let late = |error| matches!(error, Some(Error::TimedOut { .. }));
        assert!(late(duo.error(Side::Server)), "{transport:?}");
        assert_eq!(store.answer(), 1);
        duo.handle_answers(Side::Server);
        duo.settle();
        assert!(late(duo.error(Side::Server)));
        assert!(duo.handshakes(Side::Server).is_empty());
    }
}

/// A server's clock, in seconds of Unix time.
#[derive(Debug)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn unix_now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

/// What was in time when it was asked for can be too old when it comes.
#[test]
fn a_session_that_expires_while_it_is_looked_up_is_not_resumed() {
    for transport in BOTH {
        for (found_at, expected) in [(59, HandshakeKind::Resumed), (60, HandshakeKind::Full)] {
            let began = UnixTime::now().as_secs();
            let clock = Arc::new(SetClock(began.into()));
            let mut ends = ends(By::Id);
            let minute = Duration::from_secs(60);
            ends.server = ends.server.session_lifetime(minute).unwrap();
            ends.server = ends.server.clock(clock.clone());
            let (configs, store) = with_slow_store(transport, ends);
            clock.0.store(began + 50, Ordering::Relaxed);
            let mut duo = Duo::connecting(transport, &configs);
            duo.settle();
            clock.0.store(began + found_at, Ordering::Relaxed);
            assert_eq!(store.answer(), 1);
            duo.handle_answers(Side::Server);
            duo.settle();
            assert_eq!(kind(&duo), expected, "{transport:?} {found_at}");
        }
    }
}

/// Tickets of either version are opened by keys that are here: no store is asked, however slow.
#[test]
fn tickets_do_not_wait_for_a_store() {
    for transport in BOTH {
        for versions in [Versions::V1_2, Versions::V1_3] {
            for (tickets, expected) in
                [(true, HandshakeKind::Resumed), (false, HandshakeKind::Full)]
            {
                let mut ends = ends(By::Ticket).versions(versions);
                if !tickets {
                    ends.server = ends.server.tickets(None);
                }
                // Without tickets a server of 1.2 gives a session ID instead, which is looked up.
                if !tickets && versions == Versions::V1_2 {
                    continue;
                }
                let (configs, store) = with_slow_store(transport, ends);
                let duo = Duo::connected(transport, &configs);
                assert_eq!(kind(&duo), expected, "{transport:?} {versions:?}");
                assert_eq!(store.answer(), 0);
            }
        }
    }
}

/// Whoever spares resumptions the cookie looks at what is known at once: strangers do not make a
/// server ask elsewhere.
#[test]
fn a_store_that_answers_later_is_asked_after_the_cookie() {
    let (configs, store) = with_slow_store(Transport::Dtls, ends(By::Id));
    let policy = EndpointPolicy::default().resumption_cookies(ResumptionCookies::Spare);
    let mut pair = Pair::with_policy(configs.server.clone(), policy, start(), 1).unwrap();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    pair.run_for(Duration::from_millis(400));
    assert_eq!(pair.server.stats().cookies_spared, 0);
    assert_eq!(pair.server.stats().hello_verify_requests, 1);
    assert_eq!(store.answer(), 1, "once, for an address that is proved");
    pair.server.handle_answers(pair.now);
    pair.run_for(Duration::from_millis(400));
    let server = pair.server_connection().unwrap();
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Resumed));
}

/// Whoever has several servers gives them the same keys of tickets, or the same cache: a client
/// that comes to another one of them resumes there.
#[test]
fn servers_that_share_what_they_know_resume_each_others_sessions() {
    for transport in BOTH {
        for (by, versions) in [
            (By::Id, Versions::V1_2),
            (By::Ticket, Versions::V1_2),
            (By::Ticket, Versions::V1_3),
        ] {
            for shared in [true, false] {
                let ends = ends(by).versions(versions);
                let tickets = || Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
                let cache = || Arc::new(MemoryServerSessions::new(10));
                let (one, other) = ((tickets(), cache()), (tickets(), cache()));
                let server = |(tickets, cache): &(Arc<Tickets>, Arc<MemoryServerSessions>)| {
                    let server = ends.server.clone().tickets(Some(tickets.clone()));
                    Arc::new(server.session_store(Some(cache.clone())).build().unwrap())
                };
                let first = server(&one);
                let second = server(if shared { &one } else { &other });
                let client = Arc::new(ends.client.clone().build().unwrap());
                let visited = |server| {
                    let client = client.clone();
                    kind(&Duo::connected(transport, &Configs { client, server }))
                };
                assert_eq!(visited(first), HandshakeKind::Full);
                let expected = match shared {
                    true => HandshakeKind::Resumed,
                    false => HandshakeKind::Full,
                };
                assert_eq!(
                    visited(second),
                    expected,
                    "{transport:?} {by:?} {versions:?}"
                );
            }
        }
    }
}

/// A key that counts what it signs.
#[derive(Debug)]
struct Counting {
    key: SigningKey,
    signed: AtomicU64,
}

impl SignHandshake for Counting {
    fn schemes(&self) -> &[SignatureScheme] {
        self.key.schemes()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        self.signed.fetch_add(1, Ordering::Relaxed);
        signature.send(self.key.sign(scheme, message).unwrap());
    }
}

/// A session that does not fit after all leads a stranger without a cookie to no signature: that is
/// the dearest thing that a server does.
#[test]
fn a_stranger_with_a_session_that_does_not_fit_leads_to_no_signature() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let tickets = Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
        let ends = Ends::new().versions(versions).resuming();
        let (leaf, key) = ends.pki.leaf_and_key(&rcgen::PKCS_ED25519, |_| {});
        let counting = Arc::new(Counting {
            key: SigningKey::new(&key).unwrap(),
            signed: AtomicU64::new(0),
        });
        let certified = CertifiedKey::with_signer(vec![leaf], counting.clone()).unwrap();
        let server = |suites: &[CipherSuite]| {
            let algorithms = Algorithms::default().cipher_suites(suites).unwrap();
            let server = ServerConfig::with_credential(Credential::Certificate(certified.clone()));
            let server = server.versions(versions).algorithms(algorithms);
            Arc::new(server.tickets(Some(tickets.clone())).build().unwrap())
        };
        let client = Arc::new(ends.client.build().unwrap());
        let first = Configs {
            client: client.clone(),
            server: server(&[
                CipherSuite::TLS_AES_128_GCM_SHA256,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            ]),
        };
        connect(&first, sparing());
        let signed = || counting.signed.load(Ordering::Relaxed);
        assert_eq!(signed(), 1);
        let other = server(&[
            CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ]);
        let mut pair = Pair::with_policy(other, sparing(), start(), 2).unwrap();
        pair.connect(client, server_name()).unwrap();
        // The demand for a cookie does not come back.
        pair.to_client.hold(true);
        pair.run_for(Duration::from_millis(500));
        assert_eq!(signed(), 1, "{versions:?}");
        pair.to_client.hold(false);
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        assert_eq!(signed(), 2);
    }
}
