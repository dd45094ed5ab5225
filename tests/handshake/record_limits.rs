//! What ends say to each other about the length of records: record_size_limit (RFC 8449) and
//! max_fragment_length (RFC 6066 §4).

use crate::common::configs::{Ends, SERVER, server_name, start};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, FINALE, SERVER_FLIGHT, scripted_client, scripted_server,
};
use crate::common::harness::Harness;
use crate::common::renegotiating::allowing;
use crate::common::transport::{BOTH, Duo, SIDES, Transport};
use sealgram::config::{RekeyPolicy, Versions};
use sealgram::error::{PeerMisbehaved, SendError};
use sealgram::sim::StreamEnd;
use sealgram::sim::scripted::{Heard as Heard12, Line as Line12};
use sealgram::sim::scripted13::{Heard, Line, ScriptedPeer};
use sealgram::{AlertDescription, Error, Event, MaxFragmentLength, Side, TlsConnection};

const MAX_FRAGMENT_LENGTH: u16 = 1;
const EXTENDED_MASTER_SECRET: u16 = 23;
const RECORD_SIZE_LIMIT: u16 = 28;
const RENEGOTIATION_INFO: u16 = 0xff01;

fn all_versions() -> [Versions; 3] {
    [Versions::V1_2, Versions::V1_3, Versions::default()]
}

const FLIGHT_13: [Line; 5] = [
    Line::ServerHello,
    Line::EncryptedExtensions,
    Line::Certificate,
    Line::CertificateVerify,
    Line::Finished,
];

/// Our client with this limit, and a scripted server of 1.2 that has heard its hello.
fn client_12(transport: Transport, ends: Ends) -> Harness {
    let peer = scripted_server(&ends);
    Harness::client(transport, ends.build().client, peer)
}

/// What a server of 1.2 grants beside this.
fn granting(mut extensions: Vec<(u16, Vec<u8>)>) -> Vec<(u16, Vec<u8>)> {
    extensions.push((EXTENDED_MASTER_SECRET, Vec::new()));
    extensions.push((RENEGOTIATION_INFO, vec![0]));
    extensions
}

/// Our client after a scripted server of 1.2 has granted this.
fn granted_12(transport: Transport, ends: Ends, granted: Vec<(u16, Vec<u8>)>) -> Harness {
    let mut harness = client_12(transport, ends);
    harness.peer().choice.extensions = granting(granted);
    harness.play(&SERVER_FLIGHT);
    harness
}

/// Our client after a scripted server of 1.3 has granted this.
fn granted_13(ends: Ends, granted: Vec<(u16, Vec<u8>)>) -> (StreamEnd, ScriptedPeer) {
    let mut peer = ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519));
    peer.granted = granted;
    let now = start();
    let ends = ends.versions(Versions::V1_3);
    let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
    let mut ours = StreamEnd::new(client);
    peer.hear(&ours.transmit(now));
    let flight = peer.speak(&FLIGHT_13);
    ours.deliver(now, &flight);
    peer.hear(&ours.transmit(now));
    (ours, peer)
}

/// Our server of 1.2 after the hello of a scripted client that offers this.
fn offered_12(transport: Transport, ends: Ends, offered: &[(u16, Vec<u8>)]) -> Harness {
    let mut harness = Harness::server(transport, ends.build().server, scripted_client());
    for (typ, body) in offered {
        harness.peer().offer.set_extension(*typ, body);
    }
    harness.play_hello();
    harness
}

/// The same of 1.3.
fn offered_13(ends: Ends, offered: &[(u16, Vec<u8>)]) -> (StreamEnd, ScriptedPeer) {
    let now = start();
    let ends = ends.versions(Versions::V1_3);
    let server = TlsConnection::accept(now, ends.build().server).unwrap();
    let mut ours = StreamEnd::new(server);
    let mut peer = ScriptedPeer::client(SERVER, None);
    for (typ, body) in offered {
        peer.offer.set_extension(*typ, body);
    }
    let hello = peer.speak(&[Line::ClientHello]);
    ours.deliver(now, &hello);
    peer.hear(&ours.transmit(now));
    (ours, peer)
}

fn size(bytes: u16) -> (u16, Vec<u8>) {
    (RECORD_SIZE_LIMIT, bytes.to_be_bytes().to_vec())
}

fn fragment(number: u8) -> (u16, Vec<u8>) {
    (MAX_FRAGMENT_LENGTH, vec![number])
}

