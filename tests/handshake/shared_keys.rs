//! Pre-shared keys at version 1.2 (RFC 4279, RFC 5487, RFC 5489, RFC 8442): what is agreed, and by
//! whom.

use crate::common::configs::{Configs, Ends, SERVER, server_name, start};
use crate::common::datagram_harness::SUPPORTED_GROUPS;
use crate::common::harness::{EC_POINT_FORMATS, Harness, PATIENCE, SIGNATURE_ALGORITHMS};
use crate::common::renegotiating::allowing;
#[cfg(feature = "ccm")]
use crate::common::shared_keys::NAMED_CCM;
use crate::common::shared_keys::{
    CCM, ECDHE_PSK, IDENTITY, PSK, SECRET, client, configs, key, large, named, only, scripted,
    server,
};
use crate::common::transport::{BOTH, Duo, SIDES, Transport, complete, refused};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{Algorithms, IdentityChange, RekeyPolicy, Versions};
use sealgram::error::{ConfigError, PeerIncompatible, RenegotiateError};
use sealgram::identity::{
    ChooseSharedKey, FindSharedKey, Identity, SharedKey, SharedKeyQuery, SharedKeys,
    WebPkiClientVerifier,
};
use sealgram::server::ClientAuthentication;
use sealgram::session::MemoryClientSessions;
use sealgram::sim::StreamPair;
use sealgram::sim::scripted::{Line, ScriptedPeer};
use sealgram::{
    CipherSuite, ClientConfig, Error, HandshakeKind, NamedGroup, ProtocolVersion,
    RenegotiationRefusal, ServerConfig, Side,
};
use std::sync::{Arc, Mutex};

const CERTIFICATES: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;

/// The name that an end has for its peer's key.
fn peer(duo: &Duo, side: Side) -> Option<Vec<u8>> {
    let identity = duo.identity(side)?;
    Some(identity.shared_key()?.identity().to_vec())
}

fn suite_of(duo: &Duo) -> (Option<CipherSuite>, Option<NamedGroup>) {
    match duo {
        Duo::Dtls(pair) => {
            let end = pair.client_connection().unwrap();
            (end.cipher_suite(), end.key_exchange_group())
        }
        Duo::Tls(pair) => {
            let end = &pair.client.connection;
            (end.cipher_suite(), end.key_exchange_group())
        }
    }
}

/// RFC 5487 §2, RFC 7905 §2, RFC 8442 §3: every suite is served, over both transports, with every
/// group, and both ends tell the key's name.
#[test]
fn n54_10_n55_04_every_suite_completes_and_names_the_key() {
    let groups = [
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    ];
    for transport in BOTH {
        for suite in [ECDHE_PSK, PSK].concat() {
            for group in groups {
                let algorithms = only(&[suite]).groups(&[group]).unwrap();
                let client = client(key()).algorithms(algorithms.clone());
                let server = server([key(), named(b"another")]).algorithms(algorithms);
                let mut duo = Duo::connected(transport, &configs(client, server));
                duo.assert_agreed(1);
                for side in SIDES {
                    assert_eq!(peer(&duo, side), Some(IDENTITY.to_vec()));
                }
                let exchanged = ECDHE_PSK.contains(&suite).then_some(group);
                assert_eq!(suite_of(&duo), (Some(suite), exchanged));
            }
        }
    }
}

/// RFC 6655 §4, RFC 8442 §3: those of small devices, behind their feature; short tags and those
/// without an exchange must be named.
#[cfg(feature = "ccm")]
#[test]
fn n54_10_n55_04_suites_with_ccm_complete_and_the_weaker_ones_are_named() {
    for transport in BOTH {
        for suite in [&CCM[..], &NAMED_CCM].concat() {
            let client = client(key()).algorithms(only(&[suite]));
            let server = server([key()]).algorithms(only(&[suite]));
            let mut duo = Duo::connected(transport, &configs(client, server));
            duo.assert_agreed(1);
            assert_eq!(suite_of(&duo).0, Some(suite));
            assert_eq!(peer(&duo, Side::Server), Some(IDENTITY.to_vec()));
        }
        for suite in NAMED_CCM {
            let client = client(key()).algorithms(only(&[suite]));
            let mut duo = Duo::connecting(transport, &configs(client, server([key()])));
            duo.settle();
            let error = duo.error(Side::Server);
            assert_eq!(error, Some(PeerIncompatible::NoCommonCipherSuite.into()));
        }
    }
}

