//! Exhaustive loss: whatever single datagram or pair of datagrams of a handshake is lost, whichever
//! arrives twice or behind the next one, every kind of handshake completes (RFC 6347 §4.2.4).

use crate::common::handshakes::{
    APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Kind, OnWire, Place, Scenario, assert_agreed,
    assert_no_number_twice, assert_quiet, begin, connection, decide, decide_by, is_in_epoch,
    places, records, with_each, with_each_pair,
};
use sealgram::record::Received;
use sealgram::sim::{Direction, Fate, Pair, Seen};
use sealgram::{Event, RenegotiationRefusal, Side};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// What is sent in an undisturbed handshake.
fn undisturbed(scenario: &Scenario) -> Vec<Seen> {
    let mut pair = scenario.ready();
    pair.record();
    assert!(pair.run_until(Duration::from_secs(5), |pair| scenario.is_done(pair)));
    pair.run_for(Duration::from_secs(1));
    pair.seen.unwrap_or_default()
}

/// Runs a handshake in which the datagrams of `fates` meet with them.
fn survives(scenario: &Scenario, fates: &[(Place, Fate)]) {
    let mut pair = scenario.ready();
    pair.record();
    decide_by(&mut pair, fates);
    let circumstances = format!("{fates:?}");
    scenario.completes(&mut pair, Duration::from_secs(60), &circumstances);
    assert_no_number_twice(&pair.seen.unwrap_or_default(), &circumstances);
}

#[test]
fn every_single_datagram_may_be_lost_repeated_or_late() {
    let mut runs = 0;
    for scenario in Scenario::all() {
        let places = places(&undisturbed(&scenario));
        assert!(places.len() >= 3, "{}", scenario.name());
        runs += with_each(&places, |fates| survives(&scenario, fates));
    }
    println!("{runs} handshakes with one datagram lost, repeated or late");
}

#[test]
fn every_pair_of_datagrams_may_be_lost_repeated_or_late() {
    let mut runs = 0;
    for scenario in Scenario::all() {
        let places = places(&undisturbed(&scenario));
        runs += with_each_pair(&places, |fates| survives(&scenario, fates));
    }
    println!("{runs} handshakes with two datagrams lost, repeated or late");
}

/// The datagrams of an undisturbed handshake, by flight.
fn flights(scenario: &Scenario) -> Vec<(Direction, Vec<Vec<u8>>)> {
    let mut flights: Vec<(Direction, Vec<Vec<u8>>)> = Vec::new();
    for seen in undisturbed(scenario) {
        match flights.last_mut() {
            Some((direction, datagrams)) if *direction == seen.direction => {
                datagrams.push(seen.datagram);
            }
            _ => flights.push((seen.direction, vec![seen.datagram])),
        }
    }
    flights
}

/// How many datagrams are sent in the direction of a flight before it.
fn sent_before(flights: &[(Direction, Vec<Vec<u8>>)], index: usize) -> u64 {
    let direction = flights[index].0;
    let earlier = flights[..index].iter().filter(|(way, _)| *way == direction);
    earlier.map(|(_, datagrams)| datagrams.len() as u64).sum()
}

