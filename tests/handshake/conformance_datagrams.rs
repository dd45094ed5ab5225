//! Like `tests/handshake/conformance.rs`: what no honest peer says, and the policies of key
//! updates, tickets and data that came too early.

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, FINALE, SERVER_FLIGHT, scripted_client, scripted_server,
};
use crate::common::judged::{CHOICES, REFUSALS, judged};
use bytes::BytesMut;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::error::PeerMisbehaved;
use sealgram::sim::scripted::{APPLICATION_DATA, HANDSHAKE, Line};
use sealgram::sim::scripted13::ScriptedPeer as ScriptedPeer13;
use sealgram::sim::{Fate, StreamEnd};
use sealgram::{
    AlertDescription, ClientConfig, DtlsConnection, Error, HandshakeKind, KeyUpdate, NamedGroup,
    Path, TlsConnection,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FINISHED: u8 = 20;

fn unexpected(got: u8) -> Option<Error> {
    Some(PeerMisbehaved::UnexpectedMessage { got }.into())
}

/// RFC 5246 §7.4.9: Finished is the last message of its handshake, wherever a second one turns up.
#[test]
fn a_second_finished_is_a_fault_before_and_behind_the_first() {
    for first in [true, false] {
        let mut harness = crate::common::datagram_harness::our_client();
        harness.exchange_cookies();
        harness.play(&SERVER_FLIGHT);
        harness.play(&[Line::ChangeCipherSpec]);
        let body = harness.peer.body(Line::Finished);
        let honest = harness.peer.say(FINISHED, body.clone());
        let surplus = harness.peer.say(FINISHED, body);
        let mut said = [honest, surplus];
        if first {
            said.reverse();
        }
        for spoken in said {
            let message = harness.peer.framed(&spoken);
            let record = harness.peer.record(HANDSHAKE, 1, &message);
            harness.deliver(&record);
        }
        assert_eq!(harness.error(), unexpected(FINISHED), "{first}");
    }
}

/// RFC 5246 §7.4.9: what has been said once may be said again, because it may have been lost.
#[test]
fn a_repeated_finished_is_no_fault() {
    let mut harness = crate::common::datagram_harness::our_server();
    harness.exchange_cookies();
    harness.play(&CLIENT_FLIGHT[..2]);
    let body = harness.peer.body(Line::Finished);
    let spoken = harness.peer.say(FINISHED, body);
    for _ in 0..3 {
        let message = harness.peer.framed(&spoken);
        let record = harness.peer.record(HANDSHAKE, 1, &message);
        harness.deliver(&record);
    }
    assert!(harness.exchange(3));
}

/// RFC 6347 §4.2.4: the last flight is sent again once for a Finished that comes again in pieces,
/// not once for each of them.
#[cfg(feature = "conformance")]
#[test]
fn a_repeated_finished_in_pieces_is_answered_once() {
    let ends = judged!(Ends::new(), repeat_last_flight_after: Some(Duration::ZERO));
    let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
    harness.exchange_cookies();
    harness.play(&CLIENT_FLIGHT[..2]);
    let body = harness.peer.body(Line::Finished);
    let spoken = harness.peer.say(FINISHED, body);
    let message = harness.peer.framed(&spoken);
    let record = harness.peer.record(HANDSHAKE, 1, &message);
    harness.deliver(&record);
    assert!(harness.is_complete());
    let before = harness.sent.len();
    for piece in spoken.fragments(2) {
        let record = harness.peer.record(HANDSHAKE, 1, &piece);
        harness.deliver(&record);
    }
    // ChangeCipherSpec and Finished share a datagram.
    assert_eq!(harness.sent.len(), before + 1);
}

/// RFC 5246 §7.3: between ChangeCipherSpec and Finished there is nothing else.
#[test]
fn another_message_where_finished_belongs_is_a_fault() {
    for typ in [11, 14, 22] {
        let mut harness = crate::common::datagram_harness::our_client();
        harness.exchange_cookies();
        harness.play(&SERVER_FLIGHT);
        harness.play(&[Line::ChangeCipherSpec]);
        let spoken = harness.peer.say(typ, vec![0; 12]);
        let message = harness.peer.framed(&spoken);
        let record = harness.peer.record(HANDSHAKE, 1, &message);
        harness.deliver(&record);
        assert_eq!(harness.error(), unexpected(typ));
    }
}

/// RFC 5246 §7.4.9: Finished is protected. One in the clear is anybody's, and the policy says what
/// that means.
#[test]
fn a_finished_in_the_clear_is_noise_unless_the_policy_says_otherwise() {
    for &fails in CHOICES {
        let ends = judged!(Ends::new(), fail_by_plaintext_faults: fails);
        let expected = unexpected(FINISHED).filter(|_| fails);
        let mut harness = DatagramHarness::server(ends.build().server, scripted_client());
        harness.exchange_cookies();
        let spoken = harness.peer.say(FINISHED, vec![0; 12]);
        let message = harness.peer.framed(&spoken);
        let record = harness.peer.record(HANDSHAKE, 0, &message);
        harness.deliver(&record);
        assert_eq!(harness.error(), expected);
    }
}

/// RFC 6347 §4.2.8: data that overtakes Finished is kept, or lost like anything else where a judge
/// wants that.
#[test]
fn data_that_overtakes_finished_is_kept_unless_a_judge_wants_it_lost() {
    for &drops in CHOICES {
        let ends = judged!(Ends::new(), drop_overtaking_data: drops);
        let peer = scripted_server(&ends);
        let mut harness = DatagramHarness::client(ends.build().client, peer);
        harness.exchange_cookies();
        harness.play(&SERVER_FLIGHT);
        harness.play(&[Line::ChangeCipherSpec]);
        let early = harness.peer.record(APPLICATION_DATA, 1, b"early");
        harness.deliver(&early);
        harness.play(&[Line::Finished]);
        let id = harness.id().unwrap();
        let received = harness.recv(id).map(|received| received.data);
        assert_eq!(received.as_deref(), (!drops).then_some(&b"early"[..]));
    }
}

/// Two connections of version 1.3, and the moment.
struct Two {
    client: DtlsConnection,
    server: DtlsConnection,
    now: Instant,
}

impl Two {
    fn new(ends: Ends) -> Self {
        let configs = ends.versions(Versions::V1_3).build();
        let path = Path::new(([192, 0, 2, 1], 4433).into());
        let now = start();
        Self {
            client: DtlsConnection::connect(now, configs.client, server_name(), path).unwrap(),
            server: DtlsConnection::listen(now, configs.server, path).unwrap(),
            now,
        }
    }

    fn connected(ends: Ends) -> Self {
        let mut two = Self::new(ends);
        for _ in 0..4 {
            two.reach_server().unwrap();
            two.reach_client().unwrap();
        }
        two
    }

    fn reach_server(&mut self) -> Result<usize, Error> {
        pass(self.now, &mut self.client, &mut self.server)
    }

    fn reach_client(&mut self) -> Result<usize, Error> {
        pass(self.now, &mut self.server, &mut self.client)
    }
}

fn taken(now: Instant, from: &mut DtlsConnection) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        let mut out = Vec::new();
        from.poll_transmit(now, 1, &mut out).map(|_| out)
    })
    .collect()
}