/// At 1.2 a key belongs to no hash: one that is for SHA-384 at 1.3 serves every suite.
#[test]
fn n54_10_a_key_for_sha384_serves_every_suite() {
    for suite in [ECDHE_PSK, PSK].concat() {
        let client = client(key().with_sha384()).algorithms(only(&[suite]));
        let server = server([key()]).algorithms(only(&[suite]));
        let mut duo = Duo::connected(Transport::Tls, &configs(client, server));
        duo.assert_agreed(1);
    }
}

/// RFC 5487 §3, RFC 5489 §3: no CBC, no RSA, no finite fields: they cannot even be named.
#[test]
fn n54_10_other_suites_with_a_shared_key_do_not_exist() {
    // PSK and DHE_PSK and RSA_PSK with CBC; DHE_PSK and RSA_PSK with GCM; ECDHE_PSK with CBC.
    for id in [
        0x008c, 0x0090, 0x0094, 0x00ae, 0x00aa, 0x00ac, 0xc035, 0xc037, 0xccad, 0xccae,
    ] {
        let refused = Algorithms::default().cipher_suites(&[CipherSuite(id)]);
        assert!(refused.is_err(), "{id:#06x}");
    }
}

/// K11, RFC 4279 §2: what an end has no key for it does not offer, and what it has no certificate
/// or verifier for neither.
#[test]
fn n54_09_k11_suites_are_offered_only_with_what_they_need() {
    let hello = |config: ClientConfig| {
        let peer = ScriptedPeer::sharing_server(ECDHE_PSK[0].0, scripted());
        let mut harness = Harness::client(Transport::Tls, Arc::new(config), peer);
        harness.peer().offer.suites.clone()
    };
    let shared = [ECDHE_PSK, PSK].concat();
    let is_shared = |id: &u16| shared.contains(&CipherSuite(*id));
    let signals = |id: &u16| *id == CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV.0;
    let none = hello(Ends::new().client.build().unwrap());
    assert!(!none.iter().any(is_shared));
    let both = hello(Ends::new().client.add_shared_key(key()).build().unwrap());
    assert!(both.contains(&ECDHE_PSK[0].0) && both.contains(&CERTIFICATES.0));
    let mut alone = hello(client(key()).build().unwrap());
    alone.retain(|id| !signals(id));
    // RFC 9325 §4.1: what is not forward secret must be named.
    let usual = ECDHE_PSK.iter().chain(&CCM).map(|suite| suite.0);
    assert_eq!(alone, usual.collect::<Vec<_>>());
    // A key that serves 1.3 alone is none here.
    let imported = SharedKey::imported(IDENTITY, b"", &SECRET).unwrap();
    let imported = Ends::new().client.add_shared_key(imported);
    assert!(!hello(imported.build().unwrap()).iter().any(is_shared));
}

