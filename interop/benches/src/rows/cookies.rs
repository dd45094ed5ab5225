//! Stateless answers to hellos without cookie, in memory, one core: one endpoint, each hello from
//! another address. At 1.2 a HelloVerifyRequest, at 1.3 a HelloRetryRequest.

use crate::measure::{Board, Effort, Item, cpu_ns, now};
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::stacks::in_memory::address;
use crate::stacks::sealgram::{Configs, Version, server_name};
use bytes::BytesMut;
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::{DtlsConnection, NamedGroup, Path};
use std::time::Instant;

/// How many hellos a round answers.
const CALLS: u32 = 2000;

const METRICS: [&str; 1] = ["answers/s"];

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let bars = [(Version::V12, 400_000.0), (Version::V13, 250_000.0)].map(|(version, least)| {
        let item = format!("sealgram {}", version.name());
        let figure = board.value(&item, METRICS[0]);
        Bar {
            name: format!(
                "stateless cookie replies, DTLS {}, one core",
                version.name()
            ),
            ours: None,
            figure,
            limit: Limit::AtLeast(least),
        }
    });
    vec![Section {
        name: "cookies",
        title: "Stateless cookie replies in memory, one core".into(),
        bars: bars.into(),
        board,
        notes: vec!["Each hello comes from another address; its copy into a fresh buffer counts."],
        plot: None,
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let calls = effort.calls(CALLS);
    let mut items = Vec::new();
    for version in Version::ALL {
        let configs = Configs::new(pki, version, NamedGroup::X25519);
        let now = now();
        let hello = hello(&configs, now);
        let serve = Some(configs.server.clone());
        let endpoint = Endpoint::new(now, EndpointPolicy::default(), serve);
        let mut endpoint = endpoint.expect("randomness");
        let (mut place, mut out) = (0, Vec::new());
        items.push(Item::new(
            format!("sealgram {}", version.name()),
            move || {
                let ns = cpu_ns(calls, || {
                    place += 1;
                    let path = Path::new(address(place % (1 << 20)));
                    endpoint.handle_datagram(now, path, BytesMut::from(&hello[..]));
                    out.clear();
                    let answer = endpoint.poll_transmit(now, 1, &mut out);
                    assert_eq!(answer.expect("a demand").path.remote(), path.remote());
                });
                assert_eq!(endpoint.half_open(), 0);
                vec![1e9 / ns]
            },
        ));
    }
    Board::measure(effort.in_memory(), &METRICS, items)
}

/// The first datagram of a client.
fn hello(configs: &Configs, now: Instant) -> Vec<u8> {
    let path = Path::new(address(0));
    let client = DtlsConnection::connect(now, configs.client.clone(), server_name(), path);
    let mut out = Vec::new();
    let sent = client.expect("randomness").poll_transmit(now, 1, &mut out);
    sent.expect("a hello");
    out
}
