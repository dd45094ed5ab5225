//! AES-CCM with tags of 16 and of 8 bytes (RFC 6655, RFC 7251, RFC 9147 §4.5.3).

use super::*;
use crate::config::DatagramPolicy;
use crate::connection::{Phase, TlsConnection};
use crate::error::PeerMisbehaved;
use crate::record::Layer as _;

const SUITES: [(Versions, CipherSuite, usize); 4] = [
    (
        Versions::V1_2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
        16,
    ),
    (
        Versions::V1_2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
        8,
    ),
    (Versions::V1_3, CipherSuite::TLS_AES_128_CCM_SHA256, 16),
    (Versions::V1_3, CipherSuite::TLS_AES_128_CCM_8_SHA256, 8),
];

fn only(suite: CipherSuite) -> Algorithms {
    Algorithms::default().cipher_suites(&[suite]).unwrap()
}

/// Two ends of a stream.
fn streams(versions: Versions, suite: CipherSuite) -> (TlsConnection, TlsConnection) {
    let now = test_now();
    let mut server = test_server(versions);
    server.parameters.algorithms = only(suite);
    let client = ClientConfig::dangerous()
        .accept_any_certificate()
        .versions(versions)
        .algorithms(only(suite))
        .build()
        .unwrap();
    let name = "server.test".try_into().unwrap();
    let mut client = TlsConnection::connect(now, Arc::new(client), name).unwrap();
    let mut server = TlsConnection::accept(now, Arc::new(server)).unwrap();
    for _ in 0..4 {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

fn carry(from: &mut TlsConnection, to: &mut TlsConnection) {
    let mut out = Vec::new();
    from.poll_transmit(test_now(), &mut out);
    let input = &mut BytesMut::from(&out[..]);
    to.handle_bytes(test_now(), input).unwrap();
    assert!(input.is_empty());
}

/// How long the header of a datagram record of data is.
fn header_len(versions: Versions) -> usize {
    if versions == Versions::V1_2 { 13 } else { 5 }
}

/// Q5, Q6, RFC 9147 §4.2.3: messages of every short length arrive, nothing and one byte too, and at
/// 1.3 no ciphertext is shorter than the sample that the mask of the number is made from.
#[test]
fn q6_n57_01_n57_03_n57_04_messages_of_every_length_arrive() {
    for (versions, suite, tag_len) in SUITES {
        for id_len in [None, Some(8)] {
            let mut two = with_ids(versions, suite, id_len);
            let id_len = id_len.unwrap_or(0);
            let header_len = header_len(versions) + id_len;
            for length in (0..=64).chain([1_000]) {
                let data: Vec<_> = (0..length).map(|index| index as u8).collect();
                two.server.send(two.now, &data).unwrap();
                let [record] = &sent(&mut two.server, two.now)[..] else {
                    panic!("one record");
                };
                let inner_type = usize::from(versions == Versions::V1_3 || id_len > 0);
                let nonce = if versions == Versions::V1_2 { 8 } else { 0 };
                let contents = nonce + data.len() + inner_type + tag_len;
                let least = if versions == Versions::V1_3 { 16 } else { 0 };
                let expected = header_len + contents.max(least);
                assert_eq!(record.len(), expected, "{suite} {length}");
                if versions == Versions::V1_2 {
                    // RFC 6655 §3, RFC 7925 §4.4: the explicit nonce is epoch and number.
                    assert_eq!(record[header_len..header_len + 8], record[3..11]);
                }
                let record = BytesMut::from(&record[..]);
                two.client.handle_datagram(two.now, PATH, record).unwrap();
                let received = two.client.recv().map(|it| it.data);
                assert_eq!(received.as_deref().unwrap_or_default(), data, "{suite}");
            }
            assert_eq!(
                two.client.stats().discarded(Discard::Unauthenticated),
                0,
                "{suite}"
            );
        }
    }
}

/// Two ends that both receive connection IDs of this length.
fn with_ids(versions: Versions, suite: CipherSuite, id_len: Option<usize>) -> Two {
    let now = test_now();
    let policy = DatagramPolicy::default().connection_ids(id_len).unwrap();
    let mut server = test_server(versions);
    server.parameters.algorithms = only(suite);
    server.parameters.datagram = Arc::new(policy.clone());
    let client = ClientConfig::dangerous()
        .accept_any_certificate()
        .versions(versions)
        .algorithms(only(suite))
        .datagram(policy)
        .build()
        .unwrap();
    let name = "server.test".try_into().unwrap();
    let client = DtlsConnection::connect(now, Arc::new(client), name, PATH).unwrap();
    let server = DtlsConnection::listen(now, Arc::new(server), PATH).unwrap();
    let mut two = Two {
        client,
        server,
        now,
    };
    two.settle();
    assert!(!two.client.is_handshaking() && !two.server.is_handshaking());
    two
}

/// RFC 8446 §5.2: over streams no record needs padding, and data of any length arrives.
#[test]
fn n57_02_n57_04_streams_carry_every_length() {
    for (versions, suite, tag_len) in SUITES {
        let (mut client, mut server) = streams(versions, suite);
        assert_eq!(client.cipher_suite(), Some(suite));
        let longer = if versions == Versions::V1_2 { 8 } else { 1 };
        let pass = |from: &mut TlsConnection, to: &mut TlsConnection, data: &[u8]| {
            assert_eq!(from.send(test_now(), data), Ok(data.len()));
            let mut out = Vec::new();
            from.poll_transmit(test_now(), &mut out);
            assert_eq!(out.len(), 5 + longer + data.len() + tag_len, "{suite}");
            to.handle_bytes(test_now(), &mut BytesMut::from(&out[..]))
                .unwrap();
            assert_eq!(to.recv().unwrap().data, data, "{suite}");
        };
        for length in (1..=64).chain([16_384]) {
            let data: Vec<_> = (0..length).map(|index| index as u8).collect();
            pass(&mut server, &mut client, &data);
            pass(&mut client, &mut server, &data);
        }
    }
}

/// Q2, RFC 9147 §4.5.3, RFC 9325 §4.2: the default allows full tags alone, and an end that names no
/// suite has none in common with one that names those of CCM_8.
#[test]
fn q2_n57_05_n57_06_short_tags_are_for_those_who_name_them() {
    let usual = Algorithms::default().suites;
    for (_, suite, tag_len) in SUITES {
        let offered = usual.iter().any(|it| it.id == suite);
        assert_eq!(offered, tag_len == 16, "{suite}");
    }
    // Last in the order of preference of their version.
    for is_13 in [false, true] {
        let mut of_version = usual.iter().filter(|it| it.is_13() == is_13);
        assert!(
            of_version
                .next_back()
                .unwrap()
                .id
                .to_string()
                .contains("_CCM")
        );
    }
    for versions in [Versions::V1_2, Versions::V1_3] {
        let now = test_now();
        let server = test_server(versions);
        let short = SUITES.iter().filter(|(_, _, tag_len)| *tag_len == 8);
        let short: Vec<_> = short.map(|(_, suite, _)| *suite).collect();
        let client = ClientConfig::dangerous()
            .accept_any_certificate()
            .versions(versions)
            .algorithms(Algorithms::default().cipher_suites(&short).unwrap())
            .build()
            .unwrap();
        let name = "server.test".try_into().unwrap();
        let mut client = DtlsConnection::connect(now, Arc::new(client), name, PATH).unwrap();
        let mut server = DtlsConnection::listen(now, Arc::new(server), PATH).unwrap();
        let mut refused = Ok(());
        for datagram in sent(&mut client, now) {
            let datagram = BytesMut::from(&datagram[..]);
            refused = server.handle_datagram(now, PATH, datagram).map(|_| ());
        }
        let expected = crate::error::PeerIncompatible::NoCommonCipherSuite;
        assert_eq!(refused, Err(Error::PeerIncompatible(expected)));
    }
}

/// Q2: with short tags a key sees 2^7 forgeries and not one more, whatever the peer does; the peer
/// is told once, however many come. At 1.3 each try counts, and after 64 records that did not open
/// every fourth is tried twice, with two numbers: 64, and 52 of which 13 are tried again, make 129.
#[test]
fn q2_n57_05_n57_06_the_129th_forgery_ends_a_key_with_short_tags() {
    for (versions, suite, _) in SUITES.into_iter().filter(|(_, _, tag_len)| *tag_len == 8) {
        for side in [Side::Client, Side::Server] {
            let mut two = Two::with(versions, &only(suite));
            let forged = two.forged(side);
            let now = two.now;
            let end = two.end(side);
            let forge = |end: &mut DtlsConnection| {
                let datagram = BytesMut::from(&forged[..]);
                end.handle_datagram(now, PATH, datagram).map(|_| ())
            };
            let last = if versions == Versions::V1_2 {
                129
            } else {
                64 + 52
            };
            for number in 1..last {
                assert_eq!(forge(end), Ok(()), "{suite} {number}");
            }
            // The wish for new keys, which nobody has answered.
            assert_eq!(sent(end, now).len(), 1, "{suite}");
            assert_eq!(forge(end), Err(Error::TooManyForgeries), "{suite}");
            assert!(end.is_closed());
            assert_eq!(sent(end, now).len(), 1, "{suite}");
            for _ in 0..1000 {
                let _closed = forge(end);
            }
            assert_eq!(sent(end, now).len(), 0, "{suite}");
        }
    }
}

/// Q2: keys that were put away remember what they have seen, however often that happens.
#[test]
fn q2_n57_05_keys_at_rest_count_forgeries_too() {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8;
    for side in [Side::Client, Side::Server] {
        let mut two = Two::with(Versions::V1_2, &only(suite));
        let forged = two.forged(side);
        let now = two.now;
        let end = two.end(side);
        for number in 1..=129 {
            if let Phase::Established { current, .. } = &end.phase {
                let protections = current.protections(end.role.side());
                end.records.put_away(protections);
            }
            let datagram = BytesMut::from(&forged[..]);
            let told = end.handle_datagram(now, PATH, datagram).map(|_| ());
            let expected = if number == 129 {
                Err(Error::TooManyForgeries)
            } else {
                Ok(())
            };
            assert_eq!(told, expected, "{side} {number}");
        }
    }
}

/// Q1, A7: over datagrams a record without room for nonce and tag is counted and nothing else.
/// Where nothing was tried against the key, it is no forgery either: a thousand do not end an
/// association that 129 forgeries would.
#[test]
fn q1_q6_n57_03_short_datagram_records_are_counted() {
    for (versions, suite, tag_len) in SUITES {
        let mut two = Two::with(versions, &only(suite));
        let whole = two.forged(Side::Client);
        let now = two.now;
        let header_len = header_len(versions);
        let feed = |two: &mut Two, length: usize| {
            let mut record = whole[..header_len].to_vec();
            record[header_len - 2..].copy_from_slice(&(length as u16).to_be_bytes());
            record.resize(header_len + length, 7);
            let record = BytesMut::from(&record[..]);
            two.client.handle_datagram(now, PATH, record).unwrap();
            assert!(two.client.recv().is_none());
        };
        for length in 0..=32 {
            feed(&mut two, length);
        }
        let discarded = two.client.stats().discarded(Discard::Unauthenticated);
        assert_eq!(discarded, 33, "{suite}");
        // RFC 9147 §4.2.3: at 1.3 whatever is shorter than the sample, however short the tag is.
        let least = if versions == Versions::V1_2 {
            8 + tag_len
        } else {
            16
        };
        for _ in 0..1000 {
            feed(&mut two, least - 1);
        }
        assert!(!two.client.is_closed());
        two.server.send(now, b"honest").unwrap();
        for datagram in sent(&mut two.server, now) {
            let datagram = BytesMut::from(&datagram[..]);
            two.client.handle_datagram(now, PATH, datagram).unwrap();
        }
        assert_eq!(two.client.recv().unwrap().data[..], *b"honest");
    }
}

/// Q1, RFC 5246 §6.2.3.3, RFC 8446 §5.2: over a stream such a record is a bad_record_mac, and not a
/// fault of this end.
#[test]
fn q1_n57_03_short_stream_records_are_bad_record_mac() {
    for (versions, suite, _) in SUITES {
        for length in 0..=32_u8 {
            let (mut client, _) = streams(versions, suite);
            let mut record = vec![23, 3, 3, 0, length];
            record.resize(5 + usize::from(length), 7);
            let input = &mut BytesMut::from(&record[..]);
            let refused = client.handle_bytes(test_now(), input);
            let expected = Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac);
            assert_eq!(refused, Err(expected), "{suite} {length}");
        }
    }
}
