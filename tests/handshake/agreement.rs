//! Handshakes over perfect links: every suite, group and kind of key, and what both ends then agree
//! upon.

use crate::common::configs::{Configs, Ends, Pki};
use sealgram::config::{Algorithms, ExtendedMasterSecret, KeyLog, SecureRandom, Versions};
use sealgram::error::{CertificateError, ConfigError, PeerIncompatible};
use sealgram::identity::{
    Credential, Fingerprint, Identity, PinnedFingerprint, WebPkiClientVerifier,
};
use sealgram::server::ClientAuthentication;
use sealgram::{
    CipherSuite, ClientConfig, Error, Event, HandshakeKind, NamedGroup, ProtocolVersion,
    ServerConfig,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Those for ECDSA keys, which include Ed25519.
const ECDSA_SUITES: &[CipherSuite] = &[
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    #[cfg(feature = "ccm")]
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    #[cfg(feature = "ccm")]
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
];

const RSA_SUITES: &[CipherSuite] = &[
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

const GROUPS: [NamedGroup; 3] = [
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

#[test]
fn a_full_handshake_completes_and_data_flows_both_ways() {
    let mut pair = Ends::new().build().connected(1);
    let complete = Event::HandshakeComplete {
        kind: HandshakeKind::Full,
        renegotiation: false,
    };
    assert_eq!(pair.client_events[0].1, complete);
    assert_eq!(pair.server_events[0].1, complete);
    for connection in [
        pair.client_connection().unwrap(),
        pair.server_connection().unwrap(),
    ] {
        assert_eq!(connection.version(), Some(ProtocolVersion::DTLS12));
        assert_eq!(connection.epoch().number(), 1);
        assert!(connection.extended_master_secret());
        assert_eq!(
            connection.server_name(),
            Some(crate::common::configs::SERVER)
        );
    }
    assert!(pair.exchange(100));
}

#[test]
fn every_suite_group_and_kind_of_key_works() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let credentials = [
        (pki.server(&rcgen::PKCS_ECDSA_P256_SHA256), ECDSA_SUITES),
        (pki.server(&rcgen::PKCS_ECDSA_P384_SHA384), ECDSA_SUITES),
        (pki.server(&rcgen::PKCS_ED25519), ECDSA_SUITES),
        (crate::common::configs::rsa_server(&pki), RSA_SUITES),
    ];
    for (credential, suites) in &credentials {
        let mut served = Vec::new();
        for &suite in ECDSA_SUITES.iter().chain(RSA_SUITES) {
            let server = ServerConfig::with_credential(credential.clone()).versions(Versions::V1_2);
            let algorithms = Algorithms::default().cipher_suites(&[suite]).unwrap();
            if server
                .clone()
                .algorithms(algorithms.clone())
                .build()
                .is_err()
            {
                continue;
            }
            served.push(suite);
            for group in GROUPS {
                // The client's list names the curves of keys as well, so the server alone chooses.
                let client = ClientConfig::with_roots(pki.roots())
                    .unwrap()
                    .versions(Versions::V1_2);
                let algorithms = algorithms.clone().groups(&[group]).unwrap();
                let server = server.clone().algorithms(algorithms);
                let configs = Configs {
                    client: Arc::new(client.build().unwrap()),
                    server: Arc::new(server.build().unwrap()),
                };
                let mut pair = configs.connected(1);
                let connection = pair.client_connection().unwrap();
                assert_eq!(connection.cipher_suite(), Some(suite));
                assert_eq!(connection.key_exchange_group(), Some(group));
                assert!(pair.exchange(3));
            }
        }
        assert_eq!(
            served, *suites,
            "a key serves the suites of its type and no others"
        );
    }
}

#[test]
fn a_server_without_a_suite_for_its_key_is_refused_when_it_is_configured() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let built = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519))
        .versions(Versions::V1_2)
        .algorithms(
            Algorithms::default()
                .cipher_suites(&[CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256])
                .unwrap(),
        )
        .build();
    assert_eq!(built.unwrap_err(), ConfigError::NoUsableCipherSuite);
}

