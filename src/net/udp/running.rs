//! Changes to an endpoint that is running: its registration with an event loop, and whom it serves.

use super::{Registration, UdpEndpoint};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::net::clock;
use crate::net::waker::wakes_poll;
use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use std::io;
use std::sync::Arc;

impl UdpEndpoint {
    /// Has the poll of `waker` woken whenever an answer comes that an association waits for, as
    /// those of keys that are held elsewhere do, so that a loop may sleep until then. The next
    /// [`UdpEndpoint::turn`] touches the associations whose answers have come, and no others. A
    /// poll has one `mio::Waker`, which any number of endpoints and streams share; the woken loop
    /// gives each of them its turn.
    pub fn set_waker(&mut self, waker: Arc<mio::Waker>) {
        self.endpoint.set_waker(wakes_poll(waker));
    }

    /// Removes the socket from the event loop that it is registered with, if any. It may be
    /// registered again, with the same loop or another one.
    ///
    /// # Errors
    ///
    /// As `mio::Registry::deregister`.
    pub fn deregister(&mut self) -> io::Result<()> {
        match self.registration.take() {
            Some(registration) => registration.registry.deregister(&mut self.socket),
            None => Ok(()),
        }
    }

    /// The socket, to read or set its options (with `socket2::SockRef`, for example). Do not read
    /// from it, which would take datagrams away from the associations, and do not make it blocking,
    /// which would stop the event loop.
    pub const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Serves new clients under `config` from now on; see
    /// [`Endpoint::serve`](crate::endpoint::Endpoint::serve).
    ///
    /// # Errors
    ///
    /// As [`Endpoint::serve`](crate::endpoint::Endpoint::serve).
    pub fn serve(&mut self, config: Arc<ServerConfig>) -> Result<(), Error> {
        self.endpoint.serve(clock::now(), config)
    }

    /// Stops serving new clients; see
    /// [`Endpoint::stop_accepting`](crate::endpoint::Endpoint::stop_accepting).
    pub fn stop_accepting(&mut self) {
        self.endpoint.stop_accepting();
    }

    /// Closes every association with the next [`UdpEndpoint::flush`]; see
    /// [`Endpoint::close_all`](crate::endpoint::Endpoint::close_all). A service that shuts down
    /// calls [`UdpEndpoint::stop_accepting`] and this, and continues its loop until
    /// [`Endpoint::is_empty`](crate::endpoint::Endpoint::is_empty).
    pub fn close_all(&mut self) {
        self.endpoint.close_all(clock::now());
    }
}

/// For `registry.register(&mut endpoint, …)`, and for event loops that take any source. The
/// requested interest is ignored: the endpoint always wants to read, and to write only while
/// datagrams wait for room.
impl Source for UdpEndpoint {
    fn register(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        Self::register(self, registry, token)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        let interest = self.interest();
        let registry = registry.try_clone()?;
        registry.reregister(&mut self.socket, token, interest)?;
        self.registration = Some(Registration {
            registry,
            token,
            interest,
        });
        Ok(())
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.socket)?;
        self.registration = None;
        Ok(())
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for UdpEndpoint {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for UdpEndpoint {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}
