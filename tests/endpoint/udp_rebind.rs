//! A client whose socket is replaced by another, on real sockets: who has connection IDs is
//! recognised, who has none is a stranger.

#![cfg(feature = "net")]

use crate::common::configs::Ends;
use crate::sockets::Both;
use sealgram::Event;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::endpoint::AssociationId;
use sealgram::net::UdpEndpoint;

/// A client and a server whose handshake is complete, with connection IDs of this length or none.
fn connected(versions: Versions, ids: Option<usize>) -> (Both, AssociationId, AssociationId) {
    let policy = DatagramPolicy::default().connection_ids(ids).unwrap();
    let configs = Ends::new().versions(versions).datagram(&policy).build();
    let (both, _) = Both::connected(&configs);
    let (client, server) = both.ids();
    (both, client, server)
}

/// RFC 9146 §6, RFC 9853 §5.1: the server follows once the new address has answered.
#[test]
fn a_client_with_connection_ids_that_binds_another_socket_is_followed() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (mut both, client, server) = connected(versions, Some(8));
        let of = |endpoint: &UdpEndpoint, id| {
            let connection = endpoint.endpoint().connection(id).unwrap();
            let ids = connection.received_connection_id();
            (ids.unwrap(), connection.sent_connection_id().unwrap())
        };
        let (received, sent) = of(&both.client, client);
        assert_eq!((received.len(), sent.len()), (8, 8));
        assert_eq!(of(&both.server, server), (sent.clone(), received));
        // RFC 9147 §9: who has one to spare uses it for a new path. At 1.2 there are none.
        let asked = both.client.association(client).unwrap();
        let spares = { asked }.request_connection_ids(1).is_ok();
        assert_eq!(spares, versions == Versions::V1_3);
        let mut turns = 0;
        both.run_until(|_| {
            turns += 1;
            turns > 500
        });

        let before = both.client.local_addr().unwrap();
        both.client.rebind(([127, 0, 0, 1], 0).into()).unwrap();
        let after = both.client.local_addr().unwrap();
        assert_ne!(before, after);
        assert_eq!(of(&both.client, client).1 != sent, spares);
        both.client
            .association(client)
            .unwrap()
            .send(b"here")
            .unwrap();
        both.run_until(|it| {
            let moved = it.server_events.iter().find_map(|event| match event {
                (_, Event::PathChanged(change)) => Some(change.clone()),
                _ => None,
            });
            moved.is_some_and(|change| {
                assert_eq!((change.from.remote(), change.to.remote()), (before, after));
                assert!(change.validated);
                true
            })
        });
        let got = both.server.association(server).unwrap().recv();
        assert_eq!(got.unwrap().data, "here");
        both.server
            .association(server)
            .unwrap()
            .send(b"there")
            .unwrap();
        let mut got = None;
        both.run_until(|it| {
            got = it.client.association(client).unwrap().recv();
            got.is_some()
        });
        assert_eq!(got.unwrap().data, "there");
        assert_eq!(both.server.endpoint().stats().strays, 0);
    }
}

#[test]
fn a_client_without_connection_ids_that_binds_another_socket_is_a_stranger() {
    let (mut both, client, server) = connected(Versions::V1_2, None);
    let connection = both.client.endpoint().connection(client).unwrap();
    assert_eq!(connection.received_connection_id(), None);
    assert_eq!(connection.sent_connection_id(), None);
    both.client.rebind(([127, 0, 0, 1], 0).into()).unwrap();
    both.client
        .association(client)
        .unwrap()
        .send(b"here")
        .unwrap();
    both.run_until(|it| it.server.endpoint().stats().strays == 1);
    assert!(both.server.association(server).unwrap().recv().is_none());
}
