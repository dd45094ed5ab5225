//! Like `tests/handshake/conformance.rs`, where it takes a stream to show it, or where a hello or
//! an alert is at fault: a foreign judge has found this library to break these rules, or nothing
//! else here would have noticed.

use crate::common::configs::{Ends, Pki, SERVER, server_name, start};
use crate::common::datagram_harness::{
    DatagramHarness, FINALE, SERVER_FLIGHT, scripted_client, scripted_server,
};
use crate::common::judged::{CHOICES, judged};
use sealgram::config::{Algorithms, Versions};
use sealgram::error::{CertificateError, PeerMisbehaved};
use sealgram::session::Tickets;
use sealgram::sim::StreamEnd;
use sealgram::sim::scripted::{ALERT, APPLICATION_DATA, HANDSHAKE, Line as Line12};
use sealgram::sim::scripted13::{Heard, Line, ScriptedPeer};
use sealgram::{AlertDescription, ClientConfig, Error, NamedGroup, TlsConnection};
use std::sync::Arc;
use std::time::Duration;

const SUPPORTED_GROUPS: u16 = 10;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_KEY_EXCHANGE_MODES: u16 = 45;
const KEY_SHARE: u16 = 51;

/// What an honest server of 1.3 says.
const SERVER_FLIGHT_13: [Line; 5] = [
    Line::ServerHello,
    Line::EncryptedExtensions,
    Line::Certificate,
    Line::CertificateVerify,
    Line::Finished,
];

fn alert(error: Option<&Error>) -> Option<AlertDescription> {
    error.and_then(Error::alert)
}

/// Our client at 1.3 over a stream, which has said hello, opposite a scripted server.
fn client_13() -> (StreamEnd, ScriptedPeer) {
    let ends = Ends::new().versions(Versions::ALL);
    let mut peer = ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519));
    let now = start();
    let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
    let mut ours = StreamEnd::new(client);
    peer.hear(&ours.transmit(now));
    (ours, peer)
}

/// The same, with data flowing.
fn connected_13() -> (StreamEnd, ScriptedPeer) {
    let (mut ours, mut peer) = client_13();
    let flight = peer.speak(&SERVER_FLIGHT_13);
    ours.deliver(start(), &flight);
    peer.hear(&ours.transmit(start()));
    (ours, peer)
}

/// Our server of both versions, told a hello over a stream.
fn server_told(alter: impl Fn(&mut ScriptedPeer)) -> (StreamEnd, ScriptedPeer) {
    let mut peer = ScriptedPeer::client(SERVER, None);
    alter(&mut peer);
    let now = start();
    let ends = Ends::new().versions(Versions::ALL).resuming();
    let server = TlsConnection::accept(now, ends.build().server).unwrap();
    let mut ours = StreamEnd::new(server);
    let hello = peer.speak(&[Line::ClientHello]);
    ours.deliver(now, &hello);
    peer.hear(&ours.transmit(now));
    (ours, peer)
}

/// RFC 5246 §7.2: there are two levels.
#[test]
fn an_alert_of_a_third_level_is_illegal() {
    let mut harness = crate::common::datagram_harness::our_client();
    harness.complete();
    let record = harness.peer.alert(3, 0);
    harness.deliver(&record);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::UnknownAlertLevel);
    assert_eq!(harness.error(), Some(expected.clone()));
    assert_eq!(expected.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
}

/// RFC 8446 §6, §6.2: an error is one whatever its level, and is sent as fatal; one that is not is
/// answered.
#[test]
fn an_error_sent_as_a_warning_ends_a_connection_of_1_3_and_is_answered() {
    for (level, answer) in [(1, Some(AlertDescription::DECODE_ERROR)), (2, None)] {
        let (mut ours, mut peer) = connected_13();
        let record = peer.record(ALERT, &[level, AlertDescription::ACCESS_DENIED.0]);
        ours.deliver(start(), &record);
        let Some(Error::AlertReceived { alert: told, .. }) = ours.error else {
            panic!("{:?}", ours.error);
        };
        assert_eq!(told.description, AlertDescription::ACCESS_DENIED);
        assert_eq!(alert(ours.error.as_ref()), answer);
        peer.hear(&ours.transmit(start()));
        let answer = answer.map(|description| description.0);
        assert_eq!(peer.alerts_heard(), Vec::from_iter(answer));
    }
}

