//! The rules of renegotiation at version 1.2, one test a rule, over both transports and begun by
//! both sides (RFC 5246 §7.4.1.1, RFC 5746, the manual page SSL_renegotiate(3)). The chapter
//! `docs::rekeying` states them.
//!
//! * what each trigger leads to, the historical DTLS rule included:
//!   `each_trigger_leads_to_its_kind_of_handshake`
//! * a call schedules; the later of two decides; pending until the end; counted by who began:
//!   `a_call_is_pending_until_the_handshake_has_ended`
//! * never before the first handshake, nor behind a close:
//!   `nothing_is_scheduled_before_the_first_handshake_or_after_a_close`
//! * one follows another: `renegotiations_follow_each_other`
//! * policy: servers refuse clients, unless allowed, and then limit them; clients may refuse:
//!   `a_server_refuses_its_clients_by_default`, `a_server_limits_how_often_its_clients_begin`,
//!   `a_client_can_refuse_a_hello_request`
//! * data: `Hold`, `Flow`, bounds, sizes, at the close: `data_…`,
//!   `no_more_data_waits_than_the_send_queue_holds`,
//!   `the_longest_datagram_is_as_long_while_keys_are_replaced`
//! * automatic: bytes, interval, pause after a refusal: `keys_are_replaced_…`,
//!   `automatic_rekeying_waits_after_a_refusal`
//! * automatic: limits of the keys: `tests/rekeying/key_limits.rs`
//! * silence: `silence_fails_softly`; identical retry: `tests/rekeying/renegotiation_loss.rs`
//! * both at once; HelloRequests during a handshake, lost, late, crossing; numbering:
//!   `both_sides_can_begin_at_once`, `a_server_does_not_ask_a_client_that_has_begun`;
//!   `tests/rekeying/renegotiation_loss.rs`, `tests/rekeying/refusals.rs`
//! * cookies: `tests/rekeying/peer_profiles.rs` (OpenSSL, Mbed TLS, Erlang),
//!   `tests/rekeying/renegotiation_content.rs`
//! * RFC 5746, RFC 7627, continuity of identities: `tests/rekeying/renegotiation_content.rs`,
//!   `a_client_that_showed_no_certificate_may_stay_anonymous`
//! * no resumption in renegotiations, on demand; a new ticket in each:
//!   `a_server_can_forbid_resumption_in_renegotiations`, `each_renegotiation_brings_a_new_ticket`
//! * epochs end and never wrap: `epochs_are_counted_to_their_end_and_never_wrap`
//! * the old epoch is read for twice the MSL: `tests/rekeying/in_traffic.rs`

use crate::common::configs::{Configs, Ends};
use crate::common::transport::{BOTH, Duo, SIDES, Transport, complete, refused};
use sealgram::config::{
    Algorithms, ClientRenegotiation, DataDuringRenegotiation, DatagramPolicy, RekeyPolicy,
    StreamPolicy,
};
use sealgram::error::{RenegotiateError, SendError};
use sealgram::record::Initiator;
use sealgram::{Event, HandshakeKind, RenegotiationRefusal, Side};
use std::time::Duration;

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
        // The historical rule: a DTLS client answers a HelloRequest with a full handshake, a TLS
        // client resumes.
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
fn nothing_is_scheduled_before_the_first_handshake_or_after_a_close() {
    let configs = configs();
    let mut early = Duo::connecting(Transport::Tls, &configs);
    for side in SIDES {
        let error = early.renegotiate(side, false);
        assert_eq!(error, Err(RenegotiateError::HandshakeNotComplete));
    }
    let mut early = configs.pair(1);
    let id = early.client.associations().next().unwrap();
    let error = early
        .client
        .association(early.now, id)
        .unwrap()
        .renegotiate();
    assert_eq!(error, Err(RenegotiateError::HandshakeNotComplete));

    everywhere(&configs, |mut duo, transport, side| {
        duo.close(side);
        let error = duo.renegotiate(side, true);
        assert_eq!(error, Err(RenegotiateError::Closed), "{transport:?} {side}");
    });
}

/// Servers refuse clients that begin of their own accord, unless their policy allows it; both go
/// on.
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
        let counts = duo.stats(Side::Server).renegotiations_by(Initiator::Peer);
        assert_eq!(
            (counts.started, counts.completed, counts.refused),
            (1, 0, 1)
        );
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

/// Data waits while the keys are replaced, and leaves in the new epoch: nothing is lost, nothing
/// comes too early.
#[test]
fn data_waits_for_the_end_of_a_renegotiation() {
    everywhere(&configs(), |mut duo, transport, side| {
        duo.renegotiate(side, false).unwrap();
        duo.start(side);
        let mut expected = [Vec::new(), Vec::new()];
        for number in 0..50_u8 {
            for (end, bytes) in SIDES.into_iter().zip(&mut expected) {
                let line = [b'a' + number % 20; 11];
                duo.send(end, &line).unwrap();
                bytes.extend_from_slice(&line);
            }
        }
        duo.settle();
        for (end, bytes) in SIDES.into_iter().zip(expected) {
            assert_eq!(duo.receive(end.peer()), bytes, "{transport:?} {side}");
        }
        duo.assert_agreed(2);
    });
}

