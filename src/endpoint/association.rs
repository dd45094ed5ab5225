//! The table of associations.

use super::connection_ids::Named;
use super::id::AssociationId;
use super::routing::Key;
use crate::connection::DtlsConnection;
use crate::crypto::hash::HashAlgorithm;
use std::net::SocketAddr;
use std::time::Instant;

/// Sixteen bytes of the hash of the client's random that created a server association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin([u8; 16]);

impl Origin {
    pub(super) fn of(random: &[u8]) -> Self {
        let mut out = [0; 16];
        out.copy_from_slice(&HashAlgorithm::Sha256.digest(random).as_ref()[..16]);
        Self(out)
    }
}

/// One association with what the endpoint remembers about it.
pub(super) struct Association {
    pub(super) connection: DtlsConnection,
    /// The address that it is found by; `None` if connection IDs alone lead to it.
    pub(super) key: Option<Key>,
    /// `None` for a client association.
    pub(super) origin: Option<Box<Origin>>,
    /// The deadline that stands in the endpoint's timers.
    pub(super) timer: Option<Instant>,
    /// When something of the peer authenticated last, data was sent, the first handshake was
    /// completed, or the association was made.
    pub(super) last_active: Instant,
    /// What it counts towards the endpoint's limit, in bytes.
    pub(super) buffered: usize,
    /// Whether it stands in the queue of those that have something to send.
    pub(super) wants_to_send: bool,
    /// Whether it stands in the list of those that may have unread data.
    pub(super) has_unread: bool,
    /// Whether it counts as half-open; for `half_open` alone to change.
    pub(super) half_open: bool,
    /// Whether its first handshake was completed.
    pub(super) completed: bool,
}

impl Association {
    pub(super) fn new(
        now: Instant,
        connection: DtlsConnection,
        key: Key,
        origin: Option<Origin>,
    ) -> Self {
        Self {
            connection,
            key: Some(key),
            origin: origin.map(Box::new),
            timer: None,
            last_active: now,
            buffered: 0,
            wants_to_send: false,
            has_unread: false,
            half_open: false,
            completed: false,
        }
    }

    /// Brings `total` up to date with what this association holds.
    #[inline]
    pub(super) fn count(&mut self, total: &mut usize) {
        let buffered = self.connection.buffered();
        *total = *total + buffered - self.buffered;
        self.buffered = buffered;
    }

    /// The peer's address.
    pub(super) fn remote(&self) -> SocketAddr {
        self.connection.path().remote()
    }
}

/// Associations by number: O(1) for everything.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    len: usize,
}

struct Entry {
    generation: u32,
    association: Option<Box<Association>>,
}

impl Table {
    /// What the next association is called.
    pub(super) fn next_id(&self) -> Option<AssociationId> {
        let index = match self.free.last() {
            Some(&index) => index,
            None => u32::try_from(self.entries.len()).ok()?,
        };
        let entry = self.entries.get(usize::try_from(index).ok()?);
        let generation = entry.map_or(0, |it| it.generation);
        Some(AssociationId { index, generation })
    }

    /// The association with this number, and whose generation ends in these bits if they are told.
    #[inline]
    pub(super) fn named(&self, named: Named) -> Option<(AssociationId, &Association)> {
        let entry = self.entries.get(usize::try_from(named.index).ok()?)?;
        let generation = entry.generation;
        let fits = named
            .generation
            .is_none_or(|low| u32::from(low) == generation & 0xff);
        let association = entry.association.as_deref().filter(|_| fits)?;
        let index = named.index;
        Some((AssociationId { index, generation }, association))
    }

    /// Adds an association. `None` if there is no number left.
    pub(super) fn insert(&mut self, association: Association) -> Option<AssociationId> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.entries.len()).ok()?;
                self.entries.push(Entry {
                    generation: 0,
                    association: None,
                });
                index
            }
        };
        let entry = self.entries.get_mut(usize::try_from(index).ok()?)?;
        let id = AssociationId {
            index,
            generation: entry.generation,
        };
        association.connection.log_id(id);
        entry.association = Some(Box::new(association));
        self.len += 1;
        Some(id)
    }

    #[inline]
    pub(super) fn get(&self, id: AssociationId) -> Option<&Association> {
        let entry = self.entries.get(usize::try_from(id.index).ok()?)?;
        entry
            .association
            .as_deref()
            .filter(|_| entry.generation == id.generation)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: AssociationId) -> Option<&mut Association> {
        let entry = self.entries.get_mut(usize::try_from(id.index).ok()?)?;
        if entry.generation != id.generation {
            return None;
        }
        entry.association.as_deref_mut()
    }

    pub(super) fn remove(&mut self, id: AssociationId) -> Option<Box<Association>> {
        let entry = self.entries.get_mut(usize::try_from(id.index).ok()?)?;
        if entry.generation != id.generation {
            return None;
        }
        let association = entry.association.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(id.index);
        self.len -= 1;
        Some(association)
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = AssociationId> + '_ {
        self.entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.association.is_some())
            .filter_map(|(index, entry)| {
                Some(AssociationId {
                    index: u32::try_from(index).ok()?,
                    generation: entry.generation,
                })
            })
    }
}
