//! A key that is shown by itself, without a certificate (RFC 7250).

use super::public_key::PublicKey;
use super::signing::{HandshakeKey, SignHandshake};
use super::{Fingerprint, files};
use crate::crypto::sign::SigningKey;
use crate::error::{CertificateError, ConfigError};
use crate::protocol::SignatureScheme;
use pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A private key whose public half is shown as it is, to peers that know it beforehand.
#[derive(Clone)]
pub struct RawKey {
    info: Arc<SubjectPublicKeyInfoDer<'static>>,
    key: Arc<HandshakeKey>,
    /// What the key signs with, the preferred scheme first.
    schemes: Arc<[SignatureScheme]>,
}

impl RawKey {
    /// A private key in DER. Its public half is what peers see.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnsupportedKey`] if the key is none of ECDSA P-256 and P-384, Ed25519, RSA of
    /// 2048 to 4096 bits, or an EC key without its public half.
    pub fn new(key: &PrivateKeyDer<'_>) -> Result<Self, ConfigError> {
        let key = SigningKey::new(key)?;
        let info = key.public_key_info();
        Ok(Self::with_key(info, HandshakeKey::Held(Box::new(key))))
    }

    /// A private key that is held elsewhere, with its public half, the DER of a
    /// SubjectPublicKeyInfo. That the two belong together is for the caller to know: peers refuse
    /// the signatures otherwise.
    ///
    /// # Errors
    ///
    /// [`ConfigError::BadCertificate`] if the public half is not the DER of one,
    /// [`ConfigError::UnsupportedKey`] if its algorithm is none of those above,
    /// [`ConfigError::KeyMismatch`] if the signer has no scheme or one of another kind.
    pub fn with_signer(
        info: SubjectPublicKeyInfoDer<'static>,
        signer: Arc<dyn SignHandshake>,
    ) -> Result<Self, ConfigError> {
        let public = PublicKey::raw(&info).map_err(|why| match why {
            CertificateError::UnsupportedKey(why) => ConfigError::UnsupportedKey(why),
            _ => ConfigError::BadCertificate,
        })?;
        let key = HandshakeKey::elsewhere(&public, signer)?;
        Ok(Self::with_key(info, key))
    }

    /// Reads the private key from a file, which holds PEM or DER. Nothing else is needed.
    ///
    /// # Errors
    ///
    /// As [`RawKey::new`], and if the file cannot be read, holds no private key, or one that is
    /// encrypted.
    pub fn from_pem_file(key: &Path) -> Result<Self, ConfigError> {
        Self::new(&files::private_key(key)?)
    }

    fn with_key(info: SubjectPublicKeyInfoDer<'static>, key: HandshakeKey) -> Self {
        Self {
            info: Arc::new(info),
            schemes: key.schemes().into(),
            key: Arc::new(key),
        }
    }

    /// What peers see: a SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoDer<'static> {
        &self.info
    }

    /// What peers can pin: the SHA-256 digest of [`RawKey::public_key`].
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_key(&self.info)
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

    pub(super) fn info(&self) -> &Arc<SubjectPublicKeyInfoDer<'static>> {
        &self.info
    }

    pub(super) const fn key(&self) -> &Arc<HandshakeKey> {
        &self.key
    }

    pub(super) fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }
}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawKey")
            .field("fingerprint", &self.fingerprint())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
