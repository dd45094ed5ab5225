//! What is wrong with a certificate, and what its owner or the reader can do about it.

use super::UnsupportedKey;
use crate::protocol::AlertDescription;
use std::fmt;

/// Why a certificate was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// The peer sent no certificate.
    Missing,
    /// The server's Certificate of version 1.3 is empty (RFC 8446 §4.4.2.4).
    Empty,
    /// The certificate does not parse.
    BadEncoding,
    /// Something follows the raw public key (RFC 7250 §3).
    StrayBytes,
    /// The certificate is X.509 version 1 or 2, and its extensions matter here (RFC 5280 §4.1.2.1).
    UnsupportedVersion,
    /// It has a critical extension that this library does not know (RFC 5280 §4.2).
    UnknownCriticalExtension,
    /// The certificate is expired, or the local clock is ahead.
    Expired,
    /// The certificate is not valid yet, or the local clock is behind.
    NotValidYet,
    /// The chain does not lead to a trusted root.
    UnknownIssuer,
    /// The certificate was not issued for the name that was asked for.
    NotValidForName {
        /// The name that was asked for.
        expected: String,
    },
    /// The certificate was revoked.
    Revoked,
    /// Its extendedKeyUsage does not allow this role (RFC 5280 §4.2.1.12).
    WrongUsage,
    /// Its keyUsage does not allow signatures (RFC 5280 §4.2.1.3, RFC 8446 §4.4.2.2).
    NotForSigning,
    /// It is the certificate of an authority (RFC 5280 §4.2.1.9), shown as an end-entity
    /// certificate.
    CaUsedAsEndEntity,
    /// An issuer in the chain is not an authority.
    IssuerIsNoCa,
    /// The chain is longer than an issuer in it allows, or than this library follows.
    PathTooLong,
    /// It has a name that an issuer in the chain may not certify (RFC 5280 §4.2.1.10).
    NameConstraint,
    /// A signature in the chain does not verify.
    BadSignature,
    /// A signature in the chain uses an algorithm that is not accepted.
    UnsupportedSignature(String),
    /// A key in the chain cannot be used.
    UnsupportedKey(UnsupportedKey),
    /// The certificate's fingerprint is not the pinned one.
    FingerprintMismatch,
    /// The key type does not fit the cipher suite.
    WrongKeyType,
    /// At version 1.2 the curve of the key is not among the groups that were offered
    /// (RFC 8422 §5.3).
    WrongCurve,
    /// In a renegotiation the peer showed another certificate than before, or none.
    IdentityChanged,
    /// The verifier gave another reason.
    Other(String),
    /// The verifier refused the certificate, and the peer is told so with this alert.
    Refused(AlertDescription),
}

impl CertificateError {
    pub(super) fn alert(&self) -> AlertDescription {
        use AlertDescription as A;
        match self {
            Self::Missing => A::HANDSHAKE_FAILURE,
            Self::Empty | Self::BadEncoding => A::DECODE_ERROR,
            Self::Expired | Self::NotValidYet => A::CERTIFICATE_EXPIRED,
            Self::UnknownIssuer => A::UNKNOWN_CA,
            Self::Revoked => A::CERTIFICATE_REVOKED,
            Self::WrongUsage
            | Self::NotForSigning
            | Self::WrongKeyType
            | Self::WrongCurve
            | Self::UnsupportedVersion
            | Self::UnknownCriticalExtension
            | Self::UnsupportedSignature(_)
            | Self::UnsupportedKey(_) => A::UNSUPPORTED_CERTIFICATE,
            Self::NotValidForName { .. }
            | Self::FingerprintMismatch
            | Self::StrayBytes
            | Self::IdentityChanged
            | Self::CaUsedAsEndEntity
            | Self::IssuerIsNoCa
            | Self::PathTooLong
            | Self::NameConstraint => A::BAD_CERTIFICATE,
            Self::BadSignature => A::DECRYPT_ERROR,
            Self::Other(_) => A::CERTIFICATE_UNKNOWN,
            Self::Refused(alert) => *alert,
        }
    }
}

/// The rest of the sentence "the peer's certificate was refused: ".
impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing | Self::Empty => "none was sent; its owner must configure one",
            Self::BadEncoding => "it does not parse; its owner must reissue it",
            Self::StrayBytes => "it is a raw public key that is followed by stray bytes",
            Self::UnsupportedVersion => {
                "it is X.509 version 1; reissue it as version 3, or pin its fingerprint"
            }
            Self::UnknownCriticalExtension => {
                "it has a critical extension that is not supported; issue it without, or pin its fingerprint"
            }
            Self::IdentityChanged => {
                "it is not the one that the association began with, and this end does not allow the peer to change it"
            }
            Self::Expired => "it has expired; renew it, or set the local clock",
            Self::NotValidYet => "it is not valid yet; set the local clock",
            Self::UnknownIssuer => {
                "its issuer is not trusted; add the right root, or pin the fingerprint"
            }
            Self::NotValidForName { expected } => {
                return write!(
                    f,
                    "it is not valid for {expected}; ask for a name that it has, or issue it for this one"
                );
            }
            Self::Revoked => "it was revoked; its owner must get another one",
            Self::WrongUsage => {
                "its extended key usage does not allow this role; issue it with serverAuth for a server, clientAuth for a client"
            }
            Self::NotForSigning => {
                "its key usage does not allow signatures; issue it with digitalSignature"
            }
            Self::CaUsedAsEndEntity => {
                "it is the certificate of an authority, as `openssl req -x509` makes it; add `-addext basicConstraints=critical,CA:FALSE`, \
                 let the authority issue another one, or pin its fingerprint"
            }
            Self::IssuerIsNoCa => {
                "a certificate in its chain was issued by one that is not an authority; issue that one with CA:TRUE"
            }
            Self::PathTooLong => "its chain is longer than an issuer in it allows; send fewer intermediates",
            Self::NameConstraint => {
                "it has a name that an issuer in its chain may not certify; use another authority"
            }
            Self::BadSignature => {
                "a signature in its chain does not verify: the issuer that is known by that name has another key; trust the \
                 issuer's present certificate, or let the owner send it"
            }
            Self::UnsupportedSignature(algorithm) => {
                return write!(
                    f,
                    "its chain is signed with {algorithm}, which is not accepted; issue it with SHA-256 or SHA-384 (and not with P-521)"
                );
            }
            Self::UnsupportedKey(why) => return write!(f, "its chain has {why}"),
            Self::FingerprintMismatch => {
                "its fingerprint is not the pinned one; compare it with the peer's own, and pin that if the peer has changed it"
            }
            Self::WrongKeyType => {
                "its key type does not fit the cipher suite; the peer must choose a suite for its key"
            }
            Self::WrongCurve => {
                "the curve of its key is not among this end's groups; allow it there"
            }
            Self::Other(text) => text,
            Self::Refused(alert) => return write!(f, "the verifier says {alert}"),
        })
    }
}

impl std::error::Error for CertificateError {}

/// A text that is not a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FingerprintParseError;

impl fmt::Display for FingerprintParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a fingerprint is the SHA-256 digest of a certificate in 64 hexadecimal digits, with or without colons between \
             its bytes: openssl x509 -in cert.pem -noout -fingerprint -sha256",
        )
    }
}

impl std::error::Error for FingerprintParseError {}
