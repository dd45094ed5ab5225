//! What an endpoint puts into connection IDs, and finds in them again.
//!
//! ```text
//!  8 bytes and more:  member (2) │ number (3) │ generation (1) │ count (2) │ filler
//!  4 to 7 bytes:                   number (3) │ count (1)                  │ filler
//! ```
//!
//! A connection ID is what an association is called in the table of the endpoint, under a keyed
//! permutation, so that it is found without a look-up and nobody else sees which of them belong
//! together. It is never trusted: the association itself knows what it has given to its peer, and
//! what it opens authenticates.

use super::id::AssociationId;
use crate::connection::{ConnectionIdIssuer, Issuer};
use crate::crypto::permutation::{Permutation, halves};
use crate::crypto::random::{SecureRandom, SystemRandom};
use crate::error::Error;
use crate::protocol::ConnectionId;
use crate::secrets::fleet::{FleetSecret, Purpose};
use crate::wire::record_datagram::connection_id_at;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use zeroize::Zeroizing;

/// From this length on a connection ID names the member of a fleet.
const LONG: usize = 8;

/// How many bytes of a shorter one name an association.
const SHORT: usize = 4;

/// The connection IDs of one endpoint.
pub(super) struct ConnectionIds {
    shared: Arc<Shared>,
    /// The same, as every association has it.
    issuer: Arc<Box<dyn ConnectionIdIssuer>>,
}

struct Shared {
    permutation: Permutation,
    member: u16,
    /// Makes each different from the one before it.
    count: AtomicU16,
    /// Which kinds were given out.
    long: AtomicBool,
    short: AtomicBool,
}

impl ConnectionIds {
    /// Those of a member of a fleet, or of an endpoint of its own.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub(super) fn new(fleet: Option<&FleetSecret>, member: u16) -> Result<Self, Error> {
        let mut drawn = Zeroizing::new([0; Permutation::KEY_LEN + 2]);
        SystemRandom.fill(&mut *drawn)?;
        let [.., a, b] = *drawn;
        let permutation = match fleet {
            Some(secret) => permutation_of(secret),
            None => {
                let mut key = Zeroizing::new([0; Permutation::KEY_LEN]);
                key.copy_from_slice(&drawn[..Permutation::KEY_LEN]);
                Permutation::new(&key)
            }
        };
        let shared = Arc::new(Shared {
            permutation,
            member,
            count: AtomicU16::new(u16::from_be_bytes([a, b])),
            long: AtomicBool::new(false),
            short: AtomicBool::new(false),
        });
        Ok(Self {
            issuer: Arc::new(Box::new(shared.clone())),
            shared,
        })
    }

    /// What issues connection IDs for the association `id`.
    pub(super) fn issuer(&self, id: AssociationId) -> Issuer {
        let whose = u64::from(id.index) << 32 | u64::from(id.generation);
        Some(Box::new((self.issuer.clone(), whose)))
    }

    /// Whether any association may have given one to its peer.
    pub(super) fn were_issued(&self) -> bool {
        let shared = &*self.shared;
        shared.long.load(Ordering::Relaxed) || shared.short.load(Ordering::Relaxed)
    }

    /// The first association among those that these bytes of a header may name, of which `is_its`
    /// says that it has given them to its peer.
    #[inline]
    pub(super) fn find(
        &self,
        at: &[u8],
        is_its: impl Fn(Named) -> Option<AssociationId>,
    ) -> Option<AssociationId> {
        let shared = &*self.shared;
        if shared.long.load(Ordering::Relaxed)
            && let Some(block) = at.first_chunk()
            && let Some(id) = is_its(shared.read_long(*block).1)
        {
            return Some(id);
        }
        if shared.short.load(Ordering::Relaxed)
            && let Some(block) = at.first_chunk()
        {
            return is_its(shared.read_short(*block));
        }
        None
    }
}

/// The association that a connection ID names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    pub(super) index: u32,
    /// The low bits of its generation; `None` where there was no room.
    pub(super) generation: Option<u8>,
}

impl Shared {
    #[inline]
    fn read_long(&self, block: [u8; LONG]) -> (u16, Named) {
        let (member, named) = reveal(&self.permutation, block);
        (member, named)
    }

    #[inline]
    fn read_short(&self, [a, b, c, d]: [u8; SHORT]) -> Named {
        let mut block = [[a, b], [c, d]];
        self.permutation.reveal(&mut block);
        let [[i0, i1], [i2, _]] = block;
        Named {
            index: u32::from_be_bytes([0, i0, i1, i2]),
            generation: None,
        }
    }

