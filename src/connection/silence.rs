//! What the peer's silence in a renegotiation means: to the data that waits, to the attempt, and to the association.
//!
//! ```text
//!  ClientHello, or HelloRequest ─► data waits ─► hold_data_for: data flows ─► a quarter of the deadline: Unanswered
//!            ▲                                                   ▲              (over a stream the attempt stays)
//!            └── each message of the peer, until this end has    └── behind the first message of the peer: the
//!                sent ChangeCipherSpec: then data waits              whole deadline
//! ```

use super::phase::Phase;
use super::{Connection, Event, RenegotiationRefusal};
use crate::error::Error;
use crate::record::{Records, Silence};
use std::time::{Duration, Instant};

/// The part of the handshake's deadline after which a peer that has said nothing to a renegotiation is not waited for any more.
/// A first handshake has nothing to fall back to, and so waits for all of it.
const PATIENCE_PART: u32 = 4;

impl<R: Records> Connection<R> {
    /// A renegotiation, or the wait for one, begins.
    pub(super) fn start_attempt(&mut self, now: Instant) {
        self.handshake_started = now;
        self.extend_attempt(now);
    }

    /// The peer is waited for again, as long as the whole attempt may take.
    fn extend_attempt(&mut self, now: Instant) {
        let limit = self.records.renegotiation_deadline();
        let after = |from: Instant, limit: Option<Duration>| {
            limit.and_then(|limit| from.checked_add(limit))
        };
        let whole = after(self.handshake_started, limit);
        // A peer that has said something may have switched its keys in the meantime, and would be lost if it were given up in haste.
        let silent = match self.is_unanswered() {
            true => after(now, limit.map(|limit| limit / PATIENCE_PART)),
            false => None,
        };
        self.handshake_deadline = [whole, silent].into_iter().flatten().min();
    }

    /// A message of the peer was taken: whoever is there is in the middle of a handshake, and data in its way may be the end
    /// of that.
    pub(super) fn peer_spoke(&mut self, now: Instant) {
        if let Phase::Renegotiating { .. } = self.phase {
            if self.rekeying.breaks_silence() {
                self.handshake_started = now;
            }
            self.rekeying.hold(now, &self.role.parameters().rekey);
        }
    }

    /// The handshake has gone on.
    pub(super) fn attempt_went_on(&mut self, now: Instant) {
        if let Phase::Renegotiating { .. } = self.phase {
            self.extend_attempt(now);
        }
    }

    /// Whether data must wait for the end of a renegotiation.
    pub(super) fn holds_data(&self) -> bool {
        match &self.phase {
            Phase::Renegotiating { .. } => {
                self.rekeying.has_no_way_back() || self.rekeying.holding().is_some()
            }
            Phase::Established(_) => self.rekeying.holding().is_some(),
            Phase::Initial(_) | Phase::Closed => false,
        }
    }

    /// Lets data flow if it has waited long enough.
    pub(super) fn end_hold(&mut self, now: Instant) {
        if self.rekeying.holding().is_some_and(|until| until <= now) {
            self.rekeying.stop_holding();
            self.release_held(now);
        }
    }

    /// Whether the peer has said nothing at all.
    fn is_unanswered(&self) -> bool {
        match &self.phase {
            Phase::Established(_) => self.rekeying.requested,
            Phase::Renegotiating { handshake, .. } => handshake.is_unanswered(),
            Phase::Initial(_) | Phase::Closed => false,
        }
    }

    /// Whether the peer's silence is only the end of a renegotiation: over datagrams until this end has switched keys,
    /// over a stream, which loses nothing, as long as the peer has not said anything.
    pub(super) fn survives_silence(&self) -> bool {
        match &self.phase {
            Phase::Established(_) => self.rekeying.requested,
            Phase::Renegotiating { handshake, .. } => match self.records.silence() {
                Silence::Ignored => !self.rekeying.has_no_way_back(),
                Silence::Late => handshake.is_unanswered(),
            },
            Phase::Initial(_) | Phase::Closed => false,
        }
    }

    /// The peer has not answered.
    pub(super) fn end_unanswered(&mut self, now: Instant) -> Result<(), Error> {
        if self.records.silence() == Silence::Ignored {
            self.end_refused(now, RenegotiationRefusal::Unanswered);
            return Ok(());
        }
        // What was sent on a stream arrives: the handshake stays, because its answer may still come.
        self.handshake_deadline = None;
        self.rekeying.tell_silence();
        self.events.push_back(Event::RenegotiationRefused {
            reason: RenegotiationRefusal::Unanswered,
        });
        self.release_held(now);
        Ok(())
    }
}