/// Everything that one end has to send arrives at the other. How many datagrams that were.
fn pass(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection) -> Result<usize, Error> {
    let datagrams = taken(now, from);
    for datagram in &datagrams {
        let path = to.path();
        to.handle_datagram(now, path, BytesMut::from(&datagram[..]))?;
    }
    Ok(datagrams.len())
}

/// RFC 8446 §4.6.3: the answer comes before the next data, and one serves several requests.
#[test]
fn requests_for_keys_are_answered_with_the_next_data_where_the_policy_says_so() {
    for &wait in CHOICES {
        let mut ends = Ends::new();
        ends.server = judged!(ends.server, answer_key_updates_with_data: wait);
        let mut two = Two::connected(ends);
        let before = two.server.epoch();
        two.client.key_update(KeyUpdate::Requested).unwrap();
        two.reach_server().unwrap();
        two.reach_client().unwrap();
        two.reach_server().unwrap();
        assert_eq!(two.server.epoch() == before, wait);
        assert_eq!(two.server.key_update_type().is_some(), wait);
        two.server.send(two.now, b"data").unwrap();
        two.reach_client().unwrap();
        two.reach_server().unwrap();
        assert!(two.server.epoch() > before);
        assert_eq!(two.client.recv().unwrap().data, b"data"[..]);
        assert_eq!(two.server.key_update_type(), None);
        // An update of the application's own is no worse an answer.
        two.client.key_update(KeyUpdate::Requested).unwrap();
        two.reach_server().unwrap();
        let called = two.server.key_update(KeyUpdate::NotRequested);
        assert!(called.is_ok() || !wait);
    }
}

