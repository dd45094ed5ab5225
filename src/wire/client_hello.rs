//! ClientHello (RFC 5246 §7.4.1.2, RFC 6347 §4.2.1).

use super::codec::{Reader, Writer};
use super::extension::ClientExtensions;
use crate::error::InvalidMessage;
use crate::protocol::{CipherSuite, CompressionMethod, Dialect, ProtocolVersion};

/// The length of a hello's random, in bytes.
pub(crate) const RANDOM_LEN: usize = 32;

/// The longest session ID, in bytes.
pub(crate) const MAX_SESSION_ID_LEN: usize = 32;

/// A client's offer. One writer serves every version and both transports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ClientHello {
    /// The version in the legacy field: the highest one offered, but never above 1.2.
    pub(crate) version: ProtocolVersion,
    /// The client's random.
    pub(crate) random: [u8; RANDOM_LEN],
    /// The session that the client offers to resume; empty for none.
    pub(crate) session_id: Vec<u8>,
    /// What the server asked to be repeated; empty at first, and always where the dialect has no
    /// cookies.
    pub(crate) cookie: Vec<u8>,
    /// The suites, in order of preference.
    pub(crate) cipher_suites: Vec<CipherSuite>,
    /// The compression methods.
    pub(crate) compression_methods: Vec<CompressionMethod>,
    /// Everything else.
    pub(crate) extensions: ClientExtensions,
}

impl ClientHello {
    /// Decodes a body.
    pub(crate) fn decode(dialect: &Dialect, body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let prefix = HelloPrefix::decode(dialect, &mut reader)?;
        let cipher_suites = reader.list16("cipher_suites", CipherSuite)?;
        let methods = reader.vec8("compression_methods")?;
        if methods.is_empty() {
            return Err(InvalidMessage::EmptyList("compression_methods"));
        }
        let compression_methods = methods.iter().copied().map(CompressionMethod).collect();
        let extensions = ClientExtensions::decode(&mut reader)?;
        reader.finish("ClientHello")?;
        Ok(Self {
            version: prefix.version,
            random: prefix.random,
            session_id: prefix.session_id.to_vec(),
            cookie: prefix.cookie.to_vec(),
            cipher_suites,
            compression_methods,
            extensions,
        })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, dialect: &Dialect, out: &mut Vec<u8>) {
        out.put(&self.version.to_bytes());
        out.put(&self.random);
        out.put_vec(1, |out| out.put(&self.session_id));
        if dialect.hello_cookie {
            out.put_vec(1, |out| out.put(&self.cookie));
        }
        out.put_vec(2, |out| {
            self.cipher_suites
                .iter()
                .for_each(|suite| out.put_u16(suite.0))
        });
        out.put_vec(1, |out| {
            self.compression_methods
                .iter()
                .for_each(|method| out.put_u8(method.0))
        });
        self.extensions.encode(out);
    }
}

/// The beginning of a ClientHello up to its cookie: what proves an address, readable from a first
/// fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HelloPrefix<'a> {
    /// The version field.
    pub(crate) version: ProtocolVersion,
    /// The client's random.
    pub(crate) random: [u8; RANDOM_LEN],
    /// The session ID.
    pub(crate) session_id: &'a [u8],
    /// The cookie.
    pub(crate) cookie: &'a [u8],
}

impl<'a> HelloPrefix<'a> {
    /// Reads the prefix and leaves the reader after it.
    pub(crate) fn decode(
        dialect: &Dialect,
        reader: &mut Reader<'a>,
    ) -> Result<Self, InvalidMessage> {
        let version = ProtocolVersion(reader.u16("client_version")?);
        let random = reader.array("random")?;
        let session_id = reader.vec8("session_id")?;
        if session_id.len() > MAX_SESSION_ID_LEN {
            return Err(InvalidMessage::IllegalValue("session_id"));
        }
        let cookie = if dialect.hello_cookie {
            reader.vec8("cookie")?
        } else {
            &[]
        };
        Ok(Self {
            version,
            random,
            session_id,
            cookie,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{NamedGroup, PointFormat, SignatureScheme, dialect::DTLS};

    pub(crate) fn sample() -> ClientHello {
        ClientHello {
            version: ProtocolVersion::DTLS12,
            random: [3; RANDOM_LEN],
            session_id: vec![1; 32],
            cookie: vec![2; 20],
            cipher_suites: vec![CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256],
            compression_methods: vec![CompressionMethod::NULL],
            extensions: ClientExtensions {
                server_name: Some("example.com".into()),
                supported_groups: Some(vec![NamedGroup::X25519]),
                point_formats: Some(vec![PointFormat::UNCOMPRESSED]),
                signature_algorithms: Some(vec![SignatureScheme::ED25519]),
                alpn: Some(vec![b"coap".to_vec(), b"x".to_vec()]),
                extended_master_secret: true,
                session_ticket: Some(b"ticket".to_vec()),
                renegotiation_info: Some(vec![]),
                ..ClientExtensions::default()
            },
        }
    }

    #[test]
    fn a_hello_round_trips_and_every_truncation_is_an_error_or_lacks_extensions() {
        let hello = sample();
        let mut body = Vec::new();
        hello.encode(&DTLS, &mut body);
        assert_eq!(ClientHello::decode(&DTLS, &body), Ok(hello.clone()));
        for cut in 0..body.len() {
            if let Ok(short) = ClientHello::decode(&DTLS, &body[..cut]) {
                // Cutting exactly before the extension block leaves a legal hello without
                // extensions.
                assert_eq!(short.extensions, ClientExtensions::default());
            }
        }
    }

    /// A18: a duplicate extension is refused.
    #[test]
    fn a_duplicate_extension_is_refused() {
        let mut hello = sample();
        hello.extensions = ClientExtensions {
            extended_master_secret: true,
            ..Default::default()
        };
        let mut body = Vec::new();
        hello.encode(&DTLS, &mut body);
        body.truncate(body.len() - 6);
        body.extend_from_slice(&[0, 8, 0, 23, 0, 0, 0, 23, 0, 0]);
        assert_eq!(
            ClientHello::decode(&DTLS, &body),
            Err(InvalidMessage::DuplicateExtension(23))
        );
    }
}
