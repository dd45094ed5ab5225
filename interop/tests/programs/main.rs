//! Programs that people run, as Debian has them, with ends of ours: the library in this process.
//! Each in both roles if it has two, and with a whole exchange of the protocol that it is for.
//!
//! Every case is a cell of a table: program, role, version. A cell that is empty says why, and has
//! looked: its test fails when the reason is gone.

mod anyconnect;
mod cell;
mod coap;
mod curl;
mod dns;
mod gstreamer;
mod nginx;
mod ours;
mod radius;
mod snmp;
mod socat;
mod stunnel;
mod tshark;
