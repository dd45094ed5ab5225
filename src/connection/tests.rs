//! Forgeries that come near to what a key may see (RFC 9325 §4.4, RFC 9147 §4.5.3), with counters
//! that are set near the limit; and what is said of datagrams.

#[cfg(feature = "ccm")]
mod ccm;
mod connection_ids;

use super::DtlsConnection;
use crate::config::ClientRenegotiation::Allow;
use crate::config::{Algorithms, ClientConfig, RekeyPolicy, Versions, test_server};
use crate::error::{Error, SendError};
use crate::protocol::{AlertDescription, CipherSuite, Epoch, Path, ProtocolVersion, Side};
use crate::record::{Discard, Initiator, RESERVED};
use crate::{KeyUpdate, test_now};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two ends, connected without a network.
struct Two {
    client: DtlsConnection,
    server: DtlsConnection,
    now: Instant,
}

const PATH: Path = Path::UNSPECIFIED;

/// Everything that an end has to send.
fn sent(end: &mut DtlsConnection, now: Instant) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    loop {
        let mut out = Vec::new();
        if end.poll_transmit(now, 1, &mut out).is_none() {
            return datagrams;
        }
        datagrams.push(out);
    }
}

impl Two {
    fn connected(versions: Versions) -> Self {
        Self::with(versions, &Algorithms::default())
    }

    fn with(versions: Versions, algorithms: &Algorithms) -> Self {
        let now = test_now();
        let mut server = test_server(versions);
        server.parameters.algorithms = algorithms.clone();
        server.parameters.rekey = RekeyPolicy::default().client_renegotiation(Allow {
            min_interval: Duration::ZERO,
        });
        let client = ClientConfig::dangerous()
            .accept_any_certificate()
            .versions(versions)
            .algorithms(algorithms.clone())
            .build()
            .unwrap();
        let name = "server.test".try_into().unwrap();
        let client = DtlsConnection::connect(now, Arc::new(client), name, PATH).unwrap();
        let server = DtlsConnection::listen(now, Arc::new(server), PATH).unwrap();
        let mut two = Self {
            client,
            server,
            now,
        };
        two.settle();
        assert!(!two.client.is_handshaking() && !two.server.is_handshaking());
        two
    }

