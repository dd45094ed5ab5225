//! HelloRetryRequest (RFC 8446 §4.1.4), and the binder of a ticket that a hello offers (RFC 8446 §4.2.11.2).

use super::State;
use super::hello::ExpectServerHello;
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

/// The server wants another hello: with another share, with a cookie, or with both.
pub(super) fn handle(
    mut state: ExpectServerHello,
    request: &ServerHello,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Result<State, Error> {
    let (suite, wanted) = check(&state, request)?;
    if let Some(group) = wanted {
        let (exchange, share) = kx::start(group)?;
        state.exchange = Some((group, exchange));
        state.hello.extensions.key_shares = Some(vec![KeyShare { group, share }]);
    }
    state.hello.extensions.cookie = request.extensions.cookie.clone();
    outbox.push(Action::ForgetAhead);
    outbox.push(Action::VersionDecided(state.dialect.version_13));
    if state.dialect.middlebox_compatibility {
        // RFC 8446 §D.4: before the second flight.
        outbox.push(Action::SendChangeCipherSpec {
            epoch: inbound.epoch,
        });
    }
    state.transcript.start_hash_13(suite.hash);
    let first = state.transcript.hash();
    state.transcript = Transcript::after_retry(state.dialect, suite.hash, first.as_ref());
    state
        .transcript
        .add(inbound.typ, inbound.seq, &inbound.body);
    state.retried = Some(suite);
    // RFC 8446 §4.1.4: a ticket whose hash is another one cannot be bound to this transcript (D14).
    if state
        .psk
        .as_ref()
        .is_some_and(|psk| psk.agreed.suite.hash != suite.hash)
    {
        state.psk = None;
        state.hello.extensions.pre_shared_keys = None;
    }
    state.send_hello(outbox)
}

/// Whether a HelloRetryRequest can answer the hello that is out: the suite, and the group if it wants another one.
pub(super) fn check(
    state: &ExpectServerHello,
    request: &ServerHello,
) -> Result<(&'static Suite, Option<NamedGroup>), Error> {
    // RFC 8446 §4.1.4: there is one at most.
    if state.retried.is_some() {
        return Err(PeerMisbehaved::SecondRetryRequest.into());
    }
    state.check_form_13(request)?;
    let suite = state.check_suite_13(request.cipher_suite)?;
    check_extensions(request)?;
    let Some(ServerShare::Wanted(group)) = request.extensions.key_share else {
        // RFC 8446 §4.1.4: it must change the hello.
        return match &request.extensions.cookie {
            Some(_) => Ok((suite, None)),
            None => Err(PeerMisbehaved::PointlessRetryRequest.into()),
        };
    };
    // RFC 8446 §4.2.8: one that was offered, and that the server has no share of yet.
    if !state.config.parameters.algorithms.groups.contains(&group) {
        return Err(PeerMisbehaved::SelectedUnofferedGroup(group).into());
    }
    let known = state.exchange.as_ref().map(|(known, _)| *known);
    if known == Some(group) {
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

/// An extension of a ServerHello of 1.2 that has no place in one of 1.3 (RFC 8446 §4.2).
pub(super) fn misplaced(hello: &ServerHello) -> Option<ExtensionType> {
    let granted = &hello.extensions;
    [
        (granted.server_name, ExtensionType::SERVER_NAME),
        (granted.supported_groups, ExtensionType::SUPPORTED_GROUPS),
        (
            granted.point_formats.is_some(),
            ExtensionType::EC_POINT_FORMATS,
        ),
        (granted.srtp.is_some(), ExtensionType::USE_SRTP),
        (granted.alpn.is_some(), ExtensionType::ALPN),
        (
            granted.extended_master_secret,
            ExtensionType::EXTENDED_MASTER_SECRET,
        ),
        (granted.session_ticket, ExtensionType::SESSION_TICKET),
        (
            granted.renegotiation_info.is_some(),
            ExtensionType::RENEGOTIATION_INFO,
        ),
    ]
    .into_iter()
    .find_map(|(present, typ)| present.then_some(typ))
}

/// Appends the hello with a ticket, and with the proof that this client has its key.
pub(super) fn encode_with_binder(
    state: &mut ExpectServerHello,
    psk: &Session13,
    body: &mut Vec<u8>,
) {
    let hash = psk.agreed.suite.hash;
    let offered = OfferedPsks {
        identities: vec![PskIdentity {
            identity: psk.ticket.clone(),
            obfuscated_ticket_age: psk.obfuscated_age(state.started),
        }],
        binders: vec![vec![0; hash.len()]],
    };
    let unbound = offered.binders_len();
    state.hello.extensions.pre_shared_keys = Some(offered);
    state.hello.encode(state.dialect, body);
    let bound = body.len() - unbound;
    let transcript_hash = state.transcript.hash_with_partial(
        hash,
        HandshakeType::CLIENT_HELLO,
        body.len(),
        &body[..bound],
    );
    let early = EarlySecret::new(Derivation::new(state.dialect, hash), Some(&psk.psk));
    let binder = early.binder(transcript_hash.as_ref());
    // The last bytes of the hello: the only binder, behind two lengths.
    let start = body.len() - hash.len();
    body[start..].copy_from_slice(binder.as_ref());
}
