//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem) in handshakes: when it is offered and chosen, what
//! is refused, and hellos that take two datagrams, in every order and with every loss.

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::datagram_harness::{CLIENT_FLIGHT, SERVER_FLIGHT, our_client, our_server};
use crate::common::handshakes::{
    HANDSHAKE, Place, SIDES, assert_only_expected_discards, assert_quiet, connection, decide_by,
    exported, places, records, with_each, with_each_pair,
};
use sealgram::config::{Algorithms, DatagramPolicy, Versions};
use sealgram::error::{ConfigError, PeerIncompatible, PeerMisbehaved};
use sealgram::record::Discard;
use sealgram::sim::scripted::Line;
use sealgram::sim::{Direction, Fate, Pair, Seen, StreamPair};
use sealgram::{
    AlertDescription, ClientConfig, Error, Event, HandshakeKind, NamedGroup, ProtocolVersion, Side,
};
use std::time::Duration;

const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;
const X25519: NamedGroup = NamedGroup::X25519;
const P256: NamedGroup = NamedGroup::SECP256R1;

const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const COOKIE: u16 = 44;
const KEY_SHARE: u16 = 51;

/// The smallest MTU of IPv6 (RFC 8200 §5): no hello with a hybrid share fits.
const MTU: usize = 1280;

fn groups(list: &[NamedGroup]) -> Algorithms {
    Algorithms::default().groups(list).unwrap()
}

/// A policy with exact timers.
fn policy(mtu: usize, hybrid_share: bool) -> DatagramPolicy {
    let policy = DatagramPolicy::default().mtu(mtu).unwrap();
    policy.hybrid_share(hybrid_share)
}

/// Both ends at 1.3; the client sends its hybrid share at once, or when it is asked.
fn ends(mtu: usize, hybrid_share: bool) -> Ends {
    let ends = Ends::new().versions(Versions::V1_3);
    ends.datagram(&policy(mtu, hybrid_share))
}

/// The same with a server that takes X25519MLKEM768 alone.
fn insisting(mtu: usize, hybrid_share: bool) -> Ends {
    let mut ends = ends(mtu, hybrid_share);
    ends.server = ends.server.algorithms(groups(&[HYBRID]));
    ends
}

/// The extensions of a ClientHello, from its body.
fn extensions(dtls: bool, body: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut at = 34;
    let mut skip = |size: usize, body: &[u8]| {
        let length = body[at..at + size]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        at += size + length;
        at
    };
    skip(1, body);
    if dtls {
        skip(1, body);
    }
    skip(2, body);
    let start = skip(1, body) + 2;
    let (mut rest, mut found) = (&body[start..], Vec::new());
    while let [a, b, c, d, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        found.push((u16::from_be_bytes([*a, *b]), behind[..length].to_vec()));
        rest = &behind[length..];
    }
    found
}

fn extension(extensions: &[(u16, Vec<u8>)], wanted: u16) -> Option<&[u8]> {
    let found = extensions.iter().find(|(typ, _)| *typ == wanted);
    found.map(|(_, body)| &body[..])
}

fn numbers(list: &[u8]) -> Vec<u16> {
    let pairs = list[2..].chunks(2);
    pairs.map(|it| u16::from_be_bytes([it[0], it[1]])).collect()
}

/// The groups and the shares in a list of KeyShareEntry.
fn shares(extension: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let (mut rest, mut found) = (&extension[2..], Vec::new());
    while let [a, b, c, d, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        found.push((u16::from_be_bytes([*a, *b]), behind[..length].to_vec()));
        rest = &behind[length..];
    }
    found
}

/// The first ClientHello over a stream: its extensions.
fn stream_hello(config: Ends) -> Vec<(u16, Vec<u8>)> {
    let configs = config.build();
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    let bytes = pair.client.transmit(pair.now);
    extensions(false, &bytes[9..])
}

/// A fragment of a handshake message over datagrams.
struct Piece {
    typ: u8,
    seq: u8,
    length: usize,
    offset: usize,
    data: Vec<u8>,
}

