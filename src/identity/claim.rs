//! What an end claims to be.

use super::key_usage::allows_signatures;
use super::public_key::PublicKey;
use super::{CertificateKind, Fingerprint, SharedKeyName};
use crate::error::{CertificateError, Error, InvalidMessage};
use crate::wire::certificate;
use pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use std::fmt;
use std::sync::Arc;

/// Who an end of an association says it is.
///
/// A verifier is given what the peer *claims* to be. What
/// [`Connection::peer_identity`](crate::Connection::peer_identity) and
/// [`Session::peer_identity`](crate::session::Session::peer_identity) return was accepted by the
/// verifier, and the peer has *proved* that it holds the key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// The holder of the key of this chain's first certificate, which is there. Each issuer follows
    /// what it has signed, if the end has sent it.
    Certificate(Arc<[CertificateDer<'static>]>),
    /// The holder of the private half of this key, a SubjectPublicKeyInfo in DER (RFC 7250). Who
    /// that is must be known beforehand.
    RawPublicKey(Arc<SubjectPublicKeyInfoDer<'static>>),
    /// The holder of this shared key, as this end is too.
    SharedKey(Arc<SharedKeyName>),
}

impl Identity {
    /// What a Certificate message with this chain claims: nothing, if the chain is empty.
    pub(crate) fn of_chain(chain: Vec<CertificateDer<'static>>) -> Option<Self> {
        (!chain.is_empty()).then(|| Self::Certificate(chain.into()))
    }

    /// What a Certificate message with a raw public key claims: nothing, if the key is empty, as
    /// peers of 1.2 send it that have none (RFC 7250 §3 has no form for that).
    ///
    /// # Errors
    ///
    /// If it is not the DER of one SubjectPublicKeyInfo, or of another algorithm than those of
    /// certificates.
    pub(crate) fn of_raw_key(key: Vec<u8>) -> Result<Option<Self>, CertificateError> {
        if key.is_empty() {
            return Ok(None);
        }
        let key = SubjectPublicKeyInfoDer::from(key);
        PublicKey::raw(&key)?;
        Ok(Some(Self::RawPublicKey(Arc::new(key))))
    }

    /// What a Certificate message of version 1.3 with these entries claims: nothing, if there are
    /// none.
    ///
    /// # Errors
    ///
    /// As [`Identity::of_raw_key`], and if there is more than one raw public key.
    pub(crate) fn of_entries(
        kind: CertificateKind,
        entries: Vec<CertificateDer<'static>>,
    ) -> Result<Option<Self>, Error> {
        match (kind, &entries[..]) {
            (CertificateKind::X509, _) => Ok(Self::of_chain(entries)),
            (CertificateKind::RawPublicKey, []) => Ok(None),
            (CertificateKind::RawPublicKey, [key]) => Ok(Self::of_raw_key(key.to_vec())?),
            // RFC 8446 §4.4.2: one entry at most.
            (CertificateKind::RawPublicKey, _) => {
                Err(InvalidMessage::IllegalValue("the number of raw public keys").into())
            }
        }
    }

    /// The certificates, the end's own first; none if the identity is of another kind.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Certificate(chain) => chain,
            Self::RawPublicKey(_) | Self::SharedKey(_) => &[],
        }
    }

    /// The raw public key, a SubjectPublicKeyInfo in DER; `None` if the identity is of another
    /// kind.
    pub fn raw_public_key(&self) -> Option<&SubjectPublicKeyInfoDer<'static>> {
        match self {
            Self::RawPublicKey(key) => Some(key),
            Self::Certificate(_) | Self::SharedKey(_) => None,
        }
    }

    /// The name of the shared key; `None` if the identity is of another kind.
    pub fn shared_key(&self) -> Option<&SharedKeyName> {
        match self {
            Self::SharedKey(name) => Some(name),
            Self::Certificate(_) | Self::RawPublicKey(_) => None,
        }
    }

    /// The SHA-256 fingerprint of the end's own certificate, or of its raw public key; `None` if it
    /// has neither.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Self::Certificate(chain) => chain.first().map(|leaf| Fingerprint::of(leaf)),
            Self::RawPublicKey(key) => Some(Fingerprint::of_key(key)),
            Self::SharedKey(_) => None,
        }
    }

    /// Whether both are the same end. Its own certificate decides that; the rest of the chain only
    /// says why to believe it.
    pub(crate) fn is_same_end(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Certificate(one), Self::Certificate(other)) => one.first() == other.first(),
            (Self::RawPublicKey(one), Self::RawPublicKey(other)) => one == other,
            (Self::SharedKey(one), Self::SharedKey(other)) => one == other,
            (Self::Certificate(_) | Self::RawPublicKey(_) | Self::SharedKey(_), _) => false,
        }
    }

    /// The key that must have signed the handshake.
    ///
    /// # Errors
    ///
    /// `Missing` if there is none, `BadEncoding` if it cannot be found where it must be.
    pub(super) fn public_key(&self) -> Result<PublicKey<'_>, CertificateError> {
        match self {
            Self::Certificate(chain) => {
                PublicKey::of(chain.first().ok_or(CertificateError::Missing)?)
            }
            Self::RawPublicKey(key) => PublicKey::raw(key),
            // Finished proves a shared key, and no signature does.
            Self::SharedKey(_) => Err(CertificateError::Missing),
        }
    }

    /// Whether the key may sign a handshake.
    pub(super) fn may_sign(&self) -> bool {
        match self {
            Self::Certificate(chain) => chain.first().is_some_and(allows_signatures),
            Self::RawPublicKey(_) => true,
            Self::SharedKey(_) => false,
        }
    }
}

/// Appends the body of a Certificate message of version 1.2 that shows this, or nothing (RFC 5246
/// §7.4.2, §7.4.6).
pub(crate) fn encode_certificate_12(shown: Option<&Identity>, out: &mut Vec<u8>) {
    match shown {
        Some(Identity::Certificate(chain)) => certificate::encode(chain, out),
        Some(Identity::RawPublicKey(key)) => certificate::encode_raw_key(key, out),
        Some(Identity::SharedKey(_)) | None => certificate::encode(&[], out),
    }
}

/// The same of version 1.3, without a context (RFC 8446 §4.4.2).
pub(crate) fn encode_certificate_13(shown: Option<&Identity>, out: &mut Vec<u8>) {
    match shown {
        Some(Identity::Certificate(chain)) => certificate::encode_13(&[], chain, out),
        Some(Identity::RawPublicKey(key)) => {
            let entry = CertificateDer::from(key.as_ref().as_ref());
            certificate::encode_13(&[], &[entry], out);
        }
        Some(Identity::SharedKey(_)) | None => certificate::encode_13(&[], &[], out),
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.fingerprint()) {
            (Self::Certificate(_), Some(fingerprint)) => {
                write!(f, "Identity::Certificate({fingerprint})")
            }
            (Self::Certificate(_), None) => f.write_str("Identity::Certificate(empty)"),
            (Self::RawPublicKey(key), _) => {
                write!(f, "Identity::RawPublicKey({})", Fingerprint::of_key(key))
            }
            (Self::SharedKey(name), _) => write!(f, "Identity::SharedKey({name:?})"),
        }
    }
}
