//! Private keys: held here, or elsewhere.

use super::public_key::PublicKey;
use super::reply::{Awaited, Reply};
use crate::crypto::sign::{KeyKind, SigningKey};
use crate::crypto::verify::is_rsa;
use crate::error::{ConfigError, Error};
use crate::protocol::{NamedGroup, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// A private key that signs handshakes and is held elsewhere: in a token, in an HSM, by a service,
/// or by threads that take the work from an event loop.
///
/// ```
/// use sealgram::{Reply, SignatureScheme};
/// use sealgram::identity::{SignHandshake, SigningKey};
/// use std::{sync::Arc, thread};
///
/// /// RSA takes a millisecond, in which an event loop can do a thousand other things.
/// #[derive(Debug)]
/// struct OnAThread(Arc<SigningKey>);
///
/// impl SignHandshake for OnAThread {
///     fn schemes(&self) -> &[SignatureScheme] {
///         self.0.schemes()
///     }
///
///     fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
///         let (key, message) = (self.0.clone(), message.to_vec());
///         thread::spawn(move || {
///             // Either wakes the event loop: the answer, or a reply that is dropped.
///             if let Ok(made) = key.sign(scheme, &message) {
///                 signature.send(made);
///             }
///         });
///     }
/// }
/// ```
pub trait SignHandshake: Send + Sync + fmt::Debug {
    /// The schemes that the key can make, the preferred one first. At version 1.2 an ECDSA scheme
    /// names a hash alone, and serves keys on any curve (RFC 5246 §7.4.1.4.1); at 1.3 only those of
    /// its own curve are used.
    fn schemes(&self) -> &[SignatureScheme];

    /// Signs `message`, which is not hashed yet, with `scheme`, one of [`SignHandshake::schemes`],
    /// and answers with the signature in the form of RFC 8446 §4.2.3, now or later. A signer that
    /// fails drops `signature`.
    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>);
}

impl SignHandshake for SigningKey {
    fn schemes(&self) -> &[SignatureScheme] {
        self.schemes()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        if let Ok(made) = self.sign(scheme, message) {
            signature.send(made);
        }
    }
}

/// The private key of a credential.
pub(crate) enum HandshakeKey {
    /// In this process, which signs at once.
    Held(Box<SigningKey>),
    /// Anywhere.
    Elsewhere {
        signer: Arc<dyn SignHandshake>,
        kind: KeyKind,
        curve: Option<NamedGroup>,
    },
}

/// A signature, or the wait for one.
pub(crate) enum Signing {
    Done(Result<Vec<u8>, Error>),
    Awaited(Awaited<Vec<u8>>),
}

impl HandshakeKey {
    /// The key that belongs to this public key and is held elsewhere.
    ///
    /// # Errors
    ///
    /// `UnsupportedKey` if the certificate's key is none of ECDSA P-256 and P-384, Ed25519 and RSA,
    /// `KeyMismatch` if the signer has no scheme, or one of another kind of key.
    pub(super) fn elsewhere(
        public: &PublicKey<'_>,
        signer: Arc<dyn SignHandshake>,
    ) -> Result<Self, ConfigError> {
        let (kind, curve) = public.kind().map_err(ConfigError::UnsupportedKey)?;
        let rsa = kind == KeyKind::Rsa;
        let wrong = |scheme: &SignatureScheme| is_rsa(*scheme) != rsa;
        if signer.schemes().is_empty() || signer.schemes().iter().any(wrong) {
            return Err(ConfigError::KeyMismatch);
        }
        Ok(Self::Elsewhere {
            signer,
            kind,
            curve,
        })
    }

    /// Which suites this key can serve.
    pub(crate) fn kind(&self) -> KeyKind {
        match self {
            Self::Held(key) => key.kind(),
            Self::Elsewhere { kind, .. } => *kind,
        }
    }

    /// The curve of an ECDSA key.
    pub(crate) fn curve(&self) -> Option<NamedGroup> {
        match self {
            Self::Held(key) => key.curve(),
            Self::Elsewhere { curve, .. } => *curve,
        }
    }

    /// The schemes that this key can make, the preferred one first.
    pub(crate) fn schemes(&self) -> &[SignatureScheme] {
        match self {
            Self::Held(key) => key.schemes(),
            Self::Elsewhere { signer, .. } => signer.schemes(),
        }
    }

    /// Those of `wanted` that this key can make, in that order.
    ///
    /// # Errors
    ///
    /// `KeyWithoutScheme` if there is none.
    pub(super) fn those_of(
        &self,
        wanted: &[SignatureScheme],
    ) -> Result<Arc<[SignatureScheme]>, ConfigError> {
        let own = self.schemes();
        let usable: Arc<[_]> = wanted
            .iter()
            .filter(|it| own.contains(it))
            .copied()
            .collect();
        if usable.is_empty() {
            return Err(ConfigError::KeyWithoutScheme);
        }
        Ok(usable)
    }

    /// Whether a scheme of this key's may sign a handshake of version 1.3, where it names the curve
    /// as well (RFC 8446 §4.2.3).
    pub(crate) fn suits_curve(&self, scheme: SignatureScheme) -> bool {
        match scheme {
            SignatureScheme::ECDSA_SECP256R1_SHA256 => self.curve() == Some(NamedGroup::SECP256R1),
            SignatureScheme::ECDSA_SECP384R1_SHA384 => self.curve() == Some(NamedGroup::SECP384R1),
            _ => true,
        }
    }

    /// The key, if it is in this process.
    #[cfg(feature = "sim")]
    pub(crate) fn held(&self) -> Option<&SigningKey> {
        match self {
            Self::Held(key) => Some(key),
            Self::Elsewhere { .. } => None,
        }
    }

    /// Signs `message` with `scheme`, one of [`HandshakeKey::schemes`].
    pub(crate) fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Signing {
        match self {
            Self::Held(key) => Signing::Done(key.sign(scheme, message)),
            Self::Elsewhere { signer, .. } => {
                Signing::Awaited(Awaited::of(|reply| signer.sign(scheme, message, reply)))
            }
        }
    }
}

impl fmt::Debug for HandshakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(key) => fmt::Debug::fmt(key, f),
            Self::Elsewhere { signer, .. } => fmt::Debug::fmt(signer, f),
        }
    }
}
