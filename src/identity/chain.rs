//! Whether a chain leads to a trusted root, as `rustls-webpki` judges it, and what is wrong if it
//! does not.

use super::public_key::{PublicKey, RSA_BITS, issuer};
use crate::crypto::names::algorithm as name;
use crate::crypto::verify::CERTIFICATE_ALGORITHMS;
use crate::error::{CertificateError, UnsupportedKey};
use pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

/// Verifies a chain, the end's own certificate first, at the wall-clock time `now`.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn verify_chain<'a>(
    anchors: &[TrustAnchor<'_>],
    chain: &'a [CertificateDer<'a>],
    now: UnixTime,
    usage: KeyUsage,
) -> Result<EndEntityCert<'a>, CertificateError> {
    let (leaf, intermediates) = chain.split_first().ok_or(CertificateError::Missing)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(translate)?;
    let verified = leaf.verify_for_usage(
        CERTIFICATE_ALGORITHMS,
        anchors,
        intermediates,
        now,
        usage,
        None,
        None,
    );
    match verified.map(drop).map_err(translate) {
        Ok(()) => Ok(leaf),
        // A key whose length is not accepted verifies nothing, and that is the better reason.
        Err(CertificateError::BadSignature) => Err(unfit_issuer(anchors, chain).map_or(
            CertificateError::BadSignature,
            CertificateError::UnsupportedKey,
        )),
        Err(other) => Err(other),
    }
}

/// An issuer of the chain whose RSA key has a length that is not accepted.
fn unfit_issuer(
    anchors: &[TrustAnchor<'_>],
    chain: &[CertificateDer<'_>],
) -> Option<UnsupportedKey> {
    let issuers: Vec<_> = chain.iter().filter_map(issuer).collect();
    let intermediates = chain
        .iter()
        .skip(1)
        .filter_map(|it| PublicKey::of(it).ok()?.rsa_bits());
    let roots = anchors
        .iter()
        .filter(|anchor| issuers.contains(&&*anchor.subject))
        .filter_map(|anchor| PublicKey::rsa_bits_of(&anchor.subject_public_key_info));
    intermediates
        .chain(roots)
        .find(|bits| !RSA_BITS.contains(bits))
        .map(|bits| UnsupportedKey::RsaLength { bits })
}

/// The error of `rustls-webpki` as one of this library.
pub(super) fn translate(error: webpki::Error) -> CertificateError {
    use CertificateError as C;
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } | E::InvalidCertValidity => C::Expired,
        E::CertNotValidYet { .. } => C::NotValidYet,
        E::UnknownIssuer | E::CertDistrusted => C::UnknownIssuer,
        E::CertNotValidForName(_) => C::NotValidForName {
            expected: String::new(),
        },
        E::CertRevoked => C::Revoked,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => C::WrongUsage,
        E::CaUsedAsEndEntity => C::CaUsedAsEndEntity,
        E::EndEntityUsedAsCa => C::IssuerIsNoCa,
        E::PathLenConstraintViolated
        | E::MaximumPathDepthExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded
        | E::MaximumNameConstraintComparisonsExceeded => C::PathTooLong,
        E::NameConstraintViolation => C::NameConstraint,
        E::InvalidSignatureForPublicKey | E::SignatureAlgorithmMismatch => C::BadSignature,
        E::UnsupportedCertVersion => C::UnsupportedVersion,
        E::UnsupportedCriticalExtension => C::UnknownCriticalExtension,
        E::UnsupportedSignatureAlgorithmContext(context) => {
            C::UnsupportedSignature(name(&context.signature_algorithm_id))
        }
        E::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
            let signature = name(&context.signature_algorithm_id);
            let key = name(&context.public_key_algorithm_id);
            C::UnsupportedSignature(format!("{signature} by a key for {key}"))
        }
        E::BadDer
        | E::BadDerTime
        | E::TrailingData(_)
        | E::ExtensionValueInvalid
        | E::InvalidNetworkMaskConstraint
        | E::InvalidSerialNumber
        | E::MalformedDnsIdentifier
        | E::MalformedExtensions
        | E::MalformedNameConstraint
        | E::UnsupportedNameType => C::BadEncoding,
        other => C::Other(other.to_string()),
    }
}
