//! Many clients of one server at once, honest ones and others, in virtual time.

use crate::common::configs::{Configs, Ends, server_name, start};
use bytes::BytesMut;
use sealgram::config::Versions;
use sealgram::endpoint::{Endpoint, EndpointPolicy, Eviction};
use sealgram::{DtlsConnection, Path};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Both ends with the default policies, and randoms that repeat.
fn configs(versions: Versions) -> Configs {
    Ends::new()
        .versions(versions)
        .datagram_as_it_is(&Default::default())
        .repeating(7)
        .build()
}

/// What happens next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A client begins.
    Begin(usize),
    /// A datagram reaches the server.
    ToServer(usize, Vec<u8>),
    /// A datagram reaches a client.
    ToClient(usize, Vec<u8>),
}

/// One client: what it is, and what has become of it.
#[derive(Default)]
struct Client {
    connection: Option<DtlsConnection>,
    /// It says nothing after its second hello.
    stops: bool,
    hellos: usize,
    began: Option<Instant>,
    up: Option<Instant>,
}

struct Crowd {
    server: Endpoint,
    clients: Vec<Client>,
    configs: Configs,
    now: Instant,
    queue: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    order: u64,
    /// How many associations the server has told to be up.
    accepted: usize,
    /// How long a datagram is under way.
    latency: Duration,
}

impl Crowd {
    fn new(configs: Configs, policy: EndpointPolicy) -> Self {
        let now = start();
        Self {
            server: Endpoint::new(now, policy, Some(configs.server.clone())).unwrap(),
            clients: Vec::new(),
            configs,
            now,
            queue: BinaryHeap::new(),
            order: 0,
            accepted: 0,
            latency: Duration::from_millis(20),
        }
    }

    fn at(&mut self, when: Instant, what: Happening) {
        self.order += 1;
        self.queue.push(Reverse((when, self.order, what)));
    }

    /// One more client, which begins after `wait`.
    fn client(&mut self, wait: Duration, stops: bool) {
        self.clients.push(Client {
            stops,
            ..Client::default()
        });
        let number = self.clients.len() - 1;
        self.at(self.now + wait, Happening::Begin(number));
    }

    fn address(number: usize) -> SocketAddr {
        let number = u32::try_from(number).unwrap();
        (std::net::Ipv4Addr::from(0x0a00_0000 + number), 4000).into()
    }

    fn number(address: SocketAddr) -> usize {
        match address.ip() {
            std::net::IpAddr::V4(ip) => usize::try_from(u32::from(ip) - 0x0a00_0000).unwrap(),
            std::net::IpAddr::V6(_) => unreachable!("all are of version 4"),
        }
    }

    /// Puts on the link what a client has to say.
    fn listen_to(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let (mut out, mut said) = (Vec::new(), Vec::new());
        while connection.poll_transmit(self.now, 1, &mut out).is_some() {
            said.push(std::mem::take(&mut out));
        }
        while connection.poll_event().is_some() {}
        if client.up.is_none() && !connection.is_handshaking() && !connection.is_closed() {
            client.up = Some(self.now);
        }
        for datagram in said {
            let client = &mut self.clients[number];
            client.hellos += 1;
            if client.stops && client.hellos > 2 {
                client.connection = None;
                return;
            }
            self.at(
                self.now + self.latency,
                Happening::ToServer(number, datagram),
            );
        }
    }

    fn listen_to_server(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = {
            out.clear();
            self.server.poll_transmit(self.now, 1, &mut out)
        } {
            let to = Self::number(transmit.path.remote());
            self.at(
                self.now + self.latency,
                Happening::ToClient(to, out.clone()),
            );
        }
        while let Some((_, event)) = self.server.poll_event() {
            self.accepted +=
                usize::from(matches!(event, sealgram::Event::HandshakeComplete { .. }));
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Begin(number) => {
                let path = Path::new(([192, 0, 2, 2], 4433).into());
                let config = self.configs.client.clone();
                let connection = DtlsConnection::connect(self.now, config, server_name(), path);
                self.clients[number].connection = Some(connection.unwrap());
                self.clients[number].began = Some(self.now);
                self.listen_to(number);
            }
            Happening::ToServer(number, datagram) => {
                let path = Path::new(Self::address(number));
                self.server
                    .handle_datagram(self.now, path, BytesMut::from(&datagram[..]));
                self.listen_to_server();
            }
            Happening::ToClient(number, datagram) => {
                let path = Path::new(([192, 0, 2, 2], 4433).into());
                if let Some(connection) = &mut self.clients[number].connection {
                    let _ =
                        connection.handle_datagram(self.now, path, BytesMut::from(&datagram[..]));
                    self.listen_to(number);
                }
            }
        }
    }

