//! A renegotiation, from the call or the message that begins it to its end.
//!
//! Whatever ends with it is in here, so that dropping it is refusing it: what was in force before
//! goes on, and nothing else has changed.

use super::data::ReceiveQueue;
use super::questions::Await;
use super::wait::Wait;
use crate::config::{DataDuringRenegotiation, RekeyPolicy};
use crate::handshake::Handshake;
use crate::handshake::client::OfferedHello;
use crate::record::Initiator;
use std::time::Instant;

/// A renegotiation that the next input or output begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// Whether a client offers the session in force.
    pub(super) abbreviated: bool,
    pub(super) initiator: Initiator,
}

/// What becomes of the data that the application sends meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Data {
    /// It leaves under the keys in force.
    Flows,
    /// It waits, unless the peer says nothing until then.
    Waits { until: Instant },
    /// It waits for the end, whenever that comes: this end has sent ChangeCipherSpec, and so there
    /// is no way back to the keys in force.
    WaitsForNewKeys,
}

impl Data {
    /// What the policy makes of data from now on.
    pub(super) fn under(now: Instant, policy: &RekeyPolicy) -> Self {
        let waits = policy.data != DataDuringRenegotiation::Flow && !policy.hold.is_zero();
        match now.checked_add(policy.hold).filter(|_| waits) {
            Some(until) => Self::Waits { until },
            None => Self::Flows,
        }
    }
}

/// How a renegotiation goes: what a request has in common with the handshake that follows it.
pub(super) struct Course {
    /// Who began it.
    pub(super) initiator: Initiator,
    /// How long the peer is waited for.
    pub(super) wait: Wait,
    pub(super) data: Data,
    /// The application was told that the peer is silent, and an answer may still come.
    pub(super) silence_told: bool,
}

impl Course {
    pub(super) const fn new(initiator: Initiator, wait: Wait, data: Data) -> Self {
        Self {
            initiator,
            wait,
            data,
            silence_told: false,
        }
    }

    /// Until when data waits, if that has an end before the handshake has.
    #[inline]
    pub(super) const fn data_waits_until(&self) -> Option<Instant> {
        match self.data {
            Data::Waits { until } => Some(until),
            Data::Flows | Data::WaitsForNewKeys => None,
        }
    }

    /// The peer is not waited for any more, but what was begun goes on.
    pub(super) fn tell_silence(&mut self) {
        self.silence_told = true;
        self.wait.give_up();
        self.data = Data::Flows;
    }
}

/// A handshake that replaces the keys in force when it is complete.
pub(super) struct Attempt {
    pub(super) handshake: Handshake,
    /// The answer of this end's own that the handshake awaits.
    pub(super) awaited: Option<Box<dyn Await>>,
    pub(super) course: Course,
    /// Data under the next keys that has overtaken the peer's Finished.
    pub(super) early: ReceiveQueue,
    /// The hello with which a client has begun.
    hello: Option<Box<OfferedHello>>,
}

impl Attempt {
    pub(super) fn new(handshake: Handshake, course: Course) -> Self {
        Self {
            hello: handshake.offered().map(Box::new),
            handshake,
            awaited: None,
            course,
            early: ReceiveQueue::default(),
        }
    }

    /// Whether this end still uses the keys in force alone.
    pub(super) fn has_way_back(&self) -> bool {
        self.course.data != Data::WaitsForNewKeys
    }

    /// This end sends ChangeCipherSpec.
    pub(super) const fn point_of_no_return(&mut self) {
        self.course.data = Data::WaitsForNewKeys;
    }

    /// The peer takes part: what it has just said may be followed by its new keys, so data waits.
    pub(super) fn peer_spoke(&mut self, now: Instant, policy: &RekeyPolicy) {
        if std::mem::take(&mut self.course.silence_told) {
            self.course.wait.begin(now);
        }
        if self.has_way_back() {
            self.course.data = Data::under(now, policy);
        }
    }

    /// It has come to nothing.
    pub(super) const fn undone(&mut self) -> Undone {
        Undone {
            initiator: self.course.initiator,
            hello: self.hello.take(),
        }
    }
}

/// What an attempt that came to nothing leaves behind.
pub(super) struct Undone {
    pub(super) initiator: Initiator,
    /// A client's hello, which the server may have taken all the same.
    pub(super) hello: Option<Box<OfferedHello>>,
}
