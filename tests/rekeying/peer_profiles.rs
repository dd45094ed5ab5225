//! Real peers as scripts: what each was seen to do on the wire around renegotiation, and what our ends make of it.
//!
//! | peer | as server | as client |
//! | --- | --- | --- |
//! | LibreSSL 4.3 | no EMS, HelloRequest each second, fatal no_renegotiation | no EMS, SCSV, fatal answer to a refusal |
//! | OpenSSL 1.1.1–4.0 | wants its cookie back, one HelloRequest, dies of data | ignores a crossing HelloRequest uncounted, takes HelloVerifyRequest |
//! | GnuTLS 3.7 | drops the first hello behind its HelloRequest | waits for a ticket, repeats its random |
//! | Mbed TLS 3.6 | wants the cookie field empty | answers as every honest client, with an empty cookie |
//! | Erlang OTP 25 | HelloVerifyRequest inside the association | nothing that is not in the other columns |
//! | pion, dimpl, tinydtls | silence | silence |
//! | BoringSSL | fatal unexpected_message | fatal unexpected_message |
//! | NSS | nothing that is not in the other columns | fragments its hello from the third time on |
//!
//! Over a stream only what is not about datagrams can be: LibreSSL, OpenSSL and BoringSSL.

use crate::common::configs::{Ends, SERVER};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, EXTENDED_MASTER_SECRET, FATAL, FINALE, PROVING_CLIENT_FLIGHT,
    RENEGOTIATION_INFO, SERVER_FLIGHT, Stage, WARNING, records, scripted_client, scripted_server,
};
use crate::common::harness::{
    CERTIFICATE_REQUEST, CLIENT_HELLO, FINISHED, HANDSHAKE_FAILURE, HELLO_VERIFY_REQUEST,
    NEW_SESSION_TICKET, NO_RENEGOTIATION, PATIENCE, SERVER_HELLO, SESSION_TICKET, Scene,
    TICKET_FINALE, UNEXPECTED_MESSAGE,
};
use crate::common::renegotiating::{SetClock, allowing, connected, connected_with};
use crate::common::transport::{BOTH, Transport};
use bytes::BytesMut;
use sealgram::config::{Clock as _, RekeyPolicy};
use sealgram::sim::scripted::{ALERT, HANDSHAKE, Heard, Line, ScriptedPeer};
use sealgram::{Error, HandshakeKind, Path, PeerMisbehaved, RenegotiationRefusal, SendError, Side};
use std::time::Duration;

const SCSV: u16 = 0x00ff;

/// Our client, connected to a scripted server; over datagrams behind a cookie exchange.
fn client_of(transport: Transport, ends: &Ends, peer: ScriptedPeer) -> Scene {
    let config = ends.client.clone().build().unwrap().into();
    let mut scene = Scene::client(transport, config, peer);
    if transport == Transport::Dtls {
        scene.play(&[Line::HelloVerifyRequest]);
    }
    scene
}

fn fatal_alert(scene: &Scene, description: u8) -> bool {
    matches!(
        scene.error(),
        Some(Error::AlertReceived { alert, authenticated: true })
            if alert.description.0 == description
    )
}

/// LibreSSL: no extended_master_secret, so nothing is resumed, and exporters are closed; renegotiation works.
#[test]
fn libressl_as_server_is_served_without_extended_master_secret() {
    for transport in BOTH {
        let ends = Ends::new().resuming();
        let mut peer = scripted_server(&ends);
        peer.choice.session_id = vec![1; 32];
        let mut scene = client_of(transport, &ends, peer);
        let plain =
            |scene: &mut Scene| scene.peer().choice.remove_extension(EXTENDED_MASTER_SECRET);
        plain(&mut scene);
        scene.serve([&SERVER_FLIGHT, &FINALE]);
        // The abbreviated call is a full handshake, as nothing can be resumed.
        scene.peer().renegotiate();
        scene.renegotiate(true).unwrap();
        assert!(scene.peer().offer.session_id.is_empty());
        plain(&mut scene);
        scene.finish(Side::Client, 2);
        assert_eq!(scene.kind(), Some(HandshakeKind::Full));
    }
}

