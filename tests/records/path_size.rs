//! How large a datagram the path carries is found out once for an association, not once for each
//! handshake.

use sealgram::config::{ClientRenegotiation, DatagramPolicy, RekeyPolicy, Versions};

use crate::common::configs::{Ends, Pki, start};
use sealgram::Event;
use sealgram::endpoint::AssociationId;
use sealgram::error::SendError;
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::sim::{Conditions, Pair};
use std::time::Duration;

/// Ends whose handshake messages need more than one datagram, and whose server lets the client
/// renegotiate.
fn ends() -> Ends {
    with_renegotiation(Ends::new().mutual())
}

fn with_renegotiation(ends: Ends) -> Ends {
    let mut ends = ends.resuming();
    ends.server = ends
        .server
        .rekey(
            RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
                min_interval: Duration::ZERO,
            }),
        );
    ends
}

/// A path that carries datagrams of `mtu` bytes.
fn narrow(pair: &mut Pair, mtu: usize) {
    pair.set_conditions(&Conditions {
        mtu: Some(mtu),
        ..Conditions::default()
    });
}

/// A pair whose ends are configured for `wide` bytes, on a path for less.
fn narrow_pair(ends: Ends, wide: usize, path: usize) -> Pair {
    let wide = DatagramPolicy::default().mtu(wide).unwrap();
    let configs = ends.datagram(&wide).build();
    let mut pair = Pair::new(configs.server, start(), 1).unwrap();
    narrow(&mut pair, path);
    pair.connect(configs.client, crate::common::configs::server_name())
        .unwrap();
    assert!(pair.run_until_connected(Duration::from_secs(30)));
    pair.run_for(Duration::from_secs(2));
    pair
}

/// RFC 6347 §4.1.1.1: what was learned about a path holds for the association.
#[test]
fn a_renegotiation_does_not_learn_the_size_of_datagrams_again() {
    for by_server in [false, true] {
        let mut pair = narrow_pair(ends(), 1400, 600);
        let first = pair.now - pair.start;
        assert!(first > Duration::from_secs(3), "learned once: {first:?}");
        for round in 1..=3 {
            let begun = pair.now;
            let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
            if by_server {
                pair.server
                    .association(pair.now, server)
                    .unwrap()
                    .renegotiate()
                    .unwrap();
            } else {
                pair.client
                    .association(pair.now, client)
                    .unwrap()
                    .renegotiate()
                    .unwrap();
            }
            let done = |pair: &Pair| {
                [pair.client_connection(), pair.server_connection()]
                    .iter()
                    .all(|end| end.is_some_and(|end| end.renegotiations() == round))
            };
            assert!(pair.run_until(Duration::from_secs(60), done));
            let took = pair.now - begun;
            assert!(
                took < Duration::from_millis(500),
                "renegotiation {round}, by the server: {by_server}: {took:?}"
            );
            assert!(pair.exchange(2));
        }
    }
}

/// A peer that was silent for another reason has taught nothing.
#[test]
fn what_nobody_has_answered_is_not_learned() {
    let mut pair = ends().build().connected(1);
    pair.run_for(Duration::from_secs(2));
    pair.to_server.script(|_, _| sealgram::sim::Fate::Drop);
    let client = pair.client_id().unwrap();
    pair.client
        .association(pair.now, client)
        .unwrap()
        .renegotiate()
        .unwrap();
    pair.run_for(Duration::from_secs(125));
    assert_eq!(pair.client_connection().unwrap().renegotiations(), 0);
    pair.set_conditions(&Conditions::default());
    pair.record();
    pair.client
        .association(pair.now, client)
        .unwrap()
        .renegotiate()
        .unwrap();
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.client_connection().unwrap().renegotiations(), 1);
    let longest = pair.seen.unwrap().iter().map(|it| it.datagram.len()).max();
    assert!(longest > Some(600), "{longest:?}");
}

/// RFC 9147 §4.4, §5.8.3: a flight that only an acknowledgement ends must get through a narrow path
/// as well.
#[test]
fn the_last_flight_of_a_client_of_1_3_gets_through_a_narrow_path() {
    let ends = Ends::new();
    let chain = long_chain(&ends.pki);
    let ends = with_renegotiation(ends.mutual_with(chain)).versions(Versions::V1_3);
    let configs = ends.build();
    let mut pair = configs.pair(1);
    // The hello is short enough, so nothing was learned before.
    pair.to_server.set_conditions(Conditions {
        mtu: Some(600),
        ..Conditions::default()
    });
    assert!(pair.run_until_connected(Duration::from_secs(100)));
    let took = pair.now - pair.start;
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// A server's credential whose chain takes some kilobytes.
fn long_chain(pki: &Pki) -> Credential {
    let name = |n: u32| {
        let name = format!("host-{n}.department.example");
        rcgen::SanType::DnsName(name.try_into().unwrap())
    };
    let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ED25519, |params| {
        params.subject_alt_names.extend((0..150).map(name));
    });
    Credential::Certificate(CertifiedKey::new(vec![leaf], &key).unwrap())
}

