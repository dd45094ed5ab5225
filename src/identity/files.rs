//! Certificates and keys in files, as tools and editors write them: PEM (RFC 7468) with any text
//! around it, or bare DER.

use crate::crypto::der::{SEQUENCE, whole};
use crate::error::{ConfigError, FileProblem, UnreadableCertificate};
use pki_types::pem::PemObject as _;
use pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use zeroize::Zeroizing;

/// What some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The labels under which a certificate stands. The second is OpenSSL's old one. In a block of the
/// third, the certificate is followed by the trust settings of OpenSSL's `x509 -addtrust`.
const CERTIFICATE_LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// The first octet of a certificate or key in DER. No PEM begins with it.
const DER_START: u8 = SEQUENCE;

/// One block of PEM, from its first line to its last one.
struct Block<'a> {
    label: &'a str,
    text: &'a str,
}

impl Block<'_> {
    /// The block with another label in its first and last line.
    fn relabelled(&self, label: &str) -> Zeroizing<String> {
        let own = format!("{}-----", self.label);
        Zeroizing::new(self.text.replace(&own, &format!("{label}-----")))
    }
}

/// The blocks of a text. One without a last line ends where the next one begins, or with the text.
fn blocks(text: &str) -> Vec<Block<'_>> {
    const BEGIN: &str = "-----BEGIN ";
    let mut found = Vec::new();
    for (start, _) in text.match_indices(BEGIN) {
        let block = &text[start..];
        let next = block[BEGIN.len()..].find(BEGIN);
        let block = &block[..next.map_or(block.len(), |next| next + BEGIN.len())];
        let line = block[BEGIN.len()..].lines().next().unwrap_or_default();
        let line = line.split("-----").next().unwrap_or_default();
        let end = line.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' '));
        let label = &line[..end.unwrap_or(line.len())];
        let last_line = format!("-----END {label}-----");
        let end = block.find(&last_line).map(|end| end + last_line.len());
        found.push(Block {
            label,
            text: &block[..end.unwrap_or(block.len())],
        });
    }
    found
}

fn unusable(path: &Path, problem: FileProblem) -> ConfigError {
    ConfigError::File {
        file: path.to_owned(),
        problem,
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let failed = |error: std::io::Error| {
        let reason = error.to_string();
        unusable(path, FileProblem::Unreadable { reason })
    };
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

/// What a file holds in place of what is looked for.
fn first_label(blocks: &[Block<'_>]) -> Option<String> {
    blocks.first().map(|block| block.label.to_owned())
}

fn as_text(bytes: &[u8]) -> Zeroizing<String> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    Zeroizing::new(String::from_utf8_lossy(bytes).into_owned())
}

/// Every certificate of a file, in order, and an error for each that cannot be read.
///
/// # Errors
///
/// [`ConfigError::File`] if the file cannot be read or has no certificate in it.
pub(super) fn certificates(
    path: &Path,
) -> Result<Vec<Result<CertificateDer<'static>, UnreadableCertificate>>, ConfigError> {
    let bytes = read(path)?;
    if bytes.first() == Some(&DER_START) {
        let certificate = CertificateDer::from(bytes.to_vec());
        return Ok(vec![Ok(certificate)]);
    }
    let text = as_text(&bytes);
    let blocks = blocks(&text);
    let certificates = blocks
        .iter()
        .filter(|block| CERTIFICATE_LABELS.contains(&block.label));
    let read: Vec<_> = certificates
        .enumerate()
        .map(|(index, block)| {
            let text = block.relabelled(CERTIFICATE_LABELS[0]);
            let unreadable = |reason: String| UnreadableCertificate {
                file: path.to_owned(),
                position: index + 1,
                reason,
            };
            let der = CertificateDer::from_pem_slice(text.as_bytes())
                .map_err(|error| unreadable(error.to_string()))?;
            // Only the first element is the certificate.
            match whole(SEQUENCE, &der) {
                Some((certificate, _)) => Ok(CertificateDer::from(certificate.to_vec())),
                None => Err(unreadable("it is not DER".to_owned())),
            }
        })
        .collect();
    if read.is_empty() {
        let found = first_label(&blocks);
        return Err(unusable(path, FileProblem::NoCertificate { found }));
    }
    Ok(read)
}

/// Every certificate of a file, all of which must be readable.
///
/// # Errors
///
/// As [`certificates`], and for the first one that cannot be read.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let read = certificates(path)?.into_iter();
    read.map(|one| one.map_err(ConfigError::UnreadableCertificate))
        .collect()
}

/// The first private key of a file.
///
/// # Errors
///
/// [`ConfigError::File`], which says what the file holds instead, and how to decrypt an encrypted
/// key.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let failed = |problem| unusable(path, problem);
    let bytes = read(path)?;
    if bytes.first() == Some(&DER_START) {
        let key = PrivateKeyDer::try_from(bytes.to_vec());
        return key.map_err(|_| failed(FileProblem::NotAKey));
    }
    let text = as_text(&bytes);
    let blocks = blocks(&text);
    let Some(block) = blocks
        .iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
    else {
        let found = first_label(&blocks);
        return Err(failed(FileProblem::NoPrivateKey { found }));
    };
    // RFC 7468 §11, and the header lines of RFC 1421 §4.6.1.1 that OpenSSL writes in its old form.
    if block.label.starts_with("ENCRYPTED") || block.text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(failed(FileProblem::EncryptedKey));
    }
    PrivateKeyDer::from_pem_slice(block.text.as_bytes()).map_err(|error| {
        failed(FileProblem::DamagedKey {
            label: block.label.to_owned(),
            reason: error.to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_whatever_stands_between_them() {
        let text = "Bag Attributes\r\n-----BEGIN A-----\r\nAAAA\r\n-----END A-----\r\nsubject=x\n\
                    -----BEGIN B C-----\nAA";
        let found: Vec<_> = blocks(text)
            .iter()
            .map(|it| (it.label, it.text.len()))
            .collect();
        assert_eq!(found, [("A", 40), ("B C", 22)]);
        assert!(blocks("-----BEGIN").is_empty());
        assert_eq!(blocks("-----BEGIN ").len(), 1);
    }
}
