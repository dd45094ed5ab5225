//! Pre-shared keys that a client offers (RFC 8446 §4.2.11).

use crate::error::InvalidMessage;
use crate::wire::codec::{Reader, Writer};

/// The keys, each with the proof that the client has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OfferedPsks {
    /// The names under which the server knows the keys.
    pub(crate) identities: Vec<PskIdentity>,
    /// The proofs, one for each identity.
    pub(crate) binders: Vec<Vec<u8>>,
}

/// The name of a key: a ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PskIdentity {
    /// The ticket.
    pub(crate) identity: Vec<u8>,
    /// Its age in milliseconds, plus a number that only its issuer knows, modulo 2^32.
    pub(crate) obfuscated_ticket_age: u32,
}

impl OfferedPsks {
    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let mut list = Reader::new(body.vec16("identities")?);
        let mut identities = Vec::new();
        while !list.is_empty() {
            let identity = list.vec16("identity")?.to_vec();
            if identity.is_empty() {
                return Err(InvalidMessage::EmptyList("identity"));
            }
            let age = list.array("obfuscated_ticket_age")?;
            identities.push(PskIdentity {
                identity,
                obfuscated_ticket_age: u32::from_be_bytes(age),
            });
        }
        let mut list = Reader::new(body.vec16("binders")?);
        let mut binders = Vec::new();
        while !list.is_empty() {
            // A binder of the wrong length does not verify; that matters only if version 1.3 is
            // chosen.
            binders.push(list.vec8("binder")?.to_vec());
        }
        if binders.is_empty() {
            return Err(InvalidMessage::EmptyList("binders"));
        }
        // F7: one binder for each identity.
        if identities.is_empty() || identities.len() != binders.len() {
            return Err(InvalidMessage::Inconsistent("the number of binders"));
        }
        Ok(Self {
            identities,
            binders,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| {
            for identity in &self.identities {
                out.put_vec(2, |out| out.put(&identity.identity));
                out.put(&identity.obfuscated_ticket_age.to_be_bytes());
            }
        });
        out.put_vec(2, |out| {
            for binder in &self.binders {
                out.put_vec(1, |out| out.put(binder));
            }
        });
    }

    /// The length of the list of binders with its length field: the part that the binders do not
    /// cover (RFC 8446 §4.2.11.2).
    pub(crate) fn binders_len(&self) -> usize {
        2 + self
            .binders
            .iter()
            .map(|binder| 1 + binder.len())
            .sum::<usize>()
    }
}
