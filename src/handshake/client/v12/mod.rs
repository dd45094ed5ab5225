//! A client's states of version 1.2 behind the ServerHello.

mod finish;

pub(super) use finish::lifetime;
pub(crate) use finish::{ExpectFinished, ExpectSignature, ExpectTicket};

use super::State;
use crate::config::{ClientConfig, ReceivedRequest, RequestAnswer};
use crate::crypto::kx;
use crate::crypto::sign::KeyKind;
use crate::crypto::suite::Suite;
use crate::error::{CertificateError, Error, PeerMisbehaved};
use crate::handshake::auth;
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::{ClientQuestion, Epochs, Outbox};
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::identity::{Credential, Identity, check_key_12, encode_certificate_12, verify_12};
use crate::protocol::{
    AlertDescription, ClientCertificateType, HandshakeType, ProtocolVersion, SignatureScheme,
    SrtpProfile,
};
use crate::secrets::schedule12::{MasterSecret, Randoms, SessionBinding};
use crate::secrets::transcript::Transcript;
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::{EcdhParams, ServerKeyExchange, encode_client_share};
use finish::{Proven, Ready};
use pki_types::{CertificateDer, ServerName, UnixTime};
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
    /// Whether the server binds handshakes to each other (RFC 5746).
    pub(super) secure_renegotiation: bool,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) srtp: Option<SrtpProfile>,
    /// When the handshake began.
    pub(super) started: UnixTime,
    /// The name that the server gave to the session; empty for none.
    pub(super) session_id: Vec<u8>,
    /// Whether a NewSessionTicket comes before the server's Finished (RFC 5077 §3.2).
    pub(super) ticket_promised: bool,
    pub(super) cookie: Vec<u8>,
    pub(super) binding: Option<Binding>,
    pub(super) transcript: Transcript,
}

impl Context {
    pub(super) fn add(&mut self, inbound: &InboundMessage) {
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
        let claim = Identity::of_chain(chain).ok_or(CertificateError::Missing)?;
        let groups = &self.context.config.parameters.algorithms.groups;
        check_key_12(&claim, self.context.suite.authentication, groups)?;
        let context = &mut self.context;
        let policy = &context.config.parameters.rekey;
        renegotiation::check_identity(context.binding.as_ref(), policy, Some(&claim))?;
        context.add(inbound);
        Ok(State::ExpectServerKeyExchange(Box::new(
            ExpectServerKeyExchange {
                context: self.context,
                claim,
            },
        )))
    }
}

/// The certificate is here, unverified; its key must have signed the key exchange.
pub(crate) struct ExpectServerKeyExchange {
    context: Context,
    claim: Identity,
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
            .algorithms
            .groups
            .contains(&params.group)
        {
            return Err(PeerMisbehaved::SelectedUnofferedGroup(params.group).into());
        }
        let message =
            params.signed_message(&self.context.randoms.client, &self.context.randoms.server);
        let kind = self.context.suite.authentication;
        let signature = verify_12(
            &self.claim,
            kind,
            &self.context.config.parameters.algorithms.schemes,
            &message,
            &signed,
        )?;
        self.context.add(inbound);
        let Self { context, claim } = *self;
        let server = Server {
            claim,
            params,
            signature,
        };
        Ok(State::ExpectCertificateRequest(Box::new(
            ExpectCertificateRequest { context, server },
        )))
    }
}

/// What the server has shown of itself.
struct Server {
    claim: Identity,
    params: EcdhParams,
    signature: SignatureVerified,
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
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        self.context.add(inbound);
        let Self { context, server } = *self;
        let asked = ExpectRequestAnswer {
            context,
            server,
            request,
        };
        if asked.context.config.answers.is_none() {
            return asked.handle(Ok(RequestAnswer::AsConfigured));
        }
        let received = Box::new(ReceivedRequest::of(&asked.request));
        outbox.ask_client(&asked.context.config, ClientQuestion::Request(received));
        Ok(State::ExpectRequestAnswer(Box::new(asked)))
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

/// The application has the word, if it wants it.
pub(crate) struct ExpectRequestAnswer {
    context: Context,
    server: Server,
    request: CertificateRequest,
}

impl ExpectRequestAnswer {
    pub(super) fn handle(
        self,
        answer: Result<RequestAnswer, AlertDescription>,
    ) -> Result<State, Error> {
        let Self {
            context,
            server,
            request,
        } = self;
        let config = &context.config;
        let answer = auth::with_answer(config, answer, |credentials| {
            let answer = ClientAnswer::choose(credentials, &request);
            if let ClientAnswer::NoCertificate = answer {
                config.check_showing_none(credentials)?;
            }
            Ok(answer)
        })?;
        Ok(State::ExpectServerHelloDone(Box::new(
            ExpectServerHelloDone {
                context,
                server,
                asked: Asked::For(answer),
            },
        )))
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
        credential: Credential,
        scheme: SignatureScheme,
    },
}

impl ClientAnswer {
    fn choose(credentials: &[Credential], request: &CertificateRequest) -> Self {
        let fitting = credentials.iter().find_map(|credential| {
            let typ = match credential.key().kind() {
                KeyKind::Ecdsa => ClientCertificateType::ECDSA_SIGN,
                KeyKind::Rsa => ClientCertificateType::RSA_SIGN,
            };
            let welcome = request.certificate_types.contains(&typ)
                && credential.suits_authorities(&request.authorities);
            let offered = &request.signature_algorithms;
            let mut schemes = credential.schemes().iter();
            let scheme = schemes.find(|scheme| offered.contains(scheme))?;
            welcome.then_some((credential, *scheme))
        });
        match fitting {
            Some((credential, scheme)) => Self::Certificate {
                credential: credential.clone(),
                scheme,
            },
            None => Self::NoCertificate,
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
        outbox.ask_client(
            &context.config,
            ClientQuestion::VerifyServer {
                claim: server.claim.clone(),
                name: context.server_name.clone(),
            },
        );
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
        verified: ClaimVerified,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        let Self {
            mut context,
            server,
            asked,
        } = *self;
        let current = context.epochs.current;
        let mut shown = None;
        // RFC 5246 §7.4.6: a client that is asked answers with a Certificate, even an empty one.
        if let Asked::For(answer) = &asked {
            shown = match answer {
                ClientAnswer::NoCertificate => None,
                ClientAnswer::Certificate { credential, .. } => Some(credential.claim()),
            };
            let mut body = Vec::new();
            encode_certificate_12(shown.as_ref(), &mut body);
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
            server: Proven {
                claim: server.claim,
                verified,
                signature: server.signature,
            },
            shown,
            master_secret,
        };
        match asked {
            Asked::For(ClientAnswer::Certificate { credential, scheme }) => {
                Ok(ready.ask_for_signature(credential.key(), scheme, outbox))
            }
            Asked::For(ClientAnswer::NoCertificate) | Asked::Nothing => ready.finish(outbox),
        }
    }
}
