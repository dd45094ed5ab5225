//! What leaves: sealed datagrams in batches, how large they may be, and how much may be sent at
//! all.
//!
//! Everything that depends on the path to the peer is here and nowhere else. Messages that find out
//! whether the peer can be reached elsewhere (RFC 9853) are the only ones that take another way.

mod path_size;

use crate::config::MIN_HANDSHAKE_MTU;
use crate::protocol::Path;
use path_size::PathSize;
use std::collections::VecDeque;

/// What is sealed and waits for the caller, and what is known about the way it takes.
pub(super) struct Outgoing {
    /// Batches that nothing more is added to, in the order in which they were sealed.
    earlier: VecDeque<Segments>,
    /// The last batch, to which datagrams are added so that one system call can send them all. An
    /// empty one keeps its allocation.
    last: Segments,
    /// How many bytes wait; 0 if and only if no datagram does.
    queued: usize,
    /// Whether what was sealed last is an acknowledgement of handshake records.
    ends_with_ack: bool,
    size: PathSize,
    /// How many bytes may wait before data is refused.
    capacity: usize,
    /// What may be sent to an address that is not proved; `None` for one that is.
    unproven: Option<Box<Allowance>>,
    path: Path,
    /// Datagrams for other ways than that one: messages of checks, few and small.
    directed: Option<Box<Directed>>,
}

/// Datagrams, each with the way that it takes.
type Directed = VecDeque<(Path, Vec<u8>)>;

/// Datagrams of one size, but for the last, which may be shorter.
#[derive(Default)]
struct Segments {
    bytes: Vec<u8>,
    segment: usize,
    count: usize,
}

impl Segments {
    /// Whether a datagram of this length can be the next one.
    #[inline]
    fn admits(&self, length: usize) -> bool {
        self.count < MAX_SEGMENTS
            && length <= self.segment
            && self.bytes.len() == self.count * self.segment
            && self.bytes.len() + length <= MAX_BATCH
    }

    /// Moves all datagrams to the end of `out`. An empty `out` is swapped for them.
    #[inline]
    fn move_to(&mut self, out: &mut Vec<u8>) {
        if out.is_empty() {
            std::mem::swap(out, &mut self.bytes);
        } else {
            out.extend_from_slice(&self.bytes);
        }
        self.bytes.clear();
        self.count = 0;
    }

    /// Drops the datagrams that are longer than `limit` bytes.
    fn drop_larger(&mut self, limit: usize) {
        if self.count == 0 || self.segment <= limit {
            return;
        }
        // Only the last may be shorter than the others.
        let full = (self.count - 1) * self.segment;
        self.bytes.drain(..full);
        (self.count, self.segment) = (1, self.bytes.len());
        if self.segment > limit {
            self.bytes.clear();
            self.count = 0;
        }
    }
}

/// A peer that has not shown that it receives at its address.
struct Allowance {
    /// How many bytes may still be sent to it.
    budget: usize,
    /// How many bytes the flight takes that is out.
    flight: usize,
}

/// The most datagrams in one batch: Linux cuts at most 64 segments from one send (UDP_SEGMENT).
const MAX_SEGMENTS: usize = 64;

/// The most bytes in one batch: what one send can carry over IPv4.
const MAX_BATCH: usize = 65_507;

/// How many times what came from an unproven address is sent to it at most.
const AMPLIFICATION: usize = 3;

/// How many datagrams for other ways wait at most: a peer may ask often.
const MAX_DIRECTED: usize = 8;

/// How many tries of one size go unanswered before the next smaller size is tried
/// (RFC 6347 §4.1.1.1).
const TRIES_A_SIZE: u32 = 2;

impl Outgoing {
    /// Nothing waits, and nothing is known about `path` but what was set: datagrams of at most
    /// `mtu` bytes, of which `capacity` bytes may wait.
    pub(super) fn new(path: Path, mtu: usize, capacity: usize) -> Self {
        Self {
            earlier: VecDeque::new(),
            last: Segments::default(),
            queued: 0,
            ends_with_ack: false,
            size: PathSize::new(mtu),
            capacity,
            unproven: None,
            path,
            directed: None,
        }
    }

    /// The way that everything takes.
    pub(super) const fn path(&self) -> Path {
        self.path
    }

    /// From here on everything takes this way. What was learned of the size of datagrams is kept:
    /// most often one peer has moved behind the same narrow link, and nothing is lost by it.
    pub(super) const fn move_to(&mut self, path: Path) {
        self.path = path;
    }

