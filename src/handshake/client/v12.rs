//! A client's states of version 1.2 behind the ServerHello.

use super::State;
use crate::config::ClientConfig;
use crate::crypto::kx;
use crate::crypto::sign::{KeyKind, SigningKey};
use crate::crypto::suite::Suite;
use crate::error::{CertificateError, Error, PeerMisbehaved};
use crate::handshake::{Action, Epochs, Established, Outbox, Question};
use crate::identity::proof::{ChainVerified, SignatureVerified};
use crate::identity::{CertifiedKey, Credential, PeerIdentity, verify_12};
use crate::protocol::{
    ClientCertificateType, FlightEnd, HandshakeType, NamedGroup, ProtocolVersion, ReadSwitch, Side,
    SignatureScheme,
};
use crate::secrets::schedule12::{MasterSecret, Randoms, SessionBinding};
use crate::secrets::transcript::Transcript;
use crate::wire::certificate;
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::{EcdhParams, ServerKeyExchange, encode_client_share};
use crate::wire::message::VERIFY_DATA_LEN;
use crate::wire::signed::DigitallySigned;
use pki_types::{CertificateDer, ServerName};
use std::sync::Arc;

/// What every state behind the ServerHello knows.
pub(crate) struct Context {
    pub(super) version: ProtocolVersion,
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
    pub(super) epochs: Epochs,
    pub(super) suite: &'static Suite,
    pub(super) randoms: Randoms,
    pub(super) extended_master_secret: bool,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) transcript: Transcript,
}

impl Context {
    fn add(&mut self, inbound: &InboundMessage) {
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
    }

    /// The master secret, once ClientKeyExchange is in the transcript.
    fn master_secret(&self, shared_secret: &[u8]) -> MasterSecret {
        let binding = SessionBinding::of(self.extended_master_secret, &self.transcript);
        let key_log = self.config.parameters.key_log.as_deref();
        MasterSecret::agree(
            self.suite.hash,
            shared_secret,
            &self.randoms,
            &binding,
            key_log,
        )
    }
}

/// The server has chosen; its certificate comes next.
pub(crate) struct ExpectCertificate {
    pub(super) context: Context,
}

impl ExpectCertificate {
    pub(super) const fn epochs(&self) -> Epochs {
        self.context.epochs
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        chain: Vec<CertificateDer<'static>>,
        inbound: &InboundMessage,
    ) -> Result<State, Error> {
        // RFC 5246 §7.4.2: a server that is asked for a certificate must have one.
        if chain.is_empty() {
            return Err(CertificateError::Missing.into());
        }
        self.context.add(inbound);
        Ok(State::ExpectServerKeyExchange(Box::new(
            ExpectServerKeyExchange {
                context: self.context,
                chain: chain.into(),
            },
        )))
    }
}

/// The certificate is here, unverified; its key must have signed the key exchange.
pub(crate) struct ExpectServerKeyExchange {
    context: Context,
    chain: Arc<[CertificateDer<'static>]>,
}

impl ExpectServerKeyExchange {
    pub(super) const fn epochs(&self) -> Epochs {
        self.context.epochs
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        exchange: ServerKeyExchange,
        inbound: &InboundMessage,
    ) -> Result<State, Error> {
        let ServerKeyExchange { params, signed } = exchange;
        if !self
            .context
            .config
            .parameters
            .groups
            .contains(&params.group)
        {
            return Err(PeerMisbehaved::SelectedUnofferedGroup(params.group).into());
        }
        let leaf = self.chain.first().ok_or(CertificateError::Missing)?;
        let message =
            params.signed_message(&self.context.randoms.client, &self.context.randoms.server);
        let kind = Some(self.context.suite.authentication);
        let signature_verified = verify_12(leaf, kind, &message, &signed)?;
        self.context.add(inbound);
        let Self { context, chain } = *self;
        let server = Server {
            chain,
            params,
            _signature: signature_verified,
        };
        Ok(State::ExpectCertificateRequest(Box::new(
            ExpectCertificateRequest { context, server },
        )))
    }
}

/// What the server has shown of itself.
struct Server {
    chain: Arc<[CertificateDer<'static>]>,
    params: EcdhParams,
    _signature: SignatureVerified,
}

/// The server may ask for a certificate now, or end its flight.
pub(crate) struct ExpectCertificateRequest {
    context: Context,
    server: Server,
}

impl ExpectCertificateRequest {
    pub(super) const fn epochs(&self) -> Epochs {
        self.context.epochs
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        request: CertificateRequest,
        inbound: &InboundMessage,
    ) -> State {
        self.context.add(inbound);
        let Self { context, server } = *self;
        let asked = Asked::For(ClientAnswer::choose(
            context.config.credential.as_ref(),
            &request,
        ));
        State::ExpectServerHelloDone(Box::new(ExpectServerHelloDone {
            context,
            server,
            asked,
        }))
    }

