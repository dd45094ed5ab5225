//! A keyed peer that breaks the rules: section D of the failure catalogue, as far as it applies to
//! DTLS 1.2.
//!
//! * D6, D11–D15, D19: version 1.3
//! * D7: `tests/handshake/raw_key_faults.rs`
//! * D9, ServerKeyExchange: `tests/handshake/cryptography.rs`
//! * D10, D18: `tests/handshake/hellos12.rs`
//! * D16: `tests/handshake/agreement.rs`: ALPN; a server here answers to every name
//! * D17: heartbeat does not exist: its content type is among the unknown ones of
//!   `tests/records/replay_and_epochs.rs`

use crate::common::configs::{Ends, Pki, SERVER};
use crate::common::datagram_harness::{
    ASKING_SERVER_FLIGHT, CLIENT_FLIGHT, DatagramHarness, FATAL, FINALE, PROVING_CLIENT_FLIGHT,
    SERVER_FLIGHT, our_client, our_demanding_server, our_server, scripted_client,
};
use sealgram::error::{CertificateError, InvalidMessage, PeerMisbehaved};
use sealgram::identity::WebPkiClientVerifier;
use sealgram::record::Discard;
use sealgram::server::ClientAuthentication;
use sealgram::sim::scripted::{ALERT, CHANGE_CIPHER_SPEC, Line, ScriptedPeer};
use sealgram::{AlertDescription, Error, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any attempt lasts, shorter than the idle timeout.
const FOREVER: Duration = Duration::from_secs(300);

#[test]
fn a_scripted_server_that_behaves_is_served() {
    let mut harness = our_client();
    harness.complete();
    assert!(harness.peer.has_verified());
    assert!(harness.exchange(100));
}

#[test]
fn a_scripted_client_that_behaves_is_served() {
    let mut harness = our_server();
    harness.complete();
    assert!(harness.peer.has_verified());
    assert!(harness.exchange(100));
}

#[test]
fn scripted_peers_that_ask_for_certificates_and_show_them_are_served() {
    let mut harness = our_demanding_server();
    harness.exchange_cookies();
    harness.play(&PROVING_CLIENT_FLIGHT);
    assert!(harness.peer.has_verified() && harness.exchange(100));
    let mut harness = our_client();
    harness.play(&ASKING_SERVER_FLIGHT);
    harness.play(&FINALE);
    assert!(harness.peer.has_verified() && harness.exchange(100));
}

/// Injects ChangeCipherSpec records, alone and doubled, with good and bad contents.
fn flood_change_cipher_spec(harness: &mut DatagramHarness, epoch: u16) {
    for count in 0..10_000 {
        let payload: &[u8] = [&[1_u8][..], &[], &[0], &[1, 1]][count % 4];
        let record = harness.peer.record(CHANGE_CIPHER_SPEC, epoch, payload);
        harness.deliver(&record);
    }
}

/// D1 (CVE-2014-0224), RFC 6347 §4.2.5: a ChangeCipherSpec at the wrong time says nothing, whoever
/// sends it.
#[test]
fn change_cipher_spec_at_every_state_changes_nothing() {
    let flight = [&SERVER_FLIGHT[..], &FINALE].concat();
    for early in 0..=flight.len() {
        let mut harness = our_client();
        harness.play(&flight[..early]);
        flood_change_cipher_spec(&mut harness, 0);
        harness.play(&flight[early..]);
        flood_change_cipher_spec(&mut harness, 1);
        assert!(harness.is_complete(), "after {early} messages");
        assert!(harness.exchange(100));
    }
    for early in 0..=PROVING_CLIENT_FLIGHT.len() {
        let mut harness = our_demanding_server();
        harness.exchange_cookies();
        harness.play(&PROVING_CLIENT_FLIGHT[..early]);
        flood_change_cipher_spec(&mut harness, 0);
        harness.play(&PROVING_CLIENT_FLIGHT[early..]);
        flood_change_cipher_spec(&mut harness, 1);
        assert!(harness.is_complete(), "after {early} messages");
        assert!(harness.exchange(100));
        assert!(harness.discarded(Discard::ChangeCipherSpec) >= 10_000);
    }
}

/// D1: keys from an empty secret, which a premature ChangeCipherSpec once made OpenSSL use.
#[test]
fn a_finished_under_keys_of_nothing_is_not_opened() {
    let mut harness = our_client();
    harness.play(&[Line::ServerHello, Line::ChangeCipherSpec, Line::Finished]);
    harness.wait(FOREVER);
    assert!(!harness.is_complete());
    let mut harness = our_server();
    harness.exchange_cookies();
    harness.play(&FINALE);
    harness.wait(FOREVER);
    assert!(!harness.is_complete());
    assert!(matches!(harness.error(), Some(Error::TimedOut { .. })));
}

/// D2 (tinydtls CVE-2017-7243): ChangeCipherSpec and Finished as the first datagrams.
#[test]
fn change_cipher_spec_without_a_handshake_makes_no_state() {
    let mut harness = our_server();
    harness.play(&FINALE);
    assert!(harness.endpoint.is_empty());
    assert!(harness.sent.is_empty());
    assert_eq!(harness.endpoint.stats().strays, 2);
    harness = our_server();
    harness.complete();

    let mut harness = our_client();
    harness.play(&FINALE);
    assert!(!harness.is_complete());
    harness.peer.set_next_seq(0);
    harness.complete();
    assert!(harness.exchange(100));
}

/// D3 (wolfSSL CVE-2022-25638, -25640): RFC 5246 §7.4.8: a certificate without its proof is worth
/// nothing.
#[test]
fn a_client_certificate_without_certificate_verify_is_not_believed() {
    let mut harness = our_demanding_server();
    harness.exchange_cookies();
    harness.play(&[Line::Certificate]);
    harness.play(&CLIENT_FLIGHT);
    let data = harness.peer.data(b"let me in");
    harness.deliver(&data);
    harness.wait(FOREVER);
    assert!(!harness.is_complete());
    assert!(matches!(harness.error(), Some(Error::TimedOut { .. })));
    assert!(harness.endpoint.is_empty());
}

/// D3: an empty certificate, then a CertificateVerify nevertheless.
#[test]
fn certificate_verify_without_a_certificate_is_not_taken() {
    let ends = Ends::new();
    let verifier = Arc::new(WebPkiClientVerifier::new(ends.pki.roots()).unwrap());
    let policy = ClientAuthentication::Optional(verifier);
    let server = ends.server.client_authentication(policy);
    let mut harness = DatagramHarness::server(Arc::new(server.build().unwrap()), scripted_client());
    harness.exchange_cookies();
    harness.play(&PROVING_CLIENT_FLIGHT);
    harness.wait(FOREVER);
    assert!(!harness.is_complete());
}

/// D3 (Erlang CVE-2022-37026): a CertificateVerify that proves nothing.
#[test]
fn a_certificate_verify_that_proves_nothing_ends_the_attempt() {
    let play = |alter: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut harness = our_demanding_server();
        harness.exchange_cookies();
        harness.play_altered(&PROVING_CLIENT_FLIGHT, |line, body| {
            if line == Line::CertificateVerify {
                alter(body);
            }
        });
        assert!(!harness.is_complete());
        assert!(harness.endpoint.is_empty());
        harness.error()
    };
    let bad_signature = Some(Error::PeerMisbehaved(PeerMisbehaved::BadSignature));
    let unoffered = |scheme| {
        let fact = PeerMisbehaved::SignedWithUnofferedScheme(SignatureScheme(scheme));
        Some(Error::PeerMisbehaved(fact))
    };
    assert_eq!(play(&mut |body| body[10] ^= 1), bad_signature);
    let empty = |body: &mut Vec<u8>| {
        body.truncate(4);
        body[2..].fill(0);
    };
    assert_eq!(play(&mut { empty }), bad_signature);
    for scheme in [0x0203_u16, 0x0201, 0x0101, 0x0000] {
        let rename = |body: &mut Vec<u8>| body[..2].copy_from_slice(&scheme.to_be_bytes());
        assert_eq!(play(&mut { rename }), unoffered(scheme), "{scheme:#x}");
    }
    let other = SignatureScheme::ECDSA_SECP256R1_SHA256.0;
    let rename = |body: &mut Vec<u8>| body[..2].copy_from_slice(&other.to_be_bytes());
    assert_eq!(play(&mut { rename }), bad_signature);
}

