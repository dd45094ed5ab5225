//! A crowd: one server, and clients at many addresses, in virtual time; strangers put in what they
//! like.

use crate::common::configs::{Configs, server_name, start};
use bytes::BytesMut;
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::{ClientConfig, DtlsConnection, Event, Path};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than any attempt lasts.
const FOREVER: Duration = Duration::from_secs(300);

/// Where the server is.
pub fn server_path() -> Path {
    Path::new(([192, 0, 2, 2], 4433).into())
}

/// Where the client is that a test is about.
pub fn home() -> SocketAddr {
    ([192, 0, 2, 1], 40_000).into()
}

/// The address of one of many hosts.
pub fn host(number: u32) -> SocketAddr {
    (Ipv4Addr::from(0x0b00_0000 + number), 7).into()
}

/// A client, and what has become of it.
pub struct Client {
    pub connection: DtlsConnection,
    pub began: Instant,
    pub up: Option<Instant>,
    /// What is sent to it is lost until then.
    pub deaf_until: Instant,
    /// So many datagrams more; what it sends beyond them is lost, and its timers stand still.
    pub may_send: usize,
    /// All that it has sent, lost or not.
    pub sent: Vec<Vec<u8>>,
}

impl Client {
    fn is_over(&self) -> bool {
        self.up.is_some() || self.connection.failure().is_some()
    }

    /// How long its handshake took, or how long it tried and what ended it.
    pub fn fate(&self, now: Instant) -> Result<Duration, String> {
        match (self.up, self.connection.failure()) {
            (Some(up), _) => Ok(up - self.began),
            (None, failure) => Err(format!("{:?} {failure:?}", now - self.began)),
        }
    }
}

/// What is under way: to the server (`true`) or to a client, whose address it is, and the datagram.
type UnderWay = (bool, SocketAddr, Vec<u8>);

pub struct Crowd {
    pub server: Endpoint,
    pub now: Instant,
    pub clients: BTreeMap<SocketAddr, Client>,
    pub link: BTreeMap<(Instant, u64), UnderWay>,
    order: u64,
    /// How long a datagram is under way.
    pub latency: Duration,
    /// What the server has sent, in bytes.
    pub server_sent: usize,
}

impl Crowd {
    pub fn new(configs: &Configs, policy: EndpointPolicy) -> Self {
        let now = start();
        Self {
            server: Endpoint::new(now, policy, Some(configs.server.clone())).unwrap(),
            now,
            clients: BTreeMap::new(),
            link: BTreeMap::new(),
            order: 0,
            latency: Duration::from_millis(20),
            server_sent: 0,
        }
    }

    /// A client begins at this address, in the place of the one that was there.
    pub fn begin(&mut self, at: SocketAddr, config: &Arc<ClientConfig>, may_send: usize) {
        let connection =
            DtlsConnection::connect(self.now, config.clone(), server_name(), server_path())
                .unwrap();
        let client = Client {
            connection,
            began: self.now,
            up: None,
            deaf_until: self.now,
            may_send,
            sent: Vec::new(),
        };
        self.clients.insert(at, client);
        self.listen_to(at);
    }

    /// Lets time pass until the client is up or has failed: how long it took, or what ended it.
    pub fn wait_for(&mut self, at: SocketAddr) -> Result<Duration, String> {
        self.run_until(FOREVER, |crowd| crowd.clients[&at].is_over());
        self.clients[&at].fate(self.now)
    }

    /// The same for one that begins at this moment.
    pub fn connect(
        &mut self,
        at: SocketAddr,
        config: &Arc<ClientConfig>,
    ) -> Result<Duration, String> {
        self.begin(at, config, usize::MAX);
        self.wait_for(at)
    }

    fn put(&mut self, to_server: bool, at: SocketAddr, datagram: Vec<u8>) {
        self.order += 1;
        self.link.insert(
            (self.now + self.latency, self.order),
            (to_server, at, datagram),
        );
    }

    /// Puts on the link what a client has to say.
    pub fn listen_to(&mut self, at: SocketAddr) {
        let Some(client) = self.clients.get_mut(&at) else {
            return;
        };
        let mut heard = Vec::new();
        for datagram in sendable(&mut client.connection, self.now) {
            client.sent.push(datagram.clone());
            if client.may_send > 0 {
                client.may_send -= 1;
                heard.push(datagram);
            }
        }
        while let Some(event) = client.connection.poll_event() {
            if matches!(event, Event::HandshakeComplete { .. }) {
                client.up = client.up.or(Some(self.now));
            }
        }
        for datagram in heard {
            self.put(true, at, datagram);
        }
    }

