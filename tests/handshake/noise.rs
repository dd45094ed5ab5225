//! Noise between the datagrams of a first handshake, when nothing can be authenticated yet: it is
//! ignored, or costs a few retransmissions, or, as a well-formed forgery, one attempt and no other
//! association.
//!
//! `SEALGRAM_SEED` repeats a run, but for the keys.

use crate::common::configs::{Configs, Ends, SERVER};
use crate::common::datagram_harness::{
    DatagramHarness, FATAL, FINALE, PROVING_CLIENT_FLIGHT, SERVER_FLIGHT, WARNING, record,
    record_of_length,
};
use crate::common::mutator::{Mutator, Seed, recorded};
use crate::common::targets::inject;
use sealgram::config::DatagramPolicy;
use sealgram::sim::Pair;
use sealgram::sim::scripted::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, DTLS12, HANDSHAKE, Line, ScriptedPeer, Spoken,
};
use std::time::Duration;

/// Steps through a handshake; `disturb` acts before each datagram that arrives. How often a flight
/// was repeated.
fn disturbed(configs: &Configs, mut disturb: impl FnMut(&mut Pair, usize)) -> Result<u64, String> {
    let mut pair = configs.pair(1);
    let end = pair.now + Duration::from_secs(100);
    let mut steps = 0;
    while !pair.is_connected() && pair.now < end {
        disturb(&mut pair, steps);
        pair.step();
        steps += 1;
    }
    let ends = [pair.client_connection(), pair.server_connection()];
    let repeated = ends
        .iter()
        .flatten()
        .map(|end| end.stats().flights_retransmitted())
        .sum();
    if !pair.is_connected() || !pair.exchange(100) {
        return Err(format!("{:?} {:?}", pair.client_events, pair.server_events));
    }
    assert!(steps > 4, "{steps}");
    Ok(repeated)
}

/// Datagrams that cannot be taken for the next message: malformed, of a wrong epoch or number, or
/// sealed by nobody.
fn harmless(mutator: &mut Mutator) -> Vec<u8> {
    let noise = &mut mutator.noise;
    let seq = u16::try_from(20 + noise.below(60_000)).unwrap();
    let typ = *noise.pick(&[0, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 99]);
    let sequence = noise.next() >> 16;
    match noise.below(10) {
        0 => mutator.random_bytes(200),
        1 => {
            // Under keys that do not exist, or no more than these.
            let epoch = *noise.pick(&[1, 1, 2, 3, u16::MAX]);
            let content_type = *noise.pick(&[20, 21, 22, 23, 24]);
            let payload = mutator.random_bytes(300);
            record(content_type, DTLS12, epoch, sequence, &payload)
        }
        2 => {
            let version = *noise.pick(&[0xfefc, 0x0303, 0, u16::MAX]);
            record(
                HANDSHAKE,
                version,
                0,
                sequence,
                &Spoken::raw(typ, 0, 1, 0, 0, &[]),
            )
        }
        3 => record(typ.max(24), DTLS12, 0, sequence, &[FATAL, 40]),
        4 => record_of_length(HANDSHAKE, DTLS12, 0, sequence, 500, &[typ; 30]),
        // A message that does not belong to this handshake by its number.
        5 => record(
            HANDSHAKE,
            DTLS12,
            0,
            sequence,
            &Spoken::raw(typ, 5, seq, 0, 5, &[1; 5]),
        ),
        // Lengths that contradict each other or the limits.
        6 => record(
            HANDSHAKE,
            DTLS12,
            0,
            sequence,
            &Spoken::raw(typ, 5, 2, 3, 5, &[1; 5]),
        ),
        7 => record(
            HANDSHAKE,
            DTLS12,
            0,
            sequence,
            &Spoken::raw(typ, 0xff_ffff, 2, 0, 5, &[1; 5]),
        ),
        8 => record(
            HANDSHAKE,
            DTLS12,
            0,
            sequence,
            &Spoken::raw(typ, 50, 2, 0, 0, &[]),
        ),
        _ => {
            let warning = [WARNING, 90];
            let payloads: [(u8, &[u8]); 5] = [
                (CHANGE_CIPHER_SPEC, &[1]),
                (CHANGE_CIPHER_SPEC, &[]),
                (APPLICATION_DATA, b"forged"),
                (ALERT, &warning),
                (ALERT, &[FATAL]),
            ];
            let (content_type, payload) = *noise.pick(&payloads);
            record(content_type, DTLS12, 0, sequence, payload)
        }
    }
}

