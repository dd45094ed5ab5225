//! The client's hello and the server's answer to it, up to the point where the version is known.

use super::{State, cookie, resumed, retry, v12, v13};
use crate::config::{ClientConfig, ExtendedMasterSecret};
use crate::crypto::kx::{self, Exchange};
use crate::crypto::suite;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::{Action, Epochs, Outbox};
use crate::protocol::{
    CipherSuite, CompressionMethod, Dialect, Epoch, ExtensionType, FlightEnd, HandshakeType,
    NamedGroup, PointFormat, ProtocolVersion, PskKeyExchangeMode, SrtpProfile,
};
use crate::secrets::schedule12::Randoms;
use crate::secrets::transcript::Transcript;
use crate::session::{Session, Session12, Session13};
use crate::wire::client_hello::{ClientHello, MAX_SESSION_ID_LEN, RANDOM_LEN};
use crate::wire::extension::{ClientExtensions, KeyShare};
use crate::wire::handshake::InboundMessage;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use crate::wire::server_hello::{DOWNGRADE_TO_12, ServerHello};
use pki_types::{ServerName, UnixTime};
use std::sync::Arc;

/// What a client's handshake starts from.
pub(crate) struct Settings {
    /// What the client wants.
    pub(crate) config: Arc<ClientConfig>,
    /// Whom it wants to talk to.
    pub(crate) server_name: ServerName<'static>,
    /// The epoch in force: plaintext, for an initial handshake.
    pub(crate) current: Epoch,
    /// When the handshake begins.
    pub(crate) started: UnixTime,
    /// The session to offer.
    pub(crate) session: Option<Session>,
    /// What is renegotiated.
    pub(crate) renegotiating: Option<Renegotiating>,
}

/// What a client's renegotiation starts from.
pub(crate) struct Renegotiating {
    /// The association in force.
    pub(crate) binding: Binding,
    /// The cookie to show.
    pub(crate) cookie: Vec<u8>,
    /// An earlier attempt of the same epoch that led to nothing; it is repeated as it was.
    pub(crate) unanswered: Option<Box<Unanswered>>,
}

/// A ClientHello of a renegotiation that has not led to new keys, to be repeated as it was. Whether or not an answer was
/// seen, the server may be in the middle of a handshake that it began, and would take another hello for an old message.
pub(crate) struct Unanswered {
    hello: ClientHello,
    session: Option<Arc<Session12>>,
}

impl Unanswered {
    /// Whether it offers a session.
    pub(crate) const fn offers_session(&self) -> bool {
        self.session.is_some()
    }
}

/// How often a server may ask for a cookie: once is usual, and a second time after its key has changed.
const MAX_VERIFY_REQUESTS: u8 = 4;

/// Sends the first ClientHello.
pub(crate) fn start(
    dialect: &'static Dialect,
    settings: Settings,
    outbox: &mut Outbox,
) -> Result<State, Error> {
    let Settings {
        config,
        server_name,
        current,
        started,
        session,
        renegotiating,
    } = settings;
    let epochs = Epochs::after(current)?;
    let (binding, cookie, unanswered) = match renegotiating {
        Some(Renegotiating {
            binding,
            cookie,
            unanswered,
        }) => (Some(binding), cookie, unanswered),
        None => (None, Vec::new(), None),
    };
    let (session, psk) = match session {
        Some(Session::V12(session)) => (Some(session), None),
        Some(Session::V13(session)) => (None, Some(session)),
        None => (None, None),
    };
    let mut exchange = None;
    let Unanswered { hello, session } = match unanswered {
        Some(unanswered) => *unanswered,
        None => {
            let mut hello = client_hello(dialect, &config, &server_name)?;
            hello.cookie = cookie;
            if binding.is_some() && config.parameters.conformance.keep_application_protocol {
                hello.extensions.alpn = None;
            }
            hello.extensions.renegotiation_info =
                Some(renegotiation::client_info(binding.as_ref()));
            if let Some(session) = &session {
                offer(&mut hello, session, &config)?;
            }
            if config.parameters.conformance.fall_back && binding.is_none() {
                hello.cipher_suites.push(CipherSuite::TLS_FALLBACK_SCSV);
            }
            // RFC 8446 §4.1.2: what is renegotiated is the version in force, and nothing else is offered.
            if binding.is_none() && config.parameters.speaks_13() {
                exchange = Some(offer_13(dialect, &mut hello, &config)?);
            }
            Unanswered { hello, session }
        }
    };
    let state = ExpectServerHello {
        dialect,
        config,
        server_name,
        epochs,
        started,
        hello,
        session,
        binding,
        transcript: Transcript::new(dialect),
        verify_requests: 0,
        psk,
        exchange,
        retried: None,
    };
    state.send_hello(outbox)
}

