//! The record layer of DTLS 1.3 by itself: two layers with the same keys, and records that are made
//! by hand. Each test holds the number of its line in the list of testable statements about RFC
//! 9147.

mod acks;
mod faults;
mod limits;

use super::{Datagram, Jitter};
use crate::config::DatagramPolicy;
use crate::crypto::aead::{AeadAlgorithm, AeadKey};
use crate::crypto::mask::MaskKey;
use crate::error::SendError;
use crate::protocol::{
    Alert, Epoch, FlightEnd, FlightId, HandshakeType, MessageSeq, Path, ProtocolVersion,
    ReadSwitch, RecordNumber, Side, Unacknowledged,
};
use crate::record::{Discard, Fault, Inbound, Layer as _};
use crate::secrets::traffic::{RecordProtection, TrafficKeys};
use crate::wire::ack;
use bytes::BytesMut;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const TWO: Epoch = Epoch::HANDSHAKE_13;
const THREE: Epoch = Epoch::APPLICATION_13;
const TYPE: HandshakeType = HandshakeType::CERTIFICATE;

/// Keys that only depend on the epoch, for both directions.
fn keys(epoch: Epoch) -> ([u8; 16], [u8; 12], [u8; 32]) {
    let byte = epoch.low_bits() + 10 * u8::try_from(epoch.number()).unwrap();
    ([byte; 16], [byte; 12], [byte; 32])
}

fn protection(epoch: Epoch) -> RecordProtection {
    let (key, iv, number_key) = keys(epoch);
    let keys = TrafficKeys::new(AeadAlgorithm::Aes128Gcm, &key, &iv);
    RecordProtection::v13(keys, Some(Zeroizing::new(number_key)))
}

/// A record as RFC 9147 §4 describes it, made without this library's sealer. `first` is the first
/// byte of its header but for the epoch; `padding` zeros follow the type.
fn craft(
    epoch: Epoch,
    sequence: u64,
    first: u8,
    typ: u8,
    contents: &[u8],
    padding: usize,
) -> Vec<u8> {
    let (key, iv, number_key) = keys(epoch);
    let mut inner = contents.to_vec();
    if typ != 0 {
        inner.push(typ);
    }
    inner.extend(vec![0; padding]);
    let mut header = vec![first | epoch.low_bits()];
    let number = sequence.to_be_bytes();
    let number_len = if first & 8 == 0 { 1 } else { 2 };
    header.extend_from_slice(&number[8 - number_len..]);
    if first & 4 != 0 {
        header.extend_from_slice(&u16::try_from(inner.len() + 16).unwrap().to_be_bytes());
    }
    // The nonce has the 64-bit sequence and no epoch; the header is authenticated with its number
    // in the clear.
    let mut nonce = iv;
    for (byte, number) in nonce[4..].iter_mut().zip(number) {
        *byte ^= number;
    }
    let key = AeadKey::new(AeadAlgorithm::Aes128Gcm, &key);
    let tag = key.seal(nonce, &header, &mut inner);
    inner.extend_from_slice(tag.as_ref());
    let mask = MaskKey::new(AeadAlgorithm::Aes128Gcm, &number_key[..16]);
    let mask = mask.mask(inner.first_chunk().unwrap());
    for (byte, mask) in header[1..=number_len].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    [header, inner].concat()
}

/// The header that is sent: long number, length.
const FULL: u8 = 0b0010_1100;
const DATA: u8 = 23;

struct Two {
    client: Datagram,
    server: Datagram,
    now: Instant,
}

impl Two {
    /// After the ServerHello: both ends have the keys of the handshake.
    fn shaking_hands() -> Self {
        Self::with(&DatagramPolicy::default())
    }

    /// The same, with a policy for the client.
    fn with(policy: &DatagramPolicy) -> Self {
        let path = Path::new(([192, 0, 2, 1], 4433).into());
        let layer = |side| {
            let policy = match side {
                Side::Client => policy.clone(),
                Side::Server => DatagramPolicy::default(),
            };
            let policy = policy.timer_jitter(0).unwrap();
            let mut layer = Datagram::new(
                side,
                &Arc::new(policy),
                path,
                MessageSeq::FIRST,
                0,
                Jitter::seeded(1),
            );
            layer.version_decided(ProtocolVersion::DTLS13);
            layer.install_write(TWO, protection(TWO));
            layer.install_read(TWO, protection(TWO), ReadSwitch::Now);
            layer
        };
        Self {
            client: layer(Side::Client),
            server: layer(Side::Server),
            now: crate::test_now(),
        }
    }

