//! RADIUS over TLS (RFC 6614) and over DTLS (RFC 7360), which replace its shared secrets.
//!
//! | what | set to | why |
//! |---|---|---|
//! | identity | both ends show a certificate | RFC 6614 §2.3, RFC 7360 |
//! | extended_master_secret | required | RFC 9325 §3.5: a proxy is in the middle by trade |
//! | identity change | refused | the peer's name decides what it may ask for (RFC 6614 §2.5) |
//! | clients' renegotiation | refused | RFC 9325 §3.5 |
//! | datagrams | up to 4,196 bytes | a packet of 4,096 bytes (RFC 2865 §3) is one record |
//! | idle streams | stay | a watchdog finds dead ones (RFC 3539 §3.4) |
//!
//! Where the way does not carry such datagrams whole, IP cuts them; flights of a handshake become
//! shorter after two tries (RFC 6347 §4.1.1.1). A path that loses fragments needs TLS.
//!
//! RFC 9765 adds protocols (ALPN) `radius/1.0` and `radius/1.1`: whoever speaks them says so.

use crate::config::client::ClientConfigBuilder;
use crate::config::server::{ClientAuthentication, ServerConfigBuilder};
use crate::config::{
    ClientRenegotiation, DatagramPolicy, ExtendedMasterSecret, IdentityChange, RekeyPolicy,
    StreamPolicy,
};
use crate::identity::VerifyClient;
use std::sync::Arc;

/// The longest RADIUS packet (RFC 2865 §3), with room for a record's header, nonce and tag and a
/// connection ID.
const MTU: usize = 4096 + 100;

/// The longest packet is one datagram.
pub fn datagram() -> DatagramPolicy {
    DatagramPolicy {
        mtu: MTU,
        ..DatagramPolicy::default()
    }
}

/// Connections stay.
pub fn stream() -> StreamPolicy {
    StreamPolicy::default().idle_timeout(None)
}

/// Nobody becomes somebody else.
pub fn rekey() -> RekeyPolicy {
    RekeyPolicy::default()
        .client_renegotiation(ClientRenegotiation::Refuse)
        .identity_change(IdentityChange::Refuse)
}

/// A RADIUS client. It needs a credential, without which no server takes it.
#[must_use]
pub fn client(builder: ClientConfigBuilder) -> ClientConfigBuilder {
    builder
        .extended_master_secret(ExtendedMasterSecret::Require)
        .datagram(datagram())
        .stream(stream())
        .rekey(rekey())
}

/// A RADIUS server, whose clients this verifier accepts.
#[must_use]
pub fn server(builder: ServerConfigBuilder, clients: Arc<dyn VerifyClient>) -> ServerConfigBuilder {
    builder
        .extended_master_secret(ExtendedMasterSecret::Require)
        .datagram(datagram())
        .stream(stream())
        .rekey(rekey())
        .client_authentication(ClientAuthentication::Required(clients))
}
