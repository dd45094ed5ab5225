//! What an honest peer sends: the bodies of all messages.

use super::{SCHEMES, ScriptedPeer};
use crate::crypto::kx;
use crate::identity::{Credential, encode_certificate_12};
use crate::protocol::{ClientCertificateType, CurveType, HandshakeType, NamedGroup, Side};
use crate::wire::codec::Writer as _;

/// A line of a script: a message, or the ChangeCipherSpec between messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Line {
    /// RFC 5246 §7.4.1.1.
    HelloRequest,
    /// [`ScriptedPeer::offer`].
    ClientHello,
    /// [`ScriptedPeer::cookie`].
    HelloVerifyRequest,
    /// [`ScriptedPeer::choice`].
    ServerHello,
    /// The credential's chain, or an empty one without a credential.
    Certificate,
    /// A fresh share in [`ScriptedPeer::group`], signed with the credential's key.
    ServerKeyExchange,
    /// For certificates with ECDSA or RSA keys, from any authority.
    CertificateRequest,
    /// RFC 5246 §7.4.5.
    ServerHelloDone,
    /// A fresh share in the server's group.
    ClientKeyExchange,
    /// A signature with the credential's key over everything so far.
    CertificateVerify,
    /// [`ScriptedPeer::ticket`], good for [`ScriptedPeer::ticket_lifetime`] (RFC 5077 §3.3).
    NewSessionTicket,
    /// A record, not a message; in no transcript.
    ChangeCipherSpec,
    /// In the epoch after the handshake's.
    Finished,
}

impl Line {
    /// The type of the message. ChangeCipherSpec is not a message and gives a type that no message
    /// has.
    pub const fn typ(self) -> u8 {
        match self {
            Self::HelloRequest => HandshakeType::HELLO_REQUEST.0,
            Self::ClientHello => HandshakeType::CLIENT_HELLO.0,
            Self::HelloVerifyRequest => HandshakeType::HELLO_VERIFY_REQUEST.0,
            Self::ServerHello => HandshakeType::SERVER_HELLO.0,
            Self::Certificate => HandshakeType::CERTIFICATE.0,
            Self::ServerKeyExchange => HandshakeType::SERVER_KEY_EXCHANGE.0,
            Self::CertificateRequest => HandshakeType::CERTIFICATE_REQUEST.0,
            Self::ServerHelloDone => HandshakeType::SERVER_HELLO_DONE.0,
            Self::ClientKeyExchange => HandshakeType::CLIENT_KEY_EXCHANGE.0,
            Self::CertificateVerify => HandshakeType::CERTIFICATE_VERIFY.0,
            Self::NewSessionTicket => HandshakeType::NEW_SESSION_TICKET.0,
            Self::ChangeCipherSpec => u8::MAX,
            Self::Finished => HandshakeType::FINISHED.0,
        }
    }
}

impl ScriptedPeer {
    /// What an honest peer would put into this message now. Shares and secrets are drawn on the
    /// way.
    pub fn body(&mut self, line: Line) -> Vec<u8> {
        match line {
            Line::ClientHello => self.offer.encode(),
            Line::ServerHello => self.choice.encode(),
            Line::HelloVerifyRequest => {
                let mut body = self.verify_version.to_be_bytes().to_vec();
                body.put_vec(1, |out| out.put(&self.cookie));
                body
            }
            Line::Certificate => self.certificate(),
            Line::ServerKeyExchange if self.shares_key() => self.shared_key_server_exchange(),
            Line::ClientKeyExchange if self.shares_key() => self.shared_key_client_exchange(),
            Line::ServerKeyExchange => self.fresh_server_key_exchange(),
            Line::CertificateRequest => certificate_request(),
            Line::ClientKeyExchange => self.client_key_exchange(),
            Line::CertificateVerify => {
                let (scheme, signature) = self.sign(&self.transcript);
                signed(scheme, &signature)
            }
            Line::NewSessionTicket => {
                let mut body = self.ticket_lifetime.to_be_bytes().to_vec();
                body.put_vec(2, |out| out.put(&self.ticket));
                body
            }
            Line::Finished => self.verify_data(self.side),
            Line::HelloRequest | Line::ServerHelloDone | Line::ChangeCipherSpec => Vec::new(),
        }
    }

    fn certificate(&self) -> Vec<u8> {
        let claim = self.credential.as_ref().map(Credential::claim);
        let mut body = Vec::new();
        encode_certificate_12(claim.as_ref(), &mut body);
        body
    }

    fn fresh_server_key_exchange(&mut self) -> Vec<u8> {
        let Ok((exchange, share)) = kx::start(NamedGroup(self.group)) else {
            return self.server_key_exchange(self.group, &[4; 65]);
        };
        self.exchange = Some(exchange);
        self.server_key_exchange(self.group, &share)
    }

    /// A ServerKeyExchange with any group and share, signed as it must be (RFC 8422 §5.4).
    pub fn server_key_exchange(&self, group: u16, share: &[u8]) -> Vec<u8> {
        let mut params = vec![CurveType::NAMED_CURVE.0];
        params.put_u16(group);
        params.put_vec(1, |out| out.put(share));
        let message = [&self.offer.random[..], &self.choice.random, &params].concat();
        let (scheme, signature) = self.sign(&message);
        [params, signed(scheme, &signature)].concat()
    }

    fn client_key_exchange(&mut self) -> Vec<u8> {
        let answered = kx::respond(NamedGroup(self.group), &self.share);
        // Without a ServerKeyExchange there is no group either: any share will do.
        let (share, secret) = match answered {
            Ok((share, secret)) => (share, secret.to_vec()),
            Err(_) => (vec![9; 32], Vec::new()),
        };
        self.secret = secret;
        let mut body = Vec::new();
        body.put_vec(1, |out| out.put(&share));
        body
    }

    /// Reads the other side's share from its key exchange message.
    pub(super) fn learn_share(&mut self, body: &[u8]) {
        if self.shares_key() {
            return self.learn_shared_key(body);
        }
        match self.side {
            Side::Client => {
                // curve_type (1), group (2), length (1), share
                if let Some((&[_, g0, g1, length], rest)) = body.split_first_chunk() {
                    self.group = u16::from_be_bytes([g0, g1]);
                    self.share = rest.get(..length.into()).unwrap_or_default().to_vec();
                }
            }
            Side::Server => {
                let share = body.get(1..).unwrap_or_default();
                let secret = self
                    .exchange
                    .take()
                    .map(|exchange| exchange.complete(NamedGroup(self.group), share));
                if let Some(Ok(secret)) = secret {
                    self.secret = secret.to_vec();
                }
            }
        }
    }
}

/// The digitally-signed struct: scheme, length, signature (RFC 5246 §4.7).
fn signed(scheme: u16, signature: &[u8]) -> Vec<u8> {
    let mut out = scheme.to_be_bytes().to_vec();
    out.put_vec(2, |out| out.put(signature));
    out
}

fn certificate_request() -> Vec<u8> {
    let mut body = Vec::new();
    body.put_vec(1, |out| {
        out.put_u8(ClientCertificateType::ECDSA_SIGN.0);
        out.put_u8(ClientCertificateType::RSA_SIGN.0);
    });
    body.put_vec(2, |out| {
        SCHEMES.iter().for_each(|scheme| out.put_u16(scheme.0))
    });
    body.put_vec(2, |_| {});
    body
}
