//! Several endpoints on one port. Linux alone says which of them gets a datagram.

#![cfg(all(feature = "net", target_os = "linux"))]

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::readiness::wait_for;
use mio::{Events, Poll, Token};
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::{Event, HandshakeKind};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, iter, thread};

const LOCALHOST: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

const MEMBERS: usize = 2;

/// So many that none of the members is without any, but once in 2^63 runs.
const CLIENTS: usize = 64;

/// Each member belongs to a thread.
const fn is_send<T: Send>() {}
const _: () = is_send::<UdpEndpoint>();

fn bind(local: SocketAddr, configs: &Configs) -> io::Result<Vec<UdpEndpoint>> {
    let members = NonZeroUsize::new(MEMBERS).unwrap();
    let policy = EndpointPolicy::default();
    UdpEndpoint::bind_group(local, members, policy, configs.server.clone())
}

fn group(configs: &Configs) -> (Vec<UdpEndpoint>, SocketAddr) {
    let members = bind(LOCALHOST.into(), configs).unwrap();
    let address = members[0].local_addr().unwrap();
    for member in &members {
        assert_eq!(member.local_addr().unwrap(), address);
    }
    (members, address)
}

/// A client on a port of its own, which stays the same in all its handshakes.
struct Client {
    udp: UdpEndpoint,
    server: SocketAddr,
    events: Vec<Event>,
    received: Vec<u8>,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let policy = EndpointPolicy::default();
        Self {
            udp: UdpEndpoint::connected_to(server, policy).unwrap(),
            server,
            events: Vec::new(),
            received: Vec::new(),
        }
    }

    fn connect(&mut self, configs: &Configs) -> AssociationId {
        let config = configs.client.clone();
        let id = self.udp.connect(config, server_name(), self.server);
        id.unwrap()
    }

    fn turn(&mut self) {
        self.udp.turn().unwrap();
        while let Some((id, event)) = self.udp.poll_event() {
            while let Some(mut association) = self.udp.association(id)
                && let Some(received) = association.recv()
            {
                self.received.extend_from_slice(&received.data);
            }
            self.events.push(event);
        }
    }

    /// The kind of the handshake that is complete.
    fn kind(&self) -> Option<HandshakeKind> {
        self.events.iter().find_map(|event| match event {
            Event::HandshakeComplete { kind, .. } => Some(*kind),
            _ => None,
        })
    }

    fn send(&mut self, id: AssociationId, data: &[u8]) {
        self.udp.association(id).unwrap().send(data).unwrap();
    }
}

/// Does what is to do at a member, and sends back what came.
fn serve(member: &mut UdpEndpoint) {
    member.turn().unwrap();
    while let Some((id, event)) = member.poll_event() {
        while event == Event::Readable
            && let Some(mut association) = member.association(id)
            && let Some(received) = association.recv()
        {
            association.send(&received.data).unwrap();
        }
    }
    member.turn().unwrap();
}

