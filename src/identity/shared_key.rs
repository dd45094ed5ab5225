//! Keys that both ends were given beforehand (RFC 4279, RFC 8446 §4.2.11, RFC 9258).
//!
//! ```text
//!  client                                          server
//!  SharedKey ── its name ─────────────────────────► FindSharedKey ──► SharedKey
//!            ── a proof made with its bytes ──────► checked
//! ```
//!
//! The name travels in the clear, the bytes never. Such a key proves both ends to each other, so
//! one key belongs to one client and one server (RFC 9257 §4): whoever holds it can be either.

use super::Reply;
use crate::crypto::hash::HashAlgorithm;
use crate::error::ConfigError;
use crate::protocol::{ProtocolVersion, Side};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use zeroize::Zeroizing;

/// How many bytes a shared key has at least: 128 bits (RFC 9257 §4).
const MIN_KEY_LEN: usize = 16;

/// The most bytes that fields of the protocols hold: an identity, a context, a key.
const MAX_LEN: usize = 0xffff;

/// A key that this end shares with its peer, and the name under which the peer knows it.
///
/// It is cheap to clone. Its bytes are erased with the last copy and never shown.
///
/// One value and its clones are a client's or a server's, whichever is first, and never both: an
/// attacker that sends such an end its own messages back could make it talk to itself (RFC 9257
/// §4.1). An end that is both has two keys, or one that it imports with the two roles in the
/// context.
#[derive(Clone)]
pub struct SharedKey {
    name: Arc<SharedKeyName>,
    secret: Arc<Secret>,
    with_sha384: bool,
}

/// What all clones of a key have together.
struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    /// What the key was first used as: 0 for nothing, 1 for a client's, 2 for a server's.
    role: AtomicU8,
}

impl SharedKey {
    /// A key of 16 to 65,535 bytes, random ones, with its identity: 0 to 65,535 bytes, by
    /// convention text in UTF-8 (RFC 4279 §5.1), compared byte by byte. An empty identity serves
    /// version 1.2 alone. The identity is sent in the clear.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if key or identity have another length.
    pub fn new(identity: &[u8], key: &[u8]) -> Result<Self, ConfigError> {
        check("the length of a shared key", key, MIN_KEY_LEN)?;
        check("the length of a key's identity", identity, 0)?;
        Ok(Self::with(identity, None, key))
    }

    /// The same for a key below 16 bytes, which can be guessed from a handshake that was recorded:
    /// for old devices whose keys cannot be changed. One byte at least.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if the key is empty, or the identity is too long.
    pub fn new_short(identity: &[u8], key: &[u8]) -> Result<Self, ConfigError> {
        check("the length of a shared key", key, 1)?;
        check("the length of a key's identity", identity, 0)?;
        Ok(Self::with(identity, None, key))
    }

    /// A key that is used through the importer of RFC 9258: a key of its own is derived from it for
    /// each hash, with `context`, which both ends must know, for example the names of both. It
    /// serves version 1.3 alone, and never talks to the same bytes used without the importer.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if the identity is empty, the key is shorter than 16 bytes, or
    /// all of them are too long for one field of the protocol.
    pub fn imported(identity: &[u8], context: &[u8], key: &[u8]) -> Result<Self, ConfigError> {
        check("the length of a shared key", key, MIN_KEY_LEN)?;
        check("the length of a key's identity", identity, 1)?;
        // Both stand in one identity on the wire, with eight bytes beside them (RFC 9258 §5.1).
        let both = "the length of a key's identity and context";
        let length = identity.len() + context.len();
        in_range(both, length, 1, MAX_LEN - 8)?;
        Ok(Self::with(identity, Some(context.into()), key))
    }

    /// What is used in place of a key that was not found, so that the work is the same as with one
    /// of this hash.
    pub(crate) fn made_up(
        identity: &[u8],
        context: Option<&[u8]>,
        hash: HashAlgorithm,
        key: &[u8],
    ) -> Self {
        Self {
            with_sha384: hash == HashAlgorithm::Sha384,
            ..Self::with(identity, context.map(Into::into), key)
        }
    }

    fn with(identity: &[u8], context: Option<Box<[u8]>>, key: &[u8]) -> Self {
        let name = SharedKeyName {
            identity: identity.into(),
            context,
        };
        Self {
            name: Arc::new(name),
            secret: Arc::new(Secret {
                bytes: Zeroizing::new(key.to_vec()),
                role: AtomicU8::new(0),
            }),
            with_sha384: false,
        }
    }

