//! Resumed handshakes in memory, both ends together, by ticket, without cookie, beside rustls over
//! `ring`, which resumes TLS. At 1.3 both agree on a new key with X25519 (psk_dhe_ke), the server
//! sends one ticket, and the client takes it.

use crate::measure::{Board, Effort, Item, cpu_ns};
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::stacks::in_memory::{Pair, streams};
use crate::stacks::rustls::Rustls;
use crate::stacks::sealgram::{Configs, Version};
use sealgram::HandshakeKind;
use std::hint::black_box;

/// How many handshakes a round has.
const CALLS: u32 = 100;

const METRICS: [&str; 1] = ["both ends µs"];

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let mut bars = Vec::new();
    for (version, most) in Version::ALL.into_iter().zip([0.8, 0.9]) {
        let version = version.name();
        let rustls = format!("rustls TLS {version}");
        for (protocol, limit) in [("DTLS", Limit::AtMost(most)), ("TLS", Limit::None)] {
            let ours = format!("sealgram {protocol} {version}");
            let name = format!("resumed handshake, {protocol} {version}, × rustls (TLS)");
            let compared = (&*ours, &*rustls, METRICS[0]);
            bars.push(Bar::ratio(name, &board, compared, limit));
        }
    }
    vec![Section {
        name: "resumption",
        title: "Resumed handshakes in memory, both ends, by ticket, no cookie".into(),
        board,
        bars,
        notes: vec!["Over a stream there is no DTLS to compare with: rustls speaks TLS."],
        plot: None,
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let calls = effort.calls(CALLS);
    let mut items = Vec::new();
    for version in Version::ALL {
        let configs = Configs::resuming(pki, version);
        // From now on each has a session.
        Pair::new(&configs);
        let kind = Pair::new(&configs).client.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Resumed));
        let name = format!("sealgram DTLS {}", version.name());
        items.push(timed(name, calls, move || {
            black_box(Pair::new(&configs));
        }));
        let configs = Configs::resuming(pki, version);
        streams(&configs);
        let kind = streams(&configs).0.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Resumed));
        let name = format!("sealgram TLS {}", version.name());
        items.push(timed(name, calls, move || {
            black_box(streams(&configs));
        }));
        let rustls = Rustls::resuming(pki, version);
        rustls.connections();
        let kind = rustls.connections().0.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
        let name = format!("rustls TLS {}", version.name());
        items.push(timed(name, calls, move || {
            black_box(rustls.connections());
        }));
    }
    Board::measure(effort.in_memory(), &METRICS, items)
}

fn timed<'a>(name: String, calls: u32, mut operation: impl FnMut() + 'a) -> Item<'a> {
    Item::new(name, move || vec![cpu_ns(calls, &mut operation) / 1e3])
}
