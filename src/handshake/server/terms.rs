//! What a server answers a client's hello with: its configuration, what its application has
//! answered, and what the handshake began from.

use crate::config::{ClientAuthentication, HelloAnswer, Retried, ServerConfig};
use crate::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::renegotiation::{self, Binding};
use crate::handshake::{Epochs, certificate_types, limits};
use crate::identity::{CertificateKind, Credential, Identity};
use crate::protocol::{AgreedLimits, ConnectionId, ConnectionIds, Dialect, SrtpProfile};
use crate::wire::client_hello::{ClientHello, MAX_SESSION_ID_LEN, RANDOM_LEN};
use crate::wire::extension::ChosenTypes;
use crate::wire::server_hello::DOWNGRADE_TO_12;
use pki_types::UnixTime;
use std::sync::Arc;

/// What a server answers a client's hello with.
pub(super) struct Terms {
    pub(super) dialect: &'static Dialect,
    pub(super) config: Arc<ServerConfig>,
    pub(super) epochs: Epochs,
    pub(super) started: UnixTime,
    pub(super) binding: Option<Binding>,
    pub(super) retried: Option<Box<Retried>>,
    pub(super) only_resume: bool,
    pub(super) resumes: bool,
    pub(super) requested: bool,
    pub(super) connection_id: Option<ConnectionId>,
    /// What the application wants otherwise than configured.
    pub(super) answer: HelloAnswer,
}

impl Terms {
    /// What the server proves its identity with, in this handshake.
    pub(super) fn credentials(&self) -> &[Credential] {
        let answered = self.answer.credentials.as_deref();
        answered.unwrap_or(&self.config.credentials)
    }

    /// Only a resumption is worth an answer to a client whose address was not proved.
    pub(super) fn check_proved(&self) -> Result<(), Error> {
        if self.only_resume {
            return Err(Error::Evicted);
        }
        Ok(())
    }

    /// No signature is made for a client whose address was not proved, or that takes no certificate
    /// of this server.
    pub(super) fn check_full_allowed(&self, hello: &ClientHello) -> Result<(), Error> {
        self.check_proved()?;
        self.check_certificate_allowed(hello)
    }

    /// No certificate is shown to a client that accepts none of a kind that is here, nor without a
    /// credential.
    pub(super) fn check_certificate_allowed(&self, hello: &ClientHello) -> Result<(), Error> {
        if self.credentials().is_empty() {
            // Whom nobody has promised a certificate does not miss one.
            return Err(match self.config.answers {
                Some(_) => Error::NoCredential,
                None => PeerIncompatible::NoCommonCipherSuite.into(),
            });
        }
        if self.would_show(hello).is_none() {
            let conformance = &self.config.parameters.conformance;
            return Err(if conformance.take_certificate_types_for_signatures {
                PeerIncompatible::NoCommonSignatureScheme.into()
            } else {
                // RFC 7250 §4.2: unsupported_certificate.
                PeerIncompatible::NoCommonCertificateType.into()
            });
        }
        self.asks_for(hello).map(drop)
    }

    /// The kind of certificate that the client is asked for, if it is.
    pub(super) fn asks_for(&self, hello: &ClientHello) -> Result<Option<CertificateKind>, Error> {
        certificate_types::asks_for(&hello.extensions, &self.config)
    }

    /// The kind that this server shows to the client, if nothing else decides between several.
    fn would_show(&self, hello: &ClientHello) -> Option<CertificateKind> {
        certificate_types::would_show(&hello.extensions, self.credentials())
    }

