//! DTLS and TLS with one handshake engine: a sans-IO core and a mio endpoint for many peers on one socket.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod config;
pub mod endpoint;
#[cfg(feature = "net")]
pub mod net;

mod connection;
mod crypto;
mod error;
mod handshake;
mod identity;
mod protocol;
mod record;
mod secrets;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim;
mod wire;

pub use crate::config::{ClientConfig, ServerConfig};
pub use crate::connection::{Connection, DtlsConnection, Event, HandshakeKind, Transmit};
pub use crate::crypto::random::{SecureRandom, SystemRandom};
pub use crate::endpoint::{AssociationId, Endpoint, EndpointEvent};
pub use crate::error::{
    ApiMisuse, CertificateError, ConfigError, ConnectError, Error, Failure, InvalidMessage,
    PeerIncompatible, PeerMisbehaved, SendError,
};
pub use crate::identity::{
    CertifiedKey, Credential, Fingerprint, PeerIdentity, PinnedFingerprint, Roots, VerifyClient,
    VerifyServer, WebPkiClientVerifier, WebPkiServerVerifier,
};
pub use crate::protocol::{
    Alert, AlertDescription, AlertLevel, CipherSuite, Ecn, Epoch, NamedGroup, Path,
    ProtocolVersion, Side, SignatureScheme,
};
pub use crate::record::{Datagram, Discard, Received, Records, Stats};
pub use crate::secrets::key_log::{KeyLog, KeyLogFile};

/// The types of certificates, names and times that the API takes.
pub use pki_types;

/// The present, for unit tests; only `net/` reads the clock otherwise.
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary point to count from"
)]
fn test_now() -> std::time::Instant {
    std::time::Instant::now()
}
