//! A full handshake of version 1.2: what the server chooses from the client's offer.

use super::crossing::Crossing;
use super::terms::Terms;
use super::v12;
use crate::crypto::kx;
use crate::crypto::suite::Suite;
use crate::error::{Error, PeerIncompatible};
use crate::handshake::renegotiation;
use crate::handshake::state::Step;
use crate::handshake::{Outbox, ServerQuestion, Unsigned};
use crate::identity::{Credential, Identity, encode_certificate_12};
use crate::protocol::{CompressionMethod, HandshakeType, NamedGroup, PointFormat, SignatureScheme};
use crate::secrets::schedule12::Randoms;
use crate::secrets::transcript::{Keeps, Transcript};
use crate::wire::client_hello::{ClientHello, MAX_SESSION_ID_LEN};
use crate::wire::extension::ServerExtensions;
use crate::wire::key_exchange::EcdhParams;
use crate::wire::server_hello::ServerHello;

/// What the server has picked from a client's offer.
struct Choice {
    suite: &'static Suite,
    credential: Credential,
    scheme: SignatureScheme,
    group: NamedGroup,
    alpn: Option<Vec<u8>>,
}

/// A handshake with a key exchange.
pub(super) fn start(
    terms: Terms,
    hello: &ClientHello,
    mut transcript: Transcript,
    outbox: &mut Outbox,
) -> Step {
    terms.check_full_allowed(hello)?;
    let choice = choose(&terms, hello)?;
    let may_cross = terms.requested && terms.dialect.hello_cookie;
    let asks = terms.config.client_authentication.verifier().is_some();
    transcript.start_hash(choice.suite.hash, Keeps::messages_if(may_cross || asks));
    let server_hello = server_hello(&terms, hello, &choice)?;
    let claim = choice.credential.claim();
    let ids = terms.connection_ids(hello);
    outbox.decide(terms.dialect, terms.dialect.version_12, ids);
    send(&terms, &server_hello, &claim, &mut transcript, outbox)?;

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
        &terms.config,
        ServerQuestion::Sign(Unsigned {
            key,
            scheme: choice.scheme,
            message,
        }),
    );
    Ok(Box::new(v12::ExpectSignature {
        context: Box::new(v12::ServerContext12 {
            version: terms.dialect.version_12,
            config: terms.config,
            epochs: terms.epochs,
            started: terms.started,
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
            binding: terms.binding,
            crossing: may_cross.then(|| Crossing::of(hello)),
            transcript,
        }),
        exchange,
        params,
        scheme: choice.scheme,
    }))
}

/// Sends the server's choice and its certificate.
fn send(
    terms: &Terms,
    server_hello: &ServerHello,
    claim: &Identity,
    transcript: &mut Transcript,
    outbox: &mut Outbox,
) -> Result<(), Error> {
    let current = terms.epochs.current;
    let mut body = Vec::with_capacity(128);
    server_hello.encode(&mut body);
    outbox.send(current, HandshakeType::SERVER_HELLO, body, transcript)?;
    let mut body = Vec::new();
    encode_certificate_12(Some(claim), &mut body);
    outbox.send(current, HandshakeType::CERTIFICATE, body, transcript)
}

fn choose(terms: &Terms, hello: &ClientHello) -> Result<Choice, Error> {
    let (suite, credential, scheme) = choose_suite(terms, hello)?;
    let mut groups = terms.config.parameters.groups_12();
    let group = match &hello.extensions.supported_groups {
        Some(offered) => groups.find(|group| offered.contains(group)),
        None if terms.config.parameters.conformance.require_supported_groups => None,
        // RFC 8422 §4: a client that does not say takes any; one that old most likely knows P-256.
        None => {
            let old = |group: &NamedGroup| *group == NamedGroup::SECP256R1;
            let mut any = terms.config.parameters.groups_12();
            groups.find(old).or_else(|| any.next())
        }
    };
    let group = group.ok_or(PeerIncompatible::NoCommonGroup)?;
    let alpn = terms.choose_alpn(hello.extensions.alpn.as_deref())?;
    Ok(Choice {
        suite,
        credential: credential.clone(),
        scheme,
        group,
        alpn,
    })
}

/// The first suite that a key and a signature scheme can serve.
fn choose_suite<'a>(
    terms: &'a Terms,
    hello: &ClientHello,
) -> Result<(&'static Suite, &'a Credential, SignatureScheme), Error> {
    // RFC 5246 §7.4.1.4.1: a client without the extension accepts SHA-1 only, which is not
    // supported here.
    let schemes = hello
        .extensions
        .signature_algorithms
        .as_deref()
        .unwrap_or_default();
    let authorities = &hello.extensions.authorities;
    let mut lacking = PeerIncompatible::NoCommonCipherSuite;
    let suites = terms.config.parameters.suites_12();
    for suite in terms.config.in_order(suites, &hello.cipher_suites) {
        if lacking == PeerIncompatible::NoCommonCipherSuite {
            lacking = PeerIncompatible::NoCommonSignatureScheme;
        }
        let fitting = terms
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

/// RFC 8422 §5.3: at 1.2 the curve of an ECDSA key is one of the groups that the client lists.
fn suits_groups(credential: &Credential, hello: &ClientHello) -> bool {
    let groups = hello.extensions.supported_groups.as_ref();
    match (credential.key().curve(), groups) {
        (Some(curve), Some(groups)) => groups.contains(&curve),
        _ => true,
    }
}

fn server_hello(terms: &Terms, hello: &ClientHello, choice: &Choice) -> Result<ServerHello, Error> {
    let offered = &hello.extensions;
    let session_ticket = terms.promises_ticket(hello);
    let cached =
        !session_ticket && terms.may_resume_later(hello) && terms.config.sessions.cache.is_some();
    // RFC 5246 §7.4.1.3: an empty ID says that the session is not kept here.
    let session_id_len = if cached { MAX_SESSION_ID_LEN } else { 0 };
    let (server_random, session_id) = terms.random_12(session_id_len)?;
    Ok(ServerHello {
        version: terms.dialect.version_12,
        random: server_random,
        session_id,
        cipher_suite: choice.suite.id,
        compression_method: CompressionMethod::NULL,
        extensions: ServerExtensions {
            server_name: offered.server_name.is_some()
                && !terms.config.parameters.conformance.hide_server_name,
            point_formats: offered
                .point_formats
                .as_ref()
                .map(|_| vec![PointFormat::UNCOMPRESSED]),
            srtp: terms.choose_srtp(hello),
            alpn: terms.granted_alpn(&choice.alpn),
            // RFC 7627 §5.1: granted exactly when it was offered.
            extended_master_secret: offered.extended_master_secret,
            session_ticket,
            // RFC 5746 §3.6: the SCSV alone obliges the server to send it too.
            renegotiation_info: terms.renegotiation_info(hello),
            ..ServerExtensions::with_connection_ids(terms.connection_ids(hello).as_ref())
        },
    })
}
