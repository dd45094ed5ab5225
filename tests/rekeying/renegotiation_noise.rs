//! Renegotiation beside everything else that goes on: strangers, data in both policies, both ends
//! at once.

use crate::common::configs::{Configs, Ends};
use crate::common::datagram_harness::{Noise, record};
use crate::common::harness::PATIENCE;
use crate::common::renegotiating::{allowing, connected, connected_with, flight};
use crate::common::transport::{BOTH, Duo, SIDES, Transport};
use sealgram::config::{DataDuringRenegotiation, RekeyPolicy};
use sealgram::error::RenegotiateError;
use sealgram::sim::Pair;
use sealgram::sim::scripted::{Heard, Line, ScriptedPeer};
use sealgram::{DtlsConnection, Path, Side};
use std::time::Duration;

fn configs() -> Configs {
    let mut ends = Ends::new().mutual().resuming();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    ends.build()
}

/// Everything that somebody without keys can say: each type of record, in each epoch around the
/// present one.
fn barrage(noise: &mut Noise) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    for epoch in 0..4 {
        for content_type in [20, 21, 22, 23] {
            let mut payload = vec![0; 40 + noise.below(200)];
            noise.fill(&mut payload);
            let sequence = noise.next() >> 20;
            datagrams.push(record(content_type, 0xfefd, epoch, sequence, &payload));
        }
    }
    for typ in 0..=24 {
        for seq in [0, 1, 2, 5] {
            let header = [typ, 0, 0, 0, 0, seq, 0, 0, 0, 0, 0, 0];
            datagrams.push(record(22, 0xfefd, 0, 40 + u64::from(typ), &header));
        }
    }
    for alert in [[2, 40], [2, 10], [1, 0], [1, 100], [2, 100]] {
        datagrams.push(record(21, 0xfefd, 0, 99, &alert));
    }
    datagrams.push(record(20, 0xfefd, 0, 100, &[1]));
    datagrams
}

fn epochs(pair: &Pair) -> [u64; 2] {
    [pair.client_connection(), pair.server_connection()]
        .map(|end| end.map_or(u64::MAX, |end| end.epoch().number()))
}

/// Once keys exist nothing without them changes anything: at every state of a renegotiation, at
/// both ends.
#[test]
fn strangers_change_nothing_at_any_state_of_a_renegotiation() {
    let configs = configs();
    for start in 0..3 {
        for steps in 0..9 {
            let seed = 100 * start + steps;
            let mut noise = Noise::new(seed);
            let mut pair = configs.connected(seed);
            pair.run_for(Duration::from_millis(500));
            let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
            match start {
                0 => pair
                    .client
                    .association(pair.now, client)
                    .unwrap()
                    .renegotiate()
                    .unwrap(),
                1 => pair
                    .client
                    .association(pair.now, client)
                    .unwrap()
                    .renegotiate_abbreviated()
                    .unwrap(),
                _ => pair
                    .server
                    .association(pair.now, server)
                    .unwrap()
                    .renegotiate()
                    .unwrap(),
            }
            let mut taken = 0;
            while taken < steps && epochs(&pair) != [2; 2] {
                pair.step();
                taken += 1;
            }
            // What was called begins with the next output.
            pair.transmit();
            let picture = |pair: &Pair| {
                let ends = [pair.client_connection(), pair.server_connection()].map(Option::unwrap);
                ends.map(crate::common::targets::portrait)
            };
            let before = picture(&pair);
            let events = (pair.client_events.len(), pair.server_events.len());
            for datagram in barrage(&mut noise) {
                crate::common::targets::inject(&mut pair, &datagram);
            }
            assert_eq!(picture(&pair), before, "seed {seed}");
            let held = [pair.client_connection(), pair.server_connection()];
            for end in held.iter().flatten() {
                // What is kept for keys to come is eight datagrams of an Ethernet at most.
                assert!(
                    end.buffered() < crate::common::targets::EARLY + (1 << 16),
                    "seed {seed}"
                );
            }
            assert_eq!((pair.client_events.len(), pair.server_events.len()), events);
            let done = pair.run_until(Duration::from_secs(100), |pair| epochs(pair) == [2; 2]);
            assert!(
                done,
                "seed {seed} {:?} {:?}",
                pair.client_events, pair.server_events
            );
            assert!(pair.exchange(5), "seed {seed}");
        }
    }
}

