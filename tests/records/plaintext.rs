//! What stands outside of the keys: plaintext once keys exist, data before Finished, late
//! handshakes; rows B5, B6, B7, B18 and I13 of the failure catalogue, with controls.

use crate::common::configs::Ends;
use crate::common::datagram_harness::{
    CLIENT_FLIGHT, DatagramHarness, FATAL, FINALE, Noise, SERVER_FLIGHT, WARNING, is_completion,
    our_client, our_server, record, records,
};
use crate::common::targets::{EARLY, at_every_state, connected, inject, picture};
use sealgram::sim::scripted::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, DTLS12, HANDSHAKE, Line, Spoken,
};
use sealgram::{Error, Event};
use std::time::Duration;

/// B5 (wolfSSL CVE-2020-24585, pion CVE-2019-20786): data without protection.
#[test]
fn plaintext_data_never_reaches_the_application() {
    at_every_state(|pair, _| {
        for sequence in [0, 1, 5, 1 << 40] {
            inject(
                pair,
                &record(APPLICATION_DATA, DTLS12, 0, sequence, b"forged"),
            );
        }
    });
    let (mut pair, client, server) = connected();
    inject(
        &mut pair,
        &record(APPLICATION_DATA, DTLS12, 0, 77, b"forged"),
    );
    assert!(
        pair.client
            .association(pair.now, client)
            .unwrap()
            .recv()
            .is_none()
            && pair
                .server
                .association(pair.now, server)
                .unwrap()
                .recv()
                .is_none()
    );
    let readable = Event::Readable;
    assert!(
        pair.client_events
            .iter()
            .all(|(_, event)| *event != readable)
    );
}

/// All kinds of plaintext that pretend to be a peer's.
fn plaintext_lies() -> Vec<Vec<u8>> {
    let mut lies = vec![
        record(CHANGE_CIPHER_SPEC, DTLS12, 0, 90, &[1]),
        record(APPLICATION_DATA, DTLS12, 0, 91, b"forged"),
    ];
    for level in [WARNING, FATAL] {
        for description in [0, 10, 20, 40, 42, 80, 90, 100, 255] {
            lies.push(record(ALERT, DTLS12, 0, 92, &[level, description]));
        }
    }
    for typ in [0, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20] {
        for seq in 0..10 {
            for length in [0, 12, 100] {
                let whole = Spoken {
                    typ,
                    seq,
                    body: vec![0; length],
                }
                .whole();
                lies.push(record(HANDSHAKE, DTLS12, 0, 93, &whole));
            }
        }
    }
    lies
}

/// B6 (wolfSSL 5.5.0, Botan #5811), RFC 6347 §4.1.2.7: once keys exist, plaintext means nothing.
#[test]
fn plaintext_alerts_and_messages_do_not_end_an_established_association() {
    let (mut pair, ..) = connected();
    let before = picture(&pair);
    for lie in plaintext_lies() {
        inject(&mut pair, &lie);
    }
    assert_eq!(picture(&pair), before);
    assert!(pair.exchange(100));
    // After everything that the handshake left behind is gone, the same.
    pair.run_for(Duration::from_secs(300));
    let before = picture(&pair);
    for lie in plaintext_lies() {
        inject(&mut pair, &lie);
    }
    assert_eq!(picture(&pair), before);
    assert!(pair.exchange(100));
}

