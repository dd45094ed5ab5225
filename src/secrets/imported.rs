//! The importer of external keys into version 1.3 (RFC 9258).

use super::schedule13::{Derivation, Secret};
use crate::crypto::hash::HashAlgorithm;
use crate::protocol::Dialect;
use zeroize::Zeroizing;

/// Derives the key that is used instead of an external one, of this hash, with suites of the hash
/// `target` (RFC 9258 §5.1). `identity` is the ImportedIdentity as it is sent; the labels are those
/// of the protocol that the key is for.
pub(crate) fn import(
    dialect: &Dialect,
    own: HashAlgorithm,
    key: &[u8],
    identity: &[u8],
    target: HashAlgorithm,
) -> Option<Secret> {
    let derivation = Derivation::new(dialect, own);
    let extracted = derivation.early(key);
    let mut bytes = Zeroizing::new([0; MAX_LEN]);
    let out = bytes.get_mut(..target.len())?;
    let context = own.digest(identity);
    derivation.expand_label(&extracted, b"derived psk", context.as_ref(), out);
    Secret::from_bytes(out)
}

/// The longest key that is derived, in bytes: a digest of SHA-384.
const MAX_LEN: usize = 48;
