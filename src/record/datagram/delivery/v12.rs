//! Delivery at version 1.2: each handshake numbers its messages anew, and the epoch of a fragment
//! says which handshake it belongs to (RFC 6347 §4.2.2, §4.2.4).
//!
//! Let n be the epoch in which the Finished of handshake H travels:
//!
//! ```text
//!   epoch     n − 1        n, Finished     n, anything else
//!   belongs to  H             H            the handshake after H
//! ```

use super::flight::Flight;
use super::fragments::{Fragment, NotEntered};
use super::hello::is_hello_request_at_client;
use super::reassembly::Reassembly;
use super::{Means, Sender};
use crate::protocol::{Epoch, HandshakeType, MessageSeq, Side};
use crate::record::datagram::records::Records;
use crate::record::{Discard, Fault};
use crate::wire::handshake::InboundMessage;
use std::time::Instant;

/// What version 1.2 keeps of the peer's messages, and of this end's for a peer that has missed
/// them.
pub(super) struct V12 {
    stage: Stage,
    /// The first message of the handshake after this one, or after the last one.
    following: Option<Box<Reassembly>>,
    retained: Option<Box<Retained>>,
}

/// Whether a handshake runs.
enum Stage {
    /// It does.
    Handshaking(Box<Reassembly>),
    /// None does, and the one before has ended.
    Established {
        /// The number after that of the peer's Finished, if it is known.
        next: Option<MessageSeq>,
    },
    /// Under keys the peer has said something after its Finished: nothing goes on.
    Surplus,
}

/// A final flight.
///
/// RFC 6347 §4.2.4 wants it kept for at least twice the MSL. It is kept until the peer proves that
/// it has arrived, by data in the new epoch: at 30 % loss some two peers in ten thousand, which
/// repeat their own flight once a minute by then, need longer than four minutes, and would never
/// come up after that. The few bytes cost no timer.
struct Retained {
    flight: Flight,
    /// The epoch of its Finished.
    epoch: Epoch,
    /// Data of the peer has come in that epoch: when the time of retention is over, nobody needs
    /// the flight any more.
    heard: bool,
    /// When it was sent last, so that a flood of repeated Finished messages is not answered one by
    /// one.
    sent: Instant,
}

impl V12 {
    /// No handshake runs.
    pub(super) const fn idle() -> Self {
        Self {
            stage: Stage::Established { next: None },
            following: None,
            retained: None,
        }
    }

    /// Goes on with the handshake whose hellos were numbered by `slots`.
    pub(super) fn new(slots: Reassembly) -> Self {
        let mut v12 = Self::idle();
        v12.begin(slots);
        v12
    }

    /// A handshake begins on the epoch in force.
    pub(super) fn begin(&mut self, slots: Reassembly) {
        self.stage = Stage::Handshaking(Box::new(slots));
        self.following = None;
    }

    /// No handshake runs. The final flight of the one before stays, if it is still kept.
    pub(super) fn abandon(&mut self) {
        self.stage = Stage::Established { next: None };
        self.following = None;
    }

    /// The handshake is done, and `epoch` is in force.
    pub(super) fn established(&mut self, epoch: Epoch) {
        if self.retained.as_ref().is_some_and(|it| it.epoch != epoch) {
            self.retained = None;
        }
        if let Stage::Handshaking(slots) = &self.stage {
            // Finished is the last message of its handshake.
            self.stage = match slots.holds_protected() {
                true => Stage::Surplus,
                false => Stage::Established {
                    next: slots.expected(),
                },
            };
        }
    }