    /// The same key for suites with SHA-384. At version 1.3 a key belongs to one hash, SHA-256
    /// unless both ends were told otherwise (RFC 8446 §4.2.11); at 1.2 it serves every suite. Of a
    /// key that is imported this is the hash that it was made for.
    #[must_use]
    pub fn with_sha384(mut self) -> Self {
        self.with_sha384 = true;
        self
    }

    /// The name of the key.
    pub fn name(&self) -> &SharedKeyName {
        &self.name
    }

    /// The holder of the key, as an identity has it.
    pub(crate) fn holder(&self) -> Arc<SharedKeyName> {
        self.name.clone()
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.secret.bytes
    }

    /// Uses the key as the client's or as the server's; `false` if it, or a clone of it, is the
    /// other one's already.
    pub(crate) fn take_role(&self, side: Side) -> bool {
        let role = match side {
            Side::Client => 1,
            Side::Server => 2,
        };
        let order = Ordering::Relaxed;
        let before = self.secret.role.compare_exchange(0, role, order, order);
        before.is_ok() || before == Err(role)
    }

    /// The hash that it belongs to at 1.3.
    pub(crate) const fn hash(&self) -> HashAlgorithm {
        if self.with_sha384 {
            HashAlgorithm::Sha384
        } else {
            HashAlgorithm::Sha256
        }
    }

    /// Whether it can be used at 1.3 with suites of this hash: one that is imported with any.
    pub(crate) fn serves_13(&self, hash: HashAlgorithm) -> bool {
        // RFC 8446 §4.2.11: an identity has one byte at least.
        let named = !self.name.identity().is_empty();
        named && (self.name.context().is_some() || self.hash() == hash)
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedKey").field(&self.name).finish()
    }
}

fn check(what: &'static str, bytes: &[u8], min: usize) -> Result<(), ConfigError> {
    in_range(what, bytes.len(), min, MAX_LEN)
}

fn in_range(what: &'static str, value: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        what,
        min: min as u64,
        max: max as u64,
    })
}

/// Which shared key, without its bytes: what an end proves to be the holder of.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SharedKeyName {
    identity: Box<[u8]>,
    context: Option<Box<[u8]>>,
}

impl SharedKeyName {
    /// The name with these parts, for whoever stores them.
    pub(crate) fn from_parts(identity: &[u8], context: Option<&[u8]>) -> Self {
        Self {
            identity: identity.into(),
            context: context.map(Into::into),
        }
    }

    /// The identity: bytes, by convention text in UTF-8. For an imported key the external identity
    /// (RFC 9258 §5.1).
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The context of an imported key; `None` if the key is not imported.
    pub fn context(&self) -> Option<&[u8]> {
        self.context.as_deref()
    }
}

