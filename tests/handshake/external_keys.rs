//! Pre-shared keys that both ends were given, at version 1.3 (RFC 8446 §4.2.11, RFC 9257,
//! RFC 9258): handshakes of every kind, and what both ends know afterwards.

use crate::common::configs::{Configs, Ends, exact};
use crate::common::judged::{CHOICES, judged};
use crate::common::transport::{BOTH, Duo, SIDES, Transport, complete};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{Algorithms, PskKeyExchange, StreamPolicy, Versions};
use sealgram::error::{ConfigError, PeerIncompatible};
use sealgram::identity::{FindSharedKey, Identity, SharedKey, SharedKeyQuery, SharedKeys};
use sealgram::server::{Preference, ServerConfigBuilder};
use sealgram::session::MemoryClientSessions;
use sealgram::sim::Direction;
use sealgram::{
    AlertDescription, CipherSuite, ClientConfig, Error, HandshakeKind, KeyUpdate, NamedGroup,
    Reply, ServerConfig, Side,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const SECRET: [u8; 32] = [0x5a; 32];

pub(crate) fn raw(identity: &[u8]) -> SharedKey {
    SharedKey::new(identity, &SECRET).unwrap()
}

pub(crate) fn imported(identity: &[u8], context: &[u8]) -> SharedKey {
    SharedKey::imported(identity, context, &SECRET).unwrap()
}

/// A client with this key and no verifier.
pub(crate) fn client(key: SharedKey) -> ClientConfigBuilder {
    ClientConfig::with_shared_key(key)
        .versions(Versions::V1_3)
        .session_store(None)
        .datagram(exact())
}

/// A server with these keys and no certificate.
pub(crate) fn server(keys: impl IntoIterator<Item = SharedKey>) -> ServerConfigBuilder {
    ServerConfig::without_credential()
        .shared_keys(Arc::new(SharedKeys::new(keys)))
        .versions(Versions::V1_3)
        .datagram(exact())
}

pub(crate) fn configs(client: ClientConfigBuilder, server: ServerConfigBuilder) -> Configs {
    Configs {
        client: Arc::new(client.build().unwrap()),
        server: Arc::new(server.build().unwrap()),
    }
}

fn suites(list: &[CipherSuite]) -> Algorithms {
    Algorithms::default().cipher_suites(list).unwrap()
}

fn groups(list: &[NamedGroup]) -> Algorithms {
    Algorithms::default().groups(list).unwrap()
}

/// A group of which a client that prefers X25519 sends no share.
pub(crate) fn another_group() -> Algorithms {
    groups(&[NamedGroup::SECP256R1])
}

fn holder(duo: &Duo, side: Side) -> Vec<u8> {
    let identity = duo.identity(side).expect("the peer has an identity");
    let name = identity.shared_key().expect("it is a shared key");
    name.identity().to_vec()
}

fn assert_kind(duo: &Duo, kind: HandshakeKind) {
    for side in SIDES {
        assert!(duo.events(side).contains(&complete(kind, false)), "{side}");
    }
}

/// How a handshake fails: the server's error, and the alert that the client hears of it.
pub(crate) fn failure(transport: Transport, configs: &Configs) -> (Option<Error>, Option<u8>) {
    let mut duo = Duo::connecting(transport, configs);
    duo.settle();
    assert!(duo.handshakes(Side::Client).is_empty() && duo.handshakes(Side::Server).is_empty());
    let alert = match duo.error(Side::Client) {
        Some(Error::AlertReceived { alert, .. }) => Some(alert.description.0),
        _ => None,
    };
    (duo.error(Side::Server), alert)
}

/// Statement 15, K13: the application sees what kind of authentication there was.
#[test]
fn n56_15_external_imported_and_resumed_are_told_apart() {
    for transport in BOTH {
        for (key, context) in [
            (raw(b"device 7"), None),
            (
                imported(b"device 7", b"of a, for b"),
                Some(&b"of a, for b"[..]),
            ),
        ] {
            let name = key.name().clone();
            let server = server([key.clone_for_peer()]);
            let store = Arc::new(MemoryClientSessions::new(4));
            let configs = configs(client(key).session_store(Some(store)), server);
            let mut duo = Duo::connected(transport, &configs);
            // Not a resumption: the name of the key is what tells it from one, at both ends.
            assert_kind(&duo, HandshakeKind::Full);
            duo.assert_agreed(3);
            for side in SIDES {
                let identity = duo.identity(side).unwrap();
                assert_eq!(identity, Identity::SharedKey(Arc::new(name.clone())));
                assert_eq!(identity.shared_key().unwrap().context(), context);
                assert!(identity.certificates().is_empty());
            }
            // The session remembers the key, and a resumption is called one.
            let mut duo = Duo::connected(transport, &configs);
            assert_kind(&duo, HandshakeKind::Resumed);
            duo.assert_agreed(3);
            for side in SIDES {
                assert_eq!(holder(&duo, side), b"device 7");
            }
            // Keys are updated as under a certificate.
            duo.key_update(Side::Client, KeyUpdate::Requested).unwrap();
            duo.settle();
            duo.assert_agreed(4);
            assert_eq!(holder(&duo, Side::Server), b"device 7");
        }
    }
}

/// A key for the other end of a test, which has it from elsewhere.
trait ForPeer {
    fn clone_for_peer(&self) -> SharedKey;
}

impl ForPeer for SharedKey {
    fn clone_for_peer(&self) -> SharedKey {
        let name = self.name();
        match name.context() {
            None => raw(name.identity()),
            Some(context) => imported(name.identity(), context),
        }
    }
}

/// Statement 3: a key that says nothing about its hash goes with SHA-256, and the suite is chosen
/// so that it fits, whatever either end prefers; one for SHA-384 goes with such a suite alone.
#[test]
fn n56_03_the_suite_has_the_hash_of_the_key() {
    let order = [
        CipherSuite::TLS_AES_256_GCM_SHA384,
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_AES_128_GCM_SHA256,
    ];
    for transport in BOTH {
        let ends = configs(
            client(raw(b"a")).algorithms(suites(&order)),
            server([raw(b"a")]).suite_preference(Preference::Client),
        );
        let duo = Duo::connected(transport, &ends);
        assert_kind(&duo, HandshakeKind::Full);
        let configs_384 = configs(
            client(raw(b"a").with_sha384()).algorithms(suites(&order[..1])),
            server([raw(b"a").with_sha384()]),
        );
        Duo::connected(transport, &configs_384);
        // The server takes the key for one of SHA-256.
        let mixed = configs(
            client(raw(b"a").with_sha384()).algorithms(suites(&order[..1])),
            server([raw(b"a")]),
        );
        let differs = Some(PeerIncompatible::SharedKeyDiffers.into());
        assert_eq!(failure(transport, &mixed).0, differs);
    }
    // Without a suite of its hash there is nothing that a client could offer.
    let lonely = client(raw(b"a")).algorithms(suites(&order[..1])).build();
    assert_eq!(lonely.unwrap_err(), ConfigError::NoUsableCipherSuite);
}

/// K1, K3 and statement 2: after a HelloRetryRequest for a group, and over datagrams for a cookie
/// as well, the binders cover the first hello, the request and the second hello.
#[test]
fn k1_keys_are_proved_again_after_a_hello_retry_request() {
    for transport in BOTH {
        for key in [raw(b"a"), imported(b"a", b"")] {
            let server = server([key.clone_for_peer()]).algorithms(another_group());
            let configs = configs(client(key), server);
            let mut duo = Duo::connected(transport, &configs);
            assert_kind(&duo, HandshakeKind::Full);
            duo.assert_agreed(3);
            assert_eq!(holder(&duo, Side::Server), b"a");
        }
    }
}

/// Statement 6: several identities, of which the first that the server knows is used; its binder
/// alone is looked at.
#[test]
fn n56_06_the_first_identity_that_is_known_is_used() {
    for transport in BOTH {
        let keys = [raw(b"second"), imported(b"third", b"c")];
        let mut many = client(raw(b"first"));
        for key in &keys {
            many = many.add_shared_key(key.clone_for_peer());
        }
        for known in &keys {
            let configs = configs(many.clone(), server([known.clone_for_peer()]));
            let duo = Duo::connected(transport, &configs);
            assert_eq!(holder(&duo, Side::Client), known.name().identity());
            assert_eq!(holder(&duo, Side::Server), known.name().identity());
        }
    }
}

/// Statement 6, K4: a key that is not known, and one whose bytes are other ones, end the same way.
#[test]
fn k4_an_unknown_key_fails_as_a_wrong_one_does() {
    for transport in BOTH {
        for (offered, known) in [
            (raw(b"a"), SharedKey::new(b"a", &[1; 32]).unwrap()),
            (raw(b"a"), raw(b"A")),
            (raw(b"a"), raw(b"a\0")),
            (
                imported(b"a", b"c"),
                SharedKey::imported(b"a", b"c", &[1; 32]).unwrap(),
            ),
            (imported(b"a", b"c"), imported(b"a", b"d")),
            (imported(b"a", b"c"), imported(b"b", b"c")),
        ] {
            let (error, alert) = failure(transport, &configs(client(offered), server([known])));
            assert_eq!(error, Some(PeerIncompatible::SharedKeyDiffers.into()));
            assert_eq!(alert, Some(AlertDescription::DECRYPT_ERROR.0));
        }
    }
}

/// Statement 14, K15: the same bytes used as they are at one end and imported at the other.
#[test]
fn n56_14_raw_and_imported_keys_of_the_same_bytes_never_meet() {
    for transport in BOTH {
        for (ours, theirs) in [
            (raw(b"a"), imported(b"a", b"")),
            (imported(b"a", b""), raw(b"a")),
        ] {
            let (error, alert) = failure(transport, &configs(client(ours), server([theirs])));
            assert_eq!(error, Some(PeerIncompatible::SharedKeyDiffers.into()));
            assert_eq!(alert, Some(AlertDescription::DECRYPT_ERROR.0));
        }
    }
    // The identity on the wire used as the name of a raw key: the label of the binder differs.
    for (transport, protocol) in [(Transport::Tls, [3, 4]), (Transport::Dtls, [0xfe, 0xfc])] {
        let wire = [&b"\0\x01a\0\0"[..], &protocol, &[0, 1]].concat();
        let (error, _) = failure(
            transport,
            &configs(client(raw(&wire)), server([imported(b"a", b"")])),
        );
        assert_eq!(error, Some(PeerIncompatible::SharedKeyDiffers.into()));
    }
    // RFC 9258 §5.1: never at 1.2.
    let only_12 = client(imported(b"a", b"")).versions(Versions::V1_2).build();
    assert_eq!(only_12.unwrap_err(), ConfigError::NoUsableCipherSuite);
}

/// Statement 6, K12: a server with both serves either kind of client, also one whose key it does
/// not know if that client takes certificates.
#[test]
fn k12_one_server_has_keys_and_a_certificate() {
    for transport in BOTH {
        let ends = Ends::new().versions(Versions::V1_3);
        let keys = Arc::new(SharedKeys::new([raw(b"a")]));
        let server = ends.server.shared_keys(keys);
        let certified = ends.client.clone();
        for (client, known) in [
            (client(raw(b"a")), true),
            (certified.clone(), false),
            (certified.clone().add_shared_key(raw(b"a")), true),
            (certified.clone().add_shared_key(raw(b"b")), false),
        ] {
            let duo = Duo::connected(transport, &configs(client, server.clone()));
            let identity = duo.identity(Side::Client).unwrap();
            assert_eq!(identity.shared_key().is_some(), known);
            assert_eq!(identity.certificates().is_empty(), known);
            assert_eq!(duo.identity(Side::Server).is_some(), known);
        }
        // A wrong key is no reason to fall back (RFC 8446 §4.2.11).
        let wrong = certified.add_shared_key(SharedKey::new(b"a", &[1; 16]).unwrap());
        let (error, alert) = failure(transport, &configs(wrong, server));
        assert_eq!(error, Some(PeerIncompatible::SharedKeyDiffers.into()));
        assert_eq!(alert, Some(AlertDescription::DECRYPT_ERROR.0));
    }
}

/// Statement 7: with a key nobody is asked for a certificate (RFC 8446 §4.3.2): it says who the
/// client is, where one must say that. A client without a key still has to show one.
#[test]
fn n56_07_a_key_stands_for_the_certificate_of_a_client() {
    for transport in BOTH {
        let ends = Ends::new().versions(Versions::V1_3).mutual();
        let keys = Arc::new(SharedKeys::new([raw(b"a")]));
        let server = ends.server.shared_keys(keys);
        let keyed = configs(client(raw(b"a")), server.clone());
        assert_eq!(
            holder(&Duo::connected(transport, &keyed), Side::Server),
            b"a"
        );
        let both = configs(ends.client.add_shared_key(raw(b"a")), server.clone());
        let duo = Duo::connected(transport, &both);
        assert_eq!(holder(&duo, Side::Server), b"a");
        let bare = ClientConfig::with_roots(ends.pki.roots()).unwrap();
        let bare = bare.versions(Versions::V1_3).datagram(exact());
        let mut duo = Duo::connecting(transport, &configs(bare, server));
        duo.settle();
        let missing = PeerIncompatible::ClientCertificateMissing;
        assert_eq!(duo.error(Side::Server), Some(missing.into()));
    }
}

/// Statement 1: without an exchange only where the policies of both ends say so.
#[test]
fn n56_01_there_is_a_key_exchange_unless_the_policies_say_otherwise() {
    use PskKeyExchange::{Avoided, Preferred, Required};
    let agreed = |transport, ours, theirs| {
        let client = client(raw(b"a")).psk_key_exchange(ours);
        let server = server([raw(b"a")]).psk_key_exchange(theirs);
        let mut duo = Duo::connecting(transport, &configs(client, server));
        duo.settle();
        let connected = !duo.handshakes(Side::Client).is_empty();
        connected.then(|| {
            duo.assert_agreed(3);
            duo.group(Side::Client) == duo.group(Side::Server) && duo.group(Side::Client).is_some()
        })
    };
    for transport in BOTH {
        for (client, server, exchanges) in [
            (Required, Required, Some(true)),
            (Required, Preferred, Some(true)),
            (Required, Avoided, Some(true)),
            (Preferred, Required, Some(true)),
            (Preferred, Preferred, Some(true)),
            (Preferred, Avoided, Some(false)),
            (Avoided, Required, None),
            (Avoided, Preferred, Some(false)),
            (Avoided, Avoided, Some(false)),
        ] {
            let found = agreed(transport, client, server);
            assert_eq!(found, exchanges, "{transport:?} {client:?} {server:?}");
        }
    }
}

/// Statement 9: a key has 128 bits at least.
#[test]
fn n56_09_keys_below_128_bits_are_refused() {
    assert!(SharedKey::new(b"a", &[1; 15]).is_err());
    assert!(SharedKey::imported(b"a", b"", &[1; 15]).is_err());
    let short = || SharedKey::new_short(b"a", &[1; 15]).unwrap();
    for transport in BOTH {
        Duo::connected(transport, &configs(client(short()), server([short()])));
    }
}

/// Identities that do not fit into a hello are left out; one of 1.2 alone (empty) too.
#[test]
fn identities_of_any_length_and_content() {
    let long = vec![0xff; 30_000];
    for transport in BOTH {
        for identity in [&[0xc3, 0x28, 0][..], &[0], &vec![b'x'; 1000]] {
            let configs = configs(client(raw(identity)), server([raw(identity)]));
            let duo = Duo::connected(transport, &configs);
            assert_eq!(holder(&duo, Side::Server), identity);
        }
    }
    let ends = configs(client(raw(&long)), server([raw(&long)]));
    let duo = Duo::connected(Transport::Tls, &ends);
    assert_eq!(holder(&duo, Side::Server), long);
    // Too long for one hello with its like: the first that fit are offered.
    let second = [&long[..], b"2"].concat();
    let client = client(raw(&long))
        .add_shared_key(raw(&second))
        .add_shared_key(raw(b"a"));
    let ends = configs(client.clone(), server([raw(b"a")]));
    assert_eq!(
        holder(&Duo::connected(Transport::Tls, &ends), Side::Client),
        b"a"
    );
    let ends = configs(client, server([raw(&second)]));
    assert!(failure(Transport::Tls, &ends).0.is_some());
}

/// Where keys are found, and when the answer comes.
#[derive(Default)]
struct Slow {
    keys: SharedKeys,
    asked: Mutex<Vec<SharedKeyQuery>>,
    waiting: Mutex<Vec<(SharedKeyQuery, Reply<Option<SharedKey>>)>>,
    count: AtomicUsize,
}

impl std::fmt::Debug for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slow").finish_non_exhaustive()
    }
}

