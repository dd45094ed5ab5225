//! What is changed about an endpoint while it runs, over virtual time: whom it serves, and one
//! association's settings.

use crate::common::configs::{Configs, Ends};
use sealgram::config::{ClientRenegotiation, RekeyPolicy, Versions};
use sealgram::error::SendError;
use sealgram::{AlertDescription, Error, Event, KeyUpdate, ServerConfig};
use std::sync::Arc;
use std::time::Duration;

/// Both versions, each with a second server configuration that differs in its certificate.
fn two_certificates(mut check: impl FnMut(&Configs, Arc<ServerConfig>)) {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let ends = Ends::new().versions(versions);
        let renewed = ServerConfig::with_credential(ends.pki.server(&rcgen::PKCS_ED25519))
            .versions(versions)
            .build()
            .unwrap();
        check(&ends.build(), Arc::new(renewed));
    }
}

/// RFC 6347 §4.2.1, RFC 9147 §5.1: a cookie proves an address, which a new certificate does not
/// change.
#[test]
fn a_client_that_was_asked_before_the_certificate_was_renewed_is_not_asked_again() {
    two_certificates(|configs, renewed| {
        let mut pair = configs.pair(1);
        let asked = |pair: &sealgram::sim::Pair| {
            let stats = pair.server.stats();
            stats.hello_verify_requests + stats.retry_requests
        };
        assert!(pair.run_until(Duration::from_secs(1), |pair| asked(pair) == 1));
        pair.server.serve(pair.now, renewed).unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        assert_eq!(asked(&pair), 1);
        let seen = pair.client_connection().unwrap().peer_identity().cloned();
        let old = configs.connected(2);
        let before = old.client_connection().unwrap().peer_identity().cloned();
        assert!(seen.is_some() && seen != before);
    });
}

/// An association that took the new certificate in a renegotiation would have become somebody else
/// for its client.
#[test]
fn an_association_keeps_the_certificate_that_it_began_with() {
    let ends = Ends::new();
    let renewed = ServerConfig::with_credential(ends.pki.server(&rcgen::PKCS_ED25519))
        .versions(Versions::V1_2)
        .build()
        .unwrap();
    let mut pair = ends.build().connected(1);
    pair.server.serve(pair.now, Arc::new(renewed)).unwrap();
    let server = pair.server_id().unwrap();
    pair.server
        .association(pair.now, server)
        .unwrap()
        .renegotiate()
        .unwrap();
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        let client = pair.client_connection();
        client.is_some_and(|client| client.renegotiations() == 1)
    }));
    assert!(pair.exchange(3));
}

#[test]
fn an_endpoint_that_has_stopped_accepting_answers_no_stranger_and_keeps_its_peers() {
    two_certificates(|configs, renewed| {
        let mut pair = configs.connected(1);
        pair.server.stop_accepting();
        assert!(!pair.server.is_accepting());
        assert!(pair.exchange(3));

        // Half of a handshake goes on as well.
        let mut half = configs.pair(2);
        assert!(half.run_until(Duration::from_secs(1), |pair| pair.server.half_open() == 1));
        half.server.stop_accepting();
        assert!(half.run_until_connected(Duration::from_secs(5)));

        let mut closed = configs.pair(3);
        closed.server.stop_accepting();
        closed.run_for(Duration::from_secs(10));
        assert!(!closed.is_connected() && closed.server.is_empty());
        let stats = *closed.server.stats();
        assert!(stats.hellos_refused > 1, "{stats:?}");
        assert_eq!(stats.hello_verify_requests + stats.retry_requests, 0);
        // The hello of a peer that starts again is a newcomer's, whatever lives at its address.
        let mut again = configs.pair(4);
        again.record();
        assert!(again.run_until_connected(Duration::from_secs(5)));
        let first = again.seen.as_ref().unwrap()[0].datagram.clone();
        again.server.stop_accepting();
        let before = *again.server.stats();
        again.deliver_to_server(&first);
        let mut expected = before;
        expected.hellos_refused += 1;
        assert_eq!(*again.server.stats(), expected);
        assert!(again.exchange(3));

        // The door opens, and the client's next try gets in.
        closed.server.serve(closed.now, renewed).unwrap();
        assert!(closed.run_until_connected(Duration::from_secs(30)));
    });
}

#[test]
fn closing_all_tells_every_peer() {
    two_certificates(|configs, _| {
        let mut pair = configs.connected(1);
        pair.server.close_all(pair.now);
        pair.run_for(Duration::from_secs(1));
        assert!(pair.server.is_empty());
        let closed = |events: &[(sealgram::endpoint::AssociationId, Event)]| {
            let mut events = events.iter().map(|(_, event)| event);
            events.any(|event| *event == Event::Closed)
        };
        assert!(closed(&pair.server_events), "{:?}", pair.server_events);
        assert!(closed(&pair.client_events), "{:?}", pair.client_events);
    });
}

