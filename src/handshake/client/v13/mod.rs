//! A client's states of version 1.3 behind the ServerHello.
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
//! Braces stand for epoch 2. A server that resumes shows no certificate.

mod finish;
mod proof;

use super::hello::{ExpectServerHello, check_srtp, dns_name};
use super::retry::misplaced;
use crate::config::ClientConfig;
use crate::crypto::suite::{self, Suite};
use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use crate::handshake::{Action, ClientAnswer, Outbox};
use crate::protocol::{
    CipherSuite, CompressionMethod, Dialect, Epoch, ExtensionType, HandshakeType, NamedGroup,
    ReadSwitch, Side, SrtpProfile,
};
use crate::secrets::schedule13::{
    Derivation, EarlySecret, HandshakeSecret, SecretLog, TrafficSecret,
};
use crate::secrets::transcript::Transcript;
use crate::session::Session13;
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::extension::{EncryptedExtensions, KeyShare, ServerShare};
use crate::wire::handshake::InboundMessage;
use crate::wire::message::Message;
use crate::wire::server_hello::ServerHello;
use finish::{ExpectFinished, ExpectResumedVerified, ExpectSignature};
use pki_types::{ServerName, UnixTime};
use proof::{
    Asked, ExpectCertificate, ExpectCertificateVerify, ExpectRequestAnswer, ExpectServerVerified,
    Proof,
};
use std::sync::Arc;

/// Where a client of 1.3 is, named for what it waits for.
#[expect(
    clippy::enum_variant_names,
    reason = "each state is named for the message that it expects"
)]
pub(crate) enum State {
    ExpectEncryptedExtensions(ExpectEncryptedExtensions),
    ExpectCertificate(ExpectCertificate),
    ExpectRequestAnswer(ExpectRequestAnswer),
    ExpectCertificateVerify(ExpectCertificateVerify),
    ExpectServerVerified(ExpectServerVerified),
    ExpectFinished(ExpectFinished),
    ExpectResumedVerified(ExpectResumedVerified),
    ExpectSignature(ExpectSignature),
}

/// What became of a step: the next state, or the end of the handshake.
type Step = Result<super::State, Error>;

impl State {
    fn boxed(self) -> super::State {
        super::State::V13(Box::new(self))
    }

    pub(super) fn expects(&self, typ: HandshakeType, epoch: Epoch) -> bool {
        use HandshakeType as T;
        epoch == Epoch::HANDSHAKE_13
            && match self {
                Self::ExpectEncryptedExtensions(_) => typ == T::ENCRYPTED_EXTENSIONS,
                Self::ExpectCertificate(state) => {
                    typ == T::CERTIFICATE
                        || typ == T::CERTIFICATE_REQUEST && state.request.is_none()
                }
                Self::ExpectCertificateVerify(_) => typ == T::CERTIFICATE_VERIFY,
                Self::ExpectFinished(_) => typ == T::FINISHED,
                Self::ExpectRequestAnswer(_)
                | Self::ExpectResumedVerified(_)
                | Self::ExpectServerVerified(_)
                | Self::ExpectSignature(_) => false,
            }
    }

    pub(super) fn handle(
        self,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        match (self, message) {
            (Self::ExpectEncryptedExtensions(state), Message::EncryptedExtensions(granted)) => {
                state.handle(granted, inbound)
            }
            (Self::ExpectCertificate(state), Message::CertificateRequest13(context, request)) => {
                state.handle_request(&context, request, inbound, outbox)
            }
            (Self::ExpectCertificate(state), Message::Certificate13(shown)) => {
                state.handle(shown, inbound)
            }
            (Self::ExpectCertificateVerify(state), Message::CertificateVerify(signed)) => {
                state.handle(&signed, inbound, outbox)
            }
            (Self::ExpectFinished(state), Message::Finished13(verify_data)) => {
                state.handle(&verify_data, inbound, outbox)
            }
            _ => Err(PeerMisbehaved::UnexpectedMessage { got: inbound.typ.0 }.into()),
        }
    }

