//! The endpoint on a real socket while it runs: in and out of event loops, and whom it serves.

#![cfg(feature = "net")]

use crate::common::configs::{Ends, server_name, start};
use crate::common::readiness::wait_for;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::{Events, Interest, Poll, Token};
use sealgram::{Event, ServerConfig};
use std::sync::Arc;
use std::time::Duration;

const LOCALHOST: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Turns both until `done`, and tells what happened to each.
fn run(
    ends: &mut [&mut UdpEndpoint; 2],
    mut done: impl FnMut(&mut [&mut UdpEndpoint; 2], &[(AssociationId, Event)]) -> bool,
) {
    let end = start() + Duration::from_secs(10);
    let mut events = Vec::new();
    loop {
        for endpoint in ends.iter_mut() {
            endpoint.turn().unwrap();
            events.extend(std::iter::from_fn(|| endpoint.poll_event()));
        }
        if done(ends, &events) {
            return;
        }
        assert!(start() < end, "{events:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn completed(events: &[(AssociationId, Event)]) -> Vec<AssociationId> {
    let ids = events.iter().filter_map(|event| match event {
        (id, Event::HandshakeComplete { .. }) => Some(*id),
        _ => None,
    });
    ids.collect()
}

fn is_readable(poll: &mut Poll) -> bool {
    let mut ready = Events::with_capacity(4);
    wait_for(poll, &mut ready, Some(Duration::from_millis(200)));
    ready.iter().any(|event| event.token() == Token(7))
}

#[test]
fn an_endpoint_is_a_source_that_moves_from_one_event_loop_to_another() {
    let policy = EndpointPolicy::default();
    let mut endpoint = UdpEndpoint::bind(LOCALHOST.into(), policy, None).unwrap();
    let address = endpoint.local_addr().unwrap();
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();

    let mut first = Poll::new().unwrap();
    let interest = Interest::READABLE;
    first
        .registry()
        .register(&mut endpoint, Token(7), interest)
        .unwrap();
    stranger.send_to(b"anything", address).unwrap();
    assert!(is_readable(&mut first));
    endpoint.turn().unwrap();
    assert_eq!(endpoint.endpoint().stats().strays, 1);

    first.registry().deregister(&mut endpoint).unwrap();
    let mut second = Poll::new().unwrap();
    endpoint.register(second.registry(), Token(1)).unwrap();
    second
        .registry()
        .reregister(&mut endpoint, Token(7), interest)
        .unwrap();
    stranger.send_to(b"anything", address).unwrap();
    assert!(is_readable(&mut second));
    assert!(!is_readable(&mut first));
    endpoint.turn().unwrap();

    endpoint.deregister().unwrap();
    // A second time there is nothing to be done.
    endpoint.deregister().unwrap();
    stranger.send_to(b"anything", address).unwrap();
    assert!(!is_readable(&mut second));
    assert_eq!(endpoint.socket().local_addr().unwrap(), address);
    #[cfg(unix)]
    std::os::fd::AsFd::as_fd(&endpoint)
        .try_clone_to_owned()
        .unwrap();
}

#[test]
fn a_server_renews_its_certificate_closes_its_door_and_says_goodbye() {
    let ends = Ends::new();
    let renewed = ServerConfig::with_credential(ends.pki.server(&rcgen::PKCS_ED25519))
        .versions(sealgram::config::Versions::V1_2)
        .build()
        .unwrap();
    let configs = ends.build();
    let policy = EndpointPolicy::default();
    let server = Some(configs.server.clone());
    let mut server = UdpEndpoint::bind(LOCALHOST.into(), policy.clone(), server).unwrap();
    let address = server.local_addr().unwrap();

    let mut identities = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = UdpEndpoint::connected_to(address, policy.clone()).unwrap();
        let id = client
            .connect(configs.client.clone(), server_name(), address)
            .unwrap();
        run(&mut [&mut client, &mut server], |_, events| {
            completed(events).len() == 2
        });
        let connection = client.endpoint().connection(id).unwrap();
        identities.push(connection.peer_identity().unwrap().fingerprint());
        client.association(id).unwrap().set_mtu(500).unwrap();
        assert!(client.endpoint().connection(id).unwrap().max_payload() < 500);
        clients.push(client);
        server.serve(Arc::new(renewed.clone())).unwrap();
    }
    assert_ne!(identities[0], identities[1]);

    server.stop_accepting();
    let mut late = UdpEndpoint::connected_to(address, policy).unwrap();
    late.connect(configs.client, server_name(), address)
        .unwrap();
    run(&mut [&mut late, &mut server], |ends, _| {
        ends[1].endpoint().stats().hellos_refused > 0
    });

    server.close_all();
    for client in &mut clients {
        run(&mut [client, &mut server], |ends, _| {
            ends[0].endpoint().is_empty()
        });
    }
    assert!(server.endpoint().is_empty());
}
