//! Servers that share the secret of their cookies, with clocks that are as far apart as they may
//! be.

use crate::common::configs::{Ends, server_name, start};
use crate::common::renegotiating::SetClock;
use sealgram::config::Versions;
use sealgram::endpoint::{CookieKeys, Endpoint, EndpointPolicy};
use sealgram::sim::{Direction, Pair};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// How far apart the clocks may be.
const APART: i64 = 5;

/// A client that begins with a member whose clock is ahead, and is served by another.
struct Fleet {
    /// The client, and the member that serves it.
    pair: Pair,
    client: std::sync::Arc<sealgram::ClientConfig>,
}

fn member(server: sealgram::server::ServerConfigBuilder, keys: &CookieKeys, now: Instant) -> Pair {
    let policy = EndpointPolicy::default().cookie_keys(keys.clone());
    Pair::with_policy(server.build().unwrap().into(), policy, now, 1).unwrap()
}

/// Lets the member with the fast clock ask for a cookie, and the other one serve.
fn served_by_the_other(versions: Versions) -> Fleet {
    let (now, keys) = (start(), CookieKeys::generate().unwrap());
    let (slow, fast) = (SetClock::new(), SetClock::new());
    fast.shift(APART);
    let ahead = Ends::new().versions(versions).server.clock(fast);
    let mut ahead = member(ahead, &keys, now);
    let ends = Ends::new().versions(versions);
    let client = std::sync::Arc::new(ends.client.build().unwrap());
    let mut pair = member(ends.server.clock(slow), &keys, now);
    pair.record();
    pair.connect(client.clone(), server_name()).unwrap();
    std::mem::swap(&mut pair.server, &mut ahead.server);
    let asked = |pair: &Pair| {
        let stats = pair.server.stats();
        stats.hello_verify_requests + stats.retry_requests == 1
    };
    assert!(pair.run_until(SECOND, asked));
    std::mem::swap(&mut pair.server, &mut ahead.server);
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