    /// The state in which no certificate was asked for.
    pub(super) fn without_request(self: Box<Self>) -> Box<ExpectServerHelloDone> {
        let Self { context, server } = *self;
        Box::new(ExpectServerHelloDone {
            context,
            server,
            asked: Asked::Nothing,
        })
    }
}

/// Whether the server asked for a certificate, and what it will get.
enum Asked {
    Nothing,
    For(ClientAnswer),
}

/// The client's answer to a CertificateRequest.
enum ClientAnswer {
    /// An empty chain: there is none that fits (RFC 5246 §7.4.6).
    NoCertificate,
    /// This chain, signed for with this scheme.
    Certificate {
        certified: CertifiedKey,
        scheme: SignatureScheme,
    },
}

impl ClientAnswer {
    fn choose(credential: Option<&Credential>, request: &CertificateRequest) -> Self {
        let Some(Credential::Certificate(certified)) = credential else {
            return Self::NoCertificate;
        };
        let typ = match certified.key().kind() {
            KeyKind::Ecdsa => ClientCertificateType::ECDSA_SIGN,
            KeyKind::Rsa => ClientCertificateType::RSA_SIGN,
        };
        let scheme = certified
            .key()
            .schemes()
            .iter()
            .find(|&scheme| request.signature_algorithms.contains(scheme));
        match scheme {
            Some(&scheme) if request.certificate_types.contains(&typ) => Self::Certificate {
                certified: certified.clone(),
                scheme,
            },
            _ => Self::NoCertificate,
        }
    }
}

/// Only the end of the server's flight is missing.
pub(crate) struct ExpectServerHelloDone {
    context: Context,
    server: Server,
    asked: Asked,
}

impl ExpectServerHelloDone {
    pub(super) const fn epochs(&self) -> Epochs {
        self.context.epochs
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> State {
        self.context.add(inbound);
        let Self {
            context,
            server,
            asked,
        } = *self;
        outbox.push(Action::Ask(Question::VerifyServer {
            chain: server.chain.clone(),
            name: context.server_name.clone(),
        }));
        State::ExpectServerVerified(Box::new(ExpectServerVerified {
            context,
            server,
            asked,
        }))
    }
}

/// The verifier of the configuration has the word.
pub(crate) struct ExpectServerVerified {
    context: Context,
    server: Server,
    asked: Asked,
}

impl ExpectServerVerified {
    pub(super) fn handle(
        self: Box<Self>,
        verified: ChainVerified,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        let Self {
            mut context,
            server,
            asked,
        } = *self;
        let current = context.epochs.current;
        // RFC 5246 §7.4.6: a client that is asked answers with a Certificate, even an empty one.
        if let Asked::For(answer) = &asked {
            let chain = match answer {
                ClientAnswer::NoCertificate => &[],
                ClientAnswer::Certificate { certified, .. } => certified.chain(),
            };
            let mut body = Vec::new();
            certificate::encode(chain, &mut body);
            outbox.send(
                current,
                HandshakeType::CERTIFICATE,
                body,
                &mut context.transcript,
            )?;
        }
        let (share, secret) = kx::respond(server.params.group, &server.params.share)?;
        let mut body = Vec::with_capacity(1 + share.len());
        encode_client_share(&share, &mut body);
        outbox.send(
            current,
            HandshakeType::CLIENT_KEY_EXCHANGE,
            body,
            &mut context.transcript,
        )?;

        let master_secret = context.master_secret(&secret);
        let group = server.params.group;
        let ready = Ready {
            context,
            group,
            chain: server.chain,
            master_secret,
            verified,
        };
        match asked {
            Asked::For(ClientAnswer::Certificate { certified, scheme }) => {
                Ok(ready.ask_for_signature(certified.key(), scheme, outbox))
            }
            Asked::For(ClientAnswer::NoCertificate) | Asked::Nothing => ready.finish(outbox),
        }
    }
}

/// The master secret is known; CertificateVerify, if any, and Finished are still to be sent.
struct Ready {
    context: Context,
    group: NamedGroup,
    chain: Arc<[CertificateDer<'static>]>,
    master_secret: MasterSecret,
    verified: ChainVerified,
}

impl Ready {
    fn ask_for_signature(
        self,
        key: &Arc<SigningKey>,
        scheme: SignatureScheme,
        outbox: &mut Outbox,
    ) -> State {
        // RFC 5246 §7.4.8: the signature covers all messages so far.
        let message = self.context.transcript.messages().to_vec();
        outbox.push(Action::Ask(Question::Sign {
            key: key.clone(),
            scheme,
            message,
        }));
        State::ExpectSignature(Box::new(ExpectSignature {
            ready: self,
            scheme,
        }))
    }

