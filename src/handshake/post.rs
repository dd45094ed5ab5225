//! After a handshake of version 1.3: tickets (RFC 8446 §4.6.1), key updates (RFC 8446 §4.6.3,
//! RFC 9147 §8) and [connection IDs](super::connection_ids) (RFC 9147 §9).
//!
//! ```text
//!  key_update() ─┐
//!  a limit ──────┼─► scheduled ─► KeyUpdate, under the old keys ─► delivered ─► new write keys
//!  asked to ─────┘                     (a stream delivers at once,
//!                                       datagrams when the peer acknowledges)
//!
//!  KeyUpdate of the peer ─► the next read keys, and an answer if it asks for one
//! ```

#[cfg(test)]
mod tests;

use super::connection_ids::GivenConnectionIds;
use super::{Action, Outbox};
use crate::config::Parameters;
use crate::error::{ConnectionIdError, Error, KeyUpdateError, PeerMisbehaved};
use crate::protocol::{
    ConnectionId, ConnectionIds, Dialect, Epoch, ExtensionType, FlightEnd, FlightId, HandshakeType,
    ReadSwitch, Side, Unacknowledged,
};
use crate::secrets::schedule13::{ExporterSecret, ResumptionSecret, TrafficSecret};
use crate::secrets::traffic::Protections;
use crate::session::{Agreed, MAX_LIFETIME, ServerSessions, Session13};
use crate::wire::connection_id_update::{ConnectionIdUsage, NewConnectionId};
use crate::wire::handshake::InboundMessage;
use crate::wire::key_update::KeyUpdate;
use crate::wire::new_session_ticket::NewSessionTicket13;
use pki_types::UnixTime;
use std::sync::Arc;

/// How many key updates the peer may make between two pieces of data. Each costs this end a key
/// schedule.
const MAX_IDLE_UPDATES: u8 = 32;

/// What one direction is protected with.
struct Direction {
    epoch: Epoch,
    secret: TrafficSecret,
}

impl Direction {
    /// Moves to the next generation (RFC 8446 §7.2).
    fn advance(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.secret = self.secret.next();
    }
}

/// An established association of version 1.3.
pub(crate) struct Post {
    dialect: &'static Dialect,
    side: Side,
    agreed: Arc<Agreed>,
    exporter: ExporterSecret,
    /// What a client makes the keys of tickets from.
    resumption: Option<ResumptionSecret>,
    /// By how much the ticket that a server has accepted was older by the client's clock, in
    /// seconds.
    age_skew: Option<i32>,
    /// A client's newest ticket.
    latest: Option<Arc<Session13>>,
    read: Direction,
    write: Direction,
    /// A key update that the next I/O begins: this end's own, or the answer that it owes.
    scheduled: Option<KeyUpdate>,
    /// The key update that is on its way to the peer.
    in_flight: Option<(FlightId, KeyUpdate)>,
    /// What is scheduled is an answer that waits for data.
    waits_for_data: bool,
    /// This end has asked for the peer's key update and has not seen it.
    awaits_answer: bool,
    /// The client's last flight, while the server has not acknowledged it.
    unconfirmed: Option<FlightId>,
    /// See [`Manners`].
    last_epoch: Epoch,
    answers_with_data: bool,
    /// Key updates of the peer since the last data.
    idle_updates: u8,
    /// `None` where records carry no connection IDs in either direction.
    connection_ids: Option<GivenConnectionIds>,
    outbox: Outbox,
}

/// How key updates go on an association.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    last_epoch: Epoch,
    answers_with_data: bool,
}

impl Manners {
    pub(super) fn of(dialect: &Dialect, parameters: &Parameters) -> Self {
        Self {
            last_epoch: if dialect.acknowledges {
                parameters.conformance.last_epoch()
            } else {
                Epoch::LIMIT_13
            },
            answers_with_data: parameters.conformance.answer_key_updates_with_data,
        }
    }
}

