//! Key updates, connection IDs, and what has no place after the handshake.

use super::*;
use crate::crypto::hash::HashAlgorithm;
use crate::error::{ConnectionIdError, InvalidMessage, PeerMisbehaved as P};
use crate::protocol::dialect::{DTLS, TLS};
use crate::protocol::{AlertDescription, ConnectionId, MessageSeq};
use crate::secrets::schedule13::{Derivation, HandshakeSecret, SecretLog};
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::connection_id_update::{ConnectionIdUsage, NewConnectionId};

fn post(side: Side) -> Post {
    post_of(&DTLS, side)
}

fn post_of(dialect: &'static Dialect, side: Side) -> Post {
    post_with(dialect, side, None)
}

fn post_with(dialect: &'static Dialect, side: Side, ids: Option<ConnectionIds>) -> Post {
    let derivation = Derivation::new(dialect, HashAlgorithm::Sha256);
    let log = SecretLog {
        log: None,
        client_random: &[0; RANDOM_LEN],
    };
    let main = HandshakeSecret::new(derivation, None, Some(b"secret")).finish();
    Post::new(Handover {
        manners: Manners::of(dialect, &Parameters::default()),
        unconfirmed: None,
        dialect,
        side,
        agreed: crate::session::test_session_13().agreed,
        exporter: main.exporter(&[0; 32], log),
        resumption: None,
        age_skew: None,
        connection_ids: ids,
        read: main.traffic(side.peer(), &[0; 32], log),
        write: main.traffic(side, &[0; 32], log),
        outbox: &Outbox::starting_at(MessageSeq(5)),
    })
}

fn message(epoch: u64, typ: HandshakeType, body: &[u8]) -> InboundMessage {
    InboundMessage {
        epoch: Epoch::new(epoch),
        seq: MessageSeq(9),
        typ,
        body: body.to_vec(),
    }
}

fn update(post: &mut Post, epoch: u64, request: u8) -> Result<(), Error> {
    let message = message(epoch, HandshakeType::KEY_UPDATE, &[request]);
    post.handle(
        &message,
        UnixTime::since_unix_epoch(std::time::Duration::ZERO),
    )
}

/// RFC 8446 §4.6.3: neither another value nor another length.
#[test]
fn r8446_01_a_key_update_says_zero_or_one() {
    for side in [Side::Client, Side::Server] {
        for request in 2..=255 {
            let error = update(&mut post(side), 3, request).unwrap_err();
            assert_eq!(error.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
        }
        for body in [&[][..], &[0, 0]] {
            let message = message(3, HandshakeType::KEY_UPDATE, body);
            let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
            let error = post(side).handle(&message, now).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::InvalidMessage(
                        InvalidMessage::TrailingData(_) | InvalidMessage::MissingData(_)
                    )
                ),
                "{error:?}"
            );
        }
    }
}

/// RFC 8446 §4.6.3: what is asked for is sent before any more data; several requests get one
/// answer.
#[test]
fn r8446_03_requests_are_answered_once_and_at_once() {
    let mut post = post(Side::Server);
    update(&mut post, 3, 1).unwrap();
    update(&mut post, 4, 1).unwrap();
    assert_eq!(post.pending_update(), Some(KeyUpdate::NotRequested));
    assert!(post.wants_to_begin());
    post.begin().unwrap();
    let sent = std::iter::from_fn(|| post.poll_action())
        .filter(|it| matches!(it, Action::SendMessage { body, .. } if *body == [0]))
        .count();
    assert_eq!(sent, 1);
    assert_eq!(post.read_epoch().number(), 5);
}

/// RFC 8446 §4.6.3: an answer asks for nothing, whatever this end had scheduled before it was
/// asked, by a call or by itself.
#[test]
fn r8446_03_an_answer_that_was_scheduled_before_the_request_asks_for_nothing() {
    for dialect in [&DTLS, &TLS] {
        for side in [Side::Client, Side::Server] {
            for automatic in [false, true] {
                let mut post = post_of(dialect, side);
                match automatic {
                    true => post.schedule_automatic(),
                    false => post.schedule(KeyUpdate::Requested).unwrap(),
                }
                update(&mut post, 3, 1).unwrap();
                assert_eq!(post.pending_update(), Some(KeyUpdate::NotRequested));
                post.begin().unwrap();
                let said: Vec<_> = std::iter::from_fn(|| post.poll_action())
                    .filter_map(|it| match it {
                        Action::SendMessage { body, .. } => Some(body),
                        _ => None,
                    })
                    .collect();
                assert_eq!(said, [[0]], "{side} {automatic}");
            }
        }
    }
}

