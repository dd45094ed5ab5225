//! Choices that an administrator can make about peers: whose order counts, how long records are,
//! which faults are borne, and what old peers may lack.

use crate::common::configs::{Configs, Ends, SERVER, server_name, start};
use crate::common::datagram_harness::{
    DatagramHarness, FINALE, SERVER_FLIGHT, scripted_client, scripted_server,
};
use crate::common::judged::{CHOICES, judged};
use sealgram::config::{Algorithms, RekeyPolicy, SecureRenegotiation, StreamPolicy, Versions};
use sealgram::error::{PeerIncompatible, PeerMisbehaved, RenegotiateError};
use sealgram::identity::{Identity, WebPkiClientVerifier};
use sealgram::server::{ClientAuthentication, Preference};
use sealgram::sim::scripted::{ALERT, Line as Line12, ScriptedPeer as ScriptedPeer12};
use sealgram::sim::scripted13::{Heard, Line, ScriptedPeer};
use sealgram::sim::{StreamEnd, StreamPair};
use sealgram::{
    AlertDescription, CipherSuite, ClientConfig, Error, Event, HandshakeKind, NamedGroup,
    ServerConfig, SignatureScheme, TlsConnection,
};
use std::sync::Arc;
use std::time::Duration;

const AES: CipherSuite = CipherSuite::TLS_AES_128_GCM_SHA256;
const CHACHA: CipherSuite = CipherSuite::TLS_CHACHA20_POLY1305_SHA256;
const AES_12: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
const CHACHA_12: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;

const RENEGOTIATION_INFO: u16 = 0xff01;
const SERVER_CERTIFICATE_TYPE: u16 = 20;
const SUPPORTED_GROUPS: u16 = 10;

fn pair(configs: &Configs) -> StreamPair {
    let (client, server) = (configs.client.clone(), configs.server.clone());
    let mut pair = StreamPair::new(start(), client, server, server_name()).unwrap();
    pair.run();
    pair
}

#[test]
fn the_order_of_the_configured_side_decides_the_suite() {
    for (versions, aes, chacha) in [
        (Versions::V1_2, AES_12, CHACHA_12),
        (Versions::V1_3, AES, CHACHA),
    ] {
        for (preference, expected) in [(Preference::Server, aes), (Preference::Client, chacha)] {
            let mut ends = Ends::new().versions(versions);
            ends.client = ends
                .client
                .algorithms(Algorithms::default().cipher_suites(&[chacha, aes]).unwrap());
            ends.server = ends
                .server
                .algorithms(Algorithms::default().cipher_suites(&[aes, chacha]).unwrap());
            ends.server = ends.server.suite_preference(preference);
            let configs = ends.build();
            let chosen = pair(&configs).client.connection.cipher_suite();
            assert_eq!(chosen, Some(expected));
            let datagrams = configs.connected(1);
            let chosen = datagrams.client_connection().unwrap().cipher_suite();
            assert_eq!(chosen, Some(expected));
        }
    }
}

/// RFC 8446 §4.1.4: a round trip for the group that the server prefers, if that is what it wants.
#[test]
fn a_preferred_group_is_asked_for_where_the_policy_says_so() {
    let (p384, x25519) = (NamedGroup::SECP384R1, NamedGroup::X25519);
    for &asks in CHOICES {
        let expected = if asks { p384 } else { x25519 };
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.client = ends
            .client
            .algorithms(Algorithms::default().groups(&[x25519, p384]).unwrap());
        ends.server = ends
            .server
            .algorithms(Algorithms::default().groups(&[p384, x25519]).unwrap());
        ends.server = judged!(ends.server, ask_for_preferred_group: asks);
        let configs = ends.build();
        let streams = pair(&configs);
        let client = &streams.client.connection;
        assert_eq!(client.key_exchange_group(), Some(expected));
        assert_eq!(client.is_hello_retried(), expected == p384);
        // Over datagrams the first hello was forgotten in between.
        let datagrams = configs.connected(1);
        let client = datagrams.client_connection().unwrap();
        assert_eq!(client.key_exchange_group(), Some(expected));
    }
}

