//! What ends an association, and with what alert.

use super::{CertificateError, ConfigError, InvalidMessage, PeerIncompatible, PeerMisbehaved};
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
    /// The peer ended the association with a fatal alert.
    AlertReceived {
        /// What the peer said.
        alert: Alert,
        /// Whether the alert came under keys. `false` before keys exist: anybody on the path could
        /// have sent it.
        authenticated: bool,
    },
    /// The peer went silent during a handshake.
    TimedOut {
        /// How long the handshake had lasted.
        after: Duration,
        /// How many times the current flight was sent again.
        retransmissions: u32,
        /// A fatal alert that arrived unprotected in the meantime, so it was not believed; it may
        /// be the reason.
        unauthenticated_alert: Option<Alert>,
        /// Whether the server had begun to resume a session: the two ends may then hold different
        /// secrets for it. This end has forgotten the session.
        resuming: bool,
        /// What may be the reason, by what has happened in the meantime.
        suspicion: Option<Suspicion>,
    },
    /// The handshake is complete, but the peer has not acknowledged something that it must have: a
    /// client's last flight of version 1.3 (RFC 9147 §5.8.1), or a ticket where the policy says so.
    /// It may be gone.
    Unacknowledged {
        /// How long this end waited for the acknowledgement.
        after: Duration,
        /// How many times the flight was sent again.
        retransmissions: u32,
    },
    /// The stream ended in the middle of a handshake.
    StreamEnded,
    /// Nothing came from the peer within the idle timeout.
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
    /// The provider of cryptography could not finish a key exchange, which was not the peer's
    /// fault.
    KeyExchangeFailed,
    /// The application has ended the association with this alert.
    Aborted(AlertDescription),
    /// The application answered a hello with something that the client did not offer.
    UnusableReply,
    /// This server has no credential of its own, and the application has named none for the client.
    NoCredential,
    /// The application was asked for this and dropped the question without an answer.
    ReplyMissing(&'static str),
    /// An answer came that this state of the handshake has not asked for: a fault of this library.
    UnexpectedAnswer(&'static str),
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
            // RFC 8446 §4.2.11, §6.2: a field that decodes, but is inconsistent with others.
            Self::InvalidMessage(InvalidMessage::Inconsistent(_)) => A::ILLEGAL_PARAMETER,
            Self::InvalidMessage(InvalidMessage::WrongVerifyDataLength) => A::DECRYPT_ERROR,
            Self::InvalidMessage(_) => A::DECODE_ERROR,
            Self::PeerMisbehaved(fact) => fact.alert(),
            Self::PeerIncompatible(fact) => fact.alert(),
            Self::InvalidCertificate(fact) => fact.alert(),
            Self::Aborted(alert) => *alert,
            Self::NoCredential => A::HANDSHAKE_FAILURE,
            Self::RandomFailed
            | Self::SigningFailed
            | Self::KeyExchangeFailed
            | Self::UnusableReply
            | Self::UnexpectedAnswer(_)
            | Self::ReplyMissing(_) => A::INTERNAL_ERROR,
            // RFC 9147 §4.5.2, §4.5.3: the keys of the other direction are still good, so the peer
            // can be told.
            Self::TooManyForgeries => A::BAD_RECORD_MAC,
            // If the peer is there after all, it learns that this end has gone.
            Self::KeyExhausted
            | Self::Evicted
            | Self::IdleTimeout
            | Self::Unacknowledged { .. } => A::CLOSE_NOTIFY,
            // RFC 8446 §6.2: at 1.3 an error alert is fatal whatever its level, so it is never sent
            // as a warning.
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
                        "; the server had begun to resume a session, for which it may hold another secret; this end \
                         has forgotten the session, so connect again",
                    )?;
                }
                Ok(())
            }
            Self::Unacknowledged {
                after,
                retransmissions,
            } => write!(
                f,
                "the handshake was complete, but within {} s and {retransmissions} retransmissions the peer did not acknowledge \
                 this end's part of it; the peer, or the path to it, may be gone",
                after.as_secs()
            ),
            Self::StreamEnded => f.write_str(
                "the peer ended the stream in the middle of a handshake; its own log may say why",
            ),
            Self::IdleTimeout => f.write_str("nothing came from the peer within the idle timeout"),
            Self::KeyExhausted => {
                f.write_str("the keys have protected as many records as is safe; connect again")
            }
            Self::TooManyForgeries => f.write_str(
                "too many records failed to authenticate under one key, which was not replaced in time; somebody is injecting \
                 datagrams, so filter them, and connect again",
            ),
            Self::InvalidConfiguration(fact) => write!(f, "the configuration cannot work: {fact}"),
            Self::RandomFailed => f.write_str("the system's random number generator failed"),
            Self::SigningFailed => f.write_str("the local private key failed to sign"),
            Self::KeyExchangeFailed => {
                f.write_str("the local provider of cryptography could not finish a key exchange")
            }
            Self::Aborted(alert) => write!(f, "this end ended the association with {alert}"),
            Self::UnusableReply => f.write_str(
                "this application chose a protocol that the client did not offer; choose one of the client's list",
            ),
            Self::NoCredential => f.write_str(
                "this server has no credential for the client; configure one, or name one in the answer to its hello",
            ),
            Self::ReplyMissing(what) => write!(
                f,
                "this application was asked for {what} and dropped the question without an answer"
            ),
            Self::UnexpectedAnswer(state) => write!(
                f,
                "an answer came that {state} had not asked for; that is a fault of sealgram, so please report it"
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
            "; check the peer's address, that it speaks a version that this end allows, and, over UDP, that neither a firewall nor a \
             smaller MTU drops the datagrams",
        );
    };
    write!(
        f,
        ", but an unprotected {alert} alert, which anybody may have forged, so it was not believed"
    )?;
    remedy(alert.description).map_or(Ok(()), |text| write!(f, "; {text}"))
}