/// B6: our client has read keys but not yet the server's Finished.
#[test]
fn plaintext_alerts_and_messages_do_not_end_a_client_that_expects_finished() {
    let mut harness = our_client();
    harness.exchange_cookies();
    harness.play(&SERVER_FLIGHT);
    for lie in plaintext_lies() {
        harness.deliver(&lie);
    }
    assert!(harness.error().is_none());
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// B6: our server has read keys but not yet the client's Finished.
#[test]
fn plaintext_alerts_and_messages_do_not_end_a_server_that_expects_finished() {
    let mut harness = our_server();
    harness.exchange_cookies();
    harness.play(&[Line::ClientKeyExchange]);
    for lie in plaintext_lies() {
        harness.deliver(&lie);
    }
    assert!(harness.error().is_none());
    harness.play(&FINALE);
    assert!(harness.is_complete() && harness.exchange(100));
}

/// B6: the alert that was not believed is named when the handshake then times out.
#[test]
fn a_disbelieved_alert_shows_in_the_timeout() {
    let mut harness = our_client();
    harness.play(&SERVER_FLIGHT);
    harness.deliver(&record(ALERT, DTLS12, 0, 92, &[FATAL, 40]));
    harness.wait(Duration::from_secs(200));
    let Some(Error::TimedOut {
        unauthenticated_alert: Some(alert),
        ..
    }) = harness.error()
    else {
        panic!("{:?}", harness.error())
    };
    assert_eq!(alert.description.0, 40);
}

/// B7 (CVE-2014-8176), RFC 5246 §7.4.9: data that overtakes Finished is held or dropped, never
/// delivered before it.
#[test]
fn data_that_overtakes_finished_is_not_delivered_before_it() {
    let mut client = our_client();
    client.play(&SERVER_FLIGHT);
    let mut server = our_server();
    server.exchange_cookies();
    server.play(&CLIENT_FLIGHT[..2]);
    for mut harness in [client, server] {
        let id = harness.id().unwrap();
        for number in 0..100 {
            let record = harness.peer.record(APPLICATION_DATA, 1, &[number]);
            harness.deliver(&record);
            assert!(harness.recv(id).is_none());
        }
        assert!(harness.events.is_empty());
        assert!(harness.connection().unwrap().buffered() <= EARLY);
        harness.play(&FINALE[1..]);
        assert!(is_completion(&harness.events[0].1));
        // At most what was held, in order.
        let held = std::iter::from_fn(|| harness.recv(id)).count();
        assert!(held <= 8, "{held}");
        assert!(harness.exchange(100));
    }
}

/// B18 (openssl #20597, Botan #5836): everything of the first handshake arrives again, late and in
/// any order.
#[test]
fn datagrams_of_the_handshake_that_arrive_late_change_nothing() {
    for seed in 0..100 {
        let mut noise = Noise::new(seed);
        let configs = Ends::new().mutual().build();
        let mut pair = configs.pair(1);
        pair.record();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        let seen = pair.seen.take().unwrap();
        pair.run_for(Duration::from_secs(noise.next() % 300));
        for _ in 0..100 {
            let datagram = &noise.pick(&seen).datagram;
            match noise.below(4) {
                0 => inject(&mut pair, &noise.pick(&records(datagram)).clone()),
                _ => inject(&mut pair, datagram),
            }
            pair.run_for(Duration::from_millis(noise.next() % 500));
        }
        assert!(pair.exchange(100), "seed {seed}");
        assert_eq!(pair.server.len(), 1, "seed {seed}");
    }
}

/// I13: data that came before a Finished which is then wrong is never seen.
#[test]
fn data_before_a_failed_finished_is_never_seen() {
    let mut client = our_client();
    client.play(&SERVER_FLIGHT);
    let mut server = our_server();
    server.exchange_cookies();
    server.play(&CLIENT_FLIGHT[..2]);
    for mut harness in [client, server] {
        let id = harness.id().unwrap();
        let record = harness.peer.record(APPLICATION_DATA, 1, b"forged");
        harness.deliver(&record);
        harness.play_altered(&FINALE, |line, body| {
            if line == Line::Finished {
                body[0] ^= 1;
            }
        });
        assert!(harness.failure().is_some() && !harness.is_complete());
        let association = harness.endpoint.association(harness.now, id);
        assert!(association.is_none_or(|mut it| it.recv().is_none()));
        assert!(harness.endpoint.is_empty());
    }
}

/// An authenticated fatal alert is believed at once, in both roles: the control of the tests above.
#[test]
fn an_alert_under_keys_is_believed() {
    for mut harness in [our_client(), our_server()] {
        harness.complete();
        let alert = harness.peer.alert(FATAL, 80);
        harness.deliver(&alert);
        let error = harness.error();
        assert!(
            matches!(
                error,
                Some(Error::AlertReceived {
                    authenticated: true,
                    ..
                })
            ),
            "{error:?}"
        );
        assert!(harness.endpoint.is_empty());
        assert_eq!(
            harness.endpoint.stats().handshakes_failed,
            0,
            "no handshake has failed"
        );
    }
}

/// Opens the association of `harness` anew for the reader: it is complete and lives.
#[test]
fn a_close_notify_under_keys_closes_and_in_plaintext_does_not() {
    let mut harness: DatagramHarness = our_server();
    harness.complete();
    harness.deliver(&record(ALERT, DTLS12, 0, 50, &[WARNING, 0]));
    assert!(harness.exchange(100));
    let close = harness.peer.alert(WARNING, 0);
    harness.deliver(&close);
    assert!(harness.endpoint.is_empty());
    assert_eq!(harness.peer.alerts_heard(), [(WARNING, 0)]);
    assert!(
        harness
            .events
            .iter()
            .any(|(_, event)| *event == Event::Closed)
    );
}
