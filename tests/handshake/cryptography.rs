//! Nonces, randomness, weak algorithms, bad points and secrets in logs: section H of the failure
//! catalogue.
//!
//! | row | why it is not here |
//! | --- | --- |
//! | H3, H7 | there are no CBC suites, and CCM_8 is not offered: the lists below |
//! | H9 | comparisons in constant time are a matter of reading the code |

use crate::common::configs::{Ends, SERVER};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, FATAL, FINALE, SERVER_FLIGHT, SUPPORTED_GROUPS, header,
    our_client, our_demanding_server, our_server, records,
};
use sealgram::config::{Algorithms, DatagramPolicy, KeyLog};
use sealgram::error::{PeerIncompatible, PeerMisbehaved};
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::pki_types::PrivateKeyDer;
use sealgram::sim::scripted::{HANDSHAKE, Heard, Line, ScriptedPeer};
use sealgram::sim::{Conditions, Direction, Pair};
use sealgram::{CipherSuite, Error, NamedGroup, SignatureScheme};
use std::collections::{HashMap, HashSet};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SIGNATURE_ALGORITHMS: u16 = 13;

/// H1 (pion CVE-2026-26014, Böck 2016), RFC 5288 §3: the explicit nonce is the record's number,
/// never a random one.
#[test]
fn explicit_nonces_are_record_numbers() {
    let mut pair = Ends::new().build().connected(1);
    let suite = pair.client_connection().unwrap().cipher_suite();
    assert_eq!(
        suite,
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
    );
    let ids = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let mut last = [0; 2];
    let mut out = Vec::new();
    for _ in 0..50_000 {
        pair.client
            .association(pair.now, ids.0)
            .unwrap()
            .send(b"data")
            .unwrap();
        pair.server
            .association(pair.now, ids.1)
            .unwrap()
            .send(b"data")
            .unwrap();
        for (endpoint, last) in [&mut pair.client, &mut pair.server]
            .into_iter()
            .zip(&mut last)
        {
            out.clear();
            endpoint.poll_transmit(pair.now, 1, &mut out).unwrap();
            let (content_type, epoch, sequence) = header(&out);
            assert_eq!((content_type, epoch), (23, 1));
            assert!(sequence > *last);
            *last = sequence;
            assert_eq!(out[13..21], out[3..11]);
        }
    }
    // Handshake records and alerts as well, in every suite with such a nonce (RFC 6655 §3).
    let suites = [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        #[cfg(feature = "ccm")]
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    ];
    for suite in suites {
        let ends = Ends::new();
        let server = ends
            .server
            .algorithms(Algorithms::default().cipher_suites(&[suite]).unwrap());
        let config = Arc::new(server.build().unwrap());
        let mut pair = Pair::new(config, crate::common::configs::start(), 1).unwrap();
        let client = Arc::new(ends.client.build().unwrap());
        pair.record();
        pair.connect(client, crate::common::configs::server_name())
            .unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)) && pair.exchange(10));
        pair.client
            .association(pair.now, pair.client_id().unwrap())
            .unwrap()
            .close();
        pair.run_for(Duration::from_secs(1));
        let seen = pair.seen.take().unwrap();
        let sealed = seen.iter().flat_map(|seen| records(&seen.datagram));
        let sealed: Vec<_> = sealed.filter(|record| header(record).1 == 1).collect();
        assert!(sealed.len() > 22 && sealed.iter().any(|record| record[0] == 22));
        assert!(sealed.iter().any(|record| record[0] == 21));
        assert!(sealed.iter().all(|record| record[13..21] == record[3..11]));
    }
}

