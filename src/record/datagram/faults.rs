//! Whose fault something is: under keys the peer's, in the clear anybody's, unless the policy takes it for the peer's.

use super::Datagram;
use crate::config::PlaintextFaults;
use crate::protocol::{ContentType, Epoch, RecordNumber};
use crate::record::{Discard, Fault};
use crate::wire::alert;

impl Datagram {
    /// Whether what comes in the clear and has no place is a fault of the peer: by the policy, and only as long as nobody can say
    /// anything else.
    #[inline]
    pub(super) fn fails_by_plaintext(&self, epoch: Epoch) -> bool {
        epoch == Epoch::PLAINTEXT
            && self.policy.plaintext_faults == PlaintextFaults::Fail
            && !self.read.any_protected()
    }

    /// Looks whether a record without protection is a fault.
    #[inline]
    pub(super) fn check_plaintext(
        &self,
        epoch: Epoch,
        content_type: ContentType,
        contents: &[u8],
    ) -> Result<(), Fault> {
        if !self.fails_by_plaintext(epoch) {
            return Ok(());
        }
        match content_type {
            ContentType::APPLICATION_DATA => Err(Fault::UnexpectedData),
            ContentType::ALERT if alert::decode(contents).is_none() => Err(Fault::MalformedAlert),
            ContentType::CHANGE_CIPHER_SPEC if *contents != [1] => {
                Err(Fault::UnexpectedChangeCipherSpec)
            }
            _ => Ok(()),
        }
    }

    /// Counts a fragment that is of no use, or takes it for a fault of the peer if that is the policy.
    pub(super) fn refuse_fragment(
        &mut self,
        number: RecordNumber,
        cause: Discard,
    ) -> Result<(), Fault> {
        let fails = self.fails_by_plaintext(number.epoch);
        match cause {
            // Under keys nobody else can have sent it, and the handshake cannot go on without it.
            Discard::MessageTooLong if fails || number.epoch != Epoch::PLAINTEXT => {
                return Err(Fault::MessageTooLong);
            }
            Discard::ConflictingFragment if fails => return Err(Fault::ConflictingFragment),
            _ => {}
        }
        self.stats.discard(cause);
        Ok(())
    }
}
