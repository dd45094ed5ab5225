//! HelloRetryRequest (RFC 8446 §4.1.4).

use super::offer::{Offer, misplaced};
use crate::crypto::kx;
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::{Action, Outbox};
use crate::protocol::{ExtensionType, NamedGroup};
use crate::secrets::transcript::Transcript;
use crate::wire::extension::{KeyShare, ServerShare};
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
    // RFC 8446 §4.1.4: a key whose hash is another one cannot be bound to this transcript (D14).
    offer.psks.retain(|psk| psk.hash() == suite.hash);
    if offer.psks.is_empty() && offer.config.verifier.is_none() {
        return Err(PeerIncompatible::NoSharedKey.into());
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
