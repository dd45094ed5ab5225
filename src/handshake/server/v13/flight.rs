//! The flight of a server of 1.3, from ServerHello to Finished.

use super::proof::{Awaiting, ExpectCertificate, ExpectFinished};
use super::psk;
use crate::config::ServerConfig;
use crate::crypto::kx::{self, SharedSecret};
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::auth::{bounded, choose_scheme, signed_message};
use crate::handshake::certificate_types::answer;
use crate::handshake::limits;
use crate::handshake::psk::Psk;
use crate::handshake::server::terms::Terms;
use crate::handshake::state::{State, Step};
use crate::handshake::{Action, Answer, Outbox, ServerAnswer, ServerQuestion, Unsigned};
use crate::identity::{CertificateKind, Credential, Identity, encode_certificate_13};
use crate::protocol::{
    AgreedLimits, CompressionMethod, ConnectionIds, Dialect, Epoch, ExtensionType, FlightEnd,
    HandshakeType, NamedGroup, PskKeyExchangeMode, ReadSwitch, Side, SignatureScheme, SrtpProfile,
};
use crate::secrets::schedule13::{
    Derivation, FinishedKey, HandshakeSecret, SecretLog, TrafficSecret,
};
use crate::secrets::transcript::Transcript;
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::client_hello::{ClientHello, RANDOM_LEN};
use crate::wire::extension::{
    ChosenTypes, EncryptedExtensions, KeyShare, ServerExtensions, ServerShare,
};
use crate::wire::server_hello::ServerHello;
use crate::wire::signed::DigitallySigned;
use pki_types::UnixTime;
use std::sync::Arc;

/// What was picked from the client's offer.
pub(super) struct Chosen {
    pub(super) terms: Terms,
    pub(super) suite: &'static Suite,
    /// The client's share, if there is one and it is used.
    pub(super) share: Option<KeyShare>,
    pub(super) transcript: Transcript,
    /// Whether a HelloRetryRequest was sent.
    pub(super) retried: bool,
}

impl Chosen {
    /// Whether the client can be answered with a certificate.
    pub(super) fn can_show_certificate(&self, hello: &ClientHello) -> bool {
        self.terms.check_full_allowed(hello).is_ok()
            && choose_credential(&self.terms, hello).is_ok()
    }
}

/// The session ID that a server of 1.3 repeats: over datagrams none (RFC 9147 §5).
pub(super) fn echo(dialect: &Dialect, hello: &ClientHello) -> Vec<u8> {
    if dialect.middlebox_compatibility {
        hello.session_id.clone()
    } else {
        Vec::new()
    }
}

/// What every state after the ServerHello knows.
pub(super) struct ServerContext13 {
    pub(super) dialect: &'static Dialect,
    pub(super) config: Arc<ServerConfig>,
    pub(super) started: UnixTime,
    pub(super) suite: &'static Suite,
    /// That of the key exchange; `None` if there was none.
    pub(super) group: Option<NamedGroup>,
    /// What kind of certificate the client is asked for, if it is.
    pub(super) asked: Option<CertificateKind>,
    /// Whether the client was asked for a second hello.
    pub(super) retried: bool,
    pub(super) client_random: [u8; RANDOM_LEN],
    pub(super) server_name: Option<String>,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) srtp: Option<SrtpProfile>,
    pub(super) connection_ids: Option<ConnectionIds>,
    /// Whether the client takes tickets of the kind that is made here.
    pub(super) takes_tickets: bool,
    /// The key that was accepted.
    pub(super) psk: Option<Psk>,
    /// What the server has claimed to be, if it has.
    pub(super) shown: Option<Identity>,
    /// By how much the client's ticket is older by the client's clock than by this server's, in
    /// seconds.
    pub(super) age_skew: Option<i32>,
    pub(super) transcript: Transcript,
    pub(super) secret: HandshakeSecret,
    pub(super) client: TrafficSecret,
    pub(super) server: FinishedKey,
}

