//! Stores of shared keys that cannot answer at once: the handshake waits, and nothing else does.

use crate::common::configs::{server_name, start};
use crate::common::shared_keys::{client, configs, key, named, server};
use bytes::BytesMut;
use sealgram::endpoint::{Endpoint, EndpointPolicy};
use sealgram::identity::{ChooseSharedKey, FindSharedKey, SharedKey, SharedKeyQuery};
use sealgram::sim::{Direction, Pair, StreamPair};
use sealgram::{Error, Event, Path, Reply};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Questions that lie on a desk until the test answers them; another name is answered at once.
#[derive(Default)]
struct Desk {
    waiting: Mutex<Vec<Reply<Option<SharedKey>>>>,
    asked: Mutex<u32>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    fn answer(&self, found: Option<&SharedKey>) -> usize {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        let count = waiting.len();
        waiting
            .into_iter()
            .for_each(|reply| reply.send(found.cloned()));
        count
    }

    fn drop_all(&self) -> usize {
        std::mem::take(&mut *self.waiting.lock().unwrap()).len()
    }
}

impl FindSharedKey for Desk {
    fn find(&self, _: &SharedKeyQuery) -> Option<SharedKey> {
        None
    }

    fn find_later(&self, query: SharedKeyQuery, found: Reply<Option<SharedKey>>) {
        *self.asked.lock().unwrap() += 1;
        if query.identity == b"quick" {
            found.send(Some(named(b"quick")));
        } else {
            self.waiting.lock().unwrap().push(found);
        }
    }
}

impl ChooseSharedKey for Desk {
    fn choose(&self, _: &str, _: &[u8]) -> Option<SharedKey> {
        None
    }

    fn choose_later(&self, _: String, _: Vec<u8>, chosen: Reply<Option<SharedKey>>) {
        self.waiting.lock().unwrap().push(chosen);
    }
}

fn completed(events: &[(sealgram::endpoint::AssociationId, Event)]) -> usize {
    let done = |event: &Event| matches!(event, Event::HandshakeComplete { .. });
    events.iter().filter(|(_, event)| done(event)).count()
}

fn sent_to_client(pair: &Pair) -> usize {
    let seen = pair.seen.as_ref().unwrap().iter();
    seen.filter(|seen| seen.direction == Direction::ToClient)
        .count()
}

fn waiting_pair(desk: &Arc<Desk>) -> Pair {
    let configs = configs(client(key()), server([]).shared_keys(desk.clone()));
    let mut pair = configs.pair(1);
    pair.record();
    while desk.waiting.lock().unwrap().is_empty() {
        assert!(pair.step(), "asked");
    }
    pair
}

/// Whether the server of a pair completes a handshake with a client at another address.
fn serves_another(pair: &mut Pair) -> bool {
    let config = Arc::new(client(named(b"quick")).build().unwrap());
    let now = pair.now;
    let mut other = Endpoint::new(now, EndpointPolicy::default(), None).unwrap();
    let (here, there) = (
        ([192, 0, 2, 77], 7_000).into(),
        Path::new(pair.server_address),
    );
    let id = other.connect(now, config, server_name(), there).unwrap();
    let mut out = Vec::new();
    for _ in 0..8 {
        while let Some(sent) = {
            out.clear();
            other.poll_transmit(now, 1, &mut out)
        } {
            let datagram = BytesMut::from(&out[..sent.len]);
            let path = Path::new(here);
            pair.server.handle_datagram(now, path, datagram);
        }
        while let Some(sent) = {
            out.clear();
            pair.server.poll_transmit(now, 1, &mut out)
        } {
            assert_eq!(
                sent.path.remote(),
                here,
                "nothing is sent to the one that waits"
            );
            other.handle_datagram(now, there, BytesMut::from(&out[..sent.len]));
        }
    }
    let end = other.connection(id);
    end.is_some_and(|end| end.peer_identity().is_some())
}

