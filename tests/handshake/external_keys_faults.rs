//! Hellos with pre-shared keys that are altered on their way, peers that break the rules about
//! them, and what an attacker could learn or reflect (RFC 8446 §4.1.2, §4.2.11, §E.6;
//! RFC 9257 §4.1).

use crate::common::configs::{Configs, SERVER, server_name, start};
use crate::common::hello::{Hello, first_record};
use crate::external_keys::{SECRET, another_group, client, configs, imported, raw, server};
use bytes::BytesMut;
use sealgram::config::{Algorithms, PskKeyExchange};
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::error::{ConfigError, PeerIncompatible, PeerMisbehaved};
use sealgram::identity::{Credential, SharedKey};
use sealgram::server::ServerConfigBuilder;
use sealgram::session::{MemoryClientSessions, Tickets};
use sealgram::sim::scripted13::{Line, ScriptedPeer};
use sealgram::sim::{StreamEnd, StreamPair};
use sealgram::{
    AlertDescription, CipherSuite, ClientConfig, Error, Path, ServerConfig, TlsConnection,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const PSK_KEY_EXCHANGE_MODES: u16 = 45;
const KEY_SHARE: u16 = 51;

/// The identities of a hello with their ages, and its binders.
struct Offered {
    identities: Vec<(Vec<u8>, u32)>,
    binders: Vec<Vec<u8>>,
}

impl Offered {
    fn parse(hello: &mut Hello) -> Self {
        let body = hello.extension(PRE_SHARED_KEY).clone();
        let (list, mut rest) = split16(&body);
        let mut identities = Vec::new();
        let mut list = list;
        while !list.is_empty() {
            let (identity, behind) = split16(list);
            let (age, behind) = behind.split_first_chunk::<4>().unwrap();
            identities.push((identity.to_vec(), u32::from_be_bytes(*age)));
            list = behind;
        }
        let mut binders = Vec::new();
        rest = split16(rest).0;
        while let [length, behind @ ..] = rest {
            let (binder, behind) = behind.split_at(usize::from(*length));
            binders.push(binder.to_vec());
            rest = behind;
        }
        Self {
            identities,
            binders,
        }
    }

    fn put(&self, hello: &mut Hello) {
        let mut list = Vec::new();
        for (identity, age) in &self.identities {
            put16(&mut list, identity);
            list.extend(age.to_be_bytes());
        }
        let mut binders = Vec::new();
        for binder in &self.binders {
            binders.push(u8::try_from(binder.len()).unwrap());
            binders.extend(binder);
        }
        let body = hello.extension(PRE_SHARED_KEY);
        body.clear();
        put16(body, &list);
        put16(body, &binders);
    }
}

fn split16(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    bytes[2..].split_at(length)
}

fn put16(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

fn pair(configs: &Configs) -> StreamPair {
    let (client, server) = (configs.client.clone(), configs.server.clone());
    StreamPair::new(start(), client, server, server_name()).unwrap()
}

/// The client's first hello.
fn first_hello(pair: &mut StreamPair) -> Hello {
    let bytes = pair.client.transmit(pair.now);
    Hello::parse(first_record(&bytes).0)
}

/// Both hellos of a client that is asked for another share; the second one is not delivered.
fn both_hellos(pair: &mut StreamPair) -> (Hello, Hello) {
    let first = first_hello(pair);
    pair.server.deliver(pair.now, &first.record());
    let request = pair.server.transmit(pair.now);
    pair.client.deliver(pair.now, &request);
    let bytes = pair.client.transmit(pair.now);
    // Behind a ChangeCipherSpec.
    (first, Hello::parse(first_record(&bytes[6..]).0))
}

/// What a server says to a second hello that was altered.
fn told_second(configs: &Configs, alter: impl Fn(&mut Offered)) -> Option<Error> {
    let mut pair = pair(configs);
    let (_, mut second) = both_hellos(&mut pair);
    let mut offered = Offered::parse(&mut second);
    alter(&mut offered);
    offered.put(&mut second);
    pair.server.deliver(pair.now, &second.record());
    pair.server.error.clone()
}

/// What a client says to a ServerHello that was altered.
fn client_told(configs: &Configs, alter: impl Fn(&mut Hello)) -> Option<Error> {
    let mut pair = pair(configs);
    let hello = pair.client.transmit(pair.now);
    pair.server.deliver(pair.now, &hello);
    let answer = pair.server.transmit(pair.now);
    let (hello, rest) = first_record(&answer);
    let mut hello = Hello::parse(hello);
    alter(&mut hello);
    let altered = [&hello.record(), rest].concat();
    pair.client.deliver(pair.now, &altered);
    pair.client.error.clone()
}

/// A client with several keys and a server that knows one of them and asks for another share.
fn retried() -> Configs {
    let client = client(raw(b"a"))
        .add_shared_key(raw(b"b"))
        .add_shared_key(imported(b"c", b""));
    let server = server([raw(b"b"), imported(b"c", b"")]).algorithms(another_group());
    configs(client, server)
}

/// Statements 1, 3, 5, 13 and 16: what stands in both hellos.
#[test]
fn n56_13_a_hello_names_each_key_once_for_each_hash() {
    let mut pair = pair(&retried());
    let (mut first, mut second) = both_hellos(&mut pair);
    for hello in [&mut first, &mut second] {
        assert_eq!(hello.extensions.last().unwrap().0, PRE_SHARED_KEY);
        assert_eq!(*hello.extension(PSK_KEY_EXCHANGE_MODES), [1, 1]);
        assert!(hello.extensions.iter().all(|(typ, _)| *typ != EARLY_DATA));
        let offered = Offered::parse(hello);
        assert!(offered.identities.iter().all(|(_, age)| *age == 0));
    }
    let (before, after) = (Offered::parse(&mut first), Offered::parse(&mut second));
    let wire = |kdf: u8| [b"\0\x01c\0\0\x03\x04\0", &[kdf][..]].concat();
    let names = |offered: &Offered| -> Vec<_> {
        let identities = offered.identities.iter();
        identities.map(|(identity, _)| identity.clone()).collect()
    };
    let expected = [b"a".to_vec(), b"b".to_vec(), wire(1), wire(2)];
    assert_eq!(names(&before), expected);
    let lengths: Vec<_> = before.binders.iter().map(Vec::len).collect();
    assert_eq!(lengths, [32, 32, 32, 48]);
    // The request has fixed a suite with SHA-256.
    assert_eq!(names(&after), expected[..3]);
    assert_eq!(after.binders.len(), 3);
    assert!(
        after
            .binders
            .iter()
            .all(|binder| !before.binders.contains(binder))
    );
}

/// Statement 4, K2: identities are neither added, nor exchanged, nor moved.
#[test]
fn k2_the_second_hello_names_no_other_keys() {
    let changed = Some(Error::from(PeerMisbehaved::ChangedHello));
    let configs = retried();
    let alterations: [fn(&mut Offered); 4] = [
        |offered| offered.identities.swap(0, 1),
        |offered| offered.identities[0].0 = b"x".to_vec(),
        |offered| {
            offered.identities.push((b"x".to_vec(), 0));
            offered.binders.push(vec![0; 32]);
        },
        // What goes with the suite stays.
        |offered| {
            offered.identities.pop();
            offered.binders.pop();
        },
    ];
    for alter in alterations {
        let told = told_second(&configs, alter);
        assert_eq!(told, changed);
        let alert = told.unwrap().alert();
        assert_eq!(alert, Some(AlertDescription::ILLEGAL_PARAMETER));
    }
    // One that says nothing about its hash may have been of another one: what fails now is the
    // binder, because the hello was altered.
    let told = told_second(&configs, |offered| {
        offered.identities.remove(0);
        offered.binders.remove(0);
    });
    assert_eq!(told, Some(PeerIncompatible::SharedKeyDiffers.into()));
}

/// Statement 4, K2: nor may a ticket be left out that goes with the suite (RFC 8446 §4.1.2).
#[test]
fn k2_a_ticket_is_not_left_out_of_the_second_hello() {
    let tickets = Arc::new(Tickets::new(Duration::from_secs(3600)).unwrap());
    let store = Arc::new(MemoryClientSessions::new(8));
    let client = client(raw(b"a")).session_store(Some(store)).build();
    let (client, server) = (Arc::new(client.unwrap()), server([raw(b"a")]));
    let server = server.tickets(Some(tickets));
    let of = |server: ServerConfigBuilder| Configs {
        client: client.clone(),
        server: Arc::new(server.build().unwrap()),
    };
    pair(&of(server.clone())).run();
    let retrying = of(server.algorithms(another_group()));
    let told = told_second(&retrying, |offered| {
        assert_eq!(offered.identities.len(), 2, "a ticket and the key");
        offered.identities.remove(0);
        offered.binders.remove(0);
    });
    assert_eq!(told, Some(PeerMisbehaved::ChangedHello.into()));
}

/// K1, statement 2: the second binder is checked as the first is.
#[test]
fn k1_a_broken_second_binder_fails() {
    for bit in [0, 255] {
        let told = told_second(&retried(), |offered| {
            offered.binders[1][bit / 8] ^= 1 << (bit % 8);
        });
        let error = Error::from(PeerIncompatible::SharedKeyDiffers);
        assert_eq!(told, Some(error.clone()));
        assert_eq!(error.alert(), Some(AlertDescription::DECRYPT_ERROR));
    }
    // That of a key which is not chosen is nobody's concern, but the hello before it is.
    let first = told_second(&retried(), |offered| offered.binders[0][0] ^= 1);
    assert_eq!(first, None);
    let short = told_second(&retried(), |offered| offered.binders[1].truncate(31));
    assert_eq!(short, Some(PeerIncompatible::SharedKeyDiffers.into()));
}

/// Statement 8: a server chooses among what was offered, in a mode that was offered.
#[test]
fn n56_08_a_client_takes_only_what_it_has_offered() {
    let both = || configs(client(imported(b"a", b"")), server([imported(b"a", b"")]));
    let select = |index: u8| {
        client_told(&both(), |hello| {
            *hello.extension(PRE_SHARED_KEY) = vec![0, index];
        })
    };
    let illegal = Some(AlertDescription::ILLEGAL_PARAMETER);
    for index in [2, 255] {
        let told = select(index).unwrap();
        assert_eq!(told, PeerMisbehaved::SelectedUnofferedPsk.into());
        assert_eq!(told.alert(), illegal);
    }
    // The one for the other hash.
    let told = select(1).unwrap();
    assert_eq!(told, PeerMisbehaved::ResumedWithOtherCipherSuite.into());
    assert_eq!(told.alert(), illegal);
    let told = client_told(&both(), |hello| hello.without(KEY_SHARE));
    assert_eq!(
        told,
        Some(PeerMisbehaved::MissingExtension(KEY_SHARE).into())
    );
    let told = client_told(&both(), |hello| hello.without(PRE_SHARED_KEY));
    let missing = PeerMisbehaved::MissingExtension(PRE_SHARED_KEY);
    assert_eq!(told, Some(missing.into()));
    // psk_ke was offered and nothing else.
    let avoided = PskKeyExchange::Avoided;
    let bare = configs(
        client(raw(b"a")).psk_key_exchange(avoided),
        server([raw(b"a")]).psk_key_exchange(avoided),
    );
    let told = client_told(&bare, |hello| {
        let share = [&[0, 29, 0, 32][..], &[9; 32]].concat();
        hello.extensions.push((KEY_SHARE, share));
    });
    assert_eq!(
        told,
        Some(PeerMisbehaved::IllegalExtension(KEY_SHARE).into())
    );
}

/// Statement 7: a server that has accepted a key shows and asks for no certificate.
#[test]
fn n56_07_certificates_under_a_key_are_refused() {
    let ends = crate::common::configs::Ends::new();
    let credential: Credential = ends.pki.server(&rcgen::PKCS_ED25519);
    for (lines, fine) in [
        (&[Line::EncryptedExtensions, Line::Finished][..], true),
        (
            &[Line::EncryptedExtensions, Line::CertificateRequest],
            false,
        ),
        (&[Line::EncryptedExtensions, Line::Certificate], false),
        (&[Line::EncryptedExtensions, Line::CertificateVerify], false),
    ] {
        let config = client(raw(b"a")).build().unwrap();
        let ours = TlsConnection::connect(start(), Arc::new(config), server_name()).unwrap();
        let mut ours = StreamEnd::new(ours);
        let now = start();
        let mut peer = ScriptedPeer::server(credential.clone()).sharing(&[0x5a; 32]);
        peer.hear(&ours.transmit(now));
        let said = peer.speak(&[Line::ServerHello]);
        ours.deliver(now, &said);
        for &line in lines {
            let said = peer.speak(&[line]);
            ours.deliver(now, &said);
        }
        if fine {
            assert_eq!(ours.error, None);
            assert!(ours.connection.peer_identity().is_some());
        } else {
            let alert = ours.error.as_ref().and_then(Error::alert);
            assert_eq!(alert, Some(AlertDescription::UNEXPECTED_MESSAGE));
        }
    }
}

/// How long a server works on a hello, in nanoseconds.
#[allow(clippy::disallowed_methods, reason = "this measures real time")]
fn time_of(config: &Arc<ServerConfig>, hello: &[u8]) -> u128 {
    let ours = TlsConnection::accept(start(), config.clone()).unwrap();
    let mut ours = StreamEnd::new(ours);
    let now = start();
    let before = std::time::Instant::now();
    ours.deliver(now, hello);
    let told = ours.transmit(now);
    let taken = before.elapsed().as_nanos();
    assert_eq!(told, [21, 3, 3, 0, 2, 2, AlertDescription::DECRYPT_ERROR.0]);
    taken
}

/// Statement 6, K4: the answers are the same bytes, and take the same time within noise.
#[test]
fn k4_how_long_it_takes_tells_nothing_about_a_name() {
    let usual = &[CipherSuite::TLS_AES_128_GCM_SHA256][..];
    let long = &[CipherSuite::TLS_AES_256_GCM_SHA384][..];
    for (offered, known, suite) in [
        (raw(b"a"), SharedKey::new(b"a", &[1; 32]).unwrap(), usual),
        (
            imported(b"a", b"c"),
            SharedKey::imported(b"a", b"c", &[1; 32]).unwrap(),
            usual,
        ),
        (
            raw(b"a").with_sha384(),
            SharedKey::new(b"a", &[1; 32]).unwrap().with_sha384(),
            long,
        ),
    ] {
        let algorithms = Algorithms::default().cipher_suites(suite).unwrap();
        let server_of = |key: SharedKey| {
            let server = server([key]).algorithms(algorithms.clone());
            Arc::new(server.build().unwrap())
        };
        let (wrong, unknown) = (server_of(known), server_of(raw(b"another")));
        let client = client(offered).algorithms(algorithms.clone());
        let config = Arc::new(client.build().unwrap());
        let connection = TlsConnection::connect(start(), config, server_name()).unwrap();
        let hello = StreamEnd::new(connection).transmit(start());
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..600 {
            for (server, times) in [&wrong, &unknown].into_iter().zip(&mut times) {
                times.push(time_of(server, &hello));
            }
        }
        // What others do on this machine makes some rounds longer, and none shorter.
        let [wrong, unknown] = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 4]
        });
        let (less, more) = (wrong.min(unknown), wrong.max(unknown));
        assert!(more * 100 < less * 115, "{wrong} and {unknown} ns");
    }
}

