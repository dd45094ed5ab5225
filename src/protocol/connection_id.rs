//! What names an association in a record, whatever address it comes from.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A connection ID (RFC 9146 §3): 0 to 255 bytes that the receiver of records has chosen, and that
/// the sender puts into the header of each protected one. An empty one says that its receiver finds
/// the association without (by address).
#[derive(Clone)]
pub struct ConnectionId(Bytes);

/// Where the bytes are. Those of every connection ID that this library issues are in place, so that
/// one can be told with each record without an allocation.
#[derive(Clone)]
enum Bytes {
    Here { len: u8, bytes: [u8; IN_PLACE] },
    Elsewhere(Box<[u8]>),
}

/// How many bytes are kept in place: as many as fit beside the length where a pointer would be.
const IN_PLACE: usize = 22;

/// The connection ID that a record carried, if it carried one: what this end issues has 20 bytes at
/// most. It is moved several times with each record, and words are moved with less ado than bytes:
/// the ID is at the front, its length in the last byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CarriedId([u64; 3]);

/// The most bytes of what this end issues.
const MAX_ISSUED: usize = 20;

impl CarriedId {
    /// None.
    pub(crate) const NONE: Self = Self([0; 3]);

    /// These bytes; none, if this end does not issue so many.
    #[inline]
    pub(crate) fn new(id: &[u8]) -> Self {
        let mut bytes = [[0; 8]; 3];
        let Some(place) = bytes.as_flattened_mut()[..MAX_ISSUED].get_mut(..id.len()) else {
            return Self::NONE;
        };
        place.copy_from_slice(id);
        bytes[2][7] = u8::try_from(id.len()).unwrap_or_default();
        Self(bytes.map(u64::from_ne_bytes))
    }

    /// The same by itself.
    pub(crate) fn id(self) -> Option<ConnectionId> {
        let bytes = self.0.map(u64::to_ne_bytes);
        let len = usize::from(bytes[2][7]);
        (len > 0).then(|| ConnectionId::new(&bytes.as_flattened()[..len]))
    }
}

/// The most bytes that a connection ID has (RFC 9146 §3).
pub(crate) const MAX_CONNECTION_ID_LEN: usize = 255;

impl ConnectionId {
    /// No bytes.
    pub(crate) const fn empty() -> Self {
        Self(Bytes::Here {
            len: 0,
            bytes: [0; IN_PLACE],
        })
    }

    /// These bytes; more than 255 are cut off.
    #[inline]
    pub(crate) fn new(id: &[u8]) -> Self {
        let mut bytes = [0; IN_PLACE];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(id);
                Self(Bytes::Here { len, bytes })
            }
            _ => Self::long(id),
        }
    }

    #[cold]
    fn long(id: &[u8]) -> Self {
        let id = &id[..id.len().min(MAX_CONNECTION_ID_LEN)];
        Self(Bytes::Elsewhere(id.into()))
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Here { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Elsewhere(bytes) => bytes,
        }
    }

    /// How many bytes there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether records go without.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl Default for ConnectionId {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for ConnectionId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ConnectionId {}

impl Hash for ConnectionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
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
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut bytes = self.as_bytes().iter();
        bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9146 §3: 0 to 255 bytes.
    #[test]
    fn connection_ids_of_all_lengths_say_what_they_were_made_of() {
        let all: Vec<u8> = (0..=255).collect();
        for len in 0..=256 {
            let id = ConnectionId::new(&all[..len]);
            let expected = &all[..len.min(MAX_CONNECTION_ID_LEN)];
            assert_eq!(id.as_bytes(), expected);
            assert_eq!((id.len(), id.is_empty()), (expected.len(), len == 0));
            assert_eq!(id, id.clone());
            if len > 0 {
                assert_ne!(id, ConnectionId::new(&all[1..len]));
            }
        }
        assert_eq!(ConnectionId::default(), ConnectionId::new(&[]));
        assert_eq!(ConnectionId::default().to_string(), "-");
        assert_eq!(ConnectionId::new(&[0, 0xab]).to_string(), "00ab");
    }
}
