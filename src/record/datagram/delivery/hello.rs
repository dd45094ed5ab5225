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
    /// The request for a cookie that a client has taken last.
    asked: Option<Asked>,
}

/// A request for a cookie.
struct Asked {
    body: Box<[u8]>,
    /// The first record of the hello that answers it.
    answer: u64,
}

impl Hello {
    /// Nothing has come; the peer's messages start at `first`.
    pub(super) fn new(first: MessageSeq, max_message: usize) -> Self {
        Self {
            slots: Reassembly::new(first, WINDOW, max_message),
            acks: Acks::default(),
            asked: None,
        }
    }

    /// Enters a fragment. `next_record` is the number of the record that this end sends next.
    pub(super) fn fragment(
        &mut self,
        fragment: &Fragment<'_>,
        side: Side,
        next_record: u64,
    ) -> Result<(), NotEntered> {
        if fragment.is_finished() {
            return Err(NotEntered::Misplaced);
        }
        if is_hello_request_at_client(side, fragment) {
            return Err(Discard::UnexpectedMessage.into());
        }
        if !(side == Side::Client && asks_for_cookie(fragment)) {
            return Ok(fragment.enter(&mut self.slots)?);
        }
        match self.place_of_request(fragment) {
            Some(seq) => fragment.numbered(seq).enter(&mut self.slots)?,
            None => fragment.enter(&mut self.slots)?,
        }
        self.asked = Some(Asked {
            body: fragment.data.into(),
            answer: next_record,
        });
        Ok(())
    }

    /// The place of a request that refuses the cookie which was asked for before: RFC 6347 §4.2.2
    /// has a server that keeps no state number each of its requests 0, also the one that it answers
    /// a second hello with because its key has changed in between. RFC 6347 §4.2.1: it has the
    /// record number of the hello that it answers. Some servers count records of their own, so that
    /// a copy of the first request seems to answer the second hello; but that has the same cookie.
    /// A part of something else in that place is not displaced.
    fn place_of_request(&self, fragment: &Fragment<'_>) -> Option<MessageSeq> {
        let refuses = self.asked.as_ref().is_some_and(|asked| {
            fragment.sequence >= asked.answer && *asked.body != *fragment.data
        });
        let expected = self.slots.expected();
        expected.filter(|_| {
            refuses && fragment.header.seq == MessageSeq::FIRST && self.slots.is_empty()
        })
    }
}

/// Whether it is the whole of a request for a cookie.
fn asks_for_cookie(fragment: &Fragment<'_>) -> bool {
    fragment.header.typ == HandshakeType::HELLO_VERIFY_REQUEST && fragment.is_whole()
}

/// RFC 5246 §7.4.1.1: such a one is ignored, and not counted either, whenever it comes (E7, E14).
pub(super) fn is_hello_request_at_client(side: Side, fragment: &Fragment<'_>) -> bool {
    side == Side::Client && fragment.header.typ == HandshakeType::HELLO_REQUEST
}
