//! The deadlines of many associations.

use super::id::AssociationId;
use std::collections::BTreeSet;
use std::time::Instant;

/// Deadlines in order: O(log n) to change one, O(1) to see the first.
#[derive(Default, Debug)]
pub(super) struct Timers {
    deadlines: BTreeSet<(Instant, AssociationId)>,
}

impl Timers {
    /// Makes sure that `id` is looked at by `wanted`. `registered` is what stands here for it.
    ///
    /// A deadline that moves away is left where it is and looked at again when it comes, so that
    /// traffic, which moves the idle deadline with every datagram, costs nothing here.
    #[inline]
    pub(super) fn ensure(
        &mut self,
        id: AssociationId,
        registered: &mut Option<Instant>,
        wanted: Option<Instant>,
    ) {
        match (*registered, wanted) {
            (_, None) => {}
            (Some(registered), Some(wanted)) if registered <= wanted => {}
            (previous, Some(wanted)) => {
                if let Some(previous) = previous {
                    self.deadlines.remove(&(previous, id));
                }
                self.deadlines.insert((wanted, id));
                *registered = Some(wanted);
            }
        }
    }

    /// Forgets `id`.
    pub(super) fn remove(&mut self, id: AssociationId, registered: Option<Instant>) {
        if let Some(registered) = registered {
            self.deadlines.remove(&(registered, id));
        }
    }

    /// The first deadline.
    pub(super) fn first(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Takes the first association whose deadline has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<AssociationId> {
        let &(deadline, id) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.pop_first();
        Some(id)
    }
}
