//! Section F of the failure catalogue at version 1.2: a server of ours resumes, or does not, what a
//! scripted client offers, by ID and by ticket, over both transports. What clients of ours do is in
//! `tests/sessions/client.rs`.
//!
//! * F1: `a_session_of_another_server_is_not_known`
//! * F2: `a_session_that_does_not_fit_the_hello_…`, `…_now_wants_a_certificate_…`
//! * F3: `the_identity_of_a_session_…`
//! * F4: `tests/sessions/client.rs`, `tests/sessions/resumption.rs`
//! * F5: decoding and races: `tests/sessions/client.rs`
//! * F6: `a_session_that_does_not_fit_…`, `…_without_extended_master_secret_…`,
//!   `…_of_the_other_transport_…`
//! * F7–F10, F12–F14, F16: of version 1.3, pre-shared keys and connection IDs: see
//!   `docs/failures.md`
//! * F11: `a_resumption_needs_renegotiation_info_too`
//! * F15: `a_clock_that_jumps_…`
//! * F17: `a_client_with_another_secret_…`; imported sessions: `tests/sessions/client.rs`

use crate::common::configs::{Ends, SERVER};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, EXTENDED_MASTER_SECRET, FATAL, FINALE, PROVING_CLIENT_FLIGHT,
    RENEGOTIATION_INFO, scripted_client,
};
use crate::common::harness::{
    ALPN, CERTIFICATE, CERTIFICATE_REQUEST, HANDSHAKE_FAILURE, Harness, NEW_SESSION_TICKET,
    PATIENCE, SERVER_NAME, SESSION_TICKET,
};
use crate::common::renegotiating::{Moody, SetClock, allowing};
use crate::common::transport::{BOTH, Transport};
use sealgram::config::{Algorithms, ExtendedMasterSecret, RekeyPolicy};
use sealgram::error::{PeerIncompatible, PeerMisbehaved};
use sealgram::identity::WebPkiClientVerifier;
use sealgram::server::ClientAuthentication;
use sealgram::session::{MemoryServerSessions, Tickets};
use sealgram::sim::scripted::{Line, ScriptedPeer, ScriptedSession};
use sealgram::{Error, HandshakeKind, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A scripted client that takes tickets, or does not.
fn client(tickets: bool) -> ScriptedPeer {
    taking(scripted_client(), tickets)
}

fn taking(mut peer: ScriptedPeer, tickets: bool) -> ScriptedPeer {
    if tickets {
        peer.offer.set_extension(SESSION_TICKET, &[]);
    }
    peer
}

/// A first, full handshake, and the session that it made.
fn session_of(
    transport: Transport,
    server: &Arc<ServerConfig>,
    peer: ScriptedPeer,
    flight: &[Line],
) -> ScriptedSession {
    let mut harness = Harness::server(transport, server.clone(), peer);
    harness.visit(flight);
    let session = harness.peer().session();
    assert!(!session.id.is_empty() || !session.ticket.is_empty());
    session
}

/// What a server makes of an offered session.
#[derive(PartialEq, Eq, Debug)]
enum Outcome {
    Resumed,
    /// As if nothing had been offered.
    Full,
    Failed(Error),
}

/// Offers a session, and completes whatever handshake comes of it.
fn offer(harness: &mut Harness, session: &ScriptedSession, flight: &[Line]) -> Outcome {
    harness.peer().resume(session);
    offer_as_it_is(harness, flight)
}

fn offer_as_it_is(harness: &mut Harness, flight: &[Line]) -> Outcome {
    harness.play_hello();
    if let Some(error) = harness.error() {
        return Outcome::Failed(error);
    }
    let resumed = harness.peer().is_resuming();
    harness.play(if resumed { &FINALE } else { flight });
    if let Some(error) = harness.error() {
        return Outcome::Failed(error);
    }
    harness.assert_done(1);
    let certificates = harness.peer().messages_heard().contains(&CERTIFICATE);
    assert_eq!(certificates, !resumed);
    let (outcome, kind) = if resumed {
        (Outcome::Resumed, HandshakeKind::Resumed)
    } else {
        (Outcome::Full, HandshakeKind::Full)
    };
    assert_eq!(harness.kind(), Some(kind));
    outcome
}

/// Over every transport, by ID and by ticket.
fn everywhere(mut test: impl FnMut(Transport, bool)) {
    for transport in BOTH {
        for tickets in [false, true] {
            test(transport, tickets);
        }
    }
}

fn server() -> Arc<ServerConfig> {
    let mut ends = Ends::new();
    ends.server = ends.server.alpn(&[b"a", b"b"]).unwrap();
    ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
    ends.build().server
}

#[test]
fn a_session_is_resumed_more_than_once() {
    everywhere(|transport, tickets| {
        let server = server();
        let mut session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        for round in 0..3 {
            let mut harness = Harness::server(transport, server.clone(), client(tickets));
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            assert_eq!(outcome, Outcome::Resumed, "{transport:?} {tickets} {round}");
            let renewed = harness
                .peer()
                .messages_heard()
                .contains(&NEW_SESSION_TICKET);
            assert_eq!(renewed, tickets);
            if tickets {
                session.ticket = harness.peer().ticket.clone();
            }
        }
    });
}

/// The same with a renegotiation behind each, full and abbreviated, and another resumption of what
/// they made.
#[test]
fn resumptions_and_renegotiations_follow_each_other() {
    everywhere(|transport, tickets| {
        let mut harness = Harness::server(transport, server(), client(tickets));
        harness.visit(&CLIENT_FLIGHT);
        for epoch in 2..9 {
            let session = harness.peer().session();
            harness.peer().renegotiate();
            let abbreviated = epoch % 3 != 0;
            if abbreviated {
                harness.peer().resume(&session);
            }
            let asked = epoch % 2 == 0;
            if asked {
                harness.renegotiate(false).unwrap();
            }
            harness.play(&[Line::ClientHello]);
            // Over datagrams nothing is resumed behind a HelloRequest.
            let resumes = abbreviated && !(asked && transport == Transport::Dtls);
            assert_eq!(
                harness.peer().is_resuming(),
                resumes,
                "{transport:?} {tickets} {epoch}"
            );
            harness.play(if resumes { &FINALE } else { &CLIENT_FLIGHT });
            harness.assert_done(epoch);
        }
    });
}

/// RFC 5246 §7.4.1.3, RFC 5077 §3.3: what cannot be resumed costs a full handshake, which makes a
/// new session.
#[test]
fn what_is_no_session_leads_to_a_full_handshake() {
    let random = ScriptedSession {
        id: vec![0x5a; 32],
        ticket: Vec::new(),
        suite: 0xcca9,
        master: [1; 48],
    };
    for transport in BOTH {
        let server = server();
        for (id, ticket) in [
            (32, 0),
            (1, 0),
            (0, 1),
            (32, 15),
            (32, 44),
            (0, 200),
            (32, 12_000),
        ] {
            let session = ScriptedSession {
                id: vec![0x5a; id],
                ticket: vec![0x77; ticket],
                ..random.clone()
            };
            let mut harness = Harness::server(transport, server.clone(), client(true));
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            assert_eq!(outcome, Outcome::Full, "{transport:?} {id} {ticket}");
        }
    }
}

/// An altered ticket is a full handshake, wherever it was altered, and a ticket with an ID is not
/// looked up by that.
#[test]
fn an_altered_ticket_leads_to_a_full_handshake() {
    for transport in BOTH {
        let server = server();
        let by_id = session_of(transport, &server, client(false), &CLIENT_FLIGHT);
        let session = session_of(transport, &server, client(true), &CLIENT_FLIGHT);
        for at in (0..session.ticket.len()).step_by(7) {
            let mut altered = session.clone();
            altered.ticket[at] ^= 0x10;
            // RFC 5077 §3.4: the ID is only an echo, even if it names a session.
            altered.id = by_id.id.clone();
            let mut harness = Harness::server(transport, server.clone(), client(true));
            let outcome = offer(&mut harness, &altered, &CLIENT_FLIGHT);
            assert_eq!(outcome, Outcome::Full, "{transport:?} {at}");
        }
    }
}

/// F1 (GnuTLS CVE-2020-13777): two servers that have just started.
#[test]
fn a_session_of_another_server_is_not_known() {
    everywhere(|transport, tickets| {
        let session = session_of(transport, &server(), client(tickets), &CLIENT_FLIGHT);
        let mut harness = Harness::server(transport, server(), client(tickets));
        assert_eq!(offer(&mut harness, &session, &CLIENT_FLIGHT), Outcome::Full);
    });
}

/// A change of a client with its name.
type Change = (&'static str, fn(&mut ScriptedPeer));

/// F2 (CVE-2025-23419), F6: another name, another protocol, without the session's suite.
#[test]
fn a_session_that_does_not_fit_the_hello_leads_to_a_full_handshake() {
    let alter: &[Change] = &[
        ("other name", |peer| {
            peer.offer
                .set_extension(SERVER_NAME, b"\0\x0e\0\0\x0bother.tests");
        }),
        ("no name", |peer| peer.offer.remove_extension(SERVER_NAME)),
        ("other protocol", |peer| {
            peer.offer.set_extension(ALPN, b"\0\x02\x01b")
        }),
        ("no protocol", |peer| peer.offer.remove_extension(ALPN)),
        ("suite not offered", |peer| {
            let suite = 0xc02b;
            assert!(peer.offer.suites.contains(&suite));
            peer.offer.suites.retain(|known| *known == suite);
        }),
    ];
    everywhere(|transport, tickets| {
        let server = server();
        let client = || {
            let mut peer = client(tickets);
            peer.offer.set_extension(ALPN, b"\0\x02\x01a");
            peer
        };
        let mut first = client();
        first.offer.suites = vec![0xc02c];
        let session = session_of(transport, &server, first, &CLIENT_FLIGHT);
        assert_eq!(session.suite, 0xc02c);
        let mut harness = Harness::server(transport, server.clone(), client());
        assert_eq!(
            offer(&mut harness, &session, &CLIENT_FLIGHT),
            Outcome::Resumed
        );
        for (name, alter) in alter {
            let mut peer = client();
            alter(&mut peer);
            let mut harness = Harness::server(transport, server.clone(), peer);
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            assert_eq!(outcome, Outcome::Full, "{transport:?} {tickets} {name}");
        }
    });
}

/// Two configurations of one process that share what they know of sessions.
struct Shared {
    tickets: Arc<Tickets>,
    cache: Arc<MemoryServerSessions>,
}

impl Shared {
    fn new() -> Self {
        Self {
            tickets: Arc::new(Tickets::new(Duration::from_secs(7200)).unwrap()),
            cache: Arc::new(MemoryServerSessions::new(10)),
        }
    }

    fn of(&self, ends: &Ends) -> sealgram::server::ServerConfigBuilder {
        ends.server
            .clone()
            .tickets(Some(self.tickets.clone()))
            .session_store(Some(self.cache.clone()))
    }
}

/// F2: a server that wants a certificate now does not resume what was made without one.
#[test]
fn a_server_that_now_wants_a_certificate_does_not_resume_without_one() {
    everywhere(|transport, tickets| {
        let (shared, ends) = (Shared::new(), Ends::new());
        let open = Arc::new(shared.of(&ends).build().unwrap());
        let session = session_of(transport, &open, client(tickets), &CLIENT_FLIGHT);
        let verifier = WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
        let strict = shared
            .of(&ends)
            .client_authentication(ClientAuthentication::Required(Arc::new(verifier)));
        let strict = Arc::new(strict.build().unwrap());
        let prover = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
        let mut harness = Harness::server(transport, strict, taking(prover, tickets));
        assert_eq!(
            offer(&mut harness, &session, &PROVING_CLIENT_FLIGHT),
            Outcome::Full
        );
        assert!(
            harness
                .peer()
                .messages_heard()
                .contains(&CERTIFICATE_REQUEST)
        );
        assert!(harness.has_peer_identity());
    });
}

/// The other way round: a server that asks for no certificates takes no identity from a session.
#[test]
fn a_server_that_asks_nobody_does_not_resume_with_an_identity() {
    everywhere(|transport, tickets| {
        let shared = Shared::new();
        let ends = Ends::new().mutual();
        let strict = Arc::new(shared.of(&ends).build().unwrap());
        let prover = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
        let prover = taking(prover, tickets);
        let session = session_of(transport, &strict, prover, &PROVING_CLIENT_FLIGHT);
        let open = shared
            .of(&ends)
            .client_authentication(ClientAuthentication::None);
        let mut harness = Harness::server(transport, open.build().unwrap().into(), client(tickets));
        assert_eq!(offer(&mut harness, &session, &CLIENT_FLIGHT), Outcome::Full);
        assert!(!harness.has_peer_identity());
    });
}

/// F6: a suite that the server no longer allows.
#[test]
fn a_session_with_a_suite_that_is_no_longer_allowed_is_not_resumed() {
    everywhere(|transport, tickets| {
        let (shared, ends) = (Shared::new(), Ends::new());
        let before = Arc::new(shared.of(&ends).build().unwrap());
        let mut first = client(tickets);
        first.offer.suites = vec![0xc02c];
        let session = session_of(transport, &before, first, &CLIENT_FLIGHT);
        let suites = [sealgram::CipherSuite(0xc02b)];
        let after = shared
            .of(&ends)
            .algorithms(Algorithms::default().cipher_suites(&suites).unwrap());
        let mut harness =
            Harness::server(transport, after.build().unwrap().into(), client(tickets));
        assert_eq!(offer(&mut harness, &session, &CLIENT_FLIGHT), Outcome::Full);
    });
}

/// F3 (pion #447): who the client is comes with the session, and is judged again.
#[test]
fn the_identity_of_a_session_is_kept_and_judged_again() {
    everywhere(|transport, tickets| {
        let mut ends = Ends::new();
        let moody = Moody::new(&ends);
        let required = ClientAuthentication::Required(moody.clone());
        ends.server = ends.server.client_authentication(required);
        let credential = ends.pki.client(&rcgen::PKCS_ED25519);
        let prover = || {
            let peer = ScriptedPeer::client(SERVER, Some(credential.clone()));
            taking(peer, tickets)
        };
        let server = ends.build().server;
        let session = session_of(transport, &server, prover(), &PROVING_CLIENT_FLIGHT);
        assert_eq!(moody.asked.load(Ordering::Relaxed), 1);

        let mut harness = Harness::server(transport, server.clone(), prover());
        assert_eq!(
            offer(&mut harness, &session, &PROVING_CLIENT_FLIGHT),
            Outcome::Resumed
        );
        assert!(harness.has_peer_identity());
        assert_eq!(moody.asked.load(Ordering::Relaxed), 2);

        // The certificate has expired: a full handshake, in which the client may show another one.
        moody.refuses.store(true, Ordering::Relaxed);
        let mut harness = Harness::server(transport, server, prover());
        harness.peer().resume(&session);
        harness.play_hello();
        assert!(!harness.peer().is_resuming());
        moody.refuses.store(false, Ordering::Relaxed);
        harness.play(&PROVING_CLIENT_FLIGHT);
        harness.assert_done(1);
        assert_eq!(harness.kind(), Some(HandshakeKind::Full));
    });
}

/// F6, RFC 7627 §5.3: a session with extended_master_secret and a hello without it is an attack.
#[test]
fn a_resumption_without_extended_master_secret_is_aborted() {
    everywhere(|transport, tickets| {
        let mut ends = Ends::new();
        ends.server = ends
            .server
            .extended_master_secret(ExtendedMasterSecret::Prefer);
        let server = ends.build().server;
        let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        let mut peer = client(tickets);
        peer.offer.remove_extension(EXTENDED_MASTER_SECRET);
        let mut harness = Harness::server(transport, server.clone(), peer);
        let expected = Error::PeerMisbehaved(PeerMisbehaved::ExtendedMasterSecretDropped);
        assert_eq!(
            offer(&mut harness, &session, &CLIENT_FLIGHT),
            Outcome::Failed(expected)
        );
        assert_eq!(harness.peer().alerts_heard(), [(FATAL, HANDSHAKE_FAILURE)]);
    });
}

/// RFC 7627 §5.3: without it nothing is offered for resumption in the first place.
#[test]
fn a_handshake_without_extended_master_secret_leaves_no_session() {
    everywhere(|transport, tickets| {
        let mut ends = Ends::new();
        ends.server = ends
            .server
            .extended_master_secret(ExtendedMasterSecret::Prefer);
        let mut peer = client(tickets);
        peer.offer.remove_extension(EXTENDED_MASTER_SECRET);
        let mut harness = Harness::server(transport, ends.build().server, peer);
        harness.visit(&CLIENT_FLIGHT);
        let session = harness.peer().session();
        assert!(session.id.is_empty() && session.ticket.is_empty());
        assert!(
            !harness
                .peer()
                .messages_heard()
                .contains(&NEW_SESSION_TICKET)
        );
    });
}

/// F6: one configuration serves both transports, and their sessions are strangers.
#[test]
fn a_session_of_the_other_transport_is_not_resumed() {
    for tickets in [false, true] {
        for (first, second) in [
            (Transport::Dtls, Transport::Tls),
            (Transport::Tls, Transport::Dtls),
        ] {
            let server = server();
            let session = session_of(first, &server, client(tickets), &CLIENT_FLIGHT);
            let mut harness = Harness::server(second, server, client(tickets));
            assert_eq!(
                offer(&mut harness, &session, &CLIENT_FLIGHT),
                Outcome::Full,
                "{second:?}"
            );
        }
    }
}

/// F11 (Californium #751), RFC 5746 §3.6: also where no key exchange follows.
#[test]
fn a_resumption_needs_renegotiation_info_too() {
    everywhere(|transport, tickets| {
        let server = server();
        let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        let attempt = |alter: &dyn Fn(&mut ScriptedPeer)| {
            let mut peer = client(tickets);
            alter(&mut peer);
            let mut harness = Harness::server(transport, server.clone(), peer);
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            if outcome == Outcome::Resumed {
                let info = harness.peer().choice.extension(RENEGOTIATION_INFO);
                assert_eq!(info, Some(&[0][..]));
            }
            outcome
        };
        let lacks = Error::PeerIncompatible(PeerIncompatible::SecureRenegotiationRequired);
        let none = attempt(&|peer| peer.offer.remove_extension(RENEGOTIATION_INFO));
        assert_eq!(none, Outcome::Failed(lacks));
        let spliced = Error::PeerMisbehaved(PeerMisbehaved::NonEmptyRenegotiationInfo);
        let full = attempt(&|peer| peer.offer.set_extension(RENEGOTIATION_INFO, &[1, 7]));
        assert_eq!(full, Outcome::Failed(spliced));
        let signalled = attempt(&|peer| {
            peer.offer.remove_extension(RENEGOTIATION_INFO);
            peer.offer.suites.push(0x00ff);
        });
        assert_eq!(signalled, Outcome::Resumed);
    });
}

/// F15: the server's clock, an hour back, a session's life ahead, eight days ahead.
#[test]
fn a_clock_that_jumps_costs_a_full_handshake_and_no_more() {
    const DAY: i64 = 86_400;
    everywhere(|transport, tickets| {
        for (seconds, expected) in [
            (0, Outcome::Resumed),
            (-30, Outcome::Resumed),
            (-3600, Outcome::Full),
            (7199, Outcome::Resumed),
            (7200, Outcome::Full),
            (8 * DAY, Outcome::Full),
        ] {
            let clock = SetClock::new();
            let mut ends = Ends::new();
            ends.server = ends.server.clock(clock.clone());
            let server = ends.build().server;
            let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
            clock.shift(seconds);
            let mut harness = Harness::server(transport, server.clone(), client(tickets));
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            assert_eq!(outcome, expected, "{transport:?} {tickets} {seconds}");
            // Whatever the clock says, sessions are made and resumed by it.
            let session = harness.peer().session();
            let mut harness = Harness::server(transport, server, client(tickets));
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            assert_eq!(
                outcome,
                Outcome::Resumed,
                "{transport:?} {tickets} {seconds}"
            );
        }
    });
}

/// A session may be resumed for as long as the server's configuration says.
#[test]
fn a_session_is_resumed_within_its_lifetime() {
    everywhere(|transport, tickets| {
        for (seconds, expected) in [(599, Outcome::Resumed), (600, Outcome::Full)] {
            let clock = SetClock::new();
            let mut ends = Ends::new();
            ends.server = ends.server.clock(clock.clone());
            ends.server = ends
                .server
                .session_lifetime(Duration::from_secs(600))
                .unwrap();
            let server = ends.build().server;
            let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
            clock.shift(seconds);
            let mut harness = Harness::server(transport, server, client(tickets));
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            assert_eq!(outcome, expected, "{transport:?} {tickets} {seconds}");
        }
    });
    for wrong in [59, 86_401] {
        let builder = Ends::new()
            .server
            .session_lifetime(Duration::from_secs(wrong));
        assert!(builder.is_err(), "{wrong}");
    }
}

/// A resumption does not make a session younger, however often its ticket is renewed
/// (RFC 5246 §F.1.4).
#[test]
fn a_session_that_is_resumed_again_and_again_still_ends() {
    everywhere(|transport, tickets| {
        let clock = SetClock::new();
        let mut ends = Ends::new();
        ends.server = ends.server.clock(clock.clone());
        let server = ends.build().server;
        let mut session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        for round in 1..=8 {
            clock.shift(1000);
            let mut harness = Harness::server(transport, server.clone(), client(tickets));
            let outcome = offer(&mut harness, &session, &CLIENT_FLIGHT);
            let expected = if round <= 7 {
                Outcome::Resumed
            } else {
                Outcome::Full
            };
            assert_eq!(outcome, expected, "{transport:?} {tickets} {round}");
            if tickets {
                session.ticket = harness.peer().ticket.clone();
            }
        }
    });
}

/// F17: a client that knows a session's name but not its secret gets nowhere, and does the session
/// no harm.
#[test]
fn a_client_with_another_secret_gets_nowhere_and_harms_nobody() {
    everywhere(|transport, tickets| {
        let server = server();
        let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        let mut wrong = session.clone();
        wrong.master[47] ^= 1;
        let mut harness = Harness::server(transport, server.clone(), client(tickets));
        harness.peer().resume(&wrong);
        harness.play_hello();
        assert!(harness.peer().is_resuming());
        harness.play(&FINALE);
        harness.wait(PATIENCE);
        let error = harness.error().unwrap();
        match transport {
            Transport::Dtls => assert!(matches!(error, Error::TimedOut { .. }), "{error:?}"),
            Transport::Tls => {
                assert_eq!(error, Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac));
            }
        }
        let mut harness = Harness::server(transport, server, client(tickets));
        assert_eq!(
            offer(&mut harness, &session, &CLIENT_FLIGHT),
            Outcome::Resumed
        );
    });
}

/// RFC 5246 §7.4.9, in a resumption: the right keys and a Finished of something else.
#[test]
fn a_wrong_finished_ends_a_resumption() {
    everywhere(|transport, tickets| {
        let server = server();
        let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        let mut harness = Harness::server(transport, server, client(tickets));
        harness.peer().resume(&session);
        harness.play_hello();
        harness.play_altered(&FINALE, |line, body| {
            if line == Line::Finished {
                body[0] ^= 1;
            }
        });
        let expected = Error::PeerMisbehaved(PeerMisbehaved::BadFinished);
        assert_eq!(harness.error(), Some(expected));
    });
}

/// A server that resumes waits for the client's Finished and for nothing else, with or without a
/// key exchange.
#[test]
fn a_client_that_goes_on_as_if_nothing_was_resumed_is_not_believed() {
    everywhere(|transport, tickets| {
        let server = server();
        let session = session_of(transport, &server, client(tickets), &CLIENT_FLIGHT);
        for line in [
            Line::ClientKeyExchange,
            Line::Certificate,
            Line::ClientHello,
        ] {
            let mut harness = Harness::server(transport, server.clone(), client(tickets));
            harness.peer().resume(&session);
            harness.play_hello();
            harness.play(&[line]);
            harness.play(&FINALE);
            harness.wait(PATIENCE);
            assert!(harness.error().is_some(), "{transport:?} {line:?}");
        }
    });
}

/// RFC 5077 §3.1: data before the client's Finished is not seen, and over datagrams not lost
/// either.
#[test]
fn data_that_overtakes_the_finished_of_a_resumption_waits_for_it() {
    for tickets in [false, true] {
        let server = server();
        let session = session_of(Transport::Dtls, &server, client(tickets), &CLIENT_FLIGHT);
        let mut harness = Harness::server(Transport::Dtls, server, client(tickets));
        harness.peer().resume(&session);
        harness.play_hello();
        let finale = harness.peer().speak(&FINALE);
        let early = harness.peer().data(b"early");
        harness.deliver(&early);
        assert!(harness.receive().is_empty() && harness.is_handshaking());
        for record in finale {
            harness.deliver(&record);
        }
        assert_eq!(harness.receive(), b"early");
        harness.assert_done(1);
    }
}

/// F2 inside an association (RFC 5746 §5): the session of somebody else is not resumed in a
/// renegotiation.
#[test]
fn the_session_of_another_client_is_not_resumed_in_a_renegotiation() {
    everywhere(|transport, tickets| {
        let mut ends = Ends::new().mutual();
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let prover = || {
            let peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
            taking(peer, tickets)
        };
        let (first, second) = (prover(), prover());
        let server: Arc<ServerConfig> = Arc::new(ends.server.clone().build().unwrap());
        let other = session_of(transport, &server, first, &PROVING_CLIENT_FLIGHT);
        let mut harness = Harness::server(transport, server, second);
        harness.visit(&PROVING_CLIENT_FLIGHT);
        harness.peer().renegotiate();
        harness.peer().resume(&other);
        harness.play(&[Line::ClientHello]);
        assert!(!harness.peer().is_resuming());
        harness.play(&PROVING_CLIENT_FLIGHT);
        harness.assert_done(2);
    });
}

/// A server that renegotiates to see a certificate says so, and then resumes nothing in
/// renegotiations.
#[test]
fn a_server_without_resumption_in_renegotiations_asks_for_the_certificate_again() {
    everywhere(|transport, tickets| {
        let mut ends = Ends::new().mutual();
        ends.server = ends.server.rekey(RekeyPolicy::default().resume(false));
        let peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
        let mut harness = Harness::server(transport, ends.build().server, taking(peer, tickets));
        harness.visit(&PROVING_CLIENT_FLIGHT);
        let session = harness.peer().session();
        let before = harness.heard();
        harness.peer().renegotiate();
        harness.renegotiate(true).unwrap();
        harness.peer().resume(&session);
        harness.play(&[Line::ClientHello]);
        assert!(!harness.peer().is_resuming());
        harness.play(&PROVING_CLIENT_FLIGHT);
        harness.assert_done(2);
        assert!(
            harness
                .messages_heard_since(before)
                .contains(&CERTIFICATE_REQUEST)
        );
        assert_eq!(harness.peer().epoch(), 1);
    });
}
