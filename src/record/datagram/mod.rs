//! DTLS records (RFC 6347 §4.1, RFC 9147 §4) with everything that datagrams need: order, fragments,
//! replay, retransmission.
//!
//! ```text
//!   handle_datagram ─► Records ─┬─► data ───────────────► Inbound
//!                               ├─► alert ──────────────► Inbound
//!                               └─► handshake ─► Delivery ─► Inbound, in order
//!
//!   SendMessage … EndFlight ─► Delivery ─► Records ─► Outgoing ─► poll_transmit
//!   send_data ───────────────────────────► Records ─► Outgoing
//! ```
//!
//! Three objects with private fields:
//!
//! * [`Outgoing`] is about the path: batches, the size of datagrams, amplification.
//! * [`Records`] has epochs, keys, numbers, connection IDs and replay windows, and knows what a
//!   record looks like.
//! * [`Delivery`] has handshake messages, flights, acknowledgements and every deadline. It knows
//!   the version, and the other two objects, which do not know each other.
//!
//! To export a live association is to export its [`Records`] and a few numbers: between two
//! handshakes nothing of the rest is worth keeping.

mod delivery;
mod inbound;
mod limits;
mod outgoing;
mod records;
#[cfg(test)]
mod tests13;
#[cfg(test)]
mod tests_ids;
mod unused;

pub(crate) use delivery::{Jitter, Reassembly};

use super::{
    Discard, Elsewhere, Fault, GaveUp, Goodbye, Inbound, Layer, Limits, Sent, Silence, Stats,
};
use crate::config::{DatagramPolicy, MAX_WARNINGS, PlaintextAlerts};
use crate::error::SendError;
use crate::protocol::dialect::DTLS;
use crate::protocol::{
    AgreedLimits, Alert, ConnectionId, ConnectionIds, ContentType, Dialect, Epoch, FlightEnd,
    FlightId, HandshakeType, MessageSeq, Path, ProtocolVersion, ReadSwitch, RecordNumber, Side,
};
use crate::secrets::traffic::{Protections, RecordProtection};
use crate::wire::alert;
use crate::wire::record_datagram::DatagramHeader;
use crate::wire::return_routability::PathMessage;
use bytes::BytesMut;
use delivery::{Delivery, Means};
use outgoing::Outgoing;
use records::{Form, Records};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unused::Unused;

/// How many first timeouts a client waits for what proves a ServerHello of 1.3: a server repeats it
/// twice meanwhile.
const PROOF_TIMEOUTS: u32 = 4;

/// How often a wish to renegotiate is answered with a refusal at most. More wishes are only
/// counted: one that is not answered is repeated.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

/// The datagram record layer of one association.
pub struct Datagram {
    records: Records,
    delivery: Delivery,
    outgoing: Outgoing,
    stats: Stats,
    unused: Unused,
    /// A fatal alert that anybody may have sent.
    disbelieved_alert: Option<Alert>,
    /// Where the peer was heard that it was not known to be.
    elsewhere: Option<Box<Elsewhere>>,
}

impl Datagram {
    /// A layer for one peer, whose plaintext records start at `record_sequence` and whose peer's
    /// messages at `message_seq`; `jitter` spreads its timers.
    pub(crate) fn new(
        side: Side,
        policy: &Arc<DatagramPolicy>,
        path: Path,
        message_seq: MessageSeq,
        record_sequence: u64,
        jitter: Jitter,
    ) -> Self {
        Self {
            records: Records::new(record_sequence),
            delivery: Delivery::new(side, policy.clone(), message_seq, jitter),
            outgoing: Outgoing::new(path, policy.mtu, policy.send_bytes),
            stats: Stats::default(),
            unused: Unused::default(),
            disbelieved_alert: None,
            elsewhere: None,
        }
    }

    /// Gives the layer a datagram; what is in it comes out of [`Layer::next_inbound`].
    #[inline]
    pub(crate) fn receive(&mut self, path: Path, datagram: BytesMut) {
        self.outgoing.received(datagram.len());
        self.records.receive(path, datagram);
    }

    /// Whether these bytes of a header begin with a connection ID that the peer was given.
    #[inline]
    pub(crate) fn knows_id(&self, at: &[u8]) -> bool {
        self.records.knows_id(at)
    }

    /// Whether the peer puts connection IDs into its records.
    pub(crate) fn is_identified(&self) -> bool {
        self.records.is_identified()
    }

    /// Whether an address has to lead here: not every record of the peer that may come carries a
    /// connection ID.
    pub(crate) fn needs_address(&self) -> bool {
        !self.records.is_identified() || self.records.goes_anonymous()
    }

