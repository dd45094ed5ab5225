//! What an end of ours is configured with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sealgram::config::{ClientRenegotiation, DatagramPolicy, KeyLogFile, RekeyPolicy, Versions};
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, ServerConfig, SrtpProfile};
use sealgram_interop::algorithm::KeyType;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::pki::Pki;

use super::proof::Proof;

/// A version of DTLS or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1_2,
    V1_3,
}

/// The configuration of one end, and of what it expects of the other.
#[derive(Debug, Clone)]
pub(crate) struct Settings<'a> {
    pub(crate) pki: &'a Pki,
    pub(crate) version: Version,
    pub(crate) proof: Proof,
    /// The type of our key.
    pub(crate) key: KeyType,
    /// A server asks for a certificate, a client has one.
    pub(crate) mutual: bool,
    pub(crate) srtp: bool,
    pub(crate) alpn: Option<&'static str>,
    /// Clients may renegotiate.
    pub(crate) renegotiation: bool,
    pub(crate) key_log: Option<PathBuf>,
    /// How many bytes of connection ID either end receives, over DTLS.
    pub(crate) connection_ids: Option<usize>,
}

impl Version {
    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }

    const fn versions(self) -> Versions {
        match self {
            Self::V1_2 => Versions::V1_2,
            Self::V1_3 => Versions::V1_3,
        }
    }
}

impl<'a> Settings<'a> {
    pub(crate) const fn new(pki: &'a Pki, version: Version) -> Self {
        Self {
            pki,
            version,
            proof: Proof::Certificates,
            key: KeyType::EcdsaP256,
            mutual: false,
            srtp: false,
            alpn: None,
            renegotiation: false,
            key_log: None,
            connection_ids: None,
        }
    }

    /// Both ends show certificates.
    pub(crate) const fn mutual(mut self) -> Self {
        self.mutual = true;
        self
    }

    /// The name in every certificate.
    pub(super) fn name() -> Outcome<ServerName<'static>> {
        ServerName::try_from(Pki::NAME).map_err(failure)
    }

    pub(super) fn server(&self) -> Outcome<Arc<ServerConfig>> {
        let mut builder = self
            .proof
            .server(self)?
            .versions(self.version.versions())
            .rekey(self.rekey())
            .datagram(self.datagram()?);
        if self.srtp {
            builder = builder.srtp_profiles(&PROFILES).map_err(failure)?;
        }
        if let Some(alpn) = self.alpn {
            builder = builder.alpn(&[alpn.as_bytes()]).map_err(failure)?;
        }
        if let Some(path) = &self.key_log {
            builder = builder.key_log(Arc::new(KeyLogFile::new(path)));
        }
        Ok(Arc::new(builder.build().map_err(failure)?))
    }

    pub(super) fn client(&self) -> Outcome<Arc<ClientConfig>> {
        let mut builder = self
            .proof
            .client(self)?
            .versions(self.version.versions())
            .rekey(self.rekey())
            .datagram(self.datagram()?);
        if self.srtp {
            builder = builder.srtp_profiles(&PROFILES).map_err(failure)?;
        }
        if let Some(alpn) = self.alpn {
            builder = builder.alpn(&[alpn.as_bytes()]).map_err(failure)?;
        }
        if let Some(path) = &self.key_log {
            builder = builder.key_log(Arc::new(KeyLogFile::new(path)));
        }
        Ok(Arc::new(builder.build().map_err(failure)?))
    }

    fn datagram(&self) -> Outcome<DatagramPolicy> {
        DatagramPolicy::default()
            .connection_ids(self.connection_ids)
            .map_err(failure)
    }

    fn rekey(&self) -> RekeyPolicy {
        // A test has no time to wait between two renegotiations.
        let min_interval = Duration::ZERO;
        match self.renegotiation {
            true => RekeyPolicy::default()
                .client_renegotiation(ClientRenegotiation::Allow { min_interval }),
            false => RekeyPolicy::default(),
        }
    }
}

/// An error of the library in words.
pub(super) fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

const PROFILES: [SrtpProfile; 1] = [SrtpProfile::SRTP_AES128_CM_HMAC_SHA1_80];
