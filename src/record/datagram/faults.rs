//! Whose fault something is that comes in the clear: anybody's, unless the policy takes it for the peer's.

use super::Datagram;
use crate::config::PlaintextFaults;
use crate::protocol::Epoch;
use crate::record::{Discard, Fault};

impl Datagram {
    /// Whether what comes in this epoch and has no place is taken for a fault of the peer: in the clear, by the policy, and only
    /// as long as nobody can say anything else.
    pub(super) fn fails_by_plaintext(&self, epoch: Epoch) -> bool {
        epoch == Epoch::PLAINTEXT
            && self.policy.plaintext_faults == PlaintextFaults::Fail
            && !self.read.any_protected()
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
