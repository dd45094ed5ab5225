//! The handshake engine: states that consume whole messages and push an ordered list of actions.
//!
//! The engine knows no records, no clock, no socket and no retransmission. A state takes one message and
//! returns the next state; what is to happen outside stands in the [`Outbox`], in order: *send this message,
//! send ChangeCipherSpec, switch the write keys, send Finished* is literally a list in that order. `connection/`
//! performs it.
//!
//! ```text
//!            Input::Handshake(message)                       Outbox
//!  records ──────────────────────────►  Expect… ──────────►  Action, Action, Action ──────►  records
//!            Input::Answer(answer)        │  ▲                 │
//!                                         ▼  │                 └─ Ask(Question) ──► verifier, signing key
//!                                       Expect…
//! ```
//!
//! A client's states are in [`client`], a server's in [`server`]; each file opens with its message flow. The hellos are shared;
//! behind the ServerHello `v12` and `v13` part ways. What follows a handshake of 1.3 (tickets, key updates) is [`post`], a
//! small engine of its own that continues the numbering of messages and flights.

mod auth;
pub(crate) mod client;
mod outbox;
pub(crate) mod post;
mod question;
pub(crate) mod renegotiation;
pub(crate) mod server;

pub(crate) use outbox::Outbox;
pub(crate) use question::{
    Answer, ClientAnswer, ClientQuestion, Question, ServerAnswer, ServerQuestion, Unsigned,
};

use crate::error::{Error, InvalidMessage};
use crate::identity::Identity;
use crate::protocol::{
    Dialect, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq, NamedGroup, ProtocolVersion,
    ReadSwitch, Side, SrtpProfile,
};
use crate::secrets::finished::FinishedVerified;
use crate::secrets::schedule12::Randoms;
use crate::secrets::traffic::RecordProtection;
use crate::session::{Agreed, Session, Session12};
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use post::Post;
use renegotiation::Continuity;
use std::sync::Arc;

/// One step that the engine wants done. Performed strictly in order.
pub(crate) enum Action {
    /// A server's hello that was asked for again: what has come ahead of its turn answers another one.
    ForgetAhead,
    /// From here on the records have the form of this version.
    VersionDecided(ProtocolVersion),
    /// Send this message in this epoch.
    SendMessage {
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        body: Vec<u8>,
    },
    /// Send ChangeCipherSpec, the last record of this epoch.
    SendChangeCipherSpec { epoch: Epoch },
    /// From here on this end can write this epoch.
    InstallWrite {
        epoch: Epoch,
        protection: RecordProtection,
    },
    /// From here on, or from the peer's ChangeCipherSpec on, this end can read this epoch.
    InstallRead {
        epoch: Epoch,
        protection: RecordProtection,
        when: ReadSwitch,
    },
    /// The client has sealed data before any answer, which is not taken here: it is skipped (RFC 8446 §4.2.10).
    SkipEarlyData,
    /// The epoch is over; what is still on its way is taken for a while.
    RetireRead(Epoch),
    /// The flight is complete and can be sent.
    EndFlight { id: FlightId, end: FlightEnd },
    /// The peer has only now become ready for the flight that is out: it is sent again at once.
    RepeatFlight,
    /// The engine goes on when it has the answer.
    Ask(Question),
    /// The session can be resumed from now on.
    SaveSession(Session),
    /// This end writes, or reads, with newer keys than before.
    KeysUpdated { side: Side },
    /// The handshake is done; nothing follows.
    Established(Box<Established>),
}

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
    /// It was not for this state, which has not changed; the record layer decides what that means.
    NotTaken(NotTaken),
}

/// Why a message was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NotTaken {
    /// Its type or its epoch has no place here.
    Unexpected,
    /// It does not decode.
    Undecodable(InvalidMessage),
    /// It cannot answer this client's hello, but it may answer another one with the same address; what is wrong with it
    /// if it does not.
    Doubtful(Error),
}

/// Everything that a completed handshake leaves behind. The handshake itself is dropped.
pub(crate) struct Established {
    /// Whether the session is an earlier one.
    pub(crate) resumed: bool,
    /// The group of the key exchange, of this handshake or of the session that it has resumed.
    pub(crate) group: NamedGroup,
    /// Whether the server has asked for a second hello (RFC 8446 §4.1.4).
    pub(crate) retried: bool,
    /// What protects the media of this association (RFC 5764).
    pub(crate) srtp: Option<SrtpProfile>,
    /// What this end has claimed to be, if anything.
    pub(crate) shown: Option<Identity>,
    /// What belongs to the version.
    pub(crate) kind: EstablishedKind,
    /// No association without a verified Finished.
    pub(crate) _finished: FinishedVerified,
}

