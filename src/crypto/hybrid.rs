//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): ML-KEM-768 and X25519 side by side, secure as long
//! as one of the two is.
//!
//! ```text
//!  question   encapsulation key, 1184 bytes │ X25519, 32        client
//!  answer     ciphertext, 1088 bytes        │ X25519, 32        server
//!  secret     of ML-KEM, 32 bytes           │ of X25519, 32
//! ```
//!
//! ML-KEM comes first, unlike in the groups with curves of NIST.

use super::algorithm::SharedSecret;
use super::kem::{self, DecapsulationKey};
use super::provider::kx::{CURVES, PrivateKey};
use crate::error::{Error, PeerMisbehaved};
use crate::protocol::NamedGroup;
use zeroize::Zeroizing;

/// The curve of the group.
pub(super) const CURVE: NamedGroup = NamedGroup::X25519;

const ENCAPSULATION_KEY_LEN: usize = 1184;
const CIPHERTEXT_LEN: usize = 1088;
const CURVE_SHARE_LEN: usize = 32;

/// Whether both parts exist here.
pub(super) fn is_supported() -> bool {
    kem::AVAILABLE && CURVES.contains(&CURVE)
}

/// The half of an exchange that asked and has no answer yet.
pub(crate) struct Asked {
    kem: DecapsulationKey,
    curve: PrivateKey,
}

/// Asks: our half, and the share.
pub(super) fn start() -> Result<(Asked, Vec<u8>), Error> {
    let kem = DecapsulationKey::generate().ok_or(Error::RandomFailed)?;
    let curve = PrivateKey::generate(CURVE).ok_or(Error::RandomFailed)?;
    let mut share = kem.encapsulation_key().ok_or(Error::RandomFailed)?;
    share.extend(curve.share().ok_or(Error::RandomFailed)?);
    Ok((Asked { kem, curve }, share))
}

/// The share of the curve alone, out of the question.
pub(super) fn curve_share(question: &[u8]) -> Option<&[u8]> {
    question.get(ENCAPSULATION_KEY_LEN..)
}

impl Asked {
    /// The secret of both parts.
    pub(super) fn complete(self, answer: &[u8]) -> Result<SharedSecret, Error> {
        // §4.2: the length is checked, and any other failure is a fault of this end.
        let (ciphertext, share) = split(answer, CIPHERTEXT_LEN)?;
        let curve = agree(self.curve, share)?;
        let secret = self.kem.decapsulate(ciphertext);
        let secret = secret.ok_or(Error::KeyExchangeFailed)?;
        Ok(concatenate(&secret, &curve))
    }

    /// The secret of the curve alone, for a server that has chosen that.
    pub(super) fn complete_curve(self, answer: &[u8]) -> Result<SharedSecret, Error> {
        agree(self.curve, answer)
    }
}

/// Answers the question: our share and the secret.
pub(super) fn respond(question: &[u8]) -> Result<(Vec<u8>, SharedSecret), Error> {
    let (key, share) = split(question, ENCAPSULATION_KEY_LEN)?;
    let curve = PrivateKey::generate(CURVE).ok_or(Error::RandomFailed)?;
    let our_share = curve.share().ok_or(Error::RandomFailed)?;
    let curve = agree(curve, share)?;
    // §4.2: the check of FIPS 203 §7.2 is a must.
    let (mut answer, secret) = kem::encapsulate(key)?;
    answer.extend(our_share);
    Ok((answer, concatenate(&secret, &curve)))
}

/// The parts of a share: that of ML-KEM, which is so long, and that of the curve.
fn split(share: &[u8], length: usize) -> Result<(&[u8], &[u8]), PeerMisbehaved> {
    let parts = share.split_at_checked(length);
    let parts = parts.filter(|(_, curve)| curve.len() == CURVE_SHARE_LEN);
    parts.ok_or(PeerMisbehaved::InvalidKeyShare)
}

fn agree(private: PrivateKey, share: &[u8]) -> Result<SharedSecret, Error> {
    let secret = private.agree(share);
    secret.ok_or_else(|| PeerMisbehaved::InvalidKeyShare.into())
}

fn concatenate(kem: &[u8], curve: &[u8]) -> SharedSecret {
    Zeroizing::new([kem, curve].concat())
}

#[cfg(all(test, any(feature = "ml-kem", feature = "aws-lc-rs")))]
mod tests {
    use super::*;
    use crate::crypto::kx::{self, part_of};
    use ::ml_kem::{
        B32, Decapsulate as _, DecapsulationKey as Foreign, EncapsulationKey, KeyExport as _,
        MlKem768, Seed,
    };

    const GROUP: NamedGroup = NamedGroup::X25519MLKEM768;
    const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

    /// A question of the `ml-kem` crate, with the X25519 of the provider.
    fn foreign_question() -> (Foreign<MlKem768>, PrivateKey, Vec<u8>) {
        let kem = Foreign::from_seed(Seed::from_fn(|byte| byte as u8));
        let curve = PrivateKey::generate(CURVE).unwrap();
        let mut question = kem.encapsulation_key().to_bytes().to_vec();
        question.extend(curve.share().unwrap());
        (kem, curve, question)
    }

