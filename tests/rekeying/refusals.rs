//! Renegotiations that come to nothing, over both transports: rows E8 (alerts), E10, E11, E14 and
//! E22 of the failure catalogue. `tests/rekeying/renegotiation_content.rs` has the table of the
//! whole section.

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, FATAL, SERVER_FLIGHT, WARNING, scripted_client, scripted_server,
};
use crate::common::harness::{
    CLIENT_HELLO, CLOSE_NOTIFY, HELLO_REQUEST, Harness, NO_RENEGOTIATION, PATIENCE, SERVER_HELLO,
    UNEXPECTED_MESSAGE,
};
use crate::common::renegotiating::{connected, everywhere, flight};
use crate::common::transport::{BOTH, SIDES, Transport};
use sealgram::config::{ClientRenegotiation, RekeyPolicy};
use sealgram::error::{PeerMisbehaved, RenegotiateError};
use sealgram::sim::scripted::{ALERT, HANDSHAKE, Line};
use sealgram::{Error, Event, RenegotiationRefusal, Side};
use std::time::Duration;

/// E10 (GnuTLS CVE-2020-24659), E11 (Botan #5829), E22: the alert at every state, in the epoch that
/// is in force.
#[test]
fn no_renegotiation_before_the_point_of_no_return_leaves_everything_as_it_was() {
    everywhere(|side, transport, called| {
        // Behind the ServerHelloDone a client has switched its keys, and a peer on a stream behind
        // its CCS.
        for played in 0..=3 {
            let lines = flight(side);
            // Between datagrams a server that has the hello takes the alert for a late one: see
            // below.
            let last = match (side, transport) {
                (Side::Client, _) => Some(3),
                (Side::Server, Transport::Tls) => Some(1),
                (Side::Server, Transport::Dtls) => None,
            };
            if last.is_none_or(|last| played > last) {
                continue;
            }
            let mut harness = connected(side, transport);
            harness.begin(side, called);
            harness.play(&lines[..played]);
            let alert = harness
                .peer()
                .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
            harness.deliver(&alert);
            let context = format!(
                "{transport:?} {side} {called} {played}: {:?}",
                harness.error()
            );
            assert!(harness.is_alive(), "{context}");
            assert_eq!(
                harness.refusals(RenegotiationRefusal::NoRenegotiation),
                1,
                "{context}"
            );
            harness.assert_unchanged(1);
            assert_eq!(harness.buffered(), 0, "{context}");
            // And the next attempt, from either side, is not hindered by what is left of this one.
            harness.begin(side, !called);
            harness.finish(side, 2);
        }
    });
}

/// E8: a client refuses a HelloRequest and then begins of its own accord; its hello overtakes the
/// refusal. The server goes on, because its client does.
#[test]
fn a_refusal_that_comes_after_the_hello_of_its_client_is_late() {
    for called in [false, true] {
        let mut harness = connected(Side::Server, Transport::Dtls);
        harness.begin(Side::Server, called);
        let lines = flight(Side::Server);
        harness.play(&lines[..1]);
        let alert = harness
            .peer()
            .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
        harness.deliver(&alert);
        assert_eq!(harness.refusals(RenegotiationRefusal::NoRenegotiation), 0);
        harness.play(&lines[1..]);
        harness.assert_done(2);
    }
}

/// E10: where nothing is under way the alert is a warning like any other.
#[test]
fn no_renegotiation_out_of_the_blue_changes_nothing() {
    for transport in BOTH {
        for side in SIDES {
            let mut harness = connected(side, transport);
            let told = harness.events();
            for _ in 0..3 {
                let alert = harness.peer().alert(WARNING, NO_RENEGOTIATION);
                harness.deliver(&alert);
            }
            assert_eq!(harness.events(), told);
            harness.assert_unchanged(1);
            harness.begin(side, true);
            harness.finish(side, 2);
        }
    }
}

/// E10, the other side of the line: a client that has sent ChangeCipherSpec cannot go back.
#[test]
fn no_renegotiation_after_the_point_of_no_return_ends_the_association() {
    for transport in BOTH {
        for called in [true, false] {
            let mut harness = connected(Side::Client, transport);
            harness.begin(Side::Client, called);
            harness.play(&SERVER_FLIGHT);
            let alert = harness
                .peer()
                .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
            harness.deliver(&alert);
            assert!(!harness.is_alive());
            assert!(matches!(harness.error(), Some(Error::AlertReceived { .. })));
        }
    }
}

