//! Rules of the RFCs that a foreign judge, BoringSSL's protocol runner, has found this library to
//! break, or that nothing else here would have noticed.

#![cfg_attr(
    not(feature = "conformance"),
    allow(unused_imports, reason = "some tests need the feature")
)]

use crate::common::configs::{Configs, Ends, Pki, SERVER, server_name, start};
use crate::common::datagram_harness::{DatagramHarness, scripted_client, scripted_server};
use crate::common::judged::{CHOICES, REFUSALS, judged};
use rcgen::KeyUsagePurpose;
use sealgram::config::{Algorithms, Versions};
use sealgram::error::{CertificateError, PeerIncompatible};
use sealgram::identity::{Credential, WebPkiClientVerifier};
use sealgram::record::Discard;
use sealgram::server::ClientAuthentication;
use sealgram::sim::scripted::{APPLICATION_DATA, HANDSHAKE, Line, ScriptedPeer as ScriptedPeer12};
use sealgram::sim::scripted13::{self, ScriptedPeer};
use sealgram::sim::{Pair, StreamEnd};
use sealgram::{
    AlertDescription, ClientConfig, DtlsConnection, Error, KeyUpdate, NamedGroup, Path,
    ProtocolVersion, ServerConfig, SignatureScheme, TlsConnection,
};
use std::sync::Arc;
use std::time::Duration;

const SUPPORTED_GROUPS: u16 = 10;
const CERTIFICATE_AUTHORITIES: u16 = 47;
const PRE_SHARED_KEY: u16 = 41;

/// What our server says to a scripted hello over a stream.
fn server_told(versions: Versions, alter: impl Fn(&mut ScriptedPeer)) -> Option<Error> {
    let ends = Ends::new().versions(versions);
    let mut peer = ScriptedPeer::client(SERVER, None);
    alter(&mut peer);
    let now = start();
    let mut ours = StreamEnd::new(TlsConnection::accept(now, ends.build().server).unwrap());
    let hello = peer.speak(&[scripted13::Line::ClientHello]);
    ours.deliver(now, &hello);
    ours.error
}

fn alert(error: Option<Error>) -> Option<AlertDescription> {
    error.as_ref().and_then(Error::alert)
}

/// RFC 8446 §4.2.4: authorities<3..2^16-1>.
#[test]
fn an_empty_list_of_certificate_authorities_does_not_decode() {
    let told = |body: &[u8]| {
        let alter = |peer: &mut ScriptedPeer| {
            peer.offer.set_extension(CERTIFICATE_AUTHORITIES, body);
        };
        alert(server_told(Versions::V1_3, alter))
    };
    assert_eq!(told(&[0, 0]), Some(AlertDescription::DECODE_ERROR));
    assert_eq!(
        told(&[0, 3, 0, 1, 7, 0]),
        Some(AlertDescription::DECODE_ERROR)
    );
    assert_eq!(told(&[0, 3, 0, 1, 7]), None);
}

/// RFC 8446 §4.2.11: a server that finds something behind pre_shared_key says illegal_parameter.
#[test]
fn a_pre_shared_key_that_is_not_the_last_extension_is_illegal() {
    let identity = [&[0, 8, 0, 2][..], b"id", &[0; 4]].concat();
    let binders = [&[0, 33, 32][..], &[7; 32]].concat();
    let told = server_told(Versions::V1_3, |peer| {
        let body = [&identity[..], &binders].concat();
        peer.offer.set_extension(PRE_SHARED_KEY, &body);
        peer.offer.set_extension(0xfafa, &[]);
    });
    assert_eq!(alert(told), Some(AlertDescription::ILLEGAL_PARAMETER));
}

/// RFC 8446 §4.2.11: pre_shared_key means nothing where 1.3 is not spoken, whatever its binders
/// look like.
#[test]
fn a_short_binder_does_no_harm_to_a_hello_of_1_2() {
    let ends = Ends::new();
    let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
    let identity = [&[0, 8, 0, 2][..], b"id", &[0; 4]].concat();
    let body = [&identity[..], &[0, 13, 12], &[7; 12]].concat();
    harness.peer.offer.set_extension(PRE_SHARED_KEY, &body);
    harness.complete();
    assert!(harness.exchange(3));
}

