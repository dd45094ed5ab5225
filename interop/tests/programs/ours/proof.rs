//! How two ends prove to each other who they are.

use std::sync::Arc;

use sealgram::client::ClientConfigBuilder;
use sealgram::identity::{CertifiedKey, Credential, Roots, WebPkiClientVerifier};
use sealgram::server::{ClientAuthentication, ServerConfigBuilder};
use sealgram::{ClientConfig, ServerConfig};
use sealgram_interop::failure::Outcome;
use sealgram_interop::pki;

use super::settings::{Settings, failure};

/// What an end shows, and what it expects of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The server has one, and the client too if the settings are mutual.
    Certificates,
    /// A key that both have, [`SharedKey::BYTES`] (RFC 4279).
    SharedKey,
    /// Each has a key, and knows the other's (RFC 7250): those of the certificates.
    RawKeys,
}

impl Proof {
    /// As it is written in the name of a cell.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::SharedKey => "a shared key",
            Self::RawKeys => "raw public keys",
        }
    }

    pub(super) fn server(self, settings: &Settings<'_>) -> Outcome<ServerConfigBuilder> {
        match self {
            Self::SharedKey => shared_key::server(),
            Self::RawKeys => raw_keys::server(settings),
            Self::Certificates => {
                let credential = credential(&settings.pki.server(settings.key))?;
                let builder = ServerConfig::with_credential(credential);
                if !settings.mutual {
                    return Ok(builder);
                }
                let trusted = settings.pki.client_authority();
                let roots = Roots::from_pem_file(&trusted).map_err(failure)?;
                let verifier = WebPkiClientVerifier::new(roots).map_err(failure)?;
                let required = ClientAuthentication::Required(Arc::new(verifier));
                Ok(builder.client_authentication(required))
            }
        }
    }

    pub(super) fn client(self, settings: &Settings<'_>) -> Outcome<ClientConfigBuilder> {
        match self {
            Self::SharedKey => shared_key::client(),
            Self::RawKeys => raw_keys::client(settings),
            Self::Certificates => {
                let trusted = settings.pki.server_authority();
                let roots = Roots::from_pem_file(&trusted).map_err(failure)?;
                let builder = ClientConfig::with_roots(roots).map_err(failure)?;
                Ok(match settings.mutual {
                    true => builder.add_credential(credential(&settings.pki.client(settings.key))?),
                    false => builder,
                })
            }
        }
    }
}

/// The key that is shared, and its name.
pub(crate) struct SharedKey;

impl SharedKey {
    pub(crate) const IDENTITY: &'static str = "device-17";
    /// They are text: `coap-client` takes them from its command line.
    pub(crate) const BYTES: &'static str = "what only two know";
}

fn credential(files: &pki::Credential) -> Outcome<Credential> {
    let key = CertifiedKey::from_pem_files(&files.certificate, &files.key).map_err(failure)?;
    Ok(Credential::Certificate(key))
}

mod shared_key {
    use std::sync::Arc;

    use sealgram::client::ClientConfigBuilder;
    use sealgram::identity::{SharedKey, SharedKeys};
    use sealgram::server::ServerConfigBuilder;
    use sealgram::{ClientConfig, ServerConfig};
    use sealgram_interop::failure::Outcome;

    use super::failure;

    pub(super) fn server() -> Outcome<ServerConfigBuilder> {
        let keys = SharedKeys::new([key()?]);
        Ok(ServerConfig::without_credential().shared_keys(Arc::new(keys)))
    }

    pub(super) fn client() -> Outcome<ClientConfigBuilder> {
        Ok(ClientConfig::with_shared_key(key()?))
    }

    fn key() -> Outcome<SharedKey> {
        let (identity, bytes) = (super::SharedKey::IDENTITY, super::SharedKey::BYTES);
        SharedKey::new(identity.as_bytes(), bytes.as_bytes()).map_err(failure)
    }
}

mod raw_keys {
    use std::path::Path;
    use std::sync::Arc;

    use sealgram::client::ClientConfigBuilder;
    use sealgram::identity::{Credential, PinnedKeys, RawKey};
    use sealgram::server::{ClientAuthentication, ServerConfigBuilder};
    use sealgram::{ClientConfig, ServerConfig};
    use sealgram_interop::failure::Outcome;

    use super::{Settings, failure};

    pub(super) fn server(settings: &Settings<'_>) -> Outcome<ServerConfigBuilder> {
        let own = key(&settings.pki.server(settings.key).key)?;
        let theirs = key(&settings.pki.client(settings.key).key)?;
        let known = Arc::new(PinnedKeys::new([theirs.fingerprint()]));
        let builder = ServerConfig::with_credential(Credential::RawKey(own));
        Ok(builder.client_authentication(ClientAuthentication::Required(known)))
    }

    pub(super) fn client(settings: &Settings<'_>) -> Outcome<ClientConfigBuilder> {
        let own = key(&settings.pki.client(settings.key).key)?;
        let theirs = key(&settings.pki.server(settings.key).key)?;
        let known = Arc::new(PinnedKeys::new([theirs.fingerprint()]));
        Ok(ClientConfig::with_verifier(known).add_credential(Credential::RawKey(own)))
    }

    fn key(file: &Path) -> Outcome<RawKey> {
        RawKey::from_pem_file(file).map_err(failure)
    }
}
