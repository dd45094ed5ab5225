//! Errors, sorted by who is to blame.
//!
//! Every [`Error`] that an input of a connection returns is fatal to that one association. Noise on the
//! network is never an error: it is counted (see [`Stats`](crate::Stats)). Refused commands have small types
//! of their own ([`SendError`], [`ConnectError`]) because they are not fatal.

use crate::protocol::{
    Alert, AlertDescription, NamedGroup, ProtocolVersion, Side, SignatureScheme,
};
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
    },
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
            Self::InvalidMessage(_) => A::DECODE_ERROR,
            Self::PeerMisbehaved(fact) => fact.alert(),
            Self::PeerIncompatible(fact) => fact.alert(),
            Self::InvalidCertificate(fact) => fact.alert(),
            Self::RandomFailed | Self::SigningFailed => A::INTERNAL_ERROR,
            Self::KeyExhausted | Self::Evicted | Self::IdleTimeout => A::CLOSE_NOTIFY,
            Self::AlertReceived { .. }
            | Self::TimedOut { .. }
            | Self::TooManyForgeries
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
                unauthenticated_alert: None,
            } => write!(
                f,
                "no answer within {} s and {retransmissions} retransmissions; check the peer's address, \
                 that it speaks DTLS 1.2, and that a firewall or a smaller MTU does not eat the datagrams",
                after.as_secs()
            ),
            Self::TimedOut {
                after,
                retransmissions,
                unauthenticated_alert: Some(alert),
            } => {
                write!(
                    f,
                    "no answer within {} s and {retransmissions} retransmissions, but an unprotected {alert} \
                     alert, which anybody may have forged, so it was not believed",
                    after.as_secs()
                )?;
                remedy(alert.description).map_or(Ok(()), |text| write!(f, "; {text}"))
            }
            Self::IdleTimeout => f.write_str("nothing came from the peer for the idle timeout"),
            Self::KeyExhausted => {
                f.write_str("the keys have protected as many records as is safe; connect again")
            }
            Self::TooManyForgeries => f.write_str(
                "too many records failed to authenticate under one key; somebody injects datagrams",
            ),
            Self::InvalidConfiguration(fact) => write!(f, "the configuration cannot work: {fact}"),
            Self::RandomFailed => f.write_str("the system's random number generator failed"),
            Self::SigningFailed => f.write_str("the local private key failed to sign"),
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
        A::PROTOCOL_VERSION => "the peer does not speak DTLS 1.2",
        A::UNRECOGNIZED_NAME => "the peer does not serve the server name that was asked for",
        A::NO_APPLICATION_PROTOCOL => "compare the ALPN lists of both ends",
        A::DECRYPT_ERROR => {
            "a signature or Finished did not verify at the peer; somebody may alter datagrams"
        }
        A::INSUFFICIENT_SECURITY => "the peer demands stronger parameters",
        A::NO_RENEGOTIATION => "the peer does not renegotiate",
        _ => return None,
    })
}

/// How bytes failed to decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The message ends before the named field is complete.
    MissingData(&'static str),
    /// The named structure is followed by bytes that belong to nothing.
    TrailingData(&'static str),
    /// The named field has a value that can never stand there.
    IllegalValue(&'static str),
    /// The named list must not be empty.
    EmptyList(&'static str),
    /// An extension occurs twice.
    DuplicateExtension(u16),
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingData(what) => write!(f, "{what} is cut short"),
            Self::TrailingData(what) => write!(f, "{what} is followed by stray bytes"),
            Self::IllegalValue(what) => write!(f, "{what} has an impossible value"),
            Self::EmptyList(what) => write!(f, "{what} is empty"),
            Self::DuplicateExtension(number) => write!(f, "extension {number} occurs twice"),
        }
    }
}

/// What a peer did that the protocol forbids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A handshake message under keys that has no place in this state.
    UnexpectedMessage {
        /// The type of the message (RFC 5246 §7.4).
        got: u8,
    },
    /// The server chose a cipher suite that was not offered.
    SelectedUnofferedCipherSuite,
    /// The server chose a version that was not offered.
    SelectedUnofferedVersion(ProtocolVersion),
    /// The server chose compression.
    SelectedCompression,
    /// The server answered an extension that was not offered.
    UnsolicitedExtension(u16),
    /// The server chose a group that was not offered.
    SelectedUnofferedGroup(NamedGroup),
    /// The server chose an application protocol that was not offered.
    SelectedUnofferedApplicationProtocol,
    /// A signature uses a scheme that was not offered, or that does not fit the suite.
    SignedWithUnofferedScheme(SignatureScheme),
    /// A signature does not verify.
    BadSignature,
    /// The Finished message does not verify.
    BadFinished,
    /// The public share of the key exchange is not a point of the group.
    InvalidKeyShare,
    /// The renegotiation_info of an initial handshake is not empty (RFC 5746 §3.4, §3.6).
    NonEmptyRenegotiationInfo,
    /// The server asked for a cookie too often (RFC 6347 §4.2.1 allows more than once, so it is bounded).
    TooManyHelloVerifyRequests,
    /// The numbers of handshake messages are used up, because the peer began at a high one.
    MessageSequenceExhausted,
    /// The peer sent more warning alerts than can be meant honestly.
    TooManyWarnings,
    /// An alert that is not two bytes long.
    MalformedAlert,
    /// A server extension that the negotiated version or suite forbids, or that is missing its companion.
    IllegalExtension(u16),
}

