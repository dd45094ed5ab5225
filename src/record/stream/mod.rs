//! TLS records (RFC 5246 §6.2, RFC 8446 §5) over a byte stream that loses and reorders nothing.
//!
//! ```text
//!   handle_bytes ─► records ─► open ─┬─► data ─────────────────► Inbound
//!                                    ├─► alert ────────────────► Inbound
//!                                    ├─► ChangeCipherSpec: armed keys become the ones to read with
//!                                    └─► deframer ─► messages ─► Inbound
//!
//!   SendMessage … EndFlight ─► fragmenter ─► outgoing ─► poll_transmit
//! ```
//!
//! What a datagram layer counts and drops is fatal here: on a stream every record is the next one
//! of the peer, so a bad one means that the peer, or an attacker on the path, is at fault.

mod deframer;
mod fragmenter;
mod inbound;

use super::{
    Discard, Fault, GaveUp, Goodbye, Inbound, Layer, Limits, RecordLayer, Sent, Silence, Stats,
};
use crate::config::StreamPolicy;
use crate::error::SendError;
use crate::protocol::dialect::TLS;
use crate::protocol::{
    AgreedLimits, Alert, ContentType, Dialect, Epoch, FlightEnd, FlightId, HandshakeType,
    MessageSeq, ProtocolVersion, ReadSwitch, Side,
};
use crate::record::RESERVED;
use crate::record::protection::{Opener, Sealer};
use crate::secrets::traffic::RecordProtection;
use crate::wire::alert;
use crate::wire::record_tls::{HEADER_LEN, MAX_PLAINTEXT_LEN, RecordHeader};
use bytes::BytesMut;
use deframer::Deframer;
use fragmenter::Fragmenter;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How much early data is skipped, in bytes. Most servers that accept early data allow this much.
const MAX_SKIPPED: usize = 1 << 14;

/// The most contents of a record without protection (RFC 5246 §6.2.1).
const MAX_UNPROTECTED: u16 = MAX_PLAINTEXT_LEN as u16;

/// The stream record layer of one connection.
pub struct Stream {
    policy: StreamPolicy,
    side: Side,
    /// The version in the header of outgoing records.
    version: ProtocolVersion,
    /// The version that the header of every incoming record must have; `None` at 1.3, where it
    /// means nothing, and before the version is decided.
    decided: Option<ProtocolVersion>,
    /// At 1.3, between the hellos and the peer's Finished, a ChangeCipherSpec is there for
    /// middleboxes alone.
    drops_change_cipher_spec: bool,
    /// Part of a message of the peer has come where there must be none: before a change of keys,
    /// after Finished, or after the message that this end has just answered.
    message_ahead: bool,
    /// How many more bytes of early data are skipped; `None` once something could be read.
    skippable: Option<usize>,
    /// The peer has switched keys and not finished yet.
    unfinished: bool,
    read: ReadState,
    /// What was agreed on for what is installed next.
    limits: AgreedLimits,
    /// The most contents of a record without protection, in bytes.
    max_unprotected: u16,
    /// The keys that the peer's next ChangeCipherSpec switches to.
    armed: Option<Box<ReadState>>,
    write: WriteState,
    deframer: Deframer,
    fragmenter: Fragmenter,
    /// Sealed records that wait for the caller.
    outgoing: Vec<u8>,
    /// Empty data records in a row.
    empty_records: u8,
    stats: Stats,
    peer: Option<SocketAddr>,
}

/// What the peer's records are read with.
struct ReadState {
    epoch: Epoch,
    /// `None` for plaintext.
    opener: Option<Box<Opener>>,
    /// The number of the next record; implicit on a stream (RFC 5246 §6.1).
    sequence: u64,
}

/// What records are written with.
struct WriteState {
    epoch: Epoch,
    /// `None` for plaintext.
    sealer: Option<Box<Sealer>>,
    sequence: u64,
    limit: u64,
    /// The most contents of a record, in bytes: as the policy says, or less as it was agreed.
    max_contents: usize,
}

impl WriteState {
    /// How many bytes a record is longer than its contents.
    fn overhead(&self) -> usize {
        HEADER_LEN + self.sealer.as_deref().map_or(0, Sealer::expansion)
    }

    /// How many more records can be written.
    const fn remaining(&self) -> u64 {
        self.limit - self.sequence
    }

    /// Appends one record to `out`; nothing when the key is used up (RFC 9325 §4.4).
    fn append(
        &mut self,
        content_type: ContentType,
        version: ProtocolVersion,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        if self.remaining() == 0 {
            return;
        }
        match &self.sealer {
            Some(sealer) => {
                sealer.seal_stream(self.sequence, content_type, version, payload, out);
            }
            None => {
                let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
                let header = RecordHeader {
                    content_type,
                    version,
                    length,
                };
                out.extend_from_slice(&header.encode());
                out.extend_from_slice(payload);
            }
        }
        self.sequence += 1;
    }
}

