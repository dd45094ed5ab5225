//! The way in: what becomes of a hello, and who has to go for it.

use super::association::Origin;
use super::associations::Associations;
use super::attempts::{Attempts, Verdict};
use super::cookie::{CookieCheck, Cookies, refusal};
use super::id::AssociationId;
use super::incoming::{Antechamber, Incoming, Waiting};
use super::policy::{EndpointPolicy, Eviction, Newcomers, ResumptionCookies};
use super::routing::{Key, Route};
use crate::config::{FirstHello, Issued, ProvenHello, ServerConfig};
use crate::connection::DtlsConnection;
use crate::error::Error;
use crate::protocol::{AlertDescription, HandshakeType, Path, ProtocolVersion, Side};
use crate::wire::record_dtls::HEADER_LEN;
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Instant;

/// Looks at hellos, and makes server associations of those that are served.
pub(super) struct Door {
    /// How newcomers are served; `None` while nobody is.
    config: Option<Arc<ServerConfig>>,
    /// What strangers are asked for; kept while nobody is served.
    cookies: Option<Cookies>,
    antechamber: Antechamber,
}

impl Door {
    /// A door that is closed.
    pub(super) fn closed() -> Self {
        Self {
            config: None,
            cookies: None,
            antechamber: Antechamber::default(),
        }
    }

    /// Serves newcomers under `config` from now on.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`] if there were no cookies before; nothing has changed then.
    pub(super) fn open(
        &mut self,
        now: Instant,
        policy: &EndpointPolicy,
        config: Arc<ServerConfig>,
    ) -> Result<(), Error> {
        match &mut self.cookies {
            Some(cookies) => cookies.set_config(config.clone()),
            None => {
                let group = policy.group.as_ref().filter(|_| config.fleet.is_none());
                let cookies = match group {
                    Some(secret) => Cookies::with_secret(now, config.clone(), secret.clone()),
                    None => Cookies::new(now, config.clone())?,
                };
                self.cookies = Some(match policy.newcomers {
                    Newcomers::Accept => cookies,
                    Newcomers::Ask => cookies.demand_whole(),
                });
            }
        }
        self.config = Some(config);
        Ok(())
    }

