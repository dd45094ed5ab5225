//! Verdicts on certificates as a test wants them: the runner's chains are made to be accepted or
//! refused by flag.

use sealgram::AlertDescription;
use sealgram::error::CertificateError;
use sealgram::identity::{CertificateKind, Identity, VerifyClient, VerifyServer};
use sealgram::pki_types::{ServerName, UnixTime};

/// Gives every chain the same verdict.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The alert of a refusal; `None` accepts.
    pub(crate) refusal: Option<AlertDescription>,
    /// The kinds of certificates that are accepted.
    pub(crate) kinds: Vec<CertificateKind>,
    /// The names of authorities that a server tells its clients, in DER.
    pub(crate) authorities: Vec<Vec<u8>>,
    /// Whether the certificate of a resumed session is verified again.
    pub(crate) again: bool,
}

impl Verdict {
    fn give(&self) -> Result<(), CertificateError> {
        match self.refusal {
            Some(alert) => Err(CertificateError::Refused(alert)),
            None => Ok(()),
        }
    }
}

impl VerifyServer for Verdict {
    fn verify(
        &self,
        _: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        self.give()
    }

    fn kinds(&self) -> &[CertificateKind] {
        &self.kinds
    }

    fn verifies_resumed(&self) -> bool {
        self.again
    }
}

impl VerifyClient for Verdict {
    fn verify(&self, _: &Identity, _: UnixTime) -> Result<(), CertificateError> {
        self.give()
    }

    fn kinds(&self) -> &[CertificateKind] {
        &self.kinds
    }

    fn verifies_resumed(&self) -> bool {
        self.again
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        self.authorities.clone()
    }
}
