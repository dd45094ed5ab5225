//! What a state of a handshake is.
//!
//! Each state is a struct that holds exactly what is known when it is reached. Beside the struct,
//! its [`State`] says what it is called, what it expects, and what it does then, which ends with
//! the next state. So the engine knows no state by name, and a new one is written in one file, and
//! returned by the step that leads to it.

use super::outbox::Outbox;
use super::question::Answer;
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::{Epoch, HandshakeType};
use crate::session::Session12;
use crate::wire::client_hello::{ClientHello, RANDOM_LEN};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use std::sync::Arc;

/// A state of a handshake. It expects a message or awaits an answer, never both.
pub(super) trait State: Send + Sync {
    /// The state's name, which is its type's; for errors and logs.
    fn name(&self) -> &'static str;

    /// The form in which a message of this type is read if it may come now, in this epoch; `None`
    /// if it may not.
    fn expects(&self, _typ: HandshakeType, _epoch: Epoch) -> Option<Grammar> {
        None
    }

    /// Consumes a message that this state [`expects`](State::expects).
    ///
    /// # Errors
    ///
    /// Fatal: the handshake is over.
    fn handle(
        self: Box<Self>,
        _message: Message,
        inbound: &InboundMessage,
        _outbox: &mut Outbox,
    ) -> Step {
        unexpected(inbound)
    }

    /// Goes on with an answer. One that this state does not await is a fault of this library.
    fn answer(self: Box<Self>, _answer: Answer, _outbox: &mut Outbox) -> Step {
        Err(Error::UnexpectedAnswer(self.name()))
    }

    /// Whether a session is being resumed, and both ends know it.
    fn is_resuming(&self) -> bool {
        false
    }

    /// Whether a client's server has chosen 1.3, and nothing under the keys of that has come.
    fn awaits_proof(&self) -> bool {
        false
    }

    /// Whether all that is missing is the peer's proof that it has a shared key.
    fn awaits_proof_of_shared_key(&self) -> bool {
        false
    }

    /// A client's hello that nothing has answered.
    fn hello(&self) -> Option<&dyn OutstandingHello> {
        None
    }
}

/// What became of a step: the next state, or a fatal error.
pub(super) type Step = Result<Box<dyn State>, Error>;

/// The error for a message that the state does not take.
pub(super) fn unexpected(inbound: &InboundMessage) -> Step {
    Err(PeerMisbehaved::UnexpectedMessage { got: inbound.typ.0 }.into())
}

/// The handshake is done.
pub(super) struct Complete;

impl State for Complete {
    fn name(&self) -> &'static str {
        "Complete"
    }
}

/// A client's hello that is out and that nothing has answered.
pub(super) trait OutstandingHello {
    /// The hello, to be repeated as it was.
    fn offered(&self) -> OfferedHello;

    /// Its random value.
    fn random(&self) -> [u8; RANDOM_LEN];

    /// Whether it follows a request for a cookie, and nothing has come since.
    fn shows_cookie(&self) -> bool;

    /// Whether it is cut into pieces for the sake of a share that could be left out.
    fn can_be_smaller(&self) -> bool;

    /// Why a message may be meant for another hello from this client's address.
    fn doubt(&self, message: &Message) -> Option<Error>;
}

/// A ClientHello of a renegotiation that has not led to new keys, to be repeated as it was. Whether
/// or not an answer was seen, the server may be in the middle of a handshake that it began, and
/// would take another hello for an old message.
pub(crate) struct OfferedHello {
    pub(super) hello: ClientHello,
    pub(super) session: Option<Arc<Session12>>,
}

impl OfferedHello {
    /// Whether it offers a session.
    pub(crate) const fn offers_session(&self) -> bool {
        self.session.is_some()
    }
}
