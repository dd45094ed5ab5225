//! Peers whose addresses change at any moment, over thousands of seeds, in virtual time.
//!
//! `SEALGRAM_SEEDS=a..b` runs other seeds; a failure names its own.

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::dice::Dice;
use crate::common::handshakes::{SIDES, exported, send, willing};
use crate::common::seeds::seeds;
use sealgram::config::{DatagramPolicy, Migration, Versions};
use sealgram::endpoint::{AssociationId, Endpoint, EndpointPolicy};
use sealgram::record::Discard;
use sealgram::sim::{Conditions, Pair};
use sealgram::{DtlsConnection, Event, KeyUpdate, Side};
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

/// What two ends have agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Terms {
    is_13: bool,
    /// How long the connection IDs are that the client and the server want, 0 for none.
    lengths: [usize; 2],
    /// Whether they ask the old address first.
    enhanced: [bool; 2],
}

/// One simulation, which its seed determines.
#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    terms: Terms,
    /// Whether the client and the server move.
    moves: [bool; 2],
    /// A NAT that has forgotten an address is the end where the other end has one as well: each
    /// would wait for ever for the other's new address.
    keep_old: bool,
    /// How often they move in the handshake, and after it.
    in_handshake: f64,
    after_it: f64,
    loss: f64,
}

const LENGTHS: [usize; 4] = [0, 4, 8, 20];

impl Case {
    fn new(is_13: bool, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut pick = |end: u64| usize::try_from(dice.below(end)).unwrap();
        let mut lengths = [LENGTHS[pick(4)], LENGTHS[pick(4)]];
        if lengths == [0, 0] {
            lengths[1] = LENGTHS[1 + pick(3)];
        }
        // A peer is recognised elsewhere by what this end has given to it.
        let recognised = [lengths[1] > 0, lengths[0] > 0];
        let wish = [[true, false], [false, true], [true, true]][pick(3)];
        let mut moves = [wish[0] && recognised[0], wish[1] && recognised[1]];
        if moves == [false, false] {
            moves = recognised;
        }
        let enhanced = [pick(2) == 1, pick(2) == 1];
        Self {
            seed,
            terms: Terms {
                is_13,
                lengths,
                enhanced,
            },
            moves,
            keep_old: moves == [true, true] || pick(4) == 0,
            in_handshake: [0.0, 0.0, 0.05, 0.2][pick(4)],
            after_it: [0.01, 0.05, 0.2][pick(3)],
            loss: [0.0, 0.1, 0.3][pick(3)],
        }
    }

    fn conditions(&self, side: Side, rebind: f64) -> Conditions {
        Conditions {
            loss: self.loss,
            duplicate: 0.1,
            reorder: 4,
            rebind: if self.moves[index(side)] { rebind } else { 0.0 },
            ..Conditions::default()
        }
    }
}

impl Terms {
    fn configs(&self) -> Configs {
        let [client, server] = [0, 1].map(|end| {
            let policy = DatagramPolicy::default().timer_jitter(0).unwrap();
            let policy = policy.connection_ids(Some(self.lengths[end])).unwrap();
            policy.migration(match self.enhanced[end] {
                true => Migration::Enhanced,
                false => Migration::Validated,
            })
        });
        let mut ends = Ends::new();
        let versions = match self.is_13 {
            true => Versions::V1_3,
            false => Versions::V1_2,
        };
        ends = ends.versions(versions);
        ends.client = ends.client.datagram(client);
        ends.server = ends.server.datagram(server).rekey(willing());
        ends.build()
    }
}

const fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

/// Says of which simulation a panic is.
struct Named(Case);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the simulation of {:?}", self.0);
        }
    }
}

/// What became of the simulations together.
#[derive(Default, Debug)]
struct Sum {
    runs: u64,
    /// Handshakes in which an end has moved so that they came to nothing.
    begun_again: u64,
    rebindings: u64,
    astray: u64,
    sent: u64,
    delivered: u64,
    moves_followed: u64,
    moves_given_up: u64,
    rekeyings: u64,
}

/// Two ends that move, and what they have told each other.
struct Storm {
    case: Case,
    pair: Pair,
    ids: [AssociationId; 2],
    dice: Dice,
    /// What each end has sent, and whether it has arrived.
    flows: [Vec<bool>; 2],
    sum: Sum,
}

/// The message with this number: no two are alike, and they differ in length.
fn message(side: Side, number: usize) -> Vec<u8> {
    let mut data = u32::try_from(number).unwrap().to_be_bytes().to_vec();
    let filler = index(side) as u8 + number.to_be_bytes()[7];
    data.resize(4 + number * 37 % 180, filler);
    data
}

