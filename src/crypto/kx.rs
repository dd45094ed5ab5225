//! Ephemeral key exchange, in the shape of a key encapsulation: start, respond, complete.
//!
//! Elliptic curves fit that shape, and so do post-quantum groups, whose answer differs from the question.
//! `ring` draws the private keys from the system by itself.

use crate::error::{Error, PeerMisbehaved};
use crate::protocol::NamedGroup;
use ring::agreement;
use zeroize::Zeroizing;

/// A shared secret, of whatever length the group gives.
pub(crate) type SharedSecret = Zeroizing<Vec<u8>>;

/// The groups that work here, in the order in which a client prefers them by default.
pub(crate) const SUPPORTED_GROUPS: &[NamedGroup] = &[
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

/// Our half of an exchange whose other half has not come yet.
pub(crate) struct Exchange {
    private: agreement::EphemeralPrivateKey,
}

fn algorithm(group: NamedGroup) -> Option<&'static agreement::Algorithm> {
    match group {
        NamedGroup::X25519 => Some(&agreement::X25519),
        NamedGroup::SECP256R1 => Some(&agreement::ECDH_P256),
        NamedGroup::SECP384R1 => Some(&agreement::ECDH_P384),
        _ => None,
    }
}

/// Draws a key pair and returns our half with the public share.
///
/// # Errors
///
/// [`Error::RandomFailed`] if the system gives no randomness or the group is not supported.
pub(crate) fn start(group: NamedGroup) -> Result<(Exchange, Vec<u8>), Error> {
    let algorithm = algorithm(group).ok_or(Error::RandomFailed)?;
    let rng = ring::rand::SystemRandom::new();
    let private = agreement::EphemeralPrivateKey::generate(algorithm, &rng)
        .map_err(|_| Error::RandomFailed)?;
    let share = private
        .compute_public_key()
        .map_err(|_| Error::RandomFailed)?;
    Ok((Exchange { private }, share.as_ref().to_vec()))
}

impl Exchange {
    /// The secret shared with the holder of `peer_share`.
    ///
    /// # Errors
    ///
    /// `InvalidKeyShare` if it is no public key of the group, or one whose result would be predictable
    /// (RFC 8422 §5.11).
    pub(crate) fn complete(self, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        let peer = agreement::UnparsedPublicKey::new(self.private.algorithm(), peer_share);
        agreement::agree_ephemeral(self.private, &peer, |secret| {
            Zeroizing::new(secret.to_vec())
        })
        .map_err(|_| PeerMisbehaved::InvalidKeyShare.into())
    }
}

/// Answers the peer's share: our share and the secret.
///
/// # Errors
///
/// As [`start`] and [`Exchange::complete`].
pub(crate) fn respond(
    group: NamedGroup,
    peer_share: &[u8],
) -> Result<(Vec<u8>, SharedSecret), Error> {
    let (exchange, share) = start(group)?;
    Ok((share, exchange.complete(peer_share)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_agree_in_every_group() {
        for &group in SUPPORTED_GROUPS {
            let (exchange, question) = start(group).unwrap();
            let (answer, theirs) = respond(group, &question).unwrap();
            assert_eq!(exchange.complete(&answer).unwrap(), theirs);
        }
    }

    /// H8: a share that makes the secret zero, or that lies off the curve, is refused.
    #[test]
    fn low_order_and_malformed_shares_are_refused() {
        let bad: [(NamedGroup, Vec<u8>); 4] = [
            (NamedGroup::X25519, vec![0; 32]),
            (NamedGroup::X25519, vec![9; 31]),
            (NamedGroup::SECP256R1, vec![4; 65]),
            (NamedGroup::SECP384R1, vec![]),
        ];
        for (group, share) in bad {
            assert_eq!(
                respond(group, &share).unwrap_err(),
                PeerMisbehaved::InvalidKeyShare.into()
            );
        }
    }
}
