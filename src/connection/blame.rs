//! What most likely ended a handshake, where the error itself does not say it.

use super::Connection;
use super::phase::Phase;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved, Suspicion};
use crate::record::RecordLayer;

impl<R: RecordLayer> Connection<R> {
    /// Why a handshake has timed out, as far as can be guessed.
    pub(super) fn suspicion(&self) -> Option<Suspicion> {
        let both_connect = matches!(
            &self.phase,
            Phase::Initial(first) if first.hellos_cross && first.handshake.is_unanswered()
        );
        if both_connect {
            Some(Suspicion::BothConnect)
        } else if self.records.has_seen_too_long() {
            Some(Suspicion::MessageTooLong)
        } else if self.awaits_proof_of_shared_key() {
            Some(Suspicion::SharedKeyDiffers)
        } else {
            None
        }
    }

    /// What the first records under a shared key mean if they do not open: most likely nobody has
    /// altered them.
    pub(super) fn blame_key(&self, error: Error) -> Error {
        let unopened = error == PeerMisbehaved::BadRecordMac.into();
        if unopened && self.awaits_proof_of_shared_key() {
            return PeerIncompatible::SharedKeyDiffers.into();
        }
        error
    }

    /// Whether this is a first handshake in which only the peer's Finished is missing, and a shared
    /// key is all that it proves itself with.
    fn awaits_proof_of_shared_key(&self) -> bool {
        match &self.phase {
            Phase::Initial(first) => first.handshake.awaits_proof_of_shared_key(),
            _ => false,
        }
    }
}