#[test]
fn noise_between_the_datagrams_of_a_handshake_delays_nothing() {
    let seed = Seed::of_this_run();
    let mut mutator = Mutator::new(seed.0, Vec::new());
    // Small datagrams: more moments between them.
    let small = DatagramPolicy::default().mtu(300).unwrap();
    for configs in [
        Ends::new().build(),
        Ends::new().mutual().build(),
        Ends::new().mutual().datagram(&small).build(),
    ] {
        assert_eq!(disturbed(&configs, |_, _| ()), Ok(0), "control");
        for round in 0..100 {
            let repeated = disturbed(&configs, |pair, _| {
                for _ in 0..50 {
                    inject(pair, &harmless(&mut mutator));
                }
            });
            assert_eq!(repeated, Ok(0), "round {round}");
        }
    }
}

/// A message that has a number of this handshake, is whole, and does not decode or does not belong
/// here: what it displaces must come again, once or twice.
#[test]
fn messages_out_of_place_cost_a_few_retransmissions() {
    let configs = Ends::new().mutual().build();
    let mut gaps = 0;
    assert_eq!(disturbed(&configs, |_, steps| gaps = steps), Ok(0));
    for gap in 0..=gaps {
        for seq in 0..9 {
            for (typ, body) in [
                (0, &[][..]),
                (2, &[0xff; 5]),
                (3, &[0xff; 5]),
                (11, &[0xff; 5]),
                (12, &[0xff; 5]),
                (14, &[0xff; 5]),
                (15, &[0xff; 5]),
                (16, &[0xff; 5]),
                (20, &[0xff; 12]),
                (99, &[0xff; 5]),
            ] {
                let size = u32::try_from(body.len()).unwrap();
                let lie = Spoken::raw(typ, size, seq, 0, size, body);
                let lie = record(HANDSHAKE, DTLS12, 0, 500, &lie);
                let repeated = disturbed(&configs, |pair, steps| {
                    if steps == gap {
                        inject(pair, &lie);
                    }
                });
                let few = repeated.as_ref().is_ok_and(|&repeated| repeated <= 4);
                assert!(few, "gap {gap} seq {seq} type {typ}: {repeated:?}");
            }
        }
    }
}

/// Random mutants of the handshake's own datagrams, at one moment of it. One of them may be a
/// well-formed forgery that ends the attempt; then that is told and the next attempt succeeds,
/// nearly always the very next one.
#[test]
fn mutants_of_the_handshake_itself_cost_one_attempt_at_most() {
    let seed = Seed::of_this_run();
    let configs = Ends::new().mutual().build();
    let (mut completed, mut failed, mut later) = (0, 0, 0);
    for round in 0..300 {
        let mut mutator = Mutator::new(seed.0.wrapping_add(round), Vec::new());
        let mut pair = configs.pair(round);
        pair.record();
        let moment = mutator.noise.below(12);
        let mut steps = 0;
        let over = |pair: &Pair| pair.is_connected() || pair.client.is_empty();
        while !over(&pair) && pair.now < pair.start + Duration::from_secs(200) {
            if steps == moment {
                pair.transmit();
                mutator.recorded = recorded(&pair);
                for _ in 0..20 {
                    let mutant = mutator.flipped();
                    inject(&mut pair, &mutant);
                }
            }
            pair.step();
            steps += 1;
        }
        if pair.is_connected() {
            completed += 1;
        } else {
            failed += 1;
            assert_eq!(pair.client.stats().handshakes_failed, 1, "round {round}");
            assert!(
                crate::common::datagram_harness::failure(&pair.client_events).is_some(),
                "round {round}"
            );
            // What the server still says to the first attempt, its alert or a flight, can meet the
            // second one.
            let again = |pair: &mut Pair| {
                pair.run_for(Duration::from_secs(1));
                pair.connect(
                    configs.client.clone(),
                    crate::common::configs::server_name(),
                )
                .unwrap();
                pair.run_until(Duration::from_secs(100), over);
                pair.is_connected()
            };
            let tries = (1..=3).find(|_| again(&mut pair));
            assert!(tries.is_some(), "round {round}: {:?}", pair.client_events);
            later += u32::from(tries > Some(1));
        }
        assert!(pair.exchange(100), "round {round}");
    }
    assert!(completed > 100, "{completed} {failed}");
    assert!(later <= failed / 10, "{later} of {failed}");
}

/// Passes messages with the association at this address, as its honest peer.
fn still_serves(
    harness: &mut DatagramHarness,
    peer: &mut ScriptedPeer,
    address: std::net::SocketAddr,
) {
    let place = std::mem::replace(&mut harness.address, address);
    std::mem::swap(&mut harness.peer, peer);
    assert!(harness.exchange(20));
    std::mem::swap(&mut harness.peer, peer);
    harness.address = place;
}

