//! What differs between TLS and DTLS inside the handshake, as data.
//!
//! The handshake engine reads the fields of a [`Dialect`] and never asks which transport it is on.
//! A difference that cannot be written as a field here belongs in `record/`.

use super::version::ProtocolVersion;

/// The differences between the two protocols that a handshake state can see.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The protocol's name: sessions of one are not offered in the other.
    pub(crate) name: &'static str,
    /// Version 1.2 on the wire (RFC 5246 §6.2.1; RFC 6347 §4.1).
    pub(crate) version_12: ProtocolVersion,
    /// Whether a ClientHello of this version can be answered with 1.2: DTLS counts downwards, TLS
    /// upwards (RFC 6347 §4.1, RFC 5246 §E.1).
    pub(crate) reaches_12: fn(ProtocolVersion) -> bool,
    /// Whether a hello of this version ends the handshake, whatever its extensions say: SSL 3.0 and
    /// its predecessors (RFC 8446 §D.5, RFC 7568 §3). They never ran over datagrams.
    pub(crate) is_ssl: fn(ProtocolVersion) -> bool,
    /// Version 1.3 on the wire (RFC 8446 §4.2.1; RFC 9147 §5.3).
    pub(crate) version_13: ProtocolVersion,
    /// The prefix of every label in the key schedule of 1.3 (RFC 8446 §7.1; RFC 9147 §5.9).
    pub(crate) label_prefix: [u8; 6],
    /// Whether records of 1.3 encrypt their numbers, and so need a key for that (RFC 9147 §4.2.3).
    pub(crate) hides_record_numbers: bool,
    /// Whether a 1.3 handshake looks like a resumption of 1.2, with a session ID that is echoed and
    /// ChangeCipherSpec, because of middleboxes (RFC 8446 §D.4); never over datagrams
    /// (RFC 9147 §5).
    pub(crate) middlebox_compatibility: bool,
    /// How a message enters the transcript at 1.2: TLS hashes its four-byte header
    /// (RFC 5246 §7.4.9), DTLS the twelve-byte one of the unfragmented message (RFC 6347 §4.2.6).
    pub(crate) transcript_header_12: HeaderForm,
    /// Whether ClientHello has a cookie field and HelloVerifyRequest exists (RFC 6347 §4.2.1).
    pub(crate) hello_cookie: bool,
    /// Whether a hello had better fit a datagram: some servers and middleboxes take no other.
    pub(crate) hello_in_datagram: bool,
    /// The longest ticket that a server of 1.3 issues, in bytes. Over datagrams the hello that
    /// shows it is put together before its sender has proved anything, so its length has a limit.
    pub(crate) longest_ticket_13: usize,
    /// Whether messages are acknowledged (RFC 9147 §7), because they may be lost.
    pub(crate) acknowledges: bool,
    /// Whether records can overtake each other, even across a change of keys (RFC 6347 §3.2.2).
    pub(crate) overtakes: bool,
    /// Whether a handshake can make keys for SRTP (RFC 5764 §3).
    pub(crate) srtp: bool,
    /// Whether records can carry connection IDs (RFC 9146 §3, RFC 9147 §9).
    pub(crate) connection_ids: bool,
    /// Whether a client that answers a HelloRequest offers the session in force. A DTLS client does
    /// a full handshake, for historical reasons (manual page SSL_renegotiate(3)).
    pub(crate) resumes_on_hello_request: bool,
}

/// The form of the header of a handshake message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderForm {
    /// Type, length (RFC 5246 §7.4).
    Stream,
    /// Type, length, message_seq, fragment_offset, fragment_length (RFC 6347 §4.2.2).
    Datagram,
}

/// The dialect that a version belongs to.
pub(crate) fn speaking(version: ProtocolVersion) -> &'static Dialect {
    if version.0 >> 8 == DTLS.version_12.0 >> 8 {
        &DTLS
    } else {
        &TLS
    }
}

/// What [`Dialect::longest_ticket_13`] is over datagrams: a chain of two or three certificates
/// fits.
pub(crate) const LONGEST_TICKET_13: usize = 4096;

/// DTLS, over datagrams.
pub(crate) static DTLS: Dialect = Dialect {
    name: "DTLS",
    version_12: ProtocolVersion::DTLS12,
    version_13: ProtocolVersion::DTLS13,
    label_prefix: *b"dtls13",
    hides_record_numbers: true,
    middlebox_compatibility: false,
    reaches_12: |version| version.0 <= ProtocolVersion::DTLS12.0,
    is_ssl: |_| false,
    transcript_header_12: HeaderForm::Datagram,
    hello_cookie: true,
    hello_in_datagram: true,
    longest_ticket_13: LONGEST_TICKET_13,
    acknowledges: true,
    overtakes: true,
    srtp: true,
    connection_ids: true,
    resumes_on_hello_request: false,
};

/// TLS, over a byte stream.
pub(crate) static TLS: Dialect = Dialect {
    name: "TLS",
    version_12: ProtocolVersion::TLS12,
    version_13: ProtocolVersion::TLS13,
    label_prefix: *b"tls13 ",
    hides_record_numbers: false,
    middlebox_compatibility: true,
    reaches_12: |version| version.0 >= ProtocolVersion::TLS12.0,
    is_ssl: |version| version.0 <= ProtocolVersion::SSL30.0,
    transcript_header_12: HeaderForm::Stream,
    hello_cookie: false,
    hello_in_datagram: false,
    longest_ticket_13: usize::MAX,
    acknowledges: false,
    overtakes: false,
    srtp: false,
    connection_ids: false,
    resumes_on_hello_request: true,
};
