//! The record layer with connection IDs: two layers with the same keys, and records that are made
//! by hand. The tests are named after the lines of the list of testable statements about RFC 9146
//! (`n51`) and RFC 9147 §9 (`n52`), and after known faults of other implementations (`j`).

use super::{Datagram, Jitter};
use crate::config::DatagramPolicy;
use crate::crypto::aead::{AeadAlgorithm, AeadKey};
use crate::crypto::mask::MaskKey;
use crate::protocol::{
    AgreedLimits, ConnectionId, ConnectionIds, Epoch, MessageSeq, Path, ProtocolVersion,
    ReadSwitch, Side,
};
use crate::record::{Discard, Fault, Inbound, Layer as _};
use crate::secrets::traffic::{RecordProtection, TrafficKeys};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

const ONE: Epoch = Epoch::new(1);
const DATA: u8 = 23;

/// Keys for both directions that depend on the epoch alone.
fn protection(version: ProtocolVersion, epoch: Epoch) -> RecordProtection {
    let byte = u8::try_from(epoch.number()).unwrap();
    match version {
        ProtocolVersion::DTLS13 => {
            let keys = TrafficKeys::new(AeadAlgorithm::Aes128Gcm, &[byte; 16], &[byte; 12]);
            RecordProtection::v13(keys, Some(Zeroizing::new([byte; 32])))
        }
        _ => {
            let keys = TrafficKeys::new(AeadAlgorithm::Aes128Gcm, &[byte; 16], &[byte; 4]);
            RecordProtection::v12(keys)
        }
    }
}

fn id(length: usize) -> ConnectionId {
    let bytes: Vec<u8> = (0..length).map(|it| it as u8 ^ 0xc3).collect();
    ConnectionId::new(&bytes)
}

struct Two {
    client: Datagram,
    server: Datagram,
    now: Instant,
    version: ProtocolVersion,
}

impl Two {
    /// After a handshake in which the server wanted `server`, and the client `client`.
    fn connected(version: ProtocolVersion, client: &ConnectionId, server: &ConnectionId) -> Self {
        let path = Path::new(([192, 0, 2, 1], 4433).into());
        let layer = |side, ours: &ConnectionId, theirs: &ConnectionId| {
            let policy = DatagramPolicy::default().timer_jitter(0).unwrap();
            let seed = Jitter::seeded(1);
            let mut layer =
                Datagram::new(side, &Arc::new(policy), path, MessageSeq::FIRST, 0, seed);
            layer.admit_connection_ids(std::slice::from_ref(ours));
            layer.version_decided(version);
            layer.connection_ids_agreed(ConnectionIds {
                ours: ours.clone(),
                theirs: theirs.clone(),
                checks: true,
            });
            layer
        };
        let mut two = Self {
            client: layer(Side::Client, client, server),
            server: layer(Side::Server, server, client),
            now: crate::test_now(),
            version,
        };
        match version {
            ProtocolVersion::DTLS13 => {
                two.install(Epoch::HANDSHAKE_13);
                two.install(Epoch::APPLICATION_13);
            }
            _ => two.install(ONE),
        }
        two
    }

    /// Both ends go on in `epoch`.
    fn install(&mut self, epoch: Epoch) {
        let now = self.now;
        let protection = protection(self.version, epoch);
        for layer in [&mut self.client, &mut self.server] {
            layer.install_write(epoch, protection.clone());
            layer.install_read(epoch, protection.clone(), ReadSwitch::Now);
            if let Some(before) = epoch.number().checked_sub(1) {
                layer.retire_read(now, Epoch::new(before));
            }
            layer.established(now, epoch);
        }
    }

    fn epoch(&self) -> Epoch {
        match self.version {
            ProtocolVersion::DTLS13 => Epoch::APPLICATION_13,
            _ => ONE,
        }
    }

    /// What the client sends.
    fn sent(&mut self, data: &[u8]) -> Vec<u8> {
        self.client.send_data(data).unwrap();
        let mut out = Vec::new();
        self.client.poll_transmit(1, &mut out).unwrap();
        out
    }