/// Ends that speak one version, whose server's flight takes several datagrams.
fn long_ends(versions: Versions) -> Ends {
    let mut ends = Ends::new().versions(versions);
    ends.server = sealgram::ServerConfig::with_credential(long_chain(&ends.pki)).versions(versions);
    ends
}

/// What an end was told about the size of its data, in order.
fn sizes(events: &[(AssociationId, Event)]) -> Vec<usize> {
    let size = |(_, event): &(_, Event)| match event {
        Event::MaxPayloadChanged { max_payload } => Some(*max_payload),
        _ => None,
    };
    events.iter().filter_map(size).collect()
}

/// An interface of 1,400 bytes under the default setting: the system says EMSGSIZE to the first
/// datagram of a flight.
#[test]
fn a_flight_that_the_system_refuses_leaves_at_once_in_smaller_datagrams() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = long_ends(versions).build();
        let mut pair = configs.pair(1);
        pair.interface_mtu = Some(1372);
        assert!(pair.run_until_connected(Duration::from_secs(30)));
        let took = pair.now - pair.start;
        assert!(took < Duration::from_millis(300), "{versions:?}: {took:?}");
        let server = pair.server_connection().unwrap();
        assert_eq!(sizes(&pair.server_events), [server.max_payload()]);
        assert!(server.max_payload() <= 1372);
        assert!(server.max_payload() > 1300, "{}", server.max_payload());
    }
}

/// Data that has left is lost, as data can be; the application is told how much fits, and that is
/// what `send` takes.
#[test]
fn data_that_the_system_refuses_teaches_the_application_how_much_fits() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut pair = Ends::new().versions(versions).build().connected(1);
        pair.run_for(Duration::from_secs(2));
        pair.interface_mtu = Some(1372);
        let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
        let before = pair.client_connection().unwrap().max_payload();
        let mut delivered = None;
        for _ in 0..10 {
            let size = pair.client_connection().unwrap().max_payload();
            for _ in 0..3 {
                pair.client
                    .association(pair.now, client)
                    .unwrap()
                    .send(&vec![7; size])
                    .unwrap();
            }
            pair.run_for(Duration::from_millis(100));
            if let Some(received) = pair.server.association(pair.now, server).unwrap().recv() {
                delivered = Some(received.data.len());
                break;
            }
        }
        let told = sizes(&pair.client_events);
        assert_eq!(delivered, told.last().copied(), "{told:?}");
        assert!(told.is_sorted_by(|one, next| one > next), "{told:?}");
        assert!(told.len() <= 3, "{told:?}");
        let refused = pair
            .client
            .association(pair.now, client)
            .unwrap()
            .send(&vec![7; before]);
        let max = pair.client_connection().unwrap().max_payload();
        assert_eq!(refused, Err(SendError::TooLarge { max }));
        while pair
            .server
            .association(pair.now, server)
            .unwrap()
            .recv()
            .is_some()
        {}
        assert!(pair.exchange(3));
    }
}

/// Whoever knows the path better may say so, for one association of many.
#[test]
fn the_application_sets_the_size_of_an_association_of_an_endpoint() {
    let mut pair = Ends::new().build().connected(1);
    let client = pair.client_id().unwrap();
    let before = pair.client_connection().unwrap().max_payload();
    pair.client
        .association(pair.now, client)
        .unwrap()
        .set_mtu(600)
        .unwrap();
    assert_eq!(
        pair.client_connection().unwrap().max_payload(),
        before - 800
    );
    assert!(
        pair.client
            .association(pair.now, client)
            .unwrap()
            .set_mtu(10)
            .is_err()
    );
    pair.client
        .association(pair.now, client)
        .unwrap()
        .set_mtu(1400)
        .unwrap();
    assert_eq!(pair.client_connection().unwrap().max_payload(), before);
}

/// What was learned holds for the messages of later handshakes too.
#[test]
fn a_renegotiation_begins_with_the_size_that_the_system_allows() {
    let mut ends = long_ends(Versions::V1_2);
    ends.server = ends
        .server
        .rekey(
            RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
                min_interval: Duration::ZERO,
            }),
        );
    let mut pair = ends.build().pair(1);
    pair.interface_mtu = Some(1372);
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    let told = sizes(&pair.server_events).len();
    let client = pair.client_id().unwrap();
    pair.client
        .association(pair.now, client)
        .unwrap()
        .renegotiate()
        .unwrap();
    pair.run_for(Duration::from_millis(500));
    assert_eq!(pair.client_connection().unwrap().renegotiations(), 1);
    assert_eq!(sizes(&pair.server_events).len(), told);
}