/// K11 at a server: it chooses nothing that it has nothing for, and says so when it is built.
#[test]
fn n54_09_k11_suites_are_chosen_only_with_what_they_need() {
    let all = [ECDHE_PSK.to_vec(), PSK.to_vec(), vec![CERTIFICATES]].concat();
    let ids: Vec<u16> = all.iter().map(|suite| suite.0).collect();
    let refused = Error::from(PeerIncompatible::NoCommonCipherSuite);
    let server_of = |config: ServerConfig, suites: &[u16]| {
        let mut peer = ScriptedPeer::sharing_client(SERVER, 0, scripted());
        peer.offer.suites = suites.to_vec();
        let mut harness = Harness::server(Transport::Tls, Arc::new(config), peer);
        harness.play(&[Line::ClientHello]);
        let error = harness.error();
        (harness.peer().choice.suite, error)
    };
    let certified = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (chosen, error) = server_of(certified.server.build().unwrap(), &ids);
    assert_eq!((chosen, error), (CERTIFICATES.0, None));
    // Suites that need naming are not chosen by default, the others are.
    let (chosen, error) = server_of(server([key()]).build().unwrap(), &ids);
    assert_eq!((chosen, error), (ECDHE_PSK[0].0, None));
    let plain = &PSK.map(|suite| suite.0);
    let (_, error) = server_of(server([key()]).build().unwrap(), plain);
    assert_eq!(error, Some(refused.clone()));
    let (_, error) = server_of(server([key()]).build().unwrap(), &[CERTIFICATES.0]);
    assert_eq!(error, Some(refused));
    // Nothing is left at either end: that is said before any handshake.
    let nothing = server([key()]).algorithms(only(&[CERTIFICATES])).build();
    assert_eq!(nothing.unwrap_err(), ConfigError::NoUsableCipherSuite);
    let nothing = client(key()).algorithms(only(&[CERTIFICATES])).build();
    assert_eq!(nothing.unwrap_err(), ConfigError::NoUsableCipherSuite);
    let nothing = Ends::new().client.algorithms(only(&[PSK[0]])).build();
    assert_eq!(nothing.unwrap_err(), ConfigError::NoUsableCipherSuite);
    let nothing = ClientConfig::without_verifier().build();
    assert_eq!(nothing.unwrap_err(), ConfigError::NoUsableCipherSuite);
}

/// K15, RFC 9258 §3: an imported key is for 1.3 alone.
#[test]
fn k15_an_imported_key_does_not_serve_this_version() {
    let imported = || SharedKey::imported(IDENTITY, b"", &SECRET).unwrap();
    let nothing = client(imported()).build();
    assert_eq!(nothing.unwrap_err(), ConfigError::NoUsableCipherSuite);
    // Nor one that is chosen, nor one that is found: neither end uses the bytes.
    let chooser = Chooser::of(|_, _| SharedKey::imported(IDENTITY, b"", &SECRET).ok());
    let chooses = ClientConfig::without_verifier()
        .versions(Versions::V1_2)
        .choose_shared_key(chooser);
    let mut duo = Duo::connecting(Transport::Tls, &configs(chooses, server([key()])));
    duo.settle();
    let error = duo.error(Side::Client);
    assert_eq!(error, Some(PeerIncompatible::NoSharedKey.into()));
    let found = configs(client(key()), server([imported()]));
    let mut duo = Duo::connecting(Transport::Tls, &found);
    duo.settle();
    let error = duo.error(Side::Server);
    assert_eq!(error, Some(PeerIncompatible::SharedKeyDiffers.into()));
}

/// K12: one server with keys and certificates; its clients alternate, and one that has both says
/// which it prefers.
#[test]
fn n54_09_k12_clients_with_keys_and_with_certificates_share_a_server() {
    let ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
    let verifier = WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
    let certificates = ends.pki.client(&rcgen::PKCS_ED25519);
    let server = ends
        .server
        .versions(Versions::default())
        .shared_keys(Arc::new(SharedKeys::new([key()])))
        // RFC 4279 §2: with a key no certificate is asked for.
        .client_authentication(ClientAuthentication::Required(Arc::new(verifier)));
    let server = Arc::new(server.build().unwrap());
    let roots = ends.pki.roots();
    let certified = |versions| {
        let client = ClientConfig::with_roots(roots.clone()).unwrap();
        client
            .versions(versions)
            .add_credential(certificates.clone())
    };
    let order = |suites: [CipherSuite; 2]| {
        let both = certified(Versions::V1_2).add_shared_key(key());
        both.algorithms(only(&suites))
    };
    for transport in BOTH {
        for _ in 0..3 {
            for (client, with_key, version) in [
                (client(key()), true, 2),
                (certified(Versions::V1_2), false, 2),
                (certified(Versions::V1_3), false, 3),
                (order([ECDHE_PSK[1], CERTIFICATES]), true, 2),
                (order([CERTIFICATES, ECDHE_PSK[1]]), false, 2),
            ] {
                let configs = Configs {
                    client: Arc::new(client.build().unwrap()),
                    server: server.clone(),
                };
                let mut duo = Duo::connected(transport, &configs);
                assert!(duo.exchange());
                for side in SIDES {
                    let identity = duo.identity(side).unwrap();
                    assert_eq!(identity.shared_key().is_some(), with_key, "{version}");
                }
            }
        }
    }
}

