//! Whose fault something is that comes in the clear: anybody's, unless the policy takes it for the
//! peer's.

use super::fragments::Fragment;
use super::{Delivery, Means, Numbering};
use crate::config::PlaintextAlerts;
use crate::protocol::Epoch;
use crate::record::datagram::records::Records;
use crate::record::{Discard, Fault};

impl Delivery {
    /// Whether what comes in this epoch and has no place is taken for a fault of the peer: in the
    /// clear, by the policy, and only until the first handshake is done.
    pub(in super::super) fn fails_by_plaintext(&self, epoch: Epoch, records: &Records) -> bool {
        epoch == Epoch::PLAINTEXT
            && self.policy().conformance.fail_by_plaintext_faults
            && match &self.numbering {
                Numbering::Hello(_) | Numbering::V12(_) => records.in_force() == Epoch::PLAINTEXT,
                Numbering::V13(v13) => !v13.is_established(),
            }
    }

    /// Counts something that is of no use, or takes it for this fault of the peer.
    ///
    /// # Errors
    ///
    /// The fault.
    pub(in super::super) fn count_or_fail(
        &self,
        epoch: Epoch,
        cause: Discard,
        fault: Fault,
        means: &mut Means<'_>,
    ) -> Result<(), Fault> {
        if self.fails_by_plaintext(epoch, means.records) {
            return Err(fault);
        }
        means.stats.discard(cause);
        Ok(())
    }

    /// Whether a message that is too long ends the attempt although it came in the clear: not
    /// because of a length that anybody can announce, but when so much of it is here that its
    /// sender takes part in the handshake, or can end it by an alert as well.
    pub(super) fn believes_too_long(&mut self, fragment: &Fragment<'_>) -> bool {
        let believes = self.policy().plaintext_alerts == PlaintextAlerts::Believe;
        let proved = self
            .slots_mut()
            .is_some_and(|slots| slots.note_too_long(&fragment.header));
        proved && believes
    }
}