impl Stream {
    /// A layer at the beginning of a connection.
    pub(crate) fn new(side: Side, policy: &StreamPolicy) -> Self {
        Self {
            deframer: Deframer::new(policy.max_message),
            policy: policy.clone(),
            side,
            // RFC 5246 §E.1: old servers want the first ClientHello in a record of version 1.0.
            version: match side {
                Side::Client => ProtocolVersion::TLS10,
                Side::Server => ProtocolVersion::TLS12,
            },
            decided: None,
            drops_change_cipher_spec: false,
            message_ahead: false,
            skippable: None,
            unfinished: false,
            read: ReadState {
                epoch: Epoch::PLAINTEXT,
                opener: None,
                sequence: 0,
            },
            limits: AgreedLimits::None,
            max_unprotected: MAX_UNPROTECTED,
            armed: None,
            write: WriteState {
                epoch: Epoch::PLAINTEXT,
                sealer: None,
                sequence: 0,
                limit: u64::MAX,
                max_contents: policy.max_fragment,
            },
            fragmenter: Fragmenter::default(),
            outgoing: Vec::new(),
            empty_records: 0,
            stats: Stats::default(),
            peer: None,
        }
    }

    /// Says where the peer is.
    pub(crate) const fn set_peer(&mut self, remote: SocketAddr) {
        self.peer = Some(remote);
    }

    /// Appends everything that waits to `out`; an empty `out` is swapped for it. How many bytes
    /// that were.
    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.flush();
        let length = self.outgoing.len();
        if length == 0 {
            return None;
        }
        if out.is_empty() {
            std::mem::swap(out, &mut self.outgoing);
        } else {
            out.append(&mut self.outgoing);
        }
        Some(length)
    }

    /// The number of the next record that is read.
    pub(crate) const fn read(&self) -> u64 {
        self.read.sequence
    }

    /// After how long without a record the connection is to end.
    #[cfg(feature = "net")]
    pub(crate) const fn idle_timeout(&self) -> Option<Duration> {
        self.policy.idle_timeout
    }

    /// Whether sealed records wait.
    pub(crate) const fn has_transmit(&self) -> bool {
        !self.outgoing.is_empty() || !self.fragmenter.is_empty()
    }

    /// How many bytes are held for the peer or on its behalf, beside the connection itself.
    pub(crate) fn buffered(&self) -> usize {
        self.outgoing.len() + self.fragmenter.cost() + self.deframer.cost()
    }

    fn flush(&mut self) {
        let (size, version) = (self.write.max_contents, self.version);
        let (write, out) = (&mut self.write, &mut self.outgoing);
        self.stats.records_sent += self.fragmenter.flush(size, write, version, out);
    }
}

impl RecordLayer for Stream {}

impl Layer for Stream {
    const DIALECT: &'static Dialect = &TLS;
    /// The caller's own buffer. It stays where it is: a handle of `bytes` that is moved right after
    /// it was changed stalls the processor.
    type Input = BytesMut;

    fn limits(&self) -> Limits {
        Limits {
            receive_items: usize::MAX,
            keeps_overtaking_data: false,
            receive_bytes: self.policy.receive_bytes,
            send_bytes: self.policy.send_bytes,
            handshake_deadline: self.policy.first_deadline(self.side),
            doubts_plaintext: false,
            proof_timeout: Duration::MAX,
            warnings: self.policy.conformance.max_warnings,
        }
    }

