//! Hellos of version 1.3 that are altered on their way: what a peer may not say, and the alert that
//! answers it (RFC 8446 §4.1, §4.2; RFC 9147 §5.3). Both hellos are unprotected, so anybody can do
//! this; over a stream it ends the attempt.

use crate::common::configs::{Ends, server_name, start};
use crate::common::hello::{Hello, first_record};
use sealgram::config::{Algorithms, Versions};
use sealgram::sim::StreamPair;
use sealgram::{AlertDescription, Error, NamedGroup};

const SUPPORTED_VERSIONS: u16 = 43;
const COOKIE: u16 = 44;
const KEY_SHARE: u16 = 51;
const PRE_SHARED_KEY: u16 = 41;

fn pair(ends: Ends) -> StreamPair {
    let configs = ends.build();
    StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap()
}

fn ends() -> Ends {
    Ends::new().versions(Versions::V1_3)
}

/// What the client says to a ServerHello that was altered.
fn client_told(ends: Ends, alter: impl Fn(&mut Hello)) -> Option<AlertDescription> {
    let mut pair = pair(ends);
    let hello = pair.client.transmit(pair.now);
    pair.server.deliver(pair.now, &hello);
    let answer = pair.server.transmit(pair.now);
    let (hello, rest) = first_record(&answer);
    let mut hello = Hello::parse(hello);
    alter(&mut hello);
    pair.client
        .deliver(pair.now, &[&hello.record(), rest].concat());
    pair.client.error.as_ref().and_then(Error::alert)
}

/// What the server says to a ClientHello that was altered.
fn server_told(ends: Ends, alter: impl Fn(&mut Hello)) -> Option<AlertDescription> {
    let mut pair = pair(ends);
    let bytes = pair.client.transmit(pair.now);
    let mut hello = Hello::parse(&bytes);
    alter(&mut hello);
    pair.server.deliver(pair.now, &hello.record());
    pair.server.error.as_ref().and_then(Error::alert)
}

const ILLEGAL: Option<AlertDescription> = Some(AlertDescription::ILLEGAL_PARAMETER);

#[test]
fn an_unaltered_hello_is_taken() {
    assert_eq!(client_told(ends(), |_| {}), None);
    assert_eq!(server_told(ends(), |_| {}), None);
}

/// D15: without a key exchange there would be no secret.
#[test]
fn d15_a_server_hello_without_a_key_share_is_refused() {
    let told = client_told(ends(), |hello| hello.without(KEY_SHARE));
    assert_eq!(told, Some(AlertDescription::MISSING_EXTENSION));
}

/// D10: nothing is taken that was not offered.
#[test]
fn d10_what_was_not_offered_is_refused() {
    let suite = |hello: &mut Hello| hello.choices[..2].copy_from_slice(&[0x13, 0x04]);
    assert_eq!(client_told(ends(), suite), ILLEGAL);
    let group = |hello: &mut Hello| hello.extension(KEY_SHARE)[..2].copy_from_slice(&[0, 25]);
    assert_eq!(client_told(ends(), group), ILLEGAL);
    let version = |hello: &mut Hello| *hello.extension(SUPPORTED_VERSIONS) = vec![3, 5];
    assert_eq!(client_told(ends(), version), ILLEGAL);
    // A suite of 1.2 under version 1.3.
    let older = |hello: &mut Hello| hello.choices[..2].copy_from_slice(&[0xc0, 0x2b]);
    assert_eq!(client_told(ends(), older), ILLEGAL);
    let unknown = |hello: &mut Hello| hello.extensions.push((0xabcd, vec![]));
    let told = client_told(ends(), unknown);
    assert_eq!(told, Some(AlertDescription::UNSUPPORTED_EXTENSION));
}

