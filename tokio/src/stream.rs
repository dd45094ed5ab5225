//! An association with one peer.

use crate::shared::{End, Handle, State};
use sealgram::endpoint::{AssociationId, AssociationMut};
use sealgram::error::SendError;
use sealgram::record::Received;
use sealgram::{DtlsConnection, Event};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

/// An association with one peer: whole datagrams go in and come out, in whatever order the network
/// brings them, and some never do. An empty one is never received.
///
/// All calls take `&self`, so that several tasks may send and receive at once; to give the two
/// directions to two tasks, [`DtlsStream::into_split`]. Dropping it says goodbye to the peer, after
/// what was sent before.
///
/// # Errors
///
/// | kind | meaning |
/// |---|---|
/// | `Other` with a [`Failure`](sealgram::Failure) inside | the association has failed, and why |
/// | `BrokenPipe` | this end or the peer has closed the association |
/// | `InvalidInput` with a [`SendError`] inside | the datagram does not fit; the rest goes on |
/// | others | the socket cannot be used any more |
pub struct DtlsStream {
    handle: Handle,
    id: AssociationId,
}

impl DtlsStream {
    pub(crate) const fn new(handle: Handle, id: AssociationId) -> Self {
        Self { handle, id }
    }

    pub(crate) const fn id(&self) -> AssociationId {
        self.id
    }

    /// The next datagram with what it came with: its epoch and its path. `None` once the peer has
    /// said goodbye and everything before that was received. Its data is a slice of the buffer that
    /// it arrived in, so copy what is kept for long.
    ///
    /// # Errors
    ///
    /// See [`DtlsStream`]; each is final.
    pub async fn recv(&self) -> io::Result<Option<Received>> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The same for those who poll.
    ///
    /// # Errors
    ///
    /// As [`DtlsStream::recv`].
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Received>>> {
        let mut state = self.handle.lock();
        let received = state
            .endpoint
            .association(self.id)
            .and_then(|mut association| association.recv());
        match received {
            Some(received) => Poll::Ready(Ok(Some(received))),
            None => self.nothing_to_receive(&mut state, context),
        }
    }

    /// Copies the next datagram into `out`, cut to its length, and says how long that is; `None` as
    /// [`DtlsStream::recv`].
    ///
    /// # Errors
    ///
    /// As [`DtlsStream::recv`].
    pub async fn recv_into(&self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let received = self.recv().await?;
        Ok(received.map(|received| {
            let length = received.data.len().min(out.len());
            out[..length].copy_from_slice(&received.data[..length]);
            length
        }))
    }

    /// Why nothing comes: not yet, or never again.
    fn nothing_to_receive<T>(
        &self,
        state: &mut State,
        context: &Context<'_>,
    ) -> Poll<io::Result<Option<T>>> {
        if let Some(broken) = &state.broken {
            return Poll::Ready(Err(broken.error()));
        }
        let Some(peer) = state.peers.get_mut(&self.id) else {
            return Poll::Ready(Ok(None));
        };
        match &peer.end {
            Some(End::Closed) => return Poll::Ready(Ok(None)),
            Some(End::Failed(failure)) => {
                return Poll::Ready(Err(io::Error::other((**failure).clone())));
            }
            None => {}
        }
        if !peer.is_read_closed {
            peer.receiving.join(context);
            return Poll::Pending;
        }
        // Everything that came before the goodbye was received, so it can be answered.
        if let Some(mut association) = state.endpoint.association(self.id) {
            association.close();
        }
        state.driver.ring();
        Poll::Ready(Ok(None))
    }

    /// Sends one datagram, whole or not at all, and waits while too much is on its way to the
    /// socket, or a renegotiation holds back what is sent. That it has been sent does not mean that
    /// it arrives.
    ///
    /// # Errors
    ///
    /// See [`DtlsStream`]. [`DtlsConnection::max_payload`] says what fits, by
    /// [`DtlsStream::with`].
    pub async fn send(&self, data: &[u8]) -> io::Result<()> {
        poll_fn(|context| self.poll_send(context, data)).await
    }

