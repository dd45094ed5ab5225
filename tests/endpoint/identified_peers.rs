//! Peers of version 1.2 with connection IDs that are not to be had here, played by a script as they
//! are known to behave: pion and Californium. Neither renegotiates; pion has return routability
//! checks (RFC 9853), Californium has none.

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, FINALE, SERVER_FLIGHT, WARNING, record, scripted_client,
    scripted_server,
};
use crate::common::handshakes::{SIDES, willing};
use crate::common::harness::{CLIENT_HELLO, HELLO_REQUEST, NO_RENEGOTIATION, RESUMING_FLIGHT};
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::error::PeerMisbehaved;
use sealgram::record::Discard;
use sealgram::sim::scripted::{
    ALERT, APPLICATION_DATA, DTLS12, Heard, Line, RETURN_ROUTABILITY_CHECK, ScriptedPeer,
};
use sealgram::{Error, Event, HandshakeKind, RenegotiationRefusal, Side};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const CHALLENGE: u8 = 0;
const RESPONSE: u8 = 1;
const COOKIE: [u8; 8] = *b"a cookie";
const ELSEWHERE: ([u8; 4], u16) = ([198, 51, 100, 9], 7);

/// The end of ours on `side`, which receives connection IDs of `length` bytes, before a handshake
/// with a peer that wants `theirs`.
fn before(
    side: Side,
    length: usize,
    migration: Migration,
    theirs: &[u8],
    checks: bool,
) -> DatagramHarness {
    let policy = DatagramPolicy::default().connection_ids(Some(length));
    let policy = policy.unwrap().migration(migration);
    let mut ends = Ends::new().versions(Versions::V1_2).resuming();
    ends = ends.datagram(&policy);
    ends.server = ends.server.rekey(willing());
    let mut peer = match side {
        Side::Client => scripted_server(&ends),
        Side::Server => scripted_client(),
    };
    peer.identify(theirs, checks);
    let configs = ends.build();
    match side {
        Side::Client => DatagramHarness::client(configs.client, peer),
        Side::Server => DatagramHarness::server(configs.server, peer),
    }
}

/// The same after the handshake.
fn connected(
    side: Side,
    length: usize,
    migration: Migration,
    theirs: &[u8],
    checks: bool,
) -> DatagramHarness {
    let mut harness = before(side, length, migration, theirs, checks);
    harness.complete();
    harness
}

/// What the peer has heard about paths since then.
fn path_messages(peer: &ScriptedPeer, since: usize) -> Vec<Vec<u8>> {
    let contents = |heard: &Heard| match heard {
        Heard::PathMessage { contents, .. } => Some(contents.clone()),
        _ => None,
    };
    peer.heard[since..].iter().filter_map(contents).collect()
}

fn moves(harness: &DatagramHarness) -> Vec<(SocketAddr, SocketAddr, bool)> {
    let changes = harness.events.iter().filter_map(|(_, event)| match event {
        Event::PathChanged(it) => Some((it.from.remote(), it.to.remote(), it.validated)),
        _ => None,
    });
    changes.collect()
}

fn refusals(harness: &DatagramHarness) -> Vec<RenegotiationRefusal> {
    let refused = harness.events.iter().filter_map(|(_, event)| match event {
        Event::RenegotiationRefused { reason } => Some(*reason),
        _ => None,
    });
    refused.collect()
}

/// Data of the peer arrives from where it is now; the last piece of several.
fn hears(harness: &mut DatagramHarness, data: &[u8]) -> bool {
    let record = harness.peer.data(data);
    harness.deliver(&record);
    let id = harness.id().unwrap();
    harness.recv(id).is_some_and(|it| it.data == data)
}

/// Our end sends; whether the peer hears it where it is now.
fn is_heard(harness: &mut DatagramHarness, data: &[u8]) -> bool {
    let id = harness.id().unwrap();
    let mut association = harness.endpoint.association(harness.now, id).unwrap();
    association.send(data).unwrap();
    drop(association);
    let since = harness.peer.heard.len();
    harness.listen();
    let heard = &harness.peer.heard[since..];
    heard
        .iter()
        .any(|it| matches!(it, Heard::Data { data: got, .. } if got == data))
}

