//! A million datagrams of strangers at an endpoint with an association: what it holds does not
//! grow, what the association says comes through, and the counters tell what came.

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::counting::bytes;
use bytes::BytesMut;
use sealgram::config::Versions;
use sealgram::endpoint::{EndpointPolicy, Eviction};
use sealgram::sim::Pair;
use sealgram::{DtlsConnection, Path};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Longer than anything is remembered of a stranger.
const FORGOTTEN: Duration = Duration::from_secs(800);

/// How much more may be held at one moment than at another: what strangers are asked differs in
/// length, and tables grow by leaps.
const SLACK: isize = 64 * 1024;

/// How many half-open associations there may be.
const HALF_OPEN: usize = 64;

/// A server with an association, and strangers who send 100,000 datagrams a second.
struct Field {
    pair: Pair,
    configs: Configs,
    /// How many events there are of the association alone.
    events: [usize; 2],
    came: u64,
    /// What was sent to strangers.
    answers: u64,
    out: Vec<u8>,
    random: u64,
}

impl Field {
    fn new(versions: Versions) -> Self {
        let mut ends = Ends::new().versions(versions);
        ends.server = ends.server.session_store(None);
        let configs = ends.build();
        let policy = EndpointPolicy::default()
            .max_half_open(HALF_OPEN, Eviction::OldestHalfOpen)
            .unwrap();
        let mut pair = Pair::with_policy(configs.server.clone(), policy, start(), 1).unwrap();
        pair.connect(configs.client.clone(), server_name()).unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        pair.run_for(Duration::from_secs(2));
        let mut this = Self {
            events: [pair.client_events.len(), pair.server_events.len()],
            pair,
            configs,
            came: 0,
            answers: 0,
            out: Vec::with_capacity(1 << 16),
            random: 1,
        };
        this.say();
        this
    }

    /// The association carries a message each way.
    fn say(&mut self) {
        assert!(self.pair.exchange(1), "after {} datagrams", self.came);
        self.pair.client_events.truncate(self.events[0]);
        self.pair.server_events.truncate(self.events[1]);
        self.pair.client_events.shrink_to_fit();
        self.pair.server_events.shrink_to_fit();
    }