/// RFC 5489 §2, RFC 8422 §4: groups and point formats are named where something is exchanged, and
/// schemes only where something is signed.
#[test]
fn n55_05_a_hello_names_groups_for_an_exchange_and_schemes_for_signatures() {
    let extensions = |suites: &[CipherSuite]| {
        let config = client(key()).algorithms(only(suites)).build().unwrap();
        let peer = ScriptedPeer::sharing_server(suites[0].0, scripted());
        let mut harness = Harness::client(Transport::Dtls, Arc::new(config), peer);
        let offer = harness.peer().offer.clone();
        [SUPPORTED_GROUPS, EC_POINT_FORMATS, SIGNATURE_ALGORITHMS]
            .map(|typ| offer.extension(typ).is_some())
    };
    assert_eq!(extensions(&ECDHE_PSK), [true, true, false]);
    assert_eq!(extensions(&PSK), [false, false, false]);
}

/// Chooses as a function does, and remembers what it was asked.
struct Chooser<F> {
    choose: F,
    asked: Mutex<Vec<(String, Vec<u8>)>>,
}

impl<F: Fn(&str, &[u8]) -> Option<SharedKey>> Chooser<F> {
    fn of(choose: F) -> Arc<Self> {
        let asked = Mutex::default();
        Arc::new(Self { choose, asked })
    }
}

impl<F> std::fmt::Debug for Chooser<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chooser")
    }
}

impl<F: Fn(&str, &[u8]) -> Option<SharedKey> + Send + Sync> ChooseSharedKey for Chooser<F> {
    fn choose(&self, server: &str, hint: &[u8]) -> Option<SharedKey> {
        let asked = (server.to_owned(), hint.to_vec());
        self.asked.lock().unwrap().push(asked);
        (self.choose)(server, hint)
    }
}

/// RFC 4279 §5.2: a server gives no hint unless it is told to; a client ignores it unless somebody
/// knows what it means, who then sees all of it.
#[test]
fn n54_05_hints_are_for_those_who_know_what_they_mean() {
    let long = vec![0xff; 0xffff];
    for transport in BOTH {
        for suite in [PSK[0], ECDHE_PSK[0]] {
            for hint in [&b""[..], b"h", &[7; 128], &long] {
                let server = || {
                    let server = server([key(), named(hint)]).identity_hint(hint).unwrap();
                    server.algorithms(only(&[suite]))
                };
                let ignoring = client(key()).algorithms(only(&[suite]));
                let (ignoring, gives) = large(ignoring, server());
                let mut duo = Duo::connected(transport, &configs(ignoring, gives));
                assert_eq!(peer(&duo, Side::Server), Some(IDENTITY.to_vec()));
                duo.assert_agreed(1);
                let chooser = Chooser::of(|_, hint| Some(named(hint)));
                let choosing = client(key())
                    .choose_shared_key(chooser.clone())
                    .algorithms(only(&[suite]));
                let (choosing, gives) = large(choosing, server());
                let mut duo = Duo::connected(transport, &configs(choosing, gives));
                assert_eq!(peer(&duo, Side::Server), Some(hint.to_vec()));
                duo.assert_agreed(1);
                let asked = chooser.asked.lock().unwrap().clone();
                assert_eq!(asked, [(SERVER.to_owned(), hint.to_vec())]);
            }
        }
    }
    let longer = server([key()]).identity_hint(&[0; 0x1_0000]);
    assert!(matches!(longer, Err(ConfigError::OutOfRange { .. })));
}