/// D3: a good certificate, and a signature by another key.
#[test]
fn a_certificate_verify_by_another_key_ends_the_attempt() {
    let ends = Ends::new().mutual();
    let stranger = Pki::new(&rcgen::PKCS_ED25519);
    let thief = ScriptedPeer::client(SERVER, Some(stranger.client(&rcgen::PKCS_ED25519)));
    let owner = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
    let chain = { owner }.body(Line::Certificate);
    let mut harness = DatagramHarness::server(ends.build().server, thief);
    harness.exchange_cookies();
    harness.play_altered(&PROVING_CLIENT_FLIGHT, |line, body| {
        if line == Line::Certificate {
            body.clone_from(&chain);
        }
    });
    let expected = Error::PeerMisbehaved(PeerMisbehaved::BadSignature);
    assert_eq!(harness.error(), Some(expected));
    assert_eq!(harness.peer.alerts_heard(), [(FATAL, 51)]);
}

/// D4 (Californium CVE-2021-34433), RFC 8422 §5.4: without the signed key exchange nobody has
/// proved anything.
#[test]
fn a_server_without_server_key_exchange_is_not_believed() {
    for flight in [
        vec![Line::ServerHello, Line::Certificate, Line::ServerHelloDone],
        vec![
            Line::ServerHello,
            Line::ServerKeyExchange,
            Line::Certificate,
            Line::ServerHelloDone,
        ],
        vec![
            Line::ServerHello,
            Line::ServerKeyExchange,
            Line::ServerHelloDone,
        ],
    ] {
        let mut harness = our_client();
        harness.play(&flight);
        harness.play(&FINALE);
        harness.wait(FOREVER);
        assert!(!harness.is_complete(), "{flight:?}");
        assert!(matches!(harness.error(), Some(Error::TimedOut { .. })));
        // Nothing was given away: the client has said nothing but hello.
        assert_eq!(harness.peer.messages_heard(), [1]);
    }
}

