//! Whether the other end of an association is still there.
//!
//! Over UDP nobody says that a process was killed, and a service may well answer nothing. So an end
//! that has sent data and has heard nothing asks, by something that has to be answered without the
//! service: a key update at version 1.3, which is acknowledged, and a renegotiation at version 1.2,
//! which is carried out or refused. Data, and what these end with, count as answers: all of that is
//! protected, so nobody else can give it.
//!
//! ```text
//!         data sent            patience           patience (and again from another
//!   Quiet ─────────► Unanswered ───────► Asked ──► port, with a connection ID) ──────► dead
//!     ▲                  │                 │
//!     └──── anything ────┴─────────────────┘
//! ```
//!
//! Where nothing but answers to questions comes, as with a service that only takes, the next
//! question is asked after twice the time, up to [`MAX_PATIENCE`].

use sealgram::endpoint::AssociationId;
use sealgram::net::UdpEndpoint;
use sealgram::{Event, KeyUpdate, ProtocolVersion, RenegotiationRefusal};
use std::time::{Duration, Instant};

/// The longest time between two questions to a peer that answers them, but sends no data.
const MAX_PATIENCE: Duration = Duration::from_secs(60);

/// What is known about one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness {
    /// How long an answer may take.
    patience: Duration,
    /// How long data may go unanswered until a question is asked.
    interval: Duration,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was sent since the peer was heard.
    Quiet,
    /// Data was sent at this moment.
    Unanswered(Instant),
    /// The question was asked at this moment.
    Asked(Instant),
    /// It was asked again from another port.
    Moved(Instant),
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Ask the peer for a sign of life.
    Ask,
    /// Take another port, and ask again.
    Move,
    /// The peer is gone, or has forgotten this association.
    Dead,
}

impl Liveness {
    /// A peer that was just heard. With a `patience` of zero it is never asked.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            interval: patience,
            state: State::Quiet,
        }
    }

    /// Data was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        if self.state == State::Quiet && !self.patience.is_zero() {
            self.state = State::Unanswered(now);
        }
    }

    /// Data has come.
    pub(super) const fn heard(&mut self) {
        self.state = State::Quiet;
        self.interval = self.patience;
    }

    /// The peer has answered the question, or has said something else that is not data.
    pub(super) fn answered(&mut self) {
        if let State::Asked(_) | State::Moved(_) = self.state {
            self.interval = (self.interval * 2).min(MAX_PATIENCE.max(self.patience));
        }
        self.state = State::Quiet;
    }

    /// The network reports that the peer is not reached. Anybody can forge that, so it is a reason
    /// to ask, and nothing more.
    pub(super) fn suspect(&mut self, now: Instant) {
        if let State::Unanswered(since) = self.state {
            let due = now.checked_sub(self.interval).unwrap_or(since);
            self.state = State::Unanswered(since.min(due));
        }
    }

    /// When [`Liveness::check`] has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Quiet => None,
            State::Unanswered(since) => Some(since + self.interval),
            State::Asked(since) | State::Moved(since) => Some(since + self.patience),
        }
    }

    /// What is to be done now. `may_move` is whether the peer recognises this end at another port.
    pub(super) fn check(&mut self, now: Instant, may_move: bool) -> Verdict {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Verdict::Wait;
        }
        match self.state {
            State::Quiet => Verdict::Wait,
            State::Unanswered(_) => {
                self.state = State::Asked(now);
                Verdict::Ask
            }
            State::Asked(_) if may_move => {
                self.state = State::Moved(now);
                Verdict::Move
            }
            State::Asked(_) | State::Moved(_) => Verdict::Dead,
        }
    }
}

/// Whether the peer has said something with this event that nobody else can say; data apart.
pub(super) const fn is_answer(event: &Event) -> bool {
    match event {
        Event::KeysUpdated { .. } | Event::PathChanged(_) => true,
        Event::HandshakeComplete { .. } => true,
        Event::RenegotiationRefused { reason } => {
            !matches!(reason, RenegotiationRefusal::Unanswered)
        }
        _ => false,
    }
}

/// Asks the peer for something that it answers without its application. What is under way already
/// is as good a question.
pub(super) fn ask(endpoint: &mut UdpEndpoint, id: AssociationId) {
    if let Some(mut association) = endpoint.association(id) {
        let _under_way = match association.version() {
            Some(ProtocolVersion::DTLS13) => {
                association.key_update(KeyUpdate::NotRequested).is_ok()
            }
            _ => association.renegotiate_abbreviated().is_ok(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(3);

    #[test]
    fn a_peer_that_says_nothing_is_asked_and_then_dead() {
        let (mut liveness, now) = (Liveness::new(PATIENCE), Instant::now());
        assert_eq!(liveness.deadline(), None);
        liveness.sent(now);
        liveness.sent(now + PATIENCE / 2);
        assert_eq!(liveness.check(now + PATIENCE / 2, false), Verdict::Wait);
        assert_eq!(liveness.check(now + PATIENCE, false), Verdict::Ask);
        assert_eq!(liveness.check(now + PATIENCE, false), Verdict::Wait);
        assert_eq!(liveness.check(now + 2 * PATIENCE, false), Verdict::Dead);
    }

    #[test]
    fn with_a_connection_id_it_is_asked_from_another_port_before_that() {
        let (mut liveness, now) = (Liveness::new(PATIENCE), Instant::now());
        liveness.sent(now);
        for (times, verdict) in [(1, Verdict::Ask), (2, Verdict::Move), (3, Verdict::Dead)] {
            assert_eq!(liveness.check(now + times * PATIENCE, true), verdict);
        }
    }

    #[test]
    fn a_service_that_only_takes_is_asked_less_and_less_often() {
        let (mut liveness, mut now) = (Liveness::new(PATIENCE), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..7 {
            liveness.sent(now);
            let due = liveness.deadline().unwrap();
            pauses.push((due - now).as_secs());
            now = due;
            assert_eq!(liveness.check(now, false), Verdict::Ask);
            liveness.answered();
            assert_eq!(liveness.check(now + PATIENCE, false), Verdict::Wait);
        }
        assert_eq!(pauses, [3, 6, 12, 24, 48, 60, 60]);
        liveness.heard();
        liveness.sent(now);
        assert_eq!(liveness.deadline(), Some(now + PATIENCE));
    }

    #[test]
    fn without_patience_nobody_is_asked() {
        let (mut liveness, now) = (Liveness::new(Duration::ZERO), Instant::now());
        liveness.sent(now);
        liveness.suspect(now);
        assert_eq!(liveness.deadline(), None);
        assert_eq!(liveness.check(now + PATIENCE, true), Verdict::Wait);
    }

    #[test]
    fn a_report_of_the_network_brings_the_question_forward_and_no_verdict() {
        let (mut liveness, now) = (Liveness::new(PATIENCE), Instant::now());
        let now = now + PATIENCE;
        liveness.suspect(now);
        assert_eq!(liveness.check(now, false), Verdict::Wait);
        liveness.sent(now);
        liveness.suspect(now);
        assert_eq!(liveness.check(now, false), Verdict::Ask);
        liveness.suspect(now);
        assert_eq!(liveness.check(now, false), Verdict::Wait);
        assert_eq!(liveness.check(now + PATIENCE, false), Verdict::Dead);
    }
}
