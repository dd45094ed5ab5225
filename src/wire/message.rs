//! Every handshake message that this library reads, decoded.

use super::certificate::Certificate13;
use super::certificate_request::CertificateRequest;
use super::client_hello::ClientHello;
use super::extension::EncryptedExtensions;
use super::hello_verify_request::HelloVerifyRequest;
use super::key_exchange::{
    self, ServerKeyExchange, SharedKeyClientExchange, SharedKeyServerExchange,
};
use super::new_session_ticket::NewSessionTicket;
use super::server_hello::ServerHello;
use super::signed::DigitallySigned;
use super::{certificate, codec::Reader};
use crate::error::InvalidMessage;
use crate::protocol::{Dialect, HandshakeType};
use pki_types::CertificateDer;

/// The length of a Finished's contents, in bytes (RFC 5246 §7.4.9).
pub(crate) const VERIFY_DATA_LEN: usize = 12;

/// The form of messages that differ between versions. Hellos have one form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grammar {
    /// Version 1.2 with certificates, and whatever does not depend on the suite.
    V12,
    /// Version 1.2 with a shared key (RFC 4279 §2), and with an exchange or without (RFC 5489 §2).
    SharedKey12 { exchanges: bool },
    /// Version 1.2, where the peer shows a raw public key: its Certificate has another form.
    V12RawKey,
    /// Version 1.3.
    V13,
}

/// A decoded message.
#[derive(Debug)]
pub(crate) enum Message {
    /// RFC 5246 §7.4.1.2.
    ClientHello(Box<ClientHello>),
    /// RFC 5246 §7.4.1.3.
    ServerHello(Box<ServerHello>),
    /// RFC 6347 §4.2.1.
    HelloVerifyRequest(HelloVerifyRequest),
    /// RFC 5077 §3.3.
    NewSessionTicket(NewSessionTicket),
    /// RFC 5246 §7.4.2 and §7.4.6.
    Certificate(Vec<CertificateDer<'static>>),
    /// RFC 7250 §3: a SubjectPublicKeyInfo in the place of the list; empty for none.
    RawPublicKey(Vec<u8>),
    /// RFC 8422 §5.4.
    ServerKeyExchange(ServerKeyExchange),
    /// RFC 5246 §7.4.4.
    CertificateRequest(CertificateRequest),
    /// RFC 5246 §7.4.5.
    ServerHelloDone,
    /// RFC 8422 §5.7: the client's share.
    ClientKeyExchange(Vec<u8>),
    /// RFC 4279 §2, RFC 5489 §2.
    SharedKeyServerExchange(SharedKeyServerExchange),
    /// RFC 4279 §2, RFC 5489 §2.
    SharedKeyClientExchange(SharedKeyClientExchange),
    /// RFC 5246 §7.4.8.
    CertificateVerify(DigitallySigned),
    /// RFC 5246 §7.4.9.
    Finished([u8; VERIFY_DATA_LEN]),
    /// RFC 8446 §4.3.1.
    EncryptedExtensions(EncryptedExtensions),
    /// RFC 8446 §4.4.2.
    Certificate13(Certificate13),
    /// RFC 8446 §4.3.2, with its context.
    CertificateRequest13(Vec<u8>, CertificateRequest),
    /// RFC 8446 §4.4.4: as long as the hash of the suite.
    Finished13(Vec<u8>),
}

impl Message {
    /// Decodes a body.
    ///
    /// # Errors
    ///
    /// If it does not decode, or the type is not one that is read here.
    pub(crate) fn decode(
        dialect: &Dialect,
        grammar: Grammar,
        typ: HandshakeType,
        body: &[u8],
    ) -> Result<Self, InvalidMessage> {
        match grammar {
            Grammar::V12RawKey if typ == HandshakeType::CERTIFICATE => {
                Ok(Self::RawPublicKey(certificate::decode_raw_key(body)?))
            }
            Grammar::V12 | Grammar::V12RawKey => Self::decode_12(dialect, typ, body),
            Grammar::SharedKey12 { exchanges } => {
                Self::decode_shared_key_12(dialect, exchanges, typ, body)
            }
            Grammar::V13 => Self::decode_13(dialect, typ, body),
        }
    }

    fn decode_shared_key_12(
        dialect: &Dialect,
        exchanges: bool,
        typ: HandshakeType,
        body: &[u8],
    ) -> Result<Self, InvalidMessage> {
        Ok(match typ {
            HandshakeType::SERVER_KEY_EXCHANGE => {
                let exchange = SharedKeyServerExchange::decode(exchanges, body)?;
                Self::SharedKeyServerExchange(exchange)
            }
            HandshakeType::CLIENT_KEY_EXCHANGE => {
                let exchange = SharedKeyClientExchange::decode(exchanges, body)?;
                Self::SharedKeyClientExchange(exchange)
            }
            _ => return Self::decode_12(dialect, typ, body),
        })
    }

    fn decode_13(
        dialect: &Dialect,
        typ: HandshakeType,
        body: &[u8],
    ) -> Result<Self, InvalidMessage> {
        Ok(match typ {
            HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO => {
                return Self::decode_12(dialect, typ, body);
            }
            HandshakeType::ENCRYPTED_EXTENSIONS => {
                Self::EncryptedExtensions(EncryptedExtensions::decode(body)?)
            }
            HandshakeType::CERTIFICATE => Self::Certificate13(certificate::decode_13(body)?),
            HandshakeType::CERTIFICATE_REQUEST => {
                let (context, request) = CertificateRequest::decode_13(body)?;
                Self::CertificateRequest13(context, request)
            }
            HandshakeType::CERTIFICATE_VERIFY => {
                Self::CertificateVerify(DigitallySigned::decode_certificate_verify(body)?)
            }
            HandshakeType::FINISHED => Self::Finished13(body.to_vec()),
            _ => return Err(InvalidMessage::IllegalValue("handshake type")),
        })
    }