impl ServerContext13 {
    /// Whether a ticket was accepted.
    fn is_resuming(&self) -> bool {
        self.psk.as_ref().is_some_and(|psk| psk.ticket().is_some())
    }

    fn send(
        &mut self,
        typ: HandshakeType,
        body: Vec<u8>,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        outbox.send(Epoch::HANDSHAKE_13, typ, body, &mut self.transcript)
    }

    /// Sends what the client is granted beside the ServerHello.
    fn send_extensions(
        &mut self,
        types: ChosenTypes,
        limits: AgreedLimits,
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        let granted = EncryptedExtensions {
            // RFC 6066 §3: not where a session is resumed.
            server_name: self.server_name.is_some()
                && !self.is_resuming()
                && !self.config.parameters.conformance.hide_server_name,
            srtp: self.srtp,
            alpn: self.alpn.clone(),
            certificate_types: types,
            limits: limits::answer(limits),
            unknown: Vec::new(),
        };
        let mut body = Vec::new();
        granted.encode(&mut body);
        self.send(HandshakeType::ENCRYPTED_EXTENSIONS, body, outbox)
    }
}

/// A handshake in which the server shows its certificate.
pub(super) fn full(chosen: Chosen, hello: &ClientHello, outbox: &mut Outbox) -> Step {
    chosen.terms.check_full_allowed(hello)?;
    let (credential, scheme) = choose_credential(&chosen.terms, hello)?;
    let asked = chosen.terms.asks_for(hello)?;
    let types = answer(&hello.extensions, asked, Some(credential.kind()));
    let mut context = begin(chosen, hello, None, (asked, types), outbox)?;
    let verifier = context.config.client_authentication.verifier();
    if let Some(verifier) = verifier.filter(|_| asked.is_some()) {
        let request = CertificateRequest {
            certificate_types: Vec::new(),
            signature_algorithms: context.config.parameters.requested_schemes_13(),
            authorities: bounded(verifier.authorities()),
        };
        let mut body = Vec::new();
        request.encode_13(&mut body);
        context.send(HandshakeType::CERTIFICATE_REQUEST, body, outbox)?;
    }
    let mut body = Vec::new();
    let claim = credential.claim();
    encode_certificate_13(Some(&claim), &mut body);
    context.send(HandshakeType::CERTIFICATE, body, outbox)?;
    context.shown = Some(claim);
    let message = signed_message(Side::Server, context.transcript.hash().as_ref());
    outbox.ask_server(
        &context.config,
        ServerQuestion::Sign(Unsigned {
            key: credential.key().clone(),
            scheme,
            message,
        }),
    );
    Ok(Box::new(ExpectSignature { context, scheme }))
}

/// A handshake in which the key that both ends had before says who they are.
pub(super) fn with_psk(
    chosen: Chosen,
    hello: &ClientHello,
    index: u16,
    psk: Psk,
    outbox: &mut Outbox,
) -> Step {
    let types = chosen.terms.types_of_resumption(hello);
    let context = begin(chosen, hello, Some((index, psk)), (None, types), outbox)?;
    finish(context, outbox)
}

/// The first credential that can sign for this client.
fn choose_credential(
    terms: &Terms,
    hello: &ClientHello,
) -> Result<(Credential, SignatureScheme), Error> {
    let offered = hello.extensions.signature_algorithms.as_deref();
    let offered = offered.unwrap_or_default();
    terms
        .fitting(hello)
        .find_map(|credential| Some((credential.clone(), choose_scheme(credential, offered)?)))
        .ok_or_else(|| PeerIncompatible::NoCommonSignatureScheme.into())
}

