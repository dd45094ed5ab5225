//! return_routability_check (RFC 9853 §4): whether a peer can be reached on a path.

use super::codec::{Reader, Writer};

/// The length of a cookie, in bytes (RFC 9853 §4).
pub(crate) const CHECK_COOKIE_LEN: usize = 8;

/// What a check says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RrcKind {
    /// Whoever gets this says so (path_challenge).
    Challenge,
    /// The challenge with this cookie came on the path that its receiver prefers (path_response).
    Response,
    /// It came on a path that its receiver has left (path_drop).
    Drop,
    /// A kind that does not exist yet. It means nothing and is no fault (RFC 9853 §4).
    Unknown,
}

/// A message of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReturnRoutability {
    /// What it says.
    pub(crate) kind: RrcKind,
    /// What a challenge holds, and its answer repeats.
    pub(crate) cookie: [u8; CHECK_COOKIE_LEN],
}

impl ReturnRoutability {
    /// Decodes the contents of a record; `None` if they have another length, whereupon the record
    /// is dropped (RFC 9853 §4).
    pub(crate) fn decode(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let kind = reader.u8("msg_type").ok()?;
        let cookie = reader.array("cookie").ok()?;
        reader.finish("return_routability_check").ok()?;
        let kind = match kind {
            0 => RrcKind::Challenge,
            1 => RrcKind::Response,
            2 => RrcKind::Drop,
            _ => RrcKind::Unknown,
        };
        Some(Self { kind, cookie })
    }

    /// The contents of a record; `None` if this end has no such message to send.
    pub(crate) fn encode(self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(1 + CHECK_COOKIE_LEN);
        out.put_u8(match self.kind {
            RrcKind::Challenge => 0,
            RrcKind::Response => 1,
            RrcKind::Drop => 2,
            RrcKind::Unknown => return None,
        });
        out.put(&self.cookie);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9853 §4: a type and eight bytes. Another length is no message, another type no fault.
    #[test]
    fn n53_04_a_check_is_nine_bytes() {
        let content = |typ| [typ, 1, 2, 3, 4, 5, 6, 7, 8];
        let cookie = [1, 2, 3, 4, 5, 6, 7, 8];
        for (typ, kind) in [
            (0, RrcKind::Challenge),
            (1, RrcKind::Response),
            (2, RrcKind::Drop),
        ] {
            let message = ReturnRoutability { kind, cookie };
            assert_eq!(message.encode().as_deref(), Some(&content(typ)[..]));
            assert_eq!(ReturnRoutability::decode(&content(typ)), Some(message));
        }
        for typ in 3..=255 {
            let message = ReturnRoutability::decode(&content(typ)).unwrap();
            assert_eq!((message.kind, message.cookie), (RrcKind::Unknown, cookie));
            assert_eq!(message.encode(), None);
        }
        let long = [0; 64];
        for length in (0..=long.len()).filter(|length| *length != 9) {
            assert_eq!(ReturnRoutability::decode(&long[..length]), None, "{length}");
        }
    }
}
