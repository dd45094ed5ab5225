//! How long records may be, beyond what the version says.

use std::fmt;

/// How much data a record has at most, in bytes of contents: 16,384, which is the most that there
/// is (RFC 5246 §6.2.1), or less as both ends have agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecordLimits {
    /// What this end sends: the peer takes no more. Over a stream also no more than
    /// [`max_fragment`](crate::config::StreamPolicy::max_fragment).
    pub sent: usize,
    /// What this end takes: the peer has promised to send no more.
    pub received: usize,
}

/// What both ends have agreed on about the length of records: nothing, one value for each direction
/// (RFC 8449), or one for both (RFC 6066 §4).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum AgreedLimits {
    /// Nothing: a record protects up to 2^14 bytes of contents.
    #[default]
    None,
    /// record_size_limit: each end protects no more in a record than the other has announced. What
    /// is counted is all that is encrypted, at version 1.3 the type of the contents as well, which
    /// is one byte, and padding; at version 1.2 the type where records carry a connection ID.
    RecordSize {
        /// What this end has announced, so what it receives, in bytes.
        ours: u16,
        /// What the peer has announced, so what this end sends, in bytes.
        theirs: u16,
    },
    /// max_fragment_length: neither end puts more into a record than this.
    Fragment(MaxFragmentLength),
}

impl AgreedLimits {
    /// The smallest record_size_limit that there is, in bytes (RFC 8449 §4).
    pub(crate) const MIN: u16 = 64;

    /// The most that this end encrypts in one record, in bytes, type and padding included.
    pub(crate) const fn write(self) -> u16 {
        match self {
            Self::None => u16::MAX,
            Self::RecordSize { theirs, .. } => theirs,
            // RFC 8446 §5.4 counts the type and the padding of 1.3 where the limit is a reduced
            // one; not all peers do.
            Self::Fragment(length) => length.bytes(),
        }
    }

    /// The most that the peer encrypts in one record, in bytes; `type_inside` says whether the type
    /// of the contents is encrypted with them.
    pub(crate) const fn read(self, type_inside: bool) -> u16 {
        match self {
            Self::None => u16::MAX,
            Self::RecordSize { ours, .. } => ours,
            Self::Fragment(length) => length.bytes() + type_inside as u16,
        }
    }

    /// What limits the records that are protected by keys of before, or not at all: RFC 6066 §4
    /// holds at once, RFC 8449 §4 never for these.
    pub(crate) const fn at_once(self) -> Option<u16> {
        match self {
            Self::Fragment(length) => Some(length.bytes()),
            _ => None,
        }
    }

    /// What a session keeps of this (RFC 6066 §4).
    pub(crate) const fn fragment(self) -> Option<MaxFragmentLength> {
        match self {
            Self::Fragment(length) => Some(length),
            _ => None,
        }
    }
}

/// The values of max_fragment_length (RFC 6066 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MaxFragmentLength {
    /// 2^9 bytes.
    Bytes512,
    /// 2^10 bytes.
    Bytes1024,
    /// 2^11 bytes.
    Bytes2048,
    /// 2^12 bytes.
    Bytes4096,
}

impl MaxFragmentLength {
    /// All of them, in the order of their numbers on the wire, which begin with 1.
    pub const ALL: [Self; 4] = [
        Self::Bytes512,
        Self::Bytes1024,
        Self::Bytes2048,
        Self::Bytes4096,
    ];

    /// How many bytes of contents a record has at most.
    pub const fn bytes(self) -> u16 {
        256 << self.number()
    }

    /// The number on the wire.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Bytes512 => 1,
            Self::Bytes1024 => 2,
            Self::Bytes2048 => 3,
            Self::Bytes4096 => 4,
        }
    }

    /// The value with this number on the wire.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

/// As a number of bytes.
impl fmt::Display for MaxFragmentLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_length_has_its_number() {
        let bytes = MaxFragmentLength::ALL.map(MaxFragmentLength::bytes);
        assert_eq!(bytes, [1 << 9, 1 << 10, 1 << 11, 1 << 12]);
        let known = (0..=255).filter_map(MaxFragmentLength::numbered);
        assert!(known.eq(MaxFragmentLength::ALL));
    }
}
