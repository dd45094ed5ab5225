//! Chapters that belong to no single type.

pub mod rekeying;
