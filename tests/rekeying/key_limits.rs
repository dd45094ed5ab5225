//! The limits of the keys themselves (RFC 9325 §4.4): replaced before they are reached, and never
//! passed. These tests use up real keys, so they seal some twenty million records each.

use crate::common::configs::{Ends, server_name, start};
use bytes::BytesMut;
use sealgram::config::{Algorithms, DatagramPolicy};
use sealgram::endpoint::ProvenHello;
use sealgram::error::SendError;
use sealgram::record::Initiator;
use sealgram::{CipherSuite, DtlsConnection, Error, Event, Path, RenegotiationRefusal};
use std::time::{Duration, Instant};

/// How many records a GCM key may protect: 2^24.5.
const LIMIT: u64 = 23_726_566;

/// Two connected ends, without any network between them.
fn connected() -> (DtlsConnection, DtlsConnection, Instant) {
    let now = start();
    let mut ends = Ends::new();
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let roomy = DatagramPolicy::default().send_queue(1 << 20).unwrap();
    ends.client = ends
        .client
        .algorithms(Algorithms::default().cipher_suites(&[suite]).unwrap())
        .datagram(roomy);
    let configs = ends.build();
    let (to_server, to_client) = (path(2), path(1));
    let mut client =
        DtlsConnection::connect(now, configs.client, server_name(), to_server).unwrap();
    let mut out = Vec::new();
    client.poll_transmit(now, 1, &mut out).unwrap();
    let hello = ProvenHello::without_cookie(to_client, BytesMut::from(&out[..])).unwrap();
    let mut server = DtlsConnection::accept(now, configs.server, hello).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        pass(&mut server, &mut client, now);
        pass(&mut client, &mut server, now);
    }
    (client, server, now)
}

fn path(host: u8) -> Path {
    Path::new(([192, 0, 2, host], 4433).into())
}

fn pass(from: &mut DtlsConnection, to: &mut DtlsConnection, now: Instant) {
    let mut out = Vec::new();
    while from.poll_transmit(now, 1, &mut out).is_some() {
        let datagram = BytesMut::from(&out[..]);
        to.handle_datagram(now, to.path(), datagram).unwrap();
        out.clear();
    }
}

/// Sends until something else than success comes, or `stop` says so. How many records were sent.
fn use_up(
    end: &mut DtlsConnection,
    now: Instant,
    mut stop: impl FnMut(&DtlsConnection) -> bool,
) -> (u64, Option<SendError>) {
    let mut out = Vec::new();
    let mut sent = 0;
    loop {
        if stop(end) {
            return (sent, None);
        }
        if let Err(error) = end.send(now, b"x") {
            return (sent, Some(error));
        }
        sent += 1;
        if sent % 1024 == 0 {
            while end.poll_transmit(now, 64, &mut out).is_some() {
                out.clear();
            }
        }
    }
}

/// A client under a server that says nothing: it asks in time, waits, asks no more for a while, and
/// ends with its key.
#[test]
fn a_key_that_nobody_replaces_is_used_to_its_limit_and_not_beyond() {
    let (mut client, _server, mut now) = connected();
    let (first, none) = use_up(&mut client, now, DtlsConnection::renegotiate_pending);
    assert_eq!(none, None);
    assert!(first > LIMIT / 4 * 3 && first < LIMIT / 10 * 9, "{first}");
    // The handshake begins, nobody answers, and after its deadline the old key goes on.
    while client.poll_transmit(now, 64, &mut Vec::new()).is_some() {}
    now += Duration::from_secs(121);
    client.handle_timeout(now).unwrap();
    let events: Vec<Event> = std::iter::from_fn(|| client.poll_event()).collect();
    let unanswered = Event::RenegotiationRefused {
        reason: RenegotiationRefusal::Unanswered,
    };
    assert_eq!(events.last(), Some(&unanswered));
    let counts = client.stats().renegotiations_by(Initiator::Automatic);
    assert_eq!((counts.started, counts.refused), (1, 1));

    let (rest, error) = use_up(&mut client, now, |_| false);
    assert_eq!(error, Some(SendError::KeyExhausted));
    assert!(first + rest < LIMIT, "{first} + {rest}");
    assert!(first + rest > LIMIT - 1000, "{first} + {rest}");
    assert_eq!(client.failure().unwrap().error, Error::KeyExhausted);
    // The last record of the key tells the peer.
    let mut out = Vec::new();
    let mut last = Vec::new();
    while client.poll_transmit(now, 1, &mut out).is_some() {
        last = std::mem::take(&mut out);
    }
    assert_eq!(last[0], 21, "an alert");
    assert!(client.stats().records_sent() <= LIMIT + 16);
}

/// A server watches what it receives as well: it asks before the client's key is used up, so that a
/// client need not.
#[test]
fn a_server_asks_before_the_key_of_its_client_is_used_up() {
    let (mut client, mut server, now) = connected();
    // All but the last of these records are lost; their numbers have used the key all the same.
    let (sent, _) = use_up(&mut client, now, DtlsConnection::renegotiate_pending);
    let mut out = Vec::new();
    let mut last = Vec::new();
    client.send(now, b"the last").ok();
    while client.poll_transmit(now, 1, &mut out).is_some() {
        if out[0] == 23 {
            last = std::mem::take(&mut out);
        }
        out.clear();
    }
    assert!(sent > LIMIT / 4 * 3);
    let path = server.path();
    server
        .handle_datagram(now, path, BytesMut::from(&last[..]))
        .unwrap();
    assert!(server.renegotiate_pending());
    assert!(server.poll_transmit(now, 1, &mut out).is_some());
    assert_eq!(out[0], 22, "a HelloRequest");
}
