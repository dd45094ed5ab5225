//! Ephemeral key exchange, in the shape of a key encapsulation: start, respond, complete.
//!
//! ```text
//!  one end                                          the other
//!  start(group) ──────── share, the question ──────►
//!               ◄─────── share, the answer ──────── respond(group, question) = answer, secret
//!  complete(answer) = secret
//! ```
//!
//! On a curve the answer has nothing to do with the question. With a group such as X25519MLKEM768
//! it is made from it and has another length, so a share is only ever made as a question or as the
//! answer to one. At version 1.3 the client asks (RFC 8446 §4.2.8), at 1.2 the
//! server does (RFC 8422 §2).

pub(crate) use super::algorithm::SharedSecret;
use super::provider::kx::{CURVES, PrivateKey};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::NamedGroup;

/// The groups in the order in which a client prefers them by default.
const PREFERENCE: [NamedGroup; 3] = [
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

/// The groups that work here: those that the provider has. The preferred ones come first.
pub(crate) fn supported_groups() -> impl Iterator<Item = NamedGroup> {
    let has = |group: &NamedGroup| CURVES.contains(group);
    PREFERENCE.into_iter().filter(has)
}

/// The half of an exchange that asked and has no answer yet.
pub(crate) enum Exchange {
    /// Diffie-Hellman on an elliptic curve.
    Curve(PrivateKey),
}

/// Asks: draws a key pair and returns our half with the public share.
///
/// # Errors
///
/// [`Error::RandomFailed`] if the system gives no randomness or the group is not supported.
pub(crate) fn start(group: NamedGroup) -> Result<(Exchange, Vec<u8>), Error> {
    let private = PrivateKey::generate(group).ok_or(Error::RandomFailed)?;
    let share = private.share().ok_or(Error::RandomFailed)?;
    Ok((Exchange::Curve(private), share))
}

impl Exchange {
    /// The secret shared with whoever gave the answer `peer_share`.
    ///
    /// # Errors
    ///
    /// `InvalidKeyShare` if it is no public key of the group, or one whose result would be
    /// predictable (RFC 8422 §5.11).
    pub(crate) fn complete(self, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        let secret = match self {
            Self::Curve(private) => private.agree(peer_share),
        };
        secret.ok_or_else(|| PeerMisbehaved::InvalidKeyShare.into())
    }
}

/// Answers the question `peer_share`: our share and the secret.
///
/// # Errors
///
/// As [`start`] and [`Exchange::complete`].
pub(crate) fn respond(
    group: NamedGroup,
    peer_share: &[u8],
) -> Result<(Vec<u8>, SharedSecret), Error> {
    // On a curve an answer is made like a question.
    let (exchange, share) = start(group)?;
    Ok((share, exchange.complete(peer_share)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_agree_in_every_group() {
        for group in supported_groups() {
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
