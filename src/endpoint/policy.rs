//! How much an endpoint takes upon itself.

use crate::config::FleetSecret;
use crate::error::ConfigError;
use std::time::Duration;

/// Limits of one endpoint, over all of its associations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointPolicy {
    pub(super) max_associations: usize,
    pub(super) max_half_open: usize,
    pub(super) max_buffered: usize,
    pub(super) eviction: Eviction,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) resumption_cookies: ResumptionCookies,
    pub(super) newcomers: Newcomers,
    /// What the members of a group share, where their configuration belongs to no fleet.
    pub(crate) group: Option<FleetSecret>,
    pub(crate) member: u16,
}

/// Who decides whether a client is served that has proved its address.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Newcomers {
    /// Nobody: within the limits everybody is served.
    #[default]
    Accept,
    /// The application, by address and hello, before there is an association: see
    /// [`Endpoint::poll_incoming`](crate::endpoint::Endpoint::poll_incoming). Nobody is spared the
    /// cookie then, and a hello in pieces is put together first, at version 1.2 too.
    Ask,
}

/// Whether a client that resumes a session must show a cookie first (RFC 6347 §4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum ResumptionCookies {
    /// Like everybody.
    #[default]
    Demand,
    /// Not if this server still has the session, which saves a round trip. Whoever has seen the
    /// client's hello can send it again from a forged address: that costs a half-open association,
    /// and that address receives at most three times what was sent in its name. For a client this
    /// means that where several datagrams in a row are lost, the server waits for more from it,
    /// data for example, before it repeats its own. Whoever sends such a hello from the
    /// address of another client, just before that one begins, can cost it its attempt. Nobody goes
    /// for such an association, and where an application answers hellos everybody shows a cookie.
    Spare,
}

/// Who goes when a new handshake comes and the limit on half-open ones, or on associations, is
/// reached.
///
/// Established associations never go for a newcomer. A client that is not served repeats its hello,
/// and is served as soon as there is room.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Eviction {
    /// The half-open association that is oldest, if it has had its time: twice the first
    /// retransmission timeout, eight times if its client has gone on since its hello. An honest
    /// burst is over by then, and an attacker's half-open associations have no longer than that.
    /// Where none has, the oldest of the host (or IPv6 network of 64 bits) that has more than half
    /// of them.
    #[default]
    OldestHalfOpen,
    /// Nobody: the newcomer is not served until others have finished or timed out.
    RefuseNewcomer,
}

impl Default for EndpointPolicy {
    fn default() -> Self {
        Self {
            max_associations: 1 << 17,
            max_half_open: 1024,
            max_buffered: 256 << 20,
            eviction: Eviction::default(),
            idle_timeout: Some(Duration::from_secs(900)),
            resumption_cookies: ResumptionCookies::default(),
            newcomers: Newcomers::default(),
            group: None,
            member: 0,
        }
    }
}

impl EndpointPolicy {
    /// The most associations, 1 to 2^24, 131,072 by default. Beyond it a newcomer is served only in
    /// the place of a half-open one, by the same rule as at that limit.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn max_associations(mut self, count: usize) -> Result<Self, ConfigError> {
        if !(1..=1 << 24).contains(&count) {
            return Err(ConfigError::OutOfRange {
                what: "associations",
                min: 1,
                max: 1 << 24,
            });
        }
        self.max_associations = count;
        Ok(self)
    }

    /// The most server associations whose handshake is not done, 1,024 by default, at least 1, and
    /// who goes for a newcomer.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn max_half_open(mut self, count: usize, eviction: Eviction) -> Result<Self, ConfigError> {
        if !(1..=1 << 24).contains(&count) {
            return Err(ConfigError::OutOfRange {
                what: "half-open handshakes",
                min: 1,
                max: 1 << 24,
            });
        }
        self.max_half_open = count;
        self.eviction = eviction;
        Ok(self)
    }

    /// The most bytes that are buffered on behalf of all peers together, 256 MiB by default, at
    /// least 1 MiB. Beyond it no newcomer is served and associations that have data waiting get no
    /// more. Data is counted by the memory that it keeps alive, provided that whoever passes slices
    /// of larger buffers calls
    /// [`Endpoint::detach_unread`](crate::endpoint::Endpoint::detach_unread) between them, as `net`
    /// does.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn max_buffered(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if !(1 << 20..=1 << 40).contains(&bytes) {
            return Err(ConfigError::OutOfRange {
                what: "buffered bytes",
                min: 1 << 20,
                max: 1 << 40,
            });
        }
        self.max_buffered = bytes;
        Ok(self)
    }

    /// Whether a client that resumes a session must show a cookie first; it must by default.
    #[must_use]
    pub fn resumption_cookies(mut self, policy: ResumptionCookies) -> Self {
        self.resumption_cookies = policy;
        self
    }

    /// Who decides whether a client is served; nobody by default.
    #[must_use]
    pub fn newcomers(mut self, policy: Newcomers) -> Self {
        self.newcomers = policy;
        self
    }

    /// After how long without traffic, in either direction, an established association ends; 15
    /// minutes by default, `None` for never. What this end sends counts, so a service that only
    /// reports stays up; whether the peer is still there is for the application to ask.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The number of this endpoint in its fleet, 0 by default. It stands in connection IDs of eight
    /// bytes and more, so that a datagram can be passed to the member that it is for:
    /// [`FleetMembers`](crate::endpoint::FleetMembers) reads it.
    #[must_use]
    pub fn member(mut self, number: u16) -> Self {
        self.member = number;
        self
    }
}
