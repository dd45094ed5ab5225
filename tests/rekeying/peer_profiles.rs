//! Real peers as scripts: what each was seen to do on the wire around renegotiation, and what our
//! ends make of it.
//!
//! By peer: as server; as client.
//!
//! * LibreSSL 4.3: no EMS, HelloRequest each second, fatal no_renegotiation; no EMS, SCSV, fatal
//!   answer to a refusal
//! * OpenSSL 1.1.1–4.0: wants its cookie back, one HelloRequest, dies of data; ignores a crossing
//!   HelloRequest uncounted, takes HelloVerifyRequest
//! * GnuTLS 3.7: drops the first hello behind its HelloRequest; waits for a ticket, repeats its
//!   random
//! * Mbed TLS 3.6: wants the cookie field empty; answers as every honest client, with an empty
//!   cookie
//! * Erlang OTP 25: HelloVerifyRequest inside the association; nothing that is not in the other
//!   columns
//! * pion, dimpl, tinydtls: silence; silence
//! * BoringSSL: fatal unexpected_message; fatal unexpected_message
//! * NSS: nothing that is not in the other columns; fragments its hello from the third time on
//!
//! Over a stream only what is not about datagrams can be: LibreSSL, OpenSSL and BoringSSL.

use crate::common::configs::{Ends, SERVER};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, EXTENDED_MASTER_SECRET, FATAL, FINALE, PROVING_CLIENT_FLIGHT,
    RENEGOTIATION_INFO, SERVER_FLIGHT, WARNING, records, scripted_client, scripted_server,
};
use crate::common::harness::{
    CERTIFICATE_REQUEST, CLIENT_HELLO, FINISHED, HANDSHAKE_FAILURE, HELLO_VERIFY_REQUEST, Harness,
    NEW_SESSION_TICKET, NO_RENEGOTIATION, PATIENCE, SERVER_HELLO, SESSION_TICKET, TICKET_FINALE,
    UNEXPECTED_MESSAGE,
};
use crate::common::renegotiating::{SetClock, allowing, connected, connected_with};
use crate::common::transport::{BOTH, Transport};
use bytes::BytesMut;
use sealgram::config::{Clock as _, DataDuringRenegotiation, RekeyPolicy};
use sealgram::error::{PeerMisbehaved, SendError};
use sealgram::sim::scripted::{ALERT, HANDSHAKE, Heard, Line, ScriptedPeer};
use sealgram::{Error, HandshakeKind, Path, RenegotiationRefusal, Side};
use std::time::Duration;

const SCSV: u16 = 0x00ff;

/// Our client, connected to a scripted server; over datagrams behind a cookie exchange.
fn client_of(transport: Transport, ends: &Ends, peer: ScriptedPeer) -> Harness {
    let config = ends.client.clone().build().unwrap().into();
    let mut harness = Harness::client(transport, config, peer);
    if transport == Transport::Dtls {
        harness.play(&[Line::HelloVerifyRequest]);
    }
    harness
}

fn fatal_alert(harness: &Harness, description: u8) -> bool {
    matches!(
        harness.error(),
        Some(Error::AlertReceived { alert, authenticated: true })
            if alert.description.0 == description
    )
}

/// LibreSSL: no extended_master_secret, so nothing is resumed, and exporters are closed;
/// renegotiation works.
#[test]
fn libressl_as_server_is_served_without_extended_master_secret() {
    for transport in BOTH {
        let ends = Ends::new().resuming();
        let mut peer = scripted_server(&ends);
        peer.choice.session_id = vec![1; 32];
        let mut harness = client_of(transport, &ends, peer);
        let plain = |harness: &mut Harness| {
            harness
                .peer()
                .choice
                .remove_extension(EXTENDED_MASTER_SECRET)
        };
        plain(&mut harness);
        harness.serve([&SERVER_FLIGHT, &FINALE]);
        // The abbreviated call is a full handshake, as nothing can be resumed.
        harness.peer().renegotiate();
        harness.renegotiate(true).unwrap();
        assert!(harness.peer().offer.session_id.is_empty());
        plain(&mut harness);
        harness.finish(Side::Client, 2);
        assert_eq!(harness.kind(), Some(HandshakeKind::Full));
    }
}

