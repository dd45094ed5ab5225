//! Ends that can authenticate in several ways: with pre-shared keys, raw public keys and
//! certificates beside each other.

use crate::common::configs::{Configs, Ends, exact};
use crate::common::harness::Harness;
use crate::common::raw_keys::{client_of, demanding, raw_key};
use crate::common::renegotiating::allowing;
use crate::common::shared_keys::{
    ECDHE_PSK, IDENTITY, client, configs, key, named, scripted, server,
};
use crate::common::transport::{BOTH, Duo, SIDES, complete};
use sealgram::config::{IdentityChange, RekeyPolicy, Versions};
use sealgram::error::{CertificateError, PeerIncompatible, PeerMisbehaved};
use sealgram::identity::{
    ChooseSharedKey, Credential, Identity, PinnedKeys, RawKey, SharedKey, SharedKeys, VerifyClient,
};
use sealgram::pki_types::UnixTime;
use sealgram::server::{AnswerHello, ClientAuthentication, HelloAnswer, ReceivedHello};
use sealgram::session::{MemoryClientSessions, Tickets};
use sealgram::sim::scripted::{Line, ScriptedPeer};
use sealgram::{
    AlertDescription, ClientConfig, Error, HandshakeKind, NamedGroup, ServerConfig, Side,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// RFC 4279 §2, RFC 7250 §4: with a pre-shared key nobody shows a certificate, so that nothing is
/// said about their types: a client that takes raw public keys alone is served by a server that
/// has its key and nothing else.
#[test]
fn n58_05_a_pre_shared_key_needs_no_type_of_certificate() {
    for transport in BOTH {
        for versions in [Versions::V1_2, Versions::V1_3] {
            let client = client_of(&raw_key(&rcgen::PKCS_ED25519))
                .versions(versions)
                .datagram(exact())
                .session_store(None)
                .add_shared_key(key());
            let server = server([key()]).versions(versions);
            let mut duo = Duo::connected(transport, &configs(client, server));
            assert!(duo.exchange());
            for side in SIDES {
                let identity = duo.identity(side).unwrap();
                assert_eq!(identity.shared_key().unwrap().identity(), IDENTITY);
            }
        }
    }
}

/// 5.10.1: X25519MLKEM768 is for 1.3 alone, also under a suite with a pre-shared key, whose
/// exchange nobody signs.
#[test]
fn n510_01_a_client_with_a_key_refuses_the_hybrid_group_at_1_2() {
    let hybrid = NamedGroup::X25519MLKEM768;
    for transport in BOTH {
        let client = Ends::new().client.versions(Versions::ALL);
        let config = client.add_shared_key(key()).build().unwrap();
        let peer = ScriptedPeer::sharing_server(ECDHE_PSK[0].0, scripted());
        let mut harness = Harness::client(transport, Arc::new(config), peer);
        harness.play(&[Line::ServerHello]);
        harness.play_altered(&[Line::ServerKeyExchange], |_, body| {
            let [high, low] = hybrid.0.to_be_bytes();
            *body = [&[0, 0, 3, high, low, 200][..], &[9; 200]].concat();
        });
        let expected = PeerMisbehaved::SelectedUnofferedGroup(hybrid);
        assert_eq!(harness.error(), Some(Error::from(expected)));
    }
}

/// A session of a pre-shared key is not resumed by a server that takes no such keys any more, and
/// that could open its ticket: it shows its certificate.
#[test]
fn n56_15_without_keys_a_server_resumes_no_session_of_one() {
    for transport in BOTH {
        for keeps_keys in [true, false] {
            let ends = Ends::new().versions(Versions::V1_3);
            let tickets = Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
            let bare = ends.server.tickets(Some(tickets));
            let keyed = bare.clone().shared_keys(Arc::new(SharedKeys::new([key()])));
            let store = Arc::new(MemoryClientSessions::new(4));
            let client = ends.client.add_shared_key(key()).session_store(Some(store));
            let first = configs(client, keyed.clone());
            Duo::connected(transport, &first);
            let second = if keeps_keys { keyed } else { bare };
            let second = Configs {
                client: first.client.clone(),
                server: Arc::new(second.build().unwrap()),
            };
            let duo = Duo::connected(transport, &second);
            let kind = match keeps_keys {
                true => HandshakeKind::Resumed,
                false => HandshakeKind::Full,
            };
            assert!(duo.events(Side::Client).contains(&complete(kind, false)));
            let identity = duo.identity(Side::Client).unwrap();
            assert_eq!(identity.shared_key().is_some(), keeps_keys);
        }
    }
}

/// Gives these keys, one after the other.
#[derive(Debug)]
struct Given(Mutex<Vec<SharedKey>>);

impl Given {
    fn these(keys: impl Into<Vec<SharedKey>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(keys.into())))
    }
}

impl ChooseSharedKey for Given {
    fn choose(&self, _: &str, _: &[u8]) -> Option<SharedKey> {
        self.0.lock().unwrap().pop()
    }
}

