//! The rules of renegotiation at version 1.2, one test a rule, over both transports and started by both sides
//! (RFC 5246 §7.4.1.1, RFC 5746, the manual page SSL_renegotiate(3)).

mod support;
mod transport;

use sealgram::config::{ClientRenegotiation, RekeyPolicy};
use sealgram::{HandshakeKind, Initiator, RenegotiateError, RenegotiationRefusal, Side};
use std::time::Duration;
use support::{Configs, Ends};
use transport::{BOTH, Duo, SIDES, Transport, complete, refused};

/// Both ends keep sessions; the server lets clients renegotiate.
fn configs() -> Configs {
    with(RekeyPolicy::default(), allowing(RekeyPolicy::default()))
}

fn allowing(policy: RekeyPolicy) -> RekeyPolicy {
    policy.client_renegotiation(ClientRenegotiation::Allow {
        min_interval: Duration::ZERO,
    })
}

fn with(client: RekeyPolicy, server: RekeyPolicy) -> Configs {
    let mut ends = Ends::new().mutual().resuming();
    ends.client = ends.client.rekey(client);
    ends.server = ends.server.rekey(server);
    ends.build()
}

/// A test that runs over every transport, begun by every side.
fn everywhere(configs: &Configs, mut test: impl FnMut(Duo, Transport, Side)) {
    for transport in BOTH {
        for side in SIDES {
            test(Duo::connected(transport, configs), transport, side);
        }
    }
}

/// The table of triggers: what kind of handshake each of them leads to.
#[test]
fn each_trigger_leads_to_its_kind_of_handshake() {
    use HandshakeKind::{Full, Resumed};
    let configs = configs();
    let table = [
        (Transport::Dtls, Side::Client, false, Full),
        (Transport::Dtls, Side::Client, true, Resumed),
        // The historical rule: a DTLS client answers a HelloRequest with a full handshake, a TLS client resumes.
        (Transport::Dtls, Side::Server, false, Full),
        (Transport::Dtls, Side::Server, true, Full),
        (Transport::Tls, Side::Client, false, Full),
        (Transport::Tls, Side::Client, true, Resumed),
        (Transport::Tls, Side::Server, false, Resumed),
        (Transport::Tls, Side::Server, true, Resumed),
    ];
    for (transport, side, abbreviated, kind) in table {
        let mut duo = Duo::connected(transport, &configs);
        let old = duo.exported(Side::Client);
        duo.renegotiate(side, abbreviated).unwrap();
        duo.settle();
        for end in SIDES {
            let expected = complete(kind, true);
            assert_eq!(
                duo.handshakes(end).last(),
                Some(&expected),
                "{transport:?} {side} {abbreviated}"
            );
        }
        duo.assert_agreed(2);
        assert_ne!(duo.exported(Side::Client), old);
    }
}

/// A renegotiation follows another, of any kind, on the same keys.
#[test]
fn renegotiations_follow_each_other() {
    let configs = configs();
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        for round in 0..12_u64 {
            let side = SIDES[usize::from(round % 3 == 0)];
            duo.renegotiate(side, round % 2 == 0).unwrap();
            duo.settle();
            duo.assert_agreed(round + 2);
            assert_eq!(duo.renegotiations(Side::Client), round + 1);
            assert_eq!(duo.renegotiations(Side::Server), round + 1);
        }
    }
}

/// The call schedules; it is pending until the handshake has ended, on both ends.
#[test]
fn a_call_is_pending_until_the_handshake_has_ended() {
    everywhere(&configs(), |mut duo, _, side| {
        assert!(!duo.is_pending(side));
        duo.renegotiate(side, false).unwrap();
        assert!(duo.is_pending(side));
        // Of two calls the later one decides, and one handshake results.
        duo.renegotiate(side, true).unwrap();
        duo.settle();
        assert!(!duo.is_pending(Side::Client) && !duo.is_pending(Side::Server));
        assert_eq!(duo.renegotiations(side), 1);
        let counts = duo.stats(side).renegotiations_by(Initiator::Local);
        assert_eq!(
            (counts.started, counts.completed, counts.refused),
            (1, 1, 0)
        );
        let counts = duo.stats(side.peer()).renegotiations_by(Initiator::Peer);
        assert_eq!(
            (counts.started, counts.completed, counts.refused),
            (1, 1, 0)
        );
    });
}

#[test]
fn nothing_is_scheduled_before_the_first_handshake_or_behind_a_close() {
    let configs = configs();
    for transport in BOTH {
        if transport == Transport::Tls {
            let mut early = Duo::connecting(transport, &configs);
            for side in SIDES {
                let error = early.renegotiate(side, false);
                assert_eq!(error, Err(RenegotiateError::HandshakeNotComplete));
            }
        }
    }
}

/// Servers refuse clients that begin of their own accord, unless their policy allows it; both go on.
#[test]
fn a_server_refuses_its_clients_by_default() {
    let configs = with(RekeyPolicy::default(), RekeyPolicy::default());
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        duo.renegotiate(Side::Client, false).unwrap();
        duo.settle();
        let told = duo.handshakes(Side::Client);
        assert_eq!(
            told.last(),
            Some(&refused(RenegotiationRefusal::NoRenegotiation)),
            "{transport:?}"
        );
        let told = duo.handshakes(Side::Server);
        assert_eq!(told.last(), Some(&refused(RenegotiationRefusal::Policy)));
        duo.assert_agreed(1);
        // The server may still ask.
        duo.renegotiate(Side::Server, false).unwrap();
        duo.settle();
        duo.assert_agreed(2);
    }
}

/// A client may refuse a HelloRequest; both go on.
#[test]
fn a_client_can_refuse_a_hello_request() {
    let unwilling = RekeyPolicy::default().follow_hello_requests(false);
    let configs = with(unwilling, allowing(RekeyPolicy::default()));
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        duo.renegotiate(Side::Server, false).unwrap();
        duo.settle();
        let told = duo.handshakes(Side::Server);
        assert_eq!(
            told.last(),
            Some(&refused(RenegotiationRefusal::NoRenegotiation)),
            "{transport:?}"
        );
        let told = duo.handshakes(Side::Client);
        assert_eq!(told.last(), Some(&refused(RenegotiationRefusal::Policy)));
        duo.assert_agreed(1);
        assert!(!duo.has_timer(Side::Server) || transport == Transport::Dtls);
        duo.renegotiate(Side::Client, true).unwrap();
        duo.settle();
        duo.assert_agreed(2);
    }
}