    /// The connection IDs in force: what the peer puts into its records, and what this end puts
    /// into its own. `None` if there was no agreement on any.
    pub(crate) fn ids(&self) -> Option<(ConnectionId, ConnectionId)> {
        self.records.ids()
    }

    /// From here on the system picks the address that is sent from.
    pub(crate) const fn forget_local_address(&mut self) {
        self.outgoing.move_to(self.outgoing.path().without_local());
    }

    /// Where this end sends to.
    pub(crate) const fn path(&self) -> Path {
        self.outgoing.path()
    }

    /// Hands out sealed datagrams: see `Connection::poll_transmit`.
    #[inline]
    pub(crate) fn poll_transmit(
        &mut self,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<(usize, Option<usize>, Path)> {
        if let Some((len, path)) = self.outgoing.take_directed(out) {
            return Some((len, None, path));
        }
        let (len, segment) = self.outgoing.take(max_datagrams, out)?;
        Some((len, segment, self.outgoing.path()))
    }

    /// Takes an empty buffer from `buffers` for what is sealed next, if there is none here.
    #[inline]
    pub(crate) fn borrow_buffer(&mut self, buffers: &mut Vec<Vec<u8>>) {
        self.outgoing.borrow(buffers);
    }

    /// The buffer that is not in use, if there is one; it is empty.
    #[inline]
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.outgoing.take_spare()
    }

    /// Whether sealed datagrams wait.
    pub(crate) fn has_transmit(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Changes the largest datagram of this association. What was learned about the path is
    /// forgotten.
    pub(crate) const fn set_mtu(&mut self, mtu: usize) {
        self.outgoing.set_largest(mtu);
    }

    /// A datagram of `bytes` was refused by the system, as too large for the way out. What waits
    /// and is too large as well is dropped, and flights that were cut to that size are cut again
    /// and sent. Whether less data fits into a datagram than before.
    pub(crate) fn handle_too_large(&mut self, bytes: usize) -> bool {
        let news = self.outgoing.refused(bytes);
        if news {
            let limit = self.outgoing.largest();
            let (delivery, mut means) = self.split();
            delivery.start_over_within(limit, &mut means);
        }
        news
    }

    /// The peer's address was not proved: until something under keys comes from it, no more is sent
    /// there than three times what came, of which `received` bytes have come already. Whether what
    /// waits is within that.
    pub(crate) fn limit_amplification(&mut self, received: usize) -> bool {
        self.outgoing.limit_amplification(received)
    }

    /// The policy that this association began with.
    pub(crate) fn policy(&self) -> &DatagramPolicy {
        self.delivery.policy()
    }

    /// Changes the first timeout of this association; timers that run are scaled to it.
    pub(crate) fn set_initial_timeout(&mut self, timeout: Duration) {
        self.delivery.set_initial_timeout(timeout);
    }

    /// When something is sent without any input.
    pub(crate) fn retransmission_deadline(&self) -> Option<Instant> {
        self.delivery.retransmission_deadline()
    }

    /// Leaves repetition to the peer from now on.
    pub(crate) fn stop_retransmitting(&mut self) {
        self.delivery.stop_retransmitting();
    }

    /// Whether there are keys to read anything.
    pub(crate) fn has_read_keys(&self) -> bool {
        self.records.has_read_keys()
    }

    /// Whether a server's peer has gone on since its hello: it has brought the keys or, where they
    /// are made before it has said anything else, something under them has authenticated.
    pub(crate) fn peer_has_advanced(&self, resuming: bool) -> bool {
        if resuming || !self.delivery.needs_peer_for_keys() {
            self.records.has_authenticated()
        } else {
            self.records.has_read_keys()
        }
    }

    /// Whether there are keys to read a record with this header.
    pub(crate) fn can_read(&self, header: &DatagramHeader) -> bool {
        self.records.can_read(header)
    }

    /// The newest record that was opened under keys of the datagram that came last.
    #[inline]
    pub(crate) fn taken(&self) -> Option<RecordNumber> {
        self.records.taken()
    }

    /// How many bytes are held for the peer or on its behalf, beside the association itself.
    pub(crate) fn buffered(&self) -> usize {
        self.delivery.cost() + self.records.buffered() + self.outgoing.queued()
    }

    /// Delivery, and what it sends with.
    fn split(&mut self) -> (&mut Delivery, Means<'_>) {
        let means = Means {
            burst: self.delivery.burst(),
            records: &mut self.records,
            outgoing: &mut self.outgoing,
            stats: &mut self.stats,
        };
        (&mut self.delivery, means)
    }

    /// As if all but so many of the records had been written that the key may protect.
    #[cfg(test)]
    pub(crate) fn use_up(&mut self, remaining: u64) {
        self.records.writing().current().use_up(remaining);
    }

    /// As if so many records of this epoch, or of the newest one, had been forged.
    #[cfg(test)]
    pub(crate) fn suffer(&mut self, epoch: Option<Epoch>, forgeries: u64) {
        self.records.suffer(epoch, forgeries);
    }
}

impl super::RecordLayer for Datagram {}

impl Layer for Datagram {
    const DIALECT: &'static Dialect = &DTLS;
    type Input = ();

