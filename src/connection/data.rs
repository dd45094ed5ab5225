//! Application data, in both directions.

use super::phase::Phase;
use super::{Connection, Event};
use crate::error::SendError;
use crate::protocol::Path;
use crate::record::{Discard, Received, Records};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// Datagrams that wait for the application, bounded by number and by the memory they keep alive.
#[derive(Default)]
pub(super) struct ReceiveQueue {
    queue: VecDeque<Received>,
    pinned: usize,
}

/// How many datagrams are held that came before the peer's Finished was verified. Nobody sees them before that.
const MAX_BEFORE_FINISHED: usize = 8;

impl ReceiveQueue {
    #[inline]
    fn push(&mut self, received: Received, max_datagrams: usize, max_bytes: usize) -> bool {
        if self.queue.len() >= max_datagrams || self.pinned + received.pinned > max_bytes {
            return false;
        }
        self.pinned += received.pinned;
        self.queue.push_back(received);
        true
    }

    #[inline]
    fn pop(&mut self) -> Option<Received> {
        let received = self.queue.pop_front()?;
        self.pinned -= received.pinned;
        Some(received)
    }

    fn is_half_full(&self, max_datagrams: usize, max_bytes: usize) -> bool {
        2 * self.queue.len() >= max_datagrams || 2 * self.pinned >= max_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) const fn pinned(&self) -> usize {
        self.pinned
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives back the allocation of an empty queue.
    pub(super) fn release(&mut self) {
        self.queue.shrink_to_fit();
    }
}

impl<R: Records> Connection<R> {
    #[inline]
    pub(super) fn take_data(&mut self, mut received: Received) {
        let policy = &self.role.parameters().datagram;
        let finished = matches!(self.phase, Phase::Established(_));
        // RFC 9147 §5.10, RFC 5246 §7.2.1: data behind a close_notify is ignored, data that it overtook is not.
        if self.read_closed.is_some_and(|closed| {
            (received.epoch, received.sequence) > (closed.epoch, closed.sequence)
        }) {
            self.records.stats_mut().discard(Discard::AfterClose);
            return;
        }
        self.warnings = 0;
        let max_datagrams = if finished {
            policy.receive_datagrams
        } else {
            MAX_BEFORE_FINISHED.min(policy.receive_datagrams)
        };
        if !finished {
            // It may have to wait for long, and must not keep a caller's large buffer alive meanwhile.
            received.data = Bytes::copy_from_slice(&received.data);
            received.pinned = received.data.len();
        }
        let was_empty = self.received.is_empty();
        if !self
            .received
            .push(received, max_datagrams, policy.receive_bytes)
        {
            self.records.stats_mut().discard(Discard::ReceiveQueueFull);
        } else if was_empty && finished {
            self.events.push_back(Event::Readable);
        }
    }

    /// Whether data should be fetched before more is taken in.
    #[inline]
    pub(crate) fn is_half_full(&self) -> bool {
        let policy = &self.role.parameters().datagram;
        self.received
            .is_half_full(policy.receive_datagrams, policy.receive_bytes)
    }

    /// The next received datagram. `data` is a slice of the buffer that was given to `handle_datagram` and keeps it
    /// alive. Nothing is given out before the peer's Finished was verified (RFC 5246 §7.4.9).
    #[inline]
    pub fn recv(&mut self) -> Option<Received> {
        if self.is_handshaking() {
            None
        } else {
            self.received.pop()
        }
    }

    /// Copies the next received datagram into `out` and pins nothing. Returns its length; if that is more than
    /// `out` holds, the rest is lost.
    pub fn recv_into(&mut self, out: &mut [u8]) -> Option<(usize, Path)> {
        let received = self.recv()?;
        let length = received.data.len().min(out.len());
        out[..length].copy_from_slice(&received.data[..length]);
        Some((received.data.len(), received.path))
    }

    /// Sends `data` as one record, whole or not at all. It leaves with the next `poll_transmit`.
    ///
    /// An empty record is legal and reaches nobody: receivers discard it.
    ///
    /// # Errors
    ///
    /// None is fatal: `TooLarge` beyond `max_payload`, `NotConnected` before the handshake is done, `Backlog`
    /// when the send queue is full, `KeyExhausted` at the limit of the keys, `Closed` behind `close`.
    #[inline]
    pub fn send(&mut self, _now: Instant, data: &[u8]) -> Result<(), SendError> {
        if self.write_closed {
            return Err(SendError::Closed);
        }
        match self.phase {
            Phase::Established(_) => self.records.send_data(data),
            Phase::Initial(_) => Err(SendError::NotConnected),
            Phase::Closed => Err(SendError::Closed),
        }
    }
}
