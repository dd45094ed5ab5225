//! Connection IDs that a renegotiation leaves as they are, or takes away (RFC 9146 §3), on
//! endpoints that find associations by them.

use crate::common::configs::{Ends, server_name, start};
use crate::common::datagram_harness::{DatagramHarness, FINALE, SERVER_FLIGHT, scripted_server};
use crate::common::handshakes::{SIDES, connection, renegotiate, send, willing};
use crate::common::seeds::seeds;
use sealgram::config::{
    DataDuringRenegotiation, DatagramPolicy, Migration, RenegotiatedConnectionId, Versions,
};
use sealgram::record::Discard;
use sealgram::sim::scripted::{APPLICATION_DATA, Line};
use sealgram::sim::{Conditions, Direction, Pair};
use sealgram::{AlertDescription, ClientConfig, Path, Side};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Two ends that keep their connection IDs of these lengths, of which both send while they
/// renegotiate.
fn keeping(client: usize, server: usize, seed: u64) -> Pair {
    let policy = |length| {
        let policy = DatagramPolicy::default().connection_ids(Some(length));
        let policy = policy.unwrap().migration(Migration::Validated);
        policy.renegotiated_connection_id(RenegotiatedConnectionId::Keep)
    };
    let mut ends = Ends::new().versions(Versions::V1_2);
    let rekey = willing().data_during_renegotiation(DataDuringRenegotiation::Flow);
    ends.client = ends.client.datagram(policy(client)).rekey(rekey.clone());
    ends.server = ends.server.datagram(policy(server)).rekey(rekey);
    let configs = ends.build();
    let mut pair = Pair::new(configs.server, start(), seed).unwrap();
    pair.connect(configs.client, server_name()).unwrap();
    assert!(pair.run_until_connected(SECOND));
    pair
}

/// What the client and the server have received.
#[derive(Default)]
struct Heard([Vec<Vec<u8>>; 2]);

impl Heard {
    fn fetch(&mut self, pair: &mut Pair) {
        let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
        let mut it = pair.client.association(pair.now, client).unwrap();
        self.0[0].extend(std::iter::from_fn(|| it.recv()).map(|it| it.data.to_vec()));
        let mut it = pair.server.association(pair.now, server).unwrap();
        self.0[1].extend(std::iter::from_fn(|| it.recv()).map(|it| it.data.to_vec()));
    }

    fn of(&self, side: Side) -> &[Vec<u8>] {
        match side {
            Side::Client => &self.0[0],
            Side::Server => &self.0[1],
        }
    }
}

/// The connection ID that belongs to the epoch that ends is that of the next one as well: over
/// links that reorder, with clients that move and either end renegotiating, nothing is lost, and
/// after each old epoch is gone the association is found as before.
#[test]
fn n51_05_a_connection_id_that_is_kept_leads_to_its_association_whatever_ends() {
    for seed in seeds(0..20) {
        let lengths = [(8, 8), (4, 20), (0, 8), (0, 4)][(seed % 4) as usize];
        let mut pair = keeping(lengths.0, lengths.1, seed);
        pair.set_conditions(&Conditions {
            reorder: 64,
            duplicate: 0.2,
            delay: Duration::from_millis(20),
            ..Conditions::default()
        });
        // What is under way to an address that the client has left arrives nevertheless.
        pair.keep_old = true;
        pair.record();
        let mut heard = Heard::default();
        let mut sent = 0_u16;
        for round in 0..4 {
            let by = SIDES[(round + seed as usize) % 2];
            for place in 0..60 {
                match place {
                    10 => renegotiate(&mut pair, by, false).unwrap(),
                    0 | 25 => pair.rebind_client(),
                    _ => {}
                }
                for side in SIDES {
                    send(&mut pair, side, &sent.to_be_bytes()).unwrap();
                }
                sent += 1;
                pair.run_for(Duration::from_millis(2));
                heard.fetch(&mut pair);
            }
            // Late enough for the keys of the epoch before to be gone, every other time.
            pair.run_for(SECOND * if round % 2 == 0 { 1 } else { 300 });
            heard.fetch(&mut pair);
        }
        for _ in 0..2 {
            // The first may fall into the check of an address that was left in the middle of it.
            assert!(pair.exchange(3), "{seed}");
            pair.run_for(2 * SECOND);
        }
        for side in SIDES {
            let distinct: BTreeSet<_> = heard.of(side).iter().collect();
            assert_eq!(distinct.len(), usize::from(sent), "{seed} {side:?}");
            assert_eq!(heard.of(side).len(), usize::from(sent), "{seed} {side:?}");
            let end = connection(&pair, side);
            assert_eq!(end.renegotiations(), 4, "{seed}");
            let unknown = end.stats().discarded(Discard::UnknownConnectionId);
            assert_eq!(unknown, 0, "{seed} {side:?}");
        }
        assert_eq!(pair.server.stats().unknown_connection_ids, 0, "{seed}");
        let home = connection(&pair, Side::Server).path().remote();
        assert_eq!(home, pair.client_address, "{seed}");
        let seen = pair.seen.take().unwrap();
        for (direction, length) in [
            (Direction::ToClient, lengths.0),
            (Direction::ToServer, lengths.1),
        ] {
            let identified = seen.iter().filter(|it| it.direction == direction);
            let identified = identified.filter(|it| it.datagram[0] == 25);
            let carried: BTreeSet<_> = identified
                .map(|it| it.datagram[11..11 + length].to_vec())
                .collect();
            assert_eq!(carried.len(), usize::from(length > 0), "{seed}");
        }
    }
}

