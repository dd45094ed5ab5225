//! The mio loop that servers and clients share.

use crate::endpoint::{Endpoint, FIRST_TOKEN, Happening};
use crate::input::Command;
use crate::problem::Problem;
use crate::report::Line;
use crate::signals::{Request, Signals};
use mio::{Events, Poll, Token, Waker};
use std::io;
use std::time::Instant;

/// An endpoint with the poll that it is registered with.
#[derive(Debug)]
pub(crate) struct EventLoop<E> {
    poll: Poll,
    endpoint: E,
    signals: Option<Signals>,
}

/// What runs on an endpoint.
pub(crate) trait Service<E: Endpoint> {
    /// Looks at the endpoint before its events are polled, because a connection that is over is
    /// gone once its end was reported.
    fn observe(&mut self, _: &E) {}

    /// Closes the connection with every peer; [`Service::advance`] ends the loop when that was
    /// sent.
    fn stop(&mut self, _: &mut E) {}

    /// Reports the counters while the service runs.
    fn tell_counters(&self, _: &E) {}

    /// Handles something that happened at the endpoint.
    fn handle(&mut self, endpoint: &mut E, event: Happening<E::Id>) -> Result<(), Problem>;

    /// Does what the service has to do on its own, and says what it waits for. Called when no event
    /// is left.
    fn advance(&mut self, endpoint: &mut E) -> Result<Step, Problem>;
}

/// What the loop does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Calls the service again at once: it gave commands, and may give more.
    Again,
    /// Waits until something happens, or until this moment.
    Wait(Option<Instant>),
    /// Ends the loop.
    Done,
}

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);
const _: () = assert!(WAKER.0 < FIRST_TOKEN && SIGNALS.0 < FIRST_TOKEN);

/// The most readiness events that are taken at once; the rest comes with the next wait.
const EVENTS: usize = 64;

impl<E: Endpoint> EventLoop<E> {
    /// Registers `endpoint` with a poll of its own.
    pub(crate) fn new(mut endpoint: E) -> Result<Self, Problem> {
        let poll = Poll::new().map_err(broken)?;
        endpoint.register(poll.registry()).map_err(broken)?;
        Ok(Self {
            poll,
            endpoint,
            signals: None,
        })
    }

    /// A waker with which another thread ends the loop's wait.
    pub(crate) fn waker(&self) -> Result<Waker, Problem> {
        Waker::new(self.poll.registry(), WAKER).map_err(broken)
    }

    /// Handles the program's signals from now on.
    pub(crate) fn handle_signals(&mut self) -> Result<(), Problem> {
        let signals = Signals::new(self.poll.registry(), SIGNALS)
            .map_err(|error| Problem::failure(format!("signals cannot be handled: {error}")))?;
        self.signals = Some(signals);
        Ok(())
    }

    /// The endpoint.
    pub(crate) const fn endpoint(&mut self) -> &mut E {
        &mut self.endpoint
    }

    /// Runs `service` until it is done.
    ///
    /// A turn carries out the commands that came before it, and may cause events, whose handling
    /// gives new commands. So only a round in which nothing at all happened may wait.
    pub(crate) fn run(&mut self, service: &mut impl Service<E>) -> Result<(), Problem> {
        let mut ready = Events::with_capacity(EVENTS);
        let mut receives = true;
        loop {
            match receives {
                true => self.endpoint.turn(),
                // The poll tells when more has come.
                false => self.endpoint.flush(),
            }
            .map_err(broken)?;
            let mut quiet = true;
            for request in self.signals.iter_mut().flat_map(Signals::requests) {
                quiet = false;
                match request {
                    Request::Stop => {
                        Line::new("stopping").print();
                        service.stop(&mut self.endpoint);
                    }
                    Request::Counters => service.tell_counters(&self.endpoint),
                    // Only tunnels are asked to.
                    Request::Reload => {}
                }
            }
            service.observe(&self.endpoint);
            while let Some(event) = self.endpoint.poll_event() {
                quiet = false;
                service.handle(&mut self.endpoint, event)?;
            }
            match service.advance(&mut self.endpoint)? {
                Step::Done => return Ok(()),
                Step::Wait(until) if quiet => {
                    self.wait(&mut ready, until)?;
                    receives = true;
                }
                Step::Wait(_) => receives = false,
                // It does not wait, so nothing would tell.
                Step::Again => receives = true,
            }
        }
    }

    fn wait(&mut self, ready: &mut Events, until: Option<Instant>) -> Result<(), Problem> {
        let service = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = [self.endpoint.poll_timeout(), service]
            .into_iter()
            .flatten()
            .min();
        match self.poll.poll(ready, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(broken(error)),
        }
        for event in ready.iter() {
            match (event.token(), &self.signals) {
                (SIGNALS, Some(signals)) => signals.wake(),
                (token, _) if token.0 >= FIRST_TOKEN => self.endpoint.ready(token),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Carries out a command for one association; a refused one is reported, and changes nothing.
pub(crate) fn command<E: Endpoint>(endpoint: &mut E, id: E::Id, command: Command) {
    if let Err(error) = endpoint.command(id, command) {
        Line::new("refused").field("reason", error).print();
    }
}

fn broken(error: io::Error) -> Problem {
    Problem::failure(format!("the socket cannot be used: {error}"))
}
