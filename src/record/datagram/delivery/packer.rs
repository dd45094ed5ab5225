//! Fills datagrams with the records of a flight.

use super::Means;
use super::sent::{Part, Sent};
use crate::protocol::{ContentType, Epoch, HandshakeType, MessageSeq, RecordNumber};
use crate::wire::codec::Writer as _;
use crate::wire::handshake::{DATAGRAM_HEADER_LEN, FragmentHeader};
use crate::wire::record_dtls::HEADER_LEN;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;
use std::ops::Range;

/// A place in a flight: a message, and how far into it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Place {
    pub(super) item: usize,
    pub(super) offset: usize,
}

/// The shortest fragment that is worth its header, unless the message is shorter.
const MIN_FRAGMENT: usize = 2;

/// What has left.
pub(super) struct Packed {
    /// Which record carried what, if that is noted.
    pub(super) sent: Vec<Sent>,
    /// The longest datagram.
    pub(super) largest: usize,
    /// Whether something has left again.
    pub(super) repeats: bool,
}

/// One message of a flight.
pub(super) struct Message<'a> {
    pub(super) epoch: Epoch,
    pub(super) seq: MessageSeq,
    pub(super) typ: HandshakeType,
    pub(super) body: &'a [u8],
}

/// A handshake record under construction.
struct Open {
    epoch: Epoch,
    contents: Vec<u8>,
    parts: Vec<Part>,
}

/// Fills datagrams with records.
pub(super) struct Packer<'m, 'a> {
    means: &'m mut Means<'a>,
    /// Whether the peer acknowledges records.
    acknowledged: bool,
    datagram: Vec<u8>,
    /// Empty if there is none.
    open: Open,
    /// How many records were begun.
    begun: usize,
    /// How many may be.
    limit: usize,
    /// What lies before this has left before; everything has where it is `None`.
    frontier: Option<Place>,
    /// Something has left again.
    repeats: bool,
    sent: Vec<Sent>,
    /// The longest datagram so far.
    largest: usize,
}

/// The largest datagram for a peer whose records have at most so much contents.
///
/// One that says so (RFC 8449 §4, RFC 6066 §4) has little memory, and some have no more for a
/// datagram than such a record needs: GnuTLS 3.7 drops the rest, and the handshake waits until
/// datagrams become smaller for want of answers. Nobody is known to ask for less than 512 bytes,
/// the shortest max_fragment_length; there headers would cost more than that saves.
const fn largest_for(most: usize, overhead: usize) -> usize {
    if most < SHORTEST_FRAGMENT {
        usize::MAX
    } else {
        overhead + most
    }
}

/// The shortest max_fragment_length, in bytes (RFC 6066 §4).
const SHORTEST_FRAGMENT: usize = 512;

impl<'m, 'a> Packer<'m, 'a> {
    /// Begins at most `limit` records, which the peer acknowledges or not.
    pub(super) const fn new(means: &'m mut Means<'a>, acknowledged: bool, limit: usize) -> Self {
        Self {
            means,
            acknowledged,
            datagram: Vec::new(),
            open: Open {
                epoch: Epoch::PLAINTEXT,
                contents: Vec::new(),
                parts: Vec::new(),
            },
            begun: 0,
            limit,
            frontier: None,
            repeats: false,
            sent: Vec::new(),
            largest: 0,
        }
    }

    /// So many bytes are about to come, more or less.
    pub(super) fn make_room(&mut self, bytes: usize) {
        let bytes = bytes.min(self.means.outgoing.largest_of_flight());
        self.datagram.reserve(bytes);
        self.open.contents.reserve(bytes);
    }

    /// What lies before this place has left before.
    pub(super) const fn left_before(&mut self, place: Option<Place>) {
        self.frontier = place;
    }

    /// How many records were begun.
    pub(super) const fn begun(&self) -> usize {
        self.begun
    }

