//! Whose limit it is that data is too long for.

use super::Datagram;
use crate::error::SendError;
use crate::record::Layer as _;

impl Datagram {
    /// Why data is refused that does not fit: the peer's limit on records if it is the smaller one.
    #[cold]
    pub(super) fn too_large(&self) -> SendError {
        let max = self.max_payload();
        match self.records.is_limited() && max == self.records.max_contents() {
            true => SendError::BeyondPeerLimit { max },
            false => SendError::TooLarge { max },
        }
    }
}
