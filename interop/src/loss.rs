//! Which datagrams the proxy drops.
//!
//! A verdict depends on nothing but the seed, the direction and the index of the datagram in that
//! direction, so that a case with the same traffic has the same losses. Never are more than
//! [`MAX_CONSECUTIVE`] datagrams of a direction dropped in a row: every peer retransmits more often.

use std::fmt::{self, Display, Formatter};

/// The way that a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How much is dropped, and which choice of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Datagrams of a hundred that are dropped on average, before the limit in a row applies.
    pub percent: u8,
    /// Chooses among all sequences of verdicts.
    pub seed: u64,
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
    dropped_in_a_row: u32,
}

impl Loss {
    /// A path that drops nothing.
    pub const NONE: Self = Self {
        percent: 0,
        seed: 0,
    };

    /// The verdicts for `direction`, from the first datagram on.
    #[must_use]
    pub fn verdicts(self, direction: Direction) -> Verdicts {
        Verdicts {
            loss: self,
            direction,
            index: 0,
            dropped_in_a_row: 0,
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
        let unlucky = number % 100 < u64::from(self.loss.percent);
        if unlucky && self.dropped_in_a_row < MAX_CONSECUTIVE {
            self.dropped_in_a_row += 1;
            Some(Verdict::Drop)
        } else {
            self.dropped_in_a_row = 0;
            Some(Verdict::Pass)
        }
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

/// The most datagrams of one direction that are dropped one after another.
pub const MAX_CONSECUTIVE: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, direction: Direction) -> Vec<Verdict> {
        let loss = Loss { percent: 20, seed };
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
    fn about_a_fifth_is_dropped_and_never_three_in_a_row() {
        let verdicts = sample(7, Direction::ToClient);
        let dropped = verdicts.iter().filter(|&&verdict| verdict == Verdict::Drop);
        assert!((1_850..2_050).contains(&dropped.count()));
        assert!(
            !verdicts
                .windows(3)
                .any(|window| window == [Verdict::Drop; 3])
        );
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