/// LibreSSL: its HelloRequest comes each second, with the same message_seq in a new record, until it is answered, and
/// once more behind the answer.
#[test]
fn libressl_as_server_repeats_its_hello_request_and_gets_one_answer() {
    let mut scene = connected(Side::Client, Transport::Dtls);
    scene.peer().renegotiate();
    let request = [0; 12];
    let before = scene.heard();
    for _ in 0..4 {
        let record = scene.peer().record(HANDSHAKE, 1, &request);
        scene.deliver(&record);
        scene.wait(Duration::from_millis(100));
    }
    assert_eq!(scene.messages_heard_since(before), [CLIENT_HELLO]);
    scene.peer().set_next_seq(1);
    scene.play(&SERVER_FLIGHT[..2]);
    let record = scene.peer().record(HANDSHAKE, 1, &request);
    scene.deliver(&record);
    scene.play(&SERVER_FLIGHT[2..]);
    scene.play(&FINALE);
    scene.assert_done(2);
    // One that was sent under the old keys and comes behind the end begins nothing.
    let before = scene.heard();
    let late = scene.peer().record(HANDSHAKE, 1, &request);
    scene.deliver(&late);
    assert_eq!(scene.heard(), before);
    scene.assert_unchanged(2);
}

/// LibreSSL with SSL_OP_NO_RENEGOTIATION: the refusal is fatal.
#[test]
fn libressl_as_server_that_does_not_renegotiate_ends_the_association() {
    for transport in BOTH {
        let mut scene = connected(Side::Client, transport);
        scene.begin(Side::Client, true);
        let alert = scene.peer().record(ALERT, 1, &[FATAL, NO_RENEGOTIATION]);
        scene.deliver(&alert);
        assert!(fatal_alert(&scene, NO_RENEGOTIATION));
    }
}

/// LibreSSL and OpenSSL 3.0 as clients: the SCSV and no renegotiation_info at first, the other way round later.
#[test]
fn clients_that_signal_by_scsv_renegotiate_by_the_extension() {
    for transport in BOTH {
        for extended in [false, true] {
            let mut ends = Ends::new();
            ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
            let mut peer = scripted_client();
            peer.offer.remove_extension(RENEGOTIATION_INFO);
            peer.offer.suites.push(SCSV);
            if !extended {
                peer.offer.remove_extension(EXTENDED_MASTER_SECRET);
            }
            peer.offer.extensions.rotate_left(1);
            let mut scene = Scene::server(transport, ends.build().server, peer);
            scene.visit(&CLIENT_FLIGHT);
            for (epoch, called) in [(2, false), (3, true)] {
                scene.peer().offer.extensions.reverse();
                scene.begin(Side::Server, called);
                assert!(!scene.peer().offer.suites.contains(&SCSV));
                scene.finish(Side::Server, epoch);
            }
        }
    }
}

/// LibreSSL and OpenSSL as clients: they take a refusal for the end, and say so.
#[test]
fn openssl_as_a_refused_client_ends_the_association() {
    for transport in BOTH {
        let mut scene = Scene::server(transport, Ends::new().build().server, scripted_client());
        scene.visit(&CLIENT_FLIGHT);
        scene.peer().renegotiate();
        scene.play(&[Line::ClientHello]);
        assert_eq!(scene.peer().alerts_heard(), [(WARNING, NO_RENEGOTIATION)]);
        let alert = scene.peer().record(ALERT, 1, &[FATAL, HANDSHAKE_FAILURE]);
        scene.deliver(&alert);
        assert!(fatal_alert(&scene, HANDSHAKE_FAILURE));
    }
}

