//! Fragmented ClientHellos of strangers, until they are whole.
//!
//! At version 1.3 the cookie is an extension, so nothing can be proved before the whole hello is
//! here, and a hello with a large key share does not fit into a datagram. What is kept for that is
//! bounded for the whole endpoint: a full pool hurts nobody but those who send fragmented hellos.

use crate::config::FirstHello;
use crate::protocol::{
    ContentType, Epoch, HandshakeType, LONGEST_TICKET_13, MessageSeq, ProtocolVersion, RecordNumber,
};
use crate::record::datagram::Reassembly;
use crate::wire::codec::{Reader, Writer as _};
use crate::wire::handshake::FragmentHeader;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many addresses can be in the middle of a hello.
const MAX_SLOTS: usize = 256;

/// The longest hello that is put together, in bytes: the longest ticket fits beside a share of
/// X25519MLKEM768, of 1,216 bytes, and all else that a hello says.
const MAX_HELLO: usize = LONGEST_TICKET_13 + 2048;

/// How long the rest of a hello may take. Its sender repeats the whole of it soon after.
const LIFE: Duration = Duration::from_secs(2);

/// Hellos under construction, the oldest first.
#[derive(Default)]
pub(super) struct Unproven {
    slots: VecDeque<Slot>,
}

struct Slot {
    remote: SocketAddr,
    until: Instant,
    seq: MessageSeq,
    hello: Reassembly,
}

/// What a datagram that begins with a ClientHello has brought.
pub(super) enum Collected {
    /// A whole hello: the datagram as it came, or one that was put together.
    Whole(BytesMut),
    /// A part of one.
    Part,
    /// Nothing that a server could go on from.
    Nothing,
}

/// Whether a datagram begins with some part of an unprotected ClientHello.
pub(super) fn is_client_hello(datagram: &[u8]) -> bool {
    fragments(datagram).next().is_some()
}

/// Whether a hello comes in pieces and is longer than what is put together: its sender is told,
/// because it would wait for an answer.
pub(super) fn is_too_long(first: &FirstHello<'_>) -> bool {
    let too_long = usize::try_from(first.fragment.length).map_or(true, |it| it > MAX_HELLO);
    too_long && !first.is_whole()
}

/// The fragments of ClientHellos in a datagram, as far as it makes sense from its beginning.
fn fragments(datagram: &[u8]) -> impl Iterator<Item = (RecordNumber, FragmentHeader, &[u8])> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let record = RecordHeader::decode(rest)?;
        let hello = record.content_type == ContentType::HANDSHAKE
            && record.number.epoch == Epoch::PLAINTEXT
            && [ProtocolVersion::DTLS10, ProtocolVersion::DTLS12].contains(&record.version);
        let end = HEADER_LEN + usize::from(record.length);
        let contents = rest.get(HEADER_LEN..end).filter(|_| hello)?;
        rest = rest.get(end..).unwrap_or_default();
        let mut reader = Reader::new(contents);
        let fragment = FragmentHeader::decode(&mut reader).ok()?;
        let length = usize::try_from(fragment.fragment_length).ok()?;
        let data = reader.bytes(length, "fragment").ok()?;
        (fragment.typ == HandshakeType::CLIENT_HELLO).then_some((record.number, fragment, data))
    })
}

impl Unproven {
    /// Takes a datagram that [`is_client_hello`].
    pub(super) fn collect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        datagram: BytesMut,
    ) -> Collected {
        if FirstHello::decode(&datagram).is_some_and(|first| first.is_whole()) {
            self.forget(remote);
            return Collected::Whole(datagram);
        }
        let mut outcome = Collected::Nothing;
        for (number, fragment, data) in fragments(&datagram) {
            if !FirstHello::is_in_range(fragment.seq, number.sequence) {
                continue;
            }
            outcome = match self.enter(now, remote, &fragment, data) {
                Some(body) => {
                    self.forget(remote);
                    return Collected::Whole(whole(number, fragment.seq, &body));
                }
                None => Collected::Part,
            };
        }
        outcome
    }

    /// Adds a fragment; the body of the hello if that was the last one.
    fn enter(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        fragment: &FragmentHeader,
        data: &[u8],
    ) -> Option<Vec<u8>> {
        while self.slots.front().is_some_and(|slot| slot.until <= now) {
            self.slots.pop_front();
        }
        // Only in order, and a beginning begins anew: what another has sent with this
        // address, or its own earlier attempt, would make a hello that nobody has said, and a
        // cookie for that.
        let known = self
            .slots
            .iter()
            .position(|slot| slot.remote == remote && slot.seq == fragment.seq);
        let place = match known {
            _ if fragment.offset == 0 => self.begin(now, remote, fragment.seq),
            Some(place) => place,
            None => return None,
        };
        let slot = self.slots.get_mut(place)?;
        if !slot.hello.is_next(fragment) {
            return None;
        }
        slot.hello.insert(Epoch::PLAINTEXT, fragment, data).ok()?;
        slot.hello.pop().map(|message| message.body)
    }

    /// Makes a slot for an address, which has one at a time. The oldest goes if there is no room.
    fn begin(&mut self, now: Instant, remote: SocketAddr, seq: MessageSeq) -> usize {
        self.forget(remote);
        if self.slots.len() >= MAX_SLOTS {
            self.slots.pop_front();
        }
        self.slots.push_back(Slot {
            remote,
            until: now + LIFE,
            seq,
            hello: Reassembly::new(seq, 1, MAX_HELLO),
        });
        self.slots.len() - 1
    }

    fn forget(&mut self, remote: SocketAddr) {
        self.slots.retain(|slot| slot.remote != remote);
    }

    /// How many bytes are kept.
    #[cfg(test)]
    fn cost(&self) -> usize {
        self.slots.iter().map(|slot| slot.hello.cost()).sum()
    }
}

