//! A client and a server, each a complete endpoint, with a link in each direction.

use super::ledger::Ledger;
use super::link::{Conditions, Ends, Link};
use crate::config::{ClientConfig, ServerConfig};
use crate::connection::{DtlsConnection, Event};
use crate::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use crate::error::{ConnectError, Error};
use crate::protocol::{Path, Side};
use bytes::BytesMut;
use pki_types::ServerName;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which way a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A datagram that was sent, whether or not it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which way it went.
    pub direction: Direction,
    /// Its contents.
    pub datagram: Vec<u8>,
}

/// Two endpoints and the network between them.
#[derive(Debug)]
pub struct Pair {
    /// The endpoint that connects.
    pub client: Endpoint,
    /// The endpoint that accepts.
    pub server: Endpoint,
    /// The link to the server.
    pub to_server: Link,
    /// The link to the client.
    pub to_client: Link,
    /// The hosts refuse to send longer datagrams, as with EMSGSIZE; `None` for no limit.
    pub interface_mtu: Option<usize>,
    /// The present.
    pub now: Instant,
    /// When the pair was made.
    pub start: Instant,
    /// Where the client is, as the server sees it; change it to move the client. What is under way
    /// from its old address still comes from there, and what is sent there reaches it.
    /// [`Pair::rebind_client`] moves it as a NAT does that has forgotten it.
    pub client_address: SocketAddr,
    /// Where the server is, as the client sees it.
    pub server_address: SocketAddr,
    /// Addresses at which neither end is (any more): what is sent there is lost.
    pub unreachable: HashSet<SocketAddr>,
    /// NATs that give an end another address go on delivering what is sent to its old ones.
    pub keep_old: bool,
    /// How many datagrams have come to unreachable addresses.
    pub astray: u64,
    /// How often NATs have given another address to an end.
    pub rebindings: u64,
    /// What each end has sent to each address, if [`Pair::keep_ledger`] was called.
    pub ledger: Option<Ledger>,
    /// What the client endpoint told.
    pub client_events: Vec<(AssociationId, Event)>,
    /// What the server endpoint told.
    pub server_events: Vec<(AssociationId, Event)>,
    /// Every datagram that was sent, if [`Pair::record`] was called.
    pub seen: Option<Vec<Seen>>,
}

