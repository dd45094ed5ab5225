//! Associations that live long over bad links: both ends send all the time, and their keys are
//! replaced by themselves.

use crate::common::configs::Ends;
use sealgram::Event;
use sealgram::config::{ClientRenegotiation, DataDuringRenegotiation, RekeyPolicy, Versions};
use sealgram::endpoint::{AssociationId, Endpoint};
use sealgram::error::SendError;
use sealgram::record::Discard;
use sealgram::sim::Conditions;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long each association is watched, in virtual time.
const LIFE: Duration = Duration::from_secs(60);

/// How often each end sends.
const TICK: Duration = Duration::from_millis(10);

/// What honest peers and a bad network can cause: a HelloRequest crosses a hello, and data that
/// overtakes a lost Finished is kept only as far as there is room.
const EXPECTED: [Discard; 6] = [
    Discard::Replay,
    Discard::OldMessage,
    Discard::OldEpoch,
    Discard::ChangeCipherSpec,
    Discard::UnexpectedMessage,
    Discard::ReceiveQueueFull,
];

/// One end's side of the conversation.
#[derive(Default)]
struct Talk {
    sent: u64,
    /// What was taken by `send` and may still come.
    received: BTreeSet<u64>,
}

impl Talk {
    /// Sends the next number, unless the end holds as much as it may.
    fn say(&mut self, pair: (&mut Endpoint, AssociationId), now: Instant) {
        let (endpoint, id) = pair;
        let number = self.sent.to_be_bytes();
        match endpoint
            .association(now, id)
            .unwrap()
            .send(&[&number[..], &[7; 92]].concat())
        {
            Ok(()) => self.sent += 1,
            Err(SendError::Renegotiating | SendError::Backlog) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes what the other end has said: nothing twice, nothing altered, nothing that was never
    /// sent.
    fn hear(&mut self, endpoint: &mut Endpoint, id: AssociationId, now: Instant) {
        while let Some(received) = endpoint.association(now, id).unwrap().recv() {
            let (number, rest) = received.data.split_first_chunk().unwrap();
            assert_eq!(rest, [7; 92]);
            let number = u64::from_be_bytes(*number);
            assert!(number < self.sent);
            assert!(self.received.insert(number), "{number} came twice");
        }
    }
}

/// Both ends talk for a while over links this bad, and more than this part of what they say
/// `arrives`. The epoch in which the faster one writes then: with every loss of an update, or of
/// its acknowledgement, the wait for the next try doubles.
fn talk(
    versions: Versions,
    policy: &RekeyPolicy,
    conditions: &Conditions,
    arrives: f64,
    seed: u64,
) -> u64 {
    let mut ends = Ends::new().versions(versions);
    ends.client = ends.client.rekey(policy.clone());
    ends.server = ends.server.rekey(policy.clone());
    let mut pair = ends.build().connected(seed);
    pair.run_for(Duration::from_secs(1));
    pair.set_conditions(conditions);
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let (mut up, mut down) = (Talk::default(), Talk::default());
    let end = pair.now + LIFE;
    while pair.now < end {
        let now = pair.now;
        up.say((&mut pair.client, client), now);
        down.say((&mut pair.server, server), now);
        pair.run_for(TICK);
        up.hear(&mut pair.server, server, pair.now);
        down.hear(&mut pair.client, client, pair.now);
    }
    let epochs = [(&pair.client, client), (&pair.server, server)].map(|(endpoint, id)| {
        let connection = endpoint.connection(id).unwrap();
        for (cause, count) in connection.stats().discards() {
            // A record may come so late that its epoch was dropped, and then looks like one of the
            // handshake's (RFC 9147 §4.2.2).
            let late = cause == Discard::Unauthenticated && count < 20;
            let expected = late || EXPECTED.contains(&cause);
            assert!(expected, "{versions:?} {seed}: {cause:?} {count}");
        }
        connection.epoch().number()
    });
    // What holds the keys back ends with the loss, and all is well again.
    pair.set_conditions(&Conditions::default());
    pair.run_for(Duration::from_secs(120));
    up.hear(&mut pair.server, server, pair.now);
    down.hear(&mut pair.client, client, pair.now);
    let ended = |event: &Event| matches!(event, Event::Failed(_) | Event::Closed);
    let mut events = pair.client_events.iter().chain(&pair.server_events);
    assert!(
        !events.any(|(_, event)| ended(event)),
        "{versions:?} {seed}"
    );
    for talk in [&up, &down] {
        let share = talk.received.len() as f64 / talk.sent as f64;
        assert!(share > arrives, "{versions:?} {seed} {share}");
    }
    assert!(pair.exchange(3), "{versions:?} {seed}");
    epochs.into_iter().max().unwrap_or_default()
}

/// RFC 9147 §8: both ends replace their keys again and again, the updates and their
/// acknowledgements are lost like everything else, and data goes on.
#[test]
fn keys_of_1_3_are_replaced_under_a_full_load_and_loss() {
    let policy = RekeyPolicy::default().bytes(Some(20_000)).unwrap();
    for seed in 0..40 {
        let conditions = Conditions {
            loss: 0.2,
            duplicate: 0.1,
            reorder: 4,
            ..Conditions::default()
        };
        let epochs = talk(Versions::V1_3, &policy, &conditions, 0.75, seed);
        assert!(epochs > 10, "{seed}: {epochs}");
    }
}

/// The same at 1.2, by renegotiation: data waits meanwhile or flows. Whoever has switched its keys
/// goes on to send, and if its Finished is lost again and again, most of that is too.
#[test]
fn keys_of_1_2_are_replaced_under_a_full_load_and_loss() {
    for data in [DataDuringRenegotiation::Hold, DataDuringRenegotiation::Flow] {
        let allowed = ClientRenegotiation::Allow {
            min_interval: Duration::ZERO,
        };
        let policy = RekeyPolicy::default().bytes(Some(20_000)).unwrap();
        let policy = policy.client_renegotiation(allowed);
        let policy = policy.data_during_renegotiation(data);
        for seed in 0..40 {
            let conditions = Conditions {
                loss: 0.05,
                duplicate: 0.1,
                reorder: 4,
                ..Conditions::default()
            };
            let epochs = talk(Versions::V1_2, &policy, &conditions, 0.6, seed);
            assert!(epochs > 20, "{data:?} {seed}: {epochs}");
        }
    }
}