    /// Serves no newcomers any more.
    pub(super) fn close(&mut self, attempts: &mut Attempts) {
        self.config = None;
        for gone in self.antechamber.clear() {
            attempts.died(gone.hello.path.remote(), gone.origin);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.config.is_some()
    }

    /// How many bytes are held of clients that await a decision.
    pub(super) const fn buffered(&self) -> usize {
        self.antechamber.buffered()
    }

    /// Whether a datagram in plaintext is for [`Door::take_hello`].
    pub(super) fn may_be_hello(&self, datagram: &[u8]) -> bool {
        let cookies = self.cookies.as_ref();
        cookies.is_some_and(|cookies| cookies.may_be_hello(datagram))
    }

    /// Takes a datagram that may be a hello.
    pub(super) fn take_hello(
        &mut self,
        associations: &mut Associations,
        now: Instant,
        path: Path,
        datagram: BytesMut,
    ) {
        let route = associations.route(Key::of(path));
        if self.config.is_none() && route.is_none() {
            associations.stats.hellos_refused += 1;
            return;
        }
        if let Some(route) = route
            && let Some(association) = associations.get_mut(route.current)
            && association.connection.side() == Side::Client
        {
            association.connection.hellos_cross();
            associations.stats.hellos_ignored += 1;
            return;
        }
        if self.spares_cookies(&associations.policy)
            && self.resume_without_cookie(associations, now, path, &datagram, route)
        {
            return;
        }
        let Some(cookies) = &mut self.cookies else {
            return;
        };
        associations.replies.allow_more(now);
        let stats = &mut associations.stats;
        let checked = match associations.replies.is_full() {
            true => cookies.check_mute(now, path, datagram),
            false => cookies.check(now, path, datagram),
        };
        match checked {
            CookieCheck::Proven(hello) => self.take_proven(associations, now, hello, route),
            CookieCheck::Send(_) if self.config.is_none() => stats.hellos_refused += 1,
            CookieCheck::Send(_) if associations.replies.is_full() => stats.replies_dropped += 1,
            CookieCheck::Send(reply) => {
                if is_verify_request(&reply) {
                    stats.hello_verify_requests += 1;
                } else {
                    stats.retry_requests += 1;
                }
                associations.answer(path, reply);
            }
            CookieCheck::Incomplete => stats.hello_fragments += 1,
            CookieCheck::NotAHello => stats.strays += 1,
        }
    }

    fn spares_cookies(&self, policy: &EndpointPolicy) -> bool {
        policy.resumption_cookies == ResumptionCookies::Spare
            && policy.newcomers == Newcomers::Accept
    }

    /// Serves a hello without a cookie that resumes a session of this server. It is sent at most
    /// three times what came, so nobody can make the server send much to an address that was not
    /// proved.
    fn resume_without_cookie(
        &self,
        associations: &mut Associations,
        now: Instant,
        path: Path,
        datagram: &[u8],
        route: Option<Route>,
    ) -> bool {
        let Some(FirstHello { prefix, .. }) = FirstHello::decode(datagram) else {
            return false;
        };
        if !prefix.cookie.is_empty() {
            return false;
        }
        let origin = Origin::of(&prefix.random);
        // An application that is asked about hellos is not asked by strangers.
        let config = self.config.clone().filter(|it| it.answers.is_none());
        let (Some(config), None) = (config, route) else {
            // An address that has an association is known anyway; a repetition of the hello finds
            // its own one there.
            return route.is_some_and(|route| {
                repeat_on_demand(associations, now, path, datagram, route, origin)
            });
        };
        if !knows_session(&config, datagram) {
            return false;
        }
        let Some(hello) = ProvenHello::for_resumption(path, BytesMut::from(datagram)) else {
            return false;
        };
        let issuer = associations.next_issuer(&config.parameters.datagram);
        let Ok(mut connection) = DtlsConnection::accept_with(now, config, hello, issuer) else {
            return false;
        };
        // The session does not fit after all, or a large ticket was asked for by a small hello:
        // neither flight is for strangers, and nobody makes room for one.
        let answers = connection.is_resuming() && connection.limit_amplification(datagram.len());
        if !answers || self.is_over_budget(associations) || !has_room(associations, path) {
            return false;
        }
        associations.stats.cookies_spared += 1;
        enter(associations, now, connection, origin);
        true
    }

    /// A hello from an address that was proved: a part of a known handshake, a repetition, or a new
    /// beginning.
    fn take_proven(
        &mut self,
        associations: &mut Associations,
        now: Instant,
        hello: ProvenHello,
        route: Option<Route>,
    ) {
        let origin = Origin::of(&hello.random);
        let mut known = route.into_iter().flat_map(Route::newest_first);
        let known = known.find_map(|id| {
            let association = associations.get(id);
            association
                .filter(|it| it.origin.as_deref() == Some(&origin))
                .map(|it| (id, it.connection.is_handshaking()))
        });
        match known {
            Some((id, true)) => {
                associations.deliver(now, id, hello.path, hello.datagram);
            }
            Some((_, false)) => associations.stats.hellos_ignored += 1,
            None => self.begin(associations, now, hello, origin),
        }
    }

    /// A new beginning, which is served or waits for a decision.
    fn begin(
        &mut self,
        associations: &mut Associations,
        now: Instant,
        hello: ProvenHello,
        origin: Origin,
    ) {
        let (true, Some(issued)) = (self.is_open(), hello.issued) else {
            associations.stats.hellos_refused += 1;
            return;
        };
        let remote = hello.path.remote();
        if self.antechamber.holds(remote, origin) {
            // It is repeated because nobody has decided yet.
            return;
        }
        let verdict = associations.attempts.judge(now, remote, issued, origin);
        if verdict == Verdict::Replayed {
            associations.stats.hellos_replayed += 1;
            return;
        }
        // Also where it has to wait: its client would take the old one's flight for an answer.
        yield_to_newcomer(associations, now, hello.path);
        if verdict == Verdict::TooSoon {
            associations.stats.hellos_postponed += 1;
            return;
        }
        let served = match associations.policy.newcomers {
            Newcomers::Ask => self.ask(associations, now, hello, origin, issued),
            Newcomers::Accept => self
                .serve(associations, now, hello, origin, Some(issued))
                .is_some(),
        };
        associations.stats.hellos_refused += u64::from(!served);
    }

    /// Lets the application decide. Whether there was room for the question.
    ///
    /// To be asked is to begin: a copy of the hello asks no second time, and an address asks as
    /// seldom as it may begin handshakes.
    fn ask(
        &mut self,
        associations: &mut Associations,
        now: Instant,
        hello: ProvenHello,
        origin: Origin,
        issued: Issued,
    ) -> bool {
        let remote = hello.path.remote();
        if FirstHello::whole(&hello.datagram).is_none() {
            // The client is told, as it would be by an association.
            let alert = refusal(&hello.datagram, AlertDescription::DECODE_ERROR);
            associations.attempts.note(now, remote, issued, origin);
            return alert.is_some_and(|it| associations.answer(hello.path, it));
        }
        let over_budget = self.is_over_budget(associations);
        let attempts = &mut associations.attempts;
        // A client whose place went does not know, and repeats its hello.
        let gone = |gone: Waiting| attempts.died(gone.hello.path.remote(), gone.origin);
        if over_budget || !self.antechamber.enter(now, hello, origin, gone) {
            return false;
        }
        attempts.note(now, remote, issued, origin);
        true
    }

    pub(super) fn has_incoming(&self) -> bool {
        self.antechamber.has_untold()
    }

    pub(super) fn poll_incoming(&mut self) -> Option<Incoming> {
        self.antechamber.poll()
    }

    /// Serves a client that has waited for it.
    pub(super) fn accept(
        &mut self,
        associations: &mut Associations,
        now: Instant,
        incoming: &Incoming,
    ) -> Option<AssociationId> {
        let Waiting { hello, origin, .. } = self.antechamber.take(incoming)?;
        let remote = hello.path.remote();
        // An association of this end's own may have been begun with the address meanwhile.
        let route = associations.route(Key::of(hello.path));
        let current = route.and_then(|route| associations.get(route.current));
        let crosses = current.is_some_and(|it| it.connection.side() == Side::Client);
        let accepted = (!crosses)
            .then(|| self.serve(associations, now, hello, origin, None))
            .flatten();
        if accepted.is_none() {
            associations.stats.hellos_refused += 1;
            associations.attempts.died(remote, origin);
        }
        accepted
    }

    /// Tells a client that it is not served.
    pub(super) fn refuse(
        &mut self,
        associations: &mut Associations,
        incoming: &Incoming,
        alert: AlertDescription,
    ) {
        let Some(Waiting { hello, origin, .. }) = self.antechamber.take(incoming) else {
            return;
        };
        if let Some(alert) = refusal(&hello.datagram, alert)
            && !associations.answer(hello.path, alert)
        {
            associations.stats.replies_dropped += 1;
        }
        associations.attempts.died(hello.path.remote(), origin);
    }

    /// Forgets a client.
    pub(super) fn ignore(&mut self, associations: &mut Associations, incoming: &Incoming) {
        if let Some(Waiting { hello, origin, .. }) = self.antechamber.take(incoming) {
            associations.attempts.died(hello.path.remote(), origin);
        }
    }

    /// When a client has waited for too long.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.antechamber.deadline()
    }