fn client_hello(
    dialect: &Dialect,
    config: &ClientConfig,
    server_name: &ServerName<'_>,
) -> Result<ClientHello, Error> {
    let parameters = &config.parameters;
    let mut random = [0; RANDOM_LEN];
    parameters.random.fill(&mut random)?;
    Ok(ClientHello {
        version: dialect.version_12,
        random,
        session_id: Vec::new(),
        cookie: Vec::new(),
        cipher_suites: parameters.suites_12().map(|suite| suite.id).collect(),
        compression_methods: vec![CompressionMethod::NULL],
        extensions: ClientExtensions {
            server_name: dns_name(server_name),
            supported_groups: Some(parameters.algorithms.groups.clone()),
            point_formats: Some(vec![PointFormat::UNCOMPRESSED]),
            signature_algorithms: Some(config.parameters.algorithms.schemes.clone()),
            srtp: (dialect.srtp && !parameters.srtp.is_empty()).then(|| parameters.srtp.clone()),
            alpn: (!parameters.alpn.is_empty()).then(|| parameters.alpn.clone()),
            extended_master_secret: true,
            // RFC 5077 §3.2: empty asks for a ticket.
            session_ticket: (config.tickets && config.sessions.is_some()).then(Vec::new),
            ..ClientExtensions::default()
        },
    })
}

/// Adds version 1.3 to the offer, with a share of the preferred group.
fn offer_13(
    dialect: &Dialect,
    hello: &mut ClientHello,
    config: &ClientConfig,
) -> Result<(NamedGroup, Exchange), Error> {
    let parameters = &config.parameters;
    let mut suites: Vec<_> = parameters.suites_13().map(|suite| suite.id).collect();
    suites.append(&mut hello.cipher_suites);
    hello.cipher_suites = suites;
    if dialect.middlebox_compatibility && hello.session_id.is_empty() {
        hello.session_id = vec![0; MAX_SESSION_ID_LEN];
        parameters.random.fill(&mut hello.session_id)?;
    }
    let extensions = &mut hello.extensions;
    let mut versions = vec![dialect.version_13];
    if parameters.speaks_12() {
        versions.push(dialect.version_12);
    } else {
        // They say something to servers of 1.2 alone.
        extensions.point_formats = None;
        extensions.session_ticket = None;
        extensions.extended_master_secret = false;
        extensions.renegotiation_info = None;
    }
    extensions.supported_versions = Some(versions);
    if config.sessions.is_some() {
        extensions.psk_modes = Some(vec![PskKeyExchangeMode::PSK_DHE_KE]);
    }
    let group = *parameters
        .algorithms
        .groups
        .first()
        .ok_or(PeerIncompatible::NoCommonGroup)?;
    let (exchange, share) = kx::start(group)?;
    extensions.key_shares = Some(vec![KeyShare { group, share }]);
    Ok((group, exchange))
}

/// The name for server_name (RFC 6066 §3): a DNS name without a final dot; literal addresses are not sent.
pub(crate) fn dns_name(server_name: &ServerName<'_>) -> Option<String> {
    match server_name {
        ServerName::DnsName(name) => Some(
            name.as_ref()
                .strip_suffix('.')
                .unwrap_or(name.as_ref())
                .to_ascii_lowercase(),
        ),
        _ => None,
    }
}

/// Offers a session, by ticket if there is one.
fn offer(hello: &mut ClientHello, session: &Session12, config: &ClientConfig) -> Result<(), Error> {
    hello.session_id = session.id.clone();
    if session.ticket.is_empty() {
        return Ok(());
    }
    if hello.session_id.is_empty() {
        // RFC 5077 §3.4: the echo of an ID shows that the ticket was taken.
        hello.session_id = vec![0; MAX_SESSION_ID_LEN];
        config.parameters.random.fill(&mut hello.session_id)?;
    }
    hello.extensions.session_ticket = Some(session.ticket.clone());
    Ok(())
}

