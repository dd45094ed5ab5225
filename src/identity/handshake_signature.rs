//! Signatures that the peer makes during a handshake.

use super::Identity;
use super::proof::SignatureVerified;
use super::public_key::{PublicKey, RSA_BITS};
use crate::crypto::sign::KeyKind;
use crate::crypto::verify::{algorithm_13, algorithms_12, is_rsa};
use crate::error::{CertificateError, Error, PeerMisbehaved, UnsupportedKey};
use crate::protocol::{NamedGroup, SignatureScheme};
use crate::wire::signed::DigitallySigned;

/// The key of what the peer claims to be, if it may sign handshakes.
fn signer(claimed: &Identity) -> Result<PublicKey<'_>, Error> {
    let key = claimed.public_key()?;
    if !claimed.may_sign() {
        return Err(CertificateError::NotForSigning.into());
    }
    match key.rsa_bits() {
        // Without this, the error would be that the signature is forged.
        Some(bits) if !RSA_BITS.contains(&bits) => {
            Err(CertificateError::UnsupportedKey(UnsupportedKey::RsaLength { bits }).into())
        }
        _ => Ok(key),
    }
}

/// Checks that the key of what the peer claims to be is of the `kind` that a suite of version 1.2
/// demands (RFC 5246 §7.4.2), and, if it is an ECDSA key, on a curve of those that were offered as
/// `groups` (RFC 8422 §5.3). A key of an unknown kind is left to the signature check.
///
/// # Errors
///
/// `BadEncoding`, `WrongKeyType`, `WrongCurve`.
pub(crate) fn check_key_12(
    claimed: &Identity,
    kind: Option<KeyKind>,
    groups: &[NamedGroup],
) -> Result<(), Error> {
    let Ok((found, curve)) = claimed.public_key()?.kind() else {
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

/// Checks a signature of version 1.3 over `message` by the key of what the peer claims to be, with
/// a scheme of those that were `offered`.
///
/// # Errors
///
/// As [`verify_12`]; the scheme also has to fit the curve of the key.
pub(crate) fn verify_13(
    claimed: &Identity,
    offered: &[SignatureScheme],
    message: &[u8],
    signed: &DigitallySigned,
) -> Result<SignatureVerified, Error> {
    // RFC 8446 §4.4.3: one that was not offered, PKCS#1 above all, is illegal.
    let algorithm = algorithm_13(signed.scheme)
        .filter(|_| offered.contains(&signed.scheme))
        .ok_or(PeerMisbehaved::SignedWithUnofferedScheme(signed.scheme))?;
    let key = signer(claimed)?;
    SignatureVerified::by(signed.scheme, || {
        if key.verifies(algorithm, message, &signed.signature) {
            Ok(())
        } else {
            Err(PeerMisbehaved::BadSignature.into())
        }
    })
}

/// Checks a signature of version 1.2 over `message` by the key of what the peer claims to be.
///
/// # Errors
///
/// `SignedWithUnofferedScheme` if the scheme is not one of those that were `offered` or does not
/// fit `kind`, the kind of key that the cipher suite demands; `BadSignature` if it does not verify;
/// `BadEncoding` for a broken certificate, `NotForSigning` for one whose key must not sign.
pub(crate) fn verify_12(
    claimed: &Identity,
    kind: Option<KeyKind>,
    offered: &[SignatureScheme],
    message: &[u8],
    signed: &DigitallySigned,
) -> Result<SignatureVerified, Error> {
    let algorithms = algorithms_12(signed.scheme);
    let fits = kind.is_none_or(|kind| (kind == KeyKind::Rsa) == is_rsa(signed.scheme));
    if algorithms.is_empty() || !fits || !offered.contains(&signed.scheme) {
        return Err(PeerMisbehaved::SignedWithUnofferedScheme(signed.scheme).into());
    }
    let key = signer(claimed)?;
    SignatureVerified::by(signed.scheme, || {
        let mut meant = algorithms.iter();
        if meant.any(|&algorithm| key.verifies(algorithm, message, &signed.signature)) {
            Ok(())
        } else {
            Err(PeerMisbehaved::BadSignature.into())
        }
    })
}
