//! The client's hello and the server's choice.

use super::crossing::Crossing;
use super::{State, resumed, v12, v13};
use crate::config::{ExtendedMasterSecret, HelloAnswer, ReceivedHello, Retried, ServerConfig};
use crate::crypto::kx;
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::{Action, Epochs, Outbox, ServerQuestion, Unsigned};
use crate::identity::{Credential, encode_certificate_12};
use crate::protocol::{
    AlertDescription, CertificateType, CipherSuite, CompressionMethod, Dialect, Epoch,
    HandshakeType, NamedGroup, PointFormat, SignatureScheme, SrtpProfile,
};
use crate::secrets::schedule12::Randoms;
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::{ClientHello, MAX_SESSION_ID_LEN, RANDOM_LEN};
use crate::wire::extension::ServerExtensions;
use crate::wire::handshake::InboundMessage;
use crate::wire::key_exchange::EcdhParams;
use crate::wire::server_hello::{DOWNGRADE_TO_12, ServerHello};
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
    /// A HelloRequest is out, which the client may or may not have counted when it said its hello.
    pub(crate) requested: bool,
}

/// Waits for a ClientHello.
pub(crate) fn start(dialect: &'static Dialect, settings: Settings) -> Result<State, Error> {
    let Settings {
        config,
        current,
        started,
        binding,
        retried,
        only_resume,
        resumes,
        requested,
    } = settings;
    let epochs = Epochs::after(current)?;
    Ok(State::ExpectClientHello(Box::new(ExpectClientHello {
        dialect,
        config,
        epochs,
        started,
        binding,
        retried,
        only_resume,
        resumes,
        requested,
        answer: HelloAnswer::default(),
    })))
}

/// Nothing is known of the client yet.
pub(crate) struct ExpectClientHello {
    pub(super) dialect: &'static Dialect,
    pub(super) config: Arc<ServerConfig>,
    pub(super) epochs: Epochs,
    pub(super) started: UnixTime,
    pub(super) binding: Option<Binding>,
    pub(super) retried: Option<Box<Retried>>,
    pub(super) only_resume: bool,
    resumes: bool,
    requested: bool,
    /// What the application wants otherwise than configured.
    pub(super) answer: HelloAnswer,
}

/// What the server has picked from a client's offer.
struct Choice {
    suite: &'static Suite,
    credential: Credential,
    scheme: SignatureScheme,
    group: NamedGroup,
    alpn: Option<Vec<u8>>,
}

impl ExpectClientHello {
    pub(super) const fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Asks the application what to do with the hello, if it wants to be asked.
    pub(super) fn handle(
        self,
        hello: Box<ClientHello>,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        if self.config.answers.is_none() {
            return self.proceed(hello, inbound, outbox);
        }
        let received = Box::new(ReceivedHello::of(&hello));
        outbox.ask_server(&self.config, ServerQuestion::Hello(received));
        Ok(State::ExpectHelloAnswer(Box::new(ExpectHelloAnswer {
            settings: self,
            hello,
            inbound: inbound.clone(),
        })))
    }

    /// What the server proves its identity with, in this handshake.
    pub(super) fn credentials(&self) -> &[Credential] {
        let answered = self.answer.credentials.as_deref();
        answered.unwrap_or(&self.config.credentials)
    }

    /// Checks the hello and asks for the session that it names, if it names one.
    fn proceed(
        self,
        hello: Box<ClientHello>,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        if self.chooses_13(&hello)? {
            return v13::start(self, hello, inbound, outbox);
        }
        self.check(&hello)?;
        let mut transcript = Transcript::new(self.dialect);
        transcript.add(inbound.typ, inbound.seq, &inbound.body);
        let ticket = hello.extensions.session_ticket.clone();
        let ticket = ticket.unwrap_or_default();
        let resumes = self.resumes
            && self.config.sessions.any()
            && (self.binding.is_none() || self.config.parameters.rekey.resume);
        if !resumes || hello.session_id.is_empty() && ticket.is_empty() {
            return self.full(&hello, transcript, outbox);
        }
        outbox.ask_server(
            &self.config,
            ServerQuestion::FindSession {
                id: hello.session_id.clone(),
                ticket,
            },
        );
        Ok(State::ExpectSession(Box::new(resumed::ExpectSession {
            settings: self,
            hello,
            transcript,
        })))
    }

