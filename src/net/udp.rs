//! An endpoint on a `mio::net::UdpSocket`.

mod running;

use super::batch::{Batch, Left};
use super::clock;
use super::departure::{Departure, Step};
use crate::config::ServerConfig;
use crate::connection::Event;
use crate::endpoint::{AssociationId, AssociationMut, Endpoint, EndpointPolicy, Incoming};
use crate::error::ConnectError;
use crate::protocol::address::destination;
use crate::protocol::{AlertDescription, Path};
use bytes::BytesMut;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Many DTLS associations on one UDP socket, for a mio event loop.
///
/// Register it, wait for readiness no longer than [`UdpEndpoint::poll_timeout`], call
/// [`UdpEndpoint::turn`] when the wait ends for whatever reason, drain
/// [`UdpEndpoint::poll_event`], and call [`UdpEndpoint::flush`] for what the events led to. A wait
/// that was interrupted by a signal (`ErrorKind::Interrupted`) is such a reason and not an error.
/// See `examples/dtls_echo_server.rs`.
///
/// Its receive buffers take 128 KiB of address space, and up to 2 MiB while many peers send at
/// once, of which the system gives memory to the parts that are used.
pub struct UdpEndpoint {
    socket: UdpSocket,
    batch: Batch,
    endpoint: Endpoint,
    registration: Option<Registration>,
    /// Sealed datagrams on their way into the socket.
    departure: Departure,
    /// The turn ended before the socket was empty.
    unfinished: bool,
    /// What the network has reported.
    reports: VecDeque<Unreachable>,
}

struct Registration {
    registry: Registry,
    token: Token,
    interest: Interest,
}

/// The network reports that datagrams do not arrive, for example `ECONNREFUSED`. Anybody can forge
/// such a report, so nothing has changed (RFC 6347 §4.2.8): timers go on, and the association may
/// still come up.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unreachable {
    /// The peer, where the system tells.
    pub remote: Option<SocketAddr>,
    /// What the system said.
    pub error: io::Error,
}

/// How many bytes one turn receives, or a little more. The rest waits for the next turn, so that
/// timers and other sources of the event loop get theirs.
const RECEIVE_BUDGET: usize = 1 << 20;

/// The same where datagrams are small: from how many senders one turn receives, or how often from
/// one.
const RECEIVE_RUNS: usize = 1024;

impl UdpEndpoint {
    /// Binds a socket. With a server configuration it accepts associations; with or without one it
    /// can connect to many servers.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound or the system has no randomness.
    pub fn bind(
        local: SocketAddr,
        policy: EndpointPolicy,
        server: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        Self::from_socket(std::net::UdpSocket::bind(local)?, policy, server)
    }