/// The plaintext fragments of a datagram.
fn pieces(datagram: &[u8]) -> Vec<Piece> {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    };
    // A record of 1.3 has a header of its own and no more plaintext behind it.
    let plaintext = datagram.first().is_some_and(|&first| first == HANDSHAKE);
    if !plaintext {
        return Vec::new();
    }
    let length = 13 + number(&datagram[11..13]);
    let mut found = Vec::new();
    for (_, record) in records(&datagram[..length]) {
        found.push(Piece {
            typ: record[13],
            seq: record[18],
            length: number(&record[14..17]),
            offset: number(&record[19..22]),
            data: record[25..].to_vec(),
        });
    }
    found.extend(pieces(&datagram[length..]));
    found
}

/// The plaintext messages that went one way: type, message_seq, in how many pieces, and the body.
fn messages(seen: &[Seen], direction: Direction) -> Vec<(u8, u8, usize, Vec<u8>)> {
    let mut found: Vec<(u8, u8, usize, Vec<u8>)> = Vec::new();
    let ours = seen.iter().filter(|seen| seen.direction == direction);
    for piece in ours.flat_map(|seen| pieces(&seen.datagram)) {
        match found.last_mut() {
            Some((typ, seq, count, body))
                if (*typ, *seq, body.len()) == (piece.typ, piece.seq, piece.offset) =>
            {
                *count += 1;
                body.extend(&piece.data);
            }
            _ => found.push((piece.typ, piece.seq, 1, piece.data)),
        }
    }
    found
}

/// Runs until both ends are connected, with everything that was sent.
fn connects(ends: Ends) -> (Pair, Vec<Seen>) {
    let mut pair = ends.build().pair(1);
    pair.record();
    assert!(
        pair.run_until_connected(Duration::from_secs(5)),
        "{:?} {:?}",
        pair.client_events,
        pair.server_events
    );
    let seen = pair.seen.clone().unwrap();
    (pair, seen)
}

fn assert_group(pair: &Pair, group: NamedGroup) {
    for side in SIDES {
        let connection = connection(pair, side);
        assert_eq!(connection.key_exchange_group(), Some(group));
        assert_eq!(connection.version(), Some(ProtocolVersion::DTLS13));
    }
    let [client, server] = SIDES.map(|side| exported(connection(pair, side)));
    assert_eq!(client, server);
}

/// 5.10.1: the group is for 1.3 alone. A hello of 1.2 does not list it, a list of nothing else
/// speaks no 1.2, and the drafts' number is none.
#[test]
fn n510_01_version_1_2_does_not_have_the_group() {
    let listed = |ends: Ends| {
        let hello = stream_hello(ends);
        let list = numbers(extension(&hello, SUPPORTED_GROUPS).unwrap());
        (list, extension(&hello, 43).is_some())
    };
    let (list, speaks_13) = listed(Ends::new().versions(Versions::V1_2));
    assert_eq!((list, speaks_13), (vec![29, 23, 24], false));
    let mut only = Ends::new().versions(Versions::default());
    only.client = only.client.algorithms(groups(&[HYBRID]));
    let hello = stream_hello(only);
    assert_eq!(
        numbers(extension(&hello, SUPPORTED_GROUPS).unwrap()),
        [HYBRID.0]
    );
    assert_eq!(extension(&hello, 43), Some(&[2, 3, 4][..]), "1.3 alone");
    let built = ClientConfig::with_roots(Ends::new().pki.roots()).unwrap();
    let built = built.versions(Versions::V1_2).algorithms(groups(&[HYBRID]));
    assert_eq!(built.build().err(), Some(ConfigError::NoUsableGroup));
    let draft = NamedGroup(0x6399);
    let refused = Algorithms::default().groups(&[draft]).unwrap_err();
    assert_eq!(refused, ConfigError::UnsupportedGroup(draft));
}

