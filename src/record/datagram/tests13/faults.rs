//! What no honest peer says, with and without keys, and acknowledgements in the clear.

use super::*;
use crate::config::Conformance;

/// A fragment of a Certificate: `seq`, whole length, offset, and as many bytes.
fn fragment(seq: u16, length: u8, offset: u8, bytes: u8) -> Vec<u8> {
    let [high, low] = seq.to_be_bytes();
    let mut out = vec![TYPE.0, 0, 0, length, high, low, 0, 0, offset, 0, 0, bytes];
    out.extend(vec![7; bytes.into()]);
    out
}

fn plain(typ: u8, sequence: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).unwrap();
    let header = [typ, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, 0, length];
    [&header[..], contents].concat()
}

fn client_with(wanted: Conformance) -> Datagram {
    let path = Path::new(([192, 0, 2, 1], 4433).into());
    let policy = Arc::new(DatagramPolicy {
        conformance: wanted.into(),
        ..DatagramPolicy::default()
    });
    Datagram::new(
        Side::Client,
        &policy,
        path,
        MessageSeq::FIRST,
        0,
        Jitter::seeded(1),
    )
}

/// §5.8.1: after the last flight of a handshake nothing comes in its epoch but the same flight
/// again.
#[test]
fn a_message_after_the_handshake_in_its_epoch_is_a_fault() {
    for (seq, fault) in [(0, false), (1, true), (2, true)] {
        let mut two = Two::shaking_hands();
        let end = FlightEnd::AwaitAck(Unacknowledged::Fails);
        flight(&mut two.client, two.now, TWO, &[(0, 10)], end);
        for datagram in sent(&mut two.client) {
            feed(&mut two.server, two.now, &datagram).unwrap();
        }
        two.server.install_write(THREE, protection(THREE));
        two.server.established(two.now, THREE);
        let record = craft(TWO, 9, FULL, 22, &fragment(seq, 10, 0, 10), 0);
        let outcome = feed(&mut two.server, two.now, &record);
        let told = matches!(outcome, Err(Fault::UnexpectedMessage(TYPE)));
        assert_eq!(told, fault, "{seq}");
    }
}

/// §5: something new in the clear, when there are keys, is anybody's; the policy says what that
/// means until the handshake is done.
#[test]
fn a_new_message_in_the_clear_is_noise_unless_the_policy_says_otherwise() {
    for fails in [false, true] {
        let mut client = client_with(Conformance {
            fail_by_plaintext_faults: fails,
            ..Conformance::default()
        });
        client.version_decided(ProtocolVersion::DTLS13);
        client.install_read(TWO, protection(TWO), ReadSwitch::Now);
        let now = crate::test_now();
        for (typ, contents) in [(22, fragment(3, 9, 0, 9)), (DATA, b"data".to_vec())] {
            let outcome = feed(&mut client, now, &plain(typ, 3, &contents));
            assert_eq!(outcome.is_err(), fails, "{typ}");
        }
        client.install_read(THREE, protection(THREE), ReadSwitch::Now);
        client.established(now, THREE);
        for (typ, contents) in [(22, fragment(3, 9, 0, 9)), (DATA, b"data".to_vec())] {
            assert!(feed(&mut client, now, &plain(typ, 4, &contents)).is_ok());
        }
    }
}

/// §7: a record is acknowledged when nothing of it was dropped, and an empty fragment has nothing
/// to drop.
#[test]
fn a_record_with_an_empty_fragment_is_acknowledged() {
    let mut two = Two::shaking_hands();
    let empty = craft(TWO, 0, FULL, 22, &fragment(0, 10, 0, 0), 0);
    let far = craft(TWO, 1, FULL, 22, &fragment(60, 10, 0, 0), 0);
    let part = craft(TWO, 2, FULL, 22, &fragment(0, 10, 0, 5), 0);
    for record in [empty, far, part] {
        feed(&mut two.server, two.now, &record).unwrap();
    }
    assert!(
        two.server
            .handle_timeout(two.now + Duration::from_millis(250))
            .is_ok()
    );
    let numbers = [0, 2].map(|sequence| RecordNumber {
        epoch: TWO,
        sequence,
    });
    let expected = craft(TWO, 0, FULL, 26, &ack::encode(&numbers), 0);
    assert_eq!(sent(&mut two.server), [expected]);
}

