//! A keyed peer on a stream that breaks the rules, in first handshakes and in renegotiations
//! (RFC 5246 §6.2.1, §7.1, §7.2, §7.3). Everything arrives and in order, so what has no place is
//! fatal, and is told from what merely comes between: data, warnings, HelloRequests. Whatever the
//! peer does, what our end keeps for it is bounded.

use crate::common::configs::{Ends, SERVER};
use crate::common::datagram_harness::{
    ASKING_SERVER_FLIGHT, CLIENT_FLIGHT, FATAL, FINALE, PROVING_CLIENT_FLIGHT, SERVER_FLIGHT,
    WARNING, scripted_client, scripted_server,
};
use crate::common::harness::{
    CLOSE_NOTIFY, Harness, NO_RENEGOTIATION, PATIENCE, UNEXPECTED_MESSAGE,
};
use crate::common::renegotiating::{connected, connected_with, flight};
use crate::common::transport::{SIDES, Transport};
use sealgram::config::{RekeyPolicy, StreamPolicy};
use sealgram::error::PeerMisbehaved;
use sealgram::sim::scripted::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Line, ScriptedPeer, TLS12,
};
use sealgram::{Error, Event, RenegotiationRefusal, Side};
use std::time::Duration;

const TLS: Transport = Transport::Tls;

/// A handshake that is about to be attacked: who our end is, in which epoch it runs, what an honest
/// peer would say.
#[derive(Clone, Copy, Debug)]
struct Case {
    side: Side,
    renegotiates: bool,
    /// Whether the client is asked for a certificate.
    asks: bool,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for side in SIDES {
            for renegotiates in [false, true] {
                for asks in [false, true] {
                    all.push(Self {
                        side,
                        renegotiates,
                        asks,
                    });
                }
            }
        }
        all
    }

    /// Every line of the peer, a client's hello too.
    fn honest(self) -> Vec<Line> {
        match (self.side, self.asks) {
            (Side::Client, false) => [&SERVER_FLIGHT[..], &FINALE].concat(),
            (Side::Client, true) => [&ASKING_SERVER_FLIGHT[..], &FINALE].concat(),
            (Side::Server, false) => [&[Line::ClientHello][..], &CLIENT_FLIGHT].concat(),
            (Side::Server, true) => [&[Line::ClientHello][..], &PROVING_CLIENT_FLIGHT].concat(),
        }
    }

    /// Our end and its peer before the first of these lines.
    fn open(self) -> Harness {
        let mut ends = Ends::new();
        if self.asks {
            ends = ends.mutual();
        }
        let policy = crate::common::renegotiating::allowing(RekeyPolicy::default());
        ends.server = ends.server.rekey(policy);
        let peer = match self.side {
            Side::Client => scripted_server(&ends),
            Side::Server if self.asks => {
                ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)))
            }
            Side::Server => scripted_client(),
        };
        let mut harness = Harness::of(self.side, TLS, &ends.build(), peer);
        if self.renegotiates {
            harness.play(&self.honest());
            harness.assert_done(1);
            harness.peer().renegotiate();
            if self.side == Side::Client {
                harness.renegotiate(false).unwrap();
            }
        }
        harness
    }

    /// The epoch in which the handshake runs.
    fn epoch(self) -> u16 {
        u16::from(self.renegotiates)
    }
}

fn misbehaved(harness: &Harness) -> PeerMisbehaved {
    match harness.error() {
        Some(Error::PeerMisbehaved(fact)) => fact,
        other => panic!("{other:?} {:?}", harness.events()),
    }
}

/// The control of everything below.
#[test]
fn honest_peers_complete() {
    for case in Case::all() {
        let mut harness = case.open();
        harness.play(&case.honest());
        harness.assert_done(u64::from(case.epoch()) + 1);
    }
}

/// Every line of every message there is.
const MESSAGES: [Line; 11] = [
    Line::HelloRequest,
    Line::ClientHello,
    Line::HelloVerifyRequest,
    Line::ServerHello,
    Line::Certificate,
    Line::ServerKeyExchange,
    Line::CertificateRequest,
    Line::ServerHelloDone,
    Line::ClientKeyExchange,
    Line::CertificateVerify,
    Line::NewSessionTicket,
];