/// RFC 8422 §5.3: at 1.2 the curve of the server's key is one that the client lists.
#[test]
fn an_ecdsa_key_whose_curve_the_client_does_not_list_is_not_used() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let server = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ECDSA_P384_SHA384));
    let two = server
        .clone()
        .add_credential(pki.server(&rcgen::PKCS_ECDSA_P256_SHA256));
    for (server, expected) in [(server, false), (two, true)] {
        let server = server.versions(Versions::V1_2).build().unwrap();
        let client = ClientConfig::with_roots(pki.roots())
            .unwrap()
            .versions(Versions::V1_2)
            .algorithms(
                Algorithms::default()
                    .groups(&[NamedGroup::X25519, NamedGroup::SECP256R1])
                    .unwrap(),
            );
        let configs = Configs {
            client: Arc::new(client.build().unwrap()),
            server: Arc::new(server),
        };
        let mut pair = configs.pair(1);
        let connected = pair.run_until_connected(Duration::from_secs(5));
        assert_eq!(connected, expected);
    }
    // Old clients do not say, and take any.
    let ends = Ends::with(&rcgen::PKCS_ECDSA_P384_SHA384);
    let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
    harness.peer.offer.remove_extension(SUPPORTED_GROUPS);
    harness.exchange_cookies();
    assert!(harness.peer.messages_heard().contains(&12));
}

/// RFC 8446 §4.4.2.2, RFC 5246 §7.4.2: keyUsage, where it is there, has digitalSignature.
#[test]
fn a_certificate_whose_key_must_not_sign_is_refused() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for (usages, good) in [
            (&[KeyUsagePurpose::DigitalSignature][..], true),
            (&[KeyUsagePurpose::KeyAgreement], false),
        ] {
            let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
            let credential = pki.leaf_with(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
                params.key_usages = usages.to_vec();
            });
            let server = ServerConfig::with_credential(credential).versions(versions);
            let client = ClientConfig::with_roots(pki.roots()).unwrap();
            let client = client.versions(versions);
            let configs = Configs {
                client: Arc::new(client.build().unwrap()),
                server: Arc::new(server.build().unwrap()),
            };
            let mut pair = configs.pair(1);
            assert_eq!(pair.run_until_connected(Duration::from_secs(5)), good);
            if !good {
                let failure =
                    crate::common::datagram_harness::failure(&pair.client_events).unwrap();
                let expected = Error::InvalidCertificate(CertificateError::NotForSigning);
                assert_eq!(failure.error, expected);
            }
        }
    }
}

/// RFC 9147 §5.2: several messages of a flight travel in one record, and one acknowledgement covers
/// them.
#[test]
fn messages_of_1_3_share_records() {
    let mut pair = Ends::new().versions(Versions::V1_3).build().connected(1);
    pair.run_for(Duration::from_secs(5));
    // ServerHello, then all the rest of the flight in one record; the acknowledgement of the
    // client's Finished.
    let sent = pair.server_connection().unwrap().stats().records_sent();
    assert_eq!(sent, 3);
}

#[cfg(feature = "conformance")]
fn patient() -> Pair {
    let ends = Ends::new().versions(Versions::V1_3).resuming();
    let ends = judged!(ends, acknowledge_patiently: true);
    ends.build().connected(1)
}

/// RFC 9147 §7.1: with patience, both tickets are acknowledged together, after a quarter of the
/// timeout.
#[cfg(feature = "conformance")]
#[test]
fn tickets_are_acknowledged_together_with_patience() {
    let mut pair = patient();
    pair.run_for(Duration::from_millis(100));
    let acknowledged = |pair: &Pair| {
        let client = pair.client_connection().unwrap();
        (
            client.stats().records_sent(),
            client.retransmission_deadline(),
        )
    };
    let (before, due) = acknowledged(&pair);
    assert!(due.is_some_and(|due| due > pair.now));
    pair.run_for(Duration::from_millis(250));
    assert_eq!(acknowledged(&pair), (before + 1, None));
    pair.run_for(Duration::from_secs(5));
    let server = pair.server_connection().unwrap();
    assert_eq!(server.stats().flights_retransmitted(), 0);
}

