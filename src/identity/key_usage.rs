//! What a certificate allows its key to do: the extension keyUsage (RFC 5280 §4.2.1.3), which
//! `rustls-webpki` does not check.

use crate::crypto::der::{BIT_STRING, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, find, inside};
use pki_types::CertificateDer;

/// The tag of the extensions in a TBSCertificate.
const EXTENSIONS: u8 = 0xa3;

/// id-ce-keyUsage, 2.5.29.15.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

/// The first bit of the first octet.
const DIGITAL_SIGNATURE: u8 = 0x80;

/// Whether the key may sign a handshake: digitalSignature is set, or the certificate does not say
/// (RFC 8446 §4.4.2.2, RFC 5246 §7.4.2). The certificate is parsed elsewhere, so what cannot be
/// read here counts as absent.
pub(super) fn allows_signatures(certificate: &CertificateDer<'_>) -> bool {
    key_usage(certificate).is_none_or(|usage| usage & DIGITAL_SIGNATURE != 0)
}

/// The first octet of keyUsage.
fn key_usage(certificate: &[u8]) -> Option<u8> {
    let (certificate, _) = inside(SEQUENCE, certificate)?;
    let (tbs, _) = inside(SEQUENCE, certificate)?;
    let (extensions, _) = inside(SEQUENCE, find(EXTENSIONS, tbs)?)?;
    let mut rest = extensions;
    while !rest.is_empty() {
        let (extension, behind) = inside(SEQUENCE, rest)?;
        rest = behind;
        if inside(OBJECT_IDENTIFIER, extension)?.0 == KEY_USAGE {
            // The identifier may be followed by the flag of a critical extension.
            let (bits, _) = inside(BIT_STRING, find(OCTET_STRING, extension)?)?;
            // The number of unused bits, then the bits; none at all if none is set.
            return Some(bits.get(1).copied().unwrap_or_default());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose};

    fn certificate(usages: &[KeyUsagePurpose]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["server.test".to_owned()]).unwrap();
        params.key_usages = usages.to_vec();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    /// RFC 8446 §4.4.2.2: "digitalSignature" if the extension is there.
    #[test]
    fn a_key_may_sign_unless_its_certificate_says_otherwise() {
        assert!(allows_signatures(&certificate(&[])));
        assert!(allows_signatures(&certificate(&[
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment
        ])));
        for other in [
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::DecipherOnly,
        ] {
            assert!(!allows_signatures(&certificate(&[other])));
        }
    }

    #[test]
    fn cut_certificates_say_nothing_and_do_no_harm() {
        let whole = certificate(&[KeyUsagePurpose::KeyEncipherment]);
        for cut in 0..whole.len() {
            assert!(allows_signatures(&CertificateDer::from(&whole[..cut])));
        }
    }
}
