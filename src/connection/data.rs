//! Application data, in both directions.

use super::phase::Phase;
use super::{Connection, Event};
use crate::error::{Error, SendError};
use crate::handshake::Completed;
use crate::handshake::post::Post;
use crate::protocol::{Epoch, Path};
use crate::record::{Discard, Received, RecordLayer};
use crate::wire::record_tls::{HEADER_LEN, MAX_FRAGMENT_LEN};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// Datagrams that wait for the application, bounded by number and by the memory they keep alive.
#[derive(Default)]
pub(super) struct ReceiveQueue {
    queue: VecDeque<Received>,
    pinned: usize,
    /// How many pieces, from the front of the queue, lie in memory of their own.
    detached: usize,
}

/// What a piece counts for: the memory that it keeps alive, or its place in the queue if that is
/// more.
const fn cost(received: &Received) -> usize {
    if received.pinned > size_of::<Received>() {
        received.pinned
    } else {
        size_of::<Received>()
    }
}

/// The most that one record of a stream pins.
const MAX_RECORD_LEN: usize = HEADER_LEN + MAX_FRAGMENT_LEN;

/// Data that waits for the end of a renegotiation, bounded by the send queue's limit.
#[derive(Default)]
pub(super) struct SendQueue {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl SendQueue {
    fn push(&mut self, data: &[u8]) {
        self.bytes += Self::cost(data.len());
        self.queue.push_back(data.to_vec());
    }

    /// What a piece of this length counts for. The shortest ones count for their place in the
    /// queue, so that empty ones are bounded too.
    fn cost(length: usize) -> usize {
        length.max(size_of::<Vec<u8>>())
    }

    /// The first `taken` bytes of the first piece have left.
    fn take(&mut self, taken: usize) {
        let Some(data) = self.queue.front_mut() else {
            return;
        };
        self.bytes -= Self::cost(data.len());
        if taken < data.len() {
            data.drain(..taken);
            self.bytes += Self::cost(data.len());
        } else {
            self.queue.pop_front();
        }
    }
}

/// How many datagrams are held that came before the peer's Finished was verified. The application
/// does not see them before that.
const MAX_BEFORE_FINISHED: usize = 8;

/// The same in a renegotiation: the peer is already known, and may have much to say under the new
/// keys while its Finished is repeated.
const MAX_BEFORE_NEXT_FINISHED: usize = 64;

impl ReceiveQueue {
    #[inline]
    fn push(&mut self, received: Received, max_datagrams: usize, max_bytes: usize) -> bool {
        let cost = cost(&received);
        if self.queue.len() >= max_datagrams || self.pinned + cost > max_bytes {
            return false;
        }
        self.pinned += cost;
        self.queue.push_back(received);
        true
    }

    #[inline]
    fn pop(&mut self) -> Option<Received> {
        let received = self.queue.pop_front()?;
        self.pinned -= cost(&received);
        self.detached = self.detached.saturating_sub(1);
        Some(received)
    }

    /// Moves what lies in the caller's buffers to memory of its own, and takes no more than it
    /// needs.
    fn detach(&mut self) {
        for received in self.queue.iter_mut().skip(self.detached) {
            self.pinned -= cost(received);
            received.data = Bytes::copy_from_slice(&received.data);
            received.pinned = received.data.len();
            self.pinned += cost(received);
        }
        self.detached = self.queue.len();
    }

    fn is_half_full(&self, max_datagrams: usize, max_bytes: usize) -> bool {
        self.queue.len() >= max_datagrams.div_ceil(2) || 2 * self.pinned >= max_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) const fn pinned(&self) -> usize {
        self.pinned
    }

    /// Gives back the allocation of an empty queue.
    pub(super) fn release(&mut self) {
        self.queue.shrink_to_fit();
    }
}

impl<R: RecordLayer> Connection<R> {
    #[inline]
    pub(super) fn take_data(&mut self, now: Instant, received: Received) {
        // RFC 9147 §5.10, RFC 5246 §7.2.1: data after a close_notify is ignored, data that it has
        // overtaken is not.
        if self.read_closed.as_ref().is_some_and(|closed| {
            (received.epoch, received.sequence) > (closed.epoch, closed.sequence)
        }) {
            self.records.stats_mut().discard(Discard::AfterClose);
            return;
        }
        self.warnings = 0;
        match self.phase.established().map(Completed::read_epoch) {
            Some(in_force) if received.epoch <= in_force => {
                self.accept_data(now, received, in_force);
            }
            _ => self.keep_early(received),
        }
    }

