//! The signature algorithms that a peer may use, for certificates and for handshake signatures.

use super::algorithm::SignatureAlgorithm;
pub(crate) use super::provider::verify::CERTIFICATES as CERTIFICATE_ALGORITHMS;
use super::provider::verify::{SCHEMES_12, SCHEMES_13};
use crate::protocol::SignatureScheme;

/// The algorithm that `scheme` means at 1.3, if it may sign a handshake.
pub(crate) fn algorithm_13(scheme: SignatureScheme) -> Option<SignatureAlgorithm> {
    SCHEMES_13
        .iter()
        .find(|(known, _)| *known == scheme)
        .map(|&(_, algorithm)| algorithm)
}

/// The algorithms that `scheme` can mean at 1.2; empty if it is not supported.
pub(crate) fn algorithms_12(scheme: SignatureScheme) -> &'static [SignatureAlgorithm] {
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
