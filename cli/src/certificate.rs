//! Certificates that are made on the spot.

use crate::problem::Problem;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use sealgram::identity::CertifiedKey;
use sealgram::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use std::time::Duration;

/// A self-signed certificate with its key.
#[derive(Debug)]
pub(crate) struct SelfSigned {
    /// The certificate and its key, as the library takes them.
    pub(crate) certified: CertifiedKey,
    /// The certificate as PEM: a peer that trusts it as a root accepts the holder of the key.
    pub(crate) pem: String,
}

/// How long a certificate is valid. It is for tests, so it need not outlive them by much.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far the peer's clock may be behind.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);

impl SelfSigned {
    /// Makes a key on P-256 and a certificate for `names`: DNS names and IP addresses.
    pub(crate) fn make(names: Vec<String>) -> Result<Self, Problem> {
        let failed = |error| Problem::failure(format!("no certificate can be made: {error}"));
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut parameters = CertificateParams::new(names).map_err(failed)?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, "sealgram self-signed");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(UnixTime::now().as_secs());
        parameters.not_before = now - CLOCK_SKEW;
        parameters.not_after = now + VALIDITY;
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self {
            certified: CertifiedKey::new(vec![certificate.der().clone()], &key)?,
            pem: certificate.pem(),
        })
    }
}
