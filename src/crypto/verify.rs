//! The signature algorithms that a peer may use, for certificates and for handshake signatures.

use crate::protocol::SignatureScheme;
use pki_types::SignatureVerificationAlgorithm;

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Everything that may sign a certificate. No SHA-1, no MD5 (RFC 9325 §4.5).
pub(crate) static CERTIFICATE_ALGORITHMS: &[Algorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];

/// What each scheme means at 1.2, where an ECDSA scheme names the hash but not the curve (RFC 5246 §7.4.1.4.1).
static SCHEMES_12: &[(SignatureScheme, &[Algorithm])] = &[
    (
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        &[
            webpki::ring::ECDSA_P256_SHA256,
            webpki::ring::ECDSA_P384_SHA256,
        ],
    ),
    (
        SignatureScheme::ECDSA_SECP384R1_SHA384,
        &[
            webpki::ring::ECDSA_P384_SHA384,
            webpki::ring::ECDSA_P256_SHA384,
        ],
    ),
    (SignatureScheme::ED25519, &[webpki::ring::ED25519]),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA256,
        &[webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA384,
        &[webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        &[webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA256,
        &[webpki::ring::RSA_PKCS1_2048_8192_SHA256],
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA384,
        &[webpki::ring::RSA_PKCS1_2048_8192_SHA384],
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA512,
        &[webpki::ring::RSA_PKCS1_2048_8192_SHA512],
    ),
];

/// What each scheme means at 1.3: an ECDSA scheme names its curve, and PKCS#1 signs no handshake (RFC 8446 §4.2.3).
static SCHEMES_13: &[(SignatureScheme, Algorithm)] = &[
    (
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        webpki::ring::ECDSA_P256_SHA256,
    ),
    (
        SignatureScheme::ECDSA_SECP384R1_SHA384,
        webpki::ring::ECDSA_P384_SHA384,
    ),
    (SignatureScheme::ED25519, webpki::ring::ED25519),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA256,
        webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA384,
        webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    ),
];

/// The algorithm that `scheme` means at 1.3, if it may sign a handshake.
pub(crate) fn algorithm_13(scheme: SignatureScheme) -> Option<Algorithm> {
    SCHEMES_13
        .iter()
        .find(|(known, _)| *known == scheme)
        .map(|&(_, algorithm)| algorithm)
}

/// The algorithms that `scheme` can mean at 1.2; empty if it is not supported.
pub(crate) fn algorithms_12(scheme: SignatureScheme) -> &'static [Algorithm] {
    SCHEMES_12
        .iter()
        .find(|(known, _)| *known == scheme)
        .map_or(&[], |(_, algorithms)| algorithms)
}

/// The schemes that are offered to peers, the preferred ones first.
pub(crate) fn supported_schemes() -> impl Iterator<Item = SignatureScheme> {
    SCHEMES_12.iter().map(|(scheme, _)| *scheme)
}

/// Whether a signature of this scheme comes from an RSA key.
pub(crate) fn is_rsa(scheme: SignatureScheme) -> bool {
    !matches!(
        scheme,
        SignatureScheme::ECDSA_SECP256R1_SHA256
            | SignatureScheme::ECDSA_SECP384R1_SHA384
            | SignatureScheme::ED25519
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H6: neither MD5 nor SHA-1 is offered or accepted.
    #[test]
    fn weak_hashes_are_not_offered() {
        assert!(supported_schemes().all(|scheme| scheme.0 >> 8 >= 4));
        assert!(algorithms_12(SignatureScheme(0x0201)).is_empty());
    }
}
