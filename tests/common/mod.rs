//! What tests share. Every test program compiles all of it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

pub mod configs;
pub mod crowd;
pub mod datagram_harness;
pub mod dice;
pub mod handshakes;
pub mod harness;
pub mod hello;
pub mod judged;
pub mod mutator;
pub mod raw_keys;
#[cfg(feature = "net")]
pub mod readiness;
pub mod renegotiating;
pub mod seeds;
pub mod shared_keys;
pub mod sources;
pub mod targets;
pub mod traffic;
pub mod transport;
