//! A client's states of version 1.3 after the ServerHello.
//!
//! ```text
//!                               ◄──  ServerHello
//!  [ChangeCipherSpec]           ──►                                (streams only, RFC 8446 §D.4)
//!                               ◄──  {EncryptedExtensions}         ExpectEncryptedExtensions
//!                               ◄──  {CertificateRequest} (maybe)  ExpectCertificate
//!                               ◄──  {Certificate}                 ExpectCertificate
//!                               ◄──  {CertificateVerify}           ExpectCertificateVerify
//!    (is this server trusted?)                                     ExpectServerVerified
//!                               ◄──  {Finished}                    ExpectFinished
//!  {Certificate} (if asked)     ──►
//!    (sign, with a certificate)                                    ExpectSignature
//!  {CertificateVerify}          ──►
//!  {Finished}                   ──►
//! ```
//!
//! Braces stand for epoch 2. A server that has accepted a ticket or a shared key shows no
//! certificate.

mod finish;
mod proof;

use super::offer::{Offer, check_srtp, dns_name, misplaced};
use crate::config::ClientConfig;
use crate::crypto::kx::SharedSecret;
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::certificate_types::{Kinds, Offered};
use crate::handshake::psk::Psk;
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Action, Outbox, limits};
use crate::protocol::{
    AgreedLimits, ConnectionIds, Dialect, Epoch, ExtensionType, HandshakeType, NamedGroup,
    PskKeyExchangeMode, ReadSwitch, Side, SrtpProfile,
};
use crate::secrets::schedule13::{Derivation, FinishedKey, HandshakeSecret, SecretLog};
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::extension::{EncryptedExtensions, KeyShare, LimitExtensions, ServerShare};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use crate::wire::server_hello::ServerHello;
use finish::ExpectFinished;
use pki_types::{ServerName, UnixTime};
use proof::{Asked, ExpectCertificate, Proof};
use std::sync::Arc;

/// What every state after the ServerHello knows.
struct ClientContext13 {
    dialect: &'static Dialect,
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    started: UnixTime,
    suite: &'static Suite,
    /// That of the key exchange; `None` if there was none.
    group: Option<NamedGroup>,
    /// Whether the server has asked for a second hello.
    retried: bool,
    client_random: [u8; RANDOM_LEN],
    /// The key that the server has accepted.
    psk: Option<Psk>,
    alpn: Option<Vec<u8>>,
    srtp: Option<SrtpProfile>,
    /// What each end shows, if it does.
    kinds: Kinds,
    connection_ids: Option<ConnectionIds>,
    offered_limits: LimitExtensions,
    transcript: Transcript,
    secret: HandshakeSecret,
    client: FinishedKey,
    server: FinishedKey,
}

impl ClientContext13 {
    /// Whether the server has accepted a ticket.
    fn is_resuming(&self) -> bool {
        self.psk.as_ref().is_some_and(|psk| psk.ticket().is_some())
    }

    fn add(&mut self, inbound: &InboundMessage) {
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
    }

    /// Checks the rest of the server's choice against the offer.
    fn check(&self, granted: &EncryptedExtensions) -> Result<(), Error> {
        if let Some(unknown) = granted.unknown.first() {
            // For an extension that is known and belongs elsewhere RFC 8446 §4.2 has
            // illegal_parameter; §6.2 has unsupported_extension, which is sent here.
            return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
        }
        let parameters = &self.config.parameters;
        if granted.server_name && dns_name(&self.server_name).is_none() {
            let number = ExtensionType::SERVER_NAME.0;
            return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
        }
        let srtp = &parameters.srtp[..];
        let srtp = Some(srtp).filter(|list| self.dialect.srtp && !list.is_empty());
        check_srtp(granted.srtp, srtp)?;
        if let Some(chosen) = &granted.alpn {
            if parameters.alpn.is_empty() {
                let number = ExtensionType::ALPN.0;
                return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
            }
            // RFC 9325 §3.8: a protocol that was not offered ends the handshake.
            if !parameters.alpn.contains(chosen)
                && !self.config.parameters.conformance.take_unoffered_alpn
            {
                return Err(PeerMisbehaved::SelectedUnofferedApplicationProtocol.into());
            }
        }
        Ok(())
    }
}

fn log<'a>(config: &'a ClientConfig, client_random: &'a [u8; RANDOM_LEN]) -> SecretLog<'a> {
    SecretLog {
        log: config.parameters.key_log.as_deref(),
        client_random,
    }
}

/// Checks what the ServerHello says of itself against the offer.
fn check(offer: &Offer, hello: &ServerHello) -> Result<&'static Suite, Error> {
    offer.check_form_13(hello)?;
    let suite = offer.check_suite_13(hello.cipher_suite)?;
    if let Some(unknown) = hello.extensions.unknown.first() {
        return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
    }
    if let Some(typ) = misplaced(hello) {
        return Err(PeerMisbehaved::IllegalExtension(typ.0).into());
    }
    Ok(suite)
}

/// The key of those that were offered that the server has accepted, if it has.
fn accepted(offer: &Offer, hello: &ServerHello, suite: &Suite) -> Result<Option<Psk>, Error> {
    let number = ExtensionType::PRE_SHARED_KEY.0;
    let Some(index) = hello.extensions.selected_identity else {
        // A client that takes no certificates has offered nothing but keys.
        return match offer.config.verifier {
            Some(_) => Ok(None),
            None => Err(PeerMisbehaved::MissingExtension(number).into()),
        };
    };
    if offer.psks.is_empty() {
        return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
    }
    let psk = offer.psks.get(usize::from(index));
    let psk = psk.ok_or(PeerMisbehaved::SelectedUnofferedPsk)?;
    // RFC 8446 §4.2.11: the key is for this hash.
    if psk.hash() != suite.hash {
        return Err(PeerMisbehaved::ResumedWithOtherCipherSuite.into());
    }
    Ok(Some(psk.clone()))
}

