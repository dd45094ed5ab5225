//! The interface, timers and the endpoint under abuse: section I of the failure catalogue.
//!
//! | row | where, or why not |
//! | --- | --- |
//! | I1, I12 | TLS over streams |
//! | I7, I8, I9, I11 | real sockets: the tests of `net` |
//! | I10 | no ICMP reaches the core; an MTU that is too small is refused when it is set, below |
//! | I13 | `tests/records/plaintext.rs` |

use crate::common::configs::{Ends, server_name, start};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, FATAL, FINALE, SERVER_FLIGHT, WARNING, our_client, our_server,
    record, scripted_client, scripted_server,
};
use bytes::BytesMut;
use sealgram::config::DatagramPolicy;
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::error::{ApiMisuse, ConfigError, SendError};
use sealgram::record::Discard;
use sealgram::sim::Pair;
use sealgram::sim::scripted::{APPLICATION_DATA, DTLS12, Heard, Line, ScriptedPeer};
use sealgram::{DtlsConnection, Error, Event, Path};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Two connections without endpoints, and what they say to each other.
struct Bare {
    client: DtlsConnection,
    peer: ScriptedPeer,
    path: Path,
    now: std::time::Instant,
}

impl Bare {
    /// Our client opposite a scripted server.
    fn new(policy: &DatagramPolicy) -> Self {
        let ends = Ends::new().datagram(policy);
        let peer = scripted_server(&ends);
        let path = Path::new(([192, 0, 2, 2], 4433).into());
        let now = start();
        let config = ends.build().client;
        let client = DtlsConnection::connect(now, config, server_name(), path).unwrap();
        Self {
            client,
            peer,
            path,
            now,
        }
    }

    /// Takes what the client has to send, at most `limit` datagrams, and lets the peer hear it.
    fn drain(&mut self, limit: usize) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut out = Vec::new();
        while datagrams.len() < limit {
            out.clear();
            let Some(transmit) = self.client.poll_transmit(self.now, 1, &mut out) else {
                break;
            };
            datagrams.push(out[..transmit.len].to_vec());
        }
        datagrams.iter().for_each(|datagram| {
            self.peer.hear(datagram);
        });
        datagrams
    }

    fn say(&mut self, lines: &[Line]) {
        for record in self.peer.speak(lines) {
            let datagram = BytesMut::from(&record[..]);
            self.client
                .handle_datagram(self.now, self.path, datagram)
                .unwrap();
        }
    }

    fn connect(&mut self) {
        self.drain(usize::MAX);
        self.say(&SERVER_FLIGHT);
        self.drain(usize::MAX);
        self.say(&FINALE);
        assert_eq!(self.client.epoch().number(), 1);
    }
}

/// I2 (OpenSSL CVE-2026-84782): the timer fires while half a flight still waits to be sent.
#[test]
fn a_timer_that_fires_while_a_flight_is_half_sent_corrupts_nothing() {
    let policy = DatagramPolicy::default().mtu(128).unwrap();
    for taken in 0..4 {
        let mut bare = Bare::new(&policy);
        let whole = bare.drain(usize::MAX);
        let rest = whole.len();
        let mut bare = Bare::new(&policy);
        bare.drain(taken);
        for _ in 0..5 {
            bare.now += Duration::from_secs(40) / 5;
            bare.client.handle_timeout(bare.now).unwrap();
            assert!(bare.client.poll_timeout().unwrap() > bare.now, "I4");
        }
        // Nothing was sealed twice while it waited.
        assert!(bare.client.buffered() <= rest * 128);
        let behind = bare.drain(usize::MAX);
        assert!(
            behind
                .iter()
                .chain(&whole)
                .all(|datagram| datagram.len() <= 128)
        );
        assert_eq!(bare.peer.messages_heard(), [1], "{taken}");
        bare.connect();
    }
}