/// Data that waits when the association is closed is not forgotten: it leaves under the old keys.
#[test]
fn data_that_waits_leaves_before_the_goodbye() {
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs());
        duo.hold_back(Side::Server);
        duo.renegotiate(Side::Client, false).unwrap();
        duo.start(Side::Client);
        duo.send(Side::Client, b"last words").unwrap();
        duo.close(Side::Client);
        duo.start(Side::Client);
        duo.release(Side::Server);
        duo.settle();
        assert_eq!(duo.receive(Side::Server), b"last words", "{transport:?}");
        assert!(duo.events(Side::Server).contains(&Event::PeerClosed));
    }
}

/// What waits is bounded by the send queue; the refusal is an error that says so, and passes.
#[test]
fn no_more_data_waits_than_the_send_queue_holds() {
    let mut ends = Ends::new().resuming();
    let datagram = DatagramPolicy::default().send_queue(1 << 16).unwrap();
    let stream = StreamPolicy::default().send_queue(1 << 16).unwrap();
    ends.client = ends.client.datagram(datagram).stream(stream);
    let configs = ends.build();
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        duo.hold_back(Side::Server);
        duo.renegotiate(Side::Client, false).unwrap();
        duo.start(Side::Client);
        let mut sent = 0;
        let refused = loop {
            match duo.send(Side::Client, &[7; 1024]) {
                Ok(()) => sent += 1024,
                Err(error) => break error,
            }
            assert!(sent <= 1 << 16, "{transport:?}");
        };
        assert_eq!(refused, SendError::Renegotiating, "{transport:?}");
        assert!(sent > 1 << 15, "{transport:?}: {sent}");
        // The server refuses, so everything leaves under the old keys.
        duo.release(Side::Server);
        duo.settle();
        assert_eq!(duo.receive(Side::Server).len(), sent, "{transport:?}");
        duo.assert_agreed(1);
    }
}

/// `Flow`: data leaves under the old keys until this end's ChangeCipherSpec.
#[test]
fn data_can_flow_under_the_old_keys() {
    let flow =
        |policy: RekeyPolicy| policy.data_during_renegotiation(DataDuringRenegotiation::Flow);
    let configs = with(
        flow(RekeyPolicy::default()),
        allowing(flow(RekeyPolicy::default())),
    );
    everywhere(&configs, |mut duo, transport, side| {
        duo.hold_back(side.peer());
        duo.renegotiate(side, false).unwrap();
        duo.start(side);
        duo.send(side, b"early").unwrap();
        duo.release(side.peer());
        duo.settle();
        assert_eq!(duo.receive(side.peer()), b"early", "{transport:?} {side}");
        duo.assert_agreed(2);
    });
}

/// While only a HelloRequest is out, data flows in both directions where the policy says that the
/// client takes it.
#[test]
fn data_flows_while_only_a_hello_request_is_out() {
    let policy = RekeyPolicy::default();
    let policy = policy.data_during_renegotiation(DataDuringRenegotiation::HoldFromHello);
    let policy = allowing(policy);
    let configs = with(RekeyPolicy::default(), policy);
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        duo.hold_back(Side::Client);
        duo.renegotiate(Side::Server, false).unwrap();
        duo.start(Side::Server);
        duo.send(Side::Server, b"behind the request").unwrap();
        duo.release(Side::Client);
        duo.settle();
        assert_eq!(duo.receive(Side::Client), b"behind the request");
        duo.assert_agreed(2);
    }
}

/// Automatic: bytes of both directions count together, strictly more than the limit begins it, on
/// both sides.
#[test]
fn keys_are_replaced_after_so_many_bytes() {
    for transport in BOTH {
        for side in SIDES {
            let automatic = RekeyPolicy::default().bytes(Some(1000)).unwrap();
            let (client, server) = match side {
                Side::Client => (automatic, allowing(RekeyPolicy::default())),
                Side::Server => (RekeyPolicy::default(), automatic),
            };
            let mut duo = Duo::connected(transport, &with(client, server));
            duo.send(Side::Client, &[1; 600]).unwrap();
            duo.send(Side::Server, &[2; 400]).unwrap();
            duo.settle();
            assert_eq!(
                duo.epoch(side),
                1,
                "exactly the limit: {transport:?} {side}"
            );
            duo.send(Side::Client, &[3]).unwrap();
            duo.settle();
            for end in SIDES {
                assert_eq!(duo.epoch(end), 2, "{transport:?} {side}");
                duo.receive(end);
            }
            let counts = duo.stats(side).renegotiations_by(Initiator::Automatic);
            assert_eq!((counts.started, counts.completed), (1, 1));
            // The count begins again.
            duo.send(Side::Server, &[4; 900]).unwrap();
            duo.settle();
            assert_eq!(duo.epoch(side), 2);
        }
    }
}

