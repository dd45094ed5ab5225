//! Section F of the failure catalogue at version 1.2: what clients of ours keep, offer and forget,
//! opposite a scripted server, by ID and by ticket, over both transports. Servers, and the table of
//! the section, are in `tests/sessions/server.rs`; here are F4, F5, F6, F11, F15 and F17 of
//! clients.

use crate::common::configs::{Ends, server_name};
use crate::common::datagram_harness::{
    EXTENDED_MASTER_SECRET, FINALE, RENEGOTIATION_INFO, SERVER_FLIGHT, scripted_server,
};
use crate::common::harness::{
    CERTIFICATE, Harness, PATIENCE, RENEWING_FLIGHT, RESUMING_FLIGHT, SESSION_TICKET, TICKET_FINALE,
};
use crate::common::renegotiating::SetClock;
use crate::common::transport::{BOTH, Transport};
use sealgram::config::{ExtendedMasterSecret, Versions};
use sealgram::error::{PeerIncompatible, PeerMisbehaved};
use sealgram::pki_types::{ServerName, UnixTime};
use sealgram::session::{MemoryClientSessions, Session};
use sealgram::sim::scripted::{Line, ScriptedPeer, ScriptedSession, ServerChoice};
use sealgram::{ClientConfig, Error, HandshakeKind};
use std::sync::Arc;
use std::time::Duration;

/// A client with a store that the test sees, and whom its servers are.
struct House {
    ends: Ends,
    client: Arc<ClientConfig>,
    store: Arc<MemoryClientSessions>,
    clock: Arc<SetClock>,
}

impl House {
    fn new() -> Self {
        Self::with(ExtendedMasterSecret::Require)
    }

    fn with(policy: ExtendedMasterSecret) -> Self {
        let ends = Ends::new();
        let (store, clock) = (Arc::new(MemoryClientSessions::new(8)), SetClock::new());
        let builder = ends.client.clone().session_store(Some(store.clone()));
        let builder = builder.extended_master_secret(policy).clock(clock.clone());
        let client = Arc::new(builder.build().unwrap());
        Self {
            ends,
            client,
            store,
            clock,
        }
    }

    /// A server that gives its sessions an ID, or tickets.
    fn server(&self, tickets: bool) -> ScriptedPeer {
        let mut peer = scripted_server(&self.ends);
        if tickets {
            peer.promises_ticket = true;
            peer.ticket = b"a ticket of a scripted server".to_vec();
            peer.ticket_lifetime = 7200;
        } else {
            peer.choice.session_id = vec![7; 32];
        }
        peer
    }

    fn harness(&self, transport: Transport, peer: ScriptedPeer) -> Harness {
        Harness::client(transport, self.client.clone(), peer)
    }

    /// A first, full handshake, and the session that it made, as the server keeps it.
    fn visit(&self, transport: Transport, tickets: bool) -> ScriptedSession {
        let mut harness = self.harness(transport, self.server(tickets));
        serve(&mut harness, tickets);
        let session = harness.peer().session();
        assert_eq!(self.store.len(), 1);
        session
    }

    /// A second connection to a server that resumes `session` if it is asked to.
    fn again(&self, transport: Transport, tickets: bool, session: &ScriptedSession) -> Harness {
        let mut peer = self.server(tickets);
        peer.resume(session);
        self.harness(transport, peer)
    }
}

/// A full handshake.
fn serve(harness: &mut Harness, tickets: bool) {
    let finale: &[Line] = if tickets { &TICKET_FINALE } else { &FINALE };
    harness.serve([&SERVER_FLIGHT, finale]);
    assert_eq!(harness.kind(), Some(HandshakeKind::Full));
}

/// An abbreviated handshake.
fn resume(harness: &mut Harness, renews: bool) {
    let flight: &[Line] = if renews {
        &RENEWING_FLIGHT
    } else {
        &RESUMING_FLIGHT
    };
    harness.play(flight);
    harness.assert_done(1);
    assert_eq!(harness.kind(), Some(HandshakeKind::Resumed));
}

