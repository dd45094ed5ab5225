//! The settings that clients and servers share.

use super::algorithms::Algorithms;
use super::clock::{Clock, SystemClock};
use super::conformance::InForce;
use super::policy::{
    DatagramPolicy, ExtendedMasterSecret, PskKeyExchange, SecureRenegotiation, StreamPolicy,
    in_range,
};
use super::rekey::RekeyPolicy;
use super::versions::Versions;
use crate::crypto::kx::is_13_only;
use crate::crypto::random::{SecureRandom, SystemRandom};
use crate::crypto::suite::{Authentication, KeyExchange, Suite};
use crate::crypto::verify::algorithm_13;
use crate::error::ConfigError;
use crate::protocol::{AgreedLimits, NamedGroup, SignatureScheme, SrtpProfile};
use crate::secrets::key_log::KeyLog;
use crate::session::Session12;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;
use std::sync::Arc;

/// Settings that do not depend on the side.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) versions: Versions,
    pub(crate) algorithms: Algorithms,
    /// The application protocols, the preferred ones first; empty for none.
    pub(crate) alpn: Vec<Vec<u8>>,
    /// The profiles of SRTP, the preferred ones first; empty for none.
    pub(crate) srtp: Vec<SrtpProfile>,
    /// The most contents of a record that this end receives, in bytes.
    pub(crate) record_size_limit: u16,
    pub(crate) extended_master_secret: ExtendedMasterSecret,
    pub(crate) secure_renegotiation: SecureRenegotiation,
    pub(crate) psk_key_exchange: PskKeyExchange,
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
            algorithms: Algorithms::default(),
            alpn: Vec::new(),
            srtp: Vec::new(),
            record_size_limit: MAX_RECORD_SIZE,
            extended_master_secret: ExtendedMasterSecret::default(),
            secure_renegotiation: SecureRenegotiation::default(),
            psk_key_exchange: PskKeyExchange::default(),
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
    /// The groups that version 1.2 has.
    pub(crate) fn groups_12(&self) -> impl Iterator<Item = NamedGroup> + '_ {
        let groups = self.algorithms.groups.iter().copied();
        groups.filter(|&group| !is_13_only(group))
    }

    /// The suites of version 1.2, if that is spoken.
    pub(crate) fn suites_12(&self) -> impl Iterator<Item = &'static Suite> + '_ {
        let spoken = self.versions.v12 && self.groups_12().next().is_some();
        let suites = self.algorithms.suites.iter().copied();
        suites.filter(move |suite| spoken && !suite.is_13())
    }

    /// The suites of version 1.3, if that is spoken.
    pub(crate) fn suites_13(&self) -> impl Iterator<Item = &'static Suite> + '_ {
        let spoken = self.versions.v13;
        let suites = self.algorithms.suites.iter().copied();
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

    /// Whether a handshake may exchange keys in a group. RFC 8422 §4: groups are named only then.
    pub(crate) fn may_exchange(&self) -> bool {
        let mut suites = self.algorithms.suites.iter();
        suites.any(|suite| suite.key_exchange != KeyExchange::SharedKeyAlone)
    }

    /// Whether a peer may sign a handshake; with a shared key none does (RFC 4279 §2).
    pub(crate) fn may_see_signatures(&self) -> bool {
        let mut suites = self.algorithms.suites.iter();
        suites.any(|suite| suite.authentication != Authentication::SharedKey)
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
            (false, false) if self.groups_12().next().is_none() => Err(ConfigError::NoUsableGroup),
            (false, false) => Err(ConfigError::NoUsableCipherSuite),
            (false, true) if self.schemes_13().next().is_none() => {
                Err(ConfigError::NoUsableSignatureScheme)
            }
            _ => Ok(self),
        }
    }

    /// What a peer that is asked for a certificate at version 1.3 is told. What cannot sign there
    /// may stand in the list (RFC 8446 §4.2.3), which must not be empty.
    pub(crate) fn requested_schemes_13(&self) -> Vec<SignatureScheme> {
        let schemes: Vec<_> = self.schemes_13().collect();
        if schemes.is_empty() {
            self.algorithms.schemes.clone()
        } else {
            schemes
        }
    }

    /// The schemes that may sign a handshake of version 1.3.
    fn schemes_13(&self) -> impl Iterator<Item = SignatureScheme> + '_ {
        let schemes = self.algorithms.schemes.iter().copied();
        schemes.filter(|&scheme| algorithm_13(scheme).is_some())
    }

    /// Replaces the profiles of SRTP.
    pub(crate) fn set_srtp(&mut self, profiles: &[SrtpProfile]) -> Result<(), ConfigError> {
        in_range(
            "the number of SRTP profiles",
            profiles.len(),
            0,
            MAX_SRTP_PROFILES,
        )?;
        self.srtp = profiles.to_vec();
        Ok(())
    }

    /// Sets the most contents of a record that this end receives.
    pub(crate) fn set_record_size_limit(&mut self, bytes: usize) -> Result<(), ConfigError> {
        let (min, max) = (usize::from(AgreedLimits::MIN), MAX_PLAINTEXT_LEN);
        let bytes = in_range("the record size limit", bytes, min, max)?;
        self.record_size_limit = u16::try_from(bytes).unwrap_or(MAX_RECORD_SIZE);
        Ok(())
    }

    /// Replaces the application protocols; each name is 1 to 255 bytes long (RFC 7301 §3.1).
    pub(crate) fn set_alpn(&mut self, protocols: &[&[u8]]) -> Result<(), ConfigError> {
        for name in protocols {
            in_range("the length of an ALPN name", name.len(), 1, 255)?;
        }
        let all = protocols.iter().map(|name| name.len() + 1).sum();
        in_range("the length of all ALPN names", all, 0, MAX_ALPN)?;
        self.alpn = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(())
    }
}

