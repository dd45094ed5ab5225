//! A TLS connection on a `mio::net::TcpStream`.

mod source;
mod waking;

use super::clock;
use super::intake::{Arrived, Intake};
use super::linger::Linger;
use super::outlet::Outlet;
use crate::config::{ClientAuthentication, ClientConfig, ServerConfig};
use crate::connection::{Event, TlsConnection};
use crate::error::{Error, KeyUpdateError, RenegotiateError, SendError};
use crate::wire::key_update::KeyUpdate;
use bytes::{Buf as _, Bytes};
use mio::net::TcpStream;
use pki_types::ServerName;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One TLS connection on one TCP stream, for a mio event loop.
///
/// It is registered like the stream itself (it is a [`Source`](mio::event::Source)), once, with
/// `Interest::READABLE | Interest::WRITABLE`: a handshake writes and reads whatever the application
/// does. mio reports readiness only when it begins, so
///
/// * call [`TlsStream::turn`] when an event for it comes, and when [`TlsStream::poll_timeout`] has
///   passed;
/// * then [`Read`] until [`ErrorKind::WouldBlock`]: what is left unread would wait until more bytes
///   come;
/// * after a [`Write`] that was refused with `WouldBlock`, write again after the next event.
///
/// `write` seals; [`TlsStream::turn`] and [`Write::flush`] give the socket what was sealed. At most
/// two send queues' worth is held: one that is being filled, and one that is on its way into the
/// socket.
///
/// ```no_run
/// # fn talk(mut tls: sealgram::net::TlsStream) -> std::io::Result<()> {
/// use std::io::{ErrorKind, Read};
///
/// let mut poll = mio::Poll::new()?;
/// let mut ready = mio::Events::with_capacity(16);
/// let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
/// poll.registry().register(&mut tls, mio::Token(0), both)?;
/// let mut buffer = [0; 16 << 10];
/// loop {
///     match poll.poll(&mut ready, tls.poll_timeout()) {
///         // A signal has ended the wait early.
///         Err(error) if error.kind() == ErrorKind::Interrupted => {}
///         result => result?,
///     }
///     tls.turn()?;
///     while let Some(event) = tls.poll_event() {
///         println!("{event:?}");
///     }
///     loop {
///         match tls.read(&mut buffer) {
///             Ok(0) => return Ok(()),
///             Ok(length) => println!("{length} bytes"),
///             Err(error) if error.kind() == ErrorKind::WouldBlock => break,
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// # }
/// ```
///
/// # Errors of reading and writing
///
/// | kind | meaning |
/// |---|---|
/// | `Ok(0)` from `read` | the peer has sent close_notify, or this end was closed |
/// | `WouldBlock` | nothing to read; the first handshake is not done; the send queue is full |
/// | `UnexpectedEof` from `read` | the stream ended without close_notify: it may be cut off |
/// | `Other` with a [`Failure`](crate::Failure) inside | TLS has failed, and the peer was told |
/// | `BrokenPipe` from `write` | this end or the peer has closed the connection |
/// | others | those of the socket, for example `ConnectionRefused` and `ConnectionReset` |
///
/// Data that came before the end is read before the end is reported. Every error but `WouldBlock`
/// is final and is returned again by every call; drop the stream then.
///
/// # The last alert
///
/// A socket that is closed with unread bytes in it resets the stream, and what was sent last is
/// lost. So a failure that the peer is told by an alert is returned here only when
///
/// * the alert, and what was written before it, is in the socket, and this end's direction has been
///   ended after it; if the socket does not accept it within two seconds, it is given up;
/// * and then the peer has ended its direction too, or another two seconds have passed.
///
/// What the peer sends in the meantime is read and dropped; a mebibyte (2^20 bytes) in either of
/// the two parts ends the wait as well. Until then `turn` succeeds, `read` and `write` return
/// `WouldBlock`, and [`TlsStream::poll_timeout`] gives the time that is left. There is no such wait
/// for a TCP connection that is broken or was never established.
pub struct TlsStream {
    socket: TcpStream,
    connection: TlsConnection,
    intake: Intake,
    /// The rest of a record that a reader has taken only part of.
    reading: Bytes,
    outlet: Outlet,
    /// The last turn ended before the socket was empty.
    unfinished: bool,
    /// The TCP connection is established.
    connected: bool,
    /// The peer has ended its direction of the TCP stream.
    input_ended: bool,
    /// The peer has said that it sends no more data.
    peer_closed: bool,
    truncated: bool,
    /// The error with which the socket failed.
    broken: Option<io::Error>,
    events: VecDeque<Event>,
    /// The wait after the last alert.
    linger: Linger,
    /// The number of records at the last check for idleness, and the time when it had last changed.
    records: u64,
    last_active: Instant,
}

