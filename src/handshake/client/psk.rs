//! The pre-shared keys that a hello offers at version 1.3: a ticket, and keys that both ends were
//! given (RFC 8446 §4.2.11).

use super::offer::Offer;
use crate::config::{ClientConfig, PskKeyExchange};
use crate::crypto::hash::HashAlgorithm;
use crate::handshake::psk::Psk;
use crate::protocol::{Dialect, HandshakeType, PskKeyExchangeMode};
use crate::session::Session13;
use crate::wire::extension::{OfferedPsks, PskIdentity};
use std::sync::Arc;

/// How many bytes of identities and binders a hello holds at most: half of what its extensions may
/// have together.
const MAX_OFFERED: usize = 1 << 15;

/// What an identity takes beside its bytes: its length, an age, and the length of its binder.
const BESIDE_IDENTITY: usize = 2 + 4 + 1;

/// How keys may be used, if there are any or may be later (RFC 8446 §4.2.9). A server that gives
/// tickets looks here too.
pub(super) fn modes(config: &ClientConfig) -> Option<Vec<PskKeyExchangeMode>> {
    let (with, without) = (PskKeyExchangeMode::PSK_DHE_KE, PskKeyExchangeMode::PSK_KE);
    if config.shared_keys.is_empty() {
        return config.sessions.is_some().then(|| vec![with]);
    }
    Some(match config.parameters.psk_key_exchange {
        PskKeyExchange::Required => vec![with],
        PskKeyExchange::Preferred => vec![with, without],
        PskKeyExchange::Avoided => vec![without],
    })
}

/// The keys to offer: the ticket first, because a handshake with it is what both ends want most,
/// then the shared keys, each for every hash that a suite has.
pub(super) fn offered(
    dialect: &Dialect,
    config: &ClientConfig,
    ticket: Option<Arc<Session13>>,
) -> Vec<Psk> {
    let ticket = ticket.filter(|ticket| may_resume(config, ticket));
    let mut offered: Vec<_> = ticket.map(Psk::Ticket).into_iter().collect();
    let mut hashes: Vec<HashAlgorithm> = Vec::new();
    for suite in config.parameters.suites_13() {
        if !hashes.contains(&suite.hash) {
            hashes.push(suite.hash);
        }
    }
    for key in &config.shared_keys {
        let each = hashes.iter();
        offered.extend(each.filter_map(|&hash| Psk::shared(dialect, key, hash)));
    }
    let mut length = 0;
    offered.retain(|psk| {
        let taken = psk.wire_identity().len() + BESIDE_IDENTITY + psk.hash().len();
        let fits = length + taken <= MAX_OFFERED;
        if fits {
            length += taken;
        } else {
            tracing::warn!("the identities of this client's shared keys are too long to be sent");
        }
        fits
    });
    offered
}

/// Whether the key still exists here that a session was made with.
fn may_resume(config: &ClientConfig, ticket: &Session13) -> bool {
    let peer = ticket.agreed.peer_identity.as_ref();
    peer.and_then(|peer| peer.shared_key()).is_none_or(|name| {
        let mut keys = config.shared_keys.iter();
        keys.any(|key| key.name() == name)
    })
}

/// Appends the hello with the keys that are offered, and with the proof that this client has them
/// (RFC 8446 §4.2.11.2).
pub(super) fn encode_hello(offer: &mut Offer, body: &mut Vec<u8>) {
    if offer.psks.is_empty() {
        offer.hello.extensions.pre_shared_keys = None;
        offer.hello.encode(offer.dialect, body);
        return;
    }
    let psks = offer.psks.iter();
    let offered = OfferedPsks {
        identities: psks
            .map(|psk| PskIdentity {
                identity: psk.wire_identity().to_vec(),
                obfuscated_ticket_age: psk.obfuscated_age(offer.started),
            })
            .collect(),
        binders: offer
            .psks
            .iter()
            .map(|psk| vec![0; psk.hash().len()])
            .collect(),
    };
    let unbound = offered.binders_len();
    offer.hello.extensions.pre_shared_keys = Some(offered);
    offer.hello.encode(offer.dialect, body);
    // The binders are the last bytes of the hello, and what is before them is what they cover.
    let bound = body.len() - unbound;
    let mut binders = Vec::with_capacity(unbound);
    for psk in &offer.psks {
        let transcript_hash = offer.transcript.hash_with_partial(
            psk.hash(),
            HandshakeType::CLIENT_HELLO,
            body.len(),
            &body[..bound],
        );
        binders.push(psk.binder(offer.dialect, &transcript_hash));
    }
    let mut place = bound + 2;
    for binder in &binders {
        let binder = binder.as_ref();
        place += 1;
        body[place..place + binder.len()].copy_from_slice(binder);
        place += binder.len();
    }
}
