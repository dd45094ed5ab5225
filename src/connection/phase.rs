//! Where an association is in its life.

use crate::handshake::{Established, Handshake};

/// A handshake is an object: it exists while it runs and is dropped when it is done.
pub(super) enum Phase {
    /// The first handshake runs.
    Initial(Box<Handshake>),
    /// Keys are in force.
    Established(Box<Established>),
    /// Nothing is sent or taken any more.
    Closed,
}

impl Phase {
    /// The session in force.
    pub(super) fn established(&self) -> Option<&Established> {
        match self {
            Self::Established(established) => Some(established),
            Self::Initial(_) | Self::Closed => None,
        }
    }
}
