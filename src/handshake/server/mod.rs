//! A server's states.
//!
//! ```text
//!  ClientHello                  ──►                                ExpectClientHello
//!                                      (what does the user say?)   ExpectHelloAnswer
//!                                      (is there a session?)       ExpectSession
//!                               ◄──  ServerHello
//!                               ◄──  Certificate
//!                                      (sign)                      ExpectSignature
//!                               ◄──  ServerKeyExchange
//!                               ◄──  CertificateRequest (maybe)
//!                               ◄──  ServerHelloDone
//!  Certificate (if asked)       ──►                                ExpectCertificate
//!                                      (is it trusted?)            ExpectClientVerified
//!  ClientKeyExchange            ──►                                ExpectClientKeyExchange
//!  CertificateVerify            ──►                                ExpectCertificateVerify
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►                                ExpectFinished
//!                               ◄──  NewSessionTicket (maybe)
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished
//! ```
//!
//! When the session of the ClientHello is resumed:
//!
//! ```text
//!  ClientHello                  ──►                                ExpectClientHello
//!                                      (is there a session?)       ExpectSession
//!                                      (is its client trusted?)    ExpectSessionVerified
//!                               ◄──  ServerHello
//!                               ◄──  NewSessionTicket (maybe)
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►                                ExpectResumedFinished
//! ```
//!
//! With a ClientHello of version 1.3 the flow is that of [`v13`].
//!
//! HelloVerifyRequest is not here: the cookie is checked before any handshake exists (`endpoint/cookie`). The one that a crossing
//! in a renegotiation leads to is made by the record layer ([`crossing`]).

mod crossing;
mod hello;
mod resumed;
mod v12;
mod v13;

pub(crate) use hello::{Settings, start};
pub(crate) use v13::choose;

use super::{Outbox, ServerAnswer};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::{Epoch, HandshakeType};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};

/// Where a server is, named for what it waits for.
pub(crate) enum State {
    ExpectClientHello(Box<hello::ExpectClientHello>),
    ExpectHelloAnswer(Box<hello::ExpectHelloAnswer>),
    ExpectSession(Box<resumed::ExpectSession>),
    ExpectSessionVerified(Box<resumed::ExpectSessionVerified>),
    ExpectResumedFinished(Box<resumed::ExpectResumedFinished>),
    ExpectSignature(Box<v12::ExpectSignature>),
    ExpectCertificate(Box<v12::ExpectCertificate>),
    ExpectClientVerified(Box<v12::ExpectClientVerified>),
    ExpectClientKeyExchange(Box<v12::ExpectClientKeyExchange>),
    ExpectCertificateVerify(Box<v12::ExpectCertificateVerify>),
    ExpectFinished(Box<v12::ExpectFinished>),
    /// Behind a ClientHello of version 1.3.
    V13(Box<v13::State>),
    /// The handshake is done.
    Complete,
}

impl State {
    /// Whether a message of this type may come now, in this epoch.
    pub(super) fn expects(&self, typ: HandshakeType, epoch: Epoch) -> bool {
        use HandshakeType as T;
        match self {
            Self::ExpectClientHello(state) => {
                epoch == state.epochs().current && typ == T::CLIENT_HELLO
            }
            Self::ExpectCertificate(state) => {
                let again = typ == T::CLIENT_HELLO && state.crossing().is_some();
                epoch == state.epochs().current && (typ == T::CERTIFICATE || again)
            }
            Self::ExpectClientKeyExchange(state) => {
                let again = typ == T::CLIENT_HELLO && state.crossing().is_some();
                epoch == state.epochs().current && (typ == T::CLIENT_KEY_EXCHANGE || again)
            }
            Self::ExpectCertificateVerify(state) => {
                epoch == state.epochs().current && typ == T::CERTIFICATE_VERIFY
            }
            Self::ExpectFinished(state) => epoch == state.epochs().next && typ == T::FINISHED,
            Self::ExpectResumedFinished(state) => {
                epoch == state.epochs().next && typ == T::FINISHED
            }
            Self::V13(state) => state.expects(typ, epoch),
            Self::ExpectHelloAnswer(_)
            | Self::ExpectSession(_)
            | Self::ExpectSessionVerified(_)
            | Self::ExpectSignature(_)
            | Self::ExpectClientVerified(_)
            | Self::Complete => false,
        }
    }

