//! After a handshake of version 1.3: tickets (RFC 8446 §4.6.1) and key updates (RFC 8446 §4.6.3,
//! RFC 9147 §8).
//!
//! ```text
//!  key_update() ─┐
//!  a limit ──────┼─► scheduled ─► KeyUpdate, under the old keys ─► delivered ─► new write keys
//!  asked to ─────┘                     (a stream delivers at once,
//!                                       datagrams when the peer acknowledges)
//!
//!  KeyUpdate of the peer ─► the next read keys, and an answer if it asks for one
//! ```

use super::{Action, Outbox};
use crate::config::Parameters;
use crate::error::{Error, KeyUpdateError, PeerMisbehaved};
use crate::protocol::{
    ConnectionId, Dialect, Epoch, ExtensionType, FlightEnd, FlightId, HandshakeType, ReadSwitch,
    Side, Unacknowledged,
};
use crate::secrets::schedule13::{ExporterSecret, ResumptionSecret, TrafficSecret};
use crate::secrets::traffic::Protections;
use crate::session::{Agreed, MAX_LIFETIME, ServerSessions, Session13};
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
    manners: Manners,
    /// Key updates of the peer since the last data.
    idle_updates: u8,
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
            manners: handover.manners,
            idle_updates: 0,
            outbox: handover.outbox.successor(),
        }
    }

    /// What was agreed.
    pub(crate) const fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
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
    pub(crate) const fn wants_to_begin(&self) -> bool {
        // RFC 9147 §5.8.1: until its last flight is acknowledged, a client does not know whether
        // there is a server at all.
        let free = self.in_flight.is_none() && self.unconfirmed.is_none();
        self.scheduled.is_some() && free && !self.waits_for_data
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
    pub(crate) const fn data_came(&mut self) {
        self.idle_updates = 0;
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
        let last = self.manners.last_epoch;
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

    /// An unused connection ID of the peer's, for a new path.
    pub(crate) fn take_spare(&mut self) -> Option<ConnectionId> {
        None
    }

    /// What is scheduled or on its way.
    pub(crate) fn pending_update(&self) -> Option<KeyUpdate> {
        let in_flight = self.in_flight.map(|(_, update)| update);
        in_flight.or(self.scheduled)
    }

    /// Sends the scheduled KeyUpdate, if none is on its way.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        if !self.wants_to_begin() {
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
        match self.in_flight {
            Some((id, _)) if id == delivered => self.in_flight = None,
            _ => return Ok(()),
        }
        let next = self.write.epoch.next(self.manners.last_epoch);
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

    /// Takes a message of the peer.
    pub(crate) fn handle(&mut self, message: &InboundMessage, now: UnixTime) -> Result<(), Error> {
        // RFC 9147 §8: after a KeyUpdate nothing new is said under the old keys.
        if message.epoch != self.read.epoch {
            return Err(unexpected(message));
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
        let next = before.next(self.manners.last_epoch);
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
            self.waits_for_data = self.manners.answers_with_data && !own;
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
            let Some(ticket) = tickets.seal(&Arc::new(session).into(), now) else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::HashAlgorithm;
    use crate::error::{InvalidMessage, PeerMisbehaved as P};
    use crate::protocol::dialect::{DTLS, TLS};
    use crate::protocol::{AlertDescription, MessageSeq};
    use crate::secrets::schedule13::{Derivation, HandshakeSecret, SecretLog};
    use crate::wire::client_hello::RANDOM_LEN;

    fn post(side: Side) -> Post {
        post_of(&DTLS, side)
    }

    fn post_of(dialect: &'static Dialect, side: Side) -> Post {
        let derivation = Derivation::new(dialect, HashAlgorithm::Sha256);
        let log = SecretLog {
            log: None,
            client_random: &[0; RANDOM_LEN],
        };
        let main = HandshakeSecret::new(derivation, None, b"secret").finish();
        Post::new(Handover {
            manners: Manners::of(dialect, &Parameters::default()),
            unconfirmed: None,
            dialect,
            side,
            agreed: crate::session::test_session_13().agreed,
            exporter: main.exporter(&[0; 32], log),
            resumption: None,
            age_skew: None,
            read: main.traffic(side.peer(), &[0; 32], log),
            write: main.traffic(side, &[0; 32], log),
            outbox: &Outbox::starting_at(MessageSeq(5)),
        })
    }

    fn message(epoch: u64, typ: HandshakeType, body: &[u8]) -> InboundMessage {
        InboundMessage {
            epoch: Epoch::new(epoch),
            seq: MessageSeq(9),
            typ,
            body: body.to_vec(),
        }
    }

    fn update(post: &mut Post, epoch: u64, request: u8) -> Result<(), Error> {
        let message = message(epoch, HandshakeType::KEY_UPDATE, &[request]);
        post.handle(
            &message,
            UnixTime::since_unix_epoch(std::time::Duration::ZERO),
        )
    }

    /// RFC 8446 §4.6.3: neither another value nor another length.
    #[test]
    fn r8446_01_a_key_update_says_zero_or_one() {
        for side in [Side::Client, Side::Server] {
            for request in 2..=255 {
                let error = update(&mut post(side), 3, request).unwrap_err();
                assert_eq!(error.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
            }
            for body in [&[][..], &[0, 0]] {
                let message = message(3, HandshakeType::KEY_UPDATE, body);
                let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
                let error = post(side).handle(&message, now).unwrap_err();
                assert!(
                    matches!(
                        error,
                        Error::InvalidMessage(
                            InvalidMessage::TrailingData(_) | InvalidMessage::MissingData(_)
                        )
                    ),
                    "{error:?}"
                );
            }
        }
    }

    /// RFC 8446 §4.6.3: what is asked for is sent before any more data; several requests get one
    /// answer.
    #[test]
    fn r8446_03_requests_are_answered_once_and_at_once() {
        let mut post = post(Side::Server);
        update(&mut post, 3, 1).unwrap();
        update(&mut post, 4, 1).unwrap();
        assert_eq!(post.pending_update(), Some(KeyUpdate::NotRequested));
        assert!(post.wants_to_begin());
        post.begin().unwrap();
        let sent = std::iter::from_fn(|| post.poll_action())
            .filter(|it| matches!(it, Action::SendMessage { body, .. } if *body == [0]))
            .count();
        assert_eq!(sent, 1);
        assert_eq!(post.read_epoch().number(), 5);
    }

    /// RFC 8446 §4.6.3: an answer asks for nothing, whatever this end had scheduled before it was
    /// asked, by a call or by itself.
    #[test]
    fn r8446_03_an_answer_that_was_scheduled_before_the_request_asks_for_nothing() {
        for dialect in [&DTLS, &TLS] {
            for side in [Side::Client, Side::Server] {
                for automatic in [false, true] {
                    let mut post = post_of(dialect, side);
                    match automatic {
                        true => post.schedule_automatic(),
                        false => post.schedule(KeyUpdate::Requested).unwrap(),
                    }
                    update(&mut post, 3, 1).unwrap();
                    assert_eq!(post.pending_update(), Some(KeyUpdate::NotRequested));
                    post.begin().unwrap();
                    let said: Vec<_> = std::iter::from_fn(|| post.poll_action())
                        .filter_map(|it| match it {
                            Action::SendMessage { body, .. } => Some(body),
                            _ => None,
                        })
                        .collect();
                    assert_eq!(said, [[0]], "{side} {automatic}");
                }
            }
        }
    }

    /// RFC 9147 §8: after a KeyUpdate nothing new is said under the old keys.
    #[test]
    fn r9147_43_a_new_message_under_the_old_keys_is_a_fault() {
        let mut post = post(Side::Client);
        update(&mut post, 3, 0).unwrap();
        let error = update(&mut post, 3, 0).unwrap_err();
        assert_eq!(error.alert(), Some(AlertDescription::UNEXPECTED_MESSAGE));
    }

    /// RFC 9147 §8: epochs end before they wrap (G2). The call says so; a peer that goes on is at
    /// fault.
    #[test]
    fn r9147_45_epochs_end() {
        let mut writer = post(Side::Client);
        writer.write.epoch = Epoch::LIMIT_13;
        let outcome = writer.schedule(KeyUpdate::NotRequested);
        assert_eq!(outcome, Err(KeyUpdateError::EpochsExhausted));
        let mut reader = post(Side::Client);
        let last = Epoch::LIMIT_13.number();
        reader.read.epoch = Epoch::new(last - 1);
        update(&mut reader, last - 1, 0).unwrap();
        let beyond = P::TooManyKeyUpdates.into();
        assert_eq!(update(&mut reader, last, 0), Err(beyond));
        assert_eq!(reader.read_epoch().number(), last);
    }

    /// RFC 8446 §4.1.2, §4.6.2: nothing else has a place after the handshake.
    #[test]
    fn r8446_10_r8446_11_other_messages_are_unexpected() {
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        for side in [Side::Client, Side::Server] {
            for number in 0..=255 {
                let known = number == HandshakeType::KEY_UPDATE.0
                    || side == Side::Client && number == HandshakeType::NEW_SESSION_TICKET.0;
                if known {
                    continue;
                }
                let stray = message(3, HandshakeType(number), &[]);
                let error = post(side).handle(&stray, now).unwrap_err();
                assert_eq!(error, P::UnexpectedMessage { got: number }.into());
            }
        }
    }
}
