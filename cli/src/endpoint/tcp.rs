//! Peers on a TCP stream each.

use super::listener::{self, Accepted, Listener};
use super::{Endpoint, FIRST_TOKEN, Happening};
use crate::input::{Command, Refused};
use crate::problem::Problem;
use crate::report::Line;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sealgram::error::{RenegotiateError, SendError};
use sealgram::net::TlsStream;
use sealgram::pki_types::ServerName;
use sealgram::record::Stream;
use sealgram::server::ClientAuthentication;
use sealgram::{ClientConfig, Event, Failure, ServerConfig, Side, TlsConnection};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Many TLS connections, accepted or initiated.
#[derive(Debug)]
pub(crate) struct TcpEndpoint {
    listener: Option<Listener>,
    registry: Option<Registry>,
    peers: BTreeMap<StreamId, Peer>,
    /// The ID of the next connection.
    next: StreamId,
    events: VecDeque<Happening<StreamId>>,
    /// The buffer that data are read into.
    buffer: Vec<u8>,
    /// How many connections were accepted.
    accepted: u64,
    /// How many have failed, in their handshake or later.
    failed: u64,
}

/// The ID of a connection; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StreamId(usize);

/// A connection, and the data that waits for it.
#[derive(Debug)]
struct Peer {
    stream: TlsStream,
    remote: SocketAddr,
    /// When it was accepted or begun.
    since: Instant,
    /// Data that was sent, but found no room in the connection's queue.
    unsent: Vec<u8>,
    /// A turn has something to do.
    due: bool,
    /// Its end was reported, or is about to be.
    over: bool,
    /// Closing was requested; until when the peer's answer is waited for.
    closing: Option<Instant>,
}

const LISTENER: Token = Token(FIRST_TOKEN);

/// The token of the first connection.
const FIRST_STREAM: usize = FIRST_TOKEN + 1;

/// The most connections at a time. For one more, the least useful one has to go; if all are in use,
/// the new one waits in the system's queue.
const MAX_PEERS: usize = 1024;

/// The most new clients that one turn accepts, so that they do not keep the present ones waiting.
const NEWCOMERS: usize = 64;

/// How much is read at once.
const BUFFER: usize = 1 << 16;

