//! Who the server is: its certificate, the signature under it, and what it wants of the client (RFC 8446 §4.3.2, §4.4).

use super::finish::ExpectFinished;
use super::{Context, State, Step};
use crate::config::{ReceivedRequest, RequestAnswer};
use crate::error::{CertificateError, PeerMisbehaved};
use crate::handshake::auth::{answer_request, signed_message, with_answer};
use crate::handshake::client::State as ClientState;
use crate::handshake::{ClientQuestion, Outbox};
use crate::identity::proof::{ClaimVerified, SignatureVerified};
use crate::identity::{Credential, Identity, verify_13};
use crate::protocol::{AlertDescription, Side, SignatureScheme};
use crate::wire::certificate::Certificate13;
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::handshake::InboundMessage;
use crate::wire::signed::DigitallySigned;

/// Why the server is believed to be who it is.
pub(super) enum Proof {
    /// Its certificate was accepted, and it has its key.
    Certificate {
        _claim: ClaimVerified,
        signature: SignatureVerified,
    },
    /// It was proved when the ticket was made.
    Ticket,
}

/// Whether the server asked for a certificate, and what it will get.
pub(super) enum Asked {
    Nothing,
    /// An empty chain: there is none that fits (RFC 8446 §4.4.2).
    NoCertificate,
    Certificate(Credential, SignatureScheme),
}

/// The server's certificate comes next, or its request for the client's.
pub(crate) struct ExpectCertificate {
    pub(super) context: Context,
    pub(super) request: Option<Asked>,
}

impl ExpectCertificate {
    pub(super) fn handle_request(
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
            return asked.handle(Ok(RequestAnswer::AsConfigured));
        }
        let received = Box::new(ReceivedRequest::of(&asked.request));
        outbox.ask_client(&asked.context.config, ClientQuestion::Request(received));
        Ok(State::ExpectRequestAnswer(asked).boxed())
    }

    pub(super) fn handle(self, shown: Certificate13, inbound: &InboundMessage) -> Step {
        let Self {
            mut context,
            request,
        } = self;
        if !shown.context.is_empty() {
            return Err(PeerMisbehaved::WrongCertificateContext.into());
        }
        // RFC 8446 §4.4.2.4: a server always has one.
        let claim = Identity::of_chain(shown.chain).ok_or(CertificateError::Empty)?;
        if let Some(typ) = shown.unsolicited {
            return Err(PeerMisbehaved::UnsolicitedExtension(typ.0).into());
        }
        context.add(inbound);
        Ok(State::ExpectCertificateVerify(ExpectCertificateVerify {
            context,
            asked: request.unwrap_or(Asked::Nothing),
            claim,
        })
        .boxed())
    }
}

/// The application has the word, if it wants it.
pub(crate) struct ExpectRequestAnswer {
    context: Context,
    request: CertificateRequest,
}

impl ExpectRequestAnswer {
    pub(super) fn handle(self, answer: Result<RequestAnswer, AlertDescription>) -> Step {
        let Self { context, request } = self;
        let config = &context.config;
        let asked = with_answer(config, answer, |credentials| {
            Ok(match answer_request(credentials, &request) {
                Some((credential, scheme)) => Asked::Certificate(credential, scheme),
                None => {
                    config.check_showing_none(credentials)?;
                    Asked::NoCertificate
                }
            })
        })?;
        let request = Some(asked);
        Ok(State::ExpectCertificate(ExpectCertificate { context, request }).boxed())
    }
}

/// The certificate is here, unverified; the server must show that it has its key.
pub(crate) struct ExpectCertificateVerify {
    pub(super) context: Context,
    pub(super) asked: Asked,
    pub(super) claim: Identity,
}

impl ExpectCertificateVerify {
    pub(super) fn handle(
        mut self,
        signed: &DigitallySigned,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let hash = self.context.transcript.hash();
        let message = signed_message(Side::Server, hash.as_ref());
        let signature = verify_13(
            &self.claim,
            &self.context.config.parameters.algorithms.schemes,
            &message,
            signed,
        )?;
        self.context.add(inbound);
        outbox.ask_client(
            &self.context.config,
            ClientQuestion::VerifyServer {
                claim: self.claim.clone(),
                name: self.context.server_name.clone(),
            },
        );
        Ok(State::ExpectServerVerified(ExpectServerVerified {
            context: self.context,
            asked: self.asked,
            claim: self.claim,
            signature,
        })
        .boxed())
    }
}

/// The verifier of the configuration has the word.
pub(crate) struct ExpectServerVerified {
    pub(super) context: Context,
    pub(super) asked: Asked,
    pub(super) claim: Identity,
    pub(super) signature: SignatureVerified,
}

impl ExpectServerVerified {
    pub(super) fn handle(self, verified: ClaimVerified) -> ClientState {
        State::ExpectFinished(ExpectFinished {
            context: self.context,
            identity: Some(self.claim),
            asked: self.asked,
            proof: Proof::Certificate {
                _claim: verified,
                signature: self.signature,
            },
        })
        .boxed()
    }
}
