//! Fragments and handshake messages: section A of the failure catalogue.
//!
//! * A7: `tests/records/replay_and_epochs.rs`: records shorter than nonce and tag
//! * A16: a server here goes on from the hello's number, which is bounded; the counters' ends have
//!   unit tests

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    ASKING_SERVER_FLIGHT, CLIENT_FLIGHT, DatagramHarness, FINALE, Noise, PROVING_CLIENT_FLIGHT,
    SERVER_FLIGHT, our_client, our_demanding_server, our_server, record, scripted_client,
};
use sealgram::Error;
use sealgram::record::Discard;
use sealgram::sim::scripted::{DTLS12, HANDSHAKE, Line, Spoken};
use std::time::Duration;

/// Types of handshake messages.
const CERTIFICATE: u8 = 11;
const SERVER_HELLO: u8 = 2;
const HELLO_REQUEST: u8 = 0;

/// What one association may buffer at most: two of the longest messages, and the early records.
const BUDGET: usize = 2 * (1 << 15);

/// Longer than any attempt lasts, shorter than the idle timeout.
const FOREVER: Duration = Duration::from_secs(300);

/// Our client after its second hello: the ServerHello has number 1.
fn waiting_client() -> DatagramHarness {
    let mut harness = our_client();
    harness.exchange_cookies();
    harness
}

/// A plaintext record with one fragment, of which nothing need be true. Its record number is
/// unused.
fn fragment(typ: u8, length: u32, seq: u16, offset: u32, data: &[u8]) -> Vec<u8> {
    let fragment_length = u32::try_from(data.len()).unwrap();
    let payload = Spoken::raw(typ, length, seq, offset, fragment_length, data);
    record(HANDSHAKE, DTLS12, 0, 9_000, &payload)
}

/// The peer behaves from here to the end, sending its flights again as often as a lossy network
/// would need.
fn complete_with_retransmissions(harness: &mut DatagramHarness) {
    let flight = harness.peer.speak(&SERVER_FLIGHT);
    for _ in 0..5 {
        for record in &flight {
            harness.deliver(record);
        }
        harness.wait(Duration::from_secs(2));
    }
    harness.play(&FINALE);
    assert!(
        harness.is_complete(),
        "{:?}",
        harness.connection().map(|c| c.stats().clone())
    );
    assert!(harness.exchange(100));
}