/// pion and Californium announce connection IDs at either end, of their own lengths, or zero-length
/// ones ("I can send, and need none", RFC 9146 §3): each direction has the form that its receiver
/// wants, from the Finished on, and nothing before keys has one.
#[test]
fn n51_03_n51_06_both_ends_announce_or_one_or_only_in_name() {
    for side in SIDES {
        for (ours, theirs) in [(8, 8), (0, 8), (8, 0), (0, 0), (4, 1), (20, 255)] {
            let theirs: Vec<u8> = (0..theirs).map(|it| it as u8 ^ 0x55).collect();
            let mut harness = connected(side, ours, Migration::Validated, &theirs, true);
            assert!(harness.exchange(3), "{side:?} {ours} {theirs:?}");
            let (write, read) = harness.peer.ids(1);
            assert_eq!((write.len(), &read), (ours, &theirs));
            let end = harness.connection().unwrap();
            let received = end.received_connection_id().unwrap();
            assert_eq!(received.as_bytes(), write);
            assert_eq!(end.sent_connection_id().unwrap().as_bytes(), theirs);
            // The peer opens nothing under keys that has another form.
            let sealed = |it: &Heard| matches!(it, Heard::Sealed { .. });
            assert!(!harness.peer.heard.iter().any(sealed));
            let record = harness.peer.data(b"with it");
            harness.deliver(&record);
            let id = harness.id().unwrap();
            let got = harness.recv(id).unwrap().connection_id();
            assert_eq!(got, Some(received).filter(|it| !it.is_empty()));
        }
    }
}

/// An end of theirs that has connection IDs switched off answers nothing, and asks for nothing: the
/// association is one without (RFC 9146 §3).
#[test]
fn n51_03_a_peer_that_takes_no_part_has_an_association_without() {
    for side in SIDES {
        let mut harness = before(side, 8, Migration::Validated, b"theirs", true);
        harness.peer.stay_anonymous();
        harness.complete();
        assert!(harness.exchange(3));
        let end = harness.connection().unwrap();
        assert_eq!(end.received_connection_id(), None);
        assert_eq!(end.sent_connection_id(), None);
    }
}

/// pion ignores a wish to renegotiate without a word: it comes to nothing, and the connection IDs
/// that were announced in it leave those alone that are in use.
#[test]
fn pion_ignores_a_renegotiation_and_keeps_its_connection_ids() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"pion's ID", true);
        let before = harness.connection().unwrap().received_connection_id();
        let id = harness.id().unwrap();
        for round in 1..4 {
            let mut end = harness.endpoint.association(harness.now, id).unwrap();
            end.renegotiate().unwrap();
            drop(end);
            harness.listen();
            assert!(harness.connection().unwrap().renegotiate_pending());
            assert!(hears(&mut harness, b"what does it want?"));
            harness.wait(Duration::from_secs(130));
            assert_eq!(
                refusals(&harness),
                vec![RenegotiationRefusal::Unanswered; round]
            );
            let end = harness.connection().unwrap();
            assert_eq!(end.received_connection_id(), before);
            assert!(harness.exchange(3));
        }
        let wish = if side == Side::Client {
            CLIENT_HELLO
        } else {
            HELLO_REQUEST
        };
        let asks = |it: &Heard| matches!(it, Heard::Repeated { epoch: 1, typ, .. } if *typ == wish);
        assert!(harness.peer.heard.iter().any(asks));
    }
}

