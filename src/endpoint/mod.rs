//! Many associations on one socket, without the socket.
//!
//! ```text
//!   datagram ─► first record ─┬─ ClientHello ─► cookie? ─┬─ no:  HelloVerifyRequest, or at 1.3 HelloRetryRequest;
//!                             │                          │       nothing remembered
//!                             │                          └─ yes: known random ─► its association
//!                             │                                  else ─► a new one (current or successor)
//!                             ├─ plaintext ─► successor on a copy, current in place
//!                             └─ protected ─► successor on a copy if it has the keys, else current in place
//! ```

mod answered;
mod association;
mod attempts;
mod cookie;
mod event;
mod half_open;
mod limits;
mod receive;
mod retry;
mod routing;
mod running;
mod timers;
mod unproven;
mod upkeep;

pub use association::AssociationId;
pub use cookie::{CookieCheck, Cookies};
pub use event::{EndpointEvent, EndpointStats};
pub use limits::{EndpointPolicy, Eviction, ResumptionCookies};
pub use running::AssociationMut;

use crate::config::{ClientAuthentication, ClientConfig, ServerConfig};
use crate::connection::{DtlsConnection, Event, Transmit};
use crate::error::{ConnectError, Error, KeyUpdateError, RenegotiateError, SendError};
use crate::protocol::{AlertDescription, Path};
use crate::record::Received;
use crate::wire::key_update::KeyUpdate;
use answered::Answered;
use association::{Association, Table};
use attempts::Attempts;
use half_open::HalfOpen;
use pki_types::ServerName;
use routing::Routes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use timers::Timers;

/// Many associations, clients' and servers' alike, over one socket. Sans-IO: datagrams and the time go in;
/// datagrams, events and a deadline come out.
///
/// Call inputs and commands, then drain `poll_transmit`, then `poll_event`, then ask `poll_timeout`. Inputs never
/// fail: what strangers send is counted in [`Endpoint::stats`], and what befalls an association is its event.
pub struct Endpoint {
    policy: EndpointPolicy,
    server: Option<Arc<ServerConfig>>,
    /// What strangers are asked for; only where anybody is served.
    cookies: Option<Cookies>,
    table: Table,
    /// Associations that are over, until their last event is polled: earlier ones may make the application look.
    ended: BTreeMap<AssociationId, Box<Association>>,
    routes: Routes,
    timers: Timers,
    /// Associations that may have something to send.
    senders: VecDeque<AssociationId>,
    /// Associations for which answers of this end's own have come.
    answered: Arc<Answered>,
    /// Answers to strangers.
    replies: VecDeque<(Path, Vec<u8>)>,
    events: VecDeque<(AssociationId, EndpointEvent)>,
    half_open: HalfOpen,
    /// What addresses have begun lately.
    attempts: Attempts,
    buffered: usize,
    /// Associations with data that came since the last [`Endpoint::detach_unread`] and that may not have been fetched.
    unread: Vec<AssociationId>,
    /// Some association's receive queue is half full.
    congested: bool,
    stats: EndpointStats,
}

/// How many answers to strangers wait at most.
const MAX_REPLIES: usize = 256;