/// RFC 9147 §5.8.1: before its last flight is acknowledged, a client says nothing that presumes a
/// server.
#[test]
fn a_key_update_waits_until_the_last_flight_is_acknowledged() {
    let mut two = Two::new(Ends::new());
    two.reach_server().unwrap();
    two.reach_client().unwrap();
    assert!(!two.client.is_handshaking());
    let finished = taken(two.now, &mut two.client);
    two.client.key_update(KeyUpdate::NotRequested).unwrap();
    assert!(taken(two.now, &mut two.client).is_empty());
    let path = two.server.path();
    for datagram in finished {
        let datagram = BytesMut::from(&datagram[..]);
        two.server.handle_datagram(two.now, path, datagram).unwrap();
    }
    two.reach_client().unwrap();
    let before = two.client.epoch();
    two.reach_server().unwrap();
    two.reach_client().unwrap();
    assert!(two.client.epoch() > before);
}

/// RFC 9147 §8: epochs end, at this end's limit where one is set.
#[cfg(feature = "conformance")]
#[test]
fn no_key_update_goes_beyond_the_last_epoch() {
    let mut two = Two::connected(judged!(Ends::new(), last_epoch: 5));
    for _ in 0..2 {
        two.client.key_update(KeyUpdate::NotRequested).unwrap();
        two.reach_server().unwrap();
        two.reach_client().unwrap();
    }
    let refused = two.client.key_update(KeyUpdate::NotRequested);
    assert_eq!(
        refused,
        Err(sealgram::error::KeyUpdateError::EpochsExhausted)
    );
    // A peer without the limit is at fault.
    let mut ends = Ends::new();
    ends.server = judged!(ends.server, last_epoch: 5);
    let mut two = Two::connected(ends);
    let outcome = (0..3).try_for_each(|_| {
        two.client.key_update(KeyUpdate::NotRequested).unwrap();
        two.reach_server()?;
        two.reach_client().map(|_| ())
    });
    assert_eq!(outcome, Err(PeerMisbehaved::TooManyKeyUpdates.into()));
}

/// A judge's clock may be coarser than ours: what is nearly due is due.
#[test]
fn a_timer_counts_as_expired_a_little_early_where_a_judge_wants_that() {
    for &coarse in CHOICES {
        let slack = Duration::from_millis(if coarse { 10 } else { 0 });
        let mut two = Two::new(judged!(Ends::new(), timer_slack: slack));
        taken(two.now, &mut two.client);
        let due = two.client.poll_timeout().unwrap();
        for (early, repeats) in [(11, false), (9, coarse), (0, !coarse)] {
            let now = due - Duration::from_millis(early);
            two.client.handle_timeout(now).unwrap();
            let repeated = !taken(now, &mut two.client).is_empty();
            assert_eq!(repeated, repeats, "{coarse} {early} ms early");
        }
    }
}

/// RFC 9147 §5.8.3: a ticket that nobody acknowledges says that nobody may be there, which a judge
/// takes for the end.
#[test]
fn an_unacknowledged_ticket_ends_an_association_where_the_policy_says_so() {
    for &need in CHOICES {
        let policy = DatagramPolicy::default().max_retransmissions(Some(3));
        let ends = Ends::new().datagram(&policy).resuming();
        let mut two = Two::new(judged!(ends, need_tickets_acknowledged: need));
        two.reach_server().unwrap();
        two.reach_client().unwrap();
        two.reach_server().unwrap();
        let complete = two.now;
        let mut outcome = Ok(());
        for _ in 0..10 {
            taken(two.now, &mut two.server);
            let Some(due) = two.server.poll_timeout() else {
                break;
            };
            two.now = due;
            outcome = outcome.and_then(|()| two.server.handle_timeout(due));
        }
        let waited = match outcome {
            Err(Error::Unacknowledged { after, .. }) => Some(after),
            _ => None,
        };
        assert_eq!(waited, need.then(|| two.now - complete));
        assert_eq!(two.server.is_closed(), need);
    }
}

/// Our client over a stream opposite a scripted server of 1.2, in the middle of the first flight of
/// that.
fn stream_client(ends: Ends) -> (StreamEnd, sealgram::sim::scripted::ScriptedPeer) {
    let mut peer = scripted_server(&ends).over_stream();
    let now = start();
    let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
    let mut ours = StreamEnd::new(client);
    peer.hear(&ours.transmit(now));
    for record in peer.speak(&SERVER_FLIGHT[..2]) {
        ours.deliver(now, &record);
    }
    (ours, peer)
}

