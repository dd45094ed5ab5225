//! Handshake messages into records: as many in one as fit (RFC 5246 §6.2.1).

use super::WriteState;
use crate::protocol::{ContentType, HandshakeType, ProtocolVersion};
use crate::wire::codec::Writer as _;
use crate::wire::handshake::StreamHeader;

/// Messages of one epoch that were not cut into records yet.
#[derive(Default)]
pub(super) struct Fragmenter {
    pending: Vec<u8>,
}

impl Fragmenter {
    /// Adds a message.
    pub(super) fn push(&mut self, typ: HandshakeType, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        StreamHeader { typ, length }.encode(&mut self.pending);
        self.pending.put(body);
    }

    /// Seals what waits, in records of at most `size` bytes. Returns how many that took.
    pub(super) fn flush(
        &mut self,
        size: usize,
        write: &mut WriteState,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> u64 {
        let mut sealed = 0;
        for piece in self.pending.chunks(size) {
            write.append(ContentType::HANDSHAKE, version, piece, out);
            sealed += 1;
        }
        self.pending.clear();
        sealed
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    /// How much memory is in use, in bytes.
    pub(super) const fn cost(&self) -> usize {
        self.pending.len()
    }

    /// Gives back the allocation of an empty buffer.
    pub(super) fn release(&mut self) {
        self.pending.shrink_to_fit();
    }
}
