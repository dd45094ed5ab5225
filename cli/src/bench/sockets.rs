//! Clients on a UDP socket each: a server knows its peers by their addresses, so many peers need
//! many ports.

use super::protocol::{Data, Partial};
use super::traffic::{Dial, Traffic};
use crate::endpoint::{Endpoint, FIRST_TOKEN, Happening};
use crate::input::{Command, Refused};
use crate::problem::Problem;
use crate::report::Line;
use mio::{Registry, Token};
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::error::{RenegotiateError, SendError};
use sealgram::net::UdpEndpoint;
use sealgram::pki_types::ServerName;
use sealgram::record::Datagram;
use sealgram::server::ClientAuthentication;
use sealgram::{ClientConfig, DtlsConnection};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Many associations, each on a connected socket of its own.
#[derive(Debug)]
pub(super) struct UdpSockets {
    policy: EndpointPolicy,
    registry: Option<Registry>,
    sockets: BTreeMap<SocketId, Socket>,
    /// The ID of the next socket.
    next: SocketId,
    /// Which sockets have something to do in the next turn.
    due: BTreeSet<SocketId>,
    /// When the sockets have something to do at the latest.
    deadlines: BTreeSet<(Instant, SocketId)>,
    events: VecDeque<Happening<SocketId>>,
}

/// The ID of a socket; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SocketId(usize);

#[derive(Debug)]
struct Socket {
    endpoint: UdpEndpoint,
    association: AssociationId,
    /// Its entry in the deadlines.
    deadline: Option<Instant>,
    /// Something may have come.
    readable: bool,
    /// The system takes no datagram at the moment.
    full: bool,
    /// It goes when everything has been sent.
    closing: bool,
}

impl UdpSockets {
    /// No association yet.
    pub(super) fn new(policy: EndpointPolicy) -> Self {
        Self {
            policy,
            registry: None,
            sockets: BTreeMap::new(),
            next: SocketId(FIRST_TOKEN),
            due: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
        }
    }

    /// The endpoint of a socket on which something is about to be done.
    fn touch(&mut self, id: SocketId) -> Option<&mut Socket> {
        let socket = self.sockets.get_mut(&id)?;
        self.due.insert(id);
        Some(socket)
    }

    fn remove(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.remove(&id)
            && let Some(deadline) = socket.deadline
        {
            self.deadlines.remove(&(deadline, id));
        }
    }
}

impl Dial for UdpSockets {
    fn dial(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        remote: SocketAddr,
    ) -> Result<SocketId, Problem> {
        let failed = |error: io::Error| {
            Problem::failure(format!(
                "no socket for a client, of which each peer needs one: {error}"
            ))
        };
        let mut endpoint =
            UdpEndpoint::connected_to(remote, self.policy.clone()).map_err(failed)?;
        let association = endpoint
            .connect(config, name, remote)
            .map_err(Problem::failure)?;
        let id = self.next;
        if let Some(registry) = &self.registry {
            endpoint.register(registry, Token(id.0)).map_err(failed)?;
        }
        self.next = SocketId(id.0 + 1);
        let socket = Socket {
            endpoint,
            association,
            deadline: None,
            readable: false,
            full: false,
            closing: false,
        };
        self.sockets.insert(id, socket);
        self.due.insert(id);
        Ok(id)
    }
}

impl Traffic for UdpSockets {
    const STREAM: bool = false;

    fn max_message(&self, id: SocketId) -> usize {
        let connection = self.connection(id);
        connection.map_or(0, |connection| connection.max_payload())
    }

    fn drain(
        &mut self,
        id: SocketId,
        partial: &mut Partial,
        buffer: &mut [u8],
        take: impl FnMut(&[u8]),
    ) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            let association = socket.association;
            socket.endpoint.drain(association, partial, buffer, take);
        }
    }

    fn send_data(&mut self, id: SocketId, data: &mut Data, count: u64) -> Result<u64, SendError> {
        let socket = self.touch(id).ok_or(SendError::Closed)?;
        let sent = socket.endpoint.send_data(socket.association, data, count)?;
        // The last turn has emptied the queue, if the system took anything.
        socket.full = sent == 0;
        Ok(sent)
    }
}

