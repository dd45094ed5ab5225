//! Putting handshake messages together again (RFC 6347 §4.2.2, §4.2.3).

use super::covered::Covered;
use super::ranges::{NotAdded, Ranges};
use crate::protocol::{Epoch, HandshakeType, MessageSeq};
use crate::record::Discard;
use crate::wire::handshake::{FragmentHeader, InboundMessage};
use std::collections::VecDeque;

/// How many messages, counted from the expected one, are put together at a time. A flight has at
/// most seven.
pub(crate) const WINDOW: u16 = 7;

/// The messages of one handshake as they arrive.
///
/// Memory grows with what has arrived, never with what a length field announces, and ends at twice
/// the longest message that is allowed. There is always room for the message that is expected next.
#[derive(Debug)]
pub(crate) struct Reassembly {
    /// `None` after the last number there is.
    expected: Option<MessageSeq>,
    slots: VecDeque<Option<Slot>>,
    window: u16,
    max_message: usize,
    too_long: Option<Box<TooLong>>,
}

/// A message that is too long to be put together: only how much of it has come.
#[derive(Debug)]
struct TooLong {
    seq: MessageSeq,
    typ: HandshakeType,
    length: u32,
    here: Covered,
}

/// One message under construction.
#[derive(Debug)]
struct Slot {
    epoch: Epoch,
    typ: HandshakeType,
    length: usize,
    ranges: Ranges,
    /// A fragment contradicted this slot: without keys nobody knows which of the two was honest.
    disputed: bool,
}

/// In how many pieces a message that is too long is followed: as many as of one that is taken.
const MAX_PIECES: usize = 256;

impl Slot {
    fn is_complete(&self) -> bool {
        self.ranges.covers(self.length)
    }
}

impl Reassembly {
    /// Expects the message `first` and puts together `window` messages at a time, each at most
    /// `max_message` bytes.
    pub(crate) const fn new(first: MessageSeq, window: u16, max_message: usize) -> Self {
        Self {
            expected: Some(first),
            slots: VecDeque::new(),
            window,
            max_message,
            too_long: None,
        }
    }

    /// Adds one fragment.
    ///
    /// # Errors
    ///
    /// Why it was not added.
    pub(crate) fn insert(
        &mut self,
        epoch: Epoch,
        header: &FragmentHeader,
        data: &[u8],
    ) -> Result<(), Discard> {
        let distance = self
            .expected
            .and_then(|expected| header.seq.distance_from(expected))
            .ok_or(Discard::OldMessage)?;
        if distance >= self.window {
            return Err(Discard::MessageTooFarAhead);
        }
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let start = usize::try_from(header.offset).unwrap_or(usize::MAX);
        if length > self.max_message {
            return Err(Discard::MessageTooLong);
        }
        // A4: an empty fragment says something only about an empty message.
        if data.is_empty() && length > 0 {
            return Err(Discard::BadFragment);
        }
        let index = usize::from(distance);
        self.settle_dispute(index, epoch, header, data.len())?;
        if !self.has_room(index, Ranges::cost_of(data.len())) {
            // The slot of the expected message may have been filled by somebody else than the
            // sender of this fragment.
            self.dispute(index);
            return Err(Discard::ReassemblyFull);
        }
        while self.slots.len() <= index {
            self.slots.push_back(None);
        }
        let Some(entry) = self.slots.get_mut(index) else {
            return Err(Discard::MessageTooFarAhead);
        };
        let slot = entry.get_or_insert_with(|| Slot {
            epoch,
            typ: header.typ,
            length,
            ranges: Ranges::default(),
            disputed: false,
        });
        let why = match slot.ranges.insert(start, data) {
            Ok(()) => return Ok(()),
            Err(NotAdded::Conflict) => Discard::ConflictingFragment,
            Err(NotAdded::TooManyGaps) => Discard::ReassemblyFull,
        };
        slot.disputed = true;
        let newer = why == Discard::ConflictingFragment && is_newer(epoch, slot.epoch);
        if data.len() < length && !newer {
            return Err(why);
        }
        // A message that is here as a whole is worth more than pieces that contradict it.
        slot.ranges = Ranges::default();
        slot.ranges.insert(start, data).map_err(|_| why)
    }