    /// What the server makes of a datagram: the data in it.
    fn take(&mut self, datagram: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let path = self.server.path();
        self.server.receive(path, BytesMut::from(datagram));
        let mut data = Vec::new();
        while let Some(inbound) = self.server.next_inbound(self.now, &mut ())? {
            if let Inbound::ApplicationData(received) = inbound {
                data.push(received.data.to_vec());
            }
        }
        Ok(data)
    }

    fn discarded(&self, cause: Discard) -> u64 {
        self.server.stats().discarded(cause)
    }
}

/// A record as RFC 9146 §4 and §5.3 describe it, made without this library's sealer.
fn craft_12(epoch: Epoch, sequence: u64, id: &[u8], typ: u8, data: &[u8], zeros: usize) -> Vec<u8> {
    let byte = u8::try_from(epoch.number()).unwrap();
    let mut inner = data.to_vec();
    if typ != 0 {
        inner.push(typ);
    }
    inner.extend(vec![0; zeros]);
    let number = (epoch.number() << 48 | sequence).to_be_bytes();
    let mut aad = vec![0xff; 8];
    aad.extend([25, u8::try_from(id.len()).unwrap(), 25, 0xfe, 0xfd]);
    aad.extend(number);
    aad.extend(id);
    aad.extend(u16::try_from(inner.len()).unwrap().to_be_bytes());
    let nonce = [&[byte; 4][..], &number].concat().try_into().unwrap();
    let key = AeadKey::new(AeadAlgorithm::Aes128Gcm, &[byte; 16]);
    let tag = key.seal(nonce, &aad, &mut inner);
    inner.extend_from_slice(tag.as_ref());
    let length = u16::try_from(inner.len() + 8).unwrap().to_be_bytes();
    [&[25, 0xfe, 0xfd][..], &number, id, &length, &number, &inner].concat()
}

/// A record as RFC 9147 §4 describes it, made without this library's sealer. `bits` are those of
/// the number's length and of the length field.
fn craft_13(epoch: Epoch, sequence: u64, id: &[u8], bits: u8, data: &[u8]) -> Vec<u8> {
    let byte = u8::try_from(epoch.number()).unwrap();
    let mut inner = [data, &[DATA]].concat();
    let with_id = if id.is_empty() { 0 } else { 0b0001_0000 };
    let mut header = vec![0b0010_0000 | with_id | bits | epoch.low_bits()];
    header.extend(id);
    let number = sequence.to_be_bytes();
    let number_len = if bits & 8 == 0 { 1 } else { 2 };
    let number_at = header.len();
    header.extend(&number[8 - number_len..]);
    if bits & 4 != 0 {
        header.extend(u16::try_from(inner.len() + 16).unwrap().to_be_bytes());
    }
    let mut nonce = [byte; 12];
    for (byte, number) in nonce[4..].iter_mut().zip(number) {
        *byte ^= number;
    }
    let key = AeadKey::new(AeadAlgorithm::Aes128Gcm, &[byte; 16]);
    let tag = key.seal(nonce, &header, &mut inner);
    inner.extend_from_slice(tag.as_ref());
    let mask = MaskKey::new(AeadAlgorithm::Aes128Gcm, &[byte; 16]);
    let mask = mask.mask(inner.first_chunk().unwrap());
    for (byte, mask) in header[number_at..number_at + number_len]
        .iter_mut()
        .zip(mask)
    {
        *byte ^= mask;
    }
    [header, inner].concat()
}

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::DTLS12, ProtocolVersion::DTLS13];