/// RFC 8446 §4.2.11: a ticket that was not offered, or by a number that is out of range (r8446_13).
#[test]
fn r8446_13_a_ticket_that_was_not_offered_is_refused() {
    let stray = |hello: &mut Hello| hello.extensions.push((PRE_SHARED_KEY, vec![0, 0]));
    let told = client_told(ends(), stray);
    assert!(
        told == ILLEGAL || told == Some(AlertDescription::UNSUPPORTED_EXTENSION),
        "{told:?}"
    );
    let resuming = ends().resuming();
    let configs = resuming.build();
    let visit = || {
        StreamPair::new(
            start(),
            configs.client.clone(),
            configs.server.clone(),
            server_name(),
        )
        .unwrap()
    };
    visit().run();
    let mut pair = visit();
    let hello = pair.client.transmit(pair.now);
    pair.server.deliver(pair.now, &hello);
    let answer = pair.server.transmit(pair.now);
    let (hello, rest) = first_record(&answer);
    let mut hello = Hello::parse(hello);
    *hello.extension(PRE_SHARED_KEY) = vec![0, 7];
    pair.client
        .deliver(pair.now, &[&hello.record(), rest].concat());
    assert_eq!(pair.client.error.as_ref().and_then(Error::alert), ILLEGAL);
}

/// RFC 8446 §4.1.3: the session ID comes back as it was (D19).
#[test]
fn r9147_18_a_session_id_that_is_not_the_clients_is_refused() {
    assert_eq!(
        client_told(ends(), |hello| hello.session_id[0] ^= 1),
        ILLEGAL
    );
    assert_eq!(
        client_told(ends(), |hello| hello.session_id.clear()),
        ILLEGAL
    );
}

#[test]
fn a_version_in_the_old_place_or_a_compression_is_refused() {
    let told = client_told(ends(), |hello| hello.version = [3, 4]);
    assert!(told.is_some(), "{told:?}");
    // RFC 8446 §4.1.3: the field can hold nothing but zero.
    let decode_error = Some(AlertDescription::DECODE_ERROR);
    assert_eq!(
        client_told(ends(), |hello| hello.choices[2] = 1),
        decode_error
    );
    assert_eq!(
        server_told(ends(), |hello| *hello.choices.last_mut().unwrap() = 1),
        ILLEGAL
    );
}

/// D12, RFC 8446 §4.1.3: a server that speaks 1.3 says so in the random of every ServerHello of
/// 1.2, and a client that offered 1.3 ends what was downgraded.
#[test]
fn r9147_25_a_downgrade_is_noticed() {
    let both = || Ends::new().versions(Versions::ALL);
    // Somebody takes 1.3 out of the offer.
    let mut pair = pair(both());
    let bytes = pair.client.transmit(pair.now);
    let mut hello = Hello::parse(&bytes);
    hello.without(SUPPORTED_VERSIONS);
    pair.server.deliver(pair.now, &hello.record());
    let answer = pair.server.transmit(pair.now);
    let server = Hello::parse(first_record(&answer).0);
    assert_eq!(server.random[24..], *b"DOWNGRD\x01");
    pair.client.deliver(pair.now, &answer);
    assert_eq!(pair.client.error.as_ref().and_then(Error::alert), ILLEGAL);
    // The sentinel for versions before 1.2 ends it as well.
    let mut older = both();
    older.server = older.server.versions(Versions::V1_2);
    let told = client_told(older, |hello| {
        hello.random[24..].copy_from_slice(b"DOWNGRD\x00")
    });
    assert_eq!(told, ILLEGAL);
    // A client of 1.2 has offered nothing better.
    let mut newer = both();
    newer.client = newer.client.versions(Versions::V1_2);
    assert_eq!(client_told(newer, |_| {}), None);
}

