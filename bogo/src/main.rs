//! The shim between BoringSSL's protocol runner and sealgram: one process for each test, which the
//! runner configures by flags.
//!
//! The runner is the peer of every connection, honest or not, and listens on TCP. That carries a
//! TLS stream as it is, or, for DTLS, packets interleaved with commands for a simulated clock
//! ([`wire`]). What the shim does on a connection is the same in all tests ([`exchange`]); flags
//! ([`options`]) say which configuration it has ([`settings`]) and what the result must be
//! ([`expectations`]). It drives the public API of the library and nothing else.
//!
//! The exit code is the verdict: 0 for success, 89 for a flag that this shim does not know, 1
//! otherwise, with the library's error on standard error, where the runner looks for the name that
//! its configuration gives it.

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

/// A flag, or the value of one, for a feature that this library does not have.
const UNIMPLEMENTED: u8 = 89;

/// Why a test ends without success.
pub(crate) enum Failed {
    /// The test does not apply to this library.
    Unimplemented(String),
    /// Something went wrong, perhaps because the test wants that.
    Error(String),
}

impl Failed {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self::Error(text.to_string())
    }
}

/// Begins with the error's name, because the runner's configuration maps its own names to these.
impl From<sealgram::Error> for Failed {
    fn from(error: sealgram::Error) -> Self {
        Self::Error(format!("{error:?}: {error}"))
    }
}

impl From<sealgram::error::ConfigError> for Failed {
    fn from(error: sealgram::error::ConfigError) -> Self {
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
