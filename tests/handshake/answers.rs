//! What an application says in the middle of a handshake: which certificate a name gets, which
//! protocol is spoken, what is shown to a server that asks, and who is turned away.

use crate::common::configs::{Configs, Ends, SERVER, server_name, start};
use sealgram::client::{AnswerRequest, ReceivedRequest, RequestAnswer};
use sealgram::config::{Algorithms, Versions};
use sealgram::error::ConfigError;
use sealgram::identity::{Credential, Identity, WebPkiClientVerifier};
use sealgram::pki_types::{ServerName, UnixTime};
use sealgram::server::{AnswerHello, ClientAuthentication, HelloAnswer, ReceivedHello};
use sealgram::sim::StreamPair;
use sealgram::{AlertDescription, Error, ServerConfig, SignatureScheme, TlsConnection};
use std::sync::{Arc, Mutex};

const OTHER: &str = "other.test";

/// What is said to everybody, and what was asked.
#[derive(Debug, Default)]
struct Says {
    hello: Option<Result<HelloAnswer, AlertDescription>>,
    request: Option<Result<RequestAnswer, AlertDescription>>,
    hellos: Mutex<Vec<ReceivedHello>>,
    requests: Mutex<Vec<ReceivedRequest>>,
}

impl AnswerHello for Says {
    fn answer(&self, hello: &ReceivedHello) -> Result<HelloAnswer, AlertDescription> {
        self.hellos.lock().unwrap().push(hello.clone());
        self.hello.clone().unwrap()
    }
}

impl AnswerRequest for Says {
    fn answer(&self, request: &ReceivedRequest) -> Result<RequestAnswer, AlertDescription> {
        self.requests.lock().unwrap().push(request.clone());
        self.request.clone().unwrap()
    }
}

fn streams(configs: &Configs, name: ServerName<'static>) -> StreamPair {
    let (client, server) = (configs.client.clone(), configs.server.clone());
    let mut pair = StreamPair::new(start(), client, server, name).unwrap();
    pair.run();
    pair
}

fn leaf(connection: &TlsConnection) -> Option<Vec<u8>> {
    connection
        .peer_identity()?
        .certificates()
        .first()
        .map(|leaf| leaf.to_vec())
}

fn first(credential: &Credential) -> Vec<u8> {
    let Credential::Certificate(certified) = credential else {
        unreachable!()
    };
    certified.chain()[0].to_vec()
}

/// A server with a certificate for each name.
#[derive(Debug)]
struct ByName(Credential);

impl AnswerHello for ByName {
    fn answer(&self, hello: &ReceivedHello) -> Result<HelloAnswer, AlertDescription> {
        match hello.server_name.as_deref() {
            Some(OTHER) => Ok(HelloAnswer::default().add_credential(self.0.clone())),
            Some(SERVER) => Ok(HelloAnswer::default()),
            _ => Err(AlertDescription::UNRECOGNIZED_NAME),
        }
    }
}

#[test]
fn each_name_gets_its_certificate_and_strangers_are_turned_away() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut ends = Ends::with(&rcgen::PKCS_ED25519).versions(versions);
        // Of another kind than what is configured: its suites must not be missing.
        let other = ends
            .pki
            .leaf_with(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
                params.subject_alt_names = vec![rcgen::SanType::DnsName(OTHER.try_into().unwrap())];
            });
        ends.server = ends.server.answers(Arc::new(ByName(other.clone())));
        let configs = ends.build();
        let pair = streams(&configs, ServerName::try_from(OTHER).unwrap());
        assert_eq!(leaf(&pair.client.connection), Some(first(&other)));
        let pair = streams(&configs, server_name());
        assert!(leaf(&pair.client.connection).is_some_and(|leaf| leaf != first(&other)));
        let pair = streams(&configs, ServerName::try_from("third.test").unwrap());
        let turned_away = Error::Aborted(AlertDescription::UNRECOGNIZED_NAME);
        assert_eq!(pair.server.error, Some(turned_away));
        assert!(matches!(
            pair.client.error,
            Some(Error::AlertReceived { alert, .. })
                if alert.description == AlertDescription::UNRECOGNIZED_NAME
        ));
    }
}

