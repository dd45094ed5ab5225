//! The client's hello and the server's choice of a version.

use super::terms::Terms;
use super::{full, resumed, v13};
use crate::config::{ExtendedMasterSecret, HelloAnswer, ReceivedHello, Retried, ServerConfig};
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::certificate_types;
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::state::{State, Step, unexpected};
use crate::handshake::{Answer, Epochs, Outbox, ServerAnswer, ServerQuestion};
use crate::protocol::{
    CipherSuite, CompressionMethod, ConnectionId, Dialect, Epoch, HandshakeType, PointFormat,
};
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::ClientHello;
use crate::wire::handshake::InboundMessage;
use crate::wire::message::{Grammar, Message};
use pki_types::UnixTime;
use std::sync::Arc;

/// What a server's handshake starts from.
pub(crate) struct Settings {
    /// What the server offers.
    pub(crate) config: Arc<ServerConfig>,
    /// The epoch in force: plaintext, for an initial handshake.
    pub(crate) current: Epoch,
    /// When the handshake begins.
    pub(crate) started: UnixTime,
    /// The association that is renegotiated.
    pub(crate) binding: Option<Binding>,
    /// The HelloRetryRequest that was sent before there was an association.
    pub(crate) retried: Option<Box<Retried>>,
    /// The client's address was not proved: nothing but a resumption is worth an answer.
    pub(crate) only_resume: bool,
    /// Whether a session may be resumed, if the configuration lets that happen.
    pub(crate) resumes: bool,
    /// A HelloRequest is out, which the client may or may not have counted when it sent its hello.
    pub(crate) requested: bool,
    /// What the client is to put into its records (RFC 9146 §3); `None` for no connection IDs.
    pub(crate) connection_id: Option<ConnectionId>,
}

/// Waits for a ClientHello.
pub(in crate::handshake) fn start(dialect: &'static Dialect, settings: Settings) -> Step {
    let Settings {
        config,
        current,
        started,
        binding,
        retried,
        only_resume,
        resumes,
        requested,
        connection_id,
    } = settings;
    let epochs = Epochs::after(current)?;
    Ok(Box::new(ExpectClientHello(Terms {
        dialect,
        config,
        epochs,
        started,
        binding,
        retried,
        only_resume,
        resumes,
        requested,
        connection_id,
        answer: HelloAnswer::default(),
    })))
}

/// Nothing is known of the client yet.
struct ExpectClientHello(Terms);

impl State for ExpectClientHello {
    fn name(&self) -> &'static str {
        "ExpectClientHello"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        (epoch == self.0.epochs.current && typ == HandshakeType::CLIENT_HELLO)
            .then_some(Grammar::V12)
    }

    /// Asks the application what to do with the hello, if it wants to be asked.
    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        let Message::ClientHello(hello) = message else {
            return unexpected(inbound);
        };
        let Self(terms) = *self;
        if terms.config.answers.is_none() {
            return proceed(terms, hello, inbound, outbox);
        }
        let received = Box::new(ReceivedHello::of(&hello));
        outbox.ask_server(&terms.config, ServerQuestion::Hello(received));
        Ok(Box::new(ExpectHelloAnswer {
            terms,
            hello,
            inbound: inbound.clone(),
        }))
    }
}

/// Checks the hello and asks for the session that it names, if it names one.
fn proceed(
    terms: Terms,
    hello: Box<ClientHello>,
    inbound: &InboundMessage,
    outbox: &mut Outbox,
) -> Step {
    terms.note_draft(&hello);
    certificate_types::check_lists(&hello.extensions, &terms.config)?;
    if chooses_13(&terms, &hello)? {
        return v13::start(terms, hello, inbound, outbox);
    }
    check(&terms, &hello)?;
    let mut transcript = Transcript::new(terms.dialect);
    transcript.add(inbound.typ, inbound.seq, &inbound.body);
    let ticket = hello.extensions.session_ticket.clone();
    let ticket = ticket.unwrap_or_default();
    let resumes = terms.resumes
        && terms.config.sessions.any()
        && (terms.binding.is_none() || terms.config.parameters.rekey.resume);
    if !resumes || hello.session_id.is_empty() && ticket.is_empty() {
        return full::start(terms, &hello, transcript, outbox);
    }
    outbox.ask_server(
        &terms.config,
        ServerQuestion::FindSession {
            id: hello.session_id.clone(),
            ticket,
        },
    );
    Ok(Box::new(resumed::ExpectSession {
        terms,
        hello,
        transcript,
    }))
}