/// The most receive calls that one turn makes. Data stop at the full receive queue anyway; this
/// limit is for a peer that sends many other records.
const RECEIVE_BUDGET: usize = 64;

/// How far a stream receives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until the socket says that it is empty: what is in it may be more than data.
    Empty,
    /// Until there is data and probably nothing behind it.
    Data,
}

impl TlsStream {
    /// Starts a TCP connection to `remote`, and over it a TLS connection with a server that must
    /// prove that it is `server`. The handshake's deadline
    /// ([`StreamPolicy`](crate::config::StreamPolicy)) covers both.
    ///
    /// # Errors
    ///
    /// If no socket can be created, if the system refuses at once, or if it has no randomness.
    /// [`TlsStream::turn`] reports a server that cannot be reached.
    pub fn connect(
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        remote: SocketAddr,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(remote)?;
        // Flights and records are written whole, so holding back the last segment of one gains
        // nothing.
        socket.set_nodelay(true)?;
        let mut stream = Self::client(socket, config, server)?;
        stream.connection.set_peer(remote);
        Ok(stream)
    }

    /// Starts a TLS connection as the client, over a TCP stream that is connected, or about to be.
    /// Bytes that the stream carried before, for example of a proxy or of a STARTTLS command, must
    /// have been read already.
    ///
    /// # Errors
    ///
    /// If the system has no randomness.
    pub fn client(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
    ) -> io::Result<Self> {
        let connection =
            TlsConnection::connect(clock::now(), config, server).map_err(io::Error::other)?;
        Ok(Self::new(socket, connection))
    }

    /// Starts a TLS connection as the server, over a TCP stream that was accepted.
    ///
    /// # Errors
    ///
    /// None today; a configuration that cannot work is refused when it is built.
    pub fn server(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = TlsConnection::accept(clock::now(), config).map_err(io::Error::other)?;
        let mut stream = Self::new(socket, connection);
        // A client that has already gone has no address any more; the first turn reports that.
        stream.connected = true;
        if let Ok(remote) = stream.socket.peer_addr() {
            stream.connection.set_peer(remote);
        }
        Ok(stream)
    }

    fn new(socket: TcpStream, connection: TlsConnection) -> Self {
        Self {
            socket,
            connection,
            intake: Intake::new(),
            reading: Bytes::new(),
            outlet: Outlet::default(),
            unfinished: false,
            connected: false,
            input_ended: false,
            peer_closed: false,
            truncated: false,
            broken: None,
            events: VecDeque::new(),
            linger: Linger::default(),
            records: 0,
            last_active: clock::now(),
        }
    }

    /// Does everything that can be done now without the application: notices that the TCP
    /// connection is established; receives until the socket is empty, the receive queue is full or
    /// a budget is used up; takes an answer that has come; fires timers; sends what waits. Call it
    /// when the stream is ready, when the poll timed out, after commands, and when a
    /// [`Reply`](crate::Reply) was answered ([`TlsStream::set_waker`]).
    ///
    /// # Errors
    ///
    /// Why the connection is over, if it has failed; see [`TlsStream`]. Data that came before the
    /// failure can still be read.
    pub fn turn(&mut self) -> io::Result<()> {
        self.work(Until::Empty);
        self.fault().map_or(Ok(()), Err)
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The longest time to wait for readiness before the next [`TlsStream::turn`]; `None` for no
    /// limit. Zero while something is left to be sent, received or reported, so that nothing is
    /// missed, whatever the order of calls. Data that waits to be read does not count: a reader may
    /// take its time.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let unsent = self.connected && self.outlet.is_due(&self.connection);
        if self.unfinished || unsent || !self.events.is_empty() {
            return Some(Duration::ZERO);
        }
        if self.broken.is_some() {
            return None;
        }
        [
            self.connection.poll_timeout(),
            self.linger.deadline(),
            self.idle_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|deadline| deadline.saturating_duration_since(clock::now()))
    }

    /// When a connection that is not in use ends.
    fn idle_deadline(&self) -> Option<Instant> {
        let limit = self.connection.idle_timeout()?;
        self.last_active.checked_add(limit)
    }

    /// Checks whether any record has passed since the last check, and ends a connection that has
    /// been idle for too long.
    fn watch_idleness(&mut self, now: Instant) {
        let stats = self.connection.stats();
        let records = stats.records_received() + stats.records_sent();
        if records != self.records {
            self.records = records;
            self.last_active = now;
        } else if self.idle_deadline().is_some_and(|deadline| deadline <= now) {
            let _kept = self.connection.abandon(Error::IdleTimeout);
        }
    }

