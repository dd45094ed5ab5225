//! DTLS 1.3 (RFC 9147): handshakes of every kind, tickets, key updates.

use crate::common::configs::{Configs, Ends};
use sealgram::config::{Algorithms, Versions};
use sealgram::record::Discard;
use sealgram::sim::Pair;
use sealgram::{
    DtlsConnection, Error, Event, HandshakeKind, KeyUpdate, NamedGroup, ProtocolVersion, Side,
};
use std::time::Duration;

fn ends() -> Ends {
    Ends::new().versions(Versions::V1_3)
}

fn events(log: &[(sealgram::endpoint::AssociationId, Event)]) -> Vec<Event> {
    log.iter()
        .filter_map(|(_, event)| match event {
            Event::Failed(_) | Event::Closed => None,
            event => Some(event.clone()),
        })
        .collect()
}

fn both(pair: &Pair) -> [&DtlsConnection; 2] {
    [
        pair.client_connection().unwrap(),
        pair.server_connection().unwrap(),
    ]
}

fn kind_of(configs: &Configs) -> HandshakeKind {
    let pair = configs.connected(1);
    let [client, server] = both(&pair).map(|end| end.handshake_kind().unwrap());
    assert_eq!(client, server);
    let mut pair = pair;
    // The tickets arrive and are acknowledged.
    pair.run_for(Duration::from_secs(5));
    client
}

#[test]
fn both_ends_agree_on_everything() {
    let mut ends = ends().mutual();
    ends.client = ends.client.alpn(&[b"b", b"a"]).unwrap();
    ends.server = ends.server.alpn(&[b"a"]).unwrap();
    let mut pair = ends.build().connected(1);
    assert!(pair.exchange(10));
    let [client, server] = both(&pair);
    for end in [client, server] {
        assert_eq!(end.version(), Some(ProtocolVersion::DTLS13));
        assert_eq!(end.alpn(), Some(&b"a"[..]));
        assert_eq!(end.server_name(), Some(crate::common::configs::SERVER));
        assert!(end.peer_identity().is_some());
        assert_eq!(end.epoch().number(), 3);
        assert!(end.extended_master_secret());
    }
    assert_eq!(client.cipher_suite(), server.cipher_suite());
    let mut keys = [[0; 32]; 2];
    for (end, key) in [client, server].into_iter().zip(&mut keys) {
        end.export_keying_material(key, b"EXPORTER-test", Some(b"context"))
            .unwrap();
    }
    assert_eq!(keys[0], keys[1]);
    for end in [client, server] {
        assert_eq!(end.stats().discards().collect::<Vec<_>>(), []);
    }
}

/// RFC 9147 §4.3: records share datagrams, acknowledgements as well. Each way there are no more
/// than the turns that the handshake needs: hello, hello with the cookie, Finished, and the
/// acknowledgement of the tickets; what asks for the cookie, the flight, and last the
/// acknowledgement with both tickets.
#[test]
fn a_handshake_with_two_tickets_takes_seven_datagrams() {
    let mut pair = ends().resuming().build().connected(1);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(
        [&pair.to_server, &pair.to_client].map(|it| it.sent()),
        [4, 3]
    );
    let tickets = |(_, event): &&(_, Event)| *event == Event::TicketReceived;
    assert_eq!(pair.client_events.iter().filter(tickets).count(), 2);
}

#[test]
fn a_share_of_another_group_is_asked_for() {
    let mut ends = ends();
    ends.server = ends.server.algorithms(
        Algorithms::default()
            .groups(&[NamedGroup::SECP384R1])
            .unwrap(),
    );
    let pair = ends.build().connected(1);
    for end in both(&pair) {
        assert_eq!(end.key_exchange_group(), Some(NamedGroup::SECP384R1));
    }
}

