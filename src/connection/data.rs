//! Application data, in both directions.

use super::phase::Phase;
use super::{Connection, Event};
use crate::error::{Error, PeerMisbehaved, SendError};
use crate::protocol::Path;
use crate::record::{Discard, Received, Records};
use crate::wire::record_tls::{HEADER_LEN, MAX_FRAGMENT_LEN};
use bytes::Bytes;
use std::collections::VecDeque;

/// Datagrams that wait for the application, bounded by number and by the memory they keep alive.
#[derive(Default)]
pub(super) struct ReceiveQueue {
    queue: VecDeque<Received>,
    pinned: usize,
}

/// The most that one record of a stream pins.
const MAX_RECORD_LEN: usize = HEADER_LEN + MAX_FRAGMENT_LEN;

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
        self.queue.len() >= max_datagrams.div_ceil(2) || 2 * self.pinned >= max_bytes
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
    pub(super) fn take_data(&mut self, mut received: Received) -> Result<(), Error> {
        let limits = self.records.limits();
        let finished = matches!(self.phase, Phase::Established(_));
        // RFC 9147 §5.10, RFC 5246 §7.2.1: data behind a close_notify is ignored, data that it overtook is not.
        if self.read_closed.is_some_and(|closed| {
            (received.epoch, received.sequence) > (closed.epoch, closed.sequence)
        }) {
            self.records.stats_mut().discard(Discard::AfterClose);
            return Ok(());
        }
        if !finished && R::RELIABLE {
            // RFC 5246 §7.4.9: nothing overtakes Finished on a stream.
            return Err(PeerMisbehaved::UnexpectedData.into());
        }
        self.warnings = 0;
        let max_datagrams = if finished {
            limits.receive_items
        } else {
            MAX_BEFORE_FINISHED.min(limits.receive_items)
        };
        if !finished {
            // It may have to wait for long, and must not keep a caller's large buffer alive meanwhile.
            received.data = Bytes::copy_from_slice(&received.data);
            received.pinned = received.data.len();
        }
        let was_empty = self.received.is_empty();
        if !self
            .received
            .push(received, max_datagrams, limits.receive_bytes)
        {
            self.records.stats_mut().discard(Discard::ReceiveQueueFull);
        } else if was_empty && finished {
            self.events.push_back(Event::Readable);
        }
        Ok(())
    }

    /// Whether no more data is taken in before some was fetched.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
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

    /// The next received datagram, or piece of a stream. `data` is a slice of the buffer that was given to
    /// `handle_datagram` or `handle_bytes` and keeps it alive. Nothing is given out before the peer's Finished was verified (RFC 5246 §7.4.9).
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

    /// Seals data if the phase allows it; how many bytes were taken.
    #[inline]
    pub(super) fn send_data(&mut self, data: &[u8]) -> Result<usize, SendError> {
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