    /// After the handshake.
    fn connected() -> Self {
        let mut two = Self::shaking_hands();
        for layer in [&mut two.client, &mut two.server] {
            layer.install_write(THREE, protection(THREE));
            layer.install_read(THREE, protection(THREE), ReadSwitch::Now);
            layer.retire_read(two.now, TWO);
            layer.established(two.now, THREE);
        }
        two
    }
}

fn sent(layer: &mut Datagram) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        let mut out = Vec::new();
        layer.poll_transmit(1, &mut out).map(|_| out)
    })
    .collect()
}

fn flight(
    layer: &mut Datagram,
    now: Instant,
    epoch: Epoch,
    messages: &[(u16, usize)],
    end: FlightEnd,
) {
    for &(seq, length) in messages {
        layer.send_message(epoch, MessageSeq(seq), TYPE, vec![7; length]);
    }
    layer.end_flight(now, FlightId(1), end);
}

fn feed(layer: &mut Datagram, now: Instant, datagram: &[u8]) -> Result<Vec<Inbound>, Fault> {
    let path = layer.path();
    layer.receive(path, BytesMut::from(datagram));
    let mut inbound = Vec::new();
    while let Some(next) = layer.next_inbound(now, &mut ())? {
        inbound.push(next);
    }
    Ok(inbound)
}

fn data_of(inbound: &[Inbound]) -> Vec<&[u8]> {
    inbound
        .iter()
        .filter_map(|it| match it {
            Inbound::ApplicationData(received) => Some(&received.data[..]),
            _ => None,
        })
        .collect()
}

fn messages_of(inbound: &[Inbound]) -> Vec<u16> {
    inbound
        .iter()
        .filter_map(|it| match it {
            Inbound::Handshake(message) => Some(message.seq.0),
            _ => None,
        })
        .collect()
}

fn discarded(layer: &Datagram) -> Vec<(Discard, u64)> {
    layer.stats().discards().collect()
}

/// §4: plaintext records look like those of DTLS 1.2.
#[test]
fn r9147_01_plaintext_records_have_the_version_of_1_2() {
    let path = Path::new(([192, 0, 2, 1], 4433).into());
    let policy = DatagramPolicy::default().timer_jitter(0).unwrap();
    let mut server = Datagram::new(
        Side::Server,
        &Arc::new(policy.clone()),
        path,
        MessageSeq::FIRST,
        0,
        Jitter::seeded(1),
    );
    server.version_decided(ProtocolVersion::DTLS13);
    flight(
        &mut server,
        crate::test_now(),
        Epoch::PLAINTEXT,
        &[(0, 10)],
        FlightEnd::AwaitReply,
    );
    assert_eq!(sent(&mut server)[0][..5], [22, 0xfe, 0xfd, 0, 0]);
}

/// §4: the last record of a datagram may leave out its length, and have eight bits of its number.
#[test]
fn r9147_02_short_headers_are_read() {
    let mut two = Two::connected();
    let with_length = craft(THREE, 0, 0b0010_0100, DATA, b"short number", 0);
    let without = craft(THREE, 1, 0b0010_1000, DATA, b"no length", 0);
    let neither = craft(THREE, 2, 0b0010_0000, DATA, b"neither", 0);
    let inbound = feed(&mut two.client, two.now, &[with_length, without].concat()).unwrap();
    assert_eq!(data_of(&inbound), [&b"short number"[..], b"no length"]);
    let inbound = feed(&mut two.client, two.now, &neither).unwrap();
    assert_eq!(data_of(&inbound), [b"neither"]);
}