/// As text where it is, escaped where it is not.
impl fmt::Display for SharedKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.identity.escape_ascii())?;
        match &self.context {
            Some(context) => write!(f, " (imported for {})", context.escape_ascii()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SharedKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// What a client has named a shared key by. Nothing of it is authenticated yet.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SharedKeyQuery {
    /// The identity, 0 to 65,535 bytes that a stranger may have made up; for an imported key the
    /// external identity.
    pub identity: Vec<u8>,
    /// The context, if the client names an imported key.
    pub context: Option<Vec<u8>>,
    /// The DNS name that the client wants (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The version that was agreed on.
    pub version: ProtocolVersion,
}

impl SharedKeyQuery {
    /// Whether `key` is what was asked for.
    pub(crate) fn is_for(&self, key: &SharedKey) -> bool {
        key.name.identity() == self.identity && key.name.context() == self.context.as_deref()
    }
}

/// Where a server finds shared keys by name.
///
/// Called in the middle of handshakes, so it must not block: what takes long is answered later.
/// Only clients whose address is proved are looked up, if the endpoint asks for cookies. A key that
/// is not found fails like a wrong one, so that nobody learns which identities there are (RFC 4279
/// §2). At version 1.3 that is so on servers without a certificate: one that has a certificate goes
/// on with it where it does not know a key, as RFC 8446 §4.2.11 has it, and ends the handshake
/// where the key is wrong. A session that was made with a key is resumed without asking again,
/// until it expires.
pub trait FindSharedKey: Send + Sync + fmt::Debug {
    /// The key of this name, if there is one. A store that has to ask another system returns what
    /// it knows at once, for example nothing.
    fn find(&self, query: &SharedKeyQuery) -> Option<SharedKey>;

    /// The same for a store that has to ask another system, and answers later; by default it
    /// answers at once, as [`FindSharedKey::find`] does. If `found` is dropped, the key was not
    /// found.
    fn find_later(&self, query: SharedKeyQuery, found: Reply<Option<SharedKey>>) {
        found.send(self.find(&query));
    }
}

/// Shared keys in memory, by name.
#[derive(Clone, Default)]
pub struct SharedKeys(HashMap<SharedKeyName, SharedKey>);

impl SharedKeys {
    /// These keys. Of two with one name the later one counts.
    pub fn new(keys: impl IntoIterator<Item = SharedKey>) -> Self {
        let named = |key: SharedKey| (key.name().clone(), key);
        Self(keys.into_iter().map(named).collect())
    }
}

impl FindSharedKey for SharedKeys {
    fn find(&self, query: &SharedKeyQuery) -> Option<SharedKey> {
        let name = SharedKeyName::from_parts(&query.identity, query.context.as_deref());
        self.0.get(&name).cloned()
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKeys")
            .field("keys", &self.0.len())
            .finish()
    }
}

/// Chooses the key that a client of version 1.2 uses, by what the server says about itself.
///
/// At 1.3 the client names its keys before the server has said anything, so nobody is asked.
pub trait ChooseSharedKey: Send + Sync + fmt::Debug {
    /// The key for the server of this name that has given this hint (RFC 4279 §5.2): 0 to 65,535
    /// bytes, not authenticated, empty if it gave none. `None` ends the handshake.
    fn choose(&self, server: &str, hint: &[u8]) -> Option<SharedKey>;

    /// The same for an application that has to ask another system, and answers later; by default
    /// it answers at once, as [`ChooseSharedKey::choose`] does.
    fn choose_later(&self, server: String, hint: Vec<u8>, chosen: Reply<Option<SharedKey>>) {
        chosen.send(self.choose(&server, &hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9257 §4, RFC 4279 §5.3: what cannot be a key or a name is refused when it is configured.
    #[test]
    fn keys_and_names_have_bounds() {
        assert!(SharedKey::new(b"", &[1; 16]).is_ok());
        assert!(SharedKey::new(&[7; 0xffff], &[1; 64]).is_ok());
        assert!(SharedKey::new(&[7; 0x1_0000], &[1; 64]).is_err());
        assert!(SharedKey::new(b"a", &[1; 15]).is_err());
        assert!(SharedKey::new_short(b"a", &[1; 1]).is_ok());
        assert!(SharedKey::new_short(b"a", &[]).is_err());
        assert!(SharedKey::imported(b"", b"c", &[1; 16]).is_err());
        assert!(SharedKey::imported(b"a", b"", &[1; 15]).is_err());
        assert!(SharedKey::imported(b"a", &[0; 0xfff6], &[1; 16]).is_ok());
        assert!(SharedKey::imported(b"a", &[0; 0xfff7], &[1; 16]).is_err());
    }

    /// RFC 7925 §4.2: byte by byte, without folding, cutting or trimming.
    #[test]
    fn names_are_compared_byte_by_byte() {
        let key = |name: &[u8]| SharedKey::new(name, &[1; 16]).unwrap();
        let imported = SharedKey::imported(b"device", b"", &[2; 16]).unwrap();
        let keys = SharedKeys::new([key(b"device"), imported]);
        let find = |identity: &[u8], context: Option<&[u8]>| {
            let query = SharedKeyQuery {
                identity: identity.to_vec(),
                context: context.map(<[u8]>::to_vec),
                server_name: None,
                version: ProtocolVersion::DTLS13,
            };
            let found = keys.find(&query);
            assert!(found.iter().all(|key| query.is_for(key)));
            found.map(|key| key.bytes().to_vec())
        };
        assert_eq!(find(b"device", None), Some(vec![1; 16]));
        assert_eq!(find(b"device", Some(b"")), Some(vec![2; 16]));
        assert_eq!(find(b"device", Some(b"x")), None);
        for other in [&b"Device"[..], b"device\0", b"device ", b"devic", b""] {
            assert_eq!(find(other, None), None);
        }
    }

    #[test]
    fn the_bytes_are_never_shown() {
        let key = SharedKey::new(b"a\xff\"", &[0x42; 16]).unwrap();
        assert_eq!(format!("{key:?}"), r#"SharedKey("a\xff\"")"#);
    }
}
