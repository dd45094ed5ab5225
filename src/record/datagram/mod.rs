//! DTLS records (RFC 6347 §4.1, RFC 9147 §4) with everything that datagrams need: order, fragments, replay, retransmission.
//!
//! ```text
//!   handle_datagram ─► records ─► epoch ─► replay? ─► open ─► window ─┬─► data ─────────────► Inbound
//!                         │                                          ├─► alert ────────────► Inbound
//!                         └─ next epoch, no keys yet ─► early        └─► fragments ─► slots ─► Inbound, in order
//!
//!   SendMessage … EndFlight ─► flight ─► packer ─► outgoing ─► poll_transmit
//!                                ▲  timer, or a repeated Finished of the peer
//! ```
//!
//! Nothing changes before a record has authenticated, but in the plaintext epoch, where nothing can.

mod ack;
mod awaiting;
mod continuous;
mod covered;
mod early;
mod epochs;
mod faults;
mod flight;
mod flights;
mod forgeries;
mod fragments;
mod inbound;
mod outgoing;
mod path_size;
mod preview;
mod progress;
mod ranges;
mod reassembly;
mod replay;
mod retransmit;
mod sent;
#[cfg(test)]
mod tests13;
mod unified;

use super::{
    Discard, Fault, GaveUp, Goodbye, Inbound, Layer, Limits, Records, Sent, Silence, Stats,
};
use crate::config::{DatagramPolicy, MAX_WARNINGS, PlaintextAlerts};
use crate::error::SendError;
use crate::protocol::dialect::DTLS;
use crate::protocol::{
    Alert, ContentType, Dialect, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq, Path,
    ProtocolVersion, ReadSwitch, Side,
};
use crate::secrets::traffic::RecordProtection;
use crate::wire::alert;
use ack::Acks;
use bytes::BytesMut;
use early::EarlyRecords;
use epochs::{ReadEpochs, WriteEpochs};
use flight::Flight;
use outgoing::Outgoing;
use path_size::{PathSize, max_payload};
use preview::Preview;
use progress::{AMPLIFICATION, Progress, Retained, Unproven};
pub(crate) use reassembly::Reassembly;
use reassembly::WINDOW;
pub(crate) use retransmit::Jitter;
use retransmit::{Fired, Timer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a wish to renegotiate is answered with a refusal at most. More wishes are only counted:
/// one that is not answered is repeated.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

/// How long what an old handshake left behind stays useful: twice the maximum segment lifetime of RFC 793
/// (RFC 6347 §4.2.4).
const TWICE_MSL: Duration = Duration::from_secs(240);

/// The steps to which handshake flights shrink when nobody answers: IPv6's minimum less tunnels, IPv4's minimum.
const SMALLER_MTUS: [usize; 2] = [1200, crate::config::MIN_HANDSHAKE_MTU];

/// How many tries of one size go unanswered before the next smaller size is tried (RFC 6347 §4.1.1.1).
const TRIES_A_SIZE: u32 = 2;

/// How many first timeouts a client waits for what proves a ServerHello of 1.3: a server repeats it twice meanwhile.
const PROOF_TIMEOUTS: u32 = 4;

/// The datagram record layer of one association.
pub struct Datagram {
    side: Side,
    /// Shared with the configuration, unless this association has changed it.
    policy: Arc<DatagramPolicy>,
    path: Path,
    /// The version in the header of outgoing records.
    version: ProtocolVersion,
    read: ReadEpochs,
    write: WriteEpochs,
    /// The datagram being taken apart, with the way it came and its whole length.
    input: BytesMut,
    input_path: Path,
    input_len: usize,
    early: EarlyRecords,
    /// The keys of the next epoch, while only a fatal alert is read under them.
    preview: Option<Box<Preview>>,
    /// The version is not known yet.
    undecided: bool,
    /// At 1.3, what the peer is owed.
    acks: Acks,
    progress: Progress,
    /// The flight under construction, or waiting for its answer.
    flight: Option<Box<Flight>>,
    flight_complete: bool,
    /// The flight is a request so far, or a hello that was asked for once more: it leads the next one.
    requesting: bool,
    /// What may be sent to an address that was not proved; `None` for one that was.
    unproven: Option<Unproven>,
    timer: Timer,
    jitter: Jitter,
    /// This end has not made up its mind: messages stay where they are, and the timer stands still.
    holding: bool,
    size: PathSize,
    /// The last flight of a handshake, kept to answer a peer that missed it.
    retained: Option<Box<Retained>>,
    /// When buffers that only a busy association needs are given back.
    retention: Option<Instant>,
    outgoing: Outgoing,
    disbelieved_alert: Option<Alert>,
    /// A message came without protection that is too long.
    too_long: bool,
    /// Under keys the peer has said something behind its Finished.
    surplus: bool,
    /// The epoch whose key has seen half of the forgeries that it may.
    attacked: Option<Epoch>,
    stats: Box<Stats>,
}

impl Datagram {
    /// A layer for one peer, whose plaintext records start at `record_sequence` and whose peer's messages at
    /// `message_seq`; `jitter` spreads its timers.
    pub(crate) fn new(
        side: Side,
        policy: &Arc<DatagramPolicy>,
        path: Path,
        message_seq: MessageSeq,
        record_sequence: u64,
        jitter: Jitter,
    ) -> Self {
        let slots = Box::new(Reassembly::new(message_seq, WINDOW, policy.max_message));
        Self {
            side,
            policy: policy.clone(),
            path,
            // RFC 6347 §4.1: what OpenSSL and others put there before the version is known; peers take both.
            version: ProtocolVersion::DTLS10,
            read: ReadEpochs::plaintext(),
            write: WriteEpochs::plaintext(record_sequence),
            input: BytesMut::new(),
            input_path: path,
            input_len: 0,
            early: EarlyRecords::default(),
            preview: None,
            undecided: true,
            acks: Acks::default(),
            progress: Progress::Handshaking {
                current: Epoch::PLAINTEXT,
                slots,
                flexible: false,
                following: None,
            },
            flight: None,
            flight_complete: false,
            requesting: false,
            unproven: None,
            timer: Timer::Idle,
            jitter,
            holding: false,
            size: PathSize::new(policy.mtu),
            retained: None,
            retention: None,
            outgoing: Outgoing::default(),
            disbelieved_alert: None,
            too_long: false,
            surplus: false,
            attacked: None,
            stats: Box::default(),
        }
    }

    /// Gives the layer a datagram; what is in it comes out of [`Layer::next_inbound`].
    #[inline]
    pub(crate) fn receive(&mut self, path: Path, datagram: BytesMut) {
        self.input_len = datagram.len();
        if let Some(unproven) = &mut self.unproven {
            unproven.budget += AMPLIFICATION * datagram.len();
        }
        self.input = datagram;
        self.input_path = path;
    }

    /// Where this end sends to.
    pub(crate) const fn path(&self) -> Path {
        self.path
    }

    /// Hands out sealed datagrams: see `Connection::poll_transmit`.
    #[inline]
    pub(crate) fn poll_transmit(
        &mut self,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<(usize, Option<usize>)> {
        self.outgoing
            .take(max_datagrams, out)
            .map(|taken| (taken.len, taken.segment_size))
    }

    /// Changes the largest datagram of this association. What was learned about the path is forgotten.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.size = PathSize::new(mtu);
    }

    /// The policy of this association.
    pub(crate) fn policy(&self) -> &DatagramPolicy {
        &self.policy
    }

    /// Whether sealed datagrams wait.
    pub(crate) fn has_transmit(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// How many bytes are held for the peer or on its behalf, beside the association itself.
    pub(crate) fn buffered(&self) -> usize {
        self.progress.cost() + self.early.cost() + self.outgoing.queued()
    }
}

impl Records for Datagram {}

impl Layer for Datagram {
    const DIALECT: &'static Dialect = &DTLS;

    #[inline]
    fn limits(&self) -> Limits {
        Limits {
            receive_items: self.policy.receive_datagrams,
            keeps_overtaking_data: !self.policy.conformance.drop_overtaking_data,
            receive_bytes: self.policy.receive_bytes,
            send_bytes: self.policy.send_bytes,
            handshake_deadline: self.policy.handshake_deadline,
            doubts_plaintext: !self.policy.conformance.fail_by_plaintext_faults,
            proof_timeout: self.policy.initial_timeout * PROOF_TIMEOUTS,
            warnings: MAX_WARNINGS,
        }
    }

    fn goodbye(&self) -> Goodbye {
        Goodbye::Hint
    }

    fn silence(&self) -> Silence {
        Silence::Ignored
    }

    fn believes_plaintext_alert(&self, error: bool) -> bool {
        error && self.policy.plaintext_alerts == PlaintextAlerts::Believe
    }

    #[inline]
    fn intake_can_stop(&self) -> bool {
        false
    }

    fn portion(&self, length: usize, room: usize) -> Result<usize, SendError> {
        let max = self.max_payload();
        if length > max {
            return Err(SendError::TooLarge { max });
        }
        match room {
            0 => Err(SendError::Backlog),
            room if length > room => Err(SendError::Backlog),
            _ => Ok(length),
        }
    }

    fn refusal_interval(&self) -> Duration {
        REFUSAL_INTERVAL
    }

    fn version_decided(&mut self, version: ProtocolVersion) {
        self.undecided = false;
        // RFC 9147 §4: plaintext records of 1.3 are dressed as those of 1.2.
        self.version = ProtocolVersion::DTLS12;
        if version == ProtocolVersion::DTLS13 {
            self.continue_with_13();
        } else {
            self.acks.clear();
        }
    }

    fn send_message(&mut self, epoch: Epoch, seq: MessageSeq, typ: HandshakeType, body: Vec<u8>) {
        self.start_flight().push_message(epoch, seq, typ, body);
    }

    fn send_change_cipher_spec(&mut self, epoch: Epoch) {
        self.start_flight().push_change_cipher_spec(epoch);
    }

    fn send_alert(&mut self, alert: Alert) {
        let payload = alert::encode(alert);
        let Some(write) = self.write.current() else {
            return;
        };
        if write.remaining() > 0 {
            let out = self.outgoing.begin(write.overhead() + payload.len());
            write.append(ContentType::ALERT, self.version, &payload, out);
            self.stats.records_sent += 1;
        }
    }

    fn install_write(&mut self, epoch: Epoch, protection: RecordProtection) {
        self.write.install(epoch, &protection);
    }

    fn install_read(&mut self, epoch: Epoch, protection: RecordProtection, when: ReadSwitch) {
        if when == ReadSwitch::OnlyAlerts {
            self.preview = Some(Preview::new(epoch, protection, self.early.len()));
            return;
        }
        // The epoch in each record says whether it lies behind the ChangeCipherSpec.
        self.preview = None;
        self.read.install(epoch, &protection);
        // B6: what strangers have left in the slots must not stand in the way of the peer's Finished.
        match &mut self.progress {
            Progress::Handshaking { slots, .. } => slots.clear(),
            Progress::Continuous(continuous) => {
                continuous.slots.forget_plaintext();
                if !self.policy.conformance.acknowledge_plaintext {
                    // A number that the peer has never used would be a fault to it (RFC 9147 §7.2), and a stranger may
                    // have used it. That this end has keys says that the peer's hello has arrived.
                    self.acks.forget_plaintext();
                }
            }
            Progress::Established { .. } => {}
        }
    }

    /// It has an epoch of its own, whose records are dropped like those of any other without keys.
    fn skip_early_data(&mut self) {}

    fn retire_read(&mut self, now: Instant, epoch: Epoch) {
        if self.is_13() {
            // RFC 9147 §4.2.1, §5.8.1, §8: the epoch before stays for a while, that of the handshake as well.
            self.read
                .retain(|known| known >= epoch || known == Epoch::HANDSHAKE_13);
            self.retention = Some(now + TWICE_MSL);
            return;
        }
        // What is older than the epoch that ends now has had its time.
        self.read.retain(|known| known >= epoch);
        // B6: once keys exist, nothing that is unprotected means anything.
        if epoch == Epoch::PLAINTEXT {
            self.read.retain(|known| known > epoch);
        }
    }

    fn end_flight(&mut self, now: Instant, id: FlightId, end: FlightEnd) -> Sent {
        let Some(mut flight) = self.flight.take() else {
            return Sent::OnItsWay;
        };
        tracing::trace!(?id, ?end, "flight");
        self.transmit(&mut flight);
        if !self.continuous().is_some_and(|it| it.done) {
            // RFC 9147 §7.1: what is sent now answers, and so acknowledges, what came.
            self.acks.clear();
        }
        match end {
            FlightEnd::AwaitReply | FlightEnd::Request => {
                self.flight = Some(flight);
                self.flight_complete = true;
                self.requesting = end == FlightEnd::Request;
                self.timer = Timer::start(now, &self.policy, &mut self.jitter);
            }
            FlightEnd::Final => {
                let epoch = self.write.current_epoch();
                self.retained = Some(Box::new(Retained {
                    flight: *flight,
                    epoch,
                    heard: false,
                    sent: now,
                }));
                self.timer = Timer::Idle;
            }
            FlightEnd::AwaitAck(fate) => self.await_ack(now, id, *flight, fate),
        }
        Sent::OnItsWay
    }

    fn repeat_flight(&mut self, now: Instant) {
        self.send_flight_again();
        self.timer.rewind(now);
    }

    fn begin_handshake(&mut self, expected: MessageSeq) {
        let slots = Reassembly::new(expected, WINDOW, self.policy.max_message);
        self.progress = Progress::Handshaking {
            current: self.write.current_epoch(),
            slots: Box::new(slots),
            flexible: self.side == Side::Client,
            following: None,
        };
    }

    fn forget_ahead(&mut self) {
        match &mut self.progress {
            Progress::Handshaking { slots, .. } => slots.forget_plaintext(),
            Progress::Continuous(continuous) => continuous.slots.forget_plaintext(),
            Progress::Established { .. } => {}
        }
    }

    fn begin_afresh(&mut self) {
        self.read = ReadEpochs::plaintext();
        self.write = WriteEpochs::plaintext(self.stats.records_sent);
        self.preview = None;
        self.drop_flight();
        self.acks.clear();
        self.early.clear();
        self.undecided = true;
        self.version = ProtocolVersion::DTLS10;
        let slots = Reassembly::new(MessageSeq::FIRST, WINDOW, self.policy.max_message);
        self.progress = Progress::Handshaking {
            current: Epoch::PLAINTEXT,
            slots: Box::new(slots),
            flexible: false,
            following: None,
        };
    }

    fn is_unanswered(&self, now: Instant) -> bool {
        let soon = now + self.policy.conformance.timer_slack;
        let deadline = self.timer.deadline();
        deadline.is_some_and(|deadline| deadline <= soon)
    }

    fn hold_messages(&mut self, now: Instant, hold: bool) {
        self.holding = hold;
        if !hold {
            self.timer.rewind(now);
        }
    }

    fn abandon_handshake(&mut self) {
        self.holding = false;
        self.size.given_up();
        self.drop_flight();
        self.early.clear();
        self.preview = None;
        if let Some(continuous) = self.continuous() {
            return continuous.shut_down();
        }
        let epoch = self.write.current_epoch();
        self.read.retain(|known| known <= epoch);
        self.progress = Progress::Established {
            epoch,
            next: None,
            following: None,
        };
    }

    fn established(&mut self, now: Instant, epoch: Epoch) {
        self.retention = Some(now + TWICE_MSL);
        self.drop_flight();
        if self
            .retained
            .as_ref()
            .is_some_and(|retained| retained.epoch != epoch)
        {
            self.retained = None;
        }
        // Behind the Finished that has just been taken from there, data of the same epoch may wait.
        self.early.keep_only(epoch);
        self.size.answered();
        if self.is_13() {
            self.complete_13(now);
            self.prune_write_epochs();
            return;
        }
        let (next, following) = match &mut self.progress {
            Progress::Handshaking {
                slots, following, ..
            } => {
                // Finished is the last message of its handshake.
                self.surplus |= slots.holds_protected();
                (slots.expected(), following.take())
            }
            Progress::Established {
                next, following, ..
            } => (*next, following.take()),
            Progress::Continuous(_) => (None, None),
        };
        self.progress = Progress::Established {
            epoch,
            next,
            following,
        };
        self.prune_write_epochs();
    }

    #[inline]
    fn next_inbound(&mut self, now: Instant) -> Result<Option<Inbound>, Fault> {
        inbound::next(self, now)
    }

    fn refuse(&mut self, epoch: Epoch, seq: MessageSeq, why: Discard) -> bool {
        if epoch != Epoch::PLAINTEXT || self.fails_by_plaintext(epoch) {
            return true;
        }
        // Anybody can send this: it is noise, and the message that belongs here may still come.
        self.stats.discard(why);
        match &mut self.progress {
            Progress::Handshaking { slots, .. } => slots.expect_again(seq),
            Progress::Continuous(continuous) => continuous.slots.expect_again(seq),
            Progress::Established { .. } => {}
        }
        false
    }

    #[inline]
    fn send_data(&mut self, data: &[u8]) -> Result<usize, SendError> {
        let is_13 = self.is_13();
        let write = self.write.current().filter(|write| write.is_protected());
        let write = write.ok_or(SendError::NotConnected)?;
        let max = max_payload(self.size.limit(), is_13);
        if data.len() > max {
            return Err(SendError::TooLarge { max });
        }
        let length = write.overhead() + data.len();
        if self.outgoing.queued() + length > self.policy.send_bytes {
            return Err(SendError::Backlog);
        }
        // The last record of an epoch is kept for the alert that ends the association.
        if write.remaining() <= 1 {
            return Err(SendError::KeyExhausted);
        }
        let out = self.outgoing.begin(length);
        write.append(ContentType::APPLICATION_DATA, self.version, data, out);
        self.stats.records_sent += 1;
        Ok(data.len())
    }

    #[inline]
    fn written(&self) -> u64 {
        self.write.written()
    }

    #[inline]
    fn attacked(&self) -> Option<Epoch> {
        self.attacked
    }

    fn lift_send_limit(&mut self) {
        Arc::make_mut(&mut self.policy).send_bytes = usize::MAX;
    }

    fn max_payload(&self) -> usize {
        max_payload(self.size.limit(), self.is_13())
    }

    #[inline]
    fn poll_timeout(&self) -> Option<Instant> {
        let sending = self.retransmission_deadline();
        [sending, self.retention].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), GaveUp> {
        if self.retention.is_some_and(|until| until <= now) {
            self.retention = None;
            self.outgoing.release();
            self.end_retention();
        }
        let busy = !self.outgoing.is_empty();
        // Before what is sent again: it may be all that the peer waits for.
        if self.acks.is_due(now) && self.is_13() {
            self.tell_acks();
        }
        let fired = match self.holding {
            true => Fired::NotYet,
            false => self.timer.fire(now, &self.policy, &mut self.jitter),
        };
        match fired {
            Fired::NotYet => {}
            Fired::Retransmit { attempt } => self.retransmit(attempt, busy),
            Fired::GaveUp => return Err(GaveUp),
        }
        self.handle_timeout_13(now, busy)
    }

    fn shut_down(&mut self) {
        self.holding = false;
        self.drop_flight();
        self.retained = None;
        self.retention = None;
        self.input = BytesMut::new();
        self.early.clear();
        self.preview = None;
        self.acks.clear();
        if let Some(continuous) = self.continuous() {
            return continuous.shut_down();
        }
        self.progress = Progress::Established {
            epoch: self.write.current_epoch(),
            next: None,
            following: None,
        };
    }

    fn retransmissions(&self) -> u32 {
        let awaiting = match &self.progress {
            Progress::Continuous(continuous) => continuous.retransmissions(),
            _ => 0,
        };
        self.timer.retransmissions().max(awaiting)
    }

    fn has_seen_too_long(&self) -> bool {
        self.too_long
    }

    fn disbelieved_alert(&self) -> Option<Alert> {
        self.disbelieved_alert
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn stats_mut(&mut self) -> &mut Stats {
        &mut self.stats
    }
}
