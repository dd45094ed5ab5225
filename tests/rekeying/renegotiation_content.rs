//! Section E of the failure catalogue at version 1.2, over both transports: renegotiation opposite
//! a scripted peer.
//!
//! * E1, E2, E20: `*_renegotiation_info_*`
//! * E3, E23: `extended_master_secret_…`, `*_becomes_somebody_else_*`
//! * E4, E5: `each_extension_…`, `each_field_…`
//! * E6–E8, E15, E16, E19, E21: `tests/rekeying/renegotiation_loss.rs`
//! * E9: `a_certificate_is_shown_exactly_when_it_is_asked_for`
//! * E10, E11, E14, E22: `tests/rekeying/refusals.rs`
//! * E12: `the_second_handshake_offers_and_takes_what_the_first_did`
//! * E13: `record/datagram/records/epochs.rs`: no test can send 2^48 records; the automatic one
//!   counts records in 64 bits
//! * E17: `tests/rekeying/peer_profiles.rs`: a peer that sends HelloVerifyRequest;
//!   `no_cookie_is_demanded_…` here
//! * E18: `tests/sessions/server.rs`, `tests/rekeying/peer_profiles.rs`; with real peers in
//!   `interop/`
//! * E24: connection IDs do not exist yet

use crate::common::configs::{Ends, SERVER};
use crate::common::datagram_harness::{
    ASKING_SERVER_FLIGHT, CLIENT_FLIGHT, EXTENDED_MASTER_SECRET, FATAL, FINALE,
    PROVING_CLIENT_FLIGHT, RENEGOTIATION_INFO, SERVER_FLIGHT, SUPPORTED_GROUPS, scripted_client,
    scripted_server,
};
use crate::common::harness::{
    ALPN, CERTIFICATE, CERTIFICATE_REQUEST, EC_POINT_FORMATS, HANDSHAKE_FAILURE, HELLO_REQUEST,
    HELLO_VERIFY_REQUEST, Harness, ILLEGAL_PARAMETER, SERVER_HELLO, SERVER_NAME, SESSION_TICKET,
    SIGNATURE_ALGORITHMS,
};
use crate::common::renegotiating::{allowing, connected, connected_with, everywhere};
use crate::common::transport::{BOTH, Transport};
use sealgram::config::{ExtendedMasterSecret, IdentityChange, RekeyPolicy};
use sealgram::error::{CertificateError, PeerMisbehaved};
use sealgram::sim::scripted::{ClientOffer, Heard, Line, ScriptedPeer, ServerChoice};
use sealgram::{Error, Side};

#[test]
fn scripted_peers_that_behave_are_followed_from_epoch_to_epoch() {
    everywhere(|side, transport, called| {
        let mut harness = connected(side, transport);
        for epoch in 2..6 {
            harness.begin(side, called);
            harness.finish(side, epoch);
        }
    });
}

/// RFC 6347 §4.2.2: both ends count from 0 again; a HelloRequest is the first message of its
/// handshake.
#[test]
fn messages_of_a_renegotiation_are_numbered_from_zero() {
    for called in [true, false] {
        let mut harness = connected(Side::Server, Transport::Dtls);
        let before = harness.heard();
        harness.begin(Side::Server, called);
        harness.finish(Side::Server, 2);
        let numbers: Vec<(u8, u16)> = harness.peer().heard[before..]
            .iter()
            .filter_map(|heard| match heard {
                Heard::Message { typ, seq, .. } => Some((*typ, *seq)),
                _ => None,
            })
            .collect();
        let mut expected = vec![2, 11, 12, 14, 20];
        if called {
            expected.insert(0, HELLO_REQUEST);
        }
        let expected: Vec<(u8, u16)> = expected.into_iter().zip(0..).collect();
        assert_eq!(numbers, expected);
    }
}

