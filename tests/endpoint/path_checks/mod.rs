//! Whether a peer is followed that is heard elsewhere, and how its new address is proved
//! (RFC 9146 §6, RFC 9853).

mod copied;

use crate::common::configs::Ends;
use crate::common::handshakes::{connection, renegotiate, send, willing};
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::record::Discard;
use sealgram::sim::{Account, Conditions, Fate, Pair};
use sealgram::{Event, KeyUpdate, Path, Side};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(100);
const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

/// Ends with connection IDs of eight bytes, whose server follows its client as `migration` says.
fn ends(versions: Versions, migration: Migration) -> Ends {
    let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
    let mut ends = Ends::new().versions(versions).datagram(&policy);
    let server = policy.timer_jitter(0).unwrap().migration(migration);
    ends.server = ends.server.datagram(server).rekey(willing());
    ends
}

/// Two such ends that are connected, with a ledger.
fn connected(versions: Versions, migration: Migration) -> Pair {
    let mut pair = ends(versions, migration).build().connected(1);
    pair.run_for(SECOND);
    pair.keep_ledger();
    pair
}

/// Where the association is that the server has.
fn peer(pair: &Pair) -> SocketAddr {
    pair.server_connection().unwrap().path().remote()
}

/// What one end has received.
fn received(pair: &mut Pair, side: Side) -> Vec<Vec<u8>> {
    let (client, server) = (pair.client_id(), pair.server_id());
    let (endpoint, id) = match side {
        Side::Client => (&mut pair.client, client),
        Side::Server => (&mut pair.server, server),
    };
    let mut end = endpoint.association(pair.now, id.unwrap()).unwrap();
    std::iter::from_fn(|| end.recv())
        .map(|received| received.data.to_vec())
        .collect()
}

/// The events of the server about paths, which are taken: where to, and whether that was validated;
/// `None` for one that does not answer.
fn news(pair: &mut Pair) -> Vec<(SocketAddr, Option<bool>)> {
    let events = std::mem::take(&mut pair.server_events);
    let news = events.iter().filter_map(|(_, event)| match event {
        Event::PathChanged(it) => Some((it.to.remote(), Some(it.validated))),
        Event::PathNotValidated(path) => Some((path.remote(), None)),
        _ => None,
    });
    let news = news.collect();
    let rest = events.into_iter();
    pair.server_events = rest
        .filter(|(_, it)| matches!(it, Event::HandshakeComplete { .. }))
        .collect();
    news
}

/// What the server has sent to `address`, and what it has had from there.
fn account(pair: &Pair, address: SocketAddr) -> Account {
    let ledger = pair.ledger.as_ref().unwrap();
    assert_eq!(ledger.overdrafts(), []);
    ledger.account(Side::Server, address)
}

fn discarded(pair: &Pair, cause: Discard) -> u64 {
    connection(pair, Side::Server).stats().discarded(cause)
}

/// A datagram of `side` that is not on its way yet.
fn datagram(pair: &mut Pair, side: Side, data: &[u8]) -> Vec<u8> {
    send(pair, side, data).unwrap();
    taken(pair, side)
}

/// The datagram that `side` has to send.
fn taken(pair: &mut Pair, side: Side) -> Vec<u8> {
    let endpoint = match side {
        Side::Client => &mut pair.client,
        Side::Server => &mut pair.server,
    };
    let mut out = Vec::new();
    endpoint.poll_transmit(pair.now, 1, &mut out).unwrap();
    out
}

/// Sends `count` messages each way, all of which arrive; what has come before is dropped.
fn talk(pair: &mut Pair, count: u32) -> bool {
    received(pair, Side::Server);
    received(pair, Side::Client);
    pair.exchange(count)
}

fn elsewhere(port: u16) -> SocketAddr {
    ([198, 51, 100, 7], port).into()
}

const DATA: [u8; 100] = [7; 100];

