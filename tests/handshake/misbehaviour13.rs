//! A keyed peer of version 1.3 that breaks the rules: section D of the failure catalogue, behind
//! the hellos.
//!
//! * D1, D2, D4, D5: 1.3 has no ChangeCipherSpec that says anything and no ServerKeyExchange;
//!   verdicts: `tests/handshake/misbehaviour12.rs`
//! * D7: `tests/handshake/raw_key_faults.rs`
//! * D10, D12–D15, D19: `tests/handshake/hellos13.rs`: hellos are unprotected
//! * D17, D18: `tests/handshake/misbehaviour12.rs`, `tests/handshake/hellos12.rs`

use crate::common::configs::{Ends, Pki, SERVER, server_name, start};
use crate::common::datagram_harness::DatagramHarness;
use sealgram::config::Versions;
use sealgram::error::PeerMisbehaved;
use sealgram::identity::WebPkiClientVerifier;
use sealgram::server::ClientAuthentication;
use sealgram::sim::StreamEnd;
use sealgram::sim::scripted::{self, ScriptedPeer as ScriptedPeer12};
use sealgram::sim::scripted13::{Line, ScriptedPeer, ScriptedTicket};
use sealgram::{AlertDescription, ClientConfig, Error, Event, ProtocolVersion, TlsConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an honest server says, but for its hello.
const SERVER_FLIGHT: [Line; 4] = [
    Line::EncryptedExtensions,
    Line::Certificate,
    Line::CertificateVerify,
    Line::Finished,
];

/// The same with a request for a certificate.
const ASKING_SERVER_FLIGHT: [Line; 5] = [
    Line::EncryptedExtensions,
    Line::CertificateRequest,
    Line::Certificate,
    Line::CertificateVerify,
    Line::Finished,
];

/// The same where a ticket stands for the certificate.
const RESUMING_SERVER_FLIGHT: [Line; 2] = [Line::EncryptedExtensions, Line::Finished];

/// What an honest client says behind the server's Finished.
const CLIENT_FLIGHT: [Line; 1] = [Line::Finished];

/// The same with a certificate.
const PROVING_CLIENT_FLIGHT: [Line; 3] =
    [Line::Certificate, Line::CertificateVerify, Line::Finished];

/// One end of ours over a stream, opposite a scripted peer.
struct Harness {
    ours: StreamEnd,
    peer: ScriptedPeer,
    now: Instant,
}

impl Harness {
    /// Our client, which has said hello.
    fn client(config: Arc<ClientConfig>, peer: ScriptedPeer) -> Self {
        let now = start();
        let ours = TlsConnection::connect(now, config, server_name()).unwrap();
        let mut harness = Self {
            ours: StreamEnd::new(ours),
            peer,
            now,
        };
        harness.listen();
        harness
    }

    /// Our server, which a scripted client has said hello to.
    fn server(ends: Ends, peer: ScriptedPeer) -> Self {
        let now = start();
        let ours = TlsConnection::accept(now, ends.build().server).unwrap();
        let mut harness = Self {
            ours: StreamEnd::new(ours),
            peer,
            now,
        };
        harness.play(&[Line::ClientHello]);
        harness
    }

    fn play(&mut self, lines: &[Line]) {
        self.play_altered(lines, |_, _| {});
    }

    fn play_altered(&mut self, lines: &[Line], mut alter: impl FnMut(Line, &mut Vec<u8>)) {
        for &line in lines {
            let bytes = self.peer.speak_altered(&[line], &mut alter);
            self.deliver(&bytes);
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.ours.deliver(self.now, bytes);
        self.listen();
    }

    fn listen(&mut self) {
        let bytes = self.ours.transmit(self.now);
        self.peer.hear(&bytes);
    }

    fn is_complete(&self) -> bool {
        let complete = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
        self.ours.events.iter().any(complete)
    }

    fn error(&self) -> Option<&Error> {
        self.ours.error.as_ref()
    }

    /// What the peer says as data is taken.
    fn hears(&mut self) -> bool {
        let record = self.peer.data(b"a question");
        self.deliver(&record);
        self.ours.received == b"a question"
    }
}

/// Both ends of ours at version 1.3, of which a script uses the secrets.
fn ends() -> Ends {
    Ends::new().versions(Versions::V1_3)
}

fn scripted_server(ends: &Ends) -> ScriptedPeer {
    ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519))
}

