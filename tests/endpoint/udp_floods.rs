//! What a flood costs an established association on real sockets: the processor of the server is
//! all that they share here, because this thread sends only what the server's buffer has room for.
//!
//! How much of the processor the server takes for a burst of the association is measured beside nothing and beside
//! each kind of flood in turns, so a datagram of a flood has a price in time, and a flood of so
//! many in a second takes so much of each second. What else this machine has to do is not counted.

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

/// How often each kind has its turn.
const STEPS: u64 = 300;

struct Field {
    server: UdpEndpoint,
    client: UdpEndpoint,
    id: AssociationId,
    /// Those of whom the server knows nothing.
    strangers: Vec<UdpSocket>,
    /// Those who have begun a handshake.
    known: Vec<UdpSocket>,
    /// How many datagrams of the association the server has taken.
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
            strangers: sockets(9),
            known: sockets(10),
            server,
            client,
            id,
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
    /// long the server has had the processor, in seconds.
    fn step(&mut self, flood: &Flood) -> f64 {
        let mut association = self.client.association(self.id).unwrap();
        for _ in 0..BURST {
            association.send(&[7; 1200]).unwrap();
        }
        drop(association);
        self.client.flush().unwrap();
        let sockets = match flood.is_known {
            true => &self.known,
            false => &self.strangers,
        };
        let datagrams = flood.datagrams.iter().cycle();
        for (datagram, socket) in datagrams.zip(sockets.iter().cycle()).take(FLOOD) {
            // What the system reports of an earlier one is nobody's concern.
            let _sent = socket.send(datagram);
        }
        let began = processor_time();
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
        let worked = (processor_time() - began).as_secs_f64();
        let mut answer = [0; 2048];
        for socket in self.strangers.iter().chain(&self.known) {
            while socket.recv(&mut answer).is_ok() {}
        }
        self.client.turn().unwrap();
        worked
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

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A flood leaves an established association half of its throughput at least, and none of its
/// datagrams is lost for it.
#[test]
fn a_flood_leaves_an_association_half_of_its_throughput() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).build();
        let mut field = Field::new(&configs);
        let (_, hello) = field.newcomer(&configs);
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
            flood("hellos", vec![hello], false),
            flood("used cookies", used, true),
            flood(
                "garbage",
                vec![[&[23, 0xfe, 0xfd][..], &[9; 197]].concat()],
                false,
            ),
        ];
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..STEPS {
            for (flood, times) in floods.iter().zip(&mut times) {
                times.push(field.step(flood));
            }
        }
        let [alone, others @ ..] = times.map(median);
        for (flood, time) in floods[1..].iter().zip(others) {
            let price = (time - alone) / FLOOD as f64;
            let (name, share) = (flood.name, 1.0 - RATE * price);
            let nanoseconds = price * 1e9;
            println!("{versions:?}, {name}: {nanoseconds:.0} ns each leave {share:.2}");
            assert!(share >= 0.5, "{versions:?} {name}: {share:.2}");
        }
        let stats = *field.server.endpoint().stats();
        println!("{stats:?}");
        let expected = STEPS * 4 * BURST;
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
