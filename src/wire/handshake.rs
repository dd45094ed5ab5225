//! Headers of handshake messages, and a whole message as the engine receives it.
//!
//! ```text
//! +--------+--------------------+-----------+--------------------+--------------------+---
//! |  type  |    length (24)     |  seq (16) |  fragment offset   |  fragment length   | fragment …
//! +--------+--------------------+-----------+--------------------+--------------------+---
//! ```
//! DTLS, RFC 6347 §4.2.2. Over a stream there are only type and length (RFC 5246 §7.4).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::{Epoch, HandshakeType, MessageSeq};

/// The length of a DTLS handshake header, in bytes.
pub(crate) const DATAGRAM_HEADER_LEN: usize = 12;

/// The length of a TLS handshake header, in bytes.
pub(crate) const STREAM_HEADER_LEN: usize = 4;

/// The header of a message in a stream (RFC 5246 §7.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StreamHeader {
    /// The type of the message.
    pub(crate) typ: HandshakeType,
    /// The length of its body, in bytes; at most 2^24 − 1.
    pub(crate) length: u32,
}

impl StreamHeader {
    /// Decodes the header at the start of `bytes`; `None` if they are too short for one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let &[typ, a, b, c] = bytes.first_chunk::<STREAM_HEADER_LEN>()?;
        Some(Self {
            typ: HandshakeType(typ),
            length: u32::from_be_bytes([0, a, b, c]),
        })
    }

    /// Appends the header.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.typ.0);
        out.put_u24(self.length);
    }
}

/// A whole handshake message from the peer, in order, with the epoch whose keys protected it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct InboundMessage {
    /// The epoch it came in; all of its fragments came in that epoch.
    pub(crate) epoch: Epoch,
    /// Its number within the handshake.
    pub(crate) seq: MessageSeq,
    /// What it is.
    pub(crate) typ: HandshakeType,
    /// Everything after the header.
    pub(crate) body: Vec<u8>,
}

/// The header of one fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FragmentHeader {
    /// The type of the whole message.
    pub(crate) typ: HandshakeType,
    /// The length of the whole message's body, in bytes; at most 2^24 − 1.
    pub(crate) length: u32,
    /// The number of the message.
    pub(crate) seq: MessageSeq,
    /// Where this fragment starts, in bytes.
    pub(crate) offset: u32,
    /// How long this fragment is, in bytes.
    pub(crate) fragment_length: u32,
}

impl FragmentHeader {
    /// Whether these bytes of the fragment are the end of its message.
    pub(crate) fn ends_with(&self, data: &[u8]) -> bool {
        let end = usize::try_from(self.offset).map(|offset| offset + data.len());
        end == usize::try_from(self.length)
    }

    /// Decodes one header.
    ///
    /// # Errors
    ///
    /// If it is cut short, or the fragment would reach beyond the end of its message.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let header = Self {
            typ: HandshakeType(reader.u8("handshake type")?),
            length: reader.u24("handshake length")?,
            seq: MessageSeq(reader.u16("message_seq")?),
            offset: reader.u24("fragment_offset")?,
            fragment_length: reader.u24("fragment_length")?,
        };
        if header.offset + header.fragment_length > header.length {
            return Err(InvalidMessage::IllegalValue("fragment_length"));
        }
        Ok(header)
    }

    /// The header of a whole message, as it enters the transcript (RFC 6347 §4.2.6).
    pub(crate) const fn whole(typ: HandshakeType, seq: MessageSeq, length: u32) -> Self {
        Self {
            typ,
            length,
            seq,
            offset: 0,
            fragment_length: length,
        }
    }

    /// The header as it is sent.
    pub(crate) const fn to_bytes(self) -> [u8; DATAGRAM_HEADER_LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1] = self.seq.0.to_be_bytes();
        let [_, o0, o1, o2] = self.offset.to_be_bytes();
        let [_, f0, f1, f2] = self.fragment_length.to_be_bytes();
        [self.typ.0, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2]
    }

    /// Appends the header.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.put(&self.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_that_leaves_its_message_is_refused() {
        let mut bytes = Vec::new();
        FragmentHeader {
            typ: HandshakeType::CERTIFICATE,
            length: 10,
            seq: MessageSeq(3),
            offset: 8,
            fragment_length: 3,
        }
        .encode(&mut bytes);
        assert_eq!(
            FragmentHeader::decode(&mut Reader::new(&bytes)),
            Err(InvalidMessage::IllegalValue("fragment_length"))
        );
    }

    #[test]
    fn headers_round_trip() {
        let header = FragmentHeader::whole(HandshakeType::FINISHED, MessageSeq(7), 12);
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(bytes.len(), DATAGRAM_HEADER_LEN);
        assert_eq!(FragmentHeader::decode(&mut Reader::new(&bytes)), Ok(header));
    }
}