/// Plays `script` at the peer's address, with `forged` in front of its line `gap`: a message that
/// decodes, with the number that is next, from somebody who has heard what the honest peer heard.
/// Whether the attempt completed.
fn with_forgery(
    harness: &mut DatagramHarness,
    script: &[Line],
    gap: usize,
    forged: Line,
    thief: ScriptedPeer,
) -> bool {
    let events = harness.events.len();
    harness.play(&script[..gap]);
    let mut forger = thief;
    harness.sent.iter().for_each(|datagram| {
        forger.hear(datagram);
    });
    forger.set_next_seq(harness.peer.next_seq());
    for record in forger.speak(&[forged]) {
        harness.deliver(&record);
    }
    harness.play(&script[gap..]);
    harness.wait(Duration::from_secs(200));
    let new = &harness.events[events..];
    let completed = new
        .iter()
        .any(|(_, event)| crate::common::datagram_harness::is_completion(event));
    let failed = crate::common::datagram_harness::failure(new).is_some();
    assert!(completed != failed, "{gap} {forged:?} {new:?}");
    completed
}

/// For our client: a forged message of any type, at any moment, costs that attempt at most.
#[test]
fn a_forged_server_message_at_any_moment_costs_one_attempt_at_most() {
    let script = [&[Line::HelloVerifyRequest][..], &SERVER_FLIGHT, &FINALE].concat();
    let ends = Ends::new();
    let credential = ends.pki.server(&rcgen::PKCS_ED25519);
    let config = ends.build().client;
    let stranger = Ends::new().pki.server(&rcgen::PKCS_ED25519);
    let mut harness =
        DatagramHarness::client(config.clone(), ScriptedPeer::server(credential.clone()));
    harness.complete();
    let home = harness.address;
    let mut bystander =
        std::mem::replace(&mut harness.peer, ScriptedPeer::server(credential.clone()));
    let (mut completed, mut failed) = (0, 0);
    for forged in [
        Line::HelloRequest,
        Line::HelloVerifyRequest,
        Line::ServerHello,
        Line::Certificate,
        Line::ServerKeyExchange,
        Line::CertificateRequest,
        Line::ServerHelloDone,
    ] {
        for gap in 0..script.len() {
            harness.address = ([198, 51, 100, 7], 4433).into();
            harness.peer = ScriptedPeer::server(credential.clone());
            harness.sent.clear();
            harness.connect(config.clone());
            let thief = ScriptedPeer::server(stranger.clone());
            if with_forgery(&mut harness, &script, gap, forged, thief) {
                completed += 1;
            } else {
                failed += 1;
                harness.peer = ScriptedPeer::server(credential.clone());
                harness.connect(config.clone());
                harness.play(&script);
            }
            assert_eq!(harness.endpoint.stats().handshakes_failed, failed);
            assert!(
                harness.peer.has_verified() && harness.exchange(3),
                "{gap} {forged:?}"
            );
            let id = harness.id().unwrap();
            harness
                .endpoint
                .association(harness.now, id)
                .unwrap()
                .close();
            harness.listen();
            still_serves(&mut harness, &mut bystander, home);
        }
    }
    assert!(completed > 10 && failed > 3, "{completed} {failed}");
}

/// The same for our server.
#[test]
fn a_forged_client_message_at_any_moment_costs_one_attempt_at_most() {
    let script = PROVING_CLIENT_FLIGHT;
    let ends = Ends::new().mutual();
    let credential = ends.pki.client(&rcgen::PKCS_ED25519);
    let honest = || ScriptedPeer::client(SERVER, Some(credential.clone()));
    let mut harness = DatagramHarness::server(ends.build().server, honest());
    harness.exchange_cookies();
    harness.play(&script);
    let home = harness.address;
    let mut bystander = std::mem::replace(&mut harness.peer, honest());
    let (mut completed, mut failed) = (0, 0);
    for (port, forged) in (5000..).zip([
        Line::Certificate,
        Line::ClientKeyExchange,
        Line::CertificateVerify,
        Line::Finished,
    ]) {
        for gap in 0..script.len() {
            harness.address = ([198, 51, 100, 7], port).into();
            harness.peer = honest();
            harness.sent.clear();
            harness.exchange_cookies();
            let thief = ScriptedPeer::client(SERVER, None);
            if with_forgery(&mut harness, &script, gap, forged, thief) {
                completed += 1;
            } else {
                failed += 1;
                harness.peer = honest();
                harness.exchange_cookies();
                harness.play(&script);
            }
            assert_eq!(harness.endpoint.stats().handshakes_failed, failed);
            assert!(
                harness.peer.has_verified() && harness.exchange(3),
                "{gap} {forged:?}"
            );
            let id = harness.id().unwrap();
            harness
                .endpoint
                .association(harness.now, id)
                .unwrap()
                .close();
            harness.listen();
            still_serves(&mut harness, &mut bystander, home);
        }
    }
    assert!(completed > 5 && failed > 2, "{completed} {failed}");
}