    /// Says that no more data follows, with the next [`TlsStream::turn`] or [`Write::flush`], after
    /// what was written before. What comes from then on is dropped; what has already come can still
    /// be read.
    pub fn close(&mut self) {
        self.connection.close(clock::now());
    }

    /// Schedules a renegotiation; the next [`TlsStream::turn`] begins it. Go on reading in the
    /// meantime: a full receive queue holds back the peer's handshake messages too.
    ///
    /// # Errors
    ///
    /// As [`Connection::renegotiate`](crate::Connection::renegotiate).
    pub fn renegotiate(&mut self) -> Result<(), RenegotiateError> {
        self.connection.renegotiate()
    }

    /// Schedules a renegotiation that resumes the session in force, if this end is a client.
    ///
    /// # Errors
    ///
    /// As [`Connection::renegotiate_abbreviated`](crate::Connection::renegotiate_abbreviated).
    pub fn renegotiate_abbreviated(&mut self) -> Result<(), RenegotiateError> {
        self.connection.renegotiate_abbreviated()
    }

    /// Asks the client for its certificate, in a renegotiation.
    ///
    /// # Errors
    ///
    /// As
    /// [`Connection::request_client_certificate`](crate::Connection::request_client_certificate).
    pub fn request_client_certificate(
        &mut self,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        self.connection.request_client_certificate(policy)
    }

    /// Schedules a key update.
    ///
    /// # Errors
    ///
    /// As [`Connection::key_update`](crate::Connection::key_update).
    pub fn key_update(&mut self, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        self.connection.key_update(update)
    }

    /// Whether sealed records wait for the socket. Once they do not, the stream can be dropped
    /// without cutting off what this end has said.
    pub fn wants_write(&self) -> bool {
        self.outlet.wants_write(&self.connection)
    }

    /// Whether both ends have ended the TCP stream, or it is broken. Waiting for that after
    /// [`TlsStream::close`] makes sure that nothing on its way is lost. Bound the wait, because the
    /// peer may never end its direction.
    pub const fn is_ended(&self) -> bool {
        self.input_ended && self.outlet.is_ended() || self.broken.is_some()
    }

    /// The connection itself, for its getters.
    pub const fn connection(&self) -> &TlsConnection {
        &self.connection
    }

    /// The TCP stream itself, for its options. Do not read from it or write to it: the bytes would
    /// be missing from the TLS connection.
    pub const fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What a turn does, except for reporting a failure.
    fn work(&mut self, until: Until) {
        if self.broken.is_some() {
            return;
        }
        let now = clock::now();
        if self.is_connected() {
            self.receive(now, until);
        }
        // An expired deadline is kept as the connection's failure.
        let _verdict = self.connection.handle_timeout(now);
        self.watch_idleness(now);
        let alert = self
            .connection
            .failure()
            .is_some_and(|it| it.alert_sent.is_some());
        if alert && self.connected {
            self.linger.begin(now);
        }
        if self.connected {
            self.send(now);
        }
        let (output_ended, input_ended) = (self.outlet.is_ended(), self.input_ended);
        self.linger.look(now, output_ended, input_ended);
        self.collect();
    }