fn illegal(typ: u16) -> Error {
    let error = Error::from(PeerMisbehaved::IllegalExtension(typ));
    assert_eq!(error.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
    error
}

/// The client that takes records of so many bytes.
fn limiting(bytes: usize) -> Ends {
    let mut ends = Ends::new();
    ends.client = ends.client.record_size_limit(bytes).unwrap();
    ends.server = ends.server.record_size_limit(bytes).unwrap();
    ends
}

/// RFC 8449 §4: 64 is the least, what the version allows is the most, and the type counts at 1.3.
/// S2: a wish of 512 bytes is 513 on the wire of 1.3. S3: 1.2 alone never says more than 2^14.
#[test]
fn n59_01_s2_s3_what_a_client_announces() {
    for versions in all_versions() {
        let type_len = u16::from(versions != Versions::V1_2);
        for bytes in [64, 512, 16_384] {
            for transport in BOTH {
                let ends = limiting(bytes).versions(versions);
                let mut harness = client_12(transport, ends);
                let offered = harness.peer().offer.extension(RECORD_SIZE_LIMIT);
                let expected = u16::try_from(bytes).unwrap() + type_len;
                assert_eq!(offered, Some(&expected.to_be_bytes()[..]), "{versions:?}");
            }
        }
    }
    for bytes in [0, 63, 16_385, usize::MAX] {
        assert!(Ends::new().client.record_size_limit(bytes).is_err());
        assert!(Ends::new().server.record_size_limit(bytes).is_err());
    }
}

/// RFC 8449 §4: less than 64 is illegal_parameter; more than the version allows is the most that it
/// allows.
#[test]
fn n59_01_what_a_server_takes_and_what_it_refuses() {
    for (announced, taken) in [
        (0, None),
        (63, None),
        (64, Some(64)),
        (65_535, Some(16_384_usize)),
    ] {
        let expected = taken.is_none().then(|| illegal(RECORD_SIZE_LIMIT));
        for transport in BOTH {
            let mut harness = offered_12(transport, limiting(100), &[size(announced)]);
            assert_eq!(harness.error(), expected, "{announced}");
            let Some(theirs) = taken else { continue };
            let answer = harness.peer().choice.extension(RECORD_SIZE_LIMIT);
            assert_eq!(answer, Some(&[0, 100][..]));
            harness.play(&CLIENT_FLIGHT);
            harness.assert_done(1);
            assert_eq!(harness.record_limits(), (theirs, 100));
        }
        let (ours, _) = offered_13(limiting(100), &[size(announced)]);
        assert_eq!(ours.error, expected, "{announced}");
    }
}

/// The same in the other direction.
#[test]
fn n59_01_what_a_client_takes_and_what_it_refuses() {
    for announced in [0, 63, 64, 16_384, 16_385, 65_535] {
        let expected = (announced < 64).then(|| illegal(RECORD_SIZE_LIMIT));
        for transport in BOTH {
            let mut harness = granted_12(transport, limiting(1000), vec![size(announced)]);
            assert_eq!(harness.error(), expected, "{announced}");
            if announced >= 64 {
                harness.play(&FINALE);
                harness.assert_done(1);
                let theirs = usize::from(announced.min(16_384));
                assert_eq!(harness.record_limits(), (theirs, 1000));
            }
        }
        let (ours, _) = granted_13(limiting(1000), vec![size(announced)]);
        assert_eq!(ours.error, expected, "{announced}");
        if announced >= 64 {
            let limits = ours.connection.record_limits();
            let theirs = usize::from(announced.min(16_385)) - 1;
            assert_eq!((limits.sent, limits.received), (theirs, 1000));
        }
    }
}

/// RFC 8449 §4: both ends announce it although they have no need. draft-ietf-uta-tls13-iot-profile
/// asks constrained devices to support it.
#[test]
fn n59_09_both_ends_announce_it_by_default() {
    for transport in BOTH {
        let mut harness = offered_12(transport, Ends::new(), &[size(16_385)]);
        let answer = harness.peer().choice.extension(RECORD_SIZE_LIMIT);
        assert_eq!(answer, Some(&[0x40, 0][..]));
        for versions in all_versions() {
            let configs = Ends::new().versions(versions).build();
            let duo = Duo::connected(transport, &configs);
            for side in SIDES {
                assert_eq!(duo.record_limits(side), (16_384, 16_384), "{versions:?}");
            }
        }
    }
    let (_, peer) = offered_13(Ends::new(), &[size(16_385)]);
    let extensions = encrypted_extensions(&peer);
    assert!(extensions.ends_with(&[0, 28, 0, 2, 0x40, 1]));
}

/// The body of the EncryptedExtensions that was heard.
fn encrypted_extensions(peer: &ScriptedPeer) -> Vec<u8> {
    let found = peer.heard.iter().find_map(|heard| match heard {
        Heard::Message(8, body) => Some(body.clone()),
        _ => None,
    });
    found.unwrap()
}

/// RFC 8449 §4: at 1.3 the answer is in EncryptedExtensions, and nowhere else.
#[test]
fn n59_05_the_answer_of_1_3_is_encrypted() {
    let (_, peer) = offered_13(limiting(100), &[size(200)]);
    assert_eq!(peer.choice.extension(RECORD_SIZE_LIMIT), None);
    let extensions = encrypted_extensions(&peer);
    assert!(extensions.ends_with(&[0, 28, 0, 2, 0, 101]));
    // In a ServerHello it is misplaced.
    for (typ, body) in [size(200), fragment(1)] {
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.client = ends
            .client
            .max_fragment_length(Some(MaxFragmentLength::Bytes512));
        let mut peer = ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519));
        let now = start();
        let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
        let mut ours = StreamEnd::new(client);
        peer.hear(&ours.transmit(now));
        peer.choice.set_extension(typ, &body);
        let hello = peer.speak(&[Line::ServerHello]);
        ours.deliver(now, &hello);
        assert_eq!(ours.error, Some(illegal(typ)));
    }
}

