//! Cookies and the hellos that come with them: rows C1 to C5 and C7 of the failure catalogue.
//!
//! * C4, suites: a cookie binds address, version, random and session ID only, so that a first
//!   fragment proves it
//! * the rest of C: `tests/endpoint/floods.rs`

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, SERVER_FLIGHT, our_client, our_server, scripted_client,
};
use sealgram::Error;
use sealgram::error::PeerMisbehaved;
use sealgram::sim::scripted::{Line, ScriptedPeer};
use std::net::SocketAddr;
use std::time::Duration;

/// Longer than any attempt lasts, shorter than the idle timeout.
const FOREVER: Duration = Duration::from_secs(300);

/// A new client takes the place of the scripted peer, at another address.
fn newcomer(harness: &mut DatagramHarness, address: impl Into<SocketAddr>) {
    harness.address = address.into();
    harness.peer = scripted_client();
}

/// C1 (Citrix ADC 2020): who has not proved its address gets less than it sent, once, and leaves no
/// state.
#[test]
fn an_unproven_hello_is_not_amplified() {
    let mut harness = our_server();
    for (session_id, extensions) in [(0, true), (32, true), (0, false)] {
        let mut peer = scripted_client();
        peer.offer.session_id = vec![7; session_id];
        if !extensions {
            peer.offer.extensions.clear();
            peer.offer.suites.truncate(1);
        }
        for cookie in [0, 1, 17, 32, 255] {
            peer.offer.cookie = vec![1; cookie];
            let hello = peer.speak(&[Line::ClientHello]).concat();
            let before = harness.sent.len();
            harness.deliver(&hello);
            let bytes: usize = harness.sent[before..].iter().map(Vec::len).sum();
            assert!(bytes <= hello.len(), "{bytes} > {}", hello.len());
            assert_eq!(harness.sent.len(), before + 1);
            assert_eq!(harness.sent[before][13], Line::HelloVerifyRequest.typ());
        }
    }
    assert!(harness.endpoint.is_empty());
    harness.wait(FOREVER);
    assert_eq!(
        harness.sent.len(),
        15,
        "an answer to a stranger is never repeated"
    );
}

/// C1: nothing but a hello is answered at all.
#[test]
fn strangers_that_do_not_say_hello_get_no_answer() {
    let mut harness = our_server();
    let mut noise = crate::common::datagram_harness::Noise::new(1);
    for _ in 0..100_000 {
        let mut datagram = vec![0; noise.below(100)];
        noise.fill(&mut datagram);
        if noise.below(2) == 0 && datagram.len() > 25 {
            datagram[0] = [20, 21, 22, 23][noise.below(4)];
            datagram[1..5].copy_from_slice(&[0xfe, 0xfd, 0, 0]);
            let length = u16::try_from(datagram.len() - 13).unwrap();
            datagram[11..13].copy_from_slice(&length.to_be_bytes());
            datagram[13] = [0, 2, 3, 11, 14, 16, 20][noise.below(7)];
        }
        harness.deliver(&datagram);
    }
    assert!(harness.sent.is_empty() && harness.endpoint.is_empty());
    harness.complete();
}

/// C2 (Botan #5792), RFC 6347 §4.2.1: a cookie is good for one address and port.
#[test]
fn a_cookie_of_another_address_or_port_is_answered_with_a_new_one() {
    let mut harness = our_server();
    harness.play(&[Line::ClientHello]);
    for address in ["192.0.2.1:40001", "192.0.2.9:40000", "[2001:db8::1]:40000"] {
        harness.address = address.parse().unwrap();
        harness.play(&[Line::ClientHello]);
        assert!(harness.endpoint.is_empty(), "{address}");
        assert_eq!(
            harness.sent.last().unwrap()[13],
            Line::HelloVerifyRequest.typ()
        );
        harness.peer.offer.cookie = harness.sent[0][28..].to_vec();
    }
    harness.address = "192.0.2.1:40000".parse().unwrap();
    harness.play(&[Line::ClientHello]);
    assert_eq!(harness.endpoint.len(), 1, "control: the right address");
}

