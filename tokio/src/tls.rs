//! TLS over anything that can be read and written.

use crate::clock;
use crate::waiting::Tasks;
use bytes::{Buf as _, Bytes, BytesMut};
use sealgram::error::{KeyUpdateError, RenegotiateError, SendError};
use sealgram::pki_types::ServerName;
use sealgram::server::ClientAuthentication;
use sealgram::{
    ClientConfig, Event, KeyUpdate, ProtocolVersion, ServerConfig, Side, TlsConnection,
};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Makes TLS connections as the client.
#[derive(Clone, Debug)]
pub struct TlsConnector(Arc<ClientConfig>);

impl TlsConnector {
    /// Connections under this configuration.
    pub const fn new(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }

    /// Completes a handshake over `io` with a server that must prove that it is `server`.
    ///
    /// # Errors
    ///
    /// As those of reading from a [`TlsStream`].
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        server: ServerName<'static>,
        io: S,
    ) -> io::Result<TlsStream<S>> {
        let connection = TlsConnection::connect(clock::now(), self.0.clone(), server);
        TlsStream::establish(connection.map_err(io::Error::other)?, io).await
    }
}

/// Makes TLS connections as the server.
#[derive(Clone, Debug)]
pub struct TlsAcceptor(Arc<ServerConfig>);

impl TlsAcceptor {
    /// Connections under this configuration.
    pub const fn new(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }

    /// Completes a handshake over `io` with a client.
    ///
    /// # Errors
    ///
    /// As those of reading from a [`TlsStream`].
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: S,
    ) -> io::Result<TlsStream<S>> {
        let connection = TlsConnection::accept(clock::now(), self.0.clone());
        TlsStream::establish(connection.map_err(io::Error::other)?, io).await
    }
}

/// A TLS connection over `S`, whose handshake is done.
///
/// Renegotiations and key updates go on while it is read from, and while it is written to. Bytes
/// that were written leave with a flush at the latest. `shutdown` says that no more follows.
///
/// # Errors
///
/// | kind | meaning |
/// |---|---|
/// | `Ok(0)` from reading | the peer has sent close_notify |
/// | `UnexpectedEof` | the stream ended without close_notify: it may be cut off |
/// | `Other` with a [`Failure`](sealgram::Failure) inside | TLS has failed; the peer was told |
/// | `BrokenPipe` from writing | this end or the peer has closed the connection |
/// | others | those of `S` |
pub struct TlsStream<S> {
    io: S,
    connection: TlsConnection,
    /// Bytes of `io` that are no whole record yet, or for which the connection has no room.
    input: BytesMut,
    /// The rest of a record that a reader has taken only part of.
    reading: Bytes,
    /// Sealed records on their way into `io`, and how much of them is in.
    output: Vec<u8>,
    sent: usize,
    events: VecDeque<Event>,
    timer: Pin<Box<Sleep>>,
    input_ended: bool,
    is_truncated: bool,
    tasks: Arc<Tasks>,
}

/// How much is read from `io` at once, or a little more: a record that is full of data, and what
/// surrounds it.
const READ_SIZE: usize = 17 << 10;

/// The most events that wait for somebody who asks for them; of more the oldest ones are forgotten.
const MAX_EVENTS: usize = 32;

impl<S> TlsStream<S> {
    /// The next thing that has happened beside data: a renegotiation is done or refused, keys were
    /// updated, a ticket came. They are found while the stream is read from or written to. Of what
    /// nobody asks for the last 32 are kept.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The connection itself, for its getters.
    pub const fn connection(&self) -> &TlsConnection {
        &self.connection
    }

    /// What the connection runs over. Do not read from it or write to it: the bytes would be
    /// missing from the TLS connection.
    pub const fn get_ref(&self) -> &S {
        &self.io
    }

    /// Schedules a renegotiation; it begins with the next flush, and goes on while the stream is
    /// read from.
    ///
    /// # Errors
    ///
    /// As [`Connection::renegotiate`](sealgram::Connection::renegotiate).
    pub fn renegotiate(&mut self) -> Result<(), RenegotiateError> {
        self.connection.renegotiate()
    }

