//! Data that waits for the end of a renegotiation, beside a send queue that is full.

use crate::common::configs::{Ends, server_name, start};
use sealgram::Side;
use sealgram::config::{ClientRenegotiation, RekeyPolicy};
use sealgram::error::SendError;
use sealgram::record::Initiator;
use sealgram::sim::{StreamEnd, StreamPair};
use std::time::Duration;

/// A client with this policy, connected over a stream.
fn connected(rekey: RekeyPolicy) -> StreamPair {
    let mut ends = Ends::new();
    ends.client = ends.client.rekey(rekey);
    let min_interval = Duration::ZERO;
    let willing =
        RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow { min_interval });
    ends.server = ends.server.rekey(willing);
    let configs = ends.build();
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    pair.run();
    pair
}

/// Sends until nothing more is taken. How many bytes that were, and why no more.
fn fill(pair: &mut StreamPair) -> (usize, SendError) {
    let mut taken = 0;
    loop {
        match pair.client.connection.send(pair.now, &[7; 40_000]) {
            Ok(length) => taken += length,
            Err(error) => return (taken, error),
        }
    }
}

/// Lets everything arrive at the server, as far as its own queue has room at a time.
fn read_all(pair: &mut StreamPair) {
    let mut before = None;
    while before.replace(pair.server.received.len()) != Some(pair.server.received.len()) {
        pair.run();
        pair.server.deliver(pair.now, &[]);
    }
}

/// What `send` has taken reaches the peer although the transport was slow when this end closed.
#[test]
fn data_that_waits_behind_a_full_send_queue_leaves_before_a_goodbye() {
    let mut pair = connected(RekeyPolicy::default());
    let now = pair.now;
    let (queued, full) = fill(&mut pair);
    assert_eq!(full, SendError::Backlog);
    pair.client.connection.renegotiate().unwrap();
    pair.client.connection.handle_timeout(now).unwrap();
    let (waiting, full) = fill(&mut pair);
    assert_eq!(full, SendError::Renegotiating);
    pair.client.connection.close(now);
    read_all(&mut pair);
    assert_eq!(pair.server.received.len(), queued + waiting);
}

/// The same when the renegotiation is over, and a part of the data has left.
#[test]
fn data_that_still_waits_after_a_renegotiation_leaves_before_a_goodbye() {
    let mut pair = connected(RekeyPolicy::default());
    let now = pair.now;
    pair.client.connection.renegotiate().unwrap();
    pair.client.connection.handle_timeout(now).unwrap();
    let (waiting, _) = fill(&mut pair);
    let mut queued = 0;
    while pair.client.connection.renegotiations() == 0 {
        let flight = pair.client.transmit(now);
        pair.server.deliver(now, &flight);
        let answer = pair.server.transmit(now);
        pair.client.deliver(now, &answer);
        if pair.client.connection.renegotiations() == 1 {
            queued = fill(&mut pair).0;
        }
    }
    assert!(queued > 0);
    pair.client.connection.close(now);
    read_all(&mut pair);
    assert_eq!(pair.server.received.len(), waiting + queued);
}

/// A sender that is always faster than its transport has data waiting for ever behind its first
/// renegotiation. That uses the keys like any other data.
#[test]
fn a_sender_in_bulk_goes_on_replacing_its_keys() {
    let rekey = RekeyPolicy::default().bytes(Some(1 << 20)).unwrap();
    let mut pair = connected(rekey);
    let now = pair.now;
    let mut sent = 0;
    while sent < 20 << 20 {
        sent += fill(&mut pair).0;
        // One call for each time that the transport has room.
        let mut out = Vec::new();
        pair.client.connection.poll_transmit(now, &mut out);
        pair.server.deliver(now, &out);
        let answer = pair.server.transmit(now);
        pair.client.deliver(now, &answer);
    }
    let counts = pair
        .client
        .connection
        .stats()
        .renegotiations_by(Initiator::Automatic);
    assert!(counts.completed >= 10, "{counts:?}");
}

/// What waits uses the keys up when it leaves before a goodbye. Nothing is begun because of that:
/// close_notify is the last word.
#[test]
fn nothing_is_begun_after_a_goodbye_although_what_left_before_it_has_used_the_keys_up() {
    for side in [Side::Client, Side::Server] {
        let min_interval = Duration::ZERO;
        let policy = RekeyPolicy::default()
            .bytes(Some(30_000))
            .unwrap()
            .client_renegotiation(ClientRenegotiation::Allow { min_interval });
        let mut ends = Ends::new();
        ends.client = ends.client.rekey(policy.clone());
        ends.server = ends.server.rekey(policy);
        let configs = ends.build();
        let mut pair =
            StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
        pair.run();
        let now = pair.now;
        if side == Side::Client {
            // It has renegotiated, and more has waited for that than the transport takes at once.
            pair.client.connection.renegotiate().unwrap();
            pair.client.connection.handle_timeout(now).unwrap();
            fill(&mut pair);
            while pair.client.connection.renegotiations() == 0 {
                let flight = pair.client.transmit(now);
                pair.server.deliver(now, &flight);
                let answer = pair.server.transmit(now);
                pair.client.deliver(now, &answer);
            }
        } else {
            pair.server.connection.renegotiate().unwrap();
            pair.server.connection.handle_timeout(now).unwrap();
            assert!(pair.server.connection.send(now, &[7; 40_000]).unwrap() > 30_000);
        }
        let end = match side {
            Side::Client => &mut pair.client,
            Side::Server => &mut pair.server,
        };
        let begun = |end: &StreamEnd| {
            let stats = end.connection.stats();
            stats.renegotiations_by(Initiator::Automatic).started
        };
        let before = begun(end);
        end.connection.close(now);
        assert!(!end.connection.renegotiate_pending(), "{side}");
        end.transmit(now);
        assert_eq!(begun(end), before, "{side}");
    }
}