/// Both directions are independent, and each length there is comes through, on the first record
/// under keys already.
#[test]
fn n51_03_n52_01_each_direction_has_its_own_connection_id() {
    for version in VERSIONS {
        for client in [0, 1, 8, 20, 255] {
            for server in [0, 1, 8, 20, 255] {
                let mut two = Two::connected(version, &id(client), &id(server));
                let datagram = two.sent(b"to the server");
                let first = datagram[0];
                let carries = match version {
                    ProtocolVersion::DTLS12 => first == 25,
                    _ => first & 0b1111_0000 == 0b0011_0000,
                };
                assert_eq!(carries, server > 0, "{version} {client} {server}");
                assert_eq!(two.take(&datagram).unwrap(), [b"to the server"]);
                two.server.send_data(b"to the client").unwrap();
                let mut out = Vec::new();
                two.server.poll_transmit(1, &mut out).unwrap();
                let (path, now) = (two.client.path(), two.now);
                two.client.receive(path, BytesMut::from(&out[..]));
                let inbound = two.client.next_inbound(now, &mut ()).unwrap();
                assert!(matches!(inbound, Some(Inbound::ApplicationData(_))));
            }
        }
    }
}

/// RFC 9146 §5.3: what this library seals and opens is what the RFC says, byte by byte.
#[test]
fn n51_12_the_additional_data_is_that_of_rfc_9146() {
    for length in [1, 8, 20, 21, 255] {
        let mut two = Two::connected(ProtocolVersion::DTLS12, &id(0), &id(length));
        let expected = craft_12(ONE, 0, id(length).as_bytes(), DATA, b"data", 0);
        assert_eq!(two.sent(b"data"), expected);
        let padded = craft_12(ONE, 1, id(length).as_bytes(), DATA, b"padded", 100);
        assert_eq!(two.take(&padded).unwrap(), [b"padded"]);
    }
}

/// RFC 9147 §4, §4.2.3: the mask and the additional data are over the header as sent.
#[test]
fn n52_04_headers_of_every_form_are_understood_with_connection_ids_of_every_length() {
    for length in [0, 1, 20, 255] {
        let mut two = Two::connected(ProtocolVersion::DTLS13, &id(0), &id(length));
        let expected = craft_13(two.epoch(), 0, id(length).as_bytes(), 0b1100, b"data");
        assert_eq!(two.sent(b"data"), expected);
        for (sequence, bits) in (1..).zip([0, 0b0100, 0b1000, 0b1100]) {
            let record = craft_13(two.epoch(), sequence, id(length).as_bytes(), bits, b"data");
            assert_eq!(two.take(&record).unwrap(), [b"data"], "{length} {bits:b}");
        }
    }
}

/// RFC 9146 §3: a protected record without the connection ID is not taken, whatever type it claims;
/// nor is one in which that was cut out.
#[test]
fn n51_07_n51_08_j03_a_record_without_the_expected_connection_id_is_dropped() {
    for version in VERSIONS {
        let mut two = Two::connected(version, &id(0), &id(8));
        let live = two.sent(b"live");
        let mut without = 0;
        let cut = |at: usize| [&live[..at], &live[at + 8..]].concat();
        match version {
            ProtocolVersion::DTLS12 => {
                for typ in 20..=24 {
                    let mut record = cut(11);
                    record[0] = typ;
                    assert_eq!(two.take(&record).unwrap(), [[0; 0]; 0]);
                    // Heartbeats do not exist here.
                    without += u64::from(typ != 24);
                }
            }
            _ => {
                let mut record = cut(1);
                record[0] &= !0b0001_0000;
                assert_eq!(two.take(&record).unwrap(), [[0; 0]; 0]);
                without += 1;
            }
        }
        assert_eq!(two.discarded(Discard::MissingConnectionId), without);
        assert_eq!(two.discarded(Discard::Unauthenticated), 0);
        assert_eq!(two.take(&live).unwrap(), [b"live"]);
    }
}

/// A connection ID of another association, an altered one, and one in an association without any:
/// dropped, with the rest of the datagram, and counted.
#[test]
fn n51_18_n52_01_j14_a_datagram_ends_where_another_connection_id_begins() {
    for version in VERSIONS {
        let mut two = Two::connected(version, &id(0), &id(8));
        let (first, mut second, third) = (two.sent(b"1"), two.sent(b"2"), two.sent(b"3"));
        let at = if version == ProtocolVersion::DTLS12 {
            11
        } else {
            1
        };
        second[at] ^= 1;
        let datagram = [first, second, third.clone()].concat();
        assert_eq!(two.take(&datagram).unwrap(), [b"1"]);
        assert_eq!(two.discarded(Discard::UnknownConnectionId), 1);
        assert_eq!(two.take(&third).unwrap(), [b"3"]);

        let mut none = Two::connected(version, &id(0), &id(0));
        assert_eq!(none.take(&third).unwrap(), [[0; 0]; 0]);
        assert_eq!(none.discarded(Discard::UnknownConnectionId), 1);
    }
}