/// Our client opposite a scripted server that it trusts, which has said hello.
fn our_client() -> Harness {
    let ends = ends();
    let peer = scripted_server(&ends);
    let mut harness = Harness::client(ends.build().client, peer);
    harness.play(&[Line::ServerHello]);
    harness
}

/// Our client with a ticket of a scripted server, which has just taken it.
fn our_resuming_client() -> Harness {
    let ends = ends().resuming();
    let (first, second) = (scripted_server(&ends), scripted_server(&ends));
    let client = ends.build().client;
    let ticket = ticket_for(&client, first);
    let mut harness = Harness::client(client, second.resuming(&ticket));
    assert!(harness.peer.offer.extension(41).is_some());
    harness.play(&[Line::ServerHello]);
    harness
}

/// A connection that leaves a ticket with the client.
fn ticket_for(client: &Arc<ClientConfig>, peer: ScriptedPeer) -> ScriptedTicket {
    let mut harness = Harness::client(client.clone(), peer);
    harness.play(&[Line::ServerHello]);
    harness.play(&SERVER_FLIGHT);
    harness.play(&[Line::NewSessionTicket]);
    assert!(harness.is_complete() && harness.hears());
    harness.peer.ticket().unwrap()
}

/// Our server opposite a scripted client, of which it asks no certificate.
fn our_server() -> Harness {
    Harness::server(ends(), ScriptedPeer::client(SERVER, None))
}

/// Our server, which demands a certificate, opposite a scripted client that has a good one.
fn our_demanding_server() -> Harness {
    let ends = ends().mutual();
    let credential = ends.pki.client(&rcgen::PKCS_ED25519);
    Harness::server(ends, ScriptedPeer::client(SERVER, Some(credential)))
}

#[test]
fn scripted_peers_that_behave_are_served() {
    for (mut harness, flight) in [
        (our_client(), &SERVER_FLIGHT[..]),
        (our_client(), &ASKING_SERVER_FLIGHT),
        (our_resuming_client(), &RESUMING_SERVER_FLIGHT),
        (our_server(), &CLIENT_FLIGHT),
        (our_demanding_server(), &PROVING_CLIENT_FLIGHT),
    ] {
        harness.play(flight);
        assert!(harness.is_complete(), "{flight:?} {:?}", harness.error());
        assert!(harness.hears(), "{flight:?}");
    }
}

/// The alert that our end sends to a flight, and that it sends nothing else afterwards and takes no
/// data.
fn told(mut harness: Harness, lines: &[Line]) -> Option<AlertDescription> {
    harness.play(lines);
    let alert = harness.error().and_then(Error::alert);
    harness.peer.pretend_finished();
    assert!(!harness.hears(), "{lines:?}");
    assert!(!harness.is_complete(), "{lines:?}");
    // The peer may not have the keys that the alert is under, but it hears of nothing else.
    assert!(harness.peer.alerts_heard().len() <= 1, "{lines:?}");
    alert
}

const UNEXPECTED: Option<AlertDescription> = Some(AlertDescription::UNEXPECTED_MESSAGE);

/// D6 (Botan CVE-2026-34582), RFC 8446 §4.4.2: a server without a ticket in common proves who it
/// is, or is nobody.
#[test]
fn d6_a_server_that_skips_its_certificate_is_not_believed() {
    for flight in [
        &[Line::EncryptedExtensions, Line::Finished][..],
        &[Line::Finished],
        &[
            Line::EncryptedExtensions,
            Line::CertificateVerify,
            Line::Finished,
        ],
        &[
            Line::EncryptedExtensions,
            Line::CertificateRequest,
            Line::Finished,
        ],
        &[Line::EncryptedExtensions, Line::Certificate, Line::Finished],
    ] {
        assert_eq!(told(our_client(), flight), UNEXPECTED, "{flight:?}");
    }
}

/// D6: an empty chain proves nothing either (RFC 8446 §4.4.2.4: decode_error).
#[test]
fn d6_a_server_with_an_empty_certificate_is_not_believed() {
    let mut harness = our_client();
    harness.play_altered(&SERVER_FLIGHT, |line, body| {
        if line == Line::Certificate {
            *body = vec![0, 0, 0, 0];
        }
    });
    let alert = harness.error().and_then(Error::alert);
    assert_eq!(alert, Some(AlertDescription::DECODE_ERROR));
    assert!(!harness.is_complete());
}