    /// Whether the TCP connection is established, asked in the way that mio documents.
    fn is_connected(&mut self) -> bool {
        if self.connected {
            return true;
        }
        let outcome = match self.socket.take_error() {
            Ok(None) => self.socket.peer_addr(),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match outcome {
            Ok(remote) => {
                self.connection.set_peer(remote);
                self.connected = true;
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => self.broken = Some(error),
        }
        self.connected
    }

    /// Receives until the socket is known to be empty, nothing more is wanted, or a reader has what
    /// it came for. After a failure or the end of
    /// the connection, what comes is dropped: a socket that is closed with unread bytes in it
    /// resets the stream, and the alert that tells the peer about the failure could be lost.
    fn receive(&mut self, now: Instant, until: Until) {
        self.unfinished = false;
        let mut drained = false;
        for _ in 0..RECEIVE_BUDGET {
            // A fault is kept as the connection's failure.
            let _verdict = self.connection.handle_bytes(now, self.intake.filled());
            let stuck = self.connection.is_full() || self.connection.awaits_answer();
            if self.input_ended || stuck {
                return;
            }
            if drained && until == Until::Data && self.connection.unread() > 0 {
                // Whether the stream ends here, the reader's next call or a turn will tell.
                break;
            }
            self.free_intake();
            match self.intake.read_from(&mut self.socket) {
                Ok(Arrived { length: 0, .. }) => {
                    // Everything that is complete was taken above.
                    self.input_ended = true;
                    let _verdict = self.connection.handle_eof();
                    return;
                }
                Ok(Arrived { length, is_all }) => {
                    self.linger.dropped(length);
                    drained = is_all;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(error),
            }
        }
        self.unfinished = true;
    }

    /// Copies what the application has left unread, if it is a small part of the allocation that it
    /// would keep alive.
    fn free_intake(&mut self) {
        let unread = self.connection.unread() + self.reading.len();
        if unread == 0 {
            return self.intake.start_over();
        }
        let Some(size) = self.intake.runs_out() else {
            return;
        };
        if unread < size / 4 {
            self.connection.detach_unread();
            self.reading = Bytes::copy_from_slice(&self.reading);
        }
    }

    /// Sends until nothing waits or the socket is full.
    fn send(&mut self, now: Instant) {
        let outcome = (self.outlet).send(now, &mut self.connection, &mut self.socket);
        if let Err(error) = outcome {
            // What the peer said before it went away is a better reason.
            self.receive(now, Until::Empty);
            self.fail(error);
        }
    }

    /// The socket cannot be used any more. That is a failure unless one direction was ended
    /// properly.
    fn fail(&mut self, error: io::Error) {
        self.collect();
        let was_ended =
            self.peer_closed || self.outlet.is_ended() || self.connection.failure().is_some();
        self.input_ended = true;
        self.outlet.abandon();
        if !was_ended && self.broken.is_none() {
            self.broken = Some(error);
        }
    }

    fn collect(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.peer_closed |= event == Event::PeerClosed;
            self.truncated |= event == Event::Truncated;
            self.events.push_back(event);
        }
    }

    /// Why the connection has failed, if it has.
    fn fault(&self) -> Option<io::Error> {
        if self.linger.is_waiting() {
            return None;
        }
        if let Some(failure) = self.connection.failure() {
            return Some(io::Error::other(failure.clone()));
        }
        let error = self.broken.as_ref()?;
        Some(match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => error.kind().into(),
        })
    }

    /// Copies received data and returns the number of bytes.
    fn take_data(&mut self, out: &mut [u8]) -> usize {
        let mut taken = 0;
        while taken < out.len() {
            if self.reading.is_empty() {
                match self.connection.recv() {
                    Some(received) => self.reading = received.data,
                    None => break,
                }
            }
            let length = self.reading.len().min(out.len() - taken);
            out[taken..taken + length].copy_from_slice(&self.reading[..length]);
            taken += length;
            if length == self.reading.len() {
                // An empty slice would keep the memory from being used again.
                self.reading = Bytes::new();
            } else {
                self.reading.advance(length);
            }
        }
        taken
    }

    /// What a reader is told after it has read everything.
    fn end_of_data(&self) -> io::Result<usize> {
        if let Some(fault) = self.fault() {
            Err(fault)
        } else if self.linger.is_waiting() {
            Err(ErrorKind::WouldBlock.into())
        } else if self.truncated {
            Err(ErrorKind::UnexpectedEof.into())
        } else if self.connection.is_read_closed() && !self.connection.is_handshaking() {
            Ok(0)
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }
}

/// Reads plaintext. Receives from the socket if nothing is here, so that after `WouldBlock` an
/// event will come.
impl Read for TlsStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let mut taken = self.take_data(out);
        if taken == 0 {
            self.work(Until::Data);
            taken = self.take_data(out);
        }
        if taken > 0 {
            Ok(taken)
        } else {
            self.end_of_data()
        }
    }
}

/// Seals as much plaintext as the send queue has room for.
impl Write for TlsStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        let sealed = match self.connection.send(clock::now(), data) {
            Err(SendError::NotConnected | SendError::Backlog | SendError::Renegotiating) => {
                self.work(Until::Empty);
                self.connection.send(clock::now(), data)
            }
            sealed => sealed,
        };
        sealed.map_err(|refusal| match (self.fault(), refusal) {
            (Some(fault), _) => fault,
            (None, SendError::NotConnected | SendError::Backlog | SendError::Renegotiating) => {
                ErrorKind::WouldBlock.into()
            }
            (None, _) if self.linger.is_waiting() => ErrorKind::WouldBlock.into(),
            (None, SendError::Closed) => ErrorKind::BrokenPipe.into(),
            (None, refusal) => io::Error::other(refusal),
        })
    }

    /// Gives the socket what was sealed. `WouldBlock` if it has no room for all of it; the next
    /// turn sends the rest. Data that wait for the end of a renegotiation are not sealed yet, and
    /// this does not wait for them. After a failure of TLS this still sends its alert.
    fn flush(&mut self) -> io::Result<()> {
        if self.broken.is_none() && self.is_connected() {
            self.send(clock::now());
            self.collect();
        }
        match &self.broken {
            Some(_) => self.fault().map_or(Ok(()), Err),
            None if self.wants_write() => Err(ErrorKind::WouldBlock.into()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("socket", &self.socket)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
