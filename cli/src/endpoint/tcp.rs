//! Peers on one TCP stream each.

use super::listener::{self, Accepted, Listener};
use super::{Endpoint, FIRST_TOKEN, Happening};
use crate::input::{Command, Refused};
use crate::problem::Problem;
use crate::report::Line;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sealgram::config::ClientAuthentication;
use sealgram::net::TlsStream;
use sealgram::pki_types::ServerName;
use sealgram::{
    ClientConfig, Event, Failure, RenegotiateError, SendError, ServerConfig, Side, Stream,
    TlsConnection,
};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Many TLS connections, accepted or made.
#[derive(Debug)]
pub(crate) struct TcpEndpoint {
    listener: Option<Listener>,
    registry: Option<Registry>,
    peers: BTreeMap<StreamId, Peer>,
    /// What the next connection is named.
    next: StreamId,
    events: VecDeque<Happening<StreamId>>,
    /// Where data are read to.
    buffer: Vec<u8>,
    /// How many connections were accepted.
    accepted: u64,
    /// How many have failed, in their handshake or later.
    failed: u64,
}

/// Names a connection; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StreamId(usize);

/// A connection with what waits for it.
#[derive(Debug)]
struct Peer {
    stream: TlsStream,
    remote: SocketAddr,
    /// When it was accepted, or the connection begun.
    since: Instant,
    /// What was sent and found no room in the connection's queue.
    unsent: Vec<u8>,
    /// A turn would do something.
    due: bool,
    /// Its end was told, or is about to be.
    over: bool,
    /// A goodbye was asked for; until when its answer is waited for.
    goodbye: Option<Instant>,
}

const LISTENER: Token = Token(FIRST_TOKEN);

/// The token of the first connection.
const FIRST_STREAM: usize = FIRST_TOKEN + 1;

/// How many connections are held at once. For one more, somebody who is of less use has to go; if
/// there is nobody, it waits in the system's queue.
const MAX_PEERS: usize = 1024;

/// How many newcomers one turn takes at most, so that they cannot keep those who are here waiting.
const NEWCOMERS: usize = 64;

/// How much is read at once.
const BUFFER: usize = 1 << 16;

/// How long a peer that shows no sign of life is waited for behind the goodbye. To leave earlier
/// could destroy what is still on its way to it.
const PATIENCE: Duration = Duration::from_secs(1);

impl TcpEndpoint {
    /// An endpoint that only connects.
    pub(crate) fn new() -> Self {
        Self {
            listener: None,
            registry: None,
            peers: BTreeMap::new(),
            next: StreamId(FIRST_STREAM),
            events: VecDeque::new(),
            buffer: vec![0; BUFFER],
            accepted: 0,
            failed: 0,
        }
    }

