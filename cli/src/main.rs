//! The `sealgram` program: a server and a client for DTLS and TLS, and a demonstration.
//!
//! Data goes to standard output, events go to standard error, one `key=value` line each. The exit
//! code is 0 if all went well, 1 after a failure of the protocol or the network, and 2 if the
//! command line is at fault.

#![forbid(unsafe_code)]

mod address;
mod arguments;
mod bench;
mod certificate;
mod client;
mod demo;
mod endpoint;
mod event_loop;
mod input;
mod output;
mod problem;
mod raw_keys;
mod report;
mod server;
mod session_file;
mod settings;
mod shared_keys;
mod signals;
mod tunnel;

use arguments::Command;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let arguments = match tunnel::config::command_line(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(problem) => {
            problem.line().print();
            return problem.exit_code();
        }
    };
    show_tracing(arguments.verbose);
    let result = match &arguments.command {
        Command::Server(arguments) => server::run(arguments),
        Command::Client(arguments) => client::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Tunnel(arguments) => tunnel::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            problem.line().print();
            problem.exit_code()
        }
    }
}

/// Shows the library's own log on standard error, between the event lines.
fn show_tracing(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
}
