//! Key updates, and what has no place after the handshake.

use super::*;
use crate::crypto::hash::HashAlgorithm;
use crate::error::{InvalidMessage, PeerMisbehaved as P};
use crate::protocol::dialect::{DTLS, TLS};
use crate::protocol::{AlertDescription, MessageSeq};
use crate::secrets::schedule13::{Derivation, HandshakeSecret, SecretLog};
use crate::wire::client_hello::RANDOM_LEN;

fn post(side: Side) -> Post {
    post_of(&DTLS, side)
}

fn post_of(dialect: &'static Dialect, side: Side) -> Post {
    let derivation = Derivation::new(dialect, HashAlgorithm::Sha256);
    let log = SecretLog {
        log: None,
        client_random: &[0; RANDOM_LEN],
    };
    let main = HandshakeSecret::new(derivation, None, b"secret").finish();
    Post::new(Handover {
        manners: Manners::of(dialect, &Parameters::default()),
        unconfirmed: None,
        dialect,
        side,
        agreed: crate::session::test_session_13().agreed,
        exporter: main.exporter(&[0; 32], log),
        resumption: None,
        age_skew: None,
        connection_ids: None,
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