/// OpenSSL as server: it does not ask again, but goes on with an old random if its cookie does not come back.
#[test]
fn openssl_as_server_gets_its_cookie_back() {
    let ends = Ends::new();
    let mut scene = client_of(Transport::Dtls, &ends, scripted_server(&ends));
    let cookie = scene.peer().cookie.clone();
    scene.serve([&SERVER_FLIGHT, &FINALE]);
    for (epoch, called) in [(2, true), (3, false), (4, true)] {
        scene.begin(Side::Client, called);
        assert_eq!(scene.peer().offer.cookie, cookie);
        scene.finish(Side::Client, epoch);
    }
}

/// OpenSSL and LibreSSL die of data behind the ServerHello: by default nothing of ours comes there, and nothing is lost.
#[test]
fn no_data_reaches_openssl_in_the_middle_of_a_renegotiation() {
    for transport in BOTH {
        for side in [Side::Client, Side::Server] {
            for called in [true, false] {
                let mut scene = connected(side, transport);
                let lines = match side {
                    Side::Client => [&SERVER_FLIGHT[..], &FINALE].concat(),
                    Side::Server => CLIENT_FLIGHT.to_vec(),
                };
                scene.begin(side, called);
                let before = scene.heard();
                for line in &lines {
                    scene.send(b"x").unwrap();
                    assert!(scene.data_heard_since(before).is_empty(), "{side} {line:?}");
                    scene.play(&[*line]);
                }
                // All of it, behind our Finished, under the new keys.
                let heard = scene.peer().heard[before..].to_vec();
                let data: Vec<u16> = heard
                    .iter()
                    .filter_map(|heard| match heard {
                        Heard::Data { epoch, .. } => Some(*epoch),
                        _ => None,
                    })
                    .collect();
                assert_eq!(data, vec![2; lines.len()], "{transport:?} {side} {called}");
                let finished =
                    |heard: &Heard| matches!(heard, Heard::Message { typ: FINISHED, .. });
                let first_data = |heard: &Heard| matches!(heard, Heard::Data { .. });
                let place = |test: &dyn Fn(&Heard) -> bool| heard.iter().position(test).unwrap();
                assert!(place(&finished) < place(&first_data));
                scene.assert_done(2);
            }
        }
    }
}

/// The other half: while only a HelloRequest is out, OpenSSL takes data, and ours flows where the policy says so.
#[test]
fn data_flows_while_a_hello_request_is_out() {
    for transport in BOTH {
        let policy = RekeyPolicy::default().hold_behind_hello_request(false);
        let mut scene = connected_with(Side::Server, transport, Ends::new(), policy);
        scene.peer().renegotiate();
        scene.renegotiate(false).unwrap();
        for _ in 0..3 {
            assert!(scene.exchange_in(1));
        }
        scene.play(&[Line::ClientHello]);
        scene.finish(Side::Server, 2);
    }
}

/// The data that waits is bounded, and refused beyond that; a refusal is no loss.
#[test]
fn data_that_waits_for_a_slow_peer_is_bounded() {
    for transport in BOTH {
        let mut scene = connected(Side::Client, transport);
        scene.begin(Side::Client, true);
        let before = scene.heard();
        let mut taken = 0;
        let refused = loop {
            match scene.send(&[7; 1000]) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 10_000);
        };
        assert_eq!(refused, SendError::Renegotiating);
        assert!(scene.buffered() <= 1 << 18);
        scene.finish(Side::Client, 2);
        let arrived = scene.data_heard_since(before).len();
        assert!(
            arrived >= 1000 * taken - 1000 && taken > 200,
            "{arrived} {taken}"
        );
        assert_eq!(scene.buffered(), 0);
    }
}

/// What our end sends now, unheard by the peer.
fn unheard(stage: &mut Stage) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    let mut out = Vec::new();
    while let Some(transmit) = stage.endpoint.poll_transmit(stage.now, 64, &mut out) {
        let size = transmit.segment_size.unwrap_or(transmit.len).max(1);
        sent.extend(out[..transmit.len].chunks(size).map(<[u8]>::to_vec));
        out.clear();
    }
    sent
}

