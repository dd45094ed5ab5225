//! Which side a connection is, with the configuration of that side.

use crate::config::{ClientConfig, Parameters, Retried, ServerConfig};
use crate::error::Error;
use crate::handshake::{Handshake, client, server};
use crate::protocol::{ConnectionId, Dialect, Epoch, MessageSeq, Side};
use crate::record::datagram::Jitter;
use crate::session::{Resumable, Session, Session12};
use crate::wire::client_hello::RANDOM_LEN;
use pki_types::ServerName;
use std::sync::Arc;

/// What the first handshake of an association continues.
pub(super) struct Opening {
    /// The number of a server's first message.
    pub(super) first_seq: MessageSeq,
    /// The HelloRetryRequest that a server has sent already.
    pub(super) retried: Option<Box<Retried>>,
    /// The client's address was not proved: only a resumption is answered.
    pub(super) only_resume: bool,
    /// A client offers the session that it has.
    pub(super) offers_session: bool,
    /// What the peer is to put into its records; `None` for no connection IDs.
    pub(super) connection_id: Option<ConnectionId>,
    /// A client's hello fits a datagram, whatever the policy says.
    pub(super) small_hello: bool,
}

impl Opening {
    /// Nothing was said before.
    pub(super) const FIRST: Self = Self {
        first_seq: MessageSeq::FIRST,
        retried: None,
        only_resume: false,
        offers_session: true,
        connection_id: None,
        small_hello: false,
    };

    /// A client's attempt was refused, possibly because of the session that it has offered.
    pub(super) const AFRESH: Self = Self {
        offers_session: false,
        ..Self::FIRST
    };
}

/// Which side this is, with its configuration.
pub(super) enum Role {
    Client {
        config: Arc<ClientConfig>,
        /// Whom the server must prove to be.
        server: ServerName<'static>,
    },
    Server(Arc<ServerConfig>),
}

impl Role {
    pub(super) const fn side(&self) -> Side {
        match self {
            Self::Client { .. } => Side::Client,
            Self::Server(_) => Side::Server,
        }
    }

    pub(super) fn parameters(&self) -> &Parameters {
        match self {
            Self::Client { config, .. } => &config.parameters,
            Self::Server(config) => &config.parameters,
        }
    }

    /// What spreads the timers of a new association: a client's hello has random bytes already.
    pub(super) fn jitter(&self, handshake: &Handshake) -> Result<Jitter, Error> {
        if let Some(random) = handshake.hello_random() {
            return Ok(Jitter::of_hello(&random));
        }
        let mut seed = [0; RANDOM_LEN];
        self.parameters().random.fill(&mut seed)?;
        Ok(Jitter::of_hello(&seed))
    }

    /// The handshake that begins an association.
    pub(super) fn first_handshake(
        &self,
        dialect: &'static Dialect,
        opening: Opening,
    ) -> Result<Handshake, Error> {
        let started = self.parameters().clock.unix_now();
        let current = Epoch::PLAINTEXT;
        match self {
            Self::Client { config, server } => Handshake::client(
                dialect,
                client::Settings {
                    config: config.clone(),
                    server_name: server.clone(),
                    current,
                    started,
                    session: self
                        .session_to_offer(dialect)
                        .filter(|_| opening.offers_session),
                    connection_id: opening.connection_id,
                    renegotiating: None,
                    small: opening.small_hello,
                },
            ),
            Self::Server(config) => {
                let settings = server::Settings {
                    config: config.clone(),
                    current,
                    started,
                    binding: None,
                    retried: opening.retried,
                    only_resume: opening.only_resume,
                    resumes: true,
                    requested: false,
                    connection_id: opening.connection_id,
                };
                Handshake::server(dialect, settings, opening.first_seq)
            }
        }
    }

    /// The session that a client has for its server, if it may be offered.
    fn session_to_offer(&self, dialect: &Dialect) -> Option<Session> {
        let Self::Client { config, server } = self else {
            return None;
        };
        let store = config.sessions.as_ref()?;
        let now = config.parameters.clock.unix_now();
        let session = store.get(&config.session_key(dialect, server), now)?;
        let parameters = &config.parameters;
        // F4: another server, which knows the secret of its own session, would be taken for this
        // one.
        let name = client::dns_name(server);
        // F6: if something has changed since the session was made, offering it would only lead to a
        // full handshake, or to a wrong one.
        let agreed = session.agreed();
        let fits = [dialect.version_12, dialect.version_13].contains(&agreed.version)
            && !session.is_expired(now)
            && parameters.algorithms.suites.contains(&agreed.suite)
            && agreed.server_name.as_deref() == name.as_deref()
            && config.takes(agreed.peer_identity.as_ref());
        let allowed = match &session {
            Session(Resumable::V12(session)) => {
                parameters.speaks_12()
                    && parameters.resumes(session)
                    && (config.tickets || session.ticket.is_empty())
            }
            Session(Resumable::V13(_)) => parameters.speaks_13() && config.tickets,
        };
        (fits && allowed).then_some(session)
    }

    /// Keeps a session.
    pub(super) fn save_session(&self, dialect: &Dialect, session: Session) {
        let now = self.parameters().clock.unix_now();
        match self {
            Self::Client { config, server } => {
                if let Some(store) = &config.sessions {
                    let key = config.session_key(dialect, server);
                    store.put(&key, session, now);
                }
            }
            Self::Server(config) => {
                if let (Some(cache), Session(Resumable::V12(known))) =
                    (&config.sessions.cache, &session)
                {
                    cache.put(&known.id, session.clone(), now);
                }
            }
        }
    }

    /// Forgets a session: a connection under it has failed (RFC 5246 §7.2.2).
    pub(super) fn forget_session(&self, dialect: &Dialect, session: Option<&Session12>) {
        match self {
            Self::Client { config, server } => {
                if let Some(store) = &config.sessions {
                    store.remove(&config.session_key(dialect, server));
                }
            }
            Self::Server(config) => {
                let id = session.map(|session| &*session.id);
                if let (Some(cache), Some(id @ [_, ..])) = (&config.sessions.cache, id) {
                    cache.remove(id);
                }
            }
        }
    }
}
