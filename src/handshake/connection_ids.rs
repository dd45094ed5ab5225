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

use super::{Action, Outbox};
use crate::error::{ConnectionIdError, Error, PeerMisbehaved};
use crate::protocol::Unacknowledged;
use crate::protocol::{ConnectionId, ConnectionIds, Epoch, FlightEnd, FlightId, HandshakeType};
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
pub(super) struct GivenConnectionIds {
    /// Whether the peer puts connection IDs into its records, so that this end can give it more.
    gives: bool,
    /// Whether this end puts them into its own, so that the peer can give more.
    takes: bool,
    /// Once either end has given or asked for more, which most never do.
    updates: Option<Box<Updates>>,
}

/// What either end has given, or has asked for, since the handshake.
#[derive(Default)]
struct Updates {
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

impl Updates {
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

impl GivenConnectionIds {
    /// What follows from the hellos; `None` if neither direction carries any.
    pub(super) fn of(agreed: Option<&ConnectionIds>) -> Option<Self> {
        let agreed = agreed?;
        let (gives, takes) = (!agreed.ours.is_empty(), !agreed.theirs.is_empty());
        (gives || takes).then_some(Self {
            gives,
            takes,
            updates: None,
        })
    }

    fn updates(&mut self) -> &mut Updates {
        self.updates.get_or_insert_default()
    }

    pub(super) fn data_came(&mut self) {
        if let Some(updates) = &mut self.updates {
            updates.idle_requests = 0;
        }
    }

    /// The peer has received a flight.
    pub(super) fn delivered(&mut self, delivered: FlightId) {
        if let Some(updates) = &mut self.updates {
            updates.announced.take_if(|id| *id == delivered);
            updates.requested.take_if(|id| *id == delivered);
        }
    }

    /// Whether a message is to be sent and may be.
    pub(super) fn wants_to_begin(&self) -> bool {
        let updates = self.updates.as_ref();
        updates.is_some_and(|it| it.may_announce() || it.may_request())
    }

    /// Sends what is scheduled, each message as a flight of its own: they are acknowledged
    /// independently of each other (RFC 9147 §5.8.4).
    pub(super) fn begin(&mut self, epoch: Epoch, outbox: &mut Outbox) -> Result<(), Error> {
        let Some(updates) = &mut self.updates else {
            return Ok(());
        };
        let end = FlightEnd::AwaitAck(Unacknowledged::Persists);
        if updates.may_announce()
            && !outbox.is_exhausted()
            && let Some(message) = updates.scheduled.take()
        {
            let typ = HandshakeType::NEW_CONNECTION_ID;
            outbox.send_post(epoch, typ, message.encode())?;
            updates.announced = Some(outbox.end_flight(end));
        }
        if updates.may_request()
            && !outbox.is_exhausted()
            && let Some(count) = updates.wanted.take()
        {
            let body = RequestConnectionId(count).encode();
            let typ = HandshakeType::REQUEST_CONNECTION_ID;
            outbox.send_post(epoch, typ, body)?;
            updates.requested = Some(outbox.end_flight(end));
        }
        Ok(())
    }

    /// Whether the peer can be given a connection ID that it uses at once.
    ///
    /// # Errors
    ///
    /// `NotNegotiated` if the peer's records carry none; `Pending` while the peer has not
    /// acknowledged what it was given before.
    pub(super) fn check_renewal(&self) -> Result<(), ConnectionIdError> {
        if !self.gives {
            return Err(ConnectionIdError::NotNegotiated);
        }
        let updates = self.updates.as_ref();
        match updates.is_some_and(|it| it.scheduled.is_some() || it.announced.is_some()) {
            true => Err(ConnectionIdError::Pending),
            false => Ok(()),
        }
    }

    /// Schedules an announcement.
    pub(super) fn announce(&mut self, message: NewConnectionId) {
        if self.gives {
            self.updates().schedule(message);
        }
    }

    /// Schedules a request.
    ///
    /// # Errors
    ///
    /// `NotNegotiated` if this end's records carry none; `Pending` while a request is scheduled, on
    /// its way or unanswered (RFC 9147 §9).
    pub(super) fn request(&mut self, count: u8) -> Result<(), ConnectionIdError> {
        if !self.takes {
            return Err(ConnectionIdError::NotNegotiated);
        }
        let updates = self.updates();
        if updates.wanted.is_some() || updates.requested.is_some() || updates.awaits_answer {
            return Err(ConnectionIdError::Pending);
        }
        updates.wanted = Some(count);
        updates.awaits_answer = true;
        Ok(())
    }

    /// The oldest spare.
    pub(super) fn take_spare(&mut self) -> Option<ConnectionId> {
        self.updates.as_mut()?.spares.pop_front()
    }

    /// What waits for another path.
    #[cfg(test)]
    pub(super) fn spares(&mut self) -> std::collections::vec_deque::Iter<'_, ConnectionId> {
        self.updates().spares.iter()
    }

    /// The peer gives connection IDs.
    pub(super) fn take_given(
        &mut self,
        message: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        // RFC 9147 §9: not by an end that has negotiated to receive none.
        if !self.takes {
            return Err(unexpected(message));
        }
        let new = NewConnectionId::decode(&message.body)?;
        let NewConnectionId { cids, usage } = new.ok_or(PeerMisbehaved::IllegalConnectionId)?;
        let updates = self.updates();
        updates.awaits_answer = false;
        let mut cids = cids.into_iter();
        if usage == ConnectionIdUsage::Immediate
            && let Some(first) = cids.next()
        {
            outbox.push(Action::UseConnectionId(first));
        }
        // RFC 9147 §9: what is too many is dropped.
        let room = MAX_SPARES.saturating_sub(updates.spares.len());
        updates.spares.extend(cids.take(room));
        Ok(())
    }

    /// The peer wants connection IDs. It gets fewer than it asks for if that is too many, but an
    /// answer in any case (RFC 9147 §9).
    pub(super) fn take_request(
        &mut self,
        message: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        // RFC 9147 §9: not by an end that sends none.
        if !self.gives {
            return Err(unexpected(message));
        }
        let RequestConnectionId(wanted) = RequestConnectionId::decode(&message.body)?;
        let updates = self.updates();
        updates.idle_requests += 1;
        if updates.idle_requests > MAX_IDLE_REQUESTS {
            return Err(PeerMisbehaved::TooManyConnectionIdRequests.into());
        }
        let waiting = updates.scheduled.as_ref().map_or(0, |it| it.cids.len());
        let count = usize::from(wanted).min(MAX_ANNOUNCED.saturating_sub(waiting));
        let count = u8::try_from(count).unwrap_or(u8::MAX);
        outbox.push(Action::IssueConnectionIds { count });
        Ok(())
    }
}

fn unexpected(message: &InboundMessage) -> Error {
    let got = message.typ.0;
    PeerMisbehaved::UnexpectedMessage { got }.into()
}
