//! One address has many spellings: IPv4 on a socket of IPv6, "here", an interface that is named or
//! not.

#![cfg(feature = "net")]

use crate::common::configs::{Ends, server_name, start};
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use sealgram::error::ConnectError;
use sealgram::net::UdpEndpoint;
use sealgram::{Event, Path};
use std::net::SocketAddr;
use std::time::Duration;

/// Connects over real sockets, data both ways; how the client and the server name each other.
fn connects(listen: &str, bind: &str, host: &str, alone: bool) -> (SocketAddr, SocketAddr) {
    let configs = Ends::new().versions(Versions::ALL).build();
    let policy = EndpointPolicy::default;
    let listen = listen.parse().unwrap();
    let mut server = UdpEndpoint::bind(listen, policy(), Some(configs.server)).unwrap();
    let mut remote: SocketAddr = host.parse().unwrap();
    remote.set_port(server.local_addr().unwrap().port());
    let mut client = match alone {
        true => UdpEndpoint::connected_to(remote, policy()),
        false => UdpEndpoint::bind(bind.parse().unwrap(), policy(), None),
    }
    .unwrap();
    let id = client
        .connect(configs.client, server_name(), remote)
        .unwrap();
    let (mut greeted, mut peer) = (false, None);
    let end = start() + Duration::from_secs(5);
    while start() < end {
        client.turn().unwrap();
        server.turn().unwrap();
        while let Some(event) = client.poll_event() {
            let complete = is_complete(&event);
            if complete {
                client.association(id).unwrap().send(b"hello").unwrap();
            }
        }
        while let Some(event) = server.poll_event() {
            if let (true, (id, _)) = (is_complete(&event), &event) {
                peer = Some(*id);
            }
        }
        if let Some(peer) = peer.filter(|_| !greeted)
            && let Some(mut there) = server.association(peer)
            && let Some(received) = there.recv()
        {
            greeted = true;
            there.send(&received.data).unwrap();
        }
        let received = client.association(id).unwrap().recv();
        if let Some(received) = received {
            assert_eq!(received.data, "hello");
            let there = client.endpoint().connection(id).unwrap().path().remote();
            let here = server.endpoint().connection(peer.unwrap()).unwrap();
            return (there, here.path().remote());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!(
        "{host} from {bind}: not connected, {} datagrams belonged to nobody",
        client.endpoint().stats().strays
    );
}

fn is_complete(event: &(AssociationId, Event)) -> bool {
    matches!(event, (_, Event::HandshakeComplete { .. }))
}

/// Whether this machine has an IPv6 loopback.
fn has_ipv6() -> bool {
    let bound = std::net::UdpSocket::bind("[::1]:0");
    if let Err(error) = &bound {
        println!("skipped: no IPv6 here ({error})");
    }
    bound.is_ok()
}

/// RFC 4291 §2.5.5.2: on a socket of IPv6 a node of IPv4 is ::ffff:a.b.c.d.
#[test]
fn a_client_on_a_dual_stack_socket_reaches_a_server_of_ipv4() {
    if !has_ipv6() {
        return;
    }
    for host in ["127.0.0.1:0", "[::ffff:127.0.0.1]:0"] {
        let (server, client) = connects("127.0.0.1:0", "[::]:0", host, false);
        assert_eq!(server.ip().to_string(), "127.0.0.1");
        assert_eq!(client.ip().to_string(), "127.0.0.1");
    }
}

/// The other way round: whoever writes the address in its mapped form means the same server.
#[test]
fn a_client_of_ipv4_takes_the_mapped_form_of_an_address() {
    connects("127.0.0.1:0", "0.0.0.0:0", "[::ffff:127.0.0.1]:0", false);
    connects("127.0.0.1:0", "", "[::ffff:127.0.0.1]:0", true);
}

#[test]
fn a_dual_stack_server_calls_its_clients_of_ipv4_by_their_own_address() {
    if !has_ipv6() {
        return;
    }
    let (_, client) = connects("[::]:0", "0.0.0.0:0", "127.0.0.1:0", false);
    assert_eq!(client.ip().to_string(), "127.0.0.1");
    let (_, client) = connects("[::]:0", "[::]:0", "127.0.0.1:0", false);
    assert_eq!(client.ip().to_string(), "127.0.0.1");
}

/// RFC 1122 §3.2.1.3: "this host" is no address that an answer can come from.
#[test]
fn a_server_at_the_unspecified_address_is_the_one_on_this_host() {
    let (server, _) = connects("0.0.0.0:0", "0.0.0.0:0", "0.0.0.0:0", false);
    assert_eq!(server.ip().to_string(), "127.0.0.1");
    connects("127.0.0.1:0", "127.0.0.1:0", "0.0.0.0:0", false);
    connects("127.0.0.2:0", "127.0.0.2:0", "0.0.0.0:0", false);
    connects("0.0.0.0:0", "", "0.0.0.0:0", true);
    if has_ipv6() {
        let (server, _) = connects("[::]:0", "[::]:0", "[::]:0", false);
        assert_eq!(server.ip().to_string(), "::1");
        connects("[::]:0", "", "[::]:0", true);
        connects("127.0.0.1:0", "[::]:0", "0.0.0.0:0", false);
    }
}

/// RFC 4007 §6: the system names the zone that a link-local answer came in by.
#[test]
fn an_answer_from_a_link_local_address_may_name_its_scope() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for asked in ["[fe80::1]:4433", "[fe80::1%3]:4433"] {
            let configs = Ends::new().versions(versions).build();
            let mut pair = sealgram::sim::Pair::new(configs.server, start(), 1).unwrap();
            pair.server_address = asked.parse().unwrap();
            pair.connect(configs.client, server_name()).unwrap();
            pair.server_address = "[fe80::1%3]:4433".parse().unwrap();
            assert!(
                pair.run_until_connected(Duration::from_secs(5)),
                "{asked}: {} strays",
                pair.client.stats().strays
            );
            assert!(pair.exchange(2));
        }
    }
}

