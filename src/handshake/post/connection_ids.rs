//! Connection IDs that replace those of the handshake (RFC 9147 §9).
//!
//! ```text
//!  announce() ─► scheduled ─► NewConnectionId ─► acknowledged ─► the next one
//!  request()  ─► scheduled ─► RequestConnectionId ─► acknowledged, and answered ─► the next one
//!
//!  NewConnectionId of the peer ──► cid_immediate: what this end writes carries the first
//!                                  the others, or all of them: spares
//!  RequestConnectionId of the peer ──► the connection issues some ─► announce()
//! ```

use super::{Post, unexpected};
use crate::error::{ConnectionIdError, Error, PeerMisbehaved};
use crate::handshake::Action;
use crate::protocol::Unacknowledged;
use crate::protocol::{ConnectionId, ConnectionIds, FlightEnd, FlightId, HandshakeType};
use crate::wire::connection_id_update::{ConnectionIdUsage, NewConnectionId, RequestConnectionId};
use crate::wire::handshake::InboundMessage;
use std::collections::VecDeque;

/// How many connection IDs of the peer are kept for later, whatever it sends.
const MAX_SPARES: usize = 8;

/// How many connection IDs wait to be announced to the peer, and how many it gets at once. Each
/// costs a place where the associations of an endpoint are looked up.
const MAX_ANNOUNCED: usize = 8;

/// How many requests the peer may make between two pieces of data.
const MAX_IDLE_REQUESTS: u8 = 32;

/// The connection IDs of an association that has some.
pub(super) struct PostConnectionIds {
    /// Whether the peer puts connection IDs into its records, so that this end can give it more.
    gives: bool,
    /// Whether this end puts them into its own, so that the peer can give more.
    takes: bool,
    /// What the peer has given for later, in its order.
    spares: VecDeque<ConnectionId>,
    /// What the next output announces.
    scheduled: Option<NewConnectionId>,
    /// The announcement that is on its way.
    announced: Option<FlightId>,
    /// What the next output asks for.
    wanted: Option<u8>,
    /// The request that is on its way.
    requested: Option<FlightId>,
    /// The peer has not answered the last request.
    awaits_answer: bool,
    /// Requests of the peer since the last data.
    idle_requests: u8,
}

impl PostConnectionIds {
    /// What follows from the hellos; `None` if neither direction carries any.
    pub(super) fn of(agreed: Option<&ConnectionIds>) -> Option<Box<Self>> {
        let agreed = agreed?;
        let (gives, takes) = (!agreed.ours.is_empty(), !agreed.theirs.is_empty());
        (gives || takes).then(|| {
            Box::new(Self {
                gives,
                takes,
                spares: VecDeque::new(),
                scheduled: None,
                announced: None,
                wanted: None,
                requested: None,
                awaits_answer: false,
                idle_requests: 0,
            })
        })
    }

    pub(super) const fn data_came(&mut self) {
        self.idle_requests = 0;
    }

    /// The peer has received a flight.
    pub(super) fn delivered(&mut self, delivered: FlightId) {
        self.announced.take_if(|id| *id == delivered);
        self.requested.take_if(|id| *id == delivered);
    }

    /// RFC 9147 §5.8.4: one message of each type is on its way at most.
    const fn may_announce(&self) -> bool {
        self.scheduled.is_some() && self.announced.is_none()
    }

    const fn may_request(&self) -> bool {
        self.wanted.is_some() && self.requested.is_none()
    }

    /// What waits to be announced, together with this. The peer uses connection IDs in the order in
    /// which they come, so what it is to use at once is in front.
    fn schedule(&mut self, mut more: NewConnectionId) {
        let Some(mut scheduled) = self.scheduled.take() else {
            self.scheduled = Some(more);
            return;
        };
        if more.usage == ConnectionIdUsage::Immediate {
            std::mem::swap(&mut scheduled, &mut more);
        }
        scheduled.cids.append(&mut more.cids);
        self.scheduled = Some(scheduled);
    }
}

impl Post {
    /// Whether a message about connection IDs is to be sent and may be.
    #[inline]
    pub(super) fn wants_connection_ids(&self) -> bool {
        let ids = self.connection_ids.as_deref();
        ids.is_some_and(|ids| ids.may_announce() || ids.may_request())
            && !self.outbox.is_exhausted()
    }

    /// Sends what is scheduled, each message as a flight of its own: they are acknowledged
    /// independently of each other (RFC 9147 §5.8.4).
    pub(super) fn begin_connection_ids(&mut self) -> Result<(), Error> {
        if !self.wants_connection_ids() {
            return Ok(());
        }
        let Some(ids) = &mut self.connection_ids else {
            return Ok(());
        };
        let end = FlightEnd::AwaitAck(Unacknowledged::Persists);
        let epoch = self.write.epoch;
        if ids.may_announce()
            && let Some(message) = ids.scheduled.take()
        {
            let typ = HandshakeType::NEW_CONNECTION_ID;
            self.outbox.send_post(epoch, typ, message.encode())?;
            ids.announced = Some(self.outbox.end_flight(end));
        }
        if ids.may_request()
            && !self.outbox.is_exhausted()
            && let Some(count) = ids.wanted.take()
        {
            let body = RequestConnectionId(count).encode();
            let typ = HandshakeType::REQUEST_CONNECTION_ID;
            self.outbox.send_post(epoch, typ, body)?;
            ids.requested = Some(self.outbox.end_flight(end));
        }
        Ok(())
    }

