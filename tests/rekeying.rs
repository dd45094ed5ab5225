//! Renegotiation in the middle of traffic: with loss, from both sides, by call and by policy.
//!
//! `SEALGRAM_SEEDS=a..b` runs other seeds; a failure names its own.

mod kinds;
mod support;

use kinds::traffic::{Account, Traffic, Weather};
use kinds::{
    SIDES, assert_agreed, assert_quiet, connection, decide, is_in_epoch, renegotiate, willing,
};
use sealgram::config::ClientRenegotiation::Allow;
use sealgram::config::DataDuringRenegotiation::{self, Flow, Hold};
use sealgram::config::{DatagramPolicy, RekeyPolicy};
use sealgram::sim::{Conditions, Direction, Fate, Pair};
use sealgram::{Initiator, RenegotiateError, Side};
use std::ops::Range;
use std::time::Duration;
use support::{Configs, Ends};

fn seeds(default: Range<u64>) -> Range<u64> {
    let parse = |text: String| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    std::env::var("SEALGRAM_SEEDS")
        .ok()
        .and_then(parse)
        .unwrap_or(default)
}

/// A deadline would end what takes long by chance alone.
fn patient() -> DatagramPolicy {
    DatagramPolicy::default().handshake_deadline(None)
}

fn configs(datagram: &DatagramPolicy, client: RekeyPolicy, server: RekeyPolicy) -> Configs {
    let mut ends = Ends::new().resuming().datagram(datagram);
    ends.client = ends.client.rekey(client);
    ends.server = ends.server.rekey(server);
    ends.build()
}

const BAD: Weather = Weather {
    loss: 20,
    duplicate: 8,
    reorder: 4,
};

/// Three seconds or so of traffic in both directions, in which both ends renegotiate at random, `abbreviated` times in a
/// hundred with the session in force.
fn talk(traffic: &mut Traffic, abbreviated: u64) {
    for _ in 0..100 {
        for side in SIDES {
            for _ in 0..traffic.dice.below(4) {
                traffic.send(side);
            }
            if traffic.dice.is(4) {
                let abbreviated = traffic.dice.is(abbreviated);
                let begun = renegotiate(&mut traffic.pair, side, abbreviated);
                assert!(
                    matches!(begun, Ok(()) | Err(RenegotiateError::Pending)),
                    "{begun:?}"
                );
            }
        }
        let pause = if traffic.dice.is(3) { 1500 } else { 50 };
        let pause = Duration::from_millis(traffic.dice.below(pause));
        traffic.run_for(pause);
    }
}

/// Bounded, though the network goes on losing: a flight is sent again after a minute at the latest.
const LIMIT: Duration = Duration::from_secs(1800);