#[test]
fn r8446_09_tickets_resume_and_are_used_once() {
    let configs = ends().resuming().build();
    assert_eq!(kind_of(&configs), HandshakeKind::Full);
    assert_eq!(kind_of(&configs), HandshakeKind::Resumed);
    assert_eq!(kind_of(&configs), HandshakeKind::Resumed);
    // Attempts that come to nothing use up what is there: the hellos after that have no ticket any
    // more.
    let hello = |seed| {
        let mut pair = configs.pair(seed);
        pair.record();
        pair.transmit();
        pair.seen
            .unwrap()
            .iter()
            .map(|it| it.datagram.len())
            .sum::<usize>()
    };
    let lengths: Vec<_> = (0..8).map(hello).collect();
    assert!(
        lengths[0] > lengths[7] && lengths[7] == lengths[6],
        "{lengths:?}"
    );
}

#[test]
fn key_updates_change_one_direction_or_both() {
    let mut pair = ends().build().connected(1);
    pair.run_for(Duration::from_secs(1));
    let [client_id, server_id] = [pair.client_id().unwrap(), pair.server_id().unwrap()];
    let told = |log: &[_]| events(log)[1..].to_vec();
    pair.client
        .association(pair.now, client_id)
        .unwrap()
        .key_update(KeyUpdate::NotRequested)
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    let client_updated = Event::KeysUpdated {
        sender: Side::Client,
    };
    let server_updated = Event::KeysUpdated {
        sender: Side::Server,
    };
    assert_eq!(
        told(&pair.client_events),
        std::slice::from_ref(&client_updated)
    );
    assert_eq!(
        told(&pair.server_events),
        std::slice::from_ref(&client_updated)
    );
    pair.server
        .association(pair.now, server_id)
        .unwrap()
        .key_update(KeyUpdate::Requested)
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    let [client, server] = both(&pair);
    assert_eq!(client.epoch().number(), 5);
    assert_eq!(server.epoch().number(), 4);
    assert_eq!(client.key_update_type(), None);
    assert_eq!(told(&pair.client_events).len(), 3);
    assert!(told(&pair.client_events).contains(&server_updated));
    assert!(pair.exchange(10));
    for end in both(&pair) {
        assert_eq!(end.stats().discards().collect::<Vec<_>>(), []);
    }
}

#[test]
fn versions_are_negotiated_in_one_hello() {
    for (client, server, expected) in [
        (Versions::ALL, Versions::ALL, ProtocolVersion::DTLS13),
        (Versions::ALL, Versions::V1_2, ProtocolVersion::DTLS12),
        (Versions::V1_2, Versions::ALL, ProtocolVersion::DTLS12),
        (Versions::V1_3, Versions::ALL, ProtocolVersion::DTLS13),
        (Versions::ALL, Versions::V1_3, ProtocolVersion::DTLS13),
    ] {
        let mut ends = Ends::new();
        ends.client = ends.client.versions(client);
        ends.server = ends.server.versions(server);
        let mut pair = ends.build().connected(1);
        for end in both(&pair) {
            assert_eq!(end.version(), Some(expected));
        }
        assert!(pair.exchange(5));
    }
}

/// RFC 9147 §5.3: what the fields of older versions hold, in both hellos; and what a server makes
/// of a cookie there.
#[test]
fn r9147_24_the_old_fields_of_a_hello_are_those_of_1_2_and_empty() {
    let mut pair = ends().build().pair(1);
    pair.record();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    let seen = pair.seen.take().unwrap();
    let hellos: Vec<_> = seen
        .iter()
        .filter(|it| it.datagram[0] == 22 && it.datagram[13] == 1)
        .collect();
    assert_eq!(hellos.len(), 2, "with and without the cookie");
    for hello in hellos {
        let body = &hello.datagram[25..];
        assert_eq!(body[..2], [0xfe, 0xfd], "legacy_version");
        assert_eq!(body[34..36], [0, 0], "legacy_session_id, legacy_cookie");
    }
    // The same hello with a byte in the old cookie field is a fault of the client.
    let first = &seen[0].datagram;
    let mut altered = first.clone();
    altered.splice(25 + 35..25 + 36, [1, 7]);
    for place in [12, 16, 24] {
        altered[place] += 1;
    }
    let mut pair = ends().build().pair(2);
    pair.deliver_to_server(&altered);
    assert!(pair.server.is_empty());
}

