//! Proofs that a check was made. Each can be built in one place only, so a state that holds one cannot have
//! skipped the check.

use crate::protocol::SignatureScheme;

/// The peer's certificate chain was accepted by the configured verifier.
pub(crate) struct ChainVerified(());

/// The peer's signature over the handshake, made with this scheme, verifies with the key of its certificate.
pub(crate) struct SignatureVerified(SignatureScheme);

impl ChainVerified {
    /// Runs `verify` and turns its success into the proof.
    pub(crate) fn by<E>(verify: impl FnOnce() -> Result<(), E>) -> Result<Self, E> {
        verify().map(|()| Self(()))
    }
}

impl SignatureVerified {
    /// Runs `verify` and turns its success into the proof.
    pub(super) fn by<E>(
        scheme: SignatureScheme,
        verify: impl FnOnce() -> Result<(), E>,
    ) -> Result<Self, E> {
        verify().map(|()| Self(scheme))
    }

    /// What the signature was made with.
    pub(crate) const fn scheme(&self) -> SignatureScheme {
        self.0
    }
}
