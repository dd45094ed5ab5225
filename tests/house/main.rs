//! The repository itself: what its documents promise, and which file may import which.

#[path = "../common/mod.rs"]
mod common;

mod columns;
mod declared;
mod error_words;
mod failures;
mod floors;
mod front_page;
mod links;
mod promises;
mod security;
mod settings;
mod surface;
