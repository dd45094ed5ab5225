//! Which association a datagram belongs to.

use super::id::AssociationId;
use crate::protocol::Path;
use crate::protocol::address::{lacks_scope, unscoped};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

/// What a datagram says about its association without being opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// The address that it comes from, in the form that paths have.
    Address(SocketAddr),
}

impl Key {
    /// The key of what comes this way.
    #[inline]
    pub(super) fn of(path: Path) -> Self {
        Self::Address(path.remote())
    }

    /// The address without its scope; `None` if there is none to leave out.
    fn unscoped(self) -> Option<Self> {
        let Self::Address(address) = self;
        unscoped(address).map(Self::Address)
    }

    fn lacks_scope(self) -> bool {
        let Self::Address(address) = self;
        lacks_scope(address)
    }
}

/// As few words as there are: every datagram is looked up, and a derived implementation gives the
/// hasher one field after the other.
impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Address(SocketAddr::V4(address)) => {
                let ip = u64::from(address.ip().to_bits());
                state.write_u64(ip << 16 | u64::from(address.port()));
            }
            Self::Address(SocketAddr::V6(address)) => {
                state.write_u128(address.ip().to_bits());
                let scope = u64::from(address.scope_id());
                state.write_u64(scope << 16 | u64::from(address.port()));
            }
        }
    }
}

/// The associations with one key.
///
/// A peer that starts again gets a `successor`, which replaces `current` with its verified Finished
/// and not before: until then nobody knows whether the new hello is from the same peer (RFC 6347
/// §4.2.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    pub(super) current: AssociationId,
    pub(super) successor: Option<AssociationId>,
}

impl Route {
    /// The associations, the newer one first.
    pub(super) fn newest_first(self) -> impl Iterator<Item = AssociationId> {
        self.successor.into_iter().chain([self.current])
    }
}

/// Routes by key.
///
/// The application may name a link-local address without its scope, where the socket knows the
/// interface; the system then names the scope in answers. Such a route takes what no other route of
/// that address takes.
#[derive(Default, Debug)]
pub(super) struct Routes {
    by_key: HashMap<Key, Route>,
}

impl Routes {
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<Route> {
        let exact = self.by_key.get(&key);
        exact.or_else(|| self.by_key.get(&key.unscoped()?)).copied()
    }

    /// Whether datagrams of a new association with this key could not be told from those of
    /// another.
    pub(super) fn is_taken(&self, key: Key) -> bool {
        let somewhere = || {
            let mut known = self.by_key.keys();
            known.any(|known| known.unscoped() == Some(key))
        };
        self.find(key).is_some() || key.lacks_scope() && somewhere()
    }

    /// Enters a new association: as current if the key is free, else as successor. Returns the
    /// successor that it displaces.
    pub(super) fn enter(&mut self, key: Key, id: AssociationId) -> Option<AssociationId> {
        if let Some(route) = self.by_key.get_mut(&key) {
            return route.successor.replace(id);
        }
        let route = Route {
            current: id,
            successor: None,
        };
        self.by_key.insert(key, route);
        None
    }

    /// Makes the successor current, if `id` is one. Returns the association that it replaces.
    pub(super) fn promote(&mut self, key: Key, id: AssociationId) -> Option<AssociationId> {
        let route = self.by_key.get_mut(&key)?;
        if route.successor != Some(id) {
            return None;
        }
        route.successor = None;
        Some(std::mem::replace(&mut route.current, id))
    }

    /// Forgets an association at this key; a successor moves up.
    pub(super) fn leave(&mut self, key: Key, id: AssociationId) {
        let Some(route) = self.by_key.get_mut(&key) else {
            return;
        };
        if route.successor == Some(id) {
            route.successor = None;
        } else if route.current == id {
            match route.successor.take() {
                Some(successor) => route.current = successor,
                None => {
                    self.by_key.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        Key::Address(([192, 0, 2, 1], port).into())
    }

    fn id(index: u32) -> AssociationId {
        AssociationId {
            index,
            generation: 0,
        }
    }

    #[test]
    fn an_association_is_found_by_its_key_until_it_leaves() {
        let mut routes = Routes::default();
        assert_eq!(routes.enter(key(1), id(7)), None);
        // A newcomer succeeds it there.
        assert_eq!(routes.enter(key(1), id(8)), None);
        assert_eq!(routes.find(key(1)).map(|it| it.current), Some(id(7)));
        routes.leave(key(1), id(7));
        assert_eq!(routes.find(key(1)).map(|it| it.current), Some(id(8)));
        routes.leave(key(1), id(8));
        assert!(routes.by_key.is_empty());
    }
}