/// Records that wait for keys are of strangers, so many that an honest Finished finds no room: it
/// comes again.
#[test]
fn forged_records_of_the_next_epoch_do_not_hinder_a_finished() {
    for side in SIDES {
        let lines = flight(side);
        for played in 0..lines.len() {
            let mut harness = connected(side, Transport::Dtls);
            harness.begin(side, true);
            harness.play(&lines[..played]);
            let mut noise = Noise::new(7);
            for sequence in 0..100 {
                let mut payload = [0; 64];
                noise.fill(&mut payload);
                harness.deliver(&record(22, 0xfefd, 2, sequence, &payload));
            }
            assert!(harness.is_alive());
            harness.play(&lines[played..]);
            harness.assert_done(2);
        }
    }
}

/// Both ends call in the same moment, over both transports, whatever each of them calls.
#[test]
fn both_ends_may_call_at_once() {
    let configs = configs();
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        for epoch in 2..40 {
            duo.renegotiate(Side::Client, epoch % 2 == 0).unwrap();
            duo.renegotiate(Side::Server, epoch % 3 == 0).unwrap();
            duo.settle();
            duo.assert_agreed(epoch);
        }
    }
}

/// The same with a stream that is cut into pieces.
#[test]
fn both_ends_of_a_stream_may_call_at_once_however_it_is_cut() {
    let configs = configs();
    for piece in [1, 5, 13, 100] {
        let mut duo = Duo::connecting(Transport::Tls, &configs);
        let Duo::Tls(pair) = &mut duo else {
            unreachable!()
        };
        pair.piece = piece;
        duo.settle();
        for epoch in 2..8 {
            duo.renegotiate(Side::Client, epoch % 2 == 0).unwrap();
            duo.renegotiate(Side::Server, false).unwrap();
            duo.settle();
            duo.assert_agreed(epoch);
        }
    }
}

/// `Flow`: data leaves in the old epoch until this end's ChangeCipherSpec, and then in the new one;
/// none is lost.
#[test]
fn data_that_flows_keeps_to_the_old_epoch_until_change_cipher_spec() {
    let policy = RekeyPolicy::default().data_during_renegotiation(DataDuringRenegotiation::Flow);
    for transport in BOTH {
        for side in SIDES {
            let mut harness = connected_with(side, transport, Ends::new(), policy.clone());
            harness.begin(side, true);
            let before = harness.heard();
            let lines = flight(side);
            for line in &lines {
                harness.send(b"x").unwrap();
                harness.play(&[*line]);
            }
            harness.send(b"x").unwrap();
            let data: Vec<u64> = harness.peer().heard[before..]
                .iter()
                .filter_map(|heard| match heard {
                    Heard::Data { epoch, .. } => Some(u64::from(*epoch)),
                    _ => None,
                })
                .collect();
            // A client switches behind ServerHelloDone, a server behind Finished.
            let old = match side {
                Side::Client => 4,
                Side::Server => 3,
            };
            let expected = [vec![1; old], vec![2; lines.len() + 1 - old]].concat();
            assert_eq!(data, expected, "{transport:?} {side}");
            harness.assert_done(2);
        }
    }
}

/// `Hold`: an empty piece of data is one like any other, and as bounded.
#[test]
fn empty_data_that_is_held_is_bounded() {
    let mut harness = connected(Side::Client, Transport::Dtls);
    harness.begin(Side::Client, true);
    let refused = (0..1_000_000).find(|_| harness.send(b"").is_err());
    assert!(refused.is_some(), "a million empty pieces wait");
}