    /// Data under the keys in force, those of the epoch `in_force`, or under keys that were.
    #[inline]
    fn accept_data(&mut self, now: Instant, received: Received, in_force: Epoch) {
        if let Some(post) = self.phase.post() {
            post.data_came();
        }
        // A late record of an older key says nothing about the one in force.
        let sequence = if received.epoch == in_force {
            received.sequence
        } else {
            0
        };
        if self
            .rekeying
            .count_received(now, received.data.len(), sequence)
        {
            self.schedule_automatic(now);
        }
        let limits = self.records.limits();
        let was_empty = self.received.is_empty();
        if !self
            .received
            .push(received, limits.receive_items, limits.receive_bytes)
        {
            self.records.stats_mut().discard(Discard::ReceiveQueueFull);
        } else if was_empty {
            self.events.push_readable();
        }
    }

    /// Data that has overtaken the peer's Finished. It may have to wait for a long time, and must
    /// not keep a large buffer of the caller alive meanwhile.
    #[cold]
    fn keep_early(&mut self, mut received: Received) {
        received.data = Bytes::copy_from_slice(&received.data);
        received.pinned = received.data.len();
        let limits = self.records.limits();
        let max = match self.phase {
            Phase::Renegotiating { .. } => MAX_BEFORE_NEXT_FINISHED,
            _ => MAX_BEFORE_FINISHED,
        };
        let max = if limits.keeps_overtaking_data { max } else { 0 };
        let max = max.min(limits.receive_items);
        // Without a handshake there is nothing that could verify it.
        let early = self.phase.early();
        if !early.is_some_and(|early| early.push(received, max, limits.receive_bytes)) {
            self.records.stats_mut().discard(Discard::ReceiveQueueFull);
        }
    }

    /// The peer's Finished was verified: what came before it can be seen.
    pub(super) fn release_early(&mut self, now: Instant, mut early: ReceiveQueue) {
        let Some(in_force) = self.phase.established().map(Completed::read_epoch) else {
            return;
        };
        while let Some(received) = early.pop() {
            self.accept_data(now, received, in_force);
        }
    }

    /// Whether no more data is taken in before some was fetched.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        // One record more may come and must find room.
        self.received.pinned() + MAX_RECORD_LEN > self.records.limits().receive_bytes
    }

    /// Whether data should be fetched before more is taken in.
    #[inline]
    pub(crate) fn is_half_full(&self) -> bool {
        let limits = self.records.limits();
        self.received
            .is_half_full(limits.receive_items, limits.receive_bytes)
    }

    /// Moves the data that still waits for [`Connection::recv`] out of the buffers in which it
    /// came, so that 20 bytes of data no longer keep a large one alive. A caller who receives into
    /// large buffers calls it once the application has had its chance to fetch data, before more is
    /// received; data that was fetched by then is never copied.
    /// [`Endpoint`](crate::endpoint::Endpoint) has the same for all its associations, and the types
    /// of `net` call it by themselves.
    pub fn detach_unread(&mut self) {
        self.received.detach();
    }

    /// How much memory the data takes that waits for `recv`, in bytes; 0 if there is none.
    #[inline]
    pub(crate) const fn unread(&self) -> usize {
        self.received.pinned()
    }

    /// The next received datagram, or piece of a stream. `data` is a slice of the buffer that was
    /// given to `handle_datagram` or `handle_bytes` and keeps it alive. Nothing is handed out
    /// before the peer's Finished was verified (RFC 5246 §7.4.9).
    #[inline]
    pub fn recv(&mut self) -> Option<Received> {
        self.received.pop()
    }

    /// Copies the next received datagram into `out` and pins nothing. Returns its length; if that
    /// is more than `out` holds, the rest is lost.
    pub fn recv_into(&mut self, out: &mut [u8]) -> Option<(usize, Path)> {
        let received = self.recv()?;
        let length = received.data.len().min(out.len());
        out[..length].copy_from_slice(&received.data[..length]);
        Some((received.data.len(), received.path))
    }

