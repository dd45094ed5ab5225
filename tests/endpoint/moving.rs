//! Peers whose address changes, on endpoints with connection IDs (RFC 9146, RFC 9147 §9, RFC 9853).

use crate::common::configs::{Ends, server_name, start};
use crate::common::handshakes::willing;
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use sealgram::record::Discard;
use sealgram::sim::{Conditions, Direction, Pair};
use sealgram::{ClientConfig, DtlsConnection, Event, Path, ServerConfig};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

fn policy(length: usize, migration: Migration) -> DatagramPolicy {
    let policy = DatagramPolicy::default().connection_ids(Some(length));
    policy.unwrap().migration(migration)
}

/// Configurations of a client that receives connection IDs of `client` bytes, and of a server that
/// receives `server` bytes and follows its clients as `migration` says.
fn configs(
    versions: Versions,
    client: usize,
    server: usize,
    migration: Migration,
) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let mut ends = Ends::new().versions(versions);
    ends.server = ends.server.rekey(willing());
    let client = ends.client.datagram(policy(client, migration));
    let server = ends.server.datagram(policy(server, migration));
    (
        client.build().unwrap().into(),
        server.build().unwrap().into(),
    )
}

fn connected(
    versions: Versions,
    client: usize,
    server: usize,
    migration: Migration,
) -> (Pair, Arc<ClientConfig>) {
    let (client, server) = configs(versions, client, server, migration);
    (pair_of(client.clone(), server), client)
}