/// RFC 8446 §6.1: behind user_canceled comes close_notify, and neither is an error.
#[test]
fn a_farewell_is_no_error_whatever_its_level() {
    for level in [1, 2] {
        let (mut ours, mut peer) = connected_13();
        for description in [
            AlertDescription::USER_CANCELED,
            AlertDescription::CLOSE_NOTIFY,
        ] {
            let record = peer.record(ALERT, &[level, description.0]);
            ours.deliver(start(), &record);
        }
        assert_eq!(ours.error, None);
        assert!(ours.connection.is_read_closed());
    }
}

/// RFC 5246 §E.1: whoever offers more gets 1.2, however much more. RFC 8446 §4.2.1:
/// supported_versions alone counts.
#[test]
fn a_hello_of_a_version_from_the_future_is_answered_with_1_2() {
    let ends = Ends::new();
    let config = ends.build().server;
    for (version, list, expected) in [
        (0xfefd, None, true),
        (0xfe00, None, true),
        (0xfdff, None, true),
        (0x0100, None, true),
        (0xfeff, None, false),
        (0xfeff, Some(&[2, 0xfe, 0xfd]), true),
        (0xfefd, Some(&[2, 0xfe, 0xff]), false),
    ] {
        let mut harness = DatagramHarness::server(config.clone(), scripted_client());
        harness.peer.offer.version = version;
        if let Some(list) = list {
            harness.peer.offer.set_extension(SUPPORTED_VERSIONS, list);
        }
        harness.exchange_cookies();
        let answered = harness.peer.messages_heard().contains(&2);
        assert_eq!(answered, expected, "{version:x} {list:?}");
    }
    for (version, expected) in [
        (0x0303, true),
        (0x0400, true),
        (0x7f00, true),
        (0x0302, false),
    ] {
        let (ours, peer) = server_told(|peer| {
            peer.offer.version = version;
            peer.offer.remove_extension(SUPPORTED_VERSIONS);
            peer.offer.suites = vec![0xc02b];
            peer.offer.set_extension(0xff01, &[0]);
        });
        assert_eq!(
            peer.messages_heard().contains(&2),
            expected,
            "{version:x} {:?}",
            ours.error
        );
    }
}

/// RFC 8446 §4.2.11: PskBinderEntry binders<33..2^16-1>.
#[test]
fn tickets_without_any_binder_do_not_decode() {
    let (ours, _) = server_told(|peer| {
        let identity = [&[0, 8, 0, 2][..], b"id", &[0; 4], &[0, 0]].concat();
        peer.offer.set_extension(PSK_KEY_EXCHANGE_MODES, &[1, 1]);
        peer.offer.set_extension(PRE_SHARED_KEY, &identity);
    });
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::DECODE_ERROR));
}

/// RFC 8446 §4.1.3, §4.1.4, §4.2: what a ServerHello and a HelloRetryRequest of 1.3 cannot hold.
#[test]
fn impossible_hellos_of_a_server_are_refused() {
    const RETRY_RANDOM: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
    let retry_random: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&RETRY_RANDOM[2 * at..][..2], 16).unwrap())
        .collect();
    for (retry, compression, repeated, expected) in [
        (false, 1, false, AlertDescription::DECODE_ERROR),
        (true, 1, false, AlertDescription::DECODE_ERROR),
        (false, 0, true, AlertDescription::DECODE_ERROR),
        (true, 0, true, AlertDescription::ILLEGAL_PARAMETER),
    ] {
        let (mut ours, mut peer) = client_13();
        peer.choice.session_id = peer.offer.session_id.clone();
        peer.choice.compression = compression;
        if retry {
            peer.choice.random = retry_random.clone().try_into().unwrap();
            let group = NamedGroup::SECP384R1.0.to_be_bytes();
            peer.choice.set_extension(KEY_SHARE, &group);
        }
        if repeated {
            let first = peer.choice.extensions[0].clone();
            peer.choice.extensions.push(first);
        }
        let hello = peer.speak(&[Line::ServerHello]);
        ours.deliver(start(), &hello);
        assert_eq!(
            alert(ours.error.as_ref()),
            Some(expected),
            "{retry} {compression}"
        );
    }
}

