//! New keys on a connection that lives: renegotiation at version 1.2, key updates at version 1.3.

#[path = "../common/mod.rs"]
mod common;

mod bulk_data;
mod in_traffic;
mod key_limits;
mod key_update;
mod late_certificate;
mod late_refusals;
mod lax_policies;
mod long_life;
mod peer_profiles;
mod pending;
mod refusals;
mod renegotiation;
mod renegotiation_content;
mod renegotiation_loss;
mod renegotiation_noise;
mod silent_peers;
mod waiting_data;