/// RFC 9147 §5.8.2: whoever knows better sets the timer, and one that runs is scaled.
#[test]
fn a_running_timer_is_scaled_to_a_new_timeout() {
    let client = Ends::new().build().client;
    let path = Path::new(([192, 0, 2, 1], 4433).into());
    let mut now = start();
    let mut client = DtlsConnection::connect(now, client, server_name(), path).unwrap();
    let left = |client: &DtlsConnection, now| {
        let due = client.retransmission_deadline().unwrap();
        due.saturating_duration_since(now)
    };
    let mut out = Vec::new();
    assert!(client.poll_transmit(now, 1, &mut out).is_some());
    assert_eq!(left(&client, now), Duration::from_secs(1));
    now += Duration::from_secs(1);
    client.handle_timeout(now).unwrap();
    assert_eq!(left(&client, now), Duration::from_secs(2));
    let timeout = Duration::from_millis(400);
    client.set_initial_timeout(timeout).unwrap();
    assert_eq!(left(&client, now), Duration::from_millis(800));
}

/// The same for what waits to be acknowledged behind a handshake of 1.3: a key update that is lost.
#[test]
fn the_timer_of_a_key_update_is_scaled_to_a_new_timeout() {
    let configs = Ends::new().versions(Versions::V1_3).build();
    let path = Path::new(([192, 0, 2, 1], 4433).into());
    let now = start();
    let mut client = DtlsConnection::connect(now, configs.client, server_name(), path).unwrap();
    let mut server = DtlsConnection::listen(now, configs.server, path).unwrap();
    for _ in 0..4 {
        pass(now, &mut client, &mut server);
        pass(now, &mut server, &mut client);
    }
    assert_eq!(client.retransmission_deadline(), None);
    client.key_update(KeyUpdate::NotRequested).unwrap();
    assert!(client.poll_transmit(now, 1, &mut Vec::new()).is_some());
    let left = |client: &DtlsConnection| client.retransmission_deadline().unwrap() - now;
    assert_eq!(left(&client), Duration::from_secs(1));
    let timeout = Duration::from_millis(400);
    client.set_initial_timeout(timeout).unwrap();
    assert_eq!(left(&client), timeout);
}

/// Everything that one end has to send arrives at the other.
fn pass(now: std::time::Instant, from: &mut DtlsConnection, to: &mut DtlsConnection) {
    let mut out = Vec::new();
    while let Some(transmit) = {
        out.clear();
        from.poll_transmit(now, 1, &mut out)
    } {
        let datagram = bytes::BytesMut::from(&out[..transmit.len]);
        to.handle_datagram(now, transmit.path, datagram).unwrap();
    }
}

/// For peers that are judged rather than attacked: what has no place before keys ends the attempt.
#[test]
fn plaintext_faults_end_an_attempt_where_the_policy_says_so() {
    let told = |fails: bool, play: &dyn Fn(&mut DatagramHarness)| {
        let ends = judged!(Ends::new(), fail_by_plaintext_faults: fails);
        let peer = scripted_server(&ends);
        let mut harness = DatagramHarness::client(ends.build().client, peer);
        play(&mut harness);
        alert(harness.error())
    };
    let data = |harness: &mut DatagramHarness| {
        let record = harness.peer.record(APPLICATION_DATA, 0, b"data");
        harness.deliver(&record);
    };
    let misplaced = |harness: &mut DatagramHarness| harness.play(&[Line::Certificate]);
    let unknown = |harness: &mut DatagramHarness| {
        let record = harness.peer.record(99, 0, b"?");
        harness.deliver(&record);
    };
    for play in [&data as &dyn Fn(&mut DatagramHarness), &misplaced, &unknown] {
        for &fails in CHOICES {
            let expected = fails.then_some(AlertDescription::UNEXPECTED_MESSAGE);
            assert_eq!(told(fails, play), expected);
        }
    }
}