/// D6: a ticket that was not taken excuses nothing, and one that was taken asks for nothing more
/// (RFC 8446 §4.4.2).
#[test]
fn d6_a_certificate_beside_a_ticket_is_not_taken() {
    assert_eq!(told(our_resuming_client(), &SERVER_FLIGHT), UNEXPECTED);
    let asking = &ASKING_SERVER_FLIGHT;
    assert_eq!(told(our_resuming_client(), asking), UNEXPECTED);
    let ends = ends().resuming();
    let (first, second) = (scripted_server(&ends), scripted_server(&ends));
    let client = ends.build().client;
    ticket_for(&client, first);
    let mut harness = Harness::client(client, second);
    harness.play(&[Line::ServerHello]);
    assert_eq!(told(harness, &RESUMING_SERVER_FLIGHT), UNEXPECTED);
}

/// D3 (wolfSSL CVE-2022-25638, -25640, Erlang CVE-2022-37026), RFC 8446 §4.4.3: a certificate
/// without its proof.
#[test]
fn d3_a_client_certificate_without_certificate_verify_is_not_believed() {
    let flight = [Line::Certificate, Line::Finished];
    assert_eq!(told(our_demanding_server(), &flight), UNEXPECTED);
    let flight = [Line::CertificateVerify, Line::Finished];
    assert_eq!(told(our_demanding_server(), &flight), UNEXPECTED);
    assert_eq!(told(our_demanding_server(), &CLIENT_FLIGHT), UNEXPECTED);
}

/// D3: an empty certificate, then a CertificateVerify nevertheless; and one that nobody asked for.
#[test]
fn d3_a_proof_of_nothing_is_not_taken() {
    let ends = ends();
    let verifier = Arc::new(WebPkiClientVerifier::new(ends.pki.roots()).unwrap());
    let policy = ClientAuthentication::Optional(verifier);
    let lenient = Ends {
        server: ends.server.client_authentication(policy),
        ..ends
    };
    let nobody = Harness::server(lenient, ScriptedPeer::client(SERVER, None));
    assert_eq!(told(nobody, &PROVING_CLIENT_FLIGHT), UNEXPECTED);
    assert_eq!(told(our_server(), &PROVING_CLIENT_FLIGHT), UNEXPECTED);
}

/// What comes of a flight with an altered CertificateVerify, at our client and at our server.
fn verdicts(named: Option<u16>, alter: impl Fn(&mut Vec<u8>)) -> [Option<Error>; 2] {
    [
        (our_client(), &SERVER_FLIGHT[..]),
        (our_demanding_server(), &PROVING_CLIENT_FLIGHT),
    ]
    .map(|(mut harness, flight)| {
        harness.peer.named_scheme = named;
        harness.play_altered(flight, |line, body| {
            if line == Line::CertificateVerify {
                alter(body);
            }
        });
        assert!(!harness.is_complete());
        harness.error().cloned()
    })
}

/// D3: a signature that is wrong, or none, or by another key.
#[test]
fn d3_a_certificate_verify_that_proves_nothing_ends_the_attempt() {
    let bad = [
        Some(Error::from(PeerMisbehaved::BadSignature)),
        Some(Error::from(PeerMisbehaved::BadSignature)),
    ];
    assert_eq!(verdicts(None, |body| body[10] ^= 1), bad);
    let empty = |body: &mut Vec<u8>| {
        body.truncate(4);
        body[2..].fill(0);
    };
    assert_eq!(verdicts(None, empty), bad);

    let ends = ends();
    let stranger = Pki::new(&rcgen::PKCS_ED25519).server(&rcgen::PKCS_ED25519);
    let chain = scripted_server(&ends).body(Line::Certificate);
    let mut harness = Harness::client(ends.build().client, ScriptedPeer::server(stranger));
    harness.play(&[Line::ServerHello]);
    harness.play_altered(&SERVER_FLIGHT, |line, body| {
        if line == Line::Certificate {
            body.clone_from(&chain);
        }
    });
    assert_eq!(harness.error(), bad[0].as_ref());
}

