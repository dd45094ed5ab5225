//! When keys are replaced, and who may ask for it.

use crate::error::ConfigError;
use std::time::Duration;

/// The smallest number of bytes after which keys may be replaced automatically.
const MIN_BYTES: u64 = 512;

/// The shortest time after which keys may be replaced automatically.
const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time that data waits for a peer that says nothing.
const MAX_HOLD: Duration = Duration::from_secs(3600);

/// What happens to data that the application sends while keys are being replaced at version 1.2.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum DataDuringRenegotiation {
    /// It waits, bounded by the send queue and by [`RekeyPolicy::hold_data_for`], and leaves in the
    /// new epoch. OpenSSL and LibreSSL die of data that arrives after the ServerHello of a
    /// renegotiation.
    ///
    /// At a server it waits from the HelloRequest on: clients of Botan 2 die of data after that and
    /// others stop there, and a policy that replaces keys by itself must not be what ends an
    /// association. The price is that a client that ignores the request costs a gap each time it is
    /// asked, ever more seldom.
    #[default]
    Hold,
    /// As `Hold`, but a server's data waits from the client's hello on, not from the HelloRequest
    /// on. For clients that are known to take it there, as OpenSSL, GnuTLS and Mbed TLS do.
    HoldFromHello,
    /// It leaves in the old epoch until this end's ChangeCipherSpec. For peers that are known to
    /// take it.
    Flow,
}

/// Whether a server lets its clients renegotiate of their own accord.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum ClientRenegotiation {
    /// They are told no_renegotiation (RFC 5246 §7.2.2): a handshake costs the server more than the
    /// client.
    #[default]
    Refuse,
    /// They may, but not more often than this.
    Allow {
        /// The least time between two handshakes, of which those count that come to nothing too.
        min_interval: Duration,
    },
}

impl ClientRenegotiation {
    /// The least time between two handshakes of [`ClientRenegotiation::allow`]. A client that
    /// renegotiates for new keys does so once in minutes; without a limit one client can keep a
    /// core of the server busy.
    pub const DEFAULT_MIN_INTERVAL: Duration = Duration::from_secs(10);

    /// They may, once in ten seconds.
    pub const fn allow() -> Self {
        Self::Allow {
            min_interval: Self::DEFAULT_MIN_INTERVAL,
        }
    }
}

/// Whether the peer's identity may change in a renegotiation (RFC 5746 §5).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum IdentityChange {
    /// It may not: the peer shows the certificate that it showed before, under the same server
    /// name. A client that showed none may show one now.
    #[default]
    Refuse,
    /// It may change; look at `peer_identity` with every `HandshakeComplete`.
    Allow,
}

/// When the keys of a long-lived association are replaced, and what both ends may do meanwhile.
///
/// At version 1.2 keys are replaced by renegotiation. The limits of the AEAD algorithms (RFC 9325
/// §4.4) always count: keys are replaced before they are reached, and the association ends rather
/// than go beyond them. So do those on records that do not authenticate (RFC 9147 §4.5.3: 2^28 for
/// GCM at 1.2, else 2^36), from half of them on.
///
/// What it costs: a renegotiation is a key exchange, a signature and two round trips, in which data
/// waits by default; a peer that ignores it costs a gap of some seconds each time, and BoringSSL
/// answers it with a fatal alert, so that a limit here is then the certain end of the association.
/// [`docs::rekeying`](crate::docs::rekeying) has the table of who can be rekeyed with. A key update
/// of 1.3 costs two small records and holds nothing up: where the peer can be chosen or upgraded,
/// prefer that version for associations that are to be rekeyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RekeyPolicy {
    pub(crate) bytes: Option<u64>,
    pub(crate) interval: Option<Duration>,
    pub(crate) data: DataDuringRenegotiation,
    pub(crate) hold: Duration,
    pub(crate) client_renegotiation: ClientRenegotiation,
    pub(crate) follow_hello_requests: bool,
    pub(crate) identity_change: IdentityChange,
    pub(crate) resume: bool,
    /// `None` to tell servers apart by the form of their cookie.
    pub(crate) repeat_cookie: Option<bool>,
}

impl Default for RekeyPolicy {
    fn default() -> Self {
        Self {
            bytes: None,
            interval: None,
            data: DataDuringRenegotiation::default(),
            hold: Duration::from_millis(4500),
            client_renegotiation: ClientRenegotiation::default(),
            follow_hello_requests: true,
            identity_change: IdentityChange::default(),
            resume: true,
            repeat_cookie: None,
        }
    }
}

