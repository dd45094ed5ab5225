//! Records: what a `DtlsConnection` costs beside the bare `ring` operations for the same bytes.
//!
//! The floor does what every record layer must do: header and explicit nonce, one copy of the
//! payload into the datagram, nonce and additional data, seal, tag; and for opening, a copy of the
//! datagram into a buffer that may be overwritten, and opening in place. That of AES-CCM has the
//! operations of the crate `ccm`, which ours stands on too. Both run interleaved in
//! one process; the ratio is printed before the criterion groups, as the median of each of five
//! runs of 25 rounds.

mod support;

use bytes::BytesMut;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U12, U16};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ring::aead;
use sealgram::{CipherSuite, DtlsConnection};
use std::hint::black_box;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};
use support::{Configs, time};

const SIZES: [usize; 3] = [64, 256, 1200];

/// The bare operations of DTLS 1.3: the header is five bytes, the type is encrypted, and the number
/// is masked both ways (RFC 9147 §4, §4.2.3).
struct Floor13 {
    key: aead::LessSafeKey,
    mask: aead::quic::HeaderProtectionKey,
    sequence: u64,
    scratch: Vec<u8>,
}

const HEADER_13: usize = 5;

impl Floor13 {
    fn new() -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &[7; 16]).unwrap();
        Self {
            key: aead::LessSafeKey::new(key),
            mask: aead::quic::HeaderProtectionKey::new(&aead::quic::AES_128, &[9; 16]).unwrap(),
            sequence: 1 << 8,
            scratch: Vec::new(),
        }
    }

    fn nonce(sequence: u64) -> aead::Nonce {
        let mut nonce = [5; 12];
        for (byte, number) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }

    fn apply_mask(&self, record: &mut [u8]) {
        let mask = self
            .mask
            .new_mask(&record[HEADER_13..HEADER_13 + 16])
            .unwrap();
        record[1] ^= mask[0];
        record[2] ^= mask[1];
    }

    fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let sequence = self.sequence;
        self.sequence += 1;
        out.clear();
        out.push(0b0010_1111);
        out.extend_from_slice(&(sequence as u16).to_be_bytes());
        out.extend_from_slice(&((payload.len() + 1 + TAG) as u16).to_be_bytes());
        out.extend_from_slice(payload);
        out.push(23);
        let (header, data) = out.split_at_mut(HEADER_13);
        let tag = self
            .key
            .seal_in_place_separate_tag(Self::nonce(sequence), aead::Aad::from(&header[..]), data)
            .unwrap();
        out.extend_from_slice(tag.as_ref());
        self.apply_mask(out);
    }

    fn open(&mut self, datagram: &[u8]) -> usize {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(datagram);
        self.apply_mask(&mut scratch);
        let number = u16::from_be_bytes([scratch[1], scratch[2]]);
        // What was sealed last.
        let sequence = ((self.sequence - 1) & !0xffff) | u64::from(number);
        let (header, data) = scratch.split_at_mut(HEADER_13);
        let opened =
            self.key
                .open_in_place(Self::nonce(sequence), aead::Aad::from(&header[..]), data);
        let length = opened.unwrap().len() - 1;
        self.scratch = scratch;
        length
    }
}

/// The bare operations.
struct Floor {
    key: aead::LessSafeKey,
    sequence: u64,
    scratch: Vec<u8>,
}

const HEADER: usize = 13;
const NONCE: usize = 8;
const TAG: usize = 16;

impl Floor {
    fn new() -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &[7; 16]).unwrap();
        Self {
            key: aead::LessSafeKey::new(key),
            sequence: 1 << 48,
            scratch: Vec::new(),
        }
    }

    fn nonce(explicit: &[u8]) -> aead::Nonce {
        let mut nonce = [5; 12];
        nonce[4..].copy_from_slice(explicit);
        aead::Nonce::assume_unique_for_key(nonce)
    }

    fn aad(number: [u8; 8], length: usize) -> aead::Aad<[u8; 13]> {
        let mut aad = [0; 13];
        aad[..8].copy_from_slice(&number);
        aad[8..11].copy_from_slice(&[23, 0xfe, 0xfd]);
        aad[11..].copy_from_slice(&(length as u16).to_be_bytes());
        aead::Aad::from(aad)
    }

    fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let number = self.sequence.to_be_bytes();
        self.sequence += 1;
        out.clear();
        out.extend_from_slice(&[23, 0xfe, 0xfd]);
        out.extend_from_slice(&number);
        out.extend_from_slice(&((payload.len() + NONCE + TAG) as u16).to_be_bytes());
        out.extend_from_slice(&number);
        out.extend_from_slice(payload);
        let aad = Self::aad(number, payload.len());
        let data = &mut out[HEADER + NONCE..];
        let tag = self
            .key
            .seal_in_place_separate_tag(Self::nonce(&number), aad, data)
            .unwrap();
        out.extend_from_slice(tag.as_ref());
    }

    fn open(&mut self, datagram: &[u8]) -> usize {
        self.scratch.clear();
        self.scratch.extend_from_slice(datagram);
        let number = datagram[3..11].try_into().unwrap();
        let aad = Self::aad(number, datagram.len() - HEADER - NONCE - TAG);
        let nonce = Self::nonce(&datagram[HEADER..HEADER + NONCE]);
        self.key
            .open_in_place(nonce, aad, &mut self.scratch[HEADER + NONCE..])
            .unwrap()
            .len()
    }
}

