//! A million mutated datagrams in each state with keys: none of them does more than count.
//!
//! Three states have keys in both directions or are about to:
//!
//! ```text
//!   client                              server
//!   … CertificateVerify, Finished  ──►
//!   expects Finished               ◄──  Finished    established, its final flight retained
//!   established                         established
//! ```
//!
//! `SEALGRAM_SEED` repeats a run, but for the keys; `SEALGRAM_MUTANTS` is how many datagrams each
//! state gets.

use crate::common::configs::Ends;
use crate::common::datagram_harness::{header, records};
use crate::common::mutator::{Mutator, Seed, recorded, variable};
use crate::common::targets::{EARLY, portrait};
use sealgram::endpoint::{Endpoint, EndpointStats};
use sealgram::record::Discard;
use sealgram::sim::scripted::HANDSHAKE;
use sealgram::sim::{Conditions, Direction, Fate, Pair};
use sealgram::{DtlsConnection, Path};
use std::time::Duration;

/// What an association may hold while it puts messages together: twice the longest message, and
/// early records.
const MOST_BUFFERED: usize = (2 << 15) + EARLY;

/// Our two ends with certificates, and every datagram that either of them sent.
fn ends() -> Pair {
    let mut pair = Ends::new().mutual().build().pair(1);
    pair.record();
    pair
}

/// Both ends established, with data behind them.
fn established() -> (Pair, Vec<Vec<u8>>) {
    let mut pair = ends();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    assert!(pair.exchange(3));
    let past = recorded(&pair);
    (pair, past)
}