/// Both ends, if they have one secret.
fn agreed(pair: &Pair) -> Option<[AssociationId; 2]> {
    let (client, server) = (pair.client_connection()?, pair.server_connection()?);
    (exported(client) == exported(server)).then_some([pair.client_id()?, pair.server_id()?])
}

impl Storm {
    /// Two ends that have a handshake behind them, in which they may have moved.
    fn new(case: Case, configs: &Configs) -> Self {
        let policy = EndpointPolicy::default().idle_timeout(None);
        let server = configs.server.clone();
        let mut pair = Pair::with_policy(server, policy.clone(), start(), case.seed).unwrap();
        pair.client = Endpoint::new(pair.now, policy, None).unwrap();
        pair.keep_old = case.keep_old;
        pair.keep_ledger();
        let mut sum = Sum {
            runs: 1,
            ..Sum::default()
        };
        pair.to_server
            .set_conditions(case.conditions(Side::Client, case.in_handshake));
        pair.to_client
            .set_conditions(case.conditions(Side::Server, case.in_handshake));
        let limit = Duration::from_secs(300);
        pair.connect(configs.client.clone(), server_name()).unwrap();
        if !pair.run_until(limit, |pair| agreed(pair).is_some()) {
            // Until the hellos have agreed on connection IDs, and at 1.2 until its last flight,
            // nobody recognises an end that moves. Much loss takes long as well.
            let excused = pair.rebindings > 0 || case.loss >= 0.3;
            assert!(excused, "{case:?}: {:?}", pair.client_events);
            sum.begun_again = 1;
            pair.set_conditions(&Conditions::default());
            pair.connect(configs.client.clone(), server_name()).unwrap();
            let again = pair.run_until(limit, |pair| agreed(pair).is_some());
            assert!(
                again,
                "{case:?}: {:?} {:?} {:?} {:?}",
                pair.client_events,
                pair.server_events,
                pair.client,
                pair.server.stats()
            );
        }
        let ids = agreed(&pair).unwrap();
        Self {
            case,
            pair,
            ids,
            dice: Dice::new(!case.seed),
            flows: Default::default(),
            sum,
        }
    }

    fn connection(&self, side: Side) -> &DtlsConnection {
        let (endpoint, events) = match side {
            Side::Client => (&self.pair.client, &self.pair.client_events),
            Side::Server => (&self.pair.server, &self.pair.server_events),
        };
        let connection = endpoint.connection(self.ids[index(side)]);
        connection.unwrap_or_else(|| panic!("{:?}: the {side} is gone: {events:?}", self.case))
    }

    fn send(&mut self, side: Side) {
        let (now, id, flow) = (
            self.pair.now,
            self.ids[index(side)],
            &mut self.flows[index(side)],
        );
        let endpoint = match side {
            Side::Client => &mut self.pair.client,
            Side::Server => &mut self.pair.server,
        };
        let mut end = endpoint.association(now, id).unwrap();
        if end.send(&message(side, flow.len())).is_ok() {
            flow.push(false);
            self.sum.sent += 1;
        }
    }

    /// New keys are wanted; who moves meanwhile has other worries.
    fn rekey(&mut self, side: Side) {
        let (now, id) = (self.pair.now, self.ids[index(side)]);
        let endpoint = match side {
            Side::Client => &mut self.pair.client,
            Side::Server => &mut self.pair.server,
        };
        let mut end = endpoint.association(now, id).unwrap();
        let begun = match self.case.terms.is_13 {
            true => end.key_update(KeyUpdate::Requested).is_ok(),
            false => end.renegotiate().is_ok(),
        };
        self.sum.rekeyings += u64::from(begun);
    }

    fn run_for(&mut self, duration: Duration) {
        self.pair.run_for(duration);
        for side in SIDES {
            self.fetch(side);
        }
    }

    /// Nothing arrives twice or altered.
    fn fetch(&mut self, side: Side) {
        let (now, id) = (self.pair.now, self.ids[index(side)]);
        self.connection(side);
        let endpoint = match side {
            Side::Client => &mut self.pair.client,
            Side::Server => &mut self.pair.server,
        };
        let (case, flow) = (self.case, &mut self.flows[index(side.peer())]);
        while let Some(received) = endpoint.association(now, id).unwrap().recv() {
            let number: [u8; 4] = received.data[..4].try_into().unwrap();
            let number = usize::try_from(u32::from_be_bytes(number)).unwrap();
            assert!(number < flow.len(), "{case:?}: {number} was never sent");
            assert_eq!(received.data, message(side.peer(), number), "{case:?}");
            assert!(!flow[number], "{case:?}: {number} came twice");
            flow[number] = true;
            self.sum.delivered += 1;
        }
    }