/// The bare operations of DTLS 1.2 with a connection ID: the type is encrypted, and the additional
/// data is more than twice as long (RFC 9146 §4, §5.3).
struct FloorIdentified(Floor);

const ID: [u8; 8] = [6; 8];

impl FloorIdentified {
    fn aad(number: [u8; 8], length: usize) -> aead::Aad<[u8; 23 + ID.len()]> {
        let mut aad = [0xff; 23 + ID.len()];
        aad[8..13].copy_from_slice(&[25, ID.len() as u8, 25, 0xfe, 0xfd]);
        aad[13..21].copy_from_slice(&number);
        aad[21..29].copy_from_slice(&ID);
        aad[29..].copy_from_slice(&(length as u16).to_be_bytes());
        aead::Aad::from(aad)
    }

    fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let number = self.0.sequence.to_be_bytes();
        self.0.sequence += 1;
        out.clear();
        out.extend_from_slice(&[25, 0xfe, 0xfd]);
        out.extend_from_slice(&number);
        out.extend_from_slice(&ID);
        out.extend_from_slice(&((payload.len() + 1 + NONCE + TAG) as u16).to_be_bytes());
        out.extend_from_slice(&number);
        out.extend_from_slice(payload);
        out.push(23);
        let aad = Self::aad(number, payload.len() + 1);
        let data = &mut out[HEADER + ID.len() + NONCE..];
        let nonce = Floor::nonce(&number);
        let tag = self.0.key.seal_in_place_separate_tag(nonce, aad, data);
        out.extend_from_slice(tag.unwrap().as_ref());
    }

    fn open(&mut self, datagram: &[u8]) -> usize {
        let start = HEADER + ID.len() + NONCE;
        self.0.scratch.clear();
        self.0.scratch.extend_from_slice(datagram);
        let number = datagram[3..11].try_into().unwrap();
        let aad = Self::aad(number, datagram.len() - start - TAG);
        let nonce = Floor::nonce(&datagram[start - NONCE..start]);
        let data = &mut self.0.scratch[start..];
        self.0.key.open_in_place(nonce, aad, data).unwrap().len() - 1
    }
}

/// The bare operations of DTLS 1.2 with AES-128-CCM, by the crate that has it here.
struct FloorCcm {
    key: ccm::Ccm<aes::Aes128Enc, U16, U12>,
    sequence: u64,
    scratch: Vec<u8>,
}

impl FloorCcm {
    fn new() -> Self {
        Self {
            key: ccm::Ccm::new(&[7; 16].into()),
            sequence: 1 << 48,
            scratch: Vec::new(),
        }
    }

    fn nonce(explicit: &[u8]) -> ccm::Nonce<U12> {
        let mut nonce = [5; 12];
        nonce[4..].copy_from_slice(explicit);
        nonce.into()
    }

    fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let number = self.sequence.to_be_bytes();
        self.sequence += 1;
        out.clear();
        out.extend_from_slice(&[23, 0xfe, 0xfd]);
        out.extend_from_slice(&number);
        out.extend_from_slice(&((payload.len() + NONCE + TAG) as u16).to_be_bytes());
        out.extend_from_slice(&number);
        out.extend_from_slice(payload);
        let aad = Floor::aad(number, payload.len());
        let data = &mut out[HEADER + NONCE..];
        let nonce = Self::nonce(&number);
        let tag = self
            .key
            .encrypt_inout_detached(&nonce, aad.as_ref(), data.into());
        out.extend_from_slice(&tag.unwrap());
    }

    fn open(&mut self, datagram: &[u8]) -> usize {
        self.scratch.clear();
        self.scratch.extend_from_slice(datagram);
        let number = datagram[3..11].try_into().unwrap();
        let length = datagram.len() - HEADER - NONCE - TAG;
        let aad = Floor::aad(number, length);
        let nonce = Self::nonce(&datagram[HEADER..HEADER + NONCE]);
        let (data, tag) = self.scratch[HEADER + NONCE..]
            .split_last_chunk_mut::<TAG>()
            .unwrap();
        let tag = (*tag).into();
        self.key
            .decrypt_inout_detached(&nonce, aad.as_ref(), data.into(), &tag)
            .unwrap();
        length
    }
}