/// D9 (mbedTLS CVE-2026-25834), RFC 8446 §4.4.3: schemes that nobody offered, among them what 1.3
/// has no place for: SHA-1, and RSA with PKCS#1 padding.
#[test]
fn d9_a_scheme_that_was_not_offered_ends_the_attempt() {
    for scheme in [0x0203_u16, 0x0201, 0x0101, 0x0401, 0x0501, 0x0601, 0] {
        for error in verdicts(Some(scheme), |_| {}) {
            let alert = error.as_ref().and_then(Error::alert);
            let expected = Some(AlertDescription::ILLEGAL_PARAMETER);
            assert_eq!(alert, expected, "{scheme:#x} {error:?}");
        }
    }
    // One that was offered, but is not the key's.
    for scheme in [0x0403_u16, 0x0804] {
        for error in verdicts(Some(scheme), |_| {}) {
            let alert = error.as_ref().and_then(Error::alert);
            assert!(
                matches!(
                    alert,
                    Some(AlertDescription::ILLEGAL_PARAMETER | AlertDescription::DECRYPT_ERROR)
                ),
                "{scheme:#x} {error:?}"
            );
        }
    }
}

/// What may be said out of place.
const ALL: [Line; 9] = [
    Line::ClientHello,
    Line::ServerHello,
    Line::EncryptedExtensions,
    Line::CertificateRequest,
    Line::Certificate,
    Line::CertificateVerify,
    Line::Finished,
    Line::NewSessionTicket,
    Line::KeyUpdate,
];

/// Every omission, repetition and exchange in `honest`, and every message inserted before its end.
fn edits(honest: &[Line]) -> Vec<Vec<Line>> {
    let mut edits = Vec::new();
    for index in 0..honest.len() {
        let mut omitted = honest.to_vec();
        let line = omitted.remove(index);
        for place in (0..omitted.len()).filter(|&place| place != index) {
            let mut moved = omitted.clone();
            moved.insert(place, line);
            edits.push(moved);
        }
        edits.push(omitted);
        for inserted in ALL {
            let mut extended = honest.to_vec();
            extended.insert(index, inserted);
            edits.push(extended);
        }
    }
    edits
}

/// D8 (Skip-TLS, BoGo `Skip*`), RFC 8446 §4: messages left out, said twice or out of place.
/// `accepted` is the hand-written automaton: the flights that our end believes.
fn run_table(opening: impl Fn() -> Harness, accepted: &[&[Line]]) {
    let mut refused = 0;
    for honest in accepted {
        for script in edits(honest) {
            let expected = accepted.iter().any(|flight| script.starts_with(flight));
            let mut harness = opening();
            harness.play(&script);
            assert_eq!(harness.is_complete(), expected, "{script:?}");
            if !expected && harness.error().is_some() {
                let alert = harness.error().and_then(Error::alert);
                assert_eq!(alert, UNEXPECTED, "{script:?} {:?}", harness.error());
                refused += 1;
            }
        }
    }
    assert!(refused >= 8, "{refused}");
}

#[test]
fn d8_a_server_that_leaves_out_repeats_or_reorders_messages_is_not_believed() {
    run_table(our_client, &[&SERVER_FLIGHT, &ASKING_SERVER_FLIGHT]);
    run_table(our_resuming_client, &[&RESUMING_SERVER_FLIGHT]);
}

#[test]
fn d8_a_client_that_leaves_out_repeats_or_reorders_messages_is_not_believed() {
    run_table(our_server, &[&CLIENT_FLIGHT]);
    run_table(our_demanding_server, &[&PROVING_CLIENT_FLIGHT]);
}

/// D8: the hello itself is left out, or said by the wrong end.
#[test]
fn d8_nothing_is_taken_before_a_hello() {
    for line in ALL {
        let ends = ends();
        let peer = scripted_server(&ends);
        let mut harness = Harness::client(ends.build().client, peer);
        if line != Line::ServerHello {
            harness.play(&[line]);
            let alert = harness.error().and_then(Error::alert);
            assert_eq!(alert, UNEXPECTED, "{line:?}");
        }
    }
}

