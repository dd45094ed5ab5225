//! TLS 1.2 over a stream: what the second record layer adds, and what is fatal there
//! (RFC 5246 §6.2, §7.1, §7.2).

use crate::common::configs::{Configs, Ends, server_name, start};
use sealgram::config::StreamPolicy;
use sealgram::error::PeerMisbehaved;
use sealgram::sim::StreamPair;
use sealgram::{AlertDescription, Error, Event, HandshakeKind, ProtocolVersion};

const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER_SPEC: u8 = 20;
const APPLICATION_DATA: u8 = 23;

fn pair(configs: &Configs) -> StreamPair {
    StreamPair::new(
        start(),
        configs.client.clone(),
        configs.server.clone(),
        server_name(),
    )
    .unwrap()
}

fn connected(configs: &Configs) -> StreamPair {
    let mut pair = pair(configs);
    pair.run();
    let complete = Event::HandshakeComplete {
        kind: HandshakeKind::Full,
        renegotiation: false,
    };
    assert!(pair.client.events.contains(&complete), "{:?}", pair.client);
    assert!(pair.server.events.contains(&complete), "{:?}", pair.server);
    pair
}

fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 3][..], &length, payload].concat()
}

#[test]
fn both_ends_agree_on_everything() {
    let mut ends = Ends::new().mutual();
    ends.client = ends.client.alpn(&[b"b", b"a"]).unwrap();
    ends.server = ends.server.alpn(&[b"a"]).unwrap();
    let pair = connected(&ends.build());
    let (client, server) = (&pair.client.connection, &pair.server.connection);
    for end in [client, server] {
        assert_eq!(end.version(), Some(ProtocolVersion::TLS12));
        assert_eq!(end.alpn(), Some(&b"a"[..]));
        assert_eq!(end.server_name(), Some(crate::common::configs::SERVER));
        assert!(end.peer_identity().is_some());
        assert_eq!(end.epoch().number(), 1);
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
    let configs = Ends::new().mutual().build();
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

/// RFC 5246 §E.1: the first ClientHello is in a record of version 1.0, everything behind it in one
/// of version 1.2.
#[test]
fn only_the_first_hello_claims_version_one() {
    let configs = Ends::new().build();
    let mut pair = pair(&configs);
    let hello = pair.client.transmit(pair.now);
    assert_eq!(hello[..3], [HANDSHAKE, 3, 1]);
    pair.server.deliver(pair.now, &hello);
    let answer = pair.server.transmit(pair.now);
    assert_eq!(answer[..3], [HANDSHAKE, 3, 3]);
    pair.client.deliver(pair.now, &answer);
    assert_eq!(pair.client.transmit(pair.now)[..3], [HANDSHAKE, 3, 3]);
}

/// The last byte of a record, and a record that was left out or repeated: RFC 5246 §6.2.3.3.
#[test]
fn an_altered_stream_ends_with_bad_record_mac() {
    let configs = Ends::new().build();
    for alteration in 0..3 {
        let mut pair = connected(&configs);
        let now = pair.now;
        let sent: Vec<Vec<u8>> = [b"one", b"two"]
            .map(|data| {
                pair.client.connection.send(now, data).unwrap();
                pair.client.transmit(now)
            })
            .into();
        match alteration {
            0 => {
                let mut altered = sent[0].clone();
                *altered.last_mut().unwrap() ^= 1;
                pair.server.deliver(now, &altered);
            }
            1 => pair.server.deliver(now, &sent[1]),
            _ => {
                pair.server.deliver(now, &sent[0]);
                pair.server.deliver(now, &sent[0]);
            }
        }
        let expected = Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac);
        assert_eq!(pair.server.error, Some(expected));
        pair.run();
        let told = pair.client.error.unwrap();
        assert!(
            matches!(told, Error::AlertReceived { alert, authenticated: true } if alert.description == AlertDescription::BAD_RECORD_MAC),
            "{told:?}"
        );
    }
}

/// D1 (OpenSSL CVE-2014-0224): ChangeCipherSpec counts only where new keys are armed.
#[test]
fn change_cipher_spec_out_of_place_is_fatal() {
    let configs = Ends::new().build();
    let ccs = record(CHANGE_CIPHER_SPEC, &[1]);
    let unexpected = Some(Error::PeerMisbehaved(
        PeerMisbehaved::UnexpectedChangeCipherSpec,
    ));
    // At a server before and behind the ClientHello, at a client behind the ServerHello flight's
    // beginning.
    let mut first = pair(&configs);
    first.server.deliver(first.now, &ccs);
    assert_eq!(first.server.error, unexpected);

    let mut second = pair(&configs);
    let hello = second.client.transmit(second.now);
    second.server.deliver(second.now, &hello);
    second.server.deliver(second.now, &ccs);
    assert_eq!(second.server.error, unexpected);

    let mut third = pair(&configs);
    third.client.transmit(third.now);
    third.client.deliver(third.now, &ccs);
    assert_eq!(third.client.error, unexpected);
    // RFC 5246 §7.1: a single byte, 1.
    let mut fourth = pair(&configs);
    fourth
        .server
        .deliver(fourth.now, &record(CHANGE_CIPHER_SPEC, &[2]));
    assert_eq!(fourth.server.error, unexpected);
}

#[test]
fn what_is_no_record_of_tls_is_refused_by_its_header() {
    let configs = Ends::new().build();
    let cases: &[(&[u8], PeerMisbehaved)] = &[
        (b"GET / HTTP/1.1\r\n", PeerMisbehaved::UnknownContentType),
        (&[22, 2, 0, 0, 5], PeerMisbehaved::WrongRecordVersion),
        (&[22, 3, 3, 0x40, 1], PeerMisbehaved::RecordOverflow),
        (&[22, 3, 3, 0, 0], PeerMisbehaved::EmptyRecord),
        (&[23, 3, 3, 0, 1, 0], PeerMisbehaved::UnexpectedData),
        (
            &[22, 3, 3, 0, 4, 1, 0xff, 0xff, 0xff],
            PeerMisbehaved::MessageTooLong,
        ),
    ];
    for &(bytes, expected) in cases {
        let mut pair = pair(&configs);
        pair.server.deliver(pair.now, bytes);
        assert_eq!(
            pair.server.error,
            Some(Error::PeerMisbehaved(expected)),
            "{bytes:?}"
        );
    }
}

/// Behind the ServerHello the version is fixed.
#[test]
fn a_record_of_another_minor_version_is_refused_once_the_version_is_decided() {
    let configs = Ends::new().build();
    let mut pair = connected(&configs);
    pair.server
        .deliver(pair.now, &[APPLICATION_DATA, 3, 1, 0, 30]);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::WrongRecordVersion);
    assert_eq!(pair.server.error, Some(expected));
}

