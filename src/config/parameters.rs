//! The settings that clients and servers share.

use super::clock::{Clock, SystemClock};
use super::conformance::InForce;
use super::policy::{DatagramPolicy, ExtendedMasterSecret, SecureRenegotiation, StreamPolicy};
use super::rekey::RekeyPolicy;
use super::versions::Versions;
use crate::crypto::kx::supported_groups;
use crate::crypto::random::{SecureRandom, SystemRandom};
use crate::crypto::suite::{self, Suite};
use crate::crypto::verify::{algorithm_13, supported_schemes};
use crate::error::ConfigError;
use crate::protocol::{CipherSuite, NamedGroup, SignatureScheme, SrtpProfile};
use crate::secrets::key_log::KeyLog;
use crate::session::Session12;
use std::fmt;
use std::sync::Arc;

/// Settings that do not depend on the side.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) versions: Versions,
    /// The suites, the preferred ones first; never empty.
    pub(crate) suites: Vec<&'static Suite>,
    /// The groups, the preferred ones first; never empty.
    pub(crate) groups: Vec<NamedGroup>,
    /// The schemes that the peer may sign with, the preferred ones first; never empty.
    pub(crate) schemes: Vec<SignatureScheme>,
    /// The application protocols, the preferred ones first; empty for none.
    pub(crate) alpn: Vec<Vec<u8>>,
    /// The profiles of SRTP, the preferred ones first; empty for none.
    pub(crate) srtp: Vec<SrtpProfile>,
    pub(crate) extended_master_secret: ExtendedMasterSecret,
    pub(crate) secure_renegotiation: SecureRenegotiation,
    pub(crate) datagram: Arc<DatagramPolicy>,
    pub(crate) stream: StreamPolicy,
    pub(crate) rekey: RekeyPolicy,
    pub(crate) random: Arc<dyn SecureRandom>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key_log: Option<Arc<dyn KeyLog>>,
    pub(crate) conformance: InForce,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            versions: Versions::default(),
            suites: suite::supported().collect(),
            groups: supported_groups().collect(),
            schemes: supported_schemes().collect(),
            alpn: Vec::new(),
            srtp: Vec::new(),
            extended_master_secret: ExtendedMasterSecret::default(),
            secure_renegotiation: SecureRenegotiation::default(),
            datagram: Arc::default(),
            stream: StreamPolicy::default(),
            rekey: RekeyPolicy::default(),
            random: Arc::new(SystemRandom),
            clock: Arc::new(SystemClock),
            key_log: None,
            conformance: InForce::default(),
        }
    }
}

impl Parameters {
    /// The suites of version 1.2, if that is spoken.
    pub(crate) fn suites_12(&self) -> impl Iterator<Item = &'static Suite> + '_ {
        let spoken = self.versions.v12;
        let suites = self.suites.iter().copied();
        suites.filter(move |suite| spoken && !suite.is_13())
    }

    /// The suites of version 1.3, if that is spoken.
    pub(crate) fn suites_13(&self) -> impl Iterator<Item = &'static Suite> + '_ {
        let spoken = self.versions.v13;
        let suites = self.suites.iter().copied();
        suites.filter(move |suite| spoken && suite.is_13())
    }

    /// Whether version 1.2 can be agreed on.
    pub(crate) fn speaks_12(&self) -> bool {
        self.suites_12().next().is_some()
    }

    /// Whether version 1.3 can be agreed on.
    pub(crate) fn speaks_13(&self) -> bool {
        self.suites_13().next().is_some()
    }

    /// Whether a session of version 1.2 may be resumed, as far as the policy is concerned (RFC 7627
    /// §5.3).
    pub(crate) fn resumes(&self, session: &Session12) -> bool {
        session.has_name() && (session.extended_master_secret || self.resumes_unbound())
    }

    /// Whether a session is resumed that nothing binds to its handshake.
    pub(crate) fn resumes_unbound(&self) -> bool {
        self.conformance.resume_without_extended_master_secret
            && self.extended_master_secret != ExtendedMasterSecret::Require
    }