    /// Forgets those that have waited for too long.
    pub(super) fn handle_timeout(&mut self, associations: &mut Associations, now: Instant) {
        while let Some(Waiting { hello, origin, .. }) = self.antechamber.pop_late(now) {
            associations.stats.hellos_undecided += 1;
            associations.attempts.died(hello.path.remote(), origin);
        }
    }

    /// Makes an association; `None` if there is no room for it. `issued` is the date of its cookie
    /// where that has not been noted yet.
    fn serve(
        &self,
        associations: &mut Associations,
        now: Instant,
        hello: ProvenHello,
        origin: Origin,
        issued: Option<Issued>,
    ) -> Option<AssociationId> {
        let config = self.config.clone()?;
        let path = hello.path;
        if !self.make_room(associations, now, path) && !vacate(associations, now, path) {
            return None;
        }
        if let Some(issued) = issued {
            let attempts = &mut associations.attempts;
            attempts.note(now, path.remote(), issued, origin);
        }
        let issuer = associations.next_issuer(&config.parameters.datagram);
        let connection = DtlsConnection::accept_with(now, config, hello, issuer).ok()?;
        enter(associations, now, connection, origin)
    }

    fn is_over_budget(&self, associations: &Associations) -> bool {
        associations.buffered() + self.buffered() >= associations.policy.max_buffered
    }

