//! A client's states of version 1.2 after the ServerHello.

mod finish;
mod shared_key;

pub(super) use finish::lifetime;
pub(super) use shared_key::ExpectSharedKeyExchange;

use crate::config::{ClientConfig, ReceivedRequest, RequestAnswer};
use crate::crypto::kx;
use crate::crypto::sign::KeyKind;
use crate::crypto::suite::Suite;
use crate::error::{CertificateError, Error, PeerMisbehaved};
use crate::handshake::auth;
use crate::handshake::certificate_types::Kinds;
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Answer, ClientAnswer, ClientQuestion, Epochs, Outbox};
use crate::identity::proof::SignatureVerified;
use crate::identity::{
    CertificateKind, Credential, Identity, check_key_12, encode_certificate_12, verify_12,
};
use crate::protocol::{
    AgreedLimits, AlertDescription, ClientCertificateType, Epoch, HandshakeType, ProtocolVersion,
    SignatureScheme, SrtpProfile,
};
use crate::secrets::schedule12::{MasterSecret, Randoms, SessionBinding};
use crate::secrets::transcript::Transcript;
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::{EcdhParams, ServerKeyExchange, encode_client_share};
use crate::wire::message::{Grammar, Message};
use finish::{Proven, Ready};
use pki_types::{ServerName, UnixTime};
use std::sync::Arc;

/// What every state after the ServerHello knows.
pub(crate) struct ClientContext12 {
    pub(super) version: ProtocolVersion,
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
    pub(super) epochs: Epochs,
    pub(super) suite: &'static Suite,
    /// What each end shows, if it does.
    pub(super) kinds: Kinds,
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
    /// How long records may be.
    pub(super) limits: AgreedLimits,
    pub(super) cookie: Vec<u8>,
    pub(super) binding: Option<Binding>,
    pub(super) transcript: Transcript,
}

impl ClientContext12 {
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
pub(in crate::handshake::client) struct ExpectCertificate {
    pub(super) context: Box<ClientContext12>,
}

impl State for ExpectCertificate {
    fn name(&self) -> &'static str {
        "ExpectCertificate"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        let form = match self.context.kinds.server {
            CertificateKind::X509 => Grammar::V12,
            CertificateKind::RawPublicKey => Grammar::V12RawKey,
        };
        (epoch == self.context.epochs.current && typ == HandshakeType::CERTIFICATE).then_some(form)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        _outbox: &mut Outbox,
    ) -> Step {
        let claim = match message {
            Message::Certificate(chain) => Identity::of_chain(chain),
            Message::RawPublicKey(key) => Identity::of_raw_key(key)?,
            _ => return unexpected(inbound),
        };
        // RFC 5246 §7.4.2: a server that is asked for a certificate must have one.
        let claim = claim.ok_or(CertificateError::Missing)?;
        let groups = &self.context.config.parameters.algorithms.groups;
        check_key_12(&claim, self.context.suite.authentication.key_kind(), groups)?;
        let context = &mut self.context;
        let policy = &context.config.parameters.rekey;
        renegotiation::check_identity(context.binding.as_ref(), policy, Some(&claim))?;
        context.add(inbound);
        Ok(Box::new(ExpectServerKeyExchange {
            context: self.context,
            claim,
        }))
    }
}

/// The certificate is here, unverified; its key must have signed the key exchange.
struct ExpectServerKeyExchange {
    context: Box<ClientContext12>,
    claim: Identity,
}

impl State for ExpectServerKeyExchange {
    fn name(&self) -> &'static str {
        "ExpectServerKeyExchange"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.context.epochs.current && typ == HandshakeType::SERVER_KEY_EXCHANGE)
            .then_some(Grammar::V12)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        _outbox: &mut Outbox,
    ) -> Step {
        let Message::ServerKeyExchange(exchange) = message else {
            return unexpected(inbound);
        };
        let ServerKeyExchange { params, signed } = exchange;
        let parameters = &self.context.config.parameters;
        if parameters.groups_12().all(|group| group != params.group) {
            return Err(PeerMisbehaved::SelectedUnofferedGroup(params.group).into());
        }
        let message =
            params.signed_message(&self.context.randoms.client, &self.context.randoms.server);
        let kind = self.context.suite.authentication.key_kind();
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
        Ok(Box::new(ExpectCertificateRequest { context, server }))
    }
}

/// What the server has shown of itself.
struct Server {
    claim: Identity,
    params: EcdhParams,
    signature: SignatureVerified,
}

/// The server may ask for a certificate now, or end its flight.
struct ExpectCertificateRequest {
    context: Box<ClientContext12>,
    server: Server,
}

