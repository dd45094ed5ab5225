//! Limits of memory and work, and forgeries before keys: rows C6 to C15 of the failure catalogue.
//!
//! | row | where, or why not |
//! | --- | --- |
//! | C6, C8, memory | `tests/memory/limits.rs` counts the bytes |
//! | C7 | `tests/endpoint/cookies.rs` |
//! | C10, C12, C16–C18 | version 1.3, resumption or OCSP |
//! | C13 | `tests/records/fragments.rs` |
//! | C14 | `tests/handshake/misbehaviour12.rs` |

use crate::common::configs::{Ends, Pki};
use crate::common::crowd::{Crowd, hellos, home, host};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, FATAL, PROVING_CLIENT_FLIGHT, SERVER_FLIGHT, WARNING,
    our_client, our_server, scripted_client,
};
use sealgram::config::{DatagramPolicy, RekeyPolicy, Versions};
use sealgram::endpoint::{EndpointPolicy, Eviction};
use sealgram::error::PeerMisbehaved;
use sealgram::record::Initiator;
use sealgram::sim::scripted::{ALERT, HANDSHAKE, Heard, Line, ScriptedPeer, Spoken};
use sealgram::{ClientConfig, Error, Event, Path};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any attempt lasts, shorter than the idle timeout.
const FOREVER: Duration = Duration::from_secs(300);

const NO_RENEGOTIATION: u8 = 100;

/// A new client takes the place of the scripted peer, at another address.
fn newcomer(harness: &mut DatagramHarness, address: impl Into<SocketAddr>) {
    harness.address = address.into();
    harness.peer = scripted_client();
}

/// C6 (pion CVE-2022-29189, Californium CVE-2022-39368): attempts that stop at each message leave
/// nothing behind.
#[test]
fn handshakes_that_stop_anywhere_leave_no_state() {
    let ends = Ends::new().mutual();
    let credential = ends.pki.client(&rcgen::PKCS_ED25519);
    let mut server = DatagramHarness::server(ends.build().server, scripted_client());
    for round in 0..500_u16 {
        newcomer(&mut server, ([198, 51, 100, 1], 1000 + round));
        server.peer =
            ScriptedPeer::client(crate::common::configs::SERVER, Some(credential.clone()));
        server.exchange_cookies();
        let messages = usize::from(round) % PROVING_CLIENT_FLIGHT.len();
        server.play(&PROVING_CLIENT_FLIGHT[..messages]);
    }
    assert_eq!(server.endpoint.half_open(), 500);
    server.wait(FOREVER);
    assert!(server.endpoint.is_empty());
    assert_eq!(
        (server.endpoint.half_open(), server.endpoint.buffered()),
        (0, 0)
    );
    assert_eq!(server.endpoint.poll_timeout(), None);
    assert_eq!(server.endpoint.stats().handshakes_failed, 500);

    let config = Ends::new().build().client;
    let mut client = our_client();
    for round in 0..100 {
        client.wait(FOREVER);
        assert!(client.endpoint.is_empty() && client.endpoint.buffered() == 0);
        assert_eq!(client.endpoint.poll_timeout(), None);
        client.peer = crate::common::datagram_harness::scripted_server(&Ends::new());
        client.connect(config.clone());
        client.play(&SERVER_FLIGHT[..round % SERVER_FLIGHT.len()]);
    }
}

