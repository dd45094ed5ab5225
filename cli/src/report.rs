//! Event lines: what the program reports on standard error.

use sealgram::identity::Identity;
use sealgram::record::{Initiator, RecordLayer, Stats};
use sealgram::{Connection, ConnectionId, HandshakeKind, Path, PathChange, RenegotiationRefusal};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::net::SocketAddr;

/// One event, as `event=NAME key=value …`. A value that has spaces is quoted.
#[derive(Debug)]
pub(crate) struct Line(String);

impl Line {
    /// An event without fields.
    pub(crate) fn new(event: &str) -> Self {
        Self(format!("event={event}"))
    }

    /// Adds a field. Quotes and control characters in the value are replaced, so that an event
    /// stays one line, whatever the peer has put into it.
    pub(crate) fn field(mut self, key: &str, value: impl fmt::Display) -> Self {
        let value: String = value
            .to_string()
            .chars()
            .map(|c| match c {
                '"' => '\'',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect();
        let plain = !value.is_empty() && !value.contains([' ', '=']);
        // Writing to a string cannot fail.
        let _ = match plain {
            true => write!(self.0, " {key}={value}"),
            false => write!(self.0, " {key}=\"{value}\""),
        };
        self
    }

    /// Writes the line to standard error, in one piece. It is no reason to stop if nobody reads it
    /// any more.
    pub(crate) fn print(mut self) {
        self.0.push('\n');
        let _gone = io::stderr().lock().write_all(self.0.as_bytes());
    }
}

/// What was agreed in a handshake.
pub(crate) fn handshake_complete<R: RecordLayer>(
    connection: &Connection<R>,
    peer: SocketAddr,
    kind: HandshakeKind,
    renegotiation: bool,
    client_certificate: bool,
) -> Line {
    let mut line = Line::new("handshake_complete");
    if let Some(version) = connection.version() {
        line = line.field("version", version);
    }
    if let Some(suite) = connection.cipher_suite() {
        line = line.field("suite", suite);
    }
    if let Some(group) = connection.key_exchange_group() {
        line = line.field("group", group);
    }
    line = line
        .field("kind", kind.name())
        .field("renegotiation", renegotiation)
        .field("epoch", connection.epoch())
        .field("peer", peer)
        .field(
            "client_cert",
            if client_certificate {
                "present"
            } else {
                "none"
            },
        );
    if let Some(key) = connection.peer_identity().and_then(Identity::shared_key) {
        line = line.field("psk", key);
    }
    if let Some(protocol) = connection.alpn() {
        line = line.field("alpn", protocol.escape_ascii());
    }
    if let Some(profile) = connection.srtp_profile() {
        line = line.field("srtp", profile);
    }
    line
}

/// The counters of one connection.
pub(crate) fn counters(peer: SocketAddr, stats: &Stats) -> Line {
    let initiators = [Initiator::Local, Initiator::Automatic, Initiator::Peer];
    let renegotiations = initiators.map(|initiator| stats.renegotiations_by(initiator));
    let mut line = Line::new("peer_counters")
        .field("peer", peer)
        .field("records_sent", stats.records_sent())
        .field("records_received", stats.records_received())
        .field("flights_retransmitted", stats.flights_retransmitted())
        .field(
            "renegotiations",
            renegotiations
                .map(|counts| counts.completed)
                .iter()
                .sum::<u64>(),
        )
        .field(
            "renegotiations_refused",
            renegotiations
                .map(|counts| counts.refused)
                .iter()
                .sum::<u64>(),
        )
        .field("key_updates_sent", stats.key_updates_sent())
        .field("key_updates_received", stats.key_updates_received());
    for (cause, count) in stats.discards() {
        line = line.field(&format!("discarded_{cause}"), count);
    }
    line
}

/// Why a renegotiation was refused.
pub(crate) fn renegotiation_refused(peer: SocketAddr, reason: RenegotiationRefusal) -> Line {
    Line::new("renegotiation_refused")
        .field("reason", reason.name())
        .field("peer", peer)
}

/// One direction has new keys.
pub(crate) fn keys_updated(peer: SocketAddr, own: bool) -> Line {
    Line::new("keys_updated")
        .field("direction", if own { "sent" } else { "received" })
        .field("peer", peer)
}

/// By which connection IDs each end recognises the other: what the peer's records carry, and what
/// this end's do.
pub(crate) fn connection_ids(peer: SocketAddr, ids: &(ConnectionId, ConnectionId)) -> Line {
    let (received, sent) = ids;
    Line::new("connection_ids")
        .field("received", received)
        .field("sent", sent)
        .field("peer", peer)
}

/// The peer has another address.
pub(crate) fn path_changed(change: &PathChange) -> Line {
    Line::new("path_changed")
        .field("from", change.from.remote())
        .field("to", change.to.remote())
        .field("validated", change.validated)
}

/// Something has come from an address where the peer does not answer.
pub(crate) fn path_not_validated(peer: SocketAddr, path: &Path) -> Line {
    Line::new("path_not_validated")
        .field("path", path.remote())
        .field("peer", peer)
}

/// A report of the network about datagrams that do not arrive.
pub(crate) fn unreachable(remote: Option<SocketAddr>, error: &io::Error) -> Line {
    let line = Line::new("unreachable").field("reason", error);
    match remote {
        Some(remote) => line.field("peer", remote),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_spaces_are_quoted_and_others_are_not() {
        let line = Line::new("error")
            .field("reason", "no answer")
            .field("peer", "127.0.0.1:1");
        assert_eq!(line.0, "event=error reason=\"no answer\" peer=127.0.0.1:1");
    }

    #[test]
    fn a_value_cannot_forge_a_second_field_or_line() {
        let line = Line::new("error").field("reason", "a\" peer=1\nevent=x");
        assert_eq!(line.0, "event=error reason=\"a' peer=1 event=x\"");
    }
}
