//! Chains that end at a trusted root, checked by `rustls-webpki`.

use super::chain::{translate, verify_chain};
use super::{Identity, VerifyClient, VerifyServer, files};
use crate::error::{CertificateError, ConfigError, UnreadableCertificate};
use pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use webpki::KeyUsage;

/// The certificates that are trusted.
#[derive(Clone, Default)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
    unreadable: Vec<UnreadableCertificate>,
}

impl Roots {
    /// No roots: nothing is trusted.
    pub const fn new() -> Self {
        Self {
            anchors: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// Adds one certificate: that of an authority, or the self-signed one of a server.
    ///
    /// # Errors
    ///
    /// [`ConfigError::BadCertificate`] if it does not parse.
    pub fn add(&mut self, certificate: &CertificateDer<'_>) -> Result<(), ConfigError> {
        let anchor = webpki::anchor_from_trusted_cert(certificate)
            .map_err(|_| ConfigError::BadCertificate)?;
        self.anchors.push(anchor.to_owned());
        Ok(())
    }

    /// Reads every certificate of a file, which holds PEM, or the DER of one. If one of several
    /// cannot be used, the others are, because system bundles hold such certificates;
    /// [`Roots::unreadable`] lists it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or holds no certificate that can be used.
    pub fn from_pem_file(path: &Path) -> Result<Self, ConfigError> {
        let mut roots = Self::new();
        for (index, read) in files::certificates(path)?.into_iter().enumerate() {
            let added = read.and_then(|certificate| {
                roots
                    .add(&certificate)
                    .map_err(|error| UnreadableCertificate {
                        file: path.to_owned(),
                        position: index + 1,
                        reason: error.to_string(),
                    })
            });
            if let Err(unreadable) = added {
                tracing::warn!(%unreadable, "a root is left out");
                roots.unreadable.push(unreadable);
            }
        }
        match roots.unreadable.first() {
            Some(first) if roots.anchors.is_empty() => {
                Err(ConfigError::UnreadableCertificate(first.clone()))
            }
            _ => Ok(roots),
        }
    }

    /// The certificates of files that could not be used.
    pub fn unreadable(&self) -> &[UnreadableCertificate] {
        &self.unreadable
    }

    /// How many certificates there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    fn into_anchors(self) -> Result<Arc<[TrustAnchor<'static>]>, ConfigError> {
        if self.anchors.is_empty() {
            return Err(ConfigError::NoRoots);
        }
        Ok(self.anchors.into())
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.anchors.len())
    }
}

/// Accepts servers whose chain ends at a root and whose certificate holds the name that was asked
/// for.
pub struct WebPkiServerVerifier {
    anchors: Arc<[TrustAnchor<'static>]>,
}

impl WebPkiServerVerifier {
    /// A verifier that trusts `roots`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoRoots`] if there are none.
    pub fn new(roots: Roots) -> Result<Self, ConfigError> {
        Ok(Self {
            anchors: roots.into_anchors()?,
        })
    }
}

impl VerifyServer for WebPkiServerVerifier {
    fn verify(
        &self,
        claimed: &Identity,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let chain = claimed.certificates();
        let leaf = verify_chain(&self.anchors, chain, now, KeyUsage::server_auth())?;
        leaf.verify_is_valid_for_subject_name(name)
            .map_err(|error| match translate(error) {
                CertificateError::NotValidForName { .. } => CertificateError::NotValidForName {
                    expected: name.to_str().into_owned(),
                },
                other => other,
            })
    }
}

impl fmt::Debug for WebPkiServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebPkiServerVerifier({} roots)", self.anchors.len())
    }
}

/// Accepts clients whose chain ends at a root.
pub struct WebPkiClientVerifier {
    anchors: Arc<[TrustAnchor<'static>]>,
}

impl WebPkiClientVerifier {
    /// A verifier that trusts `roots`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoRoots`] if there are none.
    pub fn new(roots: Roots) -> Result<Self, ConfigError> {
        Ok(Self {
            anchors: roots.into_anchors()?,
        })
    }
}

impl VerifyClient for WebPkiClientVerifier {
    fn verify(&self, claimed: &Identity, now: UnixTime) -> Result<(), CertificateError> {
        let chain = claimed.certificates();
        verify_chain(&self.anchors, chain, now, KeyUsage::client_auth()).map(|_| ())
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        // An anchor's subject lacks the outer SEQUENCE header of a DistinguishedName
        // (RFC 5280 §4.1.2.4).
        self.anchors
            .iter()
            .map(|anchor| der_sequence(&anchor.subject))
            .collect()
    }
}

impl fmt::Debug for WebPkiClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebPkiClientVerifier({} roots)", self.anchors.len())
    }
}

fn der_sequence(contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
    let mut out = vec![0x30];
    match contents.len() {
        short @ 0..=0x7f => out.extend(u8::try_from(short)),
        _ => {
            out.extend(u8::try_from(significant.len()).map(|count| 0x80 | count));
            out.extend_from_slice(significant);
        }
    }
    out.extend_from_slice(contents);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguished_names_get_their_der_header_back() {
        assert_eq!(der_sequence(&[1, 2]), [0x30, 2, 1, 2]);
        assert_eq!(der_sequence(&[7; 200])[..3], [0x30, 0x81, 200]);
        assert_eq!(der_sequence(&[7; 300])[..4], [0x30, 0x82, 1, 44]);
    }

    #[test]
    fn no_roots_is_an_error_when_the_configuration_is_built() {
        assert_eq!(
            WebPkiServerVerifier::new(Roots::new()).unwrap_err(),
            ConfigError::NoRoots
        );
    }
}
