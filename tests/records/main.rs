//! Records of both layers: fragments, replay, forgeries, sizes, what stands outside of the keys.

#[path = "../common/mod.rs"]
mod common;

mod fragments;
mod limits;
mod limits_in_time;
mod mutants;
mod path_size;
mod plaintext;
mod queues;
mod replay_and_epochs;
mod stream_attacks;
mod traffic_secrets;
