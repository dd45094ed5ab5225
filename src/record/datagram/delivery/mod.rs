//! Delivery of handshake messages: whole, in order, once, over a network that gives none of that.
//!
//! ```text
//!   messages ─► Sending ─► Flight ─► packer ─► Records, Outgoing
//!                  ▲          ▲  timer, acknowledgement, or a repeated Finished of the peer
//!
//!   handshake records ─► fragments ─► slots ─► messages, in order
//! ```
//!
//! The version is a variant of one enum, with all that belongs to it; what is being sent is a
//! variant of another, with its timer; and every deadline of the record layer is here. Delivery
//! sits on the other two objects, [`Records`] and [`Outgoing`], and is handed them, as its
//! [`Means`], with each call that may send.

mod acks;
mod awaiting;
mod blame;
mod covered;
mod deadlines;
mod flight;
mod fragments;
mod hello;
mod packer;
mod ranges;
mod reassembly;
mod sending;
mod sent;
mod timer;
mod v12;
mod v13;

pub(crate) use reassembly::Reassembly;
pub(crate) use timer::Jitter;

use super::outgoing::Outgoing;
use super::records::Records;
use crate::config::DatagramPolicy;
use crate::protocol::{
    ContentType, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq, ProtocolVersion,
    RecordNumber, Side,
};
use crate::record::{Discard, Fault, Inbound, Stats};
use crate::wire::ack;
use flight::Flight;
use hello::Hello;
use reassembly::WINDOW;
use sending::Sending;
use sent::MAX_BURST;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timer::{Pace, Timer};
use v12::V12;
use v13::V13;

/// How long what an old handshake left behind stays useful: twice the maximum segment lifetime of
/// RFC 793 (RFC 6347 §4.2.4).
pub(super) const TWICE_MSL: Duration = Duration::from_secs(240);

/// The messages and flights of one association.
pub(super) struct Delivery {
    numbering: Numbering,
    sender: Sender,
}

/// How the peer's messages are numbered, with what the version keeps.
enum Numbering {
    /// The hellos have not settled the version yet.
    Hello(Box<Hello>),
    /// Anew in each handshake.
    V12(V12),
    /// On and on.
    V13(Box<V13>),
}

/// What every version has.
struct Sender {
    side: Side,
    pace: Pace,
    sending: Sending,
    /// When what is kept for peers that have missed it has had its time, and what only a busy
    /// association needs is given back.
    retention: Option<Instant>,
}

/// What is sent with.
pub(super) struct Means<'a> {
    pub(super) records: &'a mut Records,
    pub(super) outgoing: &'a mut Outgoing,
    pub(super) stats: &'a mut Stats,
    /// How many records of a flight of 1.3 leave at a time.
    pub(super) burst: usize,
}

impl Means<'_> {
    /// Seals one record in the current epoch, as a datagram of its own. A flight may join an
    /// acknowledgement.
    pub(super) fn send_record(&mut self, content_type: ContentType, payload: &[u8]) {
        let write = self.records.writing().current();
        if write.remaining() > 0 {
            let length = write.record_len(payload.len());
            let out = match content_type {
                ContentType::ACK => self.outgoing.begin_ack(length),
                _ => self.outgoing.begin(length),
            };
            write.append(content_type, payload, out);
            self.stats.records_sent += 1;
        }
    }
}

impl Numbering {
    fn hello(first: MessageSeq, policy: &DatagramPolicy) -> Self {
        Self::Hello(Box::new(Hello::new(first, policy.max_message)))
    }

    /// Whether the peer acknowledges records.
    const fn is_acknowledged(&self) -> bool {
        matches!(self, Self::V13(_))
    }
}

impl Delivery {
    /// Nothing was said yet; the peer's messages start at `first`, and `jitter` spreads the timers.
    pub(super) fn new(
        side: Side,
        policy: Arc<DatagramPolicy>,
        first: MessageSeq,
        jitter: Jitter,
    ) -> Self {
        Self {
            numbering: Numbering::hello(first, &policy),
            sender: Sender {
                side,
                pace: Pace::new(policy, jitter),
                sending: Sending::Idle,
                retention: None,
            },
        }
    }

    /// How many records of a flight of 1.3 leave at a time.
    #[inline]
    pub(super) fn burst(&self) -> usize {
        match self.policy().conformance.whole_flights {
            true => usize::MAX,
            false => MAX_BURST,
        }
    }

