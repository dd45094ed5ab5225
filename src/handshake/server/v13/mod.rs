//! A server's states of version 1.3.
//!
//! ```text
//!  ClientHello                  ──►                                ExpectClientHello
//!                               ◄──  HelloRetryRequest (maybe)     ExpectSecondHello
//!  ClientHello                  ──►
//!                                      (was a ticket dropped?)     ExpectDroppedTicket
//!                                      (is there a ticket?)        ExpectTicket
//!                                      (is its client trusted?)    ExpectTicketVerified
//!                               ◄──  ServerHello
//!                               ◄──  {EncryptedExtensions}
//!                               ◄──  {CertificateRequest} (maybe)
//!                               ◄──  {Certificate}
//!                                      (sign)                      ExpectSignature
//!                               ◄──  {CertificateVerify}
//!                               ◄──  {Finished}
//!  {Certificate} (if asked)     ──►                                ExpectCertificate
//!                                      (is it trusted?)            ExpectClientVerified
//!  {CertificateVerify}          ──►                                ExpectCertificateVerify
//!  {Finished}                   ──►                                ExpectFinished
//! ```
//!
//! Braces stand for epoch 2. Over datagrams the HelloRetryRequest comes from the endpoint, before any handshake exists
//! (`endpoint/cookie`).

mod choice;
mod flight;
mod proof;

pub(crate) use choice::choose;
pub(super) use choice::start;

use crate::error::{Error, PeerMisbehaved};
use crate::handshake::{Outbox, ServerAnswer};
use crate::protocol::{Epoch, HandshakeType};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::Message;

/// Where a server of 1.3 is, named for what it waits for.
#[expect(
    clippy::enum_variant_names,
    reason = "each state is named for the message that it expects"
)]
pub(crate) enum State {
    ExpectSecondHello(choice::ExpectSecondHello),
    ExpectDroppedTicket(choice::ExpectDroppedTicket),
    ExpectTicket(choice::ExpectTicket),
    ExpectTicketVerified(choice::ExpectTicketVerified),
    ExpectSignature(flight::ExpectSignature),
    ExpectCertificate(proof::ExpectCertificate),
    ExpectClientVerified(proof::ExpectClientVerified),
    ExpectCertificateVerify(proof::ExpectCertificateVerify),
    ExpectFinished(proof::ExpectFinished),
}

/// What became of a step: the next state, or the end of the handshake.
type Step = Result<super::State, Error>;

impl State {
    fn boxed(self) -> super::State {
        super::State::V13(Box::new(self))
    }

    pub(super) fn expects(&self, typ: HandshakeType, epoch: Epoch) -> bool {
        use HandshakeType as T;
        let protected = epoch == Epoch::HANDSHAKE_13;
        match self {
            Self::ExpectSecondHello(_) => epoch == Epoch::PLAINTEXT && typ == T::CLIENT_HELLO,
            Self::ExpectCertificate(_) => protected && typ == T::CERTIFICATE,
            Self::ExpectCertificateVerify(_) => protected && typ == T::CERTIFICATE_VERIFY,
            Self::ExpectFinished(_) => protected && typ == T::FINISHED,
            Self::ExpectDroppedTicket(_)
            | Self::ExpectTicket(_)
            | Self::ExpectTicketVerified(_)
            | Self::ExpectSignature(_)
            | Self::ExpectClientVerified(_) => false,
        }
    }

    pub(super) fn handle(
        self,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        match (self, message) {
            (Self::ExpectSecondHello(state), Message::ClientHello(hello)) => {
                state.handle(hello, inbound, outbox)
            }
            (Self::ExpectCertificate(state), Message::Certificate13(shown)) => {
                state.handle(shown, inbound, outbox)
            }
            (Self::ExpectCertificateVerify(state), Message::CertificateVerify(signed)) => {
                state.handle(&signed, inbound)
            }
            (Self::ExpectFinished(state), Message::Finished13(verify_data)) => {
                state.handle(&verify_data, inbound, outbox)
            }
            _ => Err(PeerMisbehaved::UnexpectedMessage { got: inbound.typ.0 }.into()),
        }
    }

    pub(super) fn answer(self, answer: ServerAnswer, outbox: &mut Outbox) -> Step {
        match (self, answer) {
            (Self::ExpectDroppedTicket(state), ServerAnswer::Ticket(found)) => {
                state.handle(found, outbox)
            }
            (Self::ExpectTicket(state), ServerAnswer::Ticket(found)) => state.handle(found, outbox),
            (Self::ExpectTicketVerified(state), ServerAnswer::ClientVerified(verdict)) => {
                state.handle(verdict, outbox)
            }
            (Self::ExpectSignature(state), ServerAnswer::Signed(signature)) => {
                state.handle(signature?, outbox)
            }
            (Self::ExpectClientVerified(state), ServerAnswer::ClientVerified(verdict)) => {
                Ok(state.handle(verdict?))
            }
            (state, _) => Err(Error::UnexpectedAnswer(state.name())),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::ExpectSecondHello(_) => "ExpectSecondHello",
            Self::ExpectDroppedTicket(_) => "ExpectDroppedTicket",
            Self::ExpectTicket(_) => "ExpectTicket",
            Self::ExpectTicketVerified(_) => "ExpectTicketVerified",
            Self::ExpectSignature(_) => "ExpectSignature",
            Self::ExpectCertificate(_) => "ExpectCertificate",
            Self::ExpectClientVerified(_) => "ExpectClientVerified",
            Self::ExpectCertificateVerify(_) => "ExpectCertificateVerify",
            Self::ExpectFinished(_) => "ExpectFinished",
        }
    }

    pub(super) const fn is_resuming(&self) -> bool {
        matches!(self, Self::ExpectFinished(state) if state.is_resuming())
    }
}
