//! Everybody who is in: the associations, and what datagrams, timers and limits know of them.

mod arrivals;

pub(super) use arrivals::next_datagram;

use super::answered::Answered;
use super::association::{Association, Origin, Table};
use super::attempts::Attempts;
use super::buffers::Buffers;
use super::connection_ids::ConnectionIds;
use super::half_open::HalfOpen;
use super::id::AssociationId;
use super::policy::EndpointPolicy;
use super::replies::Replies;
use super::routing::{Key, Route, Routes};
use super::stats::EndpointStats;
use super::timers::Timers;
use crate::config::DatagramPolicy;
use crate::connection::{DtlsConnection, Event, Issuer, Transmit};
use crate::error::Error;
use crate::protocol::{Path, Side};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The associations of one endpoint.
///
/// Whoever has touched one calls [`Associations::settle`], and everything that is known of it here
/// is up to date again.
pub(super) struct Associations {
    pub(super) policy: EndpointPolicy,
    pub(super) stats: EndpointStats,
    pub(super) replies: Replies,
    buffers: Buffers,
    /// What addresses have begun lately.
    pub(super) attempts: Attempts,
    table: Table,
    /// Those that are over, until their last event is polled: earlier ones may make the application
    /// look.
    ended: BTreeMap<AssociationId, Box<Association>>,
    routes: Routes,
    ids: ConnectionIds,
    timers: Timers,
    half_open: HalfOpen,
    /// Those that may have something to send.
    senders: VecDeque<AssociationId>,
    /// Those for which answers of this end's own have come.
    answered: Arc<Answered>,
    events: VecDeque<(AssociationId, Event)>,
    buffered: usize,
    /// Those with data that came since the last [`Associations::detach_unread`] and that may not
    /// have been fetched.
    unread: Vec<AssociationId>,
    /// Some receive queue is half full, or the queue of answers is full.
    congested: bool,
}

impl Associations {
    pub(super) fn new(policy: EndpointPolicy, ids: ConnectionIds) -> Self {
        Self {
            policy,
            stats: EndpointStats::default(),
            replies: Replies::default(),
            buffers: Buffers::default(),
            attempts: Attempts::default(),
            table: Table::default(),
            ended: BTreeMap::new(),
            routes: Routes::default(),
            ids,
            timers: Timers::default(),
            half_open: HalfOpen::default(),
            senders: VecDeque::new(),
            answered: Arc::default(),
            events: VecDeque::new(),
            buffered: 0,
            unread: Vec::new(),
            congested: false,
        }
    }