/// RFC 9146 §4: nothing but zeros says nothing. Only the peer can have sealed it.
#[test]
fn n51_10_a_record_needs_a_type_and_has_at_most_2_14_bytes_inside() {
    let new = || Two::connected(ProtocolVersion::DTLS12, &id(0), &id(8));
    let ours = id(8);
    let record = |typ, data: &[u8], zeros| craft_12(ONE, 0, ours.as_bytes(), typ, data, zeros);
    assert_eq!(new().take(&record(0, b"", 0)), Err(Fault::NoContentType));
    assert_eq!(new().take(&record(0, b"", 9)), Err(Fault::NoContentType));
    // J10: the largest there is, of data and of padding.
    let most = 1 << 14;
    let largest = vec![7; most - 1];
    assert_eq!(new().take(&record(DATA, &largest, 0)).unwrap(), [largest]);
    let padded = new().take(&record(DATA, b"x", most - 2));
    assert_eq!(padded.unwrap(), [b"x"]);
    let beyond = new().take(&record(DATA, b"x", most - 1));
    assert_eq!(beyond, Err(Fault::RecordOverflow));
}

/// RFC 9146 §3: what is not protected has no connection ID, and each record of a datagram is read
/// by its own form.
#[test]
fn n51_06_n51_20_plaintext_carries_none_and_shares_a_datagram() {
    let mut two = Two::connected(ProtocolVersion::DTLS12, &id(0), &id(8));
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0];
    let live = two.sent(b"live");
    let datagram = [&alert[..], &live].concat();
    assert_eq!(two.take(&datagram).unwrap(), [b"live"]);
    let ours = id(8);
    let plain = [
        &[25, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9][..],
        ours.as_bytes(),
        &[0, 2, 1, 0],
    ];
    assert_eq!(two.take(&plain.concat()).unwrap(), [[0; 0]; 0]);
    assert_eq!(two.discarded(Discard::UnknownConnectionId), 1);
}

/// RFC 9146 §3: each handshake agrees anew, the new epoch carries what it has agreed on, and late
/// records of the old one keep their form.
#[test]
fn n51_05_each_epoch_has_the_connection_id_of_its_handshake() {
    for after in [0, 8, 20] {
        let mut two = Two::connected(ProtocolVersion::DTLS12, &id(0), &id(4));
        let late = two.sent(b"late");
        let next = ConnectionId::new(&vec![0x77; after]);
        let agreed = |ours: &ConnectionId, theirs: &ConnectionId| ConnectionIds {
            ours: ours.clone(),
            theirs: theirs.clone(),
            checks: false,
        };
        two.server.admit_connection_ids(std::slice::from_ref(&next));
        two.server.connection_ids_agreed(agreed(&next, &id(0)));
        two.client.connection_ids_agreed(agreed(&id(0), &next));
        two.install(Epoch::new(2));
        let fresh = two.sent(b"fresh");
        assert_eq!(fresh[0] == 25, after > 0);
        assert_eq!(two.take(&fresh).unwrap(), [b"fresh"]);
        assert_eq!(two.take(&late).unwrap(), [b"late"]);
        assert!(!two.server.checks_paths());
        // The connection ID of one epoch is none of another.
        let mixed = craft_12(Epoch::new(2), 9, id(4).as_bytes(), DATA, b"mixed", 0);
        assert_eq!(two.take(&mixed).unwrap(), [[0; 0]; 0]);
        assert_eq!(two.discarded(Discard::UnknownConnectionId), 1);
        let ours = craft_12(ONE, 77, &vec![0x77; after], DATA, b"mixed", 0);
        if after > 0 {
            assert_eq!(two.take(&ours).unwrap(), [[0; 0]; 0]);
        }
        assert_eq!(two.discarded(Discard::Unauthenticated), 0);
        two.server.records.end_retention();
        assert!(!two.server.knows_id(id(4).as_bytes()));
        assert_eq!(two.server.knows_id(&[0x77; 20]), after > 0);
    }
}

