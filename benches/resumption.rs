//! Resumed handshakes, both sides together, without cookies, beside those of rustls with ring in
//! the same run. At 1.3 both resume by ticket with a fresh exchange in X25519, and their servers
//! send two new tickets. The ratio of times is printed before the criterion groups: the median of
//! five runs of 25 interleaved rounds.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use sealgram::HandshakeKind;
use std::hint::black_box;
use support::{Configs, Rustls, report, time};

/// One way of resuming, ours and theirs.
struct Way {
    version: &'static str,
    by: &'static str,
    ours: Configs,
    theirs: Rustls,
    /// How many handshakes a round measures.
    calls: u32,
}

impl Way {
    /// Makes sure that each configuration has a session, from now on, and resumes it.
    fn begin(&self) {
        self.ours.connections();
        self.ours.streams();
        self.theirs.connections();
        let resumed = Some(HandshakeKind::Resumed);
        assert_eq!(self.ours.connections().0.handshake_kind(), resumed);
        assert_eq!(self.ours.streams().1.handshake_kind(), resumed);
        let kind = self.theirs.connections().0.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
    }

    /// Prints the time of one of ours over this protocol, in proportion to one of rustls.
    fn report(&self, protocol: &str, mut handshake: impl FnMut()) {
        let Self { version, by, .. } = self;
        let name =
            format!("time of a {protocol} {version} resumption by {by}, to rustls (TLS {version})");
        report(&name, || {
            let theirs = time(self.calls, || {
                black_box(self.theirs.connections());
            });
            let ours = time(self.calls, &mut handshake);
            ours.as_secs_f64() / theirs.as_secs_f64()
        });
    }
}

fn resumption(criterion: &mut Criterion) {
    let of_12 = |by, tickets| Way {
        version: "1.2",
        by,
        ours: Configs::resuming(tickets),
        theirs: Rustls::new(tickets),
        calls: 50,
    };
    let of_13 = Way {
        version: "1.3",
        by: "ticket",
        ours: Configs::resuming_13(),
        theirs: Rustls::resuming_13(),
        calls: 5,
    };
    for way in [of_12("session ID", false), of_12("ticket", true), of_13] {
        way.begin();
        way.report("DTLS", || {
            black_box(way.ours.connections());
        });
        way.report("TLS", || {
            black_box(way.ours.streams());
        });
        let Way {
            version,
            by,
            ours,
            theirs,
            ..
        } = &way;
        let mut group = criterion.benchmark_group(format!("resumption/{version} by {by}"));
        group.bench_function("rustls", |bencher| bencher.iter(|| theirs.connections()));
        group.bench_function("sealgram TLS", |bencher| bencher.iter(|| ours.streams()));
        group.bench_function("sealgram DTLS", |bencher| {
            bencher.iter(|| ours.connections())
        });
    }
}

criterion_group!(benches, resumption);
criterion_main!(benches);
