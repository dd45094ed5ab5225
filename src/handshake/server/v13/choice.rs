//! What a server of 1.3 picks from a client's offer: suite and group (RFC 8446 §4.1.1).

use super::flight::{self, Chosen};
use super::psk;
use crate::config::{Retried, ServerConfig};
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::server::terms::Terms;
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Action, Outbox};
use crate::protocol::{
    CompressionMethod, Epoch, ExtensionType, FlightEnd, HandshakeType, NamedGroup,
};
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::KeyShare;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::server_hello::ServerHello;

/// A ClientHello of 1.3 is here.
pub(in crate::handshake::server) fn start(
    mut terms: Terms,
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    check(&terms, &hello)?;
    if let Some(retried) = terms.retried.take() {
        return resume_retry(terms, *retried, hello, inbound, outbox);
    }
    let suite = choose_suite(&terms.config, &hello)?;
    let mut transcript = Transcript::new(terms.dialect);
    let share = match choose_share(&terms.config, &hello)? {
        Choice::Share(share) => Some(share),
        Choice::Nothing => None,
        Choice::Ask(group) => {
            terms.check_proved()?;
            if terms.config.shared_keys.is_none() || hello.extensions.pre_shared_keys.is_none() {
                terms.check_certificate_allowed(&hello)?;
            }
            transcript.add(inbound.typ, inbound.seq, &inbound.body);
            transcript.start_hash_13(suite.hash);
            return ask_again(terms, suite, group, hello, &transcript, outbox);
        }
    };
    transcript.start_hash_13(suite.hash);
    let chosen = Chosen {
        terms,
        suite,
        share,
        transcript,
        retried: false,
    };
    psk::look_for_ticket(chosen, hello, inbound, outbox)
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
    // A pre-shared key can do without signatures.
    if offered.signature_algorithms.is_none() && offered.pre_shared_keys.is_none() {
        return missing(ExtensionType::SIGNATURE_ALGORITHMS);
    }
    if offered.pre_shared_keys.is_some() && offered.psk_modes.is_none() {
        return missing(ExtensionType::PSK_KEY_EXCHANGE_MODES);
    }
    let (groups, shares) = match (&offered.supported_groups, &offered.key_shares) {
        (Some(groups), Some(shares)) => (&groups[..], &shares[..]),
        (None, None) if psk::spares_exchange(&terms.config, hello) => (&[][..], &[][..]),
        // RFC 8446 §9.2: there is none without the other.
        (None, _) => return missing(ExtensionType::SUPPORTED_GROUPS),
        (Some(_), None) => return missing(ExtensionType::KEY_SHARE),
    };
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
        Choice::Share(_) | Choice::Nothing => (suite, None),
        Choice::Ask(group) => (suite, Some(group)),
    })
}

/// The suites that both ends allow, the preferred ones first.
fn common_suites(config: &ServerConfig, hello: &ClientHello) -> Vec<&'static Suite> {
    let suites = config.parameters.suites_13();
    config.in_order(suites, &hello.cipher_suites)
}

fn choose_suite(config: &ServerConfig, hello: &ClientHello) -> Result<&'static Suite, Error> {
    let common = common_suites(config, hello);
    // RFC 8446 §4.2.11: a key goes with suites of its hash alone.
    let hashes = psk::hashes(config, hello);
    let fits = |suite: &&&Suite| hashes.contains(&suite.hash);
    common
        .iter()
        .find(fits)
        .or(common.first())
        .copied()
        .ok_or_else(|| PeerIncompatible::NoCommonCipherSuite.into())
}

enum Choice {
    /// This share of the client's can be answered.
    Share(KeyShare),
    /// There is a common group, but no share of it.
    Ask(NamedGroup),
    /// The client wants no exchange, and gets none.
    Nothing,
}

/// The server's preference among the groups that the client has sent shares of; else, or where a
/// judge wants that, among all that it supports.
fn choose_share(config: &ServerConfig, hello: &ClientHello) -> Result<Choice, Error> {
    let offered = &hello.extensions;
    if offered.key_shares.is_none() && psk::spares_exchange(config, hello) {
        return Ok(Choice::Nothing);
    }
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
            share: Some(the_share(&hello, self.group)?),
            terms: self.terms,
            suite: self.suite,
            transcript: self.transcript,
            retried: true,
        };
        let before = self.first.extensions.pre_shared_keys;
        let received = psk::Received {
            chosen,
            hello,
            inbound: inbound.clone(),
        };
        received.look_for_dropped(before, outbox)
    }
}

/// Whether `second` is `first` but for what a HelloRetryRequest changes (RFC 8446 §4.1.2; D14). Of
/// the pre-shared keys some may be left out, but none added or moved (K2); their ages and binders
/// are other ones.
fn is_repetition(first: &ClientHello, second: &ClientHello) -> bool {
    let named = |hello: &ClientHello| {
        let psks = hello.extensions.pre_shared_keys.as_ref();
        let identities = psks.map(|psks| psks.identities.iter().map(|one| one.identity.clone()));
        identities.into_iter().flatten().collect::<Vec<_>>()
    };
    let before = named(first);
    let mut before = before.iter();
    if !named(second)
        .iter()
        .all(|identity| before.any(|it| it == identity))
    {
        return false;
    }
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
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    // What the first hello named was chosen by, and a key that does not go with the suite may be
    // gone since.
    let common = common_suites(&terms.config, &hello);
    let suite = common.into_iter().find(|suite| suite.id == retried.suite);
    let suite = suite.ok_or(PeerMisbehaved::ChangedHello)?;
    let share = match retried.group {
        Some(group) => Some(the_share(&hello, group)?),
        None => match choose_share(&terms.config, &hello)? {
            Choice::Share(share) => Some(share),
            Choice::Nothing => None,
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
    psk::look_for_ticket(chosen, hello, inbound, outbox)
}
