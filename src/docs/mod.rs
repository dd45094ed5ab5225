//! Chapters that belong to no single type.

pub mod fleets;
pub mod rekeying;