/// RFC 8446 §D.4: the session ID of a hello that resumes nothing means nothing to a server of 1.2,
/// which must not resume.
#[test]
fn a_server_of_1_2_that_resumes_what_never_was_is_refused() {
    let (mut ours, mut peer) = client_13();
    peer.choice.extensions = vec![(0xff01, vec![0]), (23, Vec::new())];
    peer.choice.suite = 0xc02b;
    peer.choice.session_id = peer.offer.session_id.clone();
    assert_eq!(peer.choice.session_id.len(), 32);
    let body = peer.choice.encode();
    let header = [2, 0, 0, u8::try_from(body.len()).unwrap()];
    let record = peer.record(HANDSHAKE, &[&header[..], &body].concat());
    ours.deliver(start(), &record);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::WrongSessionId);
    assert_eq!(ours.error, Some(expected));
}

/// RFC 8446 §4.2.7: some servers of 1.2 say supported_groups, and are harmless; in a ServerHello of
/// 1.3 it is illegal.
#[test]
fn supported_groups_of_a_server_are_borne_at_1_2_alone() {
    let mut harness = crate::common::datagram_harness::our_client();
    harness.exchange_cookies();
    harness.peer.choice.extensions = vec![
        (0xff01, vec![0]),
        (23, Vec::new()),
        (SUPPORTED_GROUPS, vec![0, 2, 0, 29]),
    ];
    harness.play(&SERVER_FLIGHT);
    harness.play(&FINALE);
    assert!(harness.is_complete(), "{:?}", harness.error());

    let (mut ours, mut peer) = client_13();
    peer.choice.session_id = peer.offer.session_id.clone();
    peer.choice.set_extension(SUPPORTED_GROUPS, &[0, 2, 0, 29]);
    let hello = peer.speak(&[Line::ServerHello]);
    ours.deliver(start(), &hello);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::IllegalExtension(SUPPORTED_GROUPS));
    assert_eq!(ours.error, Some(expected));
}

/// RFC 8446 §D.4: the server's ChangeCipherSpec stands behind its first message, whatever the
/// client's session ID.
#[test]
fn a_server_of_1_3_sends_its_change_cipher_spec_in_any_case() {
    for length in [0, 32] {
        let (_, peer) = server_told(|peer| peer.offer.session_id = vec![7; length]);
        let kinds: Vec<_> = peer.heard.iter().take(3).collect();
        assert!(matches!(
            kinds[..],
            [
                Heard::Message(2, _),
                Heard::ChangeCipherSpec,
                Heard::Message(8, _)
            ]
        ));
    }
}

/// RFC 5246 §7.4.2, RFC 8422 §5.3: at 1.2 the server's key is of the suite's kind, and on a curve
/// that the client has offered.
#[test]
fn the_key_of_a_server_of_1_2_fits_the_offer() {
    let told = |curve: &'static rcgen::SignatureAlgorithm, suite: u16| {
        let pki = Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        let client = ClientConfig::with_roots(pki.roots()).unwrap();
        let client = client.algorithms(
            Algorithms::default()
                .groups(&[NamedGroup::X25519, NamedGroup::SECP256R1])
                .unwrap(),
        );
        let peer = sealgram::sim::scripted::ScriptedPeer::server(pki.server(curve));
        let mut harness = DatagramHarness::client(Arc::new(client.build().unwrap()), peer);
        harness.exchange_cookies();
        harness.peer.choice.suite = suite;
        harness.play(&[Line12::ServerHello, Line12::Certificate]);
        harness.error()
    };
    assert_eq!(told(&rcgen::PKCS_ECDSA_P256_SHA256, 0xc02b), None);
    let wrong_curve = told(&rcgen::PKCS_ECDSA_P384_SHA384, 0xc02b);
    assert_eq!(wrong_curve, Some(CertificateError::WrongCurve.into()));
    for key in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let wrong_kind = told(key, 0xc02f);
        assert_eq!(wrong_kind, Some(CertificateError::WrongKeyType.into()));
    }
}

