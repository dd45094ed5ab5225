//! Version 1.3 over datagrams: one numbering of messages for ever, acknowledgements, and flights that wait for them
//! (RFC 9147 §5.2, §5.8, §7).
//!
//! ```text
//!   fragments ─► slots ─► messages, in order, during the handshake and behind it
//!       └─► acks ─► the peer
//!
//!   flights ─► awaiting ─► timers ──┐
//!                 ▲                 ├─► what is missing, again
//!   ACK of the peer ─► freed ranges ┘     └─ nothing missing: FlightDelivered
//! ```

use super::awaiting::{Awaiting, AwaitingFlights};
use super::fragments::NotEntered;
use super::reassembly::Reassembly;
use super::{Datagram, Progress, TWICE_MSL};
use crate::config::DatagramPolicy;
use crate::protocol::{ContentType, Epoch, FlightId, RecordNumber, Side, Unacknowledged};
use crate::record::datagram::flight::Flight;
use crate::record::datagram::retransmit::Timer;
use crate::record::{Discard, Fault, GaveUp};
use crate::wire::ack;
use crate::wire::handshake::FragmentHeader;
use std::collections::VecDeque;
use std::time::Instant;

/// What an association of version 1.3 has besides what every one has.
pub(super) struct Continuous {
    pub(super) slots: Reassembly,
    /// The handshake is complete.
    pub(super) done: bool,
    awaiting: AwaitingFlights,
    delivered: VecDeque<FlightId>,
}

impl Continuous {
    /// Goes on from the numbering that the hellos have begun.
    pub(super) fn new(slots: Reassembly) -> Self {
        Self {
            slots,
            done: false,
            awaiting: AwaitingFlights::default(),
            delivered: VecDeque::new(),
        }
    }

    /// Whether a flight that waits for its acknowledgement has a part in this epoch.
    pub(super) fn uses(&self, epoch: Epoch) -> bool {
        self.awaiting.uses(epoch)
    }

    /// When the first timer of such a flight fires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.awaiting.deadline()
    }

    /// Goes on under a policy with another first timeout.
    pub(super) fn rescale(&mut self, policy: &DatagramPolicy) {
        self.awaiting.rescale(policy);
    }

    /// How often one of them was sent again.
    pub(super) fn retransmissions(&self) -> u32 {
        self.awaiting.retransmissions()
    }

    /// The next flight that the peer has as a whole.
    pub(super) fn pop_delivered(&mut self) -> Option<FlightId> {
        let delivered = self.delivered.pop_front()?;
        if self.delivered.is_empty() {
            self.delivered = VecDeque::new();
        }
        Some(delivered)
    }

    /// The flights that were cut into datagrams larger than `limit`; they begin anew.
    pub(super) fn start_over_within(&mut self, limit: usize) -> Vec<FlightId> {
        self.awaiting.start_over_within(limit)
    }

    /// Drops what only a live association needs.
    pub(super) fn shut_down(&mut self) {
        self.awaiting.clear();
        self.delivered = VecDeque::new();
        self.slots.clear();
    }
}

impl Datagram {
    /// What version 1.3 has, if that is in force.
    #[inline]
    pub(super) fn continuous(&mut self) -> Option<&mut Continuous> {
        match &mut self.progress {
            Progress::Continuous(continuous) => Some(continuous),
            _ => None,
        }
    }

    /// Whether version 1.3 is in force.
    #[inline]
    pub(super) const fn is_13(&self) -> bool {
        matches!(self.progress, Progress::Continuous(_))
    }

    /// The hellos have settled on version 1.3.
    pub(super) fn continue_with_13(&mut self) {
        if self.side == Side::Client && !self.policy.conformance.acknowledge_patiently {
            // RFC 9147 §7.1: the first message of the answer acknowledges the ClientHello; with patience, what comes behind it.
            self.drop_flight();
        }
        let between = Progress::Established {
            epoch: Epoch::PLAINTEXT,
            next: None,
            following: None,
        };
        self.progress = match std::mem::replace(&mut self.progress, between) {
            Progress::Handshaking { slots, .. } => {
                Progress::Continuous(Box::new(Continuous::new(*slots)))
            }
            decided => decided,
        };
    }

    /// The handshake is complete, as far as this end knows.
    pub(super) fn complete_13(&mut self, now: Instant) {
        let side = self.side;
        let Some(continuous) = self.continuous() else {
            return;
        };
        continuous.done = true;
        continuous.slots.release();
        if side == Side::Server {
            // RFC 9147 §7.1: nothing else tells the client that its last flight has arrived. Before the tickets, which a client
            // that still waits for its acknowledgement may not look at.
            self.tell_acks();
        }
        self.retention = Some(now + TWICE_MSL);
    }

