//! Flights: whole messages that are cut only while a datagram is being filled (RFC 6347 §4.2.3, §4.2.4).
//!
//! First transmission, retransmission and a smaller MTU are the same packer.

use super::epochs::WriteEpochs;
use super::outgoing::Outgoing;
use crate::protocol::{ContentType, Epoch, HandshakeType, MessageSeq, ProtocolVersion};
use crate::wire::codec::Writer as _;
use crate::wire::handshake::{DATAGRAM_HEADER_LEN, FragmentHeader};
use crate::wire::record_dtls::HEADER_LEN;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

/// The messages that one side sends before it waits.
#[derive(Default)]
pub(super) struct Flight {
    items: Vec<Item>,
}

/// One part of a flight, with the epoch that it belongs to for ever: a retransmission never changes keys (E6).
enum Item {
    Message {
        epoch: Epoch,
        seq: MessageSeq,
        typ: HandshakeType,
        body: Vec<u8>,
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
}

/// A fragment shorter than this is not worth its headers; a new datagram is begun instead.
const MIN_FRAGMENT: usize = 32;

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
        });
    }

    pub(super) fn push_change_cipher_spec(&mut self, epoch: Epoch) {
        self.items.push(Item::ChangeCipherSpec { epoch });
    }

    /// Whether some part of the flight is in this epoch.
    pub(super) fn uses(&self, epoch: Epoch) -> bool {
        self.items.iter().any(|item| item.epoch() == epoch)
    }

    /// Seals the flight into datagrams of at most `mtu` bytes, each record with a new number. Returns how many
    /// records were sealed.
    pub(super) fn transmit(
        &self,
        mtu: usize,
        version: ProtocolVersion,
        epochs: &mut WriteEpochs,
        outgoing: &mut Outgoing,
    ) -> u64 {
        let mut packer = Packer {
            mtu,
            version,
            epochs,
            outgoing,
            datagram: Vec::new(),
            sealed: 0,
        };
        for item in &self.items {
            match item {
                Item::Message {
                    epoch,
                    seq,
                    typ,
                    body,
                } => packer.message(*epoch, *seq, *typ, body),
                Item::ChangeCipherSpec { epoch } => {
                    packer.make_room(*epoch, 1);
                    packer.record(*epoch, ContentType::CHANGE_CIPHER_SPEC, &[1]);
                }
            }
        }
        packer.flush();
        packer.sealed
    }
}

/// Fills datagrams with records.
struct Packer<'a> {
    mtu: usize,
    version: ProtocolVersion,
    epochs: &'a mut WriteEpochs,
    outgoing: &'a mut Outgoing,
    datagram: Vec<u8>,
    sealed: u64,
}

impl Packer<'_> {
    /// Appends one message, in as many fragments as the datagrams need.
    fn message(&mut self, epoch: Epoch, seq: MessageSeq, typ: HandshakeType, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut fragment = Vec::with_capacity(DATAGRAM_HEADER_LEN + body.len().min(self.mtu));
        let mut rest = body;
        loop {
            self.make_room(epoch, DATAGRAM_HEADER_LEN + rest.len().min(MIN_FRAGMENT));
            let room = self.room(epoch).saturating_sub(DATAGRAM_HEADER_LEN).max(1);
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            let fragment_length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            let offset = length - u32::try_from(rest.len()).unwrap_or(length);
            fragment.clear();
            FragmentHeader {
                typ,
                length,
                seq,
                offset,
                fragment_length,
            }
            .encode(&mut fragment);
            fragment.put(piece);
            self.record(epoch, ContentType::HANDSHAKE, &fragment);
            rest = behind;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// How many bytes of contents a record of `epoch` can have in the datagram under construction.
    fn room(&mut self, epoch: Epoch) -> usize {
        let overhead = self
            .epochs
            .find(epoch)
            .map_or(HEADER_LEN, |write| write.overhead());
        // RFC 5246 §6.2.1: whatever a datagram could hold, a record holds 2^14 bytes.
        self.mtu
            .saturating_sub(self.datagram.len() + overhead)
            .min(MAX_PLAINTEXT_LEN)
    }

    /// Begins a new datagram unless `length` bytes of contents fit into this one.
    fn make_room(&mut self, epoch: Epoch, length: usize) {
        if self.room(epoch) < length {
            self.flush();
        }
    }

    /// Seals one record into the datagram. An epoch that can no longer be written sends nothing.
    fn record(&mut self, epoch: Epoch, content_type: ContentType, payload: &[u8]) {
        if let Some(write) = self.epochs.find(epoch) {
            write.append(content_type, self.version, payload, &mut self.datagram);
            self.sealed += 1;
        }
    }

    fn flush(&mut self) {
        if !self.datagram.is_empty() {
            self.outgoing
                .begin(self.datagram.len())
                .extend_from_slice(&self.datagram);
            self.datagram.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record_dtls::RecordHeader;

    fn datagrams(mtu: usize, bodies: &[usize]) -> Vec<Vec<u8>> {
        let mut flight = Flight::default();
        for (seq, &length) in bodies.iter().enumerate() {
            let body = (0..length).map(|i| i as u8).collect();
            let seq = MessageSeq(seq as u16);
            flight.push_message(Epoch::PLAINTEXT, seq, HandshakeType::CERTIFICATE, body);
        }
        let mut outgoing = Outgoing::default();
        flight.transmit(
            mtu,
            ProtocolVersion::DTLS12,
            &mut WriteEpochs::plaintext(0),
            &mut outgoing,
        );
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
        // 20 bytes of room are left behind the first message: not worth a fragment.
        assert_eq!(datagrams(200, &[200 - 25 - 45, 100]).len(), 2);
    }

    #[test]
    fn an_empty_message_is_sent_as_one_fragment() {
        assert_eq!(
            datagrams(1400, &[0])[0].len(),
            HEADER_LEN + DATAGRAM_HEADER_LEN
        );
    }
}
