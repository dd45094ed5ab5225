//! Raw public keys (RFC 7250): what is offered, what is agreed on, and in what form a key is shown.

use crate::common::configs::{Ends, Pki};
use crate::common::handshakes::willing;
use crate::common::judged::{CHOICES, judged};
use crate::common::raw_keys::{
    ENCRYPTED_EXTENSIONS, Outcome, RAW, SERVER_CERTIFICATE_TYPE, Script, X509, client_of,
    demanding, extensions, our_client, our_server, pinned, raw_key, raw_rsa_key, server_with,
};
use crate::common::transport::{BOTH, Duo, SIDES};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{Algorithms, IdentityChange, RekeyPolicy, Versions};
use sealgram::error::{CertificateError, PeerIncompatible, PeerMisbehaved};
use sealgram::identity::{
    CertificateKind, Credential, Identity, PinnedKeys, RawKey, VerifyClient, VerifyServer,
    WebPkiClientVerifier,
};
use sealgram::pki_types::{ServerName, UnixTime};
use sealgram::server::{ClientAuthentication, ServerConfigBuilder};
use sealgram::{ClientConfig, Error, NamedGroup, ServerConfig, Side, SignatureScheme};
use std::sync::Arc;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

const ILLEGAL_PARAMETER: u8 = 47;
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const DECODE_ERROR: u8 = 50;
const UNSUPPORTED_EXTENSION: u8 = 110;

const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;

fn key() -> RawKey {
    raw_key(&rcgen::PKCS_ED25519)
}

fn raw(key: &RawKey) -> Credential {
    Credential::RawKey(key.clone())
}

/// The hello of a client, in which a server that says nothing finds it.
fn offers(versions: Versions, client: ClientConfigBuilder) -> [Option<Vec<u8>>; 2] {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let script = Script::new(pki.server(&rcgen::PKCS_ED25519));
    our_client(versions, client, &script).offered
}

/// RFC 7250 §4.1: a client lists what it can show and what it can judge, the preferred kind first,
/// and leaves an extension out where X.509 is all that remains.
#[test]
fn n58_02_lists_hold_what_an_end_has_and_are_left_out_for_x509_alone() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let x509 = || pki.client(&rcgen::PKCS_ED25519);
    let roots = || ClientConfig::with_roots(pki.roots()).unwrap();
    let keys = || client_of(&key());
    let any = || ClientConfig::dangerous().accept_any_certificate();
    for versions in VERSIONS {
        for (client, expected) in [
            (roots(), [None, None]),
            (roots().add_credential(x509()), [None, None]),
            (roots().add_credential(raw(&key())), [Some(vec![RAW]), None]),
            (keys(), [None, Some(vec![RAW])]),
            (
                keys().add_credential(raw(&key())).add_credential(x509()),
                [Some(vec![RAW, X509]), Some(vec![RAW])],
            ),
            (
                any().add_credential(x509()).add_credential(raw(&key())),
                [Some(vec![X509, RAW]), Some(vec![X509, RAW])],
            ),
            (
                any().certificate_kinds(&[CertificateKind::RawPublicKey]),
                [Some(vec![RAW]), Some(vec![X509, RAW])],
            ),
            (
                roots().add_credential(raw(&key())).certificate_kinds(&[]),
                [None, None],
            ),
        ] {
            assert_eq!(offers(versions, client), expected, "{versions:?}");
        }
    }
}

/// What a server with these credentials says to a client with this list.
fn serve(versions: Versions, credentials: &[Credential], list: Option<&[u8]>) -> Outcome {
    let mut server = ServerConfig::without_credential();
    for credential in credentials {
        server = server.add_credential(credential.clone());
    }
    let script = Script {
        credential: None,
        types: [None, list],
        asks: false,
        alter: &|_| {},
    };
    our_server(versions, server, &script)
}

