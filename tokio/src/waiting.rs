//! Tasks that wait for something.

use std::task::{Context, Waker};

/// Those who wait for one thing. Each is woken once, and waits again if it was not enough.
#[derive(Default)]
pub(crate) struct Waiting(Vec<Waker>);

impl Waiting {
    /// This task waits too.
    pub(crate) fn join(&mut self, context: &Context<'_>) {
        let waker = context.waker();
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    /// There is something for all of them to see.
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}