    /// Enters an association that has just been made; `origin` is that of a server's. `None` if
    /// there is no number left.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        connection: DtlsConnection,
        origin: Option<Origin>,
    ) -> Option<AssociationId> {
        let is_server = connection.side() == Side::Server;
        let key = Key::of(connection.path());
        let association = Association::new(now, connection, key, origin);
        let id = self.table.insert(association)?;
        if is_server {
            self.half_open.enter(now, id, &mut self.table);
        }
        if let Some(displaced) = self.routes.enter(key, id) {
            self.end_early(now, displaced, Error::Superseded);
        }
        self.settle(now, id);
        Some(id)
    }

    /// What issues connection IDs for the association that is entered next, if `policy` wants any.
    pub(super) fn next_issuer(&self, policy: &DatagramPolicy) -> Issuer {
        policy.connection_ids.filter(|&length| length > 0)?;
        self.ids.issuer(self.table.next_id()?)
    }

    /// The association whose peer was given the connection ID that these bytes of a header begin
    /// with.
    #[inline]
    pub(super) fn identified(&self, at: &[u8]) -> Option<AssociationId> {
        self.ids.find(at, |named| {
            let (id, association) = self.table.named(named)?;
            association.connection.knows_id(at).then_some(id)
        })
    }

    /// Whether datagrams of a new association could not be told from those of another.
    pub(super) fn is_taken(&self, key: Key) -> bool {
        self.routes.is_taken(key)
    }

    #[inline]
    pub(super) fn route(&self, key: Key) -> Option<Route> {
        self.routes.find(key)
    }

    pub(super) fn get(&self, id: AssociationId) -> Option<&Association> {
        self.table.get(id)
    }

    pub(super) fn get_mut(&mut self, id: AssociationId) -> Option<&mut Association> {
        self.table.get_mut(id)
    }

    /// The same for one that is over as well, until its last event is polled.
    pub(super) fn find(&self, id: AssociationId) -> Option<&Association> {
        let ended = || self.ended.get(&id).map(Box::as_ref);
        self.table.get(id).or_else(ended)
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn find_mut(&mut self, id: AssociationId) -> Option<&mut Association> {
        let Self { table, ended, .. } = self;
        table
            .get_mut(id)
            .or_else(|| ended.get_mut(&id).map(Box::as_mut))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = AssociationId> + '_ {
        self.table.ids()
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    /// How many server associations are in their first handshake.
    pub(super) const fn half_open(&self) -> usize {
        self.half_open.count()
    }

    /// How many bytes are buffered on behalf of all peers.
    pub(super) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// The half-open association that goes first for one of this path, if any does.
    pub(super) fn evictable(
        &mut self,
        now: Instant,
        timeout: Duration,
        newcomer: Path,
    ) -> Option<AssociationId> {
        self.half_open
            .evictable(now, timeout, newcomer.remote(), &self.table)
    }

    /// Has `waker` woken whenever an answer comes.
    pub(super) fn set_waker(&self, waker: Waker) {
        self.answered.set_waker(waker);
    }

    /// Lets those go on whose answers have come; how many were looked at.
    pub(super) fn handle_answers(&mut self, now: Instant) -> usize {
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

    /// Takes note that the system has refused a datagram of `bytes` on its way along `path`.
    pub(super) fn handle_too_large(&mut self, now: Instant, path: Path, bytes: usize) -> bool {
        let route = self.routes.find(Key::of(path));
        let mut concerned: Vec<_> = route.into_iter().flat_map(Route::newest_first).collect();
        if self.ids.were_issued() {
            // Those that are found by connection IDs alone have no place there.
            concerned.extend(
                self.table
                    .ids()
                    .filter(|&id| self.sends_unrouted(id, &path)),
            );
        }
        let mut news = false;
        for id in concerned {
            if let Some(association) = self.table.get_mut(id) {
                news |= association.connection.handle_too_large(bytes);
                self.settle(now, id);
            }
        }
        news
    }

    /// The system picks the address that each association sends from.
    pub(super) fn forget_local_addresses(&mut self) {
        let all: Vec<_> = self.table.ids().collect();
        for id in all {
            if let Some(association) = self.table.get_mut(id) {
                association.connection.forget_local_address();
            }
        }
    }

    fn sends_unrouted(&self, id: AssociationId, path: &Path) -> bool {
        let association = self.table.get(id);
        association.is_some_and(|it| it.key.is_none() && it.connection.path().is_same_way(path))
    }

    /// The first deadline.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.first(), self.attempts.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due at `now`.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.handle_answers(now);
        self.attempts.forget(now);
        self.replies.allow_more(now);
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
                self.end_early(now, id, Error::IdleTimeout);
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

    /// Whether `poll_transmit` may have something to hand out.
    pub(super) fn has_transmit(&self) -> bool {
        !self.replies.is_empty() || !self.senders.is_empty()
    }

    pub(super) fn poll_transmit(
        &mut self,
        now: Instant,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if self.replies.is_due(now) {
            return self.replies.poll_transmit(out);
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
                if association.completed {
                    self.replies.note_work(now);
                }
                if association.connection.has_transmit() {
                    // The others have their turn before this one sends again.
                    self.senders.rotate_left(1);
                } else {
                    self.has_sent(now, id);
                }
                return Some(transmit);
            }
            self.has_sent(now, id);
        }
        self.replies.poll_transmit(out)
    }

    /// The first of those that may have something to send has nothing any more.
    fn has_sent(&mut self, now: Instant, id: AssociationId) {
        self.senders.pop_front();
        if let Some(association) = self.table.get_mut(id) {
            association.wants_to_send = false;
            self.buffers.take_back(&mut association.connection);
        }
        self.settle(now, id);
    }

    /// An association that is not over, or was not told to be, is about to send data.
    #[inline]
    pub(super) fn lend_buffer(&mut self, id: AssociationId) {
        if let Some(association) = self.table.get_mut(id)
            && !association.wants_to_send
        {
            self.buffers.lend(&mut association.connection);
        }
    }

    /// It has none to send after all.
    pub(super) fn take_buffer_back(&mut self, id: AssociationId) {
        if let Some(association) = self.table.get_mut(id)
            && !association.wants_to_send
        {
            self.buffers.take_back(&mut association.connection);
        }
    }

    /// Answers a stranger; whether there was room. When that was the last room, what has come up
    /// to now should be sent before more is received.
    pub(super) fn answer(&mut self, path: Path, datagram: Vec<u8>) -> bool {
        let room = self.replies.push(path, datagram);
        self.congested |= room && self.replies.has_no_place();
        room
    }

    /// An association has data to send.
    #[inline]
    pub(super) fn enqueue(&mut self, id: AssociationId) {
        if let Some(association) = self.table.get_mut(id)
            && !association.wants_to_send
        {
            association.wants_to_send = true;
            self.senders.push_back(id);
        }
    }

    pub(super) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn poll_event(&mut self) -> Option<(AssociationId, Event)> {
        let (id, event) = self.events.pop_front()?;
        if matches!(event, Event::Failed(_) | Event::Closed) {
            self.ended.remove(&id);
        }
        Some((id, event))
    }

    /// Whether some receive queue was found half full, or the queue of answers was filled, since
    /// the last call.
    pub(super) const fn take_congested(&mut self) -> bool {
        std::mem::replace(&mut self.congested, false)
    }

    /// Moves the data that was not fetched yet out of the buffers in which it came.
    pub(super) fn detach_unread(&mut self) {
        let mut unread = std::mem::take(&mut self.unread);
        for id in unread.drain(..) {
            let Some(association) = self.table.get_mut(id) else {
                // Its data can be fetched until its last event was told.
                if let Some(ended) = self.ended.get_mut(&id) {
                    ended.connection.detach_unread();
                }
                continue;
            };
            association.has_unread = false;
            if association.connection.unread() > 0 {
                association.connection.detach_unread();
                association.count(&mut self.buffered);
            }
        }
        // The list keeps its allocation.
        self.unread = unread;
    }

    /// Brings everything that is remembered about an association up to date after it was touched.
    pub(super) fn settle(&mut self, now: Instant, id: AssociationId) {
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        let (mut completed, mut moved) = (false, false);
        while let Some(event) = association.connection.poll_event() {
            completed |= matches!(event, Event::HandshakeComplete { .. });
            moved |= matches!(event, Event::PathChanged(_));
            if matches!(event, Event::MaxPayloadChanged { .. })
                && self.events.back().is_some_and(|last| tells_size(last, id))
            {
                // Only the last size counts.
                self.events.pop_back();
            }
            self.events.push_back((id, event));
        }
        if completed && !association.completed {
            association.completed = true;
            association.last_active = now;
        }
        association.count(&mut self.buffered);
        let connection = &mut association.connection;
        self.congested |= connection.is_half_full();
        if !association.has_unread && connection.unread() > 0 {
            association.has_unread = true;
            self.unread.push(id);
        }
        if !association.wants_to_send && connection.has_transmit() {
            association.wants_to_send = true;
            self.senders.push_back(id);
        }
        connection.wake_while_waiting(|| self.answered.waker_of(id));
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
        if !association.connection.is_handshaking() {
            self.half_open.leave(association);
        }
        let is_over = association.connection.is_closed();
        let lost = association.key.is_none() && association.connection.needs_address();
        if completed {
            self.promote(now, id);
        }
        if completed || moved || lost {
            self.find_again(id);
        }
        if is_over {
            self.reap(id);
        }
    }

    /// Brings up to date what fetching data changes.
    #[inline]
    pub(super) fn settle_received(&mut self, id: AssociationId) {
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        association.count(&mut self.buffered);
        if association.connection.is_read_closed() {
            // The last data of an association that is over may have been all that kept it.
            self.reap(id);
        }
    }

    /// The association has proved who it is, and takes the place of the one that it succeeds. That
    /// one goes on if its peer may be elsewhere by now and is recognised there: a NAT gives the
    /// address of a peer that sleeps to another.
    #[cold]
    fn promote(&mut self, now: Instant, id: AssociationId) {
        let Some(key) = self.table.get(id).and_then(|it| it.key) else {
            return;
        };
        let Some(replaced) = self.routes.promote(key, id) else {
            return;
        };
        match self.table.get_mut(replaced) {
            Some(other) if other.connection.is_identified() => other.key = None,
            _ => self.end_early(now, replaced, Error::Superseded),
        }
    }

    /// A handshake is done, or the peer has moved: how its datagrams are found. A client whose
    /// server names it needs no address, and leaves that to another client of the same server. A
    /// server's association has its address as long as that is nobody else's, for a client that
    /// begins again.
    #[cold]
    fn find_again(&mut self, id: AssociationId) {
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        let connection = &association.connection;
        let key = Key::of(connection.path());
        // A renegotiation may agree on no connection IDs any more. The address is then all that
        // leads to the association, from the first record of the new epoch on.
        let by_address = connection.side() == Side::Server || connection.needs_address();
        let wanted = by_address.then_some(key);
        if association.key == wanted {
            return;
        }
        if let Some(left) = association.key.take() {
            self.routes.leave(left, id);
        }
        if let Some(key) = wanted.filter(|&key| !self.routes.is_taken(key)) {
            association.key = Some(key);
            self.routes.enter(key, id);
        }
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
        let last = failure.map_or(Event::Closed, |it| Event::Failed(Box::new(it)));
        self.end(id, last);
    }

    /// Ends an association at once, for a reason of this end's own. The peer is told if the error
    /// has an alert.
    pub(super) fn end_early(&mut self, now: Instant, id: AssociationId, error: Error) {
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        let connection = &mut association.connection;
        let earlier = connection.failure().cloned();
        let failure = earlier.unwrap_or_else(|| connection.abandon(error));
        let mut last = Vec::new();
        while !self.replies.is_full()
            && let Some(transmit) = connection.poll_transmit(now, 1, &mut last)
        {
            self.replies.push(transmit.path, std::mem::take(&mut last));
        }
        self.stats.handshakes_failed += u64::from(!association.completed);
        self.end(id, Event::Failed(Box::new(failure)));
    }

    /// Takes an association out of everything that datagrams, timers and limits see.
    fn end(&mut self, id: AssociationId, last: Event) {
        let Some(mut association) = self.table.remove(id) else {
            return;
        };
        self.timers.remove(id, association.timer);
        if let Some(origin) = association.origin.as_deref()
            && !association.completed
            && !association.connection.has_advanced()
        {
            self.attempts.died(association.remote(), *origin);
        }
        if let Some(key) = association.key {
            self.routes.leave(key, id);
        }
        self.buffered -= association.buffered;
        self.half_open.leave(&mut association);
        // A server's association that never came up was not told of: nobody can ask for it, and
        // strangers may begin many.
        if association.completed || association.origin.is_none() {
            self.ended.insert(id, association);
        }
        self.events.push_back((id, last));
    }
}

/// Whether an event says how much data fits into a datagram of `id`.
fn tells_size(event: &(AssociationId, Event), id: AssociationId) -> bool {
    matches!(event, (of, Event::MaxPayloadChanged { .. }) if *of == id)
}