/// RFC 5246 §7.4.1.4: neither is answered where it was not offered.
#[test]
fn limits_are_answered_only_where_they_were_offered() {
    let expected = |typ| Some(Error::from(PeerMisbehaved::UnsolicitedExtension(typ)));
    for transport in BOTH {
        let harness = granted_12(transport, Ends::new(), vec![fragment(1)]);
        assert_eq!(harness.error(), expected(MAX_FRAGMENT_LENGTH));
        let mut harness = offered_12(transport, Ends::new(), &[]);
        for typ in [MAX_FRAGMENT_LENGTH, RECORD_SIZE_LIMIT] {
            assert_eq!(harness.peer().choice.extension(typ), None);
        }
    }
    let (ours, _) = granted_13(Ends::new(), vec![fragment(1)]);
    assert_eq!(ours.error, expected(MAX_FRAGMENT_LENGTH));
}

/// RFC 8449 §5: a server ignores max_fragment_length beside record_size_limit, whatever is in it; a
/// client that gets both refuses them.
#[test]
fn n59_07_one_of_both_at_most_is_in_force() {
    for number in [1, 4, 0, 5, 255] {
        for transport in BOTH {
            let offered = [size(300), fragment(number)];
            let mut harness = offered_12(transport, Ends::new(), &offered);
            assert_eq!(harness.error(), None);
            let choice = &harness.peer().choice;
            assert!(choice.extension(RECORD_SIZE_LIMIT).is_some());
            assert_eq!(choice.extension(MAX_FRAGMENT_LENGTH), None);
        }
        let (ours, _) = offered_13(Ends::new(), &[size(300), fragment(number)]);
        assert_eq!(ours.error, None);
    }
    let asking = || {
        let mut ends = Ends::new();
        ends.client = ends
            .client
            .max_fragment_length(Some(MaxFragmentLength::Bytes512));
        ends
    };
    let both = vec![size(300), fragment(1)];
    for transport in BOTH {
        let harness = granted_12(transport, asking(), both.clone());
        assert_eq!(harness.error(), Some(illegal(MAX_FRAGMENT_LENGTH)));
    }
    let (ours, _) = granted_13(asking(), both);
    assert_eq!(ours.error, Some(illegal(MAX_FRAGMENT_LENGTH)));
}

