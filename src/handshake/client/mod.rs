//! A client's states.
//!
//! ```text
//!  ClientHello                  ──►
//!                               ◄──  HelloVerifyRequest            ExpectServerHello
//!  ClientHello (with cookie)    ──►
//!                               ◄──  ServerHello                   ExpectServerHello
//!                               ◄──  Certificate                   ExpectCertificate
//!                               ◄──  ServerKeyExchange             ExpectServerKeyExchange
//!                               ◄──  CertificateRequest (maybe)    ExpectCertificateRequest
//!                               ◄──  ServerHelloDone               ExpectServerHelloDone
//!    (is this server trusted?)                                     ExpectServerVerified
//!  Certificate (if asked)       ──►
//!  ClientKeyExchange            ──►
//!    (sign, with a certificate)                                    ExpectSignature
//!  CertificateVerify            ──►
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►
//!                               ◄──  NewSessionTicket (promised)   ExpectTicket
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished                      ExpectFinished
//! ```
//!
//! Behind a ServerHello of version 1.3 the flow is that of [`v13`].
//!
//! When the server resumes the session that was offered:
//!
//! ```text
//!  ClientHello                  ──►
//!                               ◄──  ServerHello                   ExpectServerHello
//!                               ◄──  NewSessionTicket (promised)   ExpectResumedTicket
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished                      ExpectResumedFinished
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►
//! ```

mod cookie;
mod hello;
mod resumed;
mod retry;
mod v12;
mod v13;

pub(crate) use hello::{Renegotiating, Settings, Unanswered, dns_name, start};

use super::{ClientAnswer, Outbox};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::{Epoch, HandshakeType};
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};

/// Where a client is, named for what it waits for.
pub(crate) enum State {
    ExpectServerHello(Box<hello::ExpectServerHello>),
    ExpectCertificate(Box<v12::ExpectCertificate>),
    ExpectServerKeyExchange(Box<v12::ExpectServerKeyExchange>),
    ExpectCertificateRequest(Box<v12::ExpectCertificateRequest>),
    ExpectRequestAnswer(Box<v12::ExpectRequestAnswer>),
    ExpectServerHelloDone(Box<v12::ExpectServerHelloDone>),
    ExpectServerVerified(Box<v12::ExpectServerVerified>),
    ExpectSignature(Box<v12::ExpectSignature>),
    ExpectTicket(Box<v12::ExpectTicket>),
    ExpectFinished(Box<v12::ExpectFinished>),
    ExpectResumedTicket(Box<resumed::ExpectResumedTicket>),
    ExpectResumedFinished(Box<resumed::ExpectResumedFinished>),
    ExpectResumedVerified(Box<resumed::ExpectResumedVerified>),
    /// Behind a ServerHello of version 1.3.
    V13(Box<v13::State>),
    /// The handshake is done.
    Complete,
}

impl State {
    /// Whether a message of this type may come now, in this epoch.
    pub(super) fn expects(&self, typ: HandshakeType, epoch: Epoch) -> bool {
        use HandshakeType as T;
        match self {
            Self::ExpectServerHello(state) => {
                epoch == state.epochs().current
                    && (typ == T::SERVER_HELLO
                        || typ == T::HELLO_VERIFY_REQUEST && state.knows_cookies())
            }
            Self::ExpectCertificate(state) => {
                epoch == state.epochs().current && typ == T::CERTIFICATE
            }
            Self::ExpectServerKeyExchange(state) => {
                epoch == state.epochs().current && typ == T::SERVER_KEY_EXCHANGE
            }
            Self::ExpectCertificateRequest(state) => {
                epoch == state.epochs().current
                    && [T::CERTIFICATE_REQUEST, T::SERVER_HELLO_DONE].contains(&typ)
            }
            Self::ExpectServerHelloDone(state) => {
                epoch == state.epochs().current && typ == T::SERVER_HELLO_DONE
            }
            Self::ExpectTicket(state) => {
                epoch == state.epochs().current && typ == T::NEW_SESSION_TICKET
            }
            Self::ExpectFinished(state) => epoch == state.epochs().next && typ == T::FINISHED,
            Self::ExpectResumedTicket(state) => {
                epoch == state.epochs().current && typ == T::NEW_SESSION_TICKET
            }
            Self::ExpectResumedFinished(state) => {
                epoch == state.epochs().next && typ == T::FINISHED
            }
            Self::V13(state) => state.expects(typ, epoch),
            Self::ExpectRequestAnswer(_)
            | Self::ExpectResumedVerified(_)
            | Self::ExpectServerVerified(_)
            | Self::ExpectSignature(_)
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
            (Self::ExpectServerHello(state), Message::HelloVerifyRequest(request)) => {
                state.handle_verify_request(request, outbox)
            }
            (Self::ExpectServerHello(state), Message::ServerHello(hello)) => {
                state.handle(&hello, inbound, outbox)
            }
            (Self::ExpectCertificate(state), Message::Certificate(chain)) => {
                state.handle(chain, inbound)
            }
            (Self::ExpectServerKeyExchange(state), Message::ServerKeyExchange(exchange)) => {
                state.handle(exchange, inbound)
            }
            (Self::ExpectCertificateRequest(state), Message::CertificateRequest(request)) => {
                state.handle(request, inbound, outbox)
            }
            (Self::ExpectCertificateRequest(state), Message::ServerHelloDone) => {
                Ok(state.without_request().handle(inbound, outbox))
            }
            (Self::ExpectServerHelloDone(state), Message::ServerHelloDone) => {
                Ok(state.handle(inbound, outbox))
            }
            (Self::ExpectTicket(state), Message::NewSessionTicket(ticket)) => {
                Ok(state.handle(ticket, inbound, outbox))
            }
            (Self::ExpectFinished(state), Message::Finished(verify_data)) => {
                state.handle(verify_data, outbox)
            }
            (Self::ExpectResumedTicket(state), Message::NewSessionTicket(ticket)) => {
                Ok(state.handle(ticket, inbound, outbox))
            }
            (Self::ExpectResumedFinished(state), Message::Finished(verify_data)) => {
                state.handle(verify_data, inbound, outbox)
            }
            (Self::V13(state), message) => state.handle(message, inbound, outbox),
            _ => Err(PeerMisbehaved::UnexpectedMessage { got: inbound.typ.0 }.into()),
        }
    }

