//! What an endpoint is told about its sockets and its memory, rather than by peers.

use super::{AssociationId, Endpoint};
use crate::error::ConfigError;
use crate::protocol::Path;
use std::time::Instant;

impl Endpoint {
    /// Takes note that the system has refused a datagram of `bytes` on its way along `path`, as too large: see
    /// [`DtlsConnection::handle_too_large`](crate::DtlsConnection::handle_too_large). It concerns the associations with that
    /// address. Whether it was news to one of them.
    pub fn handle_too_large(&mut self, now: Instant, path: Path, bytes: usize) -> bool {
        let Some(route) = self.routes.find(path.remote()) else {
            return false;
        };
        let mut news = false;
        for id in [Some(route.current), route.successor].into_iter().flatten() {
            if let Some(association) = self.table.get_mut(id) {
                news |= association.connection.handle_too_large(bytes);
                self.settle(now, id);
            }
        }
        news
    }

    /// Changes the largest datagram that is sent to the peer of `id`, in bytes of UDP payload; see
    /// [`DtlsConnection::set_mtu`](crate::DtlsConnection::set_mtu). Without effect if the association is gone.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_mtu(&mut self, id: AssociationId, bytes: usize) -> Result<(), ConfigError> {
        match self.table.get_mut(id) {
            Some(association) => association.connection.set_mtu(bytes),
            None => Ok(()),
        }
    }

    /// Moves the data that still waits for [`Endpoint::recv`] out of the buffers in which it came: see
    /// [`Connection::detach_unread`](crate::Connection::detach_unread).
    pub fn detach_unread(&mut self) {
        let mut unread = std::mem::take(&mut self.unread);
        for id in unread.drain(..) {
            let Some(association) = self.table.get_mut(id) else {
                // Its data can be fetched until its last event was told.
                if let Some(ended) = self.ended.get_mut(&id) {
                    ended.connection.detach_unread();
                }
                continue;
            };
            association.has_unread = false;
            if association.connection.unread() == 0 {
                continue;
            }
            association.connection.detach_unread();
            let buffered = association.connection.buffered();
            self.buffered = self.buffered + buffered - association.buffered;
            association.buffered = buffered;
        }
        // The list keeps its allocation.
        self.unread = unread;
    }
}