/// RFC 5246 §7.4.1.1: a HelloRequest in the middle of a handshake is ignored, but not by who wants
/// none at all.
#[test]
fn a_hello_request_in_a_handshake_meets_the_policy() {
    for (refusals, expected) in REFUSALS.iter().zip([None, None, unexpected(0)]) {
        let ends = judged!(Ends::new(), refusals: *refusals);
        let (mut ours, mut peer) = stream_client(ends);
        let record = peer.record(HANDSHAKE, 0, &[0, 0, 0, 0]);
        ours.deliver(start(), &record);
        assert_eq!(ours.error, expected, "{refusals:?}");
    }
}

/// RFC 5246 §7.4.9: no data, not even none, before Finished.
#[test]
fn nothing_of_data_comes_between_the_keys_and_finished() {
    for data in [&b""[..], b"data"] {
        let (mut ours, mut peer) = stream_client(Ends::new());
        for line in [SERVER_FLIGHT[2], SERVER_FLIGHT[3], FINALE[0]] {
            for record in peer.speak(&[line]) {
                ours.deliver(start(), &record);
            }
            peer.hear(&ours.transmit(start()));
        }
        let record = peer.record(APPLICATION_DATA, 1, data);
        ours.deliver(start(), &record);
        let told = ours.error.as_ref().and_then(Error::alert);
        assert_eq!(told, Some(AlertDescription::UNEXPECTED_MESSAGE));
    }
}

/// RFC 8446 §4.1.4: whoever says more behind a HelloRetryRequest gets no second hello, only the
/// alert.
#[test]
fn what_stands_behind_a_hello_retry_request_is_not_answered() {
    let retry_random = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    let ends = Ends::new().versions(Versions::ALL);
    let mut peer = ScriptedPeer13::server(ends.pki.server(&rcgen::PKCS_ED25519));
    let now = start();
    let client = TlsConnection::connect(now, ends.build().client, server_name()).unwrap();
    let mut ours = StreamEnd::new(client);
    peer.hear(&ours.transmit(now));
    peer.choice.session_id = peer.offer.session_id.clone();
    peer.choice.random = retry_random;
    let group = NamedGroup::SECP384R1.0.to_be_bytes();
    peer.choice.set_extension(51, &group);
    let body = peer.choice.encode();
    let header = [2, 0, 0, u8::try_from(body.len()).unwrap()];
    let more = [&header[..], &body, &[2, 0, 0, 70]].concat();
    let record = peer.record(HANDSHAKE, &more);
    let hellos = peer.messages_heard().len();
    ours.deliver(now, &record);
    let told = ours.error.as_ref().and_then(Error::alert);
    assert_eq!(told, Some(AlertDescription::UNEXPECTED_MESSAGE));
    peer.hear(&ours.transmit(now));
    assert_eq!(peer.messages_heard().len(), hellos);
    assert_eq!(
        peer.alerts_heard(),
        [AlertDescription::UNEXPECTED_MESSAGE.0]
    );
}

/// RFC 5077 §3.2: a client that takes no tickets does not show one either.
#[test]
fn a_client_without_tickets_does_not_offer_one() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let ends = Ends::new().versions(versions).resuming();
        let roots = ends.pki.roots();
        let configs = ends.build();
        let mut pair = configs.connected(1);
        pair.run_for(Duration::from_secs(1));
        let session = pair.client_connection().unwrap().session().unwrap();
        for tickets in [true, false] {
            let client = ClientConfig::with_roots(roots.clone()).unwrap();
            let client = client.versions(versions).tickets(tickets).build().unwrap();
            client
                .import_session(&server_name(), session.clone())
                .unwrap();
            let configs = Configs {
                client: Arc::new(client),
                server: configs.server.clone(),
            };
            let pair = configs.connected(1);
            let kind = pair.client_connection().unwrap().handshake_kind();
            let resumed = kind == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, tickets, "{versions:?}");
        }
    }
}

/// What a client's keys of the handshake are made from, as its key log is told.
#[derive(Debug, Default)]
struct HandshakeSecret(std::sync::Mutex<Vec<u8>>);

impl sealgram::config::KeyLog for HandshakeSecret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "CLIENT_HANDSHAKE_TRAFFIC_SECRET" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

struct Length(usize);

