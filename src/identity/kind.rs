//! The kinds of certificates that ends agree on before they show them.

use super::Identity;
use crate::protocol::CertificateType;

/// In what form an end shows its public key (RFC 7250 §3). The two ends agree on one for each
/// direction, anew in each handshake that shows something.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum CertificateKind {
    /// A chain of X.509 certificates: what an end that does not know RFC 7250 shows.
    X509,
    /// A SubjectPublicKeyInfo alone. Whose it is the other end has to know.
    RawPublicKey,
}

impl CertificateKind {
    /// Its number on the wire.
    pub(crate) const fn number(self) -> CertificateType {
        match self {
            Self::X509 => CertificateType::X509,
            Self::RawPublicKey => CertificateType::RAW_PUBLIC_KEY,
        }
    }

    /// The kind with this number, if it is one that exists here.
    pub(crate) fn of_number(number: CertificateType) -> Option<Self> {
        let mut known = [Self::X509, Self::RawPublicKey].into_iter();
        known.find(|kind| kind.number() == number)
    }
}

impl Identity {
    /// The kind of certificate that shows it; `None` for one that none shows.
    pub fn certificate_kind(&self) -> Option<CertificateKind> {
        match self {
            Self::Certificate(_) => Some(CertificateKind::X509),
            Self::RawPublicKey(_) => Some(CertificateKind::RawPublicKey),
            Self::SharedKey(_) => None,
        }
    }
}
