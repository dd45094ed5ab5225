//! Certificates and keys for one test run, as files in a directory that is removed afterwards.
//!
//! Two authorities, both ECDSA: one signs servers, the other clients, so that a peer which trusts
//! the wrong file is noticed. Every leaf names `localhost` and `127.0.0.1`. Both ends may share a
//! key instead.
//!
//! Cases run at the same time. What they read is complete before the first of them begins, and what
//! one of them lets its programs write has a path of its own ([`Pki::path_of`]).

use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, SanType, date_time_ymd,
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
    /// PEM: the leaf, and the certificates between it and its authority.
    pub certificate: PathBuf,
    /// PEM: only the certificates in between, for programs that require them in a separate file.
    pub issuers: Option<PathBuf>,
    /// PEM, PKCS#8.
    pub key: PathBuf,
}

/// The name of the key that both ends share.
pub const IDENTITY: &str = "device-7";

/// That key, in hexadecimal digits.
pub const KEY: &str = "5a0102030405060708090a0b0c0d0e0f";

/// The certificates between a leaf and its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Chain {
    /// Nothing.
    #[default]
    Leaf,
    /// Three intermediate certificates, more than 3 kB with the leaf: several datagrams, and the
    /// end of one message shares a record with the start of the next.
    Long,
    /// Four, more than 16 kB: more than one record over a stream, and more than a burst of
    /// datagrams.
    Huge,
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
            for chain in [Chain::Long, Chain::Huge] {
                pki.generate_chain(side, chain, &authority)?;
            }
        }
        fs::write(pki.shared_key(), format!("{IDENTITY}:{KEY}\n"))?;
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

    /// The server's certificate and key of this type, with this chain; a chain that is more than a
    /// leaf has a P-256 key.
    #[must_use]
    pub fn server_with(&self, key_type: KeyType, chain: Chain) -> Credential {
        self.chained(Side::Server, key_type, chain)
    }

    /// The same of the client.
    #[must_use]
    pub fn client_with(&self, key_type: KeyType, chain: Chain) -> Credential {
        self.chained(Side::Client, key_type, chain)
    }

    /// The key that both ends share, as GnuTLS's server and our program read it.
    #[must_use]
    pub fn shared_key(&self) -> PathBuf {
        self.directory().join("psk")
    }

    /// Where the programs of this case, and of no other, may write `what`. Nothing is there before.
    /// The same names give the same path.
    #[must_use]
    pub fn path_of(&self, case: impl Display, what: &str) -> PathBuf {
        let name = format!("{case}.{what}").replace('/', "-");
        self.directory().join(name)
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Makes a leaf below as many authorities as the chain says, each signed by the one before.
    fn generate_chain(
        &self,
        side: Side,
        chain: Chain,
        root: &CertifiedIssuer<'static, KeyPair>,
    ) -> Outcome<()> {
        let (count, padding) = chain.shape();
        let mut pem = String::new();
        let mut issuer: Option<CertifiedIssuer<'static, KeyPair>> = None;
        for number in 0..count {
            let name = format!("sealgram interop {} intermediate {number}", side.name());
            let parameters = authority_parameters(name, padding);
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(rcgen_failure)?;
            let next = CertifiedIssuer::signed_by(parameters, key, issuer.as_ref().unwrap_or(root))
                .map_err(rcgen_failure)?;
            pem.insert_str(0, &next.pem());
            issuer = Some(next);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(rcgen_failure)?;
        let leaf = leaf_parameters(side)
            .signed_by(&key, issuer.as_ref().unwrap_or(root))
            .map_err(rcgen_failure)?;
        let credential = self.chained(side, KeyType::EcdsaP256, chain);
        if let Some(issuers) = credential.issuers {
            fs::write(issuers, &pem)?;
        }
        pem.insert_str(0, &leaf.pem());
        fs::write(credential.certificate, pem)?;
        fs::write(credential.key, key.serialize_pem())?;
        Ok(())
    }

    fn chained(&self, side: Side, key_type: KeyType, chain: Chain) -> Credential {
        if chain == Chain::Leaf {
            return self.credential(side, key_type);
        }
        let stem = format!("{}-{chain:?}", side.name()).to_lowercase();
        Credential {
            certificate: self.directory().join(format!("{stem}.pem")),
            issuers: Some(self.directory().join(format!("{stem}-issuers.pem"))),
            key: self.directory().join(format!("{stem}.key")),
        }
    }

    fn authority_file(&self, side: Side) -> PathBuf {
        self.directory().join(format!("{}-ca.pem", side.name()))
    }

    fn credential(&self, side: Side, key_type: KeyType) -> Credential {
        let stem = format!("{}-{}", side.name(), key_type.name());
        Credential {
            certificate: self.directory().join(format!("{stem}.pem")),
            issuers: None,
            key: self.directory().join(format!("{stem}.key")),
        }
    }
}

impl Chain {
    /// How many certificates there are between leaf and authority, and how much each is padded, in
    /// bytes.
    const fn shape(self) -> (usize, usize) {
        match self {
            Self::Leaf => (0, 0),
            Self::Long => (3, 600),
            Self::Huge => (4, 3800),
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
    let name = format!("sealgram interop {} authority", side.name());
    let parameters = authority_parameters(name, 0);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(rcgen_failure)?;
    CertifiedIssuer::self_signed(parameters, key).map_err(rcgen_failure)
}

/// Valid for as long as the tests exist. Botan does not accept what `rcgen` would choose, the year
/// 4096.
fn valid_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2049, 12, 31);
    parameters
}

fn authority_parameters(name: String, padding: usize) -> CertificateParams {
    let mut parameters = valid_parameters();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.distinguished_name.push(DnType::CommonName, name);
    if padding > 0 {
        // Netscape's comment, an IA5String: an extension that every stack knows and ignores.
        let length = u16::try_from(padding).expect("fits two bytes");
        let mut comment = vec![0x16, 0x82];
        comment.extend(length.to_be_bytes());
        comment.resize(comment.len() + padding, b'x');
        let extension = CustomExtension::from_oid_content(NETSCAPE_COMMENT, comment);
        parameters.custom_extensions.push(extension);
    }
    parameters
}

fn leaf_parameters(side: Side) -> CertificateParams {
    let mut parameters = valid_parameters();
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

/// 2.16.840.1.113730.1.13.
const NETSCAPE_COMMENT: &[u64] = &[2, 16, 840, 1, 113_730, 1, 13];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_as_long_as_they_say_and_verified() {
        let pki = Pki::generate().expect("keys and certificates");
        for (chain, least) in [(Chain::Long, 3_000), (Chain::Huge, 16_384)] {
            let credential = pki.server_with(KeyType::EcdsaP256, chain);
            let pem = fs::read_to_string(&credential.certificate).expect("a file");
            let letters: usize = pem
                .lines()
                .filter(|line| !line.starts_with('-'))
                .map(str::len)
                .sum();
            assert!(letters / 4 * 3 > least, "{chain:?}: {letters} letters");
            let verified = Command::new("openssl")
                .args(["verify", "-CAfile"])
                .arg(pki.server_authority())
                .arg("-untrusted")
                .args([&credential.certificate, &credential.certificate])
                .output()
                .expect("openssl runs");
            assert!(verified.status.success(), "{verified:?}");
        }
    }

    #[test]
    fn paths_differ_by_case_and_by_use() {
        let pki = Pki::generate().expect("keys and certificates");
        let path = pki.path_of("openssl/our-Client", "session");
        assert_eq!(path.parent(), Some(pki.directory()));
        assert_eq!(path, pki.path_of("openssl/our-Client", "session"));
        assert_ne!(path, pki.path_of("openssl/our-Server", "session"));
        assert_ne!(path, pki.path_of("openssl/our-Client", "pub"));
    }

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