/// RFC 8446 §4.2.11: a ticket is for its hash, and here for its suite too: who changes that proves
/// again who it is.
#[test]
fn a_ticket_of_another_suite_is_no_fault_and_no_use() {
    let mut ends = Ends::new().versions(Versions::V1_3).resuming();
    ends.server = ends.server.suite_preference(Preference::Client);
    let pki_roots = ends.pki.roots();
    ends.client = ends
        .client
        .algorithms(Algorithms::default().cipher_suites(&[AES]).unwrap());
    let configs = ends.build();
    let session = pair(&configs).client.connection.session().unwrap();
    for (suites, kind) in [
        (&[AES, CHACHA][..], HandshakeKind::Resumed),
        (&[CHACHA, AES], HandshakeKind::Full),
    ] {
        let client = ClientConfig::with_roots(pki_roots.clone()).unwrap();
        let client = client.versions(Versions::V1_3);
        let client = client
            .algorithms(Algorithms::default().cipher_suites(suites).unwrap())
            .build()
            .unwrap();
        let name = server_name();
        client.import_session(&name, session.clone()).unwrap();
        let configs = Configs {
            client: Arc::new(client),
            server: configs.server.clone(),
        };
        let pair = pair(&configs);
        assert_eq!(pair.client.connection.handshake_kind(), Some(kind));
    }
}

/// What was shown and signed with in the first handshake is told at either end, the scheme also
/// where that handshake's session is resumed: from a server's ticket or cache, from a client's
/// store.
#[test]
fn both_ends_tell_what_was_shown_and_what_it_was_proved_with() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for tickets in [true, false] {
            let mut ends = Ends::new().versions(versions).resuming().mutual();
            let roots = ends.pki.roots();
            let ecdsa = ends.pki.server(&rcgen::PKCS_ECDSA_P384_SHA384);
            let server = ServerConfig::with_credential(ecdsa).versions(versions);
            let verifier = WebPkiClientVerifier::new(roots).unwrap();
            let verifier = ClientAuthentication::Required(Arc::new(verifier));
            ends.server = server.client_authentication(verifier);
            if !tickets && versions == Versions::V1_2 {
                ends.server = ends.server.tickets(None);
            }
            let configs = ends.build();
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let pair = pair(&configs);
                let (client, server) = (&pair.client.connection, &pair.server.connection);
                assert_eq!(client.handshake_kind(), Some(kind));
                let p384 = SignatureScheme::ECDSA_SECP384R1_SHA384;
                assert_eq!(client.peer_signature_scheme(), Some(p384));
                let ed25519 = SignatureScheme::ED25519;
                assert_eq!(server.peer_signature_scheme(), Some(ed25519));
                for (ours, peer) in [(client, server), (server, client)] {
                    let Some(chain) = peer.peer_identity().map(Identity::certificates) else {
                        panic!("the peer is somebody");
                    };
                    let shown = (kind == HandshakeKind::Full).then_some(chain);
                    assert_eq!(ours.local_identity().map(Identity::certificates), shown);
                }
            }
        }
    }
}

/// RFC 8446 §4.2.11.1: what the client's clock says of the ticket, against the server's.
#[test]
fn the_skew_of_a_tickets_age_is_told_where_it_was_used() {
    let configs = Ends::new().versions(Versions::V1_3).resuming().build();
    for (kind, expected) in [
        (HandshakeKind::Full, None),
        (HandshakeKind::Resumed, Some(0)),
    ] {
        let pair = pair(&configs);
        let server = &pair.server.connection;
        assert_eq!(server.handshake_kind(), Some(kind));
        assert_eq!(server.ticket_age_skew(), expected);
        assert_eq!(pair.client.connection.ticket_age_skew(), None);
    }
}

/// The master secret of a resumed session of 1.2 came from that exchange.
#[test]
fn a_resumed_session_of_1_2_tells_the_group_of_its_exchange() {
    let mut ends = Ends::new().resuming();
    ends.client = ends.client.algorithms(
        Algorithms::default()
            .groups(&[NamedGroup::SECP384R1])
            .unwrap(),
    );
    let configs = ends.build();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let pair = pair(&configs);
        for end in [&pair.client, &pair.server] {
            assert_eq!(end.connection.handshake_kind(), Some(kind));
            let group = end.connection.key_exchange_group();
            assert_eq!(group, Some(NamedGroup::SECP384R1));
        }
    }
}

