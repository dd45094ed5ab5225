//! Private keys that sign.

use crate::error::{ConfigError, Error};
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
    /// [`ConfigError::UnsupportedKey`] if it is none of ECDSA P-256 and P-384, Ed25519, RSA of at least 2048 bits.
    pub fn new(key: &PrivateKeyDer<'_>) -> Result<Self, ConfigError> {
        let inner = match key {
            PrivateKeyDer::Pkcs8(der) => Self::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(der) => Self::from_sec1(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der())
                .ok()
                .map(Inner::Rsa),
            _ => None,
        };
        inner
            .map(|inner| Self { inner })
            .ok_or(ConfigError::UnsupportedKey)
    }

    fn from_pkcs8(der: &[u8]) -> Option<Inner> {
        let rng = ring::rand::SystemRandom::new();
        if let Ok(key) = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Inner::Ed25519(key));
        }
        if let Ok(key) = signature::EcdsaKeyPair::from_pkcs8(
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            der,
            &rng,
        ) {
            return Some(Inner::P256(key));
        }
        if let Ok(key) = signature::EcdsaKeyPair::from_pkcs8(
            &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            der,
            &rng,
        ) {
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
    let octets = der(0x04, sec1)?;
    let mut inner = Zeroizing::new(prefix.to_vec());
    inner.reserve(octets.len());
    inner.extend_from_slice(&octets);
    der(0x30, &inner)
}

fn der(tag: u8, contents: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
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