/// Whether the hello that the peer has heard offers something.
fn offers(harness: &mut Harness) -> bool {
    let offer = &harness.peer().offer;
    !offer.session_id.is_empty()
        || offer
            .extension(SESSION_TICKET)
            .is_some_and(|ticket| !ticket.is_empty())
}

/// Over every transport, by ID and by ticket.
fn everywhere(mut test: impl FnMut(Transport, bool)) {
    for transport in BOTH {
        for tickets in [false, true] {
            test(transport, tickets);
        }
    }
}

#[test]
fn a_session_is_offered_and_resumed_more_than_once() {
    everywhere(|transport, tickets| {
        let house = House::new();
        let session = house.visit(transport, tickets);
        for renews in [false, tickets, tickets, false] {
            let mut harness = house.again(transport, tickets, &session);
            assert!(offers(&mut harness));
            harness.peer().promises_ticket = renews;
            if !renews {
                harness.peer().choice.remove_extension(SESSION_TICKET);
            }
            resume(&mut harness, renews);
            assert!(harness.has_peer_identity(), "F3");
        }
    });
}

/// A server may forget; then the handshake is a full one, and its session replaces the old one.
#[test]
fn a_server_that_has_forgotten_gets_a_full_handshake() {
    everywhere(|transport, tickets| {
        let house = House::new();
        house.visit(transport, tickets);
        let mut peer = house.server(tickets);
        peer.ticket = b"another ticket".to_vec();
        if !tickets {
            peer.choice.session_id = vec![8; 32];
        }
        let mut harness = house.harness(transport, peer);
        assert!(offers(&mut harness));
        serve(&mut harness, tickets);
        let session = harness.peer().session();
        let mut harness = house.again(transport, tickets, &session);
        let offer = harness.peer().offer.clone();
        if tickets {
            assert_eq!(
                offer.extension(SESSION_TICKET),
                Some(&b"another ticket"[..])
            );
        } else {
            assert_eq!(offer.session_id, vec![8; 32]);
        }
        resume(&mut harness, tickets);
    });
}

/// F4 (wolfSSL CVE-2026-94419): two servers that give the same ID to different sessions.
#[test]
fn equal_session_ids_of_two_servers_are_two_sessions() {
    for transport in BOTH {
        for tickets in [false, true] {
            let house = House::new();
            let store = Arc::new(MemoryClientSessions::new(8));
            let trusting = ClientConfig::dangerous()
                .accept_any_certificate()
                .versions(Versions::V1_2);
            let client = Arc::new(trusting.session_store(Some(store.clone())).build().unwrap());
            let names = ["one.test", "two.test"].map(|name| ServerName::try_from(name).unwrap());
            let visit = |name: &ServerName<'static>, peer| {
                Harness::client_of(transport, client.clone(), name.clone(), peer)
            };
            let sessions = names.clone().map(|name| {
                let mut harness = visit(&name, house.server(tickets));
                assert!(!offers(&mut harness));
                serve(&mut harness, tickets);
                harness.peer().session()
            });
            assert_eq!(sessions[0].id, sessions[1].id);
            assert_ne!(sessions[0].master, sessions[1].master);
            assert_eq!(store.len(), 2);
            for (name, session) in names.iter().zip(&sessions) {
                let mut peer = house.server(tickets);
                peer.resume(session);
                let mut harness = visit(name, peer);
                resume(&mut harness, tickets);
            }
        }
    }
}

/// F4, F6: sessions of one transport, and of one configuration, are not offered to another.
#[test]
fn sessions_of_another_transport_or_configuration_are_not_offered() {
    everywhere(|transport, tickets| {
        let house = House::new();
        house.visit(transport, tickets);
        let other = match transport {
            Transport::Dtls => Transport::Tls,
            Transport::Tls => Transport::Dtls,
        };
        assert!(!offers(&mut house.harness(other, house.server(tickets))));
        let builder = house
            .ends
            .client
            .clone()
            .session_store(Some(house.store.clone()));
        let sibling = Arc::new(builder.build().unwrap());
        assert!(!offers(&mut Harness::client(
            transport,
            sibling,
            house.server(tickets)
        )));
        assert!(offers(&mut house.harness(transport, house.server(tickets))));
    });
}