/// The caller's receive buffer, in bytes. Small enough to stay in the first-level cache, like the
/// floor's: the cost of touching fresh memory is the caller's, not the record layer's.
const ARENA: usize = 1 << 14;

/// Two connected associations, and the buffers that a caller keeps.
struct Ends {
    sender: DtlsConnection,
    receiver: DtlsConnection,
    now: Instant,
    out: Vec<u8>,
    arena: BytesMut,
}

impl Ends {
    fn new(configs: &Configs) -> Self {
        let (sender, receiver, now) = configs.connections();
        Self {
            sender,
            receiver,
            now,
            out: Vec::new(),
            arena: BytesMut::with_capacity(ARENA),
        }
    }

    fn seal(&mut self, payload: &[u8]) {
        self.out.clear();
        self.sender.send(self.now, payload).unwrap();
        black_box(self.sender.poll_transmit(self.now, 1, &mut self.out));
    }

    /// Copies the sealed datagram into the arena, as a receive call would, and opens it there.
    fn open(&mut self) -> usize {
        self.arena.reserve(self.out.len());
        self.arena.extend_from_slice(&self.out);
        let datagram = self.arena.split();
        let path = self.receiver.path();
        self.receiver
            .handle_datagram(self.now, path, datagram)
            .unwrap();
        self.receiver.poll_event();
        self.receiver.recv().unwrap().data.len()
    }
}

/// How many records a turn has. It is far shorter than a time slice of the system, so that what
/// else runs on the machine interrupts few of them.
const TURN: u32 = 1000;

/// How many pairs of associations take turns.
const PLACES: usize = 25;

/// Prints the time of a record through both connections as a multiple of `bare`, the operations of
/// a floor on the same payload.
fn ratio(name: &str, configs: &Configs, payload: &[u8], mut bare: impl FnMut(&[u8])) {
    // The place of the buffers in memory makes a difference of some per cent, so rounds take turns.
    let mut places: Vec<_> = (1..=PLACES)
        .map(|place| (Ends::new(configs), Vec::<u8>::with_capacity(place * 80)))
        .collect();
    let mut round = 0;
    let name = format!("{name}, seal+open, {} bytes", payload.len());
    support::report(&name, || {
        round += 1;
        let (ends, _) = &mut places[round % PLACES];
        let bare = time(TURN, || bare(black_box(payload)));
        let ours = time(TURN, || {
            ends.seal(black_box(payload));
            black_box(ends.open());
        });
        ours.as_secs_f64() / bare.as_secs_f64()
    });
}

/// Prints the time of a record with a connection ID of eight bytes as a multiple of one without:
/// of this length, and on average over this and the next fifteen lengths. At 1.2 the encrypted type
/// begins a block of its own if the payload ends with one (RFC 9146 §4), which one length in
/// sixteen does.
fn identified_ratios(suite: CipherSuite, size: usize) {
    let payload = vec![3; size + AES_BLOCK];
    let last = size + AES_BLOCK - 1;
    let name = format!("{suite}: with a connection ID to without");
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (here, there) = (bind(), bind());
    here.connect(there.local_addr().unwrap()).unwrap();
    let mut buffer = vec![0; 2 * last];
    for (lengths, words) in [
        (1, format!("{size} bytes")),
        (AES_BLOCK, format!("{size} to {last} bytes")),
    ] {
        let part = |step: usize| &payload[..size + step % lengths];
        identified_ratio(&format!("{name}, {words}"), suite, |ends, step| {
            ends.seal(black_box(part(step)));
            black_box(ends.open());
        });
        // What a service pays at least: the record, and a call for each end of its way.
        let name = format!("{name}, {words}, through sockets");
        identified_ratio(&name, suite, |ends, step| {
            ends.seal(black_box(part(step)));
            here.send(&ends.out).unwrap();
            let length = there.recv(&mut buffer).unwrap();
            ends.out.clear();
            ends.out.extend_from_slice(&buffer[..length]);
            black_box(ends.open());
        });
    }
}

/// The block of AES, in bytes.
const AES_BLOCK: usize = 16;

/// Prints the time of `step`, which is given the number of the step, with a connection ID of eight
/// bytes as a multiple of the time without.
fn identified_ratio(name: &str, suite: CipherSuite, mut step: impl FnMut(&mut Ends, usize)) {
    let (plain, identified) = (Configs::with_suite(suite), Configs::identified(suite));
    let mut places: Vec<_> = (1..=PLACES)
        .map(|place| {
            let between = Vec::<u8>::with_capacity(place * 80);
            (Ends::new(&plain), between, Ends::new(&identified))
        })
        .collect();
    let mut round = 0;
    support::report(name, || {
        round += 1;
        let (plain, _, identified) = &mut places[round % PLACES];
        let [plain, identified] = [plain, identified].map(|ends| {
            let mut steps = 0;
            time(TURN, || {
                step(ends, steps);
                steps += 1;
            })
        });
        identified.as_secs_f64() / plain.as_secs_f64()
    });
}

