//! Faults that others had with raw public keys: section R of the failure catalogue. And keys that
//! cannot be used.

use crate::common::configs::{Configs, Pki, server_name};
use crate::common::raw_keys::{
    Outcome, RAW, Script, X509, client_of, demanding, extensions, our_client, our_server, raw_key,
    raw_rsa_key, server_with,
};
use crate::common::transport::{BOTH, Duo, SIDES};
use rcgen::KeyPair;
use sealgram::config::Versions;
use sealgram::error::{CertificateError, ConfigError, PeerIncompatible, UnsupportedKey};
use sealgram::identity::{
    Credential, Fingerprint, PinnedKeys, RawKey, SigningKey, WebPkiClientVerifier,
};
use sealgram::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use sealgram::server::ClientAuthentication;
use sealgram::session::{MemoryClientSessions, Tickets};
use sealgram::{ClientConfig, Error, Event, ServerConfig, Side, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;

fn key() -> RawKey {
    raw_key(&rcgen::PKCS_ED25519)
}

fn raw(key: &RawKey) -> Credential {
    Credential::RawKey(key.clone())
}

/// R1: at 1.2 a raw key is not in a list; what we show has one length, and what has the form of a
/// list is not read as a key.
#[test]
fn r1_a_key_of_1_2_is_not_in_a_list() {
    let own = key();
    let script = Script {
        credential: None,
        types: [None, Some(&[RAW])],
        asks: false,
        alter: &|_| {},
    };
    let outcome = our_server(Versions::V1_2, server_with(&own), &script);
    let shown = outcome.body(CERTIFICATE).unwrap();
    assert_eq!(shown[..3], [0, 0, 44]);
    assert_eq!(shown[3..], **own.public_key());
    let script = Script {
        types: [None, Some(&[RAW])],
        alter: &|body| *body = [&[0, 0, 47], &body[..]].concat(),
        ..Script::new(raw(&own))
    };
    let outcome = our_client(Versions::V1_2, client_of(&own), &script);
    assert_eq!(outcome.error, Some(CertificateError::BadEncoding.into()));
}

/// R2: a server that knows X.509 alone serves a client that lists X.509 beside other types.
#[test]
fn r2_a_server_with_x509_alone_fails_only_where_x509_is_not_listed() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for versions in VERSIONS {
        for (list, fine) in [
            (&[X509][..], true),
            (&[RAW], false),
            (&[X509, RAW], true),
            (&[RAW, X509], true),
            (&[RAW, 255], false),
        ] {
            let script = Script {
                credential: None,
                types: [None, Some(list)],
                asks: false,
                alter: &|_| {},
            };
            let server = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519));
            let outcome = our_server(versions, server, &script);
            assert_eq!(outcome.complete, fine, "{versions:?} {list:?}");
            assert_eq!(
                outcome.alert(),
                (!fine).then_some(43),
                "{versions:?} {list:?}"
            );
        }
    }
}

/// R3: a client that takes raw keys alone goes on neither with X.509 nor without an answer.
#[test]
fn r3_a_client_of_raw_keys_alone_takes_no_certificate() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for versions in VERSIONS {
        for (answer, alert) in [(Some(&[X509][..]), 47), (None, 43)] {
            let script = Script {
                types: [None, answer],
                ..Script::new(pki.server(&rcgen::PKCS_ED25519))
            };
            let outcome = our_client(versions, client_of(&key()), &script);
            assert_eq!(outcome.alert(), Some(alert), "{versions:?} {answer:?}");
            assert!(!outcome.complete);
        }
    }
}

/// R4: a list of X.509 alone is never sent, and raw keys are offered where there are some.
#[test]
fn r4_raw_keys_are_offered_where_there_are_some() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let script = Script::new(pki.server(&rcgen::PKCS_ED25519));
    for versions in VERSIONS {
        let roots = || ClientConfig::with_roots(pki.roots()).unwrap();
        let certified = roots().add_credential(pki.client(&rcgen::PKCS_ED25519));
        for (client, expected) in [
            (certified, [None, None]),
            (roots().add_credential(raw(&key())), [Some(vec![RAW]), None]),
            (client_of(&key()), [None, Some(vec![RAW])]),
        ] {
            assert_eq!(our_client(versions, client, &script).offered, expected);
        }
    }
}

/// Whether an end of either side has finished a handshake.
fn completed(duo: &Duo, side: Side) -> bool {
    let complete = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
    duo.events(side).iter().any(complete)
}

