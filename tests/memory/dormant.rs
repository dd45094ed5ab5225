//! Keys that nobody uses are put away, and come back when they are needed.

use crate::allocations::{Link, ends, pass, record, renegotiate};
use crate::counting::bytes;
use bytes::BytesMut;
use sealgram::config::{Algorithms, Versions};
use sealgram::record::Discard;
use sealgram::{CipherSuite, HandshakeKind, KeyUpdate, ProtocolVersion};
use std::time::Duration;

const SUITES_12: &[CipherSuite] = &[
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    #[cfg(feature = "ccm")]
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    #[cfg(feature = "ccm")]
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
];

const SUITES_13: &[CipherSuite] = &[
    CipherSuite::TLS_AES_128_GCM_SHA256,
    CipherSuite::TLS_AES_256_GCM_SHA384,
    CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
    #[cfg(feature = "ccm")]
    CipherSuite::TLS_AES_128_CCM_SHA256,
    #[cfg(feature = "ccm")]
    CipherSuite::TLS_AES_128_CCM_8_SHA256,
];

/// Those of both versions.
fn suites() -> impl Iterator<Item = CipherSuite> {
    SUITES_12.iter().chain(SUITES_13).copied()
}

/// Two ends of one suite that have exchanged a record each way.
fn link(suite: CipherSuite, out: &mut Vec<u8>, arena: &mut BytesMut) -> Link {
    let mut ends = ends().versions(Versions::ALL);
    let algorithms = Algorithms::default().cipher_suites(&[suite]).unwrap();
    ends.client = ends.client.algorithms(algorithms.clone());
    ends.server = ends.server.algorithms(algorithms);
    let mut link = Link::new(&ends.build(), out);
    exchange(&mut link, out, arena);
    link
}

/// A record each way.
fn exchange(link: &mut Link, out: &mut Vec<u8>, arena: &mut BytesMut) {
    let Link {
        client,
        server,
        now,
    } = link;
    record(client, server, *now, out, arena);
    record(server, client, *now, out, arena);
}

/// RFC 9147 §4.5.1, RFC 6347 §4.1.2.6: whatever the keys were meanwhile, no number is used or taken
/// twice.
#[test]
fn data_flows_as_if_the_keys_had_never_been_dormant() {
    let (mut out, mut arena) = (Vec::new(), BytesMut::with_capacity(1 << 18));
    for suite in suites() {
        let mut link = link(suite, &mut out, &mut arena);
        for generation in 0..3 {
            link.client.send(link.now, b"once").unwrap();
            let mut datagram = Vec::new();
            link.client
                .poll_transmit(link.now, 1, &mut datagram)
                .unwrap();
            let give = |link: &mut Link| {
                let (path, datagram) = (link.server.path(), BytesMut::from(&datagram[..]));
                link.server
                    .handle_datagram(link.now, path, datagram)
                    .unwrap()
            };
            assert!(give(&mut link).is_authenticated());
            assert_eq!(link.server.recv().unwrap().data[..], *b"once");
            let (epoch, used) = (link.client.epoch(), bytes());
            link.idle();
            assert!(
                bytes() < used - 1500,
                "{suite}: of {used} bytes {}",
                bytes()
            );
            assert!(!give(&mut link).is_authenticated(), "{suite}: a replay");
            assert_eq!(
                link.server.stats().discarded(Discard::Replay),
                1 + generation
            );
            exchange(&mut link, &mut out, &mut arena);
            assert_eq!(link.client.epoch(), epoch);
            replace_keys(&mut link, &mut out);
            exchange(&mut link, &mut out, &mut arena);
        }
    }
}

/// New keys, by whatever the version has for that; begun while the old ones are dormant.
fn replace_keys(link: &mut Link, out: &mut Vec<u8>) {
    link.idle();
    if link.client.version() == Some(ProtocolVersion::DTLS12) {
        return renegotiate(link, out);
    }
    link.client.key_update(KeyUpdate::Requested).unwrap();
    let before = link.client.stats().key_updates_received();
    for _ in 0..4 {
        pass(&mut link.client, &mut link.server, link.now, out);
        pass(&mut link.server, &mut link.client, link.now, out);
    }
    assert_eq!(link.client.stats().key_updates_received(), before + 1);
}

