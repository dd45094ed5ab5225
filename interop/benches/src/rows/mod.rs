//! The rows of the table, one module each.

pub mod associations;
pub mod bulk;
pub mod cookies;
pub mod handshake;
pub mod memory;
pub mod peers;
pub mod pingpong;
pub mod records;
pub mod resumption;
pub mod server;
pub mod stream;
