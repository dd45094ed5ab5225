//! What the engine asks, who answers, and the wait for those that cannot answer at once.

use super::{Connection, Role};
use crate::config::{HelloAnswer, RequestAnswer};
use crate::error::{CertificateError, Error};
use crate::handshake::{Answer, Input, Question};
use crate::identity::proof::ClaimVerified;
use crate::identity::{Abandoned, Awaited, Signing};
use crate::protocol::AlertDescription;
use crate::record::Records;
use std::time::Instant;

/// An answer, or the wait for one.
pub(super) enum Asked {
    Now(Answer),
    Later(Waiting),
}

/// The wait for an answer.
pub(super) enum Waiting {
    Signature(Awaited<Vec<u8>>),
    Verdict(Awaited<Result<(), CertificateError>>),
    Hello(Awaited<Result<HelloAnswer, AlertDescription>>),
    Request(Awaited<Result<RequestAnswer, AlertDescription>>),
}

impl Waiting {
    /// The answer, once it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Unanswered`] if it will never be.
    fn take(&self) -> Option<Result<Answer, Error>> {
        let unanswered = |what: &'static str| move |Abandoned| Error::Unanswered(what);
        Some(match self {
            Self::Signature(awaited) => awaited
                .take()?
                .map(|signature| Answer::Signed(Ok(signature)))
                .map_err(unanswered("a signature")),
            Self::Verdict(awaited) => awaited
                .take()?
                .map(|verdict| Answer::PeerVerified(ClaimVerified::by(|| verdict)))
                .map_err(unanswered("the verdict on a certificate")),
            Self::Hello(awaited) => awaited
                .take()?
                .map(Answer::Hello)
                .map_err(unanswered("the answer to a hello")),
            Self::Request(awaited) => awaited
                .take()?
                .map(Answer::Request)
                .map_err(unanswered("the answer to a request for a certificate")),
        })
    }
}

impl From<Signing> for Asked {
    fn from(signing: Signing) -> Self {
        match signing {
            Signing::Done(outcome) => Self::Now(Answer::Signed(outcome)),
            Signing::Awaited(awaited) => Self::Later(Waiting::Signature(awaited)),
        }
    }
}

impl Role {
    /// Asks whoever the configuration names.
    fn ask(&self, question: Question) -> Asked {
        let now = || self.parameters().clock.unix_now();
        let answer = match (question, self) {
            (
                Question::Sign {
                    key,
                    scheme,
                    message,
                },
                _,
            ) => return key.sign(scheme, &message).into(),
            (Question::VerifyServer { claim, name }, Self::Client { config, .. }) => {
                let verdict = Awaited::of(|reply| {
                    let verifier = &config.verifier;
                    verifier.verify_later(claim, name, now(), reply);
                });
                return Asked::Later(Waiting::Verdict(verdict));
            }
            (Question::VerifyClient { claim }, Self::Server(config)) => {
                let Some(verifier) = config.client_authentication.verifier() else {
                    let reason = "no client certificate was asked for";
                    let reason = CertificateError::Other(reason.into());
                    return Asked::Now(Answer::PeerVerified(Err(reason)));
                };
                let verdict = Awaited::of(|reply| verifier.verify_later(claim, now(), reply));
                return Asked::Later(Waiting::Verdict(verdict));
            }
            (Question::Hello(hello), Self::Server(config)) => match &config.answers {
                Some(answers) => {
                    let answer = Awaited::of(|reply| answers.answer_later(hello, reply));
                    return Asked::Later(Waiting::Hello(answer));
                }
                None => Answer::Hello(Ok(HelloAnswer::default())),
            },
            (Question::Request(request), Self::Client { config, .. }) => match &config.answers {
                Some(answers) => {
                    let answer = Awaited::of(|reply| answers.answer_later(request, reply));
                    return Asked::Later(Waiting::Request(answer));
                }
                None => Answer::Request(Ok(RequestAnswer::AsConfigured)),
            },
            (Question::FindSession { id, ticket }, Self::Server(config)) => {
                Answer::Session(config.sessions.find(&id, &ticket, now()))
            }
            (Question::FindTicket { tickets }, Self::Server(config)) => {
                Answer::Ticket(config.sessions.find_13(&tickets, now()))
            }
            // Each side asks what concerns it; anything else is refused.
            (Question::VerifyServer { .. } | Question::VerifyClient { .. }, _) => {
                Answer::PeerVerified(Err(CertificateError::WrongUsage))
            }
            (Question::FindSession { .. }, Self::Client { .. }) => Answer::Session(None),
            (Question::FindTicket { .. }, Self::Client { .. }) => Answer::Ticket(None),
            (Question::Hello(_), Self::Client { .. }) => Answer::Hello(Ok(HelloAnswer::default())),
            (Question::Request(_), Self::Server(_)) => Answer::Request(Ok(RequestAnswer::Nothing)),
        };
        Asked::Now(answer)
    }
}

impl<R: Records> Connection<R> {
    /// Goes on with the handshake if it waits for an answer that has come meanwhile: from a
    /// [`SignHandshake`](crate::SignHandshake), a verifier, or whoever decides about hellos, each through its
    /// [`Reply`](crate::Reply). Any other input looks too. What was left in the buffer of `handle_bytes` is given to it again.
    ///
    /// # Errors
    ///
    /// Fatal, and given once: what the answer leads to, and [`Error::Unanswered`] if there will be none.
    pub fn handle_answers(&mut self, now: Instant) -> Result<(), Error> {
        match self.waiting {
            Some(_) => self.pump(now),
            None => Ok(()),
        }
    }

    /// Whether the handshake waits for an answer of this end's own. Meanwhile messages of the peer wait, within bounds, and on a
    /// stream everything does; the deadline of the handshake runs.
    pub fn awaits_answer(&self) -> bool {
        self.waiting.is_some()
    }

    /// Asks a question of the engine, and answers it if that can be done.
    pub(super) fn ask(&mut self, now: Instant, question: Question) -> Result<(), Error> {
        match self.role.ask(question) {
            Asked::Now(answer) => self.give(answer),
            Asked::Later(waiting) => match waiting.take() {
                Some(answer) => self.give(answer?),
                None => {
                    self.records.hold_messages(now, true);
                    self.waiting = Some(Box::new(waiting));
                    Ok(())
                }
            },
        }
    }

    /// Goes on if the answer that is waited for has come.
    #[cold]
    pub(super) fn take_answer(&mut self, now: Instant) -> Result<(), Error> {
        let Some(answer) = self.waiting.as_ref().and_then(|waiting| waiting.take()) else {
            return Ok(());
        };
        self.stop_waiting(now);
        self.give(answer?)?;
        self.perform(now)?;
        self.attempt_went_on(now);
        Ok(())
    }

    /// Nobody waits for the answer any more.
    pub(super) fn stop_waiting(&mut self, now: Instant) {
        if self.waiting.take().is_some() {
            self.records.hold_messages(now, false);
        }
    }

    fn give(&mut self, answer: Answer) -> Result<(), Error> {
        if let Some(handshake) = self.phase.handshake() {
            handshake.handle(Input::Answer(answer))?;
        }
        Ok(())
    }
}
