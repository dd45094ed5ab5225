//! What kind of key a certificate holds (RFC 5280 §4.1, RFC 5480 §2.1.1, RFC 8410 §3).

use super::der::{OBJECT_IDENTIFIER, SEQUENCE, inside};
use crate::crypto::sign::KeyKind;
use crate::error::{CertificateError, Error};
use crate::protocol::NamedGroup;
use pki_types::CertificateDer;
use webpki::EndEntityCert;

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

/// Checks that the key of `leaf` is of the `kind` that a suite of version 1.2 demands (RFC 5246 §7.4.2), and, if it is an ECDSA
/// key, on a curve of those that were offered as `groups` (RFC 8422 §5.3). What is not known here is left to the signature.
///
/// # Errors
///
/// `BadEncoding`, `WrongKeyType`, `WrongCurve`.
pub(crate) fn check_key_12(
    leaf: &CertificateDer<'_>,
    kind: Option<KeyKind>,
    groups: &[NamedGroup],
) -> Result<(), Error> {
    let certificate = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let info = certificate.subject_public_key_info();
    let Some((found, curve)) = key_type(&info) else {
        return Ok(());
    };
    if kind.is_some_and(|kind| kind != found) {
        return Err(CertificateError::WrongKeyType.into());
    }
    if curve.is_some_and(|curve| !groups.contains(&curve)) {
        return Err(CertificateError::WrongCurve.into());
    }
    Ok(())
}

/// The kind of key in a SubjectPublicKeyInfo, with the curve of an ECDSA key.
pub(super) fn key_type(info: &[u8]) -> Option<(KeyKind, Option<NamedGroup>)> {
    let (info, _) = inside(SEQUENCE, info)?;
    let (algorithm, _) = inside(SEQUENCE, info)?;
    let (name, parameters) = inside(OBJECT_IDENTIFIER, algorithm)?;
    match name {
        RSA_ENCRYPTION => Some((KeyKind::Rsa, None)),
        ED25519 => Some((KeyKind::Ecdsa, None)),
        EC_PUBLIC_KEY => {
            let curve = match inside(OBJECT_IDENTIFIER, parameters)?.0 {
                SECP256R1 => Some(NamedGroup::SECP256R1),
                SECP384R1 => Some(NamedGroup::SECP384R1),
                _ => None,
            };
            Some((KeyKind::Ecdsa, curve))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let parsed = EndEntityCert::try_from(&leaf).unwrap();
            let info = parsed.subject_public_key_info();
            assert_eq!(key_type(&info), Some((KeyKind::Ecdsa, curve)));
            let outcome = check_key_12(&leaf, Some(KeyKind::Rsa), &all);
            assert_eq!(outcome, Err(CertificateError::WrongKeyType.into()));
            let outcome = check_key_12(&leaf, Some(KeyKind::Ecdsa), &all);
            let fits = curve.is_none_or(|curve| all.contains(&curve));
            let expected = if fits {
                Ok(())
            } else {
                Err(CertificateError::WrongCurve.into())
            };
            assert_eq!(outcome, expected);
        }
    }
}
