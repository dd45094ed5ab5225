//! The client's hello and the server's answer to it, up to the point where the version is known.

use super::offer::{Offer, check_srtp, is_downgraded};
use super::{compose, cookie, psk, resumed, retry, shares, v12, v13};
use crate::config::{ClientConfig, ExtendedMasterSecret};
use crate::crypto::suite::{self, Authentication};
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::certificate_types::Offered;
use crate::handshake::limits;
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::state::{OfferedHello, OutstandingHello, State, Step, unexpected};
use crate::handshake::{Action, Epochs, Outbox};
use crate::protocol::{
    CipherSuite, CompressionMethod, ConnectionId, Dialect, Epoch, ExtensionType, FlightEnd,
    HandshakeType, PointFormat, ProtocolVersion,
};
use crate::secrets::schedule12::Randoms;
use crate::secrets::transcript::{Keeps, Transcript};
use crate::session::{Resumable, Session, Session12};
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::handshake::InboundMessage;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use crate::wire::message::{Grammar, Message};
use crate::wire::server_hello::ServerHello;
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
    /// What the server is to put into its records (RFC 9146 §3); `None` for no connection IDs.
    pub(crate) connection_id: Option<ConnectionId>,
    /// What is renegotiated.
    pub(crate) renegotiating: Option<Renegotiating>,
    /// A hello with the share of a hybrid group was not answered: none goes out this time.
    pub(crate) small: bool,
}

/// What a client's renegotiation starts from.
pub(crate) struct Renegotiating {
    /// The association in force.
    pub(crate) binding: Binding,
    /// The cookie to show.
    pub(crate) cookie: Vec<u8>,
    /// An earlier attempt of the same epoch that led to nothing; it is repeated as it was.
    pub(crate) unanswered: Option<Box<OfferedHello>>,
}

/// How often a server may ask for a cookie: once is usual, and a second time after its key has
/// changed.
const MAX_VERIFY_REQUESTS: u8 = 4;

/// Sends the first ClientHello.
pub(in crate::handshake) fn start(
    dialect: &'static Dialect,
    settings: Settings,
    outbox: &mut Outbox,
) -> Step {
    let Settings {
        config,
        server_name,
        current,
        started,
        session,
        connection_id,
        renegotiating,
        small,
    } = settings;
    let epochs = Epochs::after(current)?;
    let (binding, cookie, unanswered) = match renegotiating {
        Some(it) => (Some(it.binding), it.cookie, it.unanswered),
        None => (None, Vec::new(), None),
    };
    let (session, ticket) = match session {
        Some(Session(Resumable::V12(session))) => (Some(session), None),
        Some(Session(Resumable::V13(session))) => (None, Some(session)),
        None => (None, None),
    };
    let mut exchange = None;
    let OfferedHello { hello, session } = match unanswered {
        Some(unanswered) => *unanswered,
        None => {
            let mut hello = compose::usual(dialect, &config, &server_name, connection_id)?;
            hello.cookie = cookie;
            exchange = compose::complete(
                &mut hello,
                dialect,
                &config,
                (binding.as_ref(), session.as_deref()),
                small,
            )?;
            limits::offer(&mut hello, &config);
            OfferedHello { hello, session }
        }
    };
    // Whatever version 1.3 is not offered beside is a key of that version for nothing.
    let psks = match &exchange {
        Some(_) => psk::offered(dialect, &config, ticket),
        None => Vec::new(),
    };
    let state = ExpectServerHello {
        offer: Box::new(Offer {
            dialect,
            config,
            server_name,
            started,
            hello,
            transcript: Transcript::new(dialect),
            psks,
            exchange,
            retried: None,
        }),
        epochs,
        session,
        binding,
        verify_requests: 0,
    };
    state.send_hello(outbox)
}

/// A ClientHello is out.
struct ExpectServerHello {
    offer: Box<Offer>,
    epochs: Epochs,
    /// The session of 1.2 that the hello offers.
    session: Option<Arc<Session12>>,
    binding: Option<Binding>,
    verify_requests: u8,
}

impl State for ExpectServerHello {
    fn name(&self) -> &'static str {
        "ExpectServerHello"
    }

    fn expects(&self, typ: HandshakeType, epoch: Epoch) -> Option<Grammar> {
        // A server that has asked for a second hello in the way of 1.3 does not ask in that of 1.2.
        let knows_cookies = self.offer.dialect.hello_cookie && self.offer.retried.is_none();
        let expected = typ == HandshakeType::SERVER_HELLO
            || typ == HandshakeType::HELLO_VERIFY_REQUEST && knows_cookies;
        (expected && epoch == self.epochs.current).then_some(Grammar::V12)
    }

    fn handle(
        self: Box<Self>,
        message: Message,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        match message {
            Message::HelloVerifyRequest(request) => self.handle_verify_request(request, outbox),
            Message::ServerHello(hello) => self.handle_hello(&hello, inbound, outbox),
            _ => unexpected(inbound),
        }
    }

    fn hello(&self) -> Option<&dyn OutstandingHello> {
        Some(self)
    }
}