/// LibreSSL: its HelloRequest comes each second, with the same message_seq in a new record, until
/// it is answered, and once more behind the answer.
#[test]
fn libressl_as_server_repeats_its_hello_request_and_gets_one_answer() {
    let mut harness = connected(Side::Client, Transport::Dtls);
    harness.peer().renegotiate();
    let request = [0; 12];
    let before = harness.heard();
    for _ in 0..4 {
        let record = harness.peer().record(HANDSHAKE, 1, &request);
        harness.deliver(&record);
        harness.wait(Duration::from_millis(100));
    }
    assert_eq!(harness.messages_heard_since(before), [CLIENT_HELLO]);
    harness.peer().set_next_seq(1);
    harness.play(&SERVER_FLIGHT[..2]);
    let record = harness.peer().record(HANDSHAKE, 1, &request);
    harness.deliver(&record);
    harness.play(&SERVER_FLIGHT[2..]);
    harness.play(&FINALE);
    harness.assert_done(2);
    // One that was sent under the old keys and comes behind the end begins nothing.
    let before = harness.heard();
    let late = harness.peer().record(HANDSHAKE, 1, &request);
    harness.deliver(&late);
    assert_eq!(harness.heard(), before);
    harness.assert_unchanged(2);
}

/// LibreSSL with SSL_OP_NO_RENEGOTIATION: the refusal is fatal.
#[test]
fn libressl_as_server_that_does_not_renegotiate_ends_the_association() {
    for transport in BOTH {
        let mut harness = connected(Side::Client, transport);
        harness.begin(Side::Client, true);
        let alert = harness.peer().record(ALERT, 1, &[FATAL, NO_RENEGOTIATION]);
        harness.deliver(&alert);
        assert!(fatal_alert(&harness, NO_RENEGOTIATION));
    }
}

/// LibreSSL and OpenSSL 3.0 as clients: the SCSV and no renegotiation_info at first, the other way
/// round later.
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
            let mut harness = Harness::server(transport, ends.build().server, peer);
            harness.visit(&CLIENT_FLIGHT);
            for (epoch, called) in [(2, false), (3, true)] {
                harness.peer().offer.extensions.reverse();
                harness.begin(Side::Server, called);
                assert!(!harness.peer().offer.suites.contains(&SCSV));
                harness.finish(Side::Server, epoch);
            }
        }
    }
}

/// LibreSSL and OpenSSL as clients: they take a refusal for the end, and say so.
#[test]
fn openssl_as_a_refused_client_ends_the_association() {
    for transport in BOTH {
        let mut harness = Harness::server(transport, Ends::new().build().server, scripted_client());
        harness.visit(&CLIENT_FLIGHT);
        harness.peer().renegotiate();
        harness.play(&[Line::ClientHello]);
        assert_eq!(harness.peer().alerts_heard(), [(WARNING, NO_RENEGOTIATION)]);
        let alert = harness.peer().record(ALERT, 1, &[FATAL, HANDSHAKE_FAILURE]);
        harness.deliver(&alert);
        assert!(fatal_alert(&harness, HANDSHAKE_FAILURE));
    }
}

/// OpenSSL as server: it does not ask again, but goes on with an old random if its cookie does not
/// come back.
#[test]
fn openssl_as_server_gets_its_cookie_back() {
    let ends = Ends::new();
    let mut harness = client_of(Transport::Dtls, &ends, scripted_server(&ends));
    let cookie = harness.peer().cookie.clone();
    harness.serve([&SERVER_FLIGHT, &FINALE]);
    for (epoch, called) in [(2, true), (3, false), (4, true)] {
        harness.begin(Side::Client, called);
        assert_eq!(harness.peer().offer.cookie, cookie);
        harness.finish(Side::Client, epoch);
    }
}