#[test]
fn a_client_that_finds_no_key_for_a_hint_gives_up() {
    let chooses = ClientConfig::without_verifier()
        .versions(Versions::V1_2)
        .choose_shared_key(Chooser::of(|_, _| None));
    let mut duo = Duo::connecting(Transport::Tls, &configs(chooses, server([key()])));
    duo.settle();
    let error = duo.error(Side::Client);
    assert_eq!(error, Some(PeerIncompatible::NoSharedKey.into()));
}

/// K9, RFC 4279 §5.3, RFC 7925 §4.2: identities of any length and of any bytes are names of keys,
/// keys of any length are keys.
#[test]
fn n54_06_k9_identities_and_keys_of_any_length_are_served() {
    let identities = [0, 1, 128, 0xffff].map(|length| vec![0xfe; length]);
    for transport in BOTH {
        for suite in [PSK[1], ECDHE_PSK[1]] {
            for identity in &identities {
                for length in [1, 16, 64, 0xffff] {
                    let key = || SharedKey::new_short(identity, &vec![3; length]).unwrap();
                    let client = client(key()).algorithms(only(&[suite]));
                    let server = server([key()]).algorithms(only(&[suite]));
                    let (client, server) = large(client, server);
                    let mut duo = Duo::connected(transport, &configs(client, server));
                    duo.assert_agreed(1);
                    assert_eq!(peer(&duo, Side::Server).as_ref(), Some(identity));
                }
            }
        }
    }
}

/// By default nobody can make an end keep that much: the longest names are too long.
#[test]
fn the_longest_names_need_a_policy_that_lets_them_in() {
    for transport in BOTH {
        let long = named(&[b'x'; 0xffff]);
        let mut duo = Duo::connecting(transport, &configs(client(long.clone()), server([long])));
        duo.run_for(PATIENCE);
        let error = duo.error(Side::Server).unwrap();
        assert!(error.to_string().contains("max_message"), "{error}");
    }
}

/// RFC 7925 §4.2: names are compared byte by byte, and reach the store as they were sent.
#[test]
fn n54_04_names_that_differ_in_a_byte_are_other_names() {
    let identities: [&[u8]; 8] = [
        b"device",
        b"Device",
        b"device\0",
        b"device\0x",
        b" device",
        b"",
        b"\xff\xfe\xfd",
        "d\u{e9}vice".as_bytes(),
    ];
    let key = |number: usize| SharedKey::new(identities[number], &[number as u8; 16]).unwrap();
    let all: Vec<SharedKey> = (0..identities.len()).map(key).collect();
    for number in 0..identities.len() {
        // A key that is a client's is a value of its own.
        let alone = || key(number);
        let store = server(all.clone());
        let mut duo = Duo::connected(Transport::Tls, &configs(client(alone()), store));
        duo.assert_agreed(1);
        assert_eq!(
            peer(&duo, Side::Server).as_deref(),
            Some(identities[number])
        );
        let others = all.iter().filter(|key| key.name() != alone().name());
        let others = server(others.cloned());
        let mut duo = Duo::connecting(Transport::Tls, &configs(client(alone()), others));
        duo.settle();
        assert!(duo.error(Side::Server).is_some());
    }
}

/// Remembers what it was asked.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<SharedKeyQuery>>);

impl FindSharedKey for Noting {
    fn find(&self, query: &SharedKeyQuery) -> Option<SharedKey> {
        self.0.lock().unwrap().push(query.clone());
        Some(key())
    }
}

/// RFC 4279 §2, RFC 6066 §3: the store is told what the client wants; what it gives under another
/// name is no answer.
#[test]
fn n54_07_the_store_is_told_name_and_server_name() {
    for transport in BOTH {
        let noting = Arc::new(Noting::default());
        let server = server([]).shared_keys(noting.clone());
        let both = configs(client(key()), server.clone());
        let mut duo = Duo::connected(transport, &both);
        duo.assert_agreed(1);
        let version = match transport {
            Transport::Dtls => ProtocolVersion::DTLS12,
            Transport::Tls => ProtocolVersion::TLS12,
        };
        let asked = noting.0.lock().unwrap().clone();
        let [asked] = &asked[..] else {
            panic!("{asked:?}")
        };
        assert_eq!(asked.identity, IDENTITY);
        assert_eq!(asked.context, None);
        assert_eq!(asked.server_name.as_deref(), Some(SERVER));
        assert_eq!(asked.version, version);
        let both = configs(client(named(b"another")), server);
        let mut duo = Duo::connecting(transport, &both);
        duo.settle();
        assert!(
            !duo.handshakes(Side::Server)
                .contains(&complete(HandshakeKind::Full, false))
        );
    }
}