    /// The same for those who poll.
    ///
    /// # Errors
    ///
    /// As [`DtlsStream::send`].
    pub fn poll_send(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<()>> {
        let mut state = self.handle.lock();
        let outcome = match state.endpoint.association(self.id) {
            Some(mut association) => association.send(data),
            None => Err(SendError::Closed),
        };
        match outcome {
            Ok(()) => {
                state.driver.ring();
                Poll::Ready(Ok(()))
            }
            Err(SendError::Backlog | SendError::Renegotiating | SendError::NotConnected) => {
                if let Some(broken) = &state.broken {
                    return Poll::Ready(Err(broken.error()));
                }
                state.sending.join(context);
                state.driver.ring();
                Poll::Pending
            }
            Err(refusal) => Poll::Ready(Err(self.refused(&state, refusal))),
        }
    }

    /// Why nothing can be sent.
    fn refused(&self, state: &State, refusal: SendError) -> io::Error {
        if let Some(broken) = &state.broken {
            return broken.error();
        }
        let end = state.peers.get(&self.id).and_then(|peer| peer.end.as_ref());
        match (end, refusal) {
            (Some(End::Failed(failure)), _) => io::Error::other((**failure).clone()),
            (_, SendError::TooLarge { .. } | SendError::BeyondPeerLimit { .. }) => {
                io::Error::new(io::ErrorKind::InvalidInput, refusal)
            }
            (_, SendError::Closed) => io::ErrorKind::BrokenPipe.into(),
            _ => io::Error::other(refusal),
        }
    }

    /// Says goodbye to the peer, after what was sent before, and waits until it has left.
    ///
    /// # Errors
    ///
    /// If the socket cannot be used any more.
    pub async fn close(self) -> io::Result<()> {
        {
            let mut state = self.handle.lock();
            if let Some(mut association) = state.endpoint.association(self.id) {
                association.close();
            }
            state.driver.ring();
        }
        poll_fn(|context| {
            let mut state = self.handle.lock();
            if let Some(broken) = &state.broken {
                return Poll::Ready(Err(broken.error()));
            }
            let unsent = state.endpoint.wants_write();
            match state.peers.get_mut(&self.id) {
                Some(peer) if peer.end.is_none() => peer.watching.join(context),
                _ if unsent => state.sending.join(context),
                _ => return Poll::Ready(Ok(())),
            }
            Poll::Pending
        })
        .await
    }

    /// The next thing that has happened beside data: a renegotiation is done or refused, keys were
    /// updated, the peer's address has changed. `None` at the end of the association. Of what
    /// nobody asks for the last 32 are kept.
    pub async fn event(&self) -> Option<Event> {
        poll_fn(|context| {
            let mut state = self.handle.lock();
            let is_broken = state.broken.is_some();
            let Some(peer) = state.peers.get_mut(&self.id) else {
                return Poll::Ready(None);
            };
            match peer.events.pop_front() {
                Some(event) => Poll::Ready(Some(event)),
                None if peer.end.is_some() || is_broken => Poll::Ready(None),
                None => {
                    peer.watching.join(context);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The getters of the association: who the peer is, what was agreed on, exported keys; `None`
    /// once it is over.
    pub fn with<T>(&self, look: impl FnOnce(&DtlsConnection) -> T) -> Option<T> {
        self.handle.lock().connection(self.id).map(look)
    }

    /// The commands of the association: to renegotiate, to update keys, to set its MTU; `None` once
    /// it is over. The call holds up every stream of the socket, so it must be short.
    pub fn command<T>(&self, command: impl FnOnce(&mut AssociationMut<'_>) -> T) -> Option<T> {
        let mut state = self.handle.lock();
        let mut association = state.endpoint.association(self.id)?;
        let outcome = command(&mut association);
        drop(association);
        state.driver.ring();
        Some(outcome)
    }

    /// Where the peer is; `None` once the association is over.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.with(|connection| connection.path().remote())
    }

    /// The two directions, for two tasks. The goodbye is said when both are dropped.
    pub fn into_split(self) -> (DtlsReceiver, DtlsSender) {
        let stream = Arc::new(self);
        (DtlsReceiver(stream.clone()), DtlsSender(stream))
    }
}

impl Drop for DtlsStream {
    fn drop(&mut self) {
        let mut state = self.handle.lock();
        state.release(self.id);
        state.driver.ring();
    }
}

impl fmt::Debug for DtlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsStream")
            .field("id", &self.id)
            .field("peer", &self.peer_addr())
            .finish()
    }
}

/// What a [`DtlsStream`] receives.
#[derive(Debug)]
pub struct DtlsReceiver(Arc<DtlsStream>);

impl DtlsReceiver {
    /// See [`DtlsStream::recv`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn recv(&mut self) -> io::Result<Option<Received>> {
        self.0.recv().await
    }

    /// See [`DtlsStream::recv_into`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn recv_into(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        self.0.recv_into(out).await
    }

    /// The whole stream, for its getters and commands.
    pub fn stream(&self) -> &DtlsStream {
        &self.0
    }
}

/// What a [`DtlsStream`] sends. It can be cloned: several tasks may send.
#[derive(Clone, Debug)]
pub struct DtlsSender(Arc<DtlsStream>);

impl DtlsSender {
    /// See [`DtlsStream::send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send(&self, data: &[u8]) -> io::Result<()> {
        self.0.send(data).await
    }

    /// The whole stream, for its getters and commands.
    pub fn stream(&self) -> &DtlsStream {
        &self.0
    }
}
