//! What servers and clients see of their peers, whether over UDP or TCP.

mod listener;
mod tcp;
mod udp;

pub(crate) use tcp::TcpEndpoint;

use crate::input::{Command, Refused};
use crate::problem::Problem;
use crate::report::Line;
use mio::{Registry, Token};
use sealgram::error::{RenegotiateError, SendError};
use sealgram::record::RecordLayer;
use sealgram::server::ClientAuthentication;
use sealgram::{Connection, ConnectionId, Event};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A common view of many peers, for an [`EventLoop`](crate::event_loop::EventLoop).
pub(crate) trait Endpoint {
    /// Identifies a peer.
    type Id: Copy + Ord;
    /// The record layer of the connections.
    type Records: RecordLayer;

    /// Registers all present and future sockets, with tokens from [`FIRST_TOKEN`] on.
    fn register(&mut self, registry: &Registry) -> io::Result<()>;

    /// Notes that a socket is ready.
    fn ready(&mut self, token: Token);

    /// Does everything that can be done now.
    fn turn(&mut self) -> io::Result<()>;

    /// Carries out commands; new datagrams need not be looked for.
    fn flush(&mut self) -> io::Result<()> {
        self.turn()
    }

    /// The next event, until there is none.
    fn poll_event(&mut self) -> Option<Happening<Self::Id>>;

    /// The longest time to wait for readiness.
    fn poll_timeout(&self) -> Option<Duration>;

    /// The connection with a peer.
    fn connection(&self, id: Self::Id) -> Option<&Connection<Self::Records>>;

    /// The address of a peer.
    fn peer(&self, id: Self::Id) -> Option<SocketAddr>;

    /// The connection IDs that the peer's records carry and that this end's do; `None` if there was
    /// no agreement on any.
    fn connection_ids(&self, _: Self::Id) -> Option<(ConnectionId, ConnectionId)> {
        None
    }

    /// Whether more can be sent without queueing it up. When there is room again, `Readable` comes.
    fn has_room(&self, id: Self::Id) -> bool;

    /// Sends all of `data`, or nothing.
    fn send(&mut self, id: Self::Id, data: &[u8]) -> Result<(), SendError>;

    /// Received data from a peer: the next datagram, or the next piece of the stream.
    fn recv(&mut self, id: Self::Id) -> Option<Vec<u8>>;

    /// Carries out a command for one connection.
    fn command(&mut self, id: Self::Id, command: Command) -> Result<(), Refused>;

    /// Asks for a client's certificate in a new handshake, which begins now.
    fn request_client_certificate(
        &mut self,
        id: Self::Id,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError>;

    /// Closes the connection, after everything that was sent before.
    fn close(&mut self, id: Self::Id);

    /// Stops serving new clients, and closes every connection.
    fn close_all(&mut self);

    /// Whether there are no peers.
    fn is_empty(&self) -> bool;

    /// Counters of the endpoint, as an event line.
    fn counters(&self) -> Line;
}

/// Something that happened at an endpoint.
#[derive(Debug)]
pub(crate) enum Happening<Id> {
    /// An event of a connection.
    Connection(Id, Event),
    /// A connection has failed and is gone.
    Failed(Id, Problem),
    /// A connection is over and gone.
    Closed(Id),
    /// The network reports that datagrams do not arrive.
    Unreachable {
        /// The peer, if the system reports it.
        remote: Option<SocketAddr>,
        /// The error that the system reported.
        error: io::Error,
    },
}

impl<Id> Happening<Id> {
    /// The same at an endpoint that knows the connection by another ID.
    pub(crate) fn with_id<Other>(self, id: Other) -> Happening<Other> {
        match self {
            Self::Connection(_, event) => Happening::Connection(id, event),
            Self::Failed(_, problem) => Happening::Failed(id, problem),
            Self::Closed(_) => Happening::Closed(id),
            Self::Unreachable { remote, error } => Happening::Unreachable { remote, error },
        }
    }
}

/// The first token of an endpoint; lower ones are those of the event loop.
pub(crate) const FIRST_TOKEN: usize = 2;