    pub(super) fn answer(self, answer: ClientAnswer, outbox: &mut Outbox) -> Step {
        match (self, answer) {
            (Self::ExpectRequestAnswer(state), ClientAnswer::Request(answer)) => {
                state.handle(answer)
            }
            (Self::ExpectResumedVerified(state), ClientAnswer::ServerVerified(verdict)) => {
                state.handle(verdict, outbox)
            }
            (Self::ExpectServerVerified(state), ClientAnswer::ServerVerified(verdict)) => {
                Ok(state.handle(verdict?))
            }
            (Self::ExpectSignature(state), ClientAnswer::Signed(signature)) => {
                state.handle(signature?, outbox)
            }
            (state, _) => Err(Error::UnexpectedAnswer(state.name())),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::ExpectEncryptedExtensions(_) => "ExpectEncryptedExtensions",
            Self::ExpectCertificate(_) => "ExpectCertificate",
            Self::ExpectRequestAnswer(_) => "ExpectRequestAnswer",
            Self::ExpectCertificateVerify(_) => "ExpectCertificateVerify",
            Self::ExpectServerVerified(_) => "ExpectServerVerified",
            Self::ExpectFinished(_) => "ExpectFinished",
            Self::ExpectResumedVerified(_) => "ExpectResumedVerified",
            Self::ExpectSignature(_) => "ExpectSignature",
        }
    }

    /// Whether nothing has come yet that only the server of the ServerHello can have sent.
    pub(super) const fn awaits_proof(&self) -> bool {
        matches!(self, Self::ExpectEncryptedExtensions(_))
    }

    pub(super) const fn is_resuming(&self) -> bool {
        match self {
            Self::ExpectEncryptedExtensions(state) => state.0.psk.is_some(),
            Self::ExpectFinished(state) => state.context.psk.is_some(),
            Self::ExpectResumedVerified(_) => true,
            _ => false,
        }
    }
}

/// What every state behind the ServerHello knows.
struct Context {
    dialect: &'static Dialect,
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    started: UnixTime,
    suite: &'static Suite,
    group: NamedGroup,
    /// Whether the server has asked for a second hello.
    retried: bool,
    client_random: [u8; RANDOM_LEN],
    /// The ticket that the server took.
    psk: Option<Arc<Session13>>,
    alpn: Option<Vec<u8>>,
    srtp: Option<SrtpProfile>,
    transcript: Transcript,
    secret: HandshakeSecret,
    client: TrafficSecret,
    server: TrafficSecret,
}

impl Context {
    fn add(&mut self, inbound: &InboundMessage) {
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
    }
}

fn log<'a>(config: &'a ClientConfig, client_random: &'a [u8; RANDOM_LEN]) -> SecretLog<'a> {
    SecretLog {
        log: config.parameters.key_log.as_deref(),
        client_random,
    }
}

impl ExpectServerHello {
    /// What must hold of a ServerHello and of a HelloRetryRequest (RFC 8446 §4.1.3).
    pub(super) fn check_form_13(&self, hello: &ServerHello) -> Result<(), Error> {
        // RFC 9147 §5: over datagrams nothing is echoed (D19).
        let echo: &[u8] = if self.dialect.middlebox_compatibility {
            &self.hello.session_id
        } else {
            &[]
        };
        if hello.session_id != echo {
            return Err(PeerMisbehaved::WrongSessionId.into());
        }
        // RFC 8446 §4.1.3: the field can hold nothing else.
        if hello.compression_method != CompressionMethod::NULL {
            return Err(InvalidMessage::IllegalValue("legacy_compression_method").into());
        }
        Ok(())
    }

    /// The suite, if it was offered and is the one of the HelloRetryRequest before it.
    pub(super) fn check_suite_13(&self, id: CipherSuite) -> Result<&'static Suite, Error> {
        let offered = self.hello.cipher_suites.contains(&id);
        let stands = self.retried.is_none_or(|suite| suite.id == id);
        suite::find(id)
            .filter(|suite| offered && stands && suite.is_13())
            .ok_or_else(|| PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    }

    /// The ticket, if the server has taken it.
    fn resumed_13(
        &self,
        hello: &ServerHello,
        suite: &Suite,
    ) -> Result<Option<Arc<Session13>>, Error> {
        let Some(index) = hello.extensions.selected_identity else {
            return Ok(None);
        };
        if self.hello.extensions.pre_shared_keys.is_none() {
            let number = ExtensionType::PRE_SHARED_KEY.0;
            return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
        }
        let psk = self.psk.as_ref().filter(|_| index == 0);
        let psk = psk.ok_or(PeerMisbehaved::SelectedUnofferedPsk)?;
        // RFC 8446 §4.2.11: the key is for this hash.
        if psk.agreed.suite.hash != suite.hash {
            return Err(PeerMisbehaved::ResumedWithOtherCipherSuite.into());
        }
        Ok(Some(psk.clone()))
    }
}

