//! The forms of private keys, PKCS#8 (RFC 5958), SEC1 (RFC 5915) and PKCS#1 (RFC 8017): as much as
//! it takes to turn one into another, and to see why a key is not used.

use super::der;
use pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

/// The algorithm of a PKCS#8 key, the contents of its identifier, and the key in the form of that
/// algorithm (RFC 5958 §2).
pub(super) fn pkcs8_contents(pkcs8: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, _) = der::inside(der::SEQUENCE, pkcs8)?;
    let (_version, rest) = der::inside(der::INTEGER, fields)?;
    let (algorithm, rest) = der::inside(der::SEQUENCE, rest)?;
    let (key, _) = der::inside(der::OCTET_STRING, rest)?;
    Some((algorithm, key))
}

/// The private half of a SEC1 key, and the optional fields that follow it (RFC 5915 §3).
pub(super) fn sec1_contents(sec1: &[u8]) -> Option<(&[u8], &[u8])> {
    let (fields, _) = der::inside(der::SEQUENCE, sec1)?;
    let (_version, rest) = der::inside(der::INTEGER, fields)?;
    der::inside(der::OCTET_STRING, rest)
}

/// The tags of those fields: the curve, and the public half.
pub(super) const PARAMETERS: u8 = 0xa0;
pub(super) const PUBLIC_HALF: u8 = 0xa1;

/// The modulus and the public exponent of a PKCS#1 key (RFC 8017 §A.1.2).
pub(super) fn pkcs1_contents(pkcs1: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, _) = der::inside(der::SEQUENCE, pkcs1)?;
    let (_version, rest) = der::inside(der::INTEGER, numbers)?;
    let (modulus, rest) = der::inside(der::INTEGER, rest)?;
    let (exponent, _) = der::inside(der::INTEGER, rest)?;
    Some((modulus, exponent))
}

/// The private half of an EC key.
pub(super) fn scalar<'a>(key: &'a PrivateKeyDer<'_>) -> Option<&'a [u8]> {
    let sec1 = match key {
        PrivateKeyDer::Pkcs8(der) => pkcs8_contents(der.secret_pkcs8_der())?.1,
        PrivateKeyDer::Sec1(der) => der.secret_sec1_der(),
        _ => return None,
    };
    sec1_contents(sec1).map(|(scalar, _)| scalar)
}

/// A SEC1 key in the form of PKCS#8, once for each curve that it may be on.
pub(super) fn pkcs8_of_sec1(sec1: &[u8]) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    PKCS8_PREFIXES
        .iter()
        .filter_map(|prefix| wrap_sec1(prefix, sec1))
}

/// `version 0, AlgorithmIdentifier { id-ecPublicKey, curve }` for P-256 and P-384
/// (RFC 5480 §2.1.1).
const PKCS8_PREFIXES: [&[u8]; 2] = [
    &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ],
    &[
        0x02, 0x01, 0x00, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
    ],
];

/// `SEQUENCE { prefix, OCTET STRING { sec1 } }`; `None` if the key is too long to be one.
fn wrap_sec1(prefix: &[u8], sec1: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let octets = element(der::OCTET_STRING, sec1)?;
    let mut inner = Zeroizing::new(prefix.to_vec());
    inner.reserve(octets.len());
    inner.extend_from_slice(&octets);
    element(der::SEQUENCE, &inner)
}

/// Writes one element (X.690 §8.1).
pub(super) fn element(tag: u8, contents: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(contents.len()).ok()?;
    // Reserved at once, so that no copy is left behind by growth.
    let mut out = Zeroizing::new(Vec::with_capacity(contents.len() + 4));
    out.push(tag);
    match length {
        0..0x80 => out.push(length.to_be_bytes()[1]),
        0x80..0x100 => out.extend_from_slice(&[0x81, length.to_be_bytes()[1]]),
        _ => {
            out.push(0x82);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(contents);
    Some(out)
}