    /// Binds a socket that talks to `remote` alone, for a client of one server: the system drops
    /// what comes from elsewhere and reports unreachable peers ([`UdpEndpoint::poll_unreachable`]).
    ///
    /// # Errors
    ///
    /// If no socket can be created or the system has no randomness.
    pub fn connected_to(remote: SocketAddr, policy: EndpointPolicy) -> io::Result<Self> {
        let any: SocketAddr = if remote.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0_u16; 8], 0).into()
        };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(remote)?;
        Self::from_socket(socket, policy, None)
    }

    /// Uses a socket that was set up elsewhere. It is made non-blocking.
    ///
    /// # Errors
    ///
    /// If the socket cannot be used or the system has no randomness.
    pub fn from_socket(
        socket: std::net::UdpSocket,
        policy: EndpointPolicy,
        server: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let (socket, batch) = set_up(socket)?;
        let endpoint = Endpoint::new(clock::now(), policy, server).map_err(io::Error::other)?;
        Ok(Self {
            socket,
            batch,
            endpoint,
            registration: None,
            departure: Departure::default(),
            unfinished: false,
            reports: VecDeque::new(),
        })
    }

    /// Registers the socket for reading. Interest in writing is added only while datagrams wait for
    /// room.
    ///
    /// # Errors
    ///
    /// As `mio::Registry::register`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let registry = registry.try_clone()?;
        let interest = self.interest();
        registry.register(&mut self.socket, token, interest)?;
        self.registration = Some(Registration {
            registry,
            token,
            interest,
        });
        Ok(())
    }

    /// Does everything that can be done now: receives until the socket is empty, a budget is used
    /// up, or the data of an association is waiting to be fetched; takes answers that have come;
    /// fires timers; sends what waits. Call it when a wait for readiness ends, whatever ended it.
    ///
    /// # Errors
    ///
    /// Only if the socket itself is unusable. Errors about single datagrams are events.
    pub fn turn(&mut self) -> io::Result<()> {
        let now = clock::now();
        self.receive(now)?;
        self.proceed(now)
    }

    /// The part of [`UdpEndpoint::turn`] that does not receive: takes answers that have come, fires
    /// timers, sends what waits. Call it after commands, and when a [`Reply`](crate::Reply) was
    /// answered ([`UdpEndpoint::set_waker`]): it saves a look at a socket that is most likely
    /// empty. [`UdpEndpoint::poll_timeout`] remembers what a turn has left in the socket.
    ///
    /// # Errors
    ///
    /// As [`UdpEndpoint::turn`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.proceed(clock::now())
    }

    fn receive(&mut self, now: Instant) -> io::Result<()> {
        // The application has had the chance to fetch its data since the last turn.
        self.endpoint.detach_unread();
        self.endpoint.take_congested();
        self.unfinished = false;
        let mut budget = RECEIVE_BUDGET;
        for _ in 0..RECEIVE_RUNS {
            let endpoint = &mut self.endpoint;
            let take = |path, datagrams: BytesMut, size| {
                budget = budget.saturating_sub(datagrams.len());
                endpoint.handle_datagrams(now, path, datagrams, size);
            };
            match self.batch.receive(&self.socket, take) {
                Ok(Left::Nothing) => return Ok(()),
                // While the application has not fetched its data, more is better left where it is
                // than put into a full queue.
                Ok(Left::Perhaps) if budget == 0 || self.endpoint.take_congested() => break,
                Ok(Left::Perhaps) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_misuse(&error) => return Err(error),
                Err(error) => self.unreachable(self.batch.peer(), error),
            }
        }
        self.unfinished = true;
        Ok(())
    }

    fn proceed(&mut self, now: Instant) -> io::Result<()> {
        self.endpoint.handle_timeout(now);
        self.send(now)
    }

    /// Sends until nothing waits or the socket is full.
    fn send(&mut self, now: Instant) -> io::Result<()> {
        loop {
            if self.departure.is_empty() {
                let split = self.batch.max_segments();
                let max = self.departure.max_segments(split);
                let buffer = self.departure.buffer();
                match self.endpoint.poll_transmit(now, max, buffer) {
                    Some(transmit) => self.departure.begin(transmit, split),
                    None => return self.update_interest(),
                }
            }
            let (batch, socket) = (&self.batch, &self.socket);
            let send = |transmit: &_, contents: &_| batch.send(socket, transmit, contents);
            let step = self.departure.advance(send);
            if let Some(error) = self.departure.take_report() {
                self.unreachable(self.batch.peer(), error);
            }
            match step {
                Step::Sent => {}
                Step::Blocked => return self.update_interest(),
                Step::TooLarge(transmit, bytes, error) => {
                    // A batch may have been refused first, but batches were not the reason.
                    self.batch.renew(&self.socket)?;
                    let path = transmit.path;
                    if !self.endpoint.handle_too_large(now, path, bytes) {
                        self.unreachable(Some(path.remote()), error);
                    }
                }
                // Over UDP a datagram that could not be sent is a datagram that was lost.
                Step::Lost(transmit, error) => {
                    self.unreachable(Some(transmit.path.remote()), error)
                }
            }
        }
    }

    /// What the event loop is to tell.
    fn interest(&self) -> Interest {
        if self.departure.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        }
    }

    /// Has the event loop tell that, and nothing else.
    fn update_interest(&mut self) -> io::Result<()> {
        let interest = self.interest();
        match &mut self.registration {
            Some(registration) if registration.interest != interest => {
                registration.interest = interest;
                registration
                    .registry
                    .reregister(&mut self.socket, registration.token, interest)
            }
            _ => Ok(()),
        }
    }

    fn unreachable(&mut self, remote: Option<SocketAddr>, error: io::Error) {
        // A few reports are enough to act upon, and a flood of them must not fill the memory.
        if self.reports.len() < MAX_REPORTS {
            self.reports.push_back(Unreachable { remote, error });
        }
    }

    /// The next event and whose it is, until there is none.
    pub fn poll_event(&mut self) -> Option<(AssociationId, Event)> {
        self.endpoint.poll_event()
    }

    /// The next report of the network that datagrams do not arrive, until there is none. Whoever
    /// does not care need not ask: of what is not fetched a limited number is kept.
    pub fn poll_unreachable(&mut self) -> Option<Unreachable> {
        self.reports.pop_front()
    }

    /// The longest time to wait for readiness before the next [`UdpEndpoint::turn`]; `None` for no
    /// limit. Zero while something is left to be sent, received or reported, so that nothing is
    /// missed, whatever the order of calls.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let unsent = self.departure.is_empty() && self.endpoint.has_transmit();
        if self.unfinished || unsent || self.endpoint.has_event() {
            return Some(Duration::ZERO);
        }
        self.endpoint
            .poll_timeout()
            .map(|deadline| deadline.saturating_duration_since(clock::now()))
    }

    /// Starts an association with the server at `remote`, which must prove that it is `server`.
    /// Call [`UdpEndpoint::flush`] afterwards.
    ///
    /// An IPv6 socket that is not restricted to IPv6 reaches IPv4 servers too. `0.0.0.0` and `::`
    /// stand for this host.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::connect`].
    pub fn connect(
        &mut self,
        config: Arc<crate::config::ClientConfig>,
        server: pki_types::ServerName<'static>,
        remote: SocketAddr,
    ) -> Result<AssociationId, ConnectError> {
        let local = self.socket.local_addr().ok();
        let remote = destination(remote, local.map(|local| local.ip()));
        self.endpoint
            .connect(clock::now(), config, server, Path::new(remote))
    }

    /// The way to one association: all of its commands, and its getters; see
    /// [`Endpoint::association`](crate::endpoint::Endpoint::association). Call
    /// [`UdpEndpoint::flush`] afterwards.
    pub fn association(&mut self, id: AssociationId) -> Option<AssociationMut<'_>> {
        self.endpoint.association(clock::now(), id)
    }

    /// The next client that has proved its address and awaits a decision; see
    /// [`Endpoint::poll_incoming`](crate::endpoint::Endpoint::poll_incoming).
    pub fn poll_incoming(&mut self) -> Option<Incoming> {
        self.endpoint.poll_incoming()
    }

    /// Serves a client; see [`Endpoint::accept`](crate::endpoint::Endpoint::accept). Call
    /// [`UdpEndpoint::flush`] afterwards, as after the other decisions.
    pub fn accept(&mut self, incoming: Incoming) -> Option<AssociationId> {
        self.endpoint.accept(clock::now(), incoming)
    }

    /// Refuses a client with a fatal alert; see
    /// [`Endpoint::refuse`](crate::endpoint::Endpoint::refuse).
    pub fn refuse(&mut self, incoming: Incoming, alert: AlertDescription) {
        self.endpoint.refuse(incoming, alert);
    }

    /// Sends nothing to a client; see [`Endpoint::ignore`](crate::endpoint::Endpoint::ignore).
    pub fn ignore(&mut self, incoming: Incoming) {
        self.endpoint.ignore(incoming);
    }

    /// The endpoint itself, for its getters.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// As `std::net::UdpSocket::local_addr`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl std::fmt::Debug for UdpEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UdpEndpoint")
            .field("socket", &self.socket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// The most reports of the network that wait to be polled.
const MAX_REPORTS: usize = 1024;

/// The requested size of the system's buffers: a burst of some thousand datagrams. The system may
/// grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// Makes a socket ready for use.
fn set_up(socket: std::net::UdpSocket) -> io::Result<(UdpSocket, Batch)> {
    socket.set_nonblocking(true)?;
    enlarge_buffers(&socket);
    let socket = UdpSocket::from_std(socket);
    let batch = Batch::new(&socket)?;
    Ok((socket, batch))
}

fn enlarge_buffers(socket: &std::net::UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    for result in [
        socket.set_recv_buffer_size(SOCKET_BUFFER),
        socket.set_send_buffer_size(SOCKET_BUFFER),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "the socket's buffers could not be enlarged");
        }
    }
}

