//! Resumed handshakes of version 1.2, both sides together, without cookies, beside those of rustls
//! with ring in the same run. The ratio of times is printed before the criterion groups: the median
//! of five runs of 25 interleaved rounds.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use sealgram::HandshakeKind;
use std::hint::black_box;
use support::{Configs, Rustls, report, time};

/// How many handshakes a round measures.
const CALLS: u32 = 200;

fn resumption(criterion: &mut Criterion) {
    for (name, tickets) in [("session ID", false), ("ticket", true)] {
        let (ours, theirs) = (Configs::resuming(tickets), Rustls::new(tickets));
        // From now on each configuration has a session.
        ours.connections();
        ours.streams();
        theirs.connections();
        let resumed = Some(HandshakeKind::Resumed);
        assert_eq!(ours.connections().0.handshake_kind(), resumed);
        assert_eq!(ours.streams().1.handshake_kind(), resumed);
        let kind = theirs.connections().0.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));

        let rustls = || {
            time(CALLS, || {
                black_box(theirs.connections());
            })
            .as_secs_f64()
        };
        report(
            &format!("time of a DTLS 1.2 resumption by {name}, to rustls (TLS 1.2)"),
            || {
                let bare = rustls();
                let ours = time(CALLS, || {
                    black_box(ours.connections());
                });
                ours.as_secs_f64() / bare
            },
        );
        report(
            &format!("time of a TLS 1.2 resumption by {name}, to rustls (TLS 1.2)"),
            || {
                let bare = rustls();
                let ours = time(CALLS, || {
                    black_box(ours.streams());
                });
                ours.as_secs_f64() / bare
            },
        );
        let mut group = criterion.benchmark_group(format!("resumption/{name}"));
        group.bench_function("rustls", |bencher| bencher.iter(|| theirs.connections()));
        group.bench_function("sealgram TLS", |bencher| bencher.iter(|| ours.streams()));
        group.bench_function("sealgram DTLS", |bencher| {
            bencher.iter(|| ours.connections())
        });
    }
}

criterion_group!(benches, resumption);
criterion_main!(benches);
