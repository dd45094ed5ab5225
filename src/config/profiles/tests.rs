//! Each line of a profile's page is a setting: that it is made, and that it is not so by default
//! where that can be told.

use super::{iot, radius, vpn, webrtc};
use crate::config::client::ClientConfigBuilder;
use crate::config::server::{ClientAuthentication, ServerConfigBuilder};
use crate::config::{
    ClientConfig, ClientRenegotiation, DataDuringRenegotiation, ExtendedMasterSecret,
    IdentityChange, Migration, Parameters, RekeyPolicy, ServerConfig, Versions,
};
use crate::crypto::suite::{Authentication, Suite};
use crate::identity::{CertifiedKey, Credential, PinnedFingerprint, SharedKey, SharedKeys};
use crate::protocol::{NamedGroup, Side, SrtpProfile};
use std::sync::Arc;
use std::time::Duration;

fn pinned() -> PinnedFingerprint {
    PinnedFingerprint::new(["ab".repeat(32).parse().unwrap()])
}

fn client() -> ClientConfigBuilder {
    ClientConfig::with_verifier(Arc::new(pinned()))
}

fn server() -> ServerConfigBuilder {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["server.test".to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap().der().clone();
    let der = pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let certified = CertifiedKey::new(vec![leaf], &der).unwrap();
    ServerConfig::with_credential(Credential::Certificate(certified))
}

/// What both ends have in common.
fn both(client: ClientConfigBuilder, server: ServerConfigBuilder) -> [Parameters; 2] {
    [
        client.build().unwrap().parameters,
        server.build().unwrap().parameters,
    ]
}

fn refuses_renegotiation(policy: &RekeyPolicy) -> bool {
    policy.client_renegotiation == ClientRenegotiation::Refuse
        && !policy.follow_hello_requests
        && policy.bytes.is_none()
        && policy.interval.is_none()
}

#[test]
fn the_page_of_constrained_devices_is_true() {
    for parameters in both(iot::client(client()), iot::server(server())) {
        let algorithms = &parameters.algorithms;
        let names: Vec<_> = algorithms
            .suites
            .iter()
            .map(|it| it.id.to_string())
            .collect();
        assert_eq!(names.len(), if cfg!(feature = "ccm") { 6 } else { 2 });
        assert!(names.iter().all(|name| name.contains("AES_128_")));
        assert!(names.iter().all(|name| !name.contains("PSK")));
        assert_eq!(
            algorithms.groups,
            [NamedGroup::SECP256R1, NamedGroup::X25519]
        );
        assert!(refuses_renegotiation(&parameters.rekey));
        let datagram = &parameters.datagram;
        assert_eq!(datagram.initial_timeout, Duration::from_secs(9));
        assert_eq!(datagram.max_timeout, Duration::from_secs(60));
        assert_eq!(datagram.handshake_deadline, Some(Duration::from_secs(300)));
        assert_eq!(datagram.migration, Migration::Validated);
    }
    let key = || SharedKey::new(b"device", &[7; 16]).unwrap();
    let client_with_key = iot::client(client()).add_shared_key(key());
    let keys = Arc::new(SharedKeys::new([key()]));
    let server_with_key = iot::server(server()).shared_keys(keys);
    for parameters in both(client_with_key, server_with_key) {
        let shared = |suite: &&&Suite| suite.authentication == Authentication::SharedKey;
        let suites = &parameters.algorithms.suites;
        let shares = suites.iter().filter(shared).count();
        assert_eq!(shares, if cfg!(feature = "ccm") { 6 } else { 2 });
        // The weakest come last.
        assert!(
            suites
                .last()
                .unwrap()
                .id
                .to_string()
                .starts_with("TLS_PSK_")
        );
    }
    let [device, cloud] = both(iot::client(client()), iot::server(server()));
    assert_eq!(device.datagram.connection_ids, Some(0));
    assert_eq!(cloud.datagram.connection_ids, Some(8));
    assert_eq!(
        (device.record_size_limit, cloud.record_size_limit),
        (1024, 16_384)
    );
    let device = iot::client(client()).build().unwrap();
    assert_eq!(device.max_fragment_length.map(|it| it.bytes()), Some(1024));
    assert!(device.sessions.is_some() && device.tickets);
    assert!(iot::server(server()).build().unwrap().sessions.any());
}

#[test]
fn the_page_of_media_is_true() {
    let (client, server) = (webrtc::client(client()), webrtc::server(server(), pinned()));
    for parameters in both(client.clone(), server.clone()) {
        assert_eq!(parameters.versions, Versions::ALL);
        let srtp = [
            SrtpProfile::SRTP_AEAD_AES_128_GCM,
            SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_80,
        ];
        assert_eq!(parameters.srtp, srtp);
        assert!(refuses_renegotiation(&parameters.rekey));
        assert_eq!(parameters.rekey.identity_change, IdentityChange::Refuse);
        assert_eq!(parameters.datagram.migration, Migration::Never);
    }
    assert!(client.build().unwrap().sessions.is_none());
    let server = server.build().unwrap();
    assert!(!server.sessions.any());
    let authentication = server.client_authentication;
    assert!(matches!(authentication, ClientAuthentication::Required(_)));
}

#[test]
fn the_page_of_radius_is_true() {
    let clients = Arc::new(pinned());
    let (client, server) = (radius::client(client()), radius::server(server(), clients));
    for parameters in both(client, server.clone()) {
        let required = ExtendedMasterSecret::Require;
        assert_eq!(parameters.extended_master_secret, required);
        let rekey = &parameters.rekey;
        assert_eq!(rekey.identity_change, IdentityChange::Refuse);
        assert_eq!(rekey.client_renegotiation, ClientRenegotiation::Refuse);
        assert_eq!(parameters.datagram.mtu, 4196);
        assert_eq!(parameters.stream.idle_timeout, None);
        assert!(parameters.stream.first_deadline(Side::Server).is_some());
    }
    let authentication = server.build().unwrap().client_authentication;
    assert!(matches!(authentication, ClientAuthentication::Required(_)));
}

#[test]
fn the_page_of_tunnels_is_true() {
    for parameters in both(vpn::client(client()), vpn::server(server())) {
        let rekey = &parameters.rekey;
        assert_eq!(rekey.interval, Some(Duration::from_secs(3600)));
        assert_eq!(rekey.bytes, Some(1 << 30));
        assert_eq!(rekey.client_renegotiation, ClientRenegotiation::allow());
        assert_eq!(rekey.data, DataDuringRenegotiation::HoldFromHello);
        assert_eq!(rekey.identity_change, IdentityChange::Refuse);
        let required = ExtendedMasterSecret::Require;
        assert_eq!(parameters.extended_master_secret, required);
        let datagram = &parameters.datagram;
        assert_eq!(datagram.connection_ids, Some(8));
        assert_eq!(datagram.migration, Migration::Enhanced);
        assert_eq!(datagram.receive_datagrams, 1024);
        assert_eq!(
            (datagram.receive_bytes, datagram.send_bytes),
            (1 << 22, 1 << 22)
        );
    }
}
