//! Where an association is in its life, as far as records can tell, and what is kept meanwhile.

use super::continuous::Continuous;
use super::flight::Flight;
use super::reassembly::Reassembly;
use crate::protocol::{Epoch, MessageSeq};
use std::time::Instant;

/// A peer that has not shown that it receives at its address.
pub(super) struct Unproven {
    /// How many bytes may still be sent to it.
    pub(super) budget: usize,
    /// How many bytes the flight takes that is out.
    pub(super) flight: usize,
}

/// How many times what came from an unproven address is sent to it at most.
pub(super) const AMPLIFICATION: usize = 3;

/// Whether a handshake runs: it decides what a fragment belongs to.
pub(super) enum Progress {
    /// Handshake H: its messages travel in `current`, but its Finished in the epoch after that.
    Handshaking {
        current: Epoch,
        slots: Box<Reassembly>,
        /// The first message of the peer may have number 1 as well as 0: behind a HelloRequest.
        flexible: bool,
        /// The first message of the handshake behind H, which overtook the Finished of H.
        following: Option<Box<Reassembly>>,
    },
    /// Version 1.3: messages are numbered on and on.
    Continuous(Box<Continuous>),
    /// No handshake; the last one ended in `epoch`.
    Established {
        epoch: Epoch,
        /// The number behind that of the peer's Finished, if it is known.
        next: Option<MessageSeq>,
        /// The first message of the next handshake.
        following: Option<Box<Reassembly>>,
    },
}

/// A final flight.
///
/// RFC 6347 §4.2.4 wants it kept for at least twice the MSL. It is kept until the peer proves that it arrived, by
/// data in the new epoch: at 30 % loss some two peers in ten thousand, which repeat their own flight once a minute by
/// then, need longer than four minutes, and would never come up after that. The few bytes cost no timer.
pub(super) struct Retained {
    pub(super) flight: Flight,
    /// The epoch of its Finished.
    pub(super) epoch: Epoch,
    /// Data of the peer has come in that epoch: when the time of retention is over, nobody needs the flight any more.
    pub(super) heard: bool,
    /// When it was sent last, so that a flood of repeated Finished messages is not answered one by one.
    pub(super) sent: Instant,
}

impl Progress {
    /// How many bytes are kept of messages that are not whole, or not taken.
    pub(super) fn cost(&self) -> usize {
        let following = |slots: &Option<Box<Reassembly>>| slots.as_ref().map_or(0, |it| it.cost());
        match self {
            Self::Handshaking {
                slots,
                following: next,
                ..
            } => slots.cost() + following(next),
            Self::Established {
                following: next, ..
            } => following(next),
            Self::Continuous(continuous) => continuous.slots.cost(),
        }
    }
}
