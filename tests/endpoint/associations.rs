//! The endpoint over virtual time: restarting peers, limits, idle associations, strangers.

use crate::common::configs::{Ends, server_name, start};
use sealgram::config::Versions;
use sealgram::endpoint::{Endpoint, EndpointPolicy, Eviction};
use sealgram::error::ConnectError;
use sealgram::sim::Pair;
use sealgram::{Error, Event, Path};
use std::time::Duration;

fn failures(pair: &Pair) -> Vec<Error> {
    let errors = pair
        .server_events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Failed(failure) => Some(failure.error.clone()),
            _ => None,
        });
    errors.collect()
}

#[test]
fn an_idle_association_ends_and_leaves_no_timer_behind() {
    let mut pair = Ends::new().build().connected(1);
    pair.run_for(Duration::from_secs(1000));
    assert_eq!(failures(&pair), [Error::IdleTimeout]);
    assert!(pair.server.is_empty() && pair.client.is_empty());
    assert_eq!(
        (pair.server.poll_timeout(), pair.client.poll_timeout()),
        (None, None)
    );
}

/// For the one end whose policy says so, the time of silence is shorter or endless.
#[test]
fn an_idle_association_ends_when_the_policy_says_so() {
    let minute = Duration::from_secs(60);
    for (timeout, silence, ends) in [
        (Some(minute), 59, false),
        (Some(minute), 61, true),
        (None, 86_400, false),
    ] {
        let configs = Ends::new().build();
        let policy = EndpointPolicy::default().idle_timeout(timeout);
        let mut pair = Pair::with_policy(configs.server, policy, start(), 1).unwrap();
        pair.connect(configs.client, server_name()).unwrap();
        assert!(pair.run_until_connected(Duration::from_secs(5)));
        pair.to_server.hold(true);
        pair.run_for(Duration::from_secs(silence));
        assert_eq!(pair.server.is_empty(), ends, "{timeout:?} {silence}");
    }
}

#[test]
fn an_association_whose_data_nobody_fetches_ends_all_the_same() {
    let mut pair = Ends::new().build().connected(1);
    let client = pair.client_id().unwrap();
    pair.client
        .association(pair.now, client)
        .unwrap()
        .send(b"unread")
        .unwrap();
    pair.client.association(pair.now, client).unwrap().close();
    pair.run_for(Duration::from_secs(100));
    assert_eq!(pair.server.len(), 1);
    pair.run_for(Duration::from_secs(1000));
    assert!(pair.server.is_empty());
    assert_eq!(pair.server.buffered(), 0);
}

/// The end of an association is told as soon as its last data was fetched, not when some timer
/// comes round.
#[test]
fn an_association_that_was_closed_behind_unread_data_ends_when_the_data_is_fetched() {
    let mut pair = Ends::new().build().connected(1);
    pair.run_for(Duration::from_secs(10));
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    pair.client
        .association(pair.now, client)
        .unwrap()
        .send(b"last")
        .unwrap();
    pair.client.association(pair.now, client).unwrap().close();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(
        pair.server
            .association(pair.now, server)
            .unwrap()
            .recv()
            .unwrap()
            .data,
        "last"
    );
    assert_eq!(pair.server.poll_event(), Some((server, Event::Closed)));
    assert!(pair.server.is_empty());
}

#[test]
fn traffic_keeps_an_association_alive() {
    let mut pair = Ends::new().build().connected(1);
    for _ in 0..10 {
        pair.run_for(Duration::from_secs(600));
        assert!(pair.exchange(1));
    }
    assert_eq!(pair.server.len(), 1);
}

/// I14, RFC 6347 §4.2.8: a peer that starts again on the same address replaces its old association,
/// but only with its verified Finished.
#[test]
fn a_peer_that_starts_again_replaces_its_old_association_once_it_has_finished() {
    starts_again_and_finishes(Versions::V1_2);
}

/// RFC 9147 §5.11.
#[test]
fn r9147_35_a_peer_of_1_3_that_starts_again_replaces_its_old_association_once_it_has_finished() {
    starts_again_and_finishes(Versions::V1_3);
}

