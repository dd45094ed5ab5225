//! Which side a connection is, and what its configuration's traits say to the engine's questions.

use crate::config::{ClientConfig, Parameters, ServerConfig};
use crate::error::{CertificateError, Error};
use crate::handshake::{Answer, Handshake, Question, client, server};
use crate::identity::proof::ChainVerified;
use crate::protocol::{Dialect, Epoch, MessageSeq, Side};
use crate::session::{Session, Session12};
use pki_types::ServerName;
use std::sync::Arc;

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

    /// The handshake that begins an association; a server's own messages are numbered from `first_seq`.
    pub(super) fn first_handshake(
        &self,
        dialect: &'static Dialect,
        first_seq: MessageSeq,
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
                    session: self.session_to_offer(dialect),
                    renegotiating: None,
                },
            ),
            Self::Server(config) => {
                let settings = server::Settings {
                    config: config.clone(),
                    current,
                    started,
                    binding: None,
                };
                Handshake::server(dialect, settings, first_seq)
            }
        }
    }

    /// Answers at once: verifiers, keys and stores are synchronous.
    pub(super) fn answer(&self, question: Question) -> Answer {
        let now = || self.parameters().clock.unix_now();
        match (question, self) {
            (
                Question::Sign {
                    key,
                    scheme,
                    message,
                },
                _,
            ) => Answer::Signed(key.sign(scheme, &message)),
            (Question::VerifyServer { chain, name }, Self::Client { config, .. }) => {
                Answer::PeerVerified(ChainVerified::by(|| {
                    config.verifier.verify(&chain, &name, now())
                }))
            }
            (Question::VerifyClient { chain }, Self::Server(config)) => {
                Answer::PeerVerified(match config.client_authentication.verifier() {
                    Some(verifier) => ChainVerified::by(|| verifier.verify(&chain, now())),
                    None => Err(CertificateError::Other(
                        "no client certificate was asked for".into(),
                    )),
                })
            }
            (Question::FindSession { id, ticket }, Self::Server(config)) => {
                Answer::Session(config.sessions.find(&id, &ticket, now()))
            }
            // A client verifies servers and a server verifies clients; anything else is refused.
            (Question::VerifyServer { .. }, Self::Server(_))
            | (Question::VerifyClient { .. }, Self::Client { .. }) => {
                Answer::PeerVerified(Err(CertificateError::WrongUsage))
            }
            (Question::FindSession { .. }, Self::Client { .. }) => Answer::Session(None),
        }
    }

    /// The session that a client has for its server, if it may be offered.
    fn session_to_offer(&self, dialect: &Dialect) -> Option<Arc<Session12>> {
        let Self::Client { config, server } = self else {
            return None;
        };
        let store = config.sessions.as_ref()?;
        let now = config.parameters.clock.unix_now();
        let Session::V12(session) = store.get(&config.session_key(dialect, server), now)?;
        // F6: what has changed since the session was made would only lead to a full handshake, or to a wrong one.
        let suites = &config.parameters.suites;
        let fits = session.version == dialect.version_12
            && session.is_resumable()
            && session.is_fresh(now)
            && suites.contains(&session.suite)
            // F4: whoever has the secret of another server's session would be taken for this one.
            && session.server_name == client::dns_name(server);
        fits.then_some(session)
    }

    /// Keeps a session.
    pub(super) fn save_session(&self, dialect: &Dialect, session: Arc<Session12>) {
        let now = self.parameters().clock.unix_now();
        match self {
            Self::Client { config, server } => {
                if let Some(store) = &config.sessions {
                    let key = config.session_key(dialect, server);
                    store.put(&key, Session::V12(session), now);
                }
            }
            Self::Server(config) => {
                if let Some(cache) = &config.sessions.cache {
                    cache.put(&session.id, Session::V12(session.clone()), now);
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
                let id = session.map(|session| session.id.as_slice());
                if let (Some(cache), Some(id @ [_, ..])) = (&config.sessions.cache, id) {
                    cache.remove(id);
                }
            }
        }
    }
}