/// A client of a stream that has sent ChangeCipherSpec and then wants to go back: our end has let
/// go of the old keys.
#[test]
fn no_renegotiation_under_the_new_keys_of_a_stream_ends_the_connection() {
    for called in [true, false] {
        let mut harness = connected(Side::Server, Transport::Tls);
        harness.begin(Side::Server, called);
        harness.play(&CLIENT_FLIGHT[..2]);
        let alert = harness.peer().alert(WARNING, NO_RENEGOTIATION);
        harness.deliver(&alert);
        assert!(!harness.is_alive(), "{:?}", harness.events());
    }
}

/// E8, E10: a refusal of an earlier handshake that comes late says nothing about this one.
#[test]
fn a_late_no_renegotiation_of_an_older_epoch_changes_nothing() {
    for side in SIDES {
        for called in [true, false] {
            for played in 0..=flight(side).len() - 1 {
                let mut harness = connected(side, Transport::Dtls);
                let late = harness
                    .peer()
                    .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
                harness.begin(side, called);
                harness.finish(side, 2);
                harness.begin(side, called);
                let lines = flight(side);
                harness.play(&lines[..played]);
                harness.deliver(&late);
                assert!(
                    harness.is_alive(),
                    "{side} {called} {played} {:?}",
                    harness.error()
                );
                assert!(harness.is_pending(), "{side} {called} {played}");
                harness.play(&lines[played..]);
                harness.assert_done(3);
            }
        }
    }
}

/// E14 (Mbed TLS 2.6.0), RFC 5246 §7.4.1.1: a client that negotiates ignores it, however often it
/// comes.
#[test]
fn hello_requests_at_every_state_are_ignored() {
    for transport in BOTH {
        for renegotiating in [false, true] {
            let lines = flight(Side::Client);
            // The finale is left out: behind a ChangeCipherSpec on a stream only Finished can come.
            for played in 0..=SERVER_FLIGHT.len() {
                let ends = Ends::new();
                let peer = scripted_server(&ends);
                let mut harness = Harness::client(transport, ends.build().client, peer);
                let epoch = u16::from(renegotiating);
                if renegotiating {
                    harness.connect(Side::Client);
                    harness.begin(Side::Client, true);
                }
                harness.play(&lines[..played]);
                for round in 0..3 {
                    let seq = [0, harness.peer().next_seq(), 5][round];
                    let body = match transport {
                        Transport::Dtls => vec![0, 0, 0, 0, 0, seq as u8, 0, 0, 0, 0, 0, 0],
                        Transport::Tls => vec![0; 4],
                    };
                    let request = harness.peer().record(HANDSHAKE, epoch, &body);
                    harness.deliver(&request);
                }
                let before = harness.heard();
                harness.play(&lines[played..]);
                harness.assert_done(u64::from(epoch) + 1);
                let heard = harness.messages_heard_since(before);
                assert!(!heard.contains(&CLIENT_HELLO), "{transport:?} {played}");
            }
        }
    }
}

/// E22: a client that is refused goes on; every further wish of it is answered, on a stream too,
/// where nothing that was sent is sent again.
#[test]
fn a_client_that_is_refused_twice_within_a_second_is_told_twice() {
    for transport in BOTH {
        let mut harness = Harness::server(transport, Ends::new().build().server, scripted_client());
        harness.connect(Side::Server);
        for round in 1..=3 {
            harness.peer().renegotiate();
            harness.play(&[Line::ClientHello]);
            if transport == Transport::Dtls {
                // What is not answered at once is when the client repeats itself.
                harness.wait(Duration::from_secs(1));
                harness.peer().set_next_seq(0);
                harness.play(&[Line::ClientHello]);
            }
            let alerts = harness.peer().alerts_heard();
            assert!(alerts.len() >= round, "{transport:?} {alerts:?}");
            assert!(
                alerts
                    .iter()
                    .all(|alert| *alert == (WARNING, NO_RENEGOTIATION))
            );
            harness.assert_unchanged(1);
        }
    }
}

