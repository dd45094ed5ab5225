//! Where an association is in its life.
//!
//! ```text
//!  Initial ──► Established ◄───────────────────────────────┐
//!                 │    ▲                                   │
//!                 │    └─ it comes to nothing ─┬───────┐   │
//!                 ├──► Requested ──────────────┤       │   │ the new keys
//!                 │   a server's HelloRequest  │ hello │   │ are in force
//!                 │                            ▼       │   │
//!                 └──────────────────────► Renegotiating ──┘
//! ```
//!
//! From everywhere an error or the end of the association leads to `Closed`.

use super::attempt::{Attempt, Course, Data, Undone, Wanted};
use super::data::ReceiveQueue;
use super::first::First;
use super::questions::Await;
use super::wait::Wait;
use crate::handshake::post::Post;
use crate::handshake::{Action, Completed, Concluded, Handshake, Outcome};
use crate::session::Agreed;
use std::time::Instant;

/// What an association does, with everything that ends when it does something else.
pub(super) enum Phase {
    /// The first handshake runs.
    Initial(Box<First>),
    /// Keys are in force, and nothing is under way that replaces them by another handshake.
    Established {
        /// What is in force.
        current: Box<Completed>,
        /// The renegotiation that the next input or output begins.
        wanted: Option<Wanted>,
        /// RFC 9147 §5.8.1: a client of version 1.3 does not know yet that the server has the whole
        /// of its handshake.
        unconfirmed: Option<Box<Wait>>,
    },
    /// A server has asked its client for a handshake, and the client has not answered.
    Requested {
        /// How that goes.
        request: Box<Course>,
        /// What is in force.
        current: Box<Completed>,
    },
    /// A handshake runs that replaces the keys in force when it is complete.
    Renegotiating {
        /// The handshake.
        attempt: Box<Attempt>,
        /// What is in force.
        current: Box<Completed>,
    },
    /// Nothing is sent or taken any more.
    Closed {
        /// What was in force, if the first handshake was completed: what the application learns of
        /// late, as of data that has come just before the end, still has a peer.
        last: Option<Box<Concluded>>,
    },
}

impl Phase {
    /// Keys are in force, and nothing is under way.
    const fn resting(current: Box<Completed>) -> Self {
        Self::Established {
            current,
            wanted: None,
            unconfirmed: None,
        }
    }

    /// What is in force.
    #[inline]
    pub(super) fn established(&self) -> Option<&Completed> {
        match self {
            Self::Established { current, .. } => Some(current),
            other => other.established_beside(),
        }
    }

    /// What is in force while something else is under way.
    fn established_beside(&self) -> Option<&Completed> {
        match self {
            Self::Established { current, .. }
            | Self::Requested { current, .. }
            | Self::Renegotiating { current, .. } => Some(current),
            Self::Initial(_) | Self::Closed { .. } => None,
        }
    }

    /// What was agreed: it is said also when the association is over.
    pub(super) fn agreed(&self) -> Option<&Agreed> {
        match self {
            Self::Closed { last } => Some(&last.as_ref()?.agreed),
            live => live.established().map(Completed::agreed),
        }
    }

