//! One association: a record layer, a handshake while there is one, and the pump between them.
//!
//! - What it does, and what ends when it does something else: [`phase`] with [`first`], the first
//!   handshake, and [`attempt`], a renegotiation.
//! - What begins and ends a renegotiation: [`renegotiate`], and [`silence`] with [`wait`] where the
//!   peer says nothing. What outlives it: [`rekeying`]. Key updates of version 1.3: [`key_update`].
//! - A first handshake that begins again: [`afresh`]. What the engine asks: [`questions`].
//! - Data: [`data`]. The end: [`close`]. Inputs and outputs: [`datagram`] and [`stream`].

mod afresh;
mod attempt;
mod blame;
mod client_certificate;
mod close;
mod connection_ids;
mod data;
mod datagram;
mod event;
mod export;
mod first;
mod former;
mod getters;
mod key_update;
mod path_check;
mod phase;
mod questions;
mod rekeying;
mod renegotiate;
mod role;
mod silence;
mod span;
mod stream;
mod wait;

#[cfg(test)]
mod tests;

pub(crate) use connection_ids::{ConnectionIdIssuer, Issuer};
pub use datagram::{Taken, Transmit};
pub use event::{Event, HandshakeKind, PathChange, RenegotiationRefusal};
pub use export::{ExportedSecret, TrafficSecrets};

use crate::config::RenegotiationRefusals;
use crate::error::{Error, Failure, PeerMisbehaved};
use crate::handshake::post::Post;
use crate::handshake::{Action, Completed, Handled, Handshake, Input, NotTaken};
use crate::protocol::{
    Alert, AlertDescription, Epoch, HandshakeType, MessageSeq, RecordNumber, Side,
};
use crate::record::{Datagram, Discard, GaveUp, Inbound, RecordLayer, Sent, Stream};
use crate::session::{Resumable, Session, Session12};
use crate::wire::handshake::InboundMessage;
use afresh::Doubt;
use data::{ReceiveQueue, SendQueue};
use event::Events;
use first::First;
use former::Former;
use path_check::PathCheck;
use phase::Phase;
use rekeying::Rekeying;
use role::Role;
use std::fmt;
use std::task::Waker;
use std::time::Instant;
use wait::Wait;

/// An association over datagrams: DTLS.
pub type DtlsConnection = Connection<Datagram>;

/// A connection over a byte stream: TLS.
pub type TlsConnection = Connection<Stream>;

/// One association with one peer, without I/O: bytes and the time go in; bytes, events and a
/// deadline come out.
///
/// # Contract
///
/// Call inputs (`handle_*`) and commands (`send`, `close`) whenever you like; then drain
/// `poll_transmit`, then `poll_event`, then ask `poll_timeout` and call `handle_timeout` when that
/// moment has come. After `handle_timeout(t)`, `poll_timeout() > t`. Where a key, a verifier or
/// another source of answers takes its time, call [`Connection::handle_answers`] when an answer may
/// have come.
///
/// An `Err` from an input is fatal to this association and is given once; drain `poll_transmit`
/// afterwards to send the alert, and see [`Connection::failure`] for the circumstances. Datagrams
/// that do not authenticate are counted in [`Connection::stats`], never errors. Time must not go
/// backwards.
///
/// The connection owns all buffers except those that are handed to `handle_datagram` and
/// `poll_transmit`.
pub struct Connection<R: RecordLayer> {
    records: R,
    role: Role,
    /// Who issues the connection IDs that the peer is to use.
    issuer: Issuer,
    phase: Phase,
    rekeying: Rekeying,
    events: Events,
    received: ReceiveQueue,
    /// Data that waits for the end of a renegotiation.
    held: Option<Box<SendQueue>>,
    /// What is woken when an answer comes that a handshake awaits.
    waker: Option<Box<Waker>>,
    /// Warnings since the last data, against floods (C11).
    warnings: u8,
    write_closed: bool,
    /// The record in which the peer said that no data follows.
    read_closed: Option<Box<RecordNumber>>,
    failure: Option<Box<Failure>>,
    /// While it is found out whether the peer has moved.
    path_check: Option<Box<PathCheck>>,
    /// Identities of the peer that were in force before this one.
    former: Option<Box<Former>>,
    span: Option<Box<tracing::Span>>,
}

