//! `sealgram tunnel client`: local programs on one plain socket, and an association for each.

use super::backoff::Backoff;
use super::crowd::{Crowd, Newcomer};
use super::end::{End, FIRST_TOKEN};
use super::flow::Flow;
use super::ground::{Ground, Target};
use super::noise::Noise;
use super::plain::{Intake, Outlet, Plain, Run, count};
use super::queue::Budget;
use super::slab::Slab;
use super::status::{Counters, Snapshot};
use super::timers::Timers;
use crate::arguments::TunnelClientArguments;
use crate::problem::Problem;
use mio::{Registry, Token};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The token of the plain socket; those of flows follow.
const PLAIN: usize = FIRST_TOKEN;

/// How many receive calls one turn makes, so that what comes from the server gets its turn.
const RECEIVES: usize = 8;

/// The requested size of the system's buffers for local programs, in bytes.
const SOCKET_BUFFER: usize = 4 << 20;

/// After how long without a datagram of its program a flow ends, unless the user says otherwise:
/// programs that ask once take another port each time.
const IDLE: Duration = Duration::from_secs(300);

/// A tunnel client.
pub(super) struct Client {
    arguments: TunnelClientArguments,
    began: Instant,
    intake: Intake,
    /// The plain socket may hold something.
    unread: bool,
    flows: Flows,
}

/// The flows, and how they are found.
struct Flows {
    ground: Ground,
    all: Slab<Flow>,
    of: HashMap<SocketAddr, usize>,
    crowd: Crowd,
    timers: Timers,
    /// Those that have something to do in this turn.
    due: BTreeSet<usize>,
    max_backoff: Duration,
    max_handshakes: usize,
}

impl Client {
    /// Reads files, resolves names, and listens at `socket`.
    pub(super) fn new(
        arguments: TunnelClientArguments,
        socket: std::net::UdpSocket,
        registry: &Registry,
    ) -> Result<Self, Problem> {
        let unusable = |error| Problem::failure(format!("the socket cannot be used: {error}"));
        let mut plain = Plain::new(socket, SOCKET_BUFFER).map_err(unusable)?;
        plain.register(registry, Token(PLAIN)).map_err(unusable)?;
        let limits = &arguments.flows;
        let ground = Ground {
            target: Target::new(&arguments)?,
            plain: Rc::new(plain),
            outlet: Outlet::new(),
            registry: registry.try_clone().map_err(unusable)?,
            first_token: PLAIN + 1,
            idle: arguments
                .common
                .idle_timeout
                .map_or(IDLE, Duration::from_secs),
            budget: Budget::new(limits.queue, limits.total_queue),
            line: VecDeque::new(),
            handshaking: 0,
            counters: Counters::default(),
            noise: Noise::default(),
        };
        let flows = Flows {
            ground,
            all: Slab::new(),
            of: HashMap::new(),
            crowd: Crowd::new(limits.max_flows, Duration::from_secs(limits.evict_idle)),
            timers: Timers::default(),
            due: BTreeSet::new(),
            max_backoff: Duration::from_secs(arguments.max_backoff),
            max_handshakes: limits.max_half_open,
        };
        Ok(Self {
            arguments,
            began: Instant::now(),
            intake: Intake::new(),
            unread: false,
            flows,
        })
    }

    fn receive(&mut self, now: Instant) {
        let plain = self.flows.ground.plain.clone();
        for _ in 0..RECEIVES {
            match self.intake.receive(&plain, |run| self.flows.take(now, run)) {
                Ok(true) => {}
                Ok(false) => {
                    self.unread = false;
                    return;
                }
                // Reports about what was sent earlier.
                Err(_) => self.flows.ground.counters.plain_unreachable += 1,
            }
        }
    }
}

impl Flows {
    /// Takes what a local program has sent.
    fn take(&mut self, now: Instant, run: Run<'_>) {
        let counters = &mut self.ground.counters;
        let datagrams = count(run.datagrams.len().div_ceil(run.size.max(1)).max(1));
        counters.plain_received += datagrams;
        counters.plain_received_bytes += count(run.datagrams.len());
        if run.datagrams.is_empty() {
            counters.dropped_empty += 1;
            return;
        }
        let known = self.of.get(&run.from).copied();
        let Some(number) = known.or_else(|| self.admit(now, run.from)) else {
            self.ground.counters.dropped_no_flow += datagrams;
            return;
        };
        if let Some(flow) = self.all.get_mut(number) {
            flow.take(now, run, &mut self.ground);
            self.due.insert(number);
        }
    }