/// Californium refuses with a warning (RFC 5246 §7.2.2), and goes on with what was agreed on.
#[test]
fn californium_refuses_a_renegotiation_and_keeps_its_connection_ids() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"Scandium", false);
        let before = harness.connection().unwrap().received_connection_id();
        let id = harness.id().unwrap();
        let mut end = harness.endpoint.association(harness.now, id).unwrap();
        end.renegotiate().unwrap();
        drop(end);
        harness.listen();
        let refusal = harness.peer.alert(WARNING, NO_RENEGOTIATION);
        harness.deliver(&refusal);
        assert_eq!(refusals(&harness), [RenegotiationRefusal::NoRenegotiation]);
        let end = harness.connection().unwrap();
        assert_eq!(end.received_connection_id(), before);
        assert!(!end.renegotiate_pending());
        assert!(harness.exchange(3));
        let (write, _) = harness.peer.ids(1);
        let given = write.len();
        let alert = harness.peer.identified(ALERT, 1, &vec![9; given], &[2, 40]);
        // One with a connection ID that nobody gave refuses nothing.
        harness.deliver(&alert);
        assert!(harness.exchange(1));
    }
}

/// RFC 9853 §5.1, J17: pion answers challenges at 1.2. It is followed once it has, and until then
/// everything but the challenge goes to where it was.
#[test]
fn j17_pion_is_followed_when_it_has_answered() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"pion's ID", true);
        let from = harness.address;
        harness.address = ELSEWHERE.into();
        let since = harness.peer.heard.len();
        assert!(hears(&mut harness, b"I am here"));
        let challenges = path_messages(&harness.peer, since);
        let [challenge] = &challenges[..] else {
            panic!("{challenges:?}");
        };
        assert_eq!((challenge[0], challenge.len()), (CHALLENGE, 9));
        assert!(!is_heard(&mut harness, b"for the old address"));
        // J15: an answer to nothing, or from a third address, moves nobody.
        let mut answer = vec![RESPONSE];
        answer.extend(COOKIE);
        let wrong = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &answer);
        harness.deliver(&wrong);
        answer[1..].copy_from_slice(&challenge[1..]);
        harness.address = ([203, 0, 113, 3], 3).into();
        let astray = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &answer);
        harness.deliver(&astray);
        harness.address = ELSEWHERE.into();
        assert_eq!(moves(&harness), []);
        assert_eq!(harness.discarded(Discard::PathCheck), 2);
        let right = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &answer);
        harness.deliver(&right);
        assert_eq!(moves(&harness), [(from, harness.address, true)]);
        assert!(is_heard(&mut harness, b"for the new address"));
        assert!(harness.exchange(3));
    }
}

/// RFC 9853 §5.4: pion asks too, and each challenge has one answer, at once, with its cookie, and
/// to where it came from; an unknown kind has none, and harms nothing (§4).
#[test]
fn n53_11_pion_is_answered() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Never, b"pion's ID", true);
        harness.address = ELSEWHERE.into();
        for round in 0..3 {
            let since = harness.peer.heard.len();
            let question = [&[CHALLENGE][..], &[round; 8]].concat();
            let record = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &question);
            harness.deliver(&record);
            let answer = [&[RESPONSE][..], &[round; 8]].concat();
            assert_eq!(path_messages(&harness.peer, since), [answer]);
        }
        let since = harness.peer.heard.len();
        for kind in [3, 255] {
            let unknown = [&[kind][..], &COOKIE].concat();
            let record = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &unknown);
            harness.deliver(&record);
        }
        assert_eq!(path_messages(&harness.peer, since), [[0; 0]; 0]);
        assert_eq!(harness.failure(), None);
    }
}

