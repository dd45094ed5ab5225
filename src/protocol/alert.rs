//! Alerts (RFC 5246 §7.2).

use super::numbers::wire_number;
use std::fmt;

/// What an alert says: how bad it is, and what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Alert {
    /// Whether the association ends.
    pub level: AlertLevel,
    /// What happened.
    pub description: AlertDescription,
}

impl Alert {
    /// The announcement that no more data follows (RFC 5246 §7.2.1).
    pub(crate) const CLOSE_NOTIFY: Self = Self::warning(AlertDescription::CLOSE_NOTIFY);

    /// The refusal of a renegotiation, always a warning (RFC 5246 §7.2.2).
    pub(crate) const NO_RENEGOTIATION: Self = Self::warning(AlertDescription::NO_RENEGOTIATION);

    /// An alert that ends the association.
    pub(crate) const fn fatal(description: AlertDescription) -> Self {
        Self {
            level: AlertLevel::FATAL,
            description,
        }
    }

    /// An alert after which the association goes on.
    pub(crate) const fn warning(description: AlertDescription) -> Self {
        Self {
            level: AlertLevel::WARNING,
            description,
        }
    }

    /// Whether it is one of the two alerts that are not errors at version 1.3, whatever level they
    /// claim (RFC 8446 §6).
    pub(crate) fn is_farewell(self) -> bool {
        [
            AlertDescription::CLOSE_NOTIFY,
            AlertDescription::USER_CANCELED,
        ]
        .contains(&self.description)
    }

    /// Whether the association is over.
    pub fn is_fatal(self) -> bool {
        self.level == AlertLevel::FATAL
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}({})",
            self.level, self.description, self.description.0
        )
    }
}

wire_number! {
    /// How bad an alert is (RFC 5246 §7.2).
    pub struct AlertLevel(u8) {
        /// The association goes on.
        WARNING = 1, "warning";
        /// The association is over.
        FATAL = 2, "fatal";
    }
}

wire_number! {
    /// What an alert is about (RFC 5246 §7.2, RFC 6066, RFC 7301).
    pub struct AlertDescription(u8) {
        /// The sender sends no more data.
        CLOSE_NOTIFY = 0, "close_notify";
        /// A message that is not allowed at this point.
        UNEXPECTED_MESSAGE = 10, "unexpected_message";
        /// A record that does not authenticate.
        BAD_RECORD_MAC = 20, "bad_record_mac";
        /// A record that is too long.
        RECORD_OVERFLOW = 22, "record_overflow";
        /// Data that cannot be decompressed; reserved since version 1.3.
        DECOMPRESSION_FAILURE = 30, "decompression_failure";
        /// No acceptable set of parameters.
        HANDSHAKE_FAILURE = 40, "handshake_failure";
        /// A certificate that cannot be used.
        BAD_CERTIFICATE = 42, "bad_certificate";
        /// A certificate of a type that is not supported.
        UNSUPPORTED_CERTIFICATE = 43, "unsupported_certificate";
        /// A certificate that was revoked.
        CERTIFICATE_REVOKED = 44, "certificate_revoked";
        /// A certificate outside its validity period.
        CERTIFICATE_EXPIRED = 45, "certificate_expired";
        /// Some other fault of a certificate.
        CERTIFICATE_UNKNOWN = 46, "certificate_unknown";
        /// A field with a value that is not allowed.
        ILLEGAL_PARAMETER = 47, "illegal_parameter";
        /// A certificate chain that does not lead to a trusted root.
        UNKNOWN_CA = 48, "unknown_ca";
        /// A valid certificate without the right to do this.
        ACCESS_DENIED = 49, "access_denied";
        /// A message that cannot be decoded.
        DECODE_ERROR = 50, "decode_error";
        /// A signature or Finished that does not verify.
        DECRYPT_ERROR = 51, "decrypt_error";
        /// RFC 9147 §9.
        TOO_MANY_CIDS_REQUESTED = 52, "too_many_cids_requested";
        /// A version that is not supported.
        PROTOCOL_VERSION = 70, "protocol_version";
        /// Parameters that are too weak.
        INSUFFICIENT_SECURITY = 71, "insufficient_security";
        /// A fault of the sender that has nothing to do with its peer.
        INTERNAL_ERROR = 80, "internal_error";
        /// A client that fell back to a lower version than it needed to (RFC 7507).
        INAPPROPRIATE_FALLBACK = 86, "inappropriate_fallback";
        /// The user gave up.
        USER_CANCELED = 90, "user_canceled";
        /// A renegotiation is refused.
        NO_RENEGOTIATION = 100, "no_renegotiation";
        /// A mandatory extension is missing.
        MISSING_EXTENSION = 109, "missing_extension";
        /// A ServerHello extension that was not offered.
        UNSUPPORTED_EXTENSION = 110, "unsupported_extension";
        /// A server name that the server does not have.
        UNRECOGNIZED_NAME = 112, "unrecognized_name";
        /// A pre-shared key whose identity is not known (RFC 4279 §2).
        UNKNOWN_PSK_IDENTITY = 115, "unknown_psk_identity";
        /// A client certificate was required and none came.
        CERTIFICATE_REQUIRED = 116, "certificate_required";
        /// No common application protocol.
        NO_APPLICATION_PROTOCOL = 120, "no_application_protocol";
    }
}
