//! The side that serves.

use crate::shared::{Handle, Shared};
use crate::stream::DtlsStream;
use sealgram::ServerConfig;
use sealgram::endpoint::{EndpointPolicy, EndpointStats};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Serves any number of DTLS clients on one UDP socket.
///
/// Handshakes go on by themselves; [`DtlsListener::accept`] gives the clients that have completed
/// theirs, in that order. Dropping it stops the service for new clients, and those that were not
/// accepted; the streams that it gave go on.
pub struct DtlsListener {
    handle: Handle,
}

impl DtlsListener {
    /// Serves clients that come to `local`. Clients that are accepted are limited in number by
    /// [`EndpointPolicy::max_associations`], as are those that wait to be.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound or the system has no randomness.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or if its I/O or time is not enabled.
    pub fn bind(local: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        Self::bind_with(local, config, EndpointPolicy::default())
    }

    /// The same with limits of one's own.
    ///
    /// # Errors
    ///
    /// As [`DtlsListener::bind`].
    ///
    /// # Panics
    ///
    /// As [`DtlsListener::bind`].
    pub fn bind_with(
        local: SocketAddr,
        config: Arc<ServerConfig>,
        policy: EndpointPolicy,
    ) -> io::Result<Self> {
        let handle = Shared::bind(local, policy, Some(config))?;
        Ok(Self { handle })
    }

    /// The next client that has completed its handshake.
    ///
    /// # Errors
    ///
    /// If the socket cannot be used any more. What befalls one client is never an error here.
    pub async fn accept(&mut self) -> io::Result<DtlsStream> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    /// The same for those who poll.
    ///
    /// # Errors
    ///
    /// As [`DtlsListener::accept`].
    pub fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<DtlsStream>> {
        let mut state = self.handle.lock();
        if let Some(id) = state.next_newcomer() {
            drop(state);
            return Poll::Ready(Ok(DtlsStream::new(self.handle.clone(), id)));
        }
        if let Some(broken) = &state.broken {
            return Poll::Ready(Err(broken.error()));
        }
        state.accepting.join(context);
        Poll::Pending
    }

    /// Serves new clients under another configuration from now on: other certificates, for example.
    /// Those who are here stay as they are.
    ///
    /// # Errors
    ///
    /// If the system has no randomness.
    pub fn serve(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        let mut state = self.handle.lock();
        state.endpoint.serve(config).map_err(io::Error::other)
    }

    /// Stops serving new clients, tells all that are here goodbye, and waits until everything that
    /// was sent before has left. What clients have sent can still be received by their streams.
    ///
    /// # Errors
    ///
    /// If the socket cannot be used any more.
    pub async fn shutdown(self) -> io::Result<()> {
        {
            let mut state = self.handle.lock();
            state.endpoint.stop_accepting();
            state.endpoint.close_all();
            state.driver.ring();
        }
        poll_fn(|context| {
            let mut state = self.handle.lock();
            if let Some(broken) = &state.broken {
                return Poll::Ready(Err(broken.error()));
            }
            if state.endpoint.endpoint().is_empty() && !state.endpoint.wants_write() {
                return Poll::Ready(Ok(()));
            }
            state.ending.join(context);
            Poll::Pending
        })
        .await
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// As `std::net::UdpSocket::local_addr`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.lock().endpoint.local_addr()
    }

    /// What strangers have sent, and how many clients were served, counted.
    pub fn stats(&self) -> EndpointStats {
        *self.handle.lock().endpoint.endpoint().stats()
    }
}

impl Drop for DtlsListener {
    fn drop(&mut self) {
        let mut state = self.handle.lock();
        state.stop_serving();
        state.driver.ring();
    }
}

impl fmt::Debug for DtlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsListener")
            .field("endpoint", &self.handle.lock().endpoint)
            .finish()
    }
}