/// RFC 8446 §4.6.1: a server may send several tickets after a handshake, or none.
#[test]
fn as_many_tickets_follow_a_handshake_as_the_server_says() {
    for count in [0, 1, 2, 8] {
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.server = ends.server.tickets_per_handshake(count).unwrap();
        let now = start();
        let server = TlsConnection::accept(now, ends.build().server).unwrap();
        let mut ours = StreamEnd::new(server);
        let mut peer = ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(45, &[1, 1]);
        ours.deliver(now, &peer.speak(&[Line::ClientHello]));
        peer.hear(&ours.transmit(now));
        ours.deliver(now, &peer.speak(&[Line::Finished]));
        peer.hear(&ours.transmit(now));
        let tickets = peer.heard.iter();
        let tickets = tickets.filter(|heard| matches!(heard, Heard::Message(4, _)));
        assert_eq!(tickets.count(), usize::from(count));
    }
    assert!(Ends::new().server.tickets_per_handshake(9).is_err());
}

/// RFC 8701 §4.1: an extension of a number that is never given to anything, in every ticket.
#[test]
fn tickets_hold_an_unknown_extension_where_the_policy_says_so() {
    for &grease in CHOICES {
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.server = judged!(ends.server, grease_tickets: grease);
        let now = start();
        let server = TlsConnection::accept(now, ends.build().server).unwrap();
        let mut ours = StreamEnd::new(server);
        let mut peer = ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(45, &[1, 1]);
        let hello = peer.speak(&[Line::ClientHello]);
        ours.deliver(now, &hello);
        peer.hear(&ours.transmit(now));
        let finished = peer.speak(&[Line::Finished]);
        ours.deliver(now, &finished);
        peer.hear(&ours.transmit(now));
        let tickets = peer.heard.iter().filter_map(|heard| match heard {
            Heard::Message(4, body) => Some(body.as_slice()),
            _ => None,
        });
        let tails: Vec<_> = tickets.map(|body| &body[body.len() - 6..]).collect();
        assert_eq!(tails.len(), 2);
        for tail in tails {
            let known = matches!(tail, [0, 4, a, b, 0, 0] if a == b && a & 15 == 10);
            assert_eq!(known, grease, "{tail:?}");
        }
    }
}

/// RFC 5246 §6.2.1: a sender may send shorter records than the peer would take, messages included.
#[test]
fn records_are_as_long_as_the_policy_says() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let policy = StreamPolicy::default().max_fragment(512).unwrap();
        let mut ends = Ends::new().versions(versions);
        ends.server = ends.server.stream(policy);
        let configs = ends.build();
        let (mut client, mut server) = {
            let client = TlsConnection::connect(start(), configs.client, server_name()).unwrap();
            let server = TlsConnection::accept(start(), configs.server).unwrap();
            (StreamEnd::new(client), StreamEnd::new(server))
        };
        let mut longest = 0;
        for round in 0..4 {
            server.deliver(start(), &client.transmit(start()));
            if round == 3 {
                server.connection.send(start(), &[7; 1200]).unwrap();
            }
            let bytes = server.transmit(start());
            let mut rest = &bytes[..];
            while let [_, _, _, high, low, after @ ..] = rest {
                let length = usize::from(*high) << 8 | usize::from(*low);
                longest = longest.max(length);
                rest = &after[length..];
            }
            client.deliver(start(), &bytes);
        }
        assert_eq!(client.received, [7; 1200]);
        // Nonce and tag of 1.2, type and tag of 1.3.
        assert!((512..=512 + 24).contains(&longest), "{longest}");
    }
    assert!(StreamPolicy::default().max_fragment(511).is_err());
    assert!(StreamPolicy::default().max_fragment((1 << 14) + 1).is_err());
}

