//! Fingerprints, and certificates that are known by theirs.

use super::{Identity, VerifyClient, VerifyServer};
use crate::crypto::hash::HashAlgorithm;
use crate::error::{CertificateError, FingerprintParseError};
use pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;

/// The SHA-256 digest of a certificate in DER, or of a raw public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::digest(certificate)
    }

    /// The fingerprint of a raw public key (RFC 7250): the digest of its SubjectPublicKeyInfo in
    /// DER, which `openssl pkey -pubout -outform DER | sha256sum` prints of a private key.
    pub fn of_key(key: &SubjectPublicKeyInfoDer<'_>) -> Self {
        Self::digest(key)
    }

    fn digest(shown: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(HashAlgorithm::Sha256.digest(shown).as_ref());
        Self(out)
    }

    /// The digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Parses 64 hexadecimal digits, with or without colons between the bytes, as
/// `openssl x509 -fingerprint -sha256` prints them or an SDP offer has them after `a=fingerprint:`
/// (RFC 8122 §5). The name of the hash function may come before the digits.
impl FromStr for Fingerprint {
    type Err = FingerprintParseError;

    fn from_str(text: &str) -> Result<Self, FingerprintParseError> {
        let text = text.trim();
        let text = text.strip_prefix("a=fingerprint:").unwrap_or(text);
        let (before, digits) = text.rsplit_once([' ', '=']).unwrap_or(("", text));
        let named = before.trim().to_ascii_lowercase();
        if !["", "sha-256", "sha256", "sha256 fingerprint"].contains(&named.as_str()) {
            return Err(FingerprintParseError);
        }
        let pairs: Vec<&[u8]> = if digits.contains(':') {
            digits.split(':').map(str::as_bytes).collect()
        } else {
            digits.as_bytes().chunks(2).collect()
        };
        let digit = |octet: u8| {
            char::from(octet)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = pairs.into_iter().map(byte).collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(FingerprintParseError)
    }
}

/// Plain: 64 digits. Alternate (`{:#}`): as in SDP, `AB:CD:…` (RFC 8122 §5).
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        }
        self.0.iter().enumerate().try_for_each(|(index, byte)| {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Accepts exactly the certificates with one of these fingerprints, whatever their names, dates and
/// issuers.
#[derive(Clone, Debug)]
pub struct PinnedFingerprint {
    pins: Vec<Fingerprint>,
}

impl PinnedFingerprint {
    /// Accepts the certificates with these fingerprints; with none, nobody is accepted.
    pub fn new(pins: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self {
            pins: pins.into_iter().collect(),
        }
    }

    fn check(&self, claimed: &Identity) -> Result<(), CertificateError> {
        let leaf = claimed.certificates().first();
        let seen = Fingerprint::of(leaf.ok_or(CertificateError::Missing)?);
        let pinned = self.pins.iter().any(|pin| bool::from(pin.0.ct_eq(&seen.0)));
        if pinned {
            Ok(())
        } else {
            Err(CertificateError::FingerprintMismatch)
        }
    }
}

impl VerifyServer for PinnedFingerprint {
    fn verify(
        &self,
        claimed: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        self.check(claimed)
    }
}

impl VerifyClient for PinnedFingerprint {
    fn verify(&self, claimed: &Identity, _: UnixTime) -> Result<(), CertificateError> {
        self.check(claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_parses_with_and_without_colons() {
        let pin = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        let (plain, colons) = (pin.to_string(), format!("{pin:#}"));
        assert_eq!(colons.len(), 95);
        for text in [
            plain.clone(),
            plain.to_uppercase(),
            colons.clone(),
            colons.to_lowercase(),
            format!("sha-256 {colons}"),
            format!("SHA-256 {colons}"),
            format!("a=fingerprint:sha-256 {colons}\r\n"),
            format!("sha256 Fingerprint={colons}\n"),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Ok(pin), "{text}");
        }
        for text in [
            &plain[1..],
            &format!("{plain}0"),
            &format!("{plain}00"),
            &format!("sha-1 {colons}"),
            &colons.replacen(':', "", 1),
            "",
            ":",
        ] {
            assert_eq!(
                text.parse::<Fingerprint>(),
                Err(FingerprintParseError),
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_pinned_certificate_is_accepted() {
        let claim = |chain: Vec<CertificateDer<'static>>| Identity::Certificate(chain.into());
        let pinned = CertificateDer::from(vec![1]);
        let verifier = PinnedFingerprint::new([Fingerprint::of(&pinned)]);
        assert_eq!(verifier.check(&claim(vec![pinned])), Ok(()));
        let other = CertificateDer::from(vec![2]);
        assert_eq!(
            verifier.check(&claim(vec![other])),
            Err(CertificateError::FingerprintMismatch)
        );
        let nobody = verifier.check(&claim(Vec::new()));
        assert_eq!(nobody, Err(CertificateError::Missing));
    }
}