/// K10: an answer after 0, 3 and 30 seconds. Nothing is sent again meanwhile, and other clients are
/// served as ever.
#[test]
fn n54_08_k10_a_store_may_answer_later() {
    for seconds in [0, 3, 30] {
        let desk = Arc::new(Desk::default());
        let mut pair = waiting_pair(&desk);
        let before = sent_to_client(&pair);
        pair.run_for(Duration::from_secs(seconds));
        // The client repeats its flight; the server does not.
        assert_eq!(sent_to_client(&pair), before, "after {seconds} s");
        assert_eq!(completed(&pair.server_events), 0);
        assert!(serves_another(&mut pair), "after {seconds} s");
        assert_eq!(desk.answer(Some(&key())), 1);
        let now = pair.now;
        pair.server.handle_answers(now);
        pair.run_for(Duration::from_secs(31));
        assert_eq!(completed(&pair.client_events), 1);
        assert_eq!(completed(&pair.server_events), 2);
        // However often the client has repeated itself, the key was looked up once.
        assert_eq!(*desk.asked.lock().unwrap(), 2);
    }
}

/// K10: no answer at all ends at the deadline, a late one changes nothing, and a question that is
/// dropped is a key that was not found.
#[test]
fn n54_08_k10_a_store_that_never_answers_ends_at_the_deadline() {
    let desk = Arc::new(Desk::default());
    let mut pair = waiting_pair(&desk);
    pair.run_for(Duration::from_secs(130));
    let failure = crate::common::datagram_harness::failure(&pair.server_events).unwrap();
    assert!(matches!(failure.error, Error::TimedOut { .. }), "{failure}");
    assert_eq!(failure.state, "ExpectSharedKey");
    assert_eq!(desk.answer(Some(&key())), 1);
    let now = pair.now;
    pair.server.handle_answers(now);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(completed(&pair.server_events), 0);

    let desk = Arc::new(Desk::default());
    let mut pair = waiting_pair(&desk);
    assert_eq!(desk.drop_all(), 1);
    let now = pair.now;
    pair.server.handle_answers(now);
    pair.run_for(Duration::from_secs(130));
    let failure = crate::common::datagram_harness::failure(&pair.server_events).unwrap();
    assert_eq!(failure.state, "ExpectFinished");
}

/// Over a stream everything waits: what comes after the question stays where it is.
#[test]
fn n54_08_a_stream_waits_for_store_and_choice() {
    let (desk, chooser) = (Arc::new(Desk::default()), Arc::new(Desk::default()));
    let configs = configs(
        client(key()).choose_shared_key(chooser.clone()),
        server([]).shared_keys(desk.clone()),
    );
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    pair.run();
    assert!(pair.client.connection.awaits_answer());
    assert_eq!(chooser.answer(Some(&key())), 1);
    let now = pair.now;
    pair.client.connection.handle_answers(now).unwrap();
    pair.run();
    assert!(pair.server.connection.awaits_answer());
    pair.run_for(Duration::from_secs(8));
    assert_eq!(desk.answer(Some(&key())), 1);
    let now = pair.now;
    pair.server.connection.handle_answers(now).unwrap();
    pair.server.deliver(now, &[]);
    pair.run();
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    assert!(pair.client.connection.peer_identity().is_some());
    assert!(pair.server.connection.peer_identity().is_some());
}

/// A choice that is dropped ends the handshake at once, with a reason.
#[test]
fn a_choice_that_nobody_makes_is_an_error() {
    let chooser = Arc::new(Desk::default());
    let configs = configs(
        client(key()).choose_shared_key(chooser.clone()),
        server([key()]),
    );
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    pair.run();
    assert_eq!(chooser.drop_all(), 1);
    let now = pair.now;
    let error = pair.client.connection.handle_answers(now).unwrap_err();
    assert!(matches!(error, Error::ReplyMissing(what) if what.contains("shared key")));
}

/// RFC 6347 §4.2.1, RFC 9257 §7: nobody is looked up whose address is not proved.
#[test]
fn a_cookie_comes_before_every_look_up() {
    let desk = Arc::new(Desk::default());
    let configs = configs(client(key()), server([]).shared_keys(desk.clone()));
    let mut pair = configs.pair(1);
    pair.to_client.hold(true);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(*desk.asked.lock().unwrap(), 0);
    pair.to_client.hold(false);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(*desk.asked.lock().unwrap(), 1);
}
