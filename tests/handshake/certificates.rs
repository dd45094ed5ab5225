//! Certificates, keys and files as other tools make them: what can be used is used, and what cannot
//! is told in words that help.

use crate::common::configs::{SERVER, server_name, start};
use sealgram::config::Versions;
use sealgram::error::{CertificateError, ConfigError, UnsupportedKey};
use sealgram::identity::{
    CertifiedKey, Credential, Fingerprint, Identity, PinnedFingerprint, Roots, SigningKey,
    VerifyServer, WebPkiServerVerifier,
};
use sealgram::pki_types::pem::PemObject as _;
use sealgram::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    ServerName, UnixTime,
};
use sealgram::server::ClientAuthentication;
use sealgram::sim::Pair;
use sealgram::{ClientConfig, Error, Event, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn pin(name: &str) -> PinnedFingerprint {
    let der = CertificateDer::from_pem_file(fixture(name)).unwrap();
    PinnedFingerprint::new([Fingerprint::of(&der)])
}

/// RFC 5280 §4.1: where a fingerprint is pinned, or nothing is verified, the form of a certificate
/// does not matter. Both ends show such a one, and pin such a one.
#[test]
fn a_pinned_certificate_may_be_of_x509_version_1_or_hold_unknown_critical_extensions() {
    for name in ["v3.pem", "v1.pem", "critical.pem"] {
        let own = CertifiedKey::from_pem_files(&fixture(name), &fixture("v1.key")).unwrap();
        let own = Credential::Certificate(own);
        for versions in [Versions::V1_2, Versions::V1_3] {
            for pinned in [true, false] {
                let server = ServerConfig::with_credential(own.clone())
                    .versions(versions)
                    .client_authentication(ClientAuthentication::Required(Arc::new(pin(name))));
                let client = match pinned {
                    true => ClientConfig::with_verifier(Arc::new(pin(name))),
                    false => ClientConfig::dangerous().accept_any_certificate(),
                };
                let client = client.versions(versions).add_credential(own.clone());
                let server = Arc::new(server.build().unwrap());
                let mut pair = Pair::new(server, start(), 1).unwrap();
                pair.connect(Arc::new(client.build().unwrap()), server_name())
                    .unwrap();
                let connected = pair.run_until_connected(Duration::from_secs(5));
                assert!(connected, "{name} {versions:?}: {:?}", pair.client_events);
            }
        }
    }
}

/// RFC 5280 §4.2: where the form matters, the reason is told, and not that the certificate does not
/// parse.
#[test]
fn a_verified_certificate_of_another_form_is_refused_with_its_form() {
    for (name, expected) in [
        ("v1.pem", CertificateError::UnsupportedVersion),
        ("critical.pem", CertificateError::UnknownCriticalExtension),
    ] {
        let refused = judge(name, "v3.pem", SERVER);
        assert_eq!(refused, Err(expected), "{name}");
    }
}

/// What a client that trusts the last certificate of a file says to a chain.
fn judge(chain: &str, roots: &str, name: &'static str) -> Result<(), CertificateError> {
    let read = |name| {
        let read = CertificateDer::pem_file_iter(fixture(name)).unwrap();
        read.collect::<Result<Vec<_>, _>>().unwrap()
    };
    let mut trusted = Roots::new();
    trusted.add(read(roots).last().unwrap()).unwrap();
    let verifier = WebPkiServerVerifier::new(trusted).unwrap();
    let claimed = Identity::Certificate(read(chain)[..1].into());
    let name = ServerName::try_from(name).unwrap();
    verifier.verify(&claimed, &name, UnixTime::now())
}

/// Each reason is a sentence about the certificate, with what its owner or the reader can do.
#[test]
fn a_refused_certificate_is_told_with_its_reason_and_a_remedy() {
    for (file, words) in [
        (
            "openssl-req-x509.pem",
            &["authority", "openssl req -x509", "CA:FALSE"][..],
        ),
        ("signed-by-rsa-1024.pem", &["RSA key of 1024 bits", "2048"]),
        ("signed-by-rsa-sha1.pem", &["RSA with SHA-1", "SHA-256"]),
        (
            "signed-by-ecdsa-p521.pem",
            &["ECDSA with SHA-512", "SHA-256"],
        ),
        (
            "signed-by-ecdsa-p256-sha512.pem",
            &["ECDSA with SHA-512", "SHA-256"],
        ),
    ] {
        let text = judge(file, file, SERVER).unwrap_err().to_string();
        for word in words {
            assert!(text.contains(word), "{file}: {text}");
        }
        assert!(
            !text.contains("Context") && !text.contains('{'),
            "{file}: {text}"
        );
    }
    let name = judge("v3.pem", "v3.pem", "other.test").unwrap_err();
    assert!(name.to_string().contains("other.test"), "{name}");
    // It can be passed on like any other error.
    let _: Box<dyn std::error::Error + Send + Sync> = Box::new(name);
}

/// The same over a handshake: the error that an application sees says it all.
#[test]
fn a_refusal_in_a_handshake_has_the_same_words() {
    let file = fixture("v3.pem");
    let own = CertifiedKey::from_pem_files(&fixture("v1.pem"), &fixture("v1.key")).unwrap();
    let server = ServerConfig::with_credential(Credential::Certificate(own));
    let client = ClientConfig::with_roots(Roots::from_pem_file(&file).unwrap()).unwrap();
    let mut pair = Pair::new(Arc::new(server.build().unwrap()), start(), 1).unwrap();
    pair.connect(Arc::new(client.build().unwrap()), server_name())
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    let failed = pair
        .client_events
        .iter()
        .find_map(|(_, event)| match event {
            Event::Failed(failure) => Some((**failure).clone()),
            _ => None,
        });
    let failed = failed.unwrap();
    let expected = Error::InvalidCertificate(CertificateError::UnsupportedVersion);
    assert_eq!(failed.error, expected);
    assert!(
        failed.to_string().contains("pin its fingerprint"),
        "{failed}"
    );
}

/// PEM as tools and editors write it, and bare DER; a bundle of roots is not lost by one
/// certificate.
#[test]
fn files_of_certificates_of_the_wild_are_read() {
    for name in [
        "v3.pem",
        "v3.der",
        "bom.pem",
        "x509-label.pem",
        "trusted-label.pem",
    ] {
        let roots = Roots::from_pem_file(&fixture(name)).unwrap();
        assert_eq!((roots.len(), roots.unreadable()), (1, &[][..]), "{name}");
        CertifiedKey::from_pem_files(&fixture(name), &fixture("v1.key")).unwrap();
    }
    let bundle = fixture("bundle-with-one-bad.pem");
    let roots = Roots::from_pem_file(&bundle).unwrap();
    assert_eq!((roots.len(), roots.unreadable().len()), (1, 1));
    let told = roots.unreadable()[0].to_string();
    assert!(
        told.starts_with("certificate ") && told.contains("bundle-with-one-bad.pem"),
        "{told}"
    );
    // As this end's own chain it is not taken with a hole.
    let refused = CertifiedKey::from_pem_files(&bundle, &fixture("v1.key")).unwrap_err();
    assert_eq!(refused.to_string(), told);
}

/// Line ends of other systems, and a file whose last line was not ended.
#[test]
fn line_ends_do_not_matter() {
    let folder = std::env::temp_dir().join(format!("sealgram-line-ends-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("c.pem"), folder.join("k.pem"));
    let text = |name| std::fs::read_to_string(fixture(name)).unwrap();
    for change in [
        |it: &str| it.replace('\n', "\r\n"),
        |it: &str| it.trim_end().to_owned(),
    ] {
        std::fs::write(&certificate, change(&text("v3.pem"))).unwrap();
        std::fs::write(&key, change(&text("v1.key"))).unwrap();
        CertifiedKey::from_pem_files(&certificate, &key).unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What cannot be read is told with the file, what stands there instead, and what to do.
#[test]
fn a_file_that_cannot_be_used_is_told_with_a_remedy() {
    let chain = fixture("v3.pem");
    for (key, words) in [
        (
            "encrypted.key",
            &["is encrypted", "openssl pkey -in", "encrypted.key"][..],
        ),
        ("encrypted-old.key", &["is encrypted", "openssl pkey -in"]),
        ("v3.pem", &["no private key in", "CERTIFICATE"]),
        ("nothing.key", &["nothing.key", "cannot be read"]),
        ("README.md", &["neither PEM nor DER"]),
        ("v3.der", &["no private key in", "openssl pkey -inform DER"]),
    ] {
        let error = CertifiedKey::from_pem_files(&chain, &fixture(key)).unwrap_err();
        let text = error.to_string();
        assert!(
            words.iter().all(|word| text.contains(word)),
            "{key}: {text}"
        );
    }
    let error = Roots::from_pem_file(&fixture("v1.key"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("PRIVATE KEY") && error.contains("BEGIN CERTIFICATE"),
        "{error}"
    );
}

/// RFC 5915 §3: the public half of an EC key is optional; the certificate has it. In every form of
/// the file.
#[test]
fn an_ec_key_without_its_public_half_is_taken() {
    let chain = || vec![CertificateDer::from_pem_file(fixture("v3.pem")).unwrap()];
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_file(fixture("ec-no-public.key")).unwrap();
    // The key inside: behind version and algorithm, in an OCTET STRING.
    let whole = pkcs8.secret_pkcs8_der();
    let start = whole
        .windows(3)
        .position(|it| it == [0x02, 0x01, 0x01])
        .unwrap()
        - 2;
    let sec1 = PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(whole[start..].to_vec()));
    for key in [PrivateKeyDer::Pkcs8(pkcs8.clone_key()), sec1] {
        let missing = ConfigError::UnsupportedKey(UnsupportedKey::WithoutPublicHalf);
        // AWS-LC computes it.
        let alone = SigningKey::new(&key);
        assert_eq!(alone.err(), (!AWS_LC).then_some(missing));
        CertifiedKey::new(chain(), &key).unwrap();
        let other = crate::common::configs::Pki::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        let (leaf, _) = other.leaf_and_key(&rcgen::PKCS_ECDSA_P256_SHA256, |_| {});
        let mismatch = CertifiedKey::new(vec![leaf], &key).unwrap_err();
        assert_eq!(mismatch, ConfigError::KeyMismatch);
    }
    CertifiedKey::from_pem_files(&fixture("v3.pem"), &fixture("v1.key.der")).unwrap();
}

/// Which provider is used.
const AWS_LC: bool = cfg!(feature = "aws-lc-rs");

/// A key that is not supported is told with what it is.
#[test]
fn an_unsupported_key_is_told_with_what_it_is() {
    let reason = |key: PrivateKeyDer<'_>| match SigningKey::new(&key) {
        Err(ConfigError::UnsupportedKey(why)) => why,
        other => panic!("{other:?}"),
    };
    let length = |bits| UnsupportedKey::RsaLength { bits };
    let cases = if AWS_LC {
        [
            (2047, 65537, length(2047)),
            (8193, 65537, length(8193)),
            (2048, 1, UnsupportedKey::RsaExponent),
            (2048, 3, UnsupportedKey::Encoding),
            (8192, 65537, UnsupportedKey::Encoding),
        ]
    } else {
        [
            (1024, 65537, length(1024)),
            (3000, 65537, length(3000)),
            (5120, 65537, length(5120)),
            (2048, 3, UnsupportedKey::RsaExponent),
            (2048, 65537, UnsupportedKey::Encoding),
        ]
    };
    for (bits, exponent, expected) in cases {
        let key = rsa_private_key(bits, exponent);
        assert_eq!(
            reason(PrivateKeyDer::Pkcs1(key)),
            expected,
            "{bits} {exponent}"
        );
    }
    for (identifier, words) in [
        (
            &[
                6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23,
            ][..],
            "ECDSA on P-521",
        ),
        (&[6, 3, 0x2b, 0x65, 0x71], "Ed448"),
        (
            &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10],
            "RSA-PSS",
        ),
    ] {
        let fields = [
            element(2, &[0]),
            element(0x30, identifier),
            element(4, &[0]),
        ];
        let key = PrivatePkcs8KeyDer::from(element(0x30, &fields.concat()));
        let text = reason(PrivateKeyDer::Pkcs8(key)).to_string();
        assert!(text.contains(words), "{text}");
    }
    let odd = UnsupportedKey::RsaLength { bits: 3000 };
    let text = ConfigError::UnsupportedKey(odd).to_string();
    assert!(
        text.contains("3000 bits") && text.contains("3072"),
        "{text}"
    );
}

/// One element of DER, with a length of two octets.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, contents].concat()
}

/// The beginning of a PKCS#1 key (RFC 8017 §A.1.2): as much as tells its kind.
fn rsa_private_key(bits: usize, exponent: u32) -> PrivatePkcs1KeyDer<'static> {
    let octets = bits.div_ceil(8);
    let mut modulus = vec![0; octets + 1];
    modulus[1] = 1 << ((bits - 1) % 8);
    let fields = [
        element(2, &[0]),
        element(2, &modulus),
        element(2, &[&[0][..], &exponent.to_be_bytes()].concat()),
    ];
    element(0x30, &fields.concat()).into()
}

/// RFC 8122 §5: a fingerprint prints in the form of SDP as well, and both are parsed.
#[test]
fn fingerprints_have_the_form_of_sdp_too() {
    let der = CertificateDer::from_pem_file(fixture("v3.pem")).unwrap();
    let fingerprint = Fingerprint::of(&der);
    let line = format!("sha-256 {fingerprint:#}");
    assert_eq!(line.len(), 8 + 95);
    assert_eq!(line.parse(), Ok(fingerprint));
    let refused = "sha-1 00".parse::<Fingerprint>().unwrap_err();
    assert!(refused.to_string().contains("openssl x509"), "{refused}");
}

/// SECURITY.md: secrets are never logged. A key file whose first line is damaged is told of without
/// its contents.
#[test]
fn the_error_about_a_damaged_key_file_does_not_show_the_key() {
    let key = std::fs::read_to_string(fixture("v1.key")).unwrap();
    let secret = key.lines().nth(1).unwrap().to_owned();
    let file = std::env::temp_dir().join(format!("sealgram-leak-{}", std::process::id()));
    std::fs::write(&file, key.replacen("KEY-----", "KEY----", 1)).unwrap();
    let as_key = CertifiedKey::from_pem_files(&file, &file).unwrap_err();
    let as_roots = Roots::from_pem_file(&file).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    for told in [
        as_key.to_string(),
        as_roots.to_string(),
        format!("{as_key:?}"),
    ] {
        assert!(!told.contains(&secret), "{told}");
    }
}