    /// A handshake with a key exchange.
    pub(super) fn full(
        self,
        hello: &ClientHello,
        mut transcript: Transcript,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        self.check_full_allowed(hello)?;
        let choice = self.choose(hello)?;
        transcript.start_hash(choice.suite.hash);
        let current = self.epochs.current;
        let server_hello = self.server_hello(hello, &choice)?;
        outbox.push(Action::VersionDecided(self.dialect.version_12));
        let mut body = Vec::with_capacity(128);
        server_hello.encode(&mut body);
        outbox.send(current, HandshakeType::SERVER_HELLO, body, &mut transcript)?;
        let mut body = Vec::new();
        let claim = choice.credential.claim();
        encode_certificate_12(Some(&claim), &mut body);
        outbox.send(current, HandshakeType::CERTIFICATE, body, &mut transcript)?;

        let (exchange, share) = kx::start(choice.group)?;
        let params = EcdhParams {
            group: choice.group,
            share,
        };
        let randoms = Randoms {
            client: hello.random,
            server: server_hello.random,
        };
        let message = params.signed_message(&randoms.client, &randoms.server);
        let key = choice.credential.key().clone();
        outbox.ask_server(
            &self.config,
            ServerQuestion::Sign(Unsigned {
                key,
                scheme: choice.scheme,
                message,
            }),
        );
        Ok(State::ExpectSignature(Box::new(v12::ExpectSignature {
            context: v12::Context {
                version: self.dialect.version_12,
                config: self.config,
                epochs: self.epochs,
                started: self.started,
                suite: choice.suite,
                group: choice.group,
                randoms,
                extended_master_secret: hello.extensions.extended_master_secret,
                secure_renegotiation: renegotiation::is_secure(hello),
                srtp: server_hello.extensions.srtp,
                alpn: choice.alpn,
                server_name: hello.extensions.server_name.clone(),
                shown: claim,
                session_id: server_hello.session_id,
                ticket_promised: server_hello.extensions.session_ticket,
                binding: self.binding,
                crossing: (self.requested && self.dialect.hello_cookie)
                    .then(|| Crossing::of(hello)),
                transcript,
            },
            exchange,
            params,
            scheme: choice.scheme,
        })))
    }

    /// Whether the association is to be one of version 1.3 (RFC 8446 §4.2.1).
    fn chooses_13(&self, hello: &ClientHello) -> Result<bool, Error> {
        if (self.dialect.is_ssl)(hello.version) {
            return Err(PeerIncompatible::NoCommonVersion.into());
        }
        let parameters = &self.config.parameters;
        let Some(offered) = &hello.extensions.supported_versions else {
            // The answer to a HelloRetryRequest is a hello of 1.3 (D13).
            return match self.retried {
                Some(_) => Err(PeerMisbehaved::ChangedHello.into()),
                None => Ok(false),
            };
        };
        // RFC 8446 §4.1.2: a renegotiation stays at the version in force.
        if self.binding.is_none()
            && parameters.speaks_13()
            && offered.contains(&self.dialect.version_13)
        {
            return Ok(true);
        }
        if self.retried.is_some() {
            return Err(PeerMisbehaved::ChangedHello.into());
        }
        // The extension alone counts where it is present.
        if !offered.contains(&self.dialect.version_12) {
            return Err(PeerIncompatible::NoCommonVersion.into());
        }
        Ok(false)
    }

    /// A signature is not made for somebody whose address was not proved, or who takes no X.509
    /// certificates, nor without a credential.
    pub(super) fn check_full_allowed(&self, hello: &ClientHello) -> Result<(), Error> {
        if self.only_resume {
            return Err(Error::Evicted);
        }
        let types = hello.extensions.server_certificate_types.as_ref();
        if types.is_some_and(|types| !types.contains(&CertificateType::X509)) {
            return Err(PeerIncompatible::NoCommonCertificateType.into());
        }
        if self.credentials().is_empty() {
            return Err(Error::NoCredential);
        }
        Ok(())
    }