    /// A flow for a new local address, if there may be another.
    fn admit(&mut self, now: Instant, local: SocketAddr) -> Option<usize> {
        let in_use = self
            .all
            .iter()
            .map(|(number, flow)| (number, flow.last_active));
        match self.crowd.newcomer(now, self.all.len(), in_use) {
            Newcomer::Admit => {}
            Newcomer::InPlaceOf(number) => {
                self.ground.counters.flows_evicted += 1;
                self.end(now, number, "evicted");
            }
            Newcomer::Refuse => {
                self.ground.counters.flows_refused += 1;
                if let Some(line) = self.ground.noise.line(now, "flow_refused") {
                    line.field("local", local)
                        .field("reason", "every flow is in use")
                        .print();
                }
                return None;
            }
        }
        let number = self.all.next();
        self.all.insert(Flow::new(
            now,
            number,
            local,
            Backoff::new(self.max_backoff),
        ));
        self.of.insert(local, number);
        self.ground.counters.flows_opened += 1;
        Some(number)
    }

    fn end(&mut self, now: Instant, number: usize, reason: &'static str) {
        let Some(flow) = self.all.remove(number) else {
            return;
        };
        self.of.remove(&flow.local);
        self.timers.disarm(number);
        self.due.remove(&number);
        if let Some(line) = self.ground.noise.line(now, "flow_closed") {
            line.field("reason", reason)
                .field("local", flow.local)
                .print();
        }
        flow.end(&mut self.ground);
    }

    fn advance(&mut self, now: Instant) {
        while let Some(number) = self.timers.pop(now) {
            self.due.insert(number);
        }
        for number in std::mem::take(&mut self.due) {
            self.look_after(now, number);
        }
        while self.ground.handshaking < self.max_handshakes {
            let Some(number) = self.ground.line.pop_front() else {
                break;
            };
            if let Some(flow) = self.all.get_mut(number) {
                flow.dial(now, &mut self.ground);
                self.look_after(now, number);
            }
        }
    }

    fn look_after(&mut self, now: Instant, number: usize) {
        let Some(flow) = self.all.get_mut(number) else {
            return;
        };
        match flow.look_after(now, &mut self.ground) {
            // The rest waits for the next turn.
            Some(at) if at <= now => {
                self.due.insert(number);
            }
            Some(at) => self.timers.arm(number, at),
            None => {
                self.ground.counters.flows_idle += 1;
                self.end(now, number, "idle");
            }
        }
    }
}

impl End for Client {
    fn ready(&mut self, token: Token) {
        match token.0.checked_sub(PLAIN + 1) {
            None => self.unread = true,
            Some(number) => {
                if let Some(flow) = self.flows.all.get_mut(number) {
                    flow.ready();
                    self.flows.due.insert(number);
                }
            }
        }
    }

    fn turn(&mut self, now: Instant) -> Result<(), Problem> {
        if self.unread {
            self.receive(now);
        }
        self.flows.advance(now);
        Ok(())
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let is_busy = self.unread || !self.flows.due.is_empty();
        is_busy.then_some(now).or_else(|| self.flows.timers.next())
    }

    fn reload(&mut self, _: Instant) -> Result<(), Problem> {
        match Target::new(&self.arguments) {
            Ok(target) => {
                self.flows.ground.target = target;
                self.flows.ground.counters.reloads += 1;
                Ok(())
            }
            Err(problem) => {
                self.flows.ground.counters.reloads_failed += 1;
                Err(problem)
            }
        }
    }

    fn stop(&mut self, _: Instant) {
        let all: Vec<_> = self.flows.all.iter().map(|(number, _)| number).collect();
        for number in all {
            if let Some(flow) = self.flows.all.remove(number) {
                flow.end(&mut self.flows.ground);
            }
        }
    }

    /// Each association has said goodbye when its flow ended.
    fn is_silent(&self) -> bool {
        true
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let ground = &self.flows.ground;
        Snapshot {
            format: 1,
            role: "client",
            uptime_seconds: now.saturating_duration_since(self.began).as_secs(),
            flows: self.flows.all.len(),
            handshaking: ground.handshaking,
            queued_datagrams: ground.budget.waiting(),
            queued_bytes: ground.budget.used(),
            strays: 0,
            counters: ground.counters,
        }
    }
}
