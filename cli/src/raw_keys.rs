//! Raw public keys (RFC 7250): this end's, and those of its peers.

use crate::problem::Problem;
use crate::report::Line;
use clap::Args;
use sealgram::error::{CertificateError, ConfigError, FingerprintParseError};
use sealgram::identity::{
    CertificateKind, Credential, Fingerprint, Identity, PinnedKeys, RawKey, VerifyClient,
    VerifyServer,
};
use sealgram::pki_types::{ServerName, UnixTime};
use std::path::PathBuf;
use std::sync::Arc;

/// Keys that are shown by themselves, without certificates.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RawKeyArguments {
    /// A private key, as PEM, whose public half this end shows to peers that take it without a
    /// certificate (RFC 7250); they know it beforehand, by the fingerprint that is printed when the
    /// program begins. A server that also has a certificate shows that to peers that take both.
    #[arg(long, value_name = "FILE")]
    pub(crate) raw_key: Option<PathBuf>,
    /// Accept the peer whose raw public key (RFC 7250) has this fingerprint, the SHA-256 digest of
    /// its SubjectPublicKeyInfo; may be given several times. Certificates are then accepted only if
    /// another option says which. A server demands that its clients show something.
    #[arg(long, value_name = "HEX", value_parser = parse_fingerprint)]
    pub(crate) peer_key: Vec<Fingerprint>,
}

fn parse_fingerprint(text: &str) -> Result<Fingerprint, String> {
    text.parse().map_err(|_: FingerprintParseError| {
        "a fingerprint is 64 hexadecimal digits, as `openssl pkey -pubout -outform DER | openssl sha256` prints them"
            .to_owned()
    })
}

impl RawKeyArguments {
    /// This end's key, which is told on standard error, so that the peer's user can be told too.
    pub(crate) fn credential(&self) -> Result<Option<Credential>, ConfigError> {
        let Some(file) = &self.raw_key else {
            return Ok(None);
        };
        let key = RawKey::from_pem_file(file)?;
        Line::new("raw_key")
            .field("fingerprint", key.fingerprint())
            .print();
        Ok(Some(Credential::RawKey(key)))
    }

    /// A client's verifier, if there are keys for it: also of certificates, if the user has said
    /// which.
    pub(crate) fn of_servers(
        &self,
        certificates: impl FnOnce() -> Result<Option<Arc<dyn VerifyServer>>, Problem>,
    ) -> Result<Option<Arc<dyn VerifyServer>>, Problem> {
        Ok(match (self.pinned(), certificates) {
            (None, _) => None,
            (Some(keys), certificates) => match certificates()? {
                None => Some(Arc::new(keys)),
                Some(certificates) => Some(Arc::new(Either { keys, certificates })),
            },
        })
    }

    /// A server's verifier of its clients, if there is one: of keys, of certificates, or of both.
    pub(crate) fn of_clients(
        &self,
        certificates: Option<Arc<dyn VerifyClient>>,
    ) -> Option<Arc<dyn VerifyClient>> {
        match (self.pinned(), certificates) {
            (None, certificates) => certificates,
            (Some(keys), None) => Some(Arc::new(keys)),
            (Some(keys), Some(certificates)) => Some(Arc::new(Either { keys, certificates })),
        }
    }

    fn pinned(&self) -> Option<PinnedKeys> {
        let keys = || PinnedKeys::new(self.peer_key.iter().copied());
        (!self.peer_key.is_empty()).then(keys)
    }
}

/// Takes raw keys and certificates, each by its own rule.
#[derive(Debug)]
struct Either<T: ?Sized> {
    keys: PinnedKeys,
    certificates: Arc<T>,
}

const BOTH: &[CertificateKind] = &[CertificateKind::RawPublicKey, CertificateKind::X509];

fn is_raw(claimed: &Identity) -> bool {
    claimed.raw_public_key().is_some()
}

impl VerifyServer for Either<dyn VerifyServer> {
    fn verify(
        &self,
        claimed: &Identity,
        name: &ServerName<'_>,
        date: UnixTime,
    ) -> Result<(), CertificateError> {
        if is_raw(claimed) {
            VerifyServer::verify(&self.keys, claimed, name, date)
        } else {
            self.certificates.verify(claimed, name, date)
        }
    }

    fn kinds(&self) -> &[CertificateKind] {
        BOTH
    }

    fn verifies_resumed(&self) -> bool {
        true
    }
}

impl VerifyClient for Either<dyn VerifyClient> {
    fn verify(&self, claimed: &Identity, date: UnixTime) -> Result<(), CertificateError> {
        if is_raw(claimed) {
            VerifyClient::verify(&self.keys, claimed, date)
        } else {
            self.certificates.verify(claimed, date)
        }
    }

    fn kinds(&self) -> &[CertificateKind] {
        BOTH
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        self.certificates.authorities()
    }
}