/// Californium has no such checks: it is heard wherever it is, and what is sent goes to its first
/// address unless the application says that the newest record counts (RFC 9146 §6); nothing is
/// asked and nothing answered (RFC 9853 §3).
#[test]
fn n53_03_californium_is_followed_only_where_the_application_answers_for_it() {
    for side in SIDES {
        for migration in [Migration::Validated, Migration::Enhanced, Migration::Newest] {
            let mut harness = connected(side, 8, migration, b"Scandium", false);
            let follows = migration == Migration::Newest;
            let from = harness.address;
            let since = harness.peer.heard.len();
            let late = harness.peer.data(b"late");
            harness.address = ELSEWHERE.into();
            assert!(hears(&mut harness, b"I am here"));
            let expected = (from, harness.address, false);
            assert_eq!(
                moves(&harness),
                if follows { vec![expected] } else { vec![] }
            );
            assert_eq!(is_heard(&mut harness, b"here?"), follows);
            // Its record that was held up says nothing of where it is, but is data.
            harness.address = ([203, 0, 113, 3], 3).into();
            harness.deliver(&late);
            let id = harness.id().unwrap();
            assert_eq!(&harness.recv(id).unwrap().data[..], b"late");
            assert_eq!(moves(&harness).len(), usize::from(follows));
            let question = [&[CHALLENGE][..], &COOKIE].concat();
            let record = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &question);
            harness.deliver(&record);
            assert_eq!(harness.discarded(Discard::PathCheck), 1);
            harness.wait(5 * SECOND);
            assert_eq!(path_messages(&harness.peer, since), [[0; 0]; 0]);
        }
    }
}

/// J18, RFC 9146 §3: what a second handshake does not agree on is over, the checks of paths as well
/// as connection IDs, whatever the first one said.
#[test]
fn j18_a_second_handshake_without_checks_ends_them() {
    for side in SIDES {
        for identified in [true, false] {
            let mut harness = connected(side, 8, Migration::Validated, b"pion's ID", true);
            harness.peer.renegotiate();
            match identified {
                true => harness.peer.identify(b"another", false),
                false => harness.peer.stay_anonymous(),
            }
            match side {
                Side::Client => {
                    let id = harness.id().unwrap();
                    let mut end = harness.endpoint.association(harness.now, id).unwrap();
                    end.renegotiate().unwrap();
                    drop(end);
                    harness.listen();
                    harness.play(&SERVER_FLIGHT);
                    harness.play(&FINALE);
                }
                Side::Server => {
                    harness.play(&[Line::ClientHello]);
                    harness.play(&CLIENT_FLIGHT);
                }
            }
            assert_eq!(harness.connection().unwrap().renegotiations(), 1);
            assert!(harness.exchange(2), "{side:?} {identified}");
            let since = harness.peer.heard.len();
            let question = [&[CHALLENGE][..], &COOKIE].concat();
            let record = harness.peer.record(RETURN_ROUTABILITY_CHECK, 2, &question);
            harness.deliver(&record);
            assert_eq!(path_messages(&harness.peer, since), [[0; 0]; 0]);
            assert_eq!(harness.discarded(Discard::PathCheck), 1);
        }
    }
}

/// J14, RFC 9146 §3: a record with the connection ID of somebody else ends what is looked at of its
/// datagram, and no address makes up for one that is unknown; nor for one that is not there.
#[test]
fn j14_n51_07_n51_18_records_of_other_forms_are_nobodys() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"pion's ID", true);
        let id = harness.id().unwrap();
        let (write, _) = harness.peer.ids(1);
        let strange: Vec<u8> = write.iter().map(|byte| !byte).collect();
        let good = harness.peer.data(b"good");
        let other = harness
            .peer
            .identified(APPLICATION_DATA, 1, &strange, b"strange");
        let after = harness.peer.data(b"after");
        harness.deliver(&[good, other.clone(), after].concat());
        assert_eq!(&harness.recv(id).unwrap().data[..], b"good");
        assert!(harness.recv(id).is_none());
        assert_eq!(harness.discarded(Discard::UnknownConnectionId), 1);
        harness.deliver(&other);
        assert_eq!(harness.endpoint.stats().unknown_connection_ids, 1);
        // The same keys, and the form of an association without.
        let mut without = harness
            .peer
            .identified(APPLICATION_DATA, 1, &[], b"without");
        without[0] = APPLICATION_DATA;
        harness.deliver(&without);
        assert!(harness.recv(id).is_none());
        // A client whose server names it is not looked for by address.
        let strays = harness.endpoint.stats().strays;
        let expected = [(0, 1), (1, 0)][usize::from(side == Side::Server)];
        let missing = harness.discarded(Discard::MissingConnectionId);
        assert_eq!((missing, strays), expected);
        assert!(harness.exchange(1));
    }
}