/// A scope means something for addresses that are not unique without it, and a flow label never
/// names a node (RFC 6437 §2).
#[test]
fn scope_and_flow_label_of_a_global_address_do_not_matter() {
    let configs = Ends::new().build();
    let mut pair = sealgram::sim::Pair::new(configs.server, start(), 1).unwrap();
    let address = |flow, scope| {
        let ip = "2001:db8::1".parse().unwrap();
        std::net::SocketAddrV6::new(ip, 4433, flow, scope).into()
    };
    pair.server_address = address(7, 3);
    pair.connect(configs.client, server_name()).unwrap();
    pair.server_address = address(0, 0);
    assert!(pair.run_until_connected(Duration::from_secs(5)));
}

/// Two links have two nodes of the same link-local address.
#[test]
fn nodes_of_the_same_link_local_address_on_two_links_are_two_peers() {
    let configs = Ends::new().build();
    let mut client = Endpoint::new(start(), EndpointPolicy::default(), None).unwrap();
    for address in ["[fe80::1%3]:1", "[fe80::1%4]:1"] {
        let path = Path::new(address.parse().unwrap());
        client
            .connect(start(), configs.client.clone(), server_name(), path)
            .unwrap();
    }
}

#[test]
fn an_address_is_in_use_however_it_is_spelt() {
    for (first, second) in [
        ("192.0.2.1:1", "[::ffff:192.0.2.1]:1"),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1:1"),
        ("[fe80::1%3]:1", "[fe80::1]:1"),
        ("[fe80::1]:1", "[fe80::1%3]:1"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:1", "[::1]:1"),
    ] {
        let configs = Ends::new().build();
        let mut client = Endpoint::new(start(), EndpointPolicy::default(), None).unwrap();
        let mut connect = |address: &str| {
            let path = Path::new(address.parse().unwrap());
            client.connect(start(), configs.client.clone(), server_name(), path)
        };
        connect(first).unwrap();
        let refused = connect(second);
        assert!(
            matches!(refused, Err(ConnectError::AddressInUse(_))),
            "{first}, then {second}: {refused:?}"
        );
    }
}

/// RFC 6347 §4.2.1: a cookie is for an address, and the spelling of that may differ from one call
/// to the next.
#[test]
fn a_client_is_the_same_to_a_server_however_its_address_is_spelt() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).build();
        let mut pair = configs.pair(1);
        for step in 0.. {
            let spelt = ["192.0.2.1:40000", "[::ffff:192.0.2.1]:40000"][step % 2];
            pair.client_address = spelt.parse().unwrap();
            assert!(pair.step(), "{versions:?}");
            if pair.is_connected() {
                break;
            }
            assert!(step < 50, "{versions:?}: {:?}", pair.server.stats());
        }
        assert_eq!(pair.server.stats().accepted, 1);
    }
}