    fn decode_12(
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
            HandshakeType::NEW_SESSION_TICKET => {
                Self::NewSessionTicket(NewSessionTicket::decode(body)?)
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
                let verify_data = body.try_into();
                Self::Finished(verify_data.map_err(|_| InvalidMessage::WrongVerifyDataLength)?)
            }
            _ => return Err(InvalidMessage::IllegalValue("handshake type")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::dialect::DTLS;
    use crate::protocol::{
        CipherSuite, ClientCertificateType, CompressionMethod, NamedGroup, ProtocolVersion,
        SignatureScheme,
    };
    use crate::wire::extension::{ClientExtensions, ServerExtensions};
    use crate::wire::key_exchange::EcdhParams;
    use proptest::prelude::*;

    /// One well-formed body of every type.
    fn bodies() -> Vec<(HandshakeType, Vec<u8>)> {
        let signed = DigitallySigned {
            scheme: SignatureScheme::ED25519,
            signature: vec![1; 64],
        };
        let mut out = [const { Vec::new() }; 8];
        let [
            hello,
            server_hello,
            verify,
            chain,
            exchange,
            request,
            share,
            certificate_verify,
        ] = &mut out;
        ClientHello {
            version: ProtocolVersion::DTLS12,
            random: [7; 32],
            session_id: vec![1; 32],
            cookie: vec![2; 17],
            cipher_suites: vec![CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256],
            compression_methods: vec![CompressionMethod::NULL],
            extensions: ClientExtensions {
                server_name: Some("a.test".into()),
                supported_groups: Some(vec![NamedGroup::X25519]),
                alpn: Some(vec![b"x".to_vec()]),
                renegotiation_info: Some(vec![]),
                ..ClientExtensions::default()
            },
        }
        .encode(&DTLS, hello);
        ServerHello {
            version: ProtocolVersion::DTLS12,
            random: [8; 32],
            session_id: vec![3; 32],
            cipher_suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            compression_method: CompressionMethod::NULL,
            extensions: ServerExtensions {
                alpn: Some(b"x".to_vec()),
                ..ServerExtensions::default()
            },
        }
        .encode(server_hello);
        HelloVerifyRequest {
            cookie: vec![4; 17],
        }
        .encode(verify);
        certificate::encode(&[CertificateDer::from(vec![5; 300])], chain);
        let params = EcdhParams {
            group: NamedGroup::X25519,
            share: vec![6; 32],
        };
        ServerKeyExchange {
            params,
            signed: signed.clone(),
        }
        .encode(exchange);
        CertificateRequest {
            certificate_types: vec![ClientCertificateType::ECDSA_SIGN],
            signature_algorithms: vec![SignatureScheme::ED25519],
            authorities: vec![vec![0x30, 0]],
        }
        .encode(request);
        key_exchange::encode_client_share(&[9; 32], share);
        signed.encode(certificate_verify);
        let [
            hello,
            server_hello,
            verify,
            chain,
            exchange,
            request,
            share,
            certificate_verify,
        ] = out;
        vec![
            (HandshakeType::CLIENT_HELLO, hello),
            (HandshakeType::SERVER_HELLO, server_hello),
            (HandshakeType::HELLO_VERIFY_REQUEST, verify),
            (HandshakeType::CERTIFICATE, chain),
            (HandshakeType::SERVER_KEY_EXCHANGE, exchange),
            (HandshakeType::CERTIFICATE_REQUEST, request),
            (HandshakeType::SERVER_HELLO_DONE, vec![]),
            (HandshakeType::CLIENT_KEY_EXCHANGE, share),
            (HandshakeType::CERTIFICATE_VERIFY, certificate_verify),
            (HandshakeType::FINISHED, vec![0; VERIFY_DATA_LEN]),
        ]
    }

    #[test]
    fn well_formed_bodies_decode_and_no_truncation_or_extension_does() {
        for (typ, body) in bodies() {
            assert!(
                Message::decode(&DTLS, Grammar::V12, typ, &body).is_ok(),
                "{typ}"
            );
            for cut in 0..body.len() {
                // A hello may end where its extensions would begin (RFC 5246 §7.4.1.2).
                let shorter = Message::decode(&DTLS, Grammar::V12, typ, &body[..cut]);
                let bare = match &shorter {
                    Ok(Message::ClientHello(hello)) => {
                        hello.extensions == ClientExtensions::default()
                    }
                    Ok(Message::ServerHello(hello)) => {
                        hello.extensions == ServerExtensions::default()
                    }
                    Ok(_) => false,
                    Err(_) => true,
                };
                assert!(bare, "{typ} cut to {cut}");
            }
            let longer = [&body[..], &[0]].concat();
            assert!(
                Message::decode(&DTLS, Grammar::V12, typ, &longer).is_err(),
                "{typ} with a byte more"
            );
        }
    }

    /// A12: every byte of every message, each of its 255 other values: an error or another message,
    /// never a panic.
    #[test]
    fn one_byte_mutations_never_panic() {
        for (typ, body) in bodies() {
            for place in 0..body.len() {
                let mut mutated = body.clone();
                for _ in 0..255 {
                    mutated[place] = mutated[place].wrapping_add(1);
                    let _outcome = Message::decode(&DTLS, Grammar::V12, typ, &mutated);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(typ: u8, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            for grammar in [
                Grammar::V12,
                Grammar::SharedKey12 { exchanges: true },
                Grammar::SharedKey12 { exchanges: false },
            ] {
                let _outcome = Message::decode(&DTLS, grammar, HandshakeType(typ), &body);
            }
        }
    }
}
