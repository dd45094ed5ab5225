//! Every kind of identity through everything that an association does: who the peer is does not
//! change, and both ends can tell.

use crate::common::configs::{Configs, Ends};
use crate::common::handshakes::willing;
use crate::common::raw_keys::{client_of, demanding, raw_key, server_with};
use crate::common::shared_keys;
use crate::common::transport::{BOTH, Duo, SIDES, Transport, complete};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::Versions;
use sealgram::identity::{Credential, Identity, RawKey};
use sealgram::server::ServerConfigBuilder;
use sealgram::session::MemoryClientSessions;
use sealgram::{AlertDescription, HandshakeKind, KeyUpdate, Side, TlsConnection};
use std::sync::Arc;
use std::time::Instant;

/// Two ends that know each other by one kind of identity.
struct Subject {
    client: ClientConfigBuilder,
    server: ServerConfigBuilder,
    /// What the client learns of the server, and the server of the client.
    identities: [Option<Identity>; 2],
}

/// A kind of identity. A new one is a row here.
struct Row {
    name: &'static str,
    subject: fn() -> Subject,
}

const ROWS: [Row; 3] = [
    Row {
        name: "certificate",
        subject: certificates,
    },
    Row {
        name: "raw key",
        subject: raw_keys,
    },
    Row {
        name: "shared key",
        subject: shared_keys,
    },
];

fn certificates() -> Subject {
    let ends = Ends::new();
    let own = ends.pki.client(&rcgen::PKCS_ED25519);
    let theirs = ends.pki.server(&rcgen::PKCS_ED25519);
    let Ends { client, server, .. } = ends.mutual_with(own.clone());
    let chain = |credential: &Credential| match credential {
        Credential::Certificate(certified) => Identity::Certificate(certified.chain().into()),
        _ => panic!("a chain of certificates"),
    };
    let answers = Arc::new(Fixed(theirs.clone()));
    Subject {
        client,
        server: server.answers(answers),
        identities: [Some(chain(&theirs)), Some(chain(&own))],
    }
}

/// Shows one credential.
#[derive(Debug)]
struct Fixed(Credential);

impl sealgram::server::AnswerHello for Fixed {
    fn answer(
        &self,
        _: &sealgram::server::ReceivedHello,
    ) -> Result<sealgram::server::HelloAnswer, AlertDescription> {
        Ok(sealgram::server::HelloAnswer::default().add_credential(self.0.clone()))
    }
}

fn raw_keys() -> Subject {
    let (own, theirs) = (raw_key(&rcgen::PKCS_ED25519), raw_key(&rcgen::PKCS_ED25519));
    let identity = |key: &RawKey| Some(Identity::RawPublicKey(Arc::new(key.public_key().clone())));
    Subject {
        client: client_of(&theirs).add_credential(Credential::RawKey(own.clone())),
        server: server_with(&theirs).client_authentication(demanding(&own)),
        identities: [identity(&theirs), identity(&own)],
    }
}

/// The same key at 1.2 and as an external one at 1.3: each end names it, and so the other.
fn shared_keys() -> Subject {
    let identity = Some(Identity::SharedKey(Arc::new(
        shared_keys::key().name().clone(),
    )));
    Subject {
        client: shared_keys::client(shared_keys::key()),
        server: shared_keys::server([shared_keys::key()]),
        identities: [identity.clone(), identity],
    }
}

/// What happens to the association before one looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Full,
    Resumed,
    /// A full renegotiation; version 1.3 has none.
    Renegotiated,
    /// The same with the session in force.
    RenegotiatedAbbreviated,
    /// New keys without a handshake; version 1.2 has none.
    KeyUpdate,
}

impl Course {
    const ALL: [Self; 5] = [
        Self::Full,
        Self::Resumed,
        Self::Renegotiated,
        Self::RenegotiatedAbbreviated,
        Self::KeyUpdate,
    ];

    fn exists_at(self, versions: Versions) -> bool {
        match self {
            Self::Full | Self::Resumed => true,
            Self::Renegotiated | Self::RenegotiatedAbbreviated => versions == Versions::V1_2,
            Self::KeyUpdate => versions == Versions::V1_3,
        }
    }
}

fn run(course: Course, transport: Transport, configs: &Configs) -> Duo {
    let mut duo = Duo::connected(transport, configs);
    match course {
        Course::Full => {}
        Course::Resumed => {
            // Tickets of 1.3 come after the handshake.
            duo.settle();
            duo = Duo::connected(transport, configs);
            for side in SIDES {
                let resumed = complete(HandshakeKind::Resumed, false);
                assert!(
                    duo.events(side).contains(&resumed),
                    "{:?}",
                    duo.events(side)
                );
            }
        }
        Course::Renegotiated | Course::RenegotiatedAbbreviated => {
            let abbreviated = course == Course::RenegotiatedAbbreviated;
            duo.renegotiate(Side::Client, abbreviated).unwrap();
            duo.settle();
            let kind = match abbreviated {
                true => HandshakeKind::Resumed,
                false => HandshakeKind::Full,
            };
            for side in SIDES {
                assert!(duo.events(side).contains(&complete(kind, true)), "{side}");
            }
        }
        Course::KeyUpdate => {
            let before = duo.epoch(Side::Server);
            duo.key_update(Side::Client, KeyUpdate::Requested).unwrap();
            duo.settle();
            assert!(duo.exchange() && duo.epoch(Side::Server) > before);
        }
    }
    duo
}