/// RFC 7250 §4.2: a server names a type out of the client's list, by its own preference; with
/// nothing in common it sends unsupported_certificate, and without an offer it says nothing and
/// shows X.509. Types that do not exist are passed over.
#[test]
fn n58_03_a_server_chooses_a_type_of_the_clients_list() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let (x509, raw) = (pki.server(&rcgen::PKCS_ED25519), raw(&key()));
    let none = Err(UNSUPPORTED_CERTIFICATE);
    let lists: [Option<&[u8]>; 8] = [
        None,
        Some(&[X509]),
        Some(&[RAW]),
        Some(&[X509, RAW]),
        Some(&[RAW, X509]),
        Some(&[RAW, 255]),
        Some(&[1, X509]),
        Some(&[1, 255]),
    ];
    for versions in VERSIONS {
        for (credentials, expected) in [
            (
                vec![x509.clone()],
                [
                    Ok(None),
                    Ok(Some(X509)),
                    none,
                    Ok(Some(X509)),
                    Ok(Some(X509)),
                    none,
                    Ok(Some(X509)),
                    none,
                ],
            ),
            (
                vec![raw.clone()],
                [
                    none,
                    none,
                    Ok(Some(RAW)),
                    Ok(Some(RAW)),
                    Ok(Some(RAW)),
                    Ok(Some(RAW)),
                    none,
                    none,
                ],
            ),
            (
                vec![raw.clone(), x509.clone()],
                [
                    Ok(None),
                    Ok(Some(X509)),
                    Ok(Some(RAW)),
                    Ok(Some(RAW)),
                    Ok(Some(RAW)),
                    Ok(Some(RAW)),
                    Ok(Some(X509)),
                    none,
                ],
            ),
        ] {
            for (list, expected) in lists.into_iter().zip(expected) {
                let outcome = serve(versions, &credentials, list);
                let name = format!("{versions:?} {list:?}");
                match expected {
                    Ok(chosen) => {
                        assert!(outcome.complete, "{name}: {outcome:?}");
                        let chosen = chosen.map(|chosen| vec![chosen]);
                        assert_eq!(outcome.answered[1], chosen, "{name}");
                    }
                    Err(alert) => {
                        assert_eq!(outcome.alert(), Some(alert), "{name}");
                        assert_eq!(outcome.body(CERTIFICATE), None, "{name}");
                    }
                }
            }
        }
    }
}

/// RFC 7250 §4.1: a list of X.509 alone should not be there and does no harm, unless a judge wants
/// it refused.
#[test]
fn needless_lists_are_refused_where_a_judge_wants_that() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for &refuse in CHOICES {
        for versions in VERSIONS {
            for list in [&[X509][..], &[]] {
                for types in [[Some(list), None], [None, Some(list)]] {
                    let script = Script {
                        credential: None,
                        types,
                        asks: false,
                        alter: &|_| {},
                    };
                    let server = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519));
                    let server = judged!(server, refuse_needless_certificate_types: refuse);
                    let expected = match (refuse, list) {
                        (true, _) => Some(ILLEGAL_PARAMETER),
                        (false, []) => Some(DECODE_ERROR),
                        (false, _) => None,
                    };
                    let outcome = our_server(versions, server, &script);
                    assert_eq!(outcome.alert(), expected, "{versions:?} {types:?}");
                }
            }
        }
    }
}

/// RFC 7250 §4.2: where no type is in common the alert says so, unless a judge wants another.
#[test]
fn a_missing_type_is_a_missing_signature_where_a_judge_wants_that() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for &other in CHOICES {
        for versions in VERSIONS {
            let script = Script {
                credential: None,
                types: [None, Some(&[RAW])],
                asks: false,
                alter: &|_| {},
            };
            let server = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519));
            let server = judged!(server, take_certificate_types_for_signatures: other);
            let outcome = our_server(versions, server, &script);
            let expected = match other {
                true => PeerIncompatible::NoCommonSignatureScheme,
                false => PeerIncompatible::NoCommonCertificateType,
            };
            assert_eq!(outcome.error, Some(expected.into()), "{versions:?}");
        }
    }
}

