//! The traits that decide whether a peer is trusted.

use super::{CertificateKind, Identity, Reply};
use crate::error::CertificateError;
use pki_types::{ServerName, UnixTime};
use std::fmt;

/// Decides whether a server is the one that is wanted.
///
/// Called once a handshake. That the server holds the key of what it claims is checked apart from
/// this, so a verifier cannot forget it. It is asked about claims of its [kinds](Self::kinds)
/// alone, but for sessions that were made under another one: a claim of a kind that it does not
/// know is to be refused, with [`CertificateError::Refused`] and the alert
/// `unsupported_certificate`.
pub trait VerifyServer: Send + Sync + fmt::Debug {
    /// Accepts what the server claims to be for `name` at `date`, or says why not.
    ///
    /// # Errors
    ///
    /// The reason; the handshake fails with the alert that belongs to it.
    fn verify(
        &self,
        claimed: &Identity,
        name: &ServerName<'_>,
        date: UnixTime,
    ) -> Result<(), CertificateError>;

    /// The kinds of certificates that the verifier can judge, the preferred one first; X.509 alone
    /// by default. Servers are told of them (RFC 7250 §4.1), and one that shows another kind is
    /// refused.
    fn kinds(&self) -> &[CertificateKind] {
        &[CertificateKind::X509]
    }

    /// The same as [`VerifyServer::verify`] for a verifier that has to ask somebody else, and says
    /// later whether it accepts; by default it says so at once, as that does.
    fn verify_later(
        &self,
        claimed: Identity,
        name: ServerName<'static>,
        date: UnixTime,
        verdict: Reply<Result<(), CertificateError>>,
    ) {
        verdict.send(self.verify(&claimed, &name, date));
    }

    /// Whether a server whose session is resumed is verified again, as it was when the session was
    /// made. Not by default: it has the secret of that handshake, and sessions are short-lived.
    fn verifies_resumed(&self) -> bool {
        false
    }
}

/// Decides whether a client may be served.
///
/// As with [`VerifyServer`], the proof of the key is checked apart from this, and a claim of an
/// unknown kind is to be refused.
pub trait VerifyClient: Send + Sync + fmt::Debug {
    /// Accepts what the client claims to be at `date`, or says why not.
    ///
    /// # Errors
    ///
    /// The reason; the handshake fails with the alert that belongs to it.
    fn verify(&self, claimed: &Identity, date: UnixTime) -> Result<(), CertificateError>;

    /// The kinds of certificates that the verifier can judge, the preferred one first; X.509 alone
    /// by default. The first that the client offers is asked for; a client that offers none of them
    /// is refused (RFC 7250 §4.2), also where a certificate is optional.
    fn kinds(&self) -> &[CertificateKind] {
        &[CertificateKind::X509]
    }

    /// The same as [`VerifyClient::verify`] for a verifier that has to ask somebody else, and says
    /// later whether it accepts; by default it says so at once, as that does.
    fn verify_later(
        &self,
        claimed: Identity,
        date: UnixTime,
        verdict: Reply<Result<(), CertificateError>>,
    ) {
        verdict.send(self.verify(&claimed, date));
    }

    /// Whether the client of a session that is resumed is verified again, as it is by default: its
    /// certificate may have expired, or been revoked, since the session was made.
    fn verifies_resumed(&self) -> bool {
        true
    }

    /// The DER names of trusted authorities, as a hint to clients that hold several certificates
    /// (RFC 5246 §7.4.4).
    fn authorities(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Accepts every server: no protection against an active attacker. Only `dangerous()` hands it out.
#[derive(Debug)]
pub(crate) struct AcceptAnyServer;

impl VerifyServer for AcceptAnyServer {
    fn verify(
        &self,
        _: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        tracing::warn!("a server certificate was accepted without any check");
        Ok(())
    }

    fn kinds(&self) -> &[CertificateKind] {
        &[CertificateKind::X509, CertificateKind::RawPublicKey]
    }
}