    /// An endpoint that accepts.
    pub(crate) fn bind(local: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self {
            listener: Some(Listener::bind(local, config)?),
            ..Self::new()
        })
    }

    /// Where it accepts.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.listener {
            Some(listener) => listener.local_addr(),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Starts a connection with the server at `remote`, which must prove to be `server`.
    pub(crate) fn connect(
        &mut self,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        remote: SocketAddr,
    ) -> io::Result<StreamId> {
        self.add(TlsStream::connect(config, server, remote)?, remote)
    }

    fn add(&mut self, mut stream: TlsStream, remote: SocketAddr) -> io::Result<StreamId> {
        let id = self.next;
        if let Some(registry) = &self.registry {
            registry.register(&mut stream, Token(id.0), BOTH)?;
        }
        self.next = StreamId(id.0 + 1);
        let peer = Peer {
            stream,
            remote,
            since: Instant::now(),
            unsent: Vec::new(),
            due: true,
            over: false,
            goodbye: None,
        };
        self.peers.insert(id, peer);
        Ok(id)
    }

    /// Takes those who wait.
    fn accept(&mut self, now: Instant) {
        // A system without descriptors refuses whether somebody waits or not.
        let mut refused = false;
        for _ in 0..NEWCOMERS {
            let full = self.peers.len() >= MAX_PEERS;
            let leaving = match full {
                true => self.expendable(Standing::Handshaking),
                false => None,
            };
            let Some(listener) = &mut self.listener else {
                return;
            };
            if !listener.is_due(now) || full && leaving.is_none() {
                return;
            }
            let config = listener.config.clone();
            let added = match listener.accept() {
                Accepted::Somebody(socket, remote) => {
                    if let Some(id) = leaving {
                        self.shed(id);
                    }
                    self.add_accepted(socket, remote, config)
                }
                Accepted::Nobody => {
                    if !refused {
                        listener.recover();
                    }
                    return;
                }
                Accepted::NoRoom(error) => Err(error),
            };
            match added {
                Ok(()) => {}
                Err(error) if listener::is_about_one_peer(&error) => {}
                Err(error) => {
                    refused = true;
                    if !self.make_room(now, &error) {
                        return;
                    }
                }
            }
        }
    }

    /// Frees a descriptor: somebody who has connected and says nothing goes for whoever comes next.
    /// Whether there was somebody; otherwise newcomers wait.
    fn make_room(&mut self, now: Instant, error: &io::Error) -> bool {
        let silent = self.expendable(Standing::Silent);
        // What was accepted last took the last descriptor, and may be about to speak.
        let old = |id: &StreamId| {
            let since = self.peers.get(id).map_or(now, |peer| peer.since);
            now.saturating_duration_since(since) > listener::PAUSE
        };
        if let Some(id) = silent.filter(old) {
            self.shed(id);
            return true;
        }
        let unclear = silent.is_some() || self.peers.values().any(|peer| peer.due);
        if let Some(listener) = &mut self.listener {
            listener.pause(now);
            if !unclear && listener.is_news() {
                let reason = format!(
                    "a connection cannot be accepted: {error}; newcomers wait until others have left"
                );
                Line::new("error").field("reason", reason).print();
            }
        }
        false
    }

    /// Who goes first for a newcomer, among those that are at most so useful; the oldest of its
    /// kind. Somebody whose turn is still to come may have said something that was not read yet.
    fn expendable(&self, most: Standing) -> Option<StreamId> {
        let looked_at = self.peers.iter().filter(|(_, peer)| !peer.due);
        looked_at
            .map(|(&id, peer)| (peer.standing(), id))
            .filter(|(standing, _)| *standing <= most)
            .min()
            .map(|(_, id)| id)
    }

    /// Closes a connection for a newcomer.
    fn shed(&mut self, id: StreamId) {
        let Some(peer) = self.peers.remove(&id).filter(|peer| !peer.over) else {
            return;
        };
        self.events.push_back(if peer.goodbye.is_some() {
            Happening::Closed(id)
        } else {
            let problem = match peer.stream.connection().failure() {
                Some(failure) => Problem::from(failure),
                None => Problem::failure(
                    "the client was turned away to make room for newcomers: it has not completed its handshake",
                ),
            };
            Happening::Failed(id, problem.at(peer.remote))
        });
    }

    fn add_accepted(
        &mut self,
        socket: TcpStream,
        remote: SocketAddr,
        config: Arc<ServerConfig>,
    ) -> io::Result<()> {
        // An echo of short lines is many small records.
        socket.set_nodelay(true)?;
        self.add(TlsStream::server(socket, config)?, remote)?;
        self.accepted += 1;
        Ok(())
    }

    /// Forgets a connection whose end was told.
    fn remove(&mut self, id: StreamId) {
        self.peers.remove(&id);
        if let Some(listener) = &mut self.listener {
            listener.resume();
        }
    }
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// How much it would hurt to lose a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    /// Everything was said to it; it is only waited for.
    Over,
    /// It has connected, and nothing came from it.
    Silent,
    /// It is in the middle of its handshake.
    Handshaking,
    /// It is served.
    Established,
}

impl Peer {
    fn standing(&self) -> Standing {
        let connection = self.stream.connection();
        if self.over || connection.failure().is_some() || self.has_said_goodbye() {
            Standing::Over
        } else if !connection.is_handshaking() {
            Standing::Established
        } else if connection.stats().records_received() > 0 {
            Standing::Handshaking
        } else {
            Standing::Silent
        }
    }

