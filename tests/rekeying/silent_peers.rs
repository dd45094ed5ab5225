//! A stream of data to peers that do not renegotiate: none of them silences it, whatever the policy
//! wants of the keys.
//!
//! | peer | as server, to our ClientHello | as client, to our HelloRequest |
//! | --- | --- | --- |
//! | ignores (pion, webrtc-rs, werift) | nothing | nothing |
//! | refuses (OpenSSL 3 by policy) | no_renegotiation | no_renegotiation |
//! | dies | a part of its flight, then nothing | a ClientHello, then nothing |

use crate::common::configs::Ends;
use crate::common::datagram_harness::{SERVER_FLIGHT, WARNING};
use crate::common::harness::{CLIENT_HELLO, HELLO_REQUEST, Harness, NO_RENEGOTIATION};
use crate::common::renegotiating::connected_with;
use crate::common::transport::{BOTH, SIDES, Transport};
use sealgram::config::{DataDuringRenegotiation, RekeyPolicy};
use sealgram::error::ConfigError;
use sealgram::sim::scripted::{ALERT, Heard, Line};
use sealgram::{RenegotiationRefusal, Side};
use std::time::Duration;

/// The longest time that an application may hear nothing because keys are to be replaced.
const BAR: Duration = Duration::from_secs(5);

/// How long a stream is watched: several attempts of the default policy.
const WATCHED: Duration = Duration::from_secs(600);

/// How often a piece of data is sent.
const STEP: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Peer {
    Ignores,
    Refuses,
    Dies,
}

/// Answers a wish of our end as this peer does.
fn answer(harness: &mut Harness, side: Side, peer: Peer) {
    match (peer, side) {
        (Peer::Ignores, _) => {}
        (Peer::Refuses, _) => {
            let alert = harness
                .peer()
                .record(ALERT, 1, &[WARNING, NO_RENEGOTIATION]);
            harness.deliver(&alert);
        }
        (Peer::Dies, Side::Client) => harness.play(&SERVER_FLIGHT[..2]),
        (Peer::Dies, Side::Server) => harness.play(&[Line::ClientHello]),
    }
}

/// What became of a stream of data: the longest time between two pieces at the peer, how many
/// attempts came to nothing, and how many pieces were sent and heard.
fn watch(side: Side, transport: Transport, peer: Peer) -> (Duration, usize, usize, usize) {
    let policy = RekeyPolicy::default().bytes(Some(5_000)).unwrap();
    let mut harness = connected_with(side, transport, Ends::new(), policy);
    harness.peer().renegotiate();
    let wish = match side {
        Side::Client => CLIENT_HELLO,
        Side::Server => HELLO_REQUEST,
    };
    let (mut quiet, mut longest) = (Duration::ZERO, Duration::ZERO);
    let (mut sent, mut heard) = (0, 0);
    let mut passed = Duration::ZERO;
    while passed < WATCHED {
        let before = harness.heard();
        harness.wait(STEP);
        sent += usize::from(harness.send(&[7; 500]).is_ok());
        harness.listen();
        let news = harness.peer().heard[before..].to_vec();
        let data = |it: &&Heard| matches!(it, Heard::Data { .. });
        let pieces = news.iter().filter(data).count();
        heard += pieces;
        quiet = if pieces > 0 {
            Duration::ZERO
        } else {
            quiet + STEP
        };
        longest = longest.max(quiet);
        let wished = |it: &&Heard| matches!(it, Heard::Message { typ, .. } if *typ == wish);
        if news.iter().any(|it| wished(&it)) {
            answer(&mut harness, side, peer);
            // The next attempt is heard as one of its own.
            if transport == Transport::Dtls {
                harness.peer().renegotiate();
            }
        }
        passed += STEP;
    }
    assert!(harness.is_alive(), "{:?}", harness.error());
    let reason = match peer {
        Peer::Refuses => RenegotiationRefusal::NoRenegotiation,
        Peer::Ignores | Peer::Dies => RenegotiationRefusal::Unanswered,
    };
    let attempts = harness.refusals(reason);
    assert!(attempts > 0, "{:?}", harness.events());
    (longest, attempts, sent, heard)
}

/// RFC 5246 §7.4.1.1, §7.2.2: a wish may be ignored or refused, and the association goes on: its
/// data, too.
#[test]
fn no_peer_that_does_not_renegotiate_silences_the_application() {
    for transport in BOTH {
        for side in SIDES {
            for peer in [Peer::Ignores, Peer::Refuses, Peer::Dies] {
                if transport == Transport::Tls && peer == Peer::Dies {
                    // A stream loses nothing, so a peer that stops in the middle has failed: the
                    // connection ends.
                    continue;
                }
                let (longest, attempts, sent, heard) = watch(side, transport, peer);
                println!(
                    "{transport:?} {side} {peer:?}: longest gap {longest:?}, {attempts} attempts, {heard} of {sent} heard"
                );
                assert!(longest <= BAR, "{transport:?} {side} {peer:?}: {longest:?}");
                assert_eq!(heard, sent, "{transport:?} {side} {peer:?}");
            }
        }
    }
}

