//! Renegotiation: calls, wishes of the peer, limits, and what becomes of them (RFC 5246 §7.4.1.1,
//! RFC 5746).
//!
//! ```text
//!  renegotiate() ─┐              ┌─ client: ClientHello ─► Renegotiating ─┬─► commit
//!  a limit ───────┴─► wanted ────┤                                        └─► nothing has changed
//!                                └─ server: HelloRequest ─┐      ▲
//!  the peer: HelloRequest or ClientHello ─────────────────┴──────┘
//! ```

use super::attempt::{Attempt, Course, Data, Undone, Wanted};
use super::phase::Phase;
use super::{Connection, Event, RenegotiationRefusal, Role};
use crate::config::{ClientRenegotiation, DataDuringRenegotiation, RenegotiationRefusals};
use crate::error::{Error, InvalidMessage, PeerMisbehaved, RenegotiateError};
use crate::handshake::renegotiation::Binding;
use crate::handshake::{Completed, Epochs, Handshake, client, server};
use crate::protocol::{
    Alert, AlertDescription, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq, Side,
};
use crate::record::{Initiator, RecordLayer};
use crate::session::Session;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_update::KeyUpdate;
use std::time::Instant;

impl<R: RecordLayer> Connection<R> {
    /// Schedules a handshake that replaces the keys, with a new key exchange. The next input or
    /// output begins it: a client sends a ClientHello that offers no session, a server a
    /// HelloRequest, which the client may follow as it likes, refuse, or ignore.
    ///
    /// [`Event::HandshakeComplete`] or [`Event::RenegotiationRefused`] tells how it ended. Of two
    /// calls before the next input or output the later one decides, and one handshake results. This
    /// is `SSL_renegotiate`.
    ///
    /// # Errors
    ///
    /// None of these is fatal: `HandshakeNotComplete` in the first handshake, `Pending` while a
    /// renegotiation is under way, `NotSupportedByVersion` at 1.3, `EpochsExhausted` after 65,535
    /// handshakes, `Insecure` where the peer lacks RFC 5746, `Closed`.
    pub fn renegotiate(&mut self) -> Result<(), RenegotiateError> {
        self.schedule(false)
    }

    /// As [`Connection::renegotiate`], but a client offers the session in force, so that no key
    /// exchange is needed. If the session cannot be resumed, or the server does not want to, the
    /// handshake is a full one; `HandshakeComplete.kind` tells. On a server both calls do the same.
    /// This is `SSL_renegotiate_abbreviated`.
    ///
    /// # Errors
    ///
    /// As [`Connection::renegotiate`].
    pub fn renegotiate_abbreviated(&mut self) -> Result<(), RenegotiateError> {
        self.schedule(true)
    }

    /// Whether a renegotiation is scheduled or under way, whoever began it: from the call, the
    /// limit or the peer's message until it is complete or has come to nothing. This is
    /// `SSL_renegotiate_pending`.
    ///
    /// | what has happened last | pending |
    /// | --- | --- |
    /// | the first handshake has begun | no |
    /// | it is complete | no |
    /// | a call, before the next input or output | yes |
    /// | a limit of the policy was reached, before the next input or output | yes |
    /// | a server has sent its HelloRequest | yes |
    /// | a client has sent its ClientHello | yes |
    /// | this end follows the peer's message | yes |
    /// | this end has refused the peer's message | no |
    /// | the renegotiation is complete | no |
    /// | the peer has refused | no |
    /// | `Unanswered` was told, over datagrams | no |
    /// | `Unanswered` was told, over a stream: an answer may still come | yes |
    /// | an end has closed, or the association has failed | no |
    /// | always at version 1.3 | no |
    ///
    /// At version 1.3 [`Connection::key_update_type`] answers the same question.
    pub fn renegotiate_pending(&self) -> bool {
        self.phase.is_pending()
    }

    /// How many renegotiations have completed, whoever began them;
    /// [`Stats::renegotiations_by`](crate::record::Stats::renegotiations_by) tells more. This is
    /// `SSL_num_renegotiations`.
    pub fn renegotiations(&self) -> u64 {
        self.records.stats().renegotiations_completed()
    }

    /// Whether a renegotiation may follow the handshake that is in force.
    fn allows_another(&self) -> bool {
        let current = self.phase.established().and_then(Completed::v12);
        let conformance = &self.role.parameters().conformance;
        current.is_some_and(|current| current.continuity.allows_another(conformance))
    }