/// F5: a lifetime of more than seven days, and one of none, end after a day.
#[test]
fn the_lifetime_of_a_ticket_ends_after_a_day_whatever_the_server_says() {
    const DAY: i64 = 86_400;
    for transport in BOTH {
        for (hint, seconds, offered) in [
            (8 * 86_400, DAY - 1, true),
            (8 * 86_400, DAY, false),
            (u32::MAX, DAY, false),
            (0, DAY - 1, true),
            (0, DAY, false),
            (100, 99, true),
            (100, 100, false),
        ] {
            let house = House::new();
            let mut peer = house.server(true);
            peer.ticket_lifetime = hint;
            let mut harness = house.harness(transport, peer);
            serve(&mut harness, true);
            house.clock.shift(seconds);
            let mut harness = house.harness(transport, house.server(true));
            assert_eq!(
                offers(&mut harness),
                offered,
                "{transport:?} {hint} {seconds}"
            );
        }
    }
}

/// F15: the client's clock, an hour back and eight days ahead.
#[test]
fn a_clock_that_jumps_keeps_the_session_back() {
    everywhere(|transport, tickets| {
        for (seconds, offered) in [(-30, true), (-3600, false), (8 * 86_400, false)] {
            let house = House::new();
            house.visit(transport, tickets);
            house.clock.shift(seconds);
            let mut harness = house.harness(transport, house.server(tickets));
            assert_eq!(
                offers(&mut harness),
                offered,
                "{transport:?} {tickets} {seconds}"
            );
            if !offered {
                serve(&mut harness, tickets);
                assert!(offers(&mut house.harness(transport, house.server(tickets))));
            }
        }
    });
}

/// A ServerHello that resumes, altered. What the client says of it, and whether it still has the
/// session.
fn answered(
    transport: Transport,
    tickets: bool,
    alter: &dyn Fn(&mut ServerChoice),
) -> (Option<Error>, bool) {
    let house = House::new();
    let session = house.visit(transport, tickets);
    let mut harness = house.again(transport, tickets, &session);
    alter(&mut harness.peer().choice);
    harness.play(&[Line::ServerHello]);
    (harness.error(), !house.store.is_empty())
}

/// F6, F11, RFC 5246 §7.4.1.3, RFC 7627 §5.3, RFC 5746 §3.4: each mismatch ends the attempt, and
/// the session.
#[test]
fn a_server_that_resumes_something_else_is_refused_and_forgotten() {
    everywhere(|transport, tickets| {
        let answered = |alter: &dyn Fn(&mut ServerChoice)| answered(transport, tickets, alter);
        let misbehaved = |fact| (Some(Error::PeerMisbehaved(fact)), false);
        assert_eq!(answered(&|_| {}), (None, true));
        assert_eq!(
            answered(&|choice| choice.suite = 0xcca9),
            misbehaved(PeerMisbehaved::ResumedWithOtherCipherSuite)
        );
        assert_eq!(
            answered(&|choice| choice.suite = 0x002f),
            misbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite)
        );
        assert_eq!(
            answered(&|choice| choice.compression = 1),
            misbehaved(PeerMisbehaved::SelectedCompression)
        );
        let lacks = |fact| (Some(Error::PeerIncompatible(fact)), false);
        assert_eq!(
            answered(&|choice| choice.remove_extension(EXTENDED_MASTER_SECRET)),
            lacks(PeerIncompatible::ExtendedMasterSecretRequired)
        );
        assert_eq!(
            answered(&|choice| choice.remove_extension(RENEGOTIATION_INFO)),
            lacks(PeerIncompatible::SecureRenegotiationRequired)
        );
        assert_eq!(
            answered(&|choice| choice.set_extension(RENEGOTIATION_INFO, &[1, 0])),
            misbehaved(PeerMisbehaved::NonEmptyRenegotiationInfo)
        );
        let version = 0x0302;
        assert_eq!(
            answered(&|choice| choice.version = version),
            misbehaved(PeerMisbehaved::SelectedUnofferedVersion(
                sealgram::ProtocolVersion(version)
            ))
        );
    });
}

