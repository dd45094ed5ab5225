//! Errors, sorted by who is to blame.
//!
//! Every [`Error`] that an input of a connection returns is fatal to that one association. Noise on the
//! network is never an error: it is counted (see [`Stats`](crate::Stats)). Refused commands have small types
//! of their own ([`SendError`], [`ConnectError`]) because they are not fatal.

mod certificate;
mod command;
mod configuration;
mod peer;

pub use certificate::{CertificateError, FingerprintParseError, UnreadableCertificate};
pub use command::{ApiMisuse, ConnectError, KeyUpdateError, RenegotiateError, SendError};
pub use configuration::{ConfigError, UnsupportedKey};
pub use peer::{InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::protocol::{Alert, AlertDescription, Side};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Why an association ended, or why a configuration cannot be built.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer sent bytes, under keys, that do not decode.
    InvalidMessage(InvalidMessage),
    /// The peer sent something well-formed that the protocol forbids at this point.
    PeerMisbehaved(PeerMisbehaved),
    /// Both ends are right, but they share no parameters.
    PeerIncompatible(PeerIncompatible),
    /// The peer's certificate was refused.
    InvalidCertificate(CertificateError),
    /// The peer ended the association by a fatal alert.
    AlertReceived {
        /// What the peer said.
        alert: Alert,
        /// Whether the alert came under keys. `false` before keys exist: anybody on the path could have sent it.
        authenticated: bool,
    },
    /// The peer went silent during a handshake.
    TimedOut {
        /// How long the handshake had lasted.
        after: Duration,
        /// How often the current flight was sent again.
        retransmissions: u32,
        /// A fatal alert that came meanwhile without protection, so it was not believed; it may be the reason.
        unauthenticated_alert: Option<Alert>,
        /// Whether the server had begun to resume a session: then the two ends may hold different secrets for it. This
        /// end has forgotten it.
        resuming: bool,
        /// What came meanwhile without protection and may be the reason.
        suspicion: Option<Suspicion>,
    },
    /// The handshake is complete, but the peer has not acknowledged what it must have: a client's last flight of version 1.3
    /// (RFC 9147 §5.8.1), or a ticket where the policy says so. It may be gone.
    Unacknowledged {
        /// How long that was waited for.
        after: Duration,
        /// How often the flight was sent again.
        retransmissions: u32,
    },
    /// The stream ended in the middle of a handshake.
    StreamEnded,
    /// Nothing came from the peer for the idle timeout.
    IdleTimeout,
    /// The keys may protect no more records (RFC 9325 §4.4) and cannot be replaced.
    KeyExhausted,
    /// Too many records failed to authenticate under one key (RFC 9325 §4.4).
    TooManyForgeries,
    /// The local configuration cannot work.
    InvalidConfiguration(ConfigError),
    /// The system's random number generator failed.
    RandomFailed,
    /// A local signing key failed to sign.
    SigningFailed,
    /// The application has ended the association with this alert.
    Aborted(AlertDescription),
    /// The application has answered a hello with something that the client did not offer.
    UnusableAnswer,
    /// Whoever was asked for this, at this end, has dropped the question without an answer.
    Unanswered(&'static str),
    /// The endpoint dropped the association to stay within its limits.
    Evicted,
    /// The peer started again from the same address and its new association has replaced this one.
    Superseded,
}

impl Error {
    /// The alert that tells the peer about this error, if one is sent at all.
    pub fn alert(&self) -> Option<AlertDescription> {
        use AlertDescription as A;
        Some(match self {
            // RFC 8446 §4.2.11, §6.2: what decodes, but is inconsistent with other fields.
            Self::InvalidMessage(InvalidMessage::Inconsistent(_)) => A::ILLEGAL_PARAMETER,
            Self::InvalidMessage(InvalidMessage::WrongVerifyDataLength) => A::DECRYPT_ERROR,
            Self::InvalidMessage(_) => A::DECODE_ERROR,
            Self::PeerMisbehaved(fact) => fact.alert(),
            Self::PeerIncompatible(fact) => fact.alert(),
            Self::InvalidCertificate(fact) => fact.alert(),
            Self::Aborted(alert) => *alert,
            Self::RandomFailed
            | Self::SigningFailed
            | Self::UnusableAnswer
            | Self::Unanswered(_) => A::INTERNAL_ERROR,
            // RFC 9147 §4.5.2, §4.5.3: the keys of the other direction are as good as ever, and so the peer can be told.
            Self::TooManyForgeries => A::BAD_RECORD_MAC,
            // A peer that is there after all learns that nobody listens any more.
            Self::KeyExhausted
            | Self::Evicted
            | Self::IdleTimeout
            | Self::Unacknowledged { .. } => A::CLOSE_NOTIFY,
            // RFC 8446 §6.2: at 1.3 errors are fatal by name, and whoever sends one as a warning has not understood that.
            Self::AlertReceived { alert, .. } if !alert.is_fatal() => A::DECODE_ERROR,
            Self::AlertReceived { .. }
            | Self::TimedOut { .. }
            | Self::StreamEnded
            | Self::InvalidConfiguration(_)
            | Self::Superseded => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidMessage(fact) => write!(
                f,
                "the peer sent a message that does not decode ({fact}); its implementation is at fault"
            ),
            Self::PeerMisbehaved(PeerMisbehaved::MessageTooLong) => f.write_str(
                "the peer sent a handshake message, most likely its certificate chain, that is longer than this end takes; raise \
                 max_message of the policy, or let the peer send fewer certificates",
            ),
            Self::PeerMisbehaved(fact) => {
                write!(
                    f,
                    "the peer broke the protocol: {fact}; its implementation is at fault"
                )
            }
            Self::PeerIncompatible(fact) => write!(f, "no common parameters: {fact}"),
            Self::InvalidCertificate(fact) => {
                write!(f, "the peer's certificate was refused: {fact}")
            }
            Self::AlertReceived {
                alert,
                authenticated,
            } => {
                write!(f, "the peer sent the {alert} alert")?;
                if !authenticated {
                    f.write_str(" before keys existed, so anybody on the path may have forged it")?;
                }
                match remedy(alert.description) {
                    Some(text) => write!(f, "; {text}"),
                    None => Ok(()),
                }
            }
            Self::TimedOut {
                after,
                retransmissions,
                unauthenticated_alert,
                resuming,
                suspicion,
            } => {
                fmt_timed_out(
                    f,
                    *after,
                    *retransmissions,
                    *unauthenticated_alert,
                    *suspicion,
                )?;
                if *resuming {
                    f.write_str(
                        "; the server had resumed a session of which it may hold another secret; it is forgotten, so \
                         connect again",
                    )?;
                }
                Ok(())
            }
            Self::Unacknowledged {
                after,
                retransmissions,
            } => write!(
                f,
                "the handshake was complete, but within {} s and {retransmissions} retransmissions the peer has not acknowledged \
                 this end's part of it; the peer, or the path to it, is gone",
                after.as_secs()
            ),
            Self::StreamEnded => f.write_str(
                "the peer ended the stream in the middle of a handshake; its own log may say why",
            ),
            Self::IdleTimeout => f.write_str("nothing came from the peer for the idle timeout"),
            Self::KeyExhausted => {
                f.write_str("the keys have protected as many records as is safe; connect again")
            }
            Self::TooManyForgeries => f.write_str(
                "too many records failed to authenticate under one key, which nothing has replaced in time; somebody injects \
                 datagrams, so filter them, and connect again",
            ),
            Self::InvalidConfiguration(fact) => write!(f, "the configuration cannot work: {fact}"),
            Self::RandomFailed => f.write_str("the system's random number generator failed"),
            Self::SigningFailed => f.write_str("the local private key failed to sign"),
            Self::Aborted(alert) => write!(f, "this end has ended the association with {alert}"),
            Self::UnusableAnswer => f.write_str(
                "this application chose a protocol that the client did not offer; it is to choose one of the client's list",
            ),
            Self::Unanswered(what) => write!(
                f,
                "whoever was asked for {what} at this end has dropped the question without an answer"
            ),
            Self::Evicted => {
                f.write_str("the endpoint dropped the association to stay within its limits")
            }
            Self::Superseded => {
                f.write_str("the peer started again from the same address; use its new association")
            }
        }
    }
}

impl std::error::Error for Error {}

fn fmt_timed_out(
    f: &mut fmt::Formatter<'_>,
    after: Duration,
    retransmissions: u32,
    unauthenticated_alert: Option<Alert>,
    suspicion: Option<Suspicion>,
) -> fmt::Result {
    let seconds = after.as_secs();
    write!(
        f,
        "no answer within {seconds} s and {retransmissions} retransmissions"
    )?;
    if let Some(suspicion) = suspicion {
        write!(f, "; {suspicion}")?;
    }
    let Some(alert) = unauthenticated_alert else {
        if suspicion.is_some() {
            return Ok(());
        }
        return f.write_str(
            "; check the peer's address, that it speaks a version that this end allows, and, over UDP, that a firewall or a \
             smaller MTU does not eat the datagrams",
        );
    };
    write!(
        f,
        ", but an unprotected {alert} alert, which anybody may have forged, so it was not believed"
    )?;
    remedy(alert.description).map_or(Ok(()), |text| write!(f, "; {text}"))
}

/// What came without protection during a handshake that nobody answered: anybody may have sent it, so it has ended nothing,
/// but it is the most likely reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Suspicion {
    /// A ClientHello, where a client waits for a server's answer: both ends connect, and neither accepts.
    BothConnect,
    /// More of a handshake message than `max_message` of the policy allows.
    MessageTooLong,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BothConnect => {
                "a ClientHello came from there instead of an answer, so both ends are clients; let one of them accept"
            }
            Self::MessageTooLong => {
                "a handshake message came, most likely a certificate chain, that is longer than this end takes; raise \
                 max_message of the policy, or let the peer send fewer certificates"
            }
        })
    }
}