    fn schedule(&mut self, abbreviated: bool) -> Result<(), RenegotiateError> {
        if self.write_closed || self.read_closed.is_some() {
            return Err(RenegotiateError::Closed);
        }
        let allowed = self.allows_another();
        let (current, wanted) = match &mut self.phase {
            Phase::Initial(_) => return Err(RenegotiateError::HandshakeNotComplete),
            Phase::Closed { .. } => return Err(RenegotiateError::Closed),
            Phase::Requested { .. } | Phase::Renegotiating { .. } => {
                return Err(RenegotiateError::Pending);
            }
            Phase::Established {
                current, wanted, ..
            } => (current, wanted),
        };
        let current = current.v12();
        let current = current.ok_or(RenegotiateError::NotSupportedByVersion)?;
        if Epochs::after(current.epoch).is_err() {
            return Err(RenegotiateError::EpochsExhausted);
        }
        if !allowed {
            return Err(RenegotiateError::Insecure);
        }
        *wanted = Some(Wanted {
            abbreviated,
            initiator: Initiator::Local,
        });
        Ok(())
    }

    /// The keys have reached a limit of the policy, or come near to one of their algorithm.
    #[cold]
    pub(super) fn schedule_automatic(&mut self, now: Instant) {
        if let Some(post) = self.phase.post() {
            post.schedule_automatic();
            return;
        }
        let open = !self.write_closed && self.read_closed.is_none() && self.allows_another();
        let pressing = self.rekeying.is_used_up() || self.is_attacked();
        if let Phase::Established { wanted, .. } = &mut self.phase
            && open
            && !self.rekeying.is_paused(now, pressing)
        {
            // What was called for decides.
            wanted.get_or_insert(Wanted {
                abbreviated: false,
                initiator: Initiator::Automatic,
            });
        }
    }

    /// Whether the key that the peer writes with has seen half of the forgeries that it may.
    #[inline]
    pub(super) fn is_attacked(&self) -> bool {
        let attacked = self.records.attacked();
        attacked.is_some() && attacked == self.phase.established().map(Completed::read_epoch)
    }

    /// RFC 9147 §4.5.3: new keys are wanted before the peer's has seen as many forgeries as it may.
    /// This end's own key has not suffered, so at 1.3 only the request helps, and it is made once.
    #[cold]
    pub(super) fn escape_forgeries(&mut self, now: Instant) {
        match self.phase.post() {
            Some(post) => {
                let _pending = post.schedule(KeyUpdate::Requested);
            }
            None => self.schedule_automatic(now),
        }
    }