impl OutstandingHello for ExpectServerHello {
    fn offered(&self) -> OfferedHello {
        OfferedHello {
            hello: self.offer.hello.clone(),
            session: self.session.clone(),
        }
    }

    fn random(&self) -> [u8; RANDOM_LEN] {
        self.offer.hello.random
    }

    fn shows_cookie(&self) -> bool {
        let follows_request = self.offer.retried.is_some() || self.verify_requests > 0;
        self.offer.dialect.hello_cookie && self.binding.is_none() && follows_request
    }

    fn can_be_smaller(&self) -> bool {
        self.offer.dialect.hello_in_datagram && shares::are_two(&self.offer.hello)
    }

    fn doubt(&self, message: &Message) -> Option<Error> {
        match message {
            Message::ServerHello(hello) => self.doubt_hello(hello),
            Message::HelloVerifyRequest(_) => self.doubt_request(),
            _ => None,
        }
    }
}

impl ExpectServerHello {
    /// Why an answer may belong to another hello than this one, which is then still to be answered:
    /// an attacker may have sent a hello of its own from this client's address, or an earlier
    /// attempt from the same port is answered late. Inside an association only the peer can send
    /// anything.
    fn doubt_hello(&self, answer: &ServerHello) -> Option<Error> {
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
        retry::check(&self.offer, answer).err().filter(|_| asks)
    }

    /// The same for a HelloVerifyRequest that comes when a cookie is shown already. An honest
    /// server asks twice only if its key has changed in between, and asks again when the attempt
    /// begins anew.
    fn doubt_request(&self) -> Option<Error> {
        let doubtful = self.binding.is_none() && self.verify_requests > 0;
        doubtful.then(|| PeerMisbehaved::TooManyHelloVerifyRequests.into())
    }

    /// Sends the hello as it stands, as a flight of its own.
    fn send_hello(mut self, outbox: &mut Outbox) -> Step {
        if self.offer.retried.is_none() {
            // RFC 6347 §4.2.6: a hello that was answered with HelloVerifyRequest, and that answer,
            // are in no transcript.
            self.offer.transcript = Transcript::new(self.offer.dialect);
        }
        let mut body = Vec::with_capacity(512);
        psk::encode_hello(&mut self.offer, &mut body);
        outbox.send(
            self.epochs.current,
            HandshakeType::CLIENT_HELLO,
            body,
            &mut self.offer.transcript,
        )?;
        // A server whose HelloRequest has crossed the first hello may answer the second before that
        // has come (`handshake/server/crossing`).
        let asked_again = self.binding.is_some() && self.verify_requests > 0;
        outbox.end_flight(if asked_again {
            FlightEnd::Request
        } else {
            FlightEnd::AwaitReply
        });
        Ok(Box::new(self))
    }

    /// Repeats the same hello with the cookie (RFC 6347 §4.2.1), also inside an association (E17).
    fn handle_verify_request(mut self, request: HelloVerifyRequest, outbox: &mut Outbox) -> Step {
        self.verify_requests += 1;
        if self.verify_requests > MAX_VERIFY_REQUESTS {
            return Err(PeerMisbehaved::TooManyHelloVerifyRequests.into());
        }
        self.offer.hello.cookie = request.cookie;
        if self.binding.is_none() {
            outbox.push(Action::ForgetAhead);
        }
        self.send_hello(outbox)
    }

    /// Checks the server's choice against the offer.
    fn handle_hello(
        mut self,
        hello: &ServerHello,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        if hello.version != self.offer.dialect.version_12 {
            return Err(PeerMisbehaved::SelectedUnofferedVersion(hello.version).into());
        }
        if let Some(version) = hello.extensions.selected_version {
            self.check_version_13(version)?;
            if hello.is_retry_request() {
                retry::follow(&mut self.offer, hello, inbound, outbox)?;
                return self.send_hello(outbox);
            }
            return v13::start(self.offer, hello, inbound, outbox);
        }
        self.start_12(hello, inbound, outbox)
    }

