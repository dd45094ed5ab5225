//! Records, epochs and replay: section B of the failure catalogue, and A7.
//!
//! * B5–B7, B18: `tests/records/plaintext.rs`
//! * B8, B9 (sending): epochs and sequences end far beyond what a test can send; the counters have
//!   unit tests
//! * B10, B11: version 1.3
//! * B14: the limits are 2^28 and 2^36 failures; there is no hook to lower them

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    FATAL, FINALE, Noise, PROVING_CLIENT_FLIGHT, SERVER_FLIGHT, our_client, our_demanding_server,
    our_server, record, record_of_length,
};
use crate::common::targets::{EARLY, at_every_state, connected, inject, picture};
use sealgram::record::Discard;
use sealgram::sim::Fate;
use sealgram::sim::scripted::{ALERT, APPLICATION_DATA, DTLS12, HANDSHAKE, Line};
use std::time::Duration;

/// A7 (OpenSSL CVE-2026-75806): a record shorter than nonce and tag ended the association.
#[test]
fn records_shorter_than_nonce_and_tag_are_noise() {
    at_every_state(|pair, _| {
        for length in 0..=40 {
            for content_type in 0..=30 {
                for epoch in 0..=3 {
                    let payload = vec![0; length];
                    // A ClientHello type alone is no hello, so even plaintext is nothing here.
                    inject(pair, &record(content_type, DTLS12, epoch, 500, &payload));
                }
            }
        }
    });
    let (mut pair, ..) = connected();
    let before = picture(&pair);
    // The datagram that ended associations of OpenSSL, byte by byte.
    let probe = [&[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 0, 0, 8][..], &[0; 8]].concat();
    for _ in 0..1000 {
        inject(&mut pair, &probe);
    }
    assert_eq!(picture(&pair), before);
    assert!(pair.exchange(100));
}

/// B1 (OpenSSL CVE-2009-1377, CVE-2016-2179): records of epochs to come are not hoarded.
#[test]
fn records_of_future_epochs_are_not_hoarded() {
    at_every_state(|pair, _| {
        let mut noise = Noise::new(1);
        let mut payload = [0; 1400];
        noise.fill(&mut payload);
        for count in 0..2000 {
            for epoch in [1, 2, 3, 65_535] {
                inject(
                    pair,
                    &record(APPLICATION_DATA, DTLS12, epoch, count, &payload),
                );
            }
        }
        assert!(pair.client.buffered() <= EARLY && pair.server.buffered() <= EARLY);
    });
}

