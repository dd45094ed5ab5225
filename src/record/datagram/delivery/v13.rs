//! Delivery at version 1.3: one numbering of messages for ever, acknowledgements, and flights that
//! wait for them (RFC 9147 §5.2, §5.8, §7).
//!
//! ```text
//!   fragments ─► slots ─► messages, in order, during the handshake and after it
//!       └─► acks ─► the peer
//!
//!   flights ─► awaiting ─► timers ──┐
//!                 ▲                 ├─► what is missing, again
//!   ACK of the peer ─► freed ranges ┘     └─ nothing missing: FlightDelivered
//! ```

use super::acks::Acks;
use super::awaiting::AwaitingFlights;
use super::flight::Flight;
use super::fragments::{Fragment, NotEntered};
use super::reassembly::Reassembly;
use super::timer::Timer;
use super::{Means, Sender};
use crate::config::DatagramPolicy;
use crate::protocol::{ContentType, Epoch, FlightId, RecordNumber, Side, Unacknowledged};
use crate::record::datagram::records::Records;
use crate::record::{Discard, GaveUp, Inbound};
use crate::wire::ack::{self, NUMBER_LEN};
use std::collections::VecDeque;
use std::time::Instant;

/// What version 1.3 keeps of the peer's messages and of this end's flights.
pub(super) struct V13 {
    pub(super) slots: Reassembly,
    /// What the peer is owed.
    pub(super) acks: Acks,
    /// What only an acknowledgement ends.
    pub(super) awaiting: AwaitingFlights,
    stage: Stage,
    delivered: VecDeque<FlightId>,
}

/// Whether the handshake runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It does.
    Handshaking,
    /// It is complete, as far as this end knows.
    Established,
}

/// How many bytes of an acknowledgement are not numbers: the length of their list.
const LENGTH_LEN: usize = 2;

impl V13 {
    /// Goes on from the numbering that the hellos have begun, and owes what `acks` says.
    pub(super) fn new(slots: Reassembly, acks: Acks) -> Self {
        Self {
            slots,
            acks,
            awaiting: AwaitingFlights::default(),
            stage: Stage::Handshaking,
            delivered: VecDeque::new(),
        }
    }

    /// Whether the handshake is complete, as far as this end knows.
    pub(super) fn is_established(&self) -> bool {
        self.stage == Stage::Established
    }

    /// The handshake is complete.
    pub(super) fn established(&mut self, sender: &Sender, means: &mut Means<'_>) {
        self.stage = Stage::Established;
        self.slots.release();
        if sender.side == Side::Server {
            // RFC 9147 §7.1: nothing else tells the client that its last flight has arrived. Before
            // the tickets, at which a client that still waits for its acknowledgement may not look.
            self.tell_acks(sender, means);
        }
    }

    /// Gives back the allocations of what is empty.
    pub(super) fn release(&mut self) {
        self.slots.release();
        self.acks.release();
    }

    /// Drops what only a live association needs.
    pub(super) fn shut_down(&mut self) {
        self.awaiting.clear();
        self.delivered = VecDeque::new();
        self.slots.clear();
    }

    // The peer's messages.

    /// The next flight that the peer has as a whole.
    #[inline]
    pub(super) fn pop_delivered(&mut self) -> Option<Inbound> {
        let delivered = self.delivered.pop_front()?;
        if self.delivered.is_empty() {
            self.delivered = VecDeque::new();
        }
        Some(Inbound::FlightDelivered(delivered))
    }