/// RFC 9146 §3: a handshake may agree on the connection ID that is in use. It then outlives the
/// epoch that had it first: late records of that epoch are taken as long as its keys are there, and
/// the association is found by it before, meanwhile and after.
#[test]
fn n51_05_a_connection_id_that_goes_on_outlives_its_epoch() {
    let kept = id(8);
    let mut two = Two::connected(ProtocolVersion::DTLS12, &id(0), &kept);
    for number in 2..20 {
        let epoch = Epoch::new(number);
        let (late, too_late) = (two.sent(b"late"), two.sent(b"too late"));
        two.server.admit_connection_ids(std::slice::from_ref(&kept));
        two.server.begin_handshake(MessageSeq::FIRST);
        if number % 2 == 0 {
            let early = craft_12(epoch, 5, kept.as_bytes(), DATA, b"early", 0);
            assert_eq!(two.take(&early).unwrap(), [[0; 0]; 0]);
        }
        if number % 2 == 1 {
            // One that comes to nothing takes nothing with it.
            two.server.abandon_handshake();
            assert!(two.server.knows_id(kept.as_bytes()));
            two.server.admit_connection_ids(std::slice::from_ref(&kept));
        }
        two.server.connection_ids_agreed(ConnectionIds {
            ours: kept.clone(),
            ..ConnectionIds::default()
        });
        two.client.connection_ids_agreed(ConnectionIds {
            theirs: kept.clone(),
            ..ConnectionIds::default()
        });
        two.install(epoch);
        let fresh = two.sent(b"fresh");
        assert_eq!(&fresh[11..19], kept.as_bytes());
        let (early, fresh) = (&b"early"[..], two.take(&fresh).unwrap());
        let expected = [early, b"fresh"];
        assert_eq!(fresh, &expected[usize::from(number % 2 == 1)..]);
        assert_eq!(two.take(&late).unwrap(), [b"late"]);
        two.server.records.end_retention();
        assert!(two.server.knows_id(kept.as_bytes()) && two.server.is_identified());
        assert_eq!(two.take(&too_late).unwrap(), [[0; 0]; 0]);
        let live = two.sent(b"live");
        assert_eq!(two.take(&live).unwrap(), [b"live"]);
    }
    // Only what came when its keys were gone.
    assert_eq!(
        two.server.stats().discards().map(|it| it.1).sum::<u64>(),
        18
    );
}

/// A renegotiation that comes to nothing takes its connection IDs with it.
#[test]
fn n51_05_an_abandoned_handshake_leaves_the_connection_ids_as_they_were() {
    let mut two = Two::connected(ProtocolVersion::DTLS12, &id(0), &id(8));
    let offered = ConnectionId::new(&[9; 8]);
    two.server
        .admit_connection_ids(std::slice::from_ref(&offered));
    assert!(two.server.knows_id(offered.as_bytes()));
    two.server.abandon_handshake();
    assert!(!two.server.knows_id(offered.as_bytes()));
    let live = two.sent(b"live");
    assert_eq!(two.take(&live).unwrap(), [b"live"]);
    assert!(two.server.checks_paths());
}

/// What is longer with a connection ID is so for the application at once, to the byte (J7).
#[test]
fn n51_11_n52_15_j07_the_largest_payload_fits_whatever_the_connection_id() {
    for version in VERSIONS {
        for length in [0, 1, 20, 255] {
            let mut two = Two::connected(version, &id(0), &id(1));
            if version == ProtocolVersion::DTLS13 {
                two.client.use_connection_id(id(length));
                two.server.admit_connection_ids(&[id(length)]);
            } else {
                two = Two::connected(version, &id(0), &id(length));
            }
            let max = two.client.max_payload();
            assert_eq!(two.sent(&vec![1; max]).len(), 1400, "{version} {length}");
            let too_long = two.client.send_data(&vec![1; max + 1]);
            assert!(too_long.is_err());
        }
    }
}