/// Loses `count` datagrams that carry anything but data, from the place `first` on.
fn lose(pair: &mut Pair, first: Place, count: usize) -> Rc<Cell<usize>> {
    let left = Rc::new(Cell::new(count));
    let shared = left.clone();
    decide(pair, move |(direction, index), datagram| {
        let speaks = records(datagram)
            .iter()
            .any(|(header, _)| header.content_type != APPLICATION_DATA);
        let chosen = direction == first.0 && index >= first.1;
        if chosen && speaks && shared.get() > 0 {
            shared.set(shared.get() - 1);
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    left
}

/// Whether one end has reached the epoch that the handshake leads to.
fn has_committed(scenario: &Scenario, pair: &Pair, side: Side) -> bool {
    let end = match side {
        Side::Client => pair.client_connection(),
        Side::Server => pair.server_connection(),
    };
    let epoch = 1 + u64::from(scenario.kind.is_renegotiation());
    end.is_some_and(|end| end.epoch().number() == epoch)
}

fn receive(pair: &mut Pair, side: Side) -> Vec<Received> {
    let now = pair.now;
    let (endpoint, events) = match side {
        Side::Client => (&mut pair.client, &pair.client_events),
        Side::Server => (&mut pair.server, &pair.server_events),
    };
    let Some(&(id, _)) = events.first() else {
        // A client's association is only told of when it completes.
        let ids: Vec<_> = endpoint.associations().collect();
        assert!(
            ids.iter()
                .all(|&id| endpoint.association(now, id).unwrap().recv().is_none())
        );
        return Vec::new();
    };
    std::iter::from_fn(|| endpoint.association(now, id).unwrap().recv()).collect()
}

/// E19: the flight that has no timer of its own is sent again whenever the peer repeats its own.
/// Data in the new epoch that overtakes it breaks nothing, and is delivered when it is here.
#[test]
fn a_final_flight_that_is_lost_five_times_is_sent_again_each_time() {
    for scenario in Scenario::all() {
        let name = scenario.name();
        let flights = flights(&scenario);
        let (direction, last) = flights.last().unwrap();
        assert_eq!(*direction, scenario.kind.sends_last(), "{name}");
        let (sender, receiver) = match direction {
            Direction::ToServer => (Side::Client, Side::Server),
            Direction::ToClient => (Side::Server, Side::Client),
        };
        let epoch = 1 + u64::from(scenario.kind.is_renegotiation());
        let mut pair = scenario.ready();
        let first = (*direction, sent_before(&flights, flights.len() - 1));
        let left = lose(&mut pair, first, 5 * last.len());
        assert!(
            pair.run_until(Duration::from_secs(5), |pair| has_committed(
                &scenario, pair, sender
            )),
            "{name}"
        );
        for number in 0..3_u8 {
            crate::common::handshakes::send(&mut pair, sender, &[number]).unwrap();
        }
        pair.run_for(Duration::from_millis(500));
        assert!(!scenario.is_done(&pair), "{name}");
        assert!(receive(&mut pair, receiver).is_empty(), "{name}: too early");
        let started = pair.now;
        assert!(
            pair.run_until(Duration::from_secs(100), |pair| scenario.is_done(pair)),
            "{name}"
        );
        assert_eq!(left.get(), 0, "{name}");
        assert!(pair.now - started > Duration::from_secs(30), "{name}");
        let received = receive(&mut pair, receiver);
        let found: Vec<_> = received
            .iter()
            .map(|it| (it.epoch.number(), it.data[0]))
            .collect();
        assert_eq!(found, [(epoch, 0), (epoch, 1), (epoch, 2)], "{name}");
        scenario.completes(&mut pair, Duration::ZERO, "last flight lost five times");
    }
}

/// E16: Finished and data behind it may come before what the keys for them are made from.
#[test]
fn data_that_waited_for_its_keys_beside_finished_is_delivered() {
    let mut parted = 0;
    for scenario in Scenario::all() {
        let name = scenario.name();
        let flights = flights(&scenario);
        let (direction, last) = flights.last().unwrap();
        let (sender, receiver) = match direction {
            Direction::ToServer => (Side::Client, Side::Server),
            Direction::ToClient => (Side::Server, Side::Client),
        };
        parted += u32::from(last.len() > 1);
        let mut pair = scenario.ready();
        lose(
            &mut pair,
            (*direction, sent_before(&flights, flights.len() - 1)),
            1,
        );
        assert!(
            pair.run_until(Duration::from_secs(5), |pair| has_committed(
                &scenario, pair, sender
            )),
            "{name}"
        );
        for number in 0..3_u8 {
            crate::common::handshakes::send(&mut pair, sender, &[number]).unwrap();
        }
        assert!(
            pair.run_until(Duration::from_secs(5), |pair| scenario.is_done(pair)),
            "{name}"
        );
        let received = receive(&mut pair, receiver);
        let found: Vec<_> = received.iter().map(|it| it.data[0]).collect();
        assert_eq!(found, [0, 1, 2], "{name}");
        scenario.completes(&mut pair, Duration::ZERO, "part of the last flight lost");
    }
    assert!(
        parted > 0,
        "no flight has its Finished in a datagram of its own"
    );
}

/// E15: a HelloRequest has a timer like any flight that waits for an answer.
#[test]
fn a_hello_request_that_is_lost_three_times_is_sent_again() {
    for mtu in [1400, 256] {
        let scenario = Scenario::new(Kind::Requested, mtu);
        let mut pair = scenario.ready();
        let left = lose(&mut pair, (Direction::ToClient, 0), 3);
        let start = pair.now;
        scenario.completes(&mut pair, Duration::from_secs(20), "HelloRequest lost");
        assert_eq!(left.get(), 0);
        // One, two and four seconds.
        assert!(pair.now - start > Duration::from_secs(7));
    }
}

/// E15: a client that never answers costs the server nothing but a moment and the event. Data flows
/// after that moment, and afterwards the client may still begin.
#[test]
fn a_hello_request_that_nobody_answers_comes_to_nothing() {
    let scenario = Scenario::new(Kind::Requested, 1400);
    let mut pair = scenario.ready();
    lose(&mut pair, (Direction::ToClient, 0), usize::MAX);
    for _ in 0..2 {
        assert!(connection(&pair, Side::Server).renegotiate_pending());
        assert!(pair.exchange(1));
        pair.run_for(Duration::from_millis(9800));
    }
    pair.run_for(Duration::from_secs(20));
    let (_, told) = pair.server_events.last().unwrap();
    let reason = RenegotiationRefusal::Unanswered;
    let expected = Event::RenegotiationRefused { reason };
    assert_eq!(*told, expected);
    assert_agreed(&mut pair, "unanswered");
    decide(&mut pair, |_, _| Fate::Deliver);
    begin(&mut pair, Kind::RenegotiatedFull);
    assert!(pair.run_until(Duration::from_secs(5), |pair| is_in_epoch(pair, 2)));
    assert_agreed(&mut pair, "afterwards");
    assert_quiet(&mut pair, "afterwards");
}

/// The records of a flight, in order.
fn on_wire(datagrams: &[Vec<u8>]) -> Vec<OnWire> {
    datagrams
        .iter()
        .flat_map(|datagram| records(datagram))
        .map(|(header, _)| header)
        .collect()
}

/// E6 (CVE-2013-6450): a flight with a ChangeCipherSpec, sent again, has each message under the
/// keys that it had first: the old ones up to the ChangeCipherSpec, the new ones for Finished.
#[test]
fn a_flight_that_is_sent_again_keeps_the_epoch_of_each_record() {
    let mut checked = 0;
    let renegotiations = Scenario::all().filter(|scenario| scenario.kind.is_renegotiation());
    for scenario in renegotiations {
        let name = scenario.name();
        let flights = flights(&scenario);
        for (index, (direction, datagrams)) in flights.iter().enumerate() {
            let original = on_wire(datagrams);
            let is_switch = |it: &OnWire| it.content_type == CHANGE_CIPHER_SPEC;
            let Some(switch) = original.iter().position(is_switch) else {
                continue;
            };
            let first = sent_before(&flights, index);
            let mut pair = scenario.ready();
            pair.record();
            lose(&mut pair, (*direction, first), datagrams.len());
            scenario.completes(&mut pair, Duration::from_secs(20), "flight lost");
            let seen = pair.seen.unwrap_or_default();
            assert_no_number_twice(&seen, &name);
            let first = usize::try_from(first).unwrap();
            let sent: Vec<_> = seen
                .into_iter()
                .filter(|seen| seen.direction == *direction)
                .map(|seen| seen.datagram)
                .skip(first)
                .collect();
            let lost = on_wire(&sent[..datagrams.len()]);
            let again = on_wire(&sent[datagrams.len()..2 * datagrams.len()]);
            let shape = |flight: &[OnWire]| -> Vec<_> {
                flight
                    .iter()
                    .map(|it| (it.content_type, it.epoch))
                    .collect()
            };
            assert_eq!(shape(&lost), shape(&original), "{name}");
            assert_eq!(shape(&again), shape(&original), "{name}");
            let (old, new) = again.split_at(switch + 1);
            assert!(old.iter().all(|it| it.epoch == 1), "{name}: {again:?}");
            assert_eq!(shape(new), [(HANDSHAKE, 2)], "{name}");
            checked += 1;
        }
    }
    // Two flights with a ChangeCipherSpec in each handshake.
    assert_eq!(checked, 2 * 2 * Kind::RENEGOTIATIONS.len());
}

/// E8: a datagram that was lost in one handshake comes in the middle of the next one, at every
/// moment of it.
#[test]
fn a_datagram_of_one_handshake_may_come_in_the_next() {
    let mut runs = 0;
    for scenario in Scenario::all() {
        for place in places(&undisturbed(&scenario)) {
            for next in Kind::RENEGOTIATIONS {
                let mut moment = 0;
                while comes_late(&scenario, place, next, moment) {
                    moment += 1;
                }
                assert!(
                    moment > 3,
                    "{}: {next:?} has too few moments",
                    scenario.name()
                );
                runs += moment;
            }
        }
    }
    println!("{runs} handshakes with a datagram of the handshake before");
}

/// Loses the datagram at `place` and delivers it in the handshake that follows, before step
/// `moment` of that. `false` if it has fewer steps.
fn comes_late(scenario: &Scenario, place: Place, next: Kind, moment: u32) -> bool {
    let name = format!("{}, {place:?} in {next:?} at {moment}", scenario.name());
    let mut pair = scenario.ready();
    pair.record();
    decide(&mut pair, move |other, _| {
        if other == place {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    let limit = Duration::from_secs(60);
    assert!(
        pair.run_until(limit, |pair| scenario.is_done(pair)),
        "{name}"
    );
    pair.run_for(Duration::from_millis(100));
    let epoch = 1 + u64::from(scenario.kind.is_renegotiation());
    let seen = pair.seen.clone().unwrap_or_default();
    let index = places(&seen).iter().position(|&other| other == place);
    let late = &seen[index.expect("it was sent")];
    begin(&mut pair, next);
    for _ in 0..moment {
        if is_in_epoch(&pair, epoch + 1) {
            return false;
        }
        pair.step();
    }
    match late.direction {
        Direction::ToServer => pair.deliver_to_server(&late.datagram),
        Direction::ToClient => pair.deliver_to_client(&late.datagram),
    }
    assert!(
        pair.run_until(limit, |pair| is_in_epoch(pair, epoch + 1)),
        "{name}: {:?} {:?}",
        connection(&pair, Side::Client),
        connection(&pair, Side::Server)
    );
    pair.run_for(Duration::from_millis(100));
    assert_agreed(&mut pair, &name);
    true
}

/// RFC 6347 §4.1.1.1: where large datagrams vanish, the handshake gets through with smaller ones.
#[test]
fn a_path_that_swallows_large_datagrams_is_passed_with_smaller_ones() {
    for kind in [
        Kind::ClientCertificate,
        Kind::RenegotiatedFull,
        Kind::Requested,
    ] {
        let scenario = Scenario::new(kind, 1400);
        let mut pair = scenario.ready();
        decide(&mut pair, |_, datagram| {
            if datagram.len() > 600 {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        });
        scenario.completes(&mut pair, Duration::from_secs(120), "path of 600 bytes");
    }
}
