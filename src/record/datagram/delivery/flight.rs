//! Flights: whole messages that are cut only while a datagram is being filled (RFC 6347 §4.2.3,
//! §4.2.4).
//!
//! The same packer serves the first transmission, retransmissions, a smaller MTU, and what is left
//! after acknowledgements (RFC 9147 §7.2).

use super::Means;
use super::covered::Covered;
use super::packer::{Message, Packer, Place};
use super::sent::SentRecords;
use crate::protocol::{Epoch, HandshakeType, MessageSeq, RecordNumber};
use crate::wire::hello_verify_request::HelloVerifyRequest;
use std::time::{Duration, Instant};

/// The messages that one side sends before it waits.
#[derive(Default)]
pub(super) struct Flight {
    items: Vec<Item>,
    /// Which record carried what, for as long as an acknowledgement may name it.
    sent: SentRecords,
    /// Up to where it was sent, if that is before the end of the flight.
    rest: Option<Place>,
    /// The longest datagram that it was cut into, in bytes.
    largest: usize,
    /// When it was sent again last because the peer has said that it has nothing of it.
    missed: Option<Instant>,
}

/// One part of a flight, with the epoch that it belongs to for ever: a retransmission never changes
/// keys (E6).
enum Item {
    Message {
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        body: Vec<u8>,
        /// What of the body the peer has acknowledged.
        acknowledged: Covered,
    },
    ChangeCipherSpec {
        epoch: Epoch,
    },
}

impl Item {
    const fn epoch(&self) -> Epoch {
        match self {
            Self::Message { epoch, .. } | Self::ChangeCipherSpec { epoch } => *epoch,
        }
    }

    /// About how much of a datagram it takes, in bytes.
    const fn size(&self) -> usize {
        match self {
            Self::Message { body, .. } => USUAL_OVERHEAD + body.len(),
            Self::ChangeCipherSpec { .. } => USUAL_OVERHEAD,
        }
    }
}

/// What a message costs in a datagram beside its body, with its record: two headers, a nonce and a
/// tag.
const USUAL_OVERHEAD: usize = 49;

/// The cookie that a client repeats which began before a HelloRequest came. It proves nothing: the
/// keys do that.
const CROSSING_COOKIE: &[u8; 16] = b"a hello, crossed";

impl Flight {
    pub(super) fn push_message(
        &mut self,
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        body: Vec<u8>,
    ) {
        self.items.push(Item::Message {
            epoch,
            seq,
            typ,
            body,
            acknowledged: Covered::default(),
        });
    }

    pub(super) fn push_change_cipher_spec(&mut self, epoch: Epoch) {
        self.items.push(Item::ChangeCipherSpec { epoch });
    }

    /// What is here has just been sent: the next transmission begins after it, later ones begin
    /// with it.
    pub(super) fn has_left(&mut self) {
        self.rest = Some(Place {
            item: self.items.len(),
            offset: 0,
        });
    }

    /// Replaces the HelloRequest at the front, if there is one, by a HelloVerifyRequest: to a
    /// client that has counted the HelloRequest it is an old message; a client that has not takes
    /// it, and sends its hello again with the next number.
    pub(super) fn withdraw_request(&mut self) {
        let Some(Item::Message { typ, body, .. }) = self.items.first_mut() else {
            return;
        };
        if *typ == HandshakeType::HELLO_REQUEST {
            *typ = HandshakeType::HELLO_VERIFY_REQUEST;
            let cookie = CROSSING_COOKIE.to_vec();
            HelloVerifyRequest { cookie }.encode(body);
        }
    }

    /// Whether some part of the flight is in this epoch.
    pub(super) fn uses(&self, epoch: Epoch) -> bool {
        self.items.iter().any(|item| item.epoch() == epoch)
    }

    /// Seals what was not acknowledged into datagrams, each record with a new number; where the
    /// last burst has ended first, if it has ended early. For the first time, and when nothing was
    /// heard for too long. If the peer acknowledges records, each one is noted, and they leave in
    /// bursts.
    pub(super) fn transmit(&mut self, means: &mut Means<'_>, acknowledged: bool) {
        self.sent.lose_all();
        let from = self.rest.take().unwrap_or_default();
        let limit = if acknowledged {
            means.burst
        } else {
            usize::MAX
        };
        let mut packer = Packer::new(means, acknowledged, limit);
        packer.make_room(self.items.iter().map(Item::size).sum());
        // What has less protection than the rest brings the keys for it: without that the peer
        // could acknowledge nothing.
        let epoch_of = |place: Place| self.items.get(place.item).map(Item::epoch);
        let first = |item: &Item| Some(item.epoch()) >= epoch_of(from);
        let keys = self.items.iter().position(first).unwrap_or_default();
        self.transmit_from(Place::default(), keys.min(from.item), &mut packer);
        let begun = packer.begun();
        self.transmit_from(from, self.items.len(), &mut packer);
        if packer.begun() == begun && from != Place::default() {
            self.transmit_from(Place::default(), from.item + 1, &mut packer);
        }
        self.end(packer);
    }

