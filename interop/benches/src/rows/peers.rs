//! A thousand peers, one datagram of 1,200 bytes each a turn: what a server pays for a datagram
//! that it sends to one of them, and for one that it receives, beside what it pays with one peer.
//!
//! In turn: on core 0 the server sends to everybody (measured); on core 1, so that the server's
//! caches stay what they are, everybody takes it and sends; the server takes that (measured). It
//! never waits in a call, and the sockets hold everything. Nothing can be cut by the system where
//! each datagram goes elsewhere: `sendmmsg`, and one call for each, are what is physically
//! possible. With one peer the same number of datagrams leaves with GSO and comes with GRO.

use crate::measure::{Board, Effort, Item, RECEIVER, SENDER, pin, thread_cpu};
use crate::pki::Pki;
use crate::raw::{BATCH, Codec, DATAGRAM, Inbox, SegmentsRx, SegmentsTx, patient, send_many};
use crate::report::{Bar, Limit, Section};
use crate::sockets::{self, address};
use crate::stacks::sealgram::{Configs, Fleet, Station, Version, flush, turn};
use crate::transfer::Rx as _;
use nix::sys::socket::{MultiHeaders, SockaddrIn};
use sealgram::NamedGroup;
use sealgram::endpoint::AssociationId;
use sealgram::net::UdpEndpoint;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const PEERS: usize = 1000;
const BYTES: usize = 1200;

/// How many turns a round has.
const TURNS: u32 = 10;

const METRICS: [&str; 3] = ["both ns", "send ns", "receive ns"];

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let mut bars = Vec::new();
    let mut bar = |name: &str, item: &str, other: &str, limit| {
        let name = format!("1,000 peers, CPU a datagram, {name}");
        bars.push(Bar::ratio(name, &board, (item, other, METRICS[0]), limit));
    };
    for version in Version::ALL {
        let version = version.name();
        let (many, one) = (
            format!("sealgram {version}, 1,000 peers"),
            format!("sealgram {version}, 1 peer"),
        );
        let name = format!("DTLS {version}, × one-peer bulk");
        bar(&name, &many, &one, Limit::AtMost(2.0));
        let name = format!("DTLS {version}, × ring with sendmmsg");
        bar(&name, &many, "ring sendmmsg, 1,000 peers", Limit::None);
    }
    let one = "ring GSO + GRO, 1 peer";
    let name = "ring with sendmmsg, × ring's one-peer bulk";
    bar(name, "ring sendmmsg, 1,000 peers", one, Limit::None);
    let name = "ring with one call each, × ring's one-peer bulk";
    bar(name, "ring one a call, 1,000 peers", one, Limit::None);
    vec![Section {
        name: "peers",
        title: "1,000 peers, one datagram of 1,200 bytes each a turn: the server's CPU".into(),
        board,
        bars,
        notes: vec![
            "Where each datagram goes elsewhere, GSO and GRO do nothing: sendmmsg with recvmmsg, \
             and one call for each, are the physical floors.",
        ],
        plot: None,
    }]
}

/// A server.
trait Host {
    /// Sends one datagram to each peer.
    fn send(&mut self);

    /// Takes one of each; returns how many.
    fn receive(&mut self) -> usize;
}

/// Its peers.
trait Guests: Send {
    /// Each takes what was sent to it, and sends one.
    fn answer(&mut self);
}

type Ends = (String, Box<dyn Host>, Box<dyn Guests>);

fn board(effort: Effort, pki: &Pki) -> Board {
    let turns = effort.calls(TURNS);
    let mut items: Vec<Ends> = Vec::new();
    for (name, codec) in [
        ("raw", Codec::plain as fn() -> Codec),
        ("ring", Codec::ring),
    ] {
        for (how, many) in [("one a call", false), ("sendmmsg", true)] {
            let (host, guests) = bare(codec, many);
            let name = format!("{name} {how}, 1,000 peers");
            items.push((name, Box::new(host), Box::new(guests)));
        }
        let (host, guest) = segments(codec);
        let name = format!("{name} GSO + GRO, 1 peer");
        items.push((name, Box::new(host), Box::new(guest)));
    }
    for version in Version::ALL {
        let configs = Configs::new(pki, version, NamedGroup::X25519);
        for (name, peers) in [("1,000 peers", PEERS), ("1 peer", 1)] {
            let (host, guests) = ours(&configs, peers);
            let name = format!("sealgram {}, {name}", version.name());
            items.push((name, Box::new(host), Box::new(guests)));
        }
    }
    let items = items.into_iter().map(|(name, mut host, mut guests)| {
        Item::new(name, move || turn_about(&mut *host, &mut *guests, turns))
    });
    Board::measure(effort, &METRICS, items.collect())
}

