//! What differs between TLS and DTLS inside the handshake, as data.
//!
//! The handshake engine reads the fields of a [`Dialect`] and never asks which transport it is on. A
//! difference that cannot be written as a field here belongs below the seam, in `record/`.

use super::version::ProtocolVersion;

/// The differences between the two protocols that a handshake state can see.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The protocol's name: sessions of one are not offered in the other.
    pub(crate) name: &'static str,
    /// Version 1.2 on the wire (RFC 5246 §6.2.1; RFC 6347 §4.1).
    pub(crate) version_12: ProtocolVersion,
    /// Whether a ClientHello of this version can be answered with 1.2: DTLS counts downwards, TLS upwards
    /// (RFC 6347 §4.1, RFC 5246 §E.1).
    pub(crate) reaches_12: fn(ProtocolVersion) -> bool,
    /// How a message enters the transcript at 1.2: TLS hashes its four-byte header (RFC 5246 §7.4.9), DTLS the
    /// twelve-byte one of the unfragmented message (RFC 6347 §4.2.6).
    pub(crate) transcript_header_12: HeaderForm,
    /// Whether ClientHello has a cookie field and HelloVerifyRequest exists (RFC 6347 §4.2.1).
    pub(crate) hello_cookie: bool,
    /// Whether a client that answers a HelloRequest offers the session in force. A DTLS client does a full handshake,
    /// for historical reasons (manual page SSL_renegotiate(3)).
    pub(crate) resumes_on_hello_request: bool,
}

/// The form of a handshake message's header.
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

/// DTLS, over datagrams.
pub(crate) static DTLS: Dialect = Dialect {
    name: "DTLS",
    version_12: ProtocolVersion::DTLS12,
    reaches_12: |version| version.0 >> 8 == 0xfe && version.0 <= ProtocolVersion::DTLS12.0,
    transcript_header_12: HeaderForm::Datagram,
    hello_cookie: true,
    resumes_on_hello_request: false,
};

/// TLS, over a byte stream.
pub(crate) static TLS: Dialect = Dialect {
    name: "TLS",
    version_12: ProtocolVersion::TLS12,
    reaches_12: |version| version.0 >> 8 == 3 && version.0 >= ProtocolVersion::TLS12.0,
    transcript_header_12: HeaderForm::Stream,
    hello_cookie: false,
    resumes_on_hello_request: true,
};
