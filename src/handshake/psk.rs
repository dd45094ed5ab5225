//! The keys that both ends of a handshake of version 1.3 had before it (RFC 8446 §4.2.11).
//!
//! ```text
//!  Session13 ── the key of its ticket ───────────────► Psk::Ticket ── "res binder" ─┐
//!  SharedKey ── its bytes, for suites of its hash ───► Psk::Shared ── "ext binder" ─┼─► binder
//!  SharedKey ── imported, for suites of each hash ───► Psk::Shared ── "imp binder" ─┘
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::dialect::{DTLS, TLS};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sha256() -> SharedKey {
        SharedKey::imported(b"psk1", b"context1", &b"ABCD".repeat(8)).unwrap()
    }

    fn sha384() -> SharedKey {
        let key = SharedKey::imported(b"psk2", b"context2", &b"EFGH".repeat(12));
        key.unwrap().with_sha384()
    }

    /// Two of the keys of BoringSSL's runner: what they are derived to, and the binder over the
    /// hash of a few bytes. The values are from Python's `hmac` and `hashlib`, by RFC 9258 §5 and
    /// RFC 8446 §7.1; the runner's own code makes the same of these keys.
    #[rustfmt::skip]
    #[test]
    fn n56_12_imported_keys_and_their_binders_are_those_of_others() {
        let rows: [(&Dialect, SharedKey, HashAlgorithm, &str, &str); 8] = [
        (
            &TLS,
            sha256(),
            HashAlgorithm::Sha256,
            "77cfa040c1e1ca63f0cd989dbefb28f5129625b08ce4f258bb825a9b0a4642a0",
            "1e95b35e00762730999ed40fd5a529b1c538f8b572430eafec3399c05c215403",
        ),
        (
            &TLS,
            sha256(),
            HashAlgorithm::Sha384,
            concat!("3cb0eb3c10863c51a674df9f7b5900b47aa9353ba35c475b", "7ff6ad53f868ea97ee896b7b54460853340f699b91949d8d"),
            concat!("c2d1343b4b752876760cd9916b7e84de18104d18f9d59e78", "1941b88bfb879f2321bf0504dd4e0fe541ffd6065832a4ab"),
        ),
        (
            &TLS,
            sha384(),
            HashAlgorithm::Sha256,
            "02b3e806e32d41ebbd4ea0dc49c4a448c186df3e161e1f68bec1889e84fc4fcd",
            "51189ea89861ceff824854fb1decac49c38cde31ee82a814bece1f24d49e29dd",
        ),
        (
            &TLS,
            sha384(),
            HashAlgorithm::Sha384,
            concat!("fbc3670da40a25dfbe8132b2840a412a7fb3a93846c3111e", "e45609fe68b70d5c9dfabdfdb3268a52a604de3c33b65f1d"),
            concat!("b187906c45b41a49d901dadf6141b4f5d2dd4dd15d5d35f1", "2abcbd248aa4a53f3255f1927b25791afbf9feeb8c23c053"),
        ),
        (
            &DTLS,
            sha256(),
            HashAlgorithm::Sha256,
            "1e4a15c8fecc0bdac69cd02f12ca50ef7f7f4872c16e05f403383cac4761e15a",
            "2dca5519a2d97a1cc556b45c3ff4fa84d5d0b96d7456d5f9550af5e2cb83bf85",
        ),
        (
            &DTLS,
            sha256(),
            HashAlgorithm::Sha384,
            concat!("9289cc986cc806911b8e67f509e3edcddc0fea46ea2c626e", "172447e28bcd0c532fe1f83e6115348a71df76c75c693f59"),
            concat!("f568f09064984d844d3c7d75f687e415336bc753433c7c41", "055924b4a9d05e04128b902e746de70a8014682a8894698b"),
        ),
        (
            &DTLS,
            sha384(),
            HashAlgorithm::Sha256,
            "0884aa69e7a918bf732a4dc7603e0c52f913598cf94f667c6a3990e878fe9167",
            "dc28df232f454dadc8f7ca674c8bb958fe25c5a7ad239530c92e6604739636b6",
        ),
        (
            &DTLS,
            sha384(),
            HashAlgorithm::Sha384,
            concat!("41811c1859d4cf6e0d9d27c00c1bd3f5a4ece2891bc72a9c", "824c10afa131c13584f83896b49f257c5df57289c9f8fa88"),
            concat!("0e2ce155d2de596c594d5111dce4d05b0ee7a2c0895449fc", "9590fdfb8ae3ba4124b5993467803ad3084d2e5d5600d3d4"),
        ),
        ];
        for (dialect, key, hash, secret, binder) in rows {
            let psk = Psk::shared(dialect, &key, hash).unwrap();
            assert_eq!(hex(psk.secret()), secret);
            let covered = hash.digest(b"a truncated hello");
            assert_eq!(hex(psk.binder(dialect, &covered).as_ref()), binder);
        }
    }

    /// The same for a key that is used as it is: RFC 8446 §7.1 has another label for it, and so it
    /// proves nothing about the imported one (RFC 9258 §5.2).
    #[test]
    fn n56_02_the_binder_of_an_external_key_has_a_label_of_its_own() {
        let key = SharedKey::new(b"psk1", &b"ABCD".repeat(8)).unwrap();
        let hash = HashAlgorithm::Sha256;
        let covered = hash.digest(b"a truncated hello");
        let rows = [
            (
                &TLS,
                "bf751ed5e9cfab91159b18359b7368244168820b32a6de3c409ddbb3373d0bdd",
            ),
            (
                &DTLS,
                "607b6435fff492bb08919726b107418751fb07d5ac235eba8897e693ed78d8a5",
            ),
        ];
        for (dialect, binder) in rows {
            let psk = Psk::shared(dialect, &key, hash).unwrap();
            assert_eq!(hex(psk.binder(dialect, &covered).as_ref()), binder);
        }
        assert!(Psk::shared(&TLS, &key, HashAlgorithm::Sha384).is_none());
    }
}
