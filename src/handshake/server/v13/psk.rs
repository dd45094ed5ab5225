//! Which of the keys that a client offers a server of 1.3 takes (RFC 8446 §4.2.11).
//!
//! ```text
//!  identities ──► tickets: the first that can be opened and fits ──► its binder ──► resumed
//!                  │ none
//!                  ▼
//!                 shared keys, one after the other, a few at most ──► its binder ──► the client
//!                  │ none                                                            has the key
//!                  ▼
//!                 a certificate, or the failure of a wrong binder
//! ```
//!
//! Where there is no certificate, a key that is not found takes the path of a wrong binder: as many
//! look-ups, one binder, one alert (RFC 8446 §E.6).

use super::flight::{self, Chosen};
use crate::config::{PskKeyExchange, ServerConfig};
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::psk::Psk;
use crate::handshake::state::{State, Step};
use crate::handshake::{Answer, Outbox, ServerAnswer, ServerQuestion};
use crate::identity::{SharedKey, SharedKeyQuery};
use crate::protocol::{ExtensionType, PskKeyExchangeMode};
use crate::session::Session13;
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::{OfferedPsks, PskIdentity};
use crate::wire::handshake::InboundMessage;
use crate::wire::imported_identity::ImportedIdentity;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many shared keys of one ClientHello are looked up: a store may be far away.
const MAX_KEYS_TRIED: usize = 8;

/// Stands for a key that is not found. Nothing that is made with it is ever accepted.
const MADE_UP: [u8; 32] = [0; 32];

/// How a pre-shared key is used with this client; `None` if not at all (RFC 8446 §4.2.9).
pub(super) fn mode(config: &ServerConfig, hello: &ClientHello) -> Option<PskKeyExchangeMode> {
    let (with, without) = (PskKeyExchangeMode::PSK_DHE_KE, PskKeyExchangeMode::PSK_KE);
    let offered = hello.extensions.psk_modes.as_deref().unwrap_or_default();
    let order: &[_] = match config.parameters.psk_key_exchange {
        PskKeyExchange::Required => &[with],
        PskKeyExchange::Preferred => &[with, without],
        PskKeyExchange::Avoided => &[without, with],
    };
    order.iter().copied().find(|mode| offered.contains(mode))
}

/// Whether a shared key of this hello would be used without an exchange.
pub(super) fn spares_exchange(config: &ServerConfig, hello: &ClientHello) -> bool {
    config.shared_keys.is_some()
        && hello.extensions.pre_shared_keys.is_some()
        && mode(config, hello) == Some(PskKeyExchangeMode::PSK_KE)
}

/// The hashes of the shared keys that this hello may name, so that a suite can be chosen that one
/// of them goes with. Empty if it begins with a ticket, or names none. A key that says nothing
/// about its hash belongs to SHA-256 (RFC 8446 §4.2.11).
pub(super) fn hashes(config: &ServerConfig, hello: &ClientHello) -> Vec<HashAlgorithm> {
    let psks = hello.extensions.pre_shared_keys.as_ref();
    let Some(psks) = psks.filter(|_| config.shared_keys.is_some()) else {
        return Vec::new();
    };
    let is_ticket = |one: &PskIdentity| {
        let tickets = config.sessions.tickets.as_ref();
        let now = config.parameters.clock.unix_now();
        tickets.is_some_and(|tickets| tickets.may_have_sealed(&one.identity, now))
    };
    if psks.identities.first().is_some_and(is_ticket) {
        return Vec::new();
    }
    let named = psks.identities.iter().take(MAX_KEYS_TRIED);
    named
        .filter_map(|one| match ImportedIdentity::decode(&one.identity) {
            Some(imported) => imported.hash(),
            None => Some(HashAlgorithm::Sha256),
        })
        .collect()
}

/// Asks whether one of the client's tickets is this server's.
pub(super) fn look_for_ticket(
    chosen: Chosen,
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    let received = Received {
        chosen,
        hello,
        inbound: inbound.clone(),
    };
    received.look_for_ticket(outbox)
}

