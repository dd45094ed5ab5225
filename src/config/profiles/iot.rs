//! Constrained devices and the servers they talk to: RFC 7925 for version 1.2, and
//! draft-ietf-uta-tls13-iot-profile for 1.3.
//!
//! | what | set to | why |
//! |---|---|---|
//! | cipher suites | AES-128 with GCM, CCM, CCM_8 | RFC 7925 §4.2; 1.3 profile, "Ciphersuites" |
//! | with, at 1.2 | ECDSA or a pre-shared key | RFC 7925 §4.2 to §4.4 |
//! | groups | P-256, X25519 | RFC 7925 §4.4; 1.3 profile, "Credential Types" |
//! | renegotiation | refused by either end | RFC 7925 §17 |
//! | retransmission | first after 9 s, at most after 60 s | RFC 7925 §11 |
//! | handshake deadline | 5 minutes | room for four tries of that |
//! | connection IDs | 8 bytes, of the server alone | devices sleep longer than NATs remember |
//! | migration | validated | RFC 9853 §5.1 |
//! | records to a client | at most 1,024 bytes | 1.3 profile, "Maximum Fragment …"; RFC 7925 §15 |
//! | sessions | kept, with tickets | RFC 7925 §7 |
//!
//! Renegotiation is refused when the peer wants it. That this end begins none is up to the
//! application, which does not call `renegotiate`, and no policy begins one by itself.
//!
//! The 1.3 profile takes one second for the first timeout where nothing is known about the way; who
//! knows better says so ([`DatagramPolicy::retransmission_timeouts`]).
//!
//! Old devices have AES-CCM with short tags alone, and pre-shared keys without a key exchange. Both
//! are weaker than what others have, and so they come last here. CCM needs the feature `ccm`, and
//! is left out without it. A key with short tags lasts for 128 forged records (RFC 9147 §4.5.3),
//! and as nothing renegotiates here, the 129th ends the association at version 1.2. A suite with a
//! pre-shared key is left out without a key
//! ([`add_shared_key`](crate::client::ClientConfigBuilder::add_shared_key),
//! [`shared_keys`](crate::server::ServerConfigBuilder::shared_keys)). Whoever wants none of them
//! sets `algorithms` after the profile. A raw public key is a
//! [`Credential`](crate::identity::Credential) like others.

use crate::config::client::ClientConfigBuilder;
use crate::config::server::ServerConfigBuilder;
use crate::config::{Algorithms, ClientRenegotiation, DatagramPolicy, Migration, RekeyPolicy};
use crate::crypto::suite;
use crate::protocol::{CipherSuite, MaxFragmentLength, NamedGroup};
use std::time::Duration;

/// How many bytes of contents a client takes in a record.
const RECORD: MaxFragmentLength = MaxFragmentLength::Bytes1024;

/// How many bytes name an association at a server.
const CONNECTION_ID: usize = 8;

/// The cipher suites and groups.
pub fn algorithms() -> Algorithms {
    let suites = [
        CipherSuite::TLS_AES_128_GCM_SHA256,
        CipherSuite::TLS_AES_128_CCM_SHA256,
        CipherSuite::TLS_AES_128_CCM_8_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256,
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256,
        CipherSuite::TLS_PSK_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_PSK_WITH_AES_128_CCM,
        CipherSuite::TLS_PSK_WITH_AES_128_CCM_8,
    ];
    Algorithms {
        suites: suites.into_iter().filter_map(suite::find).collect(),
        groups: vec![NamedGroup::SECP256R1, NamedGroup::X25519],
        ..Algorithms::default()
    }
}

/// Timers, and a client's connection IDs: it puts in what the server wants, and wants none.
pub fn datagram() -> DatagramPolicy {
    DatagramPolicy {
        initial_timeout: Duration::from_secs(9),
        max_timeout: Duration::from_secs(60),
        handshake_deadline: Some(Duration::from_secs(300)),
        connection_ids: Some(0),
        migration: Migration::Validated,
        ..DatagramPolicy::default()
    }
}

/// The same for a server, which wants connection IDs.
pub fn server_datagram() -> DatagramPolicy {
    DatagramPolicy {
        connection_ids: Some(CONNECTION_ID),
        ..datagram()
    }
}

/// Nothing is renegotiated (RFC 7925 §17).
pub fn rekey() -> RekeyPolicy {
    RekeyPolicy::default()
        .client_renegotiation(ClientRenegotiation::Refuse)
        .follow_hello_requests(false)
}

/// A device.
#[must_use]
pub fn client(builder: ClientConfigBuilder) -> ClientConfigBuilder {
    builder
        .algorithms(algorithms())
        .datagram(datagram())
        .rekey(rekey())
        .tickets(true)
        .max_fragment_length(Some(RECORD))
}

/// A server of devices.
#[must_use]
pub fn server(builder: ServerConfigBuilder) -> ServerConfigBuilder {
    builder
        .algorithms(algorithms())
        .datagram(server_datagram())
        .rekey(rekey())
}