/// K16: a key that a server of this process has used is not a client's, also if it is chosen late.
#[test]
fn n56_10_a_chosen_key_is_not_a_servers() {
    let theirs = key();
    Duo::connected(BOTH[1], &configs(client(key()), server([theirs.clone()])));
    for transport in BOTH {
        let choosing = ClientConfig::without_verifier()
            .versions(Versions::V1_2)
            .choose_shared_key(Given::these([theirs.clone()]));
        let mut duo = Duo::connecting(transport, &configs(choosing, server([key()])));
        duo.settle();
        let refused = Error::from(PeerIncompatible::NoSharedKey);
        assert_eq!(duo.error(Side::Client), Some(refused));
    }
}

/// E23 at a client: in a renegotiation it names no other key than before, whatever the server would
/// take, unless the policy lets that be.
#[test]
fn n54_11_a_client_names_no_other_key_in_a_renegotiation() {
    for transport in BOTH {
        for change in [IdentityChange::Refuse, IdentityChange::Allow] {
            let given = Given::these([named(b"another"), key()]);
            let policy = RekeyPolicy::default().identity_change(change);
            let client = client(key()).choose_shared_key(given).rekey(policy);
            let lenient = allowing(RekeyPolicy::default()).identity_change(IdentityChange::Allow);
            let server = server([key(), named(b"another")]).rekey(lenient);
            let mut duo = Duo::connected(transport, &configs(client, server));
            duo.renegotiate(Side::Client, false).unwrap();
            duo.settle();
            if change == IdentityChange::Allow {
                duo.assert_agreed(2);
                continue;
            }
            let changed = Error::from(CertificateError::IdentityChanged);
            assert_eq!(duo.error(Side::Client), Some(changed));
        }
    }
}

/// Judges every client as a certificate, and does not look again at those that resume.
#[derive(Debug)]
struct Certificates;

impl VerifyClient for Certificates {
    fn verify(&self, claimed: &Identity, _: UnixTime) -> Result<(), CertificateError> {
        assert!(!claimed.certificates().is_empty());
        Ok(())
    }

    fn verifies_resumed(&self) -> bool {
        false
    }
}

/// RFC 7250 §4: a session of a client with a raw public key is not resumed by a server that wants
/// certificates by now, whatever its verifier thinks of resumptions.
#[test]
fn n58_11_a_session_of_a_raw_key_is_none_where_certificates_are_wanted() {
    for transport in BOTH {
        for versions in [Versions::V1_2, Versions::V1_3] {
            let ends = Ends::new().versions(versions).resuming();
            let own = raw_key(&rcgen::PKCS_ED25519);
            let tickets = Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
            let server = ends.server.tickets(Some(tickets));
            let client = ends.client.add_credential(Credential::RawKey(own.clone()));
            let first = configs(
                client,
                server.clone().client_authentication(demanding(&own)),
            );
            Duo::connected(transport, &first);
            let policy = ClientAuthentication::Optional(Arc::new(Certificates));
            for (server, resumes) in [
                (server.clone().client_authentication(demanding(&own)), true),
                (server.client_authentication(policy), false),
            ] {
                let second = Configs {
                    client: first.client.clone(),
                    server: Arc::new(server.build().unwrap()),
                };
                let mut duo = Duo::connecting(transport, &second);
                duo.settle();
                let resumed = complete(HandshakeKind::Resumed, false);
                let events = duo.handshakes(Side::Server);
                assert_eq!(events.contains(&resumed), resumes, "{events:?}");
            }
        }
    }
}

/// Shows these keys, one after the other.
#[derive(Debug)]
struct Shown(Mutex<Vec<RawKey>>);

impl AnswerHello for Shown {
    fn answer(&self, _: &ReceivedHello) -> Result<HelloAnswer, AlertDescription> {
        let next = self.0.lock().unwrap().pop().unwrap();
        Ok(HelloAnswer::default().add_credential(Credential::RawKey(next)))
    }
}

/// E23 for raw keys: another key in a renegotiation is another end, also where both keys are
/// pinned, unless the policy lets that be.
#[test]
fn n58_11_another_raw_key_in_a_renegotiation_is_refused() {
    for transport in BOTH {
        for change in [IdentityChange::Refuse, IdentityChange::Allow] {
            let [one, other] = [(); 2].map(|()| raw_key(&rcgen::PKCS_ED25519));
            let pins = PinnedKeys::new([one.fingerprint(), other.fingerprint()]);
            let client = ClientConfig::with_verifier(Arc::new(pins))
                .versions(Versions::V1_2)
                .rekey(RekeyPolicy::default().identity_change(change));
            let shown = Shown(Mutex::new(vec![other.clone(), one]));
            let server = ServerConfig::without_credential()
                .versions(Versions::V1_2)
                .answers(Arc::new(shown))
                .rekey(allowing(RekeyPolicy::default()));
            let mut duo = Duo::connected(transport, &configs(client, server));
            duo.renegotiate(Side::Client, false).unwrap();
            duo.settle();
            if change == IdentityChange::Allow {
                duo.assert_agreed(2);
                let identity = duo.identity(Side::Client).unwrap();
                assert_eq!(identity.raw_public_key(), Some(other.public_key()));
                continue;
            }
            let changed = Error::from(CertificateError::IdentityChanged);
            assert_eq!(duo.error(Side::Client), Some(changed));
        }
    }
}