/// A1 (OpenSSL CVE-2014-0195, GnuTLS CVE-2026-33846), RFC 6347 §4.2.3: all fragments agree on the
/// total length.
#[test]
fn a_fragment_with_another_total_length_is_discarded() {
    let mut harness = waiting_client();
    let mut flight = harness.peer.speak(&SERVER_FLIGHT);
    let certificate = Spoken {
        typ: CERTIFICATE,
        seq: 2,
        body: flight[1][25..].to_vec(),
    };
    let pieces = certificate.fragments(100);
    harness.deliver(&flight.remove(0));
    let first = harness.peer.record(HANDSHAKE, 0, &pieces[0]);
    harness.deliver(&first);
    let before = harness.connection().unwrap().buffered();
    for length in [105, 5_000, 0x7fff, 0xff_ffff] {
        harness.deliver(&fragment(CERTIFICATE, length, 2, 100, &[7; 5]));
    }
    assert_eq!(harness.connection().unwrap().buffered(), before);
    assert_eq!(harness.discarded(Discard::ConflictingFragment), 3);
    assert_eq!(harness.discarded(Discard::MessageTooLong), 1);
    for piece in &pieces[1..] {
        let record = harness.peer.record(HANDSHAKE, 0, piece);
        harness.deliver(&record);
    }
    for record in &flight[1..] {
        harness.deliver(record);
    }
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// A1: forged pieces that come first, before anything honest; retransmission cures what they
/// displaced.
#[test]
fn a_forged_announcement_does_not_keep_the_honest_message_out() {
    for (typ, length) in [
        (SERVER_HELLO, 5_000),
        (CERTIFICATE, 100),
        (SERVER_HELLO, 0x7fff),
    ] {
        for seq in 1..=4 {
            let mut harness = waiting_client();
            harness.deliver(&fragment(typ, length, seq, 0, &[7; 5]));
            harness.deliver(&fragment(typ, 0xff_ffff, seq, 100, &[7; 5]));
            complete_with_retransmissions(&mut harness);
        }
    }
}

/// A2 (BoGo `FragmentMessageTypeMismatch`): all fragments agree on the type.
#[test]
fn a_fragment_with_another_type_is_discarded() {
    let mut harness = waiting_client();
    let flight = harness.peer.speak(&SERVER_FLIGHT);
    let hello = Spoken {
        typ: SERVER_HELLO,
        seq: 1,
        body: flight[0][25..].to_vec(),
    };
    let pieces = hello.fragments(20);
    let length = u32::try_from(hello.body.len()).unwrap();
    let first = harness.peer.record(HANDSHAKE, 0, &pieces[0]);
    harness.deliver(&first);
    for typ in [0, 1, 3, 11, 12, 13, 14, 15, 16, 99, 255] {
        harness.deliver(&fragment(typ, length, 1, 20, &hello.body[20..40]));
    }
    // A HelloRequest (type 0) has no place in a handshake at all, so it never reaches the slot.
    assert_eq!(harness.discarded(Discard::ConflictingFragment), 10);
    assert_eq!(harness.discarded(Discard::UnexpectedMessage), 1);
    for piece in &pieces[1..] {
        let record = harness.peer.record(HANDSHAKE, 0, piece);
        harness.deliver(&record);
    }
    for record in &flight[1..] {
        harness.deliver(record);
    }
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// A3 (OpenSSL CVE-2014-3506, Bouncy Castle CVE-2026-59646): announced lengths cost nothing.
#[test]
fn sixteen_headers_that_announce_sixteen_megabytes_buffer_nothing() {
    let header = Spoken::raw(CERTIFICATE, 0xff_ffff, 1, 0, 0, &[]);
    let mut harness = waiting_client();
    for seq in 0..16 {
        let mut payload = header.repeat(16);
        for part in payload.chunks_mut(12) {
            part[5] = seq;
        }
        harness.deliver(&record(HANDSHAKE, DTLS12, 0, 9_000, &payload));
    }
    assert_eq!(harness.connection().unwrap().buffered(), 0);
    // Whatever is not too long costs what has arrived, not what is announced.
    for seq in 1..=7 {
        harness.deliver(&fragment(CERTIFICATE, 0x7fff, seq, 30_000, &[1]));
    }
    assert!(harness.connection().unwrap().buffered() < 1000);
    complete_with_retransmissions(&mut harness);
}

/// A4 (OpenSSL CVE-2014-3507, pion CVE-2022-29190): empty fragments of messages that are not empty.
#[test]
fn empty_fragments_neither_leak_nor_loop() {
    let mut harness = waiting_client();
    for offset in 0..100_000 {
        harness.deliver(&fragment(CERTIFICATE, 10_000, 1, offset % 10_000, &[]));
    }
    assert_eq!(harness.connection().unwrap().buffered(), 0);
    assert_eq!(harness.discarded(Discard::BadFragment), 100_000);
    // ServerHelloDone is legal, empty and whole; said a hundred times it is one.
    let mut flight = harness.peer.speak(&SERVER_FLIGHT);
    let done = flight[3].clone();
    flight.extend(vec![done; 100]);
    for record in &flight {
        harness.deliver(record);
    }
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// Cuts messages into pieces of random size that overlap, repeat and come in random order.
fn shuffled_pieces(noise: &mut Noise, messages: &[Spoken]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for message in messages {
        let mut start = 0;
        loop {
            let length = 1 + noise.below(120);
            let back = noise.below(start.min(30) + 1);
            pieces.push(message.fragment(start - back, length + back));
            start += length;
            if start >= message.body.len() {
                break;
            }
        }
    }
    pieces.extend(pieces.clone());
    for index in (1..pieces.len()).rev() {
        pieces.swap(index, noise.below(index + 1));
    }
    pieces
}

/// A5 (OpenSSL CVE-2014-3505, CVE-2009-1379), A6 (GnuTLS CVE-2026-42009), RFC 6347 §4.2.3.
#[test]
fn fragments_duplicated_overlapping_and_in_any_order_make_the_message() {
    for seed in 0..1000 {
        let mut noise = Noise::new(seed);
        let mut harness = our_client();
        let lines: &[Line] = if seed % 2 == 0 {
            &SERVER_FLIGHT
        } else {
            &ASKING_SERVER_FLIGHT
        };
        let mut messages = Vec::new();
        for &line in lines {
            let body = harness.peer.body(line);
            messages.push(harness.peer.say(line.typ(), body));
        }
        for piece in shuffled_pieces(&mut noise, &messages) {
            let record = harness.peer.record(HANDSHAKE, 0, &piece);
            harness.deliver(&record);
        }
        harness.play(&FINALE);
        assert!(harness.is_complete() && harness.exchange(3), "seed {seed}");
    }
}

/// A6: 64 fragments with the same number and offset but different lengths.
#[test]
fn fragments_of_the_same_place_with_different_lengths_are_merged() {
    let mut harness = waiting_client();
    let flight = harness.peer.speak(&SERVER_FLIGHT);
    let hello = Spoken {
        typ: SERVER_HELLO,
        seq: 1,
        body: flight[0][25..].to_vec(),
    };
    let mut noise = Noise::new(6);
    for _ in 0..64 {
        let piece = hello.fragment(3, 1 + noise.below(hello.body.len() - 4));
        let record = harness.peer.record(HANDSHAKE, 0, &piece);
        harness.deliver(&record);
    }
    assert!(harness.connection().unwrap().buffered() < 2 * hello.body.len());
    for record in &flight {
        harness.deliver(record);
    }
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// A9 (OpenSSL CVE-2009-1387, CVE-2014-3571): every message as the first datagram, with every small
/// number.
#[test]
fn every_message_as_the_first_datagram_does_no_harm() {
    for typ in (0..=25).chain([99, 255]) {
        for seq in (0..=5).chain([65_535]) {
            for body in [&[][..], &[0; 4], &[1; 100]] {
                let whole = Spoken {
                    typ,
                    seq,
                    body: body.to_vec(),
                }
                .whole();
                for epoch in [0, 1] {
                    let datagram = record(HANDSHAKE, DTLS12, epoch, 9_000, &whole);
                    let mut harness = our_client();
                    harness.deliver(&datagram);
                    assert!(harness.error().is_none(), "{typ} {seq}");
                    complete_with_retransmissions(&mut harness);
                    let mut harness = our_server();
                    harness.deliver(&datagram);
                    // Something that begins like a hello is asked for a cookie.
                    let answered = usize::from(typ == 1 && body.len() == 100 && epoch == 0);
                    assert!(harness.endpoint.is_empty() && harness.sent.len() <= answered);
                    harness.peer = scripted_client();
                    harness.complete();
                }
            }
        }
    }
}

/// A8 (OpenSSL CVE-2014-0221), RFC 5246 §7.4.1.1: HelloRequests during a handshake are ignored,
/// however many.
#[test]
fn hello_requests_during_a_handshake_are_ignored() {
    for at in 0..=SERVER_FLIGHT.len() {
        let mut harness = our_client();
        harness.play(&SERVER_FLIGHT[..at]);
        for count in 0..20_000 {
            let payload = Spoken::raw(HELLO_REQUEST, 0, count % 8, 0, 0, &[]);
            harness.deliver(&record(HANDSHAKE, DTLS12, 0, 9_000, &payload));
        }
        assert!(harness.connection().unwrap().buffered() < 1000);
        // Those with numbers to come stand where honest messages belong, until the peer repeats its
        // flight.
        let rest = harness.peer.speak(&SERVER_FLIGHT[at..]);
        for _ in 0..=SERVER_FLIGHT.len() {
            rest.iter().for_each(|record| harness.deliver(record));
        }
        let finale = harness.peer.speak(&FINALE);
        for _ in 0..2 {
            finale.iter().for_each(|record| harness.deliver(record));
        }
        assert!(harness.is_complete(), "{at}");
        assert!(harness.exchange(100));
    }
}

/// A10 (Californium #722): a hello whose first fragment reaches its cookie is served,
/// in whatever pieces the rest comes; a smaller first fragment is not, and costs nothing.
#[test]
fn a_fragmented_client_hello_is_served_if_its_first_piece_reaches_the_cookie() {
    for size in [1, 10, 35, 57, 58, 59, 100, 200, 400] {
        let mut harness = our_server();
        for _ in 0..2 {
            let body = harness.peer.body(Line::ClientHello);
            let hello = harness.peer.say(Line::ClientHello.typ(), body);
            for piece in hello.fragments(size) {
                let record = harness.peer.record(HANDSHAKE, 0, &piece);
                harness.deliver(&record);
                let proven = !harness.peer.offer.cookie.is_empty();
                assert!(
                    proven || harness.endpoint.is_empty(),
                    "state before the cookie"
                );
            }
        }
        if size < 58 {
            assert!(harness.endpoint.is_empty(), "{size}");
            continue;
        }
        harness.play(&CLIENT_FLIGHT);
        assert!(harness.is_complete() && harness.exchange(100), "{size}");
    }
}

/// A11, RFC 9147 §5.5 and common sense: bytes that are here are not changed by later ones.
#[test]
fn overlapping_fragments_with_other_bytes_do_not_change_a_message() {
    for turn in 0..50 {
        let mut noise = Noise::new(turn);
        let mut harness = waiting_client();
        let flight = harness.peer.speak(&SERVER_FLIGHT);
        harness.deliver(&flight[0]);
        let certificate = Spoken {
            typ: CERTIFICATE,
            seq: 2,
            body: flight[1][25..].to_vec(),
        };
        let mut liar = certificate.clone();
        liar.body.iter_mut().for_each(|byte| *byte ^= 0x55);
        for (index, piece) in certificate.fragments(50).iter().enumerate() {
            let record = harness.peer.record(HANDSHAKE, 0, piece);
            harness.deliver(&record);
            let start = noise.below(50 * index + 50).min(liar.body.len() - 2);
            let lie = liar.fragment(start, 1 + noise.below(80).min(49));
            let overlaps = start < 50 * index + 50;
            assert!(overlaps);
            harness.deliver(&self::record(HANDSHAKE, DTLS12, 0, 9_000, &lie));
        }
        for record in &flight[2..] {
            harness.deliver(record);
        }
        harness.play(&FINALE);
        assert!(
            harness.is_complete() && harness.exchange(3),
            "{turn} {:?}",
            harness.events
        );
    }
}

/// A13 (OpenSSL CVE-2012-2333, GnuTLS CVE-2026-33845): header fields that contradict each other.
#[test]
fn fragments_whose_lengths_contradict_each_other_are_discarded() {
    let cases: [(u32, u32, u32, usize); 9] = [
        // length, offset, fragment_length, bytes that follow
        (10, 0, 11, 11),
        (10, 5, 6, 6),
        (10, 11, 0, 0),
        (10, 0xff_ffff, 1, 1),
        (10, 0, 10, 9),
        (10, 0, 0xff_ffff, 20),
        (0xff_ffff, 0xff_ffff, 0xff_ffff, 20),
        (0, 0, 1, 1),
        (0, 1, 0, 0),
    ];
    for at in 0..4 {
        let mut harness = waiting_client();
        let flight = harness.peer.speak(&SERVER_FLIGHT);
        flight[..at]
            .iter()
            .for_each(|record| harness.deliver(record));
        let seq = 1 + u16::try_from(at).unwrap();
        for (length, offset, fragment_length, follow) in cases {
            let bytes = vec![0; follow];
            let payload = Spoken::raw(CERTIFICATE, length, seq, offset, fragment_length, &bytes);
            harness.deliver(&record(HANDSHAKE, DTLS12, 0, 9_000, &payload));
        }
        for cut in 0..12 {
            harness.deliver(&record(HANDSHAKE, DTLS12, 0, 9_000, &[0; 12][..cut]));
        }
        assert!(harness.discarded(Discard::BadFragment) >= 19);
        assert_eq!(harness.connection().unwrap().buffered(), 0);
        flight[at..]
            .iter()
            .for_each(|record| harness.deliver(record));
        harness.play(&FINALE);
        assert!(harness.is_complete() && harness.exchange(100));
    }
}

/// A15 (Californium #1620, openssl #32063), RFC 6347 §4.2.1, §4.2.2: the server continues the
/// client's numbers.
#[test]
fn a_hello_with_any_number_is_answered_with_the_same_numbers() {
    for (seq, sequence) in [(0, 0), (1, 7), (5, 1 << 40), (60, 2)] {
        let mut harness = our_server();
        harness.peer.set_next_seq(seq);
        harness.peer.set_next_sequence(0, sequence);
        harness.play(&[Line::ClientHello]);
        let answer = harness.sent.last().unwrap();
        assert_eq!(
            crate::common::datagram_harness::header(answer),
            (22, 0, sequence),
            "HelloVerifyRequest"
        );
        assert_eq!(answer[17..19], seq.to_be_bytes());
        let cookie = answer[28..].to_vec();
        harness.peer.offer.cookie = cookie;
        harness.play(&[Line::ClientHello]);
        let answer = &harness.sent[1];
        assert_eq!(
            crate::common::datagram_harness::header(answer),
            (22, 0, sequence + 1),
            "ServerHello"
        );
        assert_eq!(answer[17..19], (seq + 1).to_be_bytes());
        assert_eq!(answer[13], SERVER_HELLO);
    }
}

/// A16: a hello whose number leaves no room for a handshake behind it is not served; nothing wraps.
#[test]
fn a_hello_with_the_last_number_makes_no_state() {
    for seq in [1000, 65_534, 65_535] {
        let mut harness = our_server();
        for _ in 0..2 {
            harness.peer.set_next_seq(seq);
            harness.play(&[Line::ClientHello]);
        }
        assert!(harness.endpoint.is_empty() && harness.sent.is_empty());
        assert_eq!(harness.endpoint.stats().strays, 2);
    }
}

/// A17: only a few messages ahead are looked at.
#[test]
fn fragments_of_messages_far_ahead_are_not_kept() {
    let mut harness = waiting_client();
    for seq in 2..=u16::MAX {
        harness.deliver(&fragment(CERTIFICATE, 3000, seq, 0, &[7; 1000]));
    }
    assert!(harness.connection().unwrap().buffered() < 8 * 1100);
    assert!(harness.discarded(Discard::MessageTooFarAhead) > 65_000);
    complete_with_retransmissions(&mut harness);
}

/// C13 (Botan #5803): forged pieces fill the whole budget. Once the forger stops, honest
/// retransmission gets through.
#[test]
fn a_full_reassembly_buffer_does_not_lock_the_honest_flight_out() {
    for seq in 1..=3 {
        let mut harness = waiting_client();
        for offset in (0..0x7ffe).step_by(2) {
            harness.deliver(&fragment(SERVER_HELLO, 0x7fff, seq, offset, &[7]));
            assert!(harness.connection().unwrap().buffered() <= BUDGET);
        }
        complete_with_retransmissions(&mut harness);
    }
}

/// A8, A17: the forger fills the buffers at a server whose client has proved its address.
#[test]
fn forged_fragments_at_a_server_do_not_lock_the_honest_flight_out() {
    for seq in 2..=5 {
        let mut harness = our_demanding_server();
        harness.exchange_cookies();
        for offset in (0..0x7ffe).step_by(2) {
            harness.deliver(&fragment(CERTIFICATE, 0x7fff, seq, offset, &[7]));
            assert!(harness.connection().unwrap().buffered() <= BUDGET);
        }
        let flight = harness.peer.speak(&PROVING_CLIENT_FLIGHT);
        for _ in 0..5 {
            flight.iter().for_each(|record| harness.deliver(record));
            harness.wait(Duration::from_secs(2));
        }
        assert!(harness.is_complete() && harness.exchange(100), "{seq}");
    }
}

/// B6: our client has read keys and waits for Finished. From here on plaintext must not matter at
/// all.
#[test]
fn plaintext_fragments_do_not_matter_to_a_client_that_expects_finished() {
    for seq in 5..=8 {
        let mut harness = waiting_client();
        harness.play(&SERVER_FLIGHT);
        for offset in (0..0x7ffe).step_by(2) {
            harness.deliver(&fragment(CERTIFICATE, 0x7fff, seq, offset, &[7]));
            assert!(harness.connection().unwrap().buffered() <= BUDGET);
        }
        harness.play(&FINALE);
        let stats = harness.connection().unwrap().stats();
        assert!(harness.is_complete(), "seq {seq} {stats:?}");
        assert!(harness.exchange(100));
    }
}

/// A19: several messages in one record, several records in one datagram, and empty records between.
#[test]
fn flights_packed_in_every_way_are_unpacked() {
    for (way, empty) in (0..4).flat_map(|way| [(way, false), (way, true)]) {
        let mut harness = our_client();
        let mut messages = Vec::new();
        for line in SERVER_FLIGHT {
            let body = harness.peer.body(line);
            messages.push(harness.peer.say(line.typ(), body));
        }
        let payloads: Vec<Vec<u8>> = match way {
            // Everything in one record; each message its own; halves glued to the next one's first
            // half; small pieces.
            0 => vec![messages.iter().flat_map(Spoken::whole).collect()],
            1 => messages.iter().map(Spoken::whole).collect(),
            2 => halves(&messages)
                .chunks(3)
                .map(<[Vec<u8>]>::concat)
                .collect(),
            _ => messages
                .iter()
                .flat_map(|message| message.fragments(17))
                .collect(),
        };
        let mut datagram = Vec::new();
        for payload in payloads {
            datagram.extend(harness.peer.record(HANDSHAKE, 0, &payload));
            if empty {
                datagram.extend(harness.peer.record(HANDSHAKE, 0, &[]));
            }
        }
        harness.deliver(&datagram);
        let finale = harness.peer.speak(&FINALE).concat();
        harness.deliver(&finale);
        assert!(harness.is_complete(), "way {way}");
        assert!(harness.exchange(100));
    }
}

fn halves(messages: &[Spoken]) -> Vec<Vec<u8>> {
    let halve = |message: &Spoken| {
        let middle = message.body.len().div_ceil(2);
        let mut halves = vec![message.fragment(0, middle)];
        if !message.body.is_empty() {
            halves.push(message.fragment(middle, middle));
        }
        halves
    };
    messages.iter().flat_map(halve).collect()
}

/// A12, A13: a handshake that never ends in time ends in a clear error.
#[test]
fn a_peer_that_sends_only_noise_ends_in_a_timeout() {
    let mut harness = DatagramHarness::client(Ends::new().build().client, scripted_client());
    for _ in 0..60 {
        harness.deliver(&[0; 100]);
        harness.wait(Duration::from_secs(2));
    }
    harness.wait(FOREVER);
    assert!(matches!(harness.error(), Some(Error::TimedOut { .. })));
    assert!(harness.endpoint.is_empty());
}
