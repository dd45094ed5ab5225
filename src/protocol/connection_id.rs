//! What names an association in a record, whatever address it comes from.

use std::fmt;

/// A connection ID (RFC 9146 §3): 0 to 255 bytes that the receiver of records has chosen, and that
/// the sender puts into the header of each protected one. An empty one says that its receiver finds
/// the association without (by address).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ConnectionId(Box<[u8]>);

/// The most bytes that a connection ID has (RFC 9146 §3).
pub(crate) const MAX_CONNECTION_ID_LEN: usize = 255;

impl ConnectionId {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// These bytes; more than 255 are cut off.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes[..bytes.len().min(MAX_CONNECTION_ID_LEN)].into())
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether records go without.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// In hexadecimal digits; `-` if it is empty.
impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a handshake has agreed on: connection IDs in each direction, either of which may be empty.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct ConnectionIds {
    /// What the peer puts into its records.
    pub(crate) ours: ConnectionId,
    /// What this end puts into its records.
    pub(crate) theirs: ConnectionId,
    /// Whether either end may check that the other can be reached (RFC 9853 §3).
    pub(crate) checks: bool,
}