/// Our client over a stream, connected with a scripted server of 1.2.
fn connected_12(ends: Ends) -> (StreamEnd, ScriptedPeer12) {
    let mut peer = scripted_server(&ends).over_stream();
    let now = start();
    let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
    let mut ours = StreamEnd::new(client);
    peer.hear(&ours.transmit(now));
    for line in [&SERVER_FLIGHT[..], &FINALE].concat() {
        for record in peer.speak(&[line]) {
            ours.deliver(now, &record);
        }
        peer.hear(&ours.transmit(now));
    }
    (ours, peer)
}

/// RFC 8446 §5.1: the version in a record of 1.3 is ignored, by default.
#[test]
fn the_version_in_a_record_of_1_3_matters_where_the_policy_says_so() {
    for &check in CHOICES {
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.client = judged!(ends.client, check_record_version: check);
        let configs = ends.build();
        let mut pair = pair(&configs);
        let (now, client, server) = (pair.now, &mut pair.client, &mut pair.server);
        server.connection.send(now, b"data").unwrap();
        let honest = server.transmit(now);
        assert_eq!(honest[1..3], [3, 3]);
        client.deliver(now, &honest);
        assert_eq!(client.received, b"data");
        // It is part of what is authenticated (§5.2), so another one is a forgery at the latest.
        server.connection.send(now, b"data").unwrap();
        let mut altered = server.transmit(now);
        altered[2] = 1;
        client.deliver(now, &altered);
        let expected = match check {
            true => PeerMisbehaved::WrongRecordVersion,
            false => PeerMisbehaved::BadRecordMac,
        };
        assert_eq!(client.error, Some(expected.into()));
    }
}

/// RFC 8422 §4: a client of 1.2 that lists no groups takes any, unless the policy is not to guess.
#[test]
fn a_client_without_supported_groups_is_served_where_the_policy_says_so() {
    for &required in CHOICES {
        let mut ends = Ends::new();
        ends.server = judged!(ends.server, require_supported_groups: required);
        let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
        harness.peer.offer.remove_extension(SUPPORTED_GROUPS);
        harness.exchange_cookies();
        let expected = Error::from(PeerIncompatible::NoCommonGroup);
        assert_eq!(harness.error(), required.then_some(expected));
    }
}

/// C11: how many warnings in a row are borne; data between them starts the count again. A judge may
/// want fewer.
#[test]
fn no_more_than_32_warnings_in_a_row_are_borne() {
    for &fewer in CHOICES {
        let most = if fewer { 4 } else { 32 };
        for (first, second, fine) in [
            (most, most, true),
            (most + 1, 0, false),
            (most, most + 1, false),
        ] {
            let now = start();
            let ends = judged!(Ends::new(), max_warnings: most);
            let (mut ours, mut peer) = connected_12(ends);
            for count in [first, second] {
                for _ in 0..count {
                    let record = peer.record(ALERT, 1, &[1, AlertDescription::USER_CANCELED.0]);
                    ours.deliver(now, &record);
                }
                let record = peer.data(b"data");
                ours.deliver(now, &record);
            }
            let expected = PeerMisbehaved::TooManyWarnings.into();
            assert_eq!(ours.error, if fine { None } else { Some(expected) });
        }
    }
}

fn prefer(ends: Ends) -> Ends {
    let policy = SecureRenegotiation::Prefer;
    Ends {
        client: ends.client.secure_renegotiation(policy),
        server: ends.server.secure_renegotiation(policy),
        ..ends
    }
}