/// Turns everybody until `done`; ten seconds are far too long for a loopback.
fn run_until(
    members: &mut [UdpEndpoint],
    clients: &mut [Client],
    mut done: impl FnMut(&[UdpEndpoint], &[Client]) -> bool,
) {
    let end = start() + Duration::from_secs(10);
    while !done(members, clients) {
        clients.iter_mut().for_each(Client::turn);
        members.iter_mut().for_each(serve);
        assert!(start() < end, "too slow");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Which member is first to count something.
fn counted(members: &[UdpEndpoint], count: impl Fn(&UdpEndpoint) -> u64) -> Option<usize> {
    members.iter().position(|member| count(member) > 0)
}

fn accepted(member: &UdpEndpoint) -> u64 {
    member.endpoint().stats().accepted
}

fn asked(member: &UdpEndpoint) -> u64 {
    let stats = member.endpoint().stats();
    stats.hello_verify_requests + stats.retry_requests
}

fn strays(member: &UdpEndpoint) -> u64 {
    member.endpoint().stats().strays
}

/// Each member in a thread with an event loop, as in a service.
#[test]
fn peers_are_dealt_out_and_stay_with_their_member() {
    let configs = Ends::new().build();
    let (members, address) = group(&configs);
    let over = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let run = |mut member: UdpEndpoint| {
            let mut poll = Poll::new().unwrap();
            let mut ready = Events::with_capacity(8);
            member.register(poll.registry(), Token(0)).unwrap();
            while !over.load(Ordering::Relaxed) {
                serve(&mut member);
                let wait = member.poll_timeout().unwrap_or(Duration::MAX);
                let wait = wait.min(Duration::from_millis(20));
                wait_for(&mut poll, &mut ready, Some(wait));
            }
            assert_eq!(strays(&member), 0);
            accepted(&member)
        };
        let threads: Vec<_> = members
            .into_iter()
            .map(|member| scope.spawn(move || run(member)))
            .collect();
        let mut clients: Vec<_> = iter::repeat_with(|| Client::new(address))
            .take(CLIENTS)
            .collect();
        let ids: Vec<_> = clients.iter_mut().map(|it| it.connect(&configs)).collect();
        run_until(&mut [], &mut clients, |_, clients| {
            clients.iter().all(|it| it.kind().is_some())
        });
        for round in 1..=10 {
            for (client, id) in clients.iter_mut().zip(&ids) {
                client.send(*id, b"x");
            }
            run_until(&mut [], &mut clients, |_, clients| {
                clients.iter().all(|it| it.received.len() == round)
            });
        }
        over.store(true, Ordering::Relaxed);
        let counts = threads.into_iter().map(|thread| thread.join().unwrap());
        counts.collect::<Vec<_>>()
    });
    assert_eq!(served.iter().sum::<u64>(), CLIENTS as u64);
    assert!(served.iter().all(|count| *count > 0), "{served:?}");
}

/// The number of members changes between the two hellos of a client.
#[test]
fn a_cookie_is_proved_by_the_member_to_which_the_peer_has_moved() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).build();
        let (mut members, address) = group(&configs);
        let mut client = [Client::new(address)];
        client[0].connect(&configs);
        client[0].turn();
        while counted(&members, asked).is_none() {
            members.iter_mut().for_each(serve);
        }
        drop(members.remove(counted(&members, asked).unwrap()));
        run_until(&mut members, &mut client, |_, client| {
            client[0].kind().is_some()
        });
        assert_eq!((asked(&members[0]), accepted(&members[0])), (0, 1));
    }
}

/// A member goes, with all that it knew: to the others its peers are strangers, who resume.
#[test]
fn peers_whose_member_is_gone_are_strangers_to_the_others_and_resume() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).resuming().build();
        let (mut members, address) = group(&configs);
        let mut client = [Client::new(address)];
        let id = client[0].connect(&configs);
        run_until(&mut members, &mut client, |_, client| {
            client[0].kind() == Some(HandshakeKind::Full)
        });
        // Behind the tickets of 1.3.
        client[0].send(id, b"a");
        run_until(&mut members, &mut client, |_, client| {
            client[0].received == b"a"
        });
        drop(members.remove(counted(&members, accepted).unwrap()));
        client[0].send(id, b"to nobody");
        run_until(&mut members, &mut client, |members, _| {
            strays(&members[0]) > 0
        });
        client[0].udp.association(id).unwrap().close();
        run_until(&mut members, &mut client, |_, client| {
            client[0].udp.endpoint().is_empty()
        });
        client[0].events.clear();
        let id = client[0].connect(&configs);
        run_until(&mut members, &mut client, |_, client| {
            client[0].kind() == Some(HandshakeKind::Resumed)
        });
        client[0].send(id, b"b");
        run_until(&mut members, &mut client, |_, client| {
            client[0].received == b"ab"
        });
    }
}

/// A port that was asked for by number is shared with other groups of the same user, one that the
/// system has chosen was nobody's; who wants a port alone does not get one of a group.
#[test]
fn a_port_is_shared_with_who_asks_for_it_in_the_same_way() {
    let configs = Ends::new().build();
    let (_members, address) = group(&configs);
    let again = bind(address, &configs).unwrap();
    assert_eq!(again[1].local_addr().unwrap(), address);
    let policy = EndpointPolicy::default();
    let server = Some(configs.server.clone());
    let alone = UdpEndpoint::bind(address, policy.clone(), server.clone());
    assert_eq!(alone.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let alone = UdpEndpoint::bind(LOCALHOST.into(), policy, server).unwrap();
    let late = bind(alone.local_addr().unwrap(), &configs);
    assert_eq!(late.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}