/// A server may have nothing of its own to show. Then the answer brings it, or the client is
/// refused in clear words at both ends.
#[test]
fn a_server_without_a_credential_shows_what_the_answer_brings() {
    let nobody = ServerConfig::without_credential().build();
    assert_eq!(nobody.unwrap_err(), ConfigError::NoCredential);
    for versions in [Versions::V1_2, Versions::V1_3] {
        for (brings, expected) in [(true, None), (false, Some(Error::NoCredential))] {
            let mut ends = Ends::new().versions(versions);
            let credential = ends.pki.server(&rcgen::PKCS_ED25519);
            let nothing = HelloAnswer::default();
            let says = Says {
                hello: Some(Ok(match brings {
                    true => nothing.add_credential(credential),
                    false => nothing,
                })),
                ..Says::default()
            };
            let server = ServerConfig::without_credential().versions(versions);
            ends.server = server.answers(Arc::new(says));
            let pair = streams(&ends.build(), server_name());
            assert_eq!(pair.server.error, expected);
            let told = match &pair.client.error {
                Some(Error::AlertReceived { alert, .. }) => Some(alert.description),
                _ => None,
            };
            let refused = expected.map(|_| AlertDescription::HANDSHAKE_FAILURE);
            assert_eq!(told, refused);
        }
    }
}

/// RFC 7301 §3.2: one of the client's protocols, or none.
#[test]
fn the_answer_chooses_among_the_offered_protocols() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let told = |answer: Option<&[u8]>| {
            let mut ends = Ends::new().versions(versions);
            ends.client = ends.client.alpn(&[b"a", b"b"]).unwrap();
            ends.server = ends.server.alpn(&[b"a"]).unwrap();
            let says = Arc::new(Says {
                hello: Some(Ok(HelloAnswer::default().alpn(answer))),
                ..Says::default()
            });
            ends.server = ends.server.answers(says.clone());
            let pair = streams(&ends.build(), server_name());
            let hellos = says.hellos.lock().unwrap();
            assert_eq!(hellos[0].alpn, [b"a", b"b"]);
            assert_eq!(hellos[0].server_name.as_deref(), Some(SERVER));
            assert!(
                hellos[0]
                    .signature_schemes
                    .contains(&SignatureScheme::ED25519)
            );
            let chosen = pair.client.connection.alpn().map(<[u8]>::to_vec);
            (chosen, pair.server.error)
        };
        assert_eq!(told(Some(b"b")), (Some(b"b".to_vec()), None));
        assert_eq!(told(None), (None, None));
        for unusable in [&b"c"[..], b""] {
            assert_eq!(told(Some(unusable)), (None, Some(Error::UnusableReply)));
        }
        let alert = Error::UnusableReply.alert();
        assert_eq!(alert, Some(AlertDescription::INTERNAL_ERROR));
    }
}

/// RFC 8446 §4.1.2: a second hello is the same but for what was asked, so it is answered as the
/// first was.
#[test]
fn a_hello_is_answered_once_though_it_is_repeated() {
    let mut ends = Ends::new().versions(Versions::V1_3);
    ends.server = ends.server.algorithms(
        Algorithms::default()
            .groups(&[sealgram::NamedGroup::SECP384R1])
            .unwrap(),
    );
    ends.client = ends.client.alpn(&[b"a", b"b"]).unwrap();
    let says = Arc::new(Says {
        hello: Some(Ok(HelloAnswer::default().alpn(Some(b"b")))),
        ..Says::default()
    });
    ends.server = ends.server.answers(says.clone());
    let pair = streams(&ends.build(), server_name());
    assert!(pair.client.connection.is_hello_retried());
    assert_eq!(pair.client.connection.alpn(), Some(&b"b"[..]));
    assert_eq!(says.hellos.lock().unwrap().len(), 1);
}

