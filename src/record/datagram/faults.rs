//! Whose fault something is that comes in the clear: anybody's, unless the policy takes it for the peer's.

use super::{Datagram, Progress};
use crate::config::PlaintextAlerts;
use crate::protocol::Epoch;
use crate::record::{Discard, Fault};
use crate::wire::handshake::FragmentHeader;

impl Datagram {
    /// Whether what comes in this epoch and has no place is taken for a fault of the peer: in the clear, by the policy, and only
    /// until the first handshake is done.
    pub(super) fn fails_by_plaintext(&self, epoch: Epoch) -> bool {
        epoch == Epoch::PLAINTEXT
            && self.policy.conformance.fail_by_plaintext_faults
            && match &self.progress {
                Progress::Handshaking { current, .. } => *current == Epoch::PLAINTEXT,
                Progress::Continuous(continuous) => !continuous.done,
                Progress::Established { .. } => false,
            }
    }

    /// Whether acknowledgements in the clear are believed: by the policy, and only until the first handshake is done.
    pub(super) fn trusts_plaintext_acks(&self) -> bool {
        let shaking_hands = match &self.progress {
            Progress::Continuous(continuous) => !continuous.done,
            _ => false,
        };
        self.policy.conformance.acknowledge_plaintext && shaking_hands
    }

    /// Whether a message that is too long ends the attempt although it came in the clear: not because of a length that somebody
    /// announces, but when so much of it is here that its sender takes part in the handshake, or can end it by an alert as well.
    pub(super) fn believes_too_long(&mut self, header: &FragmentHeader) -> bool {
        let slots = match &mut self.progress {
            Progress::Handshaking { slots, .. } => &mut **slots,
            Progress::Continuous(continuous) => &mut continuous.slots,
            Progress::Established { .. } => return false,
        };
        let proved = slots.note_too_long(header);
        self.too_long |= proved;
        proved && self.policy.plaintext_alerts == PlaintextAlerts::Believe
    }

    /// Counts something that is of no use, or takes it for this fault of the peer.
    pub(super) fn count_or_fail(
        &mut self,
        epoch: Epoch,
        cause: Discard,
        fault: Fault,
    ) -> Result<(), Fault> {
        if self.fails_by_plaintext(epoch) {
            return Err(fault);
        }
        self.stats.discard(cause);
        Ok(())
    }
}
