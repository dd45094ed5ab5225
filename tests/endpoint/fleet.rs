//! Servers that share a secret, with clocks that are as far apart as they may be.

use crate::common::configs::{Ends, server_name, start};
use crate::common::renegotiating::SetClock;
use sealgram::HandshakeKind;
use sealgram::config::{FleetSecret, Versions};
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::server::ServerConfigBuilder;
use sealgram::sim::{Direction, Pair};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// How far apart the clocks may be.
const APART: i64 = 5;

/// A client that begins with a member whose clock is ahead, and is served by another.
struct Fleet {
    /// The client, and the member that serves it.
    pair: Pair,
    client: Arc<sealgram::ClientConfig>,
}

fn member(server: ServerConfigBuilder, secret: &FleetSecret, now: Instant) -> Pair {
    let server = server.fleet(secret.clone()).build().unwrap();
    Pair::with_policy(server.into(), EndpointPolicy::default(), now, 1).unwrap()
}

/// How many demands for a cookie the server has sent.
fn asked(pair: &Pair) -> u64 {
    let stats = pair.server.stats();
    stats.hello_verify_requests + stats.retry_requests
}

/// Lets the server of `other` take the place of that of `pair`, at its address.
fn exchange(pair: &mut Pair, other: &mut Pair) {
    std::mem::swap(&mut pair.server, &mut other.server);
}

/// Members of a fleet serve the clients that another one has asked for a cookie.
#[test]
fn a_cookie_of_another_member_is_taken_with_the_same_secret_only() {
    let secret = FleetSecret::generate().unwrap();
    let exported = FleetSecret::from_bytes(*secret.as_bytes());
    for versions in [Versions::V1_2, Versions::V1_3] {
        let ends = Ends::new().versions(versions);
        let client = Arc::new(ends.client.build().unwrap());
        for (other, taken) in [
            (&exported, true),
            (&FleetSecret::generate().unwrap(), false),
        ] {
            let mut pair = member(ends.server.clone(), &secret, start());
            let mut second = member(ends.server.clone(), other, start());
            pair.connect(client.clone(), server_name()).unwrap();
            assert!(pair.run_until(SECOND, |pair| asked(pair) == 1));
            exchange(&mut pair, &mut second);
            pair.run_until(SECOND, |pair| {
                pair.server.stats().accepted + asked(pair) > 0
            });
            assert_eq!(pair.server.stats().accepted == 1, taken);
            assert!(pair.run_until_connected(60 * SECOND));
        }
    }
}

/// An endpoint that is given the configuration of another fleet is a member of that one from then
/// on; one of the same fleet, or of none, changes no cookie.
#[test]
fn an_endpoint_moves_to_the_fleet_of_its_new_configuration() {
    let [here, there] = [(); 2].map(|()| FleetSecret::generate().unwrap());
    let ends = Ends::new().versions(Versions::V1_2);
    let client = Arc::new(ends.client.clone().build().unwrap());
    for (next, taken) in [(Some(&here), true), (None, true), (Some(&there), false)] {
        let mut pair = member(ends.server.clone(), &here, start());
        pair.connect(client.clone(), server_name()).unwrap();
        assert!(pair.run_until(SECOND, |pair| asked(pair) == 1));
        let server = ends.server.clone();
        let server = match next {
            Some(secret) => server.fleet(secret.clone()),
            None => server,
        };
        let server = Arc::new(server.build().unwrap());
        pair.server.serve(pair.now, server).unwrap();
        pair.run_until(SECOND, |pair| {
            pair.server.stats().accepted == 1 || asked(pair) == 2
        });
        assert_eq!(pair.server.stats().accepted == 1, taken, "{next:?}");
    }
}

