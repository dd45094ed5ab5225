//! The endpoint on real sockets: readiness, bursts, errors that the network reports.

#![cfg(feature = "net")]

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::readiness::wait_for;
use mio::{Events, Poll, Token};
use sealgram::Event;
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const LOCALHOST: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A client and a server endpoint in one event loop.
struct Loop {
    poll: Poll,
    client: UdpEndpoint,
    server: UdpEndpoint,
    events: Vec<(Who, (AssociationId, Event))>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Client,
    Server,
}

impl Loop {
    fn new(configs: &Configs) -> Self {
        let poll = Poll::new().unwrap();
        let policy = EndpointPolicy::default();
        let server = Some(configs.server.clone());
        let mut server = UdpEndpoint::bind(LOCALHOST.into(), policy.clone(), server).unwrap();
        let address = server.local_addr().unwrap();
        let mut client = UdpEndpoint::connected_to(address, policy).unwrap();
        client.register(poll.registry(), Token(0)).unwrap();
        server.register(poll.registry(), Token(1)).unwrap();
        Self {
            poll,
            client,
            server,
            events: Vec::new(),
        }
    }

    fn connect(configs: &Configs) -> (Self, AssociationId, AssociationId) {
        let mut this = Self::new(configs);
        let address = this.server.local_addr().unwrap();
        let id = this
            .client
            .connect(configs.client.clone(), server_name(), address)
            .unwrap();
        this.run_until(|this| {
            [Who::Client, Who::Server]
                .iter()
                .all(|who| this.completed(*who).is_some())
        });
        let server_id = this.completed(Who::Server).unwrap();
        (this, id, server_id)
    }

    fn completed(&self, wanted: Who) -> Option<AssociationId> {
        self.events.iter().find_map(|(who, event)| match event {
            (id, _) if *who == wanted && is_complete(event) => Some(*id),
            _ => None,
        })
    }

    /// Turns both endpoints until `done`; ten seconds are far too long for a loopback.
    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = start() + Duration::from_secs(10);
        let mut ready = Events::with_capacity(8);
        loop {
            self.client.turn().unwrap();
            self.server.turn().unwrap();
            self.events
                .extend(std::iter::from_fn(|| self.client.poll_event()).map(|e| (Who::Client, e)));
            self.events
                .extend(std::iter::from_fn(|| self.server.poll_event()).map(|e| (Who::Server, e)));
            if done(self) {
                return;
            }
            assert!(now() < end, "{:?}", self.events);
            let timeouts = [self.client.poll_timeout(), self.server.poll_timeout()];
            let wait = timeouts
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(Duration::from_millis(50));
            let wait = wait.min(Duration::from_millis(50));
            wait_for(&mut self.poll, &mut ready, Some(wait));
        }
    }
}

fn now() -> Instant {
    start()
}

#[test]
fn datagrams_pass_both_ways_over_real_sockets() {
    let (mut this, client, server) = Loop::connect(&Ends::new().build());
    this.client
        .association(client)
        .unwrap()
        .send(b"ping")
        .unwrap();
    let mut got = None;
    this.run_until(|this| {
        got = got
            .take()
            .or_else(|| this.server.association(server).unwrap().recv());
        got.is_some()
    });
    assert_eq!(got.unwrap().data, "ping");
    this.server
        .association(server)
        .unwrap()
        .send(b"pong")
        .unwrap();
    let mut got = None;
    this.run_until(|this| {
        got = got
            .take()
            .or_else(|| this.client.association(client).unwrap().recv());
        got.is_some()
    });
    assert_eq!(got.unwrap().data, "pong");
}

/// I7, I11: one readiness event, a thousand datagrams, some of them noise; all are drained.
#[test]
fn a_burst_is_drained_although_readiness_is_told_once() {
    let (mut this, client, server) = Loop::connect(&Ends::new().build());
    let noise = UdpSocket::bind(SocketAddr::from(LOCALHOST)).unwrap();
    let address = this.server.local_addr().unwrap();
    let mut received = 0;
    for burst in 0..10 {
        for number in 0..100_u32 {
            let text = [&[burst][..], &number.to_be_bytes(), &[7; 200]].concat();
            this.client
                .association(client)
                .unwrap()
                .send(&text)
                .unwrap();
            if number % 10 == 0 {
                noise.send_to(b"\x17\xfe\xfd noise", address).unwrap();
            }
        }
        let goal = received + 100;
        this.run_until(|this| {
            while this.server.association(server).unwrap().recv().is_some() {
                received += 1;
            }
            received == goal
        });
    }
    assert_eq!(received, 1000);
}

