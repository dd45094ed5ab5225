//! The rows of the table, one module each.

pub mod bulk;
pub mod pingpong;