impl FindSharedKey for Slow {
    fn find(&self, query: &SharedKeyQuery) -> Option<SharedKey> {
        self.keys.find(query)
    }

    fn find_later(&self, query: SharedKeyQuery, found: Reply<Option<SharedKey>>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().unwrap().push(query.clone());
        self.waiting.lock().unwrap().push((query, found));
    }
}

impl Slow {
    fn with(keys: impl IntoIterator<Item = SharedKey>) -> Arc<Self> {
        Arc::new(Self {
            keys: SharedKeys::new(keys),
            ..Self::default()
        })
    }

    fn answer(&self) {
        for (query, found) in self.waiting.lock().unwrap().drain(..) {
            found.send(self.keys.find(&query));
        }
    }
}

/// K10: the answer comes after 0, 3 or 30 seconds, or never; nothing is sent meanwhile, and the
/// identities are looked up one after the other.
#[test]
fn k10_keys_are_found_later_one_after_the_other() {
    for transport in BOTH {
        for seconds in [0, 3, 30] {
            let store = Slow::with([raw(b"third")]);
            let patient = StreamPolicy::default().handshake_deadline(None);
            let server = server([]).shared_keys(store.clone()).stream(patient);
            let client = client(raw(b"first"))
                .add_shared_key(raw(b"second"))
                .add_shared_key(raw(b"third"));
            let mut duo = Duo::connecting(transport, &configs(client, server));
            if let Duo::Dtls(pair) = &mut duo {
                pair.record();
            }
            for number in 1..=3 {
                duo.settle();
                assert_eq!(store.count.load(Ordering::Relaxed), number, "{seconds}");
                let said = said_by_server(&mut duo);
                if number == 2 {
                    duo.run_for(Duration::from_secs(seconds));
                }
                assert_eq!(store.count.load(Ordering::Relaxed), number, "{seconds}");
                assert_eq!(said_by_server(&mut duo), said, "{seconds}");
                store.answer();
                duo.handle_answers(Side::Server);
            }
            duo.run_for(Duration::from_secs(20));
            duo.assert_agreed(3);
            assert_eq!(holder(&duo, Side::Server), b"third");
            let asked = store.asked.lock().unwrap();
            assert!(asked.iter().all(|query| query.context.is_none()));
            assert_eq!(asked[2].identity, b"third");
        }
        // Never: both ends end at their deadlines.
        let never = server([]).shared_keys(Slow::with([]));
        let mut duo = Duo::connecting(transport, &configs(client(raw(b"a")), never));
        duo.run_for(Duration::from_secs(125));
        for side in SIDES {
            let error = duo.error(side);
            assert!(matches!(error, Some(Error::TimedOut { .. })), "{error:?}");
        }
        // A reply that is dropped is no key.
        let store = Slow::with([]);
        let slow = server([]).shared_keys(store.clone());
        let mut duo = Duo::connecting(transport, &configs(client(raw(b"a")), slow));
        duo.settle();
        store.waiting.lock().unwrap().clear();
        duo.handle_answers(Side::Server);
        duo.settle();
        let differs = PeerIncompatible::SharedKeyDiffers;
        assert_eq!(duo.error(Side::Server), Some(differs.into()));
    }
}

