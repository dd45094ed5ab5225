//! One direction of a network that loses, repeats, reorders, delays and alters datagrams.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The quality of a link.
#[derive(Clone, PartialEq, Debug)]
pub struct Conditions {
    /// The share of datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// The share that arrives twice, 0 to 1.
    pub duplicate: f64,
    /// How many datagrams that were sent later may arrive earlier.
    pub reorder: u32,
    /// The share in which one bit is flipped, 0 to 1.
    pub corrupt: f64,
    /// Longer datagrams are lost; `None` for no limit.
    pub mtu: Option<usize>,
    /// How long a datagram takes.
    pub delay: Duration,
    /// The share before which the NAT in front of the sender gives it another address, 0 to 1. A
    /// [`Pair`](super::Pair) does that; a link alone has no addresses.
    pub rebind: f64,
}

impl Default for Conditions {
    /// A perfect link of 10 ms.
    fn default() -> Self {
        Self {
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0,
            corrupt: 0.0,
            mtu: None,
            delay: Duration::from_millis(10),
            rebind: 0.0,
        }
    }
}

/// What a script does with one datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives.
    Deliver,
    /// It is lost.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the next one.
    Swap,
}

/// The two addresses of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    /// Where it seems to come from.
    pub(super) from: SocketAddr,
    /// Where it goes.
    pub(super) to: SocketAddr,
}

/// A datagram that is under way.
struct Flying {
    /// `None` for one that nobody has addressed.
    ends: Option<Ends>,
    bytes: Vec<u8>,
}

/// Decides the fate of a datagram by its position in the order of sending, from 0, and its
/// contents.
type Script = Box<dyn FnMut(u64, &[u8]) -> Fate>;

/// One direction of a network.
pub struct Link {
    conditions: Conditions,
    rng: StdRng,
    in_flight: BTreeMap<(Instant, u64), Flying>,
    sent: u64,
    script: Option<Script>,
    held: bool,
}

/// The distance in time between two datagrams that are sent at the same moment: the unit of
/// reordering.
const SPACING: Duration = Duration::from_micros(100);

impl Link {
    /// A link that behaves as `conditions` say, decided by `seed`.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            rng: StdRng::seed_from_u64(seed),
            in_flight: BTreeMap::new(),
            sent: 0,
            script: None,
            held: false,
        }
    }

    /// Holds back everything that is under way or will be sent, or lets it arrive.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Loses everything that is under way.
    pub fn clear(&mut self) {
        self.in_flight.clear();
    }

    /// From now on `script` decides instead of chance.
    pub fn script(&mut self, script: impl FnMut(u64, &[u8]) -> Fate + 'static) {
        self.script = Some(Box::new(script));
    }

    /// Changes the conditions, for datagrams to come.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
        self.script = None;
    }

    /// How many datagrams were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the sender has another address from the next datagram on.
    pub(super) fn rebinds(&mut self) -> bool {
        // Where nobody moves, chance decides over the same things as if nobody could.
        self.conditions.rebind > 0.0 && self.rng.random_bool(self.conditions.rebind)
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, datagram: &[u8]) {
        self.send_between(now, None, datagram);
    }

    /// The same with its addresses.
    pub(super) fn send_between(&mut self, now: Instant, ends: Option<Ends>, datagram: &[u8]) {
        let index = self.sent;
        self.sent += 1;
        if self.conditions.mtu.is_some_and(|mtu| datagram.len() > mtu) {
            return;
        }
        let fate = match &mut self.script {
            Some(script) => script(index, datagram),
            None if self.rng.random_bool(self.conditions.loss) => Fate::Drop,
            None if self.rng.random_bool(self.conditions.duplicate) => Fate::Duplicate,
            None => Fate::Deliver,
        };
        let copies = match fate {
            Fate::Drop => 0,
            Fate::Deliver | Fate::Swap => 1,
            Fate::Duplicate => 2,
        };
        for copy in 0..copies {
            let late = match fate {
                Fate::Swap => SPACING * 3 / 2,
                _ => SPACING * self.rng.random_range(0..=self.conditions.reorder),
            };
            let place = SPACING * u32::try_from(index % 1000).unwrap_or_default();
            let mut bytes = datagram.to_vec();
            self.corrupt(&mut bytes);
            self.in_flight.insert(
                (now + self.conditions.delay + place + late, 2 * index + copy),
                Flying { ends, bytes },
            );
        }
    }

    fn corrupt(&mut self, bytes: &mut [u8]) {
        if bytes.is_empty() || !self.rng.random_bool(self.conditions.corrupt) {
            return;
        }
        let bit = self.rng.random_range(0..bytes.len() * 8);
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        let first = self.in_flight.keys().next().filter(|_| !self.held);
        first.map(|&(at, _)| at)
    }

    /// Takes a datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.receive_between(now).map(|(_, bytes)| bytes)
    }

    /// The same with its addresses, if it has any.
    pub(super) fn receive_between(&mut self, now: Instant) -> Option<(Option<Ends>, Vec<u8>)> {
        if self.held {
            return None;
        }
        let entry = self.in_flight.first_entry()?;
        if entry.key().0 <= now {
            let Flying { ends, bytes } = entry.remove();
            Some((ends, bytes))
        } else {
            None
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("conditions", &self.conditions)
            .field("in_flight", &self.in_flight.len())
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
