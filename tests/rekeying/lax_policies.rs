//! What a policy can allow although an RFC advises against it, for peers that cannot be replaced,
//! and what stays forbidden even then; and what a policy can keep through renegotiations.

#![cfg_attr(
    not(feature = "conformance"),
    allow(unused_imports, reason = "some tests need the feature")
)]

use crate::common::configs::{Ends, server_name, start};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, EXTENDED_MASTER_SECRET, FINALE, RENEGOTIATION_INFO, SERVER_FLIGHT,
    scripted_client, scripted_server,
};
use crate::common::harness::{ALPN, Harness, RESUMING_FLIGHT, SESSION_TICKET};
use crate::common::judged::{CHOICES, judged};
use crate::common::renegotiating::{allowing, everywhere};
use crate::common::transport::{BOTH, SIDES, Transport};
use sealgram::config::{ExtendedMasterSecret, RekeyPolicy, SecureRenegotiation};
use sealgram::error::{ApiMisuse, PeerIncompatible, PeerMisbehaved, RenegotiateError};
use sealgram::sim::StreamPair;
use sealgram::sim::scripted::Line;
use sealgram::{Error, HandshakeKind, Side};

/// Opposite a peer that knows nothing of RFC 5746 and that this policy serves.
#[cfg(feature = "conformance")]
fn unbound(side: Side, transport: Transport) -> Harness {
    let policy = SecureRenegotiation::Prefer;
    let mut ends = judged!(Ends::new(), renegotiate_unbound: true);
    ends.client = ends.client.secure_renegotiation(policy);
    ends.server = ends.server.secure_renegotiation(policy);
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    let mut peer = match side {
        Side::Client => scripted_server(&ends),
        Side::Server => scripted_client(),
    };
    peer.offer.remove_extension(RENEGOTIATION_INFO);
    let mut harness = Harness::of(side, transport, &ends.build(), peer);
    if side == Side::Client {
        harness.peer().choice.remove_extension(RENEGOTIATION_INFO);
    }
    harness.connect(side);
    harness
}

/// The next handshake begins, with or without renegotiation_info of the peer.
#[cfg(feature = "conformance")]
fn begin(harness: &mut Harness, side: Side, called: bool, binds: bool) {
    if side == Side::Client {
        harness.begin(side, called);
        if !binds {
            harness.peer().choice.remove_extension(RENEGOTIATION_INFO);
        }
        return;
    }
    harness.peer().renegotiate();
    if !binds {
        harness.peer().offer.remove_extension(RENEGOTIATION_INFO);
    }
    if called {
        harness.renegotiate(false).unwrap();
    }
    harness.play(&[Line::ClientHello]);
}

/// RFC 5746 §4.2: a client says what it remembers all the same, so that a server that was put in
/// the place of the old one notices.
#[cfg(feature = "conformance")]
#[test]
fn a_peer_that_does_not_bind_is_renegotiated_with_where_the_policy_says_so() {
    everywhere(|side, transport, called| {
        let mut harness = unbound(side, transport);
        for epoch in [2, 3] {
            begin(&mut harness, side, called, false);
            if side == Side::Client {
                let said = harness.peer().offer.extension(RENEGOTIATION_INFO);
                let own_finished = said.map(<[u8]>::len);
                assert_eq!(own_finished, Some(1 + 12));
            } else {
                let answered = harness.peer().choice.extension(RENEGOTIATION_INFO);
                assert_eq!(answered, None);
            }
            harness.finish(side, epoch);
        }
    });
}

/// RFC 5746 §4.2, §4.4: who has not bound before and does so now is somebody else.
#[cfg(feature = "conformance")]
#[test]
fn a_peer_that_begins_to_bind_in_a_renegotiation_is_refused() {
    everywhere(|side, transport, called| {
        let mut harness = unbound(side, transport);
        begin(&mut harness, side, called, true);
        if side == Side::Client {
            harness.play(&SERVER_FLIGHT);
        }
        let expected = PeerMisbehaved::WrongRenegotiationInfo;
        assert_eq!(harness.error(), Some(Error::from(expected)));
    });
}