    /// Appends as much of `range` of a message as fits into the datagram, or into a new one. How
    /// far it has come; `None` if no more records leave for now.
    ///
    /// At version 1.3 messages share a record, which saves its header and tag; peers of 1.2 get a
    /// record for each.
    pub(super) fn fragment(
        &mut self,
        item: usize,
        message: &Message<'_>,
        range: Range<usize>,
    ) -> Option<usize> {
        let epoch = message.epoch;
        if !self.acknowledged || self.open.epoch != epoch {
            self.close();
        }
        let least = DATAGRAM_HEADER_LEN + range.len().min(MIN_FRAGMENT);
        if self.room(epoch) < least {
            // RFC 8449 §4: where records are very short, a datagram has room for several.
            self.close();
        }
        if self.room(epoch) < least {
            self.flush();
        }
        if self.open.contents.is_empty() {
            if self.begun >= self.limit {
                return None;
            }
            self.begun += 1;
            self.open.epoch = epoch;
        }
        let place = Place {
            item,
            offset: range.start,
        };
        self.repeats |= self.frontier.is_none_or(|frontier| place < frontier);
        let room = self.room(epoch).saturating_sub(DATAGRAM_HEADER_LEN).max(1);
        let end = range.start + room.min(range.len());
        let piece = &message.body[range.start..end];
        let number_of = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let contents = &mut self.open.contents;
        FragmentHeader {
            typ: message.typ,
            length: number_of(message.body.len()),
            seq: message.seq,
            offset: number_of(range.start),
            fragment_length: number_of(piece.len()),
        }
        .encode(contents);
        contents.put(piece);
        if self.acknowledged {
            self.open.parts.push((item, range.start..end));
        }
        Some(end)
    }

    pub(super) fn change_cipher_spec(&mut self, epoch: Epoch) {
        self.close();
        if self.room(epoch) < 1 {
            self.flush();
        }
        self.begun += 1;
        self.record(epoch, ContentType::CHANGE_CIPHER_SPEC, &[1]);
    }

    /// Seals the record under construction into the datagram.
    fn close(&mut self) {
        if self.open.contents.is_empty() {
            return;
        }
        let contents = std::mem::take(&mut self.open.contents);
        let number = self.record(self.open.epoch, ContentType::HANDSHAKE, &contents);
        let parts = std::mem::take(&mut self.open.parts);
        if let Some(number) = number.filter(|_| self.acknowledged) {
            self.sent.push(Sent::new(number, parts));
        }
        self.open.contents = contents;
        self.open.contents.clear();
    }

    /// How many more bytes of contents a record of `epoch` can have in the datagram under
    /// construction.
    fn room(&mut self, epoch: Epoch) -> usize {
        let write = self.means.records.writing().find(epoch);
        // RFC 5246 §6.2.1: whatever a datagram could hold, a record holds 2^14 bytes.
        let (overhead, most) = write.map_or((HEADER_LEN, MAX_PLAINTEXT_LEN), |it| {
            (it.overhead(), it.max_contents())
        });
        self.means
            .outgoing
            .largest_of_flight()
            .min(largest_for(most, overhead))
            .saturating_sub(self.datagram.len() + overhead)
            .min(most)
            .saturating_sub(self.open.contents.len())
    }

    /// Seals one record into the datagram. An epoch that can no longer be written sends nothing.
    fn record(
        &mut self,
        epoch: Epoch,
        content_type: ContentType,
        payload: &[u8],
    ) -> Option<RecordNumber> {
        let write = self.means.records.writing().find(epoch)?;
        write.append(content_type, payload, &mut self.datagram)
    }

    /// Ends the datagram.
    fn flush(&mut self) {
        self.close();
        if !self.datagram.is_empty() {
            let outgoing = &mut self.means.outgoing;
            let (out, length) = outgoing.begin_flight(self.datagram.len());
            out.extend_from_slice(&self.datagram);
            self.largest = self.largest.max(length);
            self.datagram.clear();
        }
    }

    /// Ends the last datagram.
    pub(super) fn finish(mut self) -> Packed {
        self.flush();
        self.means.stats.records_sent += self.begun as u64;
        Packed {
            sent: self.sent,
            largest: self.largest,
            repeats: self.repeats,
        }
    }
}
