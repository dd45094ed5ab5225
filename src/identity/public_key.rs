//! The public key of a peer or of this end: in a certificate (RFC 5280 §4.1), or by itself
//! (RFC 7250).
//!
//! Little is demanded of a certificate for that. A verifier decides whether its form, dates and
//! issuer matter; a pinned fingerprint ignores them.

use crate::crypto::der::{
    BIT_STRING, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, bit_length, inside, whole,
};
use crate::crypto::names;
use crate::crypto::public_key_info::{self, BadKeyInfo};
use crate::crypto::sign::KeyKind;
use crate::error::{CertificateError, UnsupportedKey};
use crate::protocol::NamedGroup;
use pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;

/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// id-Ed25519, 1.3.101.112.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// secp256r1, 1.2.840.10045.3.1.7.
const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// secp384r1, 1.3.132.0.34.
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// How long RSA keys of peers and authorities can be, in bits.
pub(super) const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The tag of the version in a TBSCertificate, which those of X.509 version 1 leave out.
const VERSION: u8 = 0xa0;

/// A SubjectPublicKeyInfo in DER.
pub(crate) struct PublicKey<'a> {
    info: &'a [u8],
}

/// The issuer of a certificate, the contents of its Name, and its public key.
fn parts<'a>(certificate: &'a CertificateDer<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let (certificate, _) = inside(SEQUENCE, certificate)?;
    let (tbs, _) = inside(SEQUENCE, certificate)?;
    let versioned = inside(VERSION, tbs).map_or(tbs, |(_, rest)| rest);
    let (_serial, rest) = inside(INTEGER, versioned)?;
    let (_algorithm, rest) = inside(SEQUENCE, rest)?;
    let (issuer, rest) = inside(SEQUENCE, rest)?;
    let (_validity, rest) = inside(SEQUENCE, rest)?;
    let (_subject, rest) = inside(SEQUENCE, rest)?;
    let (info, _) = whole(SEQUENCE, rest)?;
    Some((issuer, info))
}

/// The contents of the issuer's Name.
pub(super) fn issuer<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    parts(certificate).map(|(issuer, _)| issuer)
}

impl<'a> PublicKey<'a> {
    /// The public key of a certificate.
    ///
    /// # Errors
    ///
    /// `BadEncoding` if it is not where it must be.
    pub(crate) fn of(certificate: &'a CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (_, info) = parts(certificate).ok_or(CertificateError::BadEncoding)?;
        Ok(Self { info })
    }

    /// A raw public key, which must be the DER of one SubjectPublicKeyInfo and nothing more
    /// (RFC 7250 §3). So two of them are the same key if they are the same bytes.
    ///
    /// # Errors
    ///
    /// `BadEncoding`, `StrayBytes`, or `UnsupportedKey` for one of another algorithm.
    pub(super) fn raw(info: &'a SubjectPublicKeyInfoDer<'_>) -> Result<Self, CertificateError> {
        match public_key_info::check(info) {
            Ok(_) => Ok(Self { info }),
            Err(BadKeyInfo::Encoding) => Err(CertificateError::BadEncoding),
            Err(BadKeyInfo::Trailing) => Err(CertificateError::StrayBytes),
            Err(BadKeyInfo::Algorithm(name)) => Err(CertificateError::UnsupportedKey(
                UnsupportedKey::Algorithm(name),
            )),
        }
    }

    /// The kind of key, with the curve of an ECDSA key.
    pub(super) fn kind(&self) -> Result<(KeyKind, Option<NamedGroup>), UnsupportedKey> {
        let unknown = || UnsupportedKey::Algorithm(self.algorithm_name());
        let (name, parameters) = self.algorithm().ok_or_else(unknown)?;
        match name {
            RSA_ENCRYPTION => Ok((KeyKind::Rsa, None)),
            ED25519 => Ok((KeyKind::Ecdsa, None)),
            EC_PUBLIC_KEY => {
                let curve = match inside(OBJECT_IDENTIFIER, parameters).map(|(curve, _)| curve) {
                    Some(SECP256R1) => Some(NamedGroup::SECP256R1),
                    Some(SECP384R1) => Some(NamedGroup::SECP384R1),
                    _ => None,
                };
                Ok((KeyKind::Ecdsa, curve))
            }
            _ => Err(unknown()),
        }
    }