/// Statement 10, K16: one key in both roles is refused, whichever role comes first.
#[test]
fn n56_10_one_key_is_not_a_clients_and_a_servers() {
    let key = raw(b"a");
    let configs_of = |ours: &SharedKey, theirs: &SharedKey| {
        configs(client(ours.clone()), server([theirs.clone()]))
    };
    let mut pair_of_one = pair(&configs_of(&key, &key));
    pair_of_one.run();
    let differs = Error::from(PeerIncompatible::SharedKeyDiffers);
    assert_eq!(pair_of_one.server.error, Some(differs));
    // Two values are the keys of two ends.
    let mut fine = pair(&configs_of(&raw(b"a"), &raw(b"a")));
    fine.run();
    assert!(fine.client.connection.peer_identity().is_some());
    let theirs = raw(b"a");
    let mut fine = pair(&configs_of(&raw(b"a"), &theirs));
    fine.run();
    let refused = client(theirs).build();
    assert_eq!(refused.unwrap_err(), ConfigError::SharedKeyInBothRoles);
}

/// K16: everything that an end sends comes back to it, from where it went and from elsewhere, and
/// it is client and server of one key.
#[test]
fn k16_an_end_does_not_talk_to_itself() {
    let key = raw(b"a");
    let (config, server) = (client(key.clone()).build().unwrap(), server([key]));
    let now = start();
    let server = Arc::new(server.build().unwrap());
    let policy = EndpointPolicy::default();
    let mut endpoint = Endpoint::new(now, policy, Some(server.clone())).unwrap();
    let [here, there]: [SocketAddr; 2] =
        [([192, 0, 2, 1], 5684).into(), ([192, 0, 2, 2], 5684).into()];
    let config = Arc::new(config);
    endpoint
        .connect(now, config.clone(), server_name(), Path::new(here))
        .unwrap();
    for _ in 0..20 {
        let mut out = Vec::new();
        let mut sent = Vec::new();
        while let Some(transmit) = endpoint.poll_transmit(now, 1, &mut out) {
            sent.push((transmit.path.remote(), std::mem::take(&mut out)));
        }
        for (to, datagram) in sent {
            // The attacker is at two addresses; what comes to one goes back from both.
            for from in [here, there] {
                let datagram = BytesMut::from(&datagram[..]);
                endpoint.handle_datagram(now, Path::new(from), datagram);
            }
            assert!(to == here || to == there);
        }
        while let Some((_, event)) = endpoint.poll_event() {
            let complete = matches!(event, sealgram::Event::HandshakeComplete { .. });
            assert!(!complete, "the end has talked to itself");
        }
    }
    // Over streams the attacker joins two connections.
    let client = TlsConnection::connect(now, config, server_name()).unwrap();
    let server = TlsConnection::accept(now, server).unwrap();
    let (mut client, mut server) = (StreamEnd::new(client), StreamEnd::new(server));
    for _ in 0..5 {
        server.deliver(now, &client.transmit(now));
        client.deliver(now, &server.transmit(now));
    }
    assert!(client.error.is_some() && server.error.is_some());
    // And one with itself.
    let config = client_of_its_own();
    let mut mirrored = StreamEnd::new(TlsConnection::connect(now, config, server_name()).unwrap());
    let hello = mirrored.transmit(now);
    mirrored.deliver(now, &hello);
    assert!(mirrored.error.is_some());
}

