//! What a server offers.

use super::parameters::{Parameters, shared_setters};
use crate::error::ConfigError;
use crate::identity::{CertifiedKey, Credential, VerifyClient};
use std::sync::Arc;

/// Whether clients must show a certificate.
#[derive(Clone, Debug, Default)]
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

/// A server's configuration, shared by all of its associations.
///
/// Defaults: every suite that one of the keys can serve, every group that exists here, extended_master_secret
/// required, no client certificates, no ALPN, [`DatagramPolicy::default`](super::DatagramPolicy).
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) parameters: Parameters,
    pub(crate) credentials: Vec<CertifiedKey>,
    pub(crate) client_authentication: ClientAuthentication,
}

impl ServerConfig {
    /// A server that proves its identity with `credential`.
    pub fn with_credential(credential: Credential) -> ServerConfigBuilder {
        let Credential::Certificate(certified) = credential;
        ServerConfigBuilder {
            parameters: Parameters::default(),
            credentials: vec![certified],
            client_authentication: ClientAuthentication::default(),
        }
    }
}

/// Collects a server's settings.
#[derive(Clone, Debug)]
pub struct ServerConfigBuilder {
    parameters: Parameters,
    credentials: Vec<CertifiedKey>,
    client_authentication: ClientAuthentication,
}

impl ServerConfigBuilder {
    shared_setters!();

    /// Adds a credential, for example an RSA certificate beside an ECDSA one. The first that fits a client is used.
    #[must_use]
    pub fn and_credential(mut self, credential: Credential) -> Self {
        let Credential::Certificate(certified) = credential;
        self.credentials.push(certified);
        self
    }

    /// Whether clients must show a certificate.
    #[must_use]
    pub fn client_authentication(mut self, policy: ClientAuthentication) -> Self {
        self.client_authentication = policy;
        self
    }

    /// The configuration, with only those suites that one of the keys can serve.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoUsableCipherSuite`] if no allowed suite fits the type of any key.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        let Self {
            mut parameters,
            credentials,
            client_authentication,
        } = self;
        parameters.suites.retain(|suite| {
            credentials
                .iter()
                .any(|certified| certified.key().kind() == suite.authentication)
        });
        if parameters.suites.is_empty() {
            return Err(ConfigError::NoUsableCipherSuite);
        }
        Ok(ServerConfig {
            parameters,
            credentials,
            client_authentication,
        })
    }
}
