//! Accepting clients, and what happens when there is no room for one more.

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use sealgram::ServerConfig;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    /// The configuration that its clients are served with.
    pub(super) config: Arc<ServerConfig>,
    /// A client may be waiting to be accepted.
    ready: bool,
    /// No client is accepted before this moment.
    pause: Option<Instant>,
    /// It was reported that no client can be accepted, and nothing has changed since.
    reported: bool,
}

/// The result of accepting.
#[derive(Debug)]
pub(super) enum Accepted {
    Client(TcpStream, SocketAddr),
    /// No client waits any more; the next one makes the socket ready.
    NoneWaiting,
    /// The system has no descriptor left, or no memory, whether a client waits or not.
    NoRoom(io::Error),
}

/// How long after a failure accepting is tried again. Nothing reports when the system has room
/// again.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    pub(super) fn bind(local: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::bind(local)?,
            config,
            ready: true,
            pause: None,
            reported: false,
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.register(registry, token, Interest::READABLE)
    }

    /// A client has come.
    pub(super) const fn wake(&mut self) {
        self.ready = true;
    }

    /// A client has gone, so there is room.
    pub(super) const fn resume(&mut self) {
        self.ready = true;
        self.pause = None;
    }

    /// Whether accepting may succeed now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.timeout(now) == Some(Duration::ZERO)
    }

    /// How long until accepting may succeed.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let pause = self.pause.map(|until| until.saturating_duration_since(now));
        self.ready.then(|| pause.unwrap_or_default())
    }

    pub(super) fn accept(&mut self) -> Accepted {
        loop {
            match self.socket.accept() {
                Ok((socket, remote)) => return Accepted::Client(socket, remote),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    return Accepted::NoneWaiting;
                }
                Err(error) if is_about_one_peer(&error) => {}
                Err(error) => return Accepted::NoRoom(error),
            }
        }
    }

    /// Accepts no client for a moment.
    pub(super) fn pause(&mut self, now: Instant) {
        self.pause = Some(now + PAUSE);
    }

    /// Whether it is news that no client can be accepted: it was not reported since
    /// [`Listener::recover`]. It counts as reported from now on.
    pub(super) const fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.reported, true)
    }

    /// Every client that waited was accepted.
    pub(super) const fn recover(&mut self) {
        self.pause = None;
        self.reported = false;
    }
}

/// Whether a connection could not be accepted because of its peer.
pub(super) fn is_about_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::InvalidInput
    )
}