/// A renegotiation whose ClientHello was altered; our end is the server. What it says of it.
fn served(
    transport: Transport,
    called: bool,
    alter: &dyn Fn(&mut ClientOffer),
) -> Result<(), Error> {
    let mut ends = Ends::new();
    ends.server = ends.server.alpn(&[b"a", b"b"]).unwrap();
    let mut harness = connected_with(Side::Server, transport, ends, RekeyPolicy::default());
    harness.peer().renegotiate();
    if called {
        harness.renegotiate(false).unwrap();
    }
    alter(&mut harness.peer().offer);
    harness.play(&[Line::ClientHello]);
    if let Some(error) = harness.error() {
        assert!(!harness.is_alive());
        let alert = harness.peer().alerts_heard();
        assert_eq!(alert.len(), 1, "{error:?}");
        assert_eq!(alert[0].0, FATAL, "{error:?}");
        return Err(error);
    }
    harness.finish(Side::Server, 2);
    Ok(())
}

/// The same with a ServerHello; our end is the client.
fn believed(
    transport: Transport,
    called: bool,
    alter: &dyn Fn(&mut ServerChoice),
) -> Result<(), Error> {
    let mut ends = Ends::new();
    ends.client = ends.client.alpn(&[b"a", b"b"]).unwrap();
    let mut harness = connected_with(Side::Client, transport, ends, RekeyPolicy::default());
    harness.begin(Side::Client, called);
    alter(&mut harness.peer().choice);
    harness.play(&[Line::ServerHello]);
    if let Some(error) = harness.error() {
        assert!(!harness.is_alive());
        let alert = harness.peer().alerts_heard();
        assert_eq!(alert.len(), 1, "{error:?}");
        assert_eq!(alert[0].0, FATAL, "{error:?}");
        return Err(error);
    }
    harness.play(&SERVER_FLIGHT[1..]);
    harness.play(&FINALE);
    harness.assert_done(2);
    Ok(())
}

fn misbehaved(fact: PeerMisbehaved) -> Result<(), Error> {
    Err(Error::PeerMisbehaved(fact))
}

