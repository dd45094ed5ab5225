//! What waits to be fetched and what waits to be sent is as much as the policies say.

use crate::common::configs::{Ends, exact, server_name, start};
use crate::common::transport::{BOTH, Duo, Transport};
use sealgram::Side;
use sealgram::config::{DatagramPolicy, StreamPolicy, Versions};
use sealgram::error::{ConfigError, SendError};
use sealgram::record::Discard;
use sealgram::sim::StreamPair;
use std::time::Duration;

/// How many of so many datagrams of this length a server keeps that fetches none, and how many it
/// has dropped.
fn kept(policy: DatagramPolicy, sent: usize, length: usize) -> (usize, u64) {
    let mut ends = Ends::new();
    ends.server = ends.server.datagram(policy);
    let mut pair = ends.build().connected(1);
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    for _ in 0..sent {
        let mut client = pair.client.association(pair.now, client).unwrap();
        client.send(&vec![7; length]).unwrap();
        drop(client);
        // More at once would not fit on the link.
        pair.run_for(Duration::from_millis(10));
    }
    pair.run_for(Duration::from_secs(1));
    let stats = pair.server_connection().unwrap().stats();
    let dropped = stats.discarded(Discard::ReceiveQueueFull);
    let mut server = pair.server.association(pair.now, server).unwrap();
    let fetched = std::iter::from_fn(|| server.recv());
    (fetched.count(), dropped)
}

#[test]
fn as_many_datagrams_wait_to_be_fetched_as_the_policy_says() {
    for count in [1, 3] {
        let policy = exact().receive_queue(count, 65_536).unwrap();
        assert_eq!(kept(policy, 5, 1), (count, (5 - count) as u64));
    }
    // And as many bytes: with its header and its tag a datagram has 37 more.
    let policy = exact().receive_queue(65_536, 65_536).unwrap();
    let fit = 65_536 / 1037;
    assert_eq!(kept(policy, 100, 1000), (fit, 100 - fit as u64));
    let policy = exact().receive_queue(65_536, 1 << 30).unwrap();
    assert_eq!(kept(policy, 1100, 1000), (1100, 0));
    for (count, bytes) in [
        (0, 65_536),
        (65_537, 65_536),
        (1, 65_535),
        (1, (1 << 30) + 1),
    ] {
        let refused = exact().receive_queue(count, bytes);
        assert!(is_refused(refused), "{count} {bytes}");
    }
}

/// How many bytes a client takes to be sent while its transport takes none.
fn taken(ends: Ends, transport: Transport) -> usize {
    let mut duo = Duo::connected(transport, &ends.build());
    let mut taken = 0;
    loop {
        let outcome = match &mut duo {
            Duo::Dtls(pair) => {
                let id = pair.client_id().unwrap();
                let mut client = pair.client.association(pair.now, id).unwrap();
                client.send(&[7; 1000]).map(|()| 1000)
            }
            Duo::Tls(pair) => pair.client.connection.send(pair.now, &[7; 1000]),
        };
        match outcome {
            Ok(length) => taken += length,
            Err(error) => {
                assert_eq!(error, SendError::Backlog);
                return taken;
            }
        }
        assert!(taken < 1 << 21);
    }
}

#[test]
fn as_many_bytes_wait_to_be_sent_as_the_policies_say() {
    for bytes in [65_536, 1 << 20] {
        let mut ends = Ends::new();
        ends.client = ends.client.datagram(exact().send_queue(bytes).unwrap());
        let taken = taken(ends, Transport::Dtls);
        assert!((bytes * 9 / 10..=bytes).contains(&taken), "{taken}");
    }
    for bytes in [32_768, 1 << 20] {
        let mut ends = Ends::new();
        let policy = StreamPolicy::default().send_queue(bytes).unwrap();
        ends.client = ends.client.stream(policy);
        let taken = taken(ends, Transport::Tls);
        assert!((bytes * 9 / 10..=bytes).contains(&taken), "{taken}");
    }
    for bytes in [65_535, (1 << 30) + 1] {
        assert!(is_refused(exact().send_queue(bytes)), "{bytes}");
    }
    for bytes in [32_767, (1 << 30) + 1] {
        assert!(is_refused(StreamPolicy::default().send_queue(bytes)));
    }
}