/// A server that takes certificates and raw keys of clients, the preferred kind first.
#[derive(Debug)]
struct Both(Vec<CertificateKind>, WebPkiClientVerifier, PinnedKeys);

impl VerifyClient for Both {
    fn verify(&self, claimed: &Identity, date: UnixTime) -> Result<(), CertificateError> {
        match claimed.certificate_kind() {
            Some(CertificateKind::RawPublicKey) => VerifyClient::verify(&self.2, claimed, date),
            _ => self.1.verify(claimed, date),
        }
    }

    fn kinds(&self) -> &[CertificateKind] {
        &self.0
    }
}

/// RFC 7250 §4.2: what a client shows the server names, by its own preference, and only where it
/// asks for it.
#[test]
fn n58_04_the_clients_type_is_answered_beside_a_request_alone() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let own = key();
    let server = |policy: ClientAuthentication| {
        ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519))
            .client_authentication(policy)
    };
    let both = |kinds: &[CertificateKind]| {
        let roots = WebPkiClientVerifier::new(pki.roots()).unwrap();
        let keys = PinnedKeys::new([own.fingerprint()]);
        ClientAuthentication::Required(Arc::new(Both(kinds.to_vec(), roots, keys)))
    };
    let (raw_first, x509_first) = (
        [CertificateKind::RawPublicKey, CertificateKind::X509],
        [CertificateKind::X509, CertificateKind::RawPublicKey],
    );
    let x509 = pki.client(&rcgen::PKCS_ED25519);
    for versions in VERSIONS {
        for (policy, list, shown, expected) in [
            (ClientAuthentication::None, Some(&[RAW][..]), None, None),
            (demanding(&own), Some(&[RAW]), Some(raw(&own)), Some(RAW)),
            (
                both(&raw_first),
                Some(&[X509, RAW]),
                Some(raw(&own)),
                Some(RAW),
            ),
            (
                both(&x509_first),
                Some(&[RAW, X509]),
                Some(x509.clone()),
                Some(X509),
            ),
            (
                both(&x509_first),
                Some(&[RAW, 9]),
                Some(raw(&own)),
                Some(RAW),
            ),
            (both(&raw_first), None, Some(x509.clone()), None),
        ] {
            let script = Script {
                credential: shown,
                types: [list, None],
                asks: false,
                alter: &|_| {},
            };
            let asks = !matches!(policy, ClientAuthentication::None);
            let outcome = our_server(versions, server(policy), &script);
            assert!(outcome.complete, "{versions:?} {list:?}: {outcome:?}");
            let answered = expected.map(|typ| vec![typ]);
            assert_eq!(outcome.answered[0], answered, "{versions:?} {list:?}");
            assert_eq!(outcome.body(CERTIFICATE_REQUEST).is_some(), asks);
        }
        // Also where a client without a certificate would be served.
        for policy in [
            demanding(&own),
            ClientAuthentication::Optional(pinned(&own)),
        ] {
            for list in [None, Some(&[X509, 9][..]), Some(&[9])] {
                let script = Script {
                    credential: None,
                    types: [list, None],
                    asks: false,
                    alter: &|_| {},
                };
                let outcome = our_server(versions, server(policy.clone()), &script);
                assert_eq!(outcome.alert(), Some(UNSUPPORTED_CERTIFICATE), "{list:?}");
            }
        }
    }
}