/// J1, RFC 9146 §6: by whatever way it comes, what is not the newest is delivered and moves nobody,
/// also where the keys were replaced meanwhile.
#[test]
fn j01_n51_14_n51_15_only_the_newest_record_moves() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Newest);
        let home = peer(&pair);
        let [old, late, newest] =
            [b"1", b"2", b"3"].map(|it| datagram(&mut pair, Side::Client, it));
        pair.deliver(Side::Server, elsewhere(1), &newest);
        assert_eq!(news(&mut pair), [(elsewhere(1), Some(false))]);
        pair.deliver(Side::Server, elsewhere(2), &late);
        pair.deliver(Side::Server, home, &late);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], elsewhere(1)));
        assert_eq!(received(&mut pair, Side::Server), [b"3", b"2"]);

        // It is at home again, and its keys are replaced.
        assert!(talk(&mut pair, 1));
        assert_eq!(news(&mut pair), [(home, Some(false))]);
        let in_old_epoch = datagram(&mut pair, Side::Client, b"4");
        let before = connection(&pair, Side::Client).epoch();
        match versions == Versions::V1_2 {
            true => renegotiate(&mut pair, Side::Client, false).unwrap(),
            false => {
                let id = pair.client_id().unwrap();
                let mut end = pair.client.association(pair.now, id).unwrap();
                end.key_update(KeyUpdate::NotRequested).unwrap();
            }
        }
        pair.run_for(SECOND);
        for old in [&old, &in_old_epoch] {
            pair.deliver(Side::Server, elsewhere(3), old);
        }
        assert_eq!(received(&mut pair, Side::Server), [b"1", b"4"]);
        // Also if nothing but the handshake has come under the new ones.
        assert!(connection(&pair, Side::Client).epoch() >= before);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        let newest = datagram(&mut pair, Side::Client, b"5");
        pair.deliver(Side::Server, elsewhere(4), &newest);
        assert_eq!(news(&mut pair), [(elsewhere(4), Some(false))]);
    }
}

/// RFC 9146 §6: what does not authenticate, or has come before, moves nobody.
#[test]
fn n51_14_copies_and_forgeries_move_nobody() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Newest);
        let home = peer(&pair);
        let newest = datagram(&mut pair, Side::Client, &DATA);
        let mut forged = newest.clone();
        *forged.last_mut().unwrap() ^= 1;
        pair.deliver(Side::Server, elsewhere(1), &forged);
        assert_eq!(discarded(&pair, Discard::Unauthenticated), 1);
        pair.deliver(Side::Server, home, &newest);
        pair.deliver(Side::Server, elsewhere(1), &newest);
        assert_eq!(discarded(&pair, Discard::Replay), 1);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        assert_eq!(received(&mut pair, Side::Server).len(), 1);
    }
}

/// Whoever follows nobody hears a peer wherever it is, and sends to the first address.
#[test]
fn who_follows_nobody_hears_everybody() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Never);
        let home = peer(&pair);
        pair.keep_old = true;
        pair.rebind_client();
        assert!(talk(&mut pair, 20));
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        assert_eq!(account(&pair, pair.client_address).sent, 0);
    }
}

/// RFC 9853 §5.1: the new address is asked; until it has answered, data goes to the old one.
#[test]
fn n53_06_n53_08_a_new_address_is_asked_before_anything_else_goes_there() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Validated);
        let home = peer(&pair);
        pair.rebind_client();
        let address = pair.client_address;
        send(&mut pair, Side::Client, &DATA).unwrap();
        pair.run_for(Duration::from_millis(15));
        let asked = account(&pair, address);
        assert!((1..100).contains(&asked.sent), "{asked:?}");
        assert_eq!((peer(&pair), asked.proved), (home, None));
        send(&mut pair, Side::Server, &[1; 1000]).unwrap();
        pair.transmit();
        assert_eq!(account(&pair, address), asked);
        // A round trip later it has moved.
        pair.run_for(Duration::from_millis(25));
        assert_eq!((peer(&pair), pair.astray), (address, 1));
        assert_eq!(news(&mut pair), [(address, Some(true))]);
        assert!(talk(&mut pair, 20));
        pair.run_for(10 * SECOND);
        assert_eq!(news(&mut pair), []);
        assert_eq!(discarded(&pair, Discard::PathCheck), 0);
    }
}

/// Who sends a few bytes at a time is followed as well: what counts for the limit is all that has
/// come from there, not only the contents (RFC 9853 §2).
#[test]
fn n53_06_who_says_little_is_followed() {
    for versions in VERSIONS {
        for data in [&b"a"[..], b"four"] {
            let mut pair = connected(versions, Migration::Validated);
            pair.rebind_client();
            send(&mut pair, Side::Client, data).unwrap();
            pair.run_for(SECOND);
            let address = pair.client_address;
            assert_eq!(news(&mut pair), [(address, Some(true))], "{versions:?}");
            account(&pair, address);
        }
    }
}

