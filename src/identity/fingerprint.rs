//! Certificates known by their fingerprint.

use super::{VerifyClient, VerifyServer, sha256};
use crate::error::CertificateError;
use pki_types::{CertificateDer, ServerName, UnixTime};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;

/// The SHA-256 digest of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(sha256(certificate))
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

/// Parses 64 hexadecimal digits, with or without colons between the bytes.
impl FromStr for Fingerprint {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|&c| c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(CertificateError::BadEncoding)?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        match bytes.try_into() {
            Ok(bytes) if digits.len() == 64 => Ok(Self(bytes)),
            _ => Err(CertificateError::BadEncoding),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Accepts exactly the certificates with one of these fingerprints, whatever their names, dates and issuers.
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

    fn check(&self, chain: &[CertificateDer<'_>]) -> Result<(), CertificateError> {
        let seen = Fingerprint::of(chain.first().ok_or(CertificateError::Missing)?);
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
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        self.check(chain)
    }
}

impl VerifyClient for PinnedFingerprint {
    fn verify(&self, chain: &[CertificateDer<'_>], _: UnixTime) -> Result<(), CertificateError> {
        self.check(chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_parses_with_and_without_colons() {
        let pin = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        let plain = pin.to_string();
        assert_eq!(plain.parse::<Fingerprint>().unwrap(), pin);
        let colons = plain
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap())
            .collect::<Vec<_>>()
            .join(":");
        assert_eq!(colons.parse::<Fingerprint>().unwrap(), pin);
        assert!(plain[1..].parse::<Fingerprint>().is_err());
        assert!(format!("{plain}0").parse::<Fingerprint>().is_err());
    }

    #[test]
    fn only_the_pinned_certificate_is_accepted() {
        let pinned = CertificateDer::from(vec![1]);
        let verifier = PinnedFingerprint::new([Fingerprint::of(&pinned)]);
        assert_eq!(verifier.check(&[pinned]), Ok(()));
        let other = CertificateDer::from(vec![2]);
        assert_eq!(
            verifier.check(&[other]),
            Err(CertificateError::FingerprintMismatch)
        );
        assert_eq!(verifier.check(&[]), Err(CertificateError::Missing));
    }
}
