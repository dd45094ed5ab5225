//! The handshake engine: states that consume whole messages and push an ordered list of actions.
//!
//! The engine knows no records, no clock, no socket and no retransmission. A state takes one
//! message and returns the next state; what is to happen outside is listed in the [`Outbox`], in
//! order: *send this message, send ChangeCipherSpec, switch the write keys, send Finished* is a
//! list of exactly these steps. `connection/` performs it.
//!
//! ```text
//!          Input::Handshake(message)                     Outbox
//!  records ────────────────────────► Expect… ─────────► Action, Action, Action ─────► records
//!          Input::Answer(answer)      │  ▲               │
//!                                     ▼  │               └─ Ask(Question) ──► verifier, key, …
//!                                    Expect…
//! ```
//!
//! A client's states are in [`client`], a server's in [`server`]; each folder opens with its
//! message flow. The hellos are shared; after the ServerHello `v12` and `v13` part ways. A state's
//! name, what it expects and what it does are written beside its struct; [`state`] says how. What
//! follows a handshake of 1.3 (tickets, key updates) is [`post`], a small engine of its own that
//! continues the numbering of messages and flights.

mod action;
mod auth;
mod certificate_types;
pub(crate) mod client;
mod completed;
mod connection_ids;
mod limits;
mod outbox;
pub(crate) mod post;
mod psk;
mod question;
pub(crate) mod renegotiation;
pub(crate) mod server;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use action::{Action, Epochs};
pub(crate) use completed::{Completed, Completed12, CompletedKind, Concluded, Outcome};
pub(crate) use outbox::Outbox;
pub(crate) use question::{
    Answer, ClientAnswer, ClientQuestion, Question, ServerAnswer, ServerQuestion, Unsigned,
};

use crate::error::{Error, InvalidMessage};
use crate::protocol::{Dialect, MessageSeq};
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::Message;
use state::{OutstandingHello, State};

/// What the engine is given.
pub(crate) enum Input {
    /// A message from the peer.
    Handshake(InboundMessage),
    /// The answer to the pending question.
    Answer(Answer),
}

/// What became of an input.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Handled {
    /// A state has consumed it.
    Taken,
    /// It has no place in this state, which has not changed; the record layer decides what that
    /// means.
    NotTaken(NotTaken),
}

/// Why a message was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotTaken {
    /// Its type or its epoch has no place here.
    Unexpected,
    /// It does not decode.
    Undecodable(InvalidMessage),
    /// It cannot answer this client's hello, but it may be meant for another one from the same
    /// address. The error is what is wrong with it otherwise.
    Doubtful(Error),
}

/// One handshake, from its first message to [`Action::Completed`].
pub(crate) struct Handshake {
    dialect: &'static Dialect,
    /// `None` after a failure in the middle of a step.
    state: Option<Box<dyn State>>,
    /// The state that took the last input, so that an error can say where it happened.
    entered: &'static str,
    outbox: Outbox,
}

impl Handshake {
    /// A client's handshake; its first flight is in the outbox.
    pub(crate) fn client(
        dialect: &'static Dialect,
        settings: client::Settings,
    ) -> Result<Self, Error> {
        let mut outbox = Outbox::starting_at(MessageSeq::FIRST);
        let state = client::start(dialect, settings, &mut outbox)?;
        Ok(Self::in_state(dialect, state, outbox))
    }

    /// A server's handshake, which continues the numbering of the ClientHello that is about to
    /// come.
    pub(crate) fn server(
        dialect: &'static Dialect,
        settings: server::Settings,
        first_seq: MessageSeq,
    ) -> Result<Self, Error> {
        let state = server::start(dialect, settings)?;
        Ok(Self::in_state(
            dialect,
            state,
            Outbox::starting_at(first_seq),
        ))
    }

    fn in_state(dialect: &'static Dialect, state: Box<dyn State>, outbox: Outbox) -> Self {
        Self {
            dialect,
            state: Some(state),
            entered: "Start",
            outbox,
        }
    }

    /// Takes an input; afterwards the outbox holds what is to be done.
    ///
    /// # Errors
    ///
    /// Fatal: the handshake is over. A message that merely has no place here is
    /// [`Handled::NotTaken`].
    pub(crate) fn handle(&mut self, input: Input) -> Result<Handled, Error> {
        self.entered = self.state_name();
        match input {
            Input::Handshake(message) => self.handle_message(&message),
            Input::Answer(answer) => {
                let state = self.state.take();
                let state = state.ok_or(Error::UnexpectedAnswer(self.entered))?;
                self.state = Some(state.answer(answer, &mut self.outbox)?);
                Ok(Handled::Taken)
            }
        }
    }

    fn handle_message(&mut self, inbound: &InboundMessage) -> Result<Handled, Error> {
        let not_taken = |why| Ok(Handled::NotTaken(why));
        let Some(state) = &self.state else {
            return not_taken(NotTaken::Unexpected);
        };
        let Some(grammar) = state.expects(inbound.typ, inbound.epoch) else {
            return not_taken(NotTaken::Unexpected);
        };
        let message = match Message::decode(self.dialect, grammar, inbound.typ, &inbound.body) {
            Ok(message) => message,
            Err(error) => return not_taken(NotTaken::Undecodable(error)),
        };
        if let Some(error) = self.hello().and_then(|hello| hello.doubt(&message)) {
            return not_taken(NotTaken::Doubtful(error));
        }
        if let Some(state) = self.state.take() {
            self.state = Some(state.handle(message, inbound, &mut self.outbox)?);
        }
        Ok(Handled::Taken)
    }

    /// A client's hello that nothing has answered.
    fn hello(&self) -> Option<&dyn OutstandingHello> {
        self.state.as_ref()?.hello()
    }

    /// A client's hello, before it is answered. A second attempt in the same epoch must repeat it,
    /// because the server may have taken it for the beginning of a handshake.
    pub(crate) fn offered(&self) -> Option<client::OfferedHello> {
        Some(self.hello()?.offered())
    }

    /// The random value of a client's hello that awaits its answer.
    pub(crate) fn hello_random(&self) -> Option<[u8; RANDOM_LEN]> {
        Some(self.hello()?.random())
    }

    /// Whether a session is being resumed, and both ends know it.
    pub(crate) fn is_resuming(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.is_resuming())
    }

    /// Whether the first message of a client's peer is still missing.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.hello().is_some()
    }

    /// Whether a client knows its keys from a ServerHello that nothing has proved yet.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.awaits_proof())
    }

    /// Whether all that is missing is the peer's proof that it has a shared key.
    pub(crate) fn awaits_proof_of_shared_key(&self) -> bool {
        let state = self.state.as_ref();
        state.is_some_and(|state| state.awaits_proof_of_shared_key())
    }

    /// Whether what answers a client's hello in the clear may be meant for another hello.
    pub(crate) fn may_doubt(&self) -> bool {
        self.is_unanswered() && self.dialect.hello_cookie
    }

    /// Whether a client's hello is out that shows a cookie: if it is refused, the client can begin
    /// again without one (RFC 9147 §5.1).
    pub(crate) fn shows_cookie(&self) -> bool {
        self.hello().is_some_and(OutstandingHello::shows_cookie)
    }

    /// Whether a client's hello is out that another, which fits a datagram, could replace.
    pub(crate) fn can_be_smaller(&self) -> bool {
        self.hello().is_some_and(OutstandingHello::can_be_smaller)
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    /// The state, named for what it waits for; for errors and logs.
    pub(crate) fn state_name(&self) -> &'static str {
        self.state
            .as_ref()
            .map_or(self.entered, |state| state.name())
    }
}