/// I8: a server that is not there yet is an event, and the handshake goes on as soon as it is.
#[test]
fn an_unreachable_peer_is_an_event_and_the_handshake_goes_on() {
    let configs = Ends::new().build();
    let address = UdpSocket::bind(SocketAddr::from(LOCALHOST))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut client = UdpEndpoint::connected_to(address, EndpointPolicy::default()).unwrap();
    let mut poll = Poll::new().unwrap();
    let mut ready = Events::with_capacity(8);
    client.register(poll.registry(), Token(0)).unwrap();
    client
        .connect(configs.client.clone(), server_name(), address)
        .unwrap();
    let mut unreachable = false;
    let end = now() + Duration::from_secs(10);
    while !unreachable {
        client.turn().unwrap();
        assert_eq!(client.poll_event(), None);
        unreachable |= client.poll_unreachable().is_some();
        assert!(now() < end);
        wait_for(&mut poll, &mut ready, Some(Duration::from_millis(50)));
    }
    // The association is still there; now the server comes up on that port.
    let server = Some(configs.server.clone());
    let mut server = UdpEndpoint::bind(address, EndpointPolicy::default(), server).unwrap();
    server.register(poll.registry(), Token(1)).unwrap();
    let mut complete = false;
    let end = now() + Duration::from_secs(20);
    while !complete {
        client.turn().unwrap();
        server.turn().unwrap();
        while let Some(event) = client.poll_event() {
            complete |= matches!(event, (_, Event::HandshakeComplete { .. }));
        }
        assert!(now() < end);
        wait_for(&mut poll, &mut ready, Some(Duration::from_millis(20)));
    }
}

/// A turn that finds much in the socket leaves it there until the application has fetched what came
/// before.
#[test]
fn a_burst_beyond_the_receive_queue_is_not_dropped_while_the_application_keeps_fetching() {
    let (mut this, client, server) = Loop::connect(&Ends::new().build());
    const BURST: u32 = 1500;
    for number in 0..BURST {
        // The send queue holds fewer bytes than this; what it refuses is sent after a turn.
        while this
            .client
            .association(client)
            .unwrap()
            .send(&number.to_be_bytes())
            .is_err()
        {
            this.client.turn().unwrap();
        }
    }
    this.client.turn().unwrap();
    let mut received = 0;
    this.run_until(|this| {
        while this.server.association(server).unwrap().recv().is_some() {
            received += 1;
        }
        received == BURST
    });
}

/// An empty datagram is nothing; it is no end of anything (B15).
#[test]
fn an_empty_datagram_is_nothing() {
    let (mut this, client, server) = Loop::connect(&Ends::new().build());
    let stranger = UdpSocket::bind(SocketAddr::from(LOCALHOST)).unwrap();
    stranger
        .send_to(&[], this.server.local_addr().unwrap())
        .unwrap();
    this.client
        .association(client)
        .unwrap()
        .send(b"after")
        .unwrap();
    let mut got = None;
    this.run_until(|this| {
        got = got
            .take()
            .or_else(|| this.server.association(server).unwrap().recv());
        got.is_some()
    });
    assert_eq!(got.unwrap().data, "after");
}

/// Whatever the order of calls, an event that waits is not slept over.
#[test]
fn nothing_that_is_left_to_be_told_is_slept_over() {
    let (mut this, client, _) = Loop::connect(&Ends::new().build());
    this.client
        .association(client)
        .unwrap()
        .send(b"wake up")
        .unwrap();
    assert_eq!(
        this.client.poll_timeout(),
        Some(Duration::ZERO),
        "data waits to be sent"
    );
    this.client.turn().unwrap();
    let end = now() + Duration::from_secs(10);
    // The loop of the crate's documentation turns once more after it has drained the events.
    while this.server.poll_timeout() != Some(Duration::ZERO) {
        this.server.turn().unwrap();
        assert!(now() < end, "the datagram has not arrived");
    }
    assert!(matches!(
        this.server.poll_event(),
        Some((_, Event::Readable))
    ));
}

/// Finished and close_notify wait in the socket when the server looks: it still learns whose they
/// were.
#[test]
fn an_association_that_ends_in_the_turn_that_completes_it_can_be_looked_at_until_its_end_is_told() {
    let configs = Ends::new().versions(Versions::V1_3).build();
    let mut this = Loop::new(&configs);
    let address = this.server.local_addr().unwrap();
    let client = this
        .client
        .connect(configs.client.clone(), server_name(), address)
        .unwrap();
    let end = start() + Duration::from_secs(10);
    loop {
        this.client.turn().unwrap();
        if std::iter::from_fn(|| this.client.poll_event()).any(|event| is_complete(&event)) {
            break;
        }
        this.server.turn().unwrap();
        assert!(now() < end);
    }
    this.client.association(client).unwrap().close();
    this.client.turn().unwrap();
    let event = loop {
        this.server.turn().unwrap();
        if let Some(event) = this.server.poll_event() {
            break event;
        }
        assert!(now() < end);
    };
    assert!(is_complete(&event), "{event:?}");
    let (id, _) = event;
    assert!(this.server.endpoint().connection(id).is_some());
}

fn is_complete(event: &(AssociationId, Event)) -> bool {
    matches!(event, (_, Event::HandshakeComplete { .. }))
}
