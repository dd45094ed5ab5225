//! Connection IDs of a scripted peer (RFC 9146).

use super::ScriptedPeer;
use super::hello::length_prefixed;
use super::keys::Ids;
use crate::protocol::{ExtensionType, Side};

const CONNECTION_ID: u16 = ExtensionType::CONNECTION_ID.0;
const RRC: u16 = ExtensionType::RRC.0;

impl ScriptedPeer {
    /// In this handshake the peer wants `id` in the records that it receives; an empty one says
    /// that it wants none, and puts in what the other end wants. `checks` is whether it takes part
    /// in checks of paths (RFC 9853 §3). A server says so if it is asked.
    pub fn identify(&mut self, id: &[u8], checks: bool) {
        self.identity = Some((id.to_vec(), checks));
        if self.side == Side::Client {
            self.offer
                .set_extension(CONNECTION_ID, &length_prefixed(id));
            self.offer.remove_extension(RRC);
            if checks {
                self.offer.set_extension(RRC, &[]);
            }
        }
    }

    /// In this handshake the peer takes no part in connection IDs.
    pub fn stay_anonymous(&mut self) {
        self.identity = None;
        for typ in [CONNECTION_ID, RRC] {
            self.choice.remove_extension(typ);
            if self.side == Side::Client {
                self.offer.remove_extension(typ);
            }
        }
    }

    pub(super) fn answer_offer_of_ids(&mut self) {
        let Some((id, checks)) = &self.identity else {
            return;
        };
        if self.offer.extension(CONNECTION_ID).is_none() {
            return;
        }
        let body = length_prefixed(id);
        self.choice.set_extension(CONNECTION_ID, &body);
        if *checks && self.offer.extension(RRC).is_some() {
            self.choice.set_extension(RRC, &[]);
        }
    }

    /// What the hellos agree on.
    pub(super) fn agreed_ids(&self) -> Ids {
        let offered = self.offer.extension(CONNECTION_ID);
        let chosen = self.choice.extension(CONNECTION_ID);
        let (Some([_, client @ ..]), Some([_, server @ ..])) = (offered, chosen) else {
            return Ids::default();
        };
        let (client, server) = (client.to_vec(), server.to_vec());
        match self.side {
            Side::Client => Ids {
                write: server,
                read: client,
            },
            Side::Server => Ids {
                write: client,
                read: server,
            },
        }
    }

    /// What the peer's records of `epoch` carry, and what it expects in those of the other end;
    /// empty for nothing.
    pub fn ids(&self, epoch: u16) -> (Vec<u8>, Vec<u8>) {
        let Ids { write, read } = self.keys.ids(epoch);
        (write, read)
    }

    /// A record with the next number of `epoch` that carries this connection ID, whatever was
    /// agreed on.
    pub fn identified(
        &mut self,
        content_type: u8,
        epoch: u16,
        id: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let sequence = self.keys.next_sequence(epoch);
        self.keys
            .identified(content_type, epoch, sequence, id, payload)
    }

    /// The same with the connection ID that was agreed on, and so many zeros behind the type
    /// (RFC 9146 §4), at least one.
    pub fn padded(
        &mut self,
        content_type: u8,
        epoch: u16,
        payload: &[u8],
        zeros: usize,
    ) -> Vec<u8> {
        let mut inner = payload.to_vec();
        inner.push(content_type);
        inner.resize(inner.len() + zeros.saturating_sub(1), 0);
        let id = self.keys.ids(epoch).write;
        self.identified(0, epoch, &id, &inner)
    }
}
