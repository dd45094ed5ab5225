//! Diffie-Hellman on elliptic curves. `aws-lc-rs` draws the private keys by itself.

use crate::crypto::algorithm::SharedSecret;
use crate::protocol::NamedGroup;
use aws_lc_rs::agreement;
use zeroize::Zeroizing;

/// What there is.
pub(crate) const CURVES: &[NamedGroup] = &[
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

/// An ephemeral private key, good for one agreement.
pub(crate) struct PrivateKey {
    curve: NamedGroup,
    key: agreement::PrivateKey,
}

impl PrivateKey {
    /// `None` if the curve is none of [`CURVES`] or there is no randomness.
    pub(crate) fn generate(curve: NamedGroup) -> Option<Self> {
        let algorithm = match curve {
            NamedGroup::X25519 => &agreement::X25519,
            NamedGroup::SECP256R1 => &agreement::ECDH_P256,
            NamedGroup::SECP384R1 => &agreement::ECDH_P384,
            _ => return None,
        };
        let key = agreement::PrivateKey::generate(algorithm).ok()?;
        Some(Self { curve, key })
    }

    /// The public half, in the form that is sent.
    pub(crate) fn share(&self) -> Option<Vec<u8>> {
        let public = self.key.compute_public_key().ok()?;
        Some(public.as_ref().to_vec())
    }

    /// The secret shared with the holder of `peer`; `None` if that is no public key of the curve,
    /// or one whose result would be predictable.
    pub(crate) fn agree(self, peer: &[u8]) -> Option<SharedSecret> {
        // `aws-lc-rs` also takes compressed points, and keys in DER.
        if !self.has_form(peer) {
            return None;
        }
        let peer = agreement::UnparsedPublicKey::new(self.key.algorithm(), peer);
        let copy = |secret: &[u8]| Ok(Zeroizing::new(secret.to_vec()));
        agreement::agree(&self.key, peer, (), copy).ok()
    }

    /// Whether `peer` has the form in which a share is sent: 32 bytes of X25519 (RFC 7748 §6.1), or
    /// an uncompressed point (RFC 8422 §5.4.1, RFC 8446 §4.2.8.2).
    fn has_form(&self, peer: &[u8]) -> bool {
        match (self.curve, peer) {
            (NamedGroup::X25519, _) => peer.len() == 32,
            (NamedGroup::SECP256R1, [0x04, coordinates @ ..]) => coordinates.len() == 2 * 32,
            (NamedGroup::SECP384R1, [0x04, coordinates @ ..]) => coordinates.len() == 2 * 48,
            _ => false,
        }
    }
}
