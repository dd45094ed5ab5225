//! Renegotiation in the middle of bulk data over streams, in pieces of any size: what goes in comes
//! out (E16).

use crate::common::configs::{Configs, Ends, server_name, start};
use crate::common::dice::Dice;
use crate::common::handshakes::{SIDES, willing};
use crate::common::seeds::seeds;
use sealgram::Side;
use sealgram::config::DataDuringRenegotiation::{self, Flow, Hold};
use sealgram::config::RekeyPolicy;
use sealgram::error::{RenegotiateError, SendError};
use sealgram::record::Initiator;
use sealgram::sim::{StreamEnd, StreamPair};
use std::time::Duration;

/// What each end sends in a run, in bytes.
const BULK: usize = 60_000;

/// One direction: bytes under way, and how much of the bulk has been taken by `send`.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    taken: usize,
}

struct Bulk {
    pair: StreamPair,
    dice: Dice,
    /// By sender.
    pipes: [Pipe; 2],
    /// The most bytes that arrive at once.
    piece: usize,
    name: String,
}

/// The bulk that an end sends: no two places look alike for long.
fn bulk(side: Side) -> Vec<u8> {
    let mut dice = Dice::new(side as u64 + 77);
    (0..BULK).map(|_| dice.next().to_be_bytes()[0]).collect()
}

impl Bulk {
    fn new(configs: &Configs, seed: u64, name: &str) -> Self {
        let (client, server) = (configs.client.clone(), configs.server.clone());
        let mut pair = StreamPair::new(start(), client, server, server_name()).unwrap();
        pair.run();
        let mut dice = Dice::new(seed);
        let most = if dice.is(30) { 20 } else { 4000 };
        let piece = 1 + usize::try_from(dice.below(most)).unwrap();
        Self {
            pair,
            dice,
            piece,
            pipes: Default::default(),
            name: format!("{name}, seed {seed}"),
        }
    }

    fn end(&mut self, side: Side) -> &mut StreamEnd {
        match side {
            Side::Client => &mut self.pair.client,
            Side::Server => &mut self.pair.server,
        }
    }

    /// Gives an end some of its bulk, moves what it has to send, and lets some of it arrive.
    fn step(&mut self, side: Side, data: &[u8]) {
        let now = self.pair.now;
        let index = usize::from(side == Side::Server);
        let from = self.pipes[index].taken;
        let length = usize::try_from(self.dice.below(3000)).unwrap();
        let piece = &data[from..(from + length).min(data.len())];
        if !piece.is_empty() {
            match self.end(side).connection.send(now, piece) {
                Ok(taken) => self.pipes[index].taken += taken,
                Err(SendError::Renegotiating | SendError::Backlog) => {}
                Err(error) => panic!("{}: {side}: {error:?}", self.name),
            }
        }
        let sent = self.end(side).transmit(now);
        self.pipes[index].bytes.extend_from_slice(&sent);
        let waiting = self.pipes[index].bytes.len() as u64;
        let arriving = usize::try_from(self.dice.below(4000).min(waiting)).unwrap();
        let arriving: Vec<u8> = self.pipes[index].bytes.drain(..arriving).collect();
        for piece in arriving.chunks(self.piece) {
            self.end(side.peer()).deliver(now, piece);
        }
        let error = self.end(side.peer()).error.clone();
        assert_eq!(error, None, "{}: {}", self.name, side.peer());
    }

    fn renegotiate(&mut self, side: Side, abbreviated: bool) {
        let connection = &mut self.end(side).connection;
        let begun = if abbreviated {
            connection.renegotiate_abbreviated()
        } else {
            connection.renegotiate()
        };
        assert!(
            matches!(begun, Ok(()) | Err(RenegotiateError::Pending)),
            "{}: {begun:?}",
            self.name
        );
    }

    /// Whether everything has arrived and nothing is under way.
    fn is_done(&mut self) -> bool {
        let empty = self
            .pipes
            .iter()
            .all(|pipe| pipe.bytes.is_empty() && pipe.taken == BULK);
        empty
            && SIDES.into_iter().all(|side| {
                let end = self.end(side);
                end.received.len() == BULK && !end.connection.renegotiate_pending()
            })
    }

    /// Sends the bulk both ways while both ends renegotiate at random; how many renegotiations
    /// there were.
    fn run(&mut self) -> u64 {
        let data = SIDES.map(bulk);
        let mut steps = 0;
        while !self.is_done() {
            for (side, data) in SIDES.into_iter().zip(&data) {
                // One end may be faster than the other.
                for _ in 0..self.dice.below(3) {
                    self.step(side, data);
                }
                if steps < 40 && self.dice.is(8) {
                    let abbreviated = self.dice.is(50);
                    self.renegotiate(side, abbreviated);
                }
            }
            steps += 1;
            assert!(
                steps < 2000,
                "{}: {:?} {:?}",
                self.name,
                self.pair.client.connection,
                self.pair.server.connection
            );
        }
        for (side, data) in SIDES.into_iter().zip(&data) {
            assert!(
                self.end(side.peer()).received == *data,
                "{}: {side}",
                self.name
            );
        }
        self.check_ends()
    }

    /// Both ends agree about what has happened.
    fn check_ends(&mut self) -> u64 {
        let name = self.name.clone();
        let facts = SIDES.map(|side| {
            let connection = &self.end(side).connection;
            let mut key = [0; 16];
            connection
                .export_keying_material(&mut key, b"EXPORTER-test", None)
                .unwrap();
            for initiator in [Initiator::Local, Initiator::Peer] {
                let counts = connection.stats().renegotiations_by(initiator);
                assert_eq!(counts.started, counts.completed, "{name}: {side}");
                assert_eq!(counts.refused, 0, "{name}: {side}");
            }
            assert_eq!(connection.poll_timeout(), None, "{name}: {side}");
            (connection.epoch(), connection.renegotiations(), key)
        });
        assert_eq!(facts[0], facts[1], "{name}");
        facts[0].1
    }
}

fn configs(data: DataDuringRenegotiation) -> Configs {
    let mut ends = Ends::new().resuming();
    ends.client = ends
        .client
        .rekey(RekeyPolicy::default().data_during_renegotiation(data));
    ends.server = ends.server.rekey(willing().data_during_renegotiation(data));
    ends.build()
}

#[test]
fn bulk_data_arrives_intact_while_both_ends_renegotiate() {
    for data in [Hold, Flow] {
        let configs = configs(data);
        Bulk::new(&configs, 0, "warm");
        let (mut runs, mut renegotiations) = (0, 0);
        for seed in seeds(0..1000) {
            let mut bulk = Bulk::new(&configs, seed, &format!("{data:?}"));
            renegotiations += bulk.run();
            runs += 1;
        }
        println!("{data:?}: {runs} runs, {renegotiations} renegotiations");
        assert!(renegotiations > runs);
    }
}

/// A stream loses nothing, so time alone changes nothing: no deadline is left behind by any of it.
#[test]
fn nothing_is_left_of_renegotiations_over_a_stream() {
    let mut bulk = Bulk::new(&configs(Hold), 1, "left");
    bulk.run();
    bulk.pair.run_for(Duration::from_secs(600));
    bulk.check_ends();
}
