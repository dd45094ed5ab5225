//! Configurations and directly connected associations for benches.

#![allow(dead_code, unreachable_pub, reason = "each bench uses a part of it")]

#[path = "../../tests/support/mod.rs"]
mod tests;

use bytes::BytesMut;
use sealgram::config::ProvenHello;
use sealgram::{CipherSuite, DtlsConnection, NamedGroup, Path};
use std::time::{Duration, Instant};
use tests::{Ends, server_name};

/// The time, for measuring.
#[allow(clippy::disallowed_methods, reason = "a bench measures")]
pub fn clock() -> Instant {
    Instant::now()
}

/// How long `operation` takes, per call, over `calls`.
pub fn time(calls: u32, mut operation: impl FnMut()) -> Duration {
    let start = clock();
    for _ in 0..calls {
        operation();
    }
    start.elapsed() / calls
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Configurations of both ends.
pub struct Configs(tests::Configs);

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
const SERVER_ADDRESS: ([u8; 4], u16) = ([192, 0, 2, 2], 4433);

impl Configs {
    /// ECDSA P-256 with one authority, and this suite.
    pub fn with_suite(suite: CipherSuite) -> Self {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
        ends.client = ends.client.cipher_suites(&[suite]).unwrap();
        Self(ends.build())
    }

    /// ECDSA P-256 with one authority, and this group.
    pub fn with_group(group: NamedGroup) -> Self {
        let mut ends = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256);
        ends.client = ends.client.groups(&[group]).unwrap();
        Self(ends.build())
    }

    /// A handshake without cookie over a perfect link that takes no time.
    pub fn connections(&self) -> (DtlsConnection, DtlsConnection, Instant) {
        let now = clock();
        let (to_server, to_client) = (Path::new(SERVER_ADDRESS.into()), Path::new(CLIENT.into()));
        let mut client =
            DtlsConnection::connect(self.0.client.clone(), server_name(), to_server, now).unwrap();
        let mut out = Vec::new();
        client.poll_transmit(now, 1, &mut out).unwrap();
        let hello = ProvenHello::without_cookie(to_client, BytesMut::from(&out[..])).unwrap();
        let mut server = DtlsConnection::accept(self.0.server.clone(), hello, now).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            pass(&mut server, &mut client, now, &mut out);
            pass(&mut client, &mut server, now, &mut out);
        }
        while client.poll_event().is_some() || server.poll_event().is_some() {}
        (client, server, now)
    }
}

/// Hands over everything that `from` has to send.
fn pass(from: &mut DtlsConnection, to: &mut DtlsConnection, now: Instant, out: &mut Vec<u8>) {
    out.clear();
    while from.poll_transmit(now, 1, out).is_some() {
        to.handle_datagram(now, to.path(), BytesMut::from(&out[..]))
            .unwrap();
        out.clear();
    }
}
