//! What a fragment of a handshake message belongs to, and which have no place at all.

use super::reassembly::Reassembly;
use super::{Datagram, Progress};
use crate::protocol::{Epoch, HandshakeType, MessageSeq, RecordNumber, Side};
use crate::record::{Discard, Fault};
use crate::wire::codec::Reader;
use crate::wire::handshake::FragmentHeader;
use std::time::Instant;

/// Why a fragment was not entered.
pub(super) enum NotEntered {
    /// It is noise, or known.
    Discard(Discard),
    /// No honest peer says it here: under keys its sender is at fault.
    Misplaced,
}

impl From<Discard> for NotEntered {
    fn from(cause: Discard) -> Self {
        Self::Discard(cause)
    }
}

impl Datagram {
    /// Enters every fragment of a handshake record; a header that makes no sense ends the record.
    #[cold]
    pub(super) fn fragments(
        &mut self,
        now: Instant,
        number: RecordNumber,
        contents: &[u8],
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(contents);
        let mut whole = !reader.is_empty();
        while !reader.is_empty() {
            let fragment = FragmentHeader::decode(&mut reader).and_then(|header| {
                let length = usize::try_from(header.fragment_length).unwrap_or(usize::MAX);
                reader.bytes(length, "fragment").map(|data| (header, data))
            });
            let Ok((header, data)) = fragment else {
                return self.count_or_fail(number.epoch, Discard::BadFragment, Fault::BadFragment);
            };
            if let Err(why) = self.fragment(now, number, &header, data) {
                let cause = match why {
                    NotEntered::Discard(cause) => cause,
                    // Under keys nobody else can have sent it.
                    NotEntered::Misplaced if number.epoch != Epoch::PLAINTEXT => {
                        return Err(Fault::UnexpectedMessage(header.typ));
                    }
                    NotEntered::Misplaced => {
                        let fault = Fault::UnexpectedMessage(header.typ);
                        self.count_or_fail(number.epoch, Discard::UnexpectedMessage, fault)?;
                        whole = false;
                        continue;
                    }
                };
                match cause {
                    // Under keys nobody else can have sent it, and the handshake cannot go on without it.
                    Discard::MessageTooLong if number.epoch != Epoch::PLAINTEXT => {
                        return Err(Fault::MessageTooLong);
                    }
                    Discard::MessageTooLong if self.believes_too_long(&header) => {
                        return Err(Fault::MessageTooLong);
                    }
                    Discard::MessageTooLong => {
                        self.count_or_fail(number.epoch, cause, Fault::MessageTooLong)?;
                    }
                    Discard::ConflictingFragment => {
                        self.count_or_fail(number.epoch, cause, Fault::ConflictingFragment)?;
                    }
                    _ => self.stats.discard(cause),
                }
                // An empty fragment of a message that is put together says nothing, and so nothing of it is missing.
                let empty = cause == Discard::BadFragment && data.is_empty();
                whole &= cause == Discard::OldMessage || empty;
            }
        }
        if whole {
            self.note_record(now, number);
        }
        Ok(())
    }

    /// Decides by (epoch, type) which handshake a fragment belongs to: with n the epoch in which the Finished of
    /// H travels, epoch n − 1 is H, Finished in epoch n is H, and anything else in epoch n is the handshake behind H.
    fn fragment(
        &mut self,
        now: Instant,
        number: RecordNumber,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), NotEntered> {
        let epoch = number.epoch;
        let finished = header.typ == HandshakeType::FINISHED;
        let max_message = self.policy.max_message;
        match &mut self.progress {
            Progress::Continuous(_) => self.fragment_13(epoch, header, data),
            Progress::Handshaking {
                current,
                slots,
                following,
                ..
            } => {
                if epoch == *current {
                    self.fragment_in_force(now, epoch, header, data)
                } else if epoch < *current {
                    Err(Discard::OldMessage.into())
                } else if epoch.follows(*current) && finished {
                    Ok(slots.insert(epoch, header, data)?)
                } else if epoch.follows(*current) && starts_handshake(self.side, header) {
                    Ok(add_following(following, max_message, epoch, header, data)?)
                } else {
                    Err(NotEntered::Misplaced)
                }
            }
            Progress::Established {
                epoch: established,
                next,
                following,
            } => {
                if epoch != *established {
                    Err(Discard::OldMessage.into())
                } else if finished && next.is_some_and(|next| header.seq >= next) {
                    // Its handshake has had one already.
                    Err(NotEntered::Misplaced)
                } else if finished {
                    self.answer_repeated_finished(now, header, data);
                    Err(Discard::OldMessage.into())
                } else if starts_handshake(self.side, header) {
                    let outcome = add_following(following, max_message, epoch, header, data);
                    // The peer goes on under the new keys, so it has seen the final flight that brought them.
                    self.drop_retained();
                    Ok(outcome?)
                } else {
                    Err(Discard::UnexpectedMessage.into())
                }
            }
        }
    }

