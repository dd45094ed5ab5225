//! The configuration of a client.

use super::answers::AnswerRequest;
use super::parameters::{Parameters, shared_setters};
use crate::crypto::suite::Authentication;
use crate::error::{ConfigError, Error, PeerIncompatible};
use crate::identity::{
    AcceptAnyServer, CertificateKind, ChooseSharedKey, Credential, Identity, Roots, SharedKey,
    VerifyServer, WebPkiServerVerifier,
};
use crate::protocol::{Dialect, MaxFragmentLength, Side, dialect};
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
    /// Who judges certificates of servers; `None` to take none.
    pub(crate) verifier: Option<Arc<dyn VerifyServer>>,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) sessions: Option<Arc<dyn ClientSessionStore>>,
    pub(crate) tickets: bool,
    pub(crate) answers: Option<Arc<dyn AnswerRequest>>,
    /// The keys to name, the preferred one first; of one name only one.
    pub(crate) shared_keys: Vec<SharedKey>,
    /// Who chooses a key at 1.2; the first of the keys by default.
    pub(crate) shared_key_choice: Option<Arc<dyn ChooseSharedKey>>,
    certificate_kinds: Option<Vec<CertificateKind>>,
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

    /// Whether the server of a session that is resumed is verified anew.
    pub(crate) fn verifies_resumed(&self) -> bool {
        let verifier = self.verifier.as_ref();
        verifier.is_some_and(|verifier| verifier.verifies_resumed())
    }

    /// The kinds of certificates that this client can judge, the preferred one first; none without
    /// a verifier.
    pub(crate) fn judged_kinds(&self) -> &[CertificateKind] {
        let verifier = self.verifier.as_ref();
        verifier.map_or(&[], |verifier| verifier.kinds())
    }

    /// Whether this client could meet a server with this identity.
    pub(crate) fn takes(&self, identity: Option<&Identity>) -> bool {
        match identity {
            None => true,
            Some(Identity::SharedKey(name)) => {
                let mut keys = self.shared_keys.iter();
                self.shared_key_choice.is_some() || keys.any(|key| *key.name() == **name)
            }
            Some(identity) => {
                let kind = identity.certificate_kind();
                kind.is_some_and(|kind| self.judged_kinds().contains(&kind))
            }
        }
    }

    /// The key that is named at version 1.2. RFC 9258 §3: never one that is imported.
    pub(crate) fn key_12(&self) -> Option<&SharedKey> {
        let mut keys = self.shared_keys.iter();
        keys.find(|key| key.name().context().is_none())
    }

    /// The kinds of certificates that this client may show, the preferred one first, perhaps
    /// several times.
    pub(crate) fn certificate_kinds(&self) -> Vec<CertificateKind> {
        let of_credentials = || self.credentials.iter().map(Credential::kind).collect();
        self.certificate_kinds
            .clone()
            .unwrap_or_else(of_credentials)
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
        Self::builder(Some(verifier))
    }

    /// A client that shares `key` with its servers and takes no certificate: it offers nothing that
    /// would be answered with one.
    pub fn with_shared_key(key: SharedKey) -> ClientConfigBuilder {
        Self::without_verifier().add_shared_key(key)
    }

    /// A client that takes no certificate of any server. It needs
    /// [a shared key](ClientConfigBuilder::add_shared_key), or somebody who
    /// [chooses one](ClientConfigBuilder::choose_shared_key).
    pub fn without_verifier() -> ClientConfigBuilder {
        Self::builder(None)
    }

    fn builder(verifier: Option<Arc<dyn VerifyServer>>) -> ClientConfigBuilder {
        ClientConfigBuilder {
            parameters: Parameters::default(),
            verifier,
            credentials: Vec::new(),
            sessions: Some(Arc::new(MemoryClientSessions::new(SESSIONS))),
            tickets: true,
            answers: None,
            shared_keys: Vec::new(),
            shared_key_choice: None,
            certificate_kinds: None,
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
    /// A client that takes any certificate of any server, and any raw public key. Whoever can alter
    /// datagrams can read everything.
    pub fn accept_any_certificate(self) -> ClientConfigBuilder {
        ClientConfig::with_verifier(Arc::new(AcceptAnyServer))
    }
}

/// Collects a client's settings.
#[derive(Clone, Debug)]
pub struct ClientConfigBuilder {
    parameters: Parameters,
    verifier: Option<Arc<dyn VerifyServer>>,
    credentials: Vec<Credential>,
    sessions: Option<Arc<dyn ClientSessionStore>>,
    tickets: bool,
    answers: Option<Arc<dyn AnswerRequest>>,
    shared_keys: Vec<SharedKey>,
    shared_key_choice: Option<Arc<dyn ChooseSharedKey>>,
    certificate_kinds: Option<Vec<CertificateKind>>,
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

    /// Adds a pre-shared key; none by default. At 1.3 a client names all of them, the preferred one
    /// first, and the server chooses; at 1.2 it names the first that is not imported.
    #[must_use]
    pub fn add_shared_key(mut self, key: SharedKey) -> Self {
        self.shared_keys.push(key);
        self
    }

    /// Who chooses the pre-shared key for each server of version 1.2, by its name and by the hint
    /// that it gives (RFC 4279 §5.2); the first of the keys by default, whatever the hint. At 1.3 a
    /// client names its keys before the server has said anything.
    #[must_use]
    pub fn choose_shared_key(mut self, choice: Arc<dyn ChooseSharedKey>) -> Self {
        self.shared_key_choice = Some(choice);
        self
    }

    /// The kinds of certificates that this client tells servers it can show, the preferred one
    /// first (RFC 7250 §4.1); by default those of its credentials, in their order. It has to be
    /// told where [`answers`](Self::answers) come up with others. None, or X.509 alone, is not
    /// mentioned: that is what servers expect anyway.
    ///
    /// A server chooses one of them before it asks for something, and what is shown is of that
    /// kind.
    #[must_use]
    pub fn certificate_kinds(mut self, kinds: &[CertificateKind]) -> Self {
        self.certificate_kinds = Some(kinds.to_vec());
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

    /// The configuration, with only those suites that it has a verifier or a key for: suites with a
    /// pre-shared key are not offered without one, those with certificates not without a verifier.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoUsableCipherSuite`] if no allowed suite belongs to an allowed version, or
    /// the client has nothing that an allowed suite could be used with;
    /// [`ConfigError::NoUsableGroup`] if no allowed group belongs to an allowed version;
    /// [`ConfigError::SharedKeyInBothRoles`] if a server of this process has used one of the keys.
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        let Self {
            mut parameters,
            verifier,
            credentials,
            sessions,
            tickets,
            answers,
            shared_keys,
            shared_key_choice,
            certificate_kinds,
            max_fragment_length,
        } = self;
        if let Some(length) = max_fragment_length {
            parameters.record_size_limit = parameters.record_size_limit.min(length.bytes());
        }
        let serves_12 = |key: &SharedKey| key.name().context().is_none();
        let shares_12 = shared_key_choice.is_some() || shared_keys.iter().any(serves_12);
        parameters
            .algorithms
            .suites
            .retain(|suite| match suite.authentication {
                Authentication::SharedKey => shares_12,
                Authentication::Signature(_) => verifier.is_some(),
                Authentication::Negotiated => {
                    let mut keys = shared_keys.iter();
                    verifier.is_some() || keys.any(|key| key.serves_13(suite.hash))
                }
            });
        if !shared_keys.iter().all(|key| key.take_role(Side::Client)) {
            return Err(ConfigError::SharedKeyInBothRoles);
        }
        static BUILT: AtomicU64 = AtomicU64::new(0);
        Ok(ClientConfig {
            parameters: parameters.checked()?,
            verifier,
            credentials,
            sessions,
            tickets,
            answers,
            shared_keys,
            shared_key_choice,
            certificate_kinds,
            max_fragment_length,
            number: BUILT.fetch_add(1, Ordering::Relaxed),
        })
    }
}