/// Sends ServerHello and EncryptedExtensions, with the switch to the keys of the handshake between
/// them.
fn begin(
    chosen: Chosen,
    hello: &ClientHello,
    psk: Option<(u16, Psk)>,
    (asked, types): (Option<CertificateKind>, ChosenTypes),
    outbox: &mut Outbox,
) -> Result<Box<ServerContext13>, Error> {
    let Chosen {
        terms,
        suite,
        share,
        mut transcript,
        retried,
    } = chosen;
    let dialect = terms.dialect;
    let alpn = terms.choose_alpn(hello.extensions.alpn.as_deref())?;
    let index = psk.as_ref().map(|(index, _)| *index);
    let exchange = exchange(
        &terms.config,
        hello,
        share,
        psk.as_ref().map(|(_, psk)| psk),
    )?;
    let group = exchange.as_ref().map(|(share, _)| share.group);
    let (share, shared_secret) = exchange.unzip();
    let server_hello = server_hello(&terms, suite, hello, share, index)?;
    let connection_ids = terms.connection_ids(hello);
    let offered = hello.extensions.limits;
    let limits = limits::grant(&terms.config.parameters, offered, true)?;
    let said = (retried, connection_ids.clone(), limits);
    send(&terms, &server_hello, said, &mut transcript, outbox)?;
    let age_skew = psk
        .as_ref()
        .and_then(|psk| age_skew(psk, hello, terms.started));
    if hello.extensions.early_data {
        outbox.push(Action::SkipEarlyData);
    }
    let psk = psk.map(|(_, psk)| psk);
    let derivation = Derivation::new(dialect, suite.hash);
    let key = psk.as_ref().map(Psk::secret);
    let exchanged = shared_secret.as_ref().map(|secret| &secret[..]);
    let secret = HandshakeSecret::new(derivation, key, exchanged);
    let [client, server] = traffic(&secret, &terms, hello, &transcript);
    let (protection, server) = server.handshake_keys(dialect, suite.aead);
    outbox.push(Action::InstallWrite {
        epoch: Epoch::HANDSHAKE_13,
        protection,
    });
    let mut context = Box::new(ServerContext13 {
        dialect,
        started: terms.started,
        suite,
        group,
        asked,
        retried,
        client_random: hello.random,
        server_name: hello.extensions.server_name.clone(),
        alpn,
        srtp: terms.choose_srtp(hello),
        connection_ids,
        takes_tickets: takes_tickets(hello),
        shown: psk.as_ref().and_then(Psk::holder),
        psk,
        age_skew,
        transcript,
        secret,
        client,
        server,
        config: terms.config,
    });
    context.send_extensions(types, limits, outbox)?;
    Ok(context)
}

/// Sends the server's choice.
fn send(
    terms: &Terms,
    server_hello: &ServerHello,
    (retried, ids, limits): (bool, Option<ConnectionIds>, AgreedLimits),
    transcript: &mut Transcript,
    outbox: &mut Outbox,
) -> Result<(), Error> {
    let (dialect, epoch) = (terms.dialect, terms.epochs.current);
    outbox.decide(dialect, dialect.version_13, ids, limits);
    let mut body = Vec::with_capacity(160);
    server_hello.encode(&mut body);
    outbox.send(epoch, HandshakeType::SERVER_HELLO, body, transcript)?;
    if dialect.middlebox_compatibility && !retried {
        // RFC 8446 §D.4: after the first message of the server, even if the client has not asked
        // for it.
        outbox.push(Action::SendChangeCipherSpec { epoch });
    }
    Ok(())
}

/// Whether the client takes tickets of the kind that is made here.
pub(super) fn takes_tickets(hello: &ClientHello) -> bool {
    let modes = hello.extensions.psk_modes.as_deref().unwrap_or_default();
    modes.contains(&PskKeyExchangeMode::PSK_DHE_KE)
}

/// By how much the ticket at this place of the hello is older by the client's clock, in seconds.
fn age_skew((index, psk): &(u16, Psk), hello: &ClientHello, started: UnixTime) -> Option<i32> {
    let psks = hello.extensions.pre_shared_keys.as_ref()?;
    let identity = psks.identities.get(usize::from(*index))?;
    let session = psk.ticket()?;
    Some(session.age_skew(identity.obfuscated_ticket_age, started))
}