    /// Compares what a fragment announces with what its slot has. The first announcement stands
    /// (A1, A2), unless the other is a whole message or is protected; then the slot is emptied for
    /// it.
    fn settle_dispute(
        &mut self,
        index: usize,
        epoch: Epoch,
        header: &FragmentHeader,
        data_len: usize,
    ) -> Result<(), Discard> {
        let Some(entry) = self.slots.get_mut(index) else {
            return Ok(());
        };
        let Some(slot) = entry else {
            return Ok(());
        };
        if slot.is_complete() {
            return Err(Discard::OldMessage);
        }
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if (slot.epoch, slot.typ, slot.length) == (epoch, header.typ, length) {
            return Ok(());
        }
        slot.disputed = true;
        if data_len < length && !is_newer(epoch, slot.epoch) {
            return Err(Discard::ConflictingFragment);
        }
        *entry = None;
        Ok(())
    }

    /// Notes a fragment of the expected message, or of one soon after it, that is too long. Whether
    /// more of a message has come than would be taken: of the one that was announced last, or of
    /// one before it.
    pub(crate) fn note_too_long(&mut self, header: &FragmentHeader) -> bool {
        if self.has_seen_too_long() {
            return true;
        }
        let same = |it: &&mut Box<TooLong>| {
            (it.seq, it.typ, it.length) == (header.seq, header.typ, header.length)
        };
        if self.too_long.as_mut().filter(same).is_none() {
            self.too_long = Some(Box::new(TooLong {
                seq: header.seq,
                typ: header.typ,
                length: header.length,
                here: Covered::default(),
            }));
        }
        let offset = usize::try_from(header.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(header.fragment_length).unwrap_or_default();
        if let Some(it) = &mut self.too_long
            && it.here.pieces() < MAX_PIECES
        {
            it.here.add(offset..offset.saturating_add(length));
        }
        self.has_seen_too_long()
    }

    /// Whether more has come of a message than would be taken.
    pub(crate) fn has_seen_too_long(&self) -> bool {
        let too_long = self.too_long.as_ref();
        too_long.is_some_and(|it| it.here.total() > self.max_message)
    }

    fn dispute(&mut self, index: usize) {
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.disputed = true;
        }
    }

    /// Whether `cost` more bytes fit. Messages after the expected one leave it the room that it may
    /// need: what is kept may have been acknowledged (RFC 9147 §7.1), and then nobody sends it
    /// again, so it is never dropped for another one.
    fn has_room(&self, index: usize, cost: usize) -> bool {
        let cost_of = |slot: &Option<Slot>| slot.as_ref().map_or(0, |slot| slot.ranges.cost());
        let later: usize = self.slots.iter().skip(1).map(cost_of).sum();
        let later_limit = self.max_message - self.max_message / 8;
        self.cost() + cost <= 2 * self.max_message && (index == 0 || later + cost <= later_limit)
    }

    /// Expects `first` instead of what was expected before any message had come.
    pub(crate) fn start_at(&mut self, first: MessageSeq) {
        let skipped = self
            .expected
            .and_then(|expected| first.distance_from(expected));
        let skipped = usize::from(skipped.unwrap_or_default()).min(self.slots.len());
        self.slots.drain(..skipped);
        self.expected = Some(first);
    }

    /// How much memory is in use, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.slots
            .iter()
            .flatten()
            .map(|slot| slot.ranges.cost())
            .sum()
    }

    /// The number of the message that is expected; `None` after the last there is.
    pub(crate) const fn expected(&self) -> Option<MessageSeq> {
        self.expected
    }

    /// Whether the message with this number was taken already.
    pub(crate) fn is_past(&self, seq: MessageSeq) -> bool {
        self.expected.is_none_or(|expected| seq < expected)
    }

    /// Whether a part of a message is here that came under keys.
    pub(crate) fn holds_protected(&self) -> bool {
        let mut slots = self.slots.iter().flatten();
        slots.any(|slot| slot.epoch != Epoch::PLAINTEXT)
    }

    /// Takes the expected message if it is complete.
    pub(crate) fn pop(&mut self) -> Option<InboundMessage> {
        let seq = self.expected?;
        if !self.slots.front()?.as_ref()?.is_complete() {
            return None;
        }
        let slot = self.slots.pop_front()??;
        self.expected = seq.next();
        Some(InboundMessage {
            epoch: slot.epoch,
            seq,
            typ: slot.typ,
            body: slot.ranges.into_bytes(),
        })
    }

    /// Drops everything that is incomplete: nothing but a message of the next epoch can follow.
    pub(crate) fn clear(&mut self) {
        self.slots = VecDeque::new();
    }

    /// Takes back the message that was popped last: it was not the right one, and the right one may
    /// still come.
    pub(crate) fn expect_again(&mut self, seq: MessageSeq) {
        self.expected = Some(seq);
        self.slots.push_front(None);
        self.slots.truncate(usize::from(self.window));
    }

    /// Whether this fragment is the next piece of the first message that is not whole, or belongs
    /// to one before it: all fragments of a record are entered before the first message is taken.
    pub(crate) fn is_next(&self, header: &FragmentHeader) -> bool {
        let whole = |slot: &&Option<Slot>| slot.as_ref().is_some_and(Slot::is_complete);
        let index = self.slots.iter().take_while(whole).count();
        let slot = self.slots.get(index).and_then(Option::as_ref);
        let here = slot.map_or(0, |slot| slot.ranges.contiguous());
        let distance = self
            .expected
            .and_then(|expected| header.seq.distance_from(expected))
            .map(usize::from);
        let follows = usize::try_from(header.offset).is_ok_and(|offset| offset <= here);
        distance.is_some_and(|it| it < index || it == index && follows)
    }

    /// Whether parts of messages wait for what is missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// Drops what came without protection.
    pub(crate) fn forget_plaintext(&mut self) {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|it| it.epoch == Epoch::PLAINTEXT) {
                *slot = None;
            }
        }
    }

    /// Gives back the allocation of an empty buffer.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.slots = VecDeque::new();
        }
    }

    /// Forgets incomplete unprotected messages that were contradicted, so that a retransmission
    /// starts afresh.
    pub(crate) fn forget_disputed(&mut self) {
        for slot in &mut self.slots {
            if slot
                .as_ref()
                .is_some_and(|slot| slot.disputed && slot.epoch == Epoch::PLAINTEXT)
            {
                *slot = None;
            }
        }
    }
}

