//! A client's states of version 1.2 under a suite with a shared key (RFC 4279 §2, RFC 5489 §2).
//!
//! ```text
//!                               ◄──  ServerHello
//!                               ◄──  ServerKeyExchange (maybe)     ExpectSharedKeyExchange
//!                               ◄──  ServerHelloDone               ExpectSharedKeyHelloDone
//!    (which key?)                                                  ExpectSharedKey
//!  ClientKeyExchange            ──►
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►
//! ```
//!
//! What follows is as with certificates. Nothing of the server's is signed: its Finished proves
//! that it has the key.

use super::ClientContext12;
use super::finish::{Proven, Ready};
use crate::crypto::kx;
use crate::crypto::suite::KeyExchange;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::renegotiation;
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Answer, ClientAnswer, ClientQuestion, Outbox};
use crate::identity::{Identity, SharedKey};
use crate::protocol::{Epoch, HandshakeType, NamedGroup};
use crate::secrets::schedule12::with_shared_key;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::{EcdhParams, SharedKeyClientExchange, SharedKeyServerExchange};
use crate::wire::message::{Grammar, Message};

impl ClientContext12 {
    /// Whether the suite has an exchange beside the shared key.
    fn exchanges(&self) -> bool {
        self.suite.key_exchange != KeyExchange::SharedKeyAlone
    }
}

/// The server has chosen; its hint or its share comes next.
pub(in crate::handshake::client) struct ExpectSharedKeyExchange {
    pub(in crate::handshake::client) context: Box<ClientContext12>,
}

impl State for ExpectSharedKeyExchange {
    fn name(&self) -> &'static str {
        "ExpectSharedKeyExchange"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        let exchanges = self.context.exchanges();
        // RFC 4279 §2: there need not be one. RFC 5489 §2: there must, with an exchange.
        let expected = typ == HandshakeType::SERVER_KEY_EXCHANGE
            || typ == HandshakeType::SERVER_HELLO_DONE && !exchanges;
        (expected && epoch == self.context.epochs.current)
            .then_some(Grammar::SharedKey12 { exchanges })
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let SharedKeyServerExchange { hint, params } = match message {
            Message::SharedKeyServerExchange(exchange) => exchange,
            Message::ServerHelloDone => {
                self.context.add(inbound);
                return choose(self.context, Vec::new(), None, outbox);
            }
            _ => return unexpected(inbound),
        };
        self.context.add(inbound);
        let parameters = &self.context.config.parameters;
        let offered = |group: &NamedGroup| parameters.groups_12().any(|it| it == *group);
        let group = params.as_ref().map(|params| params.group);
        if let Some(stray) = group.filter(|group| !offered(group)) {
            return Err(PeerMisbehaved::SelectedUnofferedGroup(stray).into());
        }
        Ok(Box::new(ExpectSharedKeyHelloDone {
            context: self.context,
            hint,
            params,
        }))
    }
}

/// Only the end of the server's flight is missing.
struct ExpectSharedKeyHelloDone {
    context: Box<ClientContext12>,
    hint: Vec<u8>,
    params: Option<EcdhParams>,
}

impl State for ExpectSharedKeyHelloDone {
    fn name(&self) -> &'static str {
        "ExpectSharedKeyHelloDone"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.context.epochs.current && typ == HandshakeType::SERVER_HELLO_DONE)
            .then_some(Grammar::V12)
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::ServerHelloDone = message else {
            return unexpected(inbound);
        };
        self.context.add(inbound);
        let Self {
            context,
            hint,
            params,
        } = *self;
        choose(context, hint, params, outbox)
    }
}

/// The server's flight is complete: takes the key that is configured, or asks for one. RFC 4279
/// §5.2: without somebody who knows what it means, the hint is ignored.
fn choose(
    context: Box<ClientContext12>,
    hint: Vec<u8>,
    params: Option<EcdhParams>,
    outbox: &mut Outbox,
) -> Step {
    let config = context.config.clone();
    if config.shared_key_choice.is_none() {
        return exchange(context, params, config.key_12().cloned(), outbox);
    }
    let server = context.server_name.to_str().into_owned();
    outbox.ask_client(&config, ClientQuestion::ChooseSharedKey { server, hint });
    Ok(Box::new(ExpectSharedKey { context, params }))
}

/// Awaits the key for this server.
struct ExpectSharedKey {
    context: Box<ClientContext12>,
    params: Option<EcdhParams>,
}

impl State for ExpectSharedKey {
    fn name(&self) -> &'static str {
        "ExpectSharedKey"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Client(ClientAnswer::SharedKey(chosen)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        exchange(self.context, self.params, chosen, outbox)
    }
}

/// Names the key and sends Finished.
fn exchange(
    mut context: Box<ClientContext12>,
    params: Option<EcdhParams>,
    key: Option<SharedKey>,
    outbox: &mut Outbox,
) -> Step {
    // RFC 9258 §3: a key that is imported is used in no other way.
    let key = key.filter(|key| key.name().context().is_none());
    let key = key.ok_or(PeerIncompatible::NoSharedKey)?;
    let holder = Identity::SharedKey(key.holder());
    let policy = &context.config.parameters.rekey;
    renegotiation::check_identity(context.binding.as_ref(), policy, Some(&holder))?;
    let group = params.as_ref().map(|params| params.group);
    let answered = params.map(|params| kx::respond(params.group, &params.share));
    let (share, secret) = answered.transpose()?.unzip();
    let secret = with_shared_key(secret.as_ref().map(|secret| &secret[..]), key.bytes());
    let identity = key.name().identity().to_vec();
    let mut body = Vec::with_capacity(identity.len() + 128);
    SharedKeyClientExchange { identity, share }.encode(&mut body);
    let typ = HandshakeType::CLIENT_KEY_EXCHANGE;
    let current = context.epochs.current;
    outbox.send(current, typ, body, &mut context.transcript)?;
    let master_secret = context.master_secret(&secret);
    let ready = Ready {
        context,
        group,
        server: Proven::SharedKey(holder.clone()),
        shown: Some(holder),
        master_secret,
    };
    ready.finish(outbox)
}
