//! Chapters that belong to no single type.

pub mod fleets;
pub mod moving;
pub mod rekeying;