/// §7: the first flights have no protection, and so have their acknowledgements; they are exchanged
/// where the policy says so.
#[test]
fn acknowledgements_in_the_clear_are_exchanged_where_the_policy_says_so() {
    for exchange in [false, true] {
        let now = crate::test_now();
        let mut client = client_with(Conformance {
            acknowledge_plaintext: exchange,
            ..Conformance::default()
        });
        client.version_decided(ProtocolVersion::DTLS13);
        flight(
            &mut client,
            now,
            Epoch::PLAINTEXT,
            &[(0, 10)],
            FlightEnd::AwaitReply,
        );
        sent(&mut client);
        // A part of the answer is told of.
        feed(&mut client, now, &plain(22, 0, &fragment(0, 10, 0, 5))).unwrap();
        assert!(
            client
                .handle_timeout(now + Duration::from_millis(250))
                .is_ok()
        );
        let number = RecordNumber {
            epoch: Epoch::PLAINTEXT,
            sequence: 0,
        };
        let told = sent(&mut client);
        if exchange {
            assert_eq!(told, [plain(26, 1, &ack::encode(&[number]))]);
        } else {
            assert!(told.is_empty());
        }
        // And what the other end says of this end's flight is believed.
        feed(&mut client, now, &plain(26, 1, &ack::encode(&[number]))).unwrap();
        assert_eq!(client.retransmission_deadline().is_none(), exchange);
    }
}

/// §7: no record is acknowledged with less protection than it had.
#[test]
fn an_acknowledgement_with_less_protection_is_not_believed() {
    for fails in [false, true] {
        let mut client = client_with(Conformance {
            acknowledge_plaintext: true,
            fail_by_plaintext_faults: fails,
            ..Conformance::default()
        });
        let now = crate::test_now();
        client.version_decided(ProtocolVersion::DTLS13);
        client.install_write(TWO, protection(TWO));
        flight(&mut client, now, TWO, &[(0, 10)], FlightEnd::AwaitReply);
        sent(&mut client);
        let number = RecordNumber {
            epoch: TWO,
            sequence: 0,
        };
        let outcome = feed(&mut client, now, &plain(26, 0, &ack::encode(&[number])));
        let told = matches!(outcome, Err(Fault::AckOfUnsentRecord));
        assert_eq!(told, fails);
        assert!(client.retransmission_deadline().is_some());
    }
}

/// §7.1: a quarter of the retransmission timer as it is now, and what is owed leaves before what is
/// sent again.
#[test]
fn an_acknowledgement_waits_a_quarter_of_the_running_timer_and_goes_first() {
    let mut two = Two::shaking_hands();
    let known = craft(TWO, 0, FULL, 22, &fragment(0, 10, 0, 10), 0);
    feed(&mut two.client, two.now, &known).unwrap();
    flight(
        &mut two.client,
        two.now,
        TWO,
        &[(0, 10)],
        FlightEnd::AwaitReply,
    );
    sent(&mut two.client);
    let second = Duration::from_secs(1);
    assert!(two.client.handle_timeout(two.now + second).is_ok());
    assert_eq!(sent(&mut two.client).len(), 1);
    // The timer stands at two seconds now, and the peer repeats what it has said.
    let now = two.now + second;
    let again = craft(TWO, 1, FULL, 22, &fragment(0, 10, 0, 10), 0);
    feed(&mut two.client, now, &again).unwrap();
    assert_eq!(two.client.poll_timeout(), Some(now + second / 2));
    // Both are due by the time that anybody looks.
    assert!(two.client.handle_timeout(now + 2 * second).is_ok());
    let sent = sent(&mut two.client);
    // Header, type and tag around one number, and around one message, in one datagram.
    let (ack, message) = (5 + 2 + 16 + 1 + 16, 5 + 12 + 10 + 1 + 16);
    let lengths: Vec<_> = sent.iter().map(Vec::len).collect();
    assert_eq!(lengths, [ack + message]);
    // The length in the header of the first record.
    assert_eq!(usize::from(sent[0][4]), ack - 5);
}