/// What a handshake hands over.
pub(super) struct Handover<'a> {
    pub(super) manners: Manners,
    pub(super) unconfirmed: Option<FlightId>,
    pub(super) dialect: &'static Dialect,
    pub(super) side: Side,
    pub(super) agreed: Arc<Agreed>,
    pub(super) exporter: ExporterSecret,
    pub(super) resumption: Option<ResumptionSecret>,
    pub(super) age_skew: Option<i32>,
    pub(super) connection_ids: Option<ConnectionIds>,
    pub(super) read: TrafficSecret,
    pub(super) write: TrafficSecret,
    pub(super) outbox: &'a Outbox,
}

impl Post {
    pub(super) fn new(handover: Handover<'_>) -> Self {
        let epoch = Epoch::APPLICATION_13;
        Self {
            dialect: handover.dialect,
            side: handover.side,
            agreed: handover.agreed,
            exporter: handover.exporter,
            resumption: handover.resumption,
            age_skew: handover.age_skew,
            latest: None,
            read: Direction {
                epoch,
                secret: handover.read,
            },
            write: Direction {
                epoch,
                secret: handover.write,
            },
            scheduled: None,
            in_flight: None,
            waits_for_data: false,
            awaits_answer: false,
            unconfirmed: handover
                .unconfirmed
                .filter(|_| handover.dialect.acknowledges),
            last_epoch: handover.manners.last_epoch,
            answers_with_data: handover.manners.answers_with_data,
            idle_updates: 0,
            connection_ids: GivenConnectionIds::of(handover.connection_ids.as_ref()),
            outbox: handover.outbox.successor(),
        }
    }