    /// The policy of the association.
    #[inline]
    pub(super) fn policy(&self) -> &DatagramPolicy {
        self.sender.pace.policy()
    }

    // The life of an association.

    /// The hellos have settled on a version.
    pub(super) fn version_decided(&mut self, version: ProtocolVersion) {
        let sender = &mut self.sender;
        let is_13 = version == ProtocolVersion::DTLS13;
        if is_13 && sender.side == Side::Client && sender.is_prompt() {
            // RFC 9147 §7.1: the first message of the answer acknowledges the ClientHello; with
            // patience, what comes after it.
            sender.sending.answered();
        }
        let between = Numbering::V12(V12::idle());
        self.numbering = match std::mem::replace(&mut self.numbering, between) {
            Numbering::Hello(hello) if is_13 => {
                Numbering::V13(Box::new(V13::new(hello.slots, hello.acks)))
            }
            Numbering::Hello(hello) => Numbering::V12(V12::new(hello.slots)),
            decided => decided,
        };
    }

    /// A handshake begins on the epoch in force; `expected` is the number of the peer's next
    /// message.
    pub(super) fn begin_handshake(&mut self, expected: MessageSeq) {
        let max_message = self.sender.pace.policy().max_message;
        if let Numbering::V12(v12) = &mut self.numbering {
            v12.begin(Reassembly::new(expected, WINDOW, max_message));
        }
    }

    /// Begins again as if nothing had been said.
    pub(super) fn begin_afresh(&mut self) {
        self.sender.sending.drop_flight();
        self.numbering = Numbering::hello(MessageSeq::FIRST, self.sender.pace.policy());
    }

    /// The peer's next epoch can be read.
    pub(super) fn keys_installed(&mut self) {
        match &mut self.numbering {
            Numbering::V13(v13) => v13.keys_installed(self.sender.pace.policy()),
            // B6: what strangers have left in the slots must not stand in the way of the peer's
            // Finished.
            _ => {
                if let Some(slots) = self.slots_mut() {
                    slots.clear();
                }
            }
        }
    }

    /// An epoch of the peer is over. At 1.2 what its end starts is started when the handshake is
    /// done.
    pub(super) fn epoch_retired(&mut self, now: Instant) {
        if let Numbering::V13(_) = self.numbering {
            self.sender.retention = Some(now + TWICE_MSL);
        }
    }

    /// The handshake is done, and `epoch` in force.
    pub(super) fn established(&mut self, now: Instant, epoch: Epoch, means: &mut Means<'_>) {
        self.sender.retention = Some(now + TWICE_MSL);
        self.sender.sending.drop_flight();
        match &mut self.numbering {
            Numbering::Hello(_) => {}
            Numbering::V12(v12) => v12.established(epoch),
            Numbering::V13(v13) => v13.established(&self.sender, means),
        }
        self.prune(means.records);
    }

    /// Gives back what was needed for what has come.
    pub(super) fn release(&mut self) {
        if let Numbering::V13(v13) = &mut self.numbering {
            v13.release();
        }
    }

    /// The handshake, or the request for one, comes to nothing.
    pub(super) fn abandon(&mut self) {
        self.sender.sending = Sending::Idle;
        match &mut self.numbering {
            Numbering::Hello(hello) => hello.slots.clear(),
            Numbering::V12(v12) => v12.abandon(),
            Numbering::V13(v13) => v13.shut_down(),
        }
    }

    /// Nothing is sent again any more, and nothing is answered.
    pub(super) fn shut_down(&mut self) {
        self.abandon();
        self.sender.retention = None;
        match &mut self.numbering {
            Numbering::Hello(hello) => hello.acks.clear(),
            Numbering::V12(v12) => v12.forget_retained(),
            Numbering::V13(v13) => v13.acks.clear(),
        }
    }

    /// This end takes its time, or has made up its mind.
    pub(super) fn hold(&mut self, now: Instant, hold: bool) {
        match hold {
            true => self.sender.sending.hold(),
            false => self.sender.sending.release(now),
        }
    }

    // The peer's messages.

