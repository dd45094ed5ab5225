//! Proofs that a check was made. Each can be built in one place only, so a state that holds one has
//! made the check.

use crate::protocol::SignatureScheme;

/// What the peer claims to be was accepted by the configured verifier.
pub(crate) struct ClaimVerified(());

/// The peer's signature over the handshake, made with this scheme, verifies with the key of what it
/// claims to be.
pub(crate) struct SignatureVerified(SignatureScheme);

impl ClaimVerified {
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