    // What waits.

    /// Whether one more datagram can be sent another way.
    pub(super) fn may_direct(&self) -> bool {
        self.directed
            .as_ref()
            .is_none_or(|them| them.len() < MAX_DIRECTED)
    }

    /// Sends a datagram by this way, whatever the others take.
    pub(super) fn direct(&mut self, path: Path, datagram: Vec<u8>) {
        let directed = self.directed.get_or_insert_default();
        directed.push_back((path, datagram));
    }

    /// Appends the first of them to `out`, and says how long it is and where it goes.
    #[inline]
    pub(super) fn take_directed(&mut self, out: &mut Vec<u8>) -> Option<(usize, Path)> {
        match self.directed {
            None => None,
            Some(_) => self.pop_directed(out),
        }
    }

    #[cold]
    fn pop_directed(&mut self, out: &mut Vec<u8>) -> Option<(usize, Path)> {
        let directed = self.directed.as_mut()?;
        let (path, datagram) = directed.pop_front()?;
        if directed.is_empty() {
            self.directed = None;
        }
        out.extend_from_slice(&datagram);
        Some((datagram.len(), path))
    }

    /// The buffer to whose end exactly `length` bytes, one datagram, are about to be appended.
    #[inline]
    pub(super) fn begin(&mut self, length: usize) -> &mut Vec<u8> {
        self.ends_with_ack = false;
        self.next_datagram(length)
    }

    /// The same for an acknowledgement of handshake records, which a flight may join.
    pub(super) fn begin_ack(&mut self, length: usize) -> &mut Vec<u8> {
        self.ends_with_ack = true;
        self.next_datagram(length)
    }

    /// The same for records of a flight. They join an acknowledgement that was sealed just before
    /// and waits still, so that a server's last words in a handshake are one datagram. How long
    /// that is then is told as well.
    ///
    /// It does not become so long that a path might not carry it: nothing is cut again on account
    /// of what it has joined.
    pub(super) fn begin_flight(&mut self, length: usize) -> (&mut Vec<u8>, usize) {
        let limit = self.size.of_flight().min(MIN_HANDSHAKE_MTU);
        let whole = self.last.bytes.len() + length;
        if self.ends_with_ack && self.last.count == 1 && whole <= limit {
            self.ends_with_ack = false;
            self.queued += length;
            self.last.segment = whole;
            return (&mut self.last.bytes, whole);
        }
        (self.begin(length), length)
    }

    #[inline]
    fn next_datagram(&mut self, length: usize) -> &mut Vec<u8> {
        self.queued += length;
        if self.last.count == 0 {
            self.last.segment = length;
        } else if !self.last.admits(length) {
            self.begin_batch(length);
        }
        self.last.count += 1;
        &mut self.last.bytes
    }

    /// Nothing more can be added to the last batch.
    #[cold]
    fn begin_batch(&mut self, segment: usize) {
        // Most likely it becomes as long as the one before.
        let bytes = Vec::with_capacity(self.last.bytes.len());
        let count = 0;
        let next = Segments {
            bytes,
            segment,
            count,
        };
        self.earlier
            .push_back(std::mem::replace(&mut self.last, next));
    }

    /// Whether there is room for so many bytes of data.
    #[inline]
    pub(super) const fn has_room(&self, length: usize) -> bool {
        self.queued + length <= self.capacity
    }

