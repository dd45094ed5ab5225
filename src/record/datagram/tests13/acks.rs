//! Flights, acknowledgements, and what is kept for a while.

use super::*;

/// §5.8.1, end state: a repeated last flight of the client is acknowledged, for as long as its keys
/// are kept (G8).
#[test]
fn r9147_28_a_repeated_last_flight_is_acknowledged_again() {
    let mut two = Two::shaking_hands();
    let end = FlightEnd::AwaitAck(Unacknowledged::Fails);
    flight(&mut two.client, two.now, TWO, &[(0, 10)], end);
    let flight = sent(&mut two.client);
    let inbound = feed(&mut two.server, two.now, &flight[0]).unwrap();
    assert_eq!(messages_of(&inbound), [0]);
    two.server.install_write(THREE, protection(THREE));
    two.server.retire_read(two.now, TWO);
    two.server.established(two.now, THREE);
    feed(&mut two.server, two.now, &[]).unwrap();
    let expected = RecordNumber {
        epoch: TWO,
        sequence: 0,
    };
    let acknowledgement = craft(THREE, 0, FULL, 26, &ack::encode(&[expected]), 0);
    assert_eq!(sent(&mut two.server), [acknowledgement]);
    // It was lost, and the client repeats itself.
    let later = two.now + Duration::from_secs(1);
    assert!(two.client.handle_timeout(later).is_ok());
    let again = sent(&mut two.client);
    assert!(feed(&mut two.server, later, &again[0]).unwrap().is_empty());
    let answer = sent(&mut two.server);
    assert_eq!(answer.len(), 1);
    two.client
        .install_read(THREE, protection(THREE), ReadSwitch::Now);
    let told = feed(&mut two.client, later, &answer[0]).unwrap();
    assert!(matches!(told[..], [Inbound::FlightDelivered(FlightId(1))]));
    // RFC 9147 §7.2: nothing is sent again any more.
    assert!(
        two.client
            .handle_timeout(later + Duration::from_secs(60))
            .is_ok()
    );
    assert!(sent(&mut two.client).is_empty());
}

/// §6.1, §4.2.1: records of epochs without keys are dropped.
#[test]
fn r9147_36_records_without_keys_are_dropped() {
    for epoch in [4, 5, 9] {
        let mut two = Two::connected();
        let record = craft(Epoch::new(epoch), 0, FULL, DATA, b"from the future", 0);
        let inbound = feed(&mut two.client, two.now, &record).unwrap();
        assert!(inbound.is_empty(), "{epoch}");
        let counted = two.client.stats().discarded(Discard::OldEpoch);
        assert_eq!(counted, 1, "{epoch}");
    }
}

/// §7.1: a gap is told at once, a part of a flight after a quarter of the timer, and the next
/// flight says it all.
#[test]
fn r9147_38_gaps_and_partial_flights_are_acknowledged() {
    let mut two = Two::shaking_hands();
    two.server.set_mtu(100);
    flight(
        &mut two.server,
        two.now,
        TWO,
        &[(0, 60), (1, 60), (2, 60)],
        FlightEnd::AwaitReply,
    );
    let datagrams = sent(&mut two.server);
    feed(&mut two.client, two.now, &datagrams[0]).unwrap();
    assert!(sent(&mut two.client).is_empty());
    let quarter = two.now + Duration::from_millis(250);
    assert_eq!(two.client.poll_timeout(), Some(quarter));
    feed(&mut two.client, two.now, &datagrams[2]).unwrap();
    let told = sent(&mut two.client);
    assert_eq!(told.len(), 1, "the gap");
    feed(&mut two.server, two.now, &told[0]).unwrap();
    // Only what is missing comes again, and at once.
    assert_eq!(sent(&mut two.server).len(), 1);
    feed(&mut two.client, two.now, &datagrams[1]).unwrap();
    flight(
        &mut two.client,
        two.now,
        TWO,
        &[(0, 10)],
        FlightEnd::AwaitReply,
    );
    sent(&mut two.client);
    assert_eq!(
        two.client.poll_timeout(),
        Some(two.now + Duration::from_secs(1))
    );
}