/// C8: half-open handshakes of proven addresses are limited, and established ones never go for
/// them.
#[test]
fn half_open_handshakes_are_limited_and_evict_nobody_established() {
    for eviction in [Eviction::OldestHalfOpen, Eviction::RefuseNewcomer] {
        let policy = EndpointPolicy::default()
            .max_half_open(16, eviction)
            .unwrap();
        let config = Ends::new().build().server;
        let mut harness = DatagramHarness::server_with(config, policy, scripted_client());
        harness.complete();
        let honest = std::mem::replace(&mut harness.peer, scripted_client());
        let address = harness.address;
        for port in 0..3000 {
            harness.wait(match eviction {
                // Sixteen times this is more than what each of them has before it can go.
                Eviction::OldestHalfOpen => Duration::from_millis(130),
                // As many as are answered beside the work of an association.
                _ => Duration::from_micros(50),
            });
            newcomer(&mut harness, ([198, 51, 100, 1], 1024 + port));
            harness.exchange_cookies();
            assert!(harness.endpoint.half_open() <= 16);
            assert!(harness.endpoint.len() <= 17);
        }
        harness.address = address;
        let newest = std::mem::replace(&mut harness.peer, honest);
        assert!(harness.exchange(100), "{eviction:?}");
        let stats = *harness.endpoint.stats();
        match eviction {
            Eviction::OldestHalfOpen => {
                assert_eq!(stats.evicted, 3000 - 16);
                // The newest of them is still served.
                newcomer(&mut harness, ([198, 51, 100, 1], 1024 + 2999));
                harness.peer = newest;
                harness.play(&CLIENT_FLIGHT);
                assert!(harness.peer.has_verified());
            }
            _ => assert_eq!(stats.hellos_refused, 3000 - 16),
        }
    }
}

/// C8: the limit on associations stands against newcomers, not against those that are there.
#[test]
fn the_limit_on_associations_refuses_newcomers_only() {
    let policy = EndpointPolicy::default().max_associations(3).unwrap();
    let config = Ends::new().build().server;
    let mut harness = DatagramHarness::server_with(config, policy, scripted_client());
    let mut peers = Vec::new();
    for port in 0..10 {
        newcomer(&mut harness, ([198, 51, 100, 1], 1024 + port));
        harness.exchange_cookies();
        harness.play(&CLIENT_FLIGHT);
        peers.push((harness.peer.has_verified(), harness.address));
    }
    assert_eq!(peers.iter().filter(|(served, _)| *served).count(), 3);
    assert_eq!(harness.endpoint.len(), 3);
    assert_eq!(harness.endpoint.stats().hellos_refused, 7);
}

/// C8: nobody takes what is to be sent, as with a blocked socket; answers to strangers do not pile
/// up.
#[test]
fn answers_to_strangers_do_not_pile_up_when_nobody_sends_them() {
    let policy = EndpointPolicy::default()
        .max_half_open(16, Eviction::OldestHalfOpen)
        .unwrap();
    let config = Ends::new().build().server;
    let mut harness = DatagramHarness::server_with(config, policy, scripted_client());
    let mut hellos = Vec::new();
    for port in 0..3000 {
        newcomer(&mut harness, ([198, 51, 100, 1], 1024 + port));
        harness.play(&[Line::ClientHello]);
        hellos.push((
            harness.address,
            harness.peer.speak(&[Line::ClientHello]).concat(),
        ));
    }
    harness.sent.clear();
    for (address, hello) in hellos {
        let path = Path::new(address);
        harness
            .endpoint
            .handle_datagram(harness.now, path, hello[..].into());
    }
    harness.listen();
    assert!(
        harness.sent.len() < 500,
        "{} datagrams waited",
        harness.sent.len()
    );
}

/// C8: while associations are at work, answers to strangers are rationed. More are allowed as time
/// goes on, also where the caller asks `has_transmit` first and so never hears that nothing is
/// left.
#[test]
fn answers_are_allowed_again_whatever_the_caller_asks_first() {
    let mut harness = DatagramHarness::server(Ends::new().build().server, scripted_client());
    harness.complete();
    assert!(harness.exchange(1));
    let hello = scripted_client().speak(&[Line::ClientHello]).concat();
    let endpoint = &mut harness.endpoint;
    let mut answers = |now, hellos: u16| {
        let (mut count, mut out) = (0, Vec::new());
        for port in 0..hellos {
            let path = Path::new(([198, 51, 100, 1], 1024 + port).into());
            endpoint.handle_datagram(now, path, hello[..].into());
            while endpoint.has_transmit() {
                count += u32::from(endpoint.poll_transmit(now, 64, &mut out).is_some());
                out.clear();
            }
        }
        count
    };
    let now = harness.now;
    let burst = answers(now, 3000);
    assert!((1000..2000).contains(&burst), "{burst}");
    // As many as one each 50 microseconds, and then of any number when nobody is at work.
    assert_eq!(answers(now + Duration::from_millis(1), 100), 20);
    assert_eq!(answers(now + Duration::from_secs(1), 1000), 1000);
}