/// A datagram with the whole of a hello that came in pieces, of which `number` was the last.
fn whole(number: RecordNumber, seq: MessageSeq, body: &[u8]) -> BytesMut {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(body.len() + 12);
    FragmentHeader::whole(HandshakeType::CLIENT_HELLO, seq, length).encode(&mut message);
    message.put(body);
    let header = RecordHeader {
        content_type: ContentType::HANDSHAKE,
        version: ProtocolVersion::DTLS12,
        number,
        length: u16::try_from(message.len()).unwrap_or(u16::MAX),
    };
    BytesMut::from(&[&header.encode()[..], &message].concat()[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(seq: u16, sequence: u64, length: usize, from: usize, data: &[u8]) -> BytesMut {
        let mut message = Vec::new();
        FragmentHeader {
            typ: HandshakeType::CLIENT_HELLO,
            length: length as u32,
            seq: MessageSeq(seq),
            offset: from as u32,
            fragment_length: data.len() as u32,
        }
        .encode(&mut message);
        message.put(data);
        let header = RecordHeader {
            content_type: ContentType::HANDSHAKE,
            version: ProtocolVersion::DTLS12,
            number: RecordNumber {
                epoch: Epoch::PLAINTEXT,
                sequence,
            },
            length: message.len() as u16,
        };
        BytesMut::from(&[&header.encode()[..], &message].concat()[..])
    }

    fn body() -> Vec<u8> {
        (0..1500_u32).map(|i| i as u8).collect()
    }

    fn remote(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_hello_in_pieces_becomes_one_datagram() {
        let (now, body) = (crate::test_now(), body());
        for (order, whole) in [([0, 1], true), ([1, 0], false)] {
            let mut pool = Unproven::default();
            let pieces = [
                piece(1, 7, 1500, 0, &body[..1000]),
                piece(1, 8, 1500, 1000, &body[1000..]),
            ];
            let first = pool.collect(now, remote(1), pieces[order[0]].clone());
            assert!(matches!(first, Collected::Part));
            let last = pool.collect(now, remote(1), pieces[order[1]].clone());
            let Collected::Whole(datagram) = last else {
                // The client repeats the whole of it.
                assert!(!whole, "incomplete");
                continue;
            };
            assert!(whole);
            assert_eq!(datagram[HEADER_LEN + 12..], body);
            assert_eq!(pool.slots.len(), 0);
        }
    }

    /// The beginning is kept for the rest as long as that takes, and no longer.
    #[test]
    fn the_rest_of_a_hello_may_take_two_seconds() {
        let (now, body) = (crate::test_now(), body());
        let moment = Duration::from_millis(1);
        for (pause, whole) in [(LIFE - moment, true), (LIFE, false)] {
            let mut pool = Unproven::default();
            pool.collect(now, remote(1), piece(1, 7, 1500, 0, &body[..1000]));
            let last = piece(1, 8, 1500, 1000, &body[1000..]);
            let last = pool.collect(now + pause, remote(1), last);
            assert_eq!(matches!(last, Collected::Whole(_)), whole, "{pause:?}");
        }
    }

    /// A part that is not next is dropped, so that nothing waits for a hole to be filled.
    #[test]
    fn parts_are_taken_in_order_alone() {
        let (now, body) = (crate::test_now(), body());
        for (order, whole) in [([0, 1, 2], true), ([0, 2, 1], false)] {
            let mut pool = Unproven::default();
            let mut outcome = false;
            for (number, part) in (7..).zip(order) {
                let from = part * 500;
                let part = piece(1, number, 1500, from, &body[from..from + 500]);
                outcome = matches!(pool.collect(now, remote(1), part), Collected::Whole(_));
            }
            assert_eq!(outcome, whole, "{order:?}");
        }
    }

    /// C1: what is kept of strangers is bounded in number, size and time.
    #[test]
    fn the_pool_is_bounded() {
        let (now, body) = (crate::test_now(), body());
        let mut pool = Unproven::default();
        for port in 0..5000 {
            for seq in 0..3 {
                pool.collect(now, remote(port), piece(seq, 7, 4096, 0, &body));
            }
        }
        assert_eq!(pool.slots.len(), MAX_SLOTS);
        assert!(pool.cost() < MAX_SLOTS * 2 * MAX_HELLO);
        pool.collect(now, remote(1), piece(0, 7, MAX_HELLO + 1, 0, &body));
        pool.collect(now + LIFE, remote(9), piece(0, 7, 4096, 0, &body));
        assert_eq!(pool.slots.len(), 1);
    }
}
