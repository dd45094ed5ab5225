//! Every handshake message that this library reads, decoded.

use super::certificate_request::CertificateRequest;
use super::client_hello::ClientHello;
use super::hello_verify_request::HelloVerifyRequest;
use super::key_exchange::{self, ServerKeyExchange};
use super::server_hello::ServerHello;
use super::signed::DigitallySigned;
use super::{certificate, codec::Reader};
use crate::error::InvalidMessage;
use crate::protocol::{Dialect, HandshakeType};
use pki_types::CertificateDer;

/// The length of a Finished's contents, in bytes (RFC 5246 §7.4.9).
pub(crate) const VERIFY_DATA_LEN: usize = 12;

/// A decoded message.
#[derive(Debug)]
pub(crate) enum Message {
    /// RFC 5246 §7.4.1.2.
    ClientHello(Box<ClientHello>),
    /// RFC 5246 §7.4.1.3.
    ServerHello(Box<ServerHello>),
    /// RFC 6347 §4.2.1.
    HelloVerifyRequest(HelloVerifyRequest),
    /// RFC 5246 §7.4.2 and §7.4.6.
    Certificate(Vec<CertificateDer<'static>>),
    /// RFC 8422 §5.4.
    ServerKeyExchange(ServerKeyExchange),
    /// RFC 5246 §7.4.4.
    CertificateRequest(CertificateRequest),
    /// RFC 5246 §7.4.5.
    ServerHelloDone,
    /// RFC 8422 §5.7: the client's share.
    ClientKeyExchange(Vec<u8>),
    /// RFC 5246 §7.4.8.
    CertificateVerify(DigitallySigned),
    /// RFC 5246 §7.4.9.
    Finished([u8; VERIFY_DATA_LEN]),
}

impl Message {
    /// Decodes a body.
    ///
    /// # Errors
    ///
    /// If it does not decode, or the type is none that has a body here.
    pub(crate) fn decode(
        dialect: &Dialect,
        typ: HandshakeType,
        body: &[u8],
    ) -> Result<Self, InvalidMessage> {
        Ok(match typ {
            HandshakeType::CLIENT_HELLO => {
                Self::ClientHello(Box::new(ClientHello::decode(dialect, body)?))
            }
            HandshakeType::SERVER_HELLO => Self::ServerHello(Box::new(ServerHello::decode(body)?)),
            HandshakeType::HELLO_VERIFY_REQUEST if dialect.hello_cookie => {
                Self::HelloVerifyRequest(HelloVerifyRequest::decode(body)?)
            }
            HandshakeType::CERTIFICATE => Self::Certificate(certificate::decode(body)?),
            HandshakeType::SERVER_KEY_EXCHANGE => {
                Self::ServerKeyExchange(ServerKeyExchange::decode(body)?)
            }
            HandshakeType::CERTIFICATE_REQUEST => {
                Self::CertificateRequest(CertificateRequest::decode(body)?)
            }
            HandshakeType::SERVER_HELLO_DONE => {
                Reader::new(body).finish("ServerHelloDone")?;
                Self::ServerHelloDone
            }
            HandshakeType::CLIENT_KEY_EXCHANGE => {
                Self::ClientKeyExchange(key_exchange::decode_client_share(body)?)
            }
            HandshakeType::CERTIFICATE_VERIFY => {
                Self::CertificateVerify(DigitallySigned::decode_certificate_verify(body)?)
            }
            HandshakeType::FINISHED => {
                let mut reader = Reader::new(body);
                let verify_data = reader.array("verify_data")?;
                reader.finish("Finished")?;
                Self::Finished(verify_data)
            }
            _ => return Err(InvalidMessage::IllegalValue("handshake type")),
        })
    }
}
