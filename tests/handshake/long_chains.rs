//! Certificate chains that fill many datagrams: what a flight of them costs on a perfect link and
//! on a bad one, and what happens to one that is longer than its receiver takes.

use crate::common::configs::Ends;
use sealgram::config::{DatagramPolicy, PlaintextAlerts, Versions};
use sealgram::record::Discard;
use sealgram::sim::{Conditions, Direction, Pair};
use sealgram::{Failure, HandshakeKind, Side};
use std::time::Duration;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

fn policy(mtu: usize) -> DatagramPolicy {
    let policy = DatagramPolicy::default().mtu(mtu).unwrap();
    policy.max_message(1 << 17).unwrap()
}

/// How many bytes went in this direction, and in how many datagrams.
fn sent(pair: &Pair, direction: Direction) -> (usize, usize) {
    let seen = pair.seen.iter().flatten();
    let lengths = seen
        .filter(|it| it.direction == direction)
        .map(|it| it.datagram.len());
    let lengths: Vec<_> = lengths.collect();
    (lengths.iter().sum(), lengths.len())
}

/// What the peer has got that it had already.
fn got_again(pair: &Pair) -> u64 {
    let ends = [pair.client_connection(), pair.server_connection()];
    let again = |end: &sealgram::DtlsConnection| end.stats().discarded(Discard::OldMessage);
    ends.into_iter().flatten().map(again).sum()
}

fn sent_again(pair: &Pair) -> u64 {
    let ends = [pair.client_connection(), pair.server_connection()];
    let again = |end: &sealgram::DtlsConnection| end.stats().flights_retransmitted();
    ends.into_iter().flatten().map(again).sum()
}

