//! One association: a record layer, a handshake while there is one, and the pump between them.

mod answer;
mod close;
mod data;
mod datagram;
mod event;
mod phase;
mod stream;

pub use datagram::Transmit;
pub use event::{Event, HandshakeKind};

use crate::config::{ClientConfig, Parameters, PlaintextAlerts, ServerConfig};
use crate::error::{ApiMisuse, Error, Failure, PeerMisbehaved};
use crate::handshake::{Action, Handled, Handshake, Input, NotTaken};
use crate::identity::PeerIdentity;
use crate::protocol::{
    Alert, AlertDescription, CipherSuite, Epoch, HandshakeType, MessageSeq, NamedGroup,
    ProtocolVersion, RecordNumber, Side,
};
use crate::record::{Datagram, Discard, GaveUp, Inbound, Records, Stats, Stream};
use crate::wire::handshake::InboundMessage;
use data::ReceiveQueue;
use phase::Phase;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An association over datagrams: DTLS.
pub type DtlsConnection = Connection<Datagram>;

/// A connection over a byte stream: TLS.
pub type TlsConnection = Connection<Stream>;

/// One association with one peer, without I/O: bytes and the time go in; bytes, events and a deadline come out.
///
/// # Contract
///
/// Call inputs (`handle_*`) and commands (`send`, `close`) whenever you like; then drain `poll_transmit`, then
/// `poll_event`, then ask `poll_timeout` and call `handle_timeout` when that moment has come. After
/// `handle_timeout(t)`, `poll_timeout() > t`.
///
/// An `Err` from an input is fatal to this association and is given once; drain `poll_transmit` afterwards to
/// send the alert, and see [`Connection::failure`] for the circumstances. Datagrams that do not authenticate
/// are counted in [`Connection::stats`], never errors. Time must not go backwards.
///
/// The connection owns all buffers but those that are handed to `handle_datagram` and `poll_transmit`.
pub struct Connection<R: Records> {
    records: R,
    role: Role,
    phase: Phase,
    events: VecDeque<Event>,
    received: ReceiveQueue,
    peer: Option<SocketAddr>,
    handshake_started: Instant,
    handshake_deadline: Option<Instant>,
    /// Warnings since the last data, against floods (C11).
    warnings: u8,
    last_refusal: Option<Instant>,
    write_closed: bool,
    /// The record in which the peer said that no data follows.
    read_closed: Option<RecordNumber>,
    failure: Option<Box<Failure>>,
}

/// Which side this is, with its configuration.
enum Role {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Role {
    const fn side(&self) -> Side {
        match self {
            Self::Client(_) => Side::Client,
            Self::Server(_) => Side::Server,
        }
    }

