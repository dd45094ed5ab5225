//! What an honest peer of version 1.3 sends: the bodies of all messages.

use super::super::scripted::{ClientOffer, ServerChoice};
use super::{KEY_SHARE, ScriptedPeer, framed};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::kx::{self, Exchange};
use crate::identity::{Credential, encode_certificate_13};
use crate::protocol::dialect::TLS;
use crate::protocol::{
    CipherSuite, ExtensionType, HandshakeType, NamedGroup, ProtocolVersion, PskKeyExchangeMode,
    Side, SignatureScheme,
};
use crate::secrets::schedule13::{Derivation, EarlySecret, PskOrigin};
use crate::sim::scripted::{SCHEMES, random};
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::codec::{Reader, Writer as _};
use crate::wire::extension::OfferedPsks;
use crate::wire::new_session_ticket::NewSessionTicket13;

/// A line of a script: a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Line {
    /// [`ScriptedPeer::offer`].
    ClientHello,
    /// [`ScriptedPeer::choice`], with a fresh share unless the script has set one.
    ServerHello,
    /// [`ScriptedPeer::granted`].
    EncryptedExtensions,
    /// For every scheme that is supported here, from any authority.
    CertificateRequest,
    /// The credential's chain, or an empty one without a credential.
    Certificate,
    /// A signature with the credential's key over everything so far.
    CertificateVerify,
    /// verify_data over everything so far.
    Finished,
    /// A ticket that [`ScriptedPeer::ticket`] gives for another connection.
    NewSessionTicket,
    /// A KeyUpdate that asks for nothing. The scripted peer's own keys stay as they are.
    KeyUpdate,
}

impl Line {
    pub(super) const fn typ(self) -> HandshakeType {
        match self {
            Self::ClientHello => HandshakeType::CLIENT_HELLO,
            Self::ServerHello => HandshakeType::SERVER_HELLO,
            Self::EncryptedExtensions => HandshakeType::ENCRYPTED_EXTENSIONS,
            Self::CertificateRequest => HandshakeType::CERTIFICATE_REQUEST,
            Self::Certificate => HandshakeType::CERTIFICATE,
            Self::CertificateVerify => HandshakeType::CERTIFICATE_VERIFY,
            Self::Finished => HandshakeType::FINISHED,
            Self::NewSessionTicket => HandshakeType::NEW_SESSION_TICKET,
            Self::KeyUpdate => HandshakeType::KEY_UPDATE,
        }
    }
}

impl ScriptedPeer {
    /// What an honest peer would put into this message now. Shares and secrets are drawn on the
    /// way.
    pub fn body(&mut self, line: Line) -> Vec<u8> {
        match line {
            Line::ClientHello => self.client_hello(),
            Line::ServerHello => self.server_hello(),
            Line::EncryptedExtensions => {
                let mut body = Vec::new();
                body.put_vec(2, |out| {
                    for (typ, extension) in &self.granted {
                        out.put_u16(*typ);
                        out.put_vec(2, |out| out.put(extension));
                    }
                });
                body
            }
            Line::CertificateRequest => {
                let request = CertificateRequest {
                    certificate_types: Vec::new(),
                    signature_algorithms: SCHEMES.to_vec(),
                    authorities: Vec::new(),
                };
                let mut body = Vec::new();
                request.encode_13(&mut body);
                body
            }
            Line::Certificate => {
                let claim = self.credential.as_ref().map(Credential::claim);
                let mut body = Vec::new();
                encode_certificate_13(claim.as_ref(), &mut body);
                body
            }
            Line::CertificateVerify => self.certificate_verify(),
            Line::Finished => {
                let hash = self.transcript_hash();
                let secrets = self.secrets.finished.as_ref();
                secrets.map_or_else(
                    || vec![0; hash.len()],
                    |[client, server]| {
                        let own = if self.side == Side::Client {
                            client
                        } else {
                            server
                        };
                        own.verify_data(&hash).as_ref().to_vec()
                    },
                )
            }
            Line::NewSessionTicket => self.new_session_ticket(),
            Line::KeyUpdate => vec![0],
        }
    }

