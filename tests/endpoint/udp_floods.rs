//! What a flood costs an established association on real sockets: the processor of the server is
//! all that they share here, because this thread sends only what the server's buffer has room for.
//!
//! How much of the processor the server takes for a burst of the association is measured beside
//! nothing and beside each kind of flood in turns, so a datagram of a flood has a price in time,
//! and a flood of so many in a second takes so much of each second. What else this machine has to
//! do is not counted; and since answers are rationed by time, a flood meets the ration of the time
//! that it stands for.

#![cfg(all(feature = "net", target_os = "linux"))]

use crate::common::configs::{Configs, Ends, server_name, start};
use bytes::BytesMut;
use rustix::time::{ClockId, clock_gettime};
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::{DtlsConnection, Event, Path};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How many datagrams of strangers come in a second: a line of 200 Mbit/s full of hellos.
const RATE: f64 = 100_000.0;

/// How many datagrams the association sends at a time.
const BURST: u64 = 48;

/// How many strangers send at a time: the buffer has room for them, and they are far more than are
/// answered.
const FLOOD: usize = 500;

/// How long so many take to come.
const SPELL: Duration = Duration::from_micros((FLOOD as f64 / RATE * 1e6) as u64);

/// How many hellos are answered in that time, beside an association at work: 20,000 in a second.
const ANSWERED: u64 = 100;

/// How often each kind has its turn.
const STEPS: u64 = 150;

struct Field {
    /// A hello without a cookie.
    hello: Vec<u8>,
    server: UdpEndpoint,
    client: UdpEndpoint,
    id: AssociationId,
    /// Those of whom the server knows nothing.
    strangers: Vec<UdpSocket>,
    /// Those who have begun a handshake.
    known: Vec<UdpSocket>,
    /// How many datagrams the association has sent, and the server has taken of them.
    sent: u64,
    taken: u64,
}

impl Field {
    fn new(configs: &Configs) -> Self {
        let policy = EndpointPolicy::default();
        let server = Some(configs.server.clone());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = UdpEndpoint::bind(any, policy.clone(), server).unwrap();
        let address = server.local_addr().unwrap();
        let mut client = UdpEndpoint::connected_to(address, policy).unwrap();
        let id = client
            .connect(configs.client.clone(), server_name(), address)
            .unwrap();
        let sockets = |network: u8| {
            let socket = |number| {
                let any = SocketAddr::from(([127, network, number, 1], 0));
                let socket = UdpSocket::bind(any).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket.connect(address).unwrap();
                socket
            };
            (0..64).map(socket).collect()
        };
        let mut this = Self {
            hello: Vec::new(),
            strangers: sockets(9),
            known: sockets(10),
            server,
            client,
            id,
            sent: 0,
            taken: 0,
        };
        let end = start() + Duration::from_secs(10);
        let mut up = 0;
        while up < 2 && start() < end {
            this.client.turn().unwrap();
            this.server.turn().unwrap();
            for endpoint in [&mut this.client, &mut this.server] {
                let events = std::iter::from_fn(|| endpoint.poll_event());
                let done = |(_, event): &(_, _)| matches!(event, Event::HandshakeComplete { .. });
                up += events.filter(done).count();
            }
        }
        assert_eq!(up, 2);
        this.hello = this.newcomer(configs).1;
        this
    }

    /// A client that begins, and its hello.
    fn newcomer(&self, configs: &Configs) -> (DtlsConnection, Vec<u8>) {
        let path = Path::new(self.server.local_addr().unwrap());
        let (config, now) = (configs.client.clone(), start());
        let mut client = DtlsConnection::connect(now, config, server_name(), path).unwrap();
        let hello = sent(&mut client);
        (client, hello)
    }

    /// Begins a handshake from every known address, and returns the hellos that did.
    fn used_hellos(&mut self, configs: &Configs) -> Vec<Vec<u8>> {
        let mut used = Vec::new();
        for socket in &self.known {
            let (mut client, hello) = self.newcomer(configs);
            socket.send(&hello).unwrap();
            self.server.turn().unwrap();
            let mut answer = [0; 2048];
            // Others may be the answer to an earlier attempt.
            let mut proven = Vec::new();
            while let Ok(length) = socket.recv(&mut answer) {
                let (path, answer) = (client.path(), BytesMut::from(&answer[..length]));
                client.handle_datagram(start(), path, answer).unwrap();
                proven.clear();
                client.poll_transmit(start(), 1, &mut proven);
                if !proven.is_empty() {
                    break;
                }
            }
            socket.send(&proven).unwrap();
            self.server.turn().unwrap();
            used.push(proven);
        }
        used
    }

    /// The association sends a burst, strangers a flood, and the server takes it all. Returns how
    /// long the server has had the processor, in seconds, and how many answers it has given.
    fn step(&mut self, flood: &Flood) -> Step {
        let spell = start();
        self.use_up_the_ration();
        self.send(BURST);
        let sockets = match flood.is_known {
            true => &self.known,
            false => &self.strangers,
        };
        let datagrams = flood.datagrams.iter().cycle();
        for (datagram, socket) in datagrams.zip(sockets.iter().cycle()).take(FLOOD) {
            // What the system reports of an earlier one is nobody's concern.
            let _sent = socket.send(datagram);
        }
        while !flood.datagrams.is_empty() && spell.elapsed() < SPELL {}
        let (before, began) = (self.answered(), processor_time());
        self.serve();
        let worked = (processor_time() - began).as_secs_f64();
        let answered = self.answered() - before;
        self.drop_answers();
        self.client.turn().unwrap();
        Step { worked, answered }
    }