/// OpenSSL and LibreSSL die of data behind the ServerHello: by default nothing of ours comes there,
/// and nothing is lost.
#[test]
fn no_data_reaches_openssl_in_the_middle_of_a_renegotiation() {
    for transport in BOTH {
        for side in [Side::Client, Side::Server] {
            for called in [true, false] {
                let mut harness = connected(side, transport);
                let lines = match side {
                    Side::Client => [&SERVER_FLIGHT[..], &FINALE].concat(),
                    Side::Server => CLIENT_FLIGHT.to_vec(),
                };
                harness.begin(side, called);
                let before = harness.heard();
                for line in &lines {
                    harness.send(b"x").unwrap();
                    assert!(
                        harness.data_heard_since(before).is_empty(),
                        "{side} {line:?}"
                    );
                    harness.play(&[*line]);
                }
                // All of it, behind our Finished, under the new keys.
                let heard = harness.peer().heard[before..].to_vec();
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
                harness.assert_done(2);
            }
        }
    }
}

/// The other half: while only a HelloRequest is out, OpenSSL takes data, and ours flows where the
/// policy says so.
#[test]
fn data_flows_while_a_hello_request_is_out() {
    for transport in BOTH {
        let policy = RekeyPolicy::default();
        let policy = policy.data_during_renegotiation(DataDuringRenegotiation::HoldFromHello);
        let mut harness = connected_with(Side::Server, transport, Ends::new(), policy);
        harness.peer().renegotiate();
        harness.renegotiate(false).unwrap();
        for _ in 0..3 {
            assert!(harness.exchange_in(1));
        }
        harness.play(&[Line::ClientHello]);
        harness.finish(Side::Server, 2);
    }
}

/// The data that waits is bounded, and refused beyond that; a refusal is no loss.
#[test]
fn data_that_waits_for_a_slow_peer_is_bounded() {
    for transport in BOTH {
        let mut harness = connected(Side::Client, transport);
        harness.begin(Side::Client, true);
        let before = harness.heard();
        let mut taken = 0;
        let refused = loop {
            match harness.send(&[7; 1000]) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 10_000);
        };
        assert_eq!(refused, SendError::Renegotiating);
        assert!(harness.buffered() <= 1 << 18);
        harness.finish(Side::Client, 2);
        let arrived = harness.data_heard_since(before).len();
        assert!(
            arrived >= 1000 * taken - 1000 && taken > 200,
            "{arrived} {taken}"
        );
        assert_eq!(harness.buffered(), 0);
    }
}

/// What our end sends now, unheard by the peer.
fn unheard(datagrams: &mut DatagramHarness) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    let mut out = Vec::new();
    while let Some(transmit) = datagrams
        .endpoint
        .poll_transmit(datagrams.now, 64, &mut out)
    {
        let size = transmit.segment_size.unwrap_or(transmit.len).max(1);
        sent.extend(out[..transmit.len].chunks(size).map(<[u8]>::to_vec));
        out.clear();
    }
    sent
}

/// Our server asks while the hello of such a client is under way, which does not count the
/// HelloRequest and cannot make use of what is numbered behind it.
fn crossed(ends: Ends, peer: ScriptedPeer) -> (Harness, Vec<Vec<u8>>) {
    let mut harness = Harness::server(Transport::Dtls, ends.build().server, peer);
    harness.play_hello();
    match harness
        .peer()
        .messages_heard()
        .contains(&CERTIFICATE_REQUEST)
    {
        true => harness.play(&PROVING_CLIENT_FLIGHT),
        false => harness.play(&CLIENT_FLIGHT),
    }
    harness.assert_done(1);
    harness.peer().renegotiate();
    let hello = harness.peer().speak(&[Line::ClientHello]);
    let datagrams = harness.datagrams();
    let (now, id) = (datagrams.now, datagrams.id().unwrap());
    datagrams
        .endpoint
        .association(datagrams.now, id)
        .unwrap()
        .renegotiate()
        .unwrap();
    assert_eq!(unheard(datagrams).len(), 1, "the HelloRequest");
    let (path, hello) = (Path::new(datagrams.address), BytesMut::from(&hello[0][..]));
    datagrams.endpoint.handle_datagram(now, path, hello);
    let answer = unheard(datagrams);
    assert!(!answer.is_empty());
    (harness, answer)
}

