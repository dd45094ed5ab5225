//! sealgram without sockets: two connections, two streams, or two endpoints, over a perfect link
//! that takes no time.

use super::sealgram::{Configs, server_name};
use crate::measure::now;
use bytes::BytesMut;
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy, Eviction, ProvenHello};
use sealgram::{DtlsConnection, Path, TlsConnection};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Two connected associations, and the buffers that their callers keep.
pub struct Pair {
    /// Who has connected.
    pub client: DtlsConnection,
    /// Who was connected to.
    pub server: DtlsConnection,
    now: Instant,
    out: Vec<u8>,
    arena: BytesMut,
}

/// The caller's receive buffer, in bytes. Small enough to stay in the first-level cache, as the
/// floor's: the cost of touching fresh memory is the caller's, not the record layer's.
const ARENA: usize = 1 << 14;

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 4433);

impl Pair {
    /// A handshake, without cookie, and what follows it: at 1.3 an acknowledgement, tickets, and
    /// their acknowledgement.
    pub fn new(configs: &Configs) -> Self {
        let now = now();
        let (to_server, to_client) = (Path::new(SERVER.into()), Path::new(CLIENT.into()));
        let config = configs.client.clone();
        let client = DtlsConnection::connect(now, config, server_name(), to_server);
        let mut client = client.expect("the system has randomness");
        let mut out = Vec::new();
        client.poll_transmit(now, 1, &mut out).expect("a hello");
        let hello = ProvenHello::without_cookie(to_client, BytesMut::from(&out[..]));
        let hello = hello.expect("a whole hello");
        let server = DtlsConnection::accept(now, configs.server.clone(), hello);
        let mut server = server.expect("they agree");
        while client.is_handshaking() || server.is_handshaking() {
            pass(&mut server, &mut client, now, &mut out);
            pass(&mut client, &mut server, now, &mut out);
        }
        pass(&mut server, &mut client, now, &mut out);
        pass(&mut client, &mut server, now, &mut out);
        while client.poll_event().is_some() || server.poll_event().is_some() {}
        Self {
            client,
            server,
            now,
            out,
            arena: BytesMut::with_capacity(ARENA),
        }
    }

    /// One record, from the caller's buffer into a datagram.
    pub fn seal(&mut self, payload: &[u8]) {
        self.out.clear();
        self.client.send(self.now, payload).expect("there is room");
        self.client.poll_transmit(self.now, 1, &mut self.out);
    }

    /// Copies the sealed datagram into the arena, as a receive call would, and opens it there.
    pub fn open(&mut self) -> usize {
        self.arena.reserve(self.out.len());
        self.arena.extend_from_slice(&self.out);
        let (datagram, path) = (self.arena.split(), self.server.path());
        let taken = self.server.handle_datagram(self.now, path, datagram);
        taken.expect("nothing is wrong with it");
        self.server.poll_event();
        self.server.recv().expect("it was sent").data.len()
    }
}

fn pass(from: &mut DtlsConnection, to: &mut DtlsConnection, now: Instant, out: &mut Vec<u8>) {
    out.clear();
    while from.poll_transmit(now, 1, out).is_some() {
        to.handle_datagram(now, to.path(), BytesMut::from(&out[..]))
            .expect("nothing is wrong with it");
        out.clear();
    }
}

/// A handshake over a stream.
pub fn streams(configs: &Configs) -> (TlsConnection, TlsConnection, Instant) {
    let now = now();
    let client = TlsConnection::connect(now, configs.client.clone(), server_name());
    let mut client = client.expect("the system has randomness");
    let server = TlsConnection::accept(now, configs.server.clone());
    let mut server = server.expect("the system has randomness");
    let mut out = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        carry(&mut client, &mut server, now, &mut out);
        carry(&mut server, &mut client, now, &mut out);
    }
    while client.poll_event().is_some() || server.poll_event().is_some() {}
    (client, server, now)
}

