//! One-way bulk of 1,200 bytes a datagram over the loopback interface, one association, one sender
//! on core 0, one receiver on core 1.
//!
//! The practical limit is `ring` sealing into a GSO superpacket and opening in a GRO buffer, in
//! place. sealgram runs as a program would run it: `send` so often, `flush`; at the other end wait,
//! `turn`, drain the events, `recv`. OpenSSL, dimpl and webrtc-rs have no batches: they make one
//! system call a datagram, and their receivers wait in the receive call.
//!
//! A sender that is faster than its receiver overflows the socket: what counts is what was
//! received while the sender ran, and the loss is shown.

use crate::measure::{Board, Effort, Item};
use crate::output::Plot;
use crate::pki::Pki;
use crate::raw::{Codec, ManyRx, ManyTx, PlainRx, PlainTx, SegmentsRx, SegmentsTx};
use crate::report::{Bar, Limit, Section};
use crate::sockets::{self, PATIENCE};
use crate::stacks::sealgram::{Configs, Fleet, Station, Version, flush, turn};
use crate::transfer::{METRICS, Pace, Rx, Tx, transfer};
use sealgram::NamedGroup;
use sealgram::endpoint::AssociationId;
use std::time::Duration;

/// The payload of a datagram.
pub const BYTES: usize = 1200;

/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(200);

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let mut bars = Vec::new();
    for (version, batch) in [64, 256]
        .map(|batch| Version::ALL.map(|it| (it, batch)))
        .concat()
    {
        let ours = format!("sealgram {}, {batch} a turn", version.name());
        let mut bar = |of, other, metric, limit| {
            let name = format!("bulk, DTLS {}, {batch} a turn, {of}", version.name());
            bars.push(Bar::ratio(name, &board, (&ours, other, metric), limit));
        };
        let (limit, received, by_cpu) = ("ring, GSO + GRO", METRICS[0], METRICS[5]);
        bar(
            "share of ring GSO + GRO",
            limit,
            received,
            Limit::AtLeast(0.85),
        );
        bar("the same by CPU", limit, by_cpu, Limit::None);
        if board.has("OpenSSL 1.2") {
            bar(
                "× OpenSSL 1.2",
                "OpenSSL 1.2",
                received,
                Limit::AtLeast(6.0),
            );
        }
    }
    vec![Section {
        name: "bulk",
        title: "Bulk over loopback UDP, 1,200 bytes a datagram, one way".into(),
        board,
        bars,
        notes: vec![
            "Received while the sender ran. Raw and ring have no stack; ring with GSO + GRO is \
             the practical limit.",
            "OpenSSL, dimpl and webrtc-rs make one system call a datagram: they have no batches.",
        ],
        plot: Some(Plot {
            file: "bulk",
            metric: METRICS[0],
            better: "more",
            items: [
                "ring, GSO + GRO",
                "sealgram 1.2, 256 a turn",
                "sealgram 1.3, 256 a turn",
                "sealgram 1.2, 64 a turn",
                "sealgram 1.3, 64 a turn",
                "ring, one a call",
                "OpenSSL 1.2",
                "dimpl 1.2",
                "dimpl 1.3",
                "webrtc-rs 1.2",
            ]
            .map(String::from)
            .into(),
        }),
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let mut items = raw();
    for (version, batch) in [
        (Version::V12, 64),
        (Version::V12, 256),
        (Version::V13, 64),
        (Version::V13, 256),
        (Version::V12, 1),
    ] {
        let fleet = Fleet::new(&Configs::new(pki, version, NamedGroup::X25519), 1);
        let name = format!("sealgram {}, {batch} a turn", version.name());
        let tx = Ours::new(fleet.clients, fleet.ids[0], batch);
        items.push((name, Box::new(tx), Box::new(fleet.server)));
    }
    items.extend(peers(pki));
    let time = effort.time(ROUND);
    let items = items.into_iter().map(|(name, mut tx, mut rx)| {
        Item::new(name, move || {
            transfer(&mut *tx, &mut *rx, BYTES as u64, time)
        })
    });
    Board::measure(effort, &METRICS, items.collect())
}

/// The other stacks, if they are built.
#[cfg(feature = "peers")]
fn peers(pki: &Pki) -> Vec<Ends> {
    use crate::stacks::{dimpl, openssl, webrtc};
    let mut items = vec![("OpenSSL 1.2".to_owned(), openssl::bulk(pki, BYTES))];
    for version in Version::ALL {
        let name = format!("dimpl {}", version.name());
        items.push((name, dimpl::bulk(pki, version, BYTES)));
    }
    items.push(("webrtc-rs 1.2".to_owned(), webrtc::bulk(pki, BYTES)));
    let items = items.into_iter();
    items.map(|(name, (tx, rx))| (name, tx, rx)).collect()
}

#[cfg(not(feature = "peers"))]
fn peers(_: &Pki) -> Vec<Ends> {
    Vec::new()
}

type Ends = (String, Box<dyn Tx>, Box<dyn Rx>);

fn raw() -> Vec<Ends> {
    let mut items: Vec<Ends> = Vec::new();
    for (name, codec) in [
        ("raw", Codec::plain as fn() -> Codec),
        ("ring", Codec::ring),
    ] {
        let payload = vec![3; BYTES];
        let plain = || {
            let (one, other) = sockets::pair();
            let tx = PlainTx {
                socket: one,
                codec: codec(),
                payload: payload.clone(),
            };
            let rx = PlainRx {
                socket: other,
                codec: codec(),
            };
            (tx, rx)
        };
        let (tx, rx) = plain();
        items.push((format!("{name}, one a call"), Box::new(tx), Box::new(rx)));
        let (tx, rx) = plain();
        let (tx, rx) = (ManyTx(tx), ManyRx::new(rx));
        items.push((format!("{name}, sendmmsg"), Box::new(tx), Box::new(rx)));
        let rx = SegmentsRx::new(codec());
        let tx = SegmentsTx::new(rx.address(), codec(), payload);
        items.push((format!("{name}, GSO + GRO"), Box::new(tx), Box::new(rx)));
    }
    items
}

/// A client that says the same over and over.
struct Ours {
    station: Station,
    id: AssociationId,
    batch: u32,
    payload: Vec<u8>,
}

impl Ours {
    fn new(station: Station, id: AssociationId, batch: u32) -> Self {
        Self {
            station,
            id,
            batch,
            payload: vec![3; BYTES],
        }
    }
}

impl Tx for Ours {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let mut count = 0;
        while pace.goes_on(count) {
            let endpoint = &mut self.station.endpoints[0];
            let mut association = endpoint.association(self.id).expect("nothing ends it");
            for _ in 0..self.batch {
                association.send(&self.payload).expect("there is room");
                count += 1;
            }
            drop(association);
            flush(endpoint);
            while endpoint.poll_event().is_some() {}
        }
        count
    }
}

impl Rx for Station {
    fn receive(&mut self) -> u64 {
        self.wait(PATIENCE);
        turn(&mut self.endpoints[0]);
        let mut bytes = 0;
        let count = self.drain(0, |_, data| bytes += data.len());
        assert_eq!(bytes, count as usize * BYTES);
        count
    }
}
