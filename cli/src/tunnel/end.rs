//! The event loop that both ends of a tunnel run in: readiness, signals, status, systemd.

use super::notify;
use super::status::{Snapshot, Status};
use crate::arguments::FlowArguments;
use crate::problem::Problem;
use crate::report::Line;
use crate::signals::{Request, Signals};
use mio::{Events, Poll, Token};
use std::io;
use std::time::{Duration, Instant};

/// An end of a tunnel.
pub(super) trait End {
    /// Something with this token, from [`FIRST_TOKEN`] on, is ready.
    fn ready(&mut self, token: Token);

    /// Does what can be done now.
    ///
    /// # Errors
    ///
    /// What the tunnel cannot go on with.
    fn turn(&mut self, now: Instant) -> Result<(), Problem>;

    /// When the next turn is due if nothing becomes ready; a moment that is past if there is
    /// something left to do.
    fn deadline(&self, now: Instant) -> Option<Instant>;

    /// Reads certificates and keys anew, for associations from now on.
    ///
    /// # Errors
    ///
    /// What is wrong with the new ones; the old ones are still used then.
    fn reload(&mut self, now: Instant) -> Result<(), Problem>;

    /// Closes every association.
    fn stop(&mut self, now: Instant);

    /// Whether everything was said after that.
    fn is_silent(&self) -> bool;

    /// The counters.
    fn snapshot(&self, now: Instant) -> Snapshot;
}

const SIGNALS: Token = Token(0);
const STATUS: Token = Token(1);

/// The first token of an end.
pub(super) const FIRST_TOKEN: usize = 2;

/// The most readiness events that are taken at once; the rest comes with the next wait.
const EVENTS: usize = 256;

/// How long closing may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often systemd is told how many flows there are, if that has changed.
const TELL: Duration = Duration::from_secs(10);

/// A running tunnel.
pub(super) struct Running<E> {
    end: E,
    poll: Poll,
    signals: Signals,
    status: Status,
    /// When the tunnel is to be over, once it is stopping.
    stopping: Option<Instant>,
    /// When systemd was told, and of how many flows.
    told: (Instant, usize),
}

impl<E: End> Running<E> {
    /// An end whose sockets are registered with `poll`.
    pub(super) fn new(end: E, poll: Poll, arguments: &FlowArguments) -> Result<Self, Problem> {
        let now = Instant::now();
        let signals = Signals::with_reload(poll.registry(), SIGNALS)
            .map_err(|error| Problem::failure(format!("signals cannot be handled: {error}")))?;
        let status = Status::open(now, arguments.status.as_ref(), poll.registry(), STATUS)?;
        Ok(Self {
            end,
            poll,
            signals,
            status,
            stopping: None,
            told: (now, 0),
        })
    }

    /// Runs until a signal ends it.
    pub(super) fn run(mut self) -> Result<(), Problem> {
        notify::ready("0 flows");
        let mut ready = Events::with_capacity(EVENTS);
        loop {
            self.wait(&mut ready)?;
            let now = Instant::now();
            self.signals(now);
            self.end.turn(now)?;
            self.status.tick(now, || self.end.snapshot(now));
            self.tell_systemd(now);
            if let Some(until) = self.stopping
                && (self.end.is_silent() || until <= now)
            {
                self.end.snapshot(now).line().print();
                return Ok(());
            }
        }
    }

    fn wait(&mut self, ready: &mut Events) -> Result<(), Problem> {
        let now = Instant::now();
        let deadlines = [
            self.end.deadline(now),
            self.status.deadline(),
            self.stopping,
        ];
        let wait = deadlines.into_iter().flatten().min();
        let wait = wait.map(|at| at.saturating_duration_since(now));
        match self.poll.poll(ready, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Problem::failure(format!("no events: {error}"))),
        }
        for event in ready.iter() {
            match event.token() {
                SIGNALS => self.signals.wake(),
                STATUS => self.status.accept(|| self.end.snapshot(now)),
                token => self.end.ready(token),
            }
        }
        Ok(())
    }

    fn signals(&mut self, now: Instant) {
        for request in self.signals.requests() {
            match request {
                Request::Stop => {
                    notify::stopping();
                    Line::new("stopping").print();
                    self.end.stop(now);
                    self.stopping = Some(now + FAREWELL);
                }
                Request::Counters => self.end.snapshot(now).line().print(),
                Request::Reload => {
                    notify::reloading();
                    match self.end.reload(now) {
                        Ok(()) => Line::new("reloaded").print(),
                        Err(problem) => Line::new("reload_failed").field("reason", problem).print(),
                    }
                    notify::ready(&flows(self.told.1));
                }
            }
        }
    }

    fn tell_systemd(&mut self, now: Instant) {
        if now.saturating_duration_since(self.told.0) >= TELL {
            let count = self.end.snapshot(now).flows;
            if count != self.told.1 {
                notify::status(&flows(count));
            }
            self.told = (now, count);
        }
    }
}

fn flows(count: usize) -> String {
    match count {
        1 => "1 flow".into(),
        count => format!("{count} flows"),
    }
}
