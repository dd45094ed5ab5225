//! Why the program ends without success.

use crate::report::Line;
use sealgram::{ConfigError, Failure};
use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;

/// A reason to end, with the exit code that belongs to it.
#[derive(Debug)]
pub(crate) struct Problem {
    blame: Blame,
    /// One sentence that says what to do.
    reason: String,
    peer: Option<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blame {
    /// The network, the peer, or this machine.
    World,
    /// The command line, or a file that it names.
    CommandLine,
}

impl Problem {
    /// A failure of the protocol, the network or the machine.
    pub(crate) fn failure(reason: impl fmt::Display) -> Self {
        Self {
            blame: Blame::World,
            reason: reason.to_string(),
            peer: None,
        }
    }

    /// A command line that cannot be followed.
    pub(crate) fn usage(reason: impl fmt::Display) -> Self {
        Self {
            blame: Blame::CommandLine,
            ..Self::failure(reason)
        }
    }

    /// The same, with the peer that it is about.
    pub(crate) fn at(self, peer: SocketAddr) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// The event line that reports it.
    pub(crate) fn line(&self) -> Line {
        let line = Line::new("error").field("reason", &self.reason);
        match self.peer {
            Some(peer) => line.field("peer", peer),
            None => line,
        }
    }

    /// What the program ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.blame {
            Blame::World => 1,
            Blame::CommandLine => 2,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// An association that failed is the network's or the peer's fault.
impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        // The line has a field for the peer.
        let mut failure = failure.clone();
        let peer = failure.peer.take();
        Self {
            peer,
            ..Self::failure(failure)
        }
    }
}

/// Configurations are made of what the command line says.
impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}
