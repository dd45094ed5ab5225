//! Questions and answers of 256 bytes, one datagram a turn. With 1,000 peers they ask one after the
//! other. Twice: both ends on one core, where nobody ever sleeps, so that the processor time is
//! that of the stacks and of their system calls; and each on its own core, where each sleeps in
//! epoll until the other has sent, so that waking up is counted too.
//!
//! The yardstick is what a program without a stack does: bare `ring` at 1.2, level-triggered epoll,
//! one receive call and one send call a datagram. Each client has a connected socket. The server
//! has one socket for all and finds the keys by the sender's address, as have sealgram and dimpl.
//! OpenSSL stands there twice: with one socket as the others, and with a connected socket for each
//! client at the server too, which many programs do and which is cheaper for the system. Nobody
//! makes a receive call that must fail, unless the stack itself makes it.

use crate::floor::Floor12;
use crate::measure::{Board, Effort, Item, RECEIVER, SENDER, now, pin, thread_cpu};
use crate::output::Plot;
use crate::pki::Pki;
use crate::raw::{DATAGRAM, patient};
use crate::ready::Ready;
use crate::report::{Bar, Limit, Section};
use crate::sockets::{self, PATIENCE, address};
use crate::stacks::sealgram::{Configs, Fleet, Station, Version, flush, turn};
use sealgram::NamedGroup;
use sealgram::endpoint::AssociationId;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Barrier;
use std::thread;

/// The size of questions and answers.
pub const BYTES: usize = 256;

/// How many questions a round asks.
const QUESTIONS: u32 = 2000;

const METRICS: [&str; 6] = [
    "ns on one core",
    "ns on two",
    "client ns",
    "server ns",
    "p50 µs",
    "p99 µs",
];

/// OpenSSL with a connected socket for each client at the server too.
const CONNECTED: &str = "OpenSSL 1.2, connected sockets";

/// Whoever asks.
pub trait Client: Send {
    /// Asks as one of the peers.
    fn ask(&mut self, peer: usize);

    /// Waits for answers, but no longer than [`PATIENCE`], and returns how many came.
    fn hear(&mut self) -> u32;
}

/// Whoever answers.
pub trait Server {
    /// Waits for questions, but no longer than [`PATIENCE`], and returns how many were answered.
    fn answer(&mut self) -> u32;
}

/// A name, a client and a server.
pub type Ends = (String, Box<dyn Client>, Box<dyn Server>);

/// The rows: one peer and a thousand.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    [1, 1000].map(|peers| section(effort, pki, peers)).into()
}

fn section(effort: Effort, pki: &Pki, peers: usize) -> Section {
    let board = board(effort, pki, peers);
    let mut bars = Vec::new();
    let cores = [(METRICS[0], "one core"), (METRICS[1], "two cores")];
    for (version, (metric, cores)) in cores.map(|it| Version::ALL.map(|v| (v, it))).concat() {
        let who = if peers == 1 { "1 peer" } else { "1,000 peers" };
        let ours = format!("sealgram {}", version.name());
        let mut bar = |of, other, most| {
            let name = format!(
                "ping-pong, DTLS {}, {who}, {cores}, CPU, {of}",
                version.name()
            );
            let compared = (&*ours, other, metric);
            bars.push(Bar::ratio(name, &board, compared, Limit::AtMost(most)));
        };
        bar("× plain ring", "ring", 1.3);
        if board.has("OpenSSL 1.2") {
            bar("× OpenSSL 1.2", "OpenSSL 1.2", 0.9);
            bar("× OpenSSL 1.2 on connected sockets", CONNECTED, 0.9);
        }
    }
    Section {
        name: "ping-pong",
        title: match peers {
            1 => "Ping-pong, 256 bytes, one datagram a turn, 1 peer",
            _ => "Ping-pong, 256 bytes, one datagram a turn, 1,000 peers one after the other",
        }
        .into(),
        board,
        bars,
        notes: vec![
            "CPU of both ends for a question and its answer. On one core nobody sleeps; on two \
             each sleeps until the other has sent.",
            "The server has one socket for all, but for the line that says otherwise.",
        ],
        plot: Some(Plot {
            file: if peers == 1 {
                "ping-pong-1"
            } else {
                "ping-pong-1000"
            },
            metric: METRICS[0],
            better: "less",
            items: [
                "ring",
                "sealgram 1.2",
                "sealgram 1.3",
                "OpenSSL 1.2",
                CONNECTED,
                "dimpl 1.2",
                "dimpl 1.3",
            ]
            .map(String::from)
            .into(),
        }),
    }
}

