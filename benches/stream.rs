//! TLS records of 16 KiB at 1.2 and 1.3, AES-128-GCM, from the sender's buffer to the receiver's:
//! beside rustls with ring, and beside the bare `ring` operations, in the same run. Each figure is
//! the median of five runs of 25 interleaved rounds, and is printed before the criterion groups.
//!
//! Both stacks are used as their users do. rustls: `writer().write_all`, `write_tls` into the
//! wire's buffer, `read_tls` from it, `process_new_packets`, `reader().read`. Ours: `send`,
//! `poll_transmit`, a copy of the wire into the receive buffer, `handle_bytes`, `recv_into`. So
//! both copy the payload into a record and the record off the wire. What differs: rustls seals
//! into memory of its own and copies that into the wire's buffer, where ours seals into the buffer
//! that is handed out; and rustls copies an opened record once more before it is read.
//!
//! *In place* is without the last copy at both: `fill_buf` and `consume`, and `recv`. *Usual calls*
//! are those that most users of each make: `reader().read`, which copies, and `recv`, which hands
//! over the memory in which the record was opened.
//!
//! The floor does what every record layer must do: a header, one copy of the payload into the
//! record, nonce and additional data, seal, tag; and for opening, a copy of the record into a
//! buffer that may be overwritten, and opening in place. It copies nothing to the application.

mod support;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ring::aead;
use sealgram::{CipherSuite, TlsConnection};
use std::hint::black_box;
use std::io::{BufRead as _, Read as _, Write as _};
use std::time::{Duration, Instant};
use support::{Configs, Rustls, report_all, time};

const RECORD: usize = 1 << 14;

/// How many records a round measures.
const CALLS: u32 = 100;

/// Where received data ends.
#[derive(Clone, Copy)]
enum Delivery {
    /// In the application's buffer.
    Copied,
    /// Where it was opened; the application looks at it there.
    InPlace,
}

/// One direction of a stack, with the buffers that its callers keep.
trait Stack {
    fn send(&mut self, data: &[u8]);
    fn receive(&mut self, delivery: Delivery);
}

/// The bare operations.
struct Floor {
    key: aead::LessSafeKey,
    is_13: bool,
    sequence: u64,
    wire: Vec<u8>,
    scratch: Vec<u8>,
}

const HEADER: usize = 5;
const NONCE: usize = 8;
const TAG: usize = 16;

impl Floor {
    fn new(is_13: bool) -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &[7; 16]).unwrap();
        Self {
            key: aead::LessSafeKey::new(key),
            is_13,
            sequence: 0,
            wire: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Both versions combine the number with an IV in a way that costs the same.
    fn nonce(number: [u8; 8]) -> aead::Nonce {
        let mut nonce = [5; 12];
        for (byte, number) in nonce[4..].iter_mut().zip(number) {
            *byte ^= number;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 5246 §6.2.3.3.
    fn aad_12(number: [u8; 8], length: usize) -> [u8; 13] {
        let mut aad = [0; 13];
        aad[..8].copy_from_slice(&number);
        aad[8..11].copy_from_slice(&[23, 3, 3]);
        aad[11..].copy_from_slice(&(length as u16).to_be_bytes());
        aad
    }
}

impl Stack for Floor {
    fn send(&mut self, data: &[u8]) {
        let number = self.sequence.to_be_bytes();
        let nonce = Self::nonce(number);
        let out = &mut self.wire;
        out.clear();
        out.extend_from_slice(&[23, 3, 3]);
        let expansion = if self.is_13 { 1 + TAG } else { NONCE + TAG };
        out.extend_from_slice(&((data.len() + expansion) as u16).to_be_bytes());
        let tag = if self.is_13 {
            out.extend_from_slice(data);
            out.push(23);
            let (header, data) = out.split_at_mut(HEADER);
            let aad = aead::Aad::from(&*header);
            self.key.seal_in_place_separate_tag(nonce, aad, data)
        } else {
            out.extend_from_slice(&number);
            out.extend_from_slice(data);
            let aad = aead::Aad::from(Self::aad_12(number, data.len()));
            let data = &mut out[HEADER + NONCE..];
            self.key.seal_in_place_separate_tag(nonce, aad, data)
        };
        out.extend_from_slice(tag.unwrap().as_ref());
    }

    fn receive(&mut self, _: Delivery) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.wire);
        let number = self.sequence.to_be_bytes();
        self.sequence += 1;
        let nonce = Self::nonce(number);
        let (header, data) = self.scratch.split_at_mut(HEADER);
        let length = if self.is_13 {
            let aad = aead::Aad::from(&*header);
            self.key.open_in_place(nonce, aad, data).unwrap().len() - 1
        } else {
            let aad = aead::Aad::from(Self::aad_12(number, data.len() - NONCE - TAG));
            let opened = self.key.open_in_place(nonce, aad, &mut data[NONCE..]);
            opened.unwrap().len()
        };
        assert_eq!(length, RECORD);
    }
}

