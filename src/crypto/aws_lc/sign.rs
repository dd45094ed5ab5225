//! Private keys that sign.

use crate::crypto::private_key;
use crate::protocol::SignatureScheme;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{rsa, signature};
use pki_types::PrivateKeyDer;

/// A parsed private key.
pub(crate) enum Key {
    P256(signature::EcdsaKeyPair),
    P384(signature::EcdsaKeyPair),
    Ed25519(signature::Ed25519KeyPair),
    Rsa(rsa::KeyPair),
}

/// Whether an RSA key with a modulus of so many bits can sign.
pub(crate) fn takes_rsa(bits: usize) -> bool {
    (2048..=8192).contains(&bits)
}

/// How many bits the exponent of an RSA key has at least: it is 3 or more.
pub(crate) const MIN_EXPONENT_BITS: usize = 2;

impl Key {
    /// A key that has all its parts.
    pub(crate) fn parse(key: &PrivateKeyDer<'_>) -> Option<Self> {
        match key {
            PrivateKeyDer::Pkcs8(der) => Self::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(der) => private_key::pkcs8_of_sec1(der.secret_sec1_der())
                .find_map(|pkcs8| Self::from_pkcs8(&pkcs8)),
            PrivateKeyDer::Pkcs1(der) => {
                let key = rsa::KeyPair::from_der(der.secret_pkcs1_der());
                key.map(Self::Rsa).ok()
            }
            _ => None,
        }
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let curve = |curve| signature::EcdsaKeyPair::from_pkcs8(curve, der).ok();
        let ed25519 = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
        ed25519
            .map(Self::Ed25519)
            .or_else(|| curve(P256).map(Self::P256))
            .or_else(|| curve(P384).map(Self::P384))
            .or_else(|| rsa::KeyPair::from_pkcs8(der).ok().map(Self::Rsa))
    }

    /// An EC key out of its private half and its public one, an uncompressed point.
    pub(crate) fn complete(scalar: &[u8], public: &[u8]) -> Option<Self> {
        let pair = |curve| {
            signature::EcdsaKeyPair::from_private_key_and_public_key(curve, scalar, public).ok()
        };
        pair(P256)
            .map(Self::P256)
            .or_else(|| pair(P384).map(Self::P384))
    }

    /// What the key can sign with, the preferred scheme first. Those of one key are for RSA or are
    /// not, and name one curve at most.
    pub(crate) fn schemes(&self) -> &'static [SignatureScheme] {
        match self {
            Self::P256(_) => &[SignatureScheme::ECDSA_SECP256R1_SHA256],
            Self::P384(_) => &[SignatureScheme::ECDSA_SECP384R1_SHA384],
            Self::Ed25519(_) => &[SignatureScheme::ED25519],
            Self::Rsa(_) => &[
                SignatureScheme::RSA_PSS_RSAE_SHA256,
                SignatureScheme::RSA_PSS_RSAE_SHA384,
                SignatureScheme::RSA_PSS_RSAE_SHA512,
                SignatureScheme::RSA_PKCS1_SHA256,
                SignatureScheme::RSA_PKCS1_SHA384,
                SignatureScheme::RSA_PKCS1_SHA512,
            ],
        }
    }

    /// Signs with one of [`Key::schemes`]; `None` if it is another one or the key fails.
    pub(crate) fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Option<Vec<u8>> {
        if !self.schemes().contains(&scheme) {
            return None;
        }
        // AWS-LC draws its own.
        let random = SystemRandom::new();
        match self {
            Self::P256(key) | Self::P384(key) => {
                let signature = key.sign(&random, message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Self::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(rsa_encoding(scheme)?, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
        }
    }

    /// The public key as it stands inside a SubjectPublicKeyInfo, without its outer wrapping.
    pub(crate) fn public_key(&self) -> &[u8] {
        match self {
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Ed25519(key) => key.public_key().as_ref(),
            Self::Rsa(key) => key.public_key().as_ref(),
        }
    }
}

const P256: &signature::EcdsaSigningAlgorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
const P384: &signature::EcdsaSigningAlgorithm = &signature::ECDSA_P384_SHA384_ASN1_SIGNING;

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