#[test]
fn a_client_certificate_shows_who_the_client_is() {
    for (algorithm, name) in [
        (&rcgen::PKCS_ED25519, "ed25519"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "p384"),
    ] {
        let ends = Ends::new();
        let Credential::Certificate(certified) = ends.pki.client(algorithm) else {
            unreachable!()
        };
        let expected = Fingerprint::of(&certified.chain()[0]);
        let ends = ends.mutual_with(Credential::Certificate(certified));
        let mut pair = ends.build().connected(1);
        let identity = pair.server_connection().unwrap().peer_identity().cloned();
        assert_eq!(
            identity.as_ref().and_then(Identity::fingerprint),
            Some(expected),
            "{name}"
        );
        assert!(pair.exchange(3));
    }
}

#[test]
fn a_server_that_requires_a_certificate_refuses_a_client_without_one() {
    let ends = Ends::new();
    let verifier = Arc::new(WebPkiClientVerifier::new(ends.pki.roots()).unwrap());
    for (policy, served) in [
        (ClientAuthentication::Required(verifier.clone()), false),
        (ClientAuthentication::Optional(verifier), true),
    ] {
        let configs = Configs {
            client: Arc::new(ends.client.clone().build().unwrap()),
            server: Arc::new(
                ends.server
                    .clone()
                    .client_authentication(policy)
                    .build()
                    .unwrap(),
            ),
        };
        let mut pair = configs.pair(1);
        assert_eq!(pair.run_until_connected(Duration::from_secs(300)), served);
        if !served {
            let failure = failure(&pair.server_events);
            assert_eq!(
                failure,
                Error::PeerIncompatible(PeerIncompatible::ClientCertificateRequired)
            );
            assert!(pair.server.is_empty());
        }
    }
}

#[test]
fn a_certificate_of_an_unknown_issuer_or_for_another_name_is_refused() {
    let ends = Ends::new();
    let stranger = Pki::new(&rcgen::PKCS_ED25519);
    let server = Arc::new(ends.server.build().unwrap());
    let wrong_root = ClientConfig::with_roots(stranger.roots())
        .unwrap()
        .versions(Versions::V1_2)
        .build()
        .unwrap();
    let mut pair = Configs {
        client: Arc::new(wrong_root),
        server: server.clone(),
    }
    .pair(1);
    pair.run_for(Duration::from_secs(1));
    let error = failure(&pair.client_events);
    assert_eq!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer)
    );

    let client = Arc::new(ends.client.build().unwrap());
    let mut pair = sealgram::sim::Pair::new(server, crate::common::configs::start(), 1).unwrap();
    pair.connect(client, "other.test".try_into().unwrap())
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    let expected = CertificateError::NotValidForName {
        expected: "other.test".into(),
    };
    assert_eq!(
        failure(&pair.client_events),
        Error::InvalidCertificate(expected)
    );
    // The server is told by an alert, and forgets the attempt.
    assert!(matches!(
        failure(&pair.server_events),
        Error::AlertReceived { .. }
    ));
    assert!(pair.server.is_empty() && pair.client.is_empty());
}

#[test]
fn a_pinned_fingerprint_needs_no_roots() {
    let ends = Ends::new();
    let Credential::Certificate(certified) = ends.pki.server(&rcgen::PKCS_ED25519) else {
        unreachable!()
    };
    let pin = Fingerprint::of(&certified.chain()[0]);
    let server = ServerConfig::with_credential(Credential::Certificate(certified))
        .versions(Versions::V1_2)
        .build()
        .unwrap();
    let server = Arc::new(server);
    for (pin, served) in [(pin, true), (Fingerprint::from([0; 32]), false)] {
        let verifier = Arc::new(PinnedFingerprint::new([pin]));
        let client = Arc::new(ClientConfig::with_verifier(verifier).build().unwrap());
        let mut pair = Configs {
            client,
            server: server.clone(),
        }
        .pair(1);
        assert_eq!(pair.run_until_connected(Duration::from_secs(300)), served);
    }
}

