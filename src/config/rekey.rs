//! When keys are replaced, and who may ask for it.

use crate::error::ConfigError;
use std::time::Duration;

/// The smallest number of bytes after which keys may be replaced automatically.
const MIN_BYTES: u64 = 512;

/// The shortest time after which keys may be replaced automatically.
const MIN_INTERVAL: Duration = Duration::from_secs(60);

/// What happens to data that the application sends while keys are being replaced at version 1.2.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DataDuringRenegotiation {
    /// It waits, bounded by the send queue, and leaves in the new epoch. OpenSSL and LibreSSL die of data that arrives
    /// behind the ServerHello of a renegotiation.
    #[default]
    Hold,
    /// It leaves in the old epoch until this end's ChangeCipherSpec. For peers that are known to take it.
    Flow,
}

/// Whether a server lets its clients renegotiate of their own accord.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ClientRenegotiation {
    /// They are told no_renegotiation (RFC 5246 §7.2.2): a handshake costs the server more than the client.
    #[default]
    Refuse,
    /// They may, but not more often than this.
    Allow {
        /// The least time between two handshakes, of which those count that come to nothing too.
        min_interval: Duration,
    },
}

impl ClientRenegotiation {
    /// The least time between two handshakes of [`ClientRenegotiation::allow`]. Whoever
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

/// Whether the peer may become somebody else in a renegotiation (RFC 5746 §5).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum IdentityChange {
    /// It shows the certificate that it showed before, under the same server name. A client that showed none may show
    /// one now.
    #[default]
    Refuse,
    /// It may; look at `peer_identity` with every `HandshakeComplete`.
    Allow,
}

/// What a peer gets that wants to renegotiate and may not.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum RenegotiationRefusals {
    /// The warning no_renegotiation (RFC 5246 §7.2.2). The association goes on, if the peer wants that.
    #[default]
    Warn,
    /// Nothing: it may wait for ever.
    Ignore,
    /// The fatal alert no_renegotiation: the association is over. Over a stream, a HelloRequest in the middle of a handshake ends
    /// it as well, which RFC 5246 §7.4.1.1 would have ignored.
    Fail,
}

/// When the keys of a long-lived association are replaced, and what both ends may do meanwhile.
///
/// At version 1.2 keys are replaced by renegotiation. The limits of the AEAD algorithms (RFC 9325 §4.4) always count:
/// keys are replaced before they are reached, and the association ends rather than go beyond them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RekeyPolicy {
    pub(crate) bytes: Option<u64>,
    pub(crate) interval: Option<Duration>,
    pub(crate) retry_after: Duration,
    pub(crate) data: DataDuringRenegotiation,
    pub(crate) client_renegotiation: ClientRenegotiation,
    pub(crate) follow_hello_requests: bool,
    pub(crate) refusals: RenegotiationRefusals,
    pub(crate) identity_change: IdentityChange,
    pub(crate) resume: bool,
    pub(crate) repeat_cookie: bool,
    pub(crate) answers_with_data: bool,
    pub(crate) keeps_alpn: bool,
    pub(crate) exports_meanwhile: bool,
}

impl Default for RekeyPolicy {
    fn default() -> Self {
        Self {
            bytes: None,
            interval: None,
            retry_after: Duration::from_secs(60),
            data: DataDuringRenegotiation::default(),
            client_renegotiation: ClientRenegotiation::default(),
            follow_hello_requests: true,
            refusals: RenegotiationRefusals::default(),
            identity_change: IdentityChange::default(),
            resume: true,
            repeat_cookie: true,
            answers_with_data: false,
            keeps_alpn: false,
            exports_meanwhile: true,
        }
    }
}

impl RekeyPolicy {
    /// Whether the peer's request for a key update is answered only when there is data to be sent, so that one answer serves several
    /// requests (RFC 8446 §4.6.3). By default it is answered at once, and a peer sees the new keys although this end is silent.
    #[must_use]
    pub fn answer_key_updates_with_data(mut self, wait: bool) -> Self {
        self.answers_with_data = wait;
        self
    }

    /// After how many bytes of data, received and sent together, keys are replaced; `None`, the default, for never.
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

    /// After how long keys are replaced; `None`, the default, for never. It is looked at when data is sent or received,
    /// so an idle association stays idle.
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

    /// How long automatic rekeying waits after the peer has refused or has not answered; 60 s by default.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = pause;
        self
    }

    /// What happens to data that is sent meanwhile; it waits by default.
    #[must_use]
    pub fn data_during_renegotiation(mut self, policy: DataDuringRenegotiation) -> Self {
        self.data = policy;
        self
    }

    /// Servers: whether clients may renegotiate of their own accord; not by default. The answer to a HelloRequest is
    /// always welcome.
    #[must_use]
    pub fn client_renegotiation(mut self, policy: ClientRenegotiation) -> Self {
        self.client_renegotiation = policy;
        self
    }

    /// Clients: whether a HelloRequest is followed, as it is by default, or answered with no_renegotiation.
    #[must_use]
    pub fn follow_hello_requests(mut self, follow: bool) -> Self {
        self.follow_hello_requests = follow;
        self
    }

    /// What a peer gets that wants to renegotiate and may not: a warning by default.
    #[must_use]
    pub fn refusals(mut self, refusals: RenegotiationRefusals) -> Self {
        self.refusals = refusals;
        self
    }

    /// Whether the peer may become somebody else; not by default.
    #[must_use]
    pub fn identity_change(mut self, policy: IdentityChange) -> Self {
        self.identity_change = policy;
        self
    }

    /// Servers: whether a renegotiation may resume a session, as it may by default. A server that renegotiates to see a
    /// client's certificate sets this to `false`, because a TLS client answers a HelloRequest by offering its session. A
    /// TLS client that sets it to `false` does not.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Whether the application protocol of the first handshake stays for good. Not by default: RFC 7301 §3.1 has it agreed anew in
    /// each handshake. An application that has built its parser by then keeps it: a client offers no protocols when it renegotiates,
    /// and a server that answers them nevertheless is refused; a server answers none.
    #[must_use]
    pub fn keep_application_protocol(mut self, keep: bool) -> Self {
        self.keeps_alpn = keep;
        self
    }

    /// Whether keying material is exported while a renegotiation runs, as it is by default: that of the handshake in force. But the
    /// peer may have gone on to the next one already, and an application that would rather wait than find out sets this to `false`.
    #[must_use]
    pub fn export_during_renegotiation(mut self, export: bool) -> Self {
        self.exports_meanwhile = export;
        self
    }

    /// DTLS clients: whether the cookie of the first handshake is repeated in a renegotiation, as it is by default.
    /// OpenSSL needs it; Mbed TLS wants the field empty.
    #[must_use]
    pub fn repeat_cookie(mut self, repeat: bool) -> Self {
        self.repeat_cookie = repeat;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LibreSSL ignores the one and turns the other into five seconds; here both are refused, with the range.
    #[test]
    fn limits_that_are_too_small_are_refused() {
        let policy = RekeyPolicy::default();
        assert!(policy.clone().bytes(Some(511)).is_err());
        assert!(policy.clone().bytes(Some(512)).is_ok());
        let minute = Duration::from_secs(60);
        assert!(policy.clone().interval(Some(minute)).is_ok());
        let refused = policy.interval(Some(minute - Duration::from_millis(1)));
        let text = refused.unwrap_err().to_string();
        assert!(text.ends_with("must be at least 60"), "{text}");
    }
}