    /// Enters a fragment.
    pub(super) fn fragment(
        &mut self,
        fragment: &Fragment<'_>,
        sender: &mut Sender,
        records: &Records,
    ) -> Result<(), NotEntered> {
        let epoch = fragment.epoch;
        let protected = records.has_read_keys();
        let old = self.slots.is_past(fragment.header.seq);
        match epoch {
            // Once there are keys, nothing that is unprotected means anything; nothing new is said
            // without them either.
            Epoch::PLAINTEXT if protected && old => return Err(Discard::OldMessage.into()),
            Epoch::PLAINTEXT if protected => return Err(NotEntered::Misplaced),
            Epoch::PLAINTEXT | Epoch::HANDSHAKE_13 => {}
            // Not an old one, or it would be acknowledged unseen.
            _ if !self.is_established() => return Err(Discard::UnexpectedMessage.into()),
            _ => {}
        }
        if self.is_established() && epoch < Epoch::APPLICATION_13 {
            // RFC 9147 §5.8.1: a repeated flight, whose acknowledgement was lost; after its
            // Finished there is nothing.
            return Err(match old {
                true => Discard::OldMessage.into(),
                false => NotEntered::Misplaced,
            });
        }
        let in_order = self.slots.is_next(&fragment.header);
        fragment.enter(&mut self.slots)?;
        if !self.is_established() {
            let policy = sender.pace.policy();
            let prompt = sender.is_prompt();
            let keyed = epoch > Epoch::PLAINTEXT;
            if keyed || policy.conformance.acknowledge_plaintext && sender.side == Side::Server {
                // RFC 9147 §7.1: any part of the answer acknowledges the whole flight.
                sender.sending.answered();
            }
            if !in_order && prompt {
                self.acks.tell_disruption();
            }
        }
        Ok(())
    }

    // What the peer is owed.

    /// There are keys now: what came without them counts no more.
    pub(super) fn keys_installed(&mut self, policy: &DatagramPolicy) {
        self.slots.forget_plaintext();
        if !policy.conformance.acknowledge_plaintext {
            // A number that the peer has never used would be a fault to it (RFC 9147 §7.2), and a
            // stranger may have used it. That this end has keys says that the peer's hello has
            // arrived.
            self.acks.forget_plaintext();
        }
    }

    /// Notes a handshake record of which nothing was dropped that was not known already
    /// (RFC 9147 §7, §7.1).
    pub(super) fn note_record(
        &mut self,
        now: Instant,
        number: RecordNumber,
        sender: &Sender,
        records: &Records,
    ) {
        let prompt = sender.is_prompt();
        let patience = sender.sending.patience(&sender.pace);
        match self.stage {
            Stage::Handshaking => {
                if number.epoch == Epoch::PLAINTEXT && records.has_read_keys() {
                    return;
                }
                self.acks.enter(number);
                self.acks.tell_after(now, patience);
                if prompt {
                    // RFC 9147 §5.8.3: its sender may wait for that.
                    self.acks.tell_progress();
                }
            }
            Stage::Established => {
                // The server's flight needs none: the client's own last one, which is repeated by
                // its timer, answers it.
                let owed = number.epoch >= Epoch::APPLICATION_13
                    || sender.side == Side::Server && number.epoch == Epoch::HANDSHAKE_13;
                if !owed {
                    return;
                }
                self.acks.enter(number);
                match prompt {
                    true => self.acks.tell_at_once(),
                    false => self.acks.tell_after(now, patience),
                }
            }
        }
    }

    /// A flight of this end leaves. RFC 9147 §7.1: it answers, and so acknowledges, what came.
    pub(super) fn answering(&mut self) {
        if !self.is_established() {
            self.acks.clear();
        }
    }

    /// Sends what is owed.
    pub(super) fn tell_acks(&mut self, sender: &Sender, means: &mut Means<'_>) {
        let largest = means.outgoing.largest();
        let write = means.records.writing().current();
        // RFC 9147 §7: in the highest epoch; not without protection, unless the policy thinks that
        // the peer would believe it.
        let believed =
            write.is_protected() || sender.pace.policy().conformance.acknowledge_plaintext;
        if !believed || write.is_at_its_end() {
            self.acks.tell(0);
            return;
        }
        let room = largest.saturating_sub(write.overhead() + LENGTH_LEN);
        // RFC 8449 §4: as many as the peer takes in a record.
        let of_a_record = write.max_contents().saturating_sub(LENGTH_LEN) / NUMBER_LEN;
        for numbers in self.acks.tell(room).chunks(of_a_record.max(1)) {
            means.send_record(ContentType::ACK, &ack::encode(numbers));
        }
        // With patience, what was told is told again, because an acknowledgement may be lost.
        if self.is_established() && sender.is_prompt() {
            self.acks.clear();
        }
    }

