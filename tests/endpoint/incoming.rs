//! Clients about whom the application decides before there is an association.

use crate::common::configs::{Configs, Ends, server_name};
use sealgram::config::Versions;
use sealgram::endpoint::{EndpointPolicy, Incoming, Newcomers};
use sealgram::sim::{Direction, Pair};
use sealgram::{AlertDescription, Error, Event, Path, ProtocolVersion};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A server that asks, at each version, and a client whose hello has just been proved.
fn asked(mut check: impl FnMut(Pair, Incoming, Versions)) {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut pair = asking(&configs(versions));
        let incoming = wait(&mut pair).expect("nobody was announced");
        check(pair, incoming, versions);
    }
}

fn configs(versions: Versions) -> Configs {
    let mut ends = Ends::new().versions(versions);
    ends.client = ends.client.alpn(&[b"coap", b"other"]).unwrap();
    ends.build()
}

fn asking(configs: &Configs) -> Pair {
    let policy = EndpointPolicy::default().newcomers(Newcomers::Ask);
    let now = crate::common::configs::start();
    let mut pair = Pair::with_policy(configs.server.clone(), policy, now, 1).unwrap();
    pair.connect(configs.client.clone(), server_name()).unwrap();
    pair
}

/// Lets time pass until somebody is announced.
fn wait(pair: &mut Pair) -> Option<Incoming> {
    let mut incoming = None;
    pair.run_until(10 * SECOND, |pair| pair.server.has_event());
    while incoming.is_none() && pair.server.has_event() {
        incoming = pair.server.poll_incoming();
    }
    incoming
}

fn failure(pair: &Pair) -> Option<Error> {
    pair.client_events
        .iter()
        .find_map(|(_, event)| match event {
            Event::Failed(failure) => Some(failure.error.clone()),
            _ => None,
        })
}

/// How many datagrams the server has sent.
fn sent(pair: &Pair) -> usize {
    let seen = pair.seen.as_ref().map_or(&[][..], Vec::as_slice);
    let to_client = |it: &&sealgram::sim::Seen| it.direction == Direction::ToClient;
    seen.iter().filter(to_client).count()
}

#[test]
fn an_application_sees_address_and_hello_before_there_is_an_association() {
    asked(|pair, incoming, versions| {
        let hello = incoming.hello();
        assert_eq!(incoming.path(), Path::new(pair.client_address));
        assert_eq!(
            hello.server_name.as_deref(),
            Some(crate::common::configs::SERVER)
        );
        assert_eq!(hello.alpn, [b"coap".to_vec(), b"other".to_vec()]);
        let version = match versions {
            Versions::V1_2 => ProtocolVersion::DTLS12,
            _ => ProtocolVersion::DTLS13,
        };
        assert!(hello.versions.contains(&version));
        // It has shown a cookie, and that is all that was done for it.
        let stats = pair.server.stats();
        assert_eq!(stats.hello_verify_requests + stats.retry_requests, 1);
        assert_eq!((pair.server.len(), stats.accepted), (0, 0));
        assert!(pair.server.buffered() > 0);
    });
}

#[test]
fn who_is_accepted_comes_up() {
    asked(|mut pair, incoming, _| {
        let id = pair.server.accept(pair.now, incoming).unwrap();
        assert_eq!(pair.server.half_open(), 1);
        assert!(pair.run_until_connected(5 * SECOND));
        assert_eq!(pair.server_id(), Some(id));
        assert!(pair.exchange(3));
        assert_eq!(pair.server.poll_incoming(), None);
    });
}

#[test]
fn a_decision_may_come_later_and_a_repeated_hello_asks_no_second_time() {
    asked(|mut pair, incoming, _| {
        pair.run_for(4 * SECOND);
        assert_eq!(pair.server.poll_incoming(), None);
        assert!(pair.server.accept(pair.now, incoming).is_some());
        assert!(pair.run_until_connected(5 * SECOND));
    });
}

