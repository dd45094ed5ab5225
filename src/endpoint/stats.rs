//! The counters of an endpoint.

/// What an endpoint has done with datagrams that reached no association.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct EndpointStats {
    /// HelloVerifyRequests that were queued.
    pub hello_verify_requests: u64,
    /// HelloRetryRequests that were queued, and refusals of hellos of version 1.3.
    pub retry_requests: u64,
    /// Parts of fragmented hellos that were kept for a moment.
    pub hello_fragments: u64,
    /// Answers to strangers that were not made: because `poll_transmit` was not drained, or because
    /// associations were at work and more than 20,000 a second were asked for. Clients repeat their
    /// hellos.
    pub replies_dropped: u64,
    /// Datagrams that belong to no association and are no hello.
    pub strays: u64,
    /// Datagrams with a connection ID that no association here has given to its peer: most often
    /// from before a restart, or for another member of the fleet.
    pub unknown_connection_ids: u64,
    /// Proven hellos that created an established association already, or that met a client
    /// association.
    pub hellos_ignored: u64,
    /// Hellos that were not served: proven ones because a limit was reached, whose clients repeat
    /// them; any while nobody is accepted.
    pub hellos_refused: u64,
    /// Hellos whose cookie has begun a handshake before, or is older than one that has: copies that
    /// are sent again.
    pub hellos_replayed: u64,
    /// Proven hellos of addresses that have just begun several handshakes in a row. Their clients
    /// repeat them.
    pub hellos_postponed: u64,
    /// Hellos about which the application did not decide in time.
    pub hellos_undecided: u64,
    /// Half-open associations that went for newcomers.
    pub evicted: u64,
    /// Datagrams that were dropped because too much is buffered already.
    pub over_limit: u64,
    /// Server associations that were made without a cookie, because they resume a session.
    pub cookies_spared: u64,
    /// Server associations that were made.
    pub accepted: u64,
    /// Handshakes that ended in an error, on either side.
    pub handshakes_failed: u64,
}