    /// A datagram of a stranger, and the answers that it gets; every now and then the
    /// association has its turn.
    fn take(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let now = self.pair.now;
        let server = &mut self.pair.server;
        server.handle_datagram(now, Path::new(from), BytesMut::from(datagram));
        let mut answer = None;
        while let Some(transmit) = {
            self.out.clear();
            server.poll_transmit(now, 1, &mut self.out)
        } {
            // Others than the last one may go because of it, and are told.
            if transmit.path.remote() == from {
                self.answers += 1;
                answer = Some(self.out.clone());
            }
        }
        self.came += 1;
        if self.came.is_multiple_of(100) {
            self.pair.now += Duration::from_millis(1);
            self.pair.server.handle_timeout(self.pair.now);
        }
        if self.came.is_multiple_of(5000) {
            self.say();
        }
        answer
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// An address that nobody else has.
    fn stranger(&mut self) -> SocketAddr {
        let random = self.random();
        let host = Ipv4Addr::from((random >> 16) as u32 | 0x1000_0000);
        (host, (random as u16) | 1024).into()
    }

    /// A client that begins, and its hello.
    fn newcomer(&mut self) -> (DtlsConnection, Vec<u8>) {
        let path = Path::new(self.pair.server_address);
        let (config, now) = (self.configs.client.clone(), self.pair.now);
        let mut client = DtlsConnection::connect(now, config, server_name(), path).unwrap();
        let hello = sent(&mut client, now);
        (client, hello)
    }

    /// A hello that shows a good cookie for this address.
    fn proven(&mut self, at: SocketAddr) -> Vec<u8> {
        loop {
            let (mut client, hello) = self.newcomer();
            let now = self.pair.now;
            if let Some(answer) = self.take(at, &hello) {
                let path = Path::new(self.pair.server_address);
                let answer = BytesMut::from(&answer[..]);
                client.handle_datagram(now, path, answer).unwrap();
                return sent(&mut client, now);
            }
        }
    }

    /// Everything that is known of strangers is forgotten.
    fn forget(&mut self) {
        for _ in 0..4 {
            self.pair.now += FORGOTTEN / 4;
            self.pair.server.handle_timeout(self.pair.now);
            self.say();
        }
        assert_eq!(
            (self.pair.server.len(), self.pair.server.half_open()),
            (1, 0)
        );
    }

    fn counted(&self) -> sealgram::endpoint::EndpointStats {
        *self.pair.server.stats()
    }
}

fn sent(client: &mut DtlsConnection, now: std::time::Instant) -> Vec<u8> {
    let mut out = Vec::new();
    client.poll_transmit(now, 1, &mut out).unwrap();
    out
}

/// 10^6 hellos without a cookie from as many addresses. While the association is at work they are
/// not all answered, and both are counted.
#[test]
fn a_million_hellos_without_a_cookie_take_no_memory() {
    for (versions, count) in [(Versions::V1_2, 700_000), (Versions::V1_3, 300_000)] {
        let mut field = Field::new(versions);
        let (_, hello) = field.newcomer();
        let flood = |field: &mut Field, count: u64| {
            for _ in 0..count {
                let at = field.stranger();
                field.take(at, &hello);
            }
        };
        flood(&mut field, 10_000);
        let (before, counted) = (bytes(), field.counted());
        let (answers, began) = (field.answers, field.pair.now);
        flood(&mut field, count);
        let grown = bytes() - before;
        println!("{versions:?}: {count} hellos, {grown} bytes more");
        assert!(grown.abs() < SLACK, "{grown}");
        let stats = field.counted();
        let asked = stats.hello_verify_requests + stats.retry_requests
            - counted.hello_verify_requests
            - counted.retry_requests;
        let dropped = stats.replies_dropped - counted.replies_dropped;
        assert_eq!(asked + dropped, count, "{stats:?}");
        assert_eq!(field.answers - answers, asked);
        // One in 50 microseconds, but for a burst of 1,024.
        let elapsed = (field.pair.now - began).as_micros();
        let rationed = u64::try_from(elapsed / 50).unwrap();
        println!("{asked} of {count} were answered in {elapsed} us");
        assert!((rationed / 2..=rationed + 1025).contains(&asked), "{asked}");
        assert!(dropped > count / 4, "{dropped}");
        assert_eq!((stats.accepted, stats.strays), (1, 0));
    }
}

/// Hellos whose cookies are good, again and again, of attempts that were given up: a copy of the
/// newest of an address begins one more, and then is a repetition; one of an older one begins
/// nothing.
#[test]
fn replayed_cookies_take_no_memory() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut field = Field::new(versions);
        let mut hellos = Vec::new();
        for _ in 0..HALF_OPEN / 2 {
            let at = field.stranger();
            for age in 0..2 {
                let hello = field.proven(at);
                field.take(at, &hello);
                hellos.push((age, at, hello));
                // The cookie of the next one is newer.
                field.pair.now += Duration::from_millis(5);
            }
        }
        let flood = |field: &mut Field, rounds: usize| {
            for _ in 0..rounds {
                for (_, at, hello) in &hellos {
                    field.take(*at, hello);
                }
            }
        };
        field.pair.now += Duration::from_secs(125);
        field.pair.server.handle_timeout(field.pair.now);
        assert_eq!(field.pair.server.half_open(), 0);
        flood(&mut field, 50);
        let (before, stats) = (bytes(), field.counted());
        let begun = hellos.len() + hellos.len() / 2;
        assert_eq!(stats.accepted, 1 + begun as u64, "{stats:?}");
        flood(&mut field, 2000);
        let grown = bytes() - before;
        println!("{versions:?}: 128,000 copies, {grown} bytes more");
        assert!(grown.abs() < SLACK, "{grown}");
        let now = field.counted();
        assert_eq!(now.accepted, stats.accepted, "{now:?}");
        assert_eq!(field.pair.server.half_open(), HALF_OPEN / 2);
        let replayed = now.hellos_replayed - stats.hellos_replayed;
        assert_eq!(replayed, 2000 * HALF_OPEN as u64 / 2, "{now:?}");
        field.forget();
    }
}