/// §4.1: what is neither plaintext nor begins with 001 is rejected, whatever it is.
#[test]
fn r9147_04_every_other_first_byte_is_rejected() {
    for first in 0..=255_u8 {
        let mut two = Two::connected();
        let mut record = craft(THREE, 0, FULL, DATA, b"data", 0);
        if record[0] == first {
            continue;
        }
        record[0] = first;
        record.resize(60, 0);
        let inbound = feed(&mut two.client, two.now, &record).unwrap();
        assert!(inbound.is_empty(), "{first:#x}");
        assert!(!discarded(&two.client).is_empty(), "{first:#x}");
    }
}

/// §4.2.1: a record of the next epoch waits for its keys; a flight that is sent again keeps its
/// epoch.
#[test]
fn r9147_05_early_records_wait_and_repeated_ones_keep_their_epoch() {
    let mut two = Two::shaking_hands();
    let early = craft(THREE, 0, FULL, DATA, b"early", 0);
    assert!(feed(&mut two.client, two.now, &early).unwrap().is_empty());
    two.client
        .install_read(THREE, protection(THREE), ReadSwitch::Now);
    let inbound = feed(&mut two.client, two.now, &[]).unwrap();
    assert_eq!(data_of(&inbound), [b"early"]);
    flight(
        &mut two.server,
        two.now,
        TWO,
        &[(0, 10)],
        FlightEnd::AwaitReply,
    );
    two.server.install_write(THREE, protection(THREE));
    let first = sent(&mut two.server);
    let later = two.now + Duration::from_secs(1);
    assert!(two.server.handle_timeout(later).is_ok());
    let again = sent(&mut two.server);
    assert_eq!((first[0][0] & 3, again[0][0] & 3), (2, 2));
    assert_ne!(first, again, "with a number of its own");
}

/// §4.2.3: shorter than sixteen bytes of ciphertext is rejected; the shortest contents are long
/// enough.
#[test]
fn r9147_08_short_ciphertexts_are_rejected() {
    for length in 0..16_u8 {
        let mut two = Two::connected();
        let record = [&[FULL | 3, 0, 0, 0, length][..], &vec![1; length.into()]].concat();
        assert!(feed(&mut two.client, two.now, &record).unwrap().is_empty());
        assert_eq!(discarded(&two.client), [(Discard::Unauthenticated, 1)]);
    }
    let mut two = Two::connected();
    two.server.send_data(b"").unwrap();
    assert!(sent(&mut two.server)[0].len() >= 5 + 16);
}

/// §4.2.3, §4: a record that was made by hand from the text opens, and one of ours is the same to
/// the byte.
#[test]
fn r9147_09_records_are_what_the_text_says() {
    let mut two = Two::connected();
    // The acknowledgement of the handshake had no records to name.
    assert!(sent(&mut two.server).is_empty());
    for sequence in 0..3 {
        two.server.send_data(b"some data").unwrap();
        let expected = craft(THREE, sequence, FULL, DATA, b"some data", 0);
        assert_eq!(sent(&mut two.server)[0], expected);
        let inbound = feed(&mut two.client, two.now, &expected).unwrap();
        assert_eq!(data_of(&inbound), [b"some data"]);
    }
}

/// §4.3: several records share a datagram.
#[test]
fn r9147_10_records_share_a_datagram() {
    let mut two = Two::connected();
    let records: Vec<_> = (0..5)
        .map(|it| craft(THREE, it, FULL, DATA, &[it as u8], 3))
        .collect();
    let inbound = feed(&mut two.client, two.now, &records.concat()).unwrap();
    assert_eq!(data_of(&inbound), [[0], [1], [2], [3], [4]]);
}

/// §4.4: data that does not fit is an error of the call.
#[test]
fn r9147_11_data_that_does_not_fit_is_an_error() {
    let mut two = Two::connected();
    let max = two.client.max_payload();
    assert_eq!(max, 1400 - 5 - 17);
    assert_eq!(two.client.send_data(&vec![0; max]), Ok(max));
    assert_eq!(sent(&mut two.client)[0].len(), 1400);
    let longer = two.client.send_data(&vec![0; max + 1]);
    assert_eq!(longer, Err(SendError::TooLarge { max }));
}