/// RFC 7250 §4.2, RFC 8446 §4.2: an answer that was not asked for, a type that was not offered, and
/// silence where X.509 was not offered end the handshake.
#[test]
fn n58_05_a_client_takes_what_it_has_offered_and_nothing_else() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let (own, theirs) = (key(), key());
    let roots = || ClientConfig::with_roots(pki.roots()).unwrap();
    let x509 = pki.server(&rcgen::PKCS_ED25519);
    for versions in VERSIONS {
        for (client, shown, types, expected) in [
            (
                roots(),
                &x509,
                [None, Some(&[X509][..])],
                UNSUPPORTED_EXTENSION,
            ),
            (roots(), &x509, [Some(&[X509]), None], UNSUPPORTED_EXTENSION),
            (
                roots(),
                &raw(&theirs),
                [None, Some(&[RAW])],
                UNSUPPORTED_EXTENSION,
            ),
            (
                client_of(&theirs),
                &x509,
                [None, Some(&[X509])],
                ILLEGAL_PARAMETER,
            ),
            (
                client_of(&theirs),
                &x509,
                [None, Some(&[1])],
                ILLEGAL_PARAMETER,
            ),
            (
                client_of(&theirs),
                &x509,
                [None, None],
                UNSUPPORTED_CERTIFICATE,
            ),
            (
                client_of(&theirs),
                &raw(&theirs),
                [None, None],
                UNSUPPORTED_CERTIFICATE,
            ),
            (
                roots().add_credential(raw(&own)),
                &x509,
                [Some(&[X509]), None],
                ILLEGAL_PARAMETER,
            ),
        ] {
            let script = Script {
                types,
                asks: true,
                ..Script::new(shown.clone())
            };
            let outcome = our_client(versions, client, &script);
            assert_eq!(
                outcome.alert(),
                Some(expected),
                "{versions:?} {types:?}: {outcome:?}"
            );
            assert!(!outcome.complete);
        }
        // A client that has no certificate of the kind that is asked for shows none.
        let client = roots().add_credential(raw(&own));
        let script = Script {
            asks: true,
            ..Script::new(x509.clone())
        };
        let outcome = our_client(versions, client, &script);
        assert!(outcome.complete, "{outcome:?}");
        let empty: &[u8] = if versions == Versions::V1_2 {
            &[0; 3]
        } else {
            &[0; 4]
        };
        assert_eq!(outcome.body(CERTIFICATE), Some(empty));
    }
}

/// The body of a Certificate with this key (RFC 7250 §3; RFC 8446 §4.4.2).
fn form(versions: Versions, key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(key.len()).unwrap();
    match versions {
        Versions::V1_2 => [&[0, 0, length], key].concat(),
        _ => [&[0, 0, 0, length + 5, 0, 0, length], key, &[0, 0]].concat(),
    }
}

/// RFC 7250 §3: at 1.2 a Certificate is one length and the key, at 1.3 a list with one entry; two
/// entries are a decode_error. So it is at both ends.
#[test]
fn n58_06_a_key_has_the_form_of_its_version() {
    let (own, theirs) = (key(), key());
    for versions in VERSIONS {
        let shown = form(versions, own.public_key());
        let script = Script {
            types: [Some(&[RAW]), Some(&[RAW])],
            asks: true,
            ..Script::new(raw(&theirs))
        };
        let client = || client_of(&theirs).add_credential(raw(&own));
        let outcome = our_client(versions, client(), &script);
        assert!(outcome.complete, "{outcome:?}");
        assert_eq!(outcome.body(CERTIFICATE), Some(&shown[..]));
        let server = || server_with(&own).client_authentication(demanding(&theirs));
        let outcome = our_server(versions, server(), &script);
        assert!(outcome.complete, "{outcome:?}");
        assert_eq!(outcome.body(CERTIFICATE), Some(&shown[..]));

        let entry = |body: &[u8]| body[4..].to_vec();
        let twice = move |body: &mut Vec<u8>| match versions {
            // The form of X.509: a list.
            Versions::V1_2 => {
                let length = u8::try_from(body.len()).unwrap();
                *body = [&[0, 0, length], &body[..]].concat();
            }
            _ => {
                let entries = [entry(body), entry(body)].concat();
                let length = u8::try_from(entries.len()).unwrap();
                *body = [&[0, 0, 0, length], &entries[..]].concat();
            }
        };
        let script = Script {
            alter: &twice,
            ..script
        };
        for outcome in [
            our_client(versions, client(), &script),
            our_server(versions, server(), &script),
        ] {
            assert_eq!(
                outcome.alert(),
                Some(DECODE_ERROR),
                "{versions:?} {outcome:?}"
            );
        }
    }
}