    /// The next message, or the next flight that the peer has as a whole.
    ///
    /// # Errors
    ///
    /// A [`Fault`] of the peer, which ends the connection.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Inbound>, Fault> {
        let held = self.sender.sending.is_held();
        let message = match &mut self.numbering {
            Numbering::V12(v12) if !held => v12.pop()?,
            Numbering::V13(v13) => {
                let message = if held { None } else { v13.slots.pop() };
                if message.is_none() {
                    return Ok(v13.pop_delivered());
                }
                message
            }
            Numbering::Hello(hello) if !held => hello.slots.pop(),
            _ => None,
        };
        Ok(message.map(Inbound::Handshake))
    }

    /// What has come ahead of its turn without protection counts no more.
    pub(super) fn forget_ahead(&mut self) {
        if let Some(slots) = self.slots_mut() {
            slots.forget_plaintext();
        }
    }

    /// The message that was handed up last came from anybody: the right one may still come.
    pub(super) fn expect_again(&mut self, seq: MessageSeq) {
        if let Some(slots) = self.slots_mut() {
            slots.expect_again(seq);
        }
    }

    /// Whether a message has come without protection that is too long.
    pub(super) fn has_seen_too_long(&self) -> bool {
        self.slots().is_some_and(Reassembly::has_seen_too_long)
    }

    /// Whether a server cannot make keys to read with before its peer has answered its first
    /// flight.
    pub(super) const fn needs_peer_for_keys(&self) -> bool {
        !matches!(self.numbering, Numbering::V13(_))
    }

    /// How many bytes are kept of messages that are not whole, or not taken.
    pub(super) fn cost(&self) -> usize {
        let following = match &self.numbering {
            Numbering::V12(v12) => v12.cost_of_following(),
            _ => 0,
        };
        self.slots().map_or(0, Reassembly::cost) + following
    }

    /// The messages that are put together.
    fn slots(&self) -> Option<&Reassembly> {
        match &self.numbering {
            Numbering::Hello(hello) => Some(&hello.slots),
            Numbering::V12(v12) => v12.slots(),
            Numbering::V13(v13) => Some(&v13.slots),
        }
    }

    /// The same, to be changed.
    fn slots_mut(&mut self) -> Option<&mut Reassembly> {
        match &mut self.numbering {
            Numbering::Hello(hello) => Some(&mut hello.slots),
            Numbering::V12(v12) => v12.slots_mut(),
            Numbering::V13(v13) => Some(&mut v13.slots),
        }
    }

    /// Notes a handshake record of which nothing was dropped that was not known already.
    fn note_record(&mut self, now: Instant, number: RecordNumber, records: &Records) {
        match &mut self.numbering {
            Numbering::Hello(hello) => hello.acks.enter(number),
            Numbering::V12(_) => {}
            Numbering::V13(v13) => v13.note_record(now, number, &self.sender, records),
        }
    }

    /// Data has come in `epoch`.
    #[inline]
    pub(super) fn data_came(&mut self, epoch: Epoch, records: &mut Records) {
        if let Numbering::V12(v12) = &mut self.numbering {
            v12.data_came(epoch, &self.sender, records);
        }
    }

    /// Nothing is left of a datagram.
    #[inline]
    pub(super) fn datagram_is_through(&mut self, means: &mut Means<'_>) {
        if let Numbering::V13(v13) = &mut self.numbering
            && v13.acks.is_urgent()
        {
            v13.tell_acks(&self.sender, means);
        }
    }

    /// Takes an acknowledgement that came in `epoch`.
    ///
    /// # Errors
    ///
    /// `AckOfUnsentRecord` (RFC 9147 §7.2).
    #[cold]
    pub(super) fn take_ack(
        &mut self,
        now: Instant,
        epoch: Epoch,
        contents: &[u8],
        means: &mut Means<'_>,
    ) -> Result<(), Fault> {
        let trusts_plaintext = self.policy().conformance.acknowledge_plaintext;
        let v13 = match &mut self.numbering {
            Numbering::V13(v13)
                if epoch != Epoch::PLAINTEXT || trusts_plaintext && !v13.is_established() =>
            {
                v13
            }
            // Anybody can send this, and nothing that a handshake needs would be lost with it.
            _ => {
                means.stats.discard(Discard::PlaintextAck);
                return Ok(());
            }
        };
        let Ok(numbers) = ack::decode(contents) else {
            means.stats.discard(Discard::BadRecord);
            return Ok(());
        };
        let mut sent = |it: &RecordNumber| {
            // RFC 9147 §7: no handshake record is acknowledged with less protection than it had.
            let protected = epoch >= it.epoch || it.epoch >= Epoch::APPLICATION_13;
            protected && means.records.writing().may_have_sent(*it)
        };
        if numbers.iter().all(&mut sent) {
            v13.take_ack(now, epoch, &numbers, &mut self.sender, means);
            self.prune(means.records);
            return Ok(());
        }
        let fault = Fault::AckOfUnsentRecord;
        match epoch {
            Epoch::PLAINTEXT => self.count_or_fail(epoch, Discard::PlaintextAck, fault, means),
            _ => Err(fault),
        }
    }

    // This end's flights.

    /// Adds a message to the flight under construction.
    pub(super) fn push_message(
        &mut self,
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        body: Vec<u8>,
    ) {
        let side = self.sender.side;
        let push = |flight: &mut Flight| flight.push_message(epoch, seq, typ, body);
        self.sender.sending.build(side, push);
    }

    /// Adds ChangeCipherSpec to the flight under construction.
    pub(super) fn push_change_cipher_spec(&mut self, epoch: Epoch) {
        let side = self.sender.side;
        let push = |flight: &mut Flight| flight.push_change_cipher_spec(epoch);
        self.sender.sending.build(side, push);
    }

    /// Sends the flight under construction.
    pub(super) fn end_flight(
        &mut self,
        now: Instant,
        id: FlightId,
        end: FlightEnd,
        means: &mut Means<'_>,
    ) {
        let Some(mut flight) = self.sender.sending.finish() else {
            return;
        };
        tracing::trace!(?id, ?end, "flight");
        flight.transmit(means, self.numbering.is_acknowledged());
        match &mut self.numbering {
            Numbering::Hello(hello) => hello.acks.clear(),
            Numbering::V12(_) => {}
            Numbering::V13(v13) => v13.answering(),
        }
        match (end, &mut self.numbering) {
            (FlightEnd::AwaitReply | FlightEnd::Request, _) => {
                let timer = Timer::start(now, &mut self.sender.pace);
                let request = end == FlightEnd::Request;
                self.sender.sending.wait(*flight, timer, request);
            }
            (FlightEnd::Final, Numbering::V12(v12)) => {
                v12.retain(now, *flight, means.records.writing().current_epoch());
            }
            (FlightEnd::AwaitAck(fate), Numbering::V13(v13)) => {
                v13.await_ack(now, id, *flight, fate, &mut self.sender);
            }
            _ => {}
        }
    }

    /// Sends the flight again that is out.
    pub(super) fn repeat(&mut self, now: Instant, means: &mut Means<'_>) {
        let acknowledged = self.numbering.is_acknowledged();
        self.sender.sending.repeat(means, acknowledged);
        self.sender.sending.rewind(now);
    }

    /// Leaves repetition to the peer from now on.
    pub(super) fn stop_retransmitting(&mut self) {
        self.sender.sending.stop_timer();
    }

    /// Datagrams of more than `limit` bytes have never left: flights that were cut to that size are
    /// cut again and sent, and no timer is touched.
    pub(super) fn start_over_within(&mut self, limit: usize, means: &mut Means<'_>) {
        let acknowledged = self.numbering.is_acknowledged();
        let sending = &mut self.sender.sending;
        sending.start_over_within(limit, means, acknowledged);
        match &mut self.numbering {
            Numbering::Hello(_) => {}
            Numbering::V12(v12) => v12.start_over_within(limit, means),
            Numbering::V13(v13) => v13.awaiting.start_over_within(limit, means),
        }
    }

    /// A write epoch, keys and next number, lives as long as a flight has a part in it.
    fn prune(&self, records: &mut Records) {
        records.writing().retain(|epoch| {
            let kept = match &self.numbering {
                Numbering::Hello(_) => false,
                Numbering::V12(v12) => v12.uses(epoch),
                Numbering::V13(v13) => v13.awaiting.uses(epoch),
            };
            kept || self.sender.sending.uses(epoch)
        });
    }
}

impl Sender {
    /// Whether acknowledgements are sent at once.
    fn is_prompt(&self) -> bool {
        !self.pace.policy().conformance.acknowledge_patiently
    }
}
