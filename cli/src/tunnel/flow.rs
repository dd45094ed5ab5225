//! One local address of a tunnel client, with its association.
//!
//! ```text
//!            datagram               a slot                     HandshakeComplete
//!  Dormant ───────────► InLine ───────────────► Handshaking ───────────────────────► Open
//!     ▲                    ▲                         │                                │
//!     │ nothing to send    │ pause                   │ failed                         │
//!     └────────────────────┴──────────── Waiting ◄───┴──── failed, dead, or closed ───┘
//! ```
//!
//! A flow whose local program is silent waits for its next datagram before it connects again, so
//! that a server that has restarted is not met by everybody at once. Datagrams wait in a bounded
//! queue until the handshake is done.

use super::backoff::Backoff;
use super::carry::{self, Sealed};
use super::ground::Ground;
use super::liveness::{Liveness, Verdict, ask, is_answer};
use super::plain::Run;
use super::queue::Queue;
use crate::problem::Problem;
use crate::report;
use mio::Token;
use sealgram::endpoint::AssociationId;
use sealgram::net::UdpEndpoint;
use sealgram::{DtlsConnection, Event, HandshakeKind};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How long after its last datagram a local program is taken to be there still, so that a lost
/// association is made anew before it asks.
const IN_USE: Duration = Duration::from_secs(30);

/// How long an association must have lived for its end to be no failure of the attempt: a server
/// that has no room for another flow closes it at once.
const SETTLED: Duration = Duration::from_secs(10);

/// The range of an association's first retransmission timeout. At the most it is what a handshake
/// begins with.
const RETRANSMISSION: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(1);

/// How long an answer may take, after a handshake that took so long: it had two round trips at
/// least, unless something was lost. RFC 9147 §5.8.2 leaves this to who knows the path. A question
/// whether the server is there then has several tries before the server counts as gone, also where
/// the way is overloaded.
fn retransmission(handshake: Duration) -> Duration {
    handshake.clamp(*RETRANSMISSION.start(), *RETRANSMISSION.end())
}

/// A local address.
#[derive(Debug)]
pub(super) struct Flow {
    /// Its number, which is that of its socket's token too.
    number: usize,
    pub(super) local: SocketAddr,
    /// The address of this machine that it talks to.
    ours: Option<IpAddr>,
    stage: Stage,
    queue: Queue,
    backoff: Backoff,
    /// How often a handshake was begun, which chooses among the server's addresses.
    attempts: usize,
    /// When its program sent something last.
    pub(super) last_active: Instant,
    /// The socket of the association may have something.
    readable: bool,
}

/// How far its association is.
#[derive(Debug)]
enum Stage {
    Dormant,
    Waiting {
        until: Instant,
        /// Whether it connects again without a datagram to send.
        eager: bool,
    },
    InLine,
    Handshaking(Leg),
    Open(Leg),
}

/// An association on a socket of its own: a server knows its peers by their addresses.
#[derive(Debug)]
struct Leg {
    endpoint: UdpEndpoint,
    id: AssociationId,
    peer: SocketAddr,
    liveness: Liveness,
    /// When the handshake began, and then when it was complete.
    since: Instant,
}

impl Leg {
    fn connection(&self) -> Option<&DtlsConnection> {
        self.endpoint.endpoint().connection(self.id)
    }

    /// The same, once its handshake is complete.
    fn opened(mut self, now: Instant) -> Self {
        let took = now.saturating_duration_since(self.since);
        if let Some(mut association) = self.endpoint.association(self.id) {
            // Within the limits of the policy.
            let _always = association.set_initial_timeout(retransmission(took));
        }
        self.since = now;
        self
    }

    /// Says goodbye, as far as the socket takes it.
    fn close(mut self) {
        if let Some(mut association) = self.endpoint.association(self.id) {
            association.close();
        }
        let _unsent = self.endpoint.flush();
    }
}

/// Why an association is over.
enum End {
    /// It has failed, or its peer is gone.
    Lost,
    /// The peer has closed it.
    Closed,
}

impl Flow {
    pub(super) fn new(now: Instant, number: usize, local: SocketAddr, backoff: Backoff) -> Self {
        Self {
            number,
            local,
            ours: None,
            stage: Stage::Dormant,
            queue: Queue::default(),
            backoff,
            attempts: 0,
            last_active: now,
            readable: false,
        }
    }