/// I2: data is queued, partly taken, and the retention ends in between.
#[test]
fn data_that_waits_to_be_sent_survives_timers() {
    let mut bare = Bare::new(&DatagramPolicy::default());
    bare.connect();
    for number in 0..100_u8 {
        bare.client.send(bare.now, &[number; 100]).unwrap();
    }
    bare.drain(10);
    bare.now += DAY;
    bare.client.handle_timeout(bare.now).unwrap();
    bare.drain(usize::MAX);
    let data: Vec<u8> = bare
        .peer
        .heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Data { data, .. } => Some(data[0]),
            _ => None,
        })
        .collect();
    assert_eq!(data, (0..100).collect::<Vec<u8>>());
}

/// I3 (mbedTLS #10613): clocks that run for 50 and 500 days, in every state.
#[test]
fn time_that_jumps_by_months_ends_attempts_and_nothing_else() {
    for days in [50, 500] {
        let mut harness = our_client();
        harness.now += DAY * days;
        harness.endpoint.handle_timeout(harness.now);
        harness.listen();
        assert!(matches!(harness.error(), Some(Error::TimedOut { .. })));
        assert_eq!(harness.endpoint.poll_timeout(), None);

        let policy = EndpointPolicy::default().idle_timeout(None);
        let mut harness =
            DatagramHarness::server_with(Ends::new().build().server, policy, scripted_client());
        harness.now += DAY * days;
        harness.complete();
        for _ in 0..10 {
            harness.now += DAY * days;
            harness.endpoint.handle_timeout(harness.now);
            assert!(harness.exchange(10), "{days} days");
        }
    }
}

/// I4 (dimpl PR#160): a deadline lies ahead after it was handled, however late, in every state.
/// `DatagramHarness::wait` and `Pair::step` see to it everywhere else.
#[test]
fn a_handled_deadline_lies_ahead() {
    let late = [0, 1, 999, 61_000, 10_000_000].map(Duration::from_millis);
    for (steps, late) in (0..8).flat_map(|steps| late.map(move |late| (steps, late))) {
        let mut pair = Ends::new().mutual().build().pair(1);
        (0..steps).for_each(|_| {
            pair.step();
        });
        for _ in 0..20 {
            for endpoint in [&mut pair.client, &mut pair.server] {
                let Some(deadline) = endpoint.poll_timeout() else {
                    continue;
                };
                let now = pair.now.max(deadline) + late;
                pair.now = now;
                endpoint.handle_timeout(now);
                assert!(endpoint.poll_timeout().is_none_or(|next| next > now));
            }
        }
    }
}

/// I4: too early a call changes nothing.
#[test]
fn a_timeout_that_is_handled_too_early_does_nothing() {
    let mut harness = our_client();
    let (sent, deadline) = (harness.sent.len(), harness.endpoint.poll_timeout());
    for _ in 0..1000 {
        harness.endpoint.handle_timeout(harness.now);
        harness.listen();
    }
    assert_eq!(
        (harness.sent.len(), harness.endpoint.poll_timeout()),
        (sent, deadline)
    );
    harness.complete();
}

/// Durations for ever, where an `Instant` ends before.
#[test]
fn the_longest_durations_do_not_overflow() {
    let policy = DatagramPolicy::default()
        .handshake_deadline(Some(Duration::MAX))
        .retransmission_timeouts(Duration::from_secs(60), Duration::from_secs(3600))
        .unwrap();
    let endless = policy
        .clone()
        .retransmission_timeouts(Duration::from_secs(60), Duration::MAX);
    assert!(matches!(endless, Err(ConfigError::OutOfRange { .. })));
    let ends = Ends::new().datagram(&policy).build();
    let endpoint = EndpointPolicy::default().idle_timeout(Some(Duration::MAX));
    let mut pair = Pair::with_policy(ends.server.clone(), endpoint, start(), 1).unwrap();
    pair.connect(ends.client.clone(), server_name()).unwrap();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    assert!(pair.exchange(10));
}

