//! Shares of a key exchange inside hellos (RFC 8446 §4.2.8).

use crate::error::InvalidMessage;
use crate::protocol::NamedGroup;
use crate::wire::codec::{Reader, Writer};

/// One side's half of an exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeyShare {
    /// Its group.
    pub(crate) group: NamedGroup,
    /// The public share.
    pub(crate) share: Vec<u8>,
}

impl KeyShare {
    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let group = NamedGroup(body.u16("group")?);
        let share = body.vec16("key_exchange")?;
        if share.is_empty() {
            return Err(InvalidMessage::EmptyList("key_exchange"));
        }
        Ok(Self {
            group,
            share: share.to_vec(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.group.0);
        out.put_vec(2, |out| out.put(&self.share));
    }
}

/// Reads a client's shares; none at all asks the server to name a group.
pub(super) fn decode_shares(body: &mut Reader<'_>) -> Result<Vec<KeyShare>, InvalidMessage> {
    let mut list = Reader::new(body.vec16("client_shares")?);
    let mut shares: Vec<KeyShare> = Vec::new();
    while !list.is_empty() {
        let share = KeyShare::decode(&mut list)?;
        // RFC 8446 §4.2.8: one share for each group.
        if shares.iter().any(|known| known.group == share.group) {
            return Err(InvalidMessage::IllegalValue("client_shares"));
        }
        shares.push(share);
    }
    Ok(shares)
}

pub(super) fn put_shares(out: &mut Vec<u8>, shares: &[KeyShare]) {
    out.put_vec(2, |out| shares.iter().for_each(|share| share.encode(out)));
}