    /// Both ends talk, replace their keys, and move.
    fn rage(&mut self) {
        for side in SIDES {
            let conditions = self.case.conditions(side, self.case.after_it);
            match side {
                Side::Client => self.pair.to_server.set_conditions(conditions),
                Side::Server => self.pair.to_client.set_conditions(conditions),
            }
        }
        for _ in 0..40 {
            for side in SIDES {
                for _ in 0..self.dice.below(4) {
                    self.send(side);
                }
                if self.dice.below(100) < 6 {
                    self.rekey(side);
                }
            }
            let pause = if self.dice.below(100) < 5 { 2500 } else { 50 };
            let pause = self.dice.below(pause);
            self.run_for(Duration::from_millis(pause));
        }
    }

    /// Whether each end sends to where the other one is.
    fn has_found_itself(&self) -> bool {
        let [client, server] = SIDES.map(|side| self.connection(side).path().remote());
        (server, client) == (self.pair.client_address, self.pair.server_address)
    }

    /// Nobody moves any more: after a few messages each end knows where the other one is.
    fn calm_down(&mut self) {
        self.pair.set_conditions(&Conditions::default());
        // A check that still runs ends in three seconds, and another one begins.
        for _ in 0..20 {
            self.send(Side::Client);
            self.send(Side::Server);
            self.run_for(Duration::from_millis(500));
        }
        assert!(
            self.has_found_itself(),
            "{:?}: {:?} {:?}, but they are at {} and {}",
            self.case,
            self.connection(Side::Client),
            self.connection(Side::Server),
            self.pair.client_address,
            self.pair.server_address,
        );
        let is_pending = |storm: &Self| {
            let pending = SIDES.map(|side| storm.connection(side).renegotiate_pending());
            pending != [false, false]
        };
        // What has waited long is repeated after a minute.
        for _ in 0..300 {
            if !is_pending(self) {
                break;
            }
            self.run_for(Duration::from_secs(1));
        }
        assert!(
            !is_pending(self),
            "{:?}: {:?}",
            self.case,
            self.pair.client_events
        );
    }

    /// All that is sent from here on arrives, in both directions.
    fn assert_well(&mut self) {
        let before = SIDES.map(|side| self.flows[index(side)].len());
        for _ in 0..10 {
            self.send(Side::Client);
            self.send(Side::Server);
            self.run_for(Duration::from_millis(100));
        }
        for (side, before) in SIDES.into_iter().zip(before) {
            let sent = &self.flows[index(side)][before..];
            assert_eq!(sent, [true; 10], "{:?}: {side}", self.case);
        }
        assert!(self.has_found_itself(), "{:?}", self.case);
        let ledger = self.pair.ledger.as_ref().unwrap();
        assert_eq!(ledger.overdrafts(), [], "{:?}", self.case);
        // A client that was asked for a cookie twice begins afresh, and what the server's first
        // association still sends is under keys that this client has given up.
        let afresh = self.pair.server.stats().accepted > 1;
        if !afresh {
            let ends = [&self.pair.client, &self.pair.server];
            let unknown = ends.map(|end| end.stats().unknown_connection_ids);
            assert_eq!(unknown, [0, 0], "{:?}", self.case);
        }
        // A hello of 1.3 whose client has moved since it got its cookie is refused, also if another
        // copy of it was served.
        let refused = self.case.in_handshake > 0.0;
        for side in SIDES {
            // RFC 9147 §4.2.2: of an epoch two bits are sent. A late copy of a record of epoch 6,
            // once that is forgotten, looks as one of the handshake, and does not open.
            let newest = self.connection(side.peer()).epoch().number();
            let mistaken = self.case.terms.is_13 && newest > 6;
            let stats = self.connection(side).stats();
            let unexpected: Vec<_> = stats
                .discards()
                .filter(|(cause, _)| !EXPECTED.contains(cause))
                .filter(|(cause, _)| !(afresh && OF_ANOTHER.contains(cause)))
                .filter(|(cause, _)| !(mistaken && *cause == Discard::Unauthenticated))
                .filter(|(cause, _)| !(refused && *cause == Discard::PlaintextAlert))
                .collect();
            assert!(
                unexpected.is_empty(),
                "{:?}: {side}: {unexpected:?}, {:?}",
                self.case,
                self.pair.server.stats()
            );
        }
    }

