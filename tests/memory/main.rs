//! Memory and allocations, counted by an allocator of this program alone.

#[path = "../common/mod.rs"]
mod common;

mod allocations;
mod buffers;
mod counting;
mod dormant;
mod floods;
mod limits;
mod unread;