/// The most contents of a record that there can be (RFC 5246 §6.2.1).
const MAX_RECORD_SIZE: u16 = MAX_PLAINTEXT_LEN as u16;

/// The most profiles of SRTP; more are not registered.
const MAX_SRTP_PROFILES: usize = 64;

/// The most bytes of ALPN names with their lengths: both lists of RFC 7301 §3.1, and an extension,
/// hold less than 2^16.
const MAX_ALPN: usize = 65_000;

/// Writes the setters that both builders share, so that their docs and checks cannot drift apart.
macro_rules! shared_setters {
    () => {
        /// The versions to speak; 1.2 and 1.3 by default.
        #[must_use]
        pub fn versions(mut self, versions: $crate::config::Versions) -> Self {
            self.parameters.versions = versions;
            self
        }

        /// The cipher suites, groups and signature schemes; all that exist here by default.
        #[must_use]
        pub fn algorithms(mut self, algorithms: $crate::config::Algorithms) -> Self {
            self.parameters.algorithms = algorithms;
            self
        }

        /// The application protocols (RFC 7301), the preferred ones first; none by default.
        ///
        /// # Errors
        ///
        /// [`ConfigError::OutOfRange`](crate::error::ConfigError::OutOfRange) if a name is not 1 to
        /// 255 bytes long.
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
        /// [`ConfigError::OutOfRange`](crate::error::ConfigError::OutOfRange) if there are more
        /// than 64.
        pub fn srtp_profiles(
            mut self,
            profiles: &[$crate::protocol::SrtpProfile],
        ) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_srtp(profiles)?;
            Ok(self)
        }

        /// The most that the peer may put into one record, in bytes of contents: 64 to 16,384,
        /// which is the default (record_size_limit, RFC 8449). It is for ends with little memory:
        /// a record can be opened only when all of it is here.
        ///
        /// It is announced in any case, because RFC 8449 §4 wants that of both ends: without it a
        /// server could not say what it takes. A peer that does not know the extension pays no
        /// attention to it, and sends what it likes. A record that is longer than was agreed ends
        /// a stream with `record_overflow`; a datagram is counted and dropped
        /// ([`Discard::OverlongRecord`](crate::record::Discard::OverlongRecord)). Records without
        /// protection are not limited. What this end sends obeys the peer's limit:
        /// [`Connection::record_limits`](crate::Connection::record_limits) shows both.
        ///
        /// At version 1.3 the byte of the type is announced as well, which the peer may use for
        /// contents where a client has offered both versions and 1.2 was chosen.
        ///
        /// # Errors
        ///
        /// [`ConfigError::OutOfRange`](crate::error::ConfigError::OutOfRange).
        pub fn record_size_limit(
            mut self,
            bytes: usize,
        ) -> Result<Self, $crate::error::ConfigError> {
            self.parameters.set_record_size_limit(bytes)?;
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

        /// Whether a handshake of 1.3 with a pre-shared key exchanges keys as well (RFC 8446
        /// §4.2.9); required by default.
        #[must_use]
        pub fn psk_key_exchange(mut self, policy: $crate::config::PskKeyExchange) -> Self {
            self.parameters.psk_key_exchange = policy;
            self
        }

        /// Timers, sizes and queues over datagrams.
        #[must_use]
        pub fn datagram(mut self, policy: $crate::config::DatagramPolicy) -> Self {
            self.parameters.datagram = std::sync::Arc::new(policy);
            self
        }

        /// Adds a credential: a client without any shows nothing when a server asks. Of several,
        /// for example an RSA certificate beside an ECDSA one, or those of two authorities, the
        /// first that fits what the peer takes is used.
        #[must_use]
        pub fn add_credential(mut self, credential: $crate::identity::Credential) -> Self {
            self.credentials.push(credential);
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
