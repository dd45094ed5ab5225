//! Which association a datagram belongs to.

use super::AssociationId;
use crate::protocol::address::{lacks_scope, unscoped};
use std::collections::HashMap;
use std::net::SocketAddr;

/// The associations with one remote address.
///
/// A peer that starts again gets a `successor`, which replaces `current` with its verified Finished and not
/// before: until then nobody knows whether the new hello is from the same peer (RFC 6347 §4.2.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    pub(super) current: AssociationId,
    pub(super) successor: Option<AssociationId>,
}

/// Routes by remote address, in the form that paths have.
///
/// The application may name a link-local address without its scope, where the socket knows the interface; the system then
/// names the scope in answers. Such a route takes what no other route of that address takes.
#[derive(Default, Debug)]
pub(super) struct Routes {
    by_address: HashMap<SocketAddr, Route>,
}

impl Routes {
    #[inline]
    pub(super) fn find(&self, remote: SocketAddr) -> Option<Route> {
        let exact = self.by_address.get(&remote);
        exact
            .or_else(|| self.by_address.get(&unscoped(remote)?))
            .copied()
    }

    /// Whether datagrams of a new association with this address could not be told from those of another.
    pub(super) fn is_taken(&self, remote: SocketAddr) -> bool {
        let somewhere = || {
            let mut known = self.by_address.keys();
            known.any(|known| unscoped(*known) == Some(remote))
        };
        self.find(remote).is_some() || lacks_scope(remote) && somewhere()
    }

    /// Enters a new association: as current if the address is free, else as successor. Returns the successor that
    /// it displaces.
    pub(super) fn enter(&mut self, remote: SocketAddr, id: AssociationId) -> Option<AssociationId> {
        match self.by_address.get_mut(&remote) {
            Some(route) => route.successor.replace(id),
            None => {
                self.by_address.insert(
                    remote,
                    Route {
                        current: id,
                        successor: None,
                    },
                );
                None
            }
        }
    }

    /// Makes the successor current, if `id` is one. Returns the association that it replaces.
    pub(super) fn promote(
        &mut self,
        remote: SocketAddr,
        id: AssociationId,
    ) -> Option<AssociationId> {
        let route = self.by_address.get_mut(&remote)?;
        if route.successor != Some(id) {
            return None;
        }
        route.successor = None;
        Some(std::mem::replace(&mut route.current, id))
    }

    /// Forgets an association; a successor moves up.
    pub(super) fn leave(&mut self, remote: SocketAddr, id: AssociationId) {
        let Some(route) = self.by_address.get_mut(&remote) else {
            return;
        };
        if route.successor == Some(id) {
            route.successor = None;
        } else if route.current == id {
            match route.successor.take() {
                Some(successor) => route.current = successor,
                None => {
                    self.by_address.remove(&remote);
                }
            }
        }
    }
}
