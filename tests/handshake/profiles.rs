//! The named starting points: both ends of each, at work together.

use crate::common::configs::Ends;
use crate::common::transport::{BOTH, Duo, SIDES, Transport, refused};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::Versions;
use sealgram::config::profiles::{iot, radius, vpn, webrtc};
use sealgram::identity::{
    Credential, Fingerprint, PinnedFingerprint, SharedKey, SharedKeys, WebPkiClientVerifier,
};
use sealgram::{ClientConfig, KeyUpdate, RenegotiationRefusal, Side, SrtpProfile};
use std::sync::Arc;
use std::time::Duration;

/// A client that trusts the authority of these ends, with nothing set.
fn fresh(ends: &Ends) -> ClientConfigBuilder {
    ClientConfig::with_roots(ends.pki.roots()).unwrap()
}

fn ecdsa() -> Ends {
    Ends::with(&rcgen::PKCS_ECDSA_P256_SHA256)
}

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

/// RFC 7925 §17, and the record limit of the 1.3 profile.
#[test]
fn devices_have_short_records_and_do_not_renegotiate() {
    for transport in BOTH {
        for versions in VERSIONS {
            let mut ends = ecdsa();
            ends.client = iot::client(fresh(&ends)).versions(versions);
            ends.server = iot::server(ends.server).versions(versions);
            let mut duo = Duo::connected(transport, &ends.build());
            assert_eq!(duo.record_limits(Side::Server).0, 1024);
            assert_eq!(duo.record_limits(Side::Client).1, 1024);
            assert!(duo.exchange());
            if versions == Versions::V1_2 {
                duo.renegotiate(Side::Server, false).unwrap();
                duo.settle();
                let told = refused(RenegotiationRefusal::NoRenegotiation);
                assert!(duo.events(Side::Server).contains(&told));
                assert_eq!(duo.epoch(Side::Client), 1);
            }
        }
    }
}

/// RFC 7925 §4.2: a device with a pre-shared key alone, and a server that has certificates too.
#[test]
fn devices_may_have_nothing_but_a_key() {
    let key = || SharedKey::new(b"device", &[7; 16]).unwrap();
    for transport in BOTH {
        for versions in VERSIONS {
            let mut ends = ecdsa();
            ends.client = iot::client(ClientConfig::with_shared_key(key())).versions(versions);
            let keys = Arc::new(SharedKeys::new([key()]));
            ends.server = iot::server(ends.server)
                .shared_keys(keys)
                .versions(versions);
            let mut duo = Duo::connected(transport, &ends.build());
            assert!(duo.exchange());
            for side in SIDES {
                let identity = duo.identity(side).unwrap();
                assert_eq!(identity.shared_key().unwrap().identity(), b"device");
            }
        }
    }
}

/// RFC 8827 §6.5: fingerprints say who both ends are, and a profile of SRTP is agreed on.
#[test]
fn media_ends_know_each_other_by_fingerprints() {
    for versions in VERSIONS {
        let ends = Ends::new();
        let ours = ends.pki.client(&rcgen::PKCS_ED25519);
        let theirs = ends.pki.server(&rcgen::PKCS_ED25519);
        let of = |credential: &Credential| {
            let Credential::Certificate(certified) = credential else {
                panic!("a certificate");
            };
            PinnedFingerprint::new([Fingerprint::of(&certified.chain()[0])])
        };
        let mut both = Ends::new();
        both.client = webrtc::client(ClientConfig::with_verifier(Arc::new(of(&theirs))))
            .add_credential(ours.clone())
            .versions(versions);
        both.server = webrtc::server(sealgram::ServerConfig::with_credential(theirs), of(&ours))
            .versions(versions);
        let duo = Duo::connected(Transport::Dtls, &both.build());
        let Duo::Dtls(pair) = &duo else {
            unreachable!()
        };
        let agreed = pair.client_connection().unwrap().srtp_profile();
        assert_eq!(agreed, Some(SrtpProfile::SRTP_AEAD_AES_128_GCM));
        assert!(SIDES.iter().all(|&side| duo.identity(side).is_some()));
        assert!(duo.session(Side::Client).is_none());
    }
}

/// RFC 2865 §3, RFC 6614 §2.3.
#[test]
fn the_longest_radius_packet_fits_and_clients_show_who_they_are() {
    for versions in VERSIONS {
        for shown in [true, false] {
            let mut ends = Ends::new();
            let verifier = WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
            let credential = ends.pki.client(&rcgen::PKCS_ED25519);
            ends.client = radius::client(fresh(&ends)).versions(versions);
            if shown {
                ends.client = ends.client.add_credential(credential);
            }
            ends.server = radius::server(ends.server, Arc::new(verifier)).versions(versions);
            let mut duo = Duo::connecting(Transport::Dtls, &ends.build());
            duo.settle();
            assert_eq!(duo.is_alive(Side::Server), shown, "{versions:?}");
            if shown {
                assert!(duo.max_payload(Side::Client) >= 4096);
                duo.send(Side::Client, &[7; 4096]).unwrap();
                duo.settle();
                assert_eq!(duo.receive(Side::Server), [7; 4096]);
            }
        }
    }
}

/// Both ends may begin new keys, and their records carry connection IDs.
#[test]
fn tunnels_get_new_keys_from_either_end() {
    for transport in BOTH {
        for versions in VERSIONS {
            let mut ends = Ends::new();
            ends.client = vpn::client(fresh(&ends)).versions(versions);
            ends.server = vpn::server(ends.server).versions(versions);
            let mut duo = Duo::connected(transport, &ends.build());
            let before = duo.epoch(Side::Client);
            for side in SIDES {
                // At 1.2 a client may once in ten seconds.
                duo.run_for(Duration::from_secs(11));
                match versions == Versions::V1_2 {
                    true => duo.renegotiate(side, false).unwrap(),
                    false => duo.key_update(side, KeyUpdate::Requested).unwrap(),
                }
                duo.settle();
            }
            assert_eq!(duo.epoch(Side::Client), before + 2, "{versions:?}");
            if let Duo::Dtls(pair) = &duo {
                let id = pair.client_connection().unwrap().sent_connection_id();
                assert_eq!(id.map(|id| id.len()), Some(8));
            }
            assert!(duo.exchange());
        }
    }
}