/// Silence on a stream lifts the hold, and the answer may still come: then it is taken as if
/// nothing had been.
#[test]
fn an_answer_that_comes_late_on_a_stream_is_taken() {
    for called in [true, false] {
        let mut harness = connected(Side::Client, Transport::Tls);
        harness.begin(Side::Client, called);
        let before = harness.heard();
        harness.send(b"held").unwrap();
        harness.wait(PATIENCE);
        assert_eq!(harness.data_heard_since(before), b"held");
        assert_eq!(harness.renegotiate(false), Err(RenegotiateError::Pending));
        assert!(harness.timer().is_none());
        harness.wait(PATIENCE);
        harness.finish(Side::Client, 2);
    }
    let mut harness = connected(Side::Server, Transport::Tls);
    harness.peer().renegotiate();
    harness.renegotiate(false).unwrap();
    harness.wait(PATIENCE);
    assert!(harness.is_pending() && harness.exchange_in(1));
    harness.play(&[Line::ClientHello]);
    harness.finish(Side::Server, 2);
}

/// A server on a stream that stops behind its first message is not waited for without end.
#[test]
fn a_late_answer_on_a_stream_has_a_deadline_again() {
    let mut harness = connected(Side::Client, Transport::Tls);
    harness.begin(Side::Client, true);
    harness.wait(PATIENCE);
    harness.play(&[Line::ServerHello]);
    harness.wait(PATIENCE);
    assert!(!harness.is_alive(), "it waits for a Certificate for ever");
}

/// A path that shrinks while data is held: what is too long for it is lost, as datagrams are, and
/// stops nothing else.
#[test]
fn held_data_that_no_longer_fits_does_not_hold_up_the_rest() {
    let ends = Ends::new();
    let (mut peer, now) = (
        crate::common::datagram_harness::scripted_server(&ends),
        crate::common::configs::start(),
    );
    let path = Path::new(([192, 0, 2, 2], 4433).into());
    let config = std::sync::Arc::new(ends.client.build().unwrap());
    let mut client =
        DtlsConnection::connect(now, config, crate::common::configs::server_name(), path).unwrap();
    let play = |client: &mut DtlsConnection, peer: &mut ScriptedPeer, lines: &[Line]| {
        let mut out = Vec::new();
        for line in lines.iter().map(Some).chain([None]) {
            while client.poll_transmit(now, 1, &mut out).is_some() {
                peer.hear(&std::mem::take(&mut out));
            }
            for record in line.iter().flat_map(|line| peer.speak(&[**line])) {
                client
                    .handle_datagram(now, path, record[..].into())
                    .unwrap();
            }
        }
    };
    let handshake = [
        &crate::common::datagram_harness::SERVER_FLIGHT[..],
        &crate::common::datagram_harness::FINALE,
    ]
    .concat();
    play(&mut client, &mut peer, &handshake);
    peer.renegotiate();
    client.renegotiate().unwrap();
    play(&mut client, &mut peer, &[]);
    client.send(now, &[1; 1000]).unwrap();
    client.send(now, b"short").unwrap();
    client.set_mtu(548).unwrap();
    play(&mut client, &mut peer, &handshake);
    client.send(now, b"later").unwrap();
    play(&mut client, &mut peer, &[]);
    let data: Vec<Vec<u8>> = peer
        .heard
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Data { data, .. } => Some(data),
            _ => None,
        })
        .collect();
    assert_eq!(data, [b"short", b"later"]);
}

/// What was held counts towards the limits of the keys that it leaves under.
#[test]
fn held_data_counts_towards_the_limits_of_the_new_keys() {
    for transport in BOTH {
        let policy = RekeyPolicy::default().bytes(Some(1000)).unwrap();
        let mut harness = connected_with(Side::Client, transport, Ends::new(), policy);
        harness.begin(Side::Client, true);
        (0..2).for_each(|_| harness.send(&[1; 600]).unwrap());
        harness.play(&flight(Side::Client));
        // 1,200 bytes have left under the new keys: their time is over.
        harness.listen();
        assert_eq!(harness.epoch(), 2);
        assert!(harness.is_pending(), "{transport:?}");
    }
}