/// Data that waits behind a HelloRequest, which Botan 2 and others need, flows on when that is
/// ignored; and where the policy says that the peer can take it, it does not wait at all.
#[test]
fn data_after_a_hello_request_waits_a_moment_or_not_at_all() {
    for transport in BOTH {
        for holds in [true, false] {
            let policy = RekeyPolicy::default().data_during_renegotiation(match holds {
                true => DataDuringRenegotiation::Hold,
                false => DataDuringRenegotiation::HoldFromHello,
            });
            let mut harness = connected_with(Side::Server, transport, Ends::new(), policy);
            harness.peer().renegotiate();
            harness.renegotiate(false).unwrap();
            let before = harness.heard();
            harness.send(b"behind the request").unwrap();
            harness.wait(Duration::from_secs(3));
            assert_eq!(harness.data_heard_since(before).is_empty(), holds);
            harness.wait(Duration::from_secs(2));
            assert_eq!(harness.data_heard_since(before), b"behind the request");
            // The client answers late, and data waits for the end of that handshake.
            harness.play(&[Line::ClientHello]);
            let before = harness.heard();
            harness.send(b"held").unwrap();
            assert!(harness.data_heard_since(before).is_empty());
            harness.finish(Side::Server, 2);
            assert!(harness.data_heard_since(before).starts_with(b"held"));
        }
    }
}

/// A goodbye while data waits behind a HelloRequest: the data leaves first.
#[test]
fn data_after_a_hello_request_leaves_before_a_goodbye() {
    let policy = RekeyPolicy::default();
    let mut harness = connected_with(Side::Server, Transport::Dtls, Ends::new(), policy);
    harness.peer().renegotiate();
    harness.renegotiate(false).unwrap();
    let before = harness.heard();
    harness.send(b"the last words").unwrap();
    let datagrams = harness.datagrams();
    let id = datagrams.id().unwrap();
    datagrams
        .endpoint
        .association(datagrams.now, id)
        .unwrap()
        .close();
    harness.listen();
    assert_eq!(harness.data_heard_since(before), b"the last words");
}

/// How long data waits for a peer that says nothing is the operator's choice between a gap and the
/// risk that the peer dies of it.
#[test]
fn data_waits_for_a_silent_peer_as_long_as_the_policy_says() {
    let moment = Duration::from_millis(100);
    for transport in BOTH {
        for side in SIDES {
            for seconds in [0, 1, 8] {
                let hold = Duration::from_secs(seconds);
                let policy = RekeyPolicy::default().hold_data_for(hold).unwrap();
                let mut harness = connected_with(side, transport, Ends::new(), policy);
                harness.peer().renegotiate();
                harness.renegotiate(false).unwrap();
                let before = harness.heard();
                harness.send(b"held").unwrap();
                harness.wait(hold.saturating_sub(moment));
                let case = format!("{transport:?} {side} {seconds}");
                let flows = !harness.data_heard_since(before).is_empty();
                assert_eq!(flows, hold.is_zero(), "{case}");
                harness.wait(2 * moment);
                assert_eq!(harness.data_heard_since(before), b"held", "{case}");
            }
        }
    }
    let hour = Duration::from_secs(3600);
    assert!(RekeyPolicy::default().hold_data_for(hour).is_ok());
    let longer = RekeyPolicy::default().hold_data_for(hour + Duration::from_millis(1));
    assert!(matches!(longer, Err(ConfigError::OutOfRange { .. })));
}

/// From where on data waits, at either end, is the operator's choice: by what the peer can take.
#[test]
fn data_leaves_under_the_old_keys_as_long_as_the_policy_says() {
    use DataDuringRenegotiation as Data;
    let flowing = [
        // At a client: after its hello. At a server: after its request, after the client's hello.
        (Data::Hold, false, [false, false]),
        (Data::HoldFromHello, false, [true, false]),
        (Data::Flow, true, [true, true]),
    ];
    for transport in BOTH {
        for (data, client, server) in flowing {
            let policy = || RekeyPolicy::default().data_during_renegotiation(data);
            let flows = |harness: &mut Harness| {
                let before = harness.heard();
                harness.send(b"data").unwrap();
                harness.data_heard_since(before) == b"data"
            };
            let mut harness = connected_with(Side::Client, transport, Ends::new(), policy());
            harness.begin(Side::Client, true);
            assert_eq!(flows(&mut harness), client, "{transport:?} {data:?}");

            let mut harness = connected_with(Side::Server, transport, Ends::new(), policy());
            harness.peer().renegotiate();
            harness.renegotiate(false).unwrap();
            let after_request = flows(&mut harness);
            harness.play(&[Line::ClientHello]);
            let both = [after_request, flows(&mut harness)];
            assert_eq!(both, server, "{transport:?} {data:?}");
        }
    }
}
