//! A full handshake of version 1.2: what the server chooses from the client's offer.

use super::crossing::Crossing;
use super::terms::Terms;
use super::{shared_key, v12};
use crate::crypto::kx::{self, Exchange};
use crate::crypto::sign::KeyKind;
use crate::crypto::suite::{Authentication, KeyExchange, Suite};
use crate::error::{Error, PeerIncompatible};
use crate::handshake::certificate_types::answer;
use crate::handshake::limits;
use crate::handshake::renegotiation;
use crate::handshake::state::Step;
use crate::handshake::{Outbox, ServerQuestion, Unsigned};
use crate::identity::{CertificateKind, Credential, encode_certificate_12};
use crate::protocol::{
    CipherSuite, CompressionMethod, HandshakeType, NamedGroup, PointFormat, SignatureScheme,
};
use crate::secrets::schedule12::Randoms;
use crate::secrets::transcript::{Keeps, Transcript};
use crate::wire::client_hello::{ClientHello, MAX_SESSION_ID_LEN};
use crate::wire::extension::ServerExtensions;
use crate::wire::key_exchange::EcdhParams;
use crate::wire::server_hello::ServerHello;

/// What the server has picked from a client's offer.
struct Choice {
    suite: &'static Suite,
    proof: Proof,
    /// `None` where the suite exchanges nothing.
    group: Option<NamedGroup>,
    alpn: Option<Vec<u8>>,
}

/// What the server proves itself with.
enum Proof {
    /// A signature of this key.
    Signature(Credential, SignatureScheme),
    /// The shared key that the client will name.
    SharedKey,
}

impl Proof {
    /// The kind of certificate that the server shows, if it shows one.
    fn shown_kind(&self) -> Option<CertificateKind> {
        match self {
            Self::Signature(credential, _) => Some(credential.kind()),
            Self::SharedKey => None,
        }
    }
}

/// A handshake with a key exchange.
pub(super) fn start(
    terms: Terms,
    hello: &ClientHello,
    mut transcript: Transcript,
    outbox: &mut Outbox,
) -> Step {
    terms.check_proved()?;
    let choice = choose(&terms, hello)?;
    let may_cross = terms.requested && terms.dialect.hello_cookie;
    let asked = match choice.proof {
        Proof::Signature(..) => terms.asks_for(hello)?,
        Proof::SharedKey => None,
    };
    let keeps = Keeps::messages_if(may_cross || asked.is_some());
    transcript.start_hash(choice.suite.hash, keeps);
    let server_hello = server_hello(&terms, hello, &choice, asked)?;
    let ids = terms.connection_ids(hello);
    let limits = terms.limits_12(hello)?;
    outbox.decide(terms.dialect, terms.dialect.version_12, ids, limits);
    let mut body = Vec::with_capacity(128);
    server_hello.encode(&mut body);
    let current = terms.epochs.current;
    let typ = HandshakeType::SERVER_HELLO;
    outbox.send(current, typ, body, &mut transcript)?;
    let begun = match choice.group {
        Some(group) => {
            let (exchange, share) = kx::start(group)?;
            Some((exchange, EcdhParams { group, share }))
        }
        None => None,
    };
    let context = Box::new(v12::ServerContext12 {
        version: terms.dialect.version_12,
        config: terms.config,
        epochs: terms.epochs,
        started: terms.started,
        suite: choice.suite,
        group: choice.group,
        asked,
        randoms: Randoms {
            client: hello.random,
            server: server_hello.random,
        },
        extended_master_secret: hello.extensions.extended_master_secret,
        secure_renegotiation: renegotiation::is_secure(hello),
        srtp: server_hello.extensions.srtp,
        alpn: choice.alpn,
        server_name: hello.extensions.server_name.clone(),
        shown: None,
        session_id: server_hello.session_id,
        ticket_promised: server_hello.extensions.session_ticket,
        limits,
        binding: terms.binding,
        crossing: may_cross.then(|| Crossing::of(hello)),
        transcript,
    });
    match (choice.proof, begun) {
        (Proof::Signature(credential, scheme), Some(begun)) => {
            sign(context, begun, &credential, scheme, outbox)
        }
        (Proof::SharedKey, begun) => shared_key::start(context, begun, outbox),
        // The table has no suite that signs nothing.
        (Proof::Signature(..), None) => Err(PeerIncompatible::NoCommonGroup.into()),
    }
}

/// Shows the certificate, and has the parameters of the exchange signed.
fn sign(
    mut context: Box<v12::ServerContext12>,
    (exchange, params): (Exchange, EcdhParams),
    credential: &Credential,
    scheme: SignatureScheme,
    outbox: &mut Outbox,
) -> Step {
    let claim = credential.claim();
    let mut body = Vec::new();
    encode_certificate_12(Some(&claim), &mut body);
    let current = context.epochs.current;
    let typ = HandshakeType::CERTIFICATE;
    outbox.send(current, typ, body, &mut context.transcript)?;
    context.shown = Some(claim);
    let message = params.signed_message(&context.randoms.client, &context.randoms.server);
    let key = credential.key().clone();
    let unsigned = Unsigned {
        key,
        scheme,
        message,
    };
    outbox.ask_server(&context.config, ServerQuestion::Sign(unsigned));
    Ok(Box::new(v12::ExpectSignature {
        context,
        exchange,
        params,
        scheme,
    }))
}