/// RFC 5246 §7.4, RFC 8446 §5.1: what stands behind the message that ends a flight was said before
/// the answer to it.
#[test]
fn nothing_of_the_next_flight_comes_before_the_answer() {
    let now = start();
    // A client of 1.2 that begins its second flight in the record of its hello.
    for rest in [&[16, 0, 0][..], &[16, 0, 0, 0]] {
        let config = Ends::new().versions(Versions::V1_2).build().server;
        let mut ours = StreamEnd::new(TlsConnection::accept(now, config).unwrap());
        let mut peer = scripted_client().over_stream();
        let body = peer.body(Line12::ClientHello);
        let hello = peer.say(1, body).in_stream();
        let record = peer.record(HANDSHAKE, 0, &[&hello, rest].concat());
        ours.deliver(now, &record);
        let told = alert(ours.error.as_ref());
        assert_eq!(told, Some(AlertDescription::UNEXPECTED_MESSAGE), "{rest:?}");
    }
    // A server of 1.2 whose ServerHelloDone is followed by a part of what comes later, and one
    // whose Finished is.
    for done in [true, false] {
        let ends = Ends::new().versions(Versions::V1_2);
        let mut peer = scripted_server(&ends).over_stream();
        let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
        let mut ours = StreamEnd::new(client);
        peer.hear(&ours.transmit(now));
        for record in peer.speak(&SERVER_FLIGHT[..3]) {
            ours.deliver(now, &record);
        }
        let typ = if done { 14 } else { 20 };
        let mut framed = peer.say(14, Vec::new()).in_stream();
        let mut epoch = 0;
        if !done {
            let record = peer.record(HANDSHAKE, 0, &framed);
            ours.deliver(now, &record);
            peer.hear(&ours.transmit(now));
            for record in peer.speak(&[Line12::ChangeCipherSpec]) {
                ours.deliver(now, &record);
            }
            let body = peer.body(Line12::Finished);
            framed = peer.say(typ, body).in_stream();
            epoch = 1;
        }
        let record = peer.record(HANDSHAKE, epoch, &[&framed[..], &[0, 0, 0, 0]].concat());
        ours.deliver(now, &record);
        // A HelloRequest may cross the hello, but not what ends a handshake.
        let expected = (!done).then_some(AlertDescription::UNEXPECTED_MESSAGE);
        assert_eq!(alert(ours.error.as_ref()), expected);
    }
}

/// RFC 8446 §5.1: several messages of one kind may share a record, and the tickets behind a
/// handshake do.
#[test]
fn tickets_share_a_record() {
    let configs = Ends::new().resuming().versions(Versions::V1_3).build();
    let now = start();
    let client = TlsConnection::connect(now, configs.client.clone(), server_name()).unwrap();
    let server = TlsConnection::accept(now, configs.server).unwrap();
    let (mut client, mut server) = (StreamEnd::new(client), StreamEnd::new(server));
    server.deliver(now, &client.transmit(now));
    client.deliver(now, &server.transmit(now));
    let before = server.connection.stats().records_sent();
    server.deliver(now, &client.transmit(now));
    assert!(server.connection.has_transmit() && server.connection.buffered() > 100);
    // Data leaves behind them.
    server.connection.send(now, b"data").unwrap();
    client.deliver(now, &server.transmit(now));
    assert_eq!(server.connection.stats().records_sent(), before + 2);
    assert_eq!(client.received, b"data");
    assert!(client.connection.session().is_some());
}

