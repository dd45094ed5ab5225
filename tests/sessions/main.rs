//! Sessions and tickets: what is kept, offered, resumed and forgotten.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod resumption;
mod server;
