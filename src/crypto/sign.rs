//! Private keys that sign.

use super::{der, names};
use crate::error::{ConfigError, Error, UnsupportedKey};
use crate::protocol::{NamedGroup, SignatureScheme};
use pki_types::PrivateKeyDer;
use ring::{rsa, signature};
use std::fmt;
use zeroize::Zeroizing;

/// The kind of a signing key, which decides the cipher suites that it can serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyKind {
    /// ECDSA or EdDSA: suites whose name holds `ECDSA` (RFC 8422 §2.2).
    Ecdsa,
    /// RSA.
    Rsa,
}

/// A private key, parsed once and held in this process.
///
/// [`CertifiedKey::new`](crate::CertifiedKey::new) makes one by itself. Whoever wants to sign elsewhere, on threads of a pool, say, has
/// it here.
pub struct SigningKey {
    inner: Inner,
}

enum Inner {
    P256(signature::EcdsaKeyPair),
    P384(signature::EcdsaKeyPair),
    Ed25519(signature::Ed25519KeyPair),
    Rsa(rsa::KeyPair),
}

impl SigningKey {
    /// Parses a PKCS#8, SEC1 or PKCS#1 key.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnsupportedKey`] if it is none of ECDSA P-256 and P-384, Ed25519, RSA of 2048 to 4096 bits, with what it is.
    pub fn new(key: &PrivateKeyDer<'_>) -> Result<Self, ConfigError> {
        Self::parse(key).ok_or_else(|| ConfigError::UnsupportedKey(unsupported(key)))
    }

    /// The same where the certificate has the public half, which an EC key may leave out (RFC 5915 §3).
    pub(crate) fn with_public_half(
        key: &PrivateKeyDer<'_>,
        public: &[u8],
    ) -> Result<Self, ConfigError> {
        if let Some(whole) = Self::parse(key) {
            return Ok(whole);
        }
        match unsupported(key) {
            UnsupportedKey::WithoutPublicHalf => complete(key, public)
                .map(|inner| Self { inner })
                .ok_or(ConfigError::KeyMismatch),
            why => Err(ConfigError::UnsupportedKey(why)),
        }
    }

    fn parse(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let inner = match key {
            PrivateKeyDer::Pkcs8(der) => Self::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(der) => Self::from_sec1(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der())
                .ok()
                .map(Inner::Rsa),
            _ => None,
        };
        inner.map(|inner| Self { inner })
    }

