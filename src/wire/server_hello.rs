//! ServerHello (RFC 5246 §7.4.1.3, RFC 8446 §4.1.3) and HelloRetryRequest (RFC 8446 §4.1.4), which
//! has the same form.

use super::client_hello::{MAX_SESSION_ID_LEN, RANDOM_LEN};
use super::codec::{Reader, Writer};
use super::extension::{ServerExtensions, ServerShare};
use crate::error::InvalidMessage;
use crate::protocol::{CipherSuite, CompressionMethod, Dialect, NamedGroup, ProtocolVersion};

/// The random that makes a ServerHello a HelloRetryRequest: the SHA-256 of that name
/// (RFC 8446 §4.1.3).
pub(crate) const RETRY_RANDOM: [u8; RANDOM_LEN] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The end of the random of a server that speaks 1.3 and has agreed on 1.2 (RFC 8446 §4.1.3).
pub(crate) const DOWNGRADE_TO_12: [u8; 8] = *b"DOWNGRD\x01";

/// A server's choice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ServerHello {
    /// The version in the legacy field: never above 1.2.
    pub(crate) version: ProtocolVersion,
    /// The server's random.
    pub(crate) random: [u8; RANDOM_LEN],
    /// The ID of the session; at 1.2 the one that the client offered if that session is resumed.
    pub(crate) session_id: Vec<u8>,
    /// The suite chosen.
    pub(crate) cipher_suite: CipherSuite,
    /// The compression method chosen.
    pub(crate) compression_method: CompressionMethod,
    /// Everything else.
    pub(crate) extensions: ServerExtensions,
}

impl ServerHello {
    /// Decodes a body.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let version = ProtocolVersion(reader.u16("server_version")?);
        let random = reader.array("random")?;
        let session_id = reader.vec8("session_id")?;
        if session_id.len() > MAX_SESSION_ID_LEN {
            return Err(InvalidMessage::IllegalValue("session_id"));
        }
        let cipher_suite = CipherSuite(reader.u16("cipher_suite")?);
        let compression_method = CompressionMethod(reader.u8("compression_method")?);
        let retry = random == RETRY_RANDOM;
        let extensions =
            ServerExtensions::decode(&mut reader, retry).map_err(|error| match error {
                // RFC 8446 §6.2: well-formed, but incorrect.
                InvalidMessage::DuplicateExtension(_) if retry => {
                    InvalidMessage::Inconsistent("the list of extensions")
                }
                error => error,
            })?;
        reader.finish("ServerHello")?;
        let session_id = session_id.to_vec();
        Ok(Self {
            version,
            random,
            session_id,
            cipher_suite,
            compression_method,
            extensions,
        })
    }

    /// Whether this asks for another ClientHello.
    pub(crate) fn is_retry_request(&self) -> bool {
        self.random == RETRY_RANDOM
    }

    /// A HelloRetryRequest. The endpoint and the handshake must make the same bytes from the same
    /// choice.
    pub(crate) fn retry_request(
        dialect: &Dialect,
        session_id: Vec<u8>,
        suite: CipherSuite,
        group: Option<NamedGroup>,
        cookie: Option<Vec<u8>>,
    ) -> Self {
        Self {
            version: dialect.version_12,
            random: RETRY_RANDOM,
            session_id,
            cipher_suite: suite,
            compression_method: CompressionMethod::NULL,
            extensions: ServerExtensions {
                selected_version: Some(dialect.version_13),
                key_share: group.map(ServerShare::Wanted),
                cookie,
                ..ServerExtensions::default()
            },
        }
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.version.to_bytes());
        out.put(&self.random);
        out.put_vec(1, |out| out.put(&self.session_id));
        out.put_u16(self.cipher_suite.0);
        out.put_u8(self.compression_method.0);
        self.extensions.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ExtensionType, PointFormat};

    #[test]
    fn a_hello_round_trips() {
        let hello = ServerHello {
            version: ProtocolVersion::DTLS12,
            random: [5; RANDOM_LEN],
            session_id: vec![],
            cipher_suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            compression_method: CompressionMethod::NULL,
            extensions: ServerExtensions {
                server_name: true,
                point_formats: Some(vec![PointFormat::UNCOMPRESSED]),
                alpn: Some(b"coap".to_vec()),
                extended_master_secret: true,
                session_ticket: true,
                renegotiation_info: Some(vec![]),
                ..ServerExtensions::default()
            },
        };
        let mut body = Vec::new();
        hello.encode(&mut body);
        assert_eq!(ServerHello::decode(&body), Ok(hello));
    }

    #[test]
    fn unknown_extensions_are_reported_not_lost() {
        let mut body = vec![0xfe, 0xfd];
        body.extend_from_slice(&[0; RANDOM_LEN]);
        body.extend_from_slice(&[0, 0xc0, 0x2b, 0, 0, 6, 0x12, 0x34, 0, 2, 9, 9]);
        let hello = ServerHello::decode(&body).unwrap();
        assert_eq!(hello.extensions.unknown, [ExtensionType(0x1234)]);
    }
}
