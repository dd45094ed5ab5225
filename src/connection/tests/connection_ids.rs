//! Who draws connection IDs, when, and the calls for others (RFC 9147 §9).

use super::*;
use crate::config::{DatagramPolicy, RenegotiatedConnectionId};
use crate::connection::connection_ids::{ConnectionIdIssuer, Issuer};
use crate::error::ConnectionIdError;
use crate::protocol::ConnectionId;
use std::sync::atomic::{AtomicU8, Ordering};

/// Issues connection IDs that say how many were issued before.
#[derive(Default)]
struct Counting(AtomicU8);

impl Counting {
    fn issued(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ConnectionIdIssuer for Arc<Counting> {
    fn issue(&self, _whose: u64, length: usize) -> Result<ConnectionId, Error> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(ConnectionId::new(&vec![number; length]))
    }
}

/// Two ends that want connection IDs of these lengths, and who issues the client's and the
/// server's. Nothing was sent yet.
fn beginning(versions: Versions, lengths: [Option<usize>; 2]) -> (Two, [Arc<Counting>; 2]) {
    let of = |length| DatagramPolicy::default().connection_ids(length).unwrap();
    beginning_with(versions, lengths.map(of))
}

/// The same, of these policies.
fn beginning_with(versions: Versions, policies: [DatagramPolicy; 2]) -> (Two, [Arc<Counting>; 2]) {
    let now = test_now();
    let [client, server] = policies;
    let client = ClientConfig::dangerous()
        .accept_any_certificate()
        .versions(versions)
        .datagram(client)
        .build()
        .unwrap();
    let mut config = test_server(versions);
    config.parameters.datagram = Arc::new(server);
    config.parameters.rekey = RekeyPolicy::default().client_renegotiation(Allow {
        min_interval: Duration::ZERO,
    });
    let issuers = [Arc::<Counting>::default(), Arc::default()];
    let name = "server.test".try_into().unwrap();
    let issuer = |side: usize, whose| -> Issuer {
        Some(Box::new((Arc::new(Box::new(issuers[side].clone())), whose)))
    };
    let client =
        DtlsConnection::connect_with(now, Arc::new(client), name, PATH, issuer(0, 0)).unwrap();
    let mut server = DtlsConnection::listen(now, Arc::new(config), PATH).unwrap();
    server.issuer = issuer(1, 1);
    let two = Two {
        client,
        server,
        now,
    };
    (two, issuers)
}

fn connected(versions: Versions, lengths: [Option<usize>; 2]) -> (Two, [Arc<Counting>; 2]) {
    let (mut two, issuers) = beginning(versions, lengths);
    two.settle();
    assert!(!two.client.is_handshaking() && !two.server.is_handshaking());
    (two, issuers)
}

/// RFC 9146 §3: what an endpoint routes by is in the hello; an empty one and none need no issuer.
#[test]
fn n51_03_the_hello_has_what_the_issuer_issued() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for (length, issued) in [(None, 0), (Some(0), 0), (Some(8), 1)] {
            let (mut two, issuers) = beginning(versions, [length, None]);
            let now = two.now;
            let hello = sent(&mut two.client, now).concat();
            let found = |needle: &[u8]| hello.windows(needle.len()).any(|it| it == needle);
            assert_eq!(found(&[0, 54, 0, 1, 0]), length == Some(0));
            let extension = [&[0, 54, 0, 9, 8][..], &[0; 8]].concat();
            assert_eq!(found(&extension), length == Some(8));
            assert_eq!(issuers[0].issued(), issued);
        }
    }
}

/// RFC 9146 §3: each handshake has a connection ID of its own.
#[test]
fn n51_05_each_renegotiation_draws_anew() {
    let (mut two, issuers) = connected(Versions::V1_2, [Some(8), Some(8)]);
    for round in 1..4 {
        assert_eq!(issuers[0].issued(), round);
        // The first one of the server that waits is drawn at random, before it has its issuer.
        assert_eq!(issuers[1].issued(), round - 1);
        two.client.renegotiate().unwrap();
        two.settle();
        assert_eq!(two.server.renegotiations(), u64::from(round));
    }
}

/// RFC 9146 §3: each end says which it wants to receive, also if that is the one that it has; the
/// other end may have another policy, or want none.
#[test]
fn n51_05_a_renegotiation_keeps_the_connection_id_where_the_policy_is_to() {
    use RenegotiatedConnectionId::{Change, Keep};
    for policies in [[Keep, Keep], [Keep, Change], [Change, Keep]] {
        for lengths in [[8, 8], [8, 0], [0, 8], [4, 20]] {
            let policy = |place: usize| {
                let policy = DatagramPolicy::default().connection_ids(Some(lengths[place]));
                policy.unwrap().renegotiated_connection_id(policies[place])
            };
            let (mut two, _) = beginning_with(Versions::V1_2, [policy(0), policy(1)]);
            two.settle();
            let ids = |two: &Two| {
                [&two.client, &two.server].map(|end| end.received_connection_id().unwrap())
            };
            for (round, by) in [Side::Client, Side::Server, Side::Client]
                .iter()
                .enumerate()
            {
                let before = ids(&two);
                two.end(*by).renegotiate().unwrap();
                two.settle();
                assert_eq!(two.server.renegotiations(), round as u64 + 1);
                for (place, (before, after)) in before.iter().zip(&ids(&two)).enumerate() {
                    let stays = policies[place] == Keep || lengths[place] == 0;
                    assert_eq!(before == after, stays, "{policies:?} {lengths:?} {place}");
                }
                let sent = two.client.sent_connection_id();
                assert_eq!(sent, two.server.received_connection_id());
            }
            for side in [Side::Client, Side::Server] {
                let now = two.now;
                two.end(side).send(now, b"on").unwrap();
                two.settle();
                assert_eq!(two.end(side.peer()).recv().unwrap().data[..], *b"on");
            }
        }
    }
}

