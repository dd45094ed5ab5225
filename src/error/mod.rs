//! Errors, sorted by who is to blame.
//!
//! Every [`Error`] that an input of a connection returns is fatal to that one association. Noise on
//! the network is never an error: it is counted (see [`Stats`](crate::record::Stats)). Refused
//! commands have small types of their own ([`SendError`], [`ConnectError`]) because they are not
//! fatal.

mod certificate;
mod command;
mod configuration;
pub(crate) mod fatal;
mod file;
mod peer;

pub use certificate::{CertificateError, FingerprintParseError};
pub use command::{
    ApiMisuse, ConnectError, ConnectionIdError, KeyUpdateError, RenegotiateError, SendError,
};
pub use configuration::{ConfigError, UnsupportedKey};
pub use fatal::Suspicion;
pub(crate) use fatal::{Error, Failure};
pub use file::{FileProblem, UnreadableCertificate};
pub use peer::{InvalidMessage, PeerIncompatible, PeerMisbehaved};