    /// Refuses a configuration that no handshake could complete with, and tells the policies what a
    /// judge wants of them.
    pub(crate) fn checked(mut self) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.datagram).conformance = self.conformance.clone();
        self.stream.conformance = self.conformance.clone();
        match (self.speaks_12(), self.speaks_13()) {
            (false, false) => Err(ConfigError::NoUsableCipherSuite),
            (false, true) if self.schemes_13().next().is_none() => {
                let text = "signature schemes of which none signs at version 1.3";
                Err(ConfigError::UnsupportedParameter(text.into()))
            }
            _ => Ok(self),
        }
    }

    /// Replaces the suites.
    pub(crate) fn set_suites(&mut self, ids: &[CipherSuite]) -> Result<(), ConfigError> {
        self.suites = ids
            .iter()
            .map(|&id| {
                suite::find(id).ok_or_else(|| ConfigError::UnsupportedParameter(id.to_string()))
            })
            .collect::<Result<_, _>>()?;
        if self.suites.is_empty() {
            return Err(ConfigError::UnsupportedParameter(
                "an empty list of cipher suites".into(),
            ));
        }
        Ok(())
    }

    /// Replaces the groups.
    pub(crate) fn set_groups(&mut self, groups: &[NamedGroup]) -> Result<(), ConfigError> {
        let supported: Vec<_> = supported_groups().collect();
        self.groups = supported_list("groups", groups, &supported)?;
        Ok(())
    }

    /// What a peer that is asked for a certificate at version 1.3 is told. What cannot sign there
    /// may stand in the list (RFC 8446 §4.2.3), which must not be empty.
    pub(crate) fn requested_schemes_13(&self) -> Vec<SignatureScheme> {
        let schemes: Vec<_> = self.schemes_13().collect();
        if schemes.is_empty() {
            self.schemes.clone()
        } else {
            schemes
        }
    }

    /// The schemes that may sign a handshake of version 1.3.
    fn schemes_13(&self) -> impl Iterator<Item = SignatureScheme> + '_ {
        let schemes = self.schemes.iter().copied();
        schemes.filter(|&scheme| algorithm_13(scheme).is_some())
    }

    /// Replaces the signature schemes.
    pub(crate) fn set_schemes(&mut self, schemes: &[SignatureScheme]) -> Result<(), ConfigError> {
        let supported: Vec<_> = supported_schemes().collect();
        self.schemes = supported_list("signature schemes", schemes, &supported)?;
        Ok(())
    }

    /// Replaces the profiles of SRTP.
    pub(crate) fn set_srtp(&mut self, profiles: &[SrtpProfile]) -> Result<(), ConfigError> {
        if profiles.len() > 64 {
            let text = "more than 64 profiles of SRTP".into();
            return Err(ConfigError::UnsupportedParameter(text));
        }
        self.srtp = profiles.to_vec();
        Ok(())
    }

    /// Replaces the application protocols; each name is 1 to 255 bytes long (RFC 7301 §3.1).
    pub(crate) fn set_alpn(&mut self, protocols: &[&[u8]]) -> Result<(), ConfigError> {
        let wrong = protocols
            .iter()
            .any(|name| name.is_empty() || name.len() > 255);
        if wrong || protocols.iter().map(|name| name.len() + 1).sum::<usize>() > 65_000 {
            return Err(ConfigError::UnsupportedParameter(
                "an ALPN name of 0 or more than 255 bytes".into(),
            ));
        }
        self.alpn = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(())
    }
}

/// A list with at least one member, each of which is supported here.
fn supported_list<T: Copy + PartialEq + fmt::Display>(
    what: &str,
    given: &[T],
    supported: &[T],
) -> Result<Vec<T>, ConfigError> {
    if let Some(unknown) = given.iter().find(|it| !supported.contains(it)) {
        return Err(ConfigError::UnsupportedParameter(unknown.to_string()));
    }
    if given.is_empty() {
        let text = format!("an empty list of {what}");
        return Err(ConfigError::UnsupportedParameter(text));
    }
    Ok(given.to_vec())
}