/// D8 on a stream, RFC 5246 §7.3: each message at each place where it has none.
#[test]
fn a_message_out_of_place_is_fatal() {
    for case in Case::all() {
        let honest = case.honest();
        for at in 0..=honest.len() {
            for line in MESSAGES {
                // Behind the key exchange a server may ask for a certificate or not.
                let choice = case.side == Side::Client
                    && at == 3
                    && [Line::CertificateRequest, Line::ServerHelloDone].contains(&line);
                let fits = choice || honest.get(at) == Some(&line);
                let wish = at == honest.len()
                    && line
                        == if case.side == Side::Client {
                            Line::HelloRequest
                        } else {
                            Line::ClientHello
                        };
                let ignored = case.side == Side::Client && line == Line::HelloRequest;
                if fits || wish || ignored {
                    continue;
                }
                let mut harness = case.open();
                harness.play(&honest[..at]);
                // Under the keys that the peer writes with by now.
                let writing =
                    case.epoch() + u16::from(honest[..at].contains(&Line::ChangeCipherSpec));
                let body = harness.peer().body(line);
                let spoken = harness.peer().say(line.typ(), body);
                let record = harness
                    .peer()
                    .record(HANDSHAKE, writing, &spoken.in_stream());
                harness.deliver(&record);
                let context = format!("{case:?} {at} {line:?}");
                assert!(!harness.is_alive(), "{context} {:?}", harness.events());
                let fact = misbehaved(&harness);
                let expected = PeerMisbehaved::UnexpectedMessage { got: line.typ() };
                assert_eq!(fact, expected, "{context}");
                assert_eq!(harness.buffered(), 0, "{context}");
            }
        }
    }
}

/// D1 (OpenSSL CVE-2014-0224), RFC 5246 §7.1: at every state but one.
#[test]
fn change_cipher_spec_at_every_other_state_is_fatal() {
    for case in Case::all() {
        let honest = case.honest();
        for at in 0..=honest.len() {
            if honest.get(at) == Some(&Line::ChangeCipherSpec) {
                continue;
            }
            let mut harness = case.open();
            harness.play(&honest[..at]);
            let writing = case.epoch() + u16::from(honest[..at].contains(&Line::ChangeCipherSpec));
            let record = harness.peer().record(CHANGE_CIPHER_SPEC, writing, &[1]);
            harness.deliver(&record);
            let expected = PeerMisbehaved::UnexpectedChangeCipherSpec;
            assert_eq!(misbehaved(&harness), expected, "{case:?} {at}");
        }
    }
}

/// RFC 5246 §7.1: its contents are one byte, 1, and it stands between messages.
#[test]
fn a_change_cipher_spec_with_other_contents_or_inside_a_message_is_fatal() {
    for case in Case::all() {
        let honest = case.honest();
        let at = honest.len() - 2;
        for payload in [&[][..], &[0], &[2], &[1, 1]] {
            let mut harness = case.open();
            harness.play(&honest[..at]);
            let record = harness
                .peer()
                .record(CHANGE_CIPHER_SPEC, case.epoch(), payload);
            harness.deliver(&record);
            assert_eq!(
                misbehaved(&harness),
                PeerMisbehaved::UnexpectedChangeCipherSpec
            );
        }
        let mut harness = case.open();
        harness.play(&honest[..at]);
        let record = harness.peer().record(HANDSHAKE, case.epoch(), &[20, 0]);
        harness.deliver(&record);
        harness.play(&[Line::ChangeCipherSpec]);
        assert_eq!(
            misbehaved(&harness),
            PeerMisbehaved::UnexpectedChangeCipherSpec
        );
    }
}

/// RFC 5246 §6.2.1: data may come between the messages of a renegotiation, and is delivered;
/// nowhere else.
#[test]
fn data_between_messages_of_a_renegotiation_is_delivered() {
    for case in Case::all() {
        let honest = case.honest();
        for at in 0..honest.len() {
            let mut harness = case.open();
            harness.receive();
            harness.play(&honest[..at]);
            let switched = honest[..at].contains(&Line::ChangeCipherSpec);
            let writing = case.epoch() + u16::from(switched);
            let record = harness.peer().record(APPLICATION_DATA, writing, b"between");
            harness.deliver(&record);
            let context = format!("{case:?} {at} {:?}", harness.error());
            if switched || !case.renegotiates {
                assert_eq!(
                    misbehaved(&harness),
                    PeerMisbehaved::UnexpectedData,
                    "{context}"
                );
                assert!(harness.receive().is_empty(), "{context}");
                continue;
            }
            assert_eq!(harness.receive(), b"between", "{context}");
            harness.play(&honest[at..]);
            harness.assert_done(2);
        }
    }
}