fn ratios(configs_12: &Configs) {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let identified = Configs::identified(suite);
    for size in SIZES {
        let payload = vec![3; size];
        let (mut floor, mut datagram) = (FloorIdentified(Floor::new()), Vec::new());
        let name = "DTLS 1.2 with a connection ID: ratio to raw ring, AES-128-GCM";
        ratio(name, &identified, &payload, |payload| {
            floor.seal(payload, &mut datagram);
            black_box(floor.open(&datagram));
        });
        for suite in [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_AES_128_GCM_SHA256,
        ] {
            identified_ratios(suite, size);
        }
    }
    let ccm = Configs::with_suite(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM);
    for size in SIZES {
        let payload = vec![3; size];
        let (mut floor, mut datagram) = (FloorCcm::new(), Vec::new());
        let name = "DTLS 1.2: ratio to the raw crate, AES-128-CCM";
        ratio(name, &ccm, &payload, |payload| {
            floor.seal(payload, &mut datagram);
            black_box(floor.open(&datagram));
        });
        let name = "DTLS 1.2: AES-128-CCM, ratio to raw ring with AES-128-GCM";
        let mut floor = Floor::new();
        ratio(name, &ccm, &payload, |payload| {
            floor.seal(payload, &mut datagram);
            black_box(floor.open(&datagram));
        });
    }
    let configs_13 = Configs::with_suite(CipherSuite::TLS_AES_128_GCM_SHA256);
    for size in SIZES {
        let payload = vec![3; size];
        let (mut floor, mut datagram) = (Floor13::new(), Vec::new());
        let name = "DTLS 1.3: ratio to raw ring, AES-128-GCM and mask";
        ratio(name, &configs_13, &payload, |payload| {
            floor.seal(payload, &mut datagram);
            black_box(floor.open(&datagram));
        });
        let mut floor = Floor::new();
        let name = "DTLS 1.2: ratio to raw ring, AES-128-GCM";
        ratio(name, configs_12, &payload, |payload| {
            floor.seal(payload, &mut datagram);
            black_box(floor.open(&datagram));
        });
    }
}

fn records(criterion: &mut Criterion) {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let configs = Configs::with_suite(suite);
    ratios(&configs);
    for part in [Part::Seal, Part::Open, Part::Both] {
        let mut group = criterion.benchmark_group(format!("records/{part:?}").to_lowercase());
        for size in SIZES {
            let payload = vec![3; size];
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("raw ring", size), |bencher| {
                let (mut floor, mut datagram) = (Floor::new(), Vec::new());
                floor.seal(&payload, &mut datagram);
                bencher.iter(|| {
                    if part != Part::Open {
                        floor.seal(black_box(&payload), &mut datagram);
                    }
                    if part != Part::Seal {
                        black_box(floor.open(&datagram));
                    }
                });
            });
            group.bench_function(BenchmarkId::new("sealgram", size), |bencher| {
                bencher.iter_custom(|iterations| timed(&configs, iterations, &payload, part));
            });
        }
    }
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Seal,
    Open,
    Both,
}

/// Times one part over fresh associations, whose keys would otherwise be used up. A record can be
/// opened only once, so to time opening alone, batches of them are sealed in advance, untimed.
fn timed(configs: &Configs, iterations: u64, payload: &[u8], part: Part) -> Duration {
    const BATCH: u64 = 64;
    // Far fewer than lead to new keys by themselves, and many enough to be timed.
    const PER_KEY: u64 = 1 << 20;
    let mut total = Duration::ZERO;
    let mut left = iterations;
    if part != Part::Open {
        while left > 0 {
            let turn = left.min(PER_KEY);
            left -= turn;
            let mut ends = Ends::new(configs);
            let start = support::clock();
            for _ in 0..turn {
                ends.seal(black_box(payload));
                if part == Part::Both {
                    black_box(ends.open());
                }
            }
            total += start.elapsed();
        }
        return total;
    }
    let mut ends = Ends::new(configs);
    while left > 0 {
        let batch = left.min(BATCH);
        left -= batch;
        let sealed: Vec<Vec<u8>> = (0..batch)
            .map(|_| {
                ends.seal(payload);
                ends.out.clone()
            })
            .collect();
        let start = support::clock();
        for datagram in sealed {
            ends.out = datagram;
            black_box(ends.open());
        }
        total += start.elapsed();
    }
    total
}

criterion_group!(benches, records);
criterion_main!(benches);