/// Whether the association is to be one of version 1.3 (RFC 8446 §4.2.1).
fn chooses_13(terms: &Terms, hello: &ClientHello) -> Result<bool, Error> {
    if (terms.dialect.is_ssl)(hello.version) {
        return Err(PeerIncompatible::NoCommonVersion.into());
    }
    let parameters = &terms.config.parameters;
    let Some(offered) = &hello.extensions.supported_versions else {
        // The answer to a HelloRetryRequest is a hello of 1.3 (D13).
        return match terms.retried {
            Some(_) => Err(PeerMisbehaved::ChangedHello.into()),
            None => Ok(false),
        };
    };
    // RFC 8446 §4.1.2: a renegotiation stays at the version in force.
    if terms.binding.is_none()
        && parameters.speaks_13()
        && offered.contains(&terms.dialect.version_13)
    {
        return Ok(true);
    }
    if terms.retried.is_some() {
        return Err(PeerMisbehaved::ChangedHello.into());
    }
    // The extension alone counts where it is present.
    if !offered.contains(&terms.dialect.version_12) {
        return Err(PeerIncompatible::NoCommonVersion.into());
    }
    Ok(false)
}

/// What must hold of every hello of 1.2, whatever is chosen.
fn check(terms: &Terms, hello: &ClientHello) -> Result<(), Error> {
    // RFC 7507 §3: the client need not have fallen back to this version.
    let scsv = CipherSuite::TLS_FALLBACK_SCSV;
    let reaches = (terms.dialect.reaches_12)(hello.version);
    let higher =
        terms.config.parameters.speaks_13() || terms.config.parameters.speaks_12() && !reaches;
    if terms.binding.is_none() && higher && hello.cipher_suites.contains(&scsv) {
        return Err(PeerIncompatible::InappropriateFallback.into());
    }
    let spoken = terms.binding.is_some() || terms.config.parameters.speaks_12();
    // RFC 8446 §4.2.1: where the extension is present, it alone counts.
    let reached = hello.extensions.supported_versions.is_some() || reaches;
    if !spoken || !reached {
        return Err(PeerIncompatible::NoCommonVersion.into());
    }
    // RFC 5246 §7.4.1.2: the null method must be offered.
    if !hello.compression_methods.contains(&CompressionMethod::NULL) {
        return Err(PeerMisbehaved::SelectedCompression.into());
    }
    let offered = &hello.extensions;
    renegotiation::check_client(terms.binding.as_ref(), &terms.config.parameters, hello)?;
    let required = terms.config.parameters.extended_master_secret == ExtendedMasterSecret::Require;
    if required && !offered.extended_master_secret {
        return Err(PeerIncompatible::ExtendedMasterSecretRequired.into());
    }
    // RFC 8422 §5.1.2: uncompressed is always among the formats.
    if offered
        .point_formats
        .as_ref()
        .is_some_and(|list| !list.contains(&PointFormat::UNCOMPRESSED))
    {
        return Err(PeerIncompatible::UncompressedPointsRequired.into());
    }
    Ok(())
}

/// The application decides how the hello is answered.
struct ExpectHelloAnswer {
    terms: Terms,
    hello: Box<ClientHello>,
    inbound: InboundMessage,
}

impl State for ExpectHelloAnswer {
    fn name(&self) -> &'static str {
        "ExpectHelloAnswer"
    }

    fn answer(self: Box<Self>, answer: Answer, outbox: &mut Outbox) -> Step {
        let Answer::Server(ServerAnswer::Hello(answer)) = answer else {
            return Err(Error::UnexpectedAnswer(self.name()));
        };
        let Self {
            mut terms,
            hello,
            inbound,
        } = *self;
        terms.answer = answer.map_err(Error::Aborted)?;
        proceed(terms, hello, &inbound, outbox)
    }
}