/// §4.5.1: a number is taken once, and a forgery does not move the window.
#[test]
fn r9147_13_a_record_is_delivered_once() {
    let mut two = Two::connected();
    let record = craft(THREE, 9, FULL, DATA, b"once", 0);
    let mut forged = craft(THREE, 5000, FULL, DATA, b"forged", 0);
    *forged.last_mut().unwrap() ^= 1;
    assert!(feed(&mut two.client, two.now, &forged).unwrap().is_empty());
    for expected in [1, 0, 0] {
        let inbound = feed(&mut two.client, two.now, &record).unwrap();
        assert_eq!(data_of(&inbound).len(), expected);
    }
    let expected = [(Discard::Replay, 2), (Discard::Unauthenticated, 1)];
    assert_eq!(discarded(&two.client), expected);
}

/// §4.5.2: what does not authenticate changes nothing but a counter.
#[test]
fn r9147_14_noise_is_discarded_in_silence() {
    let mut two = Two::connected();
    let before = two.client.poll_timeout();
    let genuine = craft(THREE, 0, FULL, DATA, b"genuine", 0);
    for place in 0..genuine.len() {
        let mut altered = genuine.clone();
        altered[place] ^= 0x40;
        assert!(feed(&mut two.client, two.now, &altered).unwrap().is_empty());
    }
    assert!(sent(&mut two.client).is_empty());
    assert_eq!(two.client.poll_timeout(), before);
    let inbound = feed(&mut two.client, two.now, &genuine).unwrap();
    assert_eq!(data_of(&inbound), [b"genuine"]);
}

/// §4.5.3: forgeries are counted per key, and end the association at 2^36.
#[test]
fn r9147_16_too_many_forgeries_end_the_association() {
    let mut two = Two::connected();
    let mut forged = craft(THREE, 0, FULL, DATA, b"forged", 0);
    *forged.last_mut().unwrap() ^= 1;
    two.client.suffer(Some(THREE), (1 << 36) - 1);
    assert!(feed(&mut two.client, two.now, &forged).is_ok());
    let outcome = feed(&mut two.client, two.now, &forged);
    assert_eq!(outcome.err(), Some(Fault::TooManyForgeries));
}

/// §4.2.2: a header tells 65,536 numbers apart, so behind an outage of more than half as many each
/// nearest number is wrong. The peer is heard again after some records, whatever the gap, and
/// nothing that was heard before is taken again.
#[test]
fn a_peer_is_heard_again_behind_an_outage_of_many_records() {
    for gap in [1, 32_000, 33_000, 65_536, 100_000, 500_000] {
        let mut two = Two::connected();
        let old = craft(THREE, 7, FULL, DATA, b"old", 0);
        assert_eq!(
            data_of(&feed(&mut two.client, two.now, &old).unwrap()),
            [b"old"]
        );
        let mut heard = 0;
        for sequence in gap..gap + 200 {
            let record = craft(THREE, 7 + sequence, FULL, DATA, b"new", 0);
            let inbound = feed(&mut two.client, two.now, &record).unwrap();
            heard += data_of(&inbound).len();
        }
        assert!(heard >= 200 - 64 - 4 * 8, "{heard} behind a gap of {gap}");
        assert!(gap > 32_000 || heard == 200, "{heard} behind {gap}");
        let again = feed(&mut two.client, two.now, &old).unwrap();
        assert!(data_of(&again).is_empty());
    }
}

/// §4.2.2: whatever the gap, with the short form of the number as well, which tells 256 apart.
#[test]
fn no_outage_is_too_long() {
    const SHORT: u8 = FULL & !8;
    for (first, gap) in [(FULL, 5_000_000), (SHORT, 2500), (SHORT, 100_000)] {
        let mut two = Two::connected();
        let mut came = |sequence| {
            let record = craft(THREE, sequence, first, DATA, b"data", 0);
            data_of(&feed(&mut two.client, two.now, &record).unwrap()).len()
        };
        assert_eq!(came(7), 1);
        let heard = (gap..gap + 5000).find(|&sequence| came(sequence) == 1);
        assert!(heard.is_some(), "{first:b}: not behind a gap of {gap}");
        assert_eq!(came(heard.unwrap() + 1), 1);
    }
}