/// RFC 7301 §3.2, RFC 9325 §3.8.
#[test]
fn application_protocols_are_agreed_or_the_handshake_fails() {
    let ends = Ends::new();
    let client = ends.client.alpn(&[b"coap", b"echo"]).unwrap();
    let client = Arc::new(client.build().unwrap());
    let server = |protocols: &[&[u8]]| {
        Arc::new(
            ends.server
                .clone()
                .alpn(protocols)
                .unwrap()
                .build()
                .unwrap(),
        )
    };
    let pair = Configs {
        client: client.clone(),
        server: server(&[b"echo", b"coap"]),
    }
    .connected(1);
    assert_eq!(pair.client_connection().unwrap().alpn(), Some(&b"echo"[..]));
    assert_eq!(pair.server_connection().unwrap().alpn(), Some(&b"echo"[..]));
    let pair = Configs {
        client: client.clone(),
        server: server(&[]),
    }
    .connected(1);
    assert_eq!(pair.client_connection().unwrap().alpn(), None);
    let mut pair = Configs {
        client,
        server: server(&[b"other"]),
    }
    .pair(1);
    pair.run_for(Duration::from_secs(1));
    let expected = Error::PeerIncompatible(PeerIncompatible::NoCommonApplicationProtocol);
    assert_eq!(failure(&pair.server_events), expected);
    assert!(matches!(
        failure(&pair.client_events),
        Error::AlertReceived {
            authenticated: false,
            ..
        }
    ));
}

/// RFC 7301 §3.1: a name has 1 to 255 bytes.
#[test]
fn the_name_of_an_application_protocol_has_1_to_255_bytes() {
    let longest = [b'p'; 256];
    for (length, fits) in [(0, false), (1, true), (255, true), (256, false)] {
        let mut ends = Ends::new();
        let name = &longest[..length];
        let both = (
            ends.client.clone().alpn(&[name]),
            ends.server.clone().alpn(&[name]),
        );
        let (Ok(client), Ok(server)) = both else {
            assert!(!fits, "{length}");
            let refused = ends.client.alpn(&[name]).unwrap_err();
            assert!(matches!(refused, ConfigError::OutOfRange { .. }));
            continue;
        };
        (ends.client, ends.server) = (client, server);
        let pair = ends.build().connected(1);
        assert_eq!(pair.server_connection().unwrap().alpn(), Some(name));
        assert!(fits, "{length}");
    }
}

#[test]
fn ends_without_a_common_group_or_suite_say_so() {
    let ends = Ends::new();
    let client = |groups: &[NamedGroup], suites: &[CipherSuite]| {
        let builder = ends.client.clone().algorithms(
            Algorithms::default()
                .groups(groups)
                .unwrap()
                .cipher_suites(suites)
                .unwrap(),
        );
        Arc::new(builder.build().unwrap())
    };
    let server = ends.server.clone().algorithms(
        Algorithms::default()
            .groups(&[NamedGroup::SECP384R1])
            .unwrap(),
    );
    let server = Arc::new(server.build().unwrap());
    for (client, expected) in [
        (
            client(&[NamedGroup::X25519], ECDSA_SUITES),
            PeerIncompatible::NoCommonGroup,
        ),
        (
            client(&GROUPS, RSA_SUITES),
            PeerIncompatible::NoCommonCipherSuite,
        ),
    ] {
        let mut pair = Configs {
            client,
            server: server.clone(),
        }
        .pair(1);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(
            failure(&pair.server_events),
            Error::PeerIncompatible(expected)
        );
    }
}