/// RFC 9147 §8: after a KeyUpdate nothing new is said under the old keys.
#[test]
fn r9147_43_a_new_message_under_the_old_keys_is_a_fault() {
    let mut post = post(Side::Client);
    update(&mut post, 3, 0).unwrap();
    let error = update(&mut post, 3, 0).unwrap_err();
    assert_eq!(error.alert(), Some(AlertDescription::UNEXPECTED_MESSAGE));
}

/// RFC 9147 §8: epochs end before they wrap (G2). The call says so; a peer that goes on is at
/// fault.
#[test]
fn r9147_45_epochs_end() {
    let mut writer = post(Side::Client);
    writer.write.epoch = Epoch::LIMIT_13;
    let outcome = writer.schedule(KeyUpdate::NotRequested);
    assert_eq!(outcome, Err(KeyUpdateError::EpochsExhausted));
    let mut reader = post(Side::Client);
    let last = Epoch::LIMIT_13.number();
    reader.read.epoch = Epoch::new(last - 1);
    update(&mut reader, last - 1, 0).unwrap();
    let beyond = P::TooManyKeyUpdates.into();
    assert_eq!(update(&mut reader, last, 0), Err(beyond));
    assert_eq!(reader.read_epoch().number(), last);
}

/// RFC 8446 §4.1.2, §4.6.2: nothing else has a place after the handshake.
#[test]
fn r8446_10_r8446_11_other_messages_are_unexpected() {
    let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
    for side in [Side::Client, Side::Server] {
        for number in 0..=255 {
            let known = number == HandshakeType::KEY_UPDATE.0
                || side == Side::Client && number == HandshakeType::NEW_SESSION_TICKET.0;
            if known {
                continue;
            }
            let stray = message(3, HandshakeType(number), &[]);
            let error = post(side).handle(&stray, now).unwrap_err();
            assert_eq!(error, P::UnexpectedMessage { got: number }.into());
        }
    }
}

/// An end of an association with connection IDs of these lengths.
fn with_ids(side: Side, ours: usize, theirs: usize) -> Post {
    let [ours, theirs] = [ours, theirs].map(|length| cid(&vec![9; length]));
    let ids = ConnectionIds {
        ours,
        theirs,
        checks: false,
    };
    post_with(&DTLS, side, Some(ids))
}

fn cid(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes)
}

fn take(post: &mut Post, typ: HandshakeType, body: &[u8]) -> Result<(), Error> {
    let message = message(post.read_epoch().number(), typ, body);
    post.handle(
        &message,
        UnixTime::since_unix_epoch(std::time::Duration::ZERO),
    )
}

fn give(post: &mut Post, cids: &[&[u8]], usage: ConnectionIdUsage) -> Result<(), Error> {
    let cids = cids.iter().map(|bytes| cid(bytes)).collect();
    let body = NewConnectionId { cids, usage }.encode();
    take(post, HandshakeType::NEW_CONNECTION_ID, &body)
}

fn ask(post: &mut Post, count: u8) -> Result<(), Error> {
    take(post, HandshakeType::REQUEST_CONNECTION_ID, &[count])
}

fn actions(post: &mut Post) -> Vec<Action> {
    std::iter::from_fn(|| post.poll_action()).collect()
}

/// What is sent, with the flight that it is.
fn sent(post: &mut Post) -> Vec<(HandshakeType, Vec<u8>, FlightId)> {
    let mut found = Vec::new();
    let mut message = None;
    for action in actions(post) {
        match action {
            Action::SendMessage { typ, body, .. } => {
                assert!(message.is_none(), "each message is a flight of its own");
                message = Some((typ, body));
            }
            Action::EndFlight { id, end } => {
                assert_eq!(end, FlightEnd::AwaitAck(Unacknowledged::Persists));
                let (typ, body) = message.take().unwrap();
                found.push((typ, body, id));
            }
            _ => {}
        }
    }
    found
}