/// RFC 7627 §5.3, §5.4: a session without extended_master_secret is resumed where the policy says
/// so, and nothing is renegotiated then. A hello that has the extension gets a full handshake.
#[test]
fn a_server_resumes_unbound_sessions_where_the_policy_says_so() {
    for &resumes in CHOICES {
        for (transport, tickets, bound) in BOTH.iter().flat_map(|&transport| {
            [(false, false), (true, false), (true, true)].map(|(a, b)| (transport, a, b))
        }) {
            let mut ends = Ends::new();
            ends.server = judged!(ends.server, resume_without_extended_master_secret: resumes);
            let server = ends.build().server;
            let client = |bound: bool| {
                let mut peer = scripted_client();
                if tickets {
                    peer.offer.set_extension(SESSION_TICKET, &[]);
                }
                if !bound {
                    peer.offer.remove_extension(EXTENDED_MASTER_SECRET);
                }
                peer
            };
            let mut harness = Harness::server(transport, server.clone(), client(false));
            harness.visit(&CLIENT_FLIGHT);
            let session = harness.peer().session();
            let named = !session.id.is_empty() || !session.ticket.is_empty();
            assert_eq!(named, resumes);
            if !named {
                continue;
            }
            let mut harness = Harness::server(transport, server, client(bound));
            harness.peer().resume(&session);
            harness.play_hello();
            assert_eq!(harness.peer().is_resuming(), !bound);
            if bound {
                continue;
            }
            harness.play(&FINALE);
            harness.assert_done(1);
            assert_eq!(harness.kind(), Some(HandshakeKind::Resumed));
            assert_eq!(harness.renegotiate(false), Err(RenegotiateError::Insecure));
        }
    }
}

/// RFC 7627 §5.3: the same for a client, which ends a handshake whose server grants the extension
/// to such a session.
#[test]
fn a_client_resumes_unbound_sessions_where_the_policy_says_so() {
    for &resumes in CHOICES {
        for (transport, bound) in BOTH.iter().flat_map(|&it| [(it, false), (it, true)]) {
            let mut ends = Ends::new().resuming();
            ends.client = judged!(ends.client, resume_without_extended_master_secret: resumes);
            let server = || {
                let mut peer = scripted_server(&ends);
                peer.choice.session_id = vec![7; 32];
                peer
            };
            let (first, second) = (server(), server());
            let client = ends.build().client;
            let mut harness = Harness::client(transport, client.clone(), first);
            harness
                .peer()
                .choice
                .remove_extension(EXTENDED_MASTER_SECRET);
            harness.serve([&SERVER_FLIGHT, &FINALE]);
            assert_eq!(harness.session().is_some(), resumes);
            if !resumes {
                continue;
            }
            let session = harness.peer().session();
            let mut harness = Harness::client(transport, client, second);
            harness.peer().resume(&session);
            assert_eq!(harness.peer().offer.session_id, vec![7; 32]);
            if !bound {
                harness
                    .peer()
                    .choice
                    .remove_extension(EXTENDED_MASTER_SECRET);
            }
            harness.play(&RESUMING_FLIGHT);
            if bound {
                let expected = PeerMisbehaved::ResumedWithOtherMasterSecret;
                assert_eq!(harness.error(), Some(Error::from(expected)));
                continue;
            }
            harness.assert_done(1);
            assert_eq!(harness.kind(), Some(HandshakeKind::Resumed));
            assert_eq!(harness.renegotiate(false), Err(RenegotiateError::Insecure));
        }
    }
}