    fn close_account(mut self) -> Sum {
        let mut of_moves = (0, 0);
        for (_, event) in self
            .pair
            .client_events
            .iter()
            .chain(&self.pair.server_events)
        {
            match event {
                Event::PathChanged(change) => {
                    assert!(change.validated, "{:?}", self.case);
                    of_moves.0 += 1;
                }
                Event::PathNotValidated(_) => of_moves.1 += 1,
                _ => {}
            }
        }
        (self.sum.moves_followed, self.sum.moves_given_up) = of_moves;
        (self.sum.rebindings, self.sum.astray) = (self.pair.rebindings, self.pair.astray);
        self.sum
    }
}

/// What honest peers that move and a bad network can cause.
const EXPECTED: [Discard; 9] = [
    Discard::Replay,
    Discard::OldMessage,
    Discard::OldEpoch,
    Discard::FutureEpoch,
    Discard::ChangeCipherSpec,
    Discard::UnexpectedMessage,
    // An answer that comes when nobody waits for it any more.
    Discard::PathCheck,
    Discard::Closed,
    // Data that overtakes Finished waits for it, as far as there is room.
    Discard::ReceiveQueueFull,
];

/// What a first association of the server can cause at a client that has begun afresh.
const OF_ANOTHER: [Discard; 2] = [Discard::Unauthenticated, Discard::UnknownConnectionId];

fn ends_that_move_find_each_other(is_13: bool, seeds: Range<u64>) {
    let mut known: HashMap<Terms, Configs> = HashMap::new();
    let mut all = Sum::default();
    for seed in seeds {
        let case = Case::new(is_13, seed);
        let configs = known
            .entry(case.terms)
            .or_insert_with(|| case.terms.configs());
        let _named = Named(case);
        let mut storm = Storm::new(case, configs);
        storm.rage();
        storm.calm_down();
        storm.assert_well();
        all.add(&storm.close_account());
    }
    println!("{}: {all:?}", if is_13 { "1.3" } else { "1.2" });
    assert!(all.rebindings > all.runs && all.rekeyings > all.runs);
    // A few seeds alone may have had none.
    assert!(all.moves_followed > all.runs / 2 && all.begun_again < 10 + all.runs / 5);
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.begun_again += other.begun_again;
        self.rebindings += other.rebindings;
        self.astray += other.astray;
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.moves_followed += other.moves_followed;
        self.moves_given_up += other.moves_given_up;
        self.rekeyings += other.rekeyings;
    }
}

/// With loss, duplication and reordering, in handshakes, renegotiations and traffic: nothing is
/// altered or arrives twice, nobody is flooded, and once they stand still the ends find each other
/// (RFC 9146 §6, RFC 9853).
#[test]
fn ends_that_move_at_any_moment_find_each_other() {
    ends_that_move_find_each_other(false, seeds(0..10_000));
}

/// The same with key updates.
#[test]
fn ends_of_1_3_that_move_at_any_moment_find_each_other() {
    ends_that_move_find_each_other(true, seeds(0..10_000));
}

/// Without connection IDs a NAT that forgets an address is the end of what is sent there.
#[test]
fn without_connection_ids_nobody_is_found_again() {
    let mut pair = Ends::new().build().connected(1);
    pair.keep_ledger();
    let old = pair.client_address;
    pair.rebind_client();
    send(&mut pair, Side::Client, b"from a stranger").unwrap();
    send(&mut pair, Side::Server, b"to nobody").unwrap();
    pair.run_for(Duration::from_secs(1));
    assert_eq!((pair.astray, pair.rebindings), (1, 1));
    assert_eq!(pair.server.stats().strays, 1);
    assert_eq!(pair.server_connection().unwrap().path().remote(), old);
    let id = pair.client_id().unwrap();
    let received = pair.client.association(pair.now, id).unwrap().recv();
    assert!(received.is_none());
    // A NAT that remembers it delivers what comes there.
    pair.unreachable.clear();
    send(&mut pair, Side::Server, b"to a friend").unwrap();
    pair.run_for(Duration::from_secs(1));
    let received = pair.client.association(pair.now, id).unwrap().recv();
    assert_eq!(received.unwrap().data, b"to a friend"[..]);
    let ledger = pair.ledger.as_ref().unwrap();
    assert!(ledger.account(Side::Server, old).proved.is_some());
    let new = ledger.account(Side::Server, pair.client_address);
    assert_eq!((new.sent, new.received > 0), (0, true));
}