/// RFC 8446 §4.4.2.3: the credential is chosen by what the server asks for: schemes, and issuers
/// where the credential is for them alone. Where none fits, none is shown, unless a judge wants a
/// failure.
#[test]
fn a_client_shows_the_credential_that_fits() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let ends = Ends::new().versions(versions);
        let stranger = Pki::new(&rcgen::PKCS_ED25519);
        let Credential::Certificate(other) = stranger.client(&rcgen::PKCS_ED25519) else {
            unreachable!()
        };
        let own = ends.pki.client(&rcgen::PKCS_ED25519);
        let verifier = Arc::new(WebPkiClientVerifier::new(ends.pki.roots()).unwrap());
        let server = ends
            .server
            .client_authentication(ClientAuthentication::Required(verifier));
        let server = Arc::new(server.build().unwrap());
        let misled = ends
            .client
            .add_credential(Credential::Certificate(other.only_for_issuers()));
        let outcome = |client: ClientConfig| {
            let configs = Configs {
                client: Arc::new(client),
                server: server.clone(),
            };
            let mut pair = configs.pair(1);
            let connected = pair.run_until_connected(Duration::from_secs(5));
            (
                connected,
                crate::common::datagram_harness::failure(&pair.client_events),
            )
        };
        let right = misled.clone().add_credential(own);
        assert!(outcome(right.build().unwrap()).0);
        // Without a fitting one the server gets none, and says what it thinks of that.
        assert!(!outcome(misled.clone().build().unwrap()).0);
        let failing = judged!(misled, need_fitting_credential: true);
        let failure = outcome(failing.build().unwrap()).1;
        let expected = Error::PeerIncompatible(PeerIncompatible::NoFittingCredential);
        let told = failure.is_some_and(|it| it.error == expected);
        assert_eq!(told, cfg!(feature = "conformance"));
    }
}

/// RFC 8446 §4.2.3: what is not offered is not taken, and what a key is told not to make is not
/// made.
#[test]
fn signature_schemes_are_what_both_ends_say() {
    let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let connects = |server: &Credential, schemes: &[SignatureScheme]| {
        let client = ClientConfig::with_roots(pki.roots()).unwrap();
        let client = client.algorithms(Algorithms::default().signature_schemes(schemes).unwrap());
        let server = ServerConfig::with_credential(server.clone());
        let configs = Configs {
            client: Arc::new(client.build().unwrap()),
            server: Arc::new(server.build().unwrap()),
        };
        configs.pair(1).run_until_connected(Duration::from_secs(5))
    };
    let rsa = crate::common::configs::rsa_server(&pki);
    let (sha256, sha384) = (
        SignatureScheme::RSA_PSS_RSAE_SHA256,
        SignatureScheme::RSA_PSS_RSAE_SHA384,
    );
    let p256 = SignatureScheme::ECDSA_SECP256R1_SHA256;
    assert!(connects(&rsa, &[sha384, p256]));
    assert!(!connects(&rsa, &[p256]));
    let Credential::Certificate(certified) = rsa else {
        unreachable!()
    };
    let picky = Credential::Certificate(certified.clone().sign_with(&[sha256]).unwrap());
    assert!(connects(&picky, &[sha384, sha256, p256]));
    assert!(!connects(&picky, &[sha384, p256]));
    assert!(certified.sign_with(&[p256]).is_err());
    // RFC 8446 §4.2.3: PKCS#1 signs no handshake of 1.3, so a client that takes nothing else does
    // not speak that version.
    let client = ClientConfig::with_roots(pki.roots()).unwrap();
    let client = client.algorithms(
        Algorithms::default()
            .signature_schemes(&[SignatureScheme::RSA_PKCS1_SHA256])
            .unwrap(),
    );
    assert!(client.clone().versions(Versions::V1_3).build().is_err());
    let server = ServerConfig::with_credential(crate::common::configs::rsa_server(&pki));
    let server = Arc::new(server.build().unwrap());
    for (versions, expected) in [
        (Versions::V1_2, Some(ProtocolVersion::DTLS12)),
        (Versions::ALL, None),
    ] {
        let client = Arc::new(client.clone().versions(versions).build().unwrap());
        let server = server.clone();
        let mut pair = Configs { client, server }.pair(1);
        pair.run_for(Duration::from_secs(5));
        let version = pair.client_connection().and_then(|it| it.version());
        assert_eq!(version, expected);
    }
}