/// More stays with the caller, so that the transport slows the peer down.
#[test]
fn a_stream_takes_in_as_many_bytes_as_the_policy_says() {
    for bytes in [32_768, 1 << 20] {
        let mut ends = Ends::new();
        let policy = StreamPolicy::default().receive_queue(bytes).unwrap();
        ends.server = ends.server.stream(policy);
        let send = StreamPolicy::default().send_queue(1 << 22).unwrap();
        ends.client = ends.client.stream(send);
        let mut duo = Duo::connected(Transport::Tls, &ends.build());
        let Duo::Tls(pair) = &mut duo else {
            unreachable!()
        };
        let data = vec![7; 1 << 21];
        assert_eq!(pair.client.connection.send(pair.now, &data), Ok(data.len()));
        let mut arrived = bytes::BytesMut::from(&pair.client.transmit(pair.now)[..]);
        let server = &mut pair.server.connection;
        server.handle_bytes(pair.now, &mut arrived).unwrap();
        let waiting: usize = std::iter::from_fn(|| server.recv())
            .map(|received| received.data.len())
            .sum();
        assert!(
            (bytes / 2 - (1 << 12)..=bytes).contains(&waiting),
            "{bytes}: {waiting}"
        );
    }
    for bytes in [32_767, (1 << 30) + 1] {
        assert!(is_refused(StreamPolicy::default().receive_queue(bytes)));
    }
}

/// A certificate chain must fit.
#[test]
fn a_message_is_taken_if_it_is_as_long_as_the_policies_say() {
    for transport in BOTH {
        for (limit, chain, taken) in [
            (4096, 6_000, false),
            (1 << 17, 6_000, true),
            // By default neither transport takes this.
            (1 << 17, 70_000, true),
        ] {
            let mut ends = Ends::with_chain(chain);
            ends.client = ends
                .client
                .datagram(exact().max_message(limit).unwrap())
                .stream(StreamPolicy::default().max_message(limit).unwrap());
            let mut duo = Duo::connecting(transport, &ends.build());
            duo.run_for(Duration::from_secs(5));
            let error = duo.error(Side::Client).map(|error| error.to_string());
            let named = error.is_some_and(|text| text.contains("max_message"));
            let case = format!("{transport:?} {limit} {chain}");
            assert_eq!(named, !taken, "{case}");
            assert_eq!(!duo.handshakes(Side::Client).is_empty(), taken, "{case}");
        }
    }
    for bytes in [4095, (1 << 17) + 1] {
        assert!(is_refused(exact().max_message(bytes)), "{bytes}");
    }
    for bytes in [4095, (1 << 20) + 1] {
        assert!(is_refused(StreamPolicy::default().max_message(bytes)));
    }
}

fn is_refused<T>(outcome: Result<T, ConfigError>) -> bool {
    matches!(outcome, Err(ConfigError::OutOfRange { .. }))
}

/// What has waited for the end of a renegotiation is more than the send queue holds once it is
/// sealed. All of it leaves, also where the caller asks first whether there is something to send.
#[test]
fn a_stream_says_that_it_has_something_to_send_while_data_waits_for_room() {
    let mut ends = Ends::new();
    ends.client = ends
        .client
        .stream(StreamPolicy::default().send_queue(1 << 16).unwrap());
    let configs = ends.versions(Versions::V1_2).build();
    let (client, server) = (configs.client.clone(), configs.server.clone());
    let mut pair = StreamPair::new(start(), client, server, server_name()).unwrap();
    pair.run();
    let StreamPair {
        client,
        server,
        now,
        ..
    } = &mut pair;
    client.connection.renegotiate().unwrap();
    let hello = client.transmit(*now);
    let mut waits = 0;
    while let Ok(taken) = client.connection.send(*now, &[7; 1024]) {
        waits += taken;
    }
    // The server refuses, so that everything leaves under the old keys.
    server.deliver(*now, &hello);
    client.deliver(*now, &server.transmit(*now));
    let mut out = Vec::new();
    while client.connection.has_transmit() {
        client.connection.poll_transmit(*now, &mut out).unwrap();
        server.deliver(*now, &out);
        out.clear();
    }
    assert_eq!(server.received.len(), waits);
    assert!(waits > 1 << 15 && client.connection.buffered() == 0);
}