/// C3: a cookie outlives one change of the key, not two.
#[test]
fn a_cookie_does_not_live_for_ever() {
    let fresh = |age: u64| {
        let mut harness = our_server();
        harness.play(&[Line::ClientHello]);
        harness.wait(Duration::from_secs(age));
        harness.play(&[Line::ClientHello]);
        !harness.endpoint.is_empty()
    };
    assert!(fresh(0) && fresh(50));
    let limit = (0..10_000).step_by(10).find(|&age| !fresh(age));
    let limit = limit.expect("a cookie dies some day");
    assert!((60..=1200).contains(&limit), "{limit}");
    assert!(!fresh(limit + 1) && !fresh(2 * limit) && !fresh(100 * limit));
}

/// C3: many hellos over a long time: the key changes while others wait, and both cookies of the
/// moment are good.
#[test]
fn a_change_of_the_cookie_key_loses_no_honest_client() {
    let mut harness = our_server();
    for port in 1000..1500 {
        newcomer(&mut harness, ([192, 0, 2, 1], port));
        harness.play(&[Line::ClientHello]);
        harness.wait(Duration::from_secs(7));
        harness.play(&[Line::ClientHello]);
        harness.play(&CLIENT_FLIGHT);
        assert!(harness.peer.has_verified(), "{port}");
    }
}

/// C4, RFC 6347 §4.2.1: a cookie belongs to one hello.
#[test]
fn a_cookie_with_another_hello_is_answered_with_a_new_one() {
    type Alter = fn(&mut ScriptedPeer);
    let cases: [(&str, Alter); 4] = [
        ("random", |peer| peer.offer.random[31] ^= 1),
        ("version", |peer| peer.offer.version = 0xfeff),
        ("session", |peer| peer.offer.session_id = vec![1; 32]),
        ("cookie", |peer| peer.offer.cookie[16] ^= 1),
    ];
    for (name, alter) in cases {
        let mut harness = our_server();
        harness.play(&[Line::ClientHello]);
        alter(&mut harness.peer);
        harness.play(&[Line::ClientHello]);
        assert!(harness.endpoint.is_empty(), "{name}");
        assert_eq!(harness.endpoint.stats().hello_verify_requests, 2, "{name}");
    }
    for length in [0, 16, 18, 255] {
        let mut harness = our_server();
        harness.play(&[Line::ClientHello]);
        harness.peer.offer.cookie.resize(length, 0);
        harness.play(&[Line::ClientHello]);
        assert!(harness.endpoint.is_empty(), "{length}");
    }
}

/// RFC 6347 §4.2.1: of a hello that answers a HelloVerifyRequest, version, random, session ID,
/// suites and compression methods are those of the first one; here the extensions are too.
#[test]
fn a_client_repeats_its_hello_and_changes_nothing_but_the_cookie() {
    for cookie in [vec![1; 32], vec![2; 8], Vec::new()] {
        let mut harness = our_client();
        let mut first = harness.peer.offer.clone();
        harness.peer.cookie.clone_from(&cookie);
        harness.play(&[Line::HelloVerifyRequest]);
        first.cookie = cookie;
        assert_eq!(harness.peer.offer, first);
    }
}

/// RFC 6347 §4.2.1: the extensions are not among what must be the same. Nor does this server
/// compare suites and compression methods, which the RFC says it should: they may come in a later
/// fragment than the cookie, and what is served is what was offered last.
#[test]
fn what_stands_behind_the_cookie_of_a_hello_is_not_compared() {
    type Alter = fn(&mut ScriptedPeer);
    let cases: [(&str, Alter); 3] = [
        ("extensions", |peer| {
            peer.offer.extensions.push((0xfafa, vec![7; 20]));
        }),
        ("suites", |peer| peer.offer.suites.push(0xfafa)),
        ("compression", |peer| peer.offer.compression.push(64)),
    ];
    for (name, alter) in cases {
        let mut harness = our_server();
        harness.play(&[Line::ClientHello]);
        alter(&mut harness.peer);
        harness.play(&[Line::ClientHello]);
        harness.play(&CLIENT_FLIGHT);
        assert!(harness.is_complete(), "{name}: {:?}", harness.events);
    }
}

