//! A server's states of version 1.2 under a suite with a shared key (RFC 4279 §2, RFC 5489 §2).
//!
//! ```text
//!                               ◄──  ServerHello
//!                               ◄──  ServerKeyExchange (hint or exchange)
//!                               ◄──  ServerHelloDone
//!  ClientKeyExchange            ──►                                ExpectNamedKey
//!                                      (which key is that?)        ExpectSharedKey
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►                                ExpectFinished
//! ```
//!
//! A key that is not found fails exactly as a wrong one does, so that nobody learns which
//! identities there are (RFC 4279 §2): the handshake goes on with bytes that were made up for it,
//! and ends with the client's Finished, which nobody can make.

use super::v12::{Peer, Secrets, ServerContext12, arm};
use crate::crypto::kx::{Exchange, SharedSecret};
use crate::error::{Error, InvalidMessage};
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Answer, Outbox, ServerAnswer, ServerQuestion};
use crate::identity::{Identity, SharedKeyName, SharedKeyQuery};
use crate::protocol::{Epoch, FlightEnd, HandshakeType};
use crate::secrets::schedule12::with_shared_key;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::{EcdhParams, SharedKeyServerExchange};
use crate::wire::message::{Grammar, Message};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How many bytes are made up for a key that is not found.
const MADE_UP_LEN: usize = 32;

/// Sends the rest of the server's first flight.
pub(super) fn start(
    mut context: Box<ServerContext12>,
    begun: Option<(Exchange, EcdhParams)>,
    outbox: &mut Outbox,
) -> Step {
    let (exchange, params) = begun.unzip();
    let current = context.epochs.current;
    let hint = context.config.identity_hint.clone();
    // RFC 4279 §2: only with a hint. RFC 5489 §2: always, for the exchange.
    if params.is_some() || !hint.is_empty() {
        let mut body = Vec::with_capacity(128 + hint.len());
        SharedKeyServerExchange { hint, params }.encode(&mut body);
        let typ = HandshakeType::SERVER_KEY_EXCHANGE;
        outbox.send(current, typ, body, &mut context.transcript)?;
    }
    if context.crossing.is_none() {
        context.transcript.forget_messages();
    }
    let typ = HandshakeType::SERVER_HELLO_DONE;
    outbox.send(current, typ, Vec::new(), &mut context.transcript)?;
    outbox.end_flight(FlightEnd::AwaitReply);
    Ok(Box::new(ExpectNamedKey { context, exchange }))
}

/// The client names its key next.
struct ExpectNamedKey {
    context: Box<ServerContext12>,
    exchange: Option<Exchange>,
}

impl State for ExpectNamedKey {
    fn name(&self) -> &'static str {
        "ExpectNamedKey"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        let exchanges = self.exchange.is_some();
        self.context
            .expects(HandshakeType::CLIENT_KEY_EXCHANGE, typ, epoch)
            .map(|_| Grammar::SharedKey12 { exchanges })
    }

    fn handle(
        mut self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let named = match message {
            Message::SharedKeyClientExchange(named) => named,
            Message::ClientHello(hello) => {
                self.context.cross(&hello, inbound, outbox)?;
                return Ok(self);
            }
            _ => return unexpected(inbound),
        };
        let Self {
            mut context,
            exchange,
        } = *self;
        let exchanged = match (exchange, named.share) {
            (None, _) => None,
            (Some(exchange), Some(share)) => Some(exchange.complete_asked(&share)?),
            (Some(_), None) => return Err(InvalidMessage::MissingData("public share").into()),
        };
        context.add(inbound);
        context.transcript.forget_messages();
        // Drawn for every client, so that it takes no longer where a key is not found.
        let mut made_up = Zeroizing::new([0; MADE_UP_LEN]);
        context.config.parameters.random.fill(&mut *made_up)?;
        let query = SharedKeyQuery {
            identity: named.identity,
            context: None,
            server_name: context.server_name.clone(),
            version: context.version,
        };
        let name = SharedKeyName::from_parts(&query.identity, None);
        outbox.ask_server(&context.config, ServerQuestion::FindSharedKey(query));
        Ok(Box::new(ExpectSharedKey {
            context,
            exchanged,
            name,
            made_up,
        }))
    }
}

/// Awaits the key of this name.
struct ExpectSharedKey {
    context: Box<ServerContext12>,
    exchanged: Option<SharedSecret>,
    name: SharedKeyName,
    made_up: Zeroizing<[u8; MADE_UP_LEN]>,
}

impl State for ExpectSharedKey {
    fn name(&self) -> &'static str {
        "ExpectSharedKey"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::SharedKey(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let Self {
            mut context,
            exchanged,
            name,
            made_up,
        } = *self;
        // The operator may know; the client must not.
        if found.is_none() {
            tracing::debug!(?name, "no shared key has this name");
        }
        let key = found.as_ref().map_or(&made_up[..], |key| key.bytes());
        let secret = with_shared_key(exchanged.as_ref().map(|secret| &secret[..]), key);
        let master_secret = context.master_secret(&secret);
        let expanded = master_secret.expanded();
        let protections = expanded.protections(context.suite, &context.randoms);
        let secrets = Secrets {
            master_secret,
            protections,
        };
        let holder = Identity::SharedKey(Arc::new(name));
        context.shown = Some(holder.clone());
        arm(context, secrets, Peer::Shares(holder), outbox)
    }
}
