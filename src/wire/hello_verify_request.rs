//! HelloVerifyRequest (RFC 6347 §4.2.1).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::ProtocolVersion;

/// A server's request that the client prove its address by repeating a cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HelloVerifyRequest {
    /// What the client must repeat; at most 255 bytes.
    pub(crate) cookie: Vec<u8>,
}

impl HelloVerifyRequest {
    /// Decodes a body. The version field says nothing about what follows and is not looked at
    /// (§4.2.1).
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        reader.u16("server_version")?;
        let cookie = reader.vec8("cookie")?.to_vec();
        reader.finish("HelloVerifyRequest")?;
        Ok(Self { cookie })
    }

    /// Appends the body. The version is DTLS 1.0 whatever is negotiated later (§4.2.1).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put(&ProtocolVersion::DTLS10.to_bytes());
        out.put_vec(1, |out| out.put(&self.cookie));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D18: both versions that servers write are accepted.
    #[test]
    fn the_version_is_not_compared() {
        for version in [[0xfe, 0xff], [0xfe, 0xfd]] {
            let body = [&version[..], &[2, 7, 8]].concat();
            assert_eq!(HelloVerifyRequest::decode(&body).unwrap().cookie, [7, 8]);
        }
    }

    /// A12: a cookie length that points beyond the message is an error.
    #[test]
    fn a_cookie_that_leaves_the_message_is_refused() {
        assert!(HelloVerifyRequest::decode(&[0xfe, 0xff, 3, 1, 2]).is_err());
        assert!(HelloVerifyRequest::decode(&[0xfe, 0xff, 1, 1, 2]).is_err());
    }
}