/// RFC 9325 §4.1: a suite without forward secrecy must be named, at both ends.
#[test]
fn n54_12_suites_without_an_exchange_must_be_named() {
    let named = || only(&[PSK[0], ECDHE_PSK[0]]);
    for (client_names, server_names) in [(true, false), (false, true), (false, false)] {
        let (mut client, mut server) = (client(key()), server([key()]));
        if client_names {
            client = client.algorithms(named());
        }
        if server_names {
            server = server.algorithms(named());
        }
        let duo = Duo::connected(Transport::Dtls, &configs(client, server));
        assert!(ECDHE_PSK.contains(&suite_of(&duo).0.unwrap()));
    }
    let duo = Duo::connected(
        Transport::Dtls,
        &configs(
            client(key()).algorithms(named()),
            server([key()]).algorithms(named()),
        ),
    );
    assert_eq!(suite_of(&duo), (Some(PSK[0]), None));
}

/// RFC 7925 §17: either end may have renegotiation off, a server by default: it answers
/// no_renegotiation, and the association goes on under the key.
#[test]
fn n54_13_either_end_may_have_renegotiation_off() {
    for transport in BOTH {
        for side in SIDES {
            let off = RekeyPolicy::default().follow_hello_requests(false);
            let client = client(key()).rekey(off);
            let mut duo = Duo::connected(transport, &configs(client, server([key()])));
            duo.renegotiate(side, false).unwrap();
            duo.settle();
            let refusal = refused(RenegotiationRefusal::NoRenegotiation);
            let told = duo.handshakes(side);
            assert!(told.contains(&refusal), "{told:?}");
            duo.assert_agreed(1);
        }
    }
}

fn resuming(tickets: bool) -> Configs {
    let store = MemoryClientSessions::new(8);
    let client = client(key()).session_store(Some(Arc::new(store)));
    let mut server = server([key()]);
    if !tickets {
        server = server.tickets(None);
    }
    configs(client, server)
}

/// Identity: a shared key, of version 1.2 × {full, resumed by ticket and by ID, renegotiated in
/// full and abbreviated} × {DTLS, TLS}. There are no key updates at 1.2.
#[test]
fn n54_11_a_key_is_the_same_identity_through_every_handshake() {
    for transport in BOTH {
        for tickets in [true, false] {
            let mut configs = resuming(tickets);
            for kind in [
                HandshakeKind::Full,
                HandshakeKind::Resumed,
                HandshakeKind::Resumed,
            ] {
                let mut duo = Duo::connected(transport, &configs);
                for side in SIDES {
                    assert_eq!(duo.handshakes(side), [complete(kind, false)]);
                    assert_eq!(peer(&duo, side), Some(IDENTITY.to_vec()), "{kind:?}");
                }
                duo.assert_agreed(1);
                let session = duo.session(Side::Client).unwrap();
                let name = session.peer_identity().and_then(Identity::shared_key);
                assert_eq!(name.unwrap().identity(), IDENTITY);
            }
            // The key is gone, and with it the store that knew it: no session outlives that.
            let certified = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
            configs.server = Arc::new(certified.server.build().unwrap());
            let mut duo = Duo::connecting(transport, &configs);
            duo.settle();
            let done = complete(HandshakeKind::Resumed, false);
            assert!(!duo.handshakes(Side::Client).contains(&done));
        }
    }
}