/// So many turns; returns [`METRICS`].
fn turn_about(host: &mut dyn Host, guests: &mut dyn Guests, turns: u32) -> Vec<f64> {
    let barrier = Barrier::new(2);
    let (mut send, mut receive) = (Duration::ZERO, Duration::ZERO);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(RECEIVER);
            for _ in 0..turns {
                barrier.wait();
                guests.answer();
                barrier.wait();
            }
        });
        pin(SENDER);
        for _ in 0..turns {
            let start = thread_cpu();
            host.send();
            send += thread_cpu() - start;
            barrier.wait();
            barrier.wait();
            let start = thread_cpu();
            assert_eq!(
                host.receive(),
                PEERS,
                "the loopback interface loses nothing"
            );
            receive += thread_cpu() - start;
        }
    });
    let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(turns) / PEERS as f64;
    vec![each(send + receive), each(send), each(receive)]
}

/// A bare socket.
struct Bare {
    socket: UdpSocket,
    addresses: Vec<SocketAddr>,
    codecs: HashMap<SocketAddr, Codec>,
    many: bool,
    datagrams: Vec<Vec<u8>>,
    headers: MultiHeaders<SockaddrIn>,
    inbox: Inbox,
}

/// Bare sockets, and what each of them sends.
struct BarePeers {
    sockets: Vec<UdpSocket>,
    sealed: Vec<u8>,
}

const PAYLOAD: [u8; BYTES] = [3; BYTES];

fn bare(codec: fn() -> Codec, many: bool) -> (Bare, BarePeers) {
    let socket = sockets::bound();
    socket.set_nonblocking(true).expect("a new socket");
    let peers: Vec<_> = (0..PEERS)
        .map(|_| sockets::connected(address(&socket)))
        .collect();
    let addresses: Vec<_> = peers.iter().map(address).collect();
    let mut sealed = Vec::new();
    codec().seal(&PAYLOAD, &mut sealed);
    let host = Bare {
        codecs: addresses.iter().map(|peer| (*peer, codec())).collect(),
        addresses,
        socket,
        many,
        datagrams: vec![Vec::new(); BATCH],
        headers: MultiHeaders::preallocate(BATCH, None),
        inbox: Inbox::new(),
    };
    let guests = BarePeers {
        sockets: peers,
        sealed,
    };
    (host, guests)
}

impl Guests for BarePeers {
    fn answer(&mut self) {
        for socket in &self.sockets {
            let received = socket.recv(&mut [0; DATAGRAM]);
            received.expect("it was sent one");
            socket.send(&self.sealed).expect("loopback takes it");
        }
    }
}

fn seal(codecs: &mut HashMap<SocketAddr, Codec>, peer: SocketAddr, out: &mut Vec<u8>) {
    out.clear();
    let codec = codecs.get_mut(&peer).expect("it is known");
    codec.seal(&PAYLOAD, out);
}

fn system(address: SocketAddr) -> SockaddrIn {
    match address {
        SocketAddr::V4(address) => address.into(),
        SocketAddr::V6(_) => unreachable!("all of them are of IPv4"),
    }
}

impl Host for Bare {
    fn send(&mut self) {
        let step = if self.many { BATCH } else { 1 };
        for some in self.addresses.chunks(step) {
            for (peer, datagram) in some.iter().zip(&mut self.datagrams) {
                seal(&mut self.codecs, *peer, datagram);
            }
            if self.many {
                let to: Vec<_> = some.iter().map(|peer| Some(system(*peer))).collect();
                let datagrams = &self.datagrams[..some.len()];
                let sent = send_many(&self.socket, &mut self.headers, datagrams, &to);
                assert_eq!(sent, some.len());
            } else {
                let sent = self.socket.send_to(&self.datagrams[0], some[0]);
                sent.expect("loopback takes it");
            }
        }
    }

