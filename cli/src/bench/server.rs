//! The server of a bench.
//!
//! Whoever can complete a handshake may use it, so it gives nothing away that costs more than it is
//! asked for: an order holds for a limited time; it sends data only to peers that have proved their
//! address in a handshake, and only while they say that they are there; what does not speak the
//! protocol is closed.

use super::load::{Sender, Sent, Tally, nanoseconds};
use super::machine;
use super::protocol::{Message, Mode, Order, OtherVersion, Partial, Reason, Report, SHORTEST};
use super::traffic::Traffic;
use crate::endpoint::Happening;
use crate::event_loop::{Service, Step};
use crate::problem::Problem;
use crate::report::Line;
use sealgram::Event;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A running server.
pub(super) struct Server<E: Traffic> {
    /// The longest time that an order is served.
    longest: Duration,
    /// Whether events are reported on standard error.
    is_reporting: bool,
    /// Set by whoever started the server in a thread.
    stop: Arc<AtomicBool>,
    guests: BTreeMap<E::Id, Guest>,
    /// Scratch space for a message.
    buffer: Vec<u8>,
    /// When guests whose time is over are looked for.
    next_sweep: Instant,
    /// The server is closing, until this moment at the latest.
    stopping: Option<Instant>,
}

/// A peer whose handshake is complete.
struct Guest {
    peer: Option<SocketAddr>,
    partial: Partial,
    visit: Visit,
}

/// What a peer has ordered, and how much of it was served.
struct Visit {
    order: Option<Order>,
    tally: Tally,
    /// What it is sent, from the first time that it says it is there.
    sender: Option<Sender>,
    /// It has had enough.
    is_sated: bool,
    /// When it was heard last.
    heard: Instant,
    /// When it has to be gone.
    ends: Instant,
}

/// What a message has to keep to.
struct Limits {
    longest: Duration,
    max_message: usize,
    stream: bool,
}

/// What follows from a message.
enum Reaction {
    Nothing,
    Answer(Message),
    /// The message goes back as it is.
    Echo,
}

/// It is no message, or not one of a client.
struct Unwelcome;

/// How long a peer may take to give its order.
const HESITATION: Duration = Duration::from_secs(10);

/// How long a peer may stay after its time, to ask for its report.
const GRACE: Duration = Duration::from_secs(10);

/// How long a peer is sent data without being heard. Clients speak up five times as often.
const SILENCE: Duration = Duration::from_secs(1);

/// How often the times of peers are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How long closing may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// The most datagrams in a burst, however many are ordered: other peers wait meanwhile.
const MAX_BURST: u16 = 1024;

impl<E: Traffic> Server<E> {
    /// A server that serves no order longer than `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            is_reporting: true,
            stop: Arc::default(),
            guests: BTreeMap::new(),
            buffer: vec![0; 1 << 16],
            next_sweep: Instant::now(),
            stopping: None,
        }
    }

    /// A server that reports nothing, and ends when `stop` is set and its loop is woken.
    pub(super) fn quiet(longest: Duration, stop: Arc<AtomicBool>) -> Self {
        Self {
            is_reporting: false,
            stop,
            ..Self::new(longest)
        }
    }

    fn report(&self, line: Line) {
        if self.is_reporting {
            line.print();
        }
    }

    fn take_messages(&mut self, endpoint: &mut E, id: E::Id) {
        let Some(Guest { partial, visit, .. }) = self.guests.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        let limits = Limits {
            longest: self.longest,
            max_message: endpoint.max_message(id),
            stream: E::STREAM,
        };
        let mut answers = Vec::new();
        let mut is_welcome = true;
        visit.heard = now;
        endpoint.drain(id, partial, &mut self.buffer, |bytes| {
            match visit.take(now, &limits, bytes) {
                Ok(Reaction::Nothing) => {}
                Ok(Reaction::Answer(message)) => answers.push(message.encode()),
                Ok(Reaction::Echo) => answers.push(bytes.to_vec()),
                Err(Unwelcome) => is_welcome = false,
            }
        });
        for answer in answers {
            endpoint.echo(id, &answer);
        }
        if !is_welcome {
            endpoint.close(id);
        }
    }

    /// Sends to every peer that has ordered data.
    fn send(&mut self, now: Instant, endpoint: &mut E) -> Step {
        let mut until = self.next_sweep;
        let mut step = None;
        for (&id, guest) in &mut self.guests {
            let is_served = guest.visit.is_served(now) && endpoint.has_room(id);
            let Some(sender) = guest.visit.sender.as_mut().filter(|_| is_served) else {
                continue;
            };
            match sender.advance(now, endpoint, id) {
                Ok(Sent::Some) => step = Some(Step::Again),
                Ok(Sent::NotBefore(moment)) => until = until.min(moment),
                Ok(Sent::Full) | Err(_) => {}
            }
        }
        step.unwrap_or(Step::Wait(Some(until)))
    }

    /// Closes peers whose time is over.
    fn sweep(&mut self, now: Instant, endpoint: &mut E) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let over = |guest: &Guest| guest.visit.ends <= now;
        for (&id, _) in self.guests.iter().filter(|(_, guest)| over(guest)) {
            endpoint.close(id);
        }
    }

    fn part(&mut self, id: E::Id) {
        let Some(Guest { peer, visit, .. }) = self.guests.remove(&id) else {
            return;
        };
        if let Some((order, peer)) = visit.order.zip(peer) {
            let line = Line::new("served")
                .field("mode", order.mode.name())
                .field("received", visit.tally.received)
                .field("sent", visit.sender.map_or(0, |sender| sender.sent()))
                .field("peer", peer);
            self.report(line);
        }
    }
}

