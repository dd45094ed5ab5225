//! A keyed permutation of blocks of four or eight bytes: who lacks the key sees no relation between
//! two of them.
//!
//! It is the four-pass construction of draft-ietf-quic-load-balancers §5.4 with equal halves: a
//! Feistel network whose rounds are AES over one half, its length and the number of the round. It
//! hides, and proves nothing: what comes out of a block that was made up is as good as random.
//!
//! ```text
//!  right ⊕= AES(left ‖ length ‖ 1)      left ⊕= AES(right ‖ length ‖ 2)
//!  right ⊕= AES(left ‖ length ‖ 3)      left ⊕= AES(right ‖ length ‖ 4)
//! ```

use super::aead::AeadAlgorithm;
use super::mask::{MaskKey, SAMPLE_LEN};

/// The key of a permutation.
pub(crate) struct Permutation(MaskKey);

impl Permutation {
    /// The length of a key, in bytes.
    pub(crate) const KEY_LEN: usize = 32;

    /// The permutation with this key.
    pub(crate) fn new(key: &[u8; Self::KEY_LEN]) -> Self {
        Self(MaskKey::new(AeadAlgorithm::Aes256Gcm, key))
    }

    /// Hides a block in place.
    pub(crate) fn hide<const HALF: usize>(&self, block: &mut [[u8; HALF]; 2]) {
        let [left, right] = block;
        self.round(1, left, right);
        self.round(2, right, left);
        self.round(3, left, right);
        self.round(4, right, left);
    }

    /// Reveals a block in place that [`Permutation::hide`] has hidden.
    #[inline]
    pub(crate) fn reveal<const HALF: usize>(&self, block: &mut [[u8; HALF]; 2]) {
        let [left, right] = block;
        self.round(4, right, left);
        self.round(3, left, right);
        self.round(2, right, left);
        self.round(1, left, right);
    }

    /// Bytes that follow from `seed` and their `place`, and look random.
    pub(crate) fn filler(&self, seed: &[u8; 8], place: u8) -> [u8; 4] {
        let mut out = [0; 4];
        let [a, b] = halves(*seed);
        let mut input = [0; SAMPLE_LEN];
        input[..4].copy_from_slice(&a);
        input[4..8].copy_from_slice(&b);
        input[SAMPLE_LEN - 1] = FILLER + place;
        out.copy_from_slice(&self.0.block(&input)[..4]);
        out
    }

    #[inline]
    fn round<const HALF: usize>(&self, pass: u8, from: &[u8; HALF], to: &mut [u8; HALF]) {
        let mut input = [0; SAMPLE_LEN];
        input[..HALF].copy_from_slice(from);
        input[SAMPLE_LEN - 2] = 2 * HALF as u8;
        input[SAMPLE_LEN - 1] = pass;
        for (byte, mask) in to.iter_mut().zip(self.0.block(&input)) {
            *byte ^= mask;
        }
    }
}

/// The number of the first input that is no pass.
const FILLER: u8 = 16;

/// Both halves of a block of eight bytes.
pub(crate) const fn halves(block: [u8; 8]) -> [[u8; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = block;
    [[a, b, c, d], [e, f, g, h]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_was_hidden_is_revealed_and_nothing_is_hidden_as_the_same() {
        let permutation = Permutation::new(&[7; Permutation::KEY_LEN]);
        let mut hidden = BTreeSet::new();
        for number in 0..4096_u64 {
            let block = halves(number.to_be_bytes());
            let mut changed = block;
            permutation.hide(&mut changed);
            assert!(hidden.insert(changed));
            permutation.reveal(&mut changed);
            assert_eq!(changed, block);
            let short = [[number as u8, 0], [(number >> 8) as u8, 3]];
            let mut changed = short;
            permutation.hide(&mut changed);
            permutation.reveal(&mut changed);
            assert_eq!(changed, short);
        }
    }

    /// A bit more or less changes about half of the bits: nothing shows that two blocks differ in a
    /// counter alone.
    #[test]
    fn neighbours_have_nothing_in_common() {
        let permutation = Permutation::new(&[9; Permutation::KEY_LEN]);
        let hide = |number: u64| {
            let mut block = halves(number.to_be_bytes());
            permutation.hide(&mut block);
            u64::from_be_bytes(block.as_flattened().try_into().unwrap())
        };
        let differing: u32 = (0..1000)
            .map(|n| (hide(n) ^ hide(n + 1)).count_ones())
            .sum();
        assert!((31_000..33_000).contains(&differing), "{differing}");
    }
}
