//! Rows of the failure catalogue that are about memory: A3, B1, C6, C8, C12, C13. Every allocation
//! of the test's own thread is counted.

use crate::common::configs::Ends;
use crate::common::datagram_harness::{CLIENT_FLIGHT, DatagramHarness, record, scripted_client};
use crate::counting::bytes;
use bytes::BytesMut;
use sealgram::config::Versions;
use sealgram::endpoint::{Endpoint, EndpointPolicy, Eviction};
use sealgram::sim::scripted::{APPLICATION_DATA, DTLS12, HANDSHAKE, Line, ScriptedPeer, Spoken};
use sealgram::{ClientConfig, DtlsConnection, Event, Path};
use std::sync::Arc;
use std::time::Duration;

fn our_server(policy: EndpointPolicy) -> DatagramHarness {
    let mut ends = Ends::new();
    // Sessions are kept on purpose, and bounded elsewhere.
    ends.server = ends.server.session_store(None);
    let mut harness = DatagramHarness::server_with(ends.build().server, policy, scripted_client());
    // Tables and queues grow to their usual size once.
    for port in 0..64 {
        attempt(&mut harness, 64_000 + port, &CLIENT_FLIGHT);
        close(&mut harness);
    }
    harness
}

/// A newcomer that says hello twice and then these lines. The harness forgets what it saw. No more
/// come in a second than are answered while associations are at work.
fn attempt(harness: &mut DatagramHarness, port: u16, lines: &[Line]) {
    harness.wait(Duration::from_micros(50));
    harness.address = ([198, 51, 100, 1], port).into();
    harness.peer = scripted_client();
    harness.exchange_cookies();
    harness.play(lines);
    forget(harness);
}

fn close(harness: &mut DatagramHarness) {
    let id = harness.id().unwrap();
    harness
        .endpoint
        .association(harness.now, id)
        .unwrap()
        .close();
    harness.listen();
    forget(harness);
    assert!(harness.endpoint.is_empty());
}

fn forget(harness: &mut DatagramHarness) {
    harness.sent = Vec::new();
    harness.events = Vec::new();
    harness.peer = scripted_client();
}

/// C6, C12: handshakes that succeed and end cost nothing in the long run.
#[test]
fn handshakes_that_succeed_and_close_leave_no_byte_behind() {
    let mut harness = our_server(EndpointPolicy::default());
    let before = bytes();
    for round in 0..4000 {
        attempt(&mut harness, 1024 + round % 1000, &CLIENT_FLIGHT);
        close(&mut harness);
    }
    // For as long as a cookie is good, also one whose clock is 10 s ahead, its address is known: a
    // third of a kilobyte each.
    let growth = bytes() - before;
    assert!(growth < 1000 * 333, "{growth} bytes for 1000 addresses");
    harness.wait(Duration::from_secs(161));
    let growth = bytes() - before;
    assert!(growth < 4096, "{growth} bytes after 4000 handshakes");
}

/// C6: handshakes that are given up likewise.
#[test]
fn handshakes_that_fail_leave_no_byte_behind() {
    let mut harness = our_server(EndpointPolicy::default());
    let batch = |harness: &mut DatagramHarness| {
        for port in 0..200 {
            let messages = usize::from(port % 2);
            attempt(harness, 1024 + port, &CLIENT_FLIGHT[..messages]);
        }
        harness.wait(Duration::from_secs(130));
        forget(harness);
        assert!(harness.endpoint.is_empty());
    };
    batch(&mut harness);
    let before = bytes();
    for _ in 0..20 {
        batch(&mut harness);
    }
    let growth = bytes() - before;
    assert!(growth < 4096, "{growth} bytes after 4000 attempts");
}