/// H2: what is sent again gets a new number; under one number there is one record, for ever.
#[test]
fn a_record_number_never_carries_two_records() {
    let policy = DatagramPolicy::default().mtu(600).unwrap();
    let mut repeated = 0;
    for seed in 0..200 {
        let configs = Ends::new().mutual().datagram(&policy).build();
        let mut pair = configs.pair(seed);
        pair.record();
        pair.set_conditions(&Conditions {
            loss: 0.25,
            duplicate: 0.1,
            reorder: 5,
            ..Conditions::default()
        });
        pair.run_until_connected(Duration::from_secs(300));
        for number in 0..20_u8 {
            let ends = [pair.client_id(), pair.server_id()];
            for (endpoint, id) in [&mut pair.client, &mut pair.server].into_iter().zip(ends) {
                if let Some(id) = id {
                    // Under loss one end may be ahead of the other.
                    let _sent = endpoint
                        .association(pair.now, id)
                        .unwrap()
                        .send(&[number; 20]);
                }
            }
            pair.run_for(Duration::from_millis(300));
        }
        let mut known: HashMap<(Direction, u16, u64), Vec<u8>> = HashMap::new();
        for seen in pair.seen.take().unwrap() {
            for record in records(&seen.datagram) {
                let (_, epoch, sequence) = header(&record);
                let place = (seen.direction, epoch, sequence);
                let earlier = known.insert(place, record.clone());
                // Nobody remembers the answer to a hello without cookie: a repeated one has the
                // number of the first, and another date.
                let asks = record[13] == Line::HelloVerifyRequest.typ();
                let fine = earlier.is_none() || epoch == 0 && asks;
                assert!(fine, "seed {seed}: {place:?} twice");
            }
        }
        let ends = [pair.client_connection(), pair.server_connection()];
        let flights = ends.into_iter().flatten();
        repeated += flights
            .map(|end| end.stats().flights_retransmitted())
            .sum::<u64>();
    }
    assert!(repeated > 100, "{repeated}");
}

/// The bodies of the plaintext messages of a datagram whose messages are whole.
fn messages(datagram: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let plain = |record: &Vec<u8>| header(record).0 == HANDSHAKE && header(record).1 == 0;
    let records = records(datagram).into_iter().filter(plain);
    let mut found = Vec::new();
    for record in records {
        let mut rest = &record[13..];
        while rest.len() >= 12 {
            let length = usize::from(u16::from_be_bytes([rest[10], rest[11]]));
            assert_eq!(rest[6..9], [0; 3], "whole messages only");
            found.push((rest[0], rest[12..12 + length].to_vec()));
            rest = &rest[12 + length..];
        }
    }
    found
}

/// H4 (wolfSSL CVE-2022-23408, GnuTLS CVE-2020-11501): a thousand handshakes share no random, share
/// or cookie.
#[test]
fn a_thousand_handshakes_share_no_random_no_key_share_and_no_cookie() {
    let configs = Ends::new().build();
    let mut drawn: HashMap<&str, HashSet<Vec<u8>>> = HashMap::new();
    for seed in 0..1000 {
        let mut pair = configs.pair(seed);
        pair.record();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        for seen in pair.seen.take().unwrap() {
            for (typ, body) in messages(&seen.datagram) {
                let (what, value) = match typ {
                    // The second hello repeats the random of the first.
                    1 if body[35] > 0 => ("client random", &body[2..34]),
                    2 => ("server random", &body[2..34]),
                    3 => ("cookie", &body[3..]),
                    12 => ("server share", &body[4..36]),
                    16 => ("client share", &body[1..]),
                    _ => continue,
                };
                assert!(value.iter().any(|&byte| byte != 0), "{what}");
                assert!(
                    drawn.entry(what).or_default().insert(value.to_vec()),
                    "{what}"
                );
            }
        }
    }
    let counts: Vec<_> = drawn.values().map(HashSet::len).collect();
    assert_eq!(counts, [1000; 5], "{:?}", drawn.keys());
    let all: HashSet<_> = drawn.values().flatten().collect();
    assert_eq!(all.len(), 5000);
}

/// The numbers of a list with a length of two bytes.
fn numbers(list: &[u8]) -> Vec<u16> {
    let pairs = list[2..].chunks_exact(2);
    pairs
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect()
}

/// Neither MD5, SHA-1, SHA-224 nor DSA, which are the first byte up to 3 and the second byte 2.
fn is_weak(scheme: u16) -> bool {
    let [hash, signature] = scheme.to_be_bytes();
    hash < 4 || hash < 8 && signature == 2
}

/// H5 (Raccoon, ROBOT), H6 (SLOTH), H3: a client offers nothing that is broken.
#[test]
fn what_is_offered_holds_nothing_that_is_broken() {
    // TLS_ECDHE_{ECDSA,RSA}_WITH_{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305},
    // TLS_ECDHE_ECDSA_WITH_AES_128_CCM, and the signalling suite.
    const GOOD: [u16; 8] = [
        0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xc0ac, 0x00ff,
    ];
    let harness = our_client();
    let offer = &harness.peer.offer;
    assert!(offer.suites.len() >= 6);
    assert!(offer.suites.iter().all(|suite| GOOD.contains(suite)));
    assert_eq!(offer.compression, [0]);
    let schemes = numbers(offer.extension(SIGNATURE_ALGORITHMS).unwrap());
    assert!(schemes.len() >= 4 && !schemes.iter().any(|&scheme| is_weak(scheme)));
    let groups = numbers(offer.extension(SUPPORTED_GROUPS).unwrap());
    assert_eq!(groups, [29, 23, 24]);

    let mut harness = our_demanding_server();
    harness.exchange_cookies();
    let asked = harness.peer.heard.iter().find_map(|heard| match heard {
        Heard::Message { typ: 13, body, .. } => Some(body),
        _ => None,
    });
    let request = asked.unwrap();
    let types = usize::from(request[0]);
    // rsa_sign and ecdsa_sign, not the fixed DH ones.
    assert!(request[1..=types].iter().all(|typ| [1, 64].contains(typ)));
    let length = u16::from_be_bytes([request[1 + types], request[2 + types]]);
    let end = 3 + types + usize::from(length);
    let schemes = numbers(&request[1 + types..end]);
    assert!(schemes.len() >= 4 && !schemes.iter().any(|&scheme| is_weak(scheme)));
}