/// Our server asks while the hello of such a client is under way, which does not count the HelloRequest and cannot make use of
/// what is numbered behind it.
fn crossed(ends: Ends, peer: ScriptedPeer) -> (Scene, Vec<Vec<u8>>) {
    let mut scene = Scene::server(Transport::Dtls, ends.build().server, peer);
    scene.play_hello();
    match scene.peer().messages_heard().contains(&CERTIFICATE_REQUEST) {
        true => scene.play(&PROVING_CLIENT_FLIGHT),
        false => scene.play(&CLIENT_FLIGHT),
    }
    scene.assert_done(1);
    scene.peer().renegotiate();
    let hello = scene.peer().speak(&[Line::ClientHello]);
    let stage = scene.datagrams();
    let (now, id) = (stage.now, stage.id().unwrap());
    stage.endpoint.renegotiate(now, id).unwrap();
    assert_eq!(unheard(stage).len(), 1, "the HelloRequest");
    let (path, hello) = (Path::new(stage.address), BytesMut::from(&hello[0][..]));
    stage.endpoint.handle_datagram(now, path, hello);
    let answer = unheard(stage);
    assert!(!answer.is_empty());
    (scene, answer)
}

/// OpenSSL and LibreSSL as clients: they have said hello, ignore the HelloRequest that crosses it, do not count that, and wait for
/// message 0, while our ServerHello is message 1. RFC 6347 §4.2.1: what they wait for can be a HelloVerifyRequest, and then the
/// numbers agree.
#[test]
fn openssl_as_client_goes_on_when_its_hello_crosses_our_hello_request() {
    for demands in [false, true] {
        let mut ends = Ends::new();
        let mut peer = scripted_client();
        if demands {
            ends = ends.mutual();
            peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
        }
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let (mut scene, _lost) = crossed(ends, peer);
        let first = scene.peer().offer.clone();
        // Our timer, and of what it sends again the client takes the first message alone.
        let stage = scene.datagrams();
        stage.now += Duration::from_secs(1);
        stage.endpoint.handle_timeout(stage.now);
        let again = unheard(stage);
        let before = scene.heard();
        scene.peer().hear(&records(&again[0])[0]);
        let heard = scene.peer().heard[before..].to_vec();
        assert!(
            matches!(
                heard[..],
                [Heard::Message {
                    epoch: 1,
                    seq: 0,
                    typ: HELLO_VERIFY_REQUEST,
                    ..
                }]
            ),
            "{heard:?}"
        );
        // The same hello with the cookie, as message 1; the flight comes again at once.
        assert_eq!(scene.peer().next_seq(), 1);
        let before = scene.heard();
        scene.play(&[Line::ClientHello]);
        assert_eq!(scene.peer().offer.random, first.random);
        let flight = scene.messages_heard_since(before);
        assert_eq!(flight.first(), Some(&SERVER_HELLO), "{flight:?}");
        assert_eq!(flight.contains(&CERTIFICATE_REQUEST), demands);
        match demands {
            true => scene.play(&PROVING_CLIENT_FLIGHT),
            false => scene.play(&CLIENT_FLIGHT),
        }
        scene.assert_done(2);
        // And the next one as if nothing had been.
        scene.peer().renegotiate();
        scene.renegotiate(false).unwrap();
        scene.play(&[Line::ClientHello]);
        match demands {
            true => scene.play(&PROVING_CLIENT_FLIGHT),
            false => scene.play(&CLIENT_FLIGHT),
        }
        scene.assert_done(3);
    }
}