/// RFC 8446 §5.1: empty records of data are legal. A ChangeCipherSpec before them has nothing to do
/// with how many.
#[test]
fn a_row_of_empty_records_is_borne_behind_a_handshake() {
    for (count, fine) in [(32, true), (33, false)] {
        let (mut ours, mut peer) = client_13();
        let hello = peer.speak(&[Line::ServerHello]);
        let rest = peer.speak(&SERVER_FLIGHT_13[1..]);
        ours.deliver(start(), &[&hello[..], &[20, 3, 3, 0, 1, 1], &rest].concat());
        for _ in 0..count {
            let record = peer.record(APPLICATION_DATA, &[]);
            ours.deliver(start(), &record);
        }
        assert_eq!(ours.error.is_none(), fine, "{count}");
    }
}

/// RFC 5246 §7.4.2: what bounds a chain is the policy for messages.
#[test]
fn a_long_chain_is_taken_as_long_as_its_message_is() {
    let mut harness = crate::common::datagram_harness::our_client();
    harness.exchange_cookies();
    harness.play_altered(&SERVER_FLIGHT, |line, body| {
        if line == Line12::Certificate {
            let list = body[3..].repeat(51);
            let length = u32::try_from(list.len()).unwrap().to_be_bytes();
            *body = [&length[1..], &list].concat();
        }
    });
    harness.play(&FINALE);
    assert!(harness.is_complete(), "{:?}", harness.error());
}

/// A judge may count the headers and tags of early data as well.
#[test]
fn early_data_is_counted_with_its_records_where_a_judge_wants_that() {
    let too_much = Error::from(PeerMisbehaved::TooMuchEarlyData);
    let limit = 1 << 14;
    let lengths = [(limit - 5, false), (limit - 4, true)];
    let all = CHOICES
        .iter()
        .flat_map(|&it| lengths.map(|length| (it, length)));
    for (whole, (length, beyond)) in all {
        let ends = Ends::new().versions(Versions::V1_3);
        let server = judged!(ends.server, count_early_records_whole: whole);
        let server = Arc::new(server.build().unwrap());
        let now = start();
        let mut ours = StreamEnd::new(TlsConnection::accept(now, server).unwrap());
        let mut peer = ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(EARLY_DATA, &[]);
        ours.deliver(now, &peer.speak(&[Line::ClientHello]));
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        ours.deliver(now, &[23, 3, 3, high, low]);
        ours.deliver(now, &vec![0xa5; length]);
        let expected = (whole && beyond).then(|| too_much.clone());
        assert_eq!(ours.error, expected, "{length}");
    }
}

/// RFC 8446 §4.2.10: a server that takes no early data passes over as much of it as servers allow
/// that do, in whatever records it comes, and goes on with the handshake.
#[test]
fn early_data_is_passed_over() {
    let early = |length: usize| {
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        [&[23, 3, 3, high, low][..], &vec![0xa5; length]].concat()
    };
    // Behind the data of a record there are its type and its tag.
    let (limit, behind) = (1 << 14, 17);
    let too_much = Some(PeerMisbehaved::TooMuchEarlyData);
    for (lengths, expected) in [
        (&[4][..], None),
        (&[100, 4000, 17], None),
        (&[limit + behind], None),
        (&[1024 + behind; 16], None),
        (&[1 + behind; 1 << 14], None),
        (&[limit + behind, 1 + behind], too_much),
        (&[limit + behind, 0], too_much),
        (&[1024 + behind; 17], too_much),
        (&[limit + behind + 1], too_much),
    ] {
        for (group, retried) in [(NamedGroup::X25519, false), (NamedGroup::SECP384R1, true)] {
            let ends = Ends::new().versions(Versions::V1_3);
            let server = ends
                .server
                .algorithms(Algorithms::default().groups(&[group]).unwrap())
                .build()
                .unwrap();
            let now = start();
            let mut ours = StreamEnd::new(TlsConnection::accept(now, Arc::new(server)).unwrap());
            let mut peer = ScriptedPeer::client(SERVER, None);
            peer.offer.set_extension(EARLY_DATA, &[]);
            let hello = peer.speak(&[Line::ClientHello]);
            ours.deliver(now, &hello);
            peer.hear(&ours.transmit(now));
            // RFC 8446 §D.4: for middleboxes.
            ours.deliver(now, &[20, 3, 3, 0, 1, 1]);
            for &length in lengths {
                ours.deliver(now, &early(length));
            }
            let told = ours.error.clone();
            assert_eq!(told, expected.map(Error::from), "{lengths:?} {retried}");
            if expected.is_none() && !retried {
                let finished = peer.speak(&[Line::Finished]);
                ours.deliver(now, &finished);
                assert!(
                    ours.connection.version().is_some(),
                    "{lengths:?} {:?}",
                    ours.error
                );
                // Behind what could be read there is none.
                ours.deliver(now, &early(40));
                let told = alert(ours.error.as_ref());
                assert_eq!(told, Some(AlertDescription::BAD_RECORD_MAC));
            }
        }
    }
    // Nobody has announced any.
    let (mut ours, _) = server_told(|_| {});
    ours.deliver(start(), &early(40));
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::BAD_RECORD_MAC));
}