/// A session of another key, or of a server with a certificate, is not offered: the server would
/// be somebody else.
#[test]
fn n54_11_a_session_of_another_identity_is_not_offered() {
    let session_of = |configs: &Configs| {
        let duo = Duo::connected(Transport::Tls, configs);
        duo.session(Side::Client).unwrap()
    };
    let of_key = session_of(&resuming(true));
    let of_certificate = session_of(&Ends::new().resuming().build());
    let keeping = |client: ClientConfigBuilder| {
        client.session_store(Some(Arc::new(MemoryClientSessions::new(8))))
    };
    let all = || only(&[ECDHE_PSK[0], CERTIFICATES]);
    for (client, session, offers) in [
        (client(key()), &of_key, true),
        (client(named(b"another")), &of_key, false),
        (client(key()).algorithms(all()), &of_certificate, false),
        (Ends::new().client, &of_certificate, true),
        (Ends::new().client, &of_key, false),
    ] {
        let config = Arc::new(keeping(client).build().unwrap());
        let name = server_name();
        config.import_session(&name, session.clone()).unwrap();
        let peer = ScriptedPeer::sharing_server(ECDHE_PSK[0].0, scripted());
        let mut harness = Harness::client(Transport::Tls, config, peer);
        assert_eq!(!harness.peer().offer.session_id.is_empty(), offers);
    }
}

/// A client that is known by its key is not asked for a certificate later either.
#[test]
fn a_client_with_a_key_is_asked_for_no_certificate() {
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs(client(key()), server([key()])));
        let verifier = WebPkiClientVerifier::new(Ends::new().pki.roots()).unwrap();
        let required = ClientAuthentication::Required(Arc::new(verifier));
        let refused = duo.request_client_certificate(Side::Server, required);
        assert_eq!(refused, Err(RenegotiateError::ProvedBySharedKey));
        duo.assert_agreed(1);
    }
}

#[test]
fn n54_11_a_renegotiation_keeps_the_key() {
    for transport in BOTH {
        for side in SIDES {
            for abbreviated in [false, true] {
                let policy = allowing(RekeyPolicy::default());
                let store = MemoryClientSessions::new(8);
                let client = client(key()).session_store(Some(Arc::new(store)));
                let configs = configs(client.rekey(policy.clone()), server([key()]).rekey(policy));
                let mut duo = Duo::connected(transport, &configs);
                for round in 2..4 {
                    duo.renegotiate(side, abbreviated).unwrap();
                    duo.settle();
                    duo.assert_agreed(round);
                    for side in SIDES {
                        assert_eq!(peer(&duo, side), Some(IDENTITY.to_vec()));
                    }
                }
            }
        }
    }
}

/// E23 for keys: a client that names another key in a renegotiation is another client, unless the
/// policy lets that be.
#[test]
fn n54_11_a_renegotiation_with_another_key_is_refused() {
    for transport in BOTH {
        for change in [IdentityChange::Refuse, IdentityChange::Allow] {
            let taken = Mutex::new(0);
            let chooser = Chooser::of(move |_, _| {
                let mut taken = taken.lock().unwrap();
                *taken += 1;
                Some(if *taken == 1 {
                    key()
                } else {
                    named(b"another")
                })
            });
            let policy = allowing(RekeyPolicy::default()).identity_change(change);
            // The client itself would refuse it first.
            let lenient = RekeyPolicy::default().identity_change(IdentityChange::Allow);
            let client = client(key()).choose_shared_key(chooser).rekey(lenient);
            let server = server([key(), named(b"another")]).rekey(policy);
            let mut duo = Duo::connected(transport, &configs(client, server));
            duo.renegotiate(Side::Client, false).unwrap();
            duo.settle();
            if change == IdentityChange::Allow {
                duo.assert_agreed(2);
                assert_eq!(peer(&duo, Side::Server), Some(b"another".to_vec()));
            } else {
                assert!(!duo.is_alive(Side::Server));
            }
        }
    }
}

/// RFC 7627 §4 under every suite, and RFC 5705: both ends export the same, bound to the handshake
/// or not.
#[test]
fn n54_11_the_secret_is_bound_to_the_handshake() {
    let mut pair = {
        let configs = configs(client(key()), server([key()]));
        StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap()
    };
    pair.run();
    assert!(pair.client.connection.extended_master_secret());
    assert!(pair.server.connection.extended_master_secret());
}
