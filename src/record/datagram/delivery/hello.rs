//! Delivery of the hellos, before the version is settled.

use super::acks::Acks;
use super::fragments::{Fragment, NotEntered};
use super::reassembly::{Reassembly, WINDOW};
use crate::protocol::{HandshakeType, MessageSeq, Side};
use crate::record::Discard;

/// The hellos, with what either version goes on from.
pub(super) struct Hello {
    pub(super) slots: Reassembly,
    /// If this turns out to be 1.3, what has come is a part of the flight that has just begun.
    pub(super) acks: Acks,
}

impl Hello {
    /// Nothing has come; the peer's messages start at `first`.
    pub(super) fn new(first: MessageSeq, max_message: usize) -> Self {
        Self {
            slots: Reassembly::new(first, WINDOW, max_message),
            acks: Acks::default(),
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
        Ok(fragment.enter(&mut self.slots)?)
    }
}

/// RFC 5246 §7.4.1.1: such a one is ignored, and not counted either, whenever it comes (E7, E14).
pub(super) fn is_hello_request_at_client(side: Side, fragment: &Fragment<'_>) -> bool {
    side == Side::Client && fragment.header.typ == HandshakeType::HELLO_REQUEST
}
