//! What the engine asks, who answers, and the wait for answers that come later.

use super::Connection;
use crate::config::{ClientConfig, HelloAnswer, RequestAnswer, ServerConfig};
use crate::error::{CertificateError, Error};
use crate::handshake::{
    Answer, ClientAnswer, ClientQuestion, Input, Question, ServerAnswer, ServerQuestion, Unsigned,
};
use crate::identity::proof::ClaimVerified;
use crate::identity::{Abandoned, Awaited, Reply, SharedKey, SharedKeyQuery, Signing};
use crate::protocol::Side;
use crate::record::RecordLayer;
use std::task::Waker;
use std::time::Instant;

/// An answer, or the wait for one.
enum Asked {
    Now(Result<Answer, Error>),
    Later(Box<dyn Await>),
}

/// The wait for an answer.
pub(super) trait Await: Send + Sync {
    /// The answer, once it is there; `None` while it may still come.
    fn take(&self) -> Option<Result<Answer, Error>>;

    /// Has `waker` woken when the answer comes.
    fn wake(&self, waker: &Waker);
}

/// What comes, and what it is to the engine.
struct Pending<T, F> {
    awaited: Awaited<T>,
    answer: F,
}

impl<T: Send, F> Await for Pending<T, F>
where
    F: Fn(Result<T, Abandoned>) -> Result<Answer, Error> + Send + Sync,
{
    fn take(&self) -> Option<Result<Answer, Error>> {
        self.awaited.take().map(&self.answer)
    }

    fn wake(&self, waker: &Waker) {
        self.awaited.wake(waker);
    }
}

impl Asked {
    /// Asks for an answer that may come later.
    fn of<T: Send + 'static>(
        ask: impl FnOnce(Reply<T>),
        answer: impl Fn(Result<T, Abandoned>) -> Result<Answer, Error> + Send + Sync + 'static,
    ) -> Self {
        Self::pending(Awaited::of(ask), answer)
    }

    fn pending<T: Send + 'static>(
        awaited: Awaited<T>,
        answer: impl Fn(Result<T, Abandoned>) -> Result<Answer, Error> + Send + Sync + 'static,
    ) -> Self {
        let pending = Pending { awaited, answer };
        match pending.take() {
            Some(answer) => Self::Now(answer),
            None => Self::Later(Box::new(pending)),
        }
    }

    /// Asks a key for a signature, which is `answer` to the engine.
    fn signature(unsigned: &Unsigned, answer: fn(Result<Vec<u8>, Error>) -> Answer) -> Self {
        match unsigned.key.sign(unsigned.scheme, &unsigned.message) {
            Signing::Done(outcome) => Self::Now(Ok(answer(outcome))),
            Signing::Awaited(awaited) => Self::pending(awaited, move |made| {
                answered(made, "a signature").map(|made| answer(Ok(made)))
            }),
        }
    }
}

/// What was answered.
///
/// # Errors
///
/// [`Error::ReplyMissing`] if nothing was.
fn answered<T>(outcome: Result<T, Abandoned>, what: &'static str) -> Result<T, Error> {
    outcome.map_err(|Abandoned| Error::ReplyMissing(what))
}

/// A verdict as a proof.
fn verdict(
    outcome: Result<Result<(), CertificateError>, Abandoned>,
) -> Result<Result<ClaimVerified, CertificateError>, Error> {
    let verdict = answered(outcome, "the verdict on a certificate")?;
    Ok(ClaimVerified::by(|| verdict))
}

