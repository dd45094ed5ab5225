//! Who the two ends are: credentials of this end, identities of the peer, and the verifiers between them.

mod chain;
mod files;
mod fingerprint;
mod handshake_signature;
mod key_usage;
pub(crate) mod proof;
mod public_key;
mod reply;
mod signing;
mod webpki;

pub use fingerprint::{Fingerprint, PinnedFingerprint};
pub(crate) use handshake_signature::{verify_12, verify_13};
pub(crate) use public_key::check_key_12;
pub use reply::Reply;
pub(crate) use reply::{Abandoned, Awaited};
pub use signing::SignHandshake;
pub(crate) use signing::{HandshakeKey, Signing};
pub use webpki::{Roots, WebPkiClientVerifier, WebPkiServerVerifier};

use crate::crypto::der::{SEQUENCE, inside};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::sign::SigningKey;
use crate::error::{CertificateError, ConfigError};
use crate::protocol::SignatureScheme;
use pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use public_key::PublicKey;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What this end proves its identity with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A certificate chain and the key of its first certificate.
    Certificate(CertifiedKey),
}

/// A certificate chain with the private key of its first certificate.
#[derive(Clone)]
pub struct CertifiedKey {
    chain: Arc<[CertificateDer<'static>]>,
    key: Arc<HandshakeKey>,
    /// What the key signs with, the preferred scheme first.
    schemes: Arc<[SignatureScheme]>,
    /// The issuers of the chain, if the credential is for their peers alone: the contents of their Names.
    only_for: Option<Arc<[Vec<u8>]>>,
}

impl CertifiedKey {
    /// A chain, the own certificate first and each issuer behind it, with the key in DER.
    ///
    /// # Errors
    ///
    /// If the chain is empty, if there is no key in its first certificate, if the private key is of a kind that is not supported
    /// (ECDSA P-256 or P-384, Ed25519, RSA of 2048 to 4096 bits), or if it belongs to another certificate. The form of the
    /// certificates is for the peer to judge.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, ConfigError> {
        let leaf = chain.first().ok_or(ConfigError::EmptyChain)?;
        let public = PublicKey::of(leaf).map_err(|_| ConfigError::BadCertificate)?;
        let bits = public.bits().ok_or(ConfigError::BadCertificate)?;
        let key = SigningKey::with_public_half(key, bits)?;
        if key.public_key() != bits {
            return Err(ConfigError::KeyMismatch);
        }
        Ok(Self::with_key(chain, HandshakeKey::Held(Box::new(key))))
    }

    /// A chain, the own certificate first and each issuer behind it, whose key somebody else holds. That the two belong together is
    /// for the caller to know: peers refuse the signatures otherwise.
    ///
    /// # Errors
    ///
    /// If the chain is empty, if there is no key in its first certificate, if that is of a kind that is not supported, or if the signer has no scheme or one
    /// of another kind.
    pub fn with_signer(
        chain: Vec<CertificateDer<'static>>,
        signer: Arc<dyn SignHandshake>,
    ) -> Result<Self, ConfigError> {
        let leaf = chain.first().ok_or(ConfigError::EmptyChain)?;
        let public = PublicKey::of(leaf).map_err(|_| ConfigError::BadCertificate)?;
        let key = HandshakeKey::elsewhere(&public, signer)?;
        Ok(Self::with_key(chain, key))
    }

    fn with_key(chain: Vec<CertificateDer<'static>>, key: HandshakeKey) -> Self {
        Self {
            chain: chain.into(),
            schemes: key.schemes().into(),
            key: Arc::new(key),
            only_for: None,
        }
    }

    /// Reads chain and key from files, which hold PEM or the DER of one certificate, of one key.
    ///
    /// # Errors
    ///
    /// As [`CertifiedKey::new`], and if a file cannot be read, holds nothing of the right kind, or a key that is encrypted.
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, ConfigError> {
        Self::new(files::chain(chain)?, &files::private_key(key)?)
    }

    /// The chain, the own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The schemes to sign with, the preferred one first; by default all that the key can.
    ///
    /// # Errors
    ///
    /// `ConfigError::UnsupportedParameter` if the key can make none of them.
    pub fn sign_with(mut self, schemes: &[SignatureScheme]) -> Result<Self, ConfigError> {
        let own = self.key.schemes();
        let usable = schemes.iter().filter(|scheme| own.contains(scheme));
        self.schemes = usable.copied().collect();
        if self.schemes.is_empty() {
            return Err(ConfigError::UnsupportedParameter(format!(
                "a key that signs with none of {schemes:?}"
            )));
        }
        Ok(self)
    }

