//! The pseudorandom function of version 1.2 (RFC 5246 §5).

use super::hash::HashAlgorithm;
use super::hmac::HmacKey;
use std::iter::once;

/// `PRF(secret, …)`, with the secret expanded: that costs as much as a short output does.
pub(crate) struct Prf(HmacKey);

impl Prf {
    /// The function with this secret.
    pub(crate) fn new(hash: HashAlgorithm, secret: &[u8]) -> Self {
        Self(HmacKey::new(hash, secret))
    }

    /// Fills `out` with `PRF(secret, label, seed)`, where the seed is the concatenation of `seed`.
    ///
    /// ```text
    /// A(0) = label ‖ seed        A(i) = HMAC(secret, A(i−1))
    /// out  = HMAC(secret, A(1) ‖ label ‖ seed) ‖ HMAC(secret, A(2) ‖ label ‖ seed) ‖ …
    /// ```
    pub(crate) fn fill(&self, label: &[u8], seed: &[&[u8]], mut out: &mut [u8]) {
        let labelled = || once(label).chain(seed.iter().copied());
        let mut a = self.0.sign(labelled());
        loop {
            let block = self.0.sign(once(a.as_ref()).chain(labelled()));
            let block = block.as_ref();
            let taken = block.len().min(out.len());
            let (filled, rest) = out.split_at_mut(taken);
            filled.copy_from_slice(&block[..taken]);
            if rest.is_empty() {
                return;
            }
            out = rest;
            a = self.0.sign([a.as_ref()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// The vectors that the TLS working group's list circulated for RFC 5246's PRF.
    #[test]
    fn the_published_vector_for_sha256_comes_out() {
        let mut out = [0; 100];
        let secret = unhex("9bbe436ba940f017b17652849a71db35");
        let seed = unhex("a0ba9f936cda311827a6f796ffd5198c");
        Prf::new(HashAlgorithm::Sha256, &secret).fill(b"test label", &[&seed], &mut out);
        let expected = unhex(concat!(
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a",
            "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab",
            "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701",
            "87347b66"
        ));
        assert_eq!(out.as_slice(), expected);
    }
}
