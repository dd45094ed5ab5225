//! Tunnels that live long and carry much, between ends whose addresses change.
//!
//! | what | set to | why |
//! |---|---|---|
//! | keys | new after an hour or a gibibyte | a stolen key opens little; RFC 9325 §4.4 |
//! | clients' renegotiation | once in ten seconds | at 1.2 a client gets new keys by no other way |
//! | data during a renegotiation | waits from the hello on | both ends are of one make |
//! | identity change | refused | RFC 5746 §5 |
//! | extended_master_secret | required | RFC 7627 §1 |
//! | connection IDs | 8 bytes each way | RFC 9146: a NAT forgets, a laptop moves |
//! | migration | enhanced | RFC 9853 §5.2: whoever copies datagrams from elsewhere gains nothing |
//! | queues | 1,024 datagrams and 4 MiB each way | a tunnel bursts |
//!
//! Where both ends can speak 1.3 they do, and new keys cost two small records (RFC 8446 §4.6.3).
//! Both ends should authenticate: what they show and accept is theirs to say.

use crate::config::client::ClientConfigBuilder;
use crate::config::server::ServerConfigBuilder;
use crate::config::{
    ClientRenegotiation, DataDuringRenegotiation, DatagramPolicy, ExtendedMasterSecret,
    IdentityChange, Migration, RekeyPolicy,
};
use std::time::Duration;

/// How many bytes of data a key protects.
const KEY_BYTES: u64 = 1 << 30;

/// How long a key is used.
const KEY_TIME: Duration = Duration::from_secs(3600);

/// How many bytes name a tunnel in each direction.
const CONNECTION_ID: usize = 8;

/// Connection IDs, and queues for bursts.
pub fn datagram() -> DatagramPolicy {
    DatagramPolicy {
        connection_ids: Some(CONNECTION_ID),
        migration: Migration::Enhanced,
        receive_datagrams: 1024,
        receive_bytes: 1 << 22,
        send_bytes: 1 << 22,
        ..DatagramPolicy::default()
    }
}

/// New keys by time and by amount, which either end may begin.
pub fn rekey() -> RekeyPolicy {
    RekeyPolicy {
        bytes: Some(KEY_BYTES),
        interval: Some(KEY_TIME),
        data: DataDuringRenegotiation::HoldFromHello,
        client_renegotiation: ClientRenegotiation::allow(),
        identity_change: IdentityChange::Refuse,
        ..RekeyPolicy::default()
    }
}

/// The end that opens the tunnel.
#[must_use]
pub fn client(builder: ClientConfigBuilder) -> ClientConfigBuilder {
    builder
        .extended_master_secret(ExtendedMasterSecret::Require)
        .datagram(datagram())
        .rekey(rekey())
}

/// The end that waits for it.
#[must_use]
pub fn server(builder: ServerConfigBuilder) -> ServerConfigBuilder {
    builder
        .extended_master_secret(ExtendedMasterSecret::Require)
        .datagram(datagram())
        .rekey(rekey())
}
