//! What is wrong with files of certificates and keys.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file of certificates or keys cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FileProblem {
    /// The system does not give it.
    Unreadable {
        /// In the system's words.
        reason: String,
    },
    /// No certificate is in it.
    NoCertificate {
        /// The label of the PEM that it holds instead; `None` if it is neither PEM nor DER.
        found: Option<String>,
    },
    /// No private key is in it.
    NoPrivateKey {
        /// The label of the PEM that it holds instead; `None` if it is neither PEM nor DER.
        found: Option<String>,
    },
    /// Its private key is encrypted.
    EncryptedKey,
    /// Its DER is no private key, or an encrypted one.
    NotAKey,
    /// Its private key does not parse.
    DamagedKey {
        /// The label of its PEM.
        label: String,
        /// Where it stops to parse.
        reason: String,
    },
}

impl FileProblem {
    /// The whole sentence, for the file that has the problem.
    pub(super) fn explain(&self, f: &mut fmt::Formatter<'_>, file: &Path) -> fmt::Result {
        let file = file.display();
        match self {
            Self::Unreadable { reason } => write!(f, "{file} cannot be read: {reason}"),
            Self::NoCertificate { found } => write!(
                f,
                "no certificates in {file}: it holds {}; give a file with -----BEGIN CERTIFICATE-----",
                Found(found)
            ),
            Self::NoPrivateKey { found } => {
                write!(f, "no private key in {file}: it holds {}", Found(found))
            }
            Self::EncryptedKey => write!(
                f,
                "the private key in {file} is encrypted; decrypt it first: \
                 openssl pkey -in {file} -out plain.key"
            ),
            Self::NotAKey => write!(
                f,
                "no private key in {file}: its DER is not a private key, or is encrypted: \
                 `openssl pkey -inform DER` reads and decrypts it"
            ),
            Self::DamagedKey { label, reason } => write!(
                f,
                "no private key in {file}: its {label:?} cannot be read: {reason}"
            ),
        }
    }
}

/// What a file holds.
struct Found<'a>(&'a Option<String>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(label) => write!(f, "{label:?}"),
            None => f.write_str("neither PEM nor DER"),
        }
    }
}

/// A certificate in a file that cannot be read; the others in the file can.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UnreadableCertificate {
    /// The file.
    pub file: PathBuf,
    /// Which of the certificates in it, from 1.
    pub position: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for UnreadableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            position,
            reason,
        } = self;
        let file = file.display();
        write!(
            f,
            "certificate {position} of {file} cannot be used: {reason}"
        )
    }
}

impl std::error::Error for UnreadableCertificate {}