/// A change with its name.
type Change<T> = (&'static str, fn(&mut T));

/// E1 (CVE-2009-3555), E2, E20, RFC 5746 §3.7: a ClientHello that is not bound to this association.
#[test]
fn a_client_hello_with_other_renegotiation_info_ends_the_association() {
    let wrong: &[Change<ClientOffer>] = &[
        ("none", |offer| offer.remove_extension(RENEGOTIATION_INFO)),
        ("empty", |offer| {
            offer.set_extension(RENEGOTIATION_INFO, &[0])
        }),
        ("SCSV beside it", |offer| offer.suites.push(0x00ff)),
        ("SCSV instead of it", |offer| {
            offer.suites.push(0x00ff);
            offer.remove_extension(RENEGOTIATION_INFO);
        }),
        ("other", |offer| {
            let mut info = offer.extension(RENEGOTIATION_INFO).unwrap().to_vec();
            info[12] ^= 1;
            offer.set_extension(RENEGOTIATION_INFO, &info);
        }),
        ("shorter", |offer| {
            let info = offer.extension(RENEGOTIATION_INFO).unwrap().to_vec();
            offer.set_extension(RENEGOTIATION_INFO, &[&[11], &info[1..12]].concat());
        }),
        ("longer", |offer| {
            let info = offer.extension(RENEGOTIATION_INFO).unwrap().to_vec();
            offer.set_extension(RENEGOTIATION_INFO, &[&[13], &info[1..], &[0]].concat());
        }),
    ];
    for transport in BOTH {
        for called in [true, false] {
            for (name, alter) in wrong {
                let expected = misbehaved(PeerMisbehaved::WrongRenegotiationInfo);
                assert_eq!(
                    served(transport, called, alter),
                    expected,
                    "{transport:?} {name}"
                );
            }
        }
    }
}

/// Both halves, as an honest server says them.
fn info(choice: &ServerChoice) -> Vec<u8> {
    choice.extension(RENEGOTIATION_INFO).unwrap()[1..].to_vec()
}

/// E1, E2, RFC 5746 §3.5: a ServerHello that is not bound to this association.
#[test]
fn a_server_hello_with_other_renegotiation_info_ends_the_association() {
    let wrong: &[Change<ServerChoice>] = &[
        ("none", |choice| choice.remove_extension(RENEGOTIATION_INFO)),
        ("empty", |choice| {
            choice.set_extension(RENEGOTIATION_INFO, &[0])
        }),
        ("the client's half", |choice| {
            let half = info(choice)[..12].to_vec();
            choice.set_extension(RENEGOTIATION_INFO, &[&[12], &half[..]].concat());
        }),
        ("exchanged halves", |choice| {
            let mut both = info(choice);
            both.rotate_left(12);
            choice.set_extension(RENEGOTIATION_INFO, &[&[24], &both[..]].concat());
        }),
        ("another last byte", |choice| {
            let mut both = info(choice);
            both[23] ^= 1;
            choice.set_extension(RENEGOTIATION_INFO, &[&[24], &both[..]].concat());
        }),
    ];
    for transport in BOTH {
        for called in [true, false] {
            for (name, alter) in wrong {
                let expected = misbehaved(PeerMisbehaved::WrongRenegotiationInfo);
                assert_eq!(
                    believed(transport, called, alter),
                    expected,
                    "{transport:?} {name}"
                );
            }
        }
    }
}

/// RFC 5746 §3.7: the alert that answers it.
#[test]
fn a_wrong_renegotiation_info_is_answered_with_handshake_failure() {
    everywhere(|side, transport, called| {
        let mut harness = connected(side, transport);
        harness.peer().renegotiate();
        if side == Side::Server {
            if called {
                harness.renegotiate(false).unwrap();
            }
            harness.peer().offer.remove_extension(RENEGOTIATION_INFO);
            harness.play(&[Line::ClientHello]);
        } else {
            harness.begin(side, called);
            harness.peer().choice.remove_extension(RENEGOTIATION_INFO);
            harness.play(&[Line::ServerHello]);
        }
        assert_eq!(harness.peer().alerts_heard(), [(FATAL, HANDSHAKE_FAILURE)]);
    });
}

/// E4 (OpenSSL CVE-2021-3449): a ClientHello that leaves out an extension of the one before.
#[test]
fn each_extension_that_a_client_leaves_out_has_its_outcome() {
    use sealgram::error::PeerIncompatible as Lacks;
    for transport in BOTH {
        for called in [true, false] {
            let without = |typ: u16| served(transport, called, &move |o| o.remove_extension(typ));
            let lacks = Err(Error::PeerIncompatible(Lacks::NoCommonSignatureScheme));
            assert_eq!(without(SIGNATURE_ALGORITHMS), lacks);
            let dropped = misbehaved(PeerMisbehaved::WrongRenegotiationInfo);
            assert_eq!(without(RENEGOTIATION_INFO), dropped);
            // E3, RFC 7627 §5.3. The policy that demands it comes first, and says the same to the
            // peer.
            let dropped = misbehaved(PeerMisbehaved::ExtendedMasterSecretDropped);
            assert_eq!(without(EXTENDED_MASTER_SECRET), dropped);
            assert_eq!(
                without(SERVER_NAME),
                misbehaved(PeerMisbehaved::ServerNameChanged)
            );
            assert_eq!(without(SUPPORTED_GROUPS), Ok(()));
            assert_eq!(without(EC_POINT_FORMATS), Ok(()));
        }
    }
}

/// E5 (OpenSSL CVE-2017-3733): a ClientHello that changes what was agreed, or names what nobody
/// knows.
#[test]
fn each_field_that_a_client_changes_has_its_outcome() {
    use sealgram::error::PeerIncompatible as Lacks;
    let lacks = |fact| Err(Error::PeerIncompatible(fact));
    for transport in BOTH {
        let change = |alter: &dyn Fn(&mut ClientOffer)| served(transport, false, alter);
        let other = b"\0\x0e\0\0\x0bother.tests";
        let renamed = change(&|offer| offer.set_extension(SERVER_NAME, other));
        assert_eq!(renamed, misbehaved(PeerMisbehaved::ServerNameChanged));
        // RFC 7301 §3.1: a protocol is agreed anew with every handshake.
        assert_eq!(
            change(&|offer| offer.set_extension(ALPN, b"\0\x02\x01b")),
            Ok(())
        );
        let strange = change(&|offer| offer.set_extension(ALPN, b"\0\x02\x01z"));
        assert_eq!(strange, lacks(Lacks::NoCommonApplicationProtocol));
        assert_eq!(
            change(&|offer| offer.suites = vec![0x002f]),
            lacks(Lacks::NoCommonCipherSuite)
        );
        assert_eq!(change(&|offer| offer.suites.reverse()), Ok(()));
        let empty = change(&|offer| offer.set_extension(SUPPORTED_GROUPS, &[0, 2, 0, 99]));
        assert_eq!(empty, lacks(Lacks::NoCommonGroup));
        let deflate = change(&|offer| offer.compression = vec![1]);
        assert_eq!(deflate, misbehaved(PeerMisbehaved::SelectedCompression));
        let old = change(&|offer| {
            offer.version = if transport == Transport::Tls {
                0x0302
            } else {
                0xfeff
            };
        });
        assert_eq!(old, lacks(Lacks::NoCommonVersion));
        // Encrypt-then-MAC, max_fragment_length, record_size_limit, connection_id: what is unknown
        // is ignored.
        for (typ, body) in [(22, &[][..]), (1, &[2]), (28, &[2, 0]), (54, &[0])] {
            assert_eq!(
                change(&|offer| offer.set_extension(typ, body)),
                Ok(()),
                "{typ}"
            );
        }
    }
}

/// E4, E5: the same for a ServerHello.
#[test]
fn each_change_of_a_server_has_its_outcome() {
    for transport in BOTH {
        for called in [true, false] {
            let change = |alter: &dyn Fn(&mut ServerChoice)| believed(transport, called, alter);
            let without = |typ: u16| change(&move |choice| choice.remove_extension(typ));
            let dropped = misbehaved(PeerMisbehaved::ExtendedMasterSecretDropped);
            assert_eq!(without(EXTENDED_MASTER_SECRET), dropped);
            assert_eq!(without(EC_POINT_FORMATS), Ok(()));
            assert_eq!(without(SERVER_NAME), Ok(()));
            assert_eq!(
                change(&|choice| choice.set_extension(ALPN, b"\0\x02\x01b")),
                Ok(())
            );
            let other = change(&|choice| choice.set_extension(ALPN, b"\0\x02\x01z"));
            assert_eq!(
                other,
                misbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol)
            );
            for typ in [1, 5, 22, 54, 61, SESSION_TICKET] {
                let body: &[u8] = match typ {
                    1 => &[1],
                    54 => &[0],
                    _ => &[],
                };
                let unsolicited = change(&|choice| choice.set_extension(typ, body));
                let expected = misbehaved(PeerMisbehaved::UnsolicitedExtension(typ));
                assert_eq!(unsolicited, expected);
            }
            let suite = change(&|choice| choice.suite = 0x002f);
            assert_eq!(
                suite,
                misbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite)
            );
            let deflate = change(&|choice| choice.compression = 1);
            assert_eq!(deflate, misbehaved(PeerMisbehaved::SelectedCompression));
            for version in [0x0302, 0x0304, 0xfeff, 0xfefc] {
                let other = change(&|choice| choice.version = version);
                let other_version = PeerMisbehaved::SelectedUnofferedVersion;
                let expected = misbehaved(other_version(sealgram::ProtocolVersion(version)));
                assert_eq!(other, expected);
            }
            // The ID of no session that was offered: a full handshake.
            assert_eq!(change(&|choice| choice.session_id = vec![7; 32]), Ok(()));
        }
    }
}

