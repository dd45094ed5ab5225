//! Private keys that sign.

use super::private_key::{
    PARAMETERS, PUBLIC_HALF, pkcs1_contents, pkcs8_contents, scalar, sec1_contents,
};
use super::provider::sign;
use super::public_key_info::KeyAlgorithm;
use super::verify::is_rsa;
use super::{der, names};
use crate::error::{ConfigError, Error, UnsupportedKey};
use crate::protocol::{NamedGroup, SignatureScheme};
use pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use std::fmt;

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
/// [`CertifiedKey::new`](crate::identity::CertifiedKey::new) makes one by itself. Whoever wants to
/// sign elsewhere, on the threads of a pool for example, has it here.
pub struct SigningKey {
    key: sign::Key,
}

impl SigningKey {
    /// Parses a PKCS#8, SEC1 or PKCS#1 key.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnsupportedKey`] if it is none of ECDSA P-256 and P-384, Ed25519, RSA of 2048
    /// to 4096 bits (8192 with `aws-lc-rs`), with what it is.
    pub fn new(key: &PrivateKeyDer<'_>) -> Result<Self, ConfigError> {
        match sign::Key::parse(key) {
            Some(key) => Ok(Self { key }),
            None => Err(ConfigError::UnsupportedKey(unsupported(key))),
        }
    }

    /// The same where the certificate has the public half, which an EC key may leave out (RFC 5915
    /// §3).
    pub(crate) fn with_public_half(
        key: &PrivateKeyDer<'_>,
        public: &[u8],
    ) -> Result<Self, ConfigError> {
        match Self::new(key) {
            Err(ConfigError::UnsupportedKey(UnsupportedKey::WithoutPublicHalf)) => scalar(key)
                .and_then(|scalar| sign::Key::complete(scalar, public))
                .map(|key| Self { key })
                .ok_or(ConfigError::KeyMismatch),
            parsed => parsed,
        }
    }

    /// Which suites this key can serve.
    pub(crate) fn kind(&self) -> KeyKind {
        match self.schemes() {
            [scheme, ..] if is_rsa(*scheme) => KeyKind::Rsa,
            _ => KeyKind::Ecdsa,
        }
    }

    /// The curve of an ECDSA key.
    pub(crate) fn curve(&self) -> Option<NamedGroup> {
        match *self.schemes() {
            [SignatureScheme::ECDSA_SECP256R1_SHA256, ..] => Some(NamedGroup::SECP256R1),
            [SignatureScheme::ECDSA_SECP384R1_SHA384, ..] => Some(NamedGroup::SECP384R1),
            _ => None,
        }
    }

    /// The schemes that this key can make, the preferred one first.
    pub fn schemes(&self) -> &'static [SignatureScheme] {
        self.key.schemes()
    }

    /// Signs `message` with `scheme`, one of [`SigningKey::schemes`].
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`] if the scheme is another one or the key fails.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.key.sign(scheme, message);
        signature.ok_or(Error::SigningFailed)
    }

    /// The public half, a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7).
    pub fn public_key_info(&self) -> SubjectPublicKeyInfoDer<'static> {
        let algorithm = self
            .schemes()
            .first()
            .map(|it| KeyAlgorithm::of_scheme(*it));
        let info = algorithm.and_then(|algorithm| algorithm.encode(self.public_key()));
        // No key that signs here is too long for that.
        info.unwrap_or_default().into()
    }

    /// The public key as it stands inside a SubjectPublicKeyInfo, without its outer wrapping.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.key.public_key()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
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

/// An RSA key whose numbers the provider does not sign with.
fn unsupported_rsa(pkcs1: &[u8]) -> Option<UnsupportedKey> {
    let (modulus, exponent) = pkcs1_contents(pkcs1)?;
    let bits = der::bit_length(modulus);
    if !sign::takes_rsa(bits) {
        Some(UnsupportedKey::RsaLength { bits })
    } else if der::bit_length(exponent) < sign::MIN_EXPONENT_BITS {
        Some(UnsupportedKey::RsaExponent)
    } else {
        None
    }
}

/// An EC key on another curve, if it names one under this tag, or without its public half.
fn unsupported_ec(sec1: &[u8], curve: Option<u8>) -> Option<UnsupportedKey> {
    let (_scalar, rest) = sec1_contents(sec1)?;
    if let Some(identifier) = curve.and_then(|tag| der::find(tag, rest)) {
        let name = names::algorithm(identifier);
        if !["P-256", "P-384"].contains(&name.as_str()) {
            return Some(UnsupportedKey::Algorithm(format!("ECDSA on {name}")));
        }
    }
    let lacks = der::find(PUBLIC_HALF, rest).is_none();
    lacks.then_some(UnsupportedKey::WithoutPublicHalf)
}