/// The peer goes on with what it had while the new ones are under way (J16).
#[test]
fn n52_06_n52_13_j16_old_connection_ids_are_understood_beside_new_ones() {
    let mut two = Two::connected(ProtocolVersion::DTLS13, &id(0), &id(8));
    let before = two.sent(b"before");
    let fresh: Vec<_> = (0..4).map(|it| ConnectionId::new(&[it; 5])).collect();
    two.server.admit_connection_ids(&fresh);
    for (number, next) in (0_u8..).zip(&fresh) {
        two.client.use_connection_id(next.clone());
        let datagram = two.sent(&[number]);
        assert_eq!(&datagram[1..6], next.as_bytes());
        assert_eq!(two.take(&datagram).unwrap(), [[number]]);
    }
    assert_eq!(two.take(&before).unwrap(), [b"before"]);
    // They are bounded, and what the peer may still use is not forgotten for others.
    let more: Vec<_> = (0..100)
        .map(|it| ConnectionId::new(&[it, 1, 1, 1]))
        .collect();
    let admitted = two.server.admit_connection_ids(&more);
    assert!((8..16).contains(&admitted), "{admitted}");
    for (place, id) in more.iter().enumerate() {
        assert_eq!(two.server.knows_id(id.as_bytes()), place < admitted);
    }
    let live = two.sent(b"live");
    assert_eq!(two.take(&live).unwrap(), [b"live"]);
}

/// RFC 9146 §6: a record is newer by epoch and then by number, also where epochs overlap.
#[test]
fn n51_15_only_the_newest_record_of_all_epochs_tells_of_a_new_address() {
    let mut two = Two::connected(ProtocolVersion::DTLS12, &id(0), &id(8));
    let elsewhere = Path::new(([198, 51, 100, 7], 9).into());
    let seen = |two: &mut Two, datagram: &[u8]| {
        two.server.receive(elsewhere, BytesMut::from(datagram));
        while two.server.next_inbound(two.now, &mut ()).unwrap().is_some() {}
        two.server.take_elsewhere().map(|it| it.newest)
    };
    let (first, second, third) = (two.sent(b"1"), two.sent(b"2"), two.sent(b"3"));
    assert_eq!(seen(&mut two, &second), Some(true));
    assert_eq!(seen(&mut two, &first), Some(false));
    assert_eq!(seen(&mut two, &second), None);
    two.server.connection_ids_agreed(ConnectionIds {
        ours: id(8),
        ..ConnectionIds::default()
    });
    two.client.connection_ids_agreed(ConnectionIds {
        theirs: id(8),
        ..ConnectionIds::default()
    });
    two.install(Epoch::new(2));
    let next = two.sent(b"next");
    assert_eq!(seen(&mut two, &next), Some(true));
    assert_eq!(seen(&mut two, &third), Some(false));
}

/// RFC 9146 §4, RFC 8449 §4: with a connection ID the type is encrypted at 1.2 as well, so it
/// counts, in both directions.
#[test]
fn n59_02_the_type_counts_where_it_is_inside() {
    let mut two = Two::connected(ProtocolVersion::DTLS12, &id(8), &id(8));
    two.server.limit_records(AgreedLimits::RecordSize {
        ours: 100,
        theirs: 70,
    });
    two.install(Epoch::new(2));
    assert_eq!(two.server.max_payload(), 69);
    for (length, fits) in [(99, true), (100, false)] {
        let record = two.sent(&vec![7; length]);
        let outcome = two.take(&record).unwrap();
        assert_eq!(outcome.len(), usize::from(fits), "{length}");
    }
    assert_eq!(two.server.stats().discarded(Discard::OverlongRecord), 1);
}
