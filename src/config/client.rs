//! The configuration of a client.

use super::answers::AnswerRequest;
use super::parameters::{Parameters, shared_setters};
use crate::error::{ConfigError, Error, PeerIncompatible};
use crate::identity::{AcceptAnyServer, Credential, Roots, VerifyServer, WebPkiServerVerifier};
use crate::protocol::{Dialect, MaxFragmentLength, dialect};
use crate::session::{ClientSessionStore, MemoryClientSessions, Session, SessionKey};
use pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client's configuration, shared by all of its associations.
///
/// Defaults: every suite and group that exists here, extended_master_secret preferred, no client
/// certificate, no ALPN, sessions kept in memory and resumed,
/// [`DatagramPolicy::default`](super::DatagramPolicy).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) parameters: Parameters,
    pub(crate) verifier: Arc<dyn VerifyServer>,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) sessions: Option<Arc<dyn ClientSessionStore>>,
    pub(crate) tickets: bool,
    pub(crate) answers: Option<Arc<dyn AnswerRequest>>,
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    /// Tells this configuration from every other one of the process.
    pub(crate) number: u64,
}

/// How many sessions a client keeps by default.
const SESSIONS: usize = 256;

impl ClientConfig {
    /// Whether to go on without any of the credentials that were `given`, although the server has
    /// asked for one.
    ///
    /// # Errors
    ///
    /// `NoFittingCredential` where [`Conformance`](super::conformance::Conformance) wants that.
    pub(crate) fn check_showing_none(&self, given: &[Credential]) -> Result<(), Error> {
        let fails = self.parameters.conformance.need_fitting_credential;
        if fails && !given.is_empty() {
            return Err(PeerIncompatible::NoFittingCredential.into());
        }
        Ok(())
    }

    /// Whether this client may show something of itself, and so sign for it.
    pub(crate) const fn may_show_something(&self) -> bool {
        !self.credentials.is_empty() || self.answers.is_some()
    }

    /// Where the session with `server` over this protocol is kept.
    pub(crate) fn session_key(&self, dialect: &Dialect, server: &ServerName<'_>) -> SessionKey {
        SessionKey {
            protocol: dialect.name,
            server: server.to_str().to_ascii_lowercase(),
            configuration: self.number,
        }
    }

    /// Puts a session where the next connection with `server` finds it: one that was exported
    /// ([`Connection::session`](crate::Connection::session), [`Session::to_bytes`]) under an equal
    /// configuration.
    ///
    /// Whether the server still knows it shows with that connection; if it does not, the handshake
    /// is a full one. A session of a server with another name is not offered.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoSessionStore`] if this configuration keeps no sessions.
    pub fn import_session(
        &self,
        server: &ServerName<'_>,
        session: Session,
    ) -> Result<(), ConfigError> {
        let store = self.sessions.as_ref().ok_or(ConfigError::NoSessionStore)?;
        let dialect = dialect::speaking(session.version());
        let now = self.parameters.clock.unix_now();
        store.put(&self.session_key(dialect, server), session, now);
        Ok(())
    }

    /// A client that trusts servers whose chain ends at one of `roots`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoRoots`] if there are none.
    pub fn with_roots(roots: Roots) -> Result<ClientConfigBuilder, ConfigError> {
        Ok(Self::with_verifier(Arc::new(WebPkiServerVerifier::new(
            roots,
        )?)))
    }

    /// A client that leaves the decision to `verifier`, for example a
    /// [`PinnedFingerprint`](crate::identity::PinnedFingerprint).
    pub fn with_verifier(verifier: Arc<dyn VerifyServer>) -> ClientConfigBuilder {
        ClientConfigBuilder {
            parameters: Parameters::default(),
            verifier,
            credentials: Vec::new(),
            sessions: Some(Arc::new(MemoryClientSessions::new(SESSIONS))),
            tickets: true,
            answers: None,
            max_fragment_length: None,
        }
    }

    /// Configurations without protection against active attackers.
    pub fn dangerous() -> DangerousClientConfig {
        tracing::warn!("a client configuration that may accept any server is being made");
        DangerousClientConfig(())
    }
}

/// Makes configurations that are for tests alone.
#[derive(Debug)]
pub struct DangerousClientConfig(());

impl DangerousClientConfig {
    /// A client that takes any certificate of any server. Whoever can alter datagrams can read
    /// everything.
    pub fn accept_any_certificate(self) -> ClientConfigBuilder {
        ClientConfig::with_verifier(Arc::new(AcceptAnyServer))
    }
}

/// Collects a client's settings.
#[derive(Clone, Debug)]
pub struct ClientConfigBuilder {
    pub(super) parameters: Parameters,
    verifier: Arc<dyn VerifyServer>,
    credentials: Vec<Credential>,
    sessions: Option<Arc<dyn ClientSessionStore>>,
    tickets: bool,
    answers: Option<Arc<dyn AnswerRequest>>,
    max_fragment_length: Option<MaxFragmentLength>,
}

impl ClientConfigBuilder {
    shared_setters!();

    /// Where sessions are kept to be resumed: a [`MemoryClientSessions`] for 256 servers by
    /// default; `None` for nowhere, then every handshake is a full one.
    #[must_use]
    pub fn session_store(mut self, store: Option<Arc<dyn ClientSessionStore>>) -> Self {
        self.sessions = store;
        self
    }

    /// Whether the client takes tickets (RFC 5077), as it does by default; without them it resumes
    /// by session ID alone.
    #[must_use]
    pub fn tickets(mut self, tickets: bool) -> Self {
        self.tickets = tickets;
        self
    }

    /// Who decides for each server that asks what the client shows; the credentials alone by
    /// default.
    #[must_use]
    pub fn answers(mut self, answers: Arc<dyn AnswerRequest>) -> Self {
        self.answers = Some(answers);
        self
    }

    /// The most that either end puts into one record, for servers that know nothing better
    /// (max_fragment_length, RFC 6066 §4); `None`, the default, does not ask for it.
    ///
    /// A server that knows record_size_limit ignores this: it hears the same number there, or less
    /// if [`record_size_limit`](Self::record_size_limit) says so, and that limits only what the
    /// server sends. One that knows neither sends what it likes. A server here grants each length.
    #[must_use]
    pub fn max_fragment_length(mut self, length: Option<MaxFragmentLength>) -> Self {
        self.max_fragment_length = length;
        self
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoUsableCipherSuite`] if no allowed suite belongs to an allowed version.
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        let Self {
            mut parameters,
            verifier,
            credentials,
            sessions,
            tickets,
            answers,
            max_fragment_length,
        } = self;
        if let Some(length) = max_fragment_length {
            parameters.record_size_limit = parameters.record_size_limit.min(length.bytes());
        }
        static BUILT: AtomicU64 = AtomicU64::new(0);
        Ok(ClientConfig {
            parameters: parameters.checked()?,
            verifier,
            credentials,
            sessions,
            tickets,
            answers,
            max_fragment_length,
            number: BUILT.fetch_add(1, Ordering::Relaxed),
        })
    }
}