/// A client that sends and a server that receives.
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
}

impl Stack for Ours {
    fn send(&mut self, data: &[u8]) {
        self.wire.clear();
        assert_eq!(self.client.send(self.now, data), Ok(data.len()));
        self.client.poll_transmit(self.now, &mut self.wire).unwrap();
    }

    fn receive(&mut self, delivery: Delivery) {
        self.arena.reserve(self.wire.len());
        self.arena.extend_from_slice(&self.wire);
        self.server.handle_bytes(self.now, &mut self.arena).unwrap();
        while self.server.poll_event().is_some() {}
        let length = match delivery {
            Delivery::Copied => self.server.recv_into(&mut self.received).unwrap().0,
            Delivery::InPlace => black_box(self.server.recv().unwrap()).data.len(),
        };
        assert_eq!(length, RECORD);
    }
}

/// The same of rustls.
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
}

impl Stack for Theirs {
    fn send(&mut self, data: &[u8]) {
        self.wire.clear();
        self.client.writer().write_all(data).unwrap();
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire).unwrap();
        }
    }

    fn receive(&mut self, delivery: Delivery) {
        let mut rest = &self.wire[..];
        let mut length = 0;
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            let state = self.server.process_new_packets().unwrap();
            let end = length + state.plaintext_bytes_to_read();
            while length < end {
                let mut reader = self.server.reader();
                length += match delivery {
                    Delivery::Copied => reader.read(&mut self.received[length..]).unwrap(),
                    Delivery::InPlace => {
                        let count = black_box(reader.fill_buf().unwrap()).len();
                        reader.consume(count);
                        count
                    }
                };
            }
        }
        assert_eq!(length, RECORD);
    }
}

/// How long both directions take at the floor, at rustls and at ours.
struct Times {
    floor: Duration,
    theirs: Duration,
    ours: Duration,
}

impl Times {
    /// Throughputs: ours to that of rustls, and both to the floor's.
    fn ratios(&self) -> [f64; 3] {
        let seconds = |it: Duration| it.as_secs_f64();
        [
            seconds(self.theirs) / seconds(self.ours),
            seconds(self.floor) / seconds(self.ours),
            seconds(self.floor) / seconds(self.theirs),
        ]
    }
}

fn stream(criterion: &mut Criterion) {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    compare(criterion, "TLS 1.2", suite, &Rustls::new(false));
    let suite = CipherSuite::TLS_AES_128_GCM_SHA256;
    compare(criterion, "TLS 1.3", suite, &Rustls::new_13());
}

fn compare(criterion: &mut Criterion, version: &str, ours: CipherSuite, rustls: &Rustls) {
    let is_13 = ours == CipherSuite::TLS_AES_128_GCM_SHA256;
    let new = || (Floor::new(is_13), Theirs::new(rustls), Ours::new(ours));
    let data = vec![7; RECORD];
    let (mut floor, mut theirs, mut ours) = new();
    let suite = theirs.client.negotiated_cipher_suite().unwrap().suite();
    println!("{version}, 16 KiB records, throughput; rustls uses {suite:?}");
    let names = |what: &str| {
        [
            format!("{version}, {what}: ours, x rustls"),
            format!("{version}, {what}: ours, x floor"),
            format!("{version}, {what}: rustls, x floor"),
        ]
    };
    // Nothing receives what these send, so other ends measure both directions.
    report_all(&names("send"), || {
        let times = Times {
            floor: time(CALLS, || floor.send(&data)),
            theirs: time(CALLS, || theirs.send(&data)),
            ours: time(CALLS, || ours.send(&data)),
        };
        times.ratios()
    });
    let (mut floor, mut theirs, mut ours) = new();
    let (copied, in_place) = (Delivery::Copied, Delivery::InPlace);
    for (what, of_theirs, of_ours) in [
        ("send + receive, copied", copied, copied),
        ("send + receive, in place", in_place, in_place),
        ("send + receive, usual calls", copied, in_place),
    ] {
        report_all(&names(what), || {
            let times = Times {
                floor: both(&mut floor, &data, in_place),
                theirs: both(&mut theirs, &data, of_theirs),
                ours: both(&mut ours, &data, of_ours),
            };
            times.ratios()
        });
    }
    let mut group = criterion.benchmark_group(format!("stream/16 KiB, {version}"));
    group.throughput(Throughput::Bytes(RECORD as u64));
    let mut measure = |name: &str, stack: &mut dyn Stack| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                stack.send(&data);
                stack.receive(Delivery::Copied);
            });
        });
    };
    measure("floor", &mut floor);
    measure("rustls", &mut theirs);
    measure("sealgram", &mut ours);
}

fn both(stack: &mut impl Stack, data: &[u8], delivery: Delivery) -> Duration {
    time(CALLS, || {
        stack.send(data);
        stack.receive(delivery);
    })
}

criterion_group!(benches, stream);
criterion_main!(benches);