    /// What was agreed.
    pub(crate) const fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
    }

    /// What the handshake has agreed on, without the keys.
    pub(super) fn into_agreed(self) -> Arc<Agreed> {
        self.agreed
    }

    /// The epoch that this end writes in.
    pub(crate) const fn write_epoch(&self) -> Epoch {
        self.write.epoch
    }

    /// The epoch that the peer writes in.
    pub(crate) const fn read_epoch(&self) -> Epoch {
        self.read.epoch
    }

    /// What keys are exported from.
    pub(crate) const fn exporter(&self) -> &ExporterSecret {
        &self.exporter
    }

    /// What the records of both directions are protected with.
    pub(super) fn protections(&self) -> Protections {
        let of = |it: &Direction| {
            let protection = it.secret.protection(self.dialect, self.agreed.suite.aead);
            (it.epoch, protection)
        };
        Protections {
            read: of(&self.read),
            write: of(&self.write),
        }
    }

    /// What this end reads and writes with.
    pub(crate) fn secrets(&self) -> (&[u8], &[u8]) {
        (self.read.secret.as_bytes(), self.write.secret.as_bytes())
    }

    /// By how much the ticket that a server has accepted was older by the client's clock, in
    /// seconds.
    pub(crate) const fn ticket_age_skew(&self) -> Option<i32> {
        self.age_skew
    }

    /// A client's newest ticket.
    pub(crate) const fn latest_ticket(&self) -> Option<&Arc<Session13>> {
        self.latest.as_ref()
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        let action = self.outbox.pop();
        if action.is_none() {
            self.outbox.release();
        }
        action
    }

    /// Whether the outbox holds something, or would if it were asked to begin.
    #[inline]
    pub(crate) fn wants_to_begin(&self) -> bool {
        let wanted = self.scheduled.is_some() && !self.waits_for_data;
        self.is_free() && (wanted || self.wants_connection_ids())
    }

    fn wants_connection_ids(&self) -> bool {
        let ids = self.connection_ids.as_ref();
        ids.is_some_and(GivenConnectionIds::wants_to_begin) && !self.outbox.is_exhausted()
    }

    /// Whether something new can be said under the keys that this end writes with.
    const fn is_free(&self) -> bool {
        // RFC 9147 §5.8.1: until its last flight is acknowledged, a client does not know whether
        // there is a server at all. RFC 9147 §8: after a KeyUpdate the peer takes messages under
        // the keys that follow, and those are not in use before it is acknowledged.
        self.in_flight.is_none() && self.unconfirmed.is_none()
    }

    /// Whether a client does not know yet that the server has its last flight (RFC 9147 §5.8.1).
    pub(crate) const fn awaits_confirmation(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// Data is about to be sent. Whether an answer has waited for that.
    #[inline]
    pub(crate) const fn data_goes(&mut self) -> bool {
        std::mem::replace(&mut self.waits_for_data, false)
    }

    /// Data has come: the peer does not only update keys.
    pub(crate) fn data_came(&mut self) {
        self.idle_updates = 0;
        if let Some(ids) = &mut self.connection_ids {
            ids.data_came();
        }
    }

    /// Schedules a key update.
    ///
    /// # Errors
    ///
    /// `Pending` while one is scheduled or on its way, or a request is unanswered
    /// (RFC 9846 §4.7.3); `EpochsExhausted`.
    pub(crate) fn schedule(&mut self, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        let unanswered = self.awaits_answer && update == KeyUpdate::Requested;
        // An answer that waits for data can be replaced: any update answers the request.
        let scheduled = self.scheduled.is_some() && !self.waits_for_data;
        if scheduled || self.in_flight.is_some() || unanswered {
            return Err(KeyUpdateError::Pending);
        }
        let last = self.last_epoch;
        if self.outbox.is_exhausted() || self.write.epoch.next(last).is_none() {
            return Err(KeyUpdateError::EpochsExhausted);
        }
        self.scheduled = Some(update);
        self.waits_for_data = false;
        Ok(())
    }

    /// Schedules new keys for both directions, or for this end's alone while the peer still owes
    /// its own.
    pub(crate) fn schedule_automatic(&mut self) {
        // What is pending brings new keys as well; where no epoch is left, the records end with an
        // error of their own.
        let _pending = self
            .schedule(KeyUpdate::Requested)
            .or_else(|_| self.schedule(KeyUpdate::NotRequested));
    }

    /// What is scheduled or on its way.
    pub(crate) fn pending_update(&self) -> Option<KeyUpdate> {
        let in_flight = self.in_flight.map(|(_, update)| update);
        in_flight.or(self.scheduled)
    }

    /// Sends what is scheduled, as far as nothing is on its way that it must wait for.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        if !self.is_free() {
            return Ok(());
        }
        // Before the KeyUpdate, which ends what is said under these keys.
        if let Some(ids) = &mut self.connection_ids {
            ids.begin(self.write.epoch, &mut self.outbox)?;
        }
        if self.waits_for_data {
            return Ok(());
        }
        let Some(update) = self.scheduled.take() else {
            return Ok(());
        };
        let typ = HandshakeType::KEY_UPDATE;
        self.outbox
            .send_post(self.write.epoch, typ, update.encode())?;
        let end = FlightEnd::AwaitAck(Unacknowledged::Persists);
        let id = self.outbox.end_flight(end);
        self.in_flight = Some((id, update));
        self.awaits_answer |= update == KeyUpdate::Requested;
        Ok(())
    }

    /// The peer has received a flight. If it was the KeyUpdate, the new keys are used from now on
    /// (RFC 9147 §8).
    pub(crate) fn delivered(&mut self, delivered: FlightId) -> Result<(), Error> {
        if self.unconfirmed == Some(delivered) {
            self.unconfirmed = None;
        }
        if let Some(ids) = &mut self.connection_ids {
            ids.delivered(delivered);
        }
        match self.in_flight {
            Some((id, _)) if id == delivered => self.in_flight = None,
            _ => return Ok(()),
        }
        let next = self.write.epoch.next(self.last_epoch);
        self.write.advance(next.ok_or(Error::KeyExhausted)?);
        let protection = self
            .write
            .secret
            .protection(self.dialect, self.agreed.suite.aead);
        self.outbox.push(Action::InstallWrite {
            epoch: self.write.epoch,
            protection,
        });
        self.outbox.push(Action::KeysUpdated { side: self.side });
        Ok(())
    }

    /// Whether the peer can be given a connection ID that it uses at once.
    ///
    /// # Errors
    ///
    /// `NotNegotiated` if the peer's records carry none; `Pending` while the peer has not
    /// acknowledged what it was given before.
    pub(crate) fn check_renewal(&self) -> Result<(), ConnectionIdError> {
        let ids = self.connection_ids.as_ref();
        ids.ok_or(ConnectionIdError::NotNegotiated)?.check_renewal()
    }

    /// Schedules the announcement of connection IDs that records are found by already. While an
    /// earlier one is not acknowledged it waits.
    pub(crate) fn announce(&mut self, cids: Vec<ConnectionId>, usage: ConnectionIdUsage) {
        if let Some(ids) = &mut self.connection_ids {
            ids.announce(NewConnectionId { cids, usage });
        }
    }

    /// Schedules a request for connection IDs of the peer's.
    ///
    /// # Errors
    ///
    /// `NotNegotiated` if this end's records carry none; `Pending` while a request is scheduled, on
    /// its way or unanswered (RFC 9147 §9).
    pub(crate) fn request_connection_ids(&mut self, count: u8) -> Result<(), ConnectionIdError> {
        let ids = self.connection_ids.as_mut();
        ids.ok_or(ConnectionIdError::NotNegotiated)?.request(count)
    }

    /// A connection ID of the peer's that was not used yet, for another path; the oldest first.
    pub(crate) fn take_spare(&mut self) -> Option<ConnectionId> {
        self.connection_ids.as_mut()?.take_spare()
    }

    /// What of the peer's waits for another path.
    #[cfg(test)]
    pub(crate) fn spare_ids(&mut self) -> std::collections::vec_deque::Iter<'_, ConnectionId> {
        self.connection_ids.as_mut().unwrap().spares()
    }

    /// Takes a message of the peer.
    pub(crate) fn handle(&mut self, message: &InboundMessage, now: UnixTime) -> Result<(), Error> {
        // RFC 9147 §8: after a KeyUpdate nothing new is said under the old keys.
        if message.epoch != self.read.epoch {
            return Err(unexpected(message));
        }
        let outbox = &mut self.outbox;
        match (message.typ, &mut self.connection_ids) {
            (HandshakeType::NEW_CONNECTION_ID, Some(ids)) => {
                return ids.take_given(message, outbox);
            }
            (HandshakeType::REQUEST_CONNECTION_ID, Some(ids)) => {
                return ids.take_request(message, outbox);
            }
            _ => {}
        }
        match (message.typ, self.side) {
            (HandshakeType::KEY_UPDATE, _) => self.take_update(&message.body),
            (HandshakeType::NEW_SESSION_TICKET, Side::Client) => {
                self.take_ticket(&message.body, now)
            }
            _ => Err(unexpected(message)),
        }
    }

    fn take_update(&mut self, body: &[u8]) -> Result<(), Error> {
        // RFC 8446 §4.6.3: any other value is an illegal parameter.
        let update = KeyUpdate::decode(body)?.ok_or(PeerMisbehaved::IllegalKeyUpdate)?;
        self.idle_updates += 1;
        if self.idle_updates > MAX_IDLE_UPDATES {
            return Err(PeerMisbehaved::TooManyKeyUpdates.into());
        }
        let before = self.read.epoch;
        let next = before.next(self.last_epoch);
        self.read
            .advance(next.ok_or(PeerMisbehaved::TooManyKeyUpdates)?);
        let protection = self
            .read
            .secret
            .protection(self.dialect, self.agreed.suite.aead);
        self.outbox.push(Action::InstallRead {
            epoch: self.read.epoch,
            protection,
            when: ReadSwitch::Now,
        });
        self.outbox.push(Action::RetireRead(before));
        self.outbox.push(Action::KeysUpdated {
            side: self.side.peer(),
        });
        self.awaits_answer = false;
        // RFC 8446 §4.6.3: several requests may get one answer. An update that is scheduled anyway
        // is one, and then it asks for nothing either: the peer, which would have been asked, has
        // just changed its keys.
        if update == KeyUpdate::Requested {
            let own = self.scheduled.is_some() && !self.waits_for_data;
            self.scheduled = Some(KeyUpdate::NotRequested);
            self.waits_for_data = self.answers_with_data && !own;
        }
        Ok(())
    }

    fn take_ticket(&mut self, body: &[u8], now: UnixTime) -> Result<(), Error> {
        let NewSessionTicket13 {
            lifetime,
            age_add,
            nonce,
            ticket,
            grease: _,
        } = NewSessionTicket13::decode(body)?;
        // RFC 8446 §4.6.1: zero means at once, and a week is the most; here it is a day
        // (RFC 5246 §F.1.4).
        let lifetime = lifetime.min(MAX_LIFETIME);
        let Some(resumption) = self.resumption.as_ref().filter(|_| lifetime > 0) else {
            return Ok(());
        };
        let session = Arc::new(Session13 {
            agreed: self.agreed.clone(),
            psk: resumption.psk(&nonce),
            issued: now.as_secs(),
            lifetime,
            age_add,
            ticket,
        });
        self.latest = Some(session.clone());
        self.outbox.push(Action::SaveSession(session.into()));
        Ok(())
    }

    /// Sends a server's tickets, each of which has a key of its own.
    pub(super) fn issue_tickets(
        &mut self,
        sessions: &ServerSessions,
        greases: bool,
        resumption: &ResumptionSecret,
        random: &dyn Fn(&mut [u8]) -> Result<(), Error>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(tickets) = &sessions.tickets else {
            return Ok(());
        };
        let wanted = usize::from(sessions.tickets_per_handshake);
        let mut fresh = vec![[0; 5]; wanted];
        random(fresh.as_flattened_mut())?;
        let mut sent = false;
        for (number, [a, b, c, d, salt]) in (0..).zip(fresh) {
            let nonce = vec![number];
            let session = Session13 {
                agreed: self.agreed.clone(),
                psk: resumption.psk(&nonce),
                issued: now.as_secs(),
                lifetime: sessions.lifetime(),
                age_add: u32::from_be_bytes([a, b, c, d]),
                ticket: Vec::new(),
            };
            let (lifetime, age_add) = (session.lifetime, session.age_add);
            let sealed = tickets.seal(&Arc::new(session).into(), now);
            let Some(ticket) = sealed.filter(|it| it.len() <= self.dialect.longest_ticket_13)
            else {
                break;
            };
            let mut body = Vec::with_capacity(ticket.len() + 16);
            NewSessionTicket13 {
                lifetime,
                age_add,
                nonce,
                ticket,
                grease: greases.then(|| ExtensionType::grease(salt)),
            }
            .encode(&mut body);
            let typ = HandshakeType::NEW_SESSION_TICKET;
            self.outbox.send_post(self.write.epoch, typ, body)?;
            sent = true;
        }
        if sent {
            self.outbox
                .end_flight(FlightEnd::AwaitAck(Unacknowledged::Forgets));
        }
        Ok(())
    }
}

fn unexpected(message: &InboundMessage) -> Error {
    let got = message.typ.0;
    // RFC 8446 §4.1.2, §4.6.2: no ClientHello, no HelloRequest, and no request for a certificate
    // that was not offered.
    PeerMisbehaved::UnexpectedMessage { got }.into()
}
