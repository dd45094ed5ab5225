//! A client whose socket is replaced by another, on real sockets: who has connection IDs is
//! recognised, who has none is a stranger.

#![cfg(feature = "net")]

use crate::common::configs::{Ends, server_name, start};
use sealgram::Event;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use std::time::Duration;

struct Both {
    client: UdpEndpoint,
    server: UdpEndpoint,
    client_events: Vec<(AssociationId, Event)>,
    server_events: Vec<(AssociationId, Event)>,
}

impl Both {
    /// A client and a server whose handshake is complete.
    fn connected(versions: Versions, ids: Option<usize>) -> (Self, AssociationId, AssociationId) {
        let policy = DatagramPolicy::default().connection_ids(ids).unwrap();
        let configs = Ends::new().versions(versions).datagram(&policy).build();
        let local = ([127, 0, 0, 1], 0).into();
        let policy = EndpointPolicy::default();
        let server = UdpEndpoint::bind(local, policy.clone(), Some(configs.server)).unwrap();
        let remote = server.local_addr().unwrap();
        let mut this = Self {
            client: UdpEndpoint::connected_to(remote, policy).unwrap(),
            server,
            client_events: Vec::new(),
            server_events: Vec::new(),
        };
        this.client
            .connect(configs.client, server_name(), remote)
            .unwrap();
        this.run_until(|it| {
            complete(&it.client_events).is_some() && complete(&it.server_events).is_some()
        });
        let client = complete(&this.client_events).unwrap();
        let server = complete(&this.server_events).unwrap();
        (this, client, server)
    }

    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = start() + Duration::from_secs(10);
        while !done(self) {
            self.client.turn().unwrap();
            self.server.turn().unwrap();
            self.client_events
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            self.server_events
                .extend(std::iter::from_fn(|| self.server.poll_event()));
            assert!(start() < end, "{:?}", self.server_events);
        }
    }
}

fn complete(events: &[(AssociationId, Event)]) -> Option<AssociationId> {
    events.iter().find_map(|event| match event {
        (id, Event::HandshakeComplete { .. }) => Some(*id),
        _ => None,
    })
}

/// RFC 9146 §6, RFC 9853 §5.1: the server follows once the new address has answered.
#[test]
fn a_client_with_connection_ids_that_binds_another_socket_is_followed() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (mut both, client, server) = Both::connected(versions, Some(8));
        let of = |endpoint: &UdpEndpoint, id| {
            let connection = endpoint.endpoint().connection(id).unwrap();
            let ids = connection.received_connection_id();
            (ids.unwrap(), connection.sent_connection_id().unwrap())
        };
        let (received, sent) = of(&both.client, client);
        assert_eq!((received.len(), sent.len()), (8, 8));
        assert_eq!(of(&both.server, server), (sent, received));

        let before = both.client.local_addr().unwrap();
        both.client.rebind(([127, 0, 0, 1], 0).into()).unwrap();
        let after = both.client.local_addr().unwrap();
        assert_ne!(before, after);
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
    let (mut both, client, server) = Both::connected(Versions::V1_2, None);
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
