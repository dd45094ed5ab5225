//! What an endpoint tells: events of associations, and counters of everything else.

use crate::connection::Event;
use crate::error::Failure;

/// Something that befell an association.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EndpointEvent {
    /// The association itself has something to tell. A server's association shows up with its
    /// [`Event::HandshakeComplete`].
    Association(Event),
    /// The association is over because of an error. This is its last event: its identifier is no longer valid.
    Failed(Failure),
    /// The association is over because one end closed it. This is its last event: its identifier is no longer valid.
    Closed,
}

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
    /// HelloVerifyRequests and HelloRetryRequests for which there was no room, because `poll_transmit` was not drained.
    pub replies_dropped: u64,
    /// Datagrams that belong to no association and are no hello.
    pub strays: u64,
    /// Proven hellos that created an established association already, or that met a client association.
    pub hellos_ignored: u64,
    /// Hellos that were not served: proven ones because a limit was reached, whose clients repeat them; any while nobody is
    /// accepted.
    pub hellos_refused: u64,
    /// Hellos whose cookie has begun a handshake before, or is older than one that has: copies that somebody sends again.
    pub hellos_replayed: u64,
    /// Proven hellos of addresses that have just begun several handshakes in a row. Their clients repeat them.
    pub hellos_postponed: u64,
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
