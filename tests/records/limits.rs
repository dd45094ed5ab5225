//! How long records are where that was agreed on (RFC 8449, RFC 6066 §4): everything that both ends
//! put on the wire, and what they do with records that are too long.

use crate::common::configs::{Configs, Ends, SERVER, server_name, start};
use crate::common::datagram_harness::{CLIENT_FLIGHT, FINALE, scripted_client, scripted_server};
use crate::common::harness::{CERTIFICATE, FINISHED, Harness, SESSION_TICKET};
use crate::common::renegotiating::allowing;
use crate::common::transport::{BOTH, Duo, SIDES, Transport};
use sealgram::config::{Algorithms, DatagramPolicy, RekeyPolicy, Versions};
use sealgram::error::{PeerMisbehaved, SendError};
use sealgram::record::Discard;
use sealgram::sim::scripted::{Heard, Line, ScriptedPeer};
use sealgram::sim::{Conditions, Direction, Pair, StreamEnd, scripted13};
use sealgram::{
    AlertDescription, CipherSuite, ClientConfig, Error, KeyUpdate, MaxFragmentLength, Side,
    TlsConnection,
};
use std::sync::Arc;
use std::time::Duration;

const MAX_FRAGMENT_LENGTH: u16 = 1;
const EXTENDED_MASTER_SECRET: u16 = 23;
const RENEGOTIATION_INFO: u16 = 0xff01;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

/// The length of a connection ID of these tests, where they have some.
const ID_LEN: usize = 8;

/// How long a hello of these ends is at most, in bytes.
const HELLO: usize = 250;

/// What a record is seen to be on the wire.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Whether it is protected.
    protected: bool,
    /// How many bytes it protects, type and padding included, or just holds.
    length: usize,
}

/// What AES-128-GCM adds: an explicit nonce at 1.2, and a tag.
fn added(versions: Versions) -> usize {
    if versions == Versions::V1_2 { 24 } else { 16 }
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

/// The records of a stream.
fn stream_records(mut rest: &[u8], versions: Versions) -> Vec<Seen> {
    let mut found = Vec::new();
    let mut keyed = false;
    while !rest.is_empty() {
        let (typ, length) = (rest[0], number(&rest[3..5]));
        let protected = if versions == Versions::V1_2 {
            keyed
        } else {
            typ == 23
        };
        let added = if protected { added(versions) } else { 0 };
        let length_inside = length - added;
        found.push(Seen {
            protected,
            length: length_inside,
        });
        keyed |= typ == 20;
        rest = &rest[5 + length..];
    }
    found
}

/// The records of a datagram.
fn datagram_records(mut rest: &[u8], versions: Versions) -> Vec<Seen> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let first = rest[0];
        let (protected, length_at) = match first {
            // A unified header, with two bytes of number.
            0x20..=0x3f => (true, 3 + usize::from(first & 0x10 != 0) * ID_LEN),
            25 => (true, 11 + ID_LEN),
            _ => (rest[3..5] != [0, 0], 11),
        };
        let length = number(&rest[length_at..length_at + 2]);
        let added = if protected { added(versions) } else { 0 };
        found.push(Seen {
            protected,
            length: length - added,
        });
        rest = &rest[length_at + 2 + length..];
    }
    found
}

/// Two ends of which everything is recorded that they send.
fn watched(transport: Transport, configs: &Configs) -> Duo {
    let mut duo = Duo::connecting(transport, configs);
    match &mut duo {
        Duo::Dtls(pair) => pair.record(),
        Duo::Tls(pair) => pair.seen = Some(Default::default()),
    }
    duo
}

/// The records that one side has sent.
fn sent(duo: &Duo, side: Side, versions: Versions) -> Vec<Seen> {
    match duo {
        Duo::Dtls(pair) => {
            let way = match side {
                Side::Client => Direction::ToServer,
                Side::Server => Direction::ToClient,
            };
            let seen = pair.seen.iter().flatten().filter(|it| it.direction == way);
            seen.flat_map(|it| datagram_records(&it.datagram, versions))
                .collect()
        }
        Duo::Tls(pair) => {
            let [client, server] = pair.seen.as_ref().unwrap();
            let bytes = match side {
                Side::Client => client,
                Side::Server => server,
            };
            stream_records(bytes, versions)
        }
    }
}

