//! What a client wants.

use super::parameters::{Parameters, shared_setters};
use crate::error::ConfigError;
use crate::identity::{AcceptAnyServer, Credential, Roots, VerifyServer, WebPkiServerVerifier};
use std::sync::Arc;

/// A client's configuration, shared by all of its associations.
///
/// Defaults: every suite and group that exists here, extended_master_secret required, no client certificate,
/// no ALPN, [`DatagramPolicy::default`](super::DatagramPolicy).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) parameters: Parameters,
    pub(crate) verifier: Arc<dyn VerifyServer>,
    pub(crate) credential: Option<Credential>,
}

impl ClientConfig {
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
    /// [`PinnedFingerprint`](crate::PinnedFingerprint).
    pub fn with_verifier(verifier: Arc<dyn VerifyServer>) -> ClientConfigBuilder {
        ClientConfigBuilder {
            parameters: Parameters::default(),
            verifier,
            credential: None,
        }
    }

    /// Configurations without protection against active attackers.
    pub fn dangerous() -> DangerousClientConfig {
        tracing::warn!("a client configuration that may accept any server is being made");
        DangerousClientConfig(())
    }
}

/// Makes configurations that nobody should use outside a test.
#[derive(Debug)]
pub struct DangerousClientConfig(());

impl DangerousClientConfig {
    /// A client that takes any certificate of any server. Whoever can alter datagrams can read everything.
    pub fn accept_any_certificate(self) -> ClientConfigBuilder {
        ClientConfig::with_verifier(Arc::new(AcceptAnyServer))
    }
}

/// Collects a client's settings.
#[derive(Clone, Debug)]
pub struct ClientConfigBuilder {
    parameters: Parameters,
    verifier: Arc<dyn VerifyServer>,
    credential: Option<Credential>,
}

impl ClientConfigBuilder {
    shared_setters!();

    /// What the client proves its own identity with when a server asks; nothing by default.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// None today; settings that exclude each other would be reported here.
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        let Self {
            parameters,
            verifier,
            credential,
        } = self;
        Ok(ClientConfig {
            parameters,
            verifier,
            credential,
        })
    }
}