/// RFC 6347 §4.2.1: a HelloVerifyRequest says DTLS 1.0, whatever the ServerHello says later, and
/// has the record number of the hello that it answers.
#[test]
fn a_hello_verify_request_says_1_0_and_has_the_number_of_the_hello() {
    let mut harness = our_server();
    for number in [0, 1, 2] {
        let hello = harness.peer.speak(&[Line::ClientHello]).concat();
        let before = harness.sent.len();
        harness.deliver(&hello);
        let answer = &harness.sent[before];
        // Behind the headers of record and message.
        assert_eq!(answer[25..27], [0xfe, 0xff]);
        let (_, _, sequence) = crate::common::datagram_harness::header(answer);
        assert_eq!(
            (sequence, crate::common::datagram_harness::header(&hello).2),
            (number, number)
        );
        harness.peer.offer.cookie.clear();
    }
}

/// C5 (Botan #5834), RFC 6347 §4.2.1: a second HelloVerifyRequest may be meant for somebody else's
/// hello, so it is not followed but waited out; a server that asks again because its key has
/// changed asks the hello that begins anew. A hundred are not followed.
#[test]
fn a_client_does_not_follow_hello_verify_requests_for_ever() {
    let ends = Ends::new();
    let credential = ends.pki.server(&rcgen::PKCS_ED25519);
    let server = || ScriptedPeer::server(credential.clone());
    let config = ends.build().client;
    for afresh in 0..=4 {
        let mut harness = DatagramHarness::client(config.clone(), server());
        for number in 0..afresh {
            harness.play(&[Line::HelloVerifyRequest]);
            let heard = harness.peer.messages_heard().len();
            harness.play(&[Line::HelloVerifyRequest; 20]);
            assert_eq!(harness.peer.messages_heard().len(), heard, "{number}");
            harness.peer = server();
            harness.wait(Duration::from_secs(1));
            assert_eq!(
                harness.peer.messages_heard().len(),
                1,
                "{number}: a fresh hello"
            );
            assert!(harness.peer.offer.cookie.is_empty());
        }
        harness.play(&[Line::HelloVerifyRequest]);
        if afresh < 4 {
            harness.play(&SERVER_FLIGHT);
            harness.play(&crate::common::datagram_harness::FINALE);
            assert!(harness.is_complete() && harness.exchange(100), "{afresh}");
            continue;
        }
        harness.play(&[Line::HelloVerifyRequest]);
        harness.wait(Duration::from_secs(1));
        let expected = PeerMisbehaved::TooManyHelloVerifyRequests;
        assert_eq!(harness.error(), Some(Error::PeerMisbehaved(expected)));
    }
}