/// R5, D7: a key that is not the pinned one ends the handshake at the end that has pinned it,
/// whether the handshake is a full one or would resume a session of that key.
#[test]
fn r5_a_wrong_key_ends_the_handshake_at_either_end() {
    for side in SIDES {
        for versions in VERSIONS {
            for resumes in [false, true] {
                for transport in BOTH {
                    let name = format!("{side} {versions:?} resumes: {resumes} {transport:?}");
                    let mut duo = wrong_key(side, versions, resumes, transport);
                    duo.settle();
                    assert!(!completed(&duo, side), "{name}");
                    let expected = CertificateError::FingerprintMismatch;
                    assert_eq!(duo.error(side), Some(expected.into()), "{name}");
                }
            }
        }
    }
}

/// Two ends of which that on `side` has pinned another key than the peer has; if it `resumes`, it
/// had pinned that one before.
fn wrong_key(
    side: Side,
    versions: Versions,
    resumes: bool,
    transport: crate::common::transport::Transport,
) -> Duo {
    let (own, theirs, other) = (key(), key(), key());
    let store = Arc::new(MemoryClientSessions::new(4));
    let tickets = Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
    let configs = |client_pins: &RawKey, server_pins: &RawKey| {
        let client = client_of(client_pins)
            .add_credential(raw(&own))
            .session_store(Some(store.clone()))
            .versions(versions);
        let server = server_with(&theirs)
            .client_authentication(demanding(server_pins))
            .tickets(Some(tickets.clone()))
            .versions(versions);
        Configs {
            client: Arc::new(client.build().unwrap()),
            server: Arc::new(server.build().unwrap()),
        }
    };
    let wrong = match side {
        Side::Client => configs(&other, &own),
        Side::Server => configs(&theirs, &other),
    };
    if resumes {
        let mut before = Duo::connected(transport, &configs(&theirs, &own));
        before.settle();
        let session = before.session(Side::Client).unwrap();
        wrong
            .client
            .import_session(&server_name(), session)
            .unwrap();
    }
    Duo::connecting(transport, &wrong)
}

/// A SubjectPublicKeyInfo that is not what it was, and what is said of it.
fn mutations(key: &RawKey) -> Vec<(&'static str, Vec<u8>, CertificateError)> {
    let info = key.public_key().to_vec();
    // SEQUENCE (2), SEQUENCE (2) with the object identifier of Ed25519 (5), BIT STRING (35).
    let (identifier, bits) = info[2..].split_at(7);
    let sequence = |contents: &[u8]| {
        let length = u8::try_from(contents.len()).unwrap();
        [&[0x30, length], contents].concat()
    };
    let bad = || CertificateError::BadEncoding;
    let unused_bits = [&bits[..2], &[1], &bits[3..]].concat();
    let indefinite = [&[0x30, 0x80], &info[2..], &[0, 0]].concat();
    let unsupported =
        |name: &str| CertificateError::UnsupportedKey(UnsupportedKey::Algorithm(name.to_owned()));
    vec![
        (
            "trailing",
            [&info[..], &[0]].concat(),
            CertificateError::StrayBytes,
        ),
        (
            "trailing inside",
            sequence(&[&info[2..], &[5, 0]].concat()),
            bad(),
        ),
        ("indefinite", indefinite, bad()),
        ("long form", [&[0x30, 0x81, 42], &info[2..]].concat(), bad()),
        (
            "parameters",
            sequence(&[&[0x30, 7, 6, 3, 0x2b, 0x65, 0x70, 5, 0], bits].concat()),
            bad(),
        ),
        (
            "unused bits",
            sequence(&[identifier, &unused_bits].concat()),
            bad(),
        ),
        (
            "X25519",
            sequence(&[&[0x30, 5, 6, 3, 0x2b, 0x65, 0x6e], bits].concat()),
            unsupported("X25519"),
        ),
        (
            "Ed448",
            sequence(&[&[0x30, 5, 6, 3, 0x2b, 0x65, 0x71], bits].concat()),
            unsupported("Ed448"),
        ),
        ("the key alone", bits[3..].to_vec(), bad()),
        ("an empty SEQUENCE", vec![0x30, 0], bad()),
    ]
}

/// Changes the body of a Certificate.
type Alter = Box<dyn Fn(&mut Vec<u8>)>;