impl PeerMisbehaved {
    fn alert(self) -> AlertDescription {
        use AlertDescription as A;
        match self {
            Self::UnexpectedMessage { .. }
            | Self::TooManyHelloVerifyRequests
            | Self::TooManyWarnings => A::UNEXPECTED_MESSAGE,
            Self::UnsolicitedExtension(_) => A::UNSUPPORTED_EXTENSION,
            Self::SelectedUnofferedVersion(_) => A::PROTOCOL_VERSION,
            Self::BadSignature | Self::BadFinished => A::DECRYPT_ERROR,
            Self::NonEmptyRenegotiationInfo => A::HANDSHAKE_FAILURE,
            Self::MalformedAlert => A::DECODE_ERROR,
            Self::SelectedUnofferedCipherSuite
            | Self::SelectedCompression
            | Self::SelectedUnofferedGroup(_)
            | Self::SelectedUnofferedApplicationProtocol
            | Self::SignedWithUnofferedScheme(_)
            | Self::InvalidKeyShare
            | Self::MessageSequenceExhausted
            | Self::IllegalExtension(_) => A::ILLEGAL_PARAMETER,
        }
    }
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

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedMessage { got } => {
                write!(
                    f,
                    "handshake message {} is out of place",
                    crate::protocol::HandshakeType(*got)
                )
            }
            Self::SelectedUnofferedCipherSuite => {
                f.write_str("it chose a cipher suite that was not offered")
            }
            Self::SelectedUnofferedVersion(version) => {
                write!(f, "it chose version {version}, which was not offered")
            }
            Self::SelectedCompression => f.write_str("it chose compression"),
            Self::UnsolicitedExtension(number) => {
                write!(f, "it answered extension {number}, which was not offered")
            }
            Self::SelectedUnofferedGroup(group) => {
                write!(f, "it chose {group}, which was not offered")
            }
            Self::SelectedUnofferedApplicationProtocol => {
                f.write_str("it chose an application protocol that was not offered")
            }
            Self::SignedWithUnofferedScheme(scheme) => {
                write!(
                    f,
                    "it signed with {scheme}, which was not offered or does not fit"
                )
            }
            Self::BadSignature => f.write_str("its handshake signature does not verify"),
            Self::BadFinished => f.write_str("its Finished does not verify"),
            Self::InvalidKeyShare => f.write_str("its key share is not a valid public key"),
            Self::NonEmptyRenegotiationInfo => {
                f.write_str("renegotiation_info of the initial handshake is not empty")
            }
            Self::TooManyHelloVerifyRequests => f.write_str("it keeps asking for new cookies"),
            Self::MessageSequenceExhausted => {
                f.write_str("its handshake began at a message_seq that is too high")
            }
            Self::TooManyWarnings => f.write_str("it floods warning alerts"),
            Self::MalformedAlert => f.write_str("its alert is malformed"),
            Self::IllegalExtension(number) => write!(f, "extension {number} is illegal here"),
        }
    }
}