/// Writes the setters that both builders share, so that their docs and checks cannot drift apart.
macro_rules! shared_setters {
    () => {
        /// The versions to speak; 1.2 and 1.3 by default.
        #[must_use]
        pub fn versions(mut self, versions: $crate::config::Versions) -> Self {
            self.parameters.versions = versions;
            self
        }

        /// The cipher suites to allow, the preferred ones first. A version without a suite in the
        /// list is not spoken.
        ///
        /// # Errors
        ///
        /// `ConfigError::UnsupportedParameter` if the list is empty or holds one that does not
        /// exist here.
        pub fn cipher_suites(
            mut self,
            suites: &[$crate::protocol::CipherSuite],
        ) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_suites(suites)?;
            Ok(self)
        }

        /// The key exchange groups to allow, the preferred ones first.
        ///
        /// # Errors
        ///
        /// `ConfigError::UnsupportedParameter` if the list is empty or holds one that does not
        /// exist here.
        pub fn groups(
            mut self,
            groups: &[$crate::protocol::NamedGroup],
        ) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_groups(groups)?;
            Ok(self)
        }

        /// The schemes that the peer may sign the handshake with, the preferred ones first (RFC
        /// 8446 §4.2.3). What signs the certificates of its chain is for the verifier to judge. RSA
        /// with PKCS#1 padding signs at 1.2 alone: a list of nothing else belongs to
        /// [`Versions::V1_2`](crate::config::Versions::V1_2), because handshakes of 1.3 would fail
        /// with it.
        ///
        /// # Errors
        ///
        /// `ConfigError::UnsupportedParameter` if the list is empty or holds one that does not
        /// exist here.
        pub fn signature_schemes(
            mut self,
            schemes: &[$crate::protocol::SignatureScheme],
        ) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_schemes(schemes)?;
            Ok(self)
        }

        /// The application protocols (RFC 7301), the preferred ones first; none by default.
        ///
        /// # Errors
        ///
        /// `ConfigError::UnsupportedParameter` if a name is not 1 to 255 bytes long.
        pub fn alpn(mut self, protocols: &[&[u8]]) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_alpn(protocols)?;
            Ok(self)
        }

        /// The profiles of SRTP (RFC 5764), the preferred ones first; none by default. They mean
        /// something over datagrams alone.
        ///
        /// [`Connection::srtp_profile`](crate::Connection::srtp_profile) tells which was agreed;
        /// without a common one the handshake goes on all the same. The keys are what
        /// [`export_keying_material`](crate::Connection::export_keying_material) gives for the
        /// label `EXTRACTOR-dtls_srtp` without a context: the client's, the server's, the client's
        /// salt, the server's salt (§4.2).
        ///
        /// # Errors
        ///
        /// `ConfigError::UnsupportedParameter` if there are more than 64.
        pub fn srtp_profiles(
            mut self,
            profiles: &[$crate::protocol::SrtpProfile],
        ) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_srtp(profiles)?;
            Ok(self)
        }

        /// Whether the peer must support extended_master_secret (RFC 7627); preferred by default.
        #[must_use]
        pub fn extended_master_secret(
            mut self,
            policy: $crate::config::ExtendedMasterSecret,
        ) -> Self {
            self.parameters.extended_master_secret = policy;
            self
        }

        /// Whether the peer must bind renegotiations to what they renegotiate (RFC 5746); required
        /// by default.
        #[must_use]
        pub fn secure_renegotiation(mut self, policy: $crate::config::SecureRenegotiation) -> Self {
            self.parameters.secure_renegotiation = policy;
            self
        }

        /// Timers, sizes and queues over datagrams.
        #[must_use]
        pub fn datagram(mut self, policy: $crate::config::DatagramPolicy) -> Self {
            self.parameters.datagram = std::sync::Arc::new(policy);
            self
        }

        /// Adds a credential, for example an RSA certificate beside an ECDSA one, or one of another
        /// authority. The first that fits what the peer takes is used.
        #[must_use]
        pub fn and_credential(mut self, credential: $crate::identity::Credential) -> Self {
            let $crate::identity::Credential::Certificate(certified) = credential;
            self.credentials.push(certified);
            self
        }

        /// Deadlines, sizes and queues over byte streams.
        #[must_use]
        pub fn stream(mut self, policy: $crate::config::StreamPolicy) -> Self {
            self.parameters.stream = policy;
            self
        }

        /// When keys are replaced, and who may ask for it.
        #[must_use]
        pub fn rekey(mut self, policy: $crate::config::RekeyPolicy) -> Self {
            self.parameters.rekey = policy;
            self
        }

        /// Where randoms come from; the system by default.
        #[must_use]
        pub fn random(
            mut self,
            random: std::sync::Arc<dyn $crate::crypto::random::SecureRandom>,
        ) -> Self {
            self.parameters.random = random;
            self
        }

        /// What tells the date for certificates; the system by default.
        #[must_use]
        pub fn clock(mut self, clock: std::sync::Arc<dyn $crate::config::Clock>) -> Self {
            self.parameters.clock = clock;
            self
        }

        /// What a judge of conformance wants otherwise; nothing by default.
        #[doc(hidden)]
        #[cfg(feature = "conformance")]
        #[must_use]
        pub fn conformance(mut self, conformance: $crate::config::Conformance) -> Self {
            self.parameters.conformance = conformance.into();
            self
        }

        /// Where the secrets of every session are written, for debugging only; nowhere by default.
        #[must_use]
        pub fn key_log(
            mut self,
            log: std::sync::Arc<dyn $crate::secrets::key_log::KeyLog>,
        ) -> Self {
            self.parameters.key_log = Some(log);
            self
        }
    };
}
pub(crate) use shared_setters;
