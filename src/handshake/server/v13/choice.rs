//! What a server of 1.3 picks from a client's offer: suite, group, ticket (RFC 8446 §4.1.1,
//! §4.2.11).

use super::flight::{self, Chosen};
use crate::config::{Retried, ServerConfig};
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::server::terms::Terms;
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Action, Answer, Outbox, ServerAnswer, ServerQuestion};
use crate::protocol::{
    CompressionMethod, Epoch, ExtensionType, FlightEnd, HandshakeType, NamedGroup,
};
use crate::secrets::schedule13::{Derivation, EarlySecret};
use crate::secrets::transcript::Transcript;
use crate::session::Session13;
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::{KeyShare, OfferedPsks};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::server_hello::ServerHello;
use std::sync::Arc;

/// A ClientHello of 1.3 is here.
pub(in crate::handshake::server) fn start(
    mut terms: Terms,
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    check(&terms, &hello)?;
    let suite = choose_suite(&terms.config, &hello)?;
    if let Some(retried) = terms.retried.take() {
        return resume_retry(terms, *retried, suite, hello, inbound, outbox);
    }
    let mut transcript = Transcript::new(terms.dialect);
    match choose_share(&terms.config, &hello)? {
        Choice::Share(share) => {
            transcript.start_hash_13(suite.hash);
            let chosen = Chosen {
                terms,
                suite,
                share,
                transcript,
                retried: false,
            };
            look_for_ticket(chosen, hello, inbound, outbox)
        }
        Choice::Ask(group) => {
            terms.check_full_allowed(&hello)?;
            transcript.add(inbound.typ, inbound.seq, &inbound.body);
            transcript.start_hash_13(suite.hash);
            ask_again(terms, suite, group, hello, &transcript, outbox)
        }
    }
}

/// What must hold of every hello of 1.3 (RFC 8446 §4.1.2, §9.2).
fn check(terms: &Terms, hello: &ClientHello) -> Result<(), Error> {
    if hello.compression_methods != [CompressionMethod::NULL] {
        return Err(PeerMisbehaved::SelectedCompression.into());
    }
    // RFC 9147 §5.3: the cookie of 1.3 is an extension.
    if !hello.cookie.is_empty() {
        return Err(PeerMisbehaved::IllegalExtension(ExtensionType::COOKIE.0).into());
    }
    let offered = &hello.extensions;
    let missing = |typ: ExtensionType| Err(PeerMisbehaved::MissingExtension(typ.0).into());
    // A ticket can do without signatures, but never without a key exchange here.
    if offered.signature_algorithms.is_none() && offered.pre_shared_keys.is_none() {
        return missing(ExtensionType::SIGNATURE_ALGORITHMS);
    }
    let Some(groups) = &offered.supported_groups else {
        return missing(ExtensionType::SUPPORTED_GROUPS);
    };
    let Some(shares) = &offered.key_shares else {
        return missing(ExtensionType::KEY_SHARE);
    };
    if offered.pre_shared_keys.is_some() && offered.psk_modes.is_none() {
        return missing(ExtensionType::PSK_KEY_EXCHANGE_MODES);
    }
    // RFC 8446 §4.2.8: shares are of groups that are offered.
    if let Some(stray) = shares.iter().find(|share| !groups.contains(&share.group)) {
        return Err(PeerMisbehaved::SelectedUnofferedGroup(stray.group).into());
    }
    let asked = terms
        .retried
        .as_ref()
        .is_some_and(|it| !it.cookie.is_empty());
    // A cookie that this server has not given (RFC 8446 §4.2.2).
    if offered.cookie.is_some() && !asked {
        return Err(PeerMisbehaved::IllegalExtension(ExtensionType::COOKIE.0).into());
    }
    Ok(())
}

/// What a HelloRetryRequest says to a first hello: the suite and, if the hello has no share that
/// fits, the group. The endpoint asks this before there is an association, and a later state must
/// come to the same answer.
pub(crate) fn choose(
    config: &ServerConfig,
    hello: &ClientHello,
) -> Result<(&'static Suite, Option<NamedGroup>), Error> {
    let suite = choose_suite(config, hello)?;
    Ok(match choose_share(config, hello)? {
        Choice::Share(_) => (suite, None),
        Choice::Ask(group) => (suite, Some(group)),
    })
}