/// RFC 5746 §4.1: a client may talk to a server that does not bind handshakes, and must not
/// renegotiate with it.
#[test]
fn an_old_server_is_served_and_nothing_is_renegotiated_with_it() {
    for required in [true, false] {
        let mut ends = Ends::new();
        let rekey = RekeyPolicy::default().follow_hello_requests(true);
        ends.client = ends.client.rekey(rekey);
        if !required {
            ends = prefer(ends);
        }
        let peer = scripted_server(&ends);
        let mut harness = DatagramHarness::client(ends.build().client, peer);
        harness.exchange_cookies();
        harness.peer.choice.extensions = vec![(23, Vec::new())];
        harness.play(&SERVER_FLIGHT);
        harness.play(&FINALE);
        if required {
            let expected = PeerIncompatible::SecureRenegotiationRequired.into();
            assert_eq!(harness.error(), Some(expected));
            continue;
        }
        assert!(harness.exchange(3));
        let id = harness.id().unwrap();
        let outcome = harness
            .endpoint
            .association(harness.now, id)
            .unwrap()
            .renegotiate();
        assert_eq!(
            outcome.unwrap_err().to_string(),
            RenegotiateError::Insecure.to_string()
        );
        harness.peer.renegotiate();
        harness.play(&[Line12::HelloRequest]);
        assert_eq!(
            harness.peer.alerts_heard(),
            [(1, AlertDescription::NO_RENEGOTIATION.0)]
        );
        assert!(harness.exchange(3));
    }
}

/// RFC 5746 §3.6: a server answers the extension to those alone that know it, and does not
/// renegotiate with the others.
#[test]
fn an_old_client_is_served_and_nothing_is_renegotiated_with_it() {
    for required in [true, false] {
        let mut ends = Ends::new();
        if !required {
            ends = prefer(ends);
        }
        let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
        harness.peer.offer.remove_extension(RENEGOTIATION_INFO);
        if required {
            harness.exchange_cookies();
            let expected = PeerIncompatible::SecureRenegotiationRequired.into();
            assert_eq!(harness.error(), Some(expected));
            continue;
        }
        harness.complete();
        assert_eq!(harness.peer.choice.extension(RENEGOTIATION_INFO), None);
        let id = harness.id().unwrap();
        let outcome = harness
            .endpoint
            .association(harness.now, id)
            .unwrap()
            .renegotiate();
        assert_eq!(
            outcome.unwrap_err().to_string(),
            RenegotiateError::Insecure.to_string()
        );
        assert!(harness.exchange(3));
    }
}

/// RFC 9325 §3.8: a protocol that was not offered is refused, unless a judge wants it taken.
#[test]
fn a_protocol_that_was_not_offered_is_taken_where_the_policy_says_so() {
    for &take in CHOICES {
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.client = ends.client.alpn(&[b"a"]).unwrap();
        ends.client = judged!(ends.client, take_unoffered_alpn: take);
        let mut peer = ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519));
        peer.granted = vec![(16, vec![0, 2, 1, b'z'])];
        let now = start();
        let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
        let mut ours = StreamEnd::new(client);
        peer.hear(&ours.transmit(now));
        let flight = peer.speak(&[
            Line::ServerHello,
            Line::EncryptedExtensions,
            Line::Certificate,
            Line::CertificateVerify,
            Line::Finished,
        ]);
        ours.deliver(now, &flight);
        let refused = PeerMisbehaved::SelectedUnofferedApplicationProtocol.into();
        assert_eq!(ours.error, if take { None } else { Some(refused) });
        let agreed = ours.connection.alpn().map(<[u8]>::to_vec);
        assert_eq!(agreed, take.then(|| b"z".to_vec()));
    }
}

/// RFC 7250 §4.2: a client that takes no X.509 certificates gets none.
#[test]
fn a_client_that_takes_raw_keys_alone_is_told_so() {
    for (types, fine) in [(&[1, 2][..], false), (&[2, 2, 0], true)] {
        let mut harness = DatagramHarness::server(Ends::new().build().server, scripted_client());
        harness
            .peer
            .offer
            .set_extension(SERVER_CERTIFICATE_TYPE, types);
        harness.exchange_cookies();
        assert_eq!(harness.peer.messages_heard().contains(&11), fine);
        let now = start();
        let ends = Ends::new().versions(Versions::V1_3);
        let server = TlsConnection::accept(now, ends.build().server).unwrap();
        let mut ours = StreamEnd::new(server);
        let mut peer = ScriptedPeer::client(SERVER, None);
        peer.offer.set_extension(SERVER_CERTIFICATE_TYPE, types);
        let hello = peer.speak(&[Line::ClientHello]);
        ours.deliver(now, &hello);
        let expected = Error::from(PeerIncompatible::NoCommonCertificateType);
        assert_eq!(ours.error, (!fine).then_some(expected));
    }
}