/// 5.10.1: a client of 1.2 that lists it all the same gets the next group of the list, and one that
/// lists nothing else none.
#[test]
fn n510_01_a_server_of_1_2_ignores_the_group() {
    for (list, taken) in [(&[HYBRID, X25519][..], true), (&[HYBRID], false)] {
        let mut harness = our_server();
        let body: Vec<u8> = list.iter().flat_map(|it| it.0.to_be_bytes()).collect();
        let body = [&[0, u8::try_from(body.len()).unwrap()][..], &body].concat();
        harness.peer.offer.remove_extension(SUPPORTED_GROUPS);
        harness.peer.offer.extensions.push((SUPPORTED_GROUPS, body));
        harness.exchange_cookies();
        if taken {
            harness.play(&CLIENT_FLIGHT);
            assert_eq!(
                harness.connection().unwrap().key_exchange_group(),
                Some(X25519)
            );
        } else {
            let expected = Error::PeerIncompatible(PeerIncompatible::NoCommonGroup);
            assert_eq!(harness.error(), Some(expected));
        }
    }
}

/// 5.10.1: a server of 1.2 that chooses the group is refused, whatever the client allows at 1.3.
#[test]
fn n510_01_a_client_refuses_the_group_at_1_2() {
    let mut harness = our_client();
    harness.play(&SERVER_FLIGHT[..2]);
    let body = harness.peer.server_key_exchange(HYBRID.0, &[9; 200]);
    let spoken = harness.peer.say(Line::ServerKeyExchange.typ(), body);
    let record = harness.peer.record(HANDSHAKE, 0, &spoken.whole());
    harness.deliver(&record);
    let expected = PeerMisbehaved::SelectedUnofferedGroup(HYBRID);
    assert_eq!(harness.error(), Some(expected.into()));
}

/// 5.10.9: over streams the hybrid share goes first, with the one of X25519 that is in it beside.
#[test]
fn n510_09_over_streams_both_shares_are_sent() {
    let hello = stream_hello(ends(1400, false));
    let list = numbers(extension(&hello, SUPPORTED_GROUPS).unwrap());
    assert_eq!(list[..2], [HYBRID.0, X25519.0]);
    let sent = shares(extension(&hello, KEY_SHARE).unwrap());
    let lengths: Vec<_> = sent.iter().map(|(group, it)| (*group, it.len())).collect();
    assert_eq!(lengths, [(HYBRID.0, 1216), (X25519.0, 32)]);
    // 5.10.7: the same one, which the draft allows.
    assert_eq!(sent[0].1[1184..], sent[1].1);
    // Where X25519 is not allowed, or comes first, one share goes.
    for (list, expected) in [
        (&[HYBRID, P256][..], vec![HYBRID.0]),
        (&[X25519, HYBRID], vec![X25519.0]),
    ] {
        let mut ends = ends(1400, false);
        ends.client = ends.client.algorithms(groups(list));
        let hello = stream_hello(ends);
        let sent = shares(extension(&hello, KEY_SHARE).unwrap());
        let sent: Vec<_> = sent.iter().map(|(group, _)| *group).collect();
        assert_eq!(sent, expected);
    }
}

/// 5.10.9, T5: over datagrams the group is listed and the share of X25519 goes alone; the policy
/// sends both.
#[test]
fn n510_09_t5_over_datagrams_the_policy_decides() {
    for (hybrid_share, expected) in [
        (false, &[(X25519.0, 32)][..]),
        (true, &[(HYBRID.0, 1216), (X25519.0, 32)]),
    ] {
        let (pair, seen) = connects(ends(1400, hybrid_share));
        let (.., body) = &messages(&seen, Direction::ToServer)[0];
        let hello = extensions(true, body);
        let list = numbers(extension(&hello, SUPPORTED_GROUPS).unwrap());
        assert_eq!(list[..2], [HYBRID.0, X25519.0]);
        let sent = shares(extension(&hello, KEY_SHARE).unwrap());
        let sent: Vec<_> = sent.iter().map(|(group, it)| (*group, it.len())).collect();
        assert_eq!(sent, expected);
        assert_group(&pair, if hybrid_share { HYBRID } else { X25519 });
    }
}