fn choose_suite(config: &ServerConfig, hello: &ClientHello) -> Result<&'static Suite, Error> {
    let suites = config.parameters.suites_13();
    let common = config.in_order(suites, &hello.cipher_suites);
    common
        .first()
        .copied()
        .ok_or_else(|| PeerIncompatible::NoCommonCipherSuite.into())
}

enum Choice {
    /// This share of the client's can be answered.
    Share(KeyShare),
    /// There is a common group, but no share of it.
    Ask(NamedGroup),
}

/// The server's preference among the groups that the client has sent shares of; else, or where a
/// judge wants that, among all that it supports.
fn choose_share(config: &ServerConfig, hello: &ClientHello) -> Result<Choice, Error> {
    let offered = &hello.extensions;
    let shares = offered.key_shares.as_deref().unwrap_or_default();
    let supported = offered.supported_groups.as_deref().unwrap_or_default();
    let ours = &config.parameters.algorithms.groups;
    let share_of = |group: &NamedGroup| shares.iter().find(|share| share.group == *group);
    let preferred = ours.iter().find(|group| supported.contains(group));
    let preferred = preferred.ok_or(PeerIncompatible::NoCommonGroup)?;
    let share = if config.parameters.conformance.ask_for_preferred_group {
        share_of(preferred)
    } else {
        ours.iter().find_map(share_of)
    };
    Ok(share.map_or(Choice::Ask(*preferred), |share| {
        Choice::Share(share.clone())
    }))
}

/// Asks for a hello with a share of `group` (RFC 8446 §4.1.4).
fn ask_again(
    terms: Terms,
    suite: &'static Suite,
    group: NamedGroup,
    hello: Box<ClientHello>,
    first: &Transcript,
    outbox: &mut Outbox,
) -> Step {
    let dialect = terms.dialect;
    let mut transcript = Transcript::after_retry(dialect, suite.hash, first.hash().as_ref());
    let request = ServerHello::retry_request(
        dialect,
        flight::echo(dialect, &hello),
        suite.id,
        Some(group),
        None,
    );
    let mut body = Vec::with_capacity(64);
    request.encode(&mut body);
    outbox.push(Action::VersionDecided(dialect.version_13));
    let epoch = terms.epochs.current;
    outbox.send(epoch, HandshakeType::SERVER_HELLO, body, &mut transcript)?;
    if dialect.middlebox_compatibility {
        outbox.push(Action::SendChangeCipherSpec { epoch });
    }
    if hello.extensions.early_data {
        outbox.push(Action::SkipEarlyData);
    }
    outbox.end_flight(FlightEnd::AwaitReply);
    Ok(Box::new(ExpectSecondHello {
        terms,
        suite,
        group,
        first: hello,
        transcript,
    }))
}

/// A second hello was asked for, with a share of `group`.
struct ExpectSecondHello {
    terms: Terms,
    suite: &'static Suite,
    group: NamedGroup,
    first: Box<ClientHello>,
    transcript: Transcript,
}

impl State for ExpectSecondHello {
    fn name(&self) -> &'static str {
        "ExpectSecondHello"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == Epoch::PLAINTEXT && typ == HandshakeType::CLIENT_HELLO).then_some(Grammar::V13)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::ClientHello(hello) = message else {
            return unexpected(inbound);
        };
        if !is_repetition(&self.first, &hello) {
            return Err(PeerMisbehaved::ChangedHello.into());
        }
        check(&self.terms, &hello)?;
        let chosen = Chosen {
            share: the_share(&hello, self.group)?,
            terms: self.terms,
            suite: self.suite,
            transcript: self.transcript,
            retried: true,
        };
        let before = self.first.extensions.pre_shared_keys;
        match before.filter(|_| hello.extensions.pre_shared_keys.is_none()) {
            Some(dropped) => {
                outbox.ask_server(&chosen.terms.config, find_ticket(&dropped));
                let inbound = inbound.clone();
                let state = ExpectTicket {
                    chosen,
                    hello,
                    inbound,
                };
                Ok(Box::new(ExpectDroppedTicket(state)))
            }
            None => look_for_ticket(chosen, hello, inbound, outbox),
        }
    }
}