/// C8: so are those that had to go for newcomers.
#[test]
fn evicted_handshakes_leave_no_byte_behind() {
    let policy = EndpointPolicy::default()
        .max_half_open(32, Eviction::OldestHalfOpen)
        .unwrap();
    let mut harness = our_server(policy);
    for port in 0..64 {
        attempt(&mut harness, 1024 + port, &[]);
    }
    let before = bytes();
    for port in 0..10_000 {
        attempt(&mut harness, 2048 + port, &[]);
    }
    let growth = bytes() - before;
    assert!(growth < 4096, "{growth} bytes after 10000 evictions");
}

/// C6: of a handshake that was given up only its event waits to be polled: nobody has heard of it
/// who could ask.
#[test]
fn handshakes_that_fail_keep_no_connection_for_their_event() {
    let mut harness = our_server(EndpointPolicy::default());
    let before = bytes();
    for port in 0..200 {
        attempt(&mut harness, 1024 + port, &[]);
    }
    assert_eq!(harness.endpoint.half_open(), 200);
    let end = harness.now + Duration::from_secs(200);
    while let Some(due) = harness.endpoint.poll_timeout().filter(|&due| due <= end) {
        harness.endpoint.handle_timeout(due);
        while harness
            .endpoint
            .poll_transmit(due, 64, &mut Vec::new())
            .is_some()
        {}
    }
    assert!(harness.endpoint.is_empty() && harness.endpoint.has_event());
    let each = (bytes() - before) / 200;
    assert!(each < 1024, "{each} bytes for each failed handshake");
}

/// A3 (Bouncy Castle CVE-2026-59646: 256 MB from one datagram), B1, C13: what a stranger can make
/// one half-open association hold, by announcing, by fragments and by early records, all at once.
#[test]
fn a_half_open_association_holds_no_more_than_its_budget() {
    let mut harness = our_server(EndpointPolicy::default());
    attempt(&mut harness, 1024, &[]);
    let before = bytes();
    for seq in 0..=20 {
        let headers = Spoken::raw(11, 0xff_ffff, seq, 0, 0, &[]).repeat(16);
        harness.deliver(&record(HANDSHAKE, DTLS12, 0, 90, &headers));
    }
    for sequence in 0..1000 {
        for epoch in [1, 2, 3, 65_535] {
            harness.deliver(&record(
                APPLICATION_DATA,
                DTLS12,
                epoch,
                sequence,
                &[1; 1400],
            ));
        }
    }
    for seq in 2..10 {
        for offset in (0..0x7ffe).step_by(2) {
            let piece = Spoken::raw(11, 0x7fff, seq, offset, 1, &[7]);
            harness.deliver(&record(HANDSHAKE, DTLS12, 0, 90, &piece));
        }
    }
    let buffered = harness.endpoint.buffered().cast_signed();
    let growth = bytes() - before;
    // Allocators and vectors round up; a factor is granted for that, not more.
    assert!(growth < 2 * (2 * (1 << 15) + 8 * 1500), "{growth} bytes");
    assert!(
        growth < 4 * buffered + 4096,
        "{growth} bytes, of which {buffered} are admitted"
    );
}

/// C6 at our client: attempts that a server refuses.
#[test]
fn refused_clients_leave_no_byte_behind() {
    let ends = Ends::new();
    let credential = ends.pki.server(&rcgen::PKCS_ED25519);
    let config = ends.build().client;
    let mut harness =
        DatagramHarness::client(config.clone(), ScriptedPeer::server(credential.clone()));
    let refuse = |harness: &mut DatagramHarness| {
        let alert = harness.peer.record(21, 0, &[2, 40]);
        harness.deliver(&alert);
        let failed = |(_, event): &(_, Event)| matches!(event, Event::Failed(_));
        assert!(harness.events.iter().any(failed));
        forget(harness);
        harness.peer = ScriptedPeer::server(credential.clone());
        harness.connect(config.clone());
    };
    for _ in 0..100 {
        refuse(&mut harness);
    }
    let before = bytes();
    for _ in 0..5000 {
        refuse(&mut harness);
    }
    let growth = bytes() - before;
    assert!(growth < 4096, "{growth} bytes after 5000 attempts");
}