/// Whether a fragment in `epoch` prevails over one in `before` that it contradicts: what is
/// protected prevails over what is not, and a peer that contradicts itself under keys has begun
/// anew.
fn is_newer(epoch: Epoch, before: Epoch) -> bool {
    epoch > before || epoch == before && epoch != Epoch::PLAINTEXT
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Epoch = Epoch::PLAINTEXT;
    const MAX: usize = 4096;

    fn fragment(seq: u16, length: u32, offset: u32, data: &[u8]) -> (FragmentHeader, Vec<u8>) {
        let fragment_length = u32::try_from(data.len()).unwrap();
        let typ = HandshakeType::CERTIFICATE;
        (
            FragmentHeader {
                typ,
                length,
                seq: MessageSeq(seq),
                offset,
                fragment_length,
            },
            data.to_vec(),
        )
    }

    fn add(
        reassembly: &mut Reassembly,
        (header, data): (FragmentHeader, Vec<u8>),
    ) -> Result<(), Discard> {
        reassembly.insert(PLAIN, &header, &data)
    }

    fn empty() -> Reassembly {
        Reassembly::new(MessageSeq::FIRST, WINDOW, MAX)
    }

    #[test]
    fn messages_come_out_in_order_whatever_order_they_came_in() {
        let mut reassembly = empty();
        add(&mut reassembly, fragment(1, 2, 0, b"xy")).unwrap();
        assert_eq!(reassembly.pop(), None);
        add(&mut reassembly, fragment(0, 3, 1, b"bc")).unwrap();
        add(&mut reassembly, fragment(0, 3, 0, b"a")).unwrap();
        assert_eq!(reassembly.pop().unwrap().body, b"abc");
        assert_eq!(reassembly.pop().unwrap().body, b"xy");
        assert_eq!(
            add(&mut reassembly, fragment(1, 2, 0, b"xy")),
            Err(Discard::OldMessage)
        );
        assert_eq!(reassembly.cost(), 0);
    }

    /// A1, A2.
    #[test]
    fn a_fragment_with_another_total_length_or_type_is_discarded() {
        let mut reassembly = empty();
        add(&mut reassembly, fragment(0, 100, 0, &[1; 50])).unwrap();
        assert_eq!(
            add(&mut reassembly, fragment(0, 4000, 50, &[1; 50])),
            Err(Discard::ConflictingFragment)
        );
        let (mut header, data) = fragment(0, 100, 50, &[1; 50]);
        header.typ = HandshakeType::SERVER_HELLO;
        assert_eq!(
            add(&mut reassembly, (header, data)),
            Err(Discard::ConflictingFragment)
        );
        add(&mut reassembly, fragment(0, 100, 50, &[1; 50])).unwrap();
        assert_eq!(reassembly.pop().unwrap().body, [1; 100]);
    }

    /// A forged announcement that came first must not keep the honest message out for ever.
    #[test]
    fn a_whole_message_displaces_an_incomplete_one_that_contradicts_it() {
        let mut reassembly = empty();
        add(&mut reassembly, fragment(0, 4000, 0, &[9; 5])).unwrap();
        add(&mut reassembly, fragment(0, 3, 0, b"abc")).unwrap();
        assert_eq!(reassembly.pop().unwrap().body, b"abc");

        add(&mut reassembly, fragment(1, 4000, 0, &[9; 5])).unwrap();
        assert!(add(&mut reassembly, fragment(1, 100, 0, &[1; 50])).is_err());
        reassembly.forget_disputed();
        add(&mut reassembly, fragment(1, 100, 0, &[1; 50])).unwrap();
        add(&mut reassembly, fragment(1, 100, 50, &[1; 50])).unwrap();
        assert!(reassembly.pop().is_some());
    }

    /// A3: a length field allocates nothing.
    #[test]
    fn announced_lengths_allocate_nothing() {
        let mut reassembly = empty();
        for seq in 0..WINDOW {
            assert_eq!(
                add(&mut reassembly, fragment(seq, 0xff_ffff, 0, b"x")),
                Err(Discard::MessageTooLong)
            );
            add(&mut reassembly, fragment(seq, MAX as u32, 1000, b"x")).unwrap();
        }
        assert!(reassembly.cost() < 500);
        let too_long = fragment(0, MAX as u32 + 1, 0, b"x");
        assert_eq!(add(&mut reassembly, too_long), Err(Discard::MessageTooLong));
    }

    /// A4.
    #[test]
    fn empty_fragments_are_refused_but_empty_messages_are_not() {
        let mut reassembly = empty();
        for _ in 0..100_000 {
            assert_eq!(
                add(&mut reassembly, fragment(0, 5, 2, b"")),
                Err(Discard::BadFragment)
            );
        }
        add(&mut reassembly, fragment(0, 0, 0, b"")).unwrap();
        assert_eq!(reassembly.pop().unwrap().body, b"");
    }

    /// A17: only seven messages, counted from the expected one, are looked at.
    #[test]
    fn messages_far_ahead_are_refused() {
        let mut reassembly = empty();
        for seq in WINDOW..u16::MAX {
            assert_eq!(
                add(&mut reassembly, fragment(seq, 1, 0, b"x")),
                Err(Discard::MessageTooFarAhead)
            );
        }
        assert_eq!(reassembly.cost(), 0);
        add(&mut reassembly, fragment(WINDOW - 1, 1, 0, b"x")).unwrap();
    }

    /// C13: the budget holds in every order, and the expected message always finds room.
    #[test]
    fn later_messages_leave_room_for_the_expected_one() {
        let mut reassembly = empty();
        let mut refused = 0;
        for seq in 1..WINDOW {
            for offset in (0..MAX as u32).step_by(512).rev() {
                let data = [7; 512];
                refused += usize::from(
                    add(&mut reassembly, fragment(seq, MAX as u32, offset, &data)).is_err(),
                );
                assert!(reassembly.cost() <= 2 * MAX);
            }
        }
        assert!(refused > 0);
        for offset in (0..MAX as u32).step_by(512) {
            add(&mut reassembly, fragment(0, MAX as u32, offset, &[8; 512])).unwrap();
            assert!(reassembly.cost() <= 2 * MAX);
        }
        assert_eq!(reassembly.pop().unwrap().body, [8; MAX]);
    }

    #[test]
    fn a_message_that_was_not_taken_can_come_again() {
        let mut reassembly = empty();
        add(&mut reassembly, fragment(1, 1, 0, b"n")).unwrap();
        add(&mut reassembly, fragment(0, 1, 0, b"f")).unwrap();
        let forged = reassembly.pop().unwrap();
        reassembly.expect_again(forged.seq);
        assert_eq!(reassembly.pop(), None);
        add(&mut reassembly, fragment(0, 1, 0, b"h")).unwrap();
        assert_eq!(reassembly.pop().unwrap().body, b"h");
        assert_eq!(reassembly.pop().unwrap().body, b"n");
    }

    /// A16: the last number there is does not wrap.
    #[test]
    fn after_the_last_message_number_nothing_is_expected() {
        let mut reassembly = Reassembly::new(MessageSeq(u16::MAX), WINDOW, MAX);
        add(&mut reassembly, fragment(u16::MAX, 0, 0, b"")).unwrap();
        assert!(reassembly.pop().is_some());
        assert_eq!(
            add(&mut reassembly, fragment(0, 0, 0, b"")),
            Err(Discard::OldMessage)
        );
    }
}