    /// Lets `time` pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timers = self
                .clients
                .iter()
                .enumerate()
                .filter_map(|(number, client)| {
                    Some((client.connection.as_ref()?.poll_timeout()?, number))
                });
            // Looking at every client is dear: only when the link is empty until the next tenth of
            // a second.
            let tick = self.now + Duration::from_millis(50);
            let due: Vec<_> = timers
                .filter(|&(at, _)| at <= tick)
                .map(|(_, number)| number)
                .collect();
            while let Some(Reverse((at, ..))) = self.queue.peek()
                && *at <= tick.min(end)
            {
                let Reverse((at, _, what)) = self.queue.pop().unwrap();
                self.now = self.now.max(at);
                self.happen(what);
            }
            self.now = tick.min(end);
            for number in due {
                if let Some(connection) = &mut self.clients[number].connection {
                    let _ = connection.handle_timeout(self.now);
                    self.listen_to(number);
                }
            }
            self.server.handle_timeout(self.now);
            self.listen_to_server();
            if self.now == end {
                return;
            }
        }
    }

    /// How many of the clients that mean it are up at both ends, and how long the last one took.
    fn honest(&self) -> (usize, usize, Duration) {
        let honest = self.clients.iter().filter(|client| !client.stops);
        let waits = honest.clone().filter_map(|it| Some(it.up? - it.began?));
        (
            honest.count(),
            waits.clone().count(),
            waits.max().unwrap_or_default(),
        )
    }
}

/// 2,500 clients that begin within a tenth of a second are a service that has come back, not an
/// attack: with the default policy all are up after a few seconds, and none is told that it is up
/// and then closed.
#[test]
fn a_burst_of_2500_clients_is_served() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut crowd = Crowd::new(configs(versions), EndpointPolicy::default());
        // Longer than the burst: all of them are half-open at once.
        crowd.latency = Duration::from_millis(150);
        for number in 0..2500 {
            crowd.client(Duration::from_micros(40 * number), false);
        }
        crowd.run(Duration::from_secs(20));
        let (honest, up, longest) = crowd.honest();
        let stats = *crowd.server.stats();
        println!(
            "{versions:?}: {up} of {honest} are up, the last after {longest:?}; {} refused at first",
            stats.hellos_refused
        );
        assert_eq!(
            (up, crowd.accepted, crowd.server.len()),
            (2500, 2500, 2500),
            "{versions:?}"
        );
        assert_eq!(
            (stats.evicted, stats.handshakes_failed),
            (0, 0),
            "{versions:?}"
        );
        assert!(
            longest < Duration::from_secs(8),
            "{versions:?}: {longest:?}"
        );
    }
}

/// What was turned away together does not come back together: RFC 8961 §4 and good manners.
#[test]
fn clients_that_were_turned_away_together_do_not_come_back_together() {
    let policy = EndpointPolicy::default()
        .max_half_open(1, Eviction::RefuseNewcomer)
        .unwrap();
    let mut crowd = Crowd::new(configs(Versions::V1_2), policy);
    (0..200).for_each(|_| crowd.client(Duration::ZERO, false));
    crowd.run(Duration::from_millis(500));
    let deadlines = crowd.clients.iter().filter(|it| it.up.is_none());
    let mut tenths = [0; 60];
    for client in deadlines {
        let at = client.connection.as_ref().unwrap().poll_timeout().unwrap();
        tenths[usize::try_from((at - crowd.now).as_millis() / 25).unwrap()] += 1;
    }
    let most = tenths.iter().max().unwrap();
    assert!(*most < 60, "within one fortieth of a second: {most} of 199");
}

/// Half-open associations from real addresses, as many as the limit and ever more, do not shut out
/// newcomers for long.
#[test]
fn a_flood_of_half_open_handshakes_does_not_shut_out_newcomers() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let policy = EndpointPolicy::default()
            .max_half_open(128, Eviction::OldestHalfOpen)
            .unwrap();
        let mut crowd = Crowd::new(configs(versions), policy);
        (0..128).for_each(|_| crowd.client(Duration::ZERO, true));
        // Then twenty more a second, for half a minute.
        (0..600).for_each(|number| crowd.client(Duration::from_millis(200 + 50 * number), true));
        (0..20).for_each(|number| crowd.client(Duration::from_millis(500 + 1000 * number), false));
        crowd.run(Duration::from_secs(35));
        let (honest, up, longest) = crowd.honest();
        println!("{versions:?}: {up} of {honest} are up, the last after {longest:?}");
        assert_eq!(up, honest, "{versions:?}");
        assert!(
            longest < Duration::from_secs(8),
            "{versions:?}: {longest:?}"
        );
    }
}

/// The limit on associations may lie below that on half-open ones: those go at either.
#[test]
fn half_open_associations_that_fill_the_table_go_for_newcomers() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let policy = EndpointPolicy::default().max_associations(100).unwrap();
        let mut crowd = Crowd::new(configs(versions), policy);
        (0..100).for_each(|_| crowd.client(Duration::ZERO, true));
        crowd.run(Duration::from_secs(3));
        assert_eq!((crowd.server.half_open(), crowd.server.len()), (100, 100));
        (0..10).for_each(|_| crowd.client(Duration::ZERO, false));
        crowd.run(Duration::from_secs(2));
        assert_eq!(crowd.honest().1, 10, "{versions:?}");
        assert_eq!(crowd.server.stats().evicted, 10, "{versions:?}");
        // Established ones never go.
        (0..200).for_each(|_| crowd.client(Duration::ZERO, true));
        crowd.run(Duration::from_secs(10));
        assert_eq!(
            crowd.server.len() - crowd.server.half_open(),
            10,
            "{versions:?}"
        );
    }
}