    /// The credential is for those peers alone that name an issuer of its chain in certificate_authorities (RFC 8446 §4.2.4) or in
    /// their CertificateRequest. By default it is for all, because most peers name nobody.
    #[must_use]
    pub fn only_for_issuers(mut self) -> Self {
        let issuers = self.chain.iter().filter_map(public_key::issuer);
        self.only_for = Some(issuers.map(<[u8]>::to_vec).collect());
        self
    }

    /// The chain, to keep.
    pub(crate) fn shared_chain(&self) -> Arc<[CertificateDer<'static>]> {
        self.chain.clone()
    }

    pub(crate) fn key(&self) -> &Arc<HandshakeKey> {
        &self.key
    }

    /// The schemes to sign with, the preferred one first.
    pub(crate) fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    /// Whether the credential is meant for a peer that has named these authorities, in DER.
    pub(crate) fn suits_authorities(&self, authorities: &[Vec<u8>]) -> bool {
        let Some(issuers) = &self.only_for else {
            return true;
        };
        authorities.iter().any(|name| match inside(SEQUENCE, name) {
            Some((contents, [])) => issuers.iter().any(|issuer| issuer == contents),
            _ => false,
        })
    }
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedKey")
            .field("certificates", &self.chain.len())
            .field("key", &self.key)
            .finish()
    }
}

/// Who the peer has proved to be.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerIdentity {
    /// The holder of the key of this chain's first certificate.
    Certificate(Arc<[CertificateDer<'static>]>),
}

impl PeerIdentity {
    /// The SHA-256 fingerprint of the peer's own certificate.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let Self::Certificate(chain) = self;
        chain.first().map(|leaf| Fingerprint::of(leaf))
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fingerprint() {
            Some(fingerprint) => write!(f, "PeerIdentity::Certificate({fingerprint})"),
            None => f.write_str("PeerIdentity::Certificate(empty)"),
        }
    }
}

/// Decides whether a server is the one that is wanted.
///
/// Called once a handshake, with a chain of at least one certificate. The key exchange's signature is checked
/// apart from this, so a verifier cannot forget it.
pub trait VerifyServer: Send + Sync + fmt::Debug {
    /// Accepts the chain for `name` at the wall-clock time `now`, or says why not.
    ///
    /// # Errors
    ///
    /// The reason; the handshake fails with the alert that belongs to it.
    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateError>;

    /// The same for a verifier that has to ask somebody else, and says later whether it accepts; by default it says so at once, as
    /// [`VerifyServer::verify`] does.
    fn verify_later(
        &self,
        chain: Arc<[CertificateDer<'static>]>,
        name: ServerName<'static>,
        now: UnixTime,
        verdict: Reply<Result<(), CertificateError>>,
    ) {
        verdict.send(self.verify(&chain, &name, now));
    }

    /// Whether a server whose session is resumed is looked at again, as it was when the session was made. Not by default: it has the
    /// secret of that handshake, and sessions are short-lived.
    fn verifies_resumed(&self) -> bool {
        false
    }
}

/// Decides whether a client may be served.
pub trait VerifyClient: Send + Sync + fmt::Debug {
    /// Accepts the chain at the wall-clock time `now`, or says why not.
    ///
    /// # Errors
    ///
    /// The reason; the handshake fails with the alert that belongs to it.
    fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), CertificateError>;

    /// The same for a verifier that has to ask somebody else, and says later whether it accepts; by default it says so at once, as
    /// [`VerifyClient::verify`] does.
    fn verify_later(
        &self,
        chain: Arc<[CertificateDer<'static>]>,
        now: UnixTime,
        verdict: Reply<Result<(), CertificateError>>,
    ) {
        verdict.send(self.verify(&chain, now));
    }

    /// Whether the chain of a session that is resumed is looked at again, as it is by default: it may have expired, or been
    /// revoked, since the session was made.
    fn verifies_resumed(&self) -> bool {
        true
    }

    /// The DER names of trusted authorities, as a hint to clients that hold several certificates (RFC 5246 §7.4.4).
    fn authorities(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Accepts every certificate: no protection against an active attacker. Only `dangerous()` hands it out.
#[derive(Debug)]
pub(crate) struct AcceptAnyServer;

impl VerifyServer for AcceptAnyServer {
    fn verify(
        &self,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        tracing::warn!("a server certificate was accepted without any check");
        Ok(())
    }
}

/// The SHA-256 digest of `der`.
fn sha256(der: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(HashAlgorithm::Sha256.digest(der).as_ref());
    out
}