/// Awaits whether a ticket of the first hello, which the second does not have, is this server's.
struct ExpectDroppedTicket(ExpectTicket);

impl State for ExpectDroppedTicket {
    fn name(&self) -> &'static str {
        "ExpectDroppedTicket"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Ticket(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        // RFC 8446 §4.1.2: only what does not go with the suite of the HelloRetryRequest may be
        // left out.
        let hash = self.0.chosen.suite.hash;
        if found.is_some_and(|(_, psk)| psk.agreed.suite.hash == hash) {
            let number = ExtensionType::PRE_SHARED_KEY.0;
            return Err(PeerMisbehaved::MissingExtension(number).into());
        }
        self.0.go_on(None, outbox)
    }
}

fn find_ticket(offered: &OfferedPsks) -> ServerQuestion {
    let tickets = offered.identities.iter().map(|one| one.identity.clone());
    ServerQuestion::FindTicket {
        tickets: tickets.collect(),
    }
}

/// Whether `second` is `first` but for what a HelloRetryRequest changes (RFC 8446 §4.1.2; D14).
fn is_repetition(first: &ClientHello, second: &ClientHello) -> bool {
    let mut expected = first.clone();
    let (before, after) = (&mut expected.extensions, &second.extensions);
    before.key_shares = after.key_shares.clone();
    before.cookie = after.cookie.clone();
    before.early_data = false;
    before.pre_shared_keys = after.pre_shared_keys.clone();
    expected == *second
}

/// The one share that was asked for (RFC 8446 §4.2.8).
fn the_share(hello: &ClientHello, group: NamedGroup) -> Result<KeyShare, Error> {
    match hello.extensions.key_shares.as_deref() {
        Some([share]) if share.group == group => Ok(share.clone()),
        _ => Err(PeerMisbehaved::ChangedHello.into()),
    }
}

/// Goes on from a HelloRetryRequest that was sent without keeping anything: the cookie has brought
/// back what it said.
fn resume_retry(
    terms: Terms,
    retried: Retried,
    suite: &'static Suite,
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    if suite.id != retried.suite {
        return Err(PeerMisbehaved::ChangedHello.into());
    }
    let share = match retried.group {
        Some(group) => the_share(&hello, group)?,
        None => match choose_share(&terms.config, &hello)? {
            Choice::Share(share) => share,
            Choice::Ask(_) => return Err(PeerMisbehaved::ChangedHello.into()),
        },
    };
    let dialect = terms.dialect;
    let mut transcript = Transcript::after_retry(dialect, suite.hash, &retried.first_hash);
    let request = ServerHello::retry_request(
        dialect,
        Vec::new(),
        suite.id,
        retried.group,
        Some(retried.cookie),
    );
    let mut body = Vec::with_capacity(160);
    request.encode(&mut body);
    transcript.add(HandshakeType::SERVER_HELLO, inbound.seq, &body);
    let chosen = Chosen {
        terms,
        suite,
        share,
        transcript,
        retried: true,
    };
    look_for_ticket(chosen, hello, inbound, outbox)
}

/// Asks whether one of the client's tickets is this server's.
fn look_for_ticket(
    mut chosen: Chosen,
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    let psks = hello.extensions.pre_shared_keys.as_ref();
    let psks = psks.filter(|_| flight::takes_tickets(&hello));
    let Some(psks) = psks.filter(|_| chosen.terms.config.sessions.tickets.is_some()) else {
        chosen
            .transcript
            .add(inbound.typ, inbound.seq, &inbound.body);
        return flight::full(chosen, &hello, outbox);
    };
    outbox.ask_server(&chosen.terms.config, find_ticket(psks));
    Ok(Box::new(ExpectTicket {
        chosen,
        hello,
        inbound: inbound.clone(),
    }))
}

/// Awaits whether one of the client's tickets is this server's.
struct ExpectTicket {
    chosen: Chosen,
    hello: Box<ClientHello>,
    /// The ClientHello as it came: a part of it is what the binder covers.
    inbound: InboundMessage,
}

impl State for ExpectTicket {
    fn name(&self) -> &'static str {
        "ExpectTicket"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Ticket(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        self.go_on(found, outbox)
    }
}

