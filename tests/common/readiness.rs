//! Waiting for real sockets.

use super::configs::start;
use mio::{Events, Poll};
use std::io::ErrorKind;
use std::time::Duration;

/// Waits until something is ready or the time is over; `None` for as long as it takes. A signal,
/// for example of whoever stops and continues the test program, ends a wait of the system early:
/// the rest of it follows.
pub fn wait_for(poll: &mut Poll, ready: &mut Events, timeout: Option<Duration>) {
    let began = start();
    let left = || timeout.map(|it| it.saturating_sub(began.elapsed()));
    while let Err(error) = poll.poll(ready, left()) {
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    }
}

/// How long `attempt` takes, the shortest of up to three; one within `bound` is enough. A machine
/// that stands still for a moment makes one attempt late, a fault makes all of them late.
pub fn best_within(bound: Duration, mut attempt: impl FnMut() -> Duration) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(attempt());
        if best < bound {
            break;
        }
    }
    best
}