/// A script that shows these bytes in place of its key.
fn showing<'a>(
    versions: Versions,
    shown: &[u8],
    key: &RawKey,
    alter: &'a mut Option<Alter>,
) -> Script<'a> {
    let shown = shown.to_vec();
    let length = |more: usize| u16::try_from(shown.len() + more).unwrap().to_be_bytes();
    let body = match versions {
        Versions::V1_2 => [&[0], &length(0)[..], &shown].concat(),
        _ => [&[0, 0], &length(5)[..], &[0], &length(0), &shown, &[0, 0]].concat(),
    };
    let alter = alter.insert(Box::new(move |out| out.clone_from(&body)));
    Script {
        types: [Some(&[RAW]), Some(&[RAW])],
        asks: false,
        alter,
        ..Script::new(raw(key))
    }
}

/// What both ends say to a peer with `key` that shows these bytes, which are pinned as well.
fn judged(versions: Versions, shown: &[u8], key: &RawKey) -> [Outcome; 2] {
    let info = SubjectPublicKeyInfoDer::from(shown);
    let pins = Arc::new(PinnedKeys::new([Fingerprint::of_key(&info)]).and_key(key.public_key()));
    let own = raw_key(&rcgen::PKCS_ED25519);
    let client = ClientConfig::with_verifier(pins.clone()).add_credential(raw(&own));
    let server = server_with(&own).client_authentication(ClientAuthentication::Required(pins));
    let mut alter = None;
    let script = showing(versions, shown, key, &mut alter);
    [
        our_client(versions, client, &script),
        our_server(versions, server, &script),
    ]
}

/// R6: what is not the one encoding of a key in DER is refused, even if it is pinned; and what is
/// pinned is compared byte by byte.
#[test]
fn r6_a_key_is_the_bytes_of_its_der() {
    let key = key();
    for versions in VERSIONS {
        for outcome in judged(versions, key.public_key(), &key) {
            assert!(outcome.complete, "{outcome:?}");
        }
        for (name, shown, expected) in mutations(&key) {
            for outcome in judged(versions, &shown, &key) {
                let expected = Some(Error::from(expected.clone()));
                assert_eq!(outcome.error, expected, "{versions:?} {name}");
                assert!(!outcome.complete);
            }
        }
        for bit in 0..key.public_key().len() * 8 {
            let mut shown = key.public_key().to_vec();
            shown[bit / 8] ^= 1 << (bit % 8);
            let pins = PinnedKeys::default().and_key(key.public_key());
            let client = ClientConfig::with_verifier(Arc::new(pins));
            let client = client.add_credential(raw(&key));
            let mut alter = None;
            let script = showing(versions, &shown, &key, &mut alter);
            let outcome = our_client(versions, client, &script);
            assert!(
                !outcome.complete && outcome.error.is_some(),
                "{versions:?} bit {bit}"
            );
        }
    }
}

/// RFC 7250 §3: stray bytes are bad_certificate, what is no key is a decode_error, and a key of
/// another algorithm an unsupported_certificate.
#[test]
fn n58_08_a_raw_key_is_der_and_nothing_more() {
    let key = key();
    for versions in VERSIONS {
        for (name, shown, expected) in mutations(&key) {
            let alert = match expected {
                CertificateError::StrayBytes => 42,
                CertificateError::UnsupportedKey(_) => 43,
                _ => 50,
            };
            for outcome in judged(versions, &shown, &key) {
                assert_eq!(outcome.alert(), Some(alert), "{versions:?} {name}");
            }
        }
    }
}

/// R7: a CertificateRequest of 1.3 without authorities has no extension for them.
#[test]
fn r7_no_authorities_are_no_extension() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let own = key();
    for (list, policy) in [
        (Some(&[RAW][..]), demanding(&own)),
        (None, {
            let roots = WebPkiClientVerifier::new(pki.roots()).unwrap();
            ClientAuthentication::Optional(Arc::new(Nameless(roots)))
        }),
    ] {
        let script = Script {
            credential: None,
            types: [list, None],
            asks: false,
            alter: &|_| {},
        };
        let server = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519));
        let outcome = our_server(
            Versions::V1_3,
            server.client_authentication(policy),
            &script,
        );
        // An empty context (1), the length of the extensions (2).
        let request = outcome.body(CERTIFICATE_REQUEST).unwrap();
        let types: Vec<_> = extensions(&request[3..]).iter().map(|it| it.0).collect();
        assert_eq!(types, [13], "{list:?}");
    }
}

/// Names no authorities.
#[derive(Debug)]
struct Nameless(WebPkiClientVerifier);

impl sealgram::identity::VerifyClient for Nameless {
    fn verify(
        &self,
        claimed: &sealgram::identity::Identity,
        date: UnixTime,
    ) -> Result<(), CertificateError> {
        self.0.verify(claimed, date)
    }
}