    fn renegotiation_deadline(&self) -> Option<Duration> {
        self.policy.renegotiation_deadline()
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    fn goodbye(&self) -> Goodbye {
        match self.decided {
            Some(_) => Goodbye::Last,
            None => Goodbye::Half,
        }
    }

    fn silence(&self) -> Silence {
        Silence::Late
    }

    fn believes_plaintext_alert(&self, _: bool) -> bool {
        true
    }

    #[inline]
    fn intake_can_stop(&self) -> bool {
        true
    }

    fn portion(&self, length: usize, room: usize) -> Result<usize, SendError> {
        match room {
            0 => Err(SendError::Backlog),
            room => Ok(length.min(room)),
        }
    }

    fn refusal_interval(&self) -> Duration {
        Duration::MAX
    }

    fn version_decided(&mut self, version: ProtocolVersion) {
        // RFC 8446 §5.1: at 1.3 records keep the version of 1.2, and receivers ignore it.
        self.version = ProtocolVersion::TLS12;
        let is_12 = version == ProtocolVersion::TLS12;
        self.decided = is_12.then_some(version);
        self.drops_change_cipher_spec = !is_12;
    }

    fn limit_records(&mut self, limits: AgreedLimits) -> bool {
        self.limits = limits;
        if self.decided.is_none() {
            // Of 1.3, where the keys of the handshake may be here already.
            if let Some(opener) = &mut self.read.opener {
                opener.limit_records(limits, false);
            }
            if let Some(sealer) = &mut self.write.sealer {
                sealer.limit_records(limits, false);
                self.write.max_contents =
                    self.policy.max_fragment.min(sealer.max_contents().into());
            }
        } else if let Some(most) = limits.at_once() {
            self.write.max_contents = self.write.max_contents.min(most.into());
            self.max_unprotected = most;
        }
        false
    }

    fn max_received(&self) -> usize {
        let opener = self.read.opener.as_deref();
        let received = opener.map_or(self.max_unprotected, |it| it.most() - u16::from(it.is_13()));
        received.into()
    }

    fn send_message(&mut self, epoch: Epoch, _: MessageSeq, typ: HandshakeType, body: Vec<u8>) {
        debug_assert_eq!(epoch, self.write.epoch);
        self.fragmenter.push(typ, &body);
    }

    fn send_change_cipher_spec(&mut self, epoch: Epoch) {
        debug_assert_eq!(epoch, self.write.epoch);
        self.flush();
        self.write.append(
            ContentType::CHANGE_CIPHER_SPEC,
            self.version,
            &[1],
            &mut self.outgoing,
        );
        self.stats.records_sent += 1;
    }

    fn send_alert(&mut self, alert: Alert) {
        self.flush();
        let payload = alert::encode(alert);
        self.write.append(
            ContentType::ALERT,
            self.version,
            &payload,
            &mut self.outgoing,
        );
        self.stats.records_sent += 1;
    }

    fn install_write(&mut self, epoch: Epoch, protection: RecordProtection) {
        self.flush();
        let mut sealer = Sealer::new(&protection);
        sealer.limit_records(self.limits, false);
        self.write = WriteState {
            epoch,
            max_contents: self.policy.max_fragment.min(sealer.max_contents().into()),
            limit: sealer.limit(),
            sealer: Some(Box::new(sealer)),
            sequence: 0,
        };
    }

    fn install_read(&mut self, epoch: Epoch, protection: RecordProtection, when: ReadSwitch) {
        let mut opener = Opener::new(&protection);
        opener.limit_records(self.limits, false);
        let state = ReadState {
            epoch,
            opener: Some(Box::new(opener)),
            sequence: 0,
        };
        match when {
            ReadSwitch::OnlyAlerts => {}
            ReadSwitch::OnChangeCipherSpec => self.armed = Some(Box::new(state)),
            ReadSwitch::Now => {
                // RFC 8446 §5.1: no message goes on under other keys than it began.
                self.message_ahead |= !self.deframer.is_empty();
                // The peer's Finished comes before these keys.
                self.drops_change_cipher_spec &= epoch < Epoch::APPLICATION_13;
                self.read = state;
            }
        }
    }

    fn skip_early_data(&mut self) {
        self.skippable = Some(MAX_SKIPPED);
    }

    /// Nothing arrives late on a stream: the ChangeCipherSpec has dropped the old keys.
    fn retire_read(&mut self, _: Instant, _: Epoch) {}

    fn end_flight(&mut self, _: Instant, id: FlightId, end: FlightEnd) -> Sent {
        tracing::trace!(?id, ?end, "flight");
        // A peer that waits for this flight has nothing to say before it, except for a HelloRequest
        // that crosses a hello.
        if end == FlightEnd::AwaitReply && self.deframer.has_more() {
            self.message_ahead = true;
            self.fragmenter.clear();
        }
        // Tickets share a record: such a flight leaves with whatever is sent next.
        if !matches!(end, FlightEnd::AwaitAck(_)) {
            self.flush();
            self.version = ProtocolVersion::TLS12;
        }
        Sent::Delivered
    }

    fn begin_handshake(&mut self, _: MessageSeq) {}

    /// A stream has no cookies, and nothing comes ahead.
    fn forget_ahead(&mut self) {}

    fn begin_afresh(&mut self) {}

    fn is_unanswered(&self, _now: Instant) -> bool {
        false
    }

    fn hears_nothing(&self) -> bool {
        false
    }

    /// The connection takes nothing from a stream meanwhile.
    fn hold_messages(&mut self, _: Instant, _: bool) {}

    fn abandon_handshake(&mut self) {
        self.armed = None;
    }

    fn established(&mut self, _: Instant, _: Epoch) -> bool {
        // Finished is the last message of its handshake.
        self.message_ahead |= !self.deframer.is_empty();
        self.unfinished = false;
        self.deframer.release();
        self.fragmenter.release();
        false
    }

    #[inline]
    fn next_inbound(&mut self, _: Instant, input: &mut BytesMut) -> Result<Option<Inbound>, Fault> {
        inbound::next(self, input)
    }

    fn refuse(&mut self, _: Epoch, _: MessageSeq, _: Discard) -> bool {
        true
    }

    fn send_data(&mut self, data: &[u8]) -> Result<usize, SendError> {
        if self.write.sealer.is_none() {
            return Err(SendError::NotConnected);
        }
        self.flush();
        let mut taken = 0;
        let room = self.policy.send_bytes.saturating_sub(self.outgoing.len());
        let records = data.len().div_ceil(self.write.max_contents);
        // Once for all of them, so that what is already sealed is not moved time and again.
        self.outgoing
            .reserve(room.min(data.len() + records * self.write.overhead()));
        for piece in data.chunks(self.write.max_contents) {
            let room = self.policy.send_bytes.saturating_sub(self.outgoing.len());
            let piece = &piece[..piece.len().min(room.saturating_sub(self.write.overhead()))];
            let exhausted = self.is_used_up();
            if piece.is_empty() || exhausted {
                if taken > 0 {
                    break;
                }
                return Err(if exhausted {
                    SendError::KeyExhausted
                } else {
                    SendError::Backlog
                });
            }
            self.write.append(
                ContentType::APPLICATION_DATA,
                self.version,
                piece,
                &mut self.outgoing,
            );
            self.stats.records_sent += 1;
            taken += piece.len();
        }
        Ok(taken)
    }

    #[inline]
    fn written(&self) -> u64 {
        self.write.sequence
    }

    fn is_used_up(&self) -> bool {
        self.write.remaining() <= RESERVED
    }

    /// RFC 5246 §6.2.3.3: the first forgery ends a stream.
    #[inline]
    fn attacked(&self) -> Option<Epoch> {
        None
    }

    /// A stream delivers everything, once.
    fn repeat_flight(&mut self, _now: Instant) {}

    fn lift_send_limit(&mut self) {
        self.policy.send_bytes = usize::MAX;
    }

    fn max_payload(&self) -> usize {
        self.write.max_contents
    }

    /// A stream has no timers: nothing is repeated, and no old keys are kept.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) -> Result<(), GaveUp> {
        Ok(())
    }

