//! SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): the one form in DER of each key that is used here.

use super::der::{BIT_STRING, OBJECT_IDENTIFIER, SEQUENCE, inside};
use super::names;
use super::private_key::element;
use super::verify::is_rsa;
use crate::protocol::SignatureScheme;

/// The algorithm of a public key, with its curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyAlgorithm {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl KeyAlgorithm {
    const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa];

    /// The contents of the AlgorithmIdentifier: an object identifier and its parameters, which are
    /// a curve, nothing, or NULL (RFC 5480 §2.1.1, RFC 8410 §3, RFC 4055 §1.2).
    const fn identifier(self) -> &'static [u8] {
        match self {
            Self::P256 => &[
                0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                0xce, 0x3d, 0x03, 0x01, 0x07,
            ],
            Self::P384 => &[
                0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
                0x00, 0x22,
            ],
            Self::Ed25519 => &[0x06, 0x03, 0x2b, 0x65, 0x70],
            Self::Rsa => &[
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
            ],
        }
    }

    /// The algorithm of a key that signs with this scheme at version 1.3.
    pub(super) fn of_scheme(scheme: SignatureScheme) -> Self {
        match scheme {
            SignatureScheme::ECDSA_SECP384R1_SHA384 => Self::P384,
            SignatureScheme::ED25519 => Self::Ed25519,
            scheme if is_rsa(scheme) => Self::Rsa,
            _ => Self::P256,
        }
    }

    /// A SubjectPublicKeyInfo with this key, the contents of its BIT STRING; `None` if the key is
    /// too long to be one.
    pub(crate) fn encode(self, key: &[u8]) -> Option<Vec<u8>> {
        let mut contents = element(SEQUENCE, self.identifier())?.to_vec();
        // A key has no unused bits.
        contents.extend_from_slice(&element(BIT_STRING, &[&[0], key].concat())?);
        Some(element(SEQUENCE, &contents)?.to_vec())
    }
}

/// What is wrong with a SubjectPublicKeyInfo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BadKeyInfo {
    /// It is none, or not the DER of one.
    Encoding,
    /// Something follows it.
    Trailing,
    /// It is a key for another algorithm or on another curve.
    Algorithm(String),
}

/// The algorithm of a SubjectPublicKeyInfo, which must be the one in DER that its key has.
pub(crate) fn check(info: &[u8]) -> Result<KeyAlgorithm, BadKeyInfo> {
    let (contents, rest) = inside(SEQUENCE, info).ok_or(BadKeyInfo::Encoding)?;
    let (identifier, bits) = inside(SEQUENCE, contents).ok_or(BadKeyInfo::Encoding)?;
    let (bits, _) = inside(BIT_STRING, bits).ok_or(BadKeyInfo::Encoding)?;
    let (name, parameters) = inside(OBJECT_IDENTIFIER, identifier).ok_or(BadKeyInfo::Encoding)?;
    if !rest.is_empty() {
        return Err(BadKeyInfo::Trailing);
    }
    let mut known = KeyAlgorithm::ALL.into_iter();
    let Some(algorithm) = known.find(|one| one.identifier() == identifier) else {
        let mut known = KeyAlgorithm::ALL.into_iter();
        let same = known
            .any(|one| inside(OBJECT_IDENTIFIER, one.identifier()).map(|it| it.0) == Some(name));
        let on_curve =
            inside(OBJECT_IDENTIFIER, parameters).is_some_and(|(_, rest)| rest.is_empty());
        // A known algorithm, but not with these parameters.
        return Err(if same && !on_curve {
            BadKeyInfo::Encoding
        } else {
            BadKeyInfo::Algorithm(names::algorithm(identifier))
        });
    };
    let key = bits.get(1..).ok_or(BadKeyInfo::Encoding)?;
    // Lengths that are not the shortest, unused bits, stray elements: another encoding than DER.
    if algorithm.encode(key).as_deref() == Some(info) {
        Ok(algorithm)
    } else {
        Err(BadKeyInfo::Encoding)
    }
}
