//! Ends that share a key.

use crate::common::configs::{Configs, exact};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{Algorithms, StreamPolicy, Versions};
use sealgram::identity::{SharedKey, SharedKeys};
use sealgram::server::ServerConfigBuilder;
use sealgram::sim::scripted::ScriptedSharedKey;
use sealgram::{CipherSuite, ClientConfig, ServerConfig};
use std::sync::Arc;

pub const IDENTITY: &[u8] = b"device 7";
pub const SECRET: [u8; 16] = [0x5a; 16];

/// The suites of version 1.2 with a shared key and an exchange, and those without.
pub const ECDHE_PSK: [CipherSuite; 3] = [
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256,
];
pub const PSK: [CipherSuite; 3] = [
    CipherSuite::TLS_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_PSK_WITH_CHACHA20_POLY1305_SHA256,
];

/// The same with AES-CCM: those that are used by default, and those that must be named.
#[cfg(feature = "ccm")]
pub const CCM: [CipherSuite; 1] = [CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256];
#[cfg(feature = "ccm")]
pub const NAMED_CCM: [CipherSuite; 3] = [
    CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256,
    CipherSuite::TLS_PSK_WITH_AES_128_CCM,
    CipherSuite::TLS_PSK_WITH_AES_128_CCM_8,
];
#[cfg(not(feature = "ccm"))]
pub const CCM: [CipherSuite; 0] = [];

pub fn key() -> SharedKey {
    named(IDENTITY)
}

pub fn named(identity: &[u8]) -> SharedKey {
    SharedKey::new(identity, &SECRET).unwrap()
}

/// What both ends allow: these suites alone.
pub fn only(suites: &[CipherSuite]) -> Algorithms {
    Algorithms::default().cipher_suites(suites).unwrap()
}

/// A client of 1.2 that has this key and takes no certificate; every handshake is a full one.
pub fn client(key: SharedKey) -> ClientConfigBuilder {
    ClientConfig::with_shared_key(key)
        .versions(Versions::V1_2)
        .session_store(None)
        .datagram(exact())
}

/// A server of 1.2 that has these keys and no certificate.
pub fn server(keys: impl IntoIterator<Item = SharedKey>) -> ServerConfigBuilder {
    ServerConfig::without_credential()
        .shared_keys(Arc::new(SharedKeys::new(keys)))
        .versions(Versions::V1_2)
        .datagram(exact())
}

/// The same ends taking messages that hold the longest names.
pub fn large(
    client: ClientConfigBuilder,
    server: ServerConfigBuilder,
) -> (ClientConfigBuilder, ServerConfigBuilder) {
    let datagram = exact().max_message(LARGE).unwrap();
    let stream = StreamPolicy::default().max_message(LARGE).unwrap();
    let client = client.datagram(datagram.clone()).stream(stream.clone());
    (client, server.datagram(datagram).stream(stream))
}

/// What a name of 65,535 bytes and a share fit into, in bytes.
const LARGE: usize = 1 << 17;

pub fn configs(client: ClientConfigBuilder, server: ServerConfigBuilder) -> Configs {
    Configs {
        client: Arc::new(client.build().unwrap()),
        server: Arc::new(server.build().unwrap()),
    }
}

/// What a scripted peer says of the same key.
pub fn scripted() -> ScriptedSharedKey {
    ScriptedSharedKey {
        hint: Vec::new(),
        identity: IDENTITY.to_vec(),
        bytes: SECRET.to_vec(),
    }
}
