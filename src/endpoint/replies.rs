//! Datagrams for addresses that have no association, or none any more.

use crate::connection::Transmit;
use crate::protocol::Path;
use std::collections::VecDeque;

/// How many wait at most.
const MAX_REPLIES: usize = 256;

/// Answers to strangers, and the last words of associations that were ended.
#[derive(Default)]
pub(super) struct Replies {
    queue: VecDeque<(Path, Vec<u8>)>,
}

impl Replies {
    /// Whether another one would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_REPLIES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds one. Whether there was room.
    pub(super) fn push(&mut self, path: Path, datagram: Vec<u8>) -> bool {
        let room = !self.is_full();
        if room {
            self.queue.push_back((path, datagram));
        }
        room
    }

    /// Appends the oldest to `out`.
    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let (path, datagram) = self.queue.pop_front()?;
        out.extend_from_slice(&datagram);
        Some(Transmit {
            len: datagram.len(),
            segment_size: None,
            path,
        })
    }
}
