//! What somebody reaches who can read the path, or send from a forged address, but has no keys:
//! SECURITY.md says nothing but a counter, and at most one attempt that begins again.

use crate::common::configs::{Configs, Ends, server_name, start};
use bytes::BytesMut;
use sealgram::config::{DatagramPolicy, PlaintextAlerts, Versions};
use sealgram::endpoint::{AssociationId, Endpoint};
use sealgram::sim::{Direction, Pair};
use sealgram::{Event, Path};
use std::time::Duration;

/// The longest that an honest client may notice of somebody else's datagrams: its hello is sent
/// again once.
const SOON: Duration = Duration::from_secs(2);

/// Both versions, which are attacked alike.
const BOTH: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

fn is_hello(datagram: &[u8]) -> bool {
    datagram[0] == 22 && datagram[3..5] == [0, 0] && datagram[13] == 1
}

/// The client's host begins again, from the same port.
fn restart(pair: &mut Pair, configs: &Configs) {
    pair.client = Endpoint::new(pair.now, Default::default(), None).unwrap();
    pair.client_events.clear();
    pair.connect(configs.client.clone(), server_name()).unwrap();
}

/// The hello with a cookie that the client has sent last, as somebody on the path has it.
fn captured(pair: &Pair) -> Vec<u8> {
    let seen = pair.seen.as_ref().unwrap().iter().rev();
    let mut hellos =
        seen.filter(|it| it.direction == Direction::ToServer && is_hello(&it.datagram));
    hellos.next().unwrap().datagram.clone()
}

/// A server that has an association with a client, and the hellos of this many attempts of it.
fn with_captured(configs: &Configs, attempts: usize) -> (Pair, Vec<Vec<u8>>) {
    let mut pair = Pair::new(configs.server.clone(), start(), 1).unwrap();
    pair.record();
    let mut hellos = Vec::new();
    for _ in 0..attempts {
        restart(&mut pair, configs);
        assert!(pair.run_until(SOON, |it| it.client_id().is_some()));
        pair.run_for(SOON);
        hellos.push(captured(&pair));
    }
    (pair, hellos)
}

/// What the server sends at this moment: datagrams and bytes.
fn drain(server: &mut Endpoint, now: std::time::Instant) -> (usize, usize) {
    let (mut out, mut datagrams, mut bytes) = (Vec::new(), 0, 0);
    while let Some(transmit) = {
        out.clear();
        server.poll_transmit(now, 1, &mut out)
    } {
        datagrams += 1;
        bytes += transmit.len;
    }
    (datagrams, bytes)
}

fn replay(pair: &mut Pair, datagram: &[u8]) {
    let path = Path::new(pair.client_address);
    pair.server
        .handle_datagram(pair.now, path, BytesMut::from(datagram));
}

fn failures(events: &[(AssociationId, Event)]) -> Vec<String> {
    let failed = events.iter().filter_map(|(_, event)| match event {
        Event::Failed(failure) => Some(failure.to_string()),
        _ => None,
    });
    failed.collect()
}

/// RFC 6347 §4.2.8: the hello of an earlier attempt, its cookie still good, comes when the client's
/// new attempt has keys in both directions and only its last flight is missing.
#[test]
fn a_captured_hello_does_not_displace_an_attempt_that_has_keys() {
    for versions in BOTH {
        for (established, mutual) in [(true, false), (true, true), (false, false), (false, true)] {
            let ends = Ends::new().versions(versions);
            let configs = if mutual { ends.mutual() } else { ends }.build();
            let (mut pair, hellos) = with_captured(&configs, 2);
            if !established {
                let id = pair.server_id().unwrap();
                pair.server.association(pair.now, id).unwrap().close();
                pair.run_for(SOON);
                assert!(pair.server.is_empty());
            }
            pair.server_events.clear();
            restart(&mut pair, &configs);
            while pair.server.half_open() == 0 {
                pair.step();
            }
            let sent = pair.to_server.sent();
            while pair.to_server.sent() == sent {
                pair.step();
            }
            let length = pair.server.len();
            for hello in &hellos {
                replay(&mut pair, hello);
            }
            let case = format!("{versions:?} established={established} mutual={mutual}");
            assert_eq!(
                (pair.server.half_open(), pair.server.len()),
                (1, length),
                "{case}"
            );
            let stats = pair.server.stats();
            assert_eq!(stats.hellos_replayed + stats.hellos_ignored, 2, "{case}");
            assert!(
                pair.run_until(SOON, Pair::is_connected),
                "{case}: {:?}",
                pair.client_events
            );
            assert!(pair.exchange(5), "{case}");
            assert_eq!(failures(&pair.client_events), [""; 0], "{case}");
        }
    }
}