    fn parameters(&self) -> &Parameters {
        match self {
            Self::Client(config) => &config.parameters,
            Self::Server(config) => &config.parameters,
        }
    }
}

/// How many warning alerts in a row are tolerated. Honest peers send one or two in the life of an association.
const MAX_WARNINGS: u8 = 32;

/// How often a wish to renegotiate is answered with a refusal at most. More wishes are only counted.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

impl<R: Records> Connection<R> {
    fn new(
        records: R,
        role: Role,
        handshake: Handshake,
        peer: Option<SocketAddr>,
        now: Instant,
    ) -> Self {
        let deadline = records
            .limits()
            .handshake_deadline
            .and_then(|limit| now.checked_add(limit));
        Self {
            records,
            role,
            phase: Phase::Initial(Box::new(handshake)),
            events: VecDeque::new(),
            received: ReceiveQueue::default(),
            peer,
            handshake_started: now,
            handshake_deadline: deadline,
            warnings: 0,
            last_refusal: None,
            write_closed: false,
            read_closed: None,
            failure: None,
        }
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Connection::handle_timeout`] wants to be called; `None` if nothing is to be done without input.
    ///
    /// Any input or command may change the answer.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let Phase::Closed = self.phase {
            return None;
        }
        [self.records.poll_timeout(), self.handshake_deadline]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due at `now`: retransmission, deadlines, forgetting. Too early a call does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], fatal, if the handshake has taken too long or was tried too often.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Phase::Closed = self.phase {
            return Ok(());
        }
        let late = self
            .handshake_deadline
            .is_some_and(|deadline| deadline <= now);
        let gave_up = matches!(self.records.handle_timeout(now), Err(GaveUp));
        if late || gave_up {
            return Err(self.fail(Error::TimedOut {
                after: now.saturating_duration_since(self.handshake_started),
                retransmissions: self.records.retransmissions(),
                unauthenticated_alert: self.records.disbelieved_alert(),
            }));
        }
        if self.records.poll_timeout().is_none() {
            self.received.release();
            self.events.shrink_to_fit();
        }
        Ok(())
    }

    /// Performs what the engine wants, then looks at everything that came, until both are quiet.
    #[inline]
    fn pump(&mut self, now: Instant) -> Result<(), Error> {
        match self.pump_until_quiet(now) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    #[inline]
    fn pump_until_quiet(&mut self, now: Instant) -> Result<(), Error> {
        if let Phase::Initial(_) = self.phase {
            self.perform(now)?;
        }
        while !(R::RELIABLE && self.is_full())
            && let Some(inbound) = self.records.next_inbound(now)?
        {
            match inbound {
                Inbound::ApplicationData(data) => self.take_data(data)?,
                Inbound::Handshake(message) => self.take_message(now, message)?,
                Inbound::Alert { alert, number } => self.take_alert(alert, number)?,
            }
        }
        Ok(())
    }

    #[cold]
    fn take_message(&mut self, now: Instant, message: InboundMessage) -> Result<(), Error> {
        let hello_request = message.typ == HandshakeType::HELLO_REQUEST;
        match &mut self.phase {
            // RFC 5246 §7.4.1.1: a client that negotiates already ignores it.
            Phase::Initial(_) if hello_request && self.role.side() == Side::Client => {
                self.records.stats_mut().discard(Discard::UnexpectedMessage);
                Ok(())
            }
            Phase::Initial(handshake) => {
                let state = handshake.state_name();
                let (epoch, seq, typ) = (message.epoch, message.seq, message.typ);
                tracing::debug!(state, %typ, ?seq, %epoch, "message");
                match handshake.handle(Input::Handshake(message))? {
                    Handled::Taken => self.perform(now),
                    Handled::NotTaken(why) => self.refuse_message(epoch, seq, typ, why),
                }
            }
            Phase::Established(_) => {
                let wish = match self.role.side() {
                    Side::Client => HandshakeType::HELLO_REQUEST,
                    Side::Server => HandshakeType::CLIENT_HELLO,
                };
                if message.typ != wish {
                    let got = message.typ.0;
                    return Err(PeerMisbehaved::UnexpectedMessage { got }.into());
                }
                self.refuse_renegotiation(now);
                Ok(())
            }
            Phase::Closed => Ok(()),
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
        let cause = match why {
            NotTaken::Unexpected => Discard::UnexpectedMessage,
            NotTaken::Undecodable(_) => Discard::UndecodableMessage,
        };
        if !self.records.refuse(epoch, seq, cause) {
            return Ok(());
        }
        Err(match why {
            NotTaken::Unexpected => PeerMisbehaved::UnexpectedMessage { got: typ.0 }.into(),
            NotTaken::Undecodable(fact) => fact.into(),
        })
    }

    /// RFC 5246 §7.2.2: a wish to renegotiate that is not followed is refused with a warning.
    fn refuse_renegotiation(&mut self, now: Instant) {
        self.records.stats_mut().renegotiations_refused += 1;
        let recently = self
            .last_refusal
            .is_some_and(|last| now.saturating_duration_since(last) < REFUSAL_INTERVAL);
        if !recently && !self.write_closed {
            self.last_refusal = Some(now);
            self.records.send_alert(Alert::NO_RENEGOTIATION);
        }
    }

    /// Performs the engine's actions, strictly in order.
    #[cold]
    fn perform(&mut self, now: Instant) -> Result<(), Error> {
        while let Phase::Initial(handshake) = &mut self.phase {
            let Some(action) = handshake.poll_action() else {
                break;
            };
            match action {
                Action::VersionDecided(version) => self.records.version_decided(version),
                Action::SendMessage {
                    epoch,
                    seq,
                    typ,
                    body,
                } => {
                    self.records.send_message(epoch, seq, typ, body);
                }
                Action::SendChangeCipherSpec { epoch } => {
                    self.records.send_change_cipher_spec(epoch)
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
                Action::RetireRead(epoch) => self.records.retire_read(now, epoch),
                Action::EndFlight { id, end } => self.records.end_flight(now, id, end),
                Action::Ask(question) => {
                    let answer = self.role.answer(question);
                    handshake.handle(Input::Answer(answer))?;
                }
                Action::Established(established) => {
                    self.records.established(now, established.epoch);
                    self.handshake_deadline = None;
                    self.phase = Phase::Established(established);
                    self.events.push_back(Event::HandshakeComplete {
                        kind: HandshakeKind::Full,
                        renegotiation: false,
                    });
                    if !self.received.is_empty() {
                        self.events.push_back(Event::Readable);
                    }
                    if self.read_closed.is_some() {
                        self.confirm_peer_closed();
                    }
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn take_alert(&mut self, alert: Alert, number: RecordNumber) -> Result<(), Error> {
        let authenticated = number.epoch != Epoch::PLAINTEXT;
        if !authenticated {
            let believe = self.records.limits().plaintext_alerts == PlaintextAlerts::Believe;
            if !believe || !alert.is_fatal() && !R::RELIABLE {
                self.records.stats_mut().discard(Discard::PlaintextAlert);
                return Ok(());
            }
        }
        if alert.is_fatal() {
            return Err(Error::AlertReceived {
                alert,
                authenticated,
            });
        }
        if alert.description == AlertDescription::CLOSE_NOTIFY {
            self.peer_closed(number);
            return Ok(());
        }
        self.warnings += 1;
        if self.warnings > MAX_WARNINGS {
            return Err(PeerMisbehaved::TooManyWarnings.into());
        }
        tracing::debug!(%alert, "warning");
        Ok(())
    }

    /// Ends the association: the one place that turns an error into an alert.
    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        // An alert that reports a fatal alert, or silence, would talk to nobody.
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
            peer: self.peer,
            alert_sent: alert,
        };
        tracing::debug!(%failure, "failed");
        self.failure = Some(Box::new(failure));
        self.over();
        error
    }

    fn state_name(&self) -> &'static str {
        match &self.phase {
            Phase::Initial(handshake) => handshake.state_name(),
            Phase::Established(_) => "Established",
            Phase::Closed => "Closed",
        }
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.role.side()
    }

    /// The version in force, once the handshake is done.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.phase
            .established()
            .map(|established| established.version)
    }

    /// The cipher suite in force, once the handshake is done.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.phase
            .established()
            .map(|established| established.suite.id)
    }

    /// The group of the key exchange, once the handshake is done.
    pub fn key_exchange_group(&self) -> Option<NamedGroup> {
        self.phase
            .established()
            .map(|established| established.group)
    }

    /// The epoch in force: 0 before the handshake is done.
    pub fn epoch(&self) -> Epoch {
        self.phase
            .established()
            .map_or(Epoch::PLAINTEXT, |established| established.epoch)
    }

    /// Who the peer has proved to be; `None` before that, and for a client that showed no certificate.
    pub fn peer_identity(&self) -> Option<&PeerIdentity> {
        self.phase.established()?.peer_identity.as_ref()
    }

    /// The application protocol that was agreed (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.phase.established()?.alpn.as_deref()
    }

    /// The DNS name that the client asked for.
    pub fn server_name(&self) -> Option<&str> {
        self.phase.established()?.server_name.as_deref()
    }

    /// Whether the session is bound to its handshake (RFC 7627).
    pub fn extended_master_secret(&self) -> bool {
        self.phase
            .established()
            .is_some_and(|established| established.extended_master_secret)
    }

    /// Whether the first handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Initial(_))
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        self.records.stats()
    }

    /// Why the association failed, with the state, the peer and the alert, once an input has returned an error.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// A fatal alert that came without protection although keys exist, so it was not believed and changed nothing.
    ///
    /// Anybody can forge one. But at version 1.2 a server's refusal of a client's certificate can come in no other
    /// form: where a handshake hangs, this may say why. If it times out, [`Error::TimedOut`] holds it too.
    pub fn unauthenticated_alert(&self) -> Option<Alert> {
        self.records.disbelieved_alert()
    }

    /// Fills `out` with keying material for `label` (RFC 5705). An absent context differs from an empty one.
    ///
    /// # Errors
    ///
    /// The association goes on. `HandshakeNotComplete` before the handshake is done; `BadExporterArguments` if the
    /// context has more than 65,535 bytes; `ExporterNeedsExtendedMasterSecret` if the peer lacks RFC 7627 (§5.4).
    pub fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        let established = self
            .phase
            .established()
            .ok_or(ApiMisuse::HandshakeNotComplete)?;
        if !established.extended_master_secret {
            return Err(ApiMisuse::ExporterNeedsExtendedMasterSecret);
        }
        let length = u16::try_from(context.unwrap_or_default().len())
            .map_err(|_| ApiMisuse::BadExporterArguments)?
            .to_be_bytes();
        let context = context.map(|context| (&length, context));
        established
            .master_secret
            .export(&established.randoms, label, context, out);
        Ok(())
    }
}

/// Says what an association is, never what it knows.
impl<R: Records> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("side", &self.side())
            .field("peer", &self.peer)
            .field("state", &self.state_name())
            .field("epoch", &self.epoch())
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}