    /// Makes room for one more half-open association; `false` if a limit stands against it. Where
    /// half-open ones go for newcomers they do at either limit: they may be all that fills the
    /// table.
    fn make_room(&self, associations: &mut Associations, now: Instant, path: Path) -> bool {
        if self.is_over_budget(associations) {
            return false;
        }
        if has_room(associations, path) {
            return true;
        }
        let Some(config) = &self.config else {
            return false;
        };
        if associations.policy.eviction == Eviction::RefuseNewcomer {
            return false;
        }
        let timeout = config.parameters.datagram.initial_timeout;
        let Some(id) = associations.evictable(now, timeout, path) else {
            return false;
        };
        associations.stats.evicted += 1;
        associations.end_early(now, id, Error::Evicted);
        true
    }
}

/// Enters a server association that has just been made.
fn enter(
    associations: &mut Associations,
    now: Instant,
    connection: DtlsConnection,
    origin: Origin,
) -> Option<AssociationId> {
    let id = associations.enter(now, connection, Some(origin))?;
    associations.stats.accepted += 1;
    Some(id)
}

/// Whether the datagram repeats the hello of an association that was made without a cookie, which
/// is told of it.
fn repeat_on_demand(
    associations: &mut Associations,
    now: Instant,
    path: Path,
    datagram: &[u8],
    route: Route,
    origin: Origin,
) -> bool {
    let same = associations
        .get(route.current)
        .is_some_and(|it| it.origin.as_deref() == Some(&origin) && it.connection.is_handshaking());
    if same {
        associations.deliver(now, route.current, path, BytesMut::from(datagram));
    }
    same
}

/// Two handshakes with one address must not both repeat their flights: the client could take the
/// old one's ServerHello for the new one's. Before its read keys exist the old one has
/// authenticated nothing and goes; after that it waits in silence for its Finished, which its own
/// client repeats.
fn yield_to_newcomer(associations: &mut Associations, now: Instant, path: Path) {
    let Some(route) = associations.route(Key::of(path)) else {
        return;
    };
    for id in route.newest_first() {
        let Some(association) = associations.get_mut(id) else {
            continue;
        };
        if !association.connection.is_handshaking() {
            continue;
        }
        if association.connection.has_read_keys() {
            association.connection.stop_retransmitting();
        } else {
            associations.end_early(now, id, Error::Superseded);
        }
    }
}

/// Where there is no room, a newcomer takes the place of the attempt before it at the same address,
/// if nothing of that was heard but its hello: its client has begun again.
fn vacate(associations: &mut Associations, now: Instant, path: Path) -> bool {
    let route = associations.route(Key::of(path));
    let mut ids = route.into_iter().flat_map(Route::newest_first);
    let unheard = ids.find(|&id| {
        let association = associations.get(id);
        association.is_some_and(|it| it.half_open && !it.connection.has_advanced())
    });
    let Some(id) = unheard else {
        return false;
    };
    associations.end_early(now, id, Error::Superseded);
    true
}

/// Whether there is room for one more half-open association on this path. One that succeeds an
/// association takes its place, and so needs none among all of them.
fn has_room(associations: &Associations, path: Path) -> bool {
    let policy = &associations.policy;
    let succeeds = associations.route(Key::of(path)).is_some();
    let full = !succeeds && associations.len() >= policy.max_associations;
    !full && associations.half_open() < policy.max_half_open
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