/// D5 (Californium CVE-2020-27222): verdicts are not remembered, neither good nor bad ones.
#[test]
fn a_failed_verification_is_not_remembered_as_good() {
    let ends = Ends::new();
    let stranger = Pki::new(&rcgen::PKCS_ED25519);
    let good = ends.pki.server(&rcgen::PKCS_ED25519);
    let bad = stranger.server(&rcgen::PKCS_ED25519);
    let client = ends.build().client;
    let mut harness = DatagramHarness::client(client.clone(), ScriptedPeer::server(bad.clone()));
    for (round, credential) in [&bad, &good, &bad, &good, &bad].into_iter().enumerate() {
        if round > 0 {
            harness.events.clear();
            harness.peer = ScriptedPeer::server(credential.clone());
            harness.connect(client.clone());
        }
        harness.play(&SERVER_FLIGHT);
        harness.play(&FINALE);
        if round % 2 == 0 {
            let expected = Error::InvalidCertificate(CertificateError::UnknownIssuer);
            assert_eq!(harness.error(), Some(expected), "round {round}");
        } else {
            assert!(
                harness.is_complete() && harness.exchange(10),
                "round {round}"
            );
            let id = harness.id().unwrap();
            harness
                .endpoint
                .association(harness.now, id)
                .unwrap()
                .close();
            harness.listen();
        }
        assert!(harness.endpoint.is_empty(), "round {round}");
    }
}

