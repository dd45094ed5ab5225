//! Where clients come in, and what is done when there is no place for one more.

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
    /// What its clients are served with.
    pub(super) config: Arc<ServerConfig>,
    /// Somebody may be waiting to be accepted.
    ready: bool,
    /// Nobody can be accepted before.
    pause: Option<Instant>,
    /// That nobody can be accepted was told, and nothing has changed since.
    told: bool,
}

/// What came of accepting.
#[derive(Debug)]
pub(super) enum Accepted {
    Somebody(TcpStream, SocketAddr),
    /// Nobody waits any more; the next one makes the socket ready.
    Nobody,
    /// The system has no descriptor left, or no memory, whether somebody waits or not.
    NoRoom(io::Error),
}

/// When accepting is tried again after it has failed. Nothing tells when the system has room again.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    pub(super) fn bind(local: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::bind(local)?,
            config,
            ready: true,
            pause: None,
            told: false,
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.register(registry, token, Interest::READABLE)
    }

    /// Somebody has come.
    pub(super) const fn wake(&mut self) {
        self.ready = true;
    }

    /// Somebody has gone, so there is room.
    pub(super) const fn resume(&mut self) {
        self.ready = true;
        self.pause = None;
    }

    /// Whether it is worth while to accept.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.timeout(now) == Some(Duration::ZERO)
    }

    /// When it is worth while to accept.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let pause = self.pause.map(|until| until.saturating_duration_since(now));
        self.ready.then(|| pause.unwrap_or_default())
    }

    pub(super) fn accept(&mut self) -> Accepted {
        loop {
            match self.socket.accept() {
                Ok((socket, remote)) => return Accepted::Somebody(socket, remote),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    return Accepted::Nobody;
                }
                Err(error) if is_about_one_peer(&error) => {}
                Err(error) => return Accepted::NoRoom(error),
            }
        }
    }

    /// Accepts nobody for a moment.
    pub(super) fn pause(&mut self, now: Instant) {
        self.pause = Some(now + PAUSE);
    }

    /// Whether that nobody can be accepted was not told since [`Listener::recover`]. It is told
    /// then.
    pub(super) const fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Everybody who waited was accepted.
    pub(super) const fn recover(&mut self) {
        self.pause = None;
        self.told = false;
    }
}

/// Whether a connection cannot be had because of who is at its other end.
pub(super) fn is_about_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::InvalidInput
    )
}