/// How many datagrams the server has sent, if it sends any.
fn said_by_server(duo: &mut Duo) -> usize {
    let Duo::Dtls(pair) = duo else { return 0 };
    let seen = pair.seen.iter().flatten();
    let to_client = seen.filter(|seen| seen.direction == Direction::ToClient);
    to_client.count()
}

/// A hello names as many keys as it likes, but only a few are looked up.
#[test]
fn a_bounded_number_of_keys_is_looked_up() {
    for transport in BOTH {
        let store = Slow::with([raw(b"20")]);
        let mut many = client(raw(b"0"));
        for number in 1..=20 {
            many = many.add_shared_key(raw(number.to_string().as_bytes()));
        }
        let server = server([]).shared_keys(store.clone());
        let mut duo = Duo::connecting(transport, &configs(many, server));
        for _ in 0..30 {
            duo.settle();
            store.answer();
            duo.handle_answers(Side::Server);
        }
        assert_eq!(store.count.load(Ordering::Relaxed), 8);
        let differs = PeerIncompatible::SharedKeyDiffers;
        assert_eq!(duo.error(Side::Server), Some(differs.into()));
    }
}

/// Nobody is asked for a key before the client has shown that it receives at its address.
#[test]
fn cookies_come_before_any_look_up() {
    let store = Slow::with([raw(b"a")]);
    let server = server([]).shared_keys(store.clone());
    let mut duo = Duo::connecting(Transport::Dtls, &configs(client(raw(b"a")), server));
    // The demand for a cookie does not come back.
    duo.hold_back(Side::Client);
    duo.settle();
    assert_eq!(store.count.load(Ordering::Relaxed), 0);
    duo.release(Side::Client);
    duo.settle();
    assert_eq!(store.count.load(Ordering::Relaxed), 1);
}