    /// Schedules a renegotiation that resumes the session in force, if this end is a client.
    ///
    /// # Errors
    ///
    /// As [`Connection::renegotiate_abbreviated`](sealgram::Connection::renegotiate_abbreviated).
    pub fn renegotiate_abbreviated(&mut self) -> Result<(), RenegotiateError> {
        self.connection.renegotiate_abbreviated()
    }

    /// Asks the client for its certificate, in a renegotiation.
    ///
    /// # Errors
    ///
    /// As
    /// [`request_client_certificate`](sealgram::Connection::request_client_certificate).
    pub fn request_client_certificate(
        &mut self,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        self.connection.request_client_certificate(policy)
    }

    /// Schedules a key update; it leaves with the next flush.
    ///
    /// # Errors
    ///
    /// As [`Connection::key_update`](sealgram::Connection::key_update).
    pub fn key_update(&mut self, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        self.connection.key_update(update)
    }

    /// Why the connection has failed.
    fn fault(&self) -> Option<io::Error> {
        let failure = self.connection.failure()?;
        Some(io::Error::other(failure.clone()))
    }

    /// Copies what was received; whether there was any.
    fn take_data(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let before = out.remaining();
        while out.remaining() > 0 {
            if self.reading.is_empty() {
                match self.connection.recv() {
                    Some(received) => self.reading = received.data,
                    None => break,
                }
            }
            let length = self.reading.len().min(out.remaining());
            out.put_slice(&self.reading[..length]);
            if length == self.reading.len() {
                // An empty slice would keep the memory from being used again.
                self.reading = Bytes::new();
            } else {
                self.reading.advance(length);
            }
        }
        out.remaining() < before
    }

    /// Lets the connection work: takes in what has come, fires timers. Whether that led to
    /// anything. A fault is kept as the connection's failure.
    fn work(&mut self) -> bool {
        let now = clock::now();
        let _verdict = self.connection.handle_timeout(now);
        let _verdict = self.connection.handle_answers(now);
        let before = self.input.len();
        if before > 0 {
            let _verdict = self.connection.handle_bytes(now, &mut self.input);
        }
        if self.connection.awaits_answer() {
            self.connection.set_waker(self.tasks.waker());
        } else if self.input_ended {
            // Everything that is complete was taken above.
            let _verdict = self.connection.handle_eof();
        }
        let mut has_changed = self.input.len() < before;
        while let Some(event) = self.connection.poll_event() {
            has_changed = true;
            self.take_note(event);
        }
        has_changed || self.connection.failure().is_some()
    }