    /// Appends the first batch to `out`, at most `max_datagrams` (at least one) of it: how many
    /// bytes, and the size of each datagram but the last if there are several. An empty `out` is
    /// swapped for the batch, so nothing is copied; its allocation is used for the next one.
    #[inline]
    pub(super) fn take(
        &mut self,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<(usize, Option<usize>)> {
        if self.queued == 0 {
            return None;
        }
        if !self.earlier.is_empty() || self.last.count > max_datagrams {
            return self.take_part(max_datagrams, out);
        }
        let Segments { count, segment, .. } = self.last;
        let len = std::mem::take(&mut self.queued);
        self.last.move_to(out);
        Some((len, (count > 1).then_some(segment)))
    }

    /// Does the same where more than that waits.
    fn take_part(
        &mut self,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<(usize, Option<usize>)> {
        let batch = self.earlier.front_mut().unwrap_or(&mut self.last);
        let (count, segment) = (batch.count.min(max_datagrams.max(1)), batch.segment);
        let len = batch.bytes.len().min(count * segment);
        if count < batch.count {
            out.extend_from_slice(&batch.bytes[..len]);
            batch.bytes.drain(..len);
            batch.count -= count;
        } else {
            batch.move_to(out);
            self.earlier.pop_front();
        }
        self.queued -= len;
        Some((len, (count > 1).then_some(segment)))
    }

    /// Takes an empty buffer from `buffers` for what is sealed next, if there is none here.
    #[inline]
    pub(super) fn borrow(&mut self, buffers: &mut Vec<Vec<u8>>) {
        if self.last.bytes.capacity() == 0 {
            self.last.bytes = buffers.pop().unwrap_or_default();
        }
    }

    /// The buffer that is not in use, if there is one.
    #[inline]
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        match self.last.count {
            0 => std::mem::take(&mut self.last.bytes),
            _ => Vec::new(),
        }
    }

    /// How many bytes wait.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queued == 0 && self.directed.is_none()
    }