/// RFC 8446 §4.2, §4.4.2: at 1.3 both answers are in EncryptedExtensions and nowhere else; a client
/// refuses them in the ServerHello.
#[test]
fn n58_07_at_1_3_the_answers_are_encrypted() {
    let (own, theirs) = (key(), key());
    let script = Script {
        types: [Some(&[RAW]), Some(&[X509, RAW])],
        ..Script::new(raw(&theirs))
    };
    let server = server_with(&own).client_authentication(demanding(&theirs));
    let outcome = our_server(Versions::V1_3, server, &script);
    let block = &outcome.body(ENCRYPTED_EXTENSIONS).unwrap()[2..];
    let mut granted = extensions(block);
    granted.retain(|(typ, _)| [19, SERVER_CERTIFICATE_TYPE].contains(typ));
    assert_eq!(granted, [(19, vec![RAW]), (20, vec![RAW])]);
    // legacy_version (2), random (32), an empty session ID (1), suite (2), compression (1), length.
    let hello = outcome.body(SERVER_HELLO).unwrap();
    let types: Vec<_> = extensions(&hello[40..]).iter().map(|it| it.0).collect();
    assert!(!types.contains(&19) && !types.contains(&20), "{types:?}");

    for typ in [19, SERVER_CERTIFICATE_TYPE] {
        let outcome = misplaced(typ, &theirs);
        let expected = PeerMisbehaved::IllegalExtension(typ).into();
        assert_eq!(outcome, Some(expected));
    }
}

/// What a client says to a ServerHello of 1.3 with this extension.
fn misplaced(typ: u16, theirs: &RawKey) -> Option<Error> {
    use sealgram::sim::StreamEnd;
    use sealgram::sim::scripted13::{Line, ScriptedPeer};
    let now = crate::common::configs::start();
    let name = crate::common::configs::server_name();
    let client = client_of(theirs).versions(Versions::V1_3).build().unwrap();
    let client = sealgram::TlsConnection::connect(now, Arc::new(client), name).unwrap();
    let mut ours = StreamEnd::new(client);
    let mut peer = ScriptedPeer::server(raw(theirs));
    peer.hear(&ours.transmit(now));
    peer.choice.set_extension(typ, &[RAW]);
    let hello = peer.speak(&[Line::ServerHello]);
    ours.deliver(now, &hello);
    ours.error.clone()
}

/// Both ends with these raw keys, which pin each other.
fn mutual(client: &RawKey, server: &RawKey) -> (ClientConfigBuilder, ServerConfigBuilder) {
    (
        client_of(server).add_credential(raw(client)),
        server_with(server).client_authentication(demanding(client)),
    )
}