/// RFC 9853 §2: a record counts with every byte that it has on the wire, explicit nonce and padding
/// included. What leaves room for three challenges is answered with three.
#[test]
fn n53_06_a_record_counts_with_all_of_its_bytes() {
    let mut ends = ends(Versions::V1_2, Migration::Validated);
    let policy = DatagramPolicy::default().connection_ids(Some(4)).unwrap();
    ends.client = ends.client.datagram(policy);
    let mut pair = ends.build().connected(1);
    pair.run_for(SECOND);
    pair.keep_ledger();
    let copied = datagram(&mut pair, Side::Client, b"nine byte");
    pair.unreachable.insert(elsewhere(1));
    pair.deliver(Side::Server, elsewhere(1), &copied);
    pair.run_for(2 * SECOND);
    let account = account(&pair, elsewhere(1));
    // Header, connection ID, explicit nonce, type and cookie, inner type, tag.
    let challenge = 13 + 4 + 8 + 9 + 1 + 16;
    assert_eq!(account.sent, 3 * challenge);
    assert_eq!(account.received, 55);
}

/// RFC 9853 §5: an end that is asked by somebody who seems to have moved himself answers, and what
/// that takes is missing for its own challenges.
#[test]
fn n53_06_an_answer_counts_for_what_may_be_sent_to_an_address() {
    for versions in VERSIONS {
        let mut ends = ends(versions, Migration::Validated);
        // What the client receives is longer than what it sends.
        let policy = DatagramPolicy::default().connection_ids(Some(20)).unwrap();
        ends.client = ends.client.datagram(policy);
        let mut pair = ends.build().connected(1);
        pair.run_for(SECOND);
        pair.keep_ledger();
        let copied = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(1), &copied);
        let challenge = taken(&mut pair, Side::Server);
        pair.unreachable.insert(elsewhere(9));
        pair.deliver(Side::Client, elsewhere(9), &challenge);
        pair.run_for(2 * SECOND);
        let ledger = pair.ledger.as_ref().unwrap();
        assert_eq!(ledger.overdrafts(), []);
        let account = ledger.account(Side::Client, elsewhere(9));
        assert!(account.sent > account.received, "{account:?}");
    }
}

/// RFC 9853 §5.3, §5.5: three challenges, one by one, and no more than that; then it stays where it
/// was. What comes from a third address meanwhile starts nothing, and what comes from home ends
/// nothing.
#[test]
fn n53_07_n53_10_n53_12_n53_15_a_new_address_that_is_silent_is_given_up() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Validated);
        let home = peer(&pair);
        let victim = elsewhere(1);
        pair.unreachable.insert(victim);
        let copied = datagram(&mut pair, Side::Client, &DATA);
        let before = pair.to_client.sent();
        pair.deliver(Side::Server, victim, &copied);
        pair.run_for(MOMENT);
        assert_eq!(pair.to_client.sent() - before, 1);
        let third = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(2), &third);
        pair.run_for(SECOND / 2);
        assert_eq!(pair.to_client.sent() - before, 2);
        assert_eq!(received(&mut pair, Side::Server), [DATA, DATA]);
        assert!(talk(&mut pair, 1));
        pair.run_for(SECOND / 2);
        assert_eq!(pair.to_client.sent() - before, 3 + 1);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![(victim, None)], home));
        pair.run_for(10 * SECOND);
        assert_eq!((news(&mut pair), pair.astray), (vec![], 3));
        assert_eq!(account(&pair, elsewhere(2)).sent, 0);
        // Who is there after the check is asked.
        pair.rebind_client();
        assert!(!talk(&mut pair, 1));
        pair.run_for(SECOND);
        assert_eq!(news(&mut pair), [(pair.client_address, Some(true))]);
    }
}

/// RFC 9853 §5.3, §5.4: each challenge is for one answer, whichever of them that is.
#[test]
fn n53_10_the_answer_to_any_of_the_challenges_counts() {
    for versions in VERSIONS {
        for lost in 0..3 {
            let mut pair = connected(versions, Migration::Validated);
            pair.rebind_client();
            let base = pair.to_client.sent();
            pair.to_client
                .script(move |index, _| match index - base < lost {
                    true => Fate::Drop,
                    false => Fate::Deliver,
                });
            send(&mut pair, Side::Client, &DATA).unwrap();
            pair.run_for(2 * SECOND);
            assert_eq!(news(&mut pair), [(pair.client_address, Some(true))]);
            assert_eq!(pair.to_client.sent() - base, lost + 1);
        }
    }
}

/// RFC 9853 §5.3: an answer counts also if another challenge was sent meanwhile.
#[test]
fn n53_10_a_late_answer_counts() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Validated);
        pair.to_client.set_conditions(Conditions {
            delay: SECOND / 2,
            ..Conditions::default()
        });
        pair.rebind_client();
        send(&mut pair, Side::Client, &DATA).unwrap();
        pair.run_for(Duration::from_millis(600));
        assert_eq!(news(&mut pair), [(pair.client_address, Some(true))]);
        // Its own answer comes when nothing is asked any more.
        pair.run_for(SECOND);
        assert_eq!(discarded(&pair, Discard::PathCheck), 1);
    }
}