impl ring::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// RFC 9147 §4, §4.2.3, §5.9: a record of epoch 2 with one message in it, under these keys of the
/// handshake.
fn record_of_epoch_2(
    secret: &[u8],
    number: u16,
    typ: u8,
    message_seq: u16,
    body: &[u8],
) -> Vec<u8> {
    let secret = ring::hkdf::Prk::new_less_safe(ring::hkdf::HKDF_SHA256, secret);
    let expand = |label: &str, length: u8| {
        let label = [b"dtls13", label.as_bytes()].concat();
        let sizes = [0, length, u8::try_from(label.len()).unwrap()];
        let info = [&sizes[..], &label, &[0]];
        let mut out = vec![0; usize::from(length)];
        let key = secret.expand(&info, Length(out.len())).unwrap();
        key.fill(&mut out).unwrap();
        out
    };
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let seq = message_seq.to_be_bytes();
    let mut sealed = [
        &[typ],
        &length[1..],
        &seq,
        &[0; 3],
        &length[1..],
        body,
        &[HANDSHAKE],
    ]
    .concat();
    let number = number.to_be_bytes();
    let size = u16::try_from(sealed.len() + 16).unwrap().to_be_bytes();
    let mut header = [0x2e, number[0], number[1], size[0], size[1]];
    let mut nonce: [u8; 12] = expand("iv", 12).try_into().unwrap();
    nonce[10] ^= number[0];
    nonce[11] ^= number[1];
    let key = ring::aead::UnboundKey::new(&ring::aead::AES_128_GCM, &expand("key", 16)).unwrap();
    ring::aead::LessSafeKey::new(key)
        .seal_in_place_append_tag(
            ring::aead::Nonce::assume_unique_for_key(nonce),
            ring::aead::Aad::from(header),
            &mut sealed,
        )
        .unwrap();
    let hidden = &expand("sn", 16);
    let hidden = ring::aead::quic::HeaderProtectionKey::new(&ring::aead::quic::AES_128, hidden);
    let mask = hidden.unwrap().new_mask(&sealed[..16]).unwrap();
    header[1] ^= mask[0];
    header[2] ^= mask[1];
    [&header[..], &sealed].concat()
}

/// RFC 8446 §6.2, §4.4.4: over datagrams as over streams, a Finished of another length does not
/// decode, and one of the right length that is wrong does not verify; a judge may want both
/// compared.
#[test]
fn a_finished_of_another_length_does_not_decode_over_datagrams() {
    let lengths = [0, 1, 12, 31, 32, 33, 100];
    let all = CHOICES
        .iter()
        .flat_map(|&it| lengths.map(|length| (it, length)));
    for (compares, length) in all {
        let told = Arc::new(HandshakeSecret::default());
        let mut ends = judged!(Ends::new(), compare_finished_of_any_length: compares);
        ends.client = ends.client.key_log(told.clone());
        let mut two = Two::new(ends);
        two.reach_server().unwrap();
        two.reach_client().unwrap();
        assert!(!two.client.is_handshaking());
        // Its own never arrives.
        let _lost = taken(two.now, &mut two.client);
        let secret = told.0.lock().unwrap().clone();
        let record = record_of_epoch_2(&secret, 40, FINISHED, 1, &vec![7; length]);
        let path = two.server.path();
        let outcome = two
            .server
            .handle_datagram(two.now, path, BytesMut::from(&record[..]));
        let alert = outcome.as_ref().err().and_then(Error::alert);
        let expected = match length {
            32 => AlertDescription::DECRYPT_ERROR,
            _ if compares => AlertDescription::DECRYPT_ERROR,
            _ => AlertDescription::DECODE_ERROR,
        };
        assert_eq!(alert, Some(expected), "{length}: {outcome:?}");
    }
}

/// RFC 9147 §5.8.3: no more than ten records leave at a time, unless a judge wants the flight.
#[test]
fn a_flight_of_many_records_leaves_as_a_whole_where_a_judge_wants_that() {
    for &whole in CHOICES {
        let ends = Ends::with_chain(6_000).versions(Versions::V1_3);
        let policy = DatagramPolicy::default().mtu(256).unwrap();
        let ends = judged!(ends.datagram(&policy), whole_flights: whole);
        let mut pair = ends.build().pair(1);
        // The HelloRetryRequest arrives, and nothing after it.
        let arrives = |number, _: &[u8]| match number {
            0 => Fate::Deliver,
            _ => Fate::Drop,
        };
        pair.to_client.script(arrives);
        pair.run_for(Duration::from_millis(500));
        let sent = pair.to_client.sent() - 1;
        assert_eq!(sent > 25, whole, "{sent} datagrams");
        assert!(whole || sent <= 10, "{sent} datagrams");
    }
}