    fn shut_down(&mut self) {
        self.armed = None;
        self.deframer.release();
    }

    fn retransmissions(&self) -> u32 {
        0
    }

    /// A stream fails at once.
    fn has_seen_too_long(&self) -> bool {
        false
    }

    fn disbelieved_alert(&self) -> Option<Alert> {
        None
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }

    fn stats_mut(&mut self) -> &mut Stats {
        &mut self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::AeadAlgorithm;
    use crate::secrets::traffic::TrafficKeys;

    /// RFC 8446 §5.1: no message goes on under other keys than it began.
    #[test]
    fn r8446_07_a_message_across_keys_is_a_fault() {
        let mut stream = Stream::new(Side::Client, &StreamPolicy::default());
        stream.version_decided(ProtocolVersion::TLS13);
        // Half of a message header.
        let input = &mut BytesMut::from(&[22, 3, 3, 0, 2, 8, 0][..]);
        let now = crate::test_now();
        assert!(stream.next_inbound(now, input).unwrap().is_none());
        let keys = TrafficKeys::new(AeadAlgorithm::Aes128Gcm, &[5; 16], &[3; 12]);
        let protection = RecordProtection::v13(keys, None);
        stream.install_read(Epoch::HANDSHAKE_13, protection, ReadSwitch::Now);
        let outcome = stream.next_inbound(now, input);
        assert!(matches!(outcome, Err(Fault::MessageAcrossKeys)));
    }

    /// RFC 9325 §4.4 limits records, not calls.
    #[test]
    fn data_of_many_records_uses_the_key_as_often() {
        let aead = AeadAlgorithm::Aes128Gcm;
        let keys = TrafficKeys::new(aead, &[5; 16], &[3; 4]);
        let mut stream = Stream::new(Side::Client, &StreamPolicy::default());
        stream.install_write(Epoch::new(1), RecordProtection::v12(keys));
        assert_eq!(
            stream.send_data(&[0; 4 * MAX_PLAINTEXT_LEN + 1]),
            Ok(65_537)
        );
        assert_eq!(stream.written(), 5);
    }
}