/// RFC 5246 §7.2.2: a wish to renegotiate that is refused may also end the association, or get no
/// answer.
#[test]
fn a_refused_renegotiation_gets_what_the_policy_says() {
    let outcomes = [(&[(1, 100)][..], true), (&[], true), (&[(2, 100)], false)];
    for (refusals, (alerts, alive)) in REFUSALS.iter().zip(outcomes) {
        let ends = Ends::new();
        let peer: ScriptedPeer12 = scripted_server(&ends);
        let policy = sealgram::config::RekeyPolicy::default().follow_hello_requests(false);
        let client = judged!(ends.client.rekey(policy), refusals: *refusals);
        let client = client.build().unwrap();
        let mut harness = DatagramHarness::client(Arc::new(client), peer);
        harness.complete();
        harness.peer.renegotiate();
        harness.play(&[Line::HelloRequest]);
        assert_eq!(harness.peer.alerts_heard(), alerts, "{refusals:?}");
        assert_eq!(harness.error().is_none(), alive);
        assert_eq!(harness.exchange(3), alive);
    }
}

/// RFC 6066 §3: a server says whether it has used the name.
#[test]
fn a_server_name_is_acknowledged_unless_the_server_has_no_use_for_it() {
    for &hides in CHOICES {
        let ends = Ends::new();
        let server = judged!(ends.server, hide_server_name: hides);
        let server = Arc::new(server.build().unwrap());
        let mut harness = DatagramHarness::server(server, scripted_client());
        harness.complete();
        let told = harness.peer.choice.extension(0).is_some();
        assert_eq!(told, !hides);
    }
}

/// WebRTC and other users know the path by other means: there is no cookie, and every fragment of
/// the hello may come first.
#[test]
fn a_listening_server_takes_a_hello_in_any_order_of_its_fragments() {
    let ends = Ends::new();
    let configs = ends.build();
    let mut peer = scripted_client();
    let path = Path::new(([192, 0, 2, 1], 4433).into());
    let now = start();
    let mut server = DtlsConnection::listen(now, configs.server, path).unwrap();
    let body = peer.body(Line::ClientHello);
    let hello = peer.say(1, body);
    for fragment in hello.fragments(20).iter().rev() {
        let record = peer.record(HANDSHAKE, 0, fragment);
        server
            .handle_datagram(now, path, bytes::BytesMut::from(&record[..]))
            .unwrap();
    }
    let mut out = Vec::new();
    assert!(server.poll_transmit(now, 64, &mut out).is_some());
    peer.hear(&out);
    assert_eq!(peer.messages_heard().first(), Some(&2));
    assert_eq!(server.stats().discarded(Discard::BadFragment), 0);
}

/// RFC 8446 §6.2: the application's own reason to end an association reaches the peer.
#[test]
fn an_aborted_association_tells_the_peer_why() {
    let mut pair = Ends::new().versions(Versions::V1_3).build().connected(1);
    pair.run_for(Duration::from_secs(1));
    let id = pair.client_id().unwrap();
    pair.client
        .association(pair.now, id)
        .unwrap()
        .abort(AlertDescription::ACCESS_DENIED);
    pair.client
        .association(pair.now, id)
        .unwrap()
        .abort(AlertDescription::INTERNAL_ERROR);
    pair.run_for(Duration::from_secs(1));
    let told =
        crate::common::datagram_harness::failure(&pair.server_events).map(|failure| failure.error);
    assert!(
        matches!(told, Some(Error::AlertReceived { alert, authenticated: true })
            if alert.description == AlertDescription::ACCESS_DENIED),
        "{told:?}"
    );
}