/// RFC 8446 §6.2: the alert says why. Anybody could have sent it, so the client asks again first.
#[test]
fn who_is_refused_is_told() {
    asked(|mut pair, incoming, _| {
        let alert = AlertDescription::ACCESS_DENIED;
        pair.server.refuse(incoming, alert);
        let end = pair.now + 120 * SECOND;
        while failure(&pair).is_none() && pair.now < end {
            match wait(&mut pair) {
                Some(again) => pair.server.refuse(again, alert),
                None => pair.run_for(SECOND),
            }
        }
        let failure = failure(&pair).expect("the client goes on");
        let told = matches!(failure, Error::AlertReceived { alert: it, .. }
            if it.description == alert);
        assert!(told, "{failure}");
        assert_eq!((pair.server.len(), pair.server.buffered()), (0, 0));
    });
}

#[test]
fn who_is_ignored_is_sent_nothing() {
    asked(|mut pair, incoming, _| {
        pair.record();
        pair.server.ignore(incoming);
        assert_eq!((pair.server.len(), pair.server.buffered()), (0, 0));
        // It repeats its hello, which asks again, and is ignored again.
        for _ in 0..3 {
            let again = wait(&mut pair).expect("a repeated hello asks again");
            pair.server.ignore(again);
        }
        assert_eq!(sent(&pair), 0);
        assert_eq!(failure(&pair), None);
        let again = wait(&mut pair).expect("a repeated hello asks again");
        assert!(pair.server.accept(pair.now, again).is_some());
        assert!(pair.run_until_connected(30 * SECOND));
    });
}

/// An application that never decides holds nothing for longer than five seconds.
#[test]
fn who_is_not_decided_about_goes_at_the_deadline() {
    asked(|mut pair, incoming, _| {
        let deadline = incoming.deadline();
        assert_eq!(deadline.saturating_duration_since(pair.now), 5 * SECOND);
        pair.record();
        assert!(
            pair.run_until(10 * SECOND, |pair| pair.server.stats().hellos_undecided
                == 1)
        );
        assert_eq!(pair.server.buffered(), 0);
        assert_eq!(pair.server.accept(pair.now, incoming), None);
        assert_eq!((sent(&pair), pair.server.len()), (0, 0));
        let again = wait(&mut pair).expect("a repeated hello asks again");
        assert!(pair.server.accept(pair.now, again).is_some());
        assert!(pair.run_until_connected(30 * SECOND));
    });
}

/// A captured hello asks as seldom as its address may begin handshakes.
#[test]
fn a_copy_of_a_hello_asks_once_a_second_at_most() {
    asked(|mut pair, incoming, _| {
        pair.record();
        pair.server.ignore(incoming);
        pair.run_until(10 * SECOND, |pair| pair.server.has_event());
        let seen = pair.seen.take().unwrap();
        let hello = seen.last().unwrap().datagram.clone();
        let (mut questions, begin) = (0, pair.now);
        while pair.now < begin + 20 * SECOND {
            pair.deliver_to_server(&hello);
            while let Some(incoming) = pair.server.poll_incoming() {
                questions += 1;
                pair.server.ignore(incoming);
            }
            pair.now += SECOND / 50;
        }
        assert!((10..=25).contains(&questions), "{questions}");
    });
}

#[test]
fn a_server_that_stops_accepting_forgets_who_waits() {
    asked(|mut pair, incoming, _| {
        pair.server.stop_accepting();
        assert_eq!(pair.server.buffered(), 0);
        assert_eq!(pair.server.accept(pair.now, incoming), None);
    });
}

/// Lets a client at another address ask the server of `pair`.
fn ask_from(pair: &mut Pair, configs: &Configs, host: u8, port: u16) -> Pair {
    let mut one = asking(configs);
    one.client_address = ([192, 0, 2, host], port).into();
    std::mem::swap(&mut one.server, &mut pair.server);
    one.step();
    one.step();
    one.transmit();
    one.step();
    one.step();
    std::mem::swap(&mut one.server, &mut pair.server);
    one
}

/// Lets time pass until the client of `pair` is announced.
fn wait_for_client(pair: &mut Pair) -> Option<Incoming> {
    let own = Path::new(pair.client_address);
    for _ in 0..30 {
        while let Some(incoming) = pair.server.poll_incoming() {
            if incoming.path() == own {
                return Some(incoming);
            }
        }
        pair.run_for(SECOND);
    }
    None
}