/// A member that was started again knows nothing but the secret: a client whose association went
/// with it is a stranger, and resumes by its ticket in a new handshake.
#[test]
fn a_member_that_was_started_again_resumes_the_tickets_of_its_fleet() {
    let secret = FleetSecret::generate().unwrap();
    for versions in [Versions::V1_2, Versions::V1_3] {
        for (again, expected) in [
            (secret.clone(), HandshakeKind::Resumed),
            (FleetSecret::generate().unwrap(), HandshakeKind::Full),
        ] {
            let ends = Ends::new().versions(versions).resuming();
            let client = Arc::new(ends.client.clone().build().unwrap());
            let mut pair = member(ends.server.clone(), &secret, start());
            pair.connect(client.clone(), server_name()).unwrap();
            assert!(pair.run_until_connected(SECOND));
            pair.run_for(SECOND);
            exchange(&mut pair, &mut member(ends.server, &again, start()));
            let id = pair.client_id().unwrap();
            let mut lost = pair.client.association(pair.now, id).unwrap();
            lost.send(b"to nobody").unwrap();
            drop(lost);
            pair.run_for(SECOND);
            assert_eq!(pair.server.stats().strays, 1, "and no answer");
            pair.client = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
            pair.client_events.clear();
            pair.server_events.clear();
            pair.connect(client, server_name()).unwrap();
            assert!(pair.run_until_connected(10 * SECOND));
            let kind = pair.server_connection().unwrap().handshake_kind();
            assert_eq!(kind, Some(expected), "{versions:?}");
        }
    }
}

/// Lets the member with the fast clock ask for a cookie, and the other one serve.
fn served_by_the_other(versions: Versions) -> Fleet {
    let (now, secret) = (start(), FleetSecret::generate().unwrap());
    let (slow, fast) = (SetClock::new(), SetClock::new());
    fast.shift(APART);
    let ahead = Ends::new().versions(versions).server.clock(fast);
    let mut ahead = member(ahead, &secret, now);
    let ends = Ends::new().versions(versions);
    let client = Arc::new(ends.client.build().unwrap());
    let mut pair = member(ends.server.clock(slow), &secret, now);
    pair.record();
    pair.connect(client.clone(), server_name()).unwrap();
    exchange(&mut pair, &mut ahead);
    assert!(pair.run_until(SECOND, |pair| asked(pair) == 1));
    exchange(&mut pair, &mut ahead);
    assert!(pair.run_until(SECOND, |pair| pair.server.stats().accepted == 1));
    Fleet { pair, client }
}

/// A cookie of a member whose clock is ahead is good for longer by the clock of another, which
/// remembers it for as long.
#[test]
fn a_cookie_of_a_fast_clock_begins_one_handshake_for_as_long_as_it_is_good() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut pair = served_by_the_other(versions).pair;
        let seen = pair.seen.as_ref().unwrap();
        let mut to_server = seen.iter().filter(|it| it.direction == Direction::ToServer);
        let hello = to_server.nth(1).unwrap().datagram.clone();
        assert!(pair.run_until_connected(SECOND));
        let id = pair.server_id().unwrap();
        pair.server.association(pair.now, id).unwrap().close();
        pair.run_for(149 * SECOND);
        assert!(pair.server.is_empty());
        for _ in 0..20 {
            pair.deliver_to_server(&hello);
            pair.run_for(SECOND);
        }
        assert_eq!(pair.server.stats().accepted, 1, "{versions:?}");
    }
}

/// RFC 6347 §4.2.8: what another member has asked, with a clock that is ahead, does not make the
/// cookies look old that this one makes a moment later.
#[test]
fn a_client_that_starts_again_is_served_after_a_cookie_of_a_fast_clock() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let Fleet { mut pair, client } = served_by_the_other(versions);
        pair.client = Endpoint::new(pair.now, EndpointPolicy::default(), None).unwrap();
        pair.connect(client, server_name()).unwrap();
        let connected = pair.run_until_connected(10 * SECOND);
        assert!(connected, "{versions:?}: {:?}", pair.server.stats());
    }
}