/// E12 (Mbed TLS 2.7.0): nothing is reset badly between two handshakes.
#[test]
fn the_second_handshake_offers_and_takes_what_the_first_did() {
    for transport in BOTH {
        let mut harness = connected(Side::Client, transport);
        let first = harness.peer().offer.clone();
        harness.begin(Side::Client, true);
        let mut second = harness.peer().offer.clone();
        assert_ne!(second.random, first.random);
        assert_eq!(second.extension(RENEGOTIATION_INFO).unwrap()[0], 12);
        second.random = first.random;
        second.set_extension(RENEGOTIATION_INFO, &[0]);
        assert_eq!(second, first);

        let ends = Ends::new().mutual();
        let peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
        let mut harness = Harness::server(transport, ends.build().server, peer);
        harness.visit(&PROVING_CLIENT_FLIGHT);
        harness.begin(Side::Server, true);
        harness.play(&PROVING_CLIENT_FLIGHT);
        harness.assert_done(2);
        let requests: Vec<Vec<u8>> = harness
            .peer()
            .heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Message { typ, body, .. } if *typ == CERTIFICATE_REQUEST => {
                    Some(body.clone())
                }
                _ => None,
            })
            .collect();
        assert!(requests.len() == 2 && requests[0] == requests[1]);
    }
}

