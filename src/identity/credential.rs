//! What this end has to show of itself.

use super::public_key::{PublicKey, issuer};
use super::signing::{HandshakeKey, SignHandshake};
use super::{CertificateKind, Identity, RawKey, files};
use crate::crypto::der::{SEQUENCE, inside};
use crate::crypto::sign::SigningKey;
use crate::error::ConfigError;
use crate::protocol::SignatureScheme;
use pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What this end proves its identity with: something to claim, and a key that signs for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A certificate chain and the key of its first certificate.
    Certificate(CertifiedKey),
    /// A key whose public half is shown by itself (RFC 7250), to peers that accept that.
    RawKey(RawKey),
}

impl Credential {
    /// What this end claims to be.
    pub(crate) fn claim(&self) -> Identity {
        match self {
            Self::Certificate(certified) => Identity::Certificate(certified.chain.clone()),
            Self::RawKey(raw) => Identity::RawPublicKey(raw.info().clone()),
        }
    }

    /// In what form it is shown.
    pub fn kind(&self) -> CertificateKind {
        match self {
            Self::Certificate(_) => CertificateKind::X509,
            Self::RawKey(_) => CertificateKind::RawPublicKey,
        }
    }

    /// The key that proves it.
    pub(crate) fn key(&self) -> &Arc<HandshakeKey> {
        match self {
            Self::Certificate(certified) => &certified.key,
            Self::RawKey(raw) => raw.key(),
        }
    }

    /// The schemes to sign with, the preferred one first.
    pub(crate) fn schemes(&self) -> &[SignatureScheme] {
        match self {
            Self::Certificate(certified) => &certified.schemes,
            Self::RawKey(raw) => raw.schemes(),
        }
    }

    /// Whether the credential is meant for a peer that has named these authorities, in DER.
    pub(crate) fn suits_authorities(&self, authorities: &[Vec<u8>]) -> bool {
        match self {
            Self::Certificate(certified) => certified.suits_authorities(authorities),
            Self::RawKey(_) => true,
        }
    }
}

/// A certificate chain with the private key of its first certificate.
#[derive(Clone)]
pub struct CertifiedKey {
    chain: Arc<[CertificateDer<'static>]>,
    key: Arc<HandshakeKey>,
    /// What the key signs with, the preferred scheme first.
    schemes: Arc<[SignatureScheme]>,
    /// The issuers of the chain, if the credential is for their peers alone: the contents of their
    /// Names.
    only_for: Option<Arc<[Vec<u8>]>>,
}

impl CertifiedKey {
    /// A chain, the end's own certificate first and each issuer after it, with the key in DER.
    ///
    /// # Errors
    ///
    /// If the chain is empty, if there is no key in its first certificate, if the private key is of
    /// a kind that is not supported (ECDSA P-256 or P-384, Ed25519, RSA of 2048 to 4096 bits), or
    /// if it belongs to another certificate. The form of the certificates is for the peer to judge.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, ConfigError> {
        let bits = public_key(&chain)?
            .bits()
            .ok_or(ConfigError::BadCertificate)?;
        let key = SigningKey::with_public_half(key, bits)?;
        if key.public_key() != bits {
            return Err(ConfigError::KeyMismatch);
        }
        Ok(Self::with_key(chain, HandshakeKey::Held(Box::new(key))))
    }

    /// A chain, the end's own certificate first and each issuer after it, whose key is held
    /// elsewhere. That the two belong together is for the caller to know: peers refuse the
    /// signatures otherwise.
    ///
    /// # Errors
    ///
    /// If the chain is empty, if there is no key in its first certificate, if that is of a kind
    /// that is not supported, or if the signer has no scheme or one of another kind.
    pub fn with_signer(
        chain: Vec<CertificateDer<'static>>,
        signer: Arc<dyn SignHandshake>,
    ) -> Result<Self, ConfigError> {
        let key = HandshakeKey::elsewhere(&public_key(&chain)?, signer)?;
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

    /// Reads chain and key from files, which hold PEM, or the DER of one certificate and of one
    /// key.
    ///
    /// # Errors
    ///
    /// As [`CertifiedKey::new`], and if a file cannot be read, holds nothing of the right kind, or
    /// a key that is encrypted.
    pub fn from_pem_files(chain: &Path, key: &Path) -> Result<Self, ConfigError> {
        Self::new(files::chain(chain)?, &files::private_key(key)?)
    }

    /// The chain, the end's own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The schemes to sign with, the preferred one first; by default all that the key can make.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyWithoutScheme`] if the key can make none of them.
    pub fn sign_with(mut self, schemes: &[SignatureScheme]) -> Result<Self, ConfigError> {
        self.schemes = self.key.those_of(schemes)?;
        Ok(self)
    }

    /// The credential is for those peers alone that name an issuer of its chain in
    /// certificate_authorities (RFC 8446 §4.2.4) or in their CertificateRequest. By default it is
    /// for all, because most peers name nobody.
    #[must_use]
    pub fn only_for_issuers(mut self) -> Self {
        let issuers = self.chain.iter().filter_map(issuer);
        self.only_for = Some(issuers.map(<[u8]>::to_vec).collect());
        self
    }

    fn suits_authorities(&self, authorities: &[Vec<u8>]) -> bool {
        let Some(issuers) = &self.only_for else {
            return true;
        };
        authorities.iter().any(|name| match inside(SEQUENCE, name) {
            Some((contents, [])) => issuers.iter().any(|issuer| issuer == contents),
            _ => false,
        })
    }
}

fn public_key<'a>(chain: &'a [CertificateDer<'_>]) -> Result<PublicKey<'a>, ConfigError> {
    let leaf = chain.first().ok_or(ConfigError::EmptyChain)?;
    PublicKey::of(leaf).map_err(|_| ConfigError::BadCertificate)
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedKey")
            .field("certificates", &self.chain.len())
            .field("key", &self.key)
            .finish()
    }
}