    /// The socket of the association is ready.
    pub(super) const fn ready(&mut self) {
        self.readable = true;
    }

    /// Takes what the local program has sent.
    pub(super) fn take(&mut self, now: Instant, run: Run<'_>, ground: &mut Ground) {
        self.last_active = now;
        self.ours = run.to;
        if let Stage::Open(leg) = &mut self.stage {
            match carry::seal(&mut leg.endpoint, leg.id, run, &mut ground.counters) {
                Ok(sealed) => {
                    if sealed.taken > 0 {
                        leg.liveness.sent(now);
                    }
                    self.tell_too_large(now, sealed, ground);
                }
                Err(error) => self.broken(now, &error, ground),
            }
            return;
        }
        for datagram in run.datagrams.chunks(run.size.max(1)) {
            if !self.queue.push(now, &mut ground.budget, datagram) {
                ground.counters.dropped_queue_full += 1;
            }
        }
        if let Stage::Dormant = self.stage {
            self.stand_in_line(ground);
        }
    }

    fn stand_in_line(&mut self, ground: &mut Ground) {
        self.stage = Stage::InLine;
        ground.line.push_back(self.number);
    }

    fn tell_too_large(&self, now: Instant, sealed: Sealed, ground: &mut Ground) {
        if let Some((bytes, fits)) = sealed.too_large
            && let Some(line) = ground.noise.line(now, "too_large")
        {
            line.field("bytes", bytes)
                .field("fits", fits)
                .field("local", self.local)
                .print();
        }
    }

    /// Begins a handshake; the caller has a slot for it. Returns whether it has begun.
    pub(super) fn dial(&mut self, now: Instant, ground: &mut Ground) -> bool {
        if !matches!(self.stage, Stage::InLine) {
            return false;
        }
        let remote = ground.target.address(self.attempts);
        self.attempts = self.attempts.wrapping_add(1);
        match self.leg_to(now, remote, ground) {
            Ok(leg) => {
                self.stage = Stage::Handshaking(leg);
                ground.handshaking += 1;
                true
            }
            Err(problem) => {
                ground.counters.handshakes_failed += 1;
                if ground.noise.take(now, "error").is_some() {
                    problem.at(remote).line().print();
                }
                self.pause(now, true);
                false
            }
        }
    }

    fn leg_to(&self, now: Instant, remote: SocketAddr, ground: &Ground) -> Result<Leg, Problem> {
        let no_socket =
            |error: io::Error| Problem::failure(format!("no socket for an association: {error}"));
        let target = &ground.target;
        let endpoint = UdpEndpoint::connected_to(remote, target.policy.clone());
        let mut endpoint = endpoint.map_err(no_socket)?;
        let id = endpoint
            .connect(target.config.clone(), target.name.clone(), remote)
            .map_err(Problem::failure)?;
        endpoint
            .register(&ground.registry, Token(ground.first_token + self.number))
            .map_err(no_socket)?;
        Ok(Leg {
            endpoint,
            id,
            peer: remote,
            liveness: Liveness::new(target.patience),
            since: now,
        })
    }

    /// Waits before the next attempt; `eager` is whether there is one without a datagram to send.
    fn pause(&mut self, now: Instant, eager: bool) {
        let until = now + self.backoff.pause();
        self.stage = Stage::Waiting { until, eager };
    }

    /// Does everything that is due. Returns when it wants to be looked at again; `None` once it is
    /// over.
    pub(super) fn look_after(&mut self, now: Instant, ground: &mut Ground) -> Option<Instant> {
        self.serve_leg(now, ground);
        self.check_liveness(now, ground);
        let idle = self.last_active + ground.idle;
        if idle <= now {
            return None;
        }
        let due = match &mut self.stage {
            Stage::Waiting { until, eager } if *until <= now => {
                match *eager || !self.queue.is_empty() {
                    true => self.stand_in_line(ground),
                    false => self.stage = Stage::Dormant,
                }
                None
            }
            Stage::Waiting { until, .. } => Some(*until),
            Stage::Dormant | Stage::InLine => None,
            Stage::Handshaking(leg) | Stage::Open(leg) => {
                // What a turn has left in the socket is not reported again.
                self.readable |= leg.endpoint.has_unread();
                let wait = leg.endpoint.poll_timeout().map(|wait| now + wait);
                [wait, leg.liveness.deadline()].into_iter().flatten().min()
            }
        };
        Some(due.map_or(idle, |due| due.min(idle)))
    }