/// §4.2.2: a look ahead costs no record that is where it belongs, however much noise there is, and
/// each number that is tried against the key is counted (§4.5.3).
#[test]
fn noise_before_each_record_costs_none_of_them() {
    let mut two = Two::connected();
    let mut forged = craft(THREE, 0, FULL, DATA, b"forged", 0);
    *forged.last_mut().unwrap() ^= 1;
    for sequence in 0..20 {
        for _ in 0..=60 + sequence {
            let inbound = feed(&mut two.client, two.now, &forged).unwrap();
            assert!(data_of(&inbound).is_empty());
        }
        let record = craft(THREE, 1000 + sequence, FULL, DATA, b"genuine", 0);
        let inbound = feed(&mut two.client, two.now, &record).unwrap();
        assert_eq!(data_of(&inbound), [b"genuine"]);
    }
    let mut forged = craft(THREE, 2000, FULL, DATA, b"forged", 0);
    *forged.last_mut().unwrap() ^= 1;
    two.client.suffer(Some(THREE), (1 << 36) - 70);
    let mut tried = 0;
    while feed(&mut two.client, two.now, &forged).is_ok() {
        tried += 1;
    }
    // 64 with one number each, then one in four with two.
    assert!((66..69).contains(&tried), "{tried}");
}

/// §4.5.2, RFC 8446 §5.4: what is wrong inside an authentic record is the peer's fault: one without
/// a type.
#[test]
fn r9147_15_an_authentic_record_without_a_type_is_a_fault() {
    let mut two = Two::connected();
    let record = craft(THREE, 0, FULL, 0, b"", 20);
    let outcome = feed(&mut two.client, two.now, &record);
    assert_eq!(outcome.err(), Some(Fault::NoContentType));
}

/// §5.2: messages are numbered on after the handshake; a higher one waits, a lower one is dropped.
#[test]
fn r9147_22_messages_are_numbered_on_and_on() {
    let mut two = Two::shaking_hands();
    flight(
        &mut two.server,
        two.now,
        TWO,
        &[(0, 10), (1, 20)],
        FlightEnd::AwaitReply,
    );
    let first = sent(&mut two.server);
    let inbound = feed(&mut two.client, two.now, &first[0]).unwrap();
    assert_eq!(messages_of(&inbound), [0, 1]);
    for layer in [&mut two.client, &mut two.server] {
        layer.install_write(THREE, protection(THREE));
        layer.install_read(THREE, protection(THREE), ReadSwitch::Now);
        layer.established(two.now, THREE);
    }
    let end = FlightEnd::AwaitAck(Unacknowledged::Forgets);
    flight(&mut two.server, two.now, THREE, &[(2, 10)], end);
    let second = sent(&mut two.server);
    flight(&mut two.server, two.now, THREE, &[(3, 10)], end);
    let third = sent(&mut two.server);
    let inbound = feed(&mut two.client, two.now, &third[0]).unwrap();
    assert!(messages_of(&inbound).is_empty());
    let inbound = feed(&mut two.client, two.now, &second[0]).unwrap();
    assert_eq!(messages_of(&inbound), [2, 3]);
    let again = feed(&mut two.client, two.now, &first[0]).unwrap();
    assert!(again.is_empty());
}

/// §5.5: overlapping fragments are put together; bytes that change on the way are not.
#[test]
fn r9147_26_fragments_may_overlap_and_must_agree() {
    let mut two = Two::shaking_hands();
    two.server.set_mtu(80);
    flight(
        &mut two.server,
        two.now,
        TWO,
        &[(0, 100)],
        FlightEnd::AwaitReply,
    );
    let narrow = sent(&mut two.server);
    assert!(narrow.len() > 1 && narrow.iter().all(|it| it.len() <= 80));
    two.server.set_mtu(120);
    let later = two.now + Duration::from_secs(1);
    assert!(two.server.handle_timeout(later).is_ok());
    let wide = sent(&mut two.server);
    // The middle of one cut and the beginning of the other.
    let mut inbound = feed(&mut two.client, two.now, &narrow[1]).unwrap();
    inbound.extend(feed(&mut two.client, two.now, &wide[0]).unwrap());
    inbound.extend(feed(&mut two.client, two.now, &narrow[2]).unwrap());
    assert_eq!(messages_of(&inbound), [0]);
}
