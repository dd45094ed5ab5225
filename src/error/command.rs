//! Errors of commands that are refused. Nothing has changed, and the association goes on.

use super::Error;
use std::fmt;
use std::net::SocketAddr;

/// A call that the current state does not allow. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// The first handshake is not done.
    HandshakeNotComplete,
    /// The exporter's label or length is out of range (RFC 5705 §4).
    BadExporterArguments,
    /// The session lacks extended_master_secret, so exported keys would not be bound to it
    /// (RFC 7627 §5.4).
    ExporterNeedsExtendedMasterSecret,
    /// A renegotiation is under way, and the policy is to wait for its end.
    Renegotiating,
    /// The version in force has no such feature.
    NotSupportedByVersion,
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
            Self::Renegotiating => "a renegotiation is under way; export after it",
            Self::NotSupportedByVersion => "this version has no such feature",
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
    /// The data is longer than a record may be that the peer takes (record_size_limit, RFC 8449 §4,
    /// or max_fragment_length, RFC 6066 §4), whatever a datagram could carry.
    BeyondPeerLimit {
        /// The most that the peer takes.
        max: usize,
    },
    /// The first handshake is not done; wait for `HandshakeComplete`.
    NotConnected,
    /// Too much is queued; drain `poll_transmit` first.
    Backlog,
    /// New keys are under way, by a renegotiation or a key update, and no more data can wait for
    /// them, or the old ones are used up. Send again when they are in force
    /// ([`Event::HandshakeComplete`](crate::Event::HandshakeComplete),
    /// [`Event::KeysUpdated`](crate::Event::KeysUpdated)); see
    /// [`data_during_renegotiation`](crate::config::RekeyPolicy::data_during_renegotiation).
    Renegotiating,
    /// This end, or the peer, has closed the association.
    Closed,
    /// The keys may protect no more records (RFC 9325 §4.4), and nothing is under way that replaces
    /// them.
    KeyExhausted,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { max } => write!(f, "the data does not fit; at most {max} bytes do"),
            Self::BeyondPeerLimit { max } => write!(
                f,
                "the peer takes no record of so much data; at most {max} bytes"
            ),
            Self::NotConnected => f.write_str("the handshake is not complete"),
            Self::Backlog => f.write_str("too much is queued; send again when some of it has left"),
            Self::Renegotiating => f.write_str(
                "new keys are under way and no more data can wait for them; send again then",
            ),
            Self::Closed => f.write_str("the association is closed"),
            Self::KeyExhausted => f.write_str("the keys are exhausted; connect again"),
        }
    }
}

impl std::error::Error for SendError {}

/// Why a renegotiation is not started. Nothing has changed, and the association goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RenegotiateError {
    /// The first handshake is not done.
    HandshakeNotComplete,
    /// A renegotiation, or this server's request for one, is already under way.
    Pending,
    /// The version in force has no renegotiation.
    NotSupportedByVersion,
    /// No epoch is left: connect again.
    EpochsExhausted,
    /// Only a server asks for its peer's certificate.
    NotAServer,
    /// The client has proved itself with a pre-shared key: there is no certificate to ask for.
    ProvedBySharedKey,
    /// The peer does not bind a renegotiation to the association (RFC 5746), so there can be none.
    Insecure,
    /// This end, or the peer, has closed the association.
    Closed,
}

impl fmt::Display for RenegotiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HandshakeNotComplete => "the first handshake is not complete",
            Self::Pending => "a renegotiation is already under way",
            Self::NotSupportedByVersion => {
                "this version has no renegotiation; a key update replaces its keys, and a client's certificate is asked for in \
                 the first handshake alone"
            }
            Self::EpochsExhausted => "no epoch is left; connect again",
            Self::NotAServer => "only a server asks its client for a certificate",
            Self::ProvedBySharedKey => {
                "the client has proved itself with a pre-shared key, and is asked for no certificate"
            }
            Self::Insecure => "the peer lacks renegotiation_info (RFC 5746); connect again",
            Self::Closed => "the association is closed",
        })
    }
}

impl std::error::Error for RenegotiateError {}

/// Why a key update is not started. Nothing has changed, and the association goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyUpdateError {
    /// The handshake is not done.
    HandshakeNotComplete,
    /// A key update of this end is under way, or the peer has not followed the last request. It may
    /// never do so; an update that asks for nothing is still possible (RFC 9846 §4.7.3).
    Pending,
    /// The version in force has no key update.
    NotSupportedByVersion,
    /// No epoch is left: connect again.
    EpochsExhausted,
    /// This end, or the peer, has closed the association.
    Closed,
}

impl fmt::Display for KeyUpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HandshakeNotComplete => "the handshake is not complete",
            Self::Pending => {
                "a key update is under way, or the peer has not followed the last request"
            }
            Self::NotSupportedByVersion => {
                "this version has no key update; a renegotiation replaces its keys"
            }
            Self::EpochsExhausted => "no epoch is left; connect again",
            Self::Closed => "the association is closed",
        })
    }
}

impl std::error::Error for KeyUpdateError {}

/// Why connection IDs are not asked for or replaced. Nothing has changed, and the association goes
/// on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectionIdError {
    /// The handshake is not done, or the association is closed.
    NotConnected,
    /// Version 1.2 is in force, at which only a handshake replaces connection IDs.
    Version12,
    /// The handshake has agreed on no connection IDs in that direction (RFC 9147 §9).
    NotNegotiated,
    /// The peer has not acknowledged, or not answered, the last such message.
    Pending,
    /// The source of connection IDs has failed.
    RandomFailed,
}

impl fmt::Display for ConnectionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "there is no association; do this between its handshake and its end",
            Self::Version12 => {
                "version 1.2 cannot replace connection IDs alone; a renegotiation replaces them"
            }
            Self::NotNegotiated => {
                "no connection IDs were agreed on in that direction; set their length at the end that is to receive them, and connect again"
            }
            Self::Pending => "the peer has not answered the last such message; do this again later",
            Self::RandomFailed => "no connection ID could be drawn; the source of randomness has failed",
        })
    }
}

impl std::error::Error for ConnectionIdError {}

/// Why an endpoint does not start an association.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// An association with this remote address already exists on this socket.
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
                    "an association with {remote} already exists; use a second socket, or connection IDs in both directions"
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