/// B3 (OpenSSL CVE-2015-0206): the same number of the next epoch again and again.
#[test]
fn one_record_number_repeated_a_million_times_leaks_nothing() {
    let mut harness = our_demanding_server();
    harness.exchange_cookies();
    let forged = record(HANDSHAKE, DTLS12, 1, 0, &[9; 60]);
    for _ in 0..1_000_000 {
        harness.deliver(&forged);
    }
    assert!(harness.connection().unwrap().buffered() <= EARLY);
    harness.play(&PROVING_CLIENT_FLIGHT);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// B2 (OpenSSL CVE-2016-2181): the window moves after authentication, not before.
#[test]
fn a_forged_record_with_the_highest_number_does_not_move_the_window() {
    let (mut pair, ..) = connected();
    let before = picture(&pair);
    for content_type in 20..=23 {
        for sequence in [1 << 32, (1 << 48) - 2, (1 << 48) - 1] {
            inject(
                &mut pair,
                &record(content_type, DTLS12, 1, sequence, &[0; 64]),
            );
        }
    }
    assert_eq!(picture(&pair), before);
    assert!(pair.exchange(100));
}

/// B4 (BoGo `DTLS-Replay*`), RFC 6347 §4.1.2.6: nothing is delivered twice, and nothing from behind
/// the window.
#[test]
fn a_replayed_datagram_is_delivered_once_at_every_distance() {
    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    let mut past = Vec::new();
    for number in 0..10_100_u32 {
        let record = harness.peer.data(&number.to_be_bytes());
        harness.deliver(&record);
        assert_eq!(harness.recv(id).unwrap().data, number.to_be_bytes()[..]);
        past.push(record);
        for distance in [0, 1, 62, 63, 64, 65, 10_000] {
            if let Some(index) = past.len().checked_sub(1 + distance) {
                let old = past[index].clone();
                harness.deliver(&old);
                assert!(harness.recv(id).is_none(), "{number} − {distance}");
            }
        }
    }
    assert!(harness.exchange(100));
}

/// B4: what is merely late is delivered, up to 255 numbers late, and only once.
#[test]
fn late_records_are_delivered_once_within_the_window() {
    for distance in [1, 2, 63, 64, 254, 255, 256, 257, 1000] {
        let mut harness = our_client();
        harness.complete();
        let id = harness.id().unwrap();
        let late = harness.peer.data(b"late");
        for _ in 1..distance {
            harness.peer.data(b"lost");
        }
        let newest = harness.peer.data(b"newest");
        harness.deliver(&newest);
        harness.deliver(&late);
        harness.deliver(&late);
        let got: Vec<_> = std::iter::from_fn(|| harness.recv(id))
            .map(|r| r.data)
            .collect();
        let expected: &[&[u8]] = if distance < 256 {
            &[b"newest", b"late"]
        } else {
            &[b"newest"]
        };
        assert_eq!(got, expected, "{distance}");
        assert!(harness.exchange(100));
    }
}

/// B4: a network that duplicates everything, in both directions, from the first datagram on.
#[test]
fn a_network_that_duplicates_everything_delivers_everything_once() {
    let configs = Ends::new().mutual().build();
    let mut pair = configs.pair(1);
    pair.to_server.script(|_, _| Fate::Duplicate);
    pair.to_client.script(|_, _| Fate::Duplicate);
    assert!(pair.run_until_connected(Duration::from_secs(60)));
    assert!(pair.exchange(100));
    pair.run_for(Duration::from_secs(2));
    assert!(
        pair.client
            .association(pair.now, pair.client_id().unwrap())
            .unwrap()
            .recv()
            .is_none()
    );
    assert!(
        pair.server
            .association(pair.now, pair.server_id().unwrap())
            .unwrap()
            .recv()
            .is_none()
    );
}

/// B9: record numbers at the borders of 16, 32 and 48 bits are taken and told apart.
#[test]
fn record_numbers_beyond_every_border_are_taken_once() {
    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    let last: u64 = (1 << 48) - 1;
    for start in [(1 << 16) - 2, (1 << 32) - 2, last - 3] {
        for sequence in start..start + 4 {
            let data = sequence.to_be_bytes();
            let record = harness
                .peer
                .record_at(APPLICATION_DATA, DTLS12, 1, sequence, &data);
            harness.deliver(&record);
            assert_eq!(harness.recv(id).unwrap().data, data[..]);
            harness.deliver(&record);
            assert!(harness.recv(id).is_none());
        }
    }
    assert_eq!(harness.discarded(Discard::Replay), 12);
    // Nothing follows the last number, and it does not wrap.
    harness.peer.set_next_sequence(1, 5);
    let wrapped = harness.peer.data(b"wrapped");
    harness.deliver(&wrapped);
    assert!(harness.recv(id).is_none());
}

/// B12 (wolfSSL CVE-2023-6937, GHSA-2mjx-qc3c-rqvc): a message that begins under one key and ends
/// under another.
#[test]
fn a_message_that_spans_a_change_of_keys_is_never_taken() {
    // Finished, its first half in plaintext.
    let mut harness = our_client();
    harness.play(&SERVER_FLIGHT);
    let body = harness.peer.body(Line::Finished);
    let finished = harness.peer.say(Line::Finished.typ(), body);
    for (epoch, start) in [(0, 0), (1, 6)] {
        let record = harness
            .peer
            .record(HANDSHAKE, epoch, &finished.fragment(start, 6));
        harness.deliver(&record);
    }
    assert!(!harness.is_complete());
    assert!(harness.discarded(Discard::UnexpectedMessage) > 0);
    // Under one key the same halves are a message.
    let record = harness.peer.record(HANDSHAKE, 1, &finished.fragment(0, 6));
    harness.deliver(&record);
    assert!(harness.is_complete() && harness.exchange(100));

    // CertificateVerify, its second half under keys that the server does not have yet.
    let mut harness = our_demanding_server();
    harness.exchange_cookies();
    harness.play(&PROVING_CLIENT_FLIGHT[..2]);
    let body = harness.peer.body(Line::CertificateVerify);
    let verify = harness.peer.say(Line::CertificateVerify.typ(), body);
    for (epoch, start) in [(0, 0), (1, 30)] {
        let record = harness
            .peer
            .record(HANDSHAKE, epoch, &verify.fragment(start, 30));
        harness.deliver(&record);
    }
    harness.play(&FINALE);
    assert!(!harness.is_complete());
}

/// B13 (openssl #24972), RFC 6347 §4.1.2.7: a million forgeries are counted, no alert is sent,
/// nobody dies.
#[test]
fn a_million_forged_records_are_counted_and_nothing_else() {
    let mut harness = our_server();
    harness.complete();
    let sent = harness.sent.len();
    for count in 0..1_000_000_u64 {
        let content_type = [20, 21, 22, 23][usize::try_from(count % 4).unwrap()];
        harness.deliver(&record(content_type, DTLS12, 1, 1000 + count, &[7; 40]));
    }
    assert_eq!(harness.discarded(Discard::Unauthenticated), 1_000_000);
    assert_eq!(harness.sent.len(), sent);
    assert!(harness.exchange(100));
}

/// B15: empty records, a million of them under keys, wake nobody; empty datagrams are not the end
/// of anything.
#[test]
fn empty_records_and_datagrams_wake_nobody() {
    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    let events = harness.events.len();
    for _ in 0..1_000_000 {
        let empty = harness.peer.data(&[]);
        harness.deliver(&empty);
    }
    for _ in 0..1000 {
        harness.deliver(&[]);
    }
    assert_eq!(harness.events.len(), events);
    assert!(harness.recv(id).is_none());
    assert_eq!(harness.discarded(Discard::EmptyData), 1_000_000);
    assert!(harness.exchange(100));
}

/// B16: records of other versions.
#[test]
fn records_of_other_versions_are_noise_in_every_state() {
    const VERSIONS: [u16; 8] = [
        0xfefc, 0xfefe, 0x0303, 0x0301, 0x0000, 0xffff, 0x0100, 0xfe00,
    ];
    at_every_state(|pair, _| {
        for version in VERSIONS {
            for content_type in 20..=24 {
                for epoch in [0, 1] {
                    inject(
                        pair,
                        &record(content_type, version, epoch, 400, &[FATAL, 40]),
                    );
                }
            }
        }
    });
    let mut harness = our_client();
    harness.complete();
    let id = harness.id().unwrap();
    for (number, version) in VERSIONS.into_iter().chain([0xfeff]).enumerate() {
        let sequence = 1000 + u64::try_from(number).unwrap();
        // Properly sealed: the version is authenticated, and wrong.
        let record = harness
            .peer
            .record_at(APPLICATION_DATA, version, 1, sequence, b"x");
        harness.deliver(&record);
        assert!(harness.recv(id).is_none(), "{version:#x}");
    }
    assert!(harness.exchange(100));
}

/// B17 (pion #601): the largest datagram there is, full of records, headers or nonsense.
#[test]
fn the_largest_datagrams_are_taken_apart() {
    let (mut pair, ..) = connected();
    let fill = |piece: &[u8]| {
        let mut datagram = piece.repeat(65_507_usize.div_ceil(piece.len()));
        datagram.truncate(65_507);
        datagram
    };
    for piece in [
        record(APPLICATION_DATA, DTLS12, 1, 9, &[]),
        record(APPLICATION_DATA, DTLS12, 1, 9, &[0; 25]),
        record(HANDSHAKE, DTLS12, 0, 9, &[0; 12]),
        record(ALERT, DTLS12, 0, 9, &[2, 40]),
        record(99, 0, 7, 9, &[1]),
        vec![0],
        vec![22],
        vec![0xff],
    ] {
        inject(&mut pair, &fill(&piece));
    }
    // A length of everything that can be said.
    for length in [16_383, 16_384, 16_385, 18_432, 18_433, 65_494, 65_535] {
        let payload = vec![0; usize::from(length).min(65_494)];
        inject(
            &mut pair,
            &record_of_length(23, DTLS12, 1, 9, length, &payload),
        );
    }
    assert!(pair.exchange(100));

    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    let mut datagram = Vec::new();
    let mut count = 0_usize;
    while datagram.len() < 65_400 {
        datagram.extend(harness.peer.data(&[7]));
        count += 1;
    }
    harness.deliver(&datagram);
    let received = std::iter::from_fn(|| harness.recv(id)).count();
    let dropped = harness.discarded(Discard::ReceiveQueueFull);
    assert_eq!(received + usize::try_from(dropped).unwrap(), count);
    // Each record pins the whole datagram, so the queue holds a few of them only.
    assert!(received > 0);
    assert!(harness.exchange(100));
}

/// A13 (tinydtls #13, #23): lengths that leave their datagram, and bytes behind the last record.
#[test]
fn records_that_leave_their_datagram_are_discarded() {
    at_every_state(|pair, _| {
        for length in [0, 1, 11, 100, 16_385, 65_535] {
            for content_type in 20..=25 {
                let payload = [0; 10];
                inject(
                    pair,
                    &record_of_length(content_type, DTLS12, 0, 300, length, &payload),
                );
                inject(
                    pair,
                    &record_of_length(content_type, DTLS12, 1, 300, length, &payload),
                );
            }
        }
        for cut in 0..13 {
            inject(pair, &record(HANDSHAKE, DTLS12, 0, 300, &[])[..cut]);
        }
    });
    // What stands before the nonsense is good (RFC 6347 §4.1.1).
    let mut harness = our_server();
    harness.complete();
    let id = harness.id().unwrap();
    for tail in [
        &[0_u8][..],
        &[23; 12],
        &[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 99, 1],
    ] {
        let datagram = [&harness.peer.data(b"good")[..], tail].concat();
        harness.deliver(&datagram);
        assert_eq!(harness.recv(id).unwrap().data, "good");
    }
    assert_eq!(harness.discarded(Discard::BadRecord), 3);
}
