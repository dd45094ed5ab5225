//! The side that asks to be served.

use crate::driver::readiness;
use crate::shared::{End, Handle, Shared};
use crate::stream::DtlsStream;
use sealgram::ClientConfig;
use sealgram::endpoint::EndpointPolicy;
use sealgram::pki_types::ServerName;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

/// Reaches any number of DTLS servers from one UDP socket.
#[derive(Clone)]
pub struct DtlsConnector {
    handle: Handle,
    config: Arc<ClientConfig>,
}

impl DtlsConnector {
    /// Binds a socket, at a port that the system chooses if `local` has port 0. An IPv6 socket that
    /// is not restricted to IPv6 reaches IPv4 servers too.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound or the system has no randomness.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or if its I/O or time is not enabled.
    pub fn bind(local: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        Self::bind_with(local, config, EndpointPolicy::default())
    }

    /// The same with limits of one's own.
    ///
    /// # Errors
    ///
    /// As [`DtlsConnector::bind`].
    ///
    /// # Panics
    ///
    /// As [`DtlsConnector::bind`].
    pub fn bind_with(
        local: SocketAddr,
        config: Arc<ClientConfig>,
        policy: EndpointPolicy,
    ) -> io::Result<Self> {
        let handle = Shared::bind(local, policy, None)?;
        Ok(Self { handle, config })
    }

    /// Completes a handshake with the server at `remote`, which must prove that it is `server`. A
    /// future that is dropped gives up.
    ///
    /// # Errors
    ///
    /// A [`Failure`](sealgram::Failure) inside, of kind `Other`: the handshake has failed or its
    /// deadline has passed. A [`ConnectError`](sealgram::error::ConnectError) inside, of kind
    /// `AddrInUse` or `Other`: it could not begin. Others: the socket cannot be used any more.
    pub async fn connect(
        &self,
        server: ServerName<'static>,
        remote: SocketAddr,
    ) -> io::Result<DtlsStream> {
        let stream = self.begin(server, remote)?;
        poll_fn(|context| {
            let mut state = self.handle.lock();
            if let Some(broken) = &state.broken {
                return Poll::Ready(Err(broken.error()));
            }
            let Some(peer) = state.peers.get_mut(&stream.id()) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            match &peer.end {
                _ if peer.is_established => Poll::Ready(Ok(())),
                Some(End::Failed(failure)) => {
                    Poll::Ready(Err(io::Error::other((**failure).clone())))
                }
                Some(End::Closed) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                None => {
                    peer.watching.join(context);
                    Poll::Pending
                }
            }
        })
        .await?;
        Ok(stream)
    }

    /// Starts a handshake. The stream that is dropped takes it with it.
    fn begin(&self, server: ServerName<'static>, remote: SocketAddr) -> io::Result<DtlsStream> {
        let mut state = self.handle.lock();
        // A stream that was just dropped need not be in the way.
        state.endpoint.flush()?;
        state.settle();
        let config = self.config.clone();
        let id = state
            .endpoint
            .connect(config, server, remote)
            .map_err(|error| match error {
                sealgram::error::ConnectError::AddressInUse(_) => {
                    io::Error::new(io::ErrorKind::AddrInUse, error)
                }
                error => io::Error::other(error),
            })?;
        state.peers.entry(id).or_default().is_owned = true;
        state.driver.ring();
        drop(state);
        Ok(DtlsStream::new(self.handle.clone(), id))
    }

    /// Goes on with another socket, bound to `local`, because the network has changed or the port
    /// should: streams whose server gave them a connection ID stay. See
    /// [`UdpEndpoint::rebind`](sealgram::net::UdpEndpoint::rebind).
    ///
    /// # Errors
    ///
    /// As there; nothing has changed then.
    pub fn rebind(&self, local: SocketAddr) -> io::Result<()> {
        let mut state = self.handle.lock();
        state.endpoint.rebind(local)?;
        state.readiness = Some(readiness(&state.endpoint)?);
        state.driver.ring();
        Ok(())
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// As `std::net::UdpSocket::local_addr`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.lock().endpoint.local_addr()
    }
}

impl fmt::Debug for DtlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsConnector")
            .field("endpoint", &self.handle.lock().endpoint)
            .finish()
    }
}