/// RFC 9853 §5.5: who knows how long a round trip takes, says so.
#[test]
fn n53_12_a_check_lasts_as_long_as_the_first_timeout() {
    let timeout = Duration::from_millis(300);
    for versions in VERSIONS {
        let mut ends = ends(versions, Migration::Validated);
        let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
        let policy = policy.retransmission_timeouts(timeout, SECOND).unwrap();
        ends.server = ends.server.datagram(policy);
        let mut pair = ends.build().connected(1);
        pair.run_for(SECOND);
        pair.unreachable.insert(elsewhere(1));
        let copied = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(1), &copied);
        let soon = Duration::from_millis(10);
        pair.run_for(timeout - soon);
        assert_eq!(news(&mut pair), []);
        pair.run_for(2 * soon);
        assert_eq!(news(&mut pair), [(elsewhere(1), None)]);
    }
}

/// RFC 9853 §5.4: the answer goes where the challenge came from, once; and by another way it proves
/// nothing.
#[test]
fn n53_11_n53_14_n53_16_an_answer_counts_by_the_way_that_was_asked() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Validated);
        let home = peer(&pair);
        let copied = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(1), &copied);
        let challenge = taken(&mut pair, Side::Server);
        // Somebody passes it on.
        let client = Path::new(elsewhere(9));
        let now = pair.now;
        for _ in 0..2 {
            let challenge = challenge.as_slice().into();
            pair.client.handle_datagram(now, client, challenge);
        }
        let mut sent = Vec::new();
        let mut out = Vec::new();
        while let Some(transmit) = pair.client.poll_transmit(now, 1, &mut out) {
            assert_eq!(transmit.path, client);
            sent.push(std::mem::take(&mut out));
        }
        // The answer, and a challenge: the server seems to have moved as well.
        let [answer, _] = sent.try_into().unwrap();
        pair.deliver(Side::Server, home, &answer);
        assert_eq!(discarded(&pair, Discard::PathCheck), 1);
        pair.deliver(Side::Server, elsewhere(1), &answer);
        assert_eq!(discarded(&pair, Discard::Replay), 1);
        assert_eq!((news(&mut pair), peer(&pair)), (vec![], home));
        assert_eq!(received(&mut pair, Side::Server).len(), 1);
    }
}

/// RFC 9853 §5.4, §8: an answer to what was asked in an earlier check is for that one.
#[test]
fn n53_10_n53_14_the_answer_to_an_earlier_check_proves_nothing() {
    for versions in VERSIONS {
        let mut pair = connected(versions, Migration::Validated);
        let home = peer(&pair);
        pair.unreachable.insert(elsewhere(1));
        let copied = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(1), &copied);
        let challenge = taken(&mut pair, Side::Server);
        pair.deliver_to_client(&challenge);
        let answer = taken(&mut pair, Side::Client);
        pair.run_for(2 * SECOND);
        assert_eq!(news(&mut pair), [(elsewhere(1), None)]);
        let copied = datagram(&mut pair, Side::Client, &DATA);
        pair.deliver(Side::Server, elsewhere(1), &copied);
        pair.deliver(Side::Server, elsewhere(1), &answer);
        assert_eq!(discarded(&pair, Discard::PathCheck), 1);
        pair.run_for(2 * SECOND);
        assert_eq!(
            (news(&mut pair), peer(&pair)),
            (vec![(elsewhere(1), None)], home)
        );
    }
}

/// The keys that are being agreed on are no way to ask a server that has moved meanwhile: it may
/// lack what it needs to make them, and that goes where it was.
#[test]
fn a_server_that_moves_in_a_renegotiation_is_asked_under_keys_that_it_has() {
    let policy = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
    let mut ends = Ends::new().datagram(&policy);
    ends.server = ends.server.rekey(willing());
    let mut pair = ends.build().connected(1);
    pair.run_for(SECOND);
    renegotiate(&mut pair, Side::Client, false).unwrap();
    // The hello arrives, and nothing after it.
    let base = pair.to_server.sent();
    pair.to_server.script(move |index, _| match index == base {
        true => Fate::Deliver,
        false => Fate::Drop,
    });
    pair.run_for(MOMENT);
    assert!(pair.to_server.sent() - base > 1);
    pair.rebind_server();
    pair.set_conditions(&Conditions::default());
    send(&mut pair, Side::Server, &DATA).unwrap();
    pair.run_for(5 * SECOND);
    let client = connection(&pair, Side::Client);
    assert_eq!(client.path().remote(), pair.server_address);
    assert_eq!(client.epoch().number(), 2, "{:?}", pair.client_events);
    assert!(talk(&mut pair, 3));
}