/// Every call of a connection's interface, in whatever state it is.
fn call_everything(connection: &mut DtlsConnection, now: std::time::Instant, path: Path) {
    let said = (connection.version(), connection.cipher_suite());
    let mut out = Vec::new();
    let forged = record(APPLICATION_DATA, DTLS12, 1, 9, &[0; 40]);
    for datagram in [&forged[..], &[], &[22]] {
        let datagram = BytesMut::from(datagram);
        assert!(connection.handle_datagram(now, path, datagram).is_ok());
    }
    assert_eq!(connection.handle_timeout(now), Ok(()));
    assert_eq!(connection.send(now, b"late"), Err(SendError::Closed));
    let exported = connection.export_keying_material(&mut [0; 32], b"EXPORTER-x", None);
    assert_eq!(exported, Err(ApiMisuse::HandshakeNotComplete));
    while connection.poll_event().is_some() {}
    while connection.recv_into(&mut [0; 8]).is_some() {}
    connection.close(now);
    let too_small = connection.set_mtu(10).unwrap_err();
    assert!(matches!(too_small, ConfigError::OutOfRange { .. }));
    connection.set_mtu(1200).unwrap();
    while connection.poll_transmit(now, 64, &mut out).is_some() {}
    assert!(connection.recv().is_none() && connection.poll_event().is_none());
    assert!(connection.is_closed() && connection.is_write_closed() && connection.is_read_closed());
    assert!(!connection.is_handshaking());
    assert_eq!(
        (connection.poll_timeout(), connection.buffered()),
        (None, 0)
    );
    assert_eq!((connection.version(), connection.cipher_suite()), said);
    assert!(connection.session().is_none() && connection.alpn().is_none());
    let _counted = (
        connection.stats(),
        connection.failure(),
        connection.path(),
        connection.side(),
    );
}

/// I5 (wolfSSL CVE-2026-15442): every call after the end, however it ended.
#[test]
fn every_call_after_the_end_is_harmless() {
    let closed_early = {
        let mut bare = Bare::new(&DatagramPolicy::default());
        bare.client.close(bare.now);
        bare
    };
    let closed = {
        let mut bare = Bare::new(&DatagramPolicy::default());
        bare.connect();
        bare.client.send(bare.now, b"last").unwrap();
        bare.client.close(bare.now);
        bare
    };
    let failed = {
        let mut bare = Bare::new(&DatagramPolicy::default());
        bare.connect();
        let alert = BytesMut::from(&bare.peer.alert(FATAL, 80)[..]);
        let ended = bare.client.handle_datagram(bare.now, bare.path, alert);
        assert!(matches!(ended, Err(Error::AlertReceived { .. })));
        bare
    };
    let timed_out = {
        let mut bare = Bare::new(&DatagramPolicy::default());
        bare.now += DAY;
        assert!(bare.client.handle_timeout(bare.now).is_err());
        bare
    };
    for mut bare in [closed_early, closed, failed, timed_out] {
        let completed = bare.client.version().is_some();
        assert_eq!(bare.client.epoch().number() > 0, completed);
        assert_eq!(bare.client.peer_identity().is_some(), completed);
        for _ in 0..3 {
            call_everything(&mut bare.client, bare.now, bare.path);
            bare.now += DAY;
        }
        assert!(bare.client.stats().discarded(Discard::Closed) >= 9);
    }
}

/// I5, at the endpoint: identifiers of associations that are gone, also when their place was given
/// to another.
#[test]
fn identifiers_of_associations_that_are_gone_reach_nobody() {
    let mut harness = our_server();
    harness.complete();
    let old = harness.id().unwrap();
    harness
        .endpoint
        .association(harness.now, old)
        .unwrap()
        .close();
    harness.listen();
    for round in 0..2 {
        assert!(harness.endpoint.association(harness.now, old).is_none());
        assert!(harness.endpoint.connection(old).is_none());
        if round == 0 {
            harness.peer = scripted_client();
            harness.complete();
            assert_ne!(harness.id(), Some(old));
        }
    }
    assert!(harness.exchange(100));
}