/// RFC 7627 §5.3 where the policy does not demand it: a session that has it is not resumed without.
#[test]
fn a_session_with_extended_master_secret_is_not_resumed_without_it() {
    everywhere(|transport, tickets| {
        let house = House::with(ExtendedMasterSecret::Prefer);
        let session = house.visit(transport, tickets);
        let mut harness = house.again(transport, tickets, &session);
        harness
            .peer()
            .choice
            .remove_extension(EXTENDED_MASTER_SECRET);
        harness.play(&[Line::ServerHello]);
        let expected = Error::PeerMisbehaved(PeerMisbehaved::ExtendedMasterSecretDropped);
        assert_eq!(harness.error(), Some(expected));
        assert!(house.store.is_empty());
    });
}

/// RFC 7627 §5.3: a session without it is not kept, whatever the server calls it.
#[test]
fn a_session_without_extended_master_secret_is_not_kept() {
    everywhere(|transport, tickets| {
        let house = House::with(ExtendedMasterSecret::Prefer);
        let mut harness = house.harness(transport, house.server(tickets));
        harness
            .peer()
            .choice
            .remove_extension(EXTENDED_MASTER_SECRET);
        serve(&mut harness, tickets);
        assert!(house.store.is_empty() && harness.session().is_none());
    });
}

/// F17 (pion #922): a secret that is not the server's is an error that says something, and is not
/// tried again.
#[test]
fn a_session_with_a_wrong_master_secret_fails_clearly_and_is_forgotten() {
    everywhere(|transport, tickets| {
        let house = House::new();
        let mut harness = house.harness(transport, house.server(tickets));
        serve(&mut harness, tickets);
        let session = harness.peer().session();
        let mut bytes = harness.session().unwrap().to_bytes().to_vec();
        let secret = bytes
            .windows(48)
            .position(|window| window == session.master)
            .unwrap();
        bytes[secret] ^= 1;
        let wrong = Session::from_bytes(&bytes).unwrap();
        house.client.import_session(&server_name(), wrong).unwrap();

        let mut harness = house.again(transport, tickets, &session);
        harness.play(if tickets {
            &RENEWING_FLIGHT
        } else {
            &RESUMING_FLIGHT
        });
        harness.wait(PATIENCE);
        let error = harness.error().unwrap();
        match transport {
            Transport::Dtls => assert!(
                matches!(error, Error::TimedOut { resuming: true, .. }),
                "{error:?}"
            ),
            Transport::Tls => {
                assert_eq!(error, Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac));
            }
        }
        assert!(house.store.is_empty());
        let mut harness = house.harness(transport, house.server(tickets));
        assert!(!offers(&mut harness));
        serve(&mut harness, tickets);
    });
}

/// F17: an export and an import is as good as the store.
#[test]
fn an_imported_session_is_resumed() {
    everywhere(|transport, tickets| {
        let (first, second) = (House::new(), House::new());
        let mut harness = first.harness(transport, first.server(tickets));
        serve(&mut harness, tickets);
        let session = harness.peer().session();
        let bytes = harness.session().unwrap().to_bytes();
        let imported = Session::from_bytes(&bytes).unwrap();
        assert!(
            !imported.is_expired(UnixTime::since_unix_epoch(Duration::from_secs(
                1_790_000_100
            )))
        );
        second
            .client
            .import_session(&server_name(), imported)
            .unwrap();
        let mut harness = second.again(transport, tickets, &session);
        resume(&mut harness, tickets);
    });
}

/// RFC 5077 §3.3: a server that changed its mind sends an empty ticket; there is nothing to resume
/// then.
#[test]
fn an_empty_ticket_is_no_session() {
    for transport in BOTH {
        let house = House::new();
        let mut peer = house.server(true);
        peer.ticket.clear();
        let mut harness = house.harness(transport, peer);
        serve(&mut harness, true);
        assert!(house.store.is_empty() && harness.session().is_none());
        assert!(!offers(&mut house.harness(transport, house.server(true))));
    }
}