/// Asks what a client's configuration names.
fn ask_client(config: &ClientConfig, question: ClientQuestion) -> Asked {
    let done = |answer| Asked::Now(Ok(Answer::Client(answer)));
    match question {
        ClientQuestion::VerifyServer { claim, name } => {
            let now = config.parameters.clock.unix_now();
            let Some(verifier) = &config.verifier else {
                let reason = "this client takes servers by a shared key alone";
                let reason = CertificateError::Other(reason.into());
                return done(ClientAnswer::ServerVerified(Err(reason)));
            };
            Asked::of(
                |reply| verifier.verify_later(claim, name, now, reply),
                |outcome| {
                    verdict(outcome)
                        .map(ClientAnswer::ServerVerified)
                        .map(Answer::Client)
                },
            )
        }
        ClientQuestion::Request(request) => match &config.answers {
            Some(answers) => Asked::of(
                |reply| answers.answer_later(request, reply),
                |outcome| {
                    let answer = answered(outcome, "the answer to a request for a certificate")?;
                    Ok(Answer::Client(ClientAnswer::Request(answer)))
                },
            ),
            None => done(ClientAnswer::Request(Ok(RequestAnswer::AsConfigured))),
        },
        ClientQuestion::ChooseSharedKey { server, hint } => match &config.shared_key_choice {
            Some(choice) => Asked::of(
                |reply| choice.choose_later(server, hint, reply),
                |chosen| {
                    let key = answered(chosen, "the choice of a shared key")?;
                    let key = key.filter(|key| is_ours(key, Side::Client));
                    Ok(Answer::Client(ClientAnswer::SharedKey(key)))
                },
            ),
            None => done(ClientAnswer::SharedKey(config.key_12().cloned())),
        },
        ClientQuestion::Sign(unsigned) => {
            Asked::signature(&unsigned, |made| Answer::Client(ClientAnswer::Signed(made)))
        }
    }
}

/// Asks what a server's configuration names.
fn ask_server(config: &ServerConfig, question: ServerQuestion) -> Asked {
    let now = || config.parameters.clock.unix_now();
    let done = |answer| Asked::Now(Ok(Answer::Server(answer)));
    match question {
        ServerQuestion::Hello(hello) => match &config.answers {
            Some(answers) => Asked::of(
                |reply| answers.answer_later(hello, reply),
                |outcome| {
                    let answer = answered(outcome, "the answer to a hello")?;
                    Ok(Answer::Server(ServerAnswer::Hello(answer)))
                },
            ),
            None => done(ServerAnswer::Hello(Ok(HelloAnswer::default()))),
        },
        ServerQuestion::FindSession { id, ticket } => {
            let clock = config.parameters.clock.clone();
            Asked::of(
                |reply| config.sessions.find_later(&id, &ticket, now(), reply),
                // A store that fails costs a full handshake, not the connection, and so does a
                // session that has expired meanwhile.
                move |found| {
                    let found = found.unwrap_or(None);
                    let fresh = found.filter(|session| !session.is_expired(clock.unix_now()));
                    Ok(Answer::Server(ServerAnswer::Session(fresh)))
                },
            )
        }
        ServerQuestion::FindTicket { tickets } => done(ServerAnswer::Ticket(
            config.sessions.find_13(&tickets, now()),
        )),
        ServerQuestion::FindSharedKey(query) => find_shared_key(config, query),
        ServerQuestion::VerifyClient { claim } => match config.client_authentication.verifier() {
            Some(verifier) => Asked::of(
                |reply| verifier.verify_later(claim, now(), reply),
                |outcome| {
                    verdict(outcome)
                        .map(ServerAnswer::ClientVerified)
                        .map(Answer::Server)
                },
            ),
            None => {
                let reason = "no client certificate was asked for";
                let reason = CertificateError::Other(reason.into());
                done(ServerAnswer::ClientVerified(Err(reason)))
            }
        },
        ServerQuestion::Sign(unsigned) => {
            Asked::signature(&unsigned, |made| Answer::Server(ServerAnswer::Signed(made)))
        }
    }
}

/// Whether this end may use a key in this role.
fn is_ours(key: &SharedKey, side: Side) -> bool {
    let ours = key.take_role(side);
    if !ours {
        let name = key.name();
        tracing::error!(
            ?name,
            "a shared key is a client's and a server's in one process"
        );
    }
    ours
}

