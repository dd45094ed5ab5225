//! HelloRetryRequest (RFC 8446 §4.1.4), and the binder of a ticket that a hello offers
//! (RFC 8446 §4.2.11.2).

use super::offer::{Offer, misplaced};
use crate::crypto::kx;
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::{Action, Outbox};
use crate::protocol::{ExtensionType, HandshakeType, NamedGroup};
use crate::secrets::schedule13::{Derivation, EarlySecret};
use crate::secrets::transcript::Transcript;
use crate::session::Session13;
use crate::wire::extension::{KeyShare, OfferedPsks, PskIdentity, ServerShare};
use crate::wire::handshake::InboundMessage;
use crate::wire::server_hello::ServerHello;

/// Changes the offer as the server wants it: another share, a cookie, or both.
pub(super) fn follow(
    offer: &mut Offer,
    request: &ServerHello,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Result<(), Error> {
    let (suite, wanted) = check(offer, request)?;
    if let Some(group) = wanted {
        let (exchange, share) = kx::start(group)?;
        offer.exchange = Some(exchange);
        offer.hello.extensions.key_shares = Some(vec![KeyShare { group, share }]);
    }
    offer.hello.extensions.cookie = request.extensions.cookie.clone();
    outbox.push(Action::ForgetAhead);
    outbox.push(Action::VersionDecided(offer.dialect.version_13));
    if offer.dialect.middlebox_compatibility {
        // RFC 8446 §D.4: before the second flight.
        outbox.push(Action::SendChangeCipherSpec {
            epoch: inbound.epoch,
        });
    }
    offer.transcript.start_hash_13(suite.hash);
    let first = offer.transcript.hash();
    offer.transcript = Transcript::after_retry(offer.dialect, suite.hash, first.as_ref());
    offer
        .transcript
        .add(inbound.typ, inbound.seq, &inbound.body);
    offer.retried = Some(suite);
    // RFC 8446 §4.1.4: a ticket whose hash is another one cannot be bound to this transcript (D14).
    if offer
        .psk
        .as_ref()
        .is_some_and(|psk| psk.agreed.suite.hash != suite.hash)
    {
        offer.psk = None;
        offer.hello.extensions.pre_shared_keys = None;
    }
    Ok(())
}

/// Whether a HelloRetryRequest can answer the hello that is out: the suite, and the group if it
/// wants another one.
pub(super) fn check(
    offer: &Offer,
    request: &ServerHello,
) -> Result<(&'static Suite, Option<NamedGroup>), Error> {
    // RFC 8446 §4.1.4: there is one at most.
    if offer.retried.is_some() {
        return Err(PeerMisbehaved::SecondRetryRequest.into());
    }
    offer.check_form_13(request)?;
    let suite = offer.check_suite_13(request.cipher_suite)?;
    check_extensions(request)?;
    // RFC 9147 §9: the connection ID comes with the ServerHello.
    if offer.connection_ids(&request.extensions)?.is_some() {
        return Err(PeerMisbehaved::IllegalExtension(ExtensionType::CONNECTION_ID.0).into());
    }
    let Some(ServerShare::Wanted(group)) = request.extensions.key_share else {
        // RFC 8446 §4.1.4: it must change the hello.
        return match &request.extensions.cookie {
            Some(_) => Ok((suite, None)),
            None => Err(PeerMisbehaved::PointlessRetryRequest.into()),
        };
    };
    // RFC 8446 §4.2.8: one that was offered, and that the server has no share of yet.
    if !offer.config.parameters.algorithms.groups.contains(&group) {
        return Err(PeerMisbehaved::SelectedUnofferedGroup(group).into());
    }
    if offer.has_share(group) {
        return Err(PeerMisbehaved::PointlessRetryRequest.into());
    }
    Ok((suite, Some(group)))
}

fn check_extensions(request: &ServerHello) -> Result<(), Error> {
    let granted = &request.extensions;
    if let Some(unknown) = granted.unknown.first() {
        return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
    }
    misplaced(request).map_or(Ok(()), |typ| {
        Err(PeerMisbehaved::IllegalExtension(typ.0).into())
    })
}

/// Appends the hello with a ticket, and with the proof that this client has its key.
pub(super) fn encode_with_binder(offer: &mut Offer, psk: &Session13, body: &mut Vec<u8>) {
    let hash = psk.agreed.suite.hash;
    let offered = OfferedPsks {
        identities: vec![PskIdentity {
            identity: psk.ticket.clone(),
            obfuscated_ticket_age: psk.obfuscated_age(offer.started),
        }],
        binders: vec![vec![0; hash.len()]],
    };
    let unbound = offered.binders_len();
    offer.hello.extensions.pre_shared_keys = Some(offered);
    offer.hello.encode(offer.dialect, body);
    let bound = body.len() - unbound;
    let transcript_hash = offer.transcript.hash_with_partial(
        hash,
        HandshakeType::CLIENT_HELLO,
        body.len(),
        &body[..bound],
    );
    let early = EarlySecret::new(Derivation::new(offer.dialect, hash), &psk.psk);
    let binder = early.binder(transcript_hash.as_ref());
    // The last bytes of the hello: the only binder, after two lengths.
    let start = body.len() - hash.len();
    body[start..].copy_from_slice(binder.as_ref());
}
