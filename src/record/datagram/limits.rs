//! Whose limit it is that data is too long for.

use super::Datagram;
use crate::error::SendError;
use crate::protocol::RecordLimits;
use crate::record::Layer as _;

impl Datagram {
    /// Why data is refused that does not fit: the peer's limit on records if it is the smaller one.
    #[cold]
    pub(super) fn too_large(&self) -> SendError {
        let max = self.max_payload();
        match self.records.limits() {
            RecordLimits::None => SendError::TooLarge { max },
            _ if max < self.records.max_contents() => SendError::TooLarge { max },
            _ => SendError::BeyondPeerLimit { max },
        }
    }
}