/// RFC 6347 §4.2.2: a server that keeps no state for a client numbers each of its requests 0, also
/// the one that answers a second hello because its key has changed in between. §4.2.1: the number
/// of its record tells which hello it answers, so that another request for the first one, which
/// came twice, asks for nothing new, whatever cookie it has.
#[test]
fn a_client_begins_anew_for_a_stateless_server_that_has_forgotten_its_key() {
    let ends = Ends::new();
    let credential = ends.pki.server(&rcgen::PKCS_ED25519);
    let server = || ScriptedPeer::server(credential.clone());
    let mut harness = DatagramHarness::client(ends.build().client, server());
    let asks = |harness: &mut DatagramHarness, hello: usize, cookie: &[u8]| {
        harness.peer.set_next_seq(0);
        let (_, _, number) = crate::common::datagram_harness::header(&harness.sent[hello]);
        harness.peer.set_next_sequence(0, number);
        harness.peer.cookie = cookie.to_vec();
        harness.play(&[Line::HelloVerifyRequest]);
        harness.peer.messages_heard().len()
    };
    let heard = asks(&mut harness, 0, b"of the old key");
    assert_eq!(harness.peer.offer.cookie, b"of the old key");

    let sent = harness.sent.len();
    assert_eq!(asks(&mut harness, 0, b"another"), heard, "for the first");
    assert_eq!(harness.sent.len(), sent);
    harness.wait(Duration::from_secs(1));
    assert_eq!(harness.sent.len(), sent + 1);
    assert_eq!(harness.peer.offer.cookie, b"of the old key", "repeated");

    // A copy in a record with a number of its own.
    assert_eq!(asks(&mut harness, sent, b"of the old key"), heard);
    harness.wait(Duration::from_secs(2));
    assert_eq!(harness.sent.len(), sent + 2);
    assert_eq!(harness.peer.offer.cookie, b"of the old key", "repeated");

    let refused = asks(&mut harness, sent, b"of the new key");
    assert_eq!(refused, heard, "waited out");
    assert_eq!(harness.sent.len(), sent + 2);
    harness.peer = server();
    harness.wait(Duration::from_secs(4));
    assert_eq!(harness.peer.messages_heard().len(), 1);
    assert!(harness.peer.offer.cookie.is_empty(), "a fresh hello");
    asks(&mut harness, sent + 2, b"of the new key");
    harness.play(&SERVER_FLIGHT);
    harness.play(&crate::common::datagram_harness::FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// C5: cookies of every length are repeated as they are.
#[test]
fn a_cookie_of_any_length_is_repeated() {
    for length in [0, 1, 20, 32, 254, 255] {
        let mut harness = our_client();
        harness.peer.cookie = vec![9; length];
        harness.play(&[Line::HelloVerifyRequest]);
        assert_eq!(harness.peer.offer.cookie, vec![9; length]);
        harness.play(&SERVER_FLIGHT);
        harness.play(&crate::common::datagram_harness::FINALE);
        assert!(harness.is_complete(), "{length}");
    }
}

/// C7 (Erlang CVE-2026-55950): floods of hellos from the address of an association do not touch it.
#[test]
fn a_flood_of_hellos_from_the_same_address_leaves_the_association_alone() {
    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    let mut flood = scripted_client();
    for number in 0..100_000_u32 {
        flood.offer.random[..4].copy_from_slice(&number.to_be_bytes());
        flood.offer.cookie = vec![1; usize::try_from(number % 40).unwrap()];
        flood.set_next_seq(u16::try_from(number % 2).unwrap());
        let hello = flood.speak(&[Line::ClientHello]).concat();
        harness.deliver(&hello);
    }
    assert_eq!(harness.endpoint.len(), 1);
    assert_eq!(harness.id(), Some(id));
    assert!(harness.exchange(100));
}

/// C7: the same with good cookies: somebody who can read the address's mail. Only successors come
/// and go.
#[test]
fn proven_hellos_from_the_same_address_replace_only_each_other() {
    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    let honest = std::mem::replace(&mut harness.peer, scripted_client());
    for _ in 0..1000 {
        harness.peer = scripted_client();
        harness.exchange_cookies();
        // Of those that come too soon one after the other none is served; the last one that was has
        // gone for them.
        assert!(harness.endpoint.half_open() <= 1);
        assert_eq!(harness.endpoint.len(), 1 + harness.endpoint.half_open());
    }
    harness.peer = honest;
    assert!(harness.endpoint.associations().any(|known| known == id));
    assert!(harness.exchange(100));
    harness.wait(FOREVER);
    assert_eq!(harness.endpoint.len(), 1);
    assert!(harness.exchange(100));
}

/// C7: a hello that created the association comes again and again, with its good cookie.
#[test]
fn the_hello_that_made_an_association_is_ignored_when_it_comes_again() {
    let mut harness = our_server();
    harness.play(&[Line::ClientHello]);
    let hello = harness.peer.speak(&[Line::ClientHello]).concat();
    harness.deliver(&hello);
    harness.play(&CLIENT_FLIGHT);
    let sent = harness.sent.len();
    for _ in 0..10_000 {
        harness.deliver(&hello);
    }
    assert_eq!(harness.endpoint.stats().hellos_ignored, 10_000);
    assert_eq!((harness.sent.len(), harness.endpoint.len()), (sent, 1));
    assert!(harness.exchange(100));
}