/// What to look at when a peer sends this alert.
fn remedy(description: AlertDescription) -> Option<&'static str> {
    use AlertDescription as A;
    Some(match description {
        A::HANDSHAKE_FAILURE => {
            "compare the cipher suites, groups and certificate key types of both ends, and whether the peer \
             demands a client certificate"
        }
        A::BAD_CERTIFICATE | A::UNSUPPORTED_CERTIFICATE | A::CERTIFICATE_UNKNOWN => {
            "the peer refused this end's certificate; check its chain, key type and extended key usage"
        }
        A::CERTIFICATE_EXPIRED => "renew this end's certificate, or correct the peer's clock",
        A::UNKNOWN_CA => "give the peer the root that signed this end's certificate",
        A::CERTIFICATE_REQUIRED => "configure a client certificate",
        A::PROTOCOL_VERSION => {
            "compare the versions that both ends allow; a server that refuses every hello which offers 1.3 beside 1.2, as \
             LibreSSL does over datagrams, is reached by offering 1.2 alone"
        }
        A::UNRECOGNIZED_NAME => "the peer does not serve the server name that was asked for",
        A::NO_APPLICATION_PROTOCOL => "compare the ALPN lists of both ends",
        A::DECRYPT_ERROR => {
            "a signature or Finished did not verify at the peer; the issuer of this end's certificate that it trusts may be an \
             old one of the same name, or somebody alters datagrams"
        }
        A::INSUFFICIENT_SECURITY => "the peer demands stronger parameters",
        A::NO_RENEGOTIATION => "the peer does not renegotiate",
        _ => return None,
    })
}

