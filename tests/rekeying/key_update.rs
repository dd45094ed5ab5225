//! The rules of key updates at version 1.3, one test a rule, over both transports and by both sides
//! (RFC 8446 §4.6.3, RFC 9147 §8, the manual page SSL_key_update(3)). The chapter `docs::rekeying`
//! states them.
//!
//! * what each call changes; the peer follows a request, and nothing else:
//!   `r8446_02_each_call_changes_the_keys_that_it_names`
//! * both at once: each answers once, no loop:
//!   `r8446_05_requests_that_cross_are_each_answered_once`
//! * a call schedules; `key_update_type` until it is delivered, also for the answer owed:
//!   `r9147_32_a_call_is_told_until_it_is_delivered`
//! * one outstanding; datagrams use new keys only when acknowledged:
//!   `r9147_42_new_keys_are_not_used_before_the_acknowledgement`
//! * a second request waits for the peer's answer:
//!   `r8446_04_a_second_request_waits_for_the_answer_to_the_first`
//! * errors: before the handshake is done, at 1.2, behind a close; `renegotiate` at 1.3:
//!   `calls_that_have_no_place_change_nothing`
//! * automatic: bytes and interval, one policy for both versions:
//!   `keys_are_updated_after_so_many_bytes`, `keys_are_updated_after_an_interval`
//! * automatic: limits of the keys: `tests/rekeying/key_limits.rs`
//! * data flows meanwhile; late data of the old epoch is delivered: `data_never_waits`,
//!   `r9147_44_late_data_of_the_old_keys_is_delivered`
//! * one follows another, for ever: `updates_follow_each_other`
//! * floods of updates end the connection:
//!   `r8446_06_c11_a_flood_of_key_updates_ends_the_connection`
//! * lost, repeated, late: `tests/handshake/loss13.rs`

use crate::common::configs::{Configs, Ends};
use crate::common::transport::{BOTH, Duo, SIDES, Transport};
use sealgram::config::{RekeyPolicy, Versions};
use sealgram::error::{KeyUpdateError, PeerMisbehaved, RenegotiateError};
use sealgram::{Error, Event, KeyUpdate, Side};
use std::time::Duration;

use KeyUpdate::{NotRequested, Requested};

fn configs() -> Configs {
    with(RekeyPolicy::default())
}

/// Both ends have the policy; nothing is in flight but what a test sends.
fn with(policy: RekeyPolicy) -> Configs {
    let mut ends = Ends::new().versions(Versions::V1_3);
    ends.client = ends.client.rekey(policy.clone());
    ends.server = ends.server.rekey(policy);
    ends.build()
}