    fn serve_leg(&mut self, now: Instant, ground: &mut Ground) {
        let readable = std::mem::take(&mut self.readable);
        let (Stage::Handshaking(leg) | Stage::Open(leg)) = &mut self.stage else {
            return;
        };
        let turned = match readable {
            true => leg.endpoint.turn(),
            false => leg.endpoint.flush(),
        };
        if let Err(error) = turned {
            self.broken(now, &error, ground);
            return;
        }
        while let Stage::Handshaking(leg) | Stage::Open(leg) = &mut self.stage {
            if let Some(report) = leg.endpoint.poll_unreachable() {
                ground.counters.peer_unreachable += 1;
                leg.liveness.suspect(now);
                if let Some(line) = ground.noise.line(now, "unreachable") {
                    let peer = report.remote.unwrap_or(leg.peer);
                    line.field("reason", report.error)
                        .field("peer", peer)
                        .print();
                }
                continue;
            }
            let Some((_, event)) = leg.endpoint.poll_event() else {
                break;
            };
            self.handle(now, event, ground);
        }
        if let Stage::Open(leg) = &mut self.stage
            && let Err(error) = leg.endpoint.flush()
        {
            self.broken(now, &error, ground);
        }
    }

    fn handle(&mut self, now: Instant, event: Event, ground: &mut Ground) {
        if let Stage::Open(leg) = &mut self.stage
            && is_answer(&event)
        {
            leg.liveness.answered();
        }
        match event {
            Event::HandshakeComplete {
                kind,
                renegotiation,
            } => self.handshake_complete(now, kind, renegotiation, ground),
            Event::KeysUpdated { .. } => ground.counters.keys_replaced += 1,
            Event::MaxPayloadChanged { max_payload } => {
                if let Some(line) = ground.noise.line(now, "max_payload") {
                    line.field("bytes", max_payload)
                        .field("local", self.local)
                        .print();
                }
            }
            Event::PathChanged(change) => {
                ground.counters.paths_changed += 1;
                report::path_changed(&change).print();
            }
            Event::Readable => self.give(now, ground),
            Event::PeerClosed => {
                self.give(now, ground);
                self.over(now, End::Closed, ground);
            }
            Event::Failed(failure) => {
                if ground.noise.take(now, "error").is_some() {
                    Problem::from(&*failure).line().print();
                }
                self.over(now, End::Lost, ground);
            }
            Event::Closed => self.over(now, End::Closed, ground),
            _ => {}
        }
    }

    fn handshake_complete(
        &mut self,
        now: Instant,
        kind: HandshakeKind,
        renegotiation: bool,
        ground: &mut Ground,
    ) {
        let (Stage::Handshaking(leg) | Stage::Open(leg)) = &self.stage else {
            return;
        };
        if let Some(connection) = leg.connection()
            && ground.noise.take(now, "handshake_complete").is_some()
        {
            let shown = ground.target.shows_certificate;
            report::handshake_complete(connection, leg.peer, kind, renegotiation, shown)
                .field("local", self.local)
                .field("max_payload", connection.max_payload())
                .print();
        }
        if renegotiation {
            ground.counters.keys_replaced += 1;
            return;
        }
        match kind {
            HandshakeKind::Resumed => ground.counters.handshakes_resumed += 1,
            _ => ground.counters.handshakes_full += 1,
        }
        // This address is the one to try first from now on.
        self.attempts = self.attempts.wrapping_sub(1);
        self.stage = match std::mem::replace(&mut self.stage, Stage::Dormant) {
            Stage::Handshaking(leg) => {
                ground.handshaking -= 1;
                Stage::Open(leg.opened(now))
            }
            other => other,
        };
        self.send_queue(now, ground);
    }

    /// Sends what has waited for the handshake.
    fn send_queue(&mut self, now: Instant, ground: &mut Ground) {
        while let Some(datagram) = self.queue.pop(now, &mut ground.budget) {
            let Ok(datagram) = datagram else {
                ground.counters.dropped_stale += 1;
                continue;
            };
            let Stage::Open(leg) = &mut self.stage else {
                ground.counters.dropped_closed += 1;
                continue;
            };
            let run = Run {
                from: self.local,
                to: None,
                datagrams: &datagram,
                size: datagram.len(),
            };
            match carry::seal(&mut leg.endpoint, leg.id, run, &mut ground.counters) {
                Ok(sealed) => {
                    leg.liveness.sent(now);
                    self.tell_too_large(now, sealed, ground);
                }
                Err(error) => self.broken(now, &error, ground),
            }
        }
    }