fn simulate(name: &str, configs: &Configs, abbreviated: u64, seeds: Range<u64>) -> Account {
    let (mut sum, mut times, runs) = (Account::default(), Vec::new(), seeds.end - seeds.start);
    // The client knows a session from here on, so that a seed alone repeats what it did among others.
    configs.connected(0);
    for seed in seeds {
        let mut traffic = Traffic::new(configs, BAD, seed, name);
        talk(&mut traffic, abbreviated);
        times.push(traffic.settle(LIMIT));
        sum.add(&traffic.close_account());
    }
    times.sort_unstable();
    println!(
        "{name}: {runs} runs, {sum:?}; settled after {:?} (median), {:?} (at most)",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    sum
}

fn with_data(data: DataDuringRenegotiation) -> (RekeyPolicy, RekeyPolicy) {
    let policy = |policy: RekeyPolicy| policy.data_during_renegotiation(data);
    (policy(RekeyPolicy::default()), policy(willing()))
}

/// E7, E16: nothing is delivered twice, altered, or in the wrong epoch; nothing is lost in silence; everything ends.
#[test]
fn traffic_goes_on_while_both_ends_renegotiate() {
    for data in [Hold, Flow] {
        let (client, server) = with_data(data);
        let configs = configs(&patient(), client, server);
        let name = format!("{data:?}");
        let sum = simulate(&name, &configs, 50, seeds(0..1000));
        assert_eq!(sum.refused, 0);
        assert!(sum.resumed > 0 && sum.resumed < sum.renegotiations);
    }
}

/// Timers that fire before any answer can have come fill the network with copies of every flight. Where the server takes a
/// copy of a hello that the client has given up, only its deadline ends that.
fn impatient() -> DatagramPolicy {
    DatagramPolicy::default()
        .timeouts(Duration::from_millis(10), Duration::from_secs(60))
        .unwrap()
}

/// Refusals on both sides, small datagrams, and more copies of each message than anybody needs.
#[test]
fn traffic_goes_on_while_renegotiations_are_refused() {
    let interval = Duration::from_millis(700);
    let server = || {
        RekeyPolicy::default().client_renegotiation(Allow {
            min_interval: interval,
        })
    };
    // A refused hello is repeated as it was, because a copy of it may be taken later; a hello of another kind cannot be. So
    // there is only one kind where copies are many.
    let cases = [("patient", patient(), 50), ("impatient", impatient(), 0)];
    for (name, datagram, abbreviated) in cases {
        for mtu in [1400, 256] {
            let datagram = datagram.clone().mtu(mtu).unwrap();
            for follow in [true, false] {
                let client = RekeyPolicy::default().follow_hello_requests(follow);
                let configs = configs(&datagram, client, server());
                let name = format!("refusals, {name}, {mtu}, follows {follow}");
                let sum = simulate(&name, &configs, abbreviated, seeds(0..250));
                assert!(sum.refused > 0 && sum.renegotiations > 0);
            }
        }
    }
}

/// A path on which an answer takes longer than the timer, so that a ClientHello is repeated while its refusal is on the
/// way; and the server has refused one.
fn refused_on_a_slow_path(mtu: usize) -> Pair {
    let datagram = patient().mtu(mtu).unwrap();
    let mut pair = configs(&datagram, RekeyPolicy::default(), RekeyPolicy::default()).connected(1);
    pair.set_conditions(&Conditions {
        delay: Duration::from_millis(700),
        ..Conditions::default()
    });
    renegotiate(&mut pair, Side::Client, false).unwrap();
    pair.run_for(Duration::from_millis(800));
    let server = connection(&pair, Side::Server);
    assert_eq!(server.stats().renegotiations_by(Initiator::Peer).refused, 1);
    pair
}

/// The server may take the copy of a hello that it has refused, when it wants a handshake itself by then. The client has
/// given that hello up; its next one must fit the server's answer all the same.
#[test]
fn a_copy_of_a_refused_hello_may_be_taken() {
    let mut pair = refused_on_a_slow_path(1400);
    renegotiate(&mut pair, Side::Server, false).unwrap();
    assert!(
        pair.run_until(Duration::from_secs(60), |pair| is_in_epoch(pair, 2)),
        "{:?} {:?}",
        pair.client_events,
        pair.server_events
    );
    pair.set_conditions(&Conditions::default());
    pair.run_for(Duration::from_secs(5));
    assert_agreed(&mut pair, "a copy of a refused hello");
    assert_quiet(&mut pair, "a copy of a refused hello");
}

/// Of the copy of a refused hello only a part arrives. The next hello, a longer one, is not mistaken for the rest of it.
#[test]
fn a_part_of_a_refused_hello_does_not_stand_in_the_way_of_the_next() {
    let mut pair = refused_on_a_slow_path(160);
    let sent = pair.to_server.sent();
    decide(&mut pair, move |(direction, place), _| {
        // The copy takes two datagrams.
        if direction == Direction::ToServer && place == 1 {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    pair.run_for(Duration::from_secs(5));
    assert!(pair.to_server.sent() - sent >= 2);
    assert!(
        pair.server.buffered() > 0,
        "the rest of the copy has arrived"
    );
    renegotiate(&mut pair, Side::Client, true).unwrap();
    pair.run_for(Duration::from_secs(5));
    // The server has put the hello together, and refuses it.
    let server = connection(&pair, Side::Server);
    assert!(server.stats().renegotiations_by(Initiator::Peer).refused > 1);
    assert!(!connection(&pair, Side::Client).renegotiate_pending());
    assert_agreed(&mut pair, "after a part of a refused hello");
}