/// RFC 5246 §7.2.1: an end without close_notify is no end of data.
#[test]
fn a_stream_that_is_cut_off_is_told_from_one_that_is_closed() {
    let configs = Ends::new().build();
    let mut cut = connected(&configs);
    cut.client.connection.handle_eof().unwrap();
    assert_eq!(cut.client.connection.poll_event(), Some(Event::Truncated));

    let mut closed = connected(&configs);
    closed.server.connection.close(closed.now);
    closed.run();
    assert!(closed.client.events.contains(&Event::PeerClosed));
    closed.client.connection.handle_eof().unwrap();
    assert_eq!(closed.client.connection.poll_event(), None);

    let mut early = pair(&configs);
    let error = early.client.connection.handle_eof().unwrap_err();
    assert_eq!(error, Error::StreamEnded);
}

/// RFC 5246 §7.2.1: nothing follows the peer's last word; what does all the same is dropped unseen.
#[test]
fn what_follows_the_end_in_the_same_bytes_is_not_looked_at() {
    let mut pair = connected(&Ends::new().build());
    pair.client.connection.close(pair.now);
    let goodbye = pair.client.transmit(pair.now);
    pair.server.deliver(pair.now, &goodbye);
    let answer = pair.server.transmit(pair.now);
    let mut bytes = bytes::BytesMut::from(&[&answer[..], &[0xff; 20]].concat()[..]);
    let client = &mut pair.client.connection;
    client.handle_bytes(pair.now, &mut bytes).unwrap();
    assert!(client.is_closed() && client.failure().is_none());
    assert!(bytes.is_empty());
}

