//! Changes to an endpoint that is running: its registration with an event loop, and whom it serves.

use super::{Registration, UdpEndpoint, set_up};
use crate::config::ServerConfig;
use crate::error::Error;
use crate::net::clock;
use crate::net::waker::wakes_poll;
use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

impl UdpEndpoint {
    /// Has the poll of `waker` woken whenever an answer comes that an association waits for, as
    /// those of keys that are held elsewhere do, so that a loop may sleep until then. The next
    /// [`UdpEndpoint::turn`] touches the associations whose answers have come, and no others. A
    /// poll has one `mio::Waker`, which any number of endpoints and streams share; the woken loop
    /// gives each of them its turn.
    pub fn set_waker(&mut self, waker: Arc<mio::Waker>) {
        self.endpoint.set_waker(wakes_poll(waker));
    }

    /// The same for a loop that is not mio's: `waker` is woken, as those of async runtimes are, and
    /// whoever it wakes calls [`UdpEndpoint::flush`]. It replaces the one before, of either kind.
    pub fn set_task_waker(&mut self, waker: Waker) {
        self.endpoint.set_waker(waker);
    }

    /// Whether the last [`UdpEndpoint::turn`] has ended before the socket was empty, so that
    /// another one receives more, although no readiness is reported again.
    pub const fn has_unread(&self) -> bool {
        self.unfinished
    }

    /// Whether datagrams wait for room in the socket: call [`UdpEndpoint::flush`] once it is
    /// writable. A loop that the endpoint is [registered](UdpEndpoint::register) with need not ask.
    pub const fn wants_write(&self) -> bool {
        !self.departure.is_empty()
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

    /// Goes on with another socket, bound to `local`: for a client whose network has changed, or
    /// that does not want to be recognised by its port. If the old socket was connected to one peer
    /// ([`UdpEndpoint::connected_to`]), the new one is as well, and `local` has to be of the same
    /// family; port 0 and the unspecified address leave the choice to the system. The new socket
    /// takes the place of the old one in the event loop, under the same token. Options that were
    /// set on the old socket are not carried over.
    ///
    /// A peer learns of it by what it is sent next, so send something. If it gave this end a
    /// connection ID ([`sent_connection_id`](crate::DtlsConnection::sent_connection_id)) it
    /// recognises the association, and answers at the new address once that is validated
    /// ([`Migration`](crate::config::Migration)); until then its data goes to the old one, and is
    /// lost. If it did not, the association is lost to it: it counts what comes as strays
    /// ([`EndpointStats::strays`](crate::endpoint::EndpointStats::strays)) and says nothing, and
    /// this end notices by the answers that do not come. What waits in the old socket unread is
    /// lost as well.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, the peer cannot be reached from there, or the event loop
    /// does not take the new socket. Nothing has changed then.
    pub fn rebind(&mut self, local: SocketAddr) -> io::Result<()> {
        let socket = std::net::UdpSocket::bind(local)?;
        if let Ok(peer) = self.socket.peer_addr() {
            socket.connect(peer)?;
        }
        let (mut socket, batch) = set_up(socket)?;
        if let Some(it) = &self.registration {
            it.registry.register(&mut socket, it.token, it.interest)?;
        }
        let mut old = std::mem::replace(&mut self.socket, socket);
        if let Some(registration) = &self.registration {
            // A socket that is closed is in no event loop anyway.
            let _closed_next = registration.registry.deregister(&mut old);
        }
        self.batch = batch;
        self.endpoint.forget_local_addresses();
        Ok(())
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