/// RFC 7301 §3.1 has the protocol agreed anew; an application that keeps it neither asks nor
/// answers again, and takes no answer.
#[cfg(feature = "conformance")]
#[test]
fn an_application_protocol_is_kept_where_the_policy_says_so() {
    everywhere(|side, transport, called| {
        let mut ends = judged!(Ends::new(), keep_application_protocol: true);
        ends.client = ends.client.alpn(&[b"a", b"b"]).unwrap();
        ends.server = ends.server.alpn(&[b"a", b"b"]).unwrap();
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let mut peer = match side {
            Side::Client => scripted_server(&ends),
            Side::Server => scripted_client(),
        };
        peer.offer.set_extension(ALPN, b"\0\x02\x01b");
        let mut harness = Harness::of(side, transport, &ends.build(), peer);
        if side == Side::Client {
            harness.peer().choice.set_extension(ALPN, b"\0\x02\x01b");
        }
        harness.connect(side);
        assert_eq!(harness.alpn(), Some(b"b".to_vec()));
        if side == Side::Server {
            harness.peer().offer.set_extension(ALPN, b"\0\x02\x01a");
        }
        harness.begin(side, called);
        let said = match side {
            Side::Client => harness.peer().offer.extension(ALPN),
            Side::Server => harness.peer().choice.extension(ALPN),
        };
        assert_eq!(said, None);
        harness.finish(side, 2);
        assert_eq!(harness.alpn(), Some(b"b".to_vec()));
        if side == Side::Client {
            harness.begin(side, called);
            harness.peer().choice.set_extension(ALPN, b"\0\x02\x01b");
            harness.play(&SERVER_FLIGHT);
            let expected = PeerMisbehaved::UnsolicitedExtension(ALPN);
            assert_eq!(harness.error(), Some(Error::from(expected)));
        }
    });
}

/// RFC 5705 §4 exports from the session in force; while another one is on its way, a judge wants it
/// to wait.
#[test]
fn keys_are_not_exported_during_a_renegotiation_where_the_policy_says_so() {
    for &refuses in CHOICES {
        let mut ends = Ends::new();
        ends.client = judged!(ends.client, refuse_export_during_renegotiation: refuses);
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let configs = ends.build();
        let mut pair =
            StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
        pair.run();
        let now = pair.now;
        let exported = |pair: &StreamPair| {
            let mut keys = [0; 16];
            let client = &pair.client.connection;
            let outcome = client.export_keying_material(&mut keys, b"label", None);
            outcome.map(|()| keys)
        };
        let before = exported(&pair).unwrap();
        pair.client.connection.renegotiate().unwrap();
        let hello = pair.client.transmit(now);
        assert!(!hello.is_empty());
        let meanwhile = exported(&pair);
        let expected = if refuses {
            Err(ApiMisuse::Renegotiating)
        } else {
            Ok(before)
        };
        assert_eq!(meanwhile, expected);
        pair.server.deliver(now, &hello);
        pair.run();
        assert_eq!(pair.client.connection.renegotiations(), 1);
        assert_ne!(exported(&pair).unwrap(), before);
    }
}

/// RFC 7627 §5.2: who wants no peer without extended_master_secret says so, and then neither end
/// serves one.
#[test]
fn a_peer_without_extended_master_secret_is_refused_where_it_is_required() {
    for transport in BOTH {
        for side in SIDES {
            let mut ends = Ends::new();
            let require = ExtendedMasterSecret::Require;
            ends.client = ends.client.extended_master_secret(require);
            ends.server = ends.server.extended_master_secret(require);
            let mut peer = match side {
                Side::Client => scripted_server(&ends),
                Side::Server => scripted_client(),
            };
            peer.offer.remove_extension(EXTENDED_MASTER_SECRET);
            let mut harness = Harness::of(side, transport, &ends.build(), peer);
            match side {
                Side::Client => {
                    let choice = &mut harness.peer().choice;
                    choice.extensions = vec![(RENEGOTIATION_INFO, vec![0])];
                    harness.play(&[Line::ServerHello]);
                }
                Side::Server => harness.play_hello(),
            }
            let fact = PeerIncompatible::ExtendedMasterSecretRequired;
            assert_eq!(harness.error(), Some(Error::PeerIncompatible(fact)));
        }
    }
}
