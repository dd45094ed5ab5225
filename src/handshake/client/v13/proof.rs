//! Who the server is: its certificate, the signature under it, and whether it asks the client for
//! one (RFC 8446 §4.3.2, §4.4).

use super::ClientContext13;
use super::finish::ExpectFinished;
use crate::config::{ReceivedRequest, RequestAnswer};
use crate::error::{CertificateError, Error, PeerMisbehaved};
use crate::handshake::auth::{answer_request, signed_message, with_answer};
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Answer, ClientAnswer, ClientQuestion, Outbox};
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::identity::{Credential, Identity, verify_13};
use crate::protocol::{AlertDescription, Epoch, HandshakeType, Side, SignatureScheme};
use crate::wire::certificate::Certificate13;
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};

/// Why the server is believed to be who it is.
pub(super) enum Proof {
    /// Its certificate was accepted, and it has its key.
    Certificate {
        _claim: ClaimVerified,
        signature: SignatureVerified,
    },
    /// It has the key that both ends had before, that of a ticket or a shared one.
    PreSharedKey,
}

/// Whether the server asked for a certificate, and what it will get.
pub(super) enum Asked {
    Nothing,
    /// An empty chain: there is none that fits (RFC 8446 §4.4.2).
    NoCertificate,
    Certificate(Credential, SignatureScheme),
}

/// The server's certificate comes next, or its request for the client's.
pub(super) struct ExpectCertificate {
    pub(super) context: Box<ClientContext13>,
    pub(super) request: Option<Asked>,
}

impl State for ExpectCertificate {
    fn name(&self) -> &'static str {
        "ExpectCertificate"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        let expected = typ == HandshakeType::CERTIFICATE
            || typ == HandshakeType::CERTIFICATE_REQUEST && self.request.is_none();
        (expected && epoch == Epoch::HANDSHAKE_13).then_some(Grammar::V13)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        match message {
            Message::CertificateRequest13(context, request) => {
                self.handle_request(&context, request, inbound, outbox)
            }
            Message::Certificate13(shown) => self.handle_certificate(shown, inbound),
            _ => unexpected(inbound),
        }
    }
}

impl ExpectCertificate {
    fn handle_request(
        mut self,
        request_context: &[u8],
        request: CertificateRequest,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        // RFC 8446 §4.3.2: empty in the handshake.
        if !request_context.is_empty() {
            return Err(PeerMisbehaved::WrongCertificateContext.into());
        }
        self.context.add(inbound);
        let asked = ExpectRequestAnswer {
            context: self.context,
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

    fn handle_certificate(self, shown: Certificate13, inbound: &InboundMessage) -> Step {
        let Self {
            mut context,
            request,
        } = self;
        if !shown.context.is_empty() {
            return Err(PeerMisbehaved::WrongCertificateContext.into());
        }
        // RFC 8446 §4.4.2.4: a server always has one.
        let claim = Identity::of_entries(context.kinds.server, shown.chain)?;
        let claim = claim.ok_or(CertificateError::Empty)?;
        if let Some(typ) = shown.unsolicited {
            return Err(PeerMisbehaved::UnsolicitedExtension(typ.0).into());
        }
        context.add(inbound);
        Ok(Box::new(ExpectCertificateVerify {
            context,
            asked: request.unwrap_or(Asked::Nothing),
            claim,
        }))
    }
}

/// The application decides what is shown, if it wants to.
struct ExpectRequestAnswer {
    context: Box<ClientContext13>,
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
        let Self { context, request } = self;
        let config = &context.config;
        let asked = with_answer(config, answer, |credentials| {
            let kind = context.kinds.client;
            Ok(match answer_request(credentials, kind, &request) {
                Some((credential, scheme)) => Asked::Certificate(credential, scheme),
                None => {
                    config.check_showing_none(credentials)?;
                    Asked::NoCertificate
                }
            })
        })?;
        let request = Some(asked);
        Ok(Box::new(ExpectCertificate { context, request }))
    }
}

/// The certificate is here, unverified; the server must show that it has its key.
struct ExpectCertificateVerify {
    context: Box<ClientContext13>,
    asked: Asked,
    claim: Identity,
}

impl State for ExpectCertificateVerify {
    fn name(&self) -> &'static str {
        "ExpectCertificateVerify"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == Epoch::HANDSHAKE_13 && typ == HandshakeType::CERTIFICATE_VERIFY)
            .then_some(Grammar::V13)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::CertificateVerify(signed) = message else {
            return unexpected(inbound);
        };
        let hash = self.context.transcript.hash();
        let covered = signed_message(Side::Server, hash.as_ref());
        let signature = verify_13(
            &self.claim,
            &self.context.config.parameters.algorithms.schemes,
            &covered,
            &signed,
        )?;
        self.context.add(inbound);
        outbox.ask_client(
            &self.context.config,
            ClientQuestion::VerifyServer {
                claim: self.claim.clone(),
                name: self.context.server_name.clone(),
            },
        );
        Ok(Box::new(ExpectServerVerified {
            context: self.context,
            asked: self.asked,
            claim: self.claim,
            signature,
        }))
    }
}

/// Awaits the verdict of the configured verifier.
struct ExpectServerVerified {
    context: Box<ClientContext13>,
    asked: Asked,
    claim: Identity,
    signature: SignatureVerified,
}

impl State for ExpectServerVerified {
    fn name(&self) -> &'static str {
        "ExpectServerVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, _outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::ServerVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let verified = verdict?;
        Ok(Box::new(ExpectFinished {
            context: self.context,
            identity: Some(self.claim),
            asked: self.asked,
            proof: Proof::Certificate {
                _claim: verified,
                signature: self.signature,
            },
        }))
    }
}
