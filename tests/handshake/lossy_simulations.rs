//! Lossy simulations over thousands of seeds, in virtual time.
//!
//! `SEALGRAM_SEEDS=a..b` runs other seeds; a failure names its own.

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::seeds::seeds;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::record::Discard;
use sealgram::sim::{Conditions, Pair};
use sealgram::{Error, Event};
use std::time::Duration;

/// What honest peers and a bad network can cause. Anything else is a fault of ours.
const EXPECTED: [Discard; 6] = [
    Discard::Replay,
    Discard::OldMessage,
    Discard::OldEpoch,
    Discard::ChangeCipherSpec,
    Discard::Closed,
    Discard::FutureEpoch,
];

fn assert_only_expected_discards(pair: &Pair, seed: u64) {
    // A client that was asked for a cookie twice begins afresh, and what the server's first
    // association still sends is under keys that this client has given up.
    let afresh = pair.server.stats().accepted > 1;
    let connections = [
        pair.client
            .associations()
            .filter_map(|id| pair.client.connection(id))
            .collect::<Vec<_>>(),
        pair.server
            .associations()
            .filter_map(|id| pair.server.connection(id))
            .collect(),
    ];
    for connection in connections.into_iter().flatten() {
        let unexpected: Vec<_> = connection
            .stats()
            .discards()
            .filter(|(cause, _)| !EXPECTED.contains(cause))
            .filter(|(cause, _)| !(afresh && *cause == Discard::Unauthenticated))
            .collect();
        assert!(unexpected.is_empty(), "seed {seed}: {unexpected:?}");
    }
}

fn lossy_pair(configs: &Configs, conditions: &Conditions, seed: u64) -> Pair {
    let mut pair = Pair::new(configs.server.clone(), start(), seed).unwrap();
    pair.set_conditions(conditions);
    pair.connect(configs.client.clone(), server_name()).unwrap();
    pair
}

/// Configurations: small flights, and for every eighth seed such as fill many datagrams at both
/// ends.
fn both_sizes(versions: Versions, policy: &DatagramPolicy) -> [Configs; 2] {
    let small = Ends::new();
    let large = Ends::with_chain(16_000).mutual_with_chain(16_000);
    [small, large].map(|ends| ends.versions(versions).datagram(policy).build())
}

/// 30 % loss, 10 % duplication, reordering by four, without deadline and limit: everybody gets
/// through.
#[test]
fn at_thirty_percent_loss_every_handshake_completes_in_the_end() {
    everybody_gets_through("DTLS 1.2", Versions::V1_2);
}

/// The same at DTLS 1.3, where the first two hellos are stateless too.
#[test]
fn at_thirty_percent_loss_every_handshake_of_1_3_completes_in_the_end() {
    everybody_gets_through("DTLS 1.3", Versions::V1_3);
}

fn everybody_gets_through(version: &str, versions: Versions) {
    let policy = DatagramPolicy::default()
        .handshake_deadline(None)
        .max_retransmissions(None);
    let configs = both_sizes(versions, &policy);
    let conditions = Conditions {
        loss: 0.3,
        duplicate: 0.1,
        reorder: 4,
        ..Conditions::default()
    };
    let mut times = Vec::new();
    for seed in seeds(0..10_000) {
        let large = usize::from(seed.is_multiple_of(8));
        let mut pair = lossy_pair(&configs[large], &conditions, seed);
        let limit = Duration::from_secs(3600);
        assert!(
            pair.run_until_connected(limit),
            "seed {seed}: {:?} {:?}",
            pair.client_events,
            pair.server_events
        );
        times.push(pair.now - pair.start);
        assert_only_expected_discards(&pair, seed);
    }
    report(&format!("{version}, 30 % loss"), &mut times);
}

/// 10 % loss with the default policy: all but a few get through, and the rest fail exactly at the
/// deadline and leave nothing behind.
#[test]
fn at_ten_percent_loss_handshakes_complete_or_time_out_at_the_deadline() {
    nearly_everybody_gets_through("DTLS 1.2", Versions::V1_2);
}

#[test]
fn at_ten_percent_loss_handshakes_of_1_3_complete_or_time_out_at_the_deadline() {
    nearly_everybody_gets_through("DTLS 1.3", Versions::V1_3);
}

fn nearly_everybody_gets_through(version: &str, versions: Versions) {
    let configs = both_sizes(versions, &DatagramPolicy::default());
    let conditions = Conditions {
        loss: 0.1,
        ..Conditions::default()
    };
    let (mut times, mut late) = (Vec::new(), 0);
    let seeds = seeds(0..10_000);
    let all = seeds.end - seeds.start;
    for seed in seeds {
        let large = usize::from(seed.is_multiple_of(8));
        let mut pair = lossy_pair(&configs[large], &conditions, seed);
        if pair.run_until_connected(Duration::from_secs(130)) {
            times.push(pair.now - pair.start);
            assert_only_expected_discards(&pair, seed);
            continue;
        }
        late += 1;
        let timed_out = pair.client_events.iter().chain(&pair.server_events).any(|(_, event)| {
            matches!(event, Event::Failed(failure)
                if matches!(failure.error, Error::TimedOut { after, .. } if after == Duration::from_secs(120)))
        });
        assert!(
            timed_out,
            "seed {seed}: {:?} {:?}",
            pair.client_events, pair.server_events
        );
        pair.run_for(Duration::from_secs(2000));
        assert!(
            pair.client.is_empty() && pair.server.is_empty(),
            "seed {seed}"
        );
    }
    report(&format!("{version}, 10 % loss"), &mut times);
    assert!(late * 1000 <= all, "{late} of {all} timed out");
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    let max = times.last().copied().unwrap_or_default();
    println!(
        "{name}: {} handshakes, median {:?}, p99 {:?}, max {max:?}",
        times.len(),
        at(50),
        at(99)
    );
}
