//! What ends an attempt, and what does not: deadlines behind the completion, two clients that call
//! each other, many that begin at once, and what strangers say meanwhile.

use crate::common::configs::{Ends, server_name, start};
use crate::common::datagram_harness::{DatagramHarness, SERVER_FLIGHT};
use bytes::BytesMut;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::sim::scripted::Line;
use sealgram::sim::{Conditions, Fate, Link, Pair};
use sealgram::{Error, Event, Path};
use std::net::SocketAddr;
use std::time::Duration;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

/// RFC 9147 §5.8.1: once the application was told that the handshake is complete, its deadline is
/// over.
#[test]
fn a_completed_handshake_does_not_time_out() {
    for versions in VERSIONS {
        for deadline in (5..100).step_by(5) {
            let policy =
                DatagramPolicy::default().handshake_deadline(Some(Duration::from_millis(deadline)));
            let mut ends = Ends::new().versions(versions);
            ends.client = ends.client.datagram(policy);
            let mut pair = ends.build().pair(1);
            pair.run_for(Duration::from_secs(5));
            let failure = crate::common::datagram_harness::failure(&pair.client_events);
            let complete = pair.client_id().is_some();
            assert!(
                !complete || failure.is_none(),
                "{versions:?}, {deadline} ms: complete, and then {failure:?}"
            );
        }
    }
}

/// The same at the server, whose tickets nobody acknowledges, and whose last flight of 1.2 is lost.
#[test]
fn a_server_that_is_complete_does_not_time_out() {
    for versions in VERSIONS {
        let policy = DatagramPolicy::default().handshake_deadline(Some(Duration::from_millis(100)));
        let mut ends = Ends::new().versions(versions).resuming();
        ends.server = ends.server.datagram(policy);
        let mut pair = ends.build().pair(1);
        assert!(pair.run_until(Duration::from_secs(5), |pair| pair.server_id().is_some()));
        pair.to_client.hold(true);
        pair.run_for(Duration::from_secs(100));
        assert_eq!(
            crate::common::datagram_harness::failure(&pair.server_events),
            None,
            "{versions:?}"
        );
        assert!(pair.server_connection().is_some(), "{versions:?}");
    }
}

/// Two clients, at two addresses, that connect to each other.
fn call_each_other(versions: Versions, accepting: bool) -> [Endpoint; 2] {
    let configs = Ends::new().versions(versions).build();
    let addresses: [SocketAddr; 2] = [([192, 0, 2, 1], 5000).into(), ([192, 0, 2, 2], 5000).into()];
    let mut now = start();
    let mut ends = addresses.map(|_| {
        let server = accepting.then(|| configs.server.clone());
        Endpoint::new(now, EndpointPolicy::default(), server).unwrap()
    });
    for (end, other) in ends.iter_mut().zip([addresses[1], addresses[0]]) {
        let path = Path::new(other);
        end.connect(now, configs.client.clone(), server_name(), path)
            .unwrap();
    }
    for _ in 0..200 {
        for (from, to) in [(0, 1), (1, 0)] {
            let mut out = Vec::new();
            while ends[from].poll_transmit(now, 1, &mut out).is_some() {
                let path = Path::new(addresses[from]);
                ends[to].handle_datagram(now, path, BytesMut::from(&out[..]));
                out.clear();
            }
        }
        now += Duration::from_secs(1);
        for end in &mut ends {
            end.handle_timeout(now);
        }
    }
    ends
}

/// WebRTC calls that "glare": neither end accepts, and both wait for an answer.
#[test]
fn two_clients_that_call_each_other_learn_why_nobody_answers() {
    for versions in [Versions::V1_2, Versions::V1_3, Versions::ALL] {
        for accepting in [false, true] {
            for mut end in call_each_other(versions, accepting) {
                let events: Vec<_> = std::iter::from_fn(|| end.poll_event()).collect();
                let failure =
                    crate::common::datagram_harness::failure(&events).expect("nobody has answered");
                let text = failure.to_string();
                assert!(matches!(failure.error, Error::TimedOut { .. }), "{text}");
                assert!(
                    text.contains("both ends are clients"),
                    "{versions:?}: {text}"
                );
            }
        }
    }
}