    /// Gives the local program what has come for it.
    fn give(&mut self, now: Instant, ground: &mut Ground) {
        let (Stage::Handshaking(leg) | Stage::Open(leg)) = &mut self.stage else {
            return;
        };
        let way = (self.local, self.ours);
        let (endpoint, outlet) = (&mut leg.endpoint, &mut ground.outlet);
        let (came, said) = carry::open(
            endpoint,
            leg.id,
            outlet,
            &ground.plain,
            way,
            &mut ground.counters,
        );
        if came > 0 {
            leg.liveness.heard();
        }
        if let Some(error) = said {
            ground.counters.plain_unreachable += 1;
            if let Some(line) = ground.noise.line(now, "unreachable") {
                line.field("reason", error)
                    .field("local", self.local)
                    .print();
            }
        }
    }

    fn check_liveness(&mut self, now: Instant, ground: &mut Ground) {
        let Stage::Open(leg) = &mut self.stage else {
            return;
        };
        let sent_id = leg.connection().and_then(|it| it.sent_connection_id());
        let may_move = sent_id.is_some_and(|id| !id.is_empty());
        match leg.liveness.check(now, may_move) {
            Verdict::Wait => {}
            Verdict::Ask => {
                ground.counters.liveness_checks += 1;
                ask(&mut leg.endpoint, leg.id);
            }
            Verdict::Move => {
                let any = match leg.peer {
                    SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                    SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                };
                // Without another port the question goes by the old one.
                let _as_before = leg.endpoint.rebind(any);
                ask(&mut leg.endpoint, leg.id);
            }
            Verdict::Dead => {
                ground.counters.associations_dead += 1;
                if let Some(line) = ground.noise.line(now, "unanswered") {
                    line.field("peer", leg.peer)
                        .field("local", self.local)
                        .print();
                }
                self.over(now, End::Lost, ground);
                return;
            }
        }
        let Stage::Open(leg) = &mut self.stage else {
            return;
        };
        if let Err(error) = leg.endpoint.flush() {
            self.broken(now, &error, ground);
        }
    }

    /// The socket cannot be used.
    fn broken(&mut self, now: Instant, error: &io::Error, ground: &mut Ground) {
        if let Some(line) = ground.noise.line(now, "error") {
            line.field("reason", error)
                .field("local", self.local)
                .print();
        }
        self.over(now, End::Lost, ground);
    }

    /// The association is over, and there may be another one.
    fn over(&mut self, now: Instant, end: End, ground: &mut Ground) {
        match std::mem::replace(&mut self.stage, Stage::Dormant) {
            Stage::Handshaking(_) => {
                ground.handshaking -= 1;
                ground.counters.handshakes_failed += 1;
            }
            Stage::Open(leg) => {
                match end {
                    End::Lost => ground.counters.associations_failed += 1,
                    End::Closed => ground.counters.associations_closed += 1,
                }
                if now.saturating_duration_since(leg.since) >= SETTLED {
                    self.backoff.reset();
                }
                leg.close();
            }
            other => {
                self.stage = other;
                return;
            }
        }
        let in_use = now.saturating_duration_since(self.last_active) < IN_USE;
        self.pause(now, in_use && matches!(end, End::Lost));
    }

    /// Ends the flow with everything that it has.
    pub(super) fn end(mut self, ground: &mut Ground) {
        ground.counters.dropped_closed += self.queue.clear(&mut ground.budget);
        match self.stage {
            Stage::Handshaking(leg) => {
                ground.handshaking -= 1;
                leg.close();
            }
            Stage::Open(leg) => leg.close(),
            Stage::InLine => ground.line.retain(|&number| number != self.number),
            Stage::Dormant | Stage::Waiting { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_way_is_waited_for_less_and_none_longer_than_a_handshake_is() {
        for (handshake, timeout) in [(1, 100), (450, 450), (3000, 1000)] {
            let handshake = Duration::from_millis(handshake);
            assert_eq!(retransmission(handshake), Duration::from_millis(timeout));
        }
    }
}
