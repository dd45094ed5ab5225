//! Associations for which an answer of this end's own has come, and what that wakes.
//!
//! ```text
//!  Reply::send, on any thread ─► the association's waker ─► the list ─► the endpoint's waker
//!                                                              │
//!  Endpoint::handle_answers ◄──────────────────────────────────┘   looks at those alone
//! ```

use super::id::AssociationId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The list. Each question that is answered enters its association once.
#[derive(Default)]
pub(super) struct Answered {
    list: Mutex<List>,
    /// Something was entered since the last time: to ask this is cheaper than to take the lock, and
    /// is done with every turn.
    entered: AtomicBool,
}

#[derive(Default)]
struct List {
    ids: Vec<AssociationId>,
    waker: Option<Waker>,
}

impl Answered {
    /// Has `waker` woken whenever a name is entered; at once if there is one already.
    pub(super) fn set_waker(&self, waker: Waker) {
        let mut list = self.lock();
        let earlier = list.waker.replace(waker.clone());
        let wake = !list.ids.is_empty();
        drop(list);
        // A reply may go with it, which takes the lock.
        drop(earlier);
        if wake {
            waker.wake();
        }
    }

    /// What enters `id`.
    pub(super) fn waker_of(self: &Arc<Self>, id: AssociationId) -> Waker {
        let answered = self.clone();
        Waker::from(Arc::new(Entry { id, answered }))
    }

    /// Everything that was entered since the last time.
    pub(super) fn take(&self) -> Vec<AssociationId> {
        if !self.entered.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut self.lock().ids)
    }

    /// A thread that panicked while it held the lock has left the list consistent.
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entry {
    id: AssociationId,
    answered: Arc<Answered>,
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        let mut list = self.answered.lock();
        list.ids.push(self.id);
        self.answered.entered.store(true, Ordering::Release);
        let waker = list.waker.clone();
        drop(list);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
