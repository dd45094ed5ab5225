//! What a datagram costs where there are many associations: 1,000, 20,000 and 100,000 of them, each
//! crowd at an endpoint of its own, interleaved in one process.
//!
//! A datagram of 1,200 bytes goes to an association at random, and the endpoint's user sends it
//! back, all in memory. What differs between the crowds is how much of what is touched lies in the
//! caches of the processor. Time is what the thread has run, not what others have let it wait. Two
//! figures are printed, as ratios to the crowd of 1,000: the median of each of five runs of 25
//! rounds.
//!
//! - *Echo*: all four AEAD operations. The clients are connections of the same process, so half of
//!   the memory that is touched is theirs.
//! - *Server*: what the endpoint does alone, from a datagram to its answer. Clients seal theirs in
//!   batches before that, and nobody opens the answers.
//!
//! The associations are made once, by resumptions with tickets, which leave the same state behind
//! as full handshakes.

mod support;

use bytes::BytesMut;
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use sealgram::{DtlsConnection, Event, Path};
use std::time::{Duration, Instant};
use support::{Configs, clock, median};

const CROWDS: [usize; 3] = [1000, 20_000, 100_000];
const RUNS: usize = 5;
const ROUNDS: usize = 25;
/// How many datagrams one crowd gets in its turn: enough that the smallest one, which finds the
/// caches full of others' data, has found them again for most of it.
const TURN: usize = 20_000;
/// How many datagrams are sealed before the endpoint is given them.
const BATCH: usize = 100;
const PAYLOAD: [u8; 1200] = [7; 1200];

/// A server endpoint with its clients.
struct Crowd {
    endpoint: Endpoint,
    clients: Vec<Client>,
    now: Instant,
    random: u64,
    arena: BytesMut,
    out: Vec<u8>,
    sealed: Vec<(Path, Vec<u8>)>,
}

struct Client {
    connection: DtlsConnection,
    path: Path,
}

/// How long this thread has run.
fn run_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}

/// What the endpoint does with a datagram and its answer, which is left in `out`.
fn serve(endpoint: &mut Endpoint, now: Instant, path: Path, datagram: BytesMut, out: &mut Vec<u8>) {
    endpoint.handle_datagram(now, path, datagram);
    while let Some((id, event)) = endpoint.poll_event() {
        if let Event::Readable = event
            && let Some(mut association) = endpoint.association(now, id)
        {
            while let Some(received) = association.recv() {
                association.send(&received.data).unwrap();
            }
        }
    }
    out.clear();
    let transmit = endpoint.poll_transmit(now, 64, out).unwrap();
    assert_eq!(transmit.path.remote(), path.remote());
}

impl Crowd {
    fn new(configs: &Configs, size: usize) -> Self {
        let now = clock();
        let policy = EndpointPolicy::default()
            .max_associations(size)
            .unwrap()
            .max_buffered(1 << 32)
            .unwrap();
        let mut crowd = Self {
            endpoint: Endpoint::new(now, policy, Some(configs.server())).unwrap(),
            clients: Vec::with_capacity(size),
            now,
            random: 1,
            arena: BytesMut::with_capacity(1 << 16),
            out: Vec::new(),
            sealed: Vec::new(),
        };
        for number in 0..size {
            crowd.join(configs, number);
        }
        assert_eq!(crowd.endpoint.len(), size);
        crowd
    }

    /// One more client. Everything arrives at once.
    fn join(&mut self, configs: &Configs, number: usize) {
        let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
        let path = Path::new(([10, a, b, c], 5000).into());
        // Answers to strangers are rationed by time.
        self.now += Duration::from_micros(50);
        let (now, out) = (self.now, &mut self.out);
        let mut connection = configs.client(now);
        let mut id: Option<AssociationId> = None;
        while id.is_none() || connection.is_handshaking() {
            out.clear();
            while connection.poll_transmit(now, 1, out).is_some() {
                let datagram = BytesMut::from(&out[..]);
                self.endpoint.handle_datagram(now, path, datagram);
                out.clear();
            }
            while self.endpoint.poll_transmit(now, 1, out).is_some() {
                let datagram = BytesMut::from(&out[..]);
                let from = connection.path();
                connection.handle_datagram(now, from, datagram).unwrap();
                out.clear();
            }
            while let Some((new, event)) = self.endpoint.poll_event() {
                if let Event::HandshakeComplete { .. } = event {
                    id = Some(new);
                }
            }
        }
        while connection.poll_event().is_some() {}
        self.clients.push(Client { connection, path });
    }

