//! A poll that answers wake.

use std::sync::Arc;
use std::task::{Wake, Waker};

/// What wakes the poll of a `mio::Waker`.
struct Poll(Arc<mio::Waker>);

impl Wake for Poll {
    fn wake(self: Arc<Self>) {
        // If the system refuses, the next event or deadline of the loop finds the answer.
        if let Err(error) = self.0.wake() {
            tracing::warn!(%error, "an answer has not woken the event loop");
        }
    }
}

/// The same as a waker of the standard library.
pub(super) fn wakes_poll(waker: Arc<mio::Waker>) -> Waker {
    Waker::from(Arc::new(Poll(waker)))
}
