//! What an application decides in the middle of a handshake: the answers to a hello and to a
//! request for a certificate.

use crate::identity::{CertificateKind, Credential, Reply};
use crate::protocol::{
    AlertDescription, CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::wire::certificate_request::CertificateRequest;
use crate::wire::client_hello::ClientHello;
use std::fmt;

/// What a client has offered. Nothing of it is authenticated yet.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReceivedHello {
    /// The versions, the preferred ones first.
    pub versions: Vec<ProtocolVersion>,
    /// The DNS name that the client wants (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The application protocols, the preferred ones first (RFC 7301); empty if the client does not
    /// say.
    pub alpn: Vec<Vec<u8>>,
    /// The cipher suites, the preferred ones first.
    pub cipher_suites: Vec<CipherSuite>,
    /// The groups, the preferred ones first (RFC 8446 §4.2.7).
    pub groups: Vec<NamedGroup>,
    /// What the server may sign with, the preferred schemes first (RFC 8446 §4.2.3).
    pub signature_schemes: Vec<SignatureScheme>,
    /// The authorities that the client trusts, each a Name in DER (RFC 8446 §4.2.4); empty if it
    /// does not say.
    pub authorities: Vec<Vec<u8>>,
    /// The kinds of certificates that the client accepts, the preferred ones first (RFC 7250 §4.1);
    /// X.509 if it does not say.
    pub certificate_kinds: Vec<CertificateKind>,
}

impl ReceivedHello {
    pub(crate) fn of(hello: &ClientHello) -> Self {
        let offered = &hello.extensions;
        let versions = offered.supported_versions.clone();
        Self {
            versions: versions.unwrap_or_else(|| vec![hello.version]),
            server_name: offered.server_name.clone(),
            alpn: offered.alpn.clone().unwrap_or_default(),
            cipher_suites: hello.cipher_suites.clone(),
            groups: offered.supported_groups.clone().unwrap_or_default(),
            signature_schemes: offered.signature_algorithms.clone().unwrap_or_default(),
            authorities: offered.authorities.clone(),
            certificate_kinds: match &offered.server_certificate_types {
                Some(types) => {
                    let types = types.iter().copied();
                    types.filter_map(CertificateKind::of_number).collect()
                }
                None => vec![CertificateKind::X509],
            },
        }
    }
}

/// Decides for each client what a server shows and speaks, for example by the name that it asks
/// for.
///
/// Called once in a handshake, in the middle of it: what takes long is answered later.
pub trait AnswerHello: Send + Sync + fmt::Debug {
    /// What the server does with a client that has said this.
    ///
    /// # Errors
    ///
    /// The handshake ends with this fatal alert, for example `unrecognized_name`, and with
    /// [`Error::Aborted`](crate::Error::Aborted).
    fn answer(&self, hello: &ReceivedHello) -> Result<HelloAnswer, AlertDescription>;

    /// The same for an application that has to ask another system, and answers later; by default it
    /// answers at once, as [`AnswerHello::answer`] does.
    ///
    /// Only clients whose address is proved are asked about. With an application to ask, an
    /// endpoint spares no resumption the cookie
    /// ([`ResumptionCookies`](crate::endpoint::ResumptionCookies)).
    fn answer_later(
        &self,
        hello: Box<ReceivedHello>,
        answer: Reply<Result<HelloAnswer, AlertDescription>>,
    ) {
        answer.send(self.answer(&hello));
    }
}

/// Where a server deviates from its configuration in one handshake; nowhere by default.
#[derive(Clone, Default, Debug)]
pub struct HelloAnswer {
    pub(crate) credentials: Option<Vec<Credential>>,
    pub(crate) alpn: Option<Option<Vec<u8>>>,
}

impl HelloAnswer {
    /// Shows this credential, or the first that fits of those that were given so far, instead of
    /// the configuration's.
    #[must_use]
    pub fn add_credential(mut self, credential: Credential) -> Self {
        self.credentials.get_or_insert_default().push(credential);
        self
    }

    /// Speaks this application protocol, which the client must have offered, or none.
    #[must_use]
    pub fn alpn(mut self, protocol: Option<&[u8]>) -> Self {
        self.alpn = Some(protocol.map(<[u8]>::to_vec));
        self
    }
}

/// What a server has asked of a client (RFC 5246 §7.4.4, RFC 8446 §4.3.2). At 1.2 it is not
/// authenticated yet.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// In what form the client shows its key, out of those that it has offered (RFC 7250 §4.2): a
    /// credential of another kind does not fit.
    pub certificate_kind: CertificateKind,
    /// The kinds of keys, as numbers of RFC 5246 §7.4.4: 1 for RSA, 64 for ECDSA and EdDSA; empty
    /// at 1.3.
    pub certificate_types: Vec<u8>,
    /// What the client may sign with, the preferred schemes first.
    pub signature_schemes: Vec<SignatureScheme>,
    /// The authorities that the server trusts, each a Name in DER; empty if it does not say.
    pub authorities: Vec<Vec<u8>>,
}

impl ReceivedRequest {
    pub(crate) fn of(request: &CertificateRequest, certificate_kind: CertificateKind) -> Self {
        Self {
            certificate_kind,
            certificate_types: request.certificate_types.iter().map(|typ| typ.0).collect(),
            signature_schemes: request.signature_algorithms.clone(),
            authorities: request.authorities.clone(),
        }
    }
}

/// Decides for each server that asks what a client shows.
///
/// Called once in a handshake, in the middle of it: what takes long is answered later.
pub trait AnswerRequest: Send + Sync + fmt::Debug {
    /// What the client shows to a server that has asked for this.
    ///
    /// # Errors
    ///
    /// The handshake ends with this fatal alert, and with
    /// [`Error::Aborted`](crate::Error::Aborted).
    fn answer(&self, request: &ReceivedRequest) -> Result<RequestAnswer, AlertDescription>;

    /// The same for an application that has to ask another system, and answers later; by default it
    /// answers at once, as [`AnswerRequest::answer`] does.
    fn answer_later(
        &self,
        request: Box<ReceivedRequest>,
        answer: Reply<Result<RequestAnswer, AlertDescription>>,
    ) {
        answer.send(self.answer(&request));
    }
}

/// What a client shows in one handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestAnswer {
    /// The first credential of its configuration that fits.
    AsConfigured,
    /// Nothing.
    Nothing,
    /// This, if it fits.
    Credential(Credential),
}