    fn from_pkcs8(der: &[u8]) -> Option<Inner> {
        let rng = ring::rand::SystemRandom::new();
        if let Ok(key) = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Inner::Ed25519(key));
        }
        if let Ok(key) = signature::EcdsaKeyPair::from_pkcs8(P256, der, &rng) {
            return Some(Inner::P256(key));
        }
        if let Ok(key) = signature::EcdsaKeyPair::from_pkcs8(P384, der, &rng) {
            return Some(Inner::P384(key));
        }
        rsa::KeyPair::from_pkcs8(der).ok().map(Inner::Rsa)
    }

    /// A SEC1 key (RFC 5915), wrapped into the PKCS#8 form that `ring` reads.
    fn from_sec1(der: &[u8]) -> Option<Inner> {
        PKCS8_PREFIXES
            .iter()
            .find_map(|prefix| Self::from_pkcs8(&wrap_sec1(prefix, der)?))
    }

    /// Which suites this key can serve.
    pub(crate) fn kind(&self) -> KeyKind {
        match self.inner {
            Inner::Rsa(_) => KeyKind::Rsa,
            Inner::P256(_) | Inner::P384(_) | Inner::Ed25519(_) => KeyKind::Ecdsa,
        }
    }

    /// The curve of an ECDSA key.
    pub(crate) fn curve(&self) -> Option<NamedGroup> {
        match self.inner {
            Inner::P256(_) => Some(NamedGroup::SECP256R1),
            Inner::P384(_) => Some(NamedGroup::SECP384R1),
            Inner::Ed25519(_) | Inner::Rsa(_) => None,
        }
    }

    /// The schemes that this key can make, the preferred one first.
    pub fn schemes(&self) -> &'static [SignatureScheme] {
        match self.inner {
            Inner::P256(_) => &[SignatureScheme::ECDSA_SECP256R1_SHA256],
            Inner::P384(_) => &[SignatureScheme::ECDSA_SECP384R1_SHA384],
            Inner::Ed25519(_) => &[SignatureScheme::ED25519],
            Inner::Rsa(_) => &[
                SignatureScheme::RSA_PSS_RSAE_SHA256,
                SignatureScheme::RSA_PSS_RSAE_SHA384,
                SignatureScheme::RSA_PSS_RSAE_SHA512,
                SignatureScheme::RSA_PKCS1_SHA256,
                SignatureScheme::RSA_PKCS1_SHA384,
                SignatureScheme::RSA_PKCS1_SHA512,
            ],
        }
    }

    /// Signs `message` with `scheme`, one of [`SigningKey::schemes`].
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`] if the scheme is another one or the key fails.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        if !self.schemes().contains(&scheme) {
            return Err(Error::SigningFailed);
        }
        let rng = ring::rand::SystemRandom::new();
        match &self.inner {
            Inner::P256(key) | Inner::P384(key) => key
                .sign(&rng, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| Error::SigningFailed),
            Inner::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Inner::Rsa(key) => {
                let encoding = rsa_encoding(scheme).ok_or(Error::SigningFailed)?;
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(encoding, &rng, message, &mut signature)
                    .map_err(|_| Error::SigningFailed)?;
                Ok(signature)
            }
        }
    }

    /// The public key as it stands inside a SubjectPublicKeyInfo, without its outer wrapping.
    pub(crate) fn public_key(&self) -> &[u8] {
        use ring::signature::KeyPair as _;
        match &self.inner {
            Inner::P256(key) | Inner::P384(key) => key.public_key().as_ref(),
            Inner::Ed25519(key) => key.public_key().as_ref(),
            Inner::Rsa(key) => key.public_key().as_ref(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// An EC key out of its private half and the public one of its certificate, an uncompressed point.
fn complete(key: &PrivateKeyDer<'_>, public: &[u8]) -> Option<Inner> {
    let sec1 = match key {
        PrivateKeyDer::Pkcs8(der) => pkcs8_contents(der.secret_pkcs8_der())?.1,
        PrivateKeyDer::Sec1(der) => der.secret_sec1_der(),
        _ => return None,
    };
    let (fields, _) = der::inside(der::SEQUENCE, sec1)?;
    let (_version, rest) = der::inside(der::INTEGER, fields)?;
    let (scalar, _) = der::inside(der::OCTET_STRING, rest)?;
    let rng = ring::rand::SystemRandom::new();
    let pair = |curve| {
        signature::EcdsaKeyPair::from_private_key_and_public_key(curve, scalar, public, &rng).ok()
    };
    pair(P256)
        .map(Inner::P256)
        .or_else(|| pair(P384).map(Inner::P384))
}

/// The algorithm of a PKCS#8 key, the contents of its identifier, and the key in the form of that algorithm (RFC 5958 §2).
fn pkcs8_contents(pkcs8: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, _) = der::inside(der::SEQUENCE, pkcs8)?;
    let (_version, rest) = der::inside(der::INTEGER, fields)?;
    let (algorithm, rest) = der::inside(der::SEQUENCE, rest)?;
    let (key, _) = der::inside(der::OCTET_STRING, rest)?;
    Some((algorithm, key))
}

/// Why a key that does not parse is none of those that are used.
fn unsupported(key: &PrivateKeyDer<'_>) -> UnsupportedKey {
    let why = match key {
        PrivateKeyDer::Pkcs8(der) => {
            pkcs8_contents(der.secret_pkcs8_der()).and_then(|(algorithm, key)| {
                let name = names::algorithm(algorithm);
                match name.as_str() {
                    "RSA" => unsupported_rsa(key),
                    "ECDSA on P-256" | "ECDSA on P-384" => unsupported_ec(key, None),
                    _ => Some(UnsupportedKey::Algorithm(name)),
                }
            })
        }
        PrivateKeyDer::Sec1(der) => unsupported_ec(der.secret_sec1_der(), Some(PARAMETERS)),
        PrivateKeyDer::Pkcs1(der) => unsupported_rsa(der.secret_pkcs1_der()),
        _ => None,
    };
    why.unwrap_or(UnsupportedKey::Encoding)
}

/// An RSA key that `ring` does not sign with: it wants 2048 to 4096 bits, in steps of 512, and an exponent of at least 65537.
fn unsupported_rsa(pkcs1: &[u8]) -> Option<UnsupportedKey> {
    let (numbers, _) = der::inside(der::SEQUENCE, pkcs1)?;
    let (_version, rest) = der::inside(der::INTEGER, numbers)?;
    let (modulus, rest) = der::inside(der::INTEGER, rest)?;
    let (exponent, _) = der::inside(der::INTEGER, rest)?;
    let bits = der::bit_length(modulus);
    if !(2048..=4096).contains(&bits) || !bits.is_multiple_of(512) {
        Some(UnsupportedKey::RsaLength { bits })
    } else if der::bit_length(exponent) < 17 {
        Some(UnsupportedKey::RsaExponent)
    } else {
        None
    }
}

/// The tags of the optional fields of an EC key: its curve, and its public half.
const PARAMETERS: u8 = 0xa0;
const PUBLIC_HALF: u8 = 0xa1;

/// An EC key on another curve, if it names one under this tag, or without its public half.
fn unsupported_ec(sec1: &[u8], curve: Option<u8>) -> Option<UnsupportedKey> {
    let (fields, _) = der::inside(der::SEQUENCE, sec1)?;
    let (_version, rest) = der::inside(der::INTEGER, fields)?;
    let (_scalar, rest) = der::inside(der::OCTET_STRING, rest)?;
    if let Some(identifier) = curve.and_then(|tag| der::find(tag, rest)) {
        let name = names::algorithm(identifier);
        if !["P-256", "P-384"].contains(&name.as_str()) {
            return Some(UnsupportedKey::Algorithm(format!("ECDSA on {name}")));
        }
    }
    let lacks = der::find(PUBLIC_HALF, rest).is_none();
    lacks.then_some(UnsupportedKey::WithoutPublicHalf)
}

fn rsa_encoding(scheme: SignatureScheme) -> Option<&'static dyn signature::RsaEncoding> {
    Some(match scheme {
        SignatureScheme::RSA_PSS_RSAE_SHA256 => &signature::RSA_PSS_SHA256,
        SignatureScheme::RSA_PSS_RSAE_SHA384 => &signature::RSA_PSS_SHA384,
        SignatureScheme::RSA_PSS_RSAE_SHA512 => &signature::RSA_PSS_SHA512,
        SignatureScheme::RSA_PKCS1_SHA256 => &signature::RSA_PKCS1_SHA256,
        SignatureScheme::RSA_PKCS1_SHA384 => &signature::RSA_PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA512 => &signature::RSA_PKCS1_SHA512,
        _ => return None,
    })
}

const P256: &signature::EcdsaSigningAlgorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
const P384: &signature::EcdsaSigningAlgorithm = &signature::ECDSA_P384_SHA384_ASN1_SIGNING;

/// `version 0, AlgorithmIdentifier { id-ecPublicKey, curve }` for P-256 and P-384 (RFC 5480 §2.1.1).
const PKCS8_PREFIXES: [&[u8]; 2] = [
    &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ],
    &[
        0x02, 0x01, 0x00, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
    ],
];

/// `SEQUENCE { prefix, OCTET STRING { sec1 } }`; `None` if the key is too long to be one.
fn wrap_sec1(prefix: &[u8], sec1: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let octets = element(der::OCTET_STRING, sec1)?;
    let mut inner = Zeroizing::new(prefix.to_vec());
    inner.reserve(octets.len());
    inner.extend_from_slice(&octets);
    element(der::SEQUENCE, &inner)
}

/// Writes one element (X.690 §8.1).
fn element(tag: u8, contents: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(contents.len()).ok()?;
    // Reserved at once, so that no copy is left behind by growth.
    let mut out = Zeroizing::new(Vec::with_capacity(contents.len() + 4));
    out.push(tag);
    match length {
        0..0x80 => out.push(length.to_be_bytes()[1]),
        0x80..0x100 => out.extend_from_slice(&[0x81, length.to_be_bytes()[1]]),
        _ => {
            out.push(0x82);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(contents);
    Some(out)
}
