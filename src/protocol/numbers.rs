//! Code points of the IANA registries, as newtypes: an unknown value passes through unchanged.

use std::fmt;

/// Defines a wire number: a newtype over an integer, its known values, and their names for display.
macro_rules! wire_number {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($repr:ty) { $($(#[$item:meta])* $konst:ident = $value:expr, $text:expr;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub $repr);

        #[allow(dead_code, reason = "a registry is listed in full, whatever part of it is used")]
        impl $name {
            $($(#[$item])* $vis const $konst: Self = Self($value);)*

            /// Every value that has a name here.
            pub(crate) const NAMED: &'static [(Self, &'static str)] = &[$((Self::$konst, $text)),*];

            /// The registry's name of this value, if it is listed here.
            $vis fn name(self) -> Option<&'static str> {
                Self::NAMED.iter().find(|(value, _)| *value == self).map(|(_, name)| *name)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({:#x})", stringify!($name), self.0),
                }
            }
        }
    };
}
pub(crate) use wire_number;

wire_number! {
    /// The type of a record (RFC 5246 §6.2.1).
    pub(crate) struct ContentType(u8) {
        /// RFC 5246 §7.1.
        CHANGE_CIPHER_SPEC = 20, "change_cipher_spec";
        /// RFC 5246 §7.2.
        ALERT = 21, "alert";
        /// RFC 5246 §7.4.
        HANDSHAKE = 22, "handshake";
        /// RFC 5246 §10.
        APPLICATION_DATA = 23, "application_data";
        /// RFC 9146 §4, of version 1.2: the type is inside.
        TLS12_CID = 25, "tls12_cid";
        /// RFC 9147 §7.
        ACK = 26, "ack";
        /// RFC 9853 §4.
        RETURN_ROUTABILITY_CHECK = 27, "return_routability_check";
    }
}

wire_number! {
    /// The type of a handshake message (RFC 5246 §7.4, RFC 6347 §4.3.2).
    pub(crate) struct HandshakeType(u8) {
        /// RFC 5246 §7.4.1.1.
        HELLO_REQUEST = 0, "hello_request";
        /// RFC 5246 §7.4.1.2.
        CLIENT_HELLO = 1, "client_hello";
        /// RFC 5246 §7.4.1.3.
        SERVER_HELLO = 2, "server_hello";
        /// RFC 6347 §4.2.1.
        HELLO_VERIFY_REQUEST = 3, "hello_verify_request";
        /// RFC 5077 §3.3.
        NEW_SESSION_TICKET = 4, "new_session_ticket";
        /// RFC 8446 §4.3.1.
        ENCRYPTED_EXTENSIONS = 8, "encrypted_extensions";
        /// RFC 9147 §9.
        REQUEST_CONNECTION_ID = 9, "request_connection_id";
        /// RFC 9147 §9.
        NEW_CONNECTION_ID = 10, "new_connection_id";
        /// RFC 5246 §7.4.2.
        CERTIFICATE = 11, "certificate";
        /// RFC 5246 §7.4.3.
        SERVER_KEY_EXCHANGE = 12, "server_key_exchange";
        /// RFC 5246 §7.4.4.
        CERTIFICATE_REQUEST = 13, "certificate_request";
        /// RFC 5246 §7.4.5.
        SERVER_HELLO_DONE = 14, "server_hello_done";
        /// RFC 5246 §7.4.8.
        CERTIFICATE_VERIFY = 15, "certificate_verify";
        /// RFC 5246 §7.4.7.
        CLIENT_KEY_EXCHANGE = 16, "client_key_exchange";
        /// RFC 5246 §7.4.9.
        FINISHED = 20, "finished";
        /// RFC 8446 §4.6.3.
        KEY_UPDATE = 24, "key_update";
        /// RFC 8446 §4.4.1: stands for the first ClientHello in a transcript, never sent.
        MESSAGE_HASH = 254, "message_hash";
    }
}

wire_number! {
    /// A cipher suite (RFC 5246 §7.4.1.2).
    pub struct CipherSuite(u16) {
        /// RFC 5289 §3.2.
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
        /// RFC 5289 §3.2.
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
        /// RFC 5289 §3.2.
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        /// RFC 5289 §3.2.
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        /// RFC 7251 §2.
        TLS_ECDHE_ECDSA_WITH_AES_128_CCM = 0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM";
        /// RFC 7251 §2.
        TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8 = 0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8";
        /// RFC 7905 §2.
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
        /// RFC 7905 §2.
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
        /// RFC 5487 §2: no forward secrecy.
        TLS_PSK_WITH_AES_128_GCM_SHA256 = 0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256";
        /// RFC 5487 §2: no forward secrecy.
        TLS_PSK_WITH_AES_256_GCM_SHA384 = 0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384";
        /// RFC 6655 §4: no forward secrecy.
        TLS_PSK_WITH_AES_128_CCM = 0xc0a4, "TLS_PSK_WITH_AES_128_CCM";
        /// RFC 6655 §4: no forward secrecy, and a short tag.
        TLS_PSK_WITH_AES_128_CCM_8 = 0xc0a8, "TLS_PSK_WITH_AES_128_CCM_8";
        /// RFC 7905 §2: no forward secrecy.
        TLS_PSK_WITH_CHACHA20_POLY1305_SHA256 = 0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256";
        /// RFC 7905 §2.
        TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256 = 0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256";
        /// RFC 8442 §3.
        TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256 = 0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256";
        /// RFC 8442 §3.
        TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384 = 0xd002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384";
        /// RFC 8442 §3: a short tag.
        TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256 = 0xd003, "TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256";
        /// RFC 8442 §3.
        TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256 = 0xd005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256";
        /// RFC 8446 §B.4.
        TLS_AES_128_GCM_SHA256 = 0x1301, "TLS_AES_128_GCM_SHA256";
        /// RFC 8446 §B.4.
        TLS_AES_256_GCM_SHA384 = 0x1302, "TLS_AES_256_GCM_SHA384";
        /// RFC 8446 §B.4.
        TLS_CHACHA20_POLY1305_SHA256 = 0x1303, "TLS_CHACHA20_POLY1305_SHA256";
        /// RFC 8446 §B.4.
        TLS_AES_128_CCM_SHA256 = 0x1304, "TLS_AES_128_CCM_SHA256";
        /// RFC 8446 §B.4.
        TLS_AES_128_CCM_8_SHA256 = 0x1305, "TLS_AES_128_CCM_8_SHA256";
        /// Not a suite: a signal that the client understands RFC 5746 (§3.3).
        TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV";
        /// Not a suite: a signal that the client tries again with a lower version (RFC 7507 §2).
        TLS_FALLBACK_SCSV = 0x5600, "TLS_FALLBACK_SCSV";
    }
}

wire_number! {
    /// A group for the key exchange (RFC 8422 §5.1.1).
    pub struct NamedGroup(u16) {
        /// NIST P-256.
        SECP256R1 = 23, "secp256r1";
        /// NIST P-384.
        SECP384R1 = 24, "secp384r1";
        /// Curve25519 (RFC 7748).
        X25519 = 29, "x25519";
        /// ML-KEM-768 with X25519, for version 1.3 alone (draft-ietf-tls-ecdhe-mlkem).
        X25519MLKEM768 = 0x11ec, "X25519MLKEM768";
    }
}

wire_number! {
    /// A signature algorithm with its hash (RFC 5246 §7.4.1.4.1, values as named in
    /// RFC 8446 §4.2.3).
    ///
    /// At version 1.2 the ECDSA values name a hash only; the curve is that of the certificate's
    /// key.
    pub struct SignatureScheme(u16) {
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        RSA_PKCS1_SHA256 = 0x0401, "rsa_pkcs1_sha256";
        /// RSASSA-PKCS1-v1_5 with SHA-384.
        RSA_PKCS1_SHA384 = 0x0501, "rsa_pkcs1_sha384";
        /// RSASSA-PKCS1-v1_5 with SHA-512.
        RSA_PKCS1_SHA512 = 0x0601, "rsa_pkcs1_sha512";
        /// ECDSA with SHA-256.
        ECDSA_SECP256R1_SHA256 = 0x0403, "ecdsa_secp256r1_sha256";
        /// ECDSA with SHA-384.
        ECDSA_SECP384R1_SHA384 = 0x0503, "ecdsa_secp384r1_sha384";
        /// RSASSA-PSS with SHA-256 and a plain RSA key.
        RSA_PSS_RSAE_SHA256 = 0x0804, "rsa_pss_rsae_sha256";
        /// RSASSA-PSS with SHA-384 and a plain RSA key.
        RSA_PSS_RSAE_SHA384 = 0x0805, "rsa_pss_rsae_sha384";
        /// RSASSA-PSS with SHA-512 and a plain RSA key.
        RSA_PSS_RSAE_SHA512 = 0x0806, "rsa_pss_rsae_sha512";
        /// Ed25519 (RFC 8422 §5.1.3).
        ED25519 = 0x0807, "ed25519";
    }
}

wire_number! {
    /// The type of a hello extension.
    pub(crate) struct ExtensionType(u16) {
        /// RFC 6066 §3.
        SERVER_NAME = 0, "server_name";
        /// RFC 6066 §4.
        MAX_FRAGMENT_LENGTH = 1, "max_fragment_length";
        /// RFC 8422 §5.1.1.
        SUPPORTED_GROUPS = 10, "supported_groups";
        /// RFC 8422 §5.1.2.
        EC_POINT_FORMATS = 11, "ec_point_formats";
        /// RFC 5246 §7.4.1.4.1.
        SIGNATURE_ALGORITHMS = 13, "signature_algorithms";
        /// RFC 5764 §4.1.1.
        USE_SRTP = 14, "use_srtp";
        /// RFC 7301 §3.1.
        ALPN = 16, "application_layer_protocol_negotiation";
        /// RFC 7250 §3.
        CLIENT_CERTIFICATE_TYPE = 19, "client_certificate_type";
        /// RFC 7250 §3.
        SERVER_CERTIFICATE_TYPE = 20, "server_certificate_type";
        /// RFC 7627 §5.1.
        EXTENDED_MASTER_SECRET = 23, "extended_master_secret";
        /// RFC 8449 §4.
        RECORD_SIZE_LIMIT = 28, "record_size_limit";
        /// RFC 5077 §3.2.
        SESSION_TICKET = 35, "session_ticket";
        /// RFC 8446 §4.2.11.
        PRE_SHARED_KEY = 41, "pre_shared_key";
        /// RFC 8446 §4.2.10.
        EARLY_DATA = 42, "early_data";
        /// RFC 8446 §4.2.1.
        SUPPORTED_VERSIONS = 43, "supported_versions";
        /// RFC 8446 §4.2.2.
        COOKIE = 44, "cookie";
        /// RFC 8446 §4.2.9.
        PSK_KEY_EXCHANGE_MODES = 45, "psk_key_exchange_modes";
        /// RFC 8446 §4.2.4.
        CERTIFICATE_AUTHORITIES = 47, "certificate_authorities";
        /// RFC 8446 §4.2.8.
        KEY_SHARE = 51, "key_share";
        /// A draft of RFC 9146 with another MAC; never sent.
        CONNECTION_ID_DRAFT = 53, "connection_id_draft";
        /// RFC 9146 §3.
        CONNECTION_ID = 54, "connection_id";
        /// RFC 9853 §3.
        RRC = 61, "rrc";
        /// RFC 5746 §3.2.
        RENEGOTIATION_INFO = 0xff01, "renegotiation_info";
    }
}

impl ExtensionType {
    /// One of the sixteen reserved values that no implementation will ever know (RFC 8701 §2).
    pub(crate) fn grease(salt: u8) -> Self {
        Self(u16::from(salt >> 4) * 0x1010 + 0x0a0a)
    }
}

wire_number! {
    /// How SRTP protects media whose keys come from a DTLS handshake (RFC 5764 §4.1.2,
    /// RFC 7714 §14.2).
    pub struct SrtpProfile(u16) {
        /// AES in counter mode with tags of 80 bits: 60 bytes of keying material.
        SRTP_AES128_CM_HMAC_SHA1_80 = 1, "SRTP_AES128_CM_HMAC_SHA1_80";
        /// The same with tags of 32 bits.
        SRTP_AES128_CM_HMAC_SHA1_32 = 2, "SRTP_AES128_CM_HMAC_SHA1_32";
        /// AES-128-GCM: 56 bytes of keying material.
        SRTP_AEAD_AES_128_GCM = 7, "SRTP_AEAD_AES_128_GCM";
        /// AES-256-GCM: 88 bytes of keying material.
        SRTP_AEAD_AES_256_GCM = 8, "SRTP_AEAD_AES_256_GCM";
    }
}

wire_number! {
    /// The form in which a peer's public key is sent (RFC 7250 §3).
    pub(crate) struct CertificateType(u8) {
        /// A certificate of RFC 5280.
        X509 = 0, "X.509";
        /// A SubjectPublicKeyInfo alone.
        RAW_PUBLIC_KEY = 2, "RawPublicKey";
    }
}

wire_number! {
    /// How a pre-shared key is used (RFC 8446 §4.2.9).
    pub(crate) struct PskKeyExchangeMode(u8) {
        /// Without one.
        PSK_KE = 0, "psk_ke";
        /// With a key exchange, so that old traffic stays secret if the key becomes known.
        PSK_DHE_KE = 1, "psk_dhe_ke";
    }
}

wire_number! {
    /// A compression method; only `NULL` is ever used (RFC 9325 §3.3).
    pub(crate) struct CompressionMethod(u8) {
        /// No compression.
        NULL = 0, "null";
    }
}

wire_number! {
    /// The kind of certificate that a server asks of a client (RFC 5246 §7.4.4, RFC 8422 §5.5).
    pub(crate) struct ClientCertificateType(u8) {
        /// A certificate with an RSA key.
        RSA_SIGN = 1, "rsa_sign";
        /// A certificate with an ECDSA or EdDSA key.
        ECDSA_SIGN = 64, "ecdsa_sign";
    }
}

wire_number! {
    /// How a ServerKeyExchange names its curve (RFC 8422 §5.4).
    pub(crate) struct CurveType(u8) {
        /// By its number in the registry of groups.
        NAMED_CURVE = 3, "named_curve";
    }
}

wire_number! {
    /// How a point is encoded (RFC 8422 §5.1.2).
    pub(crate) struct PointFormat(u8) {
        /// The only form that RFC 8422 leaves.
        UNCOMPRESSED = 0, "uncompressed";
    }
}

wire_number! {
    /// The kind of a name in the server_name extension (RFC 6066 §3).
    pub(crate) struct ServerNameType(u8) {
        /// A DNS host name.
        HOST_NAME = 0, "host_name";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_pass_through_and_print_their_number() {
        assert_eq!(NamedGroup(0x6399).to_string(), "NamedGroup(0x6399)");
        assert_eq!(NamedGroup::X25519.to_string(), "x25519");
    }
}