/// I6 (pion #390): close does not wait for anybody.
#[test]
fn closing_with_the_peer_gone_is_done_at_once() {
    for mut harness in [our_client(), our_server()] {
        harness.complete();
        let id = harness.id().unwrap();
        harness
            .endpoint
            .association(harness.now, id)
            .unwrap()
            .close();
        harness.listen();
        assert!(harness.endpoint.is_empty());
        assert_eq!(harness.peer.alerts_heard(), [(WARNING, 0)]);
        // A server knows the address until its cookies are too old, and nothing more.
        let sent = harness.sent.len();
        harness.wait(Duration::from_secs(160));
        assert_eq!(
            (harness.endpoint.poll_timeout(), harness.sent.len()),
            (None, sent)
        );
        let closed = Event::Closed;
        assert_eq!(harness.events.last(), Some(&(id, closed)));
    }
    // In the middle of a handshake too.
    let mut harness = our_client();
    harness.play(&SERVER_FLIGHT[..2]);
    let id = harness.id().unwrap();
    harness
        .endpoint
        .association(harness.now, id)
        .unwrap()
        .close();
    harness.listen();
    assert!(harness.endpoint.is_empty() && harness.endpoint.poll_timeout().is_none());
}

/// I6: this end closes while data waits unread, and no idle timeout is there to clean up behind it.
#[test]
fn closing_with_unread_data_leaves_nothing_for_ever() {
    let policy = EndpointPolicy::default().idle_timeout(None);
    let mut harness =
        DatagramHarness::server_with(Ends::new().build().server, policy, scripted_client());
    harness.complete();
    let id = harness.id().unwrap();
    let data = harness.peer.data(b"unread");
    harness.deliver(&data);
    harness
        .endpoint
        .association(harness.now, id)
        .unwrap()
        .close();
    harness.listen();
    while harness.recv(id).is_some() {}
    harness.wait(DAY);
    assert!(
        harness.endpoint.is_empty(),
        "the association is over, and nobody will touch it again"
    );
    assert_eq!(harness.endpoint.buffered(), 0);
}

/// I6: the peer closes while its data waits unread; when that has been read, the association is
/// over.
#[test]
fn a_peer_that_closes_behind_its_data_is_gone_once_it_was_read() {
    for settled in [false, true] {
        let policy = EndpointPolicy::default().idle_timeout(None);
        let mut harness =
            DatagramHarness::server_with(Ends::new().build().server, policy, scripted_client());
        harness.complete();
        if settled {
            harness.wait(DAY);
        }
        let id = harness.id().unwrap();
        for record in [harness.peer.data(b"unread"), harness.peer.alert(WARNING, 0)] {
            harness.deliver(&record);
        }
        let told = Event::PeerClosed;
        assert!(harness.events.contains(&(id, told)));
        assert_eq!(harness.recv(id).unwrap().data, "unread");
        harness.wait(DAY);
        assert!(harness.endpoint.is_empty(), "settled {settled}");
    }
}

/// I14, RFC 6347 §4.2.8: somebody who takes over the address gets nothing before Finished, and
/// kills nothing.
#[test]
fn a_newcomer_at_the_address_replaces_the_association_only_with_its_finished() {
    let mut harness = our_server();
    harness.complete();
    let old = harness.id().unwrap();
    let first = std::mem::replace(&mut harness.peer, scripted_client());
    harness.exchange_cookies();
    harness.play(&CLIENT_FLIGHT[..2]);
    let newcomer = std::mem::replace(&mut harness.peer, first);
    // Both have keys for epoch 1 now; the old one goes on.
    assert_eq!(harness.endpoint.len(), 2);
    for number in 0..100 {
        let data = harness.peer.data(&[number]);
        harness.deliver(&data);
        assert_eq!(
            harness
                .endpoint
                .association(harness.now, old)
                .unwrap()
                .recv()
                .unwrap()
                .data,
            [number][..]
        );
    }
    // A wrong Finished of the newcomer ends only itself.
    let first = std::mem::replace(&mut harness.peer, newcomer);
    harness.play_altered(&FINALE, |line, body| {
        if line == Line::Finished {
            body[0] ^= 1;
        }
    });
    assert_eq!(harness.endpoint.len(), 1);
    harness.peer = first;
    let before = harness.events.len();
    assert!(harness.exchange(100));
    // A right one replaces the old association.
    harness.peer = scripted_client();
    harness.exchange_cookies();
    harness.play(&CLIENT_FLIGHT);
    assert_eq!(harness.endpoint.len(), 1);
    assert_ne!(harness.id(), Some(old));
    let superseded = |(id, event): &(_, Event)| {
        *id == old && matches!(event, Event::Failed(failure) if failure.error == Error::Superseded)
    };
    assert!(harness.events[before..].iter().any(superseded));
    assert!(harness.exchange(100));
}