/// Completes the key exchange that the hello has begun: its group and what both ends know. With a
/// pre-shared key there need not be one, if that was offered (RFC 8446 §4.2.9).
fn agree(
    offer: &mut Offer,
    hello: &ServerHello,
    psk: Option<&Psk>,
) -> Result<Option<(NamedGroup, SharedSecret)>, Error> {
    let modes = offer.hello.extensions.psk_modes.as_deref();
    let has = |mode| psk.is_some() && modes.unwrap_or_default().contains(&mode);
    let number = ExtensionType::KEY_SHARE.0;
    // D15: without an exchange there would be no fresh secret.
    let missing = PeerMisbehaved::MissingExtension(number);
    let Some(ServerShare::Share(KeyShare { group, share })) = &hello.extensions.key_share else {
        if has(PskKeyExchangeMode::PSK_KE) && hello.extensions.key_share.is_none() {
            return Ok(None);
        }
        return Err(missing.into());
    };
    if psk.is_some() && !has(PskKeyExchangeMode::PSK_DHE_KE) {
        return Err(PeerMisbehaved::IllegalExtension(number).into());
    }
    let exchange = offer.exchange.take().ok_or(missing)?;
    if !offer.has_share(*group) {
        return Err(PeerMisbehaved::SelectedUnofferedGroup(*group).into());
    }
    Ok(Some((*group, exchange.complete(*group, share)?)))
}

/// The server has chosen 1.3: the handshake goes on under keys.
pub(super) fn start(
    mut offer: Box<Offer>,
    hello: &ServerHello,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    let suite = check(&offer, hello)?;
    let psk = accepted(&offer, hello, suite)?;
    let (group, shared_secret) = agree(&mut offer, hello, psk.as_ref())?.unzip();
    let connection_ids = offer.connection_ids(&hello.extensions)?;
    outbox.decide(
        offer.dialect,
        offer.dialect.version_13,
        connection_ids.clone(),
        // They come with EncryptedExtensions.
        AgreedLimits::None,
    );
    offer.transcript.start_hash_13(suite.hash);
    offer
        .transcript
        .add(inbound.typ, inbound.seq, &inbound.body);

    let derivation = Derivation::new(offer.dialect, suite.hash);
    let key = psk.as_ref().map(Psk::secret);
    let exchanged = shared_secret.as_ref().map(|secret| &secret[..]);
    let secret = HandshakeSecret::new(derivation, key, exchanged);
    let hash = offer.transcript.hash();
    let client_random = offer.hello.random;
    let log = log(&offer.config, &client_random);
    let [(write, client), (read, server)] = [Side::Client, Side::Server].map(|side| {
        let secret = secret.traffic(side, hash.as_ref(), log);
        secret.handshake_keys(offer.dialect, suite.aead)
    });
    let epoch = Epoch::HANDSHAKE_13;
    outbox.push(Action::InstallRead {
        epoch,
        protection: read,
        when: ReadSwitch::Now,
    });
    if offer.dialect.middlebox_compatibility && offer.retried.is_none() {
        outbox.push(Action::SendChangeCipherSpec {
            epoch: inbound.epoch,
        });
    }
    outbox.push(Action::InstallWrite {
        epoch,
        protection: write,
    });
    let offered = Offered::of(&offer.hello.extensions);
    let context = Box::new(ClientContext13 {
        dialect: offer.dialect,
        config: offer.config,
        server_name: offer.server_name,
        started: offer.started,
        suite,
        group,
        retried: offer.retried.is_some(),
        client_random,
        psk,
        alpn: None,
        srtp: None,
        kinds: Kinds::USUAL,
        connection_ids,
        offered_limits: offer.hello.extensions.limits,
        transcript: offer.transcript,
        secret,
        client,
        server,
    });
    Ok(Box::new(ExpectEncryptedExtensions { context, offered }))
}

/// The rest of the server's choice comes next.
struct ExpectEncryptedExtensions {
    context: Box<ClientContext13>,
    /// The types of certificates that the hello has offered.
    offered: Offered,
}

impl State for ExpectEncryptedExtensions {
    fn name(&self) -> &'static str {
        "ExpectEncryptedExtensions"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == Epoch::HANDSHAKE_13 && typ == HandshakeType::ENCRYPTED_EXTENSIONS)
            .then_some(Grammar::V13)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::EncryptedExtensions(granted) = message else {
            return unexpected(inbound);
        };
        let Self {
            mut context,
            offered,
        } = *self;
        context.check(&granted)?;
        context.kinds = offered.check(granted.certificate_types, context.psk.is_some())?;
        let limits = limits::granted(context.offered_limits, granted.limits, true)?;
        outbox.push(Action::LimitRecords(limits));
        context.alpn = granted.alpn;
        context.srtp = granted.srtp;
        context.add(inbound);
        Ok(match context.psk.as_ref() {
            Some(psk) => {
                let identity = psk.peer_identity();
                Box::new(ExpectFinished {
                    context,
                    identity,
                    asked: Asked::Nothing,
                    proof: Proof::PreSharedKey,
                })
            }
            None => Box::new(ExpectCertificate {
                context,
                request: None,
            }),
        })
    }

    fn is_resuming(&self) -> bool {
        self.context.is_resuming()
    }

    fn awaits_proof(&self) -> bool {
        true
    }
}
