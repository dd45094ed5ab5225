//! Sending data messages at a pace, and counting those that come; either end does both.

use super::protocol::{Data, Order, Report};
use super::traffic::Traffic;
use sealgram::error::SendError;
use std::time::{Duration, Instant};

/// Data messages on their way to one peer.
#[derive(Debug)]
pub(super) struct Sender {
    data: Data,
    began: Instant,
    burst: u64,
    /// Messages in a second; `None` for as many as there is room for.
    per_second: Option<u32>,
}

/// What became of one attempt to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// More can be sent at once.
    Some,
    /// There is no room.
    Full,
    /// The pace allows no more before this moment.
    NotBefore(Instant),
}

impl Sender {
    /// Sends as `order` says from now on.
    pub(super) fn new(now: Instant, order: &Order, stream: bool) -> Self {
        Self {
            data: Data::new(order.size, stream),
            began: now,
            burst: order.burst.max(1).into(),
            per_second: Some(order.per_second).filter(|&rate| rate > 0),
        }
    }

    /// Sends no more than one burst.
    pub(super) fn advance<E: Traffic>(
        &mut self,
        now: Instant,
        endpoint: &mut E,
        id: E::Id,
    ) -> Result<Sent, SendError> {
        let allowed = match self.due(now) {
            Ok(allowed) => allowed,
            Err(later) => return Ok(Sent::NotBefore(later)),
        };
        Ok(match endpoint.send_data(id, &mut self.data, allowed)? {
            0 => Sent::Full,
            _ => Sent::Some,
        })
    }

    /// How many messages may leave now, or when the next one may.
    fn due(&self, now: Instant) -> Result<u64, Instant> {
        let Some(rate) = self.per_second else {
            return Ok(self.burst);
        };
        let elapsed = now.saturating_duration_since(self.began);
        let planned = elapsed.as_nanos() * u128::from(rate) / NANOSECONDS + 1;
        let behind = planned.saturating_sub(self.sent().into());
        match u64::try_from(behind).unwrap_or(u64::MAX).min(self.burst) {
            0 => {
                let wait = u128::from(self.sent()) * NANOSECONDS / u128::from(rate);
                let wait = u64::try_from(wait).unwrap_or(u64::MAX);
                Err(self.began + Duration::from_nanos(wait.saturating_add(1)))
            }
            allowed => Ok(allowed),
        }
    }

    /// How many messages were sent.
    pub(super) const fn sent(&self) -> u64 {
        self.data.sent()
    }
}

const NANOSECONDS: u128 = 1_000_000_000;

/// Data messages that have come from one peer. No datagram comes twice, because records that are
/// repeated are dropped (RFC 6347 §4.1.2.6), so what is missing is what was lost.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) bytes: u64,
    pub(super) reordered: u64,
    /// The highest number so far, plus one.
    beyond: u64,
    /// When the first and the last of them came.
    span: Option<(Instant, Instant)>,
}

impl Tally {
    /// Counts a message of `length` bytes.
    pub(super) fn count(&mut self, now: Instant, sequence: u64, length: usize) {
        self.received += 1;
        self.bytes += u64::try_from(length).unwrap_or_default();
        self.reordered += u64::from(sequence < self.beyond);
        self.beyond = self.beyond.max(sequence.saturating_add(1));
        let (first, _) = self.span.unwrap_or((now, now));
        self.span = Some((first, now));
    }

    /// Adds what has come from another peer.
    pub(super) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.bytes += other.bytes;
        self.reordered += other.reordered;
        self.span = match (self.span, other.span) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
    }

    /// From the first to the last of them.
    pub(super) fn time(&self) -> Duration {
        self.span
            .map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// The same for the other end.
    pub(super) fn report(&self) -> Report {
        Report {
            received: self.received,
            bytes: self.bytes,
            reordered: self.reordered,
            span_ns: nanoseconds(self.time()),
            ..Report::default()
        }
    }
}

/// A time as messages state it.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::protocol::Mode;

    #[test]
    fn a_pace_is_kept_in_bursts_of_a_limited_size() {
        let order = Order {
            mode: Mode::Source,
            size: 100,
            burst: 4,
            milliseconds: 0,
            per_second: 1000,
        };
        let start = Instant::now();
        let mut sender = Sender::new(start, &order, false);
        let mut send = |after: Duration| match sender.due(start + after) {
            Ok(allowed) => {
                (0..allowed).for_each(|_| sender.data.advance());
                Ok(allowed)
            }
            Err(later) => Err(later - start),
        };
        let millisecond = Duration::from_millis(1);
        assert_eq!(send(Duration::ZERO), Ok(1));
        let next = send(Duration::ZERO).unwrap_err();
        assert!(next >= millisecond && next < 2 * millisecond, "{next:?}");
        assert_eq!(send(next), Ok(1));
        // Behind its pace it catches up.
        for sent in [4, 4, 1] {
            assert_eq!(send(10 * millisecond), Ok(sent));
        }
        assert!(send(10 * millisecond).is_err());
    }

    #[test]
    fn what_comes_late_is_counted_as_reordered_and_not_as_lost() {
        let start = Instant::now();
        let mut tally = Tally::default();
        for (after, sequence) in [0, 2, 1, 3].into_iter().enumerate() {
            let after = Duration::from_secs(u64::try_from(after).unwrap());
            tally.count(start + after, sequence, 100);
        }
        let report = tally.report();
        assert_eq!((report.received, report.reordered), (4, 1));
        assert_eq!((report.bytes, report.span_ns), (400, 3_000_000_000));
    }
}
