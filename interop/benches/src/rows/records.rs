//! Records, in memory: seal and open of 1,200, 256 and 64 bytes, AES-128-GCM.
//!
//! The floor is bare `ring`: header, nonce, additional data, one copy of the payload into the
//! datagram, seal; and one copy of the datagram into a buffer that may be overwritten, open in
//! place; at 1.3 with the mask both ways. sealgram: `send`, `poll_transmit`, the same copy,
//! `handle_datagram`, `poll_event`, `recv`. OpenSSL: `SSL_write` and `SSL_read` over a transport in
//! memory. dimpl: `send_application_data` and `poll_output`, `handle_packet` and `poll_output`.
//! webrtc-rs: `write` and `read` over its own pipe, tasks and channels of tokio included.

use crate::floor::{Floor12, Floor13};
use crate::measure::{Board, Effort, Item, cpu_ns};
use crate::output::Plot;
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::stacks::in_memory::Pair;
use crate::stacks::sealgram::{Configs, Version};
use sealgram::NamedGroup;
use std::hint::black_box;

/// How many records a round seals and opens.
const CALLS: u32 = 2000;

/// How many pairs of associations take turns: where its buffers lie in memory makes a difference of
/// some per cent.
const PLACES: usize = 25;

const METRICS: [&str; 1] = ["seal + open ns"];

/// The rows, one for each size. The bars are those of the issue; 256 bytes have none.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let bars = [
        (1200, "1,200 bytes", Some([1.10, 1.15])),
        (256, "256 bytes", None),
        (64, "64 bytes", Some([1.30, 1.40])),
    ];
    bars.into_iter()
        .map(|(bytes, size, limits)| section(effort, pki, bytes, size, limits))
        .collect()
}

fn section(
    effort: Effort,
    pki: &Pki,
    bytes: usize,
    size: &'static str,
    limits: Option<[f64; 2]>,
) -> Section {
    let board = board(effort, pki, bytes);
    let mut bars = Vec::new();
    for (place, version) in Version::ALL.into_iter().enumerate() {
        let version = version.name();
        let (ours, floor) = (format!("sealgram {version}"), format!("ring {version}"));
        let limit = limits.map_or(Limit::None, |limits| Limit::AtMost(limits[place]));
        let name = format!("records, DTLS {version}, {size}, seal + open, × floor");
        let compared = (&*ours, &*floor, METRICS[0]);
        bars.push(Bar::ratio(name, &board, compared, limit));
    }
    Section {
        name: "records",
        title: format!("Records of {size} in memory, AES-128-GCM"),
        board,
        bars,
        notes: vec!["ring is the floor; at 1.3 with the mask of the record number, both ways."],
        plot: Some(Plot {
            file: match bytes {
                64 => "records-64",
                256 => "records-256",
                _ => "records-1200",
            },
            metric: METRICS[0],
            better: "less",
            items: [
                "ring 1.2",
                "ring 1.3",
                "sealgram 1.2",
                "sealgram 1.3",
                "OpenSSL 1.2",
                "dimpl 1.2",
                "dimpl 1.3",
                "webrtc-rs 1.2",
            ]
            .map(String::from)
            .into(),
        }),
    }
}

fn board(effort: Effort, pki: &Pki, bytes: usize) -> Board {
    let (calls, payload) = (effort.calls(CALLS), vec![3; bytes]);
    let payload = &payload[..];
    let mut items = vec![
        floor(
            "ring 1.2",
            calls,
            payload,
            Floor12::new(),
            Floor12::seal,
            Floor12::open,
        ),
        floor(
            "ring 1.3",
            calls,
            payload,
            Floor13::new(),
            Floor13::seal,
            Floor13::open,
        ),
    ];
    for version in Version::ALL {
        let configs = Configs::new(pki, version, NamedGroup::X25519);
        let mut pairs: Vec<_> = (0..PLACES).map(|_| Pair::new(&configs)).collect();
        let mut turn = 0;
        items.push(Item::new(
            format!("sealgram {}", version.name()),
            move || {
                turn += 1;
                let pair = &mut pairs[turn % PLACES];
                vec![cpu_ns(calls, || {
                    pair.seal(black_box(payload));
                    assert_eq!(pair.open(), bytes);
                })]
            },
        ));
    }
    #[cfg(feature = "peers")]
    items.extend(foreign::items(calls, pki, payload));
    Board::measure(effort.in_memory(), &METRICS, items)
}

/// What a floor takes for the same: sealing, the copy into a buffer of its own, opening there.
fn floor<'a, F: 'a>(
    name: &'static str,
    calls: u32,
    payload: &'a [u8],
    mut floor: F,
    seal: impl Fn(&mut F, &[u8], &mut Vec<u8>) + 'a,
    open: impl Fn(&F, &mut [u8]) -> usize + 'a,
) -> Item<'a> {
    let (mut datagram, mut scratch) = (Vec::new(), Vec::new());
    Item::new(name, move || {
        vec![cpu_ns(calls, || {
            datagram.clear();
            seal(&mut floor, black_box(payload), &mut datagram);
            scratch.clear();
            scratch.extend_from_slice(&datagram);
            assert_eq!(open(&floor, &mut scratch), payload.len());
        })]
    })
}

#[cfg(feature = "peers")]
mod foreign {
    use super::{Item, Pki, Version, black_box, cpu_ns};
    use crate::stacks::dimpl::{Library, Maker};
    use crate::stacks::openssl::{Contexts, GROUPS, Protocol, in_memory, read};
    use crate::stacks::webrtc;
    use dimpl::NamedGroup;

    pub fn items<'a>(calls: u32, pki: &Pki, payload: &'a [u8]) -> Vec<Item<'a>> {
        let mut items = vec![openssl(calls, pki, payload)];
        for version in Version::ALL {
            let maker = Maker::new(pki, version, NamedGroup::X25519, Library::AwsLc, false);
            let (mut client, mut server) = maker.pair();
            items.push(Item::new(format!("dimpl {}", version.name()), move || {
                vec![cpu_ns(calls, || {
                    client.send(black_box(payload));
                    let mut opened = 0;
                    client.drive(|datagram| server.take(datagram), |_| {});
                    server.drive(|_| {}, |data| opened = data.len());
                    assert_eq!(opened, payload.len());
                })]
            }));
        }
        let mut pipe = webrtc::Piped::new(pki);
        // It is ten times as slow.
        let calls = calls.div_ceil(10);
        items.push(Item::new("webrtc-rs 1.2", move || {
            vec![pipe.cpu_ns(calls, payload)]
        }));
        items
    }

    fn openssl<'a>(calls: u32, pki: &Pki, payload: &'a [u8]) -> Item<'a> {
        let contexts = Contexts::new(pki, Protocol::Dtls, GROUPS);
        let (mut client, mut server) = in_memory(&contexts);
        let mut data = [0; 2048];
        Item::new("OpenSSL 1.2", move || {
            vec![cpu_ns(calls, || {
                let sent = client.ssl_write(black_box(payload));
                sent.expect("a transport in memory");
                assert_eq!(read(&mut server, &mut data), Some(payload.len()));
            })]
        })
    }
}