impl RekeyPolicy {
    /// After how many bytes of data, received and sent together, keys are replaced; `None`, the
    /// default, for never.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] below 512 bytes.
    pub fn bytes(mut self, bytes: Option<u64>) -> Result<Self, ConfigError> {
        if bytes.is_some_and(|bytes| bytes < MIN_BYTES) {
            return Err(ConfigError::OutOfRange {
                what: "bytes between two key changes",
                min: MIN_BYTES,
                max: u64::MAX,
            });
        }
        self.bytes = bytes;
        Ok(self)
    }

    /// After how long keys are replaced; `None`, the default, for never. It is looked at when data
    /// is sent or received, so an idle association stays idle.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] below 60 s.
    pub fn interval(mut self, interval: Option<Duration>) -> Result<Self, ConfigError> {
        if interval.is_some_and(|interval| interval < MIN_INTERVAL) {
            return Err(ConfigError::OutOfRange {
                what: "seconds between two key changes",
                min: MIN_INTERVAL.as_secs(),
                max: u64::MAX,
            });
        }
        self.interval = interval;
        Ok(self)
    }

    /// What happens to data that is sent meanwhile; it waits by default.
    #[must_use]
    pub fn data_during_renegotiation(mut self, policy: DataDuringRenegotiation) -> Self {
        self.data = policy;
        self
    }

    /// How long data waits at most while the peer says nothing to a renegotiation: up to an hour,
    /// 4.5 s by default, which is three tries and the answer to the last. Then it flows on under
    /// the old keys, and a message of the peer makes it wait again. Set more to have a longer gap
    /// rather than risk an OpenSSL peer on a bad path. After this end's own ChangeCipherSpec data
    /// waits for the end of the handshake whatever is set here.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn hold_data_for(mut self, hold: Duration) -> Result<Self, ConfigError> {
        if hold > MAX_HOLD {
            return Err(ConfigError::OutOfRange {
                what: "seconds that data waits for a silent peer",
                min: 0,
                max: MAX_HOLD.as_secs(),
            });
        }
        self.hold = hold;
        Ok(self)
    }

    /// Servers: whether clients may renegotiate of their own accord; not by default. The answer to
    /// a HelloRequest is always welcome.
    #[must_use]
    pub fn client_renegotiation(mut self, policy: ClientRenegotiation) -> Self {
        self.client_renegotiation = policy;
        self
    }

    /// Clients: whether a HelloRequest is followed, as it is by default, or answered with
    /// no_renegotiation.
    #[must_use]
    pub fn follow_hello_requests(mut self, follow: bool) -> Self {
        self.follow_hello_requests = follow;
        self
    }

    /// Whether the peer's identity may change; not by default.
    #[must_use]
    pub fn identity_change(mut self, policy: IdentityChange) -> Self {
        self.identity_change = policy;
        self
    }

    /// Either end: whether a renegotiation may resume a session, as it may by default. On a server,
    /// one that is to show a client's certificate resumes none whatever is set here
    /// ([`Connection::request_client_certificate`](crate::Connection::request_client_certificate)).
    /// A TLS client, which answers a HelloRequest by offering its session, does not if this is
    /// `false`.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// DTLS clients: whether the cookie of the first handshake is repeated in a renegotiation.
    /// OpenSSL needs it; a server of Mbed TLS takes it for a fault and dies without a word.
    ///
    /// By default it is repeated, unless it has the form that Mbed TLS gives its cookies: 32 bytes,
    /// or 24 of older versions, that begin with the date, give or take a day, or, where it has no
    /// clock, with a small counter. Of the cookies of others, which are random, one in twenty
    /// thousand of that length looks like that. Say `false` for a server of Mbed TLS whose clock is
    /// wrong or that makes its cookies otherwise, and `true` where a server of OpenSSL begins its
    /// own with the date.
    #[must_use]
    pub fn repeat_cookie(mut self, repeat: bool) -> Self {
        self.repeat_cookie = Some(repeat);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LibreSSL ignores the one and turns the other into five seconds; here both are refused, with
    /// the range.
    #[test]
    fn limits_that_are_too_small_are_refused() {
        let policy = RekeyPolicy::default();
        assert!(policy.clone().bytes(Some(511)).is_err());
        assert!(policy.clone().bytes(Some(512)).is_ok());
        let minute = Duration::from_secs(60);
        assert!(policy.clone().interval(Some(minute)).is_ok());
        assert!(policy.clone().hold_data_for(Duration::ZERO).is_ok());
        assert!(policy.clone().hold_data_for(MAX_HOLD * 2).is_err());
        let refused = policy.interval(Some(minute - Duration::from_millis(1)));
        let text = refused.unwrap_err().to_string();
        assert!(text.ends_with("must be at least 60"), "{text}");
    }
}