fn board(effort: Effort, pki: &Pki, peers: usize) -> Board {
    let mut items: Vec<Ends> = Vec::new();
    let (client, server) = ring(peers);
    items.push(("ring".into(), Box::new(client), Box::new(server)));
    for version in Version::ALL {
        let fleet = Fleet::new(&Configs::new(pki, version, NamedGroup::X25519), peers);
        let client = Ours {
            station: fleet.clients,
            ids: fleet.ids,
        };
        let name = format!("sealgram {}", version.name());
        items.push((name, Box::new(client), Box::new(fleet.server)));
    }
    items.extend(foreign(pki, peers));
    let questions = effort.calls(QUESTIONS);
    let items = items.into_iter().map(|(name, mut client, mut server)| {
        let mut next = 0;
        Item::new(name, move || {
            let mut turns = || {
                let start = next;
                next += questions as usize;
                (start..next).map(|turn| turn % peers)
            };
            let alone = monologue(&mut *client, &mut *server, turns());
            let mut shown = vec![alone];
            shown.extend(dialogue(&mut *client, &mut *server, turns()));
            shown
        })
    });
    Board::measure(effort, &METRICS, items.collect())
}

/// The other stacks, if they are built.
#[cfg(feature = "peers")]
fn foreign(pki: &Pki, peers: usize) -> Vec<Ends> {
    use crate::stacks::{dimpl, openssl};
    let one = openssl::pingpong_on_one_socket(pki, peers);
    let mut items = vec![
        ("OpenSSL 1.2".to_owned(), one),
        (CONNECTED.to_owned(), openssl::pingpong(pki, peers)),
    ];
    for version in Version::ALL {
        let name = format!("dimpl {}", version.name());
        items.push((name, dimpl::pingpong(pki, version, peers)));
    }
    let items = items.into_iter();
    items
        .map(|(name, (client, server))| (name, client, server))
        .collect()
}

#[cfg(not(feature = "peers"))]
fn foreign(_: &Pki, _: usize) -> Vec<Ends> {
    Vec::new()
}

/// Both ends on one core; returns the first of [`METRICS`].
fn monologue(
    client: &mut dyn Client,
    server: &mut dyn Server,
    peers: impl ExactSizeIterator<Item = usize>,
) -> f64 {
    pin(RECEIVER);
    let questions = peers.len() as f64;
    let cpu = thread_cpu();
    for peer in peers {
        client.ask(peer);
        while server.answer() == 0 {}
        while client.hear() == 0 {}
    }
    (thread_cpu() - cpu).as_secs_f64() * 1e9 / questions
}

/// Each end on its own core; returns the other [`METRICS`].
fn dialogue(
    client: &mut dyn Client,
    server: &mut dyn Server,
    peers: impl ExactSizeIterator<Item = usize> + Send,
) -> Vec<f64> {
    let questions = peers.len() as u32;
    let barrier = Barrier::new(2);
    let (client_cpu, mut latencies, server_cpu) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            pin(SENDER);
            let mut latencies = Vec::with_capacity(peers.len());
            barrier.wait();
            let cpu = thread_cpu();
            let mut last = now();
            for peer in peers {
                client.ask(peer);
                while client.hear() == 0 {}
                let now = now();
                latencies.push((now - last).as_secs_f64() * 1e6);
                last = now;
            }
            (thread_cpu() - cpu, latencies)
        });
        pin(RECEIVER);
        barrier.wait();
        let cpu = thread_cpu();
        let mut answered = 0;
        while answered < questions {
            answered += server.answer();
        }
        let server_cpu = thread_cpu() - cpu;
        let (client_cpu, latencies) = asking.join().expect("the client does not panic");
        (client_cpu, latencies, server_cpu)
    });
    let of = |cpu: std::time::Duration| cpu.as_secs_f64() * 1e9 / f64::from(questions);
    latencies.sort_by(f64::total_cmp);
    vec![
        of(client_cpu + server_cpu),
        of(client_cpu),
        of(server_cpu),
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
    ]
}

