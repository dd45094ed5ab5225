//! Somebody copies datagrams and sends them on from other addresses, and the old address is asked
//! first (RFC 9853 §5.2, §8.1).

use super::{
    DATA, MOMENT, SECOND, VERSIONS, account, connected, datagram, discarded, elsewhere, ends, news,
    peer, received, taken, talk,
};
use crate::common::configs::{server_name, start};
use crate::common::handshakes::send;
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::record::Discard;
use sealgram::sim::{Direction, Pair};
use sealgram::{Path, Side};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Lets time pass, in which a copy of each datagram of the client arrives from the address
/// `attacker` before it does itself.
fn race(pair: &mut Pair, attacker: SocketAddr, duration: Duration) {
    let end = pair.now + duration;
    loop {
        pair.record();
        pair.transmit();
        for seen in pair.seen.take().unwrap_or_default() {
            if seen.direction == Direction::ToServer {
                pair.deliver(Side::Server, attacker, &seen.datagram);
            }
        }
        pair.record();
        match pair.next_moment() {
            Some(next) if next <= end => pair.step(),
            _ => break,
        };
    }
    pair.now = end;
}

/// RFC 9853 §5.2, §8: who copies what a client sends, and wins every race, gains nothing where the
/// client can still be asked at its old address, or the attacker's does not answer.
#[test]
fn n53_09_who_copies_datagrams_from_elsewhere_gains_nothing() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Enhanced);
        let (home, attacker) = (peer(&pair), elsewhere(1));
        pair.unreachable.insert(attacker);
        for number in 0..100_u8 {
            for side in [Side::Client, Side::Server] {
                send(&mut pair, side, &[number; 100]).unwrap();
            }
            race(&mut pair, attacker, MOMENT);
            assert_eq!(received(&mut pair, Side::Server), [[number; 100]]);
            assert_eq!(received(&mut pair, Side::Client), [[number; 100]]);
        }
        assert_eq!(peer(&pair), home);
        // The answers come from where nobody was asked.
        assert!(discarded(&pair, Discard::PathCheck) > 0);
        let news = news(&mut pair);
        assert!(news.iter().all(|it| *it == (attacker, None)), "{news:?}");
        account(&pair, attacker);
    }
}

/// RFC 9853 §5.2: it is enough that one answer comes by the old way.
#[test]
fn n53_09_a_client_that_answers_where_it_was_has_not_moved() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Enhanced);
        let home = peer(&pair);
        let copied = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(1), &copied);
        pair.run_for(10 * SECOND);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        assert_eq!(account(&pair, elsewhere(1)).sent, 0);
        assert_eq!(discarded(&pair, Discard::PathCheck), 0);
        assert!(talk(&mut pair, 3));
    }
}

/// RFC 9853 §5.2: where nobody answers at the old address, the new one is asked; also where the NAT
/// still knows the old one, because answers come from the new one.
#[test]
fn n53_09_where_the_old_address_is_dead_the_new_one_is_asked() {
    for (versions, keep_old) in VERSIONS
        .into_iter()
        .flat_map(|it| [(it, false), (it, true)])
    {
        let mut pair = connected(versions, Migration::Enhanced);
        let home = peer(&pair);
        pair.keep_old = keep_old;
        pair.rebind_client();
        send(&mut pair, Side::Client, &DATA).unwrap();
        pair.run_for(SECOND - MOMENT);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        assert_eq!(account(&pair, pair.client_address).sent, 0);
        pair.run_for(2 * MOMENT);
        assert_eq!(news(&mut pair), [(pair.client_address, Some(true))]);
        assert!(talk(&mut pair, 10));
    }
}

/// Where the client of the next two tests sends from, and where it sent from before.
const PREFERRED: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const LEFT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A server whose client has several addresses, and was just heard from `elsewhere(1)`.
fn with_several_addresses(versions: Versions, migration: Migration) -> Pair {
    let configs = ends(versions, migration).build();
    let mut pair = Pair::new(configs.server.clone(), start(), 1).unwrap();
    let path = Path::new(pair.server_address).with_local(PREFERRED);
    let now = pair.now;
    pair.client
        .connect(now, configs.client, server_name(), path)
        .unwrap();
    assert!(pair.run_until_connected(SECOND));
    pair.run_for(SECOND);
    pair.keep_ledger();
    let moved = datagram(&mut pair, Side::Client, &DATA);
    pair.deliver(Side::Server, elsewhere(1), &moved);
    pair
}