/// Whether the receive call itself was at fault. Every other error is about an earlier datagram: on
/// a connected socket the system reports ICMP messages this way, and anybody can forge those
/// (RFC 6347 §4.1.1.1, §4.2.8).
fn is_misuse(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::connection::Transmit;
    use mio::event::Source as _;
    use mio::{Events, Poll};

    /// A socket that was full before it came to this loop, or to this token, says when it has room.
    #[test]
    fn what_waits_for_room_is_waited_for_after_a_registration_too() {
        let any = ([127, 0, 0, 1], 0).into();
        let mut endpoint = UdpEndpoint::bind(any, EndpointPolicy::default(), None).unwrap();
        endpoint.departure.buffer().push(7);
        let waiting = Transmit {
            len: 1,
            segment_size: None,
            path: Path::new(endpoint.local_addr().unwrap()),
        };
        endpoint.departure.begin(waiting, 1);
        let mut poll = Poll::new().unwrap();
        let mut ready = Events::with_capacity(4);
        for token in [1, 2] {
            let (registry, token) = (poll.registry(), Token(token));
            let outcome = match endpoint.registration {
                None => endpoint.register(registry, token),
                Some(_) => endpoint.reregister(registry, token, Interest::READABLE),
            };
            outcome.unwrap();
            // A signal ends a wait early.
            while let Err(error) = poll.poll(&mut ready, Some(Duration::from_millis(200))) {
                assert_eq!(error.kind(), io::ErrorKind::Interrupted);
            }
            let told = ready.iter().find(|event| event.is_writable());
            assert_eq!(told.map(mio::event::Event::token), Some(token));
        }
        endpoint.turn().unwrap();
        assert!(endpoint.departure.is_empty());
        assert_eq!(endpoint.interest(), Interest::READABLE);
    }

    /// I8, I10: fragmentation needed, protocol unreachable, parameter problem, prohibited, refused,
    /// no route.
    #[test]
    fn what_icmp_reports_does_not_end_the_endpoint() {
        for (name, number) in [
            ("EMSGSIZE", 90),
            ("ENOPROTOOPT", 92),
            ("EPROTO", 71),
            ("EACCES", 13),
            ("ECONNREFUSED", 111),
            ("EHOSTUNREACH", 113),
        ] {
            assert!(!is_misuse(&io::Error::from_raw_os_error(number)), "{name}");
        }
    }
}