/// RFC 7250 §4.2: types that do not exist have no meaning, wherever they stand in a list; a list of
/// 255 of them is read.
#[test]
fn unknown_types_are_passed_over() {
    let own = key();
    let unknown: Vec<u8> = (3..=255).collect();
    let with_one = [&unknown[..], &[RAW]].concat();
    for versions in VERSIONS {
        for (list, fine) in [(&unknown, false), (&with_one, true)] {
            let length = u8::try_from(list.len()).unwrap();
            assert!(length > 250);
            let script = Script {
                types: [Some(list), Some(list)],
                ..Script::new(raw(&own))
            };
            let server = server_with(&own).client_authentication(demanding(&own));
            let outcome = our_server(versions, server, &script);
            assert_eq!(outcome.complete, fine, "{versions:?} {outcome:?}");
            let expected = Error::from(PeerIncompatible::NoCommonCertificateType);
            assert_eq!(outcome.error, (!fine).then_some(expected));
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// RFC 7250 §3: what is shown is the SubjectPublicKeyInfo that other tools make of the private key.
#[test]
fn the_public_half_is_derived_from_the_private_key() {
    use rcgen::PublicKeyData as _;
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let raw = RawKey::new(&der).unwrap();
        assert_eq!(**raw.public_key(), key.subject_public_key_info());
    }
    let pem = include_str!("../common/rsa2048.pem");
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    assert_eq!(**raw_rsa_key().public_key(), key.subject_public_key_info());
    let path = std::env::temp_dir().join(format!("sealgram-raw-{}.pem", std::process::id()));
    std::fs::write(&path, pem).unwrap();
    let read = RawKey::from_pem_file(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read.fingerprint(), raw_rsa_key().fingerprint());
}

/// Keys that cannot be shown are refused when they are configured, with what is wrong with them.
#[test]
fn unusable_raw_keys_are_refused_at_configuration() {
    let without_public = RawKey::from_pem_file(&fixture("ec-no-public.key"));
    if cfg!(feature = "aws-lc-rs") {
        // That provider computes the public half.
        assert!(without_public.is_ok());
    } else {
        let expected = ConfigError::UnsupportedKey(UnsupportedKey::WithoutPublicHalf);
        assert_eq!(without_public.unwrap_err(), expected);
    }
    for name in ["encrypted.key", "v3.pem", "no such file"] {
        let error = RawKey::from_pem_file(&fixture(name)).unwrap_err();
        assert!(matches!(error, ConfigError::File { .. }), "{name}: {error}");
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let signer = || Arc::new(SigningKey::new(&der).unwrap());
    let info = signer().public_key_info();
    assert!(RawKey::with_signer(info.clone(), signer()).is_ok());
    let rsa = raw_rsa_key().public_key().clone();
    let mismatch = RawKey::with_signer(rsa, signer()).unwrap_err();
    assert_eq!(mismatch, ConfigError::KeyMismatch);
    let [.., ed448, _, _] = &mutations(&raw_key(&rcgen::PKCS_ED25519))[..] else {
        panic!("the last three mutations");
    };
    for (shown, expected) in [
        (vec![1, 2, 3], ConfigError::BadCertificate),
        ([&info[..], &[0]].concat(), ConfigError::BadCertificate),
        (
            ed448.1.clone(),
            ConfigError::UnsupportedKey(UnsupportedKey::Algorithm("Ed448".to_owned())),
        ),
    ] {
        let refused = RawKey::with_signer(shown.into(), signer()).unwrap_err();
        assert_eq!(refused, expected);
    }
    let schemes = [SignatureScheme::RSA_PSS_RSAE_SHA256];
    let refused = RawKey::new(&der).unwrap().sign_with(&schemes).unwrap_err();
    assert_eq!(refused, ConfigError::KeyWithoutScheme);
}

/// RFC 8446 §4.2.3: an RSA key has several schemes, of which the first that the peer takes is used.
#[test]
fn a_raw_key_signs_with_what_it_is_told_to() {
    let rsa = raw_rsa_key();
    for scheme in [
        SignatureScheme::RSA_PSS_RSAE_SHA512,
        SignatureScheme::RSA_PSS_RSAE_SHA384,
    ] {
        for versions in VERSIONS {
            let server = rsa.clone().sign_with(&[scheme]).unwrap();
            let configs = Configs {
                client: Arc::new(client_of(&rsa).versions(versions).build().unwrap()),
                server: Arc::new(server_with(&server).versions(versions).build().unwrap()),
            };
            let duo = Duo::connected(BOTH[0], &configs);
            assert_eq!(duo.scheme(Side::Client), Some(scheme));
        }
    }
}
