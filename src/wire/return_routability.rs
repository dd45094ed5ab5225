//! The messages of a return routability check (RFC 9853 §4).

/// How many bytes the cookie of a check has.
pub(crate) const COOKIE_LEN: usize = 8;

/// What a peer has to repeat.
pub(crate) type Cookie = [u8; COOKIE_LEN];

/// A message: a type, and a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PathMessage {
    /// Whoever receives this has to say so.
    Challenge(Cookie),
    /// It was received, and the path is in use.
    Response(Cookie),
    /// It was received, by a path that its receiver has left.
    Drop(Cookie),
    /// Of a type that is not known, which means nothing (RFC 9853 §4).
    Unknown,
}

impl PathMessage {
    /// How many bytes a message has.
    pub(crate) const LEN: usize = 1 + COOKIE_LEN;

    /// Decodes the contents of a record; `None` if they make no sense.
    pub(crate) fn decode(contents: &[u8]) -> Option<Self> {
        let (&kind, cookie) = contents.split_first()?;
        let cookie = cookie.try_into();
        match kind {
            0 => cookie.map(Self::Challenge).ok(),
            1 => cookie.map(Self::Response).ok(),
            2 => cookie.map(Self::Drop).ok(),
            _ => Some(Self::Unknown),
        }
    }

    /// The contents of a record.
    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let (kind, cookie) = match self {
            Self::Challenge(cookie) => (0, cookie),
            Self::Response(cookie) => (1, cookie),
            Self::Drop(cookie) => (2, cookie),
            Self::Unknown => (u8::MAX, [0; COOKIE_LEN]),
        };
        let mut out = [kind; Self::LEN];
        out[1..].copy_from_slice(&cookie);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9853 §4: a type and eight bytes, neither more nor less; what has another type means
    /// nothing, whatever its length.
    #[test]
    fn n53_04_a_message_is_a_type_and_a_cookie() {
        let cookie = *b"01234567";
        for message in [
            PathMessage::Challenge(cookie),
            PathMessage::Response(cookie),
            PathMessage::Drop(cookie),
        ] {
            let bytes = message.encode();
            assert_eq!(PathMessage::decode(&bytes), Some(message));
            for cut in 0..bytes.len() {
                assert_eq!(PathMessage::decode(&bytes[..cut]), None);
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(PathMessage::decode(&longer), None);
        }
        assert_eq!(PathMessage::decode(&[3]), Some(PathMessage::Unknown));
        assert_eq!(PathMessage::decode(&[255; 40]), Some(PathMessage::Unknown));
    }
}