/// What two honest ends lack in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PeerIncompatible {
    /// The client does not speak version 1.2.
    NoCommonVersion,
    /// No cipher suite that both ends allow and a local key can serve.
    NoCommonCipherSuite,
    /// No group that both ends allow.
    NoCommonGroup,
    /// No signature algorithm that the local key can make and the peer takes.
    NoCommonSignatureScheme,
    /// No application protocol in common (RFC 7301 §3.2).
    NoCommonApplicationProtocol,
    /// The peer lacks extended_master_secret, which the policy requires (RFC 7627).
    ExtendedMasterSecretRequired,
    /// The peer lacks renegotiation_info, which RFC 9325 §3.5 requires.
    SecureRenegotiationRequired,
    /// The client sent no certificate where the policy demands one.
    ClientCertificateRequired,
    /// The client does not take uncompressed points.
    UncompressedPointsRequired,
}

impl PeerIncompatible {
    fn alert(self) -> AlertDescription {
        use AlertDescription as A;
        match self {
            Self::NoCommonVersion => A::PROTOCOL_VERSION,
            Self::NoCommonApplicationProtocol => A::NO_APPLICATION_PROTOCOL,
            Self::UncompressedPointsRequired => A::ILLEGAL_PARAMETER,
            Self::NoCommonCipherSuite
            | Self::NoCommonGroup
            | Self::NoCommonSignatureScheme
            | Self::ExtendedMasterSecretRequired
            | Self::SecureRenegotiationRequired
            | Self::ClientCertificateRequired => A::HANDSHAKE_FAILURE,
        }
    }
}

impl fmt::Display for PeerIncompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCommonVersion => "the peer does not speak DTLS 1.2; update it",
            Self::NoCommonCipherSuite => {
                "no cipher suite; allow a common one, or add a certificate of the key type the peer wants"
            }
            Self::NoCommonGroup => "no key exchange group; allow a common one at either end",
            Self::NoCommonSignatureScheme => {
                "no signature algorithm; use a certificate with another key type"
            }
            Self::NoCommonApplicationProtocol => "no application protocol; compare the ALPN lists",
            Self::ExtendedMasterSecretRequired => {
                "the peer lacks extended_master_secret; set ExtendedMasterSecret::Prefer if it must be served"
            }
            Self::SecureRenegotiationRequired => {
                "the peer lacks renegotiation_info (RFC 5746) and cannot be trusted; update it"
            }
            Self::ClientCertificateRequired => "the client sent no certificate, but one is required",
            Self::UncompressedPointsRequired => "the peer does not take uncompressed points",
        })
    }
}

/// Why a certificate was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// The peer sent no certificate.
    Missing,
    /// The certificate does not parse.
    BadEncoding,
    /// The certificate is expired, or the local clock is ahead.
    Expired,
    /// The certificate is not valid yet, or the local clock is behind.
    NotValidYet,
    /// The chain ends at no trusted root.
    UnknownIssuer,
    /// The certificate is not made out to the name that was asked for.
    NotValidForName {
        /// The name that was asked for.
        expected: String,
    },
    /// The certificate was revoked.
    Revoked,
    /// The certificate may not be used for this.
    WrongUsage,
    /// A signature in the chain does not verify.
    BadSignature,
    /// The certificate's fingerprint is not the pinned one.
    FingerprintMismatch,
    /// The key type does not fit the cipher suite.
    WrongKeyType,
    /// The verifier gave another reason.
    Other(String),
}

