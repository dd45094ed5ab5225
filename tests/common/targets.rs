//! Our two ends as targets: a pair, what noise must not change of it, and every state of its
//! handshake.

use crate::common::configs::Ends;
use sealgram::DtlsConnection;
use sealgram::endpoint::AssociationId;
use sealgram::sim::Pair;
use std::time::Duration;

/// What early records of one association may take: eight datagrams of an Ethernet.
pub const EARLY: usize = 8 * 1500;

/// Our two ends, connected, and the identifiers of the association.
pub fn connected() -> (Pair, AssociationId, AssociationId) {
    let pair = Ends::new().build().connected(1);
    let ids = (pair.client_id().unwrap(), pair.server_id().unwrap());
    (pair, ids.0, ids.1)
}

/// Gives the same datagram to both ends, each time as if the other had sent it.
pub fn inject(pair: &mut Pair, datagram: &[u8]) {
    pair.deliver_to_client(datagram);
    pair.deliver_to_server(datagram);
}

/// Everything of both ends that noise must not change.
pub fn picture(pair: &Pair) -> String {
    let ends = [pair.client_connection(), pair.server_connection()];
    let ends = ends.map(|end| end.map(|end| (portrait(end), end.buffered())));
    let events = (pair.client_events.len(), pair.server_events.len());
    format!("{ends:?} {events:?} {:?}", pair.server.half_open())
}

/// Everything of one end that noise must not change, but what it holds.
pub fn portrait(end: &DtlsConnection) -> String {
    let state = (end.is_handshaking(), end.epoch(), end.cipher_suite());
    let closed = (
        end.is_closed(),
        end.is_read_closed(),
        end.is_write_closed(),
        end.failure(),
    );
    let sending = (end.poll_timeout(), end.max_payload(), end.path());
    let sent = (
        end.stats().records_sent(),
        end.stats().flights_retransmitted(),
    );
    format!("{state:?} {closed:?} {sending:?} {sent:?}")
}

/// All the states of a handshake with our two ends: stops before each datagram that arrives, and
/// hands the pair to `then`. A client certificate is asked for, so that there are as many states as
/// there can be.
pub fn at_every_state(mut then: impl FnMut(&mut Pair, usize)) {
    for steps in 0.. {
        let mut pair = Ends::new().mutual().build().pair(1);
        let mut done = 0;
        while done < steps && !pair.is_connected() {
            pair.step();
            done += 1;
        }
        then(&mut pair, steps);
        assert!(
            pair.run_until_connected(Duration::from_secs(100)),
            "state {steps}: {:?} {:?}",
            pair.client_events,
            pair.server_events
        );
        assert!(pair.exchange(100), "state {steps}");
        if done < steps {
            assert!(steps > 5, "{steps}");
            return;
        }
    }
}
