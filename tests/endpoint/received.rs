//! What a datagram came with: the epoch, the path, the connection ID, and who the peer was then.

use crate::common::configs::{Ends, server_name, start};
use crate::common::handshakes::{SIDES, connection, send, willing};
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::identity::WebPkiClientVerifier;
use sealgram::record::Received;
use sealgram::server::ClientAuthentication;
use sealgram::sim::Pair;
use sealgram::{KeyUpdate, Side};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

/// Two ends that receive connection IDs of these lengths, or none; the client has a certificate,
/// for which nobody has asked. And what asks for it.
fn connected(versions: Versions, lengths: [Option<usize>; 2]) -> (Pair, ClientAuthentication) {
    let [client, server] = lengths.map(|length| {
        let policy = DatagramPolicy::default().connection_ids(length).unwrap();
        policy.migration(Migration::Validated)
    });
    let mut ends = Ends::new().mutual().versions(versions);
    ends.client = ends.client.datagram(client);
    let server = ends.server.datagram(server).rekey(willing());
    ends.server = server.client_authentication(ClientAuthentication::None);
    let verifier = WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
    let configs = ends.build();
    let mut pair = Pair::new(configs.server, start(), 1).unwrap();
    pair.connect(configs.client, server_name()).unwrap();
    assert!(pair.run_until_connected(SECOND));
    pair.run_for(SECOND);
    (pair, ClientAuthentication::Required(Arc::new(verifier)))
}

/// A datagram of one end that is not under way yet.
fn held(pair: &mut Pair, side: Side, data: &[u8]) -> Vec<u8> {
    send(pair, side, data).unwrap();
    let mut out = Vec::new();
    let endpoint = match side {
        Side::Client => &mut pair.client,
        Side::Server => &mut pair.server,
    };
    endpoint.poll_transmit(pair.now, 1, &mut out).unwrap();
    out
}

fn deliver(pair: &mut Pair, to: Side, datagram: &[u8]) {
    match to {
        Side::Client => pair.deliver_to_client(datagram),
        Side::Server => pair.deliver_to_server(datagram),
    }
}

fn recv(pair: &mut Pair, side: Side) -> Option<Received> {
    let (endpoint, id) = match side {
        Side::Client => (&mut pair.client, pair.client_events.first()?.0),
        Side::Server => (&mut pair.server, pair.server_events.first()?.0),
    };
    endpoint.association(pair.now, id)?.recv()
}

/// Alone in its datagram or with others, each tells the connection ID in its header, or that it has
/// none (RFC 9146 §3: each direction has its own, or none).
#[test]
fn each_datagram_tells_the_connection_id_that_it_came_with() {
    for versions in VERSIONS {
        for lengths in [
            [None, None],
            [Some(0), Some(8)],
            [Some(4), Some(0)],
            [Some(20), Some(4)],
        ] {
            let (mut pair, _) = connected(versions, lengths);
            for side in SIDES {
                let single = held(&mut pair, side, b"1");
                let several = [b"2", b"3"]
                    .map(|data| held(&mut pair, side, data))
                    .concat();
                for datagram in [single, several] {
                    deliver(&mut pair, side.peer(), &datagram);
                }
                let theirs = connection(&pair, side.peer());
                let expected = theirs.received_connection_id();
                let expected = expected.filter(|id| !id.is_empty());
                let length = lengths[usize::from(side == Side::Client)];
                let got = expected.as_ref().map(|id| id.len());
                assert_eq!(got, length.filter(|&it| it > 0));
                for data in [b"1", b"2", b"3"] {
                    let received = recv(&mut pair, side.peer()).unwrap();
                    assert_eq!(
                        received.data[..],
                        *data,
                        "{versions:?} {lengths:?} {side:?}"
                    );
                    assert_eq!(received.connection_id(), expected);
                }
            }
        }
    }
}

/// What was sent before a renegotiation and arrives after it tells the epoch, the connection ID and
/// the path of then, and the epoch who the peer was: an application can tell what it may take from
/// whom.
#[test]
fn a_late_datagram_of_1_2_tells_of_the_epoch_that_it_belongs_to() {
    let (mut pair, policy) = connected(Versions::V1_2, [Some(8), Some(8)]);
    let late = held(&mut pair, Side::Client, b"late");
    let first = connection(&pair, Side::Server).received_connection_id();
    let from = pair.client_address;
    let id = pair.server_id().unwrap();
    let mut server = pair.server.association(pair.now, id).unwrap();
    server.request_client_certificate(policy).unwrap();
    drop(server);
    pair.run_for(SECOND);
    pair.client_address.set_port(7);
    send(&mut pair, Side::Client, b"new").unwrap();
    pair.run_for(SECOND);
    let second = connection(&pair, Side::Server).received_connection_id();
    assert_ne!(first, second);
    pair.deliver(Side::Server, from, &late);
    // Whoever sends a late one from another address moves nobody.
    let home = pair.client_address;
    assert_eq!(connection(&pair, Side::Server).path().remote(), home);
    for (data, epoch, id, from, is_known) in [
        (&b"new"[..], 2, &second, home, true),
        (b"late", 1, &first, from, false),
    ] {
        let received = recv(&mut pair, Side::Server).unwrap();
        assert_eq!(received.data, data);
        assert_eq!(received.epoch.number(), epoch);
        assert_eq!(received.connection_id(), *id);
        assert_eq!(received.path.remote(), from);
        let server = connection(&pair, Side::Server);
        let identity = server.peer_identity_in(received.epoch);
        assert_eq!(identity.is_some(), is_known, "{epoch}");
    }
}

/// The same at 1.3, where connection IDs do not depend on epochs (RFC 9147 §9): what overtakes a
/// change of it, or of the keys, tells what it came with itself.
#[test]
fn a_late_datagram_of_1_3_tells_of_the_connection_id_that_it_carried() {
    let (mut pair, _) = connected(Versions::V1_3, [Some(8), Some(8)]);
    let late = held(&mut pair, Side::Client, b"late");
    let first = connection(&pair, Side::Server).received_connection_id();
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let mut it = pair.server.association(pair.now, server).unwrap();
    it.renew_connection_id().unwrap();
    drop(it);
    pair.run_for(SECOND);
    let mut it = pair.client.association(pair.now, client).unwrap();
    it.key_update(KeyUpdate::NotRequested).unwrap();
    drop(it);
    pair.run_for(SECOND);
    send(&mut pair, Side::Client, b"new").unwrap();
    pair.run_for(SECOND);
    pair.deliver_to_server(&late);
    let new = recv(&mut pair, Side::Server).unwrap();
    let late = recv(&mut pair, Side::Server).unwrap();
    assert_eq!((&new.data[..], &late.data[..]), (&b"new"[..], &b"late"[..]));
    assert_eq!(new.epoch.number(), late.epoch.number() + 1);
    assert_eq!(late.connection_id(), first);
    assert!(new.connection_id().is_some() && new.connection_id() != first);
    let server = connection(&pair, Side::Server);
    let identity = server.peer_identity_in(late.epoch);
    assert_eq!(identity, server.peer_identity_in(new.epoch));
}