/// What our end must make of a script: the hand-written automaton, as a list of what it accepts.
/// Over datagrams a ChangeCipherSpec says nothing (RFC 6347 §4.2.5), so only the messages count;
/// what follows a whole handshake comes too late to matter to that.
fn is_accepted(script: &[Line], accepted: &[&[Line]]) -> bool {
    let messages = |lines: &[Line]| {
        let mut messages = lines.to_vec();
        messages.retain(|&line| line != Line::ChangeCipherSpec);
        messages
    };
    let script = messages(script);
    accepted
        .iter()
        .any(|lines| script.starts_with(&messages(lines)))
}

/// Every omission, repetition and exchange of neighbours in `honest`, and every message of it
/// brought forward.
fn edits(honest: &[Line]) -> Vec<Vec<Line>> {
    let mut edits = Vec::new();
    for index in 0..honest.len() {
        let mut omitted = honest.to_vec();
        let line = omitted.remove(index);
        for earlier in 0..index {
            let mut moved = omitted.clone();
            moved.insert(earlier, line);
            edits.push(moved);
        }
        let mut doubled = honest.to_vec();
        doubled.insert(index, line);
        edits.push(doubled);
        edits.push(omitted);
    }
    for inserted in [
        Line::HelloRequest,
        Line::ClientHello,
        Line::ServerHello,
        Line::Certificate,
        Line::ServerKeyExchange,
        Line::CertificateRequest,
        Line::ServerHelloDone,
        Line::ClientKeyExchange,
        Line::CertificateVerify,
        Line::Finished,
    ] {
        for index in 0..=honest.len() {
            let mut extended = honest.to_vec();
            extended.insert(index, inserted);
            edits.push(extended);
        }
    }
    edits
}

/// Plays each edit with consecutive message numbers, as a peer with a broken state machine would.
fn run_table(honest: &[Line], accepted: &[&[Line]], opening: impl Fn() -> DatagramHarness) {
    let (mut completed, mut refused) = (0, 0);
    for script in edits(honest) {
        let mut harness = opening();
        harness.play(&script);
        harness.wait(FOREVER);
        let expected = is_accepted(&script, accepted);
        assert_eq!(
            harness.is_complete(),
            expected,
            "{script:?} {:?}",
            harness.events
        );
        if expected
            && script
                .iter()
                .filter(|&&line| line == Line::Finished)
                .count()
                > 1
        {
            // Under keys nobody else can have said it.
            let surplus = PeerMisbehaved::UnexpectedMessage { got: 20 };
            assert_eq!(harness.error(), Some(surplus.into()), "{script:?}");
        } else if expected {
            completed += 1;
            assert!(harness.exchange(3), "{script:?}");
        } else {
            refused += 1;
            assert!(harness.endpoint.is_empty(), "{script:?}");
        }
    }
    assert!(completed > 0 && refused > 30, "{completed} {refused}");
}

/// D8 (Skip-TLS, BoGo `Skip*`), RFC 5246 §7.3: messages left out, said twice, brought forward or
/// out of place.
#[test]
fn a_server_that_leaves_out_repeats_or_reorders_messages_is_not_believed() {
    let plain = [&SERVER_FLIGHT[..], &FINALE].concat();
    let asking = [&ASKING_SERVER_FLIGHT[..], &FINALE].concat();
    for honest in [&plain, &asking] {
        run_table(honest, &[&plain, &asking], our_client);
    }
}

/// D8.
#[test]
fn a_client_that_leaves_out_repeats_or_reorders_messages_is_not_believed() {
    run_table(&CLIENT_FLIGHT, &[&CLIENT_FLIGHT], || {
        let mut harness = our_server();
        harness.exchange_cookies();
        harness
    });
}