/// H5, H6, for our server: whoever offers nothing else is refused.
#[test]
fn a_client_that_offers_only_what_is_broken_is_refused() {
    let refused = |alter: &dyn Fn(&mut ScriptedPeer)| {
        let mut harness = our_server();
        alter(&mut harness.peer);
        harness.exchange_cookies();
        assert!(!harness.is_complete() && harness.endpoint.is_empty());
        assert_eq!(harness.peer.alerts_heard(), [(FATAL, 40)]);
        harness.error()
    };
    // RSA key transport, DHE, CBC with ECDHE, CCM_8, NULL, RC4.
    for suite in [
        0x002f, 0x009c, 0x009e, 0x0033, 0xc009, 0xc013, 0xc0ae, 0xc006, 0xc007,
    ] {
        let expected = Error::PeerIncompatible(PeerIncompatible::NoCommonCipherSuite);
        assert_eq!(
            refused(&|peer| peer.offer.suites = vec![suite]),
            Some(expected)
        );
    }
    let weak = |peer: &mut ScriptedPeer| {
        peer.offer.remove_extension(SIGNATURE_ALGORITHMS);
        let list = vec![0, 8, 2, 1, 2, 3, 1, 1, 3, 3];
        peer.offer.extensions.push((SIGNATURE_ALGORITHMS, list));
    };
    let expected = Error::PeerIncompatible(PeerIncompatible::NoCommonSignatureScheme);
    assert_eq!(refused(&weak), Some(expected));
}

