//! NewSessionTicket (RFC 5077 §3.3, RFC 8446 §4.6.1).

use super::codec::{Reader, Writer};
use super::extension::{Known, decode_block, put_extension};
use crate::error::InvalidMessage;
use crate::protocol::ExtensionType;

/// A ticket for the session that the handshake makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewSessionTicket {
    /// How long the ticket is good for, in seconds; 0 for unspecified.
    pub(crate) lifetime_hint: u32,
    /// What the client presents later; empty if the server has changed its mind.
    pub(crate) ticket: Vec<u8>,
}

impl NewSessionTicket {
    /// Decodes a body.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let lifetime_hint = u32::from_be_bytes(reader.array("ticket_lifetime_hint")?);
        let ticket = reader.vec16("ticket")?.to_vec();
        reader.finish("NewSessionTicket")?;
        Ok(Self {
            lifetime_hint,
            ticket,
        })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.lifetime_hint.to_be_bytes());
        out.put_vec(2, |out| out.put(&self.ticket));
    }
}

/// A ticket of version 1.3, sent when the handshake is done (RFC 8446 §4.6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewSessionTicket13 {
    /// How long the ticket is good for, in seconds.
    pub(crate) lifetime: u32,
    /// What a client adds to the ticket's age.
    pub(crate) age_add: u32,
    /// What the ticket's key is derived with; different for every ticket of a connection.
    pub(crate) nonce: Vec<u8>,
    /// What the client presents later.
    pub(crate) ticket: Vec<u8>,
    /// An extension that no client knows (RFC 8701 §4.1).
    pub(crate) grease: Option<ExtensionType>,
}

impl NewSessionTicket13 {
    /// Decodes a body. Extensions are skipped: the only one there is allows early data.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let lifetime = u32::from_be_bytes(reader.array("ticket_lifetime")?);
        let age_add = u32::from_be_bytes(reader.array("ticket_age_add")?);
        let nonce = reader.vec8("ticket_nonce")?.to_vec();
        let ticket = reader.vec16("ticket")?.to_vec();
        if ticket.is_empty() {
            return Err(InvalidMessage::EmptyList("ticket"));
        }
        if reader.is_empty() {
            return Err(InvalidMessage::MissingData("extensions"));
        }
        decode_block(&mut reader, |_, _| Ok(Known::No))?;
        reader.finish("NewSessionTicket")?;
        Ok(Self {
            lifetime,
            age_add,
            nonce,
            ticket,
            grease: None,
        })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.lifetime.to_be_bytes());
        out.put(&self.age_add.to_be_bytes());
        out.put_vec(1, |out| out.put(&self.nonce));
        out.put_vec(2, |out| out.put(&self.ticket));
        out.put_vec(2, |out| {
            if let Some(typ) = self.grease {
                put_extension(out, typ, |_| {});
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F5 (OpenSSL CVE-2015-1791): lengths that are too long or too short for the message.
    #[test]
    fn a_ticket_round_trips_and_a_cut_one_is_refused() {
        let message = NewSessionTicket {
            lifetime_hint: 7200,
            ticket: b"ticket".to_vec(),
        };
        let mut body = Vec::new();
        message.encode(&mut body);
        assert_eq!(NewSessionTicket::decode(&body), Ok(message));
        for cut in 0..body.len() {
            assert!(NewSessionTicket::decode(&body[..cut]).is_err());
        }
        body.push(0);
        assert!(NewSessionTicket::decode(&body).is_err());
    }
}