fn choose(terms: &Terms, hello: &ClientHello) -> Result<Choice, Error> {
    let group = choose_group(terms, hello);
    let (suite, proof) = choose_suite(terms, hello, group)?;
    let group = match suite.key_exchange {
        KeyExchange::SharedKeyAlone => None,
        KeyExchange::Ecdhe | KeyExchange::Negotiated => {
            Some(group.ok_or(PeerIncompatible::NoCommonGroup)?)
        }
    };
    let alpn = terms.choose_alpn(hello.extensions.alpn.as_deref())?;
    Ok(Choice {
        suite,
        proof,
        group,
        alpn,
    })
}

fn choose_group(terms: &Terms, hello: &ClientHello) -> Option<NamedGroup> {
    let mut groups = terms.config.parameters.groups_12();
    match &hello.extensions.supported_groups {
        Some(offered) => groups.find(|group| offered.contains(group)),
        None if terms.config.parameters.conformance.require_supported_groups => None,
        // RFC 8422 §4: a client that does not say takes any; one that old most likely knows P-256.
        None => {
            let old = |group: &NamedGroup| *group == NamedGroup::SECP256R1;
            let mut any = terms.config.parameters.groups_12();
            groups.find(old).or_else(|| any.next())
        }
    }
}

/// The first suite that a key and a signature scheme can serve, or a shared key.
fn choose_suite(
    terms: &Terms,
    hello: &ClientHello,
    group: Option<NamedGroup>,
) -> Result<(&'static Suite, Proof), Error> {
    let certificates = terms.check_certificate_allowed(hello);
    let mut lacking = PeerIncompatible::NoCommonCipherSuite;
    for suite in in_order(terms, &hello.cipher_suites) {
        match suite.authentication {
            Authentication::Signature(kind) if certificates.is_ok() => {
                match choose_credential(terms, hello, kind, lacking) {
                    Ok(proof) => return Ok((suite, proof)),
                    Err(what) => lacking = what,
                }
            }
            Authentication::SharedKey => {
                if suite.key_exchange == KeyExchange::SharedKeyAlone || group.is_some() {
                    return Ok((suite, Proof::SharedKey));
                }
                lacking = PeerIncompatible::NoCommonGroup;
            }
            Authentication::Signature(_) | Authentication::Negotiated => {}
        }
    }
    match lacking {
        PeerIncompatible::NoCommonCipherSuite => certificates.and(Err(lacking.into())),
        lacking => Err(lacking.into()),
    }
}

/// The suites that both ends allow, the ones to choose first in front. Whether a shared key or a
/// certificate is used is the client's to say, because it knows what the server has for it.
fn in_order(terms: &Terms, offered: &[CipherSuite]) -> Vec<&'static Suite> {
    let shares = |suite: &Suite| suite.authentication == Authentication::SharedKey;
    let ours = || terms.config.parameters.suites_12();
    let mut common = terms.config.in_order(ours(), offered);
    if terms.config.shared_keys.is_some() {
        let find = |id: &CipherSuite| ours().find(|suite| suite.id == *id);
        let wanted = offered.iter().find_map(find).is_some_and(shares);
        common.sort_by_key(|suite| shares(suite) != wanted);
    }
    common
}

/// The first credential of this kind that the client takes, with a scheme; else what was lacking,
/// if that says more than what was lacking before.
fn choose_credential(
    terms: &Terms,
    hello: &ClientHello,
    kind: KeyKind,
    lacking: PeerIncompatible,
) -> Result<Proof, PeerIncompatible> {
    let mut lacking = match lacking {
        PeerIncompatible::NoCommonCipherSuite => PeerIncompatible::NoCommonSignatureScheme,
        lacking => lacking,
    };
    // RFC 5246 §7.4.1.4.1: a client without the extension accepts SHA-1 only, which is not
    // supported here.
    let schemes = hello.extensions.signature_algorithms.as_deref();
    let schemes = schemes.unwrap_or_default();
    let fitting = terms
        .fitting(hello)
        .filter(|credential| credential.key().kind() == kind);
    for credential in fitting {
        if !suits_groups(credential, hello) {
            lacking = PeerIncompatible::NoCommonGroup;
            continue;
        }
        let mut ours = credential.schemes().iter();
        if let Some(&scheme) = ours.find(|scheme| schemes.contains(scheme)) {
            return Ok(Proof::Signature(credential.clone(), scheme));
        }
    }
    Err(lacking)
}

/// RFC 8422 §5.3: at 1.2 the curve of an ECDSA key is one of the groups that the client lists.
fn suits_groups(credential: &Credential, hello: &ClientHello) -> bool {
    let groups = hello.extensions.supported_groups.as_ref();
    match (credential.key().curve(), groups) {
        (Some(curve), Some(groups)) => groups.contains(&curve),
        _ => true,
    }
}

fn server_hello(
    terms: &Terms,
    hello: &ClientHello,
    choice: &Choice,
    asked: Option<CertificateKind>,
) -> Result<ServerHello, Error> {
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
            // RFC 8422 §5.2: only where points are exchanged.
            point_formats: (offered.point_formats.is_some() && choice.group.is_some())
                .then(|| vec![PointFormat::UNCOMPRESSED]),
            srtp: terms.choose_srtp(hello),
            alpn: terms.granted_alpn(&choice.alpn),
            // RFC 7627 §5.1: granted exactly when it was offered.
            extended_master_secret: offered.extended_master_secret,
            session_ticket,
            // RFC 5746 §3.6: the SCSV alone obliges the server to send it too.
            renegotiation_info: terms.renegotiation_info(hello),
            certificate_types: answer(offered, asked, choice.proof.shown_kind()),
            limits: limits::answer(terms.limits_12(hello)?),
            ..ServerExtensions::with_connection_ids(terms.connection_ids(hello).as_ref())
        },
    })
}
