//! openconnect and ocserv, which re-handshake their TLS channel (`X-CSTP-Rekey-Method: ssl`): our
//! stream at either end, and at both between them.
//!
//! openconnect gives what comes through the tunnel to a program of the test's instead of an
//! interface; ocserv needs an interface, thus a machine on which the test may make one.

mod ocserv;
mod openconnect;
mod packet;
mod relay;

use sealgram::HandshakeKind;
use sealgram_interop::failure::{Failure, Outcome};

use crate::cell::{self, Cell, expect, protocol};
use crate::ours::{Handshake, Transport, Version};

#[test]
fn openconnect_and_ocserv_and_we_rekey() {
    let what = |version| protocol(Transport::Tls, version);
    let (old, new) = (what(Version::V1_2), what(Version::V1_3));
    let cells = [
        Cell::new(
            format!("openconnect as client, {old}, re-handshakes"),
            openconnect::rekeys,
        ),
        Cell::new(
            format!("openconnect as client, {new}, updates keys"),
            openconnect::updates_keys,
        ),
        ocserv::cell(format!("ocserv as server, {old}, re-handshakes"), |it| {
            ocserv::rekeys(it, Version::V1_2)
        }),
        ocserv::cell(format!("ocserv as server, {new}, keys are updated"), |it| {
            ocserv::rekeys(it, Version::V1_3)
        }),
        ocserv::cell(
            format!("openconnect and ocserv, we in between, {old}, both re-handshake"),
            relay::rekeys,
        ),
    ];
    cell::run("openconnect and ocserv", &cells);
}

/// What the handshakes of one connection were.
fn told(handshakes: &[Handshake]) -> Outcome<String> {
    let (first, others) = handshakes
        .split_first()
        .ok_or_else(|| Failure::new("no handshake"))?;
    expect("the first", first.renegotiation, false)?;
    let mut kinds = Vec::new();
    for other in others {
        expect("another one", other.renegotiation, true)?;
        kinds.push(match other.kind {
            HandshakeKind::Resumed => "abbreviated",
            _ => "full",
        });
    }
    let first = first.remark();
    Ok(match kinds.as_slice() {
        [] => first,
        kinds => format!("{first}, then {}", kinds.join(", ")),
    })
}

/// How often a connection is rekeyed.
const REKEYINGS: usize = 2;