    fn take_note(&mut self, event: Event) {
        match event {
            Event::Readable => return,
            Event::Truncated => self.is_truncated = true,
            _ => {}
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    async fn establish(connection: TlsConnection, io: S) -> io::Result<Self> {
        let mut stream = Self {
            io,
            connection,
            input: BytesMut::new(),
            reading: Bytes::new(),
            output: Vec::new(),
            sent: 0,
            events: VecDeque::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            input_ended: false,
            is_truncated: false,
            tasks: Arc::default(),
        };
        poll_fn(|context| stream.poll_handshake(context)).await?;
        Ok(stream)
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tasks.reads(context);
        loop {
            let progress = self.poll_progress(context);
            if let Some(fault) = self.fault() {
                // The alert that tells the peer is worth an attempt.
                let _sent = self.poll_output(context);
                return Poll::Ready(Err(fault));
            }
            if !self.connection.is_handshaking() {
                let sent = self.poll_output(context);
                // The peer waits for the rest of the last flight, whatever the application does
                // next. Only tickets follow what a client of 1.3 waits for, and it may read them
                // late.
                let ends_with_tickets = self.connection.side() == Side::Server
                    && self.connection.version() == Some(ProtocolVersion::TLS13);
                return match sent {
                    Poll::Pending if ends_with_tickets => Poll::Ready(Ok(())),
                    sent => sent,
                };
            }
            ready!(progress)?;
        }
    }

    /// Does what can be done without the application. Ready if anything has changed, so that it is
    /// worth to look again.
    fn poll_progress(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let has_changed = self.work();
        if let Poll::Ready(Err(error)) = self.poll_output(context) {
            return Poll::Ready(Err(error));
        }
        if has_changed {
            return Poll::Ready(Ok(()));
        }
        let takes_more = !self.input_ended && self.input.len() < READ_SIZE;
        if takes_more
            && !self.connection.awaits_answer()
            && let Poll::Ready(came) = self.poll_input(context)
        {
            return Poll::Ready(came);
        }
        self.poll_timer()
    }

    /// Ready when a deadline of the connection has passed.
    fn poll_timer(&mut self) -> Poll<io::Result<()>> {
        let Some(deadline) = self.connection.poll_timeout() else {
            return Poll::Pending;
        };
        let deadline = Instant::from_std(deadline);
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        let waker = self.tasks.waker();
        let timer = self.timer.as_mut();
        timer.poll(&mut Context::from_waker(&waker)).map(Ok)
    }

    /// Reads once from `io`.
    fn poll_input(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.input.reserve(READ_SIZE);
        let waker = self.tasks.waker();
        let read = pin!(self.io.read_buf(&mut self.input));
        let length = ready!(read.poll(&mut Context::from_waker(&waker)))?;
        self.input_ended = length == 0;
        self.tasks.wake_other(context);
        Poll::Ready(Ok(()))
    }

    /// Gives `io` what was sealed; ready when nothing of it is left.
    fn poll_output(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let waker = self.tasks.waker();
        let mut either = Context::from_waker(&waker);
        loop {
            if self.sent == self.output.len() {
                self.output.clear();
                self.sent = 0;
                let transmit = self
                    .connection
                    .poll_transmit(clock::now(), &mut self.output);
                if transmit.is_none() {
                    return Poll::Ready(Ok(()));
                }
            }
            let rest = &self.output[self.sent..];
            match ready!(Pin::new(&mut self.io).poll_write(&mut either, rest))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                length => self.sent += length,
            }
            self.tasks.wake_other(context);
        }
    }

    /// What a reader is told that has read everything; nothing while more may come.
    fn end_of_data(&mut self, context: &Context<'_>) -> Option<io::Result<()>> {
        if let Some(fault) = self.fault() {
            let _sent = self.poll_output(context);
            return Some(Err(fault));
        }
        if self.is_truncated {
            return Some(Err(ErrorKind::UnexpectedEof.into()));
        }
        let is_over = self.connection.is_read_closed() || self.connection.is_closed();
        is_over.then_some(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if out.remaining() == 0 || this.take_data(out) {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = this.end_of_data(context) {
                return Poll::Ready(end);
            }
            this.tasks.reads(context);
            ready!(this.poll_progress(context))?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.tasks.writes(context);
        loop {
            let progress = match this.connection.send(clock::now(), data) {
                Ok(length) => {
                    // What does not leave now leaves with the next call.
                    return match this.poll_output(context) {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        _ => Poll::Ready(Ok(length)),
                    };
                }
                Err(SendError::Backlog) => this.poll_output(context),
                Err(SendError::Renegotiating | SendError::NotConnected) => {
                    this.poll_progress(context)
                }
                Err(SendError::Closed) => {
                    let closed = || ErrorKind::BrokenPipe.into();
                    return Poll::Ready(Err(this.fault().unwrap_or_else(closed)));
                }
                Err(refusal) => return Poll::Ready(Err(io::Error::other(refusal))),
            };
            ready!(progress)?;
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.tasks.writes(context);
        ready!(this.poll_output(context))?;
        let waker = this.tasks.waker();
        Pin::new(&mut this.io).poll_flush(&mut Context::from_waker(&waker))
    }

    /// Says that no more follows, after what was written before, and ends this direction of the
    /// stream beneath.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.connection.is_write_closed() {
            this.connection.close(clock::now());
        }
        this.tasks.writes(context);
        ready!(this.poll_output(context))?;
        let waker = this.tasks.waker();
        Pin::new(&mut this.io).poll_shutdown(&mut Context::from_waker(&waker))
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("io", &self.io)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