/// A client that has counted the HelloRequest takes our flight as it is, and what stands in front of it when it is sent again is an
/// old message to it.
#[test]
fn a_client_that_has_seen_the_hello_request_does_not_mind_what_is_sent_again_in_its_place() {
    let mut scene = connected(Side::Server, Transport::Dtls);
    scene.peer().renegotiate();
    scene.renegotiate(false).unwrap();
    scene.play(&[Line::ClientHello]);
    let before = scene.heard();
    scene.wait(Duration::from_secs(4));
    let withdrawn = Heard::Repeated {
        epoch: 1,
        seq: 0,
        typ: HELLO_VERIFY_REQUEST,
    };
    assert!(scene.peer().heard[before..].contains(&withdrawn));
    scene.finish(Side::Server, 2);
}

/// RFC 6347 §4.2.1: the hello with the cookie is the same hello. Another one is not taken for it, and nothing is begun twice.
#[test]
fn a_crossing_client_that_changes_its_hello_is_refused() {
    for twice in [false, true] {
        let mut ends = Ends::new();
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let (mut scene, _lost) = crossed(ends, scripted_client());
        scene.peer().offer.cookie = b"any".to_vec();
        if twice {
            scene.play(&[Line::ClientHello]);
            assert!(scene.is_alive());
        } else {
            scene.peer().offer.random = [9; 32];
        }
        scene.play(&[Line::ClientHello]);
        let expected = match twice {
            true => PeerMisbehaved::UnexpectedMessage { got: CLIENT_HELLO },
            false => PeerMisbehaved::ChangedHello,
        };
        assert_eq!(scene.error(), Some(Error::from(expected)));
    }
}

/// A client that offers its session has begun by itself, as no DTLS client answers a HelloRequest so: it gets a full handshake.
#[test]
fn a_session_that_is_offered_across_a_hello_request_is_not_resumed_over_datagrams() {
    let mut ends = Ends::new();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    let mut scene = Scene::server(Transport::Dtls, ends.build().server, scripted_client());
    scene.visit(&CLIENT_FLIGHT);
    let session = scene.peer().session();
    assert!(!session.id.is_empty());
    scene.peer().renegotiate();
    scene.peer().resume(&session);
    scene.renegotiate(false).unwrap();
    scene.play(&[Line::ClientHello]);
    assert!(!scene.peer().is_resuming());
    scene.play(&CLIENT_FLIGHT);
    scene.assert_done(2);
    assert_eq!(scene.kind(), Some(HandshakeKind::Full));
}

/// The same client repeats its hello behind our giving up: that is a wish like any other.
#[test]
fn a_hello_that_is_repeated_behind_the_end_of_an_attempt_begins_another() {
    let mut scene = connected(Side::Server, Transport::Dtls);
    scene.begin(Side::Server, false);
    scene.wait(PATIENCE);
    assert_eq!(scene.refusals(RenegotiationRefusal::Unanswered), 1);
    scene.begin(Side::Server, false);
    scene.finish(Side::Server, 2);
}

/// Erlang: every hello is answered with a HelloVerifyRequest, also inside an association.
#[test]
fn erlang_as_server_demands_a_cookie_inside_the_association() {
    let ends = Ends::new();
    let mut scene = client_of(Transport::Dtls, &ends, scripted_server(&ends));
    scene.serve([&SERVER_FLIGHT, &FINALE]);
    for (epoch, called) in [(2, true), (3, false), (4, false), (5, true)] {
        let first = u16::from(!called);
        scene.begin(Side::Client, called);
        let random = scene.peer().offer.random;
        scene.peer().cookie = vec![u8::try_from(epoch).unwrap(); 20];
        // HelloRequest 0, HelloVerifyRequest 1, ServerHello 2.
        assert_eq!(scene.peer().next_seq(), first);
        let before = scene.heard();
        scene.play(&[Line::HelloVerifyRequest]);
        let heard = scene.peer().heard[before..].to_vec();
        assert!(matches!(
            heard[..],
            [Heard::Message {
                seq: 1,
                typ: CLIENT_HELLO,
                ..
            }]
        ));
        let cookie = scene.peer().cookie.clone();
        assert_eq!(scene.peer().offer.cookie, cookie);
        assert_eq!(scene.peer().offer.random, random);
        assert_eq!(scene.peer().next_seq(), first + 1);
        scene.finish(Side::Client, epoch);
    }
}