    fn receive(&mut self) -> usize {
        let (mut count, codecs) = (0, &self.codecs);
        let mut take = |from: SocketAddr, datagram: &mut [u8]| {
            let opened = codecs[&from].open(datagram);
            assert_eq!(opened, BYTES);
            count += 1;
        };
        if self.many {
            let mut take = |from: Option<SockaddrIn>, datagram: &mut [u8]| {
                let from = from.expect("the system says");
                take((from.ip(), from.port()).into(), datagram);
            };
            while self.inbox.receive(&self.socket, &mut take) > 0 {}
        } else {
            let mut datagram = [0; DATAGRAM];
            while let Some((length, from)) = patient(self.socket.recv_from(&mut datagram)) {
                take(from, &mut datagram[..length]);
            }
        }
        count
    }
}

/// All datagrams in as few calls as possible.
struct Segments {
    tx: SegmentsTx,
    rx: SegmentsRx,
    contents: Vec<u8>,
}

/// A server with one peer.
fn segments(codec: fn() -> Codec) -> (Segments, Segments) {
    let (there, back) = (SegmentsRx::new(codec()), SegmentsRx::new(codec()));
    let end = |rx: SegmentsRx, to| Segments {
        tx: SegmentsTx::new(to, codec(), PAYLOAD.into()),
        rx,
        contents: Vec::new(),
    };
    let (host, guest) = (back.address(), there.address());
    (end(back, guest), end(there, host))
}

impl Host for Segments {
    fn send(&mut self) {
        let mut left = PEERS;
        while left > 0 {
            left -= self.tx.send_some(&mut self.contents, left);
        }
    }

    fn receive(&mut self) -> usize {
        let mut count = 0;
        while count < PEERS {
            count += self.rx.receive() as usize;
        }
        count
    }
}

impl Guests for Segments {
    fn answer(&mut self) {
        self.receive();
        self.send();
    }
}

/// An end of associations.
struct Ours {
    station: Station,
    ids: Vec<AssociationId>,
}

/// The clients.
struct OurPeers(Ours);

fn ours(configs: &Configs, peers: usize) -> (Ours, OurPeers) {
    let fleet = Fleet::new(configs, peers);
    let host = Ours {
        ids: fleet.server_ids(),
        station: fleet.server,
    };
    let guests = Ours {
        ids: fleet.ids,
        station: fleet.clients,
    };
    (host, OurPeers(guests))
}

/// The most datagrams that one association sends in a turn.
const BURST: usize = 250;

/// Queues up to [`BURST`] datagrams of one association.
fn queue(endpoint: &mut UdpEndpoint, id: AssociationId, count: usize) {
    let mut association = endpoint.association(id).expect("it is up");
    for _ in 0..count.min(BURST) {
        association.send(&PAYLOAD).expect("there is room");
    }
}

impl Host for Ours {
    fn send(&mut self) {
        let each = PEERS / self.ids.len();
        let endpoint = &mut self.station.endpoints[0];
        for _ in 0..each.div_ceil(BURST) {
            for id in &self.ids {
                queue(endpoint, *id, each);
            }
            flush(endpoint);
        }
    }

    fn receive(&mut self) -> usize {
        let mut count = 0;
        while count < PEERS {
            turn(&mut self.station.endpoints[0]);
            let checked = |data: &[u8]| assert_eq!(data.len(), BYTES);
            count += self.station.drain(0, |_, data| checked(data)) as usize;
        }
        count
    }
}

impl Guests for OurPeers {
    fn answer(&mut self) {
        let Ours { station, ids } = &mut self.0;
        let each = PEERS / ids.len();
        for (place, id) in ids.iter().enumerate() {
            let mut count = 0;
            while count < each {
                turn(&mut station.endpoints[place]);
                count += station.drain(place, |_, _| {}) as usize;
            }
            let endpoint = &mut station.endpoints[place];
            for _ in 0..each.div_ceil(BURST) {
                queue(endpoint, *id, each);
                flush(endpoint);
            }
        }
    }
}
