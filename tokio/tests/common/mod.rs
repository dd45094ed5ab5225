//! Two ends that trust each other.

use sealgram::client::ClientConfigBuilder;
use sealgram::config::Versions;
use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
use sealgram::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sealgram::server::ServerConfigBuilder;
use sealgram::{ClientConfig, ServerConfig};
use std::sync::{Arc, LazyLock};

/// A certificate and its key.
static MADE: LazyLock<(CertificateDer<'static>, Vec<u8>)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed([String::from("server.test")]).unwrap();
    (made.cert.der().clone(), made.signing_key.serialize_der())
});

/// A server's settings.
pub(crate) fn server(versions: Versions) -> ServerConfigBuilder {
    let (certificate, key) = &*MADE;
    let key = PrivateKeyDer::try_from(key.clone()).unwrap();
    let certified = CertifiedKey::new(vec![certificate.clone()], &key).unwrap();
    ServerConfig::with_credential(Credential::Certificate(certified)).versions(versions)
}

/// The settings of a client that trusts it.
pub(crate) fn client(versions: Versions) -> ClientConfigBuilder {
    let pinned = PinnedFingerprint::new([Fingerprint::of(&MADE.0)]);
    ClientConfig::with_verifier(Arc::new(pinned)).versions(versions)
}

/// What the server is called.
pub(crate) fn name() -> ServerName<'static> {
    "server.test".try_into().unwrap()
}
