//! How long a handshake waits, for each answer and as a whole, is what the policy says.

use crate::common::configs::{Configs, Ends, exact};
use crate::common::datagram_harness::failure;
use sealgram::Error;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::error::ConfigError;
use sealgram::sim::{Fate, Pair};
use std::time::Duration;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A client with this policy whose datagrams are lost.
fn unheard(policy: DatagramPolicy) -> Pair {
    let mut ends = Ends::new();
    ends.client = ends.client.datagram(policy);
    let mut pair = ends.build().pair(1);
    pair.to_server.script(|_, _| Fate::Drop);
    pair.transmit();
    pair
}

/// How long it waits each time before it sends its hello again, for so many times at most.
fn waits(policy: DatagramPolicy, most: usize) -> Vec<Duration> {
    let mut pair = unheard(policy);
    let mut waits = Vec::new();
    let (mut last, mut sent) = (pair.now, pair.to_server.sent());
    while waits.len() < most && pair.step() {
        if pair.to_server.sent() > sent {
            waits.push(pair.now - last);
            (last, sent) = (pair.now, pair.to_server.sent());
        }
    }
    waits
}

fn is_refused<T>(outcome: Result<T, ConfigError>) -> bool {
    matches!(outcome, Err(ConfigError::OutOfRange { .. }))
}

/// RFC 6347 §4.2.4.1: the wait doubles from the first to the longest.
#[test]
fn a_client_waits_from_the_first_timeout_to_the_longest() {
    let timeouts = |first, longest| exact().retransmission_timeouts(first, longest);
    let policy = timeouts(ms(200), ms(700)).unwrap();
    assert_eq!(waits(policy, 5), [200, 400, 700, 700, 700].map(ms));
    for (first, longest) in [(10, 10), (60_000, 3_600_000)] {
        let policy = timeouts(ms(first), ms(longest)).unwrap();
        let policy = policy.handshake_deadline(None);
        let doubled = ms(longest.min(2 * first));
        assert_eq!(waits(policy, 2), [ms(first), doubled]);
    }
    for (first, longest) in [(9, 60), (60_001, 60_001), (100, 99), (100, 3_600_001)] {
        let refused = is_refused(timeouts(ms(first), ms(longest)));
        assert!(refused, "{first} {longest}");
    }
}

/// Clients that begin together do not come back together.
#[test]
fn a_wait_is_longer_by_no_more_than_the_jitter() {
    for (percent, seen) in [(0, 1000..=1000), (100, 1250..=2000)] {
        let policy = || exact().timer_jitter(percent).unwrap();
        let waits: Vec<_> = (0..40).map(|_| waits(policy(), 1)[0]).collect();
        let all = ms(1000)..=ms(1000) * (100 + u32::from(percent)) / 100;
        assert!(waits.iter().all(|wait| all.contains(wait)), "{waits:?}");
        // By chance all are short once in 4^40 runs.
        let longest = waits.iter().max().unwrap();
        assert!((ms(*seen.start())..=ms(*seen.end())).contains(longest));
    }
    assert!(is_refused(exact().timer_jitter(101)));
}

/// RFC 6347 §4.2.4 leaves it open when to give up.
#[test]
fn a_flight_is_sent_again_so_many_times() {
    for count in [0, 1, 4] {
        let policy = exact().max_retransmissions(Some(count));
        assert_eq!(waits(policy, 99).len(), count as usize);
    }
}

#[test]
fn a_client_gives_up_when_its_deadline_has_passed() {
    let mut pair = unheard(exact().handshake_deadline(Some(ms(5000))));
    pair.run_for(ms(4999));
    assert_eq!(failure(&pair.client_events), None);
    pair.run_for(ms(1));
    let error = failure(&pair.client_events).unwrap().error;
    assert!(matches!(error, Error::TimedOut { after, .. } if after == ms(5000)));
    // Without one it goes on.
    let mut pair = unheard(exact().handshake_deadline(None));
    pair.run_for(Duration::from_secs(86_400));
    assert_eq!(failure(&pair.client_events), None);
    assert!(!pair.client.is_empty());
}

#[test]
fn a_server_gives_up_when_its_deadline_has_passed() {
    for versions in VERSIONS {
        let mut ends = Ends::new().versions(versions);
        let deadline = Some(ms(5000));
        ends.server = ends.server.datagram(exact().handshake_deadline(deadline));
        let mut pair = half_open(&ends.build());
        pair.run_for(ms(4900));
        assert_eq!(failure(&pair.server_events), None, "{versions:?}");
        pair.run_for(ms(100));
        let error = failure(&pair.server_events).unwrap().error;
        assert!(matches!(error, Error::TimedOut { .. }), "{versions:?}");
    }
}

/// A server that has just begun with a client which is never heard again.
fn half_open(configs: &Configs) -> Pair {
    let mut pair = configs.pair(1);
    while pair.server.half_open() == 0 {
        pair.step();
    }
    pair.to_server.script(|_, _| Fate::Drop);
    pair
}
