//! Datagrams for addresses that have no association, or none any more.
//!
//! A flood of hellos must not slow down those who are in: an answer costs a system call of its own,
//! more than ten datagrams of an association in a batch. So what associations send goes first, and
//! while they are at work answers are rationed. An honest newcomer whose answer was dropped repeats
//! its hello.
//!
//! An association may always have something to send, where a line takes less than that. So an
//! answer that has waited for a moment goes before the next batch; how many there are is for the
//! ration alone to say.

use crate::connection::Transmit;
use crate::protocol::Path;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many wait at most.
const MAX_REPLIES: usize = 256;

/// One is made in this time, in the long run, while associations are at work: twice as many as a
/// core has time for handshakes.
const INTERVAL: Duration = Duration::from_micros(50);

/// How many more of them there may be at once.
const BURST: u32 = 1024;

/// How long after they have received or sent something associations are at work.
const WORK: Duration = Duration::from_millis(100);

/// How long an answer waits, at most, while associations have something to send. A turn of an event
/// loop has one time, so that within one everything of theirs goes first.
const PATIENCE: Duration = Duration::from_millis(5);

/// Answers to strangers, and the last words of associations that were ended.
pub(super) struct Replies {
    queue: VecDeque<Reply>,
    /// The time, as far as it is known here.
    now: Option<Instant>,
    /// How many more are taken.
    allowance: u32,
    /// Up to when the allowance has grown.
    until: Option<Instant>,
    /// When an established association has received or sent something last.
    worked: Option<Instant>,
}

/// A datagram that waits.
struct Reply {
    path: Path,
    datagram: Vec<u8>,
    since: Option<Instant>,
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            now: None,
            allowance: BURST,
            until: None,
            worked: None,
        }
    }
}

impl Replies {
    /// Whether another one would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.has_no_place() || self.allowance == 0
    }

    /// Whether so many wait that another one would be dropped.
    pub(super) fn has_no_place(&self) -> bool {
        self.queue.len() >= MAX_REPLIES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds one. Whether there was room.
    pub(super) fn push(&mut self, path: Path, datagram: Vec<u8>) -> bool {
        let room = !self.is_full();
        if room {
            self.allowance -= 1;
            self.queue.push_back(Reply {
                path,
                datagram,
                since: self.now,
            });
        }
        room
    }

    /// Appends the oldest to `out`.
    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let Reply { path, datagram, .. } = self.queue.pop_front()?;
        out.extend_from_slice(&datagram);
        Some(Transmit {
            len: datagram.len(),
            segment_size: None,
            path,
        })
    }

    /// Whether the oldest has waited for long enough while associations have something to send.
    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.queue
            .front()
            .is_some_and(|oldest| oldest.since.is_none_or(|since| now >= since + PATIENCE))
    }

    /// An established association has received or sent something.
    #[inline]
    pub(super) const fn note_work(&mut self, now: Instant) {
        self.worked = Some(now);
    }

    /// Time has passed, so more are taken again.
    #[inline]
    pub(super) fn allow_more(&mut self, now: Instant) {
        self.now = Some(now);
        let is_working = self.worked.is_some_and(|worked| now < worked + WORK);
        let until = *self.until.get_or_insert(now);
        if !is_working {
            self.allowance = BURST;
            self.until = Some(now);
        } else if now >= until + INTERVAL {
            self.grow(now, until);
        }
    }

    fn grow(&mut self, now: Instant, until: Instant) {
        let passed = (now - until).as_nanos() / INTERVAL.as_nanos();
        match u32::try_from(passed) {
            Ok(earned) if earned < BURST - self.allowance => {
                self.allowance += earned;
                self.until = Some(until + INTERVAL * earned);
            }
            _ => {
                self.allowance = BURST;
                self.until = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these many answers are taken, each of them sent at once.
    fn taken(replies: &mut Replies, now: Instant, wanted: u32) -> u32 {
        let path = Path::new(([192, 0, 2, 1], 7).into());
        let mut count = 0;
        for _ in 0..wanted {
            count += u32::from(replies.push(path, vec![1]));
            while replies.poll_transmit(&mut Vec::new()).is_some() {}
            replies.allow_more(now);
        }
        count
    }

    #[test]
    fn beside_the_work_of_associations_answers_are_rationed_but_for_a_burst() {
        let (mut now, mut replies) = (crate::test_now(), Replies::default());
        assert_eq!(taken(&mut replies, now, 5000), 5000);
        replies.note_work(now);
        assert_eq!(taken(&mut replies, now, 5000), BURST);
        let mut count = 0;
        for _ in 0..1000 {
            now += Duration::from_millis(1);
            replies.note_work(now);
            replies.allow_more(now);
            count += taken(&mut replies, now, 100);
        }
        assert_eq!(count, 20_000);
        // What is not used is left for a burst.
        now += Duration::from_millis(90);
        replies.note_work(now);
        replies.allow_more(now);
        assert_eq!(taken(&mut replies, now, 5000), BURST);
        // Nobody is at work any more.
        now += WORK;
        replies.allow_more(now);
        assert_eq!(taken(&mut replies, now, 5000), 5000);
    }

    #[test]
    fn without_being_sent_they_are_bounded() {
        let mut replies = Replies::default();
        let path = Path::new(([192, 0, 2, 1], 7).into());
        let pushed = (0..5000).filter(|_| replies.push(path, vec![1])).count();
        assert_eq!(pushed, MAX_REPLIES);
    }
}
