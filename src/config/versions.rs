//! Which protocol versions are spoken.

use std::fmt;

/// The versions that an end speaks, of DTLS over datagrams and of TLS over streams.
///
/// With both, one ClientHello offers both and the server takes 1.3 if it can (RFC 8446 §4.2.1). An
/// association whose version matters should ask
/// [`Connection::version`](crate::Connection::version): renegotiation exists at 1.2 only, key
/// update at 1.3 only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub(crate) v12: bool,
    pub(crate) v13: bool,
}

impl Versions {
    /// Only version 1.2.
    pub const V1_2: Self = Self {
        v12: true,
        v13: false,
    };

    /// Only version 1.3.
    pub const V1_3: Self = Self {
        v12: false,
        v13: true,
    };

    /// Both, 1.3 preferred. The default.
    pub const ALL: Self = Self {
        v12: true,
        v13: true,
    };
}

impl Default for Versions {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.v12, self.v13) {
            (true, false) => "1.2",
            (false, true) => "1.3",
            _ => "1.2, 1.3",
        })
    }
}
