//! Diffie-Hellman on elliptic curves. `ring` draws the private keys from the system by itself.

use crate::crypto::algorithm::SharedSecret;
use crate::protocol::NamedGroup;
use ring::agreement;
use zeroize::Zeroizing;

/// What there is.
pub(crate) const CURVES: &[NamedGroup] = &[
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

/// An ephemeral private key, good for one agreement.
pub(crate) struct PrivateKey(agreement::EphemeralPrivateKey);

impl PrivateKey {
    /// `None` if the curve is none of [`CURVES`] or there is no randomness.
    pub(crate) fn generate(curve: NamedGroup) -> Option<Self> {
        let algorithm = match curve {
            NamedGroup::X25519 => &agreement::X25519,
            NamedGroup::SECP256R1 => &agreement::ECDH_P256,
            NamedGroup::SECP384R1 => &agreement::ECDH_P384,
            _ => return None,
        };
        let random = ring::rand::SystemRandom::new();
        let key = agreement::EphemeralPrivateKey::generate(algorithm, &random);
        key.map(Self).ok()
    }

    /// The public half, in the form that is sent.
    pub(crate) fn share(&self) -> Option<Vec<u8>> {
        let public = self.0.compute_public_key().ok()?;
        Some(public.as_ref().to_vec())
    }

    /// The secret shared with the holder of `peer`; `None` if that is no public key of the curve,
    /// or one whose result would be predictable.
    pub(crate) fn agree(self, peer: &[u8]) -> Option<SharedSecret> {
        let peer = agreement::UnparsedPublicKey::new(self.0.algorithm(), peer);
        let copy = |secret: &[u8]| Zeroizing::new(secret.to_vec());
        agreement::agree_ephemeral(self.0, &peer, copy).ok()
    }
}