/// What a line of some speed takes while an association has always something to send.
struct Bulk {
    /// How many datagrams one call sends at most.
    batch: usize,
    /// How many hellos come at a time, and how long after the ones before.
    hellos: u32,
    step: Duration,
    /// How many bytes leave meanwhile.
    room: usize,
}

/// An association that always has something to send, as in bulk beyond what the line takes, does
/// not keep newcomers out: answers are rationed by time, and do not wait for the end.
#[test]
fn newcomers_are_answered_beside_an_association_that_has_never_sent_everything() {
    const STRANGERS: u32 = 3000;
    let bulk = |batch, hellos, milliseconds, room| Bulk {
        batch,
        hellos,
        step: Duration::from_millis(milliseconds),
        room,
    };
    // 160 and 80 Mbit/s.
    for bulk in [bulk(1, 1, 1, 20_000), bulk(64, 10, 10, 100_000)] {
        let configs = Ends::new().build();
        let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
        crowd.connect(home(), &configs.client).unwrap();
        crowd.run(crowd.latency * 4);
        let id = crowd.server.associations().next().unwrap();
        let (hello, _) = hellos(&configs);
        let (mut answered, mut room, mut out) = (0, 0, Vec::new());
        for step in 0..STRANGERS / bulk.hellos {
            crowd.now += bulk.step;
            let (now, server) = (crowd.now, &mut crowd.server);
            for stranger in 0..bulk.hellos {
                let from = Path::new(host(1 + bulk.hellos * step + stranger));
                server.handle_datagram(now, from, hello[..].into());
            }
            server.handle_timeout(now);
            let mut association = server.association(now, id).unwrap();
            while association.send(&[7; 1000]).is_ok() {}
            drop(association);
            room += bulk.room;
            while room > 0 {
                out.clear();
                let sent = server.poll_transmit(now, bulk.batch, &mut out).unwrap();
                room = room.saturating_sub(sent.len);
                answered += u32::from(sent.path.remote() != home());
            }
        }
        assert!(answered > STRANGERS - 50, "{answered}");
    }
}

/// A client that follows no HelloRequest.
fn unwilling_client() -> DatagramHarness {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let config = ClientConfig::with_roots(pki.roots())
        .unwrap()
        .versions(Versions::V1_2)
        .rekey(RekeyPolicy::default().follow_hello_requests(false))
        .build()
        .unwrap();
    let peer = ScriptedPeer::server(pki.server(&rcgen::PKCS_ED25519));
    DatagramHarness::client(Arc::new(config), peer)
}

/// Wishes of the peer to renegotiate, each whole and under keys.
fn wish_to_renegotiate(harness: &mut DatagramHarness, line: Line) {
    let body = harness.peer.body(line);
    let typ = line.typ();
    let whole = Spoken { typ, seq: 0, body }.whole();
    let record = harness.peer.record(HANDSHAKE, 1, &whole);
    harness.deliver(&record);
}

/// C9 (CVE-2011-1473), RFC 5246 §7.2.2: wishes to renegotiate are refused with a warning, and not
/// one by one.
#[test]
fn a_flood_of_wishes_to_renegotiate_is_refused_once_a_second() {
    for (mut harness, line) in [
        (our_server(), Line::ClientHello),
        (unwilling_client(), Line::HelloRequest),
    ] {
        harness.complete();
        for _ in 0..10 {
            for _ in 0..1000 {
                wish_to_renegotiate(&mut harness, line);
            }
            assert!(harness.exchange(10));
            harness.wait(Duration::from_secs(1));
        }
        let alerts = harness.peer.alerts_heard();
        assert!(
            alerts
                .iter()
                .all(|&alert| alert == (WARNING, NO_RENEGOTIATION))
        );
        assert!((1..=11).contains(&alerts.len()), "{}", alerts.len());
        let stats = harness.connection().unwrap().stats();
        assert_eq!(stats.renegotiations_by(Initiator::Peer).refused, 10_000);
        assert!(harness.connection().unwrap().buffered() == 0);
        assert!(harness.exchange(100));
    }
}