/// Erlang over a bad network: its HelloVerifyRequest is lost, and comes twice.
#[test]
fn erlangs_hello_verify_request_may_be_lost_or_repeated() {
    let mut scene = connected(Side::Client, Transport::Dtls);
    scene.begin(Side::Client, true);
    let lost = scene.peer().speak(&[Line::HelloVerifyRequest]);
    scene.wait(Duration::from_secs(1));
    scene.deliver(&lost[0]);
    scene.peer().set_next_seq(0);
    let again = scene.peer().speak(&[Line::HelloVerifyRequest]);
    scene.deliver(&again[0]);
    scene.finish(Side::Client, 2);
}

/// A server that only ever asks for cookies is given up as one that misbehaves, not followed for ever.
#[test]
fn a_server_that_asks_for_cookies_without_end_is_not_followed() {
    let mut scene = connected(Side::Client, Transport::Dtls);
    scene.begin(Side::Client, true);
    let before = scene.heard();
    for _ in 0..20 {
        if scene.is_alive() {
            scene.play(&[Line::HelloVerifyRequest]);
        }
    }
    assert!(!scene.is_alive());
    let hellos = scene.messages_heard_since(before).len();
    assert!(hellos <= 4, "{hellos}");
}

/// Mbed TLS as server: its cookie in a renegotiation would be a decoding error, of which it says nothing. It is told by its form:
/// it begins with the time, or with a counter where there is no clock.
#[test]
fn mbed_tls_as_server_gets_an_empty_cookie_by_itself() {
    let clock = SetClock::new();
    let now = u32::try_from(clock.unix_now().as_secs()).unwrap();
    for (first, length, repeats) in [
        (now, 32, false),
        (now - 3600, 32, false),
        (7, 32, false),
        (now, 20, true),
        (0x1234_5678, 32, true),
    ] {
        let mut ends = Ends::new();
        ends.client = ends.client.clock(clock.clone());
        let mut peer = scripted_server(&ends);
        peer.cookie = [&first.to_be_bytes()[..], &vec![0xc5; length - 4]].concat();
        let mut scene = client_of(Transport::Dtls, &ends, peer);
        scene.serve([&SERVER_FLIGHT, &FINALE]);
        for (epoch, called) in [(2, true), (3, false), (4, true)] {
            scene.begin(Side::Client, called);
            assert_eq!(scene.peer().offer.cookie.is_empty(), !repeats, "{first}");
            scene.finish(Side::Client, epoch);
        }
    }
}

/// Mbed TLS as server, whose cookies look otherwise: a policy says what it wants.
#[test]
fn mbed_tls_as_server_gets_an_empty_cookie_if_it_is_told_to() {
    for repeats in [false, true] {
        let mut ends = Ends::new();
        let policy = RekeyPolicy::default().repeat_cookie(repeats);
        ends.client = ends.client.rekey(policy);
        let mut scene = client_of(Transport::Dtls, &ends, scripted_server(&ends));
        scene.serve([&SERVER_FLIGHT, &FINALE]);
        for (epoch, called) in [(2, true), (3, false)] {
            scene.begin(Side::Client, called);
            assert_eq!(scene.peer().offer.cookie.is_empty(), !repeats);
            if repeats {
                // Silence, and the association goes on.
                scene.wait(PATIENCE);
                scene.assert_unchanged(1);
                break;
            }
            scene.finish(Side::Client, epoch);
        }
    }
}

