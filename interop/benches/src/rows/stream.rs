//! TLS in memory, AES-128-GCM: 16 KiB from the sender's buffer to the receiver's, beside rustls
//! over `ring`.

use crate::measure::{Board, Effort, Item, cpu_ns};
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::stacks::in_memory::streams;
use crate::stacks::rustls::{Rustls, Stream};
use crate::stacks::sealgram::{Configs, Version};
use bytes::BytesMut;
use sealgram::{NamedGroup, TlsConnection};
use std::time::Instant;

const RECORD: usize = 1 << 14;

/// How many records a round passes.
const CALLS: u32 = 100;

const METRICS: [&str; 1] = ["GB/s, sent and received"];

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let bars = Version::ALL.map(|version| {
        let version = version.name();
        let (ours, rustls) = (format!("sealgram {version}"), format!("rustls {version}"));
        let name = format!("TLS {version}, 16 KiB, throughput, × rustls");
        let compared = (&*ours, &*rustls, METRICS[0]);
        Bar::ratio(name, &board, compared, Limit::AtLeast(1.25))
    });
    vec![Section {
        name: "stream",
        title: "TLS in memory, 16 KiB records, AES-128-GCM".into(),
        bars: bars.into(),
        board,
        notes: vec!["rustls runs on ring, as sealgram does."],
        plot: None,
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let (calls, data) = (effort.calls(CALLS), &[7; RECORD][..]);
    let rate = |ns: f64| vec![RECORD as f64 / ns];
    let mut items = Vec::new();
    for version in Version::ALL {
        let mut ours = Ours::new(&Configs::new(pki, version, NamedGroup::X25519));
        items.push(Item::new(
            format!("sealgram {}", version.name()),
            move || rate(cpu_ns(calls, || ours.pass(data))),
        ));
        let mut theirs = Stream::new(&Rustls::new(pki, version, true), RECORD);
        items.push(Item::new(format!("rustls {}", version.name()), move || {
            rate(cpu_ns(calls, || theirs.pass(data)))
        }));
    }
    Board::measure(effort.in_memory(), &METRICS, items)
}

/// A client that sends and a server that receives, with the buffers that their callers keep.
struct Ours {
    client: TlsConnection,
    server: TlsConnection,
    now: Instant,
    wire: Vec<u8>,
    arena: BytesMut,
    received: Vec<u8>,
}

impl Ours {
    fn new(configs: &Configs) -> Self {
        let (client, server, now) = streams(configs);
        Self {
            client,
            server,
            now,
            wire: Vec::new(),
            arena: BytesMut::new(),
            received: vec![0; RECORD],
        }
    }

    fn pass(&mut self, data: &[u8]) {
        self.wire.clear();
        assert_eq!(self.client.send(self.now, data), Ok(data.len()));
        let transmit = self.client.poll_transmit(self.now, &mut self.wire);
        transmit.expect("data waits");
        self.arena.reserve(2 * RECORD);
        self.arena.extend_from_slice(&self.wire);
        let taken = self.server.handle_bytes(self.now, &mut self.arena);
        taken.expect("nothing is wrong with them");
        self.server.poll_event();
        let received = self.server.recv_into(&mut self.received);
        assert_eq!(received.expect("it was sent").0, RECORD);
    }
}