    /// Datagrams of more than `limit` bytes do not leave. Whether the flight was cut into such
    /// datagrams; then its next transmission starts at its beginning, because nobody knows how much
    /// of it has left.
    pub(super) fn start_over_within(&mut self, limit: usize) -> bool {
        let cut = self.largest > limit;
        if cut {
            self.rest = None;
            self.largest = 0;
            self.sent.lose_all();
        }
        cut
    }

    /// Seals what was lost, and then what has not left yet, as far as there is room beside what is
    /// on its way. For when the peer has said what has arrived (RFC 9147 §7.2).
    pub(super) fn go_on(&mut self, means: &mut Means<'_>) {
        let rest = self.rest.take();
        // RFC 9147 §5.8.3: never more than ten records at a time, however much may be on its way.
        let room = match means.burst {
            usize::MAX => usize::MAX,
            burst => self.sent.room().min(burst),
        };
        let mut packer = Packer::new(means, true, room);
        packer.left_before(rest);
        self.transmit_from(Place::default(), self.items.len(), &mut packer);
        if self.rest.is_some() {
            self.rest = self.rest.max(rest);
        }
        let repeats = self.end(packer);
        if repeats {
            means.stats.flight_retransmitted();
        }
    }

    /// The peer has said that it misses something, and not what it has. Whether everything should
    /// be sent again, which is so at most once in a `pause`.
    pub(super) fn is_missed(&mut self, now: Instant, pause: Duration) -> bool {
        let recently = |at| now.saturating_duration_since(at) < pause;
        if self.missed.is_some_and(recently) {
            return false;
        }
        self.missed = Some(now);
        self.sent.lose_all();
        true
    }

    /// Whether something has left again.
    fn end(&mut self, packer: Packer<'_, '_>) -> bool {
        let packed = packer.finish();
        self.largest = self.largest.max(packed.largest);
        self.sent.extend(packed.sent);
        packed.repeats
    }

    /// Fills datagrams with what is missing between a place and the item `end`.
    fn transmit_from(&mut self, from: Place, end: usize, packer: &mut Packer<'_, '_>) {
        let mut on_their_way: Vec<Covered> = Vec::new();
        for (item, range) in self.sent.on_their_way() {
            if on_their_way.len() <= *item {
                on_their_way.resize_with(item + 1, Covered::default);
            }
            on_their_way[*item].add(range.clone());
        }
        for (index, item) in self.items.iter().enumerate().take(end).skip(from.item) {
            let skipped = if index == from.item { from.offset } else { 0 };
            let Item::Message {
                epoch,
                seq,
                typ,
                body,
                acknowledged,
            } = item
            else {
                packer.change_cipher_spec(item.epoch());
                continue;
            };
            let message = Message {
                epoch: *epoch,
                seq: *seq,
                typ: *typ,
                body,
            };
            let mut done = acknowledged.clone();
            if let Some(on_its_way) = on_their_way.get(index) {
                done.add_all(on_its_way);
            }
            for gap in done.gaps(body.len()) {
                if skipped > gap.start && skipped >= gap.end {
                    continue;
                }
                let mut offset = gap.start.max(skipped);
                loop {
                    let Some(end) = packer.fragment(index, &message, offset..gap.end) else {
                        self.rest = Some(Place {
                            item: index,
                            offset,
                        });
                        return;
                    };
                    offset = end;
                    if offset >= gap.end {
                        break;
                    }
                }
            }
        }
    }

    /// Notes which records the peer has; whether anything in them is news.
    pub(super) fn acknowledge(&mut self, numbers: &[RecordNumber]) -> bool {
        let mut news = false;
        let items = &mut self.items;
        self.sent.acknowledge(numbers, |(item, range)| {
            if let Some(Item::Message { acknowledged, .. }) = items.get_mut(*item) {
                news |= acknowledged.add(range.clone());
            }
        });
        news
    }

    /// Notes that the peer has what was sent without protection.
    pub(super) fn acknowledge_plaintext(&mut self) {
        for item in &mut self.items {
            if let Item::Message {
                epoch: Epoch::PLAINTEXT,
                body,
                acknowledged,
                ..
            } = item
            {
                acknowledged.add(0..body.len());
            }
        }
        self.sent.arrived_in(Epoch::PLAINTEXT);
    }