    /// Gives back allocations that an idle association does not need.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            self.earlier = VecDeque::new();
            self.last = Segments::default();
        }
    }

    /// The association ends: what is still to be said is taken however much waits already.
    pub(super) const fn close(&mut self) {
        self.capacity = usize::MAX;
    }

    // How large a datagram may be.

    /// The largest datagram.
    #[inline]
    pub(super) const fn largest(&self) -> usize {
        self.size.limit()
    }

    /// The largest datagram of a handshake flight.
    pub(super) const fn largest_of_flight(&self) -> usize {
        self.size.of_flight()
    }

    /// The application has set the largest datagram; what was learned is forgotten.
    pub(super) const fn set_largest(&mut self, mtu: usize) {
        self.size = PathSize::new(mtu);
    }

    /// The system has refused a datagram of `bytes`. Whether that says anything new; then what
    /// waits and is too large as well is dropped.
    pub(super) fn refused(&mut self, bytes: usize) -> bool {
        if !self.size.refused(bytes) {
            return false;
        }
        let limit = self.size.limit();
        tracing::debug!(bytes, limit, "a datagram is too large for the way out");
        self.drop_larger(limit);
        true
    }

    /// Drops the datagrams that are longer than `limit` bytes.
    fn drop_larger(&mut self, limit: usize) {
        self.earlier.retain_mut(|batch| {
            batch.drop_larger(limit);
            batch.count > 0
        });
        self.last.drop_larger(limit);
        let earlier = self.earlier.iter().map(|batch| batch.bytes.len());
        self.queued = earlier.sum::<usize>() + self.last.bytes.len();
    }

    /// A flight goes unanswered and is about to be sent again, for the `attempt`th time.
    pub(super) fn silence(&mut self, attempt: u32) {
        if attempt.is_multiple_of(TRIES_A_SIZE) {
            self.size.silence();
        }
    }

    /// The peer has answered a flight.
    pub(super) const fn answered(&mut self) {
        self.size.answered();
    }

    /// The handshake has come to nothing.
    pub(super) const fn given_up(&mut self) {
        self.size.given_up();
    }

    // How much may be sent to an address that is not proved.

    /// The peer's address is not proved: until something under keys comes from it, no more is sent
    /// there than three times what came, of which `received` bytes have come already. Whether what
    /// waits is within that.
    pub(super) fn limit_amplification(&mut self, received: usize) -> bool {
        let flight = self.queued;
        let budget = (AMPLIFICATION * received).checked_sub(flight);
        self.unproven = Some(Box::new(Allowance {
            budget: budget.unwrap_or_default(),
            flight,
        }));
        budget.is_some()
    }

    /// So many bytes have come from the peer's address.
    #[inline]
    pub(super) fn received(&mut self, bytes: usize) {
        if let Some(unproven) = &mut self.unproven {
            unproven.budget += AMPLIFICATION * bytes;
        }
    }

    /// Whoever has the keys has seen what was sent to it.
    #[inline]
    pub(super) fn peer_is_proved(&mut self) {
        if self.unproven.is_some() {
            self.unproven = None;
        }
    }

    /// Whether the peer's address is proved.
    pub(super) const fn is_proved(&self) -> bool {
        self.unproven.is_none()
    }

    /// Whether the flight that is out may be sent once more, which is then taken for done.
    pub(super) fn affords_flight(&mut self) -> bool {
        let Some(unproven) = &mut self.unproven else {
            return true;
        };
        let budget = unproven.budget.checked_sub(unproven.flight);
        unproven.budget = budget.unwrap_or(unproven.budget);
        budget.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlimited() -> Outgoing {
        Outgoing::new(Path::UNSPECIFIED, 1200, usize::MAX)
    }

    fn push(outgoing: &mut Outgoing, datagram: &[u8]) {
        outgoing.begin(datagram.len()).extend_from_slice(datagram);
    }

    #[test]
    fn equal_datagrams_leave_as_one_batch_that_a_shorter_one_ends() {
        let mut outgoing = unlimited();
        for datagram in [&b"aaa"[..], b"bbb", b"c", b"ddd"] {
            push(&mut outgoing, datagram);
        }
        let mut out = Vec::new();
        assert_eq!(outgoing.take(64, &mut out), Some((7, Some(3))));
        assert_eq!(out, b"aaabbbc");
        out.clear();
        assert_eq!(outgoing.take(64, &mut out), Some((3, None)));
        assert_eq!((out.as_slice(), outgoing.queued()), (&b"ddd"[..], 0));
        assert_eq!(outgoing.take(64, &mut out), None);
    }

    /// RFC 9147 §4.3: a datagram holds several records, of which one may be an acknowledgement.
    #[test]
    fn a_flight_shares_the_datagram_of_an_acknowledgement_and_data_has_its_own() {
        let mut outgoing = unlimited();
        let flight = |outgoing: &mut Outgoing, record: &[u8]| {
            let (out, length) = outgoing.begin_flight(record.len());
            out.extend_from_slice(record);
            length
        };
        let ack = |outgoing: &mut Outgoing| outgoing.begin_ack(3).extend_from_slice(b"ack");
        ack(&mut outgoing);
        assert_eq!(flight(&mut outgoing, b"tickets"), 10);
        assert_eq!(flight(&mut outgoing, b"update"), 6);
        ack(&mut outgoing);
        push(&mut outgoing, b"data");
        assert_eq!(flight(&mut outgoing, b"update"), 6);
        ack(&mut outgoing);
        let large = [7; MIN_HANDSHAKE_MTU - 2];
        assert_eq!(flight(&mut outgoing, &large), large.len());
        let (mut taken, mut out) = (Vec::new(), Vec::new());
        while let Some((length, _)) = outgoing.take(1, &mut out) {
            taken.push(length);
            out.clear();
        }
        assert_eq!(taken, [10, 6, 3, 4, 6, 3, large.len()]);
        assert_eq!(outgoing.queued(), 0);
        ack(&mut outgoing);
        out.clear();
        assert_eq!(outgoing.take(1, &mut out), Some((3, None)));
        // What was taken is joined by nothing.
        assert_eq!(flight(&mut outgoing, b"update"), 6);
    }

    #[test]
    fn a_caller_that_wants_one_datagram_gets_one() {
        let mut outgoing = unlimited();
        for datagram in [b"aa", b"bb", b"cc"] {
            push(&mut outgoing, datagram);
        }
        for expected in [b"aa", b"bb", b"cc"] {
            let mut out = Vec::new();
            assert_eq!(outgoing.take(1, &mut out), Some((2, None)));
            assert_eq!(out, expected);
        }
        assert!(outgoing.is_empty());
    }

    #[test]
    fn datagrams_that_have_become_too_large_are_dropped_and_no_others() {
        let mut outgoing = unlimited();
        for datagram in [&b"aaaa"[..], b"bbbb", b"c", b"dddd", b"eee", b"ff"] {
            push(&mut outgoing, datagram);
        }
        outgoing.drop_larger(3);
        assert_eq!(outgoing.queued(), 6);
        let mut out = Vec::new();
        while outgoing.take(1, &mut out).is_some() {}
        assert_eq!(out, b"ceeeff");
        assert_eq!(outgoing.queued(), 0);
    }

    #[test]
    fn a_batch_ends_at_sixty_four_datagrams() {
        let mut outgoing = unlimited();
        for _ in 0..MAX_SEGMENTS + 1 {
            push(&mut outgoing, b"x");
        }
        let mut out = Vec::new();
        assert_eq!(outgoing.take(100, &mut out).unwrap().0, MAX_SEGMENTS);
        assert_eq!(outgoing.take(100, &mut out).unwrap().0, 1);
    }
}
