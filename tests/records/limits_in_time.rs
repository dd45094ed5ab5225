//! When an agreement on the length of records begins to hold, and how long it does (RFC 8449 §4,
//! RFC 6066 §4).

use crate::common::configs::{Ends, server_name, start};
use crate::common::datagram_harness::{
    EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, SERVER_FLIGHT, scripted_client, scripted_server,
};
use crate::common::harness::{
    Harness, RENEWING_FLIGHT, RESUMING_FLIGHT, SESSION_TICKET, TICKET_FINALE,
};
use crate::common::renegotiating::allowing;
use crate::common::transport::{BOTH, Duo, Transport};
use sealgram::config::{DatagramPolicy, RekeyPolicy, Versions};
use sealgram::error::{PeerMisbehaved, SendError};
use sealgram::sim::scripted::Line;
use sealgram::sim::{StreamEnd, scripted13};
use sealgram::{Error, HandshakeKind, MaxFragmentLength, Side, TlsConnection};
use std::sync::Arc;

const MAX_FRAGMENT_LENGTH: u16 = 1;
const RECORD_SIZE_LIMIT: u16 = 28;

/// RFC 8449 §4: at 1.3 what follows the answer obeys already, the certificate above all.
#[test]
fn n59_05_the_certificate_of_a_server_of_1_3_obeys() {
    for (limit, fits) in [(16_384, true), (1000, false)] {
        let ends = Ends::new().versions(Versions::V1_3);
        let purpose = rcgen::ExtendedKeyUsagePurpose::ServerAuth;
        let mut peer = scripted13::ScriptedPeer::server(ends.pki.chain(purpose, 4096));
        peer.granted = vec![(RECORD_SIZE_LIMIT, vec![0x40, 1])];
        let client = ends.client.record_size_limit(limit).unwrap();
        let client = Arc::new(client.build().unwrap());
        let now = start();
        let mut ours = StreamEnd::new(TlsConnection::connect(now, client, server_name()).unwrap());
        peer.hear(&ours.transmit(now));
        let said = peer.speak(&[
            scripted13::Line::ServerHello,
            scripted13::Line::EncryptedExtensions,
        ]);
        ours.deliver(now, &said);
        assert_eq!(ours.error, None);
        let said = peer.speak(&[scripted13::Line::Certificate]);
        ours.deliver(now, &said);
        let overflow = Error::from(PeerMisbehaved::RecordOverflow);
        assert_eq!(ours.error, (!fits).then_some(overflow));
    }
}

/// RFC 6066 §4: a length holds for the rest of a server's first flight over datagrams too, which
/// would hold more.
#[test]
fn a_fragment_length_limits_an_unprotected_flight_over_datagrams() {
    let config = Ends::with_chain(4096).build().server;
    let mut harness = Harness::server(Transport::Dtls, config, scripted_client());
    harness
        .peer()
        .offer
        .set_extension(MAX_FRAGMENT_LENGTH, &[1]);
    harness.play_hello();
    let sent = harness.datagrams().sent.clone();
    let mut lengths = Vec::new();
    for datagram in &sent {
        let mut rest = &datagram[..];
        while let [_, .., high, low] = rest[..13] {
            let length = usize::from(u16::from_be_bytes([high, low]));
            lengths.push(length);
            rest = &rest[13 + length..];
            if rest.is_empty() {
                break;
            }
        }
    }
    assert_eq!(lengths.iter().max(), Some(&512), "{lengths:?}");
}

/// RFC 6066 §4: a client keeps the length of a session where it is resumed, whether or not the
/// server says it again, and so does the session that follows.
#[test]
fn a_client_keeps_the_fragment_length_of_a_session() {
    for transport in BOTH {
        let ends = Ends::new().resuming();
        let asking = ends.client.clone();
        let asking = asking.max_fragment_length(Some(MaxFragmentLength::Bytes512));
        let client = Arc::new(asking.build().unwrap());
        let server = || {
            let mut peer = scripted_server(&ends);
            peer.promises_ticket = true;
            peer.ticket = b"a ticket".to_vec();
            peer.choice.extensions = vec![
                (EXTENDED_MASTER_SECRET, Vec::new()),
                (RENEGOTIATION_INFO, vec![0]),
                (SESSION_TICKET, Vec::new()),
                (MAX_FRAGMENT_LENGTH, vec![1]),
            ];
            peer
        };
        let mut harness = Harness::client(transport, client.clone(), server());
        harness.serve([&SERVER_FLIGHT, &TICKET_FINALE]);
        assert_eq!(harness.record_limits(), (512, 512));
        let session = harness.peer().session();
        for (says, renews) in [(false, true), (true, false), (false, true), (false, false)] {
            let mut peer = server();
            if !renews {
                peer.promises_ticket = false;
                peer.choice.remove_extension(SESSION_TICKET);
            }
            if !says {
                peer.choice.remove_extension(MAX_FRAGMENT_LENGTH);
            }
            peer.resume(&session);
            let mut harness = Harness::client(transport, client.clone(), peer);
            harness.play(match renews {
                true => &RENEWING_FLIGHT,
                false => &RESUMING_FLIGHT,
            });
            harness.assert_done(1);
            assert_eq!(harness.kind(), Some(HandshakeKind::Resumed));
            assert_eq!(harness.record_limits(), (512, 512), "{transport:?} {says}");
        }
    }
}

/// RFC 8449 §4: what has waited for the end of a renegotiation, and is too long for what that has
/// agreed on, is lost, as datagrams may be; what waits behind it is not.
#[test]
fn data_that_became_too_long_does_not_hold_up_the_rest() {
    let mut ends = Ends::new();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    let config = ends.build().server;
    let mut harness = Harness::server(Transport::Dtls, config, scripted_client());
    harness.connect(Side::Server);
    harness.peer().renegotiate();
    harness
        .peer()
        .offer
        .set_extension(RECORD_SIZE_LIMIT, &[0, 64]);
    harness.play(&[Line::ClientHello]);
    for (length, byte) in [(1000, 1), (64, 2), (65, 3), (10, 4)] {
        harness.send(&vec![byte; length]).unwrap();
    }
    let before = harness.heard();
    harness.play(&crate::common::datagram_harness::CLIENT_FLIGHT);
    let heard = harness.data_heard_since(before);
    assert_eq!(heard, [vec![2; 64], vec![4; 10]].concat());
    harness.assert_done(2);
}

/// RFC 9146 §5: with connection IDs at 1.2 the type takes a byte of what the version allows, which
/// is nobody's limit but that of the version.
#[test]
fn the_limit_of_the_version_is_not_the_peers() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for length in [None, Some(0), Some(8)] {
            let policy = DatagramPolicy::default().mtu(65_507).unwrap();
            let policy = policy.connection_ids(length).unwrap();
            let ends = Ends::new().versions(versions).datagram(&policy);
            let mut duo = Duo::connected(Transport::Dtls, &ends.build());
            let inside = versions == Versions::V1_2 && length == Some(8);
            let max = 16_384 - usize::from(inside);
            assert_eq!(duo.max_payload(Side::Client), max);
            let longer = duo.send(Side::Client, &vec![7; max + 1]);
            assert_eq!(longer, Err(SendError::TooLarge { max }), "{versions:?}");
        }
    }
}