/// T5: a server that insists asks for the share, and the second hello has it and no other.
#[test]
fn t5_a_server_may_ask_for_the_hybrid_share() {
    let (pair, seen) = connects(insisting(1400, false));
    assert_group(&pair, HYBRID);
    let hellos = messages(&seen, Direction::ToServer);
    assert_eq!(hellos.len(), 2, "with one HelloRetryRequest between them");
    let second = extensions(true, &hellos[1].3);
    let sent = shares(extension(&second, KEY_SHARE).unwrap());
    assert_eq!((sent.len(), sent[0].0), (1, HYBRID.0));
}

/// A server without ML-KEM takes X25519 from the first hello: no round trip more.
#[test]
fn a_server_without_the_group_takes_x25519() {
    let mut ends = ends(1400, true);
    ends.server = ends.server.algorithms(groups(&[X25519, P256]));
    let (pair, seen) = connects(ends);
    assert_group(&pair, X25519);
    // The one more is for the cookie.
    assert_eq!(messages(&seen, Direction::ToServer).len(), 2);
    let configs = {
        let mut ends = Ends::new().versions(Versions::V1_3);
        ends.server = ends.server.algorithms(groups(&[X25519]));
        ends.build()
    };
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    pair.run();
    for end in [&pair.client, &pair.server] {
        assert_eq!(end.connection.key_exchange_group(), Some(X25519));
    }
}

/// 5.10.8: both hellos take two datagrams, the second one has the cookie before the shares, and the
/// server keeps nothing in between.
#[test]
fn n510_08_hellos_in_two_datagrams_get_a_cookie() {
    let (pair, seen) = connects(ends(MTU, true));
    assert_group(&pair, HYBRID);
    let hellos = messages(&seen, Direction::ToServer);
    assert_eq!(hellos.len(), 2);
    for (number, (typ, seq, count, body)) in hellos.iter().enumerate() {
        assert_eq!((*typ, usize::from(*seq), *count), (1, number, 2));
        assert!(body.len() > MTU);
        let found = extensions(true, body);
        let place = |wanted| found.iter().position(|(typ, _)| *typ == wanted);
        let shares = place(KEY_SHARE).unwrap();
        assert_eq!(
            place(COOKIE).is_some_and(|cookie| cookie < shares),
            number == 1
        );
    }
    // The cookie is whole in the first datagram.
    let first = pieces(
        &seen
            .iter()
            .filter(|seen| seen.direction == Direction::ToServer)
            .nth(2)
            .unwrap()
            .datagram,
    );
    let hello = extensions(true, &hellos[1].3);
    let cookie = extension(&hello, COOKIE).unwrap();
    let start = first[0].data.windows(cookie.len());
    assert!(start.into_iter().any(|window| window == cookie));
}

/// 5.10.8: between the hellos the server has nothing of this client.
#[test]
fn n510_08_the_server_keeps_nothing_between_the_hellos() {
    let mut pair = ends(MTU, true).build().pair(1);
    pair.to_client.hold(true);
    pair.run_for(Duration::from_millis(500));
    assert!(pair.to_client.sent() > 0, "it has asked for a cookie");
    assert!(pair.server.is_empty());
    pair.run_for(Duration::from_secs(3));
    assert!(pair.server.is_empty());
}

/// 5.10.11: what is sent before the cookie has come back is no more than three times what came,
/// after the first half of a hello as well.
#[test]
fn n510_11_a_large_hello_is_not_amplified() {
    for lost in [None, Some(0), Some(1)] {
        let mut pair = ends(MTU, true).build().pair(1);
        pair.record();
        pair.to_client.hold(true);
        if let Some(lost) = lost {
            decide_by(&mut pair, &[((Direction::ToServer, lost), Fate::Drop)]);
        }
        pair.run_for(Duration::from_millis(900));
        let total = |direction| {
            let seen = pair.seen.iter().flatten();
            let ours = seen.filter(|seen| seen.direction == direction);
            ours.map(|seen| seen.datagram.len()).sum::<usize>()
        };
        let (asked, answered) = (total(Direction::ToServer), total(Direction::ToClient));
        assert!(asked > MTU);
        // The answer to a whole hello is a HelloRetryRequest; half of one has none.
        assert_eq!(answered > 0, lost.is_none(), "{lost:?}");
        assert!(answered <= 300, "{answered}");
    }
}