/// Automatic by time: looked at when there is data, so that an idle association stays idle.
#[test]
fn keys_are_replaced_after_so_long_when_there_is_data() {
    for transport in BOTH {
        for side in SIDES {
            let minute = Some(Duration::from_secs(60));
            let automatic = RekeyPolicy::default().interval(minute).unwrap();
            let (client, server) = match side {
                Side::Client => (automatic, allowing(RekeyPolicy::default())),
                Side::Server => (RekeyPolicy::default(), automatic),
            };
            let mut duo = Duo::connected(transport, &with(client, server));
            assert!(duo.exchange());
            duo.run_for(Duration::from_secs(300));
            assert_eq!(duo.epoch(side), 1, "{transport:?} {side}");
            duo.send(Side::Client, b"wakes it").unwrap();
            duo.settle();
            assert_eq!(duo.receive(Side::Server), b"wakes it");
            assert_eq!(duo.epoch(side), 2, "{transport:?} {side}");
        }
    }
}

/// A peer that refuses is left alone for a while; calls are not.
#[test]
fn automatic_rekeying_waits_after_a_refusal() {
    let automatic = RekeyPolicy::default().bytes(Some(512)).unwrap();
    let configs = with(automatic, RekeyPolicy::default());
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        for _ in 0..10 {
            duo.send(Side::Client, &[1; 600]).unwrap();
            duo.settle();
            duo.receive(Side::Server);
        }
        let started = |duo: &Duo| {
            let counts = duo
                .stats(Side::Client)
                .renegotiations_by(Initiator::Automatic);
            (counts.started, counts.refused)
        };
        assert_eq!(started(&duo), (1, 1), "{transport:?}");
        duo.run_for(Duration::from_secs(60));
        duo.send(Side::Client, &[1; 1]).unwrap();
        duo.settle();
        assert_eq!(started(&duo), (2, 2), "{transport:?}");
        assert!(duo.is_alive(Side::Client) && duo.is_alive(Side::Server));
    }
}

/// Silence: over datagrams the attempt is over and the old keys go on; over a stream, which loses
/// nothing, it stays pending, data flows again, and the answer is taken whenever it comes.
#[test]
fn silence_fails_softly() {
    everywhere(&configs(), |mut duo, transport, side| {
        duo.hold_back(side.peer());
        duo.renegotiate(side, false).unwrap();
        duo.run_for(Duration::from_secs(130));
        let unanswered = refused(RenegotiationRefusal::Unanswered);
        assert_eq!(
            duo.handshakes(side).last(),
            Some(&unanswered),
            "{transport:?}"
        );
        let pending = transport == Transport::Tls;
        assert_eq!(duo.is_pending(side), pending, "{transport:?} {side}");
        if pending {
            assert_eq!(duo.renegotiate(side, false), Err(RenegotiateError::Pending));
            duo.send(side, b"goes on").unwrap();
            duo.release(side.peer());
            duo.settle();
            assert_eq!(duo.receive(side.peer()), b"goes on");
            duo.assert_agreed(2);
        } else {
            duo.drop_held(side.peer());
            duo.release(side.peer());
            duo.assert_agreed(1);
            duo.renegotiate(side, false).unwrap();
            duo.settle();
            duo.assert_agreed(2);
        }
    });
}

/// Both begin at once, and one handshake serves both.
#[test]
fn both_sides_can_begin_at_once() {
    for transport in BOTH {
        for abbreviated in [false, true] {
            let mut duo = Duo::connected(transport, &configs());
            for side in SIDES {
                duo.renegotiate(side, abbreviated).unwrap();
            }
            duo.settle();
            duo.assert_agreed(2);
            assert_eq!(duo.renegotiations(Side::Client), 1, "{transport:?}");
            duo.renegotiate(Side::Server, false).unwrap();
            duo.settle();
            duo.assert_agreed(3);
        }
    }
}

/// A server that wants to see a certificate forbids resumption in renegotiations; then a TLS
/// client's offer of its session leads to a full handshake.
#[test]
fn a_server_can_forbid_resumption_in_renegotiations() {
    let full = allowing(RekeyPolicy::default().resume(false));
    let configs = with(RekeyPolicy::default(), full);
    everywhere(&configs, |mut duo, transport, side| {
        duo.renegotiate(side, true).unwrap();
        duo.settle();
        let expected = complete(HandshakeKind::Full, true);
        assert_eq!(
            duo.handshakes(Side::Client).last(),
            Some(&expected),
            "{transport:?}"
        );
        duo.assert_agreed(2);
    });
}