/// RFC 8446 §5.2: under keys a record that does not authenticate is forged, whatever it says it is;
/// one that does, and does not say outside that it is data, comes from a peer at fault.
#[test]
fn a_record_that_says_outside_what_it_is_is_no_record_of_1_3() {
    let handshake = [22, 3, 3, 0, 4, 8, 0, 0, 0];
    let (mut ours, mut peer) = client_13();
    let hello = peer.speak(&[Line::ServerHello]);
    ours.deliver(start(), &hello);
    ours.deliver(start(), &handshake);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac);
    assert_eq!(ours.error, Some(expected));
    let (mut ours, mut peer) = client_13();
    let hello = peer.speak(&[Line::ServerHello]);
    ours.deliver(start(), &hello);
    let record = peer.record_with_visible_type(HANDSHAKE, &[8, 0, 0, 2, 0, 0]);
    assert_eq!(record[..3], [HANDSHAKE, 3, 3]);
    ours.deliver(start(), &record);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::UnknownContentType);
    assert_eq!(ours.error, Some(expected));
    // An alert may come in the clear as long as a client may have no keys, and never to a client.
    let (mut ours, _) = connected_13();
    ours.deliver(start(), &[21, 3, 3, 0, 2, 2, 40]);
    let expected = Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac);
    assert_eq!(ours.error, Some(expected));
}

/// RFC 8446 §6.2: an extension that is known, was offered and belongs into another message.
#[test]
fn a_key_share_among_encrypted_extensions_is_unsupported() {
    let (mut ours, mut peer) = client_13();
    peer.granted = vec![(KEY_SHARE, vec![0, 29, 0, 0])];
    let flight = peer.speak(&SERVER_FLIGHT_13);
    ours.deliver(start(), &flight);
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::UNSUPPORTED_EXTENSION));
}

/// The identity in the first ticket that a scripted client has heard (RFC 8446 §4.6.1).
fn ticket_heard(peer: &ScriptedPeer) -> Vec<u8> {
    let body = peer.heard.iter().find_map(|heard| match heard {
        Heard::Message(4, body) => Some(body.as_slice()),
        _ => None,
    });
    let behind_numbers = &body.unwrap()[8..];
    let behind_nonce = &behind_numbers[1 + usize::from(behind_numbers[0])..];
    let length = usize::from(behind_nonce[0]) << 8 | usize::from(behind_nonce[1]);
    behind_nonce[2..2 + length].to_vec()
}