/// 5.10.10, T2: a ServerHello in pieces, and the second piece first. The version is read from whole
/// messages alone.
#[test]
fn n510_10_t2_a_server_hello_in_pieces() {
    for mtu in [MTU, 1198, 600, 256] {
        let mut ends = ends(mtu, true);
        // Both versions: the client has a choice to make.
        ends.client = ends.client.versions(Versions::default());
        ends.server = ends.server.versions(Versions::default());
        let (pair, seen) = connects(ends);
        assert_group(&pair, HYBRID);
        let answers = messages(&seen, Direction::ToClient);
        let server_hello = answers.iter().find(|it| it.3.len() > 1120).unwrap();
        assert_eq!(server_hello.0, 2);
        assert_eq!(server_hello.2 > 1, mtu < 1199, "{mtu}: {}", server_hello.2);
    }
    // Each datagram of the server's first flight behind the next one.
    for late in 0..4 {
        let mut ends = ends(600, true);
        ends.client = ends.client.versions(Versions::default());
        let mut pair = ends.build().pair(1);
        decide_by(&mut pair, &[((Direction::ToClient, late), Fate::Swap)]);
        assert!(pair.run_until_connected(Duration::from_secs(60)), "{late}");
        assert_group(&pair, HYBRID);
    }
}

/// The datagrams of a client, with the ClientHello in them cut at `at` instead.
fn recut(datagrams: &[Vec<u8>], at: usize) -> Vec<Vec<u8>> {
    let all: Vec<Piece> = datagrams.iter().flat_map(|it| pieces(it)).collect();
    let body: Vec<u8> = all.iter().flat_map(|piece| piece.data.clone()).collect();
    assert!(
        all.iter()
            .all(|piece| piece.typ == 1 && piece.length == body.len())
    );
    let record = |sequence: u64, from: usize, to: usize| {
        let three = |number: usize| u32::try_from(number).unwrap().to_be_bytes()[1..].to_vec();
        let fragment = [
            &[1][..],
            &three(body.len()),
            &[0, all[0].seq],
            &three(from),
            &three(to - from),
            &body[from..to],
        ]
        .concat();
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        let sequence = &sequence.to_be_bytes()[2..];
        [
            &[HANDSHAKE, 0xfe, 0xfd, 0, 0][..],
            sequence,
            &length,
            &fragment,
        ]
        .concat()
    };
    let first = u64::from(all[0].seq) * 8;
    vec![record(first, 0, at), record(first + 1, at, body.len())]
}

/// T1: wherever the hellos are cut, 1.3 is chosen.
#[test]
fn t1_a_hello_may_be_cut_anywhere() {
    let configs = {
        let mut ends = ends(MTU, true).repeating(7);
        ends.client = ends.client.versions(Versions::default());
        ends.server = ends.server.versions(Versions::default());
        ends.build()
    };
    let length = {
        let (_, seen) = {
            let mut pair = configs.pair(1);
            pair.record();
            assert!(pair.run_until_connected(Duration::from_secs(5)));
            let seen = pair.seen.clone().unwrap();
            (pair, seen)
        };
        messages(&seen, Direction::ToServer)[0].3.len()
    };
    let mut runs = 0;
    for at in 32..length {
        let mut pair = configs.pair(1);
        pair.record();
        pair.to_server.hold(true);
        for hello in 0..2 {
            pair.transmit();
            let seen = pair.seen.iter().flatten();
            let ours = seen.filter(|seen| seen.direction == Direction::ToServer);
            let datagrams: Vec<_> = ours.map(|seen| seen.datagram.clone()).collect();
            assert_eq!(datagrams.len(), 2 * (hello + 1));
            for datagram in recut(&datagrams[2 * hello..], at) {
                pair.deliver_to_server(&datagram);
            }
            pair.to_server.clear();
            pair.run_for(Duration::from_millis(20));
        }
        pair.to_server.hold(false);
        assert!(pair.run_until_connected(Duration::from_secs(5)), "{at}");
        assert_group(&pair, HYBRID);
        runs += 1;
    }
    println!("{runs} hellos of {length} bytes, each cut elsewhere");
}

