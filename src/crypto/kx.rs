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
use super::hybrid;
use super::provider::kx::{CURVES, PrivateKey};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::NamedGroup;

/// The groups in the order in which a client prefers them by default.
const PREFERENCE: [NamedGroup; 4] = [
    NamedGroup::X25519MLKEM768,
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

/// The groups that work here: those that the provider has. The preferred ones come first.
pub(crate) fn supported_groups() -> impl Iterator<Item = NamedGroup> {
    let has = |group: &NamedGroup| match *group {
        NamedGroup::X25519MLKEM768 => hybrid::is_supported(),
        _ => CURVES.contains(group),
    };
    PREFERENCE.into_iter().filter(has)
}

/// Whether a group serves version 1.3 alone: it is no curve (draft-ietf-tls-ecdhe-mlkem §3, RFC
/// 8422 §5.1.1).
pub(crate) fn is_13_only(group: NamedGroup) -> bool {
    group == NamedGroup::X25519MLKEM768
}

/// The half of an exchange that asked and has no answer yet.
pub(crate) enum Exchange {
    /// Diffie-Hellman on an elliptic curve.
    Curve(PrivateKey),
    /// X25519MLKEM768; X25519 alone can be the answer to it too.
    Hybrid(Box<hybrid::Asked>),
}

/// Asks: draws a key pair and returns our half with the public share.
///
/// # Errors
///
/// [`Error::RandomFailed`] if the system gives no randomness or the group is not supported.
pub(crate) fn start(group: NamedGroup) -> Result<(Exchange, Vec<u8>), Error> {
    if group == NamedGroup::X25519MLKEM768 {
        let (asked, share) = hybrid::start()?;
        return Ok((Exchange::Hybrid(Box::new(asked)), share));
    }
    let private = PrivateKey::generate(group).ok_or(Error::RandomFailed)?;
    let share = private.share().ok_or(Error::RandomFailed)?;
    Ok((Exchange::Curve(private), share))
}

/// The group that a question in `group` asks in as well, and its share: X25519 inside of
/// X25519MLKEM768. To send the same share twice is allowed, because a server takes one of the two
/// (RFC 9954 §3.2).
pub(crate) fn part_of(group: NamedGroup, share: &[u8]) -> Option<(NamedGroup, &[u8])> {
    let curve = || hybrid::curve_share(share).map(|share| (hybrid::CURVE, share));
    (group == NamedGroup::X25519MLKEM768).then(curve).flatten()
}

impl Exchange {
    /// The secret shared with whoever gave the answer `peer_share` in the group that was asked in.
    ///
    /// # Errors
    ///
    /// As [`Exchange::complete`].
    pub(crate) fn complete_asked(self, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        match self {
            Self::Curve(private) => {
                let secret = private.agree(peer_share);
                secret.ok_or_else(|| PeerMisbehaved::InvalidKeyShare.into())
            }
            Self::Hybrid(asked) => asked.complete(peer_share),
        }
    }

    /// The secret shared with whoever gave the answer `peer_share` in `group`, the one that was
    /// asked in or a part of it.
    ///
    /// # Errors
    ///
    /// `InvalidKeyShare` if it is no public key of the group, or one whose result would be
    /// predictable (RFC 8422 §5.11). [`Error::KeyExchangeFailed`] if this end has failed.
    pub(crate) fn complete(
        self,
        group: NamedGroup,
        peer_share: &[u8],
    ) -> Result<SharedSecret, Error> {
        match self {
            Self::Hybrid(asked) if group == hybrid::CURVE => asked.complete_curve(peer_share),
            asked => asked.complete_asked(peer_share),
        }
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
    if group == NamedGroup::X25519MLKEM768 {
        return hybrid::respond(peer_share);
    }
    // On a curve an answer is made like a question.
    let (exchange, share) = start(group)?;
    Ok((share, exchange.complete(group, peer_share)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_agree_in_every_group() {
        for group in supported_groups() {
            let (exchange, question) = start(group).unwrap();
            let (answer, theirs) = respond(group, &question).unwrap();
            assert_eq!(exchange.complete(group, &answer).unwrap(), theirs);
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
