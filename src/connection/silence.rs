//! What the peer's silence in a renegotiation means: to the data that waits, to the attempt, and to
//! the association.
//!
//! ```text
//!  ClientHello, or HelloRequest ─► data waits ─► hold_data_for ─► data flows ─► Unanswered
//!              ▲
//!              └── each message of the peer, until this end has sent ChangeCipherSpec:
//!                  from then on data waits for the new keys
//! ```
//!
//! A peer that has said nothing is given up after a quarter of the deadline, one that has spoken
//! only after all of it. Over a stream, where an answer may still come, the attempt stays.

use super::attempt::Data;
use super::phase::Phase;
use super::wait::Wait;
use super::{Connection, Event, RenegotiationRefusal};
use crate::record::{RecordLayer, Silence};
use std::time::Instant;

impl<R: RecordLayer> Connection<R> {
    /// The wait for the peer's answer to a request, or to the hello of `handshake`; a server has
    /// its client's hello already.
    pub(super) fn wait_for_attempt(&self, now: Instant, silent: bool) -> Wait {
        let limit = self.records.renegotiation_deadline();
        let mut wait = Wait::new(now, limit);
        wait.extend(now, limit, silent);
        wait
    }

    /// A message of the peer was taken: it is in the middle of a handshake, and data on its way to
    /// it may be the end of that.
    pub(super) fn peer_spoke(&mut self, now: Instant) {
        if let Phase::Renegotiating { attempt, .. } = &mut self.phase {
            attempt.peer_spoke(now, &self.role.parameters().rekey);
        }
    }

    /// The handshake has gone on.
    pub(super) fn attempt_went_on(&mut self, now: Instant) {
        if let Phase::Renegotiating { attempt, .. } = &mut self.phase {
            let silent = attempt.handshake.is_unanswered();
            let limit = self.records.renegotiation_deadline();
            attempt.course.wait.extend(now, limit, silent);
        }
    }

    /// Whether data must wait for the end of a renegotiation.
    pub(super) fn holds_data(&self) -> bool {
        self.phase.holds_data()
    }

    /// Lets data flow if it has waited long enough.
    pub(super) fn end_hold(&mut self, now: Instant) {
        if let Some(course) = self.phase.course()
            && course.data_waits_until().is_some_and(|until| until <= now)
        {
            course.data = Data::Flows;
            self.release_held(now);
        }
    }

    /// The peer has not answered a renegotiation in time. Whether the association can bear that:
    /// over datagrams until this end has switched keys, over a stream, which loses nothing, as long
    /// as the peer has not said anything.
    pub(super) fn survives_silence(&mut self, now: Instant) -> bool {
        let silence = self.records.silence();
        let survives = match &self.phase {
            Phase::Requested { .. } => true,
            Phase::Renegotiating { attempt, .. } => match silence {
                Silence::Ignored => attempt.has_way_back(),
                Silence::Late => attempt.handshake.is_unanswered(),
            },
            Phase::Initial(_) | Phase::Established { .. } | Phase::Closed { .. } => false,
        };
        match (survives, silence) {
            (false, _) => {}
            (true, Silence::Ignored) => self.end_refused(now, RenegotiationRefusal::Unanswered),
            (true, Silence::Late) => self.tell_silence(now),
        }
        survives
    }

    /// The answer may still come, so what was begun stays.
    fn tell_silence(&mut self, now: Instant) {
        if let Some(course) = self.phase.course() {
            course.tell_silence();
        }
        self.events.push_back(Event::RenegotiationRefused {
            reason: RenegotiationRefusal::Unanswered,
        });
        self.release_held(now);
    }
}