/// A hello whose keys are being looked for.
pub(super) struct Received {
    pub(super) chosen: Chosen,
    pub(super) hello: Box<ClientHello>,
    /// The ClientHello as it came: a part of it is what the binders cover.
    pub(super) inbound: InboundMessage,
}

impl Received {
    fn config(&self) -> &Arc<ServerConfig> {
        &self.chosen.terms.config
    }

    fn ask_for_tickets(&self, identities: &[PskIdentity], outbox: &mut Outbox) {
        let tickets = identities.iter().map(|one| one.identity.clone()).collect();
        outbox.ask_server(self.config(), ServerQuestion::FindTicket { tickets });
    }

    /// Whether the second hello has left out keys of the first that it had to keep: RFC 8446
    /// §4.1.2 lets only those go that do not go with the suite of the HelloRetryRequest. Nobody is
    /// asked which shared keys there are, so that the answer tells nothing about that.
    pub(super) fn look_for_dropped(self, before: Option<OfferedPsks>, outbox: &mut Outbox) -> Step {
        let kept = self.hello.extensions.pre_shared_keys.as_ref();
        let kept: &[_] = kept.map_or(&[], |psks| &psks.identities);
        let before = before.map(|psks| psks.identities).unwrap_or_default();
        // What is kept has kept its order, and there may be thousands.
        let mut kept = kept.iter().peekable();
        let gone = |one: &PskIdentity| kept.next_if(|it| it.identity == one.identity).is_none();
        let dropped: Vec<_> = before.into_iter().filter(gone).collect();
        if dropped.is_empty() {
            return self.look_for_ticket(outbox);
        }
        let shares_keys = self.config().shared_keys.is_some();
        let fits = |one: &PskIdentity| {
            let imported = ImportedIdentity::decode(&one.identity);
            imported.is_some_and(|imported| self.is_for(&imported))
        };
        if shares_keys && dropped.iter().any(fits) {
            return Err(self.dropped());
        }
        self.ask_for_tickets(&dropped, outbox);
        Ok(Box::new(ExpectDroppedTicket(self)))
    }

    fn dropped(&self) -> Error {
        if self.hello.extensions.pre_shared_keys.is_none() {
            let number = ExtensionType::PRE_SHARED_KEY.0;
            return PeerMisbehaved::MissingExtension(number).into();
        }
        PeerMisbehaved::ChangedHello.into()
    }

    /// Whether an imported key is for this protocol and suite.
    fn is_for(&self, imported: &ImportedIdentity<'_>) -> bool {
        imported.target_protocol == self.chosen.terms.dialect.version_13
            && imported.hash() == Some(self.chosen.suite.hash)
    }

    fn look_for_ticket(self, outbox: &mut Outbox) -> Step {
        let psks = self.hello.extensions.pre_shared_keys.as_ref();
        let psks = psks.filter(|_| flight::takes_tickets(&self.hello));
        let Some(psks) = psks.filter(|_| self.config().sessions.tickets.is_some()) else {
            return self.look_for_shared_key(None, outbox);
        };
        self.ask_for_tickets(&psks.identities, outbox);
        Ok(Box::new(ExpectTicket(self)))
    }

    /// Looks for a key that both ends were given. The identity at `ticket` is none of those.
    fn look_for_shared_key(self, ticket: Option<usize>, outbox: &mut Outbox) -> Step {
        let usable = self.config().shared_keys.is_some()
            && !self.chosen.terms.only_resume
            && mode(self.config(), &self.hello).is_some();
        let candidates = match &self.hello.extensions.pre_shared_keys {
            Some(psks) if usable => self.candidates(psks, ticket),
            _ => VecDeque::new(),
        };
        if candidates.is_empty() {
            return self.go_on(None, outbox);
        }
        let search = Search {
            first: candidates.front().cloned(),
            rest: candidates,
            received: self,
            differs: false,
        };
        search.ask(outbox)
    }