#[test]
fn one_association_has_smaller_datagrams_and_a_shorter_timeout_than_its_endpoint() {
    let mut ends = Ends::new();
    let rekey = RekeyPolicy::default().client_renegotiation(ClientRenegotiation::allow());
    ends.server = ends.server.rekey(rekey);
    let mut pair = ends.build().connected(1);
    pair.run_for(ClientRenegotiation::DEFAULT_MIN_INTERVAL);
    let (id, now) = (pair.client_id().unwrap(), pair.now);
    let whole = pair.client_connection().unwrap().max_payload();
    let mut association = pair.client.association(now, id).unwrap();
    association.set_mtu(600).unwrap();
    assert!(association.set_mtu(1).is_err());
    association
        .set_initial_timeout(Duration::from_millis(50))
        .unwrap();
    // The guard knows the getters.
    assert!(association.max_payload() < 600 && whole > 1000);
    association.send(b"hello").unwrap();
    association.renegotiate().unwrap();
    drop(association);
    // What the commands lead to was taken up: the datagram leaves, and the timer stands.
    assert!(pair.client.has_transmit());
    pair.transmit();
    let soon = pair.client.poll_timeout().unwrap();
    assert!(soon <= now + Duration::from_millis(50), "{:?}", soon - now);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.client_connection().unwrap().renegotiations(), 1);
}

#[test]
fn an_association_that_is_aborted_through_its_guard_is_told_to_the_peer() {
    let mut pair = Ends::new().build().connected(1);
    let (id, now) = (pair.client_id().unwrap(), pair.now);
    let mut association = pair.client.association(now, id).unwrap();
    association.abort(AlertDescription::ACCESS_DENIED);
    // It lives as long as its guard.
    assert!(association.is_closed() && association.send(b"late").is_err());
    drop(association);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.client.association(pair.now, id).is_none());
    assert!(pair.server_events.iter().any(|(_, event)| matches!(
        event,
        Event::Failed(failure) if matches!(failure.error, Error::AlertReceived { .. })
    )));
}

/// What is done through the guard is settled when it is dropped, once and for all of it.
#[test]
fn everything_that_is_done_to_an_association_takes_effect_when_its_guard_is_dropped() {
    let mut pair = Ends::new().versions(Versions::V1_3).build().connected(1);
    let [client, server] = [pair.client_id().unwrap(), pair.server_id().unwrap()];
    let mut association = pair.client.association(pair.now, client).unwrap();
    for data in ["one", "two", "three"] {
        association.send(data.as_bytes()).unwrap();
    }
    association.set_mtu(1000).unwrap();
    association
        .set_initial_timeout(Duration::from_millis(70))
        .unwrap();
    association.key_update(KeyUpdate::NotRequested).unwrap();
    drop(association);
    assert!(pair.client.has_transmit());
    pair.run_for(Duration::from_secs(1));
    assert!(pair.server.buffered() > 0);
    let mut association = pair.server.association(pair.now, server).unwrap();
    assert_eq!(association.id(), server);
    let mut out = [0; 4];
    let lengths = std::iter::from_fn(|| association.recv_into(&mut out).map(|it| it.0));
    assert_eq!(lengths.collect::<Vec<_>>(), [3, 3, 5]);
    assert_eq!(&out, b"thre");
    drop(association);
    assert_eq!(pair.server.buffered(), 0);
}

/// An association that is over gives out what it has received, until its last event is polled.
#[test]
fn what_an_ended_association_has_received_can_be_fetched_until_its_last_event_is_polled() {
    let mut pair = Ends::new().build().connected(1);
    let [client, server] = [pair.client_id().unwrap(), pair.server_id().unwrap()];
    let mut association = pair.client.association(pair.now, client).unwrap();
    association.send(b"last words").unwrap();
    drop(association);
    pair.transmit();
    while let Some(datagram) = pair.to_server.receive(pair.now + Duration::from_secs(1)) {
        let path = sealgram::Path::new(pair.client_address);
        let datagram = datagram.as_slice().into();
        pair.server.handle_datagram(pair.now, path, datagram);
    }
    pair.server
        .handle_timeout(pair.now + Duration::from_secs(3600));
    assert!(pair.server.is_empty());
    let mut association = pair.server.association(pair.now, server).unwrap();
    assert!(association.is_closed());
    assert_eq!(association.recv().unwrap().data, "last words");
    assert_eq!(association.send(b"answer"), Err(SendError::Closed));
    drop(association);
    while pair.server.poll_event().is_some() {}
    assert!(pair.server.association(pair.now, server).is_none());
}
