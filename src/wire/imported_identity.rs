//! The name of an imported key (RFC 9258 §5.1), which is the identity that a client sends.
//!
//! ```text
//!  external_identity<1..2^16-1> ‖ context<0..2^16-1> ‖ target_protocol (2) ‖ target_kdf (2)
//! ```

use super::codec::{Reader, Writer as _};
use crate::crypto::hash::HashAlgorithm;
use crate::protocol::ProtocolVersion;

/// Which key was imported, and for what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ImportedIdentity<'a> {
    /// The name of the key.
    pub(crate) external_identity: &'a [u8],
    /// What it was derived from, and for whom.
    pub(crate) context: &'a [u8],
    /// The version that it is for.
    pub(crate) target_protocol: ProtocolVersion,
    /// The number of the key derivation function that it is for.
    pub(crate) target_kdf: u16,
}

/// HKDF_SHA256 and HKDF_SHA384 (RFC 9258 §10).
const KDFS: [(u16, HashAlgorithm); 2] = [(1, HashAlgorithm::Sha256), (2, HashAlgorithm::Sha384)];

impl<'a> ImportedIdentity<'a> {
    /// Reads an identity; `None` if it is anything else.
    pub(crate) fn decode(identity: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(identity);
        let external_identity = reader.vec16("external_identity").ok()?;
        let found = Self {
            external_identity,
            context: reader.vec16("context").ok()?,
            target_protocol: ProtocolVersion(reader.u16("target_protocol").ok()?),
            target_kdf: reader.u16("target_kdf").ok()?,
        };
        reader.finish("ImportedIdentity").ok()?;
        (!external_identity.is_empty()).then_some(found)
    }

    /// The identity as it is sent.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = self.external_identity.len() + self.context.len() + 8;
        let mut out = Vec::with_capacity(length);
        out.put_vec(2, |out| out.put(self.external_identity));
        out.put_vec(2, |out| out.put(self.context));
        out.put_u16(self.target_protocol.0);
        out.put_u16(self.target_kdf);
        out
    }

    /// The hash of the suites that the key is for; `None` for a function that does not exist here.
    pub(crate) fn hash(&self) -> Option<HashAlgorithm> {
        let mut known = KDFS.iter();
        known
            .find(|(number, _)| *number == self.target_kdf)
            .map(|(_, hash)| *hash)
    }
}

/// The number of the key derivation function of suites with this hash.
pub(crate) fn kdf_of(hash: HashAlgorithm) -> u16 {
    match hash {
        HashAlgorithm::Sha256 => KDFS[0].0,
        HashAlgorithm::Sha384 => KDFS[1].0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9258 §5.1, written out.
    #[test]
    fn n56_11_an_imported_identity_is_its_four_fields() {
        let identity = ImportedIdentity {
            external_identity: b"ab",
            context: b"c",
            target_protocol: ProtocolVersion::DTLS13,
            target_kdf: kdf_of(HashAlgorithm::Sha384),
        };
        let sent = identity.encode();
        assert_eq!(sent, b"\x00\x02ab\x00\x01c\xfe\xfc\x00\x02");
        assert_eq!(ImportedIdentity::decode(&sent), Some(identity));
        for length in 0..sent.len() {
            assert_eq!(ImportedIdentity::decode(&sent[..length]), None);
        }
        assert_eq!(ImportedIdentity::decode(&[&sent[..], b"x"].concat()), None);
        // The external identity is not empty; the context may be.
        assert_eq!(ImportedIdentity::decode(&[0, 0, 0, 0, 3, 4, 0, 1]), None);
        let bare = ImportedIdentity::decode(&[0, 1, 9, 0, 0, 3, 4, 0, 1]);
        let bare = bare.unwrap();
        assert_eq!(bare.hash(), Some(HashAlgorithm::Sha256));
        assert_eq!(bare.target_protocol, ProtocolVersion::TLS13);
    }
}