/// RFC 5746 §5: the peer stays who it was, also if that is nobody.
#[test]
fn a_client_that_showed_no_certificate_may_stay_anonymous() {
    let mut ends = Ends::new().resuming();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    let configs = ends.build();
    everywhere(&configs, |mut duo, _, side| {
        duo.renegotiate(side, false).unwrap();
        duo.settle();
        duo.assert_agreed(2);
        assert!(duo.identity(Side::Server).is_none());
        assert!(duo.identity(Side::Client).is_some());
    });
}

/// A client that takes tickets gets a new one in every handshake, also in a renegotiation (GnuTLS
/// waits for it).
#[test]
fn each_renegotiation_brings_a_new_ticket() {
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs());
        let mut seen = vec![duo.session(Side::Client).unwrap().to_bytes().to_vec()];
        for abbreviated in [false, true, false] {
            duo.renegotiate(Side::Client, abbreviated).unwrap();
            duo.settle();
            let session = duo.session(Side::Client).unwrap().to_bytes().to_vec();
            assert!(!seen.contains(&session), "{transport:?}");
            seen.push(session);
        }
    }
}

/// Servers bound how often clients may begin.
#[test]
fn a_server_limits_how_often_its_clients_begin() {
    let min_interval = Duration::from_secs(30);
    let limited = ClientRenegotiation::Allow { min_interval };
    let server = RekeyPolicy::default().client_renegotiation(limited);
    let configs = with(RekeyPolicy::default(), server);
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        for (wait, epoch) in [(0, 1), (31, 2), (5, 2), (31, 3)] {
            duo.run_for(Duration::from_secs(wait));
            duo.renegotiate(Side::Client, true).unwrap();
            duo.settle();
            assert_eq!(duo.epoch(Side::Client), epoch, "{transport:?}");
        }
        duo.assert_agreed(3);
    }
}

/// Epochs end at 65,535, and the last one is used: the 65,534th renegotiation is like the first
/// (RFC 6347 §4.1).
#[test]
fn epochs_are_counted_to_their_end_and_never_wrap() {
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs());
        while duo.epoch(Side::Client) < 0xffff {
            duo.renegotiate(Side::Client, true).unwrap();
            duo.settle();
            duo.forget_events();
        }
        duo.assert_agreed(0xffff);
        for side in SIDES {
            let error = duo.renegotiate(side, false);
            assert_eq!(
                error,
                Err(RenegotiateError::EpochsExhausted),
                "{transport:?}"
            );
        }
        assert!(duo.exchange());
    }
}

/// What fitted into a datagram before fits while the keys are replaced and afterwards, whatever the
/// suites.
#[test]
fn the_longest_datagram_is_as_long_while_keys_are_replaced() {
    use sealgram::CipherSuite as Suite;
    for suite in [
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        #[cfg(feature = "ccm")]
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    ] {
        let mut ends = Ends::new().resuming();
        ends.client = ends
            .client
            .algorithms(Algorithms::default().cipher_suites(&[suite]).unwrap());
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let mut duo = Duo::connected(Transport::Dtls, &ends.build());
        let max = duo.max_payload(Side::Client);
        duo.renegotiate(Side::Client, false).unwrap();
        duo.start(Side::Client);
        assert_eq!(duo.max_payload(Side::Client), max);
        duo.send(Side::Client, &vec![7; max]).unwrap();
        duo.settle();
        assert_eq!(duo.receive(Side::Server), vec![7; max]);
        assert_eq!(duo.max_payload(Side::Client), max);
        let longer = duo.send(Side::Client, &vec![7; max + 1]);
        assert_eq!(longer, Err(SendError::TooLarge { max }));
    }
}

/// A server that was about to ask sees first that its client has begun, and asks no more.
#[test]
fn a_server_does_not_ask_a_client_that_has_begun() {
    let mut duo = Duo::connected(Transport::Tls, &configs());
    duo.renegotiate(Side::Client, false).unwrap();
    duo.renegotiate(Side::Server, false).unwrap();
    let Duo::Tls(pair) = &mut duo else {
        unreachable!("it was made so");
    };
    let hello = pair.client.transmit(pair.now);
    pair.server.deliver(pair.now, &hello);
    duo.settle();
    let expected = complete(HandshakeKind::Full, true);
    assert_eq!(duo.handshakes(Side::Server).last(), Some(&expected));
    duo.assert_agreed(2);
    let counts = duo.stats(Side::Server).renegotiations_by(Initiator::Local);
    assert_eq!(counts.started, 0);
    assert_eq!(duo.renegotiations(Side::Server), 1);
}