/// An attempt that begins again is another one (RFC 9147 §5.1).
#[test]
fn n51_05_an_attempt_that_begins_afresh_draws_anew() {
    let (mut two, issuers) = beginning(Versions::V1_2, [Some(8), None]);
    let now = two.now;
    let first = sent(&mut two.client, now).concat();
    let request = [
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 19][..],
        &[3, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 7, 254, 255, 4, 1, 2, 3, 4],
    ]
    .concat();
    let first_request = BytesMut::from(&request[..]);
    two.client
        .handle_datagram(now, PATH, first_request)
        .unwrap();
    let second = sent(&mut two.client, now).concat();
    let id = [&[0, 54, 0, 9, 8][..], &[0; 8]].concat();
    let has = |hello: &[u8], id: &[u8]| hello.windows(id.len()).any(|it| it == id);
    assert!(has(&first, &id) && has(&second, &id) && second != first);
    // Another request cannot be for this hello; nothing else comes.
    let mut other = request;
    other[10] = 1;
    other[18] = 1;
    *other.last_mut().unwrap() = 9;
    let other = BytesMut::from(&other[..]);
    two.client.handle_datagram(now, PATH, other).unwrap();
    two.now += Duration::from_secs(2);
    let now = two.now;
    two.client.handle_timeout(now).unwrap();
    let afresh = sent(&mut two.client, now).concat();
    assert_eq!(issuers[0].issued(), 2);
    assert!(has(&afresh, &[&[0, 54, 0, 9, 8][..], &[1; 8]].concat()));
}

/// RFC 9147 §9: a request is answered at once, with connection IDs of the length that the end wants
/// that issues them; then there may be another.
#[test]
fn n52_09_n52_11_requests_are_answered() {
    for side in [Side::Client, Side::Server] {
        let (mut two, issuers) = connected(Versions::V1_3, [Some(5), Some(7)]);
        let (issuer, length) = match side {
            Side::Client => (&issuers[1], 7),
            Side::Server => (&issuers[0], 5),
        };
        let before = issuer.issued();
        for (wanted, given) in [(3, 3), (0, 0), (200, 5)] {
            two.end(side).request_connection_ids(wanted).unwrap();
            let again = two.end(side).request_connection_ids(1);
            assert_eq!(again, Err(ConnectionIdError::Pending));
            assert!(two.end(side).has_transmit());
            two.settle();
            // What is too many to be kept was issued nevertheless.
            let post = two.end(side).phase.post().unwrap();
            let mut spares = post.spare_ids();
            assert_eq!(spares.len(), if wanted == 3 { 3 } else { 3 + given });
            assert!(spares.all(|spare| spare.len() == length));
        }
        assert_eq!(issuer.issued() - before, 3 + 8);
        let now = two.now;
        two.end(side).send(now, b"on").unwrap();
    }
}

/// RFC 9147 §9: a fresh one for immediate use; the next one after it is acknowledged.
#[test]
fn n52_07_renewals_follow_each_other() {
    for side in [Side::Client, Side::Server] {
        let (mut two, _) = connected(Versions::V1_3, [Some(5), Some(7)]);
        for round in 0_u8..3 {
            two.end(side).renew_connection_id().unwrap();
            let again = two.end(side).renew_connection_id();
            assert_eq!(again, Err(ConnectionIdError::Pending));
            two.settle();
            let now = two.now;
            for end in [side, side.peer()] {
                two.end(end).send(now, &[round]).unwrap();
                two.settle();
                assert_eq!(two.end(end.peer()).recv().unwrap().data[..], [round]);
            }
        }
    }
}

/// What the calls need, and say when it is not there.
#[test]
fn n52_08_calls_that_cannot_be_are_refused() {
    use ConnectionIdError as E;
    let both =
        |end: &mut DtlsConnection| [end.request_connection_ids(1), end.renew_connection_id()];
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (mut two, _) = beginning(versions, [Some(4), Some(4)]);
        assert_eq!(both(&mut two.client), [Err(E::NotConnected); 2]);
        two.settle();
        let expected = match versions == Versions::V1_2 {
            true => Err(E::Version12),
            false => Ok(()),
        };
        assert_eq!(both(&mut two.client), [expected; 2]);
        let now = two.now;
        two.client.close(now);
        assert_eq!(both(&mut two.client), [Err(E::NotConnected); 2]);
    }
    let no = Err(E::NotNegotiated);
    for (lengths, client, server) in [
        ([None, None], [no, no], [no, no]),
        ([Some(4), None], [no, no], [no, no]),
        ([Some(0), Some(0)], [no, no], [no, no]),
        ([Some(4), Some(0)], [no, Ok(())], [Ok(()), no]),
        ([Some(0), Some(4)], [Ok(()), no], [no, Ok(())]),
    ] {
        let (mut two, _) = connected(Versions::V1_3, lengths);
        assert_eq!(both(&mut two.client), client, "{lengths:?}");
        assert_eq!(both(&mut two.server), server, "{lengths:?}");
    }
}

/// RFC 9147 §9: asking for more takes away nothing. What the peer writes with stays good, however
/// often it asks.
#[test]
fn who_asks_often_is_still_heard() {
    let (mut two, _) = connected(Versions::V1_3, [Some(8), Some(8)]);
    for round in 0..4 {
        two.client.request_connection_ids(8).unwrap();
        two.settle();
        two.client.send(two.now, b"still here").unwrap();
        two.settle();
        let heard = std::iter::from_fn(|| two.server.recv()).count();
        assert_eq!(heard, 1, "{round}");
    }
}
