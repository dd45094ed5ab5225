//! Why the program ends without success.

use crate::report::Line;
use sealgram::error::{CertificateError, ConfigError, PeerIncompatible, PeerMisbehaved, Suspicion};
use sealgram::{AlertDescription, Error, Failure, Side};
use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;

/// A reason to end, with the exit code that belongs to it.
#[derive(Debug)]
pub(crate) struct Problem {
    blame: Blame,
    /// One sentence that says what to do.
    reason: String,
    peer: Option<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blame {
    /// The network, the peer, or this machine.
    World,
    /// The command line, or a file that it names.
    CommandLine,
}

impl Problem {
    /// A failure of the protocol, the network or the machine.
    pub(crate) fn failure(reason: impl fmt::Display) -> Self {
        Self {
            blame: Blame::World,
            reason: reason.to_string(),
            peer: None,
        }
    }

    /// A command line that is wrong.
    pub(crate) fn usage(reason: impl fmt::Display) -> Self {
        Self {
            blame: Blame::CommandLine,
            ..Self::failure(reason)
        }
    }

    /// The same, with the peer that it is about.
    pub(crate) fn at(self, peer: SocketAddr) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// The event line that reports it.
    pub(crate) fn line(&self) -> Line {
        let line = Line::new("error").field("reason", &self.reason);
        match self.peer {
            Some(peer) => line.field("peer", peer),
            None => line,
        }
    }

    /// What the program ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.blame {
            Blame::World => 1,
            Blame::CommandLine => 2,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// An association that failed is the network's or the peer's fault.
impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        // The line has a field for the peer.
        let mut failure = failure.clone();
        let peer = failure.peer.take();
        let reason = match option(&failure.error, failure.side) {
            Some(option) => format!("{failure}; see {option}"),
            None => failure.to_string(),
        };
        Self {
            peer,
            ..Self::failure(reason)
        }
    }
}

/// The option that is related to an error. The library does not know under which name this program
/// offers a setting.
fn option(error: &Error, side: Side) -> Option<&'static str> {
    Some(match error {
        Error::PeerIncompatible(fact) => match fact {
            PeerIncompatible::NoCommonVersion => "--versions",
            PeerIncompatible::NoCommonCipherSuite => "--suites",
            PeerIncompatible::NoCommonGroup => "--groups",
            PeerIncompatible::NoCommonApplicationProtocol => "--alpn",
            PeerIncompatible::ExtendedMasterSecretRequired => "--require-extended-master-secret",
            PeerIncompatible::SecureRenegotiationRequired => "--allow-insecure-renegotiation-peers",
            PeerIncompatible::ClientCertificateRequired
            | PeerIncompatible::ClientCertificateMissing => "--client-auth",
            PeerIncompatible::NoFittingCredential => "--cert and --key",
            PeerIncompatible::SharedKeyDiffers => "--psk-file and --psk-text-file",
            PeerIncompatible::NoSharedKey => "--psk-file",
            _ => return None,
        },
        Error::InvalidCertificate(fact) => match fact {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match side {
                Side::Client => "--ca and --fingerprint",
                Side::Server => "--client-ca",
            },
            CertificateError::FingerprintMismatch => "--fingerprint",
            CertificateError::NotValidForName { .. } => "--name",
            CertificateError::WrongCurve => "--groups",
            CertificateError::IdentityChanged => "--allow-identity-change",
            _ => return None,
        },
        Error::AlertReceived { alert, .. } => match alert.description {
            AlertDescription::PROTOCOL_VERSION => "--versions",
            AlertDescription::CERTIFICATE_REQUIRED => "--cert and --key",
            AlertDescription::UNRECOGNIZED_NAME => "--name",
            AlertDescription::UNKNOWN_PSK_IDENTITY => "--psk-identity",
            AlertDescription::NO_APPLICATION_PROTOCOL => "--alpn",
            _ => return None,
        },
        Error::TimedOut {
            suspicion: Some(Suspicion::SharedKeyDiffers),
            ..
        } => "--psk-file and --psk-text-file",
        Error::TimedOut { .. } => "--versions, --mtu and --timeout",
        Error::PeerMisbehaved(PeerMisbehaved::MessageTooLong) => "--max-message",
        Error::IdleTimeout => "--idle-timeout",
        Error::Evicted => "--max-half-open",
        Error::KeyExhausted => "--rekey-bytes",
        _ => return None,
    })
}

/// Configurations come from the command line.
impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text of the library that gives its reader a choice is followed by the option for that
    /// choice.
    #[test]
    fn a_failure_names_the_option_that_has_to_do_with_it() {
        let cases: [(Error, &str); 4] = [
            (
                PeerIncompatible::ExtendedMasterSecretRequired.into(),
                "--require-extended-master-secret",
            ),
            (
                PeerIncompatible::SecureRenegotiationRequired.into(),
                "--allow-insecure-renegotiation-peers",
            ),
            (
                CertificateError::IdentityChanged.into(),
                "--allow-identity-change",
            ),
            (PeerMisbehaved::MessageTooLong.into(), "--max-message"),
        ];
        let command = <crate::arguments::Arguments as clap::CommandFactory>::command();
        for (error, named) in cases {
            assert_eq!(option(&error, Side::Client), Some(named));
            // An option that does not exist would be bad advice.
            let known = command.get_subcommands().any(|subcommand| {
                let mut longs = subcommand.get_arguments().filter_map(|it| it.get_long());
                longs.any(|long| Some(long) == named.strip_prefix("--"))
            });
            assert!(known, "{named}");
        }
    }
}