/// C9: a wish that never becomes whole is kept once, at most, and counted as buffered.
#[test]
fn pieces_of_a_wish_to_renegotiate_stay_within_the_budget() {
    let mut harness = our_server();
    harness.complete();
    for offset in (0..0x0ffe).step_by(2) {
        for seq in 0..3 {
            let payload = Spoken::raw(1, 0x0fff, seq, offset, 1, &[7]);
            let record = harness.peer.record(HANDSHAKE, 1, &payload);
            harness.deliver(&record);
        }
    }
    let buffered = harness.connection().unwrap().buffered();
    assert!(buffered > 1000, "what is kept is counted: {buffered}");
    let max_message = 1 << 15;
    assert!(buffered <= 2 * max_message, "{buffered}");
    assert!(harness.exchange(100));
}

/// C11 (CVE-2016-8610, openssl #25444): warnings without end are an end.
#[test]
fn a_flood_of_warnings_ends_the_association() {
    let mut harness = our_server();
    harness.complete();
    let mut count = 0;
    while harness.error().is_none() {
        let warning = harness.peer.alert(WARNING, 90);
        harness.deliver(&warning);
        count += 1;
        assert!(count < 1000);
    }
    assert!(count > 4, "{count}");
    let expected = Error::PeerMisbehaved(PeerMisbehaved::TooManyWarnings);
    assert_eq!(harness.error(), Some(expected));
}

/// C11: a datagram that the network duplicates is one warning, and warnings between data are
/// tolerated.
#[test]
fn a_duplicated_warning_counts_once() {
    let mut harness = our_client();
    harness.complete();
    let warning = harness.peer.alert(WARNING, 90);
    for _ in 0..1000 {
        harness.deliver(&warning);
    }
    assert!(harness.error().is_none());
    for _ in 0..1000 {
        let warning = harness.peer.alert(WARNING, 90);
        harness.deliver(&warning);
        assert!(harness.exchange(1));
    }
    assert!(harness.exchange(100));
}

/// C11: warnings in plaintext, which anybody can send, count for nothing, before and after keys.
#[test]
fn plaintext_warnings_count_for_nothing() {
    let mut harness = our_client();
    for lines in [
        &[Line::HelloVerifyRequest][..],
        &SERVER_FLIGHT,
        &crate::common::datagram_harness::FINALE,
    ] {
        for description in 0..=255 {
            harness.deliver(&crate::common::datagram_harness::record(
                ALERT,
                0xfefd,
                0,
                700,
                &[WARNING, description],
            ));
        }
        harness.play(lines);
    }
    assert!(harness.is_complete() && harness.exchange(100));
}

