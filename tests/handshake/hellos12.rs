//! Hellos that lie about lengths, leave out extensions, say them twice or choose what was not
//! offered: rows A12, A14, A18, D10 and D18 of the failure catalogue. Messages that are left out,
//! or said twice, are in `tests/handshake/misbehaviour12.rs` (D8).

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, EXTENDED_MASTER_SECRET, FATAL, FINALE, RENEGOTIATION_INFO,
    SERVER_FLIGHT, SUPPORTED_GROUPS, our_client, our_server, scripted_server,
};
use sealgram::config::Algorithms;
use sealgram::error::{PeerIncompatible, PeerMisbehaved};
use sealgram::record::Discard;
use sealgram::sim::scripted::{ClientOffer, HANDSHAKE, Line, ScriptedPeer, ServerChoice, Spoken};
use sealgram::{AlertDescription, Error, Failure, NamedGroup, Path, ProtocolVersion};
use std::sync::Arc;
use std::time::Duration;

const SERVER_NAME: u16 = 0;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;

/// Longer than any attempt lasts, shorter than the idle timeout.
const FOREVER: Duration = Duration::from_secs(300);

/// A length field: where it is in the body, and how many bytes it has.
type Field = (usize, usize);

/// The fields of an extension block that begins at `at`.
fn extension_fields(body: &[u8], at: usize) -> Vec<Field> {
    let mut fields = vec![(at, 2)];
    let mut at = at + 2;
    while at + 4 <= body.len() {
        let typ = u16::from_be_bytes([body[at], body[at + 1]]);
        let length = usize::from(u16::from_be_bytes([body[at + 2], body[at + 3]]));
        fields.push((at + 2, 2));
        let inner: &[Field] = match typ {
            SERVER_NAME if length > 0 => &[(0, 2), (3, 2)],
            SUPPORTED_GROUPS | SIGNATURE_ALGORITHMS => &[(0, 2)],
            ALPN => &[(0, 2), (2, 1)],
            EC_POINT_FORMATS | RENEGOTIATION_INFO => &[(0, 1)],
            _ => &[],
        };
        fields.extend(inner.iter().map(|(place, width)| (at + 4 + place, *width)));
        at += 4 + length;
    }
    fields
}

fn client_hello_fields(offer: &ClientOffer) -> Vec<Field> {
    let cookie = 35 + offer.session_id.len();
    let suites = cookie + 1 + offer.cookie.len();
    let compression = suites + 2 + 2 * offer.suites.len();
    let extensions = compression + 1 + offer.compression.len();
    let mut fields = vec![(34, 1), (cookie, 1), (suites, 2), (compression, 1)];
    fields.extend(extension_fields(&offer.encode(), extensions));
    fields
}

fn server_hello_fields(choice: &ServerChoice) -> Vec<Field> {
    let mut fields = vec![(34, 1)];
    let extensions = 38 + choice.session_id.len();
    fields.extend(extension_fields(&choice.encode(), extensions));
    fields
}

/// Every value that fits into a field.
fn values((_, width): Field) -> std::ops::Range<usize> {
    0..1 << (8 * width)
}

/// The body with this value in this field; `None` if it is there already.
fn lie(body: &[u8], (place, width): Field, value: usize) -> Option<Vec<u8>> {
    let bytes = value.to_be_bytes();
    let mut lie = body.to_vec();
    lie[place..place + width].copy_from_slice(&bytes[bytes.len() - width..]);
    (lie != body).then_some(lie)
}

/// The peer says this body, as a message with the number that is next. It remembers nothing of it
/// and does not listen to the answer.
fn whisper(harness: &mut DatagramHarness, line: Line, body: Vec<u8>) {
    let (typ, seq) = (line.typ(), harness.peer.next_seq());
    let whole = Spoken { typ, seq, body }.whole();
    let record = harness.peer.record(HANDSHAKE, 0, &whole);
    let path = Path::new(harness.address);
    harness
        .endpoint
        .handle_datagram(harness.now, path, record[..].into());
    let address = std::mem::replace(&mut harness.address, ([0, 0, 0, 0], 0).into());
    harness.listen();
    harness.address = address;
}