/// A decision about a client of another endpoint is none about the client with the same number.
#[test]
fn a_decision_is_for_the_endpoint_that_asked() {
    let configs = configs(Versions::V1_2);
    let (mut one, mut other) = (asking(&configs), asking(&configs));
    other.client_address = ([192, 0, 2, 9], 40_000).into();
    let of_one = wait(&mut one).expect("nobody was announced");
    let of_other = wait(&mut other).expect("nobody was announced");
    assert_eq!(other.server.accept(other.now, of_one), None);
    assert!(other.server.accept(other.now, of_other).is_some());
}

/// Its hello was asked about, but nobody has decided: it is no copy when it comes again.
#[test]
fn who_has_lost_its_place_asks_again() {
    let configs = configs(Versions::V1_2);
    let mut pair = asking(&configs);
    let mut first = ask_from(&mut pair, &configs, 7, 1999);
    for port in 2000..3023 {
        ask_from(&mut pair, &configs, 7, port);
    }
    while pair.server.poll_incoming().is_some() {}
    ask_from(&mut pair, &configs, 200, 2000);
    let newcomer = pair.server.poll_incoming().expect("it has a place");
    assert!(newcomer.path().remote().ip().to_string().ends_with(".200"));
    std::mem::swap(&mut first.server, &mut pair.server);
    let again = wait_for_client(&mut first);
    let again = again.unwrap_or_else(|| panic!("{:?}", first.server.stats()));
    assert!(first.server.accept(first.now, again).is_some());
    assert!(first.run_until_connected(30 * SECOND));
}

/// The same when the door was closed for a moment.
#[test]
fn who_waited_when_the_door_was_closed_asks_again() {
    let configs = configs(Versions::V1_2);
    let mut pair = asking(&configs);
    wait(&mut pair).expect("nobody was announced");
    pair.server.stop_accepting();
    pair.server.serve(pair.now, configs.server.clone()).unwrap();
    let again = wait_for_client(&mut pair);
    let again = again.unwrap_or_else(|| panic!("{:?}", pair.server.stats()));
    assert!(pair.server.accept(pair.now, again).is_some());
    assert!(pair.run_until_connected(30 * SECOND));
}

/// A hello whose cookie is good and whose rest cannot be read is answered no more often than one
/// that asks.
#[test]
fn a_hello_that_cannot_be_read_is_answered_once_a_second_at_most() {
    let mut pair = asking(&configs(Versions::V1_2));
    pair.record();
    let asked = |pair: &Pair| pair.server.stats().hello_verify_requests == 1;
    assert!(pair.run_until(SECOND, asked));
    while pair.seen.as_ref().unwrap().len() < 3 {
        pair.step();
    }
    let mut hello = pair.seen.as_ref().unwrap()[2].datagram.clone();
    // One byte less, in the lengths of record, message and fragment as well.
    hello.pop();
    for low in [12, 16, 24] {
        hello[low] -= 1;
    }
    let begin = pair.now;
    while pair.now < begin + 20 * SECOND {
        pair.deliver_to_server(&hello);
        pair.transmit();
        pair.now += SECOND / 50;
    }
    let seen = pair.seen.as_ref().unwrap();
    let alerts = seen.iter().filter(|it| it.datagram[0] == 21).count();
    assert!((1..=25).contains(&alerts), "{alerts}");
}

/// However many real addresses ask, what waits is bounded, and one host does not keep out others.
#[test]
fn those_who_wait_are_bounded_and_one_host_does_not_keep_out_others() {
    let configs = configs(Versions::V1_2);
    let mut pair = asking(&configs);
    let mut announced = 0;
    let mut from_others = 0;
    for number in 0..1100_u32 {
        let host = if number % 100 == 99 { 200 } else { 7 };
        let port = u16::try_from(2000 + number).unwrap();
        ask_from(&mut pair, &configs, host, port);
    }
    while let Some(incoming) = pair.server.poll_incoming() {
        announced += 1;
        from_others += u32::from(incoming.path().remote().ip().to_string().ends_with(".200"));
        pair.server.ignore(incoming);
    }
    assert_eq!((announced, from_others), (1024, 11));
    assert_eq!(pair.server.buffered(), 0);
}