/// RFC 5077 §3.3: in a resumption an empty ticket leaves the old one as it is.
#[test]
fn an_empty_ticket_in_a_resumption_leaves_the_old_one() {
    for transport in BOTH {
        let house = House::new();
        let session = house.visit(transport, true);
        for _ in 0..2 {
            let mut harness = house.again(transport, true, &session);
            let ticket = harness
                .peer()
                .offer
                .extension(SESSION_TICKET)
                .unwrap()
                .to_vec();
            assert_eq!(ticket, session.ticket);
            harness.peer().ticket.clear();
            resume(&mut harness, true);
        }
    }
}

/// F5 (Erlang CVE-2026-94200): promised and not sent, sent and not promised, sent twice, in full
/// and abbreviated ones.
#[test]
fn a_ticket_that_is_missing_or_not_promised_ends_the_attempt() {
    for transport in BOTH {
        for resuming in [false, true] {
            for (promised, sent) in [(true, 0), (false, 1), (true, 2)] {
                let house = House::new();
                let mut harness = if resuming {
                    let session = house.visit(transport, true);
                    house.again(transport, true, &session)
                } else {
                    house.harness(transport, house.server(true))
                };
                if !promised {
                    harness.peer().choice.remove_extension(SESSION_TICKET);
                }
                let opening: &[Line] = if resuming {
                    &SERVER_FLIGHT[..1]
                } else {
                    &SERVER_FLIGHT
                };
                harness.play(opening);
                harness.play(&vec![Line::NewSessionTicket; sent]);
                harness.play(&FINALE);
                harness.wait(PATIENCE);
                let context = format!("{transport:?} {resuming} {promised} {sent}");
                let error = harness.error().unwrap_or_else(|| panic!("{context}"));
                if transport == Transport::Dtls {
                    assert!(
                        matches!(error, Error::TimedOut { .. }),
                        "{context} {error:?}"
                    );
                } else {
                    assert!(
                        matches!(error, Error::PeerMisbehaved(_)),
                        "{context} {error:?}"
                    );
                }
            }
        }
    }
}

/// F5 (OpenSSL CVE-2015-1791): lengths that leave the message, in plaintext and under the keys of a
/// renegotiation.
#[test]
fn a_ticket_that_does_not_decode_ends_the_attempt() {
    let alter: [fn(&mut Vec<u8>); 5] = [
        |body| body.clear(),
        |body| body.truncate(5),
        |body| body.truncate(body.len() - 1),
        |body| body.push(0),
        |body| body[4] = 0xff,
    ];
    for transport in BOTH {
        for renegotiating in [false, true] {
            for alter in alter {
                let house = House::new();
                let mut harness = house.harness(transport, house.server(true));
                if renegotiating {
                    serve(&mut harness, true);
                    harness.begin(sealgram::Side::Client, true);
                }
                harness.play(&SERVER_FLIGHT);
                harness.play_altered(&TICKET_FINALE, |line, body| {
                    if line == Line::NewSessionTicket {
                        alter(body);
                    }
                });
                harness.wait(PATIENCE);
                let error = harness.error().unwrap();
                if transport == Transport::Dtls && !renegotiating {
                    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
                } else {
                    assert!(matches!(error, Error::InvalidMessage(_)), "{error:?}");
                }
            }
        }
    }
}

/// F5: tickets as long as the policies take them, and longer.
#[test]
fn a_ticket_may_be_as_long_as_a_message() {
    for (transport, length, fits) in [
        (Transport::Dtls, 16_000, true),
        (Transport::Dtls, 40_000, false),
        (Transport::Tls, 16_000, true),
        (Transport::Tls, 65_000, true),
        (Transport::Tls, 65_535, false),
    ] {
        let house = House::new();
        let mut peer = house.server(true);
        peer.ticket = vec![0x74; length];
        let mut harness = house.harness(transport, peer);
        harness.play(&SERVER_FLIGHT);
        for line in TICKET_FINALE {
            let body = harness.peer().body(line);
            if line != Line::NewSessionTicket {
                harness.play(&[line]);
                continue;
            }
            let spoken = harness.peer().say(line.typ(), body);
            let pieces = match transport {
                Transport::Dtls => spoken.fragments(1200),
                Transport::Tls => spoken
                    .in_stream()
                    .chunks(16_000)
                    .map(<[u8]>::to_vec)
                    .collect(),
            };
            for piece in pieces {
                let record = harness.peer().record(22, 0, &piece);
                harness.deliver(&record);
            }
        }
        if !fits {
            harness.wait(PATIENCE);
            assert!(harness.error().is_some(), "{transport:?} {length}");
            assert!(house.store.is_empty());
            continue;
        }
        harness.assert_done(1);
        let mut again = house.harness(transport, house.server(true));
        let offered = again
            .peer()
            .offer
            .extension(SESSION_TICKET)
            .map(<[u8]>::len);
        // Over datagrams as over a stream the hello that carries it is cut and put together again.
        assert_eq!(offered, Some(length), "{transport:?}");
    }
}