    // What the peer has.

    /// Takes an acknowledgement of records that were sent.
    pub(super) fn take_ack(
        &mut self,
        now: Instant,
        epoch: Epoch,
        numbers: &[RecordNumber],
        sender: &mut Sender,
        means: &mut Means<'_>,
    ) {
        // RFC 9147 §7.2: what is missing is sent again, now or by the timer; at once not to an
        // address that is not proved.
        let prompt = sender.is_prompt() && means.outgoing.is_proved();
        let believes_plaintext = sender.pace.policy().conformance.acknowledge_plaintext;
        if numbers.is_empty() {
            if prompt {
                self.answer_empty_ack(now, sender, means);
            }
            return;
        }
        if let Some(out) = sender.sending.out() {
            let news = out.flight.acknowledge(numbers);
            if epoch > Epoch::PLAINTEXT && !believes_plaintext {
                // Who has keys has what they are made of, and need not say so.
                out.flight.acknowledge_plaintext();
            }
            if out.flight.is_delivered() {
                // RFC 9147 §7.2: nothing of it is sent again, and the peer's answer may take its
                // time.
                out.timer = None;
            } else if news && prompt {
                out.go_on(now, means);
            }
        }
        let mut advanced = Vec::new();
        let delivered = self.awaiting.acknowledge(numbers, &mut advanced);
        if !delivered.is_empty() {
            means.outgoing.answered();
        }
        self.delivered.extend(delivered);
        if prompt {
            self.awaiting.go_on(now, &advanced, means);
        }
    }

    /// RFC 9147 §7.1, §7.2: who acknowledges nothing has got something that it cannot open, because
    /// what came before is missing. All of it is sent again at once, but not more often than only a
    /// network that repeats datagrams would ask.
    fn answer_empty_ack(&mut self, now: Instant, sender: &mut Sender, means: &mut Means<'_>) {
        // I2: what was sealed but not yet taken is still on its way.
        if !means.outgoing.is_empty() {
            return;
        }
        let pause = sender.pace.repeat_after();
        if let Some(out) = sender.sending.out()
            && !out.flight.is_delivered()
            && out.flight.is_missed(now, pause)
        {
            out.go_on(now, means);
        }
        let missed = self.awaiting.missed(now, pause);
        self.awaiting.go_on(now, &missed, means);
    }

    // This end's flights.

    /// A flight is on its way that nothing but an acknowledgement ends.
    pub(super) fn await_ack(
        &mut self,
        now: Instant,
        id: FlightId,
        flight: Flight,
        fate: Unacknowledged,
        sender: &mut Sender,
    ) {
        let needed = sender.pace.policy().conformance.need_tickets_acknowledged;
        let fate = match fate {
            Unacknowledged::Forgets if needed => Unacknowledged::Fails,
            fate => fate,
        };
        let timer = Timer::start(now, &mut sender.pace);
        self.awaiting.push(id, flight, fate, timer);
    }

    /// When something is sent without any input.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        let awaiting = self.awaiting.deadline();
        [awaiting, self.acks.deadline()].into_iter().flatten().min()
    }

    /// Sends again what the timers say; not while what was sealed before has not been taken.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        busy: bool,
        sender: &mut Sender,
        means: &mut Means<'_>,
    ) -> Result<(), GaveUp> {
        let expired = self.awaiting.fire(now, &mut sender.pace);
        if !busy {
            if expired.attempt > 0 {
                means.outgoing.silence(expired.attempt);
            }
            self.awaiting.repeat(&expired.due, means);
        }
        if expired.gave_up { Err(GaveUp) } else { Ok(()) }
    }
}
