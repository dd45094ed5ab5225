//! Where an association is in its life.

use crate::handshake::post::Post;
use crate::handshake::{Action, Established, Handshake};

/// A handshake is an object: it exists while it runs and is dropped when it is done.
pub(super) enum Phase {
    /// The first handshake runs.
    Initial(Box<Handshake>),
    /// Keys are in force.
    Established(Box<Established>),
    /// Keys are in force, and a handshake runs that replaces them when it is complete. If it comes to nothing, nothing
    /// has changed.
    Renegotiating {
        /// The handshake.
        handshake: Box<Handshake>,
        /// What is in force.
        current: Box<Established>,
    },
    /// Nothing is sent or taken any more.
    Closed,
}

impl Phase {
    /// What is in force.
    pub(super) fn established(&self) -> Option<&Established> {
        match self {
            Self::Established(current) | Self::Renegotiating { current, .. } => Some(current),
            Self::Initial(_) | Self::Closed => None,
        }
    }

    /// The handshake that runs.
    pub(super) fn handshake(&mut self) -> Option<&mut Handshake> {
        match self {
            Self::Initial(handshake) | Self::Renegotiating { handshake, .. } => Some(handshake),
            Self::Established(_) | Self::Closed => None,
        }
    }

    /// What goes on under the keys of version 1.3.
    pub(super) fn post(&mut self) -> Option<&mut Post> {
        match self {
            Self::Established(current) => current.post(),
            _ => None,
        }
    }

    /// The next thing that the engine wants done.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        match self {
            Self::Initial(handshake) | Self::Renegotiating { handshake, .. } => {
                handshake.poll_action()
            }
            Self::Established(current) => current.post()?.poll_action(),
            Self::Closed => None,
        }
    }
}