impl ExpectTicket {
    fn go_on(mut self, found: Option<(usize, Arc<Session13>)>, outbox: &mut Outbox) -> Step {
        let found = match found {
            Some((index, psk)) if self.fits(&psk)? => Some((index, psk)),
            _ => None,
        };
        if let Some((index, psk)) = &found {
            self.verify_binder(*index, psk)?;
        }
        let inbound = &self.inbound;
        self.chosen
            .transcript
            .add(inbound.typ, inbound.seq, &inbound.body);
        let Some((index, psk)) = found else {
            return flight::full(self.chosen, &self.hello, outbox);
        };
        let accepted = ExpectTicketVerified {
            chosen: self.chosen,
            hello: self.hello,
            index,
            psk,
        };
        // F3: the client's identity was checked when the ticket was made; its certificate may have
        // expired since.
        let verifier = accepted
            .chosen
            .terms
            .config
            .client_authentication
            .verifier()
            .filter(|verifier| verifier.verifies_resumed());
        match (&accepted.psk.agreed.peer_identity, verifier) {
            (Some(claim), Some(_)) => {
                let claim = claim.clone();
                outbox.ask_server(
                    &accepted.chosen.terms.config,
                    ServerQuestion::VerifyClient { claim },
                );
                Ok(Box::new(accepted))
            }
            _ => accepted.resume(outbox),
        }
    }

    /// Whether the ticket is of a session that this hello would have made (F2, F6).
    fn fits(&self, psk: &Session13) -> Result<bool, Error> {
        let terms = &self.chosen.terms;
        let agreed = &psk.agreed;
        let offered = &self.hello.extensions;
        let alpn = terms.choose_alpn(offered.alpn.as_deref())?;
        let identity = terms.suits_identity(agreed.peer_identity.as_ref());
        Ok(agreed.version == terms.dialect.version_13
            // RFC 8446 §4.2.11 asks for the same hash; a client that changes the suite proves its
            // identity again.
            && agreed.suite.id == self.chosen.suite.id
            && agreed.server_name == offered.server_name
            && agreed.alpn == alpn
            && identity)
    }

    /// RFC 8446 §4.2.11.2 (F7): a client that shows a ticket must have its key.
    fn verify_binder(&self, index: usize, psk: &Session13) -> Result<(), Error> {
        let offered = self.hello.extensions.pre_shared_keys.as_ref();
        let bad = || Error::from(PeerMisbehaved::BadBinder);
        let offered = offered.ok_or_else(bad)?;
        let binder = offered.binders.get(index).ok_or_else(bad)?;
        let body = &self.inbound.body;
        let bound = body.len().checked_sub(offered.binders_len());
        let bound = bound.and_then(|length| body.get(..length));
        let hash = psk.agreed.suite.hash;
        let transcript_hash = self.chosen.transcript.hash_with_partial(
            hash,
            self.inbound.typ,
            body.len(),
            bound.ok_or_else(bad)?,
        );
        let derivation = Derivation::new(self.chosen.terms.dialect, hash);
        EarlySecret::new(derivation, &psk.psk)
            .verify_binder(transcript_hash.as_ref(), binder)
            .map(|_verified| ())
            .map_err(|_| bad())
    }
}

/// Awaits the configured verifier's new verdict on the client's certificate.
struct ExpectTicketVerified {
    chosen: Chosen,
    hello: Box<ClientHello>,
    index: usize,
    psk: Arc<Session13>,
}

impl State for ExpectTicketVerified {
    fn name(&self) -> &'static str {
        "ExpectTicketVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::ClientVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        match verdict {
            Ok(_verified) => self.resume(outbox),
            Err(reason) => {
                tracing::debug!(%reason, "the identity of a session is no longer accepted");
                flight::full(self.chosen, &self.hello, outbox)
            }
        }
    }
}

impl ExpectTicketVerified {
    fn resume(self, outbox: &mut Outbox) -> Step {
        // At most as many as a hello of 2^16 bytes holds.
        let index = u16::try_from(self.index).unwrap_or(u16::MAX);
        flight::resumed(self.chosen, &self.hello, index, self.psk, outbox)
    }
}
