//! The configuration of a server.

use super::answers::AnswerHello;
use super::parameters::{Parameters, shared_setters};
use crate::crypto::suite::{Authentication, Suite};
use crate::error::ConfigError;
use crate::identity::{Credential, FindSharedKey, VerifyClient};
use crate::protocol::CipherSuite;
use crate::secrets::fleet::FleetSecret;
use crate::session::{self, MemoryServerSessions, ServerSessionStore, ServerSessions, Tickets};
use std::sync::Arc;
use std::time::Duration;

/// Whether clients must show a certificate.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// None is asked for.
    #[default]
    None,
    /// One is asked for; a client without one is served, a client with a bad one is not.
    Optional(Arc<dyn VerifyClient>),
    /// A client without an accepted one is refused.
    Required(Arc<dyn VerifyClient>),
}

impl ClientAuthentication {
    pub(crate) fn verifier(&self) -> Option<&Arc<dyn VerifyClient>> {
        match self {
            Self::None => None,
            Self::Optional(verifier) | Self::Required(verifier) => Some(verifier),
        }
    }
}

/// Whose order counts where both ends have one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Preference {
    /// The server's.
    #[default]
    Server,
    /// The client's: one without instructions for AES lists ChaCha20-Poly1305 first.
    Client,
}

/// A server's configuration, shared by all of its associations.
///
/// Defaults: every suite that one of the keys can serve, every group that exists here,
/// extended_master_secret preferred, no client certificates, no ALPN, sessions resumed by ticket or
/// ID for two hours, client-initiated renegotiation refused,
/// [`DatagramPolicy::default`](super::DatagramPolicy).
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) parameters: Parameters,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) client_authentication: ClientAuthentication,
    pub(crate) sessions: ServerSessions,
    /// What cookies are made with, if others have it too.
    pub(crate) fleet: Option<FleetSecret>,
    pub(crate) suite_preference: Preference,
    pub(crate) answers: Option<Arc<dyn AnswerHello>>,
    pub(crate) shared_keys: Option<Arc<dyn FindSharedKey>>,
    /// What clients of 1.2 are told for their choice of a key; empty for nothing.
    pub(crate) identity_hint: Vec<u8>,
}

/// How many sessions a server keeps by default. With tickets few are needed.
const SESSIONS: usize = 10_000;

/// How long a session may be resumed by default.
const SESSION_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// How many tickets follow a handshake of 1.3 by default: a client uses each once, and may open a
/// second connection before the first has brought new ones.
const TICKETS_PER_HANDSHAKE: u8 = 2;

/// The most tickets that follow a handshake.
const MAX_TICKETS_PER_HANDSHAKE: u8 = 8;

impl ServerConfig {
    /// Those of its suites that a client offers, the ones to choose first in front.
    pub(crate) fn in_order(
        &self,
        ours: impl Iterator<Item = &'static Suite>,
        offered: &[CipherSuite],
    ) -> Vec<&'static Suite> {
        let mut common: Vec<_> = ours.filter(|suite| offered.contains(&suite.id)).collect();
        if self.suite_preference == Preference::Client {
            common.sort_by_key(|suite| offered.iter().position(|id| *id == suite.id));
        }
        common
    }

    /// A server that proves its identity with `credential`.
    pub fn with_credential(credential: Credential) -> ServerConfigBuilder {
        Self::without_credential().add_credential(credential)
    }

    /// A server that has nothing of its own to show. What it shows comes from
    /// [`ServerConfigBuilder::answers`], for each client; a client for which none comes is refused,
    /// with [`Error::NoCredential`](crate::Error::NoCredential).
    pub fn without_credential() -> ServerConfigBuilder {
        ServerConfigBuilder {
            parameters: Parameters::default(),
            credentials: Vec::new(),
            client_authentication: ClientAuthentication::default(),
            tickets: TicketPolicy::Own,
            fleet: None,
            cache: Some(Arc::new(MemoryServerSessions::new(SESSIONS))),
            session_lifetime: SESSION_LIFETIME,
            tickets_per_handshake: TICKETS_PER_HANDSHAKE,
            suite_preference: Preference::default(),
            answers: None,
            shared_keys: None,
            identity_hint: Vec::new(),
        }
    }
}