/// What is disturbed.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    mtu: usize,
    /// The client sends the share at once; it is asked for it otherwise.
    at_once: bool,
}

impl Scenario {
    const ALL: [Self; 4] = [
        Self {
            mtu: MTU,
            at_once: true,
        },
        Self {
            mtu: 600,
            at_once: true,
        },
        Self {
            mtu: MTU,
            at_once: false,
        },
        Self {
            mtu: 600,
            at_once: false,
        },
    ];

    fn configs(self) -> Configs {
        insisting(self.mtu, self.at_once).build()
    }

    fn survives(self, configs: &Configs, fates: &[(Place, Fate)]) {
        let mut pair = configs.pair(1);
        decide_by(&mut pair, fates);
        let name = format!("{self:?}, {fates:?}");
        assert!(
            pair.run_until_connected(Duration::from_secs(60)),
            "{name}: {:?} {:?}",
            pair.client_events,
            pair.server_events
        );
        assert_group(&pair, HYBRID);
        pair.run_for(Duration::from_secs(5));
        decide_by(&mut pair, &[]);
        assert!(pair.exchange(1), "{name}");
        assert_quiet(&mut pair, &name);
        for side in SIDES {
            let expected = [Discard::Replay, Discard::OldMessage, Discard::OldEpoch];
            let stats = connection(&pair, side).stats();
            let mut causes = stats.discards().map(|(cause, _)| cause);
            assert!(
                causes.all(|it| expected.contains(&it)),
                "{name}: {side}: {stats:?}"
            );
        }
    }
}

/// 5.10.8: either half of either hello lost, repeated or late, and so every other datagram.
#[test]
fn n510_08_every_datagram_may_be_lost_repeated_or_late() {
    let mut runs = 0;
    for scenario in Scenario::ALL {
        let configs = scenario.configs();
        let places = places(&undisturbed(&configs));
        assert!(places.len() >= 6, "{scenario:?}");
        runs += with_each(&places, |fates| scenario.survives(&configs, fates));
    }
    println!("{runs} handshakes with one datagram lost, repeated or late");
}

/// T3: every pair of the first ten datagrams.
#[test]
fn t3_every_pair_of_the_first_datagrams_may_be_lost_repeated_or_late() {
    let mut runs = 0;
    for scenario in Scenario::ALL {
        let configs = scenario.configs();
        let mut places = places(&undisturbed(&configs));
        places.truncate(10);
        runs += with_each_pair(&places, |fates| scenario.survives(&configs, fates));
    }
    println!("{runs} handshakes with two datagrams lost, repeated or late");
}

fn undisturbed(configs: &Configs) -> Vec<Seen> {
    let mut pair = configs.pair(1);
    pair.record();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    pair.run_for(Duration::from_secs(1));
    assert_only_expected_discards(&pair, false, "undisturbed");
    pair.seen.unwrap_or_default()
}

/// T4: where no hello in pieces gets through, X25519 goes alone after two of them, and an event
/// tells. A server that answers afterwards is resumed from as ever.
#[test]
fn t4_two_unanswered_hybrid_hellos_are_followed_by_a_small_one() {
    let mut pair = ends(MTU, true).build().pair(1);
    pair.record();
    let began = pair.now;
    // A path that drops every datagram of a hello in pieces.
    pair.to_server.script(|_, datagram| {
        let cut = |piece: &Piece| piece.typ == 1 && piece.data.len() < piece.length;
        match pieces(datagram).iter().any(cut) {
            true => Fate::Drop,
            false => Fate::Deliver,
        }
    });
    assert!(pair.run_until_connected(Duration::from_secs(10)));
    assert_group(&pair, X25519);
    assert!(
        pair.now - began >= Duration::from_secs(3),
        "after 1 s and 2 s"
    );
    assert!(pair.now - began < Duration::from_secs(4));
    let (_, first) = &pair.client_events[0];
    assert_eq!(*first, Event::HybridShareLeftOut);
    let told = pair.client_events.iter();
    let told = told.filter(|(_, event)| *event == Event::HybridShareLeftOut);
    assert_eq!(told.count(), 1);
    let hellos = messages(pair.seen.as_ref().unwrap(), Direction::ToServer);
    let sizes: Vec<_> = hellos.iter().map(|it| it.3.len() > MTU).collect();
    assert_eq!(sizes, [true, true, false, false]);
    // The group is still listed.
    let hello = extensions(true, &hellos[2].3);
    let list = numbers(extension(&hello, SUPPORTED_GROUPS).unwrap());
    assert_eq!(list[0], HYBRID.0);
    assert!(pair.exchange(3));
    assert_quiet(&mut pair, "a small hello");
}