    /// Goes on with an answer.
    pub(super) fn answer(self, answer: ClientAnswer, outbox: &mut Outbox) -> Result<Self, Error> {
        match (self, answer) {
            (Self::ExpectRequestAnswer(state), ClientAnswer::Request(answer)) => {
                state.handle(answer)
            }
            (Self::ExpectResumedVerified(state), ClientAnswer::ServerVerified(verdict)) => {
                state.handle(verdict, outbox)
            }
            (Self::ExpectServerVerified(state), ClientAnswer::ServerVerified(verdict)) => {
                state.handle(verdict?, outbox)
            }
            (Self::ExpectSignature(state), ClientAnswer::Signed(signature)) => {
                state.handle(signature?, outbox)
            }
            (Self::V13(state), answer) => state.answer(answer, outbox),
            (state, _) => Err(Error::UnexpectedAnswer(state.name())),
        }
    }

    /// The ClientHello, before it is answered.
    pub(super) fn offered(&self) -> Option<Unanswered> {
        match self {
            Self::ExpectServerHello(state) => Some(state.offered()),
            _ => None,
        }
    }

    /// The random value of the hello that waits to be answered.
    pub(super) const fn hello_random(&self) -> Option<[u8; RANDOM_LEN]> {
        match self {
            Self::ExpectServerHello(state) => Some(state.hello.random),
            _ => None,
        }
    }

    /// Whether the server has begun to resume a session.
    pub(super) const fn is_resuming(&self) -> bool {
        match self {
            Self::ExpectResumedTicket(_)
            | Self::ExpectResumedFinished(_)
            | Self::ExpectResumedVerified(_) => true,
            Self::V13(state) => state.is_resuming(),
            _ => false,
        }
    }

    /// Whether nothing at all has come back.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::ExpectServerHello(_))
    }

    /// Whether the hello that is out follows a request for a cookie, and nothing has come since.
    pub(super) fn shows_cookie(&self) -> bool {
        matches!(self, Self::ExpectServerHello(state) if state.shows_cookie())
    }

    /// Whether the server has chosen 1.3, and nothing under the keys of that has come.
    pub(super) fn awaits_proof(&self) -> bool {
        matches!(self, Self::V13(state) if state.awaits_proof())
    }

    /// Why a message may be meant for another hello of this client's address.
    pub(super) fn doubt(&self, message: &Message) -> Option<Error> {
        match (self, message) {
            (Self::ExpectServerHello(state), Message::ServerHello(hello)) => state.doubt(hello),
            (Self::ExpectServerHello(state), Message::HelloVerifyRequest(_)) => {
                state.doubt_request()
            }
            _ => None,
        }
    }

    /// The state's name.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::ExpectServerHello(_) => "ExpectServerHello",
            Self::ExpectCertificate(_) => "ExpectCertificate",
            Self::ExpectServerKeyExchange(_) => "ExpectServerKeyExchange",
            Self::ExpectCertificateRequest(_) => "ExpectCertificateRequest",
            Self::ExpectRequestAnswer(_) => "ExpectRequestAnswer",
            Self::ExpectServerHelloDone(_) => "ExpectServerHelloDone",
            Self::ExpectServerVerified(_) => "ExpectServerVerified",
            Self::ExpectSignature(_) => "ExpectSignature",
            Self::ExpectTicket(_) => "ExpectTicket",
            Self::ExpectFinished(_) => "ExpectFinished",
            Self::ExpectResumedTicket(_) => "ExpectResumedTicket",
            Self::ExpectResumedFinished(_) => "ExpectResumedFinished",
            Self::ExpectResumedVerified(_) => "ExpectResumedVerified",
            Self::V13(state) => state.name(),
            Self::Complete => "Complete",
        }
    }
}