/// How long to wait, after closing, for a peer that shows no sign of life. To end earlier could
/// lose what is still on its way to it.
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

    /// Starts a connection with the server at `remote`, which must prove that it is `server`.
    pub(crate) fn connect(
        &mut self,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        remote: SocketAddr,
    ) -> io::Result<StreamId> {
        self.add(TlsStream::connect(config, server, remote)?, remote)
    }

    /// Received data from a peer, as much as there is and `out` has room for.
    pub(crate) fn recv_into(&mut self, id: StreamId, out: &mut [u8]) -> Option<usize> {
        let peer = self.peers.get_mut(&id)?;
        match peer.stream.read(out) {
            Ok(0) => None,
            Ok(length) => Some(length),
            Err(error) => {
                peer.due |= error.kind() != ErrorKind::WouldBlock;
                None
            }
        }
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
            closing: None,
        };
        self.peers.insert(id, peer);
        Ok(id)
    }

    /// Accepts the clients that wait.
    fn accept(&mut self, now: Instant) {
        // A system without descriptors refuses whether a client waits or not.
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
                Accepted::Client(socket, remote) => {
                    if let Some(id) = leaving {
                        self.drop_for_new_client(id);
                    }
                    self.add_accepted(socket, remote, config)
                }
                Accepted::NoneWaiting => {
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

    /// Frees a descriptor: drops a connection that has sent nothing yet, to make room for the next
    /// client. Returns whether there was one; otherwise new clients wait.
    fn make_room(&mut self, now: Instant, error: &io::Error) -> bool {
        let silent = self.expendable(Standing::Silent);
        // The connection that was accepted last took the last descriptor, and may be about to send
        // something.
        let old = |id: &StreamId| {
            let since = self.peers.get(id).map_or(now, |peer| peer.since);
            now.saturating_duration_since(since) > listener::PAUSE
        };
        if let Some(id) = silent.filter(old) {
            self.drop_for_new_client(id);
            return true;
        }
        let unclear = silent.is_some() || self.peers.values().any(|peer| peer.due);
        if let Some(listener) = &mut self.listener {
            listener.pause(now);
            if !unclear && listener.is_news() {
                let reason = format!(
                    "a connection cannot be accepted: {error}; new clients wait until others have left"
                );
                Line::new("error").field("reason", reason).print();
            }
        }
        false
    }

    /// Which connection goes first for a new client, among those of at most this standing: the
    /// oldest of the lowest. One whose turn is still to come is spared, because it may have sent
    /// something that has not been read yet.
    fn expendable(&self, most: Standing) -> Option<StreamId> {
        let looked_at = self.peers.iter().filter(|(_, peer)| !peer.due);
        looked_at
            .map(|(&id, peer)| (peer.standing(), id))
            .filter(|(standing, _)| *standing <= most)
            .min()
            .map(|(_, id)| id)
    }

    /// Closes a connection to make room for a new client.
    fn drop_for_new_client(&mut self, id: StreamId) {
        let Some(peer) = self.peers.remove(&id).filter(|peer| !peer.over) else {
            return;
        };
        self.events.push_back(if peer.closing.is_some() {
            Happening::Closed(id)
        } else {
            let problem = match peer.stream.connection().failure() {
                Some(failure) => Problem::from(failure),
                None => Problem::failure(
                    "the client was dropped to make room for new ones: it has not completed its handshake",
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

    /// Removes a connection whose end was reported.
    fn remove(&mut self, id: StreamId) {
        self.peers.remove(&id);
        if let Some(listener) = &mut self.listener {
            listener.resume();
        }
    }
}

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// How bad it would be to lose a connection, the least bad first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    /// Everything was sent, and the connection closed; only the peer's end is awaited.
    Over,
    /// The peer has connected, and nothing has come from it.
    Silent,
    /// The peer is in the middle of its handshake.
    Handshaking,
    /// The peer is served.
    Established,
}

impl Peer {
    fn standing(&self) -> Standing {
        let connection = self.stream.connection();
        if self.over || connection.failure().is_some() || self.has_sent_close() {
            Standing::Over
        } else if !connection.is_handshaking() {
            Standing::Established
        } else if connection.stats().records_received() > 0 {
            Standing::Handshaking
        } else {
            Standing::Silent
        }
    }

    /// Whether this end's close_notify has been sent, after everything else.
    fn has_sent_close(&self) -> bool {
        let connection = self.stream.connection();
        self.closing.is_some() && connection.is_write_closed() && !self.stream.wants_write()
    }

    /// Whether a turn has something to do.
    fn is_due(&self, now: Instant) -> bool {
        !self.over && (self.due || self.timeout(now) == Some(Duration::ZERO))
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let patience = self
            .closing
            .map(|until| until.saturating_duration_since(now));
        [patience, self.stream.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does everything that can be done now, and reports what happened.
    fn turn(&mut self, now: Instant, mut tell: impl FnMut(Kind)) {
        if let Some(until) = &mut self.closing
            && self.due
        {
            *until = now + PATIENCE;
        }
        self.due = false;
        let outcome = self.advance();
        while let Some(event) = self.stream.poll_event() {
            match event {
                // RFC 5246 §7.2.1, RFC 8446 §6.1: an end that has sent close_notify need not wait
                // for the peer's.
                Event::Truncated if self.has_sent_close() => {}
                Event::Truncated => {
                    self.over = true;
                    let reason = "the stream has ended without the peer's close_notify: what came \
                                  may have been cut short";
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
        let waited = self.closing.is_some_and(|until| until <= now);
        let gone = self.closing.is_some() && self.stream.is_ended();
        if !self.over && (waited || gone) {
            self.over = true;
            tell(Kind::Closed);
        }
    }

    /// Moves data and the close_notify along. Returns whether there is room again for data that
    /// waits elsewhere.
    fn advance(&mut self) -> io::Result<bool> {
        self.stream.turn()?;
        let waited = !self.unsent.is_empty();
        self.seal()?;
        if self.closing.is_some() && self.unsent.is_empty() {
            self.stream.close();
        }
        self.stream.turn()?;
        Ok(waited && self.unsent.is_empty())
    }

    /// Moves waiting data into the connection's queue.
    fn seal(&mut self) -> io::Result<()> {
        let mut sealed = 0;
        while sealed < self.unsent.len() {
            match self.stream.write(&self.unsent[sealed..]) {
                Ok(length) => sealed += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The peer accepts nothing more, which another event reports.
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
            // The peer has reached this end, so its address and port are right.
            None if self.stream.connection().side() == Side::Server => Problem::failure(format!(
                "the client has gone in the middle of its handshake: {error}; its own log may say why, or it was a port \
                 scan or a health check"
            )),
            None => Problem::failure(format!(
                "the peer cannot be reached: {error}; check its address, and that it listens there"
            )),
        };
        problem.at(self.remote)
    }
}

/// What happened to a connection.
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
        let accepting = self.listener.as_ref().and_then(|it| it.timeout(now));
        let may_come = |_: &Duration| {
            self.peers.len() < MAX_PEERS || self.expendable(Standing::Handshaking).is_some()
        };
        let peers = self.peers.values().filter(|peer| !peer.over);
        let peers = peers.filter_map(|peer| match peer.due {
            true => Some(Duration::ZERO),
            false => peer.timeout(now),
        });
        peers.chain(accepting.filter(may_come)).min()
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
        if peer.closing.is_some() || connection.is_write_closed() {
            return Err(SendError::Closed);
        }
        if !peer.unsent.is_empty() {
            return Err(SendError::Backlog);
        }
        peer.unsent.extend_from_slice(data);
        peer.due = true;
        // The next turn reports the same error.
        let _told_later = peer.seal();
        Ok(())
    }

    fn recv(&mut self, id: StreamId) -> Option<Vec<u8>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let length = self.recv_into(id, &mut buffer);
        let data = length.map(|length| buffer[..length].to_vec());
        self.buffer = buffer;
        data
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
            && peer.closing.is_none()
        {
            peer.closing = Some(Instant::now() + PATIENCE);
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
