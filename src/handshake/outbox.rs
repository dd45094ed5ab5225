//! The ordered list of what a handshake wants done.

use super::{Action, ClientQuestion, Epochs, Question, ServerQuestion};
use crate::config::{ClientConfig, ServerConfig};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::dialect::speaking;
use crate::protocol::{
    AgreedLimits, ConnectionIds, Dialect, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq,
    ProtocolVersion, ReadSwitch,
};
use crate::secrets::schedule12::VerifyData;
use crate::secrets::traffic::RecordProtection;
use crate::secrets::transcript::Transcript;
use std::collections::VecDeque;
use std::sync::Arc;

/// Collects actions and numbers outgoing messages and flights.
pub(crate) struct Outbox {
    actions: VecDeque<Action>,
    /// `None` once the last number was used: it never wraps.
    next_seq: Option<MessageSeq>,
    next_flight: u32,
}

/// How many actions most steps of a handshake lead to at most.
const USUAL_ACTIONS: usize = 8;

impl Outbox {
    /// An empty list whose first message gets the number `seq`.
    pub(crate) fn starting_at(seq: MessageSeq) -> Self {
        Self {
            actions: VecDeque::with_capacity(USUAL_ACTIONS),
            next_seq: Some(seq),
            next_flight: 0,
        }
    }

    /// Sends a message and enters it into the transcript.
    pub(crate) fn send(
        &mut self,
        epoch: Epoch,
        typ: HandshakeType,
        body: Vec<u8>,
        transcript: &mut Transcript,
    ) -> Result<(), Error> {
        let seq = self.take_seq()?;
        transcript.add(typ, seq, &body);
        self.actions.push_back(Action::SendMessage {
            epoch,
            seq,
            typ,
            body,
        });
        Ok(())
    }

    /// Sends ChangeCipherSpec, switches the write keys and sends Finished under them
    /// (RFC 5246 §7.1, §7.4.9).
    pub(crate) fn switch_and_finish(
        &mut self,
        epochs: Epochs,
        write: RecordProtection,
        verify_data: &VerifyData,
        transcript: &mut Transcript,
    ) -> Result<(), Error> {
        let Epochs { current, next } = epochs;
        self.push(Action::SendChangeCipherSpec { epoch: current });
        self.push(Action::InstallWrite {
            epoch: next,
            protection: write,
        });
        let body = verify_data.to_vec();
        self.send(next, HandshakeType::FINISHED, body, transcript)
    }

    /// An empty list that continues the numbering of messages and flights.
    pub(crate) const fn successor(&self) -> Self {
        Self {
            actions: VecDeque::new(),
            next_seq: self.next_seq,
            next_flight: self.next_flight,
        }
    }

    /// Sends a message that enters no transcript.
    pub(crate) fn send_post(
        &mut self,
        epoch: Epoch,
        typ: HandshakeType,
        body: Vec<u8>,
    ) -> Result<(), Error> {
        let seq = self.take_seq()?;
        self.actions.push_back(Action::SendMessage {
            epoch,
            seq,
            typ,
            body,
        });
        Ok(())
    }

    /// Whether no message can be sent any more.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.next_seq.is_none()
    }

    fn take_seq(&mut self) -> Result<MessageSeq, Error> {
        let seq = self
            .next_seq
            .ok_or(PeerMisbehaved::MessageSequenceExhausted)?;
        self.next_seq = seq.next();
        Ok(seq)
    }

    /// The hellos have decided on a version, and on what the records of the epochs that follow
    /// carry.
    pub(crate) fn decide(
        &mut self,
        dialect: &Dialect,
        version: ProtocolVersion,
        ids: Option<ConnectionIds>,
        limits: AgreedLimits,
    ) {
        self.push(Action::VersionDecided(version));
        // RFC 9146 §3: where nothing was agreed, the epochs that follow have none, whatever the
        // handshake before has agreed on.
        if dialect.connection_ids {
            self.push(Action::ConnectionIdsAgreed(ids.unwrap_or_default()));
        }
        // RFC 8449 §4: the same is true of limits.
        self.push(Action::LimitRecords(limits));
    }

    /// The peer may have switched to this epoch, and given up, before this end has everything that
    /// comes before it.
    pub(crate) fn listen_for_alerts(
        &mut self,
        version: ProtocolVersion,
        epoch: Epoch,
        protection: &RecordProtection,
    ) {
        if speaking(version).overtakes {
            self.push(Action::InstallRead {
                epoch,
                protection: protection.clone(),
                when: ReadSwitch::OnlyAlerts,
            });
        }
    }

    /// Asks whatever the client's configuration names: a verifier, a key, the application.
    pub(crate) fn ask_client(&mut self, config: &Arc<ClientConfig>, question: ClientQuestion) {
        self.push(Action::Ask(Question::Client(config.clone(), question)));
    }

    /// Asks whatever the server's configuration names: a verifier, a key, a store, the application.
    pub(crate) fn ask_server(&mut self, config: &Arc<ServerConfig>, question: ServerQuestion) {
        self.push(Action::Ask(Question::Server(config.clone(), question)));
    }

    /// Adds any other action.
    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Completes the flight.
    pub(crate) fn end_flight(&mut self, end: FlightEnd) -> FlightId {
        let id = FlightId(self.next_flight);
        self.next_flight = self.next_flight.wrapping_add(1);
        self.actions.push_back(Action::EndFlight { id, end });
        id
    }

    /// Gives back the allocation of an empty list.
    pub(crate) fn release(&mut self) {
        if self.actions.is_empty() {
            self.actions = VecDeque::new();
        }
    }

    /// Takes the first action.
    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