/// RFC 5246 §6.2.1: data inside a message is fatal, wherever the message is cut.
#[test]
fn data_inside_a_message_is_fatal() {
    for case in Case::all().into_iter().filter(|case| case.renegotiates) {
        let honest = case.honest();
        for cut in [1, 3, 4, 5] {
            let mut harness = case.open();
            harness.receive();
            let body = harness.peer().body(honest[0]);
            let message = harness.peer().say(honest[0].typ(), body).in_stream();
            let part = harness.peer().record(HANDSHAKE, 1, &message[..cut]);
            harness.deliver(&part);
            assert!(harness.is_alive());
            let data = harness.data_in(1, b"inside");
            harness.deliver(&data);
            assert_eq!(misbehaved(&harness), PeerMisbehaved::UnexpectedData);
            assert!(harness.receive().is_empty());
        }
    }
}

/// RFC 5246 §6.2.1: messages cut and joined in any way are the same messages.
#[test]
fn messages_may_be_cut_into_records_of_any_size_and_joined() {
    for case in Case::all() {
        for size in [1, 3, 7, 100, 16_000] {
            let honest = case.honest();
            let mut harness = case.open();
            let mut pending = Vec::new();
            for line in &honest {
                if *line == Line::ChangeCipherSpec || *line == Line::Finished {
                    let record_of = std::mem::take(&mut pending);
                    send_cut(&mut harness, case.epoch(), &record_of, size);
                    harness.play(&[*line]);
                    continue;
                }
                let body = harness.peer().body(*line);
                pending.extend(harness.peer().say(line.typ(), body).in_stream());
                if *line == Line::ClientHello {
                    let record_of = std::mem::take(&mut pending);
                    send_cut(&mut harness, case.epoch(), &record_of, size);
                }
            }
            harness.assert_done(u64::from(case.epoch()) + 1);
        }
    }
}

fn send_cut(harness: &mut Harness, epoch: u16, bytes: &[u8], size: usize) {
    let records: Vec<Vec<u8>> = bytes
        .chunks(size)
        .map(|piece| harness.peer().record(HANDSHAKE, epoch, piece))
        .collect();
    harness.deliver(&records.concat());
}

/// D2: Finished in the old epoch, without its ChangeCipherSpec, or under keys that were not
/// switched to.
#[test]
fn a_finished_without_change_cipher_spec_is_fatal() {
    for case in Case::all() {
        let honest = case.honest();
        let mut harness = case.open();
        harness.play(&honest[..honest.len() - 2]);
        let body = harness.peer().body(Line::Finished);
        let spoken = harness.peer().say(Line::Finished.typ(), body);
        let record = harness
            .peer()
            .record(HANDSHAKE, case.epoch(), &spoken.in_stream());
        harness.deliver(&record);
        let expected = PeerMisbehaved::UnexpectedMessage { got: 20 };
        assert_eq!(misbehaved(&harness), expected, "{case:?}");
    }
}

/// What follows a ChangeCipherSpec under the keys before it.
#[test]
fn old_keys_are_forgotten_with_change_cipher_spec() {
    for case in Case::all().into_iter().filter(|case| case.renegotiates) {
        let honest = case.honest();
        for played in [honest.len() - 1, honest.len()] {
            let mut harness = case.open();
            harness.receive();
            harness.play(&honest[..played]);
            let late = harness.data_in(1, b"late");
            harness.deliver(&late);
            assert_eq!(
                misbehaved(&harness),
                PeerMisbehaved::BadRecordMac,
                "{case:?}"
            );
            assert!(harness.receive().is_empty());
        }
    }
}