    /// Whether this end's goodbye is out, behind everything else.
    fn has_said_goodbye(&self) -> bool {
        let connection = self.stream.connection();
        self.goodbye.is_some() && connection.is_write_closed() && !self.stream.wants_write()
    }

    /// Whether a turn would do something.
    fn is_due(&self, now: Instant) -> bool {
        !self.over && (self.due || self.timeout(now) == Some(Duration::ZERO))
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let patience = self
            .goodbye
            .map(|until| until.saturating_duration_since(now));
        [patience, self.stream.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does everything that can be done now, and tells what happened.
    fn turn(&mut self, now: Instant, mut tell: impl FnMut(Kind)) {
        if let Some(until) = &mut self.goodbye
            && self.due
        {
            *until = now + PATIENCE;
        }
        self.due = false;
        let outcome = self.advance();
        while let Some(event) = self.stream.poll_event() {
            match event {
                // RFC 5246 §7.2.1, RFC 8446 §6.1: who has said goodbye need not wait for the
                // peer's.
                Event::Truncated if self.has_said_goodbye() => {}
                Event::Truncated => {
                    self.over = true;
                    let reason = "the stream has ended without the peer's goodbye (close_notify): \
                                  what came may have been cut short";
                    tell(Kind::Failed(Problem::failure(reason).at(self.remote)));
                }
                event => tell(Kind::Event(event)),
            }
        }
        match outcome {
            Err(error) if !self.over => {
                self.over = true;
                tell(Kind::Failed(self.problem(&error)));
            }
            Ok(true) => tell(Kind::Event(Event::Readable)),
            _ => {}
        }
        let waited = self.goodbye.is_some_and(|until| until <= now);
        let gone = self.goodbye.is_some() && self.stream.is_ended();
        if !self.over && (waited || gone) {
            self.over = true;
            tell(Kind::Closed);
        }
    }

    /// Moves data and the goodbye along. Whether there is room again for what waits elsewhere.
    fn advance(&mut self) -> io::Result<bool> {
        self.stream.turn()?;
        let waited = !self.unsent.is_empty();
        self.seal()?;
        if self.goodbye.is_some() && self.unsent.is_empty() {
            self.stream.close();
        }
        self.stream.turn()?;
        Ok(waited && self.unsent.is_empty())
    }

    /// Moves what waits into the connection's queue.
    fn seal(&mut self) -> io::Result<()> {
        let mut sealed = 0;
        while sealed < self.unsent.len() {
            match self.stream.write(&self.unsent[sealed..]) {
                Ok(length) => sealed += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The peer takes nothing more, which is an event of its own.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => sealed = self.unsent.len(),
                Err(error) => return Err(error),
            }
        }
        self.unsent.drain(..sealed);
        Ok(())
    }

    fn problem(&self, error: &io::Error) -> Problem {
        let failure: Option<&Failure> = error.get_ref().and_then(|inner| inner.downcast_ref());
        let problem = match failure {
            Some(failure) => Problem::from(failure),
            None if !self.stream.connection().is_handshaking() => {
                Problem::failure(format!("the connection is lost: {error}"))
            }
            // It has reached this end, so its address and its port are no question.
            None if self.stream.connection().side() == Side::Server => Problem::failure(format!(
                "the client has gone in the middle of its handshake: {error}; its own log may say why, and a port scan or \
                 a health check looks the same"
            )),
            None => Problem::failure(format!(
                "the peer cannot be reached: {error}; check its address, and that it listens there"
            )),
        };
        problem.at(self.remote)
    }
}

/// What a connection tells.
enum Kind {
    Event(Event),
    Failed(Problem),
    Closed,
}

impl Endpoint for TcpEndpoint {
    type Id = StreamId;
    type Records = Stream;

    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        if let Some(listener) = &mut self.listener {
            listener.register(registry, LISTENER)?;
        }
        for (id, peer) in &mut self.peers {
            registry.register(&mut peer.stream, Token(id.0), BOTH)?;
        }
        self.registry = Some(registry.try_clone()?);
        Ok(())
    }

    fn ready(&mut self, token: Token) {
        if let Some(peer) = self.peers.get_mut(&StreamId(token.0)) {
            peer.due = true;
        } else if let Some(listener) = self.listener.as_mut().filter(|_| token == LISTENER) {
            listener.wake();
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.accept(now);
        for (&id, peer) in &mut self.peers {
            if peer.is_due(now) {
                let events = &mut self.events;
                peer.turn(now, |kind| {
                    events.push_back(match kind {
                        Kind::Event(event) => Happening::Connection(id, event),
                        Kind::Failed(problem) => Happening::Failed(id, problem),
                        Kind::Closed => Happening::Closed(id),
                    });
                });
            }
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<Happening<StreamId>> {
        let event = self.events.pop_front()?;
        self.failed += u64::from(matches!(event, Happening::Failed(..)));
        if let Happening::Failed(id, _) | Happening::Closed(id) = event {
            self.remove(id);
        }
        Some(event)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        if !self.events.is_empty() {
            return Some(Duration::ZERO);
        }
        let newcomers = self.listener.as_ref().and_then(|it| it.timeout(now));
        let may_come = |_: &Duration| {
            self.peers.len() < MAX_PEERS || self.expendable(Standing::Handshaking).is_some()
        };
        let peers = self.peers.values().filter(|peer| !peer.over);
        let peers = peers.filter_map(|peer| match peer.due {
            true => Some(Duration::ZERO),
            false => peer.timeout(now),
        });
        peers.chain(newcomers.filter(may_come)).min()
    }

    fn connection(&self, id: StreamId) -> Option<&TlsConnection> {
        Some(self.peers.get(&id)?.stream.connection())
    }

    fn peer(&self, id: StreamId) -> Option<SocketAddr> {
        Some(self.peers.get(&id)?.remote)
    }

    fn has_room(&self, id: StreamId) -> bool {
        self.peers
            .get(&id)
            .is_none_or(|peer| peer.unsent.is_empty())
    }

    fn send(&mut self, id: StreamId, data: &[u8]) -> Result<(), SendError> {
        let peer = self.peers.get_mut(&id).ok_or(SendError::Closed)?;
        let connection = peer.stream.connection();
        if connection.is_handshaking() {
            return Err(SendError::NotConnected);
        }
        if peer.goodbye.is_some() || connection.is_write_closed() {
            return Err(SendError::Closed);
        }
        if !peer.unsent.is_empty() {
            return Err(SendError::Backlog);
        }
        peer.unsent.extend_from_slice(data);
        peer.due = true;
        // What this meets with shows in the next turn as well.
        let _told_later = peer.seal();
        Ok(())
    }

    fn recv(&mut self, id: StreamId) -> Option<Vec<u8>> {
        let peer = self.peers.get_mut(&id)?;
        match peer.stream.read(&mut self.buffer) {
            Ok(0) => None,
            Ok(length) => Some(self.buffer[..length].to_vec()),
            Err(error) => {
                peer.due |= error.kind() != ErrorKind::WouldBlock;
                None
            }
        }
    }

    fn command(&mut self, id: StreamId, command: Command) -> Result<(), Refused> {
        let peer = self.peers.get_mut(&id).ok_or(RenegotiateError::Closed)?;
        peer.due = true;
        match command {
            Command::Renegotiate => peer.stream.renegotiate()?,
            Command::RenegotiateAbbreviated => peer.stream.renegotiate_abbreviated()?,
            Command::KeyUpdate(update) => peer.stream.key_update(update)?,
        }
        Ok(())
    }

    fn request_client_certificate(
        &mut self,
        id: StreamId,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        let peer = self.peers.get_mut(&id).ok_or(RenegotiateError::Closed)?;
        peer.due = true;
        peer.stream.request_client_certificate(policy)
    }

    fn close(&mut self, id: StreamId) {
        if let Some(peer) = self.peers.get_mut(&id)
            && peer.goodbye.is_none()
        {
            peer.goodbye = Some(Instant::now() + PATIENCE);
            peer.due = true;
        }
    }

    fn close_all(&mut self) {
        self.listener = None;
        let all: Vec<_> = self.peers.keys().copied().collect();
        for id in all {
            self.close(id);
        }
    }

    fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    fn counters(&self) -> Line {
        Line::new("endpoint_counters")
            .field("peers", self.peers.len())
            .field("accepted", self.accepted)
            .field("failed", self.failed)
    }
}
