//! The first handshake of an association.

use super::afresh::Doubt;
use super::data::ReceiveQueue;
use super::questions::Await;
use super::wait::Wait;
use crate::handshake::Handshake;
use std::time::Instant;

/// The handshake that begins an association, with whatever ends when it is done.
pub(super) struct First {
    pub(super) handshake: Handshake,
    /// The answer of this end's own that the handshake awaits.
    pub(super) awaited: Option<Box<dyn Await>>,
    /// How long the peer is waited for.
    pub(super) wait: Wait,
    /// Data under the first keys that has overtaken the peer's Finished.
    pub(super) early: ReceiveQueue,
    /// What came for the hello that is out, but cannot be its answer.
    pub(super) doubt: Option<Box<Doubt>>,
    /// How often it was begun again.
    pub(super) fresh_starts: u8,
    /// A client has left out the share of a hybrid group, because nothing has answered it.
    pub(super) small_hello: bool,
    /// A ClientHello came where a client waits for an answer.
    pub(super) hellos_cross: bool,
}

impl First {
    pub(super) fn new(handshake: Handshake, wait: Wait) -> Self {
        Self {
            handshake,
            awaited: None,
            wait,
            early: ReceiveQueue::default(),
            doubt: None,
            fresh_starts: 0,
            small_hello: false,
            hellos_cross: false,
        }
    }

    /// When a ServerHello that nothing has proved is given up.
    pub(super) fn doubt_deadline(&self) -> Option<Instant> {
        match self.doubt.as_deref() {
            Some(Doubt::Unproved { until }) => Some(*until),
            _ => None,
        }
    }
}