/// T4: the small hello offers a session as the large one did.
#[test]
fn t4_a_small_hello_offers_a_session() {
    let configs = ends(MTU, true).resuming().build();
    configs.connected(1).run_for(Duration::from_secs(1));
    let mut pair = configs.pair(2);
    pair.to_server.script(|_, datagram| {
        let cut = |piece: &Piece| piece.typ == 1 && piece.data.len() < piece.length;
        match pieces(datagram).iter().any(cut) {
            true => Fate::Drop,
            false => Fate::Deliver,
        }
    });
    assert!(pair.run_until_connected(Duration::from_secs(10)));
    assert_group(&pair, X25519);
    let kind = connection(&pair, Side::Client).handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
}

/// T4: what nobody could do without the share is not tried.
#[test]
fn t4_without_x25519_no_smaller_hello_is_sent() {
    for list in [&[HYBRID][..], &[HYBRID, P256]] {
        let mut ends = ends(MTU, true);
        ends.client = ends.client.algorithms(groups(list));
        let mut pair = ends.build().pair(1);
        pair.record();
        pair.to_server.script(|_, _| Fate::Drop);
        pair.run_for(Duration::from_secs(20));
        let hellos = messages(pair.seen.as_ref().unwrap(), Direction::ToServer);
        assert!(hellos.len() > 3 && hellos.iter().all(|it| it.3.len() > MTU));
        assert_eq!(pair.client_events, []);
    }
}

/// A hello of a stream that is altered on its way, and the alert of whoever gets it.
fn told(side: Side, alter: impl Fn(&mut Vec<u8>, usize)) -> Option<Error> {
    let configs = insisting(1400, true).build();
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    let mut hello = pair.client.transmit(pair.now);
    let find = |bytes: &[u8], length: u16| {
        let [high, low] = length.to_be_bytes();
        let mark = [0x11, 0xec, high, low];
        let place = bytes.windows(4).position(|window| window == mark);
        place.unwrap() + 4
    };
    if side == Side::Server {
        let place = find(&hello, 1216);
        alter(&mut hello, place);
        pair.server.deliver(pair.now, &hello);
        return pair.server.error.clone();
    }
    pair.server.deliver(pair.now, &hello);
    let mut answer = pair.server.transmit(pair.now);
    let place = find(&answer, 1120);
    alter(&mut answer, place);
    pair.client.deliver(pair.now, &answer);
    pair.client.error.clone()
}

fn assert_illegal(told: Option<Error>) {
    let told = told.expect("it is refused");
    assert_eq!(told, PeerMisbehaved::InvalidKeyShare.into());
    assert_eq!(told.alert(), Some(AlertDescription::ILLEGAL_PARAMETER));
}

/// 5.10.3, T7: a coefficient of the client's key is the modulus.
#[test]
fn n510_03_t7_a_key_out_of_range_is_an_illegal_parameter() {
    let spoil = |hello: &mut Vec<u8>, place: usize| {
        hello[place] = 0x01;
        hello[place + 1] = hello[place + 1] & 0xf0 | 0x0d;
    };
    assert_illegal(told(Side::Server, spoil));
    assert_eq!(told(Side::Server, |_, _| {}), None);
}