    /// With a key that it names, the hello ends with the proof that it has it (RFC 8446 §4.2.11.2).
    fn client_hello(&mut self) -> Vec<u8> {
        let (Some(named), Some(key)) = (&self.named, &self.secrets.psk) else {
            return self.offer.encode();
        };
        let hash = HashAlgorithm::Sha256;
        let offered = OfferedPsks {
            identities: vec![named.clone()],
            binders: vec![vec![0; hash.len()]],
        };
        let unbound = offered.binders_len();
        let mut extension = Vec::new();
        offered.encode(&mut extension);
        let modes = ExtensionType::PSK_KEY_EXCHANGE_MODES.0;
        let with_exchange = PskKeyExchangeMode::PSK_DHE_KE.0;
        self.offer.set_extension(modes, &[1, with_exchange]);
        self.offer.remove_extension(ExtensionType::PRE_SHARED_KEY.0);
        let last = (ExtensionType::PRE_SHARED_KEY.0, extension);
        self.offer.extensions.push(last);
        let mut body = self.offer.encode();
        let mut covered = self.transcript.clone();
        covered.extend(framed(HandshakeType::CLIENT_HELLO, &body));
        covered.truncate(covered.len() - unbound);
        let early = EarlySecret::new(Derivation::new(&TLS, hash), key.as_bytes());
        let binder = early.binder(PskOrigin::External, hash.digest(&covered).as_ref());
        let place = body.len() - hash.len();
        body[place..].copy_from_slice(binder.as_ref());
        body
    }

    fn server_hello(&mut self) -> Vec<u8> {
        if self.choice.extension(KEY_SHARE).is_none() {
            let offered = self.offer.extension(KEY_SHARE).and_then(first_share);
            if let Some((group, share)) = offered
                && let Ok((answer, secret)) = kx::respond(group, &share)
            {
                self.shared = secret.to_vec();
                let mut body = Vec::new();
                put_share(group, &answer, &mut body);
                self.choice.set_extension(KEY_SHARE, &body);
            }
        }
        if self.secrets.psk.is_some() {
            let first = ExtensionType::PRE_SHARED_KEY.0;
            self.choice.set_extension(first, &[0, 0]);
        }
        self.choice.encode()
    }

    /// RFC 8446 §4.4.3: spaces, the context, a zero, and the hash of everything so far.
    fn certificate_verify(&self) -> Vec<u8> {
        let (mut scheme, mut signature) = (SignatureScheme(0), Vec::new());
        if let Some(credential) = &self.credential {
            let message = [
                [b' '; 64].as_slice(),
                b"TLS 1.3, ",
                self.side.to_string().as_bytes(),
                b" CertificateVerify\0",
                &self.transcript_hash(),
            ]
            .concat();
            scheme = credential.key().schemes()[0];
            let key = credential.key().held();
            let made = key.and_then(|key| key.sign(scheme, &message).ok());
            signature = made.unwrap_or_default();
        }
        let mut body = self.named_scheme.unwrap_or(scheme.0).to_be_bytes().to_vec();
        body.put_vec(2, |out| out.put(&signature));
        body
    }

    fn new_session_ticket(&mut self) -> Vec<u8> {
        let hash = self.transcript_hash();
        let main = self.secrets.main.as_ref();
        self.secrets.ticket = main.map(|main| main.resumption(&hash).psk(b"nonce"));
        let ticket = NewSessionTicket13 {
            lifetime: 3600,
            age_add: 0,
            nonce: b"nonce".to_vec(),
            ticket: b"a ticket".to_vec(),
            grease: None,
        };
        let mut body = Vec::new();
        ticket.encode(&mut body);
        body
    }
}

/// The group and the share that a ClientHello lists first.
fn first_share(extension: &[u8]) -> Option<(NamedGroup, Vec<u8>)> {
    let mut reader = Reader::new(extension);
    let mut list = Reader::new(reader.vec16("client_shares").ok()?);
    let group = NamedGroup(list.u16("group").ok()?);
    Some((group, list.vec16("key_exchange").ok()?.to_vec()))
}

fn put_share(group: NamedGroup, share: &[u8], out: &mut Vec<u8>) {
    out.put_u16(group.0);
    out.put_vec(2, |out| out.put(share));
}

/// Everything that is supported here, with a share of X25519.
pub(super) fn honest_offer(name: &str) -> (Option<Exchange>, ClientOffer) {
    let mut offer = ClientOffer::honest(name, random()).in_stream();
    offer.suites = vec![CipherSuite::TLS_AES_128_GCM_SHA256.0];
    offer.remove_extension(ExtensionType::RENEGOTIATION_INFO.0);
    offer.set_extension(ExtensionType::SUPPORTED_VERSIONS.0, &[2, 3, 4]);
    let begun = kx::start(NamedGroup::X25519).ok();
    let exchange = begun.map(|(exchange, share)| {
        let mut body = Vec::new();
        body.put_vec(2, |out| put_share(NamedGroup::X25519, &share, out));
        offer.set_extension(KEY_SHARE, &body);
        exchange
    });
    (exchange, offer)
}

/// The first suite of version 1.3.
pub(super) fn honest_choice() -> ServerChoice {
    let mut choice = ServerChoice::honest(random());
    choice.version = ProtocolVersion::TLS12.0;
    choice.suite = CipherSuite::TLS_AES_128_GCM_SHA256.0;
    let version = ProtocolVersion::TLS13.0.to_be_bytes();
    choice.set_extension(ExtensionType::SUPPORTED_VERSIONS.0, &version);
    choice
}
