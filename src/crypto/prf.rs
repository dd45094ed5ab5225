//! The pseudorandom function of version 1.2 (RFC 5246 §5).

use super::hash::HashAlgorithm;
use super::hmac::HmacKey;

/// Fills `out` with `PRF(secret, label, seed)`, where the seed is the concatenation of `seed`.
///
/// ```text
/// A(0) = label ‖ seed        A(i) = HMAC(secret, A(i−1))
/// out  = HMAC(secret, A(1) ‖ label ‖ seed) ‖ HMAC(secret, A(2) ‖ label ‖ seed) ‖ …
/// ```
pub(crate) fn prf(
    hash: HashAlgorithm,
    secret: &[u8],
    label: &[u8],
    seed: &[&[u8]],
    out: &mut [u8],
) {
    let key = HmacKey::new(hash, secret);
    let mut parts: Vec<&[u8]> = Vec::with_capacity(2 + seed.len());
    parts.push(label);
    parts.extend_from_slice(seed);
    let mut a = key.sign(&parts);
    parts.insert(0, &[]);
    let mut filled = 0;
    while filled < out.len() {
        let block = {
            let mut with_a = parts.clone();
            if let Some(first) = with_a.first_mut() {
                *first = a.as_ref();
            }
            key.sign(&with_a)
        };
        let take = block.as_ref().len().min(out.len() - filled);
        out[filled..filled + take].copy_from_slice(&block.as_ref()[..take]);
        filled += take;
        a = key.sign(&[a.as_ref()]);
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
        prf(
            HashAlgorithm::Sha256,
            &unhex("9bbe436ba940f017b17652849a71db35"),
            b"test label",
            &[&unhex("a0ba9f936cda311827a6f796ffd5198c")],
            &mut out,
        );
        let expected = unhex(concat!(
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a",
            "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab",
            "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701",
            "87347b66"
        ));
        assert_eq!(out.as_slice(), expected);
    }
}
