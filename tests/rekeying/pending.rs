//! What `renegotiate_pending` says in every phase: the table in its documentation, walked row by
//! row over both transports and by both sides.

use crate::common::configs::{Configs, Ends};
use crate::common::transport::{BOTH, Duo, SIDES, Transport};
use sealgram::config::{ClientRenegotiation, RekeyPolicy, Versions};
use sealgram::{AlertDescription, KeyUpdate, Side};
use std::time::Duration;

/// The file whose documentation has the table.
const DOCUMENTED: &str = include_str!("../../src/connection/renegotiate.rs");

/// The row, and how one end comes there; `None` where that side, or that transport, cannot.
type Row = (&'static str, fn(Transport, Side) -> Option<Duo>);

const ROWS: &[Row] = &[
    ("the first handshake has begun", |transport, _| {
        // A pair of endpoints knows its associations when they are complete.
        let known = transport == Transport::Tls;
        known.then(|| Duo::connecting(transport, &with(willing())))
    }),
    ("it is complete", |transport, _| {
        Some(Duo::connected(transport, &with(willing())))
    }),
    (
        "a call, before the next input or output",
        |transport, side| Some(calling(transport, side, willing())),
    ),
    (
        "a limit of the policy was reached, before the next input or output",
        |transport, side| {
            let policy = willing().bytes(Some(512)).unwrap();
            let mut duo = Duo::connected(transport, &with(policy));
            duo.send(side, &[0; 600]).unwrap();
            Some(duo)
        },
    ),
    ("a server has sent its HelloRequest", |transport, side| {
        (side == Side::Server).then(|| begun(transport, side))
    }),
    ("a client has sent its ClientHello", |transport, side| {
        (side == Side::Client).then(|| begun(transport, side))
    }),
    ("this end follows the peer's message", |transport, side| {
        let mut duo = Duo::connected(transport, &with(willing()));
        // Whatever this end says to that does not arrive.
        duo.hold_back(side.peer());
        duo.renegotiate(side.peer(), false).unwrap();
        duo.settle();
        Some(duo)
    }),
    (
        "this end has refused the peer's message",
        |transport, side| {
            let mut duo = calling(transport, side.peer(), unwilling());
            duo.settle();
            Some(duo)
        },
    ),
    ("the renegotiation is complete", |transport, side| {
        let mut duo = calling(transport, side, willing());
        duo.settle();
        assert_eq!(duo.renegotiations(side), 1);
        Some(duo)
    }),
    ("the peer has refused", |transport, side| {
        let mut duo = calling(transport, side, unwilling());
        duo.settle();
        Some(duo)
    }),
    (
        "`Unanswered` was told, over datagrams",
        |transport, side| silent(transport, side, Transport::Dtls),
    ),
    (
        "`Unanswered` was told, over a stream: an answer may still come",
        |transport, side| silent(transport, side, Transport::Tls),
    ),
    (
        "an end has closed, or the association has failed",
        |transport, side| {
            let mut duo = begun(transport, side);
            match &mut duo {
                // The endpoint has forgotten it.
                Duo::Dtls(_) => return None,
                Duo::Tls(pair) => {
                    let end = match side {
                        Side::Client => &mut pair.client.connection,
                        Side::Server => &mut pair.server.connection,
                    };
                    let mut closed = calling(transport, side, willing());
                    closed.close(side);
                    assert!(!closed.is_pending(side));
                    end.abort(AlertDescription::ACCESS_DENIED);
                }
            }
            Some(duo)
        },
    ),
    ("always at version 1.3", |transport, side| {
        let mut duo = Duo::connected(transport, &Ends::new().versions(Versions::V1_3).build());
        duo.key_update(side, KeyUpdate::Requested).unwrap();
        Some(duo)
    }),
];

fn willing() -> RekeyPolicy {
    RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
        min_interval: Duration::ZERO,
    })
}

fn unwilling() -> RekeyPolicy {
    RekeyPolicy::default().follow_hello_requests(false)
}

/// Both ends have the policy.
fn with(policy: RekeyPolicy) -> Configs {
    let mut ends = Ends::new().versions(Versions::V1_2);
    ends.client = ends.client.rekey(policy.clone());
    ends.server = ends.server.rekey(policy);
    ends.build()
}

/// Both ends are connected, and this one has called for a renegotiation.
fn calling(transport: Transport, side: Side, policy: RekeyPolicy) -> Duo {
    let mut duo = Duo::connected(transport, &with(policy));
    duo.renegotiate(side, false).unwrap();
    duo
}

/// This end has said that it wants to renegotiate, and nothing has arrived.
fn begun(transport: Transport, side: Side) -> Duo {
    let mut duo = Duo::connected(transport, &with(willing()));
    duo.hold_back(side.peer());
    duo.renegotiate(side, false).unwrap();
    duo.start(side);
    duo
}

/// The peer of an end on the transport `wanted` has said nothing to it for long.
fn silent(transport: Transport, side: Side, wanted: Transport) -> Option<Duo> {
    (transport == wanted).then(|| {
        let mut duo = begun(transport, side);
        duo.run_for(Duration::from_secs(40));
        duo
    })
}

/// The rows of the table: what has happened last, and whether a renegotiation is pending.
fn documented() -> Vec<(String, bool)> {
    let table = DOCUMENTED
        .lines()
        .skip_while(|line| !line.contains("| what has happened last | pending |"))
        .skip(2)
        .map_while(|line| line.trim().strip_prefix("/// | "));
    table
        .map(|row| {
            let (what, answer) = row.trim_end_matches(" |").split_once(" | ").unwrap();
            (what.to_owned(), answer == "yes")
        })
        .collect()
}

/// Manual page SSL_renegotiate_pending(3), with the meaning that `docs::rekeying` states.
#[test]
fn a_renegotiation_is_pending_exactly_where_the_table_says_so() {
    let documented = documented();
    let names: Vec<_> = documented.iter().map(|(name, _)| name.as_str()).collect();
    let rows: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, rows);
    for ((row, pending), (_, come_there)) in documented.iter().zip(ROWS) {
        let mut walked = 0;
        for transport in BOTH {
            for side in SIDES {
                let Some(duo) = come_there(transport, side) else {
                    continue;
                };
                walked += 1;
                let said = duo.is_pending(side);
                assert_eq!(said, *pending, "{row}: {transport:?}, {side}");
            }
        }
        assert!(walked > 0, "{row}: nobody comes there");
    }
}