/// RFC 8446 §4.1.2: between two hellos a client may leave out only what does not go with the suite
/// that the server has named.
#[test]
fn a_second_hello_does_not_drop_a_ticket_that_fits() {
    let group = NamedGroup::SECP384R1;
    let ends = Ends::new().versions(Versions::V1_3);
    let tickets = Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
    let shared = ends.server.tickets(Some(tickets));
    let server = Arc::new(
        shared
            .clone()
            .algorithms(Algorithms::default().groups(&[group]).unwrap())
            .build()
            .unwrap(),
    );
    let told = |identity: &[u8]| {
        let now = start();
        let mut peer = ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(PSK_KEY_EXCHANGE_MODES, &[1, 1]);
        let length = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let entry = [&length(identity.len())[..], identity, &[0; 4]].concat();
        let offered = [&length(entry.len())[..], &entry, &[0, 33, 32], &[0; 32]].concat();
        peer.offer.set_extension(PRE_SHARED_KEY, &offered);
        let mut ours = StreamEnd::new(TlsConnection::accept(now, server.clone()).unwrap());
        let hello = peer.speak(&[Line::ClientHello]);
        ours.deliver(now, &hello);
        peer.hear(&ours.transmit(now));
        peer.offer.remove_extension(PRE_SHARED_KEY);
        let share = [&[0, 101][..], &group.0.to_be_bytes(), &[0, 97, 4], &[1; 96]].concat();
        peer.offer.set_extension(KEY_SHARE, &share);
        // The scripted client takes a HelloRetryRequest for a ServerHello, and would seal what it
        // says.
        let body = peer.offer.encode();
        let message = [&[1, 0][..], &length(body.len()), &body].concat();
        let record = [&[22, 3, 3][..], &length(message.len()), &message].concat();
        ours.deliver(now, &record);
        ours.error
    };
    // A server of the same tickets that takes the group at once.
    let ticket = {
        let now = start();
        let server = TlsConnection::accept(now, Arc::new(shared.build().unwrap())).unwrap();
        let mut ours = StreamEnd::new(server);
        let mut peer = ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(PSK_KEY_EXCHANGE_MODES, &[1, 1]);
        let hello = peer.speak(&[Line::ClientHello]);
        ours.deliver(now, &hello);
        peer.hear(&ours.transmit(now));
        let finished = peer.speak(&[Line::Finished]);
        ours.deliver(now, &finished);
        peer.hear(&ours.transmit(now));
        ticket_heard(&peer)
    };
    let missing = Error::PeerMisbehaved(PeerMisbehaved::MissingExtension(PRE_SHARED_KEY));
    assert_eq!(told(&ticket), Some(missing));
    // Of what nobody here has made, nobody knows what it goes with; the share of the example is no
    // point.
    let invalid = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
    assert_eq!(told(b"a ticket of another server"), Some(invalid));
}

/// RFC 8446 §5.4, RFC 5246 §6.2.1: only records of data may be empty.
#[test]
fn an_empty_alert_is_an_unexpected_message() {
    let expected = Some(Error::from(PeerMisbehaved::EmptyRecord));
    let (mut ours, mut peer) = connected_13();
    let record = peer.record(21, &[]);
    ours.deliver(start(), &record);
    assert_eq!(ours.error, expected);
    let (mut ours, _) = client_13();
    ours.deliver(start(), &[21, 3, 3, 0, 0]);
    assert_eq!(ours.error, expected);
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::UNEXPECTED_MESSAGE));
}

/// RFC 8446 §2: nothing of data comes under the keys of the handshake, not even without a byte in
/// it.
#[test]
fn empty_data_under_the_keys_of_the_handshake_is_an_unexpected_message() {
    for data in [&b""[..], b"x"] {
        let (mut ours, mut peer) = server_told(|_| {});
        let record = peer.record(23, data);
        ours.deliver(start(), &record);
        assert_eq!(ours.error, Some(PeerMisbehaved::UnexpectedData.into()));
        let (mut ours, mut peer) = client_13();
        let flight = peer.speak(&SERVER_FLIGHT_13[..2]);
        ours.deliver(start(), &flight);
        let record = peer.record(23, data);
        ours.deliver(start(), &record);
        assert_eq!(ours.error, Some(PeerMisbehaved::UnexpectedData.into()));
    }
}

/// RFC 8446 §6.2, §4.4.4: a Finished of another length does not decode; one of the right length
/// that is wrong does not verify.
#[test]
fn a_finished_of_1_3_of_another_length_does_not_decode() {
    for length in [0, 1, 12, 31, 33, 48, 100] {
        let change = |line: Line, body: &mut Vec<u8>| {
            if line == Line::Finished {
                body.resize(length, 0);
            }
        };
        let (mut ours, mut peer) = server_told(|_| {});
        let finished = peer.speak_altered(&[Line::Finished], change);
        ours.deliver(start(), &finished);
        let told = alert(ours.error.as_ref());
        assert_eq!(told, Some(AlertDescription::DECODE_ERROR), "{length}");
        let (mut ours, mut peer) = client_13();
        let flight = peer.speak_altered(&SERVER_FLIGHT_13, change);
        ours.deliver(start(), &flight);
        let told = alert(ours.error.as_ref());
        assert_eq!(told, Some(AlertDescription::DECODE_ERROR), "{length}");
    }
}