fn client_of_its_own() -> Arc<ClientConfig> {
    Arc::new(client(raw(b"a")).build().unwrap())
}

/// Statement 5: the age of a key that both ends were given is not judged. A client should say 0
/// (RFC 8446 §4.2.11), and not every one does.
#[test]
fn n56_05_the_age_of_an_external_key_is_not_judged() {
    for age in [0, 1, 86_400_000, 0x8000_0000, u32::MAX] {
        let now = start();
        let config = Arc::new(server([raw(b"a")]).build().unwrap());
        let mut ours = StreamEnd::new(TlsConnection::accept(now, config).unwrap());
        let mut peer = ScriptedPeer::client(SERVER, None).naming(b"a", age, &SECRET);
        let hello = peer.speak(&[Line::ClientHello]);
        ours.deliver(now, &hello);
        assert_eq!(ours.error, None, "{age}");
        peer.hear(&ours.transmit(now));
        assert_eq!(peer.choice.extension(PRE_SHARED_KEY), Some(&[0, 0][..]));
        let finished = peer.speak(&[Line::Finished]);
        ours.deliver(now, &finished);
        let identity = ours.connection.peer_identity();
        let name = identity.and_then(|it| it.shared_key()).unwrap();
        assert_eq!(name.identity(), b"a", "{age}");
    }
}