/// What the table must hold: each kind of identity, through each course that its version has, over
/// each transport.
const COMBINATIONS: [&str; 42] = [
    "certificate, Full, Dtls, 1.2",
    "certificate, Full, Tls, 1.2",
    "certificate, Full, Dtls, 1.3",
    "certificate, Full, Tls, 1.3",
    "certificate, Resumed, Dtls, 1.2",
    "certificate, Resumed, Tls, 1.2",
    "certificate, Resumed, Dtls, 1.3",
    "certificate, Resumed, Tls, 1.3",
    "certificate, Renegotiated, Dtls, 1.2",
    "certificate, Renegotiated, Tls, 1.2",
    "certificate, RenegotiatedAbbreviated, Dtls, 1.2",
    "certificate, RenegotiatedAbbreviated, Tls, 1.2",
    "certificate, KeyUpdate, Dtls, 1.3",
    "certificate, KeyUpdate, Tls, 1.3",
    "raw key, Full, Dtls, 1.2",
    "raw key, Full, Tls, 1.2",
    "raw key, Full, Dtls, 1.3",
    "raw key, Full, Tls, 1.3",
    "raw key, Resumed, Dtls, 1.2",
    "raw key, Resumed, Tls, 1.2",
    "raw key, Resumed, Dtls, 1.3",
    "raw key, Resumed, Tls, 1.3",
    "raw key, Renegotiated, Dtls, 1.2",
    "raw key, Renegotiated, Tls, 1.2",
    "raw key, RenegotiatedAbbreviated, Dtls, 1.2",
    "raw key, RenegotiatedAbbreviated, Tls, 1.2",
    "raw key, KeyUpdate, Dtls, 1.3",
    "raw key, KeyUpdate, Tls, 1.3",
    "shared key, Full, Dtls, 1.2",
    "shared key, Full, Tls, 1.2",
    "shared key, Full, Dtls, 1.3",
    "shared key, Full, Tls, 1.3",
    "shared key, Resumed, Dtls, 1.2",
    "shared key, Resumed, Tls, 1.2",
    "shared key, Resumed, Dtls, 1.3",
    "shared key, Resumed, Tls, 1.3",
    "shared key, Renegotiated, Dtls, 1.2",
    "shared key, Renegotiated, Tls, 1.2",
    "shared key, RenegotiatedAbbreviated, Dtls, 1.2",
    "shared key, RenegotiatedAbbreviated, Tls, 1.2",
    "shared key, KeyUpdate, Dtls, 1.3",
    "shared key, KeyUpdate, Tls, 1.3",
];

fn configs(subject: Subject, versions: Versions) -> Configs {
    let store = Arc::new(MemoryClientSessions::new(4));
    let client = subject.client.session_store(Some(store));
    let server = subject.server.rekey(willing());
    Configs {
        client: Arc::new(client.versions(versions).build().unwrap()),
        server: Arc::new(server.versions(versions).build().unwrap()),
    }
}

/// E23, F3, RFC 7250: whatever an association does, both ends know the identities of its first
/// handshake.
#[test]
fn each_kind_of_identity_lasts_through_everything_that_an_association_does() {
    let mut names = Vec::new();
    for row in &ROWS {
        for course in Course::ALL {
            for (versions, number) in [(Versions::V1_2, "1.2"), (Versions::V1_3, "1.3")] {
                if !course.exists_at(versions) {
                    continue;
                }
                for transport in BOTH {
                    let name = format!("{}, {course:?}, {transport:?}, {number}", row.name);
                    let subject = (row.subject)();
                    let identities = subject.identities.clone();
                    let mut duo = run(course, transport, &configs(subject, versions));
                    let found = SIDES.map(|side| duo.identity(side));
                    assert_eq!(found, identities, "{name}");
                    assert!(duo.exchange(), "{name}");
                    let session = duo.session(Side::Client);
                    let remembered = session.map(|it| it.peer_identity().cloned());
                    if let Some(remembered) = remembered {
                        assert_eq!(remembered, identities[0], "{name}");
                    }
                    names.push(name);
                }
            }
        }
    }
    assert_eq!(names, COMBINATIONS);
}

/// How a connection ends.
type End = fn(&mut TlsConnection, Instant);

/// The last message of the handshake, data, and the end of the stream may all come in one turn:
/// what the application hears of then still has a sender.
#[test]
fn both_ends_can_tell_who_the_peer_was_when_the_connection_is_over() {
    let ends: [(&str, End); 3] = [
        ("closed", |it, now| it.close(now)),
        ("aborted", |it, _| it.abort(AlertDescription::ACCESS_DENIED)),
        ("cut off", |it, _| it.handle_eof().unwrap()),
    ];
    for row in &ROWS {
        for versions in [Versions::V1_2, Versions::V1_3] {
            for (name, end) in ends {
                let subject = (row.subject)();
                let identities = subject.identities.clone();
                let Duo::Tls(mut pair) =
                    Duo::connected(Transport::Tls, &configs(subject, versions))
                else {
                    panic!("a stream");
                };
                let now = pair.now;
                for (it, identity) in [&mut pair.client, &mut pair.server]
                    .into_iter()
                    .zip(&identities)
                {
                    let it = &mut it.connection;
                    let said = |it: &TlsConnection| {
                        let (version, suite) = (it.version(), it.cipher_suite());
                        (
                            version,
                            suite,
                            it.key_exchange_group(),
                            it.epoch(),
                            it.handshake_kind(),
                        )
                    };
                    let before = said(it);
                    end(it, now);
                    assert!(it.is_write_closed(), "{name}");
                    assert_eq!(
                        it.peer_identity(),
                        identity.as_ref(),
                        "{}, {name}",
                        row.name
                    );
                    assert_eq!(it.peer_identity_in(it.epoch()), identity.as_ref());
                    assert_eq!(said(it), before, "{}, {name}", row.name);
                    let exported = it.export_keying_material(&mut [0; 32], b"EXPORTER-x", None);
                    assert_eq!(exported.is_err(), it.is_closed(), "no secret is left");
                }
            }
        }
    }
}