/// RFC 7250 §4.2, RFC 7925 §4.3: keys of every kind sign for themselves as they do for a
/// certificate, at both ends, over both transports; a signature of a scheme that was not offered, a
/// wrong one, and at 1.2 a curve that was not offered are refused.
#[test]
fn n58_09_signatures_are_checked_as_with_certificates() {
    let keys = [
        (
            raw_key(&rcgen::PKCS_ECDSA_P256_SHA256),
            SignatureScheme::ECDSA_SECP256R1_SHA256,
        ),
        (
            raw_key(&rcgen::PKCS_ECDSA_P384_SHA384),
            SignatureScheme::ECDSA_SECP384R1_SHA384,
        ),
        (raw_key(&rcgen::PKCS_ED25519), SignatureScheme::ED25519),
        (raw_rsa_key(), SignatureScheme::RSA_PSS_RSAE_SHA256),
    ];
    for versions in VERSIONS {
        for (key, scheme) in &keys {
            for transport in BOTH {
                let (client, server) = mutual(key, key);
                let configs = crate::common::configs::Configs {
                    client: Arc::new(client.versions(versions).build().unwrap()),
                    server: Arc::new(server.versions(versions).build().unwrap()),
                };
                let duo = Duo::connected(transport, &configs);
                for side in SIDES {
                    let identity = duo.identity(side).unwrap();
                    assert_eq!(identity.raw_public_key(), Some(key.public_key()));
                    assert_eq!(duo.scheme(side), Some(*scheme));
                }
            }
            let others = keys
                .iter()
                .map(|(_, other)| *other)
                .filter(|it| it != scheme);
            let others: Vec<_> = others.collect();
            let schemes = Algorithms::default().signature_schemes(&others).unwrap();
            let script = Script {
                types: [Some(&[RAW]), Some(&[RAW])],
                asks: true,
                ..Script::new(raw(key))
            };
            let (client, server) = mutual(key, key);
            let mut outcomes = vec![our_server(
                versions,
                server.algorithms(schemes.clone()),
                &script,
            )];
            // The scripted server of 1.2 has suites for ECDSA alone.
            if versions == Versions::V1_3 || *scheme != SignatureScheme::RSA_PSS_RSAE_SHA256 {
                outcomes.push(our_client(versions, client.algorithms(schemes), &script));
            }
            for outcome in outcomes {
                let expected = PeerMisbehaved::SignedWithUnofferedScheme(*scheme);
                assert_eq!(outcome.error, Some(expected.into()), "{versions:?}");
            }
        }
        // The signature of another key.
        let shown = keys[0].0.public_key().clone();
        let foreign = move |body: &mut Vec<u8>| *body = form(versions, &shown);
        let script = Script {
            types: [Some(&[RAW]), Some(&[RAW])],
            asks: true,
            alter: &foreign,
            ..Script::new(raw(&raw_key(&rcgen::PKCS_ECDSA_P256_SHA256)))
        };
        let (client, server) = mutual(&keys[0].0, &keys[0].0);
        for outcome in [
            our_client(versions, client, &script),
            our_server(versions, server, &script),
        ] {
            assert_eq!(outcome.error, Some(PeerMisbehaved::BadSignature.into()));
        }
    }
    let script = Script {
        types: [None, Some(&[RAW])],
        ..Script::new(raw(&keys[1].0))
    };
    let groups = [NamedGroup::X25519, NamedGroup::SECP256R1];
    let client = client_of(&keys[1].0).algorithms(Algorithms::default().groups(&groups).unwrap());
    let outcome = our_client(Versions::V1_2, client, &script);
    assert_eq!(outcome.error, Some(CertificateError::WrongCurve.into()));
}

/// RFC 7250 §4.3: nobody is accepted unless it is known beforehand, and a refusal is fatal at both
/// ends. No verifier takes raw keys unless it says so.
#[test]
fn n58_10_unknown_keys_are_refused_at_both_ends() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let known = key();
    let script = Script {
        types: [Some(&[RAW]), Some(&[RAW])],
        asks: true,
        ..Script::new(raw(&key()))
    };
    for versions in VERSIONS {
        let nobody = || Arc::new(PinnedKeys::default());
        let client = ClientConfig::with_verifier(nobody()).add_credential(raw(&known));
        let server =
            server_with(&known).client_authentication(ClientAuthentication::Optional(nobody()));
        let (strict_client, strict_server) = mutual(&known, &known);
        for outcome in [
            our_client(versions, client, &script),
            our_client(versions, strict_client, &script),
            our_server(versions, server, &script),
            our_server(versions, strict_server, &script),
        ] {
            let expected = CertificateError::FingerprintMismatch;
            assert_eq!(outcome.error, Some(expected.into()), "{versions:?}");
            assert!(!outcome.complete);
        }
    }
    let roots = WebPkiClientVerifier::new(pki.roots()).unwrap();
    assert_eq!(VerifyClient::kinds(&roots), [CertificateKind::X509]);
}

