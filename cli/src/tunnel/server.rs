//! `sealgram tunnel server`: associations on one socket, and a plain socket to the service for
//! each.

use super::carry;
use super::crowd::{Crowd, Newcomer};
use super::end::{End, FIRST_TOKEN};
use super::liveness::{Liveness, Verdict, ask, is_answer};
use super::noise::Noise;
use super::plain::{Intake, Outlet, Plain, count};
use super::slab::Slab;
use super::status::{Counters, Snapshot};
use super::timers::Timers;
use crate::address;
use crate::arguments::TunnelServerArguments;
use crate::problem::Problem;
use crate::report;
use crate::settings;
use mio::{Registry, Token};
use sealgram::endpoint::{AssociationId, EndpointPolicy, Eviction};
use sealgram::identity::Credential;
use sealgram::net::UdpEndpoint;
use sealgram::{Event, HandshakeKind, ServerConfig};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the socket of all associations; those of flows follow.
const SEALED: usize = FIRST_TOKEN;

/// How many receive calls a flow may make before others have their turn.
const RECEIVES: usize = 4;

/// The requested size of the system's buffers for one flow, in bytes.
const SOCKET_BUFFER: usize = 1 << 20;

/// After how long without a datagram in either direction a flow ends, unless the user says
/// otherwise.
const IDLE: Duration = Duration::from_secs(300);

/// A tunnel server.
pub(super) struct Server {
    arguments: TunnelServerArguments,
    /// The certificate that was made on the spot, which a reload keeps.
    made: Option<Credential>,
    service: SocketAddr,
    began: Instant,
    endpoint: UdpEndpoint,
    /// The endpoint's socket may hold something.
    unread: bool,
    intake: Intake,
    outlet: Outlet,
    registry: Registry,
    flows: Slab<Flow>,
    of: HashMap<AssociationId, usize>,
    /// Flows whose plain sockets may hold something, in the order of their turns.
    ready: VecDeque<usize>,
    crowd: Crowd,
    timers: Timers,
    idle: Duration,
    counters: Counters,
    noise: Noise,
}

/// One association with its plain socket.
struct Flow {
    id: AssociationId,
    peer: SocketAddr,
    plain: Plain,
    liveness: Liveness,
    /// When a datagram went either way.
    last_active: Instant,
    /// It stands among those that are ready.
    is_ready: bool,
}

