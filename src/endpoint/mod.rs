//! Many associations on one socket, without the socket.
//!
//! ```text
//!  datagram ─► first record ─┬─ ClientHello ─► cookie? ─┬─ no:  HelloVerifyRequest, or at 1.3
//!                            │     (door)               │       HelloRetryRequest; nothing is kept
//!                            │                          └─ yes: known random ─► its association
//!                            │                                  else ─► (the application is asked)
//!                            │                                       ─► a new one, as current or
//!                            │                                          successor
//!                            │     (associations)
//!                            ├─ with a connection ID ─► who has given it to a peer
//!                            ├─ plaintext ─► successor on a copy, current in place
//!                            └─ protected ─► successor on a copy if it has the keys; current in
//!                                            place if it has not, or they do not open it
//! ```

// A file imports from those above it only:
//
// ```text
//  id, stats, replies, shares, cookie_keys, unproven
//  connection_ids                       what names associations in records
//  policy, routing, timers, retry, answered
//                                       policies, keys to associations, deadlines, cookies of 1.3
//  association, cookie                  one association and its place; proof of an address
//  attempts, half_open, incoming        who has begun, who is not done, who awaits a decision
//  associations                         everybody who is in
//  door, guard                          the way in; the way of the application to one of them
//  mod                                  the endpoint: it has a door and associations
// ```

mod answered;
mod association;
mod associations;
mod attempts;
mod buffers;
mod connection_ids;
mod cookie;
mod cookie_keys;
mod door;
mod guard;
mod half_open;
mod id;
mod incoming;
mod policy;
mod replies;
mod retry;
mod routing;
mod shares;
mod stats;
mod timers;
mod unproven;

pub use crate::config::proven::ProvenHello;
pub use connection_ids::FleetMembers;
pub use cookie::{CookieCheck, Cookies};
pub use guard::AssociationMut;
pub use id::AssociationId;
pub use incoming::Incoming;
pub use policy::{EndpointPolicy, Eviction, Newcomers, ResumptionCookies};
pub use stats::EndpointStats;

use crate::config::{ClientConfig, ServerConfig};
use crate::connection::{DtlsConnection, Event, Transmit};
use crate::error::{ConnectError, Error};
use crate::protocol::{AlertDescription, Epoch, Path};
use crate::wire::record_datagram::{DatagramHeader, connection_id_at};
use associations::{Associations, next_datagram};
use bytes::BytesMut;
use connection_ids::ConnectionIds;
use door::Door;
use pki_types::ServerName;
use routing::Key;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// Many associations, clients' and servers' alike, over one socket. Sans-IO: datagrams and the time
/// go in; datagrams, events and a deadline come out.
///
/// Call inputs and commands, then drain `poll_transmit`, then `poll_event` (and `poll_incoming`,
/// where the application is asked), then ask `poll_timeout`. Inputs never fail: what strangers send
/// is counted in [`Endpoint::stats`], and what befalls an association is its event.
/// [`Endpoint::association`] is the way to one of them.
pub struct Endpoint {
    door: Door,
    associations: Associations,
}