/// RFC 8446 §9.2, §4.2.8: what a ClientHello must have.
#[test]
fn a_client_hello_must_have_its_extensions() {
    let missing = Some(AlertDescription::MISSING_EXTENSION);
    for typ in [10, 13, KEY_SHARE] {
        assert_eq!(
            server_told(ends(), |hello| hello.without(typ)),
            missing,
            "{typ}"
        );
    }
    // RFC 8446 §4.2.2: a cookie that nobody gave.
    let cookie = |hello: &mut Hello| hello.extensions.insert(0, (COOKIE, vec![0, 1, 7]));
    assert_eq!(server_told(ends(), cookie), ILLEGAL);
    // A share of a group that is not offered.
    let stray = |hello: &mut Hello| hello.extension(KEY_SHARE)[2..4].copy_from_slice(&[0, 30]);
    assert_eq!(server_told(ends(), stray), ILLEGAL);
    // RFC 8446 §4.2: no extension twice.
    let twice = |hello: &mut Hello| {
        let share = hello.extension(KEY_SHARE).clone();
        hello.extensions.push((KEY_SHARE, share));
    };
    assert!(server_told(ends(), twice).is_some());
}

fn retrying() -> Ends {
    let mut ends = ends();
    ends.server = ends.server.algorithms(
        Algorithms::default()
            .groups(&[NamedGroup::SECP384R1])
            .unwrap(),
    );
    ends
}

/// RFC 8446 §4.1.4: a request that asks for what is there, or for what was never offered, and a
/// second one.
#[test]
fn r9147_20_a_retry_must_ask_for_something_new_and_only_once() {
    let there = |hello: &mut Hello| *hello.extension(KEY_SHARE) = vec![0, 29];
    assert_eq!(client_told(retrying(), there), ILLEGAL);
    let unknown = |hello: &mut Hello| *hello.extension(KEY_SHARE) = vec![0, 25];
    assert_eq!(client_told(retrying(), unknown), ILLEGAL);
    assert_eq!(
        client_told(retrying(), |hello| hello.without(KEY_SHARE)),
        ILLEGAL
    );
    let mut pair = pair(retrying());
    let hello = pair.client.transmit(pair.now);
    pair.server.deliver(pair.now, &hello);
    let request = pair.server.transmit(pair.now);
    let request = first_record(&request).0;
    pair.client.deliver(pair.now, request);
    assert_eq!(pair.client.error, None);
    pair.client.deliver(pair.now, request);
    let told = pair.client.error.as_ref().and_then(Error::alert);
    assert_eq!(told, Some(AlertDescription::UNEXPECTED_MESSAGE));
}

/// What is done to a hello.
type Alteration = fn(&mut Hello);

/// D13, D14 (RFC 8446 §4.1.2): the second hello is the first, but for what the request changes.
#[test]
fn d14_a_second_hello_that_was_changed_is_refused() {
    let alterations: [(&str, Alteration); 7] = [
        ("version", |hello| hello.without(SUPPORTED_VERSIONS)),
        ("random", |hello| hello.random[0] ^= 1),
        ("session ID", |hello| hello.session_id[0] ^= 1),
        ("suites", |hello| hello.choices[3] ^= 1),
        ("server name", |hello| hello.without(0)),
        ("share of another group", |hello| {
            hello.extension(KEY_SHARE)[3] = 23
        }),
        ("a new extension", |hello| {
            hello.extensions.insert(0, (16, b"\0\x03\x02h2".to_vec()))
        }),
    ];
    for (name, alter) in alterations {
        let mut pair = pair(retrying());
        let hello = pair.client.transmit(pair.now);
        pair.server.deliver(pair.now, &hello);
        let request = pair.server.transmit(pair.now);
        pair.client.deliver(pair.now, &request);
        let answer = pair.client.transmit(pair.now);
        // A ChangeCipherSpec for middleboxes goes before it.
        let (first, rest) = first_record(&answer);
        let (switch, second) = if first[0] == 20 {
            (first, rest)
        } else {
            (&[][..], &answer[..])
        };
        let mut second = Hello::parse(second);
        alter(&mut second);
        pair.server
            .deliver(pair.now, &[switch, &second.record()].concat());
        assert!(pair.server.error.is_some(), "{name}");
    }
}
