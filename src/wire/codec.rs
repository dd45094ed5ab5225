//! Reading and writing the presentation language of RFC 5246 §4.

use crate::error::InvalidMessage;

/// Reads values from a slice. Every accessor takes the name of the field that it reads, for the
/// error.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(
        &mut self,
        length: usize,
        what: &'static str,
    ) -> Result<&'a [u8], InvalidMessage> {
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(InvalidMessage::MissingData(what))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], InvalidMessage> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(InvalidMessage::MissingData(what))?;
        self.rest = rest;
        Ok(*head)
    }

    /// An 8-bit number.
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, InvalidMessage> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    /// A 16-bit number.
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, InvalidMessage> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// A 16-bit number that is read again afterwards.
    pub(crate) fn peek_u16(&self, what: &'static str) -> Result<u16, InvalidMessage> {
        let head = self.rest.first_chunk();
        head.map(|bytes| u16::from_be_bytes(*bytes))
            .ok_or(InvalidMessage::MissingData(what))
    }

    /// A 24-bit number.
    pub(crate) fn u24(&mut self, what: &'static str) -> Result<u32, InvalidMessage> {
        let [a, b, c] = self.array(what)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// A 64-bit number.
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, InvalidMessage> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    /// A vector with an 8-bit length.
    pub(crate) fn vec8(&mut self, what: &'static str) -> Result<&'a [u8], InvalidMessage> {
        let length = self.u8(what)?;
        self.bytes(length.into(), what)
    }

    /// A vector with a 16-bit length.
    pub(crate) fn vec16(&mut self, what: &'static str) -> Result<&'a [u8], InvalidMessage> {
        let length = self.u16(what)?;
        self.bytes(length.into(), what)
    }

    /// A vector with a 24-bit length.
    pub(crate) fn vec24(&mut self, what: &'static str) -> Result<&'a [u8], InvalidMessage> {
        let length = self.u24(what)?;
        self.bytes(usize::try_from(length).unwrap_or(usize::MAX), what)
    }

    /// A non-empty list of 16-bit numbers with a 16-bit length.
    pub(crate) fn list16<T>(
        &mut self,
        what: &'static str,
        make: impl Fn(u16) -> T,
    ) -> Result<Vec<T>, InvalidMessage> {
        numbers(self.vec16(what)?, what, make)
    }

    /// A non-empty list of 16-bit numbers with an 8-bit length.
    pub(crate) fn list8<T>(
        &mut self,
        what: &'static str,
        make: impl Fn(u16) -> T,
    ) -> Result<Vec<T>, InvalidMessage> {
        numbers(self.vec8(what)?, what, make)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Checks that nothing is left over.
    pub(crate) const fn finish(self, what: &'static str) -> Result<(), InvalidMessage> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(InvalidMessage::TrailingData(what))
        }
    }
}

/// The 16-bit numbers that a non-empty list consists of.
fn numbers<T>(
    bytes: &[u8],
    what: &'static str,
    make: impl Fn(u16) -> T,
) -> Result<Vec<T>, InvalidMessage> {
    if bytes.is_empty() {
        return Err(InvalidMessage::EmptyList(what));
    }
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(InvalidMessage::TrailingData(what));
    }
    Ok(pairs
        .map(|pair| make(u16::from_be_bytes([pair[0], pair[1]])))
        .collect())
}

/// Writes values to the end of a buffer.
///
/// Lengths of vectors are filled in when the closure that writes the contents returns, so they
/// cannot be wrong. Contents come from local configuration or from decoded messages, both bounded
/// well below the length fields.
pub(crate) trait Writer {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
    /// Appends an 8-bit number.
    fn put_u8(&mut self, value: u8);
    /// Appends a 16-bit number.
    fn put_u16(&mut self, value: u16);
    /// Appends a 64-bit number.
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }
    /// Appends a 24-bit number; the top byte of `value` is not written.
    fn put_u24(&mut self, value: u32);
    /// Appends what `contents` writes, preceded by its length in `width` bytes.
    fn put_vec(&mut self, width: usize, contents: impl FnOnce(&mut Vec<u8>));
}

impl Writer for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u24(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes()[1..]);
    }

    fn put_vec(&mut self, width: usize, contents: impl FnOnce(&mut Self)) {
        let start = self.len();
        self.resize(start + width, 0);
        contents(self);
        let length = (self.len() - start - width).to_be_bytes();
        debug_assert!(
            length[..length.len() - width].iter().all(|&byte| byte == 0),
            "a vector outgrew its length"
        );
        self[start..start + width].copy_from_slice(&length[length.len() - width..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_carries_the_length_of_what_was_written() {
        let mut out = Vec::new();
        out.put_vec(2, |out| out.put_vec(1, |out| out.put(b"abc")));
        assert_eq!(out, [0, 4, 3, b'a', b'b', b'c']);
        let mut reader = Reader::new(&out);
        let mut inner = Reader::new(reader.vec16("outer").unwrap());
        assert_eq!(inner.vec8("inner").unwrap(), b"abc");
        inner.finish("inner").unwrap();
        reader.finish("outer").unwrap();
    }

    #[test]
    fn short_and_long_inputs_are_errors_that_name_the_field() {
        assert_eq!(
            Reader::new(&[5, 1]).vec8("session_id"),
            Err(InvalidMessage::MissingData("session_id"))
        );
        assert_eq!(
            Reader::new(&[1]).finish("end"),
            Err(InvalidMessage::TrailingData("end"))
        );
        assert_eq!(
            Reader::new(&[0, 0]).list16("suites", |n| n),
            Err(InvalidMessage::EmptyList("suites"))
        );
        assert_eq!(
            Reader::new(&[0, 3, 1, 2, 3]).list16("suites", |n| n),
            Err(InvalidMessage::TrailingData("suites"))
        );
    }
}