impl Endpoint {
    /// An endpoint that can connect; with a server configuration it accepts as well.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(
        now: Instant,
        policy: EndpointPolicy,
        server: Option<Arc<ServerConfig>>,
    ) -> Result<Self, Error> {
        let fleet = server.as_ref().and_then(|config| config.fleet.as_ref());
        let ids = ConnectionIds::new(fleet.or(policy.group.as_ref()), policy.member)?;
        let mut endpoint = Self {
            door: Door::closed(),
            associations: Associations::new(policy, ids),
        };
        if let Some(config) = server {
            endpoint.serve(now, config)?;
        }
        Ok(endpoint)
    }

    /// Starts an association with the server at `path`.
    ///
    /// # Errors
    ///
    /// `AddressInUse` if there is an association with that address already, however it was spelt,
    /// and nothing in its records would tell the two apart: connection IDs do, once its handshake
    /// is done, if its configuration and its server have them
    /// ([`DatagramPolicy::connection_ids`](crate::config::DatagramPolicy::connection_ids) of 4 and
    /// more). `TooManyAssociations` at the limit.
    pub fn connect(
        &mut self,
        now: Instant,
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        path: Path,
    ) -> Result<AssociationId, ConnectError> {
        // Answers come from where the datagrams arrive.
        let path = path.to_destination();
        if self.associations.is_taken(Key::of(path)) {
            return Err(ConnectError::AddressInUse(path.remote()));
        }
        if self.associations.len() >= self.associations.policy.max_associations {
            return Err(ConnectError::TooManyAssociations);
        }
        let issuer = self.associations.next_issuer(&config.parameters.datagram);
        let connection = DtlsConnection::connect_with(now, config, server, path, issuer)?;
        let id = self.associations.enter(now, connection, None);
        id.ok_or(ConnectError::TooManyAssociations)
    }

    /// Serves newcomers under `config` from now on, for example with a renewed certificate. Also an
    /// endpoint that has not accepted so far accepts then.
    ///
    /// Associations that exist keep the configuration that made them, in their renegotiations too.
    /// Cookies that were given out before are still good, so a client that is on its way is not
    /// sent back, unless it speaks 1.3 and `config` would have chosen another suite for it, or
    /// `config` belongs to another [fleet](crate::server::ServerConfigBuilder::fleet). Sessions and
    /// tickets belong to a configuration: to have those of the old one resumed, give the new one
    /// the same fleet, or the same [`Tickets`](crate::session::Tickets), and the same session
    /// cache.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`] if there were no cookies before; nothing has changed then.
    pub fn serve(&mut self, now: Instant, config: Arc<ServerConfig>) -> Result<(), Error> {
        self.door.open(now, &self.associations.policy, config)
    }

    /// Serves no newcomers any more, those included about whom the application has not decided.
    /// They get no answer, so they may find another server; half-open and established associations
    /// go on, and [`Endpoint::serve`] opens the door again.
    pub fn stop_accepting(&mut self) {
        self.door.close(&mut self.associations.attempts);
    }

    /// Whether newcomers are served.
    pub fn is_accepting(&self) -> bool {
        self.door.is_open()
    }

    /// The next client that has proved its address and awaits a decision, until there is none.
    /// There are such only with [`Newcomers::Ask`].
    ///
    /// A client repeats its hello while it gets no answer, which asks no second question; but one
    /// that was refused or ignored may ask again, once a second. The place of one that waits goes
    /// at [`Incoming::deadline`], or earlier for a client of another host where one host has most
    /// of 1,024 places; [`EndpointStats::hellos_undecided`] counts the former.
    ///
    /// ```
    /// # fn decide(endpoint: &mut sealgram::endpoint::Endpoint, now: std::time::Instant) {
    /// use sealgram::AlertDescription;
    ///
    /// while let Some(incoming) = endpoint.poll_incoming() {
    ///     match incoming.hello().server_name.as_deref() {
    ///         Some("example.com") => drop(endpoint.accept(now, incoming)),
    ///         Some(_) => endpoint.refuse(incoming, AlertDescription::UNRECOGNIZED_NAME),
    ///         None => endpoint.ignore(incoming),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn poll_incoming(&mut self) -> Option<Incoming> {
        self.door.poll_incoming()
    }

    /// Serves a client: its association shows up with
    /// [`Event::HandshakeComplete`]. `None` if it waits no longer, or if a limit stands against it;
    /// it repeats its hello then.
    pub fn accept(&mut self, now: Instant, incoming: Incoming) -> Option<AssociationId> {
        self.door.accept(&mut self.associations, now, &incoming)
    }

    /// Refuses a client with a fatal alert, for example `access_denied`. The alert is not
    /// protected: there are no keys yet. Nothing happens if the client waits no longer.
    pub fn refuse(&mut self, incoming: Incoming, alert: AlertDescription) {
        self.door.refuse(&mut self.associations, &incoming, alert);
    }

    /// Sends nothing to a client, as if there were no server.
    pub fn ignore(&mut self, incoming: Incoming) {
        self.door.ignore(&mut self.associations, &incoming);
    }

    /// Takes a datagram from anybody. It is opened in place; received data are slices of it.
    #[inline]
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: BytesMut) {
        let associations = &mut self.associations;
        if let Some(at) = connection_id_at(&datagram) {
            let id = associations.identified(at);
            associations.take_identified(now, path, datagram, id);
            return;
        }
        let header = DatagramHeader::decode_anonymous(&datagram, true);
        if let Some((DatagramHeader::Full(header), _)) = &header
            && header.number.epoch == Epoch::PLAINTEXT
            && self.door.may_be_hello(&datagram)
        {
            self.door.take_hello(associations, now, path, datagram);
            return;
        }
        if let Some((DatagramHeader::Full(_), length)) = header
            && length < datagram.len()
            && let Some(id) = associations.identified_later(&datagram)
        {
            associations.deliver(now, id, path, datagram);
            return;
        }
        let route = associations.route(Key::of(path));
        let Some(route) = route.filter(|_| !datagram.is_empty()) else {
            associations.stats.strays += 1;
            return;
        };
        match header {
            Some((DatagramHeader::Full(header), _)) if header.number.epoch == Epoch::PLAINTEXT => {
                associations.take_plaintext(now, path, datagram, route);
            }
            Some((header, _)) => associations.take_protected(now, path, &header, datagram, route),
            // Whatever it was to be, the record layer counts it.
            None => {
                associations.deliver(now, route.current, path, datagram);
            }
        }
    }

    /// Takes datagrams that one sender has sent one after the other, as one receive call returns
    /// them where the system gathers them (UDP_GRO): each is of `size` bytes, but for the last,
    /// which may be shorter. The same as [`Endpoint::handle_datagram`] with each of them, for less.
    #[inline]
    pub fn handle_datagrams(
        &mut self,
        now: Instant,
        path: Path,
        mut datagrams: BytesMut,
        size: usize,
    ) {
        if datagrams.len() > size {
            let associations = &mut self.associations;
            associations.take_run(now, path, &mut datagrams, size);
        }
        while !datagrams.is_empty() {
            self.handle_datagram(now, path, next_datagram(&mut datagrams, size));
        }
    }

    /// Has `waker` woken whenever an answer comes that an association of this endpoint waits for,
    /// from now on: then [`Endpoint::handle_answers`] goes on. It replaces the one before.
    pub fn set_waker(&mut self, waker: Waker) {
        self.associations.set_waker(waker);
    }

    /// Lets every association go on for which an answer of this end's own has come: from a key that
    /// is held elsewhere, a verifier, a session store, or whoever decides about hellos; see
    /// [`Reply`](crate::Reply). What the answers lead to are events. Returns how many associations
    /// were looked at; those that still wait are not.
    pub fn handle_answers(&mut self, now: Instant) -> usize {
        self.associations.handle_answers(now)
    }

    /// Takes note that the system has refused a datagram of `bytes` on its way along `path`, as too
    /// large: see [`DtlsConnection::handle_too_large`](crate::DtlsConnection::handle_too_large). It
    /// concerns the associations with that address. Whether it was news to one of them.
    pub fn handle_too_large(&mut self, now: Instant, path: Path, bytes: usize) -> bool {
        self.associations.handle_too_large(now, path, bytes)
    }

    /// Takes note that this host has other addresses from here on: what is sent leaves from the one
    /// that the system picks, and no more from the one that a peer was first heard at.
    pub fn forget_local_addresses(&mut self) {
        self.associations.forget_local_addresses();
    }

    /// When [`Endpoint::handle_timeout`] wants to be called. May be earlier than anything is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.associations.poll_timeout(), self.door.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due at `now`, for every association, and takes answers that have come.
    /// Afterwards `poll_timeout() > now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.door.handle_timeout(&mut self.associations, now);
        self.associations.handle_timeout(now);
    }

    /// Appends at most `max_datagrams` datagrams of equal size, for one peer, to `out`. `None` if
    /// nothing waits.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.associations.poll_transmit(now, max_datagrams, out)
    }

    /// The next event and whose it is, until there is none.
    pub fn poll_event(&mut self) -> Option<(AssociationId, Event)> {
        self.associations.poll_event()
    }

    /// The way to one association: all of its commands, and its getters. `None` if it is over and
    /// its last event, [`Event::Closed`] or [`Event::Failed`], has been polled; until then what it
    /// has received can be fetched.
    ///
    /// What is done takes effect when the guard is dropped.
    ///
    /// ```
    /// # use sealgram::endpoint::{AssociationId, Endpoint};
    /// # fn echo(endpoint: &mut Endpoint, id: AssociationId, now: std::time::Instant)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(mut association) = endpoint.association(now, id) {
    ///     association.set_mtu(1200)?;
    ///     while let Some(received) = association.recv() {
    ///         association.send(&received.data)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn association(&mut self, now: Instant, id: AssociationId) -> Option<AssociationMut<'_>> {
        AssociationMut::new(now, &mut self.associations, id)
    }

    /// The same association, to be looked at.
    pub fn connection(&self, id: AssociationId) -> Option<&DtlsConnection> {
        self.associations.find(id).map(|it| &it.connection)
    }

    /// Closes every association, clients' and servers' alike: each peer is told, and each
    /// association that was told of ends with [`Event::Closed`]. Newcomers are still served; see
    /// [`Endpoint::stop_accepting`].
    pub fn close_all(&mut self, now: Instant) {
        let all: Vec<_> = self.associations().collect();
        for id in all {
            if let Some(mut association) = self.association(now, id) {
                association.close();
            }
        }
    }

    /// Moves the data that still waits for [`AssociationMut::recv`] out of the buffers in which it
    /// came: see [`Connection::detach_unread`](crate::Connection::detach_unread).
    pub fn detach_unread(&mut self) {
        self.associations.detach_unread();
    }

    /// Whether some receive queue was found half full, or the queue of answers to strangers was
    /// filled, since the last call: whoever feeds the endpoint should first let the application
    /// fetch its data and send what waits, because a full queue drops the newest.
    pub fn take_congested(&mut self) -> bool {
        self.associations.take_congested()
    }

    /// Whether `poll_transmit` may have something to hand out.
    pub fn has_transmit(&self) -> bool {
        self.associations.has_transmit()
    }

    /// Whether `poll_event` or `poll_incoming` has something to tell.
    pub fn has_event(&self) -> bool {
        self.associations.has_event() || self.door.has_incoming()
    }

    /// Every association that is not over, in no particular order.
    pub fn associations(&self) -> impl Iterator<Item = AssociationId> + '_ {
        self.associations.ids()
    }

    /// How many associations there are. One that is over does not count, also while its last event
    /// waits.
    pub fn len(&self) -> usize {
        self.associations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.associations.len() == 0
    }

    /// How many server associations are in their first handshake.
    pub fn half_open(&self) -> usize {
        self.associations.half_open()
    }

    /// How many bytes are buffered on behalf of all peers. What is kept of strangers' fragmented
    /// hellos is not among them: at most 256 hellos of 4 KiB, for two seconds or until the next one
    /// comes.
    pub fn buffered(&self) -> usize {
        self.associations.buffered() + self.door.buffered()
    }

    /// The counters.
    pub fn stats(&self) -> &EndpointStats {
        &self.associations.stats
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("associations", &self.len())
            .field("half_open", &self.half_open())
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}