/// What this end writes carries another connection ID from now on.
fn used(post: &mut Post) -> Vec<ConnectionId> {
    let actions = actions(post).into_iter();
    let used = actions.filter_map(|it| match it {
        Action::UseConnectionId(theirs) => Some(theirs),
        _ => None,
    });
    used.collect()
}

/// RFC 9147 §9: one of the new ones is used at once, in the order given; the others are for later.
#[test]
fn n52_06_the_first_immediate_id_is_used_and_the_others_are_spares() {
    for side in [Side::Client, Side::Server] {
        let mut post = with_ids(side, 0, 4);
        let long = [7; 255];
        give(
            &mut post,
            &[&long, &[1], &[2, 2]],
            ConnectionIdUsage::Immediate,
        )
        .unwrap();
        assert_eq!(used(&mut post), [cid(&long)]);
        give(&mut post, &[&[3]], ConnectionIdUsage::Spare).unwrap();
        assert_eq!(used(&mut post), []);
        for spare in [&[1][..], &[2, 2], &[3]] {
            assert_eq!(post.take_spare(), Some(cid(spare)));
        }
        assert_eq!(post.take_spare(), None);
    }
}

/// RFC 9147 §9: what is too many is dropped, however it comes.
#[test]
fn n52_06_spares_have_a_limit() {
    let mut post = with_ids(Side::Client, 0, 4);
    for number in 0..5 {
        let cids = [&[number, 0][..], &[number, 1]];
        give(&mut post, &cids, ConnectionIdUsage::Spare).unwrap();
    }
    let spares: Vec<_> = std::iter::from_fn(|| post.take_spare()).collect();
    assert_eq!(spares.len(), 8);
    assert_eq!(spares[7], cid(&[3, 1]));
    let many: Vec<_> = (0..200).map(|number| [number]).collect();
    let many: Vec<_> = many.iter().map(|one| &one[..]).collect();
    give(&mut post, &many, ConnectionIdUsage::Immediate).unwrap();
    assert_eq!(used(&mut post), [cid(&[0])]);
    assert_eq!(std::iter::from_fn(|| post.take_spare()).count(), 8);
}