/// §7.1: nothing but handshake records is acknowledged, and unprotected acknowledgements count for
/// nothing (G4, G5).
#[test]
fn r9147_39_only_handshake_records_are_acknowledged() {
    let mut two = Two::connected();
    feed(
        &mut two.client,
        two.now,
        &craft(THREE, 0, FULL, DATA, b"data", 0),
    )
    .unwrap();
    let alert = craft(THREE, 1, FULL, 21, &[1, 90], 0);
    feed(&mut two.client, two.now, &alert).unwrap();
    assert!(sent(&mut two.client).is_empty());
    let end = FlightEnd::AwaitAck(Unacknowledged::Persists);
    flight(&mut two.client, two.now, THREE, &[(5, 10)], end);
    sent(&mut two.client);
    let number = RecordNumber {
        epoch: THREE,
        sequence: 0,
    };
    let contents = ack::encode(&[number]);
    let length = u8::try_from(contents.len()).unwrap();
    let plain = [
        &[26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, length][..],
        &contents,
    ]
    .concat();
    assert!(feed(&mut two.client, two.now, &plain).unwrap().is_empty());
    assert_eq!(two.client.stats().discarded(Discard::OldEpoch), 1);
    let later = two.now + Duration::from_secs(1);
    assert!(two.client.handle_timeout(later).is_ok());
    assert_eq!(sent(&mut two.client).len(), 1, "it was not believed");
    // In the handshake the epoch without protection can still be read.
    let mut two = Two::shaking_hands();
    assert!(feed(&mut two.client, two.now, &plain).unwrap().is_empty());
    assert_eq!(two.client.stats().discarded(Discard::PlaintextAck), 1);
}

/// §7.2: the acknowledgement of a record that was never sent (G3).
#[test]
fn r9147_41_acknowledging_what_was_not_sent_is_a_fault() {
    for number in [
        RecordNumber {
            epoch: THREE,
            sequence: 0,
        },
        RecordNumber {
            epoch: Epoch::new(4),
            sequence: 0,
        },
        RecordNumber {
            epoch: Epoch::new(u64::MAX),
            sequence: u64::MAX,
        },
    ] {
        let mut two = Two::connected();
        let record = craft(THREE, 0, FULL, 26, &ack::encode(&[number]), 0);
        let outcome = feed(&mut two.client, two.now, &record);
        assert_eq!(outcome.err(), Some(Fault::AckOfUnsentRecord));
    }
}

/// §8: the keys before the newest stay until something was read under the newest.
#[test]
fn r9147_44_old_keys_stay_until_new_ones_were_used() {
    let four = Epoch::new(4);
    for used in [false, true] {
        let mut two = Two::connected();
        two.client
            .install_read(four, protection(four), ReadSwitch::Now);
        two.client.retire_read(two.now, THREE);
        if used {
            let record = craft(four, 0, FULL, DATA, b"new", 0);
            assert_eq!(feed(&mut two.client, two.now, &record).unwrap().len(), 1);
        }
        let later = two.now + Duration::from_secs(300);
        assert!(two.client.handle_timeout(later).is_ok());
        let old = craft(THREE, 0, FULL, DATA, b"old", 0);
        let inbound = feed(&mut two.client, later, &old).unwrap();
        assert_eq!(inbound.len(), usize::from(!used), "used: {used}");
    }
}

/// §4.1: types that have no place under keys are dropped; data has none in the epoch of the
/// handshake (r9147_29).
#[test]
fn r9147_29_no_data_is_taken_in_the_epoch_of_the_handshake() {
    for typ in [20, DATA] {
        let mut two = Two::shaking_hands();
        let record = craft(TWO, 0, FULL, typ, b"data", 0);
        let outcome = feed(&mut two.client, two.now, &record);
        let expected = match typ {
            DATA => matches!(outcome, Err(Fault::UnexpectedData)),
            _ => matches!(outcome, Err(Fault::UnexpectedChangeCipherSpec)),
        };
        assert!(expected, "{typ}");
    }
}

/// RFC 8446 §5: under keys a type that does not exist is the peer's own.
#[test]
fn a_type_that_does_not_exist_is_a_fault_under_keys() {
    for typ in [24, 25, 99, 255] {
        for epoch in [TWO, THREE] {
            let mut two = if epoch == TWO {
                Two::shaking_hands()
            } else {
                Two::connected()
            };
            let record = craft(epoch, 0, FULL, typ, b"data", 0);
            let outcome = feed(&mut two.client, two.now, &record);
            assert!(matches!(outcome, Err(Fault::UnknownContentType)), "{typ}");
        }
    }
}

/// RFC 8446 §6: under the keys of 1.3 every alert but two is fatal, whatever level it has (G17).
#[test]
fn alerts_are_fatal_whatever_their_level() {
    let mut two = Two::connected();
    for (sequence, description, fatal) in
        [(0, 0, false), (1, 90, false), (2, 40, true), (3, 100, true)]
    {
        let record = craft(THREE, sequence, FULL, 21, &[1, description], 0);
        let inbound = feed(&mut two.client, two.now, &record).unwrap();
        let [Inbound::Alert { error, number, .. }] = inbound[..] else {
            panic!("no alert");
        };
        assert_eq!((error, number.epoch), (fatal, THREE), "{description}");
    }
    let mut two = Two::shaking_hands();
    let plain = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    assert!(feed(&mut two.client, two.now, &plain).unwrap().is_empty());
    assert!(two.client.disbelieved_alert().is_some_and(Alert::is_fatal));
}