    /// Arms the read keys, switches the write keys and sends Finished.
    fn finish(self, outbox: &mut Outbox) -> Result<State, Error> {
        let Self {
            mut context,
            group,
            chain,
            master_secret,
            verified,
        } = self;
        context.transcript.forget_messages();
        let Epochs { current, next } = context.epochs;
        let [client, server] = master_secret.protections(context.suite, &context.randoms);
        outbox.push(Action::InstallRead {
            epoch: next,
            protection: server,
            when: ReadSwitch::OnChangeCipherSpec,
        });
        outbox.push(Action::SendChangeCipherSpec { epoch: current });
        outbox.push(Action::InstallWrite {
            epoch: next,
            protection: client,
        });
        let verify_data =
            master_secret.verify_data(Side::Client, context.transcript.hash().as_ref());
        outbox.send(
            next,
            HandshakeType::FINISHED,
            verify_data.to_vec(),
            &mut context.transcript,
        )?;
        outbox.end_flight(FlightEnd::AwaitReply);
        Ok(State::ExpectFinished(Box::new(ExpectFinished {
            context,
            group,
            chain,
            master_secret,
            _verified: verified,
        })))
    }
}

/// The client's private key has the word.
pub(crate) struct ExpectSignature {
    ready: Ready,
    scheme: SignatureScheme,
}

impl ExpectSignature {
    pub(super) fn handle(
        self: Box<Self>,
        signature: Vec<u8>,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        let Self { mut ready, scheme } = *self;
        let mut body = Vec::new();
        DigitallySigned { scheme, signature }.encode(&mut body);
        let context = &mut ready.context;
        let current = context.epochs.current;
        outbox.send(
            current,
            HandshakeType::CERTIFICATE_VERIFY,
            body,
            &mut context.transcript,
        )?;
        ready.finish(outbox)
    }
}

/// Only the server's Finished is missing.
pub(crate) struct ExpectFinished {
    context: Context,
    group: NamedGroup,
    chain: Arc<[CertificateDer<'static>]>,
    master_secret: MasterSecret,
    _verified: ChainVerified,
}

impl ExpectFinished {
    pub(super) const fn epochs(&self) -> Epochs {
        self.context.epochs
    }

    pub(super) fn handle(
        self: Box<Self>,
        verify_data: [u8; VERIFY_DATA_LEN],
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        let Self {
            context,
            group,
            chain,
            master_secret,
            _verified,
        } = *self;
        let finished = master_secret
            .verify_finished(
                Side::Server,
                context.transcript.hash().as_ref(),
                &verify_data,
            )
            .map_err(|_| PeerMisbehaved::BadFinished)?;
        outbox.push(Action::RetireRead(context.epochs.current));
        outbox.push(Action::Established(Box::new(Established {
            version: context.version,
            suite: context.suite,
            group,
            epoch: context.epochs.next,
            randoms: context.randoms,
            master_secret,
            extended_master_secret: context.extended_master_secret,
            peer_identity: Some(PeerIdentity::Certificate(chain)),
            alpn: context.alpn,
            server_name: match &context.server_name {
                ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
                _ => None,
            },
            _finished: finished,
        })));
        Ok(State::Complete)
    }
}
