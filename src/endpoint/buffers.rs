//! Buffers that datagrams are sealed into, shared by all associations of an endpoint.
//!
//! An association needs one from the moment at which it has something to say until that is taken.
//! With one of its own it would keep, for ever, what its largest batch needed; and where there are
//! many associations, each would write to memory that has left the caches of the processor long
//! ago.

use crate::connection::DtlsConnection;

/// How many buffers are kept: as many associations may have something to say at a time without an
/// allocation.
const MAX_FREE: usize = 64;

/// The buffers that nobody uses, the one that was used last at the end.
#[derive(Default)]
pub(super) struct Buffers {
    free: Vec<Vec<u8>>,
}

impl Buffers {
    /// Gives a buffer to an association that is about to send.
    #[inline]
    pub(super) fn lend(&mut self, connection: &mut DtlsConnection) {
        connection.borrow_buffer(&mut self.free);
    }

    /// Takes back the buffer of an association that has nothing to send.
    #[inline]
    pub(super) fn take_back(&mut self, connection: &mut DtlsConnection) {
        let buffer = connection.take_buffer();
        if buffer.capacity() > 0 && self.free.len() < MAX_FREE {
            self.free.push(buffer);
        }
    }
}
