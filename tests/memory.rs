//! What an association costs: no allocation per record, and little memory when it is idle.

mod support;

use bytes::BytesMut;
use sealgram::config::ProvenHello;
use sealgram::{CipherSuite, DtlsConnection, Path};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};
use support::{Configs, Ends, server_name};

/// Counts what the current thread requests.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(calls: u64, bytes: isize) {
    // A thread that is ending has no counters any more.
    let _ = CALLS.try_with(|counter| counter.set(counter.get() + calls));
    let _ = BYTES.try_with(|counter| counter.set(counter.get() + bytes));
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size.cast_signed() - layout.size().cast_signed());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn calls() -> u64 {
    CALLS.with(Cell::get)
}

fn bytes() -> isize {
    BYTES.with(Cell::get)
}

/// Two connections on a perfect link that takes no time, and the buffer that passes datagrams between them.
struct Link {
    client: DtlsConnection,
    server: DtlsConnection,
    now: Instant,
}

impl Link {
    fn new(configs: &Configs, out: &mut Vec<u8>) -> Self {
        let now = support::start();
        let to_server = Path::new(([192, 0, 2, 2], 4433).into());
        let to_client = Path::new(([192, 0, 2, 1], 40_000).into());
        let mut client =
            DtlsConnection::connect(configs.client.clone(), server_name(), to_server, now).unwrap();
        out.clear();
        client.poll_transmit(now, 1, out).unwrap();
        let hello = ProvenHello::without_cookie(to_client, BytesMut::from(&out[..])).unwrap();
        let mut server = DtlsConnection::accept(configs.server.clone(), hello, now).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            pass(&mut server, &mut client, now, out);
            pass(&mut client, &mut server, now, out);
        }
        Self {
            client,
            server,
            now,
        }
    }
}

fn pass(from: &mut DtlsConnection, to: &mut DtlsConnection, now: Instant, out: &mut Vec<u8>) {
    out.clear();
    while from.poll_transmit(now, 1, out).is_some() {
        to.handle_datagram(now, to.path(), BytesMut::from(&out[..]))
            .unwrap();
        out.clear();
    }
    while from.poll_event().is_some() {}
    while to.poll_event().is_some() {}
}

/// One record through `from` and `to` with the buffers that a caller keeps.
fn record(
    from: &mut DtlsConnection,
    to: &mut DtlsConnection,
    now: Instant,
    out: &mut Vec<u8>,
    arena: &mut BytesMut,
) {
    from.send(now, &[7; 1200]).unwrap();
    out.clear();
    from.poll_transmit(now, 64, out).unwrap();
    arena.reserve(out.len());
    arena.extend_from_slice(out);
    to.handle_datagram(now, to.path(), arena.split()).unwrap();
    while to.poll_event().is_some() {}
    assert_eq!(to.recv().unwrap().data.len(), 1200);
}

#[test]
fn records_allocate_nothing_in_steady_state() {
    for suite in [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ] {
        let mut ends = Ends::new();
        ends.client = ends.client.cipher_suites(&[suite]).unwrap();
        let mut out = Vec::new();
        let Link {
            mut client,
            mut server,
            now,
        } = Link::new(&ends.build(), &mut out);
        let mut arena = BytesMut::with_capacity(1 << 18);
        for _ in 0..1000 {
            record(&mut client, &mut server, now, &mut out, &mut arena);
            record(&mut server, &mut client, now, &mut out, &mut arena);
        }
        let before = calls();
        for _ in 0..10_000 {
            record(&mut client, &mut server, now, &mut out, &mut arena);
            record(&mut server, &mut client, now, &mut out, &mut arena);
        }
        assert_eq!(
            calls() - before,
            0,
            "{suite}: allocations for 20,000 records"
        );
    }
}

/// The bar for one side of an idle association, in bytes.
const MAX_IDLE: isize = 4096;

/// 1,000 pairs, ECDSA P-256 leaf under one authority, one record each way, past twice the MSL, queues empty.
#[test]
fn an_idle_association_takes_at_most_four_kibibytes_a_side() {
    const PAIRS: usize = 1000;
    for mutual in [false, true] {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
        if mutual {
            ends = ends.mutual();
        }
        let configs = ends.build();
        let (mut out, mut arena) = (Vec::with_capacity(4096), BytesMut::with_capacity(1 << 18));
        let mut links: Vec<Link> = (0..PAIRS)
            .map(|_| {
                let mut link = Link::new(&configs, &mut out);
                let now = link.now;
                record(
                    &mut link.client,
                    &mut link.server,
                    now,
                    &mut out,
                    &mut arena,
                );
                record(
                    &mut link.server,
                    &mut link.client,
                    now,
                    &mut out,
                    &mut arena,
                );
                for connection in [&mut link.client, &mut link.server] {
                    let later = now + Duration::from_secs(300);
                    connection.handle_timeout(later).unwrap();
                    assert_eq!(connection.poll_timeout(), None);
                }
                link
            })
            .collect();
        drop((out, arena));
        let inline = size_of::<DtlsConnection>().cast_signed();
        let (clients, servers): (Vec<_>, Vec<_>) = links
            .drain(..)
            .map(|link| (link.client, link.server))
            .unzip();
        for (name, side) in [("client", clients), ("server", servers)] {
            // The list's spare capacity is not an association's.
            let spare = (side.capacity() - side.len()).cast_signed() * inline;
            let before = bytes();
            drop(side);
            let each = (before - bytes() - spare) / PAIRS.cast_signed();
            let name = if mutual {
                format!("{name}, client certificate")
            } else {
                name.to_owned()
            };
            println!("idle association, {name}: {each} bytes, of which {inline} inline");
            assert!(each <= MAX_IDLE, "{name}: {each}");
        }
    }
}

/// The endpoint's share: maps, timers and table, for 1,000 idle associations of a server.
#[test]
fn an_endpoint_adds_little_to_an_idle_association() {
    const CLIENTS: u16 = 1000;
    let configs = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256).build();
    let empty = configs.pair(1);
    drop(empty);
    let mut pair = configs.connected(1);
    let before = bytes();
    let mut connected = Vec::new();
    for client in 1..=CLIENTS {
        pair.client_address = ([10, 0, 0, 1], 1000 + client).into();
        pair.client = sealgram::Endpoint::new(Default::default(), None, pair.now).unwrap();
        pair.client_events.clear();
        pair.server_events.clear();
        pair.connect(configs.client.clone(), server_name()).unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        assert!(pair.exchange(1));
        connected.push(pair.server_id().unwrap());
    }
    pair.client = sealgram::Endpoint::new(Default::default(), None, pair.now).unwrap();
    pair.client_events = Vec::new();
    pair.server_events = Vec::new();
    drop(connected);
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.server.len(), usize::from(CLIENTS) + 1);
    let each = (bytes() - before) / isize::try_from(CLIENTS).unwrap();
    println!("idle association in an endpoint, server, everything included: {each} bytes");
    assert!(each <= MAX_IDLE, "{each}");
}
