//! A message that was numbered, ready to be cut into fragments.

use crate::wire::codec::Writer as _;

/// A numbered handshake message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spoken {
    /// Its type (RFC 5246 §7.4).
    pub typ: u8,
    /// Its number within the handshake.
    pub seq: u16,
    /// Everything after the header.
    pub body: Vec<u8>,
}

impl Spoken {
    /// Any header (RFC 6347 §4.2.2) followed by any bytes, consistent or not. Lengths are in bytes;
    /// the top byte of each is not sent.
    pub fn raw(
        typ: u8,
        length: u32,
        seq: u16,
        offset: u32,
        fragment_length: u32,
        data: &[u8],
    ) -> Vec<u8> {
        let mut out = vec![typ];
        out.put_u24(length);
        out.put_u16(seq);
        out.put_u24(offset);
        out.put_u24(fragment_length);
        out.put(data);
        out
    }

    /// The message with the short header of a stream: type and length (RFC 5246 §7.4).
    pub fn in_stream(&self) -> Vec<u8> {
        let mut out = vec![self.typ];
        out.put_vec(3, |out| out.put(&self.body));
        out
    }

    /// The message in one piece.
    pub fn whole(&self) -> Vec<u8> {
        self.fragment(0, self.body.len())
    }

    /// The part of the message from `start`, `length` bytes long or up to its end.
    pub fn fragment(&self, start: usize, length: usize) -> Vec<u8> {
        let end = self.body.len().min(start + length);
        let data = &self.body[start.min(end)..end];
        Self::raw(
            self.typ,
            number(self.body.len()),
            self.seq,
            number(start),
            number(data.len()),
            data,
        )
    }

    /// The message in pieces of `size` bytes; an empty message is one piece.
    pub fn fragments(&self, size: usize) -> Vec<Vec<u8>> {
        let count = self.body.len().div_ceil(size).max(1);
        (0..count)
            .map(|index| self.fragment(index * size, size))
            .collect()
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