/// GnuTLS as server: the first hello behind its own HelloRequest is dropped as a replay; the next one is taken.
#[test]
fn gnutls_as_server_takes_the_second_hello_behind_its_hello_request() {
    let mut scene = connected(Side::Client, Transport::Dtls);
    scene.begin(Side::Client, false);
    let first = scene.peer().offer.clone();
    let before = scene.heard();
    scene.wait(Duration::from_millis(1100));
    let again = scene.peer().heard[before..].to_vec();
    assert!(matches!(
        again[..],
        [Heard::Repeated {
            epoch: 1,
            seq: 0,
            typ: CLIENT_HELLO
        }]
    ));
    assert_eq!(scene.peer().offer, first);
    scene.finish(Side::Client, 2);
}

/// GnuTLS as client: with a ticket in the first handshake it waits for one in the renegotiation too.
#[test]
fn gnutls_as_client_gets_a_ticket_in_every_handshake() {
    for transport in BOTH {
        for called in [true, false] {
            let mut ends = Ends::new();
            ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
            let mut peer = scripted_client();
            peer.offer.set_extension(SESSION_TICKET, &[]);
            let mut scene = Scene::server(transport, ends.build().server, peer);
            scene.visit(&CLIENT_FLIGHT);
            for epoch in 2..5 {
                let before = scene.heard();
                let ticket = scene.peer().ticket.clone();
                scene.begin(Side::Server, called);
                scene.finish(Side::Server, epoch);
                assert!(
                    scene
                        .messages_heard_since(before)
                        .contains(&NEW_SESSION_TICKET)
                );
                assert_ne!(scene.peer().ticket, ticket);
            }
        }
    }
}

/// GnuTLS as client: behind a cookie exchange it repeats its random in the renegotiation.
#[test]
fn gnutls_as_client_may_repeat_its_random() {
    for called in [true, false] {
        let mut scene = connected(Side::Server, Transport::Dtls);
        let random = scene.peer().offer.random;
        scene.peer().renegotiate();
        scene.peer().offer.random = random;
        if called {
            scene.renegotiate(false).unwrap();
        }
        scene.play(&[Line::ClientHello]);
        scene.finish(Side::Server, 2);
    }
}

/// GnuTLS as server, OpenSSL as server: a ticket in each handshake, or in the first one alone.
#[test]
fn a_server_may_issue_tickets_in_some_handshakes_only() {
    for transport in BOTH {
        let ends = Ends::new().resuming();
        let mut peer = scripted_server(&ends);
        peer.ticket = b"ticket".to_vec();
        let mut scene = client_of(transport, &ends, peer);
        for (issues, epoch) in [true, false, true, true, false].into_iter().zip(1..) {
            scene.peer().promises_ticket = issues;
            if epoch > 1 {
                scene.begin(Side::Client, epoch % 2 == 0);
            } else {
                let grants = scene.peer().promises_ticket;
                assert!(grants);
                scene.peer().choice.set_extension(SESSION_TICKET, &[]);
            }
            scene.play(&SERVER_FLIGHT);
            scene.play(if issues { &TICKET_FINALE } else { &FINALE });
            scene.assert_done(epoch);
        }
    }
}

/// pion, dimpl, tinydtls as clients: they ignore a HelloRequest, and data flows for ever.
#[test]
fn pion_as_client_ignores_a_hello_request() {
    let mut scene = connected(Side::Server, Transport::Dtls);
    for round in 1..4 {
        scene.peer().renegotiate();
        scene.renegotiate(false).unwrap();
        for _ in 0..10 {
            scene.wait(Duration::from_secs(10));
            assert!(scene.exchange_in(1));
        }
        scene.wait(Duration::from_secs(30));
        assert_eq!(scene.refusals(RenegotiationRefusal::Unanswered), round);
        scene.assert_unchanged(1);
    }
}

