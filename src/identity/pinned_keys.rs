//! Raw public keys that are known beforehand.

use super::{CertificateKind, Fingerprint, Identity, VerifyClient, VerifyServer};
use crate::error::CertificateError;
use pki_types::{ServerName, SubjectPublicKeyInfoDer, UnixTime};
use subtle::ConstantTimeEq as _;

/// Accepts exactly these raw public keys (RFC 7250), whatever the name that was asked for.
///
/// A key is known by its SubjectPublicKeyInfo in DER, or by the SHA-256 digest of that; both are
/// compared byte by byte. Certificates are not accepted, also not those that hold such a key: what
/// takes both is a verifier of one's own, which asks this one or another by the
/// [kind](Identity::certificate_kind) of the claim.
///
/// A peer that resumes a session is looked up again, so that a key that is no longer among these is
/// of no use.
#[derive(Clone, Default, Debug)]
pub struct PinnedKeys {
    fingerprints: Vec<Fingerprint>,
}

impl PinnedKeys {
    /// Accepts the keys with these fingerprints; with none, nobody is accepted.
    pub fn new(fingerprints: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self {
            fingerprints: fingerprints.into_iter().collect(),
        }
    }

    /// Accepts this key as well.
    #[must_use]
    pub fn and_key(mut self, key: &SubjectPublicKeyInfoDer<'_>) -> Self {
        self.fingerprints.push(Fingerprint::of_key(key));
        self
    }

    fn check(&self, claimed: &Identity) -> Result<(), CertificateError> {
        let Identity::RawPublicKey(key) = claimed else {
            return Err(CertificateError::FingerprintMismatch);
        };
        let seen = Fingerprint::of_key(key);
        let mut pins = self.fingerprints.iter();
        if pins.any(|pin| bool::from(pin.as_bytes().ct_eq(seen.as_bytes()))) {
            Ok(())
        } else {
            Err(CertificateError::FingerprintMismatch)
        }
    }
}

/// What is agreed on with peers.
const KINDS: &[CertificateKind] = &[CertificateKind::RawPublicKey];

impl VerifyServer for PinnedKeys {
    fn verify(
        &self,
        claimed: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        self.check(claimed)
    }

    fn kinds(&self) -> &[CertificateKind] {
        KINDS
    }

    fn verifies_resumed(&self) -> bool {
        true
    }
}

impl VerifyClient for PinnedKeys {
    fn verify(&self, claimed: &Identity, _: UnixTime) -> Result<(), CertificateError> {
        self.check(claimed)
    }

    fn kinds(&self) -> &[CertificateKind] {
        KINDS
    }
}