/// What a handshake of either version leaves behind.
pub(crate) enum EstablishedKind {
    V12(Established12),
    V13(Box<Post>),
}

/// What a handshake of version 1.2 leaves behind.
pub(crate) struct Established12 {
    /// What was agreed.
    pub(crate) session: Arc<Session12>,
    /// The epoch that this handshake's keys protect.
    pub(crate) epoch: Epoch,
    pub(crate) randoms: Randoms,
    /// What the next handshake is bound to, if there may be one.
    pub(crate) continuity: Continuity,
    /// The cookie that the client shows again in the next handshake; empty for none.
    pub(crate) cookie: Vec<u8>,
}

impl Established {
    /// What only version 1.2 has.
    pub(crate) const fn v12(&self) -> Option<&Established12> {
        match &self.kind {
            EstablishedKind::V12(established) => Some(established),
            EstablishedKind::V13(_) => None,
        }
    }

    /// What goes on after a handshake of version 1.3.
    pub(crate) fn post(&mut self) -> Option<&mut Post> {
        match &mut self.kind {
            EstablishedKind::V12(_) => None,
            EstablishedKind::V13(post) => Some(post),
        }
    }

    /// The same, to look at.
    pub(crate) const fn post_ref(&self) -> Option<&Post> {
        match &self.kind {
            EstablishedKind::V12(_) => None,
            EstablishedKind::V13(post) => Some(post),
        }
    }

    /// What was agreed.
    pub(crate) fn agreed(&self) -> &Agreed {
        match &self.kind {
            EstablishedKind::V12(established) => &established.session.agreed,
            EstablishedKind::V13(post) => post.agreed(),
        }
    }

    /// The epoch that this end writes in.
    pub(crate) const fn epoch(&self) -> Epoch {
        match &self.kind {
            EstablishedKind::V12(established) => established.epoch,
            EstablishedKind::V13(post) => post.write_epoch(),
        }
    }

    /// The epoch that the peer writes in, as far as is known.
    pub(crate) const fn read_epoch(&self) -> Epoch {
        match &self.kind {
            EstablishedKind::V12(established) => established.epoch,
            EstablishedKind::V13(post) => post.read_epoch(),
        }
    }
}

/// The epochs that a handshake goes between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epochs {
    /// Carries every message but Finished.
    pub(crate) current: Epoch,
    /// Begins with Finished.
    pub(crate) next: Epoch,
}

impl Epochs {
    /// The step from `current` to the epoch after it; `KeyExhausted` where epochs end (RFC 6347 §4.1).
    pub(crate) fn after(current: Epoch) -> Result<Self, Error> {
        let next = current.next(Epoch::LIMIT_12).ok_or(Error::KeyExhausted)?;
        Ok(Self { current, next })
    }
}

/// One handshake, from its first message to [`Action::Established`].
pub(crate) struct Handshake {
    dialect: &'static Dialect,
    state: State,
    /// The state that took the last input, so that an error can say where it happened.
    entered: &'static str,
    outbox: Outbox,
}

enum State {
    Client(client::State),
    Server(server::State),
    /// Done, or failed in the middle of a step.
    Over,
}

impl Handshake {
    /// A client's handshake; its first flight is in the outbox.
    pub(crate) fn client(
        dialect: &'static Dialect,
        settings: client::Settings,
    ) -> Result<Self, Error> {
        let mut outbox = Outbox::starting_at(MessageSeq::FIRST);
        let state = State::Client(client::start(dialect, settings, &mut outbox)?);
        Ok(Self::in_state(dialect, state, outbox))
    }

    /// A server's handshake, which continues the numbering of the ClientHello that is about to come.
    pub(crate) fn server(
        dialect: &'static Dialect,
        settings: server::Settings,
        first_seq: MessageSeq,
    ) -> Result<Self, Error> {
        let state = State::Server(server::start(dialect, settings)?);
        Ok(Self::in_state(
            dialect,
            state,
            Outbox::starting_at(first_seq),
        ))
    }