/// The same at every step of the attempt: whatever the server has of it, an older hello does not
/// touch it.
#[test]
fn a_captured_hello_does_not_displace_an_attempt_at_any_step() {
    for versions in BOTH {
        let configs = Ends::new().versions(versions).mutual().build();
        for steps in 0.. {
            let (mut pair, hellos) = with_captured(&configs, 2);
            restart(&mut pair, &configs);
            (0..steps).for_each(|_| {
                pair.step();
            });
            let over = pair.client_id().is_some() && pair.server.half_open() == 0;
            hellos.iter().for_each(|hello| replay(&mut pair, hello));
            let case = format!("{versions:?} after {steps} steps");
            assert!(
                pair.run_until(SOON, Pair::is_connected),
                "{case}: {:?}",
                pair.client_events
            );
            assert_eq!(failures(&pair.client_events), [""; 0], "{case}");
            if over && steps > 3 {
                break;
            }
        }
    }
}

/// A cookie is used once: two captured hellos in turn set off nothing beside an association, and
/// each one at most when there is none.
#[test]
fn captured_hellos_in_turn_set_off_one_handshake_each_at_most() {
    for versions in BOTH {
        let configs = Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256)
            .versions(versions)
            .build();
        let (mut pair, hellos) = with_captured(&configs, 3);
        let before = pair.server.stats().accepted;
        let mut bytes = 0;
        for round in 0..1000 {
            replay(&mut pair, &hellos[round % 2]);
            bytes += drain(&mut pair.server, pair.now).1;
            pair.now += Duration::from_millis(1);
        }
        assert_eq!(
            (pair.server.stats().accepted - before, bytes),
            (0, 0),
            "{versions:?}"
        );
        assert!(pair.exchange(10), "{versions:?}");

        // When its association is gone, the address is still known for as long as its cookies are
        // good.
        let id = pair.server_id().unwrap();
        pair.server.association(pair.now, id).unwrap().close();
        pair.run_for(SOON);
        assert!(pair.server.is_empty());
        for _ in 0..200 {
            for hello in &hellos {
                replay(&mut pair, hello);
                drain(&mut pair.server, pair.now);
            }
            pair.now += Duration::from_secs(1);
            pair.server.handle_timeout(pair.now);
        }
        assert_eq!(pair.server.stats().accepted, before, "{versions:?}");
    }
}

/// Hellos that nobody has used, each with a newer cookie than the one before: an address sets off
/// four handshakes in a row, and one a second.
#[test]
fn one_address_sets_off_one_handshake_a_second() {
    for versions in BOTH {
        let configs = Ends::new().versions(versions).build();
        let mut pair = Pair::new(configs.server.clone(), start(), 1).unwrap();
        pair.record();
        let mut hellos = Vec::new();
        for _ in 0..50 {
            restart(&mut pair, &configs);
            // Its hello with the cookie is caught, and never arrives.
            let sent = pair.to_server.sent();
            while pair.to_server.sent() < sent + 2 {
                pair.step();
            }
            hellos.push(captured(&pair));
            pair.to_server.clear();
            pair.to_client.clear();
        }
        pair.client = Endpoint::new(pair.now, Default::default(), None).unwrap();
        let (mut bytes, mut sent) = (0, 0);
        for hello in &hellos {
            replay(&mut pair, hello);
            sent += drain(&mut pair.server, pair.now).1;
            bytes += hello.len();
            pair.now += Duration::from_millis(100);
        }
        let accepted = pair.server.stats().accepted;
        assert_eq!(accepted, 4 + 4, "{versions:?}: in five seconds");
        assert_eq!(pair.server.stats().hellos_postponed, 50 - 8);
        assert!(
            sent < 4 * bytes,
            "{versions:?}: {sent} bytes out for {bytes}"
        );
    }
}

/// RFC 6347 §4.2.8: who really starts again, even several times at once, is served without delay.
#[test]
fn a_client_that_starts_again_and_again_is_served_at_once() {
    for versions in BOTH {
        let configs = Ends::new().versions(versions).build();
        let mut pair = configs.connected(1);
        for _ in 0..3 {
            restart(&mut pair, &configs);
            let before = pair.now;
            assert!(
                pair.run_until(SOON, |it| it.client_id().is_some()),
                "{versions:?}"
            );
            assert!(
                pair.now - before < Duration::from_millis(200),
                "{versions:?}"
            );
        }
        pair.run_for(SOON);
        assert!(pair.exchange(5));
        assert_eq!(pair.server.len(), 1);
    }
}

/// RFC 6347 §4.2.1, RFC 9147 §5.1: a cookie is good for two minutes and a half; then its owner is
/// asked for another one.
#[test]
fn a_cookie_is_too_old_after_two_minutes_and_a_half() {
    for versions in BOTH {
        for (age, served) in [(149, true), (152, false)] {
            let configs = Ends::new().versions(versions).build();
            let mut pair = Pair::new(configs.server.clone(), start(), 1).unwrap();
            pair.record();
            pair.connect(configs.client.clone(), server_name()).unwrap();
            while pair.to_server.sent() < 2 {
                pair.step();
            }
            pair.now += Duration::from_secs(age);
            let hello = captured(&pair);
            replay(&mut pair, &hello);
            assert_eq!(
                pair.server.half_open(),
                usize::from(served),
                "{versions:?} {age}"
            );
            assert!(
                served || drain(&mut pair.server, pair.now).0 == 1,
                "{versions:?}"
            );
        }
    }
}