/// A ClientHello is out.
pub(crate) struct ExpectServerHello {
    pub(super) dialect: &'static Dialect,
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
    epochs: Epochs,
    pub(super) started: UnixTime,
    pub(super) hello: ClientHello,
    /// The session that the hello offers.
    session: Option<Arc<Session12>>,
    binding: Option<Binding>,
    pub(super) transcript: Transcript,
    verify_requests: u8,
    /// The ticket of 1.3 that the hello offers.
    pub(super) psk: Option<Arc<Session13>>,
    /// The key exchange of 1.3 that the hello has begun.
    pub(super) exchange: Option<(NamedGroup, Exchange)>,
    /// The suite of a HelloRetryRequest that this hello answers.
    pub(super) retried: Option<&'static suite::Suite>,
}

impl ExpectServerHello {
    pub(super) const fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Whether the server may ask for a cookie in the way of 1.2: not where it has asked in that of 1.3.
    pub(super) const fn knows_cookies(&self) -> bool {
        self.dialect.hello_cookie && self.retried.is_none()
    }

    /// The hello that is out.
    pub(super) fn offered(&self) -> Unanswered {
        Unanswered {
            hello: self.hello.clone(),
            session: self.session.clone(),
        }
    }

    /// Whether the server has asked for this hello, with a cookie that it may not know as its own any more.
    pub(super) const fn shows_cookie(&self) -> bool {
        self.dialect.hello_cookie && self.binding.is_none() && self.follows_request()
    }

    const fn follows_request(&self) -> bool {
        self.retried.is_some() || self.verify_requests > 0
    }

    /// Why an answer can belong to another hello than this one, which is then still to be answered: somebody may have sent
    /// a hello of its own with this client's address, or an earlier attempt from the same port is answered late. Inside
    /// an association nobody else can send anything.
    pub(super) fn doubt(&self, answer: &ServerHello) -> Option<Error> {
        if self.binding.is_some() {
            return None;
        }
        let version = answer.extensions.selected_version?;
        let asks = answer.is_retry_request();
        if !asks && self.verify_requests == 0 {
            return None;
        }
        if let Err(error) = self.check_version_13(version) {
            return Some(error);
        }
        retry::check(self, answer).err().filter(|_| asks)
    }

    /// The same of a HelloVerifyRequest where a cookie is shown already. An honest server asks twice only if its key has changed in
    /// between, and asks again when the hello is said anew.
    pub(super) fn doubt_request(&self) -> Option<Error> {
        let doubtful = self.binding.is_none() && self.verify_requests > 0;
        doubtful.then(|| PeerMisbehaved::TooManyHelloVerifyRequests.into())
    }

    /// Sends the hello as it stands, as a flight of its own.
    pub(super) fn send_hello(mut self, outbox: &mut Outbox) -> Result<State, Error> {
        if self.retried.is_none() {
            // RFC 6347 §4.2.6: a hello that was answered with HelloVerifyRequest, and that answer, are in no transcript.
            self.transcript = Transcript::new(self.dialect);
        }
        let mut body = Vec::with_capacity(512);
        match self.psk.clone() {
            Some(psk) => retry::encode_with_binder(&mut self, &psk, &mut body),
            None => self.hello.encode(self.dialect, &mut body),
        }
        outbox.send(
            self.epochs.current,
            HandshakeType::CLIENT_HELLO,
            body,
            &mut self.transcript,
        )?;
        // A server whose HelloRequest has crossed the first hello may answer the second before that has come
        // (`handshake/server/crossing`).
        let asked_again = self.binding.is_some() && self.verify_requests > 0;
        outbox.end_flight(if asked_again {
            FlightEnd::Request
        } else {
            FlightEnd::AwaitReply
        });
        Ok(State::ExpectServerHello(Box::new(self)))
    }

    /// Repeats the same hello with the cookie (RFC 6347 §4.2.1), also inside an association (E17).
    pub(super) fn handle_verify_request(
        mut self: Box<Self>,
        request: HelloVerifyRequest,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        self.verify_requests += 1;
        if self.verify_requests > MAX_VERIFY_REQUESTS {
            return Err(PeerMisbehaved::TooManyHelloVerifyRequests.into());
        }
        self.hello.cookie = request.cookie;
        if self.binding.is_none() {
            outbox.push(Action::ForgetAhead);
        }
        self.send_hello(outbox)
    }

