//! Exhaustive loss: whatever single datagram or pair of datagrams is lost, whichever arrives twice or behind the
//! next one, every handshake completes (RFC 6347 §4.2.4).

mod support;

use sealgram::config::DatagramPolicy;
use sealgram::sim::{Direction, Fate, Pair};
use std::time::Duration;
use support::{Configs, Ends};

/// A handshake whose flights have several datagrams each, so that parts of flights can be lost.
fn kinds() -> [(&'static str, Configs); 4] {
    let small = DatagramPolicy::default().mtu(256).unwrap();
    [
        ("full", Ends::new().build()),
        (
            "full, 256-byte datagrams",
            Ends::new().datagram(&small).build(),
        ),
        ("client certificate", Ends::new().mutual().build()),
        (
            "client certificate, 256-byte datagrams",
            Ends::new().mutual().datagram(&small).build(),
        ),
    ]
}

/// Every datagram of an undisturbed handshake, by direction and place.
fn datagrams(configs: &Configs) -> Vec<(Direction, u64)> {
    let mut pair = configs.pair(1);
    pair.record();
    assert!(pair.run_until_connected(Duration::from_secs(5)));
    pair.run_for(Duration::from_secs(1));
    let mut counts = [0, 0];
    let seen = pair.seen.unwrap_or_default();
    seen.into_iter()
        .map(|seen| {
            let count = &mut counts[usize::from(seen.direction == Direction::ToClient)];
            *count += 1;
            (seen.direction, *count - 1)
        })
        .collect()
}

/// Runs a handshake in which the datagrams of `fates` meet with them; then both ends talk, and go quiet.
fn survives(configs: &Configs, fates: &[((Direction, u64), Fate)]) {
    let mut pair = configs.pair(1);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let own: Vec<(u64, Fate)> = fates
            .iter()
            .filter(|((way, _), _)| *way == direction)
            .map(|&((_, index), fate)| (index, fate))
            .collect();
        let link = match direction {
            Direction::ToServer => &mut pair.to_server,
            Direction::ToClient => &mut pair.to_client,
        };
        link.script(move |index, _| {
            own.iter()
                .find(|(place, _)| *place == index)
                .map_or(Fate::Deliver, |&(_, fate)| fate)
        });
    }
    assert!(
        pair.run_until_connected(Duration::from_secs(60)),
        "{fates:?}: {:?}",
        pair.client_events
    );
    assert!(pair.exchange(3), "{fates:?}");
    is_quiet_after(&mut pair, fates);
}

/// After twice the MSL nothing of the handshake is left: no timer before the idle timeout, nothing buffered.
fn is_quiet_after(pair: &mut Pair, fates: &[((Direction, u64), Fate)]) {
    pair.run_for(Duration::from_secs(300));
    let sent = (pair.to_server.sent(), pair.to_client.sent());
    pair.run_for(Duration::from_secs(300));
    assert_eq!(
        sent,
        (pair.to_server.sent(), pair.to_client.sent()),
        "{fates:?}: still sending"
    );
    assert_eq!(
        pair.server.buffered() + pair.client.buffered(),
        0,
        "{fates:?}"
    );
}

#[test]
fn every_single_datagram_may_be_lost_repeated_or_late() {
    for (name, configs) in kinds() {
        let datagrams = datagrams(&configs);
        assert!(datagrams.len() >= 6, "{name}");
        for &datagram in &datagrams {
            for fate in [Fate::Drop, Fate::Duplicate, Fate::Swap] {
                survives(&configs, &[(datagram, fate)]);
            }
        }
    }
}

#[test]
fn every_pair_of_datagrams_may_be_lost() {
    for (_, configs) in kinds() {
        let datagrams = datagrams(&configs);
        for (index, &first) in datagrams.iter().enumerate() {
            for &second in &datagrams[index + 1..] {
                survives(&configs, &[(first, Fate::Drop), (second, Fate::Drop)]);
            }
        }
    }
}

/// E19 for the first handshake: the server's final flight is lost five times.
#[test]
fn a_final_flight_that_is_lost_five_times_is_sent_again_each_time() {
    let configs = Ends::new().build();
    let last = datagrams(&configs)
        .into_iter()
        .rev()
        .find(|(way, _)| *way == Direction::ToClient);
    let (_, first_final) = last.expect("the server sends last");
    let mut pair = configs.pair(1);
    pair.to_client.script(move |index, _| {
        if (first_final..first_final + 5).contains(&index) {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    });
    assert!(
        pair.run_until_connected(Duration::from_secs(100)),
        "{:?}",
        pair.client_events
    );
    assert!(pair.exchange(10));
}

/// RFC 6347 §4.1.1.1: where large datagrams vanish, the handshake gets through with smaller ones.
#[test]
fn a_path_that_swallows_large_datagrams_is_passed_with_smaller_ones() {
    let mut pair = Ends::new().mutual().build().pair(1);
    for link in [&mut pair.to_server, &mut pair.to_client] {
        link.script(|_, datagram| {
            if datagram.len() > 600 {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        });
    }
    assert!(
        pair.run_until_connected(Duration::from_secs(120)),
        "{:?}",
        pair.client_events
    );
}