/// The client receives the server's challenge at the address that it has left; its answer.
fn asked_where_it_was(pair: &mut Pair) -> Vec<u8> {
    let challenge = taken(pair, Side::Server);
    let (now, path) = (pair.now, Path::new(pair.server_address).with_local(LEFT));
    pair.client
        .handle_datagram(now, path, challenge.as_slice().into());
    let mut answer = Vec::new();
    let sent = pair.client.poll_transmit(now, 1, &mut answer).unwrap();
    assert_eq!(sent.path, path);
    answer
}

/// RFC 9853 §5.2, §5.4: a client that has several addresses of its own says at the old one that it
/// has left it, and the new one is asked at once.
#[test]
fn n53_09_n53_11_a_client_that_has_left_says_so() {
    for versions in VERSIONS {
        let mut pair = with_several_addresses(versions, Migration::Enhanced);
        let home = peer(&pair);
        let answer = asked_where_it_was(&mut pair);
        pair.deliver(Side::Server, home, &answer);
        pair.client_address = elsewhere(1);
        pair.run_for(MOMENT);
        assert_eq!(news(&mut pair), [(elsewhere(1), Some(true))]);
        assert!(talk(&mut pair, 10));
    }
}

/// RFC 9853 §5.1: who says at the new address that it has left that as well is not followed.
#[test]
fn n53_08_who_has_left_the_new_address_is_not_followed() {
    for versions in VERSIONS {
        let mut pair = with_several_addresses(versions, Migration::Validated);
        let home = peer(&pair);
        let answer = asked_where_it_was(&mut pair);
        pair.deliver(Side::Server, elsewhere(1), &answer);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        assert!(talk(&mut pair, 10));
    }
}

/// J20: somebody who sends the datagrams of a client on from the addresses of many others makes
/// the server send them no more than three times that, ask one of them at a time, and remember
/// nothing.
#[test]
fn j20_n53_06_nobody_is_flooded_whose_address_is_forged() {
    for versions in VERSIONS {
        for migration in [Migration::Validated, Migration::Enhanced] {
            let mut pair = connected(versions, migration);
            let home = peer(&pair);
            let victims = (0..1000).map(elsewhere);
            pair.unreachable.extend(victims.clone());
            let idle = pair.server.buffered();
            let mut arrived = 0;
            for victim in victims.clone() {
                send(&mut pair, Side::Client, &DATA).unwrap();
                send(&mut pair, Side::Server, &[1; 1000]).unwrap();
                race(&mut pair, victim, Duration::from_millis(20));
                assert_eq!(received(&mut pair, Side::Server), [DATA]);
                arrived += received(&mut pair, Side::Client).len();
            }
            assert_eq!(peer(&pair), home);
            let accounts: Vec<_> = victims.map(|it| account(&pair, it)).collect();
            let asked = accounts.iter().filter(|it| it.sent > 0).count();
            // Twenty seconds, in which each check takes one at least.
            assert!(asked <= 21, "{asked}");
            pair.run_for(5 * SECOND);
            assert_eq!(pair.server.buffered(), idle);
            // What the server sends goes where it went.
            arrived += received(&mut pair, Side::Client).len();
            assert_eq!(arrived, 1000);
        }
    }
}

/// J15: somebody's datagrams are copied from where another client lives. Whatever becomes of the
/// check, that one's own arrive as before, with and without connection IDs.
#[test]
fn j15_who_lives_at_an_address_that_is_asked_is_heard_as_before() {
    for versions in VERSIONS {
        for length in [None, Some(0), Some(8)] {
            let ends = ends(versions, Migration::Validated);
            let policy = DatagramPolicy::default().connection_ids(length).unwrap();
            let other = ends.client.clone().datagram(policy).build().unwrap();
            let mut pair = ends.build().connected(1);
            pair.run_for(SECOND);
            let (home, first) = (peer(&pair), pair.server_id().unwrap());
            let copied = datagram(&mut pair, Side::Client, &DATA);
            pair.client = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
            pair.client_events.clear();
            pair.client_address = elsewhere(1);
            pair.connect(other.into(), server_name()).unwrap();
            assert!(pair.run_until(SECOND, |pair| pair.server_id() != Some(first)));
            pair.run_for(SECOND);
            assert!(talk(&mut pair, 5));
            let before = pair.to_client.sent();
            pair.deliver_to_server(&copied);
            pair.run_for(MOMENT);
            assert_eq!(pair.to_client.sent() - before, 1, "it is asked");
            assert!(talk(&mut pair, 5));
            pair.run_for(SECOND);
            assert_eq!(news(&mut pair), [(elsewhere(1), None)]);
            let path = pair.server.connection(first).unwrap().path();
            assert_eq!(path.remote(), home);
            assert!(talk(&mut pair, 5));
        }
    }
}