    /// The form of the messages that can come now.
    pub(super) const fn grammar(&self) -> Grammar {
        match self {
            Self::V13(_) => Grammar::V13,
            _ => Grammar::V12,
        }
    }

    /// Consumes a message that [`State::expects`].
    pub(super) fn handle(
        self,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<Self, Error> {
        match (self, message) {
            (Self::ExpectClientHello(state), Message::ClientHello(hello)) => {
                state.handle(hello, inbound, outbox)
            }
            (Self::ExpectCertificate(state), Message::ClientHello(hello)) => {
                state.handle_hello(&hello, inbound, outbox)
            }
            (Self::ExpectClientKeyExchange(state), Message::ClientHello(hello)) => {
                state.handle_hello(&hello, inbound, outbox)
            }
            (Self::ExpectCertificate(state), Message::Certificate(chain)) => {
                state.handle(chain, inbound, outbox)
            }
            (Self::ExpectClientKeyExchange(state), Message::ClientKeyExchange(share)) => {
                state.handle(&share, inbound, outbox)
            }
            (Self::ExpectCertificateVerify(state), Message::CertificateVerify(signed)) => {
                state.handle(&signed, inbound, outbox)
            }
            (Self::ExpectResumedFinished(state), Message::Finished(verify_data)) => {
                state.handle(verify_data, outbox)
            }
            (Self::ExpectFinished(state), Message::Finished(verify_data)) => {
                state.handle(verify_data, inbound, outbox)
            }
            (Self::V13(state), message) => state.handle(message, inbound, outbox),
            _ => Err(PeerMisbehaved::UnexpectedMessage { got: inbound.typ.0 }.into()),
        }
    }

    /// Goes on with an answer.
    pub(super) fn answer(self, answer: ServerAnswer, outbox: &mut Outbox) -> Result<Self, Error> {
        match (self, answer) {
            (Self::ExpectSignature(state), ServerAnswer::Signed(signature)) => {
                state.handle(signature?, outbox)
            }
            (Self::ExpectHelloAnswer(state), ServerAnswer::Hello(answer)) => {
                state.handle(answer, outbox)
            }
            (Self::ExpectSession(state), ServerAnswer::Session(found)) => {
                state.handle(found, outbox)
            }
            (Self::ExpectSessionVerified(state), ServerAnswer::ClientVerified(verdict)) => {
                state.handle(verdict, outbox)
            }
            (Self::ExpectClientVerified(state), ServerAnswer::ClientVerified(verdict)) => {
                Ok(state.handle(verdict?))
            }
            (Self::V13(state), answer) => state.answer(answer, outbox),
            (state, _) => Err(Error::UnexpectedAnswer(state.name())),
        }
    }

    /// Whether this end has begun to resume a session.
    pub(super) const fn is_resuming(&self) -> bool {
        match self {
            Self::ExpectResumedFinished(_) => true,
            Self::V13(state) => state.is_resuming(),
            _ => false,
        }
    }

    /// The state's name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::ExpectClientHello(_) => "ExpectClientHello",
            Self::ExpectHelloAnswer(_) => "ExpectHelloAnswer",
            Self::ExpectSession(_) => "ExpectSession",
            Self::ExpectSessionVerified(_) => "ExpectSessionVerified",
            Self::ExpectResumedFinished(_) => "ExpectResumedFinished",
            Self::ExpectSignature(_) => "ExpectSignature",
            Self::ExpectCertificate(_) => "ExpectCertificate",
            Self::ExpectClientVerified(_) => "ExpectClientVerified",
            Self::ExpectClientKeyExchange(_) => "ExpectClientKeyExchange",
            Self::ExpectCertificateVerify(_) => "ExpectCertificateVerify",
            Self::ExpectFinished(_) => "ExpectFinished",
            Self::V13(state) => state.name(),
            Self::Complete => "Complete",
        }
    }
}