/// A12: a hello with a cookie that is good, and with one length that is not.
#[test]
fn a_client_hello_with_any_length_in_any_field_leaves_room_for_the_honest_one() {
    let opening = || {
        let mut harness = our_server();
        let protocols = (ALPN, vec![0, 3, 2, b'h', b'q']);
        harness.peer.offer.extensions.push(protocols);
        harness.peer.offer.session_id = vec![7; 32];
        harness.play(&[Line::ClientHello]);
        harness
    };
    let finish = |mut harness: DatagramHarness| {
        harness.play(&[Line::ClientHello]);
        harness.play(&CLIENT_FLIGHT);
        assert!(harness.is_complete() && harness.exchange(3));
    };
    let mut harness = opening();
    let fields = client_hello_fields(&harness.peer.offer);
    assert_eq!(fields.len(), 4 + 1 + 7 + 8, "{fields:?}");
    let mut taken = 0;
    for field in fields {
        let mut body = harness.peer.offer.encode();
        for value in values(field) {
            let Some(lie) = lie(&body, field, value) else {
                continue;
            };
            let sent = harness.sent.len();
            whisper(&mut harness, Line::ClientHello, lie.clone());
            let answers: usize = harness.sent[sent..].iter().map(Vec::len).sum();
            let asked_again = answers > 0 && harness.sent[sent][13] == 3;
            assert!(!asked_again || answers <= lie.len() + 25);
            if answers > 0 && !asked_again || harness.error().is_some() {
                // It is a hello, only another one: it may have this attempt, and the next one is
                // honest.
                taken += 1;
                harness = opening();
                body = harness.peer.offer.encode();
            }
        }
        let last = std::mem::replace(&mut harness, opening());
        finish(last);
    }
    assert!(taken < 500, "{taken}");
}

/// A12, for hellos without a cookie: no state, and never more bytes back than came.
#[test]
fn an_unproven_hello_with_any_length_in_any_field_makes_no_state() {
    let mut harness = our_server();
    let body = harness.peer.offer.encode();
    for field in client_hello_fields(&harness.peer.offer) {
        for lie in values(field).filter_map(|value| lie(&body, field, value)) {
            let sent = harness.sent.len();
            whisper(&mut harness, Line::ClientHello, lie);
            assert!(harness.sent.len() <= sent + 1);
        }
        harness.sent.clear();
        harness.peer.heard.clear();
        assert!(harness.endpoint.is_empty());
    }
    harness = our_server();
    harness.complete();
}

/// A12 (mbedTLS 2.22): the only length of a HelloVerifyRequest.
#[test]
fn a_hello_verify_request_with_any_cookie_length_leaves_room_for_the_honest_one() {
    let mut harness = our_client();
    let body = harness.peer.body(Line::HelloVerifyRequest);
    let field = (2, 1);
    for lie in values(field).filter_map(|value| lie(&body, field, value)) {
        whisper(&mut harness, Line::HelloVerifyRequest, lie);
    }
    assert_eq!(harness.discarded(Discard::UndecodableMessage), 255);
    harness.complete();
    assert!(harness.exchange(100));
}

/// A12: a ServerHello with one length that is not true.
#[test]
fn a_server_hello_with_any_length_in_any_field_leaves_room_for_the_honest_one() {
    let opening = || {
        let mut harness = our_client();
        harness.peer.choice.session_id = vec![7; 32];
        harness.exchange_cookies();
        harness
    };
    let finish = |mut harness: DatagramHarness| {
        harness.play(&SERVER_FLIGHT);
        harness.play(&FINALE);
        assert!(harness.is_complete() && harness.exchange(3));
    };
    let mut harness = opening();
    let (mut taken, mut discarded) = (0, 0);
    for field in server_hello_fields(&harness.peer.choice) {
        let mut body = harness.peer.choice.encode();
        for value in values(field) {
            let Some(lie) = lie(&body, field, value) else {
                continue;
            };
            let before = harness.discarded(Discard::UndecodableMessage);
            whisper(&mut harness, Line::ServerHello, lie);
            if harness.discarded(Discard::UndecodableMessage) == before {
                taken += 1;
                harness = opening();
                body = harness.peer.choice.encode();
            } else {
                discarded += 1;
            }
        }
        let last = std::mem::replace(&mut harness, opening());
        finish(last);
    }
    assert!(taken < 50 && discarded > 300_000, "{taken} {discarded}");
}

/// What comes of a handshake with our server whose hello was altered.
fn served(alter: impl FnOnce(&mut ClientOffer)) -> Result<(), Error> {
    let mut harness = our_server();
    alter(&mut harness.peer.offer);
    harness.exchange_cookies();
    harness.play(&CLIENT_FLIGHT);
    harness.wait(FOREVER);
    if harness.is_complete() {
        assert!(harness.peer.has_verified() && harness.exchange(10));
        return Ok(());
    }
    assert!(harness.endpoint.is_empty());
    Err(harness.error().expect("a reason"))
}