fn pair_of(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Pair {
    let mut pair = Pair::new(server, start(), 1).unwrap();
    pair.connect(client, server_name()).unwrap();
    assert!(
        pair.run_until_connected(SECOND),
        "{:?}",
        pair.server.stats()
    );
    pair
}

fn moved(events: &[(AssociationId, Event)]) -> Vec<(SocketAddr, SocketAddr, bool)> {
    let changes = events.iter().filter_map(|(_, event)| match event {
        Event::PathChanged(it) => Some((it.from.remote(), it.to.remote(), it.validated)),
        _ => None,
    });
    changes.collect()
}

/// All four combinations, and lengths that differ; the first record under keys carries it already.
#[test]
fn n51_03_n52_02_j13_each_end_says_what_it_wants_and_gets_it() {
    for versions in VERSIONS {
        for client in [0, 4, 8, 20] {
            for server in [0, 4, 8, 20] {
                let (mut pair, _) = connected(versions, client, server, Migration::Never);
                assert!(pair.exchange(3), "{client} {server}");
            }
        }
    }
}

/// J2, J4, J5: an association that has slept is heard at once from another port, and after the
/// next, and from an address of the other family, also if somebody else lives at the old one now.
#[test]
fn j02_j04_j05_a_client_that_comes_back_elsewhere_is_heard_and_followed() {
    for versions in VERSIONS {
        let (mut pair, config) = connected(versions, 8, 8, Migration::Validated);
        let (first, id) = (pair.client_address, pair.server_id().unwrap());
        let homes: [SocketAddr; 3] = [
            ([192, 0, 2, 1], 40_001).into(),
            ([203, 0, 113, 9], 7).into(),
            "[2001:db8::5]:5684".parse().unwrap(),
        ];
        let mut before = first;
        for home in homes {
            pair.run_for(Duration::from_secs(300));
            pair.client_address = home;
            assert!(pair.exchange(100), "{home}");
            pair.run_for(SECOND);
            assert_eq!(moved(&pair.server_events), [(before, home, true)]);
            pair.server_events
                .retain(|(_, event)| !matches!(event, Event::PathChanged(_)));
            let path = pair.server_connection().unwrap().path();
            assert_eq!(path.remote(), home);
            before = home;
        }
        // A second client where the first one was, and then where it is.
        for address in [first, before] {
            pair.client_address = address;
            let stranger = pair.client.connect(
                pair.now,
                config.clone(),
                server_name(),
                Path::new(pair.server_address),
            );
            let stranger = stranger.unwrap();
            let completed = |pair: &Pair| pair.client_id() == Some(stranger);
            assert!(
                pair.run_until(SECOND, completed),
                "{:?}",
                pair.server.stats()
            );
            pair.run_for(SECOND);
            assert!(pair.exchange(1));
        }
        assert_eq!(pair.server.len(), 3);
        assert!(pair.server.connection(id).is_some());
    }
}

/// J23: the application hears of each change, from where to where, and whether it is proved.
/// RFC 9146 §6: without a way to prove it nothing moves, unless the application has its own.
#[test]
fn j23_the_application_decides_who_is_followed() {
    for versions in VERSIONS {
        for (migration, follows, validated) in [
            (Migration::Never, false, false),
            (Migration::Validated, true, true),
            (Migration::Enhanced, true, true),
            (Migration::Newest, true, false),
        ] {
            let (mut pair, _) = connected(versions, 0, 8, migration);
            let from = pair.client_address;
            pair.run_for(SECOND);
            pair.client_address = ([198, 51, 100, 1], 1).into();
            assert!(pair.exchange(3), "{migration:?}");
            pair.run_for(5 * SECOND);
            let expected = [(from, pair.client_address, validated)];
            let expected = if follows { &expected[..] } else { &[] };
            assert_eq!(moved(&pair.server_events), expected, "{migration:?}");
            assert!(moved(&pair.client_events).is_empty());
        }
    }
}

/// J17: either end may be the one that moves, at both versions.
#[test]
fn j17_either_end_checks_paths_at_both_versions() {
    for versions in VERSIONS {
        let (mut pair, _) = connected(versions, 8, 0, Migration::Validated);
        let from = pair.server_address;
        pair.run_for(SECOND);
        pair.server_address = ([198, 51, 100, 2], 4433).into();
        assert!(pair.exchange(3));
        pair.run_for(SECOND);
        assert_eq!(
            moved(&pair.client_events),
            [(from, pair.server_address, true)]
        );
    }
}

/// J14: a connection ID that nobody has given is nobody's, whatever address it comes from.
#[test]
fn j14_n51_18_no_address_stands_in_for_a_connection_id() {
    for versions in VERSIONS {
        let (mut pair, _) = connected(versions, 0, 8, Migration::Newest);
        pair.record();
        assert!(pair.exchange(1));
        let live = pair.seen.take().unwrap();
        let mut live = live
            .into_iter()
            .find(|it| it.direction == Direction::ToServer)
            .unwrap()
            .datagram;
        let at = if live[0] == 25 { 11 } else { 1 };
        let before = pair.server.stats().unknown_connection_ids;
        for byte in at..at + 8 {
            live[byte] ^= 0x55;
            pair.deliver_to_server(&live);
            live[byte] ^= 0x55;
        }
        let server = pair.server_connection().unwrap();
        let dropped = server.stats().discarded(Discard::UnknownConnectionId);
        let unknown = pair.server.stats().unknown_connection_ids - before;
        assert_eq!(unknown + dropped, 8);
        assert_eq!(server.stats().discarded(Discard::Unauthenticated), 0);
        assert!(pair.exchange(1));
    }
}

/// J21: after a restart records of before are counted, and the next handshake is a new one.
#[test]
fn j21_records_from_before_a_restart_are_counted() {
    for versions in VERSIONS {
        let (config, server) = configs(versions, 0, 8, Migration::Validated);
        let mut pair = pair_of(config.clone(), server.clone());
        let policy = EndpointPolicy::default();
        pair.server = Endpoint::new(pair.now, policy, Some(server)).unwrap();
        let id = pair.client_id().unwrap();
        for _ in 0..5 {
            let mut client = pair.client.association(pair.now, id).unwrap();
            client.send(b"is anybody there?").unwrap();
            drop(client);
            pair.step();
        }
        pair.run_for(SECOND);
        assert_eq!(pair.server.stats().unknown_connection_ids, 5);
        pair.client = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
        pair.client_events.clear();
        pair.server_events.clear();
        pair.connect(config, server_name()).unwrap();
        assert!(pair.run_until_connected(SECOND));
        assert!(pair.exchange(1));
    }
}

/// J16, and RFC 9147 §9: what was sent under the old connection ID is taken beside what carries the
/// new one, in whatever order it comes.
#[test]
fn j16_n52_06_a_connection_id_is_replaced_without_a_loss() {
    let (mut pair, _) = connected(Versions::V1_3, 8, 8, Migration::Validated);
    pair.set_conditions(&Conditions {
        reorder: 64,
        delay: Duration::from_millis(20),
        ..Conditions::default()
    });
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let mut received = Vec::new();
    let mut carried = BTreeSet::new();
    pair.record();
    for round in 0..200_u16 {
        let now = pair.now;
        if round % 20 == 0 {
            let mut it = pair.server.association(now, server).unwrap();
            it.renew_connection_id().unwrap();
        }
        let mut it = pair.client.association(now, client).unwrap();
        it.send(&round.to_be_bytes()).unwrap();
        drop(it);
        pair.run_for(Duration::from_millis(5));
        let mut it = pair.server.association(pair.now, server).unwrap();
        received.extend(std::iter::from_fn(|| it.recv()).map(|it| it.data));
    }
    pair.run_for(SECOND);
    let mut it = pair.server.association(pair.now, server).unwrap();
    received.extend(std::iter::from_fn(|| it.recv()).map(|it| it.data));
    let received: BTreeSet<_> = received.into_iter().map(|it| it.to_vec()).collect();
    assert_eq!(received.len(), 200);
    for seen in pair.seen.take().unwrap() {
        if seen.direction == Direction::ToServer {
            assert_eq!(seen.datagram[0] & 0xf0, 0x30);
            carried.insert(seen.datagram[1..9].to_vec());
        }
    }
    assert_eq!(carried.len(), 11);
}

/// RFC 9146 §3, J18: a renegotiation agrees anew, and what it does not agree on is over. The
/// association itself goes on, under its address.
#[test]
fn j18_n51_05_a_renegotiation_has_connection_ids_of_its_own() {
    let (mut pair, _) = connected(Versions::V1_2, 8, 8, Migration::Validated);
    pair.record();
    let id = pair.client_id().unwrap();
    for _ in 0..3 {
        assert!(pair.exchange(1));
        let mut client = pair.client.association(pair.now, id).unwrap();
        client.renegotiate().unwrap();
        drop(client);
        let before = pair.client_events.len();
        let done = |pair: &Pair| pair.client_events.len() > before;
        assert!(pair.run_until(SECOND, done));
        pair.client_address.set_port(pair.client_address.port() + 1);
        assert!(pair.exchange(3));
        pair.run_for(SECOND);
        let home = pair.server_connection().unwrap().path().remote();
        assert_eq!(home, pair.client_address);
    }
    let seen = pair.seen.take().unwrap();
    let carried: BTreeSet<_> = seen
        .iter()
        .filter(|it| it.direction == Direction::ToServer && it.datagram[0] == 25)
        .map(|it| it.datagram[11..19].to_vec())
        .collect();
    assert_eq!(carried.len(), 4);
}

/// J9: a last flight in one datagram, plaintext and a Finished with a connection ID, needs no
/// repetition.
#[test]
fn j09_n51_20_a_flight_that_changes_its_form_in_a_datagram_is_taken_at_once() {
    for versions in VERSIONS {
        let (pair, _) = connected(versions, 8, 8, Migration::Never);
        let client = pair.client_connection().unwrap();
        let server = pair.server_connection().unwrap();
        assert_eq!(client.stats().flights_retransmitted(), 0);
        assert_eq!(server.stats().flights_retransmitted(), 0);
        for end in [client, server] {
            // It says nothing that the epochs do not say.
            let mut discards = end.stats().discards();
            assert!(discards.all(|(cause, _)| cause == Discard::ChangeCipherSpec));
        }
    }
}

/// RFC 9146 §3: a client whose address changes between its flights is found by the last record of
/// the second one, and its handshake goes on, also if somebody else lives where it is now.
#[test]
fn a_client_that_moves_in_its_handshake_completes_it() {
    for versions in VERSIONS {
        for inhabited in [false, true] {
            let (client, server) = configs(versions, 8, 8, Migration::Validated);
            let mut pair = Pair::new(server, start(), 1).unwrap();
            let (from, to) = (pair.client_address, ([192, 0, 2, 1], 7).into());
            if inhabited {
                pair.client_address = to;
                pair.connect(client.clone(), server_name()).unwrap();
                assert!(pair.run_until_connected(SECOND));
                pair.client = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
                pair.client_events.clear();
                pair.server_events.clear();
                pair.client_address = from;
            }
            let accepted = pair.server.stats().accepted;
            pair.connect(client, server_name()).unwrap();
            let half_open = |pair: &Pair| pair.server.half_open() == 1;
            assert!(pair.run_until(SECOND, half_open));
            pair.client_address = to;
            assert!(pair.run_until_connected(10 * SECOND), "{versions:?}");
            assert_eq!(pair.server.stats().accepted, accepted + 1);
            assert!(pair.exchange(3));
            pair.run_for(SECOND);
            let path = pair.server_connection().unwrap().path();
            assert_eq!(path.remote(), to);
        }
    }
}

/// What the system says of an address concerns every association that sends there, those included
/// that connection IDs alone lead to.
#[test]
fn a_narrow_path_is_that_of_all_associations_with_one_address() {
    let (mut pair, config) = connected(Versions::V1_2, 8, 8, Migration::Validated);
    let first = pair.client_id().unwrap();
    let path = Path::new(pair.server_address);
    let before = pair.client.connection(first).unwrap().max_payload();
    assert!(pair.client.handle_too_large(pair.now, path, 1400));
    let alone = pair.client.connection(first).unwrap().max_payload();
    assert!(alone < before);
    // The second one has the address as long as its handshake lasts.
    let second = pair.connect(config, server_name()).unwrap();
    assert!(pair.client.handle_too_large(pair.now, path, 1300));
    let with_another = pair.client.connection(first).unwrap().max_payload();
    assert!(with_another < alone, "{with_another}");
    assert!(pair.run_until(SECOND, |pair| pair.client_id() == Some(second)));
}

/// J12: what was agreed on is visible at both ends, also where it is that nobody wants any.
#[test]
fn j12_each_end_tells_what_it_receives_and_sends() {
    for versions in VERSIONS {
        for (client, server) in [(0, 0), (0, 8), (8, 0), (4, 20)] {
            let (pair, _) = connected(versions, client, server, Migration::Never);
            let ids = |it: &DtlsConnection| {
                let received = it.received_connection_id().unwrap();
                (received, it.sent_connection_id().unwrap())
            };
            let (to_client, to_server) = ids(pair.client_connection().unwrap());
            assert_eq!((to_client.len(), to_server.len()), (client, server));
            let expected = (to_server, to_client);
            assert_eq!(ids(pair.server_connection().unwrap()), expected);
        }
        let configs = Ends::new().versions(versions).build();
        let pair = configs.connected(1);
        let client = pair.client_connection().unwrap();
        assert_eq!(client.received_connection_id(), None);
        assert_eq!(client.sent_connection_id(), None);
    }
}