    fn make(&self, whose: u64, length: usize) -> ConnectionId {
        let [_, i0, i1, i2, .., generation] = whose.to_be_bytes();
        let [c0, c1] = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let [m0, m1] = self.member.to_be_bytes();
        let mut out = Vec::with_capacity(length + SHORT);
        let seed = if length < LONG {
            let mut block = [[i0, i1], [i2, c1]];
            self.permutation.hide(&mut block);
            out.extend_from_slice(block.as_flattened());
            self.short.store(true, Ordering::Relaxed);
            [m0, m1, i0, i1, i2, generation, c0, c1]
        } else {
            let mut block = [[m0, m1, i0, i1], [i2, generation, c0, c1]];
            self.permutation.hide(&mut block);
            out.extend_from_slice(block.as_flattened());
            self.long.store(true, Ordering::Relaxed);
            let [[a, b, c, d], [e, f, g, h]] = block;
            [a, b, c, d, e, f, g, h]
        };
        for place in 0.. {
            if out.len() >= length {
                break;
            }
            out.extend_from_slice(&self.permutation.filler(&seed, place));
        }
        out.truncate(length);
        ConnectionId::new(&out)
    }
}

impl ConnectionIdIssuer for Arc<Shared> {
    fn issue(&self, whose: u64, length: usize) -> Result<ConnectionId, Error> {
        Ok(self.make(whose, length))
    }
}

/// What a long one says: the member, and its association.
#[inline]
fn reveal(permutation: &Permutation, block: [u8; LONG]) -> (u16, Named) {
    let mut block = halves(block);
    permutation.reveal(&mut block);
    let [[m0, m1, i0, i1], [i2, generation, ..]] = block;
    let named = Named {
        index: u32::from_be_bytes([0, i0, i1, i2]),
        generation: Some(generation),
    };
    (u16::from_be_bytes([m0, m1]), named)
}

fn permutation_of(secret: &FleetSecret) -> Permutation {
    Permutation::new(&secret.derive(Purpose::ConnectionIds, b""))
}

/// Tells a balancer, or a member of a fleet that has received a stray, which member a datagram is
/// for: connection IDs of eight bytes and more say so (RFC 9146 §3, RFC 9147 §9).
///
/// A peer that has moved is then heard by the process that has its association, wherever the
/// network delivers the datagram. Whoever passes it on has to pass on where it came from as well:
/// see [`docs::fleets`](crate::docs::fleets).
pub struct FleetMembers {
    permutation: Permutation,
}

impl FleetMembers {
    /// Those that have this secret in their configuration, each with a number of its own
    /// ([`EndpointPolicy::member`](crate::endpoint::EndpointPolicy::member)).
    pub fn new(secret: &FleetSecret) -> Self {
        Self {
            permutation: permutation_of(secret),
        }
    }

    /// The number of the member that the datagram is for; `None` if its first record has no
    /// connection ID, as those of a first handshake. A datagram that is nobody's, or whose
    /// connection ID is shorter than eight bytes, may name anybody.
    pub fn member_of(&self, datagram: &[u8]) -> Option<u16> {
        let block = connection_id_at(datagram)?.first_chunk()?;
        Some(reveal(&self.permutation, *block).0)
    }
}

impl std::fmt::Debug for FleetMembers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetMembers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: AssociationId = AssociationId {
        index: 0x0001_0203,
        generation: 0x0000_0405,
    };

    #[test]
    fn an_association_is_found_by_each_of_its_connection_ids() {
        for length in 4..=20 {
            let ids = ConnectionIds::new(None, 7).unwrap();
            let issuer = ids.issuer(ID).unwrap();
            let issue = || issuer.0.issue(issuer.1, length).unwrap();
            let (one, other) = (issue(), issue());
            assert_eq!((one.len(), other.len()), (length, length));
            assert_ne!(one, other);
            for cid in [&one, &other] {
                let found = ids.find(cid.as_bytes(), |named| {
                    assert_eq!(named.index, ID.index);
                    assert!(named.generation.is_none_or(|it| it == 5));
                    Some(ID)
                });
                assert_eq!(found, Some(ID));
                let cut = &cid.as_bytes()[..3];
                assert_eq!(ids.find(cut, |_| Some(ID)), None);
            }
        }
    }

    #[test]
    fn the_members_of_a_fleet_read_each_others() {
        let secret = FleetSecret::from_bytes([5; FleetSecret::LEN]);
        let members = FleetMembers::new(&secret);
        for member in [0, 1, 0xfffe] {
            let ids = ConnectionIds::new(Some(&secret), member).unwrap();
            for length in [8, 9, 20] {
                let issuer = ids.issuer(ID).unwrap();
                let cid = issuer.0.issue(issuer.1, length).unwrap();
                let mut of_12 = vec![25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0];
                of_12.extend_from_slice(cid.as_bytes());
                assert_eq!(members.member_of(&of_12), Some(member));
                let mut of_13 = vec![0x3f];
                of_13.extend_from_slice(cid.as_bytes());
                assert_eq!(members.member_of(&of_13), Some(member));
            }
        }
        assert_eq!(members.member_of(&[22, 0xfe, 0xfd, 0, 0]), None);
        assert_eq!(members.member_of(&[0x3f, 1, 2, 3]), None);
    }
}