/// D8, with a certificate.
#[test]
fn a_client_that_proves_itself_out_of_order_is_not_believed() {
    run_table(&PROVING_CLIENT_FLIGHT, &[&PROVING_CLIENT_FLIGHT], || {
        let mut harness = our_demanding_server();
        harness.exchange_cookies();
        harness
    });
}

/// D8: the same bytes again, or in another order, with their own numbers: that is what networks do.
#[test]
fn datagrams_of_a_flight_in_any_order_and_number_are_put_in_order() {
    for (first, second) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
        let mut harness = our_client();
        let mut flight = harness.peer.speak(&SERVER_FLIGHT);
        flight.swap(first, second);
        flight.push(flight[first].clone());
        for record in &flight {
            harness.deliver(record);
        }
        let finale = harness.peer.speak(&FINALE);
        for record in finale.iter().chain(&finale) {
            harness.deliver(record);
        }
        assert!(harness.is_complete(), "{first} {second}");
        assert!(harness.exchange(10));
    }
}

/// RFC 5246 §7.4.9: a Finished that is not what it must be ends the attempt at either end.
#[test]
fn a_wrong_finished_ends_the_attempt() {
    for at in [0, 11] {
        let spoil = |line: Line, body: &mut Vec<u8>| {
            if line == Line::Finished {
                body[at] ^= 1;
            }
        };
        let mut harness = our_client();
        harness.play(&SERVER_FLIGHT);
        harness.play_altered(&FINALE, spoil);
        let expected = Error::PeerMisbehaved(PeerMisbehaved::BadFinished);
        assert_eq!(harness.error(), Some(expected.clone()));
        assert_eq!(harness.peer.alerts_heard(), [(FATAL, 51)]);

        let mut harness = our_server();
        harness.exchange_cookies();
        harness.play_altered(&CLIENT_FLIGHT, spoil);
        assert_eq!(harness.error(), Some(expected));
        assert!(harness.endpoint.is_empty());
    }
}

/// RFC 5246 §7.2.2, §7.4.9: a Finished of another length cannot verify, and it came under keys.
#[test]
fn a_finished_of_another_length_ends_the_attempt() {
    for length in [0, 11, 13, 36] {
        let mut harness = our_client();
        harness.play(&SERVER_FLIGHT);
        harness.play_altered(&FINALE, |line, body| {
            if line == Line::Finished {
                body.resize(length, 0);
            }
        });
        assert!(!harness.is_complete());
        let error = harness.error();
        let expected = Error::InvalidMessage(InvalidMessage::WrongVerifyDataLength);
        assert_eq!(expected.alert(), Some(AlertDescription::DECRYPT_ERROR));
        assert_eq!(error, Some(expected), "{length}");
    }
}

/// C14 (pion #758): a failure is told once, and then there is silence.
#[test]
fn a_failed_attempt_sends_one_alert_and_nothing_more() {
    let mut harness = our_client();
    harness.peer.choice.suite = 0x002f;
    harness.play(&SERVER_FLIGHT);
    let sent = harness.sent.len();
    for record in harness.peer.speak(&SERVER_FLIGHT) {
        harness.deliver(&record);
    }
    harness.wait(FOREVER);
    assert_eq!(harness.sent.len(), sent);
    assert_eq!(harness.peer.alerts_heard(), [(FATAL, 47)]);

    let mut harness = our_demanding_server();
    harness.exchange_cookies();
    harness.play_altered(&PROVING_CLIENT_FLIGHT, |line, body| {
        if line == Line::CertificateVerify {
            body[10] ^= 1;
        }
    });
    let sent = harness.sent.len();
    harness.wait(FOREVER);
    assert_eq!(harness.sent.len(), sent);
    assert_eq!(harness.peer.alerts_heard(), [(FATAL, 51)]);
    let alert = harness.peer.record(ALERT, 0, &[FATAL, 51]);
    harness.deliver(&alert);
    assert_eq!(harness.sent.len(), sent);
}