/// RFC 5246 §6.2.3.3: a record of the handshake itself that was altered.
#[test]
fn an_altered_record_in_a_renegotiation_is_fatal() {
    for case in Case::all().into_iter().filter(|case| case.renegotiates) {
        for (at, line) in case.honest().into_iter().enumerate() {
            let mut harness = case.open();
            harness.play(&case.honest()[..at]);
            let mut record = harness.peer().speak(&[line]).concat();
            let last = record.len() - 1;
            record[last] ^= 0x80;
            harness.deliver(&record);
            assert_eq!(
                misbehaved(&harness),
                PeerMisbehaved::BadRecordMac,
                "{case:?} {line:?}"
            );
        }
    }
}

/// RFC 5246 §7.2: alerts are whole and alone in their records.
#[test]
fn an_alert_that_is_cut_or_followed_is_fatal() {
    for side in SIDES {
        for payload in [
            &[][..],
            &[1],
            &[1, 0, 0],
            &[1, 100, 1, 100],
            &[3, 0],
            &[0, 0],
        ] {
            let mut harness = connected(side, TLS);
            let record = harness.peer().record(ALERT, 1, payload);
            harness.deliver(&record);
            assert!(!harness.is_alive(), "{side} {payload:?}");
            let level = Error::PeerMisbehaved(PeerMisbehaved::UnknownAlertLevel);
            let expected = match payload {
                // RFC 5246 §6.2.1: only records of data may be empty.
                [] => harness.error() == Some(PeerMisbehaved::EmptyRecord.into()),
                [_, _] => harness.error() == Some(level),
                _ => matches!(harness.error(), Some(Error::InvalidMessage(_))),
            };
            assert!(expected, "{payload:?}");
        }
    }
}

/// C11: warnings that nobody can mean, before and between handshakes and in one.
#[test]
fn a_flood_of_warnings_is_fatal_and_a_few_are_not() {
    for side in SIDES {
        for renegotiates in [false, true] {
            let mut harness = connected(side, TLS);
            if renegotiates {
                harness.begin(side, false);
            }
            let warn = |harness: &mut Harness| {
                let record = harness.peer().record(ALERT, 1, &[WARNING, 90]);
                harness.deliver(&record);
            };
            (0..32).for_each(|_| warn(&mut harness));
            assert!(harness.is_alive());
            // Data is proof of good will.
            let data = harness.data_in(1, b"data");
            harness.deliver(&data);
            (0..32).for_each(|_| warn(&mut harness));
            assert!(harness.is_alive());
            warn(&mut harness);
            assert_eq!(misbehaved(&harness), PeerMisbehaved::TooManyWarnings);
            assert_eq!(harness.peer().alerts_heard(), [(FATAL, UNEXPECTED_MESSAGE)]);
        }
    }
}

/// Empty records of data: as many as padding could be, and one more.
#[test]
fn a_flood_of_empty_records_is_fatal_and_a_few_are_not() {
    for side in SIDES {
        for renegotiates in [false, true] {
            let mut harness = connected(side, TLS);
            if renegotiates {
                harness.begin(side, false);
            }
            for _ in 0..2 {
                (0..32).for_each(|_| {
                    let record = harness.data_in(1, b"");
                    harness.deliver(&record);
                });
                let data = harness.data_in(1, b"data");
                harness.deliver(&data);
            }
            assert!(harness.is_alive());
            for _ in 0..33 {
                let record = harness.data_in(1, b"");
                harness.deliver(&record);
            }
            assert_eq!(misbehaved(&harness), PeerMisbehaved::EmptyRecord);
        }
    }
}

/// An empty handshake record has no meaning at any time.
#[test]
fn an_empty_handshake_record_is_fatal() {
    for case in Case::all() {
        let honest = case.honest();
        for at in 0..honest.len() - 1 {
            let mut harness = case.open();
            harness.play(&honest[..at]);
            let record = harness.peer().record(HANDSHAKE, case.epoch(), &[]);
            harness.deliver(&record);
            assert_eq!(
                misbehaved(&harness),
                PeerMisbehaved::EmptyRecord,
                "{case:?} {at}"
            );
        }
    }
}