/// E9 (OpenSSL #15096), RFC 5246 §7.4.6.
#[test]
fn a_certificate_is_shown_exactly_when_it_is_asked_for() {
    for transport in BOTH {
        let ends = Ends::new().mutual();
        let mut harness = Harness::client(transport, ends.client.build().unwrap().into(), {
            ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519))
        });
        // Another certificate would be another server, so all rounds are of one association.
        let rounds = [false, true, false, true, true, false];
        for (asks, epoch) in rounds.into_iter().zip(1..) {
            let before = harness.heard();
            if epoch > 1 {
                harness.begin(Side::Client, true);
            }
            harness.play(if asks {
                &ASKING_SERVER_FLIGHT
            } else {
                &SERVER_FLIGHT
            });
            harness.play(&FINALE);
            harness.assert_done(epoch);
            let heard = harness.messages_heard_since(before);
            assert_eq!(heard.contains(&CERTIFICATE), asks, "{transport:?} {epoch}");
        }
    }
}

/// E17: a server of ours demands no cookie inside an association, and takes any.
#[test]
fn no_cookie_is_demanded_in_a_renegotiation_and_any_is_taken() {
    for cookie in [&b""[..], b"a cookie that nobody gave", &[0; 255]] {
        let mut harness = connected(Side::Server, Transport::Dtls);
        let before = harness.heard();
        harness.peer().offer.cookie = cookie.to_vec();
        harness.begin(Side::Server, false);
        harness.finish(Side::Server, 2);
        let heard = harness.messages_heard_since(before);
        assert!(!heard.contains(&HELLO_VERIFY_REQUEST));
    }
}

/// E3, E23 (GnuTLS #1808), RFC 5746 §5: another server in a renegotiation.
#[test]
fn a_server_that_becomes_somebody_else_is_refused_unless_the_policy_allows_it() {
    for transport in BOTH {
        for change in [IdentityChange::Refuse, IdentityChange::Allow] {
            let ends = Ends::new();
            let other = ScriptedPeer::server(ends.pki.server(&rcgen::PKCS_ED25519));
            let chain = { other }.body(Line::Certificate);
            let policy = RekeyPolicy::default().identity_change(change);
            let mut harness = connected_with(Side::Client, transport, ends, policy);
            harness.begin(Side::Client, true);
            harness.play_altered(&SERVER_FLIGHT, |line, body| {
                if line == Line::Certificate {
                    body.clone_from(&chain);
                }
            });
            // The key exchange is signed by the other key: what is allowed must be proved as ever.
            let expected = match change {
                IdentityChange::Refuse => {
                    Error::InvalidCertificate(CertificateError::IdentityChanged)
                }
                _ => Error::PeerMisbehaved(PeerMisbehaved::BadSignature),
            };
            assert_eq!(harness.error(), Some(expected), "{transport:?}");
        }
    }
}

/// E3, E23: another client in a renegotiation, or none where there was one.
#[test]
fn a_client_that_becomes_somebody_else_is_refused() {
    for transport in BOTH {
        for shows in [true, false] {
            let ends = Ends::new().mutual();
            let verifier = sealgram::identity::WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
            let optional =
                sealgram::server::ClientAuthentication::Optional(std::sync::Arc::new(verifier));
            let peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
            let other = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
            let chain = { other }.body(Line::Certificate);
            let server = ends.server.client_authentication(optional);
            let mut harness = Harness::server(transport, server.build().unwrap().into(), peer);
            harness.visit(&PROVING_CLIENT_FLIGHT);
            harness.begin(Side::Server, true);
            if shows {
                harness.play_altered(&PROVING_CLIENT_FLIGHT, |line, body| {
                    if line == Line::Certificate {
                        body.clone_from(&chain);
                    }
                });
                // A thief of a certificate fails by the signature, before it is asked who it was.
                let expected = Error::PeerMisbehaved(PeerMisbehaved::BadSignature);
                assert_eq!(harness.error(), Some(expected));
            } else {
                harness.play_altered(&[Line::Certificate], |_, body| *body = vec![0, 0, 0]);
                harness.play(&CLIENT_FLIGHT);
                let expected = Error::InvalidCertificate(CertificateError::IdentityChanged);
                assert_eq!(harness.error(), Some(expected));
            }
        }
    }
}

