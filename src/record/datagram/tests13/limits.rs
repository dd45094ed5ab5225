//! Records that are longer than was agreed on (RFC 8449 §4, RFC 6066 §4).

use super::*;
use crate::protocol::{AgreedLimits, MaxFragmentLength};
use crate::secrets::traffic::Protections;

const LIMITS: AgreedLimits = AgreedLimits::RecordSize {
    ours: 100,
    theirs: 80,
};

/// Gives the client records of this epoch that protect so many bytes: how many it takes, and how
/// many it drops as too long.
fn taken(two: &mut Two, epoch: Epoch, first: u64, lengths: &[(usize, usize)]) -> (usize, u64) {
    let dropped = |two: &Two| two.client.stats().discarded(Discard::OverlongRecord);
    let (mut taken, before) = (0, dropped(two));
    for (number, &(contents, padding)) in lengths.iter().enumerate() {
        let sequence = first + number as u64;
        let record = craft(epoch, sequence, FULL, DATA, &vec![7; contents], padding);
        let inbound = feed(&mut two.client, two.now, &record).unwrap();
        taken += data_of(&inbound).len();
    }
    (taken, dropped(two) - before)
}

/// RFC 8449 §4: contents, type and padding count, also under keys that were put away, and under
/// those that follow a KeyUpdate. What is too long is dropped, and the association goes on.
#[test]
fn n59_02_n59_06_padding_counts_in_every_epoch() {
    let mut two = Two::connected();
    two.client.limit_records(LIMITS);
    let lengths = [(99, 0), (1, 98), (100, 0), (1, 99), (99, 1000), (2, 0)];
    assert_eq!(taken(&mut two, THREE, 0, &lengths), (3, 3));
    two.client.put_away(Protections {
        read: (THREE, protection(THREE)),
        write: (THREE, protection(THREE)),
    });
    assert_eq!(taken(&mut two, THREE, 10, &lengths), (3, 3));
    assert_eq!(two.client.max_payload(), 79);
    let four = Epoch::new(4);
    two.client.install_write(four, protection(four));
    two.client
        .install_read(four, protection(four), ReadSwitch::Now);
    assert_eq!(taken(&mut two, four, 0, &lengths), (3, 3));
    assert_eq!(two.client.max_payload(), 79);
    let longer = two.client.send_data(&[7; 80]);
    assert_eq!(longer, Err(SendError::BeyondPeerLimit { max: 79 }));
    two.client.send_data(&[7; 79]).unwrap();
    assert_eq!(sent(&mut two.client)[0].len(), 5 + 80 + 16);
}

/// Not all peers count the type where max_fragment_length was agreed on; this end does.
#[test]
fn a_fragment_length_leaves_room_for_the_type_in_what_is_received() {
    let mut two = Two::connected();
    let limits = AgreedLimits::Fragment(MaxFragmentLength::Bytes512);
    two.client.limit_records(limits);
    assert_eq!(taken(&mut two, THREE, 0, &[(512, 0), (513, 0)]), (1, 1));
    assert_eq!(two.client.max_payload(), 511);
}

/// RFC 9147 §7, RFC 8449 §4: acknowledgements obey as well, and name every record all the same.
#[test]
fn n59_04_acknowledgements_obey() {
    let mut two = Two::shaking_hands();
    for layer in [&mut two.client, &mut two.server] {
        layer.limit_records(AgreedLimits::RecordSize {
            ours: 64,
            theirs: 64,
        });
    }
    let end = FlightEnd::AwaitReply;
    flight(&mut two.server, two.now, TWO, &[(0, 300)], end);
    let datagrams = sent(&mut two.server);
    // The first one is missing, so that the others are acknowledged at once.
    let records: Vec<_> = datagrams
        .iter()
        .flat_map(|it| it.chunks(5 + 64 + 16))
        .collect();
    assert!(records.len() > 5 && datagrams.len() == 1, "{datagrams:?}");
    let count = records.len() - 1;
    let mut named = 0;
    for record in &records[1..] {
        feed(&mut two.client, two.now, record).unwrap();
    }
    let later = two.now + Duration::from_secs(1);
    two.client.handle_timeout(later).unwrap_or_default();
    for ack in sent(&mut two.client) {
        let inner = ack.len() - 5 - 16;
        assert!(inner <= 64, "{inner}");
        named += (inner - 3) / 16;
    }
    assert!(named >= count, "{named} of {count}");
}