/// C15 (Botan #5793): a peer that says nothing ends in a timeout, after the configured time or
/// number of tries.
#[test]
fn a_black_hole_ends_in_a_timeout() {
    let mut harness = our_client();
    harness.wait(Duration::from_secs(119));
    assert!(harness.error().is_none());
    harness.wait(Duration::from_secs(2));
    let Some(Error::TimedOut {
        after,
        retransmissions,
        ..
    }) = harness.error()
    else {
        panic!("{:?}", harness.error())
    };
    // 1 + 2 + 4 + 8 + 16 + 32 = 63 s, then 60 s more.
    assert_eq!((after.as_secs(), retransmissions), (120, 6));
    assert_eq!(harness.sent.len(), 7);
    assert!(harness.endpoint.is_empty());

    let policy = DatagramPolicy::default().max_retransmissions(Some(3));
    let config = Ends::new().datagram(&policy).build();
    let mut harness = DatagramHarness::client(config.client, scripted_client());
    harness.wait(FOREVER);
    let error = harness.error();
    assert!(
        matches!(
            error,
            Some(Error::TimedOut {
                retransmissions: 3,
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!(harness.sent.len(), 4);

    let mut harness = DatagramHarness::server(config.server, scripted_client());
    harness.exchange_cookies();
    harness.wait(FOREVER);
    let flights = harness.peer.heard.iter();
    let repeated = flights.filter(|heard| matches!(heard, Heard::Repeated { typ: 2, .. }));
    assert_eq!(repeated.count(), 3);
    assert!(harness.endpoint.is_empty());
}

/// A well-formed forgery may cost one attempt, which is counted and says why; the next one
/// succeeds.
#[test]
fn a_forged_key_exchange_costs_one_attempt_only() {
    let mut harness = our_server();
    harness.exchange_cookies();
    let honest = harness.peer.speak(&CLIENT_FLIGHT);
    let mut forgery = Spoken {
        typ: 16,
        seq: 2,
        body: vec![0; 33],
    };
    forgery.body[0] = 32;
    forgery.body[1] = 9;
    harness.deliver(&crate::common::datagram_harness::record(
        HANDSHAKE,
        0xfefd,
        0,
        700,
        &forgery.whole(),
    ));
    honest.iter().for_each(|record| harness.deliver(record));
    assert!(!harness.is_complete());
    // The client gives up first and comes back from the same port.
    harness.peer = scripted_client();
    harness.complete();
    assert!(harness.exchange(100));
    assert_eq!(harness.endpoint.len(), 1);
    harness.wait(FOREVER);
    assert!(harness.exchange(100));
}

/// For our client: every well-formed forgery ends the attempt at once or not at all, and leaves
/// room.
#[test]
fn a_forged_server_message_costs_one_attempt_only() {
    let ends = Ends::new();
    let stranger = crate::common::datagram_harness::scripted_server(&Ends::new());
    let honest = ends.pki.server(&rcgen::PKCS_ED25519);
    let config = ends.build().client;
    let mut harness = DatagramHarness::client(config.clone(), stranger);
    // The forger is faster with its whole flight, and has no good certificate.
    harness.play(&SERVER_FLIGHT);
    assert!(matches!(
        harness.error(),
        Some(Error::InvalidCertificate(_))
    ));
    let failures = |harness: &DatagramHarness| {
        let failed = |(_, event): &&(_, Event)| matches!(event, Event::Failed(_));
        harness.events.iter().filter(failed).count()
    };
    assert_eq!(failures(&harness), 1);
    assert_eq!(harness.endpoint.stats().handshakes_failed, 1);
    harness.peer = ScriptedPeer::server(honest.clone());
    harness.connect(config.clone());
    // A forged fatal alert before keys may be believed, and then says that it was not
    // authenticated.
    harness.deliver(&crate::common::datagram_harness::record(
        ALERT,
        0xfefd,
        0,
        700,
        &[FATAL, 40],
    ));
    let error = harness.error();
    assert!(matches!(
        error,
        Some(Error::AlertReceived {
            authenticated: false,
            ..
        })
    ));
    harness.peer = ScriptedPeer::server(honest);
    harness.connect(config);
    harness.complete();
    assert!(harness.exchange(100));
}

/// `PlaintextAlerts::Ignore`: then not even that.
#[test]
fn a_forged_alert_is_ignored_where_the_policy_says_so() {
    let policy =
        DatagramPolicy::default().plaintext_alerts(sealgram::config::PlaintextAlerts::Ignore);
    let ends = Ends::new().datagram(&policy);
    let peer = crate::common::datagram_harness::scripted_server(&ends);
    let mut harness = DatagramHarness::client(Arc::new(ends.client.build().unwrap()), peer);
    for lines in [
        &[Line::HelloVerifyRequest][..],
        &SERVER_FLIGHT,
        &crate::common::datagram_harness::FINALE,
    ] {
        harness.deliver(&crate::common::datagram_harness::record(
            ALERT,
            0xfefd,
            0,
            700,
            &[FATAL, 40],
        ));
        harness.play(lines);
    }
    assert!(harness.is_complete() && harness.exchange(100));
}