/// A server of both versions under a flood of hellos of both, whole and in pieces, from addresses
/// that nobody has: it keeps nothing but the pool of fragments, and answers at most three times
/// what came.
#[test]
fn r9147_19_a_flood_of_hellos_of_both_versions_takes_no_memory() {
    const ROUNDS: u16 = 20_000;
    let mut ends = Ends::new().versions(Versions::ALL);
    ends.client = ends.client.alpn(&[&[b'x'; 200]]).unwrap();
    ends.server = ends.server.session_store(None);
    let mut older = Ends::new();
    older.client = older.client.versions(Versions::V1_2);
    let hellos = [
        hello_of(&ends.client.clone().build().unwrap()),
        hello_of(&older.client.build().unwrap()),
    ];
    let configs = ends.build();
    let now = crate::common::configs::start();
    let server = Some(configs.server.clone());
    let mut endpoint = Endpoint::new(now, EndpointPolicy::default(), server).unwrap();
    let mut out = Vec::with_capacity(4096);
    let mut flood = |endpoint: &mut Endpoint, round: u16| {
        let now = now + Duration::from_millis(round.into());
        let hello = &hellos[usize::from(round % 2)];
        let path = Path::new(([198, 51, (round >> 8) as u8, 1], 1024 + round).into());
        let came: Vec<Vec<u8>> = if round.is_multiple_of(3) {
            vec![hello.clone()]
        } else {
            // The second piece never comes, or comes first.
            let mut pieces = cut(hello);
            pieces.swap_remove(usize::from(round) % pieces.len());
            pieces
        };
        for datagram in &came {
            endpoint.handle_datagram(now, path, BytesMut::from(&datagram[..]));
        }
        out.clear();
        let mut sent = 0;
        while let Some(transmit) = endpoint.poll_transmit(now, 64, &mut out) {
            assert_eq!(transmit.path.remote(), path.remote());
            sent += transmit.len;
            out.clear();
        }
        assert!(sent <= 3 * came.iter().map(Vec::len).sum::<usize>());
    };
    for round in 0..1000 {
        flood(&mut endpoint, round);
    }
    let before = bytes();
    for round in 1000..ROUNDS {
        flood(&mut endpoint, round);
    }
    let grown = bytes() - before;
    println!("{ROUNDS} hellos: {grown} bytes more than after 1,000");
    // What differs is how far the hellos are that wait in the pool at this moment.
    assert!(grown.abs() < 256 * 1024, "{grown}");
    assert!(endpoint.is_empty() && endpoint.buffered() == 0);
    let stats = endpoint.stats();
    assert!(
        stats.retry_requests > 1000 && stats.hello_verify_requests > 1000,
        "{stats:?}"
    );
    assert!(stats.hello_fragments > 1000, "{stats:?}");
}

/// The first datagram of a client.
fn hello_of(config: &ClientConfig) -> Vec<u8> {
    let path = Path::new(([192, 0, 2, 1], 4433).into());
    let (config, now) = (Arc::new(config.clone()), crate::common::configs::start());
    let mut client =
        DtlsConnection::connect(now, config, crate::common::configs::server_name(), path).unwrap();
    let mut out = Vec::new();
    client.poll_transmit(now, 1, &mut out).unwrap();
    out
}

/// A datagram with one whole message as two with a half each (RFC 6347 §4.2.3).
fn cut(datagram: &[u8]) -> Vec<Vec<u8>> {
    let (header, body) = (&datagram[13..25], &datagram[25..]);
    let half = body.len() / 2;
    [(0, &body[..half]), (half, &body[half..])]
        .into_iter()
        .map(|(offset, piece)| {
            let number = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
            let fragment = [
                &header[..6],
                &number(offset)[1..],
                &number(piece.len())[1..],
                piece,
            ]
            .concat();
            let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
            [&datagram[..11], &length, &fragment].concat()
        })
        .collect()
}