impl Server {
    /// Reads files, resolves names, and serves at `socket`.
    pub(super) fn new(
        arguments: TunnelServerArguments,
        socket: std::net::UdpSocket,
        registry: &Registry,
    ) -> Result<Self, Problem> {
        let unusable =
            |error: io::Error| Problem::failure(format!("the socket cannot be used: {error}"));
        let shown = settings::server_credential(&arguments.server())?;
        let made = shown.clone().filter(|_| arguments.listener.self_signed);
        let config = settings::server_showing(shown, &arguments.server())?.build()?;
        let limits = &arguments.flows;
        let policy = EndpointPolicy::default()
            .max_associations((limits.max_flows + limits.max_half_open).min(1 << 24))?
            .max_half_open(limits.max_half_open, Eviction::default())?
            // Flows look after their own idle time.
            .idle_timeout(None);
        let mut endpoint =
            UdpEndpoint::from_socket(socket, policy, Some(Arc::new(config))).map_err(unusable)?;
        endpoint
            .register(registry, Token(SEALED))
            .map_err(unusable)?;
        Ok(Self {
            made,
            service: service(&arguments)?,
            began: Instant::now(),
            endpoint,
            unread: false,
            intake: Intake::new(),
            outlet: Outlet::new(),
            registry: registry.try_clone().map_err(unusable)?,
            flows: Slab::new(),
            of: HashMap::new(),
            ready: VecDeque::new(),
            crowd: Crowd::new(limits.max_flows, Duration::from_secs(limits.evict_idle)),
            timers: Timers::default(),
            idle: arguments
                .common
                .idle_timeout
                .map_or(IDLE, Duration::from_secs),
            counters: Counters::default(),
            noise: Noise::default(),
            arguments,
        })
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(unreachable) = self.endpoint.poll_unreachable() {
            self.counters.peer_unreachable += 1;
            if let Some(line) = self.noise.line(now, "unreachable") {
                let line = line.field("reason", unreachable.error);
                match unreachable.remote {
                    Some(peer) => line.field("peer", peer),
                    None => line,
                }
                .print();
            }
        }
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.handle(now, id, event);
        }
    }

    fn handle(&mut self, now: Instant, id: AssociationId, event: Event) {
        if is_answer(&event)
            && let Some(&number) = self.of.get(&id)
            && let Some(flow) = self.flows.get_mut(number)
        {
            flow.liveness.answered();
        }
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => self.handshake_complete(now, id, kind, renegotiation),
            Event::KeysUpdated { .. } => self.counters.keys_replaced += 1,
            Event::MaxPayloadChanged { max_payload } => {
                if let Some(line) = self.noise.line(now, "max_payload") {
                    line.field("bytes", max_payload)
                        .field("peer", self.peer(id))
                        .print();
                }
            }
            Event::PathChanged(change) => {
                self.counters.paths_changed += 1;
                report::path_changed(&change).print();
                let number = self.of.get(&id).copied();
                if let Some(flow) = number.and_then(|number| self.flows.get_mut(number)) {
                    flow.peer = change.to.remote();
                }
            }
            Event::Readable => self.forward(now, id),
            Event::PeerClosed => {
                self.forward(now, id);
                self.counters.associations_closed += 1;
                self.close(now, id, "closed by the peer");
            }
            Event::Failed(failure) => {
                if self.noise.take(now, "error").is_some() {
                    Problem::from(&*failure).line().print();
                }
                match self.of.contains_key(&id) {
                    true => self.counters.associations_failed += 1,
                    false => self.counters.handshakes_failed += 1,
                }
                self.close(now, id, "failed");
            }
            Event::Closed => self.close(now, id, "closed"),
            _ => {}
        }
    }

    /// The peer of an association, for event lines.
    fn peer(&self, id: AssociationId) -> String {
        let connection = self.endpoint.endpoint().connection(id);
        connection.map_or_else(String::new, |it| it.path().remote().to_string())
    }

    fn handshake_complete(
        &mut self,
        now: Instant,
        id: AssociationId,
        kind: HandshakeKind,
        renegotiation: bool,
    ) {
        let Some(connection) = self.endpoint.endpoint().connection(id) else {
            return;
        };
        let peer = connection.path().remote();
        if self.noise.take(now, "handshake_complete").is_some() {
            let shown = connection.peer_identity();
            let certificate = shown.is_some_and(|it| !it.certificates().is_empty());
            report::handshake_complete(connection, peer, kind, renegotiation, certificate)
                .field("max_payload", connection.max_payload())
                .print();
        }
        if renegotiation {
            self.counters.keys_replaced += 1;
            return;
        }
        match kind {
            HandshakeKind::Resumed => self.counters.handshakes_resumed += 1,
            _ => self.counters.handshakes_full += 1,
        }
        self.admit(now, id, peer);
    }

    /// A flow for a new association, if there may be another.
    fn admit(&mut self, now: Instant, id: AssociationId, peer: SocketAddr) {
        let in_use = self
            .flows
            .iter()
            .map(|(number, flow)| (number, flow.last_active));
        let why_not = match self.crowd.newcomer(now, self.flows.len(), in_use) {
            Newcomer::Admit => None,
            Newcomer::InPlaceOf(number) => {
                self.counters.flows_evicted += 1;
                if let Some(evicted) = self.flows.get(number).map(|flow| flow.id) {
                    self.close(now, evicted, "evicted");
                }
                None
            }
            Newcomer::Refuse => Some("every flow is in use".to_owned()),
        };
        let number = self.flows.next();
        let plain = match why_not {
            Some(reason) => Err(reason),
            None => self
                .plain_socket(number)
                .map_err(|error| format!("no socket for the service at {}: {error}", self.service)),
        };
        let plain = match plain {
            Ok(plain) => plain,
            Err(reason) => {
                self.counters.flows_refused += 1;
                if let Some(line) = self.noise.line(now, "flow_refused") {
                    line.field("reason", reason).field("peer", peer).print();
                }
                self.close_association(id);
                return;
            }
        };
        self.counters.flows_opened += 1;
        self.flows.insert(Flow {
            id,
            peer,
            plain,
            liveness: Liveness::new(Duration::from_secs(self.arguments.unanswered)),
            last_active: now,
            is_ready: false,
        });
        self.of.insert(id, number);
        self.timers.arm(number, now + self.idle);
    }

    fn plain_socket(&self, number: usize) -> io::Result<Plain> {
        let mut plain = Plain::connected_to(self.service, SOCKET_BUFFER)?;
        plain.register(&self.registry, Token(SEALED + 1 + number))?;
        Ok(plain)
    }

    /// Gives the service what a client has sent.
    fn forward(&mut self, now: Instant, id: AssociationId) {
        let number = self.of.get(&id).copied();
        let Some(flow) = number.and_then(|number| self.flows.get_mut(number)) else {
            return;
        };
        let (endpoint, outlet) = (&mut self.endpoint, &mut self.outlet);
        let way = (self.service, None);
        let (came, said) = carry::open(endpoint, id, outlet, &flow.plain, way, &mut self.counters);
        if came > 0 {
            flow.last_active = now;
            flow.liveness.heard();
        }
        if let Some(error) = said {
            self.unreachable(now, &error);
        }
    }

    /// The system says that the service is not there. It may come back.
    fn unreachable(&mut self, now: Instant, error: &io::Error) {
        self.counters.plain_unreachable += 1;
        if let Some(line) = self.noise.line(now, "unreachable") {
            line.field("reason", error)
                .field("service", self.service)
                .print();
        }
    }

    /// Gives clients what the service has sent, in turns. While the socket of the associations has
    /// no room, datagrams are better left where they are.
    fn receive(&mut self, now: Instant) -> Result<(), Problem> {
        for _ in 0..self.ready.len() {
            if self.endpoint.wants_write() {
                return Ok(());
            }
            let Some(number) = self.ready.pop_front() else {
                return Ok(());
            };
            if self.receive_of(now, number)? {
                self.ready.push_back(number);
            } else if let Some(flow) = self.flows.get_mut(number) {
                flow.is_ready = false;
            }
        }
        Ok(())
    }

    /// Receives of one flow. Returns whether there may be more.
    fn receive_of(&mut self, now: Instant, number: usize) -> Result<bool, Problem> {
        for _ in 0..RECEIVES {
            let Some(flow) = self.flows.get_mut(number) else {
                return Ok(false);
            };
            let (endpoint, counters) = (&mut self.endpoint, &mut self.counters);
            let (mut taken, mut too_large, mut broken) = (0, None, None);
            let received = self.intake.receive(&flow.plain, |run| {
                counters.plain_received +=
                    count(run.datagrams.len().div_ceil(run.size.max(1)).max(1));
                counters.plain_received_bytes += count(run.datagrams.len());
                if run.datagrams.is_empty() {
                    counters.dropped_empty += 1;
                    return;
                }
                match carry::seal(endpoint, flow.id, run, counters) {
                    Ok(sealed) => {
                        taken += sealed.taken;
                        too_large = sealed.too_large.or(too_large);
                    }
                    Err(error) => broken = Some(error),
                }
            });
            if taken > 0 {
                flow.last_active = now;
                flow.liveness.sent(now);
                if let Some(deadline) = flow.liveness.deadline() {
                    self.timers.arm(number, deadline);
                }
            }
            if let Some((bytes, fits)) = too_large
                && let Some(line) = self.noise.line(now, "too_large")
            {
                line.field("bytes", bytes)
                    .field("fits", fits)
                    .field("peer", flow.peer)
                    .print();
            }
            if let Some(error) = broken {
                return Err(unusable(&error));
            }
            match received {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => self.unreachable(now, &error),
            }
        }
        Ok(true)
    }

    /// Looks at the flows whose time has come.
    fn look_after(&mut self, now: Instant) {
        while let Some(number) = self.timers.pop(now) {
            let Some(flow) = self.flows.get_mut(number) else {
                continue;
            };
            let idle = flow.last_active + self.idle;
            if idle <= now {
                let id = flow.id;
                self.counters.flows_idle += 1;
                self.close(now, id, "idle");
                continue;
            }
            // A server does not move.
            match flow.liveness.check(now, false) {
                Verdict::Wait | Verdict::Move => {}
                Verdict::Ask => {
                    self.counters.liveness_checks += 1;
                    ask(&mut self.endpoint, flow.id);
                }
                Verdict::Dead => {
                    let id = flow.id;
                    self.counters.associations_dead += 1;
                    self.close(now, id, "unanswered");
                    continue;
                }
            }
            let deadline = flow.liveness.deadline();
            self.timers
                .arm(number, deadline.map_or(idle, |at| at.min(idle)));
        }
    }

    /// Ends an association and its flow, if it has one.
    fn close(&mut self, now: Instant, id: AssociationId, reason: &'static str) {
        self.close_association(id);
        let Some(number) = self.of.remove(&id) else {
            return;
        };
        self.timers.disarm(number);
        if let Some(flow) = self.flows.remove(number) {
            self.ready.retain(|&ready| ready != number);
            if let Some(line) = self.noise.line(now, "flow_closed") {
                line.field("reason", reason)
                    .field("peer", flow.peer)
                    .print();
            }
        }
    }

    fn close_association(&mut self, id: AssociationId) {
        if let Some(mut association) = self.endpoint.association(id) {
            association.close();
        }
    }

    fn renewed(&self) -> Result<ServerConfig, Problem> {
        let arguments = self.arguments.server();
        let shown = match &self.made {
            Some(made) => Some(made.clone()),
            None => settings::server_credential(&arguments)?,
        };
        Ok(settings::server_showing(shown, &arguments)?.build()?)
    }
}

