//! TLS records of 16 KiB at 1.2 and 1.3, AES-128-GCM: from the sender's buffer to the receiver's,
//! beside rustls with ring in the same run. The ratio of throughputs is printed before the
//! criterion groups: the median of five runs of 25 interleaved rounds.

mod support;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealgram::{CipherSuite, TlsConnection};
use std::io::{Read as _, Write as _};
use std::time::Instant;
use support::{Configs, Rustls, report, time};

const RECORD: usize = 1 << 14;

/// How many records a round measures.
const CALLS: u32 = 200;

/// Ours: a client that sends and a server that receives, with the buffers that their callers keep.
struct Ours {
    client: TlsConnection,
    server: TlsConnection,
    now: Instant,
    wire: Vec<u8>,
    arena: BytesMut,
    received: Vec<u8>,
}

impl Ours {
    fn new(suite: CipherSuite) -> Self {
        let (client, server, now) = Configs::with_suite(suite).streams();
        Self {
            client,
            server,
            now,
            wire: Vec::new(),
            arena: BytesMut::new(),
            received: vec![0; RECORD],
        }
    }

    fn send(&mut self, data: &[u8]) {
        self.wire.clear();
        assert_eq!(self.client.send(self.now, data), Ok(data.len()));
        self.client.poll_transmit(self.now, &mut self.wire).unwrap();
    }

    fn receive(&mut self) {
        self.arena.reserve(2 * RECORD);
        self.arena.extend_from_slice(&self.wire);
        self.server.handle_bytes(self.now, &mut self.arena).unwrap();
        self.server.poll_event();
        let (length, _) = self.server.recv_into(&mut self.received).unwrap();
        assert_eq!(length, RECORD);
    }
}

struct Theirs {
    client: rustls::ClientConnection,
    server: rustls::ServerConnection,
    wire: Vec<u8>,
    received: Vec<u8>,
}

impl Theirs {
    fn new(rustls: &Rustls) -> Self {
        let (client, server) = rustls.connections();
        Self {
            client,
            server,
            wire: Vec::new(),
            received: vec![0; RECORD],
        }
    }

    fn send(&mut self, data: &[u8]) {
        self.wire.clear();
        self.client.writer().write_all(data).unwrap();
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire).unwrap();
        }
    }

    fn receive(&mut self) {
        let mut rest = &self.wire[..];
        let mut length = 0;
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            self.server.process_new_packets().unwrap();
            while let Ok(count) = self.server.reader().read(&mut self.received[length..]) {
                length += count;
                if count == 0 {
                    break;
                }
            }
        }
        assert_eq!(length, RECORD);
    }
}

fn stream(criterion: &mut Criterion) {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    compare(criterion, "TLS 1.2", suite, &Rustls::new(false));
    let suite = CipherSuite::TLS_AES_128_GCM_SHA256;
    compare(criterion, "TLS 1.3", suite, &Rustls::new_13());
}

fn compare(criterion: &mut Criterion, version: &str, ours: CipherSuite, rustls: &Rustls) {
    let both = || (Ours::new(ours), Theirs::new(rustls));
    let data = vec![7; RECORD];
    // Nothing receives what these send, so other ends measure both directions.
    let (mut ours, mut theirs) = both();
    let suite = theirs.client.negotiated_cipher_suite().unwrap().suite();
    println!("rustls uses {suite:?}");
    let name = format!("{version}: throughput of 16 KiB records, sent, to rustls");
    report(&name, || {
        let bare = time(CALLS, || theirs.send(&data));
        let ours = time(CALLS, || ours.send(&data));
        bare.as_secs_f64() / ours.as_secs_f64()
    });
    let (mut ours, mut theirs) = both();
    let name = format!("{version}: throughput of 16 KiB records, sent and received, to rustls");
    report(&name, || {
        let bare = time(CALLS, || {
            theirs.send(&data);
            theirs.receive();
        });
        let ours = time(CALLS, || {
            ours.send(&data);
            ours.receive();
        });
        bare.as_secs_f64() / ours.as_secs_f64()
    });
    let mut group = criterion.benchmark_group(format!("stream/16 KiB, {version}"));
    group.throughput(Throughput::Bytes(RECORD as u64));
    group.bench_function("rustls", |bencher| {
        bencher.iter(|| {
            theirs.send(&data);
            theirs.receive();
        });
    });
    group.bench_function("sealgram", |bencher| {
        bencher.iter(|| {
            ours.send(&data);
            ours.receive();
        });
    });
}

criterion_group!(benches, stream);
criterion_main!(benches);