    /// Whether the peer has acknowledged everything.
    pub(super) fn is_delivered(&self) -> bool {
        self.items.iter().all(|item| match item {
            Item::Message {
                body, acknowledged, ..
            } => acknowledged.covers(body.len()),
            Item::ChangeCipherSpec { .. } => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::outgoing::Outgoing;
    use super::super::super::records::Records;
    use super::super::sent::MAX_BURST;
    use super::*;
    use crate::protocol::Path;
    use crate::record::Stats;
    use crate::wire::handshake::DATAGRAM_HEADER_LEN;
    use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
    use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

    fn datagrams(mtu: usize, bodies: &[usize]) -> Vec<Vec<u8>> {
        let mut flight = Flight::default();
        for (seq, &length) in bodies.iter().enumerate() {
            let body = (0..length).map(|i| i as u8).collect();
            let seq = MessageSeq(seq as u16);
            flight.push_message(Epoch::PLAINTEXT, seq, HandshakeType::CERTIFICATE, body);
        }
        let mut outgoing = Outgoing::new(Path::UNSPECIFIED, mtu, usize::MAX);
        let mut means = Means {
            records: &mut Records::new(0),
            outgoing: &mut outgoing,
            stats: &mut Stats::default(),
            burst: MAX_BURST,
        };
        flight.transmit(&mut means, false);
        std::iter::from_fn(|| {
            let mut out = Vec::new();
            outgoing.take(1, &mut out).map(|_| out)
        })
        .collect()
    }

    /// RFC 6347 §4.1.1.1: no datagram is larger than the MTU, and together they hold the message.
    #[test]
    fn a_message_is_cut_to_the_mtu() {
        for mtu in [128, 228, 548, 1400] {
            let sent = datagrams(mtu, &[3000]);
            assert!(sent.iter().all(|datagram| datagram.len() <= mtu));
            let payload: usize = sent
                .iter()
                .map(|d| d.len() - HEADER_LEN - DATAGRAM_HEADER_LEN)
                .sum();
            assert_eq!(payload, 3000);
            assert_eq!(
                sent.len(),
                3000_usize.div_ceil(mtu - HEADER_LEN - DATAGRAM_HEADER_LEN)
            );
        }
    }

    /// RFC 5246 §6.2.1: not even the largest datagram carries a record of more than 2^14 bytes.
    #[test]
    fn no_record_is_longer_than_the_protocol_allows() {
        for datagram in datagrams(65_507, &[60_000]) {
            let mut rest = datagram.as_slice();
            while let Some(header) = RecordHeader::decode(rest) {
                assert!(usize::from(header.length) <= MAX_PLAINTEXT_LEN);
                rest = &rest[HEADER_LEN + usize::from(header.length)..];
            }
        }
    }

    #[test]
    fn small_messages_share_a_datagram() {
        assert_eq!(datagrams(1400, &[90, 300, 0]).len(), 1);
        // After the headers of a fragment there would be room for one byte: not worth it.
        let sent = datagrams(200, &[200 - 25 - 26, 100]);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [174, 125]);
    }

    #[test]
    fn an_empty_message_is_sent_as_one_fragment() {
        assert_eq!(
            datagrams(1400, &[0])[0].len(),
            HEADER_LEN + DATAGRAM_HEADER_LEN
        );
    }

    fn number(sequence: u64) -> RecordNumber {
        RecordNumber {
            epoch: Epoch::PLAINTEXT,
            sequence,
        }
    }

    fn burst(flight: &mut Flight, records: &mut Records) -> (u64, usize) {
        let mut outgoing = Outgoing::new(Path::UNSPECIFIED, 125, usize::MAX);
        let mut stats = Stats::default();
        let mut means = Means {
            records,
            outgoing: &mut outgoing,
            stats: &mut stats,
            burst: MAX_BURST,
        };
        flight.transmit(&mut means, true);
        (stats.records_sent(), outgoing.queued())
    }

    /// RFC 9147 §5.8.3, §7.2: ten records at a time, and only what is missing is sent again.
    #[test]
    fn r9147_31_a_burst_has_ten_records_and_repeats_only_what_is_missing() {
        let mut records = Records::new(0);
        let mut flight = Flight::default();
        // A hundred bytes a record: fifteen records.
        let typ = HandshakeType::CERTIFICATE;
        flight.push_message(Epoch::PLAINTEXT, MessageSeq(1), typ, vec![7; 1500]);
        assert_eq!(burst(&mut flight, &mut records), (10, 1250));
        // The rest goes on where the burst has ended, also if nothing was acknowledged.
        assert_eq!(burst(&mut flight, &mut records), (5, 625));
        let seen: Vec<_> = (0..15)
            .filter(|it| ![3, 4, 12].contains(it))
            .map(number)
            .collect();
        assert!(flight.acknowledge(&seen));
        assert!(!flight.acknowledge(&seen) && !flight.is_delivered());
        assert_eq!(burst(&mut flight, &mut records), (3, 375));
        // A record is acknowledged under whichever of its numbers.
        assert!(flight.acknowledge(&[number(3), number(16), number(17)]));
        assert!(flight.is_delivered());
    }

    /// RFC 9147 §5.2: an empty message has a record too, and that is acknowledged.
    #[test]
    fn an_empty_message_is_delivered_when_its_record_is() {
        let mut records = Records::new(0);
        let mut flight = Flight::default();
        flight.push_message(
            Epoch::PLAINTEXT,
            MessageSeq(1),
            HandshakeType::FINISHED,
            Vec::new(),
        );
        assert_eq!(burst(&mut flight, &mut records).0, 1);
        assert!(!flight.is_delivered());
        assert!(flight.acknowledge(&[number(0)]) && flight.is_delivered());
    }
}
