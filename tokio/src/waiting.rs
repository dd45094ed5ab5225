//! Tasks that wait for something.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

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

/// The task that reads from a stream, and the one that writes. Each does work that the other waits
/// for, and each may give up at any time: so whatever either of them waits for wakes both.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<[Option<Waker>; 2]>);

impl Tasks {
    /// This is the task that reads.
    pub(crate) fn reads(&self, context: &Context<'_>) {
        self.join(0, context);
    }

    /// This is the task that writes.
    pub(crate) fn writes(&self, context: &Context<'_>) {
        self.join(1, context);
    }

    fn join(&self, place: usize, context: &Context<'_>) {
        let waker = context.waker();
        let known = &mut self.lock()[place];
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// What wakes both.
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        self.clone().into()
    }

    /// This task has done something; the other one may go on now.
    pub(crate) fn wake_other(&self, context: &Context<'_>) {
        self.wake_but(Some(context.waker()));
    }

    /// Wakes both tasks, or the one that is not `this`. No lock is held meanwhile.
    fn wake_but(&self, this: Option<&Waker>) {
        let is_this = |waker: &mut Waker| this.is_some_and(|this| waker.will_wake(this));
        let woken = self
            .lock()
            .each_mut()
            .map(|known| known.take_if(|it| !is_this(it)));
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Waker>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_but(None);
    }
}
