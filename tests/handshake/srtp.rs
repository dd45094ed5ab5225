//! use_srtp (RFC 5764): the profile that both ends speak, and the keys that come of the handshake.

use crate::common::configs::{Ends, server_name, start};
use crate::common::datagram_harness::{
    DatagramHarness, FINALE, SERVER_FLIGHT, scripted_client, scripted_server,
};
use sealgram::config::Versions;
use sealgram::error::{ConfigError, PeerMisbehaved};
use sealgram::sim::StreamPair;
use sealgram::{DtlsConnection, Error, SrtpProfile};
use std::time::Duration;

const USE_SRTP: u16 = 14;
const GCM: SrtpProfile = SrtpProfile::SRTP_AEAD_AES_128_GCM;
const CM_80: SrtpProfile = SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_80;
const CM_32: SrtpProfile = SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_32;

fn ends(versions: Versions, client: &[SrtpProfile], server: &[SrtpProfile]) -> Ends {
    let mut ends = Ends::new().versions(versions).resuming();
    ends.client = ends.client.srtp_profiles(client).unwrap();
    ends.server = ends.server.srtp_profiles(server).unwrap();
    ends
}

/// RFC 5764 §4.2: both ends draw the same keys.
fn keys(connection: &DtlsConnection) -> [u8; 60] {
    let mut keys = [0; 60];
    let label = b"EXTRACTOR-dtls_srtp";
    connection
        .export_keying_material(&mut keys, label, None)
        .unwrap();
    keys
}

/// RFC 5764 §4.1.1: the server chooses one of the client's, by its own preference, in every
/// handshake anew.
#[test]
fn the_server_chooses_a_profile_and_both_ends_have_its_keys() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = ends(versions, &[CM_32, CM_80], &[GCM, CM_80, CM_32]).build();
        for _ in 0..2 {
            let mut pair = configs.connected(1);
            pair.run_for(Duration::from_secs(1));
            let (client, server) = (
                pair.client_connection().unwrap(),
                pair.server_connection().unwrap(),
            );
            assert_eq!(client.srtp_profile(), Some(CM_80));
            assert_eq!(server.srtp_profile(), Some(CM_80));
            assert_eq!(keys(client), keys(server));
        }
    }
}

/// RFC 5764 §4.1.1: without a common profile the handshake goes on.
#[test]
fn nothing_in_common_is_no_fault() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for (client, server) in [(&[GCM][..], &[CM_80][..]), (&[], &[CM_80]), (&[GCM], &[])] {
            let pair = ends(versions, client, server).build().connected(1);
            for connection in [pair.client_connection(), pair.server_connection()] {
                assert_eq!(connection.unwrap().srtp_profile(), None);
            }
        }
    }
}

/// RFC 5764 §3: it is a thing of datagrams.
#[test]
fn streams_do_not_speak_of_media() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = ends(versions, &[CM_80], &[CM_80]).build();
        let mut pair =
            StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
        pair.run();
        assert!(pair.client.connection.version().is_some());
        assert_eq!(pair.client.connection.srtp_profile(), None);
        assert_eq!(pair.server.connection.srtp_profile(), None);
    }
}

/// RFC 5764 §4.1.1: what was not offered is not taken, and neither is a master key that nobody
/// named.
#[test]
fn a_client_takes_nothing_that_it_did_not_offer() {
    let told = |offered: &[SrtpProfile], chosen: &[u8]| {
        let ends = ends(Versions::V1_2, offered, &[]);
        let peer = scripted_server(&ends);
        let mut harness = DatagramHarness::client(ends.build().client, peer);
        harness.exchange_cookies();
        harness.peer.choice.extensions = vec![
            (0xff01, vec![0]),
            (23, Vec::new()),
            (USE_SRTP, chosen.to_vec()),
        ];
        harness.play(&SERVER_FLIGHT);
        harness.play(&FINALE);
        let profile = harness.connection().and_then(DtlsConnection::srtp_profile);
        (profile, harness.error())
    };
    assert_eq!(told(&[CM_80], &[0, 2, 0, 1, 0]), (Some(CM_80), None));
    let unoffered = PeerMisbehaved::SelectedUnofferedSrtpProfile(CM_32).into();
    assert_eq!(told(&[CM_80], &[0, 2, 0, 2, 0]), (None, Some(unoffered)));
    let unsolicited = PeerMisbehaved::UnsolicitedExtension(USE_SRTP).into();
    assert_eq!(told(&[], &[0, 2, 0, 1, 0]), (None, Some(unsolicited)));
    // In plaintext, what does not decode is noise: the honest answer may still come.
    assert_eq!(told(&[CM_80], &[0, 2, 0, 1, 1, 7]), (None, None));
}

/// RFC 5764 §4.1.3: a server that does not use the client's master keys says nothing of them.
#[test]
fn a_server_does_without_the_master_keys_of_a_client() {
    let ends = ends(Versions::V1_2, &[], &[CM_80]);
    let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
    let body = [0, 4, 0, 7, 0, 1, 3, b'm', b'k', b'i'];
    harness.peer.offer.set_extension(USE_SRTP, &body);
    harness.complete();
    let granted = harness.peer.choice.extension(USE_SRTP).map(<[u8]>::to_vec);
    assert_eq!(granted, Some(vec![0, 2, 0, 1, 0]));
    assert_eq!(harness.connection().unwrap().srtp_profile(), Some(CM_80));
    assert_eq!(harness.error(), None::<Error>);
}

#[test]
fn no_more_than_64_profiles_are_offered() {
    let offer = |count| Ends::new().client.srtp_profiles(&vec![GCM; count]);
    assert!(offer(64).is_ok());
    let refused = offer(65).unwrap_err();
    assert!(matches!(refused, ConfigError::OutOfRange { .. }));
}