impl Pair {
    /// Two endpoints with default limits on perfect links.
    ///
    /// `start` is the beginning of time: any `Instant` will do.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(server: Arc<ServerConfig>, start: Instant, seed: u64) -> Result<Self, Error> {
        Self::with_policy(server, EndpointPolicy::default(), start, seed)
    }

    /// Two endpoints; `policy` is the server's.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn with_policy(
        server: Arc<ServerConfig>,
        policy: EndpointPolicy,
        start: Instant,
        seed: u64,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: Endpoint::new(start, EndpointPolicy::default(), None)?,
            server: Endpoint::new(start, policy, Some(server))?,
            to_server: Link::new(Conditions::default(), seed.wrapping_mul(2)),
            to_client: Link::new(Conditions::default(), seed.wrapping_mul(2).wrapping_add(1)),
            interface_mtu: None,
            now: start,
            start,
            client_address: ([192, 0, 2, 1], 40_000).into(),
            server_address: ([192, 0, 2, 2], 4433).into(),
            unreachable: HashSet::new(),
            keep_old: false,
            astray: 0,
            rebindings: 0,
            ledger: None,
            client_events: Vec::new(),
            server_events: Vec::new(),
            seen: None,
        })
    }

    /// Makes both links as bad as `conditions`.
    pub fn set_conditions(&mut self, conditions: &Conditions) {
        self.to_server.set_conditions(conditions.clone());
        self.to_client.set_conditions(conditions.clone());
    }

    /// Keeps a copy of every datagram from now on.
    pub fn record(&mut self) {
        self.seen.get_or_insert_default();
    }

    /// Keeps an account of what each end sends to each address from now on.
    pub fn keep_ledger(&mut self) {
        self.ledger.get_or_insert_default();
    }

    /// The NAT in front of the client gives it another port. It has forgotten the old one, unless
    /// [`Pair::keep_old`] is set.
    pub fn rebind_client(&mut self) {
        self.rebind(Side::Client);
    }

    /// The same for the server.
    pub fn rebind_server(&mut self) {
        self.rebind(Side::Server);
    }

    fn rebind(&mut self, side: Side) {
        let address = match side {
            Side::Client => &mut self.client_address,
            Side::Server => &mut self.server_address,
        };
        if !self.keep_old {
            self.unreachable.insert(in_one_form(*address));
        }
        address.set_port(address.port().checked_add(1).unwrap_or(1024));
        self.rebindings += 1;
    }

    /// Starts an association from the client's side.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::connect`].
    pub fn connect(
        &mut self,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
    ) -> Result<AssociationId, ConnectError> {
        self.client
            .connect(self.now, config, server, Path::new(self.server_address))
    }

    /// Puts what both endpoints have to send on the links.
    pub fn transmit(&mut self) {
        let mut out = Vec::new();
        for side in [Side::Client, Side::Server] {
            self.transmit_from(side, &mut out);
        }
    }

    fn transmit_from(&mut self, side: Side, out: &mut Vec<u8>) {
        while let Some(transmit) = {
            out.clear();
            let now = self.now;
            self.endpoint(side).poll_transmit(now, 64, out)
        } {
            let size = transmit.segment_size.unwrap_or(transmit.len).max(1);
            for datagram in out[..transmit.len].chunks(size) {
                if self.interface_mtu.is_some_and(|mtu| datagram.len() > mtu) {
                    let now = self.now;
                    self.endpoint(side)
                        .handle_too_large(now, transmit.path, datagram.len());
                    break;
                }
                self.put_on_link(side, transmit.path, datagram);
            }
        }
    }

    /// What `side` has sent to `path` leaves its host.
    fn put_on_link(&mut self, side: Side, path: Path, datagram: &[u8]) {
        let direction = match side {
            Side::Client => Direction::ToServer,
            Side::Server => Direction::ToClient,
        };
        if let Some(seen) = &mut self.seen {
            seen.push(Seen {
                direction,
                datagram: datagram.to_vec(),
            });
        }
        if self.link(direction).rebinds() {
            self.rebind(side);
        }
        let (from, to) = (self.address(side), path.remote());
        if let Some(ledger) = &mut self.ledger {
            let endpoint = match side {
                Side::Client => &self.client,
                Side::Server => &self.server,
            };
            ledger.learn_first_paths(self.now, side, endpoint);
            ledger.sends(self.now, side, to, datagram.len());
        }
        let now = self.now;
        let ends = Some(Ends { from, to });
        self.link(direction).send_between(now, ends, datagram);
    }

    const fn endpoint(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    const fn link(&mut self, direction: Direction) -> &mut Link {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    const fn address(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client_address,
            Side::Server => self.server_address,
        }
    }

    /// The next moment at which something happens.
    pub fn next_moment(&self) -> Option<Instant> {
        [
            self.to_server.next_arrival(),
            self.to_client.next_arrival(),
            self.client.poll_timeout(),
            self.server.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sends what waits, and jumps to the next event. `false` if nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        self.transmit();
        let Some(next) = self.next_moment() else {
            return false;
        };
        self.now = self.now.max(next);
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.take_arrivals(direction);
        }
        for endpoint in [&mut self.client, &mut self.server] {
            if endpoint
                .poll_timeout()
                .is_some_and(|deadline| deadline <= self.now)
            {
                endpoint.handle_timeout(self.now);
                // I4: a deadline that has passed would make every event loop spin.
                assert!(
                    endpoint
                        .poll_timeout()
                        .is_none_or(|deadline| deadline > self.now)
                );
            }
        }
        // What was the last to be sent may have ended an association.
        self.transmit();
        self.collect_events();
        true
    }

    /// Delivers what has arrived by now.
    fn take_arrivals(&mut self, direction: Direction) {
        let now = self.now;
        let (sender, receiver) = match direction {
            Direction::ToServer => (Side::Client, Side::Server),
            Direction::ToClient => (Side::Server, Side::Client),
        };
        while let Some((ends, datagram)) = self.link(direction).receive_between(now) {
            if ends.is_some_and(|ends| self.unreachable.contains(&in_one_form(ends.to))) {
                self.astray += 1;
                continue;
            }
            let from = ends.map_or_else(|| self.address(sender), |ends| ends.from);
            self.deliver(receiver, from, &datagram);
        }
    }

    /// Gives the server a datagram that looks as if it came from the client.
    pub fn deliver_to_server(&mut self, datagram: &[u8]) {
        self.deliver(Side::Server, self.client_address, datagram);
    }

    /// Gives the client a datagram that looks as if it came from the server.
    pub fn deliver_to_client(&mut self, datagram: &[u8]) {
        self.deliver(Side::Client, self.server_address, datagram);
    }

    /// Gives an end a datagram that looks as if it came from `from`.
    pub fn deliver(&mut self, to: Side, from: SocketAddr, datagram: &[u8]) {
        let now = self.now;
        let (endpoint, ledger) = match to {
            Side::Client => (&mut self.client, &mut self.ledger),
            Side::Server => (&mut self.server, &mut self.ledger),
        };
        let path = Path::new(from);
        match ledger {
            None => endpoint.handle_datagram(now, path, BytesMut::from(datagram)),
            Some(ledger) => ledger.receives(to, from, datagram.len(), endpoint, |endpoint| {
                endpoint.handle_datagram(now, path, BytesMut::from(datagram));
            }),
        }
        self.collect_events();
    }

    fn collect_events(&mut self) {
        for side in [Side::Client, Side::Server] {
            let (endpoint, events) = match side {
                Side::Client => (&mut self.client, &mut self.client_events),
                Side::Server => (&mut self.server, &mut self.server_events),
            };
            while let Some((id, event)) = endpoint.poll_event() {
                if let Some(ledger) = &mut self.ledger {
                    ledger.learns(self.now, side, &event);
                }
                events.push((id, event));
            }
        }
    }

    /// Steps until `done`, for at most `limit` of virtual time. Returns whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if self.now >= end || !self.step() {
                return done(self);
            }
        }
        true
    }

    /// Steps until both ends have completed a handshake, for at most `limit`. Returns whether they
    /// have.
    pub fn run_until_connected(&mut self, limit: Duration) -> bool {
        self.run_until(limit, |pair| pair.is_connected())
    }

    /// Lets `duration` of virtual time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.transmit();
            match self.next_moment() {
                Some(next) if next <= end => {
                    self.step();
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// Whether both ends have completed a handshake.
    pub fn is_connected(&self) -> bool {
        completed(&self.client_events).is_some() && completed(&self.server_events).is_some()
    }

    /// The client's association that completed last.
    pub fn client_id(&self) -> Option<AssociationId> {
        completed(&self.client_events)
    }

    /// The server's association that completed last.
    pub fn server_id(&self) -> Option<AssociationId> {
        completed(&self.server_events)
    }

    /// The client's connection, while it lives.
    pub fn client_connection(&self) -> Option<&DtlsConnection> {
        self.client.connection(self.client_id()?)
    }

    /// The server's connection, while it lives.
    pub fn server_connection(&self) -> Option<&DtlsConnection> {
        self.server.connection(self.server_id()?)
    }

    /// Sends `count` messages each way, one at a time, over links that lose nothing. Returns
    /// whether all arrived unaltered.
    pub fn exchange(&mut self, count: u32) -> bool {
        let (Some(client), Some(server)) = (self.client_id(), self.server_id()) else {
            return false;
        };
        (0..count).all(|number| {
            let question = [b"question".as_slice(), &number.to_be_bytes()].concat();
            let answer = [b"answer".as_slice(), &number.to_be_bytes()].concat();
            let send = |endpoint: &mut Endpoint, id, data: &[u8]| {
                let association = endpoint.association(self.now, id);
                association.is_some_and(|mut it| it.send(data).is_ok())
            };
            let sent = send(&mut self.client, client, &question)
                && send(&mut self.server, server, &answer);
            let limit = Duration::from_secs(1);
            let mut received = (None, None);
            let end = self.now + limit;
            while sent && (received.0.is_none() || received.1.is_none()) && self.now < end {
                if !self.step() {
                    break;
                }
                let recv = |endpoint: &mut Endpoint, id| endpoint.association(self.now, id)?.recv();
                received.0 = received.0.or_else(|| recv(&mut self.server, server));
                received.1 = received.1.or_else(|| recv(&mut self.client, client));
            }
            received.0.is_some_and(|got| got.data == question)
                && received.1.is_some_and(|got| got.data == answer)
        })
    }
}

/// The form that addresses have in paths, so that two spellings are one.
pub(super) fn in_one_form(address: SocketAddr) -> SocketAddr {
    Path::new(address).remote()
}

fn completed(events: &[(AssociationId, Event)]) -> Option<AssociationId> {
    let complete = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
    events
        .iter()
        .rev()
        .find(|(_, event)| complete(event))
        .map(|&(id, _)| id)
}