/// A peer that closes in the middle of the first handshake ends it at once, whatever the stream
/// does.
#[test]
fn a_close_in_the_first_handshake_ends_it() {
    let configs = Ends::new().build();
    let mut pair = pair(&configs);
    pair.client.transmit(pair.now);
    pair.client.deliver(pair.now, &record(21, &[1, 0]));
    assert_eq!(pair.client.error, Some(Error::StreamEnded));
}

/// A full receive queue stops the intake; nothing is lost.
#[test]
fn a_slow_reader_slows_the_stream_and_loses_nothing() {
    let mut ends = Ends::new();
    let policy = StreamPolicy::default().receive_queue(1 << 15).unwrap();
    ends.server = ends.server.stream(policy);
    let mut pair = connected(&ends.build());
    let data: Vec<u8> = (0..200_000_u32).map(|i| (i / 7) as u8).collect();
    assert_eq!(pair.client.connection.send(pair.now, &data), Ok(data.len()));
    let mut bytes = bytes::BytesMut::from(&pair.client.transmit(pair.now)[..]);
    let mut received = Vec::new();
    let mut rounds = 0;
    while received.len() < data.len() {
        let server = &mut pair.server.connection;
        server.handle_bytes(pair.now, &mut bytes).unwrap();
        assert!(server.buffered() <= 1 << 15);
        while let Some(piece) = server.recv() {
            received.extend_from_slice(&piece.data);
        }
        rounds += 1;
        assert!(rounds < 100);
    }
    assert!(rounds > 5);
    assert_eq!(received, data);
}

/// Whoever holds many streams tells them apart by where their peers are.
#[test]
fn a_failure_tells_where_the_peer_is_if_that_was_said() {
    let configs = Ends::new().build();
    let remote = ([192, 0, 2, 7], 4433).into();
    for said in [None, Some(remote)] {
        let mut pair = pair(&configs);
        if let Some(remote) = said {
            pair.client.connection.set_peer(remote);
        }
        pair.client.connection.handle_eof().unwrap_err();
        let failure = pair.client.connection.failure().unwrap();
        assert_eq!(failure.peer, said);
    }
}

/// A full send queue takes less, and says so.
#[test]
fn a_full_send_queue_takes_a_part_and_then_none() {
    let mut ends = Ends::new();
    let policy = StreamPolicy::default().send_queue(1 << 15).unwrap();
    ends.client = ends.client.stream(policy);
    let mut pair = connected(&ends.build());
    let data = vec![7; 100_000];
    let taken = pair.client.connection.send(pair.now, &data).unwrap();
    assert!((30_000..1 << 15).contains(&taken), "{taken}");
    let refused = pair.client.connection.send(pair.now, &data);
    assert_eq!(refused, Err(sealgram::error::SendError::Backlog));
    pair.run();
    assert_eq!(pair.server.received, data[..taken]);
}

/// RFC 5246 §7.4.1.1: a HelloRequest during the handshake is ignored, wherever it comes.
#[test]
fn hello_requests_during_the_handshake_are_ignored() {
    let configs = Ends::new().build();
    let mut pair = pair(&configs);
    let hello = pair.client.transmit(pair.now);
    pair.client.deliver(pair.now, &record(HANDSHAKE, &[0; 4]));
    pair.server.deliver(pair.now, &hello);
    pair.run();
    assert_eq!(pair.client.error, None);
    assert!(!pair.client.connection.is_handshaking());
}
