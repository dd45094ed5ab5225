//! Pre-shared keys at version 1.2: peers that break the rules, wrong keys, and what they learn.

use crate::common::configs::{Configs, Ends, SERVER, server_name, start};
use crate::common::datagram_harness::{CLIENT_FLIGHT, FINALE, SUPPORTED_GROUPS};
use crate::common::harness::{Harness, PATIENCE};
use crate::common::shared_keys::{
    ECDHE_PSK, IDENTITY, PSK, client, configs, key, large, named, only, scripted, server,
};
use crate::common::transport::{BOTH, Transport};
use sealgram::error::{InvalidMessage, PeerIncompatible, PeerMisbehaved, Suspicion};
use sealgram::identity::{SharedKey, WebPkiClientVerifier};
use sealgram::record::Discard;
use sealgram::server::ClientAuthentication;
use sealgram::sim::scripted::{ALERT, HANDSHAKE, Line, ScriptedPeer, Spoken};
use sealgram::sim::{Direction, Pair, StreamEnd};
use sealgram::{AlertDescription, CipherSuite, Error, NamedGroup, TlsConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The flights of a server under a suite with a shared key.
const WITH_EXCHANGE: [Line; 3] = [
    Line::ServerHello,
    Line::ServerKeyExchange,
    Line::ServerHelloDone,
];
const WITHOUT_EXCHANGE: [Line; 2] = [Line::ServerHello, Line::ServerHelloDone];

/// Our client, which offers this suite, opposite a scripted server that chooses it.
fn our_client(transport: Transport, suite: CipherSuite) -> Harness {
    let (client, _) = large(client(key()).algorithms(only(&[suite])), server([]));
    let config = client.build().unwrap();
    let peer = ScriptedPeer::sharing_server(suite.0, scripted());
    Harness::client(transport, Arc::new(config), peer)
}

/// Our server opposite a scripted client that offers this suite.
fn our_server(transport: Transport, suite: CipherSuite) -> Harness {
    let config = server([key()]).algorithms(only(&[suite])).build().unwrap();
    let peer = ScriptedPeer::sharing_client(SERVER, suite.0, scripted());
    Harness::server(transport, Arc::new(config), peer)
}

const KEY_EXCHANGE: u8 = 12;
const HELLO_DONE: u8 = 14;
const SERVER_HELLO: u8 = 2;

/// RFC 4279 §2, RFC 5489 §2: both shapes are taken by a client, and sent by a server: neither
/// Certificate nor CertificateRequest, although this one has a certificate and wants one of those
/// who come with certificates.
#[test]
fn n54_01_n55_01_flights_have_no_certificates() {
    for transport in BOTH {
        for suite in [ECDHE_PSK, PSK].concat() {
            let exchanges = ECDHE_PSK.contains(&suite);
            for hint in [&b""[..], b"hint"] {
                let mut harness = our_client(transport, suite);
                harness.peer().shared_key.hint = hint.to_vec();
                if exchanges || !hint.is_empty() {
                    harness.play(&WITH_EXCHANGE);
                } else {
                    harness.play(&WITHOUT_EXCHANGE);
                }
                harness.play(&FINALE);
                assert!(harness.peer().has_verified() && harness.exchange());

                let ends = Ends::new();
                let verifier = WebPkiClientVerifier::new(ends.pki.roots()).unwrap();
                let verifier = ClientAuthentication::Required(Arc::new(verifier));
                let config = server([key()])
                    .add_credential(ends.pki.server(&rcgen::PKCS_ED25519))
                    .client_authentication(verifier)
                    .identity_hint(hint)
                    .unwrap()
                    .algorithms(only(&[suite]));
                let peer = ScriptedPeer::sharing_client(SERVER, suite.0, scripted());
                let mut harness =
                    Harness::server(transport, Arc::new(config.build().unwrap()), peer);
                harness.play_hello();
                let mut heard = harness.peer().messages_heard();
                heard.retain(|&typ| typ != 3);
                if exchanges || !hint.is_empty() {
                    assert_eq!(heard, [SERVER_HELLO, KEY_EXCHANGE, HELLO_DONE]);
                } else {
                    assert_eq!(heard, [SERVER_HELLO, HELLO_DONE]);
                }
                assert_eq!(harness.peer().shared_key.hint, hint);
                harness.play(&CLIENT_FLIGHT);
                assert!(harness.peer().has_verified() && harness.exchange());
            }
        }
    }
}

/// RFC 4279 §2, K7: what has no place in these flights is unexpected, and so is what is missing.
#[test]
fn n54_01_k7_certificates_and_missing_exchanges_are_unexpected() {
    let unexpected = |typ: Line| Error::from(PeerMisbehaved::UnexpectedMessage { got: typ.typ() });
    for (suite, flight, stray) in [
        (PSK[0], &[Line::ServerHello, Line::Certificate][..], 1),
        (ECDHE_PSK[0], &[Line::ServerHello, Line::Certificate], 1),
        (PSK[0], &[Line::ServerHello, Line::CertificateRequest], 1),
        (
            ECDHE_PSK[0],
            &[
                Line::ServerHello,
                Line::ServerKeyExchange,
                Line::CertificateRequest,
            ],
            2,
        ),
        (
            PSK[0],
            &[
                Line::ServerHello,
                Line::ServerKeyExchange,
                Line::ServerKeyExchange,
            ],
            2,
        ),
        (ECDHE_PSK[0], &WITHOUT_EXCHANGE, 1),
    ] {
        let mut harness = our_client(Transport::Tls, suite);
        harness.play(flight);
        assert_eq!(harness.error(), Some(unexpected(flight[stray])));
        // In datagrams anybody may have sent it, so it is noise (RFC 6347 §4.1.2.7).
        let mut harness = our_client(Transport::Dtls, suite);
        harness.play(&flight[..stray]);
        let next_seq = harness.peer().next_seq();
        harness.play(&[flight[stray]]);
        assert!(harness.is_alive());
        assert_eq!(harness.stats().discarded(Discard::UnexpectedMessage), 1);
        harness.peer().set_next_seq(next_seq);
    }
    for flight in [Line::Certificate, Line::CertificateVerify] {
        let mut harness = our_server(Transport::Tls, ECDHE_PSK[0]);
        harness.play_hello();
        harness.play(&[flight]);
        assert_eq!(harness.error(), Some(unexpected(flight)));
    }
}

/// K7: hints of any length, before the exchange.
#[test]
fn n55_01_k7_a_hint_of_any_length_comes_before_the_exchange() {
    for transport in BOTH {
        for length in [0, 1, 128, 65_000] {
            let mut harness = our_client(transport, ECDHE_PSK[0]);
            harness.peer().shared_key.hint = vec![0xff; length];
            // A record holds 2^14 bytes at most.
            for line in WITH_EXCHANGE {
                let body = harness.peer().body(line);
                let spoken = harness.peer().say(line.typ(), body);
                play_in_pieces(&mut harness, &spoken);
            }
            harness.play(&FINALE);
            assert!(
                harness.peer().has_verified() && harness.exchange(),
                "{length}"
            );
        }
    }
}

fn play_in_pieces(harness: &mut Harness, spoken: &Spoken) {
    const PIECE: usize = 10_000;
    let pieces: Vec<Vec<u8>> = match harness.transport() {
        Transport::Tls => {
            let whole = harness.peer().framed(spoken);
            whole.chunks(PIECE).map(<[u8]>::to_vec).collect()
        }
        Transport::Dtls => spoken.fragments(PIECE),
    };
    for piece in pieces {
        let record = harness.peer().record(HANDSHAKE, 0, &piece);
        harness.deliver(&record);
    }
}

/// RFC 8422 §5.4, §5.11: the group is one that was offered, the share a point of it, and neither
/// end takes a secret that is all zeros.
#[test]
fn n55_03_k8_groups_and_shares_are_checked() {
    let offered = [NamedGroup::X25519, NamedGroup::SECP256R1];
    let algorithms = only(&ECDHE_PSK).groups(&offered).unwrap();
    let config = Arc::new(client(key()).algorithms(algorithms).build().unwrap());
    let play = |alter: &dyn Fn(&mut Vec<u8>)| {
        let peer = ScriptedPeer::sharing_server(ECDHE_PSK[0].0, scripted());
        let mut harness = Harness::client(Transport::Tls, config.clone(), peer);
        harness.play_altered(&WITH_EXCHANGE, |line, body| {
            if line == Line::ServerKeyExchange {
                alter(body);
            }
        });
        harness.error()
    };
    assert_eq!(play(&|_| {}), None);
    let exchange = |group: u16, share: &[u8]| {
        let [high, low] = group.to_be_bytes();
        [&[0, 0, 3, high, low, share.len() as u8][..], share].concat()
    };
    let p384 = NamedGroup::SECP384R1;
    let stray = play(&|body| *body = exchange(p384.0, &[4; 97]));
    assert_eq!(
        stray,
        Some(PeerMisbehaved::SelectedUnofferedGroup(p384).into())
    );
    let fact = Error::from(PeerMisbehaved::InvalidKeyShare);
    assert_eq!(fact.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
    let bad = Some(fact);
    assert_eq!(play(&|body| *body = exchange(29, &[0; 32])), bad);
    assert_eq!(play(&|body| *body = exchange(23, &[4; 65])), bad);
    assert_eq!(play(&|body| *body = exchange(29, &[9; 31])), bad);
    // An explicit curve (RFC 8422 §5.4), nothing at all, and something after the share.
    for body in [&[0, 0, 1, 0, 29, 1, 9][..], &[0, 0], &[]] {
        let error = play(&|known| *known = body.to_vec());
        assert!(matches!(error, Some(Error::InvalidMessage(_))), "{error:?}");
    }
    let error = play(&|body| body.push(0));
    assert_eq!(
        error,
        Some(InvalidMessage::TrailingData("ServerKeyExchange").into())
    );

    let answer = |share: &[u8]| {
        let mut harness = our_server(Transport::Tls, ECDHE_PSK[0]);
        harness.play_hello();
        let length = share.len() as u8;
        let body = [&[0, 1, b'x', length][..], share].concat();
        harness.play_altered(&[Line::ClientKeyExchange], |_, known| *known = body.clone());
        harness.error()
    };
    assert_eq!(answer(&[0; 32]), bad);
    assert_eq!(answer(&[9; 31]), bad);
    assert!(matches!(answer(&[]), Some(Error::InvalidMessage(_))));
}

/// RFC 8442 §4: these suites belong to 1.2; and a suite that was not offered is no choice.
#[test]
fn n55_04_a_suite_that_was_not_offered_is_refused() {
    let refused = Error::from(PeerMisbehaved::SelectedUnofferedCipherSuite);
    for (offered, chosen) in [
        (ECDHE_PSK[0], PSK[0]),
        (PSK[0], ECDHE_PSK[0]),
        (ECDHE_PSK[0], ECDHE_PSK[1]),
    ] {
        let config = client(key()).algorithms(only(&[offered])).build().unwrap();
        let peer = ScriptedPeer::sharing_server(chosen.0, scripted());
        let mut harness = Harness::client(Transport::Tls, Arc::new(config), peer);
        harness.play(&[Line::ServerHello]);
        assert_eq!(harness.error(), Some(refused.clone()));
    }
    assert_eq!(refused.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
}

/// A client without groups in common takes a suite that needs none; without such a suite it is
/// told.
#[test]
fn a_client_without_a_common_group_gets_what_needs_none() {
    let all = [ECDHE_PSK[0], PSK[0]];
    for (suites, chosen) in [(&all[..], Some(PSK[0])), (&all[..1], None)] {
        let config = server([key()]).algorithms(only(&all)).build().unwrap();
        let mut peer = ScriptedPeer::sharing_client(SERVER, 0, scripted());
        peer.offer.suites = suites.iter().map(|suite| suite.0).collect();
        peer.offer.set_extension(SUPPORTED_GROUPS, &[0, 2, 0, 25]);
        let mut harness = Harness::server(Transport::Tls, Arc::new(config), peer);
        harness.play_hello();
        match chosen {
            Some(suite) => assert_eq!(harness.peer().choice.suite, suite.0),
            None => assert_eq!(
                harness.error(),
                Some(PeerIncompatible::NoCommonGroup.into())
            ),
        }
    }
}

/// What a client does not know of the key that it names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lack {
    /// Its bytes.
    Key,
    /// That nobody has it.
    Identity,
}

const LACKS: [Lack; 2] = [Lack::Key, Lack::Identity];

/// Ends that do not share the key which the client names, in this way.
fn lacking(lack: Lack, suite: CipherSuite) -> Configs {
    let wrong = SharedKey::new(IDENTITY, &[0xa5; 16]).unwrap();
    // As long as the other, so that nothing but the store knows it.
    let unknown = named(&IDENTITY.to_ascii_uppercase());
    let named = match lack {
        Lack::Key => wrong,
        Lack::Identity => unknown,
    };
    configs(
        client(named).algorithms(only(&[suite])),
        server([key()]).algorithms(only(&[suite])),
    )
}

/// RFC 4279 §2, RFC 7925 §4.2: an unknown identity and a wrong key fail alike, with decrypt_error,
/// in as many bytes.
#[test]
fn n54_03_a_stream_does_not_tell_an_unknown_identity_from_a_wrong_key() {
    for suite in [PSK[0], ECDHE_PSK[0]] {
        let outcomes = LACKS.map(|lack| {
            let (mut client, mut server, last) = last_flight(&lacking(lack, suite));
            let now = start();
            server.deliver(now, &last);
            let answer = server.transmit(now);
            client.deliver(now, &answer);
            // The alert in the clear, and nothing else.
            assert_eq!(answer[..5], [ALERT, 3, 3, 0, 2]);
            let failure = server.connection.failure().unwrap().clone();
            (client.error, failure, answer)
        });
        let [(at_client, failure, _), _] = outcomes.clone();
        let at_client = at_client.unwrap().to_string();
        assert!(at_client.contains("pre-shared key"), "{at_client}");
        assert_eq!(failure.error, PeerIncompatible::SharedKeyDiffers.into());
        let text = failure.error.to_string();
        assert!(text.contains("hexadecimal"), "{text}");
        let alert = failure.alert_sent.unwrap().description;
        assert_eq!(alert, AlertDescription::DECRYPT_ERROR);
        assert_eq!(failure.state, "ExpectFinished");
        assert_eq!(outcomes[0], outcomes[1]);
    }
}

/// Both ends of a stream, and the client's last flight, which has not arrived.
fn last_flight(configs: &Configs) -> (StreamEnd, StreamEnd, Vec<u8>) {
    let now = start();
    let client = TlsConnection::connect(now, configs.client.clone(), server_name()).unwrap();
    let server = TlsConnection::accept(now, configs.server.clone()).unwrap();
    let (mut client, mut server) = (StreamEnd::new(client), StreamEnd::new(server));
    let hello = client.transmit(now);
    server.deliver(now, &hello);
    let flight = server.transmit(now);
    client.deliver(now, &flight);
    let last = client.transmit(now);
    (client, server, last)
}

/// What is on the wire of an attempt that comes to nothing: when, which way, how long.
fn attempt(lack: Lack, suite: CipherSuite) -> (Vec<(Direction, usize)>, Pair) {
    let mut pair = lacking(lack, suite).pair(1);
    pair.record();
    pair.run_for(PATIENCE);
    let seen = pair.seen.take().unwrap();
    let shape = seen
        .iter()
        .map(|seen| (seen.direction, seen.datagram.len()));
    (shape.collect(), pair)
}

/// K5: a wrong key ends at the deadline with an error at either end that names the key; neither
/// end sends an alert, and both fail alike.
#[test]
fn n54_03_k5_datagrams_end_at_the_deadline_with_an_error_that_names_the_key() {
    for suite in [PSK[0], ECDHE_PSK[0]] {
        let outcomes = LACKS.map(|lack| attempt(lack, suite));
        assert_eq!(outcomes[0].0, outcomes[1].0);
        for (_, pair) in &outcomes {
            for events in [&pair.client_events, &pair.server_events] {
                let failure = crate::common::datagram_harness::failure(events).unwrap();
                let Error::TimedOut {
                    after, suspicion, ..
                } = failure.error
                else {
                    panic!("{failure:?}")
                };
                assert_eq!(suspicion, Some(Suspicion::SharedKeyDiffers));
                assert!(after >= Duration::from_secs(100), "{after:?}");
                assert_eq!(failure.alert_sent, None);
                let text = failure.error.to_string();
                for word in ["pre-shared key", "identity", "hexadecimal"] {
                    assert!(text.contains(word), "{text}");
                }
            }
        }
    }
}

/// How long a server takes for the last flight of clients that lack something, in alternation.
fn times(suite: CipherSuite, rounds: usize) -> [Vec<Duration>; 2] {
    let both = LACKS.map(|lack| lacking(lack, suite));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (configs, times) in both.iter().zip(&mut times) {
            let (_client, mut server, last) = last_flight(configs);
            let begin = start();
            server.deliver(begin, &last);
            times.push(elapsed(begin));
            assert!(server.error.is_some());
        }
    }
    times
}

fn elapsed(since: Instant) -> Duration {
    start().duration_since(since)
}

/// RFC 4279 §2: nor does the time tell one from the other. The bounds leave room for
/// machines that do other things meanwhile; a look-up that spares the derivation, or an alert that
/// comes at once, takes less than half of the other.
#[test]
fn n54_03_time_does_not_tell_an_unknown_identity_from_a_wrong_key() {
    for suite in [PSK[0], ECDHE_PSK[0]] {
        let apart = |times: [Vec<Duration>; 2]| {
            let [one, other] = times.map(|mut times| {
                times.sort();
                // The lower quartile: what disturbs a measurement only makes it longer.
                (times[times.len() / 4], times[times.len() / 2])
            });
            let noise = Duration::from_micros(10);
            let overlaps = |low: (Duration, Duration), high: (Duration, Duration)| {
                low.0 <= high.1 + noise && low.1.as_nanos() * 3 <= (high.1 + noise).as_nanos() * 4
            };
            (!(overlaps(one, other) && overlaps(other, one))).then_some((one, other))
        };
        let measured: Vec<_> = (0..5).map(|_| apart(times(suite, 200))).collect();
        let together = measured.iter().filter(|it| it.is_none()).count();
        assert!(together >= 2, "{measured:?}");
    }
}

/// An alert in answer to every datagram would be a storm (K5): a server that was given a wrong key
/// says nothing, however often the client repeats itself.
#[test]
fn k5_no_alert_storm_over_datagrams() {
    for suite in [PSK[0], ECDHE_PSK[0]] {
        let mut harness = our_server(Transport::Dtls, suite);
        harness.peer().shared_key.bytes = vec![1; 16];
        harness.play_hello();
        harness.play(&CLIENT_FLIGHT);
        let finished = harness.peer().body(Line::Finished);
        for _ in 0..50 {
            let record = harness.peer().record(22, 1, &finished);
            harness.deliver(&record);
        }
        assert_eq!(harness.peer().alerts_heard(), []);
        assert!(harness.is_alive());
        assert!(
            harness.stats().discarded(Discard::Unauthenticated) >= 51,
            "{:?}",
            harness.stats()
        );
    }
}

/// K16 at 1.2, RFC 9257 §4: a client that hears itself takes nothing of it.
#[test]
fn k16_a_reflected_hello_completes_nothing() {
    let config = Arc::new(client(key()).build().unwrap());
    let now = start();
    let mut end = StreamEnd::new(TlsConnection::connect(now, config, server_name()).unwrap());
    let hello = end.transmit(now);
    end.deliver(now, &hello);
    assert!(end.error.is_some());
    let mut pair = lacking(Lack::Key, PSK[0]).pair(1);
    pair.server_address = pair.client_address;
    pair.run_for(PATIENCE);
    assert!(
        pair.client_connection()
            .is_none_or(|end| end.epoch().number() == 0)
    );
}

/// Issue of lengths: every truncation and every length of both messages is an error or a message,
/// never a panic.
#[test]
fn cut_and_mutated_exchanges_end_in_errors() {
    for suite in [PSK[0], ECDHE_PSK[0]] {
        let whole = 2 + IDENTITY.len() + if suite == PSK[0] { 0 } else { 33 };
        for cut in 0..whole {
            let mut harness = our_server(Transport::Tls, suite);
            harness.play_hello();
            harness.play_altered(&[Line::ClientKeyExchange], |_, body| body.truncate(cut));
            let error = harness.error();
            assert!(
                matches!(error, Some(Error::InvalidMessage(_))),
                "{cut}: {error:?}"
            );
        }
        let mut harness = our_server(Transport::Tls, suite);
        harness.play_hello();
        harness.play_altered(&[Line::ClientKeyExchange], |_, body| body.push(0));
        let trailing = InvalidMessage::TrailingData("ClientKeyExchange");
        assert_eq!(harness.error(), Some(trailing.into()));
    }
}