/// A server that resumes changes its keys before it has said anything under the old ones, which may
/// have been dormant until then: its ServerHello is in their epoch all the same.
#[test]
fn dormant_keys_protect_the_hello_of_a_server_that_resumes() {
    let mut out = Vec::new();
    for suite in SUITES_12 {
        let mut link = link(*suite, &mut out, &mut BytesMut::new());
        for generation in 1..3 {
            link.idle();
            link.client.renegotiate_abbreviated().unwrap();
            for _ in 0..4 {
                pass(&mut link.client, &mut link.server, link.now, &mut out);
                pass(&mut link.server, &mut link.client, link.now, &mut out);
            }
            assert_eq!(link.client.renegotiations(), generation, "{suite}");
            assert_eq!(link.client.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
}

/// RFC 9147 §8: the epoch before the newest is kept until something has come in that one, which may
/// be never where a peer only receives. That keeps neither the newest keys nor a timer awake.
#[test]
fn new_keys_of_a_peer_that_says_nothing_under_them_become_dormant() {
    let mut out = Vec::new();
    for suite in SUITES_13 {
        let mut arena = BytesMut::with_capacity(1 << 18);
        let mut link = link(*suite, &mut out, &mut arena);
        for _ in 0..3 {
            replace_keys(&mut link, &mut out);
            link.idle();
        }
        exchange(&mut link, &mut out, &mut arena);
    }
}

/// Anybody can send something that has to be opened, and it must not cost memory that lasts.
#[test]
fn forgeries_wake_no_keys() {
    let (mut out, mut arena) = (Vec::new(), BytesMut::with_capacity(1 << 18));
    for suite in suites() {
        let mut link = link(suite, &mut out, &mut arena);
        link.idle();
        link.client.send(link.now, &[7; 100]).unwrap();
        let mut forged = Vec::new();
        link.client.poll_transmit(link.now, 1, &mut forged).unwrap();
        *forged.last_mut().unwrap() ^= 1;
        let forge = |link: &mut Link| {
            let (path, datagram) = (link.server.path(), BytesMut::from(&forged[..]));
            let taken = link.server.handle_datagram(link.now, path, datagram);
            assert!(!taken.unwrap().is_authenticated());
        };
        // The first one brings the counters.
        forge(&mut link);
        let before = bytes();
        for _ in 0..100 {
            forge(&mut link);
        }
        assert_eq!(bytes(), before, "{suite}");
        assert_eq!(link.server.poll_timeout(), None, "{suite}");
        let stats = link.server.stats();
        assert_eq!(stats.discarded(Discard::Unauthenticated), 101, "{suite}");
        exchange(&mut link, &mut out, &mut arena);
    }
}

/// An association that is used has one timer for this, every half minute, and no other.
#[test]
fn an_association_that_is_used_is_looked_at_twice_a_minute() {
    let (mut out, mut arena) = (Vec::new(), BytesMut::with_capacity(1 << 18));
    let mut link = link(SUITES_12[0], &mut out, &mut arena);
    link.idle();
    for round in 0..10 {
        exchange(&mut link, &mut out, &mut arena);
        // What woke the keys knows no time, so the first look is at once.
        let due = link.server.poll_timeout().unwrap();
        assert!(round > 0 || due <= link.now);
        link.now = link.now.max(due);
        for connection in [&mut link.client, &mut link.server] {
            connection.handle_timeout(link.now).unwrap();
            let next = connection.poll_timeout();
            assert_eq!(next, Some(link.now + Duration::from_secs(30)), "{round}");
        }
    }
    let end = link.now + Duration::from_secs(61);
    link.idle();
    assert!(link.now > end && link.server.poll_timeout().is_none());
}