/// RFC 5246 §7.4.4, RFC 8446 §4.3.2: what the server asks for is told, and the answer is what it
/// gets.
#[test]
fn the_answer_to_a_request_is_what_the_server_gets() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let told = |answer: &dyn Fn(&Ends) -> Result<RequestAnswer, AlertDescription>| {
            let mut ends = Ends::new().versions(versions);
            let verifier = WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
            let policy = ClientAuthentication::Optional(Arc::new(verifier));
            ends.server = ends.server.client_authentication(policy);
            let configured = ends.pki.client(&rcgen::PKCS_ED25519);
            ends.client = ends.client.add_credential(configured.clone());
            let says = Arc::new(Says {
                request: Some(answer(&ends)),
                ..Says::default()
            });
            ends.client = ends.client.answers(says.clone());
            let pair = streams(&ends.build(), server_name());
            let requests = says.requests.lock().unwrap();
            let [request] = &requests[..] else {
                panic!("{requests:?}")
            };
            assert!(
                request
                    .signature_schemes
                    .contains(&SignatureScheme::ED25519)
            );
            let types: &[u8] = if versions == Versions::V1_2 {
                &[64, 1]
            } else {
                &[]
            };
            assert_eq!(request.certificate_types, types);
            (
                leaf(&pair.server.connection),
                first(&configured),
                pair.client.error,
            )
        };
        let (seen, configured, _) = told(&|_| Ok(RequestAnswer::AsConfigured));
        assert_eq!(seen, Some(configured));
        let (seen, _, error) = told(&|_| Ok(RequestAnswer::Nothing));
        assert_eq!((seen, error), (None, None));
        let (seen, configured, _) = told(&|ends| {
            let other = ends.pki.client(&rcgen::PKCS_ED25519);
            Ok(RequestAnswer::Credential(other))
        });
        assert!(seen.is_some_and(|seen| seen != configured));
        let (seen, _, error) = told(&|_| Err(AlertDescription::USER_CANCELED));
        let refused = Error::Aborted(AlertDescription::USER_CANCELED);
        assert_eq!((seen, error), (None, Some(refused)));
    }
}

/// Says the same of every certificate, and of sessions too if it is asked.
#[derive(Debug)]
struct Verdict {
    again: bool,
    refuses: std::sync::atomic::AtomicBool,
    asked: std::sync::atomic::AtomicU32,
}

impl sealgram::identity::VerifyServer for Verdict {
    fn verify(
        &self,
        _: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), sealgram::error::CertificateError> {
        use std::sync::atomic::Ordering::Relaxed;
        self.asked.fetch_add(1, Relaxed);
        if self.refuses.load(Relaxed) {
            return Err(sealgram::error::CertificateError::Revoked);
        }
        Ok(())
    }

    fn verifies_resumed(&self) -> bool {
        self.again
    }
}

/// Who a server is was verified when its session was made, and is verified again where the verifier
/// wants that.
#[test]
fn a_server_that_resumes_is_verified_again_where_the_verifier_says_so() {
    use std::sync::atomic::Ordering::Relaxed;
    for versions in [Versions::V1_2, Versions::V1_3] {
        for again in [false, true] {
            let verdict = Arc::new(Verdict {
                again,
                refuses: false.into(),
                asked: 0.into(),
            });
            let ends = Ends::new().versions(versions);
            let client = sealgram::ClientConfig::with_verifier(verdict.clone());
            let configs = Configs {
                client: Arc::new(client.versions(versions).build().unwrap()),
                server: ends.build().server,
            };
            assert_eq!(streams(&configs, server_name()).client.error, None);
            let resumed = streams(&configs, server_name());
            let kind = resumed.client.connection.handshake_kind();
            assert_eq!(kind, Some(sealgram::HandshakeKind::Resumed));
            assert_eq!(verdict.asked.load(Relaxed), 1 + u32::from(again));
            verdict.refuses.store(true, Relaxed);
            let refused = streams(&configs, server_name()).client.error;
            let revoked = Error::InvalidCertificate(sealgram::error::CertificateError::Revoked);
            assert_eq!(refused, again.then_some(revoked));
        }
    }
}
