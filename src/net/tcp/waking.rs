//! Answers of this end's own that wake the event loop of a stream.

use super::TlsStream;
use crate::net::waker::wakes_poll;
use std::sync::Arc;

impl TlsStream {
    /// Has the poll of `waker` woken whenever an answer comes that the handshake waits for, as
    /// those of keys that are held elsewhere do, so that a loop may sleep until then.
    /// [`TlsStream::turn`] goes on. A poll has one `mio::Waker`, which any number of streams and
    /// endpoints share; the woken loop gives each of them its turn.
    pub fn set_waker(&mut self, waker: Arc<mio::Waker>) {
        self.connection.set_waker(wakes_poll(waker));
    }
}