/// The first address of the service.
fn service(arguments: &TunnelServerArguments) -> Result<SocketAddr, Problem> {
    let addresses = address::resolve(&arguments.forward)?;
    address::first_of(&addresses, Ok)
}

fn unusable(error: &io::Error) -> Problem {
    Problem::failure(format!("the socket cannot be used: {error}"))
}

impl End for Server {
    fn ready(&mut self, token: Token) {
        let Some(number) = token.0.checked_sub(SEALED + 1) else {
            self.unread = true;
            return;
        };
        if let Some(flow) = self.flows.get_mut(number)
            && !flow.is_ready
        {
            flow.is_ready = true;
            self.ready.push_back(number);
        }
    }

    fn turn(&mut self, now: Instant) -> Result<(), Problem> {
        let turned = match std::mem::take(&mut self.unread) {
            true => self.endpoint.turn(),
            false => self.endpoint.flush(),
        };
        turned.map_err(|error| unusable(&error))?;
        self.take_events(now);
        self.receive(now)?;
        self.look_after(now);
        self.endpoint.flush().map_err(|error| unusable(&error))?;
        self.take_events(now);
        self.unread |= self.endpoint.has_unread();
        Ok(())
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        // What waits in plain sockets while there is no room waits for that.
        let is_busy = self.unread || !self.ready.is_empty() && !self.endpoint.wants_write();
        let endpoint = self.endpoint.poll_timeout().map(|wait| now + wait);
        let busy = is_busy.then_some(now);
        [busy, endpoint, self.timers.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn reload(&mut self, _: Instant) -> Result<(), Problem> {
        let renewed = self.renewed().and_then(|config| {
            let served = self.endpoint.serve(Arc::new(config));
            served.map_err(Problem::failure)
        });
        match &renewed {
            Ok(()) => self.counters.reloads += 1,
            Err(_) => self.counters.reloads_failed += 1,
        }
        renewed
    }

    fn stop(&mut self, _: Instant) {
        self.endpoint.stop_accepting();
        self.endpoint.close_all();
    }

    fn is_silent(&self) -> bool {
        !self.endpoint.wants_write() && !self.endpoint.endpoint().has_transmit()
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let endpoint = self.endpoint.endpoint();
        Snapshot {
            format: 1,
            role: "server",
            uptime_seconds: now.saturating_duration_since(self.began).as_secs(),
            flows: self.flows.len(),
            handshaking: endpoint.half_open(),
            queued_datagrams: 0,
            queued_bytes: endpoint.buffered(),
            strays: endpoint.stats().strays + endpoint.stats().unknown_connection_ids,
            counters: self.counters,
        }
    }
}
