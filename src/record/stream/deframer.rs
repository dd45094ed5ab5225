//! Handshake messages out of records: several in one, or one over several (RFC 5246 §6.2.1).

use crate::protocol::{Epoch, HandshakeType, MessageSeq};
use crate::record::Fault;
use crate::wire::handshake::{InboundMessage, STREAM_HEADER_LEN, StreamHeader};

/// The bytes of messages that are not complete yet.
///
/// Memory grows with what has arrived, never with what a length field announces, and a message that
/// announces more than is allowed is refused with its header.
pub(super) struct Deframer {
    buffer: Vec<u8>,
    max_message: usize,
}

impl Deframer {
    pub(super) const fn new(max_message: usize) -> Self {
        Self {
            buffer: Vec::new(),
            max_message,
        }
    }

    /// Adds the contents of a handshake record.
    pub(super) fn push(&mut self, contents: &[u8]) {
        self.buffer.extend_from_slice(contents);
    }

    /// Whether no part of a message waits for the rest of it.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether there is more, complete or not, than a HelloRequest.
    pub(super) fn has_more(&self) -> bool {
        self.buffer
            .first()
            .is_some_and(|&typ| typ != HandshakeType::HELLO_REQUEST.0)
    }

    /// Takes the first message if it is complete.
    ///
    /// # Errors
    ///
    /// `MessageTooLong`, as soon as the header is here.
    pub(super) fn pop(&mut self, epoch: Epoch) -> Result<Option<InboundMessage>, Fault> {
        let Some(StreamHeader { typ, length }) = StreamHeader::decode(&self.buffer) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.max_message {
            return Err(Fault::MessageTooLong);
        }
        let Some(body) = self
            .buffer
            .get(STREAM_HEADER_LEN..STREAM_HEADER_LEN + length)
        else {
            return Ok(None);
        };
        let message = message(epoch, typ, body.to_vec());
        self.buffer.drain(..STREAM_HEADER_LEN + length);
        Ok(Some(message))
    }

    /// How much memory is in use, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.buffer.len()
    }

    /// Gives back the allocation of an empty buffer.
    pub(super) fn release(&mut self) {
        self.buffer.shrink_to_fit();
    }
}

/// Messages of a stream have no numbers, only an order.
const fn message(epoch: Epoch, typ: HandshakeType, body: Vec<u8>) -> InboundMessage {
    InboundMessage {
        epoch,
        seq: MessageSeq::FIRST,
        typ,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let bytes = [
            &[1, 0, 0, 3][..],
            b"abc",
            &[14, 0, 0, 0],
            &[20, 0, 0, 1],
            b"z",
        ]
        .concat();
        for size in 1..=bytes.len() {
            let mut deframer = Deframer::new(100);
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                deframer.push(piece);
                while let Some(message) = deframer.pop(Epoch::PLAINTEXT).unwrap() {
                    found.push((message.typ.0, message.body));
                }
            }
            assert!(deframer.is_empty());
            let expected = [(1, b"abc".to_vec()), (14, vec![]), (20, b"z".to_vec())];
            assert_eq!(found, expected, "cut to {size}");
        }
    }

    /// A11: the limit, and one byte more.
    #[test]
    fn a_message_beyond_the_limit_is_refused_by_its_header() {
        let mut deframer = Deframer::new(0x100);
        deframer.push(&[11, 0, 1, 0]);
        assert_eq!(deframer.pop(Epoch::PLAINTEXT), Ok(None));
        let mut deframer = Deframer::new(0x100);
        deframer.push(&[11, 0, 1, 1]);
        assert_eq!(deframer.pop(Epoch::PLAINTEXT), Err(Fault::MessageTooLong));
    }
}
