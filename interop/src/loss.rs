//! Which datagrams the proxy drops.
//!
//! A verdict depends on nothing but the seed, the direction and the index of the datagram in that
//! direction, so that a case with the same traffic has the same losses. Of [`WINDOW`] successive
//! datagrams of a direction, never more than [`MAX_DROPS`] are dropped, and so never more than two
//! in a row. A message and its answer then get through within five tries, after which GnuTLS gives
//! up: without the limit one case in a hundred would fail through no fault of ours. A drop that the
//! limit forbids is made up for as soon as the limit allows one, so that the rate is kept.

use std::fmt::{self, Display, Formatter};

/// The way that a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How much is dropped, and the seed that chooses which datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// How many of a hundred datagrams are dropped on average.
    pub percent: u8,
    /// Chooses among all sequences of verdicts.
    pub seed: u64,
    /// A direction in which nothing is dropped, for a peer that does not tolerate it.
    pub spared: Option<Direction>,
}

/// What becomes of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is forwarded.
    Pass,
    /// It is not.
    Drop,
}

/// The verdicts of one direction, one after another.
#[derive(Debug)]
pub struct Verdicts {
    loss: Loss,
    direction: Direction,
    index: u64,
    /// Drops that the limit has put off.
    owed: u32,
    /// The latest verdicts, the oldest first.
    recent: [Verdict; WINDOW - 1],
}

impl Loss {
    /// A path that drops nothing.
    pub const NONE: Self = Self {
        percent: 0,
        seed: 0,
        spared: None,
    };

    /// Loses `percent` of the datagrams in both directions.
    #[must_use]
    pub const fn new(percent: u8, seed: u64) -> Self {
        Self {
            percent,
            seed,
            spared: None,
        }
    }

    /// The losses of one case: the verdicts of two cases with the same `seed` differ, and those of
    /// one case depend on its name and the seed alone.
    #[must_use]
    pub fn of(case: impl Display, percent: u8, seed: u64) -> Self {
        let name = case.to_string();
        let seed = name
            .bytes()
            .fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
        Self::new(percent, seed)
    }

    /// The verdicts for `direction`, from the first datagram on.
    #[must_use]
    pub fn verdicts(self, direction: Direction) -> Verdicts {
        Verdicts {
            loss: self,
            direction,
            index: 0,
            owed: 0,
            recent: [Verdict::Pass; WINDOW - 1],
        }
    }
}

impl Iterator for Verdicts {
    type Item = Verdict;

    /// The verdict on the next datagram; there is always one.
    fn next(&mut self) -> Option<Verdict> {
        let lane = match self.direction {
            Direction::ToServer => 0x5354_4f53,
            Direction::ToClient => 0x5354_4f43,
        };
        let number = mix(mix(self.loss.seed ^ lane) ^ self.index);
        self.index += 1;
        let spared = self.loss.spared == Some(self.direction);
        if !spared && number % 100 < u64::from(self.loss.percent) {
            self.owed += 1;
        }
        let verdict = if self.owed > 0 && self.may_drop() {
            self.owed -= 1;
            Verdict::Drop
        } else {
            Verdict::Pass
        };
        self.recent.rotate_left(1);
        self.recent[WINDOW - 2] = verdict;
        Some(verdict)
    }
}

impl Verdicts {
    fn may_drop(&self) -> bool {
        let drops = self
            .recent
            .iter()
            .filter(|&&verdict| verdict == Verdict::Drop);
        drops.count() < MAX_DROPS
    }
}

impl Display for Direction {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ToServer => "to-server",
            Self::ToClient => "to-client",
        })
    }
}

/// The finaliser of SplitMix64: every bit of the result depends on every bit of `number`.
#[must_use]
pub fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The most datagrams that are dropped out of [`WINDOW`] successive ones of a direction.
pub const MAX_DROPS: usize = 2;

/// How many successive datagrams of a direction the limit looks at.
pub const WINDOW: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, direction: Direction) -> Vec<Verdict> {
        let loss = Loss::new(20, seed);
        loss.verdicts(direction).take(10_000).collect()
    }

    #[test]
    fn verdicts_depend_on_seed_and_direction_only() {
        assert_eq!(
            sample(1, Direction::ToServer),
            sample(1, Direction::ToServer)
        );
        assert_ne!(
            sample(1, Direction::ToServer),
            sample(2, Direction::ToServer)
        );
        assert_ne!(
            sample(1, Direction::ToServer),
            sample(1, Direction::ToClient)
        );
    }

    #[test]
    fn a_fifth_is_dropped_and_never_three_of_five() {
        let verdicts = sample(7, Direction::ToClient);
        let drops = |verdicts: &[Verdict]| {
            verdicts
                .iter()
                .filter(|&&verdict| verdict == Verdict::Drop)
                .count()
        };
        assert!((1_900..2_100).contains(&drops(&verdicts)));
        assert!(
            verdicts
                .windows(WINDOW)
                .all(|five| drops(five) <= MAX_DROPS)
        );
    }

    #[test]
    fn a_message_and_its_answer_get_through_within_five_tries() {
        for seed in 0..1000 {
            let loss = Loss::new(20, seed);
            let mut requests = loss.verdicts(Direction::ToServer);
            let mut answers = loss.verdicts(Direction::ToClient);
            let answered = (0..5).any(|_| {
                requests.next() == Some(Verdict::Pass) && answers.next() == Some(Verdict::Pass)
            });
            assert!(answered, "seed {seed}");
        }
    }

    #[test]
    fn a_spared_direction_loses_nothing() {
        let loss = Loss {
            spared: Some(Direction::ToClient),
            ..Loss::new(50, 1)
        };
        let lost = |direction| {
            loss.verdicts(direction)
                .take(1000)
                .any(|verdict| verdict == Verdict::Drop)
        };
        assert!(!lost(Direction::ToClient));
        assert!(lost(Direction::ToServer));
    }

    #[test]
    fn no_loss_drops_nothing() {
        let mut verdicts = Loss::NONE.verdicts(Direction::ToServer);
        assert!(
            verdicts
                .by_ref()
                .take(1000)
                .all(|verdict| verdict == Verdict::Pass)
        );
    }
}
