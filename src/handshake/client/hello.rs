//! The client's hello and the server's answer to it, up to the point where the version is known.

use super::{State, v12};
use crate::config::{ClientConfig, ExtendedMasterSecret};
use crate::crypto::suite;
use crate::crypto::verify::supported_schemes;
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::{Action, Epochs, Outbox};
use crate::protocol::{
    CipherSuite, CompressionMethod, Dialect, Epoch, ExtensionType, FlightEnd, HandshakeType,
    PointFormat,
};
use crate::secrets::schedule12::Randoms;
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::{ClientHello, RANDOM_LEN};
use crate::wire::extension::ClientExtensions;
use crate::wire::handshake::InboundMessage;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use crate::wire::server_hello::ServerHello;
use pki_types::ServerName;
use std::sync::Arc;

/// What a client's handshake starts from.
pub(crate) struct Settings {
    /// What the client wants.
    pub(crate) config: Arc<ClientConfig>,
    /// Whom it wants to talk to.
    pub(crate) server_name: ServerName<'static>,
    /// The epoch in force: plaintext, for an initial handshake.
    pub(crate) current: Epoch,
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
    } = settings;
    let epochs = Epochs::after(current)?;
    let hello = client_hello(dialect, &config, &server_name)?;
    let state = ExpectServerHello {
        dialect,
        config,
        server_name,
        epochs,
        hello,
        transcript: Transcript::new(dialect),
        verify_requests: 0,
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
    let host_name = match server_name {
        // RFC 6066 §3: a DNS name without a final dot; literal addresses are not sent.
        ServerName::DnsName(name) => Some(
            name.as_ref()
                .strip_suffix('.')
                .unwrap_or(name.as_ref())
                .to_ascii_lowercase(),
        ),
        _ => None,
    };
    Ok(ClientHello {
        version: dialect.version_12,
        random,
        session_id: Vec::new(),
        cookie: Vec::new(),
        cipher_suites: parameters.suites.iter().map(|suite| suite.id).collect(),
        compression_methods: vec![CompressionMethod::NULL],
        extensions: ClientExtensions {
            server_name: host_name,
            supported_groups: Some(parameters.groups.clone()),
            point_formats: Some(vec![PointFormat::UNCOMPRESSED]),
            signature_algorithms: Some(supported_schemes().collect()),
            alpn: (!parameters.alpn.is_empty()).then(|| parameters.alpn.clone()),
            extended_master_secret: true,
            // RFC 5746 §3.4: an initial handshake says that it understands renegotiation_info by an empty one.
            renegotiation_info: Some(Vec::new()),
        },
    })
}

/// A ClientHello is out.
pub(crate) struct ExpectServerHello {
    dialect: &'static Dialect,
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    epochs: Epochs,
    hello: ClientHello,
    transcript: Transcript,
    verify_requests: u8,
}

impl ExpectServerHello {
    pub(super) const fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Sends the hello as it stands, as a flight of its own.
    fn send_hello(mut self, outbox: &mut Outbox) -> Result<State, Error> {
        let mut body = Vec::with_capacity(256);
        self.hello.encode(self.dialect, &mut body);
        // RFC 6347 §4.2.6: a hello that was answered with HelloVerifyRequest, and that answer, are in no transcript.
        self.transcript = Transcript::new(self.dialect);
        outbox.send(
            self.epochs.current,
            HandshakeType::CLIENT_HELLO,
            body,
            &mut self.transcript,
        )?;
        outbox.end_flight(FlightEnd::AwaitReply);
        Ok(State::ExpectServerHello(Box::new(self)))
    }

    /// Repeats the same hello with the cookie (RFC 6347 §4.2.1).
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
        let suite = self.check_suite(hello.cipher_suite)?;
        if hello.compression_method != CompressionMethod::NULL {
            return Err(PeerMisbehaved::SelectedCompression.into());
        }
        self.check_extensions(hello)?;
        outbox.push(Action::VersionDecided(hello.version));
        self.transcript.add(inbound.typ, inbound.seq, &inbound.body);
        self.transcript.start_hash(suite.hash);
        let Self {
            dialect,
            config,
            server_name,
            epochs,
            hello: offer,
            transcript,
            ..
        } = *self;
        Ok(State::ExpectCertificate(Box::new(v12::ExpectCertificate {
            context: v12::Context {
                version: dialect.version_12,
                config,
                server_name,
                epochs,
                suite,
                randoms: Randoms {
                    client: offer.random,
                    server: hello.random,
                },
                extended_master_secret: hello.extensions.extended_master_secret,
                alpn: hello.extensions.alpn.clone(),
                transcript,
            },
        })))
    }

    fn check_suite(&self, id: CipherSuite) -> Result<&'static suite::Suite, Error> {
        // D10: only what was offered may be chosen.
        let offered = self.hello.cipher_suites.contains(&id);
        suite::find(id)
            .filter(|_| offered)
            .ok_or_else(|| PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    }

    fn check_extensions(&self, hello: &ServerHello) -> Result<(), Error> {
        let granted = &hello.extensions;
        let offered = &self.hello.extensions;
        // RFC 5246 §7.4.1.4: a server may only answer extensions that were offered.
        if let Some(unknown) = granted.unknown.first() {
            return Err(PeerMisbehaved::UnsolicitedExtension(unknown.0).into());
        }
        if granted.server_name && offered.server_name.is_none() {
            return Err(PeerMisbehaved::UnsolicitedExtension(ExtensionType::SERVER_NAME.0).into());
        }
        if let Some(chosen) = &granted.alpn {
            let list = offered
                .alpn
                .as_ref()
                .ok_or(PeerMisbehaved::UnsolicitedExtension(ExtensionType::ALPN.0))?;
            // RFC 9325 §3.8: a protocol that was not offered ends the handshake.
            if !list.contains(chosen) {
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
        match &granted.renegotiation_info {
            // RFC 5746 §3.4, RFC 9325 §3.5: a server without it is refused.
            None => return Err(PeerIncompatible::SecureRenegotiationRequired.into()),
            Some(verify_data) if !verify_data.is_empty() => {
                return Err(PeerMisbehaved::NonEmptyRenegotiationInfo.into());
            }
            Some(_) => {}
        }
        // RFC 7627 §5.2: a client may refuse a server without it.
        let required =
            self.config.parameters.extended_master_secret == ExtendedMasterSecret::Require;
        if required && !granted.extended_master_secret {
            return Err(PeerIncompatible::ExtendedMasterSecretRequired.into());
        }
        Ok(())
    }
}