/// A11: a message that announces more than is allowed is refused by its header; one that announces
/// what is allowed takes no more memory than it has sent.
#[test]
fn a_huge_announced_message_takes_no_memory() {
    for case in Case::all() {
        for (length, allowed) in [
            (1 << 16, true),
            ((1 << 16) + 1, false),
            ((1 << 24) - 1, false),
        ] {
            let mut harness = case.open();
            let bytes = u32::to_be_bytes(length);
            let header = [case.honest()[0].typ(), bytes[1], bytes[2], bytes[3]];
            let record = harness.peer().record(HANDSHAKE, case.epoch(), &header);
            harness.deliver(&record);
            if allowed {
                assert!(harness.is_alive() && harness.buffered() <= 4, "{case:?}");
            } else {
                assert_eq!(misbehaved(&harness), PeerMisbehaved::MessageTooLong);
            }
        }
    }
}

/// A message that never ends is bounded by the policy, and the attempt by its deadline.
#[test]
fn a_message_that_never_ends_is_bounded_in_size_and_time() {
    let policy = StreamPolicy::default().max_message(8192).unwrap();
    for side in SIDES {
        let mut ends = Ends::new();
        ends.client = ends.client.stream(policy.clone());
        ends.server = ends.server.stream(policy.clone());
        let mut harness = connected_with(side, TLS, ends, RekeyPolicy::default());
        harness.begin(side, side == Side::Client);
        let typ = flight(side)[0].typ();
        let record = harness.peer().record(HANDSHAKE, 1, &[typ, 0, 0x20, 0]);
        harness.deliver(&record);
        for _ in 0..8191 / 8 {
            let record = harness.peer().record(HANDSHAKE, 1, &[0; 8]);
            harness.deliver(&record);
        }
        assert!(harness.is_alive() && harness.buffered() <= 8192 + 4);
        harness.wait(PATIENCE);
        // A server has answered already; a client whose hello was not answered may wait on.
        match side {
            Side::Server => {
                assert!(matches!(harness.error(), Some(Error::TimedOut { .. })));
            }
            Side::Client => {
                assert_eq!(harness.refusals(RenegotiationRefusal::Unanswered), 1);
                assert!(harness.is_pending());
            }
        }
    }
}

/// A flood of wishes, taken and refused, by a peer that never reads: nothing piles up.
#[test]
fn a_flood_of_wishes_takes_no_memory() {
    for side in SIDES {
        let mut ends = Ends::new();
        let unwilling = RekeyPolicy::default().follow_hello_requests(false);
        ends.client = ends.client.rekey(unwilling.clone());
        let peer = match side {
            Side::Client => scripted_server(&ends),
            Side::Server => scripted_client(),
        };
        let mut harness = Harness::of(side, TLS, &ends.build(), peer);
        harness.connect(side);
        let Harness::Tls(stream) = &mut harness else {
            unreachable!()
        };
        for _ in 0..10_000 {
            stream.peer.renegotiate();
            let wish = match side {
                Side::Client => Line::HelloRequest,
                Side::Server => Line::ClientHello,
            };
            let record = stream.peer.speak(&[wish]).concat();
            // Our end's transport is blocked: nothing is taken from it.
            stream.end.deliver(stream.now, &record);
        }
        assert!(harness.is_alive(), "{side}");
        assert!(harness.buffered() < 100, "{side} {}", harness.buffered());
        assert!(
            harness.refusals(RenegotiationRefusal::Policy) < 10,
            "{side}"
        );
        harness.listen();
        assert_eq!(harness.peer().alerts_heard(), [(WARNING, NO_RENEGOTIATION)]);
        harness.assert_unchanged(1);
    }
}

/// The same with a peer that is followed: each wish is one handshake, and none begins inside
/// another.
#[test]
fn a_flood_of_hello_requests_begins_one_handshake_at_a_time() {
    let mut harness = connected(Side::Client, TLS);
    for epoch in 2..20 {
        let before = harness.heard();
        harness.peer().renegotiate();
        for _ in 0..100 {
            harness.play(&[Line::HelloRequest]);
        }
        assert_eq!(harness.messages_heard_since(before), [1]);
        harness.finish(Side::Client, epoch);
        assert!(harness.buffered() < 100);
    }
}