/// RFC 9146 §4: what is inside may be padded with zeros, as Mbed TLS does too. Nothing but zeros,
/// under keys, is a fault of the peer (RFC 8446 §5.4).
#[test]
fn n51_10_padding_is_taken_off() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"theirs", true);
        let id = harness.id().unwrap();
        for zeros in [1, 15, 16, 1000] {
            let record = harness.peer.padded(APPLICATION_DATA, 1, b"padded", zeros);
            harness.deliver(&record);
            assert_eq!(&harness.recv(id).unwrap().data[..], b"padded", "{zeros}");
        }
        let (write, _) = harness.peer.ids(1);
        let zeros = harness.peer.identified(0, 1, &write, &[0; 20]);
        harness.deliver(&zeros);
        let expected = Error::PeerMisbehaved(PeerMisbehaved::NoContentType);
        assert_eq!(harness.error(), Some(expected));
    }
}

/// J8: pion resumes by session ID. The connection IDs are those of this handshake, and the Finished
/// carries one already.
#[test]
fn j08_n51_05_a_resumption_by_session_id_has_connection_ids_of_its_own() {
    // Ours is the client: the scripted server gives a session ID, and takes it back.
    let mut ends = Ends::new().versions(Versions::V1_2).resuming();
    let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
    ends = ends.datagram(&policy);
    let mut peer = scripted_server(&ends);
    peer.choice.session_id = vec![7; 32];
    peer.identify(b"the first", true);
    let config = ends.build().client;
    let mut harness = DatagramHarness::client(config.clone(), peer);
    harness.complete();
    let first = harness.connection().unwrap().received_connection_id();
    let session = harness.peer.session();
    let mut peer = ScriptedPeer::server(Ends::new().pki.server(&rcgen::PKCS_ED25519));
    peer.identify(b"the second", true);
    peer.resume(&session);
    harness.events.clear();
    let mut harness = DatagramHarness::client(config, peer);
    harness.exchange_cookies();
    harness.play(&RESUMING_FLIGHT);
    let end = harness.connection().unwrap();
    assert_eq!(end.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(
        end.received_connection_id()
            .is_some_and(|it| Some(it) != first)
    );
    assert_eq!(end.sent_connection_id().unwrap().as_bytes(), b"the second");
    assert!(harness.peer.has_verified() && harness.exchange(3));

    // Ours is the server, which gives the session ID.
    let ends = Ends::new().versions(Versions::V1_2).datagram(&policy);
    let config = ends.server.tickets(None).build().unwrap();
    let mut peer = scripted_client();
    peer.identify(b"the first", true);
    let mut harness = DatagramHarness::server(std::sync::Arc::new(config), peer);
    harness.complete();
    let first = harness.connection().unwrap().received_connection_id();
    let session = harness.peer.session();
    let mut peer = scripted_client();
    peer.identify(b"the second", true);
    peer.resume(&session);
    harness.peer = peer;
    harness.address = ELSEWHERE.into();
    harness.events.clear();
    harness.exchange_cookies();
    harness.play(&FINALE);
    assert!(harness.is_complete());
    let end = harness.connection().unwrap();
    assert_eq!(end.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(
        end.received_connection_id()
            .is_some_and(|it| Some(it) != first)
    );
    assert_eq!(end.sent_connection_id().unwrap().as_bytes(), b"the second");
    assert!(harness.peer.has_verified() && harness.exchange(3));
}

/// RFC 9146 §3: whatever is protected carries the connection ID, an alert as well as a message of a
/// renegotiation. §6: what does not authenticate is dropped without a word.
#[test]
fn r9146_02_r9146_07_all_that_is_protected_carries_it_and_forgeries_are_not_answered() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"theirs", true);
        let before = harness.sent.len();
        let mut forged = harness.peer.data(b"forged");
        *forged.last_mut().unwrap() ^= 1;
        harness.deliver(&forged);
        assert_eq!(harness.discarded(Discard::Unauthenticated), 1);
        assert_eq!((harness.sent.len(), harness.failure()), (before, None));
        let id = harness.id().unwrap();
        let mut end = harness.endpoint.association(harness.now, id).unwrap();
        end.renegotiate().unwrap();
        drop(end);
        harness.listen();
        let mut end = harness.endpoint.association(harness.now, id).unwrap();
        end.close();
        drop(end);
        harness.listen();
        assert!(harness.peer.alerts_heard().contains(&(WARNING, 0)));
        let protected = harness.sent[before..].iter();
        let carried = protected.map(|datagram| (datagram[0], &datagram[11..17]));
        let carried: Vec<_> = carried.collect();
        assert!(carried.len() >= 2 && carried.iter().all(|it| *it == (25, b"theirs")));
        // Before there were keys nothing had one.
        let first = &harness.sent[0];
        assert_eq!((first[0], &first[3..5]), (22, &[0, 0][..]));
    }
}

