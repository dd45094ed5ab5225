//! The ordered list of what a handshake wants done.

use super::{Action, Epochs};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::{Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq};
use crate::secrets::schedule12::VerifyData;
use crate::secrets::traffic::RecordProtection;
use crate::secrets::transcript::Transcript;
use std::collections::VecDeque;

/// Collects actions and numbers outgoing messages and flights.
pub(crate) struct Outbox {
    actions: VecDeque<Action>,
    /// `None` once the last number was used: it never wraps.
    next_seq: Option<MessageSeq>,
    next_flight: u32,
}

impl Outbox {
    /// An empty list whose first message gets the number `seq`.
    pub(crate) const fn starting_at(seq: MessageSeq) -> Self {
        Self {
            actions: VecDeque::new(),
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
        let seq = self
            .next_seq
            .ok_or(PeerMisbehaved::MessageSequenceExhausted)?;
        self.next_seq = seq.next();
        transcript.add(typ, seq, &body);
        self.actions.push_back(Action::SendMessage {
            epoch,
            seq,
            typ,
            body,
        });
        Ok(())
    }

    /// Sends ChangeCipherSpec, switches the write keys and sends Finished under them (RFC 5246 §7.1, §7.4.9).
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

    /// Adds any other action.
    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Completes the flight.
    pub(crate) fn end_flight(&mut self, end: FlightEnd) {
        let id = FlightId(self.next_flight);
        self.next_flight = self.next_flight.wrapping_add(1);
        self.actions.push_back(Action::EndFlight { id, end });
    }

    /// Takes the first action.
    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