/// OpenSSL and LibreSSL as clients: they have said hello, ignore the HelloRequest that crosses it,
/// do not count that, and wait for message 0, while our ServerHello is message 1. RFC 6347 §4.2.1:
/// what they wait for can be a HelloVerifyRequest, and then the numbers agree.
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
        let (mut harness, _lost) = crossed(ends, peer);
        let first = harness.peer().offer.clone();
        // Our timer, and of what it sends again the client takes the first message alone.
        let datagrams = harness.datagrams();
        datagrams.now += Duration::from_secs(1);
        datagrams.endpoint.handle_timeout(datagrams.now);
        let again = unheard(datagrams);
        let before = harness.heard();
        harness.peer().hear(&records(&again[0])[0]);
        let heard = harness.peer().heard[before..].to_vec();
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
        assert_eq!(harness.peer().next_seq(), 1);
        let before = harness.heard();
        harness.play(&[Line::ClientHello]);
        assert_eq!(harness.peer().offer.random, first.random);
        let flight = harness.messages_heard_since(before);
        assert_eq!(flight.first(), Some(&SERVER_HELLO), "{flight:?}");
        assert_eq!(flight.contains(&CERTIFICATE_REQUEST), demands);
        match demands {
            true => harness.play(&PROVING_CLIENT_FLIGHT),
            false => harness.play(&CLIENT_FLIGHT),
        }
        harness.assert_done(2);
        // And the next one as if nothing had been.
        harness.peer().renegotiate();
        harness.renegotiate(false).unwrap();
        harness.play(&[Line::ClientHello]);
        match demands {
            true => harness.play(&PROVING_CLIENT_FLIGHT),
            false => harness.play(&CLIENT_FLIGHT),
        }
        harness.assert_done(3);
    }
}

/// A client that has counted the HelloRequest takes our flight as it is, and what stands in front
/// of it when it is sent again is an old message to it.
#[test]
fn a_client_that_has_seen_the_hello_request_does_not_mind_what_is_sent_again_in_its_place() {
    let mut harness = connected(Side::Server, Transport::Dtls);
    harness.peer().renegotiate();
    harness.renegotiate(false).unwrap();
    harness.play(&[Line::ClientHello]);
    let before = harness.heard();
    harness.wait(Duration::from_secs(4));
    let withdrawn = Heard::Repeated {
        epoch: 1,
        seq: 0,
        typ: HELLO_VERIFY_REQUEST,
    };
    assert!(harness.peer().heard[before..].contains(&withdrawn));
    harness.finish(Side::Server, 2);
}

/// RFC 6347 §4.2.1: the hello with the cookie is the same hello. Another one is not taken for it,
/// and nothing is begun twice.
#[test]
fn a_crossing_client_that_changes_its_hello_is_refused() {
    for twice in [false, true] {
        let mut ends = Ends::new();
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let (mut harness, _lost) = crossed(ends, scripted_client());
        harness.peer().offer.cookie = b"any".to_vec();
        if twice {
            harness.play(&[Line::ClientHello]);
            assert!(harness.is_alive());
        } else {
            harness.peer().offer.random = [9; 32];
        }
        harness.play(&[Line::ClientHello]);
        let expected = match twice {
            true => PeerMisbehaved::UnexpectedMessage { got: CLIENT_HELLO },
            false => PeerMisbehaved::ChangedHello,
        };
        assert_eq!(harness.error(), Some(Error::from(expected)));
    }
}

/// A client that offers its session has begun by itself, as no DTLS client answers a HelloRequest
/// so: it gets a full handshake.
#[test]
fn a_session_that_is_offered_across_a_hello_request_is_not_resumed_over_datagrams() {
    let mut ends = Ends::new();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    let mut harness = Harness::server(Transport::Dtls, ends.build().server, scripted_client());
    harness.visit(&CLIENT_FLIGHT);
    let session = harness.peer().session();
    assert!(!session.id.is_empty());
    harness.peer().renegotiate();
    harness.peer().resume(&session);
    harness.renegotiate(false).unwrap();
    harness.play(&[Line::ClientHello]);
    assert!(!harness.peer().is_resuming());
    harness.play(&CLIENT_FLIGHT);
    harness.assert_done(2);
    assert_eq!(harness.kind(), Some(HandshakeKind::Full));
}

