//! Certificates and keys for one test run, as PEM files in a directory that vanishes with it.
//!
//! Two authorities, both ECDSA: one signs servers, the other clients, so that a peer which trusts
//! the wrong file is found out. Every leaf names `localhost` and `127.0.0.1`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SanType,
};
use tempfile::TempDir;

use crate::algorithm::KeyType;
use crate::failure::{Failure, Outcome};

/// The files of one test run. Dropping it removes them.
#[derive(Debug)]
pub struct Pki {
    directory: TempDir,
}

/// A certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// PEM, the leaf alone.
    pub certificate: PathBuf,
    /// PEM, PKCS#8.
    pub key: PathBuf,
}

/// Which of the two authorities signs a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

impl Pki {
    /// Makes both authorities, a server leaf and a client leaf of each key type.
    ///
    /// # Errors
    ///
    /// When `openssl` cannot be run, or the files cannot be written.
    pub fn generate() -> Outcome<Self> {
        let pki = Self {
            directory: tempfile::Builder::new()
                .prefix("sealgram-interop-")
                .tempdir()?,
        };
        for side in [Side::Server, Side::Client] {
            let authority = authority(side)?;
            fs::write(pki.authority_file(side), authority.pem())?;
            for key_type in KeyType::ALL {
                let key = generate_key(key_type)?;
                let certificate = leaf_parameters(side)
                    .signed_by(&key, &authority)
                    .map_err(rcgen_failure)?;
                let credential = pki.credential(side, key_type);
                fs::write(credential.certificate, certificate.pem())?;
                fs::write(credential.key, key.serialize_pem())?;
            }
        }
        Ok(pki)
    }

    /// The name in every leaf.
    pub const NAME: &'static str = "localhost";

    /// The authority that clients trust.
    #[must_use]
    pub fn server_authority(&self) -> PathBuf {
        self.authority_file(Side::Server)
    }

    /// The authority that servers trust when they ask for client certificates.
    #[must_use]
    pub fn client_authority(&self) -> PathBuf {
        self.authority_file(Side::Client)
    }

    /// The server's certificate and key of this type.
    #[must_use]
    pub fn server(&self, key_type: KeyType) -> Credential {
        self.credential(Side::Server, key_type)
    }

    /// The client's certificate and key of this type.
    #[must_use]
    pub fn client(&self, key_type: KeyType) -> Credential {
        self.credential(Side::Client, key_type)
    }

    /// The directory of all files, where a child may also write its own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn authority_file(&self, side: Side) -> PathBuf {
        self.directory().join(format!("{}-ca.pem", side.name()))
    }

    fn credential(&self, side: Side, key_type: KeyType) -> Credential {
        let stem = format!("{}-{}", side.name(), key_type.name());
        Credential {
            certificate: self.directory().join(format!("{stem}.pem")),
            key: self.directory().join(format!("{stem}.key")),
        }
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

fn authority(side: Side) -> Outcome<CertifiedIssuer<'static, KeyPair>> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.distinguished_name.push(
        DnType::CommonName,
        format!("sealgram interop {} authority", side.name()),
    );
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(rcgen_failure)?;
    CertifiedIssuer::self_signed(parameters, key).map_err(rcgen_failure)
}

fn leaf_parameters(side: Side) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.subject_alt_names = vec![
        SanType::DnsName(Pki::NAME.try_into().expect("localhost is an ASCII name")),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ];
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![match side {
        Side::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Side::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    parameters
        .distinguished_name
        .push(DnType::CommonName, format!("interop {}", side.name()));
    parameters
}

/// Makes a private key. `ring` cannot generate RSA keys, and its Ed25519 keys are PKCS#8 version 2,
/// which OpenSSL 3.0 does not read: the `openssl` program makes those two.
fn generate_key(key_type: KeyType) -> Outcome<KeyPair> {
    match key_type {
        KeyType::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(rcgen_failure),
        KeyType::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(rcgen_failure),
        KeyType::Ed25519 => openssl_key(&["-algorithm", "ED25519"]),
        KeyType::Rsa2048 => openssl_key(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    }
}

fn openssl_key(arguments: &[&str]) -> Outcome<KeyPair> {
    let output = Command::new("openssl")
        .arg("genpkey")
        .args(arguments)
        .output()
        .map_err(|error| Failure::from(error).during("openssl genpkey cannot be run"))?;
    if !output.status.success() {
        return Err(Failure::new("openssl genpkey made no key")
            .with_evidence(String::from_utf8_lossy(&output.stderr)));
    }
    KeyPair::from_pem(&String::from_utf8_lossy(&output.stdout)).map_err(rcgen_failure)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
fn rcgen_failure(error: rcgen::Error) -> Failure {
    Failure::new(error.to_string()).during("rcgen")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_is_verified_by_openssl_under_its_own_authority_only() {
        let pki = Pki::generate().expect("keys and certificates");
        for key_type in KeyType::ALL {
            assert!(verifies(&pki.server_authority(), &pki.server(key_type)));
            assert!(verifies(&pki.client_authority(), &pki.client(key_type)));
            assert!(!verifies(&pki.server_authority(), &pki.client(key_type)));
        }
    }

    fn verifies(authority: &Path, credential: &Credential) -> bool {
        Command::new("openssl")
            .args(["verify", "-verify_hostname", Pki::NAME, "-CAfile"])
            .args([authority, &credential.certificate])
            .output()
            .expect("openssl runs")
            .status
            .success()
    }
}