/// RFC 9147 §5.1: somebody sends the server a hello of its own with the client's address, so that
/// it asks the client for the cookie of another hello. The client begins again without a cookie.
#[test]
fn a_blind_hello_with_the_clients_address_does_not_end_its_attempt() {
    const KINDS: [Versions; 3] = [Versions::V1_2, Versions::V1_3, Versions::ALL];
    for (server, client) in KINDS
        .into_iter()
        .flat_map(|one| KINDS.map(|other| (one, other)))
    {
        let apart = [server, client] == [Versions::V1_2, Versions::V1_3]
            || [server, client] == [Versions::V1_3, Versions::V1_2];
        if apart {
            continue;
        }
        for strangers in KINDS {
            for alerts in [PlaintextAlerts::Believe, PlaintextAlerts::Ignore] {
                for count in [1, 2, 5, 20] {
                    let policy = DatagramPolicy::default().plaintext_alerts(alerts);
                    let mut ends = Ends::new().datagram(&policy);
                    ends.client = ends.client.versions(client);
                    ends.server = ends.server.versions(server);
                    let configs = ends.build();
                    let mut other = Ends::new().versions(strangers).build().pair(9);
                    other.record();
                    other.transmit();
                    let forged = other.seen.as_ref().unwrap()[0].datagram.clone();
                    let mut pair = Pair::new(configs.server.clone(), start(), 1).unwrap();
                    (0..count).for_each(|_| pair.deliver_to_server(&forged));
                    pair.transmit();
                    pair.connect(configs.client.clone(), server_name()).unwrap();
                    let connected = pair.run_until_connected(Duration::from_secs(5));
                    let case = format!(
                        "server {server:?}, client {client:?}, stranger {strangers:?}, {alerts:?}, {count}"
                    );
                    assert!(connected, "{case}: {:?}", pair.client_events);
                }
            }
        }
    }
}

/// The same without malice: the client's host starts again while its first attempt is being
/// answered.
#[test]
fn an_answer_to_an_earlier_attempt_does_not_end_the_next_one() {
    for versions in [Versions::V1_2, Versions::V1_3, Versions::ALL] {
        let configs = Ends::new().versions(versions).build();
        let mut pair = configs.pair(1);
        // The first hello is on its way when the second attempt begins, and is answered first.
        pair.transmit();
        restart(&mut pair, &configs);
        assert!(
            pair.run_until_connected(SOON),
            "{versions:?}: {:?}",
            pair.client_events
        );
        let completed = Event::HandshakeComplete {
            kind: sealgram::HandshakeKind::Full,
            renegotiation: false,
        };
        let told = pair.client_events.iter().map(|(_, event)| event);
        assert!(told.eq([&completed]), "{versions:?}");
    }
}

/// RFC 9147 §5.1: a server that never knows the cookies that it gave is told of, after a few tries,
/// by its own alert.
#[test]
fn a_server_that_refuses_every_cookie_is_given_up_soon() {
    let configs = Ends::new().versions(Versions::V1_3).build();
    let mut pair = configs.pair(1);
    let other = Ends::new().versions(Versions::V1_3).build().server;
    for _ in 0..100 {
        // Each answer comes from a server that has other keys than the one before.
        pair.server = Endpoint::new(pair.now, Default::default(), Some(other.clone())).unwrap();
        if !pair.step() || !failures(&pair.client_events).is_empty() {
            break;
        }
    }
    let failed = failures(&pair.client_events);
    assert!(
        failed.iter().any(|it| it.contains("illegal_parameter")),
        "{failed:?}"
    );
    assert!(pair.now - pair.start < Duration::from_secs(10));
    assert_eq!(pair.to_server.sent(), 2 * (1 + 4), "two hellos a try");
}

/// A refused second hello may have been refused for its session (pion refuses every binder that
/// changes): the next one has none.
#[test]
fn an_attempt_that_begins_again_offers_no_session() {
    let configs = Ends::new().versions(Versions::V1_3).resuming().build();
    let mut pair = configs.connected(1);
    pair.run_for(SOON);
    pair.record();
    restart(&mut pair, &configs);
    // The answer comes from a server with other keys than the one that sees the second hello.
    pair.step();
    pair.server =
        Endpoint::new(pair.now, Default::default(), Some(configs.server.clone())).unwrap();
    assert!(pair.run_until_connected(SOON), "{:?}", pair.client_events);
    let kind = |event: &Event| {
        matches!(
            event,
            Event::HandshakeComplete {
                kind: sealgram::HandshakeKind::Full,
                ..
            }
        )
    };
    assert!(
        pair.client_events.iter().any(|(_, event)| kind(event)),
        "{:?}",
        pair.client_events
    );
    let hellos = pair.seen.as_ref().unwrap().iter();
    let lengths: Vec<_> = hellos
        .filter(|it| it.direction == Direction::ToServer && is_hello(&it.datagram))
        .map(|it| it.datagram.len())
        .collect();
    assert!(
        lengths.len() == 4 && lengths[2] + 100 < lengths[0],
        "{lengths:?}"
    );
}
