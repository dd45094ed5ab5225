//! A deterministic network and peers for it. No stability promise.
//!
//! Nothing here sleeps and nothing reads a clock: time is a number that jumps to the next event. A
//! run is determined by its seed, as far as the provider permits: key shares and ECDSA signatures
//! draw their own randomness, so only runs with Ed25519 and X25519, whose messages have fixed
//! sizes, repeat exactly.

mod ledger;
mod link;
mod pair;
pub mod scripted;
pub mod scripted13;
mod stream_pair;

pub use ledger::{Account, Ledger, Overdraft};
pub use link::{Conditions, Fate, Link};
pub use pair::{Direction, Pair, Seen};
pub use stream_pair::{StreamEnd, StreamPair};