    #[inline]
    fn limits(&self) -> Limits {
        let policy = self.policy();
        Limits {
            receive_items: policy.receive_datagrams,
            keeps_overtaking_data: !policy.conformance.drop_overtaking_data,
            receive_bytes: policy.receive_bytes,
            send_bytes: policy.send_bytes,
            handshake_deadline: policy.handshake_deadline,
            doubts_plaintext: !policy.conformance.fail_by_plaintext_faults,
            proof_timeout: self.delivery.initial_timeout() * PROOF_TIMEOUTS,
            warnings: MAX_WARNINGS,
        }
    }

    fn peer(&self) -> Option<SocketAddr> {
        Some(self.path().remote())
    }

    fn goodbye(&self) -> Goodbye {
        Goodbye::Hint
    }

    fn silence(&self) -> Silence {
        Silence::Ignored
    }

    fn believes_plaintext_alert(&self, error: bool) -> bool {
        error && self.policy().plaintext_alerts == PlaintextAlerts::Believe
    }

    #[inline]
    fn intake_can_stop(&self) -> bool {
        false
    }

    fn portion(&self, length: usize, room: usize) -> Result<usize, SendError> {
        if length > self.max_payload() {
            return Err(self.too_large());
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
        self.records.settle(match version {
            ProtocolVersion::DTLS13 => Form::Unified,
            _ => Form::Full,
        });
        self.delivery.version_decided(version);
    }

    fn connection_ids_agreed(&mut self, ids: ConnectionIds) {
        self.records.agree_on_ids(ids);
    }

    fn limit_records(&mut self, limits: AgreedLimits) -> bool {
        self.records.limit(limits)
    }

    fn max_received(&self) -> usize {
        self.records.max_received()
    }

    fn max_sent(&self) -> usize {
        self.records.max_contents()
    }

    fn use_connection_id(&mut self, theirs: ConnectionId) {
        self.records.use_id(theirs);
    }

    fn checks_paths(&self) -> bool {
        self.records.checks_paths()
    }

    fn path(&self) -> Path {
        self.outgoing.path()
    }

    fn move_to(&mut self, path: Path) {
        self.outgoing.move_to(path);
    }

    #[inline]
    fn take_elsewhere(&mut self) -> Option<Box<Elsewhere>> {
        match self.elsewhere {
            None => None,
            Some(_) => self.elsewhere.take(),
        }
    }

    fn round_trip_limit(&self) -> Duration {
        self.delivery.initial_timeout()
    }

    fn path_message_len(&self) -> usize {
        self.records.max_overhead() + PathMessage::LEN
    }

    fn send_path_message(&mut self, path: Path, message: &[u8]) -> bool {
        let write = self.records.readable_writing();
        if !write.is_protected() || write.is_at_its_end() || !self.outgoing.may_direct() {
            return false;
        }
        let mut datagram = Vec::with_capacity(write.record_len(message.len()));
        write.append(
            ContentType::RETURN_ROUTABILITY_CHECK,
            message,
            &mut datagram,
        );
        self.stats.records_sent += 1;
        if let Some(elsewhere) = &mut self.elsewhere
            && elsewhere.path.is_same_way(&path)
        {
            elsewhere.answered += datagram.len();
        }
        self.outgoing.direct(path, datagram);
        true
    }

    fn connection_id(&self) -> Option<ConnectionId> {
        self.records.ids().map(|(ours, _)| ours)
    }

    fn admit_connection_ids(&mut self, ours: &[ConnectionId]) -> usize {
        self.records.admit_ids(ours)
    }

    fn send_message(&mut self, epoch: Epoch, seq: MessageSeq, typ: HandshakeType, body: Vec<u8>) {
        self.delivery.push_message(epoch, seq, typ, body);
    }

    fn send_change_cipher_spec(&mut self, epoch: Epoch) {
        self.delivery.push_change_cipher_spec(epoch);
    }

    fn send_alert(&mut self, alert: Alert) {
        let (_, mut means) = self.split();
        means.send_record(ContentType::ALERT, &alert::encode(alert));
    }

    fn install_write(&mut self, epoch: Epoch, protection: RecordProtection) {
        let id = self.records.next_write_id();
        self.records.install_write(epoch, &protection, &id);
    }

    fn install_read(&mut self, epoch: Epoch, protection: RecordProtection, when: ReadSwitch) {
        if when == ReadSwitch::OnlyAlerts {
            return self.records.install_preview(epoch, protection);
        }
        // The epoch in each record says on which side of the ChangeCipherSpec it is.
        self.records.install_read(epoch, &protection);
        self.delivery.keys_installed();
    }

    /// It has an epoch of its own, whose records are dropped like those of any other without keys.
    fn skip_early_data(&mut self) {}

    fn retire_read(&mut self, now: Instant, epoch: Epoch) {
        self.records.retire(epoch);
        self.delivery.epoch_retired(now);
    }

    fn end_flight(&mut self, now: Instant, id: FlightId, end: FlightEnd) -> Sent {
        let (delivery, mut means) = self.split();
        delivery.end_flight(now, id, end, &mut means);
        Sent::OnItsWay
    }

    fn repeat_flight(&mut self, now: Instant) {
        let (delivery, mut means) = self.split();
        delivery.repeat(now, &mut means);
    }

    fn begin_handshake(&mut self, expected: MessageSeq) {
        self.records.await_next();
        self.delivery.begin_handshake(expected);
    }

    fn forget_ahead(&mut self) {
        self.delivery.forget_ahead();
    }

    fn begin_afresh(&mut self) {
        self.records.begin_afresh();
        self.delivery.begin_afresh();
    }

    fn is_unanswered(&self, now: Instant) -> bool {
        self.delivery.is_unanswered(now)
    }

    fn hears_nothing(&self) -> bool {
        self.delivery.cost() + self.records.buffered() == 0
    }

    fn hold_messages(&mut self, now: Instant, hold: bool) {
        self.delivery.hold(now, hold);
    }

    fn abandon_handshake(&mut self) {
        self.outgoing.given_up();
        self.records.abandon();
        self.delivery.abandon();
    }

    fn established(&mut self, now: Instant, epoch: Epoch) -> bool {
        self.outgoing.answered();
        let resized = self.records.established(epoch);
        let (delivery, mut means) = self.split();
        delivery.established(now, epoch, &mut means);
        self.unused.established(now);
        resized
    }

    #[inline]
    fn next_inbound(&mut self, now: Instant, (): &mut ()) -> Result<Option<Inbound>, Fault> {
        inbound::next(self, now)
    }

    fn refuse(&mut self, epoch: Epoch, seq: MessageSeq, why: Discard) -> bool {
        let fails = self.delivery.fails_by_plaintext(epoch, &self.records);
        if epoch != Epoch::PLAINTEXT || fails {
            return true;
        }
        // Anybody can send this: it is noise, and the message that belongs here may still come.
        self.stats.discard(why);
        self.delivery.expect_again(seq);
        false
    }

    #[inline]
    fn send_data(&mut self, data: &[u8]) -> Result<usize, SendError> {
        let max = self.max_payload();
        let write = self.records.writing().current();
        if !write.is_protected() {
            return Err(SendError::NotConnected);
        }
        if data.len() > max {
            return Err(self.too_large());
        }
        let length = write.record_len(data.len());
        if !self.outgoing.has_room(length) {
            return Err(SendError::Backlog);
        }
        if write.is_used_up() {
            return Err(SendError::KeyExhausted);
        }
        let out = self.outgoing.begin(length);
        write.append(ContentType::APPLICATION_DATA, data, out);
        self.stats.records_sent += 1;
        Ok(data.len())
    }

    #[inline]
    fn written(&self) -> u64 {
        self.records.written()
    }

    fn is_used_up(&self) -> bool {
        self.records.is_used_up()
    }

    #[inline]
    fn attacked(&self) -> Option<Epoch> {
        self.records.attacked()
    }

    fn lift_send_limit(&mut self) {
        self.outgoing.close();
    }

    #[inline]
    fn max_payload(&self) -> usize {
        self.outgoing
            .largest()
            .saturating_sub(self.records.max_overhead())
            .min(self.records.max_contents())
    }

    #[inline]
    fn poll_timeout(&self) -> Option<Instant> {
        let delivery = self.delivery.deadline();
        let awake = !self.records.is_dormant();
        let look = self.unused.deadline().filter(|_| awake);
        [delivery, look].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), GaveUp> {
        let (delivery, mut means) = self.split();
        delivery.handle_timeout(now, &mut means)
    }

    fn is_unused(&mut self, now: Instant) -> bool {
        self.unused.look(now, self.records.used())
    }

    fn put_away(&mut self, protections: Protections) {
        self.outgoing.release();
        self.delivery.release();
        self.records.put_away(protections);
    }

    fn shut_down(&mut self) {
        self.records.shut_down();
        self.delivery.shut_down();
    }

    fn retransmissions(&self) -> u32 {
        self.delivery.retransmissions()
    }

    fn has_seen_too_long(&self) -> bool {
        self.delivery.has_seen_too_long()
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
