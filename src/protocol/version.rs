//! Protocol versions as they appear on the wire.

use super::numbers::wire_number;
use std::fmt;

wire_number! {
    /// A protocol version, in its wire form.
    ///
    /// DTLS counts downwards (one's complement of 1.0, 1.2, 1.3), so versions are compared for
    /// equality only. Which of them a transport speaks is up to its dialect.
    pub struct ProtocolVersion(u16) {
        /// SSL 3.0: never spoken (RFC 7568).
        SSL30 = 0x0300, "SSLv3";
        /// TLS 1.0: seen in the record header of a first ClientHello only.
        TLS10 = 0x0301, "TLSv1.0";
        /// TLS 1.2 (RFC 5246).
        TLS12 = 0x0303, "TLSv1.2";
        /// TLS 1.3 (RFC 8446).
        TLS13 = 0x0304, "TLSv1.3";
        /// DTLS 1.0: seen in HelloVerifyRequest and in the records before the ServerHello only.
        DTLS10 = 0xfeff, "DTLSv1.0";
        /// DTLS 1.2 (RFC 6347).
        DTLS12 = 0xfefd, "DTLSv1.2";
        /// DTLS 1.3 (RFC 9147).
        DTLS13 = 0xfefc, "DTLSv1.3";
    }
}

impl ProtocolVersion {
    /// The two bytes of the wire form.
    pub(crate) const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}