fn starts_again_and_finishes(versions: Versions) {
    let configs = Ends::new().versions(versions).build();
    let mut pair = configs.connected(1);
    let old = pair.server_id().unwrap();
    let mut first_client = std::mem::replace(
        &mut pair.client,
        Endpoint::new(pair.now, Default::default(), None).unwrap(),
    );
    pair.client_events.clear();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    // Until the new client has finished, the old association goes on.
    let half_way = pair.run_until(Duration::from_secs(5), |pair| pair.server.half_open() == 1);
    assert!(half_way && pair.server.len() == 2);
    let id = first_client.associations().next().unwrap();
    first_client
        .association(pair.now, id)
        .unwrap()
        .send(b"still here")
        .unwrap();
    let mut out = Vec::new();
    first_client.poll_transmit(pair.now, 1, &mut out).unwrap();
    pair.deliver_to_server(&out);
    assert_eq!(
        pair.server
            .association(pair.now, old)
            .unwrap()
            .recv()
            .unwrap()
            .data,
        "still here"
    );

    assert!(pair.run_until(Duration::from_secs(5), |pair| pair.client_id().is_some()));
    pair.run_for(Duration::from_secs(1));
    assert_ne!(pair.server_id(), Some(old));
    assert_eq!(failures(&pair), [Error::Superseded]);
    assert_eq!(pair.server.len(), 1);
    assert!(pair.exchange(100));
}

/// RFC 6347 §4.2.8: a hello alone, even with a good cookie, destroys nothing.
#[test]
fn a_peer_that_starts_again_and_gives_up_leaves_the_old_association_alone() {
    starts_again_and_gives_up(Versions::V1_2);
}

/// RFC 9147 §5.11.
#[test]
fn r9147_35_a_peer_of_1_3_that_starts_again_and_gives_up_leaves_the_old_association_alone() {
    starts_again_and_gives_up(Versions::V1_3);
}

fn starts_again_and_gives_up(versions: Versions) {
    let configs = Ends::new().versions(versions).build();
    let mut pair = configs.connected(1);
    let mut other = configs.pair(2);
    other.now = pair.now;
    // The newcomer's hellos come from the same address; its second one has a cookie of this server.
    other.transmit();
    let mut out = Vec::new();
    while let Some(hello) = other.to_server.receive(other.now + Duration::from_secs(1)) {
        pair.deliver_to_server(&hello);
        while pair.server.poll_transmit(pair.now, 1, &mut out).is_some() {
            other.deliver_to_client(&out);
            out.clear();
        }
        other.transmit();
        if pair.server.half_open() == 1 {
            break;
        }
    }
    assert_eq!(pair.server.half_open(), 1);
    assert!(pair.exchange(100));
    pair.run_for(Duration::from_secs(200));
    assert_eq!((pair.server.half_open(), pair.server.len()), (0, 1));
    assert!(pair.exchange(100));
}

#[test]
fn a_second_association_to_one_address_is_refused_until_the_first_is_gone() {
    let configs = Ends::new().build();
    let mut pair = configs.connected(1);
    let refused = pair.connect(configs.client.clone(), server_name());
    assert_eq!(
        refused,
        Err(ConnectError::AddressInUse(pair.server_address))
    );
    pair.client
        .association(pair.now, pair.client_id().unwrap())
        .unwrap()
        .close();
    pair.run_for(Duration::from_secs(1));
    assert!(pair.connect(configs.client.clone(), server_name()).is_ok());
}

/// C8: peers that prove their address and then stop fill only the half-open limit; the oldest go,
/// and established associations never.
#[test]
fn half_open_handshakes_make_room_for_newcomers_and_established_ones_stay() {
    let configs = Ends::new().build();
    let policy = EndpointPolicy::default()
        .max_half_open(8, Eviction::OldestHalfOpen)
        .unwrap();
    let mut pair = Pair::with_policy(configs.server.clone(), policy, start(), 1).unwrap();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    let honest = std::mem::replace(
        &mut pair.client,
        Endpoint::new(pair.now, Default::default(), None).unwrap(),
    );
    let address = pair.client_address;
    for port in 0..100 {
        pair.client_address = ([10, 0, 0, 1], 2000 + port).into();
        pair.client = Endpoint::new(pair.now, Default::default(), None).unwrap();
        // Eight times this is more than what each of them has before it can go.
        pair.now += Duration::from_millis(260);
        pair.connect(configs.client.clone(), server_name()).unwrap();
        for _ in 0..2 {
            let mut out = Vec::new();
            pair.client.poll_transmit(pair.now, 1, &mut out).unwrap();
            pair.deliver_to_server(&out);
            while let Some(transmit) = {
                out.clear();
                pair.server.poll_transmit(pair.now, 1, &mut out)
            } {
                // Whoever has gone is told as well.
                if transmit.path.remote() == pair.client_address {
                    pair.deliver_to_client(&out);
                }
            }
        }
        assert_eq!(pair.server.stats().accepted, u64::from(port) + 2);
        assert!(pair.server.half_open() <= 8 && pair.server.len() <= 9);
    }
    assert_eq!(pair.server.stats().evicted, 92);
    pair.client = honest;
    pair.client_address = address;
    assert!(pair.exchange(100));
}