/// A client that is found by its connection ID alone, opposite a script, and what it was made of.
fn identified_client() -> (DatagramHarness, Arc<ClientConfig>) {
    let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
    let ends = Ends::new().versions(Versions::V1_2).datagram(&policy);
    let mut server = scripted_server(&ends);
    server.identify(b"server's", true);
    let config = ends.build().client;
    let mut harness = DatagramHarness::client(config.clone(), server);
    harness.complete();
    (harness, config)
}

/// The client begins a renegotiation whose server wants no connection IDs any more, and gives none.
fn lose_ids(harness: &mut DatagramHarness) {
    harness.peer.renegotiate();
    harness.peer.stay_anonymous();
    let id = harness.id().unwrap();
    let mut client = harness.endpoint.association(harness.now, id).unwrap();
    client.renegotiate().unwrap();
    drop(client);
    harness.listen();
}

/// What our end has to send is lost.
fn unheard(harness: &mut DatagramHarness) {
    let mut out = Vec::new();
    while harness
        .endpoint
        .poll_transmit(harness.now, 64, &mut out)
        .is_some()
    {}
}

/// RFC 9146 §3: the first record of the new epoch carries none any more, whatever it is, and the
/// Finished need not be the first that comes, nor come with others.
#[test]
fn n51_05_a_client_that_loses_its_connection_ids_is_found_by_its_address_at_once() {
    let (mut harness, config) = identified_client();
    let id = harness.id().unwrap();
    let path = Path::new(harness.address);
    // Nobody but the connection ID leads to it, so another one may begin there.
    let other = harness
        .endpoint
        .connect(harness.now, config.clone(), server_name(), path);
    let mut other = harness
        .endpoint
        .association(harness.now, other.unwrap())
        .unwrap();
    other.abort(AlertDescription::USER_CANCELED);
    drop(other);
    unheard(&mut harness);
    lose_ids(&mut harness);
    harness.play(&SERVER_FLIGHT);
    let overtaking = harness.peer.record(APPLICATION_DATA, 2, b"overtaking");
    harness.deliver(&overtaking);
    // What is under way in the old epoch still carries the old one.
    let late = harness.peer.record(APPLICATION_DATA, 1, b"late");
    harness.play(&FINALE);
    assert_eq!(harness.connection().unwrap().renegotiations(), 1);
    harness.deliver(&late);
    for (data, carries) in [(&b"overtaking"[..], false), (b"late", true)] {
        let received = harness.recv(id).unwrap();
        assert_eq!(
            (&received.data[..], received.connection_id().is_some()),
            (data, carries)
        );
    }
    assert!(harness.exchange(3));
    assert_eq!(harness.endpoint.stats().strays, 0);
    // The address is its own from here on.
    let other = harness
        .endpoint
        .connect(harness.now, config, server_name(), path);
    assert!(other.is_err());
}

/// The same where another client that connects to the server has the address, as long as that has
/// it: then what the server repeats finds its way.
#[test]
fn n51_05_a_client_that_loses_its_connection_ids_waits_for_an_address_that_is_taken() {
    let (mut harness, config) = identified_client();
    lose_ids(&mut harness);
    let path = Path::new(harness.address);
    let other = harness
        .endpoint
        .connect(harness.now, config, server_name(), path);
    let other = other.unwrap();
    unheard(&mut harness);
    harness.play(&SERVER_FLIGHT);
    harness.play(&[Line::ChangeCipherSpec]);
    let finished = harness.peer.speak(&[Line::Finished]).concat();
    harness.deliver(&finished);
    assert!(harness.peer.has_verified());
    assert_eq!(
        harness
            .endpoint
            .connection(harness.id().unwrap())
            .unwrap()
            .renegotiations(),
        0
    );
    let mut client = harness.endpoint.association(harness.now, other).unwrap();
    client.abort(AlertDescription::USER_CANCELED);
    drop(client);
    harness.wait(2 * SECOND);
    harness.deliver(&finished);
    assert_eq!(harness.connection().unwrap().renegotiations(), 1);
    assert!(harness.exchange(3));
}