/// A14 (OpenSSL CVE-2014-3510, CVE-2021-3449): each extension of a client missing in turn, and all
/// at once.
#[test]
fn a_client_hello_without_an_extension_is_served_or_refused_with_a_reason() {
    let without = |typ: u16| served(|offer| offer.remove_extension(typ));
    let refused = |fact| Err(Error::PeerIncompatible(fact));
    for optional in [
        SERVER_NAME,
        EC_POINT_FORMATS,
        SUPPORTED_GROUPS,
        EXTENDED_MASTER_SECRET,
    ] {
        assert_eq!(without(optional), Ok(()), "{optional}");
    }
    assert_eq!(
        without(RENEGOTIATION_INFO),
        refused(PeerIncompatible::SecureRenegotiationRequired)
    );
    assert_eq!(
        without(SIGNATURE_ALGORITHMS),
        refused(PeerIncompatible::NoCommonSignatureScheme)
    );
    assert_eq!(
        served(|offer| offer.extensions.clear()),
        refused(PeerIncompatible::SecureRenegotiationRequired)
    );
    // RFC 5746 §3.3: the signalling suite stands for the extension.
    let signalled = |offer: &mut ClientOffer| {
        offer.remove_extension(RENEGOTIATION_INFO);
        offer.suites.push(0x00ff);
    };
    assert_eq!(served(signalled), Ok(()));
}

/// What comes of a handshake with our client when the server's hello was altered.
fn believed(alter: impl FnOnce(&mut ServerChoice)) -> Result<(), Error> {
    let mut harness = our_client();
    harness.exchange_cookies();
    alter(&mut harness.peer.choice);
    harness.play(&SERVER_FLIGHT);
    harness.play(&FINALE);
    harness.wait(FOREVER);
    if harness.is_complete() {
        assert!(harness.peer.has_verified() && harness.exchange(10));
        return Ok(());
    }
    assert!(harness.endpoint.is_empty());
    Err(harness.error().expect("a reason"))
}

/// A14, for our client.
#[test]
fn a_server_hello_without_an_extension_is_believed_or_refused_with_a_reason() {
    let without = |typ: u16| believed(|choice| choice.remove_extension(typ));
    let refused = |fact| Err(Error::PeerIncompatible(fact));
    for optional in [SERVER_NAME, EC_POINT_FORMATS, EXTENDED_MASTER_SECRET] {
        assert_eq!(without(optional), Ok(()), "{optional}");
    }
    assert_eq!(
        without(RENEGOTIATION_INFO),
        refused(PeerIncompatible::SecureRenegotiationRequired)
    );
    assert_eq!(
        believed(|choice| choice.extensions.clear()),
        refused(PeerIncompatible::SecureRenegotiationRequired)
    );
}

/// A18: RFC 5246 §7.4.1.4: no extension twice. In plaintext that is noise, and the honest hello is
/// still served.
#[test]
fn a_client_hello_with_an_extension_twice_is_not_served() {
    let mut types: Vec<_> = our_server().peer.offer.extensions;
    types.push((0x1234, vec![1, 2, 3]));
    assert_eq!(types.len(), 7);
    for (typ, body) in types {
        for place in [0, usize::MAX] {
            let mut harness = our_server();
            let honest = &mut harness.peer.offer.extensions;
            if typ == 0x1234 {
                honest.push((typ, body.clone()));
            }
            harness.play(&[Line::ClientHello]);
            let mut doubled = harness.peer.offer.clone();
            let place = place.min(doubled.extensions.len());
            doubled.extensions.insert(place, (typ, body.clone()));
            whisper(&mut harness, Line::ClientHello, doubled.encode());
            assert!(!harness.is_complete());
            assert_eq!(harness.discarded(Discard::UndecodableMessage), 1, "{typ}");
            harness.play(&[Line::ClientHello]);
            harness.play(&CLIENT_FLIGHT);
            assert!(harness.is_complete() && harness.exchange(10), "{typ}");
        }
    }
}

