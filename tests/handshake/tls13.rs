//! TLS 1.3 over a stream (RFC 8446): handshakes of every kind, and what the record layer does
//! differently.

use crate::common::configs::{Configs, Ends, server_name, start};
use sealgram::config::Versions;
use sealgram::sim::StreamPair;
use sealgram::{Event, HandshakeKind, KeyUpdate, ProtocolVersion, Side};

fn pair(configs: &Configs) -> StreamPair {
    StreamPair::new(
        start(),
        configs.client.clone(),
        configs.server.clone(),
        server_name(),
    )
    .unwrap()
}

fn ends() -> Ends {
    Ends::new().versions(Versions::V1_3)
}

fn connected(configs: &Configs, kind: HandshakeKind) -> StreamPair {
    let mut pair = pair(configs);
    pair.run();
    let complete = Event::HandshakeComplete {
        kind,
        renegotiation: false,
    };
    assert!(pair.client.events.contains(&complete), "{:?}", pair.client);
    assert!(pair.server.events.contains(&complete), "{:?}", pair.server);
    pair
}

#[test]
fn both_ends_agree_on_everything() {
    let mut ends = ends().mutual();
    ends.client = ends.client.alpn(&[b"b", b"a"]).unwrap();
    ends.server = ends.server.alpn(&[b"a"]).unwrap();
    let pair = connected(&ends.build(), HandshakeKind::Full);
    let (client, server) = (&pair.client.connection, &pair.server.connection);
    for end in [client, server] {
        assert_eq!(end.version(), Some(ProtocolVersion::TLS13));
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
}

/// A transport cuts as it likes.
#[test]
fn a_handshake_and_data_survive_any_cut_of_the_stream() {
    let configs = ends().mutual().build();
    for piece in [1, 2, 5, 6, 100, 1000] {
        let mut pair = pair(&configs);
        pair.piece = piece;
        pair.run();
        let data: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
        let now = pair.now;
        assert_eq!(pair.client.connection.send(now, &data), Ok(data.len()));
        assert_eq!(pair.server.connection.send(now, &data[..77]), Ok(77));
        pair.run();
        assert_eq!(pair.server.received, data, "pieces of {piece}");
        assert_eq!(pair.client.received, data[..77], "pieces of {piece}");
    }
}

#[test]
fn tickets_resume_and_are_used_once() {
    let configs = ends().resuming().build();
    connected(&configs, HandshakeKind::Full);
    // Two tickets came.
    connected(&configs, HandshakeKind::Resumed);
    connected(&configs, HandshakeKind::Resumed);
}

#[test]
fn key_updates_change_one_direction_or_both() {
    let configs = ends().build();
    let mut pair = connected(&configs, HandshakeKind::Full);
    pair.client.events.clear();
    pair.server.events.clear();
    let now = pair.now;
    pair.client
        .connection
        .key_update(KeyUpdate::NotRequested)
        .unwrap();
    pair.run();
    let client_updated = Event::KeysUpdated {
        sender: Side::Client,
    };
    let server_updated = Event::KeysUpdated {
        sender: Side::Server,
    };
    assert_eq!(pair.client.events, std::slice::from_ref(&client_updated));
    assert_eq!(pair.server.events, std::slice::from_ref(&client_updated));
    pair.server
        .connection
        .key_update(KeyUpdate::Requested)
        .unwrap();
    pair.run();
    assert_eq!(
        pair.client.events,
        [client_updated.clone(), server_updated, client_updated]
    );
    assert_eq!(pair.client.connection.epoch().number(), 5);
    assert_eq!(pair.server.connection.epoch().number(), 4);
    pair.client.connection.send(now, b"up").unwrap();
    pair.server.connection.send(now, b"down").unwrap();
    pair.run();
    assert_eq!(pair.server.received, b"up");
    assert_eq!(pair.client.received, b"down");
}

/// RFC 8446 §6.1: close_notify ends one direction.
#[test]
fn r8446_12_one_direction_goes_on_when_the_other_has_ended() {
    let mut pair = connected(&ends().build(), HandshakeKind::Full);
    let now = pair.now;
    pair.client.connection.send(now, b"all I have").unwrap();
    pair.client.connection.close(now);
    pair.run();
    assert!(pair.server.events.contains(&Event::PeerClosed));
    assert_eq!(pair.server.received, b"all I have");
    assert!(!pair.server.connection.is_closed() && !pair.client.connection.is_closed());
    pair.server.connection.send(now, b"and the answer").unwrap();
    pair.run();
    assert_eq!(pair.client.received, b"and the answer");
    assert!(pair.client.connection.send(now, b"more").is_err());
    pair.server.connection.close(now);
    pair.run();
    assert!(pair.server.connection.is_closed() && pair.client.connection.is_closed());
}
