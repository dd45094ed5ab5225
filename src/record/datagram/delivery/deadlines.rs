//! When something is due without any input, and what is done then.

use super::timer::Fired;
use super::{Delivery, Means, Numbering, Sender};
use crate::record::GaveUp;
use std::time::{Duration, Instant};

impl Delivery {
    /// When something is to be done without any input.
    #[inline]
    pub(in super::super) fn deadline(&self) -> Option<Instant> {
        let sending = self.retransmission_deadline();
        [sending, self.sender.retention].into_iter().flatten().min()
    }

    /// When something is sent without any input.
    #[inline]
    pub(in super::super) fn retransmission_deadline(&self) -> Option<Instant> {
        let sending = self.sender.sending.deadline();
        match &self.numbering {
            Numbering::V13(v13) => [sending, v13.deadline()].into_iter().flatten().min(),
            _ => sending,
        }
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    ///
    /// [`GaveUp`] when the retransmission limit is reached.
    pub(in super::super) fn handle_timeout(
        &mut self,
        now: Instant,
        means: &mut Means<'_>,
    ) -> Result<(), GaveUp> {
        if self.sender.retention.take_if(|it| *it <= now).is_some() {
            means.outgoing.release();
            means.records.end_retention();
            if let Numbering::V12(v12) = &mut self.numbering {
                v12.end_retention(&self.sender, means.records);
            }
        }
        let busy = !means.outgoing.is_empty();
        // Before what is sent again: it may be all that the peer waits for.
        if let Numbering::V13(v13) = &mut self.numbering
            && v13.acks.is_due(now)
        {
            v13.tell_acks(&self.sender, means);
        }
        match self.sender.sending.fire(now, &mut self.sender.pace) {
            Fired::NotYet => {}
            Fired::Retransmit { attempt } => self.retransmit(attempt, busy, means),
            Fired::GaveUp => return Err(GaveUp),
        }
        let Numbering::V13(v13) = &mut self.numbering else {
            return Ok(());
        };
        let outcome = v13.handle_timeout(now, busy, &mut self.sender, means);
        self.prune(means.records);
        outcome
    }

    /// Sends the flight again; not while what was sealed before has not been taken (I2): sealing it
    /// twice would only pile up.
    fn retransmit(&mut self, attempt: u32, busy: bool, means: &mut Means<'_>) {
        if let Some(slots) = self.slots_mut() {
            slots.forget_disputed();
        }
        if !busy && means.outgoing.affords_flight() {
            means.outgoing.silence(attempt);
            let acknowledged = self.numbering.is_acknowledged();
            self.sender.sending.repeat(means, acknowledged);
        }
    }

    /// Whether the flight that is out has waited for its answer as long as it does before it is
    /// sent again.
    pub(in super::super) fn is_unanswered(&self, now: Instant) -> bool {
        let Sender { sending, pace, .. } = &self.sender;
        sending.is_unanswered(now, pace)
    }

    /// How often the current flight was sent again.
    pub(in super::super) fn retransmissions(&self) -> u32 {
        let sending = self.sender.sending.retransmissions();
        match &self.numbering {
            Numbering::V13(v13) => sending.max(v13.awaiting.retransmissions()),
            _ => sending,
        }
    }

    /// The first timeout.
    pub(in super::super) const fn initial_timeout(&self) -> Duration {
        self.sender.pace.initial()
    }

    /// Changes the first timeout; timers that run are scaled to it.
    pub(in super::super) fn set_initial_timeout(&mut self, timeout: Duration) {
        let sender = &mut self.sender;
        let before = sender.sending.patience(&sender.pace);
        sender.pace.set_initial(timeout);
        sender.sending.rescale(&sender.pace);
        let patience = sender.sending.patience(&sender.pace);
        if let Numbering::V13(v13) = &mut self.numbering {
            v13.acks.rescale(before, patience);
            v13.awaiting.rescale(&sender.pace);
        }
    }
}