    /// Whether the peer can be given a connection ID that it uses at once.
    ///
    /// # Errors
    ///
    /// `NotNegotiated` if the peer's records carry none; `Pending` while the peer has not
    /// acknowledged what it was given before.
    pub(crate) fn check_renewal(&self) -> Result<(), ConnectionIdError> {
        let ids = self.connection_ids.as_deref().filter(|ids| ids.gives);
        let ids = ids.ok_or(ConnectionIdError::NotNegotiated)?;
        if ids.scheduled.is_some() || ids.announced.is_some() {
            return Err(ConnectionIdError::Pending);
        }
        Ok(())
    }

    /// Schedules the announcement of connection IDs that records are found by already. While an
    /// earlier one is not acknowledged it waits.
    pub(crate) fn announce(&mut self, cids: Vec<ConnectionId>, usage: ConnectionIdUsage) {
        if let Some(ids) = self.connection_ids.as_mut().filter(|ids| ids.gives) {
            ids.schedule(NewConnectionId { cids, usage });
        }
    }

    /// Schedules a request for connection IDs of the peer's.
    ///
    /// # Errors
    ///
    /// `NotNegotiated` if this end's records carry none; `Pending` while a request is scheduled, on
    /// its way or unanswered (RFC 9147 §9).
    pub(crate) fn request_connection_ids(&mut self, count: u8) -> Result<(), ConnectionIdError> {
        let ids = self.connection_ids.as_mut().filter(|ids| ids.takes);
        let ids = ids.ok_or(ConnectionIdError::NotNegotiated)?;
        if ids.wanted.is_some() || ids.requested.is_some() || ids.awaits_answer {
            return Err(ConnectionIdError::Pending);
        }
        ids.wanted = Some(count);
        ids.awaits_answer = true;
        Ok(())
    }

    /// A connection ID of the peer's that was not used yet, for another path; the oldest first.
    pub(crate) fn take_spare(&mut self) -> Option<ConnectionId> {
        self.connection_ids.as_mut()?.spares.pop_front()
    }

    /// What of the peer's waits for another path.
    #[cfg(test)]
    pub(crate) fn spare_ids(&self) -> std::collections::vec_deque::Iter<'_, ConnectionId> {
        self.connection_ids.as_ref().unwrap().spares.iter()
    }

    /// The peer gives connection IDs.
    pub(super) fn take_connection_ids(&mut self, message: &InboundMessage) -> Result<(), Error> {
        // RFC 9147 §9: not by an end that has negotiated to receive none.
        let ids = self.connection_ids.as_mut().filter(|ids| ids.takes);
        let ids = ids.ok_or_else(|| unexpected(message))?;
        let new = NewConnectionId::decode(&message.body)?;
        let NewConnectionId { cids, usage } = new.ok_or(PeerMisbehaved::IllegalConnectionId)?;
        ids.awaits_answer = false;
        let mut cids = cids.into_iter();
        if usage == ConnectionIdUsage::Immediate
            && let Some(first) = cids.next()
        {
            self.outbox.push(Action::UseConnectionId(first));
        }
        // RFC 9147 §9: what is too many is dropped.
        let room = MAX_SPARES.saturating_sub(ids.spares.len());
        ids.spares.extend(cids.take(room));
        Ok(())
    }

    /// The peer wants connection IDs. It gets fewer than it asks for if that is too many, but an
    /// answer in any case (RFC 9147 §9).
    pub(super) fn take_request(&mut self, message: &InboundMessage) -> Result<(), Error> {
        // RFC 9147 §9: not by an end that sends none.
        let ids = self.connection_ids.as_mut().filter(|ids| ids.gives);
        let ids = ids.ok_or_else(|| unexpected(message))?;
        let RequestConnectionId(wanted) = RequestConnectionId::decode(&message.body)?;
        ids.idle_requests += 1;
        if ids.idle_requests > MAX_IDLE_REQUESTS {
            return Err(PeerMisbehaved::TooManyConnectionIdRequests.into());
        }
        let waiting = ids.scheduled.as_ref().map_or(0, |it| it.cids.len());
        let count = usize::from(wanted).min(MAX_ANNOUNCED.saturating_sub(waiting));
        let count = u8::try_from(count).unwrap_or(u8::MAX);
        self.outbox.push(Action::IssueConnectionIds { count });
        Ok(())
    }
}
