//! The shim between BoringSSL's protocol runner and sealgram: one process a test, which the runner tells by flags what to be.
//!
//! The runner is the peer of every connection, honest or not, and listens on TCP. Over that goes a TLS stream as it is, or, for
//! DTLS, packets with commands for a simulated clock between them ([`wire`]). What the shim does on a connection is the same in
//! all tests ([`exchange`]); flags ([`options`]) say which configuration it has ([`settings`]) and what must have come of it
//! ([`expectations`]). It drives the public API of the library and nothing else.
//!
//! The exit code is the verdict: 0 for success, 89 for a flag that this shim does not know, 1 otherwise, with the library's error
//! on standard error, where the runner looks for the name that its configuration gives it.

mod answers;
mod clock;
mod end;
mod exchange;
mod expectations;
mod keys;
mod options;
mod settings;
mod verifier;
mod wire;

use exchange::Shim;
use options::{Options, Parsed};
use std::env;
use std::fmt;
use std::process::ExitCode;

/// A flag, or the value of one, that stands for something that does not exist here.
const UNIMPLEMENTED: u8 = 89;

/// Why a test ends without success.
pub(crate) enum Failed {
    /// The test is not for us.
    Unimplemented(String),
    /// Something went wrong, maybe because the test wants it so.
    Error(String),
}

impl Failed {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self::Error(text.to_string())
    }
}

/// The error's name first: the runner's configuration maps its own names to these.
impl From<sealgram::Error> for Failed {
    fn from(error: sealgram::Error) -> Self {
        Self::Error(format!("{error:?}: {error}"))
    }
}

impl From<sealgram::ConfigError> for Failed {
    fn from(error: sealgram::ConfigError) -> Self {
        Self::Error(format!("{error:?}: {error}"))
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Error(format!("the connection to the runner: {error}"))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let outcome = match Options::parse(&arguments) {
        Ok(Parsed::IsHandshakerSupported) => {
            println!("No");
            Ok(())
        }
        Ok(Parsed::Test(plan)) => Shim::new().run(&plan),
        Err(failed) => Err(failed),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Unimplemented(what)) => {
            eprintln!("not implemented: {what}");
            ExitCode::from(UNIMPLEMENTED)
        }
        Err(Failed::Error(text)) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