    /// A fragment in the epoch in which the running handshake travels.
    fn fragment_in_force(
        &mut self,
        now: Instant,
        epoch: Epoch,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), NotEntered> {
        if header.typ == HandshakeType::FINISHED {
            if epoch == Epoch::PLAINTEXT {
                return Err(NotEntered::Misplaced);
            }
            // The Finished before this handshake's: its sender has missed the answer.
            self.answer_repeated_finished(now, header, data);
            return Err(Discard::OldMessage.into());
        }
        if header.typ == HandshakeType::HELLO_REQUEST && self.side == Side::Client {
            // RFC 5246 §7.4.1.1: ignored, and not counted either, whenever it comes (E7, E14).
            return Err(Discard::UnexpectedMessage.into());
        }
        if self.read.newest().is_some_and(|newest| newest > epoch) {
            // The engine arms the next epoch when only Finished is missing: this is a repetition, or somebody else's.
            return Err(Discard::OldMessage.into());
        }
        let Progress::Handshaking {
            slots, flexible, ..
        } = &mut self.progress
        else {
            return Err(Discard::UnexpectedMessage.into());
        };
        if *flexible && header.seq == SECOND && is_first_answer(header.typ) {
            slots.start_at(SECOND);
            *flexible = false;
        }
        Ok(slots.insert(epoch, header, data)?)
    }

    /// The peer has sent its Finished again, because it has missed what answers it. Where it comes in pieces, the last one counts.
    fn answer_repeated_finished(&mut self, now: Instant, header: &FragmentHeader, data: &[u8]) {
        if header.ends_with(data) {
            self.repeat_final_flight(now);
        }
    }
}

/// What begins a handshake that the peer wants: a HelloRequest at a client, a ClientHello at a server, each the
/// first message of its handshake (RFC 6347 §4.2.2).
fn starts_handshake(side: Side, header: &FragmentHeader) -> bool {
    let typ = match side {
        Side::Client => HandshakeType::HELLO_REQUEST,
        Side::Server => HandshakeType::CLIENT_HELLO,
    };
    header.typ == typ && header.seq == MessageSeq::FIRST
}

/// Adds to the slot for that message: one, because nothing else can come before it was answered. What is in it
/// was protected, so a fragment that contradicts it is of another attempt, and the latest one counts: a part of an attempt
/// that was given up must not stand in the way for ever.
fn add_following(
    slot: &mut Option<Box<Reassembly>>,
    max_message: usize,
    epoch: Epoch,
    header: &FragmentHeader,
    data: &[u8],
) -> Result<(), Discard> {
    let begin = || Box::new(Reassembly::new(MessageSeq::FIRST, 1, max_message));
    match slot.get_or_insert_with(begin).insert(epoch, header, data) {
        Err(Discard::ConflictingFragment) => slot.insert(begin()).insert(epoch, header, data),
        outcome => outcome,
    }
}

/// The number of a server's answer behind a HelloRequest (RFC 6347 §4.2.2).
const SECOND: MessageSeq = MessageSeq(1);

/// What can answer a ClientHello.
fn is_first_answer(typ: HandshakeType) -> bool {
    [
        HandshakeType::SERVER_HELLO,
        HandshakeType::HELLO_VERIFY_REQUEST,
    ]
    .contains(&typ)
}