impl Endpoint {
    /// An endpoint that can connect; with a server configuration it accepts as well.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(
        policy: EndpointPolicy,
        server: Option<Arc<ServerConfig>>,
        now: Instant,
    ) -> Result<Self, Error> {
        let cookies = match &server {
            Some(config) => Some(Cookies::new(config.clone(), now)?),
            None => None,
        };
        Ok(Self {
            policy,
            server,
            cookies,
            table: Table::default(),
            ended: BTreeMap::new(),
            routes: Routes::default(),
            timers: Timers::default(),
            senders: VecDeque::new(),
            answered: Arc::default(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            half_open: HalfOpen::default(),
            attempts: Attempts::default(),
            buffered: 0,
            unread: Vec::new(),
            congested: false,
            stats: EndpointStats::default(),
        })
    }

    /// Has `waker` woken whenever an answer comes that an association of this endpoint waits for,
    /// from now on: then [`Endpoint::handle_answers`] goes on. It replaces the one before.
    pub fn set_waker(&mut self, waker: Waker) {
        self.answered.set_waker(waker);
    }

    /// Lets every association go on for which an answer of this end's own has come: from a key that
    /// is held elsewhere, a verifier, a session store, or whoever decides about hellos; see
    /// [`Reply`](crate::Reply). What the answers lead to are events. Returns how many associations
    /// were looked at; those that still wait are not.
    pub fn handle_answers(&mut self, now: Instant) -> usize {
        let mut looked_at = 0;
        for id in self.answered.take() {
            if let Some(association) = self.table.get_mut(id) {
                // What it says is found in the association when it is settled.
                let _failed = association.connection.handle_answers(now);
                self.settle(now, id);
                looked_at += 1;
            }
        }
        looked_at
    }

    /// Starts an association with the server at `path`.
    ///
    /// # Errors
    ///
    /// `AddressInUse` if there is an association with that address already, however it was spelt: records carry nothing
    /// that would tell two of them apart. `TooManyAssociations` at the limit.
    pub fn connect(
        &mut self,
        now: Instant,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        path: Path,
    ) -> Result<AssociationId, ConnectError> {
        // Answers come from where the datagrams arrive.
        let path = path.to_destination();
        let remote = path.remote();
        if self.routes.is_taken(remote) {
            return Err(ConnectError::AddressInUse(remote));
        }
        if self.table.len() >= self.policy.max_associations {
            return Err(ConnectError::TooManyAssociations);
        }
        let connection = DtlsConnection::connect(config, server, path, now)?;
        let association = Association::new(connection, remote, None, now);
        let id = self
            .table
            .insert(association)
            .ok_or(ConnectError::TooManyAssociations)?;
        self.routes.enter(remote, id);
        self.settle(now, id);
        Ok(id)
    }

    /// Appends at most `max_datagrams` datagrams of equal size, for one peer, to `out`. `None` if nothing waits.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if let Some((path, reply)) = self.replies.pop_front() {
            out.extend_from_slice(&reply);
            return Some(Transmit {
                len: reply.len(),
                segment_size: None,
                path,
            });
        }
        while let Some(&id) = self.senders.front() {
            let Some(association) = self.table.get_mut(id) else {
                self.senders.pop_front();
                continue;
            };
            if let Some(transmit) = association
                .connection
                .poll_transmit(now, max_datagrams, out)
            {
                // The others have their turn before this one sends again.
                self.senders.rotate_left(1);
                return Some(transmit);
            }
            association.wants_to_send = false;
            self.senders.pop_front();
            self.settle(now, id);
        }
        None
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<(AssociationId, EndpointEvent)> {
        let (id, event) = self.events.pop_front()?;
        if matches!(event, EndpointEvent::Failed(_) | EndpointEvent::Closed) {
            self.ended.remove(&id);
        }
        Some((id, event))
    }

    /// When [`Endpoint::handle_timeout`] wants to be called. May be earlier than anything is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.first(), self.attempts.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due at `now`, for every association, and takes answers that have come. Afterwards `poll_timeout() > now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_answers(now);
        self.attempts.forget(now);
        while let Some(id) = self.timers.pop_due(now) {
            let idle_timeout = self.policy.idle_timeout;
            let Some(association) = self.table.get_mut(id) else {
                continue;
            };
            association.timer = None;
            let connection = &mut association.connection;
            let idle = idle_timeout
                .and_then(|limit| association.last_active.checked_add(limit))
                .is_some_and(|deadline| deadline <= now);
            if idle && !connection.is_handshaking() {
                // Also for an association that is over and whose data nobody fetches.
                self.drop_association(now, id, Error::IdleTimeout);
                continue;
            }
            if connection
                .poll_timeout()
                .is_some_and(|deadline| deadline <= now)
            {
                // What it says is found in the association when it is settled.
                let _failed = connection.handle_timeout(now);
            }
            self.settle(now, id);
        }
    }

    /// Sends `data` to the peer of `id` as one datagram. It leaves with the next `poll_transmit`.
    ///
    /// # Errors
    ///
    /// As [`DtlsConnection::send`](crate::Connection::send); `Closed` if the association is gone.
    #[inline]
    pub fn send(&mut self, now: Instant, id: AssociationId, data: &[u8]) -> Result<(), SendError> {
        let association = self.table.get_mut(id).ok_or(SendError::Closed)?;
        if let Err(error) = association.connection.send(now, data) {
            if association.connection.is_closed() {
                // The keys are used up: the peer is told, and so is the application.
                self.settle(now, id);
            }
            return Err(error);
        }
        association.last_active = now;
        if !association.wants_to_send {
            association.wants_to_send = true;
            self.senders.push_back(id);
        }
        Ok(())
    }

    /// Schedules a renegotiation with the peer of `id`; see [`Connection::renegotiate`](crate::Connection::renegotiate).
    ///
    /// # Errors
    ///
    /// As there; `Closed` if the association is gone.
    pub fn renegotiate(&mut self, now: Instant, id: AssociationId) -> Result<(), RenegotiateError> {
        let gone = RenegotiateError::Closed;
        self.command(now, id, gone, |connection| connection.renegotiate(now))
    }

    /// Schedules a renegotiation that resumes the session in force, if this end is a client; see
    /// [`Connection::renegotiate_abbreviated`](crate::Connection::renegotiate_abbreviated).
    ///
    /// # Errors
    ///
    /// As there; `Closed` if the association is gone.
    pub fn renegotiate_abbreviated(
        &mut self,
        now: Instant,
        id: AssociationId,
    ) -> Result<(), RenegotiateError> {
        self.command(now, id, RenegotiateError::Closed, |connection| {
            connection.renegotiate_abbreviated(now)
        })
    }

    /// Asks the client of `id` for its certificate, in a renegotiation; see
    /// [`Connection::request_client_certificate`](crate::Connection::request_client_certificate).
    ///
    /// # Errors
    ///
    /// As there; `Closed` if the association is gone.
    pub fn request_client_certificate(
        &mut self,
        now: Instant,
        id: AssociationId,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        self.command(now, id, RenegotiateError::Closed, |connection| {
            connection.request_client_certificate(now, policy)
        })
    }

    /// Schedules a key update with the peer of `id`; see [`Connection::key_update`](crate::Connection::key_update).
    ///
    /// # Errors
    ///
    /// As there; `Closed` if the association is gone.
    pub fn key_update(
        &mut self,
        now: Instant,
        id: AssociationId,
        update: KeyUpdate,
    ) -> Result<(), KeyUpdateError> {
        let gone = KeyUpdateError::Closed;
        self.command(now, id, gone, |connection| {
            connection.key_update(now, update)
        })
    }

    fn command<E>(
        &mut self,
        now: Instant,
        id: AssociationId,
        gone: E,
        command: impl FnOnce(&mut DtlsConnection) -> Result<(), E>,
    ) -> Result<(), E> {
        let association = self.table.get_mut(id).ok_or(gone)?;
        command(&mut association.connection)?;
        self.settle(now, id);
        Ok(())
    }

    /// The next datagram from the peer of `id`.
    #[inline]
    pub fn recv(&mut self, id: AssociationId) -> Option<Received> {
        let Some(association) = self.table.get_mut(id) else {
            return self.ended.get_mut(&id)?.connection.recv();
        };
        let received = association.connection.recv()?;
        let buffered = association.connection.buffered();
        self.buffered = self.buffered + buffered - association.buffered;
        association.buffered = buffered;
        if association.connection.is_read_closed() {
            // The last data of an association that is over may have been all that kept it.
            self.reap(id);
        }
        Some(received)
    }

    /// Closes an association: the peer is told, and [`EndpointEvent::Closed`] follows.
    pub fn close(&mut self, now: Instant, id: AssociationId) {
        if let Some(association) = self.table.get_mut(id) {
            association.connection.close(now);
            self.settle(now, id);
        }
    }

    /// Ends an association at once with a fatal alert of the application's choice: the peer is told, and
    /// [`EndpointEvent::Failed`] follows.
    pub fn abort(&mut self, now: Instant, id: AssociationId, alert: AlertDescription) {
        if let Some(association) = self.table.get_mut(id) {
            association.connection.abort(now, alert);
            self.settle(now, id);
        }
    }

    /// The association itself, for its getters. One that is over can be looked at until its last event,
    /// [`EndpointEvent::Closed`] or [`EndpointEvent::Failed`], has been polled.
    pub fn connection(&self, id: AssociationId) -> Option<&DtlsConnection> {
        let ended = || self.ended.get(&id).map(Box::as_ref);
        self.table
            .get(id)
            .or_else(ended)
            .map(|association| &association.connection)
    }

    /// Whether some receive queue was found half full since the last call: whoever feeds the endpoint should let
    /// the application fetch its data first, because a full queue drops the newest.
    pub fn take_congested(&mut self) -> bool {
        std::mem::take(&mut self.congested)
    }

    /// Whether `poll_transmit` may have something to hand out.
    pub fn has_transmit(&self) -> bool {
        !self.replies.is_empty() || !self.senders.is_empty()
    }

    /// Whether `poll_event` has something to tell.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Every association that is not over, in no particular order.
    pub fn associations(&self) -> impl Iterator<Item = AssociationId> + '_ {
        self.table.ids()
    }

    /// How many associations there are. One that is over does not count, also while its last event waits.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// How many server associations are in their handshake.
    pub fn half_open(&self) -> usize {
        self.half_open.count()
    }

    /// How many bytes are buffered on behalf of all peers. What is kept of strangers' fragmented hellos is not among them:
    /// at most 256 hellos of 4 KiB, for two seconds or until the next one comes.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// The counters.
    pub fn stats(&self) -> &EndpointStats {
        &self.stats
    }

    /// Brings everything that the endpoint remembers about an association up to date after it was touched.
    fn settle(&mut self, now: Instant, id: AssociationId) {
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        let connection = &mut association.connection;
        let records = connection.stats().records_received();
        if records != association.records_seen {
            association.records_seen = records;
            association.last_active = now;
        }
        let mut completed = false;
        while let Some(event) = connection.poll_event() {
            completed |= matches!(event, Event::HandshakeComplete { .. });
            if matches!(event, Event::MaxPayloadChanged { .. })
                && self.events.back().is_some_and(|last| tells_size(last, id))
            {
                // Only the last size counts.
                self.events.pop_back();
            }
            self.events
                .push_back((id, EndpointEvent::Association(event)));
        }
        association.completed |= completed;
        self.congested |= connection.is_half_full();
        let buffered = connection.buffered();
        self.buffered = self.buffered + buffered - association.buffered;
        association.buffered = buffered;
        if !association.has_unread && connection.unread() > 0 {
            association.has_unread = true;
            self.unread.push(id);
        }
        if !association.wants_to_send && connection.has_transmit() {
            association.wants_to_send = true;
            self.senders.push_back(id);
        }
        connection.wake_while_waiting(|| self.answered.waker_of(id));
        if association.half_open && !connection.is_handshaking() {
            association.half_open = false;
            self.half_open.leave();
        }
        let idle = self
            .policy
            .idle_timeout
            .filter(|_| !connection.is_handshaking());
        let idle_deadline = idle.and_then(|limit| association.last_active.checked_add(limit));
        let wanted = [connection.poll_timeout(), idle_deadline]
            .into_iter()
            .flatten()
            .min();
        self.timers.ensure(id, &mut association.timer, wanted);
        let remote = association.remote;
        if completed && let Some(replaced) = self.routes.promote(remote, id) {
            self.drop_association(now, replaced, Error::Superseded);
        }
        self.reap(id);
    }

    /// Removes an association that is over and has nothing left to send or to be read.
    fn reap(&mut self, id: AssociationId) {
        let Some(association) = self.table.get(id) else {
            return;
        };
        let connection = &association.connection;
        if !connection.is_closed() || connection.buffered() > 0 {
            return;
        }
        let failure = connection.failure().cloned();
        if failure.is_some() && !association.completed {
            self.stats.handshakes_failed += 1;
        }
        let last = failure.map_or(EndpointEvent::Closed, EndpointEvent::Failed);
        self.end(id, last);
    }

    /// Ends an association at once, for a reason of this end's own. The peer is told if the error has an alert.
    fn drop_association(&mut self, now: Instant, id: AssociationId, error: Error) {
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        let connection = &mut association.connection;
        let earlier = connection.failure().cloned();
        let failure = earlier.unwrap_or_else(|| connection.abandon(error));
        let mut last = Vec::new();
        while self.replies.len() < MAX_REPLIES
            && let Some(transmit) = connection.poll_transmit(now, 1, &mut last)
        {
            self.replies
                .push_back((transmit.path, std::mem::take(&mut last)));
        }
        self.stats.handshakes_failed += u64::from(!association.completed);
        self.end(id, EndpointEvent::Failed(failure));
    }

    /// Takes an association out of everything that datagrams, timers and limits see.
    fn end(&mut self, id: AssociationId, last: EndpointEvent) {
        let Some(association) = self.table.remove(id) else {
            return;
        };
        self.timers.remove(id, association.timer);
        if let Some(origin) = association.origin
            && !association.completed
            && !association.connection.has_advanced()
        {
            self.attempts.died(association.remote, origin);
        }
        self.routes.leave(association.remote, id);
        self.buffered -= association.buffered;
        if association.half_open {
            self.half_open.leave();
        }
        // A server's association that never came up was not told of: nobody can ask for it, and strangers may begin many.
        if association.completed || association.origin.is_none() {
            self.ended.insert(id, association);
        }
        self.events.push_back((id, last));
    }
}

/// Whether an event says how much data fits into a datagram of `id`.
fn tells_size(event: &(AssociationId, EndpointEvent), id: AssociationId) -> bool {
    let size = |event: &Event| matches!(event, Event::MaxPayloadChanged { .. });
    matches!(event, (of, EndpointEvent::Association(event)) if *of == id && size(event))
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("associations", &self.table.len())
            .field("half_open", &self.half_open.count())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