/// The keys of an association, at one end.
struct Keys {
    sealing: Floor12,
    opening: Floor12,
}

impl Keys {
    fn new() -> Self {
        Self {
            sealing: Floor12::new(),
            opening: Floor12::new(),
        }
    }
}

struct RingClient {
    ready: Ready,
    peers: Vec<(UdpSocket, Keys)>,
    payload: Vec<u8>,
    out: Vec<u8>,
}

struct RingServer {
    ready: Ready,
    socket: UdpSocket,
    peers: HashMap<SocketAddr, Keys>,
    out: Vec<u8>,
}

fn ring(peers: usize) -> (RingClient, RingServer) {
    let socket = sockets::bound();
    let sockets: Vec<_> = (0..peers)
        .map(|_| sockets::connected(address(&socket)))
        .collect();
    let server = RingServer {
        ready: Ready::of([&socket]),
        peers: sockets
            .iter()
            .map(|client| (address(client), Keys::new()))
            .collect(),
        socket,
        out: Vec::new(),
    };
    let client = RingClient {
        ready: Ready::of(&sockets),
        peers: sockets
            .into_iter()
            .map(|socket| (socket, Keys::new()))
            .collect(),
        payload: vec![3; BYTES],
        out: Vec::new(),
    };
    (client, server)
}

impl Client for RingClient {
    fn ask(&mut self, peer: usize) {
        let (socket, keys) = &mut self.peers[peer];
        self.out.clear();
        keys.sealing.seal(&self.payload, &mut self.out);
        socket.send(&self.out).expect("loopback takes it");
    }

    fn hear(&mut self) -> u32 {
        let mut count = 0;
        for place in self.ready.wait() {
            let (socket, keys) = &mut self.peers[place];
            let mut datagram = [0; DATAGRAM];
            let length = patient(socket.recv(&mut datagram)).expect("it is ready");
            assert_eq!(keys.opening.open(&mut datagram[..length]), BYTES);
            count += 1;
        }
        count
    }
}

impl Server for RingServer {
    fn answer(&mut self) -> u32 {
        let mut count = 0;
        for _ in self.ready.wait() {
            let mut datagram = [0; DATAGRAM];
            let received = patient(self.socket.recv_from(&mut datagram));
            let (length, from) = received.expect("it is ready");
            let keys = self.peers.get_mut(&from).expect("it is known");
            let opened = keys.opening.open(&mut datagram[..length]);
            let data = &datagram[length - 16 - opened..length - 16];
            self.out.clear();
            keys.sealing.seal(data, &mut self.out);
            let sent = self.socket.send_to(&self.out, from);
            sent.expect("loopback takes it");
            count += 1;
        }
        count
    }
}

struct Ours {
    station: Station,
    ids: Vec<AssociationId>,
}

impl Client for Ours {
    fn ask(&mut self, peer: usize) {
        let endpoint = &mut self.station.endpoints[peer];
        let mut association = endpoint.association(self.ids[peer]).expect("it is up");
        association.send(&[3; BYTES]).expect("there is room");
        drop(association);
        flush(endpoint);
    }

    fn hear(&mut self) -> u32 {
        self.station.wait(PATIENCE);
        let mut count = 0;
        for place in self.station.ready() {
            turn(&mut self.station.endpoints[place]);
            count += self
                .station
                .drain(place, |_, data| assert_eq!(data.len(), BYTES));
        }
        count as u32
    }
}

impl Server for Station {
    fn answer(&mut self) -> u32 {
        self.wait(PATIENCE);
        turn(&mut self.endpoints[0]);
        let count = self.drain(0, |association, data| {
            association.send(data).expect("there is room");
        });
        flush(&mut self.endpoints[0]);
        count as u32
    }
}