/// A client that begins again and again without ever going on, at a server that lets it.
#[test]
fn hellos_in_the_middle_of_a_renegotiation_are_fatal() {
    let mut harness = connected(Side::Server, TLS);
    harness.begin(Side::Server, false);
    harness.play(&[Line::ClientHello]);
    let expected = PeerMisbehaved::UnexpectedMessage { got: 1 };
    assert_eq!(misbehaved(&harness), expected);
}

/// A client that renegotiates without end is slowed down by the policy, and told so each time.
#[test]
fn a_server_lets_its_clients_renegotiate_no_more_often_than_its_policy_says() {
    let mut ends = Ends::new();
    let allow = sealgram::config::ClientRenegotiation::Allow {
        min_interval: Duration::from_secs(10),
    };
    ends.server = ends
        .server
        .rekey(RekeyPolicy::default().client_renegotiation(allow));
    let mut harness = Harness::server(TLS, ends.build().server, scripted_client());
    harness.connect(Side::Server);
    let mut epoch = 1;
    for second in 1..=40 {
        harness.wait(Duration::from_secs(1));
        harness.peer().renegotiate();
        harness.play(&[Line::ClientHello]);
        if second % 10 == 0 {
            epoch += 1;
            harness.finish(Side::Server, epoch);
        } else {
            harness.assert_unchanged(epoch);
        }
    }
    let refusals = harness.refusals(RenegotiationRefusal::Policy);
    assert_eq!((epoch, refusals), (5, 36));
}

/// RFC 5246 §7.2.1: a peer that says goodbye before its handshake is done is gone; our end does not
/// wait for more.
#[test]
fn a_close_notify_inside_the_first_handshake_is_its_end() {
    for case in Case::all().into_iter().filter(|case| !case.renegotiates) {
        let honest = case.honest();
        for at in 0..honest.len() - 1 {
            let mut harness = case.open();
            harness.play(&honest[..at]);
            let record = harness.peer().record(ALERT, 0, &[WARNING, CLOSE_NOTIFY]);
            harness.deliver(&record);
            assert!(!harness.is_alive(), "{case:?} {at}: it waits on");
            assert!(
                !harness
                    .events()
                    .iter()
                    .any(|event| matches!(event, Event::HandshakeComplete { .. }))
            );
        }
    }
}

/// What a peer makes of it all.
type Made = fn(&mut Harness) -> Vec<u8>;

/// Records of the wrong version, type or size in the middle of a renegotiation.
#[test]
fn a_record_that_is_none_is_fatal_in_a_renegotiation() {
    for side in SIDES {
        let cases: [(Made, PeerMisbehaved); 4] = [
            (
                |harness| harness.peer().record_at(HANDSHAKE, 0x0301, 1, 99, &[0; 4]),
                PeerMisbehaved::WrongRecordVersion,
            ),
            (
                |harness| harness.peer().record_at(24, TLS12, 1, 99, &[0; 4]),
                PeerMisbehaved::UnknownContentType,
            ),
            (
                |_| [&[APPLICATION_DATA, 3, 3, 0x48, 1][..], &[0; 100]].concat(),
                PeerMisbehaved::RecordOverflow,
            ),
            (
                // Sequence numbers are implicit: one that was left out is a forgery.
                |harness| harness.peer().record_at(HANDSHAKE, TLS12, 1, 99, &[0; 4]),
                PeerMisbehaved::BadRecordMac,
            ),
        ];
        for (make, expected) in cases {
            let mut harness = connected(side, TLS);
            harness.begin(side, side == Side::Client);
            let record = make(&mut harness);
            harness.deliver(&record);
            assert_eq!(misbehaved(&harness), expected);
        }
    }
}

/// What is in a stream behind the record that killed the connection is not looked at.
#[test]
fn nothing_is_taken_after_a_fatal_record() {
    for side in SIDES {
        let mut harness = connected(side, TLS);
        harness.receive();
        let bad = harness.peer().record(CHANGE_CIPHER_SPEC, 1, &[1]);
        let data = harness.data_in(1, b"behind");
        harness.deliver(&[bad, data.clone()].concat());
        harness.deliver(&data);
        assert!(harness.receive().is_empty());
        assert_eq!(harness.peer().alerts_heard(), [(FATAL, UNEXPECTED_MESSAGE)]);
        assert_eq!(harness.buffered(), 0);
        assert!(harness.timer().is_none());
    }
}