    fn answered(&self) -> u64 {
        let stats = self.server.endpoint().stats();
        stats.hello_verify_requests + stats.retry_requests
    }

    /// Has the server answer hellos until it answers no more, beside an association at work.
    fn use_up_the_ration(&mut self) {
        loop {
            let dropped = self.server.endpoint().stats().replies_dropped;
            self.send(1);
            // So many answers have a place.
            for socket in self.strangers.iter().cycle().take(200) {
                let _sent = socket.send(&self.hello);
            }
            self.serve();
            self.drop_answers();
            if self.server.endpoint().stats().replies_dropped > dropped {
                break;
            }
        }
    }

    fn send(&mut self, number: u64) {
        let mut association = self.client.association(self.id).unwrap();
        for _ in 0..number {
            association.send(&[7; 1200]).unwrap();
        }
        drop(association);
        self.client.flush().unwrap();
        self.sent += number;
    }

    /// The server takes everything that has come.
    fn serve(&mut self) {
        loop {
            self.server.turn().unwrap();
            let mut quiet = true;
            while let Some((id, event)) = self.server.poll_event() {
                quiet = false;
                if let Event::Readable = event {
                    let mut association = self.server.association(id).unwrap();
                    while association.recv().is_some() {
                        self.taken += 1;
                    }
                }
            }
            if quiet && self.server.poll_timeout() != Some(Duration::ZERO) {
                break;
            }
        }
    }

    fn drop_answers(&self) {
        let mut answer = [0; 2048];
        for socket in self.strangers.iter().chain(&self.known) {
            while socket.recv(&mut answer).is_ok() {}
        }
    }
}

/// Datagrams that are sent again and again.
struct Flood {
    name: &'static str,
    datagrams: Vec<Vec<u8>>,
    /// They come from addresses that have begun a handshake.
    is_known: bool,
}

/// How long this thread has had the processor, in this program and in the system.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}

fn sent(client: &mut DtlsConnection) -> Vec<u8> {
    let mut out = Vec::new();
    client.poll_transmit(start(), 1, &mut out).unwrap();
    out
}

/// What the server has done for a burst and a flood.
struct Step {
    /// How long it had the processor, in seconds.
    worked: f64,
    answered: u64,
}

/// What the tenth of the steps took that come nearest to what they stand for, and are the least
/// disturbed by others: a machine that was busy in between has earned the flood more answers.
fn typical(mut steps: Vec<Step>) -> f64 {
    steps.sort_by(|one, other| {
        let distance = |step: &Step| step.answered.abs_diff(ANSWERED);
        let nearer = distance(one).cmp(&distance(other));
        nearer.then(one.worked.total_cmp(&other.worked))
    });
    steps.truncate(steps.len() / 10);
    steps.sort_by(|one, other| one.worked.total_cmp(&other.worked));
    steps[steps.len() / 2].worked
}

/// A flood leaves an established association half of its throughput at least, and none of its
/// datagrams is lost for it.
#[test]
fn a_flood_leaves_an_association_half_of_its_throughput() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).build();
        let mut field = Field::new(&configs);
        let used = field.used_hellos(&configs);
        // The cookies of these are newer, so those are good for nothing any more.
        std::thread::sleep(Duration::from_millis(10));
        field.used_hellos(&configs);
        let flood = |name, datagrams, is_known| Flood {
            name,
            datagrams,
            is_known,
        };
        let floods = [
            flood("nothing", vec![], false),
            flood("hellos", vec![field.hello.clone()], false),
            flood("used cookies", used, true),
            flood(
                "garbage",
                vec![[&[23, 0xfe, 0xfd][..], &[9; 197]].concat()],
                false,
            ),
        ];
        let mut steps = [const { Vec::new() }; 4];
        for _ in 0..STEPS {
            for (flood, steps) in floods.iter().zip(&mut steps) {
                steps.push(field.step(flood));
            }
        }
        let [alone, others @ ..] = steps.map(typical);
        for (flood, time) in floods[1..].iter().zip(others) {
            let price = (time - alone) / FLOOD as f64;
            let (name, share) = (flood.name, 1.0 - RATE * price);
            let nanoseconds = price * 1e9;
            println!("{versions:?}, {name}: {nanoseconds:.0} ns each leave {share:.2}");
            assert!(share >= 0.5, "{versions:?} {name}: {share:.2}");
        }
        let stats = *field.server.endpoint().stats();
        println!("{stats:?}");
        let expected = field.sent;
        assert_eq!(field.taken, expected, "{stats:?}");
        let asked = stats.hello_verify_requests + stats.retry_requests;
        assert!(asked > 100 && stats.replies_dropped > 100, "{stats:?}");
        assert!(stats.strays > 100, "{stats:?}");
        // At 1.3 the attempt that each has begun is still there, and takes it for a repetition.
        let replayed = stats.hellos_replayed > 100;
        assert_eq!(replayed, versions == Versions::V1_2, "{stats:?}");
        assert_eq!(stats.accepted, 1 + 2 * 64, "{stats:?}");
    }
}