/// pion, dimpl, tinydtls as servers: they ignore a ClientHello; what was held leaves under the old keys.
#[test]
fn pion_as_server_ignores_a_client_hello() {
    let mut scene = connected(Side::Client, Transport::Dtls);
    for round in 1..4 {
        scene.peer().renegotiate();
        scene.renegotiate(round == 2).unwrap();
        let before = scene.heard();
        scene.send(b"held").unwrap();
        // What pion says meanwhile is taken.
        for _ in 0..3 {
            assert!(scene.data_heard_since(before).is_empty());
            scene.wait(Duration::from_secs(1));
            let data = scene.data_in(1, b"data");
            scene.deliver(&data);
            assert_eq!(scene.receive(), b"data");
        }
        scene.wait(Duration::from_secs(2));
        assert_eq!(scene.data_heard_since(before), b"held");
        scene.wait(Duration::from_secs(30));
        assert_eq!(scene.refusals(RenegotiationRefusal::Unanswered), round);
        scene.assert_unchanged(1);
        assert_eq!(scene.buffered(), 0);
    }
}

/// The same silence under an automatic policy: it waits its pause and does not ask again with every record.
#[test]
fn automatic_renegotiation_does_not_pester_a_peer_that_is_silent() {
    let policy = RekeyPolicy::default().bytes(Some(512)).unwrap();
    let mut scene = connected_with(Side::Server, Transport::Dtls, Ends::new(), policy);
    let mut requests = 0;
    for _ in 0..60 {
        scene.peer().renegotiate();
        let before = scene.heard();
        scene.send(&[0; 600]).unwrap();
        scene.listen();
        requests += scene.messages_heard_since(before).len();
        scene.wait(Duration::from_secs(10));
    }
    let refused = scene.refusals(RenegotiationRefusal::Unanswered);
    // Ten minutes: 30 s of asking a round, and a pause of 60 s that doubles with each.
    assert!((3..=4).contains(&refused), "{refused}");
    assert!(requests <= refused + 1, "{requests}");
}

/// BoringSSL: whoever wishes to renegotiate with it is told off.
#[test]
fn boringssl_ends_the_association_at_a_wish() {
    for transport in BOTH {
        for side in [Side::Client, Side::Server] {
            let mut scene = connected(side, transport);
            scene.renegotiate(false).unwrap();
            let alert = scene.peer().record(ALERT, 1, &[FATAL, UNEXPECTED_MESSAGE]);
            scene.deliver(&alert);
            assert!(fatal_alert(&scene, UNEXPECTED_MESSAGE));
        }
    }
}

/// NSS as client: from its third try on the hello comes in fragments.
#[test]
fn nss_as_client_fragments_its_hello_later() {
    for heard in 0..3 {
        let mut scene = connected(Side::Server, Transport::Dtls);
        scene.peer().renegotiate();
        let hello = scene.peer().offer.encode();
        let spoken = scene.peer().say(CLIENT_HELLO, hello);
        let whole = scene.peer().record(HANDSHAKE, 1, &spoken.whole());
        let pieces: Vec<Vec<u8>> = spoken
            .fragments(80)
            .iter()
            .map(|piece| scene.peer().record(HANDSHAKE, 1, piece))
            .collect();
        assert!(pieces.len() > 1);
        if heard > 0 {
            scene.deliver(&pieces[heard - 1]);
            scene.deliver(&whole);
        }
        for piece in &pieces {
            scene.deliver(piece);
        }
        scene.finish(Side::Server, 2);
    }
}

/// No cookie exchange of ours takes place in an association, whoever is there.
#[test]
fn our_server_never_asks_for_a_cookie_inside_an_association() {
    let mut scene = connected(Side::Server, Transport::Dtls);
    let before = scene.heard();
    for epoch in 2..5 {
        scene.peer().offer.cookie = Vec::new();
        scene.begin(Side::Server, epoch % 2 == 0);
        scene.finish(Side::Server, epoch);
    }
    assert!(
        !scene
            .messages_heard_since(before)
            .contains(&HELLO_VERIFY_REQUEST)
    );
}
