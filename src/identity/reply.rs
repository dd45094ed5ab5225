//! Answers that may come later: of keys, verifiers and applications that have to ask somebody else first.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where an answer goes that a handshake waits for.
///
/// It can be given at once, or handed to another thread and given there: the handshake goes on when the connection looks again, with
/// [`Connection::handle_answers`](crate::Connection::handle_answers) or with any other input. Whoever answers on another thread
/// wakes the one that has the connection, for example with a `mio::Waker`. An answer to a handshake that is over by then is lost, and
/// if a `Reply` is dropped, the handshake ends with [`Error::Unanswered`](crate::Error::Unanswered).
#[must_use = "a handshake waits for the answer"]
pub struct Reply<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

impl<T> Reply<T> {
    /// Gives the answer.
    pub fn send(self, answer: T) {
        *lock(&self.slot) = Slot::Answered(answer);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        if let Slot::Empty = *slot {
            *slot = Slot::Abandoned;
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// The other end of a [`Reply`].
pub(crate) struct Awaited<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

/// Nobody answers any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Abandoned;

enum Slot<T> {
    Empty,
    Answered(T),
    Abandoned,
}

impl<T> Awaited<T> {
    /// Asks, and has the other end of what was given to `ask`.
    pub(crate) fn of(ask: impl FnOnce(Reply<T>)) -> Self {
        let slot = Arc::new(Mutex::new(Slot::Empty));
        ask(Reply { slot: slot.clone() });
        Self { slot }
    }

    /// The answer, if it has come, once; `None` while it may still come.
    pub(crate) fn take(&self) -> Option<Result<T, Abandoned>> {
        let mut slot = lock(&self.slot);
        if let Slot::Empty = *slot {
            return None;
        }
        match std::mem::replace(&mut *slot, Slot::Abandoned) {
            Slot::Answered(answer) => Some(Ok(answer)),
            Slot::Abandoned | Slot::Empty => Some(Err(Abandoned)),
        }
    }
}

/// Whoever panicked with the lock has left a whole slot behind.
fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_had_once_and_a_dropped_question_is_noticed() {
        let mut kept = None;
        let awaited = Awaited::of(|reply| kept = Some(reply));
        assert_eq!(awaited.take(), None);
        kept.unwrap().send(7);
        assert_eq!(awaited.take(), Some(Ok(7)));
        let awaited = Awaited::<u8>::of(drop);
        assert_eq!(awaited.take(), Some(Err(Abandoned)));
    }
}