/// I7, I8 without sockets: nothing that is discarded is reported as readable.
#[test]
fn discarded_datagrams_make_nothing_readable() {
    let mut harness = our_server();
    harness.complete();
    let events = harness.events.len();
    for length in 0..1000 {
        harness.deliver(&record(APPLICATION_DATA, DTLS12, 1, 5000, &vec![3; length]));
    }
    assert_eq!(harness.events.len(), events);
    assert_eq!(
        harness.endpoint.poll_timeout(),
        harness.endpoint.poll_timeout()
    );
    assert!(harness.exchange(100));
}

/// An endpoint without a server configuration answers nobody.
#[test]
fn an_endpoint_that_only_connects_answers_no_hello() {
    let mut harness = our_client();
    let mut other = scripted_client();
    let endpoint = Endpoint::new(start(), EndpointPolicy::default(), None).unwrap();
    let hello = other.speak(&[Line::ClientHello]).concat();
    let waiting = std::mem::replace(&mut harness.endpoint, endpoint);
    let sent = harness.sent.len();
    harness.deliver(&hello);
    assert_eq!(harness.sent.len(), sent);
    harness.endpoint = waiting;
    // A client whose hello comes back to it as in a mirror.
    let own = harness.sent[0].clone();
    harness.deliver(&own);
    harness.complete();
    assert!(harness.exchange(100));
}

/// I14, RFC 6347 §4.2.8: a client dies in its handshake and starts again from the same port. The
/// flight that the server repeats for the first attempt looks like an answer to the second, so it
/// can spoil that one if it is under way in the one round trip between the second attempt's first
/// hello and its proven one; never otherwise.
#[test]
fn a_client_that_starts_again_loses_an_attempt_only_to_a_flight_under_way() {
    let configs = Ends::new().build();
    for offset in (500..3500).step_by(5) {
        let mut pair = configs.pair(1);
        let half_open = |pair: &Pair| pair.server.half_open() == 1;
        assert!(pair.run_until(Duration::from_secs(1), half_open));
        pair.client = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
        pair.run_for(Duration::from_millis(offset));
        let connect = |pair: &mut Pair| {
            pair.connect(configs.client.clone(), server_name()).unwrap();
            pair.run_until(Duration::from_secs(60), |pair| {
                pair.is_connected() || pair.client.is_empty()
            });
            pair.is_connected()
        };
        if !connect(&mut pair) {
            // The link takes 10 ms each way, and the server repeats its flight after 1 s and 3 s.
            let repeated = [970..=1010, 2970..=3010];
            assert!(
                repeated.iter().any(|times| times.contains(&offset)),
                "{offset}"
            );
            pair.run_for(Duration::from_millis(100));
            assert!(
                crate::common::datagram_harness::failure(&pair.client_events).is_some(),
                "{offset}"
            );
            assert!(
                connect(&mut pair),
                "{offset} {:?} {:?}",
                pair.client_events,
                pair.server_events
            );
        }
        assert!(pair.exchange(10), "{offset}");
    }
}