/// RFC 8446 §D.5, RFC 7568 §3: a hello of SSL 3.0 ends the handshake, whatever its extensions
/// offer, at both ends.
#[test]
fn a_hello_of_ssl_3_ends_the_handshake() {
    let old = |line: Line, body: &mut Vec<u8>| {
        if [Line::ClientHello, Line::ServerHello].contains(&line) {
            body[..2].copy_from_slice(&[3, 0]);
        }
    };
    let ends = Ends::new().versions(Versions::ALL);
    let server = TlsConnection::accept(start(), ends.build().server).unwrap();
    let mut ours = StreamEnd::new(server);
    let mut peer = ScriptedPeer::client(SERVER, None);
    let hello = peer.speak_altered(&[Line::ClientHello], old);
    ours.deliver(start(), &hello);
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::PROTOCOL_VERSION));
    let (mut ours, mut peer) = client_13();
    let flight = peer.speak_altered(&SERVER_FLIGHT_13[..1], old);
    ours.deliver(start(), &flight);
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::PROTOCOL_VERSION));
}

/// RFC 8446 §4.2: however many extensions a hello has, those that are not known are passed over,
/// and none comes twice.
#[test]
fn a_hello_with_hundreds_of_extensions_is_served() {
    for count in [100, 128, 129, 1000, 3000] {
        let (ours, _) = server_told(|peer| {
            (0..count).for_each(|number| peer.offer.set_extension(0x1000 + number, &[]));
        });
        assert_eq!(ours.error, None, "{count}");
    }
    let mut peer = ScriptedPeer::client(SERVER, None);
    (0..1000).for_each(|number| peer.offer.set_extension(0x1000 + number, &[]));
    peer.offer.extensions.push((0x1000 + 999, Vec::new()));
    let ends = Ends::new().versions(Versions::ALL);
    let server = TlsConnection::accept(start(), ends.build().server).unwrap();
    let mut ours = StreamEnd::new(server);
    let hello = peer.speak(&[Line::ClientHello]);
    ours.deliver(start(), &hello);
    assert!(
        matches!(ours.error, Some(Error::InvalidMessage(_))),
        "{:?}",
        ours.error
    );
}

/// RFC 8446 §5.1, appendix D: the version in the header of a record decides nothing; only the
/// hello's own does.
#[test]
fn a_hello_in_a_record_of_ssl_3_is_served() {
    for versions in [Versions::ALL, Versions::V1_3] {
        for record_version in [[3, 0], [3, 1], [3, 3], [3, 4]] {
            let mut peer = ScriptedPeer::client(SERVER, None);
            let ends = Ends::new().versions(versions);
            let server = TlsConnection::accept(start(), ends.build().server).unwrap();
            let mut ours = StreamEnd::new(server);
            let mut hello = peer.speak(&[Line::ClientHello]);
            hello[1..3].copy_from_slice(&record_version);
            ours.deliver(start(), &hello);
            assert_eq!(ours.error, None, "{record_version:?}");
            peer.hear(&ours.transmit(start()));
            assert!(peer.messages_heard().len() > 1, "{record_version:?}");
        }
    }
}

/// RFC 8446 §6: a message whose length is incorrect does not decode, however long it claims to be.
#[test]
fn a_finished_of_hundreds_of_kilobytes_does_not_decode() {
    let (mut ours, mut peer) = server_told(|_| {});
    let record = peer.record(HANDSHAKE, &[20, 3, 0, 32, 0, 0]);
    ours.deliver(start(), &record);
    let told = alert(ours.error.as_ref());
    assert_eq!(told, Some(AlertDescription::DECODE_ERROR));
}
