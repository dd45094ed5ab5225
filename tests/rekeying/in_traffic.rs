//! Renegotiation in the middle of traffic: with loss, from both sides, by call and by policy.
//!
//! `SEALGRAM_SEEDS=a..b` runs other seeds; a failure names its own.

use crate::common::configs::{Configs, Ends};
use crate::common::handshakes::{
    ALERT, Kind, SIDES, assert_agreed, assert_quiet, connection, decide, is_in_epoch, records,
    renegotiate, willing,
};
use crate::common::seeds::seeds;
use crate::common::traffic::{Account, Traffic, Weather};
use sealgram::Side;
use sealgram::config::ClientRenegotiation::Allow;
use sealgram::config::DataDuringRenegotiation::{self, Flow, Hold};
use sealgram::config::{DatagramPolicy, RekeyPolicy};
use sealgram::error::RenegotiateError;
use sealgram::record::{Discard, Initiator};
use sealgram::sim::{Conditions, Direction, Fate, Pair};
use std::ops::Range;
use std::time::Duration;

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

/// How often an end that has just spoken renegotiates, and how often it would resume the session in
/// force, in percent.
#[derive(Clone, Copy)]
struct Habits {
    renegotiate: u64,
    abbreviated: u64,
}

/// Three seconds or so of traffic in both directions, in which both ends renegotiate at random.
fn talk(traffic: &mut Traffic, habits: Habits) {
    for _ in 0..100 {
        for side in SIDES {
            for _ in 0..traffic.dice.below(4) {
                traffic.send(side);
            }
            if traffic.dice.is(habits.renegotiate) {
                let abbreviated = traffic.dice.is(habits.abbreviated);
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

fn simulate(name: &str, configs: &Configs, habits: Habits, seeds: Range<u64>) -> Account {
    let (mut sum, mut times, runs) = (Account::default(), Vec::new(), seeds.end - seeds.start);
    // The client knows a session from here on, so that a seed alone repeats what it did among
    // others.
    configs.connected(0);
    for seed in seeds {
        let mut traffic = Traffic::new(configs, BAD, seed, name);
        talk(&mut traffic, habits);
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

/// E7, E16: nothing is delivered twice, altered, or in the wrong epoch; nothing is lost in silence;
/// everything ends.
#[test]
fn traffic_goes_on_while_both_ends_renegotiate() {
    let habits = Habits {
        renegotiate: 4,
        abbreviated: 50,
    };
    for data in [Hold, Flow] {
        let (client, server) = with_data(data);
        let configs = configs(&patient(), client, server);
        let name = format!("{data:?}");
        let sum = simulate(&name, &configs, habits, seeds(0..1000));
        assert_eq!(sum.refused, 0);
        assert!(sum.resumed > 0 && sum.resumed < sum.renegotiations);
    }
}

/// E7: the client's ClientHello and the server's HelloRequest pass each other, and one handshake
/// comes of both.
#[test]
fn both_ends_begin_at_once() {
    let (client, server) = with_data(Hold);
    let configs = configs(&patient(), client, server);
    configs.connected(0);
    for seed in seeds(0..1000) {
        let mut traffic = Traffic::new(&configs, BAD, seed, "at once");
        crate::common::handshakes::begin(&mut traffic.pair, Kind::Crossing);
        traffic.run_for(Duration::from_millis(1));
        traffic.settle(LIMIT);
        assert_eq!(traffic.close_account().renegotiations, 1, "seed {seed}");
    }
}

/// Timers that fire before any answer can have come fill the network with copies of every flight.
/// Where the server takes a copy of a hello that the client has given up, only its deadline ends
/// that.
fn impatient() -> DatagramPolicy {
    DatagramPolicy::default()
        .retransmission_timeouts(Duration::from_millis(10), Duration::from_secs(60))
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
    // A refused hello is repeated as it was, because a copy of it may be taken later; a hello of
    // another kind cannot be. So there is only one kind where copies are many.
    let cases = [("patient", patient(), 50), ("impatient", impatient(), 0)];
    for (name, datagram, abbreviated) in cases {
        let habits = Habits {
            renegotiate: 4,
            abbreviated,
        };
        for mtu in [1400, 256] {
            let datagram = datagram.clone().mtu(mtu).unwrap();
            for follow in [true, false] {
                let client = RekeyPolicy::default().follow_hello_requests(follow);
                let configs = configs(&datagram, client, server());
                let name = format!("refusals, {name}, {mtu}, follows {follow}");
                let sum = simulate(&name, &configs, habits, seeds(0..250));
                assert!(sum.refused > 0 && sum.renegotiations > 0);
            }
        }
    }
}

/// A path on which an answer takes longer than the timer, so that a ClientHello is repeated while
/// its refusal is on the way; and the server has refused one.
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

/// The server may take the copy of a hello that it has refused, when it wants a handshake itself by
/// then. The client has given that hello up; its next one must fit the server's answer all the
/// same.
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

/// Of the copy of a refused hello only a part arrives. The next hello, a longer one, is not
/// mistaken for the rest of it.
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

/// By bytes, with one end or both counting: every 4,096 bytes of data there are new keys, loss or
/// not.
#[test]
fn keys_are_replaced_by_the_amount_of_data() {
    const BYTES: u64 = 4096;
    let by_bytes = |policy: RekeyPolicy| policy.bytes(Some(BYTES)).unwrap();
    let never = RekeyPolicy::default();
    let cases = [
        ("client", by_bytes(never.clone()), willing()),
        ("server", never.clone(), by_bytes(never.clone())),
        ("both", by_bytes(never.clone()), by_bytes(willing())),
    ];
    let habits = Habits {
        renegotiate: 0,
        abbreviated: 0,
    };
    for (name, client, server) in cases {
        let configs = configs(&patient(), client, server);
        let sum = simulate(name, &configs, habits, seeds(0..100));
        assert_eq!((sum.refused, sum.resumed), (0, 0), "{name}");
        // An end sends some 14 kilobytes in a run, and receives fewer.
        assert!(sum.renegotiations >= 2 * 100, "{name}");
    }
}

/// By time: looked at when data is sent or received, so that an idle association stays idle.
#[test]
fn keys_are_replaced_after_an_interval_when_there_is_data() {
    let minute = Duration::from_secs(60);
    let by_time = |policy: RekeyPolicy| policy.interval(Some(minute)).unwrap();
    let never = RekeyPolicy::default();
    for (client, server) in [
        (by_time(never.clone()), willing()),
        (never.clone(), by_time(never.clone())),
        (by_time(never.clone()), by_time(willing())),
    ] {
        let mut pair = configs(&patient(), client, server).connected(1);
        pair.run_for(minute - Duration::from_secs(1));
        assert!(pair.exchange(1));
        pair.run_for(minute);
        assert!(is_in_epoch(&pair, 1), "nobody has sent anything");
        assert!(pair.exchange(1));
        pair.run_for(Duration::from_secs(1));
        assert!(is_in_epoch(&pair, 2));
        assert_agreed(&mut pair, "by interval");
        assert_quiet(&mut pair, "by interval");
    }
}

/// A client whose server refuses does not ask again before the pause is over.
#[test]
fn automatic_rekeying_waits_for_a_minute_after_a_refusal() {
    let client = RekeyPolicy::default().bytes(Some(512)).unwrap();
    let mut pair = configs(&patient(), client, RekeyPolicy::default()).connected(1);
    let refused = |pair: &Pair| {
        let counts = connection(pair, Side::Client)
            .stats()
            .renegotiations_by(Initiator::Automatic);
        assert_eq!((counts.started, counts.completed), (counts.refused, 0));
        counts.refused
    };
    assert!(pair.exchange(40));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(refused(&pair), 1);
    for _ in 0..58 {
        assert!(pair.exchange(1));
        pair.run_for(Duration::from_secs(1));
    }
    assert_eq!(refused(&pair), 1);
    pair.run_for(Duration::from_secs(2));
    assert!(pair.exchange(1));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(refused(&pair), 2);
    assert_agreed(&mut pair, "refused twice");
}

/// Twice the maximum segment lifetime (RFC 793).
const GRACE: Duration = Duration::from_secs(240);

/// Two ends in epoch 2, and two datagrams with data of the client in epoch 1 that have not arrived.
fn with_old_data() -> (Pair, [Vec<u8>; 2]) {
    let mut pair = configs(
        &DatagramPolicy::default(),
        RekeyPolicy::default(),
        willing(),
    )
    .connected(1);
    pair.record();
    decide(&mut pair, |_, _| Fate::Drop);
    for data in [b"first", b"other"] {
        crate::common::handshakes::send(&mut pair, Side::Client, data).unwrap();
    }
    pair.run_for(Duration::from_millis(100));
    let late: Vec<_> = pair.seen.take().unwrap_or_default();
    let late = late
        .into_iter()
        .map(|seen| seen.datagram)
        .collect::<Vec<_>>();
    decide(&mut pair, |_, _| Fate::Deliver);
    renegotiate(&mut pair, Side::Client, false).unwrap();
    assert!(pair.run_until(Duration::from_secs(5), |pair| is_in_epoch(pair, 2)));
    (pair, late.try_into().unwrap())
}

fn received(pair: &mut Pair) -> Vec<(u64, Vec<u8>)> {
    let id = pair.server_id().unwrap();
    std::iter::from_fn(|| pair.server.association(pair.now, id).unwrap().recv())
        .map(|received| (received.epoch.number(), received.data.to_vec()))
        .collect()
}

fn old_epochs(pair: &Pair) -> u64 {
    connection(pair, Side::Server)
        .stats()
        .discarded(Discard::OldEpoch)
}

/// E21: data of the old epoch is delivered, once, for twice the MSL, and not after that.
#[test]
fn data_of_the_old_epoch_is_taken_for_twice_the_msl() {
    let (mut pair, [first, other]) = with_old_data();
    pair.run_for(GRACE - Duration::from_secs(1));
    pair.deliver_to_server(&first);
    pair.deliver_to_server(&first);
    assert_eq!(received(&mut pair), [(1, b"first".to_vec())]);
    pair.run_for(Duration::from_secs(2));
    pair.deliver_to_server(&other);
    assert_eq!(received(&mut pair), []);
    assert_eq!(old_epochs(&pair), 1);
}

/// E21: also when another renegotiation is under way at that moment, and comes to nothing.
#[test]
fn the_old_epoch_ends_in_the_middle_of_a_renegotiation_too() {
    let (mut pair, [first, other]) = with_old_data();
    pair.run_for(GRACE - Duration::from_secs(1));
    pair.deliver_to_server(&first);
    assert_eq!(received(&mut pair).len(), 1);
    // The server gets the hello, and the client no answer.
    decide(&mut pair, |(direction, _), _| match direction {
        Direction::ToServer => Fate::Deliver,
        Direction::ToClient => Fate::Drop,
    });
    renegotiate(&mut pair, Side::Client, false).unwrap();
    pair.run_for(Duration::from_secs(300));
    assert!(is_in_epoch(&pair, 2), "both have given up");
    pair.deliver_to_server(&other);
    assert_eq!(received(&mut pair), []);
    assert_eq!(old_epochs(&pair), 1);
}

/// The client gives up when only a part of the server's answer has come, and the server has not
/// given up when the client tries again.
#[test]
fn an_attempt_after_half_an_answer_fits_the_rest_of_it() {
    let server = patient().mtu(256).unwrap();
    let client = server.clone().max_retransmissions(Some(2));
    let mut ends = Ends::new().resuming();
    ends.client = ends.client.datagram(client);
    ends.server = ends.server.datagram(server).rekey(willing());
    let mut pair = ends.build().connected(1);
    // Of each flight of the server the ServerHello arrives, and nothing else.
    decide(&mut pair, |(direction, place), _| {
        if direction == Direction::ToClient && place > 0 {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    renegotiate(&mut pair, Side::Client, false).unwrap();
    // The client's last try ends after 7 s; the server's next one comes after 15 s.
    pair.run_for(Duration::from_secs(12));
    let counts = connection(&pair, Side::Client)
        .stats()
        .renegotiations_by(Initiator::Local);
    assert_eq!((counts.started, counts.refused), (1, 1), "it has given up");
    assert!(connection(&pair, Side::Server).renegotiate_pending());
    decide(&mut pair, |_, _| Fate::Deliver);
    renegotiate(&mut pair, Side::Client, false).unwrap();
    pair.run_for(Duration::from_secs(30));
    assert!(
        is_in_epoch(&pair, 2),
        "{:?} {:?}",
        pair.client_events,
        pair.server_events
    );
    assert_agreed(&mut pair, "after half an answer");
}

/// The client refuses a HelloRequest and then begins of its own accord. If its hello overtakes its
/// refusal, the handshake goes on.
#[test]
fn a_refusal_that_comes_after_the_clients_hello_is_late() {
    for abbreviated in [false, true] {
        let client = RekeyPolicy::default().follow_hello_requests(false);
        let configs = configs(&DatagramPolicy::default(), client, willing());
        let mut pair = configs.connected(1);
        pair.record();
        let is_alert = |datagram: &[u8]| records(datagram)[0].0.content_type == ALERT;
        decide(&mut pair, move |_, datagram| {
            if is_alert(datagram) {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        });
        renegotiate(&mut pair, Side::Server, false).unwrap();
        pair.run_for(Duration::from_millis(100));
        let seen = pair.seen.take().unwrap_or_default();
        let refusal = seen.iter().find(|seen| is_alert(&seen.datagram));
        let refusal = refusal.expect("the client refuses").datagram.clone();
        renegotiate(&mut pair, Side::Client, abbreviated).unwrap();
        let answered = pair.to_client.sent();
        assert!(pair.run_until(Duration::from_secs(1), |pair| {
            pair.to_client.sent() > answered
        }));
        pair.deliver_to_server(&refusal);
        assert!(
            pair.run_until(Duration::from_secs(60), |pair| is_in_epoch(pair, 2)),
            "{:?} {:?}",
            pair.client_events,
            pair.server_events
        );
        assert_agreed(&mut pair, "a late refusal");
    }
}
