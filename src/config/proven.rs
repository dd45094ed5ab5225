//! A ClientHello whose sender has proved that it receives at its address.

use crate::protocol::{MessageSeq, Path};
use crate::wire::client_hello::RANDOM_LEN;
use bytes::BytesMut;

/// The datagram that starts a server's association, after the cookie was checked.
///
/// It carries what the association needs to continue the numbering that the cookie exchange began
/// (RFC 6347 §4.2.1, §4.2.2). Made by [`Cookies::check`](crate::endpoint::Cookies::check), or by
/// [`ProvenHello::without_cookie`] for callers that have proof elsewhere.
#[derive(Debug)]
pub struct ProvenHello {
    pub(crate) path: Path,
    pub(crate) datagram: BytesMut,
    pub(crate) message_seq: MessageSeq,
    pub(crate) record_sequence: u64,
    pub(crate) random: [u8; RANDOM_LEN],
}

impl ProvenHello {
    /// Where the client is.
    pub fn path(&self) -> Path {
        self.path
    }
}