/// A judge wants unknown keys told from wrong ones.
#[test]
fn unknown_keys_are_told_from_wrong_ones_where_the_policy_says_so() {
    for &tells in CHOICES {
        let (error, alert) = match tells {
            true => (
                PeerIncompatible::NoSharedKey,
                AlertDescription::HANDSHAKE_FAILURE,
            ),
            false => (
                PeerIncompatible::SharedKeyDiffers,
                AlertDescription::DECRYPT_ERROR,
            ),
        };
        for transport in BOTH {
            let server = judged!(server([raw(b"b")]), tell_unknown_keys: tells);
            let found = failure(transport, &configs(client(raw(b"a")), server));
            assert_eq!(found, (Some(error.into()), Some(alert.0)));
        }
    }
}

/// After a HelloRetryRequest that fixed the suite, a client whose keys are all of another hash goes
/// on without them, with certificates (RFC 8446 §4.1.4).
#[test]
fn n56_03_keys_of_another_hash_are_left_out_after_a_retry() {
    let order = suites(&[
        CipherSuite::TLS_AES_256_GCM_SHA384,
        CipherSuite::TLS_AES_128_GCM_SHA256,
    ]);
    for transport in BOTH {
        let ends = Ends::new().versions(Versions::V1_3);
        // The server takes the key for one of SHA-256.
        let client = ends.client.add_shared_key(raw(b"a").with_sha384());
        let server = ends.server.algorithms(order.clone());
        let server = server.shared_keys(Arc::new(SharedKeys::new([raw(b"b")])));
        let duo = Duo::connected(
            transport,
            &configs(client.algorithms(order.clone()), server),
        );
        let shown = duo.identity(Side::Client).unwrap();
        assert!(!shown.certificates().is_empty());
    }
    // Without certificates there is nothing left.
    let client = client(raw(b"a").with_sha384()).algorithms(order.clone());
    let server = server([raw(b"a")]).algorithms(order);
    let mut duo = Duo::connecting(Transport::Dtls, &configs(client, server));
    duo.settle();
    assert_eq!(
        duo.error(Side::Client),
        Some(PeerIncompatible::NoSharedKey.into())
    );
}