/// RFC 9147 §7.1: a record with the end of one message and the start of the next is in order, so
/// nothing is acknowledged that would make the server send its flight again.
#[test]
fn on_a_perfect_link_nothing_is_sent_twice() {
    let mut faults = Vec::new();
    for versions in VERSIONS {
        for bytes in [1_000, 3_000, 10_000, 30_000] {
            for mtu in [1400, 1200, 548, 256] {
                for mutual in [false, true] {
                    let mut ends = Ends::with_chain(bytes).versions(versions);
                    if mutual {
                        ends = ends.mutual_with_chain(bytes);
                    }
                    let mut pair = ends.datagram(&policy(mtu)).build().pair(1);
                    pair.record();
                    let connected = pair.run_until_connected(Duration::from_secs(20));
                    pair.run_for(Duration::from_secs(5));
                    let ways = [Direction::ToClient, Direction::ToServer];
                    let [to_client, to_server] = ways.map(|way| {
                        let (total, datagrams) = sent(&pair, way);
                        let chain = if way == Direction::ToClient || mutual {
                            bytes
                        } else {
                            0
                        };
                        // Headers and tags; the other messages, acknowledgements, the last
                        // certificate of the chain.
                        let acks = 16 * 64 * datagrams / 3;
                        total.saturating_sub(chain + 65 * datagrams + 2_500 + acks)
                    });
                    let again = (sent_again(&pair), got_again(&pair), to_client, to_server);
                    if !connected || again != (0, 0, 0, 0) {
                        faults.push(format!(
                            "{versions:?}, {bytes} bytes, MTU {mtu}, mutual {mutual}: connected {connected}, flights sent \
                             again, fragments got again, bytes too many to client and server: {again:?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}: {faults:#?}", faults.len());
}

/// RFC 9147 §5.8.3: what leaves in bursts goes on as soon as the peer can have said that they
/// arrived.
#[test]
fn a_long_flight_is_not_held_up_by_timers_on_a_perfect_link() {
    let mut slow = Vec::new();
    for versions in VERSIONS {
        for bytes in [30_000, 60_000, 127_000] {
            for mutual in [false, true] {
                let mut ends = Ends::with_chain(bytes).versions(versions);
                if mutual {
                    ends = ends.mutual_with_chain(bytes);
                }
                let mut pair = ends.datagram(&policy(1400)).build().pair(1);
                let connected = pair.run_until_connected(Duration::from_secs(20));
                let took = pair.now - pair.start;
                println!("{versions:?}, {bytes} bytes, mutual {mutual}: {took:?}");
                let limit = Duration::from_millis(if mutual { 350 } else { 220 });
                if !connected || took > limit {
                    let failures = failures(&pair);
                    slow.push(format!(
                        "{versions:?}, {bytes}, mutual {mutual}: {took:?} {failures:?}"
                    ));
                }
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// RFC 9147 §7.2: under loss what is missing is sent again, not what is on its way.
#[test]
fn losses_in_a_long_flight_do_not_cause_a_storm() {
    for versions in VERSIONS {
        for loss in [0.05, 0.2] {
            let configs = Ends::with_chain(30_000)
                .versions(versions)
                .mutual_with_chain(30_000)
                .datagram(&policy(1400).handshake_deadline(None))
                .build();
            let (mut most, mut times) = (0, Vec::new());
            for seed in 0..60 {
                let mut pair = configs.pair(seed);
                pair.set_conditions(&Conditions {
                    loss,
                    duplicate: 0.05,
                    reorder: 4,
                    ..Conditions::default()
                });
                pair.record();
                let connected = pair.run_until_connected(Duration::from_secs(3600));
                assert!(
                    connected,
                    "{versions:?}, loss {loss}, seed {seed}: {:?} {:?} {:?} {:?}",
                    pair.client_events, pair.server_events, pair.client, pair.server
                );
                times.push(pair.now - pair.start);
                let ways = [Direction::ToClient, Direction::ToServer];
                let bytes = ways.map(|way| sent(&pair, way).0);
                most = most.max(bytes[0]).max(bytes[1]);
            }
            times.sort_unstable();
            let (median, slowest) = (times[30], times[59]);
            println!(
                "{versions:?}, loss {loss}: at most {most} bytes a direction, median {median:?}, slowest {slowest:?}"
            );
            if versions == Versions::V1_3 {
                assert!(most < 4 * 30_000, "loss {loss}: {most}");
                let limit = Duration::from_secs(if loss > 0.1 { 5 } else { 2 });
                assert!(median < limit, "loss {loss}: {median:?}");
            }
        }
    }
}

fn failures(pair: &Pair) -> [Option<Failure>; 2] {
    [&pair.client_events, &pair.server_events]
        .map(|events| crate::common::datagram_harness::failure(events))
}

/// A chain that is longer than `max_message` is told apart from silence, at 1.2 as at 1.3, and in
/// either role.
#[test]
fn a_chain_beyond_the_limit_is_not_reported_as_silence() {
    for versions in VERSIONS {
        for long in [Side::Server, Side::Client] {
            let mut ends = match long {
                Side::Server => Ends::with_chain(40_000),
                Side::Client => Ends::new().mutual_with_chain(40_000),
            };
            ends = ends.versions(versions).resuming();
            let mut pair = ends.build().pair(1);
            pair.run_for(Duration::from_secs(2));
            let both = failures(&pair);
            let [receiver, sender] = match long {
                Side::Server => both,
                Side::Client => [both[1].clone(), both[0].clone()],
            };
            let text = receiver.map(|it| it.to_string()).unwrap_or_default();
            assert!(
                text.contains("max_message"),
                "{versions:?}, {long}: {text:?}"
            );
            let text = sender.map(|it| it.to_string()).unwrap_or_default();
            assert!(
                text.contains("decode_error"),
                "{versions:?}, {long}: {text:?}"
            );
        }
    }
}

/// Where nothing unprotected ends an attempt, the deadline says what was seen.
#[test]
fn a_chain_beyond_the_limit_is_named_at_the_deadline_where_nothing_unprotected_is_believed() {
    let policy = DatagramPolicy::default().plaintext_alerts(PlaintextAlerts::Ignore);
    let ends = Ends::with_chain(40_000).datagram(&policy);
    let mut pair = ends.build().pair(1);
    pair.run_for(Duration::from_secs(119));
    assert_eq!(failures(&pair), [None, None]);
    pair.run_for(Duration::from_secs(10));
    let text = failures(&pair)[0].clone().unwrap().to_string();
    assert!(text.contains("max_message"), "{text}");
}

/// A client with a long chain comes again: what a ticket holds of it must not make a hello that no
/// server takes.
#[test]
fn a_client_with_a_long_chain_comes_again() {
    for versions in VERSIONS {
        for bytes in [0, 3_000, 10_000, 30_000] {
            let ends = Ends::new().mutual_with_chain(bytes);
            let configs = ends.versions(versions).resuming().build();
            let mut pair = configs.connected(1);
            pair.run_for(Duration::from_secs(2));
            assert!(configs.connected(2).exchange(3), "{versions:?}, {bytes}");
        }
    }
}

/// A hello that comes in pieces and is longer than what is put together of strangers is refused at
/// once.
#[test]
fn a_hello_beyond_the_limit_is_not_reported_as_silence() {
    let names: Vec<_> = (0..26).map(|number| vec![b'a' + number; 250]).collect();
    let names: Vec<_> = names.iter().map(Vec::as_slice).collect();
    for versions in [Versions::V1_3, Versions::ALL] {
        for mtu in [256, 1400] {
            let policy = DatagramPolicy::default().mtu(mtu).unwrap();
            let mut ends = Ends::new().versions(versions).datagram(&policy);
            ends.client = ends.client.alpn(&names).unwrap();
            let mut pair = ends.build().pair(1);
            pair.run_for(Duration::from_secs(2));
            let failure = failures(&pair)[0].clone().map(|it| it.to_string());
            let text = failure.unwrap_or_default();
            assert!(
                text.contains("decode_error"),
                "{versions:?}, MTU {mtu}: {text:?}"
            );
        }
    }
}

/// RFC 8446 §4.6.1, RFC 5077: a ticket remembers who the client is, so it is as long as the
/// client's chain, and a hello that offers it takes several datagrams. A chain that no ticket holds
/// is shown again.
#[test]
fn a_ticket_with_a_long_chain_of_the_client_is_good() {
    for versions in VERSIONS {
        for bytes in [1_000, 3_000, 6_000, 16_000, 60_000] {
            // A server of 1.2 answers the beginning of a hello; one of 1.3 needs the whole of it
            // before it knows anything of its sender, and so it takes less.
            let longest = if versions == Versions::V1_2 {
                7_000
            } else {
                3_700
            };
            let kind = match bytes < longest {
                true => HandshakeKind::Resumed,
                false => HandshakeKind::Full,
            };
            for (mtu, loss) in [(1400, 0.0), (548, 0.0), (1400, 0.1), (548, 0.1)] {
                let ends = Ends::with_chain(2_000).versions(versions).resuming();
                let ends = ends.mutual_with_chain(bytes).datagram(&policy(mtu));
                let configs = ends.build();
                let mut kinds = Vec::new();
                for seed in 0..if loss > 0.0 { 12 } else { 2 } {
                    let mut pair = configs.pair(seed);
                    pair.set_conditions(&Conditions {
                        loss,
                        ..Conditions::default()
                    });
                    let connected = pair.run_until_connected(Duration::from_secs(120));
                    let name =
                        format!("{versions:?}, {bytes} bytes, MTU {mtu}, loss {loss}, {seed}");
                    assert!(connected, "{name}: {:?}", failures(&pair));
                    // A ticket of 1.3 comes after the handshake.
                    pair.run_for(Duration::from_secs(60));
                    kinds.extend(pair.client_connection().and_then(|it| it.handshake_kind()));
                }
                let mut later = kinds.split_off(1);
                assert_eq!(kinds, [HandshakeKind::Full]);
                later.dedup();
                assert_eq!(later, [kind], "{versions:?}, {bytes}, {mtu}, {loss}");
            }
        }
    }
}