#[test]
fn at_the_limit_on_associations_newcomers_are_not_served() {
    let configs = Ends::new().build();
    let policy = EndpointPolicy::default().max_associations(1).unwrap();
    let mut pair = Pair::with_policy(configs.server.clone(), policy, start(), 1).unwrap();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    let first = pair.server_id();
    pair.client_address = ([10, 0, 0, 1], 2000).into();
    pair.client = Endpoint::new(pair.now, Default::default(), None).unwrap();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    pair.run_for(Duration::from_secs(5));
    assert!(pair.server.stats().hellos_refused > 0);
    assert_eq!((pair.server.len(), pair.server_id()), (1, first));
}

/// C1: what strangers get is never more than what they sent, and nothing is remembered of them.
#[test]
fn strangers_without_a_cookie_leave_no_state() {
    let configs = Ends::new().build();
    let mut pair = configs.pair(1);
    pair.transmit();
    let hello = pair
        .to_server
        .receive(pair.now + Duration::from_secs(1))
        .unwrap();
    let mut out = Vec::new();
    for port in 1..10_000_u16 {
        let path = Path::new(([198, 51, 100, 1], port).into());
        pair.server
            .handle_datagram(pair.now, path, hello.as_slice().into());
        out.clear();
        let reply = pair.server.poll_transmit(pair.now, 1, &mut out).unwrap();
        assert!(reply.len <= hello.len() && reply.path.remote() == path.remote());
        assert!(pair.server.poll_transmit(pair.now, 1, &mut out).is_none());
    }
    assert!(pair.server.is_empty() && pair.server.buffered() == 0);
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn two_associations_with_many_peers_share_one_socket() {
    let configs = Ends::new().build();
    let mut pair = configs.connected(1);
    let mut clients = Vec::new();
    for port in 0..20 {
        let fresh = Endpoint::new(pair.now, Default::default(), None).unwrap();
        let events = std::mem::take(&mut pair.client_events);
        clients.push((
            pair.client_address,
            std::mem::replace(&mut pair.client, fresh),
            events,
        ));
        pair.client_address = ([10, 0, 0, 1], 3000 + port).into();
        pair.connect(configs.client.clone(), server_name()).unwrap();
        assert!(pair.run_until(Duration::from_secs(5), |pair| pair.client_id().is_some()));
        assert!(pair.exchange(2));
    }
    assert_eq!(pair.server.len(), 21);
    for (address, client, events) in clients {
        let id = events.iter().map(|(id, _)| *id).next().unwrap();
        pair.client_address = address;
        pair.client = client;
        pair.client
            .association(pair.now, id)
            .unwrap()
            .send(b"all at once")
            .unwrap();
        pair.run_for(Duration::from_secs(1));
    }
    let received: usize = pair
        .server
        .associations()
        .collect::<Vec<_>>()
        .into_iter()
        .filter(|&id| {
            pair.server
                .association(pair.now, id)
                .unwrap()
                .recv()
                .is_some_and(|got| got.data == "all at once")
        })
        .count();
    assert_eq!(received, 20);
}

/// Sends the hello of a newcomer at the same address to the server until it has made an association
/// of it.
fn half_open_newcomer(pair: &mut Pair, other: &mut Pair) {
    other.now = pair.now;
    other.transmit();
    let mut out = Vec::new();
    let before = pair.server.stats().accepted;
    while let Some(hello) = other.to_server.receive(other.now + Duration::from_secs(1)) {
        pair.deliver_to_server(&hello);
        if pair.server.stats().accepted > before {
            return;
        }
        while pair.server.poll_transmit(pair.now, 1, &mut out).is_some() {
            other.deliver_to_client(&out);
            out.clear();
        }
        other.transmit();
    }
    panic!("the newcomer was not accepted");
}

/// B6: an old hello that is replayed while the honest client waits for the server's Finished must
/// not keep its repeated flight away from the association it belongs to.
#[test]
fn a_replayed_hello_does_not_starve_a_client_that_missed_the_final_flight() {
    let configs = Ends::new().build();
    let mut pair = configs.pair(1);
    // The server's final flight, its third datagram, is lost.
    pair.to_client.script(|index, _| match index {
        2 => sealgram::sim::Fate::Drop,
        _ => sealgram::sim::Fate::Deliver,
    });
    assert!(pair.run_until(Duration::from_secs(5), |pair| pair.server_id().is_some()));
    half_open_newcomer(&mut pair, &mut configs.pair(2));
    assert!(pair.run_until(Duration::from_secs(10), |pair| pair.client_id().is_some()));
    assert!(pair.exchange(100));
}

/// A client that starts again in the middle of a handshake must not be answered by two handshakes
/// at once.
#[test]
fn a_client_that_starts_again_in_mid_handshake_is_not_confused_by_its_first_attempt() {
    let configs = Ends::new().build();
    let mut pair = configs.pair(1);
    assert!(pair.run_until(Duration::from_secs(5), |pair| pair.server.half_open() == 1));
    // The first client is gone before it has seen the server's flight, which is repeated at one
    // second.
    while pair
        .to_client
        .receive(pair.now + Duration::from_secs(1))
        .is_some()
    {}
    pair.client = Endpoint::new(pair.now, Default::default(), None).unwrap();
    pair.client_events.clear();
    pair.run_for(Duration::from_millis(900));
    pair.connect(configs.client.clone(), server_name()).unwrap();
    // The new attempt's first flight is lost, so that only a stale one could arrive.
    let sent = pair.to_client.sent();
    pair.to_client.script(move |index, _| match index - sent {
        1 => sealgram::sim::Fate::Drop,
        _ => sealgram::sim::Fate::Deliver,
    });
    assert!(
        pair.run_until_connected(Duration::from_secs(10)),
        "{:?}",
        pair.client_events
    );
    assert!(pair.exchange(100));
}

/// A service that only reports, as syslog does, is not idle.
#[test]
fn a_sender_that_hears_nothing_back_stays_up() {
    let mut pair = Ends::new().build().connected(1);
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    for _ in 0..20 {
        pair.run_for(Duration::from_secs(600));
        pair.client
            .association(pair.now, client)
            .unwrap()
            .send(b"report")
            .unwrap();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(
            pair.server
                .association(pair.now, server)
                .unwrap()
                .recv()
                .unwrap()
                .data,
            "report"
        );
    }
    assert_eq!((pair.client.len(), pair.server.len()), (1, 1));
}

/// A client that says its last word in the datagrams behind its Finished, all of them read before
/// anybody polls: the application still learns who that was.
#[test]
fn an_association_that_ends_in_the_batch_that_completes_it_can_be_looked_at_until_its_end_is_told()
{
    let mut pair = Ends::new().versions(Versions::V1_3).build().pair(1);
    assert!(pair.run_until(Duration::from_secs(5), |pair| pair.server.half_open() == 1));
    let mut batch = Vec::new();
    while pair.client_id().is_none() {
        let arrival = pair.to_client.next_arrival().unwrap();
        pair.now = pair.now.max(arrival);
        let datagram = pair.to_client.receive(arrival).unwrap();
        pair.deliver_to_client(&datagram);
        drain(&mut pair, &mut batch);
    }
    let client = pair.client_id().unwrap();
    pair.client.association(pair.now, client).unwrap().close();
    drain(&mut pair, &mut batch);
    let path = Path::new(pair.client_address);
    for datagram in &batch {
        let datagram = datagram.as_slice().into();
        pair.server.handle_datagram(pair.now, path, datagram);
    }
    while pair
        .server
        .poll_transmit(pair.now, 1, &mut Vec::new())
        .is_some()
    {}

    let (server, first) = pair.server.poll_event().unwrap();
    let complete = matches!(first, Event::HandshakeComplete { .. });
    assert!(complete, "{first:?}");
    let connection = pair.server.connection(server).unwrap();
    assert_eq!(
        connection.server_name(),
        Some(crate::common::configs::SERVER)
    );
    let rest: Vec<_> = std::iter::from_fn(|| pair.server.poll_event()).collect();
    assert_eq!(rest.last(), Some(&(server, Event::Closed)));
    assert!(pair.server.connection(server).is_none() && pair.server.is_empty());
}

/// Takes what the client has to send.
fn drain(pair: &mut Pair, batch: &mut Vec<Vec<u8>>) {
    let mut out = Vec::new();
    while pair.client.poll_transmit(pair.now, 1, &mut out).is_some() {
        batch.push(std::mem::take(&mut out));
    }
}