    /// The keys that the hello may name, in its order, without those that serve another suite.
    fn candidates(&self, psks: &OfferedPsks, ticket: Option<usize>) -> VecDeque<Candidate> {
        let named = psks.identities.iter().enumerate();
        let candidate = |(index, one): (usize, &PskIdentity)| {
            let (identity, context) = match ImportedIdentity::decode(&one.identity) {
                Some(imported) if self.is_for(&imported) => {
                    (imported.external_identity, Some(imported.context))
                }
                Some(imported) if imported.hash().is_some() => return None,
                _ => (&one.identity[..], None),
            };
            let query = SharedKeyQuery {
                identity: identity.to_vec(),
                context: context.map(<[u8]>::to_vec),
                server_name: self.hello.extensions.server_name.clone(),
                version: self.chosen.terms.dialect.version_13,
            };
            Some(Candidate { index, query })
        };
        let keys = named.filter(|(index, _)| Some(*index) != ticket);
        keys.filter_map(candidate).take(MAX_KEYS_TRIED).collect()
    }

    /// Goes on with the key that was chosen and proved, or without one.
    fn go_on(mut self, chosen: Option<(usize, Psk)>, outbox: &mut Outbox) -> Step {
        let inbound = &self.inbound;
        self.chosen
            .transcript
            .add(inbound.typ, inbound.seq, &inbound.body);
        match chosen {
            Some((index, psk)) => {
                // At most as many as a hello of 2^16 bytes holds.
                let index = u16::try_from(index).unwrap_or(u16::MAX);
                flight::with_psk(self.chosen, &self.hello, index, psk, outbox)
            }
            None => flight::full(self.chosen, &self.hello, outbox),
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
            && agreed.server_name.as_deref() == offered.server_name.as_deref()
            && agreed.alpn == alpn
            && identity)
    }

    /// RFC 8446 §4.2.11.2 (F7): a client that names a key must have it.
    fn is_proved(&self, index: usize, psk: &Psk) -> bool {
        let offered = self.hello.extensions.pre_shared_keys.as_ref();
        let binder = offered.and_then(|offered| offered.binders.get(index));
        let hash = self.hash_before_binders(psk.hash());
        match (hash, binder) {
            (Some(hash), Some(binder)) => psk.verifies(self.chosen.terms.dialect, &hash, binder),
            _ => false,
        }
    }

    /// What the binders cover.
    fn hash_before_binders(&self, hash: HashAlgorithm) -> Option<Digest> {
        let offered = self.hello.extensions.pre_shared_keys.as_ref()?;
        let InboundMessage { typ, body, .. } = &self.inbound;
        let bound = body.get(..body.len().checked_sub(offered.binders_len())?)?;
        let transcript = &self.chosen.transcript;
        Some(transcript.hash_with_partial(hash, *typ, body.len(), bound))
    }
}

/// Awaits whether a ticket of the first hello, which the second does not have, is this server's.
struct ExpectDroppedTicket(Received);

impl State for ExpectDroppedTicket {
    fn name(&self) -> &'static str {
        "ExpectDroppedTicket"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Ticket(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let hash = self.0.chosen.suite.hash;
        if found.is_some_and(|(_, psk)| psk.agreed.suite.hash == hash) {
            return Err(self.0.dropped());
        }
        self.0.look_for_ticket(outbox)
    }
}

/// Awaits whether one of the client's tickets is this server's.
struct ExpectTicket(Received);

impl State for ExpectTicket {
    fn name(&self) -> &'static str {
        "ExpectTicket"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Ticket(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let Self(received) = *self;
        let (index, session) = match found {
            Some((index, session)) if received.fits(&session)? => (index, session),
            unfit => return received.look_for_shared_key(unfit.map(|(index, _)| index), outbox),
        };
        let psk = Psk::Ticket(session.clone());
        if !received.is_proved(index, &psk) {
            return Err(PeerMisbehaved::BadBinder.into());
        }
        // F3: the client's identity was checked when the ticket was made; its certificate may have
        // expired since.
        let verifier = received.config().client_authentication.verifier();
        let verifies = verifier.is_some_and(|verifier| verifier.verifies_resumed());
        let claim = session.agreed.peer_identity.as_ref();
        match claim.filter(|claim| verifies && claim.shared_key().is_none()) {
            Some(claim) => {
                let claim = claim.clone();
                outbox.ask_server(received.config(), ServerQuestion::VerifyClient { claim });
                Ok(Box::new(ExpectTicketVerified {
                    received,
                    index,
                    psk,
                }))
            }
            None => received.go_on(Some((index, psk)), outbox),
        }
    }
}