/// RFC 9853 §4: a message of a check is protected, and a type with eight bytes; anything else is
/// nothing, and not answered.
#[test]
fn r9853_02_what_is_no_message_of_a_check_is_dropped() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"pion's ID", true);
        let before = harness.sent.len();
        let question = [&[CHALLENGE][..], &COOKIE].concat();
        let plain = record(RETURN_ROUTABILITY_CHECK, DTLS12, 0, 99, &question);
        harness.deliver(&plain);
        for cut in [0, 1, 8] {
            let short = &question[..cut];
            let record = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, short);
            harness.deliver(&record);
        }
        let long = [&question[..], &[0]].concat();
        let long = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &long);
        harness.deliver(&long);
        assert_eq!((harness.sent.len(), harness.failure()), (before, None));
        assert!(harness.exchange(1));
    }
}

/// RFC 9853 §5.3, §5.5: several challenges for one address are each a datagram of their own, with
/// bytes of their own, and a part of the time apart. §5: what comes from another address meanwhile
/// starts nothing; what comes after it begins anew.
#[test]
fn r9853_06_r9853_09_challenges_differ_and_a_move_within_a_check_begins_anew() {
    for side in SIDES {
        let mut harness = connected(side, 8, Migration::Validated, b"pion's ID", true);
        let home = harness.address;
        harness.address = ELSEWHERE.into();
        let since = harness.peer.heard.len();
        assert!(hears(&mut harness, &[7; 300]));
        let mut asked = vec![path_messages(&harness.peer, since).len()];
        for _ in 0..3 {
            let sent = harness.sent.len();
            harness.wait(SECOND / 3);
            asked.push(path_messages(&harness.peer, since).len());
            assert!(harness.sent.len() - sent <= 1);
        }
        assert_eq!(asked, [1, 2, 3, 3]);
        let mut challenges = path_messages(&harness.peer, since);
        challenges.sort();
        challenges.dedup();
        assert_eq!(challenges.len(), 3);
        assert!(!moves(&harness).iter().any(|it| it.1 != home));
        let given_up = |harness: &DatagramHarness| {
            let mut events = harness.events.iter();
            events.any(|it| matches!(it.1, Event::PathNotValidated(_)))
        };
        harness.wait(SECOND);
        assert!(given_up(&harness));

        // Again, and on from there while it is asked.
        assert!(hears(&mut harness, b"here"));
        harness.address = ([203, 0, 113, 3], 3).into();
        let since = harness.peer.heard.len();
        assert!(hears(&mut harness, b"and now here"));
        harness.wait(2 * SECOND);
        assert_eq!(path_messages(&harness.peer, since), [[0; 0]; 0]);
        assert!(hears(&mut harness, b"still here"));
        let challenges = path_messages(&harness.peer, since);
        let answer = [&[RESPONSE][..], &challenges[0][1..]].concat();
        let answer = harness.peer.record(RETURN_ROUTABILITY_CHECK, 1, &answer);
        harness.deliver(&answer);
        assert_eq!(moves(&harness), [(home, harness.address, true)]);
    }
}
