//! Media between browsers and the like: RFC 8827 §6.5 and RFC 5764.
//!
//! | what | set to | why |
//! |---|---|---|
//! | versions | 1.2 and 1.3 | RFC 8827 §6.5: 1.2 at least |
//! | SRTP | AES-128-GCM, then AES-128 in counter mode, tags of 80 bits | RFC 7714; RFC 8827 §6.5 |
//! | identity | the server wants a certificate with this fingerprint | RFC 8827 §6.5, RFC 8122 §5 |
//! | renegotiation | refused by either end | RFC 8827 §6.5 |
//! | identity change | refused | RFC 5764 §4.1: the media belongs to who was verified |
//! | sessions | none kept, no tickets | each session has an association of its own (RFC 8842 §4) |
//! | migration | never | ICE knows the addresses (RFC 8445) |
//!
//! The client is whoever is `active` in the session description. Both ends learn the other's
//! fingerprint there, and make a certificate for themselves: the client with
//! [`ClientConfig::with_verifier`](crate::ClientConfig::with_verifier), the server by `server`
//! here. [`Connection::srtp_profile`](crate::Connection::srtp_profile) says what was agreed.
//!
//! ICE knows the round trip, which is most often shorter than the first timeout of 1 s: tell it
//! with [`DtlsConnection::set_initial_timeout`](crate::DtlsConnection::set_initial_timeout).

use crate::config::client::ClientConfigBuilder;
use crate::config::server::{ClientAuthentication, ServerConfigBuilder};
use crate::config::{
    ClientRenegotiation, DatagramPolicy, IdentityChange, Migration, RekeyPolicy, Versions,
};
use crate::identity::PinnedFingerprint;
use crate::protocol::SrtpProfile;
use std::sync::Arc;

/// The profiles of SRTP, the preferred one first.
pub const SRTP: [SrtpProfile; 2] = [
    SrtpProfile::SRTP_AEAD_AES_128_GCM,
    SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_80,
];

/// Peers are where ICE says.
pub fn datagram() -> DatagramPolicy {
    DatagramPolicy::default().migration(Migration::Never)
}

/// Nothing is renegotiated, and nobody becomes somebody else.
pub fn rekey() -> RekeyPolicy {
    RekeyPolicy::default()
        .client_renegotiation(ClientRenegotiation::Refuse)
        .follow_hello_requests(false)
        .identity_change(IdentityChange::Refuse)
}

/// The `active` end. Its verifier is the fingerprint of the other one, and it needs a credential.
#[must_use]
pub fn client(mut builder: ClientConfigBuilder) -> ClientConfigBuilder {
    builder.parameters.srtp = SRTP.to_vec();
    builder
        .versions(Versions::ALL)
        .datagram(datagram())
        .rekey(rekey())
        .session_store(None)
}

/// The `passive` end, whose peer has this fingerprint.
#[must_use]
pub fn server(mut builder: ServerConfigBuilder, peer: PinnedFingerprint) -> ServerConfigBuilder {
    builder.parameters.srtp = SRTP.to_vec();
    builder
        .versions(Versions::ALL)
        .datagram(datagram())
        .rekey(rekey())
        .client_authentication(ClientAuthentication::Required(Arc::new(peer)))
        .tickets(None)
        .session_store(None)
}
