//! Peers whose address changes, on endpoints with connection IDs (RFC 9146, RFC 9147 §9, RFC 9853).

use crate::common::configs::{Ends, server_name, start};
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::endpoint::AssociationId;
use sealgram::sim::Pair;
use sealgram::{ClientConfig, Event, Path, ServerConfig};
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
    let ends = Ends::new().versions(versions);
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
    let mut pair = Pair::new(server, start(), 1).unwrap();
    pair.connect(client.clone(), server_name()).unwrap();
    assert!(
        pair.run_until_connected(SECOND),
        "{:?}",
        pair.server.stats()
    );
    (pair, client)
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