/// The server has chosen 1.3: the handshake goes on under keys.
pub(super) fn start(
    mut state: ExpectServerHello,
    hello: &ServerHello,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    state.check_form_13(hello)?;
    let suite = state.check_suite_13(hello.cipher_suite)?;
    let granted = &hello.extensions;
    if let Some(unknown) = granted.unknown.first() {
        return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
    }
    if let Some(typ) = misplaced(hello) {
        return Err(PeerMisbehaved::IllegalExtension(typ.0).into());
    }
    let psk = state.resumed_13(hello, suite)?;
    // D15: without an exchange there would be no fresh secret; psk_ke was not offered.
    let missing = PeerMisbehaved::MissingExtension(ExtensionType::KEY_SHARE.0);
    let Some(ServerShare::Share(KeyShare { group, share })) = &granted.key_share else {
        return Err(missing.into());
    };
    let (begun, exchange) = state.exchange.take().ok_or(missing)?;
    if begun != *group {
        return Err(PeerMisbehaved::SelectedUnofferedGroup(*group).into());
    }
    let shared_secret = exchange.complete(share)?;
    outbox.push(Action::VersionDecided(state.dialect.version_13));
    state.transcript.start_hash_13(suite.hash);
    state
        .transcript
        .add(inbound.typ, inbound.seq, &inbound.body);

    let derivation = Derivation::new(state.dialect, suite.hash);
    let early = EarlySecret::new(derivation, psk.as_ref().map(|psk| &psk.psk));
    let secret = early.agree(&shared_secret);
    let hash = state.transcript.hash();
    let client_random = state.hello.random;
    let log = log(&state.config, &client_random);
    let client = secret.traffic(Side::Client, hash.as_ref(), log);
    let server = secret.traffic(Side::Server, hash.as_ref(), log);
    let epoch = Epoch::HANDSHAKE_13;
    outbox.push(Action::InstallRead {
        epoch,
        protection: server.protection(state.dialect, suite.aead),
        when: ReadSwitch::Now,
    });
    if state.dialect.middlebox_compatibility && state.retried.is_none() {
        outbox.push(Action::SendChangeCipherSpec {
            epoch: inbound.epoch,
        });
    }
    outbox.push(Action::InstallWrite {
        epoch,
        protection: client.protection(state.dialect, suite.aead),
    });
    Ok(
        State::ExpectEncryptedExtensions(ExpectEncryptedExtensions(Context {
            dialect: state.dialect,
            config: state.config,
            server_name: state.server_name,
            started: state.started,
            suite,
            group: begun,
            retried: state.retried.is_some(),
            client_random,
            psk,
            alpn: None,
            srtp: None,
            transcript: state.transcript,
            secret,
            client,
            server,
        }))
        .boxed(),
    )
}

/// The rest of the server's choice comes next.
pub(crate) struct ExpectEncryptedExtensions(Context);

impl ExpectEncryptedExtensions {
    fn handle(self, granted: EncryptedExtensions, inbound: &InboundMessage) -> Step {
        let Self(mut context) = self;
        if let Some(unknown) = granted.unknown.first() {
            // For one that is known and belongs elsewhere RFC 8446 §4.2 has illegal_parameter, §6.2 this: unsupported_extension.
            return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
        }
        let parameters = &context.config.parameters;
        if granted.server_name && dns_name(&context.server_name).is_none() {
            let number = ExtensionType::SERVER_NAME.0;
            return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
        }
        let srtp = &parameters.srtp[..];
        let srtp = Some(srtp).filter(|list| context.dialect.srtp && !list.is_empty());
        check_srtp(granted.srtp, srtp)?;
        if let Some(chosen) = &granted.alpn {
            if parameters.alpn.is_empty() {
                let number = ExtensionType::ALPN.0;
                return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
            }
            // RFC 9325 §3.8: a protocol that was not offered ends the handshake.
            if !parameters.alpn.contains(chosen)
                && !context.config.parameters.conformance.take_unoffered_alpn
            {
                return Err(PeerMisbehaved::SelectedUnofferedApplicationProtocol.into());
            }
        }
        context.alpn = granted.alpn;
        context.srtp = granted.srtp;
        context.add(inbound);
        Ok(match context.psk.as_ref() {
            Some(psk) => {
                let identity = psk.agreed.peer_identity.clone();
                State::ExpectFinished(ExpectFinished {
                    context,
                    identity,
                    asked: Asked::Nothing,
                    proof: Proof::Ticket,
                })
            }
            None => State::ExpectCertificate(ExpectCertificate {
                context,
                request: None,
            }),
        }
        .boxed())
    }
}