/// Design §7: each attempt of a client costs the server a signature, whatever becomes of it, so
/// each counts against the least time between two.
#[test]
fn a_client_that_takes_its_hello_back_cannot_begin_again_at_once() {
    let min_interval = Duration::from_secs(60);
    let limited =
        RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow { min_interval });
    // Between datagrams such a refusal is taken for a late one, and the attempt goes on.
    let transport = Transport::Tls;
    let mut ends = Ends::new();
    ends.server = ends.server.rekey(limited);
    let mut harness = Harness::server(transport, ends.build().server, scripted_client());
    harness.connect(Side::Server);
    harness.wait(min_interval);
    for round in 0..5 {
        harness.peer().renegotiate();
        let before = harness.heard();
        harness.play(&[Line::ClientHello]);
        let answered = harness.messages_heard_since(before).contains(&SERVER_HELLO);
        assert_eq!(answered, round == 0, "{round}");
        let alert = harness
            .peer()
            .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
        harness.deliver(&alert);
        assert!(harness.is_alive(), "{:?}", harness.error());
    }
    harness.wait(min_interval);
    harness.begin(Side::Server, false);
    harness.finish(Side::Server, 2);
}

/// E22: the same for a server that asks a client which does not want to.
#[test]
fn a_server_that_is_refused_twice_within_a_second_is_told_twice() {
    for transport in BOTH {
        let mut ends = Ends::new();
        ends.client = ends
            .client
            .rekey(RekeyPolicy::default().follow_hello_requests(false));
        let peer = scripted_server(&ends);
        let mut harness = Harness::client(transport, ends.build().client, peer);
        harness.connect(Side::Client);
        for round in 1..=3 {
            harness.peer().renegotiate();
            harness.play(&[Line::HelloRequest]);
            if transport == Transport::Dtls {
                harness.wait(Duration::from_secs(1));
                harness.peer().set_next_seq(0);
                harness.play(&[Line::HelloRequest]);
            }
            let alerts = harness.peer().alerts_heard();
            assert!(alerts.len() >= round, "{transport:?} {alerts:?}");
            harness.assert_unchanged(1);
        }
    }
}

/// E22: a refused end of ours may try again at once, and is pending until it is answered.
#[test]
fn our_end_that_was_refused_can_ask_again_at_once() {
    for transport in BOTH {
        for side in SIDES {
            let mut harness = connected(side, transport);
            for round in 1..=5 {
                harness.peer().renegotiate();
                harness.renegotiate(false).unwrap();
                assert_eq!(harness.renegotiate(true), Err(RenegotiateError::Pending));
                let alert = harness
                    .peer()
                    .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
                harness.deliver(&alert);
                let refusals = harness.refusals(RenegotiationRefusal::NoRenegotiation);
                assert_eq!(refusals, round);
                harness.assert_unchanged(1);
            }
            harness.begin(side, true);
            harness.finish(side, 2);
        }
    }
}

/// E22: data that was held while the peer made up its mind leaves when it has refused.
#[test]
fn data_that_was_held_leaves_when_the_peer_refuses() {
    for transport in BOTH {
        let mut harness = connected(Side::Client, transport);
        harness.begin(Side::Client, true);
        let before = harness.heard();
        for _ in 0..10 {
            harness.send(b"held.").unwrap();
        }
        assert!(harness.data_heard_since(before).is_empty());
        let alert = harness
            .peer()
            .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
        harness.deliver(&alert);
        assert_eq!(harness.data_heard_since(before), b"held.".repeat(10));
        assert_eq!(harness.buffered(), 0);
        harness.assert_unchanged(1);
    }
}

/// A fatal no_renegotiation, as LibreSSL's server sends it, is the end; it is told as what it is.
#[test]
fn a_fatal_no_renegotiation_ends_the_association() {
    everywhere(|side, transport, called| {
        let mut harness = connected(side, transport);
        harness.begin(side, called);
        let alert = harness.peer().record(ALERT, 1, &[FATAL, NO_RENEGOTIATION]);
        harness.deliver(&alert);
        assert!(!harness.is_alive());
        assert!(matches!(
            harness.error(),
            Some(Error::AlertReceived { alert, authenticated: true }) if alert.description.0 == NO_RENEGOTIATION
        ));
    });
}

/// RFC 5246 §7.2.1: a close in the middle of a renegotiation ends it, with no timer and nothing
/// held.
#[test]
fn a_close_in_the_middle_of_a_renegotiation_leaves_nothing_behind() {
    everywhere(|side, transport, called| {
        for played in 0..=SERVER_FLIGHT.len() {
            let lines = flight(side);
            if played > lines.len() - 2 {
                continue;
            }
            let mut harness = connected(side, transport);
            harness.begin(side, called);
            harness.play(&lines[..played]);
            let _held_or_refused = harness.send(b"too late");
            let close = harness.peer().record(ALERT, 1, &[WARNING, 0]);
            harness.deliver(&close);
            let context = format!("{transport:?} {side} {called} {played}");
            assert!(harness.error().is_none(), "{context} {:?}", harness.error());
            if let Harness::Tls(ours) = &harness {
                assert!(ours.end.connection.is_closed(), "{context}");
                assert!(ours.end.connection.poll_timeout().is_none(), "{context}");
                assert_eq!(harness.buffered(), 0, "{context}");
            }
            if let Harness::Dtls(ours) = &mut harness {
                ours.wait(PATIENCE);
                assert!(ours.endpoint.is_empty(), "{context} {:?}", ours.events);
            }
        }
    });
}