    /// The algorithm of the key and its parameters.
    fn algorithm(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (info, _) = inside(SEQUENCE, self.info)?;
        let (algorithm, _) = inside(SEQUENCE, info)?;
        inside(OBJECT_IDENTIFIER, algorithm)
    }

    fn algorithm_name(&self) -> String {
        let (info, _) = inside(SEQUENCE, self.info).unwrap_or_default();
        let (algorithm, _) = inside(SEQUENCE, info).unwrap_or_default();
        names::algorithm(algorithm)
    }

    /// The key itself, the contents of the BIT STRING after its algorithm.
    pub(super) fn bits(&self) -> Option<&'a [u8]> {
        let (info, _) = inside(SEQUENCE, self.info)?;
        let (_, rest) = inside(SEQUENCE, info)?;
        // The first octet counts unused bits, of which a key has none.
        inside(BIT_STRING, rest)?
            .0
            .split_first()
            .map(|(_, bits)| bits)
    }

    /// The length of an RSA modulus, in bits.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        Self::rsa_bits_of(inside(SEQUENCE, self.info)?.0)
    }

    /// The same of a SubjectPublicKeyInfo without its outer header.
    pub(super) fn rsa_bits_of(contents: &[u8]) -> Option<usize> {
        let (algorithm, rest) = inside(SEQUENCE, contents)?;
        let (name, _) = inside(OBJECT_IDENTIFIER, algorithm)?;
        let (bits, _) = inside(BIT_STRING, rest).filter(|_| name == RSA_ENCRYPTION)?;
        let (numbers, _) = inside(SEQUENCE, bits.get(1..)?)?;
        let (modulus, _) = inside(INTEGER, numbers)?;
        Some(bit_length(modulus))
    }

    /// Whether `signature` was made over `message` by this key.
    pub(super) fn verifies(
        &self,
        algorithm: &dyn SignatureVerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let info = SubjectPublicKeyInfoDer::from(self.info);
        RawPublicKeyEntity::try_from(&info)
            .is_ok_and(|key| key.verify_signature(algorithm, message, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, check_key_12};
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn certificate(algorithm: &'static SignatureAlgorithm) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["server.test".to_owned()]).unwrap();
        let key = KeyPair::generate_for(algorithm).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn keys_are_told_apart() {
        let all = [NamedGroup::X25519, NamedGroup::SECP256R1];
        for (algorithm, curve) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(NamedGroup::SECP256R1)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(NamedGroup::SECP384R1)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let leaf = certificate(algorithm);
            let key = PublicKey::of(&leaf).unwrap();
            assert_eq!(key.kind(), Ok((KeyKind::Ecdsa, curve)));
            let parsed = webpki::EndEntityCert::try_from(&leaf).unwrap();
            assert_eq!(key.info, &*parsed.subject_public_key_info());
            assert_eq!(issuer(&leaf), Some(parsed.issuer()));
            let claim = Identity::Certificate(vec![leaf].into());
            let outcome = check_key_12(&claim, Some(KeyKind::Rsa), &all);
            assert_eq!(outcome, Err(CertificateError::WrongKeyType.into()));
            let outcome = check_key_12(&claim, Some(KeyKind::Ecdsa), &all);
            let fits = curve.is_none_or(|curve| all.contains(&curve));
            let expected = if fits {
                Ok(())
            } else {
                Err(CertificateError::WrongCurve.into())
            };
            assert_eq!(outcome, expected);
        }
    }

    #[test]
    fn cut_certificates_have_no_key_and_do_no_harm() {
        let whole = certificate(&rcgen::PKCS_ED25519);
        for cut in 0..whole.len() {
            let cut = CertificateDer::from(&whole[..cut]);
            assert!(PublicKey::of(&cut).is_err());
        }
    }
}