    /// What must hold of every hello of 1.2, whatever is chosen.
    fn check(&self, hello: &ClientHello) -> Result<(), Error> {
        // RFC 7507 §3: whoever came down to this version need not have.
        let scsv = CipherSuite::TLS_FALLBACK_SCSV;
        let reaches = (self.dialect.reaches_12)(hello.version);
        let higher =
            self.config.parameters.speaks_13() || self.config.parameters.speaks_12() && !reaches;
        if self.binding.is_none() && higher && hello.cipher_suites.contains(&scsv) {
            return Err(PeerIncompatible::InappropriateFallback.into());
        }
        let spoken = self.binding.is_some() || self.config.parameters.speaks_12();
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
        renegotiation::check_client(self.binding.as_ref(), &self.config.parameters, hello)?;
        let required =
            self.config.parameters.extended_master_secret == ExtendedMasterSecret::Require;
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

    fn choose(&self, hello: &ClientHello) -> Result<Choice, Error> {
        let (suite, credential, scheme) = self.choose_suite(hello)?;
        let groups = &self.config.parameters.algorithms.groups;
        let group = match &hello.extensions.supported_groups {
            Some(offered) => groups.iter().find(|group| offered.contains(group)),
            None if self.config.parameters.conformance.require_supported_groups => None,
            // RFC 8422 §4: a client that does not say takes any; one that old most likely knows P-256.
            None => groups
                .iter()
                .find(|&&group| group == NamedGroup::SECP256R1)
                .or(groups.first()),
        };
        let group = *group.ok_or(PeerIncompatible::NoCommonGroup)?;
        let alpn = self.choose_alpn(hello.extensions.alpn.as_deref())?;
        Ok(Choice {
            suite,
            credential: credential.clone(),
            scheme,
            group,
            alpn,
        })
    }

    /// The first suite that a key and a signature scheme can serve.
    fn choose_suite(
        &self,
        hello: &ClientHello,
    ) -> Result<(&'static Suite, &Credential, SignatureScheme), Error> {
        // RFC 5246 §7.4.1.4.1: without the extension only SHA-1 is promised, which is not made here.
        let schemes = hello
            .extensions
            .signature_algorithms
            .as_deref()
            .unwrap_or_default();
        let authorities = &hello.extensions.authorities;
        let mut lacking = PeerIncompatible::NoCommonCipherSuite;
        let suites = self.config.parameters.suites_12();
        for suite in self.config.in_order(suites, &hello.cipher_suites) {
            if lacking == PeerIncompatible::NoCommonCipherSuite {
                lacking = PeerIncompatible::NoCommonSignatureScheme;
            }
            let fitting = self
                .credentials()
                .iter()
                .filter(|credential| suite.authentication == Some(credential.key().kind()))
                .filter(|credential| credential.suits_authorities(authorities));
            for credential in fitting {
                if !suits_groups(credential, hello) {
                    lacking = PeerIncompatible::NoCommonGroup;
                    continue;
                }
                let scheme = credential
                    .schemes()
                    .iter()
                    .find(|scheme| schemes.contains(scheme));
                if let Some(&scheme) = scheme {
                    return Ok((suite, credential, scheme));
                }
            }
        }
        Err(lacking.into())
    }

    /// What the application has answered; else the server's preference (RFC 7301 §3.2). With a list at both ends and nothing in
    /// common, the handshake fails.
    pub(super) fn choose_alpn(
        &self,
        offered: Option<&[Vec<u8>]>,
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(kept) = self.kept_alpn() {
            return Ok(kept.clone());
        }
        if let Some(answered) = &self.answer.alpn {
            let offered = offered.unwrap_or_default();
            if answered.as_ref().is_some_and(|it| !offered.contains(it)) {
                return Err(Error::UnusableAnswer);
            }
            return Ok(answered.clone());
        }
        let ours = &self.config.parameters.alpn;
        match offered {
            Some(offered) if !ours.is_empty() => ours
                .iter()
                .find(|protocol| offered.contains(protocol))
                .map(|protocol| Some(protocol.clone()))
                .ok_or_else(|| PeerIncompatible::NoCommonApplicationProtocol.into()),
            _ => Ok(None),
        }
    }

    /// RFC 5764 §4.1.1: the server's preference; without a common profile the handshake goes on.
    pub(super) fn choose_srtp(&self, hello: &ClientHello) -> Option<SrtpProfile> {
        let offered = hello.extensions.srtp.as_ref()?;
        let mut ours = self.config.parameters.srtp.iter().copied();
        ours.find(|profile| self.dialect.srtp && offered.contains(profile))
    }

    /// Whether a NewSessionTicket is promised: whenever the client takes tickets, also in a renegotiation and a
    /// resumption (RFC 5077 §3.3).
    pub(super) fn promises_ticket(&self, hello: &ClientHello) -> bool {
        hello.extensions.session_ticket.is_some()
            && self.may_resume_later(hello)
            && self.config.sessions.tickets.is_some()
    }

    /// Whether a session that this hello makes can be resumed (RFC 7627 §5.3).
    fn may_resume_later(&self, hello: &ClientHello) -> bool {
        hello.extensions.extended_master_secret || self.config.parameters.resumes_unbound()
    }

    /// What a ServerHello says about the application protocol that is in force from now on.
    pub(super) fn granted_alpn(&self, alpn: &Option<Vec<u8>>) -> Option<Vec<u8>> {
        alpn.clone().filter(|_| self.kept_alpn().is_none())
    }

    /// The application protocol of the handshakes before, if it is kept.
    fn kept_alpn(&self) -> Option<&Option<Vec<u8>>> {
        let binding = self.binding.as_ref()?;
        binding.kept_alpn(&self.config.parameters.conformance)
    }

    /// What binds this handshake to the one before it, for a client that binds as well (RFC 5746 §3.6).
    pub(super) fn renegotiation_info(&self, hello: &ClientHello) -> Option<Vec<u8>> {
        renegotiation::is_secure(hello).then(|| renegotiation::server_info(self.binding.as_ref()))
    }

    /// The random of a ServerHello of 1.2. A server that speaks 1.3 as well says so in it, whatever the hello offered, so that
    /// nobody can take the offer of 1.3 out of a hello unseen (RFC 8446 §4.1.3).
    pub(super) fn random_12(&self) -> Result<[u8; RANDOM_LEN], Error> {
        let mut random = [0; RANDOM_LEN];
        self.config.parameters.random.fill(&mut random)?;
        if self.config.parameters.speaks_13() {
            random[RANDOM_LEN - DOWNGRADE_TO_12.len()..].copy_from_slice(&DOWNGRADE_TO_12);
        }
        Ok(random)
    }

    fn server_hello(&self, hello: &ClientHello, choice: &Choice) -> Result<ServerHello, Error> {
        let random = &self.config.parameters.random;
        let server_random = self.random_12()?;
        let offered = &hello.extensions;
        let session_ticket = self.promises_ticket(hello);
        let cached =
            !session_ticket && self.may_resume_later(hello) && self.config.sessions.cache.is_some();
        // RFC 5246 §7.4.1.3: an empty ID says that the session is not kept here.
        let mut session_id = vec![0; if cached { MAX_SESSION_ID_LEN } else { 0 }];
        random.fill(&mut session_id)?;
        Ok(ServerHello {
            version: self.dialect.version_12,
            random: server_random,
            session_id,
            cipher_suite: choice.suite.id,
            compression_method: CompressionMethod::NULL,
            extensions: ServerExtensions {
                server_name: offered.server_name.is_some()
                    && !self.config.parameters.conformance.hide_server_name,
                point_formats: offered
                    .point_formats
                    .as_ref()
                    .map(|_| vec![PointFormat::UNCOMPRESSED]),
                srtp: self.choose_srtp(hello),
                alpn: self.granted_alpn(&choice.alpn),
                // RFC 7627 §5.1: granted exactly when it was offered.
                extended_master_secret: offered.extended_master_secret,
                session_ticket,
                // RFC 5746 §3.6: the SCSV alone obliges the server to send it too.
                renegotiation_info: self.renegotiation_info(hello),
                ..ServerExtensions::default()
            },
        })
    }
}

/// The application has the word.
pub(crate) struct ExpectHelloAnswer {
    settings: ExpectClientHello,
    hello: Box<ClientHello>,
    inbound: InboundMessage,
}

impl ExpectHelloAnswer {
    pub(super) fn handle(
        self,
        answer: Result<HelloAnswer, AlertDescription>,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        let Self {
            mut settings,
            hello,
            inbound,
        } = self;
        settings.answer = answer.map_err(Error::Aborted)?;
        settings.proceed(hello, &inbound, outbox)
    }
}

/// RFC 8422 §5.3: at 1.2 the curve of an ECDSA key is one of the groups that the client lists.
fn suits_groups(credential: &Credential, hello: &ClientHello) -> bool {
    let groups = hello.extensions.supported_groups.as_ref();
    match (credential.key().curve(), groups) {
        (Some(curve), Some(groups)) => groups.contains(&curve),
        _ => true,
    }
}