impl Visit {
    fn new(now: Instant) -> Self {
        Self {
            order: None,
            tally: Tally::default(),
            sender: None,
            is_sated: false,
            heard: now,
            ends: now + HESITATION,
        }
    }

    fn take(&mut self, now: Instant, limits: &Limits, bytes: &[u8]) -> Result<Reaction, Unwelcome> {
        let message = match Message::decode(bytes) {
            Some(Ok(message)) => message,
            Some(Err(OtherVersion)) => {
                return Ok(Reaction::Answer(Message::Refused(Reason::Version)));
            }
            None => return Err(Unwelcome),
        };
        let Some(order) = self.order else {
            return Ok(match message {
                Message::Order(order) => Reaction::Answer(self.accept(now, limits, order)),
                // The order is on its way, and may have been overtaken.
                _ => Reaction::Nothing,
            });
        };
        Ok(match message {
            Message::Data { sequence } => {
                self.tally.count(now, sequence, bytes.len());
                match order.mode {
                    Mode::Echo => Reaction::Echo,
                    Mode::Discard | Mode::Source => Reaction::Nothing,
                }
            }
            // It comes again if the answer was lost.
            Message::Order(_) => Reaction::Answer(accepted(&order)),
            Message::Alive => {
                if order.mode == Mode::Source && self.sender.is_none() {
                    self.sender = Some(Sender::new(now, &order, limits.stream));
                    self.ends = now + order.time() + GRACE;
                }
                Reaction::Nothing
            }
            Message::Ask => {
                self.is_sated = true;
                Reaction::Answer(Message::Report(Report {
                    sent: self.sender.as_ref().map_or(0, Sender::sent),
                    processor_ns: processor_ns(),
                    ..self.tally.report()
                }))
            }
            Message::Accepted { .. } | Message::Refused(_) | Message::Report(_) => {
                return Err(Unwelcome);
            }
        })
    }

    fn accept(&mut self, now: Instant, limits: &Limits, order: Order) -> Message {
        if !(SHORTEST..=limits.max_message).contains(&order.size.into()) {
            return Message::Refused(Reason::Size);
        }
        let time = order.time().min(limits.longest);
        let order = Order {
            milliseconds: u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
            burst: order.burst.clamp(1, MAX_BURST),
            ..order
        };
        self.ends = now + time + GRACE;
        self.order = Some(order);
        accepted(&order)
    }

    /// Whether it is to be sent data: it asks for them, and its time is not over.
    fn is_served(&self, now: Instant) -> bool {
        !self.is_sated && now < self.heard + SILENCE && now + GRACE < self.ends
    }
}

fn accepted(order: &Order) -> Message {
    Message::Accepted {
        milliseconds: order.milliseconds,
        processor_ns: processor_ns(),
    }
}

fn processor_ns() -> u64 {
    machine::processor_time().map_or(0, nanoseconds)
}

impl<E: Traffic> Service<E> for Server<E> {
    fn stop(&mut self, endpoint: &mut E) {
        endpoint.close_all();
        self.stopping = Some(Instant::now() + FAREWELL);
    }

    fn tell_counters(&self, endpoint: &E) {
        endpoint.counters().print();
    }

    fn handle(&mut self, endpoint: &mut E, event: Happening<E::Id>) -> Result<(), Problem> {
        match event {
            Happening::Connection(id, event) => match event {
                Event::HandshakeComplete {
                    renegotiation: false,
                    ..
                } => {
                    let guest = Guest {
                        peer: endpoint.peer(id),
                        partial: Partial::default(),
                        visit: Visit::new(Instant::now()),
                    };
                    self.guests.insert(id, guest);
                }
                Event::Readable => self.take_messages(endpoint, id),
                Event::PeerClosed => {
                    self.take_messages(endpoint, id);
                    endpoint.close(id);
                }
                _ => {}
            },
            Happening::Failed(id, problem) => {
                // One peer's failure is no reason to stop.
                self.report(problem.line());
                self.part(id);
            }
            Happening::Closed(id) => self.part(id),
            // A client whose socket is gone needs nothing more.
            Happening::Unreachable { .. } => {}
        }
        Ok(())
    }

    fn advance(&mut self, endpoint: &mut E) -> Result<Step, Problem> {
        let now = Instant::now();
        if self.stopping.is_none() && self.stop.load(Ordering::Acquire) {
            self.stop(endpoint);
            return Ok(Step::Again);
        }
        if let Some(until) = self.stopping {
            return Ok(match endpoint.is_empty() || until <= now {
                true => Step::Done,
                false => Step::Wait(Some(until)),
            });
        }
        self.sweep(now, endpoint);
        Ok(self.send(now, endpoint))
    }
}
