//! Ports for servers that cannot choose one themselves.
//!
//! Between the moment when a port is seen to be free and the moment when the server binds it,
//! another process may take it: for example the next proxy, if the system's range for sockets bound
//! to port 0 begins low. A server that comes too late is therefore started again with another port.

use std::net::UdpSocket;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::process::{Process, Transcript};

/// What a server's output says about the port that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// It listens, on this port.
    On(u16),
    /// Another process has the port.
    Taken,
}

/// Starts a server by `command` and waits until `listening` finds in its output where it listens.
/// If its port is taken, another server is started with the next of `ports`.
///
/// # Errors
///
/// When it does not start, says nothing before `deadline`, or finds each of [`ATTEMPTS`] ports
/// taken.
pub fn start(
    name: &str,
    mut ports: impl FnMut() -> Outcome<u16>,
    command: impl Fn(u16) -> Outcome<Command>,
    listening: impl Fn(&Transcript, u16) -> Option<Listening>,
    deadline: Deadline,
) -> Outcome<(Process, u16)> {
    let mut evidence = String::new();
    for _ in 0..ATTEMPTS {
        let given = ports()?;
        let process = Process::spawn(name, command(given)?)?;
        let found = process
            .wait_for("its listening address", deadline, |transcript| {
                listening(transcript, given)
            })
            .map_err(|failure| failure.with_evidence(process.evidence()))?;
        match found {
            Listening::On(port) => return Ok((process, port)),
            Listening::Taken => {
                println!("{name}: port {given} was taken, another one is tried");
                evidence = process.evidence();
            }
        }
    }
    let reason = format!("{name} found {ATTEMPTS} ports in a row taken");
    Err(Failure::new(reason).with_evidence(evidence))
}

/// A port that was free a moment ago. Each call returns another one.
///
/// # Errors
///
/// When a thousand ports in a row are taken.
pub fn next_free_port() -> Outcome<u16> {
    static OFFSET: AtomicU16 = AtomicU16::new(0);
    // Two test binaries at the same time begin at different places.
    let first = u32::from(FIRST_PORT) + process::id() * 197 % u32::from(PORTS);
    for _ in 0..1000 {
        let offset = first + u32::from(OFFSET.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from(offset % u32::from(PORTS)).expect("below PORTS");
        if UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("no free UDP port was found"))
}

/// How many ports [`start`] tries.
pub const ATTEMPTS: usize = 8;

/// The lowest port that [`next_free_port`] gives: all lie below the range that Linux uses for port
/// 0 by default.
const FIRST_PORT: u16 = 20_000;

/// The number of ports that it cycles through.
const PORTS: u16 = 12_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_from_call_to_call() {
        assert_ne!(next_free_port(), next_free_port());
    }
}