/// The most likely reason of a handshake that timed out: anybody may have caused what it is taken
/// from, so that did not end the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Suspicion {
    /// A ClientHello, while a client waits for a server's answer: both ends connect, and neither
    /// accepts.
    BothConnect,
    /// A handshake message longer than `max_message` of the policy allows.
    MessageTooLong,
    /// Nothing, after everything but the peer's Finished under a pre-shared key: what is made with
    /// another key is dropped without a word (RFC 6347 §4.1.2.7).
    SharedKeyDiffers,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BothConnect => {
                "the peer sent a ClientHello instead of an answer, so both ends are clients; make one of them the server"
            }
            Self::MessageTooLong => {
                "a handshake message, most likely a certificate chain, is longer than this end accepts; raise \
                 max_message of the policy, or let the peer send fewer certificates"
            }
            Self::SharedKeyDiffers => {
                "the pre-shared key or its identity is most likely not the same at both ends; compare them, and whether one end \
                 takes as text what the other takes as hexadecimal"
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
             requires a client certificate"
        }
        A::BAD_CERTIFICATE | A::UNSUPPORTED_CERTIFICATE | A::CERTIFICATE_UNKNOWN => {
            "the peer refused this end's certificate; check its chain, key type and extended key usage"
        }
        A::CERTIFICATE_EXPIRED => "renew this end's certificate, or correct the peer's clock",
        A::UNKNOWN_CA => "give the peer the root that signed this end's certificate",
        A::CERTIFICATE_REQUIRED => "configure a client certificate",
        A::PROTOCOL_VERSION => {
            "compare the versions that both ends allow; a server that refuses every hello that offers 1.3 besides 1.2, as \
             LibreSSL does over datagrams, can be reached by offering only 1.2"
        }
        A::UNRECOGNIZED_NAME => "the peer does not serve the server name that was asked for",
        A::NO_APPLICATION_PROTOCOL => "compare the ALPN lists of both ends",
        A::UNKNOWN_PSK_IDENTITY => {
            "the peer has no pre-shared key of this identity; it is compared byte by byte"
        }
        A::BAD_RECORD_MAC => {
            "a record did not open at the peer; with a pre-shared key the two ends most likely have different ones"
        }
        A::DECRYPT_ERROR => {
            "a signature or Finished did not verify at the peer; with a pre-shared key the two ends most likely have different ones; it may trust an old issuer with the same name as that of this end's \
             certificate, or somebody is altering datagrams"
        }
        A::INSUFFICIENT_SECURITY => "the peer requires stronger parameters",
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
    /// The state it happened in, named after the message that was expected.
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

    /// LibreSSL over datagrams refuses a hello because it offers 1.3, which the reader of the error
    /// cannot guess.
    #[test]
    fn a_refused_version_names_the_versions_to_offer() {
        let text = Error::AlertReceived {
            alert: Alert::fatal(AlertDescription::PROTOCOL_VERSION),
            authenticated: false,
        }
        .to_string();
        for word in ["LibreSSL", "offering only 1.2"] {
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