/// RFC 7250 §4.2: the type is agreed on anew in each handshake, so an end that is allowed to change
/// its identity can show another kind in a renegotiation; one that is not must show the same key.
#[test]
fn n58_11_a_renegotiation_agrees_on_types_anew_and_pins_the_key() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for allowed in [true, false] {
        for transport in BOTH {
            let policy = match allowed {
                true => IdentityChange::Allow,
                false => IdentityChange::Refuse,
            };
            let client = ClientConfig::with_verifier(Arc::new(Anything))
                .rekey(RekeyPolicy::default().identity_change(policy));
            let answers = Arc::new(Alternating {
                credentials: [raw(&key()), pki.server(&rcgen::PKCS_ED25519)],
                next: Default::default(),
            });
            let ends = Ends {
                pki: Pki::new(&rcgen::PKCS_ED25519),
                client: client.versions(Versions::V1_2).session_store(None),
                server: ServerConfig::without_credential()
                    .answers(answers)
                    .rekey(willing())
                    .versions(Versions::V1_2),
            };
            let mut duo = Duo::connected(transport, &ends.build());
            let kind = |duo: &Duo| duo.identity(Side::Client).unwrap().certificate_kind();
            assert_eq!(kind(&duo), Some(CertificateKind::RawPublicKey));
            duo.renegotiate(Side::Client, false).unwrap();
            duo.settle();
            let changed = CertificateError::IdentityChanged.into();
            assert_eq!(duo.error(Side::Client), (!allowed).then_some(changed));
            if allowed {
                assert_eq!(kind(&duo), Some(CertificateKind::X509));
            }
        }
    }
}

/// A client that takes everything, raw keys too.
#[derive(Debug)]
struct Anything;

impl VerifyServer for Anything {
    fn verify(
        &self,
        _: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        Ok(())
    }

    fn kinds(&self) -> &[CertificateKind] {
        &[CertificateKind::RawPublicKey, CertificateKind::X509]
    }
}

/// Shows one credential after the other.
#[derive(Debug)]
struct Alternating {
    credentials: [Credential; 2],
    next: std::sync::atomic::AtomicUsize,
}

impl sealgram::server::AnswerHello for Alternating {
    fn answer(
        &self,
        hello: &sealgram::server::ReceivedHello,
    ) -> Result<sealgram::server::HelloAnswer, sealgram::AlertDescription> {
        let expected = [CertificateKind::RawPublicKey, CertificateKind::X509];
        assert_eq!(hello.certificate_kinds, expected);
        let next = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let credential = self.credentials[next % 2].clone();
        Ok(sealgram::server::HelloAnswer::default().add_credential(credential))
    }
}

/// RFC 7250 §3 has no form for a client of 1.2 without a key. An empty one means none, as at 1.3;
/// of a server it is an error.
#[test]
fn n58_12_an_empty_key_at_1_2_is_none() {
    let (own, theirs) = (key(), key());
    let script = Script {
        credential: None,
        types: [Some(&[RAW]), None],
        asks: true,
        alter: &|_| {},
    };
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for versions in VERSIONS {
        let server = |policy: ClientAuthentication| {
            let server = ServerConfig::with_credential(pki.server(&rcgen::PKCS_ED25519));
            server.client_authentication(policy)
        };
        let optional = server(ClientAuthentication::Optional(pinned(&theirs)));
        let outcome = our_server(versions, optional, &script);
        assert!(outcome.complete, "{versions:?} {outcome:?}");
        let outcome = our_server(versions, server(demanding(&theirs)), &script);
        let expected = match versions {
            Versions::V1_2 => PeerIncompatible::ClientCertificateRequired,
            _ => PeerIncompatible::ClientCertificateMissing,
        };
        assert_eq!(outcome.error, Some(expected.into()));
    }
    let script = Script {
        types: [None, Some(&[RAW])],
        alter: &|body| *body = vec![0; 3],
        ..Script::new(raw(&own))
    };
    let outcome = our_client(Versions::V1_2, client_of(&own), &script);
    assert_eq!(outcome.error, Some(CertificateError::Missing.into()));
}