/// RFC 6066 §4: the server's answer is the client's wish, and wishes of other lengths are illegal.
#[test]
fn a_fragment_length_is_granted_as_it_was_asked_for() {
    for length in MaxFragmentLength::ALL {
        let number = u8::try_from(length.bytes().trailing_zeros() - 8).unwrap();
        for answered in 0..=5 {
            let ends = || {
                let mut ends = Ends::new();
                ends.client = ends.client.max_fragment_length(Some(length));
                ends
            };
            let expected = (answered != number).then(|| illegal(MAX_FRAGMENT_LENGTH));
            for transport in BOTH {
                let mut harness = granted_12(transport, ends(), vec![fragment(answered)]);
                assert_eq!(harness.error(), expected);
                let offer = &harness.peer().offer;
                assert_eq!(offer.extension(MAX_FRAGMENT_LENGTH), Some(&[number][..]));
                // To a server that knows something better it says the same.
                let size = offer.extension(RECORD_SIZE_LIMIT);
                assert_eq!(size, Some(&length.bytes().to_be_bytes()[..]));
                if answered == number {
                    harness.play(&FINALE);
                    harness.assert_done(1);
                    let bytes = usize::from(length.bytes());
                    assert_eq!(harness.record_limits(), (bytes, bytes));
                }
            }
            let (ours, _) = granted_13(ends(), vec![fragment(answered)]);
            assert_eq!(ours.error, expected);
        }
        for transport in BOTH {
            let mut harness = offered_12(transport, Ends::new(), &[fragment(number)]);
            let answer = harness.peer().choice.extension(MAX_FRAGMENT_LENGTH);
            assert_eq!(answer, Some(&[number][..]));
            assert_eq!(harness.peer().choice.extension(RECORD_SIZE_LIMIT), None);
        }
        let (ours, _) = offered_13(Ends::new(), &[fragment(number)]);
        assert_eq!(ours.error, None);
    }
    for number in [0, 5, 255] {
        for transport in BOTH {
            let harness = offered_12(transport, Ends::new(), &[fragment(number)]);
            assert_eq!(harness.error(), Some(illegal(MAX_FRAGMENT_LENGTH)));
        }
        let (ours, _) = offered_13(Ends::new(), &[fragment(number)]);
        assert_eq!(ours.error, Some(illegal(MAX_FRAGMENT_LENGTH)));
    }
}

/// RFC 8449 §4: a renegotiation agrees anew, also on nothing; the records of each epoch obey what
/// was agreed on for it, and the application hears how much data a datagram holds.
#[test]
fn n59_05_a_renegotiation_agrees_anew() {
    for transport in BOTH {
        let mut ends = Ends::new();
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let mut harness = offered_12(transport, ends, &[size(100)]);
        harness.play(&CLIENT_FLIGHT);
        harness.assert_done(1);
        let rounds = [(Some(64), 64), (None, 1000), (Some(300), 300)];
        for (epoch, (announced, expected)) in (2..).zip(rounds) {
            harness.peer().renegotiate();
            match announced {
                Some(bytes) => {
                    let (typ, body) = size(bytes);
                    harness.peer().offer.set_extension(typ, &body);
                }
                None => harness.peer().offer.remove_extension(RECORD_SIZE_LIMIT),
            }
            harness.play(&[Line12::ClientHello]);
            harness.finish(Side::Server, epoch);
            if transport == Transport::Dtls {
                let told = harness
                    .events()
                    .into_iter()
                    .rev()
                    .find_map(|event| match event {
                        Event::MaxPayloadChanged { max_payload } => Some(max_payload),
                        _ => None,
                    });
                let told = told.expect("the application is told");
                assert_eq!(told == expected, announced.is_some(), "{told}");
            }
            let heard = harness.peer().heard.len();
            let sent = harness.send(&[7; 1000]);
            if transport == Transport::Dtls && announced.is_some() {
                assert_eq!(sent, Err(SendError::BeyondPeerLimit { max: expected }));
                continue;
            }
            sent.unwrap();
            let longest = harness.peer().heard[heard..]
                .iter()
                .map(|heard| match heard {
                    Heard12::Data { data, .. } => data.len(),
                    _ => 0,
                });
            assert_eq!(longest.max(), Some(expected));
        }
    }
}

/// RFC 6066 §4: a length that a renegotiation agrees on holds at once, and the application hears
/// how much data a datagram holds from then on.
#[test]
fn a_fragment_length_of_a_renegotiation_is_told() {
    let mut ends = Ends::new();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    let mut harness = offered_12(Transport::Dtls, ends, &[]);
    harness.play(&CLIENT_FLIGHT);
    harness.assert_done(1);
    harness.peer().renegotiate();
    let (typ, body) = fragment(1);
    harness.peer().offer.set_extension(typ, &body);
    harness.play(&[Line12::ClientHello]);
    harness.finish(Side::Server, 2);
    let limited = harness.send(&[7; 513]);
    assert_eq!(limited, Err(SendError::BeyondPeerLimit { max: 512 }));
    let events = harness.events();
    let told = |event: &&Event| matches!(event, Event::MaxPayloadChanged { .. });
    let expected = Event::MaxPayloadChanged { max_payload: 512 };
    assert_eq!(events.iter().rev().find(told), Some(&expected));
}
