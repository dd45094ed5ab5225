//! What a scripted peer says under a suite with a shared key (RFC 4279 §2, RFC 5489 §2).

use super::ScriptedPeer;
use crate::crypto::kx;
use crate::crypto::suite::{Authentication, KeyExchange};
use crate::protocol::{CurveType, NamedGroup, Side};
use crate::secrets::schedule12::with_shared_key;
use crate::wire::codec::Writer as _;
use crate::wire::key_exchange::{SharedKeyClientExchange, SharedKeyServerExchange};

/// A shared key of a scripted peer, with what both ends say about it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ScriptedSharedKey {
    /// What a server says for the client's choice.
    pub hint: Vec<u8>,
    /// What a client names the key by.
    pub identity: Vec<u8>,
    /// The key itself.
    pub bytes: Vec<u8>,
}

impl ScriptedPeer {
    /// Whether the suite that was chosen has a shared key.
    pub(super) fn shares_key(&self) -> bool {
        self.suite().authentication == Authentication::SharedKey
    }

    fn exchanges(&self) -> bool {
        self.suite().key_exchange != KeyExchange::SharedKeyAlone
    }

    /// The hint, and a fresh share in [`ScriptedPeer::group`] if the suite has an exchange.
    pub(super) fn shared_key_server_exchange(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_vec(2, |out| out.put(&self.shared_key.hint));
        if self.exchanges() {
            let (exchange, share) = match kx::start(NamedGroup(self.group)) {
                Ok((exchange, share)) => (Some(exchange), share),
                Err(_) => (None, vec![4; 65]),
            };
            self.exchange = exchange;
            body.put_u8(CurveType::NAMED_CURVE.0);
            body.put_u16(self.group);
            body.put_vec(1, |out| out.put(&share));
        }
        body
    }

    /// The identity, and a share in the server's group if the suite has an exchange.
    pub(super) fn shared_key_client_exchange(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_vec(2, |out| out.put(&self.shared_key.identity));
        let mut exchanged = None;
        if self.exchanges() {
            let answered = kx::respond(NamedGroup(self.group), &self.share);
            let (share, secret) = match answered {
                Ok((share, secret)) => (share, secret.to_vec()),
                Err(_) => (vec![9; 32], Vec::new()),
            };
            body.put_vec(1, |out| out.put(&share));
            exchanged = Some(secret);
        }
        self.mix(exchanged.as_deref());
        body
    }

    /// Reads what the other side says about the key, and its share.
    pub(super) fn learn_shared_key(&mut self, body: &[u8]) {
        let exchanges = self.exchanges();
        match self.side {
            Side::Client => {
                if let Ok(said) = SharedKeyServerExchange::decode(exchanges, body) {
                    self.shared_key.hint = said.hint;
                    if let Some(params) = said.params {
                        self.group = params.group.0;
                        self.share = params.share;
                    }
                }
            }
            Side::Server => {
                if let Ok(said) = SharedKeyClientExchange::decode(exchanges, body) {
                    self.shared_key.identity = said.identity;
                    let share = said.share.unwrap_or_default();
                    let exchange = self.exchange.take();
                    let secret = exchange.and_then(|exchange| exchange.complete_asked(&share).ok());
                    self.mix(secret.as_ref().map(|secret| &secret[..]));
                }
            }
        }
    }

    fn mix(&mut self, exchanged: Option<&[u8]>) {
        self.secret = with_shared_key(exchanged, &self.shared_key.bytes).to_vec();
    }
}