impl Endpoint for UdpSockets {
    type Id = SocketId;
    type Records = Datagram;

    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (id, socket) in &mut self.sockets {
            socket.endpoint.register(registry, Token(id.0))?;
        }
        self.registry = Some(registry.try_clone()?);
        Ok(())
    }

    fn ready(&mut self, token: Token) {
        if let Some(socket) = self.touch(SocketId(token.0)) {
            socket.readable = true;
            socket.full = false;
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let now = Instant::now();
        while let Some(&(deadline, id)) = self.deadlines.first().filter(|(due, _)| *due <= now) {
            self.deadlines.remove(&(deadline, id));
            if let Some(socket) = self.touch(id) {
                socket.deadline = None;
            }
        }
        for id in std::mem::take(&mut self.due) {
            let Some(socket) = self.sockets.get_mut(&id) else {
                continue;
            };
            match std::mem::take(&mut socket.readable) {
                true => socket.endpoint.turn()?,
                false => socket.endpoint.flush()?,
            }
            while let Some(event) = Endpoint::poll_event(&mut socket.endpoint) {
                self.events.push_back(event.with_id(id));
            }
            if socket.closing && !socket.endpoint.endpoint().has_transmit() {
                self.events.push_back(Happening::Closed(id));
                continue;
            }
            let wait = socket.endpoint.poll_timeout();
            if wait == Some(Duration::ZERO) {
                socket.readable = true;
                self.due.insert(id);
            }
            if let Some(deadline) = socket.deadline.take() {
                self.deadlines.remove(&(deadline, id));
            }
            socket.deadline = wait.map(|wait| now + wait);
            self.deadlines.extend(socket.deadline.map(|at| (at, id)));
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<Happening<SocketId>> {
        let event = self.events.pop_front()?;
        if let Happening::Failed(id, _) | Happening::Closed(id) = event {
            self.remove(id);
        }
        Some(event)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        if !self.due.is_empty() || !self.events.is_empty() {
            return Some(Duration::ZERO);
        }
        let (first, _) = self.deadlines.first()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn connection(&self, id: SocketId) -> Option<&DtlsConnection> {
        let socket = self.sockets.get(&id)?;
        Endpoint::connection(&socket.endpoint, socket.association)
    }

    fn peer(&self, id: SocketId) -> Option<SocketAddr> {
        let socket = self.sockets.get(&id)?;
        Endpoint::peer(&socket.endpoint, socket.association)
    }

    fn has_room(&self, id: SocketId) -> bool {
        self.sockets.get(&id).is_some_and(|socket| !socket.full)
    }

    fn send(&mut self, id: SocketId, data: &[u8]) -> Result<(), SendError> {
        let socket = self.touch(id).ok_or(SendError::Closed)?;
        Endpoint::send(&mut socket.endpoint, socket.association, data)
    }

    fn recv(&mut self, id: SocketId) -> Option<Vec<u8>> {
        let socket = self.sockets.get_mut(&id)?;
        Endpoint::recv(&mut socket.endpoint, socket.association)
    }

    fn command(&mut self, id: SocketId, command: Command) -> Result<(), Refused> {
        let socket = self.touch(id).ok_or(RenegotiateError::Closed)?;
        socket.endpoint.command(socket.association, command)
    }

    fn request_client_certificate(
        &mut self,
        id: SocketId,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        let socket = self.touch(id).ok_or(RenegotiateError::Closed)?;
        Endpoint::request_client_certificate(&mut socket.endpoint, socket.association, policy)
    }

    /// The socket goes with the next turn, after its close_notify: nobody waits for a peer that has
    /// lost it.
    fn close(&mut self, id: SocketId) {
        if let Some(socket) = self.touch(id) {
            Endpoint::close(&mut socket.endpoint, socket.association);
            socket.closing = true;
        }
    }

    fn close_all(&mut self) {
        let all: Vec<_> = self.sockets.keys().copied().collect();
        for id in all {
            self.close(id);
        }
    }

    fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    fn counters(&self) -> Line {
        Line::new("endpoint_counters").field("sockets", self.sockets.len())
    }
}