    fn end(&mut self, side: Side) -> &mut DtlsConnection {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Lets everything arrive, and time pass for what is acknowledged later.
    fn settle(&mut self) {
        for _ in 0..20 {
            for side in [Side::Client, Side::Server] {
                let now = self.now;
                for datagram in sent(self.end(side), now) {
                    let other = self.end(side.peer());
                    let _failed = other.handle_datagram(now, PATH, BytesMut::from(&datagram[..]));
                }
            }
            self.now += Duration::from_millis(100);
            let now = self.now;
            for side in [Side::Client, Side::Server] {
                self.end(side).handle_timeout(now).unwrap();
            }
        }
    }

    /// A record for the end on `side` that does not authenticate.
    fn forged(&mut self, side: Side) -> Vec<u8> {
        let now = self.now;
        let other = self.end(side.peer());
        other.send(now, b"honest").unwrap();
        let mut datagram = sent(other, now).pop().unwrap();
        *datagram.last_mut().unwrap() ^= 1;
        datagram
    }

    /// The end on `side` gets such a record.
    fn forge(&mut self, side: Side) -> Result<(), Error> {
        let datagram = self.forged(side);
        let now = self.now;
        let end = self.end(side);
        end.handle_datagram(now, PATH, BytesMut::from(&datagram[..]))?;
        Ok(())
    }
}

/// The epoch that the peer of this end writes in.
fn read_epoch(end: &DtlsConnection) -> Epoch {
    end.phase.established().unwrap().read_epoch()
}

/// A version, a suite of it, and how many forgeries a key of that may see there.
const LIMITS: &[(Versions, CipherSuite, u64)] = &[
    (
        Versions::V1_2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        1 << 28,
    ),
    (Versions::V1_3, CipherSuite::TLS_AES_128_GCM_SHA256, 1 << 36),
    #[cfg(feature = "ccm")]
    (
        Versions::V1_2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
        11_863_283,
    ),
    #[cfg(feature = "ccm")]
    (
        Versions::V1_2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
        1 << 7,
    ),
    #[cfg(feature = "ccm")]
    (
        Versions::V1_3,
        CipherSuite::TLS_AES_128_CCM_SHA256,
        11_863_283,
    ),
    #[cfg(feature = "ccm")]
    (
        Versions::V1_3,
        CipherSuite::TLS_AES_128_CCM_8_SHA256,
        1 << 7,
    ),
];

fn everywhere(mut test: impl FnMut(Two, Side, u64)) {
    for (versions, suite, limit) in LIMITS {
        for side in [Side::Client, Side::Server] {
            let algorithms = Algorithms::default().cipher_suites(&[*suite]).unwrap();
            test(Two::with(*versions, &algorithms), side, *limit);
        }
    }
}

/// RFC 9147 §4.5.3: whichever end suffers, new keys are in force long before the limit, and the
/// count begins anew.
#[test]
fn forgeries_lead_to_new_keys_from_half_the_limit_on() {
    everywhere(|mut two, side, limit| {
        let before = read_epoch(two.end(side));
        two.end(side).records.suffer(None, limit / 2 - 1);
        two.forge(side).unwrap();
        two.settle();
        assert_eq!(read_epoch(two.end(side)), before, "too early");
        two.forge(side).unwrap();
        assert!(two.end(side).has_transmit());
        two.settle();
        let after = read_epoch(two.end(side));
        assert!(after > before, "{side} {limit}: {before} {after}");
        // The new key has seen nothing yet, and one request was enough.
        let asked = two.end(side).stats().clone();
        two.forge(side).unwrap();
        two.settle();
        assert_eq!(read_epoch(two.end(side)), after);
        let again = two.end(side).stats().clone();
        let of = |stats: &crate::record::Stats| {
            let automatic = stats.renegotiations_by(Initiator::Automatic);
            (automatic.started, stats.key_updates_sent())
        };
        assert_eq!(of(&asked), of(&again));
        let is_12 = two.end(side).version() == Some(ProtocolVersion::DTLS12);
        assert_eq!(of(&asked), if is_12 { (1, 0) } else { (0, 1) });
    });
}

/// Forgeries while the peer does not answer ask once, and not with each.
#[test]
fn forgeries_do_not_make_a_silent_peer_be_asked_with_each() {
    everywhere(|mut two, side, limit| {
        two.end(side).records.suffer(None, limit / 2);
        let forged = two.forged(side);
        let mut datagrams = 0;
        for _ in 0..200.min(limit / 4) {
            let now = two.now;
            let end = two.end(side);
            end.handle_datagram(now, PATH, BytesMut::from(&forged[..]))
                .unwrap();
            datagrams += sent(end, now).len();
        }
        assert_eq!(datagrams, 1, "{side} {limit}");
    });
}

/// RFC 9325 §4.4: at the limit the key must not go on, and the peer is told, as the other direction
/// has not suffered.
#[test]
fn too_many_forgeries_end_the_association_and_the_peer_is_told() {
    everywhere(|mut two, side, limit| {
        two.end(side).records.suffer(None, limit - 1);
        assert!(two.forge(side).is_ok());
        assert_eq!(two.forge(side), Err(Error::TooManyForgeries));
        let now = two.now;
        let told: Vec<_> = sent(two.end(side), now)
            .into_iter()
            .filter_map(|datagram| {
                let other = two.end(side.peer());
                other
                    .handle_datagram(now, PATH, BytesMut::from(&datagram[..]))
                    .err()
            })
            .collect();
        assert!(
            matches!(
                told[..],
                [Error::AlertReceived { alert, authenticated: true }]
                    if alert.description == AlertDescription::BAD_RECORD_MAC
            ),
            "{side} {limit}: {told:?}"
        );
    });
}

/// What is late under an old key is less than the association: at the limit that key alone is
/// dropped.
#[test]
fn too_many_forgeries_under_an_old_key_end_that_key_alone() {
    let mut two = Two::connected(Versions::V1_2);
    let forged = two.forged(Side::Client);
    let late = {
        let now = two.now;
        two.server.send(now, b"late").unwrap();
        sent(&mut two.server, now).pop().unwrap()
    };
    two.client.renegotiate().unwrap();
    two.settle();
    let old = Epoch::new(1);
    assert_eq!(two.client.epoch(), Epoch::new(2));
    two.client.records.suffer(Some(old), 1 << 28);
    let now = two.now;
    let end = &mut two.client;
    end.handle_datagram(now, PATH, BytesMut::from(&forged[..]))
        .unwrap();
    end.handle_datagram(now, PATH, BytesMut::from(&late[..]))
        .unwrap();
    assert!(end.recv().is_none() && !end.is_closed());
}

/// RFC 9325 §4.4: data that has waited for a silent peer, under a key that protects no more of it,
/// waits on for the handshake that runs. It is nothing to send meanwhile: who asks for it until it
/// comes would ask for ever.
#[test]
fn data_that_no_key_is_left_for_is_nothing_to_send() {
    let mut two = Two::connected(Versions::V1_2);
    two.client.renegotiate().unwrap();
    let now = two.now;
    let hello = sent(&mut two.client, now);
    two.client.send(now, b"waits").unwrap();
    assert!(!two.client.has_transmit());
    two.client.records.use_up(1);
    let later = two.client.phase.poll_timeout().unwrap();
    two.client.handle_timeout(later).unwrap();
    assert!(!two.client.holds_data() && two.client.held_bytes() > 0);
    sent(&mut two.client, later);
    assert!(!two.client.has_transmit());
    // The server's flight takes the client to keys that are good for it.
    two.client.records.use_up(10);
    for datagram in hello {
        let datagram = BytesMut::from(&datagram[..]);
        two.server.handle_datagram(later, PATH, datagram).unwrap();
    }
    two.now = later;
    two.settle();
    assert_eq!(two.client.renegotiations(), 1);
    assert_eq!(two.server.recv().unwrap().data[..], *b"waits");
}

/// RFC 9325 §4.4, RFC 9147 §8: a key update that is lost for so long that its key is used up
/// meanwhile is sent again with what is kept of that, and data waits.
#[test]
fn a_key_that_is_being_replaced_does_not_end_the_association() {
    let mut two = Two::connected(Versions::V1_3);
    let now = two.now;
    two.client.key_update(KeyUpdate::NotRequested).unwrap();
    let lost = sent(&mut two.client, now);
    assert!(!lost.is_empty());
    two.client.records.use_up(RESERVED + 1);
    two.client.send(now, b"the last").unwrap();
    for _ in 0..2 {
        let refused = two.client.send(now, b"too much");
        assert_eq!(refused, Err(SendError::Renegotiating));
    }
    assert!(!two.client.is_closed());
    while two.client.key_update_type().is_some() {
        two.now = two.client.poll_timeout().unwrap();
        assert!(two.now < now + Duration::from_secs(10));
        two.client.handle_timeout(two.now).unwrap();
        two.settle();
    }
    let later = two.now;
    two.client.send(later, b"under the new key").unwrap();
    two.settle();
    let received = std::iter::from_fn(|| two.server.recv());
    let received: Vec<_> = received.map(|it| it.data).collect();
    assert_eq!(received, [&b"the last"[..], b"under the new key"]);
    // Where nothing replaces it, it is the end.
    two.client.records.use_up(RESERVED);
    let refused = two.client.send(later, b"too much");
    assert_eq!(refused, Err(SendError::KeyExhausted));
    assert_eq!(two.client.failure().unwrap().error, Error::KeyExhausted);
}

/// RFC 6347 §4.1.2.6, §4.1.2.7, RFC 9147 §4.5.1, §4.5.2: what is said of a datagram is the same
/// whether it is one record of data, which has a short way, or anything else.
#[test]
fn what_came_of_a_datagram_is_said_whatever_is_in_it() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut two = Two::connected(versions);
        let now = two.now;
        let mut sealed = |data: &[u8]| {
            two.client.send(now, data).unwrap();
            sent(&mut two.client, now).remove(0)
        };
        let [first, empty, next, last, lost] =
            [&b"first"[..], b"", b"next", b"last", b"lost"].map(&mut sealed);
        two.client.close(now);
        let goodbye = sent(&mut two.client, now).remove(0);
        let mut forged = lost.clone();
        *forged.last_mut().unwrap() ^= 1;
        let both = [next, last].concat();
        let server = &mut two.server;
        let mut newest = |datagram: &[u8]| {
            let taken = server.handle_datagram(now, PATH, BytesMut::from(datagram));
            taken.unwrap().newest
        };
        let number = newest(&first).unwrap();
        let after = |count| {
            let mut number = number;
            number.sequence += count;
            Some(number)
        };
        assert_eq!(newest(&first), None, "a replay");
        assert_eq!(newest(&empty), after(1));
        assert_eq!(newest(&forged), None);
        assert_eq!(newest(&both), after(3));
        assert_eq!(newest(&goodbye), after(5), "an alert, whose type 1.3 hides");
        assert_eq!(newest(&lost), after(4), "what a close has overtaken");
        for cause in [
            Discard::Replay,
            Discard::EmptyData,
            Discard::Unauthenticated,
        ] {
            assert_eq!(server.stats().discarded(cause), 1, "{cause}");
        }
        let received = std::iter::from_fn(|| server.recv());
        let received: Vec<_> = received.map(|it| it.data).collect();
        assert_eq!(received, [&b"first"[..], b"next", b"last", b"lost"]);
    }
}
