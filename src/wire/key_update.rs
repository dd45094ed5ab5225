//! KeyUpdate (RFC 8446 §4.6.3).

use super::codec::Reader;
use crate::error::InvalidMessage;

/// Whether the receiver of a KeyUpdate is to update its own keys too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(doc, doc(alias = "SSL_KEY_UPDATE_REQUESTED"))]
pub enum KeyUpdate {
    /// Only this end's sending keys change (update_not_requested).
    NotRequested,
    /// The peer is asked to change its sending keys as well (update_requested).
    Requested,
}

impl KeyUpdate {
    /// Decodes a body; `None` if it asks for something that does not exist.
    pub(crate) fn decode(body: &[u8]) -> Result<Option<Self>, InvalidMessage> {
        let mut reader = Reader::new(body);
        let request = reader.u8("request_update")?;
        reader.finish("KeyUpdate")?;
        Ok(match request {
            0 => Some(Self::NotRequested),
            1 => Some(Self::Requested),
            _ => None,
        })
    }

    /// The body.
    pub(crate) fn encode(self) -> Vec<u8> {
        vec![u8::from(self == Self::Requested)]
    }
}
