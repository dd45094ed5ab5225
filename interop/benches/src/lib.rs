//! Figures of sealgram beside raw `ring`, raw UDP and other stacks, measured in one process.
//!
//! ```text
//!  measure            items that take turns round by round, medians, five runs
//!  floor, raw, ready  bare ring, bare UDP, bare epoll
//!  stacks             each stack as a program would use it
//!  transfer, rows     what is measured, one module for each row of the table
//!  report, output     bars and tables; Markdown, JSON and plots in files
//! ```

pub mod floor;
pub mod measure;
pub mod output;
pub mod pki;
pub mod raw;
pub mod ready;
pub mod report;
pub mod rows;
pub mod sockets;
pub mod stacks;
pub mod transfer;