    pub fn listen_to_server(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = {
            out.clear();
            self.server.poll_transmit(self.now, 1, &mut out)
        } {
            self.server_sent += out.len();
            self.put(false, transmit.path.remote(), out.clone());
        }
        while self.server.poll_event().is_some() {}
    }

    /// A datagram that claims to come from there reaches the server at this moment.
    pub fn inject(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.server
            .handle_datagram(self.now, Path::new(from), BytesMut::from(datagram));
        self.listen_to_server();
    }

    /// What the server has just sent there, which its receiver takes from the link.
    pub fn take(&mut self, at: SocketAddr) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        while let Some(last) = self.link.last_entry()
            && !last.get().0
            && last.get().1 == at
        {
            taken.push(last.remove().2);
        }
        taken.reverse();
        taken
    }

    /// A host that really is at this address says two hellos in one moment, and with `goes_on` a
    /// flight whose Finished is wrong, and is never heard again.
    pub fn half_open(&mut self, at: SocketAddr, config: &Arc<ClientConfig>, goes_on: bool) {
        let mut client =
            DtlsConnection::connect(self.now, config.clone(), server_name(), server_path())
                .unwrap();
        for flight in 0..2 + usize::from(goes_on) {
            let mut datagrams = sendable(&mut client, self.now);
            if flight == 2
                && let Some(last) = datagrams.last_mut().and_then(|last| last.last_mut())
            {
                *last ^= 1;
            }
            for datagram in datagrams {
                self.inject(at, &datagram);
            }
            for answer in self.take(at) {
                let answer = BytesMut::from(&answer[..]);
                let _ = client.handle_datagram(self.now, server_path(), answer);
            }
        }
    }

    /// The next thing happens, if there is one until `end`.
    fn step(&mut self, end: Instant) -> bool {
        let link = self.link.keys().next().map(|it| it.0);
        let clients = self
            .clients
            .iter()
            .filter(|(_, client)| client.may_send > 0);
        let timers =
            clients.filter_map(|(at, client)| Some((client.connection.poll_timeout()?, *at)));
        let timer = timers.min();
        let server = self.server.poll_timeout();
        let next = [link, timer.map(|it| it.0), server].into_iter().flatten();
        let Some(next) = next.min().filter(|&next| next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        if link == Some(next) {
            self.arrive();
        } else if let Some((_, at)) = timer.filter(|it| it.0 == next) {
            let connection = &mut self.clients.get_mut(&at).unwrap().connection;
            let _ = connection.handle_timeout(self.now);
            assert!(connection.poll_timeout().is_none_or(|at| at > self.now));
            self.listen_to(at);
        } else {
            self.server.handle_timeout(self.now);
            assert!(self.server.poll_timeout().is_none_or(|at| at > self.now));
            self.listen_to_server();
        }
        true
    }

    fn arrive(&mut self) {
        let (_, (to_server, at, datagram)) = self.link.pop_first().unwrap();
        if to_server {
            self.inject(at, &datagram);
        } else if let Some(client) = self.clients.get_mut(&at)
            && client.deaf_until <= self.now
        {
            let datagram = BytesMut::from(&datagram[..]);
            let _ = client
                .connection
                .handle_datagram(self.now, server_path(), datagram);
            self.listen_to(at);
        }
    }

    /// Lets `time` pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Lets time pass until it is so, `time` at most.
    pub fn run_until(&mut self, time: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + time;
        while !is_so(self) && self.step(end) {}
        is_so(self)
    }
}

/// All that a connection has to send at this moment.
pub fn sendable(connection: &mut DtlsConnection, now: Instant) -> Vec<Vec<u8>> {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    while connection.poll_transmit(now, 1, &mut out).is_some() {
        all.push(std::mem::take(&mut out));
    }
    all
}

/// The two hellos of somebody who has asked another server for a cookie: anybody has those.
pub fn hellos(configs: &Configs) -> (Vec<u8>, Vec<u8>) {
    let mut other = Crowd::new(configs, EndpointPolicy::default());
    other.begin(host(0), &configs.client, 2);
    other.run(Duration::from_millis(100));
    let sent = &other.clients[&host(0)].sent;
    (sent[0].clone(), sent[1].clone())
}