    /// Begins what was scheduled, if anything was.
    #[inline]
    pub(super) fn start_wanted(&mut self, now: Instant) -> Result<(), Error> {
        match self.start_wanted_step(now) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    #[inline]
    pub(super) fn start_wanted_step(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(wanted) = self.phase.wanted() {
            return self.start(now, wanted);
        }
        self.begin_key_update(now)
    }

    #[cold]
    fn start(&mut self, now: Instant, wanted: Wanted) -> Result<(), Error> {
        match self.role.side() {
            Side::Client => self.start_client(now, wanted),
            Side::Server => self.request(now, wanted.initiator),
        }
    }

    /// Sends a ClientHello under the keys in force.
    fn start_client(&mut self, now: Instant, wanted: Wanted) -> Result<(), Error> {
        let current = self.phase.established().and_then(Completed::v12);
        let (Some(current), Role::Client { config, server }) = (current, &self.role) else {
            return Ok(());
        };
        let parameters = &config.parameters;
        let Some(binding) = Binding::to(current, &parameters.conformance) else {
            return Ok(());
        };
        let started = config.parameters.clock.unix_now();
        let offers = wanted.abbreviated
            && current.session.has_name()
            && current.session.extended_master_secret
            && current.session.is_fresh(started);
        let unanswered = self.rekeying.take_earlier(offers);
        // A hello that is repeated has the connection ID that it had.
        let connection_id = match unanswered {
            Some(_) => None,
            None => self.next_connection_id()?,
        };
        let settings = client::Settings {
            config: config.clone(),
            server_name: server.clone(),
            current: current.epoch,
            started,
            session: offers.then(|| Session::from(current.session.clone())),
            renegotiating: Some(client::Renegotiating {
                binding,
                cookie: current.cookie.to_vec(),
                unanswered,
            }),
            connection_id: connection_id.clone(),
            small: false,
        };
        let handshake = Handshake::client(R::DIALECT, settings)?;
        self.enter(now, handshake, wanted.initiator, MessageSeq::FIRST);
        self.records.admit_connection_ids(connection_id.as_slice());
        self.perform(now)
    }

    /// Sends a HelloRequest. No handshake exists before the client's answer, and data waits for
    /// that if the policy says so.
    fn request(&mut self, now: Instant, initiator: Initiator) -> Result<(), Error> {
        let epoch = self.epoch();
        // An epoch that has no successor cannot be cured by a handshake.
        Epochs::after(epoch)?;
        self.records.stats_mut().renegotiations(initiator).started += 1;
        // RFC 6347 §4.2.2: the HelloRequest takes the first number of the handshake that it asks
        // for.
        let (seq, typ) = (MessageSeq::FIRST, HandshakeType::HELLO_REQUEST);
        self.records.send_message(epoch, seq, typ, Vec::new());
        self.records
            .end_flight(now, FlightId(0), FlightEnd::Request);
        let policy = &self.role.parameters().rekey;
        let data = match policy.data {
            DataDuringRenegotiation::Hold => Data::under(now, policy),
            DataDuringRenegotiation::HoldFromHello | DataDuringRenegotiation::Flow => Data::Flows,
        };
        let wait = self.wait_for_attempt(now, true);
        let request = Box::new(Course::new(initiator, wait, data));
        let requested = |current| Phase::Requested { request, current };
        self.phase.advance(requested);
        Ok(())
    }

    /// A handshake runs beside what is in force; `expected` is the number of the peer's next
    /// message.
    fn enter(
        &mut self,
        now: Instant,
        handshake: Handshake,
        initiator: Initiator,
        expected: MessageSeq,
    ) {
        if !matches!(self.phase, Phase::Requested { .. }) {
            self.records.stats_mut().renegotiations(initiator).started += 1;
        }
        let wait = self.wait_for_attempt(now, handshake.is_unanswered());
        let data = Data::under(now, &self.role.parameters().rekey);
        let course = Course::new(initiator, wait, data);
        let attempt = Box::new(Attempt::new(handshake, course));
        let renegotiating = |current| Phase::Renegotiating { attempt, current };
        self.phase.advance(renegotiating);
        self.rekeying.started(now);
        self.records.begin_handshake(expected);
    }

    /// A message of the peer between handshakes: it must be its wish for one.
    pub(super) fn take_wish(&mut self, now: Instant, message: InboundMessage) -> Result<(), Error> {
        let wish = match self.role.side() {
            Side::Client => HandshakeType::HELLO_REQUEST,
            Side::Server => HandshakeType::CLIENT_HELLO,
        };
        if message.typ != wish {
            let got = message.typ.0;
            return Err(PeerMisbehaved::UnexpectedMessage { got }.into());
        }
        if self.write_closed || !self.allows_another() {
            return self.refuse_wish(now);
        }
        match self.role.side() {
            Side::Client => self.take_hello_request(now, &message),
            Side::Server => self.take_client_hello(now, message),
        }
    }

    fn take_hello_request(&mut self, now: Instant, message: &InboundMessage) -> Result<(), Error> {
        if !message.body.is_empty() {
            return Err(InvalidMessage::TrailingData("HelloRequest").into());
        }
        if !self.role.parameters().rekey.follow_hello_requests {
            return self.refuse_wish(now);
        }
        let wanted = Wanted {
            abbreviated: R::DIALECT.resumes_on_hello_request && self.role.parameters().rekey.resume,
            initiator: Initiator::Peer,
        };
        self.start_client(now, wanted)
    }

    fn take_client_hello(&mut self, now: Instant, message: InboundMessage) -> Result<(), Error> {
        let request = match &self.phase {
            Phase::Requested { request, .. } => Some(request.initiator),
            _ => None,
        };
        let requested = request.is_some();
        if !requested && !self.may_client_begin(now) {
            return self.refuse_wish(now);
        }
        let current = self.phase.established().and_then(Completed::v12);
        let (Some(current), Role::Server(config)) = (current, &self.role) else {
            return Ok(());
        };
        let connection_id = self.next_connection_id()?;
        let settings = server::Settings {
            config: config.clone(),
            current: current.epoch,
            started: config.parameters.clock.unix_now(),
            binding: Binding::to(current, &config.parameters.conformance),
            retried: None,
            only_resume: false,
            // A hello that offers a session and comes after a HelloRequest was sent before that
            // arrived: no DTLS client answers in this way. If the session were resumed, the two
            // ends could not agree on the message numbers (`handshake/server/crossing`).
            resumes: !self.rekeying.wants_full
                && (!requested || R::DIALECT.resumes_on_hello_request),
            requested,
            connection_id: connection_id.clone(),
        };
        // RFC 6347 §4.2.2: after a HelloRequest the ServerHello is the second message.
        let (first, initiator) = match request {
            Some(initiator) => (MessageSeq(1), initiator),
            None => (MessageSeq::FIRST, Initiator::Peer),
        };
        let expected = message
            .seq
            .next()
            .ok_or(PeerMisbehaved::MessageSequenceExhausted)?;
        let handshake = Handshake::server(R::DIALECT, settings, first)?;
        self.enter(now, handshake, initiator, expected);
        self.records.admit_connection_ids(connection_id.as_slice());
        self.take_message(now, message)
    }

    fn may_client_begin(&self, now: Instant) -> bool {
        match self.role.parameters().rekey.client_renegotiation {
            ClientRenegotiation::Refuse => false,
            ClientRenegotiation::Allow { min_interval } => {
                self.rekeying.has_rested(now, min_interval)
            }
        }
    }

    /// RFC 5246 §7.2.2: a wish that is not followed is refused with a warning.
    ///
    /// # Errors
    ///
    /// [`Error::Aborted`] where the policy is to fail.
    fn refuse_wish(&mut self, now: Instant) -> Result<(), Error> {
        let counts = self.records.stats_mut().renegotiations(Initiator::Peer);
        counts.started += 1;
        counts.refused += 1;
        let told = self.rekeying.last_refusal().is_some_and(|last| {
            now.saturating_duration_since(last) < self.records.refusal_interval()
        });
        if told {
            return Ok(());
        }
        match self.role.parameters().conformance.refusals {
            // Nothing is said after close_notify.
            RenegotiationRefusals::Warn if !self.write_closed => {
                self.records.send_alert(Alert::NO_RENEGOTIATION);
            }
            RenegotiationRefusals::Warn | RenegotiationRefusals::Ignore => {}
            RenegotiationRefusals::Fail => {
                return Err(Error::Aborted(AlertDescription::NO_RENEGOTIATION));
            }
        }
        self.rekeying.refuses(now);
        self.events.push_back(Event::RenegotiationRefused {
            reason: RenegotiationRefusal::Policy,
        });
        Ok(())
    }

    /// The peer says no_renegotiation in `epoch`. Whether it spoke of something that is under way.
    pub(super) fn take_refusal(
        &mut self,
        now: Instant,
        alert: Alert,
        epoch: Epoch,
    ) -> Result<bool, Error> {
        let in_force = self.epoch();
        let renegotiating = matches!(self.phase, Phase::Renegotiating { .. });
        if R::DIALECT.overtakes {
            // It may come late, from a handshake that is over (E8), or from a peer that has
            // switched its own keys and so cannot mean it.
            let stray = epoch != in_force;
            // The client has begun: this speaks of an earlier HelloRequest, and its hello has
            // overtaken it. If the handshake were dropped here, the client would go on alone, past
            // the point where it could go back.
            let overtaken = renegotiating && self.role.side() == Side::Server;
            if stray || overtaken {
                return Ok(false);
            }
        }
        // This end has followed the peer's ChangeCipherSpec, and reads the old keys no more.
        let read_on = epoch > in_force;
        if renegotiating && (!self.phase.has_way_back() || read_on) {
            // The keys in force are no longer what this end uses.
            return Err(Error::AlertReceived {
                alert,
                authenticated: true,
            });
        }
        let begun = renegotiating || matches!(self.phase, Phase::Requested { .. });
        if begun {
            self.end_refused(now, RenegotiationRefusal::NoRenegotiation);
        }
        Ok(begun)
    }

    /// Goes back to what is in force, as if nothing had been begun.
    pub(super) fn end_refused(&mut self, now: Instant, reason: RenegotiationRefusal) {
        let sent_again = self.records.retransmissions() > 0;
        let Some(Undone { initiator, hello }) = self.go_back() else {
            return;
        };
        self.records.stats_mut().renegotiations(initiator).refused += 1;
        self.rekeying.refused(now, reason, hello, sent_again);
        self.events
            .push_back(Event::RenegotiationRefused { reason });
        // A close_notify under keys that never came into force was still the peer's.
        if self.read_closed.is_some() && !self.write_closed {
            self.confirm_peer_closed();
        }
        self.release_held(now);
    }

    /// Drops what is scheduled or under way, and what the records keep for it.
    pub(super) fn go_back(&mut self) -> Option<Undone> {
        self.records.abandon_handshake();
        self.phase.go_back()
    }
}