/// A server that echoes the ID of a session and then goes on with a key exchange.
#[test]
fn a_server_that_echoes_a_session_and_shows_a_certificate_is_not_believed() {
    everywhere(|transport, tickets| {
        let house = House::new();
        let session = house.visit(transport, tickets);
        let mut harness = house.again(transport, tickets, &session);
        harness.play(&SERVER_FLIGHT);
        harness.play(&FINALE);
        harness.wait(PATIENCE);
        assert!(harness.error().is_some());
        assert!(house.store.is_empty());
    });
}

/// RFC 5246 §7.3: an abbreviated renegotiation, resumed or not, and one after another.
#[test]
fn abbreviated_renegotiations_follow_each_other_resumed_or_not() {
    everywhere(|transport, tickets| {
        let house = House::new();
        let mut harness = house.harness(transport, house.server(tickets));
        serve(&mut harness, tickets);
        for epoch in 2..9 {
            let session = harness.peer().session();
            let resumes = epoch % 3 != 0;
            let before = harness.heard();
            harness.peer().renegotiate();
            if resumes {
                harness.peer().resume(&session);
            }
            harness.renegotiate(true).unwrap();
            assert!(offers(&mut harness), "{transport:?} {tickets} {epoch}");
            assert_eq!(harness.messages_heard_since(before), [1]);
            if resumes {
                harness.play(if tickets {
                    &RENEWING_FLIGHT
                } else {
                    &RESUMING_FLIGHT
                });
            } else {
                harness.play(&SERVER_FLIGHT);
                harness.play(if tickets { &TICKET_FINALE } else { &FINALE });
            }
            harness.assert_done(epoch);
            let expected = if resumes {
                HandshakeKind::Resumed
            } else {
                HandshakeKind::Full
            };
            assert_eq!(harness.kind(), Some(expected));
            assert!(!harness.messages_heard_since(before).contains(&CERTIFICATE));
        }
    });
}

/// The table of triggers opposite a scripted server: only a client of a stream offers its session
/// to a HelloRequest.
#[test]
fn a_hello_request_is_answered_with_the_session_over_a_stream_alone() {
    everywhere(|transport, tickets| {
        let house = House::new();
        let mut harness = house.harness(transport, house.server(tickets));
        serve(&mut harness, tickets);
        harness.peer().renegotiate();
        harness.play(&[Line::HelloRequest]);
        assert_eq!(offers(&mut harness), transport == Transport::Tls);
        harness.play(&SERVER_FLIGHT);
        harness.play(if tickets { &TICKET_FINALE } else { &FINALE });
        harness.assert_done(2);
    });
}

/// A server that keeps sessions under fewer than 32 bytes, or under 32 that it has given away
/// before.
#[test]
fn a_short_session_id_is_offered_as_it_was_given() {
    for transport in BOTH {
        for length in [1, 31] {
            let house = House::new();
            let mut peer = house.server(false);
            peer.choice.session_id = vec![3; length];
            let mut harness = house.harness(transport, peer);
            serve(&mut harness, false);
            let session = harness.peer().session();
            let mut harness = house.again(transport, false, &session);
            assert_eq!(harness.peer().offer.session_id, vec![3; length]);
            resume(&mut harness, false);
        }
    }
}