impl From<PeerMisbehaved> for Error {
    fn from(fact: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(fact)
    }
}

impl From<PeerIncompatible> for Error {
    fn from(fact: PeerIncompatible) -> Self {
        Self::PeerIncompatible(fact)
    }
}

impl From<InvalidMessage> for Error {
    fn from(fact: InvalidMessage) -> Self {
        Self::InvalidMessage(fact)
    }
}

impl From<CertificateError> for Error {
    fn from(fact: CertificateError) -> Self {
        Self::InvalidCertificate(fact)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::InvalidConfiguration(error)
    }
}

/// A fatal [`Error`] with its circumstances: where it happened, with whom, and what was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What happened.
    pub error: Error,
    /// The state it happened in, named for the message that was expected.
    pub state: &'static str,
    /// Which end this is.
    pub side: Side,
    /// The peer's address.
    pub peer: Option<SocketAddr>,
    /// The alert that was queued for the peer.
    pub alert_sent: Option<Alert>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (this {} in state {}",
            self.error, self.side, self.state
        )?;
        if let Some(peer) = self.peer {
            write!(f, ", peer {peer}")?;
        }
        if let Some(alert) = self.alert_sent {
            write!(f, ", alert sent: {alert}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    /// LibreSSL over datagrams refuses a hello for offering 1.3, which its reader cannot guess.
    #[test]
    fn a_refused_version_names_the_versions_to_offer() {
        let text = Error::AlertReceived {
            alert: Alert::fatal(AlertDescription::PROTOCOL_VERSION),
            authenticated: false,
        }
        .to_string();
        for word in ["LibreSSL", "offering 1.2 alone"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn an_unauthenticated_alert_says_that_it_may_be_forged_and_what_to_check() {
        let text = Error::AlertReceived {
            alert: Alert::fatal(AlertDescription::HANDSHAKE_FAILURE),
            authenticated: false,
        }
        .to_string();
        assert!(text.contains("fatal handshake_failure(40)"), "{text}");
        assert!(text.contains("forged"), "{text}");
        assert!(text.contains("cipher suites"), "{text}");
    }
}
