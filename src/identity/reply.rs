//! Answers that may come later: from keys, verifiers, stores and applications that have to ask
//! another system first.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Where an answer goes that a handshake waits for.
///
/// It can be given at once, or handed to another thread and given there. Either way it wakes the
/// loop that owns the connection:
///
/// * [`UdpEndpoint::set_waker`](crate::net::UdpEndpoint::set_waker) and
///   [`TlsStream::set_waker`](crate::net::TlsStream::set_waker) take the `mio::Waker` of the poll;
/// * [`Endpoint::set_waker`](crate::endpoint::Endpoint::set_waker) and
///   [`Connection::set_waker`](crate::Connection::set_waker) take a [`Waker`], which async runtimes
///   provide.
///
/// The handshake goes on with the next turn, or with
/// [`Endpoint::handle_answers`](crate::endpoint::Endpoint::handle_answers) and
/// [`Connection::handle_answers`](crate::Connection::handle_answers). An answer to a handshake that
/// is over by then is lost.
///
/// A `Reply` that is dropped is an answer too: a session is then not found, and any other question
/// ends the handshake with [`Error::ReplyMissing`](crate::Error::ReplyMissing). One that is neither
/// answered nor dropped holds the handshake up until its deadline. It cannot be answered twice:
///
/// ```compile_fail,E0382
/// fn answer(reply: sealgram::Reply<u8>) {
///     reply.send(1);
///     reply.send(2);
/// }
/// ```
#[must_use = "a handshake waits for the answer"]
pub struct Reply<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

impl<T> Reply<T> {
    /// Gives the answer, and wakes the loop that waits for it.
    pub fn send(self, answer: T) {
        self.settle(Slot::Answered(answer));
    }

    /// Ends the wait, if it is not over already.
    fn settle(&self, outcome: Slot<T>) {
        let mut slot = lock(&self.slot);
        let Slot::Empty(waker) = &mut *slot else {
            return;
        };
        let waker = waker.take();
        *slot = outcome;
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.settle(Slot::Abandoned);
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

/// The question was dropped, or was answered before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Abandoned;

enum Slot<T> {
    /// No answer yet, and what is woken when it comes.
    Empty(Option<Waker>),
    Answered(T),
    Abandoned,
}

impl<T> Awaited<T> {
    /// Asks, and has the other end of what was given to `ask`.
    pub(crate) fn of(ask: impl FnOnce(Reply<T>)) -> Self {
        let slot = Arc::new(Mutex::new(Slot::Empty(None)));
        ask(Reply { slot: slot.clone() });
        Self { slot }
    }

    /// The answer, if it has come, once; `None` while it may still come.
    pub(crate) fn take(&self) -> Option<Result<T, Abandoned>> {
        let mut slot = lock(&self.slot);
        if let Slot::Empty(_) = *slot {
            return None;
        }
        match std::mem::replace(&mut *slot, Slot::Abandoned) {
            Slot::Answered(answer) => Some(Ok(answer)),
            Slot::Abandoned | Slot::Empty(_) => Some(Err(Abandoned)),
        }
    }

    /// Has `waker` woken when the answer comes, instead of any earlier one; at once if it has come.
    pub(crate) fn wake(&self, waker: &Waker) {
        let mut slot = lock(&self.slot);
        if let Slot::Empty(woken) = &mut *slot {
            let earlier = woken.replace(waker.clone());
            drop(slot);
            // Whoever owns the other end may go with it, so it goes outside the lock.
            drop(earlier);
            return;
        }
        drop(slot);
        waker.wake_by_ref();
    }
}

/// Nothing waits any more, so nothing is woken.
impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        if let Slot::Empty(woken) = &mut *slot {
            let waker = woken.take();
            drop(slot);
            drop(waker);
        }
    }
}

/// A thread that panicked while it held the lock has left the slot consistent.
fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn taken(&self) -> u32 {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    fn question() -> (Reply<u8>, Awaited<u8>) {
        let mut kept = None;
        let awaited = Awaited::of(|reply| kept = Some(reply));
        (kept.unwrap(), awaited)
    }

    #[test]
    fn an_answer_is_had_once_and_a_dropped_question_is_noticed() {
        let (reply, awaited) = question();
        assert_eq!(awaited.take(), None);
        reply.send(7);
        assert_eq!(awaited.take(), Some(Ok(7)));
        assert_eq!(awaited.take(), Some(Err(Abandoned)));
        let awaited = Awaited::<u8>::of(drop);
        assert_eq!(awaited.take(), Some(Err(Abandoned)));
    }

    #[test]
    fn whoever_waits_is_woken_once_by_an_answer_and_by_none() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        for answered in [true, false] {
            let (reply, awaited) = question();
            awaited.wake(&waker);
            assert_eq!(count.taken(), 0);
            if answered {
                reply.send(7);
            } else {
                drop(reply);
            }
            assert_eq!(count.taken(), 1);
            assert_eq!(awaited.take().unwrap().is_ok(), answered);
        }
    }

    #[test]
    fn an_answer_that_came_before_the_waker_wakes_it_at_once() {
        let count = Arc::new(Count::default());
        let (reply, awaited) = question();
        reply.send(7);
        awaited.wake(&Waker::from(count.clone()));
        assert_eq!(count.taken(), 1);
    }

    /// What goes with its last waker may own the other end.
    #[test]
    fn a_waker_that_goes_may_take_the_question_with_it() {
        struct Owner {
            _question: Mutex<Reply<u8>>,
        }
        impl Wake for Owner {
            fn wake(self: Arc<Self>) {}
        }
        for replaced in [true, false] {
            let (reply, awaited) = question();
            let owner = Owner {
                _question: Mutex::new(reply),
            };
            awaited.wake(&Waker::from(Arc::new(owner)));
            if replaced {
                awaited.wake(Waker::noop());
                assert_eq!(awaited.take(), Some(Err(Abandoned)));
            }
        }
    }

    #[test]
    fn nobody_is_woken_who_waits_no_longer() {
        let count = Arc::new(Count::default());
        let (reply, awaited) = question();
        awaited.wake(&Waker::from(count.clone()));
        drop(awaited);
        reply.send(7);
        assert_eq!(count.taken(), 0);
    }
}