/// Anybody can send a ClientHello: it ends nothing.
#[test]
fn a_strangers_hello_does_not_end_a_clients_attempt() {
    for versions in VERSIONS {
        let configs = Ends::new().versions(versions).build();
        let mut pair = configs.pair(1);
        pair.record();
        pair.transmit();
        let hello = pair.seen.as_ref().unwrap()[0].datagram.clone();
        for _ in 0..10 {
            pair.deliver_to_client(&hello);
        }
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        assert!(pair.exchange(3));
    }
}

/// RFC 5246 §7.2.2: a server that has switched its keys and gives up says so under the new ones;
/// the ticket before them is lost.
#[test]
fn a_fatal_alert_under_the_next_keys_ends_the_wait_for_a_ticket() {
    let ends = Ends::new().resuming();
    let mut peer = crate::common::datagram_harness::scripted_server(&ends);
    peer.promises_ticket = true;
    let mut harness = DatagramHarness::client(ends.build().client, peer);
    harness.exchange_cookies();
    harness.play(&SERVER_FLIGHT);
    // Lost on the way.
    harness
        .peer
        .speak(&[Line::NewSessionTicket, Line::ChangeCipherSpec]);
    let warning = harness.peer.record(21, 1, &[1, 90]);
    harness.deliver(&warning);
    assert_eq!(harness.error(), None, "a warning has time");
    let mut forged = harness.peer.record(21, 1, &[2, 80]);
    *forged.last_mut().unwrap() ^= 1;
    harness.deliver(&forged);
    assert_eq!(harness.error(), None, "anybody can have sent it");
    let alert = harness.peer.record(21, 1, &[2, 80]);
    harness.deliver(&alert);
    let Some(Error::AlertReceived { authenticated, .. }) = harness.error() else {
        panic!("{:?}", harness.error());
    };
    assert!(authenticated);
}