/// §7.1: nothing is acknowledged by a list of nothing; what cannot be opened yet is the peer's to
/// repeat.
#[test]
fn r9147_40_no_empty_acknowledgement_is_sent() {
    let mut two = Two::shaking_hands();
    for layer in [&mut two.client, &mut two.server] {
        let early = craft(THREE, 0, FULL, DATA, b"early", 0);
        assert!(feed(layer, two.now, &early).unwrap().is_empty());
        assert!(
            layer
                .handle_timeout(two.now + Duration::from_secs(10))
                .is_ok()
        );
        assert!(sent(layer).is_empty());
    }
}

/// §4.4: when tries go unanswered, the path may not carry datagrams of this size.
#[test]
fn r9147_12_flights_get_smaller_when_nobody_answers() {
    let mut two = Two::shaking_hands();
    flight(
        &mut two.server,
        two.now,
        TWO,
        &[(0, 3000)],
        FlightEnd::AwaitReply,
    );
    let mut largest = vec![sent(&mut two.server).iter().map(Vec::len).max()];
    let mut now = two.now;
    for _ in 0..5 {
        now = two.server.poll_timeout().unwrap_or(now);
        assert!(two.server.handle_timeout(now).is_ok());
        largest.push(sent(&mut two.server).iter().map(Vec::len).max());
    }
    let sizes: Vec<_> = largest.into_iter().flatten().collect();
    assert_eq!(sizes, [1400, 1400, 1200, 1200, 548, 548]);
}

/// §7.1, §7.2: an acknowledgement of nothing says that something is missing. All of the flight is
/// sent again at once, and not for every copy of it.
#[test]
fn an_empty_acknowledgement_brings_the_flight_again_at_once() {
    for end in [
        FlightEnd::AwaitReply,
        FlightEnd::AwaitAck(Unacknowledged::Fails),
    ] {
        let mut two = Two::shaking_hands();
        flight(&mut two.client, two.now, TWO, &[(0, 2000)], end);
        let first = sent(&mut two.client).len();
        let soon = two.now + Duration::from_millis(20);
        let empty = |sequence| craft(TWO, sequence, FULL, 26, &ack::encode(&[]), 0);
        feed(&mut two.client, soon, &empty(0)).unwrap();
        assert_eq!(sent(&mut two.client).len(), first, "{end:?}");
        for sequence in 1..10 {
            feed(&mut two.client, soon, &empty(sequence)).unwrap();
            assert!(sent(&mut two.client).is_empty(), "a storm");
        }
        feed(
            &mut two.client,
            soon + Duration::from_millis(250),
            &empty(10),
        )
        .unwrap();
        assert_eq!(sent(&mut two.client).len(), first, "it is still missing");
    }
}

/// The same without protection, where anybody can have sent it.
#[test]
fn an_empty_acknowledgement_without_protection_is_only_counted() {
    let mut two = Two::shaking_hands();
    let end = FlightEnd::AwaitReply;
    flight(&mut two.server, two.now, Epoch::PLAINTEXT, &[(0, 100)], end);
    sent(&mut two.server);
    let plain = [26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 0, 0];
    assert!(feed(&mut two.server, two.now, &plain).unwrap().is_empty());
    assert!(sent(&mut two.server).is_empty());
    assert_eq!(two.server.stats().discarded(Discard::PlaintextAck), 1);
}

/// W1 (wolfSSL PR#11177), §7.1: what there was no room for is not acknowledged, and what was
/// acknowledged is never dropped: nobody would send it again.
#[test]
fn what_was_dropped_is_never_acknowledged() {
    for lost in 0..12 {
        let policy = DatagramPolicy::default().max_message(4096).unwrap();
        let mut two = Two::with(&policy);
        // Six messages as long as they may be, and more after the window.
        let lengths: Vec<_> = (0..8).map(|seq| (seq, 4096)).collect();
        flight(
            &mut two.server,
            two.now,
            TWO,
            &lengths,
            FlightEnd::AwaitReply,
        );
        let mut taken = Vec::new();
        let mut index = 0;
        for _ in 0..40 {
            for datagram in sent(&mut two.server) {
                if index != lost {
                    taken.extend(messages_of(
                        &feed(&mut two.client, two.now, &datagram).unwrap(),
                    ));
                }
                index += 1;
            }
            if taken.len() == lengths.len() {
                break;
            }
            two.now += Duration::from_millis(500);
            assert!(two.client.handle_timeout(two.now).is_ok());
            assert!(two.server.handle_timeout(two.now).is_ok());
            for datagram in sent(&mut two.client) {
                feed(&mut two.server, two.now, &datagram).unwrap();
            }
        }
        assert_eq!(taken, [0, 1, 2, 3, 4, 5, 6, 7], "datagram {lost} was lost");
    }
}
