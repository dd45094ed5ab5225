//! The keys that both ends of a handshake of version 1.3 had before it (RFC 8446 §4.2.11).
//!
//! ```text
//!  Session13 ── the key of its ticket ─────────────────────► Psk::Ticket ── "res binder" ─┐
//!  SharedKey ── its bytes, for suites of its hash ─────────► Psk::Shared ── "ext binder" ─┼─► binder
//!  SharedKey ── imported, for suites of each hash apart ───► Psk::Shared ── "imp binder" ─┘
//! ```

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::crypto::hmac::Tag;
use crate::identity::{Identity, SharedKey};
use crate::protocol::{Dialect, SignatureScheme};
use crate::secrets::imported::import;
use crate::secrets::schedule13::{Derivation, EarlySecret, PskOrigin, Secret};
use crate::session::Session13;
use crate::wire::imported_identity::{ImportedIdentity, kdf_of};
use pki_types::UnixTime;
use std::sync::Arc;

/// A key that a client offers, or that a server has found by what a client offers.
#[derive(Clone)]
pub(super) enum Psk {
    /// The key of a ticket.
    Ticket(Arc<Session13>),
    /// A shared key, for one connection protocol and one hash.
    Shared(Arc<SharedPsk>),
}

/// A shared key as a handshake uses it.
pub(super) struct SharedPsk {
    key: SharedKey,
    hash: HashAlgorithm,
    /// Of a key that is imported: its identity on the wire, and what was derived from it.
    imported: Option<(Vec<u8>, Secret)>,
}

impl Psk {
    /// What is used of a shared key with suites of this hash; `None` if the key serves no such
    /// suite, or not version 1.3.
    pub(super) fn shared(dialect: &Dialect, key: &SharedKey, hash: HashAlgorithm) -> Option<Self> {
        if !key.serves_13(hash) {
            return None;
        }
        let name = key.name();
        let derived = name.context().map(|context| {
            let identity = ImportedIdentity {
                external_identity: name.identity(),
                context,
                target_protocol: dialect.version_13,
                target_kdf: kdf_of(hash),
            };
            let identity = identity.encode();
            let secret = import(dialect, key.hash(), key.bytes(), &identity, hash)?;
            Some((identity, secret))
        });
        let imported = match derived {
            Some(derived) => Some(derived?),
            None => None,
        };
        Some(Self::Shared(Arc::new(SharedPsk {
            key: key.clone(),
            hash,
            imported,
        })))
    }

    /// The hash that the key belongs to.
    pub(super) fn hash(&self) -> HashAlgorithm {
        match self {
            Self::Ticket(session) => session.agreed.suite.hash,
            Self::Shared(shared) => shared.hash,
        }
    }

    /// What names the key on the wire.
    pub(super) fn wire_identity(&self) -> &[u8] {
        match self {
            Self::Ticket(session) => &session.ticket,
            Self::Shared(shared) => match &shared.imported {
                Some((identity, _)) => identity,
                None => shared.key.name().identity(),
            },
        }
    }

    /// The age beside the identity: RFC 8446 §4.2.11: 0 for keys that have none.
    pub(super) fn obfuscated_age(&self, date: UnixTime) -> u32 {
        match self {
            Self::Ticket(session) => session.obfuscated_age(date),
            Self::Shared(_) => 0,
        }
    }

    /// The key itself.
    pub(super) fn secret(&self) -> &[u8] {
        match self {
            Self::Ticket(session) => session.psk.as_bytes(),
            Self::Shared(shared) => match &shared.imported {
                Some((_, secret)) => secret.as_bytes(),
                None => shared.key.bytes(),
            },
        }
    }

    /// The binder after a transcript with this hash.
    pub(super) fn binder(&self, dialect: &Dialect, transcript_hash: &Digest) -> Tag {
        self.early(dialect)
            .binder(self.origin(), transcript_hash.as_ref())
    }

    /// Whether a binder proves that its sender has the key.
    pub(super) fn verifies(&self, dialect: &Dialect, hash: &Digest, binder: &[u8]) -> bool {
        self.early(dialect)
            .verify_binder(self.origin(), hash.as_ref(), binder)
            .is_ok()
    }

    fn early(&self, dialect: &Dialect) -> EarlySecret {
        EarlySecret::new(Derivation::new(dialect, self.hash()), self.secret())
    }

    fn origin(&self) -> PskOrigin {
        match self {
            Self::Ticket(_) => PskOrigin::Resumption,
            Self::Shared(shared) if shared.imported.is_some() => PskOrigin::Imported,
            Self::Shared(_) => PskOrigin::External,
        }
    }

    /// The session, if the key is that of a ticket.
    pub(super) fn ticket(&self) -> Option<&Arc<Session13>> {
        match self {
            Self::Ticket(session) => Some(session),
            Self::Shared(_) => None,
        }
    }

    /// The holder of the key, if it is a shared one: each of the two ends.
    pub(super) fn holder(&self) -> Option<Identity> {
        match self {
            Self::Ticket(_) => None,
            Self::Shared(shared) => Some(Identity::SharedKey(shared.key.holder())),
        }
    }

    /// Who the peer is that has the key.
    pub(super) fn peer_identity(&self) -> Option<Identity> {
        match self {
            Self::Ticket(session) => session.agreed.peer_identity.clone(),
            Self::Shared(_) => self.holder(),
        }
    }

    /// What the peer has proved that with, if it was a signature.
    pub(super) fn peer_scheme(&self) -> Option<SignatureScheme> {
        self.ticket()?.agreed.peer_scheme
    }
}