impl<R: RecordLayer> Connection<R> {
    fn new(now: Instant, records: R, role: Role, handshake: Handshake) -> Self {
        let wait = Wait::new(now, records.limits().handshake_deadline);
        Self {
            span: span::of(role.side(), records.peer()),
            records,
            role,
            issuer: None,
            phase: Phase::Initial(Box::new(First::new(handshake, wait))),
            rekeying: Rekeying::new(now),
            events: Events::default(),
            received: ReceiveQueue::default(),
            held: None,
            waker: None,
            warnings: 0,
            write_closed: false,
            read_closed: None,
            failure: None,
            path_check: None,
            former: None,
        }
    }

    /// The next event, until there is none.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Connection::handle_timeout`] wants to be called; `None` if nothing is to be done
    /// without input.
    ///
    /// Any input or command may change the answer. An association over datagrams that is used is
    /// looked at every half minute: one that was not used for so long puts its keys away, which
    /// gives back a third of its memory, and has no deadline for that until they are needed again.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let Phase::Closed { .. } = self.phase {
            return None;
        }
        let deadlines = [
            self.records.poll_timeout(),
            self.phase.poll_timeout(),
            self.path_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due at `now`: retransmission, deadlines, forgetting. Too early a call does
    /// nothing.
    ///
    /// # Errors
    ///
    /// Both are fatal: [`Error::TimedOut`] if the handshake has taken too long or its messages were
    /// repeated too often, and [`Error::Unacknowledged`] if it is complete but the peer does not
    /// acknowledge this end's last flight.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Phase::Closed { .. } = self.phase {
            return Ok(());
        }
        let _span = self.enter_span();
        self.handle_answers(now)?;
        self.resolve_doubt(now)?;
        self.try_smaller_hello(now)?;
        let late = self.phase.wait().is_some_and(|wait| wait.is_over(now));
        let gave_up = matches!(self.records.handle_timeout(now), Err(GaveUp));
        if late || gave_up {
            self.give_up(now)?;
        }
        self.end_hold(now);
        self.go_on_checking(now)?;
        self.start_wanted(now)?;
        if self.records.is_unused(now)
            && let Phase::Established { current, .. } = &self.phase
        {
            self.records.put_away(current.protections(self.role.side()));
        }
        if self.records.poll_timeout().is_none() {
            self.received.release();
            self.events.shrink_to_fit();
        }
        Ok(())
    }

    /// The peer has gone silent.
    fn give_up(&mut self, now: Instant) -> Result<(), Error> {
        if self.survives_silence(now) {
            return Ok(());
        }
        // A ticket that must be acknowledged is sent when the handshake is complete, and nothing
        // else waits for it.
        let after = match self.phase.wait() {
            Some(wait) => wait.lasted(now),
            None => self.rekeying.since_handshake(now),
        };
        let retransmissions = self.records.retransmissions();
        if let Phase::Established { .. } = self.phase {
            return Err(self.fail(Error::Unacknowledged {
                after,
                retransmissions,
            }));
        }
        let handshake = self.phase.handshake();
        let resuming = handshake.is_some_and(|handshake| handshake.is_resuming());
        let suspicion = self.suspicion();
        Err(self.fail(Error::TimedOut {
            after,
            retransmissions,
            unauthenticated_alert: self.records.disbelieved_alert(),
            resuming,
            suspicion,
        }))
    }

    /// A ClientHello has come from the server's address. Anybody can send one, so the handshake
    /// goes on, and after the first answer of the server it means nothing.
    pub(crate) fn hellos_cross(&mut self) {
        if let Phase::Initial(first) = &mut self.phase
            && first.handshake.is_unanswered()
            && !std::mem::replace(&mut first.hellos_cross, true)
        {
            let peer = self.records.peer();
            tracing::warn!(
                ?peer,
                "a ClientHello where a server's answer was awaited: both ends connect"
            );
        }
    }

    /// Performs what the engine wants, then looks at everything that came, until both are quiet.
    #[inline]
    fn pump(&mut self, now: Instant, input: &mut R::Input) -> Result<(), Error> {
        let _span = self.enter_span();
        match self.pump_until_quiet(now, input) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    #[inline]
    fn pump_until_quiet(&mut self, now: Instant, input: &mut R::Input) -> Result<(), Error> {
        if let Phase::Initial(_) = self.phase {
            self.perform(now)?;
        }
        if self.awaits_answer() {
            self.take_answer(now)?;
        }
        if self.role.side() == Side::Client {
            self.start_wanted_step(now)?;
        }
        while !(self.records.intake_can_stop() && self.intake_stops())
            && let Some(inbound) = self.records.next_inbound(now, input)?
        {
            match inbound {
                Inbound::ApplicationData(data) => self.take_data(now, data),
                Inbound::Handshake(message) => self.take_message(now, message)?,
                Inbound::Alert {
                    alert,
                    error,
                    number,
                } => self.take_alert(now, alert, error, number)?,
                Inbound::FlightDelivered(id) => self.flight_delivered(now, id)?,
                Inbound::PathMessage { path, contents } => {
                    self.take_path_message(now, path, &contents)?;
                }
            }
        }
        self.follow_path(now)?;
        self.conclude(now)
    }

    /// Everything that came was looked at: begins what has come to be wanted.
    #[inline]
    fn conclude(&mut self, now: Instant) -> Result<(), Error> {
        if self.is_attacked() {
            self.escape_forgeries(now);
        }
        // A server first looks whether its client has begun: a HelloRequest that crosses a hello is
        // one too many, and clients of OpenSSL and LibreSSL wait for ever after one.
        match self.role.side() {
            Side::Client => self.begin_key_update(now),
            Side::Server => self.start_wanted_step(now),
        }
    }

    /// Whether what has come waits, or means nothing any more.
    #[inline]
    fn intake_stops(&self) -> bool {
        self.is_full() || self.awaits_answer() || matches!(self.phase, Phase::Closed { .. })
    }

    #[cold]
    fn take_message(&mut self, now: Instant, message: InboundMessage) -> Result<(), Error> {
        if let Phase::Established { .. } | Phase::Requested { .. } = self.phase {
            return match self.phase.post() {
                Some(post) => {
                    post.handle(&message, self.role.parameters().clock.unix_now())?;
                    self.perform(now)
                }
                None => self.take_wish(now, message),
            };
        }
        let client = self.role.side() == Side::Client;
        let Some(handshake) = self.phase.handshake() else {
            return Ok(());
        };
        // RFC 5246 §7.4.1.1: a client that is already negotiating ignores it, unless its policy is
        // to fail.
        if client && message.typ == HandshakeType::HELLO_REQUEST {
            let refusals = self.role.parameters().conformance.refusals;
            if !R::DIALECT.overtakes && refusals == RenegotiationRefusals::Fail {
                let got = message.typ.0;
                return Err(PeerMisbehaved::UnexpectedMessage { got }.into());
            }
            self.records.stats_mut().discard(Discard::UnexpectedMessage);
            return Ok(());
        }
        let state = handshake.state_name();
        let (epoch, seq, typ) = (message.epoch, message.seq, message.typ);
        tracing::debug!(state, %typ, ?seq, %epoch, "message");
        match handshake.handle(Input::Handshake(message))? {
            Handled::Taken => {
                self.taken(now);
                self.peer_spoke(now);
                self.perform(now)?;
                self.attempt_went_on(now);
                Ok(())
            }
            Handled::NotTaken(why) => self.refuse_message(epoch, seq, typ, why),
        }
    }

    /// A message that has no place: noise in plaintext, a fault of the peer under keys.
    fn refuse_message(
        &mut self,
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        why: NotTaken,
    ) -> Result<(), Error> {
        if typ == HandshakeType::CLIENT_HELLO {
            self.hellos_cross();
        }
        let cause = match why {
            NotTaken::Unexpected | NotTaken::Doubtful(_) => Discard::UnexpectedMessage,
            NotTaken::Undecodable(_) => Discard::UndecodableMessage,
        };
        if !self.records.refuse(epoch, seq, cause) {
            if let (NotTaken::Doubtful(error), Phase::Initial(first)) = (why, &mut self.phase) {
                first.doubt = Some(Box::new(Doubt::Unfit(error)));
            }
            return Ok(());
        }
        Err(match why {
            NotTaken::Unexpected => PeerMisbehaved::UnexpectedMessage { got: typ.0 }.into(),
            NotTaken::Undecodable(fact) => fact.into(),
            NotTaken::Doubtful(error) => error,
        })
    }

    /// Performs the engine's actions, strictly in order.
    #[cold]
    fn perform(&mut self, now: Instant) -> Result<(), Error> {
        while let Some(action) = self.phase.next_action() {
            match action {
                Action::ForgetAhead => self.records.forget_ahead(),
                Action::VersionDecided(version) => self.records.version_decided(version),
                Action::ConnectionIdsAgreed(ids) => self.records.connection_ids_agreed(ids),
                Action::LimitRecords(limits) => {
                    if self.records.limit_records(limits) {
                        self.tell_max_payload();
                    }
                }
                Action::UseConnectionId(theirs) => self.records.use_connection_id(theirs),
                Action::IssueConnectionIds { count } => self.issue_connection_ids(count)?,
                Action::SendMessage {
                    epoch,
                    seq,
                    typ,
                    body,
                } => {
                    self.records.send_message(epoch, seq, typ, body);
                }
                Action::SendChangeCipherSpec { epoch } => {
                    if let Phase::Renegotiating { attempt, .. } = &mut self.phase {
                        attempt.point_of_no_return();
                    }
                    self.records.send_change_cipher_spec(epoch);
                }
                Action::InstallWrite { epoch, protection } => {
                    self.records.install_write(epoch, protection)
                }
                Action::InstallRead {
                    epoch,
                    protection,
                    when,
                } => {
                    self.records.install_read(epoch, protection, when);
                }
                Action::SkipEarlyData => self.records.skip_early_data(),
                Action::RetireRead(epoch) => self.records.retire_read(now, epoch),
                Action::EndFlight { id, end } => {
                    if self.records.end_flight(now, id, end) == Sent::Delivered {
                        self.delivered(id)?;
                    }
                }
                Action::RepeatFlight => self.records.repeat_flight(now),
                Action::Ask(question) => self.ask(now, question)?,
                Action::SaveSession(session) => {
                    if let Session(Resumable::V13(_)) = session {
                        self.events.push_back(Event::TicketReceived);
                    }
                    self.role.save_session(R::DIALECT, session);
                }
                Action::KeysUpdated { side } => self.keys_updated(now, side),
                Action::Completed(established) => self.commit(now, established),
            }
        }
        Ok(())
    }

    /// New keys are in force.
    fn commit(&mut self, now: Instant, established: Box<Completed>) {
        self.records_established(now, established.epoch());
        self.remember_identity(&established);
        // RFC 9147 §5.8.1: until a client's last flight is acknowledged, the server may be gone.
        // The acknowledgement is awaited for as long again as the handshake, which is over.
        let post = established.post_ref();
        let awaits_ack = post.is_some_and(Post::awaits_confirmation);
        let deadline = self.records.limits().handshake_deadline;
        let unconfirmed = awaits_ack.then(|| Box::new(Wait::new(now, deadline)));
        let kind = HandshakeKind::of(&established.outcome);
        let limit = established.agreed().suite.aead.confidentiality_limit();
        let policy = &self.role.parameters().rekey;
        self.rekeying.committed(now, policy, limit);
        let next = Phase::Established {
            current: established,
            wanted: None,
            unconfirmed,
        };
        let (initiator, early) = match std::mem::replace(&mut self.phase, next) {
            Phase::Initial(first) => (None, first.early),
            Phase::Renegotiating { attempt, .. } => (Some(attempt.course.initiator), attempt.early),
            _ => (None, ReceiveQueue::default()),
        };
        if let Some(initiator) = initiator {
            self.records.stats_mut().renegotiations(initiator).completed += 1;
        }
        self.events.push_back(Event::HandshakeComplete {
            kind,
            renegotiation: initiator.is_some(),
        });
        self.release_early(now, early);
        self.release_held(now);
        if self.read_closed.is_some() && !self.write_closed {
            self.confirm_peer_closed();
        }
    }

    #[cold]
    fn take_alert(
        &mut self,
        now: Instant,
        alert: Alert,
        error: bool,
        number: RecordNumber,
    ) -> Result<(), Error> {
        let authenticated = number.epoch != Epoch::PLAINTEXT;
        if !authenticated && !self.records.believes_plaintext_alert(error) {
            self.records.stats_mut().discard(Discard::PlaintextAlert);
            self.doubts_refusal(alert);
            return Ok(());
        }
        if error {
            if !authenticated && self.doubts_refusal(alert) {
                return Ok(());
            }
            return Err(Error::AlertReceived {
                alert,
                authenticated,
            });
        }
        if alert.description == AlertDescription::CLOSE_NOTIFY {
            return self.peer_closed(number);
        }
        if alert.description == AlertDescription::NO_RENEGOTIATION
            && self.take_refusal(now, alert, number.epoch)?
        {
            return Ok(());
        }
        if self.warnings == self.records.limits().warnings {
            return Err(PeerMisbehaved::TooManyWarnings.into());
        }
        self.warnings += 1;
        tracing::debug!(%alert, "warning");
        Ok(())
    }

    /// Ends the association: the one place that turns an error into an alert.
    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        let _span = self.enter_span();
        let error = self.blame_key(error);
        // Nobody would hear an alert in answer to a fatal alert, or to silence.
        let alert =
            error
                .alert()
                .filter(|_| !self.write_closed)
                .map(|description| match description {
                    AlertDescription::CLOSE_NOTIFY => Alert::CLOSE_NOTIFY,
                    fault => Alert::fatal(fault),
                });
        if let Some(alert) = alert {
            self.records.send_alert(alert);
        }
        let state = self.state_name();
        let failure = Failure {
            error: error.clone(),
            state,
            side: self.role.side(),
            peer: self.records.peer(),
            alert_sent: alert,
        };
        tracing::debug!(%failure, "failed");
        self.forget_session(&error);
        self.failure = Some(Box::new(failure));
        self.over();
        error
    }

    /// RFC 5246 §7.2.2: a session whose connection has failed is not resumed. That the peer has
    /// gone silent, or that this end has decided to stop, says nothing about the session.
    fn forget_session(&mut self, error: &Error) {
        let spoilt = match error {
            // Both ends may hold different secrets, and only silence shows that (F17).
            Error::TimedOut { resuming, .. } => *resuming,
            Error::InvalidMessage(_)
            | Error::PeerMisbehaved(_)
            | Error::PeerIncompatible(_)
            | Error::InvalidCertificate(_)
            | Error::AlertReceived { .. } => true,
            _ => false,
        };
        if spoilt {
            let current = self.phase.established();
            let current = current.and_then(Completed::v12);
            let session: Option<&Session12> = current.map(|current| &*current.session);
            self.role.forget_session(R::DIALECT, session);
        }
    }

    fn state_name(&self) -> &'static str {
        match &self.phase {
            Phase::Initial(first) => first.handshake.state_name(),
            Phase::Renegotiating { attempt, .. } => attempt.handshake.state_name(),
            Phase::Established { .. } | Phase::Requested { .. } => "Established",
            Phase::Closed { .. } => "Closed",
        }
    }

    /// Whether the keys of this epoch are in force, or were.
    #[inline]
    fn is_committed(&self, epoch: Epoch) -> bool {
        self.phase
            .established()
            .is_some_and(|current| epoch <= current.read_epoch())
    }
}

/// Says what an association is, and shows no secrets.
impl<R: RecordLayer> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("side", &self.side())
            .field("peer", &self.records.peer())
            .field("state", &self.state_name())
            .field("epoch", &self.epoch())
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}
