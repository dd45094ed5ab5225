//! Delivery of the hellos, before the version is settled.

use super::acks::Acks;
use super::fragments::{Fragment, NotEntered};
use super::reassembly::{Reassembly, WINDOW};
use crate::protocol::{HandshakeType, MessageSeq, Side};
use crate::record::Discard;
use crate::wire::handshake::InboundMessage;

/// The hellos, with what either version goes on from.
pub(super) struct Hello {
    pub(super) slots: Reassembly,
    /// If this turns out to be 1.3, what has come is a part of the flight that has just begun.
    pub(super) acks: Acks,
    /// The HelloVerifyRequest that a client has taken last.
    request: Option<Box<[u8]>>,
}

impl Hello {
    /// Nothing has come; the peer's messages start at `first`.
    pub(super) fn new(first: MessageSeq, max_message: usize) -> Self {
        Self {
            slots: Reassembly::new(first, WINDOW, max_message),
            acks: Acks::default(),
            request: None,
        }
    }

    /// Enters a fragment.
    pub(super) fn fragment(
        &mut self,
        fragment: &Fragment<'_>,
        side: Side,
    ) -> Result<(), NotEntered> {
        if fragment.is_finished() {
            return Err(NotEntered::Misplaced);
        }
        if is_hello_request_at_client(side, fragment) {
            return Err(Discard::UnexpectedMessage.into());
        }
        match self.asks_again(fragment, side) {
            Some(seq) => Ok(fragment.numbered(seq).enter(&mut self.slots)?),
            None => Ok(fragment.enter(&mut self.slots)?),
        }
    }

    /// The next message.
    pub(super) fn pop(&mut self) -> Option<InboundMessage> {
        let message = self.slots.pop()?;
        if message.typ == HandshakeType::HELLO_VERIFY_REQUEST {
            self.request = Some(message.body.as_slice().into());
        }
        Some(message)
    }

    /// The place of a request for another cookie than the one that was asked for before. RFC 6347
    /// §4.2.2: a server that keeps no state numbers each of its requests 0, so the one that answers
    /// the second hello, because its key has changed in between, has the number of the first. A part
    /// of something else in that place is not displaced.
    fn asks_again(&self, fragment: &Fragment<'_>, side: Side) -> Option<MessageSeq> {
        let header = &fragment.header;
        let asks = side == Side::Client
            && header.typ == HandshakeType::HELLO_VERIFY_REQUEST
            && header.seq == MessageSeq::FIRST
            && fragment.is_whole();
        let other = self
            .request
            .as_deref()
            .is_some_and(|it| it != fragment.data);
        self.slots
            .expected()
            .filter(|_| asks && other && self.slots.is_empty())
    }
}

/// RFC 5246 §7.4.1.1: such a one is ignored, and not counted either, whenever it comes (E7, E14).
pub(super) fn is_hello_request_at_client(side: Side, fragment: &Fragment<'_>) -> bool {
    side == Side::Client && fragment.header.typ == HandshakeType::HELLO_REQUEST
}