impl CertificateError {
    fn alert(&self) -> AlertDescription {
        use AlertDescription as A;
        match self {
            Self::Missing => A::HANDSHAKE_FAILURE,
            Self::Expired | Self::NotValidYet => A::CERTIFICATE_EXPIRED,
            Self::UnknownIssuer => A::UNKNOWN_CA,
            Self::Revoked => A::CERTIFICATE_REVOKED,
            Self::WrongUsage | Self::WrongKeyType => A::UNSUPPORTED_CERTIFICATE,
            Self::BadEncoding | Self::NotValidForName { .. } | Self::FingerprintMismatch => {
                A::BAD_CERTIFICATE
            }
            Self::BadSignature => A::DECRYPT_ERROR,
            Self::Other(_) => A::CERTIFICATE_UNKNOWN,
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("none was sent"),
            Self::BadEncoding => f.write_str("it does not parse"),
            Self::Expired => f.write_str("it has expired; renew it, or set the local clock"),
            Self::NotValidYet => f.write_str("it is not valid yet; set the local clock"),
            Self::UnknownIssuer => {
                f.write_str("its issuer is not trusted; add the right root, or pin the fingerprint")
            }
            Self::NotValidForName { expected } => {
                write!(
                    f,
                    "it is not valid for {expected}; ask for a name that it holds"
                )
            }
            Self::Revoked => f.write_str("it was revoked"),
            Self::WrongUsage => f.write_str("its extended key usage forbids this role"),
            Self::BadSignature => f.write_str("a signature in its chain does not verify"),
            Self::FingerprintMismatch => f.write_str("its fingerprint is not the pinned one"),
            Self::WrongKeyType => f.write_str("its key type does not fit the cipher suite"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Why a configuration cannot be built. Found when it is built, so that no handshake stalls on it later.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The private key is not of a supported kind (ECDSA P-256 or P-384, Ed25519, RSA of 2048 bits or more).
    UnsupportedKey,
    /// The certificate chain is empty.
    EmptyChain,
    /// The private key does not belong to the certificate.
    KeyMismatch,
    /// The certificate does not parse.
    BadCertificate,
    /// No enabled cipher suite can be served with the configured keys.
    NoUsableCipherSuite,
    /// No cipher suite or group is left, or one that is unknown here was asked for.
    UnsupportedParameter(String),
    /// A server has no certificate.
    NoCredential,
    /// No trusted root was given.
    NoRoots,
    /// A number lies outside its range.
    OutOfRange {
        /// Which setting.
        what: &'static str,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// A PEM file cannot be used.
    Pem(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedKey => f.write_str(
                "the private key is not ECDSA P-256 or P-384, Ed25519, or RSA of at least 2048 bits",
            ),
            Self::EmptyChain => f.write_str("the certificate chain is empty"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::BadCertificate => f.write_str("the certificate does not parse"),
            Self::NoUsableCipherSuite => {
                f.write_str("no enabled cipher suite fits the type of the configured keys")
            }
            Self::UnsupportedParameter(what) => write!(f, "{what} is not supported"),
            Self::NoCredential => f.write_str("a server needs a certificate and its key"),
            Self::NoRoots => f.write_str("no trusted root was given"),
            Self::OutOfRange { what, min, max } => write!(f, "{what} must lie between {min} and {max}"),
            Self::Pem(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::InvalidConfiguration(error)
    }
}

/// A call that the current state does not allow. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// The first handshake is not done.
    HandshakeNotComplete,
    /// The exporter's label or length is out of range (RFC 5705 §4).
    BadExporterArguments,
    /// The session lacks extended_master_secret, so exported keys would not be bound to it (RFC 7627 §5.4).
    ExporterNeedsExtendedMasterSecret,
}

impl std::error::Error for ApiMisuse {}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HandshakeNotComplete => "the handshake is not complete",
            Self::BadExporterArguments => "the exporter's context or length is out of range",
            Self::ExporterNeedsExtendedMasterSecret => {
                "the exporter needs extended_master_secret, which the peer lacks"
            }
        })
    }
}

/// Why data was not taken. The association goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The data does not fit into one datagram.
    TooLarge {
        /// The most that fits.
        max: usize,
    },
    /// The first handshake is not done; wait for `HandshakeComplete`.
    NotConnected,
    /// Too much is queued already; drain `poll_transmit` first.
    Backlog,
    /// This end, or the peer, has closed the association.
    Closed,
    /// The keys may protect no more records (RFC 9325 §4.4).
    KeyExhausted,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { max } => write!(f, "the data does not fit; at most {max} bytes do"),
            Self::NotConnected => f.write_str("the handshake is not complete"),
            Self::Backlog => f.write_str("too much is queued; drain poll_transmit first"),
            Self::Closed => f.write_str("the association is closed"),
            Self::KeyExhausted => f.write_str("the keys are exhausted; connect again"),
        }
    }
}

impl std::error::Error for SendError {}

/// Why an endpoint does not start an association.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// An association with this remote address exists already on this socket.
    AddressInUse(SocketAddr),
    /// The endpoint's limit on associations is reached.
    TooManyAssociations,
    /// The handshake cannot start.
    Failed(Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressInUse(remote) => {
                write!(
                    f,
                    "an association with {remote} exists already; use a second socket"
                )
            }
            Self::TooManyAssociations => f.write_str("the limit on associations is reached"),
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
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
