//! NewSessionTicket (RFC 5077 §3.3).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// F5 (OpenSSL CVE-2015-1791): lengths that leave the message, in both directions.
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