    /// Checks the server's choice against the offer.
    pub(super) fn handle(
        mut self: Box<Self>,
        hello: &ServerHello,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Result<State, Error> {
        if hello.version != self.dialect.version_12 {
            return Err(PeerMisbehaved::SelectedUnofferedVersion(hello.version).into());
        }
        if let Some(version) = hello.extensions.selected_version {
            self.check_version_13(version)?;
            return if hello.is_retry_request() {
                retry::handle(*self, hello, inbound, outbox)
            } else {
                v13::start(*self, hello, inbound, outbox)
            };
        }
        self.check_version_12(hello)?;
        let suite = self.check_suite(hello.cipher_suite)?;
        if hello.compression_method != CompressionMethod::NULL {
            return Err(PeerMisbehaved::SelectedCompression.into());
        }
        self.check_extensions(hello)?;
        let resumed = self.resumed(hello)?;
        outbox.push(Action::VersionDecided(hello.version));
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
        self.transcript.start_hash(suite.hash);
        let Self {
            dialect,
            config,
            server_name,
            epochs,
            started,
            hello: offer,
            binding,
            transcript,
            ..
        } = *self;
        let policy = &config.parameters.rekey;
        let conformance = &config.parameters.conformance;
        let kept_alpn = binding
            .as_ref()
            .and_then(|it| it.kept_alpn(conformance).cloned());
        let cookie = cookie::to_repeat(policy, offer.cookie, started);
        let context = v12::Context {
            version: dialect.version_12,
            config,
            server_name,
            epochs,
            started,
            suite,
            randoms: Randoms {
                client: offer.random,
                server: hello.random,
            },
            extended_master_secret: hello.extensions.extended_master_secret,
            secure_renegotiation: hello.extensions.renegotiation_info.is_some(),
            alpn: kept_alpn.unwrap_or_else(|| hello.extensions.alpn.clone()),
            srtp: hello.extensions.srtp,
            session_id: hello.session_id.clone(),
            ticket_promised: hello.extensions.session_ticket,
            cookie,
            binding,
            transcript,
        };
        Ok(match resumed {
            Some(session) => resumed::start(context, session, outbox),
            None => State::ExpectCertificate(Box::new(v12::ExpectCertificate { context })),
        })
    }

    /// The session, if the server resumes it: then it has echoed the ID of the offer (RFC 5246 §7.3).
    fn resumed(&self, hello: &ServerHello) -> Result<Option<Arc<Session12>>, Error> {
        let echoed = !hello.session_id.is_empty() && hello.session_id == self.hello.session_id;
        let Some(session) = &self.session else {
            // An ID that only looks like a resumption (RFC 8446 §D.4) names no session that a server could know.
            return if echoed {
                Err(PeerMisbehaved::WrongSessionId.into())
            } else {
                Ok(None)
            };
        };
        if !echoed {
            return Ok(None);
        }
        // RFC 5246 §7.4.1.3: the suite is the session's.
        if hello.cipher_suite != session.agreed.suite.id {
            return Err(PeerMisbehaved::ResumedWithOtherCipherSuite.into());
        }
        // RFC 7627 §5.3: so is the kind of master secret.
        match (
            session.extended_master_secret,
            hello.extensions.extended_master_secret,
        ) {
            (true, false) => Err(PeerMisbehaved::ExtendedMasterSecretDropped.into()),
            (false, true) => Err(PeerMisbehaved::ResumedWithOtherMasterSecret.into()),
            _ => Ok(Some(session.clone())),
        }
    }

    /// RFC 8446 §4.2.1: the extension chooses 1.3 and nothing else, and only where it was offered.
    fn check_version_13(&self, version: ProtocolVersion) -> Result<(), Error> {
        let number = ExtensionType::SUPPORTED_VERSIONS.0;
        if self.exchange.is_none() {
            // Not offered, so the extension was not either.
            return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
        }
        // RFC 8446 §4.2.1: it holds nothing but what was offered, and never a version before 1.3.
        if version != self.dialect.version_13 {
            return Err(PeerMisbehaved::IllegalExtension(number).into());
        }
        // D11: a server of 1.3 asks for no cookie in the way of 1.2 (RFC 9147 §5.1).
        if self.verify_requests > 0 {
            return Err(PeerMisbehaved::SelectedUnofferedVersion(version).into());
        }
        Ok(())
    }

    /// The server has chosen 1.2.
    fn check_version_12(&self, hello: &ServerHello) -> Result<(), Error> {
        let version = hello.version;
        let offered = self.binding.is_some() || self.config.parameters.speaks_12();
        // D13: behind a HelloRetryRequest the version stands.
        if !offered || self.retried.is_some() || hello.is_retry_request() {
            return Err(PeerMisbehaved::SelectedUnofferedVersion(version).into());
        }
        // RFC 8446 §4.1.3 (D12): looked at by a client that has offered 1.3, so never in a renegotiation.
        let offered_13 = self.hello.extensions.supported_versions.is_some();
        if offered_13 && is_downgraded(&hello.random) {
            return Err(PeerMisbehaved::Downgraded.into());
        }
        Ok(())
    }

    fn check_suite(&self, id: CipherSuite) -> Result<&'static suite::Suite, Error> {
        // D10: only what was offered may be chosen.
        let offered = self.hello.cipher_suites.contains(&id);
        suite::find(id)
            .filter(|suite| offered && !suite.is_13())
            .ok_or_else(|| PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    }

    fn check_extensions(&self, hello: &ServerHello) -> Result<(), Error> {
        let granted = &hello.extensions;
        let offered = &self.hello.extensions;
        // RFC 5246 §7.4.1.4: a server may only answer extensions that were offered.
        if let Some(unknown) = granted.unknown.first() {
            return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
        }
        let of_13 = [
            (granted.key_share.is_some(), ExtensionType::KEY_SHARE),
            (
                granted.selected_identity.is_some(),
                ExtensionType::PRE_SHARED_KEY,
            ),
            (granted.cookie.is_some(), ExtensionType::COOKIE),
        ];
        if let Some((_, typ)) = of_13.into_iter().find(|(present, _)| *present) {
            return Err(PeerMisbehaved::UnsolicitedExtension(typ.0).into());
        }
        if granted.server_name && offered.server_name.is_none() {
            return Err(PeerMisbehaved::UnsolicitedExtension(ExtensionType::SERVER_NAME.0).into());
        }
        if granted.session_ticket && offered.session_ticket.is_none() {
            return Err(
                PeerMisbehaved::UnsolicitedExtension(ExtensionType::SESSION_TICKET.0).into(),
            );
        }
        check_srtp(granted.srtp, offered.srtp.as_deref())?;
        if let Some(chosen) = &granted.alpn {
            let list = offered
                .alpn
                .as_ref()
                .ok_or(PeerMisbehaved::UnsolicitedExtension(ExtensionType::ALPN.0))?;
            // RFC 9325 §3.8: a protocol that was not offered ends the handshake.
            if !list.contains(chosen) && !self.config.parameters.conformance.take_unoffered_alpn {
                return Err(PeerMisbehaved::SelectedUnofferedApplicationProtocol.into());
            }
        }
        if granted
            .point_formats
            .as_ref()
            .is_some_and(|list| !list.contains(&PointFormat::UNCOMPRESSED))
        {
            return Err(PeerMisbehaved::IllegalExtension(ExtensionType::EC_POINT_FORMATS.0).into());
        }
        let policy = self.config.parameters.secure_renegotiation;
        renegotiation::check_server(self.binding.as_ref(), policy, granted)?;
        // RFC 7627 §5.2: a client may refuse a server without it.
        let required =
            self.config.parameters.extended_master_secret == ExtendedMasterSecret::Require;
        if required && !granted.extended_master_secret {
            return Err(PeerIncompatible::ExtendedMasterSecretRequired.into());
        }
        Ok(())
    }
}

/// RFC 5764 §4.1.1: the server chooses one of the client's profiles.
pub(super) fn check_srtp(
    chosen: Option<SrtpProfile>,
    offered: Option<&[SrtpProfile]>,
) -> Result<(), PeerMisbehaved> {
    match (chosen, offered) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(PeerMisbehaved::UnsolicitedExtension(
            ExtensionType::USE_SRTP.0,
        )),
        (Some(chosen), Some(offered)) if offered.contains(&chosen) => Ok(()),
        (Some(chosen), Some(_)) => Err(PeerMisbehaved::SelectedUnofferedSrtpProfile(chosen)),
    }
}

/// Whether the server says that it speaks more than it was brought to choose (RFC 8446 §4.1.3).
fn is_downgraded(random: &[u8; RANDOM_LEN]) -> bool {
    let (mut to_11, to_12) = (DOWNGRADE_TO_12, DOWNGRADE_TO_12);
    to_11[7] = 0;
    random.ends_with(&to_12) || random.ends_with(&to_11)
}