/// Asks where a server finds shared keys. One that was not asked for, and an answer that will not
/// come, are keys that were not found.
fn find_shared_key(config: &ServerConfig, query: SharedKeyQuery) -> Asked {
    let done = |found| Answer::Server(ServerAnswer::SharedKey(found));
    match &config.shared_keys {
        None => Asked::Now(Ok(done(None))),
        Some(keys) => {
            let asked = query.clone();
            Asked::of(
                |reply| keys.find_later(query, reply),
                move |found| {
                    let found = found.unwrap_or_default();
                    let found = found.filter(|key| asked.is_for(key));
                    Ok(done(found.filter(|key| is_ours(key, Side::Server))))
                },
            )
        }
    }
}

impl<R: RecordLayer> Connection<R> {
    /// Goes on with the handshake if it waits for an answer that has come meanwhile: from a
    /// [`SignHandshake`](crate::identity::SignHandshake), a verifier, a session store, or the
    /// application that decides about hellos, each through its [`Reply`](crate::Reply). Any other
    /// input looks too. What was left in the buffer of `handle_bytes` is given to it again.
    ///
    /// # Errors
    ///
    /// Fatal, and given once: what the answer leads to, and [`Error::ReplyMissing`] if there will
    /// be none.
    pub fn handle_answers(&mut self, now: Instant) -> Result<(), Error> {
        if self.awaits_answer() {
            return self.pump(now, &mut R::Input::default());
        }
        Ok(())
    }

    /// Whether the handshake waits for an answer of this end's own. Meanwhile messages of the peer
    /// wait, within bounds, and on a stream everything does; the deadline of the handshake runs.
    #[inline]
    pub fn awaits_answer(&self) -> bool {
        self.phase.awaited().is_some()
    }

    /// Has `waker` woken whenever an answer comes that this association waits for, from now on:
    /// then [`Connection::handle_answers`] goes on. It replaces the one before. An association of
    /// an [`Endpoint`](crate::endpoint::Endpoint) wakes that instead
    /// ([`Endpoint::set_waker`](crate::endpoint::Endpoint::set_waker)).
    pub fn set_waker(&mut self, waker: Waker) {
        if let Some(answer) = self.phase.awaited() {
            answer.wake(&waker);
        }
        self.waker = Some(Box::new(waker));
    }

    /// Has a waker while an answer is awaited, and keeps none afterwards: an idle association is
    /// small.
    pub(crate) fn wake_while_waiting(&mut self, waker: impl FnOnce() -> Waker) {
        if !self.awaits_answer() {
            self.waker = None;
        } else if self.waker.is_none() {
            self.set_waker(waker());
        }
    }

    /// Asks a question of the engine, and answers it if that can be done.
    pub(super) fn ask(&mut self, now: Instant, question: Question) -> Result<(), Error> {
        let asked = match question {
            Question::Client(config, question) => ask_client(&config, question),
            Question::Server(config, question) => ask_server(&config, question),
        };
        match asked {
            Asked::Now(answer) => self.give(answer?),
            Asked::Later(answer) => {
                self.records.hold_messages(now, true);
                if let Some(waker) = &self.waker {
                    answer.wake(waker);
                }
                self.phase.set_awaited(Some(answer));
                Ok(())
            }
        }
    }

    /// Goes on if the answer that is waited for has come.
    #[cold]
    pub(super) fn take_answer(&mut self, now: Instant) -> Result<(), Error> {
        let Some(answer) = self.phase.awaited().and_then(Await::take) else {
            return Ok(());
        };
        self.phase.set_awaited(None);
        self.records.hold_messages(now, false);
        self.give(answer?)?;
        self.perform(now)?;
        self.attempt_went_on(now);
        Ok(())
    }

    fn give(&mut self, answer: Answer) -> Result<(), Error> {
        if let Some(handshake) = self.phase.handshake() {
            handshake.handle(Input::Answer(answer))?;
        }
        Ok(())
    }
}