fn carry(from: &mut TlsConnection, to: &mut TlsConnection, now: Instant, out: &mut Vec<u8>) {
    out.clear();
    if from.poll_transmit(now, out).is_some() {
        to.handle_bytes(now, &mut BytesMut::from(&out[..]))
            .expect("nothing is wrong with them");
    }
}

/// Many clients of one server: an endpoint at each end, and an address for each client. The
/// clients' endpoint reaches each under a server's address of its own, because one endpoint has one
/// association with an address.
pub struct World {
    /// The clients.
    pub clients: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// The clients' names of the associations.
    pub ids: Vec<AssociationId>,
    /// The time, which stands still but between two clients.
    pub now: Instant,
    out: Vec<u8>,
}

/// How long after one client the next one comes.
const APART: Duration = Duration::from_micros(50);

/// The address of a client as the server sees it, and of the server as that client sees it.
pub fn address(place: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + place as u32), 4000))
}

impl World {
    /// Nobody yet.
    pub fn new(configs: &Configs) -> Self {
        let now = now();
        let policy = || {
            let policy = EndpointPolicy::default().idle_timeout(None);
            let policy = policy.max_associations(1 << 18).expect("within its range");
            let policy = policy.max_half_open(1 << 12, Eviction::default());
            policy.expect("within its range")
        };
        let (clients, serve) = (Endpoint::new(now, policy(), None), configs.server.clone());
        let server = Endpoint::new(now, policy(), Some(serve));
        Self {
            clients: clients.expect("the system has randomness"),
            server: server.expect("the system has randomness"),
            ids: Vec::new(),
            now,
            out: Vec::new(),
        }
    }

    /// Connects one more client, cookie included, and passes one record each way.
    pub fn connect(&mut self, configs: &Configs) {
        // Answers to strangers are rationed by time.
        self.now += APART;
        let path = Path::new(address(self.ids.len()));
        let config = configs.client.clone();
        let id = self.clients.connect(self.now, config, server_name(), path);
        let id = id.expect("a new address");
        self.ids.push(id);
        self.settle();
        let say = |endpoint: &mut Endpoint, id, now| {
            let mut association = endpoint.association(now, id).expect("it is up");
            association.send(&[7; 100]).expect("it is connected");
        };
        let connection = self.clients.connection(id).expect("it is up");
        assert!(!connection.is_handshaking(), "a perfect link");
        say(&mut self.clients, id, self.now);
        self.settle();
        let mut heard = None;
        drain(&mut self.server, self.now, |id, _| heard = Some(id));
        say(
            &mut self.server,
            heard.expect("a record has come"),
            self.now,
        );
        self.settle();
        drain(&mut self.clients, self.now, |_, _| {});
    }

    /// Passes what waits, both ways, until nothing does.
    pub fn settle(&mut self) {
        let (clients, server, now) = (&mut self.clients, &mut self.server, self.now);
        while deliver(clients, server, now, &mut self.out)
            | deliver(server, clients, now, &mut self.out)
        {}
    }
}

/// Passes what waits from one to the other; whether there was something.
fn deliver(from: &mut Endpoint, to: &mut Endpoint, now: Instant, out: &mut Vec<u8>) -> bool {
    let mut any = false;
    loop {
        out.clear();
        let Some(transmit) = from.poll_transmit(now, 1, out) else {
            return any;
        };
        to.handle_datagram(now, transmit.path, BytesMut::from(&out[..]));
        any = true;
    }
}

/// Drains the events of an endpoint and hands over the data.
pub fn drain(endpoint: &mut Endpoint, now: Instant, mut take: impl FnMut(AssociationId, &[u8])) {
    while let Some((id, _)) = endpoint.poll_event() {
        if let Some(mut association) = endpoint.association(now, id) {
            while let Some(received) = association.recv() {
                take(id, &received.data);
            }
        }
    }
}