/// The same client repeats its hello behind our giving up: that is a wish like any other.
#[test]
fn a_hello_that_is_repeated_after_the_end_of_an_attempt_begins_another() {
    let mut harness = connected(Side::Server, Transport::Dtls);
    harness.begin(Side::Server, false);
    harness.wait(PATIENCE);
    assert_eq!(harness.refusals(RenegotiationRefusal::Unanswered), 1);
    harness.begin(Side::Server, false);
    harness.finish(Side::Server, 2);
}

/// Erlang: every hello is answered with a HelloVerifyRequest, also inside an association.
#[test]
fn erlang_as_server_demands_a_cookie_inside_the_association() {
    let ends = Ends::new();
    let mut harness = client_of(Transport::Dtls, &ends, scripted_server(&ends));
    harness.serve([&SERVER_FLIGHT, &FINALE]);
    for (epoch, called) in [(2, true), (3, false), (4, false), (5, true)] {
        let first = u16::from(!called);
        harness.begin(Side::Client, called);
        let random = harness.peer().offer.random;
        harness.peer().cookie = vec![u8::try_from(epoch).unwrap(); 20];
        // HelloRequest 0, HelloVerifyRequest 1, ServerHello 2.
        assert_eq!(harness.peer().next_seq(), first);
        let before = harness.heard();
        harness.play(&[Line::HelloVerifyRequest]);
        let heard = harness.peer().heard[before..].to_vec();
        assert!(matches!(
            heard[..],
            [Heard::Message {
                seq: 1,
                typ: CLIENT_HELLO,
                ..
            }]
        ));
        let cookie = harness.peer().cookie.clone();
        assert_eq!(harness.peer().offer.cookie, cookie);
        assert_eq!(harness.peer().offer.random, random);
        assert_eq!(harness.peer().next_seq(), first + 1);
        harness.finish(Side::Client, epoch);
    }
}

/// Erlang over a bad network: its HelloVerifyRequest is lost, and comes twice.
#[test]
fn erlangs_hello_verify_request_may_be_lost_or_repeated() {
    let mut harness = connected(Side::Client, Transport::Dtls);
    harness.begin(Side::Client, true);
    let lost = harness.peer().speak(&[Line::HelloVerifyRequest]);
    harness.wait(Duration::from_secs(1));
    harness.deliver(&lost[0]);
    harness.peer().set_next_seq(0);
    let again = harness.peer().speak(&[Line::HelloVerifyRequest]);
    harness.deliver(&again[0]);
    harness.finish(Side::Client, 2);
}

/// A server that only ever asks for cookies is given up as one that misbehaves, not followed for
/// ever.
#[test]
fn a_server_that_asks_for_cookies_without_end_is_not_followed() {
    let mut harness = connected(Side::Client, Transport::Dtls);
    harness.begin(Side::Client, true);
    let before = harness.heard();
    for _ in 0..20 {
        if harness.is_alive() {
            harness.play(&[Line::HelloVerifyRequest]);
        }
    }
    assert!(!harness.is_alive());
    let hellos = harness.messages_heard_since(before).len();
    assert!(hellos <= 4, "{hellos}");
}

/// Mbed TLS as server: its cookie in a renegotiation would be a decoding error, of which it says
/// nothing. It is told by its form: it begins with the time, or with a counter where there is no
/// clock.
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
        let mut harness = client_of(Transport::Dtls, &ends, peer);
        harness.serve([&SERVER_FLIGHT, &FINALE]);
        for (epoch, called) in [(2, true), (3, false), (4, true)] {
            harness.begin(Side::Client, called);
            assert_eq!(harness.peer().offer.cookie.is_empty(), !repeats, "{first}");
            harness.finish(Side::Client, epoch);
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
        let mut harness = client_of(Transport::Dtls, &ends, scripted_server(&ends));
        harness.serve([&SERVER_FLIGHT, &FINALE]);
        for (epoch, called) in [(2, true), (3, false)] {
            harness.begin(Side::Client, called);
            assert_eq!(harness.peer().offer.cookie.is_empty(), !repeats);
            if repeats {
                // Silence, and the association goes on.
                harness.wait(PATIENCE);
                harness.assert_unchanged(1);
                break;
            }
            harness.finish(Side::Client, epoch);
        }
    }
}