/// Whose tickets a server issues.
#[derive(Clone, Debug)]
enum TicketPolicy {
    /// Keys of its own, or of its fleet.
    Own,
    /// These keys, or none.
    Given(Option<Arc<Tickets>>),
}

/// Collects a server's settings.
#[derive(Clone, Debug)]
pub struct ServerConfigBuilder {
    parameters: Parameters,
    credentials: Vec<Credential>,
    client_authentication: ClientAuthentication,
    tickets: TicketPolicy,
    fleet: Option<FleetSecret>,
    cache: Option<Arc<dyn ServerSessionStore>>,
    session_lifetime: Duration,
    tickets_per_handshake: u8,
    suite_preference: Preference,
    answers: Option<Arc<dyn AnswerHello>>,
    shared_keys: Option<Arc<dyn FindSharedKey>>,
    identity_hint: Vec<u8>,
}

impl ServerConfigBuilder {
    shared_setters!();

    /// Whether clients must show a certificate.
    #[must_use]
    pub fn client_authentication(mut self, policy: ClientAuthentication) -> Self {
        self.client_authentication = policy;
        self
    }

    /// Makes this server one of a fleet: all that have the same secret prove each other's cookies
    /// and resume each other's tickets, in one process or many, now or after a restart. `secret`
    /// can come from a file that all of them read. A member on its own is the default.
    ///
    /// So a client may be asked for a cookie by one member and served by another, if both see it at
    /// the same address; and if its member is gone, it resumes at the next. Members must be
    /// configured alike in what a session is bound to, client certificates and application
    /// protocols for example, and their clocks must agree within five seconds. Sessions that are
    /// resumed by session ID, those of clients of 1.2 without tickets, are in a
    /// [store](Self::session_store) of each process.
    ///
    /// What one member remembers of used cookies the others do not know: a captured hello may start
    /// one handshake at each.
    #[must_use]
    pub fn fleet(mut self, secret: FleetSecret) -> Self {
        self.fleet = Some(secret);
        self
    }

    /// What seals tickets (RFC 5077) for clients that take them: keys of the
    /// [fleet](Self::fleet), or else of this configuration alone, by default; others to share them
    /// within a process, `None` for no tickets.
    #[must_use]
    pub fn tickets(mut self, tickets: Option<Arc<Tickets>>) -> Self {
        self.tickets = TicketPolicy::Given(tickets);
        self
    }

    /// Where sessions of clients without tickets are kept, by session ID: a
    /// [`MemoryServerSessions`] for 10,000 sessions by default; `None` for nowhere.
    #[must_use]
    pub fn session_store(mut self, store: Option<Arc<dyn ServerSessionStore>>) -> Self {
        self.cache = store;
        self
    }