/// The same at a server that misses the client's CertificateVerify (1.2) or Finished (1.3), when
/// the client gives up.
#[test]
fn a_fatal_alert_under_the_next_keys_ends_the_wait_for_a_clients_proof() {
    // At 1.2 small datagrams, so that the one before the last holds what keys are made of.
    for (versions, mtu) in [
        (Versions::V1_2, 256),
        (Versions::V1_3, 256),
        (Versions::V1_3, 1400),
    ] {
        let policy = DatagramPolicy::default().mtu(mtu).unwrap();
        let ends = Ends::new().versions(versions).mutual().datagram(&policy);
        let configs = ends.build();
        let undisturbed = configs.connected(1).to_server.sent();
        let mut pair = configs.pair(1);
        pair.to_server.script(move |index, _| {
            if index + 1 == undisturbed {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        });
        let said_all = |pair: &Pair| pair.to_server.sent() >= undisturbed;
        assert!(pair.run_until(Duration::from_secs(5), said_all));
        pair.run_for(Duration::from_millis(50));
        let client = pair.client.associations().next().unwrap();
        let alert = sealgram::AlertDescription::ACCESS_DENIED;
        pair.client
            .association(pair.now, client)
            .unwrap()
            .abort(alert);
        pair.run_for(Duration::from_secs(1));
        let failure = crate::common::datagram_harness::failure(&pair.server_events);
        let heard = matches!(
            failure.as_ref().map(|it| &it.error),
            Some(Error::AlertReceived {
                authenticated: true,
                ..
            })
        );
        assert!(heard, "{versions:?}, MTU {mtu}: {failure:?}");
    }
}

/// RFC 9147 §7, §7.2: a record that a stranger has made up is not acknowledged, because its sender,
/// who never sent it, would take that for a fault.
#[test]
fn a_strangers_record_is_not_acknowledged_under_keys() {
    for seq in 0..5 {
        let policy = DatagramPolicy::default().mtu(256).unwrap();
        let ends = Ends::with_chain(3_000)
            .versions(Versions::V1_3)
            .datagram(&policy);
        let mut pair = ends.build().pair(1);
        // Behind the cookie, when the server's flight is what comes next.
        let said_twice = |pair: &Pair| pair.to_server.sent() == 2;
        assert!(pair.run_until(Duration::from_secs(1), said_twice));
        let mut fragment = vec![11, 0, 0x10, 0, 0, seq, 0, 0, 0, 0, 0, 5];
        fragment.extend_from_slice(&[7; 5]);
        let record = crate::common::datagram_harness::record(22, 0xfefd, 0, 1 << 40, &fragment);
        pair.deliver_to_client(&record);
        assert!(
            pair.run_until_connected(Duration::from_secs(20)),
            "{seq}: {:?} {:?}",
            pair.client_events,
            pair.server_events
        );
    }
}

/// W2 (openssl PR#31364): a hundred clients begin in the same millisecond, with cookies, at 20 %
/// loss.
#[test]
fn a_hundred_clients_that_begin_at_once_all_get_through() {
    for versions in VERSIONS {
        let mut slowest = Duration::ZERO;
        for seed in 0..5 {
            slowest = slowest.max(crowd(versions, 100, seed));
        }
        println!("{versions:?}: all complete within {slowest:?}");
        assert!(slowest < Duration::from_secs(300), "{slowest:?}");
    }
}

/// Clients on links of their own that begin at once; when the last of them and of the server's
/// associations was complete.
fn crowd(versions: Versions, count: usize, seed: u64) -> Duration {
    let policy = DatagramPolicy::default().handshake_deadline(None);
    let configs = Ends::with_chain(3_000)
        .versions(versions)
        .datagram(&policy)
        .build();
    let begin = start();
    let mut now = begin;
    let mut server =
        Endpoint::new(now, EndpointPolicy::default(), Some(configs.server.clone())).unwrap();
    let server_address: SocketAddr = ([192, 0, 2, 2], 4433).into();
    let conditions = Conditions {
        loss: 0.2,
        ..Conditions::default()
    };
    let mut clients: Vec<_> = (0..count)
        .map(|number| {
            let mut client = Endpoint::new(now, EndpointPolicy::default(), None).unwrap();
            let path = Path::new(server_address);
            client
                .connect(now, configs.client.clone(), server_name(), path)
                .unwrap();
            let seed = 1000 * seed + 2 * number as u64;
            let link = |seed| Link::new(conditions.clone(), seed);
            let address: SocketAddr = ([10, 0, 0, 1], 10_000 + number as u16).into();
            (client, address, link(seed), link(seed + 1))
        })
        .collect();
    let (mut here, mut there) = (0, 0);
    while here < count || there < count {
        let mut out = Vec::new();
        while let Some(transmit) = server.poll_transmit(now, 1, &mut out) {
            let to = transmit.path.remote();
            if let Some((.., down)) = clients.iter_mut().find(|it| it.1 == to) {
                down.send(now, &out);
            }
            out.clear();
        }
        for (client, address, up, down) in &mut clients {
            while client.poll_transmit(now, 1, &mut out).is_some() {
                up.send(now, &out);
                out.clear();
            }
            while let Some(datagram) = up.receive(now) {
                let path = Path::new(*address);
                server.handle_datagram(now, path, BytesMut::from(&datagram[..]));
            }
            while let Some(datagram) = down.receive(now) {
                let path = Path::new(server_address);
                client.handle_datagram(now, path, BytesMut::from(&datagram[..]));
            }
            client.handle_timeout(now);
            here += completions(client);
        }
        server.handle_timeout(now);
        there += completions(&mut server);
        now += Duration::from_millis(5);
        assert!(now - begin < Duration::from_secs(600), "{here} and {there}");
    }
    now - begin
}

fn completions(endpoint: &mut Endpoint) -> usize {
    let complete = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
    std::iter::from_fn(|| endpoint.poll_event())
        .filter(|(_, event)| complete(event))
        .count()
}