/// D8, RFC 8446 §4.6: behind the handshake only tickets of a server and key updates have a place.
#[test]
fn d8_what_has_no_place_after_the_handshake_ends_the_connection() {
    for line in ALL {
        let mut harness = our_client();
        harness.play(&SERVER_FLIGHT);
        harness.play(&[line]);
        let fine = matches!(line, Line::NewSessionTicket | Line::KeyUpdate);
        assert_eq!(harness.error().is_none(), fine, "{line:?}");
        let mut harness = our_server();
        harness.play(&CLIENT_FLIGHT);
        harness.play(&[line]);
        let fine = line == Line::KeyUpdate;
        assert_eq!(harness.error().is_none(), fine, "{line:?}");
        if !fine {
            let alert = harness.error().and_then(Error::alert);
            assert_eq!(alert, UNEXPECTED, "{line:?}");
        }
    }
}

/// RFC 8446 §4.4.4: a Finished that is not what it must be ends the attempt at either end.
#[test]
fn a_wrong_finished_of_1_3_ends_the_attempt() {
    for (mut harness, flight) in [
        (our_client(), &SERVER_FLIGHT[..]),
        (our_resuming_client(), &RESUMING_SERVER_FLIGHT),
        (our_server(), &CLIENT_FLIGHT),
        (our_demanding_server(), &PROVING_CLIENT_FLIGHT),
    ] {
        harness.play_altered(flight, |line, body| {
            if line == Line::Finished {
                body[31] ^= 1;
            }
        });
        assert_eq!(harness.error(), Some(&PeerMisbehaved::BadFinished.into()));
        assert!(!harness.is_complete());
    }
}

/// D11 (NSS 2033783), RFC 9147 §5.1: whoever asked for a cookie as version 1.2 does cannot go on as
/// 1.3. The request may have been meant for another hello of this address, so the attempt begins
/// again a few times.
#[test]
fn d11_a_server_hello_of_1_3_after_a_hello_verify_request_is_refused() {
    let ends = Ends::new().versions(Versions::default());
    let credential = ends.pki.server(&rcgen::PKCS_ED25519);
    let share = [&29_u16.to_be_bytes()[..], &32_u16.to_be_bytes(), &[9; 32]].concat();
    let server = || {
        let mut peer = ScriptedPeer12::server(credential.clone());
        peer.choice.suite = 0x1301;
        peer.choice.set_extension(43, &0xfefc_u16.to_be_bytes());
        peer.choice.set_extension(51, &share);
        peer
    };
    let mut harness = DatagramHarness::client(ends.build().client, server());
    for _ in 0..4 {
        harness.play(&[scripted::Line::HelloVerifyRequest]);
        assert_eq!(harness.peer.messages_heard(), [1, 1]);
        harness.play(&[scripted::Line::ServerHello]);
        assert_eq!(harness.error(), None);
        harness.peer = server();
        harness.wait(Duration::from_secs(1));
    }
    harness.play(&[scripted::Line::HelloVerifyRequest]);
    harness.play(&[scripted::Line::ServerHello]);
    harness.wait(Duration::from_secs(1));
    let expected = PeerMisbehaved::SelectedUnofferedVersion(ProtocolVersion::DTLS13);
    assert_eq!(harness.error(), Some(expected.into()));
    assert_eq!(
        harness.peer.alerts_heard(),
        [(crate::common::datagram_harness::FATAL, 70)]
    );
}

/// D16 (ALPACA), RFC 7301 §3.2, RFC 9325 §3.8: no application protocol in common is no connection,
/// at either version.
#[test]
fn d16_no_common_application_protocol_ends_the_attempt() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let ends = Ends::new().versions(versions);
        let configs = Ends {
            client: ends.client.alpn(&[b"coap"]).unwrap(),
            server: ends.server.alpn(&[b"h2", b"radius/1.1"]).unwrap(),
            ..ends
        }
        .build();
        let mut pair = configs.pair(1);
        assert!(!pair.run_until_connected(Duration::from_secs(5)));
        let alert = crate::common::datagram_harness::failure(&pair.server_events)
            .and_then(|failure| failure.error.alert());
        assert_eq!(alert, Some(AlertDescription::NO_APPLICATION_PROTOCOL));
        let told = crate::common::datagram_harness::failure(&pair.client_events)
            .map(|failure| failure.error);
        assert!(
            matches!(told, Some(Error::AlertReceived { alert, .. }) if alert.description == AlertDescription::NO_APPLICATION_PROTOCOL),
            "{told:?}"
        );
    }
}