/// 5.10.5: the part of X25519 is zero, at either end.
#[test]
fn n510_05_a_zero_share_of_x25519_is_an_illegal_parameter() {
    assert_illegal(told(Side::Server, |hello, place| {
        hello[place + 1184..place + 1216].fill(0);
    }));
    assert_illegal(told(Side::Client, |hello, place| {
        hello[place + 1088..place + 1120].fill(0);
    }));
}

/// 5.10.4: a ciphertext of the right length that is none gives other keys, and what comes under
/// those does not open.
#[test]
fn n510_04_a_wrong_ciphertext_ends_the_handshake_under_keys() {
    let told = told(Side::Client, |hello, place| hello[place + 7] ^= 1);
    let told = told.expect("the keys differ").alert();
    assert_eq!(told, Some(AlertDescription::BAD_RECORD_MAC));
}

/// Adds or takes away a byte of a share, and corrects all lengths around it: those of the share, of
/// the list if it is in one, of the extension, of all extensions, of the message and the record.
fn resize(hello: &mut Vec<u8>, place: usize, by: i32, lengths: &[usize]) {
    let adjust = |hello: &mut Vec<u8>, at: usize| {
        let length = i32::from(u16::from_be_bytes([hello[at], hello[at + 1]])) + by;
        hello[at..at + 2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    };
    for &at in lengths {
        adjust(hello, at);
    }
    if by > 0 {
        hello.insert(place, 7);
    } else {
        hello.remove(place);
    }
}

/// 5.10.4, 5.10.6, T7: 1215 and 1217, 1119 and 1121 bytes.
#[test]
fn n510_06_t7_another_length_is_an_illegal_parameter() {
    for by in [-1, 1] {
        let client = told(Side::Server, |hello, place| {
            // Record, message, and where the extensions begin: behind the session ID, the suites
            // and the compression methods.
            let session = 43 + 1 + usize::from(hello[43]);
            let suites = usize::from(u16::from_be_bytes([hello[session], hello[session + 1]]));
            let all = session + 2 + suites + 2;
            // Group, list and extension are right before the share.
            let lengths = [3, 7, all, place - 2, place - 6, place - 8];
            resize(hello, place, by, &lengths);
        });
        assert_illegal(client);
        let server = told(Side::Client, |hello, place| {
            let session = 43 + 1 + usize::from(hello[43]);
            let all = session + 3;
            let lengths = [3, 7, all, place - 2, place - 6];
            resize(hello, place, by, &lengths);
        });
        assert_illegal(server);
    }
}

/// 5.10.7: a second hello has a share of its own.
#[test]
fn n510_07_every_hello_has_new_keys() {
    let share = || {
        let hello = stream_hello(ends(1400, true));
        shares(extension(&hello, KEY_SHARE).unwrap())[0].1.clone()
    };
    let [one, other] = [share(), share()];
    assert_ne!(one[..1184], other[..1184]);
    assert_ne!(one[1184..], other[1184..]);
    let (_, seen) = connects(insisting(1400, false));
    let hellos = messages(&seen, Direction::ToServer);
    let [first, second] = [0, 1].map(|number| {
        let hello = extensions(true, &hellos[number].3);
        shares(extension(&hello, KEY_SHARE).unwrap())[0].1.clone()
    });
    assert_eq!((first.len(), second.len()), (32, 1216));
    assert_ne!(first, second[1184..], "an answer to a request is made anew");
}

/// 5.10.12: what signs is what signed before.
#[test]
fn n510_12_no_signature_scheme_comes_with_it() {
    let hello = stream_hello(ends(1400, true));
    let schemes = numbers(extension(&hello, SIGNATURE_ALGORITHMS).unwrap());
    // ML-DSA is 0x0904 to 0x0906.
    assert!(!schemes.is_empty() && schemes.iter().all(|it| it >> 8 != 0x09));
}

/// A session is resumed with a new exchange in the same group.
#[test]
fn a_resumed_session_has_a_hybrid_exchange_too() {
    let configs = insisting(1400, true).resuming().build();
    let mut pair = configs.connected(1);
    pair.run_for(Duration::from_secs(1));
    let mut pair = configs.pair(2);
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    assert_group(&pair, HYBRID);
    let kind = connection(&pair, Side::Client).handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
}