    /// The credentials that the client accepts the kind of, and that its authorities suit.
    pub(super) fn fitting<'a>(
        &'a self,
        hello: &'a ClientHello,
    ) -> impl Iterator<Item = &'a Credential> {
        let offered = &hello.extensions;
        let of_kind = self.credentials().iter();
        of_kind
            .filter(|it| certificate_types::accepts(offered, it.kind()))
            .filter(|it| it.suits_authorities(&offered.authorities))
    }

    /// What is said of the kinds of certificates to a client that resumes: it is asked for nothing.
    pub(super) fn types_of_resumption(&self, hello: &ClientHello) -> ChosenTypes {
        certificate_types::answer(&hello.extensions, None, self.would_show(hello))
    }

    /// Whether the session's client is one that could be asked for what it has shown.
    pub(super) fn suits_identity(&self, identity: Option<&Identity>) -> bool {
        let policy = &self.config.client_authentication;
        let Some(identity) = identity else {
            return !matches!(policy, ClientAuthentication::Required(_));
        };
        if identity.shared_key().is_some() {
            // With a shared key no certificate is asked for.
            return self.config.shared_keys.is_some();
        }
        let kind = identity.certificate_kind();
        let verifier = policy.verifier();
        verifier.is_some_and(|it| kind.is_none_or(|kind| it.kinds().contains(&kind)))
    }

    /// What the application has answered; else the server's preference (RFC 7301 §3.2). With a list
    /// at both ends and nothing in common, the handshake fails.
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
                return Err(Error::UnusableReply);
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

    /// What both ends put into their records, if both use connection IDs. RFC 9146 §3: an offer is
    /// answered even if this end wants none, because the client may want some.
    pub(super) fn connection_ids(&self, hello: &ClientHello) -> Option<ConnectionIds> {
        let ours = self.connection_id.as_ref();
        let ours = ours.filter(|_| self.dialect.connection_ids)?;
        let offered = &hello.extensions;
        Some(ConnectionIds {
            ours: ours.clone(),
            theirs: offered.connection_id.clone()?,
            checks: offered.rrc,
        })
    }

    /// How long records of 1.2 may be.
    pub(super) fn limits_12(&self, hello: &ClientHello) -> Result<AgreedLimits, PeerMisbehaved> {
        limits::grant(&self.config.parameters, hello.extensions.limits, false)
    }

    /// Says in the log why a client that wants connection IDs gets none.
    pub(super) fn note_draft(&self, hello: &ClientHello) {
        let offered = &hello.extensions;
        if self.dialect.connection_ids
            && offered.draft_connection_id
            && offered.connection_id.is_none()
        {
            tracing::debug!(
                "the draft's connection ID was offered, which is another extension than that of \
                 RFC 9146: there will be none"
            );
        }
    }

    /// Whether a NewSessionTicket is promised: whenever the client takes tickets, also in a
    /// renegotiation and a resumption (RFC 5077 §3.3).
    pub(super) fn promises_ticket(&self, hello: &ClientHello) -> bool {
        hello.extensions.session_ticket.is_some()
            && self.may_resume_later(hello)
            && self.config.sessions.tickets.is_some()
    }

    /// Whether a session that this hello makes can be resumed (RFC 7627 §5.3).
    pub(super) fn may_resume_later(&self, hello: &ClientHello) -> bool {
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

    /// What binds this handshake to the one before it, for a client that binds as well
    /// (RFC 5746 §3.6).
    pub(super) fn renegotiation_info(&self, hello: &ClientHello) -> Option<Vec<u8>> {
        renegotiation::is_secure(hello).then(|| renegotiation::server_info(self.binding.as_ref()))
    }

    /// The random of a ServerHello of 1.2. A server that speaks 1.3 as well says so in it, whatever
    /// the hello offered, so that an attacker cannot take the offer of 1.3 out of a hello unnoticed
    /// (RFC 8446 §4.1.3).
    ///
    /// With it comes a session ID of `session_id_len` bytes, 32 at most: each time that the system
    /// is asked for randomness costs more than what it gives.
    pub(super) fn random_12(
        &self,
        session_id_len: usize,
    ) -> Result<([u8; RANDOM_LEN], Vec<u8>), Error> {
        let mut drawn = [0; RANDOM_LEN + MAX_SESSION_ID_LEN];
        let drawn = &mut drawn[..RANDOM_LEN + session_id_len];
        self.config.parameters.random.fill(drawn)?;
        let (drawn, session_id) = drawn.split_at(RANDOM_LEN);
        let mut random = [0; RANDOM_LEN];
        random.copy_from_slice(drawn);
        if self.config.parameters.speaks_13() {
            random[RANDOM_LEN - DOWNGRADE_TO_12.len()..].copy_from_slice(&DOWNGRADE_TO_12);
        }
        Ok((random, session_id.to_vec()))
    }
}