    /// How long a session may be resumed: a minute to a day, two hours by default.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn session_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        session::check_lifetime(lifetime)?;
        self.session_lifetime = lifetime;
        Ok(self)
    }

    /// How many tickets follow a handshake of version 1.3: 0 to 8, 2 by default.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn tickets_per_handshake(mut self, count: u8) -> Result<Self, ConfigError> {
        if count > MAX_TICKETS_PER_HANDSHAKE {
            return Err(ConfigError::OutOfRange {
                what: "tickets after a handshake",
                min: 0,
                max: MAX_TICKETS_PER_HANDSHAKE.into(),
            });
        }
        self.tickets_per_handshake = count;
        Ok(self)
    }

    /// Whose order of cipher suites counts; the server's by default.
    #[must_use]
    pub fn suite_preference(mut self, preference: Preference) -> Self {
        self.suite_preference = preference;
        self
    }

    /// Who decides for each client what the server shows and speaks; the configuration alone by
    /// default.
    #[must_use]
    pub fn answers(mut self, answers: Arc<dyn AnswerHello>) -> Self {
        self.answers = Some(answers);
        self
    }

    /// Where the keys are found that clients name, pre-shared ones; no such client is served by
    /// default. With them a server needs no credential. A client that has such a key is not asked
    /// for a certificate, whatever [`client_authentication`](Self::client_authentication) says:
    /// its key proves who it is (RFC 4279 §2). If a client offers both kinds of suites, its own
    /// order decides which kind is used.
    #[must_use]
    pub fn shared_keys(mut self, keys: Arc<dyn FindSharedKey>) -> Self {
        self.shared_keys = Some(keys);
        self
    }

    /// What clients of version 1.2 are told, in the clear, so that they can choose a pre-shared key
    /// (RFC 4279 §5.2): at most 65,535 bytes, nothing by default. A client ignores it unless both
    /// ends have agreed on a meaning; servers are advised to give none.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if it is longer.
    pub fn identity_hint(mut self, hint: &[u8]) -> Result<Self, ConfigError> {
        let most = usize::from(u16::MAX);
        super::policy::in_range("the length of an identity hint", hint.len(), 0, most)?;
        self.identity_hint = hint.to_vec();
        Ok(self)
    }

    /// The configuration, with only those suites that one of the keys can serve, its own or a
    /// shared one.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoCredential`] if there is no credential and nobody to ask for one.
    /// [`ConfigError::NoUsableCipherSuite`] if no allowed suite fits the type of any key,
    /// [`ConfigError::NoUsableGroup`] if no allowed group belongs to an allowed version.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        let Self {
            mut parameters,
            credentials,
            client_authentication,
            tickets,
            fleet,
            cache,
            session_lifetime,
            tickets_per_handshake,
            suite_preference,
            answers,
            shared_keys,
            identity_hint,
        } = self;
        if credentials.is_empty() && answers.is_none() && shared_keys.is_none() {
            return Err(ConfigError::NoCredential);
        }
        let kinds = credentials.iter().map(|credential| credential.key().kind());
        // What an answer brings is not known yet.
        let signs = |kind| answers.is_some() || kinds.clone().any(|it| it == kind);
        parameters
            .algorithms
            .suites
            .retain(|suite| match suite.authentication {
                Authentication::Signature(kind) => signs(kind),
                Authentication::SharedKey => shared_keys.is_some(),
                Authentication::Negotiated => {
                    answers.is_some() || shared_keys.is_some() || !credentials.is_empty()
                }
            });
        let parameters = parameters.checked()?;
        let tickets = match tickets {
            TicketPolicy::Own => {
                let random = parameters.random.clone();
                Some(Arc::new(match &fleet {
                    Some(secret) => Tickets::of_fleet(session_lifetime, random, secret.clone())?,
                    None => Tickets::with_random(session_lifetime, random)?,
                }))
            }
            TicketPolicy::Given(tickets) => tickets,
        };
        Ok(ServerConfig {
            parameters,
            credentials,
            client_authentication,
            fleet,
            suite_preference,
            answers,
            shared_keys,
            identity_hint,
            sessions: ServerSessions {
                tickets,
                cache,
                lifetime: session_lifetime,
                tickets_per_handshake,
            },
        })
    }
}

/// A server for unit tests that speaks `versions`.
#[cfg(test)]
pub(crate) fn test_server(versions: crate::config::Versions) -> ServerConfig {
    use crate::identity::CertifiedKey;
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["server.test".to_owned()];
    let leaf = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let der = pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let certified = CertifiedKey::new(vec![leaf.der().clone()], &der).unwrap();
    ServerConfig::with_credential(Credential::Certificate(certified))
        .versions(versions)
        .build()
        .unwrap()
}
