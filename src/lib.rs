//! DTLS first, TLS beside it, one handshake engine under both: a sans-IO core, and a mio endpoint
//! for many peers on one UDP socket.
//!
//! sealgram secures UDP services: CoAP, RADIUS, syslog, VPN data channels, games. It speaks DTLS
//! 1.3 (RFC 9147) and 1.2 (RFC 6347), TLS 1.3 (RFC 8446) and 1.2 (RFC 5246) in both roles, in safe
//! Rust over `ring`, with ECDHE, AEAD suites, certificates checked by `rustls-webpki`, resumption,
//! renegotiation, key update, cookies before any state, and memory that stays bounded whatever
//! strangers send.
//!
//! The guide is in [`docs`], from a [first service](docs::first_service) to
//! [limits and floods](docs::limits); it begins with what you come from:
//! [OpenSSL](docs::from_openssl), [webrtc-rs or dimpl](docs::from_webrtc),
//! [rustls](docs::from_rustls). On tokio there is the crate [`sealgram-tokio`](docs::tokio).
//!
//! # A UDP service in one loop
//!
//! ```no_run
//! # #[cfg(feature = "net")] mod front_page {
#![doc = include_str!("../examples/front_page/serve.rs")]
//! # }
//! ```
//!
//! `mio`, `bytes` and `rustls-pki-types`, whose types appear in the API, are re-exported as
//! `net::mio`, [`bytes`] and [`pki_types`].
//!
//! Without mio, the same [`Endpoint`](endpoint::Endpoint) takes datagrams and the time, and returns
//! datagrams, events and a deadline. For a single peer, [`DtlsConnection`] does so without an
//! endpoint, and [`TlsConnection`] over a byte stream. On a mio TCP stream there is
//! [`net::TlsStream`], which reads and writes like any other stream.
//!
//! # Where to find what
//!
//! The root has what nearly every program names: the two configurations, a connection and its
//! events, errors that end it, and the numbers of the protocol. A module has the rest of its topic,
//! and nothing has two paths.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`client`], [`server`] | builders of the configurations; who decides inside a handshake |
//! | [`config`] | settings of either side: versions, algorithms, policies, clocks, randomness |
//! | [`identity`] | credentials, signers, roots and verifiers |
//! | [`session`] | sessions, where they are kept, tickets |
//! | [`endpoint`] | many associations over one socket, cookies, limits |
//! | `net` | sockets of mio |
//! | [`record`] | record layers, what they deliver, and their counters |
//! | [`error`] | why a command, a configuration, a certificate or a peer was refused |
//!
//! # The floors
//!
#![doc = include_str!("../docs/floors.svg")]
//!
//! A file imports from its own folder and from lower floors only; `tests/house/floors/` checks
//! that. To read the library, start with `protocol/dialect.rs`, `record/mod.rs` and
//! `handshake/mod.rs`.
//!
//! # Security
//!
//! * Once keys exist, nothing that does not authenticate changes anything but a counter: not a
//!   timer, not the replay window, not an address, and never the life of the association
//!   ([`record::Stats`], [`record::Discard`]).
//! * A server keeps nothing about a client that has not proved its address, except for the parts of
//!   fragmented hellos, in a small pool and for two seconds; and it sends at most three times what
//!   came from there.
//! * Every buffer that a peer can fill has a limit ([`config::DatagramPolicy`],
//!   [`endpoint::EndpointPolicy`]).
//! * Before there are keys nothing can be proved: somebody on the path can end a handshake with a
//!   well-formed forgery, or with a fatal alert unless [`config::PlaintextAlerts`] says that it is
//!   ignored. Only that attempt is lost.
//! * renegotiation_info is required: a renegotiation is bound to the handshake before it, the
//!   peer's identity cannot change, and clients may not begin one unless the server's policy allows
//!   it ([`config::RekeyPolicy`]).
//! * extended_master_secret is used if the peer supports it. Without it nothing is resumed and
//!   nothing exported ([`config::ExtendedMasterSecret`]).
//! * A session is resumed only where a full handshake would have agreed on the same.
//! * No key is used beyond the limits of RFC 9325 §4.4. `SECURITY.md` says what is promised and
//!   what is not.
//!
//! # Features
//!
//! * `net` (default): [`net::UdpEndpoint`] and [`net::TlsStream`] over mio.
//! * `ring` (default): a provider of cryptography. Whoever turns the defaults off turns this one or
//!   the next on again.
//! * `aws-lc-rs`: AWS-LC as the provider, by the crate of that name, which a C compiler builds. It
//!   is used wherever it is on, beside `ring` or without it: features add up. It brings
//!   X25519MLKEM768, needs half the time for X25519, and signs with RSA keys of up to 8192 bits.
//! * `ml-kem`: X25519MLKEM768 beside `ring`, with the ML-KEM of RustCrypto: its crate and fourteen
//!   below it that the library has not otherwise. `aws-lc-rs` does without.
//! * `ccm`: AES-128-CCM and AES-128-CCM_8, for small devices (RFC 7925). Brings the crates `ccm`
//!   and `aes` of RustCrypto, with what those stand on: `aead`, `cipher`, `crypto-common`, `ctr`,
//!   `ctutils` and others as small. They run in constant time, by the processor's own AES where it
//!   has that. CCM comes last in the order of preference; CCM_8, whose tags are short, is used only
//!   where [`config::Algorithms::cipher_suites`] names it.
//! * `sim`: the deterministic network of the tests; its API is not stable.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod config;
pub mod docs;
pub mod endpoint;
pub mod error;
pub mod identity;
#[cfg(feature = "net")]
pub mod net;
pub mod record;
pub mod session;

mod connection;
mod crypto;
mod handshake;
mod protocol;
mod secrets;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim;
mod wire;

/// What only clients have: the builder of [`ClientConfig`], and who decides in the middle of a
/// handshake what a client shows.
pub mod client {
    pub use crate::config::answers::{AnswerRequest, ReceivedRequest, RequestAnswer};
    pub use crate::config::client::{ClientConfigBuilder, DangerousClientConfig};
}

/// What only servers have: the builder of [`ServerConfig`], and who decides in the middle of a
/// handshake what a client is shown.
pub mod server {
    pub use crate::config::answers::{AnswerHello, HelloAnswer, ReceivedHello};
    pub use crate::config::server::{ClientAuthentication, Preference, ServerConfigBuilder};
}

pub use crate::config::client::ClientConfig;
pub use crate::config::server::ServerConfig;
pub use crate::connection::{
    Connection, DtlsConnection, Event, ExportedSecret, HandshakeKind, PathChange,
    RenegotiationRefusal, Taken, TlsConnection, TrafficSecrets, Transmit,
};
pub use crate::error::fatal::{Error, Failure};
pub use crate::identity::reply::Reply;
pub use crate::protocol::{
    Alert, AlertDescription, AlertLevel, CipherSuite, ConnectionId, Ecn, Epoch, MaxFragmentLength,
    NamedGroup, Path, ProtocolVersion, RecordLimits, RecordNumber, Side, SignatureScheme,
    SrtpProfile,
};
pub use crate::wire::key_update::KeyUpdate;

/// The buffers of datagrams and of data.
pub use bytes;
/// The types of certificates, names and times in the API.
pub use pki_types;

/// The present, for unit tests. Everywhere else only `net/` reads this clock, and only
/// `config::SystemClock` the date.
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary point to count from"
)]
fn test_now() -> std::time::Instant {
    std::time::Instant::now()
}