/// Clients at proved addresses that say nothing after their second hello: no more than the policy
/// allows are there at a time, each goes for a newcomer when it has had its time, and when all is
/// forgotten nothing is held.
#[test]
fn half_open_handshakes_without_end_leave_no_byte_behind() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut field = Field::new(versions);
        let flood = |field: &mut Field, count: usize| {
            let mut most = 0;
            for _ in 0..count {
                let at = field.stranger();
                let hello = field.proven(at);
                field.take(at, &hello);
                // As fast as they can be served: one goes when it has had its time.
                field.pair.now += Duration::from_millis(40);
                field.pair.server.handle_timeout(field.pair.now);
                assert!(field.pair.server.half_open() <= HALF_OPEN);
                most = most.max(bytes());
            }
            most
        };
        flood(&mut field, 500);
        field.forget();
        let before = bytes();
        let most = flood(&mut field, 2000) - before;
        let stats = field.counted();
        field.forget();
        let grown = bytes() - before;
        println!("{versions:?}: 2,000 half-open: {most} bytes at most, {grown} after");
        assert!(grown.abs() < SLACK, "{grown}");
        // Of each address something is remembered, and of those that are half-open their state.
        assert!(most < 2_000 * 512 + HALF_OPEN as isize * 16_384, "{most}");
        assert!(stats.accepted > 1500, "{stats:?}");
        assert!(stats.handshakes_failed > 1000, "{stats:?}");
        assert!(stats.evicted + stats.hellos_refused > 500, "{stats:?}");
    }
}

/// Everything that is no hello: bytes at random, records of every kind, pieces of hellos, from
/// anybody and from the address of the association.
#[test]
fn garbage_takes_no_memory() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut field = Field::new(versions);
        let (_, hello) = field.newcomer();
        let flood = |field: &mut Field, count: usize| {
            for _ in 0..count {
                let random = field.random();
                let length = (random % 1500) as usize + 1;
                let mut datagram: Vec<u8> = (0..length.div_ceil(8))
                    .flat_map(|_| field.random().to_be_bytes())
                    .collect();
                datagram.truncate(length);
                let kinds: [&[u8]; 6] = [
                    &[],
                    // Records of 1.2: data, an alert, a handshake message that is no hello.
                    &[23, 0xfe, 0xfd, 0, 1],
                    &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40],
                    &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 40, 11],
                    // A unified header.
                    &[0x2f],
                    &hello[..(random >> 32) as usize % 60],
                ];
                let kind = kinds[(random >> 16) as usize % kinds.len()];
                for (byte, wanted) in datagram.iter_mut().zip(kind) {
                    *byte = *wanted;
                }
                let at = match random.is_multiple_of(4) {
                    true => field.pair.client_address,
                    false => field.stranger(),
                };
                field.take(at, &datagram);
            }
        };
        flood(&mut field, 20_000);
        let (before, counted) = (bytes(), field.counted());
        flood(&mut field, 200_000);
        let grown = bytes() - before;
        println!("{versions:?}: 200,000 pieces of garbage, {grown} bytes more");
        assert!(grown.abs() < 256 * 1024, "{grown}");
        let stats = field.counted();
        assert!(stats.strays - counted.strays > 100_000, "{stats:?}");
        assert_eq!((stats.accepted, stats.handshakes_failed), (1, 0));
        let connection = field.pair.server_connection().unwrap();
        let discarded: u64 = connection.stats().discards().map(|(_, count)| count).sum();
        assert!(discarded > 10_000, "{discarded}");
    }
}
