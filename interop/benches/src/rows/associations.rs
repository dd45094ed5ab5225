//! What a datagram costs among many associations, in memory: 1,200 bytes from a client that is
//! drawn at random, and back. The server is one endpoint; the clients are one as well.
//!
//! Both ends together is what the bar is about (four AEAD operations); the server's part alone is
//! shown too: it opens and seals 256 datagrams that were sealed before.

use crate::measure::{Board, Effort, Item, now, thread_cpu};
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::stacks::in_memory::{World, drain};
use crate::stacks::sealgram::{Configs, Version};
use bytes::BytesMut;
use sealgram::Path;
use sealgram::endpoint::Endpoint;
use std::time::{Duration, Instant};

/// How many batches of datagrams a round has.
const BATCHES: u32 = 20;

/// How many clients ask before the server is run.
const BATCH: usize = 256;

/// The size of questions and answers.
const BYTES: usize = 1200;

const METRICS: [&str; 2] = ["echo ns", "server ns"];

const COUNTS: [(usize, &str); 2] = [(1000, "1,000"), (100_000, "100,000")];

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let [few, many] = COUNTS.map(|(_, name)| name);
    let bar =
        |name: &str, metric, limit| Bar::ratio(name.to_owned(), &board, (many, few, metric), limit);
    vec![Section {
        name: "associations",
        title: "One endpoint in memory, echo of 1,200 bytes to a random association".into(),
        bars: vec![
            bar(
                "100,000 associations, cost of an echo, × 1,000",
                METRICS[0],
                Limit::AtMost(1.15),
            ),
            bar("the same, the server's part alone", METRICS[1], Limit::None),
        ],
        board,
        notes: vec![
            "DTLS 1.2, AES-128-GCM. The associations were resumed, so that there are so many in \
             seconds.",
        ],
        plot: None,
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let batches = effort.calls(BATCHES);
    let items = COUNTS.map(|(count, name)| {
        let configs = Configs::resuming(pki, Version::V12);
        let start = now();
        let mut world = World::new(&configs);
        while world.ids.len() < count {
            world.connect(&configs);
        }
        eprintln!(
            "  {name} associations in {:.1} s",
            start.elapsed().as_secs_f64()
        );
        let mut random = Random(count as u64);
        Item::new(name, move || {
            let (mut all, mut server) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..batches {
                all += echoes(&mut world, &mut random);
                server += answers(&mut world, &mut random);
            }
            let datagrams = f64::from(batches) * BATCH as f64;
            vec![
                all.as_secs_f64() * 1e9 / datagrams,
                server.as_secs_f64() * 1e9 / datagrams,
            ]
        })
    });
    Board::measure(effort, &METRICS, items.into())
}

/// A question of a random client, on its way to the server.
fn ask(world: &mut World, random: &mut Random, out: &mut Vec<u8>) -> (Path, BytesMut) {
    let place = random.below(world.ids.len());
    let association = world.clients.association(world.now, world.ids[place]);
    let sent = association.expect("it is up").send(&[7; BYTES]);
    sent.expect("there is room");
    pending(&mut world.clients, world.now, out)
}

/// The server takes a question, and answers.
fn answer(
    server: &mut Endpoint,
    now: Instant,
    (path, question): (Path, BytesMut),
    out: &mut Vec<u8>,
) -> (Path, BytesMut) {
    server.handle_datagram(now, path, question);
    while let Some((id, _)) = server.poll_event() {
        let mut association = server.association(now, id).expect("it is up");
        while let Some(received) = association.recv() {
            let sent = association.send(&received.data);
            sent.expect("there is room");
        }
    }
    pending(server, now, out)
}

/// The clients take an answer.
fn hear(clients: &mut Endpoint, now: Instant, (path, answer): (Path, BytesMut)) {
    clients.handle_datagram(now, path, answer);
    let mut heard = 0;
    drain(clients, now, |_, data| heard += data.len());
    assert_eq!(heard, BYTES);
}

/// The datagram that waits to be sent.
fn pending(endpoint: &mut Endpoint, now: Instant, out: &mut Vec<u8>) -> (Path, BytesMut) {
    out.clear();
    let transmit = endpoint.poll_transmit(now, 1, out);
    let path = transmit.expect("a datagram waits").path;
    (path, BytesMut::from(&out[..]))
}

/// Both ends, one echo after the other.
fn echoes(world: &mut World, random: &mut Random) -> Duration {
    let (now, mut out) = (world.now, Vec::new());
    let start = thread_cpu();
    for _ in 0..BATCH {
        let question = ask(world, random, &mut out);
        let answer = answer(&mut world.server, now, question, &mut out);
        hear(&mut world.clients, now, answer);
    }
    thread_cpu() - start
}

/// The server's part of as many echoes, whose questions are there already.
fn answers(world: &mut World, random: &mut Random) -> Duration {
    let (now, mut out) = (world.now, Vec::new());
    let questions: Vec<_> = (0..BATCH).map(|_| ask(world, random, &mut out)).collect();
    let server = &mut world.server;
    let start = thread_cpu();
    let answers: Vec<_> = questions
        .into_iter()
        .map(|question| answer(server, now, question, &mut out))
        .collect();
    let took = thread_cpu() - start;
    for answer in answers {
        hear(&mut world.clients, now, answer);
    }
    took
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}