    /// The server has chosen 1.2.
    fn start_12(
        mut self,
        hello: &ServerHello,
        inbound: &InboundMessage,
        outbox: &mut Outbox,
    ) -> Step {
        self.check_version_12(hello)?;
        let suite = self.check_suite(hello.cipher_suite)?;
        if hello.compression_method != CompressionMethod::NULL {
            return Err(PeerMisbehaved::SelectedCompression.into());
        }
        self.check_extensions(hello)?;
        let ids = self.offer.connection_ids(&hello.extensions)?;
        let resumed = self.resumed(hello)?;
        let types = Offered::of(&self.offer.hello.extensions);
        // RFC 4279 §2: with a shared key neither end shows a certificate.
        let shares = suite.authentication == Authentication::SharedKey;
        let shows_nothing = resumed.is_some() || shares;
        let kinds = types.check(hello.extensions.certificate_types, shows_nothing)?;
        let limits = self
            .offer
            .limits_12(&hello.extensions, resumed.as_deref())?;
        outbox.decide(self.offer.dialect, hello.version, ids, limits);
        let may_sign = resumed.is_none() && self.offer.config.may_show_something();
        let transcript = &mut self.offer.transcript;
        transcript.start_hash(suite.hash, Keeps::messages_if(may_sign));
        transcript.add(inbound.typ, inbound.seq, &inbound.body);
        let Self {
            offer,
            epochs,
            binding,
            ..
        } = self;
        let Offer {
            config, started, ..
        } = *offer;
        let parameters = &config.parameters;
        let kept_alpn = binding
            .as_ref()
            .and_then(|it| it.kept_alpn(&parameters.conformance).cloned());
        let cookie = cookie::to_repeat(&parameters.rekey, offer.hello.cookie, started);
        let context = Box::new(v12::ClientContext12 {
            version: offer.dialect.version_12,
            config,
            server_name: offer.server_name,
            epochs,
            started,
            suite,
            kinds,
            randoms: Randoms {
                client: offer.hello.random,
                server: hello.random,
            },
            extended_master_secret: hello.extensions.extended_master_secret,
            secure_renegotiation: hello.extensions.renegotiation_info.is_some(),
            alpn: kept_alpn.unwrap_or_else(|| hello.extensions.alpn.clone()),
            srtp: hello.extensions.srtp,
            session_id: hello.session_id.clone(),
            ticket_promised: hello.extensions.session_ticket,
            limits,
            cookie,
            binding,
            transcript: offer.transcript,
        });
        Ok(match resumed {
            Some(session) => resumed::start(context, session, outbox),
            None if shares => Box::new(v12::ExpectSharedKeyExchange { context }),
            None => Box::new(v12::ExpectCertificate { context }),
        })
    }

    /// The session, if the server resumes it: then it has echoed the ID of the offer
    /// (RFC 5246 §7.3).
    fn resumed(&self, hello: &ServerHello) -> Result<Option<Arc<Session12>>, Error> {
        let echoed =
            !hello.session_id.is_empty() && hello.session_id == self.offer.hello.session_id;
        let Some(session) = &self.session else {
            // The ID was made up (RFC 8446 §D.4), so it names no session that a server could know.
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
        if self.offer.exchange.is_none() {
            // Version 1.3 was not offered, so neither was the extension.
            return Err(PeerMisbehaved::UnsolicitedExtension(number).into());
        }
        // RFC 8446 §4.2.1: it holds nothing but what was offered, and never a version before 1.3.
        if version != self.offer.dialect.version_13 {
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
        let offered = self.binding.is_some() || self.offer.config.parameters.speaks_12();
        // D13: after a HelloRetryRequest the version is decided.
        if !offered || self.offer.retried.is_some() || hello.is_retry_request() {
            return Err(PeerMisbehaved::SelectedUnofferedVersion(version).into());
        }
        // RFC 8446 §4.1.3 (D12): checked by a client that has offered 1.3, so never in a
        // renegotiation.
        let offered_13 = self.offer.hello.extensions.supported_versions.is_some();
        if offered_13 && is_downgraded(&hello.random) {
            return Err(PeerMisbehaved::Downgraded.into());
        }
        Ok(())
    }

    fn check_suite(&self, id: CipherSuite) -> Result<&'static suite::Suite, Error> {
        // D10: only what was offered may be chosen.
        let offered = self.offer.hello.cipher_suites.contains(&id);
        suite::find(id)
            .filter(|suite| offered && !suite.is_13())
            .ok_or_else(|| PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    }

    fn check_extensions(&self, hello: &ServerHello) -> Result<(), Error> {
        let granted = &hello.extensions;
        let offered = &self.offer.hello.extensions;
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
            if !list.contains(chosen)
                && !self.offer.config.parameters.conformance.take_unoffered_alpn
            {
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
        let policy = self.offer.config.parameters.secure_renegotiation;
        renegotiation::check_server(self.binding.as_ref(), policy, granted)?;
        // RFC 7627 §5.2: a client may refuse a server without it.
        let required =
            self.offer.config.parameters.extended_master_secret == ExtendedMasterSecret::Require;
        if required && !granted.extended_master_secret {
            return Err(PeerIncompatible::ExtendedMasterSecretRequired.into());
        }
        Ok(())
    }
}