    /// The messages of the handshake that runs.
    pub(super) const fn slots(&self) -> Option<&Reassembly> {
        match &self.stage {
            Stage::Handshaking(slots) => Some(slots),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) const fn slots_mut(&mut self) -> Option<&mut Reassembly> {
        match &mut self.stage {
            Stage::Handshaking(slots) => Some(slots),
            _ => None,
        }
    }

    /// How many bytes of its first message are kept of the handshake after that.
    pub(super) fn cost_of_following(&self) -> usize {
        self.following.as_ref().map_or(0, |it| it.cost())
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// `UnexpectedMessage` after a Finished that was not the last message.
    #[inline]
    pub(super) fn pop(&mut self) -> Result<Option<InboundMessage>, Fault> {
        match &mut self.stage {
            Stage::Established { .. } => Ok(self.pop_following()),
            Stage::Handshaking(slots) => Ok(slots.pop()),
            Stage::Surplus => Err(Fault::UnexpectedMessage(HandshakeType::FINISHED)),
        }
    }

    #[inline]
    fn pop_following(&mut self) -> Option<InboundMessage> {
        let message = self.following.as_mut()?.pop()?;
        self.following = None;
        Some(message)
    }

    /// Enters a fragment, if it belongs anywhere.
    pub(super) fn fragment(
        &mut self,
        fragment: &Fragment<'_>,
        sender: &Sender,
        means: &mut Means<'_>,
    ) -> Result<(), NotEntered> {
        let (epoch, seq) = (fragment.epoch, fragment.header.seq);
        let (in_force, finished) = (means.records.in_force(), fragment.is_finished());
        let starts = starts_handshake(sender.side, fragment);
        match &mut self.stage {
            Stage::Handshaking(slots) if epoch.follows(in_force) && finished => {
                Ok(fragment.enter(slots)?)
            }
            Stage::Handshaking(_) if epoch.follows(in_force) && starts => {
                self.add_following(fragment, sender)
            }
            Stage::Handshaking(_) if epoch > in_force => Err(NotEntered::Misplaced),
            _ if epoch != in_force => Err(Discard::OldMessage.into()),
            _ if finished && epoch == Epoch::PLAINTEXT => Err(NotEntered::Misplaced),
            // Its handshake has had one already.
            Stage::Established { next: Some(next) } if finished && seq >= *next => {
                Err(NotEntered::Misplaced)
            }
            // That of the handshake before: its sender has missed the answer.
            _ if finished => {
                self.answer_repeated_finished(fragment, sender, means);
                Err(Discard::OldMessage.into())
            }
            Stage::Handshaking(slots) => enter_in_force(slots, fragment, sender, means.records),
            _ if starts => {
                let outcome = self.add_following(fragment, sender);
                // The peer goes on under the new keys, so it has seen the final flight that brought
                // them.
                self.drop_retained(sender, means.records);
                outcome
            }
            _ => Err(Discard::UnexpectedMessage.into()),
        }
    }

    /// Adds to the slot for the first message of the next handshake: one, because nothing else can
    /// come before it was answered. What is in it was protected, so a fragment that contradicts it
    /// is of another attempt, and the latest one counts: a part of an attempt that was given up
    /// must not stand in the way for ever.
    fn add_following(
        &mut self,
        fragment: &Fragment<'_>,
        sender: &Sender,
    ) -> Result<(), NotEntered> {
        let max_message = sender.pace.policy().max_message;
        let begin = || Box::new(Reassembly::new(MessageSeq::FIRST, 1, max_message));
        match fragment.enter(self.following.get_or_insert_with(begin)) {
            Err(Discard::ConflictingFragment) => {
                Ok(fragment.enter(self.following.insert(begin()))?)
            }
            outcome => Ok(outcome?),
        }
    }

    // The final flight.

    /// Keeps a flight that ends its handshake in `epoch`.
    pub(super) fn retain(&mut self, now: Instant, flight: Flight, epoch: Epoch) {
        self.retained = Some(Box::new(Retained {
            flight,
            epoch,
            heard: false,
            sent: now,
        }));
    }

    /// Whether the retained flight has a part in this epoch.
    pub(super) fn uses(&self, epoch: Epoch) -> bool {
        let retained = self.retained.as_ref();
        retained.is_some_and(|it| it.flight.uses(epoch))
    }

    /// The peer has sent its Finished again, because it has missed what answers it. Where that
    /// comes in pieces, the last one counts.
    fn answer_repeated_finished(
        &mut self,
        fragment: &Fragment<'_>,
        sender: &Sender,
        means: &mut Means<'_>,
    ) {
        let Some(retained) = &mut self.retained else {
            return;
        };
        let pause = fragment.now.saturating_duration_since(retained.sent);
        // I2: what was sealed but not yet taken is still on its way.
        if fragment.is_last() && pause >= sender.pace.repeat_after() && means.outgoing.is_empty() {
            retained.sent = fragment.now;
            retained.flight.transmit(means, false);
            means.stats.flight_retransmitted();
        }
    }

    /// Data has come in `epoch`.
    ///
    /// That alone is no proof that the peer has seen the Finished which the final flight carries:
    /// clients of Botan 2 write as soon as they have sent their own. So the flight is kept for as
    /// long as RFC 6347 §4.2.4 wants it, and longer only where the peer says nothing.
    #[inline]
    pub(super) fn data_came(&mut self, epoch: Epoch, sender: &Sender, records: &mut Records) {
        if let Some(retained) = &mut self.retained
            && retained.epoch == epoch
        {
            retained.heard = true;
            if sender.retention.is_none() {
                self.drop_retained(sender, records);
            }
        }
    }

    /// The time is over for which the final flight is kept in any case.
    pub(super) fn end_retention(&mut self, sender: &Sender, records: &mut Records) {
        if self.retained.as_ref().is_some_and(|it| it.heard) {
            self.drop_retained(sender, records);
        }
    }

    /// Forgets the final flight.
    pub(super) fn forget_retained(&mut self) {
        self.retained = None;
    }

    #[cold]
    fn drop_retained(&mut self, sender: &Sender, records: &mut Records) {
        self.retained = None;
        records.writing().retain(|epoch| sender.sending.uses(epoch));
    }

    /// Sends the final flight again if it was cut into datagrams of more than `limit` bytes.
    pub(super) fn start_over_within(&mut self, limit: usize, means: &mut Means<'_>) {
        if let Some(retained) = &mut self.retained
            && retained.flight.start_over_within(limit)
        {
            retained.flight.transmit(means, false);
        }
    }
}

/// What begins a handshake that the peer wants: a HelloRequest at a client, a ClientHello at a
/// server, each the first message of its handshake (RFC 6347 §4.2.2).
fn starts_handshake(side: Side, fragment: &Fragment<'_>) -> bool {
    let typ = match side {
        Side::Client => HandshakeType::HELLO_REQUEST,
        Side::Server => HandshakeType::CLIENT_HELLO,
    };
    fragment.header.typ == typ && fragment.header.seq == MessageSeq::FIRST
}

/// Enters a fragment in the epoch in which the running handshake travels.
fn enter_in_force(
    slots: &mut Reassembly,
    fragment: &Fragment<'_>,
    sender: &Sender,
    records: &Records,
) -> Result<(), NotEntered> {
    if is_hello_request_at_client(sender.side, fragment) {
        return Err(Discard::UnexpectedMessage.into());
    }
    if records.is_armed() {
        // The engine arms the next epoch when only Finished is missing: this is a repetition, or a
        // stranger's.
        return Err(Discard::OldMessage.into());
    }
    // After a HelloRequest that never arrived, the first answer to a renegotiating client has the
    // second number. In the first handshake the hellos are through by now.
    if sender.side == Side::Client
        && slots.expected() == Some(MessageSeq::FIRST)
        && fragment.header.seq == SECOND
        && is_first_answer(fragment.header.typ)
    {
        slots.start_at(SECOND);
    }
    Ok(fragment.enter(slots)?)
}

/// The number of a server's answer after a HelloRequest (RFC 6347 §4.2.2).
const SECOND: MessageSeq = MessageSeq(1);

/// What can answer a ClientHello.
fn is_first_answer(typ: HandshakeType) -> bool {
    typ == HandshakeType::SERVER_HELLO || typ == HandshakeType::HELLO_VERIFY_REQUEST
}