    /// How the handshake went whose keys are in force, or were at the end.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Closed { last } => Some(&last.as_ref()?.outcome),
            live => Some(&live.established()?.outcome),
        }
    }

    /// The association is over. No secret is left.
    pub(super) fn conclude(&mut self) {
        let last = match std::mem::replace(self, Self::Closed { last: None }) {
            Self::Established { current, .. }
            | Self::Requested { current, .. }
            | Self::Renegotiating { current, .. } => Some(Box::new(current.conclude())),
            Self::Initial(_) => None,
            Self::Closed { last } => last,
        };
        *self = Self::Closed { last };
    }

    /// The handshake that runs.
    pub(super) fn handshake(&mut self) -> Option<&mut Handshake> {
        match self {
            Self::Initial(first) => Some(&mut first.handshake),
            Self::Renegotiating { attempt, .. } => Some(&mut attempt.handshake),
            Self::Established { .. } | Self::Requested { .. } | Self::Closed { .. } => None,
        }
    }

    /// The answer of this end's own that the handshake awaits.
    #[inline]
    pub(super) fn awaited(&self) -> Option<&dyn Await> {
        match self {
            Self::Initial(first) => first.awaited.as_deref(),
            Self::Renegotiating { attempt, .. } => attempt.awaited.as_deref(),
            Self::Established { .. } | Self::Requested { .. } | Self::Closed { .. } => None,
        }
    }

    /// From now on the handshake awaits this answer, or none.
    pub(super) fn set_awaited(&mut self, awaited: Option<Box<dyn Await>>) {
        match self {
            Self::Initial(first) => first.awaited = awaited,
            Self::Renegotiating { attempt, .. } => attempt.awaited = awaited,
            Self::Established { .. } | Self::Requested { .. } | Self::Closed { .. } => {}
        }
    }

    /// Whether keys are in force and nothing is to be begun.
    #[inline]
    pub(super) fn is_at_rest(&self) -> bool {
        match self {
            Self::Established {
                current,
                wanted: None,
                ..
            } => !current.post_ref().is_some_and(Post::wants_to_begin),
            _ => false,
        }
    }

    /// What goes on under the keys of version 1.3.
    #[inline]
    pub(super) fn post(&mut self) -> Option<&mut Post> {
        match self {
            Self::Established { current, .. } => current.post(),
            _ => None,
        }
    }

    /// The next thing that the engine wants done.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        match self {
            Self::Established { current, .. } => current.post()?.poll_action(),
            running => running.handshake()?.poll_action(),
        }
    }

    /// The renegotiation that is scheduled.
    #[inline]
    pub(super) const fn wanted(&self) -> Option<Wanted> {
        match self {
            Self::Established { wanted, .. } => *wanted,
            _ => None,
        }
    }

    /// No renegotiation is scheduled any more.
    pub(super) const fn forget_wanted(&mut self) {
        if let Self::Established { wanted, .. } = self {
            *wanted = None;
        }
    }

    /// Whether a renegotiation is scheduled or under way.
    pub(super) const fn is_pending(&self) -> bool {
        self.wanted().is_some()
            || matches!(self, Self::Requested { .. } | Self::Renegotiating { .. })
    }

    /// How the renegotiation goes that is under way.
    #[inline]
    pub(super) fn course(&mut self) -> Option<&mut Course> {
        match self {
            Self::Requested { request, .. } => Some(request),
            Self::Renegotiating { attempt, .. } => Some(&mut attempt.course),
            Self::Initial(_) | Self::Established { .. } | Self::Closed { .. } => None,
        }
    }

    /// Whether data must wait for the end of the renegotiation that is under way.
    pub(super) fn holds_data(&self) -> bool {
        match self {
            Self::Requested { request, .. } => request.data != Data::Flows,
            Self::Renegotiating { attempt, .. } => attempt.course.data != Data::Flows,
            Self::Initial(_) | Self::Established { .. } | Self::Closed { .. } => false,
        }
    }

    /// Whether the keys in force can go on, whatever else was begun.
    pub(super) fn has_way_back(&self) -> bool {
        match self {
            Self::Established { .. } | Self::Requested { .. } => true,
            Self::Renegotiating { attempt, .. } => attempt.has_way_back(),
            Self::Initial(_) | Self::Closed { .. } => false,
        }
    }

    /// How much memory the data keeps alive that has overtaken the peer's Finished, in bytes.
    pub(super) fn early_bytes(&self) -> usize {
        match self {
            Self::Initial(first) => first.early.pinned(),
            Self::Renegotiating { attempt, .. } => attempt.early.pinned(),
            Self::Established { .. } | Self::Requested { .. } | Self::Closed { .. } => 0,
        }
    }

    /// Where data waits that has overtaken the peer's Finished.
    pub(super) fn early(&mut self) -> Option<&mut ReceiveQueue> {
        match self {
            Self::Initial(first) => Some(&mut first.early),
            Self::Renegotiating { attempt, .. } => Some(&mut attempt.early),
            Self::Established { .. } | Self::Requested { .. } | Self::Closed { .. } => None,
        }
    }

    /// How long the peer is waited for.
    pub(super) fn wait(&self) -> Option<&Wait> {
        match self {
            Self::Initial(first) => Some(&first.wait),
            Self::Established { unconfirmed, .. } => unconfirmed.as_deref(),
            Self::Requested { request, .. } => Some(&request.wait),
            Self::Renegotiating { attempt, .. } => Some(&attempt.course.wait),
            Self::Closed { .. } => None,
        }
    }

    /// When this phase has waited for something long enough.
    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let also = match self {
            Self::Initial(first) => first.doubt_deadline(),
            Self::Requested { request, .. } => request.data_waits_until(),
            Self::Renegotiating { attempt, .. } => attempt.course.data_waits_until(),
            Self::Established { .. } | Self::Closed { .. } => None,
        };
        let wait = self.wait().and_then(Wait::deadline);
        [wait, also].into_iter().flatten().min()
    }

    /// Goes on from what is in force to another phase.
    pub(super) fn advance(&mut self, next: impl FnOnce(Box<Completed>) -> Self) {
        *self = match std::mem::replace(self, Self::Closed { last: None }) {
            Self::Established { current, .. }
            | Self::Requested { current, .. }
            | Self::Renegotiating { current, .. } => next(current),
            other => other,
        };
    }

    /// The server has the whole of the handshake.
    pub(super) fn confirm(&mut self) {
        if let Self::Established { unconfirmed, .. } = self {
            *unconfirmed = None;
        }
    }

    /// Drops whatever is scheduled or under way. What is in force goes on.
    pub(super) fn go_back(&mut self) -> Option<Undone> {
        let undone = match self {
            Self::Requested { request, .. } => Some(Undone {
                initiator: request.initiator,
                hello: None,
            }),
            Self::Renegotiating { attempt, .. } => Some(attempt.undone()),
            Self::Initial(_) | Self::Established { .. } | Self::Closed { .. } => None,
        };
        self.advance(Self::resting);
        undone
    }
}