/// What the client and the server protect the rest of the handshake with.
fn traffic(
    secret: &HandshakeSecret,
    terms: &Terms,
    hello: &ClientHello,
    transcript: &Transcript,
) -> [TrafficSecret; 2] {
    let hash = transcript.hash();
    let log = SecretLog {
        log: terms.config.parameters.key_log.as_deref(),
        client_random: &hello.random,
    };
    [Side::Client, Side::Server].map(|side| secret.traffic(side, hash.as_ref(), log))
}

/// The answer to the client's share, and what both ends know then; `None` if the key that was
/// accepted is used without an exchange.
fn exchange(
    config: &ServerConfig,
    hello: &ClientHello,
    share: Option<KeyShare>,
    psk: Option<&Psk>,
) -> Result<Option<(KeyShare, SharedSecret)>, Error> {
    let shared = psk.is_some_and(|psk| psk.ticket().is_none());
    if shared && psk::mode(config, hello) == Some(PskKeyExchangeMode::PSK_KE) {
        return Ok(None);
    }
    let missing = PeerMisbehaved::MissingExtension(ExtensionType::KEY_SHARE.0);
    let KeyShare { group, share } = share.ok_or(missing)?;
    let (share, shared_secret) = kx::respond(group, &share)?;
    Ok(Some((KeyShare { group, share }, shared_secret)))
}

/// The server's choice.
fn server_hello(
    terms: &Terms,
    suite: &Suite,
    hello: &ClientHello,
    share: Option<KeyShare>,
    selected_identity: Option<u16>,
) -> Result<ServerHello, Error> {
    let dialect = terms.dialect;
    let mut random = [0; RANDOM_LEN];
    terms.config.parameters.random.fill(&mut random)?;
    Ok(ServerHello {
        version: dialect.version_12,
        random,
        session_id: echo(dialect, hello),
        cipher_suite: suite.id,
        compression_method: CompressionMethod::NULL,
        extensions: ServerExtensions {
            selected_version: Some(dialect.version_13),
            key_share: share.map(ServerShare::Share),
            selected_identity,
            ..ServerExtensions::with_connection_ids(terms.connection_ids(hello).as_ref())
        },
    })
}

/// Awaits the signature of the server's key.
struct ExpectSignature {
    context: Box<ServerContext13>,
    scheme: SignatureScheme,
}

impl State for ExpectSignature {
    fn name(&self) -> &'static str {
        "ExpectSignature"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Signed(signature)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let signature = signature?;
        let Self {
            mut context,
            scheme,
        } = *self;
        let mut body = Vec::new();
        DigitallySigned { scheme, signature }.encode(&mut body);
        context.send(HandshakeType::CERTIFICATE_VERIFY, body, outbox)?;
        finish(context, outbox)
    }
}

/// Sends Finished, switches to the keys of data, and waits for the client's part.
fn finish(mut context: Box<ServerContext13>, outbox: &mut Outbox) -> Step {
    let verify_data = context
        .server
        .verify_data(context.transcript.hash().as_ref());
    context.send(
        HandshakeType::FINISHED,
        verify_data.as_ref().to_vec(),
        outbox,
    )?;
    let hash = context.transcript.hash();
    let asked = context.asked;
    let (awaiting, protection) = Awaiting::new(context, hash.as_ref());
    outbox.push(Action::InstallWrite {
        epoch: Epoch::APPLICATION_13,
        protection: awaiting.write_protection(),
    });
    outbox.push(Action::InstallRead {
        epoch: Epoch::HANDSHAKE_13,
        protection,
        when: ReadSwitch::Now,
    });
    awaiting.listen_for_alerts(outbox);
    outbox.end_flight(FlightEnd::AwaitReply);
    Ok(match asked {
        Some(kind) => Box::new(ExpectCertificate { awaiting, kind }),
        None => {
            let client = awaiting.known_client();
            Box::new(ExpectFinished::new(awaiting, client))
        }
    })
}
