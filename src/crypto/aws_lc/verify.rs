//! What `rustls-webpki` verifies signatures with.

use crate::crypto::algorithm::SignatureAlgorithm as Algorithm;
use crate::protocol::SignatureScheme;
use webpki::aws_lc_rs::{
    ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256_LEGACY_KEY, RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
};

/// Everything that may sign a certificate. No SHA-1, no MD5 (RFC 9325 §4.5).
pub(crate) static CERTIFICATES: &[Algorithm] = &[
    ECDSA_P256_SHA256,
    ECDSA_P256_SHA384,
    ECDSA_P384_SHA256,
    ECDSA_P384_SHA384,
    ED25519,
    RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512,
];

/// What each scheme means at 1.2, where an ECDSA scheme names the hash but not the curve (RFC 5246
/// §7.4.1.4.1). The preferred ones first.
pub(crate) static SCHEMES_12: &[(SignatureScheme, &[Algorithm])] = &[
    (
        SignatureScheme::ECDSA_SECP256R1_SHA256,
        &[ECDSA_P256_SHA256, ECDSA_P384_SHA256],
    ),
    (
        SignatureScheme::ECDSA_SECP384R1_SHA384,
        &[ECDSA_P384_SHA384, ECDSA_P256_SHA384],
    ),
    (SignatureScheme::ED25519, &[ED25519]),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA256,
        &[RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA384,
        &[RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        &[RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA256,
        &[RSA_PKCS1_2048_8192_SHA256],
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA384,
        &[RSA_PKCS1_2048_8192_SHA384],
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA512,
        &[RSA_PKCS1_2048_8192_SHA512],
    ),
];

/// What each scheme means at 1.3: an ECDSA scheme names its curve, and PKCS#1 signs no handshake
/// (RFC 8446 §4.2.3).
pub(crate) static SCHEMES_13: &[(SignatureScheme, Algorithm)] = &[
    (SignatureScheme::ECDSA_SECP256R1_SHA256, ECDSA_P256_SHA256),
    (SignatureScheme::ECDSA_SECP384R1_SHA384, ECDSA_P384_SHA384),
    (SignatureScheme::ED25519, ED25519),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA256,
        RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA384,
        RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ),
    (
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    ),
];
