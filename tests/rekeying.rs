//! Renegotiation in the middle of traffic: with loss, from both sides, by call and by policy.
//!
//! `SEALGRAM_SEEDS=a..b` runs other seeds; a failure names its own.

mod kinds;
mod support;

use kinds::traffic::{Account, Traffic, Weather};
use kinds::{SIDES, renegotiate, willing};
use sealgram::RenegotiateError;
use sealgram::config::ClientRenegotiation::Allow;
use sealgram::config::DataDuringRenegotiation::{self, Flow, Hold};
use sealgram::config::{DatagramPolicy, RekeyPolicy};
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

/// Three seconds or so of traffic in both directions, in which both ends renegotiate at random.
fn talk(traffic: &mut Traffic) {
    for _ in 0..100 {
        for side in SIDES {
            for _ in 0..traffic.dice.below(4) {
                traffic.send(side);
            }
            if traffic.dice.is(4) {
                let abbreviated = traffic.dice.is(50);
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

fn simulate(name: &str, configs: &Configs, weather: Weather, seeds: Range<u64>) -> Account {
    let (mut sum, mut times, runs) = (Account::default(), Vec::new(), seeds.end - seeds.start);
    // The client knows a session from here on, so that a seed alone repeats what it did among others.
    configs.connected(0);
    for seed in seeds {
        let mut traffic = Traffic::new(configs, weather, seed, name);
        talk(&mut traffic);
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
        let sum = simulate(&name, &configs, BAD, seeds(0..1000));
        assert_eq!(sum.refused, 0);
        assert!(sum.resumed > 0 && sum.resumed < sum.renegotiations);
    }
}

/// Timers that fire before any answer can have come fill the network with copies of every flight.
fn impatient() -> DatagramPolicy {
    patient()
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
    for (name, datagram) in [("patient", patient()), ("impatient", impatient())] {
        for mtu in [1400, 256] {
            let datagram = datagram.clone().mtu(mtu).unwrap();
            for follow in [true, false] {
                let client = RekeyPolicy::default().follow_hello_requests(follow);
                let configs = configs(&datagram, client, server());
                let name = format!("refusals, {name}, {mtu}, follows {follow}");
                let sum = simulate(&name, &configs, BAD, seeds(0..250));
                assert!(sum.refused > 0 && sum.renegotiations > 0);
            }
        }
    }
}