/// GnuTLS as server: the first hello behind its own HelloRequest is dropped as a replay; the next
/// one is taken.
#[test]
fn gnutls_as_server_takes_the_second_hello_after_its_hello_request() {
    let mut harness = connected(Side::Client, Transport::Dtls);
    harness.begin(Side::Client, false);
    let first = harness.peer().offer.clone();
    let before = harness.heard();
    harness.wait(Duration::from_millis(1100));
    let again = harness.peer().heard[before..].to_vec();
    assert!(matches!(
        again[..],
        [Heard::Repeated {
            epoch: 1,
            seq: 0,
            typ: CLIENT_HELLO
        }]
    ));
    assert_eq!(harness.peer().offer, first);
    harness.finish(Side::Client, 2);
}

/// GnuTLS as client: with a ticket in the first handshake it waits for one in the renegotiation
/// too.
#[test]
fn gnutls_as_client_gets_a_ticket_in_every_handshake() {
    for transport in BOTH {
        for called in [true, false] {
            let mut ends = Ends::new();
            ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
            let mut peer = scripted_client();
            peer.offer.set_extension(SESSION_TICKET, &[]);
            let mut harness = Harness::server(transport, ends.build().server, peer);
            harness.visit(&CLIENT_FLIGHT);
            for epoch in 2..5 {
                let before = harness.heard();
                let ticket = harness.peer().ticket.clone();
                harness.begin(Side::Server, called);
                harness.finish(Side::Server, epoch);
                assert!(
                    harness
                        .messages_heard_since(before)
                        .contains(&NEW_SESSION_TICKET)
                );
                assert_ne!(harness.peer().ticket, ticket);
            }
        }
    }
}

/// GnuTLS as client: behind a cookie exchange it repeats its random in the renegotiation.
#[test]
fn gnutls_as_client_may_repeat_its_random() {
    for called in [true, false] {
        let mut harness = connected(Side::Server, Transport::Dtls);
        let random = harness.peer().offer.random;
        harness.peer().renegotiate();
        harness.peer().offer.random = random;
        if called {
            harness.renegotiate(false).unwrap();
        }
        harness.play(&[Line::ClientHello]);
        harness.finish(Side::Server, 2);
    }
}

/// GnuTLS as server, OpenSSL as server: a ticket in each handshake, or in the first one alone.
#[test]
fn a_server_may_issue_tickets_in_some_handshakes_only() {
    for transport in BOTH {
        let ends = Ends::new().resuming();
        let mut peer = scripted_server(&ends);
        peer.ticket = b"ticket".to_vec();
        let mut harness = client_of(transport, &ends, peer);
        for (issues, epoch) in [true, false, true, true, false].into_iter().zip(1..) {
            harness.peer().promises_ticket = issues;
            if epoch > 1 {
                harness.begin(Side::Client, epoch % 2 == 0);
            } else {
                let grants = harness.peer().promises_ticket;
                assert!(grants);
                harness.peer().choice.set_extension(SESSION_TICKET, &[]);
            }
            harness.play(&SERVER_FLIGHT);
            harness.play(if issues { &TICKET_FINALE } else { &FINALE });
            harness.assert_done(epoch);
        }
    }
}

/// pion, dimpl, tinydtls as clients: they ignore a HelloRequest, and data flows for ever.
#[test]
fn pion_as_client_ignores_a_hello_request() {
    let mut harness = connected(Side::Server, Transport::Dtls);
    for round in 1..4 {
        harness.peer().renegotiate();
        harness.renegotiate(false).unwrap();
        for _ in 0..10 {
            harness.wait(Duration::from_secs(10));
            assert!(harness.exchange_in(1));
        }
        harness.wait(Duration::from_secs(30));
        assert_eq!(harness.refusals(RenegotiationRefusal::Unanswered), round);
        harness.assert_unchanged(1);
    }
}