    const fn in_state(dialect: &'static Dialect, state: State, outbox: Outbox) -> Self {
        Self {
            dialect,
            state,
            entered: "Start",
            outbox,
        }
    }

    /// Takes an input; afterwards the outbox holds what is to be done.
    ///
    /// # Errors
    ///
    /// Fatal: the handshake is over. A message that merely has no place here is [`Handled::NotTaken`].
    pub(crate) fn handle(&mut self, input: Input) -> Result<Handled, Error> {
        self.entered = self.state_name();
        match input {
            Input::Handshake(message) => self.handle_message(&message),
            Input::Answer(answer) => {
                let outbox = &mut self.outbox;
                self.state = match (std::mem::replace(&mut self.state, State::Over), answer) {
                    (State::Client(state), Answer::Client(answer)) => {
                        State::Client(state.answer(answer, outbox)?)
                    }
                    (State::Server(state), Answer::Server(answer)) => {
                        State::Server(state.answer(answer, outbox)?)
                    }
                    _ => return Err(Error::UnexpectedAnswer(self.entered)),
                };
                Ok(Handled::Taken)
            }
        }
    }

    fn handle_message(&mut self, inbound: &InboundMessage) -> Result<Handled, Error> {
        let expected = match &self.state {
            State::Client(state) => state.expects(inbound.typ, inbound.epoch),
            State::Server(state) => state.expects(inbound.typ, inbound.epoch),
            State::Over => false,
        };
        if !expected {
            return Ok(Handled::NotTaken(NotTaken::Unexpected));
        }
        let grammar = match &self.state {
            State::Client(state) => state.grammar(),
            State::Server(state) => state.grammar(),
            State::Over => Grammar::V12,
        };
        let message = match Message::decode(self.dialect, grammar, inbound.typ, &inbound.body) {
            Ok(message) => message,
            Err(error) => return Ok(Handled::NotTaken(NotTaken::Undecodable(error))),
        };
        if let State::Client(state) = &self.state
            && let Some(error) = state.doubt(&message)
        {
            return Ok(Handled::NotTaken(NotTaken::Doubtful(error)));
        }
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Client(state) => {
                State::Client(state.handle(message, inbound, &mut self.outbox)?)
            }
            State::Server(state) => {
                State::Server(state.handle(message, inbound, &mut self.outbox)?)
            }
            State::Over => State::Over,
        };
        Ok(Handled::Taken)
    }

    /// A client's hello, before it is answered. A second attempt in the same epoch must repeat it, because the server may
    /// have taken it for the beginning of a handshake.
    pub(crate) fn offered(&self) -> Option<client::Unanswered> {
        match &self.state {
            State::Client(state) => state.offered(),
            State::Server(_) | State::Over => None,
        }
    }

    /// The random value of the hello that a client waits to be answered.
    pub(crate) fn hello_random(&self) -> Option<[u8; RANDOM_LEN]> {
        match &self.state {
            State::Client(state) => state.hello_random(),
            State::Server(_) | State::Over => None,
        }
    }

    /// Whether the server has begun to resume a session.
    pub(crate) fn is_resuming(&self) -> bool {
        match &self.state {
            State::Client(state) => state.is_resuming(),
            State::Server(state) => state.is_resuming(),
            State::Over => false,
        }
    }

    /// Whether the first message of the peer is still missing.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(&self.state, State::Client(state) if state.is_unanswered())
    }

    /// Whether a client knows its keys from a ServerHello that nothing has proved yet.
    pub(crate) fn awaits_proof(&self) -> bool {
        matches!(&self.state, State::Client(state) if state.awaits_proof())
    }

    /// Whether what answers a client's hello in the clear may be meant for another hello.
    pub(crate) fn may_doubt(&self) -> bool {
        self.is_unanswered() && self.dialect.hello_cookie
    }

    /// Whether a client's hello is out that shows a cookie: refused, it can be said anew without one (RFC 9147 §5.1).
    pub(crate) fn shows_cookie(&self) -> bool {
        matches!(&self.state, State::Client(state) if state.shows_cookie())
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    /// The state, named for what it waits for; for errors and logs.
    pub(crate) fn state_name(&self) -> &'static str {
        match &self.state {
            State::Client(state) => state.name(),
            State::Server(state) => state.name(),
            State::Over => self.entered,
        }
    }
}
