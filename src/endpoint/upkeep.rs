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
}
