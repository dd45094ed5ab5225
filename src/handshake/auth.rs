//! Requests for certificates, and what both ends sign at version 1.3 (RFC 8446 §4.4.3).

use crate::config::{ClientConfig, RequestAnswer};
use crate::crypto::verify::algorithm_13;
use crate::error::Error;
use crate::identity::{CertificateKind, Credential};
use crate::protocol::{AlertDescription, Side, SignatureScheme};
use crate::wire::certificate_request::CertificateRequest;

/// The message that the CertificateVerify of `signer` covers, after a transcript with this hash.
pub(super) fn signed_message(signer: Side, transcript_hash: &[u8]) -> Vec<u8> {
    let context: &[u8] = match signer {
        Side::Client => b"TLS 1.3, client CertificateVerify",
        Side::Server => b"TLS 1.3, server CertificateVerify",
    };
    [&[0x20; 64], context, &[0], transcript_hash].concat()
}

/// The first scheme of the credential that the peer accepts and that may sign a handshake of 1.3.
pub(super) fn choose_scheme(
    credential: &Credential,
    offered: &[SignatureScheme],
) -> Option<SignatureScheme> {
    let schemes = credential.schemes().iter().copied();
    schemes
        .filter(|&scheme| algorithm_13(scheme).is_some() && credential.key().suits_curve(scheme))
        .find(|scheme| offered.contains(scheme))
}

/// Chooses among the credentials that a client has for a server that asks for one, as the
/// application has answered.
pub(super) fn with_answer<T>(
    config: &ClientConfig,
    answer: Result<RequestAnswer, AlertDescription>,
    choose: impl FnOnce(&[Credential]) -> Result<T, Error>,
) -> Result<T, Error> {
    match answer.map_err(Error::Aborted)? {
        RequestAnswer::AsConfigured => choose(&config.credentials),
        RequestAnswer::Nothing => choose(&[]),
        RequestAnswer::Credential(credential) => choose(&[credential]),
    }
}

/// What a client shows to a server that asks for a certificate of this kind; `None` for an empty
/// list (RFC 8446 §4.4.2).
pub(super) fn answer_request(
    credentials: &[Credential],
    kind: CertificateKind,
    request: &CertificateRequest,
) -> Option<(Credential, SignatureScheme)> {
    credentials
        .iter()
        .filter(|credential| credential.kind() == kind)
        .filter(|credential| credential.suits_authorities(&request.authorities))
        .find_map(|credential| {
            let scheme = choose_scheme(credential, &request.signature_algorithms)?;
            Some((credential.clone(), scheme))
        })
}

/// The names of authorities, if a message can hold them. They are only a hint; an empty list means
/// any authority.
pub(super) fn bounded(authorities: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let length: usize = authorities.iter().map(|name| 2 + name.len()).sum();
    if length <= MAX_AUTHORITIES_LEN {
        authorities
    } else {
        Vec::new()
    }
}

/// A longer list would make a flight that hardly survives loss; the field itself ends at 65,535
/// bytes.
const MAX_AUTHORITIES_LEN: usize = 1 << 13;