fn everywhere(configs: &Configs, mut test: impl FnMut(Duo, Transport, Side)) {
    for transport in BOTH {
        for side in SIDES {
            test(Duo::connected(transport, configs), transport, side);
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// Who has told of whose new keys, in order.
fn updates(duo: &Duo, side: Side) -> Vec<Side> {
    let events = duo.events(side).into_iter();
    events
        .filter_map(|event| match event {
            Event::KeysUpdated { sender } => Some(sender),
            _ => None,
        })
        .collect()
}

#[test]
fn r8446_02_each_call_changes_the_keys_that_it_names() {
    everywhere(&configs(), |mut duo, transport, side| {
        let peer = other(side);
        let secret = duo.exported(side);
        duo.key_update(side, NotRequested).unwrap();
        duo.settle();
        let name = format!("{transport:?} {side}");
        assert_eq!((duo.epoch(side), duo.epoch(peer)), (4, 3), "{name}");
        assert_eq!(updates(&duo, side), [side], "{name}");
        assert_eq!(updates(&duo, peer), [side], "{name}");
        assert!(duo.exchange(), "{name}");
        duo.key_update(side, Requested).unwrap();
        duo.settle();
        assert_eq!((duo.epoch(side), duo.epoch(peer)), (5, 4), "{name}");
        assert!(duo.exchange(), "{name}");
        for end in SIDES {
            let stats = duo.stats(end);
            let (own, theirs) = if end == side { (2, 1) } else { (1, 2) };
            assert_eq!(stats.key_updates_sent(), own, "{name}");
            assert_eq!(stats.key_updates_received(), theirs, "{name}");
            assert_eq!(duo.key_update_type(end), None, "{name}");
        }
        // RFC 8446 §7.5: what is exported does not depend on key updates.
        assert_eq!(duo.exported(side), secret, "{name}");
        assert_eq!(duo.exported(peer), secret, "{name}");
    });
}

#[test]
fn r8446_05_requests_that_cross_are_each_answered_once() {
    let configs = configs();
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        for side in SIDES {
            duo.hold_back(side);
        }
        for side in SIDES {
            duo.key_update(side, Requested).unwrap();
            duo.start(side);
        }
        for side in SIDES {
            duo.release(side);
        }
        duo.settle();
        for side in SIDES {
            assert_eq!(duo.epoch(side), 5, "{transport:?} {side}");
            assert_eq!(updates(&duo, side).len(), 4, "{transport:?} {side}");
        }
        duo.run_for(Duration::from_secs(5));
        assert_eq!(duo.epoch(Side::Client), 5, "no loop");
        assert!(duo.exchange());
    }
}

#[test]
fn r9147_32_a_call_is_told_until_it_is_delivered() {
    everywhere(&configs(), |mut duo, transport, side| {
        assert_eq!(duo.key_update_type(side), None);
        duo.key_update(side, Requested).unwrap();
        // Scheduled, and nothing was sent.
        assert_eq!(duo.key_update_type(side), Some(Requested));
        assert_eq!(duo.epoch(side), 3);
        let before = duo.key_update(side, NotRequested);
        assert_eq!(before, Err(KeyUpdateError::Pending));
        duo.hold_back(other(side));
        duo.start(side);
        // A stream delivers whatever it takes.
        let on_its_way = match transport {
            Transport::Dtls => Some(Requested),
            Transport::Tls => None,
        };
        assert_eq!(duo.key_update_type(side), on_its_way, "{transport:?}");
        duo.release(other(side));
        duo.settle();
        for end in SIDES {
            assert_eq!(duo.key_update_type(end), None, "{transport:?} {end}");
        }
    });
}

/// RFC 9147 §8: neither new keys nor another KeyUpdate before the last one was acknowledged.
#[test]
fn r9147_42_new_keys_are_not_used_before_the_acknowledgement() {
    for side in SIDES {
        let mut duo = Duo::connected(Transport::Dtls, &configs());
        duo.hold_back(side);
        duo.key_update(side, NotRequested).unwrap();
        duo.settle();
        // The peer has it, and its acknowledgement is on the way.
        assert_eq!(updates(&duo, other(side)), [side]);
        assert_eq!(duo.epoch(side), 3);
        duo.send(side, b"still under the old keys").unwrap();
        duo.settle();
        assert_eq!(duo.receive(other(side)), b"still under the old keys");
        let another = duo.key_update(side, NotRequested);
        assert_eq!(another, Err(KeyUpdateError::Pending));
        duo.release(side);
        duo.settle();
        assert_eq!(duo.epoch(side), 4);
        assert!(duo.exchange());
    }
}

/// RFC 9846 §4.7.3: no second request before the peer's own KeyUpdate was seen.
#[test]
fn r8446_04_a_second_request_waits_for_the_answer_to_the_first() {
    for side in SIDES {
        let mut duo = Duo::connected(Transport::Tls, &configs());
        duo.hold_back(other(side));
        duo.key_update(side, Requested).unwrap();
        duo.start(side);
        assert_eq!(duo.epoch(side), 4);
        let second = duo.key_update(side, Requested);
        assert_eq!(second, Err(KeyUpdateError::Pending));
        // What asks for nothing is free.
        duo.key_update(side, NotRequested).unwrap();
        duo.release(other(side));
        duo.settle();
        assert_eq!((duo.epoch(side), duo.epoch(other(side))), (5, 4));
        duo.key_update(side, Requested).unwrap();
        duo.settle();
        assert_eq!((duo.epoch(side), duo.epoch(other(side))), (6, 5));
    }
}

#[test]
fn calls_that_have_no_place_change_nothing() {
    let configs = configs();
    for transport in BOTH {
        if transport == Transport::Tls {
            let mut duo = Duo::connecting(transport, &configs);
            let early = duo.key_update(Side::Client, Requested);
            assert_eq!(early, Err(KeyUpdateError::HandshakeNotComplete));
        }
        let mut duo = Duo::connected(transport, &configs);
        for side in SIDES {
            for abbreviated in [false, true] {
                let refused = duo.renegotiate(side, abbreviated);
                assert_eq!(refused, Err(RenegotiateError::NotSupportedByVersion));
            }
        }
        assert!(duo.exchange());
        duo.close(Side::Client);
        let behind = duo.key_update(Side::Client, Requested);
        assert_eq!(behind, Err(KeyUpdateError::Closed));

        let mut duo = Duo::connected(transport, &Ends::new().build());
        for side in SIDES {
            let refused = duo.key_update(side, Requested);
            assert_eq!(refused, Err(KeyUpdateError::NotSupportedByVersion));
            assert_eq!(duo.key_update_type(side), None);
        }
        assert!(duo.exchange());
    }
}

#[test]
fn keys_are_updated_after_so_many_bytes() {
    let policy = RekeyPolicy::default().bytes(Some(1000)).unwrap();
    let mut ends = Ends::new().versions(Versions::V1_3);
    ends.client = ends.client.rekey(policy);
    let configs = ends.build();
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        for _ in 0..10 {
            duo.send(Side::Client, &[1; 100]).unwrap();
            duo.settle();
        }
        assert_eq!(duo.epoch(Side::Client), 3, "{transport:?}");
        // Both directions count.
        duo.send(Side::Server, &[1; 10]).unwrap();
        duo.settle();
        duo.settle();
        for side in SIDES {
            assert_eq!(duo.epoch(side), 4, "{transport:?} {side}");
        }
        // The count has begun anew.
        duo.send(Side::Client, &[1; 900]).unwrap();
        duo.settle();
        assert_eq!(duo.epoch(Side::Client), 4, "{transport:?}");
    }
}

#[test]
fn keys_are_updated_after_an_interval() {
    let interval = Some(Duration::from_secs(60));
    let policy = RekeyPolicy::default().interval(interval).unwrap();
    let mut ends = Ends::new().versions(Versions::V1_3);
    ends.client = ends.client.rekey(policy);
    let configs = ends.build();
    for transport in BOTH {
        let mut duo = Duo::connected(transport, &configs);
        duo.run_for(Duration::from_secs(59));
        duo.send(Side::Client, b"early").unwrap();
        duo.settle();
        assert_eq!(duo.epoch(Side::Client), 3, "{transport:?}");
        // It is looked at when there is data, and arms no timer.
        duo.run_for(Duration::from_secs(100));
        assert_eq!(duo.epoch(Side::Client), 3, "{transport:?}");
        duo.send(Side::Client, b"late").unwrap();
        duo.settle();
        duo.settle();
        for side in SIDES {
            assert_eq!(duo.epoch(side), 4, "{transport:?} {side}");
        }
    }
}

#[test]
fn data_never_waits() {
    everywhere(&configs(), |mut duo, transport, side| {
        let peer = other(side);
        duo.key_update(side, Requested).unwrap();
        duo.send(side, b"one ").unwrap();
        duo.start(side);
        duo.send(side, b"two ").unwrap();
        duo.send(peer, b"three ").unwrap();
        duo.settle();
        duo.send(side, b"four ").unwrap();
        duo.settle();
        assert_eq!(duo.receive(peer), b"one two four ", "{transport:?} {side}");
        assert_eq!(duo.receive(side), b"three ", "{transport:?} {side}");
    });
}

/// RFC 9147 §8: receivers keep the keys before the newest, so that what was under way is not lost;
/// but no older ones.
#[test]
fn r9147_44_late_data_of_the_old_keys_is_delivered() {
    for side in SIDES {
        assert_eq!(late_behind(side, 1), b"late");
        assert_eq!(late_behind(side, 2), b"");
    }
}

/// What arrives of a datagram of `side` that was on its way while its keys were updated so often.
fn late_behind(side: Side, updates: u64) -> Vec<u8> {
    let mut duo = Duo::connected(Transport::Dtls, &configs());
    let peer = other(side);
    duo.datagrams().record();
    duo.hold_back(peer);
    duo.send(side, b"late").unwrap();
    duo.settle();
    let late = duo.datagrams().seen.take().unwrap().pop().unwrap().datagram;
    duo.drop_held(peer);
    duo.release(peer);
    for _ in 0..updates {
        duo.key_update(side, NotRequested).unwrap();
        duo.settle();
    }
    assert_eq!(duo.epoch(side), 3 + updates);
    assert!(duo.exchange());
    match peer {
        Side::Server => duo.datagrams().deliver_to_server(&late),
        Side::Client => duo.datagrams().deliver_to_client(&late),
    }
    duo.receive(peer)
}

/// Long past the point where the low bits of the epoch in a record header repeat (RFC 9147 §4.2.2).
#[test]
fn updates_follow_each_other() {
    everywhere(&configs(), |mut duo, transport, side| {
        for round in 1..=40_u64 {
            duo.key_update(side, Requested).unwrap();
            duo.settle();
            for end in SIDES {
                assert_eq!(duo.epoch(end), 3 + round, "{transport:?} {end}");
            }
            assert!(duo.exchange(), "{transport:?} {round}");
        }
    });
}

/// C11: each update costs its receiver a key schedule. Data between them makes them honest.
#[test]
fn r8446_06_c11_a_flood_of_key_updates_ends_the_connection() {
    everywhere(&configs(), |mut duo, transport, side| {
        let peer = other(side);
        for _ in 0..32 {
            duo.key_update(side, NotRequested).unwrap();
            duo.settle();
        }
        assert_eq!(duo.error(peer), None, "{transport:?}");
        duo.key_update(side, NotRequested).unwrap();
        duo.settle();
        let expected = Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdates);
        assert_eq!(duo.error(peer), Some(expected), "{transport:?}");
    });
}