/// The longest record of a side that is protected, or is not.
fn longest(duo: &Duo, side: Side, versions: Versions, protected: bool) -> usize {
    let sent = sent(duo, side, versions);
    let lengths = sent.iter().filter(|it| it.protected == protected);
    lengths.map(|it| it.length).max().unwrap_or_default()
}

fn gcm() -> Algorithms {
    let suites = [
        CipherSuite::TLS_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    Algorithms::default().cipher_suites(&suites).unwrap()
}

/// Ends with certificate chains of more than 4 kB, whose server lets clients renegotiate.
fn talkative(versions: Versions, client: usize, server: usize) -> Ends {
    let mut ends = Ends::with_chain(4096)
        .mutual_with_chain(4096)
        .versions(versions)
        .resuming();
    ends.client = ends
        .client
        .algorithms(gcm())
        .record_size_limit(client)
        .unwrap();
    ends.server = ends
        .server
        .algorithms(gcm())
        .record_size_limit(server)
        .unwrap()
        .rekey(allowing(RekeyPolicy::default()));
    ends
}

/// Sends as much as goes into one record, on both sides, and sees that it arrives.
fn talk(duo: &mut Duo, most: [usize; 2]) {
    for (side, most) in SIDES.into_iter().zip(most) {
        let data = vec![7; most];
        duo.send(side, &data).unwrap();
        duo.settle();
        assert_eq!(duo.receive(side.peer()).len(), most);
    }
}

/// RFC 8449 §4: every protected record obeys: certificates of 1.3, Finished, tickets, KeyUpdate and
/// the handshakes of a renegotiation, in each direction by its receiver's limit. What is not
/// protected need not, and does so over datagrams alone.
#[test]
fn n59_03_n59_04_s1_every_protected_record_obeys() {
    for transport in BOTH {
        for versions in VERSIONS {
            for (client, server) in [(64, 64), (512, 600), (600, 512), (64, 1000)] {
                let name = format!("{transport:?} {versions:?} {client} {server}");
                let type_len = usize::from(versions == Versions::V1_3);
                let configs = talkative(versions, client, server).build();
                let mut duo = watched(transport, &configs);
                duo.run_for(Duration::from_secs(20));
                talk(&mut duo, [server, client]);
                if versions == Versions::V1_3 {
                    let update = KeyUpdate::Requested;
                    duo.key_update(Side::Client, update).unwrap();
                    duo.settle();
                } else {
                    duo.renegotiate(Side::Client, false).unwrap();
                    duo.run_for(Duration::from_secs(20));
                    assert_eq!(duo.epoch(Side::Client), 2, "{name}");
                }
                talk(&mut duo, [server, client]);
                for (side, limit) in [(Side::Client, server), (Side::Server, client)] {
                    let most = longest(&duo, side, versions, true);
                    assert_eq!(most, limit + type_len, "{name} {side}");
                    if versions == Versions::V1_2 {
                        let plain = longest(&duo, side, versions, false);
                        match transport {
                            Transport::Tls => assert!(plain > 1000, "{name} {plain}"),
                            // All but the hello, for the sake of GnuTLS 3.7.
                            Transport::Dtls => assert!(plain <= limit.max(HELLO), "{name} {plain}"),
                        }
                    }
                }
                assert!(SIDES.iter().all(|&side| duo.is_alive(side)), "{name}");
            }
        }
    }
}

/// The same where a session is resumed, and from another configuration: RFC 8449 §4 agrees anew.
#[test]
fn n59_05_a_resumption_agrees_anew() {
    for transport in BOTH {
        for versions in VERSIONS {
            let type_len = usize::from(versions == Versions::V1_3);
            let mut ends = Ends::new().versions(versions).resuming();
            ends.client = ends.client.record_size_limit(200).unwrap();
            let first = ends.build();
            let mut duo = Duo::connected(transport, &first);
            let session = duo.session(Side::Client).unwrap();
            duo.close(Side::Client);
            let second = Configs {
                client: Arc::new(
                    ClientConfig::dangerous()
                        .accept_any_certificate()
                        .versions(versions)
                        .algorithms(gcm())
                        .record_size_limit(100)
                        .unwrap()
                        .build()
                        .unwrap(),
                ),
                server: first.server.clone(),
            };
            let name = server_name();
            second.client.import_session(&name, session).unwrap();
            let mut duo = watched(transport, &second);
            duo.run_for(Duration::from_secs(5));
            let kind = duo.handshakes(Side::Client);
            assert!(
                format!("{kind:?}").contains("Resumed"),
                "{transport:?} {versions:?} {:?} {kind:?}",
                SIDES.map(|side| duo.error(side)),
            );
            talk(&mut duo, [1000, 100]);
            let most = longest(&duo, Side::Server, versions, true);
            assert_eq!(most, 100 + type_len, "{transport:?} {versions:?}");
        }
    }
}

/// RFC 8449 §4, RFC 9146 §4: what fits exactly passes, with and without connection IDs, whose
/// records have the type inside at 1.2 as well; one byte more is refused, and the error says how
/// much fits, and that it is the peer's limit.
#[test]
fn n59_02_n59_10_s2_what_fits_exactly_passes_and_no_more() {
    for versions in VERSIONS {
        for identified in [false, true] {
            let inside = versions == Versions::V1_2 && identified;
            for limit in [64, 512, 1000] {
                let length = identified.then_some(ID_LEN);
                let policy = DatagramPolicy::default().connection_ids(length).unwrap();
                let mut ends = Ends::new().versions(versions).datagram(&policy);
                ends.client = ends.client.algorithms(gcm());
                ends.server = ends.server.record_size_limit(limit).unwrap();
                let mut duo = watched(Transport::Dtls, &ends.build());
                duo.settle();
                let max = limit - usize::from(inside);
                assert_eq!(duo.max_payload(Side::Client), max);
                let longer = duo.send(Side::Client, &vec![7; max + 1]);
                assert_eq!(longer, Err(SendError::BeyondPeerLimit { max }));
                duo.send(Side::Client, &vec![7; max]).unwrap();
                duo.settle();
                assert_eq!(duo.receive(Side::Server), vec![7; max]);
                let most = limit + usize::from(versions == Versions::V1_3);
                assert_eq!(longest(&duo, Side::Client, versions, true), most);
            }
        }
    }
    let error = SendError::BeyondPeerLimit { max: 64 };
    assert!(error.to_string().contains("64") && error.to_string().contains("peer"));
}

/// RFC 8449 §4: the path limits datagrams, the peer limits records; what an application is told is
/// the smaller one, and short records share a datagram.
#[test]
fn n59_08_the_smaller_of_both_limits_counts() {
    for versions in VERSIONS {
        for (mtu, limit) in [(300, 1000), (1000, 300)] {
            let policy = DatagramPolicy::default().mtu(mtu).unwrap();
            let mut ends = talkative(versions, limit, limit).datagram(&policy);
            ends.server = ends.server.tickets_per_handshake(2).unwrap();
            let mut duo = watched(Transport::Dtls, &ends.build());
            duo.run_for(Duration::from_secs(10));
            let max = duo.max_payload(Side::Client);
            let refused = duo.send(Side::Client, &vec![7; max + 1]);
            if mtu < limit {
                assert!(max < mtu);
                assert_eq!(refused, Err(SendError::TooLarge { max }));
            } else {
                assert_eq!(max, limit);
                assert_eq!(refused, Err(SendError::BeyondPeerLimit { max }));
                let Duo::Dtls(pair) = &duo else {
                    unreachable!()
                };
                let seen = pair.seen.iter().flatten();
                let shared = seen
                    .map(|it| datagram_records(&it.datagram, versions))
                    .filter(|them| them.iter().filter(|it| it.length > limit / 2).count() > 2);
                let several = shared.count();
                assert!(several > 0, "{versions:?}");
            }
        }
    }
}

/// RFC 8449 §4, RFC 6066 §4: who takes no longer records may have no room for longer datagrams
/// either, so that a flight comes in datagrams of one full record, in either direction.
#[test]
fn a_datagram_of_a_flight_is_no_longer_than_the_longest_record() {
    for versions in VERSIONS {
        for limit in [512, 700, 1000] {
            let ends = talkative(versions, limit, limit);
            let mut duo = watched(Transport::Dtls, &ends.build());
            duo.run_for(Duration::from_secs(10));
            assert!(duo.exchange());
            let Duo::Dtls(pair) = &duo else {
                unreachable!()
            };
            // Hellos of clients are from before the limit.
            let is_hello = |it: &[u8]| it[0] == 22 && it[13] == 1;
            let seen = pair.seen.iter().flatten();
            let seen = seen.filter(|it| !is_hello(&it.datagram));
            let longest = seen.map(|it| it.datagram.len()).max().unwrap();
            let overhead = if versions == Versions::V1_2 {
                13 + 24
            } else {
                5 + 17
            };
            assert!(
                longest <= limit + overhead && longest > limit,
                "{versions:?}, {limit}: {longest}"
            );
        }
    }
}

/// S4: it is records that are limited, not handshake messages, also where datagrams are lost.
#[test]
fn s4_records_are_limited_and_not_messages() {
    for versions in VERSIONS {
        for seed in 0..8 {
            let configs = talkative(versions, 64, 64).build();
            let mut pair = Pair::new(configs.server, start(), seed).unwrap();
            pair.record();
            pair.set_conditions(&Conditions {
                loss: 0.1,
                ..Conditions::default()
            });
            let name = server_name();
            pair.connect(configs.client, name).unwrap();
            assert!(
                pair.run_until_connected(Duration::from_secs(110)),
                "{versions:?} {seed} {:?}",
                pair.client_events
            );
            let duo = Duo::Dtls(Box::new(pair));
            let type_len = usize::from(versions == Versions::V1_3);
            for side in SIDES {
                let most = longest(&duo, side, versions, true);
                assert!(most <= 64 + type_len, "{versions:?} {seed} {most}");
            }
        }
    }
}

/// S5: nothing is longer than the version allows, however much is written.
#[test]
fn s5_no_record_is_longer_than_the_version_allows() {
    for versions in VERSIONS {
        let mut ends = Ends::new().versions(versions);
        ends.client = ends.client.algorithms(gcm());
        let configs = ends.build();
        let type_len = usize::from(versions == Versions::V1_3);
        let mut duo = watched(Transport::Tls, &configs);
        duo.settle();
        duo.send(Side::Client, &[7; 100_000]).unwrap();
        duo.settle();
        let most = longest(&duo, Side::Client, versions, true);
        assert_eq!(most, 16_384 + type_len);
        let policy = DatagramPolicy::default().mtu(65_507).unwrap();
        let mut ends = Ends::new().versions(versions).datagram(&policy);
        ends.client = ends.client.algorithms(gcm());
        let mut duo = watched(Transport::Dtls, &ends.build());
        duo.settle();
        assert_eq!(duo.max_payload(Side::Client), 16_384);
        talk(&mut duo, [16_384, 16_384]);
        let most = longest(&duo, Side::Client, versions, true);
        assert_eq!(most, 16_384 + type_len);
    }
}

/// S6: limits of record_size_limit are of one direction each.
#[test]
fn s6_each_end_obeys_the_limit_of_the_other() {
    for transport in BOTH {
        for versions in VERSIONS {
            let configs = talkative(versions, 64, 16_384).build();
            let mut duo = watched(transport, &configs);
            duo.run_for(Duration::from_secs(20));
            let long = if transport == Transport::Tls {
                16_384
            } else {
                1300
            };
            talk(&mut duo, [long, 64]);
            let type_len = usize::from(versions == Versions::V1_3);
            let most = SIDES.map(|side| longest(&duo, side, versions, true));
            assert!(most[0] >= long, "{most:?}");
            assert_eq!(most[1], 64 + type_len);
        }
    }
}

/// Ends whose client asks for so short records, and a scripted server of 1.2 with a certificate
/// chain of more than 4 kB that grants it.
fn asking(transport: Transport) -> Harness {
    let mut ends = Ends::new();
    ends.client = ends
        .client
        .max_fragment_length(Some(MaxFragmentLength::Bytes512));
    let purpose = rcgen::ExtendedKeyUsagePurpose::ServerAuth;
    let peer = ScriptedPeer::server(ends.pki.chain(purpose, 4096));
    let mut harness = Harness::client(transport, ends.build().client, peer);
    harness.peer().choice.extensions = vec![
        (MAX_FRAGMENT_LENGTH, vec![1]),
        (EXTENDED_MASTER_SECRET, Vec::new()),
        (RENEGOTIATION_INFO, vec![0]),
    ];
    harness
}

/// RFC 6066 §4: a length holds for unprotected records as well, from the ServerHello on. What is
/// longer ends a stream with record_overflow; of datagrams it may come from anybody.
#[test]
fn a_fragment_length_limits_what_is_received_at_once() {
    for transport in BOTH {
        let mut harness = asking(transport);
        harness.play(&[Line::ServerHello]);
        assert!(harness.is_alive());
        harness.play(&[Line::Certificate]);
        if transport == Transport::Tls {
            let expected = Error::from(PeerMisbehaved::RecordOverflow);
            assert_eq!(harness.error(), Some(expected));
            continue;
        }
        assert!(harness.is_alive());
        assert_eq!(harness.stats().discarded(Discard::OverlongRecord), 1);
    }
}

/// RFC 6066 §4: and for what is sent, in both directions.
#[test]
fn a_fragment_length_limits_what_is_sent_at_once() {
    let (now, ends) = (start(), Ends::with_chain(4096));
    let mut ours = StreamEnd::new(TlsConnection::accept(now, ends.build().server).unwrap());
    let mut peer = scripted_client().over_stream();
    peer.offer.set_extension(MAX_FRAGMENT_LENGTH, &[1]);
    let hello = peer.speak(&[Line::ClientHello]).concat();
    ours.deliver(now, &hello);
    let flight = stream_records(&ours.transmit(now), Versions::V1_2);
    assert!(flight.len() > 8, "{flight:?}");
    assert!(flight.iter().all(|it| it.length <= 512), "{flight:?}");
    assert!(flight.iter().any(|it| it.length == 512), "{flight:?}");

    for transport in BOTH {
        let ends = Ends::new();
        let mut harness = Harness::server(transport, ends.build().server, scripted_client());
        harness
            .peer()
            .offer
            .set_extension(MAX_FRAGMENT_LENGTH, &[2]);
        harness.visit(&CLIENT_FLIGHT);
        let before = harness.peer().heard.len();
        let sent = harness.send(&[7; 3000]);
        if transport == Transport::Dtls {
            assert_eq!(sent, Err(SendError::BeyondPeerLimit { max: 1024 }));
            continue;
        }
        assert_eq!(longest_heard(&mut harness, before), 1024);
        assert_eq!(harness.data_heard_since(before).len(), 3000);
    }
}

/// The longest data in one record that the scripted peer has heard since then.
fn longest_heard(harness: &mut Harness, since: usize) -> usize {
    let heard = harness.peer().heard[since..].iter();
    let lengths = heard.map(|heard| match heard {
        Heard::Data { data, .. } => data.len(),
        _ => 0,
    });
    lengths.max().unwrap_or_default()
}

/// RFC 6066 §4: a session keeps its length where it is resumed; a server does not resume it for a
/// client that asks for another.
#[test]
fn a_session_keeps_its_fragment_length() {
    for transport in BOTH {
        for (asked, resumed) in [(Some(1), true), (Some(2), false), (None, false)] {
            let mut ends = Ends::new();
            ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
            let mut harness = Harness::server(transport, ends.build().server, scripted_client());
            let offer = &mut harness.peer().offer;
            offer.set_extension(MAX_FRAGMENT_LENGTH, &[1]);
            offer.set_extension(SESSION_TICKET, &[]);
            harness.visit(&CLIENT_FLIGHT);
            let session = harness.peer().session();
            harness.peer().renegotiate();
            harness.peer().resume(&session);
            match asked {
                Some(number) => {
                    let offer = &mut harness.peer().offer;
                    offer.set_extension(MAX_FRAGMENT_LENGTH, &[number]);
                }
                None => harness.peer().offer.remove_extension(MAX_FRAGMENT_LENGTH),
            }
            let before = harness.peer().heard.len();
            harness.play(&[Line::ClientHello]);
            // A server that resumes shows no certificate.
            let heard = harness.messages_heard_since(before);
            assert_eq!(heard.contains(&CERTIFICATE), !resumed, "{asked:?}");
            assert_eq!(heard.contains(&FINISHED), resumed, "{asked:?}");
            if resumed {
                harness.play(&FINALE);
                assert_eq!(harness.record_limits(), (512, 512));
                harness.assert_done(2);
            }
        }
    }
}

/// RFC 8449 §4: what is longer than this end has announced ends a stream with record_overflow, and
/// is counted and dropped of datagrams; what fits exactly is taken.
#[test]
fn n59_06_longer_records_are_refused() {
    for transport in BOTH {
        for (side, typ) in SIDES.into_iter().zip([28, 28]) {
            let mut ends = Ends::new();
            ends.client = ends.client.record_size_limit(1000).unwrap();
            ends.server = ends.server.record_size_limit(1000).unwrap();
            let peer = match side {
                Side::Client => scripted_server(&ends),
                Side::Server => scripted_client(),
            };
            let mut harness = Harness::of(side, transport, &ends.build(), peer);
            if side == Side::Client {
                harness.peer().choice.extensions = vec![
                    (typ, vec![0x40, 0]),
                    (EXTENDED_MASTER_SECRET, Vec::new()),
                    (RENEGOTIATION_INFO, vec![0]),
                ];
            } else {
                harness.peer().offer.set_extension(typ, &[0x40, 0]);
            }
            harness.connect(side);
            let fits = harness.peer().data(&[7; 1000]);
            harness.deliver(&fits);
            assert_eq!(harness.receive().len(), 1000);
            let longer = harness.peer().data(&[7; 1001]);
            harness.deliver(&longer);
            match transport {
                Transport::Tls => {
                    let expected = Error::from(PeerMisbehaved::RecordOverflow);
                    assert_eq!(expected.alert(), Some(AlertDescription::RECORD_OVERFLOW));
                    assert_eq!(harness.error(), Some(expected));
                }
                Transport::Dtls => {
                    assert_eq!(harness.stats().discarded(Discard::OverlongRecord), 1);
                    assert!(harness.receive().is_empty());
                    assert!(harness.exchange());
                }
            }
        }
    }
}

/// The same at 1.3 over a stream, where type and padding count.
#[test]
fn n59_02_n59_06_padding_counts_at_1_3() {
    for (contents, padding, fits) in [(1000, 0, true), (1, 999, true), (1, 1000, false)] {
        let ends = Ends::new().versions(Versions::V1_3);
        let server = ends.server.record_size_limit(1000).unwrap();
        let now = start();
        let config = Arc::new(server.build().unwrap());
        let mut ours = StreamEnd::new(TlsConnection::accept(now, config).unwrap());
        let mut peer = scripted13::ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(28, &[0x40, 1]);
        let hello = peer.speak(&[scripted13::Line::ClientHello]);
        ours.deliver(now, &hello);
        peer.hear(&ours.transmit(now));
        let finished = peer.speak(&[scripted13::Line::Finished]);
        ours.deliver(now, &finished);
        // Contents, their type, zeros: the scripted peer adds another type, which is padding as
        // well if it is 0.
        let mut inner = vec![7; contents];
        if padding > 0 {
            inner.push(23);
            inner.resize(contents + padding, 0);
        }
        let typ = if padding > 0 { 0 } else { 23 };
        let record = peer.record(typ, &inner);
        ours.deliver(now, &record);
        let expected = Error::from(PeerMisbehaved::RecordOverflow);
        assert_eq!(
            ours.error,
            (!fits).then_some(expected),
            "{contents} {padding}"
        );
        assert_eq!(ours.received.len(), if fits { contents } else { 0 });
    }
}