/// RFC 5246 §7.2.1: what was on its way when this end closed is taken, and what ends the stream is
/// the peer's own goodbye.
#[test]
fn what_was_on_its_way_is_taken_after_close() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).build();
        let mut pair = pair(&configs);
        pair.server
            .connection
            .send(pair.now, b"on its way")
            .unwrap();
        pair.client.connection.close(pair.now);
        assert!(pair.client.connection.is_write_closed());
        assert!(!pair.client.connection.is_closed());
        pair.run();
        assert_eq!(pair.client.received, b"on its way");
        assert!(pair.server.events.contains(&Event::PeerClosed));
        pair.server.connection.close(pair.now);
        pair.run();
        assert!(pair.client.connection.is_closed() && pair.server.connection.is_closed());
        assert!(!pair.client.events.contains(&Event::Truncated));
    }
    // A peer that only vanishes then: at 1.2 it owes nothing more (RFC 5246 §7.2.1), at 1.3 it may
    // have had more to say.
    for (versions, cut_off) in [(Versions::V1_2, false), (Versions::V1_3, true)] {
        let mut pair = pair(&Ends::new().versions(versions).build());
        pair.client.connection.close(pair.now);
        pair.client.connection.handle_eof().unwrap();
        pair.run();
        assert!(pair.client.connection.is_closed());
        assert_eq!(pair.client.events.contains(&Event::Truncated), cut_off);
    }
}

/// What was asked for before this end closed is not waited for, however long the peer stays.
#[test]
fn a_hello_request_before_close_does_not_time_out() {
    let mut pair = pair(&Ends::new().build());
    pair.server.connection.renegotiate().unwrap();
    let _request = pair.server.transmit(pair.now);
    pair.server.connection.close(pair.now);
    let later = pair.now + Duration::from_secs(3600);
    assert_eq!(pair.server.connection.poll_timeout(), None);
    assert_eq!(pair.server.connection.handle_timeout(later), Ok(()));
    assert!(!pair.server.connection.is_closed());
}

/// A wish to renegotiate that comes behind close_notify meets the policy, and no alert any more.
#[test]
fn after_close_a_hello_request_is_not_answered() {
    let ends = Ends::new();
    let now = start();
    let (mut ours, mut peer) = connected_12(ends);
    ours.connection.close(now);
    peer.hear(&ours.transmit(now));
    assert_eq!(peer.alerts_heard(), [(1, 0)]);
    peer.renegotiate();
    for record in peer.speak(&[Line12::HelloRequest]) {
        ours.deliver(now, &record);
    }
    assert!(ours.transmit(now).is_empty());
    assert_eq!(ours.error, None);
    assert!(!ours.connection.is_closed());
}

/// RFC 7507 §3: a server that could have spoken more does not take a client that has come down.
#[test]
fn a_client_that_came_down_without_need_is_refused() {
    #[cfg(feature = "conformance")]
    for (server, fine) in [(Versions::V1_2, true), (Versions::ALL, false)] {
        let mut ends = Ends::new();
        ends.client = judged!(ends.client, fall_back: true);
        ends.server = ends.server.versions(server);
        let pair = pair(&ends.build());
        let refused = Error::from(PeerIncompatible::InappropriateFallback);
        assert_eq!(
            refused.alert(),
            Some(AlertDescription::INAPPROPRIATE_FALLBACK)
        );
        assert_eq!(pair.server.error, (!fine).then_some(refused));
        assert_eq!(pair.client.error.is_none(), fine);
    }
    // One that speaks 1.1 at most would get 1.2 without the signal no more than with it, but is
    // told why.
    let mut harness = DatagramHarness::server(Ends::new().build().server, scripted_client());
    harness.peer.offer.version = 0xfeff;
    harness.peer.offer.suites.push(0x5600);
    harness.exchange_cookies();
    let refused = Error::from(PeerIncompatible::InappropriateFallback);
    assert_eq!(harness.error(), Some(refused));
}
