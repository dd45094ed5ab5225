//! The way of a datagram to its association.

use super::association::{Association, Origin};
use super::attempts::Verdict;
use super::routing::Route;
use super::{AssociationId, CookieCheck, Endpoint, Eviction, MAX_REPLIES, ResumptionCookies};
use crate::config::{FirstHello, ProvenHello, ServerConfig};
use crate::connection::DtlsConnection;
use crate::error::Error;
use crate::protocol::{Epoch, HandshakeType, Path, ProtocolVersion, Side};
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use crate::wire::record_dtls13::is_unified;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::Instant;

impl Endpoint {
    /// Takes a datagram from anybody. It is opened in place; received data are slices of it.
    #[inline]
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: BytesMut) {
        let route = self.routes.find(path.remote());
        if is_unified(&datagram) {
            let bits = datagram.first().map_or(0, |first| first & 3);
            let reads = |connection: &DtlsConnection| connection.can_read_13(bits);
            return self.handle_protected(now, path, datagram, reads, route);
        }
        let Some(header) = RecordHeader::decode(&datagram) else {
            self.stats.strays += 1;
            return;
        };
        let epoch = header.number.epoch;
        if epoch != Epoch::PLAINTEXT {
            let reads = |connection: &DtlsConnection| connection.can_read(epoch);
            self.handle_protected(now, path, datagram, reads, route);
        } else if self.may_be_hello(&datagram) {
            self.handle_hello(now, path, datagram, route);
        } else {
            self.handle_plaintext(now, path, datagram, route);
        }
    }

    fn may_be_hello(&self, datagram: &[u8]) -> bool {
        let cookies = self.cookies.as_ref();
        cookies.is_some_and(|cookies| cookies.may_be_hello(datagram))
    }

    /// Protected records: tried on a successor that has the keys, on a copy, because a failed opening destroys
    /// its input; else in place on the current association.
    fn handle_protected(
        &mut self,
        now: Instant,
        path: Path,
        datagram: BytesMut,
        reads: impl Fn(&DtlsConnection) -> bool,
        route: Option<Route>,
    ) {
        let Some(route) = route else {
            self.stats.strays += 1;
            return;
        };
        if let Some(successor) = route.successor
            && let Some(association) = self.table.get_mut(successor)
            && reads(&association.connection)
        {
            let before = association.connection.stats().records_received();
            self.deliver(now, successor, path, BytesMut::from(&datagram[..]));
            let taken = |association: &Association| {
                association.connection.stats().records_received() > before
            };
            if self.table.get(successor).is_none_or(taken) {
                return;
            }
        }
        self.deliver(now, route.current, path, datagram);
    }

    /// Plaintext that begins no hello: the rest of a handshake, for the successor on a copy and for the current
    /// association in place. Even an established one has to see it, because protected records can follow in the same
    /// datagram: a client that missed our Finished repeats its whole flight. A record layer that has no use for the
    /// plaintext ones counts them.
    fn handle_plaintext(
        &mut self,
        now: Instant,
        path: Path,
        datagram: BytesMut,
        route: Option<Route>,
    ) {
        let Some(route) = route else {
            self.stats.strays += 1;
            return;
        };
        if let Some(successor) = route.successor {
            self.deliver(now, successor, path, BytesMut::from(&datagram[..]));
        }
        self.deliver(now, route.current, path, datagram);
    }

    fn handle_hello(&mut self, now: Instant, path: Path, datagram: BytesMut, route: Option<Route>) {
        if self.server.is_none() && route.is_none() {
            self.stats.hellos_refused += 1;
            return;
        }
        if let Some(route) = route
            && self.is_client(route.current)
        {
            self.stats.hellos_ignored += 1;
            if let Some(association) = self.table.get_mut(route.current) {
                association.connection.hellos_cross();
            }
            return;
        }
        if self.policy.resumption_cookies == ResumptionCookies::Spare
            && self.resume_without_cookie(now, path, &datagram, route)
        {
            return;
        }
        let Some(cookies) = &mut self.cookies else {
            return;
        };
        match cookies.check(path, now, datagram) {
            CookieCheck::Proven(hello) => self.handle_proven(now, hello, route),
            CookieCheck::Reply(_) if self.server.is_none() => self.stats.hellos_refused += 1,
            CookieCheck::Reply(_) if self.replies.len() >= MAX_REPLIES => {
                self.stats.replies_dropped += 1
            }
            CookieCheck::Reply(reply) => {
                if is_verify_request(&reply) {
                    self.stats.hello_verify_requests += 1;
                } else {
                    self.stats.retry_requests += 1;
                }
                self.replies.push_back((path, reply));
            }
            CookieCheck::Incomplete => self.stats.hello_fragments += 1,
            CookieCheck::NotAHello => self.stats.strays += 1,
        }
    }

    /// Serves a hello without a cookie that resumes a session of this server. It is sent at most three times what came,
    /// so nobody can make the server send much to an address that was not proved.
    fn resume_without_cookie(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        route: Option<Route>,
    ) -> bool {
        // An application that is asked about hellos is not asked by strangers.
        let config = self.server.clone().filter(|it| it.answers.is_none());
        let (Some(config), None) = (config, route) else {
            // An address that has an association is known anyway; a repetition of the hello finds its own one there.
            return route.is_some_and(|route| self.repeat_on_demand(now, path, datagram, route));
        };
        let Some(FirstHello { prefix, .. }) = FirstHello::decode(datagram) else {
            return false;
        };
        if !prefix.cookie.is_empty() || !knows_session(&config, datagram) {
            return false;
        }
        let copy = BytesMut::from(datagram);
        let origin = Origin::of(&prefix.random);
        let Some(hello) = ProvenHello::for_resumption(path, copy) else {
            return false;
        };
        let Ok(mut connection) = DtlsConnection::accept(config, hello, now) else {
            return false;
        };
        // The session does not fit after all, or a large ticket was asked for by a small hello: neither flight is for
        // strangers, and nobody makes room for one.
        let answers = connection.is_resuming() && connection.limit_amplification(datagram.len());
        let room = self.buffered < self.policy.max_buffered && self.has_room(path.remote());
        if !answers || !room {
            return false;
        }
        self.stats.cookies_spared += 1;
        self.enter(now, connection, path.remote(), origin);
        true
    }

    /// Whether the datagram repeats the hello of an association that was made without a cookie, which is told of it.
    fn repeat_on_demand(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        route: Route,
    ) -> bool {
        let Some(FirstHello { prefix, .. }) = FirstHello::decode(datagram) else {
            return false;
        };
        let origin = Origin::of(&prefix.random);
        let same = self.table.get(route.current).is_some_and(|association| {
            association.origin == Some(origin) && association.connection.is_handshaking()
        });
        if prefix.cookie.is_empty() && same {
            self.deliver(now, route.current, path, BytesMut::from(datagram));
        }
        prefix.cookie.is_empty() && same
    }

    fn is_client(&self, id: AssociationId) -> bool {
        self.table
            .get(id)
            .is_some_and(|association| association.connection.side() == Side::Client)
    }

    /// A hello from an address that was proved: a part of a known handshake, a repetition, or a new beginning.
    fn handle_proven(&mut self, now: Instant, hello: ProvenHello, route: Option<Route>) {
        let origin = Origin::of(&hello.random);
        let known = route.and_then(|route| {
            [route.successor, Some(route.current)]
                .into_iter()
                .flatten()
                .find(|&id| {
                    self.table
                        .get(id)
                        .is_some_and(|association| association.origin == Some(origin))
                })
        });
        match known {
            Some(id)
                if self
                    .table
                    .get(id)
                    .is_some_and(|known| known.connection.is_handshaking()) =>
            {
                self.deliver(now, id, hello.path, hello.datagram);
            }
            Some(_) => self.stats.hellos_ignored += 1,
            None => self.accept(now, hello, origin),
        }
    }

    fn accept(&mut self, now: Instant, hello: ProvenHello, origin: Origin) {
        let (Some(config), Some(issued)) = (self.server.clone(), hello.issued) else {
            self.stats.hellos_refused += 1;
            return;
        };
        let remote = hello.path().remote();
        let verdict = self.attempts.judge(now, remote, issued, origin);
        if verdict == Verdict::Replayed {
            self.stats.hellos_replayed += 1;
            return;
        }
        // Also where it has to wait: its client would take the old one's flight for an answer.
        self.yield_to_newcomer(now, remote);
        if verdict == Verdict::TooSoon {
            self.stats.hellos_postponed += 1;
            return;
        }
        if !self.make_room(now, remote) && !self.vacate(now, remote) {
            self.stats.hellos_refused += 1;
            return;
        }
        self.attempts.note(now, remote, issued, origin);
        let Ok(connection) = DtlsConnection::accept(config, hello, now) else {
            self.stats.hellos_refused += 1;
            return;
        };
        self.enter(now, connection, remote, origin);
    }

    /// Enters a server association that has just been made.
    fn enter(
        &mut self,
        now: Instant,
        connection: DtlsConnection,
        remote: SocketAddr,
        origin: Origin,
    ) {
        let Some(id) = self
            .table
            .insert(Association::new(connection, remote, Some(origin), now))
        else {
            self.stats.hellos_refused += 1;
            return;
        };
        self.stats.accepted += 1;
        self.half_open.enter(now, id, &self.table);
        if let Some(displaced) = self.routes.enter(remote, id) {
            self.drop_association(now, displaced, Error::Superseded);
        }
        self.settle(now, id);
    }

    /// Two handshakes with one address must not both repeat their flights: the client could take the old one's
    /// ServerHello for the new one's. Before its read keys exist the old one has authenticated nothing and goes; behind
    /// that it waits in silence for its Finished, which its own client repeats.
    fn yield_to_newcomer(&mut self, now: Instant, remote: SocketAddr) {
        let Some(route) = self.routes.find(remote) else {
            return;
        };
        for id in [route.successor, Some(route.current)].into_iter().flatten() {
            let Some(association) = self.table.get_mut(id) else {
                continue;
            };
            if !association.connection.is_handshaking() {
                continue;
            }
            if association.connection.has_read_keys() {
                association.connection.stop_retransmitting();
            } else {
                self.drop_association(now, id, Error::Superseded);
            }
        }
    }

    /// Where there is no room, a newcomer takes the place of the attempt before it at the same address, if nothing of that was heard
    /// but its hello: its client has begun again.
    fn vacate(&mut self, now: Instant, remote: SocketAddr) -> bool {
        let Some(route) = self.routes.find(remote) else {
            return false;
        };
        let ids = [route.successor, Some(route.current)];
        let unheard = ids.into_iter().flatten().find(|&id| {
            let association = self.table.get(id);
            association.is_some_and(|it| it.half_open && !it.connection.has_advanced())
        });
        let Some(id) = unheard else {
            return false;
        };
        self.drop_association(now, id, Error::Superseded);
        true
    }

    /// Whether there is room for one more half-open association with this address. One that succeeds an association takes
    /// its place, and so needs none among all of them.
    fn has_room(&self, remote: SocketAddr) -> bool {
        let succeeds = self.routes.find(remote).is_some();
        let full = !succeeds && self.table.len() >= self.policy.max_associations;
        !full && self.half_open.count() < self.policy.max_half_open
    }

    /// Makes room for one more half-open association; `false` if a limit stands against it. Where half-open ones go for
    /// newcomers they do at either limit: they may be all that fills the table.
    fn make_room(&mut self, now: Instant, remote: SocketAddr) -> bool {
        if self.buffered >= self.policy.max_buffered {
            return false;
        }
        if self.has_room(remote) {
            return true;
        }
        match self.policy.eviction {
            Eviction::RefuseNewcomer => false,
            Eviction::OldestHalfOpen => self.evict(now, remote),
        }
    }

    /// Ends the half-open association that goes first; `false` if none has had its time, and no neighbourhood has more than
    /// its share.
    fn evict(&mut self, now: Instant, newcomer: SocketAddr) -> bool {
        let Some(config) = &self.server else {
            return false;
        };
        let timeout = config.parameters.datagram.initial_timeout;
        let half_open = &mut self.half_open;
        let gone = half_open
            .evictable(now, timeout, &self.table)
            .or_else(|| half_open.beyond_its_share(newcomer, &self.table));
        let Some(id) = gone else {
            return false;
        };
        self.stats.evicted += 1;
        self.drop_association(now, id, Error::Evicted);
        true
    }

    /// Gives a datagram to an association.
    #[inline]
    fn deliver(&mut self, now: Instant, id: AssociationId, path: Path, datagram: BytesMut) {
        let over_limit = self.buffered >= self.policy.max_buffered;
        let Some(association) = self.table.get_mut(id) else {
            return;
        };
        if over_limit && association.buffered > 0 {
            self.stats.over_limit += 1;
            return;
        }
        // What it says is found in the association when it is settled.
        let _failed = association.connection.handle_datagram(now, path, datagram);
        self.settle(now, id);
    }
}

/// Whether an answer to a stranger is a HelloVerifyRequest.
fn is_verify_request(reply: &[u8]) -> bool {
    reply.get(HEADER_LEN) == Some(&HandshakeType::HELLO_VERIFY_REQUEST.0)
}

/// Whether the datagram holds a whole ClientHello that names a session which this server still has.
fn knows_session(config: &ServerConfig, datagram: &[u8]) -> bool {
    let Some(hello) = FirstHello::whole(datagram) else {
        return false;
    };
    let now = config.parameters.clock.unix_now();
    let offered = &hello.extensions;
    // Whoever shows one has asked before.
    if offered.cookie.is_some() {
        return false;
    }
    let versions = offered.supported_versions.as_deref().unwrap_or_default();
    if config.parameters.speaks_13() && versions.contains(&ProtocolVersion::DTLS13) {
        let psks = offered.pre_shared_keys.iter().flat_map(|it| &it.identities);
        let tickets: Vec<_> = psks.map(|one| one.identity.clone()).collect();
        return config.sessions.find_13(&tickets, now).is_some();
    }
    let ticket = hello.extensions.session_ticket.unwrap_or_default();
    config
        .sessions
        .find(&hello.session_id, &ticket, now)
        .is_some()
}