/// A stream with a ClientHello of this scripted peer, in records that are not too long.
fn hello_of(peer: &ScriptedPeer) -> Vec<u8> {
    let body = peer.offer.encode();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    let records = message.chunks(1 << 14).flat_map(|piece| {
        let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
        [&[22, 3, 3][..], &length, piece].concat()
    });
    records.collect()
}

/// How long a server works on a second hello that names as many keys as the first one did.
#[allow(clippy::disallowed_methods, reason = "this measures real time")]
fn time_of_second(names: u16) -> Duration {
    let mut list = Vec::new();
    for number in 0..names {
        put16(&mut list, &number.to_be_bytes());
        list.extend([0; 4]);
    }
    let mut extension = Vec::new();
    put16(&mut extension, &list);
    put16(&mut extension, &vec![0; names.into()]);
    let config = Arc::new(server([raw(b"a")]).build().unwrap());
    let mut ours = StreamEnd::new(TlsConnection::accept(start(), config).unwrap());
    let mut peer = ScriptedPeer::client(SERVER, None);
    let share = peer.offer.extension(KEY_SHARE).unwrap().to_vec();
    peer.offer.set_extension(KEY_SHARE, &[0, 0]);
    peer.offer.set_extension(PSK_KEY_EXCHANGE_MODES, &[1, 1]);
    peer.offer.set_extension(PRE_SHARED_KEY, &extension);
    ours.deliver(start(), &hello_of(&peer));
    assert_eq!(ours.error, None);
    assert!(!ours.transmit(start()).is_empty(), "it asks for a share");
    peer.offer.set_extension(KEY_SHARE, &share);
    let hello = hello_of(&peer);
    let before = std::time::Instant::now();
    ours.deliver(start(), &hello);
    let taken = before.elapsed();
    let differs = Error::from(PeerIncompatible::SharedKeyDiffers);
    assert_eq!(ours.error, Some(differs));
    taken
}

/// A hello of a stranger costs as much as it is long: the names of two hellos are not compared each
/// with each, of which there may be thousands.
#[test]
fn the_names_of_two_hellos_are_compared_in_order() {
    let least = |names| (0..5).map(|_| time_of_second(names)).min().unwrap();
    let (few, many) = (least(300), least(3000));
    assert!(many < few * 30, "{few:?} and {many:?}");
}