impl State for ExpectCertificateRequest {
    fn name(&self) -> &'static str {
        "ExpectCertificateRequest"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        let expected = [
            HandshakeType::CERTIFICATE_REQUEST,
            HandshakeType::SERVER_HELLO_DONE,
        ];
        (epoch == self.context.epochs.current && expected.contains(&typ)).then_some(Grammar::V12)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let request = match message {
            Message::CertificateRequest(request) => request,
            Message::ServerHelloDone => {
                let asked = Asked::Nothing;
                let Self { context, server } = *self;
                return Ok(verify(context, server, asked, inbound, outbox));
            }
            _ => return unexpected(inbound),
        };
        self.context.add(inbound);
        let Self { context, server } = *self;
        let asked = ExpectRequestAnswer {
            context,
            server,
            request,
        };
        if asked.context.config.answers.is_none() {
            return asked.go_on(Ok(RequestAnswer::AsConfigured));
        }
        let kind = asked.context.kinds.client;
        let received = Box::new(ReceivedRequest::of(&asked.request, kind));
        outbox.ask_client(&asked.context.config, ClientQuestion::Request(received));
        Ok(Box::new(asked))
    }
}

/// The application decides what is shown, if it wants to.
struct ExpectRequestAnswer {
    context: Box<ClientContext12>,
    server: Server,
    request: CertificateRequest,
}

impl State for ExpectRequestAnswer {
    fn name(&self) -> &'static str {
        "ExpectRequestAnswer"
    }

    fn answer(self: Box<Self>, answer: Answer, _outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::Request(answer)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        self.go_on(answer)
    }
}

impl ExpectRequestAnswer {
    fn go_on(self, answer: Result<RequestAnswer, AlertDescription>) -> Step {
        let Self {
            context,
            server,
            request,
        } = self;
        let config = &context.config;
        let shown = auth::with_answer(config, answer, |credentials| {
            let shown = Shown::choose(credentials, context.kinds.client, &request);
            if let Shown::NoCertificate = shown {
                config.check_showing_none(credentials)?;
            }
            Ok(shown)
        })?;
        Ok(Box::new(ExpectServerHelloDone {
            context,
            server,
            asked: Asked::For(shown),
        }))
    }
}

/// Whether the server asked for a certificate, and what it will get.
enum Asked {
    Nothing,
    For(Shown),
}

/// The client's answer to a CertificateRequest.
enum Shown {
    /// An empty Certificate: there is none that fits (RFC 5246 §7.4.6).
    NoCertificate,
    /// This one, signed for with this scheme.
    Certificate {
        credential: Credential,
        scheme: SignatureScheme,
    },
}

impl Shown {
    fn choose(
        credentials: &[Credential],
        kind: CertificateKind,
        request: &CertificateRequest,
    ) -> Self {
        let mut of_kind = credentials.iter().filter(|it| it.kind() == kind);
        let fitting = of_kind.find_map(|credential| {
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
struct ExpectServerHelloDone {
    context: Box<ClientContext12>,
    server: Server,
    asked: Asked,
}

impl State for ExpectServerHelloDone {
    fn name(&self) -> &'static str {
        "ExpectServerHelloDone"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.context.epochs.current && typ == HandshakeType::SERVER_HELLO_DONE)
            .then_some(Grammar::V12)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::ServerHelloDone = message else {
            return unexpected(inbound);
        };
        let Self {
            context,
            server,
            asked,
        } = *self;
        Ok(verify(context, server, asked, inbound, outbox))
    }
}

/// The server's flight is complete: asks whether it is trusted.
fn verify(
    mut context: Box<ClientContext12>,
    server: Server,
    asked: Asked,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Box<dyn State> {
    context.add(inbound);
    outbox.ask_client(
        &context.config,
        ClientQuestion::VerifyServer {
            claim: server.claim.clone(),
            name: context.server_name.clone(),
        },
    );
    Box::new(ExpectServerVerified {
        context,
        server,
        asked,
    })
}

/// Awaits the verdict of the configured verifier.
struct ExpectServerVerified {
    context: Box<ClientContext12>,
    server: Server,
    asked: Asked,
}

impl State for ExpectServerVerified {
    fn name(&self) -> &'static str {
        "ExpectServerVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::ServerVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let verified = verdict?;
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
                Shown::NoCertificate => None,
                Shown::Certificate { credential, .. } => Some(credential.claim()),
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
        let group = Some(server.params.group);
        let ready = Ready {
            context,
            group,
            server: Proven::Signed {
                claim: server.claim,
                _verified: verified,
                signature: server.signature,
            },
            shown,
            master_secret,
        };
        match asked {
            Asked::For(Shown::Certificate { credential, scheme }) => {
                Ok(ready.ask_for_signature(credential.key(), scheme, outbox))
            }
            Asked::For(Shown::NoCertificate) | Asked::Nothing => ready.finish(outbox),
        }
    }
}