    /// Enters one fragment of a handshake record.
    pub(super) fn fragment_13(
        &mut self,
        epoch: Epoch,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), NotEntered> {
        let protected = self.read.any_protected();
        let side = self.side;
        let Some(continuous) = self.continuous() else {
            return Err(Discard::UnexpectedMessage.into());
        };
        let done = continuous.done;
        let old = continuous.slots.is_past(header.seq);
        match epoch {
            // Once there are keys, nothing that is unprotected means anything; nothing new is said without them either.
            Epoch::PLAINTEXT if protected && old => return Err(Discard::OldMessage.into()),
            Epoch::PLAINTEXT if protected => return Err(NotEntered::Misplaced),
            Epoch::PLAINTEXT | Epoch::HANDSHAKE_13 => {}
            // Not an old one, or it would be acknowledged unseen.
            _ if !done => return Err(Discard::UnexpectedMessage.into()),
            _ => {}
        }
        let in_order = continuous.slots.is_next(header);
        if done && epoch < Epoch::APPLICATION_13 {
            // RFC 9147 §5.8.1: a repeated flight, whose acknowledgement was lost; behind its Finished there is nothing.
            return Err(if old {
                Discard::OldMessage.into()
            } else {
                NotEntered::Misplaced
            });
        }
        continuous.slots.insert(epoch, header, data)?;
        if !done {
            let believed =
                epoch > Epoch::PLAINTEXT || self.policy.conformance.acknowledge_plaintext;
            if believed && (side == Side::Server || epoch > Epoch::PLAINTEXT) {
                // RFC 9147 §7.1: any part of the answer acknowledges the whole flight.
                self.drop_flight();
            }
            if !in_order && !self.policy.conformance.acknowledge_patiently {
                self.acks.tell_disruption();
            }
        }
        Ok(())
    }

    /// Notes a handshake record of which nothing was dropped that was not known already (RFC 9147 §7, §7.1).
    pub(super) fn note_record(&mut self, now: Instant, number: RecordNumber) {
        if self.undecided {
            // If this turns out to be 1.3, it is a part of the flight that has just begun.
            return self.acks.enter(number);
        }
        let believed = number.epoch != Epoch::PLAINTEXT || !self.read.any_protected();
        let side = self.side;
        let Some(continuous) = self.continuous() else {
            return;
        };
        if !continuous.done {
            if believed {
                self.acks.enter(number);
                self.acks.tell_after(now, self.timer.patience(&self.policy));
                if !self.policy.conformance.acknowledge_patiently {
                    // RFC 9147 §5.8.3: its sender may wait for that.
                    self.acks.tell_progress();
                }
            }
        } else if number.epoch >= Epoch::APPLICATION_13
            || side == Side::Server && number.epoch == Epoch::HANDSHAKE_13
        {
            // The server's flight needs none: the client's own last one, which is repeated by its timer, answers it.
            self.acks.enter(number);
            if self.policy.conformance.acknowledge_patiently {
                self.acks.tell_after(now, self.timer.patience(&self.policy));
            } else {
                self.acks.tell_at_once();
            }
        }
    }

    /// Sends what is owed, if its time has come.
    pub(super) fn tell_acks(&mut self) {
        let done = self.continuous().is_some_and(|it| it.done);
        let mtu = self.size.limit();
        let Some(write) = self.write.current() else {
            return;
        };
        // RFC 9147 §7: in the highest epoch; not without protection, unless the policy thinks that the peer would believe it.
        let believed = write.is_protected() || self.policy.conformance.acknowledge_plaintext;
        if !believed || write.remaining() <= 1 {
            self.acks.tell(0);
            return;
        }
        let numbers = self.acks.tell(mtu.saturating_sub(write.overhead() + 2));
        if !numbers.is_empty() {
            let payload = ack::encode(numbers);
            let out = self.outgoing.begin(write.overhead() + payload.len());
            write.append(ContentType::ACK, self.version, &payload, out);
            self.stats.records_sent += 1;
        }
        // With patience, what was told is told again, because an acknowledgement may be lost.
        if done && !self.policy.conformance.acknowledge_patiently {
            self.acks.clear();
        }
    }

