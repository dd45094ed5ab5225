//! What a client writes into its first hello.

use super::offer::dns_name;
use super::{psk, shares};
use crate::config::ClientConfig;
use crate::crypto::kx::Exchange;
use crate::error::Error;
use crate::handshake::certificate_types;
use crate::handshake::renegotiation::{self, Binding};
use crate::protocol::{CipherSuite, CompressionMethod, ConnectionId, Dialect, PointFormat};
use crate::session::Session12;
use crate::wire::client_hello::{ClientHello, MAX_SESSION_ID_LEN, RANDOM_LEN};
use crate::wire::extension::ClientExtensions;
use pki_types::ServerName;

/// What every first hello says that may lead to version 1.2.
pub(super) fn usual(
    dialect: &Dialect,
    config: &ClientConfig,
    server_name: &ServerName<'_>,
    connection_id: Option<ConnectionId>,
) -> Result<ClientHello, Error> {
    let parameters = &config.parameters;
    let connection_id = connection_id.filter(|_| dialect.connection_ids);
    let mut random = [0; RANDOM_LEN];
    parameters.random.fill(&mut random)?;
    let exchanges = parameters.may_exchange();
    let signs = config.verifier.is_some() && parameters.may_see_signatures();
    Ok(ClientHello {
        version: dialect.version_12,
        random,
        session_id: Vec::new(),
        cookie: Vec::new(),
        cipher_suites: parameters.suites_12().map(|suite| suite.id).collect(),
        compression_methods: vec![CompressionMethod::NULL],
        extensions: ClientExtensions {
            server_name: dns_name(server_name),
            supported_groups: exchanges.then(|| parameters.groups_12().collect()),
            point_formats: exchanges.then(|| vec![PointFormat::UNCOMPRESSED]),
            signature_algorithms: signs.then(|| parameters.algorithms.schemes.clone()),
            srtp: (dialect.srtp && !parameters.srtp.is_empty()).then(|| parameters.srtp.clone()),
            alpn: (!parameters.alpn.is_empty()).then(|| parameters.alpn.clone()),
            extended_master_secret: true,
            client_certificate_types: certificate_types::list(config.certificate_kinds()),
            server_certificate_types: certificate_types::list(config.judged_kinds().to_vec()),
            // RFC 5077 §3.2: empty asks for a ticket.
            session_ticket: (config.tickets && config.sessions.is_some()).then(Vec::new),
            // RFC 9853 §3: whoever offers the one offers the other.
            rrc: connection_id.is_some(),
            connection_id,
            ..ClientExtensions::default()
        },
    })
}

/// Adds what depends on the handshake before, on the session that is offered, and on 1.3: the key
/// exchange that has begun, if that is offered.
pub(super) fn complete(
    hello: &mut ClientHello,
    dialect: &Dialect,
    config: &ClientConfig,
    (binding, session): (Option<&Binding>, Option<&Session12>),
    small: bool,
) -> Result<Option<Exchange>, Error> {
    let conformance = &config.parameters.conformance;
    if binding.is_some() && conformance.keep_application_protocol {
        hello.extensions.alpn = None;
    }
    hello.extensions.renegotiation_info = Some(renegotiation::client_info(binding));
    if let Some(session) = session {
        offer(hello, session, config)?;
    }
    if conformance.fall_back && binding.is_none() {
        hello.cipher_suites.push(CipherSuite::TLS_FALLBACK_SCSV);
    }
    // RFC 8446 §4.1.2: a renegotiation stays at the version in force, and nothing else is offered.
    if binding.is_none() && config.parameters.speaks_13() {
        return offer_13(dialect, hello, config, small).map(Some);
    }
    Ok(None)
}

/// Adds version 1.3 to the offer.
fn offer_13(
    dialect: &Dialect,
    hello: &mut ClientHello,
    config: &ClientConfig,
    small: bool,
) -> Result<Exchange, Error> {
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
        // These mean something to servers of 1.2 alone.
        extensions.point_formats = None;
        extensions.session_ticket = None;
        extensions.extended_master_secret = false;
        extensions.renegotiation_info = None;
    }
    extensions.supported_versions = Some(versions);
    extensions.supported_groups = Some(parameters.algorithms.groups.clone());
    extensions.psk_modes = psk::modes(config);
    let (shares, exchange) = shares::first(dialect, parameters, small)?;
    extensions.key_shares = Some(shares);
    Ok(exchange)
}

/// Offers a session, by ticket if there is one.
fn offer(hello: &mut ClientHello, session: &Session12, config: &ClientConfig) -> Result<(), Error> {
    hello.session_id = session.id.to_vec();
    if session.ticket.is_empty() {
        return Ok(());
    }
    if hello.session_id.is_empty() {
        // RFC 5077 §3.4: the echo of an ID shows that the ticket was taken.
        hello.session_id = vec![0; MAX_SESSION_ID_LEN];
        config.parameters.random.fill(&mut hello.session_id)?;
    }
    hello.extensions.session_ticket = Some(session.ticket.to_vec());
    Ok(())
}
