//! Replies to hellos that show no cookie: how many a core gives in a second, in memory.
//!
//! Each round brings the hello of a client with the default configuration from addresses that were
//! never seen, through `Endpoint::handle_datagram` and `poll_transmit`. The datagrams are parts of
//! one arena, as those of a socket are. The baseline is one HMAC-SHA256 over the hello, with its
//! key ready. Replies a second and the ratio of the times are printed: the median of each of five
//! runs of 25 interleaved rounds.

mod support;

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use ring::hmac;
use sealgram::config::Versions;
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::{Event, Path};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use support::{Configs, clock, median};

/// How many hellos a round brings.
const HELLOS: u32 = 200;

/// A server that nobody has an association with, and the hello that it is sent.
struct Strangers {
    server: Endpoint,
    hello: Vec<u8>,
    now: Instant,
    next: u32,
    out: Vec<u8>,
}

impl Strangers {
    fn new(client: Versions, server: Versions) -> Self {
        let configs = Configs::by_default(client, server);
        let now = clock();
        let policy = EndpointPolicy::default();
        let server = Endpoint::new(now, policy, Some(configs.server())).unwrap();
        Self {
            server,
            hello: configs.hello(),
            now,
            next: 0,
            out: Vec::new(),
        }
    }

    /// Where the next stranger is.
    fn path(&mut self) -> Path {
        self.next += 1;
        let host = Ipv4Addr::from((10 << 24) | (self.next & 0x00ff_ffff));
        Path::new(SocketAddr::from((host, 40_000)))
    }

    /// What one round of hellos takes.
    fn round(&mut self) -> Duration {
        let mut arena = BytesMut::from(&self.hello.repeat(HELLOS as usize)[..]);
        let length = self.hello.len();
        let start = clock();
        for _ in 0..HELLOS {
            let path = self.path();
            let hello = arena.split_to(length);
            self.server.handle_datagram(self.now, path, hello);
            self.out.clear();
            let transmit = self.server.poll_transmit(self.now, 1, &mut self.out);
            assert!(transmit.is_some_and(|it| it.path == path));
            black_box(&self.out);
        }
        start.elapsed()
    }

    /// What as many HMACs take over the same bytes.
    fn bare(&self, key: &hmac::Key) -> Duration {
        let start = clock();
        for _ in 0..HELLOS {
            black_box(hmac::sign(key, black_box(&self.hello)));
        }
        start.elapsed()
    }
}

fn report(name: &str, strangers: &mut Strangers) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let mut rates = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let rounds: Vec<(f64, f64)> = (0..25)
            .map(|_| {
                let bare = strangers.bare(&key).as_secs_f64();
                let ours = strangers.round().as_secs_f64();
                (f64::from(HELLOS) / ours, ours / bare)
            })
            .collect();
        let (rate, ratio) = rounds.into_iter().unzip();
        rates.push(median(rate));
        ratios.push(median(ratio));
    }
    let each: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!(
        "replies a second to hellos without cookie, {name}: {:.0}  (runs: {})",
        median(rates.clone()),
        each.join(" ")
    );
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!(
        "their ratio to HMAC-SHA256 of the hello, {name}: {:.2}  (runs: {})",
        median(ratios.clone()),
        each.join(" ")
    );
    // Nothing of it all is remembered.
    assert!(strangers.server.is_empty());
    assert!(!strangers.server.has_event());
    assert_eq!(
        strangers.server.poll_event().map(|(_, it)| it),
        None::<Event>
    );
}

fn cookies(criterion: &mut Criterion) {
    let cases = [
        ("DTLS 1.2", Versions::ALL, Versions::V1_2),
        (
            "DTLS 1.2 where 1.3 is spoken",
            Versions::V1_2,
            Versions::ALL,
        ),
        ("DTLS 1.3", Versions::ALL, Versions::ALL),
    ];
    let mut group = criterion.benchmark_group("cookies");
    for (name, client, server) in cases {
        let mut strangers = Strangers::new(client, server);
        report(name, &mut strangers);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| strangers.round()).sum());
        });
    }
}

criterion_group!(benches, cookies);
criterion_main!(benches);