/// The server established, the client without its Finished. What is recorded of that flight has
/// broken tags, since an intact copy of it is no mutant.
fn between_the_finished() -> (Pair, Vec<Vec<u8>>) {
    let mut pair = ends();
    let lose = |_, datagram: &[u8]| {
        let finished = records(datagram).iter().any(|record| header(record).1 > 0);
        if finished { Fate::Drop } else { Fate::Deliver }
    };
    pair.to_client.script(lose);
    let served = |pair: &Pair| pair.server_id().is_some();
    assert!(pair.run_until(Duration::from_secs(5), served));
    assert!(pair.client_id().is_none());
    let mut past = recorded(&pair);
    for (datagram, seen) in past.iter_mut().zip(pair.seen.iter().flatten()) {
        let last = records(datagram)
            .last()
            .map_or(0, |record| header(record).1);
        if seen.direction == Direction::ToClient && last > 0 {
            let tag = datagram.len() - 16;
            datagram[tag..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
    }
    pair.set_conditions(&Conditions::default());
    (pair, past)
}

/// The end of the pair that is attacked.
fn target(pair: &mut Pair, to: Direction) -> &mut Endpoint {
    match to {
        Direction::ToServer => &mut pair.server,
        Direction::ToClient => &mut pair.client,
    }
}

fn connection(endpoint: &Endpoint) -> &DtlsConnection {
    let id = endpoint.associations().next().expect("it lives");
    endpoint.connection(id).expect("it lives")
}

/// How much was counted, whatever the cause.
fn counted(endpoint: &Endpoint) -> u64 {
    let EndpointStats {
        hello_verify_requests,
        replies_dropped,
        strays,
        unknown_connection_ids,
        hellos_ignored,
        over_limit,
        ..
    } = *endpoint.stats();
    let discards = connection(endpoint).stats().discards();
    hello_verify_requests
        + replies_dropped
        + strays
        + unknown_connection_ids
        + hellos_ignored
        + over_limit
        + discards.map(|(_, count)| count).sum::<u64>()
}

/// All that may leave an end that is attacked: answers to strangers.
fn drain(endpoint: &mut Endpoint, now: std::time::Instant) {
    let mut out = Vec::new();
    while let Some(transmit) = endpoint.poll_transmit(now, 1, &mut out) {
        assert_eq!(
            (out[0], header(&out).1, out[13]),
            (HANDSHAKE, 0, 3),
            "{out:?}"
        );
        assert!(transmit.len < 100);
        out.clear();
    }
}

/// Everything of an attacked end that must stay as it is.
fn state(endpoint: &Endpoint) -> String {
    let counts = (
        endpoint.len(),
        endpoint.half_open(),
        endpoint.stats().accepted,
    );
    let failed = endpoint.stats().handshakes_failed;
    format!("{} {counts:?} {failed}", portrait(connection(endpoint)))
}

/// Sends mutants to one end. Nothing happens but counting; `all_count` if nothing may even be kept
/// for a while.
fn attack(pair: &mut Pair, to: Direction, mutator: &mut Mutator, all_count: bool) {
    let now = pair.now;
    let remote = match to {
        Direction::ToServer => pair.client_address,
        Direction::ToClient => pair.server_address,
    };
    let endpoint = target(pair, to);
    let before = state(endpoint);
    let held = connection(endpoint).buffered();
    for number in 0..variable("SEALGRAM_MUTANTS", 1_000_000) {
        let mutant = mutator.next();
        let count = counted(endpoint);
        endpoint.handle_datagram(now, Path::new(remote), mutant[..].into());
        let event = endpoint.poll_event();
        assert!(event.is_none(), "{number}: {event:?} after {mutant:02x?}");
        if all_count {
            assert!(
                counted(endpoint) > count,
                "{number}: uncounted {mutant:02x?}"
            );
            assert_eq!(endpoint.buffered(), held, "{number}: {mutant:02x?}");
        }
        if number % 64 == 0 {
            drain(endpoint, now);
            assert!(connection(endpoint).buffered() <= MOST_BUFFERED, "{number}");
            assert_eq!(connection(endpoint).buffered(), endpoint.buffered());
            assert_eq!(state(endpoint), before, "{number}: {mutant:02x?}");
        }
    }
    drain(endpoint, now);
    assert_eq!(state(endpoint), before);
    let forged = connection(endpoint)
        .stats()
        .discarded(Discard::Unauthenticated);
    assert!(
        forged > variable("SEALGRAM_MUTANTS", 1_000_000) / 20,
        "{forged}"
    );
}

/// Both ends go on as if nothing had been.
fn go_on(pair: &mut Pair) {
    assert!(pair.exchange(100));
    for endpoint in [&pair.client, &pair.server] {
        assert_eq!((endpoint.len(), endpoint.buffered()), (1, 0));
        assert_eq!(connection(endpoint).buffered(), 0);
    }
}

#[test]
fn a_million_mutants_change_nothing_at_an_established_client() {
    let seed = Seed::of_this_run();
    let (mut pair, past) = established();
    attack(
        &mut pair,
        Direction::ToClient,
        &mut Mutator::new(seed.0, past),
        true,
    );
    go_on(&mut pair);
}

#[test]
fn a_million_mutants_change_nothing_at_an_established_server() {
    let seed = Seed::of_this_run();
    let (mut pair, past) = established();
    attack(
        &mut pair,
        Direction::ToServer,
        &mut Mutator::new(seed.0, past),
        true,
    );
    go_on(&mut pair);
}

#[test]
fn a_million_mutants_change_nothing_at_a_client_that_expects_finished() {
    let seed = Seed::of_this_run();
    let (mut pair, past) = between_the_finished();
    attack(
        &mut pair,
        Direction::ToClient,
        &mut Mutator::new(seed.0, past),
        false,
    );
    assert!(
        pair.run_until_connected(Duration::from_secs(100)),
        "{:?}",
        pair.client_events
    );
    go_on(&mut pair);
}

#[test]
fn a_million_mutants_change_nothing_at_a_server_that_retains_its_last_flight() {
    let seed = Seed::of_this_run();
    let (mut pair, past) = between_the_finished();
    attack(
        &mut pair,
        Direction::ToServer,
        &mut Mutator::new(seed.0, past),
        true,
    );
    // The flight is still there for the client that missed it.
    assert!(
        pair.run_until_connected(Duration::from_secs(100)),
        "{:?}",
        pair.client_events
    );
    go_on(&mut pair);
}