/// Awaits the configured verifier's new verdict on the client's certificate.
struct ExpectTicketVerified {
    received: Received,
    index: usize,
    psk: Psk,
}

impl State for ExpectTicketVerified {
    fn name(&self) -> &'static str {
        "ExpectTicketVerified"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::ClientVerified(verdict)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let Self {
            received,
            index,
            psk,
        } = *self;
        match verdict {
            Ok(_verified) => received.go_on(Some((index, psk)), outbox),
            Err(reason) => {
                tracing::debug!(%reason, "the identity of a session is no longer accepted");
                received.go_on(None, outbox)
            }
        }
    }
}

/// What may be the name of a shared key.
#[derive(Clone)]
struct Candidate {
    /// The place of the identity.
    index: usize,
    query: SharedKeyQuery,
}

/// The search for a shared key.
struct Search {
    received: Received,
    first: Option<Candidate>,
    /// What was not answered yet; the front is what was asked for.
    rest: VecDeque<Candidate>,
    /// Whether a key was found that the client does not have.
    differs: bool,
}

impl Search {
    /// Asks for the next key, or ends the search.
    fn ask(self, outbox: &mut Outbox) -> Step {
        let Some(next) = self.rest.front() else {
            return self.end(outbox);
        };
        let question = ServerQuestion::FindSharedKey(next.query.clone());
        outbox.ask_server(self.received.config(), question);
        Ok(Box::new(ExpectSharedKey(self)))
    }

    /// None of the keys serves.
    fn end(self, outbox: &mut Outbox) -> Step {
        let wrong = || Err(PeerIncompatible::SharedKeyDiffers.into());
        if self.differs {
            return wrong();
        }
        if self
            .received
            .chosen
            .can_show_certificate(&self.received.hello)
        {
            return self.received.go_on(None, outbox);
        }
        if let Some(Candidate { index, query }) = &self.first {
            // As much is computed as with a key that the client does not have.
            let received = &self.received;
            let Chosen { terms, suite, .. } = &received.chosen;
            // One that is used as it is serves suites of its own hash alone; of others most are of
            // SHA-256.
            let context = query.context.as_deref();
            let hash = context.map_or(suite.hash, |_| HashAlgorithm::Sha256);
            let made_up = SharedKey::made_up(&query.identity, context, hash, &MADE_UP);
            if let Some(psk) = Psk::shared(terms.dialect, &made_up, suite.hash) {
                let _never_accepted = received.is_proved(*index, &psk);
            }
        }
        if self
            .received
            .config()
            .parameters
            .conformance
            .tell_unknown_keys
        {
            return Err(PeerIncompatible::NoSharedKey.into());
        }
        wrong()
    }
}

/// Awaits whether there is a key of this name.
struct ExpectSharedKey(Search);

impl State for ExpectSharedKey {
    fn name(&self) -> &'static str {
        "ExpectSharedKey"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::SharedKey(found)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let Self(mut search) = *self;
        let Some(Candidate { index, query }) = search.rest.pop_front() else {
            return search.end(outbox);
        };
        let Chosen { terms, suite, .. } = &search.received.chosen;
        let psk = found.and_then(|key| Psk::shared(terms.dialect, &key, suite.hash));
        match psk {
            // RFC 8446 §4.2.11: the binder of one key is checked, and no other one.
            Some(psk) if !search.differs => {
                if search.received.is_proved(index, &psk) {
                    return search.received.go_on(Some((index, psk)), outbox);
                }
                tracing::debug!(
                    ?query,
                    "the client does not have the shared key of this name"
                );
                search.differs = true;
            }
            Some(_) => {}
            None => tracing::debug!(?query, "no shared key of this name serves"),
        }
        search.ask(outbox)
    }
}
