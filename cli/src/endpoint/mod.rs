//! What servers and clients see of their peers, whether over UDP or TCP.

mod listener;
mod tcp;
mod udp;

pub(crate) use tcp::TcpEndpoint;

use crate::input::{Command, Refused};
use crate::problem::Problem;
use crate::report::Line;
use mio::{Registry, Token};
use sealgram::config::ClientAuthentication;
use sealgram::{Connection, Event, Records, RenegotiateError, SendError};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Many peers behind one name, for an [`EventLoop`](crate::event_loop::EventLoop).
pub(crate) trait Endpoint {
    /// Names a peer.
    type Id: Copy + Ord;
    /// What is below the connections.
    type Records: Records;

    /// Registers everything that there is and will be, with tokens from [`FIRST_TOKEN`] on.
    fn register(&mut self, registry: &Registry) -> io::Result<()>;

    /// Takes note that something is ready.
    fn ready(&mut self, token: Token);

    /// Does everything that can be done now.
    fn turn(&mut self) -> io::Result<()>;

    /// The next thing that happened, until there is none.
    fn poll_event(&mut self) -> Option<Happening<Self::Id>>;

    /// How long to wait for readiness at most.
    fn poll_timeout(&self) -> Option<Duration>;

    /// The connection with a peer.
    fn connection(&self, id: Self::Id) -> Option<&Connection<Self::Records>>;

    /// Where a peer is.
    fn peer(&self, id: Self::Id) -> Option<SocketAddr>;

    /// Whether more can be sent without piling it up. When there is room again, `Readable` comes.
    fn has_room(&self, id: Self::Id) -> bool;

    /// Sends all of `data`, or nothing.
    fn send(&mut self, id: Self::Id, data: &[u8]) -> Result<(), SendError>;

    /// What came from a peer: the next datagram, or the next piece of the stream.
    fn recv(&mut self, id: Self::Id) -> Option<Vec<u8>>;

    /// Carries out a command for one connection.
    fn command(&mut self, id: Self::Id, command: Command) -> Result<(), Refused>;

    /// Wants a client's certificate from its next handshake on, which begins now.
    fn request_client_certificate(
        &mut self,
        id: Self::Id,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError>;

    /// Says goodbye, behind everything that was sent before.
    fn close(&mut self, id: Self::Id);

    /// Serves no newcomers any more, and says goodbye to everybody.
    fn close_all(&mut self);

    /// Whether there are no peers.
    fn is_empty(&self) -> bool;

    /// What was done for peers and strangers, as an event line.
    fn counters(&self) -> Line;
}

/// Something that happened at an endpoint.
#[derive(Debug)]
pub(crate) enum Happening<Id> {
    /// A connection has something to tell.
    Connection(Id, Event),
    /// A connection has failed, and is gone.
    Failed(Id, Problem),
    /// A connection is over, and gone.
    Closed(Id),
    /// The network says that datagrams do not arrive.
    Unreachable {
        /// The peer, where the system tells.
        remote: Option<SocketAddr>,
        /// What the system said.
        error: io::Error,
    },
}

/// The event loop's own tokens are below it.
pub(crate) const FIRST_TOKEN: usize = 2;
