//! What is wrong with a local configuration.

use super::{FileProblem, UnreadableCertificate};
use crate::protocol::{CipherSuite, NamedGroup, SignatureScheme};
use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be built. Found when it is built, so that no handshake stalls on it
/// later.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The private key is not of a supported type.
    UnsupportedKey(UnsupportedKey),
    /// The certificate chain is empty.
    EmptyChain,
    /// The private key does not belong to the certificate, or what signs in its place has no scheme
    /// of the certificate's kind of key.
    KeyMismatch,
    /// The key can sign with none of the schemes that it was told to.
    KeyWithoutScheme,
    /// The certificate, or the public key of a signer, does not parse.
    BadCertificate,
    /// A server has nothing to prove its identity with, and nobody to ask for it.
    NoCredential,
    /// No enabled cipher suite works with the configured keys.
    NoUsableCipherSuite,
    /// No allowed group belongs to an allowed version: 1.2 has no X25519MLKEM768.
    NoUsableGroup,
    /// No signature scheme is left that signs at a version that is spoken (RFC 8446 §4.2.3).
    NoUsableSignatureScheme,
    /// A cipher suite that does not exist here.
    UnsupportedCipherSuite(CipherSuite),
    /// A group that does not exist here.
    UnsupportedGroup(NamedGroup),
    /// A signature scheme that does not exist here.
    UnsupportedSignatureScheme(SignatureScheme),
    /// A list without a member, which nothing could be agreed with.
    EmptyList {
        /// Of what.
        of: &'static str,
    },
    /// No trusted root was given.
    NoRoots,
    /// A session for a configuration that keeps none.
    NoSessionStore,
    /// A shared key of a client that a server of this process uses as well (RFC 9257 §4.1).
    SharedKeyInBothRoles,
    /// A number lies outside its range.
    OutOfRange {
        /// Which setting.
        what: &'static str,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// A file of certificates or keys that cannot be used.
    File {
        /// Which one.
        file: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// A certificate in a file that cannot be used.
    UnreadableCertificate(UnreadableCertificate),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedKey(why) => write!(f, "the private key cannot be used: it is {why}"),
            Self::EmptyChain => f.write_str("the certificate chain is empty"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::BadCertificate => f.write_str("the certificate does not parse; issue it anew"),
            Self::NoCredential => f.write_str(
                "the server has no credential; give it one, or an application that answers hellos with one",
            ),
            Self::NoUsableCipherSuite => {
                f.write_str("no enabled cipher suite fits the type of the configured keys")
            }
            Self::NoUsableGroup => {
                f.write_str("none of the allowed groups exists at version 1.2; allow a curve too")
            }
            Self::KeyWithoutScheme => {
                f.write_str("the private key can sign with none of the schemes that it shall sign with")
            }
            Self::NoUsableSignatureScheme => {
                f.write_str("none of the signature schemes signs at version 1.3")
            }
            Self::UnsupportedCipherSuite(suite) => write!(f, "{suite} is not supported"),
            Self::UnsupportedGroup(group) => write!(f, "{group} is not supported"),
            Self::UnsupportedSignatureScheme(scheme) => write!(f, "{scheme} is not supported"),
            Self::EmptyList { of } => write!(f, "the list of {of} is empty; give at least one"),
            Self::NoRoots => f.write_str("no trusted root was given"),
            Self::NoSessionStore => {
                f.write_str("the configuration keeps no sessions; give it a store for them")
            }
            Self::SharedKeyInBothRoles => f.write_str(
                "one shared key is a client's and a server's; give each role a key of its own",
            ),
            // An upper limit that no configuration comes near is of no interest to the reader.
            Self::OutOfRange {
                what,
                min,
                max: u64::MAX,
            } => write!(f, "{what} must be at least {min}"),
            Self::OutOfRange { what, min, max } => {
                write!(f, "{what} must lie between {min} and {max}")
            }
            Self::File { file, problem } => problem.explain(f, file),
            Self::UnreadableCertificate(certificate) => certificate.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why a key cannot be used here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UnsupportedKey {
    /// An RSA key that is too short, too long, or of an odd length.
    RsaLength {
        /// How long its modulus is.
        bits: usize,
    },
    /// An RSA key with a public exponent below 65537.
    RsaExponent,
    /// A key for another algorithm or on another curve.
    Algorithm(String),
    /// An EC key without its public half (RFC 5915 §3), and no certificate to take it from.
    WithoutPublicHalf,
    /// Bytes that do not parse as a key.
    Encoding,
}

/// The key with its article, to follow "it is" or "there is".
impl fmt::Display for UnsupportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaLength { bits } => {
                return write!(f, "an RSA key of {bits} bits; take one of 2048, 3072 or 4096");
            }
            Self::RsaExponent => "an RSA key with a public exponent below 65537; make another one",
            Self::Algorithm(name) => {
                return write!(
                    f,
                    "a key for {name}; take ECDSA P-256 or P-384, Ed25519, or RSA of 2048, 3072 or 4096 bits"
                );
            }
            Self::WithoutPublicHalf => {
                "an EC key without its public half; `openssl pkey -in KEY` writes it with both"
            }
            Self::Encoding => {
                "damaged, or no PKCS#8, SEC1 or PKCS#1; `openssl pkey -in KEY` says what is wrong with it"
            }
        })
    }
}