/// A18, for our client.
#[test]
fn a_server_hello_with_an_extension_twice_is_not_believed() {
    let mut harness = our_client();
    harness.exchange_cookies();
    let honest = harness.peer.choice.clone();
    assert_eq!(honest.extensions.len(), 4);
    for (typ, body) in honest.extensions.iter().cloned().chain([(0x1234, vec![])]) {
        for place in [0, honest.extensions.len()] {
            let mut doubled = honest.clone();
            if typ == 0x1234 {
                doubled.extensions.push((typ, body.clone()));
            }
            doubled.extensions.insert(place, (typ, body.clone()));
            let before = harness.discarded(Discard::UndecodableMessage);
            whisper(&mut harness, Line::ServerHello, doubled.encode());
            assert_eq!(
                harness.discarded(Discard::UndecodableMessage),
                before + 1,
                "{typ}"
            );
        }
    }
    harness.play(&SERVER_FLIGHT);
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// The failure of our client opposite a server whose hello is altered by `alter`.
fn failure_at_server_hello(alter: impl FnOnce(&mut ScriptedPeer)) -> Failure {
    let mut harness = our_client();
    alter(&mut harness.peer);
    harness.play(&SERVER_FLIGHT);
    harness.play(&FINALE);
    assert!(!harness.is_complete());
    harness.failure().expect("the attempt failed at once")
}

/// D10 (wolfSSL CVE-2024-5814), RFC 5246 §7.4.1.3: a server chooses among what was offered.
#[test]
fn a_server_that_chooses_what_was_not_offered_is_refused() {
    type Alter = fn(&mut ScriptedPeer);
    let cases: [(Alter, PeerMisbehaved, u8); 11] = [
        // TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, TLS_NULL, the SCSV.
        (
            |peer| peer.choice.suite = 0x002f,
            PeerMisbehaved::SelectedUnofferedCipherSuite,
            47,
        ),
        (
            |peer| peer.choice.suite = 0xc0ae,
            PeerMisbehaved::SelectedUnofferedCipherSuite,
            47,
        ),
        (
            |peer| peer.choice.suite = 0x0000,
            PeerMisbehaved::SelectedUnofferedCipherSuite,
            47,
        ),
        (
            |peer| peer.choice.suite = 0x00ff,
            PeerMisbehaved::SelectedUnofferedCipherSuite,
            47,
        ),
        (
            |peer| peer.choice.version = 0xfeff,
            PeerMisbehaved::SelectedUnofferedVersion(ProtocolVersion::DTLS10),
            70,
        ),
        (
            |peer| peer.choice.version = 0xfefc,
            PeerMisbehaved::SelectedUnofferedVersion(ProtocolVersion::DTLS13),
            70,
        ),
        (
            |peer| peer.choice.compression = 1,
            PeerMisbehaved::SelectedCompression,
            47,
        ),
        // encrypt_then_mac and use_srtp were not offered; neither was ALPN.
        (
            |peer| peer.choice.extensions.push((22, vec![])),
            PeerMisbehaved::UnsolicitedExtension(22),
            110,
        ),
        (
            |peer| peer.choice.extensions.push((14, vec![0, 2, 0, 1, 0])),
            PeerMisbehaved::UnsolicitedExtension(14),
            110,
        ),
        (
            |peer| peer.choice.extensions.push((16, vec![0, 2, 1, b'x'])),
            PeerMisbehaved::UnsolicitedExtension(16),
            110,
        ),
        (
            |peer| {
                let formats = |(typ, body): &mut (u16, Vec<u8>)| {
                    if *typ == 11 {
                        *body = vec![1, 1];
                    }
                };
                peer.choice.extensions.iter_mut().for_each(formats);
            },
            PeerMisbehaved::IllegalExtension(11),
            47,
        ),
    ];
    for (alter, expected, alert) in cases {
        let failure = failure_at_server_hello(alter);
        assert_eq!(failure.error, Error::PeerMisbehaved(expected));
        let sent = failure.alert_sent.map(|alert| alert.description);
        assert_eq!(sent, Some(AlertDescription(alert)), "{expected}");
    }
}

/// D10: a group that the client did not offer, with a valid signature.
#[test]
fn a_server_that_chooses_another_group_is_refused() {
    let ends = Ends::new();
    let peer = scripted_server(&ends);
    let client = ends
        .client
        .algorithms(Algorithms::default().groups(&[NamedGroup::X25519]).unwrap());
    let mut harness = DatagramHarness::client(Arc::new(client.build().unwrap()), peer);
    harness.peer.group = NamedGroup::SECP256R1.0;
    harness.play(&SERVER_FLIGHT);
    let fact = PeerMisbehaved::SelectedUnofferedGroup(NamedGroup::SECP256R1);
    assert_eq!(harness.error(), Some(Error::PeerMisbehaved(fact)));
    assert_eq!(harness.peer.alerts_heard(), [(FATAL, 47)]);
}

/// RFC 5746 §3.4: a server that does not bind renegotiations is refused; so is one that claims a
/// past.
#[test]
fn a_server_without_the_extension_that_binds_renegotiations_is_refused() {
    let failure = failure_at_server_hello(|peer| peer.choice.remove_extension(RENEGOTIATION_INFO));
    let expected = PeerIncompatible::SecureRenegotiationRequired;
    assert_eq!(failure.error, Error::PeerIncompatible(expected));
    let failure = failure_at_server_hello(|peer| {
        peer.choice.remove_extension(RENEGOTIATION_INFO);
        peer.choice
            .extensions
            .push((RENEGOTIATION_INFO, vec![1, 7]));
    });
    let expected = PeerMisbehaved::NonEmptyRenegotiationInfo;
    assert_eq!(failure.error, Error::PeerMisbehaved(expected));
}

/// D18, RFC 6347 §4.2.1: the version of a HelloVerifyRequest says nothing about that of the
/// ServerHello.
#[test]
fn a_hello_verify_request_of_any_version_is_followed() {
    for version in [0xfeff, 0xfefd] {
        let mut harness = our_client();
        harness.peer.verify_version = version;
        harness.complete();
        assert!(harness.exchange(10), "{version:#x}");
    }
}
