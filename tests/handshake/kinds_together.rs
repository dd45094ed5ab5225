//! Ends that can authenticate in several ways: with pre-shared keys, raw public keys and
//! certificates beside each other.

use crate::common::configs::{Ends, exact};
use crate::common::harness::Harness;
use crate::common::raw_keys::{client_of, raw_key};
use crate::common::shared_keys::{ECDHE_PSK, IDENTITY, configs, key, scripted, server};
use crate::common::transport::{BOTH, Duo, SIDES};
use sealgram::config::Versions;
use sealgram::error::PeerMisbehaved;
use sealgram::sim::scripted::{Line, ScriptedPeer};
use sealgram::{Error, NamedGroup};
use std::sync::Arc;

/// RFC 4279 §2, RFC 7250 §4: with a pre-shared key nobody shows a certificate, so that nothing is
/// said about their types: a client that takes raw public keys alone is served by a server that
/// has its key and nothing else.
#[test]
fn n58_05_a_pre_shared_key_needs_no_type_of_certificate() {
    for transport in BOTH {
        for versions in [Versions::V1_2, Versions::V1_3] {
            let client = client_of(&raw_key(&rcgen::PKCS_ED25519))
                .versions(versions)
                .datagram(exact())
                .session_store(None)
                .add_shared_key(key());
            let server = server([key()]).versions(versions);
            let mut duo = Duo::connected(transport, &configs(client, server));
            assert!(duo.exchange());
            for side in SIDES {
                let identity = duo.identity(side).unwrap();
                assert_eq!(identity.shared_key().unwrap().identity(), IDENTITY);
            }
        }
    }
}

/// 5.10.1: X25519MLKEM768 is for 1.3 alone, also under a suite with a pre-shared key, whose exchange
/// nobody signs.
#[test]
fn n510_01_a_client_with_a_key_refuses_the_hybrid_group_at_1_2() {
    let hybrid = NamedGroup::X25519MLKEM768;
    for transport in BOTH {
        let client = Ends::new().client.versions(Versions::ALL);
        let config = client.add_shared_key(key()).build().unwrap();
        let peer = ScriptedPeer::sharing_server(ECDHE_PSK[0].0, scripted());
        let mut harness = Harness::client(transport, Arc::new(config), peer);
        harness.play(&[Line::ServerHello]);
        harness.play_altered(&[Line::ServerKeyExchange], |_, body| {
            let [high, low] = hybrid.0.to_be_bytes();
            *body = [&[0, 0, 3, high, low, 200][..], &[9; 200]].concat();
        });
        let expected = PeerMisbehaved::SelectedUnofferedGroup(hybrid);
        assert_eq!(harness.error(), Some(Error::from(expected)));
    }
}