    /// Seals data if the phase allows it, or keeps it for the end of a renegotiation; how many
    /// bytes were taken.
    #[inline]
    pub(super) fn send_data(&mut self, now: Instant, data: &[u8]) -> Result<usize, SendError> {
        if self.write_closed {
            return Err(SendError::Closed);
        }
        if self.phase.post().is_some_and(Post::data_goes) {
            // RFC 8446 §4.6.3: the answer goes before the data. If it cannot, the failure is kept.
            let _failed = self.start_wanted(now);
        }
        match self.phase {
            Phase::Established { .. } if self.held.is_none() => {}
            Phase::Initial(_) => return Err(SendError::NotConnected),
            Phase::Closed { .. } => return Err(SendError::Closed),
            Phase::Established { .. } | Phase::Requested { .. } | Phase::Renegotiating { .. } => {
                return self.send_beside_handshake(now, data);
            }
        }
        match self.records.send_data(data) {
            Ok(taken) => {
                self.count_sent(now, taken);
                Ok(taken)
            }
            Err(error) => Err(self.refuse_data(error)),
        }
    }

    /// Data has left under the key in force.
    #[inline]
    fn count_sent(&mut self, now: Instant, bytes: usize) {
        if self.rekeying.count_sent(now, bytes, self.records.written()) {
            self.schedule_automatic(now);
        }
    }

    /// A key that has reached its limit ends the association (RFC 9325 §4.4), unless it is being
    /// replaced: that may take a while where much is lost, and then data waits.
    #[cold]
    fn refuse_data(&mut self, error: SendError) -> SendError {
        if error != SendError::KeyExhausted {
            return error;
        }
        if self.awaits_key() {
            return SendError::Renegotiating;
        }
        self.fail(Error::KeyExhausted);
        error
    }

    /// Whether a handshake or a key update has begun that may bring another key.
    fn awaits_key(&self) -> bool {
        let updates = |post: &Post| post.pending_update().is_some();
        let current = self.phase.established();
        self.phase.is_pending() || current.and_then(Completed::post_ref).is_some_and(updates)
    }

    /// Data while a renegotiation runs, or while earlier data still waits to leave.
    #[cold]
    fn send_beside_handshake(&mut self, now: Instant, data: &[u8]) -> Result<usize, SendError> {
        self.release_held(now);
        if self.held.is_none() && !self.holds_data() {
            return match self.records.send_data(data) {
                Ok(taken) => {
                    self.count_sent(now, taken);
                    Ok(taken)
                }
                Err(error) => Err(self.refuse_data(error)),
            };
        }
        if let Phase::Closed { .. } = self.phase {
            return Err(SendError::Closed);
        }
        let limit = self.records.limits().send_bytes;
        let room = limit.saturating_sub(self.held_bytes());
        let taken = match self.records.portion(data.len(), room) {
            Err(SendError::Backlog) if self.holds_data() => Err(SendError::Renegotiating),
            portion => portion,
        }?;
        self.held.get_or_insert_default().push(&data[..taken]);
        Ok(taken)
    }

    /// Sends what has waited, as far as there is room for it.
    #[inline]
    pub(super) fn release_held(&mut self, now: Instant) {
        if self.held.is_some() {
            self.release_some(now);
        }
    }

    #[cold]
    fn release_some(&mut self, now: Instant) {
        if self.holds_data() {
            return;
        }
        let Some(mut held) = self.held.take() else {
            return;
        };
        while let Some(data) = held.queue.front() {
            let length = data.len();
            match self.records.send_data(data) {
                Ok(taken) => {
                    held.take(taken);
                    self.count_sent(now, taken);
                }
                // The MTU was lowered meanwhile, or the peer takes less from now on: this datagram
                // is lost, and must not hold up the next ones.
                Err(SendError::TooLarge { .. } | SendError::BeyondPeerLimit { .. }) => {
                    held.take(length)
                }
                Err(error) => {
                    self.refuse_data(error);
                    if !matches!(self.phase, Phase::Closed { .. }) {
                        self.held = Some(held);
                    }
                    return;
                }
            }
        }
    }

    /// The layer has the keys of a new handshake in force.
    pub(super) fn records_established(&mut self, now: Instant, epoch: Epoch) {
        if self.records.established(now, epoch) {
            self.tell_max_payload();
        }
    }

    /// Tells the application how much data goes into a record from now on.
    pub(super) fn tell_max_payload(&mut self) {
        let max_payload = self.records.max_payload();
        let is_outdated = |event: &Event| matches!(event, Event::MaxPayloadChanged { .. });
        self.events.take_back(is_outdated);
        self.events
            .push_back(Event::MaxPayloadChanged { max_payload });
    }

    /// Whether data has waited that the next output seals, or that ends the association if it
    /// cannot.
    pub(super) fn lets_data_go(&self) -> bool {
        let lacks_key = self.awaits_key() && self.records.is_used_up();
        self.held.is_some() && !self.holds_data() && !lacks_key
    }

    /// How many bytes of data wait.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes)
    }
}