/// RFC 9147 §5: no ChangeCipherSpec is sent, and none of a server's messages is in the clear behind
/// its hello.
#[test]
fn r9147_18_no_change_cipher_spec_is_sent() {
    let mut pair = ends().mutual().build().pair(1);
    pair.record();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    pair.run_for(Duration::from_secs(5));
    for seen in pair.seen.take().unwrap() {
        let mut rest = &seen.datagram[..];
        while let Some(first) = rest.first() {
            let plain = *first == 22;
            assert!(plain || first & 0b1110_0000 == 0b0010_0000, "{first}");
            let length = |at: usize| usize::from(rest[at]) * 256 + usize::from(rest[at + 1]);
            rest = if plain {
                &rest[13 + length(11)..]
            } else {
                &rest[5 + length(3)..]
            };
        }
    }
}

/// RFC 9147 §5.10: what was sent before a close_notify is taken, however late it comes.
#[test]
fn r9147_34_data_counts_by_its_number_beside_a_goodbye() {
    let mut pair = ends().build().connected(1);
    pair.run_for(Duration::from_secs(1));
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let sealed = |pair: &mut Pair, data: &[u8]| {
        pair.client
            .association(pair.now, client)
            .unwrap()
            .send(data)
            .unwrap();
        let mut out = Vec::new();
        pair.client.poll_transmit(pair.now, 1, &mut out).unwrap();
        out
    };
    let before = sealed(&mut pair, b"before");
    pair.client.association(pair.now, client).unwrap().close();
    let mut goodbye = Vec::new();
    pair.client
        .poll_transmit(pair.now, 1, &mut goodbye)
        .unwrap();
    pair.deliver_to_server(&goodbye);
    pair.deliver_to_server(&before);
    let received = pair
        .server
        .association(pair.now, server)
        .unwrap()
        .recv()
        .expect("it was sent before");
    assert_eq!(received.data, "before");
}

/// RFC 9147 §7: a client's last flight must be acknowledged; a server that has gone by then is
/// noticed as long behind the completion as a handshake may take.
#[test]
fn a_last_flight_that_nobody_acknowledges_fails_at_the_deadline() {
    let mut pair = ends().build().pair(1);
    let start = pair.now;
    assert!(pair.run_until(Duration::from_secs(5), |pair| pair.client_id().is_some()));
    pair.to_server.hold(true);
    pair.to_client.hold(true);
    pair.run_for(Duration::from_secs(110));
    assert!(pair.client_connection().is_some());
    pair.run_for(Duration::from_secs(20));
    // The goodbye has left, and with it the last event.
    let told = std::iter::from_fn(|| pair.client.poll_event());
    pair.client_events.extend(told);
    let failed = pair
        .client_events
        .iter()
        .find_map(|(_, event)| match event {
            Event::Failed(failure) => Some(failure.error.clone()),
            _ => None,
        });
    let Some(Error::Unacknowledged { after, .. }) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(after, Duration::from_secs(120));
    assert!(pair.now - start < Duration::from_secs(140));
    assert!(pair.client.is_empty());
}

/// RFC 9147 §4.2.2: epoch 6 ends in the same bits as epoch 2, whose keys are kept for a repeated
/// Finished. What was read under the newer one is a replay when it comes again, and no forgery.
#[test]
fn a_replay_counts_as_one_where_two_epochs_end_alike() {
    let mut pair = ends().build().connected(1);
    pair.run_for(Duration::from_secs(1));
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    for _ in 0..3 {
        let update = KeyUpdate::NotRequested;
        pair.server
            .association(pair.now, server)
            .unwrap()
            .key_update(update)
            .unwrap();
        pair.run_for(Duration::from_secs(1));
    }
    assert_eq!(both(&pair)[1].epoch().number(), 6);
    pair.record();
    pair.server
        .association(pair.now, server)
        .unwrap()
        .send(b"data")
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(
        pair.client
            .association(pair.now, client)
            .unwrap()
            .recv()
            .unwrap()
            .data,
        "data"
    );
    let datagram = pair.seen.take().unwrap().pop().unwrap().datagram;
    pair.deliver_to_client(&datagram);
    let discards: Vec<_> = both(&pair)[0].stats().discards().collect();
    assert_eq!(discards, [(Discard::Replay, 1)]);
}