    /// Takes an acknowledgement.
    ///
    /// # Errors
    ///
    /// `AckOfUnsentRecord` (RFC 9147 §7.2).
    pub(super) fn take_ack(
        &mut self,
        now: Instant,
        epoch: Epoch,
        contents: &[u8],
    ) -> Result<(), Fault> {
        let Ok(numbers) = ack::decode(contents) else {
            self.stats.discard(Discard::BadRecord);
            return Ok(());
        };
        let sent = |it: &RecordNumber| {
            // RFC 9147 §7: no handshake record is acknowledged with less protection than it had.
            let protected = epoch >= it.epoch || it.epoch >= Epoch::APPLICATION_13;
            protected && self.write.may_have_sent(*it)
        };
        if !numbers.iter().all(sent) {
            return if epoch == Epoch::PLAINTEXT {
                self.count_or_fail(epoch, Discard::PlaintextAck, Fault::AckOfUnsentRecord)
            } else {
                Err(Fault::AckOfUnsentRecord)
            };
        }
        // RFC 9147 §7.2: what is missing is sent again, now or by the timer; at once not to an address that is not proved.
        let prompt = !self.policy.conformance.acknowledge_patiently && self.unproven.is_none();
        if numbers.is_empty() {
            if prompt {
                self.answer_empty_ack(now);
            }
            return Ok(());
        }
        if self.flight_complete
            && let Some(mut flight) = self.flight.take()
        {
            let news = flight.acknowledge(&numbers);
            if epoch > Epoch::PLAINTEXT && !self.policy.conformance.acknowledge_plaintext {
                // Who has keys has what they are made of, and need not say so.
                flight.acknowledge_plaintext();
            }
            if flight.is_delivered() {
                // RFC 9147 §7.2: nothing of it is sent again, and the peer's answer may take its time.
                self.timer = Timer::Idle;
            } else if news && prompt {
                self.timer.rewind(now);
                self.go_on(&mut flight);
            }
            self.flight = Some(flight);
        }
        let mut advanced = Vec::new();
        let Some(continuous) = self.continuous() else {
            return Ok(());
        };
        let delivered = continuous.awaiting.acknowledge(&numbers, &mut advanced);
        let answered = !delivered.is_empty();
        continuous.delivered.extend(delivered);
        if answered {
            self.size.answered();
        }
        if prompt {
            self.go_on_awaiting(now, &advanced);
        }
        self.prune_write_epochs();
        Ok(())
    }

    /// RFC 9147 §7.1, §7.2: who acknowledges nothing has got something that it cannot open, because what came before is
    /// missing. All of it is sent again at once, but not more often than only a network that repeats datagrams would ask.
    fn answer_empty_ack(&mut self, now: Instant) {
        // I2: what was sealed but not yet taken is still on its way.
        if !self.outgoing.is_empty() {
            return;
        }
        let pause = self.policy.repeat_after();
        if self.flight_complete
            && let Some(mut flight) = self.flight.take()
        {
            if !flight.is_delivered() && flight.is_missed(now, pause) {
                self.timer.rewind(now);
                self.go_on(&mut flight);
            }
            self.flight = Some(flight);
        }
        let Some(continuous) = self.continuous() else {
            return;
        };
        let missed = continuous.awaiting.missed(now, pause);
        self.go_on_awaiting(now, &missed);
    }

    /// A flight is on its way that nothing but an acknowledgement ends.
    pub(super) fn await_ack(
        &mut self,
        now: Instant,
        id: FlightId,
        flight: Flight,
        fate: Unacknowledged,
    ) {
        let timer = Timer::start(now, &self.policy, &mut self.jitter);
        let fate = match fate {
            Unacknowledged::Forgets if self.policy.conformance.need_tickets_acknowledged => {
                Unacknowledged::Fails
            }
            fate => fate,
        };
        if let Some(continuous) = self.continuous() {
            continuous.awaiting.push(id, flight, fate, timer);
        }
    }

    /// When the peer is told what has come, at the latest.
    #[inline]
    pub(super) fn acks_deadline(&self) -> Option<Instant> {
        self.acks.deadline().filter(|_| self.is_13())
    }

    /// Drops the keys of epochs that are over. RFC 9147 §8: the peer goes on under the one before the newest until it knows
    /// that its KeyUpdate has arrived.
    pub(super) fn end_retention_13(&mut self) {
        let Some(newest) = self.read.newest() else {
            return;
        };
        let in_use = self.read.newest_was_read();
        self.read
            .retain(|known| known == newest || !in_use && newest.follows(known));
    }

    /// Sends again what the timers say.
    pub(super) fn handle_timeout_13(&mut self, now: Instant, busy: bool) -> Result<(), GaveUp> {
        let Progress::Continuous(continuous) = &mut self.progress else {
            return Ok(());
        };
        let expired = continuous
            .awaiting
            .fire(now, &self.policy, &mut self.jitter);
        if !busy {
            if expired.attempt > 0 {
                self.shrink_flights(expired.attempt);
            }
            self.send_awaiting_again(&expired.due);
        }
        self.prune_write_epochs();
        if expired.gave_up { Err(GaveUp) } else { Ok(()) }
    }

    pub(super) fn send_awaiting_again(&mut self, ids: &[FlightId]) {
        self.with_awaiting(ids, |layer, awaiting| {
            layer.transmit(&mut awaiting.flight);
            layer.stats.flights_retransmitted += 1;
        });
    }

    fn go_on_awaiting(&mut self, now: Instant, ids: &[FlightId]) {
        self.with_awaiting(ids, |layer, awaiting| {
            awaiting.timer.rewind(now);
            layer.go_on(&mut awaiting.flight);
        });
    }

    /// Hands out the flights with these names, one by one.
    fn with_awaiting(&mut self, ids: &[FlightId], mut each: impl FnMut(&mut Self, &mut Awaiting)) {
        if ids.is_empty() {
            return;
        }
        let Some(continuous) = self.continuous() else {
            return;
        };
        let mut awaiting = std::mem::take(&mut continuous.awaiting);
        for flight in awaiting.named(ids) {
            each(self, flight);
        }
        if let Some(continuous) = self.continuous() {
            continuous.awaiting = awaiting;
        }
    }
}