/// pion, dimpl, tinydtls as servers: they ignore a ClientHello; what was held leaves under the old
/// keys.
#[test]
fn pion_as_server_ignores_a_client_hello() {
    let mut harness = connected(Side::Client, Transport::Dtls);
    for round in 1..4 {
        harness.peer().renegotiate();
        harness.renegotiate(round == 2).unwrap();
        let before = harness.heard();
        harness.send(b"held").unwrap();
        // What pion says meanwhile is taken.
        for _ in 0..3 {
            assert!(harness.data_heard_since(before).is_empty());
            harness.wait(Duration::from_secs(1));
            let data = harness.data_in(1, b"data");
            harness.deliver(&data);
            assert_eq!(harness.receive(), b"data");
        }
        harness.wait(Duration::from_secs(2));
        assert_eq!(harness.data_heard_since(before), b"held");
        harness.wait(Duration::from_secs(30));
        assert_eq!(harness.refusals(RenegotiationRefusal::Unanswered), round);
        harness.assert_unchanged(1);
        assert_eq!(harness.buffered(), 0);
    }
}

/// The same silence under an automatic policy: it waits its pause and does not ask again with every
/// record.
#[test]
fn automatic_renegotiation_does_not_pester_a_peer_that_is_silent() {
    let policy = RekeyPolicy::default().bytes(Some(512)).unwrap();
    let mut harness = connected_with(Side::Server, Transport::Dtls, Ends::new(), policy);
    let mut requests = 0;
    for _ in 0..60 {
        harness.peer().renegotiate();
        let before = harness.heard();
        harness.send(&[0; 600]).unwrap();
        harness.listen();
        requests += harness.messages_heard_since(before).len();
        harness.wait(Duration::from_secs(10));
    }
    let refused = harness.refusals(RenegotiationRefusal::Unanswered);
    // Ten minutes: 30 s of asking a round, and a pause of 60 s that doubles with each.
    assert!((3..=4).contains(&refused), "{refused}");
    assert!(requests <= refused + 1, "{requests}");
}

/// BoringSSL: whoever wishes to renegotiate with it is told off.
#[test]
fn boringssl_ends_the_association_at_a_wish() {
    for transport in BOTH {
        for side in [Side::Client, Side::Server] {
            let mut harness = connected(side, transport);
            harness.renegotiate(false).unwrap();
            let alert = harness
                .peer()
                .record(ALERT, 1, &[FATAL, UNEXPECTED_MESSAGE]);
            harness.deliver(&alert);
            assert!(fatal_alert(&harness, UNEXPECTED_MESSAGE));
        }
    }
}

/// NSS as client: from its third try on the hello comes in fragments.
#[test]
fn nss_as_client_fragments_its_hello_later() {
    for heard in 0..3 {
        let mut harness = connected(Side::Server, Transport::Dtls);
        harness.peer().renegotiate();
        let hello = harness.peer().offer.encode();
        let spoken = harness.peer().say(CLIENT_HELLO, hello);
        let whole = harness.peer().record(HANDSHAKE, 1, &spoken.whole());
        let pieces: Vec<Vec<u8>> = spoken
            .fragments(80)
            .iter()
            .map(|piece| harness.peer().record(HANDSHAKE, 1, piece))
            .collect();
        assert!(pieces.len() > 1);
        if heard > 0 {
            harness.deliver(&pieces[heard - 1]);
            harness.deliver(&whole);
        }
        for piece in &pieces {
            harness.deliver(piece);
        }
        harness.finish(Side::Server, 2);
    }
}

/// No cookie exchange of ours takes place in an association, whoever is there.
#[test]
fn our_server_never_asks_for_a_cookie_inside_an_association() {
    let mut harness = connected(Side::Server, Transport::Dtls);
    let before = harness.heard();
    for epoch in 2..5 {
        harness.peer().offer.cookie = Vec::new();
        harness.begin(Side::Server, epoch % 2 == 0);
        harness.finish(Side::Server, epoch);
    }
    assert!(
        !harness
            .messages_heard_since(before)
            .contains(&HELLO_VERIFY_REQUEST)
    );
}
