//! When the demonstration replaces its keys, by renegotiation at 1.2 and by key update at 1.3: once
//! by the client, once by the server, and once automatically, while datagrams are on their way in
//! both directions.

use super::payload;
use sealgram::record::Initiator;
use sealgram::{DtlsConnection, ProtocolVersion};

/// With fewer datagrams there is no time for three handshakes between the first one and the last.
const ENOUGH: u32 = 200;

/// Whether there are enough datagrams for it.
pub(super) const fn is_planned(datagrams: u32) -> bool {
    datagrams >= ENOUGH
}

/// After how many datagrams the client asks for new keys.
pub(super) const fn by_client(datagrams: u32) -> u64 {
    datagrams as u64 / 4
}

/// After how many datagrams the server asks for them.
pub(super) const fn by_server(datagrams: u32) -> u64 {
    datagrams as u64 / 2
}

/// After how many bytes, both ways together, the client's policy asks for them: more than between
/// the two calls, fewer than after the second.
pub(super) fn automatic_bytes(datagrams: u32, max_payload: usize) -> Option<u64> {
    let average = payload::average_len(max_payload) as u64;
    is_planned(datagrams).then_some(u64::from(datagrams) * 2 * average * 3 / 8)
}

/// How many times the keys were replaced, by who began it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Rekeyed {
    pub(super) by_client: u64,
    pub(super) by_server: u64,
    pub(super) automatic: u64,
    /// The epoch in which the last datagram came.
    pub(super) epoch: u64,
}

impl Rekeyed {
    /// What the client's connection has counted. A key update does not say who asked for it first,
    /// so those that this end `called` for are subtracted.
    pub(super) fn of(connection: &DtlsConnection, called: bool) -> Self {
        if connection.version() == Some(ProtocolVersion::DTLS13) {
            let stats = connection.stats();
            let answered = u64::from(called);
            // The server follows each request with keys of its own; further updates it began
            // itself.
            let (sent, received) = (stats.key_updates_sent(), stats.key_updates_received());
            return Self {
                by_client: answered,
                by_server: u64::from(received > answered),
                automatic: sent.saturating_sub(answered + 1),
                epoch: connection.epoch().number(),
            };
        }
        let completed = |initiator| connection.stats().renegotiations_by(initiator).completed;
        Self {
            by_client: completed(Initiator::Local),
            by_server: completed(Initiator::Peer),
            automatic: completed(Initiator::Automatic),
            epoch: connection.epoch().number(),
        }
    }

    /// Whether each of the three has happened, and nothing else has advanced the epoch from the
    /// `first` one.
    pub(super) const fn is_complete(self, first: u64) -> bool {
        let Self {
            by_client,
            by_server,
            automatic,
            epoch,
        } = self;
        by_client > 0
            && by_server > 0
            && automatic > 0
            && epoch == first + by_client + by_server + automatic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_bytes_lies_between_what_comes_before_and_what_comes_after() {
        for datagrams in [ENOUGH, 1000, 1_000_000] {
            let all = u64::from(datagrams) * 2 * payload::average_len(1363) as u64;
            let limit = automatic_bytes(datagrams, 1363).unwrap();
            assert!(limit > all / 4 && limit < all / 2);
        }
        assert_eq!(automatic_bytes(ENOUGH - 1, 1363), None);
    }
}
