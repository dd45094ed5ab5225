//! What an association has to tell.

/// Something that the application may want to act on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Keys are in force, and the peer has proved what the configuration demands of it. Data can be sent.
    HandshakeComplete {
        /// How it came about.
        kind: HandshakeKind,
        /// Whether there were keys before.
        renegotiation: bool,
    },
    /// Data waits for `recv`. Given once until the queue was empty again.
    Readable,
    /// The peer sends no more data (RFC 5246 §7.2.1), and at version 1.2 takes none either.
    PeerClosed,
    /// The stream has ended and the peer has not said that it sends no more data: what came may have been cut short by
    /// anybody on the path (RFC 5246 §7.2.1). The connection is over.
    Truncated,
}

/// How a handshake came to its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HandshakeKind {
    /// By a key exchange.
    Full,
}

impl HandshakeKind {
    /// The kind as a word for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
        }
    }
}