/// RFC 5705: both ends export the same, and label, context and its absence all matter.
#[test]
fn both_ends_export_the_same_keys() {
    let pair = Ends::new().build().connected(1);
    let export = |label: &[u8], context: Option<&[u8]>| {
        let [mut client, mut server] = [[0; 40]; 2];
        let connections = (
            pair.client_connection().unwrap(),
            pair.server_connection().unwrap(),
        );
        connections
            .0
            .export_keying_material(&mut client, label, context)
            .unwrap();
        connections
            .1
            .export_keying_material(&mut server, label, context)
            .unwrap();
        assert_eq!(client, server);
        client
    };
    let exported = [
        export(b"EXPORTER-a", None),
        export(b"EXPORTER-a", Some(b"")),
        export(b"EXPORTER-a", Some(b"x")),
        export(b"EXPORTER-b", None),
    ];
    for (index, first) in exported.iter().enumerate() {
        assert!(exported[index + 1..].iter().all(|second| second != first));
    }
}

#[derive(Debug, Default)]
struct Collected(Mutex<Vec<String>>);

impl KeyLog for Collected {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{label} {client_random:?} {secret:?}"));
    }
}

#[test]
fn both_ends_log_the_same_secret() {
    let ends = Ends::new();
    let log = Arc::new(Collected::default());
    let client = Arc::new(ends.client.key_log(log.clone()).build().unwrap());
    let server = Arc::new(ends.server.key_log(log.clone()).build().unwrap());
    Configs { client, server }.connected(1);
    let lines = log.0.lock().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0].starts_with("CLIENT_RANDOM "));
}

#[test]
fn the_policy_to_prefer_extended_master_secret_still_uses_it() {
    let ends = Ends::new();
    let client = ends
        .client
        .extended_master_secret(ExtendedMasterSecret::Prefer);
    let server = ends
        .server
        .extended_master_secret(ExtendedMasterSecret::Prefer);
    let client = Arc::new(client.build().unwrap());
    let pair = Configs {
        client,
        server: Arc::new(server.build().unwrap()),
    }
    .connected(1);
    assert!(pair.client_connection().unwrap().extended_master_secret());
}

#[test]
fn closing_one_end_closes_the_other() {
    let mut pair = Ends::new().build().connected(1);
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    pair.client
        .association(pair.now, client)
        .unwrap()
        .send(b"last words")
        .unwrap();
    pair.client.association(pair.now, client).unwrap().close();
    pair.run_for(Duration::from_secs(1));
    let closed = Event::PeerClosed;
    assert!(pair.server_events.iter().any(|(_, event)| *event == closed));
    assert_eq!(
        pair.server
            .association(pair.now, server)
            .unwrap()
            .recv()
            .unwrap()
            .data,
        "last words"
    );
    pair.run_for(Duration::from_secs(1000));
    assert!(pair.client.is_empty());
    assert!(pair.server.is_empty(), "{:?}", pair.server_events);
}

fn failure(events: &[(sealgram::endpoint::AssociationId, Event)]) -> Error {
    let mut failures = events.iter().rev().filter_map(|(_, event)| match event {
        Event::Failed(failure) => Some(failure.error.clone()),
        _ => None,
    });
    failures.next().expect("an association failed")
}

/// The same byte for ever.
#[derive(Debug)]
struct Always(u8);

impl SecureRandom for Always {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        out.fill(self.0);
        Ok(())
    }
}

/// What an operator gives as the source of randoms is what both hellos show.
#[test]
fn the_randoms_of_the_hellos_come_from_the_source_that_was_given() {
    let mut ends = Ends::new();
    ends.client = ends.client.random(Arc::new(Always(7)));
    ends.server = ends.server.random(Arc::new(Always(8)));
    let mut pair = ends.build().pair(1);
    pair.record();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    for (typ, byte) in [(1, 7), (2, 8)] {
        let seen = pair.seen.iter().flatten().map(|seen| &seen.datagram);
        let is_hello = |datagram: &&Vec<u8>| datagram[0] == 22 && datagram[13] == typ;
        let hello = seen.clone().find(is_hello).unwrap();
        // After the headers of the record and of the message, and the version.
        assert_eq!(hello[13 + 12 + 2..][..32], [byte; 32]);
    }
}