    /// 5.10.2: the lengths and the order of the parts, by hand and, with AWS-LC, by another
    /// implementation of ML-KEM: a question of ours.
    #[test]
    fn n510_02_a_question_is_a_key_of_ml_kem_and_a_share_of_x25519() {
        let (exchange, question) = kx::start(GROUP).unwrap();
        assert_eq!(question.len(), 1216);
        let (key, share) = question.split_at(1184);
        let key = EncapsulationKey::<MlKem768>::new(key.try_into().unwrap()).unwrap();
        let (ciphertext, hidden) = key.encapsulate_deterministic(&B32::from_fn(|byte| byte as u8));
        let theirs = PrivateKey::generate(CURVE).unwrap();
        let answer = [&ciphertext[..], &theirs.share().unwrap()].concat();
        assert_eq!(answer.len(), 1120);
        let agreed = theirs.agree(share).unwrap();
        let secret = exchange.complete(GROUP, &answer).unwrap();
        assert_eq!(secret[..], [&hidden[..], &agreed].concat());
        assert_eq!(secret.len(), 64);
    }

    /// 5.10.2, an answer of ours.
    #[test]
    fn n510_02_an_answer_is_a_ciphertext_and_a_share_of_x25519() {
        let (kem, curve, question) = foreign_question();
        let (answer, secret) = kx::respond(GROUP, &question).unwrap();
        assert_eq!((answer.len(), secret.len()), (1120, 64));
        let (ciphertext, share) = answer.split_at(1088);
        let hidden = kem.decapsulate_slice(ciphertext).unwrap();
        let agreed = curve.agree(share).unwrap();
        assert_eq!(secret[..], [&hidden[..], &agreed].concat());
    }

    /// 5.10.3, T7: the first coefficient, twelve bits, is the modulus. One less is a key.
    #[test]
    fn n510_03_a_key_with_a_coefficient_of_the_modulus_is_refused() {
        let (.., mut question) = foreign_question();
        for (coefficient, taken) in [(3328_u16, true), (3329, false), (4095, false)] {
            let [high, low] = coefficient.to_be_bytes();
            question[0] = low;
            question[1] = question[1] & 0xf0 | high;
            let answered = kx::respond(GROUP, &question);
            assert_eq!(answered.err(), (!taken).then_some(INVALID), "{coefficient}");
        }
        // The last one of 768; a seed of 32 bytes follows.
        let (.., mut question) = foreign_question();
        let last = &mut question[1150..1152];
        last[0] = last[0] & 0x0f | 0x10;
        last[1] = 0xd0;
        assert_eq!(kx::respond(GROUP, &question).err(), Some(INVALID));
    }

    /// 5.10.4, 5.10.6, T7: one byte more or less, in either part.
    #[test]
    fn n510_06_shares_of_another_length_are_refused() {
        let (.., question) = foreign_question();
        let (answer, _) = kx::respond(GROUP, &question).unwrap();
        let wrong = |share: &[u8], part: usize| {
            let mut longer = share.to_vec();
            longer.insert(part, 9);
            let mut shorter = share.to_vec();
            shorter.remove(part);
            [longer, shorter, [share, &[9][..]].concat(), Vec::new()]
        };
        for share in wrong(&question, 1184) {
            assert_eq!(kx::respond(GROUP, &share).err(), Some(INVALID));
        }
        for share in wrong(&answer, 1088) {
            let (exchange, _) = kx::start(GROUP).unwrap();
            assert_eq!(exchange.complete(GROUP, &share).err(), Some(INVALID));
        }
    }

    /// 5.10.5: the secret of X25519 would be zero, which the one of ML-KEM would hide.
    #[test]
    fn n510_05_a_share_of_x25519_that_is_zero_is_refused() {
        let (.., mut question) = foreign_question();
        let (mut answer, _) = kx::respond(GROUP, &question).unwrap();
        question[1184..].fill(0);
        assert_eq!(kx::respond(GROUP, &question).err(), Some(INVALID));
        answer[1088..].fill(0);
        let (exchange, _) = kx::start(GROUP).unwrap();
        assert_eq!(exchange.complete(GROUP, &answer).err(), Some(INVALID));
    }

    /// 5.10.4: a wrong ciphertext of the right length hides another secret (FIPS 203 §6.3), so that
    /// the handshake fails where keys are used.
    #[test]
    fn n510_04_a_wrong_ciphertext_gives_another_secret() {
        let (exchange, question) = kx::start(GROUP).unwrap();
        let (mut answer, secret) = kx::respond(GROUP, &question).unwrap();
        answer[5] ^= 1;
        let other = exchange.complete(GROUP, &answer).unwrap();
        assert_ne!(other[..32], secret[..32]);
        assert_eq!(other[32..], secret[32..]);
    }

    /// 5.10.7: nothing is used twice, but for the share of X25519 in one hello.
    #[test]
    fn n510_07_every_question_and_answer_is_new() {
        let [one, other] = [(); 2].map(|()| kx::start(GROUP).unwrap().1);
        assert_ne!(one[..1184], other[..1184]);
        assert_ne!(one[1184..], other[1184..]);
        let [first, second] = [(); 2].map(|()| kx::respond(GROUP, &one).unwrap().0);
        assert_ne!(first[..1088], second[..1088]);
        assert_ne!(first[1088..], second[1088..]);
        assert_eq!(part_of(GROUP, &one), Some((CURVE, &one[1184..])));
        assert_eq!(part_of(CURVE, &one[1184..]), None);
    }

    #[test]
    fn x25519_alone_may_be_the_answer() {
        let (exchange, question) = kx::start(GROUP).unwrap();
        let (answer, secret) = kx::respond(CURVE, &question[1184..]).unwrap();
        assert_eq!(exchange.complete(CURVE, &answer).unwrap(), secret);
    }
}