/// E23: who showed nothing may become somebody.
#[test]
fn a_client_that_was_nobody_may_become_somebody() {
    for transport in BOTH {
        let ends = Ends::new().mutual();
        let verifier = sealgram::identity::WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
        let optional =
            sealgram::server::ClientAuthentication::Optional(std::sync::Arc::new(verifier));
        let peer = ScriptedPeer::client(SERVER, Some(ends.pki.client(&rcgen::PKCS_ED25519)));
        let server = ends.server.client_authentication(optional);
        let mut harness = Harness::server(transport, server.build().unwrap().into(), peer);
        harness.play_hello();
        harness.play_altered(&[Line::Certificate], |_, body| *body = vec![0, 0, 0]);
        harness.play(&CLIENT_FLIGHT);
        harness.assert_done(1);
        harness.begin(Side::Server, true);
        harness.play(&PROVING_CLIENT_FLIGHT);
        harness.assert_done(2);
    }
}

/// E3, E5: a peer without extended_master_secret is renegotiated with if the policy serves it; one
/// that has it all of a sudden is not who it was.
#[test]
fn extended_master_secret_does_not_appear_in_a_renegotiation() {
    everywhere(|side, transport, called| {
        let mut ends = Ends::new();
        let prefer = ExtendedMasterSecret::Prefer;
        ends.client = ends.client.extended_master_secret(prefer);
        ends.server = ends.server.extended_master_secret(prefer);
        ends.server = ends.server.rekey(allowing(RekeyPolicy::default()));
        let mut peer = match side {
            Side::Client => scripted_server(&ends),
            Side::Server => scripted_client(),
        };
        peer.offer.remove_extension(EXTENDED_MASTER_SECRET);
        let drop_from_hello = |line: Line, choice: &mut ServerChoice| {
            if line == Line::ServerHello {
                choice.remove_extension(EXTENDED_MASTER_SECRET);
            }
        };
        let mut harness = Harness::of(side, transport, &ends.build(), peer);
        if side == Side::Client {
            drop_from_hello(Line::ServerHello, &mut harness.peer().choice);
        }
        harness.connect(side);
        for (epoch, extended) in [(2, false), (3, true)] {
            if side == Side::Server && extended {
                let offer = &mut harness.peer().offer;
                offer.set_extension(EXTENDED_MASTER_SECRET, &[]);
                harness.peer().renegotiate();
                if called {
                    harness.renegotiate(false).unwrap();
                }
                harness.play(&[Line::ClientHello]);
            } else {
                harness.begin(side, called);
            }
            if extended {
                if side == Side::Client {
                    harness.play(&SERVER_FLIGHT);
                }
                let appeared = PeerMisbehaved::ExtendedMasterSecretAppeared;
                assert_eq!(harness.error(), Some(appeared.into()));
                assert_eq!(harness.peer().alerts_heard(), [(FATAL, HANDSHAKE_FAILURE)]);
                continue;
            }
            if side == Side::Client {
                drop_from_hello(Line::ServerHello, &mut harness.peer().choice);
            }
            harness.finish(side, epoch);
        }
    });
}

/// A name that a client changes is answered as what it is: RFC 5746 §5 leaves the alert open.
#[test]
fn a_changed_server_name_is_answered_with_illegal_parameter() {
    for transport in BOTH {
        let mut harness = connected(Side::Server, transport);
        harness.peer().renegotiate();
        harness.peer().offer.remove_extension(SERVER_NAME);
        harness.play(&[Line::ClientHello]);
        assert_eq!(harness.peer().alerts_heard(), [(FATAL, ILLEGAL_PARAMETER)]);
        let heard = harness.peer().messages_heard();
        assert_eq!(heard.iter().filter(|typ| **typ == SERVER_HELLO).count(), 1);
    }
}