    fn any(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % self.clients.len() as u64).unwrap()
    }

    /// How long an echo takes, both ends together.
    fn echo(&mut self) -> Duration {
        let start = run_time();
        for _ in 0..TURN {
            let index = self.any();
            let Client { connection, path } = &mut self.clients[index];
            let (now, out) = (self.now, &mut self.out);
            connection.send(now, &PAYLOAD).unwrap();
            out.clear();
            connection.poll_transmit(now, 64, out).unwrap();
            self.arena.extend_from_slice(out);
            let datagram = self.arena.split();
            serve(&mut self.endpoint, now, *path, datagram, out);
            self.arena.reserve(out.len());
            self.arena.extend_from_slice(out);
            let from = connection.path();
            let taken = connection.handle_datagram(now, from, self.arena.split());
            assert!(taken.unwrap().is_authenticated());
            while connection.poll_event().is_some() {}
            assert_eq!(connection.recv().unwrap().data.len(), PAYLOAD.len());
            self.arena.reserve(2 * PAYLOAD.len());
        }
        (run_time() - start) / TURN as u32
    }

    /// How long the endpoint takes for a datagram and its answer.
    fn server(&mut self) -> Duration {
        let mut total = Duration::ZERO;
        for _ in 0..TURN / BATCH {
            for place in 0..BATCH {
                let index = self.any();
                let Client { connection, path } = &mut self.clients[index];
                if self.sealed.len() == place {
                    self.sealed.push((*path, Vec::new()));
                }
                let (of, datagram) = &mut self.sealed[place];
                *of = *path;
                datagram.clear();
                connection.send(self.now, &PAYLOAD).unwrap();
                connection.poll_transmit(self.now, 64, datagram).unwrap();
            }
            let start = run_time();
            for (path, datagram) in &self.sealed {
                self.arena.reserve(datagram.len());
                self.arena.extend_from_slice(datagram);
                let datagram = self.arena.split();
                serve(&mut self.endpoint, self.now, *path, datagram, &mut self.out);
            }
            total += run_time() - start;
        }
        total / TURN as u32
    }
}

/// Prints how each crowd compares with the first one.
fn compare(name: &str, crowds: &mut [Crowd], turn: impl Fn(&mut Crowd) -> Duration) {
    let mut runs = vec![Vec::new(); crowds.len()];
    let mut times = vec![Vec::new(); crowds.len()];
    for _ in 0..RUNS {
        let mut ratios = vec![Vec::new(); crowds.len()];
        for _ in 0..ROUNDS {
            let round: Vec<f64> = crowds
                .iter_mut()
                .map(|crowd| turn(crowd).as_secs_f64())
                .collect();
            for (place, time) in round.iter().enumerate() {
                ratios[place].push(time / round[0]);
                times[place].push(*time);
            }
        }
        for (place, ratios) in ratios.into_iter().enumerate() {
            runs[place].push(median(ratios));
        }
    }
    for (place, runs) in runs.into_iter().enumerate() {
        let all: Vec<String> = runs.iter().map(|ratio| format!("{ratio:.3}")).collect();
        println!(
            "{name}, {} associations, to {}: {:.3}  (runs: {}; {:.0} ns a datagram)",
            CROWDS[place],
            CROWDS[0],
            median(runs),
            all.join(" "),
            median(std::mem::take(&mut times[place])) * 1e9,
        );
    }
}

fn main() {
    // `cargo test` runs it too, with an argument of its own.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let configs = Configs::resuming(true);
    // From now on the configuration has a session.
    configs.connections();
    let start = clock();
    let mut crowds = CROWDS.map(|size| Crowd::new(&configs, size));
    println!("the associations are made after {:.0?}", start.elapsed());
    compare("echo", &mut crowds, Crowd::echo);
    compare("server", &mut crowds, Crowd::server);
}