/// RFC 9147 §9: an empty list is an answer; an ID without bytes and a usage that does not exist are
/// none.
#[test]
fn n52_05_what_means_nothing_ends_the_association() {
    let mut post = with_ids(Side::Client, 0, 4);
    for usage in [ConnectionIdUsage::Spare, ConnectionIdUsage::Immediate] {
        give(&mut post, &[], usage).unwrap();
    }
    assert_eq!(used(&mut post), []);
    for body in [&[0, 3, 1, 5, 0, 1][..], &[0, 2, 1, 5, 2]] {
        let error = take(&mut post, HandshakeType::NEW_CONNECTION_ID, body).unwrap_err();
        assert_eq!(error, P::IllegalConnectionId.into());
        assert_eq!(error.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
    }
}

/// RFC 9147 §9: nobody is given connection IDs whose records carry none, or is asked for them whose
/// peer's carry none.
#[test]
fn n52_08_a_message_in_a_direction_without_connection_ids_is_unexpected() {
    let unexpected = |typ: HandshakeType| P::UnexpectedMessage { got: typ.0 }.into();
    let (new, request) = (
        HandshakeType::NEW_CONNECTION_ID,
        HandshakeType::REQUEST_CONNECTION_ID,
    );
    for side in [Side::Client, Side::Server] {
        for (ours, theirs) in [(0, 0), (4, 0), (0, 4), (4, 4)] {
            let mut post = with_ids(side, ours, theirs);
            let given = give(&mut post, &[&[1]], ConnectionIdUsage::Spare);
            let expected = if theirs == 0 {
                Err(unexpected(new))
            } else {
                Ok(())
            };
            assert_eq!(given, expected, "{ours} {theirs}");
            let asked = ask(&mut post, 1);
            let expected = if ours == 0 {
                Err(unexpected(request))
            } else {
                Ok(())
            };
            assert_eq!(asked, expected, "{ours} {theirs}");
            // Nor does this end.
            let asks = post.request_connection_ids(1);
            assert_eq!(asks.is_ok(), theirs > 0);
            assert_eq!(post.check_renewal().is_ok(), ours > 0);
            post.announce(vec![cid(&[1])], ConnectionIdUsage::Spare);
            post.begin().unwrap();
            let types: Vec<_> = sent(&mut post).into_iter().map(|it| it.0).collect();
            let mut expected = Vec::new();
            expected.extend((ours > 0).then_some(new));
            expected.extend((theirs > 0).then_some(request));
            assert_eq!(types, expected);
        }
        let mut post = post(side);
        let given = give(&mut post, &[&[1]], ConnectionIdUsage::Spare);
        assert_eq!(given, Err(unexpected(new)));
        assert_eq!(ask(&mut post, 1), Err(unexpected(request)));
    }
}

/// RFC 9147 §9: a request is answered with that many, up to a limit, and one for none as well.
#[test]
fn n52_09_requests_are_granted_up_to_a_limit() {
    for (wanted, granted) in [(0, 0), (1, 1), (8, 8), (9, 8), (255, 8)] {
        let mut post = with_ids(Side::Server, 4, 0);
        ask(&mut post, wanted).unwrap();
        let [Action::IssueConnectionIds { count }] = actions(&mut post)[..] else {
            panic!("one action");
        };
        assert_eq!(count, granted);
        let cids = (0..count).map(|number| cid(&[number])).collect::<Vec<_>>();
        let expected = NewConnectionId {
            cids: cids.clone(),
            usage: ConnectionIdUsage::Spare,
        };
        post.announce(cids, ConnectionIdUsage::Spare);
        assert!(post.wants_to_begin());
        post.begin().unwrap();
        let [(typ, body, _)] = &sent(&mut post)[..] else {
            panic!("one message");
        };
        assert_eq!(*typ, HandshakeType::NEW_CONNECTION_ID);
        assert_eq!(*body, expected.encode());
    }
}

/// RFC 9147 §9: a flood of requests ends the association, and data in between shows that there is
/// none. What waits to be announced meanwhile has a limit too.
#[test]
fn n52_09_a_flood_of_requests_is_a_fault() {
    let mut post = with_ids(Side::Server, 4, 0);
    let mut issued = 0;
    for _ in 0..3 {
        for _ in 0..32 {
            ask(&mut post, 255).unwrap();
            for action in actions(&mut post) {
                let Action::IssueConnectionIds { count } = action else {
                    continue;
                };
                issued += usize::from(count);
                let cids = vec![cid(&[1; 4]); count.into()];
                post.announce(cids, ConnectionIdUsage::Spare);
            }
        }
        post.data_came();
    }
    assert_eq!(issued, 8);
    for _ in 0..32 {
        ask(&mut post, 1).unwrap();
    }
    let error = ask(&mut post, 1).unwrap_err();
    assert_eq!(error, P::TooManyConnectionIdRequests.into());
    let alert = AlertDescription::TOO_MANY_CIDS_REQUESTED;
    assert_eq!(error.alert(), Some(alert));
}

/// RFC 9147 §5.8.4: the next NewConnectionId waits until the last one is acknowledged; what is to
/// be used at once is in front of it.
#[test]
fn n52_07_one_announcement_is_on_its_way_at_most() {
    let mut post = with_ids(Side::Server, 4, 0);
    post.announce(vec![cid(&[1])], ConnectionIdUsage::Immediate);
    assert_eq!(post.check_renewal(), Err(ConnectionIdError::Pending));
    post.begin().unwrap();
    let [(_, _, first)] = sent(&mut post)[..] else {
        panic!("one message");
    };
    assert_eq!(post.check_renewal(), Err(ConnectionIdError::Pending));
    post.announce(vec![cid(&[2])], ConnectionIdUsage::Spare);
    post.announce(vec![cid(&[3])], ConnectionIdUsage::Immediate);
    assert!(!post.wants_to_begin());
    post.begin().unwrap();
    assert!(sent(&mut post).is_empty());
    post.delivered(FlightId(first.0 + 1)).unwrap();
    assert!(!post.wants_to_begin());
    post.delivered(first).unwrap();
    post.begin().unwrap();
    let [(_, body, second)] = &sent(&mut post)[..] else {
        panic!("one message");
    };
    let expected = NewConnectionId {
        cids: vec![cid(&[3]), cid(&[2])],
        usage: ConnectionIdUsage::Immediate,
    };
    assert_eq!(*body, expected.encode());
    post.delivered(*second).unwrap();
    assert_eq!(post.check_renewal(), Ok(()));
}

/// RFC 9147 §9: no second request before the answer to the first, and (§5.8.4) none before its
/// acknowledgement.
#[test]
fn n52_07_one_request_is_unanswered_at_most() {
    for answered_first in [false, true] {
        let mut post = with_ids(Side::Client, 0, 4);
        assert_eq!(post.request_connection_ids(3), Ok(()));
        let pending = Err(ConnectionIdError::Pending);
        assert_eq!(post.request_connection_ids(3), pending);
        post.begin().unwrap();
        let [(typ, body, flight)] = &sent(&mut post)[..] else {
            panic!("one message");
        };
        assert_eq!(*typ, HandshakeType::REQUEST_CONNECTION_ID);
        assert_eq!(*body, [3]);
        assert_eq!(post.request_connection_ids(3), pending);
        for step in [answered_first, !answered_first] {
            assert_eq!(post.request_connection_ids(3), pending);
            match step {
                true => give(&mut post, &[], ConnectionIdUsage::Spare).unwrap(),
                false => post.delivered(*flight).unwrap(),
            }
        }
        assert_eq!(post.request_connection_ids(3), Ok(()));
    }
}

/// RFC 9147 §5.8.4: each kind of message is acknowledged by itself, so a KeyUpdate begins beside
/// the others. RFC 9147 §8: after it nothing new is said under the old keys, so the others wait for
/// its acknowledgement.
#[test]
fn n52_10_a_key_update_goes_beside_connection_ids_and_nothing_after_it() {
    let mut post = with_ids(Side::Client, 4, 4);
    post.schedule(KeyUpdate::NotRequested).unwrap();
    post.announce(vec![cid(&[1])], ConnectionIdUsage::Spare);
    post.request_connection_ids(1).unwrap();
    post.begin().unwrap();
    let messages = sent(&mut post);
    let types: Vec<_> = messages.iter().map(|it| it.0).collect();
    let new = HandshakeType::NEW_CONNECTION_ID;
    let request = HandshakeType::REQUEST_CONNECTION_ID;
    assert_eq!(types, [new, request, HandshakeType::KEY_UPDATE]);
    post.delivered(messages[0].2).unwrap();
    post.announce(vec![cid(&[2])], ConnectionIdUsage::Spare);
    assert!(!post.wants_to_begin());
    post.begin().unwrap();
    assert!(sent(&mut post).is_empty());
    post.delivered(messages[2].2).unwrap();
    assert!(post.wants_to_begin());
    post.begin().unwrap();
    let epochs: Vec<_> = actions(&mut post)
        .into_iter()
        .filter_map(|it| match it {
            Action::SendMessage { epoch, typ, .. } => Some((typ, epoch.number())),
            _ => None,
        })
        .collect();
    assert_eq!(epochs, [(new, 4)]);
}

/// An answer that waits for data waits; connection IDs do not.
#[test]
fn n52_10_connection_ids_go_before_an_answer_that_waits_for_data() {
    let mut post = with_ids(Side::Client, 4, 4);
    post.answers_with_data = true;
    update(&mut post, 3, 1).unwrap();
    assert!(!post.wants_to_begin());
    post.announce(vec![cid(&[1])], ConnectionIdUsage::Spare);
    assert!(post.wants_to_begin());
    post.begin().unwrap();
    let types: Vec<_> = sent(&mut post).into_iter().map(|it| it.0).collect();
    assert_eq!(types, [HandshakeType::NEW_CONNECTION_ID]);
    assert!(post.data_goes());
    post.begin().unwrap();
    let types: Vec<_> = sent(&mut post).into_iter().map(|it| it.0).collect();
    assert_eq!(types, [HandshakeType::KEY_UPDATE]);
}