/// A first attempt of the peer of which only a part arrived does not stand in the way of the next
/// one, and no part of it is taken for one of the next, which may be as long and differs by its
/// random.
#[test]
fn a_fragment_of_an_abandoned_hello_does_not_block_the_next_one() {
    for shorter in [true, false] {
        let mut harness = connected(Side::Server, Transport::Dtls);
        let say_hello = |harness: &mut Harness| {
            harness.peer().renegotiate();
            let hello = harness.peer().offer.encode();
            harness.peer().say(CLIENT_HELLO, hello).fragments(100)
        };
        harness.peer().offer.set_extension(999, &[0; 40]);
        let abandoned = say_hello(&mut harness);
        let record = harness.peer().record(HANDSHAKE, 1, &abandoned[0]);
        harness.deliver(&record);
        assert!(!harness.is_pending());
        if shorter {
            harness.peer().offer.remove_extension(999);
        }
        for fragment in say_hello(&mut harness) {
            let record = harness.peer().record(HANDSHAKE, 1, &fragment);
            harness.deliver(&record);
        }
        assert!(harness.is_pending(), "{shorter}");
        harness.finish(Side::Server, 2);
    }
}

/// RFC 5246 §7.4.1.1: between handshakes a peer can only wish for one.
#[test]
fn other_messages_between_handshakes_are_noise_in_datagrams_and_fatal_on_a_stream() {
    for transport in BOTH {
        for side in SIDES {
            let wish = match side {
                Side::Client => HELLO_REQUEST,
                Side::Server => CLIENT_HELLO,
            };
            for typ in (0..=25).chain([0xff]).filter(|typ| *typ != wish) {
                let mut harness = connected(side, transport);
                harness.peer().renegotiate();
                let spoken = harness.peer().say(typ, Vec::new());
                let message = harness.peer().framed(&spoken);
                let record = harness.peer().record(HANDSHAKE, 1, &message);
                harness.deliver(&record);
                match transport {
                    Transport::Dtls => harness.assert_unchanged(1),
                    Transport::Tls => {
                        let expected = PeerMisbehaved::UnexpectedMessage { got: typ };
                        assert_eq!(harness.error(), Some(Error::PeerMisbehaved(expected)));
                        assert_eq!(harness.peer().alerts_heard(), [(FATAL, UNEXPECTED_MESSAGE)]);
                    }
                }
            }
        }
    }
}

/// A client that closes behind its Finished, which is lost: its goodbye is under keys that never
/// come into force, and is told when that is certain.
#[test]
fn a_goodbye_under_keys_that_never_come_into_force_is_told() {
    let mut harness = connected(Side::Server, Transport::Dtls);
    harness.begin(Side::Server, false);
    harness.play(&[Line::ClientKeyExchange, Line::ChangeCipherSpec]);
    let goodbye = harness.peer().record(ALERT, 2, &[WARNING, CLOSE_NOTIFY]);
    harness.deliver(&goodbye);
    assert!(!harness.events().contains(&Event::PeerClosed));
    harness.wait(PATIENCE);
    assert!(
        harness.events().contains(&Event::PeerClosed),
        "{:?}",
        harness.events()
    );
}

/// RFC 5246 §7.2.1: behind a goodbye there is no handshake, whoever asks for it.
#[test]
fn a_wish_after_a_goodbye_is_not_followed() {
    for transport in BOTH {
        for side in SIDES {
            let mut harness = connected(side, transport);
            let goodbye = harness.peer().record(ALERT, 1, &[WARNING, CLOSE_NOTIFY]);
            harness.deliver(&goodbye);
            harness.peer().renegotiate();
            let before = harness.heard();
            harness.play(&[match side {
                Side::Client => Line::HelloRequest,
                Side::Server => Line::ClientHello,
            }]);
            let heard = harness.messages_heard_since(before);
            assert!(heard.is_empty(), "{transport:?} {side} {heard:?}");
        }
    }
}