/// D9 (mbedTLS CVE-2026-25834), H6: a key exchange that is signed with what was not offered, or
/// does not fit the key.
#[test]
fn a_server_key_exchange_signed_with_another_scheme_is_refused() {
    // MD5, SHA-1 and SHA-224 with RSA, DSA and ECDSA; PSS of 1.3; GOST; nothing.
    for scheme in [
        0x0101, 0x0103, 0x0201, 0x0202, 0x0203, 0x0301, 0x0303, 0x0402, 0x0809, 0x0808, 0x0709,
        0x0000,
    ] {
        let mut harness = our_client();
        harness.play_altered(&SERVER_FLIGHT, |line, body| {
            if line == Line::ServerKeyExchange {
                let place = 4 + usize::from(body[3]);
                body[place..place + 2].copy_from_slice(&u16::to_be_bytes(scheme));
            }
        });
        let fact = PeerMisbehaved::SignedWithUnofferedScheme(SignatureScheme(scheme));
        assert_eq!(
            harness.error(),
            Some(Error::PeerMisbehaved(fact)),
            "{scheme:#06x}"
        );
        assert_eq!(harness.peer.alerts_heard(), [(FATAL, 47)]);
        // Nothing was given away: the client has said nothing but hello.
        assert_eq!(harness.peer.messages_heard(), [1]);
    }
    // Offered, but not by this key, or not for this suite.
    for scheme in [0x0403, 0x0503, 0x0804, 0x0401] {
        let mut harness = our_client();
        harness.play_altered(&SERVER_FLIGHT, |line, body| {
            if line == Line::ServerKeyExchange {
                let place = 4 + usize::from(body[3]);
                body[place..place + 2].copy_from_slice(&u16::to_be_bytes(scheme));
            }
        });
        let unfit = PeerMisbehaved::SignedWithUnofferedScheme(SignatureScheme(scheme));
        let expected = [unfit, PeerMisbehaved::BadSignature].map(Error::PeerMisbehaved);
        assert!(
            expected.contains(&harness.error().unwrap()),
            "{scheme:#06x}"
        );
    }
    // A signature that is empty, cut or altered.
    for cut in [0, 1, 63, 64] {
        let mut harness = our_client();
        harness.play_altered(&SERVER_FLIGHT, |line, body| {
            if line == Line::ServerKeyExchange {
                let place = 6 + usize::from(body[3]);
                body.truncate(place + 2 + cut);
                body[place..place + 2].copy_from_slice(&u16::try_from(cut).unwrap().to_be_bytes());
                if cut == 64 {
                    body[place + 9] ^= 1;
                }
            }
        });
        let expected = Error::PeerMisbehaved(PeerMisbehaved::BadSignature);
        assert_eq!(harness.error(), Some(expected), "{cut}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Shares that are no points of their group, or whose secret everybody knows.
fn bad_shares() -> Vec<(NamedGroup, Vec<u8>)> {
    let mut shares = Vec::new();
    // The points of small order of Curve25519, also in their unreduced forms.
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ] {
        shares.push((NamedGroup::X25519, bytes(point)));
    }
    for length in [1, 31, 33, 65, 255] {
        shares.push((NamedGroup::X25519, vec![9; length]));
    }
    for (group, size) in [(NamedGroup::SECP256R1, 32), (NamedGroup::SECP384R1, 48)] {
        let tagged = |tag: u8, coordinates: Vec<u8>| (group, [vec![tag], coordinates].concat());
        shares.push((group, vec![0]));
        shares.push(tagged(0, vec![0; 2 * size]));
        shares.push(tagged(4, vec![0; 2 * size]));
        shares.push(tagged(4, vec![1; 2 * size]));
        shares.push(tagged(4, vec![0xff; 2 * size]));
        shares.push(tagged(4, vec![1; 2 * size - 1]));
        shares.push(tagged(4, vec![1; 2 * size + 1]));
        for compressed in [2, 3, 6, 7] {
            shares.push(tagged(compressed, vec![1; size]));
        }
    }
    // A point of another curve: the base point of P-256 as one of P-384, and padded.
    let base = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    shares.push((NamedGroup::SECP384R1, [vec![4], bytes(base)].concat()));
    let mut off_curve = [vec![4], bytes(base)].concat();
    off_curve[64] ^= 1;
    shares.push((NamedGroup::SECP256R1, off_curve));
    let hybrid = [vec![7], bytes(base)].concat();
    shares.push((NamedGroup::SECP256R1, hybrid));
    shares
}

/// H8, RFC 8422 §5.11, RFC 7748 §6.1: a server's share that is no point of its group, properly
/// signed.
#[test]
fn a_client_refuses_shares_that_are_no_points() {
    for (group, share) in bad_shares() {
        let mut harness = our_client();
        harness.play(&SERVER_FLIGHT[..2]);
        let body = harness.peer.server_key_exchange(group.0, &share);
        let spoken = harness.peer.say(Line::ServerKeyExchange.typ(), body);
        let record = harness.peer.record(HANDSHAKE, 0, &spoken.whole());
        harness.deliver(&record);
        harness.play(&SERVER_FLIGHT[3..]);
        let expected = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        assert_eq!(harness.error(), Some(expected), "{group} {share:02x?}");
        assert_eq!(harness.peer.alerts_heard(), [(FATAL, 47)]);
        assert_eq!(harness.peer.messages_heard(), [1], "no key exchange");
    }
}

/// H8, for our server.
#[test]
fn a_server_refuses_shares_that_are_no_points() {
    for (group, share) in bad_shares() {
        let mut harness = our_server();
        harness.peer.offer.remove_extension(SUPPORTED_GROUPS);
        let [high, low] = group.0.to_be_bytes();
        let groups = (SUPPORTED_GROUPS, vec![0, 2, high, low]);
        harness.peer.offer.extensions.push(groups);
        harness.exchange_cookies();
        harness.play_altered(&CLIENT_FLIGHT, |line, body| {
            if line == Line::ClientKeyExchange {
                *body = [&[u8::try_from(share.len()).unwrap()], &share[..]].concat();
            }
        });
        let expected = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        assert_eq!(harness.error(), Some(expected), "{group} {share:02x?}");
        assert_eq!(harness.peer.alerts_heard(), [(FATAL, 47)]);
        assert!(harness.endpoint.is_empty());
    }
}

/// Remembers the secrets of every session.
#[derive(Default)]
struct Secrets(Mutex<Vec<Vec<u8>>>);

impl Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl KeyLog for Secrets {
    fn log(&self, _label: &str, _client_random: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push(secret.to_vec());
    }
}

/// Six bytes in a row of `secret`, in any form in which Rust prints bytes.
fn shows(text: &str, secret: &[u8]) -> bool {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    secret.windows(6).any(|part| {
        let decimal: Vec<_> = part.iter().map(u8::to_string).collect();
        let mut hex = String::new();
        part.iter()
            .for_each(|byte| write!(hex, "{byte:02x}").unwrap());
        let escaped: String = part.escape_ascii().to_string();
        let listed: Vec<_> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        squeezed.contains(&decimal.join(","))
            || squeezed.to_lowercase().contains(&hex)
            || squeezed.to_lowercase().contains(&listed.join(","))
            || squeezed.contains(&escaped)
    })
}

/// A certificate for the server, and its private key as it is written down.
fn credential() -> (Credential, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = rcgen::CertificateParams::new(vec![SERVER.to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap().der().clone();
    let der = key.serialize_der();
    let parsed = PrivateKeyDer::try_from(der.clone()).unwrap();
    let certified = CertifiedKey::new(vec![leaf], &parsed).unwrap();
    // RFC 8410 §7: the seed is the end of a PKCS #8 key of version 1, and stands behind 16 bytes of
    // any.
    (Credential::Certificate(certified), der[16..48].to_vec())
}

/// H10 (RUSTSEC-2026-0346): `Debug` of anything public, at any time, shows no secret.
#[test]
fn debug_output_shows_no_secret() {
    let log = Arc::new(Secrets::default());
    let ends = Ends::new().mutual();
    let (credential, seed) = credential();
    let mut texts = vec![format!("{credential:?} {credential:#?}")];
    let with_seed = ends.client.clone().add_credential(credential);
    texts.push(format!("{with_seed:?}"));
    texts.push(format!("{:?}", with_seed.build().unwrap()));
    texts.push(format!("{:?} {:?}", ends.client, ends.server));
    let ends = Ends {
        client: ends.client.key_log(log.clone()),
        server: ends.server.key_log(log.clone()),
        pki: ends.pki,
    };
    let configs = ends.build();
    texts.push(format!("{:?} {:#?}", configs.client, configs.server));
    let mut pair = configs.pair(1);
    while !pair.is_connected() {
        pair.step();
        texts.push(format!("{pair:?}"));
    }
    // Data that waits at both ends, to be sent and to be read.
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let data = b"0123 grey owls quack at noon";
    pair.client
        .association(pair.now, client)
        .unwrap()
        .send(data)
        .unwrap();
    texts.push(format!("{pair:?} {:?}", pair.client));
    pair.run_for(Duration::from_secs(1));
    texts.push(format!("{pair:#?} {:#?}", pair.server));
    let ends = [pair.client_connection(), pair.server_connection()];
    for end in ends.into_iter().flatten() {
        texts.push(format!("{:?} {:?}", end.stats(), end.peer_identity()));
        texts.push(format!(
            "{:?} {:?} {:?}",
            end.path(),
            end.epoch(),
            end.cipher_suite()
        ));
    }
    assert_eq!(
        pair.server
            .association(pair.now, server)
            .unwrap()
            .recv()
            .unwrap()
            .data,
        data[..]
    );
    pair.client.association(pair.now, client).unwrap().close();
    pair.run_for(Duration::from_secs(1));
    texts.push(format!(
        "{pair:?} {:?} {:?}",
        pair.client_events, pair.server_events
    ));

    // And of one that fails.
    let mut harness = DatagramHarness::server(
        configs.server.clone(),
        crate::common::datagram_harness::scripted_client(),
    );
    harness.exchange_cookies();
    harness.play(&[Line::Certificate]);
    texts.push(format!(
        "{:?} {:?}",
        harness.events,
        harness.failure().unwrap()
    ));

    let mut secrets = log.0.lock().unwrap().clone();
    assert_eq!((secrets.len(), secrets[0].len()), (2, 48));
    assert_eq!(secrets[0], secrets[1]);
    secrets.push(seed);
    secrets.push(data.to_vec());
    for secret in secrets {
        let control = format!("{secret:?}");
        assert!(shows(&control, &secret) && shows(&format!("{secret:02X?}"), &secret));
        for text in &texts {
            assert!(!shows(text, &secret), "{text}");
        }
    }
}

/// The control of the tests above: groups other than the first one work with honest shares.
#[test]
fn honest_shares_of_every_group_are_taken() {
    for group in [
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    ] {
        let mut harness = our_client();
        harness.peer.group = group.0;
        harness.play(&SERVER_FLIGHT);
        harness.play(&FINALE);
        assert!(harness.is_complete() && harness.exchange(10), "{group}");
    }
}
