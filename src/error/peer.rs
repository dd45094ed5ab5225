//! What a peer can be blamed for, and what two honest ends may fail to have in common.

use crate::protocol::{
    AlertDescription, HandshakeType, NamedGroup, ProtocolVersion, SignatureScheme, SrtpProfile,
};
use std::fmt;

/// How bytes failed to decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The message ends before the named field is complete.
    MissingData(&'static str),
    /// The named structure is followed by stray bytes.
    TrailingData(&'static str),
    /// The named field has a value that is never legal.
    IllegalValue(&'static str),
    /// The named field contradicts the rest of the message.
    Inconsistent(&'static str),
    /// The named list must not be empty.
    EmptyList(&'static str),
    /// An extension occurs twice.
    DuplicateExtension(u16),
    /// A Finished whose length is not that of verify_data (RFC 5246 §7.4.9): it cannot verify.
    WrongVerifyDataLength,
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingData(what) => write!(f, "{what} is cut short"),
            Self::TrailingData(what) => write!(f, "{what} is followed by stray bytes"),
            Self::IllegalValue(what) => write!(f, "{what} has an impossible value"),
            Self::Inconsistent(what) => write!(f, "{what} contradicts the rest"),
            Self::EmptyList(what) => write!(f, "{what} is empty"),
            Self::DuplicateExtension(number) => write!(f, "extension {number} occurs twice"),
            Self::WrongVerifyDataLength => f.write_str("Finished has the wrong length"),
        }
    }
}

/// What a peer did that the protocol forbids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A protected handshake message that is not allowed in this state.
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
    /// The server chose an SRTP profile that was not offered (RFC 5764 §4.1.1).
    SelectedUnofferedSrtpProfile(SrtpProfile),
    /// The server chose a type of certificate, by its number, that was not offered (RFC 7250 §4.2).
    SelectedUnofferedCertificateType(u8),
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
    /// The renegotiation_info of a renegotiation is missing, or is not bound to this association
    /// (RFC 5746 §3.5, §3.7).
    WrongRenegotiationInfo,
    /// extended_master_secret was in force before, and is missing in this renegotiation or
    /// resumption (RFC 7627 §5.3).
    ExtendedMasterSecretDropped,
    /// extended_master_secret was not in force before, and appears in a renegotiation: the peer is
    /// not the one of the first handshake.
    ExtendedMasterSecretAppeared,
    /// The server granted extended_master_secret to a session that was made without it
    /// (RFC 7627 §5.3).
    ResumedWithOtherMasterSecret,
    /// The server resumed a session with a cipher suite other than the session's
    /// (RFC 5246 §7.4.1.3).
    ResumedWithOtherCipherSuite,
    /// The client asked for another server name in a renegotiation (RFC 5746 §5).
    ServerNameChanged,
    /// The server asked for a cookie too often (RFC 6347 §4.2.1 lets it ask more than once, so
    /// there is a limit).
    TooManyHelloVerifyRequests,
    /// The handshake message numbers are used up, because the peer began with a high one.
    MessageSequenceExhausted,
    /// The peer sent more warning alerts than an honest peer would.
    TooManyWarnings,
    /// A stream record does not authenticate: it was altered on the way, or the two ends have
    /// different keys.
    BadRecordMac,
    /// A stream record is longer than RFC 5246 §6.2.1 allows.
    RecordOverflow,
    /// A stream record has another version than the connection, or is not TLS at all.
    WrongRecordVersion,
    /// A stream record has a type that does not exist.
    UnknownContentType,
    /// Application data came before there were keys for it, inside a handshake message, or before
    /// Finished.
    UnexpectedData,
    /// ChangeCipherSpec came where no new keys were agreed, or with the wrong contents.
    UnexpectedChangeCipherSpec,
    /// The peer sent an empty handshake record, or a flood of empty data records.
    EmptyRecord,
    /// A handshake message is longer than the policy allows.
    MessageTooLong,
    /// An extension that this version requires is missing (RFC 8446 §9.2).
    MissingExtension(u16),
    /// The server asked for a second ClientHello twice (RFC 8446 §4.1.4).
    SecondRetryRequest,
    /// The server asked for a second ClientHello that would be the same as the first
    /// (RFC 8446 §4.1.4).
    PointlessRetryRequest,
    /// Both ends speak 1.3, but the server was made to choose 1.2: somebody alters the hellos
    /// (RFC 8446 §4.1.3).
    Downgraded,
    /// The server has not repeated the session ID, or has repeated it over datagrams
    /// (RFC 8446 §4.1.3, RFC 9147 §5).
    WrongSessionId,
    /// The server chose a pre-shared key that was not offered (RFC 8446 §4.2.11).
    SelectedUnofferedPsk,
    /// The client does not have the key of the ticket that it offers (RFC 8446 §4.2.11).
    BadBinder,
    /// The second ClientHello is not the first one with the requested changes (RFC 8446 §4.1.2).
    ChangedHello,
    /// A Certificate or CertificateRequest has a context that it must not have (RFC 8446 §4.4.2).
    WrongCertificateContext,
    /// A handshake message continues across a change of keys (RFC 8446 §5.1).
    MessageAcrossKeys,
    /// The peer changes its keys again and again without need.
    TooManyKeyUpdates,
    /// The peer asks for connection IDs again and again without need (RFC 9147 §9).
    TooManyConnectionIdRequests,
    /// A NewConnectionId has an empty connection ID, or asks for something that does not exist.
    IllegalConnectionId,
    /// A KeyUpdate asks for something that does not exist.
    IllegalKeyUpdate,
    /// The peer acknowledges a record that does not exist yet (RFC 9147 §7).
    AckOfUnsentRecord,
    /// A record of 1.3 without a content type (RFC 8446 §5.4).
    NoContentType,
    /// The client sends more early data than a server that refuses it must skip.
    TooMuchEarlyData,
    /// An alert that is neither a warning nor fatal (RFC 5246 §7.2).
    UnknownAlertLevel,
    /// A server extension that the negotiated version or suite forbids, or that requires another
    /// one which is missing.
    IllegalExtension(u16),
}

impl PeerMisbehaved {
    pub(super) fn alert(self) -> AlertDescription {
        use AlertDescription as A;
        match self {
            Self::BadRecordMac => A::BAD_RECORD_MAC,
            Self::RecordOverflow => A::RECORD_OVERFLOW,
            // RFC 8446 §6: the length of a message is incorrect.
            Self::MessageTooLong => A::DECODE_ERROR,
            Self::WrongRecordVersion => A::PROTOCOL_VERSION,
            Self::UnexpectedMessage { .. }
            | Self::UnknownContentType
            | Self::UnexpectedData
            | Self::UnexpectedChangeCipherSpec
            | Self::EmptyRecord
            | Self::TooManyHelloVerifyRequests
            | Self::SecondRetryRequest
            | Self::MessageAcrossKeys
            | Self::TooManyKeyUpdates
            | Self::NoContentType
            | Self::TooMuchEarlyData
            | Self::TooManyWarnings => A::UNEXPECTED_MESSAGE,
            Self::TooManyConnectionIdRequests => A::TOO_MANY_CIDS_REQUESTED,
            Self::MissingExtension(_) => A::MISSING_EXTENSION,
            Self::UnsolicitedExtension(_) => A::UNSUPPORTED_EXTENSION,
            Self::SelectedUnofferedVersion(_) => A::PROTOCOL_VERSION,
            Self::BadSignature | Self::BadFinished | Self::BadBinder => A::DECRYPT_ERROR,
            Self::NonEmptyRenegotiationInfo
            | Self::WrongRenegotiationInfo
            | Self::ExtendedMasterSecretDropped
            | Self::ExtendedMasterSecretAppeared
            | Self::ResumedWithOtherMasterSecret => A::HANDSHAKE_FAILURE,
            Self::SelectedUnofferedCipherSuite
            | Self::SelectedCompression
            | Self::SelectedUnofferedGroup(_)
            | Self::SelectedUnofferedApplicationProtocol
            | Self::SelectedUnofferedSrtpProfile(_)
            | Self::SelectedUnofferedCertificateType(_)
            | Self::SignedWithUnofferedScheme(_)
            | Self::InvalidKeyShare
            | Self::MessageSequenceExhausted
            | Self::ResumedWithOtherCipherSuite
            | Self::ServerNameChanged
            | Self::PointlessRetryRequest
            | Self::Downgraded
            | Self::WrongSessionId
            | Self::SelectedUnofferedPsk
            | Self::ChangedHello
            | Self::WrongCertificateContext
            | Self::AckOfUnsentRecord
            | Self::IllegalKeyUpdate
            | Self::IllegalConnectionId
            | Self::UnknownAlertLevel
            | Self::IllegalExtension(_) => A::ILLEGAL_PARAMETER,
        }
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedMessage { got } => {
                write!(
                    f,
                    "handshake message {} is out of place",
                    HandshakeType(*got)
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
            Self::SelectedUnofferedSrtpProfile(profile) => {
                write!(f, "it chose {profile}, which was not offered")
            }
            Self::SelectedUnofferedCertificateType(number) => {
                write!(f, "it chose certificates of type {number}, which were not offered")
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
            Self::WrongRenegotiationInfo => f.write_str(
                "renegotiation_info is missing or belongs to another association; somebody may be splicing two",
            ),
            Self::ExtendedMasterSecretDropped => {
                f.write_str("extended_master_secret was in force before and is missing now")
            }
            Self::ExtendedMasterSecretAppeared => {
                f.write_str("extended_master_secret was not in force before and appears now")
            }
            Self::ResumedWithOtherMasterSecret => f.write_str(
                "it granted extended_master_secret to a session that was made without",
            ),
            Self::ResumedWithOtherCipherSuite => {
                f.write_str("it resumed a session with another cipher suite")
            }
            Self::ServerNameChanged => {
                f.write_str("it asked for another server name in a renegotiation")
            }
            Self::TooManyHelloVerifyRequests => f.write_str("it keeps asking for new cookies"),
            Self::MessageSequenceExhausted => {
                f.write_str("its handshake began at a message_seq that is too high")
            }
            Self::TooManyWarnings => f.write_str("it sends a flood of warning alerts"),
            Self::BadRecordMac => f.write_str("a record does not authenticate"),
            Self::RecordOverflow => f.write_str("a record is too long"),
            Self::WrongRecordVersion => {
                f.write_str("a record has another version, or this is not TLS at all")
            }
            Self::UnknownContentType => f.write_str("a record has a type that does not exist"),
            Self::UnexpectedData => f.write_str("application data came inside a handshake"),
            Self::UnexpectedChangeCipherSpec => {
                f.write_str("ChangeCipherSpec came where no new keys were agreed")
            }
            Self::EmptyRecord => f.write_str("it sends empty records"),
            Self::MessageTooLong => {
                f.write_str("a handshake message is longer than this end allows, a certificate chain perhaps")
            }
            Self::IllegalExtension(number) => write!(f, "extension {number} is illegal here"),
            Self::MissingExtension(number) => write!(f, "extension {number} is missing"),
            Self::SecondRetryRequest => f.write_str("it asked for a second ClientHello twice"),
            Self::PointlessRetryRequest => {
                f.write_str("it asked for a second ClientHello that would equal the first")
            }
            Self::Downgraded => f.write_str(
                "it speaks 1.3 but was made to choose 1.2; somebody on the path is altering the hellos",
            ),
            Self::WrongSessionId => f.write_str("its ServerHello has the wrong session ID"),
            Self::SelectedUnofferedPsk => {
                f.write_str("it chose a pre-shared key that was not offered")
            }
            Self::BadBinder => f.write_str("it does not have the key of the ticket that it offers"),
            Self::ChangedHello => {
                f.write_str("its second ClientHello is not the first one with the requested changes")
            }
            Self::WrongCertificateContext => {
                f.write_str("its Certificate or CertificateRequest has a context that it must not have")
            }
            Self::MessageAcrossKeys => {
                f.write_str("a handshake message continues across a change of keys")
            }
            Self::TooManyKeyUpdates => f.write_str("it sends a flood of key updates"),
            Self::TooManyConnectionIdRequests => {
                f.write_str("it sends a flood of requests for connection IDs")
            }
            Self::IllegalConnectionId => {
                f.write_str("a NewConnectionId has an empty ID, or asks for something that does not exist")
            }
            Self::IllegalKeyUpdate => {
                f.write_str("a KeyUpdate asks for something that does not exist")
            }
            Self::AckOfUnsentRecord => {
                f.write_str("it acknowledges a record that does not exist yet")
            }
            Self::NoContentType => f.write_str("a record has no content type"),
            Self::TooMuchEarlyData => f.write_str("it sends too much early data"),
            Self::UnknownAlertLevel => f.write_str("an alert is neither a warning nor fatal"),
        }
    }
}

/// What two honest ends do not have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PeerIncompatible {
    /// No version that both ends allow.
    NoCommonVersion,
    /// No cipher suite that both ends allow and that works with a local key.
    NoCommonCipherSuite,
    /// No group that both ends allow.
    NoCommonGroup,
    /// No signature algorithm that the local key supports and the peer accepts.
    NoCommonSignatureScheme,
    /// No application protocol in common (RFC 7301 §3.2).
    NoCommonApplicationProtocol,
    /// The peer lacks extended_master_secret, which the policy requires (RFC 7627).
    ExtendedMasterSecretRequired,
    /// The peer lacks renegotiation_info, which RFC 9325 §3.5 requires.
    SecureRenegotiationRequired,
    /// The client sent no certificate, but the policy requires one (version 1.2).
    ClientCertificateRequired,
    /// The client sent no certificate, but the policy requires one (version 1.3,
    /// RFC 8446 §4.4.2.4).
    ClientCertificateMissing,
    /// The client does not accept uncompressed points.
    UncompressedPointsRequired,
    /// The client says that it fell back to this version, but both ends support a later one
    /// (RFC 7507 §3): somebody may have broken its first attempts.
    InappropriateFallback,
    /// The ends do not have a type of certificate in common, for what one of them shows to the
    /// other (RFC 7250 §4.2).
    NoCommonCertificateType,
    /// The server asks for a certificate that none of the client's credentials fits.
    NoFittingCredential,
    /// The client has no pre-shared key for the server, or none that serves this version.
    NoSharedKey,
    /// What the peer sent does not open with the pre-shared key: it has another one, or this end
    /// knows another one by the same identity, or none. Both ends say the same, so that nobody
    /// learns which identities there are (RFC 4279 §2).
    SharedKeyDiffers,
}

impl PeerIncompatible {
    pub(super) fn alert(self) -> AlertDescription {
        use AlertDescription as A;
        match self {
            Self::NoCommonVersion => A::PROTOCOL_VERSION,
            Self::NoCommonApplicationProtocol => A::NO_APPLICATION_PROTOCOL,
            Self::UncompressedPointsRequired => A::ILLEGAL_PARAMETER,
            Self::InappropriateFallback => A::INAPPROPRIATE_FALLBACK,
            Self::ClientCertificateMissing => A::CERTIFICATE_REQUIRED,
            // RFC 4279 §2, RFC 7925 §4.2.
            Self::SharedKeyDiffers => A::DECRYPT_ERROR,
            Self::NoCommonCertificateType => A::UNSUPPORTED_CERTIFICATE,
            Self::NoCommonCipherSuite
            | Self::NoSharedKey
            | Self::NoCommonGroup
            | Self::NoFittingCredential
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
            Self::NoCommonVersion => "no protocol version; compare the versions that both ends allow, or update the peer",
            Self::NoCommonCipherSuite => {
                "no cipher suite; allow a common one, or add a certificate of the key type the peer wants"
            }
            Self::NoCommonGroup => {
                "no key exchange group, or the curve of the server's ECDSA key is not among the client's groups; allow a common one at either end"
            }
            Self::NoCommonSignatureScheme => {
                "no signature algorithm; use a certificate with another key type"
            }
            Self::NoCommonApplicationProtocol => "no application protocol; compare the ALPN lists",
            Self::ExtendedMasterSecretRequired => {
                "the peer lacks extended_master_secret (RFC 7627), which this end requires; update the peer, or only prefer it here"
            }
            Self::SecureRenegotiationRequired => {
                "the peer lacks renegotiation_info (RFC 5746), which this end requires; update the peer, or serve it without renegotiation"
            }
            Self::ClientCertificateRequired | Self::ClientCertificateMissing => "the client sent no certificate, but one is required",
            Self::NoFittingCredential => "none of this client's credentials has a key, a signature algorithm and an issuer that the server accepts",
            Self::NoCommonCertificateType => "no type of certificate; one end shows X.509 or raw public keys alone, and the other does not take these",
            Self::InappropriateFallback => "the client fell back to this version although both ends support a later one; something on the path may break its first attempts",
            Self::NoSharedKey => "this client has no pre-shared key for the server, or only imported ones, which serve 1.3 alone",
            Self::SharedKeyDiffers => "the pre-shared key or its identity is not the same at both ends; compare them, and whether one end takes as text what the other takes as hexadecimal",
            Self::UncompressedPointsRequired => "the peer does not accept uncompressed points",
        })
    }
}
