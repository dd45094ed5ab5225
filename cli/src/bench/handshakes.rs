//! Handshakes, one after the other, some at once.

use super::phase::{Peer, Target, Work};
use super::traffic::Dial;
use crate::endpoint::Happening;
use crate::event_loop::Step;
use crate::problem::Problem;
use hdrhistogram::Histogram;
use sealgram::{Event, HandshakeKind, ProtocolVersion};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The handshakes of one phase.
pub(super) struct Handshakes<'a, E: Dial> {
    target: &'a Target,
    /// The kind that is counted.
    kind: HandshakeKind,
    /// How many are under way at once.
    at_once: usize,
    attempts: BTreeMap<E::Id, Attempt>,
    /// No handshake is begun before this moment.
    pause: Option<Instant>,
    next_sweep: Instant,
    pub(super) counts: Counts,
}

/// What has become of the handshakes of one phase.
#[derive(Debug)]
pub(super) struct Counts {
    /// How long each took that was of the right kind, in nanoseconds.
    pub(super) times: Histogram<u64>,
    /// Full ones where a session was to be resumed.
    pub(super) not_resumed: u64,
    pub(super) failed: u64,
    /// Why the first of them has failed.
    pub(super) failure: Option<Problem>,
}

impl Counts {
    /// Reports why handshakes have failed, which is an error if no other has come about.
    pub(super) fn verdict(&mut self) -> Result<(), Problem> {
        match self.failure.take() {
            Some(failure) if self.times.is_empty() => Err(failure),
            Some(failure) => {
                failure.line().print();
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    began: Instant,
    /// The handshake is complete; until when the ticket is waited for that the next one needs.
    ticket_until: Option<Instant>,
}

/// How long a ticket is waited for. It comes right after the handshake, if the server gives any.
const TICKET: Duration = Duration::from_secs(1);

/// How often the waits for tickets are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How long after a failure to begin one the next is tried: the system may be out of ports.
const PAUSE: Duration = Duration::from_millis(100);

/// An empty record of times, in nanoseconds, which never grows.
pub(super) fn no_times() -> Result<Histogram<u64>, Problem> {
    Histogram::new_with_max(LONGEST, DIGITS).map_err(Problem::failure)
}

/// A longer time counts as this one: a minute.
const LONGEST: u64 = 60_000_000_000;

/// How many digits of a time are right.
const DIGITS: u8 = 3;

impl<'a, E: Dial> Handshakes<'a, E> {
    pub(super) fn new(
        target: &'a Target,
        kind: HandshakeKind,
        at_once: usize,
    ) -> Result<Self, Problem> {
        Ok(Self {
            target,
            kind,
            at_once,
            attempts: BTreeMap::new(),
            pause: None,
            next_sweep: Instant::now(),
            counts: Counts {
                times: no_times()?,
                not_resumed: 0,
                failed: 0,
                failure: None,
            },
        })
    }

    fn complete(&mut self, endpoint: &mut E, id: E::Id, kind: HandshakeKind) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        if kind == self.kind {
            let took = super::load::nanoseconds(now - attempt.began);
            self.counts.times.saturating_record(took);
        } else {
            self.counts.not_resumed += 1;
        }
        let version = endpoint.connection(id).and_then(|it| it.version());
        let is_13 = matches!(
            version,
            Some(ProtocolVersion::DTLS13 | ProtocolVersion::TLS13)
        );
        // At 1.2 the ticket is part of the handshake.
        if self.kind == HandshakeKind::Resumed && is_13 {
            attempt.ticket_until = Some(now + TICKET);
        } else {
            self.end(endpoint, id);
        }
    }

    fn begin(&mut self, now: Instant, endpoint: &mut E) {
        match self.target.dial(endpoint) {
            Ok(id) => {
                let attempt = Attempt {
                    began: now,
                    ticket_until: None,
                };
                self.attempts.insert(id, attempt);
            }
            Err(problem) => {
                self.pause = Some(now + PAUSE);
                self.failed(problem);
            }
        }
    }

    fn end(&mut self, endpoint: &mut E, id: E::Id) {
        if self.attempts.remove(&id).is_some() {
            endpoint.close(id);
        }
    }

    fn failed(&mut self, problem: Problem) {
        self.counts.failed += 1;
        self.counts.failure.get_or_insert(problem);
    }

    fn sweep(&mut self, now: Instant, endpoint: &mut E) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let is_late = |attempt: &Attempt| attempt.ticket_until.is_some_and(|until| until <= now);
        let late = self.attempts.iter().filter(|(_, attempt)| is_late(attempt));
        let late: Vec<_> = late.map(|(&id, _)| id).collect();
        for id in late {
            self.end(endpoint, id);
        }
    }
}

impl<E: Dial> Work<E> for Handshakes<'_, E> {
    fn happened(&mut self, endpoint: &mut E, event: Happening<E::Id>) {
        match event {
            Happening::Connection(
                id,
                Event::HandshakeComplete {
                    kind,
                    renegotiation: false,
                },
            ) => self.complete(endpoint, id, kind),
            Happening::Connection(id, Event::TicketReceived) => {
                let attempt = self.attempts.get(&id);
                if attempt.is_some_and(|attempt| attempt.ticket_until.is_some()) {
                    self.end(endpoint, id);
                }
            }
            Happening::Failed(id, problem) if self.attempts.remove(&id).is_some() => {
                self.failed(problem);
            }
            _ => {}
        }
    }

    fn data(&mut self, _: &mut E, _: &mut Peer<E::Id>, _: u64) {}

    fn advance(
        &mut self,
        now: Instant,
        endpoint: &mut E,
        _: &mut BTreeMap<E::Id, Peer<E::Id>>,
    ) -> Result<Step, Problem> {
        self.sweep(now, endpoint);
        let mut step = Step::Wait(Some(self.next_sweep));
        while self.attempts.len() < self.at_once && self.pause.is_none_or(|until| until <= now) {
            self.begin(now, endpoint);
            step = Step::Again;
        }
        Ok(step)
    }
}
